// sink.h: where results go, once each.
//
//   committed segment (partition, epoch) ──► render.h: one NDJSON line a record
//        ──► part {epoch:020}-{partition:05}.ndjson    temp-{nonce} ─► fsync ─► link ─► fsync
//
//   A part has its segment's last epoch as its number. A segment without lines gives no part.
//
//   line   {"auction":17,"bids":3,"highest":900,"_op":"upsert"}     key columns, then aggregates
//          {"auction":17,"_op":"delete"}                            a tombstone
//
// Promises   a part is there whole or not at all; a part that is there is never written again with
//            other bytes (SINK names the part if the bytes would differ); rendering is a function
//            of the segment alone. Left-over temporaries of other nonces go at open, and no other
//            file does. The last line of a key is its result: a segment of several epochs (after an
//            aborted checkpoint), or a key deleted and put again, has more than one.
// Thread     one.
// Ring       2.
// Errors     SINK, IO (a full disk), DEADLINE: nothing is released, the job may try again;
//            SEGMENT_*.
#ifndef CST_STREAM_SINK_H
#define CST_STREAM_SINK_H

#include "base/clock.h"
#include "stream/render.h"

#include <constellation/segment.h>

typedef struct csti_sink csti_sink;
typedef enum csti_sink_kind { CSTI_SINK_NONE, CSTI_SINK_STDOUT, CSTI_SINK_FILE } csti_sink_kind;

// Which records of a segment are lines (panes.h).
typedef enum csti_sink_takes {
    CSTI_SINK_TAKES_CHANGES, // each
    CSTI_SINK_TAKES_CLOSED,  // tombstones that bring the last value, of a closed window
    CSTI_SINK_TAKES_ASIDE,   // late rows
} csti_sink_takes;

typedef struct csti_sink_options {
    csti_sink_kind kind;
    csti_sink_takes takes;
    const char *path; // file: a folder, made if its parent exists
    csti_render_plan plan;
    uint64_t nonce; // of this process's temporaries
    // file: a part that takes longer is given up, and is not there; DEADLINE. 0: none. To stdout
    // there is none: what is out is out.
    uint64_t part_deadline_us;
    const csti_clock *clock; // with a deadline
} csti_sink_options;

CST_CHECK_RESULT cst_code csti_sink_open(const csti_sink_options *options, csti_sink **out,
                                         cst_err *err);
void csti_sink_close(csti_sink *sink); // NULL is allowed
// Takes the output of one partition's epoch, from its committed segment. Taking it again (after a
// crash) is CST_OK and changes nothing. stdout cannot know: it repeats, and says so in its docs.
CST_CHECK_RESULT cst_code csti_sink_release(csti_sink *sink, uint32_t partition,
                                            cst_segment *segment, cst_err *err);
// Whether anything of this epoch or a later one has been released: recovery asks before it goes
// back behind it. none: never; stdout: always, it cannot know.
CST_CHECK_RESULT cst_code csti_sink_has_released(csti_sink *sink, uint32_t partition,
                                                 uint64_t epoch, bool *out, cst_err *err);
// Whether the folder of a file sink holds the part of this epoch.
bool csti_sink_folder_has(const char *path, uint32_t partition, uint64_t epoch);
// SINK: there is a part, and a job that begins anew would give others of the same names. stdout,
// none: OK.
CST_CHECK_RESULT cst_code csti_sink_unused_check(csti_sink *sink, cst_err *err);

typedef struct csti_sink_stats {
    uint64_t parts, rows, bytes;
} csti_sink_stats;
void csti_sink_stats_read(const csti_sink *sink, csti_sink_stats *out);

#endif
