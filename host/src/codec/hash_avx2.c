// hash_avx2.c: SipHash-1-3 in 4 lanes.
#include "codec/dispatch.h"

#define SIP_LANES 4
#define SIP_NAME(x) csti_avx2_##x
#include "codec/siphash_lanes.h"
