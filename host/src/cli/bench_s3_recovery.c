// bench_s3_recovery.c: a full and nine deltas out of a bucket, and a table again, beside reading
// the same objects and no more.
#include "checkpoint/chain.h"
#include "cli/bench_chain.h"
#include "cli/bench_s3.h"

#include <constellation/segment.h>
#include <inttypes.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 20 };

typedef struct recovery {
    bench *b;
    cst_object_store *store;
    bench_chain *chain;
    csti_arena arena; // of an opened chain
    char names[BENCH_CHAIN_SEGMENTS][BENCH_S3_NAME_BYTES];
    csti_manifest_segment segments[BENCH_CHAIN_SEGMENTS];
    csti_manifest_partition partition;
    csti_manifest manifest; // of this chain
} recovery;

static void name_of(uint32_t number, char out[BENCH_S3_NAME_BYTES]) {
    (void)snprintf(out, BENCH_S3_NAME_BYTES, "chain/%" PRIu32, number);
}

static cst_code write_one(recovery *r, uint32_t number, cst_err *err) {
    char path[BENCH_CHAIN_PATH_BYTES], name[BENCH_S3_NAME_BYTES];
    uint8_t block[64 << 10];
    cst_object_upload *upload = NULL;
    cst_code code;
    size_t count;
    FILE *file;

    bench_chain_path(r->chain, number, path);
    file = fopen(path, "rb");
    if (!file) return cst_fail(err, CST_IO, "%s cannot be read", path);
    name_of(number, name);
    code = cst_object_upload_open(r->store, name, 0, &upload, err);
    while (code == CST_OK && (count = fread(block, 1, sizeof block, file)) > 0)
        code = cst_object_upload_write(upload, block, count, err);
    (void)fclose(file);
    if (code == CST_OK) return cst_object_upload_finish(upload, NULL, err);
    cst_object_upload_abort(upload);
    return code;
}

// What a job would find in its newest checkpoint.
static void manifest_make(recovery *r) {
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS; i++) {
        cst_segment_summary summary;
        cst_segment_info info;

        cst_segment_summary_read(r->chain->segments[i], &summary);
        cst_segment_info_read(r->chain->segments[i], &info);
        name_of(i, r->names[i]);
        r->segments[i] = (csti_manifest_segment){.name = r->names[i],
                                                 .bytes = summary.segment_bytes,
                                                 .checksum = summary.checksum,
                                                 .kind = info.kind,
                                                 .epoch_from = info.epoch_from,
                                                 .epoch_to = info.epoch_to};
    }
    r->partition =
        (csti_manifest_partition){.segments = r->segments, .segments_count = BENCH_CHAIN_SEGMENTS};
    r->manifest = (csti_manifest){.key_schema = BENCH_CHAIN_SCHEMA,
                                  .program = bench_table_program(),
                                  .table_id = BENCH_CHAIN_TABLE_ID,
                                  .hash_key = bench_table_hash_key(r->b),
                                  .partitions_count = 1,
                                  .partitions = &r->partition};
}

// As a job that starts has them.
static cst_code chain_open(recovery *r, csti_chain *out, cst_err *err) {
    return csti_chain_open(r->store, &r->manifest, 0, 0, BENCH_CHAIN_SEGMENTS, &r->arena, NULL, out,
                           err);
}

static void chain_close(recovery *r, csti_chain *chain) {
    csti_chain_close(r->store, chain);
    csti_arena_reset(&r->arena);
}

static cst_code restore(recovery *r, const csti_chain *chain, cst_err *err) {
    const cst_restore_options alone = {0};
    bench_table table = {0};
    bench_table_options options = {.reserved = true, .alone = true};
    cst_table_stats stats;
    cst_code code;

    options.rows = cst_restore_rows_hint(chain->segments, chain->segments_count, CST_TABLE_INLINE);
    code = bench_table_open(&table, r->b, &options, err);
    if (code == CST_OK)
        code = cst_segment_restore(chain->segments, chain->segments_count, table.table, NULL,
                                   &alone, NULL, err);
    if (code == CST_OK) {
        cst_table_stats_read(table.table, &stats);
        if (stats.rows_count != r->chain->rows_count)
            code = cst_fail(err, CST_INTERNAL, "%" PRIu64 " rows instead of %" PRIu64,
                            stats.rows_count, r->chain->rows_count);
    }
    bench_table_close(&table);
    return code;
}

// Every byte of it is here, and nobody has looked at one.
static cst_code read_all(const csti_chain *chain, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < chain->segments_count && code == CST_OK; i++)
        code = csti_segment_wait_all(chain->segments[i], err);
    return code;
}

static cst_code round_run(recovery *r, bool restores, double *ns_per_op_out, cst_err *err) {
    const uint64_t from_ns = bench_now_ns();
    csti_chain chain = {.segments_count = 0};
    cst_code code = chain_open(r, &chain, err);

    if (code == CST_OK) code = restores ? restore(r, &chain, err) : read_all(&chain, err);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)r->chain->entries;
    chain_close(r, &chain);
    return code;
}

static cst_code recovery_round(void *context, double *ns_per_op_out, cst_err *err) {
    return round_run(context, true, ns_per_op_out, err);
}

static cst_code read_round(void *context, double *ns_per_op_out, cst_err *err) {
    return round_run(context, false, ns_per_op_out, err);
}

cst_code bench_s3_recovery(bench *b, cst_object_store *store, cst_err *err) {
    static bench_chain chain;
    recovery r = {.b = b, .store = store, .chain = &chain};
    const bench_side sides[] = {{BENCH_OURS, "constellation", recovery_round, &r},
                                {BENCH_PEER, "the same objects, only read", read_round, &r}};
    bench_params params = {0};
    bench_what what = {.name = "s3.recovery", .params = &params, .cold = true};
    cst_code code;

    if (!bench_wanted(b, what.name)) return CST_OK;
    csti_arena_init(&r.arena, ARENA_BYTES);
    code = bench_chain_open(&chain, b, b->sizes[0], err);
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS && code == CST_OK; i++)
        code = write_one(&r, i, err);
    bench_params_u64(&params, "entries", b->sizes[0]);
    bench_params_u64(&params, "deltas", BENCH_CHAIN_DELTAS);
    if (code == CST_OK) {
        manifest_make(&r);
        what.bytes_per_op = chain.body_bytes / chain.entries;
        code = bench_compare(b, &what, sides, 2, err);
    }
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS && code == CST_OK; i++) {
        char name[BENCH_S3_NAME_BYTES];

        name_of(i, name);
        code = cst_object_delete(store, name, err);
    }
    bench_chain_close(&chain);
    csti_arena_release(&r.arena);
    return code;
}
