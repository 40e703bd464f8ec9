// cpu.c: the processor as a device. It is always there, and what other devices are compared with.
//
//   inline        submit ──► execute ──► completions ──► poll
//   ?worker=1     submit ──► entries ──► worker: execute ──► completions ──► poll
//                            SPSC ring                       SPSC ring
#define _GNU_SOURCE 1 // pthread_setname_np
#include "device/cpu_execute.h"

#include "base/cpu.h"
#include "base/pages.h"
#include "base/park.h"
#include "base/spsc_ring.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct cpu_device {
    cst_device base;
    const csti_codec *codec;
    bool worker;
} cpu_device;

typedef struct cpu_queue {
    cst_queue base;
    csti_cpu_executor executor; // the worker's, if there is one
    csti_spsc_ring completions; // to the host
    bool worker;
    csti_spsc_ring entries; // to the worker
    csti_parker host_parker, worker_parker;
    _Atomic bool closing;
    pthread_t thread;
} cpu_queue;

// ---- The device ---------------------------------------------------------------------------------

static uint64_t memory_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);

    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

static void capabilities_fill(cst_capabilities *can, const csti_codec *codec, bool worker,
                              int node) {
    *can = (cst_capabilities){
        .ops = (1u << CST_OPS_COUNT) - 1,
        .key_bytes_max = CST_INLINE_KEY_BYTES_MAX,
        .entry_bytes_max = CST_INLINE_ENTRY_BYTES_MAX,
        .wide_tables = true,
        .shares_memory = true,
        .queue_depth_max = CST_QUEUE_DEPTH_MAX,
        .batch_rows_max = CST_BATCH_ROWS_MAX,
        .memory_bytes = memory_bytes(),
        .numa_node = node,
    };
    (void)snprintf(can->name, sizeof can->name, "processor, %s%s", codec->name,
                   worker ? ", a worker thread a queue" : "");
}

// -1: none was named. A node that is not there is refused by whoever would give memory of it.
static cst_code take_node(csti_uri *uri, int *node_out, cst_err *err) {
    uint64_t given = UINT64_MAX;
    csti_pages pages = {0};
    cst_code code = csti_uri_take_u64(uri, "node", CSTI_PAGES_NODES_MAX - 1, &given, err);

    *node_out = -1;
    if (code != CST_OK || given == UINT64_MAX) return code;
    code = csti_pages_reserve(&pages, CSTI_PAGE_BYTES,
                              &(csti_pages_options){.numa_node = (int)given}, err);
    csti_pages_release(&pages);
    if (code == CST_OK) *node_out = (int)given;
    return code;
}

static cst_code cpu_open(csti_uri *uri, cst_device **out, cst_err *err) {
    const csti_cpu_features features = csti_cpu_detect();
    csti_cpu_level level = CSTI_CPU_SCALAR;
    const csti_codec *codec;
    cpu_device *device;
    uint64_t worker = 0;
    int node = -1;
    cst_code code = csti_cpu_choose(uri->path, &features, &level, err);

    if (code == CST_OK) code = csti_uri_take_u64(uri, "worker", 1, &worker, err);
    if (code == CST_OK) code = take_node(uri, &node, err);
    if (code == CST_OK) code = csti_uri_check_empty(uri, "worker=0|1, node=N", err);
    if (code != CST_OK) return code;
    codec = csti_codec_for(level);
    if (!codec)
        return cst_fail(err, CST_UNSUPPORTED, "cpu:%s: this processor cannot run it", uri->path);
    device = calloc(1, sizeof *device);
    if (!device) return cst_fail(err, CST_NO_MEMORY, "device cpu:%s", uri->path);
    device->codec = codec;
    device->worker = worker;
    capabilities_fill(&device->base.capabilities, codec, worker, node);
    *out = &device->base;
    return CST_OK;
}

static void cpu_close(cst_device *base) {
    free(base);
}

// Of the simulated card's device too: its host's memory is this.
static cst_code cpu_buffer_alloc(cst_device *device, size_t bytes, cst_device_buffer *out,
                                 cst_err *err) {
    const csti_pages_options options = {.numa_node = device->capabilities.numa_node,
                                        .hugepages = true};
    csti_pages *pages = calloc(1, sizeof *pages);
    cst_code code;

    if (!pages) return cst_fail(err, CST_NO_MEMORY, "a buffer of %zu bytes", bytes);
    if (bytes > CSTI_PAGES_RESERVED_BYTES_MAX)
        code = cst_fail(err, CST_NO_MEMORY, "a buffer of %zu bytes", bytes);
    else
        code = csti_pages_reserve(pages, bytes, &options, err);
    if (code == CST_OK) code = csti_pages_prepare(pages, bytes, err);
    if (code != CST_OK) {
        csti_pages_release(pages);
        free(pages);
        return code;
    }
    *out = (cst_device_buffer){.host = pages->base,
                               .device_address = (uint64_t)(uintptr_t)pages->base,
                               .bytes = bytes,
                               .numa_node = options.numa_node,
                               .handle = pages};
    return CST_OK;
}

static void cpu_buffer_free(cst_device *device, cst_device_buffer *buffer) {
    (void)device;
    csti_pages_release(buffer->handle);
    free(buffer->handle);
}

static cst_code cpu_buffer_sync(cst_device *device, const cst_device_buffer *buffer, size_t offset,
                                size_t bytes, cst_sync direction, cst_err *err) {
    (void)device, (void)buffer, (void)offset, (void)bytes, (void)direction, (void)err;
    return CST_OK; // both sides are the same memory
}

// ---- Queues -------------------------------------------------------------------------------------

static void entry_run(cpu_queue *queue, const csti_entry_in_flight *entry) {
    // Never full: it has room for `depth`, and no more are in flight.
    cst_completion *slot = csti_spsc_ring_slot(&queue->completions);

    csti_cpu_execute(&queue->executor, entry, slot);
    csti_spsc_ring_publish(&queue->completions);
}

static void *worker_main(void *context) {
    cpu_queue *queue = context;

    for (;;) {
        const csti_entry_in_flight *entry = csti_spsc_ring_front(&queue->entries);

        if (entry) {
            entry_run(queue, entry);
            csti_spsc_ring_consume(&queue->entries);
            csti_unpark(&queue->host_parker);
            continue;
        }
        // Pairs with the release in worker_stop: nothing is submitted behind it.
        if (atomic_load_explicit(&queue->closing, memory_order_acquire)) return NULL;
        csti_park(&queue->worker_parker);
    }
}

// Signals are for the program's own threads: all are blocked in the worker.
static cst_code worker_start(cpu_queue *queue, cst_err *err) {
    sigset_t all, before;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&queue->thread, NULL, worker_main, queue);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) return cst_fail(err, CST_IO, "a queue's worker thread: %s", strerror(error));
    (void)pthread_setname_np(queue->thread, "cst-queue");
    return CST_OK;
}

static void worker_stop(cpu_queue *queue) {
    atomic_store_explicit(&queue->closing, true, memory_order_release);
    csti_unpark(&queue->worker_parker);
    (void)pthread_join(queue->thread, NULL);
}

static cst_code cpu_queue_open(cst_device *base, uint32_t depth, cst_queue **out, cst_err *err) {
    const cpu_device *device = (const cpu_device *)base;
    cpu_queue *queue = NULL;
    cst_code code;

    // The rings keep their two sides on lines of their own.
    queue = aligned_alloc(CSTI_SPSC_LINE_BYTES, sizeof *queue);
    if (!queue) return cst_fail(err, CST_NO_MEMORY, "a queue");
    memset(queue, 0, sizeof *queue);
    queue->executor.codec = device->codec;
    queue->worker = device->worker;
    csti_parker_init(&queue->host_parker);
    csti_parker_init(&queue->worker_parker);
    code = csti_spsc_ring_open(&queue->completions, depth, sizeof(cst_completion), err);
    if (code == CST_OK && queue->worker) {
        code = csti_spsc_ring_open(&queue->entries, depth, sizeof(csti_entry_in_flight), err);
        if (code == CST_OK) code = worker_start(queue, err);
        if (code != CST_OK) csti_spsc_ring_close(&queue->entries);
    }
    if (code != CST_OK) {
        csti_spsc_ring_close(&queue->completions);
        free(queue);
        return code;
    }
    *out = &queue->base;
    return CST_OK;
}

static void cpu_queue_close(cst_queue *base) {
    cpu_queue *queue = (cpu_queue *)base;

    if (queue->worker) {
        worker_stop(queue);
        csti_spsc_ring_close(&queue->entries);
    }
    csti_spsc_ring_close(&queue->completions);
    free(queue);
}

static cst_code cpu_submit(cst_queue *base, const csti_entry_in_flight *entry, cst_err *err) {
    cpu_queue *queue = (cpu_queue *)base;

    (void)err;
    if (!queue->worker) {
        entry_run(queue, entry);
        return CST_OK;
    }
    if (!csti_spsc_ring_push(&queue->entries, entry)) return CST_AGAIN;
    csti_unpark(&queue->worker_parker);
    return CST_OK;
}

static uint32_t cpu_poll(cst_queue *base, cst_completion *out, uint32_t count_max) {
    cpu_queue *queue = (cpu_queue *)base;
    uint32_t count = 0;

    while (count < count_max && csti_spsc_ring_pop(&queue->completions, &out[count])) count++;
    return count;
}

static cst_code cpu_wait(cst_queue *base, uint64_t deadline_ns) {
    cpu_queue *queue = (cpu_queue *)base;

    // A token may be left from a completion polled long ago, so one park is not enough.
    while (!csti_spsc_ring_front(&queue->completions))
        if (!queue->worker || !csti_park_until(&queue->host_parker, deadline_ns))
            return csti_spsc_ring_front(&queue->completions) ? CST_OK : CST_AGAIN;
    return CST_OK;
}

// The worker needs no help to finish what it has: all of it is waited for.
static cst_code cpu_reset(cst_device *base, cst_err *err) {
    (void)err;
    for (cst_queue *head = base->queues; head; head = head->next) {
        cpu_queue *queue = (cpu_queue *)head;

        while (csti_spsc_ring_count(&queue->completions) < cst_queue_in_flight(head))
            if (queue->worker) (void)csti_park_until(&queue->host_parker, UINT64_MAX);
    }
    return CST_OK;
}

// ---- Tables -------------------------------------------------------------------------------------

static cst_code cpu_table_open(cst_queue *queue, const cst_table_options *options,
                               const cst_schema *keys, cst_device_table **out, cst_err *err) {
    csti_cpu_table *table = calloc(1, sizeof *table);
    cst_code code;

    (void)queue;
    if (!table) return cst_fail(err, CST_NO_MEMORY, "a table");
    code = cst_table_open(options, &table->image, err);
    if (code == CST_OK && keys) {
        const size_t rows_bytes = (size_t)8 * cst_schema_key_bytes_max(keys);

        table->keys_capacity =
            rows_bytes > CSTI_CPU_BLOCK_KEY_BYTES ? rows_bytes : (size_t)CSTI_CPU_BLOCK_KEY_BYTES;
        table->keys = malloc(table->keys_capacity);
        if (!table->keys)
            code =
                cst_fail(err, CST_NO_MEMORY, "%zu bytes for a block of keys", table->keys_capacity);
        else
            memset(table->keys, 0, table->keys_capacity); // its pages are there from now on
    }
    if (code != CST_OK) {
        cst_table_close(table->image);
        free(table);
        return code;
    }
    *out = &table->base;
    return CST_OK;
}

static void cpu_table_close(cst_device_table *base) {
    csti_cpu_table *table = (csti_cpu_table *)base;

    cst_table_close(table->image);
    free(table->keys);
    free(table);
}

static cst_code cpu_table_prepare(cst_device_table *base, cst_err *err) {
    return cst_table_prepare(((csti_cpu_table *)base)->image, err);
}

static cst_table *cpu_table_image(const cst_device_table *base) {
    return ((const csti_cpu_table *)base)->image;
}

static const cst_table *cpu_table_view(const cst_device_table *base) {
    return ((const csti_cpu_table *)base)->image;
}

const csti_device_ops csti_device_cpu = {
    .scheme = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .reset = cpu_reset,
    .buffer_alloc = cpu_buffer_alloc,
    .buffer_free = cpu_buffer_free,
    .buffer_sync = cpu_buffer_sync,
    .queue_open = cpu_queue_open,
    .queue_close = cpu_queue_close,
    .table_open = cpu_table_open,
    .table_close = cpu_table_close,
    .table_prepare = cpu_table_prepare,
    .table_image = cpu_table_image,
    .table_view = cpu_table_view,
    .submit = cpu_submit,
    .poll = cpu_poll,
    .wait = cpu_wait,
};
