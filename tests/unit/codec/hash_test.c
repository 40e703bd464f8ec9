// hash_test.c: every lane width gives the reference's bits, and the reference gives the paper's.
#include "test.h"

#include "codec/dispatch.h"
#include "codec/siphash.h"
#include "unit/codec/vectors.h"

// The 8-lane text as this build's processor can run it: the compiler splits each vector.
void lanes8_hash_fixed(const cst_hash_key *, const uint8_t *, size_t, size_t, size_t, uint64_t *);
void lanes8_hash_variable(const cst_hash_key *, const uint8_t *, const uint32_t *, size_t,
                          uint64_t *);
#define SIP_LANES 8
#define SIP_NAME(x) lanes8_##x
#include "codec/siphash_lanes.h"

enum {
    LEVELS_COUNT = CSTI_CPU_AVX512 + 1,
    SETS_COUNT = LEVELS_COUNT + 1,
    BYTES_MAX = 300,
    ROWS_MAX = 70
};

static const csti_codec lanes8 = {.name = "8 lanes, split",
                                  .hash_fixed = lanes8_hash_fixed,
                                  .hash_variable = lanes8_hash_variable};

static const csti_codec *set_at(int index) {
    if (index == LEVELS_COUNT) return &lanes8;
    return csti_codec_for((csti_cpu_level)index);
}

static cst_hash_key random_key(void) {
    return (cst_hash_key){.k0 = test_random(), .k1 = test_random()};
}

static uint8_t *random_bytes(size_t count) {
    uint8_t *bytes = malloc(count ? count : 1); // its own block: a sanitizer sees a byte too far
    CHECK(bytes);
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)test_random();
    return bytes;
}

TEST(reference_gives_the_golden_vectors) {
    static vectors v;
    uint8_t key_bytes[16];
    uint8_t message[2048];
    int lines_count = 0;

    for (vectors_open(&v, "hash.txt"); vectors_next(&v, 3); lines_count++) {
        cst_hash_key key;
        CHECK_EQ(vectors_hex(v.fields[0], key_bytes, sizeof key_bytes), 16);
        memcpy(&key, key_bytes, sizeof key);
        const size_t count = vectors_hex(v.fields[1], message, sizeof message);
        CHECK_EQ(cst_hash(&key, message, count), strtoull(v.fields[2], NULL, 16));
    }
    CHECK(lines_count >= 99);
}

TEST(inline_forms_equal_the_reference) {
    for (int round = 0; round < 1000; round++) {
        const cst_hash_key key = random_key();
        uint8_t *bytes = random_bytes(16);
        CHECK_EQ(csti_siphash13_8(&key, bytes), csti_siphash13(&key, bytes, 8));
        CHECK_EQ(csti_siphash13_16(&key, bytes), csti_siphash13(&key, bytes, 16));
        free(bytes);
    }
}

TEST(fixed_lengths_equal_the_reference_on_every_set) {
    uint64_t hashes[ROWS_MAX + 1];

    for (int set = 0; set < SETS_COUNT; set++) {
        const csti_codec *codec = set_at(set);
        if (!codec) continue;
        for (size_t key_bytes = 0; key_bytes <= 80; key_bytes++) {
            const cst_hash_key key = random_key();
            const size_t rows = test_random_below(ROWS_MAX + 1);
            const size_t stride = key_bytes + (test_random() % 2 ? 0 : test_random_below(20));
            const size_t bytes_count = rows ? (rows - 1) * stride + key_bytes : 0;
            uint8_t *keys = random_bytes(bytes_count);
            hashes[rows] = 12345;
            codec->hash_fixed(&key, keys, key_bytes, stride, rows, hashes);
            for (size_t row = 0; row < rows; row++)
                CHECK_EQ(hashes[row], csti_siphash13(&key, keys + row * stride, key_bytes));
            CHECK_EQ(hashes[rows], 12345);
            free(keys);
        }
    }
}

static uint32_t random_length(int style) {
    switch (style) {
    case 0:
        return (uint32_t)test_random_below(BYTES_MAX);
    case 1:
        return (uint32_t)test_random_below(9);
    case 2:
        return 24 + (uint32_t)test_random_below(8); // equal words
    case 3:
        return test_random() % 8 ? 3 : (uint32_t)test_random_below(BYTES_MAX); // one long row
    default:
        return 0;
    }
}

TEST(variable_lengths_equal_the_reference_on_every_set) {
    uint64_t hashes[ROWS_MAX + 1];
    uint32_t offsets[ROWS_MAX + 1];

    for (int round = 0; round < 300; round++) {
        const cst_hash_key key = random_key();
        const size_t rows = test_random_below(ROWS_MAX + 1);
        offsets[0] = 0;
        for (size_t row = 0; row < rows; row++)
            offsets[row + 1] = offsets[row] + random_length(round % 5);
        uint8_t *bytes = random_bytes(offsets[rows]);
        for (int set = 0; set < SETS_COUNT; set++) {
            const csti_codec *codec = set_at(set);
            if (!codec) continue;
            memset(hashes, 0xee, sizeof hashes); // not what the set before has written
            hashes[rows] = 12345;
            codec->hash_variable(&key, bytes, offsets, rows, hashes);
            for (size_t row = 0; row < rows; row++)
                CHECK_EQ(hashes[row], csti_siphash13(&key, bytes + offsets[row],
                                                     offsets[row + 1] - offsets[row]));
            CHECK_EQ(hashes[rows], 12345);
        }
        free(bytes);
    }
}

TEST(public_functions_take_the_best_set) {
    const cst_hash_key key = random_key();
    const uint32_t offsets[] = {0, 5, 5, 16};
    uint64_t hashes[3];
    uint8_t *bytes = random_bytes(16);

    cst_hash_variable(&key, bytes, offsets, 3, hashes);
    for (int row = 0; row < 3; row++)
        CHECK_EQ(hashes[row],
                 cst_hash(&key, bytes + offsets[row], offsets[row + 1] - offsets[row]));
    cst_hash_fixed(&key, bytes, 4, 6, 3, hashes);
    for (int row = 0; row < 3; row++) CHECK_EQ(hashes[row], cst_hash(&key, bytes + 6 * row, 4));
    free(bytes);
}

TEST(a_set_is_named_only_where_the_processor_has_it) {
    CHECK(csti_codec_for(CSTI_CPU_SCALAR) != NULL);
    CHECK_TEXT(csti_codec_for(CSTI_CPU_SCALAR)->name, "scalar");
    CHECK(csti_codec_for((csti_cpu_level)99) == NULL);
    CHECK(csti_codec_best() != NULL);
    printf("[best: %s; the avx512 binary %s here] ", csti_codec_best()->name,
           csti_codec_for(CSTI_CPU_AVX512)
               ? "runs"
               : "is not run (no such processor): its text ran as 8 lanes, split,");
}

TEST(key_group_is_the_top_12_bits) {
    CHECK_EQ(cst_key_group(UINT64_C(0xabcdef0123456789)), 0xabc);
    CHECK_EQ(cst_key_group(UINT64_MAX), 4095);
}

TEST_MAIN
