// key_order_test.c: the order of bytes is the order of values (F-CODEC-001).
//
// The proof by enumeration: rows are listed in the order of their values, by a comparison that
// knows nothing of keys. If each key is then below the next, all keys are in order, since memcmp is
// transitive; and if none is a prefix of the next, none is a prefix of any other, since what lies
// between a prefix and its extension has the prefix too.
#include "test.h"

#include "unit/codec/random_batch.h"

enum { KEY_MAX = 256, VALUES_MAX = 200 };

typedef struct key {
    uint8_t bytes[KEY_MAX];
    uint32_t count;
} key;

static key encode(const cst_schema *schema, const cst_value *values) {
    key out;
    CHECK_OK(cst_key_encode(schema, values, out.bytes, sizeof out.bytes, &out.count, NULL));
    return out;
}

static int key_compare(const key *a, const key *b) {
    const int order = memcmp(a->bytes, b->bytes, a->count < b->count ? a->count : b->count);
    if (order != 0) return order;
    return a->count < b->count ? -1 : a->count > b->count;
}

static void check_below(const key *a, const key *b) {
    const uint32_t shorter = a->count < b->count ? a->count : b->count;
    CHECK(key_compare(a, b) < 0);
    CHECK(memcmp(a->bytes, b->bytes, shorter) != 0); // neither is a prefix of the other
}

static int bytes_compare(const void *x, const void *y) {
    const cst_value *a = x;
    const cst_value *b = y;
    for (uint32_t i = 0; i < a->bytes_count && i < b->bytes_count; i++)
        if (a->bytes[i] != b->bytes[i]) return a->bytes[i] < b->bytes[i] ? -1 : 1;
    return a->bytes_count < b->bytes_count ? -1 : a->bytes_count > b->bytes_count;
}

// All values of up to `bytes_max` bytes of the alphabet, in order.
static uint32_t alphabet_values(const uint8_t *alphabet, uint32_t letters, uint32_t bytes_max,
                                uint8_t (*store)[3], cst_value *out) {
    uint32_t count = 0;
    uint32_t words = 1;

    for (uint32_t bytes = 0; bytes <= bytes_max; bytes++, words *= letters) {
        for (uint32_t word = 0; word < words; word++, count++) {
            uint32_t rest = word;
            CHECK(count < VALUES_MAX);
            for (uint32_t i = 0; i < bytes; i++, rest /= letters)
                store[count][i] = alphabet[rest % letters];
            out[count] = (cst_value){.bytes = store[count], .bytes_count = bytes};
        }
    }
    qsort(out, count, sizeof *out, bytes_compare);
    return count;
}

typedef struct listed {
    cst_value values[VALUES_MAX + 1];
    uint32_t count;
} listed;

// The column's values in the order in which the schema wants them.
static listed list_column(const cst_column *column, const cst_value *ascending, uint32_t count) {
    listed out = {.count = 0};

    if (column->nullable && !column->nulls_last) out.values[out.count++].is_null = true;
    for (uint32_t i = 0; i < count; i++)
        out.values[out.count++] = ascending[column->descending ? count - 1 - i : i];
    if (column->nullable && column->nulls_last) out.values[out.count++].is_null = true;
    return out;
}

static void check_decoded(const cst_schema *schema, const key *k, const cst_value *given) {
    cst_value values[3];
    uint8_t scratch[KEY_MAX];

    CHECK_OK(cst_key_decode(schema, k->bytes, k->count, values, scratch, NULL));
    for (uint32_t i = 0; i < schema->columns_count; i++) {
        CHECK_EQ(values[i].is_null, given[i].is_null);
        if (given[i].is_null) continue;
        CHECK_EQ(values[i].bytes_count, given[i].bytes_count);
        CHECK_BYTES(values[i].bytes, given[i].bytes, given[i].bytes_count);
    }
}

// Every row of 1 to 3 columns, in order. Returns how many.
static uint64_t check_rows(const cst_schema *schema, const cst_value *ascending, uint32_t count) {
    static listed columns[3];
    uint64_t rows_count = 1;
    key before;

    for (uint32_t i = 0; i < schema->columns_count; i++) {
        columns[i] = list_column(&schema->columns[i], ascending, count);
        rows_count *= columns[i].count;
    }
    for (uint64_t row = 0; row < rows_count; row++) {
        cst_value values[3];
        uint64_t rest = row;
        for (uint32_t i = schema->columns_count; i-- > 0; rest /= columns[i].count)
            values[i] = columns[i].values[rest % columns[i].count];
        const key now = encode(schema, values);
        if (row > 0) check_below(&before, &now);
        check_decoded(schema, &now, values);
        before = now;
    }
    return rows_count;
}

// Six forms of a column: two directions, and not nullable, nulls first, nulls last.
static cst_column column_form(cst_type type, uint32_t form) {
    return (cst_column){.type = type,
                        .descending = form % 2,
                        .nullable = form / 2 > 0,
                        .nulls_last = form / 2 == 2};
}

static uint64_t check_all_forms(cst_type type, uint32_t columns_count, const cst_value *ascending,
                                uint32_t count) {
    uint32_t forms = 1;
    uint64_t rows_count = 0;

    for (uint32_t i = 0; i < columns_count; i++) forms *= 6;
    for (uint32_t form = 0; form < forms; form++) {
        cst_schema schema = {.columns_count = columns_count};
        uint32_t rest = form;
        for (uint32_t i = 0; i < columns_count; i++, rest /= 6)
            schema.columns[i] = column_form(type, rest % 6);
        rows_count += check_rows(&schema, ascending, count);
    }
    return rows_count;
}

static const uint8_t alphabet[5] = {0x00, 0x01, 0x61, 0xfe, 0xff};

TEST(one_and_two_columns_of_up_to_three_bytes_are_in_order) {
    static uint8_t store[VALUES_MAX][3];
    static cst_value values[VALUES_MAX];
    const uint32_t count = alphabet_values(alphabet, 5, 3, store, values);

    CHECK_EQ(count, 156);
    CHECK_EQ(check_all_forms(CST_TYPE_BINARY, 1, values, count), 2 * 156 + 4 * 157);
    printf("[%" PRIu64 " rows] ", check_all_forms(CST_TYPE_BINARY, 2, values, count));
}

TEST(three_columns_of_up_to_two_bytes_are_in_order) {
    static uint8_t store[VALUES_MAX][3];
    static cst_value values[VALUES_MAX];
    const uint32_t count = alphabet_values(alphabet, 5, 2, store, values);

    CHECK_EQ(count, 31);
    printf("[%" PRIu64 " rows] ", check_all_forms(CST_TYPE_BINARY, 3, values, count));
}

TEST(strings_are_in_order) {
    static uint8_t store[VALUES_MAX][3];
    static cst_value values[VALUES_MAX];
    const uint32_t count = alphabet_values(alphabet, 3, 2, store, values); // UTF-8 has no FE, FF

    printf("[%" PRIu64 " rows] ", check_all_forms(CST_TYPE_STRING, 3, values, count));
}

// ---- boundary values of every fixed-width type, and rows of mixed types -----------------------

static int sign_of(int order) {
    return (order > 0) - (order < 0);
}

static int u128_compare(cst_u128 a, cst_u128 b) {
    return (a > b) - (a < b);
}

static int double_compare(double a, double b) { // every NaN one value, above infinity
    if (a != a || b != b) return (a != a) - (b != b);
    return (a > b) - (a < b);
}

// The order of two values of a column, nulls and direction included; knows nothing of keys.
static int value_compare(const cst_column *column, const cst_value *a, const cst_value *b) {
    int order;

    if (a->is_null || b->is_null)
        return ((int)a->is_null - (int)b->is_null) * (column->nulls_last ? 1 : -1);
    switch (column->type) {
    case CST_TYPE_U8:
    case CST_TYPE_U16:
    case CST_TYPE_U32:
    case CST_TYPE_U64:
    case CST_TYPE_U128:
    case CST_TYPE_BOOL:
        order = u128_compare(a->u128, b->u128);
        break;
    case CST_TYPE_F32:
    case CST_TYPE_F64:
        order = double_compare(a->f64, b->f64);
        break;
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        order = bytes_compare(a, b);
        break;
    default:
        order = (a->i128 > b->i128) - (a->i128 < b->i128);
    }
    return column->descending ? -order : order;
}

static int row_compare(const cst_schema *schema, const cst_value *a, const cst_value *b) {
    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const int order = value_compare(&schema->columns[i], &a[i], &b[i]);
        if (order != 0) return order;
    }
    return 0;
}

static key encode_any(const cst_schema *schema, const cst_value *values) {
    static uint8_t bytes[1 << 16];
    key out = {.count = 0};
    uint32_t count = 0;

    CHECK_OK(cst_key_encode(schema, values, bytes, sizeof bytes, &count, NULL));
    CHECK(count <= KEY_MAX);
    memcpy(out.bytes, bytes, count);
    out.count = count;
    return out;
}

// Every pair of rows of a batch: keys compare as the values do, equal ones included.
static uint64_t check_pairs(const random_batch *random) {
    static key keys[40];
    static cst_value values[40][CST_COLUMNS_MAX];
    const uint32_t rows = random->batch.rows_count;
    uint64_t equal_count = 0;

    for (uint32_t row = 0; row < rows; row++) {
        row_values(&random->batch, row, values[row]);
        keys[row] = encode_any(&random->schema, values[row]);
    }
    for (uint32_t a = 0; a < rows; a++) {
        for (uint32_t b = 0; b < rows; b++) {
            const int wanted = row_compare(&random->schema, values[a], values[b]);
            CHECK_EQ(sign_of(key_compare(&keys[a], &keys[b])), sign_of(wanted));
            if (wanted == 0 && a != b) equal_count++;
        }
    }
    return equal_count;
}

TEST(boundary_values_of_every_type_are_in_order) {
    uint64_t equal_count = 0;

    for (int type = 1; type <= CST_TYPE_FIXED; type++) {
        for (int round = 0; round < 60; round++) {
            random_batch random = {.schema = {.columns_count = 1}};
            do random.schema.columns[0] = random_column(false);
            while ((int)random.schema.columns[0].type != type);
            random_batch_fill(&random, 40);
            equal_count += check_pairs(&random);
            random_batch_free(&random);
        }
    }
    CHECK(equal_count > 0);
}

TEST(rows_of_mixed_types_are_in_order) {
    for (int round = 0; round < TEST_SHARE(1500); round++) {
        random_batch random = {.schema = {.columns_count = 1 + (uint32_t)(round % 3)}};
        for (uint32_t i = 0; i < random.schema.columns_count; i++) {
            do random.schema.columns[i] = random_column(false);
            while (random.schema.columns[i].type > CST_TYPE_FIXED);
        }
        random_batch_fill(&random, 40);
        check_pairs(&random);
        random_batch_free(&random);
    }
}

// The key of a row's first columns begins the key of the row: a prefix scan is a range of bytes.
TEST(a_prefix_of_the_columns_gives_a_prefix_of_the_key) {
    static uint8_t longer[1 << 16];
    static uint8_t shorter[1 << 16];

    for (int round = 0; round < TEST_SHARE(2000); round++) {
        random_batch random = {.schema = random_schema(4, false)};
        cst_value values[CST_COLUMNS_MAX];
        uint32_t longer_bytes = 0;
        uint32_t shorter_bytes = 0;
        random_batch_fill(&random, 1);
        row_values(&random.batch, 0, values);
        CHECK_OK(
            cst_key_encode(&random.schema, values, longer, sizeof longer, &longer_bytes, NULL));
        for (uint32_t columns = 1; columns < random.schema.columns_count; columns++) {
            cst_schema part = random.schema;
            part.columns_count = columns;
            CHECK_OK(cst_key_encode(&part, values, shorter, sizeof shorter, &shorter_bytes, NULL));
            CHECK(shorter_bytes <= longer_bytes);
            CHECK_BYTES(longer, shorter, shorter_bytes);
        }
        random_batch_free(&random);
    }
}

TEST_MAIN
