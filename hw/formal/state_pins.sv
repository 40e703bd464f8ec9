// state_pins: cst_state_pins frees a copy once, never early, and loses none.
// Shows      what is offered as free is needed by nobody, waits in no queue, and all that was sent
//            of it is answered by every port; a copy that could be free is always about to be
//            looked at; an id waits once; at most three sendings are unanswered.
// Reduced    to two ids; the package's own names for their number.
// Given      that what leaves a FIFO has entered it (formal.fifo): looks are not followed inside.
// How        one id, any, is followed: its takes, leaves, sendings and answers are counted outside.
//: reduce cst_state_pkg: IdBits = 10; ==> IdBits = 1;
//: reduce cst_state_pkg: Ids = 1024; ==> Ids = 2;
//: prove induction 2
//: cover 13
//: mistake freed_needed in cst_state_pins: taken_q[look_id_q] == left_q[look_id_q] && ==> (taken_q[look_id_q] - left_q[look_id_q]) < 11'd2 &&
//: mistake freed_waiting in cst_state_pins: !look_waits && (&look_settled) ==> (&look_settled)
//: mistake freed_unanswered in cst_state_pins: !look_waits && (&look_settled) ==> !look_waits
//: mistake freed_twice in cst_state_pins: !(free_may_q && free_id_q == look_id_q); ==> 1'b1;
//: mistake taken_while_freed in cst_state_pins: assign free_valid_o = free_may_q && !free_taken; ==> assign free_valid_o = free_may_q;
//: mistake taken_while_looked_at in cst_state_pins: (&look_settled) && !look_taken && ==> (&look_settled) &&
//: mistake freed_behind_a_take in cst_state_pins: else if (free_taken) free_may_q <= 1'b0; ==> else free_may_q <= 1'b1;
//: mistake lost in cst_state_pins: assign leave_looks = leave_i && leave_look_i; ==> assign leave_looks = leave_i && leave_look_i && dirty_parity_i;
//: mistake queued_twice in cst_state_pins: assign pushed_o = dirty_i && pushed_q[dirty_id_i] == popped_q[dirty_id_i]; ==> assign pushed_o = dirty_i;
`default_nettype none
module state_pins #(
  localparam int unsigned Answers = 2,
  localparam int unsigned IdBits = 1
) (
  input wire logic                      clk_i,
  input wire logic                      rst_ni,
  input wire logic                      take_i,
  input wire logic [IdBits-1:0]         take_id_i,
  input wire logic                      leave_i,
  input wire logic                      leave_look_i,
  input wire logic [IdBits-1:0]         leave_id_i,
  input wire logic                      dirty_i,
  input wire logic                      dirty_parity_i,
  input wire logic [IdBits-1:0]         dirty_id_i,
  input wire logic                      pop_i,
  input wire logic [Answers-1:0]        answer_valid_i,
  input wire logic [Answers*IdBits-1:0] answer_id_i,
  input wire logic                      free_ready_i
);
  logic ready, leave_room, pushed, waits, head_valid, head_parity, free_valid, free;
  logic [IdBits-1:0] head_id, free_id;
  logic [Answers-1:0] answer_ready;
  logic [1:0] alive_q;
  (* anyconst *) logic [IdBits-1:0] id;

  cst_state_pins #(.Answers(Answers)) u_pins (
    .clk_i, .rst_ni, .ready_o(ready), .take_i, .take_new_i(!alive_q[take_id_i]), .take_id_i,
    .leave_i, .leave_room_o(leave_room), .leave_look_i, .leave_id_i,
    .dirty_i, .dirty_parity_i, .dirty_id_i, .pushed_o(pushed),
    .ask_id_i(id), .ask_waits_o(waits),
    .head_valid_o(head_valid), .head_id_o(head_id), .head_parity_o(head_parity), .pop_i,
    .answer_valid_i, .answer_ready_o(answer_ready), .answer_id_i,
    .free_valid_o(free_valid), .free_ready_i, .free_id_o(free_id)
  );
  assign free = free_valid && free_ready_i;

  // ---- Both ids, as those around the module know them ------------------------------------------
  logic [3:0] needed_q [2];
  logic [1:0] waits_q;
  logic [2:0] owed_q [2*Answers];  // id * Answers + port
  logic [Answers-1:0] answered, held_q;
  logic [Answers*IdBits-1:0] seen_q;
  logic pop;
  assign pop = pop_i && head_valid;
  assign answered = answer_valid_i & answer_ready;
  for (genvar i = 0; i < 2; i++) begin : g_id
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        needed_q[i] <= '0;
        waits_q[i] <= 1'b0;
        alive_q[i] <= 1'b0;
      end else begin
        needed_q[i] <= needed_q[i] + 4'(take_i && take_id_i == i) - 4'(leave_i && leave_id_i == i);
        if (pop && head_id == i) waits_q[i] <= 1'b0;
        if (pushed && dirty_id_i == i) waits_q[i] <= 1'b1;
        if (take_i && take_id_i == i) alive_q[i] <= 1'b1;
        else if (free && free_id == i) alive_q[i] <= 1'b0;
      end
    end
    for (genvar a = 0; a < Answers; a++) begin : g_port
      always_ff @(posedge clk_i) begin
        if (!rst_ni) owed_q[i*Answers+a] <= '0;
        else owed_q[i*Answers+a] <= owed_q[i*Answers+a] + 3'(pop && head_id == i) -
                                    3'(answered[a] && answer_id_i[a] == i);
      end
    end
  end
  always_ff @(posedge clk_i) begin
    held_q <= answer_valid_i & ~answer_ready & {Answers{rst_ni}};
    seen_q <= answer_id_i;
  end

  // ---- What the header needs -------------------------------------------------------------------
  logic [1:0] settled;
  always_comb begin
    settled = ~waits_q;
    for (int unsigned i = 0; i < 2 * Answers; i++)
      if (owed_q[i] != '0) settled[i / Answers] = 1'b0;
  end
  initial assume (!rst_ni);
  logic begun_q;
  initial begun_q = 1'b0;
  always_ff @(posedge clk_i) begun_q <= 1'b1;
  always_comb begin
    if (begun_q) assume (rst_ni);
    if (!ready || !rst_ni) assume (!take_i && !leave_i && !dirty_i && answer_valid_i == '0);
    if (take_i) assume (needed_q[take_id_i] < 4'd3);
    if (leave_i) assume (needed_q[leave_id_i] != '0 && leave_room);
    // Who leaves without a look has changed the copy now, or an answer to it is still to come.
    if (leave_i && !leave_look_i)
      assume (!settled[leave_id_i] || (dirty_i && dirty_id_i == leave_id_i));
    if (dirty_i) assume (needed_q[dirty_id_i] != '0);
    for (int unsigned a = 0; a < Answers; a++) begin
      if (answer_valid_i[a]) assume (owed_q[32'(answer_id_i[a])*Answers + a] != '0);
      if (held_q[a]) assume (answer_valid_i[a] && answer_id_i[a] == seen_q[a]);
    end
  end

  // ---- The id that is followed: places in queues of those that may be free ---------------------
  (* hierconn *) wire [Answers:0] \u_pins.kept_valid ;
  (* hierconn *) wire [Answers:0] \u_pins.look_ready ;
  (* hierconn *) wire [(Answers+1)*IdBits-1:0] \u_pins.kept_id ;
  (* hierconn *) wire [IdBits-1:0] \u_pins.g_answer[0].last_id_q ;
  (* hierconn *) wire [IdBits-1:0] \u_pins.g_answer[1].last_id_q ;
  (* hierconn *) wire \u_pins.u_leave.take ;
  (* hierconn *) wire \u_pins.g_answer[0].u_look.take ;
  (* hierconn *) wire \u_pins.g_answer[1].u_look.take ;
  logic [4:0] looks_q, puts, gets;
  always_comb begin
    puts = 5'(\u_pins.u_leave.take && leave_id_i == id) +
           5'(\u_pins.g_answer[0].u_look.take &&
              \u_pins.g_answer[0].last_id_q == id) +
           5'(\u_pins.g_answer[1].u_look.take &&
              \u_pins.g_answer[1].last_id_q == id);
    gets = '0;
    for (int unsigned a = 0; a <= Answers; a++)
      gets = gets + 5'(\u_pins.kept_valid [a] && \u_pins.look_ready [a] &&
                       \u_pins.kept_id [a*IdBits +: IdBits] == id);
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) looks_q <= '0;
    else looks_q <= looks_q + puts - gets;
  end

  logic sent_q, freed_q, again_q, twice_q;
  always_ff @(posedge clk_i) begin
    sent_q <= rst_ni && (sent_q || (pop && head_id == id));
    freed_q <= rst_ni && (freed_q || (free && free_id == id && sent_q));
    again_q <= rst_ni && (again_q || (freed_q && take_i && take_id_i == id));
    twice_q <= rst_ni && (twice_q || (pushed && dirty_id_i == id && !settled[id] && !waits_q[id]));
  end

  // ---- The registers inside, for induction: both ids -------------------------------------------
  (* hierconn *) wire \u_pins.filling_q ;
  (* hierconn *) wire \u_pins.fill_q ;
  (* hierconn *) wire \u_pins.pushed_q[0] ;
  (* hierconn *) wire \u_pins.pushed_q[1] ;
  (* hierconn *) wire \u_pins.popped_q[0] ;
  (* hierconn *) wire \u_pins.popped_q[1] ;
  (* hierconn *) wire \u_pins.born_q[0] ;
  (* hierconn *) wire \u_pins.born_q[1] ;
  (* hierconn *) wire \u_pins.died_q[0] ;
  (* hierconn *) wire \u_pins.died_q[1] ;
  (* hierconn *) wire [10:0] \u_pins.taken_q[0] ;
  (* hierconn *) wire [10:0] \u_pins.taken_q[1] ;
  (* hierconn *) wire [10:0] \u_pins.left_q[0] ;
  (* hierconn *) wire [10:0] \u_pins.left_q[1] ;
  (* hierconn *) wire [1:0] \u_pins.sent_q[0] ;
  (* hierconn *) wire [1:0] \u_pins.sent_q[1] ;
  (* hierconn *) wire [1:0] \u_pins.g_answer[0].answered_q[0] ;
  (* hierconn *) wire [1:0] \u_pins.g_answer[0].answered_q[1] ;
  (* hierconn *) wire [1:0] \u_pins.g_answer[1].answered_q[0] ;
  (* hierconn *) wire [1:0] \u_pins.g_answer[1].answered_q[1] ;
  (* hierconn *) wire \u_pins.g_answer[0].last_q ;
  (* hierconn *) wire \u_pins.g_answer[1].last_q ;
  (* hierconn *) wire \u_pins.look_valid_q ;
  (* hierconn *) wire [IdBits-1:0] \u_pins.look_id_q ;
  (* hierconn *) wire \u_pins.free_may_q ;
  (* hierconn *) wire \u_pins.free_turn_q ;
  (* hierconn *) wire [IdBits-1:0] \u_pins.free_id_q ;
  (* hierconn *) wire \u_pins.next_valid_q ;
  (* hierconn *) wire [IdBits-1:0] \u_pins.next_id_q ;
  (* hierconn *) wire \u_pins.head_ready_q ;
  (* hierconn *) wire \u_pins.head_short_q ;
  (* hierconn *) wire \u_pins.head_turn_q ;
  (* hierconn *) wire [1:0] \u_pins.head_after_q ;
  (* hierconn *) wire [IdBits-1:0] \u_pins.front_id ;
  (* hierconn *) wire [1:0] \u_pins.u_queue.fill_q ;
  (* hierconn *) wire \u_pins.u_queue.ready_q ;
  (* hierconn *) wire \u_pins.u_queue.read_q ;
  (* hierconn *) wire \u_pins.u_queue.looked ;
  (* hierconn *) wire [1:0] \u_pins.u_queue.looked_data ;
  (* hierconn *) wire [4:0] \u_pins.u_leave.fill_q ;
  (* hierconn *) wire \u_pins.u_leave.ready_q ;
  (* hierconn *) wire [2:0] \u_pins.g_answer[0].u_look.fill_q ;
  (* hierconn *) wire [2:0] \u_pins.g_answer[1].u_look.fill_q ;
  (* hierconn *) wire \u_pins.g_answer[0].u_look.ready_q ;
  (* hierconn *) wire \u_pins.g_answer[1].u_look.ready_q ;
  always_comb assume (looks_q >= gets && looks_q <= \u_pins.u_leave.fill_q +
                      5'(\u_pins.g_answer[0].u_look.fill_q ) +
                      5'(\u_pins.g_answer[1].u_look.fill_q ));
  logic [1:0] needs, owes, nothing, pushes, births, bits;
  logic [7:0] owed;
  logic [5:0] places;  // id * 3
  logic head, ahead, under_way;
  logic [1:0] sent;
  assign sent = head_id ? \u_pins.sent_q[1] : \u_pins.sent_q[0] ;
  assign \u_pins.u_queue.looked = ~\u_pins.u_queue.read_q ;
  assign owed = {\u_pins.sent_q[1] - \u_pins.g_answer[1].answered_q[1] ,
                 \u_pins.sent_q[1] - \u_pins.g_answer[0].answered_q[1] ,
                 \u_pins.sent_q[0] - \u_pins.g_answer[1].answered_q[0] ,
                 \u_pins.sent_q[0] - \u_pins.g_answer[0].answered_q[0] };
  assign needs = {\u_pins.taken_q[1] - \u_pins.left_q[1] == 11'(needed_q[1]),
                  \u_pins.taken_q[0] - \u_pins.left_q[0] == 11'(needed_q[0])};
  assign owes = {owed[7:4] == {owed_q[3][1:0], owed_q[2][1:0]},
                 owed[3:0] == {owed_q[1][1:0], owed_q[0][1:0]}};
  assign pushes = {\u_pins.pushed_q[1] , \u_pins.pushed_q[0] };
  assign births = {\u_pins.born_q[1] , \u_pins.born_q[0] };
  assign bits = ~((pushes ^ {\u_pins.popped_q[1] , \u_pins.popped_q[0] } ^ waits_q) |
                  (births ^ {\u_pins.died_q[1] , \u_pins.died_q[0] } ^ alive_q));
  assign head = \u_pins.head_ready_q || \u_pins.head_short_q ;
  // Where an id that waits stands, from the queue's end to its head: at one place, or at none.
  always_comb
    for (int unsigned i = 0; i < 2; i++)
      places[i*3 +: 3] = 3'(\u_pins.u_queue.fill_q [1] && \u_pins.u_queue.looked_data [0] == i) +
                         3'(\u_pins.u_queue.fill_q != '0 && \u_pins.front_id == i) +
                         3'(\u_pins.next_valid_q && \u_pins.next_id_q == i) +
                         3'(head && head_id == i);
  assign ahead = \u_pins.g_answer[0].last_q || \u_pins.g_answer[1].last_q ||
                 \u_pins.look_valid_q || \u_pins.free_may_q ;
  assign under_way = (\u_pins.g_answer[0].last_q && \u_pins.g_answer[0].last_id_q == id) ||
                     (\u_pins.g_answer[1].last_q && \u_pins.g_answer[1].last_id_q == id) ||
                     (\u_pins.look_valid_q && \u_pins.look_id_q == id) ||
                     (\u_pins.free_may_q && \u_pins.free_id_q == id);
  always_comb
    for (int unsigned i = 0; i < 2; i++)
      nothing[i] = needed_q[i] == '0 && owed_q[2*i] == '0 && owed_q[2*i+1] == '0 && !waits_q[i];

  always_comb if (rst_ni) begin
    counts: assert (ready ? (&needs) && (&owes) && (&bits) :
                            (!\u_pins.fill_q || (needs[0] && owes[0] && bits[0])));
    before_ready: assert (ready || ((&nothing) && alive_q == '0 && looks_q == '0 && !ahead));
    dead_is_nothing: assert ((alive_q | nothing) == 2'b11);
    waits_at_one_place: assert (places == {2'b00, waits_q[1], 2'b00, waits_q[0]});
    head_is_one: assert (!(\u_pins.head_ready_q && \u_pins.head_short_q ));
    head_is_told: assert (!head || (\u_pins.head_turn_q == pushes[head_id] &&
                                    \u_pins.head_after_q == 2'(sent + 2'd1)));
    head_has_room: assert (!head_valid || (owed_q[32'(head_id)*Answers] != 3'd3 &&
                                           owed_q[32'(head_id)*Answers+1] != 3'd3));
    free_is_true: assert (!\u_pins.free_may_q ||
                          (alive_q[\u_pins.free_id_q ] && needed_q[\u_pins.free_id_q ] == '0 &&
                           settled[\u_pins.free_id_q ] &&
                           \u_pins.free_turn_q == births[\u_pins.free_id_q ]));
    queues_take: assert (!(ready || \u_pins.fill_q ) ||
                         (\u_pins.u_queue.ready_q == !\u_pins.u_queue.fill_q [1] &&
                          \u_pins.u_leave.ready_q && \u_pins.u_leave.fill_q <= 5'd12 &&
                          (\u_pins.g_answer[0].u_look.ready_q ^
                           \u_pins.g_answer[0].u_look.fill_q [2]) &&
                          (\u_pins.g_answer[1].u_look.ready_q ^
                           \u_pins.g_answer[1].u_look.fill_q [2])));
    last_has_a_place: assert (!(\u_pins.g_answer[0].last_q &&
                                \u_pins.g_answer[0].u_look.fill_q [2]) &&
                              !(\u_pins.g_answer[1].last_q &&
                                \u_pins.g_answer[1].u_look.fill_q [2]));
    queues_are_empty: assert (ready || (\u_pins.u_leave.fill_q == '0 &&
                                        \u_pins.g_answer[0].u_look.fill_q == '0 &&
                                        \u_pins.g_answer[1].u_look.fill_q == '0));
    three_sent: assert (needed_q[0] <= 4'd3 && needed_q[1] <= 4'd3 && owed_q[0] <= 3'd3 &&
                 owed_q[1] <= 3'd3 && owed_q[2] <= 3'd3 && owed_q[3] <= 3'd3);
  end

  always_comb if (rst_ni && ready) begin
    freed_is_alive: assert (!free_valid || alive_q[free_id]);
    freed_is_unneeded: assert (!free_valid || (needed_q[free_id] == '0 &&
                                               !(take_i && take_id_i == free_id)));
    freed_is_settled: assert (!free_valid || settled[free_id]);
    never_lost: assert (!(alive_q[id] && needed_q[id] == '0 && settled[id]) || looks_q != '0 ||
                        under_way);
    waits_once: assert (waits == waits_q[id] && pushed == (dirty_i && !waits_q[dirty_id_i]));
    head_waits: assert (!head_valid || waits_q[head_id]);
    freed_and_taken_again: cover (again_q);
    sent_twice: cover (twice_q);
    answered_while_needed: cover (answered[0] && answer_id_i[0] == id && needed_q[id] != '0);
    both_alive: cover (&alive_q && free_valid);
    taken_as_it_is_looked_at: cover (take_i && take_id_i == id && alive_q[id] &&
                                     needed_q[id] == '0 && settled[id]);
  end
endmodule
`default_nettype wire
