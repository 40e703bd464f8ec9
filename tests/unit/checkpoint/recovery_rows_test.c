// Rows that a checkpoint took along, behind its owner: recovered, damaged, folded around,
// collected.
#include "checkpoint/compaction.h"
#include "checkpoint/recovery.h"
#include "checkpoint/verify.h"
#include "unit/checkpoint/job_rows.h"

enum { ARENA_BYTES = 16 << 20 };

static void checkpoint_with_rows(test_job *job) {
    const uint64_t id = begin_with_rows(job);

    JOB_OK(rows_give(job, id));
    job_settle(job);
    CHECK_EQ(job_stats(job).last_committed_id, id);
}

// Another process, up to its tenure.
static void take_over(test_job *job) {
    csti_checkpointer_close(job->c);
    job->c = NULL;
    csti_meta_close(job->meta);
    cst_object_store_close(job->store);
    job->store = job_client(job, job->world);
    job->meta = job_meta(job);
    job->owner++;
    job_claim(job);
}

static cst_code recover(test_job *job, bool accept_repeats, csti_recovery_plan *out,
                        csti_recovery_report *report_out) {
    const csti_recovery_options options = {.store = job->store,
                                           .meta = job->meta,
                                           .clock = &job->clock.clock,
                                           .expect = &job->options.identity,
                                           .owner = job->owner,
                                           .tenure = job->tenure,
                                           .accept_repeats = accept_repeats};

    return csti_recovery_plan_open(&options, out, report_out, &job->err);
}

static bool rows_name(void *context, const char *name, const cst_object_info *info) {
    (void)info;
    if (strstr(name, "/rows-")) (void)snprintf(context, CSTI_CHECKPOINT_NAME_BYTES, "%s", name);
    return true;
}

// One byte of the newest object of rows is another one; its name.
static void rows_damage(test_job *job, char name[CSTI_CHECKPOINT_NAME_BYTES]) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = 1};
    static uint8_t bytes[OBJECT_BYTES_MAX];
    cst_object_body body = {.bytes = NULL};

    JOB_OK(cst_object_list(job->store, "", NULL, rows_name, name, &job->err));
    JOB_OK(cst_object_get(job->store, name, 0, UINT64_MAX, &body, &job->err));
    memcpy(bytes, body.bytes, body.count);
    bytes[body.count - 9] ^= 0x10;
    JOB_OK(cst_object_delete(job->store, name, &job->err));
    JOB_OK(cst_object_put(job->store, name, &(cst_bytes){bytes, body.count}, 1, &options, NULL,
                          &job->err));
    cst_object_body_release(job->store, &body);
}

TEST(recovery_opens_the_rows_of_the_checkpoint_that_it_takes) {
    test_job *job = stages_open(4);
    csti_recovery_plan plan;

    checkpoint_with_rows(job);
    take_over(job);
    JOB_OK(recover(job, false, &plan, NULL));
    CHECK(plan.chains[THEN].rows_body.bytes);
    CHECK_EQ(plan.chains[THEN].rows.rows_count, ROWS_COUNT);
    CHECK(!plan.chains[0].rows_body.bytes);
    csti_recovery_plan_close(&plan);
    stages_close(job);
}

TEST(damaged_rows_fail_their_checkpoint_and_an_older_one_is_for_who_accepts_repeats) {
    test_job *job = stages_open(4);
    char name[CSTI_CHECKPOINT_NAME_BYTES] = "";
    csti_recovery_report report;
    csti_recovery_plan plan;

    job_checkpoint(job);
    const uint64_t older = job_stats(job).last_committed_id;
    checkpoint_with_rows(job);
    rows_damage(job, name);
    take_over(job);
    CHECK_CODE(recover(job, false, &plan, &report), CST_CHECKPOINT_REPEATS);
    CHECK_CODE(report.notes[0].code, CST_SEGMENT_CHECKSUM);
    CHECK(strstr(report.notes[0].text, name));
    CHECK(strstr(report.notes[0].text, "offset 128"));
    JOB_OK(recover(job, true, &plan, &report));
    CHECK_EQ(report.chosen_id, older);
    CHECK(!csti_manifest_has_rows(&plan.manifest));
    csti_recovery_plan_close(&plan);
    stages_close(job);
}

TEST(verify_reads_rows_and_names_those_that_are_damaged) {
    test_job *job = stages_open(4);
    char name[CSTI_CHECKPOINT_NAME_BYTES] = "";
    const csti_verify_options options = {.store = job->store,
                                         .meta = job->meta,
                                         .clock = &job->clock.clock,
                                         .random = &job->random.random};
    csti_verify_report report;

    checkpoint_with_rows(job);
    JOB_OK(csti_verify(&options, &report, &job->err));
    CHECK_EQ(report.objects_count, 4); // manifest, two segments, rows
    rows_damage(job, name);
    CHECK_CODE(csti_verify(&options, &report, &job->err), CST_SEGMENT_CHECKSUM);
    CHECK_EQ(report.damaged_count, 1);
    CHECK(strstr(job->err.text, name));
    stages_close(job);
}

// Its manifest is there, the commit never was.
static void leave_candidate(test_job *job) {
    const uint64_t id = begin_with_rows(job);
    uint64_t done;

    JOB_OK(rows_give(job, id));
    job_upload_all(job);
    job->faults =
        (job_faults){.at = 1, .count = 100, .kind = JOB_FAILS, .call = "put", .part = "meta/"};
    CHECK(job_commit(job, &done) != CST_OK);
    job->faults.count = 0;
}

TEST(a_candidate_is_adopted_with_its_rows_and_not_if_they_are_damaged) {
    for (int damaged = 0; damaged < 2; damaged++) {
        test_job *job = stages_open(4);
        char name[CSTI_CHECKPOINT_NAME_BYTES] = "";
        csti_recovery_report report;
        csti_recovery_plan plan;

        job_checkpoint(job);
        const uint64_t older = job_stats(job).last_committed_id;
        leave_candidate(job);
        if (damaged) rows_damage(job, name);
        take_over(job);
        JOB_OK(recover(job, false, &plan, &report));
        CHECK_EQ(report.adopted, !damaged);
        CHECK_EQ(report.chosen_id == older, damaged);
        CHECK_EQ(plan.chains[THEN].rows_body.bytes != NULL, !damaged);
        if (damaged) CHECK(strstr(report.notes[0].text, name));
        csti_recovery_plan_close(&plan);
        stages_close(job);
    }
}

static csti_compaction_options compaction(test_job *job, uint32_t keep) {
    return (csti_compaction_options){.store = job->store,
                                     .meta = job->meta,
                                     .clock = &job->clock.clock,
                                     .random = &job->random.random,
                                     .owner = job->owner,
                                     .tenure = job->tenure,
                                     .keep = keep};
}

TEST(rows_stay_behind_a_full_that_takes_the_place_of_their_chain) {
    test_job *job = stages_open(4);
    csti_compaction_options options;
    csti_manifest_segment full;
    csti_recovery_plan plan;
    csti_manifest manifest;
    csti_arena arena, folds;

    csti_arena_init(&folds, ARENA_BYTES);
    for (int i = 0; i < 3; i++) job_checkpoint(job);
    checkpoint_with_rows(job);
    CHECK(job_read_newest(job, &arena, &manifest));
    options = compaction(job, 5);
    JOB_OK(csti_fold_partition(&options, &manifest, THEN, &folds, &full, &job->err));
    csti_arena_release(&arena);
    take_over(job);
    JOB_OK(recover(job, false, &plan, NULL));
    CHECK_EQ(plan.manifest.partitions[THEN].segments_count, 2); // the full, and the newest delta
    CHECK_EQ(plan.chains[THEN].rows.rows_count, ROWS_COUNT);
    csti_recovery_plan_close(&plan);
    csti_arena_release(&folds);
    stages_close(job);
}

TEST(rows_that_a_kept_checkpoint_names_live_and_others_go) {
    const cst_put_options put = {.condition = CST_PUT_IF_ABSENT, .nonce = 1};
    test_job *job = stages_open(4);
    char orphan[CSTI_CHECKPOINT_NAME_BYTES];
    csti_compaction_options options;
    csti_gc_report report;

    for (int i = 0; i < 3; i++) checkpoint_with_rows(job);
    // Of one that was never committed, and cannot be any more.
    csti_checkpoint_name_format(&(csti_checkpoint_name){.kind = CSTI_NAME_ROWS,
                                                        .id = 1,
                                                        .partition = THEN,
                                                        .tenure = job->tenure,
                                                        .nonce = 9,
                                                        .epoch = 1},
                                orphan);
    JOB_OK(cst_object_put(job->store, orphan, &(cst_bytes){(const uint8_t *)"rows", 4}, 1, &put,
                          NULL, &job->err));
    CHECK_EQ(rows_objects(job), 4);
    options = compaction(job, 2);
    JOB_OK(csti_gc(&options, CSTI_GC_RETIRE, NULL, NULL, &report, &job->err));
    CHECK_EQ(rows_objects(job), 3); // of two checkpoints, and the orphan
    JOB_OK(csti_gc(&options, CSTI_GC_ORPHANS, NULL, NULL, &report, &job->err));
    CHECK_EQ(rows_objects(job), 2);
    (void)check_newest_rows(job);
    stages_close(job);
}

TEST_MAIN
