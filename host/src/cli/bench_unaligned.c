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
#include "base/park.h"
#include "cli/bench.h"
#include "server/job.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

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
static const uint64_t NAP_NS = 1000000;
static const uint64_t WAIT_NS_MAX = UINT64_C(120) * 1000 * 1000 * 1000;

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
    char folder[PATH_BYTES];
    csti_job_config config;
    csti_job *job;
    pthread_t thread;
    bool started;
    csti_parker waiter; // nobody wakes it
    cst_code code;
    cst_err err;
    _Atomic bool ended;
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
    if (csti_job_is_stalled(s->job) && atomic_load(&s->first_ns) == 0)
        atomic_store(&s->first_ns, flight_ns);
    atomic_fetch_add(&s->commits_count, 1);
}

static void *job_main(void *context) {
    stalls *s = context;
    csti_job_result result;

    s->code = csti_job_run(s->job, &result, &s->err);
    atomic_store(&s->ended, true);
    return NULL;
}

static cst_code file_write(const stalls *s, const char *path, cst_err *err) {
    const uint64_t keys = s->b->sizes_given ? s->b->sizes[0] : KEYS;
    FILE *file;

    if (mkdir(s->folder, 0700) != 0 && errno != EEXIST)
        return cst_fail(err, CST_IO, "folder %s: %s", s->folder, strerror(errno));
    file = fopen(path, "w");
    if (!file) return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    (void)fprintf(file, job_text, PARTITIONS, keys, s->b->seed, s->after_us / 2, s->after_us);
    return fclose(file) == 0 ? CST_OK : cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
}

static cst_code job_open(stalls *s, cst_err *err) {
    const csti_job_options options = {
        .observer = {.applied = on_applied, .passed = on_passed, .context = s}};
    char path[PATH_BYTES + 16];
    cst_code code;
    int failed;

    (void)snprintf(s->folder, sizeof s->folder, "%s/unaligned", s->b->folder);
    (void)snprintf(path, sizeof path, "%s/job.toml", s->folder);
    code = file_write(s, path, err);
    if (code == CST_OK) code = csti_config_read(path, NULL, &s->config, err);
    if (code == CST_OK) code = csti_job_open(&s->config, &options, &s->job, err);
    if (code != CST_OK) return code;
    failed = pthread_create(&s->thread, NULL, job_main, s);
    if (failed) return cst_fail(err, CST_IO, "the job's thread: %s", strerror(failed));
    s->started = true;
    return CST_OK;
}

static void job_close(stalls *s) {
    if (s->started) {
        csti_job_stop(s->job);
        csti_job_stop(s->job);
        (void)pthread_join(s->thread, NULL);
    }
    csti_job_close(s->job);
    csti_config_close(&s->config);
}

// Until so many have committed, and checkpoints wait for barriers or do not.
static cst_code commits_wait(stalls *s, uint64_t count, bool stalled, cst_err *err) {
    const uint64_t deadline_ns = bench_now_ns() + WAIT_NS_MAX;

    while (atomic_load(&s->commits_count) < count || csti_job_is_stalled(s->job) != stalled) {
        if (atomic_load(&s->ended)) {
            *err = s->err;
            return s->code == CST_OK ? cst_fail(err, CST_INTERNAL, "the job ended") : s->code;
        }
        if (bench_now_ns() > deadline_ns)
            return cst_fail(err, CST_DEADLINE, "the job does not commit");
        (void)csti_park_until(&s->waiter, bench_now_ns() + NAP_NS);
    }
    return CST_OK;
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
    csti_job_stall_channel(s->job, 0, 1, true);
    code = commits_wait(s, 0, true, err); // the time-out: a barrier was given up
    if (code == CST_OK) code = commits_wait(s, atomic_load(&s->commits_count) + 1, true, err);
    times->first_ms[r] = ((double)atomic_load(&s->first_ns) / 1e3 - (double)s->after_us) / 1e3;
    if (code == CST_OK)
        code = commits_measure(s, NEXT_COUNT, true, &times->stalled_rate[r], times, err);
    if (code == CST_OK) csti_job_stall_channel(s->job, 0, 1, false);
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

    csti_parker_init(&s.waiter);
    bench_params_u64(&params, "unaligned_after_ms", s.after_us / 1000);
    code = job_open(&s, err);
    while (code == CST_OK && times.rounds_count < rounds) code = stall_round(&s, &times, err);
    job_close(&s);
    if (code != CST_OK) return cst_fail_at(err, code, "bench unaligned");
    times_print(b, &params, &times);
    return CST_OK;
}
