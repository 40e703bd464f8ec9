// uri.h: the name of a device, in parts.
//
//   fault:cpu:avx2?worker=1&drop=3
//   └─┬─┘ └──┬───┘ └──┬───┘ └─┬──┘
//   scheme  path    parameters: taken one by one, what is left over is an error
//
// Thread     a value; it owns a copy of the text.
// Ring       1.
// Errors     CST_DEVICE_URI: no scheme, too long, too many parameters, one without '=', one twice,
//            or one that nobody took.
#ifndef CST_DEVICE_URI_H
#define CST_DEVICE_URI_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CSTI_URI_BYTES_MAX = 512, CSTI_URI_PARAMETERS_MAX = 16 };

typedef struct csti_uri {
    char text[CSTI_URI_BYTES_MAX]; // cut into the parts below by NULs
    const char *scheme;
    const char *path;
    const char *names[CSTI_URI_PARAMETERS_MAX];
    const char *values[CSTI_URI_PARAMETERS_MAX];
    size_t parameters_count;
} csti_uri;

// The struct must not be copied: its parts point into it.
CST_CHECK_RESULT cst_code csti_uri_parse(const char *text, csti_uri *out, cst_err *err);

// Takes the parameter out if it is there; *out is unchanged if not. CST_DEVICE_URI: no number, or
// above `max`.
CST_CHECK_RESULT cst_code csti_uri_take_u64(csti_uri *uri, const char *name, uint64_t max,
                                            uint64_t *out, cst_err *err);
// The same for one that is one of `words`; *out is its place there.
CST_CHECK_RESULT cst_code csti_uri_take_word(csti_uri *uri, const char *name,
                                             const char *const *words, size_t words_count,
                                             size_t *out, cst_err *err);
// The same for any text, which lives as long as the struct does.
void csti_uri_take_text(csti_uri *uri, const char *name, const char **out);
// CST_DEVICE_URI if a parameter is left; `known` names those there are.
CST_CHECK_RESULT cst_code csti_uri_check_empty(const csti_uri *uri, const char *known,
                                               cst_err *err);
// What is left, as text again: path?name=value&...
CST_CHECK_RESULT cst_code csti_uri_rest(const csti_uri *uri, char *out, size_t capacity,
                                        cst_err *err);

#endif
