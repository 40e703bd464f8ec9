// Sessions that find no memory.
#include "unit/stream/session_rows.h"

#include "nth.h"

enum { NTH_MAX = 1000 };

static cst_code life(fixture *f, cst_err *err) {
    const csti_pane_cut *cut = NULL;
    cst_code code = sessions_make(f, CSTI_WATERMARK_NONE, err);

    for (int64_t i = 0; i < 20 && code == CST_OK; i++) {
        row_add(f, 1, 20 * i, 1); // one key has many
        row_add(f, (uint64_t)i + 2, i, 1);
        row_add(f, 1, 20 * i - 5, 1);
        code = rows_send(f, err);
    }
    if (code == CST_OK) code = csti_sessions_seal(f->sessions, &cut, err);
    if (code != CST_OK) return code;
    csti_sessions_watermark(f->sessions, 100);
    code = csti_sessions_close_some(f->sessions, 10, err);
    return code == CST_OK ? csti_sessions_seal(f->sessions, &cut, err) : code;
}

TEST(what_finds_no_memory_says_so_and_leaves_nothing) {
    cst_code code = CST_NO_MEMORY;
    uint64_t n = 1;

    for (; n < NTH_MAX && code != CST_OK; n++) {
        fixture *f = fixture_open();
        cst_err err = {0};

        nth_fail_at(n);
        code = life(f, &err);
        const bool failed = nth_end();
        fixture_close(f);
        if (failed) CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    CHECK(n > 8); // some were tried
}

TEST_MAIN
