// Panes that find no memory.
#include "unit/stream/pane_rows.h"

#include "nth.h"

enum { NTH_MAX = 1000 };

TEST(what_finds_no_memory_says_so_and_leaves_nothing) {
    cst_code code = CST_NO_MEMORY;
    uint64_t n = 1;

    for (; n < NTH_MAX; n++) {
        fixture *f = fixture_open(true, false);
        const csti_pane_cut *cut = NULL;
        bool over = false;
        cst_err err = {0};

        csti_panes_close(f->panes);
        f->panes = NULL;
        csti_metrics_close(f->metrics);
        CHECK_OK(csti_metrics_open(&f->metrics, NULL));
        row_add(f, 1, 0, 1);
        row_add(f, 1, SIZE, 1);
        nth_fail_at(n);
        code = panes_make(f, true, false, &err);
        if (code == CST_OK) code = csti_panes_rows(f->panes, f->keeper, &f->block, &over, &err);
        if (code == CST_OK) {
            completions_take(f, &over);
            csti_panes_watermark(f->panes, SIZE);
            code = csti_panes_close_some(f->panes, 10, &err);
        }
        if (code == CST_OK) code = csti_panes_seal(f->panes, &cut, &err);
        const bool failed = nth_end();
        fixture_close(f);
        if (!failed) break;
        if (code != CST_OK) CHECK_CODE(code, CST_NO_MEMORY); // a table ahead may be missed
    }
    CHECK_OK(code);
    CHECK(n > 8); // some were tried
}

TEST_MAIN
