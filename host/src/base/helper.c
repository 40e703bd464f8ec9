#define _GNU_SOURCE 1 // pthread_setname_np
#include "base/helper.h"

#include "base/park.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct csti_helper {
    pthread_t thread;
    csti_parker parker;
    pthread_mutex_t lock; // guards what follows, and never held while prepare runs
    pthread_cond_t call_ended;
    csti_helper_job jobs;     // a ring's fixed point: after is the next in turn
    csti_helper_job *running; // NULL between calls
    bool stop;
};

static void unlink_job(csti_helper_job *job) {
    job->before->after = job->after;
    job->after->before = job->before;
}

static void link_last(csti_helper *helper, csti_helper_job *job) {
    job->after = &helper->jobs;
    job->before = helper->jobs.before;
    job->before->after = job;
    helper->jobs.before = job;
}

// The first wanted job, moved to the end of the line and marked as running; NULL: none.
static csti_helper_job *start_next(csti_helper *helper) {
    for (csti_helper_job *job = helper->jobs.after; job != &helper->jobs; job = job->after) {
        // Relaxed, so that a look at many idle jobs takes no line from its owner: a wake that this
        // load misses has put a token into the parker, and the next look sees it.
        if (!atomic_load_explicit(&job->wanted, memory_order_relaxed)) continue;
        // Acquire pairs with the exchange in csti_helper_wake: prepare sees what came before it.
        if (!atomic_exchange_explicit(&job->wanted, false, memory_order_acq_rel)) continue;
        unlink_job(job);
        link_last(helper, job);
        helper->running = job;
        return job;
    }
    return NULL;
}

static void *helper_thread(void *context) {
    csti_helper *helper = context;

    (void)pthread_mutex_lock(&helper->lock);
    while (!helper->stop) {
        csti_helper_job *job = start_next(helper);

        (void)pthread_mutex_unlock(&helper->lock);
        if (job)
            job->prepare(job->context);
        else
            csti_park(&helper->parker);
        (void)pthread_mutex_lock(&helper->lock);
        if (job) {
            helper->running = NULL;
            job->calls_count++;
            (void)pthread_cond_broadcast(&helper->call_ended);
        }
    }
    (void)pthread_mutex_unlock(&helper->lock);
    return NULL;
}

// Signals are for the program's own threads: all are blocked in the helper.
static int start_thread(csti_helper *helper) {
    sigset_t all, before;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&helper->thread, NULL, helper_thread, helper);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) (void)pthread_setname_np(helper->thread, "cst-helper");
    return error;
}

cst_code csti_helper_open(csti_helper **out, cst_err *err) {
    csti_helper *helper = calloc(1, sizeof *helper);
    int error;

    if (!helper) return cst_fail(err, CST_NO_MEMORY, "helper thread");
    csti_parker_init(&helper->parker);
    helper->jobs.before = &helper->jobs;
    helper->jobs.after = &helper->jobs;
    (void)pthread_mutex_init(&helper->lock, NULL); // neither fails on Linux
    (void)pthread_cond_init(&helper->call_ended, NULL);
    error = start_thread(helper);
    if (error != 0) {
        (void)pthread_cond_destroy(&helper->call_ended);
        (void)pthread_mutex_destroy(&helper->lock);
        free(helper);
        return cst_fail(err, CST_IO, "helper thread: %s", strerror(error));
    }
    *out = helper;
    return CST_OK;
}

void csti_helper_close(csti_helper *helper) {
    if (!helper) return;
    (void)pthread_mutex_lock(&helper->lock);
    assert(helper->jobs.after == &helper->jobs);
    helper->stop = true;
    (void)pthread_mutex_unlock(&helper->lock);
    csti_unpark(&helper->parker);
    (void)pthread_join(helper->thread, NULL);
    (void)pthread_cond_destroy(&helper->call_ended);
    (void)pthread_mutex_destroy(&helper->lock);
    free(helper);
}

void csti_helper_register(csti_helper *helper, csti_helper_job *job) {
    assert(job->prepare);
    job->helper = helper;
    atomic_init(&job->wanted, true);
    job->calls_count = 0;
    (void)pthread_mutex_lock(&helper->lock);
    link_last(helper, job);
    (void)pthread_mutex_unlock(&helper->lock);
    csti_unpark(&helper->parker);
}

void csti_helper_unregister(csti_helper_job *job) {
    csti_helper *helper = job->helper;

    if (!helper) return;
    assert(!pthread_equal(pthread_self(), helper->thread));
    (void)pthread_mutex_lock(&helper->lock);
    unlink_job(job);
    while (helper->running == job) (void)pthread_cond_wait(&helper->call_ended, &helper->lock);
    (void)pthread_mutex_unlock(&helper->lock);
    job->helper = NULL;
}

void csti_helper_wake(csti_helper_job *job) {
    // An exchange even where `wanted` is set already: a plain load could see the value that the
    // helper is just taking away, and this wake would be lost. Pairs with start_next.
    if (!atomic_exchange_explicit(&job->wanted, true, memory_order_acq_rel))
        csti_unpark(&job->helper->parker);
}

void csti_helper_wait(csti_helper_job *job) {
    csti_helper *helper = job->helper;
    uint64_t calls_count;

    assert(!pthread_equal(pthread_self(), helper->thread));
    (void)pthread_mutex_lock(&helper->lock);
    // A call under way started before this one: it does not count.
    calls_count = job->calls_count + (helper->running == job ? 2 : 1);
    csti_helper_wake(job);
    while (job->calls_count < calls_count)
        (void)pthread_cond_wait(&helper->call_ended, &helper->lock);
    (void)pthread_mutex_unlock(&helper->lock);
}
