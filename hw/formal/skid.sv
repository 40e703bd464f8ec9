// skid: cst_skid keeps the order of its items, loses none, makes none up; an offer stands still.
// How        an item, marked when it enters, is followed: `ahead_q` items leave before it.
//: prove induction 2 Width=8
//: prove induction 2 Width=1
//: cover 8
//: mistake newer_first in cst_skid: if (front_moves && !spare_empty_q) front_q <= spare_q; ==> if (front_moves && !spare_empty_q) front_q <= in_data_i;
//: mistake spare_lost in cst_skid: front_full_q <= !spare_empty_q || in_valid_i; ==> front_full_q <= in_valid_i;
//: mistake moves_unasked in cst_skid: assign front_moves = out_ready_i || !front_full_q; ==> assign front_moves = out_ready_i || spare_empty_q;
`default_nettype none
module skid #(
  parameter int unsigned Width = 8
) (
  input wire logic             clk_i,
  input wire logic             rst_ni,
  input wire logic             in_valid_i,
  input wire logic [Width-1:0] in_data_i,
  input wire logic             out_ready_i,
  input wire logic             mark_i
);
  logic in_ready, out_valid, take, give;
  logic [Width-1:0] out_data;

  cst_skid #(.Width(Width)) u_skid (
    .clk_i, .rst_ni, .in_valid_i, .in_ready_o(in_ready), .in_data_i,
    .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data)
  );
  assign take = in_valid_i && in_ready;
  assign give = out_valid && out_ready_i;

  // ---- The items inside, counted from outside; the marked one among them -----------------------
  logic [1:0] count_q;
  logic ahead_q, marked_q, held_q, offered_q, emptied_q;
  logic [Width-1:0] data_q, seen_q, offer_q;

  always_ff @(posedge clk_i) begin
    held_q <= rst_ni && out_valid && !out_ready_i;
    seen_q <= out_data;
    offered_q <= rst_ni && in_valid_i && !in_ready;
    offer_q <= in_data_i;
    emptied_q <= !rst_ni && count_q == 2'd2;
    if (!rst_ni) begin
      count_q <= '0;
      marked_q <= 1'b0;
    end else begin
      count_q <= count_q + 2'(take) - 2'(give);
      if (!marked_q && take && mark_i) begin
        marked_q <= 1'b1;
        ahead_q <= count_q != 2'(give);
        data_q <= in_data_i;
      end else if (marked_q && give) begin
        ahead_q <= 1'b0;
        if (!ahead_q) marked_q <= 1'b0;
      end
    end
  end

  initial assume (!rst_ni);
  always_comb if (rst_ni && offered_q) assume (in_valid_i && in_data_i == offer_q);

  (* hierconn *) wire [Width-1:0] \u_skid.spare_q ;
  always_comb if (rst_ni) begin
    counted: assert (count_q == 2'(out_valid) + 2'(!in_ready));
    valid_if_any: assert (out_valid == (count_q != '0));
    stands_still: assert (!held_q || (out_valid && out_data == seen_q));
    if (marked_q) begin
      marked_inside: assert (2'(ahead_q) < count_q);
      marked_kept: assert (!ahead_q || \u_skid.spare_q == data_q);
      in_order: assert (ahead_q || out_data == data_q);
    end
    both_full: cover (count_q == 2'd2 && give);
    an_item_a_clock: cover (take && give);
    marked_leaves: cover (marked_q && give && !ahead_q && count_q == 2'd2);
    reset_while_full: cover (emptied_q);
  end
endmodule
`default_nettype wire
