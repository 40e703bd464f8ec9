// Every allocation of an aligner fails once, and there is none after open.
#include "nth.h"

#include "stream/aligner.h"
#include "test.h"

TEST(an_aligner_without_memory_leaves_nothing_behind) {
    uint64_t n;

    for (n = 1;; n++) {
        csti_aligner *aligner = NULL;
        cst_err err = {0};
        cst_code code;

        nth_fail_at(n);
        code = csti_aligner_open(&(csti_aligner_options){.inputs_count = 3}, &aligner, &err);
        if (!nth_end()) {
            CHECK_OK(code);
            csti_aligner_close(aligner);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK(!aligner);
        CHECK(err.text[0] != 0);
    }
    CHECK_EQ(n, 3);
}

static void push(csti_aligner *aligner, uint32_t input, csti_message message) {
    csti_aligned out;

    csti_aligner_push(aligner, input, &message);
    while (csti_aligner_next(aligner, 0, &out) != CSTI_ALIGNED_NOTHING) {}
}

TEST(holding_and_draining_allocate_nothing) {
    csti_block block = {.rows_count = 1};
    const csti_message rows = {.kind = CSTI_MESSAGE_ROWS, .block = &block};
    csti_aligner *aligner = NULL;

    CHECK_OK(csti_aligner_open(&(csti_aligner_options){.inputs_count = 2, .messages_max = 100},
                               &aligner, NULL));
    nth_fail_at(0);
    for (uint64_t id = 1; id < 50; id++) {
        const csti_message barrier = {.kind = CSTI_MESSAGE_BARRIER, .barrier = {.id = id}};

        push(aligner, 0, barrier);
        while (csti_aligner_wants(aligner, 0)) push(aligner, 0, rows);
        push(aligner, 1, rows);
        push(aligner, 1, barrier);
        CHECK(csti_aligner_wants(aligner, 0));
    }
    CHECK_EQ(nth_count(), 0);
    csti_aligner_close(aligner);
}

TEST_MAIN
