#include "stream/route.h"

#include "stream/project.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct route_partition {
    csti_channel *channel;
    csti_parker *receiver;
    csti_block *block; // begun, not sent; NULL: none
    uint32_t next, to; // in `order`: rows that wait
    bool barrier_sent; // of the barrier under way
} route_partition;

typedef struct route_split {
    uint32_t number;
    uint64_t left; // all of `skips` together
    uint64_t *routed, *skips;
} route_split;

struct csti_router {
    uint32_t partitions_count;
    uint32_t split; // of the batch
    route_split *splits;
    uint64_t *counts; // of all splits
    uint32_t rows_max;
    csti_block_shape shape;
    uint32_t source_bytes[CSTI_BLOCK_SOURCES_MAX];
    uint32_t row_bytes; // of what has a fixed width
    cst_rows rows;      // the batch
    uint64_t read_ns;
    uint32_t waiting_count;
    uint32_t *order;
    uint8_t partition_of[CSTI_ROUTE_GROUPS_COUNT];
    route_partition partitions[CSTI_ROUTE_PARTITIONS_MAX];
};

static uint32_t type_bytes(cst_type type) {
    const cst_column column = {.type = type};

    return cst_column_value_bytes(&column);
}

static cst_code splits_open(csti_router *router, const csti_router_options *options, cst_err *err) {
    const csti_router_split one = {.number = 0};
    const uint32_t splits_count = options->splits_count ? options->splits_count : 1;
    const uint32_t partitions_count = options->partitions_count;

    router->splits = calloc(splits_count, sizeof *router->splits);
    router->counts = calloc((size_t)splits_count * 2 * partitions_count, sizeof *router->counts);
    if (!router->splits || !router->counts)
        return cst_fail(err, CST_NO_MEMORY, "a router of %u splits", splits_count);
    for (uint32_t s = 0; s < splits_count; s++) {
        const csti_router_split *from = options->splits_count ? &options->splits[s] : &one;
        route_split *split = &router->splits[s];

        split->number = from->number;
        split->routed = router->counts + (size_t)s * 2 * partitions_count;
        split->skips = split->routed + partitions_count;
        for (uint32_t p = 0; from->skips && p < partitions_count; p++)
            split->left += split->skips[p] = from->skips[p];
    }
    return CST_OK;
}

cst_code csti_router_open(const csti_router_options *options, csti_router **out, cst_err *err) {
    csti_router *router = calloc(1, sizeof *router);
    uint32_t partition = 0;

    assert(options->partitions_count > 0);
    assert(options->partitions_count <= CSTI_ROUTE_PARTITIONS_MAX);
    assert(options->groups_first[0] == 0);
    if (router) router->order = malloc(sizeof *router->order * options->rows_max);
    if (!router || !router->order) {
        csti_router_close(router);
        return cst_fail(err, CST_NO_MEMORY, "a router of %u rows", options->rows_max);
    }
    const cst_code code = splits_open(router, options, err);
    if (code != CST_OK) {
        csti_router_close(router);
        return code;
    }
    router->partitions_count = options->partitions_count;
    router->rows_max = options->rows_max;
    router->shape = *options->shape;
    router->row_bytes = options->shape->key_bytes + (uint32_t)sizeof(uint64_t);
    for (uint32_t s = 0; s < options->shape->sources_count; s++) {
        router->source_bytes[s] = type_bytes(options->shape->source_types[s]);
        router->row_bytes += router->source_bytes[s];
    }
    for (uint32_t group = 0; group < CSTI_ROUTE_GROUPS_COUNT; group++) {
        while (partition + 1 < options->partitions_count &&
               options->groups_first[partition + 1] <= group)
            partition++;
        router->partition_of[group] = (uint8_t)partition;
    }
    for (uint32_t p = 0; p < options->partitions_count; p++) {
        router->partitions[p].channel = options->channels[p];
        if (options->receivers) router->partitions[p].receiver = options->receivers[p];
    }
    *out = router;
    return CST_OK;
}

void csti_router_close(csti_router *router) {
    if (!router) return;
    free(router->splits);
    free(router->counts);
    free(router->order);
    free(router);
}

// ---- A batch ------------------------------------------------------------------------------------

// A counting sort: stable, two passes over the hashes.
static void rows_order(csti_router *router) {
    const cst_rows *rows = &router->rows;
    uint32_t at[CSTI_ROUTE_PARTITIONS_MAX] = {0};
    uint32_t from = 0;

    for (uint32_t r = 0; r < rows->rows_count; r++)
        at[router->partition_of[cst_key_group(rows->hashes[r])]]++;
    for (uint32_t p = 0; p < router->partitions_count; p++) {
        const uint32_t count = at[p];

        router->partitions[p].next = at[p] = from;
        router->partitions[p].to = from += count;
    }
    for (uint32_t r = 0; r < rows->rows_count; r++)
        router->order[at[router->partition_of[cst_key_group(rows->hashes[r])]]++] = r;
}

// Each partition's share of the batch is counted; what it has of it already goes no further.
static void rows_count(csti_router *router) {
    route_split *split = &router->splits[router->split];

    for (uint32_t p = 0; p < router->partitions_count; p++)
        split->routed[p] += router->partitions[p].to - router->partitions[p].next;
    for (uint32_t p = 0; split->left > 0 && p < router->partitions_count; p++) {
        route_partition *partition = &router->partitions[p];
        const uint32_t waiting = partition->to - partition->next;
        const uint32_t skipped = split->skips[p] < waiting ? (uint32_t)split->skips[p] : waiting;

        partition->next += skipped;
        router->waiting_count -= skipped;
        split->skips[p] -= skipped;
        split->left -= skipped;
    }
}

void csti_router_turn(csti_router *router, uint32_t split) {
    assert(csti_router_is_done(router));
    router->split = split;
}

const uint64_t *csti_router_routed(const csti_router *router, uint32_t split) {
    return router->splits[split].routed;
}

const uint64_t *csti_router_skips(const csti_router *router, uint32_t split) {
    return router->splits[split].left ? router->splits[split].skips : NULL;
}

void csti_router_begin(csti_router *router, const cst_rows *rows, uint64_t read_ns) {
    assert(csti_router_is_done(router));
    assert(rows->rows_count <= router->rows_max);
    assert(!rows->ops || router->shape.ops);
    router->rows = *rows;
    router->read_ns = read_ns;
    router->waiting_count = rows->rows_count;
    if (router->partitions_count > 1) {
        rows_order(router);
    } else {
        router->partitions[0].next = 0;
        router->partitions[0].to = rows->rows_count;
    }
    rows_count(router);
}

// ---- Rows into a block --------------------------------------------------------------------------

static void bits_copy(uint8_t *out, uint32_t first, const uint8_t *in, uint32_t from,
                      uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = first + i;
        const uint32_t bit = in ? (uint32_t)in[(from + i) / 8] >> ((from + i) % 8) & 1u : 1u;

        out[at / 8] = (uint8_t)((out[at / 8] & ~(1u << (at % 8))) | bit << (at % 8));
    }
}

// Which rows of the batch go into a block: `count` from `from` on, through `order` if there is one.
typedef struct route_rows {
    const uint32_t *order; // NULL: as they lie
    uint32_t from, count;
} route_rows;

static void values_put(void *out, uint32_t at, const void *in, uint32_t width, route_rows rows) {
    uint8_t *to = (uint8_t *)out + (size_t)at * width;

    if (rows.order)
        csti_gather_values(to, in, width, rows.order + rows.from, rows.count);
    else
        memcpy(to, (const uint8_t *)in + (size_t)rows.from * width, (size_t)rows.count * width);
}

static void keys_put_variable(const cst_rows *in, csti_block *block, route_rows rows) {
    uint32_t used = block->rows_count ? block->key_offsets[block->rows_count] : 0;

    block->key_offsets[block->rows_count] = used;
    for (uint32_t i = 0; i < rows.count; i++) {
        const uint32_t row = rows.order ? rows.order[rows.from + i] : rows.from + i;
        const uint32_t bytes = in->key_offsets[row + 1] - in->key_offsets[row];

        memcpy(block->keys + used, in->keys + in->key_offsets[row], bytes);
        used += bytes;
        block->key_offsets[block->rows_count + i + 1] = used;
        block->bytes += bytes;
    }
}

static void keys_put(const cst_rows *in, csti_block *block, route_rows rows) {
    if (block->key_bytes == 0) {
        keys_put_variable(in, block, rows);
        return;
    }
    assert(in->key_stride == block->key_bytes);
    values_put(block->keys, block->rows_count, in->keys, block->key_bytes, rows);
}

static void block_put(const csti_router *router, csti_block *block, route_rows rows) {
    const cst_rows *in = &router->rows;
    const uint32_t at = block->rows_count;

    keys_put(in, block, rows);
    values_put(block->hashes, at, in->hashes, sizeof(uint64_t), rows);
    if (block->ops && in->ops)
        values_put(block->ops, at, in->ops, 1, rows);
    else if (block->ops)
        memset(block->ops + at, CST_ROW_UPSERT, rows.count);
    for (uint32_t s = 0; s < block->sources_count; s++) {
        // The block's own buffers: cst_source is what a table reads.
        if (router->source_bytes[s] > 0)
            values_put((void *)(uintptr_t)block->sources[s].values, at, in->sources[s].values,
                       router->source_bytes[s], rows);
        if (!block->sources[s].validity) continue;
        uint8_t *bits = (uint8_t *)(uintptr_t)block->sources[s].validity;
        if (rows.order)
            csti_gather_bits(bits, at, in->sources[s].validity, rows.order + rows.from, rows.count);
        else
            bits_copy(bits, at, in->sources[s].validity, rows.from, rows.count);
    }
    block->rows_count += rows.count;
    block->bytes += (uint64_t)rows.count * router->row_bytes;
}

static void block_send(route_partition *partition) {
    csti_channel_send_rows(partition->channel, partition->block);
    partition->block = NULL;
    if (partition->receiver) csti_unpark(partition->receiver);
}

static bool block_begin(const csti_router *router, route_partition *partition) {
    csti_block *block = csti_channel_block(partition->channel);

    if (!block) return false;
    assert(block->rows_capacity > 0);
    assert(block->sources_count == router->shape.sources_count);
    block->rows_count = 0;
    block->runs_count = 0;
    block->bytes = 0;
    block->created_ns = router->read_ns;
    partition->block = block;
    return true;
}

static bool run_fits(const csti_block *block, uint32_t split) {
    return block->runs_count < CSTI_BLOCK_RUNS_MAX ||
           block->runs[block->runs_count - 1].split == split;
}

static void run_add(csti_block *block, uint32_t split, uint32_t count) {
    if (block->runs_count == 0 || block->runs[block->runs_count - 1].split != split)
        block->runs[block->runs_count++] = (csti_block_run){.split = split};
    block->runs[block->runs_count - 1].rows_count += count;
}

static uint32_t partition_push(const csti_router *router, route_partition *partition) {
    const uint32_t split = router->splits[router->split].number;
    uint32_t moved = 0;

    while (partition->next < partition->to) {
        const uint32_t waiting = partition->to - partition->next;

        if (partition->block && !run_fits(partition->block, split)) block_send(partition);
        if (!partition->block && !block_begin(router, partition)) break;
        const uint32_t room = partition->block->rows_capacity - partition->block->rows_count;
        const route_rows rows = {.order = router->partitions_count > 1 ? router->order : NULL,
                                 .from = partition->next,
                                 .count = waiting < room ? waiting : room};
        block_put(router, partition->block, rows);
        run_add(partition->block, split, rows.count);
        partition->next += rows.count;
        moved += rows.count;
        if (rows.count == room) block_send(partition);
    }
    return moved;
}

uint32_t csti_router_push(csti_router *router) {
    uint32_t moved = 0;

    if (router->waiting_count == 0) return 0;
    for (uint32_t p = 0; p < router->partitions_count; p++)
        moved += partition_push(router, &router->partitions[p]);
    assert(moved <= router->waiting_count);
    router->waiting_count -= moved;
    return moved;
}

bool csti_router_is_done(const csti_router *router) {
    return router->waiting_count == 0;
}

void csti_router_flush(csti_router *router) {
    for (uint32_t p = 0; p < router->partitions_count; p++) {
        route_partition *partition = &router->partitions[p];

        if (partition->block && partition->block->rows_count > 0) block_send(partition);
    }
}

// ---- To all channels ----------------------------------------------------------------------------

static void receivers_wake(csti_router *router) {
    for (uint32_t p = 0; p < router->partitions_count; p++)
        if (router->partitions[p].receiver) csti_unpark(router->partitions[p].receiver);
}

void csti_router_send_watermark(csti_router *router, int64_t watermark_us) {
    for (uint32_t p = 0; p < router->partitions_count; p++)
        csti_channel_send_watermark(router->partitions[p].channel, watermark_us);
    receivers_wake(router);
}

void csti_router_send_idle(csti_router *router) {
    for (uint32_t p = 0; p < router->partitions_count; p++)
        csti_channel_send_idle(router->partitions[p].channel);
    receivers_wake(router);
}

void csti_router_send_live(csti_router *router) {
    for (uint32_t p = 0; p < router->partitions_count; p++)
        csti_channel_send_live(router->partitions[p].channel);
    receivers_wake(router);
}

bool csti_router_send_barrier(csti_router *router, csti_barrier barrier) {
    bool everywhere = true;

    assert(csti_router_is_done(router));
    for (uint32_t p = 0; p < router->partitions_count; p++) {
        route_partition *partition = &router->partitions[p];

        if (partition->barrier_sent) continue;
        partition->barrier_sent = csti_channel_send_barrier(partition->channel, barrier) == CST_OK;
        everywhere = everywhere && partition->barrier_sent;
    }
    if (everywhere)
        for (uint32_t p = 0; p < router->partitions_count; p++)
            router->partitions[p].barrier_sent = false;
    receivers_wake(router);
    return everywhere;
}

void csti_router_send_end(csti_router *router, cst_code code) {
    for (uint32_t p = 0; p < router->partitions_count; p++)
        csti_channel_send_end(router->partitions[p].channel, code);
    receivers_wake(router);
}
