// cst_state_save_gap: gaps of the log on their way to memory. They go where control lines go, which
// are few while the log is written, and not in the way of states: of records of 96 bytes each tenth
// has a gap behind it.
// Promises   in order; nobody is told when a gap is in memory, but for its epoch's count.
`default_nettype none
module cst_state_save_gap #(
  localparam int unsigned UnitBits = cst_state_pkg::UnitBits,
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic                   gap_valid_i,
  output      logic                   gap_room_o,      // for two
  input  wire logic [UnitBits-1:0]    gap_unit_i,
  input  wire logic [1:0]             gap_units_i,
  input  wire logic                   gap_parity_i,
  // places of log segments
  input  wire logic                   map_write_i,
  input  wire logic [PlaceBits-1:0]   map_segment_i,
  input  wire logic [PlaceBits-1:0]   map_place_i,
  output      logic                   out_valid_o,
  input  wire logic                   out_ready_i,
  output      logic [3:0]             out_channel_o,
  output      cst_state_pkg::write_t  out_o,
  output      logic                   busy_o
);
  logic next_valid, next_parity, valid_q, parity_q, moves;
  logic [2:0] fill;
  logic [UnitBits-1:0] next_unit;
  logic [1:0] next_units, units_q;
  cst_state_pkg::place_t place;
  cst_pkg::record_head_t head;

  assign gap_room_o = fill <= 3'd2;
  cst_fifo #(.Width(UnitBits + 3), .Depth(4)) u_gaps (
    .clk_i, .rst_ni,
    .in_valid_i(gap_valid_i), .in_ready_o(), .in_data_i({gap_parity_i, gap_units_i, gap_unit_i}),
    .out_valid_o(next_valid), .out_ready_i(moves),
    .out_data_o({next_parity, next_units, next_unit}), .fill_o(fill)
  );
  cst_state_save_place u_place (
    .clk_i, .config_i, .map_write_i, .map_segment_i, .map_place_i,
    .read_i(moves), .unit_i(next_unit), .place_o(place)
  );
  assign moves = !valid_q || out_ready_i;
  assign out_valid_o = valid_q;
  assign out_channel_o = place.channel;
  assign busy_o = valid_q || next_valid;

  always_comb begin
    head = '0;
    head.units = 16'(units_q);
    head.gap = 1'b1;
    out_o = '0;
    out_o.address = place.address;
    out_o.atoms = units_q;
    out_o.data = 768'(head);
    out_o.parity = parity_q;
  end

  always_ff @(posedge clk_i) begin
    if (moves) begin
      parity_q <= next_parity;
      units_q <= next_units;
    end
    if (!rst_ni) valid_q <= 1'b0;
    else if (moves) valid_q <= next_valid;
  end
endmodule
`default_nettype wire
