#include "cli/bench_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_BYTES = 96, SPARE_BYTES = 256 << 20 };

cst_program bench_table_program(void) {
    return (cst_program){.value_bytes = BENCH_VALUE_BYTES, .presence_offset = CST_NO_OFFSET};
}

cst_hash_key bench_table_hash_key(const bench *b) {
    return (cst_hash_key){b->seed * 3 + 1, b->seed * 5 + 2};
}

cst_code bench_table_open(bench_table *t, const bench *b, const bench_table_options *options,
                          cst_err *err) {
    const size_t batch = b->batch;
    cst_code code = CST_NO_MEMORY;

    *t = (bench_table){.hash_key = bench_table_hash_key(b), .batch = b->batch};
    t->hashes = malloc(batch * sizeof *t->hashes);
    t->found = malloc(batch);
    t->values = aligned_alloc(64, batch * BENCH_VALUE_BYTES);
    t->values_out = aligned_alloc(64, batch * BENCH_VALUE_BYTES);
    if (t->hashes && t->found && t->values && t->values_out) {
        const cst_table_options table = {
            .layout = CST_TABLE_INLINE,
            .key_bytes = BENCH_KEY_BYTES,
            .program = bench_table_program(),
            .hash_key = t->hash_key,
            .budget_bytes = options->rows * 2 * ENTRY_BYTES + options->log_bytes + SPARE_BYTES,
            .rows_hint = options->reserved ? options->rows : 0,
            .numa_node = -1,
            .background = !options->alone,
        };
        for (size_t i = 0; i < batch * BENCH_VALUE_BYTES; i++) t->values[i] = (uint8_t)(i * 7);
        memset(t->values_out, 0, batch * BENCH_VALUE_BYTES);
        code = cst_table_open(&table, &t->table, err);
    }
    if (code == CST_NO_MEMORY) code = cst_fail(err, code, "a table's buffers");
    if (code != CST_OK) bench_table_close(t);
    return code;
}

void bench_table_close(bench_table *t) {
    cst_table_close(t->table);
    free(t->hashes);
    free(t->found);
    free(t->values);
    free(t->values_out);
    memset(t, 0, sizeof *t);
}

static cst_rows rows_of(bench_table *t, const uint8_t *keys, size_t count) {
    cst_hash_fixed(&t->hash_key, keys, BENCH_KEY_BYTES, BENCH_KEY_BYTES, count, t->hashes);
    return (cst_rows){
        .rows_count = (uint32_t)count,
        .key_stride = BENCH_KEY_BYTES,
        .key_bytes = BENCH_KEY_BYTES,
        .value_stride = BENCH_VALUE_BYTES,
        .hashes = t->hashes,
        .keys = keys,
        .values = t->values,
    };
}

static cst_code apply(bench_table *t, const uint8_t *keys, size_t count, const uint8_t *ops) {
    for (size_t i = 0; i < count; i += t->batch) {
        const size_t n = count - i < t->batch ? count - i : t->batch;
        cst_rows rows = rows_of(t, keys + i * BENCH_KEY_BYTES, n);
        uint32_t applied;
        cst_code code;

        rows.ops = ops;
        code = cst_table_apply_all(t->table, &rows, &applied);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

cst_code bench_table_put(bench_table *t, const uint8_t *keys, size_t count) {
    return apply(t, keys, count, NULL);
}

cst_code bench_table_erase(bench_table *t, const uint8_t *keys, size_t count) {
    memset(t->found, CST_ROW_DELETE, t->batch); // no look-up runs meanwhile
    return apply(t, keys, count, t->found);
}

cst_code bench_table_put_single(bench_table *t, const uint8_t *keys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const cst_code code =
            cst_table_put(t->table, keys + i * BENCH_KEY_BYTES, BENCH_KEY_BYTES,
                          t->values + i % t->batch * BENCH_VALUE_BYTES, BENCH_VALUE_BYTES);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

cst_code bench_table_get(bench_table *t, const uint8_t *keys, size_t count, size_t *found_out) {
    size_t found = 0;

    for (size_t i = 0; i < count; i += t->batch) {
        const size_t n = count - i < t->batch ? count - i : t->batch;
        const cst_rows rows = rows_of(t, keys + i * BENCH_KEY_BYTES, n);
        const cst_code code =
            cst_table_lookup(t->table, &rows, t->values_out, BENCH_VALUE_BYTES, t->found);

        if (code != CST_OK) return code;
        for (size_t r = 0; r < n; r++) found += t->found[r];
    }
    *found_out = found;
    return CST_OK;
}

// `zero` is 0 in a variable that the compiler cannot see through, or a constant.
static inline cst_code get_single(bench_table *t, const uint8_t *keys, size_t count, uint64_t zero,
                                  size_t *found_out) {
    size_t found = 0;
    uint64_t last = 0;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *key = keys + (i + (last & zero)) * BENCH_KEY_BYTES;
        uint8_t *out = t->values_out;
        size_t bytes;
        const cst_code code =
            cst_table_get(t->table, key, BENCH_KEY_BYTES, out, BENCH_VALUE_BYTES, &bytes);

        if (code == CST_NOT_FOUND) continue;
        if (code != CST_OK) return code;
        memcpy(&last, out, sizeof last);
        found++;
    }
    *found_out = found;
    return CST_OK;
}

cst_code bench_table_get_single(bench_table *t, const uint8_t *keys, size_t count,
                                size_t *found_out) {
    return get_single(t, keys, count, 0, found_out);
}

cst_code bench_table_get_dependent(bench_table *t, const uint8_t *keys, size_t count, uint64_t zero,
                                   size_t *found_out) {
    return get_single(t, keys, count, zero, found_out);
}

cst_code bench_table_sealed(bench_table *t, uint64_t keep, const cst_delta *delta) {
    assert(keep < BENCH_KEPT_MAX);
    t->sealed[t->seals_count % BENCH_KEPT_MAX] = *delta;
    t->seals_count++;
    if (t->seals_count <= keep) return CST_OK;
    return cst_table_release(t->table, &t->sealed[(t->seals_count - keep - 1) % BENCH_KEPT_MAX]);
}

cst_code bench_table_seal(bench_table *t, uint64_t keep, cst_delta *delta_out) {
    const cst_delta delta = cst_table_seal(t->table);

    if (delta_out) *delta_out = delta;
    return bench_table_sealed(t, keep, &delta);
}
