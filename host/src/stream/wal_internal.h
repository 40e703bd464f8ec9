// wal_internal.h: what the files of the write-ahead log share.
//
//   wal_recovery.c   reads a folder, decides what counts, begins this owner's first file
//   wal.c            open, append, truncate, positions
//   wal_writer.c     the thread: groups, syncs, rolls, marks
//   wal_reader.c     records from the files
//
//   ring      taken             offered          appended
//             | frames to write ... | frames, no one's yet |          each counts bytes, for ever
//
// A long group is written while it is appended: each EARLY_BYTES are offered to the writer. It
// syncs when all that was submitted is written.
//
// Thread     fields say whose they are; what two threads use is atomic, or under files_lock.
// Ring       1.
#ifndef CST_STREAM_WAL_INTERNAL_H
#define CST_STREAM_WAL_INTERNAL_H

#include "base/bytes.h"
#include "base/park.h"
#include "stream/wal_cursor.h"

#include <pthread.h>

#define CSTI_WAL_NO_END UINT64_MAX

enum {
    CSTI_WAL_MEMORY_BYTES_MIN = 4096,
    // Beside the records, at most: headers and marks that no record brings.
    CSTI_WAL_DISK_SPARE_BYTES = 4096,
    CSTI_WAL_EARLY_BYTES = 64 << 10,
};

// A file of the log: records [base, end) of it count.
typedef struct csti_wal_part {
    csti_wal_name name;
    uint64_t end; // CSTI_WAL_NO_END: of the one that is written to
    uint64_t bytes;
} csti_wal_part;

// What recovery hands over.
typedef struct csti_wal_recovered {
    csti_wal_part *parts; // with this owner's file
    size_t parts_count;
    csti_wal_part *strays; // files that are no part of it
    size_t strays_count;
    csti_wal_file file; // this owner's first
    uint64_t nonce;
    uint64_t next; // position of the next record
} csti_wal_recovered;

CST_CHECK_RESULT cst_code csti_wal_recover(const csti_wal_options *options,
                                           const csti_wal_folder *folder, csti_wal_recovered *out,
                                           csti_wal_report *report, cst_err *err);
// Header of a file of this owner.
void csti_wal_header_make(const csti_wal_options *options, uint64_t nonce, uint64_t base,
                          csti_wal_name follows, csti_wal_header *out);

typedef struct csti_wal_metrics { // NULL: there are none
    csti_metric *records, *bytes, *groups, *group_bytes, *syncs, *sync_time, *rolls, *used, *limit;
} csti_wal_metrics;

struct csti_wal {
    csti_wal_options options; // with defaults filled in; its texts are the wal's own
    csti_wal_folder folder;
    uint64_t nonce;
    csti_wal_metrics metrics;
    uint8_t *ring; // memory_bytes

    // The loop's.
    uint64_t next; // position
    uint64_t appended;

    // Written by the loop, read by the writer: what may be written, and what is waited for.
    _Alignas(64) _Atomic uint64_t offered;
    _Atomic uint64_t submitted;
    _Atomic uint64_t charged; // disk bytes that all appended records may take
    _Atomic bool starved;     // an append was refused: memory
    _Atomic bool stop;
    _Atomic uint64_t sync_wanted; // position: by flush

    // Written by the writer. Release, as each pairs with an acquire of the loop, readers,
    // observers.
    _Alignas(64) _Atomic uint64_t taken; // of `offered`: written, its memory is free
    _Atomic uint64_t charges_taken;      // of `charged`
    _Atomic uint64_t written, durable;
    _Atomic uint64_t syncs, rolls;
    _Atomic bool failed; // `failure` is final once it is set
    cst_err failure;

    // The writer's.
    csti_wal_file file;
    uint64_t group_position; // of the record that comes next in the ring
    uint64_t file_base;      // of `file`
    uint64_t marked;         // what the newest mark says
    uint64_t unsynced_since_ns;
    bool is_unsynced;
    uint64_t synced_bytes; // of `taken`
    csti_parker writer, flusher;
    pthread_t thread;

    // Anybody's.
    _Alignas(64) _Atomic uint64_t disk_bytes;
    pthread_mutex_t files_lock; // parts: truncate takes from the front, the writer adds
    csti_wal_part *parts;
    size_t parts_count, parts_capacity;
    csti_wal_part *strays; // truncate's
    size_t strays_count;
};

void *csti_wal_writer_main(void *wal);

// Bytes of the ring, which goes round.
static inline void csti_wal_ring_put(csti_wal *wal, uint64_t at, const void *from, size_t count) {
    const uint64_t capacity = wal->options.memory_bytes;
    const uint64_t place = at % capacity;
    const size_t first = count < capacity - place ? count : (size_t)(capacity - place);

    if (count == 0) return;
    memcpy(wal->ring + place, from, first);
    memcpy(wal->ring, (const uint8_t *)from + first, count - first);
}

static inline void csti_wal_ring_get(const csti_wal *wal, uint64_t at, void *to, size_t count) {
    const uint64_t capacity = wal->options.memory_bytes;
    const uint64_t place = at % capacity;
    const size_t first = count < capacity - place ? count : (size_t)(capacity - place);

    memcpy(to, wal->ring + place, first);
    memcpy((uint8_t *)to + first, wal->ring, count - first);
}

// The part that holds this record, if there is one.
bool csti_wal_part_find(csti_wal *wal, uint64_t position, csti_wal_part *out);
// Adds a part; what was the last one ends where it begins.
CST_CHECK_RESULT cst_code csti_wal_part_add(csti_wal *wal, const csti_wal_part *part, cst_err *err);

#endif
