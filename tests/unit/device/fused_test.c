// The fused pass gives what its steps give one by one.
#include "fixture.h"

enum { ROWS = 3000, TEXT_BYTES_MAX = 40 };

// Rows of a string, a nullable u32 and an amount that may be null.
typedef struct mixed_rows {
    char text[ROWS * TEXT_BYTES_MAX];
    int32_t offsets[ROWS + 1];
    uint32_t numbers[ROWS];
    uint8_t present[(ROWS + 7) / 8];
    uint64_t amounts[ROWS];
    uint8_t amounts_present[(ROWS + 7) / 8];
    uint8_t ops[ROWS];
    cst_schema schema;
    cst_column_data columns[2];
    cst_batch batch;
    cst_source source;
} mixed_rows;

static void mixed_fill(mixed_rows *rows, uint32_t text_bytes_max) {
    int32_t used = 0;

    memset(rows, 0, sizeof *rows);
    CHECK_OK(cst_schema_parse("string,desc nullable u32", &rows->schema, NULL));
    for (uint32_t r = 0; r < ROWS; r++) {
        const uint32_t bytes = (uint32_t)test_random_below(text_bytes_max + 1);

        rows->offsets[r] = used;
        for (uint32_t i = 0; i < bytes; i++) rows->text[used++] = (char)test_random_below(4);
        rows->numbers[r] = (uint32_t)test_random_below(3);
        rows->present[r / 8] |= (uint8_t)((test_random_below(4) > 0) << r % 8);
        rows->amounts[r] = test_random_below(1000);
        rows->amounts_present[r / 8] |= (uint8_t)((test_random_below(4) > 0) << r % 8);
        rows->ops[r] = test_random_below(8) == 0;
    }
    rows->offsets[ROWS] = used;
    rows->columns[0] = (cst_column_data){.values = {rows->text, (size_t)used},
                                         .offsets = {rows->offsets, sizeof rows->offsets}};
    rows->columns[1] = (cst_column_data){.values = {rows->numbers, sizeof rows->numbers},
                                         .validity = {rows->present, sizeof rows->present}};
    rows->batch =
        (cst_batch){.schema = &rows->schema, .rows_count = ROWS, .columns = rows->columns};
    rows->source = (cst_source){rows->amounts, rows->amounts_present, CST_TYPE_U64};
    CHECK_OK(cst_batch_check(&rows->batch, NULL));
}

static cst_table_options mixed_options(void) {
    cst_table_options options = fixture_options();

    options.key_bytes = 100;
    options.program.value_bytes = 32;
    options.program.presence_offset = 24;
    return options;
}

static void mixed_open(fixture *f, const char *uri) {
    const cst_table_options options = mixed_options();
    const cst_queue_options queue_options = {.depth = FIXTURE_DEPTH};

    CHECK_OK(cst_device_open(uri, &f->device, NULL));
    CHECK_OK(cst_queue_open(f->device, &queue_options, &f->queue, NULL));
    CHECK_OK(cst_schema_parse("string,desc nullable u32", &f->keys, NULL));
    CHECK_OK(cst_device_table_open(f->queue, &options, &f->keys, &f->table, NULL));
}

static void run_fused(fixture *f, mixed_rows *rows, cst_keys *keys, uint64_t *hashes) {
    const cst_command command = {
        .ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
        .table = f->table,
        .batch = &rows->batch,
        .rows = {.rows_count = ROWS, .ops = rows->ops, .sources = &rows->source},
        .keys_out = keys,
        .hashes_out = hashes,
    };

    CHECK_EQ(fixture_run(f, &command).rows_done, ROWS);
}

static void run_separate(fixture *f, mixed_rows *rows, cst_keys *keys, uint64_t *hashes) {
    cst_command command = {.ops = CST_OP_ENCODE,
                           .table = f->table,
                           .batch = &rows->batch,
                           .rows = {.rows_count = ROWS},
                           .keys_out = keys};

    CHECK_EQ(fixture_run(f, &command).rows_done, ROWS);
    command = (cst_command){
        .ops = CST_OP_HASH,
        .rows = {.rows_count = ROWS, .keys = keys->bytes, .key_offsets = keys->offsets},
        .hash_key = cst_device_table_options(f->table)->hash_key,
        .hashes_out = hashes,
    };
    CHECK_EQ(fixture_run(f, &command).rows_done, ROWS);
    command.ops = CST_OP_APPLY;
    command.table = f->table;
    command.rows.hashes = hashes;
    command.rows.ops = rows->ops;
    command.rows.sources = &rows->source;
    command.hashes_out = NULL;
    CHECK_EQ(fixture_run(f, &command).rows_done, ROWS);
}

// Three ways on three devices: keys, hashes and images are equal byte by byte.
static void compare_ways(uint32_t text_bytes_max) {
    enum { WAYS = 3, KEY_BYTES = ROWS * (2 * TEXT_BYTES_MAX + 16) };
    static const char *const uris[WAYS] = {"cpu:", "cpu:scalar", "cpu:?worker=1"};
    mixed_rows *rows = malloc(sizeof *rows);
    uint8_t *bytes[WAYS];
    uint32_t *offsets[WAYS];
    uint64_t *hashes[WAYS];
    fixture f[WAYS];

    CHECK(rows);
    for (int w = 0; w < WAYS; w++) {
        bytes[w] = malloc(KEY_BYTES);
        offsets[w] = calloc(ROWS + 1, sizeof(uint32_t));
        hashes[w] = calloc(ROWS, sizeof(uint64_t));
        mixed_open(&f[w], uris[w]);
    }
    for (int b = 0; b < 3; b++) {
        mixed_fill(rows, text_bytes_max);
        for (int w = 0; w < WAYS; w++) {
            cst_keys keys = {bytes[w], KEY_BYTES, offsets[w], 0};

            if (w == 0) run_separate(&f[w], rows, &keys, hashes[w]);
            if (w == 1) run_fused(&f[w], rows, &keys, hashes[w]);
            if (w == 2) run_fused(&f[w], rows, NULL, NULL); // keys stay in the device
        }
        CHECK_BYTES(offsets[0], offsets[1], (ROWS + 1) * sizeof(uint32_t));
        CHECK_BYTES(bytes[0], bytes[1], offsets[0][ROWS]);
        CHECK_BYTES(hashes[0], hashes[1], ROWS * sizeof(uint64_t));
    }
    for (int w = 1; w < WAYS; w++)
        CHECK_OK(cst_table_compare(cst_device_table_image(f[0].table),
                                   cst_device_table_image(f[w].table), NULL));
    for (int w = 0; w < WAYS; w++) {
        fixture_close(&f[w]);
        free(bytes[w]);
        free(offsets[w]);
        free(hashes[w]);
    }
    free(rows);
}

TEST(fused_equals_separate_with_short_keys) {
    compare_ways(3);
}
TEST(fused_equals_separate_with_long_keys) {
    compare_ways(TEXT_BYTES_MAX);
}

TEST(a_batch_goes_on_at_any_row) {
    mixed_rows *rows = malloc(sizeof *rows);
    fixture whole;
    fixture pieces;

    CHECK(rows);
    mixed_fill(rows, 10);
    mixed_open(&whole, "cpu:");
    mixed_open(&pieces, "cpu:");
    run_fused(&whole, rows, NULL, NULL);
    for (uint32_t row = 0; row < ROWS;) {
        uint32_t to = row + 1 + (uint32_t)test_random_below(1700);
        cst_batch first = rows->batch;
        cst_command command;

        if (to > ROWS) to = ROWS;
        first.rows_count = to; // bytes of the buffers may be more than the rows need
        command = (cst_command){
            .ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
            .table = pieces.table,
            .batch = &first,
            .rows = {.rows_count = to,
                     .first_row = row,
                     .ops = rows->ops,
                     .sources = &rows->source},
        };
        CHECK_EQ(fixture_run(&pieces, &command).rows_done, to);
        row = to;
    }
    CHECK_OK(cst_table_compare(cst_device_table_image(whole.table),
                               cst_device_table_image(pieces.table), NULL));
    fixture_close(&whole);
    fixture_close(&pieces);
    free(rows);
}

TEST(keys_out_that_is_too_small_is_a_limit) {
    fixture f;
    fixture_rows *rows = fixture_rows_make(2000, 0);
    uint8_t *bytes = malloc(2000 * 8);
    cst_keys keys = {bytes, 2000 * 8 - 1, NULL, 0};
    cst_command command;

    CHECK(bytes);
    fixture_open(&f, "cpu:");
    command = fixture_apply(&f, rows);
    command.ops = CST_OP_ENCODE;
    command.keys_out = &keys;
    fixture_submit(&f, &command);
    CHECK_CODE(fixture_next(&f).code, CST_LIMIT);
    CHECK_OK(cst_queue_resume(f.queue, NULL));
    keys.bytes_capacity++;
    CHECK_EQ(fixture_run(&f, &command).rows_done, 2000);
    CHECK_EQ(keys.stride, 8);
    CHECK_EQ(bytes[8 * 1999 + 6], 1999 >> 8);
    free(bytes);
    fixture_close(&f);
    free(rows);
}

TEST(wide_rows_go_through_a_device) {
    cst_table_options options = fixture_options();
    fixture f;
    uint8_t values[5000];
    const uint32_t offsets[4] = {0, 5000, 5000, 5000};
    char text[300];
    const int32_t key_offsets[4] = {0, 300, 300, 301};
    cst_schema schema;
    cst_device_table *table = NULL;
    uint8_t records[8192] __attribute__((aligned(64)));
    cst_scan scan = {0};
    cst_completion done;

    memset(values, 7, sizeof values);
    memset(text, 'k', sizeof text);
    options.layout = CST_TABLE_WIDE;
    options.key_bytes = 0;
    options.program = (cst_program){.presence_offset = CST_NO_OFFSET};
    fixture_open(&f, "cpu:");
    CHECK_OK(cst_schema_parse("string", &schema, NULL));
    CHECK_OK(cst_device_table_open(f.queue, &options, &schema, &table, NULL));
    const cst_column_data column = {.values = {text, sizeof text},
                                    .offsets = {key_offsets, sizeof key_offsets}};
    const cst_batch batch = {.schema = &schema, .rows_count = 2, .columns = &column};
    cst_command command = {
        .ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
        .table = table,
        .batch = &batch,
        .rows = {.rows_count = 2, .values = values, .value_offsets = offsets},
    };
    CHECK_EQ(fixture_run(&f, &command).rows_done, 2);
    command.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_LOOKUP;
    CHECK_CODE(cst_queue_submit(f.queue, &command, NULL, NULL), CST_UNSUPPORTED);
    command = (cst_command){.ops = CST_OP_SCAN,
                            .table = table,
                            .scan = &scan,
                            .scan_out = records,
                            .scan_bytes = sizeof records};
    done = fixture_run(&f, &command);
    CHECK_EQ(done.count, 2);
    // 16 + 302 padded to 304 + 5000, padded to 32; 16 + 2 padded to 8, padded to 32.
    CHECK_EQ(done.position, 5344 + 32);
    cst_device_table_close(table);
    fixture_close(&f);
}

TEST_MAIN
