// peers.cc: the plugin's table.
#include "peers_internal.h"

namespace peers {
namespace {
const bench_peer_map *const maps[] = {&boost_flat_map, &absl_flat_map, &rocksdb_map, &lmdb_map};
} // namespace
} // namespace peers

extern "C" const bench_peers *bench_peers_table(void) {
    static const bench_peers table = {
        BENCH_PEERS_VERSION,
        peers::maps,
        sizeof peers::maps / sizeof *peers::maps,
        peers::hashes,
        peers::hashes_count,
        peers::encodes,
        peers::encodes_count,
        peers::parses,
        peers::parses_count,
        peers::aggregates,
        peers::aggregates_count,
        CST_BENCH_S3_CLIENTS,
    };
    return &table;
}
