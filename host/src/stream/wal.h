// wal.h: what a push source has taken, on disk before anybody is told so.
//
//   loop (one thread)           writer (its own thread)                      folder
//   append ─► | r7 | r8 | r9 |  ─► write all there is ─► fdatasync ─►  00..5-00..0.wal   tenure 5
//   submit      memory, a ring       │ a group: what came meanwhile    00..5-00..4.wal   a roll
//                                    └► safe = 10, woken()             00..7-00..7.wal   tenure 7
//                                                                            │ sealed at 7: what of
//   reader (any number)  ◄── records below `written`, from the files ────────┘ 5 lies at 7 or above
//   truncate(position)   ──► files deleted that end at or below it             counts no more
//
// A record is {position, kind, payload}: the position rises by one from record to record, over all
// files and tenures, from 0 on; kind and payload are the caller's. Bytes: docs/formats.md, The
// write-ahead log.
//
// A file belongs to one tenure, and nobody else ever writes to it. Its header names the file that
// it follows and the position where that one ends (its own base), so the newest file and those that
// it follows are the log, and nothing else is: an older owner who wakes up may write behind that
// position, roll to a new file, or come with a file of a tenure between: none of it counts, for
// anybody, ever. Records that nothing proves durable (their writer may have failed, or the machine
// may fail yet) are written again into the new owner's file before it gets its name.
//
// So the order for an owner is: claim the tenure, open (which reads), go on. And for an answer:
// submit, wait until `safe` is above the record, ask the shared truth whether the tenure still
// holds, answer. What was answered so is read by every later owner.
//
// Sync policies  always (interval 0): safe is durable. Interval: safe is written, and at most
//                interval_ns later, rows or none, a sync of it begins. Loss window: if the machine
//                (not the process) dies, what was written within the last interval and the time of
//                one sync may be gone, answered or not.
// Promises   what is below `safe` is read back after a kill -9 of the process, below `durable`
//            after one of the machine. After a failed write or sync nothing is written any more and
//            neither position moves. A file is whole, header and all, once it has its name.
//            Memory is memory_bytes; files have disk_bytes_max together at most, and an eighth of
//            file_bytes that the disk is asked for ahead.
// Thread     append, submit: one, the loop. A reader: one. truncate: one at a time, any.
//            The positions, stats, failure: any. woken: called by the writer's thread.
// Ring       1. append, submit: no lock, no wait, no system call but a wake of a sleeping writer.
//            open, truncate, flush, close wait for the disk.
// Errors     WAL_CORRUPT, WAL_VERSION, WAL_GAP, JOB_MISMATCH, SCHEMA_MISMATCH of open name file and
//            offset, and why; FENCED: a file of a newer tenure is there; EXISTS: one of this
//            tenure. AGAIN: memory is full, wait for woken. WAL_FULL: the disk bound is used up,
//            wait for a checkpoint. STORE_FULL (no room, quota) and IO name the file and are final.
#ifndef CST_STREAM_WAL_H
#define CST_STREAM_WAL_H

#include "base/metrics.h"

#include <stdbool.h>

enum {
    CSTI_WAL_PAYLOAD_BYTES_MAX = 16 << 20,
    CSTI_WAL_NAME_BYTES = 64,        // of a file, with its NUL
    CSTI_WAL_JOB_BYTES_MAX = 128,    // of a job's name
    CSTI_WAL_MEMORY_BYTES = 8 << 20, // if nothing is said, as the two below
    CSTI_WAL_FILE_BYTES = 64 << 20,
    CSTI_WAL_DISK_BYTES_MAX = 1 << 30,
    CSTI_WAL_SLOW_PERCENT = 80, // of disk_bytes_max: from here on who feeds it slows down
};

typedef struct csti_wal csti_wal;
typedef struct csti_wal_reader csti_wal_reader;

typedef struct csti_wal_record {
    uint64_t position;
    uint16_t kind;
    const uint8_t *payload; // until its giver's next call
    uint32_t payload_bytes;
} csti_wal_record;

typedef struct csti_wal_options {
    const char *folder; // made if it is not there; the folder above it is
    const char *job;
    uint64_t schema; // of the payloads: a checksum of what they must be read by
    uint64_t tenure; // at least 1, above that of every owner before
    uint64_t incarnation;
    // What the committed checkpoint holds: records below are not asked for. 0: none.
    uint64_t from;
    // With from above 0: an empty folder is no error (the machine was lost, and with it what only
    // the log had). Positions go on at `from`.
    bool may_be_missing;
    uint64_t interval_ns; // 0: always
    // 0: as above. A record with its head fits memory_bytes, the memory a file, four files the
    // disk's bound: else LIMIT.
    uint64_t memory_bytes, file_bytes, disk_bytes_max;
    // Every record from `from` on, in order, while open verifies it: what it says is lost if open
    // fails afterwards. NULL: nobody asks. What it fails with, open fails with.
    cst_code (*recovered)(void *context, const csti_wal_record *record, cst_err *err);
    // `safe` has moved, or memory that was full has room again, or the writer has failed.
    // It only wakes somebody (csti_park_fd_wake). NULL: nobody waits.
    void (*woken)(void *context);
    void *context;
    csti_metrics *metrics; // NULL: none
} csti_wal_options;

// What open found.
typedef struct csti_wal_report {
    uint64_t first, end; // records [first, end) are there, first <= from; equal: none
    uint64_t records;    // at `from` or above
    uint64_t rewritten;  // of them: nothing proved them durable, they are in the new file now
    uint32_t files;      // that the log consisted of
    uint32_t strays;     // files that are no part of it: the first truncate deletes them
    bool missing;        // may_be_missing made use of
    // Bytes behind the last record that counts and are none: a write that was cut off, or an older
    // owner's.
    uint64_t cut_bytes;
    uint64_t cut_offset;                // in the last file that had any
    char cut_file[CSTI_WAL_NAME_BYTES]; // "": none had
} csti_wal_report;

CST_CHECK_RESULT cst_code csti_wal_open(const csti_wal_options *options, csti_wal **out,
                                        csti_wal_report *report_out, cst_err *err);
// Writes and syncs what was appended, unless the writer has failed, and ends its thread. Readers
// are closed before. NULL is allowed.
void csti_wal_close(csti_wal *wal);

// A copy of the payload, in memory until the next submit. After an error nothing was appended:
// AGAIN, WAL_FULL, LIMIT (the payload is longer than memory or CSTI_WAL_PAYLOAD_BYTES_MAX), or what
// the writer failed with.
CST_CHECK_RESULT cst_code csti_wal_append(csti_wal *wal, uint16_t kind, const void *payload,
                                          uint32_t payload_bytes, uint64_t *position_out,
                                          cst_err *err);
// What was appended is waited for: all of it is written, and synced by the policy. Once a turn of
// the loop is enough, and what makes groups; the first of a long one is written before.
void csti_wal_submit(csti_wal *wal);
// Submits, and waits until everything appended is durable. What the writer failed with.
CST_CHECK_RESULT cst_code csti_wal_flush(csti_wal *wal, cst_err *err);

// Records below it have the property; it never falls. Acquire: what the record holds can be read.
uint64_t csti_wal_written(const csti_wal *wal); // in the files: readers give it
uint64_t csti_wal_durable(const csti_wal *wal); // synced
uint64_t csti_wal_safe(const csti_wal *wal);    // may be answered, by the policy
// CST_OK: it works. Else what ended it; never CST_OK again.
CST_CHECK_RESULT cst_code csti_wal_failure(const csti_wal *wal, cst_err *err);

typedef struct csti_wal_stats {
    uint64_t syncs, rolls; // by this owner
    uint64_t files;
    uint64_t used_bytes; // of disk_bytes_max: files and what waits in memory
    uint64_t disk_bytes_max;
    uint64_t memory_used_bytes;
    uint64_t memory_bytes;
} csti_wal_stats;
void csti_wal_stats_read(const csti_wal *wal, csti_wal_stats *out);
// Of disk_bytes_max, in percent, rounded down; cheap. At CSTI_WAL_SLOW_PERCENT and above slow down.
uint32_t csti_wal_used_percent(const csti_wal *wal);

// Deletes files whose records are all below, and those that are no part of the log. The position
// stands in a checkpoint, and nobody will ask for records below it again: that of the oldest one
// may go back to. This owner has committed a checkpoint since open: else it may be fenced off, and
// the files may be what its successor reads. The file that is written to stays. After an error (IO)
// some are deleted; the rest is tried again with the next call.
CST_CHECK_RESULT cst_code csti_wal_truncate(csti_wal *wal, uint64_t position, cst_err *err);

// From the record at `from` on (at most the next position). WAL_GAP: it is truncated.
CST_CHECK_RESULT cst_code csti_wal_reader_open(csti_wal *wal, uint64_t from, csti_wal_reader **out,
                                               cst_err *err);
// Before the first record: payloads of other kinds are not read, and NULL.
void csti_wal_reader_choose(csti_wal_reader *reader, uint16_t kind);
// AGAIN: all that is written was given. Each record is verified, but for what is not read:
// WAL_CORRUPT.
CST_CHECK_RESULT cst_code csti_wal_reader_next(csti_wal_reader *reader, csti_wal_record *out,
                                               cst_err *err);
uint64_t csti_wal_reader_position(const csti_wal_reader *reader); // of the record that comes next
void csti_wal_reader_close(csti_wal_reader *reader);              // NULL is allowed

#endif
