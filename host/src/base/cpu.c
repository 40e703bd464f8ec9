#include "base/cpu.h"

#include <cpuid.h>
#include <stddef.h>
#include <string.h>

// Intel SDM volume 2, CPUID; volume 1 §13.3 for XCR0. AMD's are the same bits.
enum {
    LEAF1_ECX_PCLMUL = 1 << 1,
    LEAF1_ECX_SSE42 = 1 << 20,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF1_ECX_AVX = 1 << 28,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_BMI2 = 1 << 8,
    LEAF7_EBX_AVX512F = 1 << 16,
    LEAF7_EBX_AVX512DQ = 1 << 17,
    LEAF7_EBX_AVX512BW = 1 << 30,
    XCR0_YMM = 0x06, // SSE and AVX state
    XCR0_ZMM = 0xe6, // and masks, upper halves, upper registers
};
static const uint32_t leaf7_ebx_avx512vl = UINT32_C(1) << 31;

static bool has(uint64_t value, uint64_t bits) {
    return (value & bits) == bits;
}

csti_cpu_leaves csti_cpu_ask(void) {
    csti_cpu_leaves leaves = {0};
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;

    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) leaves.leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) leaves.leaf7_ebx = ebx;
    if (has(leaves.leaf1_ecx, LEAF1_ECX_OSXSAVE)) {
        uint32_t low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        leaves.xcr0 = (uint64_t)high << 32 | low;
    }
    return leaves;
}

csti_cpu_features csti_cpu_features_of(const csti_cpu_leaves *leaves) {
    csti_cpu_features features = {0};

    features.sse42_pclmul = has(leaves->leaf1_ecx, LEAF1_ECX_SSE42 | LEAF1_ECX_PCLMUL);
    features.avx2 = has(leaves->leaf1_ecx, LEAF1_ECX_OSXSAVE | LEAF1_ECX_AVX) &&
                    has(leaves->leaf7_ebx, LEAF7_EBX_AVX2 | LEAF7_EBX_BMI2) &&
                    has(leaves->xcr0, XCR0_YMM);
    features.avx512 = features.avx2 && has(leaves->xcr0, XCR0_ZMM) &&
                      has(leaves->leaf7_ebx, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ |
                                                 LEAF7_EBX_AVX512BW | leaf7_ebx_avx512vl);
    return features;
}

csti_cpu_level csti_cpu_best(const csti_cpu_features *features) {
    if (features->avx512) return CSTI_CPU_AVX512;
    return features->avx2 ? CSTI_CPU_AVX2 : CSTI_CPU_SCALAR;
}

static const char *const level_names[] = {
    [CSTI_CPU_SCALAR] = "scalar", [CSTI_CPU_AVX2] = "avx2", [CSTI_CPU_AVX512] = "avx512"};

const char *csti_cpu_level_name(csti_cpu_level level) {
    return level_names[level];
}

cst_code csti_cpu_choose(const char *asked, const csti_cpu_features *features,
                         csti_cpu_level *level_out, cst_err *err) {
    const csti_cpu_level best = csti_cpu_best(features);

    if (asked[0] == '\0') {
        *level_out = best;
        return CST_OK;
    }
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(asked, level_names[i]) != 0) continue;
        if ((csti_cpu_level)i > best)
            return cst_fail(err, CST_UNSUPPORTED,
                            "cpu:%s: this machine cannot run it. Its best is cpu:%s", asked,
                            level_names[best]);
        *level_out = (csti_cpu_level)i;
        return CST_OK;
    }
    return cst_fail(err, CST_DEVICE_URI, "cpu:%s: no such level. There are scalar, avx2, avx512",
                    asked);
}
