// card.c: queues and tables of a card, for the host: what of a command the circuit does, and what
// the host.
#include "device/card_internal.h"
#include "table/program.h"

#include <stdlib.h>

// docs/hardware.md, Counters.
static const char *const counter_names[CARD_COUNTERS] = {"done",
                                                         "hits",
                                                         "appends",
                                                         "inserts",
                                                         "wait_fetch",
                                                         "wait_match",
                                                         "wait_key",
                                                         "wait_record",
                                                         "directory_reads",
                                                         "false_candidates",
                                                         "states_sent",
                                                         "even_sent",
                                                         "odd_sent",
                                                         "gaps",
                                                         "memory_reads",
                                                         "memory_writes",
                                                         "released",
                                                         "walked",
                                                         "restored",
                                                         "starved",
                                                         "held",
                                                         "wait_queue",
                                                         "wait_copy",
                                                         "no_operation",
                                                         "lookup_clocks"};

void card_counters(cst_queue *base, cst_counter *out, size_t capacity, size_t *count_out) {
    card_queue *queue = (card_queue *)base;
    uint64_t values[CARD_COUNTERS];

    if (!card_run_counters(queue, values)) return;
    *count_out = CARD_COUNTERS;
    for (size_t i = 0; i < CARD_COUNTERS && i < capacity; i++)
        out[i] = (cst_counter){counter_names[i], values[i]};
}

// ---- Queues -------------------------------------------------------------------------------------

cst_code card_queue_make(const card_link *link, uint32_t depth, cst_queue **out, cst_err *err) {
    card_queue *queue = aligned_alloc(CSTI_SPSC_LINE_BYTES, sizeof *queue);
    cst_code code;

    if (!queue) return cst_fail(err, CST_NO_MEMORY, "a queue");
    memset(queue, 0, sizeof *queue);
    queue->executor.codec = csti_codec_for(CSTI_CPU_SCALAR);
    queue->piece_rows = CARD_ROWS_MAX;
    card_meter(queue, link);
    code = csti_spsc_ring_open(&queue->completions, depth, sizeof(cst_completion), err);
    if (code == CST_OK) code = card_entries_open(queue, depth, err);
    if (code != CST_OK) {
        csti_spsc_ring_close(&queue->completions);
        free(queue);
        return code;
    }
    *out = &queue->base;
    return CST_OK;
}

void card_queue_close(cst_queue *base) {
    card_queue *queue = (card_queue *)base;

    card_run_close(queue);
    card_entries_close(queue);
    csti_spsc_ring_close(&queue->completions);
    free(queue);
}

// Columns for what the caller did not ask for, as long as the command needs.
static cst_code scratch_make(card_table *table, const cst_command *command) {
    const size_t rows = command->rows.rows_count;
    const size_t keys_bytes = cst_keys_bytes_bound(command->batch) + CARD_KEY_BYTES_MAX;
    void *grown;

    if (table->keys_capacity < keys_bytes) {
        grown = realloc(table->keys, keys_bytes);
        if (!grown) return CST_NO_MEMORY;
        table->keys = grown;
        table->keys_capacity = keys_bytes;
    }
    if (table->hashes_capacity >= rows + 1) return CST_OK;
    grown = realloc(table->hashes, (rows + 1) * sizeof *table->hashes);
    if (!grown) return CST_NO_MEMORY;
    table->hashes = grown;
    grown = realloc(table->offsets, (rows + 1) * sizeof *table->offsets);
    if (!grown) return CST_NO_MEMORY;
    table->offsets = grown;
    table->hashes_capacity = rows + 1;
    return CST_OK;
}

// Keys that the caller does not ask for have a place all the same.
static cst_code keys_place(card_table *table, const cst_command *command, cst_keys *out) {
    const cst_code code = scratch_make(table, command);

    if (code != CST_OK) return code;
    *out = (cst_keys){.bytes = table->keys,
                      .bytes_capacity = table->keys_capacity,
                      .offsets = table->offsets};
    return CST_OK;
}

static cst_code keys_run(card_queue *queue, const cst_command *command, cst_completion *out) {
    cst_command own = *command;
    cst_keys keys;
    cst_code code = CST_OK;

    if ((own.ops & CST_OP_ENCODE) && !own.keys_out) {
        code = keys_place((card_table *)own.table, &own, &keys);
        own.keys_out = &keys;
        own.rows.first_row = 0;
    }
    if (code != CST_OK) return code;
    if (card_keys_fit(&own)) return card_keys_run(queue, &own, out);
    if (card_cells_fit(&own)) return card_cells_run(queue, &own, out);
    return csti_cpu_command(&queue->executor, &own, out);
}

// Keys or hashes that the caller wants to see too, or that are not the circuit's: made first.
static cst_code rows_in_steps(card_queue *queue, card_table *table, const cst_command *command,
                              cst_completion *out) {
    cst_command first = *command, second = *command;
    cst_keys keys;
    cst_code code = CST_OK;

    first.ops &= CST_OP_ENCODE | CST_OP_HASH;
    if (command->ops & CST_OP_ENCODE) {
        code = keys_place(table, command, &keys);
        first.rows.first_row = command->keys_out ? command->rows.first_row : 0;
        if (!first.keys_out) first.keys_out = &keys;
        if (!first.hashes_out) first.hashes_out = table->hashes;
    }
    if (code == CST_OK) code = keys_run(queue, &first, out);
    out->rows_done = command->rows.first_row;
    if (code != CST_OK) return code;
    second.ops &= CST_OP_APPLY | CST_OP_LOOKUP;
    second.rows.hashes = first.hashes_out;
    if (command->ops & CST_OP_ENCODE) {
        second.rows.keys = first.keys_out->bytes;
        second.rows.key_stride = second.rows.key_bytes = first.keys_out->stride;
        second.rows.key_offsets = first.keys_out->stride ? NULL : first.keys_out->offsets;
    }
    return card_rows_run(queue, table, &second, false, out);
}

static cst_code rows_run(card_queue *queue, const cst_command *command, cst_completion *out) {
    card_table *table = (card_table *)command->table;
    const bool encodes = command->ops & CST_OP_ENCODE;

    if (!(command->ops & (CST_OP_APPLY | CST_OP_LOOKUP))) return keys_run(queue, command, out);
    if (command->keys_out || command->hashes_out || (encodes && !table->encodes))
        return rows_in_steps(queue, table, command, out);
    return card_rows_run(queue, table, command, encodes, out);
}

bool card_rows_stream(const cst_command *command) {
    const card_table *table = (const card_table *)command->table;

    if (!(command->ops & CST_OP_APPLY) || command->keys_out || command->hashes_out) return false;
    // When its turn comes the host refuses it.
    if (!csti_program_takes(&table->cpu.base.options.program, &command->rows)) return false;
    return !(command->ops & CST_OP_ENCODE) || table->encodes;
}

cst_code card_command_run(card_queue *queue, const cst_command *command, cst_completion *out) {
    card_table *table = (card_table *)command->table;
    cst_code code;

    switch (command->ops) {
    case CST_OP_GROW:
        code = card_image_fetch(queue, table);
        if (code != CST_OK) return code;
        table->loaded = false;
        table->host_newer = true;
        return csti_cpu_command(&queue->executor, command, out);
    default:
        break;
    }
    code = card_run_open(queue, NULL);
    if (code == CST_LIMIT && !table) return csti_cpu_command(&queue->executor, command, out);
    if (code != CST_OK) return code;
    if (command->ops == CST_OP_RELEASE) return card_release(queue, table, &command->release);
    if (command->ops == CST_OP_RESTORE) return card_restore(queue, table, command, out);
    if (command->ops == CST_OP_SCAN) return card_scan(queue, table, command, out);
    if (command->ops == CST_OP_EXPIRE) return card_expire(queue, table, command, out);
    return rows_run(queue, command, out);
}

cst_code card_submit(cst_queue *base, const csti_entry_in_flight *entry, cst_err *err) {
    card_queue *queue = (card_queue *)base;

    if (queue->lost) return cst_queue_lost(base, err);
    card_entries_put(queue, entry);
    return CST_OK;
}

// Of a simulated card the clocks run here and in wait: it has no time but the host's.
uint32_t card_poll(cst_queue *base, cst_completion *out, uint32_t count_max) {
    card_queue *queue = (card_queue *)base;
    uint32_t count = 0;

    if (count_max > 0 && !csti_spsc_ring_front(&queue->completions) && card_entries_ready(queue))
        card_entries_run(queue);
    while (count < count_max && csti_spsc_ring_pop(&queue->completions, &out[count])) count++;
    return count;
}

cst_code card_reset(cst_device *base, cst_err *err) {
    for (cst_queue *queue = base->queues; queue; queue = queue->next) {
        card_entries_end((card_queue *)queue);
        card_run_reset((card_queue *)queue);
        if (((card_queue *)queue)->lost)
            return cst_fail(err, CST_DEVICE_LOST, "%s: the card stays busy after a reset",
                            base->uri);
    }
    return CST_OK;
}

// ---- Buffers: the host's own memory, as the processor's are -------------------------------------

cst_code card_buffer_alloc(cst_device *device, size_t bytes, cst_device_buffer *out, cst_err *err) {
    return csti_device_cpu.buffer_alloc(device, bytes, out, err);
}

void card_buffer_free(cst_device *device, cst_device_buffer *buffer) {
    csti_device_cpu.buffer_free(device, buffer);
}

cst_code card_buffer_sync(cst_device *device, const cst_device_buffer *buffer, size_t offset,
                          size_t bytes, cst_sync direction, cst_err *err) {
    return csti_device_cpu.buffer_sync(device, buffer, offset, bytes, direction, err);
}

// ---- Tables -------------------------------------------------------------------------------------

void card_table_close(cst_device_table *base) {
    card_table *table = (card_table *)base;

    if (table->queue->table == table) {
        card_fence(table->queue);
        table->queue->table = NULL;
    }
    cst_table_close(table->cpu.image);
    free(table->keys);
    free(table->hashes);
    free(table->offsets);
    free(table);
}

// Accumulators that read the same column as the same number share a word of the row; a count looks
// at its nulls alone.
static bool word_shared(const cst_accumulator *own, const cst_accumulator *other) {
    if (other->source != own->source) return false;
    return own->op == CST_COUNT || (other->op != CST_COUNT && other->number == own->number);
}

static void word_find(card_table *table, const cst_program *program, uint32_t index) {
    const cst_accumulator *own = &program->accumulators[index];
    const uint32_t words = csti_program_words(own);
    uint32_t word = 0;

    if (own->source == CST_NO_COLUMN) return;
    while (word < table->words_count &&
           !word_shared(own, &program->accumulators[table->packs[word]]))
        word++;
    for (uint32_t w = 0; w < words && word + w == table->words_count; w++)
        table->packs[table->words_count++] = (uint8_t)index;
    for (uint32_t w = 0; w < words; w++)
        table->words[own->value_offset / 8u + w] = (uint8_t)(word + w);
}

static void words_share(card_table *table, const cst_program *program) {
    if (program->accumulators_count == 0) {
        table->words_count = (program->value_bytes + 7) / 8;
        for (uint32_t w = 0; w < CARD_LANES; w++) table->words[w] = (uint8_t)w;
        return;
    }
    for (uint32_t i = 0; i < program->accumulators_count; i++)
        if (program->accumulators[i].op != CST_COUNT) word_find(table, program, i);
    for (uint32_t i = 0; i < program->accumulators_count; i++)
        if (program->accumulators[i].op == CST_COUNT) word_find(table, program, i);
}

cst_code card_table_open(cst_queue *queue, const cst_table_options *options, const cst_schema *keys,
                         cst_device_table **out, cst_err *err) {
    card_table *table = NULL;
    cst_code code = card_image_check(options, err);

    if (code != CST_OK) return code;
    table = calloc(1, sizeof *table);
    if (!table) return cst_fail(err, CST_NO_MEMORY, "a table");
    table->queue = (card_queue *)queue;
    code = cst_table_open(options, &table->cpu.image, err);
    if (code == CST_OK) code = card_image_place(table, err);
    if (code == CST_OK && table->queue->link->image_move) card_image_place_ready(table);
    if (code != CST_OK) {
        card_table_close(&table->cpu.base);
        return code;
    }
    table->key_words = (options->key_bytes + 7) / 8;
    words_share(table, &options->program);
    table->encodes = keys && card_schema_fits(keys);
    *out = &table->cpu.base;
    return CST_OK;
}

cst_code card_table_prepare(cst_device_table *base, cst_err *err) {
    card_table *table = (card_table *)base;

    table->loaded = false; // the card is told what is ready
    return cst_table_prepare(table->cpu.image, err);
}

// Whoever asks for the image may change it: the card loads it anew. And may go on looking at it.
cst_table *card_table_image(const cst_device_table *base) {
    card_table *table = (card_table *)base;

    card_fence(table->queue);
    if (card_image_fetch(table->queue, table) != CST_OK) table->queue->lost = true;
    table->shown = true;
    table->loaded = table->placed = false;
    table->host_newer = true;
    return table->cpu.image;
}

// The control block is the host's: completions bring it.
const cst_table *card_table_view(const cst_device_table *base) {
    return ((const card_table *)base)->cpu.image;
}
