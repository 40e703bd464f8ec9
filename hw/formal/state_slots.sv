// state_slots: cst_state_execute takes and frees slots of a line as the operation before left it.
// Shows      what an operation sees of a control line is what the one before it on it left, at
//            any distance in the stages, whatever they wait for; a slot it takes was free then,
//            be it freed by the operation right before; what is not done changes no line; a filter
//            loses no bit.
// Reduced    as state_execute is as a test; the even half, the odd one is the same text.
// Given      that a line that was asked for is answered as it stands, current (formal.state_lines),
//            and is filled when no operation on it is in the stages.
// How        one line, any, is followed: it stands outside.
//: reduce cst_state_pkg: IdBits = 10; ==> IdBits = 1;
//: reduce cst_state_pkg: Ids = 1024; ==> Ids = 2;
//: reduce cst_state_pkg: IdentBits = 275; ==> IdentBits = 257;
//: reduce cst_state_pkg: Lanes = 8; ==> Lanes = 2;
//: reduce cst_state_pkg: StateBits = 566; ==> StateBits = 182;
//: reduce cst_state_pkg: QueuedBits = 584; ==> QueuedBits = 185;
//: reduce cst_state_pkg: [511:0] ==> [127:0]
//: reduce cst_state_execute: [511:0] ==> [127:0]
//: reduce cst_state_value: [511:0] ==> [127:0]
//: reduce cst_state_pkg: IdentBits = 257; ==> IdentBits = 137;
//: reduce cst_state_pkg: StateBits = 182; ==> StateBits = 30;
//: reduce cst_state_pkg: QueuedBits = 185; ==> QueuedBits = 37;
//: reduce cst_state_pkg: MetaBits = 144; ==> MetaBits = 24;
//: reduce cst_state_pkg: UnitBits = 48; ==> UnitBits = 16;
//: reduce cst_state_pkg: logic [31:0] row; ==> logic [3:0] row;
//: reduce cst_state_pkg: logic [63:0] rows_count; ==> logic [3:0] rows_count;
//: reduce cst_state_pkg: logic [63:0] epoch; ==> logic [3:0] epoch;
//: reduce cst_state_pkg: [127:0] ==> [7:0]
//: reduce cst_state_execute: [127:0] ==> [7:0]
//: reduce cst_state_execute: logic [31:0] row_q; ==> logic [3:0] row_q;
//: prove induction 2
//: cover 8
//: mistake misses_the_one_before in cst_state_execute: if (s3_valid_q && s3_op_q.uses_key && s3_even_id_q == s2_even_id_q) ==> if (1'b0)
//: mistake misses_the_second_before in cst_state_execute: if (even_update_o.write && even_update_o.id == s2_even_id_q) ==> if (1'b0)
//: mistake changes_when_stopped in cst_state_execute: even_update_o.write = s4_done && s4_even_q.write; ==> even_update_o.write = s4_valid_q && s4_even_q.write;
//: mistake frees_another in cst_state_execute: s3_even_next.occupied[s3_slot] = s3_insert; ==> s3_even_next.occupied[s3_free] = s3_insert;
`default_nettype none
module state_slots (
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
  input wire logic                                result_room_i,
  input wire logic                                fill_i,
  input wire logic [cst_state_pkg::MetaBits-1:0]  fill_meta_i
);
  cst_state_pkg::config_t config;
  cst_state_pkg::line_update_t update;
  cst_state_pkg::meta_t meta;
  logic stopped, op_ready, line_read, busy, done, insert;
  logic [1:0] line_read_id;
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
    .line_read_o(line_read), .line_read_id_o(line_read_id), .even_meta_i, .odd_meta_i,
    .even_update_o(update), .odd_update_o(),
    .state_write_o(), .state_id_o(), .state_done_o(), .state_o(),
    .key_dirty_o(), .key_leave_o(), .key_look_o(), .key_leave_room_i(leave_room_i),
    .key_ask_id_o(), .key_waits_i(waits_i), .parity_o(), .gap_valid_o(), .gap_room_i,
    .gap_unit_o(), .gap_units_o(), .map_write_o(), .map_segment_o(), .map_place_o(),
    .ring_place_i, .older_pending_i, .result_valid_o(), .result_room_i,
    .result_o(), .done_o(done), .append_o(), .insert_o(insert), .restore_o(), .wait_record_o(),
    .busy_o(busy)
  );

  // ---- The stages inside -----------------------------------------------------------------------
  (* hierconn *) wire \u_execute.s2_valid_q ;
  (* hierconn *) wire \u_execute.s3_valid_q ;
  (* hierconn *) wire \u_execute.s4_valid_q ;
  (* hierconn *) wire \u_execute.s2_even_id_q ;
  (* hierconn *) wire \u_execute.s3_even_id_q ;
  (* hierconn *) wire [cst_state_pkg::MetaBits-1:0] \u_execute.s3_even_q ;
  (* hierconn *) wire [cst_state_pkg::QueuedBits-1:0] \u_execute.s3_op_q ;
  (* hierconn *) wire \u_execute.stops ;
  cst_state_pkg::queued_t s3;
  assign s3 = \u_execute.s3_op_q ;

  // ---- A line: as it stands outside, and who asked for one last --------------------------------
  (* anyconst *) logic line;
  cst_state_pkg::meta_t line_q, after4;
  logic asked_q, writes, freed_q, again_q;
  logic [3:0] slot_q;
  assign writes = update.write && update.id == line;
  assign after4 = writes ? update.meta : line_q;
  always_ff @(posedge clk_i) begin
    if (line_read) asked_q <= line_read_id[0];
    if (writes) line_q <= update.meta;
    else if (fill_i) line_q <= fill_meta_i;
    slot_q <= update.slot;
    freed_q <= rst_ni && writes && update.retag && !insert;
    again_q <= rst_ni && freed_q && writes && update.retag && insert && update.slot == slot_q;
  end
  assign meta = even_meta_i;

  // ---- What those around it keep to ------------------------------------------------------------
  logic in_2, in_3, in_4;
  assign in_2 = \u_execute.s2_valid_q && \u_execute.s2_even_id_q == line;
  assign in_3 = \u_execute.s3_valid_q && s3.uses_key && \u_execute.s3_even_id_q == line;
  initial assume (!rst_ni);
  always_comb begin
    assume (!op_i.uses_key || cst_state_pkg::uses_key(op_i.kind));
    if (load_i || resume_i) assume (!busy && !op_valid_i);
    if (asked_q == line) assume (meta == line_q);
    if (fill_i) assume (!in_2 && !in_3 && !in_4);
  end
  assign in_4 = \u_execute.s4_valid_q ;

  always_comb if (rst_ni) begin
    asked: assert (!\u_execute.s2_valid_q || \u_execute.s2_even_id_q == asked_q);
    sees_the_newest: assert (!in_3 || stopped || \u_execute.stops ||
                             \u_execute.s3_even_q == after4);
    changes_when_done: assert (!update.write || done);
    takes_what_is_free: assert (!(writes && update.retag && insert) ||
                                (!line_q.occupied[update.slot] &&
                                 update.meta.occupied[update.slot]));
    changes_its_slot: assert (!writes || ((update.meta.occupied ^ line_q.occupied) &
                                          ~(16'(update.retag) << update.slot)) == '0);
    filter_grows: assert (!writes || (line_q.overflow & ~update.meta.overflow) == '0);
    freed_and_taken_by_the_next: cover (again_q);
    full_line_spills: cover (writes && !update.retag && insert);
  end
endmodule
`default_nettype wire
