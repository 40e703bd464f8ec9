#include "base/cpu.h"
#include "stream/zipf_terms.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

// Compiled with -ffp-contract=off: a fused multiply-add rounds differently where there is one.

enum { DRAWS_MAX = 64 }; // a rejection is rare (below 10% a draw): 64 in a row do not happen

const double csti_artanh_terms[CSTI_ARTANH_TERMS] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,
                                                     1.0 / 9,  1.0 / 11, 1.0 / 13, 1.0 / 15,
                                                     1.0 / 17, 1.0 / 19, 1.0 / 21};
const double csti_power_terms[CSTI_POWER_TERMS] = {
    1.0,
    1.0,
    1.0 / 2,
    1.0 / 6,
    1.0 / 24,
    1.0 / 120,
    1.0 / 720,
    1.0 / 5040,
    1.0 / 40320,
    1.0 / 362880,
    1.0 / 3628800,
    1.0 / 39916800,
    1.0 / 479001600,
    1.0 / 6227020800,
};

static inline double polynomial(const double *terms, size_t count, double x) {
    double sum = 0;

    for (size_t i = count; i-- > 0;) sum = sum * x + terms[i];
    return sum;
}

// ln x for x > 0, by x = m * 2^e with m near 1 and ln m = 2 artanh((m - 1) / (m + 1)).
static double ln(double x) {
    uint64_t bits;
    int64_t exponent;
    double m;
    double t;

    memcpy(&bits, &x, sizeof bits);
    exponent = (int64_t)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m /= 2;
        exponent++;
    }
    t = (m - 1) / (m + 1);
    return 2 * t * polynomial(csti_artanh_terms, CSTI_ARTANH_TERMS, t * t) +
           (double)exponent * CSTI_LN_2;
}

// e^x for |x| < 700, by x = k ln 2 + r and the series of e^r.
static double exponential(double x) {
    const double scaled = x * (1 / CSTI_LN_2);
    const int64_t k = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    const double r = x - (double)k * CSTI_LN_2;
    const uint64_t power_bits = (uint64_t)(k + 1023) << 52;
    double power;

    memcpy(&power, &power_bits, sizeof power);
    return polynomial(csti_power_terms, CSTI_POWER_TERMS, r) * power;
}

// (e^t - 1) / t, also near 0.
static double exponential_less_1_by(double t) {
    if (t > CSTI_POWER_SERIES || t < -CSTI_POWER_SERIES) return (exponential(t) - 1) / t;
    return polynomial(csti_power_terms + 1, CSTI_POWER_TERMS - 1, t);
}

// ln(1 + t) / t, also near 0.
static double ln_of_1_plus_by(double t) {
    double u;

    if (t > CSTI_LN_OF_1_PLUS_SERIES || t < -CSTI_LN_OF_1_PLUS_SERIES) return ln(1 + t) / t;
    u = t / (2 + t);
    return 2 * polynomial(csti_artanh_terms, CSTI_ARTANH_TERMS, u * u) / (2 + t);
}

// The integral of 1 / x^skew from 1 to x.
static double integral(const csti_zipf *zipf, double x) {
    const double ln_x = ln(x);

    return exponential_less_1_by((1 - zipf->skew) * ln_x) * ln_x;
}

static double integral_inverse(const csti_zipf *zipf, double y) {
    double t = y * (1 - zipf->skew);

    if (t < -1) t = -1 + 1e-15; // rounding at the far end
    return exponential(ln_of_1_plus_by(t) * y);
}

static double weight(const csti_zipf *zipf, double x) {
    return exponential(-zipf->skew * ln(x));
}

void csti_zipf_init(csti_zipf *zipf, uint64_t n, double skew) {
    assert(n >= 1);
    assert(skew >= 0 && skew <= 10);
    const csti_cpu_features features = csti_cpu_detect();
    *zipf = (csti_zipf){.n = (double)n, .skew = skew, .by_fours = features.avx2};
    zipf->integral_first = integral(zipf, 1.5) - 1;
    zipf->integral_n = integral(zipf, zipf->n + 0.5);
    zipf->accept = 2 - integral_inverse(zipf, integral(zipf, 2.5) - weight(zipf, 2));
}

uint64_t csti_zipf_rank(const csti_zipf *zipf, uint64_t state) {
    const double span = zipf->integral_first - zipf->integral_n;

    for (int draw = 0; draw < DRAWS_MAX; draw++) {
        const uint64_t random = csti_splitmix64(state);
        const double y = zipf->integral_n + (double)(random >> 11) * 0x1p-53 * span;
        const double x = integral_inverse(zipf, y);
        double rank = (double)(uint64_t)(x + 0.5);

        if (rank < 1) rank = 1;
        if (rank > zipf->n) rank = zipf->n;
        if (rank - x <= zipf->accept) return (uint64_t)rank;
        if (y >= integral(zipf, rank + 0.5) - weight(zipf, rank)) return (uint64_t)rank;
        state += UINT64_C(0x9e3779b97f4a7c15);
    }
    return 1;
}

void csti_zipf_ranks(const csti_zipf *zipf, const uint64_t *states, size_t count,
                     uint64_t *ranks_out) {
    size_t done = 0;

    for (; zipf->by_fours && done + CSTI_ZIPF_LANES <= count; done += CSTI_ZIPF_LANES)
        csti_zipf_ranks_avx2(zipf, states + done, ranks_out + done);
    for (size_t i = 0; i < count; i++)
        if (i >= done || ranks_out[i] == 0) ranks_out[i] = csti_zipf_rank(zipf, states[i]);
}
