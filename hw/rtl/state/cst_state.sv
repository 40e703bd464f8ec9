// cst_state: the state unit: operations on a table image that lies over 16 memory channels.
// Promises   image and change log after a stream of operations are those of docs/formats.md, byte
//            for byte, whatever memory's delays; results come in order of the operations; one
//            operation a clock but for the waits that counters_o tells. idle_o: all is in memory.
// Needs      ready_o before the first operation; load_i, places, flush_i, release_i, walk_i
//            and resume_i only while idle; no operation between release_i and release_done_o.
//            While it walks, operations may change only slots that it has offered.
//            docs/hardware.md, State unit, has the stages and the hazards.
// Faults     fault_o: 0 a read, 1 a write was answered with an error; 2 an address outside of the
//            pages of config_i; 3 memory owed something and moved nothing for 2^SilenceBits clocks.
//            From the first one on no burst is begun and nothing comes on chip: operations are
//            taken and forgotten, idle_o stays low; durable_epoch_o says no more than is true.
// soft_reset_i  a clock of it, at any time: all on chip is forgotten; ready_o when memory has
//            answered what it owes, and fault_o is zero then. The image has to be loaded anew.
//            From the next clock on no result is offered: one that was not taken is withdrawn.
// Length     over two screens: 90 lines of ports, then wires between its parts, in their order;
//            what it keeps itself is faults, places of the log, lines of keys, and counts.
//
//   op ─► directory ─► fetch ────────────────► issue ─► execute ─► results
//            │  ▲        │ new key               ▲             │
//            │  │        └─► match ─► entry ─► check           ├─► states ─► save ──────┐
//            │  │               ▲       │  ▲                   └─► lines, gaps ───────┐│
//            ▼  │               │       ▼  │                         ▲                 ▼▼
//          reads: rows        lines ◄── reads of 16 channels ────────┘     writes of 16 channels
`default_nettype none
module cst_state #(
  parameter int unsigned KeySetBits = 10,
  parameter int unsigned KeyWays = 8,
  parameter int unsigned KeyIds = 1024,    // keys on chip
  parameter int unsigned LineSetBits = 10,
  parameter int unsigned LineWays = 8,
  parameter int unsigned LineIds = 1024,   // lines on chip, of each half
  parameter int unsigned OpDepth = 768,    // operations between fetch and execution
  parameter int unsigned RowBits = 10,     // 2^RowBits directory rows on chip
  parameter int unsigned RowDepth = 512,   // operations that wait for their directory row
  parameter int unsigned SilenceBits = 16,
  localparam int unsigned Channels = cst_state_pkg::Channels,
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits,
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits,
  localparam int unsigned SlotNoBits = cst_state_pkg::SlotNoBits,
  localparam int unsigned CounterBits = cst_state_pkg::CounterBits,
  localparam int unsigned Counters = cst_state_pkg::Counters
) (
  input  wire logic                            clk_i,
  input  wire logic                            rst_ni,
  output      logic                            ready_o,
  output      logic                            idle_o,
  input  wire logic                            soft_reset_i,
  output      logic [3:0]                      fault_o,
  input  wire cst_state_pkg::config_t          config_i,
  // the control block, the log's map (0) and ring (1) of places
  input  wire logic                            load_i,
  input  wire cst_state_pkg::control_t         control_i,
  output      cst_state_pkg::control_t         control_o,
  output      logic [63:0]                     durable_epoch_o,  // the newest that is in memory
  input  wire logic                            place_write_i,
  input  wire logic                            place_ring_i,
  input  wire logic [PlaceBits-1:0]            place_index_i,
  input  wire logic [PlaceBits-1:0]            place_i,
  output      logic [PlaceBits-1:0]            place_map_o,
  input  wire logic                            flush_i,      // the directory has changed
  // RELEASE: of a delta, by its epoch and its end in bytes
  input  wire logic                            release_i,
  input  wire logic [63:0]                     release_epoch_i,
  input  wire logic [63:0]                     release_to_i,
  output      logic                            release_done_o,
  output      cst_pkg::code_e                  release_code_o,
  // the entries of a run of buckets (cst_state_walk)
  input  wire logic                            walk_i,
  input  wire logic [SlotNoBits-1:0]           walk_first_i,
  input  wire logic [16:0]                     walk_buckets_i,
  input  wire logic                            walk_stop_i,
  output      logic                            walk_busy_o,
  output      logic                            walk_valid_o,
  input  wire logic                            walk_ready_i,
  output      logic [16:0]                     walk_index_o,
  output      logic [SlotNoBits-1:0]           walk_slot_o,
  output      logic [767:0]                    walk_entry_o,
  input  wire logic                            resume_i,
  output      logic                            stopped_o,
  input  wire logic                            op_valid_i,
  output      logic                            op_ready_o,
  input  wire cst_state_pkg::op_t              op_i,
  output      logic                            result_valid_o,
  input  wire logic                            result_ready_i,
  output      cst_state_pkg::result_t          result_o,
  output      logic [Counters*CounterBits-1:0] counters_o,
  // 16 AXI4 masters, one id each
  output      logic [Channels-1:0]             ar_valid_o,
  input  wire logic [Channels-1:0]             ar_ready_i,
  output      logic [Channels*AddressBits-1:0] ar_address_o,
  output      logic [Channels*8-1:0]           ar_len_o,
  input  wire logic [Channels-1:0]             r_valid_i,
  output      logic [Channels-1:0]             r_ready_o,
  input  wire logic [Channels*512-1:0]         r_data_i,
  input  wire logic [Channels*2-1:0]           r_resp_i,
  input  wire logic [Channels-1:0]             r_last_i,
  output      logic [Channels-1:0]             aw_valid_o,
  input  wire logic [Channels-1:0]             aw_ready_i,
  output      logic [Channels*AddressBits-1:0] aw_address_o,
  output      logic [Channels*8-1:0]           aw_len_o,
  output      logic [Channels-1:0]             w_valid_o,
  input  wire logic [Channels-1:0]             w_ready_i,
  output      logic [Channels*512-1:0]         w_data_o,
  output      logic [Channels*64-1:0]          w_strb_o,
  output      logic [Channels-1:0]             w_last_o,
  input  wire logic [Channels-1:0]             b_valid_i,
  output      logic [Channels-1:0]             b_ready_o,
  input  wire logic [Channels*2-1:0]           b_resp_i
);
  localparam int unsigned IdBits = cst_state_pkg::IdBits;
  localparam int unsigned Ids = cst_state_pkg::Ids;
  localparam int unsigned TagBits = cst_state_pkg::ReadTagBits;
  localparam int unsigned QueuedBits = cst_state_pkg::QueuedBits;
  localparam int unsigned ResultBits = cst_state_pkg::ResultBits;
  localparam int unsigned WriteBits = cst_state_pkg::WriteBits;
  // Wide items stand at multiples of 32 bits: simulators move them word by word.
  // What a read port answers: tag, then bytes; each kind takes as much of it as it needs.
  localparam int unsigned TagStride = 64;
  localparam int unsigned LineStride = TagStride + 512;
  localparam int unsigned WalkStride = TagStride + 512;
  localparam int unsigned WalkTagBits = cst_state_pkg::WalkTagBits;
  localparam int unsigned WriteStride = 832;
  localparam int unsigned NoBits = cst_state_pkg::BucketNoBits;
  localparam int unsigned UnitBits = cst_state_pkg::UnitBits;

  // ---- Faults and soft reset --------------------------------------------------------------------
  // The guards at the ports outlive a soft reset: they know what memory owes.
  logic soft_q, stop, unit_rst_n;
  logic [3:0] fault_q, fault;
  logic quiet;

  assign stop = soft_q || fault_q != '0;
  assign unit_rst_n = rst_ni && !soft_q;
  assign fault_o = fault_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      soft_q <= 1'b0;
      fault_q <= '0;
    end else begin
      if (soft_reset_i) soft_q <= 1'b1;
      else if (quiet) soft_q <= 1'b0;
      if (soft_q && !soft_reset_i && quiet) fault_q <= '0;
      else fault_q <= fault_q | fault;
    end
  end

  // ---- Directory, fetch -------------------------------------------------------------------------
  logic row_read_valid, row_read_ready, row_valid, row_ready, fetch_ready, row_fill_valid;
  cst_state_pkg::place_t row_read;
  logic [IdBits-1:0] row_read_id, row_fill_id;
  logic [255:0] row_fill;
  cst_state_pkg::op_t row_op;
  logic [175:0] row;
  logic in_ready;

  assign op_ready_o = fault_q != '0 ? !soft_q : in_ready && ready_o;
  cst_state_directory #(.RowBits(RowBits), .Depth(RowDepth)) u_directory (
    .clk_i, .rst_ni(unit_rst_n), .flush_i, .config_i,
    .in_valid_i(op_valid_i && ready_o && fault_q == '0), .in_ready_o(in_ready), .in_op_i(op_i),
    .read_valid_o(row_read_valid), .read_ready_i(row_read_ready), .read_place_o(row_read),
    .read_id_o(row_read_id),
    .fill_valid_i(row_fill_valid), .fill_id_i(row_fill_id), .fill_data_i(row_fill),
    .out_valid_o(row_valid), .out_ready_i(row_ready), .out_op_o(row_op), .out_row_o(row)
  );

  logic queue_in_valid, queue_in_ready, key_take, key_new, match_ready, hit, fetch_wait;
  logic wait_copy;
  cst_state_pkg::queued_t queue_in;
  logic [IdBits-1:0] key_id;
  cst_state_pkg::ident_t ident;
  logic [1:0] line_new, line_read_valid, line_read_ready, line_free;
  logic [2*IdBits-1:0] line_id, line_free_id;
  cst_state_pkg::place_t even_read, odd_read;
  logic key_free, key_freed;
  logic [IdBits-1:0] key_free_id;

  cst_state_fetch #(.KeySetBits(KeySetBits), .KeyWays(KeyWays), .KeyIds(KeyIds),
                    .LineSetBits(LineSetBits), .LineWays(LineWays), .LineIds(LineIds)) u_fetch (
    .clk_i, .rst_ni(unit_rst_n), .ready_o(fetch_ready), .config_i,
    .in_valid_i(row_valid), .in_ready_o(row_ready), .in_op_i(row_op), .in_row_i(row),
    .op_valid_o(queue_in_valid), .op_ready_i(queue_in_ready), .op_o(queue_in),
    .key_take_o(key_take), .key_new_o(key_new), .key_id_o(key_id), .ident_o(ident),
    .match_ready_i(match_ready), .line_new_o(line_new), .line_id_o(line_id),
    .read_valid_o(line_read_valid), .read_ready_i(line_read_ready),
    .read_even_o(even_read), .read_odd_o(odd_read),
    .key_drop_i(key_freed), .key_drop_id_i(key_free_id),
    .line_drop_i(line_free), .line_drop_id_i(line_free_id), .hit_o(hit), .wait_o(fetch_wait),
    .wait_copy_o(wait_copy)
  );

  logic queue_valid, queue_ready;
  cst_state_pkg::queued_t queued;
  cst_fifo #(.Width(QueuedBits), .Depth(OpDepth)) u_queue (
    .clk_i, .rst_ni(unit_rst_n),
    .in_valid_i(queue_in_valid), .in_ready_o(queue_in_ready), .in_data_i(queue_in),
    .out_valid_o(queue_valid), .out_ready_i(queue_ready), .out_data_o(queued), .fill_o()
  );

  // ---- Match, check -----------------------------------------------------------------------------
  logic [2*IdBits-1:0] match_line_id;
  logic [1:0] line_present, line_fill_valid, line_fill_ready;
  logic [2*LineStride-1:0] line_fill;
  logic match_read, again_valid, entry_read_valid, entry_read_ready, none_valid, none_ready;
  logic match_wait;
  logic [511:0] match_tags;
  cst_state_pkg::meta_t even_match_meta, odd_match_meta;
  logic [IdBits+31:0] again;
  cst_state_pkg::place_t entry_read;
  logic [TagBits-1:0] entry_read_tag, entry_tag;
  logic [IdBits-1:0] none_id, known_id;
  logic entry_valid, entry_ready, known_valid;
  logic [767:0] entry_data;
  cst_state_pkg::state_t known;

  cst_state_match u_match (
    .clk_i, .rst_ni(unit_rst_n), .config_i,
    .new_valid_i(key_new), .new_ready_o(match_ready), .new_id_i(key_id),
    .ident_write_i(key_new), .ident_id_i(key_id), .ident_i(ident),
    .line_id_o(match_line_id), .line_present_i(line_present), .line_read_o(match_read),
    .even_tags_i(match_tags[255:0]), .even_meta_i(even_match_meta),
    .odd_tags_i(match_tags[511:256]), .odd_meta_i(odd_match_meta),
    .again_valid_i(again_valid), .again_i(again),
    .read_valid_o(entry_read_valid), .read_ready_i(entry_read_ready), .read_place_o(entry_read),
    .read_tag_o(entry_read_tag),
    .none_valid_o(none_valid), .none_ready_i(none_ready), .none_id_o(none_id), .wait_o(match_wait)
  );
  cst_state_check u_check (
    .clk_i, .rst_ni(unit_rst_n), .config_i,
    .ident_write_i(key_new), .ident_id_i(key_id), .ident_i(ident),
    .entry_valid_i(entry_valid), .entry_ready_o(entry_ready), .entry_tag_i(entry_tag),
    .entry_data_i(entry_data),
    .none_valid_i(none_valid), .none_ready_o(none_ready), .none_id_i(none_id),
    .again_valid_o(again_valid), .again_o(again),
    .known_valid_o(known_valid), .known_id_o(known_id), .known_o(known)
  );

  // ---- Lines on chip ----------------------------------------------------------------------------
  cst_state_pkg::line_update_t even_update, odd_update;
  logic execute_read;
  logic [2*IdBits-1:0] execute_line_id, line_head_id;
  cst_state_pkg::meta_t even_meta, odd_meta;
  logic [1:0] line_save_read;
  logic [2*512-1:0] line_saved;
  logic [2*NoBits-1:0] line_saved_no;

  cst_state_lines u_even (
    .clk_i, .take_i(line_new[0]), .take_id_i(line_id[0 +: IdBits]), .take_no_i(ident.even_no),
    .fill_valid_i(line_fill_valid[0]), .fill_ready_o(line_fill_ready[0]),
    .fill_id_i(line_fill[0 +: IdBits]), .fill_data_i(line_fill[TagStride +: 512]),
    .update_i(even_update), .ask_id_i(match_line_id[0 +: IdBits]), .present_o(line_present[0]),
    .match_read_i(match_read), .match_id_i(match_line_id[0 +: IdBits]),
    .match_tags_o(match_tags[255:0]), .match_meta_o(even_match_meta),
    .execute_read_i(execute_read), .execute_id_i(execute_line_id[0 +: IdBits]),
    .execute_meta_o(even_meta),
    .save_read_i(line_save_read[0]), .save_id_i(line_head_id[0 +: IdBits]),
    .save_line_o(line_saved[0 +: 512]), .save_no_o(line_saved_no[0 +: NoBits])
  );
  cst_state_lines u_odd (
    .clk_i, .take_i(line_new[1]), .take_id_i(line_id[IdBits +: IdBits]), .take_no_i(ident.odd_no),
    .fill_valid_i(line_fill_valid[1]), .fill_ready_o(line_fill_ready[1]),
    .fill_id_i(line_fill[LineStride +: IdBits]),
    .fill_data_i(line_fill[LineStride+TagStride +: 512]),
    .update_i(odd_update), .ask_id_i(match_line_id[IdBits +: IdBits]), .present_o(line_present[1]),
    .match_read_i(match_read), .match_id_i(match_line_id[IdBits +: IdBits]),
    .match_tags_o(match_tags[511:256]), .match_meta_o(odd_match_meta),
    .execute_read_i(execute_read), .execute_id_i(execute_line_id[IdBits +: IdBits]),
    .execute_meta_o(odd_meta),
    .save_read_i(line_save_read[1]), .save_id_i(line_head_id[IdBits +: IdBits]),
    .save_line_o(line_saved[512 +: 512]), .save_no_o(line_saved_no[NoBits +: NoBits])
  );

  // ---- Execute ----------------------------------------------------------------------------------
  logic state_write, key_dirty, key_leave, key_look, key_leave_room, key_waits, parity;
  logic [IdBits-1:0] state_id, key_ask_id;
  cst_state_pkg::state_t state;
  logic gap_valid, gap_room, map_write, older_pending, result_valid, result_room;
  logic [UnitBits-1:0] gap_unit;
  logic [1:0] gap_units;
  logic [PlaceBits-1:0] map_segment, map_place;
  logic done, append, insert, restored, wait_known, wait_record, execute_busy;
  cst_state_pkg::result_t result;
  logic [PlaceBits-1:0] ring_q [1 << PlaceBits];
  logic [PlaceBits-1:0] map_q [1 << PlaceBits];

  logic release_busy, released, released_ring;
  logic [PlaceBits-1:0] released_segment, released_index, released_place;
  cst_state_pkg::control_t released_control;

  logic issued_valid, issued_ready, issued_sums, sums_valid, sums_ready, state_done, issue_busy;
  logic issue_here, issue_goes, barrier_goes;
  cst_state_pkg::queued_t issued;
  logic [511:0] double_sums;

  cst_state_issue u_issue (
    .clk_i, .rst_ni(unit_rst_n), .config_i,
    .in_valid_i(queue_valid), .in_ready_o(queue_ready), .in_op_i(queued),
    .ident_write_i(key_new), .ident_id_i(key_id),
    .known_valid_i(known_valid), .known_id_i(known_id), .known_value_i(known.value),
    .done_i(state_done), .state_write_i(state_write), .state_id_i(state_id),
    .state_value_i(state.value),
    .out_valid_o(issued_valid), .out_ready_i(issued_ready), .out_op_o(issued),
    .out_sums_o(issued_sums), .sums_valid_o(sums_valid), .sums_ready_i(sums_ready),
    .sums_o(double_sums), .here_o(issue_here), .goes_o(issue_goes),
    .barrier_goes_o(barrier_goes), .wait_o(wait_known), .busy_o(issue_busy)
  );
  cst_state_execute u_execute (
    .clk_i, .rst_ni(unit_rst_n), .config_i, .load_i(load_i || released),
    .control_i(released ? released_control : control_i), .control_o, .resume_i, .stopped_o,
    .op_valid_i(issued_valid), .op_ready_o(issued_ready), .op_i(issued), .op_sums_i(issued_sums),
    .sums_valid_i(sums_valid), .sums_ready_o(sums_ready), .sums_i(double_sums),
    .ident_write_i(key_new), .ident_id_i(key_id), .ident_i(ident),
    .known_valid_i(known_valid), .known_id_i(known_id), .known_i(known),
    .line_read_o(execute_read), .line_read_id_o(execute_line_id),
    .even_meta_i(even_meta), .odd_meta_i(odd_meta),
    .even_update_o(even_update), .odd_update_o(odd_update),
    .state_write_o(state_write), .state_id_o(state_id), .state_done_o(state_done),
    .state_o(state),
    .key_dirty_o(key_dirty), .key_leave_o(key_leave), .key_look_o(key_look),
    .key_leave_room_i(key_leave_room), .key_ask_id_o(key_ask_id), .key_waits_i(key_waits),
    .parity_o(parity),
    .gap_valid_o(gap_valid), .gap_room_i(gap_room), .gap_unit_o(gap_unit), .gap_units_o(gap_units),
    .map_write_o(map_write), .map_segment_o(map_segment), .map_place_o(map_place),
    .ring_place_i(ring_q[control_o.free_first]),
    .older_pending_i(older_pending),
    .result_valid_o(result_valid), .result_room_i(result_room), .result_o(result),
    .done_o(done), .append_o(append), .insert_o(insert), .restore_o(restored),
    .wait_record_o(wait_record), .busy_o(execute_busy)
  );

  logic [3:0] result_fill;
  logic result_left;
  assign result_room = result_fill <= 4'd6;
  // The queue forgets its results a clock late.
  assign result_valid_o = result_left && !soft_q;
  cst_fifo #(.Width(ResultBits), .Depth(8)) u_results (
    .clk_i, .rst_ni(unit_rst_n),
    .in_valid_i(result_valid), .in_ready_o(), .in_data_i(result),
    .out_valid_o(result_left), .out_ready_i(result_ready_i), .out_data_o(result_o),
    .fill_o(result_fill)
  );

  cst_state_release u_release (
    .clk_i, .rst_ni(unit_rst_n), .config_i, .control_i(control_o),
    .start_i(release_i), .epoch_i(release_epoch_i), .to_i(release_to_i), .busy_o(release_busy),
    .done_o(release_done_o), .code_o(release_code_o),
    .map_segment_o(released_segment), .map_place_i(place_map_o), .ring_write_o(released_ring),
    .ring_index_o(released_index), .ring_place_o(released_place),
    .load_o(released), .control_o(released_control)
  );

  logic map_any;
  logic [PlaceBits-1:0] map_index, map_new;
  assign map_any = map_write || (place_write_i && !place_ring_i);
  assign map_index = map_write ? map_segment : place_index_i;
  assign map_new = map_write ? map_place : place_i;
  assign place_map_o = map_q[release_busy ? released_segment : place_index_i];
  always_ff @(posedge clk_i) begin
    if (map_any) map_q[map_index] <= map_new;
    if (released_ring) ring_q[released_index] <= released_place;
    else if (place_write_i && place_ring_i) ring_q[place_index_i] <= place_i;
  end

  // ---- The life of copies -----------------------------------------------------------------------
  logic key_pins_ready, key_pushed, key_head_valid, key_head_parity, key_pop;
  logic [IdBits-1:0] key_head_id;
  logic [1:0] key_ack_valid, key_ack_ready;
  logic [2*IdBits-1:0] key_ack_id;
  logic [1:0] line_pins_ready, line_pushed, line_room, line_head_valid, line_head_parity, line_pop;
  logic [1:0] line_ack_valid, line_ack_ready, line_waits;
  logic [2*IdBits-1:0] line_ack_id;
  logic [2*IdBits-1:0] lines_of_q [Ids];
  logic [2*IdBits-1:0] key_lines;

  assign key_lines = lines_of_q[key_free_id];
  assign key_freed = key_free && (&line_room);
  always_ff @(posedge clk_i) if (key_new) lines_of_q[key_id] <= line_id;

  cst_state_pins #(.Answers(2)) u_key_pins (
    .clk_i, .rst_ni(unit_rst_n), .ready_o(key_pins_ready),
    .take_i(key_take), .take_new_i(key_new), .take_id_i(key_id),
    .leave_i(key_leave), .leave_room_o(key_leave_room), .leave_look_i(key_look),
    .leave_id_i(state_id),
    .dirty_i(key_dirty), .dirty_parity_i(parity), .dirty_id_i(state_id), .pushed_o(key_pushed),
    .ask_id_i(key_ask_id), .ask_waits_o(key_waits),
    .head_valid_o(key_head_valid), .head_id_o(key_head_id), .head_parity_o(key_head_parity),
    .pop_i(key_pop),
    .answer_valid_i(key_ack_valid), .answer_ready_o(key_ack_ready), .answer_id_i(key_ack_id),
    .free_valid_o(key_free), .free_ready_i(&line_room), .free_id_o(key_free_id)
  );
  for (genvar h = 0; h < 2; h++) begin : g_half
    cst_state_pins #(.Answers(1)) u_pins (
      .clk_i, .rst_ni(unit_rst_n), .ready_o(line_pins_ready[h]),
      .take_i(key_new), .take_new_i(line_new[h]), .take_id_i(line_id[h*IdBits +: IdBits]),
      .leave_i(key_freed), .leave_room_o(line_room[h]), .leave_look_i(1'b1),
      .leave_id_i(key_lines[h*IdBits +: IdBits]),
      .dirty_i((h == 0) ? even_update.write : odd_update.write), .dirty_parity_i(parity),
      .dirty_id_i((h == 0) ? even_update.id : odd_update.id), .pushed_o(line_pushed[h]),
      .ask_id_i('0), .ask_waits_o(line_waits[h]),
      .head_valid_o(line_head_valid[h]), .head_id_o(line_head_id[h*IdBits +: IdBits]),
      .head_parity_o(line_head_parity[h]), .pop_i(line_pop[h]),
      .answer_valid_i(line_ack_valid[h]), .answer_ready_o(line_ack_ready[h]),
      .answer_id_i(line_ack_id[h*IdBits +: IdBits]),
      .free_valid_o(line_free[h]), .free_ready_i(1'b1),
      .free_id_o(line_free_id[h*IdBits +: IdBits])
    );
  end
  assign ready_o = fetch_ready && key_pins_ready && (&line_pins_ready) && !soft_q;

  // ---- On the way to memory ---------------------------------------------------------------------
  logic entry_out_valid, entry_out_ready, record_out_valid, record_out_ready, save_busy;
  logic [3:0] entry_out_channel, record_out_channel;
  cst_state_pkg::write_t entry_out, record_out;
  logic record_none_valid, record_none_ready;
  cst_state_pkg::ack_t record_none;
  logic [1:0] line_out_valid, line_out_ready;
  logic [7:0] line_out_channel;
  logic [2*WriteStride-1:0] line_out;

  cst_state_save u_save (
    .clk_i, .rst_ni(unit_rst_n), .config_i,
    .head_valid_i(key_head_valid), .head_id_i(key_head_id), .head_parity_i(key_head_parity),
    .pop_o(key_pop),
    .ident_write_i(key_new), .ident_id_i(key_id), .ident_i(ident),
    .state_write_i(state_write), .state_id_i(state_id), .state_i(state),
    .map_write_i(map_any), .map_segment_i(map_index), .map_place_i(map_new),
    .entry_valid_o(entry_out_valid), .entry_ready_i(entry_out_ready),
    .entry_channel_o(entry_out_channel), .entry_o(entry_out),
    .record_valid_o(record_out_valid), .record_ready_i(record_out_ready),
    .record_channel_o(record_out_channel), .record_o(record_out),
    .none_valid_o(record_none_valid), .none_ready_i(record_none_ready), .none_o(record_none),
    .busy_o(save_busy)
  );

  // A gap goes before the line of its channel's half.
  logic gap_out_valid, gap_out_ready, gap_busy;
  logic [1:0] gap_at, saved_valid, saved_ready;
  logic [3:0] gap_out_channel;
  logic [7:0] saved_channel;
  cst_state_pkg::write_t gap_out;
  cst_state_save_gap u_save_gap (
    .clk_i, .rst_ni(unit_rst_n), .config_i,
    .gap_valid_i(gap_valid), .gap_room_o(gap_room), .gap_unit_i(gap_unit), .gap_units_i(gap_units),
    .gap_parity_i(parity),
    .map_write_i(map_any), .map_segment_i(map_index), .map_place_i(map_new),
    .out_valid_o(gap_out_valid), .out_ready_i(gap_out_ready), .out_channel_o(gap_out_channel),
    .out_o(gap_out), .busy_o(gap_busy)
  );
  assign gap_at = {gap_out_channel[0], !gap_out_channel[0]} & {2{gap_out_valid}};
  assign gap_out_ready = (gap_at & line_out_ready) != '0;
  for (genvar h = 0; h < 2; h++) begin : g_line_save
    cst_state_pkg::write_t saved;
    cst_state_save_line u_save_line (
      .clk_i, .rst_ni(unit_rst_n), .config_i,
      .head_valid_i(line_head_valid[h]), .head_id_i(line_head_id[h*IdBits +: IdBits]),
      .head_parity_i(line_head_parity[h]), .pop_o(line_pop[h]), .line_read_o(line_save_read[h]),
      .line_i(line_saved[h*512 +: 512]), .line_no_i(line_saved_no[h*NoBits +: NoBits]),
      .out_valid_o(saved_valid[h]), .out_ready_i(saved_ready[h]),
      .out_channel_o(saved_channel[h*4 +: 4]), .out_o(saved)
    );
    assign saved_ready[h] = line_out_ready[h] && !gap_at[h];
    assign line_out_valid[h] = saved_valid[h] || gap_at[h];
    assign line_out_channel[h*4 +: 4] = gap_at[h] ? gap_out_channel : saved_channel[h*4 +: 4];
    assign line_out[h*WriteStride +: WriteBits] = gap_at[h] ? gap_out : saved;
    assign line_out[h*WriteStride+WriteBits +: WriteStride-WriteBits] = '0;
  end

  // ---- The walk ---------------------------------------------------------------------------------
  logic walk_read_valid, walk_read_ready, walk_beat_valid;
  cst_state_pkg::place_t walk_read;
  logic [WalkTagBits-1:0] walk_read_tag;
  logic [WalkStride-1:0] walk_beat;

  cst_state_walk u_walk (
    .clk_i, .rst_ni(unit_rst_n), .config_i, .start_i(walk_i), .first_i(walk_first_i),
    .buckets_i(walk_buckets_i), .stop_i(walk_stop_i), .busy_o(walk_busy_o),
    .read_valid_o(walk_read_valid), .read_ready_i(walk_read_ready), .read_place_o(walk_read),
    .read_tag_o(walk_read_tag), .beat_valid_i(walk_beat_valid),
    .beat_tag_i(walk_beat[0 +: WalkTagBits]), .beat_i(walk_beat[TagStride +: 512]),
    .out_valid_o(walk_valid_o), .out_ready_i(walk_ready_i), .out_index_o(walk_index_o),
    .out_slot_o(walk_slot_o), .out_entry_o(walk_entry_o)
  );

  // ---- Channels, barriers -----------------------------------------------------------------------
  logic few, owed, memory_busy, barrier_done;
  logic [4:0] reads_now, writes_now;
  logic [9:0] answered;

  cst_state_memory #(.SilenceBits(SilenceBits)) u_memory (
    .clk_i, .rst_ni, .unit_rst_ni(unit_rst_n), .stop_i(stop), .few_i(few), .config_i,
    .faults_o(fault), .quiet_o(quiet), .busy_o(memory_busy), .reads_o(reads_now),
    .writes_o(writes_now), .answered_o(answered),
    .row_valid_i(row_read_valid), .row_ready_o(row_read_ready), .row_i(row_read),
    .row_id_i(row_read_id),
    .line_valid_i(line_read_valid), .line_ready_o(line_read_ready), .even_i(even_read),
    .odd_i(odd_read), .line_id_i(line_id),
    .entry_valid_i(entry_read_valid), .entry_ready_o(entry_read_ready), .entry_i(entry_read),
    .entry_tag_i(entry_read_tag),
    .walk_valid_i(walk_read_valid), .walk_ready_o(walk_read_ready), .walk_i(walk_read),
    .walk_tag_i(walk_read_tag),
    .row_fill_valid_o(row_fill_valid), .row_fill_id_o(row_fill_id), .row_fill_o(row_fill),
    .line_fill_valid_o(line_fill_valid), .line_fill_ready_i(line_fill_ready),
    .line_fill_o(line_fill),
    .entry_fill_valid_o(entry_valid), .entry_fill_ready_i(entry_ready),
    .entry_fill_tag_o(entry_tag), .entry_fill_o(entry_data),
    .walk_beat_valid_o(walk_beat_valid), .walk_beat_o(walk_beat),
    .entry_out_valid_i(entry_out_valid), .entry_out_ready_o(entry_out_ready),
    .entry_out_channel_i(entry_out_channel), .entry_out_i(entry_out),
    .record_out_valid_i(record_out_valid), .record_out_ready_o(record_out_ready),
    .record_out_channel_i(record_out_channel), .record_out_i(record_out),
    .line_out_valid_i(line_out_valid), .line_out_ready_o(line_out_ready),
    .line_out_channel_i(line_out_channel), .line_out_i(line_out),
    .none_valid_i(record_none_valid), .none_ready_o(record_none_ready), .none_i(record_none),
    .key_ack_valid_o(key_ack_valid), .key_ack_ready_i(key_ack_ready), .key_ack_id_o(key_ack_id),
    .line_ack_valid_o(line_ack_valid), .line_ack_ready_i(line_ack_ready),
    .line_ack_id_o(line_ack_id),
    .ar_valid_o, .ar_ready_i, .ar_address_o, .ar_len_o, .r_valid_i, .r_ready_o, .r_data_i,
    .r_resp_i, .r_last_i, .aw_valid_o, .aw_ready_i, .aw_address_o, .aw_len_o, .w_valid_o,
    .w_ready_i, .w_data_o, .w_strb_o, .w_last_o, .b_valid_i, .b_ready_o, .b_resp_i
  );

  assign barrier_done = result_valid && result.kind == cst_state_pkg::KindBarrier;
  cst_state_barrier u_barrier (
    .clk_i, .rst_ni(unit_rst_n), .epoch_i(control_o.epoch), .parity_i(parity),
    .key_pushed_i(key_pushed), .gap_valid_i(gap_valid), .line_pushed_i(line_pushed),
    .none_i(record_none_valid && record_none_ready), .none_parity_i(record_none.parity),
    .answered_i(answered), .barrier_in_i(barrier_goes), .barrier_done_i(barrier_done),
    .any_o(owed), .older_pending_o(older_pending), .durable_epoch_o, .few_o(few)
  );

  // ---- What is under way, counts ----------------------------------------------------------------
  logic [15:0] ops_q, keys_q, even_q, odd_q;

  assign idle_o = ready_o && fault_q == '0 &&
                  ops_q == '0 && keys_q == '0 && even_q == '0 && odd_q == '0 &&
                  !owed && !issue_busy && !execute_busy && !save_busy && !gap_busy &&
                  !release_busy && !walk_busy_o && !memory_busy;

  always_ff @(posedge clk_i) begin
    if (!unit_rst_n) begin
      ops_q <= '0;
      keys_q <= '0;
      even_q <= '0;
      odd_q <= '0;
    end else begin
      ops_q <= ops_q + 16'(op_valid_i && op_ready_o && fault_q == '0) -
               16'(issue_goes);
      keys_q <= keys_q + 16'(key_new) - 16'(key_freed);
      even_q <= even_q + 16'(line_new[0]) - 16'(line_free[0]);
      odd_q <= odd_q + 16'(line_new[1]) - 16'(line_free[1]);
    end
  end

  logic [Counters-1:0] count, count_now_q;  // counted a clock later: a count's chain is long
  logic lookup_in, lookup_done;
  logic [15:0] lookups_q;
  assign lookup_in = op_valid_i && op_ready_o && fault_q == '0 &&
                     op_i.kind == cst_state_pkg::KindLookup;
  assign lookup_done = result_valid && result.kind == cst_state_pkg::KindLookup;
  always_ff @(posedge clk_i) begin
    if (!unit_rst_n) lookups_q <= '0;
    else lookups_q <= lookups_q + 16'(lookup_in) - 16'(lookup_done);
  end
  assign count = {lookups_q != '0, in_ready && !op_valid_i, fetch_wait && wait_copy,
                  fetch_wait && !queue_in_ready,
                  issue_here && !issue_goes && !wait_known && !wait_record,
                  !issue_here && !wait_record, restored, walk_valid_o && walk_ready_i,
                  released_ring, 2'b0, gap_valid,
                  line_pushed[1], line_pushed[0], key_pushed, again_valid,
                  row_read_valid && row_read_ready, wait_record, wait_known && !wait_record,
                  match_wait, fetch_wait, insert, append, hit, done};
  // 0 done, 1 hits of a key on chip, 2 appends, 3 inserts, waits: 4 fetch, 5 match, 6 issue for its
  // key, 7 execution for a record; 8 directory rows read, 9 false candidates, 10 states sent, 11
  // and 12 lines sent, 13 gaps, 14 reads, 15 writes, 16 segments released, 17 entries that a walk
  // offered, 18 operations done of RESTORE. Every clock an operation is issued, or it is one of 6,
  // 7, 19 nothing to issue, 20 execution for what else there is; of 4, 21 are for the queue of
  // operations and 22 for a free copy. 23 clocks without an operation before the unit, 24 with a
  // look-up in it.
  always_ff @(posedge clk_i) count_now_q <= unit_rst_n ? count : '0;
  for (genvar i = 0; i < Counters; i++) begin : g_count
    logic [CounterBits-1:0] count_q;
    always_ff @(posedge clk_i) begin
      if (!unit_rst_n) count_q <= '0;
      else if (i == 14) count_q <= count_q + CounterBits'(reads_now);
      else if (i == 15) count_q <= count_q + CounterBits'(writes_now);
      else count_q <= count_q + CounterBits'(count_now_q[i]);
    end
    assign counters_o[i*CounterBits +: CounterBits] = count_q;
  end

  logic unused_bits;
  assign unused_bits = ^{line_waits, line_fill, walk_beat, record_none};
endmodule
`default_nettype wire
