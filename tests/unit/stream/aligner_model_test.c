// The aligner against a model that is slow, obvious, and made of the promises.
#include "unit/stream/aligner_steps.h"

// ---- The model ----

enum { MODEL_INPUTS = 128, MODEL_ENTRIES = BLOCKS_COUNT, MODEL_OUTS = 4 * BLOCKS_COUNT };

typedef struct model_input {
    csti_message *entries[MODEL_ENTRIES]; // all that was pushed, in order
    uint32_t pushed, taken;
    bool passed, idle, ended;
    int64_t watermark_us;
} model_input;

typedef struct model {
    csti_aligner_options options;
    model_input inputs[MODEL_INPUTS];
    csti_message messages[MODEL_ENTRIES];
    uint32_t messages_count;
    csti_barrier barrier;
    uint64_t settled_id, started_ns;
    bool aborted_ids[MODEL_ENTRIES];
    cst_code failed_code;
    int64_t watermark_us;
    bool ended;
    csti_aligned outs[MODEL_OUTS];
    uint32_t outs_count;
    csti_aligner_stats stats;
} model;

static model m;

// Watermarks with nothing between them are one.
static void note(csti_aligned *outs, uint32_t *count, csti_aligned out) {
    if (out.kind == CSTI_ALIGNED_WATERMARK && *count > 0 &&
        outs[*count - 1].kind == CSTI_ALIGNED_WATERMARK)
        (*count)--;
    CHECK(*count < MODEL_OUTS);
    outs[(*count)++] = out;
}

static void model_out(csti_aligned out) {
    note(m.outs, &m.outs_count, out);
}

static void model_give_up(cst_code code, uint64_t *counter) {
    model_out((csti_aligned){.kind = CSTI_ALIGNED_ABORTED, .barrier = m.barrier, .code = code});
    m.settled_id = m.barrier.id;
    m.barrier.id = 0;
    for (uint32_t i = 0; i < MODEL_INPUTS; i++) m.inputs[i].passed = false;
    (*counter)++;
}

static bool model_holds_rows(const model_input *input) {
    for (uint32_t i = input->taken; i < input->pushed; i++)
        if (input->entries[i]->kind == CSTI_MESSAGE_ROWS ||
            input->entries[i]->kind == CSTI_MESSAGE_LIVE)
            return true;
    return false;
}

static void model_watermark(void) {
    int64_t least_us = INT64_MAX, most_us = INT64_MIN;
    bool any = false;

    for (uint32_t i = 0; i < m.options.inputs_count; i++) {
        const model_input *input = &m.inputs[i];

        if (input->watermark_us > most_us) most_us = input->watermark_us;
        if (input->ended || (input->idle && !model_holds_rows(input))) continue;
        any = true;
        if (input->watermark_us < least_us) least_us = input->watermark_us;
    }
    if (!any) least_us = most_us;
    if (least_us <= m.watermark_us) return;
    m.watermark_us = least_us;
    model_out((csti_aligned){.kind = CSTI_ALIGNED_WATERMARK, .watermark_us = least_us});
}

static void model_completion(void) {
    bool all_passed = true, all_ended = true;

    for (uint32_t i = 0; i < m.options.inputs_count; i++) {
        if (!m.inputs[i].ended) all_ended = false;
        if (!m.inputs[i].ended && !m.inputs[i].passed) all_passed = false;
    }
    if (m.barrier.id != 0 && all_passed) {
        model_out((csti_aligned){.kind = CSTI_ALIGNED_BARRIER, .barrier = m.barrier});
        m.settled_id = m.barrier.id;
        m.barrier.id = 0;
        m.stats.aligned++;
        for (uint32_t i = 0; i < MODEL_INPUTS; i++) m.inputs[i].passed = false;
    }
    if (all_ended && !m.ended) {
        m.ended = true;
        model_out((csti_aligned){.kind = CSTI_ALIGNED_END});
    }
}

static void model_barrier(model_input *input, csti_barrier barrier_in) {
    if (barrier_in.id <= m.settled_id || barrier_in.id < m.barrier.id ||
        m.aborted_ids[barrier_in.id]) {
        m.stats.duplicates++;
        return;
    }
    if (barrier_in.id > m.barrier.id) {
        if (m.barrier.id != 0) model_give_up(CST_CHECKPOINT_ORDER, &m.stats.superseded);
        m.barrier = barrier_in;
        m.started_ns = now_ns;
    }
    input->passed = true;
    if (m.failed_code != CST_OK) model_give_up(m.failed_code, &m.stats.given_up_for_failure);
}

static void model_take(uint32_t index) {
    model_input *input = &m.inputs[index];
    csti_message *message = input->entries[input->taken++];

    switch (message->kind) {
    case CSTI_MESSAGE_ROWS:
        input->idle = false;
        model_out((csti_aligned){.kind = CSTI_ALIGNED_ROWS,
                                 .input = index,
                                 .message = {.block = message->block}});
        break;
    case CSTI_MESSAGE_WATERMARK:
        if (message->watermark_us > input->watermark_us)
            input->watermark_us = message->watermark_us;
        break;
    case CSTI_MESSAGE_BARRIER:
        model_barrier(input, message->barrier);
        break;
    case CSTI_MESSAGE_IDLE:
        input->idle = true;
        break;
    case CSTI_MESSAGE_LIVE:
        input->idle = false;
        break;
    case CSTI_MESSAGE_END:
        input->ended = true;
        m.stats.inputs_ended++;
        break;
    case CSTI_MESSAGE_FAILED:
        m.stats.inputs_failed++;
        model_out(
            (csti_aligned){.kind = CSTI_ALIGNED_FAILED, .input = index, .code = message->code});
    }
    model_watermark();
    model_completion();
}

static bool model_over_a_bound(void) {
    uint64_t rows_held = 0, bytes_held = 0;

    if (m.barrier.id == 0) return false;
    for (uint32_t i = 0; i < m.options.inputs_count; i++)
        for (uint32_t e = m.inputs[i].taken; e < m.inputs[i].pushed; e++)
            if (m.inputs[i].entries[e]->kind == CSTI_MESSAGE_ROWS) {
                rows_held += m.inputs[i].entries[e]->block->rows_count;
                bytes_held += m.inputs[i].entries[e]->block->bytes;
            }
    if ((m.options.rows_max && rows_held > m.options.rows_max) ||
        (m.options.bytes_max && bytes_held > m.options.bytes_max)) {
        model_give_up(CST_ALIGN_LIMIT, &m.stats.limit_reached);
        return true;
    }
    if (m.options.time_max_ns && now_ns - m.started_ns > m.options.time_max_ns) {
        model_give_up(CST_ALIGN_TIMEOUT, &m.stats.timed_out);
        return true;
    }
    return false;
}

static void model_run(void) {
    do {
        for (uint32_t i = 0; i < m.options.inputs_count; i++)
            if (!m.inputs[i].passed && m.inputs[i].taken < m.inputs[i].pushed) {
                model_take(i);
                i = UINT32_MAX; // from the first input again
            }
    } while (model_over_a_bound());
}

static void model_push(uint32_t index, csti_message message) {
    model_input *input = &m.inputs[index];

    CHECK(m.messages_count < MODEL_ENTRIES);
    if (message.kind == CSTI_MESSAGE_FAILED && m.failed_code == CST_OK) {
        const bool held = input->taken < input->pushed;

        m.failed_code = message.code;
        if (m.barrier.id != 0) model_give_up(message.code, &m.stats.given_up_for_failure);
        if (!held) model_run(); // what was held comes before it
    }
    m.messages[m.messages_count] = message;
    input->entries[input->pushed++] = &m.messages[m.messages_count++];
}

static bool model_remembers(uint64_t id) {
    uint32_t aborted_count = 0;

    for (uint64_t i = m.settled_id + 1; i < MODEL_ENTRIES; i++) aborted_count += m.aborted_ids[i];
    return id == m.barrier.id || aborted_count < CSTI_ALIGNER_ABORTED_MAX;
}

static void model_abort(uint64_t id) {
    if (id == m.barrier.id && id != 0)
        model_give_up(CST_CHECKPOINT_ABORTED, &m.stats.aborted);
    else
        m.aborted_ids[id] = true;
}

// ---- Random streams ----

typedef struct driver {
    uint64_t barriers_injected;
    uint64_t barriers_sent[MODEL_INPUTS];
    int64_t times[MODEL_INPUTS]; // the input's last watermark
    bool over[MODEL_INPUTS];     // it has ended or failed
    uint32_t blocks_count;
    int64_t block_times[BLOCKS_COUNT]; // above the watermarks that its input sent before it
    uint32_t block_inputs[BLOCKS_COUNT];
    csti_aligned outs[MODEL_OUTS];
    uint32_t outs_count;
} driver;

static driver d;

static void drain(void) {
    csti_aligned out = {0};

    while (csti_aligner_next(aligner, now_ns, &out) != CSTI_ALIGNED_NOTHING)
        note(d.outs, &d.outs_count, out);
}

static void push_both(uint32_t input, csti_message message) {
    model_push(input, message);
    model_run();
    csti_aligner_push(aligner, input, &message);
    drain();
    if (message.kind == CSTI_MESSAGE_END || message.kind == CSTI_MESSAGE_FAILED)
        d.over[input] = true;
}

static void push_rows(uint32_t input) {
    csti_block *block = &blocks[d.blocks_count];

    block->rows_count = 1 + (uint32_t)test_random_below(5);
    block->bytes = block->rows_count * 10;
    d.block_times[d.blocks_count] = d.times[input] + 1 + (int64_t)test_random_below(20);
    d.block_inputs[d.blocks_count++] = input;
    push_both(input, (csti_message){.kind = CSTI_MESSAGE_ROWS, .block = block});
}

static void push_barrier(uint32_t input) {
    uint64_t *sent = &d.barriers_sent[input];
    uint64_t id = *sent;

    switch (test_random_below(12)) {
    case 0: // one sent again, or an older one
        id = *sent > 1 ? *sent - test_random_below(2) : 0;
        break;
    case 1: // one is left out
        if (*sent + 2 <= d.barriers_injected) *sent += 2;
        id = *sent;
        break;
    default:
        if (*sent == d.barriers_injected) d.barriers_injected++;
        id = ++*sent;
    }
    if (id == 0) return;
    push_both(input, (csti_message){.kind = CSTI_MESSAGE_BARRIER, .barrier = barrier_of(id)});
}

static void random_step(bool failures) {
    const uint32_t input = (uint32_t)test_random_below(m.options.inputs_count);
    const uint64_t draw = test_random_below(100);

    now_ns += test_random_below(30);
    if (d.over[input] || !csti_aligner_wants(aligner, input)) return;
    if (draw < 50) {
        push_rows(input);
    } else if (draw < 72) {
        const int64_t us = d.times[input] + (int64_t)test_random_below(12) - 2;
        if (us > d.times[input]) d.times[input] = us;
        push_both(input, (csti_message){.kind = CSTI_MESSAGE_WATERMARK, .watermark_us = us});
    } else if (draw < 79) {
        push_both(input, (csti_message){.kind = draw % 2 ? CSTI_MESSAGE_IDLE : CSTI_MESSAGE_LIVE});
    } else if (draw < 96) {
        push_barrier(input);
    } else if (draw < 98) {
        const uint64_t id = d.barriers_injected - test_random_below(3) + 2;
        if (!model_remembers(id)) return;
        model_abort(id);
        model_run();
        csti_aligner_abort(aligner, id);
        drain();
    } else if (test_random_below(20) == 0) {
        push_both(input, failures ? (csti_message){.kind = CSTI_MESSAGE_FAILED, .code = CST_IO}
                                  : (csti_message){.kind = CSTI_MESSAGE_END});
    }
}

static void random_stream(uint32_t inputs_count, uint32_t steps, bool failures) {
    csti_aligner_options options = {.inputs_count = inputs_count};

    if (test_random_below(2)) options.rows_max = 5 + test_random_below(60);
    if (test_random_below(4) == 0) options.bytes_max = 50 + test_random_below(600);
    if (test_random_below(3) == 0) options.time_max_ns = 100 + test_random_below(3000);
    if (test_random_below(3) == 0) options.messages_max = 1 + (uint32_t)test_random_below(20);
    open_aligner(options);
    memset(&m, 0, sizeof m);
    memset(&d, 0, sizeof d);
    m.options = options;
    m.watermark_us = CSTI_WATERMARK_NONE;
    for (uint32_t i = 0; i < MODEL_INPUTS; i++) m.inputs[i].watermark_us = CSTI_WATERMARK_NONE;
    for (uint32_t step = 0; step < steps; step++) random_step(failures);
    for (bool left = true; left;) {
        left = false;
        for (uint32_t i = 0; i < inputs_count; i++) {
            if (d.over[i]) continue;
            left = true;
            if (csti_aligner_wants(aligner, i))
                push_both(i, (csti_message){.kind = CSTI_MESSAGE_END});
        }
    }
}

static void check_equal_outs(void) {
    CHECK_EQ(d.outs_count, m.outs_count);
    for (uint32_t i = 0; i < d.outs_count; i++) {
        const csti_aligned *got = &d.outs[i], *wanted = &m.outs[i];

        CHECK_EQ(got->kind, wanted->kind);
        if (got->kind == CSTI_ALIGNED_ROWS || got->kind == CSTI_ALIGNED_FAILED)
            CHECK_EQ(got->input, wanted->input);
        if (got->kind == CSTI_ALIGNED_ROWS)
            CHECK_EQ(got->message.block - blocks, wanted->message.block - blocks);
        if (got->kind == CSTI_ALIGNED_WATERMARK) CHECK_EQ(got->watermark_us, wanted->watermark_us);
        if (got->kind == CSTI_ALIGNED_BARRIER || got->kind == CSTI_ALIGNED_ABORTED)
            CHECK_EQ(got->barrier.id, wanted->barrier.id);
        if (got->kind == CSTI_ALIGNED_FAILED || got->kind == CSTI_ALIGNED_ABORTED)
            CHECK_CODE(got->code, wanted->code);
    }
}

static void check_equal_stats(void) {
    const csti_aligner_stats got = stats();

    CHECK_EQ(got.aligned, m.stats.aligned);
    CHECK_EQ(got.superseded, m.stats.superseded);
    CHECK_EQ(got.duplicates, m.stats.duplicates);
    CHECK_EQ(got.aborted, m.stats.aborted);
    CHECK_EQ(got.limit_reached, m.stats.limit_reached);
    CHECK_EQ(got.timed_out, m.stats.timed_out);
    CHECK_EQ(got.given_up_for_failure, m.stats.given_up_for_failure);
    CHECK_EQ(got.inputs_ended, m.stats.inputs_ended);
    CHECK_EQ(got.inputs_failed, m.stats.inputs_failed);
    CHECK_EQ(got.held_messages, 0);
    CHECK_EQ(got.held_rows, 0);
    CHECK_EQ(got.held_bytes, 0);
}

static const uint32_t stream_inputs[] = {1, 2, 2, 3, 5, 64, 65, 128};
enum { STREAM_KINDS = sizeof stream_inputs / sizeof *stream_inputs, STREAMS_EACH = 60 };

TEST(random_streams_equal_a_slow_model) {
    csti_aligner_stats all = {0};

    for (uint32_t s = 0; s < STREAM_KINDS * STREAMS_EACH; s++) {
        const uint32_t inputs_count = stream_inputs[s % STREAM_KINDS];

        random_stream(inputs_count, inputs_count > 5 ? 1500 : 800, s % 3 == 0);
        check_equal_outs();
        check_equal_stats();
        all.aligned += m.stats.aligned;
        all.superseded += m.stats.superseded;
        all.duplicates += m.stats.duplicates;
        all.aborted += m.stats.aborted;
        all.limit_reached += m.stats.limit_reached;
        all.timed_out += m.stats.timed_out;
        all.given_up_for_failure += m.stats.given_up_for_failure;
    }
    // Each outcome was there.
    CHECK(all.aligned > 100 && all.superseded > 100 && all.duplicates > 100);
    CHECK(all.aborted > 50 && all.limit_reached > 50 && all.timed_out > 50);
    CHECK(all.given_up_for_failure > 50);
}

TEST(rows_come_out_once_and_in_the_order_of_their_input) {
    for (uint32_t s = 0; s < STREAM_KINDS * STREAMS_EACH; s++) {
        static uint32_t seen[MODEL_INPUTS]; // its next block is at or above
        uint32_t rows_count = 0;

        random_stream(stream_inputs[s % STREAM_KINDS], 800, s % 3 == 0);
        memset(seen, 0, sizeof seen);
        for (uint32_t i = 0; i < d.outs_count; i++) {
            uint32_t number;

            if (d.outs[i].kind != CSTI_ALIGNED_ROWS) continue;
            number = (uint32_t)(d.outs[i].message.block - blocks);
            CHECK_EQ(d.block_inputs[number], d.outs[i].input);
            CHECK(number >= seen[d.outs[i].input]);
            seen[d.outs[i].input] = number + 1;
            rows_count++;
        }
        CHECK_EQ(rows_count, d.blocks_count); // each at most once, and none is missing
    }
}

// What is in time when there is no barrier is in time when there are some.
TEST(no_row_is_late_because_of_an_alignment) {
    for (uint32_t s = 0; s < STREAM_KINDS * STREAMS_EACH; s++) {
        static bool late[BLOCKS_COUNT];
        int64_t watermark_us = CSTI_WATERMARK_NONE, plain_us = CSTI_WATERMARK_NONE;
        csti_aligned out = {0};

        random_stream(stream_inputs[s % STREAM_KINDS], 800, false);
        csti_aligner_close(aligner);
        CHECK_OK(csti_aligner_open(&(csti_aligner_options){.inputs_count = m.options.inputs_count},
                                   &aligner, NULL));
        memset(late, 0, sizeof late);
        for (uint32_t i = 0; i < m.messages_count; i++) { // the same messages, no barrier
            uint32_t input = 0;

            if (m.messages[i].kind == CSTI_MESSAGE_BARRIER) continue;
            for (bool found = false; !found; input += !found)
                for (uint32_t e = 0; e < m.inputs[input].pushed && !found; e++)
                    found = m.inputs[input].entries[e] == &m.messages[i];
            csti_aligner_push(aligner, input, &m.messages[i]);
            while (csti_aligner_next(aligner, 0, &out) != CSTI_ALIGNED_NOTHING)
                if (out.kind == CSTI_ALIGNED_WATERMARK)
                    plain_us = out.watermark_us;
                else if (out.kind == CSTI_ALIGNED_ROWS)
                    late[out.message.block - blocks] =
                        d.block_times[out.message.block - blocks] <= plain_us;
        }
        for (uint32_t i = 0; i < d.outs_count; i++)
            if (d.outs[i].kind == CSTI_ALIGNED_WATERMARK) {
                CHECK(d.outs[i].watermark_us > watermark_us);
                watermark_us = d.outs[i].watermark_us;
            } else if (d.outs[i].kind == CSTI_ALIGNED_ROWS) {
                const ptrdiff_t number = d.outs[i].message.block - blocks;
                CHECK(late[number] || d.block_times[number] > watermark_us);
            }
    }
}

TEST_MAIN
