#define _GNU_SOURCE 1 // nftw

#include "checkpoint/recovery.h"
#include "unit/checkpoint/world.h"

static csti_recovery_options options_of(world *w, const csti_job_identity *identity) {
    return (csti_recovery_options){
        .store = w->store,
        .meta = w->meta,
        .clock = &w->clock.clock,
        .expect = identity,
        .owner = w->owner,
        .tenure = w->tenure,
    };
}

// Opens, compares with what checkpoint `id` held (0: nothing), closes.
static csti_recovery_report recovered(world *w, const csti_recovery_options *options, uint64_t id) {
    csti_recovery_plan plan;
    csti_recovery_report report;
    cst_err err;

    if (csti_recovery_plan_open(options, &plan, &report, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_EQ(report.chosen_id, id);
    if (id > 0) {
        CHECK(plan.manifest.id >= id);
        CHECK(world_chains_hold(w, plan.chains, id));
    } else {
        CHECK_EQ(plan.manifest.id, 0);
    }
    csti_recovery_plan_close(&plan);
    return report;
}

static cst_code refused(const csti_recovery_options *options, csti_recovery_report *report,
                        cst_err *err) {
    csti_recovery_plan plan;
    const cst_code code = csti_recovery_plan_open(options, &plan, report, err);

    CHECK(code != CST_OK);
    CHECK_EQ(code, err->code);
    csti_recovery_plan_close(&plan);
    return code;
}

// ---- What is chosen -----------------------------------------------------------------------------

TEST(a_store_without_checkpoints_gives_a_fresh_start) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;

    world_claim(w);
    options = options_of(w, &identity);
    CHECK_EQ(recovered(w, &options, 0).notes_count, 0);
    world_close(w);
}

TEST(the_newest_committed_checkpoint_is_chosen) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;

    world_claim(w);
    for (int i = 0; i < 4; i++) world_checkpoint(w, 50, COMMITTED);
    world_claim(w);
    options = options_of(w, &identity);
    options.verify_all = true;
    report = recovered(w, &options, 4);
    CHECK(!report.adopted);
    CHECK_EQ(report.objects_read, 1 + 2 * 4);
    CHECK_EQ(report.notes_count, 1);
    CHECK_EQ(report.notes[0].code, CST_OK);
    recovered(w, &options, 4); // again
    world_close(w);
}

TEST(a_hash_key_of_zeros_is_taken_from_the_manifest) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_plan plan;

    world_claim(w);
    world_checkpoint(w, 5, COMMITTED);
    identity.hash_key = (cst_hash_key){0, 0};
    options = options_of(w, &identity);
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK_EQ(plan.manifest.hash_key.k0, TEST_HASH_KEY.k0);
    CHECK_EQ(plan.manifest.hash_key.k1, TEST_HASH_KEY.k1);
    csti_recovery_plan_close(&plan);
    world_close(w);
}

TEST(a_named_checkpoint_is_read_and_no_other) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    cst_err err;

    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    options = options_of(w, &identity);
    options.owner = options.tenure = 0;
    options.checkpoint_id = 2;
    recovered(w, &options, 2);
    options.checkpoint_id = 9;
    CHECK_CODE(refused(&options, &report, &err), CST_NOT_FOUND);
    world_remove(w, w->past[2][0].names[0]);
    options.checkpoint_id = 2;
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_UNUSABLE);
    CHECK(strstr(err.text, w->past[2][0].names[0]));
    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_RETIRE,
                                                .owner = w->owner,
                                                .tenure = w->tenure,
                                                .ids = (uint64_t[]){1},
                                                .ids_count = 1},
                           NULL));
    options.checkpoint_id = 1;
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_RETIRED);
    world_close(w);
}

TEST(the_floor_of_ids_counts_every_name_and_every_abort) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_plan plan;
    uint64_t aborted;

    world_claim(w);
    world_checkpoint(w, 5, COMMITTED);
    CHECK_EQ(world_checkpoint(w, 5, UPLOADED), 2);
    options = options_of(w, &identity);
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK_EQ(plan.id_floor, 2);
    csti_recovery_plan_close(&plan);
    aborted = 17;
    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_ABORT,
                                                .owner = w->owner,
                                                .tenure = w->tenure,
                                                .id = aborted},
                           NULL));
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK_EQ(plan.id_floor, 17);
    csti_recovery_plan_close(&plan);
    world_close(w);
}

TEST(a_reader_whose_pin_is_over_is_told_so_and_not_that_things_are_missing) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    csti_pin pin;
    cst_err err;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    CHECK_OK(csti_pin_take(w->meta, &w->clock.clock, &w->random.random, 1, &pin, NULL));
    options = options_of(w, &identity);
    options.owner = options.tenure = 0;
    options.checkpoint_id = 1;
    options.pin = &pin;
    csti_clock_sim_advance(&w->clock, CSTI_PIN_TTL_US * 500); // half of its time
    recovered(w, &options, 1);
    csti_clock_sim_advance(&w->clock, CSTI_PIN_TTL_US * 800); // held longer by that
    recovered(w, &options, 1);
    csti_clock_sim_advance(&w->clock, CSTI_PIN_TTL_US * 1001);
    world_remove(w, w->past[1][0].names[0]);
    CHECK_CODE(refused(&options, &report, &err), CST_PIN_EXPIRED);
    CHECK_EQ(report.notes_count, 0);
    world_close(w);
}

// ---- Adoption -----------------------------------------------------------------------------------

TEST(a_whole_candidate_on_the_newest_is_adopted) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_arena arena;

    world_claim(w);
    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    CHECK_EQ(world_checkpoint(w, 50, CANDIDATE), 3);
    world_claim(w);
    options = options_of(w, &identity);
    CHECK(recovered(w, &options, 3).adopted);
    const csti_meta_view view = world_view(w, &arena);
    CHECK_EQ(csti_meta_view_newest(&view)->id, 3);
    CHECK_EQ(csti_meta_view_newest(&view)->tenure, w->tenure);
    csti_arena_release(&arena);
    CHECK(!recovered(w, &options, 3).adopted); // it is committed now
    world_take(w, 3);
    world_checkpoint(w, 50, COMMITTED); // and the next one stands on it
    recovered(w, &options, 4);
    world_close(w);
}

TEST(a_first_checkpoint_that_was_never_committed_is_adopted) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;

    world_claim(w);
    world_checkpoint(w, 50, CANDIDATE);
    world_claim(w);
    options = options_of(w, &identity);
    CHECK(recovered(w, &options, 1).adopted);
    world_close(w);
}

TEST(a_reader_adopts_nothing) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, CANDIDATE);
    options = options_of(w, &identity);
    options.owner = options.tenure = 0;
    CHECK(!recovered(w, &options, 1).adopted);
    world_close(w);
}

TEST(a_candidate_that_lacks_anything_is_passed_over_and_named) {
    enum { MISSING, CUT, FOOTER, CASES };

    for (int i = 0; i < CASES; i++) {
        static const cst_code codes[CASES] = {CST_NOT_FOUND, CST_SEGMENT_TRUNCATED,
                                              CST_SEGMENT_CHECKSUM};
        world *w = world_open();
        csti_job_identity identity = world_identity(w);
        csti_recovery_options options;
        csti_recovery_report report;
        const char *name;

        world_claim(w);
        world_checkpoint(w, 50, COMMITTED);
        world_checkpoint(w, 50, CANDIDATE);
        name = w->past[2][1].names[1];
        if (i == MISSING) world_remove(w, name);
        if (i == CUT) world_truncate(w, name, 200);
        if (i == FOOTER) world_flip(w, name, -100);
        world_claim(w);
        options = options_of(w, &identity);
        report = recovered(w, &options, 1);
        CHECK(!report.adopted);
        CHECK_EQ(report.notes[0].id, 2);
        CHECK_EQ(report.notes[0].code, codes[i]);
        CHECK(strstr(report.notes[0].text, name));
        world_close(w);
    }
}

TEST(a_candidate_with_any_flipped_bit_in_its_manifest_is_not_adopted) {
    for (int i = 0; i < 100; i++) {
        world *w = world_open();
        csti_job_identity identity = world_identity(w);
        csti_recovery_options options;
        csti_recovery_report report;
        cst_object_info info;

        world_claim(w);
        world_checkpoint(w, 5, COMMITTED);
        world_checkpoint(w, 5, CANDIDATE);
        CHECK_OK(cst_object_head(w->store, w->manifests[2], &info, NULL));
        world_flip(w, w->manifests[2], (long)test_random_below(info.bytes));
        world_claim(w);
        options = options_of(w, &identity);
        report = recovered(w, &options, 1);
        CHECK(!report.adopted);
        CHECK_EQ(report.notes[0].code, CST_MANIFEST);
        world_close(w);
    }
}

TEST(a_candidate_on_an_older_checkpoint_is_none) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    w->id = 2;
    world_checkpoint(w, 50, CANDIDATE); // 3 on 1
    w->id = 1;
    world_checkpoint(w, 50, COMMITTED); // 2
    world_claim(w);
    options = options_of(w, &identity);
    CHECK(!recovered(w, &options, 2).adopted);
    world_close(w);
}

TEST(a_manifest_on_a_checkpoint_that_is_not_known_leaves_nothing_behind) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;

    world_claim(w);
    w->id = 9;
    w->base_id = 9;
    world_checkpoint(w, 50, CANDIDATE); // 10 on 9
    world_claim(w);
    options = options_of(w, &identity);
    CHECK(!recovered(w, &options, 0).adopted);
    world_close(w);
}

TEST(a_candidate_that_was_aborted_is_not_adopted) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, CANDIDATE);
    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_ABORT,
                                                .owner = w->owner,
                                                .tenure = w->tenure,
                                                .id = 2},
                           NULL));
    world_claim(w);
    options = options_of(w, &identity);
    report = recovered(w, &options, 1);
    CHECK_EQ(report.notes[0].code, CST_CHECKPOINT_ABORTED);
    world_close(w);
}

TEST(a_candidate_of_another_incarnation_is_none) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    w->incarnation = 7;
    world_checkpoint(w, 50, CANDIDATE);
    world_claim(w);
    options = options_of(w, &identity);
    CHECK(!recovered(w, &options, 1).adopted);
    world_close(w);
}

TEST(of_two_candidates_the_later_owners_is_adopted) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    w->id = 5;
    world_checkpoint(w, 50, CANDIDATE); // 6, by the first owner
    world_claim(w);
    w->id = 2;
    world_checkpoint(w, 50, CANDIDATE); // 3, by the second
    world_claim(w);
    options = options_of(w, &identity);
    CHECK(recovered(w, &options, 3).adopted);
    world_close(w);
}

TEST(an_owner_that_was_pushed_aside_calls_nothing_damaged) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    cst_err err;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    options = options_of(w, &identity); // the first owner's
    CHECK_OK(cst_object_delete(w->store, w->manifests[1], NULL));
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_UNUSABLE);
    world_claim(w);
    CHECK_CODE(refused(&options, &report, &err), CST_FENCED);
    world_close(w);
}

TEST(an_owner_that_was_pushed_aside_adopts_nothing) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    cst_err err;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, CANDIDATE);
    world_claim(w);
    options = options_of(w, &identity); // the second owner's
    world_claim(w);
    CHECK_CODE(refused(&options, &report, &err), CST_FENCED);
    world_close(w);
}

// ---- Damage -------------------------------------------------------------------------------------

typedef enum damage {
    FLIP_MAGIC,
    FLIP_HEADER,
    FLIP_BODY,
    FLIP_FOOTER,
    CUT_IN_HEADER,
    CUT_IN_BODY,
    EMPTIED,
    REMOVED,
    SWAPPED_EPOCHS,
    SWAPPED_PARTITIONS,
    NEWER_SEGMENT,
    FLIP_MANIFEST,
    CUT_MANIFEST,
    REMOVED_MANIFEST,
    SWAPPED_MANIFESTS,
    DAMAGES,
} damage;

static const cst_code damage_codes[DAMAGES] = {
    [FLIP_MAGIC] = CST_SEGMENT_MAGIC,        [FLIP_HEADER] = CST_SEGMENT_CHECKSUM,
    [FLIP_BODY] = CST_SEGMENT_CHECKSUM,      [FLIP_FOOTER] = CST_SEGMENT_CHECKSUM,
    [CUT_IN_HEADER] = CST_SEGMENT_TRUNCATED, [CUT_IN_BODY] = CST_SEGMENT_TRUNCATED,
    [EMPTIED] = CST_SEGMENT_TRUNCATED,       [REMOVED] = CST_NOT_FOUND,
    [SWAPPED_EPOCHS] = CST_SEGMENT_IDENTITY, [SWAPPED_PARTITIONS] = CST_SEGMENT_IDENTITY,
    [NEWER_SEGMENT] = CST_SEGMENT_VERSION,   [FLIP_MANIFEST] = CST_MANIFEST,
    [CUT_MANIFEST] = CST_MANIFEST,           [REMOVED_MANIFEST] = CST_NOT_FOUND,
    [SWAPPED_MANIFESTS] = CST_MANIFEST,
};

// Damages what only the newest checkpoint has; returns the name of the damaged object.
static const char *damage_do(world *w, damage kind) {
    const uint64_t id = w->base_id;
    const world_part *parts = w->past[id];
    const uint32_t last = parts[0].count - 1;
    const char *name = parts[0].names[last];

    switch (kind) {
    case FLIP_MAGIC:
        world_flip(w, name, 3);
        return name;
    case FLIP_HEADER:
        world_flip(w, name, 40);
        return name;
    case FLIP_BODY:
        world_flip(w, name, 128 + 30);
        return name;
    case FLIP_FOOTER:
        world_flip(w, name, -100);
        return name;
    case CUT_IN_HEADER:
        world_truncate(w, name, 100);
        return name;
    case CUT_IN_BODY:
        world_truncate(w, name, 300);
        return name;
    case EMPTIED:
        world_truncate(w, name, 0);
        return name;
    case REMOVED:
        world_remove(w, name);
        return name;
    case SWAPPED_EPOCHS: // with what the manifest names before it
        world_swap(w, name, parts[0].names[last - 1]);
        return parts[0].names[last - 1];
    case SWAPPED_PARTITIONS:
        world_swap(w, name, parts[1].names[last]);
        return name;
    case NEWER_SEGMENT:
        world_flip(w, name, 8);
        return name;
    case FLIP_MANIFEST:
        world_flip(w, w->manifests[id], 60);
        return w->manifests[id];
    case CUT_MANIFEST:
        world_truncate(w, w->manifests[id], 100);
        return w->manifests[id];
    case REMOVED_MANIFEST:
        world_remove(w, w->manifests[id]);
        return w->manifests[id];
    default:
        world_swap(w, w->manifests[id], w->manifests[id - 1]);
        return w->manifests[id];
    }
}

TEST(each_kind_of_damage_has_its_code_and_names_object_and_place) {
    for (damage kind = 0; kind < DAMAGES; kind++) {
        world *w = world_open();
        csti_job_identity identity = world_identity(w);
        csti_recovery_options options;
        csti_recovery_report report;
        const char *name;
        cst_err err;

        world_claim(w);
        for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
        name = damage_do(w, kind);
        world_claim(w);
        options = options_of(w, &identity);
        options.verify_all = true;
        const cst_code code = refused(&options, &report, &err);
        CHECK_EQ(report.notes[0].id, 3);
        CHECK_CODE(report.notes[0].code, damage_codes[kind]);
        CHECK(strstr(report.notes[0].text, name));
        CHECK(strstr(err.text, name));
        // Two kinds hit older checkpoints too; the others leave one whose successor had output.
        if (kind == SWAPPED_EPOCHS || kind == SWAPPED_MANIFESTS) {
            CHECK(code == CST_CHECKPOINT_UNUSABLE || code == CST_CHECKPOINT_REPEATS);
        } else {
            CHECK_CODE(code, CST_CHECKPOINT_REPEATS);
            options.accept_repeats = true;
            recovered(w, &options, 2);
        }
        world_close(w);
    }
}

TEST(damage_in_a_body_is_seen_without_verify_all_by_whoever_reads_it) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_plan plan;
    cst_err err;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    world_flip(w, w->past[1][0].names[0], 128 + 30);
    options = options_of(w, &identity);
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, &err));
    CHECK_CODE(cst_segment_verify(plan.chains[0].segments[0], NULL, &err), CST_SEGMENT_CHECKSUM);
    CHECK(strstr(err.text, w->past[1][0].names[0]));
    csti_recovery_plan_close(&plan);
    world_close(w);
}

TEST(if_no_checkpoint_is_usable_each_is_listed_with_why) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    cst_err err;

    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->past[3][0].names[0]); // all stand on it
    world_truncate(w, w->manifests[2], 10);
    options = options_of(w, &identity);
    options.accept_repeats = true;
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes_count, 3);
    CHECK_EQ(report.notes[0].id, 3);
    CHECK_EQ(report.notes[0].code, CST_NOT_FOUND);
    CHECK_EQ(report.notes[1].id, 2);
    CHECK_EQ(report.notes[1].code, CST_MANIFEST);
    CHECK_EQ(report.notes[2].id, 1);
    CHECK_EQ(report.notes[2].code, CST_NOT_FOUND);
    CHECK(strstr(err.text, "3: "));
    CHECK(strstr(err.text, "2: "));
    CHECK(strstr(err.text, "1: "));
    world_close(w);
}

TEST(a_checkpoint_that_is_being_deleted_is_never_gone_back_to) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    cst_err err;

    world_claim(w);
    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_RETIRE,
                                                .owner = w->owner,
                                                .tenure = w->tenure,
                                                .ids = (uint64_t[]){1},
                                                .ids_count = 1},
                           NULL));
    world_remove(w, w->manifests[2]);
    options = options_of(w, &identity);
    options.accept_repeats = true;
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes_count, 1);
    world_close(w);
}

TEST(a_manifest_that_the_metadata_knows_otherwise_is_damaged) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    cst_err err;

    world_claim(w);
    world_checkpoint(w, 50, CANDIDATE);
    world_take(w, 1);
    w->base_id = 0;
    CHECK_OK(world_commit(w, 1, 0x12345678)); // not the checksum that its name ends with
    options = options_of(w, &identity);
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes[0].code, CST_MANIFEST);
    CHECK(strstr(err.text, "12345678"));
    world_close(w);
}

TEST(a_manifest_under_the_name_of_another_id_is_damaged) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    cst_object_body body;
    cst_err err;
    uint32_t crc;

    world_claim(w);
    world_checkpoint(w, 50, CANDIDATE);
    world_take(w, 1);
    w->base_id = 0;
    CHECK_OK(cst_object_get(w->store, w->manifests[1], 0, UINT64_MAX, &body, NULL));
    crc = csti_crc32c(0, body.bytes, body.count);
    csti_checkpoint_name_format(&(csti_checkpoint_name){.kind = CSTI_NAME_MANIFEST,
                                                        .id = 2,
                                                        .tenure = w->tenure,
                                                        .nonce = csti_manifest_nonce(7, crc)},
                                w->manifests[2]);
    world_put(w, w->manifests[2], body.bytes, body.count);
    cst_object_body_release(w->store, &body);
    CHECK_OK(world_commit(w, 2, crc));
    options = options_of(w, &identity);
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes[0].code, CST_MANIFEST);
    CHECK(strstr(err.text, "where 2 was to be"));
    world_close(w);
}

TEST(a_delta_on_another_base_is_damage) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    cst_err err;
    uint32_t crc;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, UPLOADED); // an epoch 2 that did not come to be
    world_checkpoint(w, 50, COMMITTED);
    w->id = 4;
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) world_segment(w, p, 4, 1, 50);
    w->parts[1].segments[1] = w->past[2][1].segments[1];
    crc = world_manifest(w, 4, 1, 1, w->manifests[4]);
    CHECK_OK(world_commit(w, 4, crc));
    options = options_of(w, &identity);
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_REPEATS);
    CHECK_EQ(report.notes[0].code, CST_SEGMENT_BASE);
    CHECK(strstr(err.text, w->parts[1].names[2]));
    world_close(w);
}

// ---- Going back ---------------------------------------------------------------------------------

typedef struct sink_seen {
    uint64_t epoch[WORLD_PARTITIONS]; // the highest that was released
    bool everything;                  // whatever it is asked: it cannot know
    uint64_t asked;
} sink_seen;

static cst_code output_seen(void *context, uint32_t partition, uint64_t epoch, bool *out,
                            cst_err *err) {
    sink_seen *sink = context;

    (void)err;
    sink->asked++;
    CHECK(partition < WORLD_PARTITIONS);
    *out = sink->everything || sink->epoch[partition] >= epoch;
    return CST_OK;
}

// The newest has no rows of its own, and stands on a full that is damaged; the one before stands on
// what the full was made of.
TEST(an_older_checkpoint_is_used_if_the_output_of_the_newer_one_is_empty) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    csti_manifest_segment full;
    csti_arena arena;
    cst_err err;

    csti_arena_init(&arena, 1 << 20);
    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    CHECK_OK(world_fold(w, 3, 0, &arena, &full, NULL));
    world_use_full(w, 0, &full);
    world_checkpoint(w, 0, COMMITTED);
    world_truncate(w, full.name, 200);
    options = options_of(w, &identity);
    report = recovered(w, &options, 3);
    CHECK_EQ(report.notes[0].id, 4);
    CHECK_EQ(report.notes[0].code, CST_SEGMENT_TRUNCATED);
    world_take(w, 4);
    world_use_full(w, 0, &full);
    world_checkpoint(w, 1, COMMITTED); // the same with a row
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_REPEATS);
    csti_arena_release(&arena);
    world_close(w);
}

TEST(an_older_checkpoint_is_used_if_the_sink_has_nothing_behind_it) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    sink_seen sink = {.epoch = {3, 2}};
    cst_err err;

    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->manifests[3]);
    world_claim(w);
    options = options_of(w, &identity);
    options.output_seen = output_seen;
    options.output_context = &sink;
    CHECK_CODE(refused(&options, &report, &err), CST_CHECKPOINT_REPEATS);
    CHECK(sink.asked > 0);
    sink.epoch[0] = 2;
    recovered(w, &options, 2);
    world_close(w);
}

TEST(a_sink_that_takes_nothing_has_seen_nothing) {
    world *w = world_open();
    csti_job_identity identity;
    csti_recovery_options options;

    w->sink = "none";
    identity = world_identity(w);
    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->past[3][1].names[2]);
    world_claim(w);
    options = options_of(w, &identity);
    recovered(w, &options, 2);
    world_close(w);
}

TEST(what_goes_on_behind_an_older_checkpoint_stands_on_the_newest_id) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_plan plan;
    csti_arena arena;
    csti_meta_view view;

    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->past[3][1].names[2]);
    world_claim(w);
    options = options_of(w, &identity);
    options.accept_repeats = true;
    recovered(w, &options, 2); // and killed
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK_EQ(plan.report.chosen_id, 2);
    CHECK_EQ(plan.manifest.id, 3);
    CHECK_EQ(plan.id_floor, 3);
    view = world_view(w, &arena);
    CHECK_EQ(view.pins_count, 1);
    CHECK_EQ(view.pins[0].id, 2);
    csti_arena_release(&arena);
    world_go_on(w, &plan.manifest, 2);
    csti_recovery_plan_close(&plan);
    world_checkpoint(w, 50, COMMITTED);
    CHECK_EQ(recovered(w, &options, 4).notes_count, 1);
    world_close(w);
}

// Rows may repeat, but a part that the sink has is never written again with others.
TEST(epochs_that_the_sink_has_are_passed_over) {
    for (int knows = 0; knows < 2; knows++) {
        world *w = world_open();
        csti_job_identity identity = world_identity(w);
        csti_recovery_options options;
        csti_recovery_plan plan;
        sink_seen sink = {.epoch = {3, 2}, .everything = knows == 0};

        world_claim(w);
        for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
        world_remove(w, w->manifests[3]);
        world_claim(w);
        options = options_of(w, &identity);
        options.accept_repeats = true;
        options.output_seen = output_seen;
        options.output_context = &sink;
        CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
        CHECK_EQ(plan.report.chosen_id, 2);
        CHECK(world_chains_hold(w, plan.chains, 2));
        CHECK_EQ(plan.manifest.partitions[0].epoch_to, 3);
        CHECK_EQ(plan.chains[0].segments_count, 3); // the last has no rows
        CHECK_EQ(plan.manifest.partitions[1].epoch_to, knows ? 2 : 3);
        world_go_on(w, &plan.manifest, 2);
        csti_recovery_plan_close(&plan);
        world_checkpoint(w, 50, COMMITTED);
        CHECK_EQ(w->past[4][0].epoch, 4);
        recovered(w, &options, 4);
        world_close(w);
    }
}

TEST(a_full_that_waits_for_its_checkpoint_shortens_an_owners_chain) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_plan plan;
    csti_manifest_segment full, damaged;
    csti_arena arena;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 4; i++) world_checkpoint(w, 50, COMMITTED);
    CHECK_OK(world_fold(w, 4, 0, &arena, &full, NULL));
    CHECK_OK(world_fold(w, 4, 1, &arena, &damaged, NULL));
    world_flip(w, damaged.name, 200);
    options = options_of(w, &identity);
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK(world_chains_hold(w, plan.chains, 4));
    CHECK_EQ(plan.chains[0].segments_count, 2);
    CHECK_TEXT(plan.manifest.partitions[0].segments[0].name, full.name);
    CHECK_EQ(plan.manifest.partitions[0].outbox_first, 1); // still its output
    CHECK_EQ(plan.chains[1].segments_count, 4);
    world_go_on(w, &plan.manifest, 4);
    csti_recovery_plan_close(&plan);
    world_checkpoint(w, 50, COMMITTED);
    recovered(w, &options, 5);
    options.owner = options.tenure = 0; // a reader reads what is committed
    options.checkpoint_id = 4;
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
    CHECK_EQ(plan.chains[0].segments_count, 4);
    csti_recovery_plan_close(&plan);
    csti_arena_release(&arena);
    world_close(w);
}

// ---- Not damage ---------------------------------------------------------------------------------

TEST(another_job_schema_program_hash_key_or_width_ends_recovery) {
    static const cst_code codes[] = {CST_JOB_MISMATCH, CST_SEGMENT_SCHEMA, CST_SEGMENT_SCHEMA,
                                     CST_SEGMENT_HASH_KEY, CST_SEGMENT_SCHEMA};
    world *w = world_open();
    csti_recovery_report report;
    cst_err err;

    world_claim(w);
    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        csti_job_identity identity = world_identity(w);
        csti_recovery_options options = options_of(w, &identity);

        options.accept_repeats = true;
        if (i == 0) identity.job = "asks";
        if (i == 1) identity.key_schema = "i64";
        if (i == 2) identity.program.value_bytes = 24;
        if (i == 3) identity.hash_key.k0 ^= 1;
        if (i == 4) identity.parts[0].key_bytes = 16;
        CHECK_CODE(refused(&options, &report, &err), codes[i]);
        CHECK_EQ(report.notes_count, 0);
    }
    world_close(w);
}

TEST(a_committed_manifest_of_a_newer_version_is_not_gone_back_behind) {
    world *w = world_open();
    csti_job_identity identity = world_identity(w);
    csti_recovery_options options;
    csti_recovery_report report;
    const char *text = "{\"version\":2}";
    cst_err err;

    world_claim(w);
    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, UPLOADED);
    (void)snprintf(w->manifests[2], sizeof w->manifests[2],
                   "checkpoints/%020d/manifest-%" PRIu64 "-01234567%08" PRIx32, 2, w->tenure,
                   csti_crc32c(0, text, strlen(text)));
    world_put(w, w->manifests[2], text, strlen(text));
    CHECK_OK(world_commit(w, 2, csti_crc32c(0, text, strlen(text))));
    options = options_of(w, &identity);
    options.accept_repeats = true;
    CHECK_CODE(refused(&options, &report, &err), CST_MANIFEST_VERSION);
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
        const csti_job_identity identity = world_identity(w);
        csti_recovery_options options;
        csti_recovery_plan plan;

        world_claim(w);
        for (int i = 0; i < 3; i++) world_checkpoint(w, 10, COMMITTED);
        world_checkpoint(w, 10, CANDIDATE);
        world_claim(w);
        options = options_of(w, &identity);
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
} progress_seen;

static void progress_see(void *context, uint64_t bytes_done, uint64_t bytes_all) {
    progress_seen *seen = context;

    CHECK(bytes_done > seen->done);
    *seen = (progress_seen){bytes_done, bytes_all, seen->calls + 1};
}

TEST(progress_rises_and_ends_with_all_bytes) {
    for (int verify_all = 0; verify_all < 2; verify_all++) {
        world *w = world_open();
        csti_job_identity identity = world_identity(w);
        progress_seen seen = {0};
        csti_recovery_options options;

        world_claim(w);
        for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
        options = options_of(w, &identity);
        options.verify_all = verify_all == 1;
        options.progress = progress_see;
        options.progress_context = &seen;
        recovered(w, &options, 3);
        CHECK_EQ(seen.calls, 2 * 3);
        CHECK_EQ(seen.done, seen.all);
        world_close(w);
    }
}

TEST_MAIN
