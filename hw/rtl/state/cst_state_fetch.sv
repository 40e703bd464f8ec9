// cst_state_fetch: finds or makes the one copy on chip of each operation's key and its two lines.
// Promises   order kept; one operation a clock. A key that is on chip fetches nothing. A new one
//            takes an id, takes both its lines, and asks for those that are not on chip; it goes to
//            the match and, with all others, to the execution.
// Waits      here alone when there is no room: in a set, in ids, in a queue, or for another key
//            with the same hash. What it waits for depends on older operations only.
//
// stage    known                        decided
// a        directory row, hash          the buckets
// b        the buckets' numbers         the sets that are asked
// c        the sets                     what is on chip
// d        what is on chip              taken, or waits
`default_nettype none
module cst_state_fetch #(
  parameter int unsigned KeySetBits = 10,
  parameter int unsigned KeyWays = 8,
  parameter int unsigned KeyIds = 1024,
  parameter int unsigned LineSetBits = 10,
  parameter int unsigned LineWays = 8,
  parameter int unsigned LineIds = 1024,
  localparam int unsigned IdBits = cst_state_pkg::IdBits,
  localparam int unsigned NoBits = cst_state_pkg::BucketNoBits
) (
  input  wire logic                     clk_i,
  input  wire logic                     rst_ni,
  output      logic                     ready_o,
  input  wire cst_state_pkg::config_t   config_i,
  input  wire logic                     in_valid_i,
  output      logic                     in_ready_o,
  input  wire cst_state_pkg::op_t       in_op_i,
  input  wire logic [175:0]             in_row_i,
  // to the execution
  output      logic                     op_valid_o,
  input  wire logic                     op_ready_i,
  output      cst_state_pkg::queued_t   op_o,
  // a use of a key's id; key_new_o: it is a new one, and goes to the match
  output      logic                     key_take_o,
  output      logic                     key_new_o,
  output      logic [IdBits-1:0]        key_id_o,
  output      cst_state_pkg::ident_t    ident_o,
  input  wire logic                     match_ready_i,
  // by a new key: a use of both lines' ids, and reads of those that are new
  output      logic [1:0]               line_new_o,
  output      logic [2*IdBits-1:0]      line_id_o,      // even, odd
  output      logic [1:0]               read_valid_o,
  input  wire logic [1:0]               read_ready_i,
  output      cst_state_pkg::place_t    read_even_o,
  output      cst_state_pkg::place_t    read_odd_o,
  // freed ids
  input  wire logic                     key_drop_i,
  input  wire logic [IdBits-1:0]        key_drop_id_i,
  input  wire logic [1:0]               line_drop_i,
  input  wire logic [2*IdBits-1:0]      line_drop_id_i,
  // counts
  output      logic                     hit_o,
  output      logic                     wait_o,
  output      logic                     wait_copy_o     // for a free one
);
  // The number of a line's set is folded from two parts of its bucket's number.
  if (LineSetBits < 1 || 2 * LineSetBits + 1 > NoBits) begin : g_line_set_bits
    $error("cst_state_fetch: LineSetBits %0d, must be 1 to %0d", LineSetBits, (NoBits - 1) / 2);
  end

  logic moves;

  // ---- a ----------------------------------------------------------------------------------------
  logic a_valid_q;
  cst_state_pkg::op_t a_op_q;
  logic [2:0] in_chunks;
  logic [5:0] in_first, a_first_q, a_second_q;
  logic [167:0] a_chunks_q;

  assign in_chunks = in_row_i[170:168];
  assign in_first = cst_pkg::hash_bucket_first(in_op_i.hash, in_chunks);
  assign in_ready_o = moves;

  // ---- b ----------------------------------------------------------------------------------------
  logic b_valid_q, b_uses_q, b_long_q, b_first_odd_q;
  cst_state_pkg::op_t b_op_q;
  logic [NoBits-1:0] b_even_q, b_odd_q, a_first_no, a_second_no;
  logic a_keyed;

  assign a_first_no = {a_chunks_q[32'(a_first_q[5:3]) * 24 +: 24], a_first_q[2:0]};
  assign a_second_no = {a_chunks_q[32'(a_second_q[5:3]) * 24 +: 24], a_second_q[2:0]};
  assign a_keyed = cst_state_pkg::uses_key(a_op_q.kind);

  // ---- c ----------------------------------------------------------------------------------------
  logic c_valid_q, c_uses_q, c_long_q, c_first_odd_q;
  cst_state_pkg::op_t c_op_q;
  logic [NoBits-1:0] c_even_q, c_odd_q;

  // ---- d ----------------------------------------------------------------------------------------
  localparam int unsigned TagBits = 64 + 8 + 128;
  logic d_valid_q, d_uses_q, d_long_q, d_first_odd_q;
  cst_state_pkg::op_t d_op_q;
  logic [NoBits-1:0] d_even_q, d_odd_q;
  logic key_ready, key_hit, key_conflict, key_free;
  logic [1:0] line_ready, line_hit, line_free;
  logic [1:0] no_conflict;
  logic go, fresh, new_fits;
  logic [LineSetBits-1:0] b_even_set, b_odd_set;

  assign moves = go || !d_valid_q;
  assign new_fits = key_free && !key_conflict && match_ready_i && (line_hit[0] || line_free[0]) &&
                    (line_hit[1] || line_free[1]);
  assign fresh = d_uses_q && !key_hit;
  // Both reads go in the same clock as the rest.
  assign read_valid_o[0] = d_valid_q && fresh && new_fits && op_ready_i && !line_hit[0] &&
                           (line_hit[1] || read_ready_i[1]);
  assign read_valid_o[1] = d_valid_q && fresh && new_fits && op_ready_i && !line_hit[1] &&
                           (line_hit[0] || read_ready_i[0]);
  assign go = d_valid_q && op_ready_i && ready_o &&
              (!fresh || (new_fits && (line_hit[0] || read_ready_i[0]) &&
                          (line_hit[1] || read_ready_i[1])));
  assign ready_o = key_ready && (&line_ready);

  assign op_valid_o = go;
  assign op_o.kind = d_op_q.kind;
  assign op_o.row = d_op_q.row;
  assign op_o.uses_key = d_uses_q;
  assign op_o.first = fresh;
  assign op_o.too_long = d_long_q;
  assign op_o.id = key_id_o;
  assign op_o.tag = cst_pkg::hash_tag(d_op_q.hash);
  assign op_o.nulls = d_op_q.nulls;
  assign op_o.operands = d_op_q.operands;
  assign key_take_o = go && d_uses_q;
  assign key_new_o = go && fresh;
  assign line_new_o = ~line_hit & {2{go && fresh}};
  assign ident_o.hash = d_op_q.hash;
  assign ident_o.key_bytes = d_op_q.key_bytes;
  assign ident_o.key = d_op_q.key;
  assign ident_o.first_odd = d_first_odd_q;
  assign ident_o.even_no = d_even_q;
  assign ident_o.odd_no = d_odd_q;
  assign ident_o.even_id = line_id_o[0 +: IdBits];
  assign ident_o.odd_id = line_id_o[IdBits +: IdBits];
  assign read_even_o = cst_state_pkg::line_place(d_even_q, config_i.index_base);
  assign read_odd_o = cst_state_pkg::line_place(d_odd_q, config_i.index_base);
  assign hit_o = go && d_uses_q && key_hit;
  assign wait_o = d_valid_q && !go;
  assign wait_copy_o = d_valid_q && op_ready_i && fresh && !new_fits;

  always_ff @(posedge clk_i) begin
    if (moves) begin
      a_op_q <= in_op_i;
      a_first_q <= in_first;
      a_second_q <= cst_pkg::hash_bucket_second(in_op_i.hash, in_chunks, in_first);
      a_chunks_q <= in_row_i[167:0];

      b_op_q <= a_op_q;
      b_uses_q <= a_keyed && a_op_q.key_bytes <= config_i.key_bytes;
      b_long_q <= a_op_q.key_bytes > config_i.key_bytes;
      b_first_odd_q <= a_first_q[0];
      b_even_q <= a_first_q[0] ? a_second_no : a_first_no;
      b_odd_q <= a_first_q[0] ? a_first_no : a_second_no;

      c_op_q <= b_op_q;
      c_uses_q <= b_uses_q;
      c_long_q <= b_long_q;
      c_first_odd_q <= b_first_odd_q;
      c_even_q <= b_even_q;
      c_odd_q <= b_odd_q;

      d_op_q <= c_op_q;
      d_uses_q <= c_uses_q;
      d_long_q <= c_long_q;
      d_first_odd_q <= c_first_odd_q;
      d_even_q <= c_even_q;
      d_odd_q <= c_odd_q;
    end
    if (!rst_ni) begin
      a_valid_q <= 1'b0;
      b_valid_q <= 1'b0;
      c_valid_q <= 1'b0;
      d_valid_q <= 1'b0;
    end else if (moves) begin
      a_valid_q <= in_valid_i;
      b_valid_q <= a_valid_q;
      c_valid_q <= b_valid_q;
      d_valid_q <= c_valid_q;
    end
  end

  // ---- What is on chip --------------------------------------------------------------------------
  assign b_even_set = b_even_q[1 +: LineSetBits] ^ b_even_q[LineSetBits+1 +: LineSetBits];
  assign b_odd_set = b_odd_q[1 +: LineSetBits] ^ b_odd_q[LineSetBits+1 +: LineSetBits];

  cst_state_table #(.SetBits(KeySetBits), .Ways(KeyWays), .Ids(KeyIds), .TagBits(TagBits),
                    .MatchBits(64)) u_keys (
    .clk_i, .rst_ni, .ready_o(key_ready),
    .ask_i(moves), .set_i(b_op_q.hash[KeySetBits-1:0] ^ b_op_q.hash[36 +: KeySetBits]),
    .tag_i({b_op_q.key, b_op_q.key_bytes, b_op_q.hash}),
    .hit_o(key_hit), .conflict_o(key_conflict), .free_o(key_free), .id_o(key_id_o),
    .take_i(key_new_o), .drop_i(key_drop_i), .drop_id_i(key_drop_id_i)
  );
  cst_state_table #(.SetBits(LineSetBits), .Ways(LineWays), .Ids(LineIds), .TagBits(NoBits - 1))
  u_even (
    .clk_i, .rst_ni, .ready_o(line_ready[0]),
    .ask_i(moves), .set_i(b_even_set), .tag_i(b_even_q[NoBits-1:1]),
    .hit_o(line_hit[0]), .conflict_o(no_conflict[0]), .free_o(line_free[0]),
    .id_o(line_id_o[0 +: IdBits]),
    .take_i(line_new_o[0]), .drop_i(line_drop_i[0]), .drop_id_i(line_drop_id_i[0 +: IdBits])
  );
  cst_state_table #(.SetBits(LineSetBits), .Ways(LineWays), .Ids(LineIds), .TagBits(NoBits - 1))
  u_odd (
    .clk_i, .rst_ni, .ready_o(line_ready[1]),
    .ask_i(moves), .set_i(b_odd_set), .tag_i(b_odd_q[NoBits-1:1]),
    .hit_o(line_hit[1]), .conflict_o(no_conflict[1]), .free_o(line_free[1]),
    .id_o(line_id_o[IdBits +: IdBits]),
    .take_i(line_new_o[1]), .drop_i(line_drop_i[1]), .drop_id_i(line_drop_id_i[IdBits +: IdBits])
  );

  // Configuration that other stages read; a segment has at most 7 chunks.
  logic unused_bits;
  assign unused_bits = ^{config_i, in_row_i[175:171], no_conflict};

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni && d_valid_q) begin
    halves: assert (!d_uses_q || (!d_even_q[0] && d_odd_q[0]));
  end
`endif
endmodule
`default_nettype wire
