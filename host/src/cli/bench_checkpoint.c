#include "cli/bench_checkpoint.h"

#include "base/crc32c.h"
#include "base/park.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum {
    RANGES_MAX = 4096,
    STEP_BYTES = 64 << 10, // a block of a segment
    KEPT_EPOCHS = 2,
    MAILBOX_DELTAS = 16,
};

typedef struct handed {
    cst_delta delta;
    cst_bytes ranges[RANGES_MAX];
    size_t count;
} handed;

// The owner writes deltas[number % MAILBOX_DELTAS] before it publishes the number. The uploader
// says which number it reads; a delta is released only when that is past it, until then it stays
// pinned, as under a slow store.
typedef struct uploader {
    handed deltas[MAILBOX_DELTAS];
    _Atomic uint64_t published; // pairs with the uploader's acquire
    _Atomic uint64_t reading;   // pairs with the owner's acquire before a release
    _Atomic bool stop;
    bool again; // the newest delta over and over; else each once, in order
    csti_parker parker;
    uint8_t *copy; // STEP_BYTES
    _Atomic uint64_t bytes;
    uint32_t crc;
} uploader;

static bool superseded(uploader *up, uint64_t number) {
    if (atomic_load_explicit(&up->stop, memory_order_relaxed)) return true;
    return up->again && atomic_load_explicit(&up->published, memory_order_relaxed) != number;
}

static void upload(uploader *up, uint64_t number) {
    const handed *delta = &up->deltas[number % MAILBOX_DELTAS];

    for (size_t r = 0; r < delta->count; r++) {
        const cst_bytes range = delta->ranges[r];

        for (size_t at = 0; at < range.count; at += STEP_BYTES) {
            const size_t left = range.count - at;
            const size_t count = left < STEP_BYTES ? left : STEP_BYTES;

            if (superseded(up, number)) return;
            memcpy(up->copy, range.data + at, count);
            up->crc = csti_crc32c(up->crc, up->copy, count);
            atomic_fetch_add_explicit(&up->bytes, count, memory_order_relaxed);
        }
    }
}

static void *upload_main(void *context) {
    uploader *up = context;
    uint64_t next = 1;

    while (!atomic_load_explicit(&up->stop, memory_order_relaxed)) {
        const uint64_t newest = atomic_load_explicit(&up->published, memory_order_acquire);

        if (up->again) next = newest;
        atomic_store_explicit(&up->reading, next, memory_order_release);
        if (next == 0 || next > newest) {
            csti_park(&up->parker);
            continue;
        }
        upload(up, next);
        if (!up->again) next++;
    }
    atomic_store_explicit(&up->reading, UINT64_MAX, memory_order_release);
    return NULL;
}

typedef struct checkpoint_side {
    bench_maps *m;
    uploader *up; // NULL: nobody reads the deltas
} checkpoint_side;

// Hands the delta over and releases those two seals back, as far as the uploader is past them.
static cst_code hand_over(bench_table *t, uploader *up, const cst_delta *delta, cst_err *err) {
    const uint64_t number = atomic_load_explicit(&up->published, memory_order_relaxed) + 1;
    handed *out = &up->deltas[number % MAILBOX_DELTAS];
    uint64_t done;

    out->delta = *delta;
    cst_table_delta_ranges(t->table, delta, out->ranges, RANGES_MAX, &out->count);
    if (out->count > RANGES_MAX) return cst_fail(err, CST_LIMIT, "ranges of a delta");
    atomic_store_explicit(&up->published, number, memory_order_release);
    csti_unpark(&up->parker);
    do { // waits only when the mailbox is full
        done = atomic_load_explicit(&up->reading, memory_order_acquire);
        if (done + MAILBOX_DELTAS - 1 <= number) sched_yield();
    } while (done + MAILBOX_DELTAS - 1 <= number);
    if (done > number - 1) done = number - 1;
    if (done < 2) return CST_OK;
    return cst_table_release(t->table, &up->deltas[(done - 1) % MAILBOX_DELTAS].delta);
}

static cst_code seal(const checkpoint_side *side, cst_err *err) {
    bench_table *t = &side->m->ours;
    const cst_delta delta = cst_table_seal(t->table);

    if (side->up) return hand_over(t, side->up, &delta, err);
    return bench_table_sealed(t, KEPT_EPOCHS, &delta);
}

static cst_code run(const checkpoint_side *side, cst_err *err) {
    bench_maps *m = side->m;

    for (uint64_t i = 0; i + m->epoch_rows <= m->order_count; i += m->epoch_rows) {
        cst_code code =
            bench_table_put(&m->ours, m->order.base + i * BENCH_KEY_BYTES, m->epoch_rows);

        if (code == CST_OK) code = seal(side, err);
        if (code != CST_OK) return cst_fail(err, code, "updating");
    }
    return CST_OK;
}

static cst_code checkpoint_round(void *context, double *ns_per_op_out, cst_err *err) {
    const checkpoint_side *side = context;
    const uint64_t count = side->m->order_count / side->m->epoch_rows * side->m->epoch_rows;
    uploader *up = side->up;
    pthread_t thread;
    uint64_t from_ns;
    cst_code code;

    if (up) {
        csti_parker_init(&up->parker);
        atomic_store(&up->stop, false);
        atomic_store(&up->published, 0);
        atomic_store(&up->reading, 0);
        if (pthread_create(&thread, NULL, upload_main, up) != 0)
            return cst_fail(err, CST_NO_MEMORY, "a thread");
        // The first delta, so that one is in flight from the start.
        code = seal(side, err);
        if (code != CST_OK) goto stop;
    }
    from_ns = bench_now_ns();
    code = run(side, err);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)count;
stop:
    if (up) {
        atomic_store(&up->stop, true);
        csti_unpark(&up->parker);
        pthread_join(thread, NULL);
        if (code == CST_OK) code = bench_table_seal(&side->m->ours, 0, NULL); // releases the rest
    }
    return code;
}

static cst_code measure(bench_maps *m, uploader *up, const char *reads, cst_err *err) {
    checkpoint_side with = {m, up}, without = {m, NULL};
    const bench_side sides[] = {
        {BENCH_OURS, "constellation", checkpoint_round, &with},
        {BENCH_PEER, "the same, no checkpoint in flight", checkpoint_round, &without},
    };
    bench_params params = {0};
    const bench_what what = {.name = "state.checkpoint", .params = &params};

    bench_params_u64(&params, "entries", m->entries);
    bench_params_u64(&params, "key", BENCH_KEY_BYTES);
    bench_params_u64(&params, "value", BENCH_VALUE_BYTES);
    bench_params_u64(&params, "batch", m->b->batch);
    bench_params_u64(&params, "seal_every", m->epoch_rows);
    bench_params_text(&params, "workload", reads);
    return bench_compare(m->b, &what, sides, 2, err);
}

cst_code bench_checkpoint(bench_maps *m, cst_err *err) {
    static uploader up;
    static uint8_t copy[STEP_BYTES];
    cst_code code;

    if (!bench_wanted(m->b, "state.checkpoint")) return CST_OK;
    up.copy = copy;
    up.again = false;
    code = measure(m, &up, "each delta read once", err);
    up.again = true;
    return code == CST_OK ? measure(m, &up, "always reading a delta", err) : code;
}
