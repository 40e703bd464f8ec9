// Checkpoints that do not wait for barriers: what a job goes on with behind one, with the same
// partitions and with others.
#include "unit/server/runs.h"

enum { ROWS_MORE = 50000, TRIES_MAX = 20 };

#define ALWAYS "10ms\"\nunaligned_after = \"0s"
#define NO_SINK "kind = \"none\""
#define ONE_KEY_IN_WINDOWS                                                                         \
    NO_SINK                                                                                        \
    "\n[[filter]]\ncolumn = \"key\"\nop = \"=\"\nvalue = \"1\"\n[window]\ntumbling = \"1h\""

// Of which splits the partitions of the newest checkpoint, in a run, have not the same rows: a bit
// each.
static uint32_t committed_skips(const fixture *f) {
    csti_manifest manifest;
    csti_arena arena;
    uint32_t found = 0;

    csti_arena_init(&arena, 64 << 20);
    CHECK_OK(csti_checkpointer_newest(f->job->checkpointer, &arena, &manifest, NULL));
    for (uint32_t s = 0; s < manifest.splits_count; s++)
        found |= (uint32_t)(manifest.splits[s].skips != NULL) << s;
    CHECK_EQ(found != 0, csti_manifest_is_unaligned(&manifest));
    csti_arena_release(&arena);
    return found;
}

// Ends the run, without a last checkpoint, behind the first commit that is not aligned.
static void on_passed(void *context, csti_job_moment moment, uint64_t number) {
    const fixture *f = context;

    (void)number;
    if (moment != CSTI_JOB_COMMITTED || committed_skips(f) == 0) return;
    csti_job_stop(f->job);
    csti_job_stop(f->job);
}

static void on_nothing(void *context, const csti_job_progress *progress) {
    (void)context;
    (void)progress;
}

static bool newest_is_unaligned(fixture *f) {
    opened n;
    bool unaligned;

    checkpoint_open(f, &n);
    unaligned = csti_manifest_is_unaligned(&n.plan.manifest);
    checkpoint_close(&n);
    return unaligned;
}

// Runs until the newest checkpoint is one that is not aligned; a number of rows that no reader has
// come to, each of which takes its share in turn: one may have read nearly all of them.
static uint64_t leave_unaligned(fixture *f, int partitions) {
    uint64_t rows = 0;

    job_write(f, partitions, 0, ALWAYS, NO_SINK);
    for (int i = 0; i < TRIES_MAX; i++) {
        f->options.observer = (csti_job_observer){.passed = on_passed, .context = f};
        run_ok(f, 0); // no end of rows
        CHECK(!f->result.finished);
        rows += (uint64_t)partitions * f->result.rows;
        f->options.observer = (csti_job_observer){.passed = NULL};
        if (newest_is_unaligned(f)) return rows; // nothing was committed behind it
    }
    TEST_FAIL("%s", "every checkpoint was aligned");
}

static void end_at(fixture *f, int partitions, uint64_t rows) {
    job_write(f, partitions, rows, ALWAYS, NO_SINK);
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

TEST(rows_that_are_gone_before_they_are_spread_are_a_changed_source) {
    static fixture f;

    folder_open(&f, 2, 0, ALWAYS);
    (void)leave_unaligned(&f, 2);
    job_write(&f, 3, 1, ALWAYS, NO_SINK);
    (void)run(&f, 0);
    CHECK_CODE(f.code, CST_SOURCE_CHANGED);
    CHECK(strstr(f.err.text, "go on with 2 partitions"));
    CHECK(newest_is_unaligned(&f));
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

// ---- A channel that stands still ----

typedef struct stall {
    _Atomic enum { STALL_BEFORE, STALL_NOW, STALL_OVER } stage;
    uint32_t commits; // since it began
    int64_t rows;     // of partition 0, when it began
    bool aligned_again, flowed;
    uint32_t partition; // that the rows do not reach
    bool aborts;        // what waits for the channel is given up at once
    bool is_spread;     // both partitions have rows
    _Atomic uint64_t begun_id;
    _Atomic uint32_t aborted;
} stall;

static stall standing;

static int64_t rows_of(const fixture *f, uint32_t partition) {
    const csti_partition_metrics *metrics =
        csti_partition_metrics_of(f->job->workers[partition].partition);

    return (int64_t)atomic_load_explicit(&metrics->rows->value, memory_order_relaxed);
}

// What is being committed already goes on.
static void one_abort(const fixture *f) {
    if (csti_checkpointer_abort(f->job->checkpointer, standing.begun_id, NULL) == CST_OK)
        standing.aborted++;
}

// Reader 0's rows do not reach a partition, which has some, from the first commit on, until the
// stage says so.
static void on_stalled(void *context, csti_job_moment moment, uint64_t number) {
    fixture *f = context;

    if (moment == CSTI_JOB_BEGAN) standing.begun_id = number;
    if (moment == CSTI_JOB_BEGAN && standing.aborts && standing.stage == STALL_NOW &&
        !csti_job_is_stalled(f->job))
        one_abort(f);
    if (moment != CSTI_JOB_COMMITTED) return;
    if (standing.stage == STALL_BEFORE) {
        standing.partition = rows_of(f, 1) > 0;
        csti_job_stall_channel(f->job, 0, standing.partition, true);
        standing.stage = STALL_NOW;
        standing.rows = rows_of(f, 1 - standing.partition);
        if (standing.aborts && standing.begun_id > number) one_abort(f);
        return;
    }
    if (standing.stage == STALL_NOW && csti_job_is_stalled(f->job) && ++standing.commits >= 3) {
        // Stopped, it must leave a checkpoint that is not aligned: of the channel's reader one
        // partition has rows that the other has not. None are, and none will be, where two barriers
        // came to the reader without a row between them, as the second has no room: another try.
        if (f->stop_at_rows && standing.is_spread && (committed_skips(f) & 1) == 0) {
            csti_job_stall_channel(f->job, 0, standing.partition, false);
            standing.stage = STALL_BEFORE;
            standing.commits = 0;
            return;
        }
        standing.flowed = rows_of(f, 1 - standing.partition) > standing.rows;
        standing.stage = STALL_OVER;
        if (f->stop_at_rows) csti_job_stop(f->job); // at once: twice
        if (f->stop_at_rows)
            csti_job_stop(f->job);
        else
            csti_job_stall_channel(f->job, 0, standing.partition, false);
    } else if (standing.stage == STALL_OVER && !csti_job_is_stalled(f->job)) {
        standing.aligned_again = true;
        csti_job_stop(f->job);
        csti_job_stop(f->job);
    }
}

// A number of rows that neither reader has come to.
static uint64_t run_stalled(fixture *f, const char *sink, bool aborts) {
    standing =
        (stall){.stage = STALL_BEFORE, .aborts = aborts, .is_spread = strcmp(sink, NO_SINK) == 0};
    job_write(f, 2, 0, "10ms\"\nunaligned_after = \"50ms", sink);
    f->options.observer = (csti_job_observer){.passed = on_stalled, .context = f};
    f->options.progress = on_nothing;
    run_ok(f, 0);
    f->options.observer = (csti_job_observer){.passed = NULL};
    return 2 * f->result.rows + ROWS_MORE;
}

TEST(behind_a_time_out_checkpoints_go_on_while_a_channel_stands_still_and_are_aligned_again) {
    static fixture f;
    uint64_t rows;

    folder_open(&f, 2, 0, ALWAYS);
    rows = run_stalled(&f, NO_SINK, false);
    CHECK(standing.aligned_again);
    CHECK(standing.flowed);
    end_at(&f, 2, rows);
    folder_close(&f);
}

TEST(checkpoints_go_on_behind_one_that_was_given_up_before_the_time_out) {
    static fixture f;
    uint64_t rows;

    folder_open(&f, 2, 0, ALWAYS);
    rows = run_stalled(&f, NO_SINK, true);
    CHECK(standing.flowed);
    CHECK(standing.aborted > 0);
    end_at(&f, 2, rows);
    folder_close(&f);
}

TEST(a_job_that_ends_while_a_channel_stands_still_loses_and_repeats_no_row) {
    static fixture f;
    uint64_t rows = 0;
    bool unaligned = false;

    folder_open(&f, 2, 0, ALWAYS);
    f.stop_at_rows = 1;
    for (int i = 0; i < TRIES_MAX && !unaligned; i++) {
        rows += run_stalled(&f, NO_SINK, false);
        unaligned = newest_is_unaligned(&f); // nothing aligned was committed behind it
    }
    CHECK(unaligned);
    f.stop_at_rows = 0;
    end_at(&f, 2, rows);
    folder_close(&f);
}

// The lowest and the highest of the partitions' watermarks, of what is committed.
typedef struct watermarks {
    int64_t lowest_us, highest_us;
} watermarks;

static watermarks watermarks_of(const csti_manifest *manifest) {
    watermarks out = {INT64_MAX, INT64_MIN};

    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const int64_t us = manifest->partitions[p].watermark_us;

        if (us < out.lowest_us) out.lowest_us = us;
        if (us > out.highest_us) out.highest_us = us;
    }
    return out;
}

static watermarks settled;

static void on_settled(void *context, csti_job_moment moment, uint64_t number) {
    const fixture *f = context;
    csti_manifest manifest;
    csti_arena arena;

    (void)number;
    if (moment != CSTI_JOB_COMMITTED || !f->job->settling) return;
    csti_arena_init(&arena, 64 << 20);
    CHECK_OK(csti_checkpointer_newest(f->job->checkpointer, &arena, &manifest, NULL));
    settled = watermarks_of(&manifest);
    csti_arena_release(&arena);
}

// The other partition has no rows, and its watermark goes on. What it has closed, the new partition
// of its keys would open again.
TEST(partitions_are_spread_when_all_have_come_to_the_highest_watermark) {
    static fixture f;
    watermarks before = {0};
    uint64_t rows = 0;

    folder_open(&f, 2, 0, ALWAYS);
    for (int i = 0; i < TRIES_MAX && before.lowest_us == before.highest_us; i++) {
        opened n;

        f.stop_at_rows = 1;
        rows += run_stalled(&f, ONE_KEY_IN_WINDOWS, false);
        checkpoint_open(&f, &n);
        before = watermarks_of(&n.plan.manifest);
        checkpoint_close(&n);
    }
    f.stop_at_rows = 0;
    CHECK(before.lowest_us < before.highest_us);
    f.options.observer = (csti_job_observer){.passed = on_settled, .context = &f};
    job_write(&f, 3, rows, ALWAYS, ONE_KEY_IN_WINDOWS);
    run_ok(&f, 0);
    CHECK_EQ(settled.lowest_us, settled.highest_us);
    CHECK(settled.lowest_us >= before.highest_us);
    folder_close(&f);
}

TEST_MAIN
