// cst_axi_split: a command of any length becomes AXI bursts.
// Promises   bursts in order of addresses, none over a line of 4 KiB, none over BurstBeats; a burst
//            a clock; latency 2; outputs and command_ready_o: registers and what follows from
//            burst_ready_i. burst_final_o marks a command's last burst. idle_o: no command and no
//            burst is inside (command_ready_o is 1, too, while a command's last burst moves on).
// Needs      addresses aligned to DataBytes, at least one beat (checked).
`default_nettype none
module cst_axi_split #(
  parameter int unsigned DataBytes = 64,
  parameter int unsigned BurstBeats = 64,
  parameter int unsigned BeatsBits = 20
) (
  input  wire logic                 clk_i,
  input  wire logic                 rst_ni,
  input  wire logic                 command_valid_i,
  output      logic                 command_ready_o,
  input  wire logic [63:0]          command_address_i,
  input  wire logic [BeatsBits-1:0] command_beats_i,
  output      logic                 burst_valid_o,
  input  wire logic                 burst_ready_i,
  output      logic [63:0]          burst_address_o,
  output      logic [7:0]           burst_length_o,  // beats - 1, as AxLEN
  output      logic                 burst_final_o,
  output      logic                 idle_o
);
  localparam int unsigned Shift = $clog2(DataBytes);
  localparam int unsigned PageBeats = cst_pkg::AxiPageBytes / DataBytes;
  localparam int unsigned LineBits = 12 - Shift;

  if (DataBytes < 4 || DataBytes > 128 || DataBytes != 1 << Shift) begin : g_data_bytes
    $error("cst_axi_split: DataBytes %0d, must be 4, 8, 16, 32, 64 or 128", DataBytes);
  end
  if (BurstBeats < 1 || BurstBeats > 256) begin : g_burst_beats
    $error("cst_axi_split: BurstBeats %0d, must be 1 to 256", BurstBeats);
  end
  if (BeatsBits < 11 || BeatsBits > 32) begin : g_beats_bits
    $error("cst_axi_split: BeatsBits %0d, must be 11 to 32", BeatsBits);
  end

  logic busy_d, busy_q, final_burst, free;
  logic [63:0] address_d, address_q;
  logic [BeatsBits-1:0] left_d, left_q, piece;
  logic [LineBits-1:0] in_page;
  logic valid_q;

  // The next piece: to the 4 KiB line, or the longest burst. It follows from the place in the page
  // alone, a table: the command's last burst is what is left, and behind that nothing is.
  assign in_page = address_q[11:Shift];
  always_comb begin
    piece = BeatsBits'(BurstBeats);
    for (int unsigned i = 0; i < PageBeats; i++) begin
      if (PageBeats - i < BurstBeats && in_page == LineBits'(i)) piece = BeatsBits'(PageBeats - i);
    end
  end
  assign final_burst = left_q <= piece;
  assign free = !valid_q || burst_ready_i;
  assign command_ready_o = !busy_q || (free && final_burst);

  always_comb begin
    busy_d = busy_q;
    address_d = address_q;
    left_d = left_q;
    if (busy_q && free) begin
      busy_d = !final_burst;
      address_d = address_q + (64'(piece) << Shift);
      left_d = left_q - piece;
    end
    if (command_valid_i && command_ready_o) begin
      busy_d = 1'b1;
      address_d = command_address_i;
      left_d = command_beats_i;
    end
  end

  always_ff @(posedge clk_i) begin
    address_q <= address_d;
    left_q <= left_d;
    if (free) begin
      burst_address_o <= address_q;
      burst_length_o <= final_burst ? 8'(left_q - 1'b1) : 8'(piece - 1'b1);
      burst_final_o <= final_burst;
    end
    if (!rst_ni) begin
      busy_q <= 1'b0;
      valid_q <= 1'b0;
    end else begin
      busy_q <= busy_d;
      if (free) valid_q <= busy_q;
    end
  end
  assign burst_valid_o = valid_q;
  assign idle_o = !busy_q && !valid_q;

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni && command_valid_i) begin
    aligned: assert (command_address_i[Shift-1:0] == '0);
    not_empty: assert (command_beats_i != '0);
  end
`endif
endmodule
`default_nettype wire
