// cst_card: the kernel as the simulated card runs it: what memory shows at a port comes a clock ahead.
// Promises   the kernel at edge n sees of memory what the pins had at edge n - 1, its reset alike. The
//            control slave and all outputs are the kernel's own.
//            A Verilated model evaluates what hangs on inputs twice a clock, once for the inputs and
//            once for the registers. Of registers alone it does so once.
//
//   pins (edge n - 1) ──► registers ──► kernel (edge n) ──► pins
`default_nettype none
`define CST_CARD_PORT(P)                          \
  output      logic         m_axi_``P``_ARVALID,  \
  input  wire logic         m_axi_``P``_ARREADY,  \
  output      logic [63:0]  m_axi_``P``_ARADDR,   \
  output      logic [7:0]   m_axi_``P``_ARLEN,    \
  output      logic [2:0]   m_axi_``P``_ARSIZE,   \
  output      logic [1:0]   m_axi_``P``_ARBURST,  \
  input  wire logic         m_axi_``P``_RVALID,   \
  output      logic         m_axi_``P``_RREADY,   \
  input  wire logic [511:0] m_axi_``P``_RDATA,    \
  input  wire logic [1:0]   m_axi_``P``_RRESP,    \
  input  wire logic         m_axi_``P``_RLAST,    \
  output      logic         m_axi_``P``_AWVALID,  \
  input  wire logic         m_axi_``P``_AWREADY,  \
  output      logic [63:0]  m_axi_``P``_AWADDR,   \
  output      logic [7:0]   m_axi_``P``_AWLEN,    \
  output      logic [2:0]   m_axi_``P``_AWSIZE,   \
  output      logic [1:0]   m_axi_``P``_AWBURST,  \
  output      logic         m_axi_``P``_WVALID,   \
  input  wire logic         m_axi_``P``_WREADY,   \
  output      logic [511:0] m_axi_``P``_WDATA,    \
  output      logic [63:0]  m_axi_``P``_WSTRB,    \
  output      logic         m_axi_``P``_WLAST,    \
  input  wire logic         m_axi_``P``_BVALID,   \
  output      logic         m_axi_``P``_BREADY,   \
  input  wire logic [1:0]   m_axi_``P``_BRESP
`define CST_CARD_REGISTERS(P)                                                     \
  logic P``_arready_q, P``_rvalid_q, P``_rlast_q;                                 \
  logic P``_awready_q, P``_wready_q, P``_bvalid_q;                                \
  logic [1:0] P``_rresp_q, P``_bresp_q;                                           \
  logic [511:0] P``_rdata_q;                                                      \
  always_ff @(posedge ap_clk) begin                                               \
    P``_arready_q <= m_axi_``P``_ARREADY;                                         \
    P``_rvalid_q <= m_axi_``P``_RVALID;                                           \
    P``_awready_q <= m_axi_``P``_AWREADY;                                         \
    P``_wready_q <= m_axi_``P``_WREADY;                                           \
    P``_bvalid_q <= m_axi_``P``_BVALID;                                           \
    P``_rresp_q <= m_axi_``P``_RRESP;                                             \
    P``_rlast_q <= m_axi_``P``_RLAST;                                             \
    P``_bresp_q <= m_axi_``P``_BRESP;                                             \
    if (m_axi_``P``_RVALID) P``_rdata_q <= m_axi_``P``_RDATA;                     \
  end
`define CST_CARD_PINS(P)                                                          \
    .m_axi_``P``_ARREADY(P``_arready_q), .m_axi_``P``_RVALID(P``_rvalid_q),       \
    .m_axi_``P``_RDATA(P``_rdata_q), .m_axi_``P``_RRESP(P``_rresp_q),             \
    .m_axi_``P``_RLAST(P``_rlast_q), .m_axi_``P``_AWREADY(P``_awready_q),         \
    .m_axi_``P``_WREADY(P``_wready_q), .m_axi_``P``_BVALID(P``_bvalid_q),         \
    .m_axi_``P``_BRESP(P``_bresp_q)
module cst_card (
  input  wire logic         ap_clk,
  input  wire logic         ap_rst_n,
  // The contract's name; the word is one of C++ as well.
  /* verilator lint_off SYMRSVDWORD */
  output      logic         interrupt,
  /* verilator lint_on SYMRSVDWORD */
  input  wire logic         s_axi_control_AWVALID,
  output      logic         s_axi_control_AWREADY,
  input  wire logic [11:0]  s_axi_control_AWADDR,
  input  wire logic         s_axi_control_WVALID,
  output      logic         s_axi_control_WREADY,
  input  wire logic [31:0]  s_axi_control_WDATA,
  input  wire logic [3:0]   s_axi_control_WSTRB,
  output      logic         s_axi_control_BVALID,
  input  wire logic         s_axi_control_BREADY,
  output      logic [1:0]   s_axi_control_BRESP,
  input  wire logic         s_axi_control_ARVALID,
  output      logic         s_axi_control_ARREADY,
  input  wire logic [11:0]  s_axi_control_ARADDR,
  output      logic         s_axi_control_RVALID,
  input  wire logic         s_axi_control_RREADY,
  output      logic [31:0]  s_axi_control_RDATA,
  output      logic [1:0]   s_axi_control_RRESP,
  `CST_CARD_PORT(batch),
  `CST_CARD_PORT(c00), `CST_CARD_PORT(c01), `CST_CARD_PORT(c02), `CST_CARD_PORT(c03),
  `CST_CARD_PORT(c04), `CST_CARD_PORT(c05), `CST_CARD_PORT(c06), `CST_CARD_PORT(c07),
  `CST_CARD_PORT(c08), `CST_CARD_PORT(c09), `CST_CARD_PORT(c10), `CST_CARD_PORT(c11),
  `CST_CARD_PORT(c12), `CST_CARD_PORT(c13), `CST_CARD_PORT(c14), `CST_CARD_PORT(c15)
);
  logic rst_nq = 1'b0;
  always_ff @(posedge ap_clk) rst_nq <= ap_rst_n;

  `CST_CARD_REGISTERS(batch)
  `CST_CARD_REGISTERS(c00)
  `CST_CARD_REGISTERS(c01)
  `CST_CARD_REGISTERS(c02)
  `CST_CARD_REGISTERS(c03)
  `CST_CARD_REGISTERS(c04)
  `CST_CARD_REGISTERS(c05)
  `CST_CARD_REGISTERS(c06)
  `CST_CARD_REGISTERS(c07)
  `CST_CARD_REGISTERS(c08)
  `CST_CARD_REGISTERS(c09)
  `CST_CARD_REGISTERS(c10)
  `CST_CARD_REGISTERS(c11)
  `CST_CARD_REGISTERS(c12)
  `CST_CARD_REGISTERS(c13)
  `CST_CARD_REGISTERS(c14)
  `CST_CARD_REGISTERS(c15)

  cst_kernel_state u_kernel (
    .ap_rst_n(rst_nq),
    `CST_CARD_PINS(batch),
    `CST_CARD_PINS(c00), `CST_CARD_PINS(c01), `CST_CARD_PINS(c02), `CST_CARD_PINS(c03),
    `CST_CARD_PINS(c04), `CST_CARD_PINS(c05), `CST_CARD_PINS(c06), `CST_CARD_PINS(c07),
    `CST_CARD_PINS(c08), `CST_CARD_PINS(c09), `CST_CARD_PINS(c10), `CST_CARD_PINS(c11),
    `CST_CARD_PINS(c12), `CST_CARD_PINS(c13), `CST_CARD_PINS(c14), `CST_CARD_PINS(c15),
    .*
  );
endmodule
`undef CST_CARD_PORT
`undef CST_CARD_REGISTERS
`undef CST_CARD_PINS
`default_nettype wire
