// Devices that fail where they are told to: what a user of a device sees then.
#include "base/pages.h"
#include "fixture.h"

static cst_command barrier(const fixture *f) {
    return (cst_command){.ops = CST_OP_BARRIER, .table = f->table};
}

TEST(a_failed_open_leaves_nothing) {
    cst_device *device = NULL;
    cst_err err = {0};

    CHECK_CODE(cst_device_open("fault:cpu:?fail_open=1", &device, &err), CST_DEVICE_LOST);
    CHECK_CODE(cst_device_open("fault:cpu:never", &device, &err), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("fault:fault:cpu:", &device, &err), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("fault:cpu:?no=1", &device, &err), CST_DEVICE_URI);
    CHECK(strstr(err.text, "'no'"));
    CHECK(!device);
}

TEST(a_failed_submit_takes_nothing) {
    fixture f;
    cst_command command;

    fixture_open(&f, "fault:cpu:?fail_submit=2");
    command = barrier(&f);
    fixture_submit(&f, &command);
    CHECK_CODE(cst_queue_submit(f.queue, &command, NULL, NULL), CST_DEVICE_LOST);
    CHECK_EQ(cst_queue_in_flight(f.queue), 1);
    fixture_submit(&f, &command);
    CHECK_EQ(fixture_next(&f).delta.epoch, 1);
    CHECK_EQ(fixture_next(&f).delta.epoch, 2);
    fixture_close(&f);
}

TEST(a_failed_completion_loses_the_device_until_a_reset) {
    static const char *const uris[] = {"fault:cpu:?fail=2", "fault:cpu:?worker=1&fail=2"};

    for (size_t u = 0; u < 2; u++) {
        fixture f;
        cst_command command;

        fixture_open(&f, uris[u]);
        command = barrier(&f);
        for (int i = 0; i < 3; i++) fixture_submit(&f, &command);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        CHECK_CODE(fixture_next(&f).code, CST_DEVICE_LOST);
        CHECK_CODE(fixture_next(&f).code, CST_DEVICE_LOST);
        CHECK_CODE(cst_queue_submit(f.queue, &command, NULL, NULL), CST_DEVICE_LOST);
        CHECK_OK(cst_device_reset(f.device, NULL));
        fixture_submit(&f, &command);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        fixture_close(&f);
    }
}

TEST(a_dropped_completion_is_waited_for_in_vain_and_failed_by_a_reset) {
    static const char *const uris[] = {"fault:cpu:?drop=2", "fault:cpu:?worker=1&drop=2"};

    for (size_t u = 0; u < 2; u++) {
        fixture f;
        cst_command command;
        cst_completion done[4];

        fixture_open(&f, uris[u]);
        command = barrier(&f);
        for (int i = 0; i < 3; i++) fixture_submit(&f, &command);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        CHECK_OK(cst_queue_wait(f.queue, FIXTURE_TIMEOUT_US)); // the plan drops it at the poll
        CHECK_EQ(cst_queue_poll(f.queue, done, 4), 0);
        CHECK_CODE(cst_queue_wait(f.queue, 1000), CST_AGAIN);
        CHECK_EQ(cst_queue_in_flight(f.queue), 2);
        CHECK_OK(cst_device_reset(f.device, NULL));
        CHECK_EQ(cst_queue_poll(f.queue, done, 4), 2);
        CHECK_CODE(done[0].code, CST_DEVICE_LOST);
        CHECK_EQ(done[0].ticket, 2);
        CHECK_CODE(done[1].code, CST_DEVICE_LOST);
        CHECK_EQ(done[1].ticket, 3);
        fixture_submit(&f, &command);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        fixture_close(&f);
    }
}

TEST(a_device_that_resets_itself_loses_what_is_in_flight_and_lives_on) {
    static const char *const uris[] = {"fault:cpu:?reset=2", "fault:cpu:?worker=1&reset=2"};

    for (size_t u = 0; u < 2; u++) {
        fixture f;
        cst_command command;
        cst_err err = {0};

        fixture_open(&f, uris[u]);
        command = barrier(&f);
        for (int i = 0; i < 3; i++) fixture_submit(&f, &command);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        CHECK_CODE(fixture_next(&f).code, CST_DEVICE_LOST);
        CHECK_CODE(cst_queue_lost(f.queue, &err), CST_DEVICE_LOST);
        CHECK(strstr(err.text, "it has reset itself"));
        CHECK_CODE(fixture_next(&f).code, CST_DEVICE_LOST);
        fixture_submit(&f, &command);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        fixture_close(&f);
    }
}

TEST(a_completion_with_a_wrong_checksum_says_so) {
    fixture f;
    cst_command command;
    cst_err err = {0};

    fixture_open(&f, "fault:cpu:?checksum=1");
    command = barrier(&f);
    fixture_submit(&f, &command);
    CHECK_CODE(fixture_next(&f).code, CST_DEVICE_LOST);
    CHECK_CODE(cst_queue_lost(f.queue, &err), CST_DEVICE_LOST);
    CHECK(strstr(err.text, "wrong checksum"));
    fixture_close(&f);
}

// Nobody who closes waits for what will not come.
TEST(a_queue_that_is_given_up_is_not_waited_for_until_a_reset) {
    fixture f;
    cst_driver *driver = NULL;
    cst_command command;
    cst_completion done[2];
    cst_err err = {0};

    fixture_open(&f, "fault:cpu:?drop=1");
    command = barrier(&f);
    CHECK_OK(cst_driver_open(f.queue, &driver, NULL));
    CHECK_OK(cst_driver_submit(driver, &command, NULL, NULL));
    CHECK_EQ(cst_queue_poll(f.queue, done, 2), 0);
    CHECK_EQ(cst_queue_polled(f.queue), 0);
    CHECK_CODE(cst_queue_give_up(f.queue, "too long", &err), CST_DEVICE_LOST);
    CHECK(strstr(err.text, "fault:cpu:?drop=1: too long"));
    cst_driver_close(driver);
    CHECK_EQ(cst_queue_in_flight(f.queue), 1);
    CHECK_OK(cst_device_reset(f.device, NULL));
    CHECK_EQ(cst_queue_poll(f.queue, done, 2), 1);
    CHECK_EQ(cst_queue_polled(f.queue), 1);
    fixture_close(&f);
}

TEST(a_command_that_is_waited_for_has_its_queues_time) {
    const cst_queue_options options = {.timeout_us = 1000};
    fixture f;
    cst_queue *queue = NULL;
    cst_device_table *table = NULL;
    const cst_table_options shape = fixture_options();
    cst_completion done;
    cst_err err = {0};

    fixture_open(&f, "fault:cpu:?drop=1");
    CHECK_OK(cst_queue_open(f.device, &options, &queue, NULL));
    CHECK_OK(cst_device_table_open(queue, &shape, NULL, &table, NULL));
    const cst_command command = {.ops = CST_OP_BARRIER, .table = table};
    CHECK_CODE(cst_device_run(queue, &command, &done, &err), CST_DEVICE_LOST);
    CHECK(strstr(err.text, "no completion within 0.001 s"));
    cst_device_table_close(table);
    cst_queue_close(queue);
    fixture_close(&f);
}

TEST(a_delayed_completion_keeps_its_place) {
    fixture f;
    cst_command command;
    cst_completion done[4];

    fixture_open(&f, "fault:cpu:?delay=1&polls=3");
    command = barrier(&f);
    fixture_submit(&f, &command);
    fixture_submit(&f, &command);
    for (int i = 0; i < 4; i++) CHECK_EQ(cst_queue_poll(f.queue, done, 4), 0);
    CHECK_EQ(cst_queue_poll(f.queue, done, 4), 2);
    CHECK_EQ(done[0].delta.epoch, 1);
    CHECK_EQ(done[1].delta.epoch, 2);
    fixture_close(&f);
}

TEST(a_stream_survives_delays_at_every_completion) {
    for (int n = 1; n <= 30; n++) {
        char uri[64];
        fixture f;
        fixture_rows *rows = fixture_rows_make(4000, 0);
        cst_command command;

        (void)snprintf(uri, sizeof uri, "fault:cpu:?worker=%d&delay=%d&polls=5", n % 2, n);
        fixture_open(&f, uri);
        command = fixture_apply(&f, rows);
        CHECK_EQ(fixture_run(&f, &command).rows_done, 4000);
        fixture_close(&f);
        free(rows);
    }
}

TEST(a_driver_says_that_its_device_is_lost) {
    // The Nth completion fails, for every N the stream has: no hang, no wrong success.
    for (int n = 1; n <= 40; n++) {
        char uri[64];
        fixture f;
        cst_driver *driver = NULL;
        fixture_rows *rows = fixture_rows_make(4000, 0);
        cst_command command;
        cst_completion done;
        uint32_t count = 0;
        cst_code code;

        (void)snprintf(uri, sizeof uri, "fault:cpu:?worker=%d&fail=%d", n % 2, n);
        fixture_open(&f, uri);
        command = fixture_apply(&f, rows);
        CHECK_OK(cst_driver_open(f.queue, &driver, NULL));
        code = cst_driver_submit(driver, &command, NULL, NULL);
        while (code == CST_OK && count == 0)
            code = cst_driver_poll(driver, FIXTURE_TIMEOUT_US, &done, 1, &count, NULL);
        if (code == CST_OK) {
            CHECK_CODE(done.code, CST_OK);
            CHECK(n > 5); // the stream has more completions than that
        } else {
            CHECK_CODE(code, CST_DEVICE_LOST);
            CHECK_CODE(cst_driver_submit(driver, &command, NULL, NULL), CST_DEVICE_LOST);
        }
        cst_driver_close(driver);
        fixture_close(&f);
        free(rows);
    }
}

TEST(a_wrong_bit_fails_the_selftest) {
    cst_device *device = NULL;
    cst_err err = {0};

    CHECK_OK(cst_device_open("fault:cpu:?flip=1", &device, NULL));
    CHECK_CODE(cst_device_selftest(device, &err), CST_DEVICE_SELFTEST);
    CHECK_OK(cst_device_selftest(device, &err)); // once only
    cst_device_close(device);
}

TEST(the_selftest_passes_on_every_processor_device) {
    cst_device_info devices[16];
    size_t count = 0;

    cst_device_list(devices, 16, &count);
    CHECK(count <= 16);
    for (size_t i = 0; i < count; i++) {
        cst_device *device = NULL;
        cst_err err = {0};

        if (!devices[i].available) {
            CHECK(cst_device_open(devices[i].uri, &device, &err) != CST_OK);
            CHECK(err.text[0]);
            continue;
        }
        CHECK_OK(cst_device_open(devices[i].uri, &device, &err));
        CHECK_OK(cst_device_selftest(device, &err));
        cst_device_close(device);
    }
}

TEST(buffers_are_zeroed_and_bounded) {
    cst_device *device = NULL;
    cst_device_buffer buffer = {0};

    CHECK_OK(cst_device_open("fault:cpu:?fail_alloc=2", &device, NULL));
    CHECK_CODE(cst_device_buffer_alloc(device, 0, &buffer, NULL), CST_USAGE);
    CHECK_OK(cst_device_buffer_alloc(device, 5000, &buffer, NULL));
    CHECK_EQ((uintptr_t)buffer.host % 4096, 0);
    for (size_t i = 0; i < 5000; i++) CHECK_EQ(((uint8_t *)buffer.host)[i], 0);
    CHECK_OK(cst_device_buffer_sync(device, &buffer, 1000, 4000, CST_SYNC_TO_DEVICE, NULL));
    CHECK_CODE(cst_device_buffer_sync(device, &buffer, 1000, 4001, CST_SYNC_TO_DEVICE, NULL),
               CST_USAGE);
    CHECK_CODE(cst_device_buffer_sync(device, &buffer, 0, 1, (cst_sync)0, NULL), CST_USAGE);
    cst_device_buffer_free(device, &buffer);
    CHECK(!buffer.host);
    CHECK_CODE(cst_device_buffer_alloc(device, 5000, &buffer, NULL), CST_NO_MEMORY);
    cst_device_buffer_free(device, &buffer);
    cst_device_close(device);
}

TEST(buffers_of_a_device_with_a_node_lie_there) {
    cst_device *device = NULL;
    cst_device_buffer buffer = {0};
    cst_capabilities can;
    csti_pages_place place;
    cst_err err = {0};

    CHECK_OK(cst_device_open("cpu:?node=0", &device, NULL));
    cst_device_capabilities(device, &can);
    CHECK_EQ(can.numa_node, 0);
    CHECK_OK(cst_device_buffer_alloc(device, 3 << 20, &buffer, NULL));
    CHECK_EQ(buffer.numa_node, 0);
    CHECK_OK(csti_pages_count(buffer.host, buffer.bytes, &place, NULL));
    CHECK_EQ(place.node_bytes[0], 3 << 20);
    cst_device_buffer_free(device, &buffer);
    CHECK_CODE(cst_device_buffer_alloc(device, SIZE_MAX, &buffer, NULL), CST_NO_MEMORY);
    cst_device_close(device);
    CHECK_CODE(cst_device_open("cpu:?node=63", &device, &err), CST_NOT_FOUND);
    CHECK_TEXT(err.text, "NUMA node 63: no such node");
    CHECK_CODE(cst_device_open("cpu:?node=64", &device, NULL), CST_DEVICE_URI);
}

TEST_MAIN
