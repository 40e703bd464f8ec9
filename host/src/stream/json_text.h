// json_text.h: the parts of JSON (RFC 8259) that a parser of rows steps over or takes.
//
//   {"a":1, "b":[{"c":"\u00e9"}, -0.5e3]}
//        ^ csti_json_number_end  ^ csti_json_skip: any value, checked as one that is used
//
// Every text ends in a line's end that no value can hold, so nothing here looks for a bound.
//
// Promises   strict: no leading zeros, no bare control bytes, no lone surrogates, UTF-8 alone,
//            nested at most CSTI_JSON_DEPTH_MAX deep; no recursion.
// Thread     pure functions.
// Ring       1.
// Errors     NULL: `fail` says where and why.
#ifndef CST_STREAM_JSON_TEXT_H
#define CST_STREAM_JSON_TEXT_H

#include "stream/text_scan.h"

#include <stdbool.h>
#include <stddef.h>

enum { CSTI_JSON_DEPTH_MAX = 64 };

typedef struct csti_json_fail {
    const char *at;
    const char *why;
} csti_json_fail;

// Past blanks inside a line. Mostly there are none, and one comparison says so.
static inline const char *csti_json_blank(const char *at) {
    while ((uint8_t)*at <= ' ' && (*at == ' ' || *at == '\t' || *at == '\r')) at++;
    return at;
}

// Behind the number that begins at `at`, or NULL: it is none.
const char *csti_json_number_end(const char *at);

// The string whose opening quote is at[-1]: its bytes, unescaped, to `out` (as long as its text,
// and CSTI_SCAN_BYTES more). Returns behind the closing quote. Bytes that came unescaped are not
// checked for UTF-8 here; *ascii_out: there is nothing to check.
const char *csti_json_string(const char *at, char *out, size_t *bytes_out, bool *ascii_out,
                             csti_json_fail *fail);

// Steps over a value, or over the string whose opening quote is at[-1].
const char *csti_json_skip(const char *at, csti_json_fail *fail);
const char *csti_json_string_skip(const char *at, csti_json_fail *fail);

#endif
