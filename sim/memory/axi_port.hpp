// axi_port.hpp: joins an AXI4 master of a Verilated module to a port of the simulated memory.
//
//   cst_sim::AxiPins<VlWide<16>, QData> pins;          512 bits
//   CST_SIM_AXI_READ_PINS(pins, top, m_)               m_arvalid_o ... m_rlast_i; WRITE alike
//   cst_sim::AxiPort<VlWide<16>, QData> port(memory, 0, pins);
//
//   one clock:  port.drive()     inputs, from what the memory shows
//               top->eval()      clock low: the module's outputs settle
//               port.sample()    handshakes of the coming edge
//               top->eval()      clock high
//               cst_sim_memory_tick(memory)     once, for all its ports
//
// Names of a kernel's top are those of its interface: CST_SIM_AXI_KERNEL_READ_PINS(pins, top,
// m_axi_log_) takes m_axi_log_ARVALID and so on.
//
// Promises   one copy of a beat each way; a module without IDs uses ID 0.
// Needs      one memory of beat_bytes = the width of Data; what AXI asks of a master (asserted).
#ifndef CST_SIM_AXI_PORT_HPP
#define CST_SIM_AXI_PORT_HPP

#include "memory/memory.h"

#include <cassert>
#include <cstring>

namespace cst_sim {

// Where a master's signals are. Either half may be absent (arvalid, awvalid NULL), and so may IDs.
template <class Data, class Strobe, class Id = uint8_t> struct AxiPins {
    uint8_t *arvalid = nullptr, *arready = nullptr;
    uint64_t *araddr = nullptr;
    uint8_t *arlen = nullptr;
    uint8_t *rvalid = nullptr, *rready = nullptr;
    Data *rdata = nullptr;
    uint8_t *rresp = nullptr, *rlast = nullptr;
    uint8_t *awvalid = nullptr, *awready = nullptr;
    uint64_t *awaddr = nullptr;
    uint8_t *awlen = nullptr;
    uint8_t *wvalid = nullptr, *wready = nullptr;
    Data *wdata = nullptr;
    Strobe *wstrb = nullptr;
    uint8_t *wlast = nullptr;
    uint8_t *bvalid = nullptr, *bready = nullptr, *bresp = nullptr;
    Id *arid = nullptr, *rid = nullptr, *awid = nullptr, *bid = nullptr;
};

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
        (PINS).wvalid = &(TOP)->PREFIX##WVALID;                                                    \
        (PINS).wready = &(TOP)->PREFIX##WREADY;                                                    \
        (PINS).wdata = &(TOP)->PREFIX##WDATA;                                                      \
        (PINS).wstrb = &(TOP)->PREFIX##WSTRB;                                                      \
        (PINS).wlast = &(TOP)->PREFIX##WLAST;                                                      \
        (PINS).bvalid = &(TOP)->PREFIX##BVALID;                                                    \
        (PINS).bready = &(TOP)->PREFIX##BREADY;                                                    \
        (PINS).bresp = &(TOP)->PREFIX##BRESP;                                                      \
    } while (0)

template <class Data, class Strobe, class Id = uint8_t> class AxiPort {
  public:
    using Pins = AxiPins<Data, Strobe, Id>;

    AxiPort(cst_sim_memory *memory, uint32_t port, const Pins &pins)
        : memory_(memory), view_(cst_sim_memory_view(memory, port)), port_(port), pins_(pins) {
        idle();
    }

    // While the module is in reset: nothing is offered, nothing taken.
    void idle() {
        if (pins_.arvalid) *pins_.arready = *pins_.rvalid = 0;
        if (pins_.awvalid) *pins_.awready = *pins_.wready = *pins_.bvalid = 0;
    }

    void drive() {
        if (pins_.arvalid) {
            *pins_.arready = view_->ar_ready;
            *pins_.rvalid = view_->r_valid;
            if (view_->r_valid) {
                memcpy(pins_.rdata, view_->r_data, sizeof(Data));
                *pins_.rresp = view_->r_response;
                *pins_.rlast = view_->r_last;
                if (pins_.rid) *pins_.rid = (Id)view_->r_id;
            }
        }
        if (pins_.awvalid) {
            *pins_.awready = view_->aw_ready;
            *pins_.wready = view_->w_ready;
            *pins_.bvalid = view_->b_valid;
            if (view_->b_valid) *pins_.bresp = view_->b_response;
            if (view_->b_valid && pins_.bid) *pins_.bid = (Id)view_->b_id;
        }
    }

    void sample() {
        if (!offers()) return;
        if (pins_.arvalid) {
            if (*pins_.rvalid && *pins_.rready) cst_sim_memory_r(memory_, port_);
            if (*pins_.arvalid && *pins_.arready)
                cst_sim_memory_ar(memory_, port_, pins_.arid ? (uint16_t)*pins_.arid : 0,
                                  *pins_.araddr, *pins_.arlen + UINT32_C(1));
        }
        if (pins_.awvalid) {
            if (*pins_.bvalid && *pins_.bready) cst_sim_memory_b(memory_, port_);
            if (*pins_.wvalid && *pins_.wready)
                cst_sim_memory_w(memory_, port_, (const uint8_t *)pins_.wdata,
                                 (uint64_t)*pins_.wstrb, *pins_.wlast != 0);
            if (*pins_.awvalid && *pins_.awready)
                cst_sim_memory_aw(memory_, port_, pins_.awid ? (uint16_t)*pins_.awid : 0,
                                  *pins_.awaddr, *pins_.awlen + UINT32_C(1));
        }
    }

  private:
    // Somebody does: most ports are at rest in most clocks.
    bool offers() const {
        return (pins_.arvalid && (*pins_.arvalid | *pins_.rvalid)) ||
               (pins_.awvalid && (*pins_.awvalid | *pins_.wvalid | *pins_.bvalid));
    }

    cst_sim_memory *memory_;
    const cst_sim_view *view_;
    uint32_t port_;
    Pins pins_;
};

} // namespace cst_sim

#endif
