// model: kernel
// RELEASE, EXPIRE, SCAN and RESTORE by the ring, with a checker and stalls at every port: what they
// leave in memory, and that a fault or a reset in their midst is like any other.
#include "kernel.hpp"

namespace {

enum : uint32_t { BUCKETS = 32, SLOTS = 512, ROWS_COUNT = 60, TTL = 10, UNIT = 32 };

uint64_t hash_of(uint64_t key) {
    return (key + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

// kernel.table(), whose values are times: rows of key r, put by rows(), have time 3 r.
Command table_of_times(Kernel &kernel) {
    const Command table = kernel.table();
    const uint64_t ttl = TTL, chunks = 4, floor = 1024;

    memcpy(kernel.memory(TABLE + BEAT + 48), &ttl, 8);
    memcpy(kernel.memory(TABLE + 2 * BEAT + 44), &chunks, 4);
    memcpy(kernel.memory(TABLE + 2 * BEAT + 48), &floor, 8);
    return table;
}

Command walk(uint8_t op, uint64_t at, uint32_t buckets, int64_t now) {
    Command command = Kernel::of(op);

    command.count = buckets;
    command.now = uint64_t(now);
    command.at = at;
    return command;
}

Command scan(Kernel &kernel, uint64_t slot, uint32_t buckets, uint32_t rows_max, int64_t now) {
    Command command = walk(OP_SCAN, slot, buckets, now);

    command.row = rows_max;
    command.results = kernel.at(RESULTS);
    return command;
}

// The keys that a scan in pieces of any size finds, each once, with its record.
uint64_t scan_all(Kernel &kernel, int64_t now) {
    uint64_t slot = 0, keys = 0;

    while (slot < SLOTS) {
        const uint32_t buckets = uint32_t(1 + test_random_below(BUCKETS - slot / 16));
        const uint32_t rows_max = uint32_t(1 + test_random_below(ROWS_COUNT));
        const Completion done = kernel.done(scan(kernel, slot, buckets, rows_max, now));

        CHECK_CODE(cst_code(done.code), CST_OK);
        CHECK(done.row <= rows_max && done.from >= slot);
        CHECK(done.row == rows_max || done.from == (slot / 16 + buckets) * 16);
        for (uint32_t r = 0; r < done.row; r++) {
            uint64_t words[4];

            memcpy(words, kernel.memory(RESULTS + r * BEAT), sizeof words);
            CHECK(words[2] < ROWS_COUNT && !(keys >> words[2] & 1));
            CHECK_EQ(words[0], hash_of(words[2]));
            CHECK_EQ(words[1], UINT64_C(0x8000000800010008)); // a row, 8 and 8 bytes, one unit
            CHECK_EQ(words[3], words[2] * 3);
            keys |= UINT64_C(1) << words[2];
        }
        slot = done.from;
    }
    return keys;
}

// Keys from the first one whose time is above `past` on.
uint64_t keys_above(uint64_t past) {
    return ((UINT64_C(1) << ROWS_COUNT) - 1) & ~((UINT64_C(1) << (past / 3 + 1)) - 1);
}

void load_rows(Kernel &kernel) {
    CHECK_EQ(kernel.done(table_of_times(kernel)).code, CST_OK);
    CHECK_EQ(kernel.done(kernel.rows(ROWS_COUNT, KIND_UPSERT)).rows_count, ROWS_COUNT);
}

void put_record(Kernel &kernel, uint32_t unit, uint64_t key, bool present) {
    const uint64_t head =
        UINT64_C(0x10008) | (present ? UINT64_C(0x80000008) << 32 : UINT64_C(0x40000000) << 32);
    const uint64_t words[4] = {hash_of(key), head, key, present ? key * 3 : 0};

    memcpy(kernel.memory(ROWS + unit * UNIT), words, sizeof words);
}

Command restore(Kernel &kernel, uint32_t units) {
    Command command = Kernel::of(OP_RESTORE);

    command.count = units;
    command.address = kernel.at(ROWS);
    return command;
}

// One of the commands that take their time.
Command any_of(Kernel &kernel, uint32_t which) {
    for (uint32_t r = 0; r < ROWS_COUNT; r++) put_record(kernel, r, r, r % 2);
    if (which == 0) return walk(OP_EXPIRE, test_random_below(BUCKETS), BUCKETS, 100);
    if (which == 1) return scan(kernel, 0, BUCKETS, ROWS_COUNT, 100);
    return restore(kernel, ROWS_COUNT);
}

} // namespace

TEST(rows_past_their_time_are_scanned_over_and_expired_wherever_it_begins) {
    repeat(4, [] {
        Kernel kernel;
        const uint64_t now = TTL + test_random_below(ROWS_COUNT * 3 - 3),
                       left = keys_above(now - TTL);

        load_rows(kernel);
        CHECK_EQ(scan_all(kernel, 0), keys_above(0) | 1);
        CHECK_EQ(scan_all(kernel, int64_t(now)), left);
        const Completion done =
            kernel.done(walk(OP_EXPIRE, test_random_below(BUCKETS), BUCKETS, int64_t(now)));
        CHECK_CODE(cst_code(done.code), CST_OK);
        CHECK_EQ(done.row, BUCKETS);
        CHECK_EQ(done.rows_count, uint64_t(__builtin_popcountll(left)));
        CHECK_EQ(scan_all(kernel, INT64_MIN), left);
        kernel.check_works();
    });
}

TEST(records_become_rows_and_take_them_away) {
    repeat(4, [] {
        Kernel kernel;
        uint64_t keys = 0;

        CHECK_EQ(kernel.done(table_of_times(kernel)).code, CST_OK);
        for (uint32_t round = 0; round < 4; round++) {
            const uint32_t count = uint32_t(test_random_below(200));

            for (uint32_t r = 0; r < count; r++) {
                const uint64_t key = test_random_below(ROWS_COUNT);
                const bool present = test_random_below(3) != 0;

                put_record(kernel, r, key, present);
                keys = (keys & ~(UINT64_C(1) << key)) | uint64_t(present) << key;
            }
            const Completion done = kernel.done(restore(kernel, count));
            CHECK_CODE(cst_code(done.code), CST_OK);
            CHECK_EQ(done.row, count);
            CHECK_EQ(done.rows_count, uint64_t(__builtin_popcountll(keys)));
            CHECK_EQ(done.tail, 32); // nothing was logged
            CHECK_EQ(scan_all(kernel, INT64_MIN), keys);
        }
        kernel.check_works();
    });
}

TEST(a_fault_in_their_midst_loses_the_run_until_a_soft_reset) {
    repeat(3, [] {
        for (uint32_t which = 0; which < 3; which++) {
            for (uint32_t port : {uint32_t(test_random_below(CHANNELS)), BATCH_PORT}) {
                Kernel kernel;
                Completion done = {};

                load_rows(kernel);
                kernel.fail(port, false, AxiSlverr, 1 + (port == BATCH_PORT));
                if (port == BATCH_PORT && which < 2) kernel.fail(port, true, AxiDecerr, 0);
                bool there = true;
                for (uint32_t i = 0; there && done.code == CST_OK; i++) {
                    CHECK(i < 20);
                    kernel.put(any_of(kernel, which));
                    there = kernel.wait_done(&done);
                }
                if (there) CHECK_CODE(cst_code(done.code), CST_DEVICE_LOST);
                CHECK(kernel.failed(port));
                kernel.wait_run_end();
                kernel.write(CTRL, CTRL_CONTINUE);
                kernel.soft_reset();
                kernel.check_works();
            }
        }
    });
}

TEST(a_soft_reset_in_their_midst_leaves_a_kernel_that_works) {
    repeat(2, [] {
        Kernel kernel;

        for (uint32_t i = 0; i < 6; i++) {
            load_rows(kernel);
            kernel.put(any_of(kernel, i % 3));
            kernel.bench.run(test_random_below(1500));
            kernel.soft_reset();
            kernel.check_works(6);
        }
    });
}

// The row of the directory does not come, so operations stand in line, and a record behind them.
TEST(records_wait_for_memory_and_a_reset_leaves_none_behind) {
    for (bool reset : {false, true}) {
        const uint32_t count = 600;
        Command idle = Kernel::of(OP_BARRIER); // when it is done nothing is on its way to memory
        Kernel kernel;

        CHECK_EQ(kernel.done(table_of_times(kernel)).code, CST_OK);
        for (uint32_t r = 0; r < count; r++) put_record(kernel, r, r % ROWS_COUNT, true);
        kernel.silence(0, SilentR);
        kernel.put(restore(kernel, count));
        kernel.bench.run(4000);
        if (reset) kernel.hard_reset(2);
        kernel.silence(0, 0);
        if (reset) {
            kernel.start();
        } else {
            Completion done;

            CHECK(kernel.wait_done(&done));
            CHECK_EQ(done.code, CST_OK);
            CHECK_EQ(done.rows_count, ROWS_COUNT);
            idle.flags = FENCE;
            CHECK_EQ(kernel.done(idle).code, CST_OK);
        }
        kernel.check_works();
    }
}

TEST_MAIN
