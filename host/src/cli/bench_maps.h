// bench_maps.h: our table and the peers' maps, filled alike and put through the same loops by
// turns.
//
//   keys[0..entries)  insertion order        order[0..order_count)  what is asked for, at random
//
//   maps.ours    bench_table
//   maps.peers   { boost, absl, RocksDB, LMDB }: slow ones only where entries <=
//   BENCH_SLOW_ENTRIES,
//                                                 and with a part of the operations a round
//
// Promises   every side sees the same keys in the same order.
// Owner      bench_maps owns maps and keys.
#ifndef CST_CLI_BENCH_MAPS_H
#define CST_CLI_BENCH_MAPS_H

#include "cli/bench_table.h"

enum {
    BENCH_PEER_MAPS_MAX = 8,
    BENCH_SLOW_ENTRIES = 1 << 20,
    BENCH_SLOW_SHARE = 16, // a slow peer does one in so many operations
};

typedef enum bench_loop {
    BENCH_LOOP_GET,
    BENCH_LOOP_GET_SINGLE,
    BENCH_LOOP_GET_DEPENDENT,
    BENCH_LOOP_UPDATE,
    BENCH_LOOP_UPDATE_STEADY, // ours seals every epoch_rows and releases two epochs later
    BENCH_LOOP_INSERT,        // each round begins with an empty map
    BENCH_LOOP_INSERT_SINGLE,
} bench_loop;

typedef struct bench_peer_state {
    const bench_peer_map *ops;
    void *map;
} bench_peer_state;

typedef struct bench_maps {
    bench *b;
    uint64_t entries;
    uint64_t epoch_rows;
    bench_memory keys, order;
    uint64_t order_count;
    bench_table ours;
    uint64_t rows_since_seal;
    bench_peer_state peers[BENCH_PEER_MAPS_MAX];
    size_t peers_count;
    uint8_t values[BENCH_VALUES_COUNT * BENCH_VALUE_BYTES];
    uint8_t values_out[BENCH_VALUES_COUNT * BENCH_VALUE_BYTES];
} bench_maps;

// Keys made, maps empty. `order` is uniform.
CST_CHECK_RESULT cst_code bench_maps_open(bench_maps *m, bench *b, uint64_t entries, cst_err *err);
void bench_maps_close(bench_maps *m); // a zeroed one is allowed
// Puts all keys into those maps that do not hold them yet, all in the epoch that is open.
CST_CHECK_RESULT cst_code bench_maps_fill(bench_maps *m, cst_err *err);
// The same, sealed and released on the way: it needs no room for a change of every row.
CST_CHECK_RESULT cst_code bench_maps_fill_sealed(bench_maps *m, cst_err *err);

typedef struct bench_loop_what {
    const char *name;     // "state.get"
    const char *workload; // "uniform"
    bench_loop loop;
    const uint8_t *keys;
    uint64_t count;          // operations a round
    bool hits;               // whether all keys are there, or none
    const bench_side *limit; // NULL: none
} bench_loop_what;

CST_CHECK_RESULT cst_code bench_maps_compare(bench_maps *m, const bench_loop_what *what,
                                             cst_err *err);

#endif
