// Ids that are given up: by somebody, or because a step took too long.
#include "unit/checkpoint/job.h"

// ---- Abort --------------------------------------------------------------------------------------

// Three are under way and all of them are up; the middle one is given up.
TEST(an_aborted_ids_epochs_go_with_the_next_and_its_objects_go) {
    test_job *job = job_open(2);
    csti_manifest manifest;
    csti_arena arena;
    uint64_t id = 0;

    for (int i = 0; i < 3; i++) job_round(job);
    job_upload_all(job);
    CHECK_EQ(job_count(job, "checkpoints/00000000000000000002/"), 2);
    JOB_OK(csti_checkpointer_abort(job->c, 2, &job->err));
    CHECK_CODE(job_commit(job, &id), CST_CHECKPOINT_ABORTED);
    CHECK_EQ(id, 2);
    CHECK_EQ(job_count(job, "checkpoints/00000000000000000002/"), 0);
    JOB_OK(job_commit(job, &id));
    CHECK_EQ(id, 1);
    CHECK_CODE(job_commit(job, &id), CST_AGAIN); // 3 lacks what 2 had
    job_upload_all(job);
    JOB_OK(job_commit(job, &id));
    CHECK_EQ(id, 3);

    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.base_id, 1);
    CHECK_EQ(manifest.partitions[0].epoch_from, 2);
    CHECK_EQ(manifest.partitions[0].epoch_to, 3);
    CHECK_EQ(manifest.partitions[0].outbox_first, 1);
    for (uint32_t s = 1; s < 3; s++)
        CHECK(strncmp(manifest.partitions[0].segments[s].name,
                      "checkpoints/00000000000000000003/0-", 35) == 0);
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_check_no_litter(job);
    CHECK_EQ(job_begin(job), 4); // 2 is never used again
    job_close(job);
}

TEST(epochs_of_an_aborted_id_wait_if_there_is_no_next) {
    test_job *job = job_open(2);

    job_round(job);
    JOB_OK(csti_checkpointer_abort(job->c, 1, &job->err));
    job_settle(job);
    CHECK_EQ(job_stats(job).staged_epochs, 2);
    CHECK_EQ(job_stats(job).aborted, 1);
    job_checkpoint(job);
    job_check_all_committed(job);
    job_close(job);
}

// Partition 0 saw the barrier of the aborted id, partition 1 did not; partition 0's cut comes late.
TEST(a_cut_for_an_aborted_id_is_kept_and_goes_with_the_next) {
    test_job *job = job_open(2);
    const uint64_t first = job_begin(job);
    uint64_t id = 0;

    JOB_OK(csti_checkpointer_abort(job->c, first, &job->err));
    CHECK_CODE(job_come(job, first, 0), CST_CHECKPOINT_ABORTED); // not decided yet
    CHECK_CODE(job_commit(job, &id), CST_CHECKPOINT_ABORTED);
    const uint64_t second = job_begin(job);
    JOB_OK(csti_checkpointer_abort(job->c, second, &job->err));
    CHECK_CODE(job_commit(job, &id), CST_CHECKPOINT_ABORTED);
    CHECK_CODE(job_come(job, second, 0), CST_CHECKPOINT_ABORTED); // decided and over
    job_checkpoint(job);
    CHECK_EQ(job->epochs_count[0], 3);
    CHECK_EQ(job->epochs_count[1], 1);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

TEST(two_neighbours_that_are_given_up_go_with_the_third_in_order) {
    test_job *job = job_open(2);

    for (int i = 0; i < 3; i++) job_round(job);
    job_upload_all(job);
    JOB_OK(csti_checkpointer_abort(job->c, 2, &job->err));
    JOB_OK(csti_checkpointer_abort(job->c, 1, &job->err));
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK_EQ(job_stats(job).aborted, 2);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

TEST(an_id_that_is_being_committed_cannot_be_given_up) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    job->refuse_outputs = 1;
    job_round(job);
    job_upload_all(job);
    CHECK_CODE(job_commit(job, &id), CST_IO);
    CHECK_CODE(csti_checkpointer_abort(job->c, 1, NULL), CST_CHECKPOINT_ORDER);
    job_settle(job);
    job_check_all_committed(job);
    CHECK_CODE(csti_checkpointer_abort(job->c, 1, NULL), CST_NOT_FOUND);
    job_close(job);
}

TEST(an_aborted_id_can_be_neither_committed_nor_adopted) {
    test_job *job = job_open(1);
    csti_meta_result result;
    uint64_t id = 0;

    job_round(job);
    JOB_OK(csti_checkpointer_abort(job->c, 1, &job->err));
    CHECK_CODE(job_commit(job, &id), CST_CHECKPOINT_ABORTED);
    csti_meta_command command = {.kind = CSTI_META_ADOPT,
                                 .owner = job->owner,
                                 .tenure = job->tenure,
                                 .id = 1,
                                 .name = "checkpoints/x",
                                 .crc = 1};
    CHECK_CODE(csti_meta_propose(job->meta, &command, &result, NULL), CST_CHECKPOINT_ABORTED);
    job_close(job);
}

// A segment is being written while the abort is decided: all are deleted when it is there.
static void abort_meanwhile(test_job *job, const char *call, const char *name) {
    uint64_t id = 0;

    if (!job_is_at(job, call, name, "upload_finish", "/0-")) return;
    JOB_OK(csti_checkpointer_abort(job->c, 1, &job->err));
    CHECK_CODE(job_commit(job, &id), CST_CHECKPOINT_ABORTED);
}

TEST(an_upload_under_way_is_cleaned_when_it_ends) {
    test_job *job = job_open(2);

    job_round(job);
    job_round(job);
    JOB_OK(job_upload(job, 1));
    job->before = abort_meanwhile;
    JOB_OK(job_upload(job, 0));
    CHECK_EQ(job_count(job, "checkpoints/00000000000000000001/0-"), 1);
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

// ---- Deadlines ----------------------------------------------------------------------------------

TEST(an_alignment_that_takes_too_long_is_given_up) {
    test_job *job = job_open(2);
    const uint64_t first = job_begin(job);
    uint64_t id = 0;

    job_sources(job, first);
    JOB_OK(job_come(job, first, 0));
    csti_clock_sim_advance(&job->clock, UINT64_C(60000000000));
    CHECK_CODE(job_commit(job, &id), CST_AGAIN);
    csti_clock_sim_advance(&job->clock, 1);
    CHECK_CODE(job_commit(job, &id), CST_CHECKPOINT_ABORTED);
    CHECK_EQ(id, first);
    CHECK(strstr(job->err.text, "CST_DEADLINE: 2 of 2 splits, 1 of 2 partitions came"));
    job_checkpoint(job);
    CHECK_EQ(job->epochs_count[0], 2);
    job_check_all_committed(job);
    job_close(job);
}

TEST(a_checkpoint_that_nobody_uploads_is_given_up) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    job_round(job);
    csti_clock_sim_advance(&job->clock, UINT64_C(60000000001));
    CHECK_CODE(job_commit(job, &id), CST_CHECKPOINT_ABORTED);
    job_checkpoint(job);
    job_check_all_committed(job);
    job_close(job);
}

static void stand_still(test_job *job, const char *call, const char *name) {
    if (!job_is_at(job, call, name, "upload_write", "")) return;
    csti_clock_sim_advance(&job->clock, UINT64_C(60000000001));
}

TEST(an_upload_that_takes_too_long_gives_its_id_up) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    job->before = stand_still;
    job_round(job);
    CHECK_CODE(job_upload(job, 0), CST_DEADLINE);
    CHECK_CODE(job_upload(job, 0), CST_AGAIN);
    csti_clock_sim_advance(&job->clock, csti_checkpointer_retry_at_ns(job->c) -
                                            csti_clock_now_ns(&job->clock.clock));
    CHECK_CODE(job_commit(job, &id), CST_CHECKPOINT_ABORTED);
    job_checkpoint(job);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

static void stand_still_at_manifest(test_job *job, const char *call, const char *name) {
    if (!job_is_at(job, call, name, "put", "manifest")) return;
    csti_clock_sim_advance(&job->clock, UINT64_C(60000000001));
}

TEST(a_manifest_that_takes_too_long_is_not_committed) {
    test_job *job = job_open(1);

    job->before = stand_still_at_manifest;
    job_checkpoint(job);
    CHECK_EQ(job_stats(job).committed, 0);
    CHECK_EQ(job_stats(job).aborted, 1);
    CHECK_EQ(job_count(job, CSTI_CHECKPOINTS_PREFIX), 0);
    job_checkpoint(job);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

TEST_MAIN
