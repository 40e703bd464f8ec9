// The self-test's known answers, derived once more without the code that a device runs: rows
// through the scalar reference of the table, keys by hand.
#include "table/reference.h"
#include "test.h"

#include <constellation/device.h>
#include <inttypes.h>

enum { ROWS = 2048, KEYS = 1500 };

static const cst_hash_key HASH_KEY = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static cst_table *reference_table(void) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = 8,
        .program = {.value_bytes = 24,
                    .accumulators_count = 3,
                    .presence_offset = CST_NO_OFFSET,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                     {CST_SUM, CST_U64, 8, 0, 0},
                                     {CST_MAX, CST_I64, 16, 1, 0}}},
        .hash_key = HASH_KEY,
        .budget_bytes = UINT64_C(64) << 20,
        .log_segment_bytes = 64 << 10,
        .numa_node = -1,
    };
    cst_table *table;
    cst_err err = {0};

    CHECK_OK(cst_table_open(&options, &table, &err));
    return table;
}

static void apply_by_reference(cst_table *table, cst_rows *rows) {
    for (;;) {
        uint32_t applied;
        const cst_code code = csti_reference_apply(table, rows, &applied);

        rows->first_row += applied;
        if (code == CST_OK) return;
        CHECK_EQ(code, CST_TABLE_FULL);
        const uint8_t *key = rows->keys + (size_t)rows->first_row * 8;
        cst_code grown;
        do grown = csti_reference_grow(table, cst_hash(&HASH_KEY, key, 8));
        while (grown == CST_AGAIN);
        CHECK_EQ(grown, CST_OK);
    }
}

static uint64_t epoch_by_reference(cst_table *table, uint32_t batch) {
    static uint8_t keys[ROWS * 8], ops[ROWS];
    static uint64_t amounts[ROWS];
    static int64_t times[ROWS];
    const cst_source sources[2] = {{amounts, NULL, CST_TYPE_U64}, {times, NULL, CST_TYPE_I64}};
    cst_rows rows = {.rows_count = ROWS,
                     .key_stride = 8,
                     .key_bytes = 8,
                     .ops = ops,
                     .keys = keys,
                     .sources = sources};
    cst_bytes ranges[8];
    size_t count;
    uint64_t hash = 0;

    for (uint32_t r = 0; r < ROWS; r++) {
        const uint64_t mixed = (batch * ROWS + r + 1) * UINT64_C(0x9e3779b97f4a7c15);
        const uint64_t key = (mixed >> 33) % KEYS;

        for (uint32_t byte = 0; byte < 8; byte++)
            keys[r * 8 + byte] = (uint8_t)(key >> (56 - 8 * byte));
        amounts[r] = mixed >> 40;
        times[r] = (int64_t)(mixed >> 20) - (INT64_C(1) << 43);
        ops[r] = mixed >> 60 == 0 ? CST_ROW_DELETE : CST_ROW_UPSERT;
    }
    apply_by_reference(table, &rows);
    const cst_delta delta = csti_reference_seal(table);
    cst_table_delta_ranges(table, &delta, ranges, 8, &count);
    CHECK(count <= 8);
    for (size_t i = 0; i < count; i++)
        hash = hash * 3 + cst_hash(&HASH_KEY, ranges[i].data, ranges[i].count);
    return hash;
}

TEST(the_known_deltas_are_the_scalar_reference_s) {
    cst_table *table = reference_table();

    CHECK_EQ(epoch_by_reference(table, 0), UINT64_C(0x0ec4049f617b282f));
    CHECK_EQ(epoch_by_reference(table, 1), UINT64_C(0xc333310ef04d5a74));
    cst_table_close(table);
}

// i64 -1 with the sign flipped, then "a\0b" descending: marker, complemented bytes and terminator.
TEST(a_known_key_has_the_bytes_of_the_format_and_their_hash) {
    static const uint8_t KEY[15] = {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0x01, 0x9e, 0xff, 0x00, 0x9d, 0xff, 0xfe};

    CHECK_EQ(cst_hash(&HASH_KEY, KEY, sizeof KEY), UINT64_C(0x1595e2ee33ee0e2c));
}

// At every completion, those of commands that make room for a row among them.
TEST(a_device_that_is_lost_anywhere_is_named_with_why) {
    cst_code code = CST_DEVICE_LOST;
    uint32_t fail = 0;

    while (code != CST_OK) {
        char uri[64];
        cst_device *device = NULL;
        cst_err err = {0};

        fail++;
        (void)snprintf(uri, sizeof uri, "fault:cpu:?fail=%u", fail);
        CHECK_OK(cst_device_open(uri, &device, &err));
        code = cst_device_selftest(device, &err);
        if (code != CST_OK) {
            CHECK_CODE(code, CST_DEVICE_LOST);
            if (!strstr(err.text, uri) || !strstr(err.text, "lost by fail"))
                TEST_FAIL("%s: %s", uri, err.text);
        }
        cst_device_close(device);
    }
    CHECK(fail > 6);
}

#ifdef CST_HAS_SIM
// Errors of the simulated card's memory: the self-test names the device, and what is wrong with it.
TEST(a_card_whose_memory_fails_does_not_pass) {
    static const struct {
        const char *uri, *why;
    } cards[] = {
        {"sim:?error=slverr&error_after=300&error_port=16", "memory of the batch: a "},
        {"sim:?error=decerr&error_after=20&error_port=3", "memory of the image: a "},
        {"sim:?error=silent&error_after=20&error_port=0",
         "memory of the image: it does not answer"},
        {"fault:sim:?error=silent&error_after=300&error_port=16",
         "memory of the batch: it does not answer"},
    };

    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        cst_device *device = NULL;
        cst_err err = {0};

        CHECK_OK(cst_device_open(cards[i].uri, &device, &err));
        CHECK_CODE(cst_device_selftest(device, &err), CST_DEVICE_LOST);
        if (!strstr(err.text, cards[i].uri) || !strstr(err.text, cards[i].why))
            TEST_FAIL("%s: %s", cards[i].uri, err.text);
        cst_device_close(device);
    }
}

// One wrong bit of what the circuit reads is a wrong answer, not a lost device, wherever it counts.
TEST(a_card_with_a_wrong_bit_does_not_pass) {
    cst_device *device = NULL;
    cst_err err = {0};
    uint32_t noticed = 0;

    for (uint32_t seed = 1; seed < 4; seed++) { // which bit of the beat
        char uri[96];

        (void)snprintf(uri, sizeof uri, "sim:?error=corrupt&error_after=300&error_port=16&seed=%u",
                       seed);
        CHECK_OK(cst_device_open(uri, &device, &err));
        const cst_code code = cst_device_selftest(device, &err);
        if (code != CST_OK) CHECK_CODE(code, CST_DEVICE_SELFTEST);
        noticed += code != CST_OK;
        cst_device_close(device);
    }
    CHECK(noticed > 0);
    CHECK_CODE(cst_device_open("sim:?error=loud", &device, &err), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?error_after=1", &device, &err), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?error=slverr&error_port=17", &device, &err), CST_DEVICE_URI);
}
#endif

TEST_MAIN
