// cst_pkg: the types and constants that all modules share.
//
// Promises   image, hash and key constants are those of docs/formats.md and of the C headers named
//            below: rtl.common.pkg reads this file and compares every one of them, and every
//            packed struct with its C twin, bit by bit.
// Layout     a packed struct lists the highest bits first, so a little-endian C struct stands here
//            upside down: bit 0 of the struct is bit 0 of the C struct's first byte.
`default_nettype none
package cst_pkg;
  // A module takes what it needs of these; no module needs all.
  /* verilator lint_off UNUSEDPARAM */

  // ---- The table image: host/src/table/image.h ------------------------------------------------
  localparam int unsigned BucketSlots = 16;
  localparam int unsigned FirstUntil = 14;  // a row goes to its first bucket while it holds fewer
  localparam int unsigned ChunkBuckets = 8;
  localparam int unsigned ChunkSlots = 128;
  localparam int unsigned SegmentChunksMin = 4;
  localparam int unsigned SegmentChunksMax = 7;
  localparam int unsigned SegmentSlotsMax = 896;
  localparam int unsigned DirectoryDepthMax = 22;
  localparam int unsigned DirectoryRowBytes = 32;
  localparam int unsigned ControlLineBytes = 64;
  localparam int unsigned ControlBytes = 4096;
  localparam int unsigned ChunksFreeMax = 16;
  localparam int unsigned ExtendRows = 1024;
  localparam int unsigned BucketBits = 14;
  localparam int unsigned TagShift = 36;
  localparam int unsigned EntryHeadBytes = 16;
  localparam int unsigned EntryBytesMax = 512;
  localparam int unsigned RecordHeadBytes = 16;
  localparam int unsigned KeyBytesMax = 248;
  localparam int unsigned AccumulatorsMax = 16;
  localparam int unsigned LogUnit = 32;
  localparam int unsigned LogBegin = 1024;
  localparam int unsigned LogLine = 1024;  // no record up to this long crosses a multiple of it

  typedef struct packed {
    logic [223:0] chunk;  // id i: bits 32i + 31 to 32i; those past `chunks` are 0
    logic [15:0] reserved;
    logic [7:0] chunks;
    logic [7:0] depth;
  } directory_row_t;

  typedef struct packed {
    logic [127:0] overflow;  // bit (tag mod 128): a row of this first bucket went to its second
    logic [111:0] reserved;
    logic [15:0] occupied;
    logic [255:0] tag;       // slot i: bits 16i + 15 to 16i
  } control_line_t;

  typedef struct packed {
    logic [55:0] change;     // log offset / LogUnit of its newest record
    logic [7:0] key_bytes;
    logic [63:0] hash;
  } entry_head_t;

  typedef struct packed {
    logic present;
    logic tombstone;
    logic gap;
    logic [4:0] reserved;
    logic [23:0] value_bytes;
    logic [15:0] units;
    logic [15:0] key_bytes;
    logic [63:0] hash;
  } record_head_t;

  // ---- What a hash says: csti_hash_* of image.h -----------------------------------------------
  // A function looks at its own bits of the hash only.
  /* verilator lint_off UNUSEDSIGNAL */
  function automatic logic [11:0] hash_key_group(input logic [63:0] hash);
    hash_key_group = hash[63:52];
  endfunction

  function automatic logic [15:0] hash_tag(input logic [63:0] hash);
    hash_tag = hash[51:36];
  endfunction

  // `chunks` is the segment's; the bucket counts within the segment.
  function automatic logic [5:0] hash_bucket_first(input logic [63:0] hash,
                                                   input logic [2:0] chunks);
    logic [19:0] scaled;
    scaled = 20'(hash[35:22]) * 20'({chunks, 3'b0});
    hash_bucket_first = scaled[19:14];
  endfunction

  function automatic logic [5:0] hash_bucket_second(input logic [63:0] hash,
                                                    input logic [2:0] chunks,
                                                    input logic [5:0] first);
    logic [20:0] scaled;
    scaled = 21'(hash[51:36]) * 21'({chunks, 2'b0});
    hash_bucket_second = {scaled[20:16], ~first[0]};
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // ---- Hash: docs/formats.md, Hash ------------------------------------------------------------
  localparam logic [63:0] SipV0 = 64'h736f6d6570736575;
  localparam logic [63:0] SipV1 = 64'h646f72616e646f6d;
  localparam logic [63:0] SipV2 = 64'h6c7967656e657261;
  localparam logic [63:0] SipV3 = 64'h7465646279746573;

  // ---- Keys: host/include/constellation/schema.h, host/src/codec/types.h ----------------------
  typedef enum logic [4:0] {
    TypeU8 = 5'd1,
    TypeU16 = 5'd2,
    TypeU32 = 5'd3,
    TypeU64 = 5'd4,
    TypeU128 = 5'd5,
    TypeI8 = 5'd6,
    TypeI16 = 5'd7,
    TypeI32 = 5'd8,
    TypeI64 = 5'd9,
    TypeI128 = 5'd10,
    TypeF32 = 5'd11,
    TypeF64 = 5'd12,
    TypeBool = 5'd13,
    TypeDate = 5'd14,
    TypeTimestamp = 5'd15,
    TypeDecimal128 = 5'd16,
    TypeUuid = 5'd17,
    TypeFixed = 5'd18,
    TypeString = 5'd19,
    TypeBinary = 5'd20
  } type_e;

  // Bytes of a value; 0: of any length, or `fixed`, whose column says it.
  function automatic logic [4:0] type_bytes(input logic [4:0] kind);
    case (kind)
      cst_pkg::TypeU8, cst_pkg::TypeI8, cst_pkg::TypeBool: type_bytes = 5'd1;
      cst_pkg::TypeU16, cst_pkg::TypeI16: type_bytes = 5'd2;
      cst_pkg::TypeU32, cst_pkg::TypeI32, cst_pkg::TypeF32, cst_pkg::TypeDate: type_bytes = 5'd4;
      cst_pkg::TypeU64, cst_pkg::TypeI64, cst_pkg::TypeF64, cst_pkg::TypeTimestamp: begin
        type_bytes = 5'd8;
      end
      cst_pkg::TypeU128, cst_pkg::TypeI128, cst_pkg::TypeDecimal128, cst_pkg::TypeUuid: begin
        type_bytes = 5'd16;
      end
      default: type_bytes = 5'd0;
    endcase
  endfunction

  localparam int unsigned ColumnsMax = 16;
  localparam int unsigned ColumnBits = 15;

  // A key's column, as registers hold it.
  typedef struct packed {
    logic [6:0] width;  // fixed: bytes of a value
    logic nulls_last;
    logic nullable;
    logic descending;
    logic [4:0] kind;   // type_e
  } column_t;

  localparam logic [7:0] KeyNullFirst = 8'h00;
  localparam logic [7:0] KeyValue = 8'h01;
  localparam logic [7:0] KeyNullLast = 8'h02;
  localparam logic [7:0] KeyEscape = 8'h00;
  localparam logic [7:0] KeyZero = 8'hff;
  localparam logic [7:0] KeyEnd = 8'h01;

  // ---- Rows, programs, errors: batch.h, table.h, error.h of host/include/constellation --------
  typedef enum logic [0:0] {
    RowUpsert = 1'd0,
    RowDelete = 1'd1
  } row_op_e;

  typedef enum logic [2:0] {
    AccCount = 3'd1,
    AccSum = 3'd2,
    AccMin = 3'd3,
    AccMax = 3'd4,
    AccLast = 3'd5
  } accumulate_e;

  typedef enum logic [2:0] {
    NumberU64 = 3'd1,
    NumberI64 = 3'd2,
    NumberF64 = 3'd3,
    NumberDecimal128 = 3'd4
  } number_e;

  typedef enum logic [7:0] {
    CodeOk = 8'd0,
    CodeUsage = 8'd1,
    CodeLimit = 8'd4,
    CodeUnsupported = 8'd5,
    CodeAgain = 8'd6,
    CodeAborted = 8'd9,
    CodeSchemaMismatch = 8'd11,
    CodeBatch = 8'd12,
    CodeUtf8 = 8'd14,
    CodeValueRange = 8'd15,
    CodeKeyTooLong = 8'd20,
    CodeValueTooLong = 8'd21,
    CodeTableFull = 8'd22,
    CodeTableSkew = 8'd23,
    CodeTableBudget = 8'd24,
    CodeTableNotReady = 8'd25,
    CodeTableCorrupt = 8'd26,
    CodeSumOverflow = 8'd27,
    CodeEpoch = 8'd28,
    CodeSegmentRecord = 8'd47,
    CodeDeviceLost = 8'd81,
    CodeInternal = 8'd99
  } code_e;

  // ---- AXI4: the one kind of burst, the responses, the line no burst crosses ------------------
  localparam int unsigned AxiPageBytes = 4096;
  localparam logic [1:0] AxiIncr = 2'b01;
  localparam logic [1:0] AxiOkay = 2'b00;
  localparam logic [1:0] AxiSlverr = 2'b10;
  localparam logic [1:0] AxiDecerr = 2'b11;

  /* verilator lint_on UNUSEDPARAM */
endpackage
`default_nettype wire
