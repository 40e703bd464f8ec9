#define _GNU_SOURCE 1 // nftw

// What is damaged is named, and an older checkpoint stands in only where no row repeats.
#include "unit/checkpoint/recovered.h"

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
        world *w = world_owned();
        const char *name;

        for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
        name = damage_do(w, kind);
        world_claim(w);
        csti_recovery_options options = options_of(w);
        options.verify_all = true;
        const cst_code code = refused(&options);
        CHECK_EQ(report.notes[0].id, 3);
        CHECK_CODE(report.notes[0].code, damage_codes[kind]);
        CHECK(strstr(report.notes[0].text, name));
        CHECK(strstr(why.text, name));
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
    world *w = world_owned();
    csti_recovery_plan plan;

    world_checkpoint(w, 50, COMMITTED);
    world_flip(w, w->past[1][0].names[0], 128 + 30);
    const csti_recovery_options options = options_of(w);
    CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, &why));
    CHECK_CODE(cst_segment_verify(plan.chains[0].segments[0], NULL, &why), CST_SEGMENT_CHECKSUM);
    CHECK(strstr(why.text, w->past[1][0].names[0]));
    csti_recovery_plan_close(&plan);
    world_close(w);
}

TEST(if_no_checkpoint_is_usable_each_is_listed_with_why) {
    world *w = world_owned();

    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->past[3][0].names[0]); // all stand on it
    world_truncate(w, w->manifests[2], 10);
    csti_recovery_options options = options_of(w);
    options.accept_repeats = true;
    CHECK_CODE(refused(&options), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes_count, 3);
    CHECK_EQ(report.notes[0].id, 3);
    CHECK_EQ(report.notes[0].code, CST_NOT_FOUND);
    CHECK_EQ(report.notes[1].id, 2);
    CHECK_EQ(report.notes[1].code, CST_MANIFEST);
    CHECK_EQ(report.notes[2].id, 1);
    CHECK_EQ(report.notes[2].code, CST_NOT_FOUND);
    CHECK(strstr(why.text, "3: "));
    CHECK(strstr(why.text, "2: "));
    CHECK(strstr(why.text, "1: "));
    world_close(w);
}

TEST(a_checkpoint_that_is_being_deleted_is_never_gone_back_to) {
    world *w = world_owned();

    for (int i = 0; i < 2; i++) world_checkpoint(w, 50, COMMITTED);
    world_retire(w, 1);
    world_remove(w, w->manifests[2]);
    csti_recovery_options options = options_of(w);
    options.accept_repeats = true;
    CHECK_CODE(refused(&options), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes_count, 1);
    world_close(w);
}

TEST(a_manifest_that_the_metadata_knows_otherwise_is_damaged) {
    world *w = world_owned();

    world_checkpoint(w, 50, CANDIDATE);
    world_take(w, 1);
    w->base_id = 0;
    CHECK_OK(world_commit(w, 1, 0x12345678)); // not the checksum that its name ends with
    const csti_recovery_options options = options_of(w);
    CHECK_CODE(refused(&options), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes[0].code, CST_MANIFEST);
    CHECK(strstr(why.text, "12345678"));
    world_close(w);
}

TEST(a_manifest_under_the_name_of_another_id_is_damaged) {
    world *w = world_owned();
    cst_object_body body;
    uint32_t crc;

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
    const csti_recovery_options options = options_of(w);
    CHECK_CODE(refused(&options), CST_CHECKPOINT_UNUSABLE);
    CHECK_EQ(report.notes[0].code, CST_MANIFEST);
    CHECK(strstr(why.text, "where 2 was to be"));
    world_close(w);
}

TEST(a_delta_on_another_base_is_damage) {
    world *w = world_owned();
    uint32_t crc;

    world_checkpoint(w, 50, COMMITTED);
    world_checkpoint(w, 50, UPLOADED); // an epoch 2 that did not come to be
    world_checkpoint(w, 50, COMMITTED);
    w->id = 4;
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) world_segment(w, p, 4, 1, 50);
    w->parts[1].segments[1] = w->past[2][1].segments[1];
    crc = world_manifest(w, 4, 1, 1, w->manifests[4]);
    CHECK_OK(world_commit(w, 4, crc));
    const csti_recovery_options options = options_of(w);
    CHECK_CODE(refused(&options), CST_CHECKPOINT_REPEATS);
    CHECK_EQ(report.notes[0].code, CST_SEGMENT_BASE);
    CHECK(strstr(why.text, w->parts[1].names[2]));
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
    csti_manifest_segment full;
    csti_arena arena;

    csti_arena_init(&arena, 1 << 20);
    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    CHECK_OK(world_fold(w, 3, 0, &arena, &full, NULL));
    world_use_full(w, 0, &full);
    world_checkpoint(w, 0, COMMITTED);
    world_truncate(w, full.name, 200);
    const csti_recovery_options options = options_of(w);
    recovered(w, &options, 3);
    CHECK_EQ(report.notes[0].id, 4);
    CHECK_EQ(report.notes[0].code, CST_SEGMENT_TRUNCATED);
    world_take(w, 4);
    world_use_full(w, 0, &full);
    world_checkpoint(w, 1, COMMITTED); // the same with a row
    CHECK_CODE(refused(&options), CST_CHECKPOINT_REPEATS);
    csti_arena_release(&arena);
    world_close(w);
}

TEST(an_older_checkpoint_is_used_if_the_sink_has_nothing_behind_it) {
    world *w = world_owned();
    sink_seen sink = {.epoch = {3, 2}};

    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->manifests[3]);
    world_claim(w);
    csti_recovery_options options = options_of(w);
    options.output_seen = output_seen;
    options.output_context = &sink;
    CHECK_CODE(refused(&options), CST_CHECKPOINT_REPEATS);
    CHECK(sink.asked > 0);
    sink.epoch[0] = 2;
    recovered(w, &options, 2);
    world_close(w);
}

TEST(a_sink_that_takes_nothing_has_seen_nothing) {
    world *w = world_open();

    w->sink = "none";
    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->past[3][1].names[2]);
    world_claim(w);
    const csti_recovery_options options = options_of(w);
    recovered(w, &options, 2);
    world_close(w);
}

TEST(what_goes_on_behind_an_older_checkpoint_stands_on_the_newest_id) {
    world *w = world_owned();
    csti_recovery_plan plan;
    csti_arena arena;
    csti_meta_view view;

    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->past[3][1].names[2]);
    world_claim(w);
    csti_recovery_options options = options_of(w);
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
    CHECK_EQ(recovered(w, &options, 4)->notes_count, 1);
    world_close(w);
}

// Rows may repeat, but a part that the sink has is never written again with others.
TEST(epochs_that_the_sink_has_are_passed_over) {
    for (int knows = 0; knows < 2; knows++) {
        world *w = world_owned();
        csti_recovery_plan plan;
        sink_seen sink = {.epoch = {3, 2}, .everything = knows == 0};

        for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
        world_remove(w, w->manifests[3]);
        world_claim(w);
        csti_recovery_options options = options_of(w);
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

// The world's job, with another number of partitions since.
static void partitions_change(world *w, uint32_t count) {
    csti_meta_result result;

    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_PARTITIONS,
                                                .owner = w->owner,
                                                .tenure = w->tenure,
                                                .count = count},
                           &result));
    w->tenure = result.tenure;
}

// {partition, the highest epoch that was released}: of one that the chosen checkpoint has not.
typedef struct sink_beyond {
    uint32_t partition;
    uint64_t epoch;
} sink_beyond;

static cst_code beyond_seen(void *context, uint32_t partition, uint64_t epoch, bool *out,
                            cst_err *err) {
    const sink_beyond *sink = context;

    (void)err;
    *out = partition == sink->partition && epoch <= sink->epoch;
    return CST_OK;
}

// Whether the newer, lost checkpoint was of more partitions is known by the metadata or by names.
TEST(output_of_partitions_that_an_older_checkpoint_has_not_bars_the_way_back) {
    for (int by_names = 0; by_names < 2; by_names++) {
        world *w = world_owned();
        sink_beyond sink = {3, 3};
        csti_recovery_plan plan;

        for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
        world_remove(w, w->manifests[3]);
        world_claim(w);
        if (by_names)
            world_put(w, "checkpoints/00000000000000000003/3-1-0000000000000001/delta-3", "", 0);
        else
            partitions_change(w, 4);
        csti_recovery_options options = options_of(w);
        options.output_seen = beyond_seen;
        options.output_context = &sink;
        CHECK_CODE(refused(&options), CST_CHECKPOINT_REPEATS);
        sink.epoch = 2; // of before the chosen one, when there were more partitions once
        recovered(w, &options, 2);
        sink.epoch = 7;
        options.accept_repeats = true;
        CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
        CHECK(world_chains_hold(w, plan.chains, 2));
        for (uint32_t p = 0; p < WORLD_PARTITIONS; p++)
            CHECK_EQ(plan.manifest.partitions[p].epoch_to, 7); // none of them is used again
        csti_recovery_plan_close(&plan);
        world_close(w);
    }
}

TEST(a_full_that_waits_for_its_checkpoint_shortens_an_owners_chain) {
    world *w = world_open();
    csti_recovery_plan plan;
    csti_manifest_segment full, damaged;
    csti_arena arena;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 4; i++) world_checkpoint(w, 50, COMMITTED);
    CHECK_OK(world_fold(w, 4, 0, &arena, &full, NULL));
    CHECK_OK(world_fold(w, 4, 1, &arena, &damaged, NULL));
    world_flip(w, damaged.name, 200);
    csti_recovery_options options = options_of(w);
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

TEST_MAIN
