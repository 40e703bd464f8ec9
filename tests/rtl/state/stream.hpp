// stream.hpp: random operations for the state unit and its reference.
#ifndef TESTS_RTL_STATE_STREAM_HPP
#define TESTS_RTL_STATE_STREAM_HPP

#include "unit.hpp"

#include <algorithm>
#include <constellation/keys.h>

enum { STOPS_MAX = 2 }; // of a round

struct StreamKnobs {
    uint32_t key_bytes = 0; // the longest; 0: drawn
    uint32_t words = 0;     // of a value; 0: drawn
    uint32_t keys = 0;      // 0: drawn
    uint32_t tags = 0;      // hashes differ in so many tags only; 0: drawn, the table's hash too
    uint32_t buckets = 0;   // and in so many buckets
    uint32_t deletes = 256; // of 1024 operations
    uint32_t lookups = 128;
    uint32_t barriers = 16;
    uint32_t too_long = 1;
    uint32_t edges = 2;        // of 1024 numbers
    uint64_t budget_bytes = 0; // 0: drawn
    uint64_t rows_hint = 0;    // 0: drawn
    bool ttl = false;          // rows have a time to live; else a third of the tables
    uint32_t restores = 3;     // one of so many rounds brings rows as RESTORE does; 0: none
    uint32_t log_ready = 0;    // log segments that are, until one is missed; 0: as the table says
    bool quick = false; // neither memory nor ports hold back; numbers stay small; no bent hashes
    cst_program program = {}; // without a value: drawn
};

// What happened in all streams of a test, so that it can ask whether what it is for was there.
struct Seen {
    uint64_t streams = 0, applied = 0, durable_early = 0, releases = 0, expired = 0, walked = 0;
    uint64_t restored = 0;
    uint64_t codes[128] = {};
    uint64_t counters[COUNTERS] = {};
};

// A program whose lanes are `lanes` accumulators of one kind, each with a source of its own.
inline cst_program program_of(cst_accumulate op, cst_number number, uint32_t lanes, bool presence) {
    cst_program program = {};

    program.value_bytes = VALUE_BYTES;
    program.presence_offset = presence ? VALUE_BYTES - 8 : CST_NO_OFFSET;
    program.accumulators_count = uint16_t(lanes);
    for (uint32_t i = 0; i < lanes; i++) {
        program.accumulators[i].op = uint8_t(op);
        program.accumulators[i].number = uint8_t(number);
        program.accumulators[i].value_offset = uint16_t(i * VALUE_BYTES / lanes / 8 * 8);
        program.accumulators[i].source = uint16_t(i);
    }
    return program;
}

// A table, its unit, and the keys they are asked for.
template <class Model> class Stream {
  public:
    Stream(const StreamKnobs &knobs, Seen *seen) : knobs_(knobs), seen_(*seen) {
        draw_options();
        cst_err err = {};
        if (cst_table_open(&options_, &table_, &err) != CST_OK) TEST_FAIL("open: %s", err.text);
        if (knobs_.log_ready)
            log_ready_ = table_set_log_ready(table_, knobs_.log_ready * options_.log_segment_bytes);
        draw_keys();
        unit = std::make_unique<Unit<Model>>(table_, options_, !knobs_.quick);
        if (!knobs_.quick) draw_memory();
    }

    ~Stream() {
        seen_.streams++;
        seen_.durable_early += unit->durable_early_count;
        for (uint32_t i = 0; i < COUNTERS; i++) seen_.counters[i] += unit->counter(i);
        unit.reset();
        cst_table_close(table_);
    }

    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;

    std::unique_ptr<Unit<Model>> unit;

    // Plays `count` operations; where the unit stops, the host does what is needed and goes on. Of
    // a table that can take no more, two stops are enough.
    void round(uint32_t count) {
        std::vector<Op> ops;

        release_some();
        set_now();
        if (test_random_below(2) == 0) walk();
        if (options_.program.ttl_us != CST_TTL_NONE && test_random_below(2) == 0) expire();
        for (uint32_t i = 0; i < count; i++) ops.push_back(draw_op());
        // What RESTORE brings comes while all is in memory, and may be changed at once.
        if (knobs_.restores > 0 && test_random_below(knobs_.restores) == 0)
            for (uint32_t i = 0; i < count / 2; i++) draw_restored(&ops[i]);
        for (uint32_t stops = 0; !ops.empty() && stops < STOPS_MAX; stops++) ops = play(ops);
    }

    // Upserts of one key, one behind the other, of a decimal each; those that err are left out.
    void play_decimals(const std::vector<cst_i128> &decimals) {
        std::vector<Op> ops;

        for (const cst_i128 &units : decimals) {
            Op op = draw_op(0);

            op.kind = KIND_UPSERT;
            op.nulls = 0;
            op.row = uint32_t(ops.size());
            memcpy(op.operands, &units, sizeof units);
            ops.push_back(op);
        }
        while (!ops.empty()) ops = play(ops);
    }

    // All of it, in a memory that answers within 60 to 80 clocks; clocks a bucket.
    double walk_rate() {
        const table_view view = table_view_of(table_);
        uint64_t entries = 0;

        unit->memory.knobs.latency_min = 60;
        unit->memory.knobs.latency_spread = 20;
        unit->walk(0, view.chunks * 8, [&](const Walked &) { entries++; });
        CHECK_EQ(entries, view.rows_count);
        CHECK(entries > 500);
        return double(unit->walk_clocks()) / (view.chunks * 8);
    }

    // The same operations to the unit alone, which is reset after some clocks of them.
    void reset_within(uint32_t count, uint32_t clocks, bool soft) {
        for (uint32_t i = 0; i < count; i++) unit->push(draw_op());
        unit->bench.run(clocks);
        if (soft)
            unit->soft_reset();
        else
            unit->reset();
    }

    // A walk beside operations, or a release, of the unit alone, which is reset after some clocks.
    void reset_walk_within(uint32_t clocks, bool soft) {
        unit->begin_walk(table_view_of(table_).chunks * 8);
        for (uint32_t i = 0; i < 20; i++) unit->push(draw_op());
        unit->bench.run(clocks);
        if (test_random_below(2) == 0) unit->stop_walk();
        if (soft)
            unit->soft_reset();
        else
            unit->reset();
    }
    void reset_release_within(uint32_t clocks) {
        if (deltas_.empty()) return;
        unit->begin_release(deltas_.back());
        unit->bench.run(clocks);
        unit->reset();
    }

    // Plays operations until a fault is told. What is said to be durable before it has to be.
    uint32_t fault() {
        cst_code code = CST_OK;

        for (uint32_t i = 0; i < 600 && code == CST_OK; i++) {
            const Op op = draw_op();

            if (op.kind == KIND_BARRIER)
                (void)seal(op);
            else if (op.kind != KIND_LOOKUP)
                code = apply(op);
            unit->push(op);
        }
        // If the last one stops it, look-ups need memory all the same.
        for (uint32_t i = 0; i < 600; i++) {
            Op op = draw_op();

            op.kind = KIND_LOOKUP;
            unit->push(op);
        }
        return unit->run_to_fault();
    }

    Op draw_op() { return draw_op(test_random_below(keys_.size())); }

  private:
    struct Key {
        uint64_t hash;
        uint8_t key_bytes;
        uint8_t key[KEY_BYTES];
    };

    void draw_options() {
        static const uint64_t rows_hints[] = {0, 0, 2000};

        options_ = {};
        options_.layout = CST_TABLE_INLINE;
        options_.key_bytes = uint32_t(test_random_below(KEY_BYTES + 1));
        if (knobs_.key_bytes) options_.key_bytes = knobs_.key_bytes;
        options_.hash_key = {test_random(), test_random()};
        options_.rows_hint = rows_hints[test_random_below(3)];
        options_.log_segment_bytes = 65536u << test_random_below(2);
        options_.numa_node = -1;
        if (knobs_.rows_hint) options_.rows_hint = knobs_.rows_hint;
        draw_program();
        if (knobs_.program.value_bytes > 0) options_.program = knobs_.program;
        draw_ttl();
        options_.budget_bytes = knobs_.budget_bytes ? knobs_.budget_bytes : draw_budget();
    }

    // Plenty, or a few log segments and a few chunks more than the empty table has.
    uint64_t draw_budget() const {
        const uint64_t chunk_bytes = 512 + 128 * entry_bytes(options_);
        const uint64_t empty = options_.rows_hint ? 24 * chunk_bytes + 128 : 4 * chunk_bytes + 32;

        if (test_random_below(2) == 0) return (1u << 20) + test_random_below(16) * 65536;
        return empty + (1 + test_random_below(3)) * options_.log_segment_bytes +
               test_random_below(12) * chunk_bytes;
    }

    // Any word may be the time; it is small numbers mostly, and whatever the program makes of them.
    void draw_ttl() {
        cst_program &program = options_.program;

        if (program.value_bytes < 8 || knobs_.quick) return;
        if (!knobs_.ttl && test_random_below(3) != 0) return;
        program.ttl_us = test_random_below(8) == 0 ? INT64_MAX : 1 + test_random_below(40);
        program.time_offset = uint16_t(test_random_below(program.value_bytes / 8) * 8);
    }

    int64_t draw_now() const {
        static const int64_t edges[] = {INT64_MIN, INT64_MAX, -1, 0};

        if (test_random_below(16) == 0) return edges[test_random_below(4)];
        return int64_t(test_random_below(250));
    }

    // Lanes in any order; a presence word in one of them, or none, or the whole replaced. A
    // decimal takes the lane behind its own too, if that is nobody's.
    void draw_program() {
        cst_program &program = options_.program;
        uint8_t lanes[LANES] = {0, 1, 2, 3, 4, 5, 6, 7};
        uint32_t taken = 0;
        const uint32_t words = knobs_.words ? knobs_.words : uint32_t(test_random_below(LANES + 1));
        uint32_t count = uint32_t(test_random_below(words + 1));

        for (uint32_t i = words; i-- > 1;) std::swap(lanes[i], lanes[test_random_below(i + 1)]);
        program.value_bytes = words * 8;
        program.presence_offset = CST_NO_OFFSET;
        if (count > 0 && count < words && test_random_below(2) == 0)
            program.presence_offset = uint16_t(lanes[words - 1] * 8);
        program.accumulators_count = uint16_t(count);
        for (uint32_t i = 0; i < count; i++) taken |= 1u << lanes[i];
        if (program.presence_offset != CST_NO_OFFSET) taken |= 1u << program.presence_offset / 8;
        for (uint32_t i = 0; i < count; i++) {
            cst_accumulator &accumulator = program.accumulators[i];
            const uint32_t behind = lanes[i] + 1u;

            accumulator.op = uint8_t(CST_COUNT + test_random_below(5));
            accumulator.number = uint8_t(CST_U64 + test_random_below(3));
            if (accumulator.op == CST_COUNT) accumulator.number = CST_U64;
            if (accumulator.op != CST_COUNT && behind < words && !(taken >> behind & 1)) {
                accumulator.number = CST_DECIMAL128;
                taken |= 1u << behind;
            }
            accumulator.value_offset = uint16_t(lanes[i] * 8);
            accumulator.source = uint16_t(i);
            if (accumulator.op == CST_COUNT && test_random_below(2) == 0)
                accumulator.source = CST_NO_COLUMN;
        }
    }

    void draw_keys() {
        static const uint32_t sizes[] = {1, 2, 5, 40, 300, 1500};
        const uint32_t count = knobs_.keys ? knobs_.keys : sizes[test_random_below(6)];
        const bool bent = knobs_.tags > 0 || (!knobs_.quick && test_random_below(3) == 0);
        const uint32_t tags = knobs_.tags ? knobs_.tags : 1 + uint32_t(test_random_below(4));
        const uint32_t buckets =
            knobs_.buckets ? knobs_.buckets : 1 + uint32_t(test_random_below(6));

        for (uint32_t i = 0; i < count; i++) {
            Key key = {};

            key.key_bytes = uint8_t(test_random_below(options_.key_bytes + 1));
            for (uint32_t b = 0; b < key.key_bytes; b++) key.key[b] = uint8_t(test_random_below(4));
            if (key.key_bytes > 4) memcpy(key.key, &i, 4);
            key.hash = cst_hash(&options_.hash_key, key.key, key.key_bytes);
            // Few tags and few buckets; now and then two keys of one hash. None is 0: see
            // cst_state_check.
            if (bent)
                key.hash = (1 + test_random_below(3)) << 52 |
                           test_random_below(tags) * 0x1357 << 36 |
                           test_random_below(buckets) * 2731 << 22 |
                           test_random_below(i % 8 == 0 ? 1 : 1u << 22);
            keys_.push_back(key);
        }
        skewed_ = test_random_below(2);
    }

    void draw_memory() {
        static const uint32_t spreads[] = {1, 8, 60, 300};

        unit->memory.knobs.latency_min = uint32_t(test_random_below(40));
        unit->memory.knobs.latency_spread = spreads[test_random_below(4)];
        unit->memory.knobs.stall_eighths = uint32_t(test_random_below(3)) * 3;
        unit->memory.knobs.late = test_random_below(4) != 0;
    }

    Op draw_op(uint64_t pick) {
        const uint64_t dice = test_random_below(1024);
        Op op = {};

        if (skewed_) pick = pick * test_random_below(keys_.size()) / keys_.size();
        const Key &key = keys_[pick];
        op.row = uint32_t(test_random());
        op.hash = key.hash;
        op.key_bytes = key.key_bytes;
        memcpy(op.key, key.key, KEY_BYTES);
        if (dice < knobs_.deletes)
            op.kind = KIND_DELETE;
        else if (dice < knobs_.deletes + knobs_.lookups)
            op.kind = KIND_LOOKUP;
        else if (dice < knobs_.deletes + knobs_.lookups + knobs_.barriers)
            op.kind = KIND_BARRIER;
        if (test_random_below(1024) < knobs_.too_long)
            op.key_bytes = uint8_t(options_.key_bytes + 1);
        op.nulls = uint8_t(test_random_below(4) == 0 ? test_random() : 0);
        if (options_.program.presence_offset == CST_NO_OFFSET) op.nulls = 0;
        for (uint32_t lane = 0; lane < LANES; lane++) {
            uint64_t value = draw_number();

            if (lane * 8 < options_.program.value_bytes) memcpy(op.operands + lane * 8, &value, 8);
        }
        for (uint32_t i = 0; i < options_.program.accumulators_count; i++)
            draw_source(options_.program.accumulators[i], &op);
        return op;
    }

    void draw_restored(Op *op) const {
        if (op->key_bytes > options_.key_bytes) return;
        if (op->kind == KIND_UPSERT) op->kind = KIND_PUT;
        if (op->kind == KIND_DELETE) op->kind = KIND_DROP;
        op->nulls = 0;
        // A record holds what an accumulator left: of doubles one NaN and one zero.
        for (uint32_t i = 0; i < options_.program.accumulators_count; i++)
            if (options_.program.accumulators[i].number == CST_F64)
                make_canonical(op->operands + options_.program.accumulators[i].value_offset);
    }

    static void make_canonical(uint8_t *bytes) {
        uint64_t bits;

        memcpy(&bits, bytes, 8);
        if ((bits << 1) > UINT64_C(0xffe0000000000000)) bits = UINT64_C(0x7ff8000000000000);
        if ((bits << 1) == 0) bits = 0;
        memcpy(bytes, &bits, 8);
    }

    // Small numbers, rarely ones at the ends of a range, and doubles of every kind.
    uint64_t draw_number() const {
        static const uint64_t edges[] = {0,
                                         UINT64_MAX,
                                         UINT64_C(1) << 63,
                                         (UINT64_C(1) << 63) - 1,
                                         UINT64_C(0x7ff8000000000001),
                                         UINT64_C(0xfff0000000000001),
                                         UINT64_C(0x7ff0000000000000),
                                         UINT64_C(0xfff0000000000000),
                                         UINT64_C(0x3ff0000000000000),
                                         UINT64_C(0xbff0000000000000)};

        if (knobs_.quick) return test_random_below(100);
        if (test_random_below(1024) < knobs_.edges) return edges[test_random_below(10)];
        return test_random_below(3) == 0 ? test_random() >> 20 : test_random_below(100);
    }

    // What a word alone does not make likely.
    void draw_source(const cst_accumulator &accumulator, Op *op) const {
        const uint32_t lane = accumulator.value_offset / 8u;

        if (accumulator.number == CST_F64 && test_random_below(4) != 0)
            draw_double(op->operands + lane * 8);
        if (accumulator.number != CST_DECIMAL128) return;
        if (test_random_below(4) != 0) draw_decimal(op->operands + lane * 8);
        op->nulls &= uint8_t(~(2u << lane));
        op->nulls |= uint8_t((op->nulls >> lane & 1) << (lane + 1));
    }

    // Small numbers of either sign, rarely ones at the ends of the range, or behind them.
    void draw_decimal(uint8_t *bytes) const {
        const cst_i128 bound =
            cst_i128(UINT64_C(10000000000000000000)) * UINT64_C(10000000000000000000);
        cst_i128 units = cst_i128(test_random_below(2000)) - 1000;

        if (test_random_below(8) == 0) units *= cst_i128(1) << 64;
        if (!knobs_.quick && test_random_below(1024) < knobs_.edges)
            units =
                (test_random_below(2) == 0 ? bound : -bound) + cst_i128(test_random_below(3)) - 1;
        memcpy(bytes, &units, 16);
    }

    // Small whole numbers, which cancel each other, and others of like sizes, which are rounded.
    static void draw_double(uint8_t *bytes) {
        const double whole = double(test_random_below(9)) - 4;
        uint64_t bits;

        memcpy(&bits, &whole, 8);
        if (test_random_below(2) == 0)
            bits = test_random() << 63 | (1000 + test_random_below(60)) << 52 | test_random() >> 12;
        memcpy(bytes, &bits, 8);
    }

    // ---- The reference --------------------------------------------------------------------------

    // A record of the row, or its tombstone.
    cst_code restore(const Op &op) {
        const uint32_t bytes = entry_bytes(options_), value_bytes = options_.program.value_bytes;
        const bool present = op.kind == KIND_PUT;
        const uint32_t flags = present ? UINT32_C(1) << 31 | value_bytes : UINT32_C(1) << 30;
        uint64_t record[12] = {op.hash,
                               op.key_bytes | uint64_t(bytes / 32) << 16 | uint64_t(flags) << 32};
        uint8_t *body = reinterpret_cast<uint8_t *>(record + 2);
        size_t used;

        memcpy(body, op.key, op.key_bytes);
        if (present) memcpy(body + (options_.key_bytes + 7) / 8 * 8, op.operands, value_bytes);
        seen_.restored++;
        return table_reference_restore(table_, reinterpret_cast<uint8_t *>(record), bytes, &used);
    }

    static cst_type source_type(cst_number number) {
        switch (number) {
        case CST_F64:
            return CST_TYPE_F64;
        case CST_I64:
            return CST_TYPE_I64;
        case CST_DECIMAL128:
            return CST_TYPE_DECIMAL128;
        default:
            return CST_TYPE_U64;
        }
    }

    cst_code apply(const Op &op) {
        if (op.kind == KIND_PUT || op.kind == KIND_DROP) return restore(op);
        const uint8_t kind = op.kind == KIND_DELETE ? CST_ROW_DELETE : CST_ROW_UPSERT;
        const uint32_t offsets[2] = {0, op.key_bytes};
        uint8_t key[256] = {}, validity[LANES];
        cst_source sources[CST_ACCUMULATORS_MAX] = {};
        cst_rows rows = {};
        uint32_t applied;

        memcpy(key, op.key, KEY_BYTES);
        for (uint32_t i = 0; i < options_.program.accumulators_count; i++) {
            const cst_accumulator &accumulator = options_.program.accumulators[i];
            const uint32_t lane = accumulator.value_offset / 8u;

            validity[lane] = !(op.nulls >> lane & 1);
            sources[i].values = op.operands + lane * 8;
            sources[i].validity = &validity[lane];
            sources[i].type = source_type(cst_number(accumulator.number));
        }
        rows.rows_count = 1;
        rows.now_us = now_us_;
        rows.ops = &kind;
        rows.hashes = &op.hash;
        rows.keys = key;
        rows.key_offsets = offsets;
        rows.values = op.operands;
        rows.value_stride = VALUE_BYTES;
        rows.sources = sources;
        return table_reference_apply(table_, &rows, &applied);
    }

    Result lookup(const Op &op) {
        const uint32_t offsets[2] = {0, op.key_bytes};
        uint8_t key[256] = {}, found = 0;
        cst_rows rows = {};
        Result result;

        memcpy(key, op.key, KEY_BYTES);
        rows.rows_count = 1;
        rows.now_us = now_us_;
        rows.hashes = &op.hash;
        rows.keys = key;
        rows.key_offsets = offsets;
        CHECK_OK(table_reference_lookup(table_, &rows, result.value, VALUE_BYTES, &found));
        result.kind = KIND_LOOKUP;
        result.row = op.row;
        result.found = found;
        return result;
    }

    Result seal(const Op &op) {
        const cst_delta delta = table_reference_seal(table_);
        Result result;

        memcpy(result.value, &delta.epoch, 8);
        memcpy(result.value + 8, &delta.from, 8);
        memcpy(result.value + 16, &delta.to, 8);
        result.kind = KIND_BARRIER;
        result.row = op.row;
        deltas_.push_back(delta);
        unit->expect(delta);
        return result;
    }

    // ---- Both -----------------------------------------------------------------------------------

    cst_code release(const cst_delta &delta) {
        const cst_code code = table_reference_release(table_, &delta);

        CHECK_CODE(unit->release(delta), code);
        seen_.releases += code == CST_OK;
        unit->compare();
        return code;
    }

    void set_now() {
        now_us_ = draw_now();
        unit->set_now(now_us_);
    }

    uint64_t draw_buckets(uint32_t *count_out) const {
        const uint64_t all = table_view_of(table_).chunks * UINT64_C(8);

        *count_out = uint32_t(1 + test_random_below(test_random_below(2) == 0 ? all : 6));
        if (*count_out > all || test_random_below(3) == 0) *count_out = uint32_t(all);
        return test_random_below(all);
    }

    // A walk from any slot on: every occupied slot once, in order, as it is in memory.
    void walk() {
        const table_view view = table_view_of(table_);
        const uint32_t bytes = entry_bytes(options_);
        const uint64_t all = view.chunks * UINT64_C(8);
        const uint64_t bursts = unit->memory.bursts_count;
        uint32_t buckets;
        uint64_t slot = draw_buckets(&buckets) * 16 + test_random_below(16);
        const uint64_t first = slot;
        uint64_t seen = 0, here = 0, stop = UINT64_MAX;
        const auto is_occupied = [&](uint64_t at) {
            uint16_t occupied;

            memcpy(&occupied, view.index + at / 16 * 64 + 32, 2);
            return (occupied >> at % 16 & 1) != 0;
        };

        for (uint64_t at = first, end = (first / 16 + buckets) * 16; at < end; at++)
            here += is_occupied(at % (all * 16));
        if (here > 0 && test_random_below(3) == 0) stop = 1 + test_random_below(here);
        unit->walk(
            first, buckets,
            [&](const Walked &item) {
                for (; !is_occupied(slot % (all * 16)); slot++) {}
                CHECK_EQ(item.slot, slot % (all * 16));
                CHECK_EQ(item.index, slot / 16 - first / 16);
                CHECK_BYTES(item.entry, view.slots + item.slot * bytes, bytes);
                slot++;
                seen++;
            },
            stop);
        CHECK_EQ(seen, std::min(here, stop));
        CHECK(unit->memory.bursts_count - bursts <= buckets * (1 + bytes / 32 * UINT64_C(8)));
        seen_.walked += seen;
    }

    // EXPIRE as a kernel does it: a walk, and a conditional delete of each row that it offers.
    void expire() {
        uint32_t buckets, expired, expired_all = 0;
        const uint64_t all = table_view_of(table_).chunks * UINT64_C(8);
        const uint64_t first = draw_buckets(&buckets);
        uint64_t bucket = first;
        uint32_t done = 0;
        cst_code code = CST_OK;
        Op end = {};

        unit->walk(first * 16, buckets, [&](const Walked &item) {
            Op op = {};

            memcpy(&op.hash, item.entry, 8);
            op.kind = KIND_EXPIRE;
            op.row = item.index;
            op.key_bytes = item.entry[8];
            memcpy(op.key, item.entry + 16, op.key_bytes);
            unit->push(op);
        });
        end.kind = KIND_END;
        end.row = buckets;
        unit->push(end);
        for (; code == CST_OK && done < buckets; done += code == CST_OK) {
            code = table_reference_expire(table_, &bucket, 1, now_us_, &expired);
            expired_all += expired;
        }
        CHECK_EQ(bucket, (first + done) % all);
        std::vector<Result> results = unit->run(code == CST_OK ? 1 : 2);
        CHECK_EQ(results.back().kind, KIND_END);
        CHECK_CODE(cst_code(results.back().code), code);
        CHECK_EQ(results.back().row, done);
        unit->compare();
        seen_.expired += expired_all;
        seen_.codes[code]++;
        if (code != CST_OK) unit->resume();
    }

    // Deltas of old, one of them again, one that was never sealed, one that ends behind the log.
    void release_some() {
        if (deltas_.empty() || test_random_below(3) != 0) return;
        const size_t last = test_random_below(deltas_.size());
        cst_delta wrong = deltas_.back();

        wrong.epoch++;
        CHECK_CODE(release(wrong), CST_EPOCH);
        wrong = deltas_.back();
        wrong.to += test_random_below(2) == 0 ? 64 : UINT64_C(1) << 60;
        CHECK_CODE(release(wrong), CST_EPOCH);
        CHECK_OK(release(deltas_[last]));
        CHECK_OK(release(deltas_[test_random_below(last + 1)]));
        deltas_.erase(deltas_.begin(), deltas_.begin() + long(last) + 1);
    }

    // Returns what the host sends again.
    std::vector<Op> play(const std::vector<Op> &ops) {
        std::vector<Result> wanted;
        cst_code code = CST_OK;
        size_t stop = ops.size();
        Op end = {};

        for (size_t i = 0; i < ops.size(); i++) {
            Result result;

            result.kind = ops[i].kind;
            result.row = ops[i].row;
            if (code != CST_OK) {
                result.code = CST_ABORTED;
                if (ops[i].kind == KIND_LOOKUP || ops[i].kind == KIND_BARRIER)
                    wanted.push_back(result);
            } else if (ops[i].kind == KIND_LOOKUP) {
                wanted.push_back(lookup(ops[i]));
            } else if (ops[i].kind == KIND_BARRIER) {
                wanted.push_back(seal(ops[i]));
            } else {
                code = apply(ops[i]);
                seen_.codes[code]++;
                if (code == CST_OK) {
                    seen_.applied++;
                    continue;
                }
                stop = i;
                result.code = uint8_t(code);
                wanted.push_back(result);
            }
        }
        end.kind = KIND_END;
        end.row = 77;
        Result last;
        last.kind = KIND_END;
        last.code = uint8_t(code);
        last.row = code == CST_OK ? end.row : ops[stop].row;
        wanted.push_back(last);

        for (const Op &op : ops) unit->push(op);
        unit->push(end);
        check_results(unit->run(wanted.size()), wanted);
        CHECK_EQ(unit->bench->stopped_o, code != CST_OK);
        unit->compare();
        if (code == CST_OK) return {};
        unit->resume();
        return go_on(code, std::vector<Op>(ops.begin() + long(stop), ops.end()));
    }

    static void check_results(const std::vector<Result> &results,
                              const std::vector<Result> &wanted) {
        CHECK_EQ(results.size(), wanted.size());
        for (size_t i = 0; i < results.size(); i++)
            if (!(results[i] == wanted[i]))
                TEST_FAIL(
                    "result %zu of %zu: kind %u, %s, row %u, found %d; wanted kind %u, %s, row "
                    "%u, found %d",
                    i, results.size(), results[i].kind, cst_code_name(cst_code(results[i].code)),
                    results[i].row, results[i].found, wanted[i].kind,
                    cst_code_name(cst_code(wanted[i].code)), wanted[i].row, wanted[i].found);
    }

    std::vector<Op> go_on(cst_code code, std::vector<Op> rest) {
        cst_err err = {};

        switch (code) {
        case CST_TABLE_FULL:
            // A refusal may have copied directory rows ahead, and the next try succeeds.
            code = table_reference_grow(table_, rest[0].hash);
            seen_.codes[code]++;
            if (code != CST_OK && code != CST_AGAIN) rest.erase(rest.begin());
            unit->load();
            return rest;
        case CST_TABLE_NOT_READY:
            if (log_ready_) (void)table_set_log_ready(table_, log_ready_);
            log_ready_ = 0;
            CHECK_OK(cst_table_prepare(table_, &err));
            unit->load_control();
            return rest;
        case CST_TABLE_BUDGET:
            if (deltas_.empty()) {
                rest.clear();
                return rest;
            }
            CHECK_OK(release(deltas_.back())); // and all before it
            deltas_.clear();
            return rest;
        default: // its row goes to the error output
            rest.erase(rest.begin());
            return rest;
        }
    }

    StreamKnobs knobs_;
    Seen &seen_;
    cst_table_options options_ = {};
    cst_table *table_ = nullptr;
    std::vector<Key> keys_;
    std::vector<cst_delta> deltas_;
    size_t log_ready_ = 0; // what the table said
    bool skewed_ = false;
    int64_t now_us_ = 0;
};

#endif
