#include "stream/pane_parts.h"

#include "stream/project.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint32_t source_bytes(const csti_block_shape *shape, uint32_t source) {
    const cst_column column = {.type = shape->source_types[source]};

    return cst_column_value_bytes(&column);
}

cst_code csti_pane_parts_open(csti_pane_parts *parts, const csti_block_shape *shape,
                              uint32_t parts_max, cst_err *err) {
    const uint32_t count = shape->rows_capacity < parts_max ? shape->rows_capacity : parts_max;
    const size_t rows = shape->rows_capacity + 8 * (size_t)count;
    const size_t keys = shape->key_bytes    ? rows * shape->key_bytes
                        : shape->keys_bytes ? shape->keys_bytes
                                            : rows * shape->key_bytes_max;
    bool complete;

    *parts =
        (csti_pane_parts){.shape = *shape, .parts_max = count, .rows_capacity = (uint32_t)rows};
    parts->slots = malloc(rows * sizeof *parts->slots);
    parts->order = malloc(rows * sizeof *parts->order);
    parts->keys = malloc(keys);
    parts->hashes = malloc(rows * sizeof *parts->hashes);
    parts->sources = calloc((size_t)count * shape->sources_count + 1, sizeof *parts->sources);
    parts->starts = malloc(((size_t)count + 1) * sizeof *parts->starts);
    complete = parts->slots && parts->order && parts->keys && parts->hashes && parts->sources &&
               parts->starts;
    if (!shape->key_bytes) {
        parts->key_offsets = malloc(rows * sizeof *parts->key_offsets);
        complete = complete && parts->key_offsets;
    }
    if (shape->ops) {
        parts->ops = malloc(rows);
        complete = complete && parts->ops;
    }
    for (uint32_t s = 0; s < shape->sources_count; s++) {
        parts->values[s] = malloc(rows * source_bytes(shape, s) + 1);
        complete = complete && parts->values[s];
        if (!shape->source_nullable[s]) continue;
        parts->validity[s] = malloc(rows / 8 + 1);
        complete = complete && parts->validity[s];
    }
    return complete ? CST_OK : cst_fail(err, CST_NO_MEMORY, "windows of %zu rows", rows);
}

void csti_pane_parts_close(csti_pane_parts *parts) {
    for (uint32_t s = 0; s < CSTI_BLOCK_SOURCES_MAX; s++) {
        free(parts->values[s]);
        free(parts->validity[s]);
    }
    free(parts->starts);
    free(parts->sources);
    free(parts->ops);
    free(parts->hashes);
    free(parts->key_offsets);
    free(parts->keys);
    free(parts->order);
    free(parts->slots);
}

// A counting sort.
void csti_pane_parts_order(csti_pane_parts *parts, const cst_rows *rows, const uint32_t *counts,
                           uint32_t parts_count) {
    uint32_t *next = parts->starts;
    uint32_t at = 0;

    assert(parts_count <= parts->parts_max);
    for (uint32_t part = 0; part < parts_count; part++) {
        next[part] = at;
        at += (counts[part] + 8) & ~7u; // one more than there are, for offsets
    }
    assert(at <= parts->rows_capacity);
    for (uint32_t r = 0; r < rows->rows_count; r++)
        if (parts->slots[r] != CSTI_PART_NONE) parts->order[next[parts->slots[r]]++] = r;
    for (uint32_t part = 0; part < parts_count; part++) parts->starts[part] -= counts[part];
    parts->keys_used = 0;
}

static void keys_put(csti_pane_parts *parts, const cst_rows *rows, uint32_t at,
                     const uint32_t *order, uint32_t count) {
    if (!rows->key_offsets) {
        csti_gather_values(parts->keys + (size_t)at * rows->key_bytes, rows->keys, rows->key_bytes,
                           order, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const cst_bytes key = csti_key_at(rows, order[i]);

        parts->key_offsets[at + i] = parts->keys_used;
        memcpy(parts->keys + parts->keys_used, key.data, key.count);
        parts->keys_used += (uint32_t)key.count;
    }
    parts->key_offsets[at + count] = parts->keys_used;
}

cst_rows csti_pane_parts_take(csti_pane_parts *parts, const cst_rows *rows, uint32_t part,
                              uint32_t count) {
    const uint32_t at = parts->starts[part];
    const uint32_t *order = parts->order + at;
    const uint32_t sources_count = parts->shape.sources_count;
    cst_source *sources = parts->sources + (size_t)part * sources_count;

    keys_put(parts, rows, at, order, count);
    csti_gather_values(parts->hashes + at, rows->hashes, sizeof *rows->hashes, order, count);
    if (rows->ops) csti_gather_values(parts->ops + at, rows->ops, 1, order, count);
    for (uint32_t s = 0; s < sources_count; s++) {
        const uint32_t width = source_bytes(&parts->shape, s);
        uint8_t *values = (uint8_t *)parts->values[s] + (size_t)at * width;

        sources[s] = (cst_source){.values = values, .type = rows->sources[s].type};
        if (width > 0) csti_gather_values(values, rows->sources[s].values, width, order, count);
        if (!rows->sources[s].validity) continue;
        csti_gather_bits(parts->validity[s] + at / 8, 0, rows->sources[s].validity, order, count);
        sources[s].validity = parts->validity[s] + at / 8;
    }
    return (cst_rows){.rows_count = count,
                      .key_stride = rows->key_stride,
                      .key_bytes = rows->key_bytes,
                      .ops = rows->ops ? parts->ops + at : NULL,
                      .hashes = parts->hashes + at,
                      .keys = rows->key_offsets ? parts->keys
                                                : parts->keys + (size_t)at * rows->key_bytes,
                      .key_offsets = rows->key_offsets ? parts->key_offsets + at : NULL,
                      .sources = sources};
}
