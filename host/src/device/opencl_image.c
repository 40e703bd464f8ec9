#include "device/opencl_internal.h"

#include "table/internal.h"
#include "table/log.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_INDEX_BYTES = CSTI_CHUNK_BUCKETS * (int)sizeof(csti_control_line),
    ROWS_WHOLE = 4096, // of a directory that is sent whole after each growth
};
static const csti_region host_regions[OCL_REGIONS] = {CSTI_REGION_DIRECTORY, CSTI_REGION_INDEX,
                                                      CSTI_REGION_SLOTS, CSTI_REGION_LOG};

// A region is one buffer, which may become as large as the host's.
cst_code ocl_image_check(const ocl_device *device, const cst_table *image, cst_err *err) {
    static const char *const names[OCL_REGIONS] = {"directory", "index", "slots", "log"};

    for (int r = 0; r < OCL_REGIONS; r++) {
        const uint64_t bytes = image->pages[host_regions[r]].reserved_bytes;

        if (r != OCL_DIRECTORY && bytes > device->alloc_bytes_max)
            return cst_fail(err, CST_LIMIT,
                            "a budget of %llu MiB: the %s may need a buffer of %llu MiB, and the "
                            "device's CL_DEVICE_MAX_MEM_ALLOC_SIZE is %llu MiB",
                            (unsigned long long)(image->budget_bytes >> 20), names[r],
                            (unsigned long long)(bytes >> 20),
                            (unsigned long long)(device->alloc_bytes_max >> 20));
    }
    return CST_OK;
}

// Bytes of each region that are in use.
static void regions_used(const cst_table *image, uint64_t *bytes_out) {
    const csti_control *control = image->control;

    bytes_out[OCL_DIRECTORY] = control->directory_rows * sizeof(csti_directory_row);
    bytes_out[OCL_INDEX] = (uint64_t)control->chunks_frontier * CHUNK_INDEX_BYTES;
    bytes_out[OCL_SLOTS] = (uint64_t)control->chunks_frontier * image->chunk_slot_bytes;
    bytes_out[OCL_LOG] = (uint64_t)control->log_segments_frontier << image->log_segment_shift;
}

static uint8_t *region_base(const cst_table *image, int region) {
    return image->pages[host_regions[region]].base;
}

// ---- The log ------------------------------------------------------------------------------------

typedef enum log_way { LOG_TO_DEVICE, LOG_TO_HOST, LOG_DOWNLOAD } log_way;

// Log bytes [from, to), segment by segment; `ticket`: of the barrier whose download they are.
static void log_move(ocl_table *table, uint64_t from, uint64_t to, log_way way, uint64_t ticket) {
    const cst_table *image = table->cpu.image;
    const uint64_t segment_bytes = UINT64_C(1) << image->log_segment_shift;
    const ocl_memory *log = &table->regions[OCL_LOG];

    while (from < to) {
        const uint64_t end = (from | (segment_bytes - 1)) + 1;
        const size_t bytes = (size_t)((end < to ? end : to) - from);
        uint8_t *host = (uint8_t *)csti_log_record(image, from);
        const uint64_t at = (uint64_t)(host - image->log);

        if (way == LOG_TO_DEVICE)
            ocl_write(table->queue, log, at, host, bytes);
        else if (way == LOG_TO_HOST)
            ocl_read(table->queue, log, at, host, bytes);
        else
            ocl_download_read(table->queue, ticket, log, at, host, bytes);
        from += bytes;
    }
}

static cst_code places_reach(ocl_queue *queue, uint64_t count) {
    uint32_t *grown;

    if (count <= queue->places_capacity) return CST_OK;
    if (count > UINT32_MAX / 8) return CST_LIMIT;
    grown = realloc(queue->places, count * 2 * sizeof *grown);
    if (!grown) return CST_NO_MEMORY;
    queue->places = grown;
    queue->places_capacity = (uint32_t)count * 2;
    return CST_OK;
}

// The places of segments that records would take, were they appended; as csti_log_check has it.
typedef struct log_walk {
    const cst_table *image;
    uint64_t used_bytes;
    uint32_t frontier, free_first, free_count;
} log_walk;

static cst_code segment_take(log_walk *walk, uint64_t segment, uint32_t *place_out) {
    const cst_table *image = walk->image;
    const uint64_t segment_bytes = UINT64_C(1) << image->log_segment_shift;
    const uint64_t live = segment - (image->control->log_floor >> image->log_segment_shift);
    const uint32_t places_max = image->log_segments_max;

    if (live >= places_max) return CST_TABLE_BUDGET;
    if (walk->free_count > 0) {
        *place_out = image->log_free[walk->free_first];
        walk->free_first = (walk->free_first + 1) & (places_max - 1);
        walk->free_count--;
        return CST_OK;
    }
    if (walk->frontier >= places_max || walk->used_bytes + segment_bytes > image->budget_bytes)
        return CST_TABLE_BUDGET;
    if ((walk->frontier + UINT64_C(1)) * segment_bytes > csti_ready_bytes(image, CSTI_REGION_LOG))
        return CST_TABLE_NOT_READY;
    walk->used_bytes += segment_bytes;
    *place_out = walk->frontier++;
    return CST_OK;
}

// Records from `offset` on, up to the end of a segment.
static uint64_t records_until(uint64_t offset, uint64_t end, uint32_t bytes) {
    const uint64_t line_end = (offset | (CSTI_LOG_LINE - 1)) + 1;

    return (line_end - offset) / bytes + (end - line_end) / CSTI_LOG_LINE * (CSTI_LOG_LINE / bytes);
}

cst_code ocl_log_plan(ocl_table *table, uint32_t wanted, ocl_pass *pass, uint32_t *places_count) {
    ocl_queue *queue = table->queue;
    const cst_table *image = table->cpu.image;
    const csti_control *control = image->control;
    const uint32_t bytes = image->entry_bytes, shift = image->log_segment_shift;
    const uint64_t mapped = csti_log_mapped_end(image, control->log_tail) >> shift;
    log_walk walk = {image, csti_used_bytes(image), control->log_segments_frontier,
                     control->log_free_first, control->log_free_count};
    uint64_t segment = control->epoch_first >> shift, count = 0;
    cst_code code = CST_OK;

    pass->log_first = segment;
    code = places_reach(queue, (mapped > segment ? mapped - segment : 0) + 3 +
                                   ((uint64_t)wanted * 2 * bytes >> shift));
    if (code != CST_OK) return code;
    for (; segment < mapped; segment++)
        queue->places[segment - pass->log_first] =
            image->log_map[segment & (image->log_segments_max - 1)];
    pass->appends_code = CST_OK;
    while (count < wanted) {
        const uint64_t offset = ocl_record_offset(control->log_tail, bytes, (uint32_t)count);

        if (offset >> shift >= mapped) {
            segment = offset >> shift;
            code = segment_take(&walk, segment, &queue->places[segment - pass->log_first]);
            if (code != CST_OK) break;
            segment++;
        }
        count += records_until(offset, ((offset >> shift) + 1) << shift, bytes);
    }
    pass->appends_max = code == CST_OK ? UINT32_MAX : (uint32_t)count;
    pass->appends_code = (uint32_t)code;
    pass->log_tail = control->log_tail;
    *places_count = (uint32_t)(segment - pass->log_first);
    return ocl_memory_reach(queue, &table->regions[OCL_LOG], (uint64_t)walk.frontier << shift,
                            true);
}

void ocl_log_commit(ocl_table *table, uint32_t count) {
    cst_table *image = table->cpu.image;
    const uint32_t bytes = image->entry_bytes;

    if (count == 0) return;
    csti_log_extend(image, ocl_record_offset(image->control->log_tail, bytes, count - 1) + bytes);
}

// ---- All of it ----------------------------------------------------------------------------------

cst_code ocl_image_load(ocl_table *table) {
    const cst_table *image = table->cpu.image;
    const csti_control *control = image->control;
    uint64_t bytes[OCL_REGIONS];

    regions_used(image, bytes);
    for (int r = 0; r < OCL_REGIONS; r++) {
        const cst_code code =
            ocl_memory_reach(table->queue, &table->regions[r], bytes[r], !table->host_newer);

        if (code != CST_OK) return code;
    }
    if (!table->host_newer) return CST_OK;
    for (int r = 0; r < OCL_LOG; r++)
        ocl_write(table->queue, &table->regions[r], 0, region_base(image, r), bytes[r]);
    // The host has the rest, for good.
    log_move(table, control->epoch_first, control->log_tail, LOG_TO_DEVICE, 0);
    table->log_clean = control->epoch_first;
    table->host_newer = table->device_newer = false;
    return ocl_finish(table->queue);
}

cst_code ocl_image_fetch_log(ocl_table *table) {
    const csti_control *control = table->cpu.image->control;

    ocl_downloads_drain(table->queue);
    if (table->host_newer) return CST_OK;
    log_move(table, table->log_clean, control->log_tail, LOG_TO_HOST, 0);
    table->log_clean = control->epoch_first;
    return ocl_finish(table->queue);
}

cst_delta ocl_image_seal(ocl_table *table, uint64_t ticket) {
    cst_table *image = table->cpu.image;
    cst_delta delta;

    if (!table->host_newer)
        log_move(table, table->log_clean, image->control->log_tail, LOG_DOWNLOAD, ticket);
    ocl_download_send(table->queue);
    delta = cst_table_seal(image);
    table->log_clean = delta.to;
    return delta;
}

cst_code ocl_image_fetch(ocl_table *table) {
    const cst_table *image = table->cpu.image;
    uint64_t bytes[OCL_REGIONS];

    if (table->host_newer || !table->device_newer) return CST_OK;
    regions_used(image, bytes);
    for (int r = OCL_INDEX; r < OCL_LOG; r++)
        ocl_read(table->queue, &table->regions[r], 0, region_base(image, r), bytes[r]);
    table->device_newer = false;
    return ocl_image_fetch_log(table);
}

// ---- Growth -------------------------------------------------------------------------------------

static void chunks_move(ocl_table *table, const csti_directory_row *row, bool to_device) {
    const cst_table *image = table->cpu.image;
    const size_t chunk_bytes[] = {CHUNK_INDEX_BYTES, image->chunk_slot_bytes};

    for (uint32_t c = 0; c < row->chunks; c++)
        for (int r = OCL_INDEX; r <= OCL_SLOTS; r++) {
            const size_t bytes = chunk_bytes[r - OCL_INDEX];
            const uint64_t at = row->chunk[c] * (uint64_t)bytes;

            if (to_device)
                ocl_write(table->queue, &table->regions[r], at, region_base(image, r) + at, bytes);
            else
                ocl_read(table->queue, &table->regions[r], at, region_base(image, r) + at, bytes);
        }
}

// The rows that lead to the segments of `hash`, of a depth, and those from `ahead` on.
static void directory_send(ocl_table *table, uint64_t hash, uint32_t depth, uint32_t ahead) {
    const cst_table *image = table->cpu.image;
    const ocl_memory *directory = &table->regions[OCL_DIRECTORY];
    const uint32_t rows = image->control->directory_rows;
    const size_t bytes = sizeof(csti_directory_row);

    if (rows <= ROWS_WHOLE) {
        ocl_write(table->queue, directory, 0, image->directory, rows * bytes);
        return;
    }
    for (uint64_t row = hash & ((UINT64_C(1) << depth) - 1); row < rows;
         row += UINT64_C(1) << depth)
        ocl_write(table->queue, directory, row * bytes, image->directory + row, bytes);
    if (ahead < rows)
        ocl_write(table->queue, directory, ahead * bytes, image->directory + ahead,
                  (rows - ahead) * bytes);
}

// On the host: its segment is fetched, and what became of it put back.
cst_code ocl_image_grow(ocl_table *table, uint64_t hash) {
    cst_table *image = table->cpu.image;
    const uint32_t rows = image->control->directory_rows;
    const csti_directory_row before = *csti_directory_find(image, hash);
    uint64_t bytes[OCL_REGIONS];
    cst_code code, moved;

    if (table->host_newer) return cst_table_grow(image, hash);
    chunks_move(table, &before, false);
    code = ocl_finish(table->queue);
    if (code != CST_OK) return code;
    code = cst_table_grow(image, hash);
    regions_used(image, bytes);
    for (int r = 0; r < OCL_LOG; r++) {
        moved = ocl_memory_reach(table->queue, &table->regions[r], bytes[r], true);
        if (moved != CST_OK) return moved;
    }
    chunks_move(table, &before, true);
    if (code == CST_OK) {
        chunks_move(table, csti_directory_find(image, hash), true);
        chunks_move(table, csti_directory_find(image, hash ^ UINT64_C(1) << before.depth), true);
    }
    directory_send(table, hash, before.depth, rows);
    moved = ocl_finish(table->queue);
    return moved == CST_OK ? code : moved;
}
