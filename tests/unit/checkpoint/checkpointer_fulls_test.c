// Chains that a fold has made shorter.
#include "unit/checkpoint/job.h"

// Folds what the newest manifest says of the partition, puts and registers it.
static csti_manifest_segment fold(test_job *job, uint32_t p, bool is_registered) {
    static char name[CSTI_CHECKPOINT_NAME_BYTES];
    cst_object_body bodies[JOB_EPOCHS_MAX];
    cst_segment *segments[JOB_EPOCHS_MAX];
    cst_segment_summary summary;
    bytes_sink out = {0};
    csti_meta_result result;
    csti_manifest manifest;
    csti_arena arena;

    CHECK(job_read_newest(job, &arena, &manifest));
    const csti_manifest_partition *partition = &manifest.partitions[p];
    const uint32_t count = partition->segments_count;
    for (uint32_t s = 0; s < count; s++) {
        const char *from = partition->segments[s].name;

        JOB_OK(cst_object_get(job->store, from, 0, UINT64_MAX, &bodies[s], &job->err));
        JOB_OK(cst_segment_open_bytes(from, bodies[s].bytes, bodies[s].count, NULL, &segments[s],
                                      &job->err));
    }
    JOB_OK(cst_segment_fold(segments, count, &(cst_fold_options){0}, sink_write, &out, &summary,
                            &job->err));
    csti_meta_command command = {.kind = CSTI_META_LEASE,
                                 .lease = "fold",
                                 .owner = job->owner,
                                 .ttl_us = 1000000};
    JOB_OK(csti_meta_propose(job->meta, &command, &result, &job->err));
    csti_checkpoint_name_format(&(csti_checkpoint_name){.kind = CSTI_NAME_FOLD,
                                                        .token = result.token,
                                                        .nonce = test_random(),
                                                        .partition = p,
                                                        .epoch = partition->epoch_to},
                                name);
    const cst_bytes range = {out.bytes, out.count};
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = 1};
    JOB_OK(cst_object_put(job->store, name, &range, 1, &options, NULL, &job->err));
    command = (csti_meta_command){.kind = CSTI_META_REGISTER_FULL,
                                  .partition = p,
                                  .epoch = partition->epoch_to,
                                  .name = name,
                                  .bytes = out.count,
                                  .crc = summary.checksum,
                                  .lease = "fold",
                                  .token = result.token};
    if (is_registered) JOB_OK(csti_meta_propose(job->meta, &command, &result, &job->err));
    const csti_manifest_segment full = {
        name, out.count, summary.checksum, CST_SEGMENT_FULL_ORDERED, 1, partition->epoch_to};
    for (uint32_t s = 0; s < count; s++) {
        cst_segment_close(segments[s]);
        cst_object_body_release(job->store, &bodies[s]);
    }
    sink_free(&out);
    csti_arena_release(&arena);
    return full;
}

TEST(manifests_stand_on_a_registered_full_from_the_next_one_on) {
    test_job *job = job_open(2);
    csti_manifest manifest;
    csti_arena arena;

    for (int i = 0; i < 3; i++) {
        job_checkpoint(job);
    }
    const csti_manifest_segment full = fold(job, 1, true);
    JOB_OK(csti_checkpointer_use_full(job->c, 1, &full, &job->err));
    for (int i = 0; i < 2; i++) {
        job_checkpoint(job);
    }
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.partitions[0].segments_count, 5);
    CHECK_EQ(manifest.partitions[1].segments_count, 3);
    CHECK_TEXT(manifest.partitions[1].segments[0].name, full.name);
    CHECK_EQ(manifest.partitions[1].segments[0].epoch_to, 3);
    csti_arena_release(&arena);
    job_check_all_committed(job); // its chain is one: the fold bears the last delta's checksum
    job_close(job);
}

static csti_manifest_segment late_full;

static void use_full_at_manifest(test_job *job, const char *call, const char *name) {
    if (!job_is_at(job, call, name, "put", "manifest")) return;
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &late_full, &job->err));
}

TEST(a_full_that_comes_while_a_manifest_lists_the_old_chain_waits_for_the_next) {
    test_job *job = job_open(1);
    csti_manifest manifest;
    csti_arena arena;

    job_round(job);
    job_checkpoint(job);
    late_full = fold(job, 0, true);
    job->before = use_full_at_manifest;
    job_checkpoint(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.partitions[0].segments_count, 3);
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_checkpoint(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.partitions[0].segments_count, 3); // the full of 2, 3, 4
    CHECK_TEXT(manifest.partitions[0].segments[0].name, late_full.name);
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_close(job);
}

TEST(fulls_follow_one_another_and_an_older_one_changes_nothing) {
    test_job *job = job_open(1);
    csti_manifest manifest;
    csti_arena arena;

    job_round(job);
    job_checkpoint(job);
    csti_manifest_segment first = fold(job, 0, true);
    char *name = strdup(first.name);
    CHECK(name);
    first.name = name;
    job_checkpoint(job);
    const csti_manifest_segment second = fold(job, 0, true);
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &second, &job->err));
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &first, &job->err));
    job_checkpoint(job);
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &first, &job->err));
    job_checkpoint(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_TEXT(manifest.partitions[0].segments[0].name, second.name);
    CHECK_EQ(manifest.partitions[0].segments_count, 3);
    csti_arena_release(&arena);
    job_check_all_committed(job);
    free(name);
    job_close(job);
}

TEST(a_full_of_something_else_is_refused) {
    test_job *job = job_open(1);
    csti_manifest_segment full = {"folds/x", 256, 1, CST_SEGMENT_FULL_ORDERED, 1, 1};

    CHECK_CODE(csti_checkpointer_use_full(job->c, 0, &full, NULL), CST_USAGE);
    job_checkpoint(job);
    full.epoch_to = 2;
    CHECK_CODE(csti_checkpointer_use_full(job->c, 0, &full, NULL), CST_USAGE);
    full.epoch_to = 1;
    full.kind = CST_SEGMENT_DELTA;
    CHECK_CODE(csti_checkpointer_use_full(job->c, 0, &full, NULL), CST_USAGE);
    job_close(job);
}

TEST(a_full_that_is_retired_is_given_up_for_the_old_chain) {
    test_job *job = job_open(1);
    csti_manifest manifest;
    csti_arena arena;

    job_round(job);
    job_checkpoint(job);
    const csti_manifest_segment full = fold(job, 0, false); // nobody registered it
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &full, &job->err));
    job_checkpoint(job);
    CHECK_EQ(job_stats(job).aborted, 1);
    job_checkpoint(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.partitions[0].segments_count, 4);
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_close(job);
}

TEST_MAIN
