// hash_avx512.c: SipHash-1-3 in 8 lanes. The text is hash_avx2.c's; only the width differs.
#include "codec/dispatch.h"

#define SIP_LANES 8
#define SIP_NAME(x) csti_avx512_##x
#include "codec/siphash_lanes.h"
