// cst_state_save_line: changed control lines of one half on their way to memory, in order.
`default_nettype none
module cst_state_save_line #(
  localparam int unsigned IdBits = cst_state_pkg::IdBits
) (
  input  wire logic                    clk_i,
  input  wire logic                    rst_ni,
  input  wire cst_state_pkg::config_t  config_i,
  input  wire logic                    head_valid_i,
  input  wire logic [IdBits-1:0]       head_id_i,
  input  wire logic                    head_parity_i,
  output      logic                    pop_o,
  output      logic                    line_read_o,
  input  wire logic [511:0]            line_i,
  input  wire logic [cst_state_pkg::BucketNoBits-1:0] line_no_i,
  output      logic                    out_valid_o,
  input  wire logic                    out_ready_i,
  output      logic [3:0]              out_channel_o,
  output      cst_state_pkg::write_t   out_o
);
  logic valid_q, parity_q, moves;
  logic [IdBits-1:0] id_q;
  cst_state_pkg::place_t place;

  assign moves = !valid_q || out_ready_i;
  assign pop_o = moves && head_valid_i;
  assign line_read_o = pop_o;
  assign place = cst_state_pkg::line_place(line_no_i, config_i.index_base);
  assign out_valid_o = valid_q;
  assign out_channel_o = place.channel;
  assign out_o.address = place.address;
  assign out_o.atoms = 2'd2;
  assign out_o.data = {256'b0, line_i};
  assign out_o.id = id_q;
  assign out_o.counts = 1'b1;
  assign out_o.parity = parity_q;

  always_ff @(posedge clk_i) begin
    if (moves) begin
      id_q <= head_id_i;
      parity_q <= head_parity_i;
    end
    if (!rst_ni) valid_q <= 1'b0;
    else if (moves) valid_q <= head_valid_i;
  end

  logic unused_bits;
  assign unused_bits = ^config_i;
endmodule
`default_nettype wire
