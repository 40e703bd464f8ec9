// checkpointer_faults_test.c: whatever the store answers, or does not, every epoch is committed
// once and goes out once.
#include "unit/checkpoint/job.h"

// ---- Answers that are lost ----------------------------------------------------------------------

TEST(a_manifest_whose_answer_was_lost_is_read_back_and_committed) {
    test_job *job = job_open(1);

    job->faults = (job_faults){1, 1, JOB_FAILS_AFTER, "put", "manifest", 0};
    job_checkpoint(job);
    CHECK_EQ(job->faults.seen, 1);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK_EQ(job_stats(job).aborted, 0);
    job_check_all_committed(job);
    job_close(job);
}

TEST(a_segment_whose_answer_was_lost_is_read_back) {
    test_job *job = job_open(1);

    job->faults = (job_faults){1, 1, JOB_FAILS_AFTER, "upload_finish", NULL, 0};
    job_checkpoint(job);
    CHECK_EQ(job->faults.seen, 1);
    CHECK_EQ(job_stats(job).aborted, 0);
    job_check_all_committed(job);
    job_close(job);
}

// The command takes effect, and then nothing is heard of the store for `count` calls.
static void lose_commit(uint64_t count) {
    test_job *job = job_open(1);

    job_round(job);
    job_upload_all(job);
    job->faults = (job_faults){1, 1, JOB_FAILS_AFTER, "put", "meta/", 0};
    if (count > 1) job->faults = (job_faults){1, count, JOB_FAILS_AFTER, NULL, "meta/", 0};
    job_settle(job);
    CHECK(job->faults.seen > 0);
    if (job_stats(job).committed == 0) job_round(job);
    job_settle(job);
    job_check_all_committed(job);
    job_close(job);
}

TEST(a_commit_whose_answer_was_lost_is_never_guessed) {
    for (uint64_t count = 1; count < 40; count++) lose_commit(count);
}

// ---- Stores that fail ---------------------------------------------------------------------------

// For three minutes calls with `part` in their name fail.
static void fails_for_long(const char *part) {
    test_job *job = job_open(2);
    uint64_t id = 0;
    uint64_t steps = 0;

    job_checkpoint(job);
    job->faults = (job_faults){1, UINT64_MAX, JOB_FAILS, NULL, part, 0};
    for (int minute = 0; minute < 180; minute++) {
        if (csti_checkpointer_begin(job->c, &id, NULL) == CST_OK) {
            job_sources(job, id);
            for (uint32_t p = 0; p < 2; p++) JOB_OK(job_come(job, id, p));
        }
        while (job_step(job)) steps++;
        csti_clock_sim_advance(&job->clock, UINT64_C(1000000000));
    }
    CHECK_EQ(job_stats(job).staged_epochs, 8); // four of each partition
    CHECK(steps < 180);                        // it waits longer and longer
    CHECK(job_stats(job).errors_count > 20);
    CHECK_CODE(job_stats(job).last_error, CST_OBJECT_UNAVAILABLE);
    job->faults = (job_faults){.count = 0};
    csti_object_sim_client_faults(job->store, &job->faults.kind);
    job_settle(job);
    job_checkpoint(job);
    job_check_all_committed(job);
    job_check_no_litter(job);
    CHECK_EQ(csti_checkpointer_retry_at_ns(job->c), 0);
    job_close(job);
}

TEST(while_the_store_fails_barriers_wait_at_the_cap_and_then_all_commits) {
    fails_for_long(NULL);
}

TEST(while_only_large_objects_fail_no_more_epochs_come_than_the_cap_allows) {
    fails_for_long("/delta-");
}

// `count` store calls from the nth on fail. False: there were fewer than n.
static bool nth_fails(const csti_object_sim_faults *kind, uint64_t n, uint64_t count,
                      bool is_lost) {
    test_job *job = job_open(2);
    uint64_t id = 0;

    job->faults = (job_faults){n, count, *kind, NULL, NULL, 0};
    for (int round = 0; round < 3; round++) {
        if (csti_checkpointer_begin(job->c, &id, NULL) != CST_OK) continue; // at the cap
        job_sources(job, id);
        for (uint32_t p = 0; p < 2; p++) JOB_OK(job_come(job, id, p));
        if (round == 0) (void)job_step(job);
    }
    JOB_OK(csti_checkpointer_abort(job->c, id, &job->err));
    job_settle(job);
    const bool has_failed = job->faults.seen >= n;
    job->faults.count = 0;
    job_checkpoint(job);
    job_check_all_committed(job);
    // What a store lost may come when its id is over, or may not have been deleted: gc's.
    if (!is_lost && job_stats(job).errors_count == 0) job_check_no_litter(job);
    job_close(job);
    return has_failed;
}

static void every_call_fails(const csti_object_sim_faults *kind, bool is_lost) {
    for (uint64_t count = 1; count <= 8; count *= 2)
        for (uint64_t n = 1; nth_fails(kind, n, count, is_lost); n++) {}
}

TEST(whichever_store_call_fails_nothing_is_lost) {
    every_call_fails(&JOB_FAILS, false);
}

TEST(whichever_store_call_takes_effect_and_says_it_failed_nothing_is_lost) {
    every_call_fails(&JOB_FAILS_AFTER, false);
}

TEST(whichever_answer_is_lost_nothing_else_is) {
    every_call_fails(&JOB_LOST, true);
}

// ---- Death ------------------------------------------------------------------------------------

// False: there were fewer calls.
static bool dies_at(uint64_t n) {
    test_job *job = job_open(2);

    job->dies_at = n;
    for (uint64_t id = 1; id <= 4; id++) {
        if (!job->is_dead) job_round(job);
        if (id == 3 && !job->is_dead) JOB_OK(csti_checkpointer_abort(job->c, 3, &job->err));
        for (int steps = 0; steps < 3 && !job->is_dead; steps++) (void)job_step(job);
    }
    for (int steps = 0; steps < 20 && !job->is_dead; steps++) (void)job_step(job);
    const bool has_died = job->is_dead;
    job->dies_at = 0;
    job_restart(job);
    job_round(job);
    job_checkpoint(job);
    job_check_all_committed(job);
    job_close(job);
    return has_died;
}

TEST(at_whichever_store_call_the_process_dies_what_is_committed_is_whole_and_goes_out) {
    uint64_t n = 1;

    while (dies_at(n)) n++;
    CHECK(n > 60);
}

// ---- At random ----------------------------------------------------------------------------------

static void random_come(test_job *job, uint64_t *ids, uint32_t *came, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t p = 0; p < job->options.partitions_count; p++) {
            if (came[i] >> p & 1) continue;
            // A partition takes barriers in order, and may miss one that was given up.
            bool in_order = true;
            for (uint32_t before = 0; before < i; before++) in_order &= came[before] >> p & 1;
            if (!in_order || test_random_below(2)) continue;
            const cst_code code = job_come(job, ids[i], p);
            if (code != CST_CHECKPOINT_ABORTED) JOB_OK(code);
            came[i] |= 1u << p;
        }
}

TEST(random_schedules_with_faults_lose_nothing) {
    enum { ROUNDS = 40, SEEDS = 60 };

    for (int seed = 0; seed < SEEDS; seed++) {
        test_job *job = job_open(1 + (uint32_t)test_random_below(JOB_PARTITIONS_MAX));
        const csti_object_sim_faults faults = {.error_before = 20000,
                                               .error_after = 20000,
                                               .lost = 5000,
                                               .delayed = 10000,
                                               .delay_us_max = 100000};
        uint64_t ids[ROUNDS];
        uint32_t came[ROUNDS] = {0};
        uint32_t count = 0;
        uint32_t aborts = 0;

        job->faults = (job_faults){1, UINT64_MAX, faults, NULL, NULL, 0};
        for (int step = 0; step < 400; step++) {
            uint64_t id = 0;

            switch (test_random_below(5)) {
            case 0:
                if (count == ROUNDS || csti_checkpointer_begin(job->c, &id, NULL) != CST_OK) break;
                ids[count++] = id;
                job_sources(job, id);
                break;
            case 1:
                random_come(job, ids, came, count);
                break;
            case 2:
                if (count == 0 || test_random_below(4)) break;
                id = ids[test_random_below(count)];
                aborts += csti_checkpointer_abort(job->c, id, NULL) == CST_OK;
                break;
            default:
                (void)job_step(job);
                break;
            }
            csti_clock_sim_advance(&job->clock, test_random_below(20000000));
        }
        job->faults.count = 0;
        csti_object_sim_client_faults(job->store, &job->faults.kind);
        csti_object_sim_client_faults(job->store, &(csti_object_sim_faults){0});
        for (int i = 0; i < 200; i++) random_come(job, ids, came, count);
        job_settle(job);
        job_checkpoint(job);
        job_check_all_committed(job);
        CHECK(job_stats(job).aborted > 0 || aborts == 0);
        job_close(job);
    }
}

TEST_MAIN
