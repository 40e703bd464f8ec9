// bench_table.h: a table of 16-byte keys and 64-byte values, with the loops that benchmarks time.
//
//   keys ──hash (in batches)──► cst_table_lookup | cst_table_apply_all      the hash is timed too
//
// Promises   what is counted is checked: a loop that finds fewer keys than it should is an error.
// Thread     the owner's.
// Ring       2 around the table's rings 0 and 1.
// Owner      the bench_table owns table and buffers.
#ifndef CST_CLI_BENCH_TABLE_H
#define CST_CLI_BENCH_TABLE_H

#include "cli/bench.h"

enum { BENCH_KEPT_MAX = 16 };

typedef struct bench_table {
    cst_table *table;
    cst_hash_key hash_key;
    uint32_t batch;
    uint64_t *hashes;    // batch
    uint8_t *found;      // batch
    uint8_t *values;     // batch values to write
    uint8_t *values_out; // batch values read
    uint64_t seals_count;
    cst_delta sealed[BENCH_KEPT_MAX]; // the last of them, by number
} bench_table;

typedef struct bench_table_options {
    uint64_t rows;      // to expect
    bool reserved;      // say so to the table, instead of letting it grow
    uint64_t log_bytes; // room for changes that are not released
    bool alone;         // no helper thread: one core does all
} bench_table_options;

CST_CHECK_RESULT cst_code bench_table_open(bench_table *t, const bench *b,
                                           const bench_table_options *options, cst_err *err);
void bench_table_close(bench_table *t); // a zeroed one is allowed

CST_CHECK_RESULT cst_code bench_table_put(bench_table *t, const uint8_t *keys, size_t count);
CST_CHECK_RESULT cst_code bench_table_put_single(bench_table *t, const uint8_t *keys, size_t count);
CST_CHECK_RESULT cst_code bench_table_erase(bench_table *t, const uint8_t *keys, size_t count);
CST_CHECK_RESULT cst_code bench_table_get(bench_table *t, const uint8_t *keys, size_t count,
                                          size_t *found_out);
CST_CHECK_RESULT cst_code bench_table_get_single(bench_table *t, const uint8_t *keys, size_t count,
                                                 size_t *found_out);
// Each key's address waits for the last value: `zero` is 0, which the compiler cannot know.
CST_CHECK_RESULT cst_code bench_table_get_dependent(bench_table *t, const uint8_t *keys,
                                                    size_t count, uint64_t zero, size_t *found_out);

cst_program bench_table_program(void);
cst_hash_key bench_table_hash_key(const bench *b);

// Seals; releases what is more than `keep` epochs old.
CST_CHECK_RESULT cst_code bench_table_seal(bench_table *t, uint64_t keep, cst_delta *delta_out);
// What follows cst_table_seal, for those who time it alone.
CST_CHECK_RESULT cst_code bench_table_sealed(bench_table *t, uint64_t keep, const cst_delta *delta);

#endif
