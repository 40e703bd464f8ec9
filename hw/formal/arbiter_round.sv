// arbiter_round: cst_arbiter_round grants one of those who ask, and passes nobody by.
// Shows      who goes on asking is granted after at most Ports - 1 others were taken.
// How        `passed_q` counts the others taken while one port, any, asks without a break.
//: prove induction 2 Ports=4
//: prove induction 2 Ports=5
//: prove induction 2 Ports=1
//: prove induction 2 Ports=16
//: cover 8
//: mistake unfair in cst_arbiter_round: late != '0 ? behind_late : behind_any; ==> grant_o | (late != '0 ? behind_late : behind_any);
//: mistake never_turns in cst_arbiter_round: else behind_q <= behind_d; ==> else behind_q <= behind_q;
//: mistake two in cst_arbiter_round: & ~(behind_q | below_late) ==> & ~behind_q
`default_nettype none
module arbiter_round #(
  parameter int unsigned Ports = 4,
  localparam int unsigned PortBits = (Ports > 1) ? $clog2(Ports) : 1
) (
  input wire logic             clk_i,
  input wire logic             rst_ni,
  input wire logic [Ports-1:0] request_i,
  input wire logic             taken_i
);
  logic [Ports-1:0] grant;

  cst_arbiter_round #(.Ports(Ports)) u_arbiter (
    .clk_i, .rst_ni, .request_i, .grant_o(grant), .taken_i
  );
  initial assume (!rst_ni);
  always_comb assume (!taken_i || request_i != '0);

  // ---- One port, any, that may ask without a break ---------------------------------------------
  (* anyconst *) logic [PortBits-1:0] port;
  (* hierconn *) wire [Ports-1:0] \u_arbiter.behind_q ;
  logic [7:0] passed_q;
  logic asks, any_taken_q;
  logic [PortBits:0] turns;  // of others, at most, until it is this port's

  always_comb assume (32'(port) < Ports);
  assign asks = request_i[port];
  always_ff @(posedge clk_i) begin
    any_taken_q <= rst_ni && taken_i && grant[port];
    if (!rst_ni || !asks || (taken_i && grant[port])) passed_q <= '0;
    else passed_q <= passed_q + 8'(taken_i);
  end

  // behind_q is a run of ones down from the top, its first bit is who comes first. From there to
  // this port, around, is how many may come before it.
  logic [PortBits:0] first;
  always_comb begin
    first = '0;
    for (int unsigned p = 0; p < Ports; p++)
      if (!\u_arbiter.behind_q [p]) first = (PortBits+1)'(p + 1);
    if (32'(first) == Ports) first = '0;
    turns = (PortBits+1)'(port) - first + (32'(port) < 32'(first) ? (PortBits+1)'(Ports) : '0);
  end

  always_comb if (rst_ni) begin
    one: assert ((grant & (grant - Ports'(1))) == '0);
    only_who_asks: assert ((grant & ~request_i) == '0);
    somebody_if_asked: assert ((grant != '0) == (request_i != '0));
    a_run: assert ((\u_arbiter.behind_q | (\u_arbiter.behind_q - Ports'(1))) == '1);
    passed_are_few: assert (32'(passed_q) + 32'(turns) < Ports);
    fair: assert (32'(passed_q) < Ports);
    alone: cover (request_i == (Ports'(1) << port) && any_taken_q);
    all_others_first: cover (32'(passed_q) == Ports - 1 && grant[port] && taken_i);
  end
endmodule
`default_nettype wire
