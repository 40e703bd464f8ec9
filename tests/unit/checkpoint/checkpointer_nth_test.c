// checkpointer_nth_test.c: when an allocation fails, nothing is lost but time.
#include "nth.h"

#include "unit/checkpoint/job.h"

TEST(a_checkpointer_that_cannot_be_opened_leaves_nothing) {
    test_job *job = job_open(2);

    job_checkpoint(job);
    csti_checkpointer_close(job->c);
    for (uint64_t n = 1;; n++) {
        csti_manifest manifest;
        csti_arena arena;

        CHECK(job_read_newest(job, &arena, &manifest));
        job->options.base = &manifest;
        nth_fail_at(n);
        const cst_code code = csti_checkpointer_open(&job->options, &job->c, &job->err);
        const bool failed = nth_end();
        csti_arena_release(&arena);
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        if (failed) continue;
        CHECK(n > 8);
        break;
    }
    job_close(job);
}

// More cuts than there was room for, while ids come and go.
TEST(what_comes_without_memory_is_refused_and_can_come_again) {
    for (uint64_t n = 1;; n++) {
        test_job *job = job_open(1);
        bool failed = false;

        nth_fail_at(0);
        for (int i = 0; i < 9; i++) { // eight cuts fit
            const csti_manifest_split split = {"a", "{}", 0, false, NULL};
            const uint64_t id = job_begin(job);
            const csti_cut cut = job_seal(job, 0);
            const csti_checkpointer_stats before = job_stats(job);

            nth_fail_at(n);
            cst_code code = csti_checkpointer_source(job->c, id, &split, NULL);
            failed |= nth_end();
            if (code != CST_OK) code = csti_checkpointer_source(job->c, id, &split, NULL);
            CHECK_OK(code);
            nth_fail_at(n);
            code = csti_checkpointer_partition(job->c, id, 0, &cut, NULL);
            const bool is_refused = nth_end();
            failed |= is_refused;
            CHECK_CODE(code, is_refused ? CST_NO_MEMORY : CST_OK);
            if (is_refused) {
                CHECK_EQ(job_stats(job).staged_epochs, before.staged_epochs);
                CHECK_OK(csti_checkpointer_partition(job->c, id, 0, &cut, NULL));
            }
            JOB_OK(csti_checkpointer_abort(job->c, id, &job->err));
            job_settle(job);
        }
        job_checkpoint(job);
        job_check_all_committed(job);
        job_close(job);
        if (failed) continue;
        CHECK(n > 1);
        return;
    }
}

TEST(whichever_allocation_of_upload_or_commit_fails_nothing_is_lost) {
    for (uint64_t n = 1;; n++) {
        test_job *job = job_open(2);

        job->is_plain = true;
        job_checkpoint(job);
        job_round(job);
        nth_fail_at(n);
        for (int i = 0; i < 8; i++) (void)job_step(job);
        const bool failed = nth_end();
        job_settle(job);
        job_checkpoint(job);
        job_check_all_committed(job);
        job_close(job);
        if (failed) continue;
        CHECK(n > 20);
        return;
    }
}

TEST(a_full_that_cannot_be_noted_is_not_used) {
    test_job *job = job_open(1);
    const csti_manifest_segment full = {"folds/1-0000000000000001/0-1", 256, 1,
                                        CST_SEGMENT_FULL_ORDERED,       1,   1};

    job_checkpoint(job);
    nth_fail_at(1);
    CHECK_CODE(csti_checkpointer_use_full(job->c, 0, &full, NULL), CST_NO_MEMORY);
    CHECK(nth_end());
    job_checkpoint(job);
    job_check_all_committed(job);
    job_close(job);
}

TEST_MAIN
