#include "state/short_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE_BYTES_MAX = 16, // a decimal128, a uuid
    ALIGN_BYTES = 16,
};

uint32_t csti_short_rows_count(const cst_rows *rows, uint32_t key_bytes_max) {
    uint32_t count = 0;

    for (uint32_t row = rows->first_row; row < rows->rows_count; row++)
        count += csti_rows_key_length(rows, row) <= key_bytes_max;
    return count;
}

void csti_short_rows_end(csti_short_rows *shorts) {
    free(shorts->memory);
    *shorts = (csti_short_rows){.capacity = 0};
}

// ---- Room ---------------------------------------------------------------------------------------

static uint8_t *carve(uint8_t **at, size_t bytes) {
    uint8_t *here = *at;

    *at += (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    return here;
}

// Room for `capacity` rows in memory from `at` on; its end.
static uint8_t *columns_carve(csti_short_rows *shorts, uint8_t *at) {
    const size_t rows = shorts->capacity;

    shorts->hashes = (uint64_t *)(void *)carve(&at, rows * sizeof *shorts->hashes);
    shorts->numbers = (uint32_t *)(void *)carve(&at, (rows + 1) * sizeof *shorts->numbers);
    shorts->key_offsets = (uint32_t *)(void *)carve(&at, (rows + 1) * sizeof *shorts->key_offsets);
    shorts->ops = carve(&at, rows);
    shorts->keys = carve(&at, rows * shorts->key_bytes_max);
    for (uint32_t s = 0; s < shorts->sources_count; s++) {
        shorts->values[s] = carve(&at, rows * VALUE_BYTES_MAX);
        shorts->validity[s] = carve(&at, (rows + 7) / 8);
    }
    return at;
}

static cst_code room_make(csti_short_rows *shorts, uint32_t rows_count, uint32_t key_bytes_max,
                          uint32_t sources_count) {
    uint8_t *const nowhere = (uint8_t *)(uintptr_t)ALIGN_BYTES; // measured from there

    if (rows_count <= shorts->capacity && key_bytes_max == shorts->key_bytes_max &&
        sources_count == shorts->sources_count)
        return CST_OK;
    csti_short_rows_end(shorts);
    shorts->capacity = rows_count;
    shorts->key_bytes_max = key_bytes_max;
    shorts->sources_count = sources_count;
    shorts->memory = malloc((size_t)(columns_carve(shorts, nowhere) - nowhere));
    if (!shorts->memory) {
        csti_short_rows_end(shorts);
        return CST_NO_MEMORY;
    }
    (void)columns_carve(shorts, shorts->memory);
    return CST_OK;
}

// ---- Rows ---------------------------------------------------------------------------------------

static void keys_take(csti_short_rows *shorts, const cst_rows *rows) {
    uint32_t used = 0, count = 0;

    for (uint32_t row = rows->first_row; row < rows->rows_count; row++) {
        const uint32_t bytes = csti_rows_key_length(rows, row);
        const uint8_t *key = rows->keys + (rows->key_offsets ? rows->key_offsets[row]
                                                             : (size_t)row * rows->key_stride);

        if (bytes > shorts->key_bytes_max) continue;
        shorts->numbers[count] = row;
        shorts->hashes[count] = rows->hashes[row];
        if (rows->ops) shorts->ops[count] = rows->ops[row];
        shorts->key_offsets[count++] = used;
        if (bytes > 0) memcpy(shorts->keys + used, key, bytes);
        used += bytes;
    }
    shorts->numbers[count] = rows->rows_count;
    shorts->key_offsets[count] = used;
    shorts->rows.rows_count = count;
}

static void source_take(csti_short_rows *shorts, uint32_t index, const cst_source *from) {
    const cst_column column = {.type = from->type};
    const uint32_t width = cst_column_value_bytes(&column);
    const uint32_t count = shorts->rows.rows_count;
    uint8_t *values = shorts->values[index], *validity = shorts->validity[index];

    assert(width <= VALUE_BYTES_MAX);
    for (uint32_t i = 0; i < count; i++)
        memcpy(values + (size_t)i * width,
               (const uint8_t *)from->values + (size_t)shorts->numbers[i] * width, width);
    shorts->sources[index] = (cst_source){values, from->validity ? validity : NULL, from->type};
    if (!from->validity) return;
    memset(validity, 0, (count + 7) / 8);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = shorts->numbers[i];

        validity[i / 8] |= (uint8_t)((from->validity[row / 8] >> row % 8 & 1u) << i % 8);
    }
}

cst_code csti_short_rows_take(csti_short_rows *shorts, const cst_rows *rows, uint32_t key_bytes_max,
                              uint32_t sources_count) {
    const uint32_t rows_count = rows->rows_count - rows->first_row;
    const cst_code code = room_make(shorts, rows_count, key_bytes_max, sources_count);

    assert(sources_count <= CSTI_SHORT_SOURCES_MAX);
    if (code != CST_OK) return code;
    keys_take(shorts, rows);
    for (uint32_t s = 0; s < sources_count; s++) source_take(shorts, s, &rows->sources[s]);
    shorts->rows.hashes = shorts->hashes;
    shorts->rows.ops = rows->ops ? shorts->ops : NULL;
    shorts->rows.keys = shorts->keys;
    shorts->rows.key_offsets = shorts->key_offsets;
    shorts->rows.sources = shorts->sources;
    shorts->rows.now_us = rows->now_us;
    return CST_OK;
}
