// buffer.h: a run of bytes that grows at its end; it cannot be made without a maximum.
//
//   bytes
//   +-----------------------+ - - - - - - +
//   | used_bytes            |             |   grows by doubling, up to bytes_max
//   +-----------------------+ - - - - - - + capacity_bytes
//
// Promises   what is in it stays, also after an error. It moves when it grows.
// Thread     one.
// Ring       1, 2.
// Owner      the caller owns the struct; the buffer owns bytes, until csti_buffer_take.
// Errors     CST_LIMIT (bytes_max), CST_NO_MEMORY: nothing was appended.
#ifndef CST_BASE_BUFFER_H
#define CST_BASE_BUFFER_H

#include <constellation/error.h>
#include <stddef.h>
#include <stdint.h>

enum { CSTI_BUFFER_FIRST_BYTES = 256 };

typedef struct csti_buffer {
    uint8_t *bytes; // NULL while nothing was reserved
    size_t used_bytes;
    size_t capacity_bytes;
    size_t bytes_max;
} csti_buffer;

// bytes_max is at least 1. Nothing is allocated yet.
void csti_buffer_init(csti_buffer *buffer, size_t bytes_max);
// Room for more_bytes behind used_bytes: the caller may write there and add to used_bytes itself.
CST_CHECK_RESULT cst_code csti_buffer_reserve(csti_buffer *buffer, size_t more_bytes, cst_err *err);
CST_CHECK_RESULT cst_code csti_buffer_append(csti_buffer *buffer, const void *data, size_t bytes,
                                             cst_err *err);
// Text without its final zero.
CST_CHECK_RESULT cst_code csti_buffer_format(csti_buffer *buffer, cst_err *err, const char *format,
                                             ...) __attribute__((format(printf, 3, 4)));
// Empties it and keeps the memory.
void csti_buffer_reset(csti_buffer *buffer);
// Gives the memory to the caller, who frees it; the buffer is as after init. NULL if empty.
uint8_t *csti_buffer_take(csti_buffer *buffer);
void csti_buffer_release(csti_buffer *buffer);

#endif
