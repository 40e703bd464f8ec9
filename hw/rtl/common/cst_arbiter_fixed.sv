// cst_arbiter_fixed: of those who ask, the one with the lowest number.
// Promises   grant_o is one-hot, or 0 if nobody asks; combinational. A port may starve.
// Cost       a carry chain of Ports bits.
`default_nettype none
module cst_arbiter_fixed #(
  parameter int unsigned Ports = 4
) (
  input  wire logic [Ports-1:0] request_i,
  output      logic [Ports-1:0] grant_o
);
  if (Ports < 1 || Ports > 64) begin : g_ports
    $error("cst_arbiter_fixed: Ports %0d, must be 1 to 64", Ports);
  end

  assign grant_o = request_i & (~request_i + Ports'(1));
endmodule
`default_nettype wire
