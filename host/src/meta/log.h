// log.h: the metadata log's objects, for the files that append, read and trim it.
//
//   meta/{incarnation:016x}/{index:020}            entry: header, command
//   meta/{incarnation:016x}/snapshot-{index:020}   the machine after that command
//
// Thread     what takes a csti_meta: with its log lock held. Ring 2.
#ifndef CST_META_LOG_H
#define CST_META_LOG_H

#include "meta/meta.h"

#include <pthread.h>

enum {
    CSTI_META_ENTRY_HEADER_BYTES = 40,
    CSTI_META_NAME_BYTES = 64,
    CSTI_META_SETTLES_MAX = 4,      // tries of a put whose outcome is not known
    CSTI_META_CONFLICTS_MAX = 1000, // lost races of one proposal
    CSTI_META_ROUNDS_MAX = 10000,   // reads of one catching up
    CSTI_META_TRIM_MAX = 1024,      // objects deleted behind one snapshot
    CSTI_META_SNAPSHOT_EVERY = 256,
};

struct csti_meta {
    cst_object_store *store;
    const csti_clock *clock;
    csti_random *random;
    uint32_t snapshot_every;
    uint64_t incarnation;
    pthread_mutex_t log_lock;   // appends and reads of the log, one at a time
    pthread_mutex_t state_lock; // machine and counters; never held while the store is called
    csti_meta_machine *machine; // changed with both locks held, read with either
    uint64_t snapshot_index;    // the newest snapshot that was seen; 0: none
    csti_meta_counters counters;
};

// ---- Names and bytes (entry.c) ------------------------------------------------------------------

typedef struct csti_meta_object {
    uint64_t incarnation, index;
    bool snapshot;
} csti_meta_object;

void csti_meta_name_write(csti_meta_object object, char name[CSTI_META_NAME_BYTES]);
// False: a name that is not the log's.
bool csti_meta_name_read(const char *name, csti_meta_object *out);

CST_CHECK_RESULT cst_code csti_meta_entry_encode(uint64_t incarnation, uint64_t index,
                                                 const csti_meta_command *command, csti_buffer *out,
                                                 cst_err *err);
// META_CORRUPT: also one of another incarnation or index.
CST_CHECK_RESULT cst_code csti_meta_entry_decode(uint64_t incarnation, uint64_t index,
                                                 const uint8_t *bytes, size_t count,
                                                 csti_arena *arena, csti_meta_command *out,
                                                 cst_err *err);

// ---- Snapshots (trim.c) -------------------------------------------------------------------------

// The machine of snapshot `index`. NOT_FOUND; META_CORRUPT names the object; META_VERSION.
CST_CHECK_RESULT cst_code csti_meta_snapshot_read(csti_meta *meta, uint64_t index,
                                                  csti_meta_machine **out, cst_err *err);
// Writes one of the machine as it is, reads it back, and trims what lies behind it.
CST_CHECK_RESULT cst_code csti_meta_snapshot_write(csti_meta *meta, cst_err *err);
// Puts `bytes` under `name` if absent, and settles what is ambiguous. EXISTS: other bytes are
// there.
CST_CHECK_RESULT cst_code csti_meta_put_settled(cst_object_store *store, const char *name,
                                                uint64_t nonce, const csti_buffer *bytes,
                                                cst_err *err);

// ---- Views (view.c) -----------------------------------------------------------------------------

CST_CHECK_RESULT cst_code csti_meta_view_copy(const csti_meta_view *view, csti_arena *arena,
                                              csti_meta_view *out, cst_err *err);

#endif
