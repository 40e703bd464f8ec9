// Random rows, barriers, cuts that wait and that do not, and deaths: what a checkpoint has of each
// input is exactly what was sent in front of its barrier, in the cut or stored, each row in one.
#include "unit/stream/stored_partition.h"

enum { SEEDS = 12, STEPS = 1500, IDS_MAX = 512, STORED_BYTES_MAX = 1 << 18 };

// What an input sent in front of the barrier of a checkpoint; rows are counted from 1.
typedef struct mark {
    uint64_t sent[INPUTS];
    bool passed[INPUTS];
} mark;

typedef struct simulation {
    stored_partition of;
    uint64_t sent[INPUTS];
    mark marks[IDS_MAX];
    uint64_t id;              // begun last; 0: none
    bool is_over;             // it has committed, or was given up
    bool is_sealed, has_rows; // of it
    uint64_t applied[INPUTS];
    uint64_t stored[INPUTS]; // rows of each that came with it
    // The last that is complete, and what a start goes on from.
    uint64_t base_sent[INPUTS];
    uint8_t base_object[STORED_BYTES_MAX], object[STORED_BYTES_MAX];
    size_t base_bytes, object_bytes; // 0: no row was stored
    uint64_t complete_count, stored_count, deaths_count;
} simulation;

static uint64_t sum_of(const uint64_t counts[INPUTS]) {
    uint64_t sum = 0;

    for (int i = 0; i < INPUTS; i++) sum += counts[i];
    return sum;
}

// Cut and stored rows are there: the checkpoint commits, or that is left out.
static void complete(simulation *s) {
    const mark *of = &s->marks[s->id];

    for (int i = 0; i < INPUTS; i++) {
        CHECK(of->passed[i]);
        CHECK_EQ(s->applied[i] + s->stored[i], of->sent[i]);
        s->base_sent[i] = of->sent[i];
    }
    memcpy(s->base_object, s->object, s->object_bytes);
    s->base_bytes = s->object_bytes;
    s->is_over = true;
    s->complete_count++;
}

static cst_code sealed_take(void *context, const csti_sealed *sealed, cst_err *err) {
    simulation *s = context;

    (void)err;
    // Every row that was ever applied is some input's: those that a start applied again, too.
    CHECK_EQ(sealed->rows_count, sum_of(sealed->applied));
    if (sealed->barrier.id != s->id || s->is_over) return CST_OK;
    CHECK(!s->is_sealed);
    s->is_sealed = true;
    s->has_rows = sealed->rows_follow;
    memcpy(s->applied, sealed->applied, sizeof s->applied);
    memset(s->stored, 0, sizeof s->stored);
    s->object_bytes = 0;
    if (!s->has_rows) complete(s);
    return CST_OK;
}

static uint32_t input_of(const csti_block *block, uint32_t row) {
    return (uint32_t)(block->keys[block->key_offsets[row]] - 'a');
}

// Each follows the one before it of its input.
static void stored_check(simulation *s, const csti_block *block) {
    for (uint32_t r = 0; r < block->rows_count; r++) {
        const uint32_t input = input_of(block, r);

        s->stored[input]++;
        CHECK_EQ(((const uint64_t *)block->sources[0].values)[r],
                 s->applied[input] + s->stored[input]);
    }
}

static cst_code stored_take(void *context, uint64_t id, csti_stored_rows *rows, cst_err *err) {
    simulation *s = context;

    (void)err;
    if (id == s->id && !s->is_over) {
        CHECK(s->is_sealed && s->has_rows);
        if (rows->rows_count > 0) {
            csti_block *block = csti_channel_block(s->of.replay_blocks);
            csti_stored_expect expect = expected(rows, 0);

            CHECK(CSTI_STORED_HEADER_BYTES + rows->bytes.used_bytes <= STORED_BYTES_MAX);
            expect.checksum = csti_stored_head(rows, &expect, s->object);
            memcpy(s->object + CSTI_STORED_HEADER_BYTES, rows->bytes.bytes, rows->bytes.used_bytes);
            s->object_bytes = expect.bytes;
            csti_stored_reader reader;
            CHECK_OK(csti_stored_open("kept", s->object, expect.bytes, &expect, &reader, NULL));
            for (; csti_stored_fill(&reader, block); block->rows_count = 0) stored_check(s, block);
            csti_channel_recycle(s->of.replay_blocks, block);
            s->stored_count += rows->rows_count;
        }
        complete(s);
    }
    csti_stored_end(rows);
    return CST_OK;
}

static bool released_give(void *context, csti_released *out) {
    (void)context;
    (void)out;
    return false;
}

static void given_up_take(void *context, csti_barrier barrier, cst_code code, uint32_t input) {
    simulation *s = context;

    (void)input;
    CHECK(code == CST_CHECKPOINT_ABORTED || code == CST_CHECKPOINT_ORDER ||
          code == CST_ALIGN_LIMIT);
    if (barrier.id == s->id) s->is_over = true;
}

static void start(simulation *s) {
    const csti_partition_events events = {.sealed = sealed_take,
                                          .released = released_give,
                                          .given_up = given_up_take,
                                          .stored = stored_take,
                                          .context = s};
    const uint64_t rows_max = test_random_below(4) == 0 ? 20 : 0;

    stored_partition_start(&s->of, rows_max, &events, s->base_sent,
                           sum_of(s->base_sent) - (s->of.replay.rows_count));
}

// What is behind the last complete checkpoint is lost, and sent again.
static void die(simulation *s) {
    csti_stored_expect expect = {.table_id = 0xC0FFEE,
                                 .epoch = 7,
                                 .schema_hash = 0x5C4E3A,
                                 .program_hash = 0x960642,
                                 .hash_key = &HASH_KEY,
                                 .group_to = 4096,
                                 .bytes = s->base_bytes};

    stored_partition_close(&s->of);
    stored_partition_open(&s->of);
    if (s->base_bytes > 0) {
        memcpy(&expect.rows_count, s->base_object + 56, sizeof expect.rows_count);
        CHECK_OK(
            csti_stored_open("again", s->base_object, s->base_bytes, &expect, &s->of.replay, NULL));
    }
    memcpy(s->sent, s->base_sent, sizeof s->sent);
    for (uint64_t id = 0; id <= s->id; id++) memset(s->marks[id].passed, 1, INPUTS);
    s->is_over = true;
    s->deaths_count++;
    start(s);
}

static void send(simulation *s, uint32_t input) {
    const char key = (char)('a' + (int)input);
    csti_block *block = csti_channel_block(s->of.inputs[input]);

    if (!block) return; // it is full
    for (uint64_t n = 1 + test_random_below(BLOCK_ROWS); n > 0; n--)
        block_put(block, &(stored_row){&key, 1, ++s->sent[input], NULL, false});
    block->runs[block->runs_count++] = (csti_block_run){input, block->rows_count};
    csti_channel_send_rows(s->of.inputs[input], block);
}

// The oldest barrier that the input has not passed, of those that were begun.
static void pass(simulation *s, uint32_t input) {
    uint64_t id = s->id;

    while (id > 1 && !s->marks[id - 1].passed[input]) id--;
    if (s->id == 0 || s->marks[id].passed[input]) return;
    if (csti_channel_send_barrier(s->of.inputs[input],
                                  (csti_barrier){.id = id, .mode = CSTI_BARRIER_ALIGNED}) != CST_OK)
        return;
    s->marks[id].passed[input] = true;
    s->marks[id].sent[input] = s->sent[input];
}

static void begin(simulation *s) {
    if ((s->id > 0 && !s->is_over) || s->id + 1 >= IDS_MAX) return;
    s->id++;
    s->is_over = s->is_sealed = false;
}

static void poll(simulation *s) {
    cst_err err = {.code = CST_OK};
    const cst_code code = csti_partition_poll(s->of.partition, &err);

    if (code != CST_OK && code != CST_AGAIN) TEST_FAIL("%s", err.text);
}

static void step(simulation *s) {
    const uint64_t choice = test_random_below(100);
    const uint32_t input = (uint32_t)test_random_below(INPUTS);

    if (test_random_below(200) == 0)
        die(s);
    else if (choice < 35)
        send(s, input);
    else if (choice < 50)
        pass(s, input);
    else if (choice < 60)
        begin(s);
    else if (choice < 66 && s->id > 0 && !s->is_over)
        s->of.unaligned_id = s->id;
    else if (choice < 67 && s->id > 0 && !s->is_over) {
        s->of.aborted_id = s->id;
        s->is_over = true;
    } else {
        poll(s);
    }
}

TEST(each_row_in_front_of_a_barrier_is_in_the_cut_or_stored_and_no_other_is) {
    static simulation s;
    uint64_t complete_count = 0, stored_count = 0, deaths_count = 0;

    for (int seed = 0; seed < SEEDS; seed++) {
        memset(&s, 0, sizeof s);
        s.is_over = true;
        stored_partition_open(&s.of);
        start(&s);
        for (int i = 0; i < STEPS; i++) step(&s);
        stored_partition_close(&s.of);
        complete_count += s.complete_count;
        stored_count += s.stored_count;
        deaths_count += s.deaths_count;
    }
    CHECK(complete_count > 100);
    CHECK(stored_count > 100);
    CHECK(deaths_count > 40);
}

TEST_MAIN
