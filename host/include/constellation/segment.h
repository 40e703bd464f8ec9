// segment.h: an epoch's changes, or a whole table, as one write-once run of bytes.
//
//   +--------+-----------------------------+------------+-----------+--------+
//   | header | body: part 0, then part 1   | key groups | block CRCs| footer |
//   +--------+-----------------------------+------------+-----------+--------+
//    identity  change records, unchanged     ordered only  one a      counts,
//    128 bytes from the log, 64 KiB blocks                 block      checksum, 128 bytes
//
//   full (epochs 1..10) ◄── delta (11) ◄── delta (12..14)        a chain: each delta names
//        checksum C0  ◄───────┘ base C0      │                   the epoch and checksum that it
//                     checksum C1  ◄─────────┘ base C1           stands on
//
// A segment's checksum is its footer's: it covers header, body and tables. A fold of a chain is a
// full that a delta on the chain's last segment also stands on (`tip_checksum`).
//
// Promises   equal records and identity give equal bytes; a fold is a function of the state alone.
//            No record is handed out before the checksum of its block was compared.
// Thread     a writer: one. An opened segment: any number of readers.
// Ring       1: allocates, reads and writes files.
// Owner      segments keep `bytes` (or the mapped file) until closed; writers borrow ranges.
// Errors     name the segment and the offset of what is wrong:
//            CST_SEGMENT_MAGIC, _VERSION, _TRUNCATED, _CHECKSUM: not a segment, or a damaged one;
//            CST_SEGMENT_IDENTITY, _SCHEMA, _HASH_KEY, _BASE: a good one, but not the one expected;
//            CST_SEGMENT_RECORD: checksums are right, yet a record breaks a rule.
#ifndef CONSTELLATION_SEGMENT_H
#define CONSTELLATION_SEGMENT_H

#include <constellation/table.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CST_SEGMENT_BLOCK_BYTES = 65536,
    CST_SEGMENT_PARTS_MAX = 2,
    CST_KEY_GROUPS_COUNT = 4096,
    CST_SEGMENTS_MAX = 65536, // of one chain
    CST_RESTORE_THREADS_MAX = 16,
};

typedef enum cst_segment_kind {
    CST_SEGMENT_DELTA = 1,          // changes since the segment it stands on
    CST_SEGMENT_FULL_UNORDERED = 2, // changes since nothing: records in any order, newest last
    CST_SEGMENT_FULL_ORDERED = 3,   // one row a key, by hash, then key; no tombstones, no gaps
} cst_segment_kind;

// The records of one table image.
typedef struct cst_segment_part {
    uint32_t layout;      // cst_table_layout; inline comes before wide
    uint32_t key_bytes;   // inline: longest key; wide: 0
    uint32_t value_bytes; // inline: of every value; wide: 0
} cst_segment_part;

typedef struct cst_segment_info {
    cst_segment_kind kind;
    uint64_t table_id;
    uint64_t epoch_from, epoch_to; // both included; a full begins at 1
    uint64_t base_epoch;           // delta: epoch_from - 1; full: 0
    uint32_t base_checksum;        // delta: of the segment it stands on; full: 0
    uint32_t tip_checksum;         // fold: of the last segment folded in; else 0
    uint64_t schema_hash;          // cst_segment_schema_hash
    uint64_t program_hash;         // cst_segment_program_hash
    uint64_t hash_key_check;       // cst_segment_hash_key_check
    uint32_t parts_count;          // 1 or 2
    cst_segment_part parts[CST_SEGMENT_PARTS_MAX];
} cst_segment_info;

// What a segment holds and weighs.
typedef struct cst_segment_summary {
    uint64_t segment_bytes, body_bytes;
    uint64_t rows[CST_SEGMENT_PARTS_MAX];       // records that are rows
    uint64_t tombstones[CST_SEGMENT_PARTS_MAX]; // records that delete
    uint64_t part_bytes[CST_SEGMENT_PARTS_MAX];
    uint32_t checksum; // names the segment's content: the base of the next delta
} cst_segment_summary;

CST_API uint64_t cst_segment_schema_hash(const char *schema_text);
CST_API uint64_t cst_segment_program_hash(const cst_program *program);
CST_API uint64_t cst_segment_hash_key_check(const cst_hash_key *key);

// ---- Write --------------------------------------------------------------------------------------

typedef struct cst_segment_writer cst_segment_writer;

// Writes the header. CST_USAGE names the field of *info that contradicts; CST_NO_MEMORY; what
// `write` fails with. After any error of a writer, what went into `write` is no segment.
CST_API CST_CHECK_RESULT cst_code cst_segment_writer_open(const cst_segment_info *info,
                                                          cst_write write, void *context,
                                                          cst_segment_writer **out, cst_err *err);
// Whole records of part `part`, as they stand; parts in order. They go to `write` by reference.
// CST_SEGMENT_RECORD: a record breaks a rule (an ordered full: also its order).
CST_API CST_CHECK_RESULT cst_code cst_segment_writer_append(cst_segment_writer *writer,
                                                            uint32_t part, const void *bytes,
                                                            size_t count, cst_err *err);
// Writes tables and footer. *summary_out may be NULL.
CST_API CST_CHECK_RESULT cst_code cst_segment_writer_finish(cst_segment_writer *writer,
                                                            cst_segment_summary *summary_out,
                                                            cst_err *err);
// What it wrote of its own (header, tables, footer) stays until here. NULL is allowed.
CST_API void cst_segment_writer_close(cst_segment_writer *writer);

// All of it in one call: ranges[part][0..ranges_count[part]) as cst_table_delta_ranges gives them.
CST_API CST_CHECK_RESULT cst_code cst_segment_write(const cst_segment_info *info,
                                                    const cst_bytes *const *ranges,
                                                    const size_t *ranges_count, cst_write write,
                                                    void *context, cst_segment_summary *summary_out,
                                                    cst_err *err);

// ---- Read ---------------------------------------------------------------------------------------

typedef struct cst_segment cst_segment;

// What the segment under a name has to be. Fields set to 0 (and parts_count 0) are not compared.
typedef struct cst_segment_expect {
    uint64_t table_id;
    uint64_t epoch_from, epoch_to;
    uint32_t checksum;
    uint64_t schema_hash, program_hash, hash_key_check;
    uint32_t parts_count; // each part of the segment must be among these
    cst_segment_part parts[CST_SEGMENT_PARTS_MAX];
} cst_segment_expect;

// Reads and checks everything but the body. `name` is for errors. The segment refers to `bytes`,
// which are 8-byte aligned (CST_USAGE).
CST_API CST_CHECK_RESULT cst_code cst_segment_open_bytes(const char *name, const void *bytes,
                                                         size_t count,
                                                         const cst_segment_expect *expect,
                                                         cst_segment **out, cst_err *err);
// The same for a file, mapped. CST_NOT_FOUND, CST_IO. A file that shrinks while it is mapped ends
// the process with SIGBUS: segments are written once and never changed.
CST_API CST_CHECK_RESULT cst_code cst_segment_open_file(const char *path,
                                                        const cst_segment_expect *expect,
                                                        cst_segment **out, cst_err *err);
CST_API void cst_segment_close(cst_segment *segment); // NULL is allowed
CST_API void cst_segment_info_read(const cst_segment *segment, cst_segment_info *out);
CST_API void cst_segment_summary_read(const cst_segment *segment, cst_segment_summary *out);

// Reads every byte: block checksums, each record's rules, counts, order and key groups; with a hash
// key (else NULL) also that each record's hash is its key's.
CST_API CST_CHECK_RESULT cst_code cst_segment_verify(const cst_segment *segment,
                                                     const cst_hash_key *hash_key, cst_err *err);

typedef struct cst_segment_row {
    cst_row_ref row;
    uint32_t part;
    bool tombstone;
} cst_segment_row;

typedef struct cst_segment_cursor { // all zeros: at the beginning
    uint32_t part;
    uint64_t part_offset;     // of the next record, in its part
    uint64_t verified_blocks; // blocks below it were compared
} cst_segment_cursor;

// The next records in order, at most `capacity`; *count_out == 0: the end. Block checksums are
// compared on the way. References hold as long as the segment is open.
CST_API CST_CHECK_RESULT cst_code cst_segment_next(const cst_segment *segment,
                                                   cst_segment_cursor *cursor, cst_segment_row *out,
                                                   uint32_t capacity, uint32_t *count_out,
                                                   cst_err *err);

// Whether segments[0] is a full, each next one stands on the one before, and all are of one table,
// schema, program and hash key: CST_SEGMENT_BASE, _IDENTITY, _SCHEMA, _HASH_KEY; CST_USAGE for
// none.
CST_API CST_CHECK_RESULT cst_code cst_segment_chain_check(cst_segment *const *segments,
                                                          size_t segments_count, cst_err *err);

// ---- Fold ---------------------------------------------------------------------------------------

typedef struct cst_fold_options {
    // 32 bytes for each record of the largest key group; half of the rest for records of the
    // deltas, half to list them, 8 bytes each: deltas are read as often as one list is full. Beside
    // it 2 MiB of output buffer. 0: 64 MiB.
    uint64_t memory_bytes;
    // Called often while it reads, as `write` is while it writes; what it fails with ends the fold.
    cst_code (*step)(void *context, cst_err *err); // NULL: none
    void *step_context;
} cst_fold_options;

// A chain becomes one ordered full. All is read and checked before the first byte is written:
// a damaged input leaves `write` uncalled. CST_LIMIT: one key group alone needs more memory.
CST_API CST_CHECK_RESULT cst_code cst_segment_fold(cst_segment *const *segments,
                                                   size_t segments_count,
                                                   const cst_fold_options *options, cst_write write,
                                                   void *context, cst_segment_summary *summary_out,
                                                   cst_err *err);

// ---- Restore ------------------------------------------------------------------------------------

typedef struct cst_restore_options {
    uint32_t group_from, group_to; // key groups [from, to); both 0: all
    uint32_t threads_count;        // helpers that verify blocks ahead; 0: the caller alone
    // Called often by the caller's thread, with the bytes of bodies that were read so far; what it
    // fails with ends the restore.
    cst_code (*step)(void *context, uint64_t bytes_read, cst_err *err); // NULL: none
    void *step_context;
} cst_restore_options;

typedef struct cst_restore_report {
    uint64_t segments_count;
    uint64_t records_count; // handed to the tables
    uint64_t bytes_read;    // of bodies
} cst_restore_report;

// Rows to expect in the table of `layout`: what cst_table_options.rows_hint wants.
CST_API uint64_t cst_restore_rows_hint(cst_segment *const *segments, size_t segments_count,
                                       cst_table_layout layout);

// Puts a chain's rows into freshly opened tables: `inline_table` takes inline parts, `wide_table`
// wide ones; NULL for a part that does not occur. Nothing is logged: the next delta stands on the
// chain's last segment. After an error the tables hold a part of the rows: close them.
// Codes of cst_segment_chain_check, of blocks and records; CST_TABLE_BUDGET, CST_TABLE_SKEW,
// CST_LIMIT, CST_NO_MEMORY from the table; CST_SEGMENT_SCHEMA: no table for a part.
CST_API CST_CHECK_RESULT cst_code cst_segment_restore(cst_segment *const *segments,
                                                      size_t segments_count,
                                                      cst_table *inline_table,
                                                      cst_table *wide_table,
                                                      const cst_restore_options *options,
                                                      cst_restore_report *report_out, cst_err *err);

#ifdef __cplusplus
}
#endif
#endif
