#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

struct csti_arena_chunk {
    csti_arena_chunk *before;
    size_t bytes; // with this header
};

void csti_arena_init(csti_arena *arena, size_t bytes_max) {
    assert(bytes_max > 0);
    *arena = (csti_arena){.bytes_max = bytes_max};
}

// Where an allocation would start in `chunk`, as an offset; past its end if it does not fit.
static size_t place(const csti_arena_chunk *chunk, size_t used_bytes, size_t alignment) {
    const uintptr_t at = (uintptr_t)chunk + used_bytes;
    return used_bytes + ((alignment - at % alignment) % alignment);
}

static cst_code add_chunk(csti_arena *arena, size_t bytes, size_t alignment, cst_err *err) {
    const size_t left_bytes = arena->bytes_max - arena->allocated_bytes;
    const size_t overhead_bytes = sizeof(csti_arena_chunk) + alignment;
    size_t chunk_bytes = CSTI_ARENA_CHUNK_BYTES;
    csti_arena_chunk *chunk;

    assert(arena->allocated_bytes <= arena->bytes_max);
    if (left_bytes < overhead_bytes || bytes > left_bytes - overhead_bytes)
        return cst_fail(err, CST_LIMIT, "arena: %zu bytes more than %zu of at most %zu", bytes,
                        arena->allocated_bytes, arena->bytes_max);
    if (chunk_bytes < bytes + overhead_bytes) chunk_bytes = bytes + overhead_bytes;
    if (chunk_bytes > left_bytes) chunk_bytes = left_bytes;
    chunk = malloc(chunk_bytes);
    if (!chunk) return cst_fail(err, CST_NO_MEMORY, "arena: %zu bytes", chunk_bytes);

    *chunk = (csti_arena_chunk){.before = arena->last, .bytes = chunk_bytes};
    arena->last = chunk;
    arena->used_bytes = sizeof *chunk;
    arena->allocated_bytes += chunk_bytes;
    return CST_OK;
}

cst_code csti_arena_alloc(csti_arena *arena, size_t bytes, size_t alignment, void **out,
                          cst_err *err) {
    size_t at;

    assert(alignment > 0);
    assert((alignment & (alignment - 1)) == 0);
    assert(alignment <= CSTI_ARENA_ALIGNMENT_MAX);
    at = arena->last ? place(arena->last, arena->used_bytes, alignment) : 0;
    if (!arena->last || at > arena->last->bytes || bytes > arena->last->bytes - at) {
        const cst_code code = add_chunk(arena, bytes, alignment, err);
        if (code != CST_OK) return code;
        assert(arena->last);
        at = place(arena->last, arena->used_bytes, alignment);
    }
    assert(at + bytes <= arena->last->bytes);
    *out = (uint8_t *)arena->last + at;
    arena->used_bytes = at + bytes;
    return CST_OK;
}

static void free_before(csti_arena *arena, csti_arena_chunk *chunk) {
    csti_arena_chunk *next = chunk->before;

    chunk->before = NULL;
    while (next) {
        csti_arena_chunk *before = next->before;
        arena->allocated_bytes -= next->bytes;
        free(next);
        next = before;
    }
}

void csti_arena_reset(csti_arena *arena) {
    if (!arena->last) return;
    free_before(arena, arena->last);
    arena->used_bytes = sizeof *arena->last;
    assert(arena->allocated_bytes == arena->last->bytes);
}

void csti_arena_release(csti_arena *arena) {
    if (!arena->last) return;
    free_before(arena, arena->last);
    free(arena->last);
    arena->last = NULL;
    arena->used_bytes = 0;
    arena->allocated_bytes = 0;
}
