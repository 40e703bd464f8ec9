// pane_rows.h: panes on a device of their own, and blocks of rows for them, made by hand.
#ifndef CST_TEST_PANE_ROWS_H
#define CST_TEST_PANE_ROWS_H

#include "stream/panes.h"

#include "test.h"

#include <constellation/hash.h>

enum {
    ROWS = 512,
    KEYS = 2000,
    SIZE = 10, // of a window, in microseconds
    KEY_BYTES = 16,
    VALUE_BYTES = 16,
    WINDOWS = 64,
    RELEASE = 2, // a tag
};

typedef struct fixture {
    csti_metrics *metrics;
    cst_device *device;
    cst_queue *queue;
    csti_keeper *keeper;
    csti_panes *panes;
    csti_block block;
    uint8_t keys[ROWS * KEY_BYTES];
    uint64_t hashes[ROWS];
    uint8_t ops[ROWS];
    uint64_t values[ROWS];
    cst_source source;
    // What cuts brought, by key and window.
    uint64_t closed_count[KEYS][WINDOWS], closed_sum[KEYS][WINDOWS];
    uint64_t closed, aside, present, deleted;
} fixture;

static const cst_hash_key hash_key = {1, 2};

static inline csti_panes_options options_of(const fixture *f, const csti_block_shape *shape,
                                            bool aside) {
    return (csti_panes_options){
        .partition = 3,
        .window = {.size_us = SIZE, .hop_us = SIZE},
        .late_aside = aside,
        .queue = f->queue,
        .table = {.layout = CST_TABLE_INLINE,
                  .key_bytes = KEY_BYTES,
                  .program = {.value_bytes = VALUE_BYTES,
                              .accumulators_count = 2,
                              .presence_offset = CST_NO_OFFSET,
                              .time_offset = CST_NO_OFFSET,
                              .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                               {CST_SUM, CST_U64, 8, 0, 0}}},
                  .hash_key = hash_key,
                  .budget_bytes = 64 << 20,
                  .numa_node = -1},
        .shape = shape,
        .watermark_us = CSTI_WATERMARK_NONE,
        .metrics = f->metrics,
    };
}

static inline cst_code panes_make(fixture *f, bool aside, bool ops, cst_err *err) {
    const csti_block_shape shape = {.rows_capacity = ROWS,
                                    .key_bytes = KEY_BYTES,
                                    .key_bytes_max = KEY_BYTES,
                                    .sources_count = 1,
                                    .source_types = {CST_TYPE_U64},
                                    .ops = ops};
    const csti_panes_options options = options_of(f, &shape, aside);

    return csti_panes_open(&options, &f->panes, err);
}

static inline fixture *fixture_open(bool aside, bool ops) {
    fixture *f = calloc(1, sizeof *f);

    CHECK(f);
    CHECK_OK(csti_metrics_open(&f->metrics, NULL));
    CHECK_OK(cst_device_open("cpu:", &f->device, NULL));
    CHECK_OK(cst_queue_open(f->device, NULL, &f->queue, NULL));
    CHECK_OK(csti_keeper_table_open(f->queue, NULL, &f->keeper, NULL));
    CHECK_OK(panes_make(f, aside, ops, NULL));
    f->source = (cst_source){.values = f->values, .type = CST_TYPE_U64};
    f->block = (csti_block){.rows_capacity = ROWS,
                            .key_bytes = KEY_BYTES,
                            .keys = f->keys,
                            .hashes = f->hashes,
                            .ops = ops ? f->ops : NULL,
                            .sources_count = 1};
    f->block.sources[0] = f->source;
    return f;
}

static inline void fixture_close(fixture *f) {
    csti_keeper_close(f->keeper);
    csti_panes_close(f->panes);
    cst_queue_close(f->queue);
    cst_device_close(f->device);
    csti_metrics_close(f->metrics);
    free(f);
}

static inline void row_add(fixture *f, uint64_t key, int64_t start_us, uint64_t value) {
    const uint32_t row = f->block.rows_count++;
    const uint64_t sign = UINT64_C(1) << 63;
    const uint64_t words[2] = {__builtin_bswap64(key),
                               __builtin_bswap64((uint64_t)start_us ^ sign)};

    memcpy(f->keys + (size_t)row * KEY_BYTES, words, sizeof words);
    f->hashes[row] = cst_hash(&hash_key, words, sizeof words);
    f->ops[row] = CST_ROW_UPSERT;
    f->values[row] = value;
}

static inline void completions_take(fixture *f, bool *over) {
    cst_completion done[8];
    uint32_t count = 0;
    bool worked = false;

    CHECK_OK(csti_keeper_poll(f->keeper, done, 8, &count, &worked, NULL));
    for (uint32_t i = 0; i < count; i++) {
        CHECK_OK(done[i].code);
        if (done[i].tag == RELEASE)
            csti_panes_release_done(f->panes);
        else if (csti_panes_rows_done(f->panes))
            *over = true;
    }
}

// Sends the block, and begins the next one.
static inline void block_send(fixture *f) {
    bool over = false;
    cst_code code = CST_AGAIN;

    while (code == CST_AGAIN) {
        code = csti_panes_rows(f->panes, f->keeper, &f->block, &over, NULL);
        completions_take(f, &over);
    }
    CHECK_OK(code);
    while (!over) completions_take(f, &over);
    CHECK(csti_panes_are_quiet(f->panes));
    f->block.rows_count = 0;
}

#endif
