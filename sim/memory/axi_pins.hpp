// axi_pins.hpp: where the signals of a Verilated module's AXI4 master are, or of its control slave.
//
//   cst_sim::AxiPins<VlWide<16>, QData> pins;          512 bits
//   CST_SIM_AXI_READ_PINS(pins, top, m_)               m_arvalid_o ... m_rlast_i; WRITE alike
//
// Names of a kernel's top are those of its interface: CST_SIM_AXI_KERNEL_READ_PINS(pins, top,
// m_axi_log_) takes m_axi_log_ARVALID and so on, sizes and bursts too.
#ifndef CST_SIM_AXI_PINS_HPP
#define CST_SIM_AXI_PINS_HPP

#include <cstdint>

namespace cst_sim {

// Where a master's signals are. Either half may be absent (arvalid, awvalid NULL), and so
// may sizes, bursts and IDs.
template <class Data, class Strobe, class Id = uint8_t> struct AxiPins {
    uint8_t *arvalid = nullptr, *arready = nullptr;
    uint64_t *araddr = nullptr;
    uint8_t *arlen = nullptr, *arsize = nullptr, *arburst = nullptr;
    uint8_t *rvalid = nullptr, *rready = nullptr;
    Data *rdata = nullptr;
    uint8_t *rresp = nullptr, *rlast = nullptr;
    uint8_t *awvalid = nullptr, *awready = nullptr;
    uint64_t *awaddr = nullptr;
    uint8_t *awlen = nullptr, *awsize = nullptr, *awburst = nullptr;
    uint8_t *wvalid = nullptr, *wready = nullptr;
    Data *wdata = nullptr;
    Strobe *wstrb = nullptr;
    uint8_t *wlast = nullptr;
    uint8_t *bvalid = nullptr, *bready = nullptr, *bresp = nullptr;
    Id *arid = nullptr, *rid = nullptr, *awid = nullptr, *bid = nullptr;
};

// The five VALIDs of a master's port, side by side: most ports are at rest in most clocks, and to
// see that is all that they cost.
struct AxiOffers {
    const uint8_t *ar, *r, *aw, *w, *b;

    template <class Pins>
    explicit AxiOffers(const Pins &pins)
        : ar(pins.arvalid), r(pins.rvalid), aw(pins.awvalid), w(pins.wvalid), b(pins.bvalid) {}
    uint32_t any() const { return uint32_t(*ar | *r | *aw | *w | *b); } // 0 or 1
};

// Of a slave of AXI4-Lite with 32 bits of data, what its answers hang on.
struct AxilPins {
    const uint8_t *awvalid, *awready, *wvalid, *wready;
    const uint8_t *bvalid, *bready, *bresp;
    const uint8_t *arvalid, *arready;
    const uint8_t *rvalid, *rready, *rresp;
    const uint32_t *rdata;
};

} // namespace cst_sim

#define CST_SIM_AXI_READ_PINS(PINS, TOP, PREFIX)                                                   \
    do {                                                                                           \
        (PINS).arvalid = &(TOP)->PREFIX##arvalid_o;                                                \
        (PINS).arready = &(TOP)->PREFIX##arready_i;                                                \
        (PINS).araddr = &(TOP)->PREFIX##araddr_o;                                                  \
        (PINS).arlen = &(TOP)->PREFIX##arlen_o;                                                    \
        (PINS).rvalid = &(TOP)->PREFIX##rvalid_i;                                                  \
        (PINS).rready = &(TOP)->PREFIX##rready_o;                                                  \
        (PINS).rdata = &(TOP)->PREFIX##rdata_i;                                                    \
        (PINS).rresp = &(TOP)->PREFIX##rresp_i;                                                    \
        (PINS).rlast = &(TOP)->PREFIX##rlast_i;                                                    \
    } while (0)
#define CST_SIM_AXI_WRITE_PINS(PINS, TOP, PREFIX)                                                  \
    do {                                                                                           \
        (PINS).awvalid = &(TOP)->PREFIX##awvalid_o;                                                \
        (PINS).awready = &(TOP)->PREFIX##awready_i;                                                \
        (PINS).awaddr = &(TOP)->PREFIX##awaddr_o;                                                  \
        (PINS).awlen = &(TOP)->PREFIX##awlen_o;                                                    \
        (PINS).wvalid = &(TOP)->PREFIX##wvalid_o;                                                  \
        (PINS).wready = &(TOP)->PREFIX##wready_i;                                                  \
        (PINS).wdata = &(TOP)->PREFIX##wdata_o;                                                    \
        (PINS).wstrb = &(TOP)->PREFIX##wstrb_o;                                                    \
        (PINS).wlast = &(TOP)->PREFIX##wlast_o;                                                    \
        (PINS).bvalid = &(TOP)->PREFIX##bvalid_i;                                                  \
        (PINS).bready = &(TOP)->PREFIX##bready_o;                                                  \
        (PINS).bresp = &(TOP)->PREFIX##bresp_i;                                                    \
    } while (0)
#define CST_SIM_AXI_KERNEL_READ_PINS(PINS, TOP, PREFIX)                                            \
    do {                                                                                           \
        (PINS).arvalid = &(TOP)->PREFIX##ARVALID;                                                  \
        (PINS).arready = &(TOP)->PREFIX##ARREADY;                                                  \
        (PINS).araddr = &(TOP)->PREFIX##ARADDR;                                                    \
        (PINS).arlen = &(TOP)->PREFIX##ARLEN;                                                      \
        (PINS).arsize = &(TOP)->PREFIX##ARSIZE;                                                    \
        (PINS).arburst = &(TOP)->PREFIX##ARBURST;                                                  \
        (PINS).rvalid = &(TOP)->PREFIX##RVALID;                                                    \
        (PINS).rready = &(TOP)->PREFIX##RREADY;                                                    \
        (PINS).rdata = &(TOP)->PREFIX##RDATA;                                                      \
        (PINS).rresp = &(TOP)->PREFIX##RRESP;                                                      \
        (PINS).rlast = &(TOP)->PREFIX##RLAST;                                                      \
    } while (0)
#define CST_SIM_AXI_KERNEL_WRITE_PINS(PINS, TOP, PREFIX)                                           \
    do {                                                                                           \
        (PINS).awvalid = &(TOP)->PREFIX##AWVALID;                                                  \
        (PINS).awready = &(TOP)->PREFIX##AWREADY;                                                  \
        (PINS).awaddr = &(TOP)->PREFIX##AWADDR;                                                    \
        (PINS).awlen = &(TOP)->PREFIX##AWLEN;                                                      \
        (PINS).awsize = &(TOP)->PREFIX##AWSIZE;                                                    \
        (PINS).awburst = &(TOP)->PREFIX##AWBURST;                                                  \
        (PINS).wvalid = &(TOP)->PREFIX##WVALID;                                                    \
        (PINS).wready = &(TOP)->PREFIX##WREADY;                                                    \
        (PINS).wdata = &(TOP)->PREFIX##WDATA;                                                      \
        (PINS).wstrb = &(TOP)->PREFIX##WSTRB;                                                      \
        (PINS).wlast = &(TOP)->PREFIX##WLAST;                                                      \
        (PINS).bvalid = &(TOP)->PREFIX##BVALID;                                                    \
        (PINS).bready = &(TOP)->PREFIX##BREADY;                                                    \
        (PINS).bresp = &(TOP)->PREFIX##BRESP;                                                      \
    } while (0)

// s_axi_control_ or so: a kernel's, and s_awvalid_i to s_rdata_o.
#define CST_SIM_AXIL_KERNEL_PINS(PINS, TOP, PREFIX)                                                \
    do {                                                                                           \
        (PINS).awvalid = &(TOP)->PREFIX##AWVALID;                                                  \
        (PINS).awready = &(TOP)->PREFIX##AWREADY;                                                  \
        (PINS).wvalid = &(TOP)->PREFIX##WVALID;                                                    \
        (PINS).wready = &(TOP)->PREFIX##WREADY;                                                    \
        (PINS).bvalid = &(TOP)->PREFIX##BVALID;                                                    \
        (PINS).bready = &(TOP)->PREFIX##BREADY;                                                    \
        (PINS).bresp = &(TOP)->PREFIX##BRESP;                                                      \
        (PINS).arvalid = &(TOP)->PREFIX##ARVALID;                                                  \
        (PINS).arready = &(TOP)->PREFIX##ARREADY;                                                  \
        (PINS).rvalid = &(TOP)->PREFIX##RVALID;                                                    \
        (PINS).rready = &(TOP)->PREFIX##RREADY;                                                    \
        (PINS).rresp = &(TOP)->PREFIX##RRESP;                                                      \
        (PINS).rdata = &(TOP)->PREFIX##RDATA;                                                      \
    } while (0)
#define CST_SIM_AXIL_PINS(PINS, TOP, PREFIX)                                                       \
    do {                                                                                           \
        (PINS).awvalid = &(TOP)->PREFIX##awvalid_i;                                                \
        (PINS).awready = &(TOP)->PREFIX##awready_o;                                                \
        (PINS).wvalid = &(TOP)->PREFIX##wvalid_i;                                                  \
        (PINS).wready = &(TOP)->PREFIX##wready_o;                                                  \
        (PINS).bvalid = &(TOP)->PREFIX##bvalid_o;                                                  \
        (PINS).bready = &(TOP)->PREFIX##bready_i;                                                  \
        (PINS).bresp = &(TOP)->PREFIX##bresp_o;                                                    \
        (PINS).arvalid = &(TOP)->PREFIX##arvalid_i;                                                \
        (PINS).arready = &(TOP)->PREFIX##arready_o;                                                \
        (PINS).rvalid = &(TOP)->PREFIX##rvalid_o;                                                  \
        (PINS).rready = &(TOP)->PREFIX##rready_i;                                                  \
        (PINS).rresp = &(TOP)->PREFIX##rresp_o;                                                    \
        (PINS).rdata = &(TOP)->PREFIX##rdata_o;                                                    \
    } while (0)

#endif
