// cst_state_pins: the life of copies on chip: who needs them, what of them is not yet in memory.
//
//   take ──► needed (counted) ──leave──► unneeded ─┐
//     dirty ──► queue ──pop──► sent ──answers──► clean ┴──► free
//
// Promises   a copy is freed once, when nobody needs it, nothing of it waits in the queue and all
//            that was sent of it has been answered by every one of Answers ports; soon, if no take
//            of it comes in between. An id waits in the queue at most once; the queue keeps its
//            order. At most three sendings of an id are unanswered.
// Needs      dirty_i and leave_i of ids that are taken; take_i with take_new_i for a freed one.
// After reset, ready_o comes after 1024 clocks.
`default_nettype none
module cst_state_pins #(
  parameter int unsigned Answers = 2,
  localparam int unsigned IdBits = cst_state_pkg::IdBits
) (
  input  wire logic                      clk_i,
  input  wire logic                      rst_ni,
  output      logic                      ready_o,
  input  wire logic                      take_i,
  input  wire logic                      take_new_i,
  input  wire logic [IdBits-1:0]         take_id_i,
  input  wire logic                      leave_i,
  output      logic                      leave_room_o,    // for four that look more
  input  wire logic                      leave_look_i,    // it may be free by this
  input  wire logic [IdBits-1:0]         leave_id_i,
  input  wire logic                      dirty_i,
  input  wire logic                      dirty_parity_i,
  input  wire logic [IdBits-1:0]         dirty_id_i,
  output      logic                      pushed_o,        // by dirty_i, now
  input  wire logic [IdBits-1:0]         ask_id_i,
  output      logic                      ask_waits_o,     // in the queue
  output      logic                      head_valid_o,
  output      logic [IdBits-1:0]         head_id_o,
  output      logic                      head_parity_o,
  input  wire logic                      pop_i,
  input  wire logic [Answers-1:0]        answer_valid_i,
  output      logic [Answers-1:0]        answer_ready_o,
  input  wire logic [Answers*IdBits-1:0] answer_id_i,
  output      logic                      free_valid_o,
  input  wire logic                      free_ready_i,
  output      logic [IdBits-1:0]         free_id_o
);
  localparam int unsigned Ids = cst_state_pkg::Ids;
  localparam int unsigned NeedBits = 11;

  if (Answers < 1 || Answers > 3) begin : g_answers
    $error("cst_state_pins: Answers %0d, must be 1 to 3", Answers);
  end

  // ---- Counts, each written by one side alone: their difference is what is under way ------------
  logic filling_q;
  logic [IdBits-1:0] fill_q;
  logic [NeedBits-1:0] taken_q [Ids];
  logic [NeedBits-1:0] left_q [Ids];
  logic [1:0] sent_q [Ids];
  logic [Ids-1:0] waits_q, alive_q;
  logic pop;

  assign ready_o = !filling_q;
  assign pushed_o = dirty_i && !waits_q[dirty_id_i];
  assign ask_waits_o = waits_q[ask_id_i];

  always_ff @(posedge clk_i) begin
    if (filling_q) begin
      taken_q[fill_q] <= '0;
      left_q[fill_q] <= '0;
      sent_q[fill_q] <= '0;
    end else begin
      if (take_i) taken_q[take_id_i] <= taken_q[take_id_i] + 1'b1;
      if (leave_i) left_q[leave_id_i] <= left_q[leave_id_i] + 1'b1;
      if (pop) sent_q[queue_id] <= sent_q[queue_id] + 1'b1;
    end
    if (!rst_ni) begin
      filling_q <= 1'b1;
      fill_q <= '0;
      waits_q <= '0;
      alive_q <= '0;
    end else begin
      fill_q <= fill_q + 1'b1;
      if (&fill_q) filling_q <= 1'b0;
      if (pop) waits_q[queue_id] <= 1'b0;
      if (pushed_o) waits_q[dirty_id_i] <= 1'b1;
      if (take_i && take_new_i) alive_q[take_id_i] <= 1'b1;
      if (free_valid_o && free_ready_i) alive_q[free_id_o] <= 1'b0;
    end
  end

  // ---- The queue --------------------------------------------------------------------------------
  logic queue_valid;
  logic [IdBits-1:0] queue_id;
  logic [Answers-1:0] queue_room;

  assign head_valid_o = queue_valid && (&queue_room);
  assign head_id_o = queue_id;
  assign pop = pop_i && head_valid_o;

  cst_fifo #(.Width(IdBits + 1), .Depth(Ids)) u_queue (
    .clk_i, .rst_ni,
    .in_valid_i(pushed_o), .in_ready_o(), .in_data_i({dirty_parity_i, dirty_id_i}),
    .out_valid_o(queue_valid), .out_ready_i(pop), .out_data_o({head_parity_o, queue_id}),
    .fill_o()
  );

  // ---- Answers, and who may be free by them -----------------------------------------------------
  logic [Answers:0] look_valid, look_ready;
  logic [(Answers+1)*IdBits-1:0] look_id;
  logic [Answers-1:0] look_settled;
  logic [IdBits-1:0] look_now;
  logic [Answers-1:0] answered, answered_last;
  logic [Answers*2-1:0] after;

  for (genvar a = 0; a < Answers; a++) begin : g_answer
    logic [1:0] answered_q [Ids];
    logic [IdBits-1:0] id;

    assign id = answer_id_i[a*IdBits +: IdBits];
    assign answered[a] = answer_valid_i[a] && answer_ready_o[a];
    assign after[a*2 +: 2] = answered_q[id] + 1'b1;
    assign look_settled[a] = sent_q[look_now] == answered_q[look_now];
    assign queue_room[a] = (sent_q[queue_id] - answered_q[queue_id]) != 2'd3;

    always_ff @(posedge clk_i) begin
      if (filling_q) answered_q[fill_q] <= '0;
      else if (answered[a]) answered_q[id] <= after[a*2 +: 2];
    end

    cst_fifo #(.Width(IdBits), .Depth(4)) u_look (
      .clk_i, .rst_ni,
      .in_valid_i(answered_last[a]), .in_ready_o(answer_ready_o[a]), .in_data_i(id),
      .out_valid_o(look_valid[a]), .out_ready_i(look_ready[a]),
      .out_data_o(look_id[a*IdBits +: IdBits]), .fill_o()
    );
    // This port has answered all that was sent, and so have the others: one look a copy, or looks
    // would be as many as answers. Of those that do in the same clock, the first looks.
    logic [Answers-1:0] with_it, done_before, others;
    for (genvar b = 0; b < Answers; b++) begin : g_other
      assign with_it[b] = answered[b] && answer_id_i[b*IdBits +: IdBits] == id &&
                          after[b*2 +: 2] == sent_q[id];
      assign done_before[b] = g_answer[b].answered_q[id] == sent_q[id];
      assign others[b] = (b == a) || done_before[b] || (b > a && with_it[b]);
    end
    assign answered_last[a] = answer_valid_i[a] && after[a*2 +: 2] == sent_q[id] &&
                              !waits_q[id] && (&others);
  end

  logic [4:0] leave_fill;
  assign leave_room_o = leave_fill < 5'd12;
  cst_fifo #(.Width(IdBits), .Depth(16)) u_leave (
    .clk_i, .rst_ni,
    .in_valid_i(leave_i && leave_look_i), .in_ready_o(), .in_data_i(leave_id_i),
    .out_valid_o(look_valid[Answers]), .out_ready_i(look_ready[Answers]),
    .out_data_o(look_id[Answers*IdBits +: IdBits]), .fill_o(leave_fill)
  );

  // ---- One look a clock, by turns ---------------------------------------------------------------
  localparam int unsigned TurnBits = $clog2(Answers + 1);
  logic [1:0] turn_q, pick;
  logic [2:0] asked;
  logic picked;

  // From its turn on, once around: a remainder would be a divider.
  always_comb begin
    pick = turn_q;
    picked = 1'b0;
    asked = '0;
    for (int unsigned i = 0; i <= Answers; i++) begin
      asked = {1'b0, turn_q} + 3'(i);
      if (asked > 3'(Answers)) asked -= 3'(Answers + 1);
      if (!picked && look_valid[asked[TurnBits-1:0]]) begin
        pick = asked[1:0];
        picked = 1'b1;
      end
    end
  end

  assign look_now = look_id[32'(pick)*IdBits +: IdBits];
  assign free_id_o = look_now;
  assign free_valid_o = picked && alive_q[look_now] && taken_q[look_now] == left_q[look_now] &&
                        !waits_q[look_now] && (&look_settled) &&
                        !(take_i && take_id_i == look_now) && !filling_q;

  always_comb begin
    look_ready = '0;
    for (int unsigned i = 0; i <= Answers; i++)
      look_ready[i] = picked && 32'(pick) == i && (free_ready_i || !free_valid_o);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) turn_q <= '0;
    else turn_q <= (32'(turn_q) == Answers) ? 2'd0 : turn_q + 1'b1;
  end

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni && !filling_q) begin
    leave_is_needed: assert (!leave_i || taken_q[leave_id_i] != left_q[leave_id_i]);
    leave_has_room: assert (!leave_i || !leave_look_i || leave_fill != 5'd16);
    dirty_is_alive: assert (!dirty_i || alive_q[dirty_id_i]);
    new_is_dead: assert (!take_i || take_new_i != alive_q[take_id_i]);
    answer_is_alive: assert (!answered[0] || alive_q[answer_id_i[0 +: IdBits]]);
  end
`endif
endmodule
`default_nettype wire
