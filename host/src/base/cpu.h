// cpu.h: which instructions this processor has and its operating system saves, and which of them
// to use.
//
//   cpuid, xgetbv --> csti_cpu_leaves --> csti_cpu_features --> csti_cpu_choose(asked) --> level
//                     (raw bits)          (what may run)        "", scalar, avx2, avx512
//
// A level is what a whole path is compiled for; a level asked for by name is never replaced by a
// lower one in silence.
//
// Promises   a feature is true only if its instructions may be executed here.
// Thread     any. Ring 1: cpuid costs microseconds in a virtual machine; ask once and keep it.
// Errors     CST_DEVICE_URI: no such level. CST_UNSUPPORTED: this machine cannot run it.
#ifndef CST_BASE_CPU_H
#define CST_BASE_CPU_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct csti_cpu_leaves {
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx;
    uint64_t xcr0; // what the operating system saves; 0: it says nothing
} csti_cpu_leaves;

typedef struct csti_cpu_features {
    bool sse42_pclmul; // crc32 and carry-less multiplication
    bool avx2;         // with BMI2
    bool avx512;       // F, BW, VL and DQ, with AVX2 and BMI2
} csti_cpu_features;

typedef enum csti_cpu_level {
    CSTI_CPU_SCALAR,
    CSTI_CPU_AVX2,
    CSTI_CPU_AVX512,
} csti_cpu_level;

csti_cpu_leaves csti_cpu_ask(void);
csti_cpu_features csti_cpu_features_of(const csti_cpu_leaves *leaves);
static inline csti_cpu_features csti_cpu_detect(void) {
    const csti_cpu_leaves leaves = csti_cpu_ask();
    return csti_cpu_features_of(&leaves);
}

// The highest level these features allow.
csti_cpu_level csti_cpu_best(const csti_cpu_features *features);
const char *csti_cpu_level_name(csti_cpu_level level);
// `asked` is what follows "cpu:" in a device name; empty asks for the best.
CST_CHECK_RESULT cst_code csti_cpu_choose(const char *asked, const csti_cpu_features *features,
                                          csti_cpu_level *level_out, cst_err *err);

#endif
