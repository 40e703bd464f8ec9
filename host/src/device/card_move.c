// card_move.c: a table's image between the host's memory and that of a card with one of its own.
//
//   host   [ stripe 0 | stripe 1 | stripe 2 | ... ]        of a region, one behind the other
//   card   channel 0 [ line 0 | line 1 | ... ]             a line: one stripe of sixteen, which one
//          channel 1 [ line 0 | line 1 | ... ]             is folded from its number
//
// Whole regions go, as far as they are in use, a transfer a channel and region; of the log behind a
// barrier the lines that the delta has. The regions lie on the card as large as what is ready of
// them, and move when that outgrows them.
#include "device/card_internal.h"
#include "table/internal.h"

enum { REGION_LOG = CARD_REGIONS - 1 };

// Bytes [from, to) of a region in the host's memory, and the lines of channels that have them.
typedef struct stretch {
    uint32_t region;
    uint64_t from, to;
} stretch;

// The part of a channel's line that belongs to the stretch: its offset in the region, and bytes.
static uint64_t line_bytes(const card_table *table, const stretch *part, uint64_t line,
                           uint32_t channel, uint64_t *offset_out) {
    const uint64_t stripe_bytes = table->regions[part->region].stripe_bytes;
    uint64_t from = card_image_stripe(part->region, line, channel) * stripe_bytes;
    uint64_t to = from + stripe_bytes;

    if (from < part->from) from = part->from;
    if (to > part->to) to = part->to;
    *offset_out = from;
    return from < to ? to - from : 0;
}

static void channel_copy(card_queue *queue, card_table *table, card_direction direction,
                         const stretch *part, uint32_t channel) {
    const card_region *region = &table->regions[part->region];
    const uint64_t all = (uint64_t)region->stripe_bytes * CSTI_KERNEL_CHANNELS;
    uint64_t used, offset;
    uint8_t *host = card_image_region(table, part->region, &used);

    for (uint64_t line = part->from / all; line * all < part->to; line++) {
        const uint64_t bytes = line_bytes(table, part, line, channel, &offset);
        const uint64_t address =
            region->base + line * region->stripe_bytes + offset % region->stripe_bytes;

        if (bytes == 0) continue;
        if (direction == CARD_TO)
            memcpy(queue->link->image_at(queue, channel, address), host + offset, bytes);
        else
            memcpy(host + offset, queue->link->image_at(queue, channel, address), bytes);
    }
}

static cst_code stretch_move(card_queue *queue, card_table *table, card_direction direction,
                             const stretch *part) {
    const card_region *region = &table->regions[part->region];
    const uint64_t all = (uint64_t)region->stripe_bytes * CSTI_KERNEL_CHANNELS;
    const uint64_t first = part->from / all, end = (part->to + all - 1) / all;
    cst_code code = CST_OK;

    for (uint32_t c = 0; c < CSTI_KERNEL_CHANNELS && code == CST_OK && first < end; c++) {
        const uint64_t address = region->base + first * region->stripe_bytes;
        const uint64_t bytes = (end - first) * region->stripe_bytes;

        if (direction == CARD_TO) channel_copy(queue, table, direction, part, c);
        code = queue->link->image_move(queue, direction, c, address, bytes);
        if (code == CST_OK && direction == CARD_FROM)
            channel_copy(queue, table, direction, part, c);
    }
    return code;
}

static cst_code regions_move(card_queue *queue, card_table *table, card_direction direction) {
    cst_code code = CST_OK;

    for (uint32_t r = 0; r < CARD_REGIONS && code == CST_OK; r++) {
        stretch part = {.region = r};

        (void)card_image_region(table, r, &part.to);
        code = stretch_move(queue, table, direction, &part);
    }
    return code;
}

cst_code card_image_fetch(card_queue *queue, card_table *table) {
    cst_code code;

    if (!queue->link->image_move || !table->card_newer || queue->lost) return CST_OK;
    code = regions_move(queue, table, CARD_FROM);
    table->card_newer = code != CST_OK;
    return code;
}

cst_code card_image_put(card_queue *queue, card_table *table) {
    cst_code code = CST_OK;
    bool moved = false;

    if (!queue->link->image_move) return CST_OK;
    if (!card_image_fits(table)) {
        code = card_image_fetch(queue, table);
        card_image_place_ready(table);
        table->host_newer = true;
    }
    if (code != CST_OK || !table->host_newer) return code;
    code = queue->link->image_room(queue, table->regions[REGION_LOG].end, &moved, NULL);
    if (code == CST_OK) code = regions_move(queue, table, CARD_TO);
    if (moved) table->loaded = table->placed = false;
    table->host_newer = code != CST_OK;
    return code;
}

cst_code card_image_fetch_log(card_queue *queue, card_table *table, uint64_t from, uint64_t to) {
    const cst_table *image = table->cpu.image;
    const uint64_t segment_bytes = UINT64_C(1) << image->log_segment_shift;
    cst_code code = CST_OK;

    if (!queue->link->image_move) return CST_OK;
    while (from < to && code == CST_OK) {
        const uint64_t left = segment_bytes - from % segment_bytes;
        const uint64_t bytes = to - from < left ? to - from : left;
        const uint64_t at = (uint64_t)((const uint8_t *)csti_log_record(image, from) - image->log);
        const stretch part = {.region = REGION_LOG, .from = at, .to = at + bytes};

        code = stretch_move(queue, table, CARD_FROM, &part);
        from += bytes;
    }
    return code;
}
