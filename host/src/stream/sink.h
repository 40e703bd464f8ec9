// sink.h: where results go, once each.
//
//   committed segment (partition, epoch) ──► csti_render: one NDJSON line a changed key
//        ──► part {epoch:020}-{partition:05}.ndjson    temp-{nonce} ─► fsync ─► rename ─► folder
//        fsync
//
//   line   {"auction":17,"bids":3,"highest":900,"_op":"upsert"}     key columns, then aggregates
//          {"auction":17,"_op":"delete"}                            a tombstone
//
// Promises   a part is there whole or not at all; a part that is there is never written again with
//            other bytes (SINK names the part if the bytes would differ); rendering is a function
//            of the segment alone. Left-over temporaries go at open.
// Thread     one.
// Ring       2.
// Errors     SINK, IO (a full disk: nothing is released, the job may try again), SEGMENT_*.
#ifndef CST_STREAM_SINK_H
#define CST_STREAM_SINK_H

#include "base/buffer.h"

#include <constellation/segment.h>

enum { CSTI_FIELD_NAME_BYTES = 64, CSTI_FIELDS_MAX = CST_COLUMNS_MAX + CST_ACCUMULATORS_MAX };

// How a row of state reads as JSON.
typedef struct csti_render_field {
    char name[CSTI_FIELD_NAME_BYTES];
    uint8_t number;        // cst_number, of an aggregate
    uint8_t scale;         // DECIMAL128
    uint16_t value_offset; // in the value
    uint8_t accumulator;   // its bit in the presence word: absent gives null
    bool timestamp;        // i64 microseconds, rendered as RFC 3339 text
} csti_render_field;

typedef struct csti_render_plan {
    cst_schema key; // decoded from the encoded key
    char key_names[CST_COLUMNS_MAX][CSTI_FIELD_NAME_BYTES];
    uint16_t presence_offset; // CST_NO_OFFSET: everything is there
    uint32_t fields_count;
    csti_render_field fields[CST_ACCUMULATORS_MAX];
} csti_render_plan;

// Appends one line with its newline. KEY_CORRUPT.
CST_CHECK_RESULT cst_code csti_render_row(const csti_render_plan *plan, const cst_row_ref *row,
                                          bool tombstone, csti_buffer *out, cst_err *err);

typedef struct csti_sink csti_sink;
typedef enum csti_sink_kind { CSTI_SINK_NONE, CSTI_SINK_STDOUT, CSTI_SINK_FILE } csti_sink_kind;

typedef struct csti_sink_options {
    csti_sink_kind kind;
    const char *path; // file: a folder, made if its parent exists
    csti_render_plan plan;
    uint64_t nonce; // of this process's temporaries
} csti_sink_options;

CST_CHECK_RESULT cst_code csti_sink_open(const csti_sink_options *options, csti_sink **out,
                                         cst_err *err);
void csti_sink_close(csti_sink *sink); // NULL is allowed
// Takes the output of one partition's epoch, from its committed segment. Taking it again (after a
// crash) is CST_OK and changes nothing. stdout cannot know: it repeats, and says so in its docs.
CST_CHECK_RESULT cst_code csti_sink_release(csti_sink *sink, uint32_t partition,
                                            cst_segment *segment, cst_err *err);
// Whether anything of this epoch has been released: recovery asks before it goes back behind it.
CST_CHECK_RESULT cst_code csti_sink_has_released(csti_sink *sink, uint32_t partition,
                                                 uint64_t epoch, bool *out, cst_err *err);

typedef struct csti_sink_stats {
    uint64_t parts, rows, bytes;
} csti_sink_stats;
void csti_sink_stats_read(const csti_sink *sink, csti_sink_stats *out);

#endif
