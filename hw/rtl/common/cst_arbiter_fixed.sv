// cst_arbiter_fixed: of those who ask, the one with the lowest number.
// Promises   grant_o is one-hot, or 0 if nobody asks; behind_o: all ports above that one. Both are
//            combinational. A port may starve.
// Cost       for each port, whether one below it asks: two levels of LUTs up to 36 ports.
`default_nettype none
module cst_arbiter_fixed #(
  parameter int unsigned Ports = 4
) (
  input  wire logic [Ports-1:0] request_i,
  output      logic [Ports-1:0] grant_o,
  output      logic [Ports-1:0] behind_o
);
  if (Ports < 1 || Ports > 64) begin : g_ports
    $error("cst_arbiter_fixed: Ports %0d, must be 1 to 64", Ports);
  end

  // A carry would say the same, but leaving its chain and entering the next one are levels, too.
  always_comb begin
    behind_o = request_i << 1;
    for (int unsigned reach = 1; reach < Ports; reach = 2 * reach)
      behind_o = behind_o | (behind_o << reach);
  end
  assign grant_o = request_i & ~behind_o;
endmodule
`default_nettype wire
