// fifo: cst_fifo keeps the order of its items, loses none, makes none up, is not over- or underrun.
// How        an item, marked when it enters, is followed: `ahead_q` items leave before it.
// Induction  cst_fifo's own invariants (`ifdef FORMAL) tie its counters to each other.
//: prove induction 3 Depth=4
//: prove induction 3 Depth=2
//: prove induction 3 Depth=3
//: prove induction 3 Depth=5
//: prove induction 3 Depth=16 Width=8
//: cover 12
//: mistake full_late in cst_fifo: fill_q != FillBits'(Depth - 1) ==> fill_q != FillBits'(Depth)
//: mistake empty_late in cst_fifo: fill_q != FillBits'(1) ==> fill_q != FillBits'(0)
//: mistake wrong_place in cst_fifo: read_q <= (read_q == PlaceBits'(Depth - 1)) ==> read_q <= (read_q == PlaceBits'(Depth - 2))
//: mistake lost_item in cst_fifo: if (take) memory_q[write_q] <= ==> if (take && !give) memory_q[write_q] <=
`default_nettype none
module fifo #(
  parameter int unsigned Depth = 4,
  parameter int unsigned Width = 4,
  localparam int unsigned FillBits = $clog2(Depth + 1),
  localparam int unsigned PlaceBits = $clog2(Depth)
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
  logic [FillBits-1:0] fill;

  cst_fifo #(.Width(Width), .Depth(Depth)) u_fifo (
    .clk_i, .rst_ni, .in_valid_i, .in_ready_o(in_ready), .in_data_i,
    .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data), .fill_o(fill)
  );
  assign take = in_valid_i && in_ready;
  assign give = out_valid && out_ready_i;
  initial assume (!rst_ni);

  // ---- The items inside, counted from outside; the marked one among them -----------------------
  logic [FillBits-1:0] count_q, ahead_q;
  logic marked_q, held_q, emptied_q;
  logic [Width-1:0] data_q, seen_q;

  always_ff @(posedge clk_i) begin
    held_q <= rst_ni && out_valid && !out_ready_i;
    emptied_q <= !rst_ni && fill == FillBits'(Depth);
    seen_q <= out_data;
    if (!rst_ni) begin
      count_q <= '0;
      marked_q <= 1'b0;
    end else begin
      count_q <= count_q + FillBits'(take) - FillBits'(give);
      if (!marked_q && take && mark_i) begin
        marked_q <= 1'b1;
        ahead_q <= count_q - FillBits'(give);
        data_q <= in_data_i;
      end else if (marked_q && give) begin
        ahead_q <= ahead_q - 1'b1;
        if (ahead_q == '0) marked_q <= 1'b0;
      end
    end
  end

  // ---- The marked item's place in the memory ---------------------------------------------------
  (* hierconn *) wire [PlaceBits-1:0] \u_fifo.read_q ;
  (* hierconn *) wire [PlaceBits-1:0] \u_fifo.looked ;
  (* hierconn *) wire [Width-1:0] \u_fifo.looked_data ;
  assign \u_fifo.looked = PlaceBits'(32'(\u_fifo.read_q ) + 32'(ahead_q) -
      (32'(\u_fifo.read_q ) + 32'(ahead_q) >= Depth ? Depth : 0));

  always_comb if (rst_ni) begin
    counted: assert (fill == count_q);
    ready_unless_full: assert (!in_ready || count_q != FillBits'(Depth));
    valid_if_any: assert (out_valid == (count_q != '0));
    stands_still: assert (!held_q || (out_valid && out_data == seen_q));
    if (marked_q) begin
      marked_inside: assert (ahead_q < count_q);
      marked_placed: assert (\u_fifo.looked_data == data_q);
      in_order: assert (ahead_q != '0 || out_data == data_q);
    end
    full: cover (count_q == FillBits'(Depth));
    both_while_full_less_one: cover (take && give && count_q == FillBits'(Depth - 1));
    marked_leaves: cover (marked_q && give && ahead_q == '0 && count_q == FillBits'(Depth));
    reset_while_full: cover (emptied_q);
  end
endmodule
`default_nettype wire
