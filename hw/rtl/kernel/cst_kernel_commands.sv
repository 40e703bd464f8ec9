// cst_kernel_commands: one run of a kernel: takes commands from a ring in memory, has each done,
// and writes a completion for each, until one ends the run or something is lost.
// Promises   commands are done one after the other, each has one completion, in order, written when
//            all its results are in memory. Rows without results and barriers, if they need no
//            fence, wait for their completion beside the commands behind them (LateDepth of them),
//            which are read and begun meanwhile, rows with the same flags before the last ones of
//            those before them are done. One that fails (docs/hardware.md, Kernel, says
//            how) changes nothing more and stops the run: OpRows and OpBarrier complete as
//            CodeAborted until an OpLoad. fault_i: nothing is asked of memory any more, the run
//            ends; unit_fault_i: the command completes as CodeDeviceLost, and the run ends. lost_o
//            until reset.
// Needs      arguments stand still from start to done. Behind lost_o: reset.
//
//   ring ─► descriptor ─► check ─┬─ OpLoad: table block ─► config, control block, places
//     ▲                          ├─ OpRows, OpKeys: rows ─► cst_kernel_rows ─► operations, results
//     │                          ├─ OpRestore: records ─► cst_kernel_records ─► operations
//     │                          ├─ OpExpire: entries of a walk ─► operations     │
//     │                          ├─ OpScan:   entries of a walk ─► records        │
//     │ read again while its     ├─ OpBarrier, OpRelease, OpEnd                   │
//     └ number is not the next   └──────────────► completion ◄────────────────────┘
`default_nettype none
module cst_kernel_commands #(
  parameter int unsigned PollClocks = 64,
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits,
  localparam int unsigned SlotNoBits = cst_state_pkg::SlotNoBits,
  localparam int unsigned BeatsBits = cst_kernel_pkg::BeatsBits,
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

  // A row's result on its way: its two beats.
  typedef enum logic [1:0] { NoResult, FirstBeat, SecondBeat } result_e;

  // The oldest command whose completion is late.
  typedef enum logic [1:0] { LateWait, LateAsk, LateData, LateWritten } late_e;
  localparam int unsigned LateDepth = 4;

  stage_e stage_q;
  result_e result_q;
  logic lost_q, stopped_q, argument_wrong, fresh, bad_q;
  logic [31:0] number_q, left_q, bad_row_q, stop_row_q;
  logic [7:0] code_q, bad_code_q, status_q;
  logic [15:0] pause_q, writes_q;
  logic [63:0] slot_offset, ring_end, completions_end, results_q, from_q;
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

  // ---- Arguments, where the slots of the ring are -----------------------------------------------
  logic [63:0] first_byte;
  logic [64:0] end_byte;
  logic [31:0] slot;
  assign first_byte = {first_page_i, 12'b0};
  assign end_byte = {end_page_i, 12'b0};
  assign ring_end = ring_i + (64'd64 << ring_bits_i[4:0]);
  assign completions_end = completions_i + (64'd64 << ring_bits_i[4:0]);
  assign argument_wrong = ring_i[5:0] != '0 || completions_i[5:0] != '0 || ring_bits_i > 32'd16 ||
                          image_i[11:0] != '0 || stride_i[11:0] != '0 ||
                          ring_i < first_byte || {1'b0, ring_end} > end_byte || ring_end < ring_i ||
                          completions_i < first_byte || {1'b0, completions_end} > end_byte ||
                          completions_end < completions_i;
  assign slot = (number_q - 32'd1) & ((32'd1 << ring_bits_i[4:0]) - 32'd1);
  assign slot_offset = {26'b0, slot, 6'b0};
  assign fresh = read.number == number_q;

  // ---- A command's sizes and whether it can be --------------------------------------------------
  logic is_load, is_rows, is_keys, is_barrier, is_end, is_release, is_expire;
  logic is_scan, is_restore, gives, flag_wrong, overlaps, compact, cells, cells_wrong, keys_two;
  logic at_wrong;
  logic [63:0] buckets_all;
  logic [BeatsBits-1:0] beats_q, place_beats;
  logic [64:0] address_end_q, results_end_q;
  logic [7:0] check_code;

  assign is_load = command_q.op == cst_kernel_pkg::OpLoad;
  assign is_rows = command_q.op == cst_kernel_pkg::OpRows;
  assign is_keys = command_q.op == cst_kernel_pkg::OpKeys;
  assign is_barrier = command_q.op == cst_kernel_pkg::OpBarrier;
  assign is_end = command_q.op == cst_kernel_pkg::OpEnd;
  assign is_release = command_q.op == cst_kernel_pkg::OpRelease;
  assign is_expire = command_q.op == cst_kernel_pkg::OpExpire;
  assign is_scan = command_q.op == cst_kernel_pkg::OpScan;
  assign is_restore = command_q.op == cst_kernel_pkg::OpRestore;
  assign buckets_all = {37'b0, config_o.chunks, 3'b0};
  assign gives = is_keys || is_scan || (is_rows && command_q.results != '0);
  assign compact = command_q.flags[cst_kernel_pkg::FlagCompact];
  assign cells = command_q.flags[cst_kernel_pkg::FlagCells];
  // Keys alone come as cells, which are encoded and hashed; a row has as many beats as `at` says.
  assign cells_wrong = cells && (!is_keys || compact || command_q.flags[cst_kernel_pkg::FlagWide] ||
                                 !command_q.flags[cst_kernel_pkg::FlagEncode] ||
                                 !command_q.flags[cst_kernel_pkg::FlagHash] ||
                                 command_q.at == '0 ||
                                 command_q.at > 64'(cst_kernel_pkg::RowBeatsMax));
  assign keys_two = cells && command_q.flags[cst_kernel_pkg::FlagLong];
  // Its completion may be late: nothing of it is written to the batch's memory, no fence, and what
  // is past its time is the same for what is under way.
  assign overlaps = ((is_rows && !gives && !has_ttl) || is_barrier) &&
                    !command_q.flags[cst_kernel_pkg::FlagFence];
  assign flag_wrong = cells_wrong ||
                      (command_q.flags[cst_kernel_pkg::FlagLong] && !compact && !cells) ||
                      (compact && (command_q.flags[cst_kernel_pkg::FlagWide] ||
                                   (is_rows && !command_q.flags[cst_kernel_pkg::FlagHash]))) ||
                      (!is_restore && command_q.flags[cst_kernel_pkg::FlagMore]) ||
                      command_q.reserved0 != '0 ||
                      command_q.reserved1 != '0 || (!is_release && command_q.epoch != '0) ||
                      (!is_release && !is_expire && !is_scan && !cells && command_q.at != '0) ||
                      (!is_rows && !is_expire && !is_scan && command_q.now != '0);
  // Buckets that the image has, each once; a scan ends with the last.
  assign at_wrong = is_expire ? command_q.at >= buckets_all || 64'(command_q.count) > buckets_all
                              : 65'(command_q.at[63:4]) + 65'(command_q.count) > 65'(buckets_all);
  assign place_beats = BeatsBits'((command_q.count + 32'd31) >> 5);

  always_comb begin
    check_code = cst_pkg::CodeOk;
    if (is_load || is_rows || is_keys || is_restore) begin
      if (command_q.address < first_byte || address_end_q > end_byte ||
          command_q.address[5:0] != '0)
        check_code = cst_pkg::CodeUsage;
      if (command_q.count > (is_load ? 32'(cst_kernel_pkg::PlacesMax)
                                     : 32'(cst_kernel_pkg::RowsMax)))
        check_code = cst_pkg::CodeLimit;
    end
    if (gives && (command_q.results < first_byte || results_end_q > end_byte ||
                  command_q.results[5:0] != '0) && check_code == cst_pkg::CodeOk)
      check_code = cst_pkg::CodeUsage;
    if (is_expire || is_scan) begin
      if (at_wrong) check_code = cst_pkg::CodeUsage;
      if (command_q.count > 32'(cst_kernel_pkg::RowsMax) ||
          (is_scan && command_q.row > 32'(cst_kernel_pkg::RowsMax)))
        check_code = cst_pkg::CodeLimit;
      if (is_expire && !has_ttl) check_code = cst_pkg::CodeUnsupported;
    end
    if (!is_load && !is_rows && !is_keys && !is_barrier && !is_end && !is_release && !is_expire &&
        !is_scan && !is_restore)
      check_code = cst_pkg::CodeUnsupported;
    if (flag_wrong) check_code = cst_pkg::CodeUsage;
    if ((stopped_q || unit_stopped_i) && (is_rows || is_barrier || is_expire || is_restore))
      check_code = cst_pkg::CodeAborted;
  end

  // ---- The table block --------------------------------------------------------------------------
  logic [8:0] load_q;        // beats taken
  logic [4:0] place_q;       // of the 32 in a beat
  logic [511:0] table0_q, table1_q, table2_q, table3_q;
  logic places_on, load_last;

  assign places_on = stage_q == Load && load_q >= 9'(cst_kernel_pkg::TableBeats) && beat_valid_i;
  assign place_ring_o = BeatsBits'(load_q) >= BeatsBits'(cst_kernel_pkg::TableBeats) + place_beats;
  assign place_write_o = places_on;
  assign place_index_o = PlaceBits'({load_q - 9'(cst_kernel_pkg::TableBeats) -
                                     (place_ring_o ? 9'(place_beats) : 9'd0), place_q});
  assign place_o = beat_i[{place_q, 4'b0} +: PlaceBits];
  assign load_last = BeatsBits'(load_q) + 1'b1 == beats_q;

  // A region that begins between beats, a channel that reaches into the next one's, or, of a table
  // with memory, sizes that are not each other's: what the unit relies on.
  logic table_wrong, sizes_wrong;
  logic [7:0] table_key_bytes, table_units, table_key_words, table_value_bytes;
  logic [31:0] table_end_page;
  logic [8:0] entry_bytes;

  assign {table_value_bytes, table_key_words, table_units, table_key_bytes} = table0_q[480 +: 32];
  assign table_end_page = table0_q[416 +: 32];
  assign entry_bytes = 9'd16 + {4'b0, table_key_words[1:0], 3'b0} + {2'b0, table_value_bytes[6:0]};
  assign sizes_wrong = table_key_bytes > 8'(cst_kernel_pkg::KeyBytes) ||
                       table_key_words != (table_key_bytes + 8'd7) >> 3 ||
                       table_value_bytes > 8'(cst_state_pkg::Lanes * 8) ||
                       table_units != 8'((entry_bytes + 9'd31) >> 5);
  assign table_wrong = table0_q[128 +: 6] != '0 || table0_q[192 +: 6] != '0 ||
                       table0_q[256 +: 6] != '0 || table0_q[320 +: 6] != '0 ||
                       {20'b0, table_end_page} > stride_i[63:12] ||
                       (table_end_page != '0 && sizes_wrong);

  assign key_k0_o = table0_q[63:0];
  assign key_k1_o = table0_q[127:64];
  // Past its time is a row whose time is at or below now less the time to live, unless that is
  // below all times.
  logic [64:0] past, past_q;
  logic has_ttl;
  logic [62:0] ttl;
  assign ttl = table1_q[384 +: 63];
  assign has_ttl = ttl != '0;
  assign past = {command_q.now[63], command_q.now} - {2'b0, ttl};

  always_comb begin
    config_o.ttl = has_ttl && past_q[64] == past_q[63];
    config_o.past = past_q[63:0];
    config_o.time_lane = table1_q[450:448];
    config_o.chunks = table2_q[352 +: 24];
    config_o.directory_base = table0_q[128 +: cst_state_pkg::AddressBits];
    config_o.index_base = table0_q[192 +: cst_state_pkg::AddressBits];
    config_o.slots_base = table0_q[256 +: cst_state_pkg::AddressBits];
    config_o.log_base = table0_q[320 +: cst_state_pkg::AddressBits];
    config_o.first_page = table0_q[384 +: cst_state_pkg::PageBits];
    config_o.end_page = table0_q[416 +: cst_state_pkg::PageBits + 1];
    config_o.directory_mask = table0_q[448 +: 22];
    config_o.key_bytes = table0_q[480 +: 8];
    config_o.entry_units = table0_q[488 +: 2];
    config_o.key_words = table0_q[496 +: 2];
    config_o.value_bytes = table0_q[504 +: 7];
    config_o.log_shift = table1_q[4:0];
    config_o.replace = table1_q[8];
    config_o.has_presence = table1_q[9];
    config_o.presence_lane = table1_q[18:16];
    config_o.lane_source = table1_q[32 +: 8];
    config_o.log_mask = table1_q[64 +: PlaceBits];
    config_o.log_budget = table1_q[96 +: PlaceBits + 1];
    config_o.log_ready = table1_q[128 +: PlaceBits + 1];
    for (int unsigned i = 0; i < cst_state_pkg::Lanes; i++) begin
      config_o.lane_op[i*3 +: 3] = table1_q[192 + i*8 +: 3];
      config_o.lane_number[i*3 +: 3] = table1_q[256 + i*8 +: 3];
      config_o.lane_index[i*4 +: 4] = table1_q[320 + i*8 +: 4];
    end
    control_o.rows_count = table2_q[0 +: 64];
    control_o.epoch = table2_q[64 +: 64];
    control_o.epoch_first = table2_q[128 +: cst_state_pkg::UnitBits];
    control_o.tail = table2_q[192 +: cst_state_pkg::UnitBits];
    control_o.frontier = table2_q[256 +: PlaceBits + 1];
    control_o.free_first = table2_q[288 +: PlaceBits];
    control_o.free_count = table2_q[320 +: PlaceBits + 1];
    control_o.floor = table2_q[384 +: cst_state_pkg::FloorBits];
    columns_last_o = table1_q[24 +: 4];
    for (int unsigned i = 0; i < cst_pkg::ColumnsMax; i++)
      columns_o[i*cst_pkg::ColumnBits +: cst_pkg::ColumnBits] =
          table3_q[i*16 +: cst_pkg::ColumnBits];
  end

  // ---- Rows, and results of look-ups ------------------------------------------------------------
  logic row_goes, row_wrong, is_lookup, looks_up, key_goes, lookup_there, rows_over;
  logic key_held, key_half_q, key_second_q, late_takes;
  logic [255:0] key_first_q;
  cst_kernel_pkg::result_t key_result, lookup_result;

  assign rows_encode_o = command_q.flags[cst_kernel_pkg::FlagEncode];
  assign rows_hash_o = command_q.flags[cst_kernel_pkg::FlagHash];
  assign rows_wide_o = command_q.flags[cst_kernel_pkg::FlagWide];
  assign rows_first_o = command_q.row;
  assign rows_count_o = command_q.count;
  assign rows_compact_o = compact;
  assign rows_long_o = command_q.flags[cst_kernel_pkg::FlagLong];
  assign rows_cells_o = cells;
  assign rows_beats_o = command_q.at[3:0];
  for (genvar i = 0; i < cst_state_pkg::Lanes; i++) begin : g_word
    assign rows_words_o[i*3 +: 3] = table1_q[160 + i*4 +: 3];
  end
  assign row_beat_valid_o = stage_q == RowsWait && beat_valid_i && !early_q;

  // A row that is wrong, and all behind it, go nowhere; a command for keys says which it was.
  assign looks_up = row_op_i.kind == cst_state_pkg::KindLookup;
  assign row_wrong = row_code_i != cst_pkg::CodeOk || (is_rows && looks_up && !gives);
  assign row_goes = stage_q == RowsWait && is_rows && row_valid_i && !row_wrong && !bad_q;
  assign key_goes = stage_q == RowsWait && is_keys && row_valid_i;
  assign row_ready_o = stage_q == RowsWait &&
                       (is_keys ? key_held || (data_ready_i && (!keys_two || key_second_q))
                                : row_wrong || bad_q || op_ready_i);
  // Compact results: two a beat; the first of them is held.
  assign key_held = compact && !key_half_q && left_q != 32'd1;
  assign rows_over = left_q == '0 && rows_over_i;

  always_comb begin
    op_o = row_op_i;
    op_valid_o = row_goes;
    if (stage_q == Walking) begin
      op_valid_o = is_expire && walk_valid_i && expired;
      op_o.kind = cst_state_pkg::KindExpire;
      op_o.row = command_q.row + 32'(walk_index_i);
      op_o.hash = entry_head.hash;
      op_o.key_bytes = entry_head.key_bytes;
      op_o.key = entry_key;
    end
    if (stage_q == Restoring) begin
      op_valid_o = record_goes;
      op_o = record_op_i;
    end
    if (stage_q == Last) begin
      op_valid_o = (overlaps && !bad_q) ? late_room : late_none;
      op_o.kind = is_barrier ? cst_state_pkg::KindBarrier : cst_state_pkg::KindEnd;
      op_o.row = is_restore ? records_end_i : command_q.row + command_q.count;
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
  cst_pkg::entry_head_t entry_head;
  logic [127:0] entry_key;
  logic expired;
  cst_state_entry u_entry (
    .config_i(config_o), .entry_i(walk_entry_i), .head_o(entry_head), .key_o(entry_key),
    .value_o(), .expired_o(expired)
  );

  // A row of a scan is the record that RESTORE takes: one beat, or two. The rows that it may still
  // give are left_q, the slot behind what it has seen is next_q.
  logic record_there, record_over, two_beats, scan_full;
  logic [SlotNoBits:0] next_q, scan_end;
  cst_pkg::record_head_t record_head;
  assign two_beats = !is_scan || config_o.entry_units == 2'd3;
  assign scan_full = left_q == '0;
  assign record_there = stage_q == Walking && is_scan && walk_valid_i && !expired && !scan_full;
  assign record_over = is_scan && data_ready_i &&
                       (result_q == SecondBeat || (result_q == FirstBeat && !two_beats));
  assign scan_end = (SlotNoBits+1)'({command_q.at[SlotNoBits:4] + (SlotNoBits-3)'(command_q.count),
                                     4'd0});
  always_comb begin
    record_head = '0;
    record_head.hash = entry_head.hash;
    record_head.key_bytes = 16'(entry_head.key_bytes);
    record_head.units = 16'(config_o.entry_units);
    record_head.value_bytes = 24'(config_o.value_bytes);
    record_head.present = 1'b1;
  end
  assign walk_o = stage_q == Walk && unit_idle_i;
  assign walk_first_o = is_scan ? command_q.at[SlotNoBits-1:0]
                                : {command_q.at[SlotNoBits-5:0], 4'd0};
  assign walk_buckets_o = command_q.count[16:0];
  assign walk_stop_o = stage_q == Walking && is_scan && scan_full;
  assign walk_ready_o = stage_q == Walking &&
                        (is_scan ? expired || record_over : op_ready_i || !expired);

  assign is_lookup = result_valid_i && result_i.kind == cst_state_pkg::KindLookup;
  assign lookup_there = is_lookup && (stage_q == RowsWait || stage_q == Last ||
                                      stage_q == LastWait);
  always_comb begin
    result_ready_o = !is_lookup;  // of a stop: the end says it again
    if (is_lookup) result_ready_o = result_q == SecondBeat && data_ready_i;
    if (result_valid_i && (result_i.kind == cst_state_pkg::KindBarrier ||
                           result_i.kind == cst_state_pkg::KindEnd))
      result_ready_o = late_none ? stage_q == LastWait : late_takes;
  end

  always_comb begin
    lookup_result = '0;
    lookup_result.code = result_i.code;
    lookup_result.found = 8'(result_i.found);
    lookup_result.row = result_i.row;
    key_result = '0;
    key_result.code = row_code_i;
    key_result.key_bytes = row_op_i.key_bytes;
    key_result.row = row_op_i.row;
    key_result.hash = row_op_i.hash;
    key_result.key = row_key_i[383:0];
  end

  // ---- Completions that are late ----------------------------------------------------------------
  late_e late_q;
  logic late_put, late_room, late_there, late_none, late_done, late_lost, late_barrier;
  logic late_asks;
  logic [31:0] late_number, late_first, late_row_q, late_slot;
  logic [7:0] late_code_q;
  logic [63:0] late_from_q, late_epoch_q;
  logic [cst_state_pkg::UnitBits-1:0] late_to_q;

  assign late_put = stage_q == Last && overlaps && !bad_q && op_ready_i && late_room;
  assign late_none = !late_there;
  assign late_done = late_q == LateWritten && writes_q == '0;
  cst_fifo #(.Width(65), .Depth(LateDepth)) u_late (
    .clk_i, .rst_ni,
    .in_valid_i(late_put), .in_ready_o(late_room),
    .in_data_i({is_barrier, command_q.row, number_q}),
    .out_valid_o(late_there), .out_ready_i(late_done),
    .out_data_o({late_barrier, late_first, late_number}), .fill_o()
  );
  assign late_takes = late_q == LateWait && running_o;
  assign late_lost = late_q == LateWait && late_there && unit_fault_i != '0;
  assign late_slot = (late_number - 32'd1) & ((32'd1 << ring_bits_i[4:0]) - 32'd1);

  always_ff @(posedge clk_i) begin
    if (late_q == LateWait) begin
      late_code_q <= unit_fault_i != '0 ? cst_pkg::CodeDeviceLost :
                     stopped_q ? cst_pkg::CodeAborted : result_i.code;
      late_row_q <= stopped_q ? late_first : result_i.row;
      late_from_q <= (late_barrier && !stopped_q) ? result_i.value[127:64] : '0;
      late_epoch_q <= result_i.value[63:0];
      late_to_q <= result_i.value[128+5 +: cst_state_pkg::UnitBits];
    end
    if (!rst_ni || fault_i || !running_o) begin
      late_q <= LateWait;
    end else begin
      unique case (late_q)
        LateWait: if (late_there && (late_lost ||
                      (result_valid_i && (result_i.kind == cst_state_pkg::KindBarrier ||
                                          result_i.kind == cst_state_pkg::KindEnd))))
          late_q <= LateAsk;
        // A barrier's is written when its epoch is in memory.
        LateAsk: if (write_ready_i && late_asks) late_q <= LateData;
        LateData: if (data_ready_i) late_q <= LateWritten;
        default: if (late_done) late_q <= LateWait;
      endcase
    end
  end
  assign late_asks = late_q == LateAsk && (!late_barrier || late_code_q != cst_pkg::CodeOk ||
                                           durable_epoch_i >= late_epoch_q);

  // ---- The completion ---------------------------------------------------------------------------
  always_comb begin
    completion = '0;
    completion.number = late_none ? number_q : late_number;
    completion.code = late_none ? code_q : late_code_q;
    completion.stopped = 8'(stopped_q || (!late_none && late_code_q != cst_pkg::CodeOk));
    completion.faults = 8'(unit_fault_i);
    completion.busy = 8'(!unit_idle_i);
    completion.row = late_none ? stop_row_q : late_row_q;
    completion.rows_count = control_i.rows_count;
    completion.epoch = control_i.epoch;
    completion.epoch_first = 64'(control_i.epoch_first);
    completion.tail = 64'(control_i.tail);
    completion.from = is_release ? 64'(control_i.floor) : is_scan ? 64'(next_q) : from_q;
    // What is behind a late one, or was in its place of the ring before, says nothing of it.
    if (!late_none) completion.from = late_from_q;
    completion.frontier = 16'(control_i.frontier);
    completion.free_first = 16'(control_i.free_first);
    completion.free_count = 16'(control_i.free_count);
    // The epoch that it began, though a barrier behind it may have begun the next one.
    if (!late_none && late_barrier && late_code_q == cst_pkg::CodeOk) begin
      completion.epoch = late_epoch_q + 64'd1;
      completion.epoch_first = 64'(late_to_q);
    end
  end

  // ---- The command behind rows ------------------------------------------------------------------
  // The beats of rows that overlap what is behind them stand behind that command's own:
  //
  //   command n + 1 | rows n | command n + 2 | rows n + 1 | ...
  //
  // So it is known while rows come. If it is one of rows with the same flags, the one behind it and
  // its rows are asked for as soon as these rows have all been: their beats follow. If it was not
  // there yet, it is asked for once more, behind the rows.
  logic early_q, next_there_q, next_late_q, next_fits_q, asked_q, command_asked_q, rows_asked_q;
  logic [1:0] next_step_q;  // 1: there, 2: its sizes are known
  logic takes_early, takes_next, asks_ahead, asks_again, asks_command, same_kind;
  logic [31:0] slot_next_q, slot_behind_q;  // of the next command, of the one behind it
  logic [BeatsBits-1:0] next_beats_q, skip_q;
  logic [64:0] next_end_q;
  cst_kernel_pkg::descriptor_t behind_q;

  assign takes_early = stage_q == RowsWait && early_q && beat_valid_i;
  assign takes_next = next_there_q && ((stage_q == Last && late_put) ||
                                       (stage_q == CompleteWait && writes_q == '0));
  assign asks_ahead = (stage_q == RowsWait || stage_q == Last) && next_fits_q && !rows_asked_q;
  assign asks_again = stage_q == RowsWait && next_late_q && !asked_q;
  assign asks_command = asks_again ||
                        ((asks_ahead || (stage_q == Rows && is_rows && overlaps)) &&
                         !command_asked_q);
  assign same_kind = behind_q.op == command_q.op && behind_q.flags == command_q.flags &&
                     behind_q.results == '0 && behind_q.epoch == '0 && behind_q.at == '0 &&
                     behind_q.reserved0 == '0 && behind_q.reserved1 == '0;

  always_ff @(posedge clk_i) begin
    slot_next_q <= number_q & ((32'd1 << ring_bits_i[4:0]) - 32'd1);
    slot_behind_q <= (number_q + 32'd1) & ((32'd1 << ring_bits_i[4:0]) - 32'd1);
    if (takes_early) behind_q <= read;
    if (next_step_q == 2'd1) begin
      next_beats_q <= rows_compact_o ? BeatsBits'((behind_q.count + 32'd1) >> 1)
                    : rows_wide_o ? {behind_q.count[BeatsBits-2:0], 1'b0}
                                  : behind_q.count[BeatsBits-1:0];
    end
    if (next_step_q == 2'd2) next_end_q <= {1'b0, behind_q.address} + 65'({next_beats_q, 6'b0});
    if (stage_q == Check) skip_q <= BeatsBits'(command_asked_q) + (rows_asked_q ? beats_q : '0);
    else if (stage_q == Skip && beat_valid_i) skip_q <= skip_q - 1'b1;
    if (!rst_ni || stage_q == Idle || stage_q == Rows || takes_next) begin
      early_q <= stage_q == Rows && is_rows && overlaps;
      next_there_q <= 1'b0;
      next_late_q <= 1'b0;
      next_fits_q <= 1'b0;
      next_step_q <= '0;
    end else begin
      if (takes_early) begin
        early_q <= 1'b0;
        next_there_q <= read.number == number_q + 32'd1;
        next_late_q <= read.number != number_q + 32'd1;
        next_step_q <= 2'(read.number == number_q + 32'd1);
      end else if (next_step_q != '0) begin
        next_step_q <= next_step_q + 2'd1;  // 3, then 0
      end
      if (next_step_q == 2'd3)
        next_fits_q <= same_kind && behind_q.count != '0 &&
                       behind_q.count <= 32'(cst_kernel_pkg::RowsMax) &&
                       behind_q.address[5:0] == '0 && behind_q.address >= first_byte &&
                       next_end_q <= end_byte;
    end
    if (!rst_ni || stage_q == Idle || stage_q == RowsWait && !asks_ahead && !next_fits_q ||
        stage_q == Skip) begin
      command_asked_q <= 1'b0;
      rows_asked_q <= 1'b0;
    end else if (read_valid_o && read_ready_i && (asks_ahead || stage_q == Rows)) begin
      if (asks_command) command_asked_q <= 1'b1;
      else rows_asked_q <= 1'b1;
    end
  end

  // ---- Memory's ports ---------------------------------------------------------------------------
  logic write_taken, lookup_asks;
  logic [31:0] slot_asked;
  assign slot_asked = asks_ahead ? slot_behind_q : slot_next_q;
  assign read_valid_o = stage_q == Poll || (stage_q == Rows && !rows_asked_q) || asks_ahead ||
                        asks_again ||
                        ((stage_q == LoadWait || stage_q == Restore) && unit_idle_i);
  assign read_address_o = asks_command ? ring_i + {26'b0, slot_asked, 6'b0} :
                          (stage_q == Poll) ? ring_i + slot_offset :
                          asks_ahead ? behind_q.address : command_q.address;
  assign read_beats_o = (stage_q == Poll || asks_command) ? BeatsBits'(1) :
                        asks_ahead ? next_beats_q : beats_q;
  assign beat_ready_o = stage_q == Descriptor || takes_early || stage_q == Skip ||
                        (stage_q == Load && (!places_on || place_q == '1)) ||
                        (stage_q == RowsWait && !early_q && row_beat_ready_i) ||
                        (stage_q == Restoring && record_beat_ready_i);

  assign lookup_asks = (lookup_there || record_there) && result_q == NoResult;
  assign write_taken = write_valid_o && write_ready_i;
  always_comb begin
    write_valid_o = lookup_asks || stage_q == Complete || late_asks;
    write_address_o = results_q;
    write_beats_o = two_beats ? BeatsBits'(2) : BeatsBits'(1);
    if (stage_q == Complete) begin
      write_address_o = completions_i + slot_offset;
      write_beats_o = BeatsBits'(1);
    end
    if (stage_q == Keys) begin
      write_valid_o = 1'b1;
      write_beats_o = key_beats;
    end
    if (late_asks) begin
      write_address_o = completions_i + {26'b0, late_slot, 6'b0};
      write_beats_o = BeatsBits'(1);
    end
  end
  always_comb begin
    data_valid_o = key_goes && !key_held;
    data_o = key_result;
    if (compact) data_o = {256'b0, key_result[255:0]};
    if (compact && key_half_q) data_o = {key_result[255:0], key_first_q};
    if (key_second_q) data_o = {384'b0, row_key_i[511:384]};
    if (result_q != NoResult) begin
      data_valid_o = 1'b1;
      data_o = (result_q == FirstBeat) ? lookup_result : result_i.value;
      if (is_scan) data_o = (result_q == FirstBeat) ? {walk_entry_i[511:128], record_head}
                                                    : {256'b0, walk_entry_i[767:512]};
    end
    if (stage_q == CompleteData || late_q == LateData) begin
      data_valid_o = 1'b1;
      data_o = completion;
    end
  end

  // ---- Stage by stage ---------------------------------------------------------------------------
  logic row_taken, unit_lost, waits_for_unit;
  logic [BeatsBits-1:0] beats, key_beats;

  assign key_beats = compact ? BeatsBits'((command_q.count + 32'd1) >> 1)
                   : keys_two ? {command_q.count[BeatsBits-2:0], 1'b0}
                              : BeatsBits'(command_q.count);
  assign beats = is_load ? BeatsBits'(cst_kernel_pkg::TableBeats) +
                               {place_beats[BeatsBits-2:0], 1'b0}
               : is_restore || compact ? BeatsBits'((command_q.count + 32'd1) >> 1)
               : cells ? command_q.count[BeatsBits-1:0] * BeatsBits'(rows_beats_o)
               : rows_wide_o ? {command_q.count[BeatsBits-2:0], 1'b0}
                             : command_q.count[BeatsBits-1:0];
  assign row_taken = row_valid_i && row_ready_o;
  assign waits_for_unit = stage_q == LoadWait || (stage_q == RowsWait && is_rows) ||
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

  always_ff @(posedge clk_i) begin
    unique case (stage_q)
      Descriptor: if (beat_valid_i) command_q <= read;
      Measure: begin
        beats_q <= beats;
        address_end_q <= {1'b0, command_q.address} + 65'({beats, 6'b0});
        results_end_q <= {1'b0, command_q.results} +
                         (is_scan ? (two_beats ? 65'({command_q.row, 7'b0})
                                               : 65'({command_q.row, 6'b0}))
                          : is_keys && compact
                              ? {32'b0, 33'({1'b0, command_q.count} + 33'd1) >> 1} << 6
                          : is_keys && !keys_two ? 65'({command_q.count, 6'b0})
                                                 : 65'({command_q.count, 7'b0}));
        stop_row_q <= command_q.row;
        past_q <= past;
        left_q <= is_scan ? command_q.row : command_q.count;
        next_q <= command_q.at[SlotNoBits:0];
        results_q <= command_q.results;
        from_q <= '0;
        load_q <= '0;
        place_q <= '0;
      end
      Load: if (beat_valid_i) begin
        if (load_q == 9'd0) table0_q <= beat_i;
        if (load_q == 9'd1) table1_q <= beat_i;
        if (load_q == 9'd2) table2_q <= beat_i;
        if (load_q == 9'd3) table3_q <= beat_i;
        if (beat_ready_o) load_q <= load_q + 9'd1;
        if (places_on) place_q <= place_q + 5'd1;
      end
      RowsWait: begin
        if (row_taken) left_q <= left_q - 32'd1;
        if (row_taken) key_first_q <= key_result[255:0];
        if (row_taken && row_wrong && !bad_q) begin
          bad_code_q <= (row_code_i != cst_pkg::CodeOk) ? row_code_i : cst_pkg::CodeUsage;
          bad_row_q <= row_op_i.row;
        end
        if (rows_over && is_keys) stop_row_q <= bad_q ? bad_row_q : command_q.row + command_q.count;
      end
      LastWait: begin
        if (result_valid_i && result_ready_o && !is_lookup) begin
          stop_row_q <= (result_i.code == cst_pkg::CodeOk && bad_q) ? bad_row_q : result_i.row;
          if (is_barrier) from_q <= result_i.value[127:64];
        end
      end
      Restoring: if (record_taken && record_wrong && !bad_q) begin
        bad_code_q <= record_code_i;
        bad_row_q <= record_op_i.row;
      end
      Walking: if (is_scan) begin
        if (record_over) left_q <= left_q - 32'd1;
        if (walk_valid_i && walk_ready_o && !scan_full)
          next_q <= {1'b0, walk_slot_i} +
                    (SlotNoBits+1)'(!cst_mistake_pkg::planted(cst_mistake_pkg::Scan));
        if (!walk_busy_i) begin
          stop_row_q <= command_q.row - left_q;
          if (!scan_full) next_q <= scan_end;
        end
      end
      default: ;
    endcase
    if (takes_next) command_q <= behind_q;
    if (lookup_asks && write_ready_i) results_q <= results_q + (two_beats ? 64'd128 : 64'd64);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      stage_q <= Idle;
      result_q <= NoResult;
      lost_q <= 1'b0;
      stopped_q <= 1'b0;
      bad_q <= 1'b0;
      number_q <= 32'd1;
      completed_o <= '0;
      code_q <= cst_pkg::CodeOk;
      status_q <= cst_pkg::CodeOk;
      pause_q <= '0;
      writes_q <= '0;
      asked_q <= 1'b0;
      key_half_q <= 1'b0;
      key_second_q <= 1'b0;
    end else begin
      if (stage_q == Descriptor) asked_q <= 1'b0;
      else if (asks_again && read_ready_i) asked_q <= 1'b1;
      if (stage_q == Check) key_half_q <= 1'b0;
      else if (row_taken) key_half_q <= key_held;
      if (stage_q == Check) key_second_q <= 1'b0;
      else if (keys_two && key_goes && data_ready_i) key_second_q <= !key_second_q;
      writes_q <= writes_q + 16'(write_taken) - 16'(written_i);
      unique case (result_q)
        NoResult: if (lookup_asks && write_ready_i) result_q <= FirstBeat;
        FirstBeat: if (data_ready_i) result_q <= two_beats ? SecondBeat : NoResult;
        default: if (data_ready_i) result_q <= NoResult;
      endcase
      unique case (stage_q)
        Idle: if (start_valid_i) begin
          stage_q <= Ready;
          number_q <= 32'd1;
          completed_o <= '0;
          stopped_q <= 1'b0;
          code_q <= cst_pkg::CodeOk;
        end
        Ready: if (lost_q || unit_fault_i != '0 || argument_wrong) begin
          stage_q <= Done;
          lost_q <= lost_q || unit_fault_i != '0;
          code_q <= argument_wrong ? cst_pkg::CodeUsage : cst_pkg::CodeDeviceLost;
        end else if (unit_ready_i) begin
          stage_q <= Poll;
        end
        Poll: if (read_ready_i) stage_q <= Descriptor;
        Descriptor: if (beat_valid_i) stage_q <= fresh ? Measure : Pause;
        Pause: begin
          pause_q <= (pause_q == 16'(PollClocks)) ? '0 : pause_q + 16'd1;
          if (pause_q == 16'(PollClocks)) stage_q <= Poll;
        end
        Measure: if (overlaps || late_none) stage_q <= Check;
        Check: begin
          bad_q <= 1'b0;
          code_q <= check_code;
          stage_q <= (command_asked_q || rows_asked_q) ? Skip : Fence;
          if (check_code == cst_pkg::CodeOk) begin
            if (is_load) stage_q <= LoadWait;
            if (is_keys && command_q.count != '0) stage_q <= Keys;
            if (is_rows) stage_q <= (command_q.count == '0) ? Last : Rows;
            if (is_barrier) stage_q <= Last;
            if (is_release) stage_q <= Release;
            if (is_expire || is_scan) stage_q <= Walk;
            if (is_restore) stage_q <= (command_q.count == '0) ? Last : Restore;
          end
        end
        LoadWait: if (unit_idle_i && read_ready_i) stage_q <= Load;
        Load: if (beat_valid_i && beat_ready_o && load_last) stage_q <= Loaded;
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
        Walking: if (!walk_busy_i) stage_q <= is_scan ? Fence : Last;
        Restore: if (unit_idle_i && read_ready_i) stage_q <= Restoring;
        Restoring: begin
          if (record_taken && record_wrong) bad_q <= 1'b1;
          if (records_over_i) stage_q <= Last;
        end
        Keys: if (write_ready_i) stage_q <= Rows;
        Skip: if (beat_valid_i && skip_q == BeatsBits'(1)) stage_q <= Fence;
        Rows: if (rows_asked_q || (read_ready_i && !asks_command)) stage_q <= RowsWait;
        RowsWait: begin
          if (row_taken && row_wrong) bad_q <= 1'b1;
          if (rows_over) stage_q <= is_keys ? Fence : Last;
          if (rows_over && is_keys && bad_q) code_q <= bad_code_q;
        end
        Last: if (late_put) begin
          number_q <= number_q + 32'd1;
          stage_q <= next_there_q ? Measure : asked_q ? Descriptor : Poll;
        end else if (op_ready_i && op_valid_o) begin
          stage_q <= LastWait;
        end
        LastWait: if (result_valid_i && result_ready_o && !is_lookup &&
                      (result_i.kind == cst_state_pkg::KindBarrier ||
                       result_i.kind == cst_state_pkg::KindEnd)) begin
          code_q <= (result_i.code == cst_pkg::CodeOk && bad_q) ? bad_code_q : result_i.code;
          stage_q <= is_barrier ? Durable : Fence;
        end
        Durable: if (code_q != cst_pkg::CodeOk || durable_epoch_i + 64'd1 == control_i.epoch)
          stage_q <= Fence;
        Fence: if (unit_idle_i || (code_q == cst_pkg::CodeOk && !is_end &&
                                   !command_q.flags[cst_kernel_pkg::FlagFence])) stage_q <= Drain;
        Drain: begin
          // Those before it are not stopped by it.
          if (code_q != cst_pkg::CodeOk && late_none) stopped_q <= 1'b1;
          if (writes_q == '0 && result_q == NoResult && late_none) stage_q <= Complete;
        end
        Complete: if (write_ready_i) stage_q <= CompleteData;
        CompleteData: if (data_ready_i) stage_q <= CompleteWait;
        CompleteWait: if (writes_q == '0) begin
          number_q <= number_q + 32'd1;
          completed_o <= number_q;
          stage_q <= (lost_q || (is_end && code_q == cst_pkg::CodeOk)) ? Done :
                     next_there_q ? Measure : asked_q ? Descriptor : Poll;
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
        status_q <= late_code_q;
        if (late_code_q != cst_pkg::CodeOk) stopped_q <= 1'b1;
      end else if (stage_q == Ready || stage_q == CompleteWait || stage_q == Done) begin
        status_q <= code_q;
      end
      if (late_done && late_code_q == cst_pkg::CodeDeviceLost) begin
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
  assign unused_bits = ^{table0_q, table1_q, table2_q, table3_q, beat_i, command_q, entry_head,
                         image_i};
endmodule
`default_nettype wire
