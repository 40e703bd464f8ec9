// key_transform.h: what a fixed-width value becomes in a key, and the plan of a column.
//
//   value (little-endian)          key
//   integers   b0 b1 .. bn    ->   bn .. b1 b0, the first byte ^ head, the others ^ rest
//   f32, f64   canonical      ->   negative: all bits flipped; else the sign bit; then as above
//   bytes      b0 b1 .. bn    ->   b0 b1 .. bn, each ^ rest
//
// head holds the flip of the sign bit and, in a descending column, the complement; rest holds the
// complement alone. So one loop serves every type of a width.
//
// Thread     pure functions.
// Ring       0.
#ifndef CST_CODEC_KEY_TRANSFORM_H
#define CST_CODEC_KEY_TRANSFORM_H

#include <string.h>

#include "codec/types.h"

typedef enum csti_key_kind {
    CSTI_KEY_BYTES, // u8, i8, bool, uuid, fixed: copied, each byte ^ rest
    CSTI_KEY_SWAP2,
    CSTI_KEY_SWAP4,
    CSTI_KEY_SWAP8,
    CSTI_KEY_SWAP16,
    CSTI_KEY_F32,
    CSTI_KEY_F64,
    CSTI_KEY_VARIABLE, // string, binary: escaped
} csti_key_kind;

typedef struct csti_key_plan {
    csti_key_kind kind;
    uint32_t width; // bytes of a value; 0: variable
    uint8_t head;
    uint8_t rest;
    uint8_t null_marker;
    bool nullable;
} csti_key_plan;

static inline csti_key_plan csti_key_plan_of(const cst_column *column) {
    csti_key_plan plan = {
        .width = cst_column_value_bytes(column),
        .rest = column->descending ? 0xff : 0,
        .null_marker = column->nulls_last ? CSTI_KEY_NULL_LAST : CSTI_KEY_NULL_FIRST,
        .nullable = column->nullable,
    };

    plan.head = plan.rest ^ (csti_type_is_signed(column->type) ? 0x80 : 0);
    switch (column->type) {
    case CST_TYPE_F32:
        plan.kind = CSTI_KEY_F32;
        break;
    case CST_TYPE_F64:
        plan.kind = CSTI_KEY_F64;
        break;
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
        plan.kind = CSTI_KEY_BYTES;
        break;
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        plan.kind = CSTI_KEY_VARIABLE;
        break;
    default:
        switch (plan.width) {
        case 1:
            plan.kind = CSTI_KEY_BYTES;
            plan.rest = plan.head;
            break;
        case 2:
            plan.kind = CSTI_KEY_SWAP2;
            break;
        case 4:
            plan.kind = CSTI_KEY_SWAP4;
            break;
        case 8:
            plan.kind = CSTI_KEY_SWAP8;
            break;
        default:
            plan.kind = CSTI_KEY_SWAP16;
            break;
        }
    }
    return plan;
}

// Canonical, then ordered as an unsigned number.
static inline uint64_t csti_key_order_f64(uint64_t bits) {
    if ((bits & ~CSTI_F64_SIGN) > CSTI_F64_INFINITY) bits = CSTI_F64_NAN;
    if (bits == CSTI_F64_SIGN) bits = 0;
    return bits & CSTI_F64_SIGN ? ~bits : bits | CSTI_F64_SIGN;
}

static inline uint32_t csti_key_order_f32(uint32_t bits) {
    if ((bits & ~CSTI_F32_SIGN) > CSTI_F32_INFINITY) bits = CSTI_F32_NAN;
    if (bits == CSTI_F32_SIGN) bits = 0;
    return bits & CSTI_F32_SIGN ? ~bits : bits | CSTI_F32_SIGN;
}

static inline void csti_key_put4(uint32_t number, uint8_t head, uint8_t rest, uint8_t *key) {
    const uint32_t mask = (UINT32_C(0x01010101) * rest & ~UINT32_C(0xff)) | head;
    number = __builtin_bswap32(number) ^ mask;
    memcpy(key, &number, sizeof number);
}

static inline void csti_key_put8(uint64_t number, uint8_t head, uint8_t rest, uint8_t *key) {
    const uint64_t mask = (UINT64_C(0x0101010101010101) * rest & ~UINT64_C(0xff)) | head;
    number = __builtin_bswap64(number) ^ mask;
    memcpy(key, &number, sizeof number);
}

// One value of a fixed-width column. Reads and writes plan->width bytes.
static inline void csti_key_put(const csti_key_plan *plan, const uint8_t *value, uint8_t *key) {
    uint64_t number;
    uint32_t half;
    uint16_t quarter;

    switch (plan->kind) {
    case CSTI_KEY_BYTES:
        for (uint32_t i = 0; i < plan->width; i++) key[i] = value[i] ^ plan->rest;
        break;
    case CSTI_KEY_SWAP2:
        memcpy(&quarter, value, sizeof quarter);
        key[0] = (uint8_t)(quarter >> 8) ^ plan->head;
        key[1] = (uint8_t)quarter ^ plan->rest;
        break;
    case CSTI_KEY_SWAP4:
    case CSTI_KEY_F32:
        memcpy(&half, value, sizeof half);
        csti_key_put4(plan->kind == CSTI_KEY_F32 ? csti_key_order_f32(half) : half, plan->head,
                      plan->rest, key);
        break;
    case CSTI_KEY_SWAP8:
    case CSTI_KEY_F64:
        memcpy(&number, value, sizeof number);
        csti_key_put8(plan->kind == CSTI_KEY_F64 ? csti_key_order_f64(number) : number, plan->head,
                      plan->rest, key);
        break;
    case CSTI_KEY_SWAP16:
        memcpy(&number, value + 8, sizeof number);
        csti_key_put8(number, plan->head, plan->rest, key);
        memcpy(&number, value, sizeof number);
        csti_key_put8(number, plan->rest, plan->rest, key + 8);
        break;
    case CSTI_KEY_VARIABLE:
        break; // has an escape, not a transform
    }
}

#endif
