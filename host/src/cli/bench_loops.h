// bench_loops.h: what a job's aggregation costs without the job: the same rows, sorted by partition
// ahead, and a loop a partition that encodes their keys and puts them where state is kept.
//
//   bench_rows ──► rows of partition 0 ─► thread 0: encode ─► hash ─► table.apply
//              └─► rows of partition 1 ─► thread 1:     ... │
//                                                           └► a peer's store, no hash of ours
//
// No reading, no routing, no channel, no barrier, no checkpoint. Threads run on the processors that
// the job's workers have.
//
// Thread     one; it starts the loops' threads and joins them.
// Ring       2.
// Owner      the loops own their tables, stores and rows.
// Errors     INTERNAL: a store that holds something else than what was put.
#ifndef CST_CLI_BENCH_LOOPS_H
#define CST_CLI_BENCH_LOOPS_H

#include "cli/bench_running.h"

// A partition: its rows, and both places that keep state of them.
typedef struct bench_loop {
    uint64_t *keys, *values; // this partition's
    uint64_t count, at;
    bench_memory memory;
    cst_table *table;
    void *store; // of the peer
    uint8_t *encoded;
    uint64_t *hashes;
    int cpu; // -1: anywhere
} bench_loop;

typedef struct bench_loops {
    const bench *b;
    const bench_peer_aggregate *peer; // NULL: without
    cst_hash_key hash_key;
    cst_schema schema;
    uint64_t table_rows, table_cpu_ns; // of all rounds of the table
    bench_loop loops[BENCH_PARTITIONS_MAX];
} bench_loops;

// Fills tables and stores with every key of 1..entries.
CST_CHECK_RESULT cst_code bench_loops_open(bench_loops *l, const bench *b, const bench_rows *rows,
                                           uint64_t entries, cst_err *err);
void bench_loops_close(bench_loops *l); // a zeroed one is allowed

// Rounds of b->seconds; the context is a bench_loops.
cst_code bench_loops_table_round(void *context, double *ns_per_row_out, cst_err *err);
cst_code bench_loops_peer_round(void *context, double *ns_per_row_out, cst_err *err);

#endif
