#include "stream/partition.h"

#include "base/fault_point.h"
#include "base/spsc_ring.h"
#include "stream/expiry.h"
#include "stream/value_text.h"
#include "table/image.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGES_A_POLL_MAX = 8,
    COMPLETIONS_A_POLL_MAX = 32,
    LOOK_EVERY_BLOCKS = 16, // at the table's memory, which wants an empty queue
    TAG_BARRIER = 1,        // a block's address is no such number
    TAG_RELEASE = 2,
    TAG_EXPIRE = 3,
    TAGS_COUNT,
    CLOCK_STEP_US = 1000,
    ROOM_SHARE = 16,  // of the keys: so many gone end a pause
    GROWTH_COSTS = 8, // of the keys: so many fewer, when a table has grown above its bound
    KEY_SHOWN_BYTES_MAX = 256,
};

#define GAUGES_EVERY_NS UINT64_C(1000000)

typedef struct partition_barrier {
    csti_barrier barrier;
    int64_t watermark_us;
    bool rows_follow;
} partition_barrier;

// Rows that came in front of a barrier that was not waited for.
typedef struct partition_store {
    csti_barrier barrier; // id 0: none are kept
    bool is_sealed;       // `sealed` was told
    csti_stored_rows rows;
} partition_store;

struct csti_partition {
    csti_partition_options options;
    csti_partition_metrics metrics;
    uint32_t inputs_count;
    csti_channel *inputs[CSTI_ALIGNER_INPUTS_MAX];
    csti_parker *senders[CSTI_ALIGNER_INPUTS_MAX];
    csti_aligner *aligner;
    csti_keeper *keeper;
    bool keeper_is_own;
    cst_code failed;
    cst_err failure;
    uint32_t next_input;
    bool ended;       // nothing comes any more
    bool has_aligned; // `aligned` waits for the keeper
    csti_aligned aligned;
    partition_barrier barriers[CSTI_PARTITION_BARRIERS_MAX]; // in the keeper
    uint32_t barriers_first, barriers_count;
    uint64_t rows_count;
    uint64_t sealed_count, released_count;
    uint64_t released_seen;   // when a halted keeper was last looked at
    uint64_t rows_since_seal; // and keys that expired
    uint32_t blocks_since_look;
    uint32_t rows_since_close;
    uint64_t shown_ns; // when the gauges were last set
    uint64_t align_ns_seen;
    uint64_t aborted_seen, unaligned_seen;
    uint64_t *applied; // rows of each split that are in the state
    int64_t watermark_us;
    csti_released release; // with has_release: waits for the keeper
    bool has_release;
    partition_store store;
    uint64_t stored_limit_count; // given up for their number
    csti_expiry expiry;
    int64_t final_us; // the time of the final barrier that waits; CSTI_WATERMARK_NONE: none does
    uint64_t state_bytes; // when its memory was last looked at
    uint64_t log_bytes;
    uint64_t chunks_count;
    uint64_t rows_full; // keys there were when the state last grew above its bound
    bool halted;        // the keeper: it has no room
    bool paused;        // counted in options.paused
    bool state_full;
    bool near; // the budget
    _Alignas(CSTI_SPSC_LINE_BYTES) _Atomic bool starved;
    _Atomic uint64_t flowed_id;
};

// ---- Room ---------------------------------------------------------------------------------------

static void pause_count(_Atomic uint32_t *to, bool paused) {
    if (paused)
        atomic_fetch_add_explicit(to, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(to, 1, memory_order_relaxed);
}

static void pause_set(csti_partition *partition, bool paused) {
    if (partition->paused == paused) return;
    partition->paused = paused;
    if (paused) csti_metric_add(partition->metrics.pauses, 1);
    // Relaxed: readers look at it between batches, and the reserve covers what they had begun.
    pause_count(partition->options.paused, paused);
    if (partition->options.paused_then) pause_count(partition->options.paused_then, paused);
}

// Whether the state alone, which no checkpoint frees, or all together takes so much of its budget.
static bool fills(const csti_partition *partition, uint64_t state_bytes, uint64_t log_bytes,
                  uint64_t percent) {
    const uint64_t state_max = partition->options.state_bytes_max;
    const uint64_t all_max = state_max + partition->options.log_bytes_max;

    return partition->halted || state_bytes > state_max / 100 * percent ||
           state_bytes + log_bytes > all_max / 100 * percent;
}

static void near_look(csti_partition *partition, uint64_t state_bytes, uint64_t log_bytes) {
    const bool was = partition->near;

    partition->near = fills(partition, state_bytes, log_bytes,
                            was ? CSTI_BUDGET_FAR_PERCENT : CSTI_BUDGET_NEAR_PERCENT);
    csti_metric_set(partition->metrics.near, partition->near);
    if (partition->near && !was) csti_metric_add(partition->metrics.near_count, 1);
}

// Other keys fill other segments: so that these have room, fewer may be there with each growth.
static void rows_full_set(csti_partition *partition, uint64_t rows_count) {
    const bool first = partition->rows_full == 0;

    partition->rows_full = first ? rows_count : rows_count - rows_count / GROWTH_COSTS;
}

// Whether there is no place for more keys. What the table has grown to it keeps: where keys went,
// others find theirs.
static bool state_is_full(csti_partition *partition, const csti_keeper_stats *stats) {
    const bool grew = stats->state_bytes > partition->state_bytes;
    uint64_t rows_max;

    partition->state_bytes = stats->state_bytes;
    if (stats->state_bytes <= partition->options.state_bytes_max) return false;
    if (partition->options.panes) return true; // memory goes with a pane
    if (grew) rows_full_set(partition, stats->rows_count);
    rows_max = partition->rows_full;
    if (partition->state_full) rows_max -= rows_max / ROOM_SHARE;
    return stats->rows_count >= rows_max;
}

// Whether keys will go although no row comes: by the clock all of them do.
static bool keys_will_go(const csti_partition *partition) {
    return csti_expiry_by_clock(&partition->expiry) || csti_expiry_is_due(&partition->expiry, true);
}

static bool stats_read(const csti_partition *partition, csti_keeper_stats *out) {
    cst_table_stats stats;

    if (!partition->options.panes) return csti_keeper_stats_read(partition->keeper, out);
    csti_panes_stats_read(partition->options.panes, &stats);
    *out = csti_keeper_stats_of(&stats);
    return true;
}

static uint64_t channels_misplaced(const csti_partition *partition) {
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < partition->inputs_count; i++) {
        csti_channel_stats channel;

        csti_channel_stats_read(partition->inputs[i], &channel);
        bytes += channel.misplaced_bytes;
    }
    return bytes;
}

static void room_look(csti_partition *partition) {
    const bool pinned = partition->sealed_count > partition->released_count;
    const csti_panes *panes = partition->options.panes;
    csti_keeper_stats stats;

    partition->blocks_since_look = 0;
    if (!stats_read(partition, &stats)) return;
    partition->log_bytes = stats.log_bytes;
    partition->chunks_count = panes ? 0 : stats.chunks_count;
    partition->state_full = state_is_full(partition, &stats);
    csti_metric_set(partition->metrics.keys, (int64_t)stats.rows_count);
    csti_metric_set(partition->metrics.used_bytes, (int64_t)stats.used_bytes);
    csti_metric_set(partition->metrics.misplaced,
                    (int64_t)(stats.misplaced_bytes + channels_misplaced(partition)));
    near_look(partition, stats.state_bytes, stats.log_bytes);
    pause_set(partition, partition->halted || partition->state_full ||
                             stats.log_bytes > partition->options.log_bytes_max);
    const bool starved = partition->paused && !pinned &&
                         (partition->halted || partition->rows_since_seal == 0) &&
                         !keys_will_go(partition) && !(panes && csti_panes_is_closing(panes));
    atomic_store_explicit(&partition->starved, starved, memory_order_relaxed);
    csti_metric_set(partition->metrics.paused, partition->paused + starved);
}

static void clock_look(csti_partition *partition) {
    const int64_t now_us = csti_clock_wall_us(partition->options.clock);

    // NONE is far below any clock: no difference of the two would fit.
    if (partition->expiry.now_us != INT64_MIN && now_us < partition->expiry.now_us + CLOCK_STEP_US)
        return;
    csti_expiry_advance(&partition->expiry, now_us);
    partition->watermark_us = partition->expiry.now_us;
}

// ---- Open ---------------------------------------------------------------------------------------

// long: a table.
static cst_code metrics_open(csti_partition *partition, cst_err *err) {
    csti_partition_metrics *m = &partition->metrics;
    const csti_metric_row wanted[] = {
        {&m->rows, CSTI_METRIC_COUNTER, "constellation_rows_total", "Rows applied."},
        {&m->bytes, CSTI_METRIC_COUNTER, "constellation_bytes_total", "Bytes of rows applied."},
        {&m->barriers, CSTI_METRIC_COUNTER, "constellation_barriers_total", "Epochs sealed."},
        {&m->batch_ns, CSTI_METRIC_HISTOGRAM, "constellation_batch_latency_seconds",
         "From a block's first row read to the block applied."},
        {&m->align_ns, CSTI_METRIC_HISTOGRAM, "constellation_align_seconds",
         "From the first input's barrier to the last one's."},
        {&m->waits_for, CSTI_METRIC_GAUGE, "constellation_align_waits_for",
         "The input whose barrier is missing; -1: none."},
        {&m->delta_bytes, CSTI_METRIC_GAUGE, "constellation_delta_bytes",
         "Bytes of the epoch last sealed."},
        {&m->watermark_us, CSTI_METRIC_GAUGE, "constellation_watermark_timestamp_seconds",
         "Event time up to which rows are complete; not there without any."},
        {&m->keys, CSTI_METRIC_GAUGE, "constellation_keys", "Keys in the table."},
        {&m->expired, CSTI_METRIC_COUNTER, "constellation_expired_keys_total",
         "Keys taken out of the table because their time was over."},
        {&m->used_bytes, CSTI_METRIC_GAUGE, "constellation_table_bytes",
         "Memory of the table, its change log included."},
        {&m->misplaced, CSTI_METRIC_GAUGE, "constellation_misplaced_bytes",
         "Memory of the table and of the partition's channels on another NUMA node than its own."},
        {&m->paused, CSTI_METRIC_GAUGE, "constellation_paused",
         "1: above the memory budget; 2: and nothing is left that could be freed."},
        {&m->pauses, CSTI_METRIC_COUNTER, "constellation_pauses_total",
         "Times that the memory came above its budget."},
        {&m->near, CSTI_METRIC_GAUGE, "constellation_near_budget",
         "1: at 80% of the memory budget or above, until it is below 75%."},
        {&m->near_count, CSTI_METRIC_COUNTER, "constellation_near_budget_total",
         "Times that the memory came to 80% of its budget."},
        {&m->budget_bytes, CSTI_METRIC_GAUGE, "constellation_budget_bytes",
         "What the partition takes of the memory budget before it pauses."},
        {&m->queued, CSTI_METRIC_GAUGE, "constellation_channel_messages",
         "Messages in the partition's channels."},
        {&m->held, CSTI_METRIC_GAUGE, "constellation_align_held_rows",
         "Rows that wait for the barriers of other inputs."},
        {&m->ignored, CSTI_METRIC_COUNTER, "constellation_barriers_ignored_total",
         "Barriers that came twice, late, or after they were given up."},
        {&m->failed, CSTI_METRIC_COUNTER, "constellation_inputs_failed_total",
         "Inputs that ended with an error."},
        {&m->stored_rows, CSTI_METRIC_GAUGE, "constellation_stored_rows",
         "Rows under way that are kept for a checkpoint that did not wait for them."},
        {&m->stored_bytes, CSTI_METRIC_GAUGE, "constellation_stored_row_bytes",
         "Bytes of these rows."},
        {&m->stored_total, CSTI_METRIC_COUNTER, "constellation_stored_rows_total",
         "Rows under way that a checkpoint took along."},
        {&m->replayed, CSTI_METRIC_COUNTER, "constellation_replayed_rows_total",
         "Rows that the checkpoint had taken along, applied at the start."},
    };
    char labels[32];
    cst_code code;

    (void)snprintf(labels, sizeof labels, "partition=\"%u\"", partition->options.partition);
    code = csti_metrics_register_rows(partition->options.metrics, wanted,
                                      sizeof wanted / sizeof *wanted, labels, err);
    if (code != CST_OK) return code;
    csti_metric_set(m->waits_for, -1);
    csti_metric_set(m->budget_bytes, (int64_t)(partition->options.state_bytes_max +
                                               partition->options.log_bytes_max));
    return CST_OK;
}

// What becomes of barriers that are not sealed: one name, a label for each outcome of the aligner.
static cst_code outcomes_open(csti_partition *partition, cst_err *err) {
    csti_partition_metrics *m = &partition->metrics;
    const struct {
        csti_metric **out;
        const char *why;
    } wanted[] = {
        {&m->superseded, "superseded"}, {&m->aborted, "aborted"},           {&m->limit, "limit"},
        {&m->timeout, "timeout"},       {&m->input_failed, "input_failed"},
    };
    char labels[64];

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cst_code code;

        (void)snprintf(labels, sizeof labels, "partition=\"%u\",why=\"%s\"",
                       partition->options.partition, wanted[i].why);
        code = csti_metrics_register(partition->options.metrics, CSTI_METRIC_COUNTER,
                                     "constellation_barriers_given_up_total",
                                     "Barriers given up while they were aligned.", labels,
                                     wanted[i].out, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

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
    if (code == CST_OK) code = metrics_open(partition, err);
    if (code == CST_OK)
        csti_metric_set(partition->metrics.watermark_us,
                        options->watermark_us == CSTI_WATERMARK_NONE ? CSTI_METRIC_ABSENT
                                                                     : options->watermark_us);
    if (code == CST_OK) code = outcomes_open(partition, err);
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
    room_look(partition);
    if (csti_expiry_by_clock(&partition->expiry)) clock_look(partition);
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

// ---- What the table says ------------------------------------------------------------------------

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

static cst_code fail_key(const csti_partition *partition, const char *key, cst_code code,
                         cst_err *err) {
    return cst_fail(err, code, "partition %u, key %s: %s. %s", partition->options.partition,
                    *key ? key : "-", cst_code_text(code), cst_code_advice(code));
}

static cst_code fail_row(const csti_partition *partition, const cst_completion *done,
                         cst_err *err) {
    char key[2 * KEY_SHOWN_BYTES_MAX + 1] = "";

    if (done->tag >= TAGS_COUNT) {
        const cst_rows rows = partition->options.panes
                                  ? ((const csti_pane_rows *)(uintptr_t)done->tag)->rows
                                  : csti_block_rows((const csti_block *)(uintptr_t)done->tag);

        if (done->rows_done < rows.rows_count)
            key_show(partition, &rows, done->rows_done, key, sizeof key);
    }
    return fail_key(partition, key, done->code, err);
}

static void applied_add(csti_partition *partition, const csti_block *block) {
    for (uint32_t r = 0; r < block->runs_count; r++)
        if (block->runs[r].split < partition->options.splits_count)
            partition->applied[block->runs[r].split] += block->runs[r].rows_count;
}

static void block_end(csti_partition *partition, csti_block *block) {
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

static cst_code sealed_give(csti_partition *partition, const csti_sealed *sealed, uint64_t bytes,
                            cst_err *err) {
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
    return sealed_give(partition, &sealed, done->delta.to - done->delta.from, err);
}

static void pane_done(csti_partition *partition, uint64_t tag) {
    csti_block *block = NULL;

    if (tag == TAG_RELEASE)
        csti_panes_release_done(partition->options.panes);
    else
        block = csti_panes_rows_done(partition->options.panes);
    if (block) block_end(partition, block);
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
    if (done->code != CST_OK) return fail_row(partition, done, err);
    if (done->tag == TAG_BARRIER) return barrier_end(partition, done, err);
    if (partition->options.panes)
        pane_done(partition, done->tag);
    else if (done->tag >= TAGS_COUNT)
        block_end(partition, (csti_block *)(uintptr_t)done->tag);
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

static cst_code completions_take(csti_partition *partition, bool *worked, cst_err *err) {
    cst_completion done[COMPLETIONS_A_POLL_MAX];
    uint32_t count = 0;
    cst_code code =
        csti_keeper_poll(partition->keeper, done, COMPLETIONS_A_POLL_MAX, &count, worked, err);

    for (uint32_t i = 0; i < count && code == CST_OK; i++)
        code = completion_take(partition, &done[i], err);
    return code == CST_OK ? halt_end(partition, err) : code;
}

// ---- Gauges and releases ------------------------------------------------------------------------

static void align_set(csti_partition *partition) {
    const csti_partition_metrics *m = &partition->metrics;
    csti_aligner_stats align;

    csti_aligner_stats_read(partition->aligner, &align);
    csti_metric_set(m->held, (int64_t)align.held_rows);
    csti_metric_set(m->waits_for,
                    align.waits_for == CSTI_ALIGNER_NO_INPUT ? -1 : (int64_t)align.waits_for);
    csti_metric_set(m->ignored, (int64_t)align.duplicates);
    csti_metric_set(m->failed, (int64_t)align.inputs_failed);
    csti_metric_set(m->superseded, (int64_t)align.superseded);
    csti_metric_set(m->aborted, (int64_t)align.aborted);
    csti_metric_set(m->limit, (int64_t)(align.limit_reached + partition->stored_limit_count));
    csti_metric_set(m->timeout, (int64_t)align.timed_out);
    csti_metric_set(m->input_failed, (int64_t)align.given_up_for_failure);
}

static void gauges_set(csti_partition *partition, uint64_t now_ns) {
    uint64_t queued = 0;

    if (now_ns - partition->shown_ns < GAUGES_EVERY_NS) return;
    partition->shown_ns = now_ns;
    for (uint32_t i = 0; i < partition->inputs_count; i++) {
        csti_channel_stats channel;

        csti_channel_stats_read(partition->inputs[i], &channel);
        queued += channel.queued;
    }
    csti_metric_set(partition->metrics.queued, (int64_t)queued);
    align_set(partition);
}

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

static cst_code releases_take(csti_partition *partition, bool *worked, cst_err *err) {
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

// ---- Rows under way -----------------------------------------------------------------------------

// Whether rows of the barrier that is being sealed may come behind it.
static bool rows_follow(const csti_partition *partition) {
    return partition->options.events.stored && partition->aligned.late;
}

static void store_end(csti_partition *partition) {
    csti_stored_end(&partition->store.rows);
    partition->store = (partition_store){.is_sealed = false};
    csti_metric_set(partition->metrics.stored_rows, 0);
    csti_metric_set(partition->metrics.stored_bytes, 0);
}

// What was kept for an older one was given up: another barrier comes when the last one is over.
static void store_begin(csti_partition *partition, csti_barrier barrier) {
    if (!rows_follow(partition)) return;
    store_end(partition);
    partition->store.barrier = barrier;
    csti_stored_begin(&partition->store.rows, partition->options.shape,
                      partition->options.stored_rows_max, partition->options.stored_bytes_max);
}

// A row of an input whose barrier is late; once, however often its block is offered to the keeper.
static void rows_store(csti_partition *partition) {
    const csti_aligned *aligned = &partition->aligned;
    partition_store *store = &partition->store;
    const csti_barrier barrier = store->barrier;
    cst_err err = {.code = CST_OK};
    cst_code code;

    if (barrier.id == 0 || !aligned->late) return;
    code = csti_stored_put(&store->rows, aligned->message.block, &err);
    partition->aligned.late = false;
    if (code == CST_OK) {
        csti_metric_set(partition->metrics.stored_rows, (int64_t)store->rows.rows_count);
        csti_metric_set(partition->metrics.stored_bytes, (int64_t)store->rows.bytes.used_bytes);
        return;
    }
    partition->stored_limit_count++;
    store_end(partition);
    align_set(partition);
    partition->options.events.given_up(partition->options.events.context, barrier, code,
                                       aligned->input);
}

// Complete, when the last late barrier has come.
static cst_code store_look(csti_partition *partition, bool *worked, cst_err *err) {
    partition_store *store = &partition->store;
    csti_aligner_stats align;
    uint64_t rows_count;
    cst_code code;

    if (store->barrier.id == 0 || !store->is_sealed) return CST_OK;
    csti_aligner_stats_read(partition->aligner, &align);
    if (align.flowed_id < store->barrier.id) return CST_OK;
    rows_count = store->rows.rows_count;
    code = partition->options.events.stored(partition->options.events.context, store->barrier.id,
                                            &store->rows, err);
    csti_metric_add(partition->metrics.stored_total, rows_count);
    store_end(partition);
    *worked = true;
    return code;
}

// Behind the columns of the block, where the program looks for it.
static void times_put(const csti_partition *partition, csti_block *block) {
    const uint16_t source = partition->expiry.clock_source;

    assert(source < CSTI_BLOCK_SOURCES_MAX);
    assert(block->rows_count <= partition->expiry.times_count);
    block->sources[source] = csti_expiry_source(&partition->expiry);
}

static cst_code pane_rows_submit(csti_partition *partition, csti_block *block, cst_err *err) {
    bool done = false;
    const cst_code code =
        csti_panes_rows(partition->options.panes, partition->keeper, block, &done, err);

    if (code == CST_OK && done) block_end(partition, block);
    if (code == CST_SUM_OVERFLOW &&
        csti_panes_failed_row(partition->options.panes) < block->rows_count) {
        const cst_rows rows = csti_block_rows(block);
        char key[2 * KEY_SHOWN_BYTES_MAX + 1] = "";

        key_show(partition, &rows, csti_panes_failed_row(partition->options.panes), key,
                 sizeof key);
        return fail_key(partition, key, code, err);
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

// ---- Keys whose time is over --------------------------------------------------------------------

// The next step has room: what it leaves fits the reserve.
static bool expiry_has_room(const csti_partition *partition) {
    return partition->chunks_count > 0 && partition->log_bytes <= partition->options.log_bytes_max;
}

// What is over at the end is to be gone from the results: whether the final barrier waits.
static bool final_walk_wanted(csti_partition *partition) {
    const csti_expiry *expiry = &partition->expiry;

    if (expiry->ttl_us == CST_TTL_NONE || expiry->now_us == INT64_MIN) return false;
    if (partition->final_us == CSTI_WATERMARK_NONE) csti_expiry_restart(&partition->expiry);
    partition->final_us = expiry->now_us;
    if (partition->halted || !expiry_has_room(partition)) return false;
    return expiry->walk_us != expiry->now_us || expiry->buckets_left > 0 || expiry->in_flight;
}

// With nothing in flight. The clock stands while a final barrier waits: behind it nothing is over
// that was not in front.
static cst_code expiry_turn(csti_partition *partition, bool *worked, cst_err *err) {
    csti_expiry *expiry = &partition->expiry;
    const bool final = partition->final_us != CSTI_WATERMARK_NONE;
    cst_command command = {.fixup = true, .tag = TAG_EXPIRE, .table = partition->options.table};
    cst_code code;

    if (expiry->ttl_us == CST_TTL_NONE) return CST_OK;
    if (csti_expiry_by_clock(expiry) && !final && !partition->halted) clock_look(partition);
    if (!expiry_has_room(partition)) return CST_OK;
    if (!csti_expiry_is_due(expiry, final || partition->paused)) return CST_OK;
    csti_expiry_step(expiry, partition->chunks_count * CSTI_CHUNK_BUCKETS, &command);
    code = csti_keeper_submit(partition->keeper, &command, err);
    assert(code != CST_AGAIN); // it was empty
    *worked = true;
    return code;
}

static void align_observe(csti_partition *partition) {
    csti_aligner_stats align;

    csti_aligner_stats_read(partition->aligner, &align);
    csti_metric_observe(partition->metrics.align_ns, align.align_ns - partition->align_ns_seen);
    partition->align_ns_seen = align.align_ns;
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
                          .rows_follow = rows_follow(partition),
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
    align_observe(partition);
    code = sealed_give(partition, &sealed, sealed.panes->bytes, err);
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
    if (barrier.mode == CSTI_BARRIER_FINAL && final_walk_wanted(partition)) return CST_AGAIN;
    code = csti_keeper_submit(partition->keeper, &command, err);
    if (code != CST_OK) return code;
    align_observe(partition);
    partition->barriers[at % CSTI_PARTITION_BARRIERS_MAX] =
        (partition_barrier){.barrier = barrier,
                            .watermark_us = partition->watermark_us,
                            .rows_follow = rows_follow(partition)};
    partition->barriers_count++;
    partition->final_us = CSTI_WATERMARK_NONE;
    return CST_OK;
}

// CST_AGAIN: the keeper is full, `aligned` waits.
static cst_code aligned_take(csti_partition *partition, cst_err *err) {
    const csti_aligned *aligned = &partition->aligned;

    switch (aligned->kind) {
    case CSTI_ALIGNED_ROWS:
        rows_store(partition);
        return rows_submit(partition, aligned->message.block, err);
    case CSTI_ALIGNED_BARRIER:
        store_begin(partition, aligned->barrier);
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
        align_set(partition);
        partition->options.events.given_up(partition->options.events.context, aligned->barrier,
                                           aligned->code, aligned->input);
        break;
    case CSTI_ALIGNED_FAILED: // the reader has said why; nothing of it comes any more
        align_set(partition);
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
    if (id != 0 && id == partition->store.barrier.id) store_end(partition);
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
    if (code == CST_OK) code = completions_take(partition, &worked, err);
    if (code == CST_OK) code = releases_take(partition, &worked, err);
    abort_look(partition);
    unaligned_look(partition, now_ns);
    if (code == CST_OK) code = emitted_push(partition, &worked, err);
    if (code == CST_OK) code = windows_close(partition, &worked, err);
    if (code == CST_OK && takes_messages(partition))
        code = messages_take(partition, now_ns, &worked, err);
    if (code == CST_OK) code = completions_take(partition, &worked, err);
    if (code == CST_OK) code = store_look(partition, &worked, err);
    if (code == CST_OK && csti_keeper_is_idle(partition->keeper)) {
        if (worked || partition->paused) room_look(partition);
        code = expiry_turn(partition, &worked, err);
    }
    if (code != CST_OK) {
        partition->failed = code;
        partition->failure = *err;
        return code;
    }
    gauges_set(partition, now_ns);
    return worked ? CST_OK : CST_AGAIN;
}
