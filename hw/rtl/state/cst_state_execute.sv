// cst_state_execute: the operations, in order, one a clock.
// Promises   each sees all before it and none behind it. One that cannot be done changes nothing
//            and stops the unit: what follows does nothing, and says so, until resume_i, which
//            comes while the unit is idle. A copy that is written goes to its queue once.
//
// stage    known                          decided
// 0        operation, its key is known
// 1        its lines' ids
// 2        state of key and lines, as of the operations before 3 and 4; theirs come in here
// 3        all of it                      found; in place or append; place; the new value
// 4        whether all went well          done: state, lines, log, or nothing and stopped
//
// What RESTORE brings has no record: its unit is 0, and that of a row that was there is forgotten.
// A row past its time is there for what takes its slot, and absent for all else.
// The loops: a value through 3 and the way back into 3 (its time compared beside what it would be,
// one carry chain each, then a mux); a line's slots and the log's tail likewise. 3 works on what 4
// has not confirmed; if 4 does not, nothing is written any more and 3 begins anew from what 4
// confirmed.
// Waits at 3  for the row's sums of doubles (cst_state_issue), for an old record that is not yet
//             out (an append would lose it), or an old slot that is not yet empty there (an insert
//             would), and before a barrier until the barrier before it is done with its answers.
`default_nettype none
module cst_state_execute #(
  localparam int unsigned IdBits = cst_state_pkg::IdBits,
  localparam int unsigned UnitBits = cst_state_pkg::UnitBits,
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits
) (
  input  wire logic                      clk_i,
  input  wire logic                      rst_ni,
  input  wire cst_state_pkg::config_t    config_i,
  // the control block
  input  wire logic                      load_i,
  input  wire cst_state_pkg::control_t   control_i,
  output      cst_state_pkg::control_t   control_o,
  input  wire logic                      resume_i,
  output      logic                      stopped_o,
  // operations
  input  wire logic                      op_valid_i,
  output      logic                      op_ready_o,
  input  wire cst_state_pkg::queued_t    op_i,
  input  wire logic                      op_sums_i,        // it has sums of doubles, in order
  input  wire logic                      sums_valid_i,
  output      logic                      sums_ready_o,
  input  wire logic [511:0]              sums_i,
  // what is known of keys
  input  wire logic                      ident_write_i,
  input  wire logic [IdBits-1:0]         ident_id_i,
  input  wire cst_state_pkg::ident_t     ident_i,
  input  wire logic                      known_valid_i,
  input  wire logic [IdBits-1:0]         known_id_i,
  input  wire cst_state_pkg::state_t     known_i,
  // lines
  output      logic                      line_read_o,
  output      logic [2*IdBits-1:0]       line_read_id_o,
  input  wire cst_state_pkg::meta_t      even_meta_i,
  input  wire cst_state_pkg::meta_t      odd_meta_i,
  output      cst_state_pkg::line_update_t even_update_o,
  output      cst_state_pkg::line_update_t odd_update_o,
  // what goes out
  output      logic                      state_write_o,
  output      logic [IdBits-1:0]         state_id_o,
  output      logic                      state_done_o,     // an operation that may write it is over
  output      cst_state_pkg::state_t     state_o,
  output      logic                      key_dirty_o,
  output      logic                      key_leave_o,
  output      logic                      key_look_o,
  input  wire logic                      key_leave_room_i,
  output      logic [IdBits-1:0]         key_ask_id_o,
  input  wire logic                      key_waits_i,
  output      logic                      parity_o,
  output      logic                      gap_valid_o,
  input  wire logic                      gap_room_i,       // for two
  output      logic [UnitBits-1:0]       gap_unit_o,
  output      logic [1:0]                gap_units_o,
  // a log segment's place
  output      logic                      map_write_o,
  output      logic [PlaceBits-1:0]      map_segment_o,
  output      logic [PlaceBits-1:0]      map_place_o,
  input  wire logic [PlaceBits-1:0]      ring_place_i,     // at control_o.free_first
  // answers that a barrier waits for
  input  wire logic                      older_pending_i,  // of the epoch before the open one
  // results
  output      logic                      result_valid_o,
  input  wire logic                      result_room_i,    // for two
  output      cst_state_pkg::result_t    result_o,
  // counts
  output      logic                      done_o,
  output      logic                      append_o,
  output      logic                      insert_o,
  output      logic                      restore_o,
  output      logic                      wait_record_o,
  output      logic                      busy_o
);
  localparam int unsigned IdentBits = cst_state_pkg::IdentBits;
  localparam int unsigned StateBits = cst_state_pkg::StateBits;
  localparam int unsigned Lanes = cst_state_pkg::Lanes;

  logic go, hold;

  // ---- 0, 1 -------------------------------------------------------------------------------------
  assign op_ready_o = go;

  logic s1_valid_q, s1_sums_q;
  cst_state_pkg::queued_t s1_op_q;
  cst_state_pkg::ident_t s1_ident;

  cst_state_ram #(.Width(IdentBits), .AddressBits(IdBits)) u_ident (
    .clk_i, .write_i(ident_write_i), .write_address_i(ident_id_i), .write_data_i(ident_i),
    .read_i(go), .read_address_i(op_i.id), .data_o(s1_ident)
  );
  assign line_read_o = go;
  assign line_read_id_o = {s1_ident.odd_id, s1_ident.even_id};

  // ---- 2 ----------------------------------------------------------------------------------------
  logic s2_valid_q, s2_first_odd_q, s2_sums_q;
  cst_state_pkg::queued_t s2_op_q;
  logic [IdBits-1:0] s2_even_id_q, s2_odd_id_q;
  cst_state_pkg::state_t s2_result, s2_known, s2_state;
  cst_state_pkg::meta_t s2_even, s2_odd;

  cst_state_ram #(.Width(StateBits), .AddressBits(IdBits)) u_known (
    .clk_i, .write_i(known_valid_i), .write_address_i(known_id_i), .write_data_i(known_i),
    .read_i(go), .read_address_i(s1_op_q.id), .data_o(s2_known)
  );
  cst_state_ram #(.Width(StateBits), .AddressBits(IdBits)) u_result (
    .clk_i, .write_i(state_write_o), .write_address_i(state_id_o), .write_data_i(state_o),
    .read_i(go), .read_address_i(s1_op_q.id), .data_o(s2_result)
  );

  logic s3_valid_q, s4_valid_q;
  cst_state_pkg::queued_t s3_op_q, s4_op_q;
  cst_state_pkg::state_t s3_next, s4_next_q;
  logic [IdBits-1:0] s3_even_id_q, s3_odd_id_q;
  cst_state_pkg::meta_t s3_even_next, s3_odd_next;
  cst_state_pkg::line_update_t s4_even_q, s4_odd_q;

  // Its value's way back is in cst_state_value; of the presence word there is a copy.
  logic s2_follows, s2_from_4;
  logic [511:0] s2_value;
  logic [15:0] s2_presence, s3_presence_q, s3_presence_next, s4_presence_q, s4_presence_old_q;
  assign s2_follows = !s2_op_q.first && s3_valid_q && s3_op_q.uses_key &&
                      s3_op_q.id == s2_op_q.id &&
                      !cst_mistake_pkg::planted(cst_mistake_pkg::Hazard);
  assign s2_from_4 = !s2_op_q.first && state_write_o && state_id_o == s2_op_q.id;
  always_comb begin
    s2_state = s2_op_q.first ? s2_known : s2_result;
    s2_presence = s2_state.value[{config_i.presence_lane, 6'd0} +: 16];
    if (s2_from_4) begin
      s2_state = state_o;
      s2_presence = s4_done ? s4_presence_q : s4_presence_old_q;
    end
    s2_value = s2_state.value;
    if (s2_follows) begin
      s2_state = s3_next;
      s2_presence = s3_presence_next;
    end
    s2_even = even_meta_i;
    s2_odd = odd_meta_i;
    if (even_update_o.write && even_update_o.id == s2_even_id_q) s2_even = even_update_o.meta;
    if (odd_update_o.write && odd_update_o.id == s2_odd_id_q) s2_odd = odd_update_o.meta;
    if (s3_valid_q && s3_op_q.uses_key && s3_even_id_q == s2_even_id_q) s2_even = s3_even_next;
    if (s3_valid_q && s3_op_q.uses_key && s3_odd_id_q == s2_odd_id_q) s2_odd = s3_odd_next;
  end

  logic [511:0] s2_operands;
  logic [15:0] s2_sees;
  cst_state_pkg::plan_t s2_plan;
  logic s2_supported;
  cst_state_operands u_operands (
    .config_i, .upsert_i(s2_op_q.kind == cst_state_pkg::KindUpsert), .nulls_i(s2_op_q.nulls),
    .operands_i(s2_op_q.operands), .operands_o(s2_operands), .plan_o(s2_plan),
    .presence_o(s2_sees), .supported_o(s2_supported)
  );

  // ---- 3 ----------------------------------------------------------------------------------------
  logic s3_first_odd_q, s3_sums_q, stopped_q, stops;
  cst_state_pkg::state_t s3_state_q;
  cst_state_pkg::meta_t s3_even_q, s3_odd_q;
  cst_state_pkg::control_t s3_control_q, s3_control, control_q;
  logic s3_upsert, s3_delete, s3_barrier, s3_live, s3_append, s3_insert, s3_second, s3_full;
  logic s3_here, s3_odd, s3_pad, s3_lives, s3_put, s3_drop;
  logic [3:0] s3_free, s3_slot;
  logic [511:0] s3_value, s3_back;
  logic [15:0] s3_sees_q;  // of the presence word, what the operation brings
  logic [Lanes-1:0] s3_wrong, s3_leaves, s3_its, s3_seen, s3_sums;
  logic [2*Lanes-1:0] s3_keeps;
  cst_state_pkg::plan_t s3_plan_q;
  logic s3_supported_q, s3_expired, s3_takes;
  logic [UnitBits-1:0] s3_unit, s3_tail;
  logic [15:0] log_below_q;  // of the settings, which stand still
  logic [Lanes-1:0] time_q;
  logic [1:0] s3_gap;
  cst_pkg::code_e s3_log_code, s3_code;
  cst_state_pkg::line_update_t s3_even_update, s3_odd_update;

  assign s3_live = s3_valid_q && !stopped_q;
  assign s3_put = s3_op_q.kind == cst_state_pkg::KindPut;
  assign s3_drop = s3_op_q.kind == cst_state_pkg::KindDrop;
  assign s3_upsert = s3_live && s3_op_q.uses_key &&
                     (s3_op_q.kind == cst_state_pkg::KindUpsert || s3_put);
  cst_state_past u_past (
    .time_i(time_q), .past_i(config_i.past), .value_i(s3_state_q.value), .expired_o(s3_expired)
  );
  assign s3_lives = s3_state_q.present &&
                    (!s3_expired || (s3_op_q.kind == cst_state_pkg::KindDelete &&
                      cst_mistake_pkg::planted(cst_mistake_pkg::Time)));
  assign s3_delete = s3_live && s3_op_q.uses_key && s3_state_q.present &&
                     ((s3_op_q.kind == cst_state_pkg::KindDelete && s3_lives) ||
                      (s3_op_q.kind == cst_state_pkg::KindExpire && !s3_lives) || s3_drop);
  assign s3_barrier = s3_live && s3_op_q.kind == cst_state_pkg::KindBarrier;
  logic left_behind;
  assign left_behind = cst_mistake_pkg::planted(cst_mistake_pkg::Epoch);
  assign s3_here = s3_state_q.present &&
                   s3_state_q.unit >= s3_control_q.epoch_first + UnitBits'(left_behind);
  assign s3_append = (s3_upsert || s3_delete) && !s3_put && !s3_drop && !s3_here;
  assign s3_insert = s3_upsert && !s3_state_q.present;
  assign s3_pad = s3_control_q.tail[0];

  // What an upsert asks of a word beside the chains. A decimal's halves ask for the same bit.
  assign s3_seen = (s3_its & ~s3_plan_q.upper) | ({s3_its[Lanes-2:0], 1'b0} & s3_plan_q.upper);
  always_comb begin
    for (int unsigned i = 0; i < Lanes; i++) begin
      s3_its[i] = !config_i.has_presence || s3_presence_q[config_i.lane_index[i*4 +: 4]];
      s3_sums[i] = s3_state_q.present &&
                   (s3_plan_q.joins[i] || (s3_plan_q.adds[i] && s3_seen[i]));
      s3_keeps[2*i +: 2] = {2{s3_seen[i]}} & {s3_plan_q.most[i], s3_plan_q.least[i]};
      if (s3_plan_q.doubles[i] && s3_state_q.value[i*64+63] && s3_op_q.operands[i*64+63])
        s3_keeps[2*i +: 2] = {2{s3_seen[i]}} & {s3_plan_q.least[i], s3_plan_q.most[i]};
      s3_keeps[2*i +: 2] = {2{s3_state_q.present}} &
                           (s3_keeps[2*i +: 2] | {2{s3_plan_q.keeps[i]}});
    end
    s3_presence_next = s3_presence_q;
    if (s3_upsert) begin
      s3_presence_next = s3_sees_q;
      if (s3_plan_q.joins != '0 && s3_lives) s3_presence_next = s3_presence_q | s3_sees_q;
    end
  end
  cst_state_value u_value (
    .plan_i(s3_plan_q), .upserts_i(s3_upsert), .expired_i(s3_expired), .keeps_i(s3_keeps),
    .sums_i(s3_sums), .old_i(s3_state_q.value), .operands_i(s3_op_q.operands),
    .double_sums_i(sums_i), .back_i(s2_follows), .other_i(s2_value), .next_o(s3_value),
    .back_o(s3_back), .wrong_o(s3_wrong), .leaves_o(s3_leaves)
  );
  cst_state_place u_place (
    .first_i(s3_first_odd_q ? s3_odd_q.occupied : s3_even_q.occupied),
    .second_i(s3_first_odd_q ? s3_even_q.occupied : s3_odd_q.occupied),
    .second_o(s3_second), .slot_o(s3_free), .full_o(s3_full)
  );
  cst_state_append u_append (
    .config_i, .below_i(log_below_q), .control_i(s3_control_q), .unit_o(s3_unit),
    .tail_o(s3_tail), .gap_units_o(s3_gap), .takes_o(s3_takes), .code_o(s3_log_code)
  );

  assign s3_odd = s3_insert ? s3_first_odd_q ^ s3_second : s3_state_q.odd;
  assign s3_slot = s3_insert ? s3_free : s3_state_q.slot;

  always_comb begin
    s3_next = s3_state_q;
    if (s3_upsert) begin
      s3_next.present = 1'b1;
      s3_next.odd = s3_odd;
      s3_next.slot = s3_slot;
    end
    s3_next.value = s3_value;
    if (s3_delete) s3_next.present = 1'b0;
    if (s3_append) s3_next.unit = s3_unit;
    if ((s3_put || s3_drop) && !cst_mistake_pkg::planted(cst_mistake_pkg::Restore))
      s3_next.unit = '0;
  end

  // A row in its second bucket leaves a bit in its first one's filter.
  always_comb begin
    s3_even_next = s3_even_q;
    s3_odd_next = s3_odd_q;
    if (s3_insert && s3_second && !s3_first_odd_q) s3_even_next.overflow[s3_op_q.tag[6:0]] = 1'b1;
    if (s3_insert && s3_second && s3_first_odd_q) s3_odd_next.overflow[s3_op_q.tag[6:0]] = 1'b1;
    if ((s3_insert || s3_delete) && !s3_odd) s3_even_next.occupied[s3_slot] = s3_insert;
    if ((s3_insert || s3_delete) && s3_odd) s3_odd_next.occupied[s3_slot] = s3_insert;
  end

  assign s3_even_update.write = (s3_insert && (!s3_odd || s3_second)) || (s3_delete && !s3_odd);
  assign s3_odd_update.write = (s3_insert && (s3_odd || s3_second)) || (s3_delete && s3_odd);
  assign s3_even_update.id = s3_even_id_q;
  assign s3_odd_update.id = s3_odd_id_q;
  assign s3_even_update.retag = !s3_odd;
  assign s3_odd_update.retag = s3_odd;
  assign s3_even_update.slot = s3_slot;
  assign s3_odd_update.slot = s3_slot;
  assign s3_even_update.tag = s3_insert ? s3_op_q.tag : '0;
  assign s3_odd_update.tag = s3_insert ? s3_op_q.tag : '0;
  assign s3_even_update.meta = s3_even_next;
  assign s3_odd_update.meta = s3_odd_next;

  always_comb begin
    s3_code = cst_pkg::CodeOk;
    if (s3_append) s3_code = s3_log_code;
    if (s3_insert && s3_full) s3_code = cst_pkg::CodeTableFull;
    if (s3_upsert && !s3_put && !s3_supported_q) s3_code = cst_pkg::CodeUnsupported;
    if (s3_op_q.too_long && (s3_op_q.kind == cst_state_pkg::KindUpsert ||
                             s3_op_q.kind == cst_state_pkg::KindDelete))
      s3_code = cst_pkg::CodeKeyTooLong;
  end

  always_comb begin
    s3_control = s3_control_q;
    if (s3_append) begin
      s3_control.tail = s3_tail;
      if (s3_takes && s3_control_q.free_count != '0) begin
        s3_control.free_first = (s3_control_q.free_first + 1'b1) & config_i.log_mask;
        s3_control.free_count = s3_control_q.free_count - 1'b1;
      end else if (s3_takes) begin
        s3_control.frontier = s3_control_q.frontier + 1'b1;
      end
    end
    if (s3_barrier) begin
      s3_control.tail = s3_control_q.tail + UnitBits'(s3_pad);
      s3_control.epoch_first = s3_control.tail;
      s3_control.epoch = s3_control_q.epoch + 1'b1;
    end
    if (s3_insert) s3_control.rows_count = s3_control_q.rows_count + 1'b1;
    if (s3_delete) s3_control.rows_count = s3_control_q.rows_count - 1'b1;
  end

  logic s4_writes_q, s4_barrier_q, s3_unsaved;
  assign key_ask_id_o = s3_op_q.id;
  assign s3_unsaved = key_waits_i || (s4_valid_q && s4_writes_q && s4_op_q.id == s3_op_q.id);
  assign wait_record_o = (s3_append || s3_insert) && s3_unsaved;
  assign hold = s3_valid_q &&
                (wait_record_o || !key_leave_room_i || !result_room_i || !gap_room_i ||
                 (s3_sums_q && !sums_valid_i) ||
                 (s3_barrier && (older_pending_i || (s4_valid_q && s4_barrier_q))));
  assign go = !hold;
  assign sums_ready_o = s3_valid_q && s3_sums_q && go;

  // ---- 4 ----------------------------------------------------------------------------------------
  cst_pkg::code_e s4_code_q;
  logic [7:0] code_q;
  logic [31:0] row_q;
  logic [Lanes-1:0] s4_wrong_q, s4_leaves_q, s4_sums_q;
  logic s4_expired_q, s4_wrong;
  logic s4_upsert_q, s4_append_q, s4_insert_q, s4_takes_q, s4_done, s4_parity_q, s4_lives_q;
  logic [1:0] s4_gap_q;
  logic [UnitBits-1:0] s4_tail_q, s4_unit_q;
  cst_state_pkg::state_t s4_old_q;
  cst_state_pkg::control_t s4_control_q;

  assign s4_wrong = s4_upsert_q && (s4_wrong_q != '0 ||
                                    ((s4_leaves_q & s4_sums_q) != '0 && !s4_expired_q));
  assign stops = s4_valid_q && !stopped_q && (s4_code_q != cst_pkg::CodeOk || s4_wrong);
  assign s4_done = s4_valid_q && !stopped_q && !stops;

  // A first operation that does nothing leaves what was read for those behind it.
  assign state_write_o = s4_valid_q && s4_op_q.uses_key && (s4_done || s4_op_q.first);
  assign state_id_o = s4_op_q.id;
  assign state_o = s4_done ? s4_next_q : s4_old_q;
  assign state_done_o = s4_valid_q && cst_state_pkg::writes_state(s4_op_q.uses_key, s4_op_q.kind,
                                                                  s4_op_q.first);
  assign key_dirty_o = s4_done && s4_writes_q;
  assign key_leave_o = s4_valid_q && s4_op_q.uses_key;
  assign key_look_o = !key_dirty_o;
  assign parity_o = s4_parity_q;
  always_comb begin
    even_update_o = s4_even_q;
    odd_update_o = s4_odd_q;
    even_update_o.write = s4_done && s4_even_q.write;
    odd_update_o.write = s4_done && s4_odd_q.write;
  end
  assign gap_valid_o = s4_done && s4_gap_q != '0;
  assign gap_unit_o = s4_tail_q;
  assign gap_units_o = s4_gap_q;
  assign map_write_o = s4_done && s4_append_q && s4_takes_q;
  assign map_segment_o = PlaceBits'(s4_unit_q >> config_i.log_shift) & config_i.log_mask;
  assign map_place_o = (control_q.free_count != '0) ? ring_place_i : PlaceBits'(control_q.frontier);
  assign control_o = control_q;
  assign stopped_o = stopped_q;
  assign done_o = s4_done;
  assign append_o = s4_done && s4_append_q;
  assign insert_o = s4_done && s4_insert_q;
  assign restore_o = s4_done && (s4_op_q.kind == cst_state_pkg::KindPut ||
                                 s4_op_q.kind == cst_state_pkg::KindDrop);
  assign busy_o = s1_valid_q || s2_valid_q || s3_valid_q || s4_valid_q;

  always_comb begin
    result_valid_o = s4_valid_q && (stops || s4_op_q.kind == cst_state_pkg::KindLookup ||
                                    s4_op_q.kind == cst_state_pkg::KindBarrier ||
                                    s4_op_q.kind == cst_state_pkg::KindEnd);
    result_o.kind = s4_op_q.kind;
    result_o.code = cst_pkg::CodeOk;
    result_o.row = s4_op_q.row;
    result_o.found = s4_op_q.kind == cst_state_pkg::KindLookup && s4_op_q.uses_key &&
                     s4_lives_q;
    result_o.value = s4_old_q.value;
    if (stops) result_o.code = (s4_wrong && s4_code_q != cst_pkg::CodeUnsupported)
                                   ? cst_pkg::CodeSumOverflow
                                   : s4_code_q;
    if (s4_op_q.kind == cst_state_pkg::KindBarrier)
      result_o.value = {320'b0, 11'b0, s4_control_q.tail, 5'b0, 11'b0, control_q.epoch_first, 5'b0,
                        control_q.epoch};
    if (stopped_q) begin
      result_o.code = (s4_op_q.kind == cst_state_pkg::KindEnd) ? code_q : cst_pkg::CodeAborted;
      if (s4_op_q.kind == cst_state_pkg::KindEnd) result_o.row = row_q;
      result_o.found = 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    log_below_q <= 16'((17'd1 << config_i.log_shift) - 17'd1);
    for (int unsigned i = 0; i < Lanes; i++)
      time_q[i] <= config_i.ttl && config_i.time_lane == 3'(i);
    if (go) begin
      s1_op_q <= op_i;
      s1_sums_q <= op_sums_i;
      s2_op_q <= s1_op_q;
      s2_sums_q <= s1_sums_q;
      s2_first_odd_q <= s1_ident.first_odd;
      s2_even_id_q <= s1_ident.even_id;
      s2_odd_id_q <= s1_ident.odd_id;
      s3_op_q <= s2_op_q;
      s3_op_q.operands <= s2_operands;
      s3_plan_q <= s2_plan;
      s3_supported_q <= s2_supported;
      s3_sees_q <= s2_sees;
      s3_presence_q <= s2_presence;
      s3_sums_q <= s2_sums_q;
      s3_first_odd_q <= s2_first_odd_q;
      s3_even_id_q <= s2_even_id_q;
      s3_odd_id_q <= s2_odd_id_q;
      s3_state_q <= s2_state;
      s3_state_q.value <= s3_back;
      s3_even_q <= s2_even;
      s3_odd_q <= s2_odd;
      s4_op_q <= s3_op_q;
      s4_next_q <= s3_next;
      s4_old_q <= s3_state_q;
      s4_presence_q <= s3_presence_next;
      s4_presence_old_q <= s3_presence_q;
      s4_lives_q <= s3_lives;
      s4_even_q <= s3_even_update;
      s4_odd_q <= s3_odd_update;
      s4_code_q <= s3_live ? s3_code : cst_pkg::CodeOk;
      s4_wrong_q <= s3_wrong;
      s4_leaves_q <= s3_leaves;
      s4_sums_q <= s3_sums & s3_plan_q.lower;
      s4_expired_q <= s3_expired;
      s4_upsert_q <= s3_upsert;
      s4_append_q <= s3_append;
      s4_insert_q <= s3_insert;
      s4_writes_q <= s3_upsert || s3_delete;
      s4_barrier_q <= s3_barrier;
      s4_takes_q <= s3_takes;
      s4_gap_q <= s3_append ? s3_gap : {1'b0, s3_barrier && s3_pad};
      s4_tail_q <= s3_control_q.tail;
      s4_unit_q <= s3_unit;
      s4_control_q <= s3_control;
      s4_parity_q <= s3_control_q.epoch[0];
    end
    if (stops) begin
      code_q <= result_o.code;
      row_q <= s4_op_q.row;
    end
    if (s4_done) control_q <= s4_control_q;
    if (s3_live && go) s3_control_q <= s3_control;
    if (stops) s3_control_q <= control_q;
    if (load_i) begin
      control_q <= control_i;
      s3_control_q <= control_i;
    end
    if (!rst_ni) begin
      s1_valid_q <= 1'b0;
      s2_valid_q <= 1'b0;
      s3_valid_q <= 1'b0;
      s4_valid_q <= 1'b0;
      stopped_q <= 1'b0;
    end else begin
      if (go) begin
        s1_valid_q <= op_valid_i;
        s2_valid_q <= s1_valid_q;
        s3_valid_q <= s2_valid_q;
      end
      s4_valid_q <= s3_valid_q && go;
      if (stops) stopped_q <= 1'b1;
      else if (resume_i) stopped_q <= 1'b0;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{config_i, s1_ident, s4_op_q};
endmodule
`default_nettype wire
