// device_pair.h: the same commands to the processor and to another device: equal completions,
// look-ups, deltas and images, whatever stops them.
//
//   command ──┬──► cpu:    ──► completion, bytes ──┐
//             └──► OTHER   ──► completion, bytes ──┴── equal, or the test ends
//
// A file that includes it says first what the other device's tables may have: PAIR_KEY_BYTES_MAX,
// PAIR_VALUE_WORDS_MAX.
#ifndef TESTS_DIFFERENTIAL_DEVICE_PAIR_H
#define TESTS_DIFFERENTIAL_DEVICE_PAIR_H

#include "table_rows.h"

#include <constellation/device.h>
#include <inttypes.h>

enum { SIDES = 2, CPU = 0, OTHER = 1, STOPS_MAX = 12, DELTAS_MAX = 512 };
enum { VALUE_BYTES_MAX = PAIR_VALUE_WORDS_MAX * 8, COUNTERS_MAX = 32 };
enum { SCAN_BYTES_MAX = 20000, SCANS_MAX = 1000 };

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
    uint64_t counts[COUNTERS_MAX]; // of the circuit, if the other device is one
} both;

// So many times the rows, of as many times the keys, where there is time (scripts/soak).
static inline uint32_t rounds(void) {
    const char *text = getenv("CST_ROUNDS");

    return text ? (uint32_t)strtoul(text, NULL, 10) : 1;
}

static inline void both_open(both *b, const char *other_uri, const cst_schema *keys) {
    const char *const uris[SIDES] = {"cpu:", other_uri};

    for (uint32_t s = 0; s < SIDES; s++) {
        cst_err err = {0};

        if (cst_device_open(uris[s], &b->sides[s].device, &err) != CST_OK)
            TEST_FAIL("%s", err.text);
        CHECK_OK(cst_queue_open(b->sides[s].device, NULL, &b->sides[s].queue, NULL));
        if (cst_device_table_open(b->sides[s].queue, &b->knobs.options, keys, &b->sides[s].table,
                                  &err) != CST_OK)
            TEST_FAIL("%s", err.text);
    }
}

static inline void both_close(both *b) {
    for (uint32_t s = 0; s < SIDES; s++) {
        cst_device_table_close(b->sides[s].table);
        cst_queue_close(b->sides[s].queue);
        cst_device_close(b->sides[s].device);
    }
}

static inline void images_compare(const both *b) {
    cst_err err = {0};

    if (cst_table_compare(cst_device_table_image(b->sides[CPU].table),
                          cst_device_table_image(b->sides[OTHER].table), &err) != CST_OK)
        TEST_FAIL("images: %s", err.text);
}

// What both sides say of a command must be equal.
static inline void completions_compare(const cst_completion *done) {
    if (done[OTHER].code != done[CPU].code || done[OTHER].rows_done != done[CPU].rows_done)
        TEST_FAIL("the other: %s at row %u; the processor: %s at row %u",
                  cst_code_name(done[OTHER].code), done[OTHER].rows_done,
                  cst_code_name(done[CPU].code), done[CPU].rows_done);
    CHECK_EQ(done[OTHER].stopped, done[CPU].stopped);
    CHECK_EQ(done[OTHER].hash, done[CPU].hash);
    CHECK_EQ(done[OTHER].count, done[CPU].count);
    CHECK_EQ(done[OTHER].position, done[CPU].position);
    CHECK_EQ(done[OTHER].delta.epoch, done[CPU].delta.epoch);
    CHECK_EQ(done[OTHER].delta.from, done[CPU].delta.from);
    CHECK_EQ(done[OTHER].delta.to, done[CPU].delta.to);
}

// Runs the command on both sides.
static inline cst_completion both_run(both *b, const cst_command *command) {
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

static inline void fixup(both *b, const cst_command *command) {
    cst_command marked = *command;

    marked.fixup = true;
    (void)both_run(b, &marked);
}

// Makes room for the row at which they stopped, or leaves it out.
static inline void go_on(both *b, const cst_completion *stop, cst_rows *rows) {
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

static inline void apply(both *b, cst_command command) {
    for (uint32_t stops = 0; stops < STOPS_MAX; stops++) {
        const cst_completion done = both_run(b, &command);

        b->rows_count += done.rows_done - command.rows.first_row;
        if (done.code == CST_OK) return;
        go_on(b, &done, &command.rows);
        if (command.rows.first_row > command.rows.rows_count) return; // refused as a whole
    }
}

// The next rows of the stream.
static inline cst_command apply_draw(both *b, rows_batch *batch) {
    cst_command command = {.ops = CST_OP_APPLY};

    rows_draw(&b->knobs, batch, 0);
    command.rows = batch->rows;
    if (!command.rows.hashes) command.ops |= CST_OP_HASH;
    return command;
}

static inline void batch_free(rows_batch *batch) {
    free(batch->keys);
    free(batch->values);
    free(batch);
}

static inline void look_up(both *b, cst_command command) {
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
        CHECK_OK(cst_queue_wait(b->sides[s].queue, UINT64_MAX));
        CHECK_EQ(cst_queue_poll(b->sides[s].queue, &done, 1), 1);
        CHECK_OK(done.code);
    }
    CHECK(memcmp(found[OTHER] + first, found[CPU] + first, command.rows.rows_count - first) == 0);
    for (uint32_t r = first; r < command.rows.rows_count; r++)
        if (found[CPU][r])
            CHECK(memcmp(values[OTHER] + r * VALUE_BYTES_MAX, values[CPU] + r * VALUE_BYTES_MAX,
                         b->knobs.options.program.value_bytes) == 0);
}

static inline void barrier(both *b) {
    const cst_completion done = both_run(b, &(cst_command){.ops = CST_OP_BARRIER});
    cst_bytes ranges[SIDES][64];
    size_t counts[SIDES];

    if (b->deltas_count == DELTAS_MAX) b->deltas_count = 0;
    b->deltas[b->deltas_count++] = done.delta;
    for (uint32_t s = 0; s < SIDES; s++)
        cst_table_delta_ranges(cst_device_table_image(b->sides[s].table), &done.delta, ranges[s],
                               64, &counts[s]);
    CHECK_EQ(counts[OTHER], counts[CPU]);
    for (size_t i = 0; i < counts[CPU] && i < 64; i++) {
        CHECK_EQ(ranges[OTHER][i].count, ranges[CPU][i].count);
        CHECK(memcmp(ranges[OTHER][i].data, ranges[CPU][i].data, ranges[CPU][i].count) == 0);
    }
}

// A delta and all before it, one of them again, one of an epoch that is open.
static inline void release_some(both *b) {
    const uint32_t last = (uint32_t)test_random_below(b->deltas_count);
    const cst_delta wrong = {b->deltas[b->deltas_count - 1].epoch + 1, 0, 1024};

    fixup(b, &(cst_command){.ops = CST_OP_RELEASE, .release = wrong});
    fixup(b, &(cst_command){.ops = CST_OP_RELEASE, .release = b->deltas[last]});
    fixup(b, &(cst_command){.ops = CST_OP_RELEASE, .release = b->deltas[last / 2]});
    b->deltas_count -= last + 1;
    memmove(b->deltas, b->deltas + last + 1, b->deltas_count * sizeof *b->deltas);
}

// Some buckets, all of them, or more than there are; stopped, it goes on where it stood.
static inline void expire(both *b) {
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

// All rows, in buffers of one size that may hold less than a record; of a large table in small ones
// the first.
static inline void scan(both *b) {
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
        CHECK_EQ(done[OTHER].code, done[CPU].code);
        CHECK_EQ(done[OTHER].count, done[CPU].count);
        CHECK_EQ(done[OTHER].position, done[CPU].position);
        CHECK_EQ(scans[OTHER].position, scans[CPU].position);
        CHECK_EQ(scans[OTHER].grows, scans[CPU].grows);
        CHECK(memcmp(records[OTHER], records[CPU], sizeof records[CPU]) == 0);
        b->scanned_count += done[CPU].count;
    }
    for (uint32_t s = 0; s < SIDES; s++)
        if (done[s].stopped) CHECK_OK(cst_queue_resume(b->sides[s].queue, NULL));
}

// Records of whatever lies in `bytes`; where a row has no place its segment grows.
static inline void restore_bytes(both *b, const uint8_t *bytes, size_t count) {
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

// Here and there a tombstone with a value, or a row that was set aside, as segments of windows have
// them.
static inline void records_of_windows(uint8_t *bytes, size_t count, uint32_t value_bytes) {
    for (size_t at = 0; at + sizeof(csti_record) <= count;) {
        csti_record *record = (csti_record *)(bytes + at);

        if ((record->value_flags & CSTI_RECORD_TOMBSTONE) != 0 && rows_chance(10))
            record->value_flags = CSTI_RECORD_TOMBSTONE | value_bytes;
        if ((record->value_flags & CSTI_RECORD_PRESENT) != 0 && rows_chance(10))
            record->value_flags = CSTI_RECORD_GAP | value_bytes;
        at += (size_t)record->units * CSTI_LOG_UNIT;
    }
}

// The log's newest epoch, its gaps and tombstones too: as it is, cut, or with one bit wrong.
static inline void restore(both *b) {
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
    if (rows_chance(30)) records_of_windows(bytes, count, b->knobs.options.program.value_bytes);
    if (rows_chance(30)) count = test_random_below(count + 1);
    if (rows_chance(40) && count > 0)
        bytes[test_random_below(count)] ^= (uint8_t)(1u << test_random_below(8));
    restore_bytes(b, bytes, count);
}

// Every accumulator has a word of the value; decimals, two, while there are words left over.
static inline void program_draw(cst_program *program) {
    const uint32_t words = (uint32_t)test_random_below(PAIR_VALUE_WORDS_MAX + 1);
    const uint32_t counts = words < CST_ACCUMULATORS_MAX ? words : (uint32_t)CST_ACCUMULATORS_MAX;
    const uint32_t count = (uint32_t)test_random_below(counts + 1);
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
static inline void ttl_draw(cst_program *program) {
    if (program->value_bytes < 8 || !rows_chance(40)) return;
    program->ttl_us = 1000;
    if (program->accumulators_count == 0) return;
    program->accumulators[0].op = rows_chance(50) ? CST_MAX : CST_LAST;
    program->accumulators[0].number = CST_I64;
    program->accumulators[0].source = 0;
}

static inline void knobs_draw(rows_knobs *knobs) {
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
        .key_bytes = (uint32_t)test_random_below(PAIR_KEY_BYTES_MAX + 1),
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

static inline void sources_draw(const cst_program *program, rows_batch *batch) {
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

enum { FLIGHT_BATCHES = 4, FLIGHT_COMMANDS = 6 };

// Batches with barriers among them, none waited for before all are submitted: rows, rows, barrier,
// rows, rows, barrier.
static inline void flight_submit(both *b, rows_batch *const *batches, cst_command *commands) {
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

static inline void flight_take(both *b, cst_command *commands) {
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

// ---- Streams of commands ------------------------------------------------------------------------

enum { STREAMS_MIN = 8, STREAMS_MAX = 32, STREAM_STEPS = 8 };

// What a stream has had. What is drawn may leave something out: of 32 streams some have it.
typedef struct stream_totals {
    uint64_t rows, stops, grows, expired, scanned, restored;
} stream_totals;

static bool stream_totals_add(stream_totals *totals, const both *b) {
    totals->rows += b->rows_count;
    totals->stops += b->stops_count;
    totals->grows += b->grows_count;
    totals->expired += b->expired_count;
    totals->scanned += b->scanned_count;
    totals->restored += b->restored_count;
    return totals->stops > 0 && totals->grows > 0 && totals->expired > 0 && totals->scanned > 0 &&
           totals->restored > 0;
}

static void stream_run(both *b, rows_batch *batch, uint32_t steps) {
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
}

// Accumulators that read one column alike share its words, widened from f32, some of them null; a
// decimal has two of them.
static void sums_draw(both *b, rows_batch *batch) {
    knobs_draw(&b->knobs);
    b->knobs.options.key_bytes = b->knobs.keys_longest = 8;
    b->knobs.keys_fixed = true;
    b->knobs.keys_count = 40;
    b->knobs.extremes_percent = 1;
    b->knobs.nulls_percent = 10;
    b->knobs.options.program = (cst_program){.value_bytes = 64,
                                             .accumulators_count = 5,
                                             .presence_offset = 8,
                                             .accumulators = {{CST_SUM, CST_F64, 0, 0, 0},
                                                              {CST_SUM, CST_DECIMAL128, 16, 1, 0},
                                                              {CST_MAX, CST_DECIMAL128, 32, 1, 0},
                                                              {CST_SUM, CST_F64, 48, 3, 0},
                                                              {CST_MIN, CST_F64, 56, 3, 0}}};
    sources_draw(&b->knobs.options.program, batch);
}

static void sums_run(both *b, rows_batch *batch) {
    for (uint32_t step = 0; step < 24; step++) {
        const cst_command command = apply_draw(b, batch);

        apply(b, command);
        look_up(b, command);
        barrier(b);
        images_compare(b);
    }
    CHECK(b->rows_count > 500);
}

enum { LOG_EPOCHS = 24, LOG_BATCHES = 4, LOG_SEGMENT_BYTES = 65536 };

static void log_draw(both *b, rows_batch *batch) {
    (void)batch;
    b->knobs = (rows_knobs){.keys_fixed = true,
                            .keys_count = 700,
                            .keys_longest = 16,
                            .batch_max = ROWS_BATCH_MAX};
    b->knobs.options =
        (cst_table_options){.layout = CST_TABLE_INLINE,
                            .key_bytes = 16,
                            .hash_key = {test_random(), test_random()},
                            .program = {.value_bytes = 64, .presence_offset = CST_NO_OFFSET},
                            .rows_hint = 700,
                            .budget_bytes = 12 * LOG_SEGMENT_BYTES,
                            .log_segment_bytes = LOG_SEGMENT_BYTES,
                            .numa_node = -1};
}

// Each epoch rewrites many rows and is released when the next one is sealed: the log runs through
// more segments than the budget pays for, in places that the device chose. Nobody looks at the
// image before the end: a card would load the log's places anew.
static void log_run(both *b, rows_batch *batch) {
    for (uint32_t step = 0; step < LOG_EPOCHS * LOG_BATCHES; step++) {
        const cst_command command = apply_draw(b, batch);

        apply(b, command);
        if (step % LOG_BATCHES != 0) continue;
        b->deltas[b->deltas_count++] = both_run(b, &(cst_command){.ops = CST_OP_BARRIER}).delta;
        if (b->deltas_count < 2) continue;
        fixup(b, &(cst_command){.ops = CST_OP_RELEASE, .release = b->deltas[b->deltas_count - 2]});
        b->deltas[0] = b->deltas[b->deltas_count - 1];
        b->deltas_count = 1;
    }
    images_compare(b);
    CHECK(b->deltas[0].to > b->knobs.options.budget_bytes);
}

static void flight_draw(both *b, rows_batch **batches) {
    knobs_draw(&b->knobs);
    b->knobs.options.budget_bytes = UINT64_C(16) << 20; // nothing is released
    for (uint32_t i = 0; i < FLIGHT_BATCHES; i++)
        sources_draw(&b->knobs.options.program, batches[i]);
}

static void flight_run(both *b, rows_batch **batches, uint32_t rounds_count) {
    for (uint32_t round = 0; round < rounds_count; round++) {
        cst_command commands[FLIGHT_COMMANDS];

        for (uint32_t i = 0; i < FLIGHT_BATCHES; i++) rows_draw(&b->knobs, batches[i], 0);
        flight_submit(b, batches, commands);
        flight_take(b, commands);
    }
}

static void flight_batches_free(rows_batch **batches) {
    for (uint32_t i = 0; i < FLIGHT_BATCHES; i++) batch_free(batches[i]);
}

// ---- A stream of a kind -------------------------------------------------------------------------

// How a test reaches the other side, and what it looks at before it closes it (NULL: nothing).
typedef struct pair_way {
    const char *uri;
    void (*open)(both *b, const char *uri, const cst_schema *keys);
    void (*check)(both *b);
    void (*close)(both *b);
} pair_way;

static inline void pair_run(const pair_way *way, void (*draw)(both *b, rows_batch *batch),
                            void (*run)(both *b, rows_batch *batch)) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    draw(&b, batch);
    way->open(&b, way->uri, NULL);
    run(&b, batch);
    if (way->check) way->check(&b);
    way->close(&b);
    batch_free(batch);
}

#endif
