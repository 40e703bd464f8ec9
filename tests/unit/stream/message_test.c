#define _GNU_SOURCE // RUSAGE_THREAD
#include "stream/message.h"

#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOWED 1 // the sanitizer's shadow memory faults by itself
#else
#define SHADOWED 0
#endif

static const csti_block_shape small = {.rows_capacity = 4,
                                       .key_bytes = 8,
                                       .sources_count = 1,
                                       .source_types = {CST_TYPE_I64}};

static csti_channel *open_channel(uint32_t blocks_count) {
    csti_channel *channel = NULL;

    CHECK_OK(csti_channel_open(&small, blocks_count, -1, &channel, NULL));
    return channel;
}

// Rows are told apart by their first hash.
static bool send_rows(csti_channel *channel, uint64_t number) {
    csti_block *block = csti_channel_block(channel);

    if (!block) return false;
    CHECK_EQ(block->rows_count, 0);
    CHECK_EQ(block->bytes, 0);
    block->rows_count = 1;
    block->bytes = 16;
    block->hashes[0] = number;
    csti_channel_send_rows(channel, block);
    return true;
}

static csti_barrier barrier_of(uint64_t id) {
    return (csti_barrier){.id = id, .epoch = id * 2, .mode = CSTI_BARRIER_ALIGNED};
}

static csti_message next(csti_channel *channel) {
    csti_message message;

    CHECK(csti_channel_receive(channel, &message));
    return message;
}

static void check_rows(csti_channel *channel, uint64_t number) {
    const csti_message message = next(channel);

    CHECK_EQ(message.kind, CSTI_MESSAGE_ROWS);
    CHECK_EQ(message.block->hashes[0], number);
    csti_channel_recycle(channel, message.block);
}

static void check_watermark(csti_channel *channel, int64_t watermark_us) {
    const csti_message message = next(channel);

    CHECK_EQ(message.kind, CSTI_MESSAGE_WATERMARK);
    CHECK_EQ(message.watermark_us, watermark_us);
}

static void check_barrier(csti_channel *channel, uint64_t id) {
    const csti_message message = next(channel);

    CHECK_EQ(message.kind, CSTI_MESSAGE_BARRIER);
    CHECK_EQ(message.barrier.id, id);
    CHECK_EQ(message.barrier.epoch, id * 2);
    CHECK_EQ(message.barrier.mode, CSTI_BARRIER_ALIGNED);
}

static void check_kind(csti_channel *channel, csti_message_kind kind) {
    CHECK_EQ(next(channel).kind, kind);
}

static void check_nothing(csti_channel *channel) {
    csti_message message;

    CHECK(!csti_channel_receive(channel, &message));
}

TEST(rows_come_in_order_and_their_blocks_go_back) {
    csti_channel *channel = open_channel(2);

    check_nothing(channel);
    for (uint64_t round = 0; round < 10; round++) {
        CHECK(send_rows(channel, round * 2));
        CHECK(send_rows(channel, round * 2 + 1));
        CHECK(!send_rows(channel, 99)); // both are under way
        check_rows(channel, round * 2);
        check_rows(channel, round * 2 + 1);
        check_nothing(channel);
    }
    csti_channel_close(channel);
    csti_channel_close(NULL);
}

TEST(a_barrier_and_an_end_always_fit_in_a_full_channel) {
    csti_channel *channel = open_channel(4); // with its two it fills no power of two

    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 4; i++) CHECK(send_rows(channel, i));
        CHECK(!send_rows(channel, 4));
        CHECK_OK(csti_channel_send_barrier(channel, barrier_of(7)));
        CHECK_CODE(csti_channel_send_barrier(channel, barrier_of(8)), CST_AGAIN);
        for (uint64_t i = 0; i < 4; i++) check_rows(channel, i);
        CHECK_CODE(csti_channel_send_barrier(channel, barrier_of(8)), CST_AGAIN);
        check_barrier(channel, 7);
    }
    for (uint64_t i = 0; i < 4; i++) CHECK(send_rows(channel, i));
    CHECK_OK(csti_channel_send_barrier(channel, barrier_of(9)));
    csti_channel_send_watermark(channel, 5);
    csti_channel_send_end(channel, CST_OK);
    for (uint64_t i = 0; i < 4; i++) check_rows(channel, i);
    check_barrier(channel, 9);
    check_watermark(channel, 5);
    check_kind(channel, CSTI_MESSAGE_END);
    check_nothing(channel);
    csti_channel_close(channel);
}

TEST(a_watermark_stands_behind_earlier_rows_and_before_later_ones) {
    csti_channel *channel = open_channel(4);

    CHECK(send_rows(channel, 1));
    csti_channel_send_watermark(channel, 10);
    CHECK(send_rows(channel, 2));
    csti_channel_send_watermark(channel, 20);
    CHECK_OK(csti_channel_send_barrier(channel, barrier_of(1)));
    csti_channel_send_watermark(channel, 30);
    check_rows(channel, 1);
    check_watermark(channel, 10);
    check_rows(channel, 2);
    check_watermark(channel, 20);
    check_barrier(channel, 1);
    check_watermark(channel, 30);
    check_nothing(channel);
    csti_channel_close(channel);
}

TEST(a_watermark_in_a_full_channel_waits_and_is_merged) {
    csti_channel *channel = open_channel(2);

    csti_channel_send_watermark(channel, 1);
    csti_channel_send_watermark(channel, 2);
    CHECK(send_rows(channel, 1));
    CHECK(send_rows(channel, 2));
    for (int64_t us = 3; us <= 1000; us++) csti_channel_send_watermark(channel, us);
    check_watermark(channel, 2); // not 1000: rows are in between
    check_rows(channel, 1);
    check_rows(channel, 2);
    check_watermark(channel, 1000);
    check_nothing(channel);
    csti_channel_close(channel);
}

TEST(a_watermark_with_nothing_behind_it_arrives) {
    csti_channel *channel = open_channel(2);

    csti_channel_send_watermark(channel, 7);
    check_watermark(channel, 7);
    check_nothing(channel);
    csti_channel_send_watermark(channel, 8);
    check_watermark(channel, 8);
    CHECK(send_rows(channel, 1));
    check_rows(channel, 1); // nothing is said twice
    csti_channel_send_watermark(channel, CSTI_WATERMARK_END);
    check_watermark(channel, CSTI_WATERMARK_END);
    csti_channel_close(channel);
}

TEST(a_lower_watermark_never_comes_out) {
    csti_channel *channel = open_channel(2);

    csti_channel_send_watermark(channel, 7);
    check_watermark(channel, 7);
    csti_channel_send_watermark(channel, 6);
    csti_channel_send_watermark(channel, 7);
    csti_channel_send_watermark(channel, CSTI_WATERMARK_NONE);
    check_nothing(channel);
    CHECK(send_rows(channel, 1));
    check_rows(channel, 1);
    csti_channel_close(channel);
}

TEST(idleness_lasts_until_the_next_rows) {
    csti_channel *channel = open_channel(4);

    csti_channel_send_idle(channel);
    check_kind(channel, CSTI_MESSAGE_IDLE);
    csti_channel_send_idle(channel);
    check_nothing(channel); // known already
    csti_channel_send_watermark(channel, 3);
    check_watermark(channel, 3);
    check_nothing(channel);
    CHECK(send_rows(channel, 1));
    check_rows(channel, 1);
    csti_channel_send_watermark(channel, 4);
    csti_channel_send_idle(channel);
    CHECK_OK(csti_channel_send_barrier(channel, barrier_of(1)));
    check_watermark(channel, 4);
    check_kind(channel, CSTI_MESSAGE_IDLE);
    check_barrier(channel, 1);
    csti_channel_send_idle(channel);
    CHECK(send_rows(channel, 2)); // an idleness of no length is not heard of
    csti_channel_send_idle(channel);
    check_rows(channel, 2);
    check_kind(channel, CSTI_MESSAGE_IDLE);
    csti_channel_close(channel);
}

TEST(idleness_ends_without_rows_where_others_have_them) {
    csti_channel *channel = open_channel(4);

    csti_channel_send_live(channel);
    check_nothing(channel); // nobody thought otherwise
    csti_channel_send_idle(channel);
    csti_channel_send_live(channel);
    check_nothing(channel); // of no length
    csti_channel_send_idle(channel);
    check_kind(channel, CSTI_MESSAGE_IDLE);
    csti_channel_send_live(channel);
    csti_channel_send_watermark(channel, 3);
    CHECK_OK(csti_channel_send_barrier(channel, barrier_of(1)));
    check_watermark(channel, 3);
    check_kind(channel, CSTI_MESSAGE_LIVE);
    check_barrier(channel, 1);
    csti_channel_send_idle(channel);
    check_kind(channel, CSTI_MESSAGE_IDLE);
    csti_channel_send_live(channel);
    CHECK(send_rows(channel, 1)); // they say so themselves
    check_rows(channel, 1);
    check_nothing(channel);
    csti_channel_close(channel);
}

TEST(a_failure_comes_behind_what_was_sent_and_says_its_code) {
    csti_channel *channel = open_channel(2);
    csti_message message;

    CHECK(send_rows(channel, 1));
    csti_channel_send_watermark(channel, 4);
    csti_channel_send_end(channel, CST_SOURCE_CHANGED);
    check_rows(channel, 1);
    check_watermark(channel, 4);
    message = next(channel);
    CHECK_EQ(message.kind, CSTI_MESSAGE_FAILED);
    CHECK_EQ(message.code, CST_SOURCE_CHANGED);
    check_nothing(channel);
    csti_channel_close(channel);
}

TEST(what_flows_is_counted) {
    csti_channel *channel = open_channel(2);
    csti_channel_stats stats;

    CHECK(send_rows(channel, 1));
    CHECK(send_rows(channel, 2));
    CHECK(!send_rows(channel, 3));
    CHECK_OK(csti_channel_send_barrier(channel, barrier_of(1)));
    csti_channel_stats_read(channel, &stats);
    CHECK_EQ(stats.blocks, 2);
    CHECK_EQ(stats.rows, 2);
    CHECK_EQ(stats.bytes, 32);
    CHECK_EQ(stats.queued, 3);
    CHECK_EQ(stats.full_count, 1);
    check_rows(channel, 1);
    csti_channel_stats_read(channel, &stats);
    CHECK_EQ(stats.queued, 2);
    csti_channel_close(channel);
}

// ---- Blocks ----

static void fill_block(const csti_block *block, uint8_t byte) {
    const uint32_t rows = block->rows_capacity;

    memset(block->keys, byte, block->keys_capacity);
    if (block->key_offsets) memset(block->key_offsets, byte, (rows + 1) * sizeof(uint32_t));
    memset(block->hashes, byte, rows * sizeof(uint64_t));
    if (block->ops) memset(block->ops, byte, rows);
    for (uint32_t i = 0; i < block->sources_count; i++) {
        const cst_column column = {.type = block->sources[i].type};

        memset((void *)(uintptr_t)block->sources[i].values, byte,
               (size_t)rows * cst_column_value_bytes(&column));
        if (block->sources[i].validity)
            memset((void *)(uintptr_t)block->sources[i].validity, byte, (rows + 7) / 8);
    }
}

static void check_filled(const void *bytes, size_t count, uint8_t byte) {
    for (size_t i = 0; i < count; i++) CHECK_EQ(((const uint8_t *)bytes)[i], byte);
}

static void check_block(const csti_block *block, uint8_t byte) {
    const uint32_t rows = block->rows_capacity;

    check_filled(block->keys, block->keys_capacity, byte);
    if (block->key_offsets) check_filled(block->key_offsets, (rows + 1) * sizeof(uint32_t), byte);
    check_filled(block->hashes, rows * sizeof(uint64_t), byte);
    if (block->ops) check_filled(block->ops, rows, byte);
    for (uint32_t i = 0; i < block->sources_count; i++) {
        const cst_column column = {.type = block->sources[i].type};

        check_filled(block->sources[i].values, (size_t)rows * cst_column_value_bytes(&column),
                     byte);
        if (block->sources[i].validity)
            check_filled(block->sources[i].validity, (rows + 7) / 8, byte);
    }
}

static void check_blocks_are_apart(const csti_block_shape *shape) {
    csti_channel *channel = NULL;
    csti_block *blocks[5];

    CHECK_OK(csti_channel_open(shape, 5, -1, &channel, NULL));
    for (uint8_t i = 0; i < 5; i++) {
        blocks[i] = csti_channel_block(channel);
        CHECK(blocks[i]);
        CHECK_EQ(blocks[i]->rows_capacity, shape->rows_capacity);
        CHECK_EQ(blocks[i]->sources_count, shape->sources_count);
        CHECK_EQ(blocks[i]->key_bytes, shape->key_bytes);
        CHECK_EQ(blocks[i]->key_offsets == NULL, shape->key_bytes != 0);
        CHECK_EQ(blocks[i]->ops != NULL, shape->ops);
        if (blocks[i]->key_offsets) CHECK_EQ(blocks[i]->key_offsets[0], 0);
        fill_block(blocks[i], (uint8_t)(i + 1));
    }
    CHECK(!csti_channel_block(channel));
    for (uint8_t i = 0; i < 5; i++) check_block(blocks[i], (uint8_t)(i + 1));
    csti_channel_close(channel);
}

TEST(no_array_of_a_block_touches_another) {
    check_blocks_are_apart(&small);
    check_blocks_are_apart(
        &(csti_block_shape){.rows_capacity = 13,
                            .key_bytes_max = 21,
                            .sources_count = 4,
                            .source_types = {CST_TYPE_U8, CST_TYPE_F32, CST_TYPE_DECIMAL128,
                                             CST_TYPE_TIMESTAMP},
                            .source_nullable = {true, false, true, true},
                            .ops = true});
    check_blocks_are_apart(&(csti_block_shape){.rows_capacity = 100, .key_bytes = 3, .ops = true});
    check_blocks_are_apart(
        &(csti_block_shape){.rows_capacity = 64, .key_bytes_max = 65535, .keys_bytes = 70000});
    check_blocks_are_apart(&(csti_block_shape){.rows_capacity = 1}); // keys without bytes
}

TEST(shapes_that_cannot_be_are_refused) {
    csti_channel *channel = NULL;
    csti_block_shape shape = small;

    CHECK_CODE(csti_channel_open(&small, 0, -1, &channel, NULL), CST_LIMIT);
    CHECK_CODE(csti_channel_open(&small, CSTI_CHANNEL_BLOCKS_MAX + 1, -1, &channel, NULL),
               CST_LIMIT);
    shape.rows_capacity = 0;
    CHECK_CODE(csti_channel_open(&shape, 1, -1, &channel, NULL), CST_LIMIT);
    shape.rows_capacity = CST_BATCH_ROWS_MAX + 1;
    CHECK_CODE(csti_channel_open(&shape, 1, -1, &channel, NULL), CST_LIMIT);
    shape = small;
    shape.key_bytes = CST_WIDE_KEY_BYTES_MAX + 1;
    CHECK_CODE(csti_channel_open(&shape, 1, -1, &channel, NULL), CST_LIMIT);
    shape = (csti_block_shape){.rows_capacity = 1 << 17, .key_bytes_max = 32769};
    CHECK_CODE(csti_channel_open(&shape, 1, -1, &channel, NULL), CST_LIMIT);
    shape = (csti_block_shape){.rows_capacity = 1 << 16, .key_bytes_max = 65535};
    CHECK_CODE(csti_channel_open(&shape, 1 << 16, -1, &channel, NULL), CST_LIMIT);
    shape = (csti_block_shape){.rows_capacity = 1, .key_bytes_max = 100, .keys_bytes = 99};
    CHECK_CODE(csti_channel_open(&shape, 1, -1, &channel, NULL), CST_USAGE);
    shape = small;
    shape.sources_count = CSTI_BLOCK_SOURCES_MAX + 1;
    CHECK_CODE(csti_channel_open(&shape, 1, -1, &channel, NULL), CST_LIMIT);
    CHECK_CODE(csti_channel_open(&small, 1, 63, &channel, NULL), CST_NOT_FOUND);
    CHECK(!channel);
}

TEST(filling_and_sending_every_block_faults_no_page) {
    const csti_block_shape shape = {.rows_capacity = 8192,
                                    .key_bytes = 16,
                                    .sources_count = 2,
                                    .source_types = {CST_TYPE_I64, CST_TYPE_F64}};
    csti_channel *channel = NULL;
    struct rusage before, after;

    CHECK_OK(csti_channel_open(&shape, 8, -1, &channel, NULL));
    for (int round = 0; round < 2; round++) { // the first brings code and stack in
        CHECK_EQ(getrusage(RUSAGE_THREAD, &before), 0);
        for (uint8_t i = 0; i < 8; i++) {
            csti_block *block = csti_channel_block(channel);
            fill_block(block, i);
            csti_channel_send_rows(channel, block);
        }
        if (round == 1) break;
        for (uint8_t i = 0; i < 8; i++) csti_channel_recycle(channel, next(channel).block);
        csti_channel_close(channel);
        CHECK_OK(csti_channel_open(&shape, 8, -1, &channel, NULL));
    }
    CHECK_EQ(getrusage(RUSAGE_THREAD, &after), 0);
    if (!SHADOWED) CHECK_EQ(after.ru_minflt - before.ru_minflt, 0);
    csti_channel_close(channel);
}

// ---- Against a model ----

enum { MODEL_STEPS = 200000, MODEL_QUEUE = 1 << 16 };

// What must come out, in order. Watermarks and idleness that nothing separates are merged in it.
typedef struct model {
    csti_message queue[MODEL_QUEUE];
    uint64_t numbers[MODEL_QUEUE]; // of rows
    uint64_t head, tail;
    int64_t watermark_us;
    bool idle;
} model;

static csti_message *model_last(model *m, csti_message_kind kind) {
    csti_message *last = m->tail > m->head ? &m->queue[(m->tail - 1) % MODEL_QUEUE] : NULL;

    return last && last->kind == kind ? last : NULL;
}

static void model_add(model *m, csti_message message, uint64_t number) {
    CHECK(m->tail - m->head < MODEL_QUEUE);
    m->numbers[m->tail % MODEL_QUEUE] = number;
    m->queue[m->tail++ % MODEL_QUEUE] = message;
}

static void model_watermark(model *m, int64_t watermark_us) {
    const bool after_idle = model_last(m, CSTI_MESSAGE_IDLE);
    csti_message *before;

    if (watermark_us <= m->watermark_us) return;
    m->watermark_us = watermark_us;
    if (after_idle) m->tail--; // the watermark goes first
    before = model_last(m, CSTI_MESSAGE_WATERMARK);
    if (before)
        before->watermark_us = watermark_us;
    else
        model_add(m, (csti_message){.kind = CSTI_MESSAGE_WATERMARK, .watermark_us = watermark_us},
                  0);
    if (after_idle) model_add(m, (csti_message){.kind = CSTI_MESSAGE_IDLE}, 0);
}

static void model_idle(model *m) {
    if (m->idle) return;
    m->idle = true;
    model_add(m, (csti_message){.kind = CSTI_MESSAGE_IDLE}, 0);
}

static void model_rows(model *m, uint64_t number) {
    if (model_last(m, CSTI_MESSAGE_IDLE)) m->tail--; // of no length
    m->idle = false;
    model_add(m, (csti_message){.kind = CSTI_MESSAGE_ROWS}, number);
}

static void check_against_model(csti_channel *channel, model *m) {
    csti_message message, wanted;
    const bool there = csti_channel_receive(channel, &message);

    CHECK_EQ(there, m->tail > m->head);
    if (!there) return;
    wanted = m->queue[m->head % MODEL_QUEUE];
    CHECK_EQ(message.kind, wanted.kind);
    CHECK_EQ(message.watermark_us, wanted.watermark_us);
    CHECK_EQ(message.barrier.id, wanted.barrier.id);
    if (message.kind == CSTI_MESSAGE_ROWS) {
        CHECK_EQ(message.block->hashes[0], m->numbers[m->head % MODEL_QUEUE]);
        csti_channel_recycle(channel, message.block);
    }
    m->head++;
}

TEST(random_sequences_equal_a_model) {
    static model m;
    csti_channel *channel = open_channel(5);
    uint64_t rows_count = 0, barrier_id = 0;
    bool barrier_pending = false;

    m = (model){.watermark_us = CSTI_WATERMARK_NONE};
    for (int i = 0; i < MODEL_STEPS; i++) {
        switch (test_random_below(9)) {
        case 0:
        case 1:
            if (!send_rows(channel, rows_count)) break;
            model_rows(&m, rows_count++);
            break;
        case 2: {
            const int64_t us = m.watermark_us == CSTI_WATERMARK_NONE
                                   ? (int64_t)test_random_below(9)
                                   : m.watermark_us + (int64_t)test_random_below(9) - 3;
            csti_channel_send_watermark(channel, us);
            model_watermark(&m, us);
            break;
        }
        case 3:
            csti_channel_send_idle(channel);
            model_idle(&m);
            break;
        case 4: {
            const csti_barrier barrier = barrier_of(++barrier_id);
            barrier_pending = false;
            for (uint64_t at = m.head; at < m.tail; at++)
                barrier_pending |= m.queue[at % MODEL_QUEUE].kind == CSTI_MESSAGE_BARRIER;
            CHECK_CODE(csti_channel_send_barrier(channel, barrier),
                       barrier_pending ? CST_AGAIN : CST_OK);
            if (!barrier_pending)
                model_add(&m, (csti_message){.kind = CSTI_MESSAGE_BARRIER, .barrier = barrier}, 0);
            break;
        }
        default:
            check_against_model(channel, &m);
        }
    }
    CHECK(rows_count > 1000);
    while (m.tail > m.head) check_against_model(channel, &m);
    check_against_model(channel, &m);
    csti_channel_close(channel);
}

// ---- Two threads ----

enum { STRESS_ROWS = 200000, STRESS_CHECK_EACH = 7 };

// Row r has time r; its watermark says that every row up to it has been sent.
static void *produce(void *context) {
    csti_channel *channel = context;

    for (uint64_t r = 1; r <= STRESS_ROWS; r++) {
        while (!send_rows(channel, r)) (void)sched_yield();
        csti_channel_send_watermark(channel, (int64_t)r);
        if (r % 5 == 0) csti_channel_send_idle(channel);
        if (r % STRESS_CHECK_EACH == 0)
            while (csti_channel_send_barrier(channel, barrier_of(r)) != CST_OK) (void)sched_yield();
    }
    csti_channel_send_end(channel, CST_OK);
    return NULL;
}

TEST(two_threads_keep_the_order_of_rows_watermarks_and_barriers) {
    csti_channel *channel = open_channel(8);
    uint64_t row = 0, barriers_count = 0, idle_count = 0;
    int64_t watermark_us = 0;
    pthread_t producer;

    CHECK_EQ(pthread_create(&producer, NULL, produce, channel), 0);
    for (bool ended = false; !ended;) {
        csti_message message;

        if (!csti_channel_receive(channel, &message)) {
            (void)sched_yield();
            continue;
        }
        switch (message.kind) {
        case CSTI_MESSAGE_ROWS:
            CHECK_EQ(message.block->hashes[0], ++row);
            CHECK_EQ(watermark_us, row - 1); // the row before it had its watermark
            csti_channel_recycle(channel, message.block);
            break;
        case CSTI_MESSAGE_WATERMARK:
            CHECK(message.watermark_us > watermark_us);
            watermark_us = message.watermark_us;
            CHECK_EQ(watermark_us, row); // never before its row
            break;
        case CSTI_MESSAGE_BARRIER:
            CHECK_EQ(message.barrier.id, row);
            CHECK_EQ(message.barrier.epoch, row * 2);
            CHECK_EQ(row % STRESS_CHECK_EACH, 0);
            CHECK_EQ(watermark_us, row);
            barriers_count++;
            break;
        case CSTI_MESSAGE_IDLE:
            CHECK_EQ(row % 5, 0);
            idle_count++;
            break;
        case CSTI_MESSAGE_LIVE:
        case CSTI_MESSAGE_FAILED:
            TEST_FAIL("nothing fails here, and rows end idleness");
        case CSTI_MESSAGE_END:
            ended = true;
        }
    }
    CHECK_EQ(pthread_join(producer, NULL), 0);
    CHECK_EQ(row, STRESS_ROWS);
    CHECK_EQ(watermark_us, STRESS_ROWS);
    CHECK_EQ(barriers_count, STRESS_ROWS / STRESS_CHECK_EACH);
    CHECK(idle_count > 0); // some end before anybody looks
    csti_channel_close(channel);
}

TEST_MAIN
