// cst_state_write_port: one channel's writes: entries, records and gaps, control lines.
// Promises   in order; answers by kind, in order. Whole atoms of 32 bytes, no burst across 4 KiB,
//            one id: two writes of one address arrive in order. At most 64 bursts out.
`default_nettype none
module cst_state_write_port #(
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits,
  localparam int unsigned WriteBits = cst_state_pkg::WriteBits,
  localparam int unsigned AckBits = cst_state_pkg::AckBits
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  // entry, record, line
  input  wire logic [2:0]             in_valid_i,
  output      logic [2:0]             in_ready_o,
  input  wire logic [3*WriteBits-1:0] in_i,
  output      logic [2:0]             ack_valid_o,
  input  wire logic [2:0]             ack_ready_i,
  output      cst_state_pkg::ack_t    ack_o,
  // AXI
  output      logic                   aw_valid_o,
  input  wire logic                   aw_ready_i,
  output      logic [AddressBits-1:0] aw_address_o,
  output      logic [7:0]             aw_len_o,
  output      logic                   w_valid_o,
  input  wire logic                   w_ready_i,
  output      logic [511:0]           w_data_o,
  output      logic [63:0]            w_strb_o,
  input  wire logic                   b_valid_i,
  output      logic                   b_ready_o,
  output      logic                   asked_o,
  output      logic                   busy_o
);
  /* verilator no_inline_module */
  // ---- One queue; of two that come at once, a line goes first, then a record --------------------
  logic queue_ready, turn_valid, turn_ready;
  logic [2:0] chosen, turn_kind;
  cst_state_pkg::write_t in, next;

  assign chosen[2] = in_valid_i[2];
  assign chosen[1] = in_valid_i[1] && !in_valid_i[2];
  assign chosen[0] = in_valid_i[0] && in_valid_i[2:1] == '0;
  assign in = chosen[2] ? in_i[2*WriteBits +: WriteBits] :
              chosen[1] ? in_i[WriteBits +: WriteBits] : in_i[0 +: WriteBits];
  assign in_ready_o = chosen & {3{queue_ready}};
  cst_fifo #(.Width(WriteBits + 3), .Depth(8)) u_in (
    .clk_i, .rst_ni,
    .in_valid_i(|in_valid_i), .in_ready_o(queue_ready), .in_data_i({chosen, in}),
    .out_valid_o(turn_valid), .out_ready_i(turn_ready), .out_data_o({turn_kind, next}), .fill_o()
  );

  // ---- Address and data, beat by beat -----------------------------------------------------------
  cst_state_pkg::write_t now_q;
  logic full_q, aw_left_q, aw_second_q, w_left_q, split_q, two_q, beat_q;
  logic aw_moves, aw_final, w_moves, order_room;
  logic [2:0] kind_q;
  logic [2:0] next_span;
  logic [3:0] strobe;
  logic [1023:0] shifted;

  assign next_span = {2'b0, next.address[5]} + {1'b0, next.atoms};
  assign turn_ready = !full_q;

  // The burst is one, or two where its beats part at 4 KiB; the order keeps one item a burst.
  assign aw_valid_o = full_q && aw_left_q && order_room;
  assign aw_address_o = {now_q.address[AddressBits-1:6], 6'b0} +
                        ((two_q && split_q && aw_second_q) ? AddressBits'(64) : '0);
  assign aw_len_o = {7'b0, two_q && !split_q};
  assign aw_final = !(two_q && split_q) || aw_second_q;
  assign aw_moves = aw_valid_o && aw_ready_i;

  assign strobe = 4'((5'd1 << now_q.atoms) - 5'd1) << now_q.address[5];
  assign shifted = now_q.address[5] ? {now_q.data, 256'b0} : {256'b0, now_q.data};
  assign w_valid_o = full_q && w_left_q;
  assign w_data_o = beat_q ? shifted[1023:512] : shifted[511:0];
  assign w_strb_o = beat_q ? {{32{strobe[3]}}, {32{strobe[2]}}}
                           : {{32{strobe[1]}}, {32{strobe[0]}}};
  assign w_moves = w_valid_o && w_ready_i;
  assign asked_o = turn_valid && turn_ready;

  always_ff @(posedge clk_i) begin
    if (asked_o) begin
      now_q <= next;
      kind_q <= turn_kind;
      two_q <= next_span > 3'd2;
      split_q <= next.address[11:6] == '1;
      beat_q <= 1'b0;
      aw_second_q <= 1'b0;
    end else begin
      if (aw_moves) aw_second_q <= 1'b1;
      if (w_moves) beat_q <= 1'b1;
    end
    if (!rst_ni) begin
      full_q <= 1'b0;
      aw_left_q <= 1'b0;
      w_left_q <= 1'b0;
    end else if (asked_o) begin
      full_q <= 1'b1;
      aw_left_q <= 1'b1;
      w_left_q <= 1'b1;
    end else begin
      if (aw_moves && aw_final) aw_left_q <= 1'b0;
      if (w_moves && (!two_q || beat_q)) w_left_q <= 1'b0;
      if ((!aw_left_q || (aw_moves && aw_final)) &&
          (!w_left_q || (w_moves && (!two_q || beat_q)))) full_q <= 1'b0;
    end
  end

  // ---- Answers ----------------------------------------------------------------------------------
  logic head_valid, head_final, ack_ready, ack_valid;
  logic [2:0] head_kind, ack_kind;
  cst_state_pkg::ack_t head, ack;

  cst_fifo #(.Width(AckBits + 4), .Depth(64)) u_order (
    .clk_i, .rst_ni,
    .in_valid_i(aw_moves), .in_ready_o(order_room),
    .in_data_i({aw_final, kind_q, now_q.id, now_q.counts, now_q.parity}),
    .out_valid_o(head_valid), .out_ready_i(b_valid_i && b_ready_o),
    .out_data_o({head_final, head_kind, head}), .fill_o()
  );
  assign b_ready_o = ack_ready;
  cst_fifo #(.Width(AckBits + 3), .Depth(4)) u_ack (
    .clk_i, .rst_ni,
    .in_valid_i(b_valid_i && head_final), .in_ready_o(ack_ready), .in_data_i({head_kind, head}),
    .out_valid_o(ack_valid), .out_ready_i(|(ack_kind & ack_ready_i)), .out_data_o({ack_kind, ack}),
    .fill_o()
  );
  assign ack_valid_o = ack_kind & {3{ack_valid}};
  assign ack_o = ack;
  assign busy_o = turn_valid || full_q || head_valid || ack_valid;

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    answer_was_asked: assert (!b_valid_i || head_valid);
  end
`endif
endmodule
`default_nettype wire
