// partition_room.c: the memory budget, the clock, and keys whose time is over.
#include "stream/partition_internal.h"

#include "table/image.h"

#include <assert.h>

enum {
    CLOCK_STEP_US = 1000,
    ROOM_SHARE = 16,  // of the keys: so many gone end a pause
    GROWTH_COSTS = 8, // of the keys: so many fewer, when a table has grown above its bound
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

void csti_partition_room_look(csti_partition *partition) {
    const bool pinned = partition->sealed_count > partition->released_count;
    const csti_panes *panes = partition->options.panes;
    csti_keeper_stats stats;

    partition->blocks_since_look = 0;
    if (!stats_read(partition, &stats)) return;
    partition->log_bytes = stats.log_bytes;
    partition->chunks_count = panes ? 0 : stats.chunks_count;
    partition->state_full = state_is_full(partition, &stats);
    csti_metric_set(partition->metrics.keys, (int64_t)stats.rows_count);
    csti_metric_set(partition->metrics.long_keys, (int64_t)stats.long_keys);
    csti_metric_set(partition->metrics.long_rows, (int64_t)stats.long_rows);
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

void csti_partition_clock_look(csti_partition *partition) {
    const int64_t now_us = csti_clock_wall_us(partition->options.clock);

    // NONE is far below any clock: no difference of the two would fit.
    if (partition->expiry.now_us != INT64_MIN && now_us < partition->expiry.now_us + CLOCK_STEP_US)
        return;
    csti_expiry_advance(&partition->expiry, now_us);
    partition->watermark_us = partition->expiry.now_us;
}

// ---- Keys whose time is over --------------------------------------------------------------------

// The next step has room: what it leaves fits the reserve.
static bool expiry_has_room(const csti_partition *partition) {
    return partition->chunks_count > 0 && partition->log_bytes <= partition->options.log_bytes_max;
}

bool csti_partition_final_walk_wanted(csti_partition *partition) {
    const csti_expiry *expiry = &partition->expiry;

    if (expiry->ttl_us == CST_TTL_NONE || expiry->now_us == INT64_MIN) return false;
    if (partition->final_us == CSTI_WATERMARK_NONE) csti_expiry_restart(&partition->expiry);
    partition->final_us = expiry->now_us;
    if (partition->halted || !expiry_has_room(partition)) return false;
    return expiry->walk_us != expiry->now_us || expiry->buckets_left > 0 || expiry->in_flight;
}

// The clock stands while a final barrier waits: behind it nothing is over
// that was not in front.
cst_code csti_partition_expiry_turn(csti_partition *partition, bool *worked, cst_err *err) {
    csti_expiry *expiry = &partition->expiry;
    const bool final = partition->final_us != CSTI_WATERMARK_NONE;
    cst_command command = {.fixup = true, .tag = TAG_EXPIRE, .table = partition->options.table};
    cst_code code;

    if (expiry->ttl_us == CST_TTL_NONE) return CST_OK;
    if (csti_expiry_by_clock(expiry) && !final && !partition->halted)
        csti_partition_clock_look(partition);
    if (!expiry_has_room(partition)) return CST_OK;
    if (!csti_expiry_is_due(expiry, final || partition->paused)) return CST_OK;
    csti_expiry_step(expiry, partition->chunks_count * CSTI_CHUNK_BUCKETS, &command);
    code = csti_keeper_submit(partition->keeper, &command, err);
    assert(code != CST_AGAIN); // it was empty
    *worked = true;
    return code;
}
