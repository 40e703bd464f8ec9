#include "stream/source_offset.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *blank_skip(const char *at) {
    return at + strspn(at, " \t\r\n");
}

// Steps behind `wanted` and the blanks around it.
static bool byte_take(const char **at, char wanted) {
    *at = blank_skip(*at);
    if (**at != wanted) return false;
    *at = blank_skip(*at + 1);
    return true;
}

static bool number_take(const char **at, uint64_t *out) {
    uint64_t value = 0;
    const char *c = *at;

    for (; *c >= '0' && *c <= '9'; c++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(*c - '0'), &value)) return false;
    }
    if (c == *at) return false;
    *at = c;
    *out = value;
    return true;
}

// A quoted name; its number in `names`, or `count`.
static uint32_t name_take(const char **at, const char *const *names, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const size_t bytes = strlen(names[i]);

        if ((*at)[0] != '"' || strncmp(*at + 1, names[i], bytes) != 0) continue;
        if ((*at)[1 + bytes] != '"') continue;
        *at += bytes + 2;
        return i;
    }
    return count;
}

cst_code csti_offset_read(const char *text, const char *const *names, uint64_t *values_out,
                          uint32_t needed, uint32_t count, cst_err *err) {
    uint64_t values[CSTI_OFFSET_FIELDS_MAX];
    uint32_t seen = 0;
    bool more = true;
    const char *at = text;

    assert(needed >= 1 && needed <= count);
    assert(count <= CSTI_OFFSET_FIELDS_MAX);
    memcpy(values, values_out, count * sizeof *values);
    if (!byte_take(&at, '{')) return cst_fail(err, CST_PARSE, "offset '%.80s' is no object", text);
    for (uint32_t taken = 0; taken < count && more; taken++) {
        const uint32_t name = name_take(&at, names, count);

        if (name == count || seen >> name & 1)
            return cst_fail(err, CST_PARSE, "offset '%.80s': an unknown or repeated field", text);
        seen |= UINT32_C(1) << name;
        if (!byte_take(&at, ':') || !number_take(&at, &values[name]))
            return cst_fail(err, CST_PARSE, "offset '%.80s': %s is no number", text, names[name]);
        more = byte_take(&at, ',');
    }
    if (more || !byte_take(&at, '}') || ~seen & ((UINT32_C(1) << needed) - 1))
        return cst_fail(err, CST_PARSE, "offset '%.80s': a field is missing or one too many", text);
    if (*at) return cst_fail(err, CST_PARSE, "offset '%.80s': text behind its end", text);
    memcpy(values_out, values, count * sizeof *values);
    return CST_OK;
}

void csti_offset_write(const char *const *names, const uint64_t *values, uint32_t count,
                       char out[CSTI_OFFSET_BYTES_MAX]) {
    size_t used = 0;

    for (uint32_t i = 0; i < count; i++) {
        const int bytes = snprintf(out + used, CSTI_OFFSET_BYTES_MAX - used, "%c\"%s\":%" PRIu64,
                                   i ? ',' : '{', names[i], values[i]);

        assert(bytes > 0);
        used += (size_t)bytes;
        assert(used + 2 <= CSTI_OFFSET_BYTES_MAX);
    }
    memcpy(out + used, "}", 2);
}
