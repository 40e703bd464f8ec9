// store.h: keyed state behind one contract, whatever keeps it.
//
//   cst_store ──► ops of its back end
//                   hash:      cst_table images in memory; epochs leave deltas; no order
//                   lmdb:DIR   a memory-mapped B+tree on disk; ordered; an epoch is a transaction
//
//   put, put, delete, ... seal(1) ... put, ... seal(2)
//   |---- epoch 1 -------|          |-- epoch 2 -|
//        write_delta(1, 1) ──► segment       or, where there are no increments, write_full;
//                                            write_next chooses
//
// A key maps to bytes. A put replaces the value; deleting a missing key is no error and leaves
// nothing behind, in the store or in its delta.
//
// Promises   every back end passes one conformance suite against a plain map. No allocation on get,
//            nor on a put that replaces a value by one of equal length.
// Thread     one owner thread a store. Stores share nothing.
// Ring       1 (`hash` batched forms: ring 0 but for growth).
// Owner      the caller owns keys and values; references live until the owner's next call.
// Errors     unless a function says otherwise, after an error nothing has changed.
//            CST_ABORTED: an earlier error of the disk undid the open epoch; cst_store_rollback.
#ifndef CONSTELLATION_STORE_H
#define CONSTELLATION_STORE_H

#include <constellation/segment.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CST_STORE_LMDB_KEY_BYTES_MAX = 510, // LMDB's 511 less the byte that allows empty keys
    CST_STORE_EPOCHS_MAX = 1024,        // sealed and not released; seal refuses the next
};

typedef struct cst_store_options {
    uint64_t table_id;  // in every segment
    const char *schema; // canonical text of the keys' schema; NULL: ""
    cst_hash_key hash_key;
    uint32_t inline_key_bytes; // hash: keys up to this and values of exactly value_bytes live in
    uint32_t value_bytes;      // slots, the rest beside them; see `inline_rows`
    bool inline_rows;          // hash: false: no slots of fixed width, every row is wide
    bool background;           // hash: a helper thread keeps memory ready
    int32_t numa_node;         // hash: -1: anywhere
    uint64_t budget_bytes;     // hash: of each of the two images; 0: 4 GiB
    uint64_t rows_hint;        // hash: inline rows to expect
    uint64_t map_bytes;        // lmdb: most that the file may take; 0: 16 GiB
    bool no_sync;              // lmdb: seal leaves the disk's own time to write: after a power cut
                               // the store may be damaged; after a killed process it is not
} cst_store_options;

typedef struct cst_store_capabilities {
    const char *scheme; // "hash", "lmdb"
    bool ordered;       // prefix_scan and range_scan
    bool incremental;   // write_delta
    bool zero_copy;     // get_ref
    bool persistent;    // opened again, it holds what was sealed last
    uint32_t key_bytes_max;
    uint32_t value_bytes_max;
} cst_store_capabilities;

typedef struct cst_store_stats {
    uint64_t rows_count;
    uint64_t epoch;              // the open one, from 1
    uint64_t used_bytes;         // of memory or disk
    uint64_t budget_bytes;       // the most it may be
    uint64_t pinned_epochs;      // sealed and not released
    uint64_t scan_visited_count; // entries looked at by scans since open
} cst_store_stats;

typedef struct cst_store cst_store;

// Opens "hash:" or "lmdb:DIR" (DIR is made if its parent exists). Errors: CST_USAGE: an unknown or
// malformed URI, an option that contradicts; CST_IO; CST_NO_MEMORY; lmdb: CST_SCHEMA_MISMATCH,
// CST_SEGMENT_IDENTITY: the folder holds a store of another schema or table; CST_STORE_CORRUPT;
// CST_STORE_FULL; CST_AGAIN: another process has it open.
CST_API CST_CHECK_RESULT cst_code cst_store_open(const char *uri, const cst_store_options *options,
                                                 cst_store **out, cst_err *err);
// What was not sealed is gone. NULL is allowed.
CST_API void cst_store_close(cst_store *store);
CST_API void cst_store_capabilities_read(const cst_store *store, cst_store_capabilities *out);
CST_API void cst_store_stats_read(const cst_store *store, cst_store_stats *out);

// ---- Single rows --------------------------------------------------------------------------------

// Copies the value. CST_NOT_FOUND; CST_LIMIT: value_capacity is too small, *value_bytes_out says
// what is needed; CST_STORE_CORRUPT; CST_ABORTED.
CST_API CST_CHECK_RESULT cst_code cst_store_get(cst_store *store, const void *key, size_t key_bytes,
                                                void *value_out, size_t value_capacity,
                                                size_t *value_bytes_out);
// By reference, until the owner's next call on the store. CST_NOT_FOUND, CST_STORE_CORRUPT,
// CST_ABORTED; CST_UNSUPPORTED from a store whose capabilities say so.
CST_API CST_CHECK_RESULT cst_code cst_store_get_ref(cst_store *store, const void *key,
                                                    size_t key_bytes, cst_bytes *out);
// CST_KEY_TOO_LONG, CST_VALUE_TOO_LONG. hash: CST_TABLE_BUDGET, CST_TABLE_SKEW, CST_LIMIT,
// CST_NO_MEMORY. lmdb: CST_STORE_FULL: no room in the map, nothing changed; or no room on the disk:
// then the open epoch is undone, and every call but rollback and close is CST_ABORTED; the same
// holds for CST_IO. CST_STORE_CORRUPT.
CST_API CST_CHECK_RESULT cst_code cst_store_put(cst_store *store, const void *key, size_t key_bytes,
                                                const void *value, size_t value_bytes);
// As put. A missing key is CST_OK.
CST_API CST_CHECK_RESULT cst_code cst_store_delete(cst_store *store, const void *key,
                                                   size_t key_bytes);

// ---- Batches ------------------------------------------------------------------------------------

// Of `rows`, keys (key_stride and key_bytes, or key_offsets), ops, values (value_stride: each of
// options.value_bytes; or value_offsets) are read, and hashes where given; sources must be NULL.
// Rows are applied in order until one cannot be; *applied_out is how many were. Codes of put.
CST_API CST_CHECK_RESULT cst_code cst_store_multi_put(cst_store *store, const cst_rows *rows,
                                                      uint32_t *applied_out);
// Row r's value is copied to values_out + r * values_stride and found_out[r] set to 1, or to 0 if
// there is none. value_bytes_out (NULL is allowed) takes lengths. CST_LIMIT: a value is longer than
// values_stride: no output means anything then. CST_STORE_CORRUPT, CST_ABORTED.
CST_API CST_CHECK_RESULT cst_code cst_store_multi_get(cst_store *store, const cst_rows *keys,
                                                      uint8_t *values_out, uint32_t values_stride,
                                                      uint32_t *value_bytes_out,
                                                      uint8_t *found_out);

// ---- Scans, in key order ------------------------------------------------------------------------

// Sees a row by reference, until it returns; true goes on, false ends the scan. It must not call
// the store.
typedef bool (*cst_store_visit)(void *context, const cst_bytes *key, const cst_bytes *value);

// Rows whose key begins with the prefix (empty: all). The cost is that of the rows visited, plus
// one search. CST_UNSUPPORTED: this store has no order. CST_STORE_CORRUPT, CST_ABORTED.
CST_API CST_CHECK_RESULT cst_code cst_store_prefix_scan(cst_store *store, const void *prefix,
                                                        size_t prefix_bytes, cst_store_visit visit,
                                                        void *context);
// Rows with from <= key < to; to.data NULL: to the end. As prefix_scan.
CST_API CST_CHECK_RESULT cst_code cst_store_range_scan(cst_store *store, cst_bytes from,
                                                       cst_bytes to, cst_store_visit visit,
                                                       void *context);

// ---- Epochs and snapshots -----------------------------------------------------------------------

// Ends the open epoch: *epoch_out is its number. hash: O(1); CST_LIMIT: CST_STORE_EPOCHS_MAX are
// waiting for release. lmdb: commits; CST_STORE_FULL, CST_IO: the epoch is undone, as in put.
CST_API CST_CHECK_RESULT cst_code cst_store_seal(cst_store *store, uint64_t *epoch_out,
                                                 cst_err *err);
// Undoes the open epoch. CST_UNSUPPORTED: this store cannot (restore it instead). CST_IO.
CST_API CST_CHECK_RESULT cst_code cst_store_rollback(cst_store *store, cst_err *err);
// Epochs up to `epoch` are committed elsewhere: their memory may go. CST_EPOCH: not sealed yet.
CST_API CST_CHECK_RESULT cst_code cst_store_release(cst_store *store, uint64_t epoch, cst_err *err);

// What a delta stands on.
typedef struct cst_store_base {
    uint64_t epoch; // 0: nothing: the segment is a full, unordered
    uint32_t checksum;
} cst_store_base;

// The changes of the epochs behind base.epoch up to epoch_to, all sealed and none released, as one
// segment. Their bytes go out by reference. CST_UNSUPPORTED; CST_EPOCH; what `write` fails with.
CST_API CST_CHECK_RESULT cst_code cst_store_write_delta(cst_store *store, cst_store_base base,
                                                        uint64_t epoch_to, cst_write write,
                                                        void *context,
                                                        cst_segment_summary *summary_out,
                                                        cst_err *err);
// All rows as they are now, as a full: hash: ordered; lmdb: unordered, by key, in constant memory.
// CST_EPOCH: something changed since the last seal, or nothing was ever sealed. CST_NO_MEMORY,
// what `write` fails with.
CST_API CST_CHECK_RESULT cst_code cst_store_write_full(cst_store *store, cst_write write,
                                                       void *context,
                                                       cst_segment_summary *summary_out,
                                                       cst_err *err);
// What a coordinator asks a store for that it does not know: a delta on `base`, as above, or all
// rows, if there are no increments. *kind_out: a delta goes on the chain, a full begins it anew.
// CST_EPOCH also where all rows are asked for and epoch_to is not the one sealed last.
CST_API CST_CHECK_RESULT cst_code cst_store_write_next(cst_store *store, cst_store_base base,
                                                       uint64_t epoch_to, cst_write write,
                                                       void *context, cst_segment_kind *kind_out,
                                                       cst_segment_summary *summary_out,
                                                       cst_err *err);
// Fills an empty store at epoch 1 from a chain; its open epoch is then the one behind the chain's.
// Identity, schema and hash key must be the store's: CST_SEGMENT_IDENTITY, _SCHEMA, _HASH_KEY.
// Codes of cst_segment_restore; CST_USAGE: not empty. After an error the store is empty, at
// epoch 1.
CST_API CST_CHECK_RESULT cst_code cst_store_restore(cst_store *store, cst_segment *const *segments,
                                                    size_t segments_count,
                                                    const cst_restore_options *options,
                                                    cst_err *err);

#ifdef __cplusplus
}
#endif
#endif
