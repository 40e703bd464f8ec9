// model: kernel
// What is wrong reaches the kernel by every way there is, and each time: the status register and
// the batch's completion say so, it does not hang, nothing is written outside of what it was given,
// and after a soft reset it works.
#include "kernel.hpp"

namespace {

enum { FEW = 6 }; // rows that show that a kernel works, where many are asked

// Commands of all kinds, one after the other; false: the run was lost, with or without a
// completion.
bool work(Kernel &kernel, Completion *out) {
    const uint32_t rows = 30 + uint32_t(test_random_below(30));
    Command keys = kernel.rows(rows, KIND_UPSERT);

    keys.op = OP_KEYS;
    keys.results = kernel.at(RESULTS);
    const auto one = [&](const Command &command) {
        *out = {};
        kernel.put(command);
        if (!kernel.wait_done(out)) return false;
        if (out->code == CST_DEVICE_LOST) return false;
        CHECK_CODE(cst_code(out->code), CST_OK);
        return true;
    };
    return one(kernel.table()) && one(kernel.rows(rows, KIND_UPSERT)) &&
           one(kernel.rows(rows + 9, KIND_LOOKUP)) && one(Kernel::of(OP_BARRIER)) && one(keys) &&
           one(kernel.rows(rows, KIND_DELETE)) && one(kernel.rows(rows, KIND_UPSERT));
}

// The run has ended, and says why; from here on nothing is asked of memory and nothing changes.
void check_lost(Kernel &kernel, const Completion &last, uint32_t port, uint32_t fault) {
    const uint32_t shift = port == BATCH_PORT ? 12 : 8;
    // Without the batch's memory the unit still does what it has taken, in an image that is well.
    const bool channels = port != BATCH_PORT;

    if (port != BATCH_PORT) { // of the batch's memory no completion can come
        CHECK_EQ(last.code, CST_DEVICE_LOST);
        CHECK_EQ(last.faults & fault, fault);
    } else {
        CHECK_EQ(last.code, CST_OK);
    }
    kernel.wait_run_end();
    const uint32_t status = kernel.read(STATUS);
    if ((status >> shift & 15 & fault) != fault || !(status & LOST) || status & RUNNING)
        TEST_FAIL("port %u, fault %u: status %08x", port, fault, status);
    CHECK_EQ(status >> 16 & 255, CST_DEVICE_LOST);
    // Of a completion that is there the answer may be what never came.
    const uint32_t missing = kernel.number() - kernel.read(COMPLETED);
    CHECK(port == BATCH_PORT ? missing == 1 || missing == 2 : missing == 0);
    kernel.settle();
    const std::vector<uint8_t> before = kernel.bytes(channels);
    const uint64_t bursts = kernel.bursts(channels);
    // It stays lost, whoever starts it.
    kernel.write(CTRL, CTRL_CONTINUE);
    kernel.write(CTRL, CTRL_START);
    kernel.wait_run_end();
    CHECK_EQ(kernel.read(STATUS) >> 16 & 255, CST_DEVICE_LOST);
    kernel.bench.run(300);
    CHECK(kernel.bytes(channels) == before);
    CHECK_EQ(kernel.bursts(channels), bursts);
}

// Works until the fault that is laid at the port has come, and is lost then.
void check_fault(Kernel &kernel, uint32_t port, uint32_t fault) {
    Completion last;

    for (uint32_t i = 0; work(kernel, &last); i++)
        if (i > 20) TEST_FAIL("port %u: the fault never came", port);
    check_lost(kernel, last, port, fault);
}

struct Wrong {
    cst_code code;
    std::function<void(Kernel &, Command &)> spoil;
};

uint64_t not_aligned(uint64_t address) {
    return address + 1 + test_random_below(BEAT - 1);
}

// What may be wrong with a command for rows; for one that loads a table.
const std::vector<Wrong> wrong_rows = {
    {CST_UNSUPPORTED, [](Kernel &, Command &c) { c.op = 0; }},
    {CST_UNSUPPORTED,
     [](Kernel &, Command &c) { c.op = uint8_t(OP_RESTORE + 1 + test_random_below(246)); }},
    {CST_USAGE,
     [](Kernel &, Command &c) {
         // Another command's, a long key in a form that has none, nobody's.
         const uint8_t flags[] = {16, 64, 128};
         c.flags |= flags[test_random_below(3)];
     }},
    {CST_USAGE, [](Kernel &, Command &c) { c.reserved0 = uint16_t(1 << test_random_below(16)); }},
    {CST_USAGE,
     [](Kernel &, Command &c) {
         // What other commands have, and what is nobody's; the first is a row's time.
         uint64_t *const others[] = {&c.at, &c.epoch, &c.reserved1};
         *others[test_random_below(3)] = UINT64_C(1) << test_random_below(64);
     }},
    {CST_USAGE, [](Kernel &, Command &c) { c.address = not_aligned(c.address); }},
    {CST_USAGE, [](Kernel &, Command &c) { c.results = not_aligned(c.results); }},
    // A batch that ends before its rows do: they would go on past the end of the memory.
    {CST_USAGE, [](Kernel &k, Command &c) { c.address = k.at(END) - (c.count - 1) * BEAT; }},
    {CST_USAGE,
     [](Kernel &k, Command &c) { c.address = k.at(END) - c.count * BEAT, c.flags |= 4; }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.address = k.at(END); }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.address = k.at(0) - BEAT; }},
    {CST_USAGE, [](Kernel &, Command &c) { c.address = 0; }},
    {CST_USAGE, [](Kernel &, Command &c) { c.address = UINT64_MAX - 63; }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.results = k.at(END) - (2 * c.count - 1) * BEAT; }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.results = k.at(0) - 2 * c.count * BEAT; }},
    {CST_USAGE, [](Kernel &, Command &c) { c.results = UINT64_MAX - 63; }},
    {CST_LIMIT, [](Kernel &, Command &c) { c.count = 65537; }},
    {CST_LIMIT, [](Kernel &, Command &c) { c.count = UINT32_MAX; }},
    {CST_LIMIT, [](Kernel &, Command &c) { c.count = 1u << 20; }}, // no beats, modulo 2^20
};
// With one for keys that come as cells, of two beats a row, with results of one beat or two.
const std::vector<Wrong> wrong_cells = {
    {CST_USAGE, [](Kernel &, Command &c) { c.at = 0; }},
    {CST_USAGE, [](Kernel &, Command &c) { c.at = 9; }},
    {CST_USAGE, [](Kernel &, Command &c) { c.at |= UINT64_C(16) << test_random_below(60); }},
    {CST_USAGE,
     [](Kernel &, Command &c) {
         // Not encoded, not hashed; rows of two beats, records, half a beat.
         const uint8_t flags[] = {ENCODE, HASH, WIDE, MORE, COMPACT};
         c.flags ^= flags[test_random_below(5)];
     }},
    {CST_USAGE,
     [](Kernel &, Command &c) {
         const uint8_t ops[] = {OP_LOAD,   OP_ROWS, OP_BARRIER, OP_RELEASE,
                                OP_EXPIRE, OP_SCAN, OP_RESTORE};
         c.op = ops[test_random_below(7)];
     }},
    {CST_USAGE,
     [](Kernel &, Command &c) {
         uint64_t *const others[] = {&c.now, &c.epoch, &c.reserved1};
         *others[test_random_below(3)] = UINT64_C(1) << test_random_below(64);
     }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.address = k.at(END) - (2 * c.count - 1) * BEAT; }},
    {CST_USAGE,
     [](Kernel &k, Command &c) {
         c.at = 8;
         c.address = k.at(END) - (8 * c.count - 1) * BEAT;
     }},
    {CST_USAGE, [](Kernel &, Command &c) { c.address = UINT64_MAX - 63; }},
    {CST_USAGE, [](Kernel &, Command &c) { c.results = 0; }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.results = k.at(END) - (c.count - 1) * BEAT; }},
    {CST_USAGE,
     [](Kernel &k, Command &c) {
         c.flags |= LONG_KEYS;
         c.results = k.at(END) - (2 * c.count - 1) * BEAT;
     }},
    {CST_USAGE, [](Kernel &, Command &c) { c.count = 65536, c.at = 8; }}, // a long way
    {CST_LIMIT, [](Kernel &, Command &c) { c.count = 65537; }},
    {CST_LIMIT, [](Kernel &, Command &c) { c.count = 1u << 19; }}, // no beats, modulo 2^20
};
const std::vector<Wrong> wrong_loads = {
    {CST_USAGE, [](Kernel &, Command &c) { c.address = not_aligned(c.address); }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.address = k.at(END) - 5 * BEAT; }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.address = k.at(END) - 6 * BEAT, c.count = 33; }},
    {CST_USAGE, [](Kernel &k, Command &c) { c.address = k.at(0) - BEAT; }},
    {CST_USAGE, [](Kernel &, Command &c) { c.flags = 128; }},
    {CST_LIMIT, [](Kernel &, Command &c) { c.count = 4097; }},
};

// The command is refused, nothing changes, and rows and barriers are refused until a load.
void check_refused(Kernel &kernel, const Wrong &wrong, Command command) {
    wrong.spoil(kernel, command);
    const std::vector<uint8_t> before = kernel.bytes();
    const uint64_t ring = RING * BEAT; // completions, where bytes() begins
    const Completion done = kernel.done(command);
    CHECK_CODE(cst_code(done.code), wrong.code);
    CHECK_EQ(done.stopped, 1);
    CHECK_CODE(cst_code(kernel.done(kernel.rows(3, KIND_UPSERT)).code), CST_ABORTED);
    CHECK_CODE(cst_code(kernel.done(Kernel::of(OP_BARRIER)).code), CST_ABORTED);
    CHECK_EQ(kernel.read(STATUS) & 0xffff, RUNNING | STOPPED);
    kernel.rows(20, KIND_UPSERT); // as they stood
    const std::vector<uint8_t> after = kernel.bytes();
    CHECK(std::equal(after.begin() + ring, after.end(), before.begin() + ring));
}

} // namespace

TEST(a_command_that_cannot_be_says_so_and_changes_nothing) {
    repeat(1, [] {
        Kernel kernel;

        for (uint32_t i = 0; i < wrong_rows.size(); i++) {
            const uint8_t kinds[] = {OP_ROWS, OP_KEYS};
            Command command;

            CHECK_EQ(kernel.load().code, CST_OK);
            CHECK_EQ(kernel.done(kernel.rows(20, KIND_UPSERT)).code, CST_OK);
            command = kernel.rows(20, KIND_UPSERT);
            command.op = kinds[test_random_below(2)];
            command.results = kernel.at(RESULTS);
            // Of a key there is one beat: two results too many are no wrong keys.
            if (i == 13) command.op = OP_ROWS;
            check_refused(kernel, wrong_rows[i], command);
        }
        for (const Wrong &wrong : wrong_cells) {
            CHECK_EQ(kernel.load().code, CST_OK);
            CHECK_EQ(kernel.done(kernel.rows(20, KIND_UPSERT)).code, CST_OK);
            Command command = kernel.rows(20, KIND_UPSERT);

            command.op = OP_KEYS;
            command.flags |= CELLS | ENCODE | HASH;
            command.results = kernel.at(RESULTS);
            command.at = 2;
            check_refused(kernel, wrong, command);
        }
        for (const Wrong &wrong : wrong_loads) {
            CHECK_EQ(kernel.load().code, CST_OK);
            CHECK_EQ(kernel.done(kernel.rows(20, KIND_UPSERT)).code, CST_OK);
            Command command = Kernel::of(OP_LOAD);

            command.address = kernel.at(TABLE);
            command.count = 1;
            check_refused(kernel, wrong, command);
        }
        kernel.soft_reset();
        kernel.check_works();
    });
}

TEST(a_row_that_cannot_be_stops_what_is_behind_it) {
    repeat(3, [] {
        Kernel kernel;
        const uint32_t at = uint32_t(test_random_below(20));

        for (uint32_t i = 0; i < 3; i++) {
            CHECK_EQ(kernel.load().code, CST_OK);
            Command rows = kernel.rows(20, KIND_UPSERT);
            uint8_t *row = kernel.memory(ROWS + at * BEAT);

            if (i == 0) row[0] = uint8_t(3 + test_random_below(253)); // a kind there is none of
            if (i == 1)
                row[1] = uint8_t(9 + test_random_below(247)); // longer than the table's keys
            if (i == 2) row[0] = KIND_LOOKUP;                 // and no place for its result
            rows.row = 1000;
            const Completion done = kernel.done(rows);
            CHECK_CODE(cst_code(done.code), i == 1 ? CST_KEY_TOO_LONG : CST_USAGE);
            CHECK_EQ(done.row, 1000 + at);
            CHECK_EQ(done.rows_count, at);
            CHECK_EQ(done.stopped, 1);
        }
        kernel.soft_reset();
        kernel.check_works();
    });
}

TEST(arguments_that_cannot_be_end_the_run) {
    Kernel kernel;
    const struct {
        uint32_t word;
        uint64_t value;
    } wrongs[] = {
        {0, kernel.at(8)},
        {0, kernel.at(0) - BEAT},
        {0, kernel.at(END - BEAT)},
        {0, UINT64_MAX - 63},
        {2, kernel.at(4)},
        {2, kernel.at(0) - 512},
        {2, kernel.at(END - 256)},
        {4, 17},
        {4, 31},
        {8, kernel.at(0)},
        {10, 64},
        {10, 2048},
        {12, kernel.stride() + 64},
        {12, kernel.stride() + 1},
    };

    kernel.check_works();
    CHECK_EQ(kernel.done(Kernel::of(OP_END)).code, CST_OK);
    kernel.wait_run_end();
    for (const auto &wrong : wrongs) {
        const uint64_t bursts = kernel.bursts();

        kernel.write(CTRL, CTRL_CONTINUE);
        kernel.arguments();
        kernel.argument(wrong.word, wrong.value);
        kernel.write(CTRL, CTRL_START);
        kernel.wait_run_end();
        if ((kernel.read(STATUS) >> 16 & 255) != CST_USAGE)
            TEST_FAIL("argument %u as %" PRIx64 ": status %08x", wrong.word, wrong.value,
                      kernel.read(STATUS));
        CHECK_EQ(kernel.bursts(), bursts);
    }
    kernel.write(CTRL, CTRL_CONTINUE);
    kernel.soft_reset();
    kernel.check_works();
}

// Offsets in the table's block: docs/hardware.md, Kernel.
TEST(a_table_that_cannot_be_is_not_loaded) {
    repeat(1, [] {
        const struct {
            uint32_t offset, bytes;
            uint64_t value;
        } wrongs[] = {
            {16, 8, 8},  {24, 8, 4096 + 32}, {32, 8, 1},       {40, 8, 63}, // bases
            {52, 4, 0},                                                     // stride + 1
            {60, 1, 17}, {60, 1, 255},                                      // key bytes
            {61, 1, 0},  {61, 1, 2},         {61, 1, 4},       {61, 1, 5},  // units
            {62, 1, 0},  {62, 1, 2},         {62, 1, 33},                   // words
            {63, 1, 25}, {63, 1, 65},        {63, 1, 128 + 8},              // value bytes
        };
        Kernel kernel;

        for (const auto &wrong : wrongs) {
            kernel.check_works(FEW);
            Command table = kernel.table();
            uint64_t value = wrong.value;

            if (wrong.offset == 52) value = kernel.stride() / 4096 + 1;
            memcpy(kernel.memory(TABLE + wrong.offset), &value, wrong.bytes);
            const Completion done = kernel.done(table);
            if (done.code != CST_USAGE || !done.stopped)
                TEST_FAIL("%" PRIu64 " at %u: %s", value, wrong.offset,
                          cst_code_name(cst_code(done.code)));
            CHECK_CODE(cst_code(kernel.done(kernel.rows(9, KIND_UPSERT)).code), CST_ABORTED);
        }
        kernel.check_works();
    });
}

TEST(an_error_of_any_port_loses_the_run_until_a_soft_reset) {
    repeat(1, [] {
        for (uint32_t i = 0; i < 2 * PORTS; i++) {
            Kernel kernel;
            const bool write = i % 2;
            const uint8_t response = test_random_below(2) ? AxiSlverr : AxiDecerr;

            kernel.fail(i / 2, write, response, test_random_below(4));
            check_fault(kernel, i / 2, write ? FAULT_WRITE : FAULT_READ);
            kernel.soft_reset();
            kernel.check_works(FEW);
        }
    });
}

// Nobody answers any more, at one port, from some clock on: an address, a beat or an answer.
TEST(a_port_that_falls_silent_loses_the_run_until_it_speaks_again) {
    repeat(1, [] {
        // rtl.state.state has each channel; here one of them, and the batch's port each way.
        const uint32_t ports[] = {BATCH_PORT, BATCH_PORT, uint32_t(test_random_below(CHANNELS))};
        const uint32_t handshakes[] = {SilentAr, SilentR, SilentAw, SilentW, SilentB};

        for (uint32_t i = 0; i < 3; i++) {
            Kernel kernel;
            const uint32_t silent = i == 0   ? handshakes[test_random_below(2)]
                                    : i == 1 ? handshakes[2 + test_random_below(3)]
                                             : handshakes[test_random_below(5)];

            kernel.check_works();
            kernel.silence(ports[i], silent);
            check_fault(kernel, ports[i], FAULT_SILENT);
            // What is owed could still land on what comes next: the reset waits for it.
            kernel.write(CTRL, CTRL_SOFT_RESET);
            kernel.bench.run(3000);
            CHECK_EQ(kernel.read(CTRL) & CTRL_IDLE, 0);
            if (test_random_below(2)) {
                kernel.silence(ports[i], 0);
                kernel.soft_reset();
            } else { // it never speaks: what is left is a reset of both sides
                kernel.hard_reset(2 + uint32_t(test_random_below(8)));
                kernel.start();
            }
            kernel.check_works();
        }
    });
}

// A damaged image leads outside of it: the kernel says so, and does not go there.
TEST(an_address_outside_of_the_image_loses_the_run_until_a_soft_reset) {
    repeat(4, [] {
        Kernel kernel;
        const uint32_t region = uint32_t(test_random_below(4));
        const bool row = test_random_below(2) == 0;
        Command table = kernel.table();
        const uint64_t base = (UINT64_C(1) << 34) - 65536, chunks = UINT64_C(0xffffffffffffffff);

        // Its row names chunks that there are not, or a region begins at the end of all addresses.
        if (row)
            memcpy(kernel.channel(0, 4), &chunks, 8), memcpy(kernel.channel(0, 12), &chunks, 8);
        if (!row) memcpy(kernel.memory(TABLE + 16 + region * 8), &base, 8);
        CHECK_EQ(kernel.done(table).code, CST_OK);
        Completion done = {};
        kernel.put(kernel.rows(20, KIND_UPSERT));
        CHECK(kernel.wait_done(&done));
        check_lost(kernel, done, 0, FAULT_OUTSIDE);
        kernel.soft_reset();
        kernel.check_works();
    });
}

// A wrong bit that comes with OKAY is not noticed by the circuit (docs/hardware.md says who does):
// what it does of it stays within its memory and within AXI's rules, and a soft reset ends it.
TEST(a_wrong_bit_of_memory_does_no_harm_outside_and_ends_with_a_soft_reset) {
    repeat(1, [] {
        for (uint32_t i = 0; i < 8; i++) {
            Kernel kernel;
            const uint32_t port = i % 2 ? BATCH_PORT : uint32_t(test_random_below(CHANNELS));
            const uint8_t kinds[] = {KIND_UPSERT, KIND_DELETE, KIND_UPSERT, KIND_LOOKUP};

            if (i % 4 < 2) CHECK_EQ(kernel.load().code, CST_OK);
            if (i % 4 >= 2) kernel.put(kernel.table());
            kernel.corrupt(port, test_random_below(i % 4 < 2 ? 60 : 6));
            for (uint8_t kind : kinds) {
                kernel.put(kernel.rows(60, kind));
                kernel.bench.run(700);
            }
            kernel.soft_reset();
            kernel.check_works(FEW);
        }
    });
}

// Whatever is written to its registers while it runs changes nothing of the run; a start waits.
TEST(writes_to_its_registers_do_not_touch_a_run) {
    repeat(1, [] {
        Kernel kernel;

        CHECK_EQ(kernel.load().code, CST_OK);
        for (uint32_t round = 0; round < 4; round++) {
            Completion done = {};

            kernel.put(kernel.rows(100, round % 2 ? KIND_LOOKUP : KIND_UPSERT));
            for (uint32_t i = 0; i < 20; i++) {
                uint32_t offset = 4 * uint32_t(test_random_below(1024));

                if (i % 2) offset = ARGUMENTS + 4 * uint32_t(test_random_below(ARGUMENT_WORDS));
                if (i == 10) offset = STATUS;
                if (offset == CTRL) continue;
                kernel.write(offset, uint32_t(test_random()), uint32_t(test_random_below(16)));
            }
            kernel.write(CTRL, CTRL_START | CTRL_CONTINUE);
            CHECK(kernel.wait_done(&done));
            CHECK_EQ(done.code, CST_OK);
            CHECK_EQ(done.rows_count, 100);
            CHECK_EQ(kernel.read(CTRL) & (CTRL_START | CTRL_DONE | CTRL_IDLE), CTRL_START);
        }
        // The start that waits goes with the run.
        kernel.write(GIE, 0);
        kernel.soft_reset();
        kernel.check_works();
    });
}

// At any clock, and again before the first one has ended.
TEST(a_soft_reset_at_any_clock_leaves_a_kernel_that_works) {
    repeat(2, [] {
        Kernel kernel;

        for (uint32_t i = 0; i < 6; i++) {
            if (i % 4) CHECK_EQ(kernel.load().code, CST_OK);
            if (!(i % 4)) kernel.put(kernel.table());
            kernel.put(kernel.rows(80, KIND_UPSERT));
            if (test_random_below(2)) kernel.put(kernel.rows(90, KIND_LOOKUP));
            if (test_random_below(2))
                kernel.fail(uint32_t(test_random_below(PORTS)), test_random_below(2), AxiSlverr,
                            test_random_below(8));
            kernel.bench.run(test_random_below(1500));
            if (test_random_below(2)) kernel.write(CTRL, CTRL_SOFT_RESET);
            kernel.bench.run(test_random_below(40));
            kernel.soft_reset();
            kernel.check_works(FEW);
        }
    });
}

TEST(a_reset_at_any_clock_leaves_a_kernel_that_works) {
    repeat(2, [] {
        Kernel kernel;

        for (uint32_t i = 0; i < 6; i++) {
            kernel.put(kernel.table());
            kernel.put(kernel.rows(80, KIND_UPSERT));
            kernel.put(kernel.rows(90, KIND_LOOKUP));
            kernel.bench.run(test_random_below(3000));
            if (test_random_below(4) == 0) kernel.write(CTRL, CTRL_SOFT_RESET);
            kernel.hard_reset(2 + uint32_t(test_random_below(8)));
            CHECK_EQ(kernel.read(STATUS), VERSION << 24);
            kernel.start();
            kernel.check_works(FEW);
        }
    });
}

TEST_MAIN
