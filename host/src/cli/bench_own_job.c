#include "cli/bench_own_job.h"

#include "cli/bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 512 };

#define NAP_NS UINT64_C(1000000)
#define WAIT_NS_MAX UINT64_C(120000000000)

cst_code bench_own_job_file(bench_own_job *self, const char *folder, cst_err *err,
                            const char *format, ...) {
    char path[PATH_BYTES];
    va_list values;
    FILE *file;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return cst_fail(err, CST_IO, "folder %s: %s", folder, strerror(errno));
    (void)snprintf(path, sizeof path, "%s/job.toml", folder);
    file = fopen(path, "w");
    if (!file) return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    va_start(values, format);
    (void)vfprintf(file, format, values);
    va_end(values);
    if (fclose(file) != 0) return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    return csti_config_read(path, NULL, &self->config, err);
}

// Without a report the job's metrics stay as they are.
static void on_progress(void *context, const csti_job_progress *progress) {
    (void)context;
    (void)progress;
}

cst_code bench_own_job_open(bench_own_job *self, const csti_job_options *options, cst_err *err) {
    csti_job_options mine = *options;

    csti_parker_init(&self->waiter);
    if (!mine.progress) mine.progress = on_progress;
    return csti_job_open(&self->config, &mine, &self->job, err);
}

static void *job_main(void *context) {
    bench_own_job *self = context;
    csti_job_result result;

    self->code = csti_job_run(self->job, &result, &self->err);
    atomic_store(&self->ended, true);
    return NULL;
}

cst_code bench_own_job_start(bench_own_job *self, cst_err *err) {
    const int failed = pthread_create(&self->thread, NULL, job_main, self);

    if (failed) return cst_fail(err, CST_IO, "the job's thread: %s", strerror(failed));
    self->started = true;
    return CST_OK;
}

void bench_own_job_end(bench_own_job *self) {
    if (self->started) {
        // The second one says: at once.
        csti_job_stop(self->job);
        csti_job_stop(self->job);
        (void)pthread_join(self->thread, NULL);
    }
    csti_job_close(self->job);
    csti_config_close(&self->config);
    self->started = false;
    self->job = NULL;
}

cst_code bench_own_job_look(const bench_own_job *self, cst_err *err) {
    if (!atomic_load(&self->ended)) return CST_OK;
    if (self->code == CST_OK) return cst_fail(err, CST_INTERNAL, "the job ended by itself");
    *err = self->err;
    return self->code;
}

cst_code bench_own_job_wait(bench_own_job *self, bool (*is)(const void *context),
                            const void *context, const char *what, cst_err *err) {
    const uint64_t deadline_ns = bench_now_ns() + WAIT_NS_MAX;

    while (!is(context)) {
        const cst_code code = bench_own_job_look(self, err);

        if (code != CST_OK) return code;
        if (bench_now_ns() > deadline_ns)
            return cst_fail(err, CST_DEADLINE, "the job: %s, for %.0f s", what, WAIT_NS_MAX / 1e9);
        (void)csti_park_until(&self->waiter, bench_now_ns() + NAP_NS);
    }
    return CST_OK;
}

uint64_t bench_own_job_counter(const bench_own_job *self, const char *name, const char *labels) {
    csti_metric *metric = NULL;

    if (csti_metrics_register(csti_job_metrics(self->job), CSTI_METRIC_COUNTER, name, "", labels,
                              &metric, NULL) != CST_OK)
        return 0;
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}
