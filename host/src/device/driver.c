#include "device/backend.h"

#include <constellation/driver.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CURE_STEPS_MAX = 1 << 20, // a GROW copies 1,024 of at most 2^23 directory rows
    WAIT_TURNS_MAX = 1 << 16,
};

// What is left of a command, and what its stopped runs have counted so far.
typedef struct driver_work {
    cst_command command;
    uint64_t ticket;
    bool sent;
    bool done; // a fixup that ran behind a stop; its turn to be handed over comes
    cst_completion completion;
    uint64_t count;
    uint64_t position;
    uint32_t buckets_done;
} driver_work;

typedef enum driver_state {
    DRIVER_RUNNING,
    DRIVER_DRAINING, // a stop was polled; what was in flight behind it comes back aborted
    DRIVER_HALTED,   // the caller must say what becomes of the first command
    DRIVER_LOST,
} driver_state;

//   work   [ first ........ unsent ........ first + count )     a ring of `depth`
//            in flight      not yet, or again
struct cst_driver {
    cst_queue *queue;
    uint32_t depth;
    driver_state state;
    cst_completion stop; // why, while draining and halted
    uint64_t ticket;
    driver_work *work;
    uint32_t first, count;
    uint32_t drained;      // of the work: behind which the next completion is, while draining
    cst_completion *ready; // of fixups on a halted driver, to be handed over first
    uint32_t ready_count;
};

// ---- What a stop asks for -----------------------------------------------------------------------

// One command on a queue with nothing in flight, to its completion.
static cst_code run_alone(cst_queue *queue, const cst_command *command, cst_completion *out,
                          cst_err *err) {
    cst_code code = cst_queue_submit(queue, command, NULL, err);
    char why[48];

    if (code != CST_OK) return code;
    // A device may take back what the wait saw, so one look is not enough.
    for (int turn = 0; turn < WAIT_TURNS_MAX; turn++) {
        if (cst_queue_wait(queue, queue->timeout_us) != CST_OK) break;
        if (cst_queue_poll(queue, out, 1) == 1) return CST_OK;
    }
    (void)snprintf(why, sizeof why, "no completion within %.3g s", (double)queue->timeout_us / 1e6);
    return cst_queue_give_up(queue, why, err);
}

// Makes the room that the stopped row wants. CST_OK: it may be tried again.
static cst_code stop_cure(cst_queue *queue, cst_device_table *table, const cst_completion *stop,
                          cst_err *err) {
    const cst_command grow = {.ops = CST_OP_GROW,
                              .fixup = true,
                              .table = table,
                              .grow_hash = stop->hash};

    if (stop->code == CST_TABLE_NOT_READY) return cst_device_table_prepare(table, err);
    if (stop->code != CST_TABLE_FULL) return stop->code;
    for (int step = 0; step < CURE_STEPS_MAX; step++) {
        cst_completion done = {0};
        cst_code code = run_alone(queue, &grow, &done, err);

        if (code != CST_OK) return code;
        if (done.code == CST_OK) return CST_OK;
        if (done.code == CST_TABLE_NOT_READY)
            code = cst_device_table_prepare(table, err);
        else if (done.code == CST_DEVICE_LOST)
            code = cst_queue_lost(queue, err);
        else if (done.code != CST_AGAIN)
            code = done.code;
        if (code != CST_OK) return code;
    }
    return cst_fail(err, CST_INTERNAL, "a segment does not grow");
}

// Moves the command on to what `stop` left, and keeps its counts. False: nothing is left.
static bool work_advance(driver_work *work, const cst_completion *stop, uint32_t skipped_count) {
    cst_command *command = &work->command;

    work->count += stop->count;
    switch (command->ops) {
    case CST_OP_EXPIRE:
        command->expire_bucket = stop->position;
        command->expire_buckets_count -= stop->rows_done;
        work->buckets_done += stop->rows_done;
        return true;
    case CST_OP_RESTORE:
        if (skipped_count) return false; // a record is no row to be dropped
        command->restore += stop->position;
        command->restore_bytes -= stop->position;
        work->position += stop->position;
        return true;
    default:
        break;
    }
    if (!(command->ops & CST_OP_APPLY)) return false;
    command->rows.first_row = stop->rows_done + skipped_count;
    return command->rows.first_row < command->rows.rows_count || !skipped_count;
}

static void completion_fill(const driver_work *work, cst_completion *out) {
    out->ticket = work->ticket;
    out->tag = work->command.tag;
    out->count += work->count;
    if (work->command.ops == CST_OP_RESTORE) out->position += work->position;
    if (work->command.ops == CST_OP_EXPIRE) out->rows_done += work->buckets_done;
}

cst_code cst_device_run(cst_queue *queue, const cst_command *command, cst_completion *out,
                        cst_err *err) {
    driver_work work = {.command = *command};
    cst_code code;

    if (cst_queue_in_flight(queue) > 0 || queue->stop_seen)
        return cst_fail(err, CST_USAGE, "a queue with commands in flight, or stopped");
    for (;;) {
        cst_completion stop;

        code = run_alone(queue, &work.command, &stop, err);
        if (code != CST_OK) return code;
        *out = stop;
        completion_fill(&work, out);
        out->ticket = stop.ticket;
        if (stop.code == CST_DEVICE_LOST) return cst_queue_lost(queue, err);
        if (!stop.stopped) break;
        code = stop_cure(queue, work.command.table, &stop, err);
        if (code == CST_DEVICE_LOST) return code;
        if (cst_queue_resume(queue, err) != CST_OK) return CST_INTERNAL;
        if (code != CST_OK) {
            out->code = code; // why there is no room for it
            break;
        }
        (void)work_advance(&work, &stop, 0);
    }
    out->stopped = false;
    return out->code == CST_OK
               ? CST_OK
               : cst_fail(err, out->code, "row %u: %s", out->rows_done, cst_code_text(out->code));
}

// ---- The driver ---------------------------------------------------------------------------------

cst_code cst_driver_open(cst_queue *queue, cst_driver **out, cst_err *err) {
    cst_driver *driver;

    if (cst_queue_in_flight(queue) > 0 || queue->stop_seen)
        return cst_fail(err, CST_USAGE, "a driver on a queue with commands in flight, or stopped");
    driver = calloc(1, sizeof *driver);
    if (driver) {
        driver->queue = queue;
        driver->depth = cst_queue_depth(queue);
        driver->work = calloc(driver->depth, sizeof *driver->work);
        driver->ready = calloc(driver->depth, sizeof *driver->ready);
    }
    if (!driver || !driver->work || !driver->ready) {
        cst_driver_close(driver);
        return cst_fail(err, CST_NO_MEMORY, "a driver");
    }
    *out = driver;
    return CST_OK;
}

void cst_driver_close(cst_driver *driver) {
    cst_completion done;

    if (!driver) return;
    while (driver->queue && cst_queue_in_flight(driver->queue) > 0 && !driver->queue->given_up) {
        if (cst_queue_wait(driver->queue, driver->queue->timeout_us) != CST_OK) break;
        (void)cst_queue_poll(driver->queue, &done, 1);
    }
    if (driver->queue && driver->queue->stop_seen) (void)!cst_queue_resume(driver->queue, NULL);
    free(driver->work);
    free(driver->ready);
    free(driver);
}

static driver_work *work_at(const cst_driver *driver, uint32_t index) {
    return &driver->work[(driver->first + index) % driver->depth];
}

static void work_drop_first(cst_driver *driver) {
    driver->first = (driver->first + 1) % driver->depth;
    driver->count--;
}

static cst_code work_send(cst_driver *driver, cst_err *err) {
    for (uint32_t i = 0; i < driver->count; i++) {
        driver_work *work = work_at(driver, i);
        cst_code code;

        if (work->sent || work->done) continue;
        code = cst_queue_submit(driver->queue, &work->command, NULL, err);
        if (code == CST_DEVICE_LOST) driver->state = DRIVER_LOST;
        if (code != CST_OK) return code;
        work->sent = true;
    }
    return CST_OK;
}

// A fixup while the queue is stopped runs at once: it is what the halt waits for.
static cst_code fixup_run(cst_driver *driver, const cst_command *command, uint64_t ticket,
                          cst_err *err) {
    cst_completion *done = &driver->ready[driver->ready_count];
    const cst_code code = run_alone(driver->queue, command, done, err);

    if (code != CST_OK) return code;
    done->ticket = ticket;
    driver->ready_count++;
    return CST_OK;
}

cst_code cst_driver_submit(cst_driver *driver, const cst_command *command, uint64_t *ticket_out,
                           cst_err *err) {
    cst_code code = csti_command_check(driver->queue, command, err);

    if (code != CST_OK) return code;
    if (driver->state == DRIVER_LOST) return cst_queue_lost(driver->queue, err);
    if (driver->state == DRIVER_HALTED && command->fixup) {
        if (driver->ready_count == driver->depth) return CST_AGAIN;
        code = fixup_run(driver, command, driver->ticket + 1, err);
        if (code != CST_OK) return code;
    } else {
        if (driver->count == driver->depth) return CST_AGAIN;
        *work_at(driver, driver->count) =
            (driver_work){.command = *command, .ticket = driver->ticket + 1};
        driver->count++;
        if (driver->state == DRIVER_RUNNING) code = work_send(driver, err);
        if (code != CST_OK) return code;
    }
    driver->ticket++;
    if (ticket_out) *ticket_out = driver->ticket;
    return CST_OK;
}

// Everything behind the stop has come back: makes room and goes on, or halts with *out.
static cst_code stop_finish(cst_driver *driver, cst_completion *out, bool *halted_out,
                            cst_err *err) {
    driver_work *first = work_at(driver, 0);
    cst_code code;

    for (uint32_t i = 0; i < driver->count; i++) work_at(driver, i)->sent = false;
    code = stop_cure(driver->queue, first->command.table, &driver->stop, err);
    *halted_out = code != CST_OK;
    if (code == CST_DEVICE_LOST) {
        driver->state = DRIVER_LOST;
        return code;
    }
    if (code != CST_OK) {
        driver->state = DRIVER_HALTED;
        *out = driver->stop;
        if (code != driver->stop.code) out->code = code; // why no room could be made
        completion_fill(first, out);
        return CST_OK;
    }
    (void)work_advance(first, &driver->stop, 0);
    driver->state = DRIVER_RUNNING;
    code = cst_queue_resume(driver->queue, err);
    return code == CST_OK ? work_send(driver, err) : code;
}

// What was in flight behind a stop: aborted, or a fixup, which runs on a stopped queue too.
static void drained_take(cst_driver *driver, const cst_completion *done) {
    driver_work *work;

    do work = work_at(driver, ++driver->drained);
    while (work->done);
    assert(driver->drained < driver->count);
    if (done->code == CST_ABORTED) return;
    assert(work->command.fixup);
    work->done = true;
    work->completion = *done;
}

// The first of the work, if that has run already.
static bool done_take(cst_driver *driver, cst_completion *out) {
    driver_work *work = work_at(driver, 0);

    if (driver->count == 0 || !work->done) return false;
    *out = work->completion;
    completion_fill(work, out);
    work_drop_first(driver);
    return true;
}

// Takes one completion from the queue; *out_ready says whether it is one to hand over.
static cst_code completion_take(cst_driver *driver, cst_completion *out, bool *out_ready,
                                cst_err *err) {
    cst_completion done;
    cst_code code = CST_OK;

    *out_ready = false;
    if (cst_queue_poll(driver->queue, &done, 1) != 1) return CST_OK;
    if (done.code == CST_DEVICE_LOST) {
        driver->state = DRIVER_LOST;
        return cst_queue_lost(driver->queue, err);
    }
    if (driver->state == DRIVER_RUNNING && !done.stopped) {
        completion_fill(work_at(driver, 0), &done);
        *out = done;
        *out_ready = true;
        work_drop_first(driver);
        return CST_OK;
    }
    if (driver->state == DRIVER_RUNNING) {
        driver->state = DRIVER_DRAINING;
        driver->stop = done;
        driver->drained = 0;
    } else {
        drained_take(driver, &done);
    }
    if (cst_queue_in_flight(driver->queue) == 0) code = stop_finish(driver, out, out_ready, err);
    return code;
}

static uint32_t ready_take(cst_driver *driver, cst_completion *out, uint32_t count_max) {
    uint32_t count = driver->ready_count < count_max ? driver->ready_count : count_max;

    for (uint32_t i = 0; i < count; i++) out[i] = driver->ready[i];
    for (uint32_t i = count; i < driver->ready_count; i++)
        driver->ready[i - count] = driver->ready[i];
    driver->ready_count -= count;
    return count;
}

cst_code cst_driver_poll(cst_driver *driver, uint64_t timeout_us, cst_completion *out,
                         uint32_t count_max, uint32_t *count_out, cst_err *err) {
    uint32_t count = ready_take(driver, out, count_max);

    *count_out = count;
    if (driver->state == DRIVER_LOST) return cst_queue_lost(driver->queue, err);
    // Ends: each turn takes a completion, or what has run, or nothing is left to wait for.
    while (count < count_max && driver->state != DRIVER_HALTED) {
        bool ready = false;
        cst_code code;

        if (done_take(driver, &out[count])) {
            *count_out = ++count;
            continue;
        }
        if (cst_queue_in_flight(driver->queue) == 0) break;
        if (cst_queue_wait(driver->queue, count ? 0 : timeout_us) != CST_OK) break;
        code = completion_take(driver, &out[count], &ready, err);
        if (code != CST_OK) return code;
        count += ready;
        *count_out = count;
    }
    return CST_OK;
}

static cst_code halt_end(cst_driver *driver, uint32_t skipped_count, cst_err *err) {
    cst_code code;

    if (driver->state != DRIVER_HALTED) return cst_fail(err, CST_USAGE, "the driver is not halted");
    code = cst_queue_resume(driver->queue, err);
    if (code != CST_OK) return code;
    if (!work_advance(work_at(driver, 0), &driver->stop, skipped_count)) work_drop_first(driver);
    driver->state = DRIVER_RUNNING;
    return work_send(driver, err);
}

cst_code cst_driver_skip(cst_driver *driver, cst_err *err) {
    return halt_end(driver, 1, err);
}

cst_code cst_driver_retry(cst_driver *driver, cst_err *err) {
    return halt_end(driver, 0, err);
}
