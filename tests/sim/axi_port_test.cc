// The adapter between pins and ports, round a master made of plain registers.
#include "test.h"

#include <deque>
#include <memory/axi_port.hpp>

namespace {

// As Verilator shows a 512-bit port.
struct Wide {
    uint32_t word[16];
};

// Writes `LINES` beats in bursts of two, then reads them back; every output is a register.
struct Top {
    uint8_t m_arvalid_o = 0, m_arready_i = 0, m_arlen_o = 0;
    uint64_t m_araddr_o = 0;
    uint8_t m_rvalid_i = 0, m_rready_o = 0, m_rresp_i = 0, m_rlast_i = 0;
    Wide m_rdata_i = {};
    uint8_t m_awvalid_o = 0, m_awready_i = 0, m_awlen_o = 0;
    uint64_t m_awaddr_o = 0;
    uint8_t m_wvalid_o = 0, m_wready_i = 0, m_wlast_o = 0;
    Wide m_wdata_o = {};
    uint64_t m_wstrb_o = 0;
    uint8_t m_bvalid_i = 0, m_bready_o = 0, m_bresp_i = 0;
};

constexpr uint32_t LINES = 64, BURST = 2;

class Master {
  public:
    explicit Master(uint64_t base) : base_(base) {}
    Top top;
    uint32_t answers = 0, beats = 0;
    uint8_t worst_read = 0, worst_write = 0;

    // The rising edge: what the pins show becomes the next state.
    void edge() {
        if (top.m_bvalid_i && top.m_bready_o) {
            answers++;
            worst_write = std::max(worst_write, top.m_bresp_i);
        }
        if (top.m_rvalid_i && top.m_rready_o) {
            worst_read = std::max(worst_read, top.m_rresp_i);
            if (top.m_rresp_i == 0) CHECK_EQ(top.m_rdata_i.word[3], word(beats));
            CHECK_EQ(top.m_rlast_i, beats % BURST == BURST - 1);
            beats++;
        }
        if (top.m_awvalid_o && top.m_awready_i) top.m_awvalid_o = 0, addressed_ += BURST;
        if (top.m_wvalid_o && top.m_wready_i) top.m_wvalid_o = 0, written_++;
        if (top.m_arvalid_o && top.m_arready_i) top.m_arvalid_o = 0, asked_ += BURST;
        top.m_bready_o = test_random() & 1;
        top.m_rready_o = test_random() & 1;
        if (!top.m_awvalid_o && addressed_ < LINES) {
            top.m_awvalid_o = 1;
            top.m_awaddr_o = base_ + addressed_ * 64;
            top.m_awlen_o = BURST - 1;
        }
        if (!top.m_wvalid_o && written_ < addressed_) {
            top.m_wvalid_o = 1;
            for (uint32_t &w : top.m_wdata_o.word) w = word(written_);
            top.m_wstrb_o = UINT64_MAX;
            top.m_wlast_o = written_ % BURST == BURST - 1;
        }
        if (!top.m_arvalid_o && answers * BURST == LINES && asked_ < LINES) {
            top.m_arvalid_o = 1;
            top.m_araddr_o = base_ + asked_ * 64;
            top.m_arlen_o = BURST - 1;
        }
    }
    bool over() const { return beats == LINES; }

  private:
    static uint32_t word(uint32_t line) { return line * 2654435761U + 1; }

    uint64_t base_;
    uint32_t addressed_ = 0, written_ = 0, asked_ = 0;
};

void run(Master *master, cst_sim_memory *memory, uint32_t port) {
    cst_sim::AxiPins<Wide, uint64_t> pins;

    CST_SIM_AXI_READ_PINS(pins, &master->top, m_);
    CST_SIM_AXI_WRITE_PINS(pins, &master->top, m_);
    cst_sim::AxiPort<Wide, uint64_t> axi(memory, port, pins);
    while (!master->over()) {
        axi.drive();
        axi.sample();
        master->edge();
        cst_sim_memory_tick(memory);
        CHECK(cst_sim_memory_cycle(memory) < 100000);
    }
}

} // namespace

TEST(a_master_of_pins_reads_what_it_wrote) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(2, 2);
    cst_sim_memory *memory = nullptr;
    Master master(8192);

    config.channel_bytes = 1 << 20;
    CHECK_OK(cst_sim_memory_open(&config, &memory, nullptr));
    cst_sim_memory_stall(memory, 1, 31, 64, 100);
    run(&master, memory, 1);
    CHECK_EQ(master.worst_read | master.worst_write, 0);
    CHECK_EQ(master.answers, LINES / BURST);
    cst_sim_memory_close(memory);
}

TEST(responses_reach_the_pins) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(1, 1);
    const cst_sim_fault fault = {CST_SIM_FAULT_SLVERR, true, false, -1, 0, 0, 5, 1, 0};
    cst_sim_memory *memory = nullptr;
    Master master(0), outside(UINT64_C(1) << 20);

    config.channel_bytes = 1 << 20;
    CHECK_OK(cst_sim_memory_open(&config, &memory, nullptr));
    CHECK_OK(cst_sim_memory_inject(memory, &fault, nullptr));
    run(&master, memory, 0);
    CHECK_EQ(master.worst_read, CST_SIM_SLVERR);
    CHECK_EQ(master.worst_write, CST_SIM_OKAY);
    run(&outside, memory, 0);
    CHECK_EQ(outside.worst_read, CST_SIM_DECERR);
    CHECK_EQ(outside.worst_write, CST_SIM_DECERR);
    cst_sim_memory_close(memory);
}

TEST_MAIN
