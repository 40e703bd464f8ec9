// keys_avx2.c: keys, 32 bytes at a time.
#define KEY_VECTOR 32
#define KEY_NAME(x) csti_avx2_##x
#include "codec/key_lanes.h"
