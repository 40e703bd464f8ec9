// The state unit and the table's reference do the same, byte for byte, whatever memory does. Twice:
// a unit so small that every copy on chip is fought for, and the one that is meant for a card.
// A model is one line:
// clang-format off
// model: state_small cst_state -GKeySetBits=2 -GKeyWays=2 -GKeyIds=7 -GLineSetBits=2 -GLineWays=2 -GLineIds=6 -GOpDepth=12 -GRowBits=2 -GRowDepth=6 -GSilenceBits=12
// model: state cst_state UNCOUNTED
// clang-format on
#include "stream.hpp"

#include <Vstate.h>
#include <Vstate_small.h>

template <class Model>
static void streams(const StreamKnobs &knobs, Seen *seen, uint32_t times, uint32_t rounds,
                    uint32_t ops) {
    repeat(times, [&] {
        Stream<Model> stream(knobs, seen);

        for (uint32_t round = 0; round < rounds; round++)
            stream.round(ops / 8 + uint32_t(test_random_below(ops)));
    });
}

enum { FALSE_CANDIDATES = 9, RELEASED = 16 };

// Each counter's event, in cst_state's order. A log that fills no segment gives none back.
static void check_counters(const Seen &seen) {
    static const char *const names[COUNTERS] = {"done",        "hits of a key on chip",
                                                "appends",     "inserts",
                                                "fetch waits", "match waits",
                                                "key waits",   "record waits",
                                                "row reads",   "false candidates",
                                                "states sent", "even lines sent",
                                                "odd lines",   "gaps",
                                                "reads",       "writes",
                                                "releases",    "walks",
                                                "restores",    "clocks with nothing to issue",
                                                "held",        "waits for the queue",
                                                "copy waits",  "clocks without an operation",
                                                "look-ups"};

    for (uint32_t i = 0; i < COUNTERS; i++)
        if (seen.counters[i] == 0 && i != RELEASED)
            TEST_FAIL("%s: none in %" PRIu64 " streams", names[i], seen.streams);
    CHECK(seen.durable_early > 0);
    CHECK(seen.releases > 0);
    CHECK(seen.walked > 0 && seen.restored > 0);
}

static void check_code(const Seen &seen, cst_code code) {
    if (seen.codes[code] == 0)
        TEST_FAIL("%s: never in %" PRIu64 " streams", cst_code_name(code), seen.streams);
}

// Streams until one of them meets the code: what is drawn may make a stream too short for it.
static Seen streams_to_code(const StreamKnobs &knobs, cst_code code, uint32_t rounds,
                            uint32_t ops) {
    Seen seen;

    do {
        streams<Vstate_small>(knobs, &seen, 1, rounds, ops);
    } while (seen.codes[code] == 0 && seen.streams < 16);
    check_code(seen, code);
    return seen;
}

TEST(random_streams_leave_the_bytes_of_the_reference) {
    Seen seen;

    streams<Vstate_small>({}, &seen, 16, 3, 160);
    // Two keys with one tag in one bucket are rare: of 64 streams some have them.
    while ((seen.counters[FALSE_CANDIDATES] == 0 || seen.releases == 0) && seen.streams < 64)
        streams<Vstate_small>({}, &seen, 1, 3, 160);
    check_counters(seen);
}

TEST(so_they_do_in_a_unit_of_full_size) {
    Seen seen;

    streams<Vstate>({}, &seen, 6, 2, 2000);
    CHECK(seen.applied > 3000 && seen.durable_early > 0);
}

// What RESTORE takes away and brings again may get another slot: the first one has to be empty in
// memory then, though the row's state was not yet on its way there.
TEST(a_row_that_goes_and_comes_again_in_a_restore_leaves_no_slot_behind) {
    repeat(4, [] {
        StreamKnobs knobs;
        Seen seen;

        knobs.keys = 12;
        knobs.tags = 4;
        knobs.buckets = 1;
        knobs.deletes = 512;
        knobs.lookups = knobs.barriers = knobs.too_long = 0;
        knobs.budget_bytes = 8u << 20;
        knobs.restores = 1;
        Stream<Vstate_small> stream(knobs, &seen);

        stream.unit->memory.knobs.writes_rest = 200; // states wait in their queue
        for (uint32_t i = 0; i < 8; i++) stream.round(120);
    });
}

TEST(keys_of_every_length_up_to_sixteen_bytes) {
    Seen seen;

    for (uint32_t longest = 1; longest <= KEY_BYTES; longest++) {
        StreamKnobs knobs;

        knobs.key_bytes = longest;
        knobs.keys = 100;
        knobs.too_long = 20;
        streams<Vstate_small>(knobs, &seen, 1, 1, 100);
    }
    check_code(seen, CST_KEY_TOO_LONG);
}

TEST(rows_past_their_time_are_absent_until_an_expiry_takes_them) {
    Seen seen;

    // What is drawn may leave few rows past their time: of 24 streams enough are.
    for (uint32_t i = 0; i < 6 || (i < 24 && seen.expired <= 20); i++) {
        StreamKnobs knobs;

        knobs.ttl = true;
        knobs.keys = 40 + i % 6 * 100;
        knobs.words = 1 + i % 6;
        streams<Vstate_small>(knobs, &seen, 1, 4, 160);
    }
    CHECK(seen.expired > 20);
}

TEST(every_accumulator_of_every_number) {
    Seen seen;

    for (uint32_t op = CST_COUNT; op <= CST_LAST; op++) {
        for (uint32_t number = CST_U64; number <= CST_DECIMAL128; number++) {
            for (uint32_t presence = 0; presence < 2; presence++) {
                const uint32_t lanes = number == CST_DECIMAL128 ? LANES / 2 : LANES;
                StreamKnobs knobs;

                if (op == CST_COUNT && number != CST_U64) continue;
                knobs.program =
                    program_of(cst_accumulate(op), cst_number(number), lanes - presence, presence);
                knobs.keys = 5;
                knobs.edges = 20;
                streams<Vstate_small>(knobs, &seen, 1, 1, 120);
            }
        }
    }
    // Numbers at the ends of a range are drawn: some stream of sums has them.
    for (cst_number number : {CST_U64, CST_I64, CST_DECIMAL128}) {
        Seen sums;

        while (sums.codes[CST_SUM_OVERFLOW] == 0 && sums.streams < 64) {
            StreamKnobs knobs;

            knobs.program =
                program_of(CST_SUM, number, number == CST_DECIMAL128 ? LANES / 2 : LANES, false);
            knobs.keys = 5;
            knobs.edges = 20;
            streams<Vstate_small>(knobs, &sums, 1, 1, 120);
        }
        check_code(sums, CST_SUM_OVERFLOW);
    }
}

// Sums, least and greatest of decimals at the ends of their range, one behind the other on one key:
// what the stages make of a row that errs must be seen by none of those right behind it.
TEST(decimals_at_the_ends_of_their_range_follow_each_other) {
    const cst_i128 half = cst_i128(UINT64_C(10000000000000000000));
    const cst_i128 largest = half * half - 1;
    const cst_i128 ends[] = {
        largest, 1 - largest, -largest, -largest - 1,      largest + 1,
        1,       -1,          0,        cst_i128(1) << 64, -(cst_i128(1) << 64)};
    Seen seen;

    for (cst_accumulate op : {CST_SUM, CST_SUM, CST_MIN, CST_MAX, CST_LAST}) {
        for (uint32_t presence = 0; presence < 2; presence++) {
            StreamKnobs knobs;
            std::vector<cst_i128> decimals = {largest, 1, -largest, -largest, -1, largest, largest};

            knobs.program = program_of(op, CST_DECIMAL128, LANES / 2 - presence, presence);
            knobs.keys = 1;
            knobs.quick = true;
            for (uint32_t i = 0; i < 60; i++) decimals.push_back(ends[test_random_below(10)]);
            Stream<Vstate_small>(knobs, &seen).play_decimals(decimals);
        }
    }
    CHECK(seen.codes[CST_SUM_OVERFLOW] > 20);
}

// Sums of doubles beside sums of integers, some of which leave their range: nothing of such a row
// is applied, and the sums of its key go on from what was before it.
TEST(a_row_that_errs_leaves_its_sums_of_doubles_out) {
    Seen seen;

    // A sum that overflows is drawn in most twelve streams, not in all.
    do {
        for (uint32_t keys : {1u, 1u, 2u, 3u, 8u, 40u}) {
            StreamKnobs knobs;

            knobs.program = program_of(CST_SUM, CST_F64, LANES, false);
            for (uint32_t i = 1; i < LANES; i += 2) knobs.program.accumulators[i].number = CST_I64;
            knobs.keys = keys;
            knobs.edges = 4;
            streams<Vstate_small>(knobs, &seen, 2, 4, 120);
        }
    } while (seen.codes[CST_SUM_OVERFLOW] == 0 && seen.streams < 48);
    check_code(seen, CST_SUM_OVERFLOW);
}

TEST(a_program_that_it_cannot_do_stops_it_at_the_first_upsert) {
    for (uint32_t op = CST_SUM; op <= CST_LAST; op++) {
        StreamKnobs knobs;
        Seen seen;

        // Lower halves of decimals without their upper ones.
        knobs.key_bytes = KEY_BYTES;
        knobs.program = program_of(cst_accumulate(op), CST_DECIMAL128, 4, false);
        Stream<Vstate_small> stream(knobs, &seen);
        stream.unit->number_upper = 0;
        stream.unit->load_control();
        Op upsert = stream.draw_op(), behind = {};

        upsert.kind = KIND_UPSERT;
        upsert.key_bytes = 3;
        upsert.row = 17;
        stream.unit->push(upsert);
        for (uint8_t kind = KIND_DELETE; kind <= KIND_END; kind++) {
            behind.kind = kind;
            stream.unit->push(behind);
        }
        const std::vector<Result> results = stream.unit->run(4);

        CHECK_EQ(results[0].code, CST_UNSUPPORTED);
        CHECK_EQ(results[0].row, 17);
        CHECK_EQ(results[1].code, CST_ABORTED);
        CHECK_EQ(results[2].code, CST_ABORTED);
        CHECK_EQ(results[3].code, CST_UNSUPPORTED);
        CHECK_EQ(results[3].row, 17);
        stream.unit->compare();
    }
}

TEST(a_row_without_a_place_stops_it_with_its_number) {
    StreamKnobs knobs;
    Seen seen;

    knobs.keys = 200;
    knobs.rows_hint = 1;
    knobs.tags = knobs.buckets = 1;
    knobs.deletes = 16;
    knobs.budget_bytes = 1u << 20;
    streams<Vstate_small>(knobs, &seen, 1, 2, 200);
    check_code(seen, CST_TABLE_FULL);
    check_code(seen, CST_TABLE_SKEW);
}

TEST(a_log_segment_that_is_not_ready_stops_it_until_it_is) {
    StreamKnobs knobs;

    knobs.keys = 100;
    knobs.barriers = 200;
    knobs.key_bytes = KEY_BYTES;
    knobs.words = LANES;
    knobs.budget_bytes = 8u << 20;
    knobs.rows_hint = 1000;
    knobs.quick = true;
    knobs.log_ready = 1;
    streams_to_code(knobs, CST_TABLE_NOT_READY, 3, 2000);
}

TEST(a_log_without_room_stops_it_until_deltas_are_released) {
    StreamKnobs knobs;
    uint64_t released = 0;

    knobs.keys = 40;
    knobs.barriers = 100;
    knobs.key_bytes = KEY_BYTES;
    knobs.words = LANES;
    knobs.budget_bytes = 3u << 16;
    knobs.rows_hint = 1;
    knobs.quick = true;
    // What is released may not reach to a segment's end: of 16 times it does.
    for (uint32_t i = 0; i < 16 && released == 0; i++)
        released = streams_to_code(knobs, CST_TABLE_BUDGET, 3, 2500).counters[RELEASED];
    CHECK(released > 0);
}

// Keys for every channel, and nothing that stops the unit before it writes.
static StreamKnobs unstopped() {
    StreamKnobs knobs;

    knobs.keys = 300;
    knobs.tags = 4096;
    knobs.buckets = 64;
    knobs.rows_hint = 2000;
    knobs.budget_bytes = 8u << 20;
    knobs.program = program_of(CST_LAST, CST_U64, 8, false);
    knobs.barriers = 100;
    knobs.too_long = 0;
    return knobs;
}

enum { FAULT_READ = 1, FAULT_WRITE = 2, FAULT_OUTSIDE = 4, FAULT_SILENT = 8 };

TEST(an_error_of_memory_ends_all_until_a_soft_reset) {
    repeat(12, [] {
        const bool reads = test_random_below(3) == 0;
        const uint32_t errors = 1 + uint32_t(test_random_below(200));
        Seen seen;
        Stream<Vstate_small> stream(unstopped(), &seen);
        MemoryKnobs &memory = stream.unit->memory.knobs;

        stream.round(50);
        (reads ? memory.read_errors : memory.write_errors) = errors;
        memory.read_errors_behind = reads ? errors : 1024; // those behind a write fail, too
        const uint32_t fault = stream.fault();
        CHECK_EQ(reads ? fault : fault & ~uint32_t(FAULT_READ), reads ? FAULT_READ : FAULT_WRITE);
        CHECK(stream.unit->memory.errors_count > 0);
        memory.read_errors = memory.write_errors = memory.read_errors_behind = 0;
        stream.unit->soft_reset();
        stream.round(50);
    });
}

// One channel after the other, in one of its handshakes or in all, and at last all channels.
TEST(a_memory_that_falls_silent_is_told_and_may_come_back) {
    const uint32_t handshakes[] = {SilentAr, SilentR, SilentAw, SilentW, SilentB, SilentAll};

    repeat(1, [&] {
        Seen seen;
        Stream<Vstate_small> stream(unstopped(), &seen);

        for (uint32_t c = 0; c <= CHANNELS; c++) {
            MemoryKnobs &memory = stream.unit->memory.knobs;

            stream.round(50);
            memory.silent = c < CHANNELS ? 1u << c : 0xffff;
            memory.handshakes = handshakes[test_random_below(6)];
            CHECK_EQ(stream.fault(), FAULT_SILENT);
            // What is owed may still come and land on a new image: the unit waits for it.
            stream.unit->begin_soft_reset();
            stream.unit->bench.run(c < CHANNELS ? 300 : 6000);
            CHECK(!stream.unit->bench->ready_o);
            CHECK_EQ(stream.unit->bench->fault_o, FAULT_SILENT);
            memory.silent = 0;
            stream.unit->soft_reset();
        }
        stream.round(50);
    });
}

TEST(nothing_outside_its_pages_is_read_or_written) {
    repeat(4, [] {
        StreamKnobs knobs;
        Seen seen;
        Stream<Vstate_small> stream(knobs, &seen);
        const uint64_t end = stream.unit->memory.allowed_end;

        stream.round(50);
        if (test_random_below(2) == 0) {
            stream.unit->memory.allowed_end =
                stream.unit->memory.allowed_from + 4096 * test_random_below(3);
            stream.unit->load_control();
        } else {
            stream.unit->spoil_directory();
        }
        CHECK_EQ(stream.fault(), FAULT_OUTSIDE);
        stream.unit->memory.allowed_end = end;
        stream.unit->soft_reset();
        stream.round(50);
    });
}

TEST(a_reset_at_any_clock_leaves_a_unit_that_works) {
    repeat(4, [] {
        StreamKnobs knobs;
        Seen seen;
        Stream<Vstate_small> stream(knobs, &seen);

        for (uint32_t i = 0; i < 3; i++) {
            stream.reset_within(200, 1 + uint32_t(test_random_below(600)),
                                test_random_below(2) == 0);
            stream.round(50);
        }
    });
}

// Many keys of few buckets, or rows of the directory; sums of doubles; a memory that is silent or
// in error as the reset comes.
static StreamKnobs reset_knobs() {
    StreamKnobs knobs;

    knobs.keys = 40;
    knobs.barriers = 100;
    knobs.deletes = 400;
    if (test_random_below(2) == 0) knobs.program = program_of(CST_SUM, CST_F64, LANES, false);
    if (test_random_below(2) == 0) {
        knobs.tags = 64;
        knobs.buckets = 1;
    } else {
        knobs.rows_hint = 2000;
        knobs.budget_bytes = 8u << 20;
    }
    return knobs;
}

TEST(a_reset_in_each_state_leaves_a_unit_that_works) {
    const uint32_t handshakes[] = {SilentAr, SilentR, SilentAw, SilentW, SilentB, SilentAll};

    repeat(10, [&] {
        const StreamKnobs knobs = reset_knobs();
        Seen seen;
        Stream<Vstate_small> stream(knobs, &seen);
        MemoryKnobs &memory = stream.unit->memory.knobs;

        stream.round(100);
        stream.unit->reset(); // while idle
        for (uint32_t i = 0; i < 6; i++) {
            const bool quiet = test_random_below(2) == 0, soft = test_random_below(2) == 0;

            memory.silent = quiet ? 0xffff : 0;
            memory.handshakes = handshakes[test_random_below(6)];
            stream.reset_walk_within(uint32_t(test_random_below(150)), soft && !quiet);
            stream.reset_release_within(i % 2);
            stream.reset_within(200, 1 + uint32_t(test_random_below(400)), soft && !quiet);
        }
        memory.silent = 0;
        memory.read_errors = memory.write_errors = 1 + uint32_t(test_random_below(50));
        stream.unit->memory.may_write_nothing = true;
        stream.reset_within(200, 600, false);
        stream.unit->memory.may_write_nothing = false;
        memory.read_errors = memory.write_errors = 0;
        for (uint32_t most : {4u, 20u}) // what is cleared first, and what last
            stream.unit->reset_twice(1 + uint32_t(test_random_below(most)));
        for (uint32_t i = 0; i < 300; i++) {
            Op op = stream.draw_op();

            if (i % 8 == 0) op.kind = KIND_EXPIRE; // of rows that are there or not
            if (i / 20 % 2) op.kind = KIND_LOOKUP;
            stream.unit->push(op);
        }
        stream.unit->bench.run(300);
        stream.unit->begin_soft_reset();
        stream.unit->bench.run(1 + test_random_below(3));
        stream.unit->reset();
        stream.round(30);
    });
}

// Look-ups of few keys wait for no sum and for nothing of memory: they fill the queue beside the
// adders while results are held. Of many keys, entries of 96 bytes are two beats of a walk each.
TEST(a_reset_among_sums_of_doubles_or_within_a_walk_leaves_a_unit_that_works) {
    repeat(3, [] {
        for (uint32_t keys : {3u, 60u}) {
            StreamKnobs knobs;
            Seen seen;

            knobs.keys = keys;
            knobs.key_bytes = KEY_BYTES;
            knobs.lookups = keys == 3 ? 900 : 100;
            knobs.deletes = knobs.barriers = 4;
            knobs.program = program_of(CST_SUM, CST_F64, LANES, false);
            Stream<Vstate_small> stream(knobs, &seen);

            stream.round(2 * keys);
            for (uint32_t i = 0; i < 24; i++) {
                const bool soft = test_random_below(4) == 0;

                stream.unit->hold_results(i % 4 == 3);
                stream.reset_within(300, 100 + uint32_t(test_random_below(500)), soft);
                stream.unit->hold_results(i % 4 == 1); // entries of a walk wait, too
                stream.reset_walk_within(20 + uint32_t(test_random_below(400)), soft);
                stream.unit->hold_results(false);
            }
            stream.round(30);
        }
    });
}

// More rows of the directory than are on chip, behind a memory that takes its time.
TEST(a_row_of_the_directory_that_an_operation_waits_for_stays) {
    StreamKnobs knobs;
    Seen seen;

    knobs.keys = 300;
    knobs.quick = true;
    knobs.budget_bytes = 8u << 20;
    knobs.rows_hint = 20000;
    Stream<Vstate_small> stream(knobs, &seen);

    stream.unit->memory.knobs.latency_min = 100;
    stream.round(600);
}

// Clocks an operation on keys that are there, in a memory that answers within 60 to 80 of them.
template <class Model>
static double clocks_each(uint32_t keys, uint32_t ops, cst_number number = CST_U64) {
    StreamKnobs knobs;
    Seen seen;

    knobs.keys = keys;
    knobs.quick = true;
    knobs.key_bytes = KEY_BYTES;
    knobs.words = LANES;
    knobs.deletes = knobs.too_long = knobs.barriers = 0;
    if (number == CST_F64) { // sums alone: nothing else waits as long
        knobs.lookups = 0;
        knobs.restores = 0;
    }
    knobs.budget_bytes = 8u << 20;
    knobs.rows_hint = 2 * keys;
    knobs.program = program_of(CST_SUM, number, 8, false);
    Stream<Model> stream(knobs, &seen);

    stream.unit->memory.knobs.latency_min = 60;
    stream.unit->memory.knobs.latency_spread = 20;
    stream.round(4 * keys);
    stream.unit->begin_rate();
    stream.round(ops);
    const double clocks = stream.unit->clocks_each();
    printf("%u keys %.3f; ", keys, clocks);
    return clocks;
}

TEST(a_walk_reads_ahead_of_what_it_offers) {
    for (uint32_t words : {1u, 4u, 8u}) { // entries of 32, 64 and 96 bytes
        StreamKnobs knobs;
        Seen seen;

        knobs.keys = 2000;
        knobs.quick = true;
        knobs.key_bytes = words == 1 ? 8 : KEY_BYTES;
        knobs.words = words;
        knobs.deletes = knobs.too_long = 0;
        knobs.budget_bytes = 8u << 20;
        knobs.rows_hint = 2000;
        knobs.program = program_of(CST_LAST, CST_U64, 1, false);
        knobs.program.value_bytes = words * 8;
        Stream<Vstate> stream(knobs, &seen);

        stream.round(4000);
        const double clocks = stream.walk_rate();
        printf("%u words %.1f; ", words, clocks);
        // A bucket is two reads behind each other, of at most 80 clocks each; four are under way.
        CHECK(clocks < 64);
    }
}

TEST(one_operation_a_clock_however_few_the_keys) {
    CHECK(clocks_each<Vstate>(1, 2000) < 1.1);
    CHECK(clocks_each<Vstate>(2, 2000) < 1.1);
    CHECK(clocks_each<Vstate>(600, 3000) < 1.5);
}

TEST(a_sum_of_doubles_waits_for_the_one_before_it_on_its_key_alone) {
    // The small unit's queues are too short to take much before it is done.
    const double one = clocks_each<Vstate_small>(1, 2000, CST_F64);

    CHECK(one > 8.8 && one < 9.1);
    CHECK(clocks_each<Vstate>(600, 3000, CST_F64) < 1.5);
}

TEST_MAIN
