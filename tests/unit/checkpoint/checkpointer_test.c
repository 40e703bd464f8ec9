#include "unit/checkpoint/job.h"

// ---- What a checkpoint is -----------------------------------------------------------------------

TEST(it_commits_when_everything_has_come_and_is_up) {
    test_job *job = job_open(2);
    const uint64_t id = job_begin(job);
    uint64_t committed = 0;

    CHECK_EQ(id, 1);
    CHECK_CODE(job_commit(job, &committed), CST_AGAIN);
    job_sources(job, id);
    JOB_OK(job_come(job, id, 0));
    job_upload_all(job); // the other one has not come
    CHECK_CODE(job_commit(job, &committed), CST_AGAIN);
    JOB_OK(job_come(job, id, 1));
    CHECK_CODE(job_commit(job, &committed), CST_AGAIN); // it has come and is not up
    job_upload_all(job);
    JOB_OK(job_commit(job, &committed));
    CHECK_EQ(committed, 1);
    CHECK_EQ(job->outputs_count, 2);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

TEST(a_manifest_says_what_came) {
    test_job *job = job_open(2);
    csti_manifest manifest;
    csti_arena arena;

    job_checkpoint(job);
    job_checkpoint(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.id, 2);
    CHECK_EQ(manifest.base_id, 1);
    CHECK_EQ(manifest.incarnation, 1);
    CHECK_EQ(manifest.owner, job->owner);
    CHECK_EQ(manifest.created_us, csti_clock_wall_us(&job->clock.clock));
    CHECK_EQ(manifest.splits_count, 2);
    CHECK_TEXT(manifest.splits[0].split, "a"); // they came as b, a
    CHECK_TEXT(manifest.splits[0].offset, "{\"row\":2}");
    CHECK(manifest.splits[0].ended);
    CHECK_EQ(manifest.splits[1].watermark_us, 1);
    CHECK_EQ(manifest.partitions[1].group_from, 2048);
    CHECK_EQ(manifest.partitions[1].watermark_us, 20);
    CHECK_EQ(manifest.partitions[1].rows_count, 2 * JOB_ROWS);
    CHECK_EQ(manifest.partitions[1].segments[0].kind, CST_SEGMENT_FULL_UNORDERED);
    CHECK_EQ(manifest.partitions[1].segments[1].kind, CST_SEGMENT_DELTA);
    CHECK_EQ(manifest.partitions[1].outbox_first, 1);
    CHECK_OK(csti_manifest_expect(&manifest, &job->options.identity, NULL));
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_close(job);
}

TEST(the_newest_manifest_is_given_as_a_copy) {
    test_job *job = job_open(1);
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, JOB_ARENA_BYTES);
    CHECK_CODE(csti_checkpointer_newest(job->c, &arena, &manifest, NULL), CST_NOT_FOUND);
    job_checkpoint(job);
    JOB_OK(csti_checkpointer_newest(job->c, &arena, &manifest, &job->err));
    job_checkpoint(job);
    CHECK_EQ(manifest.id, 1);
    CHECK_OK(csti_manifest_check("copy", &manifest, CST_MANIFEST, NULL));
    csti_arena_release(&arena);
    job_close(job);
}

TEST(the_hint_names_the_newest_manifest) {
    test_job *job = job_open(1);
    cst_object_body body = {.bytes = NULL};
    csti_checkpoint_name name;
    char text[CSTI_CHECKPOINT_NAME_BYTES] = "";

    job_checkpoint(job);
    job_checkpoint(job);
    JOB_OK(cst_object_get(job->store, CSTI_LATEST_NAME, 0, UINT64_MAX, &body, &job->err));
    CHECK(body.count < sizeof text);
    memcpy(text, body.bytes, body.count - 1);
    CHECK_EQ(body.bytes[body.count - 1], '\n');
    CHECK(csti_checkpoint_name_parse(text, &name));
    CHECK_EQ(name.kind, CSTI_NAME_MANIFEST);
    CHECK_EQ(name.id, 2);
    cst_object_body_release(job->store, &body);
    job_close(job);
}

TEST(a_hint_that_cannot_be_written_is_counted_and_nothing_else) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    job->faults = (job_faults){1, 1, JOB_FAILS, "put", CSTI_LATEST_NAME, 0};
    job_round(job);
    job_upload_all(job);
    JOB_OK(job_commit(job, &id));
    CHECK_EQ(id, 1);
    CHECK_EQ(job_stats(job).errors_count, 1);
    job_check_all_committed(job);
    job_close(job);
}

// ---- Order and bounds -------------------------------------------------------------------------

TEST(commits_are_in_order_of_ids_whatever_comes_first) {
    test_job *job = job_open(2);
    const uint64_t first = job_begin(job);
    const uint64_t second = job_begin(job);
    uint64_t id = 0;

    for (uint32_t p = 0; p < 2; p++) {
        JOB_OK(job_come(job, first, p));
        JOB_OK(job_come(job, second, p));
    }
    job_sources(job, second);
    job_upload_all(job);
    CHECK_CODE(job_commit(job, &id), CST_AGAIN); // the second is up, the first lacks its sources
    job_sources(job, first);
    JOB_OK(job_commit(job, &id));
    CHECK_EQ(id, first);
    JOB_OK(job_commit(job, &id));
    CHECK_EQ(id, second);
    job_check_all_committed(job);
    job_close(job);
}

TEST(a_release_is_over_before_the_next_commit_begins) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    job->refuse_outputs = 3;
    job_round(job);
    job_round(job);
    job_upload_all(job);
    for (int i = 0; i < 3; i++) {
        CHECK_CODE(job_commit(job, &id), CST_IO);
        CHECK_EQ(job_stats(job).committed, 1);
        CHECK_EQ(job->outputs_count, 0);
        CHECK_EQ(job->released_count[0], 0);
        CHECK_CODE(job_commit(job, &id), CST_AGAIN); // it waits a little
        csti_clock_sim_advance(&job->clock, UINT64_C(60000000000));
    }
    JOB_OK(job_commit(job, &id));
    CHECK_EQ(id, 1);
    CHECK_EQ(job->released_count[0], 1);
    JOB_OK(job_commit(job, &id));
    CHECK_EQ(id, 2);
    job_check_all_committed(job);
    job_close(job);
}

// The middle of three outputs fails: all go out again.
TEST(what_is_released_again_is_identical) {
    test_job *job = job_open(3);
    uint64_t id = 0;

    job_round(job);
    job_upload_all(job);
    job->faults = (job_faults){2, 1, JOB_FAILS, "get", "delta", 0};
    CHECK_CODE(job_commit(job, &id), CST_OBJECT_UNAVAILABLE);
    CHECK_EQ(job->outputs_count, 1);
    job_settle(job);
    CHECK_EQ(job->outputs_count, 1 + 3);
    CHECK_EQ(job->outputs[0].checksum, job->outputs[1].checksum);
    job_check_all_committed(job);
    job_close(job);
}

TEST(at_most_so_many_ids_are_under_way) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    for (int i = 0; i < 4; i++) job_round(job);
    CHECK_CODE(csti_checkpointer_begin(job->c, &id, NULL), CST_AGAIN);
    job_upload_all(job);
    CHECK_CODE(csti_checkpointer_begin(job->c, &id, NULL), CST_AGAIN);
    JOB_OK(job_commit(job, &id));
    CHECK_EQ(job_begin(job), 5);
    CHECK_CODE(csti_checkpointer_begin(job->c, &id, NULL), CST_AGAIN);
    job_close(job);
}

TEST(at_most_so_many_bytes_are_staged_and_what_is_aborted_then_commits_without_a_new_barrier) {
    test_job *job = job_open(1);
    uint64_t id = 0;

    csti_checkpointer_close(job->c);
    job->options.staged_bytes_max = 2 * JOB_ROWS * TEST_RECORD_BYTES;
    job_start(job, NULL, 0);
    do {
        job_round(job);
    } while (job_stats(job).staged_bytes < job->options.staged_bytes_max);
    CHECK_CODE(csti_checkpointer_begin(job->c, &id, NULL), CST_AGAIN);
    for (uint64_t i = 1; i <= job->epochs_count[0]; i++)
        JOB_OK(csti_checkpointer_abort(job->c, i, &job->err));
    const uint64_t last = job->epochs_count[0];
    job_settle(job);
    CHECK_EQ(job_stats(job).staged_bytes, 0);
    CHECK_EQ(job_stats(job).last_committed_id, last + 1);
    CHECK_EQ(job_stats(job).begun, last + 1);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

TEST(at_the_cap_an_id_is_let_in_where_an_aborted_ones_barrier_had_not_come_everywhere) {
    test_job *job = job_open(2);
    uint64_t id = 0;

    csti_checkpointer_close(job->c);
    job->options.staged_bytes_max = TEST_RECORD_BYTES;
    job_start(job, NULL, 0);
    id = job_begin(job);
    job_sources(job, id);
    JOB_OK(job_come(job, id, 0));
    CHECK_CODE(csti_checkpointer_begin(job->c, &id, NULL), CST_AGAIN);
    JOB_OK(csti_checkpointer_abort(job->c, 1, &job->err));
    job_settle(job);
    CHECK_CODE(job_come(job, 1, 1), CST_CHECKPOINT_ABORTED);
    CHECK_EQ(job_stats(job).begun, 1);
    CHECK_EQ(job_round(job), 2);
    job_settle(job);
    job_check_all_committed(job);
    job_close(job);
}

TEST(carried_epochs_count_as_well) {
    test_job *job = job_open(2);
    uint64_t id = 0;

    for (uint64_t i = 1; i <= 3; i++) {
        job_round(job);
        JOB_OK(csti_checkpointer_abort(job->c, i, &job->err));
    }
    job_settle(job);
    CHECK_EQ(job_round(job), 4); // the fourth epoch of each
    CHECK_CODE(csti_checkpointer_begin(job->c, &id, NULL), CST_AGAIN);
    job_settle(job);
    CHECK_EQ(job_begin(job), 5);
    CHECK_EQ(job_begin(job), 6);
    job_close(job);
}

TEST(pins_end_by_commit_only) {
    test_job *job = job_open(1);
    csti_cut cut;
    uint64_t id = 0;

    job_round(job);
    job_upload_all(job);
    CHECK(!csti_checkpointer_released(job->c, 0, &cut));
    JOB_OK(csti_checkpointer_abort(job->c, 1, &job->err));
    CHECK_CODE(csti_checkpointer_commit(job->c, &id, &job->err), CST_CHECKPOINT_ABORTED);
    CHECK(!csti_checkpointer_released(job->c, 0, &cut));
    job_round(job);
    job_upload_all(job);
    CHECK(!csti_checkpointer_released(job->c, 0, &cut));
    JOB_OK(csti_checkpointer_commit(job->c, &id, &job->err));
    CHECK(csti_checkpointer_released(job->c, 0, &cut));
    CHECK_EQ(cut.epoch, 1);
    CHECK(csti_checkpointer_released(job->c, 0, &cut));
    CHECK_EQ(cut.epoch, 2);
    CHECK(!csti_checkpointer_released(job->c, 0, &cut));
    job_close(job);
}

TEST(what_does_not_fit_is_refused_by_name) {
    test_job *job = job_open(1);
    const csti_manifest_split split = {"a", "{}", 0, false, NULL};
    csti_cut cut;
    uint64_t id = 0;

    CHECK_CODE(csti_checkpointer_source(job->c, 1, &split, NULL), CST_USAGE); // not begun
    CHECK_CODE(csti_checkpointer_abort(job->c, 1, NULL), CST_NOT_FOUND);
    id = job_begin(job);
    CHECK_OK(csti_checkpointer_source(job->c, id, &split, NULL));
    CHECK_CODE(csti_checkpointer_source(job->c, id, &split, NULL), CST_EXISTS);
    cut = job_seal(job, 0);
    CHECK_CODE(csti_checkpointer_partition(job->c, id + 1, 0, &cut, NULL), CST_USAGE);
    cut.epoch = 2;
    CHECK_CODE(csti_checkpointer_partition(job->c, id, 0, &cut, NULL), CST_EPOCH);
    cut.epoch = 1;
    CHECK_OK(csti_checkpointer_partition(job->c, id, 0, &cut, NULL));
    cut.epoch = 2;
    CHECK_CODE(csti_checkpointer_partition(job->c, id, 0, &cut, NULL), CST_USAGE); // twice
    job_close(job);
}

TEST(options_that_contradict_are_refused) {
    test_job *job = job_open(2);
    csti_checkpointer_options options = job->options;
    csti_checkpointer *none = NULL;
    csti_manifest manifest;
    csti_arena arena;

    options.owner = 0;
    CHECK_CODE(csti_checkpointer_open(&options, &none, NULL), CST_USAGE);
    options = job->options;
    options.partitions_count = 0;
    CHECK_CODE(csti_checkpointer_open(&options, &none, NULL), CST_USAGE);
    options = job->options;
    options.identity.table_id = 0;
    CHECK_CODE(csti_checkpointer_open(&options, &none, NULL), CST_USAGE);
    options = job->options;
    options.epochs_max = 100000;
    CHECK_CODE(csti_checkpointer_open(&options, &none, NULL), CST_USAGE);

    job_checkpoint(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    options = job->options;
    options.base = &manifest;
    options.partitions_count = 1;
    CHECK_CODE(csti_checkpointer_open(&options, &none, NULL), CST_USAGE);
    options.partitions_count = 2;
    options.identity.key_schema = "i64";
    CHECK_CODE(csti_checkpointer_open(&options, &none, NULL), CST_SEGMENT_SCHEMA);
    csti_arena_release(&arena);
    job_close(job);
}

TEST_MAIN
