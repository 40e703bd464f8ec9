// bench_recovery.c: from a full and nine deltas to a table again, and to one full.
#include "cli/bench_chain.h"

#include <inttypes.h>
#include <string.h>

enum { ENTRY_BYTES = 96 };

typedef struct recovery_side {
    bench_chain *chain;
    bench_table table;          // ours, restored last
    const bench_peer_map *peer; // or a peer's
    void *map;
    uint8_t values[BENCH_VALUES_COUNT * BENCH_VALUE_BYTES];
} recovery_side;

static cst_code restore_round(void *context, double *ns_per_op_out, cst_err *err) {
    recovery_side *side = context;
    bench_chain *chain = side->chain;
    const cst_restore_options alone = {0};
    cst_table_stats stats;
    uint64_t from_ns;
    cst_code code;

    bench_table_close(&side->table);
    from_ns = bench_now_ns();
    const bench_table_options options = {
        .rows = cst_restore_rows_hint(chain->segments, BENCH_CHAIN_SEGMENTS, CST_TABLE_INLINE),
        .reserved = true,
        .alone = true,
    };
    code = bench_table_open(&side->table, chain->b, &options, err);
    if (code != CST_OK) return code;
    code = cst_segment_restore(chain->segments, BENCH_CHAIN_SEGMENTS, side->table.table, NULL,
                               &alone, NULL, err);
    if (code != CST_OK) return code;
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)chain->entries;
    cst_table_stats_read(side->table.table, &stats);
    if (stats.rows_count != chain->rows_count)
        return cst_fail(err, CST_INTERNAL, "%" PRIu64 " rows instead of %" PRIu64, stats.rows_count,
                        chain->rows_count);
    return CST_OK;
}

// The same rows put again, from keys that lie in memory: no file, no checksum.
static cst_code put_again_round(void *context, double *ns_per_op_out, cst_err *err) {
    recovery_side *side = context;
    const bench_chain *chain = side->chain;
    const bench_peer_map *ops = side->peer;
    uint64_t from_ns;
    size_t done;

    if (side->map) ops->close(side->map);
    from_ns = bench_now_ns();
    side->map = ops->open(chain->entries, chain->b->folder);
    if (!side->map) return cst_fail(err, CST_NO_MEMORY, "%s", ops->name);
    done = ops->put(side->map, chain->keys.base, side->values, chain->entries);
    for (uint32_t d = 0; d < BENCH_CHAIN_DELTAS; d++) {
        const bench_change_list *list = &chain->changes[d];

        done += ops->put(side->map, list->memory.base, side->values, list->puts_count);
        done -= ops->erase(side->map, list->memory.base + list->puts_count * BENCH_KEY_BYTES,
                           list->erases_count);
        done -= list->puts_count;
    }
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)chain->entries;
    if (done == chain->rows_count) return CST_OK;
    return cst_fail(err, CST_INTERNAL, "%s has other rows", ops->name);
}

// A store on disk, opened again and read to its end.
static cst_code read_again_round(void *context, double *ns_per_op_out, cst_err *err) {
    recovery_side *side = context;
    const uint64_t from_ns = bench_now_ns();
    const size_t count = side->peer->read_again(side->map);

    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)side->chain->entries;
    if (count == side->chain->rows_count) return CST_OK;
    return cst_fail(err, CST_INTERNAL, "%s has %zu rows", side->peer->name, count);
}

static cst_code settle(recovery_side *side, cst_err *err) {
    double ns_per_op;
    cst_code code = put_again_round(side, &ns_per_op, err);

    if (code == CST_OK && !side->peer->settle(side->map))
        code = cst_fail(err, CST_IO, "%s does not write out what it holds", side->peer->name);
    return code;
}

static cst_code measure_recovery(bench *b, bench_chain *chain, cst_err *err) {
    static recovery_side loops[BENCH_SIDES_MAX];
    bench_side sides[BENCH_SIDES_MAX];
    char names[BENCH_SIDES_MAX][96];
    bench_params params = {0};
    const bench_what what = {.name = "recovery.restore",
                             .params = &params,
                             .cold = true,
                             .bytes_per_op = chain->body_bytes / chain->entries};
    size_t count = 1;
    cst_code code;

    memset(loops, 0, sizeof loops);
    loops[0].chain = chain;
    sides[0] = (bench_side){BENCH_OURS, "constellation", restore_round, &loops[0]};
    for (size_t i = 0; b->peers && i < b->peers->maps_count; i++) {
        const bench_peer_map *peer = b->peers->maps[i];
        const bool keeps = peer->read_again != NULL;

        if (peer->slow && !keeps) continue;
        loops[count].chain = chain;
        loops[count].peer = peer;
        (void)snprintf(names[count], sizeof names[count],
                       keeps ? "%s" : "%s, put again from memory",
                       keeps ? peer->kept_name : peer->name);
        sides[count] = (bench_side){BENCH_PEER, names[count],
                                    keeps ? read_again_round : put_again_round, &loops[count]};
        code = keeps ? settle(&loops[count], err) : CST_OK;
        count++;
        if (code != CST_OK) goto done;
    }
    bench_params_u64(&params, "entries", chain->entries);
    bench_params_u64(&params, "key", BENCH_KEY_BYTES);
    bench_params_u64(&params, "value", BENCH_VALUE_BYTES);
    bench_params_u64(&params, "deltas", BENCH_CHAIN_DELTAS);
    bench_params_u64(&params, "cores", 1);
    code = bench_compare(b, &what, sides, count, err);
done:
    bench_table_close(&loops[0].table);
    for (size_t i = 1; i < count; i++)
        if (loops[i].map) loops[i].peer->close(loops[i].map);
    return code;
}

cst_code bench_recovery(bench *b, cst_err *err) {
    static bench_chain chain;
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++) {
        if (!bench_wanted(b, "recovery.restore")) break;
        code = bench_chain_open(&chain, b, b->sizes[i], err);
        if (code == CST_OK) code = measure_recovery(b, &chain, err);
        bench_chain_close(&chain);
    }
    return code;
}

// ---- Fold ---------------------------------------------------------------------------------------

static cst_code count_bytes(void *context, const void *bytes, size_t count, cst_err *err) {
    (void)bytes;
    (void)err;
    *(uint64_t *)context += count;
    return CST_OK;
}

static cst_code fold_round(void *context, double *ns_per_op_out, cst_err *err) {
    const bench_chain *chain = context;
    const cst_fold_options options = {0};
    cst_segment_summary summary;
    uint64_t written = 0;
    const uint64_t from_ns = bench_now_ns();
    const cst_code code = cst_segment_fold(chain->segments, BENCH_CHAIN_SEGMENTS, &options,
                                           count_bytes, &written, &summary, err);

    if (code != CST_OK) return code;
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)chain->entries;
    if (summary.rows[0] == chain->rows_count && written == summary.segment_bytes) return CST_OK;
    return cst_fail(err, CST_INTERNAL, "a fold of %" PRIu64 " rows instead of %" PRIu64,
                    summary.rows[0], chain->rows_count);
}

cst_code bench_fold(bench *b, cst_err *err) {
    static bench_chain chain;
    const bench_side side = {BENCH_OURS, "constellation", fold_round, &chain};
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++) {
        bench_params params = {0};
        bench_what what = {.name = "fold.chain", .params = &params};

        if (!bench_wanted(b, what.name)) break;
        code = bench_chain_open(&chain, b, b->sizes[i], err);
        if (code != CST_OK) return code;
        bench_params_u64(&params, "entries", b->sizes[i]);
        bench_params_u64(&params, "deltas", BENCH_CHAIN_DELTAS);
        what.bytes_per_op = chain.body_bytes / chain.entries;
        code = bench_compare(b, &what, &side, 1, err);
        bench_chain_close(&chain);
    }
    return code;
}
