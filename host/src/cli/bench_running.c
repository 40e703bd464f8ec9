#include "cli/bench_running.h"

#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATH_BYTES = 128,
    BUDGET_MIB_MIN = 1024,
    ENTRIES_A_MIB = 1000, // a slot, and records of three epochs
    EVERY_SHARE = 4,      // a turn that is shorter than seconds sees about so many checkpoints
    PROGRESS_US = 20000,  // how old metrics may be
};

#define EVERY_US_MIN UINT64_C(10000) // of a job file
#define EVERY_US_MAX UINT64_C(1000000)
#define NAP_NS UINT64_C(1000000)

uint64_t bench_running_every_us(const bench *b) {
    const double every_us = b->seconds * 1e6 / EVERY_SHARE;

    if (every_us < (double)EVERY_US_MIN) return EVERY_US_MIN;
    return every_us < (double)EVERY_US_MAX ? (uint64_t)every_us : EVERY_US_MAX;
}

// ---- Its files ----------------------------------------------------------------------------------

static const char *const job_text =
    "[job]\nname = \"bench\"\npartitions = %u\n"
    "[source]\nkind = \"generator\"\nname = \"%s\"\nkeys = %" PRIu64 "\nseed = %" PRIu64 "\n%s"
    "[key]\ncolumns = [\"key\"]\n"
    "[[aggregate]]\nas = \"n\"\nop = \"count\"\n"
    "[[aggregate]]\nas = \"sum\"\nop = \"sum\"\ncolumn = \"value\"\n"
    "[[aggregate]]\nas = \"least\"\nop = \"min\"\ncolumn = \"value\"\n"
    "[[aggregate]]\nas = \"most\"\nop = \"max\"\ncolumn = \"value\"\n"
    "[[aggregate]]\nas = \"newest\"\nop = \"%s\"\ncolumn = \"value\"\n"
    "[sink]\n%s\n%s"
    "[state]\nbudget = \"%" PRIu64 "MiB\"\n"
    "[device]\nbatch_rows = %d\n"
    "[checkpoint]\nevery = \"%" PRIu64 "us\"\nkeep = 2\n%s%s%s";

static void folder_path(const bench_running *r, char path[PATH_BYTES]) {
    (void)snprintf(path, PATH_BYTES, "%s/%s", r->b->folder, r->name);
}

static void files_remove(const bench_running *r) {
    char folder[PATH_BYTES];
    char *const paths[] = {folder, NULL};
    FTS *walk;

    folder_path(r, folder);
    walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!walk) return;
    for (FTSENT *entry = fts_read(walk); entry; entry = fts_read(walk)) {
        if (entry->fts_info == FTS_DP)
            (void)rmdir(entry->fts_accpath);
        else if (entry->fts_info != FTS_D)
            (void)unlink(entry->fts_accpath);
    }
    (void)fts_close(walk);
}

static cst_code config_read(bench_running *r, const bench_running_options *options, cst_err *err) {
    const bench *b = r->b;
    const bool zipf = strcmp(options->workload, "zipf") == 0;
    char folder[PATH_BYTES], skew[80] = "", windows[64] = "";
    csti_job_config *config = &r->own.config;
    cst_code code;

    folder_path(r, folder);
    if (zipf) (void)snprintf(skew, sizeof skew, "skew = %.6f\n", b->skew);
    if (options->tumbling_us || options->session_us) {
        (void)snprintf(skew + strlen(skew), sizeof skew - strlen(skew), "event_time = \"at\"\n");
        (void)snprintf(windows, sizeof windows, "[window]\n%s = \"%" PRIu64 "us\"\n",
                       options->tumbling_us ? "tumbling" : "session",
                       options->tumbling_us ? options->tumbling_us : options->session_us);
    }
    code = bench_own_job_file(&r->own, folder, err, job_text, b->partitions, options->workload,
                              options->entries, b->seed, skew,
                              options->session_us ? "max" : "last", // sessions have none
                              options->sink == CSTI_SINK_FILE ? "kind = \"file\"\npath = \"out\""
                                                              : "kind = \"none\"",
                              windows, BUDGET_MIB_MIN + options->entries / ENTRIES_A_MIB,
                              BENCH_BATCH_ROWS, bench_running_every_us(b),
                              options->store ? "store = \"" : "",
                              options->store ? options->store : "", options->store ? "\"\n" : "");
    if (code != CST_OK) return code;
    // No job file would name a column twice; here it makes a key of 16 bytes out of the workload's.
    config->keys[1] = config->keys[0];
    config->keys[1].descending = true;
    config->keys_count = 2;
    return CST_OK;
}

// ---- What the job tells -------------------------------------------------------------------------

static void on_applied(void *context, uint32_t partition, uint32_t rows_count, uint64_t read_ns,
                       uint64_t applied_ns) {
    bench_running *r = context;
    bench_running_part *part = &r->parts[partition];
    const bool in_flight = atomic_load_explicit(&r->in_flight, memory_order_relaxed);

    part->turn_rows[in_flight] += rows_count;
    histogram_add(&part->latency_ns[in_flight], applied_ns > read_ns ? applied_ns - read_ns : 0);
    // Release pairs with the acquire in rows_applied: who has seen all rows may read the rest.
    atomic_store_explicit(&part->rows,
                          atomic_load_explicit(&part->rows, memory_order_relaxed) + rows_count,
                          memory_order_release);
}

static void flight_begin(bench_running *r, uint64_t id) {
    if (id <= r->ended_id) return;
    if (r->begun_id <= r->ended_id) r->flight_from_ns = bench_now_ns();
    r->begun_id = id;
    atomic_store_explicit(&r->in_flight, true, memory_order_relaxed);
}

static void flight_end(bench_running *r, uint64_t id) {
    r->ended_id = id;
    if (r->begun_id > id) return;
    r->flight_ns += bench_now_ns() - r->flight_from_ns;
    atomic_store_explicit(&r->in_flight, false, memory_order_relaxed);
}

static void on_passed(void *context, csti_job_moment moment, uint64_t number) {
    bench_running *r = context;

    (void)pthread_mutex_lock(&r->flight_lock);
    if (moment == CSTI_JOB_BEGAN) flight_begin(r, number);
    if (moment == CSTI_JOB_COMMITTED) flight_end(r, number);
    (void)pthread_mutex_unlock(&r->flight_lock);
    if (moment == CSTI_JOB_COMMITTED) atomic_fetch_add(&r->checkpoints, 1);
    if (moment == CSTI_JOB_FOLDED) atomic_fetch_add(&r->folds, 1);
}

static uint64_t rows_applied(const bench_running *r) {
    uint64_t rows = 0;

    for (uint32_t p = 0; p < r->b->partitions; p++)
        rows += atomic_load_explicit(&r->parts[p].rows, memory_order_acquire);
    return rows;
}

// Up to now, with what is in flight still: between two looks no more than the time between them.
static uint64_t flight_ns(bench_running *r) {
    uint64_t ns;

    (void)pthread_mutex_lock(&r->flight_lock);
    ns = r->flight_ns;
    if (r->begun_id > r->ended_id) ns += bench_now_ns() - r->flight_from_ns;
    (void)pthread_mutex_unlock(&r->flight_lock);
    return ns;
}

// ---- Waiting ------------------------------------------------------------------------------------

typedef bool (*wanted)(const bench_running *r, uint64_t number);

typedef struct waited {
    const bench_running *r;
    wanted is;
    uint64_t number;
} waited;

static bool rows_are(const bench_running *r, uint64_t rows) {
    return rows_applied(r) >= rows;
}

static bool checkpoints_are(const bench_running *r, uint64_t count) {
    return atomic_load(&r->checkpoints) >= count;
}

static bool is_settled(const bench_running *r, uint64_t unused) {
    (void)unused;
    return csti_job_is_settled(r->own.job);
}

static bool is_there(const void *context) {
    const waited *what = context;

    return what->is(what->r, what->number);
}

static cst_code wait_for(bench_running *r, wanted is, uint64_t number, const char *what,
                         cst_err *err) {
    const waited wanted_now = {r, is, number};

    return bench_own_job_wait(&r->own, is_there, &wanted_now, what, err);
}

static void rows_let(bench_running *r, bench_feed_kind kind, int64_t count) {
    atomic_store_explicit(&r->feed.kind, kind, memory_order_relaxed);
    // Release pairs with the acquire of the readers.
    atomic_store_explicit(&r->feed.left, count, memory_order_release);
}

// No more rows; returns when those that went are applied. What a reader gives back it takes again.
static cst_code rows_end(bench_running *r, cst_err *err) {
    const int64_t left = atomic_exchange(&r->feed.left, 0);

    r->rows_fed += (uint64_t)(BENCH_FEED_ENDLESS - left);
    return wait_for(r, rows_are, r->rows_fed, "rows that were read are not applied", err);
}

// ---- Open ---------------------------------------------------------------------------------------

static cst_code job_start(bench_running *r, cst_err *err) {
    const csti_job_options options = {
        .source_open = bench_feed_open,
        .source_context = &r->feed,
        .observer = {.applied = on_applied, .passed = on_passed, .context = r},
        .progress_us = PROGRESS_US,
    };
    const cst_code code = bench_own_job_open(&r->own, &options, err);

    if (code != CST_OK) return code;
    csti_job_hold_checkpoints(r->own.job, true);
    return bench_own_job_start(&r->own, err);
}

cst_code bench_running_open(bench_running *r, const bench *b, const bench_running_options *options,
                            cst_err *err) {
    cst_code code;

    memset(r, 0, sizeof *r);
    r->b = b;
    r->name = options->name ? options->name : "job";
    r->feed.rows = options->rows;
    r->feed.slide_keys = options->window ? options->entries : 0;
    r->feed.times = options->tumbling_us > 0 || options->session_us > 0;
    r->window = options->window;
    (void)pthread_mutex_init(&r->flight_lock, NULL); // cannot fail without attributes
    code = config_read(r, options, err);
    if (code == CST_OK) code = job_start(r, err);
    if (code == CST_OK) {
        rows_let(r, BENCH_FEED_KEYS, (int64_t)options->entries);
        r->rows_fed = options->entries;
        code = wait_for(r, rows_are, r->rows_fed, "it is not filled", err);
    }
    if (code == CST_OK) code = bench_running_settle(r, err);
    if (code != CST_OK) {
        bench_running_close(r);
        return cst_fail_at(err, code, "job %s", options->workload);
    }
    return CST_OK;
}

void bench_running_close(bench_running *r) {
    if (!r->b) return;
    bench_own_job_end(&r->own);
    (void)pthread_mutex_destroy(&r->flight_lock);
    files_remove(r);
    r->b = NULL;
}

// ---- Turns --------------------------------------------------------------------------------------

cst_code bench_running_settle(bench_running *r, cst_err *err) {
    const uint64_t checkpoints = atomic_load(&r->checkpoints);
    cst_code code;

    csti_job_hold_checkpoints(r->own.job, false);
    code = wait_for(r, checkpoints_are, checkpoints + 1, "no checkpoint commits", err);
    csti_job_hold_checkpoints(r->own.job, true);
    if (code == CST_OK) code = wait_for(r, is_settled, 0, "checkpoints do not end", err);
    return code;
}

static void parts_clear(bench_running *r) {
    for (uint32_t p = 0; p < r->b->partitions; p++) {
        memset(r->parts[p].turn_rows, 0, sizeof r->parts[p].turn_rows);
        memset(r->parts[p].latency_ns, 0, sizeof r->parts[p].latency_ns);
    }
}

static void parts_add(const bench_running *r, bench_turns *turns) {
    for (uint32_t p = 0; p < r->b->partitions; p++)
        for (int f = 0; f < 2; f++) {
            turns->rows[f] += r->parts[p].turn_rows[f];
            histogram_merge(&turns->latency_ns[f], &r->parts[p].latency_ns[f]);
        }
}

// Until the turn's time is over; keys slide by a window every `every_us`.
static cst_code turn_wait(bench_running *r, uint64_t from_ns, cst_err *err) {
    const double keys_a_ns = (double)r->window / (double)bench_running_every_us(r->b) / 1e3;
    const uint64_t to_ns = from_ns + (uint64_t)(r->b->seconds * 1e9);
    const uint64_t first = atomic_load(&r->feed.first);

    for (uint64_t now_ns = from_ns; now_ns < to_ns; now_ns = bench_now_ns()) {
        atomic_store_explicit(&r->feed.first,
                              first + (uint64_t)((double)(now_ns - from_ns) * keys_a_ns),
                              memory_order_relaxed);
        if (atomic_load(&r->own.ended)) break;
        (void)csti_park_until(&r->own.waiter, now_ns + NAP_NS < to_ns ? now_ns + NAP_NS : to_ns);
    }
    return bench_own_job_look(&r->own, err);
}

cst_code bench_running_turn(bench_running *r, bool checkpoints, bench_turns *turns,
                            double *ns_per_row_out, cst_err *err) {
    const uint64_t checkpoints_before = atomic_load(&r->checkpoints);
    const uint64_t folds_before = atomic_load(&r->folds);
    const uint64_t rows_before = rows_applied(r);
    const uint64_t from_ns = bench_now_ns();
    const uint64_t flight_before_ns = flight_ns(r);
    uint64_t cpu_ns = bench_cpu_ns();
    uint64_t ns, rows, in_flight_ns;
    cst_code code;

    parts_clear(r);
    csti_job_hold_checkpoints(r->own.job, !checkpoints);
    rows_let(r, r->feed.rows ? BENCH_FEED_ROWS : BENCH_FEED_GENERATOR, BENCH_FEED_ENDLESS);
    code = turn_wait(r, from_ns, err);
    // A machine that is busy with others may give the job no time in a short turn.
    if (code == CST_OK) code = wait_for(r, rows_are, rows_before + 1, "no row is applied", err);
    csti_job_hold_checkpoints(r->own.job, true);
    if (code == CST_OK) code = wait_for(r, is_settled, 0, "checkpoints do not end", err);
    in_flight_ns = flight_ns(r) - flight_before_ns;
    ns = bench_now_ns() - from_ns;
    cpu_ns = bench_cpu_ns() - cpu_ns;
    rows = rows_applied(r) - rows_before;
    if (code == CST_OK) code = rows_end(r, err);
    if (code != CST_OK) return code;
    *ns_per_row_out = (double)ns / (double)rows;
    if (!turns) return CST_OK;
    parts_add(r, turns);
    turns->cpu_ns += cpu_ns;
    turns->ns[1] += in_flight_ns;
    turns->ns[0] += ns - in_flight_ns;
    turns->checkpoints += atomic_load(&r->checkpoints) - checkpoints_before;
    turns->folds += atomic_load(&r->folds) - folds_before;
    return CST_OK;
}

cst_code bench_running_round(void *context, double *ns_per_row_out, cst_err *err) {
    bench_running_side *side = context;
    const cst_code code = bench_running_turn(side->running, true, side->warm ? side->turns : NULL,
                                             ns_per_row_out, err);

    side->warm = true;
    return code;
}
