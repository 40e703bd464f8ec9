#include "device/backend.h"

#include <assert.h>
#include <stdio.h>

enum { FUSED = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY | CST_OP_LOOKUP };

// ---- Whether a command can run ------------------------------------------------------------------

static bool ops_stand_together(uint32_t ops) {
    const uint32_t steps = ops & FUSED;
    const uint32_t last = ops & (CST_OP_APPLY | CST_OP_LOOKUP);

    if (ops == 0 || ops >> CST_OPS_COUNT) return false;
    if (!steps) return (ops & (ops - 1)) == 0;
    if (ops != steps) return false;
    if (last == (CST_OP_APPLY | CST_OP_LOOKUP)) return false;
    // Between the first and the last step none is left out.
    return !last || !(ops & CST_OP_ENCODE) || (ops & CST_OP_HASH);
}

static cst_code encode_check(const cst_command *command, cst_err *err) {
    const cst_batch *batch = command->batch;
    const cst_device_table *table = command->table;

    if (!batch || !batch->schema) return cst_fail(err, CST_USAGE, "ENCODE without a batch");
    if (batch->rows_count != command->rows.rows_count)
        return cst_fail(err, CST_USAGE, "a batch of %u rows in a command of %u", batch->rows_count,
                        command->rows.rows_count);
    if (table && !table->has_keys)
        return cst_fail(err, CST_USAGE, "ENCODE on a table that was opened without a key schema");
    if (table && batch->schema != &table->keys && !csti_schema_equal(batch->schema, &table->keys))
        return cst_fail(err, CST_SCHEMA_MISMATCH, "the batch has another schema than the table");
    if (!table && !command->keys_out) return cst_fail(err, CST_USAGE, "ENCODE without keys_out");
    if (command->ops == CST_OP_ENCODE && !command->keys_out)
        return cst_fail(err, CST_USAGE, "ENCODE alone without keys_out");
    if (command->keys_out && !command->keys_out->offsets && !cst_schema_key_bytes(batch->schema))
        return cst_fail(err, CST_USAGE, "keys of variable length without keys_out->offsets");
    return CST_OK;
}

static cst_code keys_check(const cst_command *command, cst_err *err) {
    const cst_rows *rows = &command->rows;
    const bool last = command->ops & (CST_OP_APPLY | CST_OP_LOOKUP);

    if ((command->ops & CST_OP_HASH) && !last && !command->hashes_out)
        return cst_fail(err, CST_USAGE, "HASH without hashes_out");
    if (!(command->ops & CST_OP_HASH) && last && !rows->hashes)
        return cst_fail(err, CST_USAGE, "APPLY or LOOKUP without HASH and without hashes");
    if (command->ops & CST_OP_ENCODE) return CST_OK;
    if (!rows->keys && (rows->key_offsets || rows->key_bytes > 0))
        return cst_fail(err, CST_USAGE, "no keys");
    if (!rows->key_offsets && rows->key_stride < rows->key_bytes)
        return cst_fail(err, CST_USAGE, "keys of %u bytes %u apart", rows->key_bytes,
                        rows->key_stride);
    return CST_OK;
}

static bool deletes_only(const cst_rows *rows) {
    for (uint32_t r = rows->first_row; r < rows->rows_count; r++)
        if (rows->ops[r] != CST_ROW_DELETE) return false;
    return true;
}

static cst_code apply_check(const cst_command *command, cst_err *err) {
    const cst_table_options *options = &command->table->options;
    const cst_rows *rows = &command->rows;

    assert(command->table);
    if (options->program.accumulators_count > 0) {
        if (command->table->sources_count == 0 || rows->sources) return CST_OK;
        return cst_fail(err, CST_USAGE, "APPLY without the sources its program names");
    }
    if (rows->ops && !rows->values && deletes_only(rows)) return CST_OK;
    if (options->layout == CST_TABLE_WIDE) {
        if (rows->value_offsets && rows->values) return CST_OK;
        return cst_fail(err, CST_USAGE, "APPLY on a wide table without values or value_offsets");
    }
    if (options->program.value_bytes > 0 && !rows->values)
        return cst_fail(err, CST_USAGE, "APPLY without values");
    // A stride of 0 gives every row the same value.
    if (rows->value_stride > 0 && rows->value_stride < options->program.value_bytes)
        return cst_fail(err, CST_USAGE, "values of %u bytes %u apart", options->program.value_bytes,
                        rows->value_stride);
    return CST_OK;
}

static cst_code lookup_check(const cst_command *command, cst_err *err) {
    const cst_table_options *options = &command->table->options;

    assert(command->table);
    if (options->layout != CST_TABLE_INLINE)
        return cst_fail(err, CST_UNSUPPORTED, "LOOKUP on a wide table");
    if (!command->found_out || (!command->values_out && options->program.value_bytes > 0))
        return cst_fail(err, CST_USAGE, "LOOKUP without values_out or found_out");
    if (command->values_stride < options->program.value_bytes)
        return cst_fail(err, CST_USAGE, "LOOKUP of values of %u bytes %u apart",
                        options->program.value_bytes, command->values_stride);
    return CST_OK;
}

static cst_code fused_check(const cst_command *command, cst_err *err) {
    const cst_rows *rows = &command->rows;
    cst_code code = CST_OK;

    if (rows->rows_count > CST_BATCH_ROWS_MAX || rows->first_row > rows->rows_count)
        return cst_fail(err, CST_USAGE, "rows %u to %u: at most %d", rows->first_row,
                        rows->rows_count, CST_BATCH_ROWS_MAX);
    if (command->ops & CST_OP_ENCODE) code = encode_check(command, err);
    if (code == CST_OK) code = keys_check(command, err);
    if (code == CST_OK && (command->ops & CST_OP_APPLY)) code = apply_check(command, err);
    if (code == CST_OK && (command->ops & CST_OP_LOOKUP)) code = lookup_check(command, err);
    return code;
}

static cst_code other_check(const cst_command *command, cst_err *err) {
    if (command->ops == CST_OP_SCAN && (!command->scan || !command->scan_out))
        return cst_fail(err, CST_USAGE, "SCAN without a scan or without scan_out");
    if (command->ops == CST_OP_RESTORE && !command->restore && command->restore_bytes > 0)
        return cst_fail(err, CST_USAGE, "RESTORE without records");
    if (command->ops == CST_OP_RESTORE && (uintptr_t)command->restore % 8 != 0)
        return cst_fail(err, CST_USAGE, "RESTORE from an address that is no multiple of 8");
    if (command->ops == CST_OP_EXPIRE && command->table->options.program.ttl_us == CST_TTL_NONE)
        return cst_fail(err, CST_UNSUPPORTED, "EXPIRE on a table without a TTL");
    return CST_OK;
}

cst_code csti_command_check(const cst_queue *queue, const cst_command *command, cst_err *err) {
    const uint32_t tableless = CST_OP_ENCODE | CST_OP_HASH;
    const uint32_t fixups = CST_OP_GROW | CST_OP_RELEASE | CST_OP_EXPIRE;
    const uint32_t absent = command->ops & ~queue->device->capabilities.ops;

    if (!ops_stand_together(command->ops))
        return cst_fail(err, CST_USAGE, "operations 0x%x do not stand together", command->ops);
    if (absent)
        return cst_fail(err, CST_UNSUPPORTED, "%s cannot do operations 0x%x", queue->device->uri,
                        absent);
    if (command->fixup && (command->ops & ~fixups))
        return cst_fail(err, CST_USAGE, "only GROW, RELEASE and EXPIRE can be fixups");
    if (!command->table && (command->ops & ~tableless))
        return cst_fail(err, CST_USAGE, "operations 0x%x without a table", command->ops);
    if (command->table && command->table->queue != queue)
        return cst_fail(err, CST_USAGE, "a table of another queue");
    return command->ops & FUSED ? fused_check(command, err) : other_check(command, err);
}

// ---- Queues -------------------------------------------------------------------------------------

static void queues_lock(cst_device *device) {
    // Held for a few instructions, at open and close only.
    while (atomic_flag_test_and_set_explicit(&device->queues_busy, memory_order_acquire)) {}
}

static void queues_unlock(cst_device *device) {
    atomic_flag_clear_explicit(&device->queues_busy, memory_order_release);
}

cst_code cst_queue_open(cst_device *device, const cst_queue_options *options, cst_queue **out,
                        cst_err *err) {
    const uint32_t depth =
        options && options->depth ? options->depth : (uint32_t)CST_QUEUE_DEPTH_DEFAULT;
    cst_queue *queue = NULL;
    cst_code code;

    if (depth > device->capabilities.queue_depth_max)
        return cst_fail(err, CST_USAGE, "a queue of depth %u: %s has at most %u", depth,
                        device->uri, device->capabilities.queue_depth_max);
    code = device->ops->queue_open(device, depth, &queue, err);
    if (code != CST_OK) return code;
    queue->device = device;
    queue->depth = depth;
    queue->timeout_us = options && options->timeout_us ? options->timeout_us : CST_QUEUE_TIMEOUT_US;
    queue->given_up = false;
    queue->lost_why[0] = 0;
    queues_lock(device);
    queue->next = device->queues;
    device->queues = queue;
    queues_unlock(device);
    *out = queue;
    return CST_OK;
}

void cst_queue_close(cst_queue *queue) {
    cst_device *device;

    if (!queue) return;
    assert(queue->tables_count == 0);
    device = queue->device;
    queues_lock(device);
    for (cst_queue **link = &device->queues; *link; link = &(*link)->next) {
        if (*link != queue) continue;
        *link = queue->next;
        break;
    }
    queues_unlock(device);
    device->ops->queue_close(queue);
}

cst_code cst_queue_submit(cst_queue *queue, const cst_command *command, uint64_t *ticket_out,
                          cst_err *err) {
    csti_entry_in_flight entry;
    cst_code code;

    if (cst_queue_in_flight(queue) == queue->depth) return CST_AGAIN;
    code = csti_command_check(queue, command, err);
    if (code != CST_OK) return code;
    entry.command = *command;
    entry.ticket = queue->submitted_count + 1;
    entry.generation = queue->generation;
    code = queue->device->ops->submit(queue, &entry, err);
    if (code != CST_OK) return code;
    queue->submitted_count++;
    if (ticket_out) *ticket_out = entry.ticket;
    return CST_OK;
}

uint32_t cst_queue_poll(cst_queue *queue, cst_completion *out, uint32_t count_max) {
    const uint32_t count = queue->device->ops->poll(queue, out, count_max);

    queue->polled_count += count;
    assert(queue->polled_count <= queue->submitted_count);
    for (uint32_t i = 0; i < count; i++) queue->stop_seen |= out[i].stopped;
    return count;
}

cst_code cst_queue_wait(cst_queue *queue, uint64_t timeout_us) {
    const uint64_t now_ns = csti_clock_now_ns(csti_clock_real());
    uint64_t timeout_ns = 0;
    uint64_t deadline_ns = 0;

    if (cst_queue_in_flight(queue) == 0) return CST_NOT_FOUND;
    if (__builtin_mul_overflow(timeout_us, UINT64_C(1000), &timeout_ns)) timeout_ns = UINT64_MAX;
    if (__builtin_add_overflow(now_ns, timeout_ns, &deadline_ns)) deadline_ns = UINT64_MAX;
    return queue->device->ops->wait(queue, deadline_ns);
}

cst_code cst_queue_resume(cst_queue *queue, cst_err *err) {
    if (!queue->stop_seen)
        return cst_fail(err, CST_USAGE, "resume of a queue whose stop was not polled");
    queue->stop_seen = false;
    queue->generation++;
    return CST_OK;
}

cst_code cst_queue_lost(const cst_queue *queue, cst_err *err) {
    return cst_fail(err, CST_DEVICE_LOST, "%s: %s", queue->device->uri,
                    queue->lost_why[0] ? queue->lost_why : cst_code_text(CST_DEVICE_LOST));
}

cst_code cst_queue_give_up(cst_queue *queue, const char *why, cst_err *err) {
    queue->given_up = true;
    (void)snprintf(queue->lost_why, sizeof queue->lost_why, "%s", why);
    return cst_queue_lost(queue, err);
}

uint64_t cst_queue_polled(const cst_queue *queue) {
    return queue->polled_count;
}

void cst_queue_downloads_read(const cst_queue *queue, cst_queue_downloads *out) {
    const csti_queue_downloads *of = &queue->downloads;

    *out = (cst_queue_downloads){
        .deltas = atomic_load_explicit(&of->deltas, memory_order_relaxed),
        .bytes = atomic_load_explicit(&of->bytes, memory_order_relaxed),
        .beside = atomic_load_explicit(&of->beside, memory_order_relaxed),
    };
}

uint32_t cst_queue_in_flight(const cst_queue *queue) {
    return (uint32_t)(queue->submitted_count - queue->polled_count);
}

uint32_t cst_queue_depth(const cst_queue *queue) {
    return queue->depth;
}

cst_device *cst_queue_device(const cst_queue *queue) {
    return queue->device;
}
