// opencl_profile.c: where a chain's time went, as the driver's own clock has it.
//
//   queued                                                                      end
//     |  wait  | write |  wait  | keys | count | prefix | ... | records |  read  |
//               write_ns         keys_ns        table_ns                 read_ns
//
// The events of a chain are kept until it is done. One with more than OCL_PROFILED_MAX of them is a
// whole image on its way, of which nothing is told.
#include "device/opencl_internal.h"

#include <stdlib.h>

cst_code ocl_profile_open(ocl_queue *queue, cst_err *err) {
    if (!queue->device->profiles) return CST_OK;
    queue->profiled = calloc(OCL_PROFILED_MAX, sizeof *queue->profiled);
    return queue->profiled ? CST_OK : cst_fail(err, CST_NO_MEMORY, "events of a queue");
}

static void events_release(ocl_queue *queue) {
    for (uint32_t i = 0; i < queue->profiled_count && i < OCL_PROFILED_MAX; i++)
        (void)queue->device->cl.ReleaseEvent(queue->profiled[i].event);
    queue->profiled_count = 0;
}

void ocl_profile_close(ocl_queue *queue) {
    events_release(queue);
    free(queue->profiled);
    queue->profiled = NULL;
}

void ocl_profile_put(ocl_queue *queue, cl_event event, ocl_part_of_time part) {
    if (!queue->profiled) return;
    if (queue->profiled_count < OCL_PROFILED_MAX) {
        if (queue->device->cl.RetainEvent(event) != CL_SUCCESS) return;
        queue->profiled[queue->profiled_count] = (ocl_profiled){event, part};
    }
    queue->profiled_count++;
}

static bool time_of(const ocl_queue *queue, cl_event event, cl_profiling_info what,
                    cl_ulong *ns_out) {
    return queue->device->cl.GetEventProfilingInfo(event, what, sizeof *ns_out, ns_out, NULL) ==
           CL_SUCCESS;
}

// A driver that does not say leaves its queue's times at what they were.
static void times_take(ocl_queue *queue) {
    csti_traffic *traffic = &queue->base.traffic;
    uint64_t *const parts[] = {[OCL_WRITES] = &traffic->write_ns,
                               [OCL_MAKES_KEYS] = &traffic->keys_ns,
                               [OCL_TABLE] = &traffic->table_ns,
                               [OCL_READS] = &traffic->read_ns};
    cl_ulong first = UINT64_MAX, last = 0, ran = 0;

    for (uint32_t i = 0; i < queue->profiled_count; i++) {
        const ocl_profiled *one = &queue->profiled[i];
        cl_ulong queued = 0, start = 0, end = 0;

        if (!time_of(queue, one->event, CL_PROFILING_COMMAND_QUEUED, &queued) ||
            !time_of(queue, one->event, CL_PROFILING_COMMAND_START, &start) ||
            !time_of(queue, one->event, CL_PROFILING_COMMAND_END, &end) || end < start)
            return;
        if (queued < first) first = queued;
        if (end > last) last = end;
        ran += end - start;
        *parts[one->part] += end - start;
    }
    if (last > first && last - first > ran) traffic->wait_ns += last - first - ran;
}

void ocl_profile_take(ocl_queue *queue) {
    if (!queue->profiled || queue->profiled_count == 0) return;
    if (!queue->lost && queue->profiled_count <= OCL_PROFILED_MAX) times_take(queue);
    events_release(queue);
}
