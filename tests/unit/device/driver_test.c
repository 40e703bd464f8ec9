// The driver: streams that stop, as if they had not.
#include "fixture.h"

static const char *const uris[] = {"cpu:", "cpu:?worker=1", "fault:cpu:?worker=1"};
enum { URIS_COUNT = sizeof uris / sizeof *uris, BATCHES = 40 };

static cst_completion driver_next(cst_driver *driver) {
    cst_completion done = {0};
    uint32_t count = 0;

    for (int turn = 0; turn < 1000 && count == 0; turn++)
        CHECK_OK(cst_driver_poll(driver, FIXTURE_TIMEOUT_US, &done, 1, &count, NULL));
    CHECK_EQ(count, 1);
    return done;
}

// Submits, taking completions when the driver is full; they must all be CST_OK.
static void driver_put(cst_driver *driver, const cst_command *command, uint64_t *completed_count) {
    while (cst_driver_submit(driver, command, NULL, NULL) == CST_AGAIN) {
        CHECK_CODE(driver_next(driver).code, CST_OK);
        ++*completed_count;
    }
}

TEST(a_stream_that_stops_comes_out_as_if_it_had_not) {
    for (size_t uri = 0; uri < URIS_COUNT; uri++) {
        fixture_rows *rows[BATCHES];
        uint64_t totals[3000][2];
        uint64_t completed_count = 0;
        uint64_t barriers_count = 0;
        cst_driver *driver = NULL;
        cst_table_stats stats;
        fixture f;

        memset(totals, 0, sizeof totals);
        fixture_open(&f, uris[uri]);
        CHECK_OK(cst_driver_open(f.queue, &driver, NULL));
        for (uint32_t b = 0; b < BATCHES; b++) {
            cst_command command;

            rows[b] = fixture_rows_make(1 + (uint32_t)test_random_below(1500), 0);
            for (uint32_t r = 0; r < rows[b]->rows_count; r++) {
                const uint64_t key = test_random_below(b * 70 + 100);
                rows[b]->keys[r] = key;
                rows[b]->amounts[r] = test_random_below(1000);
                totals[key][0]++;
                totals[key][1] += rows[b]->amounts[r];
            }
            command = fixture_apply(&f, rows[b]);
            driver_put(driver, &command, &completed_count);
            if (b % 4 != 3) continue;
            command = (cst_command){.ops = CST_OP_BARRIER, .table = f.table};
            driver_put(driver, &command, &completed_count);
            barriers_count++;
        }
        while (completed_count < BATCHES + barriers_count) {
            CHECK_CODE(driver_next(driver).code, CST_OK);
            completed_count++;
        }
        cst_driver_close(driver);
        cst_table_stats_read(cst_device_table_image(f.table), &stats);
        CHECK(stats.grows_count > 3); // or nothing stopped, and nothing was shown
        CHECK_EQ(stats.epoch, barriers_count + 1);
        for (uint64_t key = 0; key < 3000; key++) {
            uint64_t value[3] = {0};
            CHECK_EQ(fixture_get(&f, key, value), totals[key][0] > 0);
            CHECK_EQ(value[0], totals[key][0]);
            CHECK_EQ(value[1], totals[key][1]);
        }
        fixture_close(&f);
        for (uint32_t b = 0; b < BATCHES; b++) free(rows[b]);
    }
}

TEST(images_and_deltas_are_equal_inline_and_with_a_worker) {
    fixture f[2];
    fixture_rows *rows = fixture_rows_make(FIXTURE_ROWS_MAX, 0);

    fixture_open(&f[0], "cpu:");
    fixture_open(&f[1], "cpu:scalar?worker=1");
    for (int b = 0; b < 6; b++) {
        cst_delta deltas[2];

        for (uint32_t r = 0; r < rows->rows_count; r++) {
            rows->keys[r] = test_random_below(20000);
            rows->amounts[r] = test_random_below(100);
            rows->ops[r] = test_random_below(10) == 0;
        }
        for (int i = 0; i < 2; i++) {
            const cst_command apply = fixture_apply(&f[i], rows);
            const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f[i].table};
            (void)fixture_run(&f[i], &apply);
            deltas[i] = fixture_run(&f[i], &barrier).delta;
        }
        CHECK_BYTES(&deltas[0], &deltas[1], sizeof deltas[0]);
    }
    CHECK_OK(cst_table_compare(cst_device_table_image(f[0].table),
                               cst_device_table_image(f[1].table), NULL));
    fixture_close(&f[0]);
    fixture_close(&f[1]);
    free(rows);
}

TEST(a_bad_row_halts_and_is_skipped) {
    for (size_t uri = 0; uri < URIS_COUNT; uri++) {
        fixture f;
        cst_driver *driver = NULL;
        fixture_rows *rows = fixture_rows_make(10, 5);
        fixture_rows *later = fixture_rows_make(1, 100);
        cst_command command;
        cst_completion done;
        uint32_t count = 0;
        uint64_t value[3];

        fixture_open(&f, uris[uri]);
        CHECK_OK(cst_driver_open(f.queue, &driver, NULL));
        rows->keys[3] = rows->keys[7] = rows->keys[9] = 5;
        rows->amounts[3] = rows->amounts[9] = UINT64_MAX; // 9: the last row of its command
        command = fixture_apply(&f, rows);
        command.tag = 42;
        CHECK_OK(cst_driver_submit(driver, &command, NULL, NULL));
        command = fixture_apply(&f, later);
        CHECK_OK(cst_driver_submit(driver, &command, NULL, NULL));
        CHECK_CODE(cst_driver_skip(driver, NULL), CST_USAGE); // not halted

        done = driver_next(driver);
        CHECK_CODE(done.code, CST_SUM_OVERFLOW);
        CHECK(done.stopped);
        CHECK_EQ(done.rows_done, 3);
        CHECK_EQ(done.tag, 42);
        CHECK_EQ(done.ticket, 1);
        // What waits behind it waits.
        CHECK_OK(cst_driver_poll(driver, 0, &done, 1, &count, NULL));
        CHECK_EQ(count, 0);
        CHECK(!fixture_get(&f, 100, value));

        CHECK_OK(cst_driver_retry(driver, NULL)); // nothing has changed: the same again
        CHECK_EQ(driver_next(driver).rows_done, 3);
        CHECK_OK(cst_driver_skip(driver, NULL));
        CHECK_EQ(driver_next(driver).rows_done, 9);
        CHECK_OK(cst_driver_skip(driver, NULL));
        done = driver_next(driver);
        CHECK_CODE(done.code, CST_OK);
        CHECK_EQ(done.ticket, 2);
        CHECK(fixture_get(&f, 100, value));
        CHECK(fixture_get(&f, 5, value));
        CHECK_EQ(value[0], 2); // rows 0 and 7
        CHECK_EQ(value[1], 2);
        cst_driver_close(driver);
        fixture_close(&f);
        free(rows);
        free(later);
    }
}

TEST(a_spent_budget_halts_and_a_release_cures_it) {
    for (size_t uri = 0; uri < URIS_COUNT; uri++) {
        cst_table_options options = fixture_options();
        fixture_rows *rows = fixture_rows_make(1000, 0);
        fixture f;
        cst_driver *driver = NULL;
        cst_command apply;
        cst_command barrier;
        cst_delta sealed[64];
        uint64_t epochs_count = 0;
        cst_completion done = {0};

        options.budget_bytes = UINT64_C(3) << 20;
        fixture_open_options(&f, uris[uri], &options);
        CHECK_OK(cst_driver_open(f.queue, &driver, NULL));
        apply = fixture_apply(&f, rows);
        barrier = (cst_command){.ops = CST_OP_BARRIER, .table = f.table};
        while (epochs_count < 64) { // each epoch pins 64 KiB of log
            CHECK_OK(cst_driver_submit(driver, &apply, NULL, NULL));
            done = driver_next(driver);
            if (done.code != CST_OK) break;
            CHECK_OK(cst_driver_submit(driver, &barrier, NULL, NULL));
            sealed[epochs_count++] = driver_next(driver).delta;
        }
        CHECK_CODE(done.code, CST_TABLE_BUDGET);
        CHECK(epochs_count > 1);
        CHECK_OK(cst_driver_submit(driver,
                                   &(cst_command){.ops = CST_OP_RELEASE,
                                                  .fixup = true,
                                                  .table = f.table,
                                                  .release = sealed[epochs_count - 1],
                                                  .tag = 9},
                                   NULL, NULL));
        done = driver_next(driver);
        CHECK_CODE(done.code, CST_OK);
        CHECK_EQ(done.tag, 9);
        CHECK_OK(cst_driver_retry(driver, NULL));
        CHECK_CODE(driver_next(driver).code, CST_OK);
        cst_driver_close(driver);
        fixture_close(&f);
        free(rows);
    }
}

// It runs while the queue is stopped, and is told in its turn.
TEST(a_fixup_behind_a_stop_keeps_its_place) {
    for (size_t uri = 0; uri < URIS_COUNT; uri++) {
        fixture_rows *few = fixture_rows_make(10, 0);
        fixture_rows *many = fixture_rows_make(8000, 0);
        cst_driver *driver = NULL;
        cst_table_stats stats;
        cst_command first, second, barrier, release;
        cst_completion done;
        fixture f;

        fixture_open(&f, uris[uri]);
        CHECK_OK(cst_driver_open(f.queue, &driver, NULL));
        first = fixture_apply(&f, few);
        second = fixture_apply(&f, many);
        barrier = (cst_command){.ops = CST_OP_BARRIER, .table = f.table};
        CHECK_OK(cst_driver_submit(driver, &first, NULL, NULL));
        CHECK_OK(cst_driver_submit(driver, &barrier, NULL, NULL));
        CHECK_CODE(driver_next(driver).code, CST_OK);
        done = driver_next(driver);
        release = (cst_command){.ops = CST_OP_RELEASE,
                                .fixup = true,
                                .tag = 7,
                                .table = f.table,
                                .release = done.delta};
        CHECK_OK(cst_driver_submit(driver, &second, NULL, NULL)); // stops, and more than once
        CHECK_OK(cst_driver_submit(driver, &release, NULL, NULL));
        CHECK_OK(cst_driver_submit(driver, &barrier, NULL, NULL));
        done = driver_next(driver);
        CHECK_CODE(done.code, CST_OK);
        CHECK_EQ(done.rows_done, 8000);
        done = driver_next(driver);
        CHECK_CODE(done.code, CST_OK);
        CHECK_EQ(done.tag, 7);
        CHECK_EQ(done.ticket, 4);
        done = driver_next(driver);
        CHECK_CODE(done.code, CST_OK);
        CHECK_EQ(done.delta.epoch, 2);
        cst_driver_close(driver);
        cst_table_stats_read(cst_device_table_image(f.table), &stats);
        CHECK(stats.grows_count > 0);
        fixture_close(&f);
        free(few);
        free(many);
    }
}

TEST(run_leaves_the_queue_running_after_a_bad_row) {
    fixture f;
    fixture_rows *rows = fixture_rows_make(4, 0);
    cst_command command;
    cst_completion done = {0};
    cst_err err = {0};

    fixture_open(&f, "cpu:");
    rows->keys[3] = 0;
    rows->amounts[3] = UINT64_MAX;
    command = fixture_apply(&f, rows);
    CHECK_CODE(cst_device_run(f.queue, &command, &done, &err), CST_SUM_OVERFLOW);
    CHECK_EQ(done.rows_done, 3);
    CHECK(strstr(err.text, "row 3"));
    rows->amounts[3] = 1;
    command.rows.first_row = 3;
    CHECK_OK(cst_device_run(f.queue, &command, &done, NULL));
    fixture_submit(&f, &command);
    CHECK_CODE(cst_device_run(f.queue, &command, &done, NULL), CST_USAGE); // one is in flight
    (void)fixture_next(&f);
    fixture_close(&f);
    free(rows);
}

TEST(restore_goes_on_where_it_stopped) {
    fixture f;
    fixture copy;
    fixture_rows *rows = fixture_rows_make(8000, 0);
    cst_scan scan = {0};
    uint8_t *records = aligned_alloc(64, 64 * 8000);
    cst_command apply;
    cst_completion done;
    cst_table_stats stats;

    CHECK(records);
    fixture_open(&f, "cpu:");
    fixture_open(&copy, "cpu:?worker=1");
    apply = fixture_apply(&f, rows);
    (void)fixture_run(&f, &apply);
    const cst_command command = {.ops = CST_OP_SCAN,
                                 .table = f.table,
                                 .scan = &scan,
                                 .scan_out = records,
                                 .scan_bytes = 64 * 8000};
    done = fixture_run(&f, &command);
    CHECK_EQ(done.count, 8000);
    const cst_command restore = {.ops = CST_OP_RESTORE,
                                 .table = copy.table,
                                 .restore = records,
                                 .restore_bytes = done.position};
    CHECK_EQ(fixture_run(&copy, &restore).position, 64 * 8000);
    cst_table_stats_read(cst_device_table_image(copy.table), &stats);
    CHECK_EQ(stats.rows_count, 8000);
    CHECK(stats.grows_count > 3);
    fixture_close(&f);
    fixture_close(&copy);
    free(records);
    free(rows);
}

TEST_MAIN
