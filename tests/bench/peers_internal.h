// peers_internal.h: the peers, one group a file.
#ifndef CST_BENCH_PEERS_INTERNAL_H
#define CST_BENCH_PEERS_INTERNAL_H

#include "cli/bench_peers.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace peers {

extern const bench_peer_map boost_flat_map, absl_flat_map; // flat_maps.cc
extern const bench_peer_map rocksdb_map, lmdb_map;         // stores.cc
extern const bench_peer_hash hashes[];                     // hashes.cc
extern const std::size_t hashes_count;
extern const bench_peer_encode encodes[];
extern const std::size_t encodes_count;
extern const bench_peer_parse parses[]; // parses.cc
extern const std::size_t parses_count;
extern const bench_peer_aggregate aggregates[]; // aggregates.cc
extern const std::size_t aggregates_count;

struct Key {
    std::uint64_t a, b;
    bool operator==(const Key &other) const { return a == other.a && b == other.b; }
};
struct Value {
    unsigned char bytes[BENCH_VALUE_BYTES];
};
static_assert(sizeof(Key) == BENCH_KEY_BYTES);

inline Key key_at(const std::uint8_t *keys, std::size_t index) {
    Key key;
    std::memcpy(&key, keys + index * BENCH_KEY_BYTES, sizeof key);
    return key;
}
inline const std::uint8_t *value_at(const std::uint8_t *values, std::size_t index) {
    return values + index % BENCH_VALUES_COUNT * BENCH_VALUE_BYTES;
}
inline std::uint8_t *value_at(std::uint8_t *values, std::size_t index) {
    return values + index % BENCH_VALUES_COUNT * BENCH_VALUE_BYTES;
}

} // namespace peers

#endif
