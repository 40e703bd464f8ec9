// keys_test.c: every batch encoder gives the reference's bytes, whatever the schema and the rows.
#include "test.h"

#include "codec/dispatch.h"
#include "codec/keys_encode.h"
#include "unit/codec/random_batch.h"

// The 64-byte text as this build's processor can run it: the compiler splits each vector.
void split_key_transform(const csti_key_plan *, const uint8_t *, size_t, uint8_t *);
void split_key_pair8(const csti_key_plan *, const uint8_t *, const uint8_t *, size_t, uint8_t *);
uint8_t *split_key_escape(uint8_t, const uint8_t *, size_t, size_t, uint8_t *, const uint8_t *);
#define KEY_VECTOR 64
#define KEY_NAME(x) split_##x
#include "codec/key_lanes.h"

enum { LEVELS_COUNT = CSTI_CPU_AVX512 + 1 };

static const csti_codec split = {.name = "64 bytes, split",
                                 .key_transform = split_key_transform,
                                 .key_pair8 = split_key_pair8,
                                 .key_escape = split_key_escape};

static const csti_codec *set_at(int index) {
    return index == LEVELS_COUNT ? &split : csti_codec_for((csti_cpu_level)index);
}

// Encodes with every set, into a buffer with `spare` bytes more than the bound.
static void check_batch(const cst_batch *batch, size_t spare) {
    const size_t bound = cst_keys_bytes_bound(batch);
    const uint32_t key_bytes_max = cst_schema_key_bytes_max(batch->schema);
    uint8_t *wanted = test_block(key_bytes_max);
    cst_value values[CST_COLUMNS_MAX];

    CHECK_OK(cst_batch_check(batch, NULL));
    for (int set = 0; set <= LEVELS_COUNT; set++) {
        cst_keys keys = {.bytes_capacity = bound + spare};
        if (!set_at(set)) continue;
        keys.bytes = test_block(keys.bytes_capacity);
        keys.offsets = test_block(4 * ((size_t)batch->rows_count + 1));
        CHECK_OK(csti_keys_encode(set_at(set), batch, &keys));
        CHECK_EQ(keys.stride, cst_schema_key_bytes(batch->schema));
        CHECK_EQ(keys.offsets[0], 0);
        for (uint32_t row = 0; row < batch->rows_count; row++) {
            uint32_t wanted_bytes = 0;
            row_values(batch, row, values);
            CHECK_OK(
                cst_key_encode(batch->schema, values, wanted, key_bytes_max, &wanted_bytes, NULL));
            CHECK_EQ(keys.offsets[row + 1] - keys.offsets[row], wanted_bytes);
            CHECK_BYTES(keys.bytes + keys.offsets[row], wanted, wanted_bytes);
        }
        if (keys.stride) CHECK_EQ(keys.offsets[batch->rows_count], bound);
        free(keys.bytes);
        free(keys.offsets);
    }
    free(wanted);
}

TEST(random_batches_equal_the_reference) {
    for (int round = 0; round < 1500; round++) {
        random_batch random = {.schema = random_schema(5, round % 2)};
        random_batch_fill(&random, (uint32_t)test_random_below(round % 10 ? 40 : 600));
        check_batch(&random.batch, test_random_below(2) * test_random_below(80));
        random_batch_free(&random);
    }
}

TEST(each_type_alone_equals_the_reference) {
    for (int type = 1; type <= 20; type++) {
        for (int round = 0; round < 12; round++) {
            random_batch random = {.schema = {.columns_count = 1}};
            random.schema.columns[0] = random_column(false);
            while ((int)random.schema.columns[0].type != type)
                random.schema.columns[0] = random_column(false);
            random_batch_fill(&random, 300);
            check_batch(&random.batch, 0);
            random_batch_free(&random);
        }
    }
}

TEST(two_words_are_paired_as_the_reference_says) {
    static const cst_type types[] = {CST_TYPE_U64, CST_TYPE_I64, CST_TYPE_TIMESTAMP};

    for (int round = 0; round < 72; round++) {
        random_batch random = {.schema = {.columns_count = 2}};
        random.schema.columns[0] = (cst_column){.type = types[round % 3], .descending = round & 1};
        random.schema.columns[1] =
            (cst_column){.type = types[round / 3 % 3], .descending = round & 2};
        random_batch_fill(&random, (uint32_t)round);
        check_batch(&random.batch, 0);
        random_batch_free(&random);
    }
}

TEST(unaligned_buffers_equal_aligned_ones) {
    random_batch random = {.schema = {.columns_count = 1}};
    uint8_t moved[8 * 50 + 3];
    uint8_t first[8 * 50];
    uint8_t second[8 * 50 + 1];
    cst_keys keys = {.bytes = first, .bytes_capacity = sizeof first};

    random.schema.columns[0] = (cst_column){.type = CST_TYPE_I64};
    random_batch_fill(&random, 50);
    CHECK_OK(cst_keys_encode(&random.batch, &keys));
    memcpy(moved + 3, random.columns[0].values.data, 8 * 50);
    const cst_column_data data = {.values = {moved + 3, 8 * 50}};
    const cst_batch batch = {&random.schema, 50, {NULL, 0}, &data};
    keys.bytes = second + 1;
    CHECK_OK(cst_keys_encode(&batch, &keys));
    CHECK_BYTES(first, second + 1, sizeof first);
    random_batch_free(&random);
}

TEST(a_capacity_below_the_bound_is_refused_untouched) {
    random_batch random = {.schema = {.columns_count = 1}};
    uint8_t bytes[80];
    cst_keys keys = {.bytes = bytes, .bytes_capacity = 79};

    random.schema.columns[0] = (cst_column){.type = CST_TYPE_U64};
    random_batch_fill(&random, 10);
    memset(bytes, 0xee, sizeof bytes);
    CHECK_CODE(cst_keys_encode(&random.batch, &keys), CST_LIMIT);
    for (size_t i = 0; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0xee);
    keys.bytes_capacity = 80;
    CHECK_OK(cst_keys_encode(&random.batch, &keys));
    random_batch_free(&random);
}

TEST(keys_of_several_lengths_need_offsets) {
    random_batch random = {.schema = {.columns_count = 1}};
    uint8_t bytes[2000];
    cst_keys keys = {.bytes = bytes, .bytes_capacity = sizeof bytes};

    random.schema.columns[0] = (cst_column){.type = CST_TYPE_U8, .nullable = true};
    random_batch_fill(&random, 3);
    CHECK_CODE(cst_keys_encode(&random.batch, &keys), CST_USAGE);
    random_batch_free(&random);
}

TEST(keys_past_4_gib_are_refused) {
    const cst_schema schema = {.columns_count = 1, .columns = {{.type = CST_TYPE_BINARY}}};
    const int32_t offsets[2] = {0, INT32_MAX};
    const cst_column_data data = {.values = {"", INT32_MAX}, .offsets = {offsets, sizeof offsets}};
    const cst_batch batch = {&schema, 1, {NULL, 0}, &data};
    uint32_t out_offsets[2];
    uint8_t byte;
    cst_keys keys = {.bytes = &byte, .bytes_capacity = SIZE_MAX, .offsets = out_offsets};

    // 2 * (2^31 - 1) + 2 is just over what an offset says; nothing is read or written.
    CHECK_EQ(cst_keys_bytes_bound(&batch), UINT64_C(0x100000000));
    CHECK_CODE(cst_keys_encode(&batch, &keys), CST_LIMIT);
}

TEST(inline_single_forms_equal_the_reference) {
    const cst_schema u64 = {.columns_count = 1, .columns = {{.type = CST_TYPE_U64}}};
    const cst_schema i64 = {.columns_count = 1, .columns = {{.type = CST_TYPE_I64}}};

    for (int round = 0; round < 1000; round++) {
        uint64_t number = 0;
        uint8_t key[8];
        uint8_t wanted[8];
        uint32_t bytes = 0;
        random_number((uint8_t *)&number, 8);
        cst_value value = {.u128 = number};
        CHECK_OK(cst_key_encode(&u64, &value, wanted, 8, &bytes, NULL));
        cst_key_encode_u64(number, key);
        CHECK_BYTES(key, wanted, 8);
        value.i128 = (int64_t)number;
        CHECK_OK(cst_key_encode(&i64, &value, wanted, 8, &bytes, NULL));
        cst_key_encode_i64((int64_t)number, key);
        CHECK_BYTES(key, wanted, 8);
    }
}

TEST_MAIN
