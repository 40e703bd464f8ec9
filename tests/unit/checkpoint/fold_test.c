#define _GNU_SOURCE 1 // nftw
#include "unit/checkpoint/world.h"

static model rows_of(world *w, const csti_manifest_segment *full) {
    model rows = {NULL, 0, 0};
    cst_object_body body;
    cst_segment *segment = NULL;

    CHECK_OK(cst_object_get(w->store, full->name, 0, UINT64_MAX, &body, NULL));
    CHECK_EQ(body.count, full->bytes);
    CHECK_OK(cst_segment_open_bytes(full->name, body.bytes, body.count, NULL, &segment, NULL));
    CHECK_OK(cst_segment_verify(segment, &TEST_HASH_KEY, NULL));
    chain_apply(&rows, segment);
    cst_segment_close(segment);
    cst_object_body_release(w->store, &body);
    return rows;
}

static uint32_t folds_count(world *w) {
    size_t count = 0;

    CHECK_OK(cst_object_list(w->store, CSTI_FOLDS_PREFIX, NULL, name_count, &count, NULL));
    return (uint32_t)count;
}

static const csti_meta_lease *lease_of(const csti_meta_view *view) {
    for (uint32_t i = 0; i < view->leases_count; i++)
        if (strcmp(view->leases[i].name, CSTI_FOLD_LEASE) == 0) return &view->leases[i];
    return NULL;
}

// ---- What a fold holds --------------------------------------------------------------------------

TEST(a_fold_holds_what_the_checkpoint_before_held) {
    world *w = world_open();
    csti_arena arena, view_arena;
    csti_meta_view view;
    csti_manifest_segment full;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 5; i++) world_checkpoint(w, 60, COMMITTED);
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
        model rows;

        CHECK_OK(world_fold(w, 5, p, &arena, &full, NULL));
        CHECK_EQ(full.kind, CST_SEGMENT_FULL_ORDERED);
        CHECK_EQ(full.epoch_from, 1);
        CHECK_EQ(full.epoch_to, 4); // 5 is the output of the newest
        rows = rows_of(w, &full);
        CHECK(models_equal(&rows, &w->past[4][p].rows));
        model_free(&rows);
        world_use_full(w, p, &full);
    }
    view = world_view(w, &view_arena);
    CHECK_EQ(view.fulls_count, 2);
    CHECK_EQ(lease_of(&view)->holder, 0);
    csti_arena_release(&view_arena);
    world_checkpoint(w, 60, COMMITTED); // on the fulls
    world_manifest_read(w, 6, &arena, &(csti_manifest){0});
    csti_arena_release(&arena);
    world_close(w);
}

TEST(a_chain_on_a_fold_restores_and_folds_again) {
    world *w = world_open();
    csti_arena arena;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int round = 0; round < 4; round++) {
        uint64_t id = 0;

        for (int i = 0; i < 3; i++) id = world_checkpoint(w, 60, COMMITTED);
        for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
            csti_manifest manifest;
            csti_manifest_segment full;
            csti_chain chain;
            model rows = {NULL, 0, 0};

            CHECK_OK(world_fold(w, id, p, &arena, &full, NULL));
            world_use_full(w, p, &full);
            world_manifest_read(w, id, &arena, &manifest);
            CHECK_OK(csti_chain_open(w->store, &manifest, p, 0,
                                     manifest.partitions[p].segments_count, &arena, NULL, &chain,
                                     NULL));
            for (uint32_t s = 0; s < chain.segments_count; s++)
                chain_apply(&rows, chain.segments[s]);
            CHECK(models_equal(&rows, &w->past[id][p].rows));
            csti_chain_close(w->store, &chain);
            model_free(&rows);
        }
    }
    csti_arena_release(&arena);
    world_close(w);
}

TEST(the_output_of_the_newest_checkpoint_is_never_folded) {
    world *w = world_open();
    csti_arena arena;
    csti_manifest_segment full;
    cst_err err;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    world_checkpoint(w, 60, COMMITTED);
    CHECK_CODE(world_fold(w, 1, 0, &arena, &full, &err), CST_AGAIN);
    world_checkpoint(w, 60, COMMITTED);
    CHECK_OK(world_fold(w, 2, 0, &arena, &full, &err)); // an unordered full becomes an ordered one
    CHECK_EQ(full.epoch_to, 1);
    world_use_full(w, 0, &full);
    world_checkpoint(w, 60, COMMITTED);
    world_checkpoint(w, 60, COMMITTED);
    CHECK_OK(world_fold(w, 4, 0, &arena, &full, &err));
    CHECK_EQ(full.epoch_to, 3);
    csti_arena_release(&arena);
    world_close(w);
}

TEST(a_fold_that_is_registered_is_not_made_again) {
    world *w = world_open();
    csti_arena arena;
    csti_manifest_segment first, second;
    cst_err err;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 4; i++) world_checkpoint(w, 60, COMMITTED);
    CHECK_OK(world_fold(w, 4, 0, &arena, &first, &err));
    CHECK_OK(world_fold(w, 4, 0, &arena, &second, &err));
    CHECK_TEXT(first.name, second.name);
    CHECK_EQ(first.checksum, second.checksum);
    CHECK_EQ(folds_count(w), 1);
    world_flip(w, first.name, 200); // one that is damaged is
    CHECK_OK(world_fold(w, 4, 0, &arena, &second, &err));
    CHECK(strcmp(first.name, second.name) != 0);
    csti_arena_release(&arena);
    world_close(w);
}

TEST(one_unreadable_byte_in_any_segment_ends_the_fold) {
    world *w = world_open();
    csti_arena arena, view_arena;
    csti_meta_view view;
    csti_manifest_segment full;
    cst_err err;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 4; i++) world_checkpoint(w, 60, COMMITTED);
    for (uint32_t s = 0; s < 3; s++) {
        const char *name = w->past[4][1].names[s];

        world_flip(w, name, 128 + 30);
        CHECK_CODE(world_fold(w, 4, 1, &arena, &full, &err), CST_SEGMENT_CHECKSUM);
        CHECK(strstr(err.text, name));
        world_flip(w, name, 128 + 30); // as it was
    }
    view = world_view(w, &view_arena);
    CHECK_EQ(view.fulls_count, 0);
    CHECK_EQ(lease_of(&view)->holder, 0);
    csti_arena_release(&view_arena);
    CHECK_EQ(folds_count(w), 0);
    CHECK_EQ(temporaries_count(&w->folder), 0);
    world_remove(w, w->past[4][1].names[2]);
    CHECK_CODE(world_fold(w, 4, 1, &arena, &full, &err), CST_NOT_FOUND);
    csti_arena_release(&arena);
    world_close(w);
}

// ---- When ---------------------------------------------------------------------------------------

typedef struct chained {
    csti_manifest_segment segments[128];
    csti_manifest_partition partition;
} chained;

static const csti_manifest_partition *chained_of(chained *c, const uint64_t *bytes, uint32_t count,
                                                 uint32_t outbox_first) {
    for (uint32_t i = 0; i < count; i++)
        c->segments[i] =
            (csti_manifest_segment){.bytes = bytes[i],
                                    .kind = i ? CST_SEGMENT_DELTA : CST_SEGMENT_FULL_ORDERED};
    c->partition = (csti_manifest_partition){.segments = c->segments,
                                             .segments_count = count,
                                             .outbox_first = outbox_first};
    return &c->partition;
}

static bool due(const csti_fold_policy *policy, const uint64_t *bytes, uint32_t count,
                uint32_t outbox_first) {
    chained c;

    return csti_fold_is_due(policy, chained_of(&c, bytes, count, outbox_first));
}

TEST(a_fold_is_due_by_share_or_by_count) {
    const uint64_t bytes[64] = {1000, 200, 200, 101, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const uint64_t small[64] = {UINT64_C(1) << 40, 1, 1, 1, 1, 1, 1, 1, 1};
    const csti_fold_policy automatic = {0};
    const csti_fold_policy quarter = {.delta_share = 0.25};
    const csti_fold_policy few = {.deltas_max = 3};
    const csti_fold_policy every = {.every = 2};

    CHECK(!due(&automatic, bytes, 1, 1));
    CHECK(!due(&automatic, bytes, 3, 3));
    CHECK(due(&automatic, bytes, 4, 4));  // 501 of 1000
    CHECK(!due(&automatic, bytes, 4, 3)); // the last is output
    CHECK(!due(&automatic, bytes, 4, 0));
    CHECK(due(&quarter, bytes, 3, 3));
    CHECK(!due(&quarter, bytes, 2, 2));
    CHECK(!due(&automatic, small, 32, 32));
    CHECK(due(&automatic, small, 33, 33));
    CHECK(!due(&few, small, 3, 3));
    CHECK(due(&few, small, 4, 4));
    CHECK(!due(&every, bytes, 2, 2));
    CHECK(due(&every, bytes, 3, 3));
}

static double lag(const csti_fold_policy *policy, const uint64_t *bytes, uint32_t count) {
    chained c;

    return csti_fold_lag(policy, chained_of(&c, bytes, count, count));
}

TEST(folds_are_behind_by_share_or_by_count) {
    enum { MIB = 1 << 20 };
    const uint64_t large[] = {8 * MIB, 2 * MIB, 2 * MIB, 4 * MIB, 8 * MIB};
    const uint64_t filling[] = {MIB, 16 * MIB, 16 * MIB};
    const uint64_t small[128] = {10, 1000, 1000, 1000};
    const csti_fold_policy automatic = {0};
    const csti_fold_policy quarter = {.delta_share = 0.25};
    const csti_fold_policy each = {.every = 1};
    const csti_fold_policy seldom = {.every = 64};

    CHECK(lag(&automatic, large, 0) == 0);
    CHECK(lag(&automatic, large, 1) == 0);
    CHECK(lag(&automatic, large, 3) == 1.0);
    CHECK(lag(&automatic, large, 5) == 4.0);
    CHECK(lag(&quarter, large, 5) == 8.0);
    CHECK(lag(&each, large, 5) == 4.0); // what it costs, not what is wished
    CHECK(lag(&automatic, filling, 3) == 4.0);
    CHECK(lag(&automatic, small, 4) == 3.0 / 32);
    CHECK(lag(&automatic, small, 97) == 3.0);
    CHECK(lag(&each, small, 97) == 3.0);
    CHECK(lag(&seldom, small, 97) == 1.5);
}

// ---- The lease ----------------------------------------------------------------------------------

static uint64_t lease_take(world *w, uint64_t owner, uint64_t ttl_us) {
    csti_meta_result result = {.token = 0};

    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_LEASE,
                                                .lease = CSTI_FOLD_LEASE,
                                                .owner = owner,
                                                .ttl_us = ttl_us},
                           &result));
    return result.token;
}

TEST(while_another_holds_the_lease_nothing_is_folded) {
    world *w = world_open();
    csti_arena arena;
    csti_manifest_segment full;
    cst_err err;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 60, COMMITTED);
    CHECK_EQ(lease_take(w, 777, 1000000), 1);
    CHECK_CODE(world_fold(w, 3, 0, &arena, &full, &err), CST_LEASE);
    CHECK_EQ(folds_count(w), 0);
    csti_clock_sim_advance(&w->clock, 1000000001); // the holder died
    CHECK_OK(world_fold(w, 3, 0, &arena, &full, &err));
    CHECK(strncmp(full.name, "folds/2-", 8) == 0);
    csti_arena_release(&arena);
    world_close(w);
}

// A store in memory; a hook runs in the middle of a folder's upload.
typedef struct race {
    world *w;
    csti_compaction_options slow, fast;
    csti_meta *fast_meta;
    cst_object_store *fast_store;
    const csti_manifest *manifest;
    csti_manifest_segment fast_full;
    csti_arena arena;
    uint64_t call_ns, finish_ns; // how long each call of the upload takes, and its end
    bool other_folds, running;
    cst_code fast_code;
} race;

static void race_yield(void *context, csti_object_sim_moment moment, const char *call,
                       const char *name) {
    race *r = context;
    const bool finish = strcmp(call, "upload_finish") == 0;

    if (r->running || moment != CSTI_OBJECT_SIM_AFTER || strncmp(name, "folds/", 6) != 0) return;
    r->running = true;
    csti_clock_sim_advance(&r->w->clock, finish ? r->finish_ns : r->call_ns);
    if (finish && r->other_folds)
        r->fast_code =
            csti_fold_partition(&r->fast, r->manifest, 0, &r->arena, &r->fast_full, NULL);
    r->running = false;
}

static void race_open(race *r) {
    csti_object_sim_options options;
    csti_meta_log_options meta_options;

    r->w = world_open_in_memory();
    r->fast_code = CST_INTERNAL;
    cst_object_store_close(r->w->store);
    csti_meta_close(r->w->meta);
    csti_arena_init(&r->arena, 16 << 20);
    options = (csti_object_sim_options){.seed = test_random(), .clock = &r->w->clock};
    CHECK_OK(csti_object_sim_client_open(r->w->sim, &options, &r->fast_store, NULL));
    options.yield = race_yield;
    options.yield_context = r;
    CHECK_OK(csti_object_sim_client_open(r->w->sim, &options, &r->w->store, NULL));
    world_meta_open(r->w);
    meta_options = world_meta_options(r->w);
    meta_options.store = r->fast_store;
    CHECK_OK(csti_meta_open_log(&meta_options, &r->fast_meta, NULL));
    world_claim(r->w);
    r->slow = world_compaction(r->w);
    r->slow.lease_ttl_us = 60000000;
    r->fast = r->slow;
    r->fast.store = r->fast_store;
    r->fast.meta = r->fast_meta;
    r->fast.owner = 99;
}

// With a chain of four, read into `manifest`.
static void race_open_chain(race *r, csti_manifest *manifest) {
    race_open(r);
    for (int i = 0; i < 4; i++) world_checkpoint(r->w, 60, COMMITTED);
    world_manifest_read(r->w, 4, &r->arena, manifest);
    r->manifest = manifest;
}

static void race_close(race *r) {
    csti_meta_close(r->fast_meta);
    cst_object_store_close(r->fast_store);
    csti_arena_release(&r->arena);
    world_close(r->w);
}

TEST(of_two_folders_the_one_that_slept_registers_nothing) {
    race r = {.finish_ns = UINT64_C(61) * 1000000000, .other_folds = true};
    csti_manifest manifest;
    csti_manifest_segment full;
    csti_arena view_arena;
    csti_meta_view view;
    cst_err err;

    race_open_chain(&r, &manifest);
    CHECK_CODE(csti_fold_partition(&r.slow, &manifest, 0, &r.arena, &full, &err), CST_LEASE);
    CHECK_OK(r.fast_code);
    view = world_view(r.w, &view_arena);
    CHECK_EQ(view.fulls_count, 1);
    CHECK_TEXT(view.fulls[0].name, r.fast_full.name);
    csti_arena_release(&view_arena);
    CHECK_EQ(folds_count(r.w), 1); // the sleeper took its own away
    race_close(&r);
}

TEST(a_slow_folder_holds_its_lease_longer) {
    race r = {.call_ns = UINT64_C(25) * 1000000000, .other_folds = true};
    csti_manifest manifest;
    csti_manifest_segment full;
    cst_err err;

    race_open_chain(&r, &manifest);
    CHECK_OK(csti_fold_partition(&r.slow, &manifest, 0, &r.arena, &full, &err));
    CHECK_CODE(r.fast_code, CST_LEASE); // it came far behind the first 60 seconds
    race_close(&r);
}

// In the middle, and at its end: also if the call comes back with success.
TEST(a_fold_whose_step_takes_too_long_leaves_the_chain_and_is_made_again) {
    for (int at_end = 0; at_end < 2; at_end++) {
        const uint64_t late_ns = UINT64_C(10000001000);
        race r = {.call_ns = at_end ? 0 : late_ns, .finish_ns = at_end ? late_ns : 0};
        csti_manifest manifest;
        csti_manifest_segment full;
        cst_err err;

        race_open_chain(&r, &manifest);
        r.slow.step_deadline_us = 10000000;
        CHECK_CODE(csti_fold_partition(&r.slow, &manifest, 0, &r.arena, &full, &err), CST_DEADLINE);
        CHECK(strstr(err.text, "a step of it took longer than 10000000 us"));
        CHECK_EQ(folds_count(r.w), 0);
        csti_arena arena;
        const csti_meta_view view = world_view(r.w, &arena);
        CHECK_EQ(view.fulls_count, 0);
        CHECK_EQ(lease_of(&view)->holder, 0);
        csti_arena_release(&arena);
        r.call_ns = r.finish_ns = 0;
        CHECK_OK(csti_fold_partition(&r.slow, &manifest, 0, &r.arena, &full, &err));
        CHECK_EQ(folds_count(r.w), 1);
        race_close(&r);
    }
}

TEST(a_folder_whose_token_was_raised_registers_nothing) {
    world *w = world_open();
    csti_manifest_segment full;
    csti_arena arena, view_arena;
    csti_meta_view view;
    uint64_t token;
    char name[CSTI_CHECKPOINT_NAME_BYTES];

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 60, COMMITTED);
    token = lease_take(w, 777, 1000000);
    CHECK_OK(world_propose(
        w, &(csti_meta_command){.kind = CSTI_META_TOKEN_RAISE, .lease = CSTI_FOLD_LEASE}, NULL));
    csti_checkpoint_name_format(
        &(csti_checkpoint_name){.kind = CSTI_NAME_FOLD, .token = token, .epoch = 2}, name);
    CHECK_CODE(world_propose(w,
                             &(csti_meta_command){.kind = CSTI_META_REGISTER_FULL,
                                                  .epoch = 2,
                                                  .name = name,
                                                  .bytes = 300,
                                                  .crc = 1,
                                                  .lease = CSTI_FOLD_LEASE,
                                                  .token = token},
                             NULL),
               CST_LEASE);
    CHECK_OK(world_fold(w, 3, 0, &arena, &full, NULL)); // the next one has a newer one
    view = world_view(w, &view_arena);
    CHECK_EQ(view.fulls_count, 1);
    csti_arena_release(&view_arena);
    csti_arena_release(&arena);
    world_close(w);
}

TEST(a_store_that_fails_anywhere_leaves_a_fold_or_none) {
    for (uint64_t seed = 0; seed < 200; seed++) {
        race r = {.other_folds = false};
        const csti_object_sim_faults faults = {.error_before = 60000,
                                               .error_after = 60000,
                                               .lost = 20000};
        csti_manifest manifest;
        csti_manifest_segment full;
        csti_arena view_arena;
        csti_meta_view view;
        cst_err err;
        cst_code code;
        model rows;

        race_open(&r);
        for (int i = 0; i < 3; i++) world_checkpoint(r.w, 30, COMMITTED);
        world_manifest_read(r.w, 3, &r.arena, &manifest);
        csti_object_sim_client_faults(r.w->store, &faults);
        code = csti_fold_partition(&r.slow, &manifest, 0, &r.arena, &full, &err);
        csti_object_sim_client_faults(r.w->store, &WORLD_NO_FAULTS);
        CHECK(code == CST_OK || code == CST_OBJECT_UNAVAILABLE || code == CST_DEADLINE ||
              code == CST_OBJECT_AMBIGUOUS || code == CST_LEASE);
        view = world_view(r.w, &view_arena);
        if (code == CST_OK) CHECK_EQ(view.fulls_count, 1);
        for (uint32_t i = 0; i < view.fulls_count; i++) { // whatever is registered is good
            full =
                (csti_manifest_segment){.name = view.fulls[i].name, .bytes = view.fulls[i].bytes};
            rows = rows_of(r.w, &full);
            CHECK(models_equal(&rows, &r.w->past[2][0].rows));
            model_free(&rows);
        }
        csti_arena_release(&view_arena);
        csti_clock_sim_advance(&r.w->clock, UINT64_C(61) * 1000000000);
        CHECK_OK(csti_fold_partition(&r.slow, &manifest, 0, &r.arena, &full, &err));
        race_close(&r);
    }
}

TEST_MAIN
