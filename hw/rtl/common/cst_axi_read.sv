// cst_axi_read: reads stretches of memory into a stream, through an AXI4 port.
// Promises   beats in order of commands and addresses, each once; out_last_o with a command's last;
//            out_response_o is the beat's RRESP, SLVERR also where RLAST stands wrong. One beat a
//            clock if BufferBeats covers latency and a burst. A burst is asked for only when places
//            for all of it are reserved, so m_rready_o never falls on a beat that was asked for. No
//            path from an AXI input to an AXI output. idle_o: no command and no beat under way.
// Needs      addresses aligned to DataBytes, at least one beat (checked); reset only when the port
//            has nothing outstanding.
// IDs        one, so that beats come in order: a top ties ARID to 0.
`default_nettype none
module cst_axi_read #(
  parameter int unsigned DataBytes = 64,
  parameter int unsigned BurstBeats = 64,    // 16 for the AXI3 ports of HBM
  parameter int unsigned BufferBeats = 128,
  parameter int unsigned Outstanding = 16,   // bursts
  parameter int unsigned BeatsBits = 20
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic                   command_valid_i,
  output      logic                   command_ready_o,
  input  wire logic [63:0]            command_address_i,
  input  wire logic [BeatsBits-1:0]   command_beats_i,
  output      logic                   out_valid_o,
  input  wire logic                   out_ready_i,
  output      logic [8*DataBytes-1:0] out_data_o,
  output      logic [1:0]             out_response_o,
  output      logic                   out_last_o,
  output      logic                   idle_o,
  output      logic                   m_arvalid_o,
  input  wire logic                   m_arready_i,
  output      logic [63:0]            m_araddr_o,
  output      logic [7:0]             m_arlen_o,
  output      logic [2:0]             m_arsize_o,
  output      logic [1:0]             m_arburst_o,
  input  wire logic                   m_rvalid_i,
  output      logic                   m_rready_o,
  input  wire logic [8*DataBytes-1:0] m_rdata_i,
  input  wire logic [1:0]             m_rresp_i,
  input  wire logic                   m_rlast_i
);
  localparam int unsigned PlaceBits = $clog2(BufferBeats + 1);

  if (BufferBeats < BurstBeats || BufferBeats > 1024) begin : g_buffer
    $error("cst_axi_read: BufferBeats %0d, must be BurstBeats to 1024", BufferBeats);
  end
  if (Outstanding < 2 || Outstanding > 256) begin : g_outstanding
    $error("cst_axi_read: Outstanding %0d, must be 2 to 256", Outstanding);
  end

  // Places for beats: taken when a burst is asked for, given back when a beat leaves.
  logic burst_valid, burst_ready, burst_final, go, list_ready, list_valid, list_final, beat;
  logic [63:0] burst_address;
  logic [7:0] burst_length, list_length, count_d, count_q;
  logic [PlaceBits-1:0] places_d, places_q;
  logic ends, room, ar_valid_q, give, split_idle;
  logic [1:0] response;

  cst_axi_split #(
    .DataBytes (DataBytes),
    .BurstBeats(BurstBeats),
    .BeatsBits (BeatsBits)
  ) u_split (
    .clk_i,
    .rst_ni,
    .command_valid_i,
    .command_ready_o,
    .command_address_i,
    .command_beats_i,
    .burst_valid_o  (burst_valid),
    .burst_ready_i  (burst_ready),
    .burst_address_o(burst_address),
    .burst_length_o (burst_length),
    .burst_final_o  (burst_final),
    .idle_o         (split_idle)
  );

  assign room = places_q > PlaceBits'(burst_length);
  assign go = burst_valid && room && list_ready && (!ar_valid_q || m_arready_i);
  assign burst_ready = go;
  assign give = out_valid_o && out_ready_i;
  always_comb begin
    places_d = places_q + PlaceBits'(give);
    if (go) places_d = places_d - PlaceBits'(burst_length) - 1'b1;
  end

  // Bursts under way, oldest first: where each ends.
  cst_fifo #(.Width(9), .Depth(Outstanding)) u_list (
    .clk_i,
    .rst_ni,
    .in_valid_i (go),
    .in_ready_o (list_ready),
    .in_data_i  ({burst_final, burst_length}),
    .out_valid_o(list_valid),
    .out_ready_i(beat && ends),
    .out_data_o ({list_final, list_length}),
    .fill_o     ()
  );
  assign beat = m_rvalid_i && m_rready_o && list_valid;  // one that nobody asked for is dropped
  assign ends = count_q == list_length;
  assign count_d = !beat ? count_q : ends ? 8'd0 : count_q + 8'd1;
  assign response = (m_rlast_i == ends) ? m_rresp_i : cst_pkg::AxiSlverr;

  cst_fifo #(.Width(8 * DataBytes + 3), .Depth(BufferBeats)) u_beats (
    .clk_i,
    .rst_ni,
    .in_valid_i (beat),
    .in_ready_o (m_rready_o),
    .in_data_i  ({response, ends && list_final, m_rdata_i}),
    .out_valid_o,
    .out_ready_i,
    .out_data_o ({out_response_o, out_last_o, out_data_o}),
    .fill_o     ()
  );

  always_ff @(posedge clk_i) begin
    if (go) begin
      m_araddr_o <= burst_address;
      m_arlen_o <= burst_length;
    end
    if (!rst_ni) begin
      ar_valid_q <= 1'b0;
      places_q <= PlaceBits'(BufferBeats);
      count_q <= '0;
    end else begin
      ar_valid_q <= go || (ar_valid_q && !m_arready_i);
      places_q <= places_d;
      count_q <= count_d;
    end
  end
  assign m_arvalid_o = ar_valid_q;
  assign m_arsize_o = 3'($clog2(DataBytes));
  assign m_arburst_o = cst_pkg::AxiIncr;
  assign idle_o = split_idle && places_q == PlaceBits'(BufferBeats);

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    a_beat_has_its_place: assert (!beat || places_q != PlaceBits'(BufferBeats));
  end
`endif
endmodule
`default_nettype wire
