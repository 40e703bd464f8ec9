#define _GNU_SOURCE // nftw

// Each allocation fails once: nothing changes, nothing leaks, and the next try succeeds.
#include "nth.h"

#include "unit/meta/logs.h"
#include "unit/meta/stories.h"

TEST(a_command_that_finds_no_memory_changes_nothing) {
    csti_meta_machine *machine = machine_make();
    static story_step step;
    uint64_t failed = 0;

    for (int i = 0; i < 600; i++) {
        const csti_meta_view view = view_of(machine);
        csti_buffer before = state_of(machine), after;
        csti_meta_result result;
        cst_code code;

        story_next(&step, &view);
        for (uint64_t n = 1;; n++) {
            nth_fail_at(n);
            code = csti_meta_machine_apply(machine, view.index + 1, &step.command, &result, NULL);
            if (!nth_end()) break;
            CHECK_CODE(code, CST_NO_MEMORY);
            after = state_of(machine);
            CHECK_EQ(after.used_bytes, before.used_bytes);
            CHECK_BYTES(after.bytes, before.bytes, before.used_bytes);
            csti_buffer_release(&after);
            failed++;
        }
        CHECK_OK(code);
        csti_buffer_release(&before);
    }
    CHECK(failed > 300);
    csti_meta_machine_close(machine);
}

TEST(bytes_that_find_no_memory_are_read_later) {
    csti_meta_machine *machine = machine_make(), *read = NULL;
    static story_step step;
    csti_buffer bytes;
    cst_code code;
    uint64_t n = 1;

    for (int i = 0; i < 400; i++) {
        const csti_meta_view view = view_of(machine);

        story_next(&step, &view);
        (void)apply(machine, step.command);
    }
    csti_buffer_init(&bytes, STATE_BYTES_MAX);
    for (;; n++) {
        nth_fail_at(n);
        code = csti_meta_machine_encode(machine, &bytes, NULL);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK_EQ(bytes.used_bytes, 0);
    }
    CHECK_OK(code);
    for (n = 1;; n++) {
        nth_fail_at(n);
        code = csti_meta_machine_decode(bytes.bytes, bytes.used_bytes, &read, NULL);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    CHECK(n > 20);
    CHECK(states_are_equal(machine, read));
    csti_meta_machine_close(read);
    csti_meta_machine_close(machine);
    csti_buffer_release(&bytes);
}

// A proposal that fails for want of memory was decided, not decided, or says that it is open. What
// is open is settled by reading.
TEST(a_log_that_finds_no_memory_goes_on_later) {
    csti_object_sim_world *world = world_make();
    cst_object_store *store = client_make(world);
    const csti_meta_log_options options = log_options(store);
    const csti_meta_command command = claim(OWNER);
    csti_meta *meta = NULL;
    csti_meta_result result;
    uint64_t decided = 0, n;
    cst_code code;

    for (n = 1;; n++) {
        nth_fail_at(n);
        code = csti_meta_open_log(&options, &meta, NULL);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    for (int i = 0; i < 3 * EVERY; i++) {
        for (n = 1;; n++) {
            nth_fail_at(n);
            code = csti_meta_propose(meta, &command, &result, NULL);
            if (!nth_end()) break;
            CHECK(code == CST_OK || code == CST_NO_MEMORY || code == CST_OBJECT_AMBIGUOUS);
            CHECK_OK(csti_meta_refresh(meta, NULL));
            decided = tenure_of(meta) - decided <= 1 ? tenure_of(meta) : UINT64_MAX;
            CHECK_EQ(decided, tenure_of(meta)); // at most one more than before
            if (code == CST_OK) CHECK_EQ(result.tenure, decided);
        }
        CHECK_OK(code);
        CHECK_EQ(result.tenure, decided + 1);
        decided++;
    }
    for (n = 1;; n++) {
        csti_arena arena;
        csti_meta_view view;

        csti_arena_init(&arena, VIEW_BYTES_MAX);
        nth_fail_at(n);
        code = csti_meta_read(meta, &arena, &view, NULL);
        csti_arena_release(&arena);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    csti_meta_close(meta);
    meta = log_open(store);
    CHECK_EQ(tenure_of(meta), decided);
    csti_meta_close(meta);
    cst_object_store_close(store);
    csti_object_sim_world_close(world);
}

TEST_MAIN
