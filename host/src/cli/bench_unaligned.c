// bench_unaligned.c: checkpoints while what one reader sends to one partition does not arrive.
//
//   reader 0 ─╥─► partition 0          a channel stands still from a commit on; the next barrier is
//             ╨─✗ partition 1          waited for until `unaligned_after`, the ones behind it are
//             not
//   reader 1 ─╥─► partition 0
//             ╨─► partition 1          rows of reader 1 go on
//
//   unaligned.first    from the time-out to the commit of the checkpoint that had to be given its
//   way unaligned.next     from the begin to the commit of those behind it, channel still at a
//   stand unaligned.rows     rows a second meanwhile, beside the same job with nothing in its way
#include "cli/bench.h"
#include "cli/bench_own_job.h"

#include <inttypes.h>
#include <string.h>

enum {
    PATH_BYTES = BENCH_FOLDER_BYTES + 64,
    PARTITIONS = 2,
    NEXT_COUNT = 5, // checkpoints of a round behind the first
    ROUNDS_MAX = 9,
    KEYS = 1000000,
    FIELDS_BYTES = 256,
    FLIGHTS_MAX = 64, // more are never under way
};
static const uint64_t AFTER_US_MAX = 1000000, AFTER_US_MIN = 20000;

static const char *const job_text =
    "[job]\nname = \"bench\"\npartitions = %d\n"
    "[source]\nkind = \"generator\"\nname = \"uniform\"\nkeys = %" PRIu64 "\nseed = %" PRIu64 "\n"
    "[key]\ncolumns = [\"key\"]\n"
    "[[aggregate]]\nas = \"n\"\nop = \"count\"\n"
    "[state]\nbudget = \"1GiB\"\n"
    "[checkpoint]\nevery = \"%" PRIu64 "us\"\nkeep = 2\nunaligned_after = \"%" PRIu64 "us\"\n";

typedef struct stalls {
    bench *b;
    uint64_t after_us;
    bench_own_job own;
    _Atomic uint64_t rows;
    _Atomic uint64_t begun_ns[FLIGHTS_MAX]; // by id
    _Atomic uint64_t flight_ns;             // of the last one that committed, from its begin
    _Atomic uint64_t first_ns; // of the first one that committed without its barrier; 0: none
    _Atomic uint64_t commits_count;
} stalls;

// Of the rounds.
typedef struct stall_times {
    double first_ms[ROUNDS_MAX], next_ms[ROUNDS_MAX * NEXT_COUNT];
    double free_rate[ROUNDS_MAX], stalled_rate[ROUNDS_MAX];
    size_t rounds_count, next_count;
} stall_times;

static void on_applied(void *context, uint32_t partition, uint32_t rows_count, uint64_t read_ns,
                       uint64_t applied_ns) {
    stalls *s = context;

    (void)partition;
    (void)read_ns;
    (void)applied_ns;
    atomic_fetch_add_explicit(&s->rows, rows_count, memory_order_relaxed);
}

static void on_passed(void *context, csti_job_moment moment, uint64_t number) {
    stalls *s = context;
    uint64_t flight_ns;

    if (moment == CSTI_JOB_BEGAN) atomic_store(&s->begun_ns[number % FLIGHTS_MAX], bench_now_ns());
    if (moment != CSTI_JOB_COMMITTED) return;
    flight_ns = bench_now_ns() - atomic_load(&s->begun_ns[number % FLIGHTS_MAX]);
    atomic_store(&s->flight_ns, flight_ns);
    if (csti_job_is_stalled(s->own.job) && atomic_load(&s->first_ns) == 0)
        atomic_store(&s->first_ns, flight_ns);
    atomic_fetch_add(&s->commits_count, 1);
}

static cst_code job_open(stalls *s, cst_err *err) {
    const csti_job_options options = {
        .observer = {.applied = on_applied, .passed = on_passed, .context = s}};
    const uint64_t keys = s->b->sizes_given ? s->b->sizes[0] : KEYS;
    char folder[PATH_BYTES];
    cst_code code;

    (void)snprintf(folder, sizeof folder, "%s/unaligned", s->b->folder);
    code = bench_own_job_file(&s->own, folder, err, job_text, PARTITIONS, keys, s->b->seed,
                              s->after_us / 2, s->after_us);
    if (code == CST_OK) code = bench_own_job_open(&s->own, &options, err);
    return code == CST_OK ? bench_own_job_start(&s->own, err) : code;
}

typedef struct commits_wanted {
    const stalls *s;
    uint64_t count;
    bool stalled;
} commits_wanted;

static bool commits_are(const void *context) {
    const commits_wanted *wanted = context;

    return atomic_load(&wanted->s->commits_count) >= wanted->count &&
           csti_job_is_stalled(wanted->s->own.job) == wanted->stalled;
}

// Until so many have committed, and checkpoints wait for barriers or do not.
static cst_code commits_wait(stalls *s, uint64_t count, bool stalled, cst_err *err) {
    const commits_wanted wanted = {s, count, stalled};

    return bench_own_job_wait(&s->own, commits_are, &wanted, "it does not commit", err);
}

static double rate_since(const stalls *s, uint64_t from_ns, uint64_t rows_before) {
    const double seconds = (double)(bench_now_ns() - from_ns) / 1e9;

    return seconds > 0 ? (double)(atomic_load(&s->rows) - rows_before) / seconds : 0;
}

// Rows a second from one commit to the one `count` later.
static cst_code commits_measure(stalls *s, uint64_t count, bool stalled, double *rate_out,
                                stall_times *times, cst_err *err) {
    const uint64_t from_ns = bench_now_ns();
    const uint64_t rows_before = atomic_load(&s->rows);
    cst_code code = CST_OK;

    for (uint64_t i = 0; i < count && code == CST_OK; i++) {
        code = commits_wait(s, atomic_load(&s->commits_count) + 1, stalled, err);
        if (times) times->next_ms[times->next_count++] = (double)atomic_load(&s->flight_ns) / 1e6;
    }
    *rate_out = rate_since(s, from_ns, rows_before);
    return code;
}

static cst_code stall_round(stalls *s, stall_times *times, cst_err *err) {
    const size_t r = times->rounds_count;
    cst_code code = commits_wait(s, atomic_load(&s->commits_count) + 1, false, err);

    if (code == CST_OK)
        code = commits_measure(s, NEXT_COUNT, false, &times->free_rate[r], NULL, err);
    if (code != CST_OK) return code;
    atomic_store(&s->first_ns, 0);
    csti_job_stall_channel(s->own.job, 0, 1, true);
    code = commits_wait(s, 0, true, err); // the time-out: a barrier was given up
    if (code == CST_OK) code = commits_wait(s, atomic_load(&s->commits_count) + 1, true, err);
    times->first_ms[r] = ((double)atomic_load(&s->first_ns) / 1e3 - (double)s->after_us) / 1e3;
    if (code == CST_OK)
        code = commits_measure(s, NEXT_COUNT, true, &times->stalled_rate[r], times, err);
    if (code == CST_OK) csti_job_stall_channel(s->own.job, 0, 1, false);
    times->rounds_count++;
    return code;
}

static void spread_print(bench *b, const char *name, const bench_params *params, double *values,
                         size_t count, const char *unit) {
    char fields[FIELDS_BYTES];
    const double median = bench_median(values, count); // sorts

    (void)snprintf(fields, sizeof fields, "\"%s\":%.3f,\"min\":%.3f,\"max\":%.3f,\"count\":%zu",
                   unit, median, values[0], values[count - 1], count);
    bench_numbers(b, name, params, "constellation", fields);
}

static void times_print(bench *b, const bench_params *params, stall_times *times) {
    bench_params more = *params;

    spread_print(b, "unaligned.first", params, times->first_ms, times->rounds_count,
                 "ms_behind_timeout");
    spread_print(b, "unaligned.next", params, times->next_ms, times->next_count, "ms");
    bench_params_text(&more, "channel", "stalled");
    spread_print(b, "unaligned.rows", &more, times->stalled_rate, times->rounds_count,
                 "rows_per_s");
    more = *params;
    bench_params_text(&more, "channel", "free");
    spread_print(b, "unaligned.rows", &more, times->free_rate, times->rounds_count, "rows_per_s");
}

static uint64_t after_us_of(const bench *b) {
    const double us = b->seconds * 1e6;

    if (us < (double)AFTER_US_MIN) return AFTER_US_MIN;
    return us < (double)AFTER_US_MAX ? (uint64_t)us : AFTER_US_MAX;
}

cst_code bench_unaligned(bench *b, cst_err *err) {
    stalls s = {.b = b, .after_us = after_us_of(b)};
    stall_times times = {.rounds_count = 0};
    const uint32_t rounds = b->rounds < ROUNDS_MAX ? b->rounds : (uint32_t)ROUNDS_MAX;
    bench_params params = {.used = 0};
    cst_code code;

    bench_params_u64(&params, "unaligned_after_ms", s.after_us / 1000);
    code = job_open(&s, err);
    while (code == CST_OK && times.rounds_count < rounds) code = stall_round(&s, &times, err);
    bench_own_job_end(&s.own);
    if (code != CST_OK) return cst_fail_at(err, code, "bench unaligned");
    times_print(b, &params, &times);
    return CST_OK;
}
