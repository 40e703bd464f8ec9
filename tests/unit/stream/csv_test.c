#define _GNU_SOURCE 1 // fopencookie
#include "stream/csv.h"
#include "test.h"

#include <errno.h>

// Reads all of `text`; fields come joined as [a][b], quoted ones as "a", records end with a '/'.
static cst_code read_all(const char *text, size_t bytes, char *out, size_t capacity, cst_err *err) {
    FILE *in = fmemopen((void *)(uintptr_t)text, bytes, "rb");
    size_t used = 0;
    bool found = true;
    cst_code code = CST_OK;
    csti_csv csv;

    CHECK(in);
    csti_csv_open(&csv, in);
    out[0] = '\0';
    while (code == CST_OK && found) {
        code = csti_csv_next(&csv, &found, err);
        if (code != CST_OK || !found) break;
        for (size_t i = 0; i < csv.fields_count; i++)
            used += (size_t)snprintf(out + used, capacity - used,
                                     csv.fields[i].quoted ? "\"%.*s\"" : "[%.*s]",
                                     (int)csv.fields[i].bytes, csv.fields[i].text);
        used += (size_t)snprintf(out + used, capacity - used, "/");
    }
    csti_csv_close(&csv);
    (void)fclose(in);
    return code;
}

TEST(records_come_field_by_field) {
    static const char *const cases[][2] = {
        {"1,2\n3,4\n", "[1][2]/[3][4]/"},
        {"1,2\r\n3", "[1][2]/[3]/"},
        {"a\r", "[a]/"},
        {"\n", "[]/"},
        {",\n,", "[][]/[][]/"},
        {"\"\",x\n", "\"\"[x]/"},
        {"\"a\"\"b\",\"c,d\"\n", "\"a\"b\"\"c,d\"/"},
        {"\"two\nlines\"\r\nb\n", "\"two\nlines\"/[b]/"},
        {"a b , c\n", "[a b ][ c]/"},
        {"x\ry\n", "[x\ry]/"},
        {"\"q\"", "\"q\"/"},
    };
    char out[256];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_OK(read_all(cases[i][0], strlen(cases[i][0]), out, sizeof out, NULL));
        CHECK_TEXT(out, cases[i][1]);
    }
}

TEST(malformed_records_name_their_line) {
    static const char *const cases[][2] = {
        {"a\n\"b\n\nc", "line 2"},
        {"a\nb\"c\n", "line 2"},
        {"\"a\"b\n", "line 1"},
        {"\"x\ny\"\n\"z", "line 3"},
    };
    char out[256];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cst_err err = {0};
        CHECK_CODE(read_all(cases[i][0], strlen(cases[i][0]), out, sizeof out, &err), CST_PARSE);
        if (!strstr(err.text, cases[i][1])) TEST_FAIL("%s: %s", cases[i][1], err.text);
    }
}

TEST(a_record_is_bounded) {
    const size_t bytes = (size_t)CSTI_CSV_RECORD_BYTES_MAX + 2;
    char *text = malloc(bytes);
    char *out = malloc(bytes + 16);

    CHECK(text && out);
    memset(text, 'x', bytes);
    CHECK_CODE(read_all(text, bytes, out, bytes + 16, NULL), CST_LIMIT);
    CHECK_OK(read_all(text, CSTI_CSV_RECORD_BYTES_MAX, out, bytes + 16, NULL));
    memset(text, ',', CSTI_CSV_FIELDS_MAX);
    CHECK_CODE(read_all(text, CSTI_CSV_FIELDS_MAX, out, bytes + 16, NULL), CST_LIMIT);
    CHECK_OK(read_all(text, CSTI_CSV_FIELDS_MAX - 1, out, bytes + 16, NULL));
    free(text);
    free(out);
}

TEST(what_is_written_is_read_back) {
    for (int round = 0; round < 2000; round++) {
        static const char alphabet[] = {'a', ',', '"', '\n', '\r', ' '};
        char field[8];
        const size_t bytes = test_random_below(sizeof field + 1);
        char *text = NULL;
        size_t text_bytes = 0;
        FILE *out = open_memstream(&text, &text_bytes);
        csti_csv csv;
        bool found = false;
        FILE *in;

        for (size_t i = 0; i < bytes; i++) field[i] = alphabet[test_random_below(sizeof alphabet)];
        CHECK(out);
        csti_csv_write(out, field, bytes);
        (void)fputs(",end\n", out);
        (void)fclose(out);
        in = fmemopen(text, text_bytes, "rb");
        CHECK(in);
        csti_csv_open(&csv, in);
        CHECK_OK(csti_csv_next(&csv, &found, NULL));
        CHECK(found);
        CHECK_EQ(csv.fields_count, 2);
        CHECK_EQ(csv.fields[0].bytes, bytes);
        CHECK_BYTES(csv.fields[0].text, field, bytes);
        csti_csv_close(&csv);
        (void)fclose(in);
        free(text);
    }
}

// A disk that gives the text, then an error.
static ssize_t read_some(void *cookie, char *out, size_t bytes) {
    const char **text = cookie;
    const size_t count = strlen(*text) < bytes ? strlen(*text) : bytes;

    if (count == 0) {
        errno = EIO;
        return -1;
    }
    memcpy(out, *text, count);
    *text += count;
    return (ssize_t)count;
}

TEST(half_a_record_in_front_of_an_error_is_none) {
    static const char *const texts[] = {"1,2\n3", "1,2\n3,4", "1,2\n3,\"4", "1,2\n3,4\r", "1,2\n"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *rest = texts[i];
        FILE *in = fopencookie(&rest, "rb", (cookie_io_functions_t){.read = read_some});
        bool found = false;
        cst_err err = {0};
        csti_csv csv;

        CHECK(in);
        csti_csv_open(&csv, in);
        CHECK_OK(csti_csv_next(&csv, &found, &err));
        CHECK(found);
        CHECK_CODE(csti_csv_next(&csv, &found, &err), CST_IO);
        CHECK_TEXT(err.text, "reading: Input/output error");
        CHECK(!found);
        csti_csv_close(&csv);
        (void)fclose(in);
    }
}

TEST_MAIN
