// Checkpoints of two stages that do not wait for barriers: rows between the stages are stored, and
// are in the second one once behind a restore, with the same partitions and with others.
#include "unit/server/runs.h"

#include <pthread.h>

enum { ROWS_MORE = 20000, TRIES_MAX = 20, STORED_MAX = 8 };

#define STAND_NS UINT64_C(3000000000)
#define ALWAYS "10ms\"\nunaligned_after = \"0s"
#define AT_LAST "1h\"\nunaligned_after = \"0s"
#define AFTER_A_WHILE "10ms\"\nunaligned_after = \"50ms"
// What the first stage counts in windows of 10 ms, which is 1,000 rows, the second one adds up.
#define STAGES                                                                                     \
    "kind = \"none\"\n[window]\ntumbling = \"10ms\"\nat_end = \"close\"\n"                         \
    "[then.key]\ncolumns = [\"key\"]\n"                                                            \
    "[[then.aggregate]]\nas = \"n\"\nop = \"sum\"\ncolumn = \"n\"\n"                               \
    "[[then.aggregate]]\nas = \"sum\"\nop = \"sum\"\ncolumn = \"sum\"\n"

// ---- What a checkpoint has ----------------------------------------------------------------------

static bool newest_has_rows(fixture *f) {
    opened n;
    bool has;

    checkpoint_open(f, &n);
    has = csti_manifest_has_rows(&n.plan.manifest);
    checkpoint_close(&n);
    return has;
}

static uint64_t committed_rows(const fixture *f) {
    csti_manifest manifest;
    csti_arena arena;
    uint64_t rows = 0;

    csti_arena_init(&arena, 64 << 20);
    CHECK_OK(csti_checkpointer_newest(f->job->checkpointer, &arena, &manifest, NULL));
    for (uint32_t p = 0; p < manifest.partitions_count; p++)
        if (manifest.partitions[p].rows) rows += manifest.partitions[p].rows->rows_count;
    csti_arena_release(&arena);
    return rows;
}

// ---- A channel between the stages that stands still ---------------------------------------------

typedef struct stall {
    bool now;
    bool stops;     // behind the first commit with rows of a channel that stood
    int64_t others; // rows of the second stage's other partition, when it began
    uint64_t begun_ns;
    uint64_t stalled_id;
    uint64_t stored; // rows that a committed checkpoint has
} stall;

// Written by the coordinator's thread and by the committer's.
static pthread_mutex_t standing_lock = PTHREAD_MUTEX_INITIALIZER;
static stall standing;

static int64_t rows_of(const fixture *f, uint32_t worker) {
    const csti_partition_metrics *metrics =
        csti_partition_metrics_of(f->job->workers[worker].partition);

    return (int64_t)atomic_load_explicit(&metrics->rows->value, memory_order_relaxed);
}

static void channel_stand(csti_job *job, bool now) {
    csti_job_stall_then_channel(job, 0, 0, now);
    standing.now = now;
    standing.begun_ns = csti_clock_now_ns(csti_clock_real());
}

// From partition 0 to the first one of the second stage nothing arrives, until both are cut, with
// the barrier, and mostly rows in front of it, on their way, and the other partition has gone on.
static void on_progress_stalled(void *context, const csti_job_progress *progress) {
    const fixture *f = context;
    csti_job *job = f->job;

    if (progress->recovering) return;
    (void)pthread_mutex_lock(&standing_lock);
    if (standing.now && job->barrier_mode == CSTI_BARRIER_UNALIGNED &&
        job->workers[0].sealed_id == job->barrier_id &&
        job->workers[2].sealed_id == job->barrier_id &&
        csti_partition_flowed_id(job->workers[2].partition) < job->barrier_id &&
        rows_of(f, 3) > standing.others) {
        standing.stalled_id = job->barrier_id;
        channel_stand(job, false);
    }
    // On a slow machine all may stand behind it before the other partition has gone on: again then.
    if (standing.now && csti_clock_now_ns(csti_clock_real()) > standing.begun_ns + STAND_NS)
        channel_stand(job, false);
    (void)pthread_mutex_unlock(&standing_lock);
}

// On a slow machine a checkpoint has rows without a channel that stands.
static bool stored_enough(const fixture *f, uint64_t committed_id) {
    if (standing.stalled_id == 0 || committed_id < standing.stalled_id) return false;
    standing.stored += committed_rows(f);
    return standing.stops && committed_rows(f) > 0;
}

static void on_passed(void *context, csti_job_moment moment, uint64_t number) {
    const fixture *f = context;

    if (moment != CSTI_JOB_COMMITTED) return;
    (void)pthread_mutex_lock(&standing_lock);
    if (stored_enough(f, number)) {
        csti_job_stop(f->job);
        csti_job_stop(f->job);
    } else if (!standing.now && number >= standing.stalled_id && rows_of(f, 2) > 0) {
        standing.others = rows_of(f, 3);
        channel_stand(f->job, true);
    }
    (void)pthread_mutex_unlock(&standing_lock);
}

// Leaves a checkpoint with stored rows as the newest one, of two partitions of each stage; a number
// of rows that no reader has come to.
static uint64_t leave_rows(fixture *f, const char *every) {
    uint64_t rows = 0;

    job_write(f, 2, 0, every, STAGES);
    for (int i = 0; i < TRIES_MAX; i++) {
        standing = (stall){.stops = true};
        f->options.observer = (csti_job_observer){.passed = on_passed, .context = f};
        f->options.progress = on_progress_stalled;
        run_ok(f, 0); // no end of rows
        f->options.observer = (csti_job_observer){.passed = NULL};
        f->options.progress = NULL;
        rows += 2 * f->result.rows;
        CHECK(standing.stored > 0);
        if (newest_has_rows(f)) return rows; // nothing was committed behind it
    }
    TEST_FAIL("%s", "no checkpoint with rows was the last one");
}

static void end_at(fixture *f, int partitions, uint64_t rows) {
    static sums expected, actual;

    job_write(f, partitions, rows, AT_LAST, STAGES);
    run_ok(f, 0);
    CHECK(f->result.caught_up);
    sums_expect(f, rows, &expected);
    checkpoint_read_stage(f, 1, &actual);
    check_sums(&actual, &expected);
    CHECK(!newest_has_rows(f)); // the last one of a run is aligned
}

TEST(rows_between_the_stages_are_stored_and_count_once_behind_a_restore) {
    static fixture f;
    uint64_t rows;

    folder_open_for(&f, 2, 0, ALWAYS, STAGES);
    rows = leave_rows(&f, ALWAYS) + ROWS_MORE;
    rows += leave_rows(&f, AFTER_A_WHILE); // from one with rows to another
    end_at(&f, 2, rows);
    folder_close(&f);
}

TEST(another_number_of_partitions_goes_on_from_a_checkpoint_with_rows) {
    static fixture f;
    uint64_t rows;

    folder_open_for(&f, 2, 0, ALWAYS, STAGES);
    rows = leave_rows(&f, ALWAYS) + ROWS_MORE;
    end_at(&f, 1, rows);
    CHECK_EQ(f.result.rescaled.partitions_before, 2);
    CHECK_EQ(f.result.rescaled.partitions_count, 1);
    folder_close(&f);
}

// ---- A channel in front of the first stage ------------------------------------------------------

static uint32_t first_commits;

static void on_first_stalled(void *context, csti_job_moment moment, uint64_t number) {
    const fixture *f = context;

    (void)number;
    if (moment != CSTI_JOB_COMMITTED) return;
    if (first_commits == 0) csti_job_stall_channel(f->job, 0, 0, true);
    if (first_commits == 0 || csti_job_is_stalled(f->job)) first_commits++;
    if (first_commits < 4) return;
    csti_job_stop(f->job); // at once: twice
    csti_job_stop(f->job);
}

TEST(checkpoints_of_both_stages_go_on_while_a_channel_of_the_first_stands_still) {
    static fixture f;
    uint64_t rows;

    folder_open_for(&f, 2, 0, ALWAYS, STAGES);
    job_write(&f, 2, 0, AFTER_A_WHILE, STAGES);
    first_commits = 0;
    f.options.observer = (csti_job_observer){.passed = on_first_stalled, .context = &f};
    run_ok(&f, 0);
    f.options.observer = (csti_job_observer){.passed = NULL};
    CHECK(!f.result.finished);
    rows = 2 * f.result.rows + ROWS_MORE;
    end_at(&f, 1, rows);
    folder_close(&f);
}

TEST_MAIN
