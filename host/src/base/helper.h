// helper.h: one background thread that does what an owner thread must not: fault pages in, map
// memory.
//
//   owner threads                          helper thread
//   csti_helper_wake(&job) -- wanted ----> for each wanted job, in turn: job.prepare(job.context)
//        one exchange, and one futex            then sleep
//        wake if the helper sleeps
//
// A job is embedded in the object it prepares for. prepare() does all the work there is now and
// returns; it is called again after each wake. Jobs take turns, so one that is woken without pause
// does not keep others waiting for more than its own call.
//
// Promises   no wake is lost: what the owner wrote before csti_helper_wake is seen by a call of
//            prepare that starts after it. After csti_helper_unregister returns, prepare is not
//            running and never runs again.
// Thread     wake: any. register, unregister, wait: any but the helper's own (not from prepare).
// Ring       csti_helper_wake: 0 (no allocation, no lock, no fault). 1: the rest.
// Owner      the caller owns the job; it stays in place from register to unregister.
// Errors     CST_NO_MEMORY, CST_IO (no thread): nothing is left behind.
#ifndef CST_BASE_HELPER_H
#define CST_BASE_HELPER_H

#include <constellation/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct csti_helper csti_helper;
typedef struct csti_helper_job csti_helper_job;

struct csti_helper_job {
    void (*prepare)(void *context); // set by the caller before register, as is context
    void *context;
    _Atomic bool wanted;
    csti_helper *helper;             // NULL: not registered
    uint64_t calls_count;            // ended ones; the helper's, under its lock
    csti_helper_job *before, *after; // the helper's, under its lock
};

CST_CHECK_RESULT cst_code csti_helper_open(csti_helper **out, cst_err *err);
// All jobs are unregistered before. NULL is allowed.
void csti_helper_close(csti_helper *helper);

// The job is wanted from the start: its first call needs no wake.
void csti_helper_register(csti_helper *helper, csti_helper_job *job);
// Waits for a call under way. A job that is not registered is left alone.
void csti_helper_unregister(csti_helper_job *job);
void csti_helper_wake(csti_helper_job *job);
// Waits until a call of prepare that started after this one has ended. The job stays registered.
void csti_helper_wait(csti_helper_job *job);

#endif
