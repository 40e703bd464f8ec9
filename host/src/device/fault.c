// fault.c: any device, with faults where its name asks for them. For tests.
//
//   fault:cpu:?worker=1&drop=3          round cpu:?worker=1, whose third completion never arrives
//
//   parameter       the Nth ... (from 1)
//   fail_open=1     open fails with CST_DEVICE_LOST
//   fail_alloc=N    buffer_alloc fails with CST_NO_MEMORY
//   fail_submit=N   submit is refused with CST_DEVICE_LOST, once; the device lives on
//   fail=N          completion says CST_DEVICE_LOST; so do all later ones and submits, until reset
//   drop=N          completion never arrives, nor those behind it, until reset fails them
//   delay=N         completion is held back for `polls` polls (8), and those behind it with it
//   checksum=N      completion says CST_DEVICE_LOST, as it came with a wrong checksum
//   reset=N         completion says CST_DEVICE_LOST, and all that is in flight with it: the device
//                   has reset itself, and lives on
//   flip=N          command with hashes_out has one bit of its first hash wrong
//   key_bytes=N     is no fault: the longest key of a table here, as of a card
//
// Counts are the device's, over all its queues.
#include "device/backend.h"

#include "base/park.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INNER_TIMEOUT_US UINT64_C(10000000)

typedef struct fault_plan {
    uint64_t fail_open, fail_alloc, fail_submit, fail, drop, delay, polls, checksum, reset, flip;
    uint64_t key_bytes;
} fault_plan;

typedef struct fault_device {
    cst_device base;
    cst_device *inner;
    fault_plan plan;
    _Atomic uint64_t allocs_count, submits_count, completions_count, hashes_count;
    _Atomic bool lost;
} fault_device;

typedef struct fault_table {
    cst_device_table base;
    cst_device_table *inner;
} fault_table;

// What the wrapper must know of a command when it completes.
typedef struct fault_note {
    uint64_t ticket;
    uint64_t tag;
    uint64_t *flip; // NULL: leave it alone
} fault_note;

typedef struct fault_queue {
    cst_queue base;
    cst_queue *inner;
    fault_note *notes; // ring of depth: what is in flight here
    uint64_t notes_first, notes_end;
    uint64_t fail_until;  // those in front of it were in flight at a reset
    bool dropped;         // the first in flight never arrives
    uint64_t delay_polls; // before the held one goes
    bool held;
    cst_completion held_completion;
} fault_queue;

static cst_code plan_read(csti_uri *uri, fault_plan *plan, cst_err *err) {
    const struct {
        const char *name;
        uint64_t *value;
    } parameters[] = {
        {"fail_open", &plan->fail_open},
        {"fail_alloc", &plan->fail_alloc},
        {"fail_submit", &plan->fail_submit},
        {"fail", &plan->fail},
        {"drop", &plan->drop},
        {"delay", &plan->delay},
        {"polls", &plan->polls},
        {"checksum", &plan->checksum},
        {"reset", &plan->reset},
        {"flip", &plan->flip},
        {"key_bytes", &plan->key_bytes},
    };

    *plan = (fault_plan){.polls = 8, .key_bytes = UINT32_MAX};
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        const cst_code code =
            csti_uri_take_u64(uri, parameters[i].name, UINT32_MAX, parameters[i].value, err);

        if (code != CST_OK) return code;
    }
    return CST_OK;
}

static cst_code fault_open(csti_uri *uri, cst_device **out, cst_err *err) {
    char inner_uri[CSTI_URI_BYTES_MAX];
    fault_device *device = NULL;
    fault_plan plan;
    cst_code code = plan_read(uri, &plan, err);

    if (code == CST_OK) code = csti_uri_rest(uri, inner_uri, sizeof inner_uri, err);
    if (code != CST_OK) return code;
    if (strncmp(inner_uri, "fault:", 6) == 0)
        return cst_fail(err, CST_DEVICE_URI, "fault: round fault:");
    if (plan.fail_open) return cst_fail(err, CST_DEVICE_LOST, "open fails by fail_open");
    device = calloc(1, sizeof *device);
    if (!device) return cst_fail(err, CST_NO_MEMORY, "device fault:");
    code = cst_device_open(inner_uri, &device->inner, err);
    if (code != CST_OK) {
        free(device);
        return cst_fail_at(err, code, "fault");
    }
    device->plan = plan;
    device->base.capabilities = device->inner->capabilities;
    if (plan.key_bytes < device->base.capabilities.key_bytes_max)
        device->base.capabilities.key_bytes_max = (uint32_t)plan.key_bytes;
    *out = &device->base;
    return CST_OK;
}

static void fault_close(cst_device *base) {
    fault_device *device = (fault_device *)base;

    cst_device_close(device->inner);
    free(device);
}

static cst_code fault_buffer_alloc(cst_device *base, size_t bytes, cst_device_buffer *out,
                                   cst_err *err) {
    fault_device *device = (fault_device *)base;
    const uint64_t number = atomic_fetch_add(&device->allocs_count, 1) + 1;

    if (number == device->plan.fail_alloc)
        return cst_fail(err, CST_NO_MEMORY, "buffer %llu fails by fail_alloc",
                        (unsigned long long)number);
    return device->inner->ops->buffer_alloc(device->inner, bytes, out, err);
}

static void fault_buffer_free(cst_device *base, cst_device_buffer *buffer) {
    fault_device *device = (fault_device *)base;

    device->inner->ops->buffer_free(device->inner, buffer);
}

static cst_code fault_buffer_sync(cst_device *base, const cst_device_buffer *buffer, size_t offset,
                                  size_t bytes, cst_sync direction, cst_err *err) {
    fault_device *device = (fault_device *)base;

    return device->inner->ops->buffer_sync(device->inner, buffer, offset, bytes, direction, err);
}

static cst_code fault_queue_open(cst_device *base, uint32_t depth, cst_queue **out, cst_err *err) {
    fault_device *device = (fault_device *)base;
    const cst_queue_options options = {.depth = depth};
    fault_queue *queue = calloc(1, sizeof *queue);
    cst_code code;

    if (queue) queue->notes = calloc(depth, sizeof *queue->notes);
    if (!queue || !queue->notes) {
        free(queue);
        return cst_fail(err, CST_NO_MEMORY, "a queue");
    }
    code = cst_queue_open(device->inner, &options, &queue->inner, err);
    if (code != CST_OK) {
        free(queue->notes);
        free(queue);
        return code;
    }
    *out = &queue->base;
    return CST_OK;
}

static void fault_queue_close(cst_queue *base) {
    fault_queue *queue = (fault_queue *)base;

    cst_queue_close(queue->inner);
    free(queue->notes);
    free(queue);
}

static cst_code fault_table_open(cst_queue *base, const cst_table_options *options,
                                 const cst_schema *keys, cst_device_table **out, cst_err *err) {
    fault_queue *queue = (fault_queue *)base;
    fault_table *table = calloc(1, sizeof *table);
    cst_code code;

    if (!table) return cst_fail(err, CST_NO_MEMORY, "a table");
    code = cst_device_table_open(queue->inner, options, keys, &table->inner, err);
    if (code != CST_OK) {
        free(table);
        return code;
    }
    *out = &table->base;
    return CST_OK;
}

static void fault_table_close(cst_device_table *base) {
    fault_table *table = (fault_table *)base;

    cst_device_table_close(table->inner);
    free(table);
}

static cst_code fault_table_prepare(cst_device_table *base, cst_err *err) {
    return cst_device_table_prepare(((fault_table *)base)->inner, err);
}

static cst_table *fault_table_image(const cst_device_table *base) {
    return cst_device_table_image(((const fault_table *)base)->inner);
}

static const cst_table *fault_table_view(const cst_device_table *base) {
    return cst_device_table_view(((const fault_table *)base)->inner);
}

// ---- Commands -----------------------------------------------------------------------------------

static cst_code fault_submit(cst_queue *base, const csti_entry_in_flight *entry, cst_err *err) {
    fault_queue *queue = (fault_queue *)base;
    fault_device *device = (fault_device *)base->device;
    const uint64_t number = atomic_fetch_add(&device->submits_count, 1) + 1;
    csti_entry_in_flight inner = *entry;
    fault_note note = {.ticket = entry->ticket, .tag = entry->command.tag};
    cst_code code;

    if (atomic_load(&device->lost))
        return cst_fail(err, CST_DEVICE_LOST, "%s: lost by fail", device->base.uri);
    if (number == device->plan.fail_submit)
        return cst_fail(err, CST_DEVICE_LOST, "submit %llu fails by fail_submit",
                        (unsigned long long)number);
    if (inner.command.hashes_out && (inner.command.ops & CST_OP_HASH) &&
        atomic_fetch_add(&device->hashes_count, 1) + 1 == device->plan.flip)
        note.flip = inner.command.hashes_out + inner.command.rows.first_row;
    if (inner.command.table) inner.command.table = ((fault_table *)inner.command.table)->inner;
    code = queue->inner->device->ops->submit(queue->inner, &inner, err);
    if (code != CST_OK) return code;
    queue->inner->submitted_count++;
    queue->notes[queue->notes_end++ % base->depth] = note;
    return CST_OK;
}

static void lost_say(fault_queue *queue, const char *why, cst_completion *out) {
    (void)snprintf(queue->base.lost_why, sizeof queue->base.lost_why, "%s", why);
    out->code = CST_DEVICE_LOST;
    out->stopped = true;
}

// What is in flight has run, and nobody is told.
static void in_flight_lose(fault_queue *queue) {
    cst_completion gone;

    while (cst_queue_wait(queue->inner, INNER_TIMEOUT_US) == CST_OK &&
           cst_queue_poll(queue->inner, &gone, 1) == 1) {}
    queue->fail_until = queue->notes_end;
}

// The next completion of the inner queue as the plan wants it; false: none for now.
static bool completion_next(fault_queue *queue, cst_completion *out) {
    fault_device *device = (fault_device *)queue->base.device;
    const fault_note *note = &queue->notes[queue->notes_first % queue->base.depth];
    uint64_t number;

    if (queue->notes_first < queue->fail_until) {
        *out = (cst_completion){.ticket = note->ticket, .tag = note->tag, .code = CST_DEVICE_LOST};
        queue->notes_first++;
        return true;
    }
    if (queue->held) {
        if (queue->delay_polls > 0 && queue->delay_polls--) return false;
        queue->held = false;
        *out = queue->held_completion;
        queue->notes_first++;
        return true;
    }
    if (queue->dropped || cst_queue_poll(queue->inner, out, 1) != 1) return false;
    number = atomic_fetch_add(&device->completions_count, 1) + 1;
    if (note->flip) *note->flip ^= 1;
    if (number == device->plan.fail) atomic_store(&device->lost, true);
    if (out->code == CST_DEVICE_LOST)
        memcpy(queue->base.lost_why, queue->inner->lost_why, sizeof queue->base.lost_why);
    else if (atomic_load(&device->lost))
        lost_say(queue, "lost by fail", out);
    else if (number == device->plan.checksum)
        lost_say(queue, "a completion with a wrong checksum", out);
    else if (number == device->plan.reset) {
        lost_say(queue, "it has reset itself", out);
        in_flight_lose(queue);
    }
    if (number == device->plan.drop)
        queue->dropped = true;
    else if (number == device->plan.delay) {
        queue->held = true;
        queue->held_completion = *out;
        queue->delay_polls = device->plan.polls;
    } else
        queue->notes_first++;
    return !queue->dropped && !queue->held;
}

static uint32_t fault_poll(cst_queue *base, cst_completion *out, uint32_t count_max) {
    fault_queue *queue = (fault_queue *)base;
    uint32_t count = 0;

    while (count < count_max && completion_next(queue, &out[count])) count++;
    return count;
}

// Whether anything is there is only known by taking it, so a wait does not look behind the plan:
// what is dropped or held is as good as not there.
static cst_code fault_wait(cst_queue *base, uint64_t deadline_ns) {
    fault_queue *queue = (fault_queue *)base;
    csti_parker parker;

    if (queue->held || queue->notes_first < queue->fail_until) return CST_OK; // each poll counts
    if (!queue->dropped) return queue->inner->device->ops->wait(queue->inner, deadline_ns);
    csti_parker_init(&parker);
    (void)csti_park_until(&parker, deadline_ns);
    return CST_AGAIN;
}

static cst_code fault_reset(cst_device *base, cst_err *err) {
    fault_device *device = (fault_device *)base;
    const cst_code code = cst_device_reset(device->inner, err);
    cst_completion gone;

    if (code != CST_OK) return code;
    for (cst_queue *head = base->queues; head; head = head->next) {
        fault_queue *queue = (fault_queue *)head;

        while (cst_queue_poll(queue->inner, &gone, 1) == 1) {}
        queue->dropped = queue->held = false;
        queue->fail_until = queue->notes_end;
    }
    atomic_store(&device->lost, false);
    return CST_OK;
}

const csti_device_ops csti_device_fault = {
    .scheme = "fault",
    .open = fault_open,
    .close = fault_close,
    .reset = fault_reset,
    .buffer_alloc = fault_buffer_alloc,
    .buffer_free = fault_buffer_free,
    .buffer_sync = fault_buffer_sync,
    .queue_open = fault_queue_open,
    .queue_close = fault_queue_close,
    .table_open = fault_table_open,
    .table_close = fault_table_close,
    .table_prepare = fault_table_prepare,
    .table_image = fault_table_image,
    .table_view = fault_table_view,
    .submit = fault_submit,
    .poll = fault_poll,
    .wait = fault_wait,
};
