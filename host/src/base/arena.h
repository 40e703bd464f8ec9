// arena.h: memory that is taken piece by piece and given back at once; it has a maximum.
//
//   chunk 0            chunk 1                     chunk 2 (open)
//   +---+------+--+    +---+--------------+        +---+-----+- - - -+
//   | h | aaaa |bb| <- | h | cccccccccccc |  <---- | h | ddd |  free |     h: link, size
//   +---+------+--+    +---+--------------+        +---+-----+- - - -+
//                                                            ^ used
//   allocated_bytes: all chunks with their headers, never above bytes_max
//
// Promises   what it gave stays in place until reset or release; it is not zeroed.
// Thread     one.
// Ring       1, 2.
// Owner      the caller owns the struct; the arena owns what it gave.
// Errors     CST_LIMIT (bytes_max), CST_NO_MEMORY: nothing changed; smaller ones may still fit.
#ifndef CST_BASE_ARENA_H
#define CST_BASE_ARENA_H

#include <constellation/error.h>
#include <stddef.h>

enum { CSTI_ARENA_CHUNK_BYTES = 64 << 10, CSTI_ARENA_ALIGNMENT_MAX = 4096 };

typedef struct csti_arena_chunk csti_arena_chunk;

typedef struct csti_arena {
    csti_arena_chunk *last; // the open one; NULL before the first allocation
    size_t used_bytes;      // of the open one, header included
    size_t allocated_bytes;
    size_t bytes_max;
} csti_arena;

// bytes_max counts what is asked of malloc, at least 1. Nothing is allocated yet.
void csti_arena_init(csti_arena *arena, size_t bytes_max);
// Any count of bytes, 0 included; the alignment is a power of two up to CSTI_ARENA_ALIGNMENT_MAX.
CST_CHECK_RESULT cst_code csti_arena_alloc(csti_arena *arena, size_t bytes, size_t alignment,
                                           void **out, cst_err *err);
// Forgets all it gave, and keeps the open chunk for what comes next.
void csti_arena_reset(csti_arena *arena);
void csti_arena_release(csti_arena *arena);

#endif
