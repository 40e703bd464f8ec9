// job_rows.h: a job with a partition of each of two stages, whose checkpoints take along rows that
// are on their way to the second one.
//
//   stages_open ─► begin_with_rows ─► rows_give ─► job_settle ─► check_newest_rows
#ifndef CST_TEST_JOB_ROWS_H
#define CST_TEST_JOB_ROWS_H

#include "checkpoint/chain.h"
#include "unit/checkpoint/job.h"
#include "unit/stream/stored_rows.h"

enum { THEN = 1 }; // the second stage's partition

static csti_job_identity then;
static csti_channel *blocks;

static inline test_job *stages_open(uint32_t epochs_max) {
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

static inline void stages_close(test_job *job) {
    csti_channel_close(blocks);
    job_close(job);
}

// Everything has come but the rows that are under way to the second stage.
static inline uint64_t begin_with_rows(test_job *job) {
    const uint64_t id = job_begin(job);
    csti_cut cut;

    job_sources(job, id);
    JOB_OK(job_come(job, id, 0));
    cut = job_seal(job, THEN);
    cut.rows_follow = true;
    JOB_OK(csti_checkpointer_partition(job->c, id, THEN, &cut, &job->err));
    return id;
}

static inline cst_code rows_give(test_job *job, uint64_t id) {
    csti_stored_rows rows = rows_kept(blocks);
    const cst_code code = csti_checkpointer_rows(job->c, id, THEN, &rows, &job->err);

    CHECK_EQ(rows.rows_count, 0); // taken over, whatever it says
    return code;
}

static inline bool rows_count_name(void *context, const char *name, const cst_object_info *info) {
    (void)info;
    *(int *)context += strstr(name, "/rows-") != NULL;
    return true;
}

static inline int rows_objects(test_job *job) {
    int count = 0;

    JOB_OK(cst_object_list(job->store, "", NULL, rows_count_name, &count, &job->err));
    return count;
}

// The newest checkpoint's rows are the three that were given; its id.
static inline uint64_t check_newest_rows(test_job *job) {
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

#endif
