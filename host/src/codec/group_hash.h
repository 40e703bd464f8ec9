// group_hash.h: the hash of a key that lies where the beginning of it does.
//
//   key    | what decides the key group | tail |
//   hash   | group of the first part's hash : 12 bits | the rest of the whole key's |
//
// Sessions are keyed by key and start: all of a key are in one partition, and spread over a table
// as other keys are.
//
// Promises   without a tail it is cst_hash.
// Thread     pure. Ring 0.
#ifndef CST_CODEC_GROUP_HASH_H
#define CST_CODEC_GROUP_HASH_H

#include <assert.h>
#include <constellation/hash.h>

enum { CSTI_GROUP_TAIL_BYTES = 8 }; // of a session's key: its start

static inline uint64_t csti_group_hash(const cst_hash_key *hash_key, const void *key, size_t count,
                                       size_t tail_bytes) {
    const uint64_t group = UINT64_C(0xfff) << 52; // as cst_key_group has it

    assert(tail_bytes <= count);
    if (tail_bytes == 0) return cst_hash(hash_key, key, count);
    return (cst_hash(hash_key, key, count - tail_bytes) & group) |
           (cst_hash(hash_key, key, count) & ~group);
}

#endif
