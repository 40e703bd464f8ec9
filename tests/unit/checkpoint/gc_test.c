#define _GNU_SOURCE 1 // nftw
#include "checkpoint/verify.h"
#include "unit/checkpoint/world.h"

static csti_gc_report gc(world *w, uint32_t keep, csti_gc_mode mode) {
    csti_compaction_options options = world_compaction(w);
    csti_gc_report report;
    cst_err err;

    options.keep = keep;
    if (csti_gc(&options, mode, NULL, NULL, &report, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return report;
}

// Committed checkpoints that are not deleting.
static uint32_t alive_count(world *w) {
    csti_arena arena;
    const csti_meta_view view = world_view(w, &arena);
    uint32_t count = 0;

    for (uint32_t i = 0; i < view.checkpoints_count; i++) count += !view.checkpoints[i].deleting;
    csti_arena_release(&arena);
    return count;
}

static void all_verify(world *w) {
    const csti_verify_options options = {.store = w->store,
                                         .meta = w->meta,
                                         .clock = &w->clock.clock,
                                         .random = &w->random.random};
    csti_verify_report report;
    cst_err err;

    if (alive_count(w) == 0) return;
    if (csti_verify(&options, &report, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_EQ(report.checkpoints_count, alive_count(w));
}

static size_t listed(world *w, const char *prefix) {
    size_t count = 0;

    CHECK_OK(cst_object_list(w->store, prefix, NULL, name_count, &count, NULL));
    return count;
}

static void pin(world *w, uint64_t reader, uint64_t id, uint64_t ttl_us) {
    CHECK_OK(world_propose(
        w,
        &(csti_meta_command){.kind = CSTI_META_PIN, .reader = reader, .id = id, .ttl_us = ttl_us},
        NULL));
}

// ---- What goes ----------------------------------------------------------------------------------

TEST(the_newest_stay_and_what_only_older_ones_name_goes) {
    world *w = world_open();
    csti_manifest_segment full;
    csti_gc_report report;
    csti_arena arena;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 4; i++) world_checkpoint(w, 20, COMMITTED);
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
        CHECK_OK(world_fold(w, 4, p, &arena, &full, NULL));
        world_use_full(w, p, &full);
    }
    for (int i = 0; i < 3; i++) world_checkpoint(w, 20, COMMITTED);
    report = gc(w, 3, CSTI_GC_RETIRE);
    CHECK_EQ(report.retired_checkpoints, 4);
    // Four manifests, and epochs 1 to 3 of two partitions, which the fulls hold.
    CHECK_EQ(report.deleted_objects, 4 + 2 * 3);
    CHECK(report.deleted_bytes > 0);
    CHECK_EQ(alive_count(w), 3);
    CHECK_EQ(listed(w, "checkpoints/"), 3 + 2 * 4);
    CHECK_EQ(listed(w, "folds/"), 2);
    all_verify(w);
    report = gc(w, 3, CSTI_GC_RETIRE);
    CHECK_EQ(report.retired_checkpoints + report.deleted_objects, 0);
    csti_arena_release(&arena);
    world_close(w);
}

TEST(the_newest_stays_whatever_is_asked) {
    world *w = world_owned();

    CHECK_EQ(gc(w, 1, CSTI_GC_RETIRE).deleted_objects, 0);
    for (int i = 0; i < 2; i++) world_checkpoint(w, 20, COMMITTED);
    gc(w, 1, CSTI_GC_RETIRE);
    CHECK_EQ(alive_count(w), 1);
    CHECK_EQ(listed(w, "checkpoints/"), 1 + 2 * 2); // its chain goes back to the first epoch
    all_verify(w);
    world_close(w);
}

static void collect(void *context, const char *name) {
    CHECK(name_list_add(context, name, NULL));
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

TEST(a_dry_run_names_what_goes_and_changes_nothing) {
    world *w = world_open();
    csti_compaction_options options;
    csti_gc_report dry, done;
    name_list *said = calloc(2, sizeof *said);
    size_t before;

    CHECK(said);
    world_claim(w);
    for (int i = 0; i < 6; i++) world_checkpoint(w, 20, COMMITTED);
    options = world_compaction(w);
    before = objects_count(w->store);
    CHECK_OK(csti_gc(&options, CSTI_GC_DRY, collect, &said[0], &dry, NULL));
    CHECK_EQ(objects_count(w->store), before);
    CHECK_EQ(alive_count(w), 6);
    CHECK_OK(csti_gc(&options, CSTI_GC_RETIRE, collect, &said[1], &done, NULL));
    CHECK_EQ(dry.retired_checkpoints, 3);
    CHECK_EQ(dry.retired_checkpoints, done.retired_checkpoints);
    CHECK_EQ(dry.deleted_objects, done.deleted_objects);
    CHECK_EQ(dry.deleted_bytes, done.deleted_bytes);
    CHECK_EQ(said[0].count, said[1].count);
    for (int i = 0; i < 2; i++)
        qsort(said[i].names, said[i].count, sizeof said[i].names[0], by_text);
    for (size_t i = 0; i < said[0].count; i++) CHECK_TEXT(said[0].names[i], said[1].names[i]);
    free(said);
    world_close(w);
}

TEST(fulls_that_wait_for_a_checkpoint_stay_until_it_has_one) {
    world *w = world_open();
    csti_manifest_segment waiting, newer;
    csti_arena arena;

    csti_arena_init(&arena, 16 << 20);
    world_claim(w);
    for (int i = 0; i < 4; i++) world_checkpoint(w, 20, COMMITTED);
    CHECK_OK(world_fold(w, 4, 0, &arena, &waiting, NULL));
    for (int i = 0; i < 2; i++) world_checkpoint(w, 20, COMMITTED); // they do not use it
    gc(w, 1, CSTI_GC_RETIRE);
    gc(w, 1, CSTI_GC_ORPHANS);
    CHECK(world_has(w, waiting.name));
    CHECK_OK(world_fold(w, 6, 0, &arena, &newer, NULL)); // is the one that waits
    CHECK_TEXT(newer.name, waiting.name);
    world_use_full(w, 0, &newer);
    world_checkpoint(w, 20, COMMITTED);
    CHECK_OK(world_fold(w, 7, 0, &arena, &newer, NULL));
    CHECK(strcmp(newer.name, waiting.name) != 0);
    gc(w, 1, CSTI_GC_RETIRE);
    CHECK(world_has(w, waiting.name)); // the newest checkpoint stands on it
    world_use_full(w, 0, &newer);
    world_checkpoint(w, 20, COMMITTED);
    gc(w, 1, CSTI_GC_RETIRE);
    CHECK(!world_has(w, waiting.name));
    CHECK(world_has(w, newer.name));
    all_verify(w);
    csti_arena_release(&arena);
    world_close(w);
}

// ---- Pins ---------------------------------------------------------------------------------------

TEST(what_is_pinned_stays_until_its_reader_is_done_or_late) {
    world *w = world_owned();
    csti_gc_report report;

    for (int i = 0; i < 4; i++) world_checkpoint(w, 20, COMMITTED);
    pin(w, 11, 1, 1000000);
    pin(w, 12, 2, 2000000);
    report = gc(w, 1, CSTI_GC_RETIRE);
    CHECK_EQ(report.pinned, 2);
    CHECK_EQ(report.retired_checkpoints, 1);
    CHECK(world_has(w, w->manifests[1]));
    CHECK(!world_has(w, w->manifests[3]));
    csti_clock_sim_advance(&w->clock, 1000000001);
    report = gc(w, 1, CSTI_GC_RETIRE);
    CHECK_EQ(report.pinned, 1);
    CHECK(!world_has(w, w->manifests[1]));
    CHECK_CODE(world_propose(
                   w,
                   &(csti_meta_command){.kind = CSTI_META_PIN, .reader = 11, .id = 1, .ttl_us = 1},
                   NULL),
               CST_PIN_EXPIRED);
    CHECK_OK(world_propose(w, &(csti_meta_command){.kind = CSTI_META_UNPIN, .reader = 12}, NULL));
    report = gc(w, 1, CSTI_GC_RETIRE);
    CHECK_EQ(report.pinned, 0);
    CHECK_EQ(alive_count(w), 1);
    all_verify(w);
    world_close(w);
}

// Another process, in the middle of gc.
typedef struct intruder {
    world *w;
    csti_meta *meta;
    const char *at; // the object whose reading it waits for
    uint64_t pins;  // this checkpoint
    bool done;
} intruder;

static void intrude(void *context, csti_object_sim_moment moment, const char *call,
                    const char *name) {
    intruder *other = context;
    csti_meta_result result;

    if (other->done || moment != CSTI_OBJECT_SIM_AFTER || !other->at || strcmp(call, "get") != 0 ||
        strcmp(name, other->at) != 0)
        return;
    other->done = true;
    CHECK_OK(csti_meta_propose(other->meta,
                               &(csti_meta_command){.kind = CSTI_META_PIN,
                                                    .reader = 5,
                                                    .id = other->pins,
                                                    .ttl_us = 1000000},
                               &result, NULL));
}

TEST(a_reader_that_comes_in_the_middle_keeps_its_checkpoint) {
    intruder other = {.w = world_open_in_memory(), .pins = 1};
    world *w = other.w;
    csti_object_sim_options options = {.seed = 1, .clock = &w->clock};
    csti_meta_log_options meta_options;
    cst_object_store *store = NULL;
    csti_gc_report report;

    CHECK_OK(csti_object_sim_client_open(w->sim, &options, &store, NULL));
    meta_options = world_meta_options(w);
    meta_options.store = store;
    CHECK_OK(csti_meta_open_log(&meta_options, &other.meta, NULL));
    cst_object_store_close(w->store); // one that can be watched
    csti_meta_close(w->meta);
    options.yield = intrude;
    options.yield_context = &other;
    CHECK_OK(csti_object_sim_client_open(w->sim, &options, &w->store, NULL));
    world_meta_open(w);
    world_claim(w);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 20, COMMITTED);
    other.at = w->manifests[1];
    report = gc(w, 1, CSTI_GC_RETIRE);
    CHECK(other.done);
    CHECK_EQ(report.pinned, 1);
    CHECK_EQ(report.retired_checkpoints, 1);
    CHECK(world_has(w, w->manifests[1]));
    all_verify(w);
    csti_meta_close(other.meta);
    cst_object_store_close(store);
    world_close(w);
}

// ---- Killed in between --------------------------------------------------------------------------

TEST(a_deletion_that_was_decided_is_ended_by_the_next_gc) {
    world *w = world_owned();
    uint64_t ids[] = {1, 2};
    const char *names[] = {w->manifests[1], w->manifests[2]};
    csti_gc_report report;

    for (int i = 0; i < 3; i++) world_checkpoint(w, 20, COMMITTED);
    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_RETIRE,
                                                .owner = w->owner,
                                                .tenure = w->tenure,
                                                .ids = ids,
                                                .ids_count = 2,
                                                .names = names,
                                                .names_count = 2},
                           NULL));
    world_remove(w, w->manifests[1]); // and killed here
    world_claim(w);
    report = gc(w, 1, CSTI_GC_DRY); // what is being deleted is not read any more
    CHECK_EQ(report.pending_objects, 2);
    CHECK(world_has(w, w->manifests[2]));
    report = gc(w, 3, CSTI_GC_RETIRE);
    CHECK_EQ(report.pending_objects, 2);
    CHECK(!world_has(w, w->manifests[2]));
    csti_arena arena;
    const csti_meta_view view = world_view(w, &arena);
    CHECK_EQ(view.pending_count, 0);
    CHECK_EQ(view.checkpoints_count, 1);
    csti_arena_release(&arena);
    world_close(w);
}

TEST(a_store_that_fails_anywhere_loses_nothing_that_is_kept) {
    for (int seed = 0; seed < TEST_SHARE(200); seed++) {
        const csti_object_sim_faults faults = {.error_before = 40000,
                                               .error_after = 40000,
                                               .lost = 20000};
        world *w = world_open_in_memory();
        csti_compaction_options options;

        world_claim(w);
        options = world_compaction(w);
        for (int i = 0; i < 6; i++) world_checkpoint(w, 10, COMMITTED);
        world_checkpoint(w, 10, CANDIDATE);
        csti_object_sim_client_faults(w->store, &faults);
        for (int i = 0; i < 3; i++) {
            cst_err err;
            const cst_code code = csti_gc(&options, i == 1 ? CSTI_GC_ORPHANS : CSTI_GC_RETIRE, NULL,
                                          NULL, NULL, &err);

            CHECK(code == CST_OK || code == CST_OBJECT_UNAVAILABLE || code == CST_DEADLINE ||
                  code == CST_OBJECT_AMBIGUOUS);
            csti_object_sim_client_faults(w->store, &WORLD_NO_FAULTS);
            all_verify(w);
            csti_object_sim_client_faults(w->store, &faults);
        }
        csti_object_sim_client_faults(w->store, &WORLD_NO_FAULTS);
        gc(w, 3, CSTI_GC_RETIRE);
        CHECK_EQ(alive_count(w), 3);
        CHECK_EQ(listed(w, "checkpoints/"), 3 + 2 * 6 + 3); // and the candidate's
        world_close(w);
    }
}

static void stand_still(void *context, csti_object_sim_moment moment, const char *call,
                        const char *name) {
    world *w = context;

    (void)name;
    if (moment == CSTI_OBJECT_SIM_AFTER && strcmp(call, "delete") == 0)
        csti_clock_sim_advance(&w->clock, UINT64_C(1000001000));
}

// However slow the store is, each gc has less to do than the one before.
TEST(a_gc_whose_steps_take_too_long_goes_on_with_the_next) {
    world *w = world_open_in_memory();
    csti_object_sim_options slow = {.seed = test_random(),
                                    .clock = &w->clock,
                                    .yield = stand_still,
                                    .yield_context = w};
    csti_compaction_options options;
    csti_gc_report report;
    uint64_t deleted = 0;
    size_t before, doomed;
    cst_code code = CST_DEADLINE;
    cst_err err;

    cst_object_store_close(w->store);
    csti_meta_close(w->meta);
    CHECK_OK(csti_object_sim_client_open(w->sim, &slow, &w->store, NULL));
    world_meta_open(w);
    world_claim(w);
    for (int i = 0; i < 5; i++) world_checkpoint(w, 10, COMMITTED);
    before = listed(w, "checkpoints/");
    options = world_compaction(w);
    CHECK_OK(csti_gc(&options, CSTI_GC_DRY, NULL, NULL, &report, &err));
    doomed = report.deleted_objects;
    CHECK(doomed > 1);
    options.step_deadline_us = 1000000;
    for (size_t round = 0; code == CST_DEADLINE && round <= doomed; round++) {
        code = csti_gc(&options, CSTI_GC_RETIRE, NULL, NULL, &report, &err);
        deleted += report.deleted_objects;
        CHECK_EQ(report.deleted_objects, code == CST_DEADLINE);
    }
    CHECK_OK(code);
    CHECK_EQ(deleted, doomed);
    CHECK_EQ(listed(w, "checkpoints/"), before - doomed);
    all_verify(w);
    csti_arena arena;
    const csti_meta_view view = world_view(w, &arena);
    CHECK_EQ(view.pending_count, 0);
    CHECK_EQ(view.checkpoints_count, 3);
    csti_arena_release(&arena);
    world_close(w);
}

// ---- Orphans ------------------------------------------------------------------------------------

TEST(what_can_still_commit_is_no_orphan_however_old_it_is) {
    world *w = world_owned();

    world_checkpoint(w, 20, COMMITTED);
    world_checkpoint(w, 20, UPLOADED);
    world_checkpoint(w, 20, CANDIDATE);
    csti_clock_sim_advance(&w->clock, UINT64_C(365) * 86400 * 1000000000);
    CHECK_EQ(gc(w, 1, CSTI_GC_ORPHANS).deleted_objects, 0);
    world_claim(w);
    CHECK_EQ(gc(w, 1, CSTI_GC_ORPHANS).deleted_objects, 0); // nor once it is only a candidate
    world_checkpoint(w, 20, COMMITTED);                     // of a higher tenure: now it can't
    CHECK_EQ(gc(w, 5, CSTI_GC_ORPHANS).deleted_objects, 2 + 3);
    all_verify(w);
    world_close(w);
}

TEST(an_id_below_the_newest_of_the_same_tenure_is_an_orphan) {
    world *w = world_owned();

    world_checkpoint(w, 20, COMMITTED);
    world_checkpoint(w, 20, UPLOADED); // aborted, say
    world_checkpoint(w, 20, COMMITTED);
    CHECK_EQ(gc(w, 5, CSTI_GC_ORPHANS).deleted_objects, 2);
    CHECK_EQ(listed(w, "checkpoints/"), 2 + 2 * 2);
    all_verify(w);
    world_close(w);
}

TEST(of_an_owner_that_was_pushed_aside_nothing_can_commit_whatever_its_id) {
    world *w = world_owned();

    world_checkpoint(w, 20, COMMITTED);
    w->id = 8;
    world_checkpoint(w, 20, CANDIDATE); // 9, by one that had slept
    w->id = 1;
    world_claim(w);
    world_checkpoint(w, 20, COMMITTED); // 2
    CHECK_EQ(gc(w, 5, CSTI_GC_ORPHANS).deleted_objects, 3);
    CHECK(!world_has(w, w->manifests[9]));
    all_verify(w);
    world_close(w);
}

TEST(what_lies_beside_the_newest_waits_for_the_next_one) {
    world *w = world_owned();
    char name[CSTI_CHECKPOINT_NAME_BYTES];

    world_checkpoint(w, 20, COMMITTED);
    csti_checkpoint_name_format(&(csti_checkpoint_name){.kind = CSTI_NAME_DELTA,
                                                        .id = 1,
                                                        .tenure = w->tenure,
                                                        .nonce = 5,
                                                        .epoch = 1},
                                name);
    world_put(w, name, "x", 1); // an upload that was done again
    gc(w, 5, CSTI_GC_ORPHANS);
    CHECK(world_has(w, name));
    world_checkpoint(w, 20, COMMITTED);
    gc(w, 5, CSTI_GC_ORPHANS);
    CHECK(!world_has(w, name));
    world_close(w);
}

TEST(names_that_are_not_ours_stay) {
    world *w = world_owned();

    for (int i = 0; i < 2; i++) world_checkpoint(w, 20, COMMITTED);
    world_put(w, "checkpoints/notes", "a", 1);
    world_put(w, "folds/readme", "b", 1);
    world_put(w, "other/thing", "c", 1);
    gc(w, 1, CSTI_GC_ORPHANS);
    CHECK(world_has(w, "checkpoints/notes"));
    CHECK(world_has(w, "folds/readme"));
    CHECK(world_has(w, "other/thing"));
    world_close(w);
}

TEST(a_fold_of_a_live_lease_stays_and_goes_when_the_lease_is_over) {
    static const char left[] = "folds/1-00000000000000aa/0-1";
    world *w = world_owned();
    csti_meta_result result;

    for (int i = 0; i < 2; i++) world_checkpoint(w, 20, COMMITTED);
    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_LEASE,
                                                .lease = CSTI_FOLD_LEASE,
                                                .owner = 777,
                                                .ttl_us = 1000000},
                           &result));
    CHECK_EQ(result.token, 1);
    world_put(w, left, "x", 1);
    gc(w, 1, CSTI_GC_ORPHANS);
    CHECK(world_has(w, left)); // the folder may be about to register it
    csti_clock_sim_advance(&w->clock, 1000000001);
    CHECK_EQ(gc(w, 1, CSTI_GC_ORPHANS).deleted_objects, 1);
    CHECK(!world_has(w, left));
    // It was asleep, and wakes up.
    CHECK_CODE(world_propose(w,
                             &(csti_meta_command){.kind = CSTI_META_REGISTER_FULL,
                                                  .epoch = 1,
                                                  .name = left,
                                                  .bytes = 1,
                                                  .crc = 1,
                                                  .lease = CSTI_FOLD_LEASE,
                                                  .token = 1},
                             NULL),
               CST_LEASE);
    world_close(w);
}

TEST(gc_by_one_that_was_pushed_aside_deletes_nothing) {
    world *w = world_owned();
    csti_compaction_options options;
    cst_err err;
    size_t before;

    for (int i = 0; i < 5; i++) world_checkpoint(w, 20, COMMITTED);
    options = world_compaction(w);
    world_claim(w);
    before = listed(w, "checkpoints/");
    CHECK_CODE(csti_gc(&options, CSTI_GC_RETIRE, NULL, NULL, NULL, &err), CST_FENCED);
    CHECK_EQ(listed(w, "checkpoints/"), before);
    world_close(w);
}

TEST(while_a_kept_manifest_cannot_be_read_nothing_is_deleted) {
    world *w = world_owned();
    csti_compaction_options options;
    cst_err err;
    size_t before;

    for (int i = 0; i < 5; i++) world_checkpoint(w, 20, COMMITTED);
    world_flip(w, w->manifests[4], 50);
    options = world_compaction(w);
    before = objects_count(w->store);
    CHECK_CODE(csti_gc(&options, CSTI_GC_RETIRE, NULL, NULL, NULL, &err), CST_MANIFEST);
    CHECK(strstr(err.text, w->manifests[4]));
    CHECK_EQ(objects_count(w->store), before);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 20, COMMITTED);
    gc(w, 3, CSTI_GC_RETIRE); // it is among those that go
    CHECK(!world_has(w, w->manifests[4]));
    all_verify(w);
    world_close(w);
}

// ---- Against a model ----------------------------------------------------------------------------

typedef struct history {
    world *w;
    csti_arena arena;
    uint32_t keep;
    uint64_t readers; // last
    csti_manifest_segment fulls[WORLD_PARTITIONS];
    bool have_full[WORLD_PARTITIONS];
} history;

static void step_fold(history *h) {
    const uint32_t p = (uint32_t)test_random_below(WORLD_PARTITIONS);
    csti_manifest_segment full;
    cst_err err;
    cst_code code;

    if (h->w->base_id == 0) return;
    code = world_fold(h->w, h->w->base_id, p, &h->arena, &full, &err);
    if (code == CST_AGAIN) return;
    CHECK_OK(code);
    h->fulls[p] = full;
    h->have_full[p] = true;
}

static void step_use(history *h) {
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
        if (h->have_full[p]) world_use_full(h->w, p, &h->fulls[p]);
        h->have_full[p] = false;
    }
}

static void step_pin(history *h) {
    csti_arena arena;
    const csti_meta_view view = world_view(h->w, &arena);

    if (view.checkpoints_count > 0) {
        const uint32_t at = (uint32_t)test_random_below(view.checkpoints_count);

        pin(h->w, ++h->readers, view.checkpoints[at].id, 1000000 * (1 + test_random_below(5)));
    }
    csti_arena_release(&arena);
}

// A name that has to be there, or may not be, after ORPHANS: by what is committed alone.
static bool is_named(world *w, const csti_meta_view *view, const char *name, csti_arena *arena) {
    for (uint32_t i = 0; i < view->checkpoints_count; i++) {
        csti_manifest manifest;

        if (strcmp(view->checkpoints[i].manifest, name) == 0) return true;
        world_manifest_read(w, view->checkpoints[i].id, arena, &manifest);
        for (uint32_t p = 0; p < manifest.partitions_count; p++)
            for (uint32_t s = 0; s < manifest.partitions[p].segments_count; s++)
                if (strcmp(manifest.partitions[p].segments[s].name, name) == 0) return true;
    }
    return false;
}

static bool may_be_there(const csti_meta_view *view, const char *text) {
    const csti_meta_checkpoint *newest = csti_meta_view_newest(view);
    csti_checkpoint_name name, made;

    CHECK(csti_checkpoint_name_parse(text, &name));
    if (name.kind == CSTI_NAME_FOLD) {
        for (uint32_t i = 0; i < view->fulls_count; i++)
            if (strcmp(view->fulls[i].name, text) == 0) return true;
        return false;
    }
    // Not below the newest: the tenure is the world's at the time, or the id is above.
    if (!newest) return true;
    CHECK(csti_checkpoint_name_parse(newest->manifest, &made));
    return name.tenure > made.tenure || (name.tenure == made.tenure && name.id >= made.id);
}

static void orphans_check(history *h) {
    world *w = h->w;
    csti_arena arena;
    const csti_meta_view view = world_view(w, &arena);
    name_list *names = calloc(1, sizeof *names);

    CHECK(names);
    CHECK_OK(cst_object_list(w->store, "checkpoints/", NULL, name_list_add, names, NULL));
    CHECK_OK(cst_object_list(w->store, "folds/", NULL, name_list_add, names, NULL));
    for (size_t i = 0; i < names->count; i++)
        if (!is_named(w, &view, names->names[i], &arena))
            CHECK(may_be_there(&view, names->names[i]));
    CHECK_EQ(view.pending_count, 0);
    free(names);
    csti_arena_release(&arena);
}

static void step_gc(history *h) {
    const bool orphans = test_random_below(2) == 0;

    gc(h->w, h->keep, orphans ? CSTI_GC_ORPHANS : CSTI_GC_RETIRE);
    all_verify(h->w);
    CHECK(alive_count(h->w) >= (h->w->base_id > 0));
    if (orphans) orphans_check(h);
}

static void step_other_owner(history *h) {
    world_claim(h->w);
    memset(h->have_full, 0, sizeof h->have_full); // it does not know them
}

TEST(any_history_keeps_what_it_should_and_no_more) {
    for (int round = 0; round < 12; round++) {
        history h = {.w = world_open_in_memory(), .keep = 1 + (uint32_t)test_random_below(4)};

        csti_arena_init(&h.arena, 256 << 20);
        world_claim(h.w);
        while (h.w->id + 2 < WORLD_IDS) {
            switch (test_random_below(9)) {
            case 0:
                step_fold(&h);
                break;
            case 1:
                step_use(&h);
                break;
            case 2:
                step_pin(&h);
                break;
            case 3:
                step_gc(&h);
                break;
            case 4:
                world_checkpoint(h.w, 5, UPLOADED);
                break;
            case 5:
                world_checkpoint(h.w, 5, CANDIDATE);
                break;
            case 6:
                if (test_random_below(4) == 0) step_other_owner(&h);
                csti_clock_sim_advance(&h.w->clock, 500000000);
                break;
            default:
                if (h.w->parts[0].count < WORLD_CHAIN) world_checkpoint(h.w, 5, COMMITTED);
            }
        }
        csti_clock_sim_advance(&h.w->clock, UINT64_C(100) * 1000000000);
        gc(h.w, h.keep, CSTI_GC_ORPHANS);
        all_verify(h.w);
        orphans_check(&h);
        CHECK(alive_count(h.w) <= h.keep);
        csti_arena_release(&h.arena);
        world_close(h.w);
    }
}

TEST_MAIN
