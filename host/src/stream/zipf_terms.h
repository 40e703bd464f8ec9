// zipf_terms.h: the series behind ranks, for zipf.c and zipf_avx2.c alone.
//
//   artanh t = t (1 + t^2/3 + t^4/5 + ...)      e^t = 1 + t + t^2/2! + t^3/3! + ...
//
// Thread     constants.
#ifndef CST_STREAM_ZIPF_TERMS_H
#define CST_STREAM_ZIPF_TERMS_H

#include "stream/zipf.h"

enum { CSTI_ARTANH_TERMS = 11, CSTI_POWER_TERMS = 14, CSTI_ZIPF_LANES = 4 };

#define CSTI_LN_2 0.693147180559945309417232121458
// Beyond these the series are too short, and another way is taken.
#define CSTI_LN_OF_1_PLUS_SERIES 0.25
#define CSTI_POWER_SERIES 0.5

extern const double csti_artanh_terms[CSTI_ARTANH_TERMS]; // 1 / (2k + 1)
extern const double csti_power_terms[CSTI_POWER_TERMS];   // 1 / k!

// The ranks of CSTI_ZIPF_LANES states, as csti_zipf_rank gives them; 0 for a state that wants
// another way or another draw. Called only where the processor has AVX2.
void csti_zipf_ranks_avx2(const csti_zipf *zipf, const uint64_t *states, uint64_t *ranks_out);

#endif
