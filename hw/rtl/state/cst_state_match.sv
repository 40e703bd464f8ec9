// cst_state_match: from a new key's tag to the slots that may hold it, and to reads of them.
// Promises   new keys in order, each once its lines are there. A key whose tag stands in no slot
//            goes to the check at once, without a read; else its first candidate is read, and the
//            next one when the check sends it back with those that are left.
// Why it may look ahead of the execution: while a key has its id, only its own operations change
// whether and where it is; when it gets one, none is under way, and memory has what they left.
// Other keys' changes to the lines can add or take away false candidates, never the true one.
//
// stage    known                        decided
// a        key, its lines' ids          waits until both lines are there
// b        both lines                   candidates: slots of the first bucket, then of the second
// c        candidates, bucket numbers   the lowest one, its bucket, those that are left
// d        one, or that there is none   its address
`default_nettype none
module cst_state_match #(
  localparam int unsigned IdBits = cst_state_pkg::IdBits,
  localparam int unsigned TagBits = cst_state_pkg::ReadTagBits
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic                   new_valid_i,
  output      logic                   new_ready_o,
  input  wire logic [IdBits-1:0]      new_id_i,
  // identities, written by the fetch
  input  wire logic                   ident_write_i,
  input  wire logic [IdBits-1:0]      ident_id_i,
  input  wire cst_state_pkg::ident_t  ident_i,
  // the lines, even and odd
  output      logic [2*IdBits-1:0]    line_id_o,
  input  wire logic [1:0]             line_present_i,
  output      logic                   line_read_o,
  input  wire logic [255:0]           even_tags_i,
  input  wire cst_state_pkg::meta_t   even_meta_i,
  input  wire logic [255:0]           odd_tags_i,
  input  wire cst_state_pkg::meta_t   odd_meta_i,
  // the check sends back {id, candidates left}
  input  wire logic                   again_valid_i,
  input  wire logic [IdBits+31:0]     again_i,
  output      logic                   read_valid_o,
  input  wire logic                   read_ready_i,
  output      cst_state_pkg::place_t  read_place_o,
  output      logic [TagBits-1:0]     read_tag_o,    // id, odd, slot, candidates left
  output      logic                   none_valid_o,
  input  wire logic                   none_ready_i,
  output      logic [IdBits-1:0]      none_id_o,
  output      logic                   wait_o
);
  // ---- a ----------------------------------------------------------------------------------------
  logic queue_valid, a_valid_q, a_go, a_moves;
  logic [IdBits-1:0] queue_id, a_id_q;
  cst_state_pkg::ident_t a_ident, c_ident;

  cst_fifo #(.Width(IdBits), .Depth(cst_state_pkg::Ids)) u_new (
    .clk_i, .rst_ni,
    .in_valid_i(new_valid_i), .in_ready_o(new_ready_o), .in_data_i(new_id_i),
    .out_valid_o(queue_valid), .out_ready_i(a_moves), .out_data_o(queue_id), .fill_o()
  );
  cst_state_ram #(.Width(cst_state_pkg::IdentBits), .AddressBits(IdBits)) u_ident_a (
    .clk_i, .write_i(ident_write_i), .write_address_i(ident_id_i), .write_data_i(ident_i),
    .read_i(a_moves), .read_address_i(queue_id), .data_o(a_ident)
  );

  // ---- b ----------------------------------------------------------------------------------------
  logic b_valid_q, b_go, b_first_odd_q;
  logic [IdBits-1:0] b_id_q;
  logic [15:0] b_tag_q, even_match, odd_match, matches_first, matches_second;
  logic overflowed;

  assign line_id_o = {a_ident.odd_id, a_ident.even_id};
  assign a_go = a_valid_q && (&line_present_i) && (!b_valid_q || b_go);
  assign a_moves = !a_valid_q || a_go;
  assign line_read_o = a_go;
  assign wait_o = a_valid_q && !(&line_present_i);

  logic missed;
  assign missed = b_tag_q[0] && cst_mistake_pkg::planted(cst_mistake_pkg::Tag);
  for (genvar s = 0; s < 16; s++) begin : g_slot
    assign even_match[s] = even_meta_i.occupied[s] && even_tags_i[s*16 +: 16] == b_tag_q &&
                           !missed;
    assign odd_match[s] = odd_meta_i.occupied[s] && odd_tags_i[s*16 +: 16] == b_tag_q && !missed;
  end
  assign overflowed = b_first_odd_q ? odd_meta_i.overflow[b_tag_q[6:0]]
                                    : even_meta_i.overflow[b_tag_q[6:0]];
  assign matches_first = b_first_odd_q ? odd_match : even_match;
  assign matches_second = (b_first_odd_q ? even_match : odd_match) & {16{overflowed}};

  // ---- c: what comes back goes first ------------------------------------------------------------
  logic again_valid, c_valid_q, c_moves, d_moves;
  logic [IdBits+31:0] again, c_in;
  logic [IdBits-1:0] c_id_q;
  logic [31:0] c_left_q;
  logic [4:0] c_candidate;
  logic c_odd;

  // A key is in here at most once: there is always room.
  cst_fifo #(.Width(IdBits + 32), .Depth(cst_state_pkg::Ids)) u_again (
    .clk_i, .rst_ni,
    .in_valid_i(again_valid_i), .in_ready_o(), .in_data_i(again_i),
    .out_valid_o(again_valid), .out_ready_i(c_moves), .out_data_o(again), .fill_o()
  );
  assign b_go = b_valid_q && c_moves && !again_valid;
  assign c_moves = !c_valid_q || d_moves;
  assign c_in = again_valid ? again : {b_id_q, matches_second, matches_first};
  cst_state_ram #(.Width(cst_state_pkg::IdentBits), .AddressBits(IdBits)) u_ident_c (
    .clk_i, .write_i(ident_write_i), .write_address_i(ident_id_i), .write_data_i(ident_i),
    .read_i(c_moves), .read_address_i(c_in[32 +: IdBits]), .data_o(c_ident)
  );

  always_comb begin
    c_candidate = '0;
    for (int unsigned i = 0; i < 32; i++)
      if (c_left_q[31-i]) c_candidate = 5'(31 - i);
  end
  assign c_odd = c_ident.first_odd ^ c_candidate[4];

  // ---- d ----------------------------------------------------------------------------------------
  logic d_valid_q, d_any_q, d_odd_q, d_go;
  logic [IdBits-1:0] d_id_q;
  logic [31:0] d_left_q;
  logic [3:0] d_slot_q;
  logic [cst_state_pkg::BucketNoBits-1:0] d_no_q;

  assign d_moves = !d_valid_q || d_go;
  assign read_valid_o = d_valid_q && d_any_q;
  assign read_place_o = cst_state_pkg::slot_place(d_no_q, d_slot_q, config_i.entry_units,
                                                  config_i.slots_base);
  assign read_tag_o = {d_id_q, d_odd_q, d_slot_q, d_left_q};
  assign none_valid_o = d_valid_q && !d_any_q;
  assign none_id_o = d_id_q;
  assign d_go = (read_valid_o && read_ready_i) || (none_valid_o && none_ready_i);

  always_ff @(posedge clk_i) begin
    if (a_moves) a_id_q <= queue_id;
    if (a_go) begin
      b_id_q <= a_id_q;
      b_tag_q <= cst_pkg::hash_tag(a_ident.hash);
      b_first_odd_q <= a_ident.first_odd;
    end
    if (c_moves) {c_id_q, c_left_q} <= c_in;
    if (d_moves) begin
      d_id_q <= c_id_q;
      d_any_q <= c_left_q != '0;
      d_left_q <= c_left_q & (c_left_q - 1'b1);
      d_odd_q <= c_odd;
      d_slot_q <= c_candidate[3:0];
      d_no_q <= c_odd ? c_ident.odd_no : c_ident.even_no;
    end
    if (!rst_ni) begin
      a_valid_q <= 1'b0;
      b_valid_q <= 1'b0;
      c_valid_q <= 1'b0;
      d_valid_q <= 1'b0;
    end else begin
      if (a_moves) a_valid_q <= queue_valid;
      if (a_go || b_go) b_valid_q <= a_go;
      if (c_moves) c_valid_q <= again_valid || b_valid_q;
      if (d_moves) d_valid_q <= c_valid_q;
    end
  end

  // Each stage reads its part of the identity and of the configuration.
  logic unused_bits;
  assign unused_bits = ^{config_i, a_ident, c_ident};
endmodule
`default_nettype wire
