#include "table/program.h"

#include <assert.h>
#include <math.h>

static const uint64_t NAN_BITS = UINT64_C(0x7ff8000000000000);

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

// 10^38: decimals have at most 38 digits.
static int128 decimal_bound(void) {
    return (int128)UINT64_C(10000000000000000000) * (int128)UINT64_C(10000000000000000000);
}

static bool decimal_in_range(int128 units) {
    return units < decimal_bound() && units > -decimal_bound();
}

static double canonical(double value) {
    if (isnan(value)) {
        memcpy(&value, &NAN_BITS, sizeof value);
        return value;
    }
    return value + 0.0; // -0.0 becomes +0.0
}

static bool double_less(double a, double b) {
    if (isnan(a)) return false;
    return isnan(b) || a < b;
}

// Source buffers need no alignment.
#define LOAD(TYPE)                                                                                 \
    __extension__({                                                                                \
        TYPE loaded;                                                                               \
        memcpy(&loaded, (const uint8_t *)source->values + (size_t)row * sizeof loaded,             \
               sizeof loaded);                                                                     \
        loaded;                                                                                    \
    })

static uint64_t load_unsigned(const cst_source *source, uint32_t row) {
    switch (source->type) {
    case CST_TYPE_U8:
    case CST_TYPE_BOOL:
        return LOAD(uint8_t);
    case CST_TYPE_U16:
        return LOAD(uint16_t);
    case CST_TYPE_U32:
        return LOAD(uint32_t);
    default:
        return LOAD(uint64_t);
    }
}

static int64_t load_signed(const cst_source *source, uint32_t row) {
    switch (source->type) {
    case CST_TYPE_I8:
        return LOAD(int8_t);
    case CST_TYPE_I16:
        return LOAD(int16_t);
    case CST_TYPE_I32:
    case CST_TYPE_DATE:
        return LOAD(int32_t);
    default:
        return LOAD(int64_t);
    }
}

static double load_double(const cst_source *source, uint32_t row) {
    if (source->type == CST_TYPE_F32) return (double)LOAD(float);
    return LOAD(double);
}

static int128 load_decimal(const cst_source *source, uint32_t row) {
    return LOAD(int128);
}

static cst_code fold_u64(cst_accumulate op, bool seen, uint64_t source, uint8_t *at) {
    uint64_t value;

    memcpy(&value, at, sizeof value);
    if (!seen || op == CST_LAST)
        value = source;
    else if (op == CST_SUM && __builtin_add_overflow(value, source, &value))
        return CST_SUM_OVERFLOW;
    else if (op == CST_MIN)
        value = source < value ? source : value;
    else if (op == CST_MAX)
        value = source > value ? source : value;
    memcpy(at, &value, sizeof value);
    return CST_OK;
}

static cst_code fold_i64(cst_accumulate op, bool seen, int64_t source, uint8_t *at) {
    int64_t value;

    memcpy(&value, at, sizeof value);
    if (!seen || op == CST_LAST)
        value = source;
    else if (op == CST_SUM && __builtin_add_overflow(value, source, &value))
        return CST_SUM_OVERFLOW;
    else if (op == CST_MIN)
        value = source < value ? source : value;
    else if (op == CST_MAX)
        value = source > value ? source : value;
    memcpy(at, &value, sizeof value);
    return CST_OK;
}

static cst_code fold_f64(cst_accumulate op, bool seen, double source, uint8_t *at) {
    double value;

    memcpy(&value, at, sizeof value);
    source = canonical(source);
    if (!seen || op == CST_LAST)
        value = source;
    else if (op == CST_SUM)
        value = canonical(value + source);
    else if (op == CST_MIN)
        value = double_less(source, value) ? source : value;
    else if (op == CST_MAX)
        value = double_less(value, source) ? source : value;
    memcpy(at, &value, sizeof value);
    return CST_OK;
}

static cst_code fold_decimal(cst_accumulate op, bool seen, int128 source, uint8_t *at) {
    int128 value;

    memcpy(&value, at, sizeof value);
    if (!decimal_in_range(source)) return CST_SUM_OVERFLOW;
    if (!seen || op == CST_LAST)
        value = source;
    else if (op == CST_SUM && __builtin_add_overflow(value, source, &value))
        return CST_SUM_OVERFLOW; // twice 10^38 is above 2^127
    else if (op == CST_MIN)
        value = source < value ? source : value;
    else if (op == CST_MAX)
        value = source > value ? source : value;
    if (!decimal_in_range(value)) return CST_SUM_OVERFLOW;
    memcpy(at, &value, sizeof value);
    return CST_OK;
}

static cst_code fold_one(const cst_accumulator *accumulator, const cst_source *source, uint32_t row,
                         bool seen, uint8_t *at) {
    const cst_accumulate op = (cst_accumulate)accumulator->op;

    if (op == CST_COUNT) return fold_u64(CST_SUM, seen, 1, at);
    switch (accumulator->number) {
    case CST_U64:
        return fold_u64(op, seen, load_unsigned(source, row), at);
    case CST_I64:
        return fold_i64(op, seen, load_signed(source, row), at);
    case CST_F64:
        return fold_f64(op, seen, load_double(source, row), at);
    default:
        return fold_decimal(op, seen, load_decimal(source, row), at);
    }
}

static bool source_is_null(const cst_source *source, uint32_t row) {
    return source->validity && !(source->validity[row / 8] >> row % 8 & 1);
}

bool csti_program_operand(const cst_accumulator *accumulator, const cst_source *source,
                          uint32_t row, uint64_t *words_out) {
    int128 units;
    double number;

    memset(words_out, 0, 8 * csti_program_words(accumulator));
    if (source_is_null(source, row)) return false;
    if (accumulator->op == CST_COUNT) return true;
    switch (accumulator->number) {
    case CST_U64:
        *words_out = load_unsigned(source, row);
        break;
    case CST_I64:
        *words_out = (uint64_t)load_signed(source, row);
        break;
    case CST_F64:
        number = load_double(source, row);
        memcpy(words_out, &number, sizeof number);
        break;
    default:
        units = load_decimal(source, row);
        memcpy(words_out, &units, sizeof units); // the low bytes come first
        break;
    }
    return true;
}

// A u64 of a column without nulls is what most accumulators fold: 35 instructions, not 59.
static bool is_plain(const cst_accumulator *accumulator, const cst_source *source) {
    if (!source) return true; // a count of rows
    return accumulator->number == CST_U64 && source->type == CST_TYPE_U64 && !source->validity;
}

static cst_code fold_plain(const cst_accumulator *accumulator, const cst_source *source,
                           uint32_t row, bool fresh, uint8_t *value) {
    uint8_t *at = value + accumulator->value_offset;
    uint64_t now, more = 1;

    if (accumulator->op != CST_COUNT) {
        if (!source) __builtin_unreachable(); // as in fold_from
        more = LOAD(uint64_t);
    }
    memcpy(&now, at, sizeof now);
    switch ((cst_accumulate)accumulator->op) { // a fresh value is 0
    case CST_COUNT:
    case CST_SUM:
        if (__builtin_add_overflow(now, more, &more)) return CST_SUM_OVERFLOW;
        break;
    case CST_MIN:
        more = fresh || more < now ? more : now;
        break;
    case CST_MAX:
        more = more > now ? more : now;
        break;
    case CST_LAST:
        break;
    }
    memcpy(at, &more, sizeof more);
    return CST_OK;
}

// From accumulator `first` on. Not inlined: it needs all registers, and most rows have none of it.
__attribute__((noinline)) static cst_code fold_from(const cst_program *program,
                                                    const cst_rows *rows, uint32_t row, bool fresh,
                                                    uint8_t *value, uint32_t first) {
    const bool has_presence = program->presence_offset != CST_NO_OFFSET;
    uint64_t presence = 0;

    if (has_presence) memcpy(&presence, value + program->presence_offset, sizeof presence);
    for (uint32_t i = first; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];
        const cst_source *source =
            accumulator->source == CST_NO_COLUMN ? NULL : &rows->sources[accumulator->source];
        const bool seen = has_presence ? presence >> i & 1 : !fresh;

        // Ring 0: said, not checked. Opening the table refused any other op without a source.
        if (!source && accumulator->op != CST_COUNT) __builtin_unreachable();
        if (source && source_is_null(source, row)) continue;
        const cst_code code =
            fold_one(accumulator, source, row, seen, value + accumulator->value_offset);
        if (code != CST_OK) return code;
        presence |= UINT64_C(1) << i;
    }
    if (has_presence) memcpy(value + program->presence_offset, &presence, sizeof presence);
    return CST_OK;
}

cst_code csti_program_fold(const cst_program *program, const cst_rows *rows, uint32_t row,
                           bool fresh, uint8_t *value) {
    const uint32_t count = program->accumulators_count;

    if (program->presence_offset != CST_NO_OFFSET)
        return fold_from(program, rows, row, fresh, value, 0);
    for (uint32_t i = 0; i < count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];
        const cst_source *source =
            accumulator->source == CST_NO_COLUMN ? NULL : &rows->sources[accumulator->source];

        if (!is_plain(accumulator, source)) return fold_from(program, rows, row, fresh, value, i);
        const cst_code code = fold_plain(accumulator, source, row, fresh, value);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

void csti_program_fold_each(const cst_program *program, const cst_rows *rows, uint32_t row,
                            bool fresh, uint64_t *left_out, uint8_t *value) {
    const bool has_presence = program->presence_offset != CST_NO_OFFSET;
    uint64_t presence = 0;

    if (has_presence) memcpy(&presence, value + program->presence_offset, sizeof presence);
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];
        const cst_source *source =
            accumulator->source == CST_NO_COLUMN ? NULL : &rows->sources[accumulator->source];
        const bool seen = has_presence ? presence >> i & 1 : !fresh;
        const uint64_t bit = UINT64_C(1) << i;

        if (!source && accumulator->op != CST_COUNT) __builtin_unreachable(); // as above
        if (*left_out & bit || (source && source_is_null(source, row))) continue;
        if (fold_one(accumulator, source, row, seen, value + accumulator->value_offset) == CST_OK)
            presence |= bit;
        else
            *left_out |= bit;
    }
    if (has_presence) memcpy(value + program->presence_offset, &presence, sizeof presence);
}

// An accumulator's value as a source of its own number: what was folded folds again.
static cst_source source_of_value(const cst_accumulator *accumulator, const uint8_t *value) {
    static const cst_type types[] = {[CST_U64] = CST_TYPE_U64,
                                     [CST_I64] = CST_TYPE_I64,
                                     [CST_F64] = CST_TYPE_F64,
                                     [CST_DECIMAL128] = CST_TYPE_DECIMAL128};

    return (cst_source){.values = value + accumulator->value_offset,
                        .type = types[accumulator->number]};
}

cst_code csti_program_merge(const cst_program *program, const uint8_t *from, uint8_t *value) {
    const bool has_presence = program->presence_offset != CST_NO_OFFSET;
    uint64_t seen = UINT64_MAX, more = UINT64_MAX;

    if (has_presence) {
        memcpy(&seen, value + program->presence_offset, sizeof seen);
        memcpy(&more, from + program->presence_offset, sizeof more);
    }
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];
        const cst_source source = source_of_value(accumulator, from);
        uint8_t *at = value + accumulator->value_offset;
        cst_code code;

        assert(accumulator->op != CST_LAST);
        if (!(more >> i & 1)) continue;
        code = accumulator->op == CST_COUNT ? fold_u64(CST_SUM, true, load_unsigned(&source, 0), at)
                                            : fold_one(accumulator, &source, 0, seen >> i & 1, at);
        if (code != CST_OK) return code;
    }
    seen |= more;
    if (has_presence) memcpy(value + program->presence_offset, &seen, sizeof seen);
    return CST_OK;
}

static bool number_takes(cst_number number, cst_type type) {
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

bool csti_program_takes(const cst_program *program, const cst_rows *rows) {
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];

        if (accumulator->op == CST_COUNT) continue; // looks at nulls only
        if (!number_takes((cst_number)accumulator->number, rows->sources[accumulator->source].type))
            return false;
    }
    return true;
}

static cst_code check_accumulator(const cst_program *program, uint32_t index, uint8_t *taken,
                                  cst_err *err) {
    const cst_accumulator *accumulator = &program->accumulators[index];
    const uint32_t bytes = 8 * csti_program_words(accumulator);

    if (accumulator->op < CST_COUNT || accumulator->op > CST_LAST)
        return cst_fail(err, CST_USAGE, "accumulator %u: op %u is none", index, accumulator->op);
    if (accumulator->number < CST_U64 || accumulator->number > CST_DECIMAL128)
        return cst_fail(err, CST_USAGE, "accumulator %u: number %u is none", index,
                        accumulator->number);
    if (accumulator->op == CST_COUNT && accumulator->number != CST_U64)
        return cst_fail(err, CST_USAGE, "accumulator %u: a count is a u64", index);
    if (accumulator->op != CST_COUNT && accumulator->source == CST_NO_COLUMN)
        return cst_fail(err, CST_USAGE, "accumulator %u: needs a source", index);
    if (accumulator->source != CST_NO_COLUMN && accumulator->source >= CST_COLUMNS_MAX)
        return cst_fail(err, CST_USAGE, "accumulator %u: source %u is above %u", index,
                        accumulator->source, CST_COLUMNS_MAX - 1);
    if (accumulator->reserved != 0)
        return cst_fail(err, CST_USAGE, "accumulator %u: reserved is not 0", index);
    if (accumulator->value_offset % 8 != 0 ||
        accumulator->value_offset + bytes > program->value_bytes)
        return cst_fail(err, CST_USAGE, "accumulator %u: value offset %u", index,
                        accumulator->value_offset);
    for (uint32_t byte = 0; byte < bytes; byte++)
        if (taken[accumulator->value_offset + byte]++ != 0)
            return cst_fail(err, CST_USAGE, "accumulator %u overlaps another", index);
    return CST_OK;
}

cst_code csti_program_check(const cst_program *program, cst_err *err) {
    uint8_t taken[CST_INLINE_ENTRY_BYTES_MAX] = {0};

    if (program->value_bytes > CST_INLINE_ENTRY_BYTES_MAX - 16)
        return cst_fail(err, CST_USAGE, "value of %u bytes does not fit a slot",
                        program->value_bytes);
    if (program->accumulators_count > CST_ACCUMULATORS_MAX)
        return cst_fail(err, CST_USAGE, "%u accumulators, at most %u", program->accumulators_count,
                        CST_ACCUMULATORS_MAX);
    if (program->reserved[0] | program->reserved[1] | program->reserved[2])
        return cst_fail(err, CST_USAGE, "program: reserved is not 0");
    if (program->presence_offset != CST_NO_OFFSET) {
        if (program->presence_offset % 8 || program->presence_offset + 8u > program->value_bytes)
            return cst_fail(err, CST_USAGE, "presence offset %u", program->presence_offset);
        memset(taken + program->presence_offset, 1, 8);
    }
    if (program->ttl_us != CST_TTL_NONE &&
        (program->time_offset % 8 || program->time_offset + 8u > program->value_bytes))
        return cst_fail(err, CST_USAGE, "time offset %u", program->time_offset);
    if (program->ttl_us > INT64_MAX) return cst_fail(err, CST_USAGE, "a TTL above 2^63");
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_code code = check_accumulator(program, i, taken, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}
