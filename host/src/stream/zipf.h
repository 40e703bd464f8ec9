// zipf.h: ranks 1..n, rank k in proportion to 1 / k^skew.
//
//   weight
//   |#                      rejection-inversion (W. Hormann, G. Derflinger, "Rejection-inversion to
//   |##                     generate variates from monotone discrete distributions", ACM TOMACS 6,
//   |#####                  1996): invert the integral of 1 / x^skew, round, and seldom reject.
//   |############### - -    Any n and any skew >= 0 in constant time and without a table.
//   +------------------ rank
//
// Promises   the same ranks on every machine: logarithm and exponential are written in plain IEEE
//            additions, multiplications and divisions, not taken from the system's libm.
// Thread     a value, read only after csti_zipf_init.
#ifndef CST_STREAM_ZIPF_H
#define CST_STREAM_ZIPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct csti_zipf {
    double n;
    double skew;
    double integral_first; // at 1.5, less 1
    double integral_n;     // at n + 0.5
    double accept;         // a rank this near to its x is taken without another look
    bool by_fours;         // csti_zipf_ranks
} csti_zipf;

// n >= 1, 0 <= skew <= 10.
void csti_zipf_init(csti_zipf *zipf, uint64_t n, double skew);

// The rank that the stream of random words splitmix64(state), splitmix64(state + step), ... gives.
uint64_t csti_zipf_rank(const csti_zipf *zipf, uint64_t state);
// The same of `count` states; by fours, where the processor has AVX2.
void csti_zipf_ranks(const csti_zipf *zipf, const uint64_t *states, size_t count,
                     uint64_t *ranks_out);

__extension__ typedef unsigned __int128 csti_u128;

// One step of splitmix64 (S. Vigna): 64 well-mixed bits from any state.
static inline uint64_t csti_splitmix64(uint64_t state) {
    uint64_t z = state + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// 0 <= result < bound, each nearly equally likely.
static inline uint64_t csti_bounded(uint64_t random, uint64_t bound) {
    return (uint64_t)(((csti_u128)random * bound) >> 64);
}

#endif
