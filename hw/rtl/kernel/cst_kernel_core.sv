// cst_kernel_core: what is behind the ports of a kernel: cst_kernel_commands, cst_kernel_rows and
// cst_state between a control slave, the batches' master and the channels': wires, guards, bases.
// Promises   what cst_kernel_state does; channel c's signals are bits c of each c_ port.
//
//   s ─► cst_axil_control ─► cst_kernel_commands ─► cst_state, guards, bases ─► c: channels
//                              │   ▲       │ rows    ▲
//   m ◄─ guards ◄─ read, write ┘   │       ▼         │
//                                  └─ cst_kernel_rows┘
//
// Length     over two screens: 80 lines of ports, the rest is wires between its parts, in their
//            order; what it keeps itself is faults, the soft reset and the count of clocks.
`default_nettype none
module cst_kernel_core #(
  parameter int unsigned SilenceBits = 16,
  parameter int unsigned PollClocks = 64,
  parameter int unsigned KeySetBits = 10,
  parameter int unsigned LineSetBits = 10,
  localparam int unsigned Channels = cst_state_pkg::Channels
) (
  input  wire logic                      clk_i,
  input  wire logic                      rst_ni,
  output      logic                      interrupt_o,
  // Control, as cst_axil_control has it.
  input  wire logic                      s_awvalid_i,
  output      logic                      s_awready_o,
  input  wire logic [11:0]               s_awaddr_i,
  input  wire logic                      s_wvalid_i,
  output      logic                      s_wready_o,
  input  wire logic [31:0]               s_wdata_i,
  input  wire logic [3:0]                s_wstrb_i,
  output      logic                      s_bvalid_o,
  input  wire logic                      s_bready_i,
  output      logic [1:0]                s_bresp_o,
  input  wire logic                      s_arvalid_i,
  output      logic                      s_arready_o,
  input  wire logic [11:0]               s_araddr_i,
  output      logic                      s_rvalid_o,
  input  wire logic                      s_rready_i,
  output      logic [31:0]               s_rdata_o,
  output      logic [1:0]                s_rresp_o,
  // The batches' memory.
  output      logic                      m_arvalid_o,
  input  wire logic                      m_arready_i,
  output      logic [63:0]               m_araddr_o,
  output      logic [7:0]                m_arlen_o,
  output      logic [2:0]                m_arsize_o,
  output      logic [1:0]                m_arburst_o,
  input  wire logic                      m_rvalid_i,
  output      logic                      m_rready_o,
  input  wire logic [511:0]              m_rdata_i,
  input  wire logic [1:0]                m_rresp_i,
  input  wire logic                      m_rlast_i,
  output      logic                      m_awvalid_o,
  input  wire logic                      m_awready_i,
  output      logic [63:0]               m_awaddr_o,
  output      logic [7:0]                m_awlen_o,
  output      logic [2:0]                m_awsize_o,
  output      logic [1:0]                m_awburst_o,
  output      logic                      m_wvalid_o,
  input  wire logic                      m_wready_i,
  output      logic [511:0]              m_wdata_o,
  output      logic [63:0]               m_wstrb_o,
  output      logic                      m_wlast_o,
  input  wire logic                      m_bvalid_i,
  output      logic                      m_bready_o,
  input  wire logic [1:0]                m_bresp_i,
  // The image's channels.
  output      logic [Channels-1:0]       c_arvalid_o,
  input  wire logic [Channels-1:0]       c_arready_i,
  output      logic [Channels*64-1:0]    c_araddr_o,
  output      logic [Channels*8-1:0]     c_arlen_o,
  input  wire logic [Channels-1:0]       c_rvalid_i,
  output      logic [Channels-1:0]       c_rready_o,
  input  wire logic [Channels*512-1:0]   c_rdata_i,
  input  wire logic [Channels*2-1:0]     c_rresp_i,
  input  wire logic [Channels-1:0]       c_rlast_i,
  output      logic [Channels-1:0]       c_awvalid_o,
  input  wire logic [Channels-1:0]       c_awready_i,
  output      logic [Channels*64-1:0]    c_awaddr_o,
  output      logic [Channels*8-1:0]     c_awlen_o,
  output      logic [Channels-1:0]       c_wvalid_o,
  input  wire logic [Channels-1:0]       c_wready_i,
  output      logic [Channels*512-1:0]   c_wdata_o,
  output      logic [Channels*64-1:0]    c_wstrb_o,
  output      logic [Channels-1:0]       c_wlast_o,
  input  wire logic [Channels-1:0]       c_bvalid_i,
  output      logic [Channels-1:0]       c_bready_o,
  input  wire logic [Channels*2-1:0]     c_bresp_i
);
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits;
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits;
  localparam int unsigned BeatsBits = cst_kernel_pkg::BeatsBits;
  localparam int unsigned CounterBits = cst_state_pkg::CounterBits;
  localparam int unsigned Counters = cst_state_pkg::Counters;
  // Of what stands in registers and memory: host/src/device/kernel_map.h.
  localparam logic [7:0] Version = 8'd1;
  localparam int unsigned ArgWords = 14;
  localparam int unsigned StatusWords = 4 + 2 * Counters;

  // ---- Reset, control ---------------------------------------------------------------------------
  logic rst_n, run_rst_n, soft_reset, soft_q, start_valid, start_ready, done_valid, done_ready;
  logic idle, unit_ready, starts;
  logic [32*ArgWords-1:0] args;
  logic [32*StatusWords-1:0] status;

  // What stands behind it sees no clock without a reset before the first one.
  initial rst_n = 1'b0;
`ifdef VERILATOR
  initial if ($value$plusargs("mistake=%d", cst_mistake_pkg::chosen) == 0)
    cst_mistake_pkg::chosen = '0;
`endif
  always_ff @(posedge clk_i) rst_n <= rst_ni;

  cst_axil_control #(.ArgWords(ArgWords), .StatusWords(StatusWords)) u_control (
    .clk_i, .rst_ni(rst_n),
    .s_awvalid_i, .s_awready_o, .s_awaddr_i, .s_wvalid_i, .s_wready_o, .s_wdata_i, .s_wstrb_i,
    .s_bvalid_o, .s_bready_i, .s_bresp_o, .s_arvalid_i, .s_arready_o, .s_araddr_i, .s_rvalid_o,
    .s_rready_i, .s_rdata_o, .s_rresp_o,
    .start_valid_o(start_valid), .start_ready_i(start_ready && starts), .args_o(args),
    .done_valid_i(done_valid && !soft_q), .done_ready_o(done_ready), .idle_i(idle && starts),
    .status_i(status), .soft_reset_o(soft_reset), .interrupt_o
  );

  assign starts = !soft_q && unit_ready;  // else it waits, for what memory owes to the run before

  // ---- The batch port: its guards outlive a soft reset ------------------------------------------
  logic stop, read_quiet, write_quiet, read_error, write_error, read_outside, write_outside;
  logic read_silent, write_silent;
  logic [3:0] fault_q;
  logic [51:0] first_page;
  logic [52:0] end_page;

  assign first_page = args[6*32+12 +: 52];
  assign end_page = {1'b0, args[8*32+12 +: 52]};
  assign stop = soft_q || fault_q != '0;
  assign run_rst_n = rst_n && !soft_q;
  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      soft_q <= 1'b0;
      fault_q <= '0;
    end else begin
      if (soft_reset) soft_q <= 1'b1;
      else if (read_quiet && write_quiet) soft_q <= 1'b0;
      if (soft_q && !soft_reset && read_quiet && write_quiet) fault_q <= '0;
      else fault_q <= fault_q | {read_silent || write_silent, read_outside || write_outside,
                                 write_error, read_error};
    end
  end

  logic read_valid, read_ready, beat_valid, beat_ready, write_valid, write_ready, data_valid;
  logic data_ready, written, ar_valid, ar_ready, r_valid, r_ready, aw_valid, aw_ready, w_valid;
  logic w_ready, b_valid, b_ready;
  logic [63:0] read_address, write_address, ar_address, aw_address, w_strobe;
  logic [BeatsBits-1:0] read_beats, write_beats;
  logic [511:0] beat, data, w_data;
  logic [7:0] ar_len, aw_len;

  cst_axi_read #(.BurstBeats(16), .BufferBeats(128), .BeatsBits(BeatsBits)) u_read (
    .clk_i, .rst_ni(run_rst_n),
    .command_valid_i(read_valid), .command_ready_o(read_ready), .command_address_i(read_address),
    .command_beats_i(read_beats), .out_valid_o(beat_valid), .out_ready_i(beat_ready),
    .out_data_o(beat), .out_response_o(), .out_last_o(), .idle_o(),
    .m_arvalid_o(ar_valid), .m_arready_i(ar_ready), .m_araddr_o(ar_address), .m_arlen_o(ar_len),
    .m_arsize_o, .m_arburst_o,
    .m_rvalid_i(r_valid), .m_rready_o(r_ready), .m_rdata_i,
    .m_rresp_i, .m_rlast_i
  );
  cst_axi_read_guard #(.AddressBits(64), .SilenceBits(SilenceBits)) u_read_guard (
    .clk_i, .rst_ni(rst_n), .stop_i(stop), .first_page_i(first_page),
    .end_page_i(end_page), .in_valid_i(ar_valid), .in_ready_o(ar_ready),
    .in_address_i(ar_address), .in_len_i(ar_len), .beat_valid_o(r_valid), .beat_ready_i(r_ready),
    .ar_valid_o(m_arvalid_o), .ar_ready_i(m_arready_i),
    .ar_address_o(m_araddr_o), .ar_len_o(m_arlen_o),
    .r_valid_i(m_rvalid_i), .r_ready_o(m_rready_o),
    .r_resp_i(m_rresp_i), .r_last_i(m_rlast_i), .quiet_o(read_quiet),
    .error_o(read_error), .outside_o(read_outside), .silent_o(read_silent)
  );
  cst_axi_write #(.BurstBeats(16), .BeatsBits(BeatsBits)) u_write (
    .clk_i, .rst_ni(run_rst_n),
    .command_valid_i(write_valid), .command_ready_o(write_ready),
    .command_address_i(write_address), .command_beats_i(write_beats), .in_valid_i(data_valid),
    .in_ready_o(data_ready), .in_data_i(data), .in_strobe_i('1), .result_valid_o(written),
    .result_ready_i(1'b1), .result_response_o(), .idle_o(),
    .m_awvalid_o(aw_valid), .m_awready_i(aw_ready), .m_awaddr_o(aw_address), .m_awlen_o(aw_len),
    .m_awsize_o, .m_awburst_o, .m_wvalid_o(w_valid),
    .m_wready_i(w_ready), .m_wdata_o(w_data), .m_wstrb_o(w_strobe), .m_wlast_o(),
    .m_bvalid_i(b_valid), .m_bready_o(b_ready), .m_bresp_i
  );
  cst_axi_write_guard #(.AddressBits(64), .SilenceBits(SilenceBits)) u_write_guard (
    .clk_i, .rst_ni(rst_n), .stop_i(stop), .first_page_i(first_page),
    .end_page_i(end_page), .in_valid_i(aw_valid), .in_ready_o(aw_ready),
    .in_address_i(aw_address), .in_len_i(aw_len), .beat_valid_i(w_valid), .beat_ready_o(w_ready),
    .beat_data_i(w_data), .beat_strb_i(w_strobe), .answer_valid_o(b_valid),
    .answer_ready_i(b_ready), .aw_valid_o(m_awvalid_o), .aw_ready_i(m_awready_i),
    .aw_address_o(m_awaddr_o), .aw_len_o(m_awlen_o),
    .w_valid_o(m_wvalid_o), .w_ready_i(m_wready_i),
    .w_data_o(m_wdata_o), .w_strb_o(m_wstrb_o), .w_last_o(m_wlast_o),
    .b_valid_i(m_bvalid_i), .b_ready_o(m_bready_o),
    .b_resp_i(m_bresp_i), .quiet_o(write_quiet), .error_o(write_error),
    .outside_o(write_outside), .silent_o(write_silent)
  );

  // ---- Commands, rows, the state unit -----------------------------------------------------------
  logic running, stopped, lost, rows_start, rows_encode, rows_hash, rows_wide, row_beat_valid;
  logic row_beat_ready, row_valid, row_ready, unit_idle, unit_stopped, load;
  logic release_go, release_done;
  logic [63:0] release_epoch, release_to;
  cst_pkg::code_e release_code;
  logic walk, walk_stop, walk_busy, walk_valid, walk_ready;
  logic [cst_state_pkg::SlotNoBits-1:0] walk_first, walk_slot;
  logic [16:0] walk_buckets, walk_index;
  logic [767:0] walk_entry;
  logic place_write, place_ring, resume, op_valid, op_ready, result_valid, result_ready;
  logic [7:0] code, row_code;
  logic [31:0] completed, rows_first, rows_count, records_end;
  logic rows_more, record_beat_valid, record_beat_ready, record_valid, record_ready, records_over;
  logic [7:0] record_code;
  cst_state_pkg::op_t record_op;
  logic rows_compact, rows_long, rows_cells, rows_over;
  logic [3:0] rows_beats;
  logic [511:0] row_key;
  logic [23:0] rows_words;
  logic [63:0] key_k0, key_k1, durable_epoch;
  logic [cst_pkg::ColumnsMax*cst_pkg::ColumnBits-1:0] columns;
  logic [3:0] columns_last, unit_fault;
  logic [PlaceBits-1:0] place_index, place;
  cst_state_pkg::op_t row_op, op;
  cst_state_pkg::result_t result;
  cst_state_pkg::config_t unit_config;
  cst_state_pkg::control_t control_in, control_out;
  logic [Counters*CounterBits-1:0] counters;

  cst_kernel_commands #(.PollClocks(PollClocks)) u_commands (
    .clk_i, .rst_ni(run_rst_n), .start_valid_i(start_valid && starts),
    .start_ready_o(start_ready), .ring_i(args[0 +: 64]), .completions_i(args[64 +: 64]),
    .ring_bits_i(args[128 +: 32]), .first_page_i(first_page), .end_page_i(end_page),
    .image_i(args[10*32 +: 64]), .stride_i(args[12*32 +: 64]),
    .done_valid_o(done_valid), .done_ready_i(done_ready), .idle_o(idle), .running_o(running),
    .stopped_o(stopped), .lost_o(lost), .code_o(code), .completed_o(completed),
    .fault_i(fault_q != '0),
    .read_valid_o(read_valid), .read_ready_i(read_ready), .read_address_o(read_address),
    .read_beats_o(read_beats), .beat_valid_i(beat_valid), .beat_ready_o(beat_ready),
    .beat_i(beat),
    .write_valid_o(write_valid), .write_ready_i(write_ready), .write_address_o(write_address),
    .write_beats_o(write_beats), .data_valid_o(data_valid), .data_ready_i(data_ready),
    .data_o(data), .written_i(written),
    .rows_start_o(rows_start), .rows_first_o(rows_first),
    .rows_compact_o(rows_compact), .rows_long_o(rows_long), .rows_words_o(rows_words),
    .rows_cells_o(rows_cells), .rows_beats_o(rows_beats), .row_key_i(row_key),
    .rows_over_i(rows_over),
    .rows_encode_o(rows_encode),
    .rows_hash_o(rows_hash), .rows_wide_o(rows_wide), .key_k0_o(key_k0), .key_k1_o(key_k1),
    .columns_o(columns), .columns_last_o(columns_last), .row_beat_valid_o(row_beat_valid),
    .row_beat_ready_i(row_beat_ready), .row_valid_i(row_valid), .row_ready_o(row_ready),
    .row_op_i(row_op), .row_code_i(row_code),
    .rows_count_o(rows_count), .rows_more_o(rows_more), .record_beat_valid_o(record_beat_valid),
    .record_beat_ready_i(record_beat_ready), .record_valid_i(record_valid),
    .record_ready_o(record_ready), .record_op_i(record_op), .record_code_i(record_code),
    .records_over_i(records_over), .records_end_i(records_end),
    .unit_ready_i(unit_ready), .unit_idle_i(unit_idle), .unit_fault_i(unit_fault),
    .unit_stopped_i(unit_stopped), .config_o(unit_config), .load_o(load),
    .control_o(control_in), .control_i(control_out), .durable_epoch_i(durable_epoch),
    .place_write_o(place_write), .place_ring_o(place_ring), .place_index_o(place_index),
    .place_o(place), .resume_o(resume), .release_o(release_go), .release_epoch_o(release_epoch),
    .release_to_o(release_to), .release_done_i(release_done), .release_code_i(release_code),
    .walk_o(walk), .walk_first_o(walk_first), .walk_buckets_o(walk_buckets),
    .walk_stop_o(walk_stop), .walk_busy_i(walk_busy), .walk_valid_i(walk_valid),
    .walk_ready_o(walk_ready), .walk_index_i(walk_index), .walk_slot_i(walk_slot),
    .walk_entry_i(walk_entry),
    .op_valid_o(op_valid), .op_ready_i(op_ready), .op_o(op),
    .result_valid_i(result_valid), .result_ready_o(result_ready), .result_i(result)
  );
  cst_kernel_rows u_rows (
    .clk_i, .rst_ni(run_rst_n), .start_i(rows_start), .first_row_i(rows_first),
    .rows_i(rows_count), .compact_i(rows_compact), .long_i(rows_long), .words_i(rows_words),
    .encode_i(rows_encode), .hash_i(rows_hash), .wide_i(rows_wide), .cells_i(rows_cells),
    .beats_i(rows_beats), .out_key_o(row_key), .over_o(rows_over), .key_k0_i(key_k0),
    .key_k1_i(key_k1), .columns_i(columns), .columns_last_i(columns_last),
    .beat_valid_i(row_beat_valid), .beat_ready_o(row_beat_ready), .beat_i(beat),
    .out_valid_o(row_valid), .out_ready_i(row_ready), .out_op_o(row_op), .out_code_o(row_code)
  );

  cst_kernel_records u_records (
    .clk_i, .rst_ni(run_rst_n), .config_i(unit_config), .start_i(rows_start),
    .units_i(rows_count), .more_i(rows_more), .beat_valid_i(record_beat_valid),
    .beat_ready_o(record_beat_ready), .beat_i(beat), .out_valid_o(record_valid),
    .out_ready_i(record_ready), .out_op_o(record_op), .out_code_o(record_code),
    .over_o(records_over), .end_o(records_end)
  );

  logic [Channels*AddressBits-1:0] read_addresses, write_addresses;

  cst_state #(.SilenceBits(SilenceBits), .KeySetBits(KeySetBits), .LineSetBits(LineSetBits))
  u_state (
    .clk_i, .rst_ni(rst_n), .ready_o(unit_ready), .idle_o(unit_idle),
    .soft_reset_i(soft_reset), .fault_o(unit_fault), .config_i(unit_config), .load_i(load),
    .control_i(control_in), .control_o(control_out), .durable_epoch_o(durable_epoch),
    .place_write_i(place_write), .place_ring_i(place_ring), .place_index_i(place_index),
    .place_i(place), .place_map_o(), .flush_i(load), .release_i(release_go),
    .release_epoch_i(release_epoch), .release_to_i(release_to), .release_done_o(release_done),
    .release_code_o(release_code), .walk_i(walk), .walk_first_i(walk_first),
    .walk_buckets_i(walk_buckets), .walk_stop_i(walk_stop), .walk_busy_o(walk_busy),
    .walk_valid_o(walk_valid), .walk_ready_i(walk_ready), .walk_index_o(walk_index),
    .walk_slot_o(walk_slot), .walk_entry_o(walk_entry), .resume_i(resume), .stopped_o(unit_stopped),
    .op_valid_i(op_valid), .op_ready_o(op_ready), .op_i(op), .result_valid_o(result_valid),
    .result_ready_i(result_ready), .result_o(result), .counters_o(counters),
    .ar_valid_o(c_arvalid_o), .ar_ready_i(c_arready_i), .ar_address_o(read_addresses),
    .ar_len_o(c_arlen_o), .r_valid_i(c_rvalid_i), .r_ready_o(c_rready_o), .r_data_i(c_rdata_i),
    .r_resp_i(c_rresp_i), .r_last_i(c_rlast_i), .aw_valid_o(c_awvalid_o), .aw_ready_i(c_awready_i),
    .aw_address_o(write_addresses), .aw_len_o(c_awlen_o), .w_valid_o(c_wvalid_o),
    .w_ready_i(c_wready_i), .w_data_o(c_wdata_o), .w_strb_o(c_wstrb_o), .w_last_o(c_wlast_o),
    .b_valid_i(c_bvalid_i), .b_ready_o(c_bready_o), .b_resp_i(c_bresp_i)
  );

  // ---- Status: what the run does, clocks since reset, the unit's counters -----------------------
  logic [63:0] clocks_q;
  always_ff @(posedge clk_i) clocks_q <= rst_n ? clocks_q + 64'd1 : '0;
  assign status[31:0] = {Version, code, fault_q, unit_fault, 5'd0, lost, stopped, running};
  assign status[63:32] = completed;
  assign status[127:64] = clocks_q;
  for (genvar i = 0; i < Counters; i++) begin : g_status
    assign status[128 + i*64 +: 64] = 64'(counters[i*CounterBits +: CounterBits]);
  end

  // ---- Channels: an address of one begins at its base -------------------------------------------
  logic [64*Channels-1:0] base_q;
  for (genvar c = 0; c < Channels; c++) begin : g_base
    always_ff @(posedge clk_i)
      base_q[64*c +: 64] <= args[10*32 +: 64] + 64'(c) * args[12*32 +: 64];
    assign c_araddr_o[64*c +: 64] =
        base_q[64*c +: 64] + 64'(read_addresses[c*AddressBits +: AddressBits]);
    assign c_awaddr_o[64*c +: 64] =
        base_q[64*c +: 64] + 64'(write_addresses[c*AddressBits +: AddressBits]);
  end

  logic unused_bits;
  assign unused_bits = ^args;

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_n) begin
    nothing_is_claimed: assert (!cst_mistake_pkg::planted(cst_mistake_pkg::Claim));
  end
`endif
endmodule
`default_nettype wire
