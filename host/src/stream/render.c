#include "stream/render.h"

#include "base/bytes.h"
#include "stream/text_write.h"
#include "stream/value_text.h"
#include "stream/window.h"

#include <assert.h>
#include <math.h>

enum {
    NAME_TEXT_BYTES_MAX = 6 * CSTI_FIELD_NAME_BYTES + 4, // escaped, quotes, colon, comma
    FIELD_TEXT_BYTES_MAX = NAME_TEXT_BYTES_MAX + CSTI_VALUE_TEXT_BYTES_MAX + 2,
    LINE_TEXT_BYTES_MAX = 32, // braces, "_op", newline
};

static char *literal_write(char *out, const char *text, size_t bytes) {
    memcpy(out, text, bytes);
    return out + bytes;
}
#define LITERAL(out, text) literal_write(out, text, sizeof text - 1)

static char *name_write(char *out, const char *name, bool first) {
    if (!first) *out++ = ',';
    out = csti_json_text(out, name, strnlen(name, CSTI_FIELD_NAME_BYTES));
    *out++ = ':';
    return out;
}

// As value_text.h has it, in quotes where JSON has no such number.
static char *odd_write(char *out, const cst_column *column, const cst_value *value, bool quotes) {
    size_t bytes = 0;
    // Room was reserved for a key's bytes in hex, and for any number.
    const size_t capacity = CSTI_VALUE_TEXT_BYTES_MAX + 2 * (size_t)value->bytes_count;
    cst_code code;

    if (quotes) *out++ = '"';
    code = csti_value_write(column, value, out, capacity, &bytes);
    assert(code == CST_OK);
    (void)code;
    out += bytes;
    if (quotes) *out++ = '"';
    return out;
}

static char *value_write(char *out, const cst_column *column, const cst_value *value) {
    if (value->is_null) return LITERAL(out, "null");
    switch (column->type) {
    case CST_TYPE_U8:
    case CST_TYPE_U16:
    case CST_TYPE_U32:
    case CST_TYPE_U64:
        return csti_u64_text(out, (uint64_t)value->u128);
    case CST_TYPE_I8:
    case CST_TYPE_I16:
    case CST_TYPE_I32:
    case CST_TYPE_I64:
        return csti_i64_text(out, (int64_t)value->i128);
    case CST_TYPE_F32:
    case CST_TYPE_F64:
        return odd_write(out, column, value, !isfinite(value->f64));
    case CST_TYPE_BOOL:
    case CST_TYPE_U128:
    case CST_TYPE_I128:
        return odd_write(out, column, value, false);
    case CST_TYPE_STRING:
        return csti_json_text(out, (const char *)value->bytes, value->bytes_count);
    case CST_TYPE_DATE:
    case CST_TYPE_TIMESTAMP:
    case CST_TYPE_DECIMAL128:
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_BINARY:
        break;
    }
    return odd_write(out, column, value, true);
}

static char *field_write(char *out, const csti_render_field *field, const uint8_t *at) {
    cst_column column = {.type = CST_TYPE_F64};
    cst_value value = {0};

    switch ((cst_number)field->number) {
    case CST_U64:
        return csti_u64_text(out, csti_load_le64(at));
    case CST_I64:
        value.i128 = (int64_t)csti_load_le64(at);
        if (!field->moment) return csti_i64_text(out, (int64_t)value.i128);
        column.type = (cst_type)field->moment;
        break;
    case CST_F64:
        memcpy(&value.f64, at, sizeof value.f64);
        break;
    case CST_DECIMAL128:
        value.u128 = csti_load_le128(at);
        column = (cst_column){.type = CST_TYPE_DECIMAL128, .scale = field->scale};
        break;
    }
    return value_write(out, &column, &value);
}

_Static_assert(CSTI_AGGREGATE_TEXT_BYTES_MAX >= CSTI_VALUE_TEXT_BYTES_MAX + 2, "and two quotes");
char *csti_render_aggregate(const csti_render_field *field, const uint8_t *value, char *out) {
    return field_write(out, field, value + field->value_offset);
}

static uint32_t field_bytes(const csti_render_field *field) {
    return field->number == CST_DECIMAL128 ? 16 : 8;
}

// Whether all that the plan reads lies inside the row's value.
static cst_code value_check(const csti_render_plan *plan, const cst_row_ref *row, cst_err *err) {
    if (plan->presence_offset != CST_NO_OFFSET && plan->presence_offset + 8u > row->value_bytes)
        return cst_fail(err, CST_SEGMENT_RECORD, "a value of %u bytes has no presence word at %u",
                        row->value_bytes, plan->presence_offset);
    if (plan->sessions && plan->last_offset + 8u > row->value_bytes)
        return cst_fail(err, CST_SEGMENT_RECORD, "a value of %u bytes has no last time at %u",
                        row->value_bytes, plan->last_offset);
    for (uint32_t f = 0; f < plan->fields_count; f++) {
        const csti_render_field *field = &plan->fields[f];

        if (field->value_offset + field_bytes(field) > row->value_bytes)
            return cst_fail(err, CST_SEGMENT_RECORD, "a value of %u bytes has no %s at %u",
                            row->value_bytes, field->name, field->value_offset);
    }
    return CST_OK;
}

static char *fields_write(char *out, const csti_render_plan *plan, const cst_row_ref *row) {
    uint64_t presence = UINT64_MAX;

    if (plan->presence_offset != CST_NO_OFFSET)
        presence = csti_load_le64(row->value + plan->presence_offset);
    for (uint32_t f = 0; f < plan->fields_count; f++) {
        const csti_render_field *field = &plan->fields[f];

        out = name_write(out, field->name, f == 0 && plan->key.columns_count == 0);
        if (field->accumulator == CSTI_ALWAYS_PRESENT || presence >> field->accumulator & 1)
            out = field_write(out, field, row->value + field->value_offset);
        else
            out = LITERAL(out, "null");
    }
    return out;
}

static char *window_end_write(char *out, const csti_render_plan *plan, const cst_row_ref *row,
                              const cst_value *start) {
    const cst_column column = {.type = CST_TYPE_TIMESTAMP};
    cst_value end = {.i128 = start->i128 + plan->window_us};

    if (plan->sessions)
        end.i128 = (int64_t)csti_load_le64(row->value + plan->last_offset) + plan->window_us;
    return value_write(name_write(out, CSTI_WINDOW_END, false), &column, &end);
}

cst_code csti_render_row(const csti_render_plan *plan, const cst_row_ref *row, bool tombstone,
                         csti_buffer *out, cst_err *err) {
    // A key's byte takes 6 at most, escaped; its values are decoded behind the line's room.
    const size_t line_bytes_max =
        LINE_TEXT_BYTES_MAX +
        (plan->key.columns_count + plan->fields_count + 1) * FIELD_TEXT_BYTES_MAX +
        6 * (size_t)row->key_bytes;
    cst_value values[CST_COLUMNS_MAX];
    cst_code code = csti_buffer_reserve(out, line_bytes_max + row->key_bytes, err);
    char *from = (char *)out->bytes + out->used_bytes;
    char *to = from;

    if (code == CST_OK && !tombstone) code = value_check(plan, row, err);
    if (code == CST_OK && plan->key.columns_count)
        code = cst_key_decode(&plan->key, row->key, row->key_bytes, values,
                              (uint8_t *)from + line_bytes_max, err);
    if (code != CST_OK) return code;
    *to++ = '{';
    for (uint32_t c = 0; c < plan->key.columns_count; c++) {
        to = name_write(to, plan->key_names[c], c == 0);
        to = value_write(to, &plan->key.columns[c], &values[c]);
    }
    if (plan->window_us > 0 && !(plan->sessions && tombstone)) {
        assert(plan->key.columns_count > 0); // the last one is the window's start
        to = window_end_write(to, plan, row, &values[plan->key.columns_count - 1]);
    }
    if (!tombstone) to = fields_write(to, plan, row);
    if (to[-1] != '{') *to++ = ',';
    to = tombstone ? LITERAL(to, "\"_op\":\"delete\"}\n") : LITERAL(to, "\"_op\":\"upsert\"}\n");
    assert((size_t)(to - from) <= line_bytes_max);
    out->used_bytes += (size_t)(to - from);
    return CST_OK;
}
