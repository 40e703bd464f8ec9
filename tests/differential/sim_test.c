// The same random commands to the processor and to the simulated card: equal completions, look-ups,
// deltas and images, whatever stops them; and the circuit's own counter says that it did the rows.
#define PAIR_KEY_BYTES_MAX 16
#define PAIR_VALUE_WORDS_MAX 8
#include "card_waves.h"

#include <constellation/device.h>

#ifdef CST_HAS_SIM
#include "device_pair.h"

#include <sys/wait.h>
#include <unistd.h>
#endif

#ifndef CST_HAS_SIM
TEST(this_build_has_no_simulated_card) {
    cst_device *device = NULL;
    cst_err err = {0};

    CHECK_CODE(cst_device_open("sim:", &device, &err), CST_UNSUPPORTED);
    CHECK(strstr(err.text, "libconstellation-sim.so"));
}
#else

enum { MISTAKE_RUNS = 4 };
enum { RELEASED = 16, WALKED, RESTORED }; // docs/hardware.md, Counters
static uint64_t clocks_of(void *device) {
    cst_simulation simulation;

    cst_device_simulation(device, &simulation);
    return simulation.clocks;
}

// Another device in the card's place: CST_CARD=xrt:0, within constellation device emulate.
static const char *card_uri(const char *uri) {
    const char *other = getenv("CST_CARD");

    return other ? other : card_waves_uri(uri);
}

static bool card_is_simulated(void) {
    return !getenv("CST_CARD");
}

static void card_open(both *b, const char *uri, const cst_schema *keys) {
    both_open(b, card_uri(uri), keys);
    card_waves_watch(clocks_of, b->sides[OTHER].device);
}

static void card_close(both *b) {
    card_waves_watch(NULL, NULL);
    both_close(b);
}

// A ring is begun once, and anew when an image has outgrown its buffers; runs with every command,
// of which each is at least an operation or a load.
static void doorbells_check(const cst_counter *doorbells, uint64_t operations) {
    const bool runs = strstr(getenv("CST_CARD"), "start=run");

    CHECK(strcmp(doorbells->name, "doorbells") == 0);
    CHECK(doorbells->value >= (runs ? 8 : 1));
    CHECK(runs || doorbells->value < 8);
    CHECK(doorbells->value < operations);
}

// What the circuit counted since its last reset.
static void counted(both *b) {
    static const char *const names[] = {"released",  "walked",       "restored",
                                        "starved",   "held",         "wait_queue",
                                        "wait_copy", "no_operation", "lookup_clocks"};
    cst_counter counters[COUNTERS_MAX];
    size_t count = 0;

    cst_queue_counters(b->sides[OTHER].queue, counters, COUNTERS_MAX, &count);
    // Behind the circuit's one of the way to it: doorbells.
    CHECK_EQ(count, RELEASED + sizeof names / sizeof *names + !card_is_simulated());
    count -= !card_is_simulated();
    if (!card_is_simulated()) doorbells_check(&counters[count], counters[0].value);
    for (size_t i = 0; i < count; i++) b->counts[i] = counters[i].value;
    for (size_t i = RELEASED; i < count; i++)
        CHECK(strcmp(counters[i].name, names[i - RELEASED]) == 0);
}

// The circuit counts the operations it did: rows, look-ups, barriers and an end a command.
static void work_check(both *b) {
    cst_simulation simulation;

    if (!card_is_simulated()) return; // its clocks are nobody's
    cst_device_simulation(b->sides[OTHER].device, &simulation);
    CHECK(simulation.simulated);
    CHECK_EQ(simulation.clock_khz, 300000);
    CHECK(simulation.clocks > b->rows_count);
    // A start alone takes the host 52 us; a transfer of rows more than 13.
    CHECK(simulation.transfer_ns > 52000 + 13000);
    if (simulation.operations < b->rows_count)
        TEST_FAIL("the circuit did %" PRIu64 " operations for %" PRIu64 " rows",
                  simulation.operations, b->rows_count);
}

static void stream(both *b, const char *uri, uint32_t steps) {
    rows_batch *batch = calloc(1, sizeof *batch);

    CHECK(batch);
    knobs_draw(&b->knobs);
    sources_draw(&b->knobs.options.program, batch);
    card_open(b, uri, NULL);
    stream_run(b, batch, steps);
    work_check(b);
    counted(b);
    CHECK(b->counts[WALKED] >= b->scanned_count + b->expired_count);
    card_close(b);
    batch_free(batch);
}

TEST(random_streams_give_equal_completions_deltas_and_images) {
    stream_totals totals = {0};
    uint64_t counts[COUNTERS_MAX] = {0};
    bool all = false;

    if (!card_is_simulated()) { // what each stream has to have is shown by the simulated card
        both b = {0};

        stream(&b, "sim:", STREAM_STEPS / 2);
        return;
    }
    for (uint32_t i = 0; i < STREAMS_MIN || (!all && i < STREAMS_MAX); i++) {
        both b = {0};

        stream(&b, i % 4 == 3 ? "sim:?memory=ddr4&channels=4" : "sim:", STREAM_STEPS);
        for (uint32_t c = 0; c <= RESTORED; c++) counts[c] += b.counts[c];
        all = stream_totals_add(&totals, &b) && counts[RESTORED] > 0;
    }
    printf("%" PRIu64 " rows; ", totals.rows);
    CHECK(totals.rows > 2000);
    CHECK(all);
}

TEST(sums_of_doubles_and_of_decimals_are_those_of_the_processor) {
    static const pair_way way = {"sim:", card_open, work_check, card_close};

    pair_run(&way, sums_draw, sums_run);
}

// The card has its table and would take the rows at once: nothing of them may reach it.
TEST(rows_of_sources_that_the_program_does_not_take_change_nothing) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    knobs_draw(&b.knobs);
    b.knobs.options.key_bytes = b.knobs.keys_longest = 8;
    b.knobs.keys_fixed = true;
    b.knobs.options.budget_bytes = UINT64_C(16) << 20;
    b.knobs.options.program = (cst_program){.value_bytes = 8,
                                            .accumulators_count = 1,
                                            .presence_offset = CST_NO_OFFSET,
                                            .accumulators = {{CST_SUM, CST_U64, 0, 0, 0}}};
    card_open(&b, "sim:", NULL);
    for (uint32_t step = 0; step < 4; step++) {
        cst_command command;

        batch->sources[0].type = step == 1 ? CST_TYPE_I64 : CST_TYPE_U32;
        command = apply_draw(&b, batch);
        if (step != 1) {
            apply(&b, command);
            continue;
        }
        CHECK_EQ(both_run(&b, &command).code, CST_USAGE);
        for (uint32_t s = 0; s < SIDES; s++) CHECK_OK(cst_queue_resume(b.sides[s].queue, NULL));
        // Nothing is left of them: what either side says of that, the other says too.
        const uint32_t ends[] = {command.rows.rows_count, command.rows.rows_count & ~7u};
        command.ops |= CST_OP_HASH;
        for (uint32_t e = 0; e < 2; e++) {
            command.rows.rows_count = command.rows.first_row = ends[e];
            if (both_run(&b, &command).code == CST_OK) continue;
            for (uint32_t s = 0; s < SIDES; s++) CHECK_OK(cst_queue_resume(b.sides[s].queue, NULL));
        }
    }
    barrier(&b);
    images_compare(&b);
    work_check(&b);
    card_close(&b);
    batch_free(batch);
}

static void log_check(both *b) {
    counted(b);
    CHECK(b->counts[RELEASED] >= b->deltas[0].to / LOG_SEGMENT_BYTES - 12);
}

static void log_runs(const char *uri) {
    const pair_way way = {uri, card_open, log_check, card_close};

    pair_run(&way, log_draw, log_run);
}

TEST(the_log_goes_on_in_places_that_were_released) {
    log_runs("sim:");
}

// ---- Many rows ----------------------------------------------------------------------------------

enum { MANY_BATCHES = 24, MANY_BATCHES_AN_EPOCH = 8 };

// Nothing but rows, barriers and releases, which cost the card the fewest clocks a row; the bytes
// of each delta are compared, and the images at the end.
static uint64_t many_rows(rows_skew skew) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    knobs_draw(&b.knobs);
    b.knobs.skew = skew;
    b.knobs.hashes = ROWS_HASH_FREE;
    b.knobs.keys_count = 20000 * rounds();
    b.knobs.keys_longest = b.knobs.options.key_bytes; // a row that errs may end its batch
    b.knobs.extremes_percent = 0;
    b.knobs.deletes_percent = (uint32_t)test_random_below(10);
    program_draw(&b.knobs.options.program); // without a time
    b.knobs.nulls_percent = b.knobs.options.program.presence_offset != CST_NO_OFFSET ? 20 : 0;
    b.knobs.options.budget_bytes = (UINT64_C(16) << 20) + (UINT64_C(4) << 20) * rounds();
    sources_draw(&b.knobs.options.program, batch);
    card_open(&b, "sim:", NULL);
    for (uint32_t i = 0; i < MANY_BATCHES * rounds(); i++) {
        apply(&b, apply_draw(&b, batch));
        if (i % MANY_BATCHES_AN_EPOCH != MANY_BATCHES_AN_EPOCH - 1) continue;
        barrier(&b);
        if (b.deltas_count > 1) release_some(&b);
    }
    barrier(&b);
    images_compare(&b);
    work_check(&b);
    card_close(&b);
    batch_free(batch);
    return b.rows_count;
}

TEST(many_rows_of_every_skew_leave_equal_deltas_and_images) {
    uint64_t rows = 0;

    for (rows_skew skew = 0; skew < ROWS_SKEWS; skew++) rows += many_rows(skew);
    printf("%" PRIu64 " rows; ", rows);
    CHECK(rows > UINT64_C(5000) * rounds());
}

// ---- Several in flight --------------------------------------------------------------------------

TEST(commands_in_flight_complete_as_one_after_the_other) {
    rows_batch *batches[FLIGHT_BATCHES];
    uint64_t stops = 0;

    for (uint32_t i = 0; i < FLIGHT_BATCHES; i++) CHECK(batches[i] = calloc(1, sizeof **batches));
    for (uint32_t table = 0; table < (card_is_simulated() ? 4 : 1); table++) {
        both b = {0};

        flight_draw(&b, batches);
        card_open(&b, "sim:", NULL);
        flight_run(&b, batches, card_is_simulated() ? 6 : 3);
        work_check(&b);
        stops += b.stops_count;
        card_close(&b);
    }
    CHECK(stops > 0);
    flight_batches_free(batches);
}

enum { COLUMN_ROWS = 700 };

// Keys of three columns, one of which may be null, encoded and hashed by the circuit.
static void columns_run(const char *uri) {
    static uint32_t numbers[COLUMN_ROWS];
    static uint16_t shorts[COLUMN_ROWS];
    static int64_t longs[COLUMN_ROWS];
    static uint8_t present[(COLUMN_ROWS + 7) / 8];
    // An empty buffer says that no row is null, wherever it lies.
    cst_column_data columns[3] = {{.values = {numbers, sizeof numbers}, .validity = {present, 0}},
                                  {.values = {shorts, sizeof shorts},
                                   .validity = {present, sizeof present}},
                                  {.values = {longs, sizeof longs}}};
    cst_schema schema;
    cst_batch batch = {.schema = &schema, .rows_count = COLUMN_ROWS, .columns = columns};
    both b = {0};

    CHECK_OK(cst_schema_parse("u32,desc nullable u16,i64", &schema, NULL));
    knobs_draw(&b.knobs);
    b.knobs.options.key_bytes = 16;
    b.knobs.options.budget_bytes = UINT64_C(64) << 20;
    b.knobs.options.program =
        (cst_program){.value_bytes = 8,
                      .accumulators_count = 1,
                      .presence_offset = CST_NO_OFFSET,
                      .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0}}};
    card_open(&b, uri, &schema);
    for (uint32_t step = 0; step < 4; step++) {
        const cst_command command = {.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                                     .batch = &batch,
                                     .rows = {.rows_count = COLUMN_ROWS}};

        for (uint32_t r = 0; r < COLUMN_ROWS; r++) {
            numbers[r] = (uint32_t)test_random_below(3);
            shorts[r] = (uint16_t)test_random_below(20);
            longs[r] = (int64_t)test_random_below(40) - 20;
        }
        for (size_t i = 0; i < sizeof present; i++) present[i] = (uint8_t)test_random();
        columns[1].validity.bytes = step % 2 ? 0 : sizeof present;
        CHECK_OK(cst_batch_check(&batch, NULL));
        apply(&b, command);
        barrier(&b);
        images_compare(&b);
    }
    CHECK(b.grows_count > 0);
    work_check(&b);
    card_close(&b);
}

TEST(columns_become_the_same_keys_in_the_circuit) {
    columns_run("sim:");
}

// Few keys, one behind the other; nulls; each epoch's records put back as rows.
static void few_keys_run(const char *uri) {
    rows_batch *batch = calloc(1, sizeof *batch);
    both b = {0};

    CHECK(batch);
    b.knobs = (rows_knobs){.keys_fixed = true,
                           .keys_count = 20,
                           .keys_longest = 8,
                           .skew = ROWS_ONE_KEY,
                           .batch_max = ROWS_BATCH_MAX,
                           .nulls_percent = 20};
    b.knobs.options =
        (cst_table_options){.layout = CST_TABLE_INLINE,
                            .key_bytes = 8,
                            .hash_key = {test_random(), test_random()},
                            .program = {.value_bytes = 16,
                                        .accumulators_count = 1,
                                        .presence_offset = 8,
                                        .accumulators = {{CST_SUM, CST_U64, 0, 0, 0}}},
                            .rows_hint = 20,
                            .budget_bytes = UINT64_C(4) << 20,
                            .log_segment_bytes = 65536,
                            .numa_node = -1};
    batch->sources[0].type = CST_TYPE_U32;
    card_open(&b, uri, NULL);
    for (uint32_t step = 0; step < 4; step++) {
        const cst_command command = apply_draw(&b, batch);

        apply(&b, command);
        look_up(&b, command);
        barrier(&b);
        restore(&b);
        images_compare(&b);
    }
    CHECK(b.restored_count > 0);
    card_close(&b);
    batch_free(batch);
}

TEST(few_keys_with_nulls_are_restored_from_each_epoch) {
    few_keys_run("sim:");
}

// ---- Mistakes -----------------------------------------------------------------------------------

// The first of random_streams_give_equal_completions_deltas_and_images: there the circuit does them
// without a mistake.
static void streams_run(const char *uri) {
    for (uint32_t i = 0; i < STREAMS_MIN; i++) {
        both b = {0};

        stream(&b, uri, STREAM_STEPS);
    }
}

static void mistake_is_noticed(const char *word, void (*run)(const char *uri)) {
    const pid_t child = fork();
    char uri[64];
    int status = 0;

    CHECK(child >= 0);
    (void)snprintf(uri, sizeof uri, "sim:?mistake=%s", word);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(3);
        // What is drawn may pass the mistake by: then more is.
        for (uint32_t i = 0; i < MISTAKE_RUNS; i++) run(uri);
        _exit(2);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        TEST_FAIL("mistake %s: no difference (status %d)", word, status);
}

// The very circuit that the cases above find equal, in the same streams of the same seed, does one
// thing wrong: a check of theirs fails.
TEST(a_circuit_with_a_mistake_is_told_from_the_processor) {
    static const char *const streams[] = {"tag", "place", "epoch", "strobe", "time", "scan"};
    static const char *const few_keys[] = {"hazard", "null", "restore"};

    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        mistake_is_noticed(streams[i], streams_run);
    for (size_t i = 0; i < sizeof few_keys / sizeof *few_keys; i++)
        mistake_is_noticed(few_keys[i], few_keys_run);
    mistake_is_noticed("order", columns_run);
    mistake_is_noticed("release", log_runs);
}

// A reset while nothing is lost: the card loads its table anew and goes on.
TEST(a_reset_card_goes_on_with_the_image) {
    both b = {0};
    rows_batch *batch = calloc(1, sizeof *batch);

    CHECK(batch);
    knobs_draw(&b.knobs);
    sources_draw(&b.knobs.options.program, batch);
    card_open(&b, "sim:?clock_mhz=300&channels=16&seed=7", NULL);
    for (uint32_t step = 0; step < 3; step++) {
        const cst_command command = apply_draw(&b, batch);

        apply(&b, command);
        CHECK_OK(cst_device_reset(b.sides[OTHER].device, NULL));
        CHECK_OK(cst_device_reset(b.sides[CPU].device, NULL));
        images_compare(&b);
    }
    card_close(&b);
    batch_free(batch);
}

TEST(a_table_that_the_circuit_cannot_hold_is_refused_by_its_shape) {
    cst_device *device = NULL;
    cst_queue *queue = NULL;
    cst_device_table *table = NULL;
    both b = {0};

    knobs_draw(&b.knobs);
    CHECK_OK(cst_device_open("sim:", &device, NULL));
    CHECK_OK(cst_queue_open(device, NULL, &queue, NULL));
    b.knobs.options.key_bytes = 17;
    CHECK_CODE(cst_device_table_open(queue, &b.knobs.options, NULL, &table, NULL),
               CST_KEY_TOO_LONG);
    b.knobs.options.key_bytes = 0;
    b.knobs.options.program = (cst_program){.value_bytes = 72, .presence_offset = CST_NO_OFFSET};
    CHECK_CODE(cst_device_table_open(queue, &b.knobs.options, NULL, &table, NULL),
               CST_VALUE_TOO_LONG);
    cst_queue_close(queue);
    CHECK_CODE(cst_device_open("sim:?memory=sram", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?channels=0", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?channels=12", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?channels=32", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?mistake=none", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:?waves=", &device, NULL), CST_DEVICE_URI);
#ifndef CST_HAS_WAVES
    CHECK_CODE(cst_device_open("sim:?waves=card.fst", &device, NULL), CST_UNSUPPORTED);
#endif
    CHECK_CODE(cst_device_open("sim:?waves=x&waves_from=y", &device, NULL), CST_DEVICE_URI);
    CHECK_CODE(cst_device_open("sim:x", &device, NULL), CST_DEVICE_URI);
    cst_device_close(device);
}
#endif

TEST_MAIN
