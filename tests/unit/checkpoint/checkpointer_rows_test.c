// Rows on their way to a second stage that a checkpoint takes along: one partition of each stage.
#include "checkpoint/chain.h"
#include "unit/checkpoint/job.h"
#include "unit/stream/stored_rows.h"

enum { THEN = 1 }; // the second stage's partition

static csti_job_identity then;
static csti_channel *blocks;

static test_job *stages_open(uint32_t epochs_max) {
    csti_object_sim_world *world = NULL;
    test_job *job;

    CHECK_OK(csti_object_sim_world_open(test_random(), &world, NULL));
    job = job_make(world, 2, false);
    then = job->options.identity;
    job->options.identity.then = &then;
    job->options.epochs_max = epochs_max;
    job_claim(job);
    job_start(job, NULL, 0);
    blocks = blocks_open(&SHAPE);
    return job;
}

static void stages_close(test_job *job) {
    csti_channel_close(blocks);
    job_close(job);
}

// Everything has come but the rows that are under way to the second stage.
static uint64_t begin_with_rows(test_job *job) {
    const uint64_t id = job_begin(job);
    csti_cut cut;

    job_sources(job, id);
    JOB_OK(job_come(job, id, 0));
    cut = job_seal(job, THEN);
    cut.rows_follow = true;
    JOB_OK(csti_checkpointer_partition(job->c, id, THEN, &cut, &job->err));
    return id;
}

static cst_code rows_give(test_job *job, uint64_t id) {
    csti_stored_rows rows = rows_kept(blocks);
    const cst_code code = csti_checkpointer_rows(job->c, id, THEN, &rows, &job->err);

    CHECK_EQ(rows.rows_count, 0); // taken over, whatever it says
    return code;
}

static cst_code nothing_give(test_job *job, uint64_t id) {
    csti_stored_rows rows;

    csti_stored_begin(&rows, &SHAPE, 0, BYTES_MAX);
    return csti_checkpointer_rows(job->c, id, THEN, &rows, &job->err);
}

static bool rows_count_name(void *context, const char *name, const cst_object_info *info) {
    (void)info;
    *(int *)context += strstr(name, "/rows-") != NULL;
    return true;
}

static int rows_objects(test_job *job) {
    int count = 0;

    JOB_OK(cst_object_list(job->store, "", NULL, rows_count_name, &count, &job->err));
    return count;
}

// The newest checkpoint's rows are the three that were given; its id.
static uint64_t check_newest_rows(test_job *job) {
    csti_chain chain = {.segments_count = 0};
    csti_manifest manifest;
    csti_arena arena;
    csti_block *block = csti_channel_block(blocks);

    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK(manifest.partitions[THEN].rows);
    CHECK(!manifest.partitions[0].rows);
    CHECK_EQ(manifest.partitions[THEN].rows->rows_count, ROWS_COUNT);
    CHECK_EQ(manifest.partitions[THEN].rows->epoch, manifest.partitions[THEN].epoch_to);
    JOB_OK(csti_chain_open_rows(job->store, &manifest, THEN, &chain, &job->err));
    CHECK(csti_stored_fill(&chain.rows, block));
    CHECK_EQ(block->rows_count, ROWS_COUNT);
    for (uint32_t r = 0; r < ROWS_COUNT; r++) check_row(block, r, &ROWS[r]);
    csti_channel_recycle(blocks, block);
    csti_chain_close(job->store, &chain);
    csti_arena_release(&arena);
    return manifest.id;
}

TEST(a_checkpoint_waits_for_the_last_late_barrier_and_names_the_rows_in_front_of_it) {
    test_job *job = stages_open(4);
    const uint64_t id = begin_with_rows(job);
    csti_manifest manifest;
    csti_arena arena;

    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 0);
    const uint64_t staged = job_stats(job).staged_bytes;
    JOB_OK(rows_give(job, id));
    CHECK(job_stats(job).staged_bytes > staged); // they are counted
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK_EQ(job_stats(job).staged_bytes, 0);
    CHECK_EQ(check_newest_rows(job), id);
    job_checkpoint(job); // the next one has none
    CHECK(job_read_newest(job, &arena, &manifest));
    CHECK(!csti_manifest_has_rows(&manifest));
    csti_arena_release(&arena);
    job_check_all_committed(job);
    stages_close(job);
}

TEST(where_no_row_was_under_way_there_is_no_object) {
    test_job *job = stages_open(4);
    const uint64_t id = begin_with_rows(job);

    JOB_OK(nothing_give(job, id));
    CHECK_CODE(nothing_give(job, id), CST_USAGE); // once
    job_settle(job);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK_EQ(rows_objects(job), 0);
    job_check_all_committed(job);
    stages_close(job);
}

TEST(rows_of_a_checkpoint_that_was_given_up_are_nobodys) {
    test_job *job = stages_open(4);
    uint64_t id = begin_with_rows(job);

    JOB_OK(csti_checkpointer_abort(job->c, id, &job->err));
    CHECK_CODE(rows_give(job, id), CST_CHECKPOINT_ABORTED);
    job_settle(job);
    CHECK_CODE(rows_give(job, id), CST_CHECKPOINT_ABORTED);
    CHECK_EQ(job_stats(job).aborted, 1);
    CHECK_EQ(rows_objects(job), 0);
    id = begin_with_rows(job); // its changes go with the next, which has rows of its own
    JOB_OK(rows_give(job, id));
    job_settle(job);
    CHECK_EQ(check_newest_rows(job), id);
    job_check_all_committed(job);
    stages_close(job);
}

TEST(rows_that_do_not_come_in_time_end_their_checkpoint) {
    test_job *job = stages_open(4);

    (void)begin_with_rows(job);
    csti_clock_sim_advance(&job->clock, UINT64_C(61) * 1000 * 1000 * 1000);
    job_settle(job);
    CHECK_EQ(job_stats(job).aborted, 1);
    stages_close(job);
}

TEST(rows_that_could_not_be_uploaded_end_their_checkpoint_and_leave_no_object) {
    test_job *job = stages_open(4);
    uint64_t id = begin_with_rows(job);

    job->faults = (job_faults){
        .at = 1, .count = 1, .kind = JOB_FAILS_AFTER, .call = "upload_finish", .part = "/rows-"};
    JOB_OK(rows_give(job, id));
    job_settle(job);
    CHECK_EQ(job_stats(job).aborted, job_stats(job).committed == 0);
    job->faults.count = 0;
    id = begin_with_rows(job);
    JOB_OK(rows_give(job, id));
    job_settle(job);
    CHECK_EQ(check_newest_rows(job), id);
    CHECK_EQ((uint64_t)rows_objects(job), job_stats(job).committed);
    job_check_all_committed(job);
    stages_close(job);
}

// With nothing else under way, at the cap: the same barrier is announced again.
TEST(the_heir_of_an_aborted_checkpoint_has_its_rows_under_its_own_name) {
    test_job *job = stages_open(1);
    const uint64_t id = begin_with_rows(job);

    JOB_OK(rows_give(job, id));
    job->faults =
        (job_faults){.at = 1, .count = 1, .kind = JOB_FAILS, .call = "put", .part = "/manifest-"};
    job_settle(job);
    CHECK_EQ(job_stats(job).aborted, 1);
    CHECK_EQ(job_stats(job).committed, 1);
    CHECK(check_newest_rows(job) > id);
    CHECK_EQ(rows_objects(job), 1); // the aborted one's is deleted
    job_check_all_committed(job);
    stages_close(job);
}

TEST_MAIN
