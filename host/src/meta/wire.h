// wire.h: numbers and texts of the metadata's formats, little endian, read with every length looked
// at.
//
//   out: csti_wire_put_u32(&out, 7)          a failure sticks: one look at the end
//   in:  csti_wire_u32(&in)                  past the end: 0, and `why` says so
//   text: u16 length, then its bytes
//
// Promises   reading touches nothing outside of the bytes given.
// Thread     one. Ring 2.
#ifndef CST_META_WIRE_H
#define CST_META_WIRE_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "meta/machine.h"

typedef struct csti_wire_out {
    csti_buffer *buffer;
    cst_code code; // the first failure
    cst_err *err;
} csti_wire_out;

static inline void csti_wire_put(csti_wire_out *out, const void *bytes, size_t count) {
    if (out->code == CST_OK) out->code = csti_buffer_append(out->buffer, bytes, count, out->err);
}

static inline void csti_wire_put_u32(csti_wire_out *out, uint32_t value) {
    uint8_t bytes[4];

    csti_store_le32(bytes, value);
    csti_wire_put(out, bytes, sizeof bytes);
}

static inline void csti_wire_put_u64(csti_wire_out *out, uint64_t value) {
    uint8_t bytes[8];

    csti_store_le64(bytes, value);
    csti_wire_put(out, bytes, sizeof bytes);
}

// At most CSTI_META_TEXT_BYTES_MAX; NULL is a text of length 0.
static inline void csti_wire_put_text(csti_wire_out *out, const char *text) {
    const size_t count = text ? strlen(text) : 0;
    uint8_t bytes[2];

    csti_store_le16(bytes, (uint16_t)count);
    csti_wire_put(out, bytes, sizeof bytes);
    if (count > 0) csti_wire_put(out, text, count);
}

typedef struct csti_wire_in {
    const uint8_t *bytes;
    size_t count, at;
    const char *why; // the first thing that is wrong; NULL: nothing
} csti_wire_in;

// The next `count` bytes; NULL past the end.
static inline const uint8_t *csti_wire_take(csti_wire_in *in, size_t count) {
    const uint8_t *taken = in->bytes + in->at;

    if (!in->why && count > in->count - in->at) in->why = "it ends early";
    if (in->why) return NULL;
    in->at += count;
    return taken;
}

static inline uint32_t csti_wire_u32(csti_wire_in *in) {
    const uint8_t *bytes = csti_wire_take(in, 4);
    return bytes ? csti_load_le32(bytes) : 0;
}

static inline uint64_t csti_wire_u64(csti_wire_in *in) {
    const uint8_t *bytes = csti_wire_take(in, 8);
    return bytes ? csti_load_le64(bytes) : 0;
}

static inline int64_t csti_wire_i64(csti_wire_in *in) {
    return (int64_t)csti_wire_u64(in);
}

// How many items of at least `item_bytes` follow, at most `count_max`; else 0, and `why`.
static inline uint32_t csti_wire_count(csti_wire_in *in, uint32_t count_max) {
    const uint32_t count = csti_wire_u32(in);

    if (!in->why && count > count_max) in->why = "a count above its limit";
    return in->why ? 0 : count;
}

// Text that is allowed: no control characters, so that errors can print it.
static inline bool csti_wire_text_is_good(const char *text, size_t count) {
    if (count > CSTI_META_TEXT_BYTES_MAX) return false;
    for (size_t i = 0; i < count; i++)
        if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f) return false;
    return true;
}

// The bytes of a text, not ended by a zero; NULL: cut or not allowed.
static inline const char *csti_wire_text(csti_wire_in *in, size_t *count_out) {
    const uint8_t *head = csti_wire_take(in, 2);
    const size_t count = head ? csti_load_le16(head) : 0;
    const char *text = (const char *)csti_wire_take(in, count);

    if (text && !csti_wire_text_is_good(text, count)) in->why = "a text that is not allowed";
    *count_out = in->why ? 0 : count;
    return in->why ? NULL : text;
}

#endif
