// bench_chain.h: a full and its deltas in files, as a checkpoint store would hold them.
//
//   key number v = splitmix64(key) mod 1000 decides what becomes of a key after the full:
//   0..299: overridden in delta v * 9 / 300      300..349: deleted in one      the rest: untouched
//
// Promises   30% of the keys are overridden and 5% deleted, spread evenly over 9 deltas.
// Owner      the chain owns its segments and files until close.
#ifndef CST_CLI_BENCH_CHAIN_H
#define CST_CLI_BENCH_CHAIN_H

#include "cli/bench_table.h"

#include <constellation/segment.h>

enum {
    BENCH_CHAIN_DELTAS = 9,
    BENCH_CHAIN_SEGMENTS = BENCH_CHAIN_DELTAS + 1,
    BENCH_CHAIN_PATH_BYTES = BENCH_FOLDER_BYTES + 32,
    BENCH_CHAIN_TABLE_ID = 1,
};
#define BENCH_CHAIN_SCHEMA "fixed(16)"

typedef struct bench_change_list { // keys of one delta, back to back
    bench_memory memory;
    uint64_t puts_count, erases_count; // puts first
} bench_change_list;

typedef struct bench_chain {
    const bench *b;
    uint64_t entries;    // distinct keys
    uint64_t rows_count; // left in the end
    bench_memory keys;
    bench_change_list changes[BENCH_CHAIN_DELTAS];
    cst_segment *segments[BENCH_CHAIN_SEGMENTS];
    uint64_t body_bytes;
} bench_chain;

CST_CHECK_RESULT cst_code bench_chain_open(bench_chain *chain, const bench *b, uint64_t entries,
                                           cst_err *err);
void bench_chain_close(bench_chain *chain); // a zeroed one is allowed
// Where segment `number` is, the full being 0.
void bench_chain_path(const bench_chain *chain, uint32_t number, char path[BENCH_CHAIN_PATH_BYTES]);

#endif
