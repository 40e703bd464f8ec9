// session_set.h: the open sessions of a partition: by key and start, and by when they end.
//
//   key ──► bucket ──► keys ──► its sessions, by start     10:00 ... 10:04 │ 10:21 ... 10:22 │
//   timers (session_timers.h) ──► the session that ends first
//
//   session │ hash, start, last │ key, zeros to 8 │ value │      as a slot has key and value
//
// An end moves with each row; a timer does not: it says when to look again, and is never later than
// its session's end. The timer of a session that is gone is passed over when it comes.
//
// Buckets grow one at a time, so that no row pays for all keys (linear hashing). What was needed
// once is kept.
//
// Promises   a session stays at its address until it is removed. Finding one is as long as its
//            bucket, plus the logarithm of how many its key has.
// Thread     its partition's.
// Ring       1: it allocates.
// Owner      the set owns its sessions; who has one may write its hash, its last row, its start as
//            long as it stays between its neighbours, and all below the line.
// Errors     NO_MEMORY: nothing was changed.
#ifndef CST_STREAM_SESSION_SET_H
#define CST_STREAM_SESSION_SET_H

#include <constellation/table.h>

typedef struct csti_session_key csti_session_key; // one that has a session at least

typedef struct csti_session {
    csti_session_key *of;
    int64_t due_us; // of its timer
    int64_t start_us, last_us;
    uint64_t hash;      // of its record
    uint32_t key_bytes; // with its start
    uint32_t reserved;
    // ---- Of epochs: the set does not look at these.
    uint8_t *record;      // of the epoch below
    uint64_t epoch;       // in which it had its last record; 0: none in this life
    uint64_t first_epoch; // in which it had its first one under this start; 0: in an earlier life
    uint8_t body[];       // body_bytes
} csti_session;

typedef struct csti_session_set csti_session_set;

CST_CHECK_RESULT cst_code csti_session_set_open(uint32_t body_bytes, csti_session_set **out,
                                                cst_err *err);
void csti_session_set_close(csti_session_set *set); // NULL is allowed

// The key, without a start; NULL: it has no session.
csti_session_key *csti_session_set_find(const csti_session_set *set, uint64_t key_hash,
                                        const uint8_t *key, uint32_t key_bytes);
// The memory that looking for these keys will need comes into the caches meanwhile.
void csti_session_set_ask(const csti_session_set *set, const uint64_t *key_hashes, uint32_t count);
// The key's sessions on both sides of the time: the last that starts at it or before, the first
// that starts behind it; NULL: there is none.
void csti_session_set_beside(const csti_session_key *key, int64_t time_us,
                             csti_session **before_out, csti_session **behind_out);

// A session of one row at start_us, between its neighbours, due behind all that was asked for; its
// body is zeros. `key`: NULL for one that has no session, whose hash then counts: the caller puts
// the key at the start of the body.
CST_CHECK_RESULT cst_code csti_session_set_add(csti_session_set *set, csti_session_key *key,
                                               uint64_t key_hash, int64_t start_us, int64_t due_us,
                                               csti_session **out, cst_err *err);
void csti_session_set_remove(csti_session_set *set, csti_session *session);

// Whether a timer is due, nearly.
bool csti_session_set_is_due(const csti_session_set *set, int64_t now_us);
// A session whose timer is due, which is without one then: it is removed, or put off. NULL: there
// is none, or *steps, which goes down, has come to 0.
CST_CHECK_RESULT cst_code csti_session_set_take(csti_session_set *set, int64_t now_us,
                                                uint32_t *steps, csti_session **out, cst_err *err);
CST_CHECK_RESULT cst_code csti_session_set_put_off(csti_session_set *set, csti_session *session,
                                                   int64_t due_us, cst_err *err);

uint64_t csti_session_set_count(const csti_session_set *set);
// Memory of the sessions there are, and of what finds them; not what is kept for others.
void csti_session_set_bytes(const csti_session_set *set, uint64_t *sessions_out,
                            uint64_t *index_out);

#endif
