// cst_kernel_table: the table's block as it comes, and what it says to those who use the table.
// Promises   a beat a clock, of places one in 32, each a clock; what the first four say stands from
//            the clock behind the fourth until the next load, and so do has_ttl_o and wrong_o:
//            the table cannot be.
// Needs      restart_i before on_i, which holds until the last beat is taken; a second list of
//            places as long as the first, of 4096 at most.
//
//   beat     0, 1, 2, 3                         4 ...             4 + place_beats_i ...
//   holds    config, control block, columns     the log's map     the ring of free places
`default_nettype none
module cst_kernel_table #(
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits,
  localparam int unsigned BeatsBits = cst_kernel_pkg::BeatsBits,
  localparam int unsigned TableBeats = cst_kernel_pkg::TableBeats,
  localparam int unsigned ColumnsBits = cst_pkg::ColumnsMax * cst_pkg::ColumnBits
) (
  input  wire logic         clk_i,
  input  wire logic         restart_i,       // a command is measured: what it is compared with, too
  input  wire logic         on_i,
  input  wire logic [BeatsBits-1:0] beats_i,
  input  wire logic [BeatsBits-1:0] place_beats_i,
  input  wire logic [63:0]  stride_i,
  input  wire logic [63:0]  now_i,
  input  wire logic         beat_valid_i,
  output      logic         beat_ready_o,
  output      logic         beat_last_o,
  input  wire logic [511:0] beat_i,
  output      logic         place_write_o,
  output      logic         place_ring_o,
  output      logic [PlaceBits-1:0] place_index_o,
  output      logic [PlaceBits-1:0] place_o,
  output      logic         wrong_o,
  output      logic         has_ttl_o,
  output      cst_state_pkg::config_t config_o,
  output      cst_state_pkg::control_t control_o,
  output      logic [63:0]  key_k0_o,
  output      logic [63:0]  key_k1_o,
  output      logic [ColumnsBits-1:0] columns_o,
  output      logic [3:0]   columns_last_o,
  output      logic [23:0]  rows_words_o
);
  // ---- Beats, places ----------------------------------------------------------------------------
  localparam int unsigned IndexBits = PlaceBits - 5;
  logic [2:0] load_q;        // beats in front of the places that were taken
  logic [8:0] left_q;        // beats that are still to come
  logic [8:0] list_left_q;   // of the log's map, then of no matter
  logic [IndexBits-1:0] index_q;  // of the list's beats
  logic ring_q;
  logic [4:0] place_q;       // of the 32 in a beat
  logic [511:0] table0_q, table1_q, table2_q, table3_q;
  logic [64:0] past, past_q;
  logic places_on;

  assign places_on = on_i && load_q == 3'(TableBeats) && beat_valid_i;
  assign beat_ready_o = !places_on || place_q == '1;
  assign beat_last_o = left_q == 9'd1;
  assign place_ring_o = ring_q;
  assign place_write_o = places_on;
  assign place_index_o = {index_q, place_q};
  assign place_o = beat_i[{place_q, 4'b0} +: PlaceBits];

  always_ff @(posedge clk_i) begin
    if (restart_i) begin
      load_q <= '0;
      left_q <= beats_i[8:0];
      list_left_q <= place_beats_i[8:0];
      index_q <= '0;
      ring_q <= 1'b0;
      place_q <= '0;
      past_q <= past;
    end else if (on_i && beat_valid_i) begin
      if (load_q == 3'd0) table0_q <= beat_i;
      if (load_q == 3'd1) table1_q <= beat_i;
      if (load_q == 3'd2) table2_q <= beat_i;
      if (load_q == 3'd3) table3_q <= beat_i;
      if (!places_on) load_q <= load_q + 3'd1;
      if (places_on) place_q <= place_q + 5'd1;
      if (beat_ready_o) left_q <= left_q - 9'd1;
      if (places_on && beat_ready_o) begin
        list_left_q <= list_left_q - 9'd1;
        index_q <= (list_left_q == 9'd1) ? '0 : index_q + 1'b1;
        if (list_left_q == 9'd1) ring_q <= 1'b1;
      end
    end
  end

  // ---- Whether it can be ------------------------------------------------------------------------
  // A region that begins between beats, a channel that reaches into the next one's, or, of a table
  // with memory, sizes that are not each other's: what the unit relies on.
  logic sizes_wrong, sizes_q;
  logic [7:0] key_bytes, units, key_words, value_bytes;
  logic [31:0] end_page;
  logic [8:0] entry_bytes;

  assign {value_bytes, key_words, units, key_bytes} = table0_q[480 +: 32];
  assign end_page = table0_q[416 +: 32];
  assign entry_bytes = 9'd16 + {4'b0, key_words[1:0], 3'b0} + {2'b0, value_bytes[6:0]};
  assign sizes_wrong = key_bytes > 8'(cst_kernel_pkg::KeyBytes) ||
                       key_words != (key_bytes + 8'd7) >> 3 ||
                       value_bytes > 8'(cst_state_pkg::Lanes * 8) ||
                       units != 8'((entry_bytes + 9'd31) >> 5);
  always_ff @(posedge clk_i) begin
    sizes_q <= end_page != '0 && sizes_wrong;
    wrong_o <= table0_q[128 +: 6] != '0 || table0_q[192 +: 6] != '0 ||
               table0_q[256 +: 6] != '0 || table0_q[320 +: 6] != '0 ||
               {20'b0, end_page} > stride_i[63:12] || sizes_q;
  end

  // ---- What it says -----------------------------------------------------------------------------
  // Past its time is a row whose time is at or below now less the time to live, unless that is
  // below all times.
  logic [62:0] ttl;
  assign ttl = table1_q[384 +: 63];
  always_ff @(posedge clk_i) has_ttl_o <= ttl != '0;
  assign past = {now_i[63], now_i} - {2'b0, ttl};

  assign key_k0_o = table0_q[63:0];
  assign key_k1_o = table0_q[127:64];
  for (genvar i = 0; i < cst_state_pkg::Lanes; i++) begin : g_word
    assign rows_words_o[i*3 +: 3] = table1_q[160 + i*4 +: 3];
  end

  always_comb begin
    config_o.ttl = has_ttl_o && past_q[64] == past_q[63];
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

  logic unused_bits;
  assign unused_bits = ^{table0_q, table1_q, table2_q, table3_q, beat_i, beats_i, place_beats_i,
                         stride_i[11:0]};
endmodule
`default_nettype wire
