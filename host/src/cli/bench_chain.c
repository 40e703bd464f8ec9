#include "cli/bench_chain.h"

#include "stream/zipf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    FATES = 1000,
    OVERRIDDEN = 300,
    DELETED = 50,
    ENTRY_BYTES = 96,
    RANGES_MAX = 65536,
    UNORDERED =
        BENCH_CHAIN_SEGMENTS, // the name of the full before it is folded into an ordered one
};

static uint32_t fate(const bench_chain *chain, uint64_t index) {
    return (uint32_t)(csti_splitmix64(chain->b->seed ^ ~index) % FATES);
}

// Which delta changes the key, or BENCH_CHAIN_DELTAS.
static uint32_t delta_of(uint32_t v, bool *erased_out) {
    *erased_out = v >= OVERRIDDEN;
    if (v < OVERRIDDEN) return v * BENCH_CHAIN_DELTAS / OVERRIDDEN;
    if (v < OVERRIDDEN + DELETED) return (v - OVERRIDDEN) * BENCH_CHAIN_DELTAS / DELETED;
    return BENCH_CHAIN_DELTAS;
}

static cst_code make_changes(bench_chain *chain, cst_err *err) {
    uint64_t put_at[BENCH_CHAIN_DELTAS] = {0}, erase_at[BENCH_CHAIN_DELTAS];
    bool erased;

    chain->rows_count = chain->entries;
    for (uint64_t i = 0; i < chain->entries; i++) {
        const uint32_t d = delta_of(fate(chain, i), &erased);

        if (d == BENCH_CHAIN_DELTAS) continue;
        *(erased ? &chain->changes[d].erases_count : &chain->changes[d].puts_count) += 1;
        chain->rows_count -= erased;
    }
    for (uint32_t d = 0; d < BENCH_CHAIN_DELTAS; d++) {
        bench_change_list *list = &chain->changes[d];
        const cst_code code =
            bench_memory_take(&list->memory,
                              (list->puts_count + list->erases_count + 1) * BENCH_KEY_BYTES, err);

        if (code != CST_OK) return code;
        erase_at[d] = list->puts_count;
    }
    for (uint64_t i = 0; i < chain->entries; i++) {
        const uint32_t d = delta_of(fate(chain, i), &erased);
        uint64_t *at;

        if (d == BENCH_CHAIN_DELTAS) continue;
        at = erased ? &erase_at[d] : &put_at[d];
        bench_key(chain->b->seed, i, chain->changes[d].memory.base + (*at)++ * BENCH_KEY_BYTES);
    }
    return CST_OK;
}

void bench_chain_path(const bench_chain *chain, uint32_t number,
                      char path[BENCH_CHAIN_PATH_BYTES]) {
    (void)snprintf(path, BENCH_CHAIN_PATH_BYTES, "%s/segment-%u", chain->b->folder, number);
}

static cst_code write_file(void *context, const void *bytes, size_t count, cst_err *err) {
    if (fwrite(bytes, 1, count, context) == count) return CST_OK;
    return cst_fail(err, CST_IO, "writing a segment: %s", strerror(errno));
}

static cst_code open_file(const bench_chain *chain, uint32_t number, FILE **out, cst_err *err) {
    char path[BENCH_CHAIN_PATH_BYTES];

    bench_chain_path(chain, number, path);
    *out = fopen(path, "wb");
    return *out ? CST_OK : cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
}

static cst_code map_segment(const bench_chain *chain, uint32_t number, cst_segment **out,
                            cst_err *err) {
    const cst_segment_expect any = {0};
    char path[BENCH_CHAIN_PATH_BYTES];

    bench_chain_path(chain, number, path);
    return cst_segment_open_file(path, &any, out, err);
}

static void remove_file(const bench_chain *chain, uint32_t number) {
    char path[BENCH_CHAIN_PATH_BYTES];

    bench_chain_path(chain, number, path);
    (void)unlink(path);
}

// Seals the table and writes its epoch under a number; *base is the chain's checksum so far.
static cst_code write_epoch(bench_chain *chain, bench_table *t, uint32_t number, uint32_t *base,
                            cst_err *err) {
    static cst_bytes ranges[RANGES_MAX];
    const cst_bytes *const parts[1] = {ranges};
    const cst_delta delta = cst_table_seal(t->table);
    const cst_program program = bench_table_program();
    const bool full = delta.epoch == 1;
    const cst_segment_info info = {
        .kind = full ? CST_SEGMENT_FULL_UNORDERED : CST_SEGMENT_DELTA,
        .table_id = BENCH_CHAIN_TABLE_ID,
        .epoch_from = delta.epoch,
        .epoch_to = delta.epoch,
        .base_epoch = delta.epoch - 1,
        .base_checksum = full ? 0 : *base,
        .schema_hash = cst_segment_schema_hash(BENCH_CHAIN_SCHEMA),
        .program_hash = cst_segment_program_hash(&program),
        .hash_key_check = cst_segment_hash_key_check(&t->hash_key),
        .parts_count = 1,
        .parts = {{CST_TABLE_INLINE, BENCH_KEY_BYTES, BENCH_VALUE_BYTES}},
    };
    cst_segment_summary summary;
    size_t count = 0;
    FILE *file = NULL;
    cst_code code = open_file(chain, number, &file, err);

    if (code != CST_OK) return code;
    cst_table_delta_ranges(t->table, &delta, ranges, RANGES_MAX, &count);
    if (count > RANGES_MAX) code = cst_fail(err, CST_LIMIT, "a delta of %zu ranges", count);
    if (code == CST_OK)
        code = cst_segment_write(&info, parts, &count, write_file, file, &summary, err);
    if (fclose(file) != 0 && code == CST_OK) code = cst_fail(err, CST_IO, "closing a segment");
    if (code != CST_OK) return code;
    *base = summary.checksum;
    return cst_table_release(t->table, &delta);
}

// The first full becomes an ordered one, as the chains of a running job have it.
static cst_code order_full(bench_chain *chain, cst_err *err) {
    const cst_fold_options options = {.memory_bytes = (uint64_t)1 << 30};
    cst_segment *unordered = NULL;
    FILE *file = NULL;
    cst_code code = map_segment(chain, UNORDERED, &unordered, err);

    if (code == CST_OK) code = open_file(chain, 0, &file, err);
    if (code == CST_OK)
        code = cst_segment_fold(&unordered, 1, &options, write_file, file, NULL, err);
    if (file && fclose(file) != 0 && code == CST_OK) code = cst_fail(err, CST_IO, "closing a full");
    cst_segment_close(unordered);
    remove_file(chain, UNORDERED);
    return code;
}

static cst_code write_chain(bench_chain *chain, bench_table *t, cst_err *err) {
    uint32_t base = 0;
    cst_code code = bench_table_put(t, chain->keys.base, chain->entries);

    if (code != CST_OK) return cst_fail(err, code, "filling the table");
    code = write_epoch(chain, t, UNORDERED, &base, err);
    if (code == CST_OK) code = order_full(chain, err);
    for (uint32_t d = 0; d < BENCH_CHAIN_DELTAS && code == CST_OK; d++) {
        const bench_change_list *list = &chain->changes[d];
        const uint8_t *erases = list->memory.base + list->puts_count * BENCH_KEY_BYTES;

        code = bench_table_put(t, list->memory.base, list->puts_count);
        if (code == CST_OK) code = bench_table_erase(t, erases, list->erases_count);
        if (code != CST_OK) return cst_fail(err, code, "changing the table");
        code = write_epoch(chain, t, d + 1, &base, err);
    }
    return code;
}

cst_code bench_chain_open(bench_chain *chain, const bench *b, uint64_t entries, cst_err *err) {
    const bench_table_options options = {.rows = entries, .log_bytes = entries * 2 * ENTRY_BYTES};
    bench_table table = {0};
    cst_code code;

    memset(chain, 0, sizeof *chain);
    chain->b = b;
    chain->entries = entries;
    code = bench_memory_take(&chain->keys, entries * BENCH_KEY_BYTES, err);
    for (uint64_t i = 0; i < entries && code == CST_OK; i++)
        bench_key(b->seed, i, chain->keys.base + i * BENCH_KEY_BYTES);
    if (code == CST_OK) code = make_changes(chain, err);
    if (code == CST_OK) code = bench_table_open(&table, b, &options, err);
    if (code == CST_OK) code = write_chain(chain, &table, err);
    bench_table_close(&table);
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS && code == CST_OK; i++) {
        cst_segment_summary summary;

        code = map_segment(chain, i, &chain->segments[i], err);
        if (code != CST_OK) break;
        cst_segment_summary_read(chain->segments[i], &summary);
        chain->body_bytes += summary.body_bytes;
    }
    if (code != CST_OK) bench_chain_close(chain);
    return code;
}

void bench_chain_close(bench_chain *chain) {
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS; i++) {
        cst_segment_close(chain->segments[i]);
        if (chain->b) remove_file(chain, i);
    }
    if (chain->b) remove_file(chain, UNORDERED);
    for (uint32_t d = 0; d < BENCH_CHAIN_DELTAS; d++) bench_memory_give(&chain->changes[d].memory);
    bench_memory_give(&chain->keys);
    memset(chain, 0, sizeof *chain);
}
