// cst_state_save_place: where a unit of the log stands in memory: its segment has a place in a map.
// Promises   place_o in the clock behind read_i, of unit_i as it was then, until the next read_i.
// Needs      config_i stands still: what is made of it alone is a register.
`default_nettype none
module cst_state_save_place #(
  localparam int unsigned UnitBits = cst_state_pkg::UnitBits,
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits
) (
  input  wire logic                   clk_i,
  input  wire cst_state_pkg::config_t config_i,
  // places of log segments
  input  wire logic                   map_write_i,
  input  wire logic [PlaceBits-1:0]   map_segment_i,
  input  wire logic [PlaceBits-1:0]   map_place_i,
  input  wire logic                   read_i,
  input  wire logic [UnitBits-1:0]    unit_i,
  output      cst_state_pkg::place_t  place_o
);
  logic [2:0] shift_q;   // units of a log segment, as a power of two above the least
  logic [15:0] below_q;  // and less one
  logic [15:0] low_q, below;
  logic [PlaceBits-1:0] segment, place;

  assign segment = PlaceBits'(unit_i[UnitBits-1:11] >> shift_q) & config_i.log_mask;
  cst_state_ram #(.Width(PlaceBits), .AddressBits(PlaceBits)) u_map (
    .clk_i, .write_i(map_write_i), .write_address_i(map_segment_i), .write_data_i(map_place_i),
    .read_i, .read_address_i(segment), .data_o(place)
  );
  assign below = low_q & below_q;
  assign place_o = cst_state_pkg::log_place(
      ({9'b0, place, 11'b0} << shift_q) | 32'(below), config_i.log_base);

  always_ff @(posedge clk_i) begin
    shift_q <= 3'(config_i.log_shift - 5'd11);
    below_q <= 16'((17'd1 << config_i.log_shift) - 17'd1);
    if (read_i) low_q <= unit_i[15:0];
  end

  logic unused_bits;
  assign unused_bits = ^config_i;
endmodule
`default_nettype wire
