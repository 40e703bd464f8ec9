#define _GNU_SOURCE 1 // RUSAGE_THREAD, sched_getcpu
// bench_growth.c: the longest pause of any single put, while the table grows and while it seals.
//
//   64K single puts, each timed ──► 64K empty turns about as long, each timed ──► …
//   What interrupts the owner interrupts the empty loop as often: the difference is ours. Both stay
//   on one processor; the table's helper, which was there before, runs where it likes.
#include "cli/bench_maps.h"

#include "base/topology.h"
#include "stream/zipf.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

enum { STRETCH = 1 << 16, KEPT_EPOCHS = 2 };

typedef struct pauses {
    histogram puts;
    histogram empty;
    int64_t faults;
    int cpu;
} pauses;

static int64_t thread_faults(void) {
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_minflt + usage.ru_majflt : 0;
}

static void empty_turns(const bench *b, pauses *out, uint64_t count) {
    const double ticks = (double)histogram_percentile(&out->puts, 0.5);
    const uint64_t cycles = (uint64_t)(ticks / b->ticks_per_ns * b->clock_ghz);
    uint64_t from = csti_ticks();

    for (uint64_t i = 0; i < count; i++) {
        uint64_t now;

        (void)csti_ticks_spin_cycles(cycles);
        now = csti_ticks();
        histogram_add(&out->empty, now - from);
        from = now;
    }
}

static cst_code ours_stretch(bench_maps *m, pauses *out, const uint8_t *keys, uint64_t count) {
    const int64_t faults_before = thread_faults();
    cst_code code = CST_OK;

    for (uint64_t i = 0; i < count && code == CST_OK; i++) {
        const uint64_t from = csti_ticks();

        code = bench_table_put_single(&m->ours, keys + i * BENCH_KEY_BYTES, 1);
        m->rows_since_seal++;
        if (code == CST_OK && m->rows_since_seal == m->epoch_rows) { // a part of this operation
            code = bench_table_seal(&m->ours, KEPT_EPOCHS, NULL);
            m->rows_since_seal = 0;
        }
        histogram_add(&out->puts, csti_ticks() - from);
    }
    out->faults += thread_faults() - faults_before;
    return code;
}

static cst_code peer_stretch(bench_maps *m, const bench_peer_state *peer, pauses *out,
                             const uint8_t *keys, uint64_t count) {
    const int64_t faults_before = thread_faults();

    for (uint64_t i = 0; i < count; i++) {
        const uint64_t from = csti_ticks();

        if (peer->ops->put(peer->map, keys + i * BENCH_KEY_BYTES, m->values, 1) != 1)
            return CST_NO_MEMORY;
        histogram_add(&out->puts, csti_ticks() - from);
    }
    out->faults += thread_faults() - faults_before;
    return CST_OK;
}

static void print(bench *b, const bench_maps *m, const char *name, const char *impl,
                  const pauses *found) {
    bench_params params = {0};
    char more[64];

    bench_params_u64(&params, "entries", m->entries);
    bench_params_u64(&params, "key", BENCH_KEY_BYTES);
    bench_params_u64(&params, "value", BENCH_VALUE_BYTES);
    (void)snprintf(more, sizeof more, "\"faults\":%" PRId64 ",\"cpu\":%d", found->faults,
                   found->cpu);
    bench_latencies(b, name, &params, impl, &found->puts, more);
    (void)snprintf(more, sizeof more, "\"cpu\":%d", found->cpu);
    if (strcmp(impl, "constellation") == 0)
        bench_latencies(b, name, &params, "empty loop", &found->empty, more);
}

static cst_code turns(bench_maps *m, const bench_peer_state *peer, const uint8_t *keys,
                      pauses *found) {
    cst_code code = CST_OK;

    for (uint64_t i = 0; i < m->entries && code == CST_OK; i += STRETCH) {
        const uint64_t count = m->entries - i < STRETCH ? m->entries - i : STRETCH;
        const uint8_t *stretch = keys + i * BENCH_KEY_BYTES;

        code = peer ? peer_stretch(m, peer, found, stretch, count)
                    : ours_stretch(m, found, stretch, count);
        if (!peer) empty_turns(m->b, found, count);
    }
    return code;
}

static cst_code measure(bench_maps *m, const char *name, const bench_peer_state *peer,
                        const uint8_t *keys, cst_err *err) {
    static pauses found;
    cpu_set_t before;
    cst_code code;

    if (!bench_wanted(m->b, name)) return CST_OK;
    memset(&found, 0, sizeof found);
    found.cpu = sched_getcpu();
    if (sched_getaffinity(0, sizeof before, &before) != 0)
        return cst_fail(err, CST_IO, "processors of this thread: %s", strerror(errno));
    code = csti_thread_pin(found.cpu, err);
    if (code != CST_OK) return code;
    code = turns(m, peer, keys, &found);
    (void)sched_setaffinity(0, sizeof before, &before); // threads that come later inherit it
    if (code != CST_OK) return cst_fail(err, code, "%s", name);
    print(m->b, m, name, peer ? peer->ops->name : "constellation", &found);
    return CST_OK;
}

cst_code bench_growth(bench *b, cst_err *err) {
    static bench_maps m;
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++) {
        code = bench_maps_open(&m, b, b->sizes[i], err);
        if (code == CST_OK) code = measure(&m, "growth.put", NULL, m.keys.base, err);
        // The table is as large as it gets: what is left is sealing and releasing.
        if (code == CST_OK) code = bench_maps_fill(&m, err);
        if (code == CST_OK) code = measure(&m, "growth.update", NULL, m.order.base, err);
        for (size_t p = 0; p < m.peers_count && code == CST_OK; p++) {
            if (m.peers[p].ops->slow) continue;
            m.peers[p].ops->close(m.peers[p].map);
            m.peers[p].map = m.peers[p].ops->open(0, b->folder);
            if (!m.peers[p].map) return cst_fail(err, CST_NO_MEMORY, "%s", m.peers[p].ops->name);
            code = measure(&m, "growth.put", &m.peers[p], m.keys.base, err);
        }
        bench_maps_close(&m);
    }
    return code;
}
