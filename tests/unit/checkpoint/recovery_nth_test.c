#define _GNU_SOURCE 1 // nftw
#include "checkpoint/recovery.h"
#include "checkpoint/verify.h"
#include "nth.h"
#include "unit/checkpoint/world.h"

// In memory, four checkpoints.
static world *small_open(void) {
    world *w = world_open_in_memory();

    world_claim(w);
    for (int i = 0; i < 4; i++) world_checkpoint(w, 5, COMMITTED);
    return w;
}

static csti_recovery_options options_of(world *w, const csti_job_identity *identity) {
    return (csti_recovery_options){.store = w->store,
                                   .meta = w->meta,
                                   .clock = &w->clock.clock,
                                   .expect = identity,
                                   .owner = w->owner,
                                   .tenure = w->tenure,
                                   .verify_all = true};
}

// NO_MEMORY, or a store or proposal that failed for want of it and says what is not known.
static void check_code(cst_code code) {
    CHECK(code == CST_OK || code == CST_NO_MEMORY || code == CST_OBJECT_AMBIGUOUS);
}

TEST(recovery_without_memory_says_so_and_goes_the_next_time) {
    for (uint64_t n = 1;; n += 1 + n / 16) {
        world *w = small_open();
        const csti_job_identity identity = world_identity(w);
        csti_recovery_options options;
        csti_recovery_plan plan;
        cst_code code;
        bool failed;

        world_checkpoint(w, 5, CANDIDATE);
        world_claim(w);
        options = options_of(w, &identity);
        nth_fail_at(n);
        code = csti_recovery_plan_open(&options, &plan, NULL, NULL);
        failed = nth_end();
        check_code(code);
        csti_recovery_plan_close(&plan);
        CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
        CHECK_EQ(plan.report.chosen_id, 5);
        CHECK(world_chains_hold(w, plan.chains, 5));
        csti_recovery_plan_close(&plan);
        world_close(w);
        if (!failed) break;
    }
}

TEST(a_fold_without_memory_says_so_and_goes_the_next_time) {
    for (uint64_t n = 1;; n += 1 + n / 16) {
        world *w = small_open();
        csti_manifest_segment full;
        csti_manifest manifest;
        csti_arena arena;
        cst_code code;
        bool failed;

        csti_arena_init(&arena, 16 << 20);
        world_manifest_read(w, 4, &arena, &manifest);
        const csti_compaction_options options = world_compaction(w);
        nth_fail_at(n);
        code = csti_fold_partition(&options, &manifest, 0, &arena, &full, NULL);
        failed = nth_end();
        check_code(code);
        CHECK_OK(csti_fold_partition(&options, &manifest, 0, &arena, &full, NULL));
        CHECK_EQ(full.epoch_to, 3);
        csti_arena_release(&arena);
        world_close(w);
        if (!failed) break;
    }
}

TEST(gc_without_memory_says_so_and_ends_the_next_time) {
    for (uint64_t n = 1;; n += 1 + n / 16) {
        world *w = small_open();
        csti_compaction_options options = world_compaction(w);
        size_t count = 0;
        cst_code code;
        bool failed;

        options.keep = 2;
        world_checkpoint(w, 5, UPLOADED);
        world_checkpoint(w, 5, COMMITTED);
        nth_fail_at(n);
        code = csti_gc(&options, CSTI_GC_ORPHANS, NULL, NULL, NULL, NULL);
        failed = nth_end();
        check_code(code);
        CHECK_OK(csti_gc(&options, CSTI_GC_ORPHANS, NULL, NULL, NULL, NULL));
        CHECK_OK(cst_object_list(w->store, "checkpoints/", NULL, name_count, &count, NULL));
        CHECK_EQ(count, 2 + 2 * 5);
        world_close(w);
        if (!failed) break;
    }
}

TEST(verify_without_memory_never_calls_it_damage) {
    world *w = small_open();

    for (uint64_t n = 1;; n += 1 + n / 16) {
        const csti_verify_options options = {.store = w->store,
                                             .meta = w->meta,
                                             .clock = &w->clock.clock,
                                             .random = &w->random.random};
        csti_verify_report report;
        cst_code code;

        nth_fail_at(n);
        code = csti_verify(&options, &report, NULL);
        if (!nth_end()) {
            CHECK_OK(code);
            break;
        }
        check_code(code);
        CHECK_EQ(report.damaged_count, 0);
    }
    world_close(w);
}

TEST_MAIN
