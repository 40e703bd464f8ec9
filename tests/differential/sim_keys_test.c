// Keys alone, of columns of any type, by the processor and by the simulated card: equal keys,
// offsets, hashes and completions, whatever the rows; and the card's clocks say that it did them.
#include "card_waves.h"
#include "unit/codec/random_batch.h"

#include <constellation/device.h>

#ifndef CST_HAS_SIM
TEST(this_build_has_no_simulated_card) {
    cst_device *device = NULL;

    CHECK_CODE(cst_device_open("sim:", &device, NULL), CST_UNSUPPORTED);
}
#else

enum { SIDES = 2, CPU = 0, SIM = 1, CIRCUIT_KEY_BYTES = 64 };

typedef struct side {
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table; // NULL, or what says how to hash
} side;

// What a command gives, and what it may write to.
typedef struct outputs {
    cst_keys keys;
    uint64_t *hashes;
    cst_completion done;
} outputs;

static uint64_t clocks_of(void *device) {
    cst_simulation simulation;

    cst_device_simulation(device, &simulation);
    return simulation.clocks;
}

static void sides_open(side *sides) {
    static const char *const uris[SIDES] = {"cpu:", "sim:"};

    for (int s = 0; s < SIDES; s++) {
        sides[s] = (side){0};
        CHECK_OK(cst_device_open(card_waves_uri(uris[s]), &sides[s].device, NULL));
        CHECK_OK(cst_queue_open(sides[s].device, NULL, &sides[s].queue, NULL));
    }
    card_waves_watch(clocks_of, sides[SIM].device);
}

static void sides_close(side *sides) {
    card_waves_watch(NULL, NULL);
    for (int s = 0; s < SIDES; s++) {
        cst_device_table_close(sides[s].table);
        cst_queue_close(sides[s].queue);
        cst_device_close(sides[s].device);
    }
}

static outputs outputs_make(const cst_batch *batch, size_t capacity) {
    const size_t rows = batch->rows_count;
    outputs out = {.keys = {test_block(capacity), capacity,
                            test_block((rows + 1) * sizeof(uint32_t)), 0},
                   .hashes = test_block(rows * sizeof(uint64_t))};

    out.keys.offsets[0] = 0;
    return out;
}

static void outputs_free(outputs *out) {
    free(out->keys.bytes);
    free(out->keys.offsets);
    free(out->hashes);
}

static void command_run(const side *own, const cst_batch *batch, uint32_t ops, uint32_t first_row,
                        outputs *out) {
    const cst_command command = {.ops = ops,
                                 .table = own->table,
                                 .batch = batch,
                                 .rows = {.rows_count = batch->rows_count, .first_row = first_row},
                                 .hash_key = {3, 4},
                                 .keys_out = out->keys.bytes ? &out->keys : NULL,
                                 .hashes_out = ops & CST_OP_HASH ? out->hashes : NULL};

    CHECK_OK(cst_queue_submit(own->queue, &command, NULL, NULL));
    CHECK_OK(cst_queue_wait(own->queue, UINT64_MAX));
    CHECK_EQ(cst_queue_poll(own->queue, &out->done, 1), 1);
    if (out->done.stopped) CHECK_OK(cst_queue_resume(own->queue, NULL));
}

static void outputs_compare(const cst_batch *batch, uint32_t ops, const outputs *out) {
    const uint32_t rows = batch->rows_count, stride = out[CPU].keys.stride;
    const size_t offsets_bytes = stride ? 0 : ((size_t)rows + 1) * sizeof(uint32_t);

    CHECK_EQ(out[SIM].done.code, out[CPU].done.code);
    CHECK_EQ(out[SIM].done.rows_done, out[CPU].done.rows_done);
    CHECK_EQ(out[SIM].done.stopped, out[CPU].done.stopped);
    if (out[CPU].done.code != CST_OK) return;
    CHECK_EQ(out[SIM].keys.stride, stride);
    CHECK_BYTES(out[SIM].keys.offsets, out[CPU].keys.offsets, offsets_bytes);
    CHECK_BYTES(out[SIM].keys.bytes, out[CPU].keys.bytes,
                stride ? (size_t)rows * stride : out[CPU].keys.offsets[rows]);
    if (ops & CST_OP_HASH) CHECK_BYTES(out[SIM].hashes, out[CPU].hashes, rows * sizeof(uint64_t));
}

// How many rows have a key that the circuit can make.
static uint32_t rows_short(const cst_batch *batch, const cst_keys *keys) {
    uint32_t count = 0;

    for (uint32_t r = 0; r < batch->rows_count; r++)
        count += (keys->stride ? keys->stride : keys->offsets[r + 1] - keys->offsets[r]) <=
                 CIRCUIT_KEY_BYTES;
    return count;
}

// The batch on both sides, from its first row on. Where the circuit could make a key it has seen
// all rows, one a clock at most. Returns how many of its keys are in reach.
static uint32_t batch_compare(const side *sides, const cst_batch *batch, uint32_t ops) {
    const uint64_t clocks = clocks_of(sides[SIM].device);
    outputs out[SIDES];
    uint32_t count;

    CHECK_OK(cst_batch_check(batch, NULL));
    for (int s = 0; s < SIDES; s++) {
        out[s] = outputs_make(batch, cst_keys_bytes_bound(batch));
        command_run(&sides[s], batch, ops, 0, &out[s]);
        CHECK_OK(out[s].done.code);
    }
    outputs_compare(batch, ops, out);
    count = rows_short(batch, &out[CPU].keys);
    if (count > 0 && clocks_of(sides[SIM].device) - clocks < batch->rows_count)
        TEST_FAIL("%" PRIu64 " clocks for %u rows, %u of them in the circuit's reach",
                  clocks_of(sides[SIM].device) - clocks, batch->rows_count, count);
    for (int s = 0; s < SIDES; s++) outputs_free(&out[s]);
    return count;
}

enum { BATCHES_MIN = 40, BATCHES_MAX = 400 };

// What is drawn may leave out keys of one kind: of 400 batches some have it.
TEST(columns_of_all_types_become_the_same_keys_in_the_circuit) {
    uint32_t in_reach = 0, rows = 0;
    side sides[SIDES];

    sides_open(sides);
    for (uint32_t i = 0;
         i < BATCHES_MIN || (i < BATCHES_MAX && (in_reach == 0 || in_reach == rows)); i++) {
        random_batch batch = {.schema = random_schema(1 + i % 5, i % 8 == 7)};

        random_batch_fill(&batch, 1 + (uint32_t)test_random_below(500));
        in_reach += batch_compare(sides, &batch.batch,
                                  i % 4 == 3 ? CST_OP_ENCODE : CST_OP_ENCODE | CST_OP_HASH);
        rows += batch.batch.rows_count;
        random_batch_free(&batch);
    }
    CHECK(in_reach > 0);
    CHECK(in_reach < rows);
    sides_close(sides);
}

// ---- Strings of given lengths -------------------------------------------------------------------

// A batch of one string column; row r has lengths[r % count] bytes, every `zero_each`th is zero.
static void strings_fill(random_batch *out, const uint32_t *lengths, uint32_t count, uint32_t rows,
                         uint32_t zero_each) {
    int32_t *offsets = test_block(((size_t)rows + 1) * sizeof(int32_t));
    uint8_t *bytes;
    uint32_t used = 0;

    CHECK_OK(cst_schema_parse("nullable binary", &out->schema, NULL));
    offsets[0] = 0;
    for (uint32_t r = 0; r < rows; r++) {
        used += lengths[r % count];
        offsets[r + 1] = (int32_t)used;
    }
    bytes = test_block(used);
    for (uint32_t i = 0; i < used; i++)
        bytes[i] = zero_each && i % zero_each == 0 ? 0 : (uint8_t)(1 + test_random_below(255));
    out->columns[0] = (cst_column_data){.values = {bytes, used},
                                        .offsets = {offsets, ((size_t)rows + 1) * sizeof(int32_t)}};
    out->batch = (cst_batch){.schema = &out->schema, .rows_count = rows, .columns = out->columns};
}

// Over 64 bytes of key, over what a row's beats hold, over what a row's head can say.
TEST(keys_that_are_too_long_for_the_circuit_are_the_processors) {
    static const uint32_t lengths[] = {0,  16, 61,  62,  63,   64, 15, 1,     112,
                                       17, 45, 253, 254, 255,  3,  46, 256,   1000,
                                       2,  47, 48,  0,   5000, 1,  9,  32768, 8};
    const uint32_t count = sizeof lengths / sizeof *lengths;
    side sides[SIDES];

    sides_open(sides);
    for (uint32_t i = 0; i < 6; i++) {
        random_batch batch;

        strings_fill(&batch, lengths + (i < 3 ? 0 : test_random_below(count - 1)),
                     i < 3 ? count : 1, 3 * count + i, i % 3 * 7);
        (void)batch_compare(sides, &batch.batch, CST_OP_ENCODE | CST_OP_HASH);
        random_batch_free(&batch);
    }
    sides_close(sides);
}

enum { PIECE_ROWS = 16384, MANY_ROWS = PIECE_ROWS + 16 };

// More rows than go to the card at once, as those at the end have results of two beats.
TEST(batches_of_many_rows_go_in_pieces) {
    static uint32_t lengths[MANY_ROWS];
    random_batch batch;
    side sides[SIDES];

    sides_open(sides);
    for (uint32_t r = 0; r < MANY_ROWS; r++) lengths[r] = r < PIECE_ROWS + 5 ? 5 : 60;
    strings_fill(&batch, lengths, MANY_ROWS, MANY_ROWS, 0);
    CHECK_EQ(batch_compare(sides, &batch.batch, CST_OP_ENCODE | CST_OP_HASH), MANY_ROWS);
    random_batch_free(&batch);
    lengths[0] = 60;
    strings_fill(&batch, lengths, MANY_ROWS, MANY_ROWS, 0);
    CHECK_EQ(batch_compare(sides, &batch.batch, CST_OP_ENCODE | CST_OP_HASH), MANY_ROWS);
    random_batch_free(&batch);
    sides_close(sides);
}

// ---- What the caller wants ----------------------------------------------------------------------

TEST(a_batch_goes_on_behind_the_keys_that_are_there) {
    side sides[SIDES];

    sides_open(sides);
    for (uint32_t i = 0; i < 6; i++) {
        random_batch batch = {.schema = random_schema(2, false)};
        outputs out[SIDES];

        random_batch_fill(&batch, 200);
        const uint32_t first = (uint32_t)test_random_below(200);
        const size_t bound = cst_keys_bytes_bound(&batch.batch);

        for (int s = 0; s < SIDES; s++) {
            cst_batch some = batch.batch;

            out[s] = outputs_make(&batch.batch, bound * (i % 2 + 1));
            some.rows_count = first;
            command_run(&sides[s], &some, CST_OP_ENCODE | CST_OP_HASH, 0, &out[s]);
            command_run(&sides[s], &batch.batch, CST_OP_ENCODE | CST_OP_HASH, first, &out[s]);
        }
        outputs_compare(&batch.batch, CST_OP_ENCODE | CST_OP_HASH, out);
        for (int s = 0; s < SIDES; s++) outputs_free(&out[s]);
        random_batch_free(&batch);
    }
    sides_close(sides);
}

TEST(a_place_that_is_too_small_is_the_same_limit) {
    static const uint32_t lengths[] = {20, 40};
    random_batch batch;
    side sides[SIDES];

    sides_open(sides);
    strings_fill(&batch, lengths, 2, 3000, 5);
    for (uint32_t i = 0; i < 4; i++) {
        const size_t bound = cst_keys_bytes_bound(&batch.batch);
        const size_t capacity[] = {0, bound / 2, bound - 1, bound};
        outputs out[SIDES];

        for (int s = 0; s < SIDES; s++) {
            out[s] = outputs_make(&batch.batch, capacity[i]);
            command_run(&sides[s], &batch.batch, CST_OP_ENCODE | CST_OP_HASH, 0, &out[s]);
        }
        outputs_compare(&batch.batch, CST_OP_ENCODE | CST_OP_HASH, out);
        CHECK_CODE(out[SIM].done.code, i < 2 ? CST_LIMIT : CST_OK);
        for (int s = 0; s < SIDES; s++) outputs_free(&out[s]);
    }
    random_batch_free(&batch);
    sides_close(sides);
}

// With a table its hash key counts, and the keys need no place of the caller's.
TEST(hashes_alone_of_a_table_with_strings_as_keys) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = 16,
        .program = {.value_bytes = 8, .presence_offset = CST_NO_OFFSET},
        .hash_key = {test_random(), test_random()},
        .budget_bytes = UINT64_C(16) << 20,
        .numa_node = -1,
    };
    static const uint32_t lengths[] = {3, 0, 11, 80, 1};
    random_batch batch;
    outputs out[SIDES];
    side sides[SIDES];
    uint64_t clocks;

    sides_open(sides);
    strings_fill(&batch, lengths, 5, 777, 6);
    for (int s = 0; s < SIDES; s++)
        CHECK_OK(
            cst_device_table_open(sides[s].queue, &options, &batch.schema, &sides[s].table, NULL));
    clocks = clocks_of(sides[SIM].device);
    for (int s = 0; s < SIDES; s++) {
        out[s] = outputs_make(&batch.batch, 0);
        free(out[s].keys.bytes);
        out[s].keys.bytes = NULL;
        command_run(&sides[s], &batch.batch, CST_OP_ENCODE | CST_OP_HASH, 0, &out[s]);
        CHECK_OK(out[s].done.code);
    }
    CHECK_BYTES(out[SIM].hashes, out[CPU].hashes, 777 * sizeof(uint64_t));
    CHECK(clocks_of(sides[SIM].device) - clocks > 777);
    for (int s = 0; s < SIDES; s++) outputs_free(&out[s]);
    sides_close(sides);
    random_batch_free(&batch);
}
#endif

TEST_MAIN
