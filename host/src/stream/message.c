#include "stream/message.h"

#include "base/pages.h"
#include "base/spsc_ring.h"

#include <assert.h>
#include <stdlib.h>

enum { ARRAY_ALIGNMENT = 64, END_AND_BARRIER = 2 };

typedef struct item {
    _Alignas(64) uint32_t kind; // csti_message_kind: ROWS, BARRIER, END or FAILED
    cst_code code;
    csti_block *block;
    csti_barrier barrier;
    int64_t watermark_us; // the highest before it
    bool idle;            // before it
} item;
_Static_assert(sizeof(item) == 64, "an item is a line");

struct csti_channel {
    csti_spsc_ring items; // blocks_count + END_AND_BARRIER: never full
    csti_spsc_ring empty; // blocks on their way back

    // The producer's.
    _Alignas(CSTI_SPSC_LINE_BYTES) int64_t watermark_us; // the highest sent
    uint64_t barriers_sent;
    bool idle;
    bool ended;
    _Atomic uint64_t blocks_count, rows_count, bytes_count, full_count;

    // The cell, written by the producer: what it has said since item number `position` - 1.
    _Alignas(
        CSTI_SPSC_LINE_BYTES) _Atomic uint64_t position; // items before it + 1; 0: being written
    _Atomic int64_t cell_watermark_us;
    _Atomic bool cell_idle;

    // The consumer's.
    _Alignas(CSTI_SPSC_LINE_BYTES) int64_t watermark_seen_us;
    bool idle_seen;
    _Atomic bool stalled;
    _Atomic uint64_t barriers_received; // read by the producer

    _Alignas(CSTI_SPSC_LINE_BYTES) csti_pages pages; // of the blocks
    csti_block *blocks;
    uint32_t blocks_max;
};

// ---- Blocks ----

// Where the arrays of one block lie, from its beginning.
typedef struct layout {
    size_t keys, key_offsets, hashes, ops;
    size_t values[CSTI_BLOCK_SOURCES_MAX], validity[CSTI_BLOCK_SOURCES_MAX];
    size_t bytes;
} layout;

static size_t place(layout *l, size_t bytes) {
    const size_t at = l->bytes;

    l->bytes += (bytes + ARRAY_ALIGNMENT - 1) / ARRAY_ALIGNMENT * ARRAY_ALIGNMENT;
    return at;
}

static cst_code check_shape(const csti_block_shape *shape, uint32_t blocks_count, cst_err *err) {
    const uint64_t keys_bytes = (uint64_t)shape->rows_capacity * shape->key_bytes_max;

    if (blocks_count == 0 || blocks_count > CSTI_CHANNEL_BLOCKS_MAX)
        return cst_fail(err, CST_LIMIT, "channel of %u blocks: 1 to %d are possible", blocks_count,
                        CSTI_CHANNEL_BLOCKS_MAX);
    if (shape->rows_capacity == 0 || shape->rows_capacity > CST_BATCH_ROWS_MAX)
        return cst_fail(err, CST_LIMIT, "channel: blocks of %u rows: 1 to %d are possible",
                        shape->rows_capacity, CST_BATCH_ROWS_MAX);
    if (shape->key_bytes > CST_WIDE_KEY_BYTES_MAX || shape->key_bytes_max > CST_WIDE_KEY_BYTES_MAX)
        return cst_fail(err, CST_LIMIT, "channel: keys of %u bytes: %d are possible",
                        shape->key_bytes ? shape->key_bytes : shape->key_bytes_max,
                        CST_WIDE_KEY_BYTES_MAX);
    if (shape->key_bytes == 0 && shape->keys_bytes == 0 && keys_bytes > UINT32_MAX)
        return cst_fail(err, CST_LIMIT, "channel: %u keys of up to %u bytes are over 4 GiB a block",
                        shape->rows_capacity, shape->key_bytes_max);
    if (shape->keys_bytes != 0 && shape->keys_bytes < shape->key_bytes_max)
        return cst_fail(err, CST_USAGE, "channel: %u bytes for keys of up to %u bytes",
                        shape->keys_bytes, shape->key_bytes_max);
    if (shape->sources_count > CSTI_BLOCK_SOURCES_MAX)
        return cst_fail(err, CST_LIMIT, "channel: %u columns: %d are possible",
                        shape->sources_count, CSTI_BLOCK_SOURCES_MAX);
    return CST_OK;
}

static uint32_t keys_capacity(const csti_block_shape *shape) {
    if (shape->key_bytes != 0) return shape->rows_capacity * shape->key_bytes;
    if (shape->keys_bytes != 0) return shape->keys_bytes;
    return shape->rows_capacity * shape->key_bytes_max;
}

static layout lay_out(const csti_block_shape *shape) {
    const size_t rows = shape->rows_capacity;
    layout l = {0};

    l.keys = place(&l, keys_capacity(shape));
    l.key_offsets = place(&l, shape->key_bytes ? 0 : (rows + 1) * sizeof(uint32_t));
    l.hashes = place(&l, rows * sizeof(uint64_t));
    l.ops = place(&l, shape->ops ? rows : 0);
    for (uint32_t i = 0; i < shape->sources_count; i++) {
        const cst_column column = {.type = shape->source_types[i]};

        l.values[i] = place(&l, rows * cst_column_value_bytes(&column));
        l.validity[i] = place(&l, shape->source_nullable[i] ? (rows + 7) / 8 : 0);
    }
    return l;
}

static void block_init(csti_block *block, const csti_block_shape *shape, const layout *l,
                       uint8_t *base) {
    *block = (csti_block){
        .rows_capacity = shape->rows_capacity,
        .key_bytes = shape->key_bytes,
        .keys_capacity = keys_capacity(shape),
        .keys = base + l->keys,
        .key_offsets = shape->key_bytes ? NULL : (uint32_t *)(void *)(base + l->key_offsets),
        .hashes = (uint64_t *)(void *)(base + l->hashes),
        .ops = shape->ops ? base + l->ops : NULL,
        .sources_count = shape->sources_count,
    };
    for (uint32_t i = 0; i < shape->sources_count; i++)
        block->sources[i] =
            (cst_source){.values = base + l->values[i],
                         .validity = shape->source_nullable[i] ? base + l->validity[i] : NULL,
                         .type = shape->source_types[i]};
}

static cst_code open_blocks(csti_channel *channel, const csti_block_shape *shape, uint32_t count,
                            int numa_node, cst_err *err) {
    const csti_pages_options options = {.numa_node = numa_node, .hugepages = true};
    const layout l = lay_out(shape);
    cst_code code;
    size_t bytes;

    if (l.bytes > CSTI_CHANNEL_BYTES_MAX / count)
        return cst_fail(err, CST_LIMIT, "channel: %u blocks of %zu bytes: %zu in all are possible",
                        count, l.bytes, CSTI_CHANNEL_BYTES_MAX);
    bytes = l.bytes * count;
    code = csti_pages_reserve(&channel->pages, bytes, &options, err);
    if (code == CST_OK) code = csti_pages_prepare(&channel->pages, bytes, err);
    if (code != CST_OK) return code;
    for (uint32_t i = 0; i < count; i++) {
        csti_block *block = &channel->blocks[i];

        block_init(block, shape, &l, channel->pages.base + i * l.bytes);
        block->home = channel;
        csti_channel_recycle(channel, block);
    }
    return CST_OK;
}

cst_code csti_channel_open(const csti_block_shape *shape, uint32_t blocks_count, int numa_node,
                           csti_channel **out, cst_err *err) {
    csti_channel *channel = NULL;
    cst_code code = check_shape(shape, blocks_count, err);

    if (code != CST_OK) return code;
    channel = aligned_alloc(CSTI_SPSC_LINE_BYTES, sizeof *channel);
    if (!channel) return cst_fail(err, CST_NO_MEMORY, "channel: %zu bytes", sizeof *channel);
    memset(channel, 0, sizeof *channel);
    channel->watermark_us = CSTI_WATERMARK_NONE;
    channel->watermark_seen_us = CSTI_WATERMARK_NONE;
    channel->blocks = calloc(blocks_count, sizeof *channel->blocks);
    channel->blocks_max = blocks_count;
    code = channel->blocks ? CST_OK : cst_fail(err, CST_NO_MEMORY, "channel: blocks");
    if (code == CST_OK)
        code =
            csti_spsc_ring_open(&channel->items, blocks_count + END_AND_BARRIER, sizeof(item), err);
    if (code == CST_OK)
        code = csti_spsc_ring_open(&channel->empty, blocks_count, sizeof(csti_block *), err);
    if (code == CST_OK) code = open_blocks(channel, shape, blocks_count, numa_node, err);
    if (code != CST_OK) {
        csti_channel_close(channel);
        return code;
    }
    *out = channel;
    return CST_OK;
}

void csti_channel_close(csti_channel *channel) {
    if (!channel) return;
    csti_pages_release(&channel->pages);
    csti_spsc_ring_close(&channel->empty);
    csti_spsc_ring_close(&channel->items);
    free(channel->blocks);
    free(channel);
}

// ---- The producer ----

static void count_up(_Atomic uint64_t *counter, uint64_t by) {
    // Relaxed: one writer, and readers need no order.
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

csti_block *csti_channel_block(csti_channel *channel) {
    csti_block *block = NULL;

    assert(!channel->ended);
    if (!csti_spsc_ring_pop(&channel->empty, &block)) {
        count_up(&channel->full_count, 1);
        return NULL;
    }
    block->rows_count = 0;
    block->runs_count = 0;
    block->created_ns = 0;
    block->bytes = 0;
    if (block->key_offsets) block->key_offsets[0] = 0;
    return block;
}

static void send(csti_channel *channel, const item *what) {
    item *slot = csti_spsc_ring_slot(&channel->items);

    assert(slot && "every item has its slot");
    assert(!channel->ended);
    *slot = *what;
    slot->watermark_us = channel->watermark_us;
    slot->idle = channel->idle;
    csti_spsc_ring_publish(&channel->items);
}

void csti_channel_send_rows(csti_channel *channel, csti_block *block) {
    assert(block->home == channel);
    assert(block->rows_count <= block->rows_capacity);
    channel->idle = false; // an idleness that ends here has held nothing back
    count_up(&channel->blocks_count, 1);
    count_up(&channel->rows_count, block->rows_count);
    count_up(&channel->bytes_count, block->bytes);
    send(channel, &(item){.kind = CSTI_MESSAGE_ROWS, .block = block});
}

// The consumer looks at the position before and after it reads the rest.
static void write_cell(csti_channel *channel) {
    const uint64_t items_count = atomic_load_explicit(&channel->items.tail, memory_order_relaxed);

    assert(!channel->ended);
    atomic_store_explicit(&channel->position, 0, memory_order_relaxed);
    // Release pairs with the acquire loads in read_cell: who sees one of these sees position 0.
    atomic_store_explicit(&channel->cell_watermark_us, channel->watermark_us, memory_order_release);
    atomic_store_explicit(&channel->cell_idle, channel->idle, memory_order_release);
    atomic_store_explicit(&channel->position, items_count + 1, memory_order_release);
}

void csti_channel_send_watermark(csti_channel *channel, int64_t watermark_us) {
    if (watermark_us <= channel->watermark_us) return;
    channel->watermark_us = watermark_us;
    write_cell(channel);
}

void csti_channel_send_idle(csti_channel *channel) {
    if (channel->idle) return;
    channel->idle = true;
    write_cell(channel);
}

void csti_channel_send_live(csti_channel *channel) {
    if (!channel->idle) return;
    channel->idle = false;
    write_cell(channel);
}

cst_code csti_channel_send_barrier(csti_channel *channel, csti_barrier barrier) {
    assert(barrier.id != 0);
    // Acquire pairs with the release in csti_channel_receive: the slot is free again.
    if (channel->barriers_sent !=
        atomic_load_explicit(&channel->barriers_received, memory_order_acquire))
        return CST_AGAIN;
    channel->barriers_sent++;
    send(channel, &(item){.kind = CSTI_MESSAGE_BARRIER, .barrier = barrier});
    return CST_OK;
}

void csti_channel_send_end(csti_channel *channel, cst_code code) {
    send(channel,
         &(item){.kind = code == CST_OK ? CSTI_MESSAGE_END : CSTI_MESSAGE_FAILED, .code = code});
    channel->ended = true;
}

// ---- The consumer ----

// What was said before the next item, a message at a time.
static bool say(csti_channel *channel, int64_t watermark_us, bool idle, csti_message *out) {
    if (watermark_us > channel->watermark_seen_us) {
        channel->watermark_seen_us = watermark_us;
        *out = (csti_message){.kind = CSTI_MESSAGE_WATERMARK, .watermark_us = watermark_us};
        return true;
    }
    if (idle == channel->idle_seen) return false;
    channel->idle_seen = idle;
    *out = (csti_message){.kind = idle ? CSTI_MESSAGE_IDLE : CSTI_MESSAGE_LIVE};
    return true;
}

// With no item left: what was said behind the last one. A cell that is being written, or stands
// behind items that came meanwhile, is left to the next call.
static bool read_cell(csti_channel *channel, csti_message *out) {
    const uint64_t wanted = atomic_load_explicit(&channel->items.head, memory_order_relaxed) + 1;
    int64_t watermark_us;
    bool idle;

    if (atomic_load_explicit(&channel->position, memory_order_acquire) != wanted) return false;
    watermark_us = atomic_load_explicit(&channel->cell_watermark_us, memory_order_acquire);
    idle = atomic_load_explicit(&channel->cell_idle, memory_order_acquire);
    if (atomic_load_explicit(&channel->position, memory_order_relaxed) != wanted) return false;
    return say(channel, watermark_us, idle, out);
}

bool csti_channel_receive(csti_channel *channel, csti_message *out) {
    const item *front = csti_spsc_ring_front(&channel->items);

    // Relaxed: nothing goes with it.
    if (atomic_load_explicit(&channel->stalled, memory_order_relaxed)) return false;
    if (!front) return read_cell(channel, out);
    if (front->kind == CSTI_MESSAGE_ROWS) channel->idle_seen = false; // they say it themselves
    if (say(channel, front->watermark_us, front->idle, out)) return true;
    *out = (csti_message){.kind = (csti_message_kind)front->kind,
                          .code = front->code,
                          .block = front->block,
                          .barrier = front->barrier};
    csti_spsc_ring_consume(&channel->items);
    // Release pairs with the acquire in csti_channel_send_barrier.
    if (out->kind == CSTI_MESSAGE_BARRIER)
        atomic_store_explicit(&channel->barriers_received,
                              atomic_load_explicit(&channel->barriers_received,
                                                   memory_order_relaxed) +
                                  1,
                              memory_order_release);
    return true;
}

void csti_channel_recycle(csti_channel *channel, csti_block *block) {
    const bool pushed = csti_spsc_ring_push(&channel->empty, &block);

    assert(block->home == channel && "a block goes back where it came from");
    assert(pushed && "a block is recycled once");
    (void)pushed;
}

void csti_channel_stall(csti_channel *channel, bool stalled) {
    atomic_store_explicit(&channel->stalled, stalled, memory_order_relaxed);
}

void csti_channel_stats_read(const csti_channel *channel, csti_channel_stats *out) {
    *out = (csti_channel_stats){
        .blocks = atomic_load_explicit(&channel->blocks_count, memory_order_relaxed),
        .rows = atomic_load_explicit(&channel->rows_count, memory_order_relaxed),
        .bytes = atomic_load_explicit(&channel->bytes_count, memory_order_relaxed),
        .queued = csti_spsc_ring_count(&channel->items),
        .queued_max = channel->blocks_max,
        .full_count = atomic_load_explicit(&channel->full_count, memory_order_relaxed),
        .misplaced_bytes = csti_pages_misplaced(&channel->pages),
    };
}
