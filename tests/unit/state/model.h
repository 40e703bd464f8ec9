// model.h: the plainest map there is: a sorted array of keys and values, compared as memcmp does.
//
// Promises   every call is a binary search and, for a change, one move of the rest.
#ifndef CST_TEST_MODEL_H
#define CST_TEST_MODEL_H

#include "test.h"

typedef struct model_row {
    uint8_t *key;
    uint8_t *value;
    size_t key_bytes;
    size_t value_bytes;
} model_row;

typedef struct model {
    model_row *rows;
    size_t count;
    size_t capacity;
} model;

static inline uint8_t *model_copy(const void *bytes, size_t count) {
    uint8_t *copy = malloc(count + 1);

    if (!copy) abort();
    if (count > 0) memcpy(copy, bytes, count);
    return copy;
}

static inline int model_compare(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
    const size_t common = a_bytes < b_bytes ? a_bytes : b_bytes;
    const int order = common ? memcmp(a, b, common) : 0;

    if (order != 0) return order;
    return (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

// The first row at or after the key.
static inline size_t model_find(const model *map, const void *key, size_t key_bytes) {
    size_t low = 0;
    size_t high = map->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const model_row *row = &map->rows[middle];

        if (model_compare(row->key, row->key_bytes, key, key_bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline model_row *model_get(const model *map, const void *key, size_t key_bytes) {
    const size_t at = model_find(map, key, key_bytes);

    if (at == map->count) return NULL;
    if (model_compare(map->rows[at].key, map->rows[at].key_bytes, key, key_bytes) != 0) return NULL;
    return &map->rows[at];
}

static inline void model_put(model *map, const void *key, size_t key_bytes, const void *value,
                             size_t value_bytes) {
    model_row *row = model_get(map, key, key_bytes);
    size_t at;

    if (row) {
        free(row->value);
        row->value = model_copy(value, value_bytes);
        row->value_bytes = value_bytes;
        return;
    }
    if (map->count == map->capacity) {
        map->capacity = map->capacity ? map->capacity * 2 : 64;
        map->rows = realloc(map->rows, map->capacity * sizeof *map->rows);
        if (!map->rows) abort();
    }
    at = model_find(map, key, key_bytes);
    memmove(map->rows + at + 1, map->rows + at, (map->count - at) * sizeof *map->rows);
    map->rows[at] = (model_row){model_copy(key, key_bytes), model_copy(value, value_bytes),
                                key_bytes, value_bytes};
    map->count++;
}

static inline bool model_delete(model *map, const void *key, size_t key_bytes) {
    model_row *row = model_get(map, key, key_bytes);
    size_t at;

    if (!row) return false;
    at = (size_t)(row - map->rows);
    free(row->key);
    free(row->value);
    memmove(row, row + 1, (map->count - at - 1) * sizeof *row);
    map->count--;
    return true;
}

static inline void model_free(model *map) {
    for (size_t i = 0; i < map->count; i++) {
        free(map->rows[i].key);
        free(map->rows[i].value);
    }
    free(map->rows);
    *map = (model){NULL, 0, 0};
}

static inline void model_copy_all(model *to, const model *from) {
    for (size_t i = 0; i < from->count; i++)
        model_put(to, from->rows[i].key, from->rows[i].key_bytes, from->rows[i].value,
                  from->rows[i].value_bytes);
}

#endif
