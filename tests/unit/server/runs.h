// runs.h: whole jobs in this process, in a folder of their own, and what they must come to.
//
//   folder_open ─► run_ok(rows) ─► run_ok(more) ─► check_state(more) ─► folder_close
//
// Keys 1 to KEYS of the generator "uniform", whose values are counted and summed.
#ifndef CST_TEST_RUNS_H
#define CST_TEST_RUNS_H

#include "server/job_internal.h"
#include "test.h"

#include <constellation/generator.h>
#include <inttypes.h>
#include <unistd.h>

enum { KEYS = 500, PATH_BYTES = 256, BATCH_ROWS = 4096 };

static const char job_text[] = "[job]\n"
                               "name = \"test\"\n"
                               "partitions = %d\n"
                               "dir = \"data\"\n"
                               "[source]\n"
                               "kind = \"generator\"\n"
                               "name = \"uniform\"\n"
                               "keys = %d\n"
                               "%s\n"
                               "event_time = \"at\"\n"
                               "watermark = \"1s\"\n"
                               "[key]\n"
                               "columns = [\"key\"]\n"
                               "[[aggregate]]\n"
                               "as = \"n\"\n"
                               "op = \"count\"\n"
                               "[[aggregate]]\n"
                               "as = \"sum\"\n"
                               "op = \"sum\"\n"
                               "column = \"value\"\n"
                               "[sink]\n"
                               "%s\n"
                               "[state]\n"
                               "budget = \"256MiB\"\n"
                               "[checkpoint]\n"
                               "every = \"%s\"\n";

// A folder with a job file; removed at the end.
typedef struct fixture {
    char folder[PATH_BYTES], path[PATH_BYTES + 16];
    csti_job_config config;
    csti_job *job;
    csti_job_result result;
    csti_job_options options;
    uint64_t stop_at_rows; // 0: never
    _Atomic uint64_t applied, begun, committed, folded;
    _Atomic uint64_t source_rows; // 0: as the config says
    _Atomic bool going;
    cst_code code;
    cst_err err;
} fixture;

// Over the one that is there, if there is one.
static inline void job_write(const fixture *f, int partitions, uint64_t rows, const char *every,
                             const char *sink) {
    char rows_line[64] = "";
    FILE *file = fopen(f->path, "w");

    if (rows) snprintf(rows_line, sizeof rows_line, "rows = %" PRIu64, rows);
    CHECK(file);
    fprintf(file, job_text, partitions, KEYS, rows_line, sink, every);
    CHECK_EQ(fclose(file), 0);
}

static inline void folder_open_for(fixture *f, int partitions, uint64_t rows, const char *every,
                                   const char *sink) {
    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "%s/cst-job-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    CHECK(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/job.toml", f->folder);
    job_write(f, partitions, rows, every, sink);
}

static inline void folder_open(fixture *f, int partitions, uint64_t rows, const char *every) {
    folder_open_for(f, partitions, rows, every, "kind = \"none\"");
}

static inline void folder_close(fixture *f) {
    char command[PATH_BYTES + 16];

    snprintf(command, sizeof command, "rm -r '%s'", f->folder);
    CHECK_EQ(system(command), 0);
}

static inline void on_progress(void *context, const csti_job_progress *progress) {
    fixture *f = context;

    if (!progress->recovering) atomic_store(&f->going, true);
    if (f->stop_at_rows == 0 || progress->rows < f->stop_at_rows) return;
    f->stop_at_rows = 0; // once: a second stop would end it without a checkpoint
    csti_job_stop(f->job);
}

static inline void job_open(fixture *f, uint64_t rows) {
    const csti_config_overrides overrides = {.rows = rows};

    if (csti_config_read(f->path, &overrides, &f->config, &f->err) != CST_OK)
        TEST_FAIL("%s", f->err.text);
    if (!f->options.progress) f->options.progress = on_progress;
    f->options.progress_us = 1;
    f->options.progress_context = f;
    CHECK_OK(csti_job_open(&f->config, &f->options, &f->job, &f->err));
}

static inline void job_close(fixture *f) {
    csti_job_close(f->job);
    csti_config_close(&f->config);
    f->job = NULL;
}

static inline cst_code run(fixture *f, uint64_t rows) {
    job_open(f, rows);
    f->code = csti_job_run(f->job, &f->result, &f->err);
    job_close(f);
    return f->code;
}

static inline void run_ok(fixture *f, uint64_t rows) {
    if (run(f, rows) != CST_OK) TEST_FAIL("%s", f->err.text);
}

// What the newest checkpoint holds, against the generator itself.
typedef struct sums {
    uint64_t count[KEYS + 1], sum[KEYS + 1];
} sums;

// The newest checkpoint, and what it was read through.
typedef struct opened {
    cst_object_store *store;
    csti_meta *meta;
    csti_recovery_plan plan;
} opened;

static inline void checkpoint_open(fixture *f, opened *out) {
    char uri[PATH_BYTES + 64];

    snprintf(uri, sizeof uri, "file:%s/data/checkpoints", f->folder);
    CHECK_OK(cst_object_store_open(uri, NULL, &out->store, &f->err));
    const csti_meta_log_options log = {.store = out->store,
                                       .clock = csti_clock_real(),
                                       .random = csti_random_real()};
    CHECK_OK(csti_meta_open_log(&log, &out->meta, &f->err));
    const csti_recovery_options options = {.store = out->store,
                                           .meta = out->meta,
                                           .clock = csti_clock_real(),
                                           .verify_all = true};
    if (csti_recovery_plan_open(&options, &out->plan, NULL, &f->err) != CST_OK)
        TEST_FAIL("%s", f->err.text);
    CHECK(out->plan.manifest.id > 0);
}

static inline void checkpoint_close(opened *n) {
    csti_recovery_plan_close(&n->plan);
    csti_meta_close(n->meta);
    cst_object_store_close(n->store);
}

// What one of its partitions holds, by key.
static inline void checkpoint_add(fixture *f, const opened *n, uint32_t p, sums *out) {
    const csti_manifest_stage stage =
        csti_manifest_stage_of(&n->plan.manifest, &n->plan.manifest.partitions[p]);
    const cst_table_options table_options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = stage.program.value_bytes ? 8 : 0,
        .program = stage.program,
        .hash_key = stage.hash_key,
        .budget_bytes = 64 << 20,
        .numa_node = -1,
    };
    const cst_restore_options restore = {0};
    cst_table *table = NULL;

    CHECK_OK(cst_table_open(&table_options, &table, &f->err));
    CHECK_OK(cst_segment_restore(n->plan.chains[p].segments, n->plan.chains[p].segments_count,
                                 table, NULL, &restore, NULL, &f->err));
    for (uint64_t key = 1; key <= KEYS; key++) {
        uint64_t value[8] = {0};
        uint8_t encoded[8];
        size_t bytes = 0;

        cst_key_encode_u64(key, encoded);
        if (cst_table_get(table, encoded, 8, value, sizeof value, &bytes) != CST_OK) continue;
        CHECK_EQ(out->count[key], 0); // a key is in one partition
        out->count[key] = value[stage.program.accumulators[0].value_offset / 8];
        out->sum[key] = value[stage.program.accumulators[1].value_offset / 8];
    }
    cst_table_close(table);
}

// A stage of the newest checkpoint, by key.
static inline void checkpoint_read_stage(fixture *f, uint32_t stage, sums *out) {
    opened n;

    memset(out, 0, sizeof *out);
    checkpoint_open(f, &n);
    for (uint32_t p = 0; p < n.plan.manifest.partitions_count; p++)
        if (n.plan.manifest.partitions[p].stage == stage) checkpoint_add(f, &n, p, out);
    checkpoint_close(&n);
}

static inline void checkpoint_read(fixture *f, sums *out) {
    checkpoint_read_stage(f, 0, out);
}

// What the first rows of the job's generator give.
static inline void sums_expect(const fixture *f, uint64_t rows, sums *out) {
    const cst_generator_options options = {.skew = -1,
                                           .keys = KEYS,
                                           .seed = f->config.source.generate.seed};
    cst_generator *generator = NULL;
    cst_batch batch;

    memset(out, 0, sizeof *out);
    CHECK_OK(cst_generator_open("uniform", &options, &generator, NULL));
    for (uint64_t row = 0; row < rows; row += batch.rows_count) {
        const uint64_t rest = rows - row;

        CHECK_OK(
            cst_generator_next(generator, rest < BATCH_ROWS ? (uint32_t)rest : BATCH_ROWS, &batch));
        const uint64_t *keys = batch.columns[0].values.data;
        const uint64_t *values = batch.columns[1].values.data;
        for (uint32_t r = 0; r < batch.rows_count; r++) {
            out->count[keys[r]]++;
            out->sum[keys[r]] += values[r];
        }
    }
    cst_generator_close(generator);
}

static inline void check_sums(const sums *actual, const sums *expected) {
    for (uint64_t key = 0; key <= KEYS; key++) {
        CHECK_EQ(actual->count[key], expected->count[key]);
        CHECK_EQ(actual->sum[key], expected->sum[key]);
    }
}

static inline void check_state(fixture *f, uint64_t rows) {
    static sums expected, actual;

    sums_expect(f, rows, &expected);
    checkpoint_read(f, &actual);
    check_sums(&actual, &expected);
}

#endif
