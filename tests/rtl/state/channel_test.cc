// model: channel cst_state_channel
#include "axi.hpp"

#include <Vchannel.h>
#include <algorithm>

namespace {

enum : uint32_t {
    READS = 4, // row, line, entry, walk
    ROW = 0,
    READ_LINE = 1,
    ENTRY = 2,
    WALK = 3,
    WRITES = 3, // entry, record, line
    LINE = 2,
    ATOM = 32,
    BEAT = 64,
    PAGES = 16,
    BYTES = PAGES * 4096,
    WRITTEN = BYTES / 2,          // from here on memory is written, below it is read
    PART = (BYTES - WRITTEN) / 4, // of a kind of writes: those of two kinds have no order
    OUT_MAX = 64,
    FEW = 8,
    QUEUE = 16,                       // answers of a kind that wait for their turn
    QUEUES = (READS - 1) * QUEUE + 2, // a walk's: two
    TAG_BITS = 47,
    ID_BITS = 10,
    WALK_TAG_BITS = 8,
    DATA_BITS = 768
};

template <std::size_t Words>
void put_bits(VlWide<Words> &port, uint32_t from, uint32_t count, uint64_t value) {
    for (uint32_t i = 0; i < count; i++) {
        const EData bit = EData(1) << ((from + i) % 32);
        port[(from + i) / 32] =
            value >> i & 1 ? port[(from + i) / 32] | bit : port[(from + i) / 32] & ~bit;
    }
}

struct Ask {
    uint64_t address, tag;
};

struct Store {
    uint64_t address, tag; // id, counts, parity
    uint32_t atoms;
    std::vector<uint8_t> data;
};

// All that the unit does at a channel, by chance, and what must come of it.
class Unit : public Part {
  public:
    explicit Unit(Bench<Vchannel> &bench) : bench_(bench), memory(BYTES), expected(BYTES) {
        for (uint8_t &byte : memory) byte = uint8_t(test_random());
        expected = memory;
        bench.add(this);
        bench_->first_page_i = 0;
        bench_->end_page_i = PAGES;
    }

    uint32_t reads_eighths = 4, writes_eighths = 4;
    uint32_t asks_kinds = 15, takes_kinds = 15; // a bit a kind of reads
    bool takes_answers = true, resets = false;
    std::array<uint64_t, READS> out_counts{};
    uint64_t reads_count = 0, writes_count = 0, answered_count = 0;

    bool done() const {
        return idle_inputs() && !bench_->read_busy_o && !bench_->write_busy_o &&
               bench_->read_quiet_o && bench_->write_quiet_o;
    }

    // Between the two beats of an entry.
    bool behind_a_first_beat() const { return behind_first_; }

    void check_done() const {
        for (const auto &asked : asked_) CHECK(asked.empty());
        for (const auto &owed : owed_) CHECK(owed.empty());
        CHECK_EQ(answered_count, writes_count);
        CHECK(memory == expected);
    }

    void forget() {
        for (auto &asked : asked_) asked.clear();
        for (auto &owed : owed_) owed.clear();
        expected = memory;
        answered_count = writes_count;
        asked_count_ = out_count_ = 0;
        behind_first_ = false;
        bench_->read_valid_i = bench_->write_valid_i = 0;
    }

    void idle() override {
        forget();
        bench_->unit_rst_ni = 0;
        bench_->out_ready_i = bench_->ack_ready_i = 0;
        bench_->stop_i = bench_->few_i = 0;
    }

    void drive() override {
        bench_->unit_rst_ni = !resets;
        bench_->stop_i = resets;
        bench_->read_valid_i &= CData(~reads_taken_);
        bench_->write_valid_i &= CData(~writes_taken_);
        reads_taken_ = writes_taken_ = 0;
        for (uint32_t kind = 0; kind < READS; kind++) drive_read(kind);
        for (uint32_t kind = 0; kind < WRITES; kind++) drive_write(kind);
        bench_->out_ready_i = CData(test_random_below(16) & takes_kinds);
        bench_->ack_ready_i = takes_answers ? CData(test_random_below(8)) : 0;
        if (test_random_below(64) == 0) bench_->few_i = test_random() & 1;
    }

    void sample() override {
        CHECK(!bench_->read_error_o && !bench_->read_outside_o && !bench_->read_silent_o);
        CHECK(!bench_->write_error_o && !bench_->write_outside_o && !bench_->write_silent_o);
        behind_first_ = bench_->r_valid_i && bench_->r_ready_o && !bench_->r_last_i;
        if (resets) return;
        sample_asked();
        sample_out();
        for (uint32_t kind = 0; kind < READS; kind++)
            if (bench_->read_valid_i & bench_->read_ready_o & 1u << kind) {
                asked_[kind].push_back(ask_[kind]);
                reads_taken_ |= 1u << kind;
                reads_count++;
            }
        sample_acks();
        for (uint32_t kind = 0; kind < WRITES; kind++)
            if (bench_->write_valid_i & bench_->write_ready_o & 1u << kind) take_write(kind);
    }

    Bench<Vchannel> &bench_;
    std::vector<uint8_t> memory, expected;

  private:
    bool idle_inputs() const {
        return !(bench_->read_valid_i & ~reads_taken_) && !(bench_->write_valid_i & ~writes_taken_);
    }

    void drive_read(uint32_t kind) {
        if (bench_->read_valid_i >> kind & 1 || !(asks_kinds >> kind & 1)) return;
        if (test_random_below(8) >= reads_eighths) return;
        const uint32_t unit =
            kind == ROW || (kind == ENTRY && bench_->entry_units_i != 2) ? ATOM : BEAT;
        // Half of them about the end of a page.
        uint64_t address = test_random_below(2) ? test_random_below(WRITTEN / 4096 - 1) * 4096 +
                                                      3968 + test_random_below(128)
                                                : test_random_below(WRITTEN - 2 * BEAT);
        address -= address % unit;
        ask_[kind] = {address, test_random() & ((UINT64_C(1) << TAG_BITS) - 1)};
        put_ask(kind == 0   ? bench_->read_row_i
                : kind == 1 ? bench_->read_line_i
                : kind == 2 ? bench_->read_entry_i
                            : bench_->read_walk_i,
                ask_[kind]);
        bench_->read_valid_i |= CData(1u << kind);
    }

    static void put_ask(VlWide<3> &port, const Ask &ask) {
        put_bits(port, 0, TAG_BITS, ask.tag);
        put_bits(port, TAG_BITS, 34, ask.address);
    }

    void drive_write(uint32_t kind) {
        if (bench_->write_valid_i >> kind & 1 || test_random_below(8) >= writes_eighths) return;
        Store &store = store_[kind];
        store.atoms = kind == LINE ? 2 : 1 + test_random_below(3);
        store.address = test_random_below(2) ? (1 + test_random_below(PART / 4096 - 1)) * 4096 -
                                                   BEAT + test_random_below(2) * ATOM
                                             : test_random_below(PART - 2 * BEAT);
        store.address -= store.address % (store.atoms == 2 ? BEAT : ATOM);
        store.address += WRITTEN + kind * PART;
        store.tag = test_random_below(4096);
        store.data.resize(store.atoms * ATOM);
        for (uint8_t &byte : store.data) byte = uint8_t(test_random());
        put_store(kind == 0   ? bench_->write_entry_i
                  : kind == 1 ? bench_->write_record_i
                              : bench_->write_line_i,
                  store);
        bench_->write_valid_i |= CData(1u << kind);
    }

    static void put_store(VlWide<26> &port, const Store &store) {
        wide_noise(port, 816);
        for (uint32_t i = 0; i < store.data.size(); i++) put_bits(port, i * 8, 8, store.data[i]);
        put_bits(port, DATA_BITS, 12, store.tag);
        put_bits(port, DATA_BITS + 12, 2, store.atoms);
        put_bits(port, DATA_BITS + 14, 34, store.address);
    }

    // Behind the port answers wait, a queue a kind; one may be on its way there. How many the port
    // itself has out is formal.state_read_port's to show.
    void sample_asked() {
        const uint64_t asked = asked_count_ - out_count_;

        CHECK(asked <= OUT_MAX + QUEUES);
        if (!bench_->read_asked_o) return;
        CHECK(!bench_->few_i || asked < FEW + QUEUES + 1);
        asked_count_++;
    }

    void sample_out() {
        sample_kind(ROW, bench_->out_row_o, 8 * ATOM, ID_BITS);
        sample_kind(READ_LINE, bench_->out_line_o, 8 * BEAT, ID_BITS);
        sample_kind(ENTRY, bench_->out_entry_o, DATA_BITS, TAG_BITS);
        sample_kind(WALK, bench_->out_walk_o, 8 * BEAT, WALK_TAG_BITS);
    }

    template <std::size_t Words>
    void sample_kind(uint32_t kind, const VlWide<Words> &port, uint32_t bits, uint32_t tag_bits) {
        if (!(bench_->out_valid_o >> kind & 1)) return;
        CHECK(!asked_[kind].empty());
        const Ask &ask = asked_[kind].front();
        uint8_t data[Words * 4];
        uint64_t tag = 0;
        wide_to_bytes(port, data, sizeof data);
        CHECK(memcmp(data, &memory[ask.address], bytes_of(kind)) == 0);
        memcpy(&tag, data + bits / 8, std::min(sizeof tag, sizeof data - bits / 8));
        CHECK_EQ(tag & ((UINT64_C(1) << tag_bits) - 1), ask.tag & ((UINT64_C(1) << tag_bits) - 1));
        if (!(bench_->out_ready_i >> kind & 1)) return;
        asked_[kind].pop_front();
        out_counts[kind]++;
        out_count_++;
    }

    uint32_t bytes_of(uint32_t kind) const {
        return kind == ROW ? uint32_t(ATOM) : kind == ENTRY ? bench_->entry_units_i * ATOM : BEAT;
    }

    void take_write(uint32_t kind) {
        const Store &store = store_[kind];

        std::copy(store.data.begin(), store.data.end(), expected.begin() + long(store.address));
        if (store.tag & 2) owed_[kind].push_back(store.tag);
        writes_taken_ |= 1u << kind;
        writes_count++;
    }

    void sample_acks() {
        answered_count += uint64_t(__builtin_popcount(bench_->answered_o));
        for (uint32_t kind = 0; kind < WRITES; kind++) {
            if (!(bench_->ack_valid_o >> kind & 1)) continue;
            CHECK(!owed_[kind].empty());
            CHECK_EQ(bench_->ack_o >> 12 * kind & 4095, owed_[kind].front());
            if (bench_->ack_ready_i >> kind & 1) owed_[kind].pop_front();
        }
    }

    Ask ask_[READS] = {};
    Store store_[WRITES] = {};
    std::deque<Ask> asked_[READS];
    std::deque<uint64_t> owed_[WRITES];
    uint64_t asked_count_ = 0, out_count_ = 0;
    uint32_t reads_taken_ = 0, writes_taken_ = 0;
    bool behind_first_ = false;
};

struct Channel {
    Bench<Vchannel> bench;
    Unit unit{bench};
    CData size = 6, burst = 1; // always full width, INCR
    AxiMemory<VlWide<16>> memory{bench, "memory", wires(), true, {1, 30}};
    AxiChecker<VlWide<16>> checker{bench, "memory", wires(), 2};

    explicit Channel(uint32_t entry_units) {
        bench->entry_units_i = CData(entry_units);
        memory.place = [this](uint64_t address, bool) { return &unit.memory[address]; };
        bench.reset();
    }

    AxiWires<VlWide<16>, QData> wires() {
        AxiWires<VlWide<16>, QData> w;

        w.arvalid = &bench->ar_valid_o, w.arready = &bench->ar_ready_i;
        w.araddr = &bench->ar_address_o, w.arlen = &bench->ar_len_o;
        w.rvalid = &bench->r_valid_i, w.rready = &bench->r_ready_o, w.rdata = &bench->r_data_i;
        w.rresp = &bench->r_resp_i, w.rlast = &bench->r_last_i;
        w.awvalid = &bench->aw_valid_o, w.awready = &bench->aw_ready_i;
        w.awaddr = &bench->aw_address_o, w.awlen = &bench->aw_len_o;
        w.wvalid = &bench->w_valid_o, w.wready = &bench->w_ready_i, w.wdata = &bench->w_data_o;
        w.wstrb = &bench->w_strb_o, w.wlast = &bench->w_last_o;
        w.bvalid = &bench->b_valid_i, w.bready = &bench->b_ready_o, w.bresp = &bench->b_resp_i;
        w.arsize = w.awsize = &size, w.arburst = w.awburst = &burst;
        return w;
    }

    // Nothing more is asked for, and all that was is done.
    void finish() {
        unit.reads_eighths = unit.writes_eighths = 0;
        unit.asks_kinds = unit.takes_kinds = 15;
        unit.takes_answers = true;
        memory.silent = 0;
        bench.run_until([&] { return unit.done(); });
        unit.check_done();
        checker.check_idle();
    }

    // As cst_state does it: the ports forget, the guards take what memory still owes.
    void reset_unit() {
        unit.reads_eighths = unit.writes_eighths = 0;
        unit.forget();
        unit.resets = true;
        memory.silent = 0;
        do bench.tick();
        while (!bench->read_quiet_o || !bench->write_quiet_o);
        unit.forget();
        unit.resets = false;
    }
};

} // namespace

TEST(each_read_is_answered_with_its_bytes_and_each_write_is_in_memory) {
    uint64_t reads = 0, writes = 0;

    repeat(30, [&] {
        Channel channel(1 + test_random_below(3));

        channel.unit.reads_eighths = 1 + test_random_below(8);
        channel.unit.writes_eighths = 1 + test_random_below(8);
        channel.bench.run(2000);
        channel.finish();
        reads += channel.unit.reads_count;
        writes += channel.unit.writes_count;
    });
    CHECK(reads > 1000 && writes > 1000);
}

// Each handshake stands still in its turn until what is before it is full, and goes on.
TEST(so_it_is_when_memory_or_the_unit_stands_still_until_every_queue_is_full) {
    static const uint32_t holds[] = {SilentAr, SilentR, SilentAw, SilentW, SilentB, 0};

    for (uint32_t entry_units = 1; entry_units <= 3; entry_units++) {
        Channel channel(entry_units);

        channel.unit.reads_eighths = channel.unit.writes_eighths = 8;
        for (uint32_t hold : holds) {
            channel.memory.silent = hold;
            channel.unit.takes_kinds = hold != 0 ? 15 : 0;
            channel.unit.takes_answers = hold != 0;
            channel.bench->few_i = 0;
            channel.bench.run(1500);
            CHECK(hold == SilentAw || hold == SilentW || hold == SilentB ||
                  channel.bench->read_ready_o != 15);
            channel.memory.silent = 0;
            channel.unit.takes_kinds = 15;
            channel.unit.takes_answers = true;
            channel.bench.run(1500);
        }
        channel.finish();
    }
}

// As many answers as its queue holds may wait of one kind: the others go on.
TEST(a_kind_whose_answers_wait_holds_up_no_other) {
    for (const uint32_t waiting : {ROW, READ_LINE, ENTRY}) {
        Channel channel(3);

        channel.unit.reads_eighths = 8;
        channel.unit.writes_eighths = 0;
        channel.unit.takes_kinds = 15u & ~(1u << waiting);
        channel.unit.asks_kinds = 1u << waiting;
        channel.bench.run_until([&] { return channel.unit.reads_count == QUEUE; });
        channel.unit.asks_kinds = 0;
        channel.bench.run(200); // they wait
        for (uint32_t kind = 0; kind < READS; kind++) {
            if (kind == waiting) continue;
            channel.unit.asks_kinds = 1u << kind;
            channel.bench.run_until([&] { return channel.unit.out_counts[kind] > 2 * QUEUE; });
        }
        CHECK_EQ(channel.unit.out_counts[waiting], UINT64_C(0));
        channel.finish();
    }
}

TEST(a_reset_of_the_unit_at_any_clock_leaves_a_channel_that_works) {
    uint32_t between = 0;

    repeat(40, [&] {
        Channel channel(1 + test_random_below(3));
        const bool between_beats = channel.bench->entry_units_i == 3;

        channel.unit.reads_eighths = channel.unit.writes_eighths = 1 + test_random_below(8);
        channel.bench.run(50 + test_random_below(500));
        for (uint32_t i = 0; between_beats && i < 2000 && !channel.unit.behind_a_first_beat(); i++)
            channel.bench.tick();
        between += channel.unit.behind_a_first_beat();
        channel.reset_unit();
        channel.unit.reads_eighths = channel.unit.writes_eighths = 4;
        channel.bench.run(300);
        channel.finish();
    });
    CHECK(between > 0);
}

TEST_MAIN
