// Input that the table has to refuse: each a typed error, and the table stays as it was.
#include "table/reference.h"
#include "table/restore.h"
#include "unit/table/fixture.h"

#include <constellation/keys.h>

// ---- Lengths ------------------------------------------------------------------------------------

TEST(a_key_longer_than_the_slots_is_refused) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    const uint8_t key[9] = {1}, value[8] = {2};
    fixture_file before = fixture_save(table);
    size_t count;

    CHECK_CODE(cst_table_put(table, key, 9, value, 8), CST_KEY_TOO_LONG);
    CHECK_CODE(cst_table_delete(table, key, 9), CST_KEY_TOO_LONG);
    CHECK_CODE(cst_table_get(table, key, 9, NULL, 0, &count), CST_NOT_FOUND);
    fixture_unchanged(&before, table);
    cst_table_close(table);
}

TEST(a_value_of_another_length_is_refused) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    const uint8_t key[8] = {1}, value[9] = {2};
    fixture_file before = fixture_save(table);

    CHECK_CODE(cst_table_put(table, key, 8, value, 9), CST_VALUE_TOO_LONG);
    CHECK_CODE(cst_table_put(table, key, 8, value, 7), CST_VALUE_TOO_LONG);
    fixture_unchanged(&before, table);
    cst_table_close(table);
}

TEST(single_forms_are_refused_where_rows_have_a_time_to_live) {
    cst_table_options options = fixture_options();
    const uint8_t key[8] = {1}, value[8] = {2};
    uint8_t back[8];
    cst_bytes ref;
    cst_table *table;
    size_t count;

    options.program.ttl_us = 5;
    table = fixture_open(&options);
    CHECK_CODE(cst_table_put(table, key, 8, value, 8), CST_UNSUPPORTED);
    CHECK_CODE(cst_table_get(table, key, 8, back, 8, &count), CST_UNSUPPORTED);
    CHECK_CODE(cst_table_get_ref(table, key, 8, &ref), CST_UNSUPPORTED);
    CHECK_CODE(cst_table_delete(table, key, 8), CST_UNSUPPORTED);
    cst_table_close(table);
}

TEST(the_longest_wide_key_is_taken_and_one_byte_more_refused) {
    cst_table_options options = fixture_wide_options();
    static uint8_t key[65536], back[3];
    cst_table *table;
    size_t count;

    options.log_segment_bytes = 2 << 20;
    table = fixture_open(&options);
    key[65534] = 9;
    CHECK_OK(cst_table_put(table, key, 65535, "abc", 3));
    CHECK_OK(cst_table_get(table, key, 65535, back, 3, &count));
    CHECK_EQ(count, 3);
    CHECK_BYTES(back, "abc", 3);
    CHECK_CODE(cst_table_put(table, key, 65536, "abc", 3), CST_KEY_TOO_LONG);
    CHECK_CODE(cst_table_get(table, key, 65535, back, 2, &count), CST_LIMIT);
    fixture_check(table);
    CHECK_OK(cst_table_delete(table, key, 65535));
    fixture_check(table);
    cst_table_close(table);
}

TEST(the_longest_wide_value_is_taken_and_one_byte_more_refused) {
    cst_table_options options = fixture_wide_options();
    uint8_t *value = calloc(1, CST_WIDE_VALUE_BYTES_MAX + 1);
    cst_table *table;
    fixture_file before;

    CHECK(value);
    options.log_segment_bytes = 2 << 20;
    table = fixture_open(&options);
    CHECK_OK(cst_table_put(table, "k", 1, value, CST_WIDE_VALUE_BYTES_MAX));
    before = fixture_save(table);
    CHECK_CODE(cst_table_put(table, "k", 1, value, CST_WIDE_VALUE_BYTES_MAX + 1),
               CST_VALUE_TOO_LONG);
    fixture_unchanged(&before, table);
    fixture_check(table);
    cst_table_close(table);
    free(value);
}

// A record takes at most a segment less 1 KiB: 64,512 bytes, 16 of them head, 8 key.
TEST(a_wide_row_that_no_log_segment_holds_is_refused) {
    const cst_table_options options = fixture_wide_options();
    cst_table *table = fixture_open(&options);
    static uint8_t value[64512];
    static uint8_t key[65000];

    CHECK_OK(cst_table_put(table, "k", 1, value, 64512 - 24));
    CHECK_CODE(cst_table_put(table, "k", 1, value, 64512 - 23), CST_VALUE_TOO_LONG);
    CHECK_CODE(cst_table_put(table, key, 65000, value, 0), CST_VALUE_TOO_LONG);
    CHECK_OK(cst_table_delete(table, key, 65000)); // not there, whatever its length
    fixture_check(table);
    cst_table_close(table);
}

TEST(empty_keys_and_values_are_rows) {
    cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    const uint64_t value = 77;
    uint64_t back;
    size_t count;

    CHECK_OK(cst_table_put(table, NULL, 0, &value, 8));
    CHECK_OK(cst_table_get(table, NULL, 0, &back, 8, &count));
    CHECK_EQ(back, 77);
    cst_table_close(table);
    options = fixture_wide_options();
    table = fixture_open(&options);
    CHECK_OK(cst_table_put(table, NULL, 0, NULL, 0));
    CHECK_OK(cst_table_get(table, NULL, 0, NULL, 0, &count));
    CHECK_EQ(count, 0);
    CHECK_OK(cst_table_delete(table, NULL, 0));
    CHECK_CODE(cst_table_get(table, NULL, 0, NULL, 0, &count), CST_NOT_FOUND);
    fixture_check(table);
    cst_table_close(table);
}

// ---- Accumulators at their limits ---------------------------------------------------------------

static cst_table *open_accumulator(uint8_t op, uint8_t number) {
    cst_table_options options = fixture_options();

    options.program.accumulators_count = 1;
    options.program.value_bytes = 16;
    options.program.accumulators[0] = (cst_accumulator){.op = op, .number = number};
    return fixture_open(&options);
}

static cst_code fold(cst_table *table, cst_type type, const void *value) {
    const cst_source source = {.values = value, .type = type};
    const uint64_t key = 1, hash = cst_hash(&FIXTURE_KEY, &key, 8);
    const cst_rows rows = {.rows_count = 1,
                           .key_bytes = 8,
                           .hashes = &hash,
                           .keys = (const uint8_t *)&key,
                           .sources = &source};
    uint32_t applied;
    const cst_code code = cst_table_apply_all(table, &rows, &applied);

    CHECK_EQ(applied, code == CST_OK);
    return code;
}

// `most` is taken, `more` on top of it refused, without a change.
static void overflows(uint8_t number, cst_type type, const void *most, const void *more,
                      size_t bytes) {
    cst_table *table = open_accumulator(CST_SUM, number);
    const uint64_t key = 1;
    fixture_file before;
    cst_bytes value;

    CHECK_OK(fold(table, type, most));
    before = fixture_save(table);
    CHECK_CODE(fold(table, type, more), CST_SUM_OVERFLOW);
    fixture_unchanged(&before, table);
    CHECK_OK(cst_table_get_ref(table, &key, 8, &value));
    CHECK_BYTES(value.data, most, bytes);
    cst_table_close(table);
}

TEST(a_u64_sum_stops_at_its_limit) {
    const uint64_t most = UINT64_MAX, more = 1;
    overflows(CST_U64, CST_TYPE_U64, &most, &more, 8);
}

TEST(an_i64_sum_stops_at_both_limits) {
    const int64_t most = INT64_MAX, least = INT64_MIN, up = 1, down = -1;
    overflows(CST_I64, CST_TYPE_I64, &most, &up, 8);
    overflows(CST_I64, CST_TYPE_I64, &least, &down, 8);
}

TEST(a_decimal_sum_stops_at_38_digits) {
    const cst_i128 bound =
        (cst_i128)UINT64_C(10000000000000000000) * UINT64_C(10000000000000000000);
    const cst_i128 most = bound - 1, least = 1 - bound, up = 1, down = -1;
    cst_table *table = open_accumulator(CST_SUM, CST_DECIMAL128);

    overflows(CST_DECIMAL128, CST_TYPE_DECIMAL128, &most, &up, 16);
    overflows(CST_DECIMAL128, CST_TYPE_DECIMAL128, &least, &down, 16);
    overflows(CST_DECIMAL128, CST_TYPE_DECIMAL128, &most, &most, 16);       // twice is above 2^127
    overflows(CST_DECIMAL128, CST_TYPE_DECIMAL128, &least, &least, 16);     // and below -2^127
    CHECK_CODE(fold(table, CST_TYPE_DECIMAL128, &bound), CST_SUM_OVERFLOW); // not a decimal
    CHECK_EQ(table->control->rows_count, 0);
    CHECK_OK(fold(table, CST_TYPE_DECIMAL128, &most));
    cst_table_close(table);
}

TEST(a_count_stops_at_its_limit) {
    cst_table *table = open_accumulator(CST_COUNT, CST_U64);
    const uint64_t key = 1;
    struct {
        csti_record head;
        uint64_t key, count, rest[4];
    } record = {.head = {.hash = cst_hash(&FIXTURE_KEY, &key, 8),
                         .key_bytes = 8,
                         .units = 2,
                         .value_flags = CSTI_RECORD_PRESENT | 16},
                .key = key,
                .count = UINT64_MAX - 1};
    fixture_file before;
    size_t used;

    CHECK_OK(cst_table_restore_records(table, (const uint8_t *)&record, 64, &used));
    CHECK_OK(fold(table, CST_TYPE_U64, &key));
    before = fixture_save(table);
    CHECK_CODE(fold(table, CST_TYPE_U64, &key), CST_SUM_OVERFLOW);
    fixture_unchanged(&before, table);
    cst_table_close(table);
}

TEST(a_double_sum_goes_to_infinity_and_nan_without_an_error) {
    cst_table *table = open_accumulator(CST_SUM, CST_F64);
    const double most = 1.7976931348623157e308, less = -1.0 / 0.0;
    const uint64_t key = 1, nan_bits = UINT64_C(0x7ff8000000000000);
    cst_bytes value;

    CHECK_OK(fold(table, CST_TYPE_F64, &most));
    CHECK_OK(fold(table, CST_TYPE_F64, &most));
    CHECK_OK(fold(table, CST_TYPE_F64, &less));
    CHECK_OK(cst_table_get_ref(table, &key, 8, &value));
    CHECK_BYTES(value.data, &nan_bits, 8);
    cst_table_close(table);
}

TEST(a_row_with_one_overflow_folds_into_none_of_its_accumulators) {
    cst_table_options options = fixture_options();
    const uint64_t big = UINT64_MAX, key = 1;
    cst_table *table;
    fixture_file before;

    options.program.accumulators_count = 2;
    options.program.value_bytes = 16;
    options.program.accumulators[0] =
        (cst_accumulator){.op = CST_COUNT, .number = CST_U64, .source = CST_NO_COLUMN};
    options.program.accumulators[1] =
        (cst_accumulator){.op = CST_SUM, .number = CST_U64, .value_offset = 8};
    table = fixture_open(&options);
    CHECK_OK(fold(table, CST_TYPE_U64, &big));
    before = fixture_save(table);
    CHECK_CODE(fold(table, CST_TYPE_U64, &key), CST_SUM_OVERFLOW);
    fixture_unchanged(&before, table);
    cst_table_close(table);
}

TEST(a_source_of_another_type_is_refused) {
    const uint64_t values[2] = {1, 2};
    cst_table *table = open_accumulator(CST_SUM, CST_I64);

    CHECK_CODE(fold(table, CST_TYPE_U64, values), CST_USAGE);
    CHECK_CODE(fold(table, CST_TYPE_F64, values), CST_USAGE);
    CHECK_CODE(fold(table, CST_TYPE_DECIMAL128, values), CST_USAGE);
    CHECK_CODE(fold(table, CST_TYPE_STRING, values), CST_USAGE);
    CHECK_OK(fold(table, CST_TYPE_I64, values));
    CHECK_CODE(cst_table_put(table, values, 8, values, 16), CST_UNSUPPORTED);
    cst_table_close(table);
}

// ---- Keys chosen to collide ---------------------------------------------------------------------

// Keys whose two buckets, in a segment of four chunks, are those of key number 0.
static void colliding_keys(fixture_rows *batch, uint32_t count) {
    const uint64_t zero = 0;
    const uint64_t like = cst_hash(&FIXTURE_KEY, &zero, 8);
    const uint32_t first = csti_hash_bucket_first(like, 32);
    const uint32_t second = csti_hash_bucket_second(like, 32, first);
    uint32_t found = 0;

    fixture_fill(batch, 0, count);
    for (uint64_t key = 0; found < count; key++) {
        const uint64_t hash = cst_hash(&FIXTURE_KEY, &key, 8);

        if (csti_hash_bucket_first(hash, 32) != first) continue;
        if (csti_hash_bucket_second(hash, 32, first) != second) continue;
        batch->keys[found] = key;
        batch->hashes[found++] = hash;
    }
}

TEST(keys_that_all_fall_in_two_buckets_are_refused_as_skew) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    static fixture_rows batch;
    fixture_file before;
    uint32_t applied;

    colliding_keys(&batch, 33);
    CHECK_CODE(cst_table_apply(table, &batch.rows, &applied), CST_TABLE_FULL);
    CHECK_EQ(applied, 32);
    CHECK_CODE(cst_table_grow(table, batch.hashes[32]), CST_TABLE_SKEW);
    before = fixture_save(table);
    batch.rows.first_row = 32;
    CHECK_CODE(cst_table_apply_all(table, &batch.rows, &applied), CST_TABLE_SKEW);
    CHECK_EQ(applied, 0);
    fixture_unchanged(&before, table);
    fixture_check(table);
    cst_table_close(table);
}

// ---- Budget -------------------------------------------------------------------------------------

// A segment of four chunks, a directory row, and `more` bytes.
static uint64_t budget_of(const cst_table_options *options, uint64_t more) {
    return 4 * (512 + 128 * (uint64_t)csti_entry_bytes(options->layout, options->key_bytes,
                                                       options->program.value_bytes)) +
           32 + more;
}

TEST(a_log_segment_above_the_budget_is_refused) {
    cst_table_options options = fixture_options();
    const uint64_t value = 1;
    fixture_file before;
    cst_table *table;

    options.budget_bytes = budget_of(&options, 65536);
    table = fixture_open(&options);
    for (int touch = 0; touch < 2016; touch++) { // 63 KiB of records, a row an epoch
        CHECK_OK(cst_table_put(table, "k", 1, &value, 8));
        if (touch % 2 == 1)
            (void)cst_table_seal(table);
        else
            CHECK_OK(cst_table_delete(table, "k", 1));
    }
    while (table->control->log_tail < 65536) {
        CHECK_OK(cst_table_put(table, "k", 1, &value, 8));
        (void)cst_table_seal(table);
    }
    before = fixture_save(table);
    CHECK_CODE(cst_table_put(table, "k", 1, &value, 8), CST_TABLE_BUDGET);
    CHECK_CODE(cst_table_put(table, "new", 3, &value, 8), CST_TABLE_BUDGET);
    CHECK_CODE(cst_table_delete(table, "k", 1), CST_TABLE_BUDGET);
    fixture_unchanged(&before, table);
    cst_table_close(table);
}

TEST(a_slab_block_above_the_budget_is_refused) {
    cst_table_options options = fixture_wide_options();
    static uint8_t value[2048];
    fixture_file before;
    cst_table *table;

    options.budget_bytes = budget_of(&options, 65536 + 2048);
    table = fixture_open(&options);
    CHECK_OK(cst_table_put(table, "k", 1, value, 1000)); // a block of 1,024
    before = fixture_save(table);
    CHECK_CODE(cst_table_put(table, "k", 1, value, 2000), CST_TABLE_BUDGET);
    CHECK_CODE(cst_table_put(table, "j", 1, value, 1500), CST_TABLE_BUDGET);
    fixture_unchanged(&before, table);
    CHECK_OK(cst_table_put(table, "j", 1, value, 1000)); // exactly what is left
    fixture_check(table);
    cst_table_close(table);
}

TEST(growth_above_the_budget_is_refused) {
    cst_table_options options = fixture_options();
    fixture_file before;
    cst_table *table;

    options.budget_bytes = budget_of(&options, 2 * 65536);
    table = fixture_open(&options);
    fixture_put(table, 0, 128);
    options.budget_bytes = budget_of(&options, 65536 + 32 + 4 * (512 + 128 * 32));
    cst_table_close(table);
    table = fixture_open(&options); // the directory doubles; five chunks do not fit
    fixture_put(table, 0, 128);
    CHECK_CODE(cst_table_grow(table, 0), CST_TABLE_BUDGET);
    before = fixture_save(table);
    CHECK_CODE(cst_table_grow(table, 0), CST_TABLE_BUDGET);
    fixture_unchanged(&before, table);
    cst_table_close(table);
}

// ---- Options ------------------------------------------------------------------------------------

static void open_refuses(cst_table_options options, cst_code wanted) {
    cst_table *table = NULL;
    cst_err err = {0};

    CHECK_CODE(cst_table_open(&options, &table, &err), wanted);
    CHECK(table == NULL);
    CHECK(err.text[0] != 0);
}

#define REFUSES(WANTED, ...)                                                                       \
    do {                                                                                           \
        cst_table_options o = fixture_options();                                                   \
        cst_program *p = &o.program;                                                               \
        p->value_bytes = 64;                                                                       \
        p->accumulators[0] = (cst_accumulator){.op = CST_SUM, .number = CST_U64};                  \
        p->accumulators[1] = p->accumulators[0];                                                   \
        p->accumulators[1].value_offset = 8;                                                       \
        __VA_ARGS__;                                                                               \
        open_refuses(o, WANTED);                                                                   \
    } while (0)

TEST(options_that_contradict_are_refused) {
    REFUSES(CST_USAGE, o.layout = (cst_table_layout)3);
    REFUSES(CST_USAGE, o.layout = CST_TABLE_WIDE);
    REFUSES(CST_USAGE, o.layout = CST_TABLE_WIDE; o.key_bytes = 0; p->value_bytes = 0;
            p->ttl_us = 5);
    REFUSES(CST_KEY_TOO_LONG, o.key_bytes = 249);
    REFUSES(CST_LIMIT, o.key_bytes = 248; p->value_bytes = 249);
    REFUSES(CST_USAGE, p->value_bytes = 500);
    REFUSES(CST_USAGE, o.log_segment_bytes = 32768);
    REFUSES(CST_USAGE, o.log_segment_bytes = 4 << 20);
    REFUSES(CST_USAGE, o.log_segment_bytes = 65537);
    REFUSES(CST_USAGE, o.budget_bytes = 0);
    REFUSES(CST_USAGE, o.budget_bytes = UINT64_MAX);
    REFUSES(CST_USAGE, o.rows_hint = UINT64_MAX);
    REFUSES(CST_TABLE_BUDGET, o.rows_hint = 1 << 20);
}

TEST(programs_that_contradict_are_refused) {
    REFUSES(CST_USAGE, p->accumulators_count = 17);
    REFUSES(CST_USAGE, p->reserved[2] = 1);
    REFUSES(CST_USAGE, p->presence_offset = 4);
    REFUSES(CST_USAGE, p->presence_offset = 64);
    REFUSES(CST_USAGE, p->ttl_us = 1; p->time_offset = 60);
    REFUSES(CST_USAGE, p->ttl_us = 1; p->time_offset = 64);
    REFUSES(CST_USAGE, p->ttl_us = UINT64_MAX);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].op = 0);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].op = 6);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].number = 0);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].number = 5);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].op = CST_COUNT;
            p->accumulators[0].number = CST_I64);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].source = CST_NO_COLUMN);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].source = 16);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].reserved = 1);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].value_offset = 4);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->accumulators[0].value_offset = 64);
    REFUSES(CST_USAGE, p->accumulators_count = 2; p->accumulators[1].value_offset = 0);
    REFUSES(CST_USAGE, p->accumulators_count = 1; p->presence_offset = 0);
}

TEST(an_inline_table_has_no_place_for_what_only_wide_ones_have) {
    const cst_table_options options = fixture_options();
    const cst_table_options wide = fixture_wide_options();
    cst_table *table = fixture_open(&options), *other = fixture_open(&wide);
    static fixture_rows batch;
    uint64_t bucket = 0;
    uint32_t expired;
    uint8_t found[1];

    fixture_fill(&batch, 0, 1);
    CHECK_CODE(cst_table_lookup(other, &batch.rows, batch.values[0], 8, found), CST_UNSUPPORTED);
    CHECK_CODE(cst_table_expire(table, &bucket, 1, 0, &expired), CST_UNSUPPORTED);
    cst_table_close(table);
    cst_table_close(other);
}

// ---- Records ------------------------------------------------------------------------------------

typedef struct small_record {
    csti_record head;
    uint64_t key, value;
} small_record;

static small_record sound_record(void) {
    small_record record = {.head = {.key_bytes = 7,
                                    .units = 1,
                                    .value_flags = CSTI_RECORD_PRESENT | 8},
                           .key = 0x00112233445566,
                           .value = 5};

    record.head.hash = cst_hash(&FIXTURE_KEY, &record.key, 7);
    return record;
}

typedef cst_code restore_records(cst_table *table, const uint8_t *bytes, size_t count,
                                 size_t *used_out);

static restore_records *const restores[] = {cst_table_restore_records,
                                            csti_reference_restore_records};

// By the library and by its reference alike.
static void restore_refuses(const cst_table_options *options, const void *record, size_t bytes,
                            cst_code wanted) {
    for (int way = 0; way < 2; way++) {
        cst_table *table = fixture_open(options);
        fixture_file before = fixture_save(table);
        size_t used = 99;

        CHECK_CODE(restores[way](table, record, bytes, &used), wanted);
        CHECK_EQ(used, 0);
        fixture_unchanged(&before, table);
        cst_table_close(table);
    }
}

// The same where records are handed over one by one: the sound one before it is restored.
static void restore_each_refuses(const cst_table_options *options, const small_record *record) {
    const small_record sound = sound_record();
    const uint8_t *const records[] = {(const uint8_t *)&sound, (const uint8_t *)record,
                                      (const uint8_t *)&sound};
    cst_table *table = fixture_open(options);
    size_t used = 99;

    CHECK_CODE(csti_table_restore_each(table, records, 3, &used), CST_SEGMENT_RECORD);
    CHECK_EQ(used, 1);
    CHECK_EQ(table->control->rows_count, 1);
    cst_table_close(table);
}

#define RECORD_REFUSED(...)                                                                        \
    do {                                                                                           \
        small_record r = sound_record();                                                           \
        __VA_ARGS__;                                                                               \
        restore_refuses(&options, &r, sizeof r, CST_SEGMENT_RECORD);                               \
        restore_each_refuses(&options, &r);                                                        \
    } while (0)

TEST(records_that_break_a_rule_are_refused) {
    const cst_table_options options = fixture_options();
    small_record sound = sound_record();
    cst_table *table = fixture_open(&options);
    size_t used;

    CHECK_OK(cst_table_restore_records(table, (const uint8_t *)&sound, sizeof sound, &used));
    CHECK_EQ(used, 32);
    CHECK_EQ(table->control->rows_count, 1);
    cst_table_close(table);

    RECORD_REFUSED(r.head.units = 0);
    RECORD_REFUSED(r.head.units = 2);
    RECORD_REFUSED(r.head.key_bytes = 9);
    RECORD_REFUSED(r.head.value_flags = CSTI_RECORD_PRESENT | 7);
    RECORD_REFUSED(r.head.value_flags = 8);
    RECORD_REFUSED(r.head.value_flags |= CSTI_RECORD_TOMBSTONE);
    RECORD_REFUSED(r.head.value_flags |= CSTI_RECORD_GAP);
    RECORD_REFUSED(r.head.value_flags |= 1u << 24);
    RECORD_REFUSED(r.head.value_flags |= 1u << 28);
    RECORD_REFUSED(r.head.value_flags = CSTI_RECORD_TOMBSTONE | 7);
    RECORD_REFUSED(r.head.value_flags = CSTI_RECORD_GAP | 7);
    RECORD_REFUSED(r.head.value_flags = CSTI_RECORD_TOMBSTONE); // its value is not zeros
    RECORD_REFUSED(r.head.value_flags = CSTI_RECORD_GAP);       // its hash is not 0
    RECORD_REFUSED(r.head = (csti_record){.units = 1, .value_flags = CSTI_RECORD_GAP});
    RECORD_REFUSED(r.key |= UINT64_C(1) << 56); // behind the key
    restore_refuses(&options, &sound, 31, CST_SEGMENT_RECORD);
    restore_refuses(&options, &sound, 15, CST_SEGMENT_RECORD);
    restore_refuses(&options, (const uint8_t *)&sound + 1, 31, CST_USAGE);
}

TEST(what_windows_write_beside_state_leaves_no_row) {
    const cst_table_options options = fixture_options();
    small_record records[3] = {sound_record(), sound_record(), sound_record()};
    cst_table *table = fixture_open(&options);
    size_t used;

    records[1].head.value_flags = CSTI_RECORD_GAP | 8; // set aside
    CHECK_OK(cst_table_restore_records(table, (const uint8_t *)records, 64, &used));
    CHECK_EQ(used, 64);
    CHECK_EQ(table->control->rows_count, 1);
    records[2].head.value_flags = CSTI_RECORD_TOMBSTONE | 8; // its last value
    CHECK_OK(cst_table_restore_records(table, (const uint8_t *)&records[2], 32, &used));
    CHECK_EQ(table->control->rows_count, 0);
    cst_table_close(table);
}

TEST(records_before_a_bad_one_are_restored) {
    const cst_table_options options = fixture_options();
    small_record records[3] = {sound_record(), sound_record(), sound_record()};
    cst_table *table = fixture_open(&options);
    size_t used;

    records[2].head.value_flags = 0;
    CHECK_CODE(cst_table_restore_records(table, (const uint8_t *)records, sizeof records, &used),
               CST_SEGMENT_RECORD);
    CHECK_EQ(used, 64);
    CHECK_EQ(table->control->rows_count, 1);
    cst_table_close(table);
}

TEST(records_that_lie_anywhere_are_restored_in_the_order_given) {
    const cst_table_options options = fixture_options();
    small_record records[2] = {sound_record(), sound_record()};
    const uint8_t *const order[] = {(const uint8_t *)&records[1], (const uint8_t *)&records[0]};
    cst_table *table = fixture_open(&options);
    uint64_t value = 0;
    size_t used, bytes;

    records[1].value = 6;
    CHECK_OK(csti_table_restore_each(table, order, 2, &used));
    CHECK_EQ(used, 2);
    CHECK_EQ(table->control->rows_count, 1);
    CHECK_OK(cst_table_get(table, &records[0].key, 7, &value, sizeof value, &bytes));
    CHECK_EQ(value, 5);
    CHECK_EQ(csti_table_neighbourhood(table, records[0].head.hash),
             csti_table_neighbourhood(table, records[1].head.hash));
    cst_table_close(table);
}

TEST(wide_records_that_break_a_rule_are_refused) {
    const cst_table_options options = fixture_wide_options();
    const cst_table_options small_log = fixture_wide_options();
    static struct {
        csti_record head;
        uint8_t bytes[1 << 17];
    } big;

    RECORD_REFUSED(r.head.value_flags = CSTI_RECORD_PRESENT | 9);
    RECORD_REFUSED(r.key |= UINT64_C(1) << 56);
    RECORD_REFUSED(r.head.value_flags = CSTI_RECORD_PRESENT | 0); // its value is not zeros
    RECORD_REFUSED(r.head.value_flags = CSTI_RECORD_TOMBSTONE);
    // Whole and right, but this table's log could never hold it.
    big.head =
        (csti_record){.key_bytes = 8, .units = 2049, .value_flags = CSTI_RECORD_PRESENT | 65536};
    restore_refuses(&small_log, &big, 2049 * 32, CST_VALUE_TOO_LONG);
}

static void restore_takes(const cst_table_options *options, const void *record, size_t bytes) {
    for (int way = 0; way < 2; way++) {
        cst_table *table = fixture_open(options);
        size_t used = 0;

        CHECK_OK(restores[way](table, record, bytes, &used));
        CHECK_EQ(used, bytes);
        CHECK_EQ(table->control->rows_count, 1);
        fixture_check(table);
        cst_table_close(table);
    }
}

typedef struct wide_record {
    csti_record head;
    uint8_t bytes[CST_WIDE_VALUE_BYTES_MAX + 48]; // key, value, zeros
} wide_record;

// An empty key, a value of zeros; returns the record's bytes.
static size_t wide_fill(wide_record *record, uint32_t value_bytes) {
    const size_t bytes =
        (sizeof record->head + value_bytes + CSTI_LOG_UNIT - 1) / CSTI_LOG_UNIT * CSTI_LOG_UNIT;

    record->head = (csti_record){.hash = cst_hash(&FIXTURE_KEY, NULL, 0),
                                 .units = (uint16_t)(bytes / CSTI_LOG_UNIT),
                                 .value_flags = CSTI_RECORD_PRESENT | value_bytes};
    return bytes;
}

TEST(the_longest_wide_value_is_restored_and_one_byte_more_refused) {
    cst_table_options options = fixture_wide_options();
    static wide_record record;
    size_t bytes = wide_fill(&record, CST_WIDE_VALUE_BYTES_MAX);

    options.log_segment_bytes = 2 << 20;
    restore_takes(&options, &record, bytes);
    bytes = wide_fill(&record, CST_WIDE_VALUE_BYTES_MAX + 1);
    restore_refuses(&options, &record, bytes, CST_SEGMENT_RECORD);
}

// As a put: a record takes at most a segment less 1 KiB.
TEST(a_record_that_no_log_segment_holds_is_refused) {
    const cst_table_options options = fixture_wide_options();
    static wide_record record;
    size_t bytes = wide_fill(&record, 64512 - 16);

    restore_takes(&options, &record, bytes);
    bytes = wide_fill(&record, 64512 - 15);
    restore_refuses(&options, &record, bytes, CST_VALUE_TOO_LONG);
}

// ---- Images -------------------------------------------------------------------------------------

static void check_refuses(cst_table *table, void *at, uint8_t bit) {
    cst_err err = {0};

    *(uint8_t *)at ^= bit;
    CHECK_CODE(cst_table_check(table, &err), CST_TABLE_CORRUPT);
    CHECK(err.text[0] != 0);
    *(uint8_t *)at ^= bit;
    fixture_check(table);
}

TEST(reserved_bits_in_an_image_are_found) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    csti_control_line *line;
    csti_entry *entry;
    uint64_t hash;

    CHECK_OK(cst_table_put(table, "key", 3, "12345678", 8));
    hash = cst_hash(&FIXTURE_KEY, "key", 3);
    line = csti_bucket_line(table, table->directory, csti_hash_bucket_first(hash, 32));
    entry = csti_bucket_slots(table, table->directory, csti_hash_bucket_first(hash, 32));
    check_refuses(table, (uint8_t *)table->control + sizeof *table->control, 1);
    check_refuses(table, &table->directory->reserved, 1);
    check_refuses(table, &table->directory->chunk[4], 1);
    check_refuses(table, &line->reserved16, 4);
    check_refuses(table, &line->reserved32[2], 4);
    check_refuses(table, &line->tag[5], 1); // a free slot's tag
    check_refuses(table, &line->tag[0], 1);
    check_refuses(table, &line->occupied, 2);
    check_refuses(table, (uint8_t *)entry + 16 + 5, 1);  // behind the key
    check_refuses(table, (uint8_t *)entry + 32, 1);      // a free slot
    check_refuses(table, table->log + 1024 + 15, 1);     // a record's reserved flag
    check_refuses(table, table->log + 1024 + 16 + 5, 1); // behind its key
    cst_table_close(table);
}

TEST(reserved_bits_of_wide_entries_are_found) {
    const cst_table_options options = fixture_wide_options();
    cst_table *table = fixture_open(&options);
    csti_wide_entry *entry;
    uint32_t bucket;

    CHECK_OK(cst_table_put(table, "key", 3, "12345678", 8));
    bucket = csti_hash_bucket_first(cst_hash(&FIXTURE_KEY, "key", 3), 32);
    entry = (csti_wide_entry *)csti_bucket_slots(table, table->directory, bucket);
    check_refuses(table, &entry->reserved, 1);
    check_refuses(table, &entry->change, 1); // an inline row's key length
    check_refuses(table, &entry->block_class, 1);
    check_refuses(table, (uint8_t *)&entry->block + 7, 0x80); // far behind the slab
    check_refuses(table, &entry->key_bytes, 1);
    check_refuses(table, (uint8_t *)&entry->value_bytes + 3, 1);
    check_refuses(table, table->slab + 5, 1);  // behind the key
    check_refuses(table, table->slab + 20, 1); // behind the value
    CHECK_OK(cst_table_delete(table, "key", 3));
    check_refuses(table, table->slab + 8, 1); // a free block
    check_refuses(table, table->slab, 1);     // its list
    cst_table_close(table);
}

TEST_MAIN
