#include "stream/key_text.h"

#include "test.h"

static cst_err err;

static cst_code encode(const char *schema_text, const char *text, csti_key_extent extent,
                       csti_buffer *out) {
    cst_schema schema;

    CHECK_OK(cst_schema_parse(schema_text, &schema, NULL));
    csti_buffer_init(out, 4 << 20);
    err = (cst_err){.code = CST_OK};
    return csti_key_text_encode(&schema, text, extent, out, &err);
}

static void check_hex(const char *schema, const char *text, csti_key_extent extent,
                      const char *wanted) {
    char hex[256] = "";
    csti_buffer key;

    if (encode(schema, text, extent, &key) != CST_OK) TEST_FAIL("%s", err.text);
    for (size_t i = 0; i < key.used_bytes; i++) sprintf(hex + 2 * i, "%02x", key.bytes[i]);
    CHECK_TEXT(hex, wanted);
    csti_buffer_release(&key);
}

static void check_fails(const char *schema, const char *text, csti_key_extent extent, cst_code code,
                        const char *why) {
    csti_buffer key;

    CHECK_CODE(encode(schema, text, extent, &key), code);
    CHECK_EQ(key.used_bytes, 0);
    if (!strstr(err.text, why)) TEST_FAIL("'%s' does not say '%s'", err.text, why);
    csti_buffer_release(&key);
}

TEST(a_whole_key_is_what_keys_encode_gives) {
    check_hex("u16", "258", CSTI_KEY_WHOLE, "0102");
    check_hex("u8,string", "7,\"a,b\"", CSTI_KEY_WHOLE, "07612c620001");
    check_hex("desc u8", "7", CSTI_KEY_WHOLE, "f8");
    check_hex("nullable u8", "", CSTI_KEY_WHOLE, "00");
    check_hex("nullable string", "\"\"", CSTI_KEY_WHOLE, "010001");
    check_hex("string", "", CSTI_KEY_WHOLE, "0001");
    check_hex("fixed(2),binary", "0aff,00", CSTI_KEY_WHOLE, "0aff00ff0001");
}

TEST(a_beginning_has_fewer_columns_and_its_last_text_has_no_end) {
    check_hex("string,u8", "ab", CSTI_KEY_BEGINNING, "6162");
    check_hex("string,u8", "ab,3", CSTI_KEY_BEGINNING, "6162000103");
    check_hex("desc string,u8", "ab", CSTI_KEY_BEGINNING, "9e9d");
    check_hex("u8,nullable string", "3,a", CSTI_KEY_BEGINNING, "030161");
    check_hex("u8,nullable string", "3,", CSTI_KEY_BEGINNING, "0300");
    check_hex("u8,string", "3", CSTI_KEY_BEGINNING, "03");
    check_hex("string", "", CSTI_KEY_BEGINNING, "");
}

TEST(text_that_is_no_key_is_refused) {
    check_fails("u8,u8", "1", CSTI_KEY_WHOLE, CST_SCHEMA_MISMATCH, "1 fields for a key of 2");
    check_fails("u8", "1,2", CSTI_KEY_BEGINNING, CST_SCHEMA_MISMATCH, "2 fields for a key of 1");
    check_fails("u8,u8", "1,x", CSTI_KEY_WHOLE, CST_PARSE, "column 2");
    check_fails("u8", "256", CSTI_KEY_WHOLE, CST_VALUE_RANGE, "column 1");
    check_fails("u8", "", CSTI_KEY_WHOLE, CST_PARSE, "column 1");
    check_fails("string", "a\nb", CSTI_KEY_WHOLE, CST_PARSE, "more than one line");
    check_fails("string", "\"a", CSTI_KEY_WHOLE, CST_PARSE, "");
    check_fails("string", "\xff", CSTI_KEY_WHOLE, CST_UTF8, "");
}

TEST_MAIN
