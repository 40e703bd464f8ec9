// Who may commit: the job's owner only, also behind a restart.
#include "unit/checkpoint/job.h"

// ---- The guard ----------------------------------------------------------------------------------

// Another process takes the job over: its own client of the same store.
static test_job *takeover(test_job *job) {
    test_job *other = job_make(job->world, job->options.partitions_count, false);

    job_claim(other);
    return other;
}

TEST(a_fenced_job_writes_nothing_any_more) {
    test_job *job = job_open(2);
    csti_cut cut = {0};
    uint64_t id = 0;

    job_checkpoint(job);
    job_round(job);
    job_round(job);
    job_upload_all(job);
    test_job *other = takeover(job);
    const uint64_t writes_count = job->writes_count;
    CHECK_CODE(job_commit(job, &id), CST_FENCED);
    CHECK_CODE(job_commit(job, &id), CST_FENCED);
    CHECK_CODE(job_upload(job, 0), CST_FENCED);
    CHECK_CODE(csti_checkpointer_begin(job->c, &id, NULL), CST_FENCED);
    CHECK_CODE(csti_checkpointer_abort(job->c, 3, NULL), CST_FENCED);
    CHECK_CODE(csti_checkpointer_partition(job->c, 3, 0, &cut, NULL), CST_FENCED);
    CHECK_EQ(job->writes_count, writes_count);
    CHECK(job_stats(job).fenced);
    CHECK_EQ(job->outputs_count, 2);
    job_kill(other);
    job_close(job);
}

static test_job *usurper;

static void takeover_at_manifest(test_job *job, const char *call, const char *name) {
    if (!job_is_at(job, call, name, "put", "manifest")) return;
    usurper = takeover(job);
}

TEST(a_takeover_between_guard_and_command_is_seen_by_the_command) {
    test_job *job = job_open(1);

    job->before = takeover_at_manifest;
    job_checkpoint(job);
    CHECK(job_stats(job).fenced);
    CHECK_EQ(job_stats(job).committed, 0);
    CHECK_EQ(job->outputs_count, 0);
    CHECK_EQ(job_count(job, CSTI_CHECKPOINTS_PREFIX), 2); // a candidate, for the new owner
    job_kill(usurper);
    job_close(job);
}

static void takeover_at_write(test_job *job, const char *call, const char *name) {
    uint64_t id = 0;

    if (!job_is_at(job, call, name, "upload_write", "")) return;
    usurper = takeover(job);
    CHECK_CODE(job_commit(job, &id), CST_FENCED); // another id's; commit's thread finds it out
}

TEST(an_upload_under_way_ends_when_the_job_is_fenced) {
    test_job *job = job_open(2);

    job_round(job);
    job_upload_all(job);
    job_round(job);
    JOB_OK(job_upload(job, 0));
    job->before = takeover_at_write;
    CHECK_CODE(job_upload(job, 1), CST_FENCED);
    CHECK_EQ(job_count(job, "checkpoints/00000000000000000002/1-"), 0);
    job_kill(usurper);
    job_close(job);
}

TEST(an_abort_of_a_fenced_job_deletes_nothing) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    job_round(job);
    job_upload_all(job);
    test_job *other = takeover(job);
    JOB_OK(csti_checkpointer_abort(job->c, 1, &job->err));
    CHECK_CODE(job_commit(job, &id), CST_FENCED);
    CHECK_EQ(job_count(job, CSTI_CHECKPOINTS_PREFIX), 1);
    job_kill(other);
    job_close(job);
}

static void write_manifest_first(test_job *job, const char *call, const char *name) {
    static const cst_bytes OTHER = {(const uint8_t *)"{}", 2};
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = 1};

    if (!job_is_at(job, call, name, "put", "manifest")) return;
    JOB_OK(cst_object_put(job->store, name, &OTHER, 1, &options, NULL, &job->err));
}

TEST(a_manifest_is_never_written_over) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    job_round(job);
    job_upload_all(job);
    job->before = write_manifest_first;
    CHECK_CODE(job_commit(job, &id), CST_EXISTS);
    CHECK_EQ(job_stats(job).committed, 0);
    job_settle(job);
    job_checkpoint(job);
    job_check_all_committed(job);
    job_close(job);
}

// ---- A restart ----------------------------------------------------------------------------------

TEST(a_restart_goes_on_with_epochs_and_with_ids_above_all_announced) {
    test_job *job = job_open(2);
    csti_manifest manifest;
    csti_arena arena;

    job_round(job);
    job_checkpoint(job);
    job_round(job); // sealed, and lost with the process
    csti_checkpointer_close(job->c);
    job->epochs_count[0]--;
    job->epochs_count[1]--;
    for (uint32_t p = 0; p < 2; p++) {
        sink_free(&job->epochs[p][2].records);
        memset(&job->epochs[p][2], 0, sizeof job->epochs[p][2]);
    }
    job_claim(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    job_start(job, &manifest, 7);
    csti_arena_release(&arena); // it was copied
    CHECK_EQ(job_round(job), 8);
    job_settle(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.base_id, 2);
    CHECK_EQ(manifest.tenure, 2);
    CHECK_EQ(manifest.partitions[0].segments_count, 3);
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_close(job);
}

// The newest checkpoint was damaged, and recovery took the one before it.
TEST(a_job_that_went_back_commits_behind_what_it_skipped) {
    test_job *job = job_open(1);
    csti_manifest manifest;
    csti_arena arena;

    job_checkpoint(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    job_checkpoint(job);
    csti_checkpointer_close(job->c);
    job_claim(job);
    job_start(job, &manifest, 2);
    csti_arena_release(&arena);
    sink_free(&job->epochs[0][1].records);
    memset(&job->epochs[0][1], 0, sizeof job->epochs[0][1]);
    job->epochs_count[0] = job->released_count[0] = 1;
    for (uint64_t id = 3; id <= 4; id++) {
        CHECK_EQ(job_round(job), id);
        job_settle(job);
        CHECK(job_read_newest(job, &arena, &manifest));
        CHECK_EQ(manifest.id, id);
        CHECK_EQ(manifest.base_id, id - 1);
        CHECK_EQ(manifest.partitions[0].epoch_from, id - 1);
        job_check_partition(job, &manifest.partitions[0]);
        csti_arena_release(&arena);
    }
    job_close(job);
}

TEST_MAIN
