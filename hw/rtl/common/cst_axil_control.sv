// cst_axil_control: the registers through which a host starts a kernel (Vitis, ap_ctrl_chain).
//
//   offset        register      bits
//   0x000         CTRL          0 start: write 1; 0 again when the kernel has taken it
//                               1 done: stays until continue · 2 idle: nothing runs, and no
//                               start waits · 3 ready: a start was taken since CTRL was read
//                               last · 4 continue: write 1 · 8 soft reset: write 1
//   0x004         GIE           0 interrupt enable
//   0x008         IER           0 on done, 1 on ready
//   0x00c         ISR           0 done, 1 ready; writing 1 toggles
//   0x010 ...     arguments     ArgWords words, read and written
//   0x800 ...     status        StatusWords words, read only, while running too
//
// Promises   all other offsets are written without effect and read as 0, always with OKAY: XRT
//            writes the gaps. args_o is what stood in the arguments when the start was taken, until
//            the next is taken: software may write the next set from ready on. A completion waits
//            (done_ready_o) until the one before it was acknowledged by continue. Every AXI output
//            is a register. soft_reset_o is 1 for one clock, and takes start, done, ready and ISR
//            back with it: nothing of the run before it is left. Auto-restart (bit 7) is not there.
`default_nettype none
module cst_axil_control #(
  parameter int unsigned ArgWords = 8,
  parameter int unsigned StatusWords = 4
) (
  input  wire logic                      clk_i,
  input  wire logic                      rst_ni,
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
  output      logic                      start_valid_o,
  input  wire logic                      start_ready_i,
  output      logic [32*ArgWords-1:0]    args_o,
  input  wire logic                      done_valid_i,
  output      logic                      done_ready_o,
  input  wire logic                      idle_i,
  input  wire logic [32*StatusWords-1:0] status_i,
  output      logic                      soft_reset_o,
  output      logic                      interrupt_o
);
  localparam logic [9:0] Ctrl = 10'h000;
  localparam logic [9:0] Gie = 10'h001;
  localparam logic [9:0] Ier = 10'h002;
  localparam logic [9:0] Isr = 10'h003;
  localparam int unsigned ArgFirst = 4;  // words, as the four above
  localparam int unsigned StatusFirst = 512;

  if (ArgWords < 1 || ArgWords > 256) begin : g_args
    $error("cst_axil_control: ArgWords %0d, must be 1 to 256", ArgWords);
  end
  if (StatusWords < 1 || StatusWords > 256) begin : g_status
    $error("cst_axil_control: StatusWords %0d, must be 1 to 256", StatusWords);
  end

  // Address and data of a write come in any order; each waits for the other.
  logic aw_full_q, w_full_q, b_valid_q, write, clear;
  logic [9:0] aw_word_q;
  logic [31:0] w_data_q;
  logic [3:0] w_strobe_q;
  logic r_valid_q, read_take;
  logic [31:0] read_d;

  assign s_awready_o = !aw_full_q;
  assign s_wready_o = !w_full_q;
  assign s_bvalid_o = b_valid_q;
  assign s_bresp_o = cst_pkg::AxiOkay;
  assign write = aw_full_q && w_full_q && !b_valid_q;

  always_ff @(posedge clk_i) begin
    if (!aw_full_q) aw_word_q <= s_awaddr_i[11:2];
    if (!w_full_q) {w_data_q, w_strobe_q} <= {s_wdata_i, s_wstrb_i};
    if (!rst_ni) begin
      aw_full_q <= 1'b0;
      w_full_q <= 1'b0;
      b_valid_q <= 1'b0;
    end else begin
      aw_full_q <= aw_full_q ? !write : s_awvalid_i;
      w_full_q <= w_full_q ? !write : s_wvalid_i;
      b_valid_q <= write || (b_valid_q && !s_bready_i);
    end
  end

  // The registers. What hardware does in a clock goes before what software writes in it.
  logic start_q, done_q, ready_q, gie_q, soft_reset_q, started, finished, low;
  logic [1:0] ier_q, isr_q;
  logic [32*ArgWords-1:0] args_q, run_args_q;

  assign low = write && w_strobe_q[0];
  assign started = start_q && start_ready_i;
  assign finished = done_valid_i && !done_q;
  assign clear = read_take && s_araddr_i[11:2] == Ctrl;

  always_ff @(posedge clk_i) begin
    if (started) run_args_q <= args_q;
    for (int unsigned i = 0; i < ArgWords; i++) begin
      for (int unsigned b = 0; b < 4; b++) begin
        if (write && aw_word_q == 10'(ArgFirst + i) && w_strobe_q[b]) begin
          args_q[32*i + 8*b +: 8] <= w_data_q[8*b +: 8];
        end
      end
    end
    soft_reset_q <= rst_ni && write && aw_word_q == Ctrl && w_strobe_q[1] && w_data_q[8];
    if (!rst_ni || soft_reset_q) begin
      start_q <= 1'b0;
      done_q <= 1'b0;
      ready_q <= 1'b0;
      isr_q <= '0;
    end else begin
      if (started) start_q <= 1'b0;
      else if (low && aw_word_q == Ctrl && w_data_q[0]) start_q <= 1'b1;
      if (finished) done_q <= 1'b1;
      else if (low && aw_word_q == Ctrl && w_data_q[4]) done_q <= 1'b0;
      if (started) ready_q <= 1'b1;
      else if (clear) ready_q <= 1'b0;
      if (low && aw_word_q == Isr) isr_q <= isr_q ^ w_data_q[1:0];
      if (finished && ier_q[0]) isr_q[0] <= 1'b1;
      if (started && ier_q[1]) isr_q[1] <= 1'b1;
    end
    if (!rst_ni) begin
      gie_q <= 1'b0;
      ier_q <= '0;
      args_q <= '0;
    end else begin
      if (low && aw_word_q == Gie) gie_q <= w_data_q[0];
      if (low && aw_word_q == Ier) ier_q <= w_data_q[1:0];
    end
  end

  assign start_valid_o = start_q;
  assign args_o = run_args_q;
  assign done_ready_o = !done_q;
  assign soft_reset_o = soft_reset_q;

  // Reads: one at a time.
  assign s_arready_o = !r_valid_q;
  assign s_rvalid_o = r_valid_q;
  assign s_rresp_o = cst_pkg::AxiOkay;
  assign read_take = s_arvalid_i && !r_valid_q;

  always_comb begin
    read_d = '0;
    unique case (s_araddr_i[11:2])
      Ctrl: read_d = {28'h0, ready_q, idle_i && !start_q, done_q, start_q};
      Gie: read_d = {31'h0, gie_q};
      Ier: read_d = {30'h0, ier_q};
      Isr: read_d = {30'h0, isr_q};
      default: ;
    endcase
    for (int unsigned i = 0; i < ArgWords; i++) begin
      if (s_araddr_i[11:2] == 10'(ArgFirst + i)) read_d = args_q[32*i +: 32];
    end
    for (int unsigned i = 0; i < StatusWords; i++) begin
      if (s_araddr_i[11:2] == 10'(StatusFirst + i)) read_d = status_i[32*i +: 32];
    end
  end

  always_ff @(posedge clk_i) begin
    interrupt_o <= rst_ni && gie_q && isr_q != '0;
    if (read_take) s_rdata_o <= read_d;
    if (!rst_ni) r_valid_q <= 1'b0;
    else r_valid_q <= read_take || (r_valid_q && !s_rready_i);
  end

  // Byte offsets within a word mean nothing here.
  /* verilator lint_off UNUSEDSIGNAL */
  logic [3:0] unused_offsets;
  assign unused_offsets = {s_awaddr_i[1:0], s_araddr_i[1:0]};
  /* verilator lint_on UNUSEDSIGNAL */
endmodule
`default_nettype wire
