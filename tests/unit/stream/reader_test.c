// Readers: what reaches the channels, and where cuts stand, whatever the size of batches.
#include "stream/reader.h"
#include "stream/source_kind.h"

#include "test.h"

#include <constellation/generator.h>

enum {
    ROWS = 20000,
    BATCH_ROWS = 1000,
    PARTITIONS = 2,
    BLOCK_ROWS = 512,
    BLOCKS = 4,
    SPLITS = 3,
    IDLE_US = 1000,
    LATENESS_US = 10000,
    TURNS_MAX = 100000,
    SEEN_MAX = 64,
};

// A reader of the generator "uniform" (key, value, at), and somebody who takes what it sends.
typedef struct fixture {
    csti_clock_sim clock;
    csti_source *source;
    cst_device *device;
    cst_queue *queue, *processor;
    csti_channel *channels[PARTITIONS];
    csti_block_shape shape;
    csti_reader_key key;
    csti_barrier_cell cell;
    csti_reader *reader;
    _Atomic uint32_t paused;
    // what came
    uint64_t rows, values_sum, barriers, idles, lives, ends;
    cst_code end_code;
    uint64_t rows_at_barrier[SEEN_MAX];
    uint64_t barrier_ids[PARTITIONS];
    int64_t watermark_us;
    csti_reader_position positions[SEEN_MAX];
    uint64_t positions_count;
    cst_code cut_code;
    cst_err err;
} fixture;

typedef struct wanted {
    uint64_t rows;
    uint32_t stripes;
    uint64_t rows_every;
    const char *key;
    uint32_t key_column;
    const char *workload;
    uint32_t key_bytes_max;
    const csti_step *operators;
    uint32_t operators_count;
    const csti_reader_position *resume; // of each stripe
    uint32_t device_rows_min;
    const csti_compare *price; // filter: value (price >= 500000)
} wanted;

static cst_code cut_take(void *context, csti_barrier barrier, const csti_reader_position *position,
                         cst_err *err) {
    fixture *f = context;

    (void)err;
    CHECK(barrier.id > 0);
    CHECK(f->positions_count < SEEN_MAX);
    f->positions[f->positions_count] = *position;
    f->positions[f->positions_count].split = strdup(position->split);
    f->positions[f->positions_count].offset = strdup(position->offset);
    f->positions_count++;
    return f->cut_code;
}

static void reader_open(fixture *f, wanted w, csti_steps *steps, const csti_reader_split *splits) {
    static const uint32_t groups_first[PARTITIONS] = {0, 1000};
    static const uint32_t source_columns[1] = {1};
    const csti_router_options route = {.partitions_count = PARTITIONS,
                                       .groups_first = groups_first,
                                       .channels = f->channels,
                                       .shape = &f->shape,
                                       .rows_max = BATCH_ROWS};
    const csti_reader_options options = {
        .clock = &f->clock.clock,
        .source = f->source,
        .splits = splits,
        .splits_count = w.stripes,
        .steps = steps,
        .key = &f->key,
        .source_columns = source_columns,
        .event_time_column = w.workload ? UINT32_MAX : 2,
        .lateness_us = LATENESS_US,
        .idle_us = IDLE_US,
        .queue = f->queue,
        .processor = w.device_rows_min ? f->processor : NULL,
        .device_rows_min = w.device_rows_min,
        .route = &route,
        .rows_every = w.rows_every,
        .barriers = &f->cell,
        .paused = &f->paused,
        .cut = cut_take,
        .context = f,
    };
    CHECK_OK(csti_reader_open(&options, &f->reader, &f->err));
}

static void fixture_open(fixture *f, wanted w) {
    static csti_filter filter;
    csti_reader_split splits[SPLITS] = {{0}};
    csti_steps *steps = NULL;
    const csti_source_options source = {.kind = CSTI_SOURCE_GENERATOR,
                                        .generator = w.workload ? w.workload : "uniform",
                                        .generate = {.seed = 5, .skew = -1},
                                        .rows = w.rows,
                                        .batch_rows = BATCH_ROWS,
                                        .stripes = w.stripes};

    memset(f, 0, sizeof *f);
    csti_clock_sim_init(&f->clock, 0);
    f->watermark_us = CSTI_WATERMARK_NONE;
    CHECK_OK(csti_source_open(&source, &f->source, &f->err));
    CHECK_OK(cst_device_open("cpu:", &f->device, NULL));
    CHECK_OK(cst_queue_open(f->device, NULL, &f->queue, NULL));
    CHECK_OK(cst_queue_open(f->device, NULL, &f->processor, NULL));
    csti_barrier_cell_init(&f->cell);
    CHECK_OK(cst_schema_parse(w.key ? w.key : "u64", &f->key.schema, NULL));
    f->key.columns[0] = w.key_column;
    f->key.key_bytes = cst_schema_key_bytes(&f->key.schema);
    f->key.key_bytes_max = w.key_bytes_max ? w.key_bytes_max : 64;
    f->key.hash_key = (cst_hash_key){3, 4};
    f->shape = (csti_block_shape){.rows_capacity = BLOCK_ROWS,
                                  .key_bytes = f->key.key_bytes,
                                  .key_bytes_max = f->key.key_bytes_max,
                                  .sources_count = 1,
                                  .source_types = {CST_TYPE_U64}};
    for (uint32_t p = 0; p < PARTITIONS; p++)
        CHECK_OK(csti_channel_open(&f->shape, BLOCKS, -1, &f->channels[p], NULL));
    if (w.price)
        CHECK_OK(csti_filter_make(csti_source_shape(f->source), "value", *w.price, "500000",
                                  &filter, NULL));
    CHECK_OK(csti_steps_open(&(csti_steps_options){.shape = csti_source_shape(f->source),
                                                   .filters = &filter,
                                                   .filters_count = w.price != NULL,
                                                   .operators = w.operators,
                                                   .operators_count = w.operators_count,
                                                   .rows_max = BATCH_ROWS},
                             &steps, &f->err));
    for (uint32_t s = 0; s < w.stripes; s++) {
        splits[s].name = csti_source_split_name(f->source, s);
        splits[s].watermark_us = CSTI_WATERMARK_NONE;
        if (!w.resume) continue;
        splits[s].offset = w.resume[s].offset;
        splits[s].watermark_us = w.resume[s].watermark_us;
    }
    reader_open(f, w, steps, splits);
}

static void fixture_close(fixture *f) {
    csti_reader_close(f->reader);
    for (uint32_t p = 0; p < PARTITIONS; p++) csti_channel_close(f->channels[p]);
    csti_source_close(f->source);
    cst_queue_close(f->queue);
    cst_queue_close(f->processor);
    cst_device_close(f->device);
    for (uint64_t i = 0; i < f->positions_count; i++) {
        free((void *)(uintptr_t)f->positions[i].split);
        free((void *)(uintptr_t)f->positions[i].offset);
    }
}

static void message_take(fixture *f, uint32_t p, const csti_message *message) {
    switch (message->kind) {
    case CSTI_MESSAGE_ROWS:
        f->rows += message->block->rows_count;
        for (uint32_t r = 0; r < message->block->rows_count; r++)
            f->values_sum += ((const uint64_t *)message->block->sources[0].values)[r];
        csti_channel_recycle(f->channels[p], message->block);
        break;
    case CSTI_MESSAGE_BARRIER:
        CHECK(message->barrier.id > f->barrier_ids[p]);
        f->barrier_ids[p] = message->barrier.id;
        f->rows_at_barrier[f->barriers / PARTITIONS] = f->rows;
        f->barriers++;
        break;
    case CSTI_MESSAGE_WATERMARK:
        CHECK(message->watermark_us >= f->watermark_us);
        f->watermark_us = message->watermark_us;
        break;
    case CSTI_MESSAGE_IDLE:
        f->idles++;
        break;
    case CSTI_MESSAGE_LIVE:
        f->lives++;
        break;
    case CSTI_MESSAGE_END:
    case CSTI_MESSAGE_FAILED:
        f->ends++;
        f->end_code = message->code;
        break;
    }
}

static void drain(fixture *f) {
    csti_message message;

    // Behind its barrier a channel waits for the other's, so that rows are counted at the cut.
    for (int again = 1; again;) {
        again = 0;
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            if (f->barrier_ids[p] > f->barrier_ids[1 - p]) continue;
            if (!csti_channel_receive(f->channels[p], &message)) continue;
            message_take(f, p, &message);
            again = 1;
        }
    }
}

static cst_code step(fixture *f) {
    const cst_code code = csti_reader_poll(f->reader, &f->err);

    drain(f);
    return code;
}

static csti_reader_stats stats_of(fixture *f) {
    csti_reader_stats stats;

    csti_reader_stats_read(f->reader, &stats);
    return stats;
}

static void run_to_end(fixture *f) {
    for (int turn = 0; turn < TURNS_MAX && !stats_of(f).ended; turn++) {
        const cst_code code = step(f);
        if (code != CST_OK && code != CST_AGAIN) TEST_FAIL("%s", f->err.text);
    }
    CHECK(stats_of(f).ended);
}

static void inject(fixture *f, uint64_t id, csti_barrier_mode mode) {
    const csti_barrier barrier = {.id = id, .epoch = id, .mode = mode};

    CHECK_OK(csti_barrier_inject(&f->cell, barrier, NULL));
}

// What the generator itself gives.
static uint64_t generated_sum(uint64_t rows, uint64_t at_least, uint64_t *count_out) {
    const cst_generator_options options = {.seed = 5, .skew = -1};
    cst_generator *generator = NULL;
    cst_batch batch;
    uint64_t sum = 0;

    *count_out = 0;
    CHECK_OK(cst_generator_open("uniform", &options, &generator, NULL));
    for (uint64_t row = 0; row < rows; row++) {
        CHECK_OK(cst_generator_next(generator, 1, &batch));
        const uint64_t value = *(const uint64_t *)batch.columns[1].values.data;
        if (value < at_least) continue;
        sum += value;
        ++*count_out;
    }
    cst_generator_close(generator);
    return sum;
}

TEST(every_row_of_every_split_is_sent_once) {
    uint64_t count;
    const uint64_t sum = generated_sum(ROWS, 0, &count);

    for (uint32_t stripes = 1; stripes <= SPLITS; stripes++) {
        fixture f;

        fixture_open(&f, (wanted){.rows = ROWS, .stripes = stripes});
        run_to_end(&f);
        CHECK_EQ(f.rows, ROWS);
        CHECK_EQ(f.values_sum, sum);
        CHECK_EQ(stats_of(&f).rows, ROWS);
        CHECK(f.watermark_us > 0);
        CHECK(f.idles > 0);
        fixture_close(&f);
    }
}

TEST(rows_that_a_filter_drops_are_counted_and_not_sent) {
    const csti_compare compare = CSTI_GREATER_EQUAL;
    uint64_t count;
    const uint64_t sum = generated_sum(ROWS, 500000, &count);
    fixture f;

    fixture_open(&f, (wanted){.rows = ROWS, .stripes = 1, .price = &compare});
    run_to_end(&f);
    CHECK_EQ(f.rows, count);
    CHECK_EQ(f.values_sum, sum);
    CHECK_EQ(stats_of(&f).dropped, ROWS - count);
    fixture_close(&f);
}

// ---- A source that has nothing for a while, and then a row at a time ----

static const csti_source_ops *without_gate;
static bool gate_is_shut;

static cst_code gate_next(csti_split *split, uint32_t rows_max, cst_batch *out, bool *ended_out,
                          cst_err *err) {
    (void)rows_max;
    return gate_is_shut ? CST_AGAIN : without_gate->split_next(split, 1, out, ended_out, err);
}

TEST(rows_for_one_partition_end_idleness_for_all) {
    csti_source_ops gate;
    fixture f;

    fixture_open(&f, (wanted){.rows = ROWS, .stripes = 1});
    without_gate = f.source->ops;
    gate = *without_gate;
    gate.split_next = gate_next;
    f.source->ops = &gate;
    gate_is_shut = true;
    (void)step(&f);
    csti_clock_sim_advance(&f.clock, (uint64_t)IDLE_US * 1000);
    (void)step(&f);
    CHECK_EQ(f.idles, PARTITIONS);
    gate_is_shut = false;
    csti_clock_sim_advance(&f.clock, CSTI_READER_FLUSH_NS);
    CHECK_OK(step(&f));
    CHECK_EQ(f.rows, 1);
    CHECK_EQ(f.lives, PARTITIONS - 1);
    f.source->ops = without_gate;
    fixture_close(&f);
}

TEST(a_reader_that_starts_where_a_cut_was_sends_exactly_the_rest) {
    uint64_t count;
    const uint64_t sum = generated_sum(ROWS, 0, &count);
    fixture f, g;

    fixture_open(&f, (wanted){.rows = ROWS, .stripes = SPLITS});
    for (int turn = 0; turn < 7; turn++) CHECK_OK(step(&f));
    inject(&f, 1, CSTI_BARRIER_ALIGNED);
    while (f.barriers < PARTITIONS) CHECK_OK(step(&f));
    CHECK_EQ(f.positions_count, SPLITS);
    CHECK_EQ(f.rows, f.rows_at_barrier[0]);
    CHECK(f.rows > 0 && f.rows < ROWS);
    fixture_open(&g, (wanted){.rows = ROWS, .stripes = SPLITS, .resume = f.positions});
    run_to_end(&g);
    CHECK_EQ(f.rows + g.rows, ROWS);
    CHECK_EQ(f.values_sum + g.values_sum, sum);
    fixture_close(&f);
    fixture_close(&g);
}

TEST(a_cut_every_n_rows_is_at_exactly_n_rows_of_each_split) {
    enum { EVERY = 1300 };
    uint64_t cuts = 0;
    fixture f;

    fixture_open(&f, (wanted){.rows = ROWS, .stripes = 2, .rows_every = EVERY});
    for (int turn = 0; turn < TURNS_MAX && !stats_of(&f).ended; turn++) {
        (void)!step(&f);
        if (!stats_of(&f).at_cut) continue;
        CHECK_CODE(step(&f), CST_AGAIN); // waits
        inject(&f, ++cuts, CSTI_BARRIER_ALIGNED);
        CHECK_OK(step(&f));
        CHECK(!stats_of(&f).at_cut);
        // A stripe has 8192 rows and the other the rest: each stops at its own end.
        if (cuts * EVERY < 8192) CHECK_EQ(f.rows_at_barrier[cuts - 1], 2 * EVERY * cuts);
    }
    CHECK_EQ(cuts, (ROWS - 8192) / EVERY);
    CHECK_EQ(f.rows, ROWS);
    fixture_close(&f);
}

TEST(behind_a_final_barrier_nothing_is_read_but_another_barrier_passes) {
    fixture f;

    fixture_open(&f, (wanted){.rows = ROWS, .stripes = 1});
    CHECK_OK(step(&f));
    inject(&f, 1, CSTI_BARRIER_FINAL);
    CHECK_OK(step(&f));
    CHECK(stats_of(&f).finished);
    const uint64_t rows = f.rows;
    CHECK_CODE(step(&f), CST_AGAIN);
    inject(&f, 2, CSTI_BARRIER_FINAL);
    CHECK_OK(step(&f));
    CHECK_EQ(f.barriers, 2 * PARTITIONS);
    CHECK_EQ(f.rows, rows);
    CHECK_EQ(f.positions_count, 2);
    CHECK_TEXT(f.positions[0].offset, f.positions[1].offset);
    fixture_close(&f);
}

TEST(a_full_channel_holds_the_reader_and_a_barrier_comes_behind_the_rows) {
    csti_message message;
    fixture f;

    fixture_open(&f, (wanted){.rows = ROWS, .stripes = 1});
    for (int turn = 0; turn < 100; turn++) (void)!csti_reader_poll(f.reader, &f.err);
    CHECK_CODE(csti_reader_poll(f.reader, &f.err), CST_AGAIN);
    CHECK(stats_of(&f).full_count > 0);
    CHECK(stats_of(&f).rows < ROWS);
    inject(&f, 1, CSTI_BARRIER_ALIGNED);
    CHECK_CODE(csti_reader_poll(f.reader, &f.err), CST_AGAIN);
    CHECK_EQ(f.positions_count, 0);
    while (f.positions_count == 0) (void)!step(&f);
    CHECK_EQ(f.rows_at_barrier[0], f.rows);
    CHECK(!csti_channel_receive(f.channels[0], &message) || message.kind != CSTI_MESSAGE_BARRIER);
    fixture_close(&f);
}

TEST(a_pause_stops_reading_but_no_barrier) {
    fixture f;

    fixture_open(&f, (wanted){.rows = ROWS, .stripes = 1});
    CHECK_OK(step(&f));
    atomic_store(&f.paused, 1);
    const uint64_t rows = stats_of(&f).rows;
    CHECK_CODE(step(&f), CST_AGAIN);
    CHECK_EQ(f.rows, rows); // what was begun went out
    inject(&f, 1, CSTI_BARRIER_ALIGNED);
    CHECK_OK(step(&f));
    CHECK_EQ(f.barriers, PARTITIONS);
    CHECK_EQ(stats_of(&f).rows, rows);
    atomic_store(&f.paused, 0);
    run_to_end(&f);
    CHECK_EQ(f.rows, ROWS);
    fixture_close(&f);
}

TEST(a_block_that_is_not_full_goes_out_after_a_while) {
    fixture f;

    fixture_open(&f, (wanted){.rows = 0, .stripes = 1}); // no end
    CHECK_OK(step(&f));
    CHECK(f.rows < BATCH_ROWS); // the rest waits for more
    csti_clock_sim_advance(&f.clock, CSTI_READER_FLUSH_NS);
    CHECK_OK(step(&f));
    CHECK_EQ(f.rows, 2 * BATCH_ROWS);
    CHECK(f.watermark_us > 0);
    fixture_close(&f);
}

TEST(a_key_that_is_too_long_fails_the_channels_with_its_code) {
    fixture f;
    cst_code code = CST_OK;

    fixture_open(&f, (wanted){.rows = ROWS,
                              .stripes = 1,
                              .workload = "bids",
                              .key = "string",
                              .key_column = 3,
                              .key_bytes_max = 6}); // "partner" is longer
    for (int turn = 0; turn < 100 && (code == CST_OK || code == CST_AGAIN); turn++) code = step(&f);
    CHECK_EQ(code, CST_KEY_TOO_LONG);
    CHECK(strstr(f.err.text, "split generator-0: row "));
    CHECK(strstr(f.err.text, "its encoded key has 9 bytes, the job takes 6."));
    CHECK(strstr(f.err.text, "key_bytes_max = 9 takes it"));
    drain(&f);
    CHECK_EQ(f.ends, PARTITIONS);
    CHECK_EQ(f.end_code, CST_KEY_TOO_LONG);
    CHECK_CODE(step(&f), CST_KEY_TOO_LONG); // and again
    fixture_close(&f);
}

// ---- Operators ----------------------------------------------------------------------------------

// Doubles `value`; `wrong` says what it does wrong.
typedef struct doubler {
    const char *wrong;
    cst_column_data columns[CST_COLUMNS_MAX];
    uint64_t values[BATCH_ROWS];
} doubler;

static cst_code doubler_process(void *instance, const cst_batch *in, cst_batch *out, cst_err *err) {
    doubler *d = instance;

    *out = *in;
    out->columns = d->columns;
    memcpy(d->columns, in->columns, sizeof *d->columns * in->schema->columns_count);
    for (uint32_t r = 0; r < in->rows_count; r++)
        d->values[r] = 2 * ((const uint64_t *)in->columns[1].values.data)[r];
    d->columns[1].values.data = d->values;
    if (strcmp(d->wrong, "more") == 0) out->rows_count++;
    if (strcmp(d->wrong, "fail") == 0) return cst_fail(err, CST_OPERATOR, "no such zone");
    return CST_OK;
}

static csti_step doubler_step(doubler *d, cst_operator_shape *shape) {
    memset(shape, 0, sizeof *shape);
    CHECK_OK(cst_schema_parse("u64,u64,timestamp", &shape->schema, NULL));
    return (csti_step){"doubler", shape, doubler_process, d};
}

TEST(operators_run_in_order_on_every_row) {
    static doubler doublers[2] = {{.wrong = ""}, {.wrong = ""}};
    cst_operator_shape shape;
    const csti_step steps[2] = {doubler_step(&doublers[0], &shape),
                                doubler_step(&doublers[1], &shape)};
    uint64_t count;
    const uint64_t sum = generated_sum(ROWS, 0, &count);
    fixture f;

    fixture_open(&f,
                 (wanted){.rows = ROWS, .stripes = 1, .operators = steps, .operators_count = 2});
    run_to_end(&f);
    CHECK_EQ(f.values_sum, 4 * sum);
    fixture_close(&f);
}

TEST(behind_an_operator_a_key_that_is_too_long_names_the_first_row_that_it_can_be_of) {
    static doubler d = {.wrong = ""};
    cst_operator_shape shape;
    const csti_step use = doubler_step(&d, &shape);
    fixture f;

    fixture_open(&f, (wanted){.rows = ROWS,
                              .stripes = 1,
                              .workload = "bids",
                              .key = "string",
                              .key_column = 3,
                              .key_bytes_max = 6,
                              .operators = &use,
                              .operators_count = 1});
    CHECK_CODE(step(&f), CST_KEY_TOO_LONG);
    CHECK(strstr(f.err.text, "split generator-0: row 0: an operator made"));
    drain(&f);
    fixture_close(&f);
}

TEST(an_operator_that_errs_stops_the_reader_before_any_row_is_sent) {
    static doubler doublers[2] = {{.wrong = "more"}, {.wrong = "fail"}};

    for (size_t i = 0; i < 2; i++) {
        cst_operator_shape shape;
        const csti_step use = doubler_step(&doublers[i], &shape);
        fixture f;

        fixture_open(&f,
                     (wanted){.rows = ROWS, .stripes = 1, .operators = &use, .operators_count = 1});
        CHECK_CODE(step(&f), CST_OPERATOR);
        CHECK(strstr(f.err.text, "split generator-0"));
        drain(&f);
        CHECK_EQ(f.rows, 0);
        CHECK_EQ(f.end_code, CST_OPERATOR);
        fixture_close(&f);
    }
}

TEST(keys_of_small_batches_are_the_processors) {
    const uint64_t small = 400;
    fixture f, same;

    fixture_open(&f, (wanted){.rows = 2 * BATCH_ROWS + small,
                              .stripes = 1,
                              .device_rows_min = BATCH_ROWS});
    run_to_end(&f);
    CHECK_EQ(cst_queue_polled(f.queue), 2);
    CHECK_EQ(cst_queue_polled(f.processor), 1);
    CHECK_EQ(stats_of(&f).processor_rows, small);
    fixture_open(&same, (wanted){.rows = 2 * BATCH_ROWS + small, .stripes = 1});
    run_to_end(&same);
    CHECK_EQ(cst_queue_polled(same.processor), 0);
    CHECK_EQ(stats_of(&same).processor_rows, 0);
    CHECK_EQ(f.rows, same.rows);
    CHECK_EQ(f.values_sum, same.values_sum);
    fixture_close(&f);
    fixture_close(&same);
}

TEST_MAIN
