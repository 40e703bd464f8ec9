// card.cc: device/sim_card.h: the Verilated kernel cst_kernel_state and the memory of a card.
#include "device/sim_card.h"

#include "memory/axi_port.hpp"
#include "memory/axi_rules.hpp"
#include "memory/pcie.h"

#include <Vkernel.h>
#include <Vkernel___024root.h>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>
#include <verilated.h>
#if VM_TRACE
#include <mutex>
#include <verilated_fst_c.h>
#endif

namespace {

using Data = VlWide<16>;
using Port = cst_sim::AxiPort<Data, QData>;
using Rules = cst_sim::AxiRules<Data, QData>;

struct CloseMemory {
    void operator()(cst_sim_memory *memory) const { cst_sim_memory_close(memory); }
};

// The clock's falling edge moves nothing: where the model says by which name it remembers the
// clock, that is set and not run. False: this Verilator has another one.
template <class Root>
auto clock_falls(Root *root, int) -> decltype(root->__Vtrigrprev__TOP__ap_clk) {
    root->__Vtrigrprev__TOP__ap_clk = 0;
    return 1;
}
template <class Root> uint8_t clock_falls(Root *, long) {
    return 0;
}

#if VM_TRACE
// The waves of a card. Cards that live at once each have a file; a later one takes the place, and
// the file, of one that is gone. A program that ends with cards open leaves whole files.
class Waves {
  public:
    static void prepare(VerilatedContext &context) { context.traceEverOn(true); }
    ~Waves() {
        const std::lock_guard<std::mutex> lock(open_files().mutex);

        close();
        open_files().of[number_] = nullptr;
    }

    cst_code open(Vkernel &top, const char *path, uint64_t from, cst_err *err) {
        const std::lock_guard<std::mutex> lock(open_files().mutex);
        std::vector<Waves *> &of = open_files().of;
        std::string name = path;

        while (number_ < of.size() && of[number_]) number_++;
        if (number_ == of.size()) of.push_back(nullptr);
        of[number_] = this;
        if (number_ > 0) name += "." + std::to_string(number_ + 1);
        from_ = from;
        top.trace(&file_, LEVELS);
        file_.open(name.c_str());
        return file_.isOpen() ? CST_OK
                              : cst_fail(err, CST_IO, "waves=%s: cannot be made", name.c_str());
    }
    void draw(uint64_t clock, uint64_t time) {
        if (clock >= from_) file_.dump(time);
    }
    void close() { file_.close(); }

  private:
    static constexpr int LEVELS = 99;
    struct OpenFiles {
        std::mutex mutex;
        std::vector<Waves *> of; // by number

        ~OpenFiles() {
            for (Waves *waves : of)
                if (waves) waves->close();
        }
    };
    static OpenFiles &open_files() {
        static OpenFiles files;
        return files;
    }

    VerilatedFstC file_;
    size_t number_ = 0;
    uint64_t from_ = 0;
};
#else
class Waves { // of a model without tracing
  public:
    static void prepare(VerilatedContext &) {}
    cst_code open(Vkernel &, const char *path, uint64_t, cst_err *err) {
        return cst_fail(err, CST_UNSUPPORTED, "waves=%s: the model has no tracing", path);
    }
    void draw(uint64_t, uint64_t) {}
    void close() {}
};
#endif

struct ClosePcie {
    void operator()(cst_sim_pcie *pcie) const { cst_sim_pcie_close(pcie); }
};

constexpr uint32_t PORTS = CSTI_SIM_CHANNELS + 1;
constexpr uint32_t ALL_PORTS = (UINT32_C(1) << PORTS) - 1;
constexpr uint32_t RESET_CLOCKS = 8;
constexpr uint32_t ACCESS_CLOCKS_MAX = 64; // a register's; it answers within 8
constexpr uint32_t BURST_BEATS_MAX = 16;   // of a kernel's master
constexpr uint64_t WAVES_CLOCKS = 20000;   // before what ends the program
constexpr bool CHECKS_RULES = CST_RTL_CARD_ASSERT;

#define CHANNEL_PINS(NUMBER)                                                                       \
    do {                                                                                           \
        Port::Pins pins;                                                                           \
        CST_SIM_AXI_KERNEL_READ_PINS(pins, top_.get(), m_axi_c##NUMBER##_);                        \
        CST_SIM_AXI_KERNEL_WRITE_PINS(pins, top_.get(), m_axi_c##NUMBER##_);                       \
        ports_.emplace_back(memory_.get(), uint32_t(ports_.size()), pins);                         \
        rules_.emplace_back(pins, BURST_BEATS_MAX);                                                \
        offers_.emplace_back(pins);                                                                \
    } while (0)

} // namespace

struct csti_sim_card {
  public:
    explicit csti_sim_card(const csti_sim_card_config &config) : config_(config) {}

    // The model's scopes leave the context of the thread that destroys them, whichever that was.
    ~csti_sim_card() {
        Verilated::threadContextp(&context_);
        waves_.reset();
        top_.reset();
        Verilated::threadContextp(Verilated::defaultContextp());
    }

    csti_sim_card(const csti_sim_card &) = delete;
    csti_sim_card &operator=(const csti_sim_card &) = delete;

    cst_code open(cst_err *err) {
        // Memory's channels behind the image's belong to the batches.
        const uint32_t channels = 2 * config_.channels;
        const uint32_t together = CSTI_SIM_CHANNELS / config_.channels;
        cst_sim_memory_config memory = config_.ddr4 ? cst_sim_memory_ddr4(PORTS, channels)
                                                    : cst_sim_memory_hbm2(PORTS, channels);
        cst_sim_memory *opened = nullptr;

        if (!config_.channel_bytes) config_.channel_bytes = CSTI_SIM_CHANNEL_BYTES;
        memory.channel_bytes = config_.channel_bytes * together;
        for (uint32_t port = 0; port < PORTS; port++)
            memory.attached[port] = uint8_t(port / together);
        memory.clock_khz = config_.clock_khz;
        memory.seed = config_.seed;
        memory.locate = locate;
        memory.locate_context = this;
        const cst_code code = cst_sim_memory_open(&memory, &opened, err);
        if (code != CST_OK) return code;
        memory_.reset(opened);
        if (config_.error != CSTI_SIM_ERROR_NONE) inject();
        const cst_sim_pcie_parameters gen3x16 = cst_sim_pcie_gen3x16();
        cst_sim_pcie *pcie = nullptr;
        const cst_code pcie_code = cst_sim_pcie_open(&gen3x16, config_.seed, &pcie, err);
        if (pcie_code != CST_OK) return pcie_code;
        pcie_.reset(pcie);
        context_.threads(1); // no threads of its own
        context_.fatalOnError(false);
        context_.randReset(2);
        context_.randSeed(int(config_.seed & 0x7fffffff) | 1);
        const std::string mistake = "+mistake=" + std::to_string(unsigned(config_.mistake));
        const char *arguments[] = {mistake.c_str()};
        context_.commandArgs(1, arguments);
        if (config_.waves) Waves::prepare(context_);
        top_ = std::make_unique<Vkernel>(&context_);
        if (config_.waves) {
            waves_ = std::make_unique<Waves>();
            const cst_code drawn = waves_->open(*top_, config_.waves, config_.waves_from, err);
            if (drawn != CST_OK) return drawn;
        }
        connect();
        top_->s_axi_control_AWVALID = top_->s_axi_control_WVALID = 0;
        top_->s_axi_control_ARVALID = 0;
        top_->s_axi_control_BREADY = top_->s_axi_control_RREADY = 1;
        top_->ap_rst_n = 0;
        for (uint32_t i = 0; i < RESET_CLOCKS; i++) tick();
        top_->ap_rst_n = 1;
        return CST_OK;
    }

    uint8_t *batch() {
        return cst_sim_memory_bytes(memory_.get()) +
               CSTI_SIM_BATCH_CHANNEL * CSTI_SIM_CHANNEL_BYTES;
    }

    void write(uint32_t offset, uint32_t value) {
        top_->s_axi_control_AWADDR = SData(offset);
        top_->s_axi_control_WDATA = value;
        top_->s_axi_control_WSTRB = 15;
        top_->s_axi_control_AWVALID = top_->s_axi_control_WVALID = 1;
        top_->s_axi_control_BREADY = 1;
        tick();
        top_->s_axi_control_AWVALID = top_->s_axi_control_WVALID = 0;
        for (uint32_t i = 0; i < ACCESS_CLOCKS_MAX && !top_->s_axi_control_BVALID; i++) tick();
        tick();
    }

    uint32_t read(uint32_t offset) {
        top_->s_axi_control_ARADDR = SData(offset);
        top_->s_axi_control_ARVALID = top_->s_axi_control_RREADY = 1;
        tick();
        top_->s_axi_control_ARVALID = 0;
        for (uint32_t i = 0; i < ACCESS_CLOCKS_MAX && !top_->s_axi_control_RVALID; i++) tick();
        const uint32_t value = top_->s_axi_control_RDATA;
        tick();
        return value;
    }

    bool run(const uint32_t *word, uint32_t value, uint64_t clocks_max) {
        for (uint64_t i = 0; *word != value; i++) {
            if (i == clocks_max) return false;
            tick();
        }
        return true;
    }

    uint64_t clocks() const { return clocks_; }

    // One after the other: the next begins when this one is over.
    uint64_t transfer(csti_sim_way way, uint64_t bytes) {
        static constexpr cst_sim_pcie_kind kinds[] = {CST_SIM_PCIE_TO_CARD, CST_SIM_PCIE_FROM_CARD,
                                                      CST_SIM_PCIE_KERNEL_WRITE,
                                                      CST_SIM_PCIE_COMMAND};
        cst_sim_transfer transfer = {};
        cst_sim_done done;

        transfer.kind = kinds[way];
        transfer.bytes = bytes;
        if (cst_sim_pcie_submit(pcie_.get(), pcie_ps_, &transfer, nullptr) == CST_OK)
            pcie_ps_ = cst_sim_pcie_next_ps(pcie_.get());
        (void)cst_sim_pcie_poll(pcie_.get(), pcie_ps_, &done);
        return pcie_ps_ / 1000;
    }

  private:
    // Of a memory that was just opened: there is room for a rule.
    void inject() {
        static const cst_sim_fault_kind kinds[] = {CST_SIM_FAULT_SLVERR, CST_SIM_FAULT_SLVERR,
                                                   CST_SIM_FAULT_DECERR, CST_SIM_FAULT_CORRUPT,
                                                   CST_SIM_FAULT_SILENT};
        cst_sim_fault fault = {};

        fault.kind = kinds[config_.error];
        fault.reads = fault.writes = true;
        fault.port = config_.error_port;
        fault.skip = config_.error_after;
        fault.count = 1;
        if (cst_sim_memory_inject(memory_.get(), &fault, nullptr) != CST_OK) abort();
    }

    static uint8_t *locate(void *context, uint64_t address) {
        csti_sim_card *card = static_cast<csti_sim_card *>(context);
        const uint64_t channel_bytes = card->config_.channel_bytes;
        const uint32_t channel = uint32_t(address / channel_bytes);

        if (channel >= CSTI_SIM_CHANNELS && !card->config_.locates_all)
            return cst_sim_memory_bytes(card->memory_.get()) + address;
        return card->config_.locate(card->config_.locate_context, channel, address % channel_bytes);
    }

    // Port c is beside channel c, and the batches' one beside theirs.
    void connect() {
        ports_.reserve(PORTS);
        rules_.reserve(PORTS);
        offers_.reserve(PORTS);
        CHANNEL_PINS(00);
        CHANNEL_PINS(01);
        CHANNEL_PINS(02);
        CHANNEL_PINS(03);
        CHANNEL_PINS(04);
        CHANNEL_PINS(05);
        CHANNEL_PINS(06);
        CHANNEL_PINS(07);
        CHANNEL_PINS(08);
        CHANNEL_PINS(09);
        CHANNEL_PINS(10);
        CHANNEL_PINS(11);
        CHANNEL_PINS(12);
        CHANNEL_PINS(13);
        CHANNEL_PINS(14);
        CHANNEL_PINS(15);
        Port::Pins pins;
        CST_SIM_AXI_KERNEL_READ_PINS(pins, top_.get(), m_axi_batch_);
        CST_SIM_AXI_KERNEL_WRITE_PINS(pins, top_.get(), m_axi_batch_);
        ports_.emplace_back(memory_.get(), CSTI_SIM_BATCH_CHANNEL, pins);
        rules_.emplace_back(pins, BURST_BEATS_MAX);
        offers_.emplace_back(pins);
        cst_sim::AxilPins control;
        CST_SIM_AXIL_KERNEL_PINS(control, top_.get(), s_axi_control_);
        control_rules_ = std::make_unique<cst_sim::AxilRules>(control);
    }

    // Of the circuit, or of the memory beside it: nothing that comes after it means anything.
    [[noreturn]] void broken(const std::string &where, const char *rule) {
        fprintf(stderr, "simulated card, clock %" PRIu64 ", %s: %s\n", clocks_, where.c_str(),
                rule);
        if (waves_)
            waves_->close(); // whole, as nothing destroys it
        else
            fprintf(stderr,
                    "simulated card: with seed=%" PRIu64 "&waves=FILE&waves_from=%" PRIu64
                    " behind sim:? it draws what led to that, in a build that can: cmake --preset "
                    "waves && cmake --build --preset waves\n",
                    config_.seed, clocks_ < WAVES_CLOCKS ? 0 : clocks_ - WAVES_CLOCKS);
        abort();
    }

    static std::string channel_name(uint32_t channel) {
        return (channel < 10 ? "m_axi_c0" : "m_axi_c") + std::to_string(channel);
    }

    void check_rules(uint32_t offering) {
        for (uint32_t left = offering | holding_; left != 0; left &= left - 1) {
            const uint32_t p = uint32_t(__builtin_ctz(left));
            const uint32_t bit = UINT32_C(1) << p;
            const char *rule = rules_[p].sample();

            if (rule) broken(p == CSTI_SIM_CHANNELS ? "m_axi_batch" : channel_name(p), rule);
            holding_ = rules_[p].holds() ? holding_ | bit : holding_ & ~bit;
        }
        const char *rule = control_rules_->sample();
        if (rule) broken("s_axi_control", rule);
    }

    // A bit a port: a VALID of either side.
    uint32_t offering() const {
        uint32_t ports = 0;

        for (uint32_t p = 0; p < PORTS; p++) ports |= offers_[p].any() << p;
        return ports;
    }

    void tick() {
        const bool resets = !top_->ap_rst_n;

        // No output of a port depends on an input of the same clock: the edge before settled them.
        undriven_ = resets ? ALL_PORTS : undriven_ | cst_sim_memory_changed(memory_.get());
        if (resets)
            for (Port &port : ports_) port.idle();
        else
            for (; undriven_ != 0; undriven_ &= undriven_ - 1)
                ports_[uint32_t(__builtin_ctz(undriven_))].drive();
        if (resets || waves_ || !clock_falls(top_->rootp, 0)) {
            top_->ap_clk = 0;
            top_->eval();
        }
        if (waves_) waves_->draw(clocks_, 2 * clocks_);
        if (!resets) {
            const uint32_t offers = offering();

            if (CHECKS_RULES) check_rules(offers);
            for (uint32_t left = offers; left != 0; left &= left - 1)
                ports_[uint32_t(__builtin_ctz(left))].sample();
        }
        top_->ap_clk = 1;
        top_->eval();
        if (waves_) waves_->draw(clocks_, 2 * clocks_ + 1);
        if (CHECKS_RULES && context_.gotError())
            broken("the circuit", "an assertion does not hold (see above)");
        cst_sim_memory_tick(memory_.get());
        clocks_++;
    }

    csti_sim_card_config config_;
    VerilatedContext context_;
    std::unique_ptr<cst_sim_memory, CloseMemory> memory_;
    std::unique_ptr<cst_sim_pcie, ClosePcie> pcie_;
    uint64_t pcie_ps_ = 0;
    std::unique_ptr<Vkernel> top_;
    std::unique_ptr<Waves> waves_;
    std::vector<Port> ports_;
    std::vector<Rules> rules_;
    std::unique_ptr<cst_sim::AxilRules> control_rules_;
    std::vector<cst_sim::AxiOffers> offers_;
    uint32_t holding_ = 0;          // a bit a port: rules_ has something that was not taken
    uint32_t undriven_ = ALL_PORTS; // a bit a port: what the memory shows is not at its pins
    uint64_t clocks_ = 0;
};

namespace {

cst_code card_open(const csti_sim_card_config *config, csti_sim_card **out, cst_err *err) {
    try {
        auto card = std::make_unique<csti_sim_card>(*config);
        const cst_code code = card->open(err);

        if (code == CST_OK) *out = card.release();
        return code;
    } catch (const std::bad_alloc &) {
        return cst_fail(err, CST_NO_MEMORY, "a simulated card");
    }
}

void card_close(csti_sim_card *card) {
    delete card;
}

void card_write(csti_sim_card *card, uint32_t offset, uint32_t value) {
    card->write(offset, value);
}

uint32_t card_read(csti_sim_card *card, uint32_t offset) {
    return card->read(offset);
}

uint8_t *card_memory(csti_sim_card *card) {
    return card->batch();
}

bool card_run(csti_sim_card *card, const uint32_t *word, uint32_t value, uint64_t clocks_max) {
    return card->run(word, value, clocks_max);
}

uint64_t card_clocks(const csti_sim_card *card) {
    return card->clocks();
}

uint64_t card_transfer(csti_sim_card *card, csti_sim_way way, uint64_t bytes) {
    return card->transfer(way, bytes);
}

} // namespace

extern "C" __attribute__((visibility("default"))) const csti_sim_card_ops *csti_sim_card_v1(void) {
    static const csti_sim_card_ops ops = {
        CSTI_SIM_CARD_VERSION, VM_TRACE, card_open,   card_close,   card_write, card_read,
        card_memory,           card_run, card_clocks, card_transfer};
    return &ops;
}
