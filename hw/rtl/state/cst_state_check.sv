// cst_state_check: compares the entry that was read with the key; says what state the key is in.
// Promises   each new key becomes known once: present with its slot's bytes, or absent, when no
//            candidate is left. A false candidate goes back to the match with those that are left.
//
// stage    known                  decided
// a        an entry, or none      which key it is for
// b        the key                state, or back
`default_nettype none
module cst_state_check #(
  localparam int unsigned IdBits = cst_state_pkg::IdBits,
  localparam int unsigned TagBits = cst_state_pkg::ReadTagBits
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic                   ident_write_i,
  input  wire logic [IdBits-1:0]      ident_id_i,
  input  wire cst_state_pkg::ident_t  ident_i,
  input  wire logic                   entry_valid_i,
  output      logic                   entry_ready_o,
  input  wire logic [TagBits-1:0]     entry_tag_i,
  input  wire logic [767:0]           entry_data_i,
  input  wire logic                   none_valid_i,
  output      logic                   none_ready_o,
  input  wire logic [IdBits-1:0]      none_id_i,
  output      logic                   again_valid_o,
  output      logic [IdBits+31:0]     again_o,
  output      logic                   known_valid_o,
  output      logic [IdBits-1:0]      known_id_o,
  output      cst_state_pkg::state_t  known_o
);
  logic b_valid_q, b_none_q, same;
  logic [IdBits-1:0] b_id_q, a_id;
  logic b_odd_q;
  logic [3:0] b_slot_q;
  logic [31:0] b_left_q;
  logic [767:0] b_entry_q;
  logic [511:0] value;
  logic [127:0] key;
  cst_pkg::entry_head_t head;
  cst_state_pkg::ident_t ident;

  assign entry_ready_o = 1'b1;
  assign none_ready_o = !entry_valid_i;
  assign a_id = entry_valid_i ? entry_tag_i[TagBits-1 -: IdBits] : none_id_i;

  cst_state_ram #(.Width(cst_state_pkg::IdentBits), .AddressBits(IdBits)) u_ident (
    .clk_i, .write_i(ident_write_i), .write_address_i(ident_id_i), .write_data_i(ident_i),
    .read_i(1'b1), .read_address_i(a_id), .data_o(ident)
  );

  cst_state_entry u_entry (
    .config_i, .entry_i(b_entry_q), .head_o(head), .key_o(key), .value_o(value), .expired_o()
  );
  assign same = !b_none_q && head.hash == ident.hash && head.key_bytes == ident.key_bytes &&
                key == ident.key;
  assign again_valid_o = b_valid_q && !b_none_q && !same && b_left_q != '0;
  assign again_o = {b_id_q, b_left_q};
  assign known_valid_o = b_valid_q && !again_valid_o;
  assign known_id_o = b_id_q;
  assign known_o.present = same;
  assign known_o.odd = b_odd_q;
  assign known_o.slot = b_slot_q;
  assign known_o.unit = head.change[cst_state_pkg::UnitBits-1:0];
  assign known_o.value = value;

  always_ff @(posedge clk_i) begin
    b_id_q <= a_id;
    b_none_q <= !entry_valid_i;
    {b_odd_q, b_slot_q, b_left_q} <= entry_tag_i[36:0];
    b_entry_q <= entry_data_i;
    if (!rst_ni) b_valid_q <= 1'b0;
    else b_valid_q <= entry_valid_i || none_valid_i;
  end

  // Log offsets of 2^53 bytes are not reached; the check needs the key of the identity alone.
  logic unused_bits;
  assign unused_bits = ^{head.change, ident};
endmodule
`default_nettype wire
