#include "cli/bench_maps.h"

#include "stream/zipf.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { ORDER_MIN = 1 << 16, KEPT_EPOCHS = 2, PINNED_EPOCHS_MAX = 20, ENTRY_BYTES = 96 };

static cst_code open_ours(bench_maps *m, cst_err *err) {
    const bench_table_options options = {
        .rows = m->entries,
        .log_bytes = (m->entries + PINNED_EPOCHS_MAX * m->epoch_rows) * ENTRY_BYTES,
    };

    m->rows_since_seal = 0;
    return bench_table_open(&m->ours, m->b, &options, err);
}

static cst_code open_peer(bench_maps *m, bench_peer_state *peer, cst_err *err) {
    peer->map = peer->ops->open(0, m->b->folder);
    if (peer->map) return CST_OK;
    return cst_fail(err, CST_NO_MEMORY, "opening %s in %s", peer->ops->name, m->b->folder);
}

static cst_code make_keys(bench_maps *m, cst_err *err) {
    const uint64_t seed = m->b->seed;
    cst_code code;

    m->order_count = m->entries < ORDER_MIN ? ORDER_MIN : m->entries;
    code = bench_memory_take(&m->keys, m->entries * BENCH_KEY_BYTES, err);
    if (code == CST_OK) code = bench_memory_take(&m->order, m->order_count * BENCH_KEY_BYTES, err);
    if (code != CST_OK) return code;
    for (uint64_t i = 0; i < m->entries; i++)
        bench_key(seed, i, m->keys.base + i * BENCH_KEY_BYTES);
    for (uint64_t i = 0; i < m->order_count; i++)
        bench_key(seed, csti_bounded(csti_splitmix64(~seed ^ i), m->entries),
                  m->order.base + i * BENCH_KEY_BYTES);
    return CST_OK;
}

cst_code bench_maps_open(bench_maps *m, bench *b, uint64_t entries, cst_err *err) {
    cst_code code;

    memset(m, 0, sizeof *m);
    m->b = b;
    m->entries = entries;
    m->epoch_rows = entries < BENCH_EPOCH_ROWS ? entries : BENCH_EPOCH_ROWS;
    for (size_t i = 0; i < sizeof m->values; i++) m->values[i] = (uint8_t)(i * 7);
    code = make_keys(m, err);
    if (code == CST_OK) code = open_ours(m, err);
    for (size_t i = 0; b->peers && i < b->peers->maps_count && code == CST_OK; i++) {
        const bench_peer_map *ops = b->peers->maps[i];

        if (ops->slow && entries > BENCH_SLOW_ENTRIES) continue;
        assert(m->peers_count < BENCH_PEER_MAPS_MAX);
        m->peers[m->peers_count].ops = ops;
        code = open_peer(m, &m->peers[m->peers_count++], err);
    }
    if (code != CST_OK) bench_maps_close(m);
    return code;
}

void bench_maps_close(bench_maps *m) {
    bench_table_close(&m->ours);
    for (size_t i = 0; i < m->peers_count; i++)
        if (m->peers[i].map) m->peers[i].ops->close(m->peers[i].map);
    bench_memory_give(&m->keys);
    bench_memory_give(&m->order);
    memset(m, 0, sizeof *m);
}

static cst_code fill_peers(bench_maps *m, cst_err *err) {
    for (size_t i = 0; i < m->peers_count; i++) {
        bench_peer_state *peer = &m->peers[i];

        if (peer->ops->get(peer->map, m->keys.base, 1, m->values_out) == 1) continue;
        if (peer->ops->put(peer->map, m->keys.base, m->values, m->entries) != m->entries)
            return cst_fail(err, CST_INTERNAL, "filling %s", peer->ops->name);
    }
    return CST_OK;
}

cst_code bench_maps_fill_sealed(bench_maps *m, cst_err *err) {
    for (uint64_t i = 0; i < m->entries; i += m->epoch_rows) {
        const uint64_t left = m->entries - i;
        cst_code code = bench_table_put(&m->ours, m->keys.base + i * BENCH_KEY_BYTES,
                                        left < m->epoch_rows ? left : m->epoch_rows);

        if (code == CST_OK) code = bench_table_seal(&m->ours, 0, NULL);
        if (code != CST_OK) return cst_fail(err, code, "filling %" PRIu64 " rows", m->entries);
    }
    return fill_peers(m, err);
}

cst_code bench_maps_fill(bench_maps *m, cst_err *err) {
    cst_table_stats stats;

    cst_table_stats_read(m->ours.table, &stats);
    if (stats.rows_count == 0) {
        const cst_code code = bench_table_put(&m->ours, m->keys.base, m->entries);

        if (code != CST_OK) return cst_fail(err, code, "filling %" PRIu64 " rows", m->entries);
    }
    return fill_peers(m, err);
}

// One side of one comparison.
typedef struct side_loop {
    bench_maps *m;
    bench_peer_state *peer; // NULL: ours
    const bench_loop_what *what;
    bool grouped;
} side_loop;

static cst_code update_steady(bench_maps *m, const uint8_t *keys, uint64_t count) {
    for (uint64_t i = 0; i < count;) {
        uint64_t part = m->epoch_rows - m->rows_since_seal;
        cst_code code;

        if (part > count - i) part = count - i;
        code = bench_table_put(&m->ours, keys + i * BENCH_KEY_BYTES, part);
        if (code != CST_OK) return code;
        i += part;
        m->rows_since_seal += part;
        if (m->rows_since_seal < m->epoch_rows) continue;
        code = bench_table_seal(&m->ours, KEPT_EPOCHS, NULL);
        if (code != CST_OK) return code;
        m->rows_since_seal = 0;
    }
    return CST_OK;
}

static cst_code run_ours(const side_loop *side, uint64_t count, size_t *found_out) {
    static volatile uint64_t zero_unseen; // always 0: only the compiler does not know
    const bench_loop_what *what = side->what;
    bench_maps *m = side->m;

    *found_out = what->hits ? count : 0;
    switch (what->loop) {
    case BENCH_LOOP_GET:
        return bench_table_get(&m->ours, what->keys, count, found_out);
    case BENCH_LOOP_GET_SINGLE:
        return bench_table_get_single(&m->ours, what->keys, count, found_out);
    case BENCH_LOOP_GET_DEPENDENT:
        return bench_table_get_dependent(&m->ours, what->keys, count, zero_unseen, found_out);
    case BENCH_LOOP_UPDATE_STEADY:
        return update_steady(m, what->keys, count);
    case BENCH_LOOP_INSERT_SINGLE:
        return bench_table_put_single(&m->ours, what->keys, count);
    case BENCH_LOOP_UPDATE:
    case BENCH_LOOP_INSERT:
        return bench_table_put(&m->ours, what->keys, count);
    }
    return CST_UNSUPPORTED;
}

static size_t run_peer(const side_loop *side, uint64_t count) {
    const bench_peer_map *ops = side->peer->ops;
    const uint8_t *keys = side->what->keys;
    void *map = side->peer->map;

    switch (side->what->loop) {
    case BENCH_LOOP_GET:
    case BENCH_LOOP_GET_SINGLE:
        return ops->get(map, keys, count, side->m->values_out);
    case BENCH_LOOP_GET_DEPENDENT:
        return ops->get_dependent(map, keys, count, side->m->values_out, 0);
    case BENCH_LOOP_UPDATE:
    case BENCH_LOOP_UPDATE_STEADY:
        return side->grouped ? ops->update_grouped(map, keys, side->m->values, count)
                             : ops->update(map, keys, side->m->values, count);
    case BENCH_LOOP_INSERT:
    case BENCH_LOOP_INSERT_SINGLE:
        return ops->put(map, keys, side->m->values, count);
    }
    return 0;
}

static bool is_insert(bench_loop loop) {
    return loop == BENCH_LOOP_INSERT || loop == BENCH_LOOP_INSERT_SINGLE;
}

static cst_code empty_side(const side_loop *side, cst_err *err) {
    if (!side->peer) {
        bench_table_close(&side->m->ours);
        return open_ours(side->m, err);
    }
    side->peer->ops->close(side->peer->map);
    side->peer->map = NULL;
    return open_peer(side->m, side->peer, err);
}

static cst_code side_round(void *context, double *ns_per_op_out, cst_err *err) {
    const side_loop *side = context;
    uint64_t count = side->what->count;
    const char *name = side->peer ? side->peer->ops->name : "constellation";
    size_t found = 0;
    cst_code code = CST_OK;
    uint64_t from_ns;

    if (is_insert(side->what->loop)) code = empty_side(side, err);
    if (code != CST_OK) return code;
    if (side->peer && side->peer->ops->slow) count /= BENCH_SLOW_SHARE;
    from_ns = bench_now_ns();
    if (side->peer)
        found = run_peer(side, count);
    else
        code = run_ours(side, count, &found);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)count;
    if (code != CST_OK) return cst_fail(err, code, "%s stopped", name);
    if (found != (side->what->hits ? count : 0))
        return cst_fail(err, CST_INTERNAL, "%s found %zu of %" PRIu64 " keys", name, found, count);
    return CST_OK;
}

cst_code bench_maps_compare(bench_maps *m, const bench_loop_what *what, cst_err *err) {
    const bool batched = what->loop != BENCH_LOOP_GET_SINGLE &&
                         what->loop != BENCH_LOOP_GET_DEPENDENT &&
                         what->loop != BENCH_LOOP_INSERT_SINGLE;
    const bool update = what->loop == BENCH_LOOP_UPDATE || what->loop == BENCH_LOOP_UPDATE_STEADY;
    side_loop loops[BENCH_SIDES_MAX];
    bench_side sides[BENCH_SIDES_MAX];
    bench_params params = {0};
    const bench_what compared = {.name = what->name,
                                 .params = &params,
                                 .cold = is_insert(what->loop)};
    size_t count = 0;

    if (!bench_wanted(m->b, what->name)) return CST_OK;
    bench_params_u64(&params, "entries", m->entries);
    bench_params_u64(&params, "key", BENCH_KEY_BYTES);
    bench_params_u64(&params, "value", BENCH_VALUE_BYTES);
    bench_params_u64(&params, "batch", batched ? m->b->batch : 1);
    bench_params_text(&params, "workload", what->workload);
    if (strcmp(what->workload, "zipf") == 0) bench_params_f64(&params, "skew", m->b->skew);
    if (what->loop == BENCH_LOOP_UPDATE_STEADY)
        bench_params_u64(&params, "seal_every", m->epoch_rows);
    loops[count] = (side_loop){m, NULL, what, false};
    sides[count] = (bench_side){BENCH_OURS, "constellation", side_round, &loops[count]};
    count++;
    for (size_t i = 0; i < m->peers_count; i++) {
        bench_peer_state *peer = &m->peers[i];

        if (peer->ops->slow && is_insert(what->loop)) continue; // minutes
        loops[count] = (side_loop){m, peer, what, false};
        sides[count] = (bench_side){BENCH_PEER, peer->ops->name, side_round, &loops[count]};
        count++;
        if (!update || !peer->ops->grouped_name) continue;
        loops[count] = (side_loop){m, peer, what, true};
        sides[count] = (bench_side){BENCH_PEER, peer->ops->grouped_name, side_round, &loops[count]};
        count++;
    }
    if (what->limit) sides[count++] = *what->limit;
    return bench_compare(m->b, &compared, sides, count, err);
}
