// arbiter_fixed: cst_arbiter_fixed grants one of those who ask, the lowest.
// How        combinational: one clock is all there is.
//: prove induction 1 Ports=16
//: prove induction 1 Ports=1
//: prove induction 1 Ports=17
//: cover 1
//: mistake highest in cst_arbiter_fixed: behind_o = request_i << 1; ==> behind_o = request_i >> 1;
//: mistake two in cst_arbiter_fixed: reach < Ports; ==> 2 * reach < Ports;
//: mistake behind_too_few in cst_arbiter_fixed: behind_o = behind_o | (behind_o << reach); ==> behind_o = behind_o << reach;
`default_nettype none
module arbiter_fixed #(
  parameter int unsigned Ports = 16
) (
  input wire logic             clk_i,
  input wire logic [Ports-1:0] request_i
);
  logic [Ports-1:0] grant, behind;

  cst_arbiter_fixed #(.Ports(Ports)) u_arbiter (.request_i, .grant_o(grant), .behind_o(behind));

  always_comb begin
    only_who_asks: assert ((grant & ~request_i) == '0);
    somebody_if_asked: assert ((grant != '0) == (request_i != '0));
    lowest: assert ((request_i & (grant - Ports'(1))) == '0 || grant == '0);
    one: assert ((grant & (grant - Ports'(1))) == '0);
    all_above_it: assert (behind == ~(grant | (grant - Ports'(1))));
    all_ask: cover (&request_i);
    last_alone: cover (grant[Ports-1]);
  end

  logic unused_clock;
  assign unused_clock = clk_i;
endmodule
`default_nettype wire
