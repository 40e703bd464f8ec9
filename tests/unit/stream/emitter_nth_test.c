// emitter_nth_test.c: when an allocation fails, an emitter does not open, or puts nothing out.
#include "nth.h"

#include "unit/stream/emitter_rows.h"

TEST(a_failed_allocation_opens_none) {
    uint64_t n = 1;

    for (;; n++) {
        fixture f;
        cst_err err = {.code = CST_OK};

        fixture_open(&f, (csti_window){.size_us = 40, .hop_us = 20});
        nth_fail_at(n);
        const cst_code code = emitter_make(&f, &err);
        const bool failed = nth_end();
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        fixture_close(&f);
        if (!failed) break;
    }
    CHECK(n > 10);
}

TEST(keys_that_grow_find_no_memory_or_go_out) {
    for (uint64_t n = 1;; n++) {
        fixture f;
        cst_err err = {.code = CST_OK};

        fixture_open(&f, (csti_window){0});
        CHECK_OK(emitter_make(&f, NULL));
        const cst_row_ref put = row_of(&f, 1, "a city", 0, 1, NULL);
        CHECK_OK(csti_emitter_put(f.emitter, &put, NULL));
        nth_fail_at(n);
        const cst_code code = csti_emitter_flush(f.emitter, &err);
        const bool failed = nth_end();
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        fixture_close(&f);
        if (!failed) break;
    }
}

TEST_MAIN
