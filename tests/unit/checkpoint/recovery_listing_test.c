#define _GNU_SOURCE 1 // nftw
#include "checkpoint/recovery.h"
#include "unit/checkpoint/world.h"

// Every object of the metadata is gone.
static void meta_lose(world *w) {
    char path[1024];

    csti_meta_close(w->meta);
    w->meta = NULL;
    world_path(w, "meta", path);
    if (access(path, F_OK) != 0) return; // nothing was ever proposed
    CHECK_EQ(nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static cst_code listing(world *w, bool accept_repeats, csti_recovery_report *report, cst_err *err) {
    const csti_listing_options options = {.meta = world_meta_options(w),
                                          .owner = 4711,
                                          .accept_repeats = accept_repeats};

    return csti_recover_from_listing(&options, report, err);
}

static csti_recovery_report rebuilt(world *w, bool accept_repeats) {
    csti_recovery_report report;
    cst_err err;

    if (listing(w, accept_repeats, &report, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return report;
}

// The next owner runs on the new metadata: it recovers checkpoint `id`, and commits the next one.
static void goes_on(world *w, uint64_t id) {
    const csti_job_identity identity = world_identity(w);
    csti_recovery_options options = {.store = w->store,
                                     .clock = &w->clock.clock,
                                     .expect = &identity};
    csti_recovery_plan plan;
    csti_arena arena;
    cst_err err;

    world_meta_open(w);
    const csti_meta_view view = world_view(w, &arena);
    w->incarnation = view.incarnation;
    csti_arena_release(&arena);
    world_claim(w);
    options.meta = w->meta;
    options.owner = w->owner;
    options.tenure = w->tenure;
    if (csti_recovery_plan_open(&options, &plan, NULL, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_EQ(plan.report.chosen_id, id);
    CHECK(!plan.report.adopted);
    CHECK(world_chains_hold(w, plan.chains, id));
    CHECK(plan.id_floor >= w->id);
    world_go_on(w, &plan.manifest, id);
    csti_recovery_plan_close(&plan);
    world_checkpoint(w, 20, COMMITTED);
}

TEST(lost_metadata_comes_back_as_a_new_incarnation_with_the_newest_checkpoint) {
    world *w = world_owned();
    csti_recovery_report report;
    uint64_t tenure;
    cst_err err;

    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    tenure = w->tenure;
    meta_lose(w);
    const csti_meta_log_options options = world_meta_options(w);
    CHECK_CODE(csti_meta_open_log(&options, &w->meta, &err), CST_META_MISSING);
    w->meta = NULL;
    report = rebuilt(w, false);
    CHECK_EQ(report.chosen_id, 3);
    CHECK(report.adopted);
    goes_on(w, 3);
    CHECK(w->tenure > tenure + 1); // claimed for the listing, and by the next owner
    CHECK_EQ(w->incarnation, 2);
    world_close(w);
}

TEST(metadata_that_is_there_is_not_replaced) {
    world *w = world_owned();
    csti_recovery_report report;
    cst_err err;

    world_checkpoint(w, 50, COMMITTED);
    CHECK_CODE(listing(w, true, &report, &err), CST_EXISTS);
    meta_lose(w);
    rebuilt(w, false);
    CHECK_CODE(listing(w, true, &report, &err), CST_EXISTS);
    world_close(w);
}

TEST(damaged_metadata_is_replaced) {
    world *w = world_open();
    csti_recovery_report report;
    name_list *names = calloc(1, sizeof *names);
    cst_err err;

    CHECK(names);
    world_claim(w);
    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    csti_meta_close(w->meta);
    CHECK_OK(cst_object_list(w->store, "meta/", NULL, name_list_add, names, NULL));
    world_flip(w, names->names[0], 40);
    const csti_meta_log_options options = world_meta_options(w);
    CHECK_CODE(csti_meta_open_log(&options, &w->meta, &err), CST_META_CORRUPT);
    w->meta = NULL;
    CHECK_OK(listing(w, false, &report, &err));
    goes_on(w, 2);
    free(names);
    world_close(w);
}

TEST(a_store_without_manifests_has_nothing_to_recover) {
    world *w = world_open();
    csti_recovery_report report;
    cst_err err;

    meta_lose(w);
    CHECK_CODE(listing(w, false, &report, &err), CST_NOT_FOUND);
    world_close(w);
}

TEST(names_with_numbers_that_no_manifest_can_hold_are_nobodys) {
    static const char *const strays[] = {
        "checkpoints/00000000000000000001/manifest-18446744073709551615-0123456789abcdef",
        "checkpoints/00000000000000000001/manifest-9223372036854775807-0123456789abcdef",
        "checkpoints/18446744073709551615/manifest-1-0123456789abcdef",
    };
    world *w = world_owned();

    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    for (size_t i = 0; i < sizeof strays / sizeof *strays; i++) world_put(w, strays[i], "x", 1);
    meta_lose(w);
    CHECK_EQ(rebuilt(w, false).chosen_id, 2);
    goes_on(w, 2);
    world_close(w);
}

TEST(a_candidate_that_is_whole_counts_like_any_other) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, CANDIDATE);
    meta_lose(w);
    CHECK_EQ(rebuilt(w, false).chosen_id, 2);
    goes_on(w, 2);
    world_close(w);
}

TEST(the_higher_tenure_stands_above_the_higher_id) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    w->id = 7;
    world_checkpoint(w, 50, CANDIDATE); // 8, of an owner that was pushed aside
    w->id = 1;
    world_claim(w);
    world_checkpoint(w, 50, COMMITTED); // 2
    meta_lose(w);
    CHECK_EQ(rebuilt(w, false).chosen_id, 2);
    w->id = 8;
    goes_on(w, 2);
    world_close(w);
}

TEST(a_higher_incarnation_stands_above_all) {
    world *w = world_owned();

    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    meta_lose(w);
    rebuilt(w, false);
    goes_on(w, 3);
    CHECK_EQ(w->incarnation, 2);
    meta_lose(w);
    CHECK_EQ(rebuilt(w, false).chosen_id, 4);
    goes_on(w, 4);
    CHECK_EQ(w->incarnation, 3);
    world_close(w);
}

TEST(a_higher_incarnation_stands_above_a_higher_tenure) {
    world *w = world_owned();

    w->incarnation = 5;
    world_checkpoint(w, 50, COMMITTED);
    w->incarnation = 1;
    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    meta_lose(w);
    CHECK_EQ(rebuilt(w, false).chosen_id, 1);
    goes_on(w, 1);
    CHECK_EQ(w->incarnation, 6);
    world_close(w);
}

TEST(every_byte_is_read_and_a_damaged_one_needs_a_word_before_an_older_is_taken) {
    world *w = world_owned();
    csti_recovery_report report;
    cst_err err;

    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_flip(w, w->past[3][0].names[2], 128 + 30); // in a body
    meta_lose(w);
    CHECK_CODE(listing(w, false, &report, &err), CST_CHECKPOINT_REPEATS);
    CHECK(strstr(err.text, w->past[3][0].names[2]));
    CHECK_EQ(report.notes[0].code, CST_SEGMENT_CHECKSUM);
    CHECK_EQ(rebuilt(w, true).chosen_id, 2);
    goes_on(w, 2);
    world_close(w);
}

TEST(a_manifest_that_cannot_be_read_may_have_been_the_newest) {
    world *w = world_open();
    csti_recovery_report report;
    cst_err err;

    world_claim(w);
    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    world_truncate(w, w->manifests[2], 100);
    meta_lose(w);
    CHECK_CODE(listing(w, false, &report, &err), CST_CHECKPOINT_REPEATS);
    CHECK_EQ(rebuilt(w, true).chosen_id, 1);
    world_close(w);
    w = world_open();
    world_claim(w);
    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    world_truncate(w, w->manifests[1], 100); // an older one is not
    meta_lose(w);
    CHECK_EQ(rebuilt(w, false).chosen_id, 2);
    world_close(w);
}

TEST(if_nothing_verifies_it_says_so) {
    world *w = world_owned();
    csti_recovery_report report;
    cst_err err;

    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->past[1][1].names[0]);
    meta_lose(w);
    CHECK_CODE(listing(w, true, &report, &err), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes_count, 2);
    CHECK(strstr(err.text, w->past[1][1].names[0]));
    world_close(w);
}

TEST(fulls_that_the_checkpoint_stands_on_are_registered_again) {
    world *w = world_open();
    csti_manifest_segment full;
    csti_arena arena, view_arena;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
        CHECK_OK(world_fold(w, 3, p, &arena, &full, NULL));
        world_use_full(w, p, &full);
    }
    world_checkpoint(w, 50, COMMITTED);
    meta_lose(w);
    CHECK_EQ(rebuilt(w, false).chosen_id, 4);
    goes_on(w, 4);
    const csti_meta_view view = world_view(w, &view_arena);
    CHECK_EQ(view.fulls_count, 2);
    // Tokens of the lost metadata are below the new ones.
    for (uint32_t i = 0; i < view.leases_count; i++) CHECK(view.leases[i].token > 2);
    csti_arena_release(&view_arena);
    CHECK_OK(world_fold(w, w->base_id, 0, &arena, &full, NULL));
    csti_arena_release(&arena);
    world_close(w);
}

TEST(what_the_lost_metadata_left_behind_can_be_cleaned_up) {
    world *w = world_owned();
    csti_compaction_options options;
    size_t count = 0;

    for (int i = 0; i < 4; i++) world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, UPLOADED);
    meta_lose(w);
    rebuilt(w, false);
    goes_on(w, 4);
    options = world_compaction(w);
    CHECK_OK(csti_gc(&options, CSTI_GC_ORPHANS, NULL, NULL, NULL, NULL));
    // Two committed ones; the manifests 1 to 3 and what was uploaded of 5 are gone.
    CHECK_OK(cst_object_list(w->store, "checkpoints/", NULL, name_count, &count, NULL));
    CHECK_EQ(count, 2 + 2 * 5);
    world_close(w);
}

TEST_MAIN
