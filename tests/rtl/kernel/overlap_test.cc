// model: kernel
// Commands that are begun while others are under way, rows and records in each of their forms, and
// a reset at the stages of a command that last a clock: what the other benches of the ring leave
// out.
#include "kernel.hpp"
#include "values.hpp"

namespace {

enum : uint32_t { BUCKETS = 32, UNIT = 32, ROWS_COUNT = 21, FREE_BEAT = 760 };

const cst_hash_key hash_key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

// Rows whose completion may be late.
Command late_rows(Kernel &kernel, uint32_t count) {
    Command command = kernel.rows(count, KIND_UPSERT);

    command.flags = 0;
    return command;
}

Command fenced(uint8_t op) {
    Command command = Kernel::of(op);

    command.flags = FENCE;
    return command;
}

Completion completion_of(Kernel &kernel, uint32_t number) {
    Completion completion;

    memcpy(&completion, kernel.memory(COMPLETIONS + (number - 1) % RING * BEAT), sizeof completion);
    CHECK_EQ(completion.number, number);
    return completion;
}

void silence_channels(Kernel &kernel, uint32_t handshakes) {
    for (uint32_t c = 0; c < CHANNELS; c++) kernel.silence(c, handshakes);
}

// The command's completion; the run goes on.
Completion wait(Kernel &kernel) {
    Completion done;

    CHECK(kernel.wait_done(&done));
    return done;
}

// ---- Rows in a form -------------------------------------------------------------------------
struct Form {
    const char *schema;
    uint8_t flags;
    uint32_t words; // of 64 bits, of a value
};

const Form forms[] = {
    {"u64", 0, 1},
    {"u64", HASH, 2},
    {"u64", ENCODE | HASH, 1},
    {"u32,u32", ENCODE | HASH, 4},
    {"u64", COMPACT | ENCODE | HASH, 2},
    {"u64,u64", COMPACT | ENCODE | HASH | LONG_KEYS, 1},
    {"u64", WIDE | HASH, 8},
    {"u64,u64", WIDE | ENCODE | HASH, 8},
};

uint32_t units_of(uint32_t words) {
    return (16 + 16 + words * 8 + UNIT - 1) / UNIT;
}

uint64_t word_of(uint32_t row, uint32_t word) {
    return (row + 1) * UINT64_C(0x100000001b3) + word;
}

// kernel.table() with keys of up to 16 bytes and values of so many words, which are replaced.
Command table_of(Kernel &kernel, const cst_schema &schema, uint32_t words) {
    const Command table = kernel.table();
    uint8_t *to = kernel.memory(TABLE);
    const uint32_t sizes = 16 | units_of(words) << 8 | 2u << 16 | words * 8 << 24;
    const uint32_t sources = 0x76543210, chunks = 4;

    memcpy(to, &hash_key, sizeof hash_key);
    memcpy(to + 60, &sizes, 4);
    to[BEAT + 3] = uint8_t(schema.columns_count - 1);
    memcpy(to + BEAT + 20, &sources, 4);
    memcpy(to + 2 * BEAT + 44, &chunks, 4);
    for (uint32_t c = 0; c < schema.columns_count; c++) {
        const uint32_t bits = column_bits(schema.columns[c]);

        memcpy(to + 3 * BEAT + 2 * c, &bits, 2);
    }
    return table;
}

// A row's values, and its key as the host encodes it.
struct Keyed {
    std::vector<uint8_t> values;
    Encoded key;
    uint64_t hash;
};

Keyed keyed(const cst_schema &schema, uint32_t row) {
    std::vector<Value> columns;
    Keyed result;

    for (uint32_t c = 0; c < schema.columns_count; c++) {
        const Value value = from_bits(schema.columns[c], row * 7 + c);

        result.values.insert(result.values.end(), value.bytes.begin(), value.bytes.end());
        columns.push_back(value);
    }
    result.key = encode_reference(schema, columns);
    CHECK_EQ(result.key.code, CST_OK);
    result.hash = cst_hash(&hash_key, result.key.key.data(), result.key.bytes);
    return result;
}

uint32_t row_bytes(uint8_t flags) {
    return flags & COMPACT ? BEAT / 2 : flags & WIDE ? 2 * BEAT : BEAT;
}

void put_row(const Keyed &row, uint8_t kind, const Form &form, uint32_t number, uint8_t *to) {
    const bool raw = form.flags & ENCODE, compact = form.flags & COMPACT;
    const uint8_t *key = raw ? row.values.data() : row.key.key.data();
    const uint32_t bytes = raw ? uint32_t(row.values.size()) : row.key.bytes;

    memset(to, 0, row_bytes(form.flags));
    to[0] = kind;
    to[1] = uint8_t(bytes);
    if (!compact && !(form.flags & HASH)) memcpy(to + 8, &row.hash, 8);
    memcpy(to + (compact ? 8 : 16), key, std::min(bytes, compact ? 8u : 16u));
    for (uint32_t w = 0; w < form.words; w++) {
        const uint64_t word = word_of(number, w);

        memcpy(to + (compact ? 16 : 32) + w * 8, &word, 8);
    }
    if (form.flags & LONG_KEYS) memcpy(to + 24, key + 8, 8);
}

Command rows_of(Kernel &kernel, const cst_schema &schema, const Form &form, uint8_t op,
                uint8_t kind) {
    Command command = fenced(op);

    for (uint32_t r = 0; r < ROWS_COUNT; r++)
        put_row(keyed(schema, r), kind, form, r, kernel.memory(ROWS + r * row_bytes(form.flags)));
    command.flags = uint8_t(command.flags | form.flags);
    command.count = ROWS_COUNT;
    command.address = kernel.at(ROWS);
    if (op == OP_KEYS || kind == KIND_LOOKUP) command.results = kernel.at(RESULTS);
    return command;
}

void check_keys(Kernel &kernel, const cst_schema &schema, const Form &form) {
    const uint32_t stride = form.flags & COMPACT ? BEAT / 2 : BEAT;

    CHECK_EQ(kernel.done(rows_of(kernel, schema, form, OP_KEYS, KIND_UPSERT)).code, CST_OK);
    for (uint32_t r = 0; r < ROWS_COUNT; r++) {
        const uint8_t *from = kernel.memory(RESULTS + r * stride);
        const Keyed wanted = keyed(schema, r);

        CHECK_EQ(from[0], CST_OK);
        CHECK_EQ(from[2], wanted.key.bytes);
        CHECK_BYTES(from + 8, &wanted.hash, 8);
        CHECK_BYTES(from + 16, wanted.key.key.data(), 16);
    }
}

// By keys that come encoded, with their hashes.
void check_values(Kernel &kernel, const cst_schema &schema, uint32_t words) {
    const Form plain = {nullptr, 0, 0};

    Command command = rows_of(kernel, schema, plain, OP_ROWS, KIND_LOOKUP);
    kernel.memory(ROWS)[2] = 1; // a null word: of a look-up it is nothing
    CHECK_EQ(kernel.done(command).code, CST_OK);
    for (uint32_t r = 0; r < ROWS_COUNT; r++) {
        const uint8_t *from = kernel.memory(RESULTS + r * 2 * BEAT);

        CHECK_EQ(from[0], CST_OK);
        CHECK_EQ(from[1], 1);
        for (uint32_t w = 0; w < words; w++) {
            const uint64_t wanted = word_of(r, w);

            CHECK_BYTES(from + BEAT + w * 8, &wanted, 8);
        }
    }
}

// ---- Resets ---------------------------------------------------------------------------------
struct Kind {
    uint32_t behind, before, after; // clocks in which a reset comes
    std::function<Command(Kernel &)> command;
};

Command keys_of_numbers(Kernel &kernel) {
    Command command = kernel.rows(10, KIND_UPSERT);

    command.op = OP_KEYS;
    command.results = kernel.at(RESULTS);
    return command;
}

// Each takes two beats: ten rows, of which every other one is there.
Command wide_rows(Kernel &kernel) {
    Command command = kernel.rows(20, KIND_UPSERT);

    command.flags |= WIDE;
    command.count = 10;
    return command;
}

Command scan_of(Kernel &kernel) {
    Command command = Kernel::of(OP_SCAN);

    command.count = BUCKETS;
    command.row = ROWS_COUNT;
    command.results = kernel.at(RESULTS);
    return command;
}

// A gap of so many units, where rows do not reach.
Command gap_of(Kernel &kernel, uint64_t units) {
    const uint64_t words[2] = {0, units << 16 | UINT64_C(0x20000000) << 32};
    Command command = Kernel::of(OP_RESTORE);

    memset(kernel.memory(ROWS + FREE_BEAT * BEAT), 0, units * UNIT);
    memcpy(kernel.memory(ROWS + FREE_BEAT * BEAT), words, sizeof words);
    command.count = uint32_t(units);
    command.address = kernel.at(ROWS + FREE_BEAT * BEAT);
    return command;
}

// Until the command that was put last is on its way in.
void run_until_read(Kernel &kernel) {
    for (uint32_t i = 0; !(kernel.bench->m_axi_batch_RVALID && kernel.bench->m_axi_batch_RREADY &&
                           kernel.bench->m_axi_batch_RDATA[0] == kernel.number());
         i++) {
        CHECK(i < 10000);
        kernel.bench.tick();
    }
}

uint64_t clocks_until_completion(Kernel &kernel) {
    const uint64_t from = kernel.bench.clock(), first = kernel.at(COMPLETIONS);

    while (!(kernel.bench->m_axi_batch_AWVALID && kernel.bench->m_axi_batch_AWADDR >= first &&
             kernel.bench->m_axi_batch_AWADDR < first + RING * BEAT)) {
        CHECK(kernel.bench.clock() - from < 10000);
        kernel.bench.tick();
    }
    return kernel.bench.clock() - from;
}

void reset_and_start(Kernel &kernel) {
    kernel.hard_reset(2);
    kernel.start();
}

} // namespace

TEST(rows_and_barriers_that_overlap_complete_in_order) {
    repeat(6, [] {
        Kernel kernel;
        const uint32_t count = 1 + uint32_t(test_random_below(60)),
                       barrier = uint32_t(test_random_below(6));

        CHECK_EQ(kernel.load().code, CST_OK);
        for (uint32_t i = 0; i < 6; i++)
            kernel.put(i == barrier ? Kernel::of(OP_BARRIER) : late_rows(kernel, count));
        (void)wait(kernel);
        for (uint32_t i = 0; i < 6; i++) {
            const Completion done = completion_of(kernel, i + 2);

            CHECK_EQ(done.code, CST_OK);
            if (i == barrier)
                CHECK_EQ(done.epoch, 2);
            else
                CHECK_EQ(done.row, count);
        }
        CHECK_EQ(kernel.done(Kernel::of(OP_BARRIER)).rows_count, count);
        CHECK_EQ(kernel.done(kernel.rows(count, KIND_LOOKUP)).code, CST_OK);
        for (uint32_t r = 0; r < count; r++) CHECK_EQ(kernel.memory(RESULTS + r * 2 * BEAT)[1], 1);
        kernel.check_works();
    });
}

TEST(no_rows_are_done_at_once_and_a_barrier_may_wait_for_all) {
    Kernel kernel;
    Command wrong = Kernel::of(OP_BARRIER);

    CHECK_EQ(kernel.load().code, CST_OK);
    CHECK_EQ(kernel.done(kernel.rows(0, KIND_UPSERT)).code, CST_OK);
    CHECK_EQ(kernel.done(late_rows(kernel, 0)).row, 0);
    CHECK_EQ(kernel.done(kernel.rows(9, KIND_UPSERT)).rows_count, 9);
    const Completion done = kernel.done(fenced(OP_BARRIER));
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.epoch, 2);
    CHECK_EQ(done.busy, 0);
    wrong.reserved1 = 1;
    CHECK_EQ(kernel.done(wrong).code, CST_USAGE);
    kernel.check_works();
}

// The row at which the first of two commands fails.
uint32_t row_that_fails(uint32_t count, uint32_t behind) {
    Kernel kernel;

    CHECK_EQ(kernel.load().code, CST_OK);
    kernel.put(late_rows(kernel, count));
    kernel.put(late_rows(kernel, behind));
    kernel.put(Kernel::of(OP_BARRIER));
    CHECK_EQ(wait(kernel).code, CST_ABORTED);
    const Completion failed = completion_of(kernel, 2);
    CHECK_EQ(failed.code, CST_TABLE_FULL);
    CHECK_EQ(completion_of(kernel, 3).code, CST_ABORTED);
    // The image is made anew when nothing is on its way to it any more.
    CHECK_EQ(kernel.done(fenced(OP_BARRIER)).busy, 0);
    kernel.check_works();
    return failed.row;
}

TEST(a_late_command_that_fails_stops_those_behind_it) {
    repeat(2, [] {
        const uint32_t row = row_that_fails(600, 600); // of 512 slots

        CHECK(row < 512);
        // At its last row: the unit has those behind it by then.
        CHECK_EQ(row_that_fails(row + 1, 1), row);
    });
}

TEST(a_fault_under_late_commands_loses_the_run) {
    repeat(2, [] {
        Kernel kernel;
        Completion done;

        CHECK_EQ(kernel.load().code, CST_OK);
        kernel.silence(0, SilentR); // the row of the directory
        kernel.fail(0, false, AxiDecerr, 0);
        for (uint32_t i = 0; i < 3; i++) kernel.put(late_rows(kernel, 40));
        kernel.bench.run(6000);
        kernel.silence(0, 0);
        if (kernel.wait_done(&done)) CHECK_EQ(done.code, CST_DEVICE_LOST);
        CHECK(kernel.failed(0));
        kernel.wait_run_end();
        CHECK_EQ(kernel.read(STATUS) & (RUNNING | LOST), LOST);
        CHECK_EQ(completion_of(kernel, 2).code, CST_DEVICE_LOST);
        kernel.write(CTRL, CTRL_CONTINUE);
        kernel.soft_reset();
        kernel.check_works();
    });
}

// Late, or with a fence, while its epoch is on the way to memory.
TEST(a_fault_under_a_barrier_loses_the_run) {
    for (uint8_t flags : {uint8_t(0), uint8_t(FENCE)}) {
        Kernel kernel;
        Command barrier = Kernel::of(OP_BARRIER);
        Completion done;

        CHECK_EQ(kernel.load().code, CST_OK);
        silence_channels(kernel, SilentW);
        barrier.flags = flags;
        kernel.put(late_rows(kernel, 40));
        kernel.put(barrier);
        kernel.bench.run(4000);
        kernel.fail(1, true, AxiSlverr, 0); // the first records are there
        silence_channels(kernel, 0);
        for (uint32_t i = 0; !kernel.failed(1); i++) {
            CHECK(i < 10000);
            kernel.bench.tick();
        }
        if (flags && kernel.wait_done(&done)) CHECK_EQ(done.code, CST_DEVICE_LOST);
        if (!flags) { // nobody may wait for it: what comes behind it does not end well
            kernel.put(kernel.rows(40, KIND_UPSERT));
            if (kernel.wait_done(&done)) CHECK_EQ(done.code, CST_DEVICE_LOST);
        }
        kernel.wait_run_end();
        kernel.write(CTRL, CTRL_CONTINUE);
        kernel.soft_reset();
        kernel.check_works();
    }
}

TEST(a_memory_that_stands_still_holds_everything_up_and_loses_nothing) {
    Kernel kernel;

    CHECK_EQ(kernel.load().code, CST_OK);
    kernel.silence(0, SilentR); // the row of the directory, which all wait for
    for (uint32_t i = 0; i < 6; i++) kernel.put(late_rows(kernel, 8));
    kernel.bench.run(4000);
    kernel.silence(0, 0);
    CHECK_EQ(wait(kernel).rows_count, 8);
    CHECK_EQ(kernel.load().code, CST_OK);
    kernel.silence(0, SilentR);
    kernel.put(kernel.rows(740, KIND_DELETE));
    kernel.bench.run(20000);
    kernel.silence(0, 0);
    CHECK_EQ(wait(kernel).row, 740);
    kernel.silence(BATCH_PORT, SilentB);
    kernel.put(kernel.rows(100, KIND_LOOKUP));
    kernel.bench.run(4000);
    kernel.silence(BATCH_PORT, 0);
    CHECK_EQ(wait(kernel).code, CST_OK);
    kernel.check_works();
}

// They wait until all that is under way is in memory.
TEST(what_wants_the_unit_idle_waits_for_late_commands) {
    repeat(3, [] {
        Kernel kernel;
        Command release = Kernel::of(OP_RELEASE);

        const Command table = kernel.table();
        CHECK_EQ(kernel.done(table).code, CST_OK);
        kernel.put(late_rows(kernel, 60));
        kernel.put(gap_of(kernel, 1 + test_random_below(5)));
        CHECK_EQ(wait(kernel).rows_count, 60);
        kernel.put(late_rows(kernel, 60));
        kernel.put(table); // forgets them: the control block has none
        CHECK_EQ(wait(kernel).rows_count, 0);
        CHECK_EQ(kernel.load().code, CST_OK);
        kernel.put(late_rows(kernel, 60));
        release.epoch = 1; // not sealed
        kernel.put(release);
        CHECK_EQ(wait(kernel).code, CST_EPOCH);
        kernel.check_works();
    });
}

TEST(rows_of_each_form_have_the_hosts_keys_and_values) {
    for (const Form &form : forms) {
        const cst_schema schema = parse(form.schema);
        Kernel kernel;

        CHECK_EQ(kernel.done(table_of(kernel, schema, form.words)).code, CST_OK);
        check_keys(kernel, schema, form);
        const Completion put = kernel.done(rows_of(kernel, schema, form, OP_ROWS, KIND_UPSERT));
        CHECK_EQ(put.code, CST_OK);
        CHECK_EQ(put.rows_count, ROWS_COUNT);
        check_values(kernel, schema, form.words);
    }
}

// A scan's records, behind a gap, are rows again.
TEST(records_of_each_size_are_scanned_and_restored) {
    for (uint32_t words : {1u, 4u, 8u}) {
        const cst_schema schema = parse("u64");
        const Form form = {nullptr, uint8_t(words > 4 ? WIDE : 0), words};
        const uint32_t units = units_of(words);
        Kernel kernel;

        CHECK_EQ(kernel.done(table_of(kernel, schema, words)).code, CST_OK);
        CHECK_EQ(kernel.done(rows_of(kernel, schema, form, OP_ROWS, KIND_UPSERT)).code, CST_OK);
        CHECK_EQ(kernel.done(scan_of(kernel)).row, ROWS_COUNT);
        std::vector<uint8_t> records;
        for (uint32_t r = 0; r < ROWS_COUNT; r++) {
            const uint8_t *from = kernel.memory(RESULTS + r * (units > 2 ? 2 : 1) * BEAT);

            records.insert(records.end(), from, from + units * UNIT);
        }
        CHECK_EQ(kernel.done(table_of(kernel, schema, words)).rows_count, 0);
        Command restore = gap_of(kernel, 1);
        memcpy(kernel.memory(ROWS), kernel.memory(ROWS + FREE_BEAT * BEAT), UNIT);
        memcpy(kernel.memory(ROWS + UNIT), records.data(), records.size());
        restore.address = kernel.at(ROWS);
        restore.count = 1 + ROWS_COUNT * units;
        const Completion done = kernel.done(restore);
        CHECK_EQ(done.code, CST_OK);
        CHECK_EQ(done.rows_count, ROWS_COUNT);
        check_values(kernel, schema, words);
    }
}

// Memory never holds back, so a command takes as many clocks each time: a reset comes in each clock
// behind where it is read, and in each before its completion is asked for.
TEST(a_reset_at_any_stage_of_a_command_leaves_a_kernel_that_works) {
    const Kind kinds[] = {
        {10, 40, 0, [](Kernel &kernel) { return kernel.table(); }},
        {60, 40, 0, wide_rows},
        {0, 20, 4, [](Kernel &kernel) { return late_rows(kernel, 10); }},
        {0, 60, 4, [](Kernel &kernel) { return kernel.rows(10, KIND_LOOKUP); }},
        {10, 0, 0, keys_of_numbers},
        {0, 40, 4, [](Kernel &) { return fenced(OP_BARRIER); }},
        {10, 0, 0, [](Kernel &) { return Kernel::of(OP_RELEASE); }},
        {10, 0, 0, scan_of},
        {60, 0, 0, [](Kernel &kernel) { return gap_of(kernel, 100); }},
        {0, 0, 70, [](Kernel &) { return Kernel::of(OP_END); }},
    };
    Kernel kernel(false);

    const auto begin = [&](const Kind &kind) {
        CHECK_EQ(kernel.load().code, CST_OK);
        CHECK_EQ(kernel.done(kernel.rows(10, KIND_UPSERT)).code, CST_OK);
        kernel.put(kind.command(kernel));
        run_until_read(kernel);
    };
    for (const Kind &kind : kinds) {
        for (uint32_t behind = 0; behind < kind.behind; behind++) {
            begin(kind);
            kernel.bench.run(behind);
            reset_and_start(kernel);
        }
        if (kind.before + kind.after == 0) continue;
        begin(kind);
        const uint64_t clocks = clocks_until_completion(kernel);
        reset_and_start(kernel);
        for (uint64_t at = clocks - std::min<uint64_t>(clocks, kind.before);
             at < clocks + kind.after; at++) {
            begin(kind);
            kernel.bench.run(at);
            reset_and_start(kernel);
        }
    }
    kernel.bench.run(20);
    reset_and_start(kernel); // before the unit is ready
    kernel.check_works();
}

TEST_MAIN
