// producers.h: who has sent rows, and how far each of them came.
//
//   id ──► bucket ──► producer {id, seq}           by the time of the last row:
//                                                  oldest ◄──► ... ◄──► newest
//
// A producer without rows (seq 0) is in no order: it has said its id and nothing else.
// As text: "a=5 b=7", oldest first, which is how offsets in checkpoints name them.
//
// Promises   a producer stays in place until it is removed.
// Thread     one.
// Ring       1.
// Owner      the table owns producers.
// Errors     NO_MEMORY: nothing was added; PARSE: text that is none.
#ifndef CST_STREAM_PRODUCERS_H
#define CST_STREAM_PRODUCERS_H

#include "base/buffer.h"

#include <constellation/hash.h>
#include <stdbool.h>

enum {
    CSTI_PRODUCER_ID_BYTES_MAX = 64, // letters, digits, '.', '_', ':' and '-'
    CSTI_PRODUCERS_MAX = 65536,
};
#define CSTI_PRODUCER_SEQ_MAX ((uint64_t)INT64_MAX)

typedef struct csti_producer csti_producer;
struct csti_producer {
    csti_producer *next; // of its bucket
    csti_producer *older, *newer;
    uint64_t seq; // of its last row; 0: it has sent none
    // The caller's: its rows up to `placed` stand in records up to `position`.
    uint64_t placed, position;
    void *holder; // the caller's
    uint32_t id_bytes;
    char id[CSTI_PRODUCER_ID_BYTES_MAX];
};

typedef struct csti_producers {
    csti_producer **buckets;
    uint32_t buckets_count; // a power of two
    uint32_t count;         // with rows
    csti_producer *oldest, *newest;
    cst_hash_key hash_key;
} csti_producers;

// Made for about count_wanted; more fit, slower.
CST_CHECK_RESULT cst_code csti_producers_open(csti_producers *producers, uint32_t count_wanted,
                                              cst_err *err);
void csti_producers_close(csti_producers *producers); // a zeroed one is allowed

bool csti_producer_id_is_good(const char *id, size_t bytes);
csti_producer *csti_producers_find(const csti_producers *producers, const char *id, uint32_t bytes);
// One that is not there yet; without rows. NULL: no memory.
csti_producer *csti_producers_add(csti_producers *producers, const char *id, uint32_t bytes);
// Its last row is `seq` now, above 0, and newer than anybody's.
void csti_producers_raise(csti_producers *producers, csti_producer *producer, uint64_t seq);
void csti_producers_remove(csti_producers *producers, csti_producer *producer);
// Finds or adds it, and raises it if seq is above its last.
CST_CHECK_RESULT cst_code csti_producers_note(csti_producers *producers, const char *id,
                                              uint32_t bytes, uint64_t seq, cst_err *err);

// Appends those with rows.
CST_CHECK_RESULT cst_code csti_producers_write(const csti_producers *producers, csti_buffer *out,
                                               cst_err *err);
// `text` ends at `bytes`. What is there already is raised.
CST_CHECK_RESULT cst_code csti_producers_read(csti_producers *producers, const char *text,
                                              size_t bytes, cst_err *err);

#endif
