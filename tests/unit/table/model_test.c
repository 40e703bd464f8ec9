// The table beside a plain model, an array of rows searched from its beginning: after any order of
// puts, deletes, folds and expiries both hold the same.
#include "unit/table/fixture.h"

enum { MODEL_KEYS = 1500, MODEL_VALUE_MAX = 300 };

typedef struct model_row {
    bool present;
    uint32_t value_bytes;
    uint8_t value[MODEL_VALUE_MAX];
} model_row;

// The key of row i: its number, cut to 2 to 8 bytes, or as 16; `i` fits in all of them.
static uint32_t model_key(const cst_table *table, uint32_t i, uint8_t *key) {
    const uint64_t number[2] = {i, 0};

    memcpy(key, number, 16);
    return table->key_bytes == 16 ? 16 : 2 + i % 7;
}

static void model_equals(cst_table *table, const model_row *model) {
    cst_scan scan = {0};
    cst_row_ref rows[16];
    uint32_t count, scanned = 0, present = 0;

    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        uint8_t key[16];
        const uint32_t key_bytes = model_key(table, i, key);
        cst_bytes value = {0};
        uint8_t copy[MODEL_VALUE_MAX];
        size_t copied;
        const cst_code code = cst_table_get_ref(table, key, key_bytes, &value);

        CHECK_EQ(code, model[i].present ? CST_OK : CST_NOT_FOUND);
        if (!model[i].present) {
            CHECK_CODE(cst_table_get(table, key, key_bytes, copy, sizeof copy, &copied),
                       CST_NOT_FOUND);
            continue;
        }
        present++;
        CHECK_EQ(value.count, model[i].value_bytes);
        CHECK_BYTES(value.data, model[i].value, value.count);
        CHECK_OK(cst_table_get(table, key, key_bytes, copy, sizeof copy, &copied));
        CHECK_EQ(copied, value.count);
        CHECK_BYTES(copy, model[i].value, copied);
    }
    do {
        CHECK_OK(cst_table_scan(table, &scan, rows, 16, &count));
        for (uint32_t i = 0; i < count; i++) {
            uint64_t number = 0;

            memcpy(&number, rows[i].key, rows[i].key_bytes < 8 ? rows[i].key_bytes : 8);
            CHECK(number < MODEL_KEYS);
            CHECK(model[number].present);
            CHECK_BYTES(rows[i].value, model[number].value, rows[i].value_bytes);
        }
        scanned += count;
    } while (count > 0);
    CHECK_EQ(scanned, present);
    CHECK_EQ(table->control->rows_count, present);
}

// Random single puts and deletes, with seals and releases between.
static void play_singles(const cst_table_options *options) {
    static model_row model[MODEL_KEYS];
    cst_table *table = fixture_open(options);

    memset(model, 0, sizeof model);
    for (uint32_t step = 0; step < 30000; step++) {
        const uint32_t i = (uint32_t)test_random_below(MODEL_KEYS);
        model_row *row = &model[i];
        uint8_t key[16];
        const uint32_t key_bytes = model_key(table, i, key);

        if (test_random_below(3) == 0) {
            CHECK_OK(cst_table_delete(table, key, key_bytes));
            row->present = false;
        } else {
            row->present = true;
            row->value_bytes = options->layout == CST_TABLE_WIDE
                                   ? (uint32_t)test_random_below(MODEL_VALUE_MAX)
                                   : options->program.value_bytes;
            for (uint32_t b = 0; b < row->value_bytes; b++) row->value[b] = (uint8_t)test_random();
            CHECK_OK(cst_table_put(table, key, key_bytes, row->value, row->value_bytes));
        }
        if (test_random_below(500) == 0) {
            const cst_delta delta = cst_table_seal(table);
            CHECK_OK(cst_table_release(table, &delta));
        }
        if (step % 3000 == 0) model_equals(table, model);
    }
    model_equals(table, model);
    fixture_check(table);
    cst_table_close(table);
}

TEST(inline_rows_equal_the_model) {
    const cst_table_options options = fixture_options();
    play_singles(&options);
}

TEST(rows_of_the_common_widths_equal_the_model) {
    cst_table_options options = fixture_options();

    options.key_bytes = 16;
    options.program.value_bytes = 64;
    play_singles(&options);
}

TEST(wide_rows_equal_the_model) {
    const cst_table_options options = fixture_wide_options();
    play_singles(&options);
}

// ---- Accumulators and time ----------------------------------------------------------------------

typedef struct model_sum {
    bool present;
    uint64_t count;
    int64_t sum, least, most, last, time;
} model_sum;

static cst_table_options sum_options(void) {
    static const uint8_t ops[] = {CST_COUNT, CST_SUM, CST_MIN, CST_MAX, CST_LAST, CST_MAX};
    cst_table_options options = fixture_options();

    options.program.accumulators_count = 6;
    options.program.value_bytes = 48;
    options.program.ttl_us = 1000;
    options.program.time_offset = 40;
    for (uint32_t i = 0; i < 6; i++)
        options.program.accumulators[i] = (cst_accumulator){.op = ops[i],
                                                            .number = i == 0 ? CST_U64 : CST_I64,
                                                            .value_offset = (uint16_t)(i * 8),
                                                            .source = i == 5};
    return options;
}

static void fold_model(model_sum *row, int64_t value, int64_t time, int64_t now) {
    if (row->present && row->time + 1000 <= now) row->present = false;
    if (!row->present) {
        *row = (model_sum){.present = true, .least = value, .most = value, .time = time};
    }
    row->count++;
    row->sum += value;
    if (value < row->least) row->least = value;
    if (value > row->most) row->most = value;
    row->last = value;
    if (time > row->time) row->time = time;
}

TEST(folds_and_expiries_equal_the_model) {
    enum { KEYS = 500, BATCH = 100 };
    static model_sum model[KEYS];
    const cst_table_options options = sum_options();
    cst_table *table = fixture_open(&options);
    int64_t now = 100000, values[BATCH], times[BATCH];
    uint64_t keys[BATCH], hashes[BATCH], bucket = 0;
    uint8_t ops[BATCH], found[BATCH], out[BATCH][48];
    const cst_source sources[2] = {{.values = values, .type = CST_TYPE_I64},
                                   {.values = times, .type = CST_TYPE_TIMESTAMP}};
    cst_rows rows = {.rows_count = BATCH,
                     .key_stride = 8,
                     .key_bytes = 8,
                     .ops = ops,
                     .hashes = hashes,
                     .keys = (const uint8_t *)keys,
                     .sources = sources};
    uint32_t applied;

    for (uint32_t round = 0; round < 600; round++) {
        now += (int64_t)test_random_below(60);
        rows.now_us = now;
        for (uint32_t r = 0; r < BATCH; r++) {
            keys[r] = test_random_below(KEYS);
            hashes[r] = cst_hash(&FIXTURE_KEY, &keys[r], 8);
            values[r] = (int64_t)test_random_below(2001) - 1000;
            times[r] = now - (int64_t)test_random_below(1300);
            ops[r] = test_random_below(10) == 0;
            if (ops[r] == CST_ROW_UPSERT)
                fold_model(&model[keys[r]], values[r], times[r], now);
            else if (model[keys[r]].time + 1000 > now)
                model[keys[r]].present = false;
        }
        CHECK_OK(cst_table_apply_all(table, &rows, &applied));
        CHECK_EQ(applied, BATCH);
        CHECK_OK(cst_table_lookup(table, &rows, out[0], 48, found));
        for (uint32_t r = 0; r < BATCH; r++) {
            const model_sum *row = &model[keys[r]];

            CHECK_EQ(found[r], row->present && row->time + 1000 > now);
            if (found[r]) CHECK_BYTES(out[r], &row->count, 48);
        }
        if (round % 10 == 9) {
            uint32_t expired = 0;

            CHECK_OK(cst_table_prepare(table, NULL)); // tombstones need log segments
            CHECK_OK(cst_table_expire(table, &bucket, 16, now, &expired));
            (void)cst_table_seal(table);
        }
    }
    fixture_check(table);
    cst_table_close(table);
}

TEST_MAIN
