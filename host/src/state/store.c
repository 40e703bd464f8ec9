#include "state/store.h"

#include "state/segment.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET_BYTES_DEFAULT ((uint64_t)4 << 30)
#define MAP_BYTES_DEFAULT ((uint64_t)16 << 30)

static const csti_store_ops *const BACK_ENDS[] = {&csti_store_hash_ops, &csti_store_lmdb_ops};
static const char *const SCHEMES[] = {"hash:", "lmdb:"};

// ---- Identity -----------------------------------------------------------------------------------

uint32_t csti_store_parts(const cst_store_options *options, cst_segment_part parts[2]) {
    uint32_t count = 0;

    if (options->inline_rows)
        parts[count++] =
            (cst_segment_part){CST_TABLE_INLINE, options->inline_key_bytes, options->value_bytes};
    parts[count++] = (cst_segment_part){CST_TABLE_WIDE, 0, 0};
    return count;
}

static cst_program program_of(const cst_store_options *options) {
    return (cst_program){
        .value_bytes = options->inline_rows ? options->value_bytes : 0,
        .presence_offset = CST_NO_OFFSET,
        .time_offset = CST_NO_OFFSET,
    };
}

cst_segment_info csti_store_info(const cst_store *store, cst_segment_kind kind, uint64_t epoch_from,
                                 uint64_t epoch_to) {
    cst_segment_info info = {
        .kind = kind,
        .table_id = store->options.table_id,
        .epoch_from = epoch_from,
        .epoch_to = epoch_to,
        .schema_hash = store->schema_hash,
        .program_hash = store->program_hash,
        .hash_key_check = cst_segment_hash_key_check(&store->options.hash_key),
    };

    info.parts_count = csti_store_parts(&store->options, info.parts);
    return info;
}

static cst_code other(const cst_segment *segment, size_t offset, const char *what, cst_code code,
                      cst_err *err) {
    return cst_fail(err, code, "segment %s: offset %zu: the %s is not the store's. %s",
                    segment->name, offset, what, cst_code_advice(code));
}
#define OTHER(FIELD, WHAT, CODE)                                                                   \
    other(segment, offsetof(csti_segment_header, FIELD), WHAT, CODE, err)

cst_code csti_store_expect(const cst_store *store, const cst_segment *segment, cst_err *err) {
    const cst_segment_info mine = csti_store_info(store, CST_SEGMENT_DELTA, 1, 1);
    cst_segment_info its;

    cst_segment_info_read(segment, &its);
    if (its.table_id != mine.table_id) return OTHER(table_id, "table id", CST_SEGMENT_IDENTITY);
    if (its.schema_hash != mine.schema_hash)
        return OTHER(schema_hash, "key schema", CST_SEGMENT_SCHEMA);
    if (its.program_hash != mine.program_hash)
        return OTHER(program_hash, "program", CST_SEGMENT_SCHEMA);
    if (its.hash_key_check != mine.hash_key_check)
        return OTHER(hash_key_check, "hash key", CST_SEGMENT_HASH_KEY);
    for (uint32_t part = 0; part < its.parts_count; part++) {
        bool known = false;

        for (uint32_t i = 0; i < mine.parts_count; i++)
            known |= memcmp(&its.parts[part], &mine.parts[i], sizeof mine.parts[i]) == 0;
        if (!known) return OTHER(parts[part], "shape of a part", CST_SEGMENT_SCHEMA);
    }
    return CST_OK;
}

// ---- Open and close -----------------------------------------------------------------------------

static cst_code options_check(const cst_store_options *options, cst_err *err) {
    if (!options->inline_rows && (options->inline_key_bytes || options->value_bytes))
        return cst_fail(err, CST_USAGE, "store: fixed lengths without inline_rows");
    if (options->inline_rows && options->inline_key_bytes > CST_INLINE_KEY_BYTES_MAX)
        return cst_fail(err, CST_USAGE, "store: inline keys of %u bytes, %d at most",
                        options->inline_key_bytes, CST_INLINE_KEY_BYTES_MAX);
    if (options->inline_rows && options->value_bytes > CST_INLINE_ENTRY_BYTES_MAX)
        return cst_fail(err, CST_USAGE, "store: inline values of %u bytes", options->value_bytes);
    return CST_OK;
}

cst_code cst_store_open(const char *uri, const cst_store_options *options, cst_store **out,
                        cst_err *err) {
    cst_store_options full = *options;
    const cst_program program = program_of(options);
    cst_store *store = NULL;
    cst_code code = options_check(options, err);

    if (code != CST_OK) return code;
    if (!full.schema) full.schema = "";
    if (full.budget_bytes == 0) full.budget_bytes = BUDGET_BYTES_DEFAULT;
    if (full.map_bytes == 0) full.map_bytes = MAP_BYTES_DEFAULT;
    for (size_t i = 0; i < sizeof SCHEMES / sizeof SCHEMES[0]; i++) {
        const size_t scheme_bytes = strlen(SCHEMES[i]);

        if (strncmp(uri, SCHEMES[i], scheme_bytes) != 0) continue;
        code = BACK_ENDS[i]->open(uri + scheme_bytes, &full, &store, err);
        if (code != CST_OK) return cst_fail_at(err, code, "store %s", uri);
        store->ops = BACK_ENDS[i];
        store->options = full;
        store->options.schema = NULL; // the caller's
        store->schema_hash = cst_segment_schema_hash(full.schema);
        store->program_hash = cst_segment_program_hash(&program);
        *out = store;
        return CST_OK;
    }
    return cst_fail(err, CST_USAGE, "store %s: neither hash: nor lmdb:DIR", uri);
}

void cst_store_close(cst_store *store) {
    if (store) store->ops->close(store);
}

void cst_store_capabilities_read(const cst_store *store, cst_store_capabilities *out) {
    *out = store->capabilities;
}

void cst_store_stats_read(const cst_store *store, cst_store_stats *out) {
    *out = (cst_store_stats){
        .epoch = store->epoch,
        .pinned_epochs = store->epoch - 1 - store->epoch_released,
        .scan_visited_count = store->scan_visited_count,
    };
    store->ops->stats(store, out);
}

// ---- Rows ---------------------------------------------------------------------------------------

// Behind this file an empty key or value has an address, too.
static const void *address_of(const void *bytes) {
    return bytes ? bytes : "";
}

cst_code cst_store_get_ref(cst_store *store, const void *key, size_t key_bytes, cst_bytes *out) {
    if (store->aborted) return CST_ABORTED;
    if (!store->capabilities.zero_copy) return CST_UNSUPPORTED;
    if (key_bytes > store->capabilities.key_bytes_max) return CST_NOT_FOUND;
    return store->ops->get_ref(store, address_of(key), key_bytes, out);
}

cst_code cst_store_get(cst_store *store, const void *key, size_t key_bytes, void *value_out,
                       size_t value_capacity, size_t *value_bytes_out) {
    cst_bytes value = {NULL, 0};
    cst_code code;

    if (store->aborted) return CST_ABORTED;
    if (key_bytes > store->capabilities.key_bytes_max) return CST_NOT_FOUND;
    code = store->ops->get_ref(store, address_of(key), key_bytes, &value);
    if (code != CST_OK) return code;
    *value_bytes_out = value.count;
    if (value.count > value_capacity) return CST_LIMIT;
    if (value.count > 0) memcpy(value_out, value.data, value.count);
    return CST_OK;
}

cst_code cst_store_put(cst_store *store, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes) {
    cst_code code;

    if (store->aborted) return CST_ABORTED;
    if (key_bytes > store->capabilities.key_bytes_max) return CST_KEY_TOO_LONG;
    if (value_bytes > store->capabilities.value_bytes_max) return CST_VALUE_TOO_LONG;
    code = store->ops->put(store, address_of(key), key_bytes, address_of(value), value_bytes);
    if (code == CST_OK) store->changed = true;
    return code;
}

cst_code cst_store_delete(cst_store *store, const void *key, size_t key_bytes) {
    cst_code code;

    if (store->aborted) return CST_ABORTED;
    if (key_bytes > store->capabilities.key_bytes_max) return CST_OK; // it cannot be there
    code = store->ops->delete_key(store, address_of(key), key_bytes);
    if (code == CST_OK) store->changed = true;
    return code;
}

cst_code cst_store_multi_put(cst_store *store, const cst_rows *rows, uint32_t *applied_out) {
    cst_code code;

    *applied_out = 0;
    if (store->aborted) return CST_ABORTED;
    code = store->ops->multi_put(store, rows, applied_out);
    if (*applied_out > 0) store->changed = true;
    return code;
}

cst_code cst_store_multi_get(cst_store *store, const cst_rows *keys, uint8_t *values_out,
                             uint32_t values_stride, uint32_t *value_bytes_out,
                             uint8_t *found_out) {
    if (store->aborted) return CST_ABORTED;
    return store->ops->multi_get(store, keys, values_out, values_stride, value_bytes_out,
                                 found_out);
}

// ---- Scans --------------------------------------------------------------------------------------

cst_code cst_store_prefix_scan(cst_store *store, const void *prefix, size_t prefix_bytes,
                               cst_store_visit visit, void *context) {
    const cst_bytes begin = {prefix, prefix_bytes};

    if (!store->capabilities.ordered) return CST_UNSUPPORTED;
    if (store->aborted) return CST_ABORTED;
    if (prefix_bytes > store->capabilities.key_bytes_max) return CST_OK; // no key has it
    return store->ops->scan(store, &begin, NULL, NULL, visit, context);
}

cst_code cst_store_range_scan(cst_store *store, cst_bytes from, cst_bytes to, cst_store_visit visit,
                              void *context) {
    if (!store->capabilities.ordered) return CST_UNSUPPORTED;
    if (store->aborted) return CST_ABORTED;
    return store->ops->scan(store, NULL, &from, to.data ? &to : NULL, visit, context);
}

// ---- Epochs -------------------------------------------------------------------------------------

cst_code cst_store_seal(cst_store *store, uint64_t *epoch_out, cst_err *err) {
    cst_code code;

    if (store->aborted)
        return cst_fail(err, CST_ABORTED, "seal of epoch %llu: it was undone; roll back first",
                        (unsigned long long)store->epoch);
    code = store->ops->seal(store, err);
    if (code != CST_OK) return code;
    *epoch_out = store->epoch++;
    store->changed = false;
    return CST_OK;
}

cst_code cst_store_rollback(cst_store *store, cst_err *err) {
    cst_code code = CST_UNSUPPORTED;

    if (!store->ops->rollback)
        return cst_fail(err, code, "rollback: a %s store keeps no older state; restore it",
                        store->capabilities.scheme);
    code = store->ops->rollback(store, err);
    if (code != CST_OK) return code;
    store->aborted = false;
    store->changed = false;
    return CST_OK;
}

cst_code cst_store_release(cst_store *store, uint64_t epoch, cst_err *err) {
    cst_code code = CST_OK;

    if (epoch >= store->epoch)
        return cst_fail(err, CST_EPOCH, "release of epoch %llu: %llu is open",
                        (unsigned long long)epoch, (unsigned long long)store->epoch);
    if (epoch <= store->epoch_released) return CST_OK;
    if (store->ops->release) code = store->ops->release(store, epoch, err);
    if (code == CST_OK) store->epoch_released = epoch;
    return code;
}

cst_code cst_store_write_delta(cst_store *store, cst_store_base base, uint64_t epoch_to,
                               cst_write write, void *context, cst_segment_summary *summary_out,
                               cst_err *err) {
    if (!store->capabilities.incremental)
        return cst_fail(err, CST_UNSUPPORTED, "delta: a %s store has no increments; write a full",
                        store->capabilities.scheme);
    if (epoch_to <= base.epoch || epoch_to >= store->epoch || base.epoch < store->epoch_released)
        return cst_fail(err, CST_EPOCH, "delta of epochs %llu to %llu: there are %llu to %llu",
                        (unsigned long long)base.epoch + 1, (unsigned long long)epoch_to,
                        (unsigned long long)store->epoch_released + 1,
                        (unsigned long long)store->epoch - 1);
    return store->ops->write_delta(store, base, epoch_to, write, context, summary_out, err);
}

cst_code cst_store_write_full(cst_store *store, cst_write write, void *context,
                              cst_segment_summary *summary_out, cst_err *err) {
    if (store->aborted) return cst_fail(err, CST_ABORTED, "full: roll back first");
    if (store->changed || store->epoch == 1)
        return cst_fail(err, CST_EPOCH, "full: epoch %llu is not sealed",
                        (unsigned long long)store->epoch);
    return store->ops->write_full(store, write, context, summary_out, err);
}

cst_code cst_store_write_next(cst_store *store, cst_store_base base, uint64_t epoch_to,
                              cst_write write, void *context, cst_segment_kind *kind_out,
                              cst_segment_summary *summary_out, cst_err *err) {
    const bool incremental = store->capabilities.incremental;
    cst_code code;

    if (!incremental && epoch_to != store->epoch - 1)
        return cst_fail(err, CST_EPOCH, "all rows of epoch %llu: the one sealed last is %llu",
                        (unsigned long long)epoch_to, (unsigned long long)store->epoch - 1);
    code = incremental
               ? cst_store_write_delta(store, base, epoch_to, write, context, summary_out, err)
               : cst_store_write_full(store, write, context, summary_out, err);
    if (code == CST_OK)
        *kind_out = incremental && base.epoch > 0 ? CST_SEGMENT_DELTA : CST_SEGMENT_FULL_UNORDERED;
    return code;
}

cst_code cst_store_restore(cst_store *store, cst_segment *const *segments, size_t segments_count,
                           const cst_restore_options *options, cst_err *err) {
    cst_store_stats stats;
    cst_segment_info last;
    cst_code code;

    if (store->aborted) return cst_fail(err, CST_ABORTED, "restore: roll back first");
    cst_store_stats_read(store, &stats);
    if (store->epoch != 1 || store->changed || stats.rows_count > 0)
        return cst_fail(err, CST_USAGE, "restore: the store is not empty");
    code = cst_segment_chain_check(segments, segments_count, err);
    for (size_t i = 0; code == CST_OK && i < segments_count; i++)
        code = csti_store_expect(store, segments[i], err);
    if (code != CST_OK) return code;
    cst_segment_info_read(segments[segments_count - 1], &last);
    // The back end sees the epoch it is to hold: lmdb commits it with the rows.
    store->epoch = last.epoch_to;
    code = store->ops->restore(store, segments, segments_count, options, err);
    store->epoch = code == CST_OK ? last.epoch_to + 1 : 1;
    store->epoch_released = store->epoch - 1;
    return code;
}
