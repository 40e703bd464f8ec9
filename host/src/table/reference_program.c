#include "table/reference_parts.h"

#include <assert.h>
#include <constellation/keys.h>
#include <string.h>

#define DECIMAL_UNITS_BELOW                                                                        \
    ((cst_i128)UINT64_C(10000000000000000000) * UINT64_C(10000000000000000000))
#define NAN_BITS UINT64_C(0x7ff8000000000000)

// ---- Numbers ------------------------------------------------------------------------------------

static uint64_t read_u64(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static double read_f64(const uint8_t *from) {
    double value;
    memcpy(&value, from, sizeof value);
    return value;
}

static cst_i128 read_i128(const uint8_t *from) {
    cst_i128 value;
    memcpy(&value, from, sizeof value);
    return value;
}

// An accumulator's integer, as it lies in the value.
static cst_i128 integer_read(cst_number number, const uint8_t *from) {
    if (number == CST_U64) return read_u64(from);
    if (number == CST_I64) return (int64_t)read_u64(from);
    return read_i128(from);
}

static void integer_write(cst_number number, cst_i128 value, uint8_t *to) {
    memcpy(to, &value, number == CST_DECIMAL128 ? 16 : 8); // the low bytes come first
}

static bool integer_in_range(cst_number number, cst_i128 value) {
    if (number == CST_U64) return value >= 0 && value <= UINT64_MAX;
    if (number == CST_I64) return value >= INT64_MIN && value <= INT64_MAX;
    return value > -DECIMAL_UNITS_BELOW && value < DECIMAL_UNITS_BELOW;
}

// One zero, one NaN.
static double canonical(double value) {
    const uint64_t nan_bits = NAN_BITS;

    if (value != value) memcpy(&value, &nan_bits, sizeof value);
    if (value == 0) value = 0;
    return value;
}

// NaN is above everything.
static bool double_below(double a, double b) {
    if (a != a) return false;
    if (b != b) return true;
    return a < b;
}

// ---- Sources ------------------------------------------------------------------------------------

static bool source_fits(cst_number number, cst_type type) {
    switch (type) {
    case CST_TYPE_BOOL:
    case CST_TYPE_U8:
    case CST_TYPE_U16:
    case CST_TYPE_U32:
    case CST_TYPE_U64:
        return number == CST_U64;
    case CST_TYPE_I8:
    case CST_TYPE_I16:
    case CST_TYPE_I32:
    case CST_TYPE_I64:
    case CST_TYPE_DATE:
    case CST_TYPE_TIMESTAMP:
        return number == CST_I64;
    case CST_TYPE_F32:
    case CST_TYPE_F64:
        return number == CST_F64;
    case CST_TYPE_DECIMAL128:
        return number == CST_DECIMAL128;
    default:
        return false;
    }
}

static cst_i128 source_integer(const cst_source *source, uint32_t r) {
    switch (source->type) {
    case CST_TYPE_U8:
    case CST_TYPE_BOOL:
        return ((const uint8_t *)source->values)[r];
    case CST_TYPE_U16:
        return ((const uint16_t *)source->values)[r];
    case CST_TYPE_U32:
        return ((const uint32_t *)source->values)[r];
    case CST_TYPE_U64:
        return ((const uint64_t *)source->values)[r];
    case CST_TYPE_I8:
        return ((const int8_t *)source->values)[r];
    case CST_TYPE_I16:
        return ((const int16_t *)source->values)[r];
    case CST_TYPE_I32:
    case CST_TYPE_DATE:
        return ((const int32_t *)source->values)[r];
    case CST_TYPE_I64:
    case CST_TYPE_TIMESTAMP:
        return ((const int64_t *)source->values)[r];
    default:
        return read_i128((const uint8_t *)source->values + (size_t)r * 16);
    }
}

static double source_double(const cst_source *source, uint32_t r) {
    if (source->type == CST_TYPE_F32) return ((const float *)source->values)[r];
    return ((const double *)source->values)[r];
}

static bool source_is_null(const cst_source *source, uint32_t r) {
    return source->validity && (source->validity[r / 8] >> r % 8 & 1) == 0;
}

cst_code csti_reference_sources_check(const cst_program *program, const cst_rows *rows) {
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];

        if (accumulator->op == CST_COUNT) continue;
        if (!source_fits(accumulator->number, rows->sources[accumulator->source].type))
            return CST_USAGE;
    }
    return CST_OK;
}

// ---- Folding ------------------------------------------------------------------------------------

static cst_code fold_integer(const cst_accumulator *accumulator, bool seen, cst_i128 next,
                             uint8_t *at) {
    cst_i128 value = seen ? integer_read(accumulator->number, at) : 0;

    if (!integer_in_range(accumulator->number, next)) return CST_SUM_OVERFLOW;
    switch (accumulator->op) {
    case CST_COUNT:
        value += 1;
        break;
    case CST_SUM:
        if (__builtin_add_overflow(value, next, &value)) return CST_SUM_OVERFLOW;
        break;
    case CST_MIN:
        if (!seen || next < value) value = next;
        break;
    case CST_MAX:
        if (!seen || next > value) value = next;
        break;
    default: // CST_LAST
        value = next;
        break;
    }
    if (!integer_in_range(accumulator->number, value)) return CST_SUM_OVERFLOW;
    integer_write(accumulator->number, value, at);
    return CST_OK;
}

static void fold_double(const cst_accumulator *accumulator, bool seen, double next, uint8_t *at) {
    double value = read_f64(at);

    next = canonical(next);
    switch (accumulator->op) {
    case CST_SUM:
        value = seen ? value + next : next;
        break;
    case CST_MIN:
        if (!seen || double_below(next, value)) value = next;
        break;
    case CST_MAX:
        if (!seen || double_below(value, next)) value = next;
        break;
    default: // CST_LAST
        value = next;
        break;
    }
    value = canonical(value);
    memcpy(at, &value, sizeof value);
}

cst_code csti_reference_accumulate(const cst_program *program, const cst_rows *rows, uint32_t r,
                                   const uint8_t *old, uint8_t *value_out) {
    const bool has_presence = program->presence_offset != CST_NO_OFFSET;
    uint64_t presence = 0;

    if (old)
        memcpy(value_out, old, program->value_bytes);
    else
        memset(value_out, 0, program->value_bytes);
    if (has_presence) presence = read_u64(value_out + program->presence_offset);

    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];
        const bool has_source = accumulator->source != CST_NO_COLUMN;
        const cst_source *source = has_source ? &rows->sources[accumulator->source] : NULL;
        const bool seen = has_presence ? (presence >> i & 1) != 0 : old != NULL;
        uint8_t *at = value_out + accumulator->value_offset;

        assert(has_source || accumulator->op == CST_COUNT);
        if (has_source && source_is_null(source, r)) continue;
        if (accumulator->op == CST_COUNT) {
            if (fold_integer(accumulator, seen, 0, at) != CST_OK) return CST_SUM_OVERFLOW;
        } else if (accumulator->number == CST_F64) {
            fold_double(accumulator, seen, source_double(source, r), at);
        } else {
            if (fold_integer(accumulator, seen, source_integer(source, r), at) != CST_OK)
                return CST_SUM_OVERFLOW;
        }
        presence |= UINT64_C(1) << i;
    }
    if (has_presence) memcpy(value_out + program->presence_offset, &presence, sizeof presence);
    return CST_OK;
}
