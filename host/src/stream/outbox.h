// outbox.h: records that windows write themselves, behind each other in the form that segments
// have.
//
//   take ──► chunk 256 KiB ──► chunk ──► chunk │ free     of the open epoch
//                                  cut ──► ranges of a segment, until they are freed
//
// A record has the width of a slot (table/image.h). What windows make of that:
//   the last value of a closed window's key, as a tombstone: a line of the results
//   a late row, as a gap with a key: a line of what is set aside
//
// Promises   a record stays where it is until its chunks are freed.
// Thread     its partition's.
// Ring       1. Some chunks that were freed are kept: their pages are there.
// Owner      what was cut is the caller's, to be freed here before close.
// Errors     NO_MEMORY: nothing was put.
#ifndef CST_STREAM_OUTBOX_H
#define CST_STREAM_OUTBOX_H

#include <constellation/table.h>

typedef struct csti_outbox_chunk csti_outbox_chunk;

typedef struct csti_outbox {
    uint32_t record_bytes, value_offset;
    csti_outbox_chunk *first, *last; // of the open epoch
    csti_outbox_chunk *kept;         // empty
    uint32_t kept_count;
    uint64_t bytes; // of the open epoch and of what was cut
} csti_outbox;

void csti_outbox_open(csti_outbox *outbox, const cst_table_options *table);
void csti_outbox_close(csti_outbox *outbox);

// The head of a record that was taken.
void csti_outbox_head_put(const csti_outbox *outbox, uint32_t flags, const cst_row_ref *row,
                          uint8_t *record);
// Room for one record, its head written. `flags`: of table/image.h.
CST_CHECK_RESULT cst_code csti_outbox_take(csti_outbox *outbox, uint32_t flags,
                                           const cst_row_ref *row, uint8_t **out, cst_err *err);
// Rows of a table, as tombstones that bring their values.
CST_CHECK_RESULT cst_code csti_outbox_put_slots(csti_outbox *outbox, const cst_row_ref *rows,
                                                uint32_t count, cst_err *err);
// A late row, as it would read alone.
CST_CHECK_RESULT cst_code csti_outbox_put_late(csti_outbox *outbox, const cst_program *program,
                                               const cst_rows *rows, uint32_t row, cst_bytes key,
                                               uint64_t hash, cst_err *err);

// Ends the epoch: its chunks, NULL if nothing was put.
csti_outbox_chunk *csti_outbox_cut(csti_outbox *outbox);
size_t csti_outbox_ranges_count(const csti_outbox_chunk *first);
void csti_outbox_ranges(const csti_outbox_chunk *first, cst_bytes *ranges);
void csti_outbox_free(csti_outbox *outbox, csti_outbox_chunk *first);

#endif
