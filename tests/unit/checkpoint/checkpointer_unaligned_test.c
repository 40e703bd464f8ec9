// Checkpoints whose partitions are cut where they stand: sources come behind them, all at once.
#include "unit/checkpoint/job.h"

static const uint64_t SKIPS[] = {3, 0};

static cst_code sources_give(test_job *job, uint64_t id) {
    const csti_manifest_split splits[JOB_SPLITS] = {{"b", "{\"row\":40}", 1, false, SKIPS},
                                                    {"a", "{\"row\":50}", INT64_MIN, true, NULL}};

    return csti_checkpointer_sources(job->c, id, splits, JOB_SPLITS, &job->err);
}

// Begun and made unaligned, and its partitions have come.
static uint64_t begin_unaligned(test_job *job) {
    const uint64_t id = job_begin(job);

    JOB_OK(csti_checkpointer_unalign(job->c, id, &job->err));
    for (uint32_t p = 0; p < job->options.partitions_count; p++) JOB_OK(job_come(job, id, p));
    return id;
}

TEST(an_unaligned_checkpoint_waits_for_its_sources_and_keeps_what_each_partition_has) {
    test_job *job = job_open(2);
    csti_manifest manifest;
    csti_arena arena;
    uint64_t id = job_begin(job);

    job_sources(job, id); // one reader after the other has passed the barrier
    JOB_OK(job_come(job, id, 0));
    JOB_OK(csti_checkpointer_unalign(job->c, id, &job->err));
    JOB_OK(job_come(job, id, 1));
    job_sources(job, id); // one comes late: it means nothing
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 0);
    JOB_OK(sources_give(job, id));
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK(csti_manifest_is_unaligned(&manifest));
    CHECK_TEXT(manifest.splits[1].offset, "{\"row\":40}");
    CHECK_EQ(manifest.splits[1].skips[0], 3);
    CHECK_EQ(manifest.splits[1].skips[1], 0);
    CHECK(!manifest.splits[0].skips);
    csti_arena_release(&arena);
    job_checkpoint(job); // the next one is as ever
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK(!csti_manifest_is_unaligned(&manifest));
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_close(job);
}

TEST(what_is_complete_or_over_waits_for_nothing) {
    test_job *job = job_open(2);
    const uint64_t id = job_round(job);

    CHECK_CODE(csti_checkpointer_unalign(job->c, id, &job->err), CST_NOT_FOUND);
    job_settle(job);
    CHECK_CODE(csti_checkpointer_unalign(job->c, id, &job->err), CST_NOT_FOUND);
    CHECK_CODE(csti_checkpointer_unalign(job->c, id + 1, &job->err), CST_NOT_FOUND);
    CHECK_CODE(sources_give(job, id), CST_CHECKPOINT_ABORTED);
    job_check_all_committed(job);
    job_close(job);
}

TEST(changes_of_an_unaligned_checkpoint_that_is_given_up_go_with_the_next) {
    test_job *job = job_open(2);
    uint64_t id = begin_unaligned(job);

    JOB_OK(csti_checkpointer_abort(job->c, id, &job->err));
    CHECK_CODE(sources_give(job, id), CST_CHECKPOINT_ABORTED);
    job_settle(job);
    CHECK_EQ(job_stats(job).aborted, 1);
    id = begin_unaligned(job);
    JOB_OK(sources_give(job, id));
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    job_check_all_committed(job);
    job_close(job);
}

TEST(sources_that_come_twice_are_refused_and_none_of_them_counts) {
    const csti_manifest_split twice[JOB_SPLITS] = {{"a", "{}", 0, false, SKIPS},
                                                   {"a", "{}", 0, false, SKIPS}};
    test_job *job = job_open(2);
    const uint64_t id = begin_unaligned(job);

    CHECK_CODE(csti_checkpointer_sources(job->c, id, twice, JOB_SPLITS, &job->err), CST_EXISTS);
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 0);
    JOB_OK(sources_give(job, id));
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    job_close(job);
}

TEST_MAIN
