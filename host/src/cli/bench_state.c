// bench_state.c: the table beside maps and stores that one would otherwise use.
#include "cli/bench_checkpoint.h"
#include "cli/bench_maps.h"

#include "stream/zipf.h"

#include <inttypes.h>
#include <string.h>

enum {
    GETS_MAX = 2 << 20, // operations of a round
    ATTACK_ENTRIES = 16384,
    // What an entry takes, about: its slot with its share of the index, its record, a peer's.
    OURS_BYTES = 130,
    RECORD_BYTES = 96,
    PEERS_BYTES = 150,
};

typedef struct state_bench {
    bench_maps maps;
    bench_memory other; // keys that miss, or of a skewed workload
    uint64_t gets;
    bench_lines five_lines, three_lines, one_line;
} state_bench;

static void fill_other(state_bench *s, const char *workload) {
    const bench *b = s->maps.b;
    csti_zipf zipf;

    csti_zipf_init(&zipf, s->maps.entries, b->skew);
    for (uint64_t i = 0; i < s->maps.order_count; i++) {
        uint64_t index = 0; // one-key

        if (strcmp(workload, "miss") == 0)
            index = s->maps.entries + i;
        else if (strcmp(workload, "zipf") == 0)
            index = csti_zipf_rank(&zipf, csti_splitmix64(b->seed ^ i)) - 1;
        bench_key(b->seed, index, s->other.base + i * BENCH_KEY_BYTES);
    }
}

static cst_code measure_gets(state_bench *s, cst_err *err) {
    bench_maps *m = &s->maps;
    const bench_side three = {BENCH_LIMIT, "limit", bench_lines_round, &s->three_lines};
    const bench_side one = {BENCH_LIMIT, "limit", bench_lines_round, &s->one_line};
    const struct {
        bench_loop_what what;
        const char *other; // what s->other has to hold
    } loops[] = {
        {{"state.get", "uniform", BENCH_LOOP_GET, m->order.base, s->gets, true, &three}, NULL},
        {{"state.get_single", "uniform", BENCH_LOOP_GET_SINGLE, m->order.base, s->gets, true, NULL},
         NULL},
        {{"state.get_dependent", "uniform", BENCH_LOOP_GET_DEPENDENT, m->order.base, s->gets / 2,
          true, NULL},
         NULL},
        {{"state.miss", "uniform", BENCH_LOOP_GET, s->other.base, s->gets, false, &one}, "miss"},
        {{"state.get", "zipf", BENCH_LOOP_GET, s->other.base, s->gets, true, NULL}, "zipf"},
        {{"state.get", "one-key", BENCH_LOOP_GET, s->other.base, s->gets, true, NULL}, "one-key"},
    };

    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        cst_code code;

        if (loops[i].other) fill_other(s, loops[i].other);
        code = bench_maps_compare(m, &loops[i].what, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

static cst_code measure_updates(state_bench *s, bench_loop loop, cst_err *err) {
    static const char *const skewed[] = {"zipf", "one-key"};
    const char *name = loop == BENCH_LOOP_UPDATE ? "state.update" : "state.update_steady";
    // A steady round is a table's worth: five of them turn all of it over.
    const uint64_t count = loop == BENCH_LOOP_UPDATE ? s->gets : s->maps.order_count;
    const bench_side five = {BENCH_LIMIT, "limit", bench_lines_round, &s->five_lines};
    bench_loop_what what = {name,
                            "uniform",
                            loop,
                            s->maps.order.base,
                            count,
                            true,
                            loop == BENCH_LOOP_UPDATE ? &five : NULL};
    cst_code code = bench_maps_compare(&s->maps, &what, err);

    for (size_t i = 0; i < 2 && code == CST_OK; i++) {
        fill_other(s, skewed[i]);
        what.limit = NULL;
        what.workload = skewed[i];
        what.keys = s->other.base;
        code = bench_maps_compare(&s->maps, &what, err);
    }
    return code;
}

static cst_code measure_inserts(state_bench *s, cst_err *err) {
    bench_maps *m = &s->maps;
    const bench_loop_what single = {"state.insert_single",
                                    "uniform",
                                    BENCH_LOOP_INSERT_SINGLE,
                                    m->keys.base,
                                    m->entries,
                                    true,
                                    NULL};
    const bench_loop_what batched = {
        "state.insert", "uniform", BENCH_LOOP_INSERT, m->keys.base, m->entries, true, NULL};
    const cst_code code = bench_maps_compare(m, &single, err);

    return code == CST_OK ? bench_maps_compare(m, &batched, err) : code;
}

static cst_code measure_memory(bench_maps *m, const char *when) {
    bench_params params = {0};
    cst_table_stats stats;
    char fields[480];
    double ours;
    int used;

    if (!bench_wanted(m->b, "state.memory")) return CST_OK;
    cst_table_stats_read(m->ours.table, &stats);
    bench_params_u64(&params, "entries", m->entries);
    bench_params_u64(&params, "key", BENCH_KEY_BYTES);
    bench_params_u64(&params, "value", BENCH_VALUE_BYTES);
    bench_params_text(&params, "when", when);
    ours = (double)(stats.slots_bytes + stats.index_bytes + stats.directory_bytes) /
           (double)stats.rows_count;
    used = snprintf(fields, sizeof fields,
                    "\"slots_bytes\":%" PRIu64 ",\"index_bytes\":%" PRIu64
                    ",\"directory_bytes\":%" PRIu64 ",\"log_bytes\":%" PRIu64
                    ",\"bytes_per_entry\":%.1f",
                    stats.slots_bytes, stats.index_bytes, stats.directory_bytes, stats.log_bytes,
                    ours);
    if (m->peers_count == 0) bench_numbers(m->b, "state.memory", &params, "constellation", fields);
    for (size_t i = 0; i < m->peers_count; i++) {
        const bench_peer_map *ops = m->peers[i].ops;
        const double theirs = (double)ops->bytes(m->peers[i].map) / (double)m->entries;

        (void)snprintf(fields + used, sizeof fields - (size_t)used,
                       ",\"peer\":\"%s\",\"peer_bytes_per_entry\":%.1f,\"ratio\":%.4g", ops->name,
                       theirs, theirs / ours);
        bench_numbers(m->b, "state.memory", &params, "constellation", fields);
    }
    return CST_OK;
}

static cst_code open_limits(state_bench *s, cst_err *err) {
    cst_table_stats stats;
    cst_code code;

    cst_table_stats_read(s->maps.ours.table, &stats);
    code = bench_lines_open(&s->three_lines, stats.index_bytes, stats.slots_bytes, 0, err);
    if (code != CST_OK) return code;
    return bench_lines_open(&s->one_line, stats.index_bytes, 0, 0, err);
}

static cst_code measure_updates_in_place(state_bench *s, cst_err *err) {
    cst_table_stats stats;
    cst_code code;

    // Every row was inserted in the epoch that is still open: each has its record.
    cst_table_stats_read(s->maps.ours.table, &stats);
    code = bench_lines_open(&s->five_lines, stats.index_bytes, stats.slots_bytes,
                            stats.rows_count * RECORD_BYTES, err);
    if (code == CST_OK) code = measure_updates(s, BENCH_LOOP_UPDATE, err);
    bench_lines_close(&s->five_lines);
    return code;
}

static cst_code measure_filled(state_bench *s, cst_err *err) {
    bench_maps *m = &s->maps;
    cst_code code = bench_maps_fill(m, err);

    if (code != CST_OK) return code;
    code = measure_updates_in_place(s, err);
    if (code == CST_OK) code = bench_table_seal(&m->ours, 0, NULL);
    if (code == CST_OK) code = measure_memory(m, "filled");
    if (code == CST_OK) code = open_limits(s, err);
    if (code == CST_OK) code = measure_gets(s, err);
    if (code == CST_OK) code = measure_updates(s, BENCH_LOOP_UPDATE_STEADY, err);
    if (code == CST_OK) code = bench_checkpoint(m, err);
    if (code == CST_OK) code = measure_memory(m, "updated");
    return code;
}

// Keys in three orders, the table with every row in its open epoch, the limit's lines, and peers.
static cst_code check_memory(const bench *b, uint64_t entries, cst_err *err) {
    uint64_t each = 3 * BENCH_KEY_BYTES + 2 * (OURS_BYTES + RECORD_BYTES);
    cst_code code;

    for (size_t i = 0; b->peers && i < b->peers->maps_count; i++)
        if (!b->peers->maps[i]->slow) each += PEERS_BYTES;
    code = bench_memory_check(entries > UINT64_MAX / each ? UINT64_MAX : entries * each, err);
    return code == CST_OK ? code : cst_fail_at(err, code, "state: %" PRIu64 " entries", entries);
}

static cst_code measure_size(bench *b, uint64_t entries, cst_err *err) {
    static state_bench s;
    cst_code code = check_memory(b, entries, err);

    if (code != CST_OK) return code;
    memset(&s, 0, sizeof s);
    code = bench_maps_open(&s.maps, b, entries, err);
    if (code != CST_OK) return code;
    s.gets = s.maps.order_count < GETS_MAX ? s.maps.order_count : GETS_MAX;
    code = bench_memory_take(&s.other, s.maps.order_count * BENCH_KEY_BYTES, err);
    if (code == CST_OK) code = measure_inserts(&s, err);
    if (code == CST_OK) code = measure_filled(&s, err);
    bench_memory_give(&s.other);
    bench_lines_close(&s.three_lines);
    bench_lines_close(&s.one_line);
    bench_maps_close(&s.maps);
    return code;
}

// Keys whose hashes in the peer's table agree where it chooses a place, found by trying.
static void attack_keys(const bench *b, const bench_peer_map *peer, uint8_t *keys, uint64_t count) {
    const uint64_t mask = (1u << BENCH_ATTACK_BITS) - 1;

    for (uint64_t found = 0, index = 0; found < count; index++) {
        uint8_t *key = keys + found * BENCH_KEY_BYTES;

        bench_key(~b->seed, index, key);
        if ((peer->hash(key) >> peer->attack_shift & mask) == 0) found++;
    }
}

static cst_code measure_attack(bench *b, const bench_peer_map *peer, cst_err *err) {
    const uint64_t entries = b->sizes[0] < ATTACK_ENTRIES ? b->sizes[0] : ATTACK_ENTRIES;
    static bench_maps m;
    cst_code code = bench_maps_open(&m, b, entries, err);

    if (code != CST_OK) return code;
    // Only the peer that the keys are meant for.
    for (size_t i = 0; i < m.peers_count; i++)
        if (m.peers[i].ops != peer) m.peers[i].ops->close(m.peers[i].map);
    for (size_t i = 0; i < m.peers_count; i++)
        if (m.peers[i].ops == peer) m.peers[0] = m.peers[i];
    m.peers_count = 1;
    attack_keys(b, peer, m.keys.base, entries);
    const bench_loop_what loops[] = {
        {"state.insert", "adversarial", BENCH_LOOP_INSERT, m.keys.base, entries, true, NULL},
        {"state.get", "adversarial", BENCH_LOOP_GET, m.keys.base, entries, true, NULL},
    };
    for (size_t i = 0; i < 2 && code == CST_OK; i++) {
        code = bench_maps_compare(&m, &loops[i], err);
        if (code == CST_OK) code = bench_maps_fill(&m, err);
    }
    bench_maps_close(&m);
    return code;
}

cst_code bench_state(bench *b, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++)
        code = measure_size(b, b->sizes[i], err);
    for (size_t i = 0; b->peers && i < b->peers->maps_count && code == CST_OK; i++)
        if (b->peers->maps[i]->hash) code = measure_attack(b, b->peers->maps[i], err);
    return code;
}
