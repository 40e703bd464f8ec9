// Each allocation on the way to a running queue fails once: a typed error, and nothing stays behind
// (the sanitizers' builds look for that).
#include "fixture.h"
#include "nth.h"

static cst_code open_all(const char *uri, fixture *f, cst_driver **driver) {
    const cst_table_options options = fixture_options();
    const cst_queue_options queue_options = {.depth = FIXTURE_DEPTH};
    cst_code code = cst_device_open(uri, &f->device, NULL);

    if (code == CST_OK) code = cst_queue_open(f->device, &queue_options, &f->queue, NULL);
    if (code == CST_OK) code = cst_schema_parse("u64,string", &f->keys, NULL);
    if (code == CST_OK) code = cst_device_table_open(f->queue, &options, &f->keys, &f->table, NULL);
    if (code == CST_OK) code = cst_driver_open(f->queue, driver, NULL);
    return code;
}

static void every_allocation_fails_once(const char *uri) {
    for (uint64_t n = 1;; n++) {
        fixture f = {0};
        cst_driver *driver = NULL;
        bool failed;
        cst_code code;

        nth_fail_at(n);
        code = open_all(uri, &f, &driver);
        failed = nth_end();
        if (failed && code != CST_OK) CHECK_CODE(code, CST_NO_MEMORY);
        cst_driver_close(driver);
        fixture_close(&f);
        if (failed) continue;
        CHECK_CODE(code, CST_OK);
        CHECK(n > 5);
        return;
    }
}

TEST(an_inline_queue_opens_or_says_no_memory) {
    every_allocation_fails_once("cpu:");
}
TEST(a_queue_with_a_worker_opens_or_says_no_memory) {
    every_allocation_fails_once("cpu:?worker=1");
}
TEST(a_wrapped_device_opens_or_says_no_memory) {
    every_allocation_fails_once("fault:cpu:");
}

TEST(commands_allocate_nothing) {
    fixture f;
    fixture_rows *rows = fixture_rows_make(100, 0);
    cst_command apply;
    cst_completion done;

    fixture_open(&f, "cpu:");
    apply = fixture_apply(&f, rows);
    nth_fail_at(0);
    for (int i = 0; i < 100; i++) {
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f.table};

        CHECK_OK(cst_queue_submit(f.queue, &apply, NULL, NULL));
        CHECK_OK(cst_queue_submit(f.queue, &barrier, NULL, NULL));
        CHECK_EQ(cst_queue_poll(f.queue, &done, 1), 1);
        CHECK_CODE(done.code, CST_OK);
        CHECK_EQ(cst_queue_poll(f.queue, &done, 1), 1);
        const cst_command release = {.ops = CST_OP_RELEASE,
                                     .table = f.table,
                                     .release = done.delta};
        CHECK_OK(cst_queue_submit(f.queue, &release, NULL, NULL));
        CHECK_EQ(cst_queue_poll(f.queue, &done, 1), 1);
        CHECK_CODE(done.code, CST_OK);
    }
    CHECK_EQ(nth_count(), 0);
    fixture_close(&f);
    free(rows);
}

TEST_MAIN
