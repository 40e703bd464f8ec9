// kernel.hpp: the kernel's top alone: a checker of AXI's rules and a memory at each of its 17
// masters, a checker at its control port, and a host that knows no more than docs/hardware.md.
//
//   Kernel kernel;                    reset and started; addresses, delays and stalls are drawn
//   kernel.load();                    a table: keys and values of 8 bytes, replaced
//   kernel.done(kernel.rows(20, 0));  a command's completion
//   kernel.fail(3, true, AxiSlverr, 5);   the sixth write at m_axi_c03 is answered so
//   kernel.soft_reset();
//   kernel.check_works();             rows, their look-ups, their records in the image, a barrier
//
// Promises   a read outside of what the kernel was given, a write anywhere but in completions,
//            results and the image, and a broken rule of AXI end the test, in every clock of it.
#ifndef TESTS_RTL_KERNEL_KERNEL_HPP
#define TESTS_RTL_KERNEL_KERNEL_HPP

#include "axi.hpp"
#include "ring.hpp"

#include <Vkernel.h>

constexpr uint32_t PORTS = 17, CHANNELS = 16, BATCH_PORT = 16;
constexpr uint64_t CLOCKS_MAX = 400000;       // of a command
constexpr uint64_t CHANNEL_BYTES = 64 * 4096; // of an image's channel
constexpr uint64_t REGION_BYTES = 65536;      // of one, of four, in a channel
constexpr uint64_t COMPLETIONS = 4096, TABLE = 8192, ROWS = 16384, RESULTS = 65536, END = 1 << 18;

class Kernel {
    using Data = VlWide<16>;
    struct Write {
        uint32_t offset, value, strobe;
    };

  public:
    // Without stalls every memory takes and gives a beat a clock.
    explicit Kernel(bool stalls = true)
        : batch_address_(4096 * (1 + test_random_below(1u << 20))),
          image_((UINT64_C(1) << 36) + 4096 * test_random_below(1u << 20)),
          stride_(CHANNEL_BYTES + 4096 * test_random_below(64)), batch_(END),
          channels_(CHANNELS * CHANNEL_BYTES),
          aw_(
              bench, bench->s_axi_control_AWVALID, bench->s_axi_control_AWREADY,
              [this](const Write &item) { bench->s_axi_control_AWADDR = SData(item.offset); },
              Stalls::drawn("control.aw"),
              [this] { bench->s_axi_control_AWADDR = test_random() & 0xfff; }),
          w_(
              bench, bench->s_axi_control_WVALID, bench->s_axi_control_WREADY,
              [this](const Write &item) {
                  bench->s_axi_control_WDATA = item.value;
                  bench->s_axi_control_WSTRB = CData(item.strobe);
              },
              Stalls::drawn("control.w"),
              [this] {
                  bench->s_axi_control_WDATA = IData(test_random());
                  bench->s_axi_control_WSTRB = test_random() & 15;
              }),
          ar_(
              bench, bench->s_axi_control_ARVALID, bench->s_axi_control_ARREADY,
              [this](const uint32_t &item) { bench->s_axi_control_ARADDR = SData(item); },
              Stalls::drawn("control.ar"),
              [this] { bench->s_axi_control_ARADDR = test_random() & 0xfff; }),
          b_(
              bench, bench->s_axi_control_BVALID, bench->s_axi_control_BREADY,
              [this] { return bench->s_axi_control_BRESP; }, Stalls::drawn("control.b")),
          r_(
              bench, bench->s_axi_control_RVALID, bench->s_axi_control_RREADY,
              [this] { return bench->s_axi_control_RDATA; }, Stalls::drawn("control.r")),
          control_(bench, "s_axi_control", control_pins(bench)) {
        connect(stalls);
        hard_reset(4);
        start();
    }

    Bench<Vkernel> bench{UINT64_MAX};

    // ---- Registers ------------------------------------------------------------------------------
    void write(uint32_t offset, uint32_t value, uint32_t strobe = 15) {
        aw_.push({offset, value, strobe});
        w_.push({offset, value, strobe});
        for (const size_t before = b_.items.size(); b_.items.size() == before;) bench.tick();
    }
    uint32_t read(uint32_t offset) {
        ar_.push(offset);
        for (const size_t before = r_.items.size(); r_.items.size() == before;) bench.tick();
        return r_.items.back();
    }
    void argument(uint32_t word, uint64_t value) {
        write(ARGUMENTS + word * 4, uint32_t(value));
        write(ARGUMENTS + word * 4 + 4, uint32_t(value >> 32));
    }

    // A word of C++ too, which Verilator renames.
    bool interrupt() { return bench->__SYM__interrupt; }

    // ---- The run --------------------------------------------------------------------------------
    void arguments() {
        const uint64_t values[] = {at(0),   at(COMPLETIONS), RING_BITS, at(0),
                                   at(END), image_,          stride_};

        for (uint32_t i = 0; i < ARGUMENT_WORDS / 2; i++) argument(i * 2, values[i]);
    }
    void start() {
        std::fill(batch_.begin(), batch_.begin() + TABLE, uint8_t(0));
        number_ = 0;
        arguments();
        write(CTRL, CTRL_START);
    }
    void put(Command command) {
        Command *place = reinterpret_cast<Command *>(memory(number_++ % RING * BEAT));

        *place = command;
        place->number = 0;
        if (test_random_below(4) == 0) bench.run(test_random_below(200));
        place->number = number_;
    }
    // The command's completion; false: the run ended without it.
    bool wait_done(Completion *out) {
        const uint8_t *from = memory(COMPLETIONS + (number_ - 1) % RING * BEAT);

        for (uint64_t i = 0; i < CLOCKS_MAX; i++) {
            memcpy(out, from, sizeof *out);
            if (out->number == number_) return true;
            if (i % 256 == 255 && (read(STATUS) & (RUNNING | LOST)) == LOST) {
                memcpy(out, from, sizeof *out);
                return out->number == number_;
            }
            bench.tick();
        }
        TEST_FAIL("no completion; status %08x", read(STATUS));
    }
    Completion done(const Command &command) {
        Completion completion;

        put(command);
        if (!wait_done(&completion)) TEST_FAIL("the run ended; status %08x", read(STATUS));
        return completion;
    }
    void wait_run_end() {
        for (uint32_t i = 0; !(read(CTRL) & CTRL_DONE); i++) {
            if (i == 2000) TEST_FAIL("never done; status %08x", read(STATUS));
            bench.run(100);
        }
    }

    // ---- Resets ---------------------------------------------------------------------------------
    // What was outstanding is forgotten on both sides, as by a reset of the card's region. It takes
    // two clocks until no port offers anything.
    void hard_reset(uint32_t clocks) {
        forget_host();
        bench.reset(clocks);
        for (const Wires &port : wires_) CHECK(!*port.arvalid && !*port.awvalid && !*port.wvalid);
        CHECK(!bench->s_axi_control_BVALID && !bench->s_axi_control_RVALID && !interrupt());
        bench.tick(); // AXI: no offer in the clock in which the reset ends
        no_faults();
    }
    // Says how many clocks memory took to answer what it owed.
    uint64_t soft_reset() {
        const uint64_t from = bench.clock();

        write(CTRL, CTRL_SOFT_RESET, test_random_below(2) ? 15 : 2);
        while (!(read(CTRL) & CTRL_IDLE)) {
            if (bench.clock() - from > CLOCKS_MAX) TEST_FAIL("not idle after a soft reset");
            bench.run(10);
        }
        const uint64_t clocks = bench.clock() - from;
        no_faults();
        CHECK_EQ(read(CTRL), CTRL_IDLE);
        CHECK_EQ(read(STATUS), VERSION << 24);
        for (const std::unique_ptr<AxiChecker<Data>> &checker : checkers_) checker->check_idle();
        start();
        return clocks;
    }

    // ---- Faults of memory -----------------------------------------------------------------------
    // The beat after `skip` others, read or written at the port, is answered so.
    void fail(uint32_t port, bool write, uint8_t response, uint64_t skip) {
        plans_[port] = {true, write, false, response, skip};
    }
    // The beat read after `skip` others has a wrong bit.
    void corrupt(uint32_t port, uint64_t skip) { plans_[port] = {true, false, true, 0, skip}; }
    void silence(uint32_t port, uint32_t handshakes) { memories_[port]->silent = handshakes; }
    bool failed(uint32_t port) const { return plans_[port].hit; }
    void no_faults() {
        for (Plan &plan : plans_) plan = {};
        for (const std::unique_ptr<AxiMemory<Data>> &memory : memories_) memory->silent = 0;
    }

    // ---- Memory ---------------------------------------------------------------------------------
    uint8_t *memory(uint64_t offset) { return batch_.data() + offset; }
    uint8_t *channel(uint32_t c, uint64_t offset) {
        return channels_.data() + c * CHANNEL_BYTES + offset;
    }
    uint64_t at(uint64_t offset) const { return batch_address_ + offset; }
    // From completions on; the channels' too, or the batch's memory alone.
    std::vector<uint8_t> bytes(bool channels = true) const {
        std::vector<uint8_t> all(batch_.begin() + COMPLETIONS, batch_.end());

        if (channels) all.insert(all.end(), channels_.begin(), channels_.end());
        return all;
    }
    uint64_t bursts(bool channels = true) const {
        uint64_t count = 0;

        for (uint32_t port = channels ? 0 : BATCH_PORT; port < PORTS; port++)
            count += checkers_[port]->rules.read_bursts + checkers_[port]->rules.write_bursts;
        return count;
    }
    // Until no port has offered anything for some clocks; one that is silent may offer for ever.
    void settle() {
        for (uint32_t i = 0, quiet = 0; i < 3000 && quiet < 20; i++) {
            bool offers = false;

            bench.tick();
            for (uint32_t port = 0; port < PORTS; port++)
                offers |= !memories_[port]->silent &&
                          (*wires_[port].arvalid || *wires_[port].awvalid || *wires_[port].wvalid);
            quiet = offers ? 0 : quiet + 1;
        }
    }
    uint32_t number() const { return number_; }
    uint64_t results_first = 0, results_last = 0; // clocks of a command's first and last result
    uint64_t stride() const { return stride_; }

    // ---- Commands -------------------------------------------------------------------------------
    // A table of keys and values of 8 bytes that are replaced: one segment of four chunks.
    Command table() {
        uint8_t *to = memory(TABLE);
        Command command;

        std::fill(channels_.begin(), channels_.end(), uint8_t(0));
        memset(to, 0, 6 * BEAT);
        for (uint32_t r = 0; r < 4; r++) put_at(to + 16 + r * 8, r * REGION_BYTES, 8);
        put_at(to + 52, CHANNEL_BYTES / 4096, 4);
        put_at(to + 60, 0x08010108, 4); // key bytes, units, key words, value bytes
        put_at(to + BEAT, 0x010b, 2);   // 2^11 units a log segment; replaced
        put_at(to + BEAT + 8, 0, 4);    // one place
        put_at(to + BEAT + 12, 1, 4);
        put_at(to + BEAT + 16, 1, 4);
        put_at(to + 2 * BEAT + 8, 1, 8); // epoch
        put_at(to + 2 * BEAT + 16, LOG_UNITS, 8);
        put_at(to + 2 * BEAT + 24, LOG_UNITS, 8);
        // The directory's one row: chunks 0 to 3. It is stripe 0: channel 0.
        put_at(channel(0, 0), 0x0400, 2);
        for (uint32_t c = 0; c < 4; c++) put_at(channel(0, 4 + c * 4), c, 4);
        command.op = OP_LOAD;
        command.address = at(TABLE);
        command.count = 1;
        return command;
    }
    Completion load() { return done(table()); }

    // Rows of keys 0, 1, ...; what they hash to is made from the number.
    Command rows(uint32_t count, uint8_t kind) {
        Command command;

        for (uint32_t r = 0; r < count; r++) {
            uint8_t *to = memory(ROWS + r * BEAT);

            memset(to, 0, BEAT);
            to[0] = kind;
            to[1] = 8;
            put_at(to + 8, hash(r), 8);
            put_at(to + 16, r, 8);
            put_at(to + 32, value(r), 8);
        }
        command.op = OP_ROWS;
        command.flags = FENCE;
        command.count = count;
        command.address = at(ROWS);
        if (kind == KIND_LOOKUP) command.results = at(RESULTS);
        return command;
    }
    static Command of(uint8_t op) {
        Command command;

        command.op = op;
        return command;
    }

    // Rows, their look-ups, their records in the image, a barrier: the bytes of a kernel that
    // works.
    void check_works(uint32_t count = 20) {
        CHECK_EQ(load().code, CST_OK);
        const Completion put = done(rows(count, KIND_UPSERT));
        CHECK_EQ(put.code, CST_OK);
        CHECK_EQ(put.row, count);
        CHECK_EQ(put.rows_count, count);
        CHECK_EQ(put.tail, LOG_UNITS + count);
        check_records(count);
        CHECK_EQ(done(rows(count + 1, KIND_LOOKUP)).code, CST_OK);
        for (uint32_t r = 0; r <= count; r++) {
            const uint8_t *from = memory(RESULTS + r * 2 * BEAT);

            CHECK_EQ(from[0], CST_OK);
            CHECK_EQ(from[1], r < count);
            if (r < count) CHECK_EQ(get_at(from + BEAT), value(r));
        }
        const Completion sealed = done(of(OP_BARRIER));
        CHECK_EQ(sealed.code, CST_OK);
        CHECK_EQ(sealed.epoch, 2);
        CHECK_EQ(sealed.from, LOG_UNITS * 32);
        CHECK_EQ(sealed.epoch_first, (LOG_UNITS + count + 1) / 2 * 2);
    }

  private:
    using Wires = AxiMemory<Data>::Wires;
    static constexpr uint64_t LOG_UNITS = 32; // in front of the first record

    struct Plan {
        bool armed = false, write = false, wrong_bit = false;
        uint8_t response = AxiOkay;
        uint64_t skip = 0;
        bool hit = false;
    };

    static void put_at(uint8_t *to, uint64_t value, size_t bytes) { memcpy(to, &value, bytes); }
    static uint64_t get_at(const uint8_t *from) {
        uint64_t value;

        memcpy(&value, from, sizeof value);
        return value;
    }
    static uint64_t hash(uint32_t row) { return (row + 1) * UINT64_C(0x9e3779b97f4a7c15); }
    static uint64_t value(uint32_t row) { return row * UINT64_C(3); }

    // docs/formats.md: a record is hash, lengths, flags, key, value; it takes one unit here. They
    // begin in stripe 1 of the log, in order; stripe n lies in channel n, as long as n is below 16.
    void check_records(uint32_t count) {
        for (uint32_t r = 0; r < count; r++) {
            const uint64_t offset = (LOG_UNITS + r) * 32;
            const uint8_t *from =
                channel(uint32_t(offset / 1024), 3 * REGION_BYTES + offset % 1024);

            CHECK_EQ(get_at(from), hash(r));
            CHECK_EQ(get_at(from + 8), 8 | 1 << 16 | UINT64_C(0x80000008) << 32);
            CHECK_EQ(get_at(from + 16), r);
            CHECK_EQ(get_at(from + 24), value(r));
        }
    }

    static cst_sim::AxilPins control_pins(Bench<Vkernel> &bench) {
        cst_sim::AxilPins pins;

        CST_SIM_AXIL_KERNEL_PINS(pins, bench, s_axi_control_);
        return pins;
    }

    void forget_host() {
        for (Source<Write> *source : {&aw_, &w_}) source->clear();
        ar_.clear();
    }

    uint8_t *place(uint32_t port, uint64_t address, bool write) {
        const uint64_t base = port == BATCH_PORT ? batch_address_ : image_ + port * stride_;
        const uint64_t size = port == BATCH_PORT ? END : CHANNEL_BYTES;
        const uint64_t offset = address - base;

        if (address < base || offset + BEAT > size)
            TEST_FAIL("port %u: a %s at %" PRIx64 ", outside of what it was given", port,
                      write ? "write" : "read", address);
        if (port == BATCH_PORT && write &&
            (offset < COMPLETIONS || (offset >= COMPLETIONS + RING * BEAT && offset < RESULTS)))
            TEST_FAIL("a write at %" PRIx64 " of the batch's memory, over what the host gave",
                      offset);
        if (port == BATCH_PORT && write && offset >= RESULTS) {
            if (offset == RESULTS) results_first = bench.clock();
            results_last = bench.clock();
        }
        uint8_t *from = port == BATCH_PORT ? memory(offset) : channel(port, offset);
        if (write || !due(port, false, true)) return from;
        memcpy(spoilt_, from, BEAT);
        spoilt_[test_random_below(BEAT)] ^= uint8_t(1 << test_random_below(8));
        return spoilt_;
    }

    bool due(uint32_t port, bool write, bool wrong_bit) {
        Plan &plan = plans_[port];

        if (!plan.armed || plan.write != write || plan.wrong_bit != wrong_bit) return false;
        if (plan.skip-- > 0) return false;
        plan.armed = false;
        plan.hit = true;
        return true;
    }

#define KERNEL_CHANNEL(NUMBER)                                                                     \
    AXI_KERNEL_WIRES(wires_[at_port], bench, m_axi_c##NUMBER##_);                                  \
    at_port++
    void connect(bool stalls) {
        uint32_t at_port = 0;

        KERNEL_CHANNEL(00);
        KERNEL_CHANNEL(01);
        KERNEL_CHANNEL(02);
        KERNEL_CHANNEL(03);
        KERNEL_CHANNEL(04);
        KERNEL_CHANNEL(05);
        KERNEL_CHANNEL(06);
        KERNEL_CHANNEL(07);
        KERNEL_CHANNEL(08);
        KERNEL_CHANNEL(09);
        KERNEL_CHANNEL(10);
        KERNEL_CHANNEL(11);
        KERNEL_CHANNEL(12);
        KERNEL_CHANNEL(13);
        KERNEL_CHANNEL(14);
        KERNEL_CHANNEL(15);
        AXI_KERNEL_WIRES(wires_[BATCH_PORT], bench, m_axi_batch_);
        for (uint32_t port = 0; port < PORTS; port++) {
            const std::string name =
                port == BATCH_PORT ? "m_axi_batch" : "m_axi_c" + std::to_string(port);
            const AxiLatency latency = {1 + uint32_t(test_random_below(40)),
                                        stalls ? uint32_t(test_random_below(60)) : 0};

            memories_.push_back(
                std::make_unique<AxiMemory<Data>>(bench, name, wires_[port], stalls, latency));
            checkers_.push_back(std::make_unique<AxiChecker<Data>>(bench, name, wires_[port], 16));
            memories_[port]->place = [this, port](uint64_t address, bool write) {
                return place(port, address, write);
            };
            memories_[port]->on_access = [this, port](uint64_t, bool write) {
                return due(port, write, false) ? plans_[port].response : uint8_t(AxiOkay);
            };
        }
    }
#undef KERNEL_CHANNEL

    uint64_t batch_address_, image_, stride_;
    std::vector<uint8_t> batch_, channels_;
    uint8_t spoilt_[BEAT];
    Plan plans_[PORTS];
    Wires wires_[PORTS];
    Source<Write> aw_, w_;
    Source<uint32_t> ar_;
    Sink<CData> b_;
    Sink<IData> r_;
    AxilChecker control_;
    std::vector<std::unique_ptr<AxiMemory<Data>>> memories_;
    std::vector<std::unique_ptr<AxiChecker<Data>>> checkers_;
    uint32_t number_ = 0;
};

#endif
