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

    job_round(job);
    job_settle(job);
    job_round(job);
    job_settle(job);
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
    job_round(job);
    job_settle(job);
    JOB_OK(csti_checkpointer_newest(job->c, &arena, &manifest, &job->err));
    job_round(job);
    job_settle(job);
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

    job_round(job);
    job_settle(job);
    job_round(job);
    job_settle(job);
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
    const csti_manifest_split split = {"a", "{}", 0, false};
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

    job_round(job);
    job_settle(job);
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
    job_round(job);
    job_settle(job);
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
    job_round(job);
    job_settle(job);
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

    if (strcmp(call, "upload_finish") != 0 || !strstr(name, "/0-")) return;
    job->before = NULL;
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
    job_round(job);
    job_settle(job);
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
    job_round(job);
    job_settle(job);
    job_check_all_committed(job);
    job_close(job);
}

static void stand_still(test_job *job, const char *call, const char *name) {
    (void)name;
    if (strcmp(call, "upload_write") != 0) return;
    job->before = NULL;
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
    job_round(job);
    job_settle(job);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

static void stand_still_at_manifest(test_job *job, const char *call, const char *name) {
    if (strcmp(call, "put") != 0 || !strstr(name, "manifest")) return;
    job->before = NULL;
    csti_clock_sim_advance(&job->clock, UINT64_C(60000000001));
}

TEST(a_manifest_that_takes_too_long_is_not_committed) {
    test_job *job = job_open(1);

    job->before = stand_still_at_manifest;
    job_round(job);
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 0);
    CHECK_EQ(job_stats(job).aborted, 1);
    CHECK_EQ(job_count(job, CSTI_CHECKPOINTS_PREFIX), 0);
    job_round(job);
    job_settle(job);
    job_check_all_committed(job);
    job_check_no_litter(job);
    job_close(job);
}

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

    job_round(job);
    job_settle(job);
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
    if (strcmp(call, "put") != 0 || !strstr(name, "manifest")) return;
    job->before = NULL;
    usurper = takeover(job);
}

TEST(a_takeover_between_guard_and_command_is_seen_by_the_command) {
    test_job *job = job_open(1);

    job->before = takeover_at_manifest;
    job_round(job);
    job_settle(job);
    CHECK(job_stats(job).fenced);
    CHECK_EQ(job_stats(job).committed, 0);
    CHECK_EQ(job->outputs_count, 0);
    CHECK_EQ(job_count(job, CSTI_CHECKPOINTS_PREFIX), 2); // a candidate, for the new owner
    job_kill(usurper);
    job_close(job);
}

static void takeover_at_write(test_job *job, const char *call, const char *name) {
    uint64_t id = 0;

    (void)name;
    if (strcmp(call, "upload_write") != 0) return;
    job->before = NULL;
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

    if (strcmp(call, "put") != 0 || !strstr(name, "manifest")) return;
    job->before = NULL;
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
    job_round(job);
    job_settle(job);
    job_check_all_committed(job);
    job_close(job);
}

// ---- A restart ----------------------------------------------------------------------------------

TEST(a_restart_goes_on_with_epochs_and_with_ids_above_all_announced) {
    test_job *job = job_open(2);
    csti_manifest manifest;
    csti_arena arena;

    job_round(job);
    job_round(job);
    job_settle(job);
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

    job_round(job);
    job_settle(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    job_round(job);
    job_settle(job);
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

// ---- Fulls --------------------------------------------------------------------------------------

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
        job_round(job);
        job_settle(job);
    }
    const csti_manifest_segment full = fold(job, 1, true);
    JOB_OK(csti_checkpointer_use_full(job->c, 1, &full, &job->err));
    for (int i = 0; i < 2; i++) {
        job_round(job);
        job_settle(job);
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
    if (strcmp(call, "put") != 0 || !strstr(name, "manifest")) return;
    job->before = NULL;
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &late_full, &job->err));
}

TEST(a_full_that_comes_while_a_manifest_lists_the_old_chain_waits_for_the_next) {
    test_job *job = job_open(1);
    csti_manifest manifest;
    csti_arena arena;

    job_round(job);
    job_round(job);
    job_settle(job);
    late_full = fold(job, 0, true);
    job->before = use_full_at_manifest;
    job_round(job);
    job_settle(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.partitions[0].segments_count, 3);
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_round(job);
    job_settle(job);
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
    job_round(job);
    job_settle(job);
    csti_manifest_segment first = fold(job, 0, true);
    char *name = strdup(first.name);
    CHECK(name);
    first.name = name;
    job_round(job);
    job_settle(job);
    const csti_manifest_segment second = fold(job, 0, true);
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &second, &job->err));
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &first, &job->err));
    job_round(job);
    job_settle(job);
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &first, &job->err));
    job_round(job);
    job_settle(job);
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
    job_round(job);
    job_settle(job);
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
    job_round(job);
    job_settle(job);
    const csti_manifest_segment full = fold(job, 0, false); // nobody registered it
    JOB_OK(csti_checkpointer_use_full(job->c, 0, &full, &job->err));
    job_round(job);
    job_settle(job);
    CHECK_EQ(job_stats(job).aborted, 1);
    job_round(job);
    job_settle(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK_EQ(manifest.partitions[0].segments_count, 4);
    csti_arena_release(&arena);
    job_check_all_committed(job);
    job_close(job);
}

TEST_MAIN
