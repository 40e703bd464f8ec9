// bench_peers.h: what `constellation bench --peers` measures against: a table of functions.
//
//   constellation ──dlopen──► libconstellation-peers.so (tests/bench, C++17)
//                  bench_peers_table() ──► { maps: boost, absl, RocksDB, LMDB; hashes; encoders;
//                                            parsers; aggregates }
//
// Keys are 16 bytes and values 64, back to back. Every loop is the peer's own, so that nothing of
// ours stands between its steps, and knows all its keys ahead. Hits are copied out.
//
// Promises   no exception leaves a function; NULL or a count that is too small says that it failed.
// Thread     one at a time; of aggregates one at a time each.
// Ring       2.
// Owner      the plugin owns its maps until close.
#ifndef CST_CLI_BENCH_PEERS_H
#define CST_CLI_BENCH_PEERS_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BENCH_PEERS_VERSION = 5,
    BENCH_KEY_BYTES = 16,
    BENCH_VALUE_BYTES = 64,
    BENCH_VALUES_COUNT = 64, // loops read and write value i at slot i % 64 of a small buffer
    BENCH_PARSE_SLACK_BYTES = 64,
    BENCH_ATTACK_BITS = 12, // an attacker chooses keys whose hashes agree in so many bits
};

typedef struct bench_peer_map {
    const char *name;
    const char *grouped_name;             // of update_grouped; NULL if there is none
    bool slow;                            // microseconds an operation: measured at small sizes only
    uint32_t attack_shift;                // where those bits begin
    uint64_t (*hash)(const uint8_t *key); // without a secret; NULL: no hash to attack

    void *(*open)(uint64_t rows_hint, const char *folder); // 0 rows: grow as you go
    void (*close)(void *map);
    size_t (*put)(void *map, const uint8_t *keys, const uint8_t *values, size_t count);
    size_t (*erase)(void *map, const uint8_t *keys, size_t count);
    size_t (*get)(void *map, const uint8_t *keys, size_t count, uint8_t *values_out);
    // Each key's address waits for the last value: `zero` is 0, which the compiler cannot know.
    size_t (*get_dependent)(void *map, const uint8_t *keys, size_t count, uint8_t *values_out,
                            uint64_t zero);
    size_t (*update)(void *map, const uint8_t *keys, const uint8_t *values, size_t count);
    // Finds 8, then stores 8: a store that waits for its address holds no later find up.
    size_t (*update_grouped)(void *map, const uint8_t *keys, const uint8_t *values, size_t count);
    uint64_t (*bytes)(void *map); // 0: unknown
    // Stores on disk: writes out everything and closes, then (timed) opens and reads all of it,
    // checksums on; how many there were. NULL: this one keeps nothing.
    const char *kept_name;
    bool (*settle)(void *map);
    size_t (*read_again)(void *map);
} bench_peer_map;

typedef struct bench_peer_hash {
    const char *name;
    void (*run)(uint64_t k0, uint64_t k1, const uint8_t *keys, size_t count, uint64_t *out);
} bench_peer_hash;

typedef struct bench_peer_encode {
    const char *name;
    uint32_t columns; // u64 columns a key
    void (*run)(const uint64_t *const *columns, size_t count, uint8_t *out);
} bench_peer_encode;

// Where the rows of `bids` go; channel has 8 bytes a row.
typedef struct bench_parse_columns {
    size_t rows_max;
    uint64_t *auction, *bidder, *price;
    int64_t *at;
    char *channel;
    int32_t *channel_offsets; // rows_max + 1
} bench_parse_columns;

typedef struct bench_peer_parse {
    const char *name;
    // NDJSON, with BENCH_PARSE_SLACK_BYTES behind it; how many rows it is.
    size_t (*run)(const char *text, size_t bytes, const bench_parse_columns *out);
} bench_peer_parse;

// State of a keyed aggregation: count, sum, least, most and newest of a u64.
typedef struct bench_peer_aggregate {
    const char *name;
    void *(*open)(const char *folder, uint32_t number); // each number is another one
    void (*close)(void *state);
    size_t (*apply)(void *state, const uint8_t *keys, const uint64_t *values, size_t count);
    bool (*get)(void *state, const uint8_t *key, uint64_t value_out[5]);
} bench_peer_aggregate;

typedef struct bench_peers {
    uint32_t version;
    const bench_peer_map *const *maps;
    size_t maps_count;
    const bench_peer_hash *hashes;
    size_t hashes_count;
    const bench_peer_encode *encodes;
    size_t encodes_count;
    const bench_peer_parse *parses;
    size_t parses_count;
    const bench_peer_aggregate *aggregates;
    size_t aggregates_count;
    const char *s3_clients; // a script: tests/bench/s3_clients.py
} bench_peers;

// The plugin's one symbol, and its type for dlsym.
CST_API const bench_peers *bench_peers_table(void);
typedef const bench_peers *(*bench_peers_entry)(void);

#ifdef __cplusplus
}
#endif
#endif
