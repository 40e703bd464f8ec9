// cst_kernel_commands: one run of a kernel: takes commands from a ring in memory, has each done,
// and writes a completion for each, until one ends the run or something is lost.
// Promises   commands are done one after the other, each has one completion, in order, written when
//            all its results are in memory. Rows without results and barriers, if they need no
//            fence, wait for their completion beside the commands behind them (cst_kernel_late),
//            which are read and begun meanwhile, rows with the same flags before the last ones of
//            those before them are done (cst_kernel_ahead). One that fails (docs/hardware.md,
//            Kernel, says how) changes nothing more and stops the run: OpRows and OpBarrier
//            complete as CodeAborted until an OpLoad. fault_i: nothing is asked of memory any more,
//            the run ends; unit_fault_i: the command completes as CodeDeviceLost, and the run ends.
//            lost_o until reset.
// Needs      arguments stand still from start to done. Behind lost_o: reset.
//
//   ring ─► descriptor ─► check ─┬─ OpLoad: table block ─► config, control block, places
//     ▲                          ├─ OpRows, OpKeys: rows ─► cst_kernel_rows ─► operations, results
//     │                          ├─ OpRestore: records ─► cst_kernel_records ─► operations
//     │                          ├─ OpExpire: entries of a walk ─► operations     │
//     │                          ├─ OpScan:   entries of a walk ─► records        │
//     │ read again while its     ├─ OpBarrier, OpRelease, OpEnd                   │
//     └ number is not the next   └──────────────► completion ◄────────────────────┘
//
// stage                   waits for                            then
// Idle, Ready             a start; the unit                    Poll; wrong arguments: Done
// Poll, Descriptor        the ring's place to be read          Measure; not due: Pause
// Pause                   PollClocks                           Poll
// Measure, Check          late ones, if it cannot be late      the command's own stages
// LoadWait, Load, Loaded  unit idle; the block's beats         Fence
// Release, Releasing      unit idle; its end                   Fence
// Walk, Walking           unit idle; the last bucket           Last; a scan: Fence
// Restore, Restoring      unit idle; the last record           Last
// Keys, Rows, RowsWait    write, read asked for; last row      Last; keys: Fence
// Last, LastWait          end or barrier issued; its result    Fence; or late: the next
// Durable                 the epoch in memory                  Fence
// Skip                    beats asked for and not to be done   Fence
// Fence, Drain            unit idle if asked; results written  Complete
// Complete, -Data, -Wait  its completion's write               Poll, Measure, Done
// Done                    who takes it                         Idle
//
// Steps      Ready waits three clocks for what the arguments are compared with. Measure has three
//            too: what the command is; where its memory ends; whether it can be. Rows whose beats
//            were asked for ahead are known, and begin with the last. Entries of a walk stand here
//            a clock before they are used.
//
// Length     over two screens: 130 lines of ports, and one machine whose stages share the command,
//            the operations' port and memory's. What has a seam is a module: what a command is
//            (cst_kernel_check), the table's block (cst_kernel_table), results
//            (cst_kernel_results), where commands stand (cst_kernel_ring).
`default_nettype none
module cst_kernel_commands #(
  parameter int unsigned PollClocks = 64,
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits,
  localparam int unsigned SlotNoBits = cst_state_pkg::SlotNoBits,
  localparam int unsigned BeatsBits = cst_kernel_pkg::BeatsBits,
  localparam int unsigned SlotBits = cst_kernel_pkg::SlotBits,
  localparam int unsigned ColumnsBits = cst_pkg::ColumnsMax * cst_pkg::ColumnBits
) (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         start_valid_i,
  output      logic         start_ready_o,
  input  wire logic [63:0]  ring_i,          // descriptors, completions: 2^ring_bits_i of each
  input  wire logic [63:0]  completions_i,
  input  wire logic [31:0]  ring_bits_i,
  input  wire logic [51:0]  first_page_i,    // of what it may read and write
  input  wire logic [52:0]  end_page_i,
  input  wire logic [63:0]  image_i,         // of channel 0; the others' by the stride
  input  wire logic [63:0]  stride_i,
  output      logic         done_valid_o,
  input  wire logic         done_ready_i,
  output      logic         idle_o,
  output      logic         running_o,
  output      logic         stopped_o,
  output      logic         lost_o,
  output      logic [7:0]   code_o,          // of the newest completion, or of the run's arguments
  output      logic [31:0]  completed_o,
  input  wire logic         fault_i,
  // the read master
  output      logic         read_valid_o,
  input  wire logic         read_ready_i,
  output      logic [63:0]  read_address_o,
  output      logic [BeatsBits-1:0] read_beats_o,
  input  wire logic         beat_valid_i,
  output      logic         beat_ready_o,
  input  wire logic [511:0] beat_i,
  // the write master
  output      logic         write_valid_o,
  input  wire logic         write_ready_i,
  output      logic [63:0]  write_address_o,
  output      logic [BeatsBits-1:0] write_beats_o,
  output      logic         data_valid_o,
  input  wire logic         data_ready_i,
  output      logic [511:0] data_o,
  input  wire logic         written_i,       // a command of the write master is answered
  // rows
  output      logic         rows_start_o,
  output      logic [31:0]  rows_first_o,
  output      logic [31:0]  rows_count_o,
  output      logic         rows_compact_o,
  output      logic         rows_long_o,
  output      logic         rows_cells_o,
  output      logic [3:0]   rows_beats_o,    // of a row of cells
  output      logic [23:0]  rows_words_o,
  output      logic         rows_encode_o,
  output      logic         rows_hash_o,
  output      logic         rows_wide_o,
  output      logic [63:0]  key_k0_o,
  output      logic [63:0]  key_k1_o,
  output      logic [ColumnsBits-1:0] columns_o,
  output      logic [3:0]   columns_last_o,
  output      logic         row_beat_valid_o,
  input  wire logic         row_beat_ready_i,
  input  wire logic         row_valid_i,
  output      logic         row_ready_o,
  input  wire cst_state_pkg::op_t row_op_i,
  input  wire logic [511:0] row_key_i,       // of OpKeys
  input  wire logic         rows_over_i,     // no beat of theirs is left
  input  wire logic [7:0]   row_code_i,
  // records: of as many units as `rows_count_o`
  output      logic         rows_more_o,
  output      logic         record_beat_valid_o,
  input  wire logic         record_beat_ready_i,
  input  wire logic         record_valid_i,
  output      logic         record_ready_o,
  input  wire cst_state_pkg::op_t record_op_i,
  input  wire logic [7:0]   record_code_i,
  input  wire logic         records_over_i,
  input  wire logic [31:0]  records_end_i,
  // the state unit
  input  wire logic         unit_ready_i,
  input  wire logic         unit_idle_i,
  input  wire logic [3:0]   unit_fault_i,
  input  wire logic         unit_stopped_i,
  output      cst_state_pkg::config_t config_o,
  output      logic         load_o,
  output      cst_state_pkg::control_t control_o,
  input  wire cst_state_pkg::control_t control_i,
  input  wire logic [63:0]  durable_epoch_i,
  output      logic         place_write_o,
  output      logic         place_ring_o,
  output      logic [PlaceBits-1:0] place_index_o,
  output      logic [PlaceBits-1:0] place_o,
  output      logic         resume_o,
  output      logic         release_o,
  output      logic [63:0]  release_epoch_o,
  output      logic [63:0]  release_to_o,
  input  wire logic         release_done_i,
  input  wire cst_pkg::code_e release_code_i,
  output      logic         walk_o,
  output      logic [SlotNoBits-1:0] walk_first_o,
  output      logic [16:0]  walk_buckets_o,
  output      logic         walk_stop_o,
  input  wire logic         walk_busy_i,
  input  wire logic         walk_valid_i,
  output      logic         walk_ready_o,
  input  wire logic [16:0]  walk_index_i,
  input  wire logic [SlotNoBits-1:0] walk_slot_i,
  input  wire logic [767:0] walk_entry_i,
  output      logic         op_valid_o,
  input  wire logic         op_ready_i,
  output      cst_state_pkg::op_t op_o,
  input  wire logic         result_valid_i,
  output      logic         result_ready_o,
  input  wire cst_state_pkg::result_t result_i
);
  if (PollClocks < 1 || PollClocks > 65535) begin : g_poll
    $error("cst_kernel_commands: PollClocks %0d, must be 1 to 65535", PollClocks);
  end

  typedef enum logic [4:0] {
    Idle, Ready, Poll, Descriptor, Pause, Measure, Check,
    LoadWait, Load, Loaded, Release, Releasing, Walk, Walking,
    Restore, Restoring, Keys, Rows, RowsWait, Last, LastWait, Durable, Fence, Drain, Complete,
    CompleteData, CompleteWait, Skip, Done
  } stage_e;

  stage_e stage_q;
  logic [1:0] step_q;        // of Ready, of Measure
  logic lost_q, stopped_q, argument_wrong, fresh, bad_q;
  logic [31:0] number_q, left_q, bad_row_q, stop_row_q;
  logic [7:0] code_q, bad_code_q, status_q;
  logic [15:0] pause_q, writes_q;
  logic [63:0] results_q, from_q;
  cst_kernel_pkg::descriptor_t command_q, read;
  cst_kernel_pkg::completion_t completion;

  assign read = beat_i;
  assign running_o = stage_q != Idle && stage_q != Done;
  assign start_ready_o = stage_q == Idle;
  assign idle_o = stage_q == Idle;
  assign done_valid_o = stage_q == Done;
  assign stopped_o = stopped_q;
  assign lost_o = lost_q;
  assign code_o = status_q;

  // ---- Arguments, where commands and completions stand ------------------------------------------
  logic leaves, written_all;  // the command is over, or waits beside the next one
  logic [SlotBits-1:0] slot, late_slot;
  logic [63:0] command_at, next_at, behind_at, completion_at, late_at;

  assign written_all = writes_q == '0;
  assign leaves = late_put || (stage_q == CompleteWait && written_all);
  assign fresh = read.number == number_q;
  cst_kernel_ring u_ring (
    .clk_i, .ring_i, .completions_i, .ring_bits_i, .first_page_i, .end_page_i, .image_i, .stride_i,
    .wrong_o(argument_wrong), .begin_i(stage_q == Ready), .next_i(leaves), .number_i(number_q),
    .slot_o(slot), .command_at_o(command_at), .next_at_o(next_at), .behind_at_o(behind_at),
    .completion_at_o(completion_at), .late_slot_i(late_slot), .late_at_o(late_at)
  );

  // ---- What the command is, whether it can be; the table ----------------------------------------
  cst_kernel_pkg::what_t what;
  logic [BeatsBits-1:0] beats, place_beats, key_beats;
  logic [7:0] check_code;
  logic has_ttl, table_ready, table_last, table_wrong, measured, known, check_good;

  // Rows that were asked for ahead are like those before them.
  assign measured = stage_q == Measure && step_q == 2'd2;
  assign known = late_put && next_fits;
  cst_kernel_check u_check (
    .clk_i, .measure_i(stage_q == Measure && step_q == 2'd0), .known_i(known),
    .next_beats_i(next_beats), .command_i(command_q), .first_page_i, .end_page_i,
    .config_i(config_o), .has_ttl_i(has_ttl), .stopped_i(stopped_q || unit_stopped_i),
    .what_o(what), .place_beats_o(place_beats), .key_beats_o(key_beats), .beats_o(beats),
    .good_o(check_good), .code_o(check_code)
  );
  cst_kernel_table u_table (
    .clk_i, .restart_i(measured), .on_i(stage_q == Load), .beats_i(beats),
    .place_beats_i(place_beats), .stride_i, .now_i(command_q.now), .beat_valid_i,
    .beat_ready_o(table_ready), .beat_last_o(table_last), .beat_i, .place_write_o, .place_ring_o,
    .place_index_o, .place_o, .wrong_o(table_wrong), .has_ttl_o(has_ttl), .config_o, .control_o,
    .key_k0_o, .key_k1_o, .columns_o, .columns_last_o, .rows_words_o
  );

  // ---- Rows, and results of look-ups ------------------------------------------------------------
  logic row_goes, row_wrong, row_taken, is_lookup, looks_up, key_goes, key_ready, lookup_there;
  logic lookup_over, rows_over;

  assign rows_encode_o = command_q.flags[cst_kernel_pkg::FlagEncode];
  assign rows_hash_o = command_q.flags[cst_kernel_pkg::FlagHash];
  assign rows_wide_o = command_q.flags[cst_kernel_pkg::FlagWide];
  assign rows_first_o = command_q.row;
  assign rows_count_o = command_q.count;
  assign rows_compact_o = what.compact;
  assign rows_long_o = command_q.flags[cst_kernel_pkg::FlagLong];
  assign rows_cells_o = what.cells;
  assign rows_beats_o = command_q.at[3:0];
  assign row_beat_valid_o = stage_q == RowsWait && beat_valid_i && !early;

  // A row that is wrong, and all behind it, go nowhere; a command for keys says which it was.
  assign looks_up = row_op_i.kind == cst_state_pkg::KindLookup;
  assign row_wrong = row_code_i != cst_pkg::CodeOk || (what.is_rows && looks_up && !what.gives);
  assign row_goes = stage_q == RowsWait && what.is_rows && row_valid_i && !row_wrong && !bad_q;
  assign key_goes = stage_q == RowsWait && what.is_keys && row_valid_i;
  assign row_ready_o = stage_q == RowsWait &&
                       (what.is_keys ? key_ready : row_wrong || bad_q || op_ready_i);
  assign row_taken = row_valid_i && row_ready_o;
  assign rows_over = left_none_q && rows_over_i;

  always_comb begin
    op_o = row_op_i;
    op_valid_o = row_goes;
    if (stage_q == Walking) begin
      op_valid_o = what.is_expire && held_q && expired_q;
      op_o.kind = cst_state_pkg::KindExpire;
      op_o.row = command_q.row + 32'(index_q);
      op_o.hash = entry_head.hash;
      op_o.key_bytes = entry_head.key_bytes;
      op_o.key = key_q;
    end
    if (stage_q == Restoring) begin
      op_valid_o = record_goes;
      op_o = record_op_i;
    end
    if (stage_q == Last) begin
      op_valid_o = (what.overlaps && !bad_q) ? late_room : late_none;
      op_o.kind = what.is_barrier ? cst_state_pkg::KindBarrier : cst_state_pkg::KindEnd;
      op_o.row = what.is_restore ? records_end_i : command_q.row + command_q.count;
    end
  end

  // ---- Records ----------------------------------------------------------------------------------
  logic record_wrong, record_goes, record_taken;
  assign rows_more_o = command_q.flags[cst_kernel_pkg::FlagMore];
  assign record_beat_valid_o = stage_q == Restoring && beat_valid_i;
  assign record_wrong = record_code_i != cst_pkg::CodeOk;
  assign record_goes = record_valid_i && !record_wrong && !bad_q;
  assign record_ready_o = stage_q == Restoring && (record_wrong || bad_q || op_ready_i);
  assign record_taken = record_valid_i && record_ready_o;

  // ---- What a walk offers -----------------------------------------------------------------------
  // It stands here from the next clock on, with whether it is past its time.
  cst_pkg::entry_head_t entry_head;
  logic [127:0] entry_key, key_q;
  logic [767:0] entry_q;
  logic [1023:0] entry_words;
  logic [3:0] time_word_q;
  logic [SlotNoBits-1:0] walk_slot_q;
  logic [16:0] index_q;
  logic expired, expired_q, held_q, held_goes;

  cst_state_entry u_entry (
    .config_i(config_o), .entry_i(walk_entry_i), .head_o(), .key_o(entry_key), .value_o(),
    .expired_o()
  );
  // Its time is a word behind the head and the key: of the word itself the path is short.
  assign expired = cst_state_pkg::expired(config_o.ttl, config_o.past,
                                          entry_words[{time_word_q, 6'd0} +: 64]);
  assign entry_words = {256'b0, walk_entry_i};
  assign entry_head = entry_q[127:0];
  assign held_goes = held_q && (what.is_scan ? expired_q || record_over : op_ready_i || !expired_q);
  assign walk_ready_o = stage_q == Walking && (!held_q || held_goes);
  always_ff @(posedge clk_i) begin
    time_word_q <= 4'd2 + 4'(config_o.key_words) + 4'(config_o.time_lane);
    if (walk_ready_o) begin
      entry_q <= walk_entry_i;
      key_q <= entry_key;
      walk_slot_q <= walk_slot_i;
      index_q <= walk_index_i;
      expired_q <= expired;
    end
    if (stage_q != Walking) held_q <= 1'b0;
    else if (walk_ready_o) held_q <= walk_valid_i;
  end

  // A row of a scan is the record that RESTORE takes: one beat, or two. The rows that it may still
  // give are left_q, the slot behind what it has seen is next_q.
  logic record_there, record_over, scan_full, walk_over;
  logic [SlotNoBits:0] next_q, scan_end;
  assign scan_full = left_none_q;
  assign record_there = stage_q == Walking && what.is_scan && held_q && !expired_q && !scan_full;
  assign walk_over = !walk_busy_i && (!held_q || (what.is_scan && scan_full));
  assign scan_end = (SlotNoBits+1)'({command_q.at[SlotNoBits:4] + (SlotNoBits-3)'(command_q.count),
                                     4'd0});
  assign walk_o = stage_q == Walk && unit_idle_i;
  assign walk_first_o = what.is_scan ? command_q.at[SlotNoBits-1:0]
                                : {command_q.at[SlotNoBits-5:0], 4'd0};
  assign walk_buckets_o = command_q.count[16:0];
  assign walk_stop_o = stage_q == Walking && what.is_scan && scan_full;

  assign is_lookup = result_valid_i && result_i.kind == cst_state_pkg::KindLookup;
  assign lookup_there = is_lookup && (stage_q == RowsWait || stage_q == Last ||
                                      stage_q == LastWait);
  always_comb begin
    result_ready_o = !is_lookup;  // of a stop: the end says it again
    if (is_lookup) result_ready_o = lookup_over;
    if (result_end) result_ready_o = late_none ? stage_q == LastWait : late_takes;
  end

  logic lookup_asks, results_none, results_valid;
  logic [511:0] results_data;
  cst_kernel_results u_results (
    .clk_i, .rst_ni, .check_i(stage_q == Check), .what_i(what),
    .key_valid_i(key_goes), .key_last_i(left_one_q), .key_taken_i(row_taken),
    .key_ready_o(key_ready), .key_code_i(row_code_i), .key_op_i(row_op_i), .key_i(row_key_i),
    .lookup_valid_i(lookup_there), .lookup_over_o(lookup_over), .lookup_i(result_i),
    .record_valid_i(record_there), .record_over_o(record_over), .config_i(config_o),
    .entry_head_i(entry_head), .entry_i(entry_q), .asks_o(lookup_asks), .write_ready_i,
    .data_valid_o(results_valid), .data_ready_i, .data_o(results_data), .none_o(results_none)
  );

  // ---- Completions that are late ----------------------------------------------------------------
  logic late_put, late_room, late_there, late_none, late_done, late_barrier, late_asks, late_data;
  logic late_takes, result_end;
  logic [31:0] late_number, late_row;
  logic [7:0] late_code;
  logic [63:0] late_from, late_epoch;
  logic [cst_state_pkg::UnitBits-1:0] late_to;

  assign late_put = stage_q == Last && what.overlaps && !bad_q && op_ready_i && late_room;
  assign late_none = !late_there;
  assign result_end = result_valid_i && (result_i.kind == cst_state_pkg::KindBarrier ||
                                         result_i.kind == cst_state_pkg::KindEnd);
  cst_kernel_late u_late (
    .clk_i, .rst_ni, .running_i(running_o), .fault_i, .unit_fault_i, .stopped_i(stopped_q),
    .put_i(late_put), .room_o(late_room), .barrier_i(what.is_barrier), .row_i(command_q.row),
    .number_i(number_q), .slot_i(slot), .result_end_i(result_end), .result_ready_o(late_takes),
    .result_i, .durable_epoch_i, .there_o(late_there), .asks_o(late_asks), .write_ready_i,
    .data_o(late_data), .data_ready_i, .written_i(written_all), .over_o(late_done),
    .barrier_o(late_barrier), .number_o(late_number), .slot_o(late_slot), .code_o(late_code),
    .row_o(late_row), .from_o(late_from), .epoch_o(late_epoch), .to_o(late_to)
  );

  // ---- The completion ---------------------------------------------------------------------------
  always_comb begin
    completion = '0;
    completion.number = late_none ? number_q : late_number;
    completion.code = late_none ? code_q : late_code;
    completion.stopped = 8'(stopped_q || (!late_none && late_code != cst_pkg::CodeOk));
    completion.faults = 8'(unit_fault_i);
    completion.busy = 8'(!unit_idle_i);
    completion.row = late_none ? stop_row_q : late_row;
    completion.rows_count = control_i.rows_count;
    completion.epoch = control_i.epoch;
    completion.epoch_first = 64'(control_i.epoch_first);
    completion.tail = 64'(control_i.tail);
    completion.from = what.is_release ? 64'(control_i.floor) : what.is_scan ? 64'(next_q) : from_q;
    // What is behind a late one, or was in its place of the ring before, says nothing of it.
    if (!late_none) completion.from = late_from;
    completion.frontier = 16'(control_i.frontier);
    completion.free_first = 16'(control_i.free_first);
    completion.free_count = 16'(control_i.free_count);
    // The epoch that it began, though a barrier behind it may have begun the next one.
    if (!late_none && late_barrier && late_code == cst_pkg::CodeOk) begin
      completion.epoch = late_epoch + 64'd1;
      completion.epoch_first = 64'(late_to);
    end
  end

  // ---- The command behind rows ------------------------------------------------------------------
  logic early, next_there, next_fits, next_asked, takes_next, takes_early, asks_ahead, asks_again;
  logic asks_command, rows_asked, asked, skip_last;
  logic [63:0] asked_at;
  logic [BeatsBits-1:0] next_beats;
  cst_kernel_pkg::descriptor_t next;

  cst_kernel_ahead u_ahead (
    .clk_i, .rst_ni, .idle_i(stage_q == Idle), .check_i(stage_q == Check),
    .begins_i(stage_q == Rows), .rows_i(stage_q == RowsWait), .last_i(stage_q == Last),
    .skip_i(stage_q == Skip), .descriptor_i(stage_q == Descriptor),
    .overlaps_i(what.is_rows && what.overlaps),
    .leaves_i(leaves), .command_i(command_q), .beats_i(beats), .number_i(number_q),
    .next_at_i(next_at), .behind_at_i(behind_at), .first_page_i, .end_page_i, .beat_valid_i,
    .beat_i(read), .read_ready_i, .next_o(next), .next_there_o(next_there),
    .next_fits_o(next_fits), .next_asked_o(next_asked), .takes_next_o(takes_next),
    .takes_beat_o(takes_early), .early_o(early), .asks_ahead_o(asks_ahead),
    .asks_again_o(asks_again), .asks_command_o(asks_command), .at_o(asked_at),
    .next_beats_o(next_beats), .rows_asked_o(rows_asked), .asked_o(asked),
    .skip_last_o(skip_last)
  );

  // ---- Memory's ports ---------------------------------------------------------------------------
  logic write_taken;
  assign read_valid_o = stage_q == Poll || (stage_q == Rows && !rows_asked) || asks_ahead ||
                        asks_again ||
                        ((stage_q == LoadWait || stage_q == Restore) && unit_idle_i);
  assign read_address_o = asks_command ? asked_at :
                          (stage_q == Poll) ? command_at :
                          asks_ahead ? next.address : command_q.address;
  assign read_beats_o = (stage_q == Poll || asks_command) ? BeatsBits'(1) :
                        asks_ahead ? next_beats : beats;
  assign beat_ready_o = stage_q == Descriptor || takes_early || stage_q == Skip ||
                        (stage_q == Load && table_ready) ||
                        (stage_q == RowsWait && !early && row_beat_ready_i) ||
                        (stage_q == Restoring && record_beat_ready_i);

  assign write_taken = write_valid_o && write_ready_i;
  always_comb begin
    write_valid_o = lookup_asks || stage_q == Complete || late_asks;
    write_address_o = results_q;
    write_beats_o = what.two_beats ? BeatsBits'(2) : BeatsBits'(1);
    if (stage_q == Complete) begin
      write_address_o = completion_at;
      write_beats_o = BeatsBits'(1);
    end
    if (stage_q == Keys) begin
      write_valid_o = 1'b1;
      write_beats_o = key_beats;
    end
    if (late_asks) begin
      write_address_o = late_at;
      write_beats_o = BeatsBits'(1);
    end
  end
  always_comb begin
    data_valid_o = results_valid;
    data_o = results_data;
    if (stage_q == CompleteData || late_data) begin
      data_valid_o = 1'b1;
      data_o = completion;
    end
  end

  // ---- Stage by stage ---------------------------------------------------------------------------
  logic unit_lost, waits_for_unit, left_goes, left_none_q, left_one_q, durable_q;
  logic [31:0] left;
  logic [63:0] durable_next_q;

  assign waits_for_unit = stage_q == LoadWait || (stage_q == RowsWait && what.is_rows) ||
                          stage_q == Last || stage_q == LastWait || stage_q == Durable ||
                          stage_q == Release || stage_q == Releasing || stage_q == Walk ||
                          stage_q == Walking || stage_q == Restore || stage_q == Restoring ||
                          stage_q == Fence;
  assign unit_lost = waits_for_unit && unit_fault_i != '0 && late_none;
  assign rows_start_o = stage_q == Check;
  assign load_o = stage_q == Loaded && !table_wrong;
  assign release_o = stage_q == Release && unit_idle_i;
  assign release_epoch_o = command_q.epoch;
  assign release_to_o = command_q.at;
  assign resume_o = stage_q == LoadWait && unit_idle_i && read_ready_i && unit_stopped_i;
  assign left = what.is_scan ? command_q.row : command_q.count;
  assign left_goes = row_taken || (stage_q == Walking && record_over);

  always_ff @(posedge clk_i) begin
    durable_next_q <= durable_epoch_i + 64'd1;
    durable_q <= stage_q == Durable && durable_next_q == control_i.epoch;
    if (stage_q == Measure) begin
      left_q <= left;
      left_none_q <= left == '0;
      left_one_q <= left == 32'd1;
    end else if (left_goes) begin
      left_q <= left_q - 32'd1;
      left_none_q <= left_one_q;
      left_one_q <= left_q == 32'd2;
    end
    unique case (stage_q)
      Descriptor: if (beat_valid_i) command_q <= read;
      Measure: begin
        stop_row_q <= command_q.row;
        next_q <= command_q.at[SlotNoBits:0];
        results_q <= command_q.results;
        from_q <= '0;
      end
      RowsWait: begin
        if (row_taken && row_wrong && !bad_q) begin
          bad_code_q <= (row_code_i != cst_pkg::CodeOk) ? row_code_i : cst_pkg::CodeUsage;
          bad_row_q <= row_op_i.row;
        end
        if (rows_over && what.is_keys)
          stop_row_q <= bad_q ? bad_row_q : command_q.row + command_q.count;
      end
      LastWait: begin
        if (result_end && late_none) begin
          stop_row_q <= (result_i.code == cst_pkg::CodeOk && bad_q) ? bad_row_q : result_i.row;
          if (what.is_barrier) from_q <= result_i.value[127:64];
        end
      end
      Restoring: if (record_taken && record_wrong && !bad_q) begin
        bad_code_q <= record_code_i;
        bad_row_q <= record_op_i.row;
      end
      Walking: if (what.is_scan) begin
        if (held_goes && !scan_full)
          next_q <= {1'b0, walk_slot_q} +
                    (SlotNoBits+1)'(!cst_mistake_pkg::planted(cst_mistake_pkg::Scan));
        if (walk_over) begin
          stop_row_q <= command_q.row - left_q;
          if (!scan_full) next_q <= scan_end;
        end
      end
      default: ;
    endcase
    if (takes_next) command_q <= next;
    if (lookup_asks && write_ready_i) results_q <= results_q + (what.two_beats ? 64'd128 : 64'd64);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      stage_q <= Idle;
      lost_q <= 1'b0;
      stopped_q <= 1'b0;
      bad_q <= 1'b0;
      number_q <= 32'd1;
      completed_o <= '0;
      code_q <= cst_pkg::CodeOk;
      status_q <= cst_pkg::CodeOk;
      pause_q <= '0;
      writes_q <= '0;
      step_q <= '0;
    end else begin
      writes_q <= writes_q + 16'(write_taken) - 16'(written_i);
      step_q <= '0;
      unique case (stage_q)
        Idle: if (start_valid_i) begin
          stage_q <= Ready;
          number_q <= 32'd1;
          completed_o <= '0;
          stopped_q <= 1'b0;
          code_q <= cst_pkg::CodeOk;
        end
        Ready: if (step_q != 2'd3) begin
          step_q <= step_q + 2'd1;
        end else if (lost_q || unit_fault_i != '0 || argument_wrong) begin
          stage_q <= Done;
          lost_q <= lost_q || unit_fault_i != '0;
          code_q <= argument_wrong ? cst_pkg::CodeUsage : cst_pkg::CodeDeviceLost;
        end else if (unit_ready_i) begin
          stage_q <= Poll;
        end else begin
          step_q <= step_q;
        end
        Poll: if (read_ready_i) stage_q <= Descriptor;
        Descriptor: if (beat_valid_i) stage_q <= fresh ? Measure : Pause;
        Pause: begin
          pause_q <= (pause_q == 16'(PollClocks)) ? '0 : pause_q + 16'd1;
          if (pause_q == 16'(PollClocks)) stage_q <= Poll;
        end
        Measure: begin
          step_q <= measured ? step_q : step_q + 2'd1;
          if (measured && (what.overlaps || late_none)) stage_q <= Check;
        end
        Check: begin
          bad_q <= 1'b0;
          code_q <= check_code;
          stage_q <= asked ? Skip : Fence;
          if (check_good) begin
            if (what.is_load) stage_q <= LoadWait;
            if (what.is_keys && !left_none_q) stage_q <= Keys;
            if (what.is_rows) stage_q <= left_none_q ? Last : Rows;
            if (what.is_barrier) stage_q <= Last;
            if (what.is_release) stage_q <= Release;
            if (what.is_expire || what.is_scan) stage_q <= Walk;
            if (what.is_restore) stage_q <= left_none_q ? Last : Restore;
          end
        end
        LoadWait: if (unit_idle_i && read_ready_i) stage_q <= Load;
        Load: if (beat_valid_i && beat_ready_o && table_last) stage_q <= Loaded;
        Loaded: begin
          stopped_q <= table_wrong;
          if (table_wrong) code_q <= cst_pkg::CodeUsage;
          stage_q <= Fence;
        end
        Release: if (unit_idle_i) stage_q <= Releasing;
        Releasing: if (release_done_i) begin
          code_q <= release_code_i;
          stage_q <= Fence;
        end
        Walk: if (unit_idle_i) stage_q <= Walking;
        Walking: if (walk_over) stage_q <= what.is_scan ? Fence : Last;
        Restore: if (unit_idle_i && read_ready_i) stage_q <= Restoring;
        Restoring: begin
          if (record_taken && record_wrong) bad_q <= 1'b1;
          if (records_over_i) stage_q <= Last;
        end
        Keys: if (write_ready_i) stage_q <= Rows;
        Skip: if (beat_valid_i && skip_last) stage_q <= Fence;
        Rows: if (rows_asked || (read_ready_i && !asks_command)) stage_q <= RowsWait;
        RowsWait: begin
          if (row_taken && row_wrong) bad_q <= 1'b1;
          if (rows_over) stage_q <= what.is_keys ? Fence : Last;
          if (rows_over && what.is_keys && bad_q) code_q <= bad_code_q;
        end
        Last: if (late_put) begin
          number_q <= number_q + 32'd1;
          if (known) step_q <= 2'd2;
          stage_q <= next_there ? Measure : next_asked ? Descriptor : Poll;
        end else if (op_ready_i && op_valid_o) begin
          stage_q <= LastWait;
        end
        LastWait: if (result_end && late_none) begin
          code_q <= (result_i.code == cst_pkg::CodeOk && bad_q) ? bad_code_q : result_i.code;
          stage_q <= what.is_barrier ? Durable : Fence;
        end
        Durable: if (code_q != cst_pkg::CodeOk || durable_q) stage_q <= Fence;
        Fence: if (unit_idle_i || (code_q == cst_pkg::CodeOk && !what.is_end &&
                                   !command_q.flags[cst_kernel_pkg::FlagFence])) stage_q <= Drain;
        Drain: begin
          // Those before it are not stopped by it.
          if (code_q != cst_pkg::CodeOk && late_none) stopped_q <= 1'b1;
          if (written_all && results_none && late_none) stage_q <= Complete;
        end
        Complete: if (write_ready_i) stage_q <= CompleteData;
        CompleteData: if (data_ready_i) stage_q <= CompleteWait;
        CompleteWait: if (written_all) begin
          number_q <= number_q + 32'd1;
          completed_o <= number_q;
          stage_q <= (lost_q || (what.is_end && code_q == cst_pkg::CodeOk)) ? Done :
                     next_there ? Measure : next_asked ? Descriptor : Poll;
        end
        default: if (done_ready_i) stage_q <= Idle;
      endcase
      if (unit_lost) begin
        lost_q <= 1'b1;
        code_q <= cst_pkg::CodeDeviceLost;
        stage_q <= Drain;
      end
      if (late_done) begin
        completed_o <= late_number;
        status_q <= late_code;
        if (late_code != cst_pkg::CodeOk) stopped_q <= 1'b1;
      end else if (stage_q == Ready || stage_q == CompleteWait || stage_q == Done) begin
        status_q <= code_q;
      end
      if (late_done && late_code == cst_pkg::CodeDeviceLost) begin
        lost_q <= 1'b1;
        code_q <= cst_pkg::CodeDeviceLost;
        stage_q <= Done;
      end
      if (fault_i && running_o) begin
        lost_q <= 1'b1;
        code_q <= cst_pkg::CodeDeviceLost;
        stage_q <= Done;
      end
    end
  end

  logic unused_bits;
  assign unused_bits = ^{command_q, entry_head, what};
endmodule
`default_nettype wire
