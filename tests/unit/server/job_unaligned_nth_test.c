// Each allocation of what finds where splits go on fails once: NO_MEMORY, nothing stays behind, and
// the checkpoint's changes go with the next.
#include "nth.h"

#include "unaligned_job.h"
#include "unit/checkpoint/job.h"

static const char *const splits[] = {"a", "b"};

// Two splits of which both partitions have rows, the second partition less of them.
static cst_code cut(unaligned_job *u, uint64_t id, cst_err *err) {
    static const uint64_t none[] = {0, 0}, some[] = {4, 3}, more[] = {9, 8}; // of each partition
    static const uint64_t first[] = {9, 8}, second[] = {3, 3};               // of each split
    cst_code code = csti_job_unaligned_open(&u->job, err);

    for (uint32_t s = 0; s < JOB_SPLITS && code == CST_OK; s++)
        code = unaligned_job_note(u, s, "{\"row\":0}", none, err);
    if (code == CST_OK) code = unaligned_job_note(u, 0, "{\"row\":7}", some, err);
    if (code == CST_OK) code = csti_job_unalign(&u->job, id, err);
    if (code == CST_OK) code = unaligned_job_note(u, 0, "{\"row\":17}", more, err);
    if (code == CST_OK) code = unaligned_job_sealed(u, id, 0, first, err);
    return code == CST_OK ? unaligned_job_sealed(u, id, 1, second, err) : code;
}

// Nobody is behind the note at 7: the first partition has five rows behind it, the second none of
// split a; and of b, which has one note, all that each has.
static void check_splits(test_job *job) {
    csti_manifest manifest;
    csti_arena arena;

    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK(csti_manifest_is_unaligned(&manifest));
    CHECK_TEXT(manifest.splits[0].offset, "{\"row\":7}");
    CHECK_EQ(manifest.splits[0].skips[0], 5);
    CHECK_EQ(manifest.splits[0].skips[1], 0);
    CHECK_TEXT(manifest.splits[1].offset, "{\"row\":0}");
    CHECK_EQ(manifest.splits[1].skips[0], 8);
    CHECK_EQ(manifest.splits[1].skips[1], 3);
    csti_arena_release(&arena);
}

TEST(without_memory_an_unaligned_checkpoint_is_given_up_and_nothing_is_lost) {
    for (uint64_t n = 1;; n++) {
        test_job *job = job_open(2);
        const uint64_t id = job_begin(job);
        unaligned_job *u = unaligned_job_make(job->c, splits, JOB_SPLITS, 2);
        cst_code code;
        bool failed;

        for (uint32_t p = 0; p < 2; p++) JOB_OK(job_come(job, id, p));
        nth_fail_at(n);
        code = cut(u, id, NULL);
        failed = nth_end();
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        unaligned_job_close(u);
        if (failed) JOB_OK(csti_checkpointer_abort(job->c, id, &job->err));
        job_settle(job);
        if (!failed) check_splits(job);
        job_checkpoint(job);
        job_check_all_committed(job);
        job_close(job);
        if (failed) continue;
        CHECK(n > 12);
        return;
    }
}

TEST_MAIN
