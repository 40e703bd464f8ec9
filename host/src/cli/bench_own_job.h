// bench_own_job.h: a job in this process, on a thread of its own, that a benchmark waits for.
//
//   file: its folder, job.toml, config ─► open ─► start ─► wait ─► ... ─► end
//
// Thread     one, besides the job's.
// Ring       2.
// Owner      the job's files stay. A zeroed one may be ended.
// Errors     of the job: then it has ended.
#ifndef CST_CLI_BENCH_OWN_JOB_H
#define CST_CLI_BENCH_OWN_JOB_H

#include "base/park.h"
#include "server/job.h"

#include <pthread.h>

typedef struct bench_own_job {
    csti_job_config config;
    csti_job *job;
    pthread_t thread;
    bool started;
    cst_code code; // of the job, once it has ended
    cst_err err;
    _Atomic bool ended;
    csti_parker waiter; // nobody wakes it
} bench_own_job;

// Makes the folder, writes the job's file into it and reads that.
CST_CHECK_RESULT cst_code bench_own_job_file(bench_own_job *self, const char *folder, cst_err *err,
                                             const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// Without a `progress` nobody is told; metrics are kept all the same, as old as progress_us says.
CST_CHECK_RESULT cst_code bench_own_job_open(bench_own_job *self, const csti_job_options *options,
                                             cst_err *err);
CST_CHECK_RESULT cst_code bench_own_job_start(bench_own_job *self, cst_err *err);
// At once: nothing is waited for, no last checkpoint.
void bench_own_job_end(bench_own_job *self);
// Why the job has ended, if it has.
CST_CHECK_RESULT cst_code bench_own_job_look(const bench_own_job *self, cst_err *err);
// Until `is` says so. DEADLINE, with `what`, after two minutes.
CST_CHECK_RESULT cst_code bench_own_job_wait(bench_own_job *self, bool (*is)(const void *context),
                                             const void *context, const char *what, cst_err *err);
// A counter of the job, with labels or ""; 0: it has none of that name.
uint64_t bench_own_job_counter(const bench_own_job *self, const char *name, const char *labels);

#endif
