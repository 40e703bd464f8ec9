// bench_s3_job.c: what a job's checkpoints cost that lie in a bucket, beside the same in a folder.
//
//   s3.job        rows of a turn: checkpoints in the bucket, beside checkpoints in a folder
//   s3.job_cpu    processor time a row of this process, and how many checkpoints there were
//
// Of the keys 1% change from one checkpoint to the next, as in bench_checkpoint_cost.c. The server
// is another process: where it is on this machine, it takes processors from the job.
#include "cli/bench_running.h"
#include "cli/bench_s3.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_SHARE = 200, ROWS_MADE = 1 << 20, URI_BYTES = 1024 };

typedef enum job_place { BUCKET, FOLDER, PLACES } job_place;

typedef struct job_bench {
    bench *b;
    cst_object_store *store;
    char prefix[BENCH_S3_NAME_BYTES]; // of the bucket's job, in the store
    bench_running running[PLACES];
    bench_turns turns[PLACES];
} job_bench;

// Of the job's own: what an earlier benchmark left there would be recovered from.
static void uri_of(job_bench *j, char out[URI_BYTES]) {
    const char *uri = j->b->store;
    const size_t path = strcspn(uri, "?");

    (void)snprintf(j->prefix, sizeof j->prefix, "job-%016" PRIx64, bench_now_ns());
    (void)snprintf(out, URI_BYTES, "%.*s%s%s%s", (int)path, uri, uri[path - 1] == '/' ? "" : "/",
                   j->prefix, uri + path);
}

static bool name_delete(void *context, const char *name, const cst_object_info *info) {
    job_bench *j = context;

    (void)info;
    (void)!cst_object_delete(j->store, name, NULL); // what stays is the bucket's owner's to clear
    return true;
}

static void print_cpu(job_bench *j, const bench_params *params) {
    const bench_turns *bucket = &j->turns[BUCKET], *folder = &j->turns[FOLDER];
    const double ns = (double)bucket->cpu_ns / (double)(bucket->rows[0] + bucket->rows[1]);
    const double ns_folder = (double)folder->cpu_ns / (double)(folder->rows[0] + folder->rows[1]);
    char fields[320];

    (void)snprintf(fields, sizeof fields,
                   "\"cpu_ns_per_row\":%.4g,\"cpu_ns_per_row_folder\":%.4g,\"cpu_ratio\":%.4g,"
                   "\"checkpoints\":%" PRIu64 ",\"checkpoints_folder\":%" PRIu64
                   ",\"folds\":%" PRIu64 ",\"folds_folder\":%" PRIu64,
                   ns, ns_folder, ns_folder / ns, bucket->checkpoints, folder->checkpoints,
                   bucket->folds, folder->folds);
    bench_numbers(j->b, "s3.job_cpu", params, "constellation", fields);
}

static cst_code jobs_open(job_bench *j, const bench_rows *rows, uint64_t window, cst_err *err) {
    char uri[URI_BYTES];
    bench_running_options options = {.workload = "uniform",
                                     .entries = j->b->sizes[0],
                                     .rows = rows,
                                     .window = window,
                                     .sink = CSTI_SINK_NONE,
                                     .name = "job-bucket",
                                     .store = uri};
    cst_code code;

    uri_of(j, uri);
    code = bench_running_open(&j->running[BUCKET], j->b, &options, err);
    options.name = "job-folder";
    options.store = NULL;
    return code == CST_OK ? bench_running_open(&j->running[FOLDER], j->b, &options, err) : code;
}

static cst_code jobs_compare(job_bench *j, uint64_t window, cst_err *err) {
    bench_running_side sides[PLACES] = {{&j->running[BUCKET], &j->turns[BUCKET], false},
                                        {&j->running[FOLDER], &j->turns[FOLDER], false}};
    const bench_side lines[PLACES] = {
        {BENCH_OURS, "constellation", bench_running_round, &sides[BUCKET]},
        {BENCH_PEER, "the same job with a folder", bench_running_round, &sides[FOLDER]},
    };
    bench_params params = {0};
    const bench_what what = {.name = "s3.job", .params = &params};
    cst_code code;

    bench_params_u64(&params, "entries", j->b->sizes[0]);
    bench_params_u64(&params, "partitions", j->b->partitions);
    bench_params_u64(&params, "changed_keys", 2 * window);
    bench_params_u64(&params, "checkpoint_every_us", bench_running_every_us(j->b));
    code = bench_compare(j->b, &what, lines, PLACES, err);
    if (code == CST_OK) print_cpu(j, &params);
    return code;
}

cst_code bench_s3_job(bench *b, cst_object_store *store, cst_err *err) {
    const uint64_t window = b->sizes[0] > WINDOW_SHARE ? b->sizes[0] / WINDOW_SHARE : 1;
    job_bench *j;
    bench_rows rows;
    cst_code code;

    if (!bench_wanted(b, "s3.job")) return CST_OK;
    code = bench_rows_make(&rows, b, "uniform", window, ROWS_MADE, err);
    if (code != CST_OK) return code;
    j = calloc(1, sizeof *j);
    if (!j) {
        bench_rows_free(&rows);
        return cst_fail(err, CST_NO_MEMORY, "two jobs");
    }
    j->b = b;
    j->store = store;
    code = jobs_open(j, &rows, window, err);
    if (code == CST_OK) code = jobs_compare(j, window, err);
    for (int place = 0; place < PLACES; place++) bench_running_close(&j->running[place]);
    (void)!cst_object_list(store, j->prefix, NULL, name_delete, j, NULL);
    bench_rows_free(&rows);
    free(j);
    return code;
}
