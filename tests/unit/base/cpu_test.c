#include "base/cpu.h"
#include "test.h"

// What a Zen 3 (AVX2, no AVX-512) under Linux answers.
static const csti_cpu_leaves zen3 = {0xfef83203, 0x219c97a9, 0x207};

TEST(avx2_is_seen_where_it_is) {
    const csti_cpu_features features = csti_cpu_features_of(&zen3);
    CHECK(features.sse42_pclmul);
    CHECK(features.avx2);
    CHECK(!features.avx512);
}

TEST(avx2_needs_the_operating_system_to_save_its_registers) {
    csti_cpu_leaves leaves = zen3;
    leaves.xcr0 = 0x3;
    CHECK(!csti_cpu_features_of(&leaves).avx2);
    leaves.xcr0 = 0x7;
    CHECK(csti_cpu_features_of(&leaves).avx2);
    leaves.leaf1_ecx &= ~(UINT32_C(1) << 27); // no OSXSAVE: xcr0 means nothing
    CHECK(!csti_cpu_features_of(&leaves).avx2);
}

TEST(avx512_needs_each_of_its_four_parts) {
    const uint32_t parts[] = {16, 17, 30, 31};
    csti_cpu_leaves leaves = zen3;

    leaves.xcr0 = 0xe7;
    for (size_t i = 0; i < 4; i++) leaves.leaf7_ebx |= UINT32_C(1) << parts[i];
    CHECK(csti_cpu_features_of(&leaves).avx512);
    for (size_t i = 0; i < 4; i++) {
        csti_cpu_leaves without = leaves;
        without.leaf7_ebx &= ~(UINT32_C(1) << parts[i]);
        CHECK(!csti_cpu_features_of(&without).avx512);
    }
}

TEST(avx512_needs_the_operating_system_to_save_masks_and_upper_registers) {
    csti_cpu_leaves leaves = zen3;
    leaves.leaf7_ebx |= UINT32_C(0xc0030000);
    for (uint64_t bit = 5; bit <= 7; bit++) {
        leaves.xcr0 = UINT64_C(0xe7) & ~(UINT64_C(1) << bit);
        CHECK(!csti_cpu_features_of(&leaves).avx512);
        CHECK(csti_cpu_features_of(&leaves).avx2);
    }
}

TEST(bmi2_belongs_to_avx2) {
    csti_cpu_leaves leaves = zen3;
    leaves.leaf7_ebx &= ~(UINT32_C(1) << 8);
    CHECK(!csti_cpu_features_of(&leaves).avx2);
}

// The compiler's own detection is the oracle.
TEST(detection_agrees_with_the_compilers_runtime) {
    const csti_cpu_features features = csti_cpu_detect();
    CHECK_EQ(features.sse42_pclmul,
             __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"));
    CHECK_EQ(features.avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"));
    CHECK_EQ(features.avx512,
             __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"));
}

TEST(the_best_level_is_taken_unless_one_is_named) {
    const csti_cpu_features features = {.avx2 = true};
    csti_cpu_level level;

    CHECK_OK(csti_cpu_choose("", &features, &level, NULL));
    CHECK_EQ(level, CSTI_CPU_AVX2);
    CHECK_OK(csti_cpu_choose("scalar", &features, &level, NULL));
    CHECK_EQ(level, CSTI_CPU_SCALAR);
    CHECK_OK(csti_cpu_choose("avx2", &features, &level, NULL));
    CHECK_EQ(level, CSTI_CPU_AVX2);
    CHECK_TEXT(csti_cpu_level_name(level), "avx2");
}

TEST(a_level_the_machine_lacks_is_refused_and_the_best_named) {
    const csti_cpu_features features = {.avx2 = true};
    csti_cpu_level level = CSTI_CPU_SCALAR;
    cst_err err = {0};

    CHECK_CODE(csti_cpu_choose("avx512", &features, &level, &err), CST_UNSUPPORTED);
    CHECK_TEXT(err.text, "cpu:avx512: this machine cannot run it. Its best is cpu:avx2");
    CHECK_EQ(level, CSTI_CPU_SCALAR);
}

TEST(an_unknown_level_is_refused) {
    const csti_cpu_features features = {.avx2 = true};
    csti_cpu_level level;
    cst_err err = {0};

    CHECK_CODE(csti_cpu_choose("avx", &features, &level, &err), CST_DEVICE_URI);
    CHECK_TEXT(err.text, "cpu:avx: no such level. There are scalar, avx2, avx512");
}

TEST_MAIN
