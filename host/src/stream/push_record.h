// push_record.h: rows that a push source has taken, as one record of its write-ahead log.
//
//   offset size field, little endian
//        0    4 rows_count       0: it only says who is forgotten
//        4    4 runs_count
//        8    4 forgotten_count
//       12    4 flags            0; another one is of a later version
//       16   16 a run            seq_first 8, rows 4, id_bytes 4 (0, and seq_first 0: nobody's)
//            4 a forgotten one   id_bytes
//              ids, of runs and then of the forgotten, back to back
//              a column          kind 4 (bit 0: there is validity, bit 1: there are offsets),
//                                values_bytes 4, validity, offsets, values
//
// A run is rows of one producer with numbers that rise by one; runs stand in the order of the rows.
// Who is forgotten is so before the record's rows.
//
// Promises   reading what was written gives the same rows and runs. What reading accepts passes
//            cst_batch_check.
// Thread     values.
// Ring       1.
// Owner      a record that was read borrows its payload, and its batch the record.
// Errors     WAL_CORRUPT names what is wrong; WAL_VERSION: flags; LIMIT, NO_MEMORY of the buffer.
#ifndef CST_STREAM_PUSH_RECORD_H
#define CST_STREAM_PUSH_RECORD_H

#include "stream/producers.h"

#include <constellation/batch.h>

typedef struct csti_push_id {
    const char *text;
    uint32_t bytes; // 0: nobody
} csti_push_id;

typedef struct csti_push_run {
    csti_push_id id;
    uint64_t seq_first; // 0: nobody's
    uint32_t rows;
} csti_push_run;

// Appends it.
CST_CHECK_RESULT cst_code csti_push_record_write(const cst_batch *batch, const csti_push_run *runs,
                                                 uint32_t runs_count, const csti_push_id *forgotten,
                                                 uint32_t forgotten_count, csti_buffer *out,
                                                 cst_err *err);

typedef struct csti_push_record {
    uint32_t rows_count, runs_count, forgotten_count;
    const uint8_t *runs, *forgotten;
    const char *ids;
    cst_column_data columns[CST_COLUMNS_MAX];
} csti_push_record;

CST_CHECK_RESULT cst_code csti_push_record_read(const void *payload, size_t bytes,
                                                const cst_schema *schema, csti_push_record *out,
                                                cst_err *err);

// Where somebody stands among a record's runs, and then its forgotten ones.
typedef struct csti_push_cursor {
    uint32_t run, forgotten; // the next
    const char *id;
} csti_push_cursor;

csti_push_cursor csti_push_record_begin(const csti_push_record *record);
bool csti_push_run_next(const csti_push_record *record, csti_push_cursor *at, csti_push_run *out);
// Behind all runs.
bool csti_push_forgotten_next(const csti_push_record *record, csti_push_cursor *at,
                              csti_push_id *out);

// What a record says of producers: those it forgets are gone, the others are raised by its rows
// from rows_from to before rows_to.
CST_CHECK_RESULT cst_code csti_push_record_note(const csti_push_record *record, uint32_t rows_from,
                                                uint32_t rows_to, csti_producers *producers,
                                                cst_err *err);

#endif
