// aligner_steps.h: one aligner, what is pushed into it step by step, and what must come out.
//
//   open_inputs(2)   barrier(0, 7)   gives_nothing()   barrier(1, 7)   gives_barrier(7)
//
// Blocks are told apart by their number; the barrier of id 7 has epoch 107.
#ifndef CST_TEST_ALIGNER_STEPS_H
#define CST_TEST_ALIGNER_STEPS_H

#include "stream/aligner.h"
#include "test.h"

enum { BLOCKS_COUNT = 4096 };

static csti_block blocks[BLOCKS_COUNT];
static csti_aligner *aligner;
static uint64_t now_ns;

static inline void open_aligner(csti_aligner_options options) {
    csti_aligner_close(aligner);
    aligner = NULL;
    now_ns = 1000;
    CHECK_OK(csti_aligner_open(&options, &aligner, NULL));
    for (int i = 0; i < BLOCKS_COUNT; i++) blocks[i] = (csti_block){.rows_count = 1, .bytes = 10};
}

static inline void open_inputs(uint32_t inputs_count) {
    open_aligner((csti_aligner_options){.inputs_count = inputs_count});
}

static inline csti_barrier barrier_of(uint64_t id) {
    return (csti_barrier){.id = id, .epoch = id + 100, .mode = CSTI_BARRIER_ALIGNED};
}

static inline void push(uint32_t input, csti_message message) {
    CHECK(csti_aligner_wants(aligner, input));
    csti_aligner_push(aligner, input, &message);
}

static inline void rows(uint32_t input, uint32_t number) {
    push(input, (csti_message){.kind = CSTI_MESSAGE_ROWS, .block = &blocks[number]});
}
static inline void watermark(uint32_t input, int64_t us) {
    push(input, (csti_message){.kind = CSTI_MESSAGE_WATERMARK, .watermark_us = us});
}
static inline void barrier(uint32_t input, uint64_t id) {
    push(input, (csti_message){.kind = CSTI_MESSAGE_BARRIER, .barrier = barrier_of(id)});
}
static inline void idle(uint32_t input) {
    push(input, (csti_message){.kind = CSTI_MESSAGE_IDLE});
}
static inline void live(uint32_t input) {
    push(input, (csti_message){.kind = CSTI_MESSAGE_LIVE});
}
static inline void end(uint32_t input) {
    push(input, (csti_message){.kind = CSTI_MESSAGE_END});
}
static inline void fail(uint32_t input, cst_code code) {
    push(input, (csti_message){.kind = CSTI_MESSAGE_FAILED, .code = code});
}

static inline csti_aligned next(void) {
    csti_aligned out = {0};

    CHECK_EQ(csti_aligner_next(aligner, now_ns, &out), out.kind);
    return out;
}

static inline void gives_nothing(void) {
    CHECK_EQ(next().kind, CSTI_ALIGNED_NOTHING);
}

// Nothing comes out for it now.
static inline void silent_rows(uint32_t input, uint32_t number) {
    rows(input, number);
    gives_nothing();
}
static inline void silent_watermark(uint32_t input, int64_t us) {
    watermark(input, us);
    gives_nothing();
}
static inline void silent_barrier(uint32_t input, uint64_t id) {
    barrier(input, id);
    gives_nothing();
}

static inline void gives_rows(uint32_t input, uint32_t number) {
    const csti_aligned out = next();

    CHECK_EQ(out.kind, CSTI_ALIGNED_ROWS);
    CHECK_EQ(out.input, input);
    CHECK_EQ(out.message.block - blocks, number);
}
static inline void gives_watermark(int64_t us) {
    const csti_aligned out = next();

    CHECK_EQ(out.kind, CSTI_ALIGNED_WATERMARK);
    CHECK_EQ(out.watermark_us, us);
}
static inline void gives_barrier(uint64_t id) {
    const csti_aligned out = next();

    CHECK_EQ(out.kind, CSTI_ALIGNED_BARRIER);
    CHECK_EQ(out.barrier.id, id);
    CHECK_EQ(out.barrier.epoch, id + 100);
    CHECK_EQ(out.barrier.mode, CSTI_BARRIER_ALIGNED);
}
static inline void gives_aborted(uint64_t id, cst_code code) {
    const csti_aligned out = next();

    CHECK_EQ(out.kind, CSTI_ALIGNED_ABORTED);
    CHECK_EQ(out.barrier.id, id);
    CHECK_CODE(out.code, code);
}
static inline void gives_failed(uint32_t input, cst_code code) {
    const csti_aligned out = next();

    CHECK_EQ(out.kind, CSTI_ALIGNED_FAILED);
    CHECK_EQ(out.input, input);
    CHECK_CODE(out.code, code);
}
static inline void gives_end(void) {
    CHECK_EQ(next().kind, CSTI_ALIGNED_END);
}

static inline csti_aligner_stats stats(void) {
    csti_aligner_stats out;

    csti_aligner_stats_read(aligner, &out);
    return out;
}

#endif
