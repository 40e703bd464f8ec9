// bench_feed.h: the rows of a benchmarked job, given out as the benchmark says.
//
//   workload ──► bench_rows: made before, in memory ─┐
//                a generator of the workload ────────┤
//                every key once, in order ───────────┤
//                                                    ▼
//   bench_feed ── left: so many rows may go ──► a source for csti_job_options.source_open
//
// All have the columns of the workloads uniform and zipf: key u64, value u64, at timestamp. With
// `slide_keys` rows are a window that slides over so many keys, round and round: a row's key k
// becomes 1 + (k - 1 + first) % slide_keys.
//
// Promises   rows made before are handed out without a copy (but for the keys, where they slide),
//            each split going round its part of them.
// Thread     left, kind, first: any. The rest as in source.h. A feed outlives its source.
// Ring       1.
// Owner      borrows the rows.
#ifndef CST_CLI_BENCH_FEED_H
#define CST_CLI_BENCH_FEED_H

#include "cli/bench.h"
#include "stream/source.h"

#define BENCH_FEED_ENDLESS (INT64_MAX / 2)

typedef struct bench_rows {
    uint64_t count;
    uint64_t *keys, *values;
    bench_memory memory;
} bench_rows;

// Of the workload with its keys 1..entries, by b->seed and b->skew.
CST_CHECK_RESULT cst_code bench_rows_make(bench_rows *rows, const bench *b, const char *workload,
                                          uint64_t entries, uint64_t count, cst_err *err);
void bench_rows_free(bench_rows *rows); // a zeroed one is allowed

typedef enum bench_feed_kind {
    BENCH_FEED_KEYS,      // 1, 2, 3, ...
    BENCH_FEED_ROWS,      // made before
    BENCH_FEED_GENERATOR, // as the job's config says
} bench_feed_kind;

typedef struct bench_feed {
    const bench_rows *rows;
    uint64_t slide_keys; // at least as many as the rows have; 0: keys as they are
    bool times;          // rows are a microsecond apart; else all at 0
    _Atomic uint64_t next_time;
    _Atomic uint32_t kind;
    _Atomic uint64_t first;
    _Atomic uint64_t next_key;
    _Alignas(64) _Atomic int64_t left;
} bench_feed;

// As csti_job_options.source_open wants it; `context` is the feed.
CST_CHECK_RESULT cst_code bench_feed_open(void *context, const csti_source_options *options,
                                          csti_source **out, cst_err *err);

#endif
