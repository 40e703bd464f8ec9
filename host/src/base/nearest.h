// nearest.h: the name that a person meant to type.
//
// Thread     pure functions.
// Ring       2.
#ifndef CST_BASE_NEAREST_H
#define CST_BASE_NEAREST_H

#include <stddef.h>

enum { CSTI_NEAREST_NAME_BYTES_MAX = 64 }; // longer names are near to nothing

// The candidate nearest to `name` if it is near enough to be meant, else NULL. Names are read
// `stride_bytes` apart, so that any table that begins with its name will do.
const char *csti_nearest(const char *name, const void *names, size_t count, size_t stride_bytes);

#endif
