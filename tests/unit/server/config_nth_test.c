#include "nth.h"

#include "unit/server/jobs.h"

static csti_job_config config;

TEST(a_job_that_finds_no_memory_says_so_and_leaks_nothing) {
    cst_err err = {.code = CST_OK};
    cst_code code = CST_OK;

    for (uint64_t n = 1;; n++) {
        CHECK(n < 1000);
        nth_fail_at(n);
        code = job_read(JOB_LEAST "[[filter]]\ncolumn = \"price\"\nop = \">\"\nvalue = 2.5\n",
                        &config, &err);
        if (!nth_end()) break;
        if (code != CST_NO_MEMORY)
            TEST_FAIL("allocation %" PRIu64 ": %s: %s", n, cst_code_name(code), err.text);
        csti_config_close(&config);
    }
    CHECK_CODE(code, CST_CONFIG); // 2.5 is no u64
    csti_config_close(&config);
}

TEST(a_shape_that_finds_no_memory_says_so_and_leaks_nothing) {
    cst_err err = {.code = CST_OK};
    cst_operator_shape rows;
    csti_job_shape shape;
    cst_code code = CST_OK;

    CHECK_OK(job_read(JOB_LEAST, &config, &err));
    CHECK_OK(csti_job_rows_shape(&config, &rows, &err));
    for (uint64_t n = 1;; n++) {
        csti_arena arena;

        CHECK(n < 1000);
        csti_arena_init(&arena, 1 << 20);
        nth_fail_at(n);
        code = csti_job_shape_make(&config, &rows, &arena, &shape, &err);
        csti_arena_release(&arena);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    csti_config_close(&config);
}

#define JOB_THEN                                                                                   \
    "[job]\nname = \"j\"\n[source]\nkind = \"generator\"\nname = \"bids\"\nevent_time = \"at\"\n"  \
    "[key]\ncolumns = [\"auction\"]\n[window]\ntumbling = \"1s\"\n[[aggregate]]\nas = \"n\"\n"     \
    "op = \"count\"\n[then.key]\ncolumns = [\"auction\"]\n[then.window]\ntumbling = \"1m\"\n"      \
    "[[then.aggregate]]\nas = \"most\"\nop = \"max\"\ncolumn = \"n\"\n"

TEST(a_second_stage_that_finds_no_memory_says_so_and_leaks_nothing) {
    cst_err err = {.code = CST_OK};
    cst_operator_shape rows;
    csti_job_shape shape, then;
    csti_arena first;
    cst_code code = CST_OK;

    CHECK_OK(job_read(JOB_THEN, &config, &err));
    CHECK_EQ(csti_job_stages_count(&config), 2);
    CHECK_OK(csti_job_rows_shape(&config, &rows, &err));
    csti_arena_init(&first, 1 << 20);
    CHECK_OK(csti_job_shape_make(&config, &rows, &first, &shape, &err));
    for (uint64_t n = 1;; n++) {
        csti_arena arena;

        CHECK(n < 1000);
        csti_arena_init(&arena, 1 << 20);
        nth_fail_at(n);
        code = csti_job_then_make(&config, &shape, &arena, &then, &err);
        csti_arena_release(&arena);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    CHECK(then.identity.table_id != shape.identity.table_id);
    csti_arena_release(&first);
    csti_config_close(&config);
}

TEST_MAIN
