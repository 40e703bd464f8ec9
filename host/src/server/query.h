// query.h: what a job keeps, as of a checkpoint, without the job running.
//
//   pin ─► manifest ─► whole key: its partition's chain, its key group of it ─► one row
//                      beginning, or all: every partition's chain ─► rows that begin so, by key
//                          ─► lines, as the sink has them
//
// Promises   equal checkpoints give equal lines. Only what the answer needs is read: of an ordered
//            full, for one key, one key group of 4096. Nothing is answered from bytes whose
//            checksum was not compared. Beside a running job nothing is held up, and nothing that
//            is read is deleted meanwhile.
// Thread     one.
// Ring       2.
// Errors     USAGE: the job has no such stage; NOT_FOUND: no checkpoint, or none of this id;
// CHECKPOINT_RETIRED; JOB_MISMATCH,
//            SEGMENT_SCHEMA: the checkpoint is of another job, or of another version of it; what is
//            damaged, by its name; the codes of key_text.h; LIMIT: more rows than
//            CSTI_QUERY_BYTES_MAX; PIN_EXPIRED: start again; store errors; what `write` fails with.
#ifndef CST_SERVER_QUERY_H
#define CST_SERVER_QUERY_H

#include "server/config.h"

#define CSTI_QUERY_BYTES_MAX (UINT64_C(4) << 30) // of keys and values that are answered

typedef struct csti_query_options {
    const csti_job_config *config;
    cst_object_store *store; // the config's
    csti_meta *meta;         // in that store
    const csti_clock *clock;
    csti_random *random;
    uint64_t checkpoint_id; // 0: the newest
    uint32_t stage;         // from 1; 0: the last
    // The columns of the key as a CSV record; at most one of the two, neither: every row.
    const char *key;    // all of them
    const char *prefix; // the first ones; the last one, if it is text, may be a beginning
    cst_write write;    // takes lines
    void *context;
} csti_query_options;

typedef struct csti_query_report {
    uint64_t checkpoint_id;
    int64_t created_us;
    uint64_t rows;       // that were written
    uint64_t under_way;  // to the stage that is asked, and stored beside what it has
    uint64_t bytes_read; // of segments' bodies
} csti_query_report;

// *report_out is written on success.
CST_CHECK_RESULT cst_code csti_query(const csti_query_options *options,
                                     csti_query_report *report_out, cst_err *err);

#endif
