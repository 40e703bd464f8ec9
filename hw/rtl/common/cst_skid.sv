// cst_skid: two registers that cut every path between the sides of a stream.
// Promises   order kept, nothing lost or repeated; one item a clock; latency 1; outputs, in_ready_o
//            too, are registers.
// Needs      in_valid_i holds, with stable data, until in_ready_o (checked).
// Cost       2 * Width + 2 flip-flops, about Width LUTs.
//
//            +-------+      +-------+
//   in ----> | spare | ---> | front | ----> out      spare fills only while front is held up
//     \      +-------+      +-------+
//      \______________________/
`default_nettype none
module cst_skid #(
  parameter int unsigned Width = 32
) (
  input  wire logic             clk_i,
  input  wire logic             rst_ni,
  input  wire logic             in_valid_i,
  output      logic             in_ready_o,
  input  wire logic [Width-1:0] in_data_i,
  output      logic             out_valid_o,
  input  wire logic             out_ready_i,
  output      logic [Width-1:0] out_data_o
);
  if (Width < 1) begin : g_width
    $error("cst_skid: Width %0d, must be at least 1", Width);
  end

  logic front_full_q, spare_empty_q;
  logic [Width-1:0] front_q, spare_q;
  logic front_moves;

  assign in_ready_o = spare_empty_q;
  assign out_valid_o = front_full_q;
  assign out_data_o = front_q;
  assign front_moves = out_ready_i || !front_full_q;

  // As in cst_fifo, nothing is written that stays as it is.
  always_ff @(posedge clk_i) begin
    if (front_moves && !spare_empty_q) front_q <= spare_q;  // what waits in spare is older
    else if (front_moves && in_valid_i) front_q <= in_data_i;
    if (!front_moves && spare_empty_q && in_valid_i) spare_q <= in_data_i;
    if (!rst_ni) begin
      front_full_q <= 1'b0;
      spare_empty_q <= 1'b1;
    end else if (front_moves) begin
      front_full_q <= !spare_empty_q || in_valid_i;
      spare_empty_q <= 1'b1;
    end else if (in_valid_i) begin
      spare_empty_q <= 1'b0;
    end
  end

`ifdef CST_ASSERT
  logic offer_q;
  logic [Width-1:0] offer_data_q;
  always_ff @(posedge clk_i) begin
    offer_q <= rst_ni && in_valid_i && !in_ready_o;
    if (in_valid_i && !in_ready_o) offer_data_q <= in_data_i;
    if (rst_ni) begin
      spare_implies_front: assert (spare_empty_q || front_full_q);
      if (offer_q) begin
        offer_holds: assert (in_valid_i && in_data_i == offer_data_q);
      end
    end
  end
`endif
endmodule
`default_nettype wire
