// The batched table against the reference: random streams of every command, equal answers, equal
// images, equal deltas. A stream's knobs are drawn from its seed; CST_STREAM=seed replays one
// stream, CST_STREAMS=n plays more of them.
#include "differential/table_pair.h"
#include "differential/table_rows.h"

enum { STREAMS_DEFAULT = TEST_SHARE(12), HISTORY_BYTES_MAX = 8 << 20, ATTEMPTS_MAX = 64 };

#define RESTORED_BUDGET_BYTES (UINT64_C(96) << 20)

typedef struct stream {
    rows_knobs knobs;
    table_pair pair;
    rows_batch *batch;
    int64_t now_us;
    uint64_t bucket; // where EXPIRE goes on
    cst_delta sealed[64];
    uint32_t sealed_count; // not released yet, oldest first
    uint8_t *history;      // all deltas from the first on, or NULL once they were too long
    size_t history_bytes;
} stream;

// ---- Knobs --------------------------------------------------------------------------------------

static cst_type draw_type(cst_number number) {
    static const cst_type u64s[] = {CST_TYPE_U8,  CST_TYPE_U16, CST_TYPE_U32,
                                    CST_TYPE_U64, CST_TYPE_U64, CST_TYPE_BOOL};
    static const cst_type i64s[] = {CST_TYPE_I8,  CST_TYPE_I16,  CST_TYPE_I32,      CST_TYPE_I64,
                                    CST_TYPE_I64, CST_TYPE_DATE, CST_TYPE_TIMESTAMP};

    switch (number) {
    case CST_U64:
        return u64s[test_random_below(6)];
    case CST_I64:
        return i64s[test_random_below(7)];
    case CST_F64:
        return rows_chance(50) ? CST_TYPE_F64 : CST_TYPE_F32;
    default:
        return CST_TYPE_DECIMAL128;
    }
}

static void draw_program(stream *s, uint32_t accumulators_count) {
    cst_program *program = &s->knobs.options.program;
    uint32_t at = 0;

    for (uint32_t i = 0; i < accumulators_count; i++) {
        const bool is_time = program->ttl_us && i == 0;
        cst_accumulator *accumulator = &program->accumulators[i];
        const uint32_t op = 1 + (uint32_t)test_random_below(5);
        cst_number number = (cst_number)(1 + test_random_below(4));

        if (op == CST_COUNT) number = CST_U64;
        if (is_time) number = CST_I64;
        *accumulator = (cst_accumulator){.op = (uint8_t)(is_time ? CST_MAX : op),
                                         .number = (uint8_t)number,
                                         .value_offset = (uint16_t)at,
                                         .source = (uint16_t)i};
        s->batch->sources[i] =
            (cst_source){.type = is_time ? CST_TYPE_TIMESTAMP : draw_type(number)};
        if (op == CST_COUNT && !is_time && rows_chance(50)) accumulator->source = CST_NO_COLUMN;
        at += number == CST_DECIMAL128 ? 16 : 8;
        if (rows_chance(10)) at += 8; // a hole stays zero
    }
    program->accumulators_count = (uint16_t)accumulators_count;
    program->presence_offset = CST_NO_OFFSET;
    if (rows_chance(50)) {
        program->presence_offset = (uint16_t)at;
        at += 8;
    }
    program->value_bytes = at;
    program->time_offset = 0;
}

// Widths that the library has code of its own for.
static void draw_common_widths(cst_table_options *options) {
    const bool is_short = rows_chance(50);

    options->key_bytes = is_short ? 8 : 16;
    options->program.value_bytes = is_short ? 32 : 64;
}

static void draw_knobs(stream *s, uint64_t seed) {
    static const uint32_t batches[] = {1, 7, 64, 300};
    static const uint32_t deletes[] = {0, 0, 5, 20, 50};
    static const uint32_t keys[] = {3, 40, 700, 5000, 40000};
    rows_knobs *knobs = &s->knobs;
    cst_table_options *options = &knobs->options;
    const bool is_wide = rows_chance(35);

    knobs->seed = seed;
    options->layout = is_wide ? CST_TABLE_WIDE : CST_TABLE_INLINE;
    options->key_bytes = is_wide ? 0 : (uint32_t)test_random_below(33);
    options->hash_key = (cst_hash_key){.k0 = seed, .k1 = 1};
    options->numa_node = -1;
    options->log_segment_bytes = 65536u << test_random_below(2);
    options->rows_hint = rows_chance(70) ? 0 : test_random_below(20000);
    if (!is_wide && rows_chance(40)) options->program.ttl_us = 1000;
    if (rows_chance(50) && !is_wide) {
        draw_program(s, 1 + (uint32_t)test_random_below(rows_chance(80) ? 5 : 16));
    } else {
        options->program.presence_offset = CST_NO_OFFSET;
        options->program.time_offset = (uint16_t)(test_random_below(4) * 8);
        options->program.value_bytes = (uint32_t)test_random_below(120);
        if (options->program.ttl_us) options->program.value_bytes += 32;
        if (is_wide) options->program.value_bytes = 0;
    }
    knobs->keys_fixed = rows_chance(50);
    if (!is_wide && options->program.accumulators_count == 0 && rows_chance(20))
        draw_common_widths(options);
    knobs->keys_longest = is_wide ? (uint32_t)test_random_below(200) : options->key_bytes;
    if (!is_wide && rows_chance(10)) knobs->keys_longest += 1;
    if (!is_wide && rows_chance(10) && knobs->keys_longest > 8)
        knobs->keys_longest = knobs->keys_longest > 16 ? 16 : 8; // shorter than the table's
    if (options->program.ttl_us == 0) options->program.time_offset = 0;
    knobs->values_longest = (uint32_t)test_random_below(rows_chance(70) ? 100 : 3000);
    knobs->keys_count = keys[test_random_below(5)];
    knobs->skew = (rows_skew)test_random_below(ROWS_SKEWS);
    knobs->hashes = rows_chance(50) ? ROWS_HASH_FREE : (rows_hashes)test_random_below(ROWS_HASHES);
    knobs->batch_max = batches[test_random_below(4)];
    knobs->deletes_percent = deletes[test_random_below(5)];
    knobs->nulls_percent = rows_chance(50) ? 0 : 30;
    knobs->extremes_percent = rows_chance(50) ? 0 : rows_chance(50) ? 2 : 40;
    knobs->seals_percent = rows_chance(50) ? 3 : 30;
    knobs->release_lag = (uint32_t)test_random_below(6);
    knobs->prepare_eager = rows_chance(50);
    knobs->steps = 300;
    options->budget_bytes = rows_chance(60) || options->rows_hint > 1000
                                ? UINT64_C(64) << (rows_chance(20) ? 22 : 20)
                                : (UINT64_C(1) << 19) << test_random_below(4);
}

static void print_knobs(const rows_knobs *k) {
    const cst_program *p = &k->options.program;

    printf("\n  CST_STREAM=%" PRIu64 ": %s, keys %s%u of %u, value %u (wide to %u), %u accumulators"
           " presence %d ttl %" PRIu64 ", %u keys skew %d hashes %d, batch %u deletes %u%% nulls"
           " %u%% extremes %u%%, seal %u%% lag %u, log %u budget %" PRIu64 " hint %" PRIu64
           " prepare %d ",
           k->seed, k->options.layout == CST_TABLE_WIDE ? "wide" : "inline",
           k->keys_fixed ? "" : "0..", k->keys_longest, k->options.key_bytes, p->value_bytes,
           k->values_longest, p->accumulators_count, p->presence_offset != CST_NO_OFFSET, p->ttl_us,
           k->keys_count, k->skew, k->hashes, k->batch_max, k->deletes_percent, k->nulls_percent,
           k->extremes_percent, k->seals_percent, k->release_lag, k->options.log_segment_bytes,
           k->options.budget_bytes, k->options.rows_hint, k->prepare_eager);
    fflush(stdout);
}

// ---- Steps --------------------------------------------------------------------------------------

static void remember(stream *s, const cst_delta *delta) {
    static cst_bytes ranges[4096];
    size_t count = 0;
    uint64_t bytes = 0;

    cst_table_delta_ranges(s->pair.fast, delta, ranges, 4096, &count);
    CHECK(count <= 4096);
    for (size_t i = 0; i < count; i++) bytes += ranges[i].count;
    CHECK_EQ(bytes, delta->to - delta->from);
    if (!s->history || s->history_bytes + bytes > HISTORY_BYTES_MAX) {
        free(s->history);
        s->history = NULL;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(s->history + s->history_bytes, ranges[i].data, ranges[i].count);
        s->history_bytes += ranges[i].count;
    }
}

static void release_oldest(stream *s) {
    CHECK(s->sealed_count > 0);
    CHECK_OK(pair_release(&s->pair, &s->sealed[0]));
    s->sealed_count--;
    memmove(s->sealed, s->sealed + 1, s->sealed_count * sizeof s->sealed[0]);
}

static void step_seal(stream *s) {
    cst_delta delta = {.epoch = s->pair.fast->control->epoch};

    CHECK_CODE(pair_release(&s->pair, &delta), CST_EPOCH);
    delta = pair_seal(&s->pair);
    remember(s, &delta);
    s->sealed[s->sealed_count++] = delta;
    while (s->sealed_count > s->knobs.release_lag) {
        const cst_delta oldest = s->sealed[0];

        release_oldest(s);
        CHECK_OK(pair_release(&s->pair, &oldest)); // twice changes nothing
    }
}

// Makes room for a row that was refused; false: it has to be dropped.
static bool make_room(stream *s, cst_code code, uint64_t hash) {
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        switch (code) {
        case CST_TABLE_FULL:
        case CST_AGAIN:
            code = pair_grow(&s->pair, hash);
            if (code == CST_OK) return true;
            break;
        case CST_TABLE_NOT_READY:
            pair_prepare(&s->pair);
            return true;
        case CST_TABLE_BUDGET:
            if (attempt > 0 || s->sealed_count == 0) return false;
            while (s->sealed_count > 0) release_oldest(s);
            return true;
        default:
            return false;
        }
    }
    return false;
}

static void step_apply(stream *s) {
    cst_rows *rows = &s->batch->rows;
    uint32_t attempts = 0;

    rows_draw(&s->knobs, s->batch, s->now_us);
    while (rows->first_row < rows->rows_count) {
        uint32_t applied;
        const cst_code code = pair_apply(&s->pair, rows, &applied);

        rows->first_row += applied;
        CHECK(rows->first_row <= rows->rows_count);
        CHECK_EQ(code == CST_OK, rows->first_row == rows->rows_count);
        if (code == CST_OK) return;
        if (applied > 0) attempts = 0;
        if (attempts++ < 8 && make_room(s, code, s->batch->hashes[rows->first_row])) continue;
        rows->first_row++; // dropped
        attempts = 0;
    }
}

static void step_lookup(stream *s) {
    rows_draw(&s->knobs, s->batch, s->now_us);
    pair_lookup(&s->pair, &s->batch->rows, s->knobs.options.program.value_bytes);
}

static void step_expire(stream *s) {
    uint32_t expired;
    const cst_code code =
        pair_expire(&s->pair, &s->bucket, (uint32_t)test_random_below(200), s->now_us, &expired);

    if (code != CST_OK) (void)make_room(s, code, 0);
}

// ---- A restored table holds the same rows -------------------------------------------------------

static size_t record_bytes_at(const uint8_t *at) {
    csti_record head;

    memcpy(&head, at, sizeof head);
    CHECK(head.units > 0);
    return (size_t)head.units * CSTI_LOG_UNIT;
}

// The segment of a row that found no place in a fresh table. False: the hashes collide so badly
// that this order of rows has no place, though another one had.
static bool restore_grow(table_pair *fresh, const uint8_t *record_at, bool may_skew) {
    csti_record head;
    cst_code code;

    memcpy(&head, record_at, sizeof head);
    do {
        code = pair_grow(fresh, head.hash);
        if (code == CST_TABLE_NOT_READY) pair_prepare(fresh);
    } while (code == CST_AGAIN || code == CST_TABLE_NOT_READY);
    if (code == CST_TABLE_SKEW && may_skew) return false;
    CHECK_CODE(code, CST_OK);
    return true;
}

static bool restore_history(stream *s, table_pair *fresh) {
    cst_table_options options = s->knobs.options;
    size_t at = 0, end = 0;

    options.budget_bytes = RESTORED_BUDGET_BYTES;
    *fresh = (table_pair){.hashes_bent = s->knobs.hashes != ROWS_HASH_FREE};
    pair_open(fresh, &options);
    pair_prepare(fresh);
    while (at < s->history_bytes) {
        size_t used;
        cst_code code;

        // A few whole records at a time.
        while (end == at || (end < s->history_bytes && rows_chance(99)))
            end += record_bytes_at(s->history + end);
        code = pair_restore(fresh, s->history + at, end - at, &used);
        at += used;
        if (code == CST_TABLE_NOT_READY) {
            pair_prepare(fresh);
        } else if (code == CST_TABLE_FULL) {
            if (!restore_grow(fresh, s->history + at, s->knobs.hashes != ROWS_HASH_FREE))
                return false;
        } else {
            CHECK_CODE(code, CST_OK);
        }
    }
    return true;
}

// Each row of `a` is in `b`, with the same value.
static void rows_are_in(cst_table *a, cst_table *b, int64_t now_us) {
    cst_scan scan = {.now_us = now_us};
    cst_row_ref rows[64];
    uint32_t count;

    for (;;) {
        CHECK_OK(csti_reference_scan(a, &scan, rows, 64, &count));
        if (count == 0) return;
        for (uint32_t i = 0; i < count; i++) {
            const cst_rows key = {.rows_count = 1,
                                  .hashes = &rows[i].hash,
                                  .keys = rows[i].key,
                                  .key_bytes = rows[i].key_bytes,
                                  .now_us = now_us};
            cst_bytes found;

            CHECK_OK(csti_reference_lookup_refs(b, &key, &found));
            CHECK(found.data);
            CHECK_EQ(found.count, rows[i].value_bytes);
            CHECK_BYTES(found.data, rows[i].value, found.count);
        }
    }
}

// Restores all deltas into fresh tables; sometimes the stream goes on there.
static void step_restore(stream *s) {
    table_pair fresh;
    bool whole;

    if (!s->history) return;
    step_seal(s);
    if (!s->history) return;
    whole = restore_history(s, &fresh);
    pair_compare(&fresh);
    if (whole) {
        rows_are_in(s->pair.fast, fresh.fast, s->now_us);
        rows_are_in(fresh.fast, s->pair.fast, s->now_us);
    }
    if (whole && rows_chance(30)) {
        pair_close(&s->pair);
        s->pair = fresh;
        s->knobs.options.budget_bytes = RESTORED_BUDGET_BYTES;
        s->sealed_count = 0;
        s->bucket = 0;
    } else {
        pair_close(&fresh);
    }
}

// ---- Save and load ------------------------------------------------------------------------------

typedef struct memory_file {
    uint8_t *bytes;
    size_t count, capacity, read;
} memory_file;

static cst_code memory_write(void *context, const void *bytes, size_t count, cst_err *err) {
    memory_file *file = context;

    (void)err;
    if (file->count + count > file->capacity) {
        file->capacity = (file->count + count) * 2;
        file->bytes = realloc(file->bytes, file->capacity);
        CHECK(file->bytes);
    }
    memcpy(file->bytes + file->count, bytes, count);
    file->count += count;
    return CST_OK;
}

static cst_code memory_read(void *context, void *bytes, size_t count, cst_err *err) {
    memory_file *file = context;

    if (file->count - file->read < count) return cst_fail(err, CST_IO, "the end");
    memcpy(bytes, file->bytes + file->read, count);
    file->read += count;
    return CST_OK;
}

// Both images are saved as the same bytes; the stream goes on with what was loaded from them.
static void step_save(stream *s) {
    memory_file files[2] = {{0}, {0}};
    table_pair loaded = {0};
    cst_err err = {0};

    CHECK_OK(cst_table_save(s->pair.fast, memory_write, &files[0], &err));
    CHECK_OK(cst_table_save(s->pair.reference, memory_write, &files[1], &err));
    CHECK_EQ(files[0].count, files[1].count);
    CHECK_BYTES(files[0].bytes, files[1].bytes, files[0].count);
    if (s->pair.hashes_bent) goto done;
    if (cst_table_load(&s->knobs.options, memory_read, &files[0], &loaded.fast, &err) != CST_OK)
        TEST_FAIL("load: %s", err.text);
    if (cst_table_load(&s->knobs.options, memory_read, &files[1], &loaded.reference, &err) !=
        CST_OK)
        TEST_FAIL("load: %s", err.text);
    image_equal(s->pair.fast, loaded.fast);
    pair_compare(&loaded);
    pair_close(&s->pair);
    s->pair = loaded;
done:
    free(files[0].bytes);
    free(files[1].bytes);
}

// ---- Streams ------------------------------------------------------------------------------------

static void play_step(stream *s) {
    if (s->knobs.prepare_eager) pair_prepare(&s->pair);
    s->now_us += (int64_t)test_random_below(100);
    step_apply(s);
    if (rows_chance(s->knobs.seals_percent)) step_seal(s);
    if (rows_chance(20)) step_lookup(s);
    if (rows_chance(s->knobs.options.program.ttl_us ? 20 : 2)) step_expire(s);
    if (rows_chance(5)) (void)make_room(s, pair_grow(&s->pair, test_random()), 0);
    if (rows_chance(2)) (void)pair_scan(&s->pair, 1 + (uint32_t)test_random_below(64), s->now_us);
    if (rows_chance(1)) step_restore(s);
    if (rows_chance(1)) step_save(s);
    if (rows_chance(10)) pair_compare(&s->pair);
}

static void play(uint64_t seed, void (*force)(stream *)) {
    const uint64_t outer = test_random_state;
    stream s = {.now_us = 1000000};

    test_random_state = seed;
    s.batch = calloc(1, sizeof *s.batch);
    s.history = malloc(HISTORY_BYTES_MAX);
    CHECK(s.batch && s.history);
    draw_knobs(&s, seed);
    if (force) force(&s);
    print_knobs(&s.knobs);
    s.pair.hashes_bent = s.knobs.hashes != ROWS_HASH_FREE;
    pair_open(&s.pair, &s.knobs.options);
    pair_prepare(&s.pair);
    for (uint32_t step = 0; step < s.knobs.steps; step++) play_step(&s);
    step_restore(&s);
    pair_compare(&s.pair);
    pair_close(&s.pair);
    free(s.batch->keys);
    free(s.batch->values);
    free(s.batch);
    free(s.history);
    test_random_state = outer;
}

static void play_many(void (*force)(stream *), uint64_t count) {
    const char *more = getenv("CST_STREAMS");
    const char *one = getenv("CST_STREAM");

    if (one) {
        play(strtoull(one, NULL, 0), force);
        return;
    }
    if (more) count = strtoull(more, NULL, 0);
    for (uint64_t i = 0; i < count; i++) play(test_random(), force);
    putchar('\n');
}

static void force_inline(stream *s) {
    if (s->knobs.options.layout == CST_TABLE_INLINE) return;
    s->knobs.options.layout = CST_TABLE_INLINE;
    s->knobs.options.key_bytes = s->knobs.keys_longest %= 33;
    if (s->knobs.options.program.accumulators_count == 0) s->knobs.options.program.value_bytes = 40;
}

static void force_wide(stream *s) {
    if (s->knobs.options.layout == CST_TABLE_WIDE) return;
    s->knobs.options.layout = CST_TABLE_WIDE;
    s->knobs.options.key_bytes = 0;
    s->knobs.options.program = (cst_program){.presence_offset = CST_NO_OFFSET};
}

static void force_accumulators(stream *s) {
    force_inline(s);
    s->knobs.options.program.ttl_us = rows_chance(30) ? 1000 : 0;
    draw_program(s, 1 + (uint32_t)test_random_below(8));
    s->knobs.extremes_percent = 5;
}

static void force_common_widths(stream *s) {
    rows_knobs *knobs = &s->knobs;
    cst_program *program = &knobs->options.program;
    uint32_t value_bytes;

    force_inline(s);
    *program = (cst_program){.presence_offset = CST_NO_OFFSET};
    draw_common_widths(&knobs->options);
    value_bytes = program->value_bytes;
    if (rows_chance(60)) {
        program->ttl_us = rows_chance(30) ? 1000 : 0;
        draw_program(s, value_bytes == 32 ? 1 : 2);
        program->value_bytes = value_bytes;
    }
    knobs->keys_fixed = true;
    knobs->keys_longest = knobs->options.key_bytes;
}

static void force_small_budget(stream *s) {
    s->knobs.options.budget_bytes = UINT64_C(1) << 20;
    s->knobs.options.rows_hint = 0;
    s->knobs.keys_count = 40000;
    s->knobs.skew = ROWS_UNIFORM;
    s->knobs.batch_max = 300;
    s->knobs.prepare_eager = false;
}

static void force_collisions(stream *s) {
    force_small_budget(s);
    s->knobs.options.budget_bytes = UINT64_C(64) << 20;
    s->knobs.hashes = ROWS_HASH_TWO_BUCKETS;
    s->knobs.deletes_percent = 5;
}

TEST(streams_of_any_kind_give_equal_images) {
    play_many(NULL, STREAMS_DEFAULT);
}
TEST(inline_streams_give_equal_images) {
    play_many(force_inline, STREAMS_DEFAULT);
}
TEST(wide_streams_give_equal_images) {
    play_many(force_wide, STREAMS_DEFAULT);
}
TEST(common_widths_give_equal_images) {
    play_many(force_common_widths, STREAMS_DEFAULT);
}
TEST(accumulators_give_equal_images) {
    play_many(force_accumulators, STREAMS_DEFAULT);
}

TEST(small_budgets_refuse_alike) {
    memset(pair_codes_seen, 0, sizeof pair_codes_seen);
    play_many(force_small_budget, STREAMS_DEFAULT);
    CHECK(pair_codes_seen[CST_TABLE_BUDGET] > 0);
    CHECK(pair_codes_seen[CST_TABLE_FULL] > 0);
    CHECK(pair_codes_seen[CST_TABLE_NOT_READY] > 0);
}

TEST(colliding_hashes_refuse_alike) {
    memset(pair_codes_seen, 0, sizeof pair_codes_seen);
    play_many(force_collisions, STREAMS_DEFAULT);
    CHECK(pair_codes_seen[CST_TABLE_SKEW] > 0);
    CHECK(pair_codes_seen[CST_TABLE_FULL] > 0);
}

TEST_MAIN
