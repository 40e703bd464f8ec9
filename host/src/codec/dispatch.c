#include "codec/dispatch.h"

#define CODEC_SET(set)                                                                             \
    {                                                                                              \
        .name = #set, .hash_fixed = csti_##set##_hash_fixed,                                       \
        .hash_variable = csti_##set##_hash_variable, .key_transform = csti_##set##_key_transform,  \
        .key_pair8 = csti_##set##_key_pair8, .key_escape = csti_##set##_key_escape                 \
    }

static const csti_codec codecs[CSTI_CODEC_ISA_COUNT] = {
    [CSTI_CODEC_SCALAR] = CODEC_SET(scalar),
    [CSTI_CODEC_AVX2] = CODEC_SET(avx2),
    [CSTI_CODEC_AVX512] = CODEC_SET(avx512),
};

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

// All that the *_avx512.c files are compiled for.
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

const csti_codec *csti_codec_for(csti_codec_isa isa) {
    switch (isa) {
    case CSTI_CODEC_SCALAR:
        return &codecs[CSTI_CODEC_SCALAR];
    case CSTI_CODEC_AVX2:
        return has_avx2() ? &codecs[CSTI_CODEC_AVX2] : NULL;
    case CSTI_CODEC_AVX512:
        return has_avx512() ? &codecs[CSTI_CODEC_AVX512] : NULL;
    default:
        return NULL;
    }
}

const csti_codec *csti_codec_best(void) {
    if (has_avx512()) return &codecs[CSTI_CODEC_AVX512];
    if (has_avx2()) return &codecs[CSTI_CODEC_AVX2];
    return &codecs[CSTI_CODEC_SCALAR];
}
