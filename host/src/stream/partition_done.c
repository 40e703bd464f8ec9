// partition_done.c: what the table says of commands, and what checkpoints release.
#include "stream/partition_internal.h"

#include "stream/value_text.h"

#include <assert.h>
#include <stdio.h>

enum { COMPLETIONS_A_POLL_MAX = 32, KEY_SHOWN_BYTES_MAX = 256 };

// The key of a row as people write it, or in hex if it cannot be read.
static void key_show(const csti_partition *partition, const cst_rows *rows, uint32_t row, char *out,
                     size_t capacity) {
    const uint32_t from = rows->key_offsets ? rows->key_offsets[row] : row * rows->key_bytes;
    const uint32_t bytes = rows->key_offsets ? rows->key_offsets[row + 1] - from : rows->key_bytes;
    const uint32_t shown = bytes < KEY_SHOWN_BYTES_MAX ? bytes : KEY_SHOWN_BYTES_MAX;
    const cst_schema *schema = partition->options.key;
    uint8_t scratch[KEY_SHOWN_BYTES_MAX];
    cst_value values[CST_COLUMNS_MAX];
    size_t used = 0;

    if (schema && shown == bytes &&
        cst_key_decode(schema, rows->keys + from, bytes, values, scratch, NULL) == CST_OK) {
        for (uint32_t c = 0; c < schema->columns_count && used + 8 < capacity; c++) {
            size_t count = 0;

            if (c > 0) out[used++] = ',';
            if (values[c].is_null) continue;
            if (csti_value_write(&schema->columns[c], &values[c], out + used, capacity - used - 1,
                                 &count) != CST_OK)
                break;
            used += count;
        }
        out[used] = 0;
        return;
    }
    for (uint32_t i = 0; i < shown && used + 3 < capacity; i++)
        used += (size_t)snprintf(out + used, capacity - used, "%02x", rows->keys[from + i]);
    out[used] = 0;
}

cst_code csti_partition_fail_row(const csti_partition *partition, const cst_rows *rows,
                                 uint32_t row, cst_code code, cst_err *err) {
    char key[2 * KEY_SHOWN_BYTES_MAX + 1] = "-";

    if (row < rows->rows_count) key_show(partition, rows, row, key, sizeof key);
    return cst_fail(err, code, "partition %u, key %s: %s. %s", partition->options.partition,
                    *key ? key : "-", cst_code_text(code), cst_code_advice(code));
}

static cst_code fail_done(const csti_partition *partition, const cst_completion *done,
                          cst_err *err) {
    cst_rows rows = {0};

    if (done->tag >= TAGS_COUNT)
        rows = partition->options.panes ? ((const csti_pane_rows *)(uintptr_t)done->tag)->rows
                                        : csti_block_rows((const csti_block *)(uintptr_t)done->tag);
    return csti_partition_fail_row(partition, &rows, done->rows_done, done->code, err);
}

static void applied_add(csti_partition *partition, const csti_block *block) {
    for (uint32_t r = 0; r < block->runs_count; r++)
        if (block->runs[r].split < partition->options.splits_count)
            partition->applied[block->runs[r].split] += block->runs[r].rows_count;
}

void csti_partition_block_end(csti_partition *partition, csti_block *block) {
    const uint64_t now_ns = csti_clock_now_ns(partition->options.clock);
    const csti_panes *panes = partition->options.panes;
    const uint32_t rows_count = block->rows_count - (panes ? csti_panes_late_rows(panes) : 0);
    const csti_channel *home = block->home;

    partition->rows_count += rows_count;
    partition->rows_since_seal += block->rows_count; // of late ones too something may be left
    partition->rows_since_close += rows_count;
    partition->blocks_since_look++;
    csti_metric_add(partition->metrics.rows, rows_count);
    csti_metric_add(partition->metrics.bytes, block->bytes);
    csti_metric_observe(partition->metrics.batch_ns,
                        now_ns > block->created_ns ? now_ns - block->created_ns : 0);
    if (partition->options.events.applied)
        partition->options.events.applied(partition->options.events.context, block->rows_count,
                                          block->created_ns, now_ns);
    if (partition->options.totals)
        csti_totals_add_rows(partition->options.totals, &(cst_rows){.rows_count = block->rows_count,
                                                                    .ops = block->ops,
                                                                    .sources = block->sources});
    applied_add(partition, block);
    csti_channel_recycle(block->home, block);
    for (uint32_t i = 0; i < partition->inputs_count; i++)
        if (partition->inputs[i] == home && partition->senders[i])
            csti_unpark(partition->senders[i]);
}

cst_code csti_partition_sealed_give(csti_partition *partition, const csti_sealed *sealed,
                                    uint64_t bytes, cst_err *err) {
    partition->sealed_count++;
    partition->rows_since_seal = 0;
    if (sealed->barrier.id == partition->store.barrier.id) partition->store.is_sealed = true;
    csti_metric_add(partition->metrics.barriers, 1);
    csti_metric_set(partition->metrics.delta_bytes, (int64_t)bytes);
    return partition->options.events.sealed(partition->options.events.context, sealed, err);
}

static cst_code barrier_end(csti_partition *partition, const cst_completion *done, cst_err *err) {
    const partition_barrier *first = &partition->barriers[partition->barriers_first];
    const csti_sealed sealed = {.barrier = first->barrier,
                                .delta = done->delta,
                                .watermark_us = first->watermark_us,
                                .rows_follow = first->rows_follow,
                                .rows_count = partition->rows_count,
                                .applied = partition->applied}; // completions come in order

    assert(partition->barriers_count > 0);
    partition->barriers_first = (partition->barriers_first + 1) % CSTI_PARTITION_BARRIERS_MAX;
    partition->barriers_count--;
    return csti_partition_sealed_give(partition, &sealed, done->delta.to - done->delta.from, err);
}

static void pane_done(csti_partition *partition, uint64_t tag) {
    csti_block *block = NULL;

    if (tag == TAG_RELEASE)
        csti_panes_release_done(partition->options.panes);
    else
        block = csti_panes_rows_done(partition->options.panes);
    if (block) csti_partition_block_end(partition, block);
}

// Its room may be what a halted keeper waits for.
static cst_code expire_end(csti_partition *partition, const cst_completion *done, cst_err *err) {
    csti_expiry_stepped(&partition->expiry, done);
    partition->rows_since_seal += done->count;
    csti_metric_add(partition->metrics.expired, done->count);
    if (!partition->halted || done->count == 0) return CST_OK;
    partition->halted = false;
    return csti_keeper_retry(partition->keeper, err);
}

static cst_code completion_take(csti_partition *partition, const cst_completion *done,
                                cst_err *err) {
    if (done->stopped && done->code == CST_TABLE_BUDGET) {
        partition->halted = true;
        return CST_OK;
    }
    // On a halted keeper a walk ends where its tombstones have no room.
    if (done->tag == TAG_EXPIRE && (done->code == CST_OK || done->code == CST_TABLE_BUDGET ||
                                    done->code == CST_TABLE_NOT_READY))
        return expire_end(partition, done, err);
    if (done->code != CST_OK) return fail_done(partition, done, err);
    if (done->tag == TAG_BARRIER) return barrier_end(partition, done, err);
    if (partition->options.panes)
        pane_done(partition, done->tag);
    else if (done->tag >= TAGS_COUNT)
        csti_partition_block_end(partition, (csti_block *)(uintptr_t)done->tag);
    else if (done->tag == TAG_RELEASE)
        partition->released_count++;
    return CST_OK;
}

// What was released may be the room that a halted keeper waits for.
static cst_code halt_end(csti_partition *partition, cst_err *err) {
    const bool freed = partition->released_count > partition->released_seen;

    partition->released_seen = partition->released_count;
    if (!partition->halted || !freed) return CST_OK;
    partition->halted = false;
    return csti_keeper_retry(partition->keeper, err);
}

cst_code csti_partition_completions_take(csti_partition *partition, bool *worked, cst_err *err) {
    cst_completion done[COMPLETIONS_A_POLL_MAX];
    uint32_t count = 0;
    cst_code code =
        csti_keeper_poll(partition->keeper, done, COMPLETIONS_A_POLL_MAX, &count, worked, err);

    for (uint32_t i = 0; i < count && code == CST_OK; i++)
        code = completion_take(partition, &done[i], err);
    return code == CST_OK ? halt_end(partition, err) : code;
}

// ---- Releases -----------------------------------------------------------------------------------

static cst_code release_submit(csti_partition *partition, cst_err *err) {
    const cst_command command = {.ops = CST_OP_RELEASE,
                                 .fixup = true,
                                 .tag = TAG_RELEASE,
                                 .table = partition->options.table,
                                 .release = partition->release.delta};

    if (partition->options.panes)
        return csti_panes_release(partition->options.panes, partition->keeper,
                                  partition->release.panes, TAG_RELEASE, err);
    return csti_keeper_submit(partition->keeper, &command, err);
}

cst_code csti_partition_releases_take(csti_partition *partition, bool *worked, cst_err *err) {
    for (;;) {
        cst_code code;

        if (!partition->has_release)
            partition->has_release =
                partition->options.events.released(partition->options.events.context,
                                                   &partition->release);
        if (!partition->has_release) break;
        code = release_submit(partition, err);
        if (code == CST_AGAIN) break;
        if (code != CST_OK) return code;
        partition->has_release = false;
        *worked = true;
        if (partition->options.panes) partition->released_count++; // of many tables, or of none
    }
    return halt_end(partition, err);
}
