// The same random commands to the processor and to the simulated card: equal completions, look-ups,
// deltas and images, whatever stops them; and the circuit's own counter says that it did the rows.
#include "table_rows.h"

#include <constellation/device.h>
#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef CST_HAS_SIM
#include "card_waves.h"
#endif

#ifndef CST_HAS_SIM
TEST(this_build_has_no_simulated_card) {
    cst_device *device = NULL;
    cst_err err = {0};

    CHECK_CODE(cst_device_open("sim:", &device, &err), CST_UNSUPPORTED);
    CHECK(strstr(err.text, "libconstellation-sim.so"));
}
#else

enum { RELEASED = 16, WALKED, RESTORED, COUNTERS_MAX = 32 }; // docs/hardware.md, Counters
enum { SIDES = 2, CPU = 0, SIM = 1, VALUE_BYTES_MAX = 64, STOPS_MAX = 12, DELTAS_MAX = 512 };

static const char *const uris[SIDES] = {"cpu:", "sim:"};

typedef struct side {
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table;
} side;

typedef struct both {
    side sides[SIDES];
    rows_knobs knobs;
    cst_delta deltas[DELTAS_MAX];
    uint32_t deltas_count;
    int64_t now_us;
    uint64_t bucket; // the next to expire
    uint64_t rows_count, stops_count, grows_count, expired_count, scanned_count, restored_count;
    uint64_t counts[COUNTERS_MAX]; // of the circuit, as counted() found them
} both;

// So many times the rows, of as many times the keys, where there is time (scripts/soak).
static uint32_t rounds(void) {
    const char *text = getenv("CST_ROUNDS");

    return text ? (uint32_t)strtoul(text, NULL, 10) : 1;
}

static uint64_t clocks_of(void *device) {
    cst_simulation simulation;

    cst_device_simulation(device, &simulation);
    return simulation.clocks;
}

// Another device in the card's place: CST_CARD=xrt:0, within constellation device emulate.
static const char *card_uri(const char *uri) {
    const char *other = getenv("CST_CARD");

    return other ? other : card_waves_uri(uri);
}

static bool card_is_simulated(void) {
    return !getenv("CST_CARD");
}

static void both_open(both *b, const char *sim_uri, const cst_schema *keys) {
    for (uint32_t s = 0; s < SIDES; s++) {
        cst_err err = {0};

        if (cst_device_open(s == SIM ? card_uri(sim_uri) : uris[s], &b->sides[s].device, &err) !=
            CST_OK)
            TEST_FAIL("%s", err.text);
        CHECK_OK(cst_queue_open(b->sides[s].device, NULL, &b->sides[s].queue, NULL));
        CHECK_OK(cst_device_table_open(b->sides[s].queue, &b->knobs.options, keys,
                                       &b->sides[s].table, NULL));
    }
    card_waves_watch(clocks_of, b->sides[SIM].device);
}

static void both_close(both *b) {
    card_waves_watch(NULL, NULL);
    for (uint32_t s = 0; s < SIDES; s++) {
        cst_device_table_close(b->sides[s].table);
        cst_queue_close(b->sides[s].queue);
        cst_device_close(b->sides[s].device);
    }
}

static void images_compare(const both *b) {
    cst_err err = {0};

    if (cst_table_compare(cst_device_table_image(b->sides[CPU].table),
                          cst_device_table_image(b->sides[SIM].table), &err) != CST_OK)
        TEST_FAIL("images: %s", err.text);
}

// What both sides say of a command must be equal.
static void completions_compare(const cst_completion *done) {
    if (done[SIM].code != done[CPU].code || done[SIM].rows_done != done[CPU].rows_done)
        TEST_FAIL("the card: %s at row %u; the processor: %s at row %u",
                  cst_code_name(done[SIM].code), done[SIM].rows_done, cst_code_name(done[CPU].code),
                  done[CPU].rows_done);
    CHECK_EQ(done[SIM].stopped, done[CPU].stopped);
    CHECK_EQ(done[SIM].hash, done[CPU].hash);
    CHECK_EQ(done[SIM].count, done[CPU].count);
    CHECK_EQ(done[SIM].position, done[CPU].position);
    CHECK_EQ(done[SIM].delta.epoch, done[CPU].delta.epoch);
    CHECK_EQ(done[SIM].delta.from, done[CPU].delta.from);
    CHECK_EQ(done[SIM].delta.to, done[CPU].delta.to);
}

// Runs the command on both sides.
static cst_completion both_run(both *b, const cst_command *command) {
    cst_completion done[SIDES];

    for (uint32_t s = 0; s < SIDES; s++) {
        cst_command own = *command;

        own.table = b->sides[s].table;
        CHECK_OK(cst_queue_submit(b->sides[s].queue, &own, NULL, NULL));
        CHECK_OK(cst_queue_wait(b->sides[s].queue, UINT64_MAX));
        CHECK_EQ(cst_queue_poll(b->sides[s].queue, &done[s], 1), 1);
    }
    completions_compare(done);
    return done[CPU];
}

static void fixup(both *b, const cst_command *command) {
    cst_command marked = *command;

    marked.fixup = true;
    (void)both_run(b, &marked);
}

// Makes room for the row at which they stopped, or leaves it out.
static void go_on(both *b, const cst_completion *stop, cst_rows *rows) {
    const cst_command grow = {.ops = CST_OP_GROW, .grow_hash = stop->hash};

    rows->first_row = stop->rows_done;
    b->stops_count++;
    if (stop->code == CST_TABLE_FULL && rows_chance(95)) {
        fixup(b, &grow);
        b->grows_count++;
    } else if (stop->code == CST_TABLE_BUDGET && b->deltas_count > 0) {
        fixup(b, &(cst_command){.ops = CST_OP_RELEASE, .release = b->deltas[--b->deltas_count]});
        b->deltas_count = 0;
    } else if (stop->code == CST_TABLE_NOT_READY) {
        for (uint32_t s = 0; s < SIDES; s++)
            CHECK_OK(cst_device_table_prepare(b->sides[s].table, NULL));
    } else {
        rows->first_row++;
    }
    for (uint32_t s = 0; s < SIDES; s++) CHECK_OK(cst_queue_resume(b->sides[s].queue, NULL));
}

static void apply(both *b, cst_command command) {
    for (uint32_t stops = 0; stops < STOPS_MAX; stops++) {
        const cst_completion done = both_run(b, &command);

        b->rows_count += done.rows_done - command.rows.first_row;
        if (done.code == CST_OK) return;
        go_on(b, &done, &command.rows);
        if (command.rows.first_row > command.rows.rows_count) return; // refused as a whole
    }
}

// The next rows of the stream.
static cst_command apply_draw(both *b, rows_batch *batch) {
    cst_command command = {.ops = CST_OP_APPLY};

    rows_draw(&b->knobs, batch, 0);
    command.rows = batch->rows;
    if (!command.rows.hashes) command.ops |= CST_OP_HASH;
    return command;
}

static void batch_free(rows_batch *batch) {
    free(batch->keys);
    free(batch->values);
    free(batch);
}

static void look_up(both *b, cst_command command) {
    static uint8_t values[SIDES][ROWS_BATCH_MAX * VALUE_BYTES_MAX], found[SIDES][ROWS_BATCH_MAX];
    const uint32_t first = command.rows.first_row;

    memset(values, 0, sizeof values);
    command.ops = (command.ops & ~(uint32_t)CST_OP_APPLY) | CST_OP_LOOKUP;
    command.values_stride = VALUE_BYTES_MAX;
    for (uint32_t s = 0; s < SIDES; s++) {
        cst_command own = command;
        cst_completion done;

        own.table = b->sides[s].table;
        own.values_out = values[s];
        own.found_out = found[s];
        CHECK_OK(cst_queue_submit(b->sides[s].queue, &own, NULL, NULL));
        CHECK_EQ(cst_queue_poll(b->sides[s].queue, &done, 1), 1);
        CHECK_OK(done.code);
    }
    CHECK(memcmp(found[SIM] + first, found[CPU] + first, command.rows.rows_count - first) == 0);
    for (uint32_t r = first; r < command.rows.rows_count; r++)
        if (found[CPU][r])
            CHECK(memcmp(values[SIM] + r * VALUE_BYTES_MAX, values[CPU] + r * VALUE_BYTES_MAX,
                         b->knobs.options.program.value_bytes) == 0);
}

static void barrier(both *b) {
    const cst_completion done = both_run(b, &(cst_command){.ops = CST_OP_BARRIER});
    cst_bytes ranges[SIDES][64];
    size_t counts[SIDES];

    if (b->deltas_count == DELTAS_MAX) b->deltas_count = 0;
    b->deltas[b->deltas_count++] = done.delta;
    for (uint32_t s = 0; s < SIDES; s++)
        cst_table_delta_ranges(cst_device_table_image(b->sides[s].table), &done.delta, ranges[s],
                               64, &counts[s]);
    CHECK_EQ(counts[SIM], counts[CPU]);
    for (size_t i = 0; i < counts[CPU] && i < 64; i++) {
        CHECK_EQ(ranges[SIM][i].count, ranges[CPU][i].count);
        CHECK(memcmp(ranges[SIM][i].data, ranges[CPU][i].data, ranges[CPU][i].count) == 0);
    }
}

// A delta and all before it, one of them again, one of an epoch that is open.
static void release_some(both *b) {
    const uint32_t last = (uint32_t)test_random_below(b->deltas_count);
    const cst_delta wrong = {b->deltas[b->deltas_count - 1].epoch + 1, 0, 1024};

    fixup(b, &(cst_command){.ops = CST_OP_RELEASE, .release = wrong});
    fixup(b, &(cst_command){.ops = CST_OP_RELEASE, .release = b->deltas[last]});
    fixup(b, &(cst_command){.ops = CST_OP_RELEASE, .release = b->deltas[last / 2]});
    b->deltas_count -= last + 1;
    memmove(b->deltas, b->deltas + last + 1, b->deltas_count * sizeof *b->deltas);
}

// Some buckets, all of them, or more than there are; stopped, it goes on where it stood.
static void expire(both *b) {
    uint32_t count = (uint32_t)test_random_below(rows_chance(20) ? 2000 : 100);

    for (uint32_t stops = 0; stops < STOPS_MAX; stops++) {
        const cst_completion done = both_run(b, &(cst_command){.ops = CST_OP_EXPIRE,
                                                               .rows = {.now_us = b->now_us},
                                                               .expire_bucket = b->bucket,
                                                               .expire_buckets_count = count});
        cst_rows rows = {0};

        b->bucket = done.position;
        b->expired_count += done.count;
        if (done.code == CST_OK) return;
        count -= done.rows_done;
        go_on(b, &done, &rows);
    }
}

enum { SCAN_BYTES_MAX = 20000, SCANS_MAX = 1000 };

// All rows, in buffers of one size that may hold less than a record; of a large table in small ones
// the first.
static void scan(both *b) {
    static uint8_t records[SIDES][SCAN_BYTES_MAX];
    const size_t bytes = test_random_below(rows_chance(50) ? 300 : SCAN_BYTES_MAX);
    cst_scan scans[SIDES] = {{.now_us = b->now_us}, {.now_us = b->now_us}};
    cst_completion done[SIDES] = {{.count = 1}, {.count = 1}};

    for (uint32_t i = 0; i < SCANS_MAX && done[CPU].code == CST_OK && done[CPU].count > 0; i++) {
        memset(records, 0xee, sizeof records);
        for (uint32_t s = 0; s < SIDES; s++) {
            const cst_command command = {.ops = CST_OP_SCAN,
                                         .table = b->sides[s].table,
                                         .scan = &scans[s],
                                         .scan_out = records[s],
                                         .scan_bytes = bytes};

            CHECK_OK(cst_queue_submit(b->sides[s].queue, &command, NULL, NULL));
            CHECK_OK(cst_queue_wait(b->sides[s].queue, UINT64_MAX));
            CHECK_EQ(cst_queue_poll(b->sides[s].queue, &done[s], 1), 1);
        }
        CHECK_EQ(done[SIM].code, done[CPU].code);
        CHECK_EQ(done[SIM].count, done[CPU].count);
        CHECK_EQ(done[SIM].position, done[CPU].position);
        CHECK_EQ(scans[SIM].position, scans[CPU].position);
        CHECK_EQ(scans[SIM].grows, scans[CPU].grows);
        CHECK(memcmp(records[SIM], records[CPU], sizeof records[CPU]) == 0);
        b->scanned_count += done[CPU].count;
    }
    for (uint32_t s = 0; s < SIDES; s++)
        if (done[s].stopped) CHECK_OK(cst_queue_resume(b->sides[s].queue, NULL));
}

// Records of whatever lies in `bytes`; where a row has no place its segment grows.
static void restore_bytes(both *b, const uint8_t *bytes, size_t count) {
    size_t from = 0;

    for (uint32_t stops = 0; stops < STOPS_MAX; stops++) {
        const cst_completion done = both_run(b, &(cst_command){.ops = CST_OP_RESTORE,
                                                               .restore = bytes + from,
                                                               .restore_bytes = count - from});
        cst_rows rows = {0};

        b->restored_count += done.position;
        from += done.position;
        if (done.code == CST_OK) return;
        go_on(b, &done, &rows);
        if (done.code != CST_TABLE_FULL) return;
    }
}

// The log's newest epoch, its gaps and tombstones too: as it is, cut, or with one bit wrong.
static void restore(both *b) {
    static uint64_t words[1 << 17];
    const cst_delta *delta = &b->deltas[b->deltas_count - 1];
    uint8_t *bytes = (uint8_t *)words;
    size_t count = 0, ranges_count;
    cst_bytes ranges[64];

    cst_table_delta_ranges(cst_device_table_image(b->sides[CPU].table), delta, ranges, 64,
                           &ranges_count);
    for (size_t i = 0; i < ranges_count && i < 64; i++) {
        if (count + ranges[i].count > sizeof words) break;
        memcpy(bytes + count, ranges[i].data, ranges[i].count);
        count += ranges[i].count;
    }
    if (count == 0) return;
    if (rows_chance(30)) count = test_random_below(count + 1);
    if (rows_chance(40) && count > 0)
        bytes[test_random_below(count)] ^= (uint8_t)(1u << test_random_below(8));
    restore_bytes(b, bytes, count);
}

// What the circuit counted since its last reset.
static void counted(both *b) {
    static const char *const names[] = {"released",  "walked",       "restored",
                                        "starved",   "held",         "wait_queue",
                                        "wait_copy", "no_operation", "lookup_clocks"};
    cst_counter counters[COUNTERS_MAX];
    size_t count = 0;

    cst_queue_counters(b->sides[SIM].queue, counters, COUNTERS_MAX, &count);
    // Behind the circuit's one of the way to it: doorbells.
    CHECK_EQ(count, RELEASED + sizeof names / sizeof *names + !card_is_simulated());
    count -= !card_is_simulated();
    if (!card_is_simulated()) { // begun once, and anew when an image has outgrown its buffers
        CHECK(strcmp(counters[count].name, "doorbells") == 0);
        CHECK(counters[count].value >= 1 && counters[count].value < 8);
    }
    for (size_t i = 0; i < count; i++) b->counts[i] = counters[i].value;
    for (size_t i = RELEASED; i < count; i++)
        CHECK(strcmp(counters[i].name, names[i - RELEASED]) == 0);
}

// The circuit counts the operations it did: rows, look-ups, barriers and an end a command.
static void work_check(const both *b) {
    cst_simulation simulation;

    if (!card_is_simulated()) return; // its clocks are nobody's
    cst_device_simulation(b->sides[SIM].device, &simulation);
    CHECK(simulation.simulated);
    CHECK_EQ(simulation.clock_khz, 300000);
    CHECK(simulation.clocks > b->rows_count);
    // A start alone takes the host 52 us; a transfer of rows more than 13.
    CHECK(simulation.transfer_ns > 52000 + 13000);
    if (simulation.operations < b->rows_count)
        TEST_FAIL("the circuit did %" PRIu64 " operations for %" PRIu64 " rows",
                  simulation.operations, b->rows_count);
}

// Every accumulator has a word of the value; decimals, two, while there are words left over.
static void program_draw(cst_program *program) {
    const uint32_t words = (uint32_t)test_random_below(9);
    const uint32_t count = (uint32_t)test_random_below(words + 1);
    uint32_t word = 0, spare;

    *program = (cst_program){.value_bytes = words * 8, .presence_offset = CST_NO_OFFSET};
    if (count == 0) program->value_bytes = (uint32_t)test_random_below(VALUE_BYTES_MAX + 1);
    if (count > 0 && count < words) program->presence_offset = (uint16_t)((words - 1) * 8);
    spare = words - count - (program->presence_offset != CST_NO_OFFSET);
    program->accumulators_count = (uint16_t)count;
    for (uint32_t i = 0; i < count; i++) {
        cst_accumulator *accumulator = &program->accumulators[i];

        accumulator->op = (uint8_t)(CST_COUNT + test_random_below(5));
        accumulator->number = (uint8_t)(CST_U64 + test_random_below(spare > 0 ? 4 : 3));
        if (accumulator->op == CST_COUNT) accumulator->number = CST_U64;
        accumulator->value_offset = (uint16_t)(word * 8);
        word++;
        if (accumulator->number == CST_DECIMAL128) {
            word++;
            spare--;
        }
        accumulator->source = (uint16_t)i;
        if (i > 0 && accumulator->number == accumulator[-1].number &&
            accumulator[-1].source != CST_NO_COLUMN && rows_chance(50))
            accumulator->source = accumulator[-1].source;
        if (accumulator->op == CST_COUNT && rows_chance(50)) accumulator->source = CST_NO_COLUMN;
    }
}

// A time is the first word: the latest, or what came last, of a source of timestamps.
static void ttl_draw(cst_program *program) {
    if (program->value_bytes < 8 || !rows_chance(40)) return;
    program->ttl_us = 1000;
    if (program->accumulators_count == 0) return;
    program->accumulators[0].op = rows_chance(50) ? CST_MAX : CST_LAST;
    program->accumulators[0].number = CST_I64;
    program->accumulators[0].source = 0;
}

static void knobs_draw(rows_knobs *knobs) {
    *knobs = (rows_knobs){
        .keys_fixed = rows_chance(50),
        .keys_count = 1 + (uint32_t)test_random_below(UINT64_C(1500) * rounds()),
        .skew = (rows_skew)test_random_below(ROWS_SKEWS),
        .hashes = (rows_hashes)test_random_below(ROWS_HASHES),
        .batch_max = ROWS_BATCH_MAX,
        .deletes_percent = (uint32_t)test_random_below(40),
        .extremes_percent = rows_chance(30) ? 2 : 0,
    };
    knobs->options = (cst_table_options){
        .layout = CST_TABLE_INLINE,
        .key_bytes = (uint32_t)test_random_below(17),
        .hash_key = {test_random(), test_random()},
        .budget_bytes = (UINT64_C(1) << 20) * rounds() + test_random_below(64) * 65536,
        .log_segment_bytes = 65536,
        .numa_node = -1,
    };
    program_draw(&knobs->options.program);
    ttl_draw(&knobs->options.program);
    if (knobs->options.program.presence_offset != CST_NO_OFFSET) knobs->nulls_percent = 20;
    knobs->keys_longest = knobs->options.key_bytes;
    if (!knobs->keys_fixed && rows_chance(10)) knobs->keys_longest++;
    // Where rows collide, most of them only stop both sides.
    if (rounds() > 1 && rows_chance(75)) knobs->hashes = ROWS_HASH_FREE;
}

static void sources_draw(const cst_program *program, rows_batch *batch) {
    static const cst_type types[4][5] = {
        {CST_TYPE_U8, CST_TYPE_U16, CST_TYPE_U32, CST_TYPE_U64, CST_TYPE_BOOL},
        {CST_TYPE_I8, CST_TYPE_I16, CST_TYPE_I64, CST_TYPE_DATE, CST_TYPE_TIMESTAMP},
        {CST_TYPE_F32, CST_TYPE_F64, CST_TYPE_F64, CST_TYPE_F32, CST_TYPE_F64},
        {CST_TYPE_DECIMAL128, CST_TYPE_DECIMAL128, CST_TYPE_DECIMAL128, CST_TYPE_DECIMAL128,
         CST_TYPE_DECIMAL128}};

    for (uint32_t i = 0; i < program->accumulators_count; i++)
        batch->sources[i].type =
            program->ttl_us && i == 0
                ? CST_TYPE_TIMESTAMP
                : types[program->accumulators[i].number - CST_U64][test_random_below(5)];
}

static void stream(both *b, const char *uri, uint32_t steps) {
    rows_batch *batch = calloc(1, sizeof *batch);

    CHECK(batch);
    knobs_draw(&b->knobs);
    sources_draw(&b->knobs.options.program, batch);
    both_open(b, uri, NULL);
    b->now_us = 1000000;
    for (uint32_t step = 0; step < steps; step++) {
        cst_command command = {0};

        for (uint32_t i = 0; i < rounds(); i++) {
            b->now_us += (int64_t)test_random_below(400);
            rows_draw(&b->knobs, batch, b->now_us);
            command = (cst_command){.ops = CST_OP_APPLY, .rows = batch->rows};
            if (!command.rows.hashes) command.ops |= CST_OP_HASH;
            apply(b, command);
        }
        command.rows.first_row = batch->rows.first_row;
        if (rows_chance(30)) look_up(b, command);
        if (rows_chance(40)) barrier(b);
        if (b->deltas_count > 0 && rows_chance(30)) release_some(b);
        if (b->knobs.options.program.ttl_us && rows_chance(70)) expire(b);
        if (b->deltas_count > 0 && rows_chance(30)) restore(b);
        if (rows_chance(20)) scan(b);
        if (rows_chance(20)) images_compare(b);
    }
    scan(b);
    barrier(b);
    images_compare(b);
    work_check(b);
    counted(b);
    CHECK(b->counts[WALKED] >= b->scanned_count + b->expired_count);
    both_close(b);
    batch_free(batch);
}

enum { STREAMS_MIN = 8, STREAMS_MAX = 32, STREAM_STEPS = 8 };

// What is drawn may leave something out: of 32 streams some have it.
TEST(random_streams_give_equal_completions_deltas_and_images) {
    uint64_t rows = 0, stops = 0, grows = 0, expired = 0, scanned = 0, restored = 0;
    uint64_t counts[COUNTERS_MAX] = {0};
    bool all = false;

    if (!card_is_simulated()) { // what each stream has to have is shown by the simulated card
        both b = {0};

        stream(&b, "sim:", STREAM_STEPS / 2);
        return;
    }
    for (uint32_t i = 0; i < STREAMS_MIN || (!all && i < STREAMS_MAX); i++) {
        both b = {0};

        stream(&b, i % 4 == 3 ? "sim:?memory=ddr4&channels=4" : "sim:", STREAM_STEPS);
        rows += b.rows_count;
        stops += b.stops_count;
        grows += b.grows_count;
        expired += b.expired_count;
        scanned += b.scanned_count;
        restored += b.restored_count;
        for (uint32_t c = 0; c <= RESTORED; c++) counts[c] += b.counts[c];
        all = stops > 0 && grows > 0 && expired > 0 && scanned > 0 && restored > 0 &&
              counts[RESTORED] > 0;
    }
    printf("%" PRIu64 " rows; ", rows);
    CHECK(rows > 2000);
    CHECK(all);
}

// Accumulators that read one column alike share its words; a decimal has two of them.
TEST(sums_of_doubles_and_of_decimals_are_those_of_the_processor) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    knobs_draw(&b.knobs);
    b.knobs.options.key_bytes = b.knobs.keys_longest = 8;
    b.knobs.keys_fixed = true;
    b.knobs.keys_count = 40;
    b.knobs.extremes_percent = 1;
    b.knobs.nulls_percent = 10;
    b.knobs.options.program = (cst_program){.value_bytes = 64,
                                            .accumulators_count = 5,
                                            .presence_offset = 8,
                                            .accumulators = {{CST_SUM, CST_F64, 0, 0, 0},
                                                             {CST_SUM, CST_DECIMAL128, 16, 1, 0},
                                                             {CST_MAX, CST_DECIMAL128, 32, 1, 0},
                                                             {CST_SUM, CST_F64, 48, 3, 0},
                                                             {CST_MIN, CST_F64, 56, 3, 0}}};
    sources_draw(&b.knobs.options.program, batch);
    both_open(&b, "sim:", NULL);
    for (uint32_t step = 0; step < 24; step++) {
        const cst_command command = apply_draw(&b, batch);

        apply(&b, command);
        look_up(&b, command);
        barrier(&b);
        images_compare(&b);
    }
    CHECK(b.rows_count > 500);
    work_check(&b);
    both_close(&b);
    batch_free(batch);
}

// The card has its table and would take the rows at once: nothing of them may reach it.
TEST(rows_of_sources_that_the_program_does_not_take_change_nothing) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    knobs_draw(&b.knobs);
    b.knobs.options.key_bytes = b.knobs.keys_longest = 8;
    b.knobs.keys_fixed = true;
    b.knobs.options.budget_bytes = UINT64_C(16) << 20;
    b.knobs.options.program = (cst_program){.value_bytes = 8,
                                            .accumulators_count = 1,
                                            .presence_offset = CST_NO_OFFSET,
                                            .accumulators = {{CST_SUM, CST_U64, 0, 0, 0}}};
    both_open(&b, "sim:", NULL);
    for (uint32_t step = 0; step < 4; step++) {
        cst_command command;

        batch->sources[0].type = step == 1 ? CST_TYPE_I64 : CST_TYPE_U32;
        command = apply_draw(&b, batch);
        if (step != 1) {
            apply(&b, command);
            continue;
        }
        CHECK_EQ(both_run(&b, &command).code, CST_USAGE);
        for (uint32_t s = 0; s < SIDES; s++) CHECK_OK(cst_queue_resume(b.sides[s].queue, NULL));
    }
    barrier(&b);
    images_compare(&b);
    work_check(&b);
    both_close(&b);
    batch_free(batch);
}

enum { LOG_EPOCHS = 24, LOG_BATCHES = 4, LOG_SEGMENT_BYTES = 65536 };

// Each epoch rewrites many rows and is released when the next one is sealed: the log runs through
// more segments than the budget pays for, in places that the circuit chose. Nobody looks at the
// image before the end: the card would load the log's places anew.
static void log_runs(const char *uri) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    b.knobs = (rows_knobs){.keys_fixed = true,
                           .keys_count = 700,
                           .keys_longest = 16,
                           .batch_max = ROWS_BATCH_MAX};
    b.knobs.options =
        (cst_table_options){.layout = CST_TABLE_INLINE,
                            .key_bytes = 16,
                            .hash_key = {test_random(), test_random()},
                            .program = {.value_bytes = 64, .presence_offset = CST_NO_OFFSET},
                            .rows_hint = 700,
                            .budget_bytes = 12 * LOG_SEGMENT_BYTES,
                            .log_segment_bytes = LOG_SEGMENT_BYTES,
                            .numa_node = -1};
    both_open(&b, uri, NULL);
    for (uint32_t step = 0; step < LOG_EPOCHS * LOG_BATCHES; step++) {
        const cst_command command = apply_draw(&b, batch);

        apply(&b, command);
        if (step % LOG_BATCHES != 0) continue;
        b.deltas[b.deltas_count++] = both_run(&b, &(cst_command){.ops = CST_OP_BARRIER}).delta;
        if (b.deltas_count < 2) continue;
        fixup(&b, &(cst_command){.ops = CST_OP_RELEASE, .release = b.deltas[b.deltas_count - 2]});
        b.deltas[0] = b.deltas[b.deltas_count - 1];
        b.deltas_count = 1;
    }
    images_compare(&b);
    CHECK(b.deltas[0].to > b.knobs.options.budget_bytes);
    counted(&b);
    CHECK(b.counts[RELEASED] >= b.deltas[0].to / LOG_SEGMENT_BYTES - 12);
    both_close(&b);
    batch_free(batch);
}

TEST(the_log_goes_on_in_places_that_were_released) {
    log_runs("sim:");
}

// ---- Several in flight --------------------------------------------------------------------------

enum { FLIGHT_BATCHES = 4, FLIGHT_COMMANDS = 6 };

// Batches with barriers among them, none waited for before all are submitted: rows, rows, barrier,
// rows, rows, barrier.
static void flight_submit(both *b, rows_batch *const *batches, cst_command *commands) {
    for (uint32_t i = 0, batch = 0; i < FLIGHT_COMMANDS; i++) {
        commands[i] = (cst_command){.ops = CST_OP_BARRIER, .tag = i};
        if (i % 3 < 2) {
            commands[i].rows = batches[batch++]->rows;
            commands[i].ops = CST_OP_APPLY | (commands[i].rows.hashes ? 0 : CST_OP_HASH);
        }
        for (uint32_t s = 0; s < SIDES; s++) {
            commands[i].table = b->sides[s].table;
            CHECK_OK(cst_queue_submit(b->sides[s].queue, &commands[i], NULL, NULL));
        }
    }
}

static void flight_take(both *b, cst_command *commands) {
    cst_completion stop = {0};

    for (uint32_t i = 0; i < FLIGHT_COMMANDS; i++) {
        cst_completion done[SIDES];

        for (uint32_t s = 0; s < SIDES; s++) {
            CHECK_OK(cst_queue_wait(b->sides[s].queue, UINT64_MAX));
            CHECK_EQ(cst_queue_poll(b->sides[s].queue, &done[s], 1), 1);
            CHECK_EQ(done[s].tag, i);
        }
        completions_compare(done);
        if (i % 3 < 2) b->rows_count += done[CPU].rows_done - commands[i].rows.first_row;
        if (done[CPU].stopped) stop = done[CPU];
    }
    images_compare(b);
    if (stop.stopped) go_on(b, &stop, &commands[stop.tag].rows);
}

TEST(commands_in_flight_complete_as_one_after_the_other) {
    rows_batch *batches[FLIGHT_BATCHES];
    uint64_t stops = 0;

    for (uint32_t i = 0; i < FLIGHT_BATCHES; i++) CHECK(batches[i] = calloc(1, sizeof **batches));
    for (uint32_t table = 0; table < (card_is_simulated() ? 4 : 1); table++) {
        both b = {0};

        knobs_draw(&b.knobs);
        b.knobs.options.budget_bytes = UINT64_C(16) << 20; // nothing is released
        for (uint32_t i = 0; i < FLIGHT_BATCHES; i++)
            sources_draw(&b.knobs.options.program, batches[i]);
        both_open(&b, "sim:", NULL);
        for (uint32_t round = 0; round < (card_is_simulated() ? 6 : 3); round++) {
            cst_command commands[FLIGHT_COMMANDS];

            for (uint32_t i = 0; i < FLIGHT_BATCHES; i++) rows_draw(&b.knobs, batches[i], 0);
            flight_submit(&b, batches, commands);
            flight_take(&b, commands);
        }
        work_check(&b);
        stops += b.stops_count;
        both_close(&b);
    }
    CHECK(stops > 0);
    for (uint32_t i = 0; i < FLIGHT_BATCHES; i++) {
        free(batches[i]->keys);
        free(batches[i]->values);
        free(batches[i]);
    }
}

enum { COLUMN_ROWS = 700 };

// Keys of three columns, one of which may be null, encoded and hashed by the circuit.
static void columns_run(const char *uri) {
    static uint32_t numbers[COLUMN_ROWS];
    static uint16_t shorts[COLUMN_ROWS];
    static int64_t longs[COLUMN_ROWS];
    static uint8_t present[(COLUMN_ROWS + 7) / 8];
    // An empty buffer says that no row is null, wherever it lies.
    cst_column_data columns[3] = {{.values = {numbers, sizeof numbers}, .validity = {present, 0}},
                                  {.values = {shorts, sizeof shorts},
                                   .validity = {present, sizeof present}},
                                  {.values = {longs, sizeof longs}}};
    cst_schema schema;
    cst_batch batch = {.schema = &schema, .rows_count = COLUMN_ROWS, .columns = columns};
    both b = {0};

    CHECK_OK(cst_schema_parse("u32,desc nullable u16,i64", &schema, NULL));
    knobs_draw(&b.knobs);
    b.knobs.options.key_bytes = 16;
    b.knobs.options.budget_bytes = UINT64_C(64) << 20;
    b.knobs.options.program =
        (cst_program){.value_bytes = 8,
                      .accumulators_count = 1,
                      .presence_offset = CST_NO_OFFSET,
                      .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0}}};
    both_open(&b, uri, &schema);
    for (uint32_t step = 0; step < 4; step++) {
        const cst_command command = {.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                                     .batch = &batch,
                                     .rows = {.rows_count = COLUMN_ROWS}};

        for (uint32_t r = 0; r < COLUMN_ROWS; r++) {
            numbers[r] = (uint32_t)test_random_below(3);
            shorts[r] = (uint16_t)test_random_below(20);
            longs[r] = (int64_t)test_random_below(40) - 20;
        }
        for (size_t i = 0; i < sizeof present; i++) present[i] = (uint8_t)test_random();
        columns[1].validity.bytes = step % 2 ? 0 : sizeof present;
        CHECK_OK(cst_batch_check(&batch, NULL));
        apply(&b, command);
        barrier(&b);
        images_compare(&b);
    }
    CHECK(b.grows_count > 0);
    work_check(&b);
    both_close(&b);
}

TEST(columns_become_the_same_keys_in_the_circuit) {
    columns_run("sim:");
}

// Few keys, one behind the other; nulls; each epoch's records put back as rows.
static void few_keys_run(const char *uri) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    b.knobs = (rows_knobs){.keys_fixed = true,
                           .keys_count = 20,
                           .keys_longest = 8,
                           .skew = ROWS_ONE_KEY,
                           .batch_max = ROWS_BATCH_MAX,
                           .nulls_percent = 20};
    b.knobs.options =
        (cst_table_options){.layout = CST_TABLE_INLINE,
                            .key_bytes = 8,
                            .hash_key = {test_random(), test_random()},
                            .program = {.value_bytes = 16,
                                        .accumulators_count = 1,
                                        .presence_offset = 8,
                                        .accumulators = {{CST_SUM, CST_U64, 0, 0, 0}}},
                            .rows_hint = 20,
                            .budget_bytes = UINT64_C(4) << 20,
                            .log_segment_bytes = 65536,
                            .numa_node = -1};
    batch->sources[0].type = CST_TYPE_U32;
    both_open(&b, uri, NULL);
    for (uint32_t step = 0; step < 4; step++) {
        const cst_command command = apply_draw(&b, batch);

        apply(&b, command);
        look_up(&b, command);
        barrier(&b);
        restore(&b);
        images_compare(&b);
    }
    CHECK(b.restored_count > 0);
    both_close(&b);
    batch_free(batch);
}

TEST(few_keys_with_nulls_are_restored_from_each_epoch) {
    few_keys_run("sim:");
}

// ---- Mistakes -----------------------------------------------------------------------------------

// The first of random_streams_give_equal_completions_deltas_and_images: there the circuit does them
// without a mistake.
static void streams_run(const char *uri) {
    for (uint32_t i = 0; i < STREAMS_MIN; i++) {
        both b = {0};

        stream(&b, uri, STREAM_STEPS);
    }
}

static void mistake_is_noticed(const char *word, void (*run)(const char *uri)) {
    const pid_t child = fork();
    char uri[64];
    int status = 0;

    CHECK(child >= 0);
    (void)snprintf(uri, sizeof uri, "sim:?mistake=%s", word);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(3);
        run(uri);
        _exit(2);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        TEST_FAIL("mistake %s: no difference (status %d)", word, status);
}

// The very circuit that the cases above find equal, in the same streams of the same seed, does one
// thing wrong: a check of theirs fails.
TEST(a_circuit_with_a_mistake_is_told_from_the_processor) {
    static const char *const streams[] = {"tag", "place", "epoch", "strobe", "time", "scan"};
    static const char *const few_keys[] = {"hazard", "null", "restore"};

    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        mistake_is_noticed(streams[i], streams_run);
    for (size_t i = 0; i < sizeof few_keys / sizeof *few_keys; i++)
        mistake_is_noticed(few_keys[i], few_keys_run);
    mistake_is_noticed("order", columns_run);
    mistake_is_noticed("release", log_runs);
}

// A reset while nothing is lost: the card loads its table anew and goes on.
TEST(a_reset_card_goes_on_with_the_image) {
    both b = {0};
    rows_batch *batch = calloc(1, sizeof *batch);

    CHECK(batch);
    knobs_draw(&b.knobs);
    sources_draw(&b.knobs.options.program, batch);
    both_open(&b, "sim:?clock_mhz=300&channels=16&seed=7", NULL);
    for (uint32_t step = 0; step < 3; step++) {
        const cst_command command = apply_draw(&b, batch);

        apply(&b, command);
        CHECK_OK(cst_device_reset(b.sides[SIM].device, NULL));
        CHECK_OK(cst_device_reset(b.sides[CPU].device, NULL));
        images_compare(&b);
    }
    both_close(&b);
    batch_free(batch);
}

TEST(a_table_that_the_circuit_cannot_hold_is_refused_by_its_shape) {
    cst_device *device = NULL;
    cst_queue *queue = NULL;
    cst_device_table *table = NULL;
    both b = {0};

    knobs_draw(&b.knobs);
    CHECK_OK(cst_device_open("sim:", &device, NULL));
    CHECK_OK(cst_queue_open(device, NULL, &queue, NULL));
    b.knobs.options.key_bytes = 17;
    CHECK_CODE(cst_device_table_open(queue, &b.knobs.options, NULL, &table, NULL),
               CST_KEY_TOO_LONG);
    b.knobs.options.key_bytes = 0;
    b.knobs.options.program = (cst_program){.value_bytes = 72, .presence_offset = CST_NO_OFFSET};
    CHECK_CODE(cst_device_table_open(queue, &b.knobs.options, NULL, &table, NULL),
               CST_VALUE_TOO_LONG);
    cst_queue_close(queue);
    CHECK_CODE(cst_device_open("sim:?memory=sram", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?channels=0", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?channels=12", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?channels=32", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?mistake=none", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?waves=", &device, NULL), CST_DEVICE_URI);
#ifndef CST_HAS_WAVES
    CHECK_CODE(cst_device_open("sim:?waves=card.fst", &device, NULL), CST_UNSUPPORTED);
#endif
    CHECK_CODE(cst_device_open("sim:?waves=x&waves_from=y", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:x", &device, NULL), CST_DEVICE_URI);
    cst_device_close(device);
}
#endif

TEST_MAIN
