#include "codec/dispatch.h"

#include <stdatomic.h>

#define CODEC_SET(set)                                                                             \
    {                                                                                              \
        .name = #set, .hash_fixed = csti_##set##_hash_fixed,                                       \
        .hash_variable = csti_##set##_hash_variable, .key_transform = csti_##set##_key_transform,  \
        .key_pair8 = csti_##set##_key_pair8, .key_escape = csti_##set##_key_escape                 \
    }

static const csti_codec codecs[] = {
    [CSTI_CPU_SCALAR] = CODEC_SET(scalar),
    [CSTI_CPU_AVX2] = CODEC_SET(avx2),
    [CSTI_CPU_AVX512] = CODEC_SET(avx512),
};

// Asking costs microseconds in a virtual machine, so the answer is kept: the best level + 1, or 0
// while nobody has asked. Two who ask at once store the same number, so no order is needed.
static _Atomic int best_level;

static csti_cpu_level ask_best(void) {
    int known = atomic_load_explicit(&best_level, memory_order_relaxed);

    if (known == 0) {
        const csti_cpu_features features = csti_cpu_detect();
        known = (int)csti_cpu_best(&features) + 1;
        atomic_store_explicit(&best_level, known, memory_order_relaxed);
    }
    return (csti_cpu_level)(known - 1);
}

const csti_codec *csti_codec_for(csti_cpu_level level) {
    return level <= ask_best() ? &codecs[level] : NULL;
}

const csti_codec *csti_codec_best(void) {
    return &codecs[ask_best()];
}
