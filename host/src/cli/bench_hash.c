// bench_hash.c: SipHash-1-3 of 16-byte keys in batches, beside what one would inline.
#include "cli/bench.h"

#include "codec/dispatch.h"

#include <string.h>

enum { POOL_KEYS = 8192, HASHES_A_ROUND = 1 << 20 };

typedef struct hash_side {
    const bench *b;
    const csti_codec *codec; // NULL: a peer's
    const bench_peer_hash *peer;
    const uint8_t *keys;
    uint64_t *hashes;
    cst_hash_key key;
} hash_side;

static void hash_pool(const hash_side *side) {
    for (size_t i = 0; i < POOL_KEYS; i += side->b->batch) {
        const size_t n = POOL_KEYS - i < side->b->batch ? POOL_KEYS - i : side->b->batch;
        const uint8_t *keys = side->keys + i * BENCH_KEY_BYTES;

        if (side->codec)
            side->codec->hash_fixed(&side->key, keys, BENCH_KEY_BYTES, BENCH_KEY_BYTES, n,
                                    side->hashes + i);
        else
            side->peer->run(side->key.k0, side->key.k1, keys, n, side->hashes + i);
    }
}

static cst_code hash_round(void *context, double *ns_per_op_out, cst_err *err) {
    const hash_side *side = context;
    const uint64_t from_ns = bench_now_ns();

    for (int i = 0; i < HASHES_A_ROUND / POOL_KEYS; i++) hash_pool(side);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / HASHES_A_ROUND;
    if (side->codec && side->hashes[7] != cst_hash(&side->key, side->keys + 7 * 16, 16))
        return cst_fail(err, CST_INTERNAL, "%s gives other bits", side->codec->name);
    return CST_OK;
}

static cst_code measure_set(bench *b, const hash_side *pool, const csti_codec *codec,
                            cst_err *err) {
    hash_side loops[BENCH_SIDES_MAX];
    bench_side sides[BENCH_SIDES_MAX];
    bench_params params = {0};
    const bench_what what = {.name = "hash.fixed",
                             .params = &params,
                             .cycles = true,
                             .bytes_per_op = BENCH_KEY_BYTES};
    size_t count = 1;

    bench_params_u64(&params, "key", BENCH_KEY_BYTES);
    bench_params_u64(&params, "batch", b->batch);
    bench_params_text(&params, "set", codec->name);
    loops[0] = *pool;
    loops[0].codec = codec;
    sides[0] = (bench_side){BENCH_OURS, "constellation", hash_round, &loops[0]};
    for (size_t i = 0; b->peers && i < b->peers->hashes_count && count < BENCH_SIDES_MAX; i++) {
        loops[count] = *pool;
        loops[count].peer = &b->peers->hashes[i];
        sides[count] =
            (bench_side){BENCH_PEER, b->peers->hashes[i].name, hash_round, &loops[count]};
        count++;
    }
    return bench_compare(b, &what, sides, count, err);
}

cst_code bench_hash(bench *b, cst_err *err) {
    static uint8_t keys[POOL_KEYS * BENCH_KEY_BYTES];
    static uint64_t hashes[POOL_KEYS];
    const csti_cpu_level levels[] = {CSTI_CPU_SCALAR, CSTI_CPU_AVX2, CSTI_CPU_AVX512};
    const hash_side pool = {.b = b,
                            .keys = keys,
                            .hashes = hashes,
                            .key = {b->seed * 3 + 1, b->seed * 5 + 2}};
    cst_code code = CST_OK;

    for (uint64_t i = 0; i < POOL_KEYS; i++) bench_key(b->seed, i, keys + i * BENCH_KEY_BYTES);
    for (size_t i = 0; i < sizeof levels / sizeof *levels && code == CST_OK; i++) {
        const csti_codec *codec = csti_codec_for(levels[i]);

        if (codec) code = measure_set(b, &pool, codec, err);
    }
    return code;
}
