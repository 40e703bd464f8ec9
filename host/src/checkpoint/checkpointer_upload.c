// checkpointer_upload.c: a sealed epoch becomes a segment in the store, its ranges as they lie;
// rows that were under way become an object of their own.
#include "base/fault_point.h"
#include "base/mistake.h"
#include "checkpoint/checkpointer_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { WRITE_BYTES = 1 << 20 }; // of rows, at once

// One upload, as it was when it began.
typedef struct upload_task {
    csti_checkpointer *c;
    csti_checkpoint *checkpoint; // stays while uploads_running
    uint32_t partition;
    uint64_t id, nonce, deadline_ns;
    csti_cut given;
    cst_segment_info info;
    const csti_stored_rows *rows; // the checkpoint's; NULL: `given` is uploaded
    cst_object_upload *upload;
    bool is_begun; // some bytes are written
    char name[CSTI_CHECKPOINT_NAME_BYTES];
} upload_task;

// The oldest cut that is not up, if its checkpoint goes on.
static csti_checkpoint_cut *next_cut_locked(const csti_checkpointer *c, uint32_t partition,
                                            csti_checkpoint **checkpoint_out) {
    csti_checkpoint_queue *queue = &c->queues[partition];

    for (uint32_t i = 0; i < queue->count; i++) {
        csti_checkpoint_cut *cut = &queue->cuts[i];

        if (cut->is_uploaded) continue;
        *checkpoint_out = cut->id == 0 ? NULL : csti_checkpoint_find_locked(c, cut->id);
        if (!*checkpoint_out || (*checkpoint_out)->state != CSTI_CHECKPOINT_OPEN) return NULL;
        return cut;
    }
    return NULL;
}

static void info_fill_locked(upload_task *task) {
    const csti_checkpointer *c = task->c;
    const uint32_t partitions_count = c->options.partitions_count;
    const csti_job_identity *identity =
        csti_job_identity_of(&c->options.identity, task->partition, partitions_count);
    const cst_segment_expect *expect =
        &c->expect[csti_job_stage_of(&c->options.identity, task->partition, partitions_count)];
    const uint64_t epoch = task->given.epoch;
    uint32_t base_checksum = 0;
    const bool has_base = csti_checkpoint_base_locked(c, task->partition, epoch, &base_checksum);

    task->info = (cst_segment_info){
        .kind = has_base ? CST_SEGMENT_DELTA : CST_SEGMENT_FULL_UNORDERED,
        .table_id = identity->table_id,
        .epoch_from = epoch,
        .epoch_to = epoch,
        .base_epoch = has_base ? epoch - 1 : 0,
        .base_checksum = base_checksum,
        .schema_hash = expect->schema_hash,
        .program_hash = expect->program_hash,
        .hash_key_check = expect->hash_key_check,
        .parts_count = identity->parts_count,
    };
    memcpy(task->info.parts, identity->parts, sizeof identity->parts);
}

static void task_fill_locked(csti_checkpointer *c, csti_checkpoint *checkpoint, uint32_t partition,
                             csti_checkpoint_name_kind kind, uint64_t epoch, upload_task *task) {
    *task = (upload_task){
        .c = c,
        .checkpoint = checkpoint,
        .partition = partition,
        .id = checkpoint->id,
        .nonce = checkpoint->nonce,
        .deadline_ns = csti_checkpointer_now(c) + c->options.step_deadline_us * 1000,
    };
    csti_checkpoint_name_format(&(csti_checkpoint_name){.kind = kind,
                                                        .id = task->id,
                                                        .partition = partition,
                                                        .tenure = c->options.tenure,
                                                        .nonce = task->nonce,
                                                        .epoch = epoch},
                                task->name);
    checkpoint->uploads_running++;
}

// Rows of the oldest checkpoint whose are not up.
static bool rows_take_locked(csti_checkpointer *c, uint32_t partition, upload_task *task) {
    for (uint32_t i = 0; i < c->order_count; i++) {
        csti_checkpoint *checkpoint = c->order[i];
        csti_checkpoint_part *part = &checkpoint->parts[partition];

        if (checkpoint->state != CSTI_CHECKPOINT_OPEN || part->rows.rows_count == 0 ||
            part->rows_uploaded)
            continue;
        task_fill_locked(c, checkpoint, partition, CSTI_NAME_ROWS, part->object.epoch, task);
        task->rows = &part->rows;
        part->rows_tried = true;
        return true;
    }
    return false;
}

static bool task_take_locked(csti_checkpointer *c, uint32_t partition, upload_task *task) {
    csti_checkpoint *checkpoint = NULL;
    csti_checkpoint_cut *cut = NULL;

    if (csti_checkpointer_now(c) < c->retry_at_ns) return false;
    cut = next_cut_locked(c, partition, &checkpoint);
    if (!cut) return rows_take_locked(c, partition, task);
    task_fill_locked(c, checkpoint, partition, CSTI_NAME_DELTA, cut->given.epoch, task);
    task->given = cut->given;
    info_fill_locked(task);
    csti_checkpoint_part *part = &checkpoint->parts[partition];
    const uint64_t epoch = cut->given.epoch;
    if (part->tried_from == 0 || epoch < part->tried_from) part->tried_from = epoch;
    if (epoch > part->tried_to) part->tried_to = epoch;
    return true;
}

// A cst_write: the context is the task. The bytes stay until the upload is over: records are where
// the table has them until their epoch is released, and what goes round them is the writer's.
static cst_code write_some(void *context, const void *bytes, size_t count, cst_err *err) {
    upload_task *task = context;

    // Relaxed: a flag that ends the upload sooner; the metadata decides.
    if (atomic_load_explicit(&task->c->is_fenced, memory_order_relaxed))
        return cst_fail(err, CST_FENCED, "%s: another owner has taken the place", task->name);
    if (csti_checkpointer_now(task->c) > task->deadline_ns)
        return cst_fail(err, CST_DEADLINE, "%s: its upload took longer than %" PRIu64 " us",
                        task->name, task->c->options.step_deadline_us);
    if (task->is_begun && CSTI_FAULT_FAILS(upload_middle))
        return cst_fail(err, CST_IO, "%s: its upload failed on purpose", task->name);
    task->is_begun = true;
    const cst_code code = cst_object_upload_refer(task->upload, bytes, count, err);
    if (code == CST_OK)
        (void)atomic_fetch_add_explicit(&task->c->sent_bytes, count, memory_order_relaxed);
    return code;
}

static cst_code append_ranges(const upload_task *task, cst_segment_writer *writer, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t part = 0; code == CST_OK && part < task->info.parts_count; part++)
        for (size_t i = 0; code == CST_OK && i < task->given.ranges_count[part]; i++)
            code = cst_segment_writer_append(writer, part, task->given.ranges[part][i].data,
                                             task->given.ranges[part][i].count, err);
    return code;
}

cst_code csti_checkpointer_settle(csti_checkpointer *c, const char *name, uint64_t nonce,
                                  uint64_t bytes, cst_err *err) {
    cst_object_info info;
    const cst_code code = cst_object_head(c->options.store, name, &info, err);

    if (code != CST_OK) return code;
    if (info.nonce != nonce || info.bytes != bytes)
        return cst_fail(err, CST_EXISTS, "%s was written by somebody else", name);
    return CST_OK;
}

static cst_code upload_end(upload_task *task, uint64_t bytes, cst_code code, cst_err *err) {
    if (code != CST_OK) {
        cst_object_upload_abort(task->upload);
        return code;
    }
    code = cst_object_upload_finish(task->upload, NULL, err);
    if (!csti_code_is_ambiguous(code)) return code;
    code = csti_checkpointer_settle(task->c, task->name, task->nonce, bytes, err);
    // Nobody misses anything: a store that is away, or a page of something before it, took nothing.
    if (code == CST_NOT_FOUND)
        code = cst_fail(err, CST_OBJECT_UNAVAILABLE, "%s: its upload had no effect", task->name);
    return code;
}

// The writer is closed last: what it wrote by reference stays until the upload is finished.
static cst_code upload_segment(upload_task *task, cst_segment_summary *summary_out, cst_err *err) {
    cst_segment_writer *writer = NULL;
    cst_code code =
        cst_object_upload_open(task->c->options.store, task->name, task->nonce, &task->upload, err);

    if (code != CST_OK) return code;
    code = cst_segment_writer_open(&task->info, write_some, task, &writer, err);
    if (code == CST_OK) code = append_ranges(task, writer, err);
    if (code == CST_OK) code = cst_segment_writer_finish(writer, summary_out, err);
    code = upload_end(task, summary_out->segment_bytes, code, err);
    cst_segment_writer_close(writer);
    return code;
}

// segment_bytes and checksum of the summary are the object's.
static cst_code upload_rows(upload_task *task, cst_segment_summary *summary_out, cst_err *err) {
    const csti_checkpointer *c = task->c;
    const uint32_t count = c->options.partitions_count;
    const csti_job_identity *identity =
        csti_job_identity_of(&c->options.identity, task->partition, count);
    const cst_segment_expect *expect =
        &c->expect[csti_job_stage_of(&c->options.identity, task->partition, count)];
    const csti_stored_expect of = {.table_id = expect->table_id,
                                   .epoch = task->checkpoint->parts[task->partition].object.epoch,
                                   .schema_hash = expect->schema_hash,
                                   .program_hash = expect->program_hash,
                                   .hash_key = &identity->hash_key};
    const csti_buffer *bytes = &task->rows->bytes;
    uint8_t head[CSTI_STORED_HEADER_BYTES];
    cst_code code =
        cst_object_upload_open(c->options.store, task->name, task->nonce, &task->upload, err);

    if (code != CST_OK) return code;
    summary_out->checksum = csti_stored_head(task->rows, &of, head);
    summary_out->segment_bytes = sizeof head + bytes->used_bytes;
    code = write_some(task, head, sizeof head, err);
    for (size_t at = 0; code == CST_OK && at < bytes->used_bytes; at += WRITE_BYTES) {
        const size_t left = bytes->used_bytes - at;

        code = write_some(task, bytes->bytes + at, left < WRITE_BYTES ? left : WRITE_BYTES, err);
    }
    return upload_end(task, summary_out->segment_bytes, code, err);
}

static void rows_done_locked(const upload_task *task, const cst_segment_summary *summary) {
    csti_checkpoint_part *part = &task->checkpoint->parts[task->partition];

    memcpy(part->rows_name, task->name, sizeof part->rows_name);
    part->object = (csti_manifest_rows){.name = part->rows_name,
                                        .bytes = summary->segment_bytes,
                                        .rows_count = part->rows.rows_count,
                                        .checksum = summary->checksum,
                                        .epoch = part->object.epoch};
    part->rows_uploaded = true;
}

// It may belong to another checkpoint by now: then it is uploaded again, with the same bytes.
static void cut_done_locked(const upload_task *task, const cst_segment_summary *summary) {
    csti_checkpoint_queue *queue = &task->c->queues[task->partition];
    csti_checkpoint_cut *cut = NULL;

    for (uint32_t i = 0; i < queue->count && !cut; i++)
        if (queue->cuts[i].given.epoch == task->given.epoch) cut = &queue->cuts[i];
    assert(cut); // it was not committed, so it was not released
    assert(!cut->has_checksum || cut->segment.checksum == summary->checksum);
    cut->has_checksum = true;
    cut->segment = (csti_manifest_segment){
        .bytes = summary->segment_bytes,
        .checksum = summary->checksum,
        .kind = task->info.kind,
        .epoch_from = task->given.epoch,
        .epoch_to = task->given.epoch,
    };
    memcpy(cut->name, task->name, sizeof cut->name);
    cut->is_uploaded = cut->id == task->id;
    if (CSTI_MISTAKE(pins_end_at_upload)) cut->is_released = true;
}

static void task_done_locked(const upload_task *task, const cst_segment_summary *summary) {
    if (task->rows)
        rows_done_locked(task, summary);
    else
        cut_done_locked(task, summary);
    task->checkpoint->progress_ns = csti_checkpointer_now(task->c);
    task->c->stats.uploaded_bytes += summary->segment_bytes;
}

cst_code csti_checkpointer_upload(csti_checkpointer *checkpointer, uint32_t partition,
                                  cst_err *err) {
    csti_checkpointer *c = checkpointer;
    cst_segment_summary summary = {0};
    cst_err why = {.code = CST_OK};
    upload_task task;

    assert(partition < c->options.partitions_count);
    if (atomic_load_explicit(&c->is_fenced, memory_order_relaxed))
        return csti_checkpointer_fence(c, err);
    csti_checkpointer_lock(c);
    const bool is_there = task_take_locked(c, partition, &task);
    csti_checkpointer_unlock(c);
    if (!is_there) return cst_fail(err, CST_AGAIN, "partition %u has nothing to upload", partition);

    const uint64_t begun_ns = csti_checkpointer_now(c);
    CSTI_FAULT_POINT(upload_before);
    const cst_code code =
        task.rows ? upload_rows(&task, &summary, &why) : upload_segment(&task, &summary, &why);
    if (code == CST_OK && task.rows) CSTI_FAULT_POINT(then_stored);
    if (code == CST_OK) CSTI_FAULT_POINT(upload_after);

    csti_checkpointer_lock(c);
    task.checkpoint->uploads_running--;
    c->stats.upload_ns += csti_checkpointer_now(c) - begun_ns;
    if (code == CST_OK) {
        task_done_locked(&task, &summary);
    } else if (code != CST_FENCED) {
        csti_checkpointer_back_off_locked(c, code);
        csti_checkpoint_doom_locked(c, task.checkpoint, code, why.text);
    }
    csti_checkpointer_unlock(c);
    if (code == CST_OK) return CST_OK;
    return cst_fail(err, code, "checkpoint %" PRIu64 ", partition %u: %s", task.id, partition,
                    why.text);
}
