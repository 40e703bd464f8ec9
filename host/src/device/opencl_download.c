// opencl_download.c: a sealed delta on its way to the host, beside the next epoch's commands.
//
//   commands      apply ─► seal │ apply ─► apply ─► ...    the seal is the host's: no time
//   transfers               └───────► read ─► read
//   completions   seal, apply, apply                       in order, when its reads are done
//
// The delta's bytes are read to where the host's image has them, which is what is sent to the
// store. Nothing writes them any more, on either side.
#include "device/opencl_internal.h"

static bool any(const ocl_queue *queue) {
    return queue->downloads_first < queue->downloads_end;
}

static ocl_download *download_at(const ocl_queue *queue, uint64_t index) {
    return &queue->downloads[index % queue->base.depth];
}

// Of the barrier, which is the newest; a place is free for each that is not polled.
static ocl_download *download_of(ocl_queue *queue, uint64_t ticket) {
    ocl_download *newest;

    if (any(queue)) {
        newest = download_at(queue, queue->downloads_end - 1);
        if (newest->ticket == ticket) return newest;
    }
    newest = download_at(queue, queue->downloads_end++);
    *newest = (ocl_download){.ticket = ticket};
    csti_queue_count(&queue->base.downloads.deltas, 1);
    return newest;
}

void ocl_download_read(ocl_queue *queue, uint64_t ticket, const ocl_memory *memory, uint64_t at,
                       void *to, size_t bytes) {
    const cl_uint before = queue->last ? 1 : 0;
    ocl_download *download;
    cl_event event = NULL;
    cl_int error;

    if (bytes == 0 || queue->lost) return;
    download = download_of(queue, ticket);
    error = queue->device->cl.EnqueueReadBuffer(queue->transfers, memory->mem, CL_FALSE, at, bytes,
                                                to, before, before ? &queue->last : NULL, &event);
    if (!ocl_went(queue, "clEnqueueReadBuffer of a delta", error)) return;
    if (download->last) (void)queue->device->cl.ReleaseEvent(download->last);
    download->last = event; // of a queue in order: those before it are done when it is
    csti_queue_count(&queue->base.downloads.bytes, bytes);
    queue->base.traffic.from_device_bytes += bytes;
}

void ocl_download_send(ocl_queue *queue) {
    if (any(queue)) (void)ocl_went(queue, "clFlush", queue->device->cl.Flush(queue->transfers));
}

bool ocl_download_waits(const ocl_queue *queue) {
    return any(queue);
}

bool ocl_front_ready(ocl_queue *queue) {
    cst_completion *front = csti_spsc_ring_front(&queue->completions);
    ocl_download *download = download_at(queue, queue->downloads_first);

    if (!front) return false;
    if (!any(queue) || download->ticket != front->ticket) return true;
    if (download->last && !ocl_event_done(queue, download->last)) return false;
    if (!download->last || queue->lost) front->code = CST_DEVICE_LOST;
    if (download->last) (void)queue->device->cl.ReleaseEvent(download->last);
    queue->downloads_first++;
    return true;
}

void ocl_downloads_drain(ocl_queue *queue) {
    for (uint64_t i = queue->downloads_first; i < queue->downloads_end && !queue->lost; i++)
        if (download_at(queue, i)->last)
            (void)ocl_went(queue, "clWaitForEvents of a delta",
                           queue->device->cl.WaitForEvents(1, &download_at(queue, i)->last));
}

void ocl_settle(ocl_queue *queue) {
    const ocl_calls *cl = &queue->device->cl;

    // One side may have failed while the other goes on: what an event says of that is known.
    if (queue->last) (void)cl->WaitForEvents(1, &queue->last);
    for (uint64_t i = queue->downloads_first; i < queue->downloads_end; i++)
        if (download_at(queue, i)->last) (void)cl->WaitForEvents(1, &download_at(queue, i)->last);
}

void ocl_downloads_drop(ocl_queue *queue) {
    for (uint64_t i = queue->downloads_first; i < queue->downloads_end; i++) {
        ocl_download *download = download_at(queue, i);

        if (download->last) (void)queue->device->cl.ReleaseEvent(download->last);
        download->last = NULL;
    }
}
