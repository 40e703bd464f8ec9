// cst_kernel_pkg: what stands in memory between a host and a kernel: docs/hardware.md, Kernel.
//
// Layout     a packed struct lists the highest bits first, so bit 0 of a struct is bit 0 of the
//            first byte in memory; all are whole beats of 64 bytes.
`default_nettype none
package cst_kernel_pkg;
  // A module takes what it needs of these; no module needs all.
  /* verilator lint_off UNUSEDPARAM */
  localparam int unsigned RowsMax = 65536;   // of a command
  localparam int unsigned BeatsBits = 20;
  localparam int unsigned SlotBits = 16;     // of a ring's largest
  localparam int unsigned PlacesMax = 4096;
  localparam int unsigned TableBeats = 4;    // in front of the places
  localparam int unsigned KeyBytes = 16;     // of a table's row
  localparam int unsigned RowBeatsMax = 8;   // of a row of cells
  localparam int unsigned ResultKeyBytes = 48;  // of a result's one beat; two hold any key
  localparam int unsigned FlagEncode = 0;
  localparam int unsigned FlagHash = 1;
  localparam int unsigned FlagWide = 2;
  localparam int unsigned FlagFence = 3;
  localparam int unsigned FlagMore = 4;
  localparam int unsigned FlagCompact = 5;
  localparam int unsigned FlagLong = 6;
  localparam int unsigned FlagCells = 7;

  typedef enum logic [7:0] {
    OpLoad = 8'd1,     // the table: config, control block, columns, places
    OpRows = 8'd2,     // upserts, deletes, look-ups
    OpKeys = 8'd3,     // keys and hashes, to memory
    OpBarrier = 8'd4,
    OpEnd = 8'd5,      // of the run
    OpRelease = 8'd6,  // log segments whose pins ended
    OpExpire = 8'd7,   // rows past their time, of some buckets
    OpScan = 8'd8,     // rows of some buckets, to memory
    OpRestore = 8'd9   // records become rows
  } op_e;

  typedef struct packed {
    logic [63:0] reserved1;
    logic [63:0] epoch;     // a release's delta: its epoch and its end in the log, in bytes
    logic [63:0] at;        // an expiry's: the first bucket; a scan's: the first slot; FlagCells:
                            // beats of a row
    logic [63:0] now;       // microseconds, signed: what a row's time is compared with
    logic [63:0] results;
    logic [63:0] address;
    logic [31:0] row;       // number of the first row; a scan's: at most so many rows
    logic [31:0] count;     // rows, places, buckets, or units of records
    logic [15:0] reserved0;
    logic [7:0] flags;
    logic [7:0] op;
    logic [31:0] number;    // from 1 on; valid when it is the one that is waited for
  } descriptor_t;

  // What a descriptor asks for, as the modules see it (cst_kernel_check).
  typedef struct packed {
    logic overlaps;   // its completion may be late: nothing of it is written to the batch's memory,
                      // no fence, and what is past its time is the same for what is under way
    logic two_beats;  // of a look-up's or a scan's result
    logic keys_two;   // the same of keys
    logic gives;      // it has results
    logic cells;
    logic compact;
    logic is_restore;
    logic is_scan;
    logic is_expire;
    logic is_release;
    logic is_end;
    logic is_barrier;
    logic is_keys;
    logic is_rows;
    logic is_load;
  } what_t;

  typedef struct packed {
    logic [15:0] reserved1;
    logic [15:0] free_count;
    logic [15:0] free_first;
    logic [15:0] frontier;
    logic [63:0] from;      // a barrier's: the byte of the log where its epoch began; a release's:
                            // the first one that is not released; a scan's: the next slot
    logic [63:0] tail;      // log units
    logic [63:0] epoch_first;
    logic [63:0] epoch;
    logic [63:0] rows_count;
    logic [31:0] reserved0;
    logic [31:0] row;       // the one that the code is about; all is well: the one behind the last
    logic [7:0] busy;       // 1: not all of it was in memory when this was written
    logic [7:0] faults;
    logic [7:0] stopped;
    logic [7:0] code;       // cst_pkg::code_e
    logic [31:0] number;
  } completion_t;

  // The first beat of a row; a second one has operands 4 to 7.
  typedef struct packed {
    logic [255:0] operands;
    logic [127:0] key;        // to be encoded: its columns' values one behind the other
    logic [63:0] hash;
    logic [15:0] reserved1;
    logic [15:0] key_nulls;   // bit c: column c
    logic [7:0] reserved0;
    logic [7:0] nulls;        // bit i: operand i
    logic [7:0] key_bytes;
    logic [7:0] kind;         // cst_state_pkg::kind_e up to KindLookup
  } row_t;

  // Half a beat: a row of at most two words whose key is hashed here.
  typedef struct packed {
    logic [63:0] last;        // word 1; FlagLong: bytes 8 to 15 of the key
    logic [63:0] word;        // word 0
    logic [63:0] key;
    logic [15:0] reserved1;
    logic [15:0] key_nulls;
    logic [7:0] reserved0;
    logic [7:0] nulls;
    logic [7:0] key_bytes;
    logic [7:0] kind;
  } compact_t;

  // The first beat of a result; a look-up's second one is the value, a long key goes on there. Of
  // a compact command's keys the lower half alone is written.
  typedef struct packed {
    logic [383:0] key;
    logic [63:0] hash;
    logic [31:0] row;
    logic [7:0] reserved0;
    logic [7:0] key_bytes;
    logic [7:0] found;
    logic [7:0] code;
  } result_t;
  /* verilator lint_on UNUSEDPARAM */
endpackage
`default_nettype wire
