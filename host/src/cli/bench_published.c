// bench_published.c: aggregates of all partitions, published by their owners and read as one.
#include "cli/bench.h"
#include "stream/published.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    WRITES = 100000, // a round
    MERGES = 2000,   // a round
    PARTITIONS = CSTI_PUBLISHED_PARTITIONS_MAX,
    VALUE_BYTES = 40,
};

// Five aggregates: a count, a sum, a minimum, a maximum, a sum of doubles.
static const cst_program five = {
    .value_bytes = VALUE_BYTES,
    .accumulators_count = 5,
    .presence_offset = CST_NO_OFFSET,
    .accumulators = {
        {.op = CST_COUNT, .number = CST_U64, .value_offset = 0, .source = CST_NO_COLUMN},
        {.op = CST_SUM, .number = CST_I64, .value_offset = 8, .source = 0},
        {.op = CST_MIN, .number = CST_I64, .value_offset = 16, .source = 0},
        {.op = CST_MAX, .number = CST_I64, .value_offset = 24, .source = 0},
        {.op = CST_SUM, .number = CST_F64, .value_offset = 32, .source = 1}}};

typedef struct value {
    uint64_t count;
    int64_t sum, min, max;
    double weights;
} value;
_Static_assert(sizeof(value) == VALUE_BYTES, "as the program says");

static void write_epoch(csti_published *published, uint32_t partition, uint64_t epoch) {
    const value said = {epoch, (int64_t)epoch, -(int64_t)epoch, (int64_t)epoch, 1};

    csti_published_write(published, partition, &(csti_published_mark){.epoch = epoch},
                         (const uint8_t *)&said);
}

static cst_code write_round(void *context, double *ns_per_op_out, cst_err *err) {
    csti_published *published = context;
    const uint64_t from_ns = bench_now_ns();
    csti_published_view view;
    value out;
    cst_code code;

    for (uint64_t i = 0; i < WRITES; i++)
        write_epoch(published, (uint32_t)(i % PARTITIONS), i / PARTITIONS + 1);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / WRITES;
    code = csti_published_merge(published, (uint8_t *)&out, &view);
    if (code != CST_OK || view.present != UINT64_MAX ||
        view.newest_epoch != (WRITES - 1) / PARTITIONS + 1)
        return cst_fail(err, CST_INTERNAL, "a write is not seen");
    return CST_OK;
}

static cst_code merge_round(void *context, double *ns_per_op_out, cst_err *err) {
    const csti_published *published = context;
    const uint64_t from_ns = bench_now_ns();

    for (int i = 0; i < MERGES; i++) {
        csti_published_view view;
        value out;
        const cst_code code = csti_published_merge(published, (uint8_t *)&out, &view);

        if (code != CST_OK) return cst_fail(err, code, "a merge");
        if (out.weights != PARTITIONS || out.max != (int64_t)view.newest_epoch)
            return cst_fail(err, CST_INTERNAL, "a merge of %" PRIu64, out.count);
    }
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / MERGES;
    return CST_OK;
}

// One owner of all partitions writes without pause while another thread merges.
typedef struct writer {
    csti_published *published;
    _Atomic bool stop;
} writer;

static void *write_on(void *context) {
    writer *w = context;

    for (uint64_t i = 0; !atomic_load_explicit(&w->stop, memory_order_relaxed); i++)
        write_epoch(w->published, (uint32_t)(i % PARTITIONS), i / PARTITIONS + 1);
    return NULL;
}

static cst_code merge_beside_round(void *context, double *ns_per_op_out, cst_err *err) {
    writer w = {.published = context};
    pthread_t thread;
    cst_code code;

    if (pthread_create(&thread, NULL, write_on, &w) != 0)
        return cst_fail(err, CST_NO_MEMORY, "a thread");
    code = merge_round(context, ns_per_op_out, err);
    atomic_store_explicit(&w.stop, true, memory_order_relaxed);
    (void)pthread_join(thread, NULL);
    return code;
}

static cst_code measure(bench *b, csti_published *published, const char *name, const char *owners,
                        cst_code (*round)(void *, double *, cst_err *), cst_err *err) {
    const bench_side side = {BENCH_OURS, "constellation", round, published};
    bench_params params = {0};
    const bench_what what = {.name = name, .params = &params};

    if (!bench_wanted(b, name)) return CST_OK;
    bench_params_u64(&params, "partitions", PARTITIONS);
    bench_params_u64(&params, "aggregates", five.accumulators_count);
    bench_params_text(&params, "owners", owners);
    return bench_compare(b, &what, &side, 1, err);
}

cst_code bench_published(bench *b, cst_err *err) {
    csti_published *published = NULL;
    cst_code code = csti_published_open(&five, PARTITIONS, &published, err);

    if (code != CST_OK) return code;
    for (uint32_t i = 0; i < PARTITIONS; i++) write_epoch(published, i, 1);
    code = measure(b, published, "published.write", "one by one", write_round, err);
    if (code == CST_OK)
        code = measure(b, published, "published.merge", "at rest", merge_round, err);
    if (code == CST_OK)
        code = measure(b, published, "published.merge", "writing", merge_beside_round, err);
    csti_published_close(published);
    return code;
}
