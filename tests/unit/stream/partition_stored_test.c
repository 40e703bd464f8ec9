// A partition of the second stage that is cut without waiting for barriers: what it stores of the
// rows that come, and what it does with rows that a checkpoint has stored.
#include "unit/stream/stored_partition.h"

enum { ROUNDS = 50, SEALED_MAX = 8, KEPT_MAX = 64 };

typedef struct fixture {
    stored_partition of;
    struct {
        uint64_t id, rows_count;
        bool rows_follow;
        int64_t watermark_us;
    } sealed[SEALED_MAX];
    uint32_t sealed_count;
    uint64_t stored_id; // 0: none came
    uint64_t kept[KEPT_MAX];
    uint32_t kept_count;
    cst_code given_up;
    uint64_t given_up_id;
} fixture;

static cst_code sealed_take(void *context, const csti_sealed *sealed, cst_err *err) {
    fixture *f = context;

    (void)err;
    CHECK(f->sealed_count < SEALED_MAX);
    f->sealed[f->sealed_count].id = sealed->barrier.id;
    f->sealed[f->sealed_count].rows_count = sealed->rows_count;
    f->sealed[f->sealed_count].rows_follow = sealed->rows_follow;
    f->sealed[f->sealed_count++].watermark_us = sealed->watermark_us;
    return CST_OK;
}

static bool released_give(void *context, csti_released *out) {
    (void)context;
    (void)out;
    return false;
}

static void given_up_take(void *context, csti_barrier barrier, cst_code code, uint32_t input) {
    fixture *f = context;

    CHECK(input < INPUTS);
    f->given_up = code;
    f->given_up_id = barrier.id;
}

// Read back from the object that they would become.
static cst_code stored_take(void *context, uint64_t id, csti_stored_rows *rows, cst_err *err) {
    static uint8_t object[OBJECT_BYTES_MAX];
    fixture *f = context;

    (void)err;
    CHECK_EQ(f->stored_id, 0);
    CHECK(f->sealed_count > 0); // behind `sealed`
    CHECK_EQ(f->sealed[f->sealed_count - 1].id, id);
    f->stored_id = id;
    f->kept_count = 0;
    if (rows->rows_count > 0) {
        csti_block *block = csti_channel_block(f->of.replay_blocks);
        uint32_t checksum;
        const size_t count = object_make(rows, object, &checksum);
        const csti_stored_expect expect = expected(rows, checksum);
        csti_stored_reader reader;

        CHECK_OK(csti_stored_open("kept", object, count, &expect, &reader, NULL));
        for (; csti_stored_fill(&reader, block); block->rows_count = 0)
            for (uint32_t r = 0; r < block->rows_count; r++)
                f->kept[f->kept_count++] = ((const uint64_t *)block->sources[0].values)[r];
        csti_channel_recycle(f->of.replay_blocks, block);
    }
    csti_stored_end(rows);
    return CST_OK;
}

static void start(fixture *f, uint64_t stored_rows_max) {
    const csti_partition_events events = {.sealed = sealed_take,
                                          .released = released_give,
                                          .given_up = given_up_take,
                                          .stored = stored_take,
                                          .context = f};

    stored_partition_start(&f->of, stored_rows_max, &events, NULL, 0);
}

static void fixture_open(fixture *f, uint64_t stored_rows_max) {
    memset(f, 0, sizeof *f);
    stored_partition_open(&f->of);
    start(f, stored_rows_max);
}

static void fixture_close(fixture *f) {
    stored_partition_close(&f->of);
}

static void run(fixture *f) {
    cst_err err = {.code = CST_OK};

    for (int round = 0; round < ROUNDS; round++) {
        const cst_code code = csti_partition_poll(f->of.partition, &err);

        if (code != CST_OK && code != CST_AGAIN) TEST_FAIL("%s", err.text);
    }
}

// A row whose key is the input, and which is told by its value.
static void send(fixture *f, uint32_t input, uint64_t value) {
    static const char *const keys[INPUTS] = {"a", "b", "c"};
    csti_block *block = csti_channel_block(f->of.inputs[input]);

    CHECK(block);
    block_put(block, &(stored_row){keys[input], 1, value, NULL, false});
    csti_channel_send_rows(f->of.inputs[input], block);
    run(f);
}

static void send_barrier(fixture *f, uint32_t input, uint64_t id) {
    CHECK_OK(csti_channel_send_barrier(f->of.inputs[input],
                                       (csti_barrier){.id = id, .mode = CSTI_BARRIER_ALIGNED}));
    run(f);
}

static void force(fixture *f, uint64_t id) {
    f->of.unaligned_id = id;
    run(f);
}

static uint64_t sum_of(fixture *f, const char *key) {
    cst_table *image = cst_device_table_image(f->of.table);
    uint64_t sum = 0;
    size_t bytes = 0;

    CHECK_OK(cst_table_get(image, key, 1, &sum, sizeof sum, &bytes));
    return sum;
}

static int64_t metric(const csti_metric *of) {
    return (int64_t)atomic_load_explicit(&of->value, memory_order_relaxed);
}

// ---- Stored -------------------------------------------------------------------------------------

TEST(rows_of_a_lagging_input_belong_to_the_checkpoint_until_its_barrier_comes_and_others_never) {
    static fixture f;

    fixture_open(&f, 0);
    send(&f, 0, 1);
    send(&f, 1, 10);
    send_barrier(&f, 0, 7); // early
    send(&f, 0, 2);         // held
    force(&f, 7);
    CHECK_EQ(f.sealed_count, 1);
    CHECK_EQ(f.sealed[0].rows_count, 2);
    CHECK(f.sealed[0].rows_follow);
    send(&f, 0, 4);
    send(&f, 1, 20);
    send(&f, 2, 100);
    send(&f, 1, 40);
    CHECK_EQ(metric(csti_partition_metrics_of(f.of.partition)->stored_rows), 3);
    send_barrier(&f, 1, 7);
    send(&f, 1, 80);
    CHECK_EQ(f.stored_id, 0); // the last one is not here
    send(&f, 2, 200);
    send_barrier(&f, 2, 7);
    send(&f, 2, 400);
    CHECK_EQ(f.stored_id, 7);
    CHECK_EQ(f.kept_count, 4); // of each input in its order
    CHECK_EQ(f.kept[0], 20);
    CHECK_EQ(f.kept[1], 100);
    CHECK_EQ(f.kept[2], 40);
    CHECK_EQ(f.kept[3], 200);
    CHECK_EQ(sum_of(&f, "a"), 7); // and all of them are in the state
    CHECK_EQ(sum_of(&f, "b"), 150);
    CHECK_EQ(sum_of(&f, "c"), 700);
    CHECK_EQ(metric(csti_partition_metrics_of(f.of.partition)->stored_rows), 0);
    CHECK_EQ(metric(csti_partition_metrics_of(f.of.partition)->stored_total), 4);
    fixture_close(&f);
}

TEST(no_row_under_way_is_no_row_stored) {
    static fixture f;

    fixture_open(&f, 0);
    send_barrier(&f, 0, 7);
    force(&f, 7);
    CHECK(f.sealed[0].rows_follow);
    send_barrier(&f, 1, 7);
    send_barrier(&f, 2, 7);
    CHECK_EQ(f.stored_id, 7);
    CHECK_EQ(f.kept_count, 0);
    fixture_close(&f);
}

TEST(what_is_aligned_stores_nothing) {
    static fixture f;

    fixture_open(&f, 0);
    send_barrier(&f, 0, 7);
    send(&f, 1, 1);
    send_barrier(&f, 1, 7);
    send(&f, 2, 1);
    send_barrier(&f, 2, 7);
    CHECK_EQ(f.sealed_count, 1);
    CHECK(!f.sealed[0].rows_follow);
    force(&f, 7); // too late
    send(&f, 2, 1);
    CHECK_EQ(f.sealed_count, 1);
    CHECK_EQ(f.stored_id, 0);
    fixture_close(&f);
}

TEST(a_later_checkpoint_has_the_rows_in_front_of_its_own_barriers) {
    static fixture f;

    fixture_open(&f, 0);
    force(&f, 7);
    send(&f, 1, 1);
    f.of.aborted_id = 7;
    force(&f, 8); // 7 was given up, its barrier is still under way
    CHECK_EQ(f.sealed_count, 2);
    send(&f, 1, 2);
    for (uint32_t i = 0; i < INPUTS; i++) send_barrier(&f, i, 7);
    send(&f, 1, 4);
    CHECK_EQ(f.stored_id, 0);
    for (uint32_t i = 0; i < INPUTS; i++) send_barrier(&f, i, 8);
    send(&f, 1, 8);
    CHECK_EQ(f.stored_id, 8);
    CHECK_EQ(f.kept_count, 2);
    CHECK_EQ(f.kept[0], 2);
    CHECK_EQ(f.kept[1], 4);
    fixture_close(&f);
}

TEST(a_watermark_of_a_late_input_is_not_in_the_cut) {
    static fixture f;

    fixture_open(&f, 0);
    for (uint32_t i = 0; i < INPUTS; i++) csti_channel_send_watermark(f.of.inputs[i], 5);
    run(&f);
    csti_channel_send_watermark(f.of.inputs[0], 50);
    send_barrier(&f, 0, 7);
    force(&f, 7);
    CHECK_EQ(f.sealed[0].watermark_us, 5); // rows of the others are at it, or above
    fixture_close(&f);
}

TEST(more_rows_than_may_be_kept_give_the_checkpoint_up_and_stay_in_the_state) {
    static fixture f;

    fixture_open(&f, 2);
    force(&f, 7);
    for (uint64_t value = 1; value <= 8; value *= 2) send(&f, 1, value);
    CHECK_CODE(f.given_up, CST_ALIGN_LIMIT);
    CHECK_EQ(f.given_up_id, 7);
    CHECK_EQ(metric(csti_partition_metrics_of(f.of.partition)->limit), 1);
    CHECK_EQ(metric(csti_partition_metrics_of(f.of.partition)->stored_rows), 0);
    for (uint32_t i = 0; i < INPUTS; i++) send_barrier(&f, i, 7);
    CHECK_EQ(f.stored_id, 0);
    CHECK_EQ(sum_of(&f, "b"), 15);
    fixture_close(&f);
}

TEST(what_was_given_up_elsewhere_is_not_kept_any_longer) {
    static fixture f;

    fixture_open(&f, 0);
    force(&f, 7);
    send(&f, 1, 1);
    CHECK_EQ(metric(csti_partition_metrics_of(f.of.partition)->stored_rows), 1);
    f.of.aborted_id = 7;
    run(&f);
    CHECK_EQ(metric(csti_partition_metrics_of(f.of.partition)->stored_rows), 0);
    for (uint32_t i = 0; i < INPUTS; i++) send_barrier(&f, i, 7);
    CHECK_EQ(f.stored_id, 0);
    fixture_close(&f);
}

// ---- Applied again ------------------------------------------------------------------------------

TEST(stored_rows_are_applied_once_in_front_of_everything_that_comes) {
    static uint8_t object[OBJECT_BYTES_MAX];
    static fixture f;
    csti_stored_rows rows;
    csti_block *block;
    uint32_t checksum;

    memset(&f, 0, sizeof f);
    stored_partition_open(&f.of);
    block = csti_channel_block(f.of.replay_blocks);
    csti_stored_begin(&rows, &SHAPE, 0, BYTES_MAX);
    for (uint64_t i = 0; i < 30; i++) { // more than its blocks carry at once
        block->rows_count = 0;
        block_put(block, &(stored_row){"b", 1, 1, NULL, false});
        CHECK_OK(csti_stored_put(&rows, block, NULL));
    }
    csti_channel_recycle(f.of.replay_blocks, block);
    const size_t count = object_make(&rows, object, &checksum);
    const csti_stored_expect expect = expected(&rows, checksum);
    CHECK_OK(csti_stored_open("replayed", object, count, &expect, &f.of.replay, NULL));
    csti_stored_end(&rows);
    for (uint32_t i = 0; i < INPUTS; i++)
        CHECK_OK(csti_channel_send_barrier(f.of.inputs[i], (csti_barrier){.id = 7}));
    start(&f, 0);
    run(&f);
    CHECK_EQ(f.sealed_count, 1);
    CHECK_EQ(f.sealed[0].rows_count, 30); // the first cut has them
    send(&f, 1, 100);
    CHECK_EQ(sum_of(&f, "b"), 130);
    CHECK_EQ(metric(csti_partition_metrics_of(f.of.partition)->replayed), 30);
    fixture_close(&f);
}

TEST_MAIN
