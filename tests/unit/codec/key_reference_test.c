// key_reference_test.c: one row to a key and back: the golden vectors, and what is refused.
#include "test.h"

#include "unit/codec/random_batch.h"
#include "unit/codec/vectors.h"

enum { KEY_BYTES_MAX = 1 << 17 };

static uint8_t key_bytes[KEY_BYTES_MAX];
static uint8_t scratch[KEY_BYTES_MAX];
static vectors lines;

static cst_schema parsed(const char *text) {
    cst_schema schema;
    cst_err err = {.text = ""};

    if (cst_schema_parse(text, &schema, &err) != CST_OK) TEST_FAIL("%s: %s", text, err.text);
    return schema;
}

static cst_value parse_number(const char *word) {
    const bool is_negative = word[0] == '-';
    cst_u128 number = 0;

    for (const char *digit = word + is_negative; *digit; digit++) {
        const uint32_t units = (uint32_t)(*digit - '0');
        number = 10u * number + units;
    }
    return (cst_value){.u128 = is_negative ? -number : number};
}

static cst_value parse_value(const cst_column *column, const char *word, uint8_t *bytes,
                             size_t capacity) {
    cst_value value = {.is_null = strcmp(word, "null") == 0};

    if (value.is_null) return value;
    if (strncmp(word, "x:", 2) == 0) {
        value.bytes = bytes;
        value.bytes_count = (uint32_t)vectors_hex(word + 2, bytes, capacity);
    } else if (strncmp(word, "f:", 2) == 0 && column->type == CST_TYPE_F64) {
        const uint64_t bits = strtoull(word + 2, NULL, 16);
        memcpy(&value.f64, &bits, sizeof bits);
    } else if (strncmp(word, "f:", 2) == 0) {
        const uint32_t bits = (uint32_t)strtoul(word + 2, NULL, 16);
        float single;
        memcpy(&single, &bits, sizeof bits);
        value.f64 = (double)single;
    } else {
        value = parse_number(word);
    }
    return value;
}

// What decode must give for a value that encode took.
static void check_canonical(const cst_column *column, const cst_value *got,
                            const cst_value *given) {
    CHECK_EQ(got->is_null, given->is_null);
    if (given->is_null) return;
    switch (column->type) {
    case CST_TYPE_F32:
    case CST_TYPE_F64: {
        double wanted = given->f64;
        const uint64_t nan = UINT64_C(0x7ff8000000000000);
        if (wanted == 0) wanted = 0;
        if (wanted != wanted) memcpy(&wanted, &nan, sizeof nan);
        CHECK_BYTES(&got->f64, &wanted, sizeof wanted);
        return;
    }
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        CHECK_EQ(got->bytes_count, given->bytes_count);
        CHECK_BYTES(got->bytes, given->bytes, given->bytes_count);
        return;
    default:
        CHECK(got->u128 == given->u128);
    }
}

TEST(golden_keys_are_encoded_and_decoded) {
    static uint8_t wanted[KEY_BYTES_MAX];
    static uint8_t bytes[CST_COLUMNS_MAX][256];
    int lines_count = 0;

    for (vectors_open(&lines, "keys.txt"); vectors_next(&lines, 3); lines_count++) {
        const cst_schema schema = parsed(lines.fields[0]);
        cst_value values[CST_COLUMNS_MAX];
        cst_value decoded[CST_COLUMNS_MAX];
        uint32_t count = 0;
        char *rest = lines.fields[1];
        for (uint32_t i = 0; i < schema.columns_count; i++) {
            const char *word = strtok_r(rest, " ", &rest);
            CHECK(word);
            values[i] = parse_value(&schema.columns[i], word, bytes[i], sizeof bytes[i]);
        }
        const size_t wanted_bytes = vectors_hex(lines.fields[2], wanted, sizeof wanted);
        CHECK_OK(cst_key_encode(&schema, values, key_bytes, sizeof key_bytes, &count, NULL));
        CHECK_EQ(count, wanted_bytes);
        CHECK_BYTES(key_bytes, wanted, wanted_bytes);
        CHECK_OK(cst_key_decode(&schema, key_bytes, count, decoded, scratch, NULL));
        for (uint32_t i = 0; i < schema.columns_count; i++)
            check_canonical(&schema.columns[i], &decoded[i], &values[i]);
    }
    CHECK(lines_count > 900);
}

TEST(corrupt_keys_are_refused_by_column) {
    int lines_count = 0;

    for (vectors_open(&lines, "keys_corrupt.txt"); vectors_next(&lines, 4); lines_count++) {
        const cst_schema schema = parsed(lines.fields[0]);
        cst_value values[CST_COLUMNS_MAX];
        cst_err err = {.text = ""};
        char wanted[64];
        // A block of the key's own size, so that a sanitizer sees a byte too far.
        const size_t count = vectors_hex(lines.fields[1], key_bytes, sizeof key_bytes);
        uint8_t *key = test_block(count);
        memcpy(key, key_bytes, count);
        CHECK_CODE(cst_key_decode(&schema, key, count, values, scratch, &err), CST_KEY_CORRUPT);
        free(key);
        if (strcmp(lines.fields[3], "a byte follows") == 0) continue; // of no column
        (void)snprintf(wanted, sizeof wanted, "key decode failed: column %s: offset ",
                       lines.fields[2]);
        if (strncmp(err.text, wanted, strlen(wanted)) != 0)
            TEST_FAIL("line %u: %s", lines.line_number, err.text);
    }
    CHECK(lines_count > 40);
}

TEST(decode_names_the_offset) {
    const cst_schema schema = parsed("u16,nullable string,bool");
    static const uint8_t key[] = {0, 7, 1, 'a', 'b', 0, 1, 2};
    cst_value values[3];
    cst_err err = {.text = ""};

    CHECK_CODE(cst_key_decode(&schema, key, sizeof key, values, scratch, &err), CST_KEY_CORRUPT);
    CHECK_TEXT(err.text, "key decode failed: column 2: offset 7: a bool is 0 or 1");
    CHECK_CODE(cst_key_decode(&schema, key, 5, values, scratch, &err), CST_KEY_CORRUPT);
    CHECK_TEXT(err.text, "key decode failed: column 1: offset 5: the key ends inside a value");
    CHECK_CODE(cst_key_decode(&schema, key, 5, values, scratch, NULL), CST_KEY_CORRUPT);
}

TEST(a_key_that_is_cut_ends_inside_a_value_wherever_that_is) {
    const cst_schema schema = parsed("u16,uuid,f32,fixed(5),i64");
    static uint8_t bytes[] = "sixteen bytes or more";
    const cst_value given[] = {{.u128 = 7},
                               {.bytes = bytes, .bytes_count = 16},
                               {.f64 = 0.5},
                               {.bytes = bytes, .bytes_count = 5},
                               {.u128 = 8}};
    uint32_t count = 0;
    cst_value values[5];
    cst_err err = {.text = ""};

    CHECK_OK(cst_key_encode(&schema, given, key_bytes, sizeof key_bytes, &count, NULL));
    CHECK_EQ(count, 2 + 16 + 4 + 5 + 8);
    for (uint32_t cut = 0; cut < count; cut++) {
        CHECK_CODE(cst_key_decode(&schema, key_bytes, cut, values, scratch, &err), CST_KEY_CORRUPT);
        CHECK(strstr(err.text, "the key ends inside a value"));
    }
    CHECK_OK(cst_key_decode(&schema, key_bytes, count, values, scratch, &err));
}

// Whatever decode accepts, encode gives back: no two keys stand for one row.
TEST(what_decode_accepts_encodes_to_the_same_bytes) {
    int accepted_count = 0;

    for (int round = 0; round < 20000; round++) {
        random_batch random = {.schema = random_schema(3, false)};
        cst_value values[CST_COLUMNS_MAX];
        uint32_t count = 0;
        uint32_t again = 0;
        random_batch_fill(&random, 1);
        row_values(&random.batch, 0, values);
        CHECK_OK(cst_key_encode(&random.schema, values, key_bytes, sizeof key_bytes, &count, NULL));
        if (count > 0 && round % 4) // one byte is damaged
            key_bytes[test_random_below(count)] ^= (uint8_t)(1u << test_random_below(8));
        if (cst_key_decode(&random.schema, key_bytes, count, values, scratch, NULL) == CST_OK) {
            static uint8_t second[KEY_BYTES_MAX];
            CHECK_OK(cst_key_encode(&random.schema, values, second, sizeof second, &again, NULL));
            CHECK_EQ(again, count);
            CHECK_BYTES(second, key_bytes, count);
            accepted_count++;
        }
        random_batch_free(&random);
    }
    CHECK(accepted_count >= 5000);
}

static cst_code encode_one(const char *schema_text, cst_value value, size_t capacity,
                           cst_err *err) {
    const cst_schema schema = parsed(schema_text);
    uint32_t count = 0;
    return cst_key_encode(&schema, &value, key_bytes, capacity, &count, err);
}

TEST(values_outside_their_type_are_refused_by_column) {
    static const uint8_t long_value[CST_VARIABLE_BYTES_MAX + 1] = {'a'};
    const cst_i128 ten38 =
        (cst_i128)UINT64_C(10000000000000000000) * UINT64_C(10000000000000000000);
    cst_err err = {.text = ""};

    CHECK_CODE(encode_one("u8", (cst_value){.u128 = 256}, 9, &err), CST_VALUE_RANGE);
    CHECK_TEXT(err.text, "key encode failed: column 0: the number is too large for the type");
    CHECK_CODE(encode_one("i8", (cst_value){.i128 = 128}, 9, &err), CST_VALUE_RANGE);
    CHECK_TEXT(err.text, "key encode failed: column 0: the number does not fit the type");
    CHECK_CODE(encode_one("i8", (cst_value){.i128 = -129}, 9, &err), CST_VALUE_RANGE);
    CHECK_CODE(encode_one("bool", (cst_value){.u128 = 2}, 9, &err), CST_VALUE_RANGE);
    CHECK_CODE(encode_one("f32", (cst_value){.f64 = 0.1}, 9, &err), CST_VALUE_RANGE);
    CHECK_CODE(encode_one("decimal128(2)", (cst_value){.i128 = ten38}, 99, &err), CST_VALUE_RANGE);
    CHECK_CODE(encode_one("decimal128(2)", (cst_value){.i128 = -ten38}, 99, &err), CST_VALUE_RANGE);
    CHECK_OK(encode_one("decimal128(2)", (cst_value){.i128 = 1 - ten38}, 99, &err));
    CHECK_CODE(encode_one("fixed(3)", (cst_value){.bytes = long_value, .bytes_count = 2}, 9, &err),
               CST_VALUE_RANGE);
    CHECK_CODE(encode_one("binary", (cst_value){.bytes = long_value, .bytes_count = 32769},
                          sizeof key_bytes, &err),
               CST_VALUE_RANGE);
    CHECK_OK(encode_one("binary", (cst_value){.bytes = long_value, .bytes_count = 32768},
                        sizeof key_bytes, &err));
    CHECK_CODE(encode_one("string",
                          (cst_value){.bytes = (const uint8_t *)"a\xff", .bytes_count = 2}, 9,
                          &err),
               CST_UTF8);
    CHECK_TEXT(err.text, "key encode failed: column 0: byte 1: not UTF-8");
    CHECK_CODE(encode_one("u8", (cst_value){.is_null = true}, 9, &err), CST_SCHEMA_MISMATCH);
}

TEST(a_schema_nobody_checked_is_refused) {
    const cst_schema schema = {.columns_count = 1, .columns = {{.type = (cst_type)77}}};
    cst_value value = {.u128 = 1};
    uint32_t count = 0;

    CHECK_CODE(cst_key_encode(&schema, &value, key_bytes, 99, &count, NULL), CST_SCHEMA);
    CHECK_CODE(cst_key_decode(&schema, key_bytes, 8, &value, scratch, NULL), CST_KEY_CORRUPT);
}

TEST(a_key_longer_than_its_room_is_refused) {
    cst_err err = {.text = ""};

    CHECK_OK(encode_one("u64", (cst_value){.u128 = 1}, 8, &err));
    CHECK_CODE(encode_one("u64", (cst_value){.u128 = 1}, 7, &err), CST_LIMIT);
    CHECK_TEXT(err.text, "key encode failed: 8 bytes, room for 7");
}

TEST(the_longest_key_of_a_schema_is_what_it_says) {
    static uint8_t zeros[CST_VARIABLE_BYTES_MAX];
    const cst_schema schema = parsed("nullable binary,u16");
    const cst_value values[2] = {{.bytes = zeros, .bytes_count = sizeof zeros}, {.u128 = 1}};
    uint32_t count = 0;

    CHECK_OK(cst_key_encode(&schema, values, key_bytes, sizeof key_bytes, &count, NULL));
    CHECK_EQ(count, cst_schema_key_bytes_max(&schema));
}

TEST_MAIN
