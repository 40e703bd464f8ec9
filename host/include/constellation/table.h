// table.h: a keyed state table whose barrier is O(1).
//
//   rows ──► APPLY ──► slots (current value of every key)
//                 └──► change log (one record a key and epoch) ──seal──► delta: ranges, no copy
//
// A table maps keys to values. What an upsert does to a value is the table's update program, fixed
// at open: replace it, or fold up to 16 accumulators. Every first touch of a key in an epoch leaves
// a record in the change log, every later one rewrites that record; sealing an epoch is noting how
// long the log is. The log's bytes between two seals are the epoch's delta, in wire format.
//
// Thread     one owner thread calls everything, unless a function says otherwise.
// Ring       cst_table_apply, _lookup, _seal, _release, _grow, _expire, _scan, _restore_records are
//            ring 0: no allocation, no system call, no page fault, no text. The single forms
//            (cst_table_put, …) are ring 1: they make room themselves.
// Owner      the table owns its image; rows are borrowed for the call.
// Errors     each function names what it fails with; unless said, nothing was changed.
#ifndef CONSTELLATION_TABLE_H
#define CONSTELLATION_TABLE_H

#include <constellation/batch.h>
#include <constellation/hash.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CST_INLINE_KEY_BYTES_MAX = 248,
    CST_INLINE_ENTRY_BYTES_MAX = 512, // 16 + key + value, rounded up to 32
    CST_WIDE_KEY_BYTES_MAX = 65535,
    CST_WIDE_VALUE_BYTES_MAX = 1 << 20,
    CST_ACCUMULATORS_MAX = 16,
    CST_TTL_NONE = 0,
    CST_NO_OFFSET = 0xffff,
    CST_NO_COLUMN = 0xffff,
};

// Inline: keys of at most key_bytes, values of exactly value_bytes, both in the slot; any device.
// Wide: keys and values of any length up to the limits above, in a slab; the host only.
typedef enum cst_table_layout { CST_TABLE_INLINE = 1, CST_TABLE_WIDE = 2 } cst_table_layout;

typedef enum cst_accumulate {
    CST_COUNT = 1, // u64; with a source column: its values that are not null
    CST_SUM = 2,
    CST_MIN = 3, // doubles compare as keys do: -0.0 is +0.0, NaN is above everything
    CST_MAX = 4,
    CST_LAST = 5, // by row order; a null is skipped
} cst_accumulate;

typedef enum cst_number { CST_U64 = 1, CST_I64 = 2, CST_F64 = 3, CST_DECIMAL128 = 4 } cst_number;

typedef struct cst_accumulator {
    uint8_t op;            // cst_accumulate
    uint8_t number;        // cst_number: how the value and its source are read
    uint16_t value_offset; // of 8 bytes (decimal128: 16), a multiple of 8
    uint16_t source;       // index into cst_rows.sources; CST_NO_COLUMN for a plain count
    uint16_t reserved;     // 0
} cst_accumulator;

typedef struct cst_program {
    uint32_t value_bytes;        // wide: 0, values bring their length
    uint16_t accumulators_count; // 0: an upsert replaces the value
    uint16_t presence_offset;    // of a u64: bit i set = accumulator i has seen a value; needed if
                                 // a source can be null; else CST_NO_OFFSET
    uint64_t ttl_us;             // CST_TTL_NONE, or: a row whose time + ttl <= now is absent
    uint16_t time_offset;        // with a TTL: value offset of the row's time, i64 microseconds
    uint16_t reserved[3];        // 0
    cst_accumulator accumulators[CST_ACCUMULATORS_MAX];
} cst_program;

typedef struct cst_table_options {
    cst_table_layout layout;
    uint32_t key_bytes; // inline: longest key, 0 to CST_INLINE_KEY_BYTES_MAX
    cst_program program;
    cst_hash_key hash_key;
    uint64_t budget_bytes;      // slots + index + log + slab; a row that needs more is refused
    uint64_t rows_hint;         // sizes the directory at open; 0: start with one segment
    uint32_t log_segment_bytes; // power of two, 64 KiB to 2 MiB; 0: 2 MiB. A record (16 + key +
                                // value) takes at most this less 1 KiB: it bounds wide rows
    int32_t numa_node;          // where pages should lie; -1: anywhere
    bool background;            // a helper thread keeps memory ready; else cst_table_prepare does
    bool small_pages;           // no huge pages: an almost empty table takes less than 1 MiB
} cst_table_options;

typedef struct cst_table cst_table;

// CST_USAGE names the option that contradicts; CST_NO_MEMORY.
CST_API CST_CHECK_RESULT cst_code cst_table_open(const cst_table_options *options, cst_table **out,
                                                 cst_err *err);
CST_API void cst_table_close(cst_table *table); // NULL is allowed

// ---- Ring 0 commands, on batches ----------------------------------------------------------------

// One source column for accumulators. Narrower integers and f32 are widened on the way in.
typedef struct cst_source {
    const void *values;
    const uint8_t *validity; // bit a row, 1 = present; NULL: all present
    cst_type type;
} cst_source;

typedef struct cst_rows {
    uint32_t rows_count;
    uint32_t first_row;     // rows before it are passed over: how a stopped batch goes on
    uint32_t key_stride;    // fixed length: row r's key is at keys + r * key_stride
    uint32_t key_bytes;     // its length then
    uint32_t value_stride;  // replace, inline: row r's value at values + r * value_stride
    const uint8_t *ops;     // cst_row_op a row; NULL: all upserts
    const uint64_t *hashes; // cst_hash of each key under the table's hash key
    const uint8_t *keys;
    const uint32_t *key_offsets; // not NULL: row r's key is keys[offsets[r]..offsets[r + 1])
    const uint8_t *values;
    const uint32_t *value_offsets; // wide: row r's value is values[offsets[r]..offsets[r + 1])
    const cst_source *sources;     // accumulators: as many as the program refers to
    int64_t now_us;                // for a table with a TTL
} cst_rows;

// Applies rows from first_row on, in order, until one cannot be; *applied_out is how many were.
// Returns why it stopped: CST_TABLE_FULL (grow that row's segment), CST_TABLE_BUDGET,
// CST_TABLE_NOT_READY (prepare), CST_SUM_OVERFLOW, CST_KEY_TOO_LONG, CST_VALUE_TOO_LONG. Nothing of
// that row or after is applied.
CST_API CST_CHECK_RESULT cst_code cst_table_apply(cst_table *table, const cst_rows *rows,
                                                  uint32_t *applied_out);

// Copies each found row's value to values_out + r * values_stride and sets found_out[r] to 1 or 0.
// Inline tables only: CST_UNSUPPORTED else.
CST_API CST_CHECK_RESULT cst_code cst_table_lookup(cst_table *table, const cst_rows *keys,
                                                   uint8_t *values_out, uint32_t values_stride,
                                                   uint8_t *found_out);

typedef struct cst_bytes {
    const uint8_t *data; // NULL: absent
    size_t count;
} cst_bytes;

// The same by reference: out[r] points into the image until the owner's next call on the table.
CST_API CST_CHECK_RESULT cst_code cst_table_lookup_refs(cst_table *table, const cst_rows *keys,
                                                        cst_bytes *out);

// An epoch's changes: the log between two seals.
typedef struct cst_delta {
    uint64_t epoch;
    uint64_t from, to; // log offsets, multiples of 64; equal: nothing changed
} cst_delta;

// Ends the open epoch and begins the next. O(1). The delta stays as it is until released.
// CST_TABLE_NOT_READY or _BUDGET cannot happen: the pad always has its place.
CST_API cst_delta cst_table_seal(cst_table *table);

// The delta's bytes in order, as at most `capacity` ranges into the log; *count_out says how many
// there are (call again with more room if it is above capacity). Any thread, until its release.
CST_API void cst_table_delta_ranges(const cst_table *table, const cst_delta *delta,
                                    cst_bytes *ranges, size_t capacity, size_t *count_out);

// This delta and all before it are committed: their log segments are free again.
// CST_EPOCH: it is not one that this table has sealed. Releasing one twice changes nothing.
CST_API CST_CHECK_RESULT cst_code cst_table_release(cst_table *table, const cst_delta *delta);

// One step of growth for the segment that holds `hash`. CST_AGAIN: part of the step is done, call
// again. CST_TABLE_SKEW, CST_TABLE_BUDGET, CST_TABLE_NOT_READY, CST_LIMIT: nothing was done.
CST_API CST_CHECK_RESULT cst_code cst_table_grow(cst_table *table, uint64_t hash);

// Looks at `buckets_count` buckets from *bucket on (wrapping to 0 at the end), deletes the rows
// whose time is over, leaves tombstones, moves *bucket on. Stops early, with a code as _apply, at a
// row whose tombstone has no place.
CST_API CST_CHECK_RESULT cst_code cst_table_expire(cst_table *table, uint64_t *bucket,
                                                   uint32_t buckets_count, int64_t now_us,
                                                   uint32_t *expired_out);

// ---- Scan and restore ---------------------------------------------------------------------------

typedef struct cst_row_ref {
    uint64_t hash;
    const uint8_t *key;
    const uint8_t *value;
    uint32_t key_bytes;
    uint32_t value_bytes;
} cst_row_ref;

typedef struct cst_scan {
    uint64_t position; // 0 to begin
    uint64_t grows;    // filled by the first call
    int64_t now_us;    // for a table with a TTL
} cst_scan;

// The next rows in slot order, at most `capacity`; *count_out == 0: the end. References hold until
// the owner's next call. CST_AGAIN: the table grew since the scan began; begin again.
CST_API CST_CHECK_RESULT cst_code cst_table_scan(cst_table *table, cst_scan *scan, cst_row_ref *out,
                                                 uint32_t capacity, uint32_t *count_out);

// Applies log records as they stand (from a delta or a full), in order, without logging them.
// *used_out: bytes of whole records applied. Codes as _apply, and CST_SEGMENT_RECORD for a record
// that breaks a rule (at *used_out).
CST_API CST_CHECK_RESULT cst_code cst_table_restore_records(cst_table *table, const uint8_t *bytes,
                                                            size_t count, size_t *used_out);

// ---- Ring 1: single rows, room made as needed ---------------------------------------------------

// CST_UNSUPPORTED from get, get_ref, put and delete on a table with a TTL: they bring no time.

CST_API CST_CHECK_RESULT cst_code cst_table_get(
    cst_table *table, const void *key, size_t key_bytes, void *value_out, size_t value_capacity,
    size_t *value_bytes_out); // CST_NOT_FOUND, CST_LIMIT
CST_API CST_CHECK_RESULT cst_code cst_table_get_ref(cst_table *table, const void *key,
                                                    size_t key_bytes, cst_bytes *out);
CST_API CST_CHECK_RESULT cst_code cst_table_put(cst_table *table, const void *key, size_t key_bytes,
                                                const void *value, size_t value_bytes);
CST_API CST_CHECK_RESULT cst_code cst_table_delete(cst_table *table, const void *key,
                                                   size_t key_bytes);
// _apply, with GROW and waiting for prepared memory done in between. Stops as _apply does for what
// that cannot cure.
CST_API CST_CHECK_RESULT cst_code cst_table_apply_all(cst_table *table, const cst_rows *rows,
                                                      uint32_t *applied_out);
// Makes memory ready ahead of need, when no helper thread does. Any one thread.
CST_API CST_CHECK_RESULT cst_code cst_table_prepare(cst_table *table, cst_err *err);

typedef struct cst_table_stats {
    uint64_t rows_count;
    uint64_t segments_count, chunks_count;
    uint64_t slots_bytes, index_bytes, directory_bytes, slab_bytes;
    uint64_t log_bytes;  // pinned and open, whole log segments
    uint64_t used_bytes; // the sum of the above
    uint64_t budget_bytes;
    uint64_t epoch; // the open one
    uint64_t grows_count, splits_count;
    uint64_t misplaced_bytes; // made ready on another node than options.numa_node, which was full;
                              // 0 where no node was asked for, or the kernel does not say
} cst_table_stats;

CST_API void cst_table_stats_read(const cst_table *table, cst_table_stats *out);

// Whether the memory that is ready lies on options.numa_node, as the kernel answers page by page.
// Any thread. CST_OK where no node was asked for. CST_PLACEMENT says how much lies where: the table
// works all the same, and slower. CST_UNSUPPORTED: the kernel does not say.
CST_API CST_CHECK_RESULT cst_code cst_table_check_placement(const cst_table *table, cst_err *err);

// ---- The image ----------------------------------------------------------------------------------

// Checks every rule of docs/formats.md, The table image. CST_TABLE_CORRUPT says what and where.
CST_API CST_CHECK_RESULT cst_code cst_table_check(const cst_table *table, cst_err *err);
// CST_OK if both images are equal byte by byte where bytes count; else *err names the first place.
CST_API CST_CHECK_RESULT cst_code cst_table_compare(const cst_table *a, const cst_table *b,
                                                    cst_err *err);
// Writes the image, checksums in front of every 64 KiB block, through `write`; loads one back.
typedef cst_code (*cst_write)(void *context, const void *bytes, size_t count, cst_err *err);
typedef cst_code (*cst_read)(void *context, void *bytes, size_t count, cst_err *err);
CST_API CST_CHECK_RESULT cst_code cst_table_save(const cst_table *table, cst_write write,
                                                 void *context, cst_err *err);
CST_API CST_CHECK_RESULT cst_code cst_table_load(const cst_table_options *options, cst_read read,
                                                 void *context, cst_table **out, cst_err *err);

#ifdef __cplusplus
}
#endif
#endif
