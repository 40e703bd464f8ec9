// reference.h: every command of a table, written as docs/formats.md says it, a step at a time.
//
//   commands ──┬──► cst_table_*       batched, prefetched       ──► image A, deltas A
//              └──► csti_reference_*  one row, one step a time  ──► image B, deltas B
//                                                                   A == B, byte for byte
//
// This is the text to read beside the document, and the oracle of every faster back end: the tests
// play one stream of commands through both and compare codes, images and deltas. It shares the
// structs and the address arithmetic of image.h and internal.h with the fast path, nothing else.
//
//   reference.c            APPLY, LOOKUP, EXPIRE
//   reference_program.c    an upsert's new value
//   reference_log.c        where a record goes, and its bytes; SEAL, RELEASE
//   reference_slab.c       blocks of wide rows
//   reference_grow.c       GROW
//   reference_restore.c    SCAN, RESTORE
//
// Promises   signatures, codes and effects of the public functions of the same names.
// Thread     the table's owner.
// Ring       0: no allocation, no system call; slow all the same.
// Owner      as in constellation/table.h.
// Errors     as in constellation/table.h.
#ifndef CST_TABLE_REFERENCE_H
#define CST_TABLE_REFERENCE_H

#include "table/internal.h"

CST_CHECK_RESULT cst_code csti_reference_apply(cst_table *table, const cst_rows *rows,
                                               uint32_t *applied_out);
CST_CHECK_RESULT cst_code csti_reference_lookup(cst_table *table, const cst_rows *keys,
                                                uint8_t *values_out, uint32_t values_stride,
                                                uint8_t *found_out);
CST_CHECK_RESULT cst_code csti_reference_lookup_refs(cst_table *table, const cst_rows *keys,
                                                     cst_bytes *out);
cst_delta csti_reference_seal(cst_table *table);
CST_CHECK_RESULT cst_code csti_reference_release(cst_table *table, const cst_delta *delta);
CST_CHECK_RESULT cst_code csti_reference_grow(cst_table *table, uint64_t hash);
CST_CHECK_RESULT cst_code csti_reference_expire(cst_table *table, uint64_t *bucket,
                                                uint32_t buckets_count, int64_t now_us,
                                                uint32_t *expired_out);
CST_CHECK_RESULT cst_code csti_reference_scan(cst_table *table, cst_scan *scan, cst_row_ref *out,
                                              uint32_t capacity, uint32_t *count_out);
CST_CHECK_RESULT cst_code csti_reference_restore_records(cst_table *table, const uint8_t *bytes,
                                                         size_t count, size_t *used_out);

#endif
