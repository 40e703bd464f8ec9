// cst_axi_write: writes a stream into stretches of memory, through an AXI4 port.
// Promises   beats in order of commands and addresses, each once, none before its burst's address
//            was taken. One result a command, in order, when all its bursts were answered: the
//            first BRESP that was not OKAY, else OKAY. One beat a clock if Outstanding covers the
//            latency. m_bready_o never falls on an answer that was asked for: its place is
//            reserved. AXI outputs are registers: no path leads to them from an AXI input. idle_o:
//            nothing under way, no result waiting.
// Needs      addresses aligned to DataBytes, at least one beat (checked); as many beats on the in
//            port as the commands say; reset only when the port has nothing outstanding.
// IDs        one, so that answers come in order: a top ties AWID to 0.
`default_nettype none
module cst_axi_write #(
  parameter int unsigned DataBytes = 64,
  parameter int unsigned BurstBeats = 64,   // 16 for the AXI3 ports of HBM
  parameter int unsigned Outstanding = 16,  // bursts that have no answer, and results not taken
  parameter int unsigned BeatsBits = 20
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic                   command_valid_i,
  output      logic                   command_ready_o,
  input  wire logic [63:0]            command_address_i,
  input  wire logic [BeatsBits-1:0]   command_beats_i,
  input  wire logic                   in_valid_i,
  output      logic                   in_ready_o,
  input  wire logic [8*DataBytes-1:0] in_data_i,
  input  wire logic [DataBytes-1:0]   in_strobe_i,
  output      logic                   result_valid_o,
  input  wire logic                   result_ready_i,
  output      logic [1:0]             result_response_o,
  output      logic                   idle_o,
  output      logic                   m_awvalid_o,
  input  wire logic                   m_awready_i,
  output      logic [63:0]            m_awaddr_o,
  output      logic [7:0]             m_awlen_o,
  output      logic [2:0]             m_awsize_o,
  output      logic [1:0]             m_awburst_o,
  output      logic                   m_wvalid_o,
  input  wire logic                   m_wready_i,
  output      logic [8*DataBytes-1:0] m_wdata_o,
  output      logic [DataBytes-1:0]   m_wstrb_o,
  output      logic                   m_wlast_o,
  input  wire logic                   m_bvalid_i,
  output      logic                   m_bready_o,
  input  wire logic [1:0]             m_bresp_i
);
  localparam int unsigned PlaceBits = $clog2(Outstanding + 1);

  if (Outstanding < 2 || Outstanding > 256) begin : g_outstanding
    $error("cst_axi_write: Outstanding %0d, must be 2 to 256", Outstanding);
  end

  logic burst_valid, burst_final, split_idle, go, aw_valid_q;
  logic [63:0] burst_address;
  logic [7:0] burst_length, length, count_d, count_q;
  logic length_valid, beat, ends, skid_ready, finals_ready;
  logic answer, answer_due, answer_final, result_last;
  logic [1:0] worst_d, worst_q;
  logic [PlaceBits-1:0] places_d, places_q;

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
    .burst_ready_i  (go),
    .burst_address_o(burst_address),
    .burst_length_o (burst_length),
    .burst_final_o  (burst_final),
    .idle_o         (split_idle)
  );

  assign go = burst_valid && places_q != '0 && finals_ready && (!aw_valid_q || m_awready_i);

  // Bursts whose address was taken and whose beats are still to be sent; there are never more than
  // places. Bursts whose answers are still to come.
  cst_fifo #(.Width(8), .Depth(Outstanding)) u_lengths (
    .clk_i,
    .rst_ni,
    .in_valid_i (aw_valid_q && m_awready_i),
    .in_ready_o (),
    .in_data_i  (m_awlen_o),
    .out_valid_o(length_valid),
    .out_ready_i(beat && ends),
    .out_data_o (length),
    .fill_o     ()
  );
  cst_fifo #(.Width(1), .Depth(Outstanding)) u_finals (
    .clk_i,
    .rst_ni,
    .in_valid_i (go),
    .in_ready_o (finals_ready),
    .in_data_i  (burst_final),
    .out_valid_o(answer_due),
    .out_ready_i(answer),
    .out_data_o (answer_final),
    .fill_o     ()
  );

  assign in_ready_o = length_valid && skid_ready;
  assign beat = in_valid_i && in_ready_o;
  assign ends = count_q == length;
  assign count_d = !beat ? count_q : ends ? 8'd0 : count_q + 8'd1;
  cst_skid #(.Width(9 * DataBytes + 1)) u_beats (
    .clk_i,
    .rst_ni,
    .in_valid_i (beat),
    .in_ready_o (skid_ready),
    .in_data_i  ({ends, in_strobe_i, in_data_i}),
    .out_valid_o(m_wvalid_o),
    .out_ready_i(m_wready_i),
    .out_data_o ({m_wlast_o, m_wstrb_o, m_wdata_o})
  );

  // Places: taken by a burst; given back by its answer, or, of a command's last, with the result.
  assign answer = m_bvalid_i && m_bready_o && answer_due;  // one nobody waits for is dropped
  assign worst_d = (worst_q != cst_pkg::AxiOkay) ? worst_q : m_bresp_i;
  assign result_last = result_valid_o && result_ready_i;
  assign places_d = places_q - PlaceBits'(go) + PlaceBits'(answer && !answer_final) +
                    PlaceBits'(result_last);
  cst_fifo #(.Width(2), .Depth(Outstanding)) u_results (
    .clk_i,
    .rst_ni,
    .in_valid_i (answer && answer_final),
    .in_ready_o (m_bready_o),
    .in_data_i  (worst_d),
    .out_valid_o(result_valid_o),
    .out_ready_i(result_ready_i),
    .out_data_o (result_response_o),
    .fill_o     ()
  );

  always_ff @(posedge clk_i) begin
    if (go) begin
      m_awaddr_o <= burst_address;
      m_awlen_o <= burst_length;
    end
    if (!rst_ni) begin
      aw_valid_q <= 1'b0;
      places_q <= PlaceBits'(Outstanding);
      count_q <= '0;
      worst_q <= cst_pkg::AxiOkay;
    end else begin
      aw_valid_q <= go || (aw_valid_q && !m_awready_i);
      places_q <= places_d;
      count_q <= count_d;
      if (answer) worst_q <= answer_final ? cst_pkg::AxiOkay : worst_d;
    end
  end
  assign m_awvalid_o = aw_valid_q;
  assign m_awsize_o = 3'($clog2(DataBytes));
  assign m_awburst_o = cst_pkg::AxiIncr;
  assign idle_o = split_idle && places_q == PlaceBits'(Outstanding);

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    a_result_has_its_place: assert (m_bready_o || !answer_due);
  end
`endif
endmodule
`default_nettype wire
