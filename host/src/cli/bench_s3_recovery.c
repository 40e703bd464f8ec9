// bench_s3_recovery.c: a full and nine deltas out of a bucket, and a table again, beside reading
// the same objects and no more.
#include "cli/bench_chain.h"
#include "cli/bench_s3.h"

#include <constellation/segment.h>
#include <inttypes.h>
#include <string.h>

typedef struct recovery {
    bench *b;
    cst_object_store *store;
    bench_chain *chain;
    cst_object_body bodies[BENCH_CHAIN_SEGMENTS];
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

static void bodies_release(recovery *r) {
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS; i++)
        cst_object_body_release(r->store, &r->bodies[i]);
}

// As a job that starts has them: one behind the other, each in ranges at once.
static cst_code bodies_read(recovery *r, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS && code == CST_OK; i++) {
        char name[BENCH_S3_NAME_BYTES];

        name_of(i, name);
        code = cst_object_get(r->store, name, 0, UINT64_MAX, &r->bodies[i], err);
    }
    return code;
}

static cst_code restore(recovery *r, cst_err *err) {
    const cst_restore_options alone = {0};
    const cst_segment_expect any = {0};
    cst_segment *segments[BENCH_CHAIN_SEGMENTS] = {NULL};
    bench_table table = {0};
    bench_table_options options = {.reserved = true, .alone = true};
    cst_table_stats stats;
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS && code == CST_OK; i++)
        code = cst_segment_open_bytes("a segment", r->bodies[i].bytes, r->bodies[i].count, &any,
                                      &segments[i], err);
    if (code == CST_OK) {
        options.rows = cst_restore_rows_hint(segments, BENCH_CHAIN_SEGMENTS, CST_TABLE_INLINE);
        code = bench_table_open(&table, r->b, &options, err);
    }
    if (code == CST_OK)
        code = cst_segment_restore(segments, BENCH_CHAIN_SEGMENTS, table.table, NULL, &alone, NULL,
                                   err);
    if (code == CST_OK) {
        cst_table_stats_read(table.table, &stats);
        if (stats.rows_count != r->chain->rows_count)
            code = cst_fail(err, CST_INTERNAL, "%" PRIu64 " rows instead of %" PRIu64,
                            stats.rows_count, r->chain->rows_count);
    }
    bench_table_close(&table);
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS; i++) cst_segment_close(segments[i]);
    return code;
}

static cst_code recovery_round(void *context, double *ns_per_op_out, cst_err *err) {
    recovery *r = context;
    const uint64_t from_ns = bench_now_ns();
    cst_code code = bodies_read(r, err);

    if (code == CST_OK) code = restore(r, err);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)r->chain->entries;
    bodies_release(r);
    return code;
}

static cst_code read_round(void *context, double *ns_per_op_out, cst_err *err) {
    recovery *r = context;
    const uint64_t from_ns = bench_now_ns();
    const cst_code code = bodies_read(r, err);

    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)r->chain->entries;
    bodies_release(r);
    return code;
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
    code = bench_chain_open(&chain, b, b->sizes[0], err);
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS && code == CST_OK; i++)
        code = write_one(&r, i, err);
    bench_params_u64(&params, "entries", b->sizes[0]);
    bench_params_u64(&params, "deltas", BENCH_CHAIN_DELTAS);
    if (code == CST_OK) {
        what.bytes_per_op = chain.body_bytes / chain.entries;
        code = bench_compare(b, &what, sides, 2, err);
    }
    for (uint32_t i = 0; i < BENCH_CHAIN_SEGMENTS && code == CST_OK; i++) {
        char name[BENCH_S3_NAME_BYTES];

        name_of(i, name);
        code = cst_object_delete(store, name, err);
    }
    bench_chain_close(&chain);
    return code;
}
