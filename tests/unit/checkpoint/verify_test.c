#define _GNU_SOURCE 1 // nftw
#include "checkpoint/verify.h"
#include "unit/checkpoint/world.h"

typedef struct seen {
    uint64_t damages_count, checkpoints_count;
    uint64_t damaged_ids[WORLD_IDS];
    cst_err damage[WORLD_IDS];
    uint64_t bytes_done, bytes_all;
} seen;

static void damage_see(void *context, uint64_t id, const cst_err *err) {
    seen *all = context;

    all->damaged_ids[all->damages_count] = id;
    all->damage[all->damages_count++] = *err;
}

static void checkpoint_see(void *context, const csti_verify_checkpoint *checkpoint) {
    seen *all = context;

    CHECK(checkpoint->id > 0);
    all->checkpoints_count++;
}

static void progress_see(void *context, uint64_t bytes_done, uint64_t bytes_all) {
    seen *all = context;

    CHECK(bytes_done > all->bytes_done);
    CHECK(bytes_done <= bytes_all);
    all->bytes_done = bytes_done;
    all->bytes_all = bytes_all;
}

static csti_verify_options options_of(world *w, seen *all) {
    *all = (seen){0};
    return (csti_verify_options){
        .store = w->store,
        .meta = w->meta,
        .clock = &w->clock.clock,
        .random = &w->random.random,
        .damage = damage_see,
        .checkpoint = checkpoint_see,
        .progress = progress_see,
        .context = all,
    };
}

TEST(good_checkpoints_are_read_whole_and_shared_segments_once) {
    world *w = world_owned();
    seen *all = malloc(sizeof *all);
    csti_verify_options options;
    csti_verify_report report;
    csti_arena arena;
    uint64_t bytes = 0;

    for (int i = 0; i < 4; i++) world_checkpoint(w, 50, COMMITTED);
    options = options_of(w, all);
    CHECK_OK(csti_verify(&options, &report, NULL));
    CHECK_EQ(report.checkpoints_count, 4);
    CHECK_EQ(report.damaged_count, 0);
    CHECK_EQ(report.objects_count, 4 + 2 * 4);
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++)
        for (uint32_t s = 0; s < 4; s++) bytes += w->past[4][p].segments[s].bytes;
    CHECK(report.bytes > bytes);
    CHECK_EQ(all->checkpoints_count, 4);
    CHECK(all->bytes_done > bytes);
    const csti_meta_view view = world_view(w, &arena);
    CHECK_EQ(view.pins_count, 0); // all given back
    csti_arena_release(&arena);
    free(all);
    world_close(w);
}

TEST(each_flipped_bit_of_each_object_is_found_and_its_object_named) {
    world *w = world_owned();
    seen *all = malloc(sizeof *all);
    csti_verify_options options;
    csti_verify_report report;
    cst_err err;

    for (int i = 0; i < 2; i++) world_checkpoint(w, 3, COMMITTED);
    for (int i = 0; i < 400; i++) {
        const bool manifest = test_random_below(4) == 0;
        const uint32_t p = (uint32_t)test_random_below(WORLD_PARTITIONS);
        const uint32_t s = (uint32_t)test_random_below(2);
        const char *name = manifest ? w->manifests[1 + s] : w->past[2][p].names[s];
        cst_object_info info;
        long offset;

        CHECK_OK(cst_object_head(w->store, name, &info, NULL));
        offset = (long)test_random_below(info.bytes);
        world_flip(w, name, offset);
        options = options_of(w, all);
        const cst_code code = csti_verify(&options, &report, &err);
        if (code == CST_OK) TEST_FAIL("%s: offset %ld went unnoticed", name, offset);
        CHECK(report.damaged_count > 0);
        CHECK(strstr(err.text, name));
        CHECK(strstr(all->damage[0].text, name));
        world_flip(w, name, offset);
    }
    options = options_of(w, all);
    CHECK_OK(csti_verify(&options, &report, &err));
    free(all);
    world_close(w);
}

TEST(it_goes_on_behind_damage_and_finds_all_of_it) {
    world *w = world_owned();
    seen *all = malloc(sizeof *all);
    csti_verify_options options;
    csti_verify_report report;
    cst_err err;

    for (int i = 0; i < 4; i++) world_checkpoint(w, 50, COMMITTED);
    world_flip(w, w->manifests[4], 30);
    world_flip(w, w->past[3][0].names[2], 200);
    world_truncate(w, w->past[3][1].names[2], 200);
    options = options_of(w, all);
    CHECK_CODE(csti_verify(&options, &report, &err), CST_MANIFEST);
    CHECK_EQ(report.checkpoints_count, 4);
    CHECK_EQ(report.damaged_count, 2); // 4 and 3; 2 and 1 stand before the damage
    CHECK_EQ(all->damages_count, 3);
    CHECK_EQ(all->damage[1].code, CST_SEGMENT_CHECKSUM);
    CHECK_EQ(all->damage[2].code, CST_SEGMENT_TRUNCATED);
    free(all);
    world_close(w);
}

TEST(one_checkpoint_is_verified_by_its_id) {
    world *w = world_owned();
    seen *all = malloc(sizeof *all);
    csti_verify_options options;
    csti_verify_report report;
    cst_err err;

    options = options_of(w, all);
    CHECK_CODE(csti_verify(&options, &report, &err), CST_NOT_FOUND);
    for (int i = 0; i < 3; i++) world_checkpoint(w, 50, COMMITTED);
    world_remove(w, w->past[3][0].names[2]);
    options = options_of(w, all);
    options.id = 2;
    CHECK_OK(csti_verify(&options, &report, &err));
    CHECK_EQ(report.checkpoints_count, 1);
    options = options_of(w, all);
    options.id = 3;
    CHECK_CODE(csti_verify(&options, &report, &err), CST_NOT_FOUND);
    CHECK(strstr(err.text, w->past[3][0].names[2]));
    options.id = 4;
    CHECK_CODE(csti_verify(&options, &report, &err), CST_NOT_FOUND);
    free(all);
    world_close(w);
}

// ---- Pins ---------------------------------------------------------------------------------------

TEST(a_pin_keeps_a_checkpoint_until_its_end) {
    world *w = world_open();
    csti_compaction_options compaction;
    csti_pin pin = {.id = 0};
    csti_gc_report report;

    csti_pin_end(&pin); // none
    world_claim(w);
    CHECK_CODE(csti_pin_take(w->meta, &w->clock.clock, &w->random.random, 0, &pin, NULL),
               CST_NOT_FOUND);
    world_checkpoint(w, 20, COMMITTED);
    CHECK_OK(csti_pin_take(w->meta, &w->clock.clock, &w->random.random, 0, &pin, NULL));
    CHECK_EQ(pin.id, 1);
    for (int i = 0; i < 2; i++) world_checkpoint(w, 20, COMMITTED);
    compaction = world_compaction(w);
    compaction.keep = 1;
    for (int i = 0; i < 5; i++) { // held for far longer than one term
        csti_clock_sim_advance(&w->clock, CSTI_PIN_TTL_US * 1000 / 2);
        CHECK_OK(csti_pin_hold(&pin, NULL));
        CHECK_OK(csti_gc(&compaction, CSTI_GC_RETIRE, NULL, NULL, &report, NULL));
        CHECK_EQ(report.pinned, 1);
    }
    csti_pin_end(&pin);
    CHECK_OK(csti_gc(&compaction, CSTI_GC_RETIRE, NULL, NULL, &report, NULL));
    CHECK_EQ(report.retired_checkpoints, 1);
    CHECK_CODE(csti_pin_take(w->meta, &w->clock.clock, &w->random.random, 1, &pin, NULL),
               CST_NOT_FOUND);
    world_close(w);
}

TEST(a_reader_that_was_too_slow_is_told) {
    world *w = world_owned();
    csti_pin pin;

    for (int i = 0; i < 2; i++) world_checkpoint(w, 20, COMMITTED);
    CHECK_OK(csti_pin_take(w->meta, &w->clock.clock, &w->random.random, 1, &pin, NULL));
    csti_clock_sim_advance(&w->clock, CSTI_PIN_TTL_US * 1000 + 1000);
    CHECK_CODE(csti_pin_hold(&pin, NULL), CST_PIN_EXPIRED);
    csti_pin_end(&pin);
    world_close(w);
}

TEST_MAIN
