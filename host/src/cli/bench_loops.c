#include "cli/bench_loops.h"

#include "base/topology.h"
#include "checkpoint/manifest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOP_ROWS = 1024, // a call: keys, hashes and values stay in the nearest caches
    ENTRY_BYTES = 96,
    SPARE_BYTES = 512 << 20,
};

typedef cst_code (*loop_take)(bench_loops *l, bench_loop *loop, const uint64_t *keys,
                              const uint64_t *values, uint32_t count);

// ---- Keys ---------------------------------------------------------------------------------------

// As the job's: ascending, then descending.
static cst_code keys_encode(const bench_loops *l, bench_loop *loop, const uint64_t *keys,
                            uint32_t count) {
    const cst_column_data column = {.values = {.data = keys, .bytes = count * sizeof *keys}};
    const cst_column_data columns[2] = {column, column};
    const cst_batch batch = {.schema = &l->schema, .rows_count = count, .columns = columns};
    cst_keys out = {.bytes = loop->encoded, .bytes_capacity = (size_t)count * BENCH_KEY_BYTES};

    return cst_keys_encode(&batch, &out);
}

static cst_code keys_hash(const bench_loops *l, bench_loop *loop, const uint64_t *keys,
                          uint32_t count) {
    const cst_code code = keys_encode(l, loop, keys, count);

    if (code == CST_OK)
        cst_hash_fixed(&l->hash_key, loop->encoded, BENCH_KEY_BYTES, BENCH_KEY_BYTES, count,
                       loop->hashes);
    return code;
}

static uint32_t partition_of(const bench_loops *l, uint64_t hash) {
    uint32_t partition = l->b->partitions - 1;

    while (cst_key_group(hash) < csti_partition_group_first(partition, l->b->partitions))
        partition--;
    return partition;
}

static cst_code table_take(bench_loops *l, bench_loop *loop, const uint64_t *keys,
                           const uint64_t *values, uint32_t count) {
    const cst_source source = {.values = values, .type = CST_TYPE_U64};
    const cst_rows rows = {.rows_count = count,
                           .key_stride = BENCH_KEY_BYTES,
                           .key_bytes = BENCH_KEY_BYTES,
                           .hashes = loop->hashes,
                           .keys = loop->encoded,
                           .sources = &source};
    const cst_code code = keys_hash(l, loop, keys, count);
    uint32_t applied;

    return code == CST_OK ? cst_table_apply_all(loop->table, &rows, &applied) : code;
}

static cst_code peer_take(bench_loops *l, bench_loop *loop, const uint64_t *keys,
                          const uint64_t *values, uint32_t count) {
    const cst_code code = keys_encode(l, loop, keys, count);

    if (code != CST_OK) return code;
    return l->peer->apply(loop->store, loop->encoded, values, count) == count ? CST_OK
                                                                              : CST_INTERNAL;
}

// ---- Threads ------------------------------------------------------------------------------------

typedef struct loop_thread {
    bench_loops *l;
    bench_loop *loop;
    loop_take take;
    uint64_t fill_entries; // 0: the loop's rows until the deadline
    uint64_t deadline_ns;
    uint64_t rows;
    pthread_t thread;
    cst_code code;
    cst_err err;
} loop_thread;

static cst_code rows_loop(loop_thread *t) {
    bench_loop *loop = t->loop;

    while (bench_now_ns() < t->deadline_ns) {
        const uint64_t left = loop->count - loop->at;
        const uint32_t count = left < LOOP_ROWS ? (uint32_t)left : LOOP_ROWS;
        const cst_code code =
            t->take(t->l, loop, loop->keys + loop->at, loop->values + loop->at, count);

        if (code != CST_OK) return code;
        t->rows += count;
        loop->at += count;
        if (loop->at == loop->count) loop->at = 0;
    }
    return CST_OK;
}

// Every key of this partition once.
static cst_code fill_loop(loop_thread *t) {
    const uint32_t partition = (uint32_t)(t->loop - t->l->loops);
    uint64_t keys[LOOP_ROWS];
    uint64_t next = 1;

    while (next <= t->fill_entries) {
        uint32_t count = 0;
        cst_code code;

        for (; count < LOOP_ROWS && next <= t->fill_entries; count++) keys[count] = next++;
        code = keys_hash(t->l, t->loop, keys, count);
        if (code != CST_OK) return code;
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++)
            if (partition_of(t->l, t->loop->hashes[i]) == partition) keys[kept++] = keys[i];
        code = t->take(t->l, t->loop, keys, keys, kept);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

static void *loop_main(void *context) {
    loop_thread *t = context;

    t->code = t->loop->cpu >= 0 ? csti_thread_pin(t->loop->cpu, &t->err) : (cst_code)CST_OK;
    if (t->code == CST_OK) t->code = t->fill_entries ? fill_loop(t) : rows_loop(t);
    return NULL;
}

static cst_code threads_run(bench_loops *l, loop_take take, uint64_t fill_entries,
                            double *ns_per_row_out, cst_err *err) {
    loop_thread threads[BENCH_PARTITIONS_MAX];
    const uint64_t from_ns = bench_now_ns();
    const uint64_t cpu_from_ns = bench_cpu_ns();
    uint64_t rows = 0;
    cst_code code = CST_OK;
    uint32_t started = 0;

    for (; started < l->b->partitions; started++) {
        loop_thread *t = &threads[started];

        *t = (loop_thread){.l = l,
                           .loop = &l->loops[started],
                           .take = take,
                           .fill_entries = fill_entries,
                           .deadline_ns = from_ns + (uint64_t)(l->b->seconds * 1e9)};
        if (pthread_create(&t->thread, NULL, loop_main, t) != 0) {
            code = cst_fail(err, CST_NO_MEMORY, "a thread");
            break;
        }
    }
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i].thread, NULL);
        rows += threads[i].rows;
        if (code == CST_OK && threads[i].code != CST_OK)
            code = cst_fail(err, threads[i].code, "loop %u of %s", i,
                            take == peer_take ? l->peer->name : "the table");
    }
    if (code != CST_OK || rows == 0) return code;
    *ns_per_row_out = (double)(bench_now_ns() - from_ns) / (double)rows;
    if (take != table_take) return CST_OK;
    l->table_rows += rows;
    l->table_cpu_ns += bench_cpu_ns() - cpu_from_ns;
    return CST_OK;
}

cst_code bench_loops_table_round(void *context, double *ns_per_row_out, cst_err *err) {
    return threads_run(context, table_take, 0, ns_per_row_out, err);
}

// The key of the next row must have been counted, in whatever form the store keeps it.
static cst_code store_look(bench_loops *l, bench_loop *loop, cst_err *err) {
    uint64_t value[BENCH_AGGREGATES] = {0};
    const cst_code code = keys_encode(l, loop, loop->keys + loop->at, 1);

    if (code != CST_OK) return code;
    if (!l->peer->get(loop->store, loop->encoded, value))
        return cst_fail(err, CST_INTERNAL, "%s lost a key", l->peer->name);
    if (value[0] == 0 || value[1] < value[3] || value[2] > value[3] || value[4] < value[2] ||
        value[4] > value[3])
        return cst_fail(err, CST_INTERNAL,
                        "%s: count %" PRIu64 ", sum %" PRIu64 ", %" PRIu64 " to %" PRIu64
                        ", last %" PRIu64,
                        l->peer->name, value[0], value[1], value[2], value[3], value[4]);
    return CST_OK;
}

cst_code bench_loops_peer_round(void *context, double *ns_per_row_out, cst_err *err) {
    bench_loops *l = context;
    cst_code code = threads_run(l, peer_take, 0, ns_per_row_out, err);

    for (uint32_t p = 0; p < l->b->partitions && code == CST_OK; p++)
        code = store_look(l, &l->loops[p], err);
    return code;
}

// ---- Open ---------------------------------------------------------------------------------------

static cst_program program(void) {
    const cst_program out = {.value_bytes = 8 * BENCH_AGGREGATES,
                             .accumulators_count = BENCH_AGGREGATES,
                             .presence_offset = CST_NO_OFFSET,
                             .time_offset = CST_NO_OFFSET,
                             .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                              {CST_SUM, CST_U64, 8, 0, 0},
                                              {CST_MIN, CST_U64, 16, 0, 0},
                                              {CST_MAX, CST_U64, 24, 0, 0},
                                              {CST_LAST, CST_U64, 32, 0, 0}}};

    return out;
}

static cst_code loop_open(bench_loops *l, uint32_t p, uint64_t entries, cst_err *err) {
    bench_loop *loop = &l->loops[p];
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = BENCH_KEY_BYTES,
        .program = program(),
        .hash_key = l->hash_key,
        .budget_bytes = entries * 2 * ENTRY_BYTES + SPARE_BYTES,
        .numa_node = -1,
        .background = true,
    };
    cst_code code = CST_OK;

    loop->encoded = malloc(LOOP_ROWS * BENCH_KEY_BYTES);
    loop->hashes = malloc(LOOP_ROWS * sizeof *loop->hashes);
    if (!loop->encoded || !loop->hashes) return cst_fail(err, CST_NO_MEMORY, "a loop's keys");
    code = cst_table_open(&options, &loop->table, err);
    if (code != CST_OK || !l->peer) return code;
    loop->store = l->peer->open(l->b->folder, p);
    return loop->store ? CST_OK : cst_fail(err, CST_INTERNAL, "%s does not open", l->peer->name);
}

// Twice over the rows: counted, then dealt out.
static cst_code rows_deal(bench_loops *l, const bench_rows *rows, bool counting) {
    bench_loop *first = &l->loops[0];

    for (uint64_t at = 0; at < rows->count; at += LOOP_ROWS) {
        const uint64_t left = rows->count - at;
        const uint32_t count = left < LOOP_ROWS ? (uint32_t)left : LOOP_ROWS;
        const cst_code code = keys_hash(l, first, rows->keys + at, count);

        if (code != CST_OK) return code;
        for (uint32_t i = 0; i < count; i++) {
            bench_loop *loop = &l->loops[partition_of(l, first->hashes[i])];

            if (!counting) {
                loop->keys[loop->at] = rows->keys[at + i];
                loop->values[loop->at++] = rows->values[at + i];
            } else {
                loop->count++;
            }
        }
    }
    return CST_OK;
}

static cst_code rows_take(bench_loops *l, const bench_rows *rows, cst_err *err) {
    cst_code code = rows_deal(l, rows, true);

    for (uint32_t p = 0; p < l->b->partitions && code == CST_OK; p++) {
        bench_loop *loop = &l->loops[p];

        if (loop->count == 0) return cst_fail(err, CST_INTERNAL, "partition %u has no row", p);
        code = bench_memory_take(&loop->memory, loop->count * 2 * sizeof *loop->keys, err);
        if (code != CST_OK) return code;
        loop->keys = (uint64_t *)(void *)loop->memory.base;
        loop->values = loop->keys + loop->count;
    }
    if (code == CST_OK) code = rows_deal(l, rows, false);
    for (uint32_t p = 0; p < l->b->partitions; p++) l->loops[p].at = 0;
    return code == CST_OK ? code : cst_fail(err, code, "rows of partitions");
}

cst_code bench_loops_open(bench_loops *l, const bench *b, const bench_rows *rows, uint64_t entries,
                          cst_err *err) {
    static csti_topology topology;
    double unused;
    cst_code code;

    *l = (bench_loops){.b = b, .hash_key = {b->seed * 3 + 1, b->seed * 5 + 2}};
    if (b->peers && b->peers->aggregates_count > 0) l->peer = &b->peers->aggregates[0];
    code = cst_schema_parse("u64,desc u64", &l->schema, err);
    if (code == CST_OK) code = csti_topology_take(NULL, &topology, err);
    for (uint32_t p = 0; p < b->partitions && code == CST_OK; p++) {
        l->loops[p].cpu = topology.cpus_count >= b->partitions ? topology.cpus[p].number : -1;
        code = loop_open(l, p, entries, err);
    }
    if (code == CST_OK) code = rows_take(l, rows, err);
    if (code == CST_OK) code = threads_run(l, table_take, entries, &unused, err);
    if (code == CST_OK && l->peer) code = threads_run(l, peer_take, entries, &unused, err);
    if (code != CST_OK) bench_loops_close(l);
    return code;
}

void bench_loops_close(bench_loops *l) {
    for (uint32_t p = 0; p < l->b->partitions; p++) {
        bench_loop *loop = &l->loops[p];

        if (loop->store) l->peer->close(loop->store);
        cst_table_close(loop->table);
        bench_memory_give(&loop->memory);
        free(loop->encoded);
        free(loop->hashes);
    }
    *l = (bench_loops){0};
}
