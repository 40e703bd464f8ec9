// Checkpoints that do not wait for barriers: what a job goes on with behind one, with the same
// partitions and with others.
#include "unit/server/runs.h"

enum { ROWS_MORE = 50000, TRIES_MAX = 20 };

#define ALWAYS "10ms\"\nunaligned_after = \"0s"

// Ends the run, without a last checkpoint, behind the first commit whose partitions have not the
// same rows.
static void on_passed(void *context, csti_job_moment moment, uint64_t number) {
    fixture *f = context;
    csti_manifest manifest;
    csti_arena arena;

    (void)number;
    if (moment != CSTI_JOB_COMMITTED) return;
    csti_arena_init(&arena, 64 << 20);
    CHECK_OK(csti_checkpointer_newest(f->job->checkpointer, &arena, &manifest, NULL));
    if (csti_manifest_is_unaligned(&manifest)) {
        csti_job_stop(f->job);
        csti_job_stop(f->job);
    }
    csti_arena_release(&arena);
}

static bool newest_is_unaligned(fixture *f) {
    char uri[PATH_BYTES + 64];
    cst_object_store *store = NULL;
    csti_meta *meta = NULL;
    csti_recovery_plan plan;
    bool unaligned;

    snprintf(uri, sizeof uri, "file:%s/data/checkpoints", f->folder);
    CHECK_OK(cst_object_store_open(uri, NULL, &store, &f->err));
    const csti_meta_log_options log = {.store = store,
                                       .clock = csti_clock_real(),
                                       .random = csti_random_real()};
    CHECK_OK(csti_meta_open_log(&log, &meta, &f->err));
    const csti_recovery_options options = {.store = store,
                                           .meta = meta,
                                           .clock = csti_clock_real()};
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, &f->err));
    unaligned = csti_manifest_is_unaligned(&plan.manifest);
    csti_recovery_plan_close(&plan);
    csti_meta_close(meta);
    cst_object_store_close(store);
    return unaligned;
}

// Runs until the newest checkpoint is one that is not aligned; how many rows of the source there
// are then at least.
static uint64_t leave_unaligned(fixture *f, int partitions) {
    uint64_t rows = 0;

    job_write(f, partitions, 0, ALWAYS, "kind = \"none\"");
    for (int i = 0; i < TRIES_MAX; i++) {
        f->options.observer = (csti_job_observer){.passed = on_passed, .context = f};
        run_ok(f, 0); // no end of rows
        CHECK(!f->result.finished);
        rows += f->result.rows;
        f->options.observer = (csti_job_observer){.passed = NULL};
        if (newest_is_unaligned(f)) return rows; // nothing was committed behind it
    }
    TEST_FAIL("%s", "every checkpoint was aligned");
}

static void end_at(fixture *f, int partitions, uint64_t rows) {
    job_write(f, partitions, rows, ALWAYS, "kind = \"none\"");
    run_ok(f, 0);
    CHECK(f->result.caught_up);
    check_state(f, rows);
    CHECK(!newest_is_unaligned(f)); // the last one of a run is aligned
}

TEST(rows_behind_an_unaligned_checkpoint_count_once) {
    static fixture f;
    uint64_t rows;

    folder_open(&f, 3, 0, ALWAYS);
    rows = leave_unaligned(&f, 3) + ROWS_MORE;
    rows += leave_unaligned(&f, 3); // from one that is not aligned to another
    end_at(&f, 3, rows);
    folder_close(&f);
}

TEST(another_number_of_partitions_goes_on_from_an_unaligned_checkpoint) {
    static fixture f;
    uint64_t rows;

    folder_open(&f, 2, 0, ALWAYS);
    rows = leave_unaligned(&f, 2) + ROWS_MORE;
    end_at(&f, 3, rows);
    CHECK_EQ(f.result.rescaled.partitions_before, 2);
    CHECK_EQ(f.result.rescaled.partitions_count, 3);
    folder_close(&f);
}

TEST(a_barrier_that_comes_in_time_is_aligned) {
    static fixture f;

    folder_open(&f, 2, ROWS_MORE, "10ms\"\nunaligned_after = \"30s");
    run_ok(&f, 0);
    CHECK(f.result.caught_up);
    check_state(&f, ROWS_MORE);
    CHECK(!newest_is_unaligned(&f));
    folder_close(&f);
}

TEST_MAIN
