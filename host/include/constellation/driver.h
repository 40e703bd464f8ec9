// driver.h: batches into a queue, with all that a stopped queue asks for done by itself.
//
//   cst_driver_submit ──► pending [ c3 | c2 | c1 ] ──► queue ──► completions ──► cst_driver_poll
//                            ▲                           │
//                            └── the rest, in order ◄────┘ stopped: GROW or prepare, resume
//
// A row without a place grows its segment and goes on; memory that is not ready is waited for. What
// cannot be cured that way (budget, overflow, a key that is too long, skew) halts the driver: the
// completion says why and which row. Then cst_driver_skip drops that row and goes on behind it, and
// cst_driver_retry tries it again (after a RELEASE, say); the commands behind it wait meanwhile.
//
// Promises   commands complete in the order of submission, as if there had been room all the time;
//            a batch is applied exactly once, whatever was stopped, aborted and put again.
// Thread     the queue's. While a driver is open, nothing else submits to or polls its queue.
// Ring       1.
// Owner      the driver borrows its queue; what commands point to stays until they complete.
#ifndef CONSTELLATION_DRIVER_H
#define CONSTELLATION_DRIVER_H

#include <constellation/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cst_driver cst_driver;

// Nothing may be in flight on the queue: CST_USAGE. CST_NO_MEMORY.
CST_API CST_CHECK_RESULT cst_code cst_driver_open(cst_queue *queue, cst_driver **out, cst_err *err);
// Waits for what the device has; what was never run is dropped. NULL is allowed.
CST_API void cst_driver_close(cst_driver *driver);

// As cst_queue_submit. CST_AGAIN: as many commands as the queue is deep wait for cst_driver_poll.
// A halted driver takes commands, and runs those marked `fixup` at once.
CST_API CST_CHECK_RESULT cst_code cst_driver_submit(cst_driver *driver, const cst_command *command,
                                                    uint64_t *ticket_out, cst_err *err);
// The next completions, in order; waits up to timeout_us for the first. *count_out == 0: none yet.
// After one that says `stopped`, the driver is halted. CST_DEVICE_LOST: the device is.
CST_API CST_CHECK_RESULT cst_code cst_driver_poll(cst_driver *driver, uint64_t timeout_us,
                                                  cst_completion *out, uint32_t count_max,
                                                  uint32_t *count_out, cst_err *err);
// On a halted driver (CST_USAGE else): the rest of the halted command, from behind its bad row or
// with it, goes first, under the same ticket and tag; it completes again. A halted command that is
// no APPLY or has no rows left is over: what stands behind it goes on.
CST_API CST_CHECK_RESULT cst_code cst_driver_skip(cst_driver *driver, cst_err *err);
CST_API CST_CHECK_RESULT cst_code cst_driver_retry(cst_driver *driver, cst_err *err);

// One command through a queue with nothing in flight (CST_USAGE else), room made as needed, to its
// end. *out is its completion, written whenever it ran; the code returned is the completion's. The
// queue is left running: a row that could not be applied is out->rows_done, the rest is not
// applied.
CST_API CST_CHECK_RESULT cst_code cst_device_run(cst_queue *queue, const cst_command *command,
                                                 cst_completion *out, cst_err *err);

#ifdef __cplusplus
}
#endif
#endif
