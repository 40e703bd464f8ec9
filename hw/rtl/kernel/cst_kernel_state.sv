// cst_kernel_state: encoder, hash and state unit as a Vitis RTL kernel: 17 AXI4 masters and a
// control slave round cst_kernel_commands, cst_kernel_rows and cst_state: wires, guards, bases.
// Promises   docs/hardware.md, Kernel: registers, the ring of commands, what each completes with.
//            ap_ctrl_chain; a run lasts from start until the command that ends it, or until a fault
//            (status register 0); a soft reset (CTRL bit 8), at any time, ends both, and CTRL says
//            idle again when memory owes nothing.
//
//   s_axi_control ─► cst_axil_control ─► cst_kernel_commands ─► cst_state, guards ─► m_axi_c00 ..
//                                          │   ▲       │ rows    ▲                     m_axi_c15
//   m_axi_batch ◄─ guards ◄─ read, write ──┘   │       ▼         │
//                                              └─ cst_kernel_rows┘
`default_nettype none
module cst_kernel_state #(
  parameter int unsigned SilenceBits = 16,
  parameter int unsigned PollClocks = 64,
  parameter int unsigned KeySetBits = 9,
  parameter int unsigned LineSetBits = 9
) (
  input  wire logic        ap_clk,
  input  wire logic        ap_rst_n,
  // The contract's name; the word is one of C++ as well.
  /* verilator lint_off SYMRSVDWORD */
  output      logic        interrupt,
  /* verilator lint_on SYMRSVDWORD */
  input  wire logic        s_axi_control_AWVALID,
  output      logic        s_axi_control_AWREADY,
  input  wire logic [11:0] s_axi_control_AWADDR,
  input  wire logic        s_axi_control_WVALID,
  output      logic        s_axi_control_WREADY,
  input  wire logic [31:0] s_axi_control_WDATA,
  input  wire logic [3:0]  s_axi_control_WSTRB,
  output      logic        s_axi_control_BVALID,
  input  wire logic        s_axi_control_BREADY,
  output      logic [1:0]  s_axi_control_BRESP,
  input  wire logic        s_axi_control_ARVALID,
  output      logic        s_axi_control_ARREADY,
  input  wire logic [11:0] s_axi_control_ARADDR,
  output      logic        s_axi_control_RVALID,
  input  wire logic        s_axi_control_RREADY,
  output      logic [31:0] s_axi_control_RDATA,
  output      logic [1:0]  s_axi_control_RRESP,
  output      logic m_axi_batch_ARVALID,
  input  wire logic m_axi_batch_ARREADY,
  output      logic [63:0] m_axi_batch_ARADDR,
  output      logic [7:0] m_axi_batch_ARLEN,
  output      logic [2:0] m_axi_batch_ARSIZE,
  output      logic [1:0] m_axi_batch_ARBURST,
  input  wire logic m_axi_batch_RVALID,
  output      logic m_axi_batch_RREADY,
  input  wire logic [511:0] m_axi_batch_RDATA,
  input  wire logic [1:0] m_axi_batch_RRESP,
  input  wire logic m_axi_batch_RLAST,
  output      logic m_axi_batch_AWVALID,
  input  wire logic m_axi_batch_AWREADY,
  output      logic [63:0] m_axi_batch_AWADDR,
  output      logic [7:0] m_axi_batch_AWLEN,
  output      logic [2:0] m_axi_batch_AWSIZE,
  output      logic [1:0] m_axi_batch_AWBURST,
  output      logic m_axi_batch_WVALID,
  input  wire logic m_axi_batch_WREADY,
  output      logic [511:0] m_axi_batch_WDATA,
  output      logic [63:0] m_axi_batch_WSTRB,
  output      logic m_axi_batch_WLAST,
  input  wire logic m_axi_batch_BVALID,
  output      logic m_axi_batch_BREADY,
  input  wire logic [1:0] m_axi_batch_BRESP,
  output      logic m_axi_c00_ARVALID,
  input  wire logic m_axi_c00_ARREADY,
  output      logic [63:0] m_axi_c00_ARADDR,
  output      logic [7:0] m_axi_c00_ARLEN,
  output      logic [2:0] m_axi_c00_ARSIZE,
  output      logic [1:0] m_axi_c00_ARBURST,
  input  wire logic m_axi_c00_RVALID,
  output      logic m_axi_c00_RREADY,
  input  wire logic [511:0] m_axi_c00_RDATA,
  input  wire logic [1:0] m_axi_c00_RRESP,
  input  wire logic m_axi_c00_RLAST,
  output      logic m_axi_c00_AWVALID,
  input  wire logic m_axi_c00_AWREADY,
  output      logic [63:0] m_axi_c00_AWADDR,
  output      logic [7:0] m_axi_c00_AWLEN,
  output      logic [2:0] m_axi_c00_AWSIZE,
  output      logic [1:0] m_axi_c00_AWBURST,
  output      logic m_axi_c00_WVALID,
  input  wire logic m_axi_c00_WREADY,
  output      logic [511:0] m_axi_c00_WDATA,
  output      logic [63:0] m_axi_c00_WSTRB,
  output      logic m_axi_c00_WLAST,
  input  wire logic m_axi_c00_BVALID,
  output      logic m_axi_c00_BREADY,
  input  wire logic [1:0] m_axi_c00_BRESP,
  output      logic m_axi_c01_ARVALID,
  input  wire logic m_axi_c01_ARREADY,
  output      logic [63:0] m_axi_c01_ARADDR,
  output      logic [7:0] m_axi_c01_ARLEN,
  output      logic [2:0] m_axi_c01_ARSIZE,
  output      logic [1:0] m_axi_c01_ARBURST,
  input  wire logic m_axi_c01_RVALID,
  output      logic m_axi_c01_RREADY,
  input  wire logic [511:0] m_axi_c01_RDATA,
  input  wire logic [1:0] m_axi_c01_RRESP,
  input  wire logic m_axi_c01_RLAST,
  output      logic m_axi_c01_AWVALID,
  input  wire logic m_axi_c01_AWREADY,
  output      logic [63:0] m_axi_c01_AWADDR,
  output      logic [7:0] m_axi_c01_AWLEN,
  output      logic [2:0] m_axi_c01_AWSIZE,
  output      logic [1:0] m_axi_c01_AWBURST,
  output      logic m_axi_c01_WVALID,
  input  wire logic m_axi_c01_WREADY,
  output      logic [511:0] m_axi_c01_WDATA,
  output      logic [63:0] m_axi_c01_WSTRB,
  output      logic m_axi_c01_WLAST,
  input  wire logic m_axi_c01_BVALID,
  output      logic m_axi_c01_BREADY,
  input  wire logic [1:0] m_axi_c01_BRESP,
  output      logic m_axi_c02_ARVALID,
  input  wire logic m_axi_c02_ARREADY,
  output      logic [63:0] m_axi_c02_ARADDR,
  output      logic [7:0] m_axi_c02_ARLEN,
  output      logic [2:0] m_axi_c02_ARSIZE,
  output      logic [1:0] m_axi_c02_ARBURST,
  input  wire logic m_axi_c02_RVALID,
  output      logic m_axi_c02_RREADY,
  input  wire logic [511:0] m_axi_c02_RDATA,
  input  wire logic [1:0] m_axi_c02_RRESP,
  input  wire logic m_axi_c02_RLAST,
  output      logic m_axi_c02_AWVALID,
  input  wire logic m_axi_c02_AWREADY,
  output      logic [63:0] m_axi_c02_AWADDR,
  output      logic [7:0] m_axi_c02_AWLEN,
  output      logic [2:0] m_axi_c02_AWSIZE,
  output      logic [1:0] m_axi_c02_AWBURST,
  output      logic m_axi_c02_WVALID,
  input  wire logic m_axi_c02_WREADY,
  output      logic [511:0] m_axi_c02_WDATA,
  output      logic [63:0] m_axi_c02_WSTRB,
  output      logic m_axi_c02_WLAST,
  input  wire logic m_axi_c02_BVALID,
  output      logic m_axi_c02_BREADY,
  input  wire logic [1:0] m_axi_c02_BRESP,
  output      logic m_axi_c03_ARVALID,
  input  wire logic m_axi_c03_ARREADY,
  output      logic [63:0] m_axi_c03_ARADDR,
  output      logic [7:0] m_axi_c03_ARLEN,
  output      logic [2:0] m_axi_c03_ARSIZE,
  output      logic [1:0] m_axi_c03_ARBURST,
  input  wire logic m_axi_c03_RVALID,
  output      logic m_axi_c03_RREADY,
  input  wire logic [511:0] m_axi_c03_RDATA,
  input  wire logic [1:0] m_axi_c03_RRESP,
  input  wire logic m_axi_c03_RLAST,
  output      logic m_axi_c03_AWVALID,
  input  wire logic m_axi_c03_AWREADY,
  output      logic [63:0] m_axi_c03_AWADDR,
  output      logic [7:0] m_axi_c03_AWLEN,
  output      logic [2:0] m_axi_c03_AWSIZE,
  output      logic [1:0] m_axi_c03_AWBURST,
  output      logic m_axi_c03_WVALID,
  input  wire logic m_axi_c03_WREADY,
  output      logic [511:0] m_axi_c03_WDATA,
  output      logic [63:0] m_axi_c03_WSTRB,
  output      logic m_axi_c03_WLAST,
  input  wire logic m_axi_c03_BVALID,
  output      logic m_axi_c03_BREADY,
  input  wire logic [1:0] m_axi_c03_BRESP,
  output      logic m_axi_c04_ARVALID,
  input  wire logic m_axi_c04_ARREADY,
  output      logic [63:0] m_axi_c04_ARADDR,
  output      logic [7:0] m_axi_c04_ARLEN,
  output      logic [2:0] m_axi_c04_ARSIZE,
  output      logic [1:0] m_axi_c04_ARBURST,
  input  wire logic m_axi_c04_RVALID,
  output      logic m_axi_c04_RREADY,
  input  wire logic [511:0] m_axi_c04_RDATA,
  input  wire logic [1:0] m_axi_c04_RRESP,
  input  wire logic m_axi_c04_RLAST,
  output      logic m_axi_c04_AWVALID,
  input  wire logic m_axi_c04_AWREADY,
  output      logic [63:0] m_axi_c04_AWADDR,
  output      logic [7:0] m_axi_c04_AWLEN,
  output      logic [2:0] m_axi_c04_AWSIZE,
  output      logic [1:0] m_axi_c04_AWBURST,
  output      logic m_axi_c04_WVALID,
  input  wire logic m_axi_c04_WREADY,
  output      logic [511:0] m_axi_c04_WDATA,
  output      logic [63:0] m_axi_c04_WSTRB,
  output      logic m_axi_c04_WLAST,
  input  wire logic m_axi_c04_BVALID,
  output      logic m_axi_c04_BREADY,
  input  wire logic [1:0] m_axi_c04_BRESP,
  output      logic m_axi_c05_ARVALID,
  input  wire logic m_axi_c05_ARREADY,
  output      logic [63:0] m_axi_c05_ARADDR,
  output      logic [7:0] m_axi_c05_ARLEN,
  output      logic [2:0] m_axi_c05_ARSIZE,
  output      logic [1:0] m_axi_c05_ARBURST,
  input  wire logic m_axi_c05_RVALID,
  output      logic m_axi_c05_RREADY,
  input  wire logic [511:0] m_axi_c05_RDATA,
  input  wire logic [1:0] m_axi_c05_RRESP,
  input  wire logic m_axi_c05_RLAST,
  output      logic m_axi_c05_AWVALID,
  input  wire logic m_axi_c05_AWREADY,
  output      logic [63:0] m_axi_c05_AWADDR,
  output      logic [7:0] m_axi_c05_AWLEN,
  output      logic [2:0] m_axi_c05_AWSIZE,
  output      logic [1:0] m_axi_c05_AWBURST,
  output      logic m_axi_c05_WVALID,
  input  wire logic m_axi_c05_WREADY,
  output      logic [511:0] m_axi_c05_WDATA,
  output      logic [63:0] m_axi_c05_WSTRB,
  output      logic m_axi_c05_WLAST,
  input  wire logic m_axi_c05_BVALID,
  output      logic m_axi_c05_BREADY,
  input  wire logic [1:0] m_axi_c05_BRESP,
  output      logic m_axi_c06_ARVALID,
  input  wire logic m_axi_c06_ARREADY,
  output      logic [63:0] m_axi_c06_ARADDR,
  output      logic [7:0] m_axi_c06_ARLEN,
  output      logic [2:0] m_axi_c06_ARSIZE,
  output      logic [1:0] m_axi_c06_ARBURST,
  input  wire logic m_axi_c06_RVALID,
  output      logic m_axi_c06_RREADY,
  input  wire logic [511:0] m_axi_c06_RDATA,
  input  wire logic [1:0] m_axi_c06_RRESP,
  input  wire logic m_axi_c06_RLAST,
  output      logic m_axi_c06_AWVALID,
  input  wire logic m_axi_c06_AWREADY,
  output      logic [63:0] m_axi_c06_AWADDR,
  output      logic [7:0] m_axi_c06_AWLEN,
  output      logic [2:0] m_axi_c06_AWSIZE,
  output      logic [1:0] m_axi_c06_AWBURST,
  output      logic m_axi_c06_WVALID,
  input  wire logic m_axi_c06_WREADY,
  output      logic [511:0] m_axi_c06_WDATA,
  output      logic [63:0] m_axi_c06_WSTRB,
  output      logic m_axi_c06_WLAST,
  input  wire logic m_axi_c06_BVALID,
  output      logic m_axi_c06_BREADY,
  input  wire logic [1:0] m_axi_c06_BRESP,
  output      logic m_axi_c07_ARVALID,
  input  wire logic m_axi_c07_ARREADY,
  output      logic [63:0] m_axi_c07_ARADDR,
  output      logic [7:0] m_axi_c07_ARLEN,
  output      logic [2:0] m_axi_c07_ARSIZE,
  output      logic [1:0] m_axi_c07_ARBURST,
  input  wire logic m_axi_c07_RVALID,
  output      logic m_axi_c07_RREADY,
  input  wire logic [511:0] m_axi_c07_RDATA,
  input  wire logic [1:0] m_axi_c07_RRESP,
  input  wire logic m_axi_c07_RLAST,
  output      logic m_axi_c07_AWVALID,
  input  wire logic m_axi_c07_AWREADY,
  output      logic [63:0] m_axi_c07_AWADDR,
  output      logic [7:0] m_axi_c07_AWLEN,
  output      logic [2:0] m_axi_c07_AWSIZE,
  output      logic [1:0] m_axi_c07_AWBURST,
  output      logic m_axi_c07_WVALID,
  input  wire logic m_axi_c07_WREADY,
  output      logic [511:0] m_axi_c07_WDATA,
  output      logic [63:0] m_axi_c07_WSTRB,
  output      logic m_axi_c07_WLAST,
  input  wire logic m_axi_c07_BVALID,
  output      logic m_axi_c07_BREADY,
  input  wire logic [1:0] m_axi_c07_BRESP,
  output      logic m_axi_c08_ARVALID,
  input  wire logic m_axi_c08_ARREADY,
  output      logic [63:0] m_axi_c08_ARADDR,
  output      logic [7:0] m_axi_c08_ARLEN,
  output      logic [2:0] m_axi_c08_ARSIZE,
  output      logic [1:0] m_axi_c08_ARBURST,
  input  wire logic m_axi_c08_RVALID,
  output      logic m_axi_c08_RREADY,
  input  wire logic [511:0] m_axi_c08_RDATA,
  input  wire logic [1:0] m_axi_c08_RRESP,
  input  wire logic m_axi_c08_RLAST,
  output      logic m_axi_c08_AWVALID,
  input  wire logic m_axi_c08_AWREADY,
  output      logic [63:0] m_axi_c08_AWADDR,
  output      logic [7:0] m_axi_c08_AWLEN,
  output      logic [2:0] m_axi_c08_AWSIZE,
  output      logic [1:0] m_axi_c08_AWBURST,
  output      logic m_axi_c08_WVALID,
  input  wire logic m_axi_c08_WREADY,
  output      logic [511:0] m_axi_c08_WDATA,
  output      logic [63:0] m_axi_c08_WSTRB,
  output      logic m_axi_c08_WLAST,
  input  wire logic m_axi_c08_BVALID,
  output      logic m_axi_c08_BREADY,
  input  wire logic [1:0] m_axi_c08_BRESP,
  output      logic m_axi_c09_ARVALID,
  input  wire logic m_axi_c09_ARREADY,
  output      logic [63:0] m_axi_c09_ARADDR,
  output      logic [7:0] m_axi_c09_ARLEN,
  output      logic [2:0] m_axi_c09_ARSIZE,
  output      logic [1:0] m_axi_c09_ARBURST,
  input  wire logic m_axi_c09_RVALID,
  output      logic m_axi_c09_RREADY,
  input  wire logic [511:0] m_axi_c09_RDATA,
  input  wire logic [1:0] m_axi_c09_RRESP,
  input  wire logic m_axi_c09_RLAST,
  output      logic m_axi_c09_AWVALID,
  input  wire logic m_axi_c09_AWREADY,
  output      logic [63:0] m_axi_c09_AWADDR,
  output      logic [7:0] m_axi_c09_AWLEN,
  output      logic [2:0] m_axi_c09_AWSIZE,
  output      logic [1:0] m_axi_c09_AWBURST,
  output      logic m_axi_c09_WVALID,
  input  wire logic m_axi_c09_WREADY,
  output      logic [511:0] m_axi_c09_WDATA,
  output      logic [63:0] m_axi_c09_WSTRB,
  output      logic m_axi_c09_WLAST,
  input  wire logic m_axi_c09_BVALID,
  output      logic m_axi_c09_BREADY,
  input  wire logic [1:0] m_axi_c09_BRESP,
  output      logic m_axi_c10_ARVALID,
  input  wire logic m_axi_c10_ARREADY,
  output      logic [63:0] m_axi_c10_ARADDR,
  output      logic [7:0] m_axi_c10_ARLEN,
  output      logic [2:0] m_axi_c10_ARSIZE,
  output      logic [1:0] m_axi_c10_ARBURST,
  input  wire logic m_axi_c10_RVALID,
  output      logic m_axi_c10_RREADY,
  input  wire logic [511:0] m_axi_c10_RDATA,
  input  wire logic [1:0] m_axi_c10_RRESP,
  input  wire logic m_axi_c10_RLAST,
  output      logic m_axi_c10_AWVALID,
  input  wire logic m_axi_c10_AWREADY,
  output      logic [63:0] m_axi_c10_AWADDR,
  output      logic [7:0] m_axi_c10_AWLEN,
  output      logic [2:0] m_axi_c10_AWSIZE,
  output      logic [1:0] m_axi_c10_AWBURST,
  output      logic m_axi_c10_WVALID,
  input  wire logic m_axi_c10_WREADY,
  output      logic [511:0] m_axi_c10_WDATA,
  output      logic [63:0] m_axi_c10_WSTRB,
  output      logic m_axi_c10_WLAST,
  input  wire logic m_axi_c10_BVALID,
  output      logic m_axi_c10_BREADY,
  input  wire logic [1:0] m_axi_c10_BRESP,
  output      logic m_axi_c11_ARVALID,
  input  wire logic m_axi_c11_ARREADY,
  output      logic [63:0] m_axi_c11_ARADDR,
  output      logic [7:0] m_axi_c11_ARLEN,
  output      logic [2:0] m_axi_c11_ARSIZE,
  output      logic [1:0] m_axi_c11_ARBURST,
  input  wire logic m_axi_c11_RVALID,
  output      logic m_axi_c11_RREADY,
  input  wire logic [511:0] m_axi_c11_RDATA,
  input  wire logic [1:0] m_axi_c11_RRESP,
  input  wire logic m_axi_c11_RLAST,
  output      logic m_axi_c11_AWVALID,
  input  wire logic m_axi_c11_AWREADY,
  output      logic [63:0] m_axi_c11_AWADDR,
  output      logic [7:0] m_axi_c11_AWLEN,
  output      logic [2:0] m_axi_c11_AWSIZE,
  output      logic [1:0] m_axi_c11_AWBURST,
  output      logic m_axi_c11_WVALID,
  input  wire logic m_axi_c11_WREADY,
  output      logic [511:0] m_axi_c11_WDATA,
  output      logic [63:0] m_axi_c11_WSTRB,
  output      logic m_axi_c11_WLAST,
  input  wire logic m_axi_c11_BVALID,
  output      logic m_axi_c11_BREADY,
  input  wire logic [1:0] m_axi_c11_BRESP,
  output      logic m_axi_c12_ARVALID,
  input  wire logic m_axi_c12_ARREADY,
  output      logic [63:0] m_axi_c12_ARADDR,
  output      logic [7:0] m_axi_c12_ARLEN,
  output      logic [2:0] m_axi_c12_ARSIZE,
  output      logic [1:0] m_axi_c12_ARBURST,
  input  wire logic m_axi_c12_RVALID,
  output      logic m_axi_c12_RREADY,
  input  wire logic [511:0] m_axi_c12_RDATA,
  input  wire logic [1:0] m_axi_c12_RRESP,
  input  wire logic m_axi_c12_RLAST,
  output      logic m_axi_c12_AWVALID,
  input  wire logic m_axi_c12_AWREADY,
  output      logic [63:0] m_axi_c12_AWADDR,
  output      logic [7:0] m_axi_c12_AWLEN,
  output      logic [2:0] m_axi_c12_AWSIZE,
  output      logic [1:0] m_axi_c12_AWBURST,
  output      logic m_axi_c12_WVALID,
  input  wire logic m_axi_c12_WREADY,
  output      logic [511:0] m_axi_c12_WDATA,
  output      logic [63:0] m_axi_c12_WSTRB,
  output      logic m_axi_c12_WLAST,
  input  wire logic m_axi_c12_BVALID,
  output      logic m_axi_c12_BREADY,
  input  wire logic [1:0] m_axi_c12_BRESP,
  output      logic m_axi_c13_ARVALID,
  input  wire logic m_axi_c13_ARREADY,
  output      logic [63:0] m_axi_c13_ARADDR,
  output      logic [7:0] m_axi_c13_ARLEN,
  output      logic [2:0] m_axi_c13_ARSIZE,
  output      logic [1:0] m_axi_c13_ARBURST,
  input  wire logic m_axi_c13_RVALID,
  output      logic m_axi_c13_RREADY,
  input  wire logic [511:0] m_axi_c13_RDATA,
  input  wire logic [1:0] m_axi_c13_RRESP,
  input  wire logic m_axi_c13_RLAST,
  output      logic m_axi_c13_AWVALID,
  input  wire logic m_axi_c13_AWREADY,
  output      logic [63:0] m_axi_c13_AWADDR,
  output      logic [7:0] m_axi_c13_AWLEN,
  output      logic [2:0] m_axi_c13_AWSIZE,
  output      logic [1:0] m_axi_c13_AWBURST,
  output      logic m_axi_c13_WVALID,
  input  wire logic m_axi_c13_WREADY,
  output      logic [511:0] m_axi_c13_WDATA,
  output      logic [63:0] m_axi_c13_WSTRB,
  output      logic m_axi_c13_WLAST,
  input  wire logic m_axi_c13_BVALID,
  output      logic m_axi_c13_BREADY,
  input  wire logic [1:0] m_axi_c13_BRESP,
  output      logic m_axi_c14_ARVALID,
  input  wire logic m_axi_c14_ARREADY,
  output      logic [63:0] m_axi_c14_ARADDR,
  output      logic [7:0] m_axi_c14_ARLEN,
  output      logic [2:0] m_axi_c14_ARSIZE,
  output      logic [1:0] m_axi_c14_ARBURST,
  input  wire logic m_axi_c14_RVALID,
  output      logic m_axi_c14_RREADY,
  input  wire logic [511:0] m_axi_c14_RDATA,
  input  wire logic [1:0] m_axi_c14_RRESP,
  input  wire logic m_axi_c14_RLAST,
  output      logic m_axi_c14_AWVALID,
  input  wire logic m_axi_c14_AWREADY,
  output      logic [63:0] m_axi_c14_AWADDR,
  output      logic [7:0] m_axi_c14_AWLEN,
  output      logic [2:0] m_axi_c14_AWSIZE,
  output      logic [1:0] m_axi_c14_AWBURST,
  output      logic m_axi_c14_WVALID,
  input  wire logic m_axi_c14_WREADY,
  output      logic [511:0] m_axi_c14_WDATA,
  output      logic [63:0] m_axi_c14_WSTRB,
  output      logic m_axi_c14_WLAST,
  input  wire logic m_axi_c14_BVALID,
  output      logic m_axi_c14_BREADY,
  input  wire logic [1:0] m_axi_c14_BRESP,
  output      logic m_axi_c15_ARVALID,
  input  wire logic m_axi_c15_ARREADY,
  output      logic [63:0] m_axi_c15_ARADDR,
  output      logic [7:0] m_axi_c15_ARLEN,
  output      logic [2:0] m_axi_c15_ARSIZE,
  output      logic [1:0] m_axi_c15_ARBURST,
  input  wire logic m_axi_c15_RVALID,
  output      logic m_axi_c15_RREADY,
  input  wire logic [511:0] m_axi_c15_RDATA,
  input  wire logic [1:0] m_axi_c15_RRESP,
  input  wire logic m_axi_c15_RLAST,
  output      logic m_axi_c15_AWVALID,
  input  wire logic m_axi_c15_AWREADY,
  output      logic [63:0] m_axi_c15_AWADDR,
  output      logic [7:0] m_axi_c15_AWLEN,
  output      logic [2:0] m_axi_c15_AWSIZE,
  output      logic [1:0] m_axi_c15_AWBURST,
  output      logic m_axi_c15_WVALID,
  input  wire logic m_axi_c15_WREADY,
  output      logic [511:0] m_axi_c15_WDATA,
  output      logic [63:0] m_axi_c15_WSTRB,
  output      logic m_axi_c15_WLAST,
  input  wire logic m_axi_c15_BVALID,
  output      logic m_axi_c15_BREADY,
  input  wire logic [1:0] m_axi_c15_BRESP
);
  localparam int unsigned Channels = cst_state_pkg::Channels;
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits;
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits;
  localparam int unsigned BeatsBits = cst_kernel_pkg::BeatsBits;
  localparam int unsigned CounterBits = cst_state_pkg::CounterBits;
  localparam int unsigned Counters = 16;
  localparam int unsigned ArgWords = 14;
  localparam int unsigned StatusWords = 4 + 2 * Counters;

  // ---- Reset, control ---------------------------------------------------------------------------
  logic rst_n, run_rst_n, soft_reset, soft_q, start_valid, start_ready, done_valid, done_ready;
  logic idle, unit_ready, starts;
  logic [32*ArgWords-1:0] args;
  logic [32*StatusWords-1:0] status;

  // What stands behind it sees no clock without a reset before the first one.
  initial rst_n = 1'b0;
  always_ff @(posedge ap_clk) rst_n <= ap_rst_n;

  cst_axil_control #(.ArgWords(ArgWords), .StatusWords(StatusWords)) u_control (
    .clk_i(ap_clk), .rst_ni(rst_n),
    .s_awvalid_i(s_axi_control_AWVALID), .s_awready_o(s_axi_control_AWREADY),
    .s_awaddr_i(s_axi_control_AWADDR), .s_wvalid_i(s_axi_control_WVALID),
    .s_wready_o(s_axi_control_WREADY), .s_wdata_i(s_axi_control_WDATA),
    .s_wstrb_i(s_axi_control_WSTRB), .s_bvalid_o(s_axi_control_BVALID),
    .s_bready_i(s_axi_control_BREADY), .s_bresp_o(s_axi_control_BRESP),
    .s_arvalid_i(s_axi_control_ARVALID), .s_arready_o(s_axi_control_ARREADY),
    .s_araddr_i(s_axi_control_ARADDR), .s_rvalid_o(s_axi_control_RVALID),
    .s_rready_i(s_axi_control_RREADY), .s_rdata_o(s_axi_control_RDATA),
    .s_rresp_o(s_axi_control_RRESP),
    .start_valid_o(start_valid), .start_ready_i(start_ready && starts), .args_o(args),
    .done_valid_i(done_valid && !soft_q), .done_ready_o(done_ready), .idle_i(idle && starts),
    .status_i(status), .soft_reset_o(soft_reset), .interrupt_o(interrupt)
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
  always_ff @(posedge ap_clk) begin
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
    .clk_i(ap_clk), .rst_ni(run_rst_n),
    .command_valid_i(read_valid), .command_ready_o(read_ready), .command_address_i(read_address),
    .command_beats_i(read_beats), .out_valid_o(beat_valid), .out_ready_i(beat_ready),
    .out_data_o(beat), .out_response_o(), .out_last_o(), .idle_o(),
    .m_arvalid_o(ar_valid), .m_arready_i(ar_ready), .m_araddr_o(ar_address), .m_arlen_o(ar_len),
    .m_arsize_o(m_axi_batch_ARSIZE), .m_arburst_o(m_axi_batch_ARBURST),
    .m_rvalid_i(r_valid), .m_rready_o(r_ready), .m_rdata_i(m_axi_batch_RDATA),
    .m_rresp_i(m_axi_batch_RRESP), .m_rlast_i(m_axi_batch_RLAST)
  );
  cst_axi_read_guard #(.AddressBits(64), .SilenceBits(SilenceBits)) u_read_guard (
    .clk_i(ap_clk), .rst_ni(rst_n), .stop_i(stop), .first_page_i(first_page),
    .end_page_i(end_page), .in_valid_i(ar_valid), .in_ready_o(ar_ready),
    .in_address_i(ar_address), .in_len_i(ar_len), .beat_valid_o(r_valid), .beat_ready_i(r_ready),
    .ar_valid_o(m_axi_batch_ARVALID), .ar_ready_i(m_axi_batch_ARREADY),
    .ar_address_o(m_axi_batch_ARADDR), .ar_len_o(m_axi_batch_ARLEN),
    .r_valid_i(m_axi_batch_RVALID), .r_ready_o(m_axi_batch_RREADY),
    .r_resp_i(m_axi_batch_RRESP), .r_last_i(m_axi_batch_RLAST), .quiet_o(read_quiet),
    .error_o(read_error), .outside_o(read_outside), .silent_o(read_silent)
  );
  cst_axi_write #(.BurstBeats(16), .BeatsBits(BeatsBits)) u_write (
    .clk_i(ap_clk), .rst_ni(run_rst_n),
    .command_valid_i(write_valid), .command_ready_o(write_ready),
    .command_address_i(write_address), .command_beats_i(write_beats), .in_valid_i(data_valid),
    .in_ready_o(data_ready), .in_data_i(data), .in_strobe_i('1), .result_valid_o(written),
    .result_ready_i(1'b1), .result_response_o(), .idle_o(),
    .m_awvalid_o(aw_valid), .m_awready_i(aw_ready), .m_awaddr_o(aw_address), .m_awlen_o(aw_len),
    .m_awsize_o(m_axi_batch_AWSIZE), .m_awburst_o(m_axi_batch_AWBURST), .m_wvalid_o(w_valid),
    .m_wready_i(w_ready), .m_wdata_o(w_data), .m_wstrb_o(w_strobe), .m_wlast_o(),
    .m_bvalid_i(b_valid), .m_bready_o(b_ready), .m_bresp_i(m_axi_batch_BRESP)
  );
  cst_axi_write_guard #(.AddressBits(64), .SilenceBits(SilenceBits)) u_write_guard (
    .clk_i(ap_clk), .rst_ni(rst_n), .stop_i(stop), .first_page_i(first_page),
    .end_page_i(end_page), .in_valid_i(aw_valid), .in_ready_o(aw_ready),
    .in_address_i(aw_address), .in_len_i(aw_len), .beat_valid_i(w_valid), .beat_ready_o(w_ready),
    .beat_data_i(w_data), .beat_strb_i(w_strobe), .answer_valid_o(b_valid),
    .answer_ready_i(b_ready), .aw_valid_o(m_axi_batch_AWVALID), .aw_ready_i(m_axi_batch_AWREADY),
    .aw_address_o(m_axi_batch_AWADDR), .aw_len_o(m_axi_batch_AWLEN),
    .w_valid_o(m_axi_batch_WVALID), .w_ready_i(m_axi_batch_WREADY),
    .w_data_o(m_axi_batch_WDATA), .w_strb_o(m_axi_batch_WSTRB), .w_last_o(m_axi_batch_WLAST),
    .b_valid_i(m_axi_batch_BVALID), .b_ready_o(m_axi_batch_BREADY),
    .b_resp_i(m_axi_batch_BRESP), .quiet_o(write_quiet), .error_o(write_error),
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
  logic rows_compact, rows_long;
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
    .clk_i(ap_clk), .rst_ni(run_rst_n), .start_valid_i(start_valid && starts),
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
    .clk_i(ap_clk), .rst_ni(run_rst_n), .start_i(rows_start), .first_row_i(rows_first),
    .rows_i(rows_count), .compact_i(rows_compact), .long_i(rows_long), .words_i(rows_words),
    .encode_i(rows_encode), .hash_i(rows_hash), .wide_i(rows_wide), .key_k0_i(key_k0),
    .key_k1_i(key_k1), .columns_i(columns), .columns_last_i(columns_last),
    .beat_valid_i(row_beat_valid), .beat_ready_o(row_beat_ready), .beat_i(beat),
    .out_valid_o(row_valid), .out_ready_i(row_ready), .out_op_o(row_op), .out_code_o(row_code)
  );

  cst_kernel_records u_records (
    .clk_i(ap_clk), .rst_ni(run_rst_n), .config_i(unit_config), .start_i(rows_start),
    .units_i(rows_count), .more_i(rows_more), .beat_valid_i(record_beat_valid),
    .beat_ready_o(record_beat_ready), .beat_i(beat), .out_valid_o(record_valid),
    .out_ready_i(record_ready), .out_op_o(record_op), .out_code_o(record_code),
    .over_o(records_over), .end_o(records_end)
  );

  logic [Channels-1:0] arv, arr, rv, rr, rl, awv, awr, wv, wr, wl, bv, br;
  logic [Channels*AddressBits-1:0] ara, awa;
  logic [Channels*8-1:0] arl, awl;
  logic [Channels*512-1:0] rd, wd;
  logic [Channels*64-1:0] ws;
  logic [Channels*2-1:0] rp, bp;

  cst_state #(.SilenceBits(SilenceBits), .KeySetBits(KeySetBits), .LineSetBits(LineSetBits))
  u_state (
    .clk_i(ap_clk), .rst_ni(rst_n), .ready_o(unit_ready), .idle_o(unit_idle),
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
    .ar_valid_o(arv), .ar_ready_i(arr), .ar_address_o(ara), .ar_len_o(arl), .r_valid_i(rv),
    .r_ready_o(rr), .r_data_i(rd), .r_resp_i(rp), .r_last_i(rl),
    .aw_valid_o(awv), .aw_ready_i(awr), .aw_address_o(awa), .aw_len_o(awl), .w_valid_o(wv),
    .w_ready_i(wr), .w_data_o(wd), .w_strb_o(ws), .w_last_o(wl), .b_valid_i(bv), .b_ready_o(br),
    .b_resp_i(bp)
  );

  // ---- Status: what the run does, clocks since reset, the unit's counters -----------------------
  logic [63:0] clocks_q;
  always_ff @(posedge ap_clk) clocks_q <= rst_n ? clocks_q + 64'd1 : '0;
  assign status[31:0] = {8'd0, code, fault_q, unit_fault, 5'd0, lost, stopped, running};
  assign status[63:32] = completed;
  assign status[127:64] = clocks_q;
  for (genvar i = 0; i < Counters; i++) begin : g_status
    assign status[128 + i*64 +: 64] = 64'(counters[i*CounterBits +: CounterBits]);
  end

  // ---- Channels: an address of one begins at its base -------------------------------------------
  logic [64*Channels-1:0] base_q;
  for (genvar c = 0; c < Channels; c++) begin : g_base
    always_ff @(posedge ap_clk)
      base_q[64*c +: 64] <= args[10*32 +: 64] + 64'(c) * args[12*32 +: 64];
  end

  assign m_axi_c00_ARVALID = arv[0];
  assign m_axi_c00_ARADDR = base_q[0 +: 64] + 64'(ara[0*AddressBits +: AddressBits]);
  assign m_axi_c00_ARLEN = arl[0 +: 8];
  assign m_axi_c00_ARSIZE = 3'd6;
  assign m_axi_c00_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c00_RREADY = rr[0];
  assign m_axi_c00_AWVALID = awv[0];
  assign m_axi_c00_AWADDR = base_q[0 +: 64] + 64'(awa[0*AddressBits +: AddressBits]);
  assign m_axi_c00_AWLEN = awl[0 +: 8];
  assign m_axi_c00_AWSIZE = 3'd6;
  assign m_axi_c00_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c00_WVALID = wv[0];
  assign m_axi_c00_WDATA = wd[0 +: 512];
  assign m_axi_c00_WSTRB = ws[0 +: 64];
  assign m_axi_c00_WLAST = wl[0];
  assign m_axi_c00_BREADY = br[0];
  assign arr[0] = m_axi_c00_ARREADY;
  assign rv[0] = m_axi_c00_RVALID;
  assign rd[0 +: 512] = m_axi_c00_RDATA;
  assign rp[0 +: 2] = m_axi_c00_RRESP;
  assign rl[0] = m_axi_c00_RLAST;
  assign awr[0] = m_axi_c00_AWREADY;
  assign wr[0] = m_axi_c00_WREADY;
  assign bv[0] = m_axi_c00_BVALID;
  assign bp[0 +: 2] = m_axi_c00_BRESP;

  assign m_axi_c01_ARVALID = arv[1];
  assign m_axi_c01_ARADDR = base_q[64 +: 64] + 64'(ara[1*AddressBits +: AddressBits]);
  assign m_axi_c01_ARLEN = arl[8 +: 8];
  assign m_axi_c01_ARSIZE = 3'd6;
  assign m_axi_c01_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c01_RREADY = rr[1];
  assign m_axi_c01_AWVALID = awv[1];
  assign m_axi_c01_AWADDR = base_q[64 +: 64] + 64'(awa[1*AddressBits +: AddressBits]);
  assign m_axi_c01_AWLEN = awl[8 +: 8];
  assign m_axi_c01_AWSIZE = 3'd6;
  assign m_axi_c01_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c01_WVALID = wv[1];
  assign m_axi_c01_WDATA = wd[512 +: 512];
  assign m_axi_c01_WSTRB = ws[64 +: 64];
  assign m_axi_c01_WLAST = wl[1];
  assign m_axi_c01_BREADY = br[1];
  assign arr[1] = m_axi_c01_ARREADY;
  assign rv[1] = m_axi_c01_RVALID;
  assign rd[512 +: 512] = m_axi_c01_RDATA;
  assign rp[2 +: 2] = m_axi_c01_RRESP;
  assign rl[1] = m_axi_c01_RLAST;
  assign awr[1] = m_axi_c01_AWREADY;
  assign wr[1] = m_axi_c01_WREADY;
  assign bv[1] = m_axi_c01_BVALID;
  assign bp[2 +: 2] = m_axi_c01_BRESP;

  assign m_axi_c02_ARVALID = arv[2];
  assign m_axi_c02_ARADDR = base_q[128 +: 64] + 64'(ara[2*AddressBits +: AddressBits]);
  assign m_axi_c02_ARLEN = arl[16 +: 8];
  assign m_axi_c02_ARSIZE = 3'd6;
  assign m_axi_c02_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c02_RREADY = rr[2];
  assign m_axi_c02_AWVALID = awv[2];
  assign m_axi_c02_AWADDR = base_q[128 +: 64] + 64'(awa[2*AddressBits +: AddressBits]);
  assign m_axi_c02_AWLEN = awl[16 +: 8];
  assign m_axi_c02_AWSIZE = 3'd6;
  assign m_axi_c02_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c02_WVALID = wv[2];
  assign m_axi_c02_WDATA = wd[1024 +: 512];
  assign m_axi_c02_WSTRB = ws[128 +: 64];
  assign m_axi_c02_WLAST = wl[2];
  assign m_axi_c02_BREADY = br[2];
  assign arr[2] = m_axi_c02_ARREADY;
  assign rv[2] = m_axi_c02_RVALID;
  assign rd[1024 +: 512] = m_axi_c02_RDATA;
  assign rp[4 +: 2] = m_axi_c02_RRESP;
  assign rl[2] = m_axi_c02_RLAST;
  assign awr[2] = m_axi_c02_AWREADY;
  assign wr[2] = m_axi_c02_WREADY;
  assign bv[2] = m_axi_c02_BVALID;
  assign bp[4 +: 2] = m_axi_c02_BRESP;

  assign m_axi_c03_ARVALID = arv[3];
  assign m_axi_c03_ARADDR = base_q[192 +: 64] + 64'(ara[3*AddressBits +: AddressBits]);
  assign m_axi_c03_ARLEN = arl[24 +: 8];
  assign m_axi_c03_ARSIZE = 3'd6;
  assign m_axi_c03_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c03_RREADY = rr[3];
  assign m_axi_c03_AWVALID = awv[3];
  assign m_axi_c03_AWADDR = base_q[192 +: 64] + 64'(awa[3*AddressBits +: AddressBits]);
  assign m_axi_c03_AWLEN = awl[24 +: 8];
  assign m_axi_c03_AWSIZE = 3'd6;
  assign m_axi_c03_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c03_WVALID = wv[3];
  assign m_axi_c03_WDATA = wd[1536 +: 512];
  assign m_axi_c03_WSTRB = ws[192 +: 64];
  assign m_axi_c03_WLAST = wl[3];
  assign m_axi_c03_BREADY = br[3];
  assign arr[3] = m_axi_c03_ARREADY;
  assign rv[3] = m_axi_c03_RVALID;
  assign rd[1536 +: 512] = m_axi_c03_RDATA;
  assign rp[6 +: 2] = m_axi_c03_RRESP;
  assign rl[3] = m_axi_c03_RLAST;
  assign awr[3] = m_axi_c03_AWREADY;
  assign wr[3] = m_axi_c03_WREADY;
  assign bv[3] = m_axi_c03_BVALID;
  assign bp[6 +: 2] = m_axi_c03_BRESP;

  assign m_axi_c04_ARVALID = arv[4];
  assign m_axi_c04_ARADDR = base_q[256 +: 64] + 64'(ara[4*AddressBits +: AddressBits]);
  assign m_axi_c04_ARLEN = arl[32 +: 8];
  assign m_axi_c04_ARSIZE = 3'd6;
  assign m_axi_c04_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c04_RREADY = rr[4];
  assign m_axi_c04_AWVALID = awv[4];
  assign m_axi_c04_AWADDR = base_q[256 +: 64] + 64'(awa[4*AddressBits +: AddressBits]);
  assign m_axi_c04_AWLEN = awl[32 +: 8];
  assign m_axi_c04_AWSIZE = 3'd6;
  assign m_axi_c04_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c04_WVALID = wv[4];
  assign m_axi_c04_WDATA = wd[2048 +: 512];
  assign m_axi_c04_WSTRB = ws[256 +: 64];
  assign m_axi_c04_WLAST = wl[4];
  assign m_axi_c04_BREADY = br[4];
  assign arr[4] = m_axi_c04_ARREADY;
  assign rv[4] = m_axi_c04_RVALID;
  assign rd[2048 +: 512] = m_axi_c04_RDATA;
  assign rp[8 +: 2] = m_axi_c04_RRESP;
  assign rl[4] = m_axi_c04_RLAST;
  assign awr[4] = m_axi_c04_AWREADY;
  assign wr[4] = m_axi_c04_WREADY;
  assign bv[4] = m_axi_c04_BVALID;
  assign bp[8 +: 2] = m_axi_c04_BRESP;

  assign m_axi_c05_ARVALID = arv[5];
  assign m_axi_c05_ARADDR = base_q[320 +: 64] + 64'(ara[5*AddressBits +: AddressBits]);
  assign m_axi_c05_ARLEN = arl[40 +: 8];
  assign m_axi_c05_ARSIZE = 3'd6;
  assign m_axi_c05_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c05_RREADY = rr[5];
  assign m_axi_c05_AWVALID = awv[5];
  assign m_axi_c05_AWADDR = base_q[320 +: 64] + 64'(awa[5*AddressBits +: AddressBits]);
  assign m_axi_c05_AWLEN = awl[40 +: 8];
  assign m_axi_c05_AWSIZE = 3'd6;
  assign m_axi_c05_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c05_WVALID = wv[5];
  assign m_axi_c05_WDATA = wd[2560 +: 512];
  assign m_axi_c05_WSTRB = ws[320 +: 64];
  assign m_axi_c05_WLAST = wl[5];
  assign m_axi_c05_BREADY = br[5];
  assign arr[5] = m_axi_c05_ARREADY;
  assign rv[5] = m_axi_c05_RVALID;
  assign rd[2560 +: 512] = m_axi_c05_RDATA;
  assign rp[10 +: 2] = m_axi_c05_RRESP;
  assign rl[5] = m_axi_c05_RLAST;
  assign awr[5] = m_axi_c05_AWREADY;
  assign wr[5] = m_axi_c05_WREADY;
  assign bv[5] = m_axi_c05_BVALID;
  assign bp[10 +: 2] = m_axi_c05_BRESP;

  assign m_axi_c06_ARVALID = arv[6];
  assign m_axi_c06_ARADDR = base_q[384 +: 64] + 64'(ara[6*AddressBits +: AddressBits]);
  assign m_axi_c06_ARLEN = arl[48 +: 8];
  assign m_axi_c06_ARSIZE = 3'd6;
  assign m_axi_c06_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c06_RREADY = rr[6];
  assign m_axi_c06_AWVALID = awv[6];
  assign m_axi_c06_AWADDR = base_q[384 +: 64] + 64'(awa[6*AddressBits +: AddressBits]);
  assign m_axi_c06_AWLEN = awl[48 +: 8];
  assign m_axi_c06_AWSIZE = 3'd6;
  assign m_axi_c06_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c06_WVALID = wv[6];
  assign m_axi_c06_WDATA = wd[3072 +: 512];
  assign m_axi_c06_WSTRB = ws[384 +: 64];
  assign m_axi_c06_WLAST = wl[6];
  assign m_axi_c06_BREADY = br[6];
  assign arr[6] = m_axi_c06_ARREADY;
  assign rv[6] = m_axi_c06_RVALID;
  assign rd[3072 +: 512] = m_axi_c06_RDATA;
  assign rp[12 +: 2] = m_axi_c06_RRESP;
  assign rl[6] = m_axi_c06_RLAST;
  assign awr[6] = m_axi_c06_AWREADY;
  assign wr[6] = m_axi_c06_WREADY;
  assign bv[6] = m_axi_c06_BVALID;
  assign bp[12 +: 2] = m_axi_c06_BRESP;

  assign m_axi_c07_ARVALID = arv[7];
  assign m_axi_c07_ARADDR = base_q[448 +: 64] + 64'(ara[7*AddressBits +: AddressBits]);
  assign m_axi_c07_ARLEN = arl[56 +: 8];
  assign m_axi_c07_ARSIZE = 3'd6;
  assign m_axi_c07_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c07_RREADY = rr[7];
  assign m_axi_c07_AWVALID = awv[7];
  assign m_axi_c07_AWADDR = base_q[448 +: 64] + 64'(awa[7*AddressBits +: AddressBits]);
  assign m_axi_c07_AWLEN = awl[56 +: 8];
  assign m_axi_c07_AWSIZE = 3'd6;
  assign m_axi_c07_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c07_WVALID = wv[7];
  assign m_axi_c07_WDATA = wd[3584 +: 512];
  assign m_axi_c07_WSTRB = ws[448 +: 64];
  assign m_axi_c07_WLAST = wl[7];
  assign m_axi_c07_BREADY = br[7];
  assign arr[7] = m_axi_c07_ARREADY;
  assign rv[7] = m_axi_c07_RVALID;
  assign rd[3584 +: 512] = m_axi_c07_RDATA;
  assign rp[14 +: 2] = m_axi_c07_RRESP;
  assign rl[7] = m_axi_c07_RLAST;
  assign awr[7] = m_axi_c07_AWREADY;
  assign wr[7] = m_axi_c07_WREADY;
  assign bv[7] = m_axi_c07_BVALID;
  assign bp[14 +: 2] = m_axi_c07_BRESP;

  assign m_axi_c08_ARVALID = arv[8];
  assign m_axi_c08_ARADDR = base_q[512 +: 64] + 64'(ara[8*AddressBits +: AddressBits]);
  assign m_axi_c08_ARLEN = arl[64 +: 8];
  assign m_axi_c08_ARSIZE = 3'd6;
  assign m_axi_c08_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c08_RREADY = rr[8];
  assign m_axi_c08_AWVALID = awv[8];
  assign m_axi_c08_AWADDR = base_q[512 +: 64] + 64'(awa[8*AddressBits +: AddressBits]);
  assign m_axi_c08_AWLEN = awl[64 +: 8];
  assign m_axi_c08_AWSIZE = 3'd6;
  assign m_axi_c08_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c08_WVALID = wv[8];
  assign m_axi_c08_WDATA = wd[4096 +: 512];
  assign m_axi_c08_WSTRB = ws[512 +: 64];
  assign m_axi_c08_WLAST = wl[8];
  assign m_axi_c08_BREADY = br[8];
  assign arr[8] = m_axi_c08_ARREADY;
  assign rv[8] = m_axi_c08_RVALID;
  assign rd[4096 +: 512] = m_axi_c08_RDATA;
  assign rp[16 +: 2] = m_axi_c08_RRESP;
  assign rl[8] = m_axi_c08_RLAST;
  assign awr[8] = m_axi_c08_AWREADY;
  assign wr[8] = m_axi_c08_WREADY;
  assign bv[8] = m_axi_c08_BVALID;
  assign bp[16 +: 2] = m_axi_c08_BRESP;

  assign m_axi_c09_ARVALID = arv[9];
  assign m_axi_c09_ARADDR = base_q[576 +: 64] + 64'(ara[9*AddressBits +: AddressBits]);
  assign m_axi_c09_ARLEN = arl[72 +: 8];
  assign m_axi_c09_ARSIZE = 3'd6;
  assign m_axi_c09_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c09_RREADY = rr[9];
  assign m_axi_c09_AWVALID = awv[9];
  assign m_axi_c09_AWADDR = base_q[576 +: 64] + 64'(awa[9*AddressBits +: AddressBits]);
  assign m_axi_c09_AWLEN = awl[72 +: 8];
  assign m_axi_c09_AWSIZE = 3'd6;
  assign m_axi_c09_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c09_WVALID = wv[9];
  assign m_axi_c09_WDATA = wd[4608 +: 512];
  assign m_axi_c09_WSTRB = ws[576 +: 64];
  assign m_axi_c09_WLAST = wl[9];
  assign m_axi_c09_BREADY = br[9];
  assign arr[9] = m_axi_c09_ARREADY;
  assign rv[9] = m_axi_c09_RVALID;
  assign rd[4608 +: 512] = m_axi_c09_RDATA;
  assign rp[18 +: 2] = m_axi_c09_RRESP;
  assign rl[9] = m_axi_c09_RLAST;
  assign awr[9] = m_axi_c09_AWREADY;
  assign wr[9] = m_axi_c09_WREADY;
  assign bv[9] = m_axi_c09_BVALID;
  assign bp[18 +: 2] = m_axi_c09_BRESP;

  assign m_axi_c10_ARVALID = arv[10];
  assign m_axi_c10_ARADDR = base_q[640 +: 64] + 64'(ara[10*AddressBits +: AddressBits]);
  assign m_axi_c10_ARLEN = arl[80 +: 8];
  assign m_axi_c10_ARSIZE = 3'd6;
  assign m_axi_c10_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c10_RREADY = rr[10];
  assign m_axi_c10_AWVALID = awv[10];
  assign m_axi_c10_AWADDR = base_q[640 +: 64] + 64'(awa[10*AddressBits +: AddressBits]);
  assign m_axi_c10_AWLEN = awl[80 +: 8];
  assign m_axi_c10_AWSIZE = 3'd6;
  assign m_axi_c10_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c10_WVALID = wv[10];
  assign m_axi_c10_WDATA = wd[5120 +: 512];
  assign m_axi_c10_WSTRB = ws[640 +: 64];
  assign m_axi_c10_WLAST = wl[10];
  assign m_axi_c10_BREADY = br[10];
  assign arr[10] = m_axi_c10_ARREADY;
  assign rv[10] = m_axi_c10_RVALID;
  assign rd[5120 +: 512] = m_axi_c10_RDATA;
  assign rp[20 +: 2] = m_axi_c10_RRESP;
  assign rl[10] = m_axi_c10_RLAST;
  assign awr[10] = m_axi_c10_AWREADY;
  assign wr[10] = m_axi_c10_WREADY;
  assign bv[10] = m_axi_c10_BVALID;
  assign bp[20 +: 2] = m_axi_c10_BRESP;

  assign m_axi_c11_ARVALID = arv[11];
  assign m_axi_c11_ARADDR = base_q[704 +: 64] + 64'(ara[11*AddressBits +: AddressBits]);
  assign m_axi_c11_ARLEN = arl[88 +: 8];
  assign m_axi_c11_ARSIZE = 3'd6;
  assign m_axi_c11_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c11_RREADY = rr[11];
  assign m_axi_c11_AWVALID = awv[11];
  assign m_axi_c11_AWADDR = base_q[704 +: 64] + 64'(awa[11*AddressBits +: AddressBits]);
  assign m_axi_c11_AWLEN = awl[88 +: 8];
  assign m_axi_c11_AWSIZE = 3'd6;
  assign m_axi_c11_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c11_WVALID = wv[11];
  assign m_axi_c11_WDATA = wd[5632 +: 512];
  assign m_axi_c11_WSTRB = ws[704 +: 64];
  assign m_axi_c11_WLAST = wl[11];
  assign m_axi_c11_BREADY = br[11];
  assign arr[11] = m_axi_c11_ARREADY;
  assign rv[11] = m_axi_c11_RVALID;
  assign rd[5632 +: 512] = m_axi_c11_RDATA;
  assign rp[22 +: 2] = m_axi_c11_RRESP;
  assign rl[11] = m_axi_c11_RLAST;
  assign awr[11] = m_axi_c11_AWREADY;
  assign wr[11] = m_axi_c11_WREADY;
  assign bv[11] = m_axi_c11_BVALID;
  assign bp[22 +: 2] = m_axi_c11_BRESP;

  assign m_axi_c12_ARVALID = arv[12];
  assign m_axi_c12_ARADDR = base_q[768 +: 64] + 64'(ara[12*AddressBits +: AddressBits]);
  assign m_axi_c12_ARLEN = arl[96 +: 8];
  assign m_axi_c12_ARSIZE = 3'd6;
  assign m_axi_c12_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c12_RREADY = rr[12];
  assign m_axi_c12_AWVALID = awv[12];
  assign m_axi_c12_AWADDR = base_q[768 +: 64] + 64'(awa[12*AddressBits +: AddressBits]);
  assign m_axi_c12_AWLEN = awl[96 +: 8];
  assign m_axi_c12_AWSIZE = 3'd6;
  assign m_axi_c12_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c12_WVALID = wv[12];
  assign m_axi_c12_WDATA = wd[6144 +: 512];
  assign m_axi_c12_WSTRB = ws[768 +: 64];
  assign m_axi_c12_WLAST = wl[12];
  assign m_axi_c12_BREADY = br[12];
  assign arr[12] = m_axi_c12_ARREADY;
  assign rv[12] = m_axi_c12_RVALID;
  assign rd[6144 +: 512] = m_axi_c12_RDATA;
  assign rp[24 +: 2] = m_axi_c12_RRESP;
  assign rl[12] = m_axi_c12_RLAST;
  assign awr[12] = m_axi_c12_AWREADY;
  assign wr[12] = m_axi_c12_WREADY;
  assign bv[12] = m_axi_c12_BVALID;
  assign bp[24 +: 2] = m_axi_c12_BRESP;

  assign m_axi_c13_ARVALID = arv[13];
  assign m_axi_c13_ARADDR = base_q[832 +: 64] + 64'(ara[13*AddressBits +: AddressBits]);
  assign m_axi_c13_ARLEN = arl[104 +: 8];
  assign m_axi_c13_ARSIZE = 3'd6;
  assign m_axi_c13_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c13_RREADY = rr[13];
  assign m_axi_c13_AWVALID = awv[13];
  assign m_axi_c13_AWADDR = base_q[832 +: 64] + 64'(awa[13*AddressBits +: AddressBits]);
  assign m_axi_c13_AWLEN = awl[104 +: 8];
  assign m_axi_c13_AWSIZE = 3'd6;
  assign m_axi_c13_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c13_WVALID = wv[13];
  assign m_axi_c13_WDATA = wd[6656 +: 512];
  assign m_axi_c13_WSTRB = ws[832 +: 64];
  assign m_axi_c13_WLAST = wl[13];
  assign m_axi_c13_BREADY = br[13];
  assign arr[13] = m_axi_c13_ARREADY;
  assign rv[13] = m_axi_c13_RVALID;
  assign rd[6656 +: 512] = m_axi_c13_RDATA;
  assign rp[26 +: 2] = m_axi_c13_RRESP;
  assign rl[13] = m_axi_c13_RLAST;
  assign awr[13] = m_axi_c13_AWREADY;
  assign wr[13] = m_axi_c13_WREADY;
  assign bv[13] = m_axi_c13_BVALID;
  assign bp[26 +: 2] = m_axi_c13_BRESP;

  assign m_axi_c14_ARVALID = arv[14];
  assign m_axi_c14_ARADDR = base_q[896 +: 64] + 64'(ara[14*AddressBits +: AddressBits]);
  assign m_axi_c14_ARLEN = arl[112 +: 8];
  assign m_axi_c14_ARSIZE = 3'd6;
  assign m_axi_c14_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c14_RREADY = rr[14];
  assign m_axi_c14_AWVALID = awv[14];
  assign m_axi_c14_AWADDR = base_q[896 +: 64] + 64'(awa[14*AddressBits +: AddressBits]);
  assign m_axi_c14_AWLEN = awl[112 +: 8];
  assign m_axi_c14_AWSIZE = 3'd6;
  assign m_axi_c14_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c14_WVALID = wv[14];
  assign m_axi_c14_WDATA = wd[7168 +: 512];
  assign m_axi_c14_WSTRB = ws[896 +: 64];
  assign m_axi_c14_WLAST = wl[14];
  assign m_axi_c14_BREADY = br[14];
  assign arr[14] = m_axi_c14_ARREADY;
  assign rv[14] = m_axi_c14_RVALID;
  assign rd[7168 +: 512] = m_axi_c14_RDATA;
  assign rp[28 +: 2] = m_axi_c14_RRESP;
  assign rl[14] = m_axi_c14_RLAST;
  assign awr[14] = m_axi_c14_AWREADY;
  assign wr[14] = m_axi_c14_WREADY;
  assign bv[14] = m_axi_c14_BVALID;
  assign bp[28 +: 2] = m_axi_c14_BRESP;

  assign m_axi_c15_ARVALID = arv[15];
  assign m_axi_c15_ARADDR = base_q[960 +: 64] + 64'(ara[15*AddressBits +: AddressBits]);
  assign m_axi_c15_ARLEN = arl[120 +: 8];
  assign m_axi_c15_ARSIZE = 3'd6;
  assign m_axi_c15_ARBURST = cst_pkg::AxiIncr;
  assign m_axi_c15_RREADY = rr[15];
  assign m_axi_c15_AWVALID = awv[15];
  assign m_axi_c15_AWADDR = base_q[960 +: 64] + 64'(awa[15*AddressBits +: AddressBits]);
  assign m_axi_c15_AWLEN = awl[120 +: 8];
  assign m_axi_c15_AWSIZE = 3'd6;
  assign m_axi_c15_AWBURST = cst_pkg::AxiIncr;
  assign m_axi_c15_WVALID = wv[15];
  assign m_axi_c15_WDATA = wd[7680 +: 512];
  assign m_axi_c15_WSTRB = ws[960 +: 64];
  assign m_axi_c15_WLAST = wl[15];
  assign m_axi_c15_BREADY = br[15];
  assign arr[15] = m_axi_c15_ARREADY;
  assign rv[15] = m_axi_c15_RVALID;
  assign rd[7680 +: 512] = m_axi_c15_RDATA;
  assign rp[30 +: 2] = m_axi_c15_RRESP;
  assign rl[15] = m_axi_c15_RLAST;
  assign awr[15] = m_axi_c15_AWREADY;
  assign wr[15] = m_axi_c15_WREADY;
  assign bv[15] = m_axi_c15_BVALID;
  assign bp[30 +: 2] = m_axi_c15_BRESP;

  logic unused_bits;
  assign unused_bits = ^args;
endmodule
`default_nettype wire
