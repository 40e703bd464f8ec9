// cst_state_pkg: the types that the modules of the state unit share.
//
// Names      a key id names the one copy on chip of a key's state, a line id that of a control
//            line; a bucket's number counts over all chunks (chunk * 8 + line), and its lowest bit
//            says which half, even or odd, its line lives in; a unit is 32 bytes of the change log.
// Placement  a region lies over 16 channels in stripes: stripe n is stripe n / 16 of the channel
//            that n's nibbles, folded by exclusive or, name (docs/hardware.md, Memory map).
`default_nettype none
package cst_state_pkg;
  // A module takes what it needs of these; no module needs all.
  /* verilator lint_off UNUSEDPARAM */
  localparam int unsigned Channels = 16;
  localparam int unsigned AddressBits = 34;  // bytes of one channel
  localparam int unsigned IdBits = 10;
  localparam int unsigned Ids = 1024;
  localparam int unsigned Lanes = 8;         // 64-bit words of a value
  // Beside cst_pkg::number_e: a word is the upper half of the decimal128 in the one before it.
  localparam logic [2:0] NumberUpper = 3'd5;
  localparam logic [127:0] DecimalBound = 128'h4b3b4ca85a86c47a098a224000000000;  // 10^38
  localparam int unsigned KeyBytes = 16;
  localparam int unsigned BucketNoBits = 27;
  localparam int unsigned SlotNoBits = BucketNoBits + 4;  // a slot's, over all chunks
  localparam int unsigned UnitBits = 48;
  localparam int unsigned FloorBits = UnitBits + 5;  // bytes of the log
  localparam int unsigned PlaceBits = 12;    // log segments in card memory, at most 4096
  localparam int unsigned LineUnits = 32;    // a kibibyte of the log
  localparam int unsigned FewReads = 8;      // of a channel, while a barrier is under way
  localparam int unsigned ReadTagBits = 47;
  localparam int unsigned WalkTagBits = 8;   // a line or a beat, one of four buckets, which beat
  localparam int unsigned Counters = 25;
  localparam int unsigned CounterBits = 48;

  // Widths of the types below: yosys 0.23 has no $bits of a type. Verilator's lint compares them.
  localparam int unsigned OpBits = 755;
  localparam int unsigned QueuedBits = 584;
  localparam int unsigned IdentBits = 275;
  localparam int unsigned StateBits = 566;
  localparam int unsigned MetaBits = 144;
  localparam int unsigned WriteBits = 816;
  localparam int unsigned AckBits = 12;
  localparam int unsigned ResultBits = 556;
  localparam int unsigned PlaceTBits = 4 + AddressBits;
  localparam int unsigned PageBits = AddressBits - 12;  // pages of 4 KiB of one channel

  typedef enum logic [2:0] {
    KindUpsert = 3'd0,
    KindDelete = 3'd1,
    KindLookup = 3'd2,
    KindBarrier = 3'd3,
    KindEnd = 3'd4,      // says how far the rows before it came
    KindExpire = 3'd5,   // a delete, if the row is past its time
    KindPut = 3'd6,      // of RESTORE: the operands are the row's value; the log stays as it is
    KindDrop = 3'd7      // of RESTORE: a delete that the log does not see
  } kind_e;

  // One slot of the stream of operations.
  typedef struct packed {
    kind_e kind;
    logic [31:0] row;
    logic [63:0] hash;
    logic [7:0] key_bytes;
    logic [127:0] key;         // zeros behind key_bytes
    logic [Lanes-1:0] nulls;   // lane i has no source value
    logic [511:0] operands;    // lane i: its source, widened; replace: the value
  } op_t;

  // The same behind the look-up of its key.
  typedef struct packed {
    kind_e kind;
    logic [31:0] row;
    logic uses_key;
    logic first;               // the first operation since the key got its id
    logic too_long;
    logic [IdBits-1:0] id;
    logic [15:0] tag;
    logic [Lanes-1:0] nulls;
    logic [511:0] operands;
  } queued_t;

  // What stays the same as long as a key keeps its id.
  typedef struct packed {
    logic [63:0] hash;
    logic [7:0] key_bytes;
    logic [127:0] key;
    logic first_odd;           // the key's first bucket is its odd one
    logic [BucketNoBits-1:0] even_no;
    logic [BucketNoBits-1:0] odd_no;
    logic [IdBits-1:0] even_id;
    logic [IdBits-1:0] odd_id;
  } ident_t;

  // A key's state; not present: what was there last, or nothing.
  typedef struct packed {
    logic present;
    logic odd;                 // its slot is in the odd bucket
    logic [3:0] slot;
    logic [UnitBits-1:0] unit; // of its newest record
    logic [511:0] value;
  } state_t;

  // What the execution needs of a control line.
  typedef struct packed {
    logic [127:0] overflow;
    logic [15:0] occupied;
  } meta_t;

  typedef struct packed {
    logic write;
    logic retag;               // the slot's tag too, not the filter alone
    logic [IdBits-1:0] id;
    logic [3:0] slot;
    logic [15:0] tag;
    meta_t meta;
  } line_update_t;

  // A region's stripe, cut to what a channel's request needs.
  typedef struct packed {
    logic [3:0] channel;
    logic [AddressBits-1:0] address;
  } place_t;

  typedef struct packed {
    logic [AddressBits-1:0] address;  // a multiple of 32
    logic [1:0] atoms;                // of 32 bytes
    logic [IdBits-1:0] id;
    logic counts;                     // its key or line counts the answer (a gap has none)
    logic parity;                     // of the epoch that waits for the answer
    logic [767:0] data;
  } write_t;

  typedef struct packed {
    logic [IdBits-1:0] id;
    logic counts;
    logic parity;
  } ack_t;

  // The control block's part that operations change.
  typedef struct packed {
    logic [FloorBits-1:0] floor;      // first byte of the log that is not released
    logic [63:0] rows_count;
    logic [63:0] epoch;
    logic [UnitBits-1:0] epoch_first;
    logic [UnitBits-1:0] tail;
    logic [PlaceBits:0] frontier;     // log segments ever taken
    logic [PlaceBits-1:0] free_first;
    logic [PlaceBits:0] free_count;
  } control_t;

  typedef struct packed {
    logic ttl;                        // rows have a time, some may be past it:
    logic [2:0] time_lane;            // the time's word
    logic [63:0] past;                // it is, up to this one
    logic [23:0] chunks;              // below the frontier
    logic [PageBits-1:0] first_page;  // of every channel: what the unit may read and write
    logic [PageBits:0] end_page;
    logic [1:0] entry_units;          // of an entry and of its record: 1 to 3
    logic [1:0] key_words;            // 64-bit words between head and value: 0 to 2
    logic [6:0] value_bytes;          // at most 64
    logic [7:0] key_bytes;
    logic [21:0] directory_mask;      // 2^depth_max - 1
    logic [AddressBits-1:0] directory_base;
    logic [AddressBits-1:0] index_base;
    logic [AddressBits-1:0] slots_base;
    logic [AddressBits-1:0] log_base;
    logic [4:0] log_shift;            // units of a log segment, as a power of two: 11 to 16
    logic [PlaceBits-1:0] log_mask;   // segments of the map - 1
    logic [PlaceBits:0] log_budget;   // segments that the budget pays for
    logic [PlaceBits:0] log_ready;    // segments that are ready
    logic replace;
    logic has_presence;
    logic [2:0] presence_lane;
    logic [Lanes*3-1:0] lane_op;      // cst_accumulate, 0: none
    logic [Lanes*3-1:0] lane_number;  // cst_number, or NumberUpper
    logic [Lanes-1:0] lane_source;    // has a source
    logic [Lanes*4-1:0] lane_index;   // the accumulator's, its bit of presence
  } config_t;

  // What an upsert does with each word of a value (bit n: word n), made of the settings and the
  // operation a stage ahead. A word that is in none of the first five becomes its operand.
  typedef struct packed {
    logic [Lanes-1:0] keeps;    // stays as it is, in a row that is there
    logic [Lanes-1:0] joins;    // takes the operand's bits beside its own, likewise
    logic [Lanes-1:0] adds;     // likewise, and once its accumulator has seen a value
    logic [Lanes-1:0] least;
    logic [Lanes-1:0] most;
    logic [Lanes-1:0] doubles;  // its number
    logic [Lanes-1:0] signs;    // i64
    logic [Lanes-1:0] bounds;   // of adds: 64 bits, which the sum may leave
    logic [Lanes-1:0] lower;    // half of a decimal128
    logic [Lanes-1:0] upper;
    logic [Lanes-1:0] wrong;    // the decimal128 that begins here comes with more than 38 digits
  } plan_t;

  typedef struct packed {
    kind_e kind;
    logic [7:0] code;       // cst_pkg::code_e
    logic [31:0] row;       // of the operation; stopped: where it stopped
    logic found;            // lookup
    logic [511:0] value;    // lookup: the value; barrier: epoch, from, to
  } result_t;

  function automatic logic uses_key(input logic [2:0] kind);
    uses_key = kind != cst_state_pkg::KindBarrier && kind != cst_state_pkg::KindEnd;
  endfunction

  // An operation after which a key's state on chip may be another, or there at all.
  function automatic logic writes_state(input logic uses, input logic [2:0] kind,
                                        input logic first);
    writes_state = uses && (kind != cst_state_pkg::KindLookup || first);
  endfunction

  // A row is past its time: docs/formats.md, Commands.
  function automatic logic expired(input logic ttl, input logic [63:0] past,
                                   input logic [63:0] row_time);
    expired = ttl && $signed(row_time) <= $signed(past);
  endfunction

  // A decimal128 has more than 38 digits. Below zero its complement is one less than its size.
  function automatic logic too_large(input logic [127:0] units);
    too_large = {units[126:0] ^ {127{units[127]}}, units[127]} >=
                {DecimalBound[126:0] - 127'd1, 1'b1};
  endfunction

  // ---- Placement --------------------------------------------------------------------------------
  function automatic logic [3:0] fold(input logic [31:0] number);
    fold = number[3:0] ^ number[7:4] ^ number[11:8] ^ number[15:12] ^ number[19:16] ^
           number[23:20] ^ number[27:24] ^ number[31:28];
  endfunction

  // A control line: even buckets on even channels. Each gives a place_t.
  function automatic logic [PlaceTBits-1:0] line_place(input logic [BucketNoBits-1:0] bucket,
                                                       input logic [AddressBits-1:0] base);
    line_place = {(fold(32'(bucket)) & 4'b1110) | {3'b0, bucket[0]},
                  base + AddressBits'({bucket[BucketNoBits-1:4], 6'b0})};
  endfunction

  // An entry: a bucket's 16 are a stripe.
  function automatic logic [PlaceTBits-1:0] slot_place(input logic [BucketNoBits-1:0] bucket,
                                                       input logic [3:0] slot,
                                                       input logic [1:0] units,
                                                       input logic [AddressBits-1:0] base);
    logic [BucketNoBits-1:0] entry;  // of the channel
    entry = {bucket[BucketNoBits-1:4], slot};
    slot_place = {fold(32'(bucket)),
                  base + (units[1] ? AddressBits'({entry, 6'b0}) : '0) +
                  (units[0] ? AddressBits'({entry, 5'b0}) : '0)};
  endfunction

  // Which beat of 64 bytes of its bucket's stripe an entry begins in; an odd one of 1 or 3 units
  // begins in its high half. Of three units it is slot * 3 / 2, bit by bit: a sum is a longer path
  // than a table of 16.
  function automatic logic [4:0] slot_beat(input logic [3:0] slot, input logic [1:0] units);
    logic [15:0] bit4, bit3, bit2, bit1, bit0;
    {bit4, bit3, bit2, bit1, bit0} = {16'hf800, 16'h07c0, 16'hc738, 16'hb4b4, 16'h6666};
    slot_beat = {bit4[slot], bit3[slot], bit2[slot], bit1[slot], bit0[slot]};
    if (units == 2'd2) slot_beat = {1'b0, slot};
    if (units == 2'd1) slot_beat = {2'b0, slot[3:1]};
  endfunction

  // A directory row: two are a stripe.
  function automatic logic [PlaceTBits-1:0] row_place(input logic [21:0] row,
                                                      input logic [AddressBits-1:0] base);
    row_place = {fold(32'(row[21:1])), base + AddressBits'({row[21:5], row[0], 5'b0})};
  endfunction

  // A unit of the log's region (of the place, not of the offset): a kibibyte is a stripe.
  function automatic logic [PlaceTBits-1:0] log_place(input logic [31:0] unit,
                                                      input logic [AddressBits-1:0] base);
    log_place = {fold(32'(unit[31:5])), base + AddressBits'({unit[31:9], unit[4:0], 5'b0})};
  endfunction
  /* verilator lint_on UNUSEDPARAM */
endpackage
`default_nettype wire
