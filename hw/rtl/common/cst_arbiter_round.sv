// cst_arbiter_round: of those who ask, the next one behind the last that was taken.
// Promises   grant_o is one-hot, or 0 if nobody asks; combinational from request_i and a register.
//            A port that goes on asking is granted after at most Ports - 1 others were taken.
// Needs      taken_i only with a grant (checked): the granted port's turn is over.
`default_nettype none
module cst_arbiter_round #(
  parameter int unsigned Ports = 4
) (
  input  wire logic             clk_i,
  input  wire logic             rst_ni,
  input  wire logic [Ports-1:0] request_i,
  output      logic [Ports-1:0] grant_o,
  input  wire logic             taken_i
);
  // Ports behind the last one taken, the highest ones, come first: the late ones.
  logic [Ports-1:0] behind_d, behind_q, late, grant_late, grant_any;
  logic [Ports-1:0] behind_late, behind_any, below_late;

  assign late = request_i & behind_q;
  cst_arbiter_fixed #(.Ports(Ports)) u_late (
    .request_i(late),
    .grant_o  (grant_late),
    .behind_o (behind_late)
  );
  cst_arbiter_fixed #(.Ports(Ports)) u_any (
    .request_i(request_i),
    .grant_o  (grant_any),
    .behind_o (behind_any)
  );
  always_comb begin
    below_late = late >> 1;
    for (int unsigned reach = 1; reach < Ports; reach = 2 * reach)
      below_late = below_late | (below_late >> reach);
  end

  // Each port by itself, and not a choice of two grants: a level of LUTs less. All late ones are
  // above all others.
  assign grant_o = grant_late | (grant_any & ~(behind_q | below_late));
  assign behind_d = !taken_i ? behind_q : late != '0 ? behind_late : behind_any;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) behind_q <= '0;
    else behind_q <= behind_d;
  end

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    one_at_most: assert ((grant_o & (grant_o - Ports'(1))) == '0);
    only_who_asks: assert ((grant_o & ~request_i) == '0);
    somebody_if_asked: assert ((grant_o == '0) == (request_i == '0));
    taken_is_granted: assert (!taken_i || grant_o != '0);
  end
`endif
endmodule
`default_nettype wire
