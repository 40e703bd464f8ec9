#include "base/fault_point.h"
#include "stream/wal_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

// ---- Open, close --------------------------------------------------------------------------------

static cst_code options_check(const csti_wal_options *given, csti_wal_options *out, cst_err *err) {
    const size_t job_bytes = strlen(given->job);

    *out = *given;
    if (out->memory_bytes == 0) out->memory_bytes = CSTI_WAL_MEMORY_BYTES;
    if (out->file_bytes == 0) out->file_bytes = CSTI_WAL_FILE_BYTES;
    if (out->disk_bytes_max == 0) out->disk_bytes_max = CSTI_WAL_DISK_BYTES_MAX;
    out->memory_bytes &= ~(uint64_t)(CSTI_WAL_FRAME_ALIGNMENT - 1);
    if (job_bytes == 0 || job_bytes > CSTI_WAL_JOB_BYTES_MAX || given->tenure == 0)
        return cst_fail(err, CST_USAGE, "a job's name of %zu bytes, tenure %" PRIu64, job_bytes,
                        given->tenure);
    if (out->memory_bytes < CSTI_WAL_MEMORY_BYTES_MIN ||
        out->file_bytes < out->memory_bytes + CSTI_WAL_HEADER_BYTES + CSTI_WAL_MARK_BYTES ||
        out->disk_bytes_max / 4 < out->file_bytes)
        return cst_fail(err, CST_LIMIT,
                        "%s: memory of %" PRIu64 " bytes, files of %" PRIu64 " and a bound of "
                        "%" PRIu64 ": memory has to be %d or more and fit a file, four files the "
                        "bound",
                        given->folder, out->memory_bytes, out->file_bytes, out->disk_bytes_max,
                        CSTI_WAL_MEMORY_BYTES_MIN);
    return CST_OK;
}

static cst_code metrics_register(csti_wal *wal, cst_err *err) {
    csti_wal_metrics *m = &wal->metrics;
    const csti_metric_row rows[] = {
        {&m->records, CSTI_METRIC_COUNTER, "constellation_wal_records_total",
         "Records written to the write-ahead log."},
        {&m->bytes, CSTI_METRIC_COUNTER, "constellation_wal_written_bytes_total",
         "Bytes written to the write-ahead log."},
        {&m->groups, CSTI_METRIC_COUNTER, "constellation_wal_groups_total",
         "Groups of records that were written together."},
        {&m->group_bytes, CSTI_METRIC_HISTOGRAM, "constellation_wal_group_bytes",
         "Bytes of a group."},
        {&m->syncs, CSTI_METRIC_COUNTER, "constellation_wal_syncs_total",
         "Syncs of the write-ahead log."},
        {&m->sync_time, CSTI_METRIC_HISTOGRAM, "constellation_wal_sync_seconds",
         "How long a sync takes."},
        {&m->rolls, CSTI_METRIC_COUNTER, "constellation_wal_rolls_total",
         "Files begun because one was full."},
        {&m->used, CSTI_METRIC_GAUGE, "constellation_wal_used_bytes",
         "Bytes of the write-ahead log's files."},
        {&m->limit, CSTI_METRIC_GAUGE, "constellation_wal_limit_bytes",
         "What they may be together; from 80% on sources slow down."},
    };
    cst_code code;

    if (!wal->options.metrics) return CST_OK;
    code =
        csti_metrics_register_rows(wal->options.metrics, rows, sizeof rows / sizeof *rows, "", err);
    if (code == CST_OK) csti_metric_set(m->limit, (int64_t)wal->options.disk_bytes_max);
    return code;
}

// From what recovery found to what the writer goes on with.
static void recovered_take(csti_wal *wal, const csti_wal_recovered *found) {
    uint64_t disk_bytes = 0;

    wal->parts = found->parts;
    wal->parts_count = wal->parts_capacity = found->parts_count;
    wal->strays = found->strays;
    wal->strays_count = found->strays_count;
    for (size_t i = 0; i < found->parts_count; i++) disk_bytes += found->parts[i].bytes;
    for (size_t i = 0; i < found->strays_count; i++) disk_bytes += found->strays[i].bytes;
    wal->file = found->file;
    wal->file.prepared_bytes_max = wal->options.file_bytes;
    wal->nonce = found->nonce;
    wal->next = wal->group_position = wal->marked = found->next;
    atomic_init(&wal->written, found->next);
    atomic_init(&wal->durable, found->next);
    atomic_init(&wal->disk_bytes, disk_bytes);
}

static void wal_free(csti_wal *wal) {
    csti_wal_file_close(&wal->folder, &wal->file);
    csti_wal_folder_close(&wal->folder);
    (void)pthread_mutex_destroy(&wal->files_lock);
    free((char *)(uintptr_t)wal->options.job);
    free(wal->strays);
    free(wal->parts);
    free(wal->ring);
    free(wal);
}

// Everything but the thread.
static cst_code wal_prepare(csti_wal *wal, const csti_wal_options *options, csti_wal_report *report,
                            cst_err *err) {
    csti_wal_recovered found;
    cst_code code;

    wal->options.folder = NULL; // the caller's; `folder` has it
    wal->options.job = strdup(options->job);
    wal->ring = malloc(wal->options.memory_bytes);
    if (!wal->options.job || !wal->ring)
        return cst_fail(err, CST_NO_MEMORY, "%" PRIu64 " bytes for %s", wal->options.memory_bytes,
                        options->folder);
    code = metrics_register(wal, err);
    if (code == CST_OK) code = csti_wal_folder_open(options->folder, &wal->folder, err);
    if (code == CST_OK) code = csti_wal_recover(&wal->options, &wal->folder, &found, report, err);
    if (code == CST_OK) recovered_take(wal, &found);
    return code;
}

cst_code csti_wal_open(const csti_wal_options *options, csti_wal **out, csti_wal_report *report_out,
                       cst_err *err) {
    csti_wal_report report = {0};
    csti_wal_options checked;
    cst_code code = options_check(options, &checked, err);
    csti_wal *wal;

    if (code != CST_OK) return code;
    wal = aligned_alloc(_Alignof(csti_wal), sizeof *wal);
    if (!wal) return cst_fail(err, CST_NO_MEMORY, "the write-ahead log in %s", options->folder);
    memset(wal, 0, sizeof *wal);
    wal->options = checked;
    wal->folder.fd = wal->file.fd = -1;
    (void)pthread_mutex_init(&wal->files_lock, NULL);
    csti_parker_init(&wal->writer);
    csti_parker_init(&wal->flusher);
    code = wal_prepare(wal, options, &report, err);
    if (code == CST_OK && pthread_create(&wal->thread, NULL, csti_wal_writer_main, wal) != 0)
        code = cst_fail(err, CST_NO_MEMORY, "the thread that writes %s", options->folder);
    if (code != CST_OK) {
        wal_free(wal);
        return code;
    }
    if (report_out) *report_out = report;
    *out = wal;
    return CST_OK;
}

void csti_wal_close(csti_wal *wal) {
    if (!wal) return;
    csti_wal_submit(wal);
    atomic_store_explicit(&wal->stop, true, memory_order_release);
    csti_unpark(&wal->writer);
    (void)pthread_join(wal->thread, NULL);
    wal_free(wal);
}

// ---- Append -------------------------------------------------------------------------------------

static uint64_t disk_used(const csti_wal *wal) {
    // Acquire: bytes move from `charged` to disk_bytes, there first.
    const uint64_t taken = atomic_load_explicit(&wal->charges_taken, memory_order_acquire);
    const uint64_t charged = atomic_load_explicit(&wal->charged, memory_order_relaxed);

    return atomic_load_explicit(&wal->disk_bytes, memory_order_relaxed) + charged - taken;
}

// Whether the ring has room; if not, the writer says when it has.
static bool has_memory(csti_wal *wal, uint64_t bytes) {
    const uint64_t room = wal->options.memory_bytes - bytes;

    // Acquire pairs with the release in group_write: it has done with those bytes.
    if (wal->appended - atomic_load_explicit(&wal->taken, memory_order_acquire) <= room)
        return true;
    atomic_store(&wal->starved, true);
    return wal->appended - atomic_load(&wal->taken) <= room;
}

// Release pairs with the acquire in group_write: the frames' bytes.
static void offer(csti_wal *wal) {
    atomic_store_explicit(&wal->offered, wal->appended, memory_order_release);
}

cst_code csti_wal_append(csti_wal *wal, uint16_t kind, const void *payload, uint32_t payload_bytes,
                         uint64_t *position_out, cst_err *err) {
    const uint64_t bytes = csti_wal_frame_bytes(payload_bytes);
    const uint64_t charge = bytes + CSTI_WAL_MARK_BYTES;
    const uint8_t zeros[CSTI_WAL_FRAME_ALIGNMENT] = {0};
    const csti_wal_head head = {.payload_bytes = payload_bytes,
                                .position = wal->next,
                                .kind = kind,
                                .type = CSTI_WAL_RECORD};
    uint64_t at = wal->appended;

    if (atomic_load_explicit(&wal->failed, memory_order_acquire)) return csti_wal_failure(wal, err);
    if (payload_bytes > CSTI_WAL_PAYLOAD_BYTES_MAX || bytes > wal->options.memory_bytes)
        return cst_fail(err, CST_LIMIT,
                        "%s: a record of %" PRIu32 " bytes, and the most is %" PRIu64,
                        wal->folder.path, payload_bytes,
                        wal->options.memory_bytes - CSTI_WAL_HEAD_BYTES < CSTI_WAL_PAYLOAD_BYTES_MAX
                            ? wal->options.memory_bytes - CSTI_WAL_HEAD_BYTES
                            : CSTI_WAL_PAYLOAD_BYTES_MAX);
    if (disk_used(wal) + charge + CSTI_WAL_DISK_SPARE_BYTES > wal->options.disk_bytes_max)
        return cst_fail(err, CST_WAL_FULL,
                        "%s: its files have %" PRIu64 " bytes of %" PRIu64 ": no checkpoint has "
                        "made room yet",
                        wal->folder.path, disk_used(wal), wal->options.disk_bytes_max);
    if (!has_memory(wal, bytes)) return CST_AGAIN;
    csti_wal_ring_put(wal, at, &head, sizeof head);
    at += sizeof head;
    csti_wal_ring_put(wal, at, payload, payload_bytes);
    at += payload_bytes;
    csti_wal_ring_put(wal, at, zeros, wal->appended + bytes - at);
    wal->appended += bytes;
    atomic_store_explicit(&wal->charged,
                          atomic_load_explicit(&wal->charged, memory_order_relaxed) + charge,
                          memory_order_relaxed);
    *position_out = wal->next++;
    if (wal->appended - atomic_load_explicit(&wal->offered, memory_order_relaxed) >=
        CSTI_WAL_EARLY_BYTES) {
        offer(wal);
        csti_unpark(&wal->writer);
    }
    return CST_OK;
}

void csti_wal_submit(csti_wal *wal) {
    if (atomic_load_explicit(&wal->submitted, memory_order_relaxed) == wal->appended) return;
    offer(wal);
    // Release pairs with the acquire in sync_is_due: what is submitted has been offered.
    atomic_store_explicit(&wal->submitted, wal->appended, memory_order_release);
    csti_unpark(&wal->writer);
}

cst_code csti_wal_flush(csti_wal *wal, cst_err *err) {
    csti_wal_submit(wal);
    atomic_store(&wal->sync_wanted, wal->next);
    csti_unpark(&wal->writer);
    while (csti_wal_durable(wal) < wal->next) {
        const cst_code code = csti_wal_failure(wal, err);

        if (code != CST_OK) return code;
        csti_park(&wal->flusher);
    }
    return CST_OK;
}

// ---- What is known ------------------------------------------------------------------------------

uint64_t csti_wal_written(const csti_wal *wal) {
    return atomic_load_explicit(&wal->written, memory_order_acquire);
}

uint64_t csti_wal_durable(const csti_wal *wal) {
    return atomic_load_explicit(&wal->durable, memory_order_acquire);
}

uint64_t csti_wal_safe(const csti_wal *wal) {
    return wal->options.interval_ns == 0 ? csti_wal_durable(wal) : csti_wal_written(wal);
}

cst_code csti_wal_failure(const csti_wal *wal, cst_err *err) {
    if (!atomic_load_explicit(&wal->failed, memory_order_acquire)) return CST_OK;
    if (err) *err = wal->failure;
    return wal->failure.code;
}

void csti_wal_stats_read(const csti_wal *wal, csti_wal_stats *out) {
    csti_wal *self = (csti_wal *)(uintptr_t)wal; // the lock's
    // Acquire: what is offered is looked at behind it, and so is no less.
    const uint64_t taken = atomic_load_explicit(&wal->taken, memory_order_acquire);

    (void)pthread_mutex_lock(&self->files_lock);
    out->files = wal->parts_count;
    (void)pthread_mutex_unlock(&self->files_lock);
    out->used_bytes = disk_used(wal);
    out->disk_bytes_max = wal->options.disk_bytes_max;
    out->memory_bytes = wal->options.memory_bytes;
    out->memory_used_bytes = atomic_load_explicit(&wal->offered, memory_order_relaxed) - taken;
    out->syncs = atomic_load_explicit(&wal->syncs, memory_order_relaxed);
    out->rolls = atomic_load_explicit(&wal->rolls, memory_order_relaxed);
}

uint32_t csti_wal_used_percent(const csti_wal *wal) {
    return (uint32_t)(disk_used(wal) * 100 / wal->options.disk_bytes_max);
}

// ---- Files --------------------------------------------------------------------------------------

bool csti_wal_part_find(csti_wal *wal, uint64_t position, csti_wal_part *out) {
    bool found = false;

    (void)pthread_mutex_lock(&wal->files_lock);
    for (size_t i = 0; i < wal->parts_count && !found; i++) {
        found = wal->parts[i].name.base <= position && position < wal->parts[i].end;
        if (found) *out = wal->parts[i];
    }
    (void)pthread_mutex_unlock(&wal->files_lock);
    return found;
}

cst_code csti_wal_part_add(csti_wal *wal, const csti_wal_part *part, cst_err *err) {
    cst_code code = CST_OK;

    (void)pthread_mutex_lock(&wal->files_lock);
    if (wal->parts_count == wal->parts_capacity) {
        const size_t capacity = 2 * wal->parts_capacity;
        csti_wal_part *parts = realloc(wal->parts, capacity * sizeof *parts);

        if (parts) {
            wal->parts = parts;
            wal->parts_capacity = capacity;
        } else {
            code = cst_fail(err, CST_NO_MEMORY, "the files in %s", wal->folder.path);
        }
    }
    if (code == CST_OK) {
        csti_wal_part *last = &wal->parts[wal->parts_count - 1];

        last->end = part->name.base;
        last->bytes = wal->file.bytes;
        wal->parts[wal->parts_count++] = *part;
    }
    (void)pthread_mutex_unlock(&wal->files_lock);
    return code;
}

// The oldest part, if it may go.
static bool oldest_is_below(csti_wal *wal, uint64_t position, csti_wal_part *out) {
    bool below;

    (void)pthread_mutex_lock(&wal->files_lock);
    assert(wal->parts_count > 0);
    *out = wal->parts[0];
    below = out->end <= position && out->end != CSTI_WAL_NO_END;
    (void)pthread_mutex_unlock(&wal->files_lock);
    return below;
}

static void oldest_forget(csti_wal *wal) {
    (void)pthread_mutex_lock(&wal->files_lock);
    wal->parts_count--;
    memmove(wal->parts, wal->parts + 1, wal->parts_count * sizeof *wal->parts);
    (void)pthread_mutex_unlock(&wal->files_lock);
}

// This owner's file has its name, and it has committed since: whoever claims the job later sees it
// in the folder, and follows it. So what is no part of this log is none of any later one's.
static cst_code strays_delete(csti_wal *wal, cst_err *err) {
    while (wal->strays_count > 0) {
        const csti_wal_part *stray = &wal->strays[wal->strays_count - 1];
        const cst_code code = csti_wal_folder_delete(&wal->folder, stray->name, err);

        if (code != CST_OK) return code;
        CSTI_FAULT_POINT(wal_deleting);
        atomic_fetch_sub_explicit(&wal->disk_bytes, stray->bytes, memory_order_relaxed);
        wal->strays_count--;
    }
    return CST_OK;
}

cst_code csti_wal_truncate(csti_wal *wal, uint64_t position, cst_err *err) {
    csti_wal_part oldest;
    cst_code code = strays_delete(wal, err);

    while (code == CST_OK && oldest_is_below(wal, position, &oldest)) {
        code = csti_wal_folder_delete(&wal->folder, oldest.name, err);
        if (code != CST_OK) break;
        CSTI_FAULT_POINT(wal_deleting);
        oldest_forget(wal);
        atomic_fetch_sub_explicit(&wal->disk_bytes, oldest.bytes, memory_order_relaxed);
        csti_unpark(&wal->writer); // it shows what is used
    }
    return code;
}
