// cst_state_execute_cover: hazards by distance, each operation and how it ends, each accumulator of
// each number, what execution waits for, and what a reset finds.
//
// Distance n: n clocks, in which nothing waited, behind the operation that is meant.
`default_nettype none
module cst_state_execute_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire cst_state_pkg::config_t config_i,
  input wire logic       go,
  input wire logic       s1_valid_q,
  input wire logic       s2_valid_q,
  input wire logic       s3_valid_q,
  input wire logic       s4_valid_q,
  input wire logic       stopped_q,
  input wire logic       stops,
  input wire logic       resume_i,
  input wire cst_state_pkg::queued_t s3_op_q,
  input wire cst_state_pkg::queued_t s4_op_q,
  input wire logic [9:0] s3_even_id_q,
  input wire logic [9:0] s3_odd_id_q,
  input wire logic       s3_live,
  input wire logic       s3_upsert,
  input wire logic       s3_delete,
  input wire logic       s3_append,
  input wire logic       s3_insert,
  input wire logic       s3_second,
  input wire logic       s3_lives,
  input wire logic       s3_present,
  input wire logic       s3_put,
  input wire logic       s3_drop,
  input wire logic       s3_pad,
  input wire logic       s3_odd,
  input wire logic [3:0] s3_slot,
  input wire logic       s3_takes,
  input wire logic [1:0] s3_gap,
  input wire logic       from_ring,
  input wire logic [7:0] seen,
  input wire logic [7:0] nulls,
  input wire logic [7:0] wrong,
  input wire logic       result_valid_o,
  input wire cst_state_pkg::result_t result_o,
  input wire logic       wait_record_o,
  input wire logic       key_leave_room_i,
  input wire logic       result_room_i,
  input wire logic       gap_room_i,
  input wire logic       waits_for_sums,
  input wire logic       waits_for_answers,
  input wire logic       waits_for_barrier
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  // ---- Hazards: what passed stage 3 in the last four clocks -------------------------------------
  typedef struct packed {
    logic uses;
    logic writes;
    logic frees;      // its slot
    logic odd;
    logic [3:0] slot;
    logic [9:0] id;
    logic [9:0] even;
    logic [9:0] odd_line;
  } passed_t;
  passed_t now, h1_q, h2_q, h3_q, h4_q;
  logic passes;

  assign passes = rst_ni && s3_live && go && !stops;
  always_comb begin
    now = '0;
    now.uses = passes && s3_op_q.uses_key;
    now.writes = passes && (s3_upsert || s3_delete);
    now.frees = passes && s3_delete;
    now.odd = s3_odd;
    now.slot = s3_slot;
    now.id = s3_op_q.id;
    now.even = s3_even_id_q;
    now.odd_line = s3_odd_id_q;
  end
  always_ff @(posedge clk_i) begin
    h1_q <= now;
    h2_q <= h1_q;
    h3_q <= h2_q;
    h4_q <= h3_q;
    if (!rst_ni) {h1_q, h2_q, h3_q, h4_q} <= '0;
  end

`define CST_DISTANCE(N, H) \
  begin \
    same_key_written_``N: cover (now.writes && H.writes && H.id == now.id); \
    same_key_read_``N: cover (now.uses && !now.writes && H.writes && H.id == now.id); \
    even_line_of_another_key_``N: cover (now.uses && H.writes && H.id != now.id && \
                                         H.even == now.even); \
    odd_line_of_another_key_``N: cover (now.uses && H.writes && H.id != now.id && \
                                        H.odd_line == now.odd_line); \
    slot_freed_and_taken_``N: cover (s3_insert && H.frees && H.id != now.id && \
                                     H.odd == now.odd && H.slot == now.slot && \
                                     (now.odd ? H.odd_line == now.odd_line : H.even == now.even)); \
  end
  always_ff @(posedge clk_i) if (passes) begin
    `CST_DISTANCE(1, h1_q)
    `CST_DISTANCE(2, h2_q)
    `CST_DISTANCE(3, h3_q)
    `CST_DISTANCE(4, h4_q)
    two_keys_by_turns: cover (now.writes && h1_q.writes && h2_q.writes && h3_q.writes &&
                              now.id != h1_q.id && now.id == h2_q.id && h1_q.id == h3_q.id);
    one_key_five_times: cover (now.writes && h1_q.writes && h2_q.writes && h3_q.writes &&
                               h4_q.writes && now.id == h1_q.id && now.id == h2_q.id &&
                               now.id == h3_q.id && now.id == h4_q.id);
  end
  always_ff @(posedge clk_i) if (rst_ni && stops) begin
    same_key_behind_one_that_fails: cover (s3_valid_q && s3_op_q.uses_key &&
                                           s3_op_q.id == s4_op_q.id);
    first_operation_of_its_key_fails: cover (s4_op_q.first);
  end

  // ---- Operations -------------------------------------------------------------------------------
  always_ff @(posedge clk_i) if (passes) begin
    upsert_inserts: cover (s3_insert && !s3_put && !s3_second);
    upsert_inserts_into_its_second_bucket: cover (s3_insert && !s3_put && s3_second);
    upsert_appends: cover (s3_upsert && !s3_insert && s3_append);
    upsert_in_place: cover (s3_upsert && !s3_insert && !s3_append && !s3_put);
    upsert_of_a_row_past_its_time: cover (s3_upsert && !s3_put && s3_present && !s3_lives);
    delete_appends: cover (s3_delete && s3_op_q.kind == cst_state_pkg::KindDelete && s3_append);
    delete_in_place: cover (s3_delete && s3_op_q.kind == cst_state_pkg::KindDelete && !s3_append);
    delete_of_none: cover (s3_op_q.kind == cst_state_pkg::KindDelete && !s3_present);
    delete_of_a_row_past_its_time: cover (s3_op_q.kind == cst_state_pkg::KindDelete &&
                                          s3_present && !s3_lives);
    lookup_finds: cover (s3_op_q.kind == cst_state_pkg::KindLookup && s3_lives);
    lookup_of_none: cover (s3_op_q.kind == cst_state_pkg::KindLookup && !s3_present);
    lookup_of_a_row_past_its_time: cover (s3_op_q.kind == cst_state_pkg::KindLookup &&
                                          s3_present && !s3_lives);
    barrier_with_a_gap: cover (s3_op_q.kind == cst_state_pkg::KindBarrier && s3_pad);
    barrier_without_a_gap: cover (s3_op_q.kind == cst_state_pkg::KindBarrier && !s3_pad);
    end_: cover (s3_op_q.kind == cst_state_pkg::KindEnd);
    expire_takes: cover (s3_op_q.kind == cst_state_pkg::KindExpire && s3_delete);
    expire_leaves_a_row_that_was_renewed: cover (s3_op_q.kind == cst_state_pkg::KindExpire &&
                                                 s3_lives);
    expire_of_none: cover (s3_op_q.kind == cst_state_pkg::KindExpire && !s3_present);
    put_inserts: cover (s3_put && s3_insert);
    put_replaces: cover (s3_put && s3_upsert && !s3_insert);
    drop_takes: cover (s3_drop && s3_delete);
    drop_of_none: cover (s3_drop && !s3_present);
    gap_of_one: cover (s3_append && s3_gap == 2'd1);
    gap_of_two: cover (s3_append && s3_gap == 2'd2);
    segment_from_the_ring: cover (s3_append && s3_takes && from_ring);
    segment_never_used: cover (s3_append && s3_takes && !from_ring);
    value_replaced: cover (s3_upsert && !s3_put && config_i.replace);
    presence_kept: cover (s3_upsert && !s3_put && config_i.has_presence);
  end

`define CST_ENDS(Name, Code) Name: cover (stops && result_o.code == cst_pkg::Code);
  always_ff @(posedge clk_i) if (rst_ni) begin
    `CST_ENDS(stops_key_too_long, CodeKeyTooLong)
    `CST_ENDS(stops_sum_overflow, CodeSumOverflow)
    `CST_ENDS(stops_table_full, CodeTableFull)
    `CST_ENDS(stops_table_budget, CodeTableBudget)
    `CST_ENDS(stops_table_not_ready, CodeTableNotReady)
    `CST_ENDS(stops_unsupported, CodeUnsupported)
    aborted_upsert: cover (s4_valid_q && stopped_q && s4_op_q.kind == cst_state_pkg::KindUpsert);
    aborted_delete: cover (s4_valid_q && stopped_q && s4_op_q.kind == cst_state_pkg::KindDelete);
    aborted_lookup: cover (result_valid_o && stopped_q &&
                           s4_op_q.kind == cst_state_pkg::KindLookup);
    aborted_barrier: cover (result_valid_o && stopped_q &&
                            s4_op_q.kind == cst_state_pkg::KindBarrier);
    end_says_where_it_stopped: cover (result_valid_o && stopped_q &&
                                      s4_op_q.kind == cst_state_pkg::KindEnd);
    resumed: cover (stopped_q && resume_i);
  end

  // ---- Accumulators: first of a row or an accumulator, later, without a source, out of range ----
  function automatic logic [7:0] lanes(input logic [2:0] op, input logic [2:0] number);
    for (integer i = 0; i < 8; i = i + 1)
      lanes[i] = config_i.lane_op[i*3 +: 3] == op && config_i.lane_number[i*3 +: 3] == number;
  endfunction
  logic upserts;
  logic [7:0] skipped;
  assign upserts = passes && s3_upsert && !s3_put && !config_i.replace;
  assign skipped = nulls & config_i.lane_source;
`define CST_ACCUMULATES(Name, Op, Number) \
    Name``_first: cover ((lanes(cst_pkg::Op, cst_pkg::Number) & ~seen & ~skipped) != '0); \
    Name``_later: cover ((lanes(cst_pkg::Op, cst_pkg::Number) & seen & ~skipped) != '0); \
    Name``_null: cover ((lanes(cst_pkg::Op, cst_pkg::Number) & skipped) != '0);
`define CST_LEAVES(Name, Op, Number) \
    Name``_out_of_range: cover ((lanes(cst_pkg::Op, cst_pkg::Number) & wrong) != '0);
  always_ff @(posedge clk_i) if (upserts) begin
    `CST_ACCUMULATES(count, AccCount, NumberU64)
    `CST_ACCUMULATES(sum_u64, AccSum, NumberU64)
    `CST_ACCUMULATES(sum_i64, AccSum, NumberI64)
    `CST_ACCUMULATES(sum_f64, AccSum, NumberF64)
    `CST_ACCUMULATES(sum_decimal128, AccSum, NumberDecimal128)
    `CST_ACCUMULATES(min_u64, AccMin, NumberU64)
    `CST_ACCUMULATES(min_i64, AccMin, NumberI64)
    `CST_ACCUMULATES(min_f64, AccMin, NumberF64)
    `CST_ACCUMULATES(min_decimal128, AccMin, NumberDecimal128)
    `CST_ACCUMULATES(max_u64, AccMax, NumberU64)
    `CST_ACCUMULATES(max_i64, AccMax, NumberI64)
    `CST_ACCUMULATES(max_f64, AccMax, NumberF64)
    `CST_ACCUMULATES(max_decimal128, AccMax, NumberDecimal128)
    `CST_ACCUMULATES(last_u64, AccLast, NumberU64)
    `CST_ACCUMULATES(last_i64, AccLast, NumberI64)
    `CST_ACCUMULATES(last_f64, AccLast, NumberF64)
    `CST_ACCUMULATES(last_decimal128, AccLast, NumberDecimal128)
    `CST_LEAVES(sum_u64, AccSum, NumberU64)
    `CST_LEAVES(sum_i64, AccSum, NumberI64)
  end

  // ---- Waits, resets ----------------------------------------------------------------------------
  always_ff @(posedge clk_i) begin
    if (rst_ni && s3_valid_q) begin
      waits_for_a_record_to_leave: cover (wait_record_o);
      waits_for_pins: cover (!key_leave_room_i);
      waits_for_results: cover (!result_room_i);
      waits_for_gaps: cover (!gap_room_i);
      waits_for_sums_of_doubles: cover (waits_for_sums);
      barrier_waits_for_the_epoch_before_it: cover (waits_for_answers);
      barrier_right_behind_a_barrier: cover (waits_for_barrier);
    end
    reset_while_empty: cover (resets && !s1_valid_q && !s2_valid_q && !s3_valid_q && !s4_valid_q);
    reset_with_1: cover (resets && s1_valid_q);
    reset_with_2: cover (resets && s2_valid_q);
    reset_with_3: cover (resets && s3_valid_q);
    reset_with_4: cover (resets && s4_valid_q);
    reset_while_it_waits: cover (resets && s3_valid_q && !go);
    reset_while_stopped: cover (resets && stopped_q);
  end
`undef CST_DISTANCE
`undef CST_ENDS
`undef CST_ACCUMULATES
`undef CST_LEAVES
endmodule
bind cst_state_execute cst_state_execute_cover u_cover (
  .s3_present(s3_state_q.present), .from_ring(s3_control_q.free_count != '0),
  .seen(s3_seen), .nulls(s3_op_q.nulls), .wrong(s3_wrong),
  .waits_for_sums(s3_sums_q && !sums_valid_i), .waits_for_answers(s3_barrier && older_pending_i),
  .waits_for_barrier(s3_barrier && s4_valid_q && s4_barrier_q), .*
);
`default_nettype wire
