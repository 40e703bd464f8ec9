// wal_writer.c: the thread that writes: a group, its sync, and those who wait are told.
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/fault_point.h"
#include "stream/wal_internal.h"

#include <assert.h>

#define IDLE_MARK_NS UINT64_C(10000000)

static uint64_t now_ns(void) {
    return csti_clock_now_ns(csti_clock_real());
}

static void metric_add(csti_metric *metric, uint64_t count) {
    if (metric) csti_metric_add(metric, count);
}

static void used_show(const csti_wal *wal) {
    if (wal->metrics.used)
        csti_metric_set(wal->metrics.used,
                        (int64_t)atomic_load_explicit(&wal->disk_bytes, memory_order_relaxed));
}

// ---- A group ------------------------------------------------------------------------------------

typedef struct group {
    uint64_t from, to; // of the ring
    uint64_t records;
} group;

static uint32_t ring_crc(const csti_wal *wal, uint64_t at, size_t count) {
    const uint64_t capacity = wal->options.memory_bytes;
    const uint64_t place = at % capacity;
    const size_t first = count < capacity - place ? count : (size_t)(capacity - place);

    return csti_crc32c(csti_crc32c(0, wal->ring + place, first), wal->ring, count - first);
}

// The loop has left the checksums to be filled in: they begin with the file's, which it can't know.
static void group_seal(csti_wal *wal, group *all) {
    for (uint64_t at = all->from; at != all->to;) {
        csti_wal_head head;

        csti_wal_ring_get(wal, at, &head, sizeof head);
        assert(head.type == CSTI_WAL_RECORD);
        assert(head.position == wal->group_position + all->records);
        head.payload_crc32c = ring_crc(wal, at + sizeof head, head.payload_bytes);
        csti_wal_head_seal(&head, wal->file.seed);
        csti_wal_ring_put(wal, at, &head, sizeof head);
        at += csti_wal_frame_bytes(head.payload_bytes);
        all->records++;
    }
}

// In two writes where a test may end the process between them.
static cst_code pieces_write(csti_wal *wal, const struct iovec *pieces, cst_err *err) {
    cst_code code;

    if (!csti_fault_points_compiled())
        return csti_wal_file_write(&wal->folder, &wal->file, pieces, 3, err);
    struct iovec half = pieces[1], other = pieces[1];
    half.iov_len /= 2;
    other.iov_base = (uint8_t *)other.iov_base + half.iov_len;
    other.iov_len -= half.iov_len;
    code = csti_wal_file_write(&wal->folder, &wal->file, (struct iovec[]){pieces[0], half}, 2, err);
    CSTI_FAULT_POINT(wal_group_middle);
    if (code != CST_OK) return code;
    return csti_wal_file_write(&wal->folder, &wal->file, (struct iovec[]){other, pieces[2]}, 2,
                               err);
}

static cst_code mark_write(csti_wal *wal, uint64_t durable, cst_err *err) {
    uint8_t mark[CSTI_WAL_MARK_BYTES];
    const struct iovec piece = {mark, sizeof mark};

    csti_wal_mark_make(wal->group_position, durable, wal->file.seed, mark);
    wal->marked = durable;
    atomic_fetch_add_explicit(&wal->disk_bytes, sizeof mark, memory_order_relaxed);
    return csti_wal_file_write(&wal->folder, &wal->file, &piece, 1, err);
}

static cst_code sync_now(csti_wal *wal, cst_err *err);

// The next file. Everything in the last one is durable: the new one's base says so.
static cst_code roll(csti_wal *wal, cst_err *err) {
    csti_wal_file next = {.fd = -1};
    csti_wal_header header;
    csti_wal_part part;
    cst_code code = wal->is_unsynced ? sync_now(wal, err) : CST_OK;

    if (code != CST_OK) return code;
    csti_wal_file_trim(&wal->file);
    csti_wal_header_make(&wal->options, wal->nonce, wal->group_position, wal->file.name, &header);
    code = csti_wal_file_create(&wal->folder, &header, &next, err);
    next.prepared_bytes_max = wal->options.file_bytes;
    if (code == CST_OK) code = csti_wal_file_name(&wal->folder, &next, err);
    part = (csti_wal_part){.name = next.name, .end = CSTI_WAL_NO_END, .bytes = next.bytes};
    if (code == CST_OK) code = csti_wal_part_add(wal, &part, err);
    if (code != CST_OK) {
        csti_wal_file_close(&wal->folder, &next);
        return code;
    }
    csti_wal_file_close(&wal->folder, &wal->file);
    wal->file = next;
    wal->marked = wal->group_position;
    atomic_fetch_add_explicit(&wal->disk_bytes, next.bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&wal->rolls, 1, memory_order_relaxed);
    metric_add(wal->metrics.rolls, 1);
    return CST_OK;
}

static bool is_full(const csti_wal *wal, uint64_t more_bytes) {
    return wal->file.bytes + CSTI_WAL_MARK_BYTES + more_bytes > wal->options.file_bytes &&
           wal->file.name.base != wal->group_position;
}

// All that was offered: a mark and the records, in one write.
static cst_code group_write(csti_wal *wal, cst_err *err) {
    const uint64_t capacity = wal->options.memory_bytes;
    // Acquire pairs with the release in offer: the frames' bytes.
    group all = {.from = atomic_load_explicit(&wal->taken, memory_order_relaxed),
                 .to = atomic_load_explicit(&wal->offered, memory_order_acquire)};
    const uint64_t bytes = all.to - all.from;
    const uint64_t place = all.from % capacity;
    const size_t first = bytes < capacity - place ? bytes : (size_t)(capacity - place);
    uint64_t durable;
    uint8_t mark[CSTI_WAL_MARK_BYTES];
    const struct iovec pieces[3] = {{mark, sizeof mark},
                                    {wal->ring + place, first},
                                    {wal->ring, bytes - first}};
    cst_code code = is_full(wal, bytes) ? roll(wal, err) : CST_OK;

    if (code != CST_OK) return code;
    if (CSTI_FAULT_FAILS(wal_group))
        return cst_fail(err, CST_IO, "%s/%s: writing: injected", wal->folder.path, wal->file.text);
    durable = atomic_load_explicit(&wal->durable, memory_order_relaxed); // a roll syncs
    group_seal(wal, &all);
    csti_wal_mark_make(wal->group_position, durable, wal->file.seed, mark);
    code = pieces_write(wal, pieces, err);
    if (code != CST_OK) return code;
    if (!wal->is_unsynced) wal->unsynced_since_ns = now_ns();
    wal->is_unsynced = true;
    wal->marked = durable;
    wal->group_position += all.records;
    atomic_fetch_add_explicit(&wal->disk_bytes, bytes + sizeof mark, memory_order_relaxed);
    // Releases pair with the acquires of those who read: the file's bytes are in place.
    atomic_fetch_add_explicit(&wal->charges_taken, bytes + all.records * CSTI_WAL_MARK_BYTES,
                              memory_order_release);
    atomic_store_explicit(&wal->written, wal->group_position, memory_order_release);
    atomic_store(&wal->taken, all.to); // before `starved` is looked at: see has_memory
    used_show(wal);
    metric_add(wal->metrics.records, all.records);
    metric_add(wal->metrics.bytes, bytes + sizeof mark);
    metric_add(wal->metrics.groups, 1);
    if (wal->metrics.group_bytes) csti_metric_observe(wal->metrics.group_bytes, bytes);
    return CST_OK;
}

// ---- Syncs --------------------------------------------------------------------------------------

static cst_code sync_now(csti_wal *wal, cst_err *err) {
    const uint64_t from_ns = now_ns();
    const cst_code code = csti_wal_file_sync(&wal->folder, &wal->file, err);

    if (code != CST_OK) return code;
    wal->is_unsynced = false;
    wal->synced_bytes = atomic_load_explicit(&wal->taken, memory_order_relaxed);
    atomic_store_explicit(&wal->durable, wal->group_position, memory_order_release);
    atomic_fetch_add_explicit(&wal->syncs, 1, memory_order_relaxed);
    metric_add(wal->metrics.syncs, 1);
    if (wal->metrics.sync_time) csti_metric_observe(wal->metrics.sync_time, now_ns() - from_ns);
    return CST_OK;
}

// Whether somebody waits for more than is durable, and all that he waits for is written.
static bool submitted_is_written(const csti_wal *wal) {
    const uint64_t submitted = atomic_load_explicit(&wal->submitted, memory_order_acquire);

    return submitted > wal->synced_bytes &&
           submitted <= atomic_load_explicit(&wal->taken, memory_order_relaxed);
}

static bool sync_is_due(const csti_wal *wal, bool stop) {
    if (!wal->is_unsynced) return false;
    if (stop) return true;
    if (wal->options.interval_ns == 0) return submitted_is_written(wal);
    if (atomic_load_explicit(&wal->sync_wanted, memory_order_relaxed) >
        atomic_load_explicit(&wal->durable, memory_order_relaxed))
        return true;
    return now_ns() - wal->unsynced_since_ns >= wal->options.interval_ns;
}

// ---- The thread ---------------------------------------------------------------------------------

static void tell(csti_wal *wal) {
    csti_unpark(&wal->flusher);
    if (wal->options.woken) wal->options.woken(wal->options.context);
}

// Nothing is to be written. What is written waits for its sync; what is durable is said to be, in
// the file, so that damage to it is told from a tail that was cut off.
static cst_code rest(csti_wal *wal, cst_err *err) {
    const uint64_t durable = atomic_load_explicit(&wal->durable, memory_order_relaxed);

    used_show(wal);
    if (wal->is_unsynced && wal->options.interval_ns > 0) {
        (void)csti_park_until(&wal->writer, wal->unsynced_since_ns + wal->options.interval_ns);
        return CST_OK;
    }
    if (wal->is_unsynced || wal->marked == durable) {
        csti_park(&wal->writer);
        return CST_OK;
    }
    if (csti_park_until(&wal->writer, now_ns() + IDLE_MARK_NS)) return CST_OK;
    return mark_write(wal, durable, err);
}

// One look at what there is to do.
static cst_code turn(csti_wal *wal, bool stop, bool *worked_out, cst_err *err) {
    const uint64_t taken = atomic_load_explicit(&wal->taken, memory_order_relaxed);
    const bool has_group = atomic_load_explicit(&wal->offered, memory_order_acquire) != taken;
    cst_code code = has_group ? group_write(wal, err) : CST_OK;

    *worked_out = has_group;
    if (code != CST_OK) return code;
    if (has_group && (atomic_exchange(&wal->starved, false) || wal->options.interval_ns > 0))
        tell(wal);
    if (!sync_is_due(wal, stop)) return CST_OK;
    *worked_out = true;
    code = sync_now(wal, err);
    if (code == CST_OK) tell(wal);
    return code;
}

void *csti_wal_writer_main(void *context) {
    csti_wal *wal = context;
    cst_err err = {0};
    cst_code code = CST_OK;

    for (;;) {
        // Before it is looked whether there is anything: what came before it is written.
        const bool stop = atomic_load_explicit(&wal->stop, memory_order_acquire);
        bool worked = false;

        code = turn(wal, stop, &worked, &err);
        if (code != CST_OK) break;
        if (worked) continue;
        if (stop) break;
        code = rest(wal, &err);
        if (code != CST_OK) break;
    }
    if (code == CST_OK && wal->marked != atomic_load(&wal->durable))
        code = mark_write(wal, atomic_load(&wal->durable), &err);
    if (code == CST_OK) {
        csti_wal_file_trim(&wal->file);
    } else {
        wal->failure = err;
        // Release pairs with the acquire in csti_wal_failure.
        atomic_store_explicit(&wal->failed, true, memory_order_release);
    }
    tell(wal);
    return NULL;
}
