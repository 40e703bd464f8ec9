// Rows on their way to a second stage that a checkpoint takes along: one partition of each stage.
#include "unit/checkpoint/job_rows.h"

static cst_code nothing_give(test_job *job, uint64_t id) {
    csti_stored_rows rows;

    csti_stored_begin(&rows, &SHAPE, 0, BYTES_MAX);
    return csti_checkpointer_rows(job->c, id, THEN, &rows, &job->err);
}

TEST(a_checkpoint_waits_for_the_last_late_barrier_and_names_the_rows_in_front_of_it) {
    test_job *job = stages_open(4);
    const uint64_t id = begin_with_rows(job);
    csti_manifest manifest;
    csti_arena arena;

    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 0);
    const uint64_t staged = job_stats(job).staged_bytes;
    JOB_OK(rows_give(job, id));
    CHECK(job_stats(job).staged_bytes > staged); // they are counted
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK_EQ(job_stats(job).staged_bytes, 0);
    CHECK_EQ(check_newest_rows(job), id);
    job_checkpoint(job); // the next one has none
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK(!csti_manifest_has_rows(&manifest));
    csti_arena_release(&arena);
    job_check_all_committed(job);
    stages_close(job);
}

TEST(where_no_row_was_under_way_there_is_no_object) {
    test_job *job = stages_open(4);
    const uint64_t id = begin_with_rows(job);

    JOB_OK(nothing_give(job, id));
    CHECK_CODE(nothing_give(job, id), CST_USAGE); // once
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK_EQ(rows_objects(job), 0);
    job_check_all_committed(job);
    stages_close(job);
}

TEST(rows_of_a_checkpoint_that_was_given_up_are_nobodys) {
    test_job *job = stages_open(4);
    uint64_t id = begin_with_rows(job);

    JOB_OK(csti_checkpointer_abort(job->c, id, &job->err));
    CHECK_CODE(rows_give(job, id), CST_CHECKPOINT_ABORTED);
    job_settle(job);
    CHECK_CODE(rows_give(job, id), CST_CHECKPOINT_ABORTED);
    CHECK_EQ(job_stats(job).aborted, 1);
    CHECK_EQ(rows_objects(job), 0);
    id = begin_with_rows(job); // its changes go with the next, which has rows of its own
    JOB_OK(rows_give(job, id));
    job_settle(job);
    CHECK_EQ(check_newest_rows(job), id);
    job_check_all_committed(job);
    stages_close(job);
}

TEST(rows_that_do_not_come_in_time_end_their_checkpoint) {
    test_job *job = stages_open(4);

    (void)begin_with_rows(job);
    csti_clock_sim_advance(&job->clock, UINT64_C(61) * 1000 * 1000 * 1000);
    job_settle(job);
    CHECK_EQ(job_stats(job).aborted, 1);
    stages_close(job);
}

TEST(rows_that_could_not_be_uploaded_end_their_checkpoint_and_leave_no_object) {
    test_job *job = stages_open(4);
    uint64_t id = begin_with_rows(job);

    job->faults = (job_faults){
        .at = 1, .count = 1, .kind = JOB_FAILS_AFTER, .call = "upload_finish", .part = "/rows-"};
    JOB_OK(rows_give(job, id));
    job_settle(job);
    CHECK_EQ(job_stats(job).aborted, job_stats(job).committed == 0);
    job->faults.count = 0;
    id = begin_with_rows(job);
    JOB_OK(rows_give(job, id));
    job_settle(job);
    CHECK_EQ(check_newest_rows(job), id);
    CHECK_EQ((uint64_t)rows_objects(job), job_stats(job).committed);
    job_check_all_committed(job);
    stages_close(job);
}

// With nothing else under way, at the cap: the same barrier is announced again.
TEST(the_heir_of_an_aborted_checkpoint_has_its_rows_under_its_own_name) {
    test_job *job = stages_open(1);
    const uint64_t id = begin_with_rows(job);

    JOB_OK(rows_give(job, id));
    job->faults =
        (job_faults){.at = 1, .count = 1, .kind = JOB_FAILS, .call = "put", .part = "/manifest-"};
    job_settle(job);
    CHECK_EQ(job_stats(job).aborted, 1);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK(check_newest_rows(job) > id);
    CHECK_EQ(rows_objects(job), 1); // the aborted one's is deleted
    job_check_all_committed(job);
    stages_close(job);
}

TEST_MAIN
