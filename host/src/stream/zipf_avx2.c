// zipf_avx2.c: the steps of zipf.c in their order, four ranks at once: the same bits.
//
// Compiled without FMA, so nothing is rounded otherwise.
#include "stream/zipf_terms.h"

#include <immintrin.h>

typedef __m256d lanes;

// What is added to it is rounded to a whole number.
#define WHOLE 6755399441055744.0 // 1.5 * 2^52

static inline lanes all(double x) {
    return _mm256_set1_pd(x);
}

static inline lanes choose(lanes mask, lanes yes, lanes no) {
    return _mm256_blendv_pd(no, yes, mask);
}

static inline lanes below(lanes a, lanes b) {
    return _mm256_cmp_pd(a, b, _CMP_LT_OQ);
}

static inline bool any_beyond(lanes t, double bound) {
    return _mm256_movemask_pd(below(all(bound), _mm256_max_pd(t, -t))) != 0;
}

static inline lanes polynomial(const double *terms, int count, lanes x) {
    lanes sum = _mm256_setzero_pd();

    for (int i = count; i-- > 0;) sum = sum * x + all(terms[i]);
    return sum;
}

static inline lanes towards_0(lanes x) {
    return _mm256_round_pd(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

static inline lanes ln(lanes x) {
    const __m256i whole = _mm256_castpd_si256(all(WHOLE));
    const __m256i bits = _mm256_castpd_si256(x);
    const __m256i fraction =
        _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi64x((INT64_C(1) << 52) - 1)),
                        _mm256_set1_epi64x(INT64_C(1023) << 52));
    const lanes near_1 = _mm256_castsi256_pd(fraction);
    const lanes above = below(all(1.4142135623730951), near_1);
    const __m256i exponent =
        _mm256_sub_epi64(_mm256_sub_epi64(_mm256_srli_epi64(bits, 52), _mm256_set1_epi64x(1023)),
                         _mm256_castpd_si256(above)); // a mask is -1
    const lanes m = choose(above, near_1 / all(2), near_1);
    const lanes t = (m - all(1)) / (m + all(1));

    return all(2) * t * polynomial(csti_artanh_terms, CSTI_ARTANH_TERMS, t * t) +
           (_mm256_castsi256_pd(_mm256_add_epi64(whole, exponent)) - all(WHOLE)) * all(CSTI_LN_2);
}

static inline lanes exponential(lanes x) {
    const __m256i whole = _mm256_castpd_si256(all(WHOLE));
    const lanes scaled = x * all(1 / CSTI_LN_2);
    const lanes k = towards_0(choose(below(scaled, all(0)), scaled - all(0.5), scaled + all(0.5)));
    const __m256i k_bits = _mm256_sub_epi64(_mm256_castpd_si256(k + all(WHOLE)), whole);
    const lanes power = _mm256_castsi256_pd(
        _mm256_slli_epi64(_mm256_add_epi64(k_bits, _mm256_set1_epi64x(1023)), 52));

    return polynomial(csti_power_terms, CSTI_POWER_TERMS, x - k * all(CSTI_LN_2)) * power;
}

// Those of the first draws that count after all, as a mask.
static inline lanes second_look(const csti_zipf *zipf, lanes rank, lanes y) {
    const lanes ln_x = ln(rank + all(0.5));
    const lanes t = all(1 - zipf->skew) * ln_x;

    if (any_beyond(t, CSTI_POWER_SERIES)) return all(0);
    const lanes integral = polynomial(csti_power_terms + 1, CSTI_POWER_TERMS - 1, t) * ln_x;
    const lanes weight = exponential(all(-zipf->skew) * ln(rank));
    return _mm256_cmp_pd(y, integral - weight, _CMP_GE_OQ);
}

void csti_zipf_ranks_avx2(const csti_zipf *zipf, const uint64_t *states, uint64_t *ranks_out) {
    const double span = zipf->integral_first - zipf->integral_n;
    double shares[CSTI_ZIPF_LANES], ranks[CSTI_ZIPF_LANES];
    lanes y, t, u, x, rank, taken;

    for (int i = 0; i < CSTI_ZIPF_LANES; i++) {
        ranks_out[i] = 0;
        shares[i] = (double)(csti_splitmix64(states[i]) >> 11);
    }
    y = all(zipf->integral_n) + _mm256_loadu_pd(shares) * all(0x1p-53) * all(span);
    t = y * all(1 - zipf->skew);
    if (any_beyond(t, CSTI_LN_OF_1_PLUS_SERIES)) return;
    u = t / (all(2) + t);
    x = exponential(all(2) * polynomial(csti_artanh_terms, CSTI_ARTANH_TERMS, u * u) /
                    (all(2) + t) * y);
    rank = towards_0(x + all(0.5));
    rank = choose(below(rank, all(1)), all(1), rank);
    rank = choose(below(all(zipf->n), rank), all(zipf->n), rank);
    taken = _mm256_cmp_pd(rank - x, all(zipf->accept), _CMP_LE_OQ);
    if (_mm256_movemask_pd(taken) != 0xf) taken = _mm256_or_pd(taken, second_look(zipf, rank, y));
    _mm256_storeu_pd(ranks, _mm256_and_pd(rank, taken));
    for (int i = 0; i < CSTI_ZIPF_LANES; i++) ranks_out[i] = (uint64_t)ranks[i];
}
