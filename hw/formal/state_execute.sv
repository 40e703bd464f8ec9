// state_execute: cst_state_execute does operations in order, each once, none on an old state.
// Shows      operations leave in the order they came, none lost or done twice, whatever they wait
//            for; one sees its key's state as the one before it on that key left it, at any
//            distance in the stages, and the first one what was read; a look-up answers with it;
//            what a stopped unit leaves is that of the last operation done.
// Reduced    to two ids and values of two words, which are replaced (what the update program makes
//            of them is no matter here); lines are free: their hazards are not followed. As a test
//            to values of a byte, numbers of rows and epochs of 4 bits, a log of 2^16 units too.
// How        a key's id, any, is followed: the state that its last operation left stands outside.
//: reduce cst_state_pkg: IdBits = 10; ==> IdBits = 1;
//: reduce cst_state_pkg: Ids = 1024; ==> Ids = 2;
//: reduce cst_state_pkg: IdentBits = 275; ==> IdentBits = 257;
//: reduce cst_state_pkg: Lanes = 8; ==> Lanes = 2;
//: reduce cst_state_pkg: StateBits = 566; ==> StateBits = 182;
//: reduce cst_state_pkg: QueuedBits = 584; ==> QueuedBits = 185;
//: reduce cst_state_pkg: [511:0] ==> [127:0]
//: reduce cst_state_execute: [511:0] ==> [127:0]
//: reduce cst_state_value: [511:0] ==> [127:0]
//: quick cst_state_pkg: IdentBits = 257; ==> IdentBits = 137;
//: quick cst_state_pkg: StateBits = 182; ==> StateBits = 30;
//: quick cst_state_pkg: QueuedBits = 185; ==> QueuedBits = 37;
//: quick cst_state_pkg: MetaBits = 144; ==> MetaBits = 24;
//: quick cst_state_pkg: UnitBits = 48; ==> UnitBits = 16;
//: quick cst_state_pkg: logic [31:0] row; ==> logic [3:0] row;
//: quick cst_state_pkg: logic [63:0] rows_count; ==> logic [3:0] rows_count;
//: quick cst_state_pkg: logic [63:0] epoch; ==> logic [3:0] epoch;
//: quick cst_state_pkg: [127:0] ==> [7:0]
//: quick cst_state_execute: [127:0] ==> [7:0]
//: quick cst_state_execute: logic [31:0] row_q; ==> logic [3:0] row_q;
//: prove induction 2
//: cover 8
//: mistake made_up in cst_state_execute: s1_valid_q <= op_valid_i; ==> s1_valid_q <= 1'b1;
//: mistake lost_while_held in cst_state_execute: assign op_ready_o = go; ==> assign op_ready_o = 1'b1;
//: mistake misses_the_one_before in cst_state_execute: !cst_mistake_pkg::planted(cst_mistake_pkg::Hazard); ==> !s3_op_q.first;
//: mistake done_twice in cst_state_execute: s4_valid_q <= s3_valid_q && go; ==> s4_valid_q <= s3_valid_q;
//: mistake half_done in cst_state_execute: assign state_o = s4_done ? s4_next_q : s4_old_q; ==> assign state_o = s4_next_q;
`default_nettype none
module state_execute (
  input wire logic                                clk_i,
  input wire logic                                rst_ni,
  input wire logic                                load_i,
  input wire cst_state_pkg::control_t             control_i,
  input wire logic                                resume_i,
  input wire logic                                op_valid_i,
  input wire cst_state_pkg::queued_t              op_i,
  input wire logic                                ident_write_i,
  input wire logic                                ident_id_i,
  input wire logic [cst_state_pkg::IdentBits-1:0] ident_i,
  input wire logic                                known_valid_i,
  input wire logic                                known_id_i,
  input wire logic [cst_state_pkg::StateBits-1:0] known_i,
  input wire logic [cst_state_pkg::MetaBits-1:0]  even_meta_i,
  input wire logic [cst_state_pkg::MetaBits-1:0]  odd_meta_i,
  input wire logic                                leave_room_i,
  input wire logic                                waits_i,
  input wire logic                                gap_room_i,
  input wire logic [11:0]                         ring_place_i,
  input wire logic                                older_pending_i,
  input wire logic                                result_room_i
);
  cst_state_pkg::config_t config;
  cst_state_pkg::result_t result;
  logic stopped, op_ready, state_write, state_id, dirty, leave, result_valid, busy, done;
  cst_state_pkg::state_t state;
  always_comb begin
    config = '0;
    config.replace = 1'b1;
    config.value_bytes = 7'd16;
    config.entry_units = 2'd2;
    config.key_words = 2'd1;
    config.log_shift = 5'd11;
    config.log_mask = 12'd15;
    config.log_budget = 13'd8;
    config.log_ready = 13'd8;
  end

  cst_state_execute u_execute (
    .clk_i, .rst_ni, .config_i(config), .load_i, .control_i, .control_o(), .resume_i,
    .stopped_o(stopped), .op_valid_i, .op_ready_o(op_ready), .op_i, .op_sums_i(1'b0),
    .sums_valid_i(1'b0), .sums_ready_o(), .sums_i('0),
    .ident_write_i, .ident_id_i, .ident_i, .known_valid_i, .known_id_i, .known_i,
    .line_read_o(), .line_read_id_o(), .even_meta_i, .odd_meta_i,
    .even_update_o(), .odd_update_o(),
    .state_write_o(state_write), .state_id_o(state_id), .state_done_o(), .state_o(state),
    .key_dirty_o(dirty), .key_leave_o(leave), .key_look_o(), .key_leave_room_i(leave_room_i),
    .key_ask_id_o(), .key_waits_i(waits_i), .parity_o(), .gap_valid_o(), .gap_room_i,
    .gap_unit_o(), .gap_units_o(), .map_write_o(), .map_segment_o(), .map_place_o(),
    .ring_place_i, .older_pending_i, .result_valid_o(result_valid), .result_room_i,
    .result_o(result), .done_o(done), .append_o(), .insert_o(), .restore_o(), .wait_record_o(),
    .busy_o(busy)
  );
  logic take;
  assign take = op_valid_i && op_ready;

  // ---- The stages inside -----------------------------------------------------------------------
  (* hierconn *) wire \u_execute.s1_valid_q ;
  (* hierconn *) wire \u_execute.s2_valid_q ;
  (* hierconn *) wire \u_execute.s3_valid_q ;
  (* hierconn *) wire \u_execute.s4_valid_q ;
  (* hierconn *) wire [cst_state_pkg::QueuedBits-1:0] \u_execute.s1_op_q ;
  (* hierconn *) wire [cst_state_pkg::QueuedBits-1:0] \u_execute.s2_op_q ;
  (* hierconn *) wire [cst_state_pkg::QueuedBits-1:0] \u_execute.s3_op_q ;
  (* hierconn *) wire [cst_state_pkg::QueuedBits-1:0] \u_execute.s4_op_q ;
  (* hierconn *) wire [cst_state_pkg::StateBits-1:0] \u_execute.s3_state_q ;
  (* hierconn *) wire [cst_state_pkg::StateBits-1:0] \u_execute.s4_old_q ;
  (* hierconn *) wire \u_execute.stops ;
  (* hierconn *) wire \u_execute.u_result.address_q ;
  (* hierconn *) wire [cst_state_pkg::StateBits-1:0] \u_execute.u_result.data_o ;
  (* hierconn *) wire [cst_state_pkg::StateBits-1:0] \u_execute.u_result.memory_q[0] ;
  (* hierconn *) wire [cst_state_pkg::StateBits-1:0] \u_execute.u_result.memory_q[1] ;
  (* hierconn *) wire \u_execute.u_known.address_q ;
  (* hierconn *) wire [cst_state_pkg::StateBits-1:0] \u_execute.u_known.data_o ;
  (* hierconn *) wire [cst_state_pkg::StateBits-1:0] \u_execute.u_known.memory_q[0] ;
  (* hierconn *) wire [cst_state_pkg::StateBits-1:0] \u_execute.u_known.memory_q[1] ;
  cst_state_pkg::queued_t s1, s2, s3, s4;
  assign s1 = \u_execute.s1_op_q ;
  assign s2 = \u_execute.s2_op_q ;
  assign s3 = \u_execute.s3_op_q ;
  assign s4 = \u_execute.s4_op_q ;
  logic v1, v2, v3, v4;
  assign {v1, v2, v3, v4} = {\u_execute.s1_valid_q , \u_execute.s2_valid_q ,
                             \u_execute.s3_valid_q , \u_execute.s4_valid_q };

  // ---- A key's id: what was read, what its last operation left ---------------------------------
  (* anyconst *) logic id;
  logic [1:0] phase_q;  // no key; an id; known; used
  logic left_q;         // an operation of it is done: `state_q` is what it left
  logic [cst_state_pkg::StateBits-1:0] known_q, state_q;
  logic [31:0] taken_q, gone_q;
  logic o1, o2, o3, o4;  // a stage has an operation on it
  assign o1 = v1 && s1.uses_key && s1.id == id;
  assign o2 = v2 && s2.uses_key && s2.id == id;
  assign o3 = v3 && s3.uses_key && s3.id == id;
  assign o4 = v4 && s4.uses_key && s4.id == id;
  always_ff @(posedge clk_i) begin
    if (known_valid_i && known_id_i == id) known_q <= known_i;
    if (state_write && state_id == id) state_q <= state;
    if (!rst_ni) begin
      phase_q <= '0;
      left_q <= 1'b0;
      taken_q <= '0;
      gone_q <= '0;
    end else begin
      taken_q <= taken_q + 32'(take);
      gone_q <= gone_q + 32'(v4);
      if (take && op_i.uses_key && op_i.id == id) phase_q <= 2'd3;
      if (known_valid_i && known_id_i == id) phase_q <= 2'd2;
      if (ident_write_i && ident_id_i == id) begin
        phase_q <= 2'd1;
        left_q <= 1'b0;
      end else if (state_write && state_id == id) begin
        left_q <= 1'b1;
      end
    end
  end

  // ---- What those around it keep to ------------------------------------------------------------
  initial assume (!rst_ni);
  always_comb begin
    assume (op_i.row == taken_q);
    assume (!op_i.uses_key || cst_state_pkg::uses_key(op_i.kind));
    if (load_i || resume_i) assume (!busy && !op_valid_i);
    if (op_valid_i && op_i.uses_key && op_i.id == id)
      assume (phase_q == (op_i.first ? 2'd2 : 2'd3));
    if (known_valid_i && known_id_i == id) assume (phase_q == 2'd1);
    if (ident_write_i && ident_id_i == id)
      assume ((phase_q == 2'd0 || phase_q == 2'd3) && !o1 && !o2 && !o3 && !o4 &&
              !(op_valid_i && op_i.uses_key && op_i.id == id));
  end

  logic [cst_state_pkg::StateBits-1:0] after4, known_word, result_word;
  assign after4 = o4 ? state : state_q;
  assign known_word = id ? \u_execute.u_known.memory_q[1] : \u_execute.u_known.memory_q[0] ;
  assign result_word = id ? \u_execute.u_result.memory_q[1] : \u_execute.u_result.memory_q[0] ;
  cst_state_pkg::state_t seen;
  assign seen = s4.first ? known_q : state_q;

  always_comb if (rst_ni) begin
    // in order, each once
    leaves_in_order: assert (!v4 || s4.row == gone_q);
    none_lost: assert (taken_q == gone_q + 32'(v1) + 32'(v2) + 32'(v3) + 32'(v4));
    uses_are_given_up: assert (leave == (v4 && s4.uses_key));
    result_is_its: assert (!result_valid || result.row == gone_q ||
                           (stopped && s4.kind == cst_state_pkg::KindEnd));
    // on the newest state
    sees_the_newest: assert (!(o4 && (!stopped || s4.first)) || \u_execute.s4_old_q == seen);
    looks_up_the_newest: assert (!(o4 && result_valid && result.found) ||
                                 (seen.present && result.value == seen.value));
    writes_when_done: assert (!(state_write && state_id == id) ||
                              (o4 && (done || (s4.first && state == known_q))));
    dirty_is_done: assert (!dirty || (done && state_write));
    // inside
    rows: assert ((!v3 || s3.row == gone_q + 32'(v4)) &&
                  (!v2 || s2.row == gone_q + 32'(v4) + 32'(v3)) &&
                  (!v1 || s1.row == gone_q + 32'(v4) + 32'(v3) + 32'(v2)));
    kinds: assert ((!o1 && !o2 && !o3 && !o4) || phase_q == 2'd3);
    firsts: assert (!(o4 && s4.first && (left_q || (o3 && s3.first) || (o2 && s2.first) ||
                                         (o1 && s1.first))) &&
                    !(o3 && s3.first && (left_q || o4 || (o2 && s2.first) || (o1 && s1.first))) &&
                    !(o2 && s2.first && (left_q || o4 || o3 || (o1 && s1.first))) &&
                    !(o1 && s1.first && (left_q || o4 || o3 || o2)));
    followers: assert (!(o4 && !s4.first && !left_q) && !(o3 && !s3.first && !left_q && !o4) &&
                       !(o2 && !s2.first && !left_q && !o4 && !o3) &&
                       !(o1 && !s1.first && !left_q && !o4 && !o3 && !o2));
    used_has_begun: assert (phase_q != 2'd3 || left_q || o1 || o2 || o3 || o4);
    unused_has_not: assert (phase_q == 2'd3 || !left_q);
    read_is_kept: assert (phase_q < 2'd2 || known_word == known_q);
    left_is_kept: assert (!left_q || result_word == state_q);
    asked: assert (!o2 || (\u_execute.u_known.address_q == id &&
                           \u_execute.u_result.address_q == id &&
                           \u_execute.u_known.data_o == known_q &&
                           (!left_q || \u_execute.u_result.data_o == state_q)));
    stage_3: assert (!o3 || (s3.first ? \u_execute.s3_state_q == known_q :
                             stopped || \u_execute.stops || \u_execute.s3_state_q == after4));
    one_between: cover (o4 && !o3 && v3 && o2 && done && dirty);
    stopped_and_first: cover (o4 && s4.first && stopped);
  end
endmodule
`default_nettype wire
