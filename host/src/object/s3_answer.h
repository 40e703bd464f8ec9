// s3_answer.h: one line of an answer's head, which may be anything.
//
// Promises   reads nothing outside [line, line + count); what does not fit is passed over.
// Thread     any: values.
// Ring       1.
#ifndef CST_OBJECT_S3_ANSWER_H
#define CST_OBJECT_S3_ANSWER_H

#include "object/s3_http.h"

#define CSTI_S3_NONCE_HEADER "x-amz-meta-constellation-nonce"

// A status line begins anew: what an answer before it said (100, a proxy's) is forgotten.
void csti_s3_answer_line(csti_s3_headers *to, const char *line, size_t count);
// "bytes 5-9/100": first <= last < total. false: it is something else.
bool csti_s3_range_read(const char *range, uint64_t *first, uint64_t *last, uint64_t *total);
// Sixteen hexadecimal digits; else 0.
uint64_t csti_s3_nonce_of(const char *text);

#endif
