// The same random commands to the processor and to an OpenCL device: equal completions, look-ups,
// deltas and images, whatever stops them. PoCL is that device where there is no other.
#define PAIR_KEY_BYTES_MAX 48
#define PAIR_VALUE_WORDS_MAX 20
#include "device_pair.h"
#include "opencl_there.h"
#include "unit/codec/random_batch.h"
#include "unit/codec/vectors.h"

#include <constellation/driver.h>

static const pair_way opencl = {"opencl:", both_open, NULL, both_close};

static void stream(both *b, const char *uri, uint32_t steps) {
    rows_batch *batch = calloc(1, sizeof *batch);

    CHECK(batch);
    knobs_draw(&b->knobs);
    sources_draw(&b->knobs.options.program, batch);
    both_open(b, uri, NULL);
    stream_run(b, batch, steps);
    both_close(b);
    batch_free(batch);
}

// Pieces of a few rows, as of a large batch.
TEST(random_streams_give_equal_completions_deltas_and_images) {
    static const char *const uris[] = {"opencl:", "opencl:?piece_rows=64", "opencl:0/0",
                                       "opencl:?piece_rows=128"};
    stream_totals totals = {0};
    bool all = false;

    if (!opencl_is_there()) return;
    for (uint32_t i = 0; i < STREAMS_MIN || (!all && i < STREAMS_MAX); i++) {
        both b = {0};

        stream(&b, uris[i % 4], STREAM_STEPS);
        all = stream_totals_add(&totals, &b);
    }
    printf("%" PRIu64 " rows; ", totals.rows);
    CHECK(totals.rows > 2000);
    CHECK(all);
}

// The first to be run: compilers of drivers take seconds, and keep what they made.
TEST(known_answers_are_known) {
    cst_device *device = NULL;
    cst_err err = {0};

    if (!opencl_is_there()) return;
    CHECK_OK(cst_device_open("opencl:", &device, NULL));
    if (cst_device_selftest(device, &err) != CST_OK) TEST_FAIL("%s", err.text);
    cst_device_close(device);
}

// ---- Keys and hashes ----------------------------------------------------------------------------

enum { KEY_BYTES_MAX = 66000, TEXT_BYTES_MAX = 33000, KEY_ROWS = 300 };

typedef struct keys_side {
    cst_device *device;
    cst_queue *queue;
} keys_side;

static void keys_open(keys_side *on, const char *uri) {
    CHECK_OK(cst_device_open(uri, &on->device, NULL));
    CHECK_OK(cst_queue_open(on->device, NULL, &on->queue, NULL));
}

static void keys_close(keys_side *on) {
    cst_queue_close(on->queue);
    cst_device_close(on->device);
}

static void keys_run(keys_side *on, const cst_command *command) {
    cst_completion done;

    CHECK_OK(cst_queue_submit(on->queue, command, NULL, NULL));
    CHECK_OK(cst_queue_wait(on->queue, UINT64_MAX));
    CHECK_EQ(cst_queue_poll(on->queue, &done, 1), 1);
    CHECK_OK(done.code);
    CHECK_EQ(done.rows_done, command->rows.rows_count);
}

// A value of tests/vectors/keys.txt as a column of one row.
static void value_read(const cst_column *column, const char *word, uint8_t *bytes, int32_t *offsets,
                       cst_column_data *out) {
    static uint8_t present[1];
    uint64_t words[2] = {0, 0};
    size_t count = cst_column_value_bytes(column);

    memset(bytes, 0, 16);
    if (strncmp(word, "x:", 2) == 0) {
        count = vectors_hex(word + 2, bytes, TEXT_BYTES_MAX);
    } else if (strncmp(word, "f:", 2) == 0) {
        words[0] = strtoull(word + 2, NULL, 16);
        memcpy(bytes, words, count);
    } else if (strcmp(word, "null") != 0) {
        cst_u128 number = 0;

        for (const char *digit = word + (word[0] == '-'); *digit; digit++)
            number = 10u * number + (uint32_t)(*digit - '0');
        number = word[0] == '-' ? -number : number;
        memcpy(bytes, &number, count);
    }
    offsets[0] = 0;
    offsets[1] = count && strcmp(word, "null") != 0 ? (int32_t)count : 0;
    *out = (cst_column_data){.values = {bytes, count}};
    if (cst_column_value_bytes(column) == 0) {
        out->offsets = (cst_buffer){offsets, 2 * sizeof *offsets};
        out->values.bytes = (size_t)offsets[1];
    }
    // No bit is set: without bits none is null.
    if (strcmp(word, "null") == 0) out->validity = (cst_buffer){present, 1};
}

TEST(golden_keys) {
    static vectors v;
    static uint8_t bytes[CST_COLUMNS_MAX][TEXT_BYTES_MAX], key[KEY_BYTES_MAX],
        wanted[KEY_BYTES_MAX];
    keys_side one;
    int lines_count = 0;

    if (!opencl_is_there()) return;
    keys_open(&one, "opencl:");
    for (vectors_open(&v, "keys.txt"); vectors_next(&v, 3); lines_count++) {
        const size_t count = vectors_hex(v.fields[2], wanted, sizeof wanted);
        cst_column_data columns[CST_COLUMNS_MAX];
        int32_t offsets[CST_COLUMNS_MAX][2];
        uint32_t key_offsets[2] = {0}, c = 0;
        cst_keys keys = {.bytes = key, .bytes_capacity = sizeof key, .offsets = key_offsets};
        cst_schema schema;
        const cst_batch batch = {.schema = &schema, .rows_count = 1, .columns = columns};

        CHECK_OK(cst_schema_parse(v.fields[0], &schema, NULL));
        for (char *word = strtok(v.fields[1], " "); word; word = strtok(NULL, " "), c++)
            value_read(&schema.columns[c], word, bytes[c], offsets[c], &columns[c]);
        CHECK_EQ(c, schema.columns_count);
        keys_run(&one, &(cst_command){.ops = CST_OP_ENCODE,
                                      .batch = &batch,
                                      .rows = {.rows_count = 1},
                                      .keys_out = &keys});
        CHECK_EQ(keys.stride ? keys.stride : key_offsets[1], count);
        CHECK_BYTES(key, wanted, count);
    }
    CHECK(lines_count > 100);
    keys_close(&one);
}

TEST(golden_hashes) {
    static vectors v;
    uint8_t key_bytes[16], message[2048];
    keys_side one;
    int lines_count = 0;

    if (!opencl_is_there()) return;
    keys_open(&one, "opencl:");
    for (vectors_open(&v, "hash.txt"); vectors_next(&v, 3); lines_count++) {
        cst_command command = {.ops = CST_OP_HASH, .rows = {.rows_count = 1, .keys = message}};
        uint64_t hash = 0;

        CHECK_EQ(vectors_hex(v.fields[0], key_bytes, sizeof key_bytes), 16);
        memcpy(&command.hash_key, key_bytes, sizeof command.hash_key);
        command.rows.key_bytes = (uint32_t)vectors_hex(v.fields[1], message, sizeof message);
        command.rows.key_stride = command.rows.key_bytes;
        command.hashes_out = &hash;
        keys_run(&one, &command);
        CHECK_EQ(hash, strtoull(v.fields[2], NULL, 16));
    }
    CHECK(lines_count >= 99);
    keys_close(&one);
}

// From some row on, in pieces, of any columns.
TEST(keys_and_hashes_of_random_rows_are_the_processors) {
    keys_side sides[SIDES];

    if (!opencl_is_there()) return;
    keys_open(&sides[CPU], "cpu:scalar");
    keys_open(&sides[OTHER], "opencl:?piece_rows=64");
    for (int round = 0; round < 24; round++) {
        const uint32_t first = (uint32_t)test_random_below(KEY_ROWS / 2);
        uint8_t *bytes[SIDES];
        static uint32_t offsets[SIDES][KEY_ROWS + 1];
        static uint64_t hashes[SIDES][KEY_ROWS];
        random_batch random = {.schema = random_schema(5, round % 3 == 0)};
        size_t bound;

        random_batch_fill(&random, KEY_ROWS);
        bound = cst_keys_bytes_bound(&random.batch);
        memset(offsets, 0, sizeof offsets);
        memset(hashes, 0, sizeof hashes);
        for (int s = 0; s < SIDES; s++) {
            cst_keys keys = {.bytes_capacity = bound + 8, .offsets = offsets[s]};

            CHECK(bytes[s] = keys.bytes = calloc(1, bound + 8));
            keys_run(&sides[s], &(cst_command){.ops = CST_OP_ENCODE | CST_OP_HASH,
                                               .batch = &random.batch,
                                               .rows = {.first_row = first, .rows_count = KEY_ROWS},
                                               .hash_key = {1, 2},
                                               .keys_out = &keys,
                                               .hashes_out = hashes[s]});
        }
        CHECK_BYTES(hashes[OTHER], hashes[CPU], sizeof hashes[CPU]);
        if (cst_schema_key_bytes(&random.schema) == 0)
            CHECK_BYTES(offsets[OTHER], offsets[CPU], sizeof offsets[CPU]);
        bound = cst_schema_key_bytes(&random.schema) ? bound : offsets[CPU][KEY_ROWS];
        CHECK_BYTES(bytes[OTHER], bytes[CPU], bound);
        for (int s = 0; s < SIDES; s++) free(bytes[s]);
        random_batch_free(&random);
    }
    for (int s = 0; s < SIDES; s++) keys_close(&sides[s]);
}

// ---- Tables -------------------------------------------------------------------------------------

// The longest keys and the widest entries; the smallest.
TEST(entries_of_every_width_are_the_processors) {
    static const uint32_t widths[][2] = {{248, 248}, {0, 0}, {0, 160}, {248, 0}, {1, 7}, {17, 96}};

    if (!opencl_is_there()) return;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        rows_batch *batch = calloc(1, sizeof *batch);
        both b = {0};

        CHECK(batch);
        knobs_draw(&b.knobs);
        b.knobs.options.key_bytes = b.knobs.keys_longest = widths[i][0];
        b.knobs.options.program =
            (cst_program){.value_bytes = widths[i][1] < VALUE_BYTES_MAX ? widths[i][1]
                                                                        : (uint32_t)VALUE_BYTES_MAX,
                          .presence_offset = CST_NO_OFFSET};
        both_open(&b, "opencl:", NULL);
        for (uint32_t step = 0; step < 5; step++) {
            const cst_command command = apply_draw(&b, batch);

            apply(&b, command);
            look_up(&b, command);
            barrier(&b);
            restore(&b);
            images_compare(&b);
        }
        both_close(&b);
        batch_free(batch);
    }
}

TEST(sums_of_doubles_and_of_decimals_are_those_of_the_processor) {
    if (opencl_is_there()) pair_run(&opencl, sums_draw, sums_run);
}

TEST(the_log_goes_on_in_places_that_were_released) {
    if (opencl_is_there()) pair_run(&opencl, log_draw, log_run);
}

TEST(commands_in_flight_complete_as_one_after_the_other) {
    rows_batch *batches[FLIGHT_BATCHES];
    uint64_t stops = 0;

    if (!opencl_is_there()) return;
    for (uint32_t i = 0; i < FLIGHT_BATCHES; i++) CHECK(batches[i] = calloc(1, sizeof **batches));
    for (uint32_t table = 0; table < 6 || (stops == 0 && table < STREAMS_MAX); table++) {
        both b = {0};

        flight_draw(&b, batches);
        both_open(&b, "opencl:", NULL);
        flight_run(&b, batches, 6);
        stops += b.stops_count;
        both_close(&b);
    }
    CHECK(stops > 0);
    flight_batches_free(batches);
}

// More rows than a piece has, from a table without any: it grows again and again.
TEST(a_batch_of_several_pieces_is_applied_as_by_the_processor) {
    enum { ROWS = 80000, KEYS = 15000 };
    static uint64_t numbers[ROWS];
    static uint8_t ops[ROWS];
    const cst_column_data column = {.values = {numbers, sizeof numbers}};
    const cst_source source = {numbers, NULL, CST_TYPE_U64};
    cst_schema schema;
    const cst_batch batch = {.schema = &schema, .rows_count = ROWS, .columns = &column};
    both b = {0};

    if (!opencl_is_there()) return;
    CHECK_OK(cst_schema_parse("u64", &schema, NULL));
    knobs_draw(&b.knobs);
    b.knobs.options.key_bytes = 8;
    b.knobs.options.budget_bytes = UINT64_C(64) << 20;
    b.knobs.options.program =
        (cst_program){.value_bytes = 16,
                      .accumulators_count = 2,
                      .presence_offset = CST_NO_OFFSET,
                      .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                       {CST_SUM, CST_U64, 8, 0, 0}}};
    both_open(&b, "opencl:", &schema);
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        for (uint32_t r = 0; r < ROWS; r++) {
            numbers[r] = test_random_below(KEYS);
            ops[r] = test_random_below(16) == 0;
        }
        for (uint32_t s = 0; s < SIDES; s++) {
            const cst_command command = {.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                                         .table = b.sides[s].table,
                                         .batch = &batch,
                                         .rows = {.rows_count = ROWS,
                                                  .ops = ops,
                                                  .sources = &source}};
            cst_completion done;
            cst_err err = {0};

            if (cst_device_run(b.sides[s].queue, &command, &done, &err) != CST_OK)
                TEST_FAIL("%s", err.text);
        }
        barrier(&b);
        images_compare(&b);
    }
    both_close(&b);
}

// A reset while nothing is lost: tables go on.
TEST(after_a_reset_tables_go_on) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    if (!opencl_is_there()) return;
    knobs_draw(&b.knobs);
    sources_draw(&b.knobs.options.program, batch);
    both_open(&b, "opencl:", NULL);
    for (uint32_t step = 0; step < 3; step++) {
        apply(&b, apply_draw(&b, batch));
        for (uint32_t s = 0; s < SIDES; s++) CHECK_OK(cst_device_reset(b.sides[s].device, NULL));
        images_compare(&b);
    }
    both_close(&b);
    batch_free(batch);
}

TEST_MAIN
