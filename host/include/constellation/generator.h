// generator.h: rows of the example workloads, as batches.
//
//   row number ──► splitmix64(seed, number, draw) ──► ranks, prices, times ──► one row
//
//   bids     auction u64, bidder u64, price u64 (cents), channel string, at timestamp
//   orders   order u64, customer u64, item string, quantity u32, amount decimal128(2), at timestamp
//   uniform  key u64, value u64, at timestamp      every key equally likely
//   zipf     key u64, value u64, at timestamp      key of rank k in proportion to 1 / k^skew
//   one-key  key u64, value u64, at timestamp      the key is always 1
//
// A row depends on seed, skew, keys and its number, on nothing else: a generator can start at any
// row, and gives the same rows on every machine (its logarithms are its own, in plain IEEE steps).
//
// Promises   equal options give equal rows, in batches of any size.
// Thread     one at a time.
// Ring       1: cst_generator_next allocates nothing, but computes.
// Owner      the generator owns the buffers of the batch it hands out.
#ifndef CONSTELLATION_GENERATOR_H
#define CONSTELLATION_GENERATOR_H

#include <constellation/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CST_GENERATOR_ROWS_MAX = 65536 }; // a batch

typedef struct cst_generator_options {
    uint64_t seed;
    double skew;   // 0 to 10: 0 is uniform; negative: the workload's own (zipf: 0.99)
    uint64_t keys; // distinct auctions, customers or keys; 0: the workload's own
    uint64_t first_row;
} cst_generator_options;

typedef struct cst_generator cst_generator;

// NULL for an index past the last.
CST_API const char *cst_generator_name(size_t index);

// CST_NOT_FOUND: no workload of that name; CST_USAGE: an option out of range or without meaning
// for the workload; CST_NO_MEMORY.
CST_API CST_CHECK_RESULT cst_code cst_generator_open(const char *name,
                                                     const cst_generator_options *options,
                                                     cst_generator **out, cst_err *err);
CST_API void cst_generator_close(cst_generator *generator); // NULL is allowed

CST_API const cst_schema *cst_generator_schema(const cst_generator *generator);
// What its rows depend on: the options, with the workload's own where nothing was chosen.
CST_API cst_generator_options cst_generator_chosen(const cst_generator *generator);
CST_API const char *cst_generator_column(const cst_generator *generator, uint32_t column);

// The next batch begins at this row.
CST_API void cst_generator_seek(cst_generator *generator, uint64_t row);

// Makes the next `rows_count` rows (1 to CST_GENERATOR_ROWS_MAX). The batch holds until the next
// call; it passes cst_batch_check. CST_USAGE: rows_count out of range.
CST_API CST_CHECK_RESULT cst_code cst_generator_next(cst_generator *generator, uint32_t rows_count,
                                                     cst_batch *out);

#ifdef __cplusplus
}
#endif
#endif
