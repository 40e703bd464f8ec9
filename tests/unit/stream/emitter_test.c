// Rows of closed windows on their way to a second stage: their columns, and what full channels,
// barriers and watermarks do to them.
#include "unit/stream/emitter_rows.h"

enum { CITIES = 5, MESSAGES_MAX = 64 };

typedef struct taken {
    csti_message messages[MESSAGES_MAX];
    uint32_t count;
    uint64_t rows; // sum of the first source
} taken;

// What a channel has now; its blocks go back.
static void take(fixture *f, int channel, taken *out) {
    csti_message message;

    while (csti_channel_receive(f->channels[channel], &message)) {
        CHECK(out->count < MESSAGES_MAX);
        out->messages[out->count++] = message;
        if (message.kind != CSTI_MESSAGE_ROWS) continue;
        for (uint32_t r = 0; r < message.block->rows_count; r++) {
            uint64_t rows;

            memcpy(&rows, (const uint64_t *)message.block->sources[0].values + r, sizeof rows);
            out->rows += rows;
        }
        csti_channel_recycle(f->channels[channel], message.block);
    }
}

static void put(fixture *f, uint32_t number) {
    char city[16];
    const int64_t least = number;

    snprintf(city, sizeof city, "city %u", number % CITIES);
    const cst_row_ref row = row_of(f, number, city, number * SIZE, number, &least);
    CHECK_OK(csti_emitter_put(f->emitter, &row, NULL));
}

TEST(its_columns_are_those_of_a_line_and_the_time_in_front_of_its_end) {
    static const char *const names[] = {"auction",     "city", "window_start", "window_end",
                                        "window_time", "rows", "least",        "total"};
    csti_render_plan from;
    csti_row_shape shape;
    char text[256];
    cst_err err = {.code = CST_OK};

    plan_fill(&from);
    CHECK_OK(csti_emitter_shape(&from, &shape, NULL));
    CHECK_OK(cst_schema_format(&shape.schema, text, sizeof text));
    CHECK_TEXT(text, "u32,nullable string,timestamp,timestamp,timestamp,u64,nullable date,"
                     "decimal128(2)");
    for (uint32_t c = 0; c < shape.schema.columns_count; c++) CHECK_TEXT(shape.names[c], names[c]);
    from.fields_count = CST_ACCUMULATORS_MAX;
    CHECK_CODE(csti_emitter_shape(&from, &shape, &err), CST_LIMIT);
    CHECK(strstr(err.text, "21 columns, at most 16"));
}

TEST(a_row_comes_out_with_its_key_and_its_sources) {
    static const uint32_t columns[] = {1, 2, 4, 7};
    fixture f;
    csti_message message = {0};
    const int64_t least = -3;

    fixture_open(&f, (csti_window){0});
    key_fill(&f, "nullable string,timestamp,timestamp,decimal128(2)", columns, 4);
    CHECK_OK(emitter_make(&f, NULL));
    for (int nulls = 0; nulls < 2; nulls++) {
        const cst_row_ref row =
            row_of(&f, 9, nulls ? NULL : "Porto", -40, 12, nulls ? NULL : &least);
        cst_value values[4];
        uint8_t scratch[64];
        int32_t date;

        CHECK_OK(csti_emitter_put(f.emitter, &row, NULL));
        CHECK_OK(csti_emitter_flush(f.emitter, NULL));
        if (!csti_channel_receive(f.channels[0], &message))
            CHECK(csti_channel_receive(f.channels[1], &message));
        CHECK_EQ(message.kind, CSTI_MESSAGE_ROWS);
        CHECK_EQ(message.block->rows_count, 1);
        CHECK_OK(cst_key_decode(&f.key.schema, message.block->keys, message.block->key_offsets[1],
                                values, scratch, NULL));
        CHECK_EQ(message.block->hashes[0],
                 cst_hash(&f.key.hash_key, message.block->keys, message.block->key_offsets[1]));
        CHECK_EQ(values[0].is_null, nulls);
        if (!nulls) CHECK_BYTES(values[0].bytes, "Porto", 5);
        CHECK(values[1].i128 == -40);
        CHECK(values[2].i128 == -40 + SIZE - 1);
        CHECK(values[3].i128 == -1200);
        CHECK_EQ(*(const uint64_t *)message.block->sources[0].values, 12);
        CHECK_EQ(message.block->sources[1].validity[0] & 1, !nulls);
        memcpy(&date, message.block->sources[1].values, sizeof date);
        CHECK_EQ(date, nulls ? 0 : -3);
        csti_channel_recycle(message.block->home, message.block);
    }
    fixture_close(&f);
}

TEST(rows_are_of_windows_of_their_own_by_the_time_in_front_of_their_end) {
    static const uint32_t columns[] = {8};
    fixture f;
    taken out = {0};

    fixture_open(&f, (csti_window){.size_us = 40, .hop_us = 20});
    key_fill(&f, "timestamp", columns, 1);
    for (int p = 0; p < PARTITIONS; p++) csti_channel_close(f.channels[p]);
    channels_open(&f);
    CHECK_OK(emitter_make(&f, NULL));
    // Ends at 40: its time is 39, in [0, 40) and [20, 60).
    const cst_row_ref row = row_of(&f, 1, "x", 30, 5, NULL);
    CHECK_OK(csti_emitter_put(f.emitter, &row, NULL));
    CHECK_OK(csti_emitter_flush(f.emitter, NULL));
    int64_t starts = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        csti_message message;

        while (csti_channel_receive(f.channels[p], &message))
            for (uint32_t r = 0; r < message.block->rows_count; r++) {
                starts += 1 + csti_window_of_key(message.block->keys + (size_t)r * 8, 8);
                out.rows++;
            }
    }
    CHECK_EQ(out.rows, 2);
    CHECK_EQ(starts, 2 + 0 + 20);
    fixture_close(&f);
}

TEST(a_full_channel_holds_rows_up_and_loses_none) {
    fixture f;
    taken out[PARTITIONS] = {{{{0}}, 0, 0}};
    uint64_t rows = 0;
    uint32_t number = 0;
    bool worked = false;

    fixture_open(&f, (csti_window){0});
    CHECK_OK(emitter_make(&f, NULL));
    while (csti_emitter_room(f.emitter) > 0) {
        rows += ++number;
        put(&f, number);
    }
    CHECK(number > BLOCK_ROWS * BLOCKS);
    CHECK(csti_emitter_waits(f.emitter));
    CHECK_CODE(csti_emitter_flush(f.emitter, NULL), CST_AGAIN);
    csti_emitter_push(f.emitter, &worked);
    CHECK(!worked);
    // Nor does a watermark overtake them.
    CHECK_OK(csti_emitter_watermark(f.emitter, 1000, &worked, NULL));
    CHECK(!worked);
    for (int turn = 0; turn < 8; turn++) {
        for (int p = 0; p < PARTITIONS; p++) take(&f, p, &out[p]);
        csti_emitter_push(f.emitter, &worked);
    }
    CHECK(worked);
    CHECK(!csti_emitter_waits(f.emitter));
    CHECK_OK(csti_emitter_watermark(f.emitter, 1000, &worked, NULL));
    for (int p = 0; p < PARTITIONS; p++) {
        take(&f, p, &out[p]);
        CHECK_EQ(out[p].messages[out[p].count - 1].kind, CSTI_MESSAGE_WATERMARK);
        CHECK_EQ(out[p].messages[out[p].count - 1].watermark_us, 1000);
    }
    CHECK_EQ(out[0].rows + out[1].rows, rows);
    fixture_close(&f);
}

TEST(a_barrier_is_behind_all_that_was_put_and_holds_up_what_follows) {
    fixture f;
    taken out = {0};
    bool worked = false;

    fixture_open(&f, (csti_window){0});
    CHECK_OK(emitter_make(&f, NULL));
    for (uint32_t n = 1; n <= 3; n++) put(&f, n);
    CHECK_OK(csti_emitter_flush(f.emitter, NULL));
    csti_emitter_barrier(f.emitter, (csti_barrier){.id = 1});
    CHECK(!csti_emitter_waits(f.emitter));
    CHECK_OK(csti_emitter_flush(f.emitter, NULL));
    csti_emitter_barrier(f.emitter, (csti_barrier){.id = 2}); // no channel has taken the first one
    CHECK(csti_emitter_waits(f.emitter));
    CHECK_EQ(csti_emitter_room(f.emitter), 0);
    CHECK_CODE(csti_emitter_flush(f.emitter, NULL), CST_AGAIN);
    CHECK_OK(csti_emitter_watermark(f.emitter, 50, &worked, NULL));
    take(&f, 0, &out);
    csti_emitter_push(f.emitter, &worked);
    CHECK(csti_emitter_waits(f.emitter)); // the other channel has not
    take(&f, 1, &out);
    CHECK_EQ(out.rows, 1 + 2 + 3);
    csti_emitter_push(f.emitter, &worked);
    CHECK(!csti_emitter_waits(f.emitter));
    put(&f, 4);
    CHECK_OK(csti_emitter_watermark(f.emitter, 50, &worked, NULL));
    CHECK_OK(csti_emitter_watermark(f.emitter, 40, &worked, NULL)); // says nothing
    for (int p = 0; p < PARTITIONS; p++) {
        taken then = {0};

        take(&f, p, &then);
        CHECK_EQ(then.messages[0].kind, CSTI_MESSAGE_BARRIER);
        CHECK_EQ(then.messages[0].barrier.id, 2);
        CHECK_EQ(then.messages[then.count - 1].kind, CSTI_MESSAGE_WATERMARK);
        CHECK_EQ(then.messages[then.count - 1].watermark_us, 50);
        out.rows += then.rows;
    }
    CHECK_EQ(out.rows, 1 + 2 + 3 + 4);
    fixture_close(&f);
}

TEST(while_it_is_paused_what_was_put_and_barriers_go_on) {
    fixture f;
    taken out = {0};

    fixture_open(&f, (csti_window){0});
    CHECK_OK(emitter_make(&f, NULL));
    put(&f, 1);
    atomic_store(&f.paused, 1);
    CHECK_EQ(csti_emitter_room(f.emitter), 0);
    CHECK(csti_emitter_is_paused(f.emitter));
    CHECK_OK(csti_emitter_flush(f.emitter, NULL));
    csti_emitter_barrier(f.emitter, (csti_barrier){.id = 5});
    for (int p = 0; p < PARTITIONS; p++) {
        take(&f, p, &out);
        CHECK_EQ(out.messages[out.count - 1].barrier.id, 5);
    }
    CHECK_EQ(out.rows, 1);
    atomic_store(&f.paused, 0);
    CHECK_EQ(csti_emitter_room(f.emitter), ROWS_MAX);
    fixture_close(&f);
}

TEST(a_key_that_is_too_long_says_how_long) {
    fixture f;
    cst_err err = {.code = CST_OK};
    char city[81] = "";

    fixture_open(&f, (csti_window){0});
    CHECK_OK(emitter_make(&f, NULL));
    memset(city, 'a', sizeof city - 1);
    const cst_row_ref row = row_of(&f, 1, city, 0, 1, NULL);
    CHECK_OK(csti_emitter_put(f.emitter, &row, NULL));
    CHECK_CODE(csti_emitter_flush(f.emitter, &err), CST_KEY_TOO_LONG);
    CHECK(strstr(err.text, "partition 7: a row of a closed window"));
    CHECK(strstr(err.text, "[then.key] key_bytes_max = 83"));
    fixture_close(&f);
}

TEST_MAIN
