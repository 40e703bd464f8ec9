// hashes.cc: hashes of 16-byte keys, inlined in their loop, and encoders as one writes them by
// hand.
#define XXH_INLINE_ALL
#include "peers_internal.h"

#include <xxhash.h>

namespace peers {
namespace {

inline std::uint64_t rotl(std::uint64_t x, int b) {
    return x << b | x >> (64 - b);
}

struct SipState {
    std::uint64_t v0, v1, v2, v3;
    void round() {
        v0 += v1, v1 = rotl(v1, 13), v1 ^= v0, v0 = rotl(v0, 32);
        v2 += v3, v3 = rotl(v3, 16), v3 ^= v2;
        v0 += v3, v3 = rotl(v3, 21), v3 ^= v0;
        v2 += v1, v1 = rotl(v1, 17), v1 ^= v2, v2 = rotl(v2, 32);
    }
    void word(std::uint64_t m) { v3 ^= m, round(), v0 ^= m; }
};

// SipHash-1-3 of 16 bytes, after the paper (J.-P. Aumasson, D. J. Bernstein, 2012).
inline std::uint64_t siphash13(std::uint64_t k0, std::uint64_t k1, const std::uint8_t *key) {
    SipState s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                  k1 ^ 0x7465646279746573};
    std::uint64_t word[2];
    std::memcpy(word, key, sizeof word);
    s.word(word[0]);
    s.word(word[1]);
    s.word(std::uint64_t{BENCH_KEY_BYTES} << 56);
    s.v2 ^= 0xff;
    s.round(), s.round(), s.round();
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void siphash_loop(std::uint64_t k0, std::uint64_t k1, const std::uint8_t *keys, std::size_t count,
                  std::uint64_t *out) {
    for (std::size_t i = 0; i < count; i++) out[i] = siphash13(k0, k1, keys + i * BENCH_KEY_BYTES);
}

void xxh3_loop(std::uint64_t k0, std::uint64_t, const std::uint8_t *keys, std::size_t count,
               std::uint64_t *out) {
    for (std::size_t i = 0; i < count; i++)
        out[i] = XXH3_64bits_withSeed(keys + i * BENCH_KEY_BYTES, BENCH_KEY_BYTES, k0);
}

template <std::size_t Columns>
void byte_swap(const std::uint64_t *const *columns, std::size_t count, std::uint8_t *out) {
    for (std::size_t i = 0; i < count; i++)
        for (std::size_t c = 0; c < Columns; c++) {
            const std::uint64_t swapped = __builtin_bswap64(columns[c][i]);
            std::memcpy(out + (i * Columns + c) * sizeof swapped, &swapped, sizeof swapped);
        }
}

} // namespace

const bench_peer_hash hashes[] = {
    {"SipHash-1-3, scalar, inlined", siphash_loop},
    {"xxh3, inlined", xxh3_loop},
};
const std::size_t hashes_count = sizeof hashes / sizeof *hashes;

const bench_peer_encode encodes[] = {
    {"byte swap, inlined loop", 1, byte_swap<1>},
    {"byte swap, inlined loop", 2, byte_swap<2>},
};
const std::size_t encodes_count = sizeof encodes / sizeof *encodes;

} // namespace peers
