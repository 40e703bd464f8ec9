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
  // Ports behind the last one taken come first.
  logic [Ports-1:0] behind_d, behind_q, grant_behind, grant_any;

  cst_arbiter_fixed #(.Ports(Ports)) u_behind (
    .request_i(request_i & behind_q),
    .grant_o  (grant_behind)
  );
  cst_arbiter_fixed #(.Ports(Ports)) u_any (
    .request_i(request_i),
    .grant_o  (grant_any)
  );

  assign grant_o = ((request_i & behind_q) != '0) ? grant_behind : grant_any;
  // All bits above the granted one.
  assign behind_d = taken_i ? ~(grant_o | (grant_o - Ports'(1))) : behind_q;

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
