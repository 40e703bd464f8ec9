// power_up_bench: a module that must not be: its valid hangs on a register that no reset reaches.
`default_nettype none
module power_up_bench (
  input  wire logic clk_i,
  input  wire logic rst_ni,
  output logic      out_valid_o,
  input  wire logic out_ready_i
);
  logic [7:0] left_q;  // clocks to the next item; what it begins with is what was there

  assign out_valid_o = rst_ni && left_q == '0;

  always_ff @(posedge clk_i) begin
    if (left_q != '0) left_q <= left_q - 1'b1;
    else if (out_ready_i) left_q <= 8'd7;
  end
endmodule
`default_nettype wire
