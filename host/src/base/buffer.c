#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void csti_buffer_init(csti_buffer *buffer, size_t bytes_max) {
    assert(bytes_max > 0);
    *buffer = (csti_buffer){.bytes_max = bytes_max};
}

cst_code csti_buffer_reserve(csti_buffer *buffer, size_t more_bytes, cst_err *err) {
    size_t capacity_bytes = buffer->capacity_bytes;
    uint8_t *bytes;

    assert(buffer->used_bytes <= capacity_bytes);
    assert(capacity_bytes <= buffer->bytes_max);
    if (more_bytes <= capacity_bytes - buffer->used_bytes) return CST_OK;
    if (more_bytes > buffer->bytes_max - buffer->used_bytes)
        return cst_fail(err, CST_LIMIT, "buffer: %zu bytes more than %zu of at most %zu",
                        more_bytes, buffer->used_bytes, buffer->bytes_max);

    if (capacity_bytes == 0) capacity_bytes = CSTI_BUFFER_FIRST_BYTES;
    while (capacity_bytes - buffer->used_bytes < more_bytes && capacity_bytes <= SIZE_MAX / 2)
        capacity_bytes *= 2;
    if (capacity_bytes > buffer->bytes_max) capacity_bytes = buffer->bytes_max;
    bytes = realloc(buffer->bytes, capacity_bytes);
    if (!bytes) return cst_fail(err, CST_NO_MEMORY, "buffer: %zu bytes", capacity_bytes);
    buffer->bytes = bytes;
    buffer->capacity_bytes = capacity_bytes;
    assert(more_bytes <= capacity_bytes - buffer->used_bytes);
    return CST_OK;
}

cst_code csti_buffer_append(csti_buffer *buffer, const void *data, size_t bytes, cst_err *err) {
    cst_code code;

    if (bytes == 0) return CST_OK;
    code = csti_buffer_reserve(buffer, bytes, err);
    if (code != CST_OK) return code;
    memcpy(buffer->bytes + buffer->used_bytes, data, bytes);
    buffer->used_bytes += bytes;
    return CST_OK;
}

cst_code csti_buffer_format(csti_buffer *buffer, cst_err *err, const char *format, ...) {
    // Room for the zero that vsnprintf writes; it is not counted.
    char small[CSTI_BUFFER_FIRST_BYTES];
    va_list arguments;
    cst_code code = CST_OK;
    char *text = small;
    int text_bytes;

    va_start(arguments, format);
    text_bytes = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    if (text_bytes < 0) return cst_fail(err, CST_USAGE, "buffer: the format \"%s\"", format);
    if ((size_t)text_bytes >= sizeof small) {
        if ((size_t)text_bytes > buffer->bytes_max - buffer->used_bytes)
            return csti_buffer_reserve(buffer, (size_t)text_bytes, err);
        text = malloc((size_t)text_bytes + 1);
        if (!text) return cst_fail(err, CST_NO_MEMORY, "buffer: %d bytes of text", text_bytes);
        va_start(arguments, format);
        (void)vsnprintf(text, (size_t)text_bytes + 1, format, arguments);
        va_end(arguments);
    }
    code = csti_buffer_append(buffer, text, (size_t)text_bytes, err);
    if (text != small) free(text);
    return code;
}

void csti_buffer_reset(csti_buffer *buffer) {
    buffer->used_bytes = 0;
}

uint8_t *csti_buffer_take(csti_buffer *buffer) {
    uint8_t *bytes = buffer->bytes;

    *buffer = (csti_buffer){.bytes_max = buffer->bytes_max};
    return bytes;
}

void csti_buffer_release(csti_buffer *buffer) {
    free(buffer->bytes);
    *buffer = (csti_buffer){.bytes_max = buffer->bytes_max};
}
