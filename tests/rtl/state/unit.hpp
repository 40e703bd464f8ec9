// unit.hpp: a state unit with its memory, and the reference table that it is compared with.
//
//   operations ──┬──► reference (tables in C) ──► results, image ──┐
//                └──► unit (Verilated) ─► memory ─► results, image ─┴── equal, byte for byte
//
// The host's part is done as a host would: it waits until the unit is idle, moves what the control
// block holds, lets the reference grow a segment and lays the image over the memory anew.
#ifndef TESTS_RTL_STATE_UNIT_HPP
#define TESTS_RTL_STATE_UNIT_HPP

#define _Static_assert static_assert
#include "memory.hpp"
#include "reference_table.h"

enum {
    KEY_BYTES = 16,
    VALUE_BYTES = 64,
    LANES = 8,
    COUNTERS = 25,
    NUMBER_UPPER = 5,
    KIND_UPSERT = 0,
    KIND_DELETE = 1,
    KIND_LOOKUP = 2,
    KIND_BARRIER = 3,
    KIND_END = 4,
    KIND_EXPIRE = 5,
    KIND_PUT = 6,
    KIND_DROP = 7,
    QUIET_CLOCKS_MAX = 20000,
    CLOCKS_MAX = 8000000, // of a stream: slow memory and a slow port take 250 an operation
};

// Bits from the lowest on, as a packed struct has them from its last field.
class Bits {
  public:
    Bits &put(uint64_t value, uint32_t count) {
        for (uint32_t i = 0; i < count; i++) bits_.push_back(value >> i & 1);
        return *this;
    }
    Bits &put_bytes(const uint8_t *bytes, size_t count) {
        for (size_t i = 0; i < count; i++) put(bytes[i], 8);
        return *this;
    }
    template <std::size_t Words> void copy_to(VlWide<Words> &port) const {
        for (std::size_t w = 0; w < Words; w++) {
            port[w] = 0;
            for (uint32_t i = 0; i < 32 && w * 32 + i < bits_.size(); i++)
                port[w] |= EData(bits_[w * 32 + i]) << i;
        }
    }

  private:
    std::vector<bool> bits_;
};

// Reads a packed struct from its lowest bit on.
template <std::size_t Words> class Unpack {
  public:
    explicit Unpack(const VlWide<Words> &port) : port_(port) {}
    uint64_t get(uint32_t count) {
        uint64_t value = 0;

        for (uint32_t i = 0; i < count; i++, at_++)
            value |= uint64_t(port_[at_ / 32] >> at_ % 32 & 1) << i;
        return value;
    }

  private:
    const VlWide<Words> &port_;
    uint32_t at_ = 0;
};

struct Op {
    uint8_t kind;
    uint32_t row;
    uint64_t hash;
    uint8_t key_bytes;
    uint8_t key[KEY_BYTES];
    uint8_t nulls;
    uint8_t operands[VALUE_BYTES];
};

// What a walk offers: an entry, where it stands.
struct Walked {
    uint32_t index = 0;
    uint64_t slot = 0;
    uint8_t entry[96] = {};

    bool operator==(const Walked &other) const {
        return index == other.index && slot == other.slot &&
               memcmp(entry, other.entry, sizeof entry) == 0;
    }
};

struct Result {
    uint8_t kind = 0, code = 0;
    uint32_t row = 0;
    bool found = false;
    uint8_t value[VALUE_BYTES] = {};

    bool operator==(const Result &other) const {
        return kind == other.kind && code == other.code && row == other.row &&
               found == other.found && memcmp(value, other.value, VALUE_BYTES) == 0;
    }
};

inline uint32_t entry_bytes(const cst_table_options &options) {
    return (16 + (options.key_bytes + 7) / 8 * 8 + options.program.value_bytes + 31) / 32 * 32;
}

// 64-bit words of the value that an accumulator has.
inline uint32_t words_of(const cst_accumulator &accumulator) {
    return accumulator.number == CST_DECIMAL128 ? 2 : 1;
}

template <class Model> class Unit {
  public:
    Unit(cst_table *table, const cst_table_options &options, bool stalls)
        : bench(CLOCKS_MAX), memory(bench, 4 * (region_room(options.budget_bytes) + 4096)),
          table_(table), options_(options),
          source_(
              bench, bench->op_valid_i, bench->op_ready_o, [this](const Op &op) { offer(op); },
              stalls ? Stalls::drawn("op") : Stalls::none(),
              [this] { wide_noise(bench->op_i, 755); }),
          sink_(
              bench, bench->result_valid_o, bench->result_ready_i, [this] { return result(); },
              stalls ? Stalls::drawn("result") : Stalls::none()),
          walk_sink_(
              bench, bench->walk_valid_o, bench->walk_ready_i, [this] { return walked(); },
              stalls ? Stalls::drawn("walk") : Stalls::none()),
          watch_(*this) {
        // Regions begin anywhere on 64 bytes, so that bursts meet the lines of 4 KiB everywhere.
        const uint64_t room = region_room(options.budget_bytes);
        const auto gap = [] { return test_random_below(64) * 64; };

        directory_ = {gap(), 64, false};
        index_ = {directory_.base + room + gap(), 64, true};
        slots_ = {index_.base + room + gap(), 16u * entry_bytes(options), false};
        log_ = {slots_.base + room + gap(), 1024, false};
        bench.add(&watch_);
        bench->load_i = 0;
        bench->place_write_i = 0;
        bench->flush_i = 0;
        bench->resume_i = 0;
        bench->soft_reset_i = 0;
        bench->release_i = 0;
        bench->walk_i = 0;
        bench->walk_stop_i = 0;
        bench->place_index_i = 0;
        memory.allowed_from = directory_.base / 4096 * 4096;
        memory.allowed_end = (log_.base + room + 4095) / 4096 * 4096;
        reset();
    }

    // At any time; what was under way is lost, and the reference's image is laid over the memory.
    void reset() {
        source_.clear();
        sink_.items.clear();
        walk_sink_.items.clear();
        watch_.deltas.clear();
        memory.clear();
        bench.reset();
        bench.run_until([this] { return bench->ready_o; });
        CHECK(bench->idle_o && !bench->stopped_o && !bench->fault_o);
        load();
    }

    // One that comes while what the one before it has to clear is not cleared.
    void reset_twice(uint32_t clocks) {
        source_.clear();
        walk_sink_.items.clear();
        watch_.deltas.clear();
        memory.clear();
        bench.reset(1);
        bench.run(clocks);
        CHECK(!bench->ready_o);
        reset();
    }

    // The same without a reset of memory: it answers what it owes, and the unit waits for that.
    void soft_reset() {
        begin_soft_reset();
        for (uint32_t i = 0; !bench->ready_o; i++) {
            CHECK(i < QUIET_CLOCKS_MAX);
            bench.tick();
        }
        CHECK(bench->idle_o && !bench->stopped_o);
        CHECK_EQ(bench->fault_o, 0);
        memory.check_idle();
        memory.may_write_nothing = false;
        memory.clear();
        load();
    }
    void begin_soft_reset() {
        source_.clear();
        source_.idle();
        watch_.deltas.clear();
        memory.may_write_nothing = true;
        bench->soft_reset_i = 1;
        bench.tick();
        bench->soft_reset_i = 0;
        sink_.idle();
        sink_.items.clear();
        bench.tick(); // what a walk offers is withdrawn a clock later
        walk_sink_.idle();
        walk_sink_.items.clear();
        CHECK(!bench->ready_o);
    }

    // Runs until a fault is told; from then on no burst is begun, and operations go nowhere.
    uint32_t run_to_fault() {
        for (uint32_t i = 0; bench->fault_o == 0; i++) {
            CHECK(i < CLOCKS_MAX);
            bench.tick();
        }
        const uint32_t fault = bench->fault_o;
        const uint64_t bursts = memory.bursts_count;
        const uint32_t offered = bits_of(bench->ar_valid_o) + bits_of(bench->aw_valid_o);

        memory.may_write_nothing = true;
        while (!source_.empty()) {
            CHECK(bench->op_ready_o);
            bench.tick();
        }
        bench.run(500);
        CHECK(!bench->idle_o);
        CHECK(memory.bursts_count - bursts <= offered);
        return fault;
    }

    Bench<Model> bench;
    Memory<Model> memory;

    // Lays the reference's image over the memory and hands its control block to the unit.
    void load() {
        const table_view view = table_view_of(table_);

        memory.store(directory_, view.directory, view.directory_bytes);
        memory.store(index_, view.index, view.index_bytes);
        memory.store(slots_, view.slots, view.slots_bytes);
        memory.store(log_, view.log, view.log_bytes);
        load_control();
    }

    // Every directory row names chunks that there are not.
    void spoil_directory() {
        const table_view view = table_view_of(table_);
        const std::vector<uint8_t> wrong(view.directory_bytes, 0xff);

        memory.store(directory_, wrong.data(), wrong.size());
        load_control();
    }

    void load_control() {
        const table_view view = table_view_of(table_);

        configure(view);
        bench->place_write_i = 1;
        for (uint32_t i = 0; i < view.log_segments_max; i++) {
            bench->place_index_i = SData(i);
            bench->place_ring_i = 0;
            bench->place_i = SData(view.log_map[i]);
            bench.tick();
            bench->place_ring_i = 1;
            bench->place_i = SData(view.log_free[i]);
            bench.tick();
        }
        bench->place_write_i = 0;
        Bits()
            .put(view.log_free_count, 13)
            .put(view.log_free_first, 12)
            .put(view.log_segments_frontier, 13)
            .put(view.log_tail / 32, 48)
            .put(view.epoch_first / 32, 48)
            .put(view.epoch, 64)
            .put(view.rows_count, 64)
            .put(view.log_floor, 53)
            .copy_to(bench->control_i);
        bench->load_i = 1;
        bench->flush_i = 1;
        bench.tick();
        bench->load_i = 0;
        bench->flush_i = 0;
    }

    void push(const Op &op) { source_.push(op); }

    // The run will seal this: when the unit says that the epoch is durable, its bytes must be
    // there.
    void expect(const cst_delta &delta) { watch_.deltas.push_back(delta); }

    uint64_t durable_early_count = 0;    // deltas that were whole while the unit was at work
    uint8_t number_upper = NUMBER_UPPER; // of a word: the upper half of a decimal128

    void hold_results(bool hold) { sink_.holds = hold; }

    void resume() {
        CHECK(bench->stopped_o);
        bench->resume_i = 1;
        bench.tick();
        bench->resume_i = 0;
    }

    // What the clock is for the next operations. Needs the unit idle.
    void set_now(int64_t us) {
        now_us_ = us;
        configure(table_view_of(table_));
    }

    // Buckets from a slot on, all that is occupied; `take` sees an entry when it is offered. Ends
    // when nothing is under way any more, or after `entries_max` entries.
    template <class Take>
    void walk(uint64_t first, uint32_t buckets, Take take, uint64_t entries_max = UINT64_MAX) {
        uint64_t entries = 0;

        CHECK(bench->idle_o);
        bench->walk_i = 1;
        bench->walk_first_i = IData(first);
        bench->walk_buckets_i = IData(buckets);
        bench.tick();
        bench->walk_i = 0;
        CHECK(bench->walk_busy_o);
        while (bench->walk_busy_o || !source_.empty()) {
            tick();
            for (const Walked &item : walk_sink_.items) {
                CHECK(++entries <= entries_max);
                if (entries == 1) walk_first_clock_ = bench.clock();
                walk_last_clock_ = bench.clock();
                walked_count_++;
                take(item);
                if (entries == entries_max) bench->walk_stop_i = 1;
            }
            walk_sink_.items.clear();
        }
        bench->walk_stop_i = 0;
    }

    // Begun, for who resets it then.
    void begin_walk(uint32_t buckets) {
        bench->walk_i = 1;
        bench->walk_first_i = 0;
        bench->walk_buckets_i = IData(buckets);
        bench.tick();
        bench->walk_i = 0;
    }
    // What it offers is withdrawn.
    void stop_walk() {
        bench->walk_stop_i = 1;
        bench.tick();
        bench->walk_stop_i = 0;
        walk_sink_.idle();
    }
    void begin_release(const cst_delta &delta) {
        bench->release_i = 1;
        bench->release_epoch_i = delta.epoch;
        bench->release_to_i = delta.to;
        bench.tick();
        bench->release_i = 0;
    }

    // From the first entry of the last walk to its last.
    uint64_t walk_clocks() const { return walk_last_clock_ - walk_first_clock_; }

    // RELEASE of a delta: a segment a clock, and two more.
    cst_code release(const cst_delta &delta) {
        const uint64_t segments = delta.to >> table_view_of(table_).log_segment_shift;

        CHECK(bench->idle_o);
        bench->release_i = 1;
        bench->release_epoch_i = delta.epoch;
        bench->release_to_i = delta.to;
        bench.tick();
        bench->release_i = 0;
        CHECK(!bench->idle_o);
        for (uint64_t i = 0; !bench->release_done_o; i++) {
            CHECK(i <= segments + 1);
            bench.tick();
        }
        const cst_code code = cst_code(bench->release_code_o);

        bench.tick();
        CHECK(bench->idle_o);
        return code;
    }

    // Runs until `results` have come and all is in memory; hands the results out.
    std::vector<Result> run(size_t results) {
        while (!source_.empty() || sink_.items.size() < results || !bench->idle_o) tick();
        bench.run(2);
        CHECK(bench->idle_o);
        CHECK_EQ(bench->fault_o, 0);
        memory.check_idle();
        CHECK(watch_.deltas.empty());
        std::vector<Result> out;
        out.swap(sink_.items);
        return out;
    }

    void compare() {
        const table_view view = table_view_of(table_);
        Unpack control(bench->control_o);

        CHECK_EQ(control.get(13), view.log_free_count);
        CHECK_EQ(control.get(12), view.log_free_first);
        CHECK_EQ(control.get(13), view.log_segments_frontier);
        CHECK_EQ(control.get(48) * 32, view.log_tail);
        CHECK_EQ(control.get(48) * 32, view.epoch_first);
        CHECK_EQ(control.get(64), view.epoch);
        CHECK_EQ(control.get(64), view.rows_count);
        CHECK_EQ(control.get(53), view.log_floor);
        CHECK_EQ(bench->durable_epoch_o, view.epoch - 1);
        memory.compare("directory", directory_, view.directory, 0, view.directory_bytes);
        memory.compare("index", index_, view.index, 0, view.index_bytes);
        memory.compare("slots", slots_, view.slots, 0, view.slots_bytes);
        memory.compare("log", log_, view.log, 0, view.log_bytes);
        for (uint32_t i = 0; i < view.log_segments_max; i++) {
            bench->place_index_i = SData(i);
            bench.tick();
            CHECK_EQ(bench->place_map_o, view.log_map[i]);
        }
    }

    uint64_t counter(uint32_t index) {
        uint64_t value = 0;

        for (uint32_t i = 0; i < 48; i++)
            value |= uint64_t(bench->counters_o[(index * 48 + i) / 32] >> (index * 48 + i) % 32 & 1)
                     << i;
        return value;
    }

    // Clocks an operation, from the first one taken to the last, since begin_rate().
    void begin_rate() { source_.taken_count = 0; }
    double clocks_each() const {
        return double(source_.last_clock - source_.first_clock) / double(source_.taken_count - 1);
    }

  private:
    // A clock. A unit that takes no operation, gives no result and begins no burst for so many
    // hangs: the slowest memory here answers within some hundreds. Bursts count, because two dozen
    // operations that give no result fit in the unit, and each may read its way through 32 entries
    // with its tag.
    void tick() {
        const uint64_t moves = moves_count();

        bench.tick();
        quiet_clocks_ = moves == moves_count() ? quiet_clocks_ + 1 : 0;
        if (quiet_clocks_ > QUIET_CLOCKS_MAX)
            TEST_FAIL("nothing taken, given, read or written for %d clocks: it hangs",
                      QUIET_CLOCKS_MAX);
    }

    uint64_t moves_count() const {
        return source_.taken_count + sink_.items.size() + memory.bursts_count + walked_count_;
    }

    // Compares a delta's bytes in the clock in which its epoch is said to be durable.
    class Watch : public Part {
      public:
        explicit Watch(Unit &unit) : unit_(unit) {}
        std::deque<cst_delta> deltas;

        void idle() override {}
        void drive() override {}
        void sample() override {
            while (!deltas.empty() && unit_.bench->durable_epoch_o >= deltas.front().epoch) {
                unit_.compare_delta(deltas.front());
                deltas.pop_front();
                unit_.durable_early_count += !unit_.bench->idle_o;
            }
        }

      private:
        Unit &unit_;
    };

    static uint32_t bits_of(uint32_t word) { return uint32_t(__builtin_popcount(word)); }

    static uint64_t region_room(uint64_t budget_bytes) {
        return budget_bytes / CHANNELS / 4096 * 4096 + 65536;
    }

    void compare_delta(const cst_delta &delta) {
        const table_view view = table_view_of(table_);
        const uint64_t segment_bytes = UINT64_C(1) << view.log_segment_shift;

        for (uint64_t at = delta.from; at < delta.to;) {
            const uint64_t below = at % segment_bytes;
            const uint64_t piece = std::min(segment_bytes - below, delta.to - at);
            const uint32_t place = view.log_map[at / segment_bytes % view.log_segments_max];

            memory.compare("delta", log_, view.log, place * segment_bytes + below, piece);
            at += piece;
        }
    }

    void configure(const table_view &view) {
        const cst_program &program = options_.program;
        uint64_t ops = 0, numbers = 0, sources = 0, indexes = 0;

        for (uint32_t i = 0; i < program.accumulators_count; i++) {
            const cst_accumulator &accumulator = program.accumulators[i];
            const uint32_t first = accumulator.value_offset / 8, words = words_of(accumulator);

            for (uint32_t lane = first; lane < first + words; lane++) {
                const uint64_t number = lane == first ? accumulator.number : number_upper;

                ops |= uint64_t(accumulator.op) << lane * 3;
                numbers |= number << lane * 3;
                sources |= uint64_t(accumulator.source != CST_NO_COLUMN) << lane;
                indexes |= uint64_t(i) << lane * 4;
            }
        }
        const bool has_presence = program.presence_offset != CST_NO_OFFSET;
        int64_t past = 0;
        const bool below_all = __builtin_sub_overflow(now_us_, int64_t(program.ttl_us), &past);
        Bits()
            .put(indexes, 32)
            .put(sources, 8)
            .put(numbers, 24)
            .put(ops, 24)
            .put(has_presence ? program.presence_offset / 8 : 0, 3)
            .put(has_presence, 1)
            .put(program.accumulators_count == 0, 1)
            .put(view.log_segments_ready, 13)
            .put(view.log_segments_budget, 13)
            .put(view.log_segments_max - 1, 12)
            .put(view.log_segment_shift - 5, 5)
            .put(log_.base, ADDRESS_BITS)
            .put(slots_.base, ADDRESS_BITS)
            .put(index_.base, ADDRESS_BITS)
            .put(directory_.base, ADDRESS_BITS)
            .put((1u << view.depth_max) - 1, 22)
            .put(options_.key_bytes, 8)
            .put(program.value_bytes, 7)
            .put((options_.key_bytes + 7) / 8, 2)
            .put(entry_bytes(options_) / 32, 2)
            .put(memory.allowed_end / 4096, ADDRESS_BITS - 12 + 1)
            .put(memory.allowed_from / 4096, ADDRESS_BITS - 12)
            .put(view.chunks, 24)
            .put(uint64_t(past), 64)
            .put(program.time_offset / 8, 3)
            .put(program.ttl_us != CST_TTL_NONE && !below_all, 1)
            .copy_to(bench->config_i);
    }

    void offer(const Op &op) {
        Bits()
            .put_bytes(op.operands, VALUE_BYTES)
            .put(op.nulls, 8)
            .put_bytes(op.key, KEY_BYTES)
            .put(op.key_bytes, 8)
            .put(op.hash, 64)
            .put(op.row, 32)
            .put(op.kind, 3)
            .copy_to(bench->op_i);
    }

    Result result() {
        Unpack bits(bench->result_o);
        Result out;

        for (uint8_t &byte : out.value) byte = uint8_t(bits.get(8));
        out.found = bits.get(1);
        out.row = uint32_t(bits.get(32));
        out.code = uint8_t(bits.get(8));
        out.kind = uint8_t(bits.get(3));
        if (out.kind != KIND_BARRIER && !out.found) memset(out.value, 0, VALUE_BYTES);
        if (out.code != CST_OK) memset(out.value, 0, VALUE_BYTES);
        return out;
    }

    Walked walked() {
        Walked out;

        out.index = bench->walk_index_o;
        out.slot = bench->walk_slot_o;
        memcpy(out.entry, &bench->walk_entry_o[0], sizeof out.entry);
        return out;
    }

    cst_table *table_;
    const cst_table_options &options_;
    Region directory_, index_, slots_, log_;
    Source<Op> source_;
    Sink<Result> sink_;
    Sink<Walked> walk_sink_;
    Watch watch_;
    uint32_t quiet_clocks_ = 0;
    int64_t now_us_ = 0;
    uint64_t walked_count_ = 0, walk_first_clock_ = 0, walk_last_clock_ = 0;
};

#endif
