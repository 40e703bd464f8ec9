// version.h: which version a program was compiled against, and which it runs with.
//
//   if (cst_version() < CST_VERSION) ...     the library is older than the headers
//
// Promises   version numbers compare as numbers; within one major number, what was public stays.
// Thread     any; constant.
#ifndef CONSTELLATION_VERSION_H
#define CONSTELLATION_VERSION_H

#include <constellation/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CST_VERSION_MAJOR 0
#define CST_VERSION_MINOR 1
#define CST_VERSION_PATCH 0

// Major, minor and patch, 1000 numbers each: 1.2.3 is 1002003.
#define CST_VERSION (CST_VERSION_MAJOR * 1000000 + CST_VERSION_MINOR * 1000 + CST_VERSION_PATCH)

// Of the library at run time.
CST_API uint32_t cst_version(void);
CST_API const char *cst_version_text(void); // "0.1.0"

#ifdef __cplusplus
}
#endif
#endif
