// bench_barrier.c: what sealing an epoch costs, and handing its changes over.
#include "cli/bench_maps.h"

#include "stream/zipf.h"

#include <inttypes.h>
#include <string.h>

enum {
    SAMPLES_FULL = 200,    // each after an epoch's worth of rows
    SAMPLES_SMALL = 10000, // each after SMALL_ROWS
    SMALL_ROWS = 64,
    TIMER_SAMPLES = 10000,
    DELTA_ROWS = 10000,
    DELTA_HANDOVERS = 20, // a round
    RANGES_MAX = 4096,
};

static uint64_t timer_p50(histogram *timer) {
    for (int i = 0; i < TIMER_SAMPLES; i++) {
        const uint64_t from = csti_ticks();
        histogram_add(timer, csti_ticks() - from);
    }
    return histogram_percentile(timer, 0.5);
}

typedef struct barrier_what {
    uint64_t touched; // rows before each seal
    uint64_t samples;
} barrier_what;

static cst_code measure_seals(bench_maps *m, const barrier_what *what, cst_err *err) {
    static histogram seals, timer;
    bench *b = m->b;
    bench_params params = {0};
    char more[96];
    uint64_t at = 0, empty;
    cst_code code = CST_OK;

    memset(&seals, 0, sizeof seals);
    memset(&timer, 0, sizeof timer);
    empty = timer_p50(&timer);
    for (uint64_t i = 0; i < what->samples && code == CST_OK; i++) {
        uint64_t from, ticks;
        cst_delta delta;

        if (at + what->touched > m->order_count) at = 0;
        code = bench_table_put(&m->ours, m->order.base + at * BENCH_KEY_BYTES, what->touched);
        if (code != CST_OK) return cst_fail(err, code, "touching %" PRIu64 " rows", what->touched);
        at += what->touched;
        from = csti_ticks();
        delta = cst_table_seal(m->ours.table);
        ticks = csti_ticks() - from;
        histogram_add(&seals, ticks > empty ? ticks - empty : 0);
        code = bench_table_sealed(&m->ours, 2, &delta);
    }
    if (code != CST_OK) return cst_fail(err, code, "release");
    bench_params_u64(&params, "entries", m->entries);
    bench_params_u64(&params, "touched", what->touched);
    (void)snprintf(more, sizeof more, "\"above_timer\":true,\"timer_p50\":%.4g,\"timer_p99\":%.4g",
                   (double)empty / b->ticks_per_ns,
                   (double)histogram_percentile(&timer, 0.99) / b->ticks_per_ns);
    bench_latencies(b, "barrier.seal", &params, "constellation", &seals, more);
    return CST_OK;
}

cst_code bench_barrier(bench *b, cst_err *err) {
    static bench_maps m;
    const bench_peers *peers = b->peers;
    cst_code code = CST_OK;

    b->peers = NULL; // no peer has an epoch to seal
    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++) {
        const barrier_what full = {b->sizes[i] < BENCH_EPOCH_ROWS ? b->sizes[i] : BENCH_EPOCH_ROWS,
                                   SAMPLES_FULL};
        const barrier_what small = {SMALL_ROWS, SAMPLES_SMALL};

        if (!bench_wanted(b, "barrier.seal")) break;
        code = bench_maps_open(&m, b, b->sizes[i], err);
        if (code == CST_OK) code = bench_maps_fill_sealed(&m, err);
        if (code == CST_OK) code = measure_seals(&m, &full, err);
        if (code == CST_OK) code = measure_seals(&m, &small, err);
        bench_maps_close(&m);
    }
    b->peers = peers;
    return code;
}

// ---- Delta --------------------------------------------------------------------------------------

typedef struct delta_side {
    bench_maps *m;
    const bench_peer_state *peer; // NULL: ours
    uint64_t rows;
    uint64_t at; // in m->order
} delta_side;

static const uint8_t *next_rows(delta_side *side) {
    const uint8_t *keys;

    if (side->at + side->rows > side->m->order_count) side->at = 0;
    keys = side->m->order.base + side->at * BENCH_KEY_BYTES;
    side->at += side->rows;
    return keys;
}

static cst_code delta_round(void *context, double *ns_per_op_out, cst_err *err) {
    static cst_bytes ranges[RANGES_MAX];
    delta_side *side = context;
    bench_table *t = &side->m->ours;
    uint64_t ns = 0;

    for (int i = 0; i < DELTA_HANDOVERS; i++) {
        cst_code code = bench_table_put(t, next_rows(side), side->rows);
        uint64_t from_ns, bytes = 0;
        size_t count = 0;
        cst_delta delta;

        if (code != CST_OK) return cst_fail(err, code, "touching rows");
        from_ns = bench_now_ns();
        delta = cst_table_seal(t->table);
        cst_table_delta_ranges(t->table, &delta, ranges, RANGES_MAX, &count);
        ns += bench_now_ns() - from_ns;
        for (size_t r = 0; r < count && r < RANGES_MAX; r++) bytes += ranges[r].count;
        if (bytes != delta.to - delta.from)
            return cst_fail(err, CST_INTERNAL,
                            "ranges of %" PRIu64 " bytes for a delta of %" PRIu64, bytes,
                            delta.to - delta.from);
        code = bench_table_sealed(t, 2, &delta);
        if (code != CST_OK) return cst_fail(err, code, "release");
    }
    *ns_per_op_out = (double)ns / DELTA_HANDOVERS;
    return CST_OK;
}

// A map with a list of the keys touched: their rows are found and copied out.
static cst_code collect_round(void *context, double *ns_per_op_out, cst_err *err) {
    delta_side *side = context;
    const bench_peer_state *peer = side->peer;
    uint64_t ns = 0;

    for (int i = 0; i < DELTA_HANDOVERS; i++) {
        const uint8_t *keys = next_rows(side);
        uint64_t from_ns;

        if (peer->ops->update(peer->map, keys, side->m->values, side->rows) != side->rows)
            return cst_fail(err, CST_INTERNAL, "%s lost a key", peer->ops->name);
        // Between touching and collecting lies whatever else the owner does.
        from_ns = bench_now_ns();
        if (peer->ops->get(peer->map, keys, side->rows, side->m->values_out) != side->rows)
            return cst_fail(err, CST_INTERNAL, "%s lost a key", peer->ops->name);
        ns += bench_now_ns() - from_ns;
    }
    *ns_per_op_out = (double)ns / DELTA_HANDOVERS;
    return CST_OK;
}

static cst_code measure_delta(bench_maps *m, cst_err *err) {
    delta_side loops[BENCH_SIDES_MAX];
    bench_side sides[BENCH_SIDES_MAX];
    char names[BENCH_SIDES_MAX][96];
    bench_params params = {0};
    const bench_what what = {.name = "delta.handover", .params = &params};
    const uint64_t rows = m->entries < DELTA_ROWS ? m->entries : DELTA_ROWS;
    size_t count = 1;

    bench_params_u64(&params, "entries", m->entries);
    bench_params_u64(&params, "changes", rows);
    loops[0] = (delta_side){m, NULL, rows, 0};
    sides[0] = (bench_side){BENCH_OURS, "constellation", delta_round, &loops[0]};
    for (size_t i = 0; i < m->peers_count; i++) {
        loops[count] = (delta_side){m, &m->peers[i], rows, 0};
        (void)snprintf(names[count], sizeof names[count], "%s, touched rows copied out",
                       m->peers[i].ops->name);
        sides[count] = (bench_side){BENCH_PEER, names[count], collect_round, &loops[count]};
        count++;
    }
    return bench_compare(m->b, &what, sides, count, err);
}

cst_code bench_delta(bench *b, cst_err *err) {
    static bench_maps m;
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++) {
        if (!bench_wanted(b, "delta.handover")) break;
        code = bench_maps_open(&m, b, b->sizes[i], err);
        if (code == CST_OK) code = bench_maps_fill_sealed(&m, err);
        if (code == CST_OK) code = measure_delta(&m, err);
        bench_maps_close(&m);
    }
    return code;
}
