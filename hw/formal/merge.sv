// merge: cst_merge keeps the order of each port's items, loses none, says whose each is, is fair.
// Shows      also that it makes none up, that an offer stands still, and that no port waits for
//            more than Ports - 1 items of others.
// How        an item of one port, any, marked when it is taken, is followed through the output.
//: prove induction 3 Ports=3 Stride=3
//: prove induction 3 Ports=4 Stride=2
//: prove induction 3 Ports=1 Stride=2
//: cover 8
//: mistake wrong_port in cst_merge: port = port | PortBits'(p); ==> port = port | PortBits'(p + 1);
//: mistake wrong_data in cst_merge: in_data_i[p*Stride +: Width] ==> in_data_i[p*Width +: Width]
//: mistake taken_twice in cst_merge: assign in_ready_o = ready ? grant : '0; ==> assign in_ready_o = '0;
//: mistake not_offered in cst_merge: .in_valid_i (offered), ==> .in_valid_i (offered && !(out_ready_i && in_valid_i[0])),
//: mistake turn_lost in cst_merge: .taken_i  (offered && ready) ==> .taken_i  (1'b0)
`default_nettype none
module merge #(
  parameter int unsigned Ports = 3,
  parameter int unsigned Stride = 3,
  localparam int unsigned Width = 2,
  localparam int unsigned PortBits = (Ports > 1) ? $clog2(Ports) : 1
) (
  input wire logic                    clk_i,
  input wire logic                    rst_ni,
  input wire logic [Ports-1:0]        in_valid_i,
  input wire logic [Ports*Stride-1:0] in_data_i,
  input wire logic                    out_ready_i,
  input wire logic                    mark_i
);
  logic [Ports-1:0] in_ready;
  logic out_valid, give;
  logic [Width-1:0] out_data;
  logic [PortBits-1:0] out_port;

  cst_merge #(.Ports(Ports), .Width(Width), .Stride(Stride)) u_merge (
    .clk_i, .rst_ni, .in_valid_i, .in_ready_o(in_ready), .in_data_i,
    .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data), .out_port_o(out_port)
  );
  assign give = out_valid && out_ready_i;

  // ---- What is inside, counted from outside; a marked item of one port among it ----------------
  (* anyconst *) logic [PortBits-1:0] port;
  logic [1:0] count_q, taken;
  logic marked_q, ahead_q, held_q, take;
  logic starts_q;  // the clock behind a reset takes nothing
  logic [Width-1:0] data_q, seen_q;
  logic [PortBits-1:0] seen_port_q;
  logic [7:0] passed_q;

  assign take = in_valid_i[port] && in_ready[port];
  always_comb begin
    taken = '0;
    for (int unsigned p = 0; p < Ports; p++) taken = taken + 2'(in_valid_i[p] && in_ready[p]);
  end
  always_ff @(posedge clk_i) begin
    starts_q <= !rst_ni;
    held_q <= rst_ni && out_valid && !out_ready_i;
    seen_q <= out_data;
    seen_port_q <= out_port;
    if (!rst_ni || !in_valid_i[port] || take) passed_q <= '0;
    else passed_q <= passed_q + 8'(taken);
    if (!rst_ni) begin
      count_q <= '0;
      marked_q <= 1'b0;
    end else begin
      count_q <= count_q + taken - 2'(give);
      if (!marked_q && take && mark_i) begin
        marked_q <= 1'b1;
        ahead_q <= count_q != 2'(give);
        data_q <= in_data_i[32'(port)*Stride +: Width];
      end else if (marked_q && give) begin
        ahead_q <= 1'b0;
        if (!ahead_q) marked_q <= 1'b0;
      end
    end
  end

  initial assume (!rst_ni);
  always_comb assume (32'(port) < Ports);

  // ---- The marked item's place in the output's queue; how far the turn is from the port --------
  (* hierconn *) wire [0:0] \u_merge.u_out.read_q ;
  (* hierconn *) wire [0:0] \u_merge.u_out.looked ;
  (* hierconn *) wire [PortBits+Width-1:0] \u_merge.u_out.looked_data ;
  (* hierconn *) wire [1:0] \u_merge.u_out.fill_q ;
  (* hierconn *) wire [Ports-1:0] \u_merge.u_arbiter.behind_q ;
  logic [PortBits:0] first, turns;  // as in arbiter_round
  assign \u_merge.u_out.looked = \u_merge.u_out.read_q ^ ahead_q;
  always_comb begin
    first = '0;
    for (int unsigned p = 0; p < Ports; p++)
      if (!\u_merge.u_arbiter.behind_q [p]) first = (PortBits+1)'(p + 1);
    if (32'(first) == Ports) first = '0;
    turns = (PortBits+1)'(port) - first + (32'(port) < 32'(first) ? (PortBits+1)'(Ports) : '0);
  end

  always_comb if (rst_ni) begin
    one_a_clock: assert (taken <= 2'd1 && (in_ready & (in_ready - Ports'(1))) == '0);
    counted: assert (count_q <= 2'd2 && out_valid == (count_q != '0));
    fill_is_count: assert (\u_merge.u_out.fill_q == count_q);
    never_idle: assert (in_valid_i == '0 || count_q == 2'd2 || taken == 2'd1 || starts_q);
    stands_still: assert (!held_q || (out_valid && out_data == seen_q && out_port == seen_port_q));
    a_run: assert ((\u_merge.u_arbiter.behind_q | (\u_merge.u_arbiter.behind_q - Ports'(1))) == '1);
    passed_are_few: assert (32'(passed_q) + 32'(turns) < Ports);
    fair: assert (32'(passed_q) < Ports);
    if (marked_q) begin
      marked_inside: assert (2'(ahead_q) < count_q);
      marked_placed: assert (\u_merge.u_out.looked_data == {port, data_q});
      in_order: assert (ahead_q || (out_data == data_q && out_port == port));
    end
    full: cover (count_q == 2'd2 && (&in_valid_i));
    all_others_first: cover (32'(passed_q) == Ports - 1 && take);
    marked_leaves: cover (marked_q && give && !ahead_q && count_q == 2'd2);
  end
endmodule
`default_nettype wire
