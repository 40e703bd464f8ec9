// partition.c: opening and closing, what comes from the inputs, and the poll.
#include "stream/partition_internal.h"

#include "base/fault_point.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGES_A_POLL_MAX = 8,
    LOOK_EVERY_BLOCKS = 16, // at the table's memory, which wants an empty queue
};

static cst_code applied_open(csti_partition *partition, cst_err *err) {
    const csti_partition_options *o = &partition->options;

    partition->applied = calloc((size_t)o->splits_count + 1, sizeof *partition->applied);
    if (!partition->applied) return cst_fail(err, CST_NO_MEMORY, "%u splits", o->splits_count);
    if (o->applied_before)
        memcpy(partition->applied, o->applied_before, o->splits_count * sizeof *partition->applied);
    return CST_OK;
}

cst_code csti_partition_open(const csti_partition_options *options, csti_partition **out,
                             cst_err *err) {
    csti_partition *partition = aligned_alloc(_Alignof(csti_partition), sizeof *partition);
    cst_code code;

    if (!partition) return cst_fail(err, CST_NO_MEMORY, "partition %u", options->partition);
    memset(partition, 0, sizeof *partition);
    partition->options = *options;
    partition->inputs_count = options->align->inputs_count;
    assert(partition->inputs_count <= CSTI_ALIGNER_INPUTS_MAX);
    for (uint32_t i = 0; i < partition->inputs_count; i++) {
        partition->inputs[i] = options->inputs[i];
        if (options->senders) partition->senders[i] = options->senders[i];
    }
    partition->rows_count = options->rows_before;
    partition->watermark_us = options->watermark_us;
    partition->final_us = CSTI_WATERMARK_NONE;
    code = csti_expiry_open(&partition->expiry, options->ttl_us, options->clock_source,
                            options->block_rows_max, options->watermark_us, err);
    if (code == CST_OK) code = csti_partition_metrics_open(partition, err);
    if (code == CST_OK) code = csti_aligner_open(options->align, &partition->aligner, err);
    if (code == CST_OK) code = applied_open(partition, err);
    partition->keeper = options->keeper;
    partition->keeper_is_own = !options->keeper;
    if (code == CST_OK && !options->keeper)
        code = csti_keeper_table_open(options->queue, options->table, &partition->keeper, err);
    if (code != CST_OK) {
        csti_partition_close(partition);
        return cst_fail_at(err, code, "partition %u", options->partition);
    }
    // These hold until the end of this call only.
    partition->options.inputs = NULL;
    partition->options.senders = NULL;
    partition->options.align = NULL;
    partition->options.applied_before = NULL;
    if (options->events.stored) assert(options->shape && options->stored_bytes_max > 0);
    csti_partition_room_look(partition);
    if (csti_expiry_by_clock(&partition->expiry)) csti_partition_clock_look(partition);
    *out = partition;
    return CST_OK;
}

void csti_partition_close(csti_partition *partition) {
    if (!partition) return;
    if (partition->keeper_is_own) csti_keeper_close(partition->keeper);
    csti_aligner_close(partition->aligner);
    csti_expiry_close(&partition->expiry);
    csti_stored_end(&partition->store.rows);
    free(partition->applied);
    free(partition);
}

bool csti_partition_is_starved(const csti_partition *partition) {
    return atomic_load_explicit(&partition->starved, memory_order_relaxed);
}

uint64_t csti_partition_flowed_id(const csti_partition *partition) {
    return atomic_load_explicit(&partition->flowed_id, memory_order_relaxed);
}

const csti_partition_metrics *csti_partition_metrics_of(const csti_partition *partition) {
    return &partition->metrics;
}

// ---- Messages -----------------------------------------------------------------------------------

// The next block of stored rows, which come in front of everything. False: none is free now.
static bool replay_next(csti_partition *partition) {
    csti_block *block = csti_channel_block(partition->options.replay_blocks);

    if (!block) return false;
    block->created_ns = csti_clock_now_ns(partition->options.clock);
    if (!csti_stored_fill(partition->options.replay, block)) {
        csti_channel_recycle(block->home, block);
        partition->options.replay = NULL;
        CSTI_FAULT_POINT(then_replayed);
        return false;
    }
    csti_metric_add(partition->metrics.replayed, block->rows_count);
    partition->aligned = (csti_aligned){.kind = CSTI_ALIGNED_ROWS,
                                        .input = CSTI_ALIGNER_NO_INPUT,
                                        .message = {.kind = CSTI_MESSAGE_ROWS, .block = block}};
    return true;
}

// What comes out of the aligner next, fed from the inputs in turn. False: nothing now.
static bool aligned_next(csti_partition *partition, uint64_t now_ns) {
    const uint32_t inputs_count = partition->inputs_count;

    if (partition->options.replay) return replay_next(partition);
    if (csti_aligner_next(partition->aligner, now_ns, &partition->aligned)) return true;
    for (uint32_t i = 0; i < inputs_count; i++) {
        const uint32_t input = partition->next_input;
        csti_message message;

        partition->next_input = (input + 1) % inputs_count;
        if (!csti_aligner_wants(partition->aligner, input)) continue;
        if (!csti_channel_receive(partition->inputs[input], &message)) continue;
        if (partition->options.events.stored) CSTI_FAULT_POINT(then_taken);
        csti_aligner_push(partition->aligner, input, &message);
        if (csti_aligner_next(partition->aligner, now_ns, &partition->aligned)) return true;
    }
    return false;
}

// ---- Rows and barriers --------------------------------------------------------------------------

// Behind the columns of the block, where the program looks for it.
static void times_put(const csti_partition *partition, csti_block *block) {
    const uint16_t source = partition->expiry.clock_source;

    assert(source < CSTI_BLOCK_SOURCES_MAX);
    assert(block->rows_count <= partition->expiry.times_count);
    block->sources[source] = csti_expiry_source(&partition->expiry);
}

static cst_code pane_rows_submit(csti_partition *partition, csti_block *block, cst_err *err) {
    csti_panes *panes = partition->options.panes;
    bool done = false;
    const cst_code code = csti_panes_rows(panes, partition->keeper, block, &done, err);

    if (code == CST_OK && done) csti_partition_block_end(partition, block);
    if (code == CST_SUM_OVERFLOW && csti_panes_failed_row(panes) < block->rows_count) {
        const cst_rows rows = csti_block_rows(block);

        return csti_partition_fail_row(partition, &rows, csti_panes_failed_row(panes), code, err);
    }
    return code;
}

static cst_code rows_submit(csti_partition *partition, csti_block *block, cst_err *err) {
    cst_command command = {.ops = CST_OP_APPLY,
                           .tag = (uintptr_t)block,
                           .table = partition->options.table};

    if (partition->options.panes) return pane_rows_submit(partition, block, err);
    if (csti_expiry_by_clock(&partition->expiry)) times_put(partition, block);
    command.rows = csti_block_rows(block);
    command.rows.now_us = partition->expiry.now_us;
    return csti_keeper_submit(partition->keeper, &command, err);
}

// What went out of windows, and how far they are closed, goes in front of the barrier. CST_AGAIN:
// it does not fit.
static cst_code emitted_flush(csti_partition *partition, cst_err *err) {
    csti_emitter *emitter = partition->options.emitter;
    bool worked = false;
    cst_code code = csti_emitter_flush(emitter, err);

    if (code != CST_OK || csti_panes_is_closing(partition->options.panes)) return code;
    return csti_emitter_watermark(emitter, partition->watermark_us, &worked, err);
}

// What ends a run waits for the windows that its rows have closed.
static cst_code panes_seal(csti_partition *partition, csti_barrier barrier, cst_err *err) {
    csti_panes *panes = partition->options.panes;
    csti_emitter *emitter = partition->options.emitter;
    csti_sealed sealed = {.barrier = barrier,
                          .watermark_us = partition->watermark_us,
                          .rows_follow = csti_partition_rows_follow(partition),
                          .closing = csti_panes_is_closing(panes),
                          .rows_count = partition->rows_count,
                          .applied = partition->applied};
    cst_code code = CST_OK;

    if (!csti_panes_are_quiet(panes)) return CST_AGAIN;
    if (barrier.mode == CSTI_BARRIER_FINAL && sealed.closing &&
        !(emitter && csti_emitter_is_paused(emitter)))
        return CST_AGAIN;
    if (emitter) code = emitted_flush(partition, err);
    if (code == CST_OK) code = csti_panes_seal(panes, &sealed.panes, err);
    if (code != CST_OK) return code;
    csti_partition_align_observe(partition);
    code = csti_partition_sealed_give(partition, &sealed, sealed.panes->bytes, err);
    if (code == CST_OK && emitter) csti_emitter_barrier(emitter, barrier);
    return code;
}

static cst_code barrier_submit(csti_partition *partition, csti_barrier barrier, cst_err *err) {
    const cst_command command = {.ops = CST_OP_BARRIER,
                                 .tag = TAG_BARRIER,
                                 .table = partition->options.table};
    const uint32_t at = partition->barriers_first + partition->barriers_count;
    cst_code code;

    if (partition->options.panes) return panes_seal(partition, barrier, err);
    if (partition->barriers_count == CSTI_PARTITION_BARRIERS_MAX) return CST_AGAIN;
    if (barrier.mode == CSTI_BARRIER_FINAL && csti_partition_final_walk_wanted(partition))
        return CST_AGAIN;
    code = csti_keeper_submit(partition->keeper, &command, err);
    if (code != CST_OK) return code;
    csti_partition_align_observe(partition);
    partition->barriers[at % CSTI_PARTITION_BARRIERS_MAX] =
        (partition_barrier){.barrier = barrier,
                            .watermark_us = partition->watermark_us,
                            .rows_follow = csti_partition_rows_follow(partition)};
    partition->barriers_count++;
    partition->final_us = CSTI_WATERMARK_NONE;
    return CST_OK;
}

// CST_AGAIN: the keeper is full, `aligned` waits.
static cst_code aligned_take(csti_partition *partition, cst_err *err) {
    const csti_aligned *aligned = &partition->aligned;

    switch (aligned->kind) {
    case CSTI_ALIGNED_ROWS:
        csti_partition_rows_store(partition);
        return rows_submit(partition, aligned->message.block, err);
    case CSTI_ALIGNED_BARRIER:
        csti_partition_store_begin(partition, aligned->barrier);
        return barrier_submit(partition, aligned->barrier, err);
    case CSTI_ALIGNED_WATERMARK:
        if (aligned->watermark_us <= partition->watermark_us) break;
        partition->watermark_us = aligned->watermark_us;
        csti_expiry_advance(&partition->expiry, aligned->watermark_us);
        csti_metric_set(partition->metrics.watermark_us, aligned->watermark_us);
        if (partition->options.panes)
            csti_panes_watermark(partition->options.panes, aligned->watermark_us);
        break;
    case CSTI_ALIGNED_ABORTED:
        csti_partition_align_set(partition);
        partition->options.events.given_up(partition->options.events.context, aligned->barrier,
                                           aligned->code, aligned->input);
        break;
    case CSTI_ALIGNED_FAILED: // the reader has said why; nothing of it comes any more
        csti_partition_align_set(partition);
        break;
    case CSTI_ALIGNED_NOTHING:
        break;
    case CSTI_ALIGNED_END:
        partition->ended = true;
        break;
    }
    return CST_OK;
}

static cst_code messages_take(csti_partition *partition, uint64_t now_ns, bool *worked,
                              cst_err *err) {
    for (int turn = 0; turn < MESSAGES_A_POLL_MAX; turn++) {
        cst_code code;

        // The table's memory is looked at with an empty queue: let it run empty now and then.
        if (partition->blocks_since_look >= LOOK_EVERY_BLOCKS) break;
        if (!partition->has_aligned && !aligned_next(partition, now_ns)) break;
        partition->has_aligned = true;
        code = aligned_take(partition, err);
        if (code == CST_AGAIN) break;
        if (code != CST_OK) return code;
        partition->has_aligned = false;
        *worked = true;
    }
    return CST_OK;
}

// Rows go out of closed windows about as fast as rows come in, so that what is open is bounded.
static cst_code windows_close(csti_partition *partition, bool *worked, cst_err *err) {
    csti_panes *panes = partition->options.panes;
    const csti_emitter *emitter = partition->options.emitter;
    const uint32_t rows = partition->rows_since_close;
    uint32_t least;

    if (emitter && csti_emitter_room(emitter) == 0) return CST_OK;
    partition->rows_since_close = 0;
    if (!panes || !csti_panes_is_closing(panes)) return CST_OK;
    *worked = true;
    least = csti_panes_piece(panes); // a poll, or as many as were applied since the last one
    return csti_panes_close_some(panes, rows > least ? rows : least, err);
}

// A second stage gets what waits for it, and the watermark behind closed windows.
static cst_code emitted_push(csti_partition *partition, bool *worked, cst_err *err) {
    csti_emitter *emitter = partition->options.emitter;

    if (!emitter) return CST_OK;
    csti_emitter_push(emitter, worked);
    if (csti_panes_is_closing(partition->options.panes)) return CST_OK;
    return csti_emitter_watermark(emitter, partition->watermark_us, worked, err);
}

// Of a device with a thread of its own: it comes to rest now and then, for windows to be closed.
// Behind a second stage that takes no more, what is open is bounded by taking no more here.
static bool takes_messages(const csti_partition *partition) {
    const csti_panes *panes = partition->options.panes;
    const csti_emitter *emitter = partition->options.emitter;

    if (partition->ended) return false;
    if (!panes || !csti_panes_is_closing(panes)) return true;
    if (emitter && csti_emitter_waits(emitter)) return false;
    return csti_panes_are_quiet(panes) || partition->has_aligned;
}

// What was given up elsewhere is not waited for here. One that comes later is ignored then.
static void abort_look(csti_partition *partition) {
    uint64_t id;

    if (!partition->options.aborted_id) return;
    // Relaxed: nothing else goes with the number.
    id = atomic_load_explicit(partition->options.aborted_id, memory_order_relaxed);
    if (id == partition->aborted_seen) return;
    partition->aborted_seen = id;
    csti_aligner_abort(partition->aligner, id);
    if (id != 0 && id == partition->store.barrier.id) csti_partition_store_end(partition);
}

static void unaligned_look(csti_partition *partition, uint64_t now_ns) {
    csti_aligner_stats align;
    uint64_t id;

    if (!partition->options.unaligned_id) return;
    // Relaxed: nothing else goes with the number.
    id = atomic_load_explicit(partition->options.unaligned_id, memory_order_relaxed);
    if (id != partition->unaligned_seen) {
        partition->unaligned_seen = id;
        csti_aligner_force(partition->aligner, id, now_ns);
    }
    csti_aligner_stats_read(partition->aligner, &align);
    atomic_store_explicit(&partition->flowed_id, align.flowed_id, memory_order_relaxed);
}

cst_code csti_partition_poll(csti_partition *partition, cst_err *err) {
    const uint64_t now_ns = csti_clock_now_ns(partition->options.clock);
    bool worked = false;
    cst_code code = CST_OK;

    assert(err);
    if (partition->failed != CST_OK) {
        *err = partition->failure;
        return partition->failed;
    }
    if (!csti_guard_holds(partition->options.guard))
        code = cst_fail(err, CST_FENCED, "partition %u has another owner",
                        partition->options.partition);
    if (code == CST_OK) code = csti_partition_completions_take(partition, &worked, err);
    if (code == CST_OK) code = csti_partition_releases_take(partition, &worked, err);
    abort_look(partition);
    unaligned_look(partition, now_ns);
    if (code == CST_OK) code = emitted_push(partition, &worked, err);
    if (code == CST_OK) code = windows_close(partition, &worked, err);
    if (code == CST_OK && takes_messages(partition))
        code = messages_take(partition, now_ns, &worked, err);
    if (code == CST_OK) code = csti_partition_completions_take(partition, &worked, err);
    if (code == CST_OK) code = csti_partition_store_look(partition, &worked, err);
    if (code == CST_OK && csti_keeper_is_idle(partition->keeper)) {
        if (worked || partition->paused) csti_partition_room_look(partition);
        code = csti_partition_expiry_turn(partition, &worked, err);
    }
    if (code != CST_OK) {
        partition->failed = code;
        partition->failure = *err;
        return code;
    }
    csti_partition_gauges_set(partition, now_ns);
    return worked ? CST_OK : CST_AGAIN;
}
