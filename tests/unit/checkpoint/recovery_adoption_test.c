#define _GNU_SOURCE 1 // nftw

// Candidates: what an owner left between manifest and commit.
#include "unit/checkpoint/recovered.h"

TEST(a_whole_candidate_on_the_newest_is_adopted) {
    world *w = world_owned();
    csti_arena arena;

    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    CHECK_EQ(world_checkpoint(w, 50, CANDIDATE), 3);
    world_claim(w);
    const csti_recovery_options options = options_of(w);
    CHECK(recovered(w, &options, 3)->adopted);
    const csti_meta_view view = world_view(w, &arena);
    CHECK_EQ(csti_meta_view_newest(&view)->id, 3);
    CHECK_EQ(csti_meta_view_newest(&view)->tenure, w->tenure);
    csti_arena_release(&arena);
    CHECK(!recovered(w, &options, 3)->adopted); // it is committed now
    world_take(w, 3);
    world_checkpoint(w, 50, COMMITTED); // and the next one stands on it
    recovered(w, &options, 4);
    world_close(w);
}

TEST(a_first_checkpoint_that_was_never_committed_is_adopted) {
    world *w = world_owned();

    world_checkpoint(w, 50, CANDIDATE);
    world_claim(w);
    const csti_recovery_options options = options_of(w);
    CHECK(recovered(w, &options, 1)->adopted);
    world_close(w);
}

TEST(a_reader_adopts_nothing) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, CANDIDATE);
    csti_recovery_options options = options_of(w);
    options.owner = options.tenure = 0;
    CHECK(!recovered(w, &options, 1)->adopted);
    world_close(w);
}

TEST(a_candidate_that_lacks_anything_is_passed_over_and_named) {
    enum { MISSING, CUT, FOOTER, CASES };

    for (int i = 0; i < CASES; i++) {
        static const cst_code codes[CASES] = {CST_NOT_FOUND, CST_SEGMENT_TRUNCATED,
                                              CST_SEGMENT_CHECKSUM};
        world *w = world_owned();
        const char *name;

        world_checkpoint(w, 50, COMMITTED);
        world_checkpoint(w, 50, CANDIDATE);
        name = w->past[2][1].names[1];
        if (i == MISSING) world_remove(w, name);
        if (i == CUT) world_truncate(w, name, 200);
        if (i == FOOTER) world_flip(w, name, -100);
        world_claim(w);
        const csti_recovery_options options = options_of(w);
        recovered(w, &options, 1);
        CHECK(!report.adopted);
        CHECK_EQ(report.notes[0].id, 2);
        CHECK_EQ(report.notes[0].code, codes[i]);
        CHECK(strstr(report.notes[0].text, name));
        world_close(w);
    }
}

TEST(a_candidate_with_any_flipped_bit_in_its_manifest_is_not_adopted) {
    for (int i = 0; i < 100; i++) {
        world *w = world_owned();
        cst_object_info info;

        world_checkpoint(w, 5, COMMITTED);
        world_checkpoint(w, 5, CANDIDATE);
        CHECK_OK(cst_object_head(w->store, w->manifests[2], &info, NULL));
        world_flip(w, w->manifests[2], (long)test_random_below(info.bytes));
        world_claim(w);
        const csti_recovery_options options = options_of(w);
        recovered(w, &options, 1);
        CHECK(!report.adopted);
        CHECK_EQ(report.notes[0].code, CST_MANIFEST);
        world_close(w);
    }
}

TEST(a_candidate_on_an_older_checkpoint_is_none) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    w->id = 2;
    world_checkpoint(w, 50, CANDIDATE); // 3 on 1
    w->id = 1;
    world_checkpoint(w, 50, COMMITTED); // 2
    world_claim(w);
    const csti_recovery_options options = options_of(w);
    CHECK(!recovered(w, &options, 2)->adopted);
    world_close(w);
}

TEST(a_manifest_on_a_checkpoint_that_is_not_known_leaves_nothing_behind) {
    world *w = world_owned();

    w->id = 9;
    w->base_id = 9;
    world_checkpoint(w, 50, CANDIDATE); // 10 on 9
    world_claim(w);
    const csti_recovery_options options = options_of(w);
    CHECK(!recovered(w, &options, 0)->adopted);
    world_close(w);
}

TEST(a_candidate_that_was_aborted_is_not_adopted) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, CANDIDATE);
    world_abort(w, 2);
    world_claim(w);
    const csti_recovery_options options = options_of(w);
    recovered(w, &options, 1);
    CHECK_EQ(report.notes[0].code, CST_CHECKPOINT_ABORTED);
    world_close(w);
}

TEST(a_candidate_of_another_incarnation_is_none) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    w->incarnation = 7;
    world_checkpoint(w, 50, CANDIDATE);
    world_claim(w);
    const csti_recovery_options options = options_of(w);
    CHECK(!recovered(w, &options, 1)->adopted);
    world_close(w);
}

TEST(of_two_candidates_the_later_owners_is_adopted) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    w->id = 5;
    world_checkpoint(w, 50, CANDIDATE); // 6, by the first owner
    world_claim(w);
    w->id = 2;
    world_checkpoint(w, 50, CANDIDATE); // 3, by the second
    world_claim(w);
    const csti_recovery_options options = options_of(w);
    CHECK(recovered(w, &options, 3)->adopted);
    world_close(w);
}

TEST(an_owner_that_was_pushed_aside_calls_nothing_damaged) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    const csti_recovery_options options = options_of(w); // the first owner's
    CHECK_OK(cst_object_delete(w->store, w->manifests[1], NULL));
    CHECK_CODE(refused(&options), CST_CHECKPOINT_UNUSABLE);
    world_claim(w);
    CHECK_CODE(refused(&options), CST_FENCED);
    world_close(w);
}

TEST(an_owner_that_was_pushed_aside_adopts_nothing) {
    world *w = world_owned();

    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, CANDIDATE);
    world_claim(w);
    const csti_recovery_options options = options_of(w); // the second owner's
    world_claim(w);
    CHECK_CODE(refused(&options), CST_FENCED);
    world_close(w);
}

TEST_MAIN
