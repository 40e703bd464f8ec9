// flat_maps.cc: boost::unordered_flat_map and absl::flat_hash_map, both hashed by inlined xxh3.
#define XXH_INLINE_ALL
#include "hugepages.h"
#include "peers_internal.h"

#include <absl/container/flat_hash_map.h>
#include <boost/unordered/unordered_flat_map.hpp>
#include <utility>
#include <xxhash.h>

namespace peers {
namespace {

struct Xxh3 {
    using is_avalanching = void; // boost: its bits need no further mixing
    std::size_t operator()(const Key &key) const { return XXH3_64bits(&key, sizeof key); }
};
struct Boost {};
struct Absl {};
template <class Tag> using Pairs = Hugepages<std::pair<const Key, Value>, Tag>;
using BoostMap = boost::unordered_flat_map<Key, Value, Xxh3, std::equal_to<Key>, Pairs<Boost>>;
using AbslMap = absl::flat_hash_map<Key, Value, Xxh3, std::equal_to<Key>, Pairs<Absl>>;

std::uint64_t hash_key(const std::uint8_t *key) {
    return XXH3_64bits(key, BENCH_KEY_BYTES);
}

template <class Map> struct Ops {
    static void *open(std::uint64_t rows_hint, const char *) noexcept {
        try {
            auto *map = new Map();
            if (rows_hint > 0) map->reserve(rows_hint);
            return map;
        } catch (...) {
            return nullptr;
        }
    }
    static void close(void *map) noexcept { delete static_cast<Map *>(map); }

    static std::size_t put(void *opaque, const std::uint8_t *keys, const std::uint8_t *values,
                           std::size_t count) noexcept {
        auto &map = *static_cast<Map *>(opaque);
        try {
            for (std::size_t i = 0; i < count; i++)
                std::memcpy(map[key_at(keys, i)].bytes, value_at(values, i), BENCH_VALUE_BYTES);
        } catch (...) {
            return 0;
        }
        return count;
    }
    static std::size_t erase(void *opaque, const std::uint8_t *keys, std::size_t count) noexcept {
        auto &map = *static_cast<Map *>(opaque);
        std::size_t erased = 0;
        for (std::size_t i = 0; i < count; i++) erased += map.erase(key_at(keys, i));
        return erased;
    }
    static std::size_t get(void *opaque, const std::uint8_t *keys, std::size_t count,
                           std::uint8_t *values_out) noexcept {
        auto &map = *static_cast<Map *>(opaque);
        std::size_t found = 0;
        for (std::size_t i = 0; i < count; i++) {
            const auto at = map.find(key_at(keys, i));
            if (at == map.end()) continue;
            std::memcpy(value_at(values_out, i), at->second.bytes, BENCH_VALUE_BYTES);
            found++;
        }
        return found;
    }
    static std::size_t get_dependent(void *opaque, const std::uint8_t *keys, std::size_t count,
                                     std::uint8_t *values_out, std::uint64_t zero) noexcept {
        auto &map = *static_cast<Map *>(opaque);
        std::size_t found = 0;
        std::uint64_t last = 0;
        for (std::size_t i = 0; i < count; i++) {
            const auto at = map.find(key_at(keys, i + (last & zero)));
            if (at == map.end()) continue;
            std::memcpy(values_out, at->second.bytes, BENCH_VALUE_BYTES);
            std::memcpy(&last, values_out, sizeof last);
            found++;
        }
        return found;
    }
    static std::size_t update(void *opaque, const std::uint8_t *keys, const std::uint8_t *values,
                              std::size_t count) noexcept {
        auto &map = *static_cast<Map *>(opaque);
        std::size_t found = 0;
        for (std::size_t i = 0; i < count; i++) {
            const auto at = map.find(key_at(keys, i));
            if (at == map.end()) continue;
            std::memcpy(at->second.bytes, value_at(values, i), BENCH_VALUE_BYTES);
            found++;
        }
        return found;
    }
    static std::size_t update_grouped(void *opaque, const std::uint8_t *keys,
                                      const std::uint8_t *values, std::size_t count) noexcept {
        constexpr std::size_t kGroup = 8;
        auto &map = *static_cast<Map *>(opaque);
        std::size_t found = 0;
        for (std::size_t i = 0; i < count; i += kGroup) {
            const std::size_t n = count - i < kGroup ? count - i : kGroup;
            typename Map::iterator at[kGroup];
            for (std::size_t j = 0; j < n; j++) at[j] = map.find(key_at(keys, i + j));
            for (std::size_t j = 0; j < n; j++) {
                if (at[j] == map.end()) continue;
                std::memcpy(at[j]->second.bytes, value_at(values, i + j), BENCH_VALUE_BYTES);
                found++;
            }
        }
        return found;
    }
};

std::uint64_t boost_bytes(void *) {
    return Pairs<Boost>::live();
}
std::uint64_t absl_bytes(void *) {
    return Pairs<Absl>::live();
}

} // namespace

// boost takes a group by the hash's upper bits, absl by those above the lowest seven.
const bench_peer_map boost_flat_map = {
    "boost::unordered_flat_map",
    "boost::unordered_flat_map, find 8 then store",
    false,
    64 - BENCH_ATTACK_BITS,
    hash_key,
    Ops<BoostMap>::open,
    Ops<BoostMap>::close,
    Ops<BoostMap>::put,
    Ops<BoostMap>::erase,
    Ops<BoostMap>::get,
    Ops<BoostMap>::get_dependent,
    Ops<BoostMap>::update,
    Ops<BoostMap>::update_grouped,
    boost_bytes,
    nullptr, // memory alone
    nullptr,
    nullptr,
};
const bench_peer_map absl_flat_map = {
    "absl::flat_hash_map",
    "absl::flat_hash_map, find 8 then store",
    false,
    7,
    hash_key,
    Ops<AbslMap>::open,
    Ops<AbslMap>::close,
    Ops<AbslMap>::put,
    Ops<AbslMap>::erase,
    Ops<AbslMap>::get,
    Ops<AbslMap>::get_dependent,
    Ops<AbslMap>::update,
    Ops<AbslMap>::update_grouped,
    absl_bytes,
    nullptr, // memory alone
    nullptr,
    nullptr,
};

} // namespace peers
