// source_offset.h: offsets as text: a flat JSON object of unsigned numbers.
//
//   {"row":8192,"stripes":2}       fields in any order, each once, none unknown, none missing but
//                                  those behind the first `needed` names
//
// Promises   reading what was written gives the same numbers; nothing else is guessed.
// Thread     pure functions.
// Ring       1.
// Errors     PARSE names the field or what is wrong.
#ifndef CST_STREAM_SOURCE_OFFSET_H
#define CST_STREAM_SOURCE_OFFSET_H

#include "stream/source.h"

enum { CSTI_OFFSET_FIELDS_MAX = 8 };

// The values of fields that may be missing, and are, stay as they were.
CST_CHECK_RESULT cst_code csti_offset_read(const char *text, const char *const *names,
                                           uint64_t *values_out, uint32_t needed, uint32_t count,
                                           cst_err *err);
void csti_offset_write(const char *const *names, const uint64_t *values, uint32_t count,
                       char out[CSTI_OFFSET_BYTES_MAX]);

#endif
