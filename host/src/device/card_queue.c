// card_queue.c: what a queue has taken and not yet completed.
//
//   entries   [first ........ issued ...... end)      in order of submission
//               begun: pieces     not begun
//               are the card's
//   flights   commands in the card's ring: the first entry's, then the next ones'
//
// A table that grows stops the card every few hundred rows, and what is in the ring behind a stop
// is read for nothing: then pieces are small, and few. Each that is done whole lets the next be
// twice as large.
#include "device/card_internal.h"
#include "table/program.h"

#include <stdlib.h>

cst_code card_entries_open(card_queue *queue, uint32_t depth, cst_err *err) {
    queue->entries = calloc(depth, sizeof *queue->entries);
    return queue->entries ? CST_OK : cst_fail(err, CST_NO_MEMORY, "a queue");
}

void card_entries_close(card_queue *queue) {
    free(queue->entries);
}

static card_entry *entry_at(const card_queue *queue, uint64_t index, uint32_t depth) {
    return &queue->entries[index % depth];
}

static bool entry_streams(const card_entry *entry) {
    const cst_command *command = &entry->in_flight.command;

    return command->ops == CST_OP_BARRIER || card_rows_stream(command);
}

// ---- The card's ring ----------------------------------------------------------------------------

void card_pace(card_queue *queue, cst_code code) {
    if (code == CST_TABLE_FULL)
        queue->piece_rows = CARD_ROWS_MIN;
    else if (code == CST_OK && queue->piece_rows < CARD_ROWS_MAX)
        queue->piece_rows *= 2;
}

static bool ring_has_room(const card_queue *queue) {
    const uint32_t last = queue->flights_first + queue->flights_count - 1;

    if (queue->runs && queue->flights_count > 0 && queue->flights[last & (CARD_RING - 1)].encodes)
        return false;
    if (queue->runs && queue->flights_count == CARD_RUNS) return false;
    return queue->flights_count < (queue->piece_rows < CARD_ROWS_MAX ? CARD_GROWING : CARD_RING);
}

static void flight_put(card_queue *queue, card_entry *entry) {
    const bool encodes = entry->in_flight.command.ops & CST_OP_ENCODE;
    card_flight *flight =
        &queue->flights[(queue->flights_first + queue->flights_count) & (CARD_RING - 1)];

    queue->unfenced = true;
    queue->table->card_newer = true;
    *flight = (card_flight){queue->number, entry->issued, encodes};
    queue->flights_count++;
    entry->flights++;
}

// A piece of the entry, or its barrier.
static void piece_put(card_queue *queue, card_entry *entry) {
    const cst_command *command = &entry->in_flight.command;
    const card_descriptor barrier = {.op = CARD_OP_BARRIER};

    if (!entry->begun) entry->issued = command->rows.first_row;
    entry->begun = true;
    if (command->ops == CST_OP_BARRIER)
        (void)card_run_put(queue, &barrier);
    else
        entry->issued = card_rows_put(queue, command, entry->issued);
    flight_put(queue, entry);
}

static bool entry_issued(const card_entry *entry) {
    const cst_command *command = &entry->in_flight.command;

    return entry->begun &&
           (command->ops == CST_OP_BARRIER || entry->issued == command->rows.rows_count);
}

// Fills the ring, in order, with what streams to the table that the card has loaded.
static void ring_fill(card_queue *queue) {
    const uint32_t depth = queue->base.depth;

    while (queue->entries_issued < queue->entries_end && ring_has_room(queue)) {
        card_entry *entry = entry_at(queue, queue->entries_issued, depth);
        const card_table *table = (const card_table *)entry->in_flight.command.table;

        if (queue->lost || queue->executor.stopped || !queue->table) return;
        if (!entry_streams(entry) || table != queue->table || !table->loaded) return;
        piece_put(queue, entry);
        if (entry_issued(entry)) queue->entries_issued++;
    }
}

static void flight_drop(card_queue *queue, card_entry *entry) {
    queue->flights_first = (queue->flights_first + 1) & (CARD_RING - 1);
    queue->flights_count--;
    entry->flights--;
}

// Of the first entry, the oldest.
static cst_code flight_wait(card_queue *queue, card_entry *entry, uint32_t *to_out,
                            card_completion *done) {
    const card_flight *flight = &queue->flights[queue->flights_first];
    const cst_code code = card_run_wait(queue, flight->number, done);

    // Nothing was under way behind the newest command: that is as good as a fence.
    if (!queue->lost && flight->number == queue->number && !done->busy) queue->unfenced = false;
    *to_out = flight->to;
    flight_drop(queue, entry);
    return code;
}

// ---- The first entry ----------------------------------------------------------------------------

// What is left of the entry in the ring does nothing: the card has stopped.
static void flights_drop(card_queue *queue, card_entry *entry) {
    card_completion done;
    uint32_t to;

    while (entry->flights > 0) {
        if (queue->lost)
            flight_drop(queue, entry);
        else
            (void)!flight_wait(queue, entry, &to, &done);
    }
}

static cst_code barrier_take(card_table *table, const card_completion *done, cst_completion *out) {
    const uint64_t to = done->epoch_first * CSTI_LOG_UNIT;
    const cst_code code = card_image_take(table, done);

    out->delta = (cst_delta){done->epoch - 1, done->from, to};
    return code == CST_OK ? card_image_fetch_log(table->queue, table, done->from, to) : code;
}

// Waits for the entry's pieces, one after the other, and fills the ring behind them.
static cst_code pieces_take(card_queue *queue, card_entry *entry, cst_completion *out) {
    const cst_command *command = &entry->in_flight.command;
    card_table *table = (card_table *)command->table;

    while (entry->flights > 0 || !entry_issued(entry)) {
        card_completion done;
        uint32_t to;
        cst_code code = CST_OK;

        // The host has had the image in its hands: the card loads it anew.
        if (entry->flights == 0) code = card_run_load(queue, table);
        if (code != CST_OK) return code;
        ring_fill(queue);
        code = flight_wait(queue, entry, &to, &done);
        if (code == CST_DEVICE_LOST) return code;
        if (command->ops == CST_OP_BARRIER) {
            if (code == CST_OK && barrier_take(table, &done, out) != CST_OK) return CST_DEVICE_LOST;
        } else {
            if (card_image_take(table, &done) != CST_OK) return CST_DEVICE_LOST;
            out->rows_done = code == CST_OK ? to : done.row;
            card_pace(queue, code);
        }
        if (code == CST_TABLE_FULL) out->hash = card_row_hash(queue, command, done.row);
        if (code != CST_OK) {
            table->loaded = false; // a stopped unit goes on when it is loaded
            return code;
        }
        ring_fill(queue);
    }
    return CST_OK;
}

static cst_code entry_stream(card_queue *queue, card_entry *entry, cst_completion *out) {
    const cst_command *command = &entry->in_flight.command;

    out->rows_done = command->ops == CST_OP_BARRIER ? 0 : command->rows.first_row;
    if (!entry->begun) {
        const cst_code code = card_run_open(queue, NULL);

        if (code != CST_OK) return code;
    }
    return pieces_take(queue, entry, out);
}

void card_fence(card_queue *queue) {
    const card_descriptor rows = {.op = CARD_OP_ROWS, .address = CARD_ROWS_AT};
    card_completion done;

    if (!queue->unfenced || queue->lost || queue->flights_count > 0) return;
    queue->unfenced = false;
    (void)!card_run(queue, &rows, &done); // CST_ABORTED, where the card has stopped
}

static void entry_finish(card_queue *queue, card_entry *entry) {
    flights_drop(queue, entry);
    queue->entries_first++;
    if (queue->entries_issued < queue->entries_first) queue->entries_issued = queue->entries_first;
}

static cst_code host_run(card_queue *queue, const cst_command *command, cst_completion *out) {
    card_fence(queue);
    return queue->lost ? CST_DEVICE_LOST : card_command_run(queue, command, out);
}

void card_entries_put(card_queue *queue, const csti_entry_in_flight *entry) {
    *entry_at(queue, queue->entries_end++, queue->base.depth) = (card_entry){.in_flight = *entry};
    ring_fill(queue);
}

bool card_entries_ready(card_queue *queue) {
    const card_entry *entry;

    if (queue->entries_first == queue->entries_end) return false;
    entry = entry_at(queue, queue->entries_first, queue->base.depth);
    return entry->flights == 0 ||
           card_run_arrived(queue, queue->flights[queue->flights_first].number);
}

void card_entries_run(card_queue *queue) {
    card_entry *entry;
    cst_completion *out;

    if (queue->entries_first == queue->entries_end) return;
    entry = entry_at(queue, queue->entries_first, queue->base.depth);
    out = csti_spsc_ring_slot(&queue->completions); // there is one: no more than `depth` in flight
    if (csti_cpu_begin(&queue->executor, &entry->in_flight, out)) {
        if (queue->lost)
            out->code = CST_DEVICE_LOST;
        else if (entry_streams(entry))
            out->code = entry_stream(queue, entry, out);
        else
            out->code = host_run(queue, &entry->in_flight.command, out);
        csti_cpu_end(&queue->executor, &entry->in_flight, out);
    }
    if (queue->card && queue->link->clocks) out->clocks = queue->link->clocks(queue);
    entry_finish(queue, entry);
    if (queue->entries_first == queue->entries_end && queue->table && queue->table->shown)
        card_fence(queue);
    csti_spsc_ring_publish(&queue->completions);
}

void card_entries_end(card_queue *queue) {
    while (queue->entries_first != queue->entries_end) card_entries_run(queue);
    queue->executor.stopped = false;
}
