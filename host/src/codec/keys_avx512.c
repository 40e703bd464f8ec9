// keys_avx512.c: keys, 64 bytes at a time. The text is keys_avx2.c's; only the width differs.
#define KEY_VECTOR 64
#define KEY_NAME(x) csti_avx512_##x
#include "codec/key_lanes.h"
