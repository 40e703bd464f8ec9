// store.h: what a state store's back end is: a struct of functions, and the fields all share.
//
//   cst_store_put(store, ...) ──► store->ops->put(store, ...)
//
// store.c checks what every back end would have to check: lengths, the store's state, what its
// capabilities exclude. A back end begins with a cst_store and is found by its scheme.
//
// Promises   a back end is called only with keys and values within its capabilities, and not at all
//            while `aborted` is set, but for rollback and close.
// Thread     the store's owner.
#ifndef CST_STATE_STORE_H
#define CST_STATE_STORE_H

#include <constellation/store.h>

typedef struct csti_store_ops {
    cst_code (*open)(const char *place, const cst_store_options *options, cst_store **out,
                     cst_err *err);
    void (*close)(cst_store *store);
    void (*stats)(const cst_store *store, cst_store_stats *out);
    cst_code (*get_ref)(cst_store *store, const void *key, size_t key_bytes, cst_bytes *out);
    cst_code (*put)(cst_store *store, const void *key, size_t key_bytes, const void *value,
                    size_t value_bytes);
    cst_code (*delete_key)(cst_store *store, const void *key, size_t key_bytes);
    cst_code (*multi_put)(cst_store *store, const cst_rows *rows, uint32_t *applied_out);
    cst_code (*multi_get)(cst_store *store, const cst_rows *keys, uint8_t *values_out,
                          uint32_t values_stride, uint32_t *value_bytes_out, uint8_t *found_out);
    // `prefix` NULL: rows from `from` up to `to`.
    cst_code (*scan)(cst_store *store, const cst_bytes *prefix, const cst_bytes *from,
                     const cst_bytes *to, cst_store_visit visit, void *context);
    cst_code (*seal)(cst_store *store, cst_err *err); // the open epoch, store->epoch
    cst_code (*rollback)(cst_store *store, cst_err *err);
    cst_code (*release)(cst_store *store, uint64_t epoch, cst_err *err);
    cst_code (*write_delta)(cst_store *store, cst_store_base base, uint64_t epoch_to,
                            cst_write write, void *context, cst_segment_summary *summary_out,
                            cst_err *err);
    cst_code (*write_full)(cst_store *store, cst_write write, void *context,
                           cst_segment_summary *summary_out, cst_err *err);
    cst_code (*restore)(cst_store *store, cst_segment *const *segments, size_t segments_count,
                        const cst_restore_options *options, cst_err *err);
} csti_store_ops;

extern const csti_store_ops csti_store_hash_ops;
extern const csti_store_ops csti_store_lmdb_ops;

struct cst_store {
    const csti_store_ops *ops;
    cst_store_capabilities capabilities;
    cst_store_options options; // schema: NULL, it is the caller's
    uint64_t schema_hash;
    uint64_t program_hash;
    uint64_t epoch;          // the open one
    uint64_t epoch_released; // and all before
    bool changed;            // since the last seal
    bool aborted;
    uint64_t scan_visited_count;
};

// The parts a segment of this store may have, inline first.
uint32_t csti_store_parts(const cst_store_options *options, cst_segment_part parts[2]);
// A segment's identity, but for its epochs.
cst_segment_info csti_store_info(const cst_store *store, cst_segment_kind kind, uint64_t epoch_from,
                                 uint64_t epoch_to);
cst_code csti_store_expect(const cst_store *store, const cst_segment *segment, cst_err *err);

// Row r of a batch.
static inline cst_bytes csti_rows_key(const cst_rows *rows, uint32_t row) {
    if (rows->key_offsets)
        return (cst_bytes){rows->keys + rows->key_offsets[row],
                           rows->key_offsets[row + 1] - rows->key_offsets[row]};
    return (cst_bytes){rows->keys + (size_t)row * rows->key_stride, rows->key_bytes};
}

static inline cst_bytes csti_rows_value(const cst_rows *rows, uint32_t row, uint32_t value_bytes) {
    if (rows->value_offsets)
        return (cst_bytes){rows->values + rows->value_offsets[row],
                           rows->value_offsets[row + 1] - rows->value_offsets[row]};
    return (cst_bytes){rows->values + (size_t)row * rows->value_stride, value_bytes};
}

static inline bool csti_rows_is_delete(const cst_rows *rows, uint32_t row) {
    return rows->ops && rows->ops[row] == CST_ROW_DELETE;
}

#endif
