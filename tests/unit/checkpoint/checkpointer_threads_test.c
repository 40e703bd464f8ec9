// checkpointer_threads_test.c: uploads, commits and what comes from the job, each on its thread.
#include "unit/checkpoint/job.h"

#include <pthread.h>
#include <sched.h>

enum { PARTITIONS = 4, ROUNDS = 60 };

typedef struct test_worker {
    test_job *job;
    uint32_t partition;
    _Atomic bool *is_over;
} test_worker;

static void *upload_run(void *context) {
    const test_worker *worker = context;

    // Relaxed: it only ends the loop.
    while (!atomic_load_explicit(worker->is_over, memory_order_relaxed)) {
        cst_err err = {.code = CST_OK};
        const cst_code code = csti_checkpointer_upload(worker->job->c, worker->partition, &err);

        if (code == CST_AGAIN)
            (void)sched_yield();
        else if (code != CST_OK)
            TEST_FAIL("upload: %s", err.text);
    }
    return NULL;
}

static void *commit_run(void *context) {
    const test_worker *worker = context;

    while (!atomic_load_explicit(worker->is_over, memory_order_relaxed)) {
        cst_err err = {.code = CST_OK};
        uint64_t id = 0;
        const cst_code code = csti_checkpointer_commit(worker->job->c, &id, &err);

        if (code == CST_AGAIN)
            (void)sched_yield();
        else if (code != CST_OK && code != CST_CHECKPOINT_ABORTED)
            TEST_FAIL("commit: %s", err.text);
    }
    return NULL;
}

static uint64_t begin_waiting(test_job *job) {
    uint64_t id = 0;
    cst_code code;

    do {
        code = csti_checkpointer_begin(job->c, &id, &job->err);
        if (code == CST_AGAIN) (void)sched_yield();
    } while (code == CST_AGAIN);
    CHECK_OK(code);
    return id;
}

// One in four is given up, before or behind its barriers.
static void rounds_run(test_job *job) {
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t id = begin_waiting(job);
        const uint64_t draw = test_random_below(8);

        if (draw == 0) CHECK_OK(csti_checkpointer_abort(job->c, id, &job->err));
        if (draw != 0) job_sources(job, id);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            const cst_code code = job_come(job, id, p);
            CHECK(code == CST_OK || code == CST_CHECKPOINT_ABORTED);
        }
        if (draw == 1) {
            const cst_code code = csti_checkpointer_abort(job->c, id, &job->err);
            CHECK(code == CST_OK || code == CST_CHECKPOINT_ORDER || code == CST_NOT_FOUND);
        }
        job_take_released(job);
    }
}

TEST(threads_that_upload_commit_and_seal_lose_nothing) {
    test_job *job = job_open_as(PARTITIONS, true);
    pthread_t threads[PARTITIONS + 1];
    test_worker workers[PARTITIONS + 1];
    _Atomic bool is_over = false;
    uint64_t last = 0;

    for (uint32_t i = 0; i <= PARTITIONS; i++) {
        workers[i] = (test_worker){job, i, &is_over};
        CHECK_EQ(pthread_create(&threads[i], NULL, i < PARTITIONS ? upload_run : commit_run,
                                &workers[i]),
                 0);
    }
    rounds_run(job);
    last = begin_waiting(job);
    job_sources(job, last);
    for (uint32_t p = 0; p < PARTITIONS; p++) JOB_OK(job_come(job, last, p));
    while (job_stats(job).last_committed_id != last || job_stats(job).staged_epochs != 0)
        (void)sched_yield();
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    for (uint32_t i = 0; i <= PARTITIONS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    job_settle(job);
    job_check_all_committed(job);
    job_check_no_litter(job);
    CHECK(job_stats(job).aborted > 0);
    job_close(job);
}

TEST_MAIN
