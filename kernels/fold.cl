// fold.cl: what an upsert makes of a value. docs/formats.md, New value; table/program.c on the
// host.

enum { COUNT = 1, SUM = 2, MIN = 3, MAX = 4, LAST = 5 };                // cst_accumulate
enum { U64 = 1, I64 = 2, F64 = 3, DECIMAL128 = 4 };                     // cst_number
enum { CODE_KEY_TOO_LONG = 0, CODE_TABLE_FULL = 1, CODE_OVERFLOW = 2 }; // of pass->codes
enum { VALUE_WORDS_MAX = 62 };
#define DECIMAL_HIGH 0x4b3b4ca85a86c47aUL // 10^38
#define DECIMAL_LOW 0x098a224000000000UL

// Of an f32 the f64, by its bits: a device may flush small floats.
static ulong widen_f32(uint bits) {
    const ulong sign = (ulong)(bits >> 31) << 63;
    uint exponent = bits >> 23 & 0xff;
    ulong fraction = (ulong)(bits & 0x7fffff) << 29;

    if (exponent == 0xff) return sign | F64_INFINITY | fraction;
    if (exponent == 0) {
        const uint shift = fraction == 0 ? 0 : (uint)clz(fraction) - 11;

        if (fraction == 0) return sign;
        return sign | (ulong)(897 - shift) << 52 | (fraction << shift & 0xfffffffffffffUL);
    }
    return sign | (ulong)(exponent + 896) << 52 | fraction;
}

// A decimal128's words, low first; of other numbers the first alone.
typedef struct number {
    ulong low, high;
} number;

static number load_source(__global const ocl_source *source, __global const uchar *input,
                          uint row) {
    __global const uchar *values = input + source->values;
    number loaded = {0, 0};

    switch (source->kind) {
    case OCL_U8:
        loaded.low = values[row];
        break;
    case OCL_U16:
        loaded.low = ((__global const ushort *)values)[row];
        break;
    case OCL_U32:
        loaded.low = ((__global const uint *)values)[row];
        break;
    case OCL_I8:
        loaded.low = (ulong)(long)((__global const char *)values)[row];
        break;
    case OCL_I16:
        loaded.low = (ulong)(long)((__global const short *)values)[row];
        break;
    case OCL_I32:
        loaded.low = (ulong)(long)((__global const int *)values)[row];
        break;
    case OCL_F32:
        loaded.low = widen_f32(((__global const uint *)values)[row]);
        break;
    case OCL_DECIMAL:
        loaded.low = ((__global const ulong *)values)[row * 2];
        loaded.high = ((__global const ulong *)values)[row * 2 + 1];
        break;
    default: // U64, I64, F64
        loaded.low = ((__global const ulong *)values)[row];
        break;
    }
    return loaded;
}

static bool decimal_less(number a, number b) {
    return a.high == b.high ? a.low < b.low : (long)a.high < (long)b.high;
}

static bool decimal_in_range(number units) {
    const number bound = {DECIMAL_LOW, DECIMAL_HIGH};
    const number negative = {-DECIMAL_LOW, ~DECIMAL_HIGH}; // DECIMAL_LOW is not 0

    return decimal_less(units, bound) && decimal_less(negative, units);
}

// Each gives the new value of one accumulator; false: it would overflow.
static bool fold_u64(uint op, ulong more, ulong *value) {
    const ulong now = *value;

    if (op == SUM) {
        *value = now + more;
        return *value >= now;
    }
    *value = op == MIN ? min(now, more) : max(now, more);
    return true;
}

static bool fold_i64(uint op, ulong more, ulong *value) {
    const ulong now = *value;

    if (op == SUM) {
        *value = now + more;
        return ((now ^ *value) & (more ^ *value)) >> 63 == 0;
    }
    *value = (ulong)(op == MIN ? min((long)now, (long)more) : max((long)now, (long)more));
    return true;
}

static bool fold_f64(uint op, ulong more, ulong *value) {
    const ulong now = *value;

    if (op == SUM)
        *value = canonical_f64(as_ulong(as_double(now) + as_double(more)));
    else if (op == MIN)
        *value = order_f64(more) < order_f64(now) ? more : now;
    else
        *value = order_f64(now) < order_f64(more) ? more : now;
    return true;
}

static bool fold_decimal(uint op, number more, ulong *value) {
    const number now = {value[0], value[1]};
    number result = more;

    if (op == SUM) {
        result.low = now.low + more.low;
        result.high = now.high + more.high + (result.low < now.low);
        if (((now.high ^ result.high) & (more.high ^ result.high)) >> 63) return false;
    } else if (op == MIN ? !decimal_less(more, now) : !decimal_less(now, more)) {
        result = now;
    }
    value[0] = result.low;
    value[1] = result.high;
    return decimal_in_range(result);
}

static bool fold_one(__global const ocl_accumulator *accumulator, number more, bool seen,
                     ulong *value) {
    const uint op = accumulator->op;

    if (op == COUNT) {
        if (seen) return fold_u64(SUM, 1, value);
        *value = 1;
        return true;
    }
    if (accumulator->number == DECIMAL128) {
        if (!decimal_in_range(more)) return false;
        if (seen && op != LAST) return fold_decimal(op, more, value);
        value[0] = more.low;
        value[1] = more.high;
        return true;
    }
    if (accumulator->number == F64) more.low = canonical_f64(more.low);
    if (!seen || op == LAST) {
        *value = more.low;
        return true;
    }
    if (accumulator->number == U64) return fold_u64(op, more.low, value);
    if (accumulator->number == I64) return fold_i64(op, more.low, value);
    return fold_f64(op, more.low, value);
}

// Folds the row into `value`; false: an accumulator would overflow, and `value` is undefined.
static bool fold(__global const uchar *input, uint row, bool fresh, ulong *value) {
    __global const ocl_pass *pass = PASS;
    const bool has_presence = pass->presence_word != OCL_NONE;
    ulong presence = has_presence ? value[pass->presence_word] : fresh ? 0 : ~0UL;

    for (uint i = 0; i < pass->accumulators_count; i++) {
        __global const ocl_accumulator *accumulator = &pass->accumulators[i];
        number more = {1, 0};

        if (accumulator->source != OCL_NONE) {
            __global const ocl_source *source = &pass->sources[accumulator->source];

            if (source->validity != OCL_NONE && !bit_of(input + source->validity, row)) continue;
            if (accumulator->op != COUNT) more = load_source(source, input, row);
        }
        if (!fold_one(accumulator, more, presence >> i & 1, value + accumulator->word))
            return false;
        if (has_presence) presence |= 1UL << i;
    }
    if (has_presence) value[pass->presence_word] = presence;
    return true;
}

// The same where pass->plain says so: without a copy of the value. Only sums and
// counts can overflow.
static bool fold_plain(__global const uchar *input, uint row, bool fresh,
                       __global const ulong *value, ulong *next) {
    __global const ocl_pass *pass = PASS;
    bool fits = true;

    for (uint i = 0; i < pass->accumulators_count; i++) {
        __global const ocl_accumulator *accumulator = &pass->accumulators[i];
        const uint op = accumulator->op;
        const ulong now = fresh ? (op == MIN ? ~0UL : 0) : value[accumulator->word];
        ulong more = 1;

        if (op != COUNT)
            more =
                ((__global const ulong *)(input + pass->sources[accumulator->source].values))[row];
        if (op <= SUM) {
            more += now;
            fits = fits && more >= now;
        } else if (op == MIN) {
            more = min(now, more);
        } else if (op == MAX) {
            more = max(now, more);
        }
        next[i] = more;
    }
    return fits;
}

static void plain_put(__global const uchar *input, const ulong *next, __global ulong *value) {
    __global const ocl_pass *pass = PASS;

    for (uint i = 0; i < pass->accumulators_count; i++) value[pass->accumulators[i].word] = next[i];
}
