#define _GNU_SOURCE 1 // nftw

#include "unit/checkpoint/recovered.h"

// ---- What is chosen -----------------------------------------------------------------------------

TEST(a_store_without_checkpoints_gives_a_fresh_start) {
    world *w = world_owned();

    const csti_recovery_options options = options_of(w);
    CHECK_EQ(recovered(w, &options, 0)->notes_count, 0);
    world_close(w);
}

TEST(the_newest_committed_checkpoint_is_chosen) {
    world *w = world_owned();

    for (int i = 0; i < 4; i++) world_checkpoint(w, 50, COMMITTED);
    world_claim(w);
    csti_recovery_options options = options_of(w);
    options.verify_all = true;
    recovered(w, &options, 4);
    CHECK(!report.adopted);
    CHECK_EQ(report.objects_read, 1 + 2 * 4);
    CHECK_EQ(report.notes_count, 1);
    CHECK_EQ(report.notes[0].code, CST_OK);
    recovered(w, &options, 4); // again
    world_close(w);
}

TEST(a_hash_key_of_zeros_is_taken_from_the_manifest) {
    world *w = world_owned();
    csti_recovery_plan plan;

    world_checkpoint(w, 5, COMMITTED);
    expected.hash_key = (cst_hash_key){0, 0};
    const csti_recovery_options options = options_of(w);
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK_EQ(plan.manifest.hash_key.k0, TEST_HASH_KEY.k0);
    CHECK_EQ(plan.manifest.hash_key.k1, TEST_HASH_KEY.k1);
    csti_recovery_plan_close(&plan);
    world_close(w);
}

TEST(a_named_checkpoint_is_read_and_no_other) {
    world *w = world_owned();

    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    csti_recovery_options options = options_of(w);
    options.owner = options.tenure = 0;
    options.checkpoint_id = 2;
    recovered(w, &options, 2);
    options.checkpoint_id = 9;
    CHECK_CODE(refused(&options), CST_NOT_FOUND);
    world_remove(w, w->past[2][0].names[0]);
    options.checkpoint_id = 2;
    CHECK_CODE(refused(&options), CST_CHECKPOINT_UNUSABLE);
    CHECK(strstr(why.text, w->past[2][0].names[0]));
    world_retire(w, 1);
    options.checkpoint_id = 1;
    CHECK_CODE(refused(&options), CST_CHECKPOINT_RETIRED);
    world_close(w);
}

TEST(the_floor_of_ids_counts_every_name_and_every_abort) {
    world *w = world_owned();
    csti_recovery_plan plan;

    world_checkpoint(w, 5, COMMITTED);
    CHECK_EQ(world_checkpoint(w, 5, UPLOADED), 2);
    const csti_recovery_options options = options_of(w);
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK_EQ(plan.id_floor, 2);
    csti_recovery_plan_close(&plan);
    world_abort(w, 17);
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK_EQ(plan.id_floor, 17);
    csti_recovery_plan_close(&plan);
    world_close(w);
}

TEST(a_reader_whose_pin_is_over_is_told_so_and_not_that_things_are_missing) {
    world *w = world_owned();
    csti_pin pin;

    world_checkpoint(w, 50, COMMITTED);
    CHECK_OK(csti_pin_take(w->meta, &w->clock.clock, &w->random.random, 1, &pin, NULL));
    csti_recovery_options options = options_of(w);
    options.owner = options.tenure = 0;
    options.checkpoint_id = 1;
    options.pin = &pin;
    csti_clock_sim_advance(&w->clock, CSTI_PIN_TTL_US * 500); // half of its time
    recovered(w, &options, 1);
    csti_clock_sim_advance(&w->clock, CSTI_PIN_TTL_US * 800); // held longer by that
    recovered(w, &options, 1);
    csti_clock_sim_advance(&w->clock, CSTI_PIN_TTL_US * 1001);
    world_remove(w, w->past[1][0].names[0]);
    CHECK_CODE(refused(&options), CST_PIN_EXPIRED);
    CHECK_EQ(report.notes_count, 0);
    world_close(w);
}

// ---- Not damage ---------------------------------------------------------------------------------

TEST(another_job_schema_program_hash_key_or_width_ends_recovery) {
    static const cst_code codes[] = {CST_JOB_MISMATCH, CST_SEGMENT_SCHEMA, CST_SEGMENT_SCHEMA,
                                     CST_SEGMENT_HASH_KEY, CST_JOB_MISMATCH};
    world *w = world_owned();

    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        csti_recovery_options options = options_of(w);

        options.accept_repeats = true;
        if (i == 0) expected.job = "asks";
        if (i == 1) expected.key_schema = "i64";
        if (i == 2) expected.program.value_bytes = 24;
        if (i == 3) expected.hash_key.k0 ^= 1;
        if (i == 4) expected.parts[0].key_bytes = 16;
        CHECK_CODE(refused(&options), codes[i]);
        CHECK_EQ(report.notes_count, 0);
    }
    world_close(w);
}

TEST(a_committed_manifest_of_a_newer_version_is_not_gone_back_behind) {
    world *w = world_owned();
    const char *text = "{\"version\":5}";

    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, UPLOADED);
    (void)snprintf(w->manifests[2], sizeof w->manifests[2],
                   "checkpoints/%020d/manifest-%" PRIu64 "-01234567%08" PRIx32, 2, w->tenure,
                   csti_crc32c(0, text, strlen(text)));
    world_put(w, w->manifests[2], text, strlen(text));
    CHECK_OK(world_commit(w, 2, csti_crc32c(0, text, strlen(text))));
    csti_recovery_options options = options_of(w);
    options.accept_repeats = true;
    CHECK_CODE(refused(&options), CST_MANIFEST_VERSION);
    world_close(w);
}

TEST(a_store_that_does_not_answer_is_not_a_damaged_one) {
    for (int seed = 0; seed < 200; seed++) {
        const csti_object_sim_faults faults = {.error_before = 60000,
                                               .error_after = 60000,
                                               .lost = 20000,
                                               .stale_list = 100000,
                                               .stale_writes_max = 3};
        world *w = world_open_in_memory();
        csti_recovery_plan plan;

        world_claim(w);
        for (int i = 0; i < 3; i++) world_checkpoint(w, 10, COMMITTED);
        world_checkpoint(w, 10, CANDIDATE);
        world_claim(w);
        const csti_recovery_options options = options_of(w);
        csti_object_sim_client_faults(w->store, &faults);
        for (int i = 0; i < 3; i++) {
            const cst_code code = csti_recovery_plan_open(&options, &plan, NULL, NULL);

            CHECK(code == CST_OK || code == CST_OBJECT_UNAVAILABLE || code == CST_DEADLINE ||
                  code == CST_OBJECT_AMBIGUOUS);
            if (code == CST_OK) // the listing may be older than the candidate
                CHECK(plan.report.chosen_id == 3 || plan.report.chosen_id == 4);
            csti_recovery_plan_close(&plan);
        }
        csti_object_sim_client_faults(w->store, &WORLD_NO_FAULTS);
        recovered(w, &options, 4);
        world_close(w);
    }
}

typedef struct progress_seen {
    uint64_t done, all, calls;
    uint64_t stop_at; // a call; 0: none
} progress_seen;

static cst_code progress_see(void *context, uint64_t bytes_done, uint64_t bytes_all, cst_err *err) {
    progress_seen *seen = context;

    CHECK(bytes_done >= seen->done);
    CHECK(bytes_done <= bytes_all);
    *seen = (progress_seen){bytes_done, bytes_all, seen->calls + 1, seen->stop_at};
    return seen->calls == seen->stop_at ? cst_fail(err, CST_ABORTED, "enough") : CST_OK;
}

TEST(progress_rises_and_ends_with_all_bytes) {
    for (int verify_all = 0; verify_all < 2; verify_all++) {
        world *w = world_owned();
        progress_seen seen = {0};

        for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
        csti_recovery_options options = options_of(w);
        options.verify_all = verify_all == 1;
        options.step = progress_see;
        options.step_context = &seen;
        recovered(w, &options, 3);
        CHECK(seen.calls >= 2 * 3);
        CHECK(seen.all > 0);
        CHECK_EQ(seen.done, seen.all);
        world_close(w);
    }
}

static void fold_all(world *w, uint64_t id) {
    csti_manifest_segment full;
    csti_arena arena;

    csti_arena_init(&arena, 1 << 20);
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++)
        CHECK_OK(world_fold(w, id, p, &arena, &full, NULL));
    csti_arena_release(&arena);
}

// While it opens and verifies a candidate, and the fulls that folds registered: the next one finds
// what it would have found.
TEST(a_recovery_ends_wherever_its_step_fails) {
    for (int verify_all = 0; verify_all < 2; verify_all++) {
        progress_seen seen = {0};
        cst_code code = CST_ABORTED;

        for (uint64_t call = 1; code != CST_OK; call++) {
            world *w = world_owned();
            csti_recovery_options options;
            csti_recovery_plan plan;

            for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
            fold_all(w, 3);
            (void)world_checkpoint(w, 50, CANDIDATE);
            world_claim(w);
            options = options_of(w);
            options.verify_all = verify_all == 1;
            options.step = progress_see;
            options.step_context = &seen;
            seen = (progress_seen){.stop_at = call};
            code = csti_recovery_plan_open(&options, &plan, &report, &why);
            if (code != CST_OK) CHECK_EQ(code, CST_ABORTED);
            CHECK_EQ(code != CST_OK, seen.calls == call);
            if (code == CST_OK) csti_recovery_plan_close(&plan);
            options.step = NULL;
            recovered(w, &options, 4);
            world_close(w);
        }
    }
}

TEST_MAIN
