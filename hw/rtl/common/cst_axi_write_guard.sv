// cst_axi_write_guard: stands between a master's writes and a memory that may be wrong.
// Promises   no burst outside of [first page, end page) is begun, none at all while stop_i; what
//            was offered to memory stays offered until it is taken. A burst that was begun is
//            finished: while stop_i, with beats that write nothing. No beat before its address. An
//            answer that is an error, and all that come while stop_i, go no further: the master
//            waits for ever, until it is reset. quiet_o: memory owes nothing, is offered nothing.
//            A clock more for addresses and beats, none for answers; a beat a clock.
// Faults     single clocks: error_o an answer other than OKAY; outside_o a burst that was not
//            begun; silent_o memory owed something and moved nothing for 2^SilenceBits clocks. A
//            master that is slow with its beats is not counted against memory.
// Needs      bursts that cross no page of 4 KiB; one id; reset of the master only while stop_i,
//            which falls only with quiet_o.
`default_nettype none
module cst_axi_write_guard #(
  parameter int unsigned AddressBits = 34,
  parameter int unsigned DataBytes = 64,
  parameter int unsigned SilenceBits = 16,
  parameter int unsigned OwedBits = 7,     // fewer than 2^OwedBits bursts out
  localparam int unsigned PageBits = AddressBits - 12
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic                   stop_i,
  input  wire logic [PageBits-1:0]    first_page_i,
  input  wire logic [PageBits:0]      end_page_i,
  // the master
  input  wire logic                   in_valid_i,
  output      logic                   in_ready_o,
  input  wire logic [AddressBits-1:0] in_address_i,
  input  wire logic [7:0]             in_len_i,
  input  wire logic                   beat_valid_i,
  output      logic                   beat_ready_o,
  input  wire logic [DataBytes*8-1:0] beat_data_i,
  input  wire logic [DataBytes-1:0]   beat_strb_i,
  output      logic                   answer_valid_o,
  input  wire logic                   answer_ready_i,
  // AXI
  output      logic                   aw_valid_o,
  input  wire logic                   aw_ready_i,
  output      logic [AddressBits-1:0] aw_address_o,
  output      logic [7:0]             aw_len_o,
  output      logic                   w_valid_o,
  input  wire logic                   w_ready_i,
  output      logic [DataBytes*8-1:0] w_data_o,
  output      logic [DataBytes-1:0]   w_strb_o,
  output      logic                   w_last_o,
  input  wire logic                   b_valid_i,
  output      logic                   b_ready_o,
  input  wire logic [1:0]             b_resp_i,
  output      logic                   quiet_o,
  output      logic                   error_o,
  output      logic                   outside_o,
  output      logic                   silent_o
);
  if (AddressBits < 13 || AddressBits > 64) begin : g_address
    $error("cst_axi_write_guard: AddressBits %0d, must be 13 to 64", AddressBits);
  end
  if (DataBytes < 4 || DataBytes > 128 || (DataBytes & (DataBytes - 1)) != 0) begin : g_data_bytes
    $error("cst_axi_write_guard: DataBytes %0d, must be 4, 8, 16, 32, 64 or 128", DataBytes);
  end
  if (OwedBits < 1 || OwedBits > 16) begin : g_owed
    $error("cst_axi_write_guard: OwedBits %0d, must be 1 to 16", OwedBits);
  end
  if (SilenceBits < 4 || SilenceBits > 32) begin : g_silence
    $error("cst_axi_write_guard: SilenceBits %0d, must be 4 to 32", SilenceBits);
  end

  // ---- Addresses --------------------------------------------------------------------------------
  logic allowed, take, goes, aw_valid_q;
  logic [2:0] lens_fill;
  logic [AddressBits-1:0] address_q;
  logic [7:0] len_q;
  logic [OwedBits-1:0] owed_q;

  assign allowed = in_address_i[AddressBits-1:12] >= first_page_i &&
                  {1'b0, in_address_i[AddressBits-1:12]} < end_page_i;
  assign in_ready_o = (!aw_valid_q || aw_ready_i) && !stop_i && allowed && lens_fill <= 3'd2 &&
                      !(&owed_q);
  assign take = in_valid_i && in_ready_o;
  assign goes = aw_valid_q && aw_ready_i;
  assign aw_valid_o = aw_valid_q;
  assign aw_address_o = address_q;
  assign aw_len_o = len_q;

  // ---- Beats: of bursts whose address memory has taken ------------------------------------------
  logic lens_valid, w_valid_q, w_last_q, w_moves, load, ends;
  logic [7:0] lens_len, beat_q;
  logic [DataBytes*8-1:0] w_data_q;
  logic [DataBytes-1:0] w_strb_q;

  cst_fifo #(.Width(8), .Depth(4)) u_lens (
    .clk_i, .rst_ni,
    .in_valid_i(goes), .in_ready_o(), .in_data_i(len_q),
    .out_valid_o(lens_valid), .out_ready_i(ends), .out_data_o(lens_len), .fill_o(lens_fill)
  );
  assign w_moves = !w_valid_q || w_ready_i;
  assign beat_ready_o = w_moves && lens_valid && !stop_i;
  assign load = w_moves && lens_valid && (beat_valid_i || stop_i);
  assign ends = load && beat_q == lens_len;
  assign w_valid_o = w_valid_q;
  assign w_data_o = w_data_q;
  assign w_strb_o = w_strb_q;
  assign w_last_o = w_last_q;

  // ---- Answers, faults --------------------------------------------------------------------------
  logic okay, answered, owes;
  logic [SilenceBits:0] silence_q;

  assign okay = b_resp_i == cst_pkg::AxiOkay;
  assign answer_valid_o = b_valid_i && okay && !stop_i;
  assign b_ready_o = answer_ready_i || stop_i;
  assign answered = b_valid_i && b_ready_o;

  assign quiet_o = owed_q == '0 && !aw_valid_q && !w_valid_q && !lens_valid;
  assign error_o = answered && !okay;
  assign outside_o = in_valid_i && !allowed && !stop_i;
  assign silent_o = silence_q[SilenceBits];

  // A beat to take, an answer to a burst whose beats it has, or an address if it waits for no beat.
  assign owes = w_valid_q || owed_q != OwedBits'(lens_fill) + OwedBits'(aw_valid_q) ||
                (aw_valid_q && !lens_valid);

  always_ff @(posedge clk_i) begin
    if (take) begin
      address_q <= in_address_i;
      len_q <= in_len_i;
    end
    if (load) begin
      w_data_q <= beat_data_i;
      w_strb_q <= stop_i ? '0 : beat_strb_i;
      w_last_q <= beat_q == lens_len;
    end
    if (!rst_ni) begin
      aw_valid_q <= 1'b0;
      w_valid_q <= 1'b0;
      beat_q <= '0;
      owed_q <= '0;
      silence_q <= '0;
    end else begin
      if (take) aw_valid_q <= 1'b1;
      else if (aw_ready_i) aw_valid_q <= 1'b0;
      if (load) w_valid_q <= 1'b1;
      else if (w_ready_i) w_valid_q <= 1'b0;
      if (load) beat_q <= ends ? '0 : beat_q + 1'b1;
      if (take != answered) owed_q <= answered ? owed_q - 1'b1 : owed_q + 1'b1;  // take is late
      if (!owes || b_valid_i || goes || (w_valid_o && w_ready_i) || silent_o) silence_q <= '0;
      else silence_q <= silence_q + 1'b1;
    end
  end

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    answer_was_asked: assert (!b_valid_i || owed_q != '0);
  end
`endif
endmodule
`default_nettype wire
