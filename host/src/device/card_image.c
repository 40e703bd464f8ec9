// card_image.c: how a table's image lies over the channels, and its control block there and back.
#include "device/card_internal.h"
#include "table/internal.h"
#include "table/program.h"

#include <assert.h>

enum { REGION_DIRECTORY, REGION_INDEX, REGION_SLOTS, REGION_LOG, REGIONS_COUNT };
enum { PAGE_BYTES = 4096, NIBBLE = 15 };

static const csti_region host_regions[REGIONS_COUNT] = {CSTI_REGION_DIRECTORY, CSTI_REGION_INDEX,
                                                        CSTI_REGION_SLOTS, CSTI_REGION_LOG};

// ---- Where an image lies ------------------------------------------------------------------------

// The nibbles of a stripe's number, folded.
static uint32_t nibbles_fold(uint64_t number) {
    uint32_t fold = 0;

    for (; number; number >>= 4) fold ^= number & NIBBLE;
    return fold;
}

// In each channel, of a region of so many bytes.
static uint64_t share_bytes(uint64_t bytes) {
    return (bytes / CSTI_KERNEL_CHANNELS / PAGE_BYTES + 2) * PAGE_BYTES;
}

static void regions_place(card_table *table, const uint64_t *bytes) {
    const uint32_t stripes[REGIONS_COUNT] = {64, 64,
                                             CSTI_BUCKET_SLOTS * table->cpu.image->entry_bytes,
                                             CSTI_LOG_LINE};
    uint64_t at = 0;

    for (uint32_t r = 0; r < REGIONS_COUNT; r++) {
        table->regions[r] = (card_region){at, at + share_bytes(bytes[r]), stripes[r]};
        at = table->regions[r].end;
    }
}

cst_code card_image_place(card_table *table, cst_err *err) {
    const cst_table *image = table->cpu.image;
    uint64_t bytes[REGIONS_COUNT];

    for (uint32_t r = 0; r < REGIONS_COUNT; r++)
        bytes[r] = image->pages[host_regions[r]].reserved_bytes;
    regions_place(table, bytes);
    if (table->regions[REGION_LOG].end > CSTI_SIM_CHANNEL_BYTES)
        return cst_fail(err, CST_LIMIT,
                        "a budget of %llu MiB: the card's 16 channels of %llu MiB are too small",
                        (unsigned long long)(image->budget_bytes >> 20),
                        (unsigned long long)(CSTI_SIM_CHANNEL_BYTES >> 20));
    if (image->log_segments_max > CARD_PLACES_MAX)
        return cst_fail(err, CST_LIMIT, "a log of up to %u segments, the circuit has places for %d",
                        image->log_segments_max, CARD_PLACES_MAX);
    return CST_OK;
}

void card_image_place_ready(card_table *table) {
    uint64_t bytes[REGIONS_COUNT];

    for (uint32_t r = 0; r < REGIONS_COUNT; r++) {
        const csti_pages *pages = &table->cpu.image->pages[host_regions[r]];
        const uint64_t ready = csti_ready_bytes(table->cpu.image, host_regions[r]);

        bytes[r] = PAGE_BYTES;
        while (bytes[r] < ready) bytes[r] *= 2;
        if (bytes[r] > pages->reserved_bytes) bytes[r] = pages->reserved_bytes;
    }
    regions_place(table, bytes);
}

bool card_image_fits(const card_table *table) {
    for (uint32_t r = 0; r < REGIONS_COUNT; r++) {
        const card_region *region = &table->regions[r];

        if (region->base + share_bytes(csti_ready_bytes(table->cpu.image, host_regions[r])) >
            region->end)
            return false;
    }
    return true;
}

uint8_t *card_image_region(const card_table *table, uint32_t region, uint64_t *used_out) {
    const cst_table *image = table->cpu.image;

    *used_out = atomic_load_explicit(&image->used[host_regions[region]], memory_order_relaxed);
    return image->pages[host_regions[region]].base;
}

uint64_t card_image_stripe(uint32_t region, uint64_t line, uint32_t channel) {
    uint64_t stripe = channel ^ nibbles_fold(line);

    if (region == REGION_INDEX) stripe = (stripe & 14) | (channel & 1);
    return line * CSTI_KERNEL_CHANNELS + stripe;
}

// The way back of docs/hardware.md, Memory map: the stripe whose number, folded, is the channel.
uint8_t *card_image_locate(void *context, uint32_t channel, uint64_t address) {
    const card_queue *queue = context;
    const card_table *table = queue->table;

    if (!table) return NULL;
    for (uint32_t r = 0; r < REGIONS_COUNT; r++) {
        const card_region *region = &table->regions[r];
        const csti_pages *pages = &table->cpu.image->pages[host_regions[r]];
        uint64_t line, offset;

        if (address < region->base || address >= region->end) continue;
        line = (address - region->base) / region->stripe_bytes;
        offset = card_image_stripe(r, line, channel) * region->stripe_bytes +
                 (address - region->base) % region->stripe_bytes;
        if (offset + CARD_BEAT_BYTES > csti_ready_bytes(table->cpu.image, host_regions[r]))
            return NULL;
        return pages->base + offset;
    }
    return NULL;
}

cst_code card_image_check(const cst_table_options *options, cst_err *err) {
    const cst_program *program = &options->program;

    if (options->key_bytes > CARD_KEY_BYTES_MAX)
        return cst_fail(err, CST_KEY_TOO_LONG, "the circuit takes keys of %d bytes, not %u",
                        CARD_KEY_BYTES_MAX, options->key_bytes);
    if (program->value_bytes > CARD_VALUE_BYTES_MAX)
        return cst_fail(err, CST_VALUE_TOO_LONG, "the circuit takes values of %d bytes, not %u",
                        CARD_VALUE_BYTES_MAX, program->value_bytes);
    return CST_OK;
}

// ---- The table's block --------------------------------------------------------------------------

static uint64_t at_most(uint64_t value, uint64_t most) {
    return value < most ? value : most;
}

static void put(uint8_t *out, size_t at, uint64_t value, size_t bytes) {
    memcpy(out + at, &value, bytes);
}

static void program_pack(const cst_program *program, const uint8_t *words, uint8_t *out) {
    const bool has_presence = program->presence_offset != CST_NO_OFFSET;

    out[1] = (uint8_t)((program->accumulators_count == 0) | has_presence << 1);
    out[2] = (uint8_t)(has_presence ? program->presence_offset / 8 : 0);
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];
        const uint32_t first = accumulator->value_offset / 8u;

        for (uint32_t w = 0; w < csti_program_words(accumulator); w++) {
            const uint32_t lane = first + w;

            out[4] |= (uint8_t)((accumulator->source != CST_NO_COLUMN) << lane);
            out[24 + lane] = accumulator->op;
            out[32 + lane] = w == 0 ? accumulator->number : CARD_NUMBER_UPPER;
            out[40 + lane] = (uint8_t)i;
        }
    }
    for (uint32_t lane = 0; lane < CARD_LANES; lane++)
        out[20 + lane / 2] |= (uint8_t)(words[lane] << lane % 2 * 4);
}

void card_columns_pack(const cst_schema *schema, const cst_hash_key *key, uint8_t *out) {
    put(out, 0, key->k0, 8);
    put(out, 8, key->k1, 8);
    if (!schema) return;
    out[CARD_BEAT_BYTES + 3] = (uint8_t)(schema->columns_count - 1);
    for (uint32_t c = 0; c < schema->columns_count; c++) {
        const cst_column *column = &schema->columns[c];
        const uint32_t word = (uint32_t)column->type | (uint32_t)column->descending << 5 |
                              (uint32_t)column->nullable << 6 | (uint32_t)column->nulls_last << 7 |
                              (uint32_t)(cst_column_value_bytes(column) & 127) << 8;

        put(out, 3 * CARD_BEAT_BYTES + c * 2, word, 2);
    }
}

static void places_pack(const uint32_t *places, uint32_t count, uint8_t *out) {
    for (uint32_t i = 0; i < count; i++) put(out, i * 2, places[i], 2);
}

uint32_t card_image_pack(const card_table *table, uint8_t *out) {
    const cst_table *image = table->cpu.image;
    const csti_control *control = image->control;
    const uint32_t places = image->log_segments_max;
    const uint64_t used = csti_used_bytes(image);
    const uint64_t left = used < image->budget_bytes ? image->budget_bytes - used : 0;
    const uint32_t shift = image->log_segment_shift;
    uint8_t *second = out + CARD_BEAT_BYTES, *third = second + CARD_BEAT_BYTES;

    memset(out, 0, CARD_TABLE_BYTES);
    card_columns_pack(table->encodes ? &table->cpu.base.keys : NULL, &image->hash_key, out);
    for (uint32_t r = 0; r < REGIONS_COUNT; r++) put(out, 16 + r * 8, table->regions[r].base, 8);
    put(out, 52, table->regions[REGION_LOG].end / PAGE_BYTES, 4);
    put(out, 56, (UINT64_C(1) << control->depth_max) - 1, 4);
    out[60] = (uint8_t)image->key_bytes;
    out[61] = (uint8_t)(image->entry_bytes / CARD_ENTRY_UNIT_BYTES);
    out[62] = (uint8_t)table->key_words;
    out[63] = (uint8_t)image->value_bytes;
    second[0] = (uint8_t)(shift - 5);
    program_pack(&control->program, table->words, second);
    put(second, 48, control->program.ttl_us, 8);
    put(second, 56, control->program.time_offset / 8u, 1);
    put(second, 8, places - 1, 4);
    put(second, 12,
        at_most(control->log_segments_frontier + (left >> shift), 2 * CARD_PLACES_MAX - 1), 4);
    put(second, 16,
        at_most(csti_ready_bytes(image, CSTI_REGION_LOG) >> shift, 2 * CARD_PLACES_MAX - 1), 4);
    put(third, 0, control->rows_count, 8);
    put(third, 8, control->epoch, 8);
    put(third, 16, control->epoch_first / CSTI_LOG_UNIT, 8);
    put(third, 24, control->log_tail / CSTI_LOG_UNIT, 8);
    put(third, 32, control->log_segments_frontier, 4);
    put(third, 36, control->log_free_first, 4);
    put(third, 40, control->log_free_count, 4);
    put(third, 44, control->chunks_frontier, 4);
    put(third, 48, control->log_floor, 8);
    out += CARD_TABLE_BYTES;
    places_pack(image->log_map, places, out);
    out += (places + 31) / 32 * CARD_BEAT_BYTES;
    places_pack(image->log_free, places, out);
    return places;
}

// ---- What the card changed ----------------------------------------------------------------------

// Log segments that exist when the log ends at `tail`: docs/formats.md, The change log.
static uint64_t segments_taken(const cst_table *image, uint64_t tail) {
    const uint64_t segment_bytes = UINT64_C(1) << image->log_segment_shift;

    return tail == CSTI_LOG_LINE ? 0 : (tail + segment_bytes - 1) >> image->log_segment_shift;
}

// A segment's place follows from the free ones and the frontier, on both sides alike.
static void segment_take(cst_table *image, uint64_t segment) {
    csti_control *control = image->control;
    const uint32_t mask = image->log_segments_max - 1;
    uint32_t place;

    if (control->log_free_count > 0) {
        place = image->log_free[control->log_free_first];
        control->log_free_first = (control->log_free_first + 1) & mask;
        control->log_free_count--;
    } else {
        place = control->log_segments_frontier++;
        image->nudge = true;
    }
    image->log_map[segment & mask] = place;
}

cst_code card_image_release(card_table *table, const cst_delta *delta,
                            const card_completion *done) {
    const cst_code code = cst_table_release(table->cpu.image, delta);

    if (code == CST_OK && done->from != table->cpu.image->control->log_floor)
        return CST_DEVICE_LOST;
    return code == CST_OK ? card_image_take(table, done) : code;
}

cst_code card_image_take(card_table *table, const card_completion *done) {
    cst_table *image = table->cpu.image;
    csti_control *control = image->control;
    const uint64_t tail = done->tail * CSTI_LOG_UNIT;
    const uint64_t before = segments_taken(image, control->log_tail);
    const uint64_t after = segments_taken(image, tail);

    if (tail < control->log_tail || after - before > image->log_segments_max)
        return CST_DEVICE_LOST;
    for (uint64_t segment = before; segment < after; segment++) segment_take(image, segment);
    atomic_store_explicit(&image->used[CSTI_REGION_LOG],
                          (uint64_t)control->log_segments_frontier << image->log_segment_shift,
                          memory_order_relaxed);
    control->rows_count = done->rows_count;
    control->epoch = done->epoch;
    control->epoch_first = done->epoch_first * CSTI_LOG_UNIT;
    control->log_tail = tail;
    if (control->log_segments_frontier != done->frontier ||
        control->log_free_first != done->free_first || control->log_free_count != done->free_count)
        return CST_DEVICE_LOST;
    return CST_OK;
}
