// bench_align.c: what a barrier costs on its way: injected, polled for, taken, aligned.
#include "base/topology.h"
#include "cli/bench.h"
#include "stream/aligner.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

enum {
    INJECTIONS = 100000, // a round
    POLLS = 1000000,     // a round
    CROSSINGS = 20000,
    ROWS = 100000, // a round
    ROWS_A_BARRIER = 1000,
    HELD = 1000, // a barrier
    LAST_BARRIERS = 2000,
    HELD_EACH = 8, // of each of the other inputs
};

static csti_barrier barrier_of(uint64_t id) {
    return (csti_barrier){.id = id, .epoch = id, .mode = CSTI_BARRIER_ALIGNED};
}

static cst_code measure(bench *b, const char *name, bench_params *params,
                        cst_code (*round)(void *, double *, cst_err *), void *context,
                        cst_err *err) {
    const bench_side side = {BENCH_OURS, "constellation", round, context};
    const bench_what what = {.name = name, .params = params};

    if (!bench_wanted(b, name)) return CST_OK;
    return bench_compare(b, &what, &side, 1, err);
}

// ---- The cell ----

static cst_code inject_round(void *context, double *ns_per_op_out, cst_err *err) {
    csti_barrier_cell *cell = context;
    const uint64_t from_ns = bench_now_ns();
    uint64_t pending_id = 0;

    csti_barrier_cell_init(cell);
    for (uint64_t id = 1; id <= INJECTIONS; id++) {
        csti_barrier taken;

        if (csti_barrier_inject(cell, barrier_of(id), &pending_id) != CST_OK ||
            !csti_barrier_pending(cell) || !csti_barrier_take(cell, &taken) || taken.id != id)
            return cst_fail(err, CST_INTERNAL, "barrier %" PRIu64 " was lost", id);
    }
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / INJECTIONS;
    return CST_OK;
}

static cst_code poll_round(void *context, double *ns_per_op_out, cst_err *err) {
    const csti_barrier_cell *cell = context;
    const uint64_t from_ns = bench_now_ns();

    for (int i = 0; i < POLLS; i++)
        if (csti_barrier_pending(cell)) return cst_fail(err, CST_INTERNAL, "nothing was injected");
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / POLLS;
    return CST_OK;
}

// Two threads hand barriers to and fro, each on a core of its own.
typedef struct crossing {
    csti_barrier_cell there, back;
    int cpus[2];
    histogram one_way;
    _Atomic bool ready, refused; // the far side is on its core, or cannot be
    cst_code code;               // of the near side
    cst_err err;
} crossing;

// The cell is empty: its last barrier was answered.
static void hand_over(csti_barrier_cell *cell, csti_barrier barrier) {
    uint64_t pending_id = 0;
    const cst_code code = csti_barrier_inject(cell, barrier, &pending_id);

    assert(code == CST_OK);
    (void)code;
}

static csti_barrier wait_for(csti_barrier_cell *cell) {
    csti_barrier taken = {0};

    while (!csti_barrier_pending(cell) || !csti_barrier_take(cell, &taken)) {}
    return taken;
}

static void *far_side(void *context) {
    crossing *c = context;
    csti_barrier taken;

    if (csti_thread_pin(c->cpus[1], NULL) != CST_OK) {
        atomic_store(&c->refused, true);
        return NULL;
    }
    atomic_store(&c->ready, true);
    do {
        taken = wait_for(&c->there);
        hand_over(&c->back, taken);
    } while (taken.mode != CSTI_BARRIER_FINAL);
    return NULL;
}

static void *near_side(void *context) {
    crossing *c = context;

    c->code = csti_thread_pin(c->cpus[0], &c->err);
    while (!atomic_load(&c->ready) && !atomic_load(&c->refused)) {}
    if (atomic_load(&c->refused))
        c->code = cst_fail(&c->err, CST_PLACEMENT, "processor %d", c->cpus[1]);
    for (uint64_t id = 1; id <= CROSSINGS && !atomic_load(&c->refused); id++) {
        csti_barrier barrier = barrier_of(id);
        uint64_t from;

        if (id == CROSSINGS) barrier.mode = CSTI_BARRIER_FINAL;
        from = csti_ticks();
        hand_over(&c->there, barrier);
        if (wait_for(&c->back).id != id)
            c->code = cst_fail(&c->err, CST_INTERNAL, "barrier %" PRIu64 " was lost", id);
        histogram_add(&c->one_way, (csti_ticks() - from) / 2);
    }
    return NULL;
}

static cst_code measure_crossing(bench *b, cst_err *err) {
    static csti_topology topology;
    static crossing c;
    bench_params params = {0};
    pthread_t threads[2];
    cst_code code = csti_topology_take(NULL, &topology, err);

    if (code != CST_OK || topology.cpus_count < 2) return code;
    c = (crossing){.cpus = {topology.cpus[0].number, topology.cpus[1].number}};
    csti_barrier_cell_init(&c.there);
    csti_barrier_cell_init(&c.back);
    if (pthread_create(&threads[0], NULL, far_side, &c) != 0)
        return cst_fail(err, CST_NO_MEMORY, "a thread");
    if (pthread_create(&threads[1], NULL, near_side, &c) != 0) {
        hand_over(&c.there, (csti_barrier){1, 1, CSTI_BARRIER_FINAL});
        code = cst_fail(err, CST_NO_MEMORY, "a thread");
    } else {
        (void)pthread_join(threads[1], NULL);
        code = c.code;
        if (code != CST_OK) *err = c.err;
    }
    (void)pthread_join(threads[0], NULL);
    if (code != CST_OK) return code;
    bench_params_u64(&params, "cpu", (uint64_t)c.cpus[0]);
    bench_params_u64(&params, "other_cpu", (uint64_t)c.cpus[1]);
    bench_latencies(b, "align.cross_core", &params, "constellation", &c.one_way,
                    "\"half_a_round_trip\":true");
    return CST_OK;
}

// ---- The aligner ----

typedef struct aligned_rows {
    csti_aligner *aligner;
    uint32_t inputs_count;
    uint64_t last_id;
    csti_block block;  // of one row: a block of thousands costs the same
    csti_message rows; // with it
} aligned_rows;

static cst_code open_rows(aligned_rows *a, uint32_t inputs_count, cst_err *err) {
    *a = (aligned_rows){.inputs_count = inputs_count, .block = {.rows_count = 1}};
    a->rows = (csti_message){.kind = CSTI_MESSAGE_ROWS, .block = &a->block};
    return csti_aligner_open(&(csti_aligner_options){.inputs_count = inputs_count}, &a->aligner,
                             err);
}

// Pushes one message; returns how many of the wanted kind came out.
static uint32_t push(aligned_rows *a, uint32_t input, const csti_message *message,
                     csti_aligned_kind wanted) {
    csti_aligned out;
    uint32_t count = 0;

    csti_aligner_push(a->aligner, input, message);
    while (csti_aligner_next(a->aligner, a->last_id, &out) != CSTI_ALIGNED_NOTHING)
        count += out.kind == wanted;
    return count;
}

static uint32_t push_rows(aligned_rows *a, uint32_t input) {
    return push(a, input, &a->rows, CSTI_ALIGNED_ROWS);
}

static uint32_t push_barrier(aligned_rows *a, uint32_t input, csti_aligned_kind wanted) {
    return push(a, input,
                &(csti_message){.kind = CSTI_MESSAGE_BARRIER, .barrier = barrier_of(a->last_id)},
                wanted);
}

// All inputs by turns, a barrier on all of them now and then; nothing waits for long.
static cst_code rows_round(void *context, double *ns_per_op_out, cst_err *err) {
    aligned_rows *a = context;
    const uint64_t from_ns = bench_now_ns();
    uint32_t rows_count = 0, barriers_count = 0;

    for (uint32_t i = 0; i < ROWS; i += ROWS_A_BARRIER) {
        for (uint32_t r = 0; r < ROWS_A_BARRIER; r++)
            rows_count += push_rows(a, r & (a->inputs_count - 1)); // 1 or 2 of them
        a->last_id++;
        for (uint32_t input = 0; input < a->inputs_count; input++)
            barriers_count += push_barrier(a, input, CSTI_ALIGNED_BARRIER);
    }
    if (rows_count != ROWS || barriers_count != ROWS / ROWS_A_BARRIER)
        return cst_fail(err, CST_INTERNAL, "%" PRIu32 " rows came out", rows_count);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / ROWS;
    return CST_OK;
}

// Input 0 passes, its rows are held until input 1 has passed too.
static cst_code held_round(void *context, double *ns_per_op_out, cst_err *err) {
    aligned_rows *a = context;
    const uint64_t from_ns = bench_now_ns();
    uint32_t early_count = 0, rows_count = 0;

    for (uint32_t i = 0; i < ROWS; i += HELD) {
        a->last_id++;
        early_count += push_barrier(a, 0, CSTI_ALIGNED_ROWS);
        for (uint32_t r = 0; r < HELD; r++) early_count += push_rows(a, 0);
        rows_count += push_barrier(a, 1, CSTI_ALIGNED_ROWS);
    }
    if (early_count != 0 || rows_count != ROWS)
        return cst_fail(err, CST_INTERNAL, "%" PRIu32 " held rows came out", rows_count);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / ROWS;
    return CST_OK;
}

static cst_code measure_rows(bench *b, const char *name, uint32_t inputs_count,
                             cst_code (*round)(void *, double *, cst_err *), cst_err *err) {
    aligned_rows a;
    bench_params params = {0};
    cst_code code = open_rows(&a, inputs_count, err);

    if (code != CST_OK) return code;
    bench_params_u64(&params, "inputs", inputs_count);
    bench_params_u64(&params, "rows_a_block", 1);
    code = measure(b, name, &params, round, &a, err);
    csti_aligner_close(a.aligner);
    return code;
}

// All but one input have passed and hold rows: from the last barrier to the aligned one, and until
// all that was held is out.
static cst_code align_all(aligned_rows *a, histogram *aligned, histogram *drained, cst_err *err) {
    const uint32_t last = a->inputs_count - 1;
    uint32_t rows_count = 0;
    csti_aligned out;
    uint64_t from;

    a->last_id++;
    for (uint32_t input = 0; input < last; input++) {
        (void)push_barrier(a, input, CSTI_ALIGNED_ROWS);
        for (int i = 0; i < HELD_EACH; i++) (void)push_rows(a, input);
    }
    from = csti_ticks();
    csti_aligner_push(a->aligner, last,
                      &(csti_message){.kind = CSTI_MESSAGE_BARRIER,
                                      .barrier = barrier_of(a->last_id)});
    if (csti_aligner_next(a->aligner, 0, &out) != CSTI_ALIGNED_BARRIER)
        return cst_fail(err, CST_INTERNAL, "barrier %" PRIu64 " was not aligned", a->last_id);
    histogram_add(aligned, csti_ticks() - from);
    while (csti_aligner_next(a->aligner, 0, &out) == CSTI_ALIGNED_ROWS) rows_count++;
    histogram_add(drained, csti_ticks() - from);
    if (rows_count != last * HELD_EACH)
        return cst_fail(err, CST_INTERNAL, "%" PRIu32 " held blocks came out", rows_count);
    return CST_OK;
}

static cst_code measure_last_barrier(bench *b, cst_err *err) {
    static histogram aligned, drained;
    aligned_rows a;
    bench_params params = {0};
    cst_code code = open_rows(&a, CSTI_ALIGNER_INPUTS_MAX, err);

    memset(&aligned, 0, sizeof aligned);
    memset(&drained, 0, sizeof drained);
    for (int i = 0; i < LAST_BARRIERS && code == CST_OK; i++)
        code = align_all(&a, &aligned, &drained, err);
    csti_aligner_close(a.aligner);
    if (code != CST_OK) return code;
    bench_params_u64(&params, "inputs", a.inputs_count);
    bench_params_u64(&params, "held_blocks", (a.inputs_count - 1) * HELD_EACH);
    bench_latencies(b, "align.last_barrier", &params, "constellation", &aligned,
                    "\"until\":\"aligned\"");
    bench_latencies(b, "align.last_barrier", &params, "constellation", &drained,
                    "\"until\":\"drained\"");
    return CST_OK;
}

cst_code bench_align(bench *b, cst_err *err) {
    static csti_barrier_cell cell;
    bench_params params = {0};
    cst_code code;

    csti_barrier_cell_init(&cell);
    bench_params_text(&params, "cores", "one");
    code = measure(b, "align.inject_take", &params, inject_round, &cell, err);
    if (code == CST_OK) code = measure(b, "align.poll", &params, poll_round, &cell, err);
    if (code == CST_OK && bench_wanted(b, "align.cross_core")) code = measure_crossing(b, err);
    if (code == CST_OK) code = measure_rows(b, "align.row", 1, rows_round, err);
    if (code == CST_OK) code = measure_rows(b, "align.row", 2, rows_round, err);
    if (code == CST_OK) code = measure_rows(b, "align.held_row", 2, held_round, err);
    if (code == CST_OK && bench_wanted(b, "align.last_barrier"))
        code = measure_last_barrier(b, err);
    return code;
}
