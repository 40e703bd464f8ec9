// axi_port.hpp: joins an AXI4 master of a Verilated module to a port of the simulated memory.
//
//   cst_sim::AxiPort<VlWide<16>, QData> port(memory, 0, pins);     pins: axi_pins.hpp
//
//   one clock:  port.drive()     inputs, from what the memory shows
//               top->eval()      clock low: the module's outputs settle
//               port.sample()    handshakes of the coming edge
//               top->eval()      clock high
//               cst_sim_memory_tick(memory)     once, for all its ports
//
// Promises   one copy of a beat each way; a module without IDs uses ID 0.
// Needs      one memory of beat_bytes = the width of Data; what AXI asks of a master (asserted).
#ifndef CST_SIM_AXI_PORT_HPP
#define CST_SIM_AXI_PORT_HPP

#include "memory/axi_pins.hpp"
#include "memory/memory.h"

#include <cstring>

namespace cst_sim {

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

    // Where nobody offers, this changes nothing: most ports are at rest in most clocks.
    void sample() {
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
    cst_sim_memory *memory_;
    const cst_sim_view *view_;
    uint32_t port_;
    Pins pins_;
};

} // namespace cst_sim

#endif
