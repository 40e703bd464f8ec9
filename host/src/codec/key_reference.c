// key_reference.c: one row to a key and back, a byte at a time: slow and obvious.
#include <string.h>

#include "codec/types.h"

// ---- encode ---------------------------------------------------------------------------------

typedef struct key_writer {
    uint8_t *bytes;
    size_t capacity;
    size_t count;       // grows past capacity, where nothing is written any more
    uint8_t complement; // ff in a descending column's value
} key_writer;

static void put(key_writer *out, uint8_t byte) {
    if (out->count < out->capacity) out->bytes[out->count] = byte ^ out->complement;
    out->count++;
}

static void put_big_endian(key_writer *out, cst_u128 number, uint32_t bytes) {
    for (uint32_t i = bytes; i-- > 0;) put(out, (uint8_t)(number >> (8 * i)));
}

static cst_code value_fail(cst_err *err, cst_code code, uint32_t column, const char *why) {
    return cst_fail(err, code, "key encode failed: column %u: %s", column, why);
}

static cst_code put_unsigned(key_writer *out, cst_u128 number, uint32_t bytes, uint32_t column,
                             cst_err *err) {
    if (bytes < 16 && number >> (8 * bytes) != 0)
        return value_fail(err, CST_VALUE_RANGE, column, "the number is too large for the type");
    put_big_endian(out, number, bytes);
    return CST_OK;
}

static cst_code put_signed(key_writer *out, cst_i128 number, uint32_t bytes, uint32_t column,
                           cst_err *err) {
    const cst_u128 sign = (cst_u128)1 << (8 * bytes - 1);

    // The sign bit flipped is the number counted from the smallest.
    if (bytes < 16 && ((cst_u128)number + sign) >> (8 * bytes) != 0)
        return value_fail(err, CST_VALUE_RANGE, column, "the number does not fit the type");
    put_big_endian(out, (cst_u128)number + sign, bytes);
    return CST_OK;
}

static void put_f64(key_writer *out, double number) {
    uint64_t bits;

    if (number == 0) number = 0; // -0.0 is +0.0
    memcpy(&bits, &number, sizeof bits);
    if (number != number) bits = CSTI_F64_NAN;
    bits = bits & CSTI_F64_SIGN ? ~bits : bits | CSTI_F64_SIGN;
    put_big_endian(out, bits, 8);
}

static cst_code put_f32(key_writer *out, double number, uint32_t column, cst_err *err) {
    const float single = (float)number;
    uint32_t bits;

    if (number == number && (double)single != number)
        return value_fail(err, CST_VALUE_RANGE, column, "the number is not an f32");
    memcpy(&bits, &single, sizeof bits);
    if (number != number) bits = CSTI_F32_NAN;
    if (number == 0) bits = 0; // -0.0 is +0.0
    bits = bits & CSTI_F32_SIGN ? ~bits : bits | CSTI_F32_SIGN;
    put_big_endian(out, bits, 4);
    return CST_OK;
}

static cst_code put_fixed(key_writer *out, const cst_value *value, uint32_t bytes, uint32_t column,
                          cst_err *err) {
    if (value->bytes_count != bytes)
        return cst_fail(err, CST_VALUE_RANGE,
                        "key encode failed: column %u: %u bytes, the type has %u", column,
                        value->bytes_count, bytes);
    for (uint32_t i = 0; i < bytes; i++) put(out, value->bytes[i]);
    return CST_OK;
}

static cst_code put_variable(key_writer *out, const cst_value *value, cst_type type,
                             uint32_t column, cst_err *err) {
    if (value->bytes_count > CST_VARIABLE_BYTES_MAX)
        return cst_fail(err, CST_VALUE_RANGE,
                        "key encode failed: column %u: %u bytes, a key's value has at most %d",
                        column, value->bytes_count, CST_VARIABLE_BYTES_MAX);
    if (type == CST_TYPE_STRING) {
        const size_t at = csti_utf8_error_at(value->bytes, value->bytes_count);
        if (at < value->bytes_count)
            return cst_fail(err, CST_UTF8, "key encode failed: column %u: byte %zu: not UTF-8",
                            column, at);
    }
    for (uint32_t i = 0; i < value->bytes_count; i++) {
        put(out, value->bytes[i]);
        if (value->bytes[i] == CSTI_KEY_ESCAPE) put(out, CSTI_KEY_ZERO);
    }
    put(out, CSTI_KEY_ESCAPE);
    put(out, CSTI_KEY_END);
    return CST_OK;
}

static cst_code put_value(key_writer *out, const cst_column *column, const cst_value *value,
                          uint32_t index, cst_err *err) {
    const uint32_t bytes = cst_column_value_bytes(column);

    switch (column->type) {
    case CST_TYPE_BOOL:
        if (value->u128 > 1) return value_fail(err, CST_VALUE_RANGE, index, "a bool is 0 or 1");
        put(out, (uint8_t)value->u128);
        return CST_OK;
    case CST_TYPE_DECIMAL128:
        if (value->i128 >= csti_decimal_bound() || value->i128 <= -csti_decimal_bound())
            return value_fail(err, CST_VALUE_RANGE, index, "more than 38 digits");
        return put_signed(out, value->i128, bytes, index, err);
    case CST_TYPE_F64:
        put_f64(out, value->f64);
        return CST_OK;
    case CST_TYPE_F32:
        return put_f32(out, value->f64, index, err);
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
        return put_fixed(out, value, bytes, index, err);
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        return put_variable(out, value, column->type, index, err);
    default:
        if (bytes == 0) return value_fail(err, CST_SCHEMA, index, "the schema's type is unknown");
        return csti_type_is_signed(column->type)
                   ? put_signed(out, value->i128, bytes, index, err)
                   : put_unsigned(out, value->u128, bytes, index, err);
    }
}

cst_code cst_key_encode(const cst_schema *schema, const cst_value *values, uint8_t *key,
                        size_t capacity, uint32_t *key_bytes_out, cst_err *err) {
    key_writer out = {.bytes = key, .capacity = capacity};

    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const cst_column *column = &schema->columns[i];
        out.complement = 0; // a marker is never complemented: nulls stand where the schema says
        if (values[i].is_null) {
            if (!column->nullable)
                return value_fail(err, CST_SCHEMA_MISMATCH, i,
                                  "null, and the column is not nullable");
            put(&out, column->nulls_last ? CSTI_KEY_NULL_LAST : CSTI_KEY_NULL_FIRST);
            continue;
        }
        if (column->nullable) put(&out, CSTI_KEY_VALUE);
        out.complement = column->descending ? 0xff : 0;
        const cst_code code = put_value(&out, column, &values[i], i, err);
        if (code != CST_OK) return code;
    }
    if (out.count > capacity)
        return cst_fail(err, CST_LIMIT, "key encode failed: %zu bytes, room for %zu", out.count,
                        capacity);
    *key_bytes_out = (uint32_t)out.count;
    return CST_OK;
}

// ---- decode ---------------------------------------------------------------------------------

typedef struct key_reader {
    const uint8_t *bytes;
    size_t count;
    size_t at;
    uint8_t complement;
    uint32_t column;
    uint8_t *scratch; // where the next decoded byte goes
    cst_err *err;
} key_reader;

static cst_code corrupt(const key_reader *in, size_t offset, const char *why) {
    return cst_fail(in->err, CST_KEY_CORRUPT, "key decode failed: column %u: offset %zu: %s",
                    in->column, offset, why);
}

static uint8_t peek(const key_reader *in, size_t ahead) {
    return in->bytes[in->at + ahead] ^ in->complement;
}

static cst_code get_big_endian(key_reader *in, uint32_t bytes, cst_u128 *out) {
    cst_u128 number = 0;

    if (in->count - in->at < bytes) return corrupt(in, in->count, "the key ends inside a value");
    for (uint32_t i = 0; i < bytes; i++) number = number << 8 | peek(in, i);
    in->at += bytes;
    *out = number;
    return CST_OK;
}

static cst_code get_signed(key_reader *in, uint32_t bytes, cst_i128 *out) {
    cst_u128 number = 0;
    const cst_code code = get_big_endian(in, bytes, &number);

    if (code == CST_OK) *out = (cst_i128)(number - ((cst_u128)1 << (8 * bytes - 1)));
    return code;
}

static cst_code get_f64(key_reader *in, double *out) {
    cst_u128 number = 0;
    const size_t start = in->at;
    const cst_code code = get_big_endian(in, 8, &number);
    uint64_t bits = (uint64_t)number;

    if (code != CST_OK) return code;
    bits = bits & CSTI_F64_SIGN ? bits & ~CSTI_F64_SIGN : ~bits;
    if (bits == CSTI_F64_SIGN) return corrupt(in, start, "-0.0 is not canonical");
    if ((bits & ~CSTI_F64_SIGN) > CSTI_F64_INFINITY && bits != CSTI_F64_NAN)
        return corrupt(in, start, "this NaN is not canonical");
    memcpy(out, &bits, sizeof *out);
    return CST_OK;
}

static cst_code get_f32(key_reader *in, double *out) {
    cst_u128 number = 0;
    const size_t start = in->at;
    const cst_code code = get_big_endian(in, 4, &number);
    uint32_t bits = (uint32_t)number;
    float single;

    if (code != CST_OK) return code;
    bits = bits & CSTI_F32_SIGN ? bits & ~CSTI_F32_SIGN : ~bits;
    if (bits == CSTI_F32_SIGN) return corrupt(in, start, "-0.0 is not canonical");
    if ((bits & ~CSTI_F32_SIGN) > CSTI_F32_INFINITY && bits != CSTI_F32_NAN)
        return corrupt(in, start, "this NaN is not canonical");
    memcpy(&single, &bits, sizeof single);
    *out = (double)single;
    return CST_OK;
}

static cst_code get_fixed(key_reader *in, uint32_t bytes, cst_value *out) {
    if (in->count - in->at < bytes) return corrupt(in, in->count, "the key ends inside a value");
    for (uint32_t i = 0; i < bytes; i++) in->scratch[i] = peek(in, i);
    *out = (cst_value){.bytes = in->scratch, .bytes_count = bytes};
    in->scratch += bytes;
    in->at += bytes;
    return CST_OK;
}

static cst_code get_variable(key_reader *in, cst_type type, cst_value *out) {
    const size_t start = in->at;
    uint32_t bytes = 0;

    for (;;) {
        if (in->at == in->count) return corrupt(in, in->at, "the key ends inside a value");
        const uint8_t byte = peek(in, 0);
        if (byte == CSTI_KEY_ESCAPE) {
            if (in->count - in->at < CSTI_KEY_END_BYTES)
                return corrupt(in, in->at, "the key ends inside an escape");
            const uint8_t second = peek(in, 1);
            if (second != CSTI_KEY_END && second != CSTI_KEY_ZERO)
                return corrupt(in, in->at, "00 is followed by neither 01 nor FF");
            in->at += CSTI_KEY_END_BYTES;
            if (second == CSTI_KEY_END) break;
        } else {
            in->at++;
        }
        if (bytes == CST_VARIABLE_BYTES_MAX) return corrupt(in, start, "the value is too long");
        in->scratch[bytes++] = byte;
    }
    if (type == CST_TYPE_STRING && csti_utf8_error_at(in->scratch, bytes) < bytes)
        return corrupt(in, start, "the value is not UTF-8");
    *out = (cst_value){.bytes = in->scratch, .bytes_count = bytes};
    in->scratch += bytes;
    return CST_OK;
}

static cst_code get_value(key_reader *in, const cst_column *column, cst_value *out) {
    const uint32_t bytes = cst_column_value_bytes(column);
    const size_t start = in->at;
    cst_code code;

    switch (column->type) {
    case CST_TYPE_F64:
        return get_f64(in, &out->f64);
    case CST_TYPE_F32:
        return get_f32(in, &out->f64);
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
        return get_fixed(in, bytes, out);
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        return get_variable(in, column->type, out);
    default:
        if (bytes == 0) return corrupt(in, start, "the schema's type is unknown");
        code = csti_type_is_signed(column->type) ? get_signed(in, bytes, &out->i128)
                                                 : get_big_endian(in, bytes, &out->u128);
    }
    if (code != CST_OK) return code;
    if (column->type == CST_TYPE_BOOL && out->u128 > 1)
        return corrupt(in, start, "a bool is 0 or 1");
    if (column->type == CST_TYPE_DECIMAL128 &&
        (out->i128 >= csti_decimal_bound() || out->i128 <= -csti_decimal_bound()))
        return corrupt(in, start, "more than 38 digits");
    return CST_OK;
}

static cst_code get_marker(key_reader *in, const cst_column *column, bool *is_null_out) {
    const uint8_t null_marker = column->nulls_last ? CSTI_KEY_NULL_LAST : CSTI_KEY_NULL_FIRST;

    if (in->at == in->count) return corrupt(in, in->at, "the key ends before a marker");
    if (in->bytes[in->at] != null_marker && in->bytes[in->at] != CSTI_KEY_VALUE)
        return corrupt(in, in->at, "neither the value's nor the null's marker");
    *is_null_out = in->bytes[in->at] == null_marker;
    in->at++;
    return CST_OK;
}

cst_code cst_key_decode(const cst_schema *schema, const uint8_t *key, size_t key_bytes,
                        cst_value *values_out, uint8_t *scratch, cst_err *err) {
    key_reader in = {.bytes = key, .count = key_bytes, .scratch = scratch, .err = err};

    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const cst_column *column = &schema->columns[i];
        cst_code code = CST_OK;
        in.column = i;
        values_out[i] = (cst_value){.is_null = false};
        if (column->nullable) code = get_marker(&in, column, &values_out[i].is_null);
        if (code != CST_OK) return code;
        if (values_out[i].is_null) continue;
        in.complement = column->descending ? 0xff : 0;
        code = get_value(&in, column, &values_out[i]);
        if (code != CST_OK) return code;
    }
    if (in.at != key_bytes) return corrupt(&in, in.at, "bytes follow the last column");
    return CST_OK;
}
