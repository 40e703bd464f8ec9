// opencl.c: any device that an OpenCL driver offers, as a device of ours.
#include "device/opencl_internal.h"

#include "table/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLATFORMS_MAX = 16,
    DEVICES_MAX = 64,
    UNIT_PARTITIONS = 128,
    PARTITIONS_BITS_MIN = 6,
    PARTITIONS_BITS_MAX = 11,
    UNIT_TILES = 32,
    COUNTS_MAX = 1 << 18, // of tiles in all partitions
    ROW_ITEMS = 64,       // of a group of kernels whose work-items are short
    NAME_BYTES = 128,
};

// ---- Which device -------------------------------------------------------------------------------

// "", "P" or "P/D": both from 0.
static cst_code path_read(const char *path, unsigned long *platform, unsigned long *device,
                          cst_err *err) {
    const char *rest = path;
    char *end;

    *platform = *device = 0;
    if (!*path) return CST_OK;
    errno = 0;
    if (*rest >= '0' && *rest <= '9') *platform = strtoul(rest, &end, 10), rest = end;
    if (rest != path && *rest == '/' && rest[1] >= '0' && rest[1] <= '9')
        *device = strtoul(rest + 1, &end, 10), rest = end;
    if (rest != path && !*rest && !errno) return CST_OK;
    return cst_fail(err, CST_DEVICE_URI, "opencl:%s: a platform, or PLATFORM/DEVICE, from 0", path);
}

static cst_code device_find(ocl_device *device, const char *path, cst_err *err) {
    cl_platform_id platforms[PLATFORMS_MAX];
    cl_device_id ids[DEVICES_MAX];
    cl_uint platforms_count = 0, ids_count = 0;
    unsigned long platform, id;
    cst_code code = path_read(path, &platform, &id, err);
    cl_int error;

    if (code != CST_OK) return code;
    error = device->cl.GetPlatformIDs(PLATFORMS_MAX, platforms, &platforms_count);
    if (error != CL_SUCCESS) return ocl_fail(err, CST_UNSUPPORTED, "no OpenCL driver", error);
    if (platforms_count > PLATFORMS_MAX) platforms_count = PLATFORMS_MAX;
    if (platform >= platforms_count)
        return cst_fail(err, CST_UNSUPPORTED, "opencl:%s: there are %u platforms, from 0", path,
                        platforms_count);
    device->platform = platforms[platform];
    error =
        device->cl.GetDeviceIDs(device->platform, CL_DEVICE_TYPE_ALL, DEVICES_MAX, ids, &ids_count);
    if (error != CL_SUCCESS) return ocl_fail(err, CST_UNSUPPORTED, "clGetDeviceIDs", error);
    if (ids_count > DEVICES_MAX) ids_count = DEVICES_MAX;
    if (id >= ids_count)
        return cst_fail(err, CST_UNSUPPORTED, "opencl:%s: platform %lu has %u devices, from 0",
                        path, platform, ids_count);
    device->id = ids[id];
    return CST_OK;
}

// ---- What it can do -----------------------------------------------------------------------------

static cst_code info(const ocl_device *device, cl_device_info what, const char *name, void *out,
                     size_t bytes, cst_err *err) {
    const cl_int error = device->cl.GetDeviceInfo(device->id, what, bytes, out, NULL);

    return error == CL_SUCCESS ? CST_OK : ocl_fail(err, CST_UNSUPPORTED, name, error);
}
#define INFO(DEVICE, WHAT, OUT, ERR) info(DEVICE, WHAT, #WHAT, OUT, sizeof *(OUT), ERR)

// What kernels need of a device beyond OpenCL 1.2.
static cst_code abilities_check(const ocl_device *device, cst_err *err) {
    cl_device_fp_config doubles = 0;
    cl_bool little = CL_FALSE, available = CL_FALSE;
    cst_code code = INFO(device, CL_DEVICE_ENDIAN_LITTLE, &little, err);

    if (code == CST_OK) code = INFO(device, CL_DEVICE_AVAILABLE, &available, err);
    if (code == CST_OK) code = INFO(device, CL_DEVICE_DOUBLE_FP_CONFIG, &doubles, err);
    if (code != CST_OK) return code;
    if (!available) return cst_fail(err, CST_UNSUPPORTED, "CL_DEVICE_AVAILABLE says no");
    if (!little) return cst_fail(err, CST_UNSUPPORTED, "a big-endian device");
    if (!(doubles & CL_FP_DENORM) || !(doubles & CL_FP_ROUND_TO_NEAREST))
        return cst_fail(err, CST_UNSUPPORTED, "a device without doubles of 64 bits (cl_khr_fp64)");
    return CST_OK;
}

static uint32_t bits_of(uint32_t number) {
    uint32_t bits = PARTITIONS_BITS_MIN;

    while (bits < PARTITIONS_BITS_MAX && UINT32_C(1) << bits < number) bits++;
    return bits;
}

static cst_code limits_take(ocl_device *device, cst_err *err) {
    cst_capabilities *can = &device->base.capabilities;
    cl_command_queue_properties queues = 0;
    cl_device_type type = 0;
    cl_ulong alloc = 0, memory = 0;
    cl_uint units = 0;
    char name[NAME_BYTES] = "";
    cst_code code = INFO(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, &alloc, err);

    if (code == CST_OK) code = INFO(device, CL_DEVICE_GLOBAL_MEM_SIZE, &memory, err);
    if (code == CST_OK) code = INFO(device, CL_DEVICE_MAX_COMPUTE_UNITS, &units, err);
    if (code == CST_OK) code = INFO(device, CL_DEVICE_QUEUE_PROPERTIES, &queues, err);
    if (code == CST_OK) code = INFO(device, CL_DEVICE_TYPE, &type, err);
    if (code == CST_OK) code = INFO(device, CL_DEVICE_NAME, &name, err);
    if (code != CST_OK) return code;
    device->alloc_bytes_max = alloc;
    device->is_processor = type & CL_DEVICE_TYPE_CPU;
    device->out_of_order = queues & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    if (units > COUNTS_MAX / UNIT_PARTITIONS) units = COUNTS_MAX / UNIT_PARTITIONS;
    device->partitions_bits = bits_of(units * UNIT_PARTITIONS);
    device->tiles = units * UNIT_TILES;
    if (device->tiles > (uint32_t)COUNTS_MAX >> device->partitions_bits)
        device->tiles = (uint32_t)COUNTS_MAX >> device->partitions_bits;
    *can = (cst_capabilities){
        .ops = (1u << CST_OPS_COUNT) - 1,
        .key_bytes_max = CST_INLINE_KEY_BYTES_MAX,
        .entry_bytes_max = CST_INLINE_ENTRY_BYTES_MAX,
        .queue_depth_max = CST_QUEUE_DEPTH_MAX,
        .batch_rows_max = CST_BATCH_ROWS_MAX,
        .memory_bytes = memory,
        .numa_node = -1,
    };
    (void)snprintf(can->name, sizeof can->name, "OpenCL, %.*s", (int)sizeof can->name - 12, name);
    return CST_OK;
}

static cst_code context_make(ocl_device *device, cst_err *err) {
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)device->platform, 0};
    cl_int error = CL_SUCCESS;

    device->context = device->cl.CreateContext(properties, 1, &device->id, NULL, NULL, &error);
    return error == CL_SUCCESS ? CST_OK : ocl_fail(err, CST_UNSUPPORTED, "clCreateContext", error);
}

static void opencl_close(cst_device *base) {
    ocl_device *device = (ocl_device *)base;

    if (device->program) (void)device->cl.ReleaseProgram(device->program);
    if (device->context) (void)device->cl.ReleaseContext(device->context);
    free(device);
}

typedef struct opencl_parameters {
    const char *library, *binary, *cache;
    uint64_t piece_rows, profile;
} opencl_parameters;

static cst_code parameters_take(csti_uri *uri, opencl_parameters *out, cst_err *err) {
    cst_code code;

    *out = (opencl_parameters){.piece_rows = OCL_PIECE_ROWS_MAX};
    csti_uri_take_text(uri, "library", &out->library);
    csti_uri_take_text(uri, "binary", &out->binary);
    csti_uri_take_text(uri, "cache", &out->cache);
    code = csti_uri_take_u64(uri, "piece_rows", OCL_PIECE_ROWS_MAX, &out->piece_rows, err);
    if (code == CST_OK) code = csti_uri_take_u64(uri, "profile", 1, &out->profile, err);
    if (code == CST_OK)
        code =
            csti_uri_check_empty(uri,
                                 "binary=FILE, cache=FOLDER|none, library, piece_rows, profile=0|1",
                                 err);
    if (code == CST_OK && (out->piece_rows < 8 || out->piece_rows % 8 != 0))
        code = cst_fail(err, CST_DEVICE_URI, "piece_rows=%u: a multiple of 8 from 8 to %d",
                        (unsigned)out->piece_rows, OCL_PIECE_ROWS_MAX);
    return code;
}

static cst_code opencl_open(csti_uri *uri, cst_device **out, cst_err *err) {
    ocl_device *device = calloc(1, sizeof *device);
    opencl_parameters given;
    cst_code code;

    if (!device) return cst_fail(err, CST_NO_MEMORY, "device opencl:");
    code = parameters_take(uri, &given, err);
    if (code == CST_OK) code = ocl_api_load(given.library, &device->cl, err);
    if (code == CST_OK) code = device_find(device, uri->path, err);
    if (code == CST_OK) code = abilities_check(device, err);
    if (code == CST_OK) code = limits_take(device, err);
    if (code == CST_OK) code = context_make(device, err);
    if (code == CST_OK) code = ocl_program_make(device, given.binary, given.cache, err);
    if (code != CST_OK) {
        opencl_close(&device->base);
        return code;
    }
    device->piece_rows = (uint32_t)given.piece_rows;
    device->profiles = given.profile == 1;
    *out = &device->base;
    return CST_OK;
}

// ---- Queues -------------------------------------------------------------------------------------

static void commands_free(ocl_queue *queue) {
    const ocl_calls *cl = &queue->device->cl;

    if (queue->commands) (void)cl->ReleaseCommandQueue(queue->commands);
    if (queue->transfers) (void)cl->ReleaseCommandQueue(queue->transfers);
    queue->commands = queue->transfers = NULL;
}

static void queue_free(ocl_queue *queue) {
    const ocl_calls *cl = &queue->device->cl;

    ocl_profile_close(queue);
    if (queue->last) (void)cl->ReleaseEvent(queue->last);
    for (int k = 0; k < OCL_KERNELS_COUNT; k++)
        if (queue->kernels[k]) (void)cl->ReleaseKernel(queue->kernels[k]);
    ocl_memory_free(queue->device, &queue->input);
    ocl_memory_free(queue->device, &queue->work);
    ocl_memory_free(queue->device, &queue->nothing);
    ocl_downloads_drop(queue);
    commands_free(queue);
    csti_spsc_ring_close(&queue->completions);
    free(queue->entries);
    free(queue->downloads);
    free(queue->places);
    free(queue);
}

// Work-items of a group: of one group as many as it may have; else a multiple of what the device
// runs at once.
static cst_code local_find(ocl_queue *queue, ocl_kernel which, bool one_group, cst_err *err) {
    const ocl_device *device = queue->device;
    const bool long_items = which == OCL_KERNEL_apply || which == OCL_KERNEL_undo ||
                            which == OCL_KERNEL_part_count || which == OCL_KERNEL_part_scatter;
    const size_t wanted = one_group ? OCL_GROUP_ITEMS_MAX : long_items ? 1 : ROW_ITEMS;
    size_t most = 1, multiple = 1;
    cl_int error =
        device->cl.GetKernelWorkGroupInfo(queue->kernels[which], device->id,
                                          CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);

    if (error == CL_SUCCESS)
        error = device->cl.GetKernelWorkGroupInfo(queue->kernels[which], device->id,
                                                  CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
                                                  sizeof multiple, &multiple, NULL);
    if (error != CL_SUCCESS)
        return ocl_fail(err, CST_UNSUPPORTED, "clGetKernelWorkGroupInfo", error);
    if (multiple == 0 || multiple > most) multiple = 1;
    queue->locals[which] = (wanted + multiple - 1) / multiple * multiple;
    if (queue->locals[which] > most) queue->locals[which] = most;
    if (one_group && queue->locals[which] > OCL_GROUP_ITEMS_MAX)
        queue->locals[which] = OCL_GROUP_ITEMS_MAX;
    return CST_OK;
}

static cst_code kernels_make(ocl_queue *queue, cst_err *err) {
    static const struct {
        const char *name;
        bool one_group;
    } kernels[] = {
#define KERNEL_ROW(NAME, ONE_GROUP) {#NAME, ONE_GROUP},
        OCL_KERNELS(KERNEL_ROW)
#undef KERNEL_ROW
    };
    const ocl_device *device = queue->device;
    cst_code code = CST_OK;

    for (int k = 0; k < OCL_KERNELS_COUNT && code == CST_OK; k++) {
        cl_int error = CL_SUCCESS;

        queue->kernels[k] = device->cl.CreateKernel(device->program, kernels[k].name, &error);
        if (error != CL_SUCCESS)
            return cst_fail(err, CST_UNSUPPORTED, "kernel %s: clCreateKernel: %s (%d)",
                            kernels[k].name, ocl_error_name(error), error);
        code = local_find(queue, (ocl_kernel)k, kernels[k].one_group, err);
    }
    return code;
}

static cst_code commands_make(ocl_queue *queue, cst_err *err) {
    const ocl_device *device = queue->device;
    cl_command_queue_properties properties = 0;
    cl_int error = CL_SUCCESS;

    if (device->out_of_order) properties |= CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    if (device->profiles) properties |= CL_QUEUE_PROFILING_ENABLE;
    queue->commands =
        device->cl.CreateCommandQueue(device->context, device->id, properties, &error);
    if (error == CL_SUCCESS)
        queue->transfers = device->cl.CreateCommandQueue(device->context, device->id, 0, &error);
    if (error == CL_SUCCESS) return CST_OK;
    return ocl_fail(err, CST_UNSUPPORTED, "clCreateCommandQueue", error);
}

static cst_code opencl_queue_open(cst_device *base, uint32_t depth, cst_queue **out, cst_err *err) {
    ocl_queue *queue = aligned_alloc(CSTI_SPSC_LINE_BYTES, sizeof *queue);
    cst_code code;

    if (!queue) return cst_fail(err, CST_NO_MEMORY, "a queue");
    memset(queue, 0, sizeof *queue);
    queue->device = (ocl_device *)base;
    queue->executor.codec = csti_codec_for(CSTI_CPU_SCALAR);
    queue->rows_max = queue->device->piece_rows;
    csti_parker_init(&queue->parker);
    code = csti_spsc_ring_open(&queue->completions, depth, sizeof(cst_completion), err);
    if (code == CST_OK) code = ocl_entries_open(queue, depth, err);
    if (code == CST_OK) code = commands_make(queue, err);
    if (code == CST_OK) code = ocl_profile_open(queue, err);
    if (code == CST_OK) code = kernels_make(queue, err);
    if (code == CST_OK) code = ocl_memory_reach(queue, &queue->nothing, OCL_ALIGN, false);
    if (code == CST_OK) code = ocl_memory_reach(queue, &queue->work, OCL_ALIGN, false);
    if (code != CST_OK) {
        queue_free(queue);
        return code;
    }
    *out = &queue->base;
    return CST_OK;
}

// What is in flight goes to its end.
static void queue_end(ocl_queue *queue) {
    while (queue->entries_first < queue->entries_end) {
        ocl_drain(queue);
        ocl_entries_advance(queue);
    }
    ocl_downloads_drain(queue);
    queue->executor.stopped = false;
}

static void opencl_queue_close(cst_queue *base) {
    ocl_queue *queue = (ocl_queue *)base;

    // Completions have room for all that is in flight.
    queue_end(queue);
    ocl_settle(queue);
    queue_free(queue);
}

static cst_code opencl_submit(cst_queue *base, const csti_entry_in_flight *entry, cst_err *err) {
    ocl_queue *queue = (ocl_queue *)base;

    if (queue->lost) return cst_queue_lost(base, err);
    ocl_entries_put(queue, entry);
    ocl_entries_advance(queue);
    return CST_OK;
}

// Nothing says to the poller's thread that a piece is done, and it naps for longer than most take:
// a little while is looked here. A device that hangs costs no more.
static uint32_t opencl_poll(cst_queue *base, cst_completion *out, uint32_t count_max) {
    ocl_queue *queue = (ocl_queue *)base;
    uint64_t now_ns = csti_clock_now_ns(csti_clock_real());
    const uint64_t until_ns = now_ns + OCL_POLL_NS;
    uint32_t count = 0;

    ocl_entries_advance(queue);
    while ((queue->running || ocl_download_waits(queue)) && now_ns < until_ns &&
           !ocl_front_ready(queue)) {
        (void)csti_park_until(&queue->parker, now_ns + OCL_LOOK_NS);
        ocl_entries_advance(queue);
        now_ns = csti_clock_now_ns(csti_clock_real());
    }
    while (count < count_max && ocl_front_ready(queue) &&
           csti_spsc_ring_pop(&queue->completions, &out[count]))
        count++;
    return count;
}

static cst_code opencl_wait(cst_queue *base, uint64_t deadline_ns) {
    ocl_queue *queue = (ocl_queue *)base;

    for (;;) {
        const uint64_t look_ns = csti_clock_now_ns(csti_clock_real()) + OCL_LOOK_NS;

        ocl_entries_advance(queue);
        if (ocl_front_ready(queue)) return CST_OK;
        if (deadline_ns == UINT64_MAX) {
            ocl_drain(queue);
            if (csti_spsc_ring_front(&queue->completions)) ocl_downloads_drain(queue);
            continue;
        }
        if (look_ns >= deadline_ns) return CST_AGAIN;
        (void)csti_park_until(&queue->parker, look_ns);
    }
}

// Of a lost device a new command queue may go on; what its tables hold is not known.
static cst_code opencl_reset(cst_device *base, cst_err *err) {
    for (cst_queue *head = base->queues; head; head = head->next) {
        ocl_queue *queue = (ocl_queue *)head;
        cst_code code;

        queue_end(queue);
        if (!queue->lost) continue;
        ocl_settle(queue);
        if (queue->last) (void)queue->device->cl.ReleaseEvent(queue->last);
        queue->last = NULL;
        ocl_downloads_drop(queue);
        commands_free(queue);
        code = commands_make(queue, err);
        if (code != CST_OK) return cst_fail(err, CST_DEVICE_LOST, "no queue after a reset");
        queue->lost = false;
    }
    return CST_OK;
}

// ---- Buffers: the host's own memory, as the processor's are -------------------------------------

static cst_code opencl_buffer_alloc(cst_device *device, size_t bytes, cst_device_buffer *out,
                                    cst_err *err) {
    return csti_device_cpu.buffer_alloc(device, bytes, out, err);
}

static void opencl_buffer_free(cst_device *device, cst_device_buffer *buffer) {
    csti_device_cpu.buffer_free(device, buffer);
}

static cst_code opencl_buffer_sync(cst_device *device, const cst_device_buffer *buffer,
                                   size_t offset, size_t bytes, cst_sync direction, cst_err *err) {
    return csti_device_cpu.buffer_sync(device, buffer, offset, bytes, direction, err);
}

// ---- Tables -------------------------------------------------------------------------------------

static void opencl_table_close(cst_device_table *base) {
    ocl_table *table = (ocl_table *)base;

    ocl_settle(table->queue);
    for (int r = 0; r < OCL_REGIONS; r++) ocl_memory_free(table->queue->device, &table->regions[r]);
    cst_table_close(table->cpu.image);
    free(table);
}

static cst_code opencl_table_open(cst_queue *queue, const cst_table_options *options,
                                  const cst_schema *keys, cst_device_table **out, cst_err *err) {
    ocl_table *table = calloc(1, sizeof *table);
    cst_code code;

    (void)keys;
    if (!table) return cst_fail(err, CST_NO_MEMORY, "a table");
    table->queue = (ocl_queue *)queue;
    table->host_newer = true;
    code = cst_table_open(options, &table->cpu.image, err);
    if (code == CST_OK) code = ocl_image_check(table->queue->device, table->cpu.image, err);
    if (code != CST_OK) {
        opencl_table_close(&table->cpu.base);
        return code;
    }
    *out = &table->cpu.base;
    return CST_OK;
}

static cst_code opencl_table_prepare(cst_device_table *base, cst_err *err) {
    return cst_table_prepare(((ocl_table *)base)->cpu.image, err);
}

// Whoever asks for the image may change it: the device is given it anew. Of a device that is lost
// there is none.
static cst_table *opencl_table_image(const cst_device_table *base) {
    ocl_table *table = (ocl_table *)base;

    if (ocl_image_fetch(table) != CST_OK) return NULL;
    table->host_newer = true;
    return table->cpu.image;
}

// The control block is always the host's; a delta's bytes are since its barrier.
static const cst_table *opencl_table_view(const cst_device_table *base) {
    return ((const ocl_table *)base)->cpu.image;
}

const csti_device_ops csti_device_opencl = {
    .scheme = "opencl",
    .open = opencl_open,
    .close = opencl_close,
    .reset = opencl_reset,
    .buffer_alloc = opencl_buffer_alloc,
    .buffer_free = opencl_buffer_free,
    .buffer_sync = opencl_buffer_sync,
    .queue_open = opencl_queue_open,
    .queue_close = opencl_queue_close,
    .table_open = opencl_table_open,
    .table_close = opencl_table_close,
    .table_prepare = opencl_table_prepare,
    .table_image = opencl_table_image,
    .table_view = opencl_table_view,
    .submit = opencl_submit,
    .poll = opencl_poll,
    .wait = opencl_wait,
};
