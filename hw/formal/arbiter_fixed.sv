// arbiter_fixed: cst_arbiter_fixed grants one of those who ask, the lowest.
// How        combinational: one clock is all there is.
//: prove induction 1 Ports=16
//: prove induction 1 Ports=1
//: prove induction 1 Ports=17
//: cover 1
//: mistake highest in cst_arbiter_fixed: ~request_i + Ports'(1) ==> ~request_i + Ports'(2)
//: mistake two in cst_arbiter_fixed: & (~request_i + Ports'(1)) ==> & (~request_i + Ports'(1) | Ports'(2))
`default_nettype none
module arbiter_fixed #(
  parameter int unsigned Ports = 16
) (
  input wire logic             clk_i,
  input wire logic [Ports-1:0] request_i
);
  logic [Ports-1:0] grant;

  cst_arbiter_fixed #(.Ports(Ports)) u_arbiter (.request_i, .grant_o(grant));

  always_comb begin
    only_who_asks: assert ((grant & ~request_i) == '0);
    somebody_if_asked: assert ((grant != '0) == (request_i != '0));
    lowest: assert ((request_i & (grant - Ports'(1))) == '0 || grant == '0);
    one: assert ((grant & (grant - Ports'(1))) == '0);
    all_ask: cover (&request_i);
    last_alone: cover (grant[Ports-1]);
  end

  logic unused_clock;
  assign unused_clock = clk_i;
endmodule
`default_nettype wire
