// cst_axi_read_guard: stands between a master's reads and a memory that may be wrong.
// Promises   no burst outside of [first page, end page) is asked for, none at all while stop_i;
//            what was offered to memory stays offered until it is taken. Beats that are answered
//            with an error, and all that come while stop_i, are taken and go no further: the master
//            waits for ever, until it is reset. quiet_o: memory owes nothing, is offered nothing.
//            A clock more for requests, none for beats; a burst a clock; beats pass as they come.
// Faults     single clocks: error_o an answer other than OKAY; outside_o a burst that was not asked
//            for; silent_o memory owed something and moved nothing for 2^SilenceBits clocks.
// Needs      bursts that cross no page of 4 KiB; one id; reset of the master only while stop_i,
//            which falls only with quiet_o.
`default_nettype none
module cst_axi_read_guard #(
  parameter int unsigned AddressBits = 34,
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
  output      logic                   beat_valid_o,   // its data is r_data_i
  input  wire logic                   beat_ready_i,
  // AXI
  output      logic                   ar_valid_o,
  input  wire logic                   ar_ready_i,
  output      logic [AddressBits-1:0] ar_address_o,
  output      logic [7:0]             ar_len_o,
  input  wire logic                   r_valid_i,
  output      logic                   r_ready_o,
  input  wire logic [1:0]             r_resp_i,
  input  wire logic                   r_last_i,
  output      logic                   quiet_o,
  output      logic                   error_o,
  output      logic                   outside_o,
  output      logic                   silent_o
);
  if (AddressBits < 13 || AddressBits > 64) begin : g_address
    $error("cst_axi_read_guard: AddressBits %0d, must be 13 to 64", AddressBits);
  end
  if (OwedBits < 1 || OwedBits > 16) begin : g_owed
    $error("cst_axi_read_guard: OwedBits %0d, must be 1 to 16", OwedBits);
  end
  if (SilenceBits < 4 || SilenceBits > 32) begin : g_silence
    $error("cst_axi_read_guard: SilenceBits %0d, must be 4 to 32", SilenceBits);
  end

  logic allowed, take, okay, beat, ends;
  logic valid_q;
  logic [AddressBits-1:0] address_q;
  logic [7:0] len_q;
  logic [OwedBits-1:0] owed_q;
  logic [SilenceBits:0] silence_q;

  assign allowed = in_address_i[AddressBits-1:12] >= first_page_i &&
                  {1'b0, in_address_i[AddressBits-1:12]} < end_page_i;
  assign in_ready_o = (!valid_q || ar_ready_i) && !stop_i && allowed && !(&owed_q);
  assign take = in_valid_i && in_ready_o;
  assign ar_valid_o = valid_q;
  assign ar_address_o = address_q;
  assign ar_len_o = len_q;

  assign okay = r_resp_i == cst_pkg::AxiOkay;
  assign beat_valid_o = r_valid_i && okay && !stop_i;
  assign r_ready_o = beat_ready_i || stop_i;
  assign beat = r_valid_i && r_ready_o;
  assign ends = beat && r_last_i;

  assign quiet_o = owed_q == '0 && !valid_q;
  assign error_o = beat && !okay;
  assign outside_o = in_valid_i && !allowed && !stop_i;
  assign silent_o = silence_q[SilenceBits];

  always_ff @(posedge clk_i) begin
    if (take) begin
      address_q <= in_address_i;
      len_q <= in_len_i;
    end
    if (!rst_ni) begin
      valid_q <= 1'b0;
      owed_q <= '0;
      silence_q <= '0;
    end else begin
      if (take) valid_q <= 1'b1;
      else if (ar_ready_i) valid_q <= 1'b0;
      if (take != ends) owed_q <= ends ? owed_q - 1'b1 : owed_q + 1'b1;  // take is late
      if (quiet_o || r_valid_i || (ar_valid_o && ar_ready_i) || silent_o) silence_q <= '0;
      else silence_q <= silence_q + 1'b1;
    end
  end

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    answer_was_asked: assert (!r_valid_i || owed_q != '0);
  end
`endif
endmodule
`default_nettype wire
