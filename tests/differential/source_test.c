// source_test.c: the fast parsers against the slow ones, on rows of any shape, whole and damaged.
#include "unit/stream/slow_rows.h"
#include "unit/stream/source_files.h"

#include <math.h>

enum { FILES = 600, ROWS_MAX = 12 };

// ---- Shapes and values --------------------------------------------------------------------------

static csti_row_shape shape_draw(void) {
    csti_row_shape shape = {.schema.columns_count = 1 + (uint32_t)test_random_below(5)};

    for (uint32_t c = 0; c < shape.schema.columns_count; c++) {
        cst_column *column = &shape.schema.columns[c];

        column->type = (cst_type)(1 + test_random_below(20));
        column->nullable = test_random_below(2);
        if (column->type == CST_TYPE_FIXED) column->width = (uint16_t)(1 + test_random_below(20));
        if (column->type == CST_TYPE_DECIMAL128) column->scale = (uint8_t)test_random_below(5);
        (void)snprintf(shape.names[c], sizeof shape.names[c], "%s%u",
                       test_random_below(2) ? "c" : "a column with a long name ", c);
    }
    CHECK_OK(cst_schema_check(&shape.schema, NULL));
    return shape;
}

static uint64_t bits_draw(void) {
    return test_random() >> test_random_below(64);
}

static const char *const pieces[] = {
    "a", "bc", "\"", ",", "\n", "\\", "\r", " ", "{}", "0", "", "\xc3\xa9", "\xf0\x9f\x98\x80",
    "\t"};

// Bytes of a string or of anything as wide as asked for.
static uint32_t bytes_draw(const cst_column *column, uint8_t *out) {
    uint32_t count = cst_column_value_bytes(column);

    if (column->type == CST_TYPE_STRING) {
        const uint64_t parts = test_random_below(30);

        for (uint64_t i = 0; i < parts; i++) {
            const char *piece = pieces[test_random_below(sizeof pieces / sizeof *pieces)];

            memcpy(out + count, piece, strlen(piece));
            count += (uint32_t)strlen(piece);
        }
        return count;
    }
    if (column->type == CST_TYPE_BINARY) count = (uint32_t)test_random_below(20);
    for (uint32_t i = 0; i < count; i++) out[i] = (uint8_t)test_random();
    return count;
}

static cst_value value_draw(const cst_column *column, uint8_t *bytes) {
    const uint32_t width = cst_column_value_bytes(column);
    cst_value value = {.u128 = bits_draw()};

    value.is_null = column->nullable && test_random_below(4) == 0;
    switch (column->type) {
    case CST_TYPE_F32:
        value.f64 = (double)(float)((double)bits_draw() / 1000);
        break;
    case CST_TYPE_F64:
        value.f64 = test_random_below(9) ? ldexp((double)bits_draw(), -(int)test_random_below(80))
                                         : (double)NAN;
        break;
    case CST_TYPE_BOOL:
        value.u128 = test_random_below(2);
        break;
    case CST_TYPE_DATE:
        value.i128 = (int64_t)test_random_below(80000) - 20000;
        break;
    case CST_TYPE_DECIMAL128:
    case CST_TYPE_TIMESTAMP:
        value.i128 = (int64_t)test_random_below(UINT64_C(4000000000000000));
        break;
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        value.bytes_count = bytes_draw(column, bytes);
        value.bytes = bytes;
        break;
    default: // integers of any width: the low bits
        if (width < 16) value.u128 &= ((cst_u128)1 << 8 * width) - 1;
        if (csti_type_is_signed(column->type) && width < 16 && value.u128 >> (8 * width - 1))
            value.i128 -= (cst_i128)1 << 8 * width;
        break;
    }
    return value;
}

// A date or time may be digits.
static size_t value_print(const cst_column *column, const cst_value *value, char *out) {
    cst_column as = *column;
    size_t bytes = 0;

    if (test_random_below(2)) {
        if (column->type == CST_TYPE_DATE) as.type = CST_TYPE_I32;
        if (column->type == CST_TYPE_TIMESTAMP) as.type = CST_TYPE_I64;
    }
    CHECK_OK(csti_value_write(&as, value, out, 4096, &bytes));
    return bytes;
}

// ---- Text ---------------------------------------------------------------------------------------

static void blanks_draw(rows *out) {
    while (test_random_below(12) == 0) rows_add(out, &" \t\r"[test_random_below(3)], 1);
}

static void json_quote(rows *out, const char *text, size_t bytes) {
    rows_add(out, "\"", 1);
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char byte = (unsigned char)text[i];
        char escape[8];

        if (byte == '"' || byte == '\\' || byte < 0x20 || (byte < 0x80 && !test_random_below(9))) {
            const char *format = test_random_below(2) ? "\\u%04x" : "\\u%04X";

            (void)snprintf(escape, sizeof escape, format, byte);
            rows_add(out, escape, 6);
        } else if (byte == 0xf0 && test_random_below(2)) {
            rows_add(out, "\\uD83D\\uDE00", 12); // the one of `pieces`
            i += 3;
        } else {
            rows_add(out, &text[i], 1);
        }
    }
    rows_add(out, "\"", 1);
}

static void json_member(rows *out, const cst_column *column, const char *name,
                        const cst_value *value) {
    char text[4096];
    size_t bytes;
    bool quotes;

    json_quote(out, name, strlen(name));
    blanks_draw(out);
    rows_add(out, ":", 1);
    blanks_draw(out);
    if (value->is_null) {
        rows_add(out, "null", 4);
        return;
    }
    bytes = value_print(column, value, text);
    quotes = column->type >= CST_TYPE_UUID || strchr("ni", text[bytes - (bytes > 0)]) ||
             (text[0] != '-' && memchr(text, '-', bytes) && memchr(text, 'e', bytes) == NULL);
    if (column->type == CST_TYPE_BOOL) quotes = false;
    if ((column->type == CST_TYPE_F32 || column->type == CST_TYPE_F64)) quotes = isnan(value->f64);
    if (column->type == CST_TYPE_DECIMAL128) quotes = test_random_below(2);
    if (quotes)
        json_quote(out, text, bytes);
    else
        rows_add(out, text, bytes);
}

static void json_unknown(rows *out) {
    static const char *const members[] = {"\"x\":1", "\"y\":{\"c0\":[1,2,{}],\"z\":\"}\"}",
                                          "\"\":[[],[null]]", "\"x\":\"\\u0000\""};
    const char *member = members[test_random_below(4)];

    rows_add(out, member, strlen(member));
}

static void json_line(rows *out, const csti_row_shape *shape, const cst_value *values) {
    const uint32_t count = shape->schema.columns_count;
    const uint32_t first = test_random_below(4) ? 0 : (uint32_t)test_random_below(count);
    bool comma = false;

    while (test_random_below(9) == 0) rows_add(out, "\n", 1);
    blanks_draw(out);
    rows_add(out, "{", 1);
    blanks_draw(out);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t c = (first + i) % count;

        if (test_random_below(5) == 0) {
            if (comma) rows_add(out, ",", 1);
            json_unknown(out);
            comma = true;
        }
        if (values[c].is_null && test_random_below(2)) continue;
        if (comma) rows_add(out, ",", 1);
        blanks_draw(out);
        json_member(out, &shape->schema.columns[c], shape->names[c], &values[c]);
        blanks_draw(out);
        comma = true;
    }
    rows_add(out, "}\n", 2);
}

static void csv_field(rows *out, const char *text, size_t bytes, bool quotes) {
    for (size_t i = 0; i < bytes; i++) quotes = quotes || strchr("\",\n\r", text[i]);
    if (quotes) rows_add(out, "\"", 1);
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"') rows_add(out, "\"", 1);
        rows_add(out, &text[i], 1);
    }
    if (quotes) rows_add(out, "\"", 1);
}

static void csv_line(rows *out, const csti_row_shape *shape, const cst_value *values, bool more) {
    for (uint32_t c = 0; c < shape->schema.columns_count; c++) {
        char text[4096];
        size_t bytes = 0;

        if (c > 0) rows_add(out, ",", 1);
        if (values[c].is_null) continue;
        bytes = value_print(&shape->schema.columns[c], &values[c], text);
        csv_field(out, text, bytes, bytes == 0 || test_random_below(6) == 0);
    }
    if (more) rows_add(out, test_random_below(2) ? ",\"a\nb\"" : ",", 1);
    rows_add(out, &"\r\n"[test_random_below(2)], 1);
    if (out->text[out->used - 1] == '\r') rows_add(out, "\n", 1);
}

static void csv_header(rows *out, const csti_row_shape *shape, bool more) {
    for (uint32_t c = 0; c < shape->schema.columns_count; c++) {
        if (c > 0) rows_add(out, ",", 1);
        csv_field(out, shape->names[c], strlen(shape->names[c]), test_random_below(2));
    }
    if (more) rows_add(out, ",\"more\"", 7);
    rows_add(out, "\n", 1);
}

// One to three bytes of it changed, taken out or put in.
static void text_damage(rows *text) {
    static const char bytes[] = "{}[]\",:\\u+-.eE019tfn \n\r\x00\x7f\xff\xc3";

    for (uint64_t times = 1 + test_random_below(3); times > 0 && text->used > 0; times--) {
        const size_t at = test_random_below(text->used);
        const char byte = bytes[test_random_below(sizeof bytes)];

        switch (test_random_below(3)) {
        case 0:
            text->text[at] = byte;
            break;
        case 1:
            memmove(text->text + at, text->text + at + 1, text->used - at - 1);
            text->used--;
            break;
        default:
            rows_add(text, &byte, 1);
            memmove(text->text + at + 1, text->text + at, text->used - at - 1);
            text->text[at] = byte;
            break;
        }
    }
}

// ---- Fast against slow --------------------------------------------------------------------------

// Through the whole source, in batches of any size, opened again now and then.
static void fast_read(source_files *files, rows *out) {
    csti_source *source = files_open(files);
    csti_split *split = NULL;
    bool ended = false;

    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    while (!ended && !out->refused) {
        char offset[CSTI_OFFSET_BYTES_MAX];
        cst_batch batch;
        cst_err err = {0};
        const cst_code code =
            csti_split_next(split, (uint32_t)test_random_below(5), &batch, &ended, &err);

        if (code != CST_OK && code != CST_SOURCE_RECORD) TEST_FAIL("%s", err.text);
        out->refused = code == CST_SOURCE_RECORD;
        if (code == CST_OK) rows_print(out, &batch);
        if (test_random_below(3)) continue;
        (void)snprintf(offset, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
        csti_split_close(split);
        CHECK_OK(csti_split_open(source, "file-a", offset, &split, NULL));
    }
    csti_split_close(split);
    csti_source_close(source);
}

static void rows_compare(const rows *fast, const rows *slow, const rows *text) {
    const bool equal = fast->used == slow->used &&
                       (fast->used == 0 || memcmp(fast->text, slow->text, fast->used) == 0);

    if (equal && fast->refused == slow->refused) return;
    TEST_FAIL("fast: %s\n%.*s\nslow: %s\n%.*s\ntext:\n%.*s", fast->refused ? "refused" : "whole",
              (int)fast->used, fast->text, slow->refused ? "refused" : "whole", (int)slow->used,
              slow->text, (int)text->used, text->text);
}

static void file_compare(source_files *files, const rows *text, const rows *wanted) {
    const csti_row_shape *shape = &files->options.shape;
    rows fast = {0}, slow = {0};

    files_write(files, "a", "wb", text->text, text->used);
    fast_read(files, &fast);
    if (files->options.format == CSTI_FILE_CSV)
        slow_csv(shape, files->options.csv_header, text->text, text->used, &slow);
    else
        slow_ndjson(shape, text->text, text->used, &slow);
    rows_compare(&fast, &slow, text);
    if (wanted) rows_compare(&fast, wanted, text);
    rows_free(&fast);
    rows_free(&slow);
}

static void files_compare(csti_file_format format) {
    const csti_row_shape any = shape_draw();
    source_files files = files_make(format, &any);

    for (int i = 0; i < TEST_SHARE(FILES); i++) {
        const csti_row_shape shape = shape_draw();
        const bool header = format == CSTI_FILE_CSV && test_random_below(2);
        const bool more = header && test_random_below(2); // a field without a column
        rows text = {0}, wanted = {0};

        files.options.shape = shape;
        files.options.csv_header = header;
        if (header) csv_header(&text, &shape, more);
        for (uint64_t r = test_random_below(ROWS_MAX); r > 0; r--) {
            uint8_t bytes[CST_COLUMNS_MAX][512];
            cst_value values[CST_COLUMNS_MAX];

            for (uint32_t c = 0; c < shape.schema.columns_count; c++) {
                values[c] = value_draw(&shape.schema.columns[c], bytes[c]);
                rows_add_value(&wanted, &shape.schema.columns[c], &values[c]);
            }
            rows_add(&wanted, "\n", 1);
            if (format == CSTI_FILE_CSV)
                csv_line(&text, &shape, values, more);
            else
                json_line(&text, &shape, values);
        }
        if (text.used > 1 && text.text[text.used - 2] != '\n' && test_random_below(3) == 0)
            text.used--; // no LF at its end
        file_compare(&files, &text, &wanted);
        for (int damage = 0; damage < 4; damage++) {
            text_damage(&text);
            file_compare(&files, &text, NULL);
        }
        rows_free(&text);
        rows_free(&wanted);
    }
    folder_remove(files.folder);
}

TEST(rows_of_csv_are_read_and_refused_as_the_slow_parser_does) {
    files_compare(CSTI_FILE_CSV);
}

TEST(rows_of_ndjson_are_read_and_refused_as_the_slow_parser_does) {
    files_compare(CSTI_FILE_NDJSON);
}

TEST_MAIN
