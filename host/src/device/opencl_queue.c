// opencl_queue.c: commands in flight. The first one's piece is on the device, or it is the host's
// turn; the others wait.
//
//   chain   write ─► kernel ─► kernel ─► read       each waits for the event of the one before;
//                                       ^ last      when the last is complete, so are all
#include "device/opencl_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMORY_BYTES_MIN = 4096 };

// ---- Calls --------------------------------------------------------------------------------------

bool ocl_went(ocl_queue *queue, const char *call, cl_int error) {
    if (error == CL_SUCCESS) return true;
    if (!queue->lost)
        (void)snprintf(queue->base.lost_why, sizeof queue->base.lost_why, "%s: %s (%d)", call,
                       ocl_error_name(error), error);
    queue->lost = true;
    return false;
}

void ocl_chain_put(ocl_queue *queue, cl_event event, ocl_part_of_time part) {
    ocl_profile_put(queue, event, part);
    if (queue->last) (void)queue->device->cl.ReleaseEvent(queue->last);
    queue->last = event;
}

static cl_uint before(const ocl_queue *queue) {
    return queue->last ? 1 : 0;
}

static const cl_event *before_list(const ocl_queue *queue) {
    return queue->last ? &queue->last : NULL;
}

void ocl_memory_free(const ocl_device *device, ocl_memory *memory) {
    if (memory->mem) (void)device->cl.ReleaseMemObject(memory->mem);
    csti_pages_release(&memory->pages);
    memory->mem = NULL;
    memory->bytes = 0;
}

static cst_code memory_make(const ocl_device *device, ocl_memory *memory) {
    const csti_pages_options huge = {.numa_node = -1, .hugepages = true};
    const bool own = device->is_processor && memory->bytes >= CSTI_HUGEPAGE_BYTES;
    cl_int error = CL_SUCCESS;
    cst_code code = CST_OK;

    if (own) code = csti_pages_reserve(&memory->pages, memory->bytes, &huge, NULL);
    if (own && code == CST_OK) code = csti_pages_prepare(&memory->pages, memory->bytes, NULL);
    if (code == CST_OK)
        memory->mem =
            device->cl.CreateBuffer(device->context,
                                    CL_MEM_READ_WRITE | (own ? CL_MEM_USE_HOST_PTR : 0),
                                    memory->bytes, own ? memory->pages.base : NULL, &error);
    if (code == CST_OK && error == CL_SUCCESS) return CST_OK;
    memory->mem = NULL;
    ocl_memory_free(device, memory);
    return CST_NO_MEMORY;
}

cst_code ocl_memory_reach(ocl_queue *queue, ocl_memory *memory, uint64_t bytes, bool keep) {
    const ocl_device *device = queue->device;
    ocl_memory grown = {.bytes = memory->bytes ? memory->bytes : MEMORY_BYTES_MIN};
    cl_event event = NULL;
    cl_int error;

    if (bytes <= memory->bytes && memory->mem) return CST_OK;
    if (bytes > device->alloc_bytes_max) return CST_NO_MEMORY;
    while (grown.bytes < bytes) grown.bytes *= 2;
    if (grown.bytes > device->alloc_bytes_max) grown.bytes = device->alloc_bytes_max;
    if (memory_make(device, &grown) != CST_OK) return CST_NO_MEMORY;
    if (keep && memory->mem) {
        error =
            device->cl.EnqueueCopyBuffer(queue->commands, memory->mem, grown.mem, 0, 0,
                                         memory->bytes, before(queue), before_list(queue), &event);
        if (ocl_went(queue, "clEnqueueCopyBuffer", error)) ocl_chain_put(queue, event, OCL_WRITES);
    }
    // What was enqueued before may still read the old one.
    ocl_downloads_drain(queue);
    if (memory->mem && ocl_finish(queue) != CST_OK) {
        ocl_memory_free(device, &grown);
        return CST_DEVICE_LOST;
    }
    ocl_memory_free(device, memory);
    *memory = grown;
    return CST_OK;
}

void ocl_write(ocl_queue *queue, const ocl_memory *memory, uint64_t at, const void *from,
               size_t bytes) {
    cl_event event = NULL;
    cl_int error;

    if (bytes == 0 || queue->lost) return;
    error = queue->device->cl.EnqueueWriteBuffer(queue->commands, memory->mem, CL_FALSE, at, bytes,
                                                 from, before(queue), before_list(queue), &event);
    if (ocl_went(queue, "clEnqueueWriteBuffer", error)) ocl_chain_put(queue, event, OCL_WRITES);
    queue->base.traffic.to_device_bytes += bytes;
}

void ocl_read(ocl_queue *queue, const ocl_memory *memory, uint64_t at, void *to, size_t bytes) {
    cl_event event = NULL;
    cl_int error;

    if (bytes == 0 || queue->lost) return;
    error = queue->device->cl.EnqueueReadBuffer(queue->commands, memory->mem, CL_FALSE, at, bytes,
                                                to, before(queue), before_list(queue), &event);
    if (ocl_went(queue, "clEnqueueReadBuffer", error)) ocl_chain_put(queue, event, OCL_READS);
    queue->base.traffic.from_device_bytes += bytes;
}

static void arguments_set(ocl_queue *queue, const ocl_table *table, cl_kernel kernel) {
    cl_mem none = queue->nothing.mem;
    const cl_mem arguments[] = {queue->input.mem,
                                queue->work.mem,
                                table ? table->regions[OCL_DIRECTORY].mem : none,
                                table ? table->regions[OCL_INDEX].mem : none,
                                table ? table->regions[OCL_SLOTS].mem : none,
                                table && table->regions[OCL_LOG].mem ? table->regions[OCL_LOG].mem
                                                                     : none};

    for (cl_uint i = 0; i < sizeof arguments / sizeof *arguments; i++)
        (void)ocl_went(queue, "clSetKernelArg",
                       queue->device->cl.SetKernelArg(kernel, i, sizeof *arguments, &arguments[i]));
}

void ocl_launch(ocl_queue *queue, const ocl_table *table, ocl_kernel which, uint64_t items) {
    static const char *const names[] = {
#define KERNEL_NAME(NAME, ONE_GROUP) "clEnqueueNDRangeKernel of " #NAME,
        OCL_KERNELS(KERNEL_NAME)
#undef KERNEL_NAME
    };
    const size_t local = queue->locals[which];
    const size_t global = (items + local - 1) / local * local;
    cl_event event = NULL;
    cl_int error;

    if (items == 0 || queue->lost) return;
    arguments_set(queue, table, queue->kernels[which]);
    if (queue->lost) return;
    error = queue->device->cl.EnqueueNDRangeKernel(queue->commands, queue->kernels[which], 1, NULL,
                                                   &global, &local, before(queue),
                                                   before_list(queue), &event);
    if (ocl_went(queue, names[which], error))
        ocl_chain_put(queue, event, which == OCL_KERNEL_keys ? OCL_MAKES_KEYS : OCL_TABLE);
}

void ocl_drain(ocl_queue *queue) {
    if (queue->last && !queue->lost)
        (void)ocl_went(queue, "clWaitForEvents", queue->device->cl.WaitForEvents(1, &queue->last));
    ocl_profile_take(queue);
}

cst_code ocl_finish(ocl_queue *queue) {
    ocl_drain(queue);
    return queue->lost ? CST_DEVICE_LOST : CST_OK;
}

// ---- The first entry ----------------------------------------------------------------------------

cst_code ocl_entries_open(ocl_queue *queue, uint32_t depth, cst_err *err) {
    queue->entries = calloc(depth, sizeof *queue->entries);
    queue->downloads = calloc(depth, sizeof *queue->downloads);
    return queue->entries && queue->downloads ? CST_OK : cst_fail(err, CST_NO_MEMORY, "a queue");
}

void ocl_entries_put(ocl_queue *queue, const csti_entry_in_flight *entry) {
    queue->entries[queue->entries_end++ % queue->base.depth].in_flight = *entry;
}

static bool is_rows(const cst_command *command) {
    return command->ops & (CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY | CST_OP_LOOKUP);
}

// Commands on a whole table, with the host in between.
static cst_code upkeep(ocl_queue *queue, const csti_entry_in_flight *entry, cst_completion *out) {
    const cst_command *command = &entry->command;
    ocl_table *table = (ocl_table *)command->table;

    switch (command->ops) {
    case CST_OP_GROW:
        return ocl_image_grow(table, command->grow_hash);
    case CST_OP_RELEASE:
        return cst_table_release(table->cpu.image, &command->release);
    case CST_OP_BARRIER:
        out->delta = ocl_image_seal(table, entry->ticket);
        return CST_OK;
    case CST_OP_EXPIRE:
        return ocl_expire(queue, command, out);
    case CST_OP_SCAN:
        return ocl_scan(queue, command, out);
    default:
        return ocl_restore(queue, command, out);
    }
}

static void entry_complete(ocl_queue *queue, const csti_entry_in_flight *entry, cst_code code) {
    cst_completion *done = &queue->done;

    if (ocl_download_waits(queue) && entry->command.ops != CST_OP_BARRIER)
        csti_queue_count(&queue->base.downloads.beside, 1);
    done->code = queue->lost ? CST_DEVICE_LOST : code;
    csti_cpu_end(&queue->executor, entry, done);
    (void)csti_spsc_ring_push(&queue->completions, done); // no more than `depth` are in flight
    queue->entries_first++;
    queue->running = false;
}

// The next piece of its rows, or its end.
static void rows_go_on(ocl_queue *queue, const csti_entry_in_flight *entry, cst_code code) {
    const cst_command *command = &entry->command;

    if (code == CST_OK && !queue->lost && queue->done.rows_done < command->rows.rows_count)
        code = ocl_rows_begin(queue, command);
    else
        queue->running = false;
    if (code != CST_OK || queue->lost || !queue->running) entry_complete(queue, entry, code);
}

static void entry_begin(ocl_queue *queue, const csti_entry_in_flight *entry) {
    const cst_command *command = &entry->command;

    if (!csti_cpu_begin(&queue->executor, entry, &queue->done)) {
        (void)csti_spsc_ring_push(&queue->completions, &queue->done);
        queue->entries_first++;
        return;
    }
    if (queue->lost) {
        entry_complete(queue, entry, CST_DEVICE_LOST);
    } else if (is_rows(command)) {
        queue->done.rows_done = command->rows.first_row;
        rows_go_on(queue, entry, ocl_rows_check(command));
    } else {
        entry_complete(queue, entry, upkeep(queue, entry, &queue->done));
    }
}

bool ocl_event_done(ocl_queue *queue, cl_event event) {
    cl_int status = CL_COMPLETE;

    if (queue->lost) return true;
    if (!ocl_went(queue, "clGetEventInfo",
                  queue->device->cl.GetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                                 sizeof status, &status, NULL)))
        return true;
    if (status < 0) (void)ocl_went(queue, "a command of the queue", status);
    return status <= CL_COMPLETE;
}

void ocl_entries_advance(ocl_queue *queue) {
    while (queue->entries_first < queue->entries_end) {
        const csti_entry_in_flight *entry =
            &queue->entries[queue->entries_first % queue->base.depth].in_flight;
        cst_code code = CST_OK;

        if (!queue->running) {
            entry_begin(queue, entry);
            continue;
        }
        if (queue->last && !ocl_event_done(queue, queue->last)) return;
        ocl_profile_take(queue);
        if (!queue->lost) ocl_rows_end(queue, &entry->command, &code);
        rows_go_on(queue, entry, code);
    }
}
