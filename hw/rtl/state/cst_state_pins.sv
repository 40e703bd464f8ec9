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
// Cost       no flip-flop an id. What is of one is two bits of LUT memory: what begins it writes
//            one, what ends it the other, and it is while they differ.
//
// The queue: push ─► FIFO, past it if it is empty ─► next ─► head. How much of an id is unanswered
// is read on the way from next to head, and again as long as it is three: answers alone change it
// there, and make it less. A push is at the head two clocks later.
//
// Looks at who may be free, one a clock:
//
// stage   known                              decided
// last    of an answer's id all counts       if it was the last one: then the id is looked at
// look    an id that was left, or last's     whether it is alive, needed, waits, is unanswered
// free    all of it, but for a take now      free, unless it is taken in this clock
//
// A copy that nobody needs and that is settled stays so until a take of it: what look was told is
// true at free if there was no take in either's clock. Whatever else comes in between has a look of
// its own.
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
  logic pushed_q [Ids];  // it waits from push to pop
  logic popped_q [Ids];
  logic born_q [Ids];    // it is alive from a take until it is freed
  logic died_q [Ids];
  logic pop, free;

  assign ready_o = !filling_q;
  assign pushed_o = dirty_i && pushed_q[dirty_id_i] == popped_q[dirty_id_i];
  assign ask_waits_o = pushed_q[ask_id_i] != popped_q[ask_id_i];

  always_ff @(posedge clk_i) begin
    if (filling_q) begin
      taken_q[fill_q] <= '0;
      left_q[fill_q] <= '0;
      sent_q[fill_q] <= '0;
      pushed_q[fill_q] <= 1'b0;
      popped_q[fill_q] <= 1'b0;
      born_q[fill_q] <= 1'b0;
      died_q[fill_q] <= 1'b0;
    end else begin
      if (take_i) taken_q[take_id_i] <= taken_q[take_id_i] + 1'b1;
      if (leave_i) left_q[leave_id_i] <= left_q[leave_id_i] + 1'b1;
      if (pop) sent_q[head_id_q] <= head_after_q;
      if (dirty_i) pushed_q[dirty_id_i] <= !popped_q[dirty_id_i];  // as it is, if it waits
      if (pop) popped_q[head_id_q] <= head_turn_q;
      if (take_i && take_new_i) born_q[take_id_i] <= !died_q[take_id_i];
      if (free) died_q[free_id_q] <= free_turn_q;
    end
    if (!rst_ni) begin
      filling_q <= 1'b1;
      fill_q <= '0;
    end else begin
      fill_q <= fill_q + 1'b1;
      if (&fill_q) filling_q <= 1'b0;
    end
  end

  // ---- The queue --------------------------------------------------------------------------------
  logic front_valid, front_parity, next_valid_q, next_parity_q;
  logic head_ready_q, head_short_q, head_parity_q, head_turn_q, head_asks, next_go, head_go;
  logic [IdBits-1:0] front_id, next_id_q, head_id_q, room_id;
  logic [1:0] head_after_q;
  logic [Answers-1:0] room;

  assign head_valid_o = head_ready_q;
  assign head_id_o = head_id_q;
  assign head_parity_o = head_parity_q;
  assign pop = pop_i && head_valid_o;
  assign head_go = pop || (!head_ready_q && !head_short_q);
  assign next_go = !next_valid_q || head_go;
  assign room_id = head_short_q ? head_id_q : next_id_q;
  assign head_asks = head_short_q || next_valid_q;

  cst_fifo #(.Width(IdBits + 1), .Depth(Ids)) u_queue (
    .clk_i, .rst_ni,
    .in_valid_i(pushed_o && (front_valid || !next_go)), .in_ready_o(),
    .in_data_i({dirty_parity_i, dirty_id_i}),
    .out_valid_o(front_valid), .out_ready_i(next_go), .out_data_o({front_parity, front_id}),
    .fill_o()
  );

  always_ff @(posedge clk_i) begin
    if (next_go) begin
      next_id_q <= front_valid ? front_id : dirty_id_i;
      next_parity_q <= front_valid ? front_parity : dirty_parity_i;
    end
    if (head_go) begin
      head_id_q <= next_id_q;
      head_parity_q <= next_parity_q;
    end
    if (head_go || head_short_q) begin
      head_after_q <= sent_q[room_id] + 1'b1;
      head_turn_q <= pushed_q[room_id];
    end
    if (!rst_ni) begin
      next_valid_q <= 1'b0;
      head_ready_q <= 1'b0;
      head_short_q <= 1'b0;
    end else begin
      if (next_go) next_valid_q <= front_valid || pushed_o;
      if (head_go || head_short_q) begin
        head_ready_q <= head_asks && (&room);
        head_short_q <= head_asks && !(&room);
      end
    end
  end

  // ---- Answers, and who may be free by them -----------------------------------------------------
  // Queues of those that are to be looked at; where one is empty, what comes is looked at at once.
  logic [Answers:0] kept_valid, look_valid, look_ready;
  logic [(Answers+1)*IdBits-1:0] kept_id, look_id;
  logic [Answers-1:0] look_settled;
  logic [Answers-1:0] answered, answered_all;

  for (genvar a = 0; a < Answers; a++) begin : g_answer
    logic [1:0] answered_q [Ids];
    logic [IdBits-1:0] id, last_id_q;
    logic [1:0] after;
    logic [2:0] last_fill;
    logic last_q;

    assign id = answer_id_i[a*IdBits +: IdBits];
    assign answered[a] = answer_valid_i[a] && answer_ready_o[a];
    assign after = answered_q[id] + 1'b1;
    assign answered_all[a] = after == sent_q[id];
    assign look_settled[a] = sent_q[look_id_q] == answered_q[look_id_q];
    assign room[a] = (sent_q[room_id] - answered_q[room_id]) != 2'd3;

    // This port has answered all that was sent, and so have the others: one look a copy, or looks
    // would be as many as answers. Of those that do in the same clock, the first looks.
    logic [Answers-1:0] with_it, done_before, others;
    for (genvar b = 0; b < Answers; b++) begin : g_other
      assign with_it[b] = answered[b] && answer_id_i[b*IdBits +: IdBits] == id && answered_all[b];
      assign done_before[b] = g_answer[b].answered_q[id] == sent_q[id];
      assign others[b] = (b == a) || done_before[b] || (b > a && with_it[b]);
    end

    always_ff @(posedge clk_i) begin
      if (filling_q) answered_q[fill_q] <= '0;
      else if (answered[a]) answered_q[id] <= after;
      last_id_q <= id;
      last_q <= rst_ni && answered[a] && answered_all[a] && pushed_q[id] == popped_q[id] &&
                (&others);
    end

    // The one that is on its way has a place.
    assign answer_ready_o[a] = last_fill < 3'd3;
    cst_fifo #(.Width(IdBits), .Depth(4)) u_look (
      .clk_i, .rst_ni,
      .in_valid_i(last_q && (kept_valid[a] || !look_ready[a])), .in_ready_o(),
      .in_data_i(last_id_q), .out_valid_o(kept_valid[a]), .out_ready_i(look_ready[a]),
      .out_data_o(kept_id[a*IdBits +: IdBits]), .fill_o(last_fill)
    );
    assign look_valid[a] = kept_valid[a] || last_q;
    assign look_id[a*IdBits +: IdBits] = kept_valid[a] ? kept_id[a*IdBits +: IdBits] : last_id_q;
  end

  logic [4:0] leave_fill;
  logic leave_looks;
  assign leave_looks = leave_i && leave_look_i;
  assign leave_room_o = leave_fill < 5'd12;
  cst_fifo #(.Width(IdBits), .Depth(16)) u_leave (
    .clk_i, .rst_ni,
    .in_valid_i(leave_looks && (kept_valid[Answers] || !look_ready[Answers])), .in_ready_o(),
    .in_data_i(leave_id_i), .out_valid_o(kept_valid[Answers]), .out_ready_i(look_ready[Answers]),
    .out_data_o(kept_id[Answers*IdBits +: IdBits]), .fill_o(leave_fill)
  );
  assign look_valid[Answers] = kept_valid[Answers] || leave_looks;
  assign look_id[Answers*IdBits +: IdBits] =
      kept_valid[Answers] ? kept_id[Answers*IdBits +: IdBits] : leave_id_i;

  // ---- One look a clock, by turns ---------------------------------------------------------------
  logic [Answers:0] from_q, pick;
  logic look_valid_q, look_go, look_alive, look_waits, look_taken, look_free;
  logic free_may_q, free_turn_q, free_taken, free_go;
  logic [IdBits-1:0] picked_id, look_id_q, free_id_q;

  // The first from the turn on, or the first of all: the last assignment is the one that holds.
  always_comb begin
    pick = '0;
    picked_id = '0;
    for (int unsigned i = 0; i <= Answers; i++)
      if (look_valid[Answers-i]) pick = (Answers+1)'(1 << (Answers - i));
    for (int unsigned i = 0; i <= Answers; i++)
      if (look_valid[Answers-i] && from_q[Answers-i]) pick = (Answers+1)'(1 << (Answers - i));
    for (int unsigned i = 0; i <= Answers; i++)
      if (pick[i]) picked_id |= look_id[i*IdBits +: IdBits];
  end

  assign free_go = !free_may_q || free_ready_i;
  assign look_go = !look_valid_q || free_go;
  assign look_ready = pick & {(Answers+1){look_go}};
  assign look_taken = take_i && take_id_i == look_id_q;
  assign free_taken = take_i && take_id_i == free_id_q;
  assign look_alive = born_q[look_id_q] != died_q[look_id_q];
  assign look_waits = pushed_q[look_id_q] != popped_q[look_id_q];
  // One that is freed, or taken, in this clock is not free by its other looks.
  assign look_free = look_valid_q && look_alive && taken_q[look_id_q] == left_q[look_id_q] &&
                     !look_waits && (&look_settled) && !look_taken &&
                     !(free_may_q && free_id_q == look_id_q);
  assign free_valid_o = free_may_q && !free_taken;
  assign free_id_o = free_id_q;
  assign free = free_valid_o && free_ready_i;

  always_ff @(posedge clk_i) begin
    if (look_go) look_id_q <= picked_id;
    if (free_go) begin
      free_id_q <= look_id_q;
      free_turn_q <= born_q[look_id_q];
    end
    if (!rst_ni) begin
      from_q <= '1;
      look_valid_q <= 1'b0;
      free_may_q <= 1'b0;
    end else begin
      from_q <= (from_q << 1 == '0) ? '1 : from_q << 1;
      if (look_go) look_valid_q <= look_valid != '0;
      if (free_go) free_may_q <= look_free;
      else if (free_taken) free_may_q <= 1'b0;
    end
  end

`ifdef CST_ASSERT
  logic [IdBits-1:0] answer_id;
  assign answer_id = answer_id_i[0 +: IdBits];
  always_ff @(posedge clk_i) if (rst_ni && !filling_q) begin
    leave_is_needed: assert (!leave_i || taken_q[leave_id_i] != left_q[leave_id_i]);
    leave_has_room: assert (!leave_i || !leave_look_i || leave_fill != 5'd16);
    dirty_is_alive: assert (!dirty_i || born_q[dirty_id_i] != died_q[dirty_id_i]);
    new_is_dead: assert (!take_i || take_new_i == (born_q[take_id_i] == died_q[take_id_i]));
    answer_is_alive: assert (!answered[0] || born_q[answer_id] != died_q[answer_id]);
  end
`endif
endmodule
`default_nettype wire
