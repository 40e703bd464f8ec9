// keys.cl: rows to memcomparable keys, and keys to hashes. docs/formats.md, Keys and Hash.

#define ARGUMENTS                                                                                  \
    __global const uchar *restrict input, __global uchar *restrict work,                           \
        __global const uint *restrict directory, __global uchar *restrict index,                   \
        __global ulong *restrict slots, __global uchar *restrict log
#define PASS ((__global const ocl_pass *)input)

// A processor may be told what a work-item will need; elsewhere other work-items fill the time.
#ifdef OCL_PROCESSOR
#define PREFETCH(POINTER) __builtin_prefetch((const void *)(size_t)(POINTER))
#define PREFETCH_WRITE(POINTER) __builtin_prefetch((const void *)(size_t)(POINTER), 1)
#else
#define PREFETCH(POINTER)
#define PREFETCH_WRITE(POINTER)
#endif

// ---- Bytes --------------------------------------------------------------------------------------

static ulong load8(__global const uchar *bytes) {
    return as_ulong(vload8(0, bytes));
}

// Of `count` bytes the 8 from `at` on; what lies behind is 0.
static ulong load_word(__global const uchar *bytes, uint at, uint count) {
    const uint left = count - at;
    const ulong word = load8(bytes + at);

    return left >= 8 ? word : word & (((ulong)1 << (left * 8)) - 1);
}

static void store8(ulong word, __global uchar *bytes) {
    vstore8(as_uchar8(word), 0, bytes);
}

static ulong swap8(ulong word) {
    return as_ulong(as_uchar8(word).s76543210);
}

static bool bit_of(__global const uchar *bits, uint row) {
    return bits[row / 8] >> (row % 8) & 1;
}

// ---- Values -------------------------------------------------------------------------------------

#define F64_SIGN 0x8000000000000000UL
#define F64_INFINITY 0x7ff0000000000000UL
#define F64_NAN 0x7ff8000000000000UL

static ulong canonical_f64(ulong bits) {
    if ((bits & ~F64_SIGN) > F64_INFINITY) return F64_NAN;
    return bits == F64_SIGN ? 0 : bits;
}

static ulong order_f64(ulong bits) {
    bits = canonical_f64(bits);
    return bits & F64_SIGN ? ~bits : bits | F64_SIGN;
}

static uint order_f32(uint bits) {
    if ((bits & 0x7fffffffu) > 0x7f800000u) bits = 0x7fc00000u;
    if (bits == 0x80000000u) bits = 0;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static void put4(uint number, uint head, uint rest, __global uchar *key) {
    const uchar4 bytes = as_uchar4(number).s3210;

    vstore4(bytes ^ (uchar4)((uchar)head, (uchar)rest, (uchar)rest, (uchar)rest), 0, key);
}

static void put8(ulong number, uint head, uint rest, __global uchar *key) {
    const ulong mask = (0x0101010101010101UL * rest & ~0xffUL) | head;

    store8(swap8(number) ^ mask, key);
}

static void put_value(__global const ocl_column *column, __global const uchar *value,
                      __global uchar *key) {
    const uint head = column->head, rest = column->rest;

    switch (column->kind) {
    case OCL_KEY_BYTES:
        for (uint i = 0; i < column->width; i++) key[i] = value[i] ^ (uchar)rest;
        break;
    case OCL_KEY_SWAP2:
        key[0] = value[1] ^ (uchar)head;
        key[1] = value[0] ^ (uchar)rest;
        break;
    case OCL_KEY_SWAP4:
        put4(as_uint(vload4(0, value)), head, rest, key);
        break;
    case OCL_KEY_F32:
        put4(order_f32(as_uint(vload4(0, value))), head, rest, key);
        break;
    case OCL_KEY_SWAP8:
        put8(load8(value), head, rest, key);
        break;
    case OCL_KEY_F64:
        put8(order_f64(load8(value)), head, rest, key);
        break;
    case OCL_KEY_SWAP16:
        put8(load8(value + 8), head, rest, key);
        put8(load8(value), rest, rest, key + 8);
        break;
    }
}

// Returns the bytes written.
static uint put_variable(uchar complement, __global const uchar *value, uint count,
                         __global uchar *key) {
    const ulong ones = 0x0101010101010101UL;
    uint at = 0, used = 0;

    while (at < count) {
        const ulong word = load8(value + at);

        if (count - at >= 8 && ((word - ones) & ~word & (ones << 7)) == 0) {
            store8(word ^ ones * complement, key + used);
            used += 8;
            at += 8;
            continue;
        }
        key[used++] = value[at] ^ complement;
        if (value[at] == 0) key[used++] = 0xff ^ complement;
        at++;
    }
    key[used] = complement;
    key[used + 1] = 1 ^ complement;
    return used + 2;
}

static uint encode_row(__global const uchar *input, uint row, __global uchar *key) {
    __global const ocl_pass *pass = PASS;
    uint used = 0;

    for (uint c = 0; c < pass->columns_count; c++) {
        __global const ocl_column *column = &pass->columns[c];
        __global const uchar *values = input + column->values;
        const bool present = column->validity == OCL_NONE || bit_of(input + column->validity, row);

        if (column->nullable) key[used++] = present ? 1 : (uchar)column->null_marker;
        if (!present) continue;
        if (column->kind == OCL_KEY_VARIABLE) {
            __global const uint *offsets = (__global const uint *)(input + column->offsets);

            used += put_variable((uchar)column->rest, values + (offsets[row] - column->base),
                                 offsets[row + 1] - offsets[row], key + used);
        } else {
            put_value(column, values + row * column->width, key + used);
            used += column->width;
        }
    }
    return used;
}

// ---- Where a row's key is -----------------------------------------------------------------------

typedef struct row_key {
    __global const uchar *bytes;
    uint count;
} row_key;

// Keys of several lengths lie where they would if each were as long as it can be.
static uint loose_at(__global const uchar *input, uint row) {
    __global const ocl_pass *pass = PASS;
    uint at = row * pass->loose_base;

    for (uint c = 0; c < pass->columns_count; c++) {
        __global const ocl_column *column = &pass->columns[c];

        if (column->kind == OCL_KEY_VARIABLE)
            at += 2 * (((__global const uint *)(input + column->offsets))[row] - column->base);
    }
    return at;
}

static row_key key_of(__global const uchar *input, __global const uchar *work, uint row) {
    __global const ocl_pass *pass = PASS;
    row_key key = {input + pass->keys + row * pass->key_stride, pass->key_bytes};

    if (pass->keys_mode == OCL_KEYS_ENCODED) {
        key.bytes = work + pass->work_keys + row * pass->key_stride;
    } else if (pass->keys_mode == OCL_KEYS_OFFSETS) {
        __global const uint *offsets = (__global const uint *)(input + pass->key_offsets);

        key.bytes = input + (uint)(pass->keys + offsets[row]); // which may wrap: opencl_pack.c
        key.count = offsets[row + 1] - offsets[row];
    } else if (pass->keys_mode == OCL_KEYS_LOOSE) {
        key.bytes = work + pass->work_keys + loose_at(input, row);
        key.count = ((__global const uint *)(work + pass->work_lengths))[row];
    } else if (pass->keys_mode == OCL_KEYS_RECORDS) {
        key.count = ((__global const ushort *)(input + pass->keys + row * pass->key_stride))[4];
        key.bytes += 16;
    }
    return key;
}

// ---- SipHash-1-3 --------------------------------------------------------------------------------

static ulong4 sip_round(ulong4 v) {
    v.s0 += v.s1;
    v.s1 = rotate(v.s1, 13UL) ^ v.s0;
    v.s0 = rotate(v.s0, 32UL);
    v.s2 += v.s3;
    v.s3 = rotate(v.s3, 16UL) ^ v.s2;
    v.s0 += v.s3;
    v.s3 = rotate(v.s3, 21UL) ^ v.s0;
    v.s2 += v.s1;
    v.s1 = rotate(v.s1, 17UL) ^ v.s2;
    v.s2 = rotate(v.s2, 32UL);
    return v;
}

static ulong sip_hash(ulong k0, ulong k1, row_key key) {
    const uint whole = key.count & ~7u;
    ulong4 v = (ulong4)(k0 ^ 0x736f6d6570736575UL, k1 ^ 0x646f72616e646f6dUL,
                        k0 ^ 0x6c7967656e657261UL, k1 ^ 0x7465646279746573UL);
    ulong last = (ulong)key.count << 56;

    for (uint at = 0; at < whole; at += 8) {
        const ulong word = load8(key.bytes + at);

        v.s3 ^= word;
        v = sip_round(v);
        v.s0 ^= word;
    }
    if (whole < key.count) last |= load_word(key.bytes, whole, key.count);
    v.s3 ^= last;
    v = sip_round(v);
    v.s0 ^= last;
    v.s2 ^= 0xff;
    v = sip_round(sip_round(sip_round(v)));
    return v.s0 ^ v.s1 ^ v.s2 ^ v.s3;
}

// A work-item a row: its key, where keys are encoded, and its hash.
__kernel void keys(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint row = (uint)get_global_id(0);
    __global ulong *hashes = (__global ulong *)(work + pass->work_hashes);

    if (row >= pass->count) return;
    if (pass->keys_mode == OCL_KEYS_ENCODED) {
        encode_row(input, row, work + pass->work_keys + row * pass->key_stride);
    } else if (pass->keys_mode == OCL_KEYS_LOOSE) {
        const uint bytes = encode_row(input, row, work + pass->work_keys + loose_at(input, row));

        ((__global uint *)(work + pass->work_lengths))[row] = bytes;
    }
    if (pass->ops & OCL_HASH)
        hashes[row] = sip_hash(pass->k0, pass->k1, key_of(input, work, row));
    else if (pass->keys_mode == OCL_KEYS_RECORDS)
        hashes[row] = load8(input + pass->keys + row * pass->key_stride);
    else if (pass->hashes != OCL_NONE)
        hashes[row] = ((__global const ulong *)(input + pass->hashes))[row];
}
