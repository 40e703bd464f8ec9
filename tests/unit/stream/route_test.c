// The router: every row reaches the partition of its key group once, in order, whatever is full.
#include "stream/route.h"

#include "test.h"

enum { ROWS = 1000, KEY_BYTES = 8, CAPACITY = 64, BLOCKS = 2, ROUNDS = 60 };

typedef struct routed {
    uint32_t partitions_count;
    csti_block_shape shape;
    uint32_t groups_first[CSTI_ROUTE_PARTITIONS_MAX];
    csti_channel *channels[CSTI_ROUTE_PARTITIONS_MAX];
    csti_router *router;
    uint64_t received[CSTI_ROUTE_PARTITIONS_MAX]; // rows
    uint64_t last[CSTI_ROUTE_PARTITIONS_MAX];     // number of the last row, from 1
} routed;

static void routed_open_at(routed *r, uint32_t partitions_count, bool variable,
                           const csti_router_split *splits, uint32_t splits_count) {
    *r = (routed){.partitions_count = partitions_count};
    r->shape = (csti_block_shape){.rows_capacity = CAPACITY,
                                  .key_bytes = variable ? 0 : KEY_BYTES,
                                  .key_bytes_max = variable ? 2 * KEY_BYTES : KEY_BYTES,
                                  .sources_count = 2,
                                  .source_types = {CST_TYPE_U64, CST_TYPE_U16},
                                  .source_nullable = {false, true},
                                  .ops = true};
    for (uint32_t p = 0; p < partitions_count; p++) {
        r->groups_first[p] = p * CSTI_ROUTE_GROUPS_COUNT / partitions_count;
        CHECK_OK(csti_channel_open(&r->shape, BLOCKS, -1, &r->channels[p], NULL));
    }
    const csti_router_options options = {.partitions_count = partitions_count,
                                         .groups_first = r->groups_first,
                                         .channels = r->channels,
                                         .shape = &r->shape,
                                         .rows_max = ROWS,
                                         .splits = splits,
                                         .splits_count = splits_count};
    CHECK_OK(csti_router_open(&options, &r->router, NULL));
}

static void routed_open(routed *r, uint32_t partitions_count, bool variable) {
    routed_open_at(r, partitions_count, variable, NULL, 0);
}

static void routed_close(routed *r) {
    csti_router_close(r->router);
    for (uint32_t p = 0; p < r->partitions_count; p++) csti_channel_close(r->channels[p]);
}

// A batch whose every column is a function of the row's number, so that a block tells on itself.
typedef struct numbered {
    uint64_t first; // number of row 0
    uint8_t keys[ROWS * 2 * KEY_BYTES];
    uint32_t offsets[ROWS + 1];
    uint64_t hashes[ROWS];
    uint64_t numbers[ROWS];
    uint16_t shorts[ROWS];
    uint8_t valid[(ROWS + 7) / 8];
    uint8_t ops[ROWS];
    cst_source sources[2];
} numbered;

static uint64_t hash_of(uint64_t number) {
    return number * UINT64_C(0x9e3779b97f4a7c15);
}

static uint32_t key_bytes_of(uint64_t number, bool variable) {
    return variable ? 1 + (uint32_t)(number % (2 * KEY_BYTES)) : KEY_BYTES;
}

static cst_rows numbered_fill(numbered *n, uint64_t first, uint32_t count, bool variable,
                              bool ops) {
    uint32_t used = 0;

    memset(n, 0, sizeof *n);
    n->first = first;
    for (uint32_t r = 0; r < count; r++) {
        const uint64_t number = first + r;
        const uint32_t bytes = key_bytes_of(number, variable);

        n->offsets[r] = used;
        memset(n->keys + used, (int)(number & 0xff), bytes);
        used += bytes;
        n->hashes[r] = hash_of(number);
        n->numbers[r] = number;
        n->shorts[r] = (uint16_t)number;
        n->valid[r / 8] |= (uint8_t)((number % 3 != 0) << (r % 8));
        n->ops[r] = number % 5 == 0;
    }
    n->offsets[count] = used;
    n->sources[0] = (cst_source){n->numbers, NULL, CST_TYPE_U64};
    n->sources[1] = (cst_source){n->shorts, n->valid, CST_TYPE_U16};
    return (cst_rows){.rows_count = count,
                      .key_stride = variable ? 0 : KEY_BYTES,
                      .key_bytes = variable ? 0 : KEY_BYTES,
                      .ops = ops ? n->ops : NULL,
                      .hashes = n->hashes,
                      .keys = n->keys,
                      .key_offsets = variable ? n->offsets : NULL,
                      .sources = n->sources};
}

static void block_check(routed *r, uint32_t partition, const csti_block *block, bool ops) {
    for (uint32_t i = 0; i < block->rows_count; i++) {
        const uint64_t number = ((const uint64_t *)block->sources[0].values)[i];
        const uint32_t bytes = key_bytes_of(number, block->key_bytes == 0);
        const uint32_t from = block->key_bytes ? i * KEY_BYTES : block->key_offsets[i];
        const uint32_t group = (uint32_t)(hash_of(number) >> 52);
        const bool valid = block->sources[1].validity[i / 8] >> (i % 8) & 1;

        CHECK(number > r->last[partition]);
        r->last[partition] = number;
        CHECK_EQ(block->hashes[i], hash_of(number));
        CHECK_EQ(((const uint16_t *)block->sources[1].values)[i], (uint16_t)number);
        CHECK_EQ(valid, number % 3 != 0);
        CHECK_EQ(block->ops[i], ops && number % 5 == 0);
        for (uint32_t b = 0; b < bytes; b++) CHECK_EQ(block->keys[from + b], number & 0xff);
        if (block->key_bytes == 0) CHECK_EQ(block->key_offsets[i + 1] - from, bytes);
        CHECK(group >= r->groups_first[partition]);
        if (partition + 1 < r->partitions_count) CHECK(group < r->groups_first[partition + 1]);
    }
    r->received[partition] += block->rows_count;
}

// Takes at most `count` messages from a partition's channel.
static uint32_t drain(routed *r, uint32_t partition, uint32_t count, bool ops) {
    uint32_t taken = 0;
    csti_message message;

    while (taken < count && csti_channel_receive(r->channels[partition], &message)) {
        CHECK_EQ(message.kind, CSTI_MESSAGE_ROWS);
        block_check(r, partition, message.block, ops);
        csti_channel_recycle(r->channels[partition], message.block);
        taken++;
    }
    return taken;
}

static void stream_through(uint32_t partitions_count, bool variable, bool ops) {
    static numbered batch;
    uint64_t sent = 0, received = 0;
    routed r;

    routed_open(&r, partitions_count, variable);
    for (int round = 0; round < ROUNDS; round++) {
        const uint32_t count = (uint32_t)test_random_below(ROWS + 1);
        const cst_rows rows = numbered_fill(&batch, sent + 1, count, variable, ops);

        csti_router_begin(r.router, &rows, 7);
        sent += count;
        csti_router_push(r.router);
        while (!csti_router_is_done(r.router)) {
            drain(&r, (uint32_t)test_random_below(partitions_count), 1, ops);
            csti_router_push(r.router);
        }
        if (test_random() % 4 == 0) csti_router_flush(r.router);
    }
    csti_router_flush(r.router);
    for (uint32_t p = 0; p < partitions_count; p++) {
        drain(&r, p, UINT32_MAX, ops);
        received += r.received[p];
    }
    CHECK_EQ(received, sent);
    routed_close(&r);
}

TEST(rows_reach_their_partition_once_and_in_order) {
    static const uint32_t counts[] = {1, 2, 3, 16, 128};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        stream_through(counts[i], false, false);
        stream_through(counts[i], true, true);
    }
}

TEST(a_full_partition_holds_back_nobody_else) {
    static numbered batch;
    routed r;

    routed_open(&r, 2, false);
    const cst_rows rows = numbered_fill(&batch, 1, ROWS, false, false);
    csti_router_begin(r.router, &rows, 7);
    csti_router_push(r.router);
    for (int turn = 0; turn < ROWS; turn++) { // partition 0 never takes anything
        drain(&r, 1, UINT32_MAX, false);
        csti_router_push(r.router);
    }
    csti_router_flush(r.router);
    drain(&r, 1, UINT32_MAX, false);
    CHECK(!csti_router_is_done(r.router));
    uint64_t expected = 0;
    for (uint64_t number = 1; number <= ROWS; number++) expected += hash_of(number) >> 63;
    CHECK_EQ(r.received[1], expected);
    while (!csti_router_is_done(r.router)) {
        drain(&r, 0, 1, false);
        csti_router_push(r.router);
    }
    csti_router_flush(r.router);
    drain(&r, 0, UINT32_MAX, false);
    CHECK_EQ(r.received[0] + r.received[1], ROWS);
    routed_close(&r);
}

TEST(a_barrier_goes_to_each_channel_once_however_often_it_is_tried) {
    const csti_barrier first = {.id = 7, .epoch = 1, .mode = CSTI_BARRIER_ALIGNED};
    const csti_barrier second = {.id = 8, .epoch = 2, .mode = CSTI_BARRIER_ALIGNED};
    csti_message message;
    routed r;

    routed_open(&r, 3, false);
    CHECK(csti_router_send_barrier(r.router, first));
    CHECK(!csti_router_send_barrier(r.router, second)); // the first one is in its place
    CHECK(csti_channel_receive(r.channels[1], &message));
    CHECK_EQ(message.barrier.id, 7);
    CHECK(!csti_router_send_barrier(r.router, second));
    CHECK(csti_channel_receive(r.channels[0], &message));
    CHECK(csti_channel_receive(r.channels[2], &message));
    CHECK(csti_router_send_barrier(r.router, second));
    for (uint32_t p = 0; p < 3; p++) {
        CHECK(csti_channel_receive(r.channels[p], &message));
        CHECK_EQ(message.barrier.id, 8);
        CHECK(!csti_channel_receive(r.channels[p], &message));
    }
    routed_close(&r);
}

// ---- Rows that partitions have already ----

// Rows of one split, in batches of `batch_rows`.
static void rows_send(routed *r, uint64_t first, uint32_t count, uint32_t batch_rows) {
    static numbered batch;

    for (uint32_t at = 0; at < count; at += batch_rows) {
        const uint32_t some = count - at < batch_rows ? count - at : batch_rows;
        const cst_rows rows = numbered_fill(&batch, first + at, some, false, false);

        csti_router_begin(r->router, &rows, 7);
        csti_router_push(r->router);
        while (!csti_router_is_done(r->router)) {
            for (uint32_t p = 0; p < r->partitions_count; p++) drain(r, p, UINT32_MAX, false);
            csti_router_push(r->router);
        }
    }
    csti_router_flush(r->router);
    for (uint32_t p = 0; p < r->partitions_count; p++) drain(r, p, UINT32_MAX, false);
}

// Cut into batches of any size, a split's rows are left out as far as each partition has them.
static void check_skips(uint32_t partitions_count, uint32_t batch_rows) {
    uint64_t skips[CSTI_ROUTE_PARTITIONS_MAX], all[CSTI_ROUTE_PARTITIONS_MAX];
    const csti_router_split split = {.number = 3, .skips = skips};
    routed r;

    routed_open(&r, partitions_count, false);
    rows_send(&r, 1, 10 * ROWS, ROWS);
    memcpy(all, r.received, sizeof all);
    CHECK_BYTES(csti_router_routed(r.router, 0), all, partitions_count * sizeof *all);
    CHECK(!csti_router_skips(r.router, 0));
    routed_close(&r);
    for (uint32_t p = 0; p < partitions_count; p++) skips[p] = all[p] * p / partitions_count;
    routed_open_at(&r, partitions_count, false, &split, 1);
    rows_send(&r, 1, 10 * ROWS, batch_rows);
    for (uint32_t p = 0; p < partitions_count; p++) CHECK_EQ(r.received[p], all[p] - skips[p]);
    CHECK_BYTES(csti_router_routed(r.router, 0), all, partitions_count * sizeof *all);
    CHECK(!csti_router_skips(r.router, 0));
    routed_close(&r);
}

TEST(rows_that_a_partition_has_are_left_out_however_batches_are_cut) {
    check_skips(2, ROWS);
    check_skips(2, 77);
    check_skips(16, 333);
}

TEST(rows_that_one_partition_alone_has_are_left_out) {
    static const uint64_t skips[] = {150};
    const csti_router_split split = {.skips = skips};
    routed r;

    routed_open_at(&r, 1, false, &split, 1);
    rows_send(&r, 1, 100, 60);
    CHECK_EQ(r.received[0], 0);
    CHECK_EQ(csti_router_skips(r.router, 0)[0], 50);
    rows_send(&r, 101, 100, 60);
    CHECK_EQ(r.received[0], 50);
    CHECK_EQ(r.last[0], 200);
    routed_close(&r);
}

TEST(a_block_says_of_which_splits_its_rows_are_and_takes_no_more_than_fit) {
    enum { TURNS = 2 * CSTI_BLOCK_RUNS_MAX };
    static const csti_router_split splits[] = {{.number = 5}, {.number = 9}};
    static numbered batch;
    csti_message message;
    routed r;

    routed_open_at(&r, 1, false, splits, 2);
    for (uint32_t turn = 0; turn < TURNS; turn++) { // two rows of each split, in turn
        const cst_rows rows = numbered_fill(&batch, 1 + 2 * turn, 2, false, false);

        csti_router_turn(r.router, turn % 2);
        csti_router_begin(r.router, &rows, 7);
        CHECK_EQ(csti_router_push(r.router), 2);
    }
    csti_router_flush(r.router);
    for (int block = 0; block < 2; block++) {
        CHECK(csti_channel_receive(r.channels[0], &message));
        CHECK_EQ(message.block->runs_count, CSTI_BLOCK_RUNS_MAX);
        for (uint32_t i = 0; i < CSTI_BLOCK_RUNS_MAX; i++) {
            CHECK_EQ(message.block->runs[i].split, i % 2 ? 9 : 5);
            CHECK_EQ(message.block->runs[i].rows_count, 2);
        }
    }
    CHECK(!csti_channel_receive(r.channels[0], &message));
    routed_close(&r);
}

TEST_MAIN
