// bench_offload_host.c: what the host's part of sim: and xrt: takes by itself: the back end as it
// is, with a way to a card that has done every command at once.
//
//   card_queue.c, card_rows.c, card_pack.c, card_run.c ──► idle: writes the completion, no more
//
// Beside a simulation the same code runs with empty caches: a clock of it goes through more code
// and data than they hold, between any two batches.
#include "cli/bench_offload.h"

#include "device/card_internal.h"
#include "table/internal.h"

#include <stdlib.h>

enum { ENTRIES = 4096, HUGE_BYTES = 2 << 20 };

typedef struct idle_card {
    bench_memory rows, results;
} idle_card;

static void idle_close(card_queue *queue) {
    idle_card *card = queue->card;

    bench_memory_give(&card->rows);
    bench_memory_give(&card->results);
    free(card);
}

static cst_code idle_open(card_queue *queue, cst_err *err) {
    const size_t rows_bytes = CARD_ROWS_AT + (size_t)CARD_RING * CARD_ROWS_BYTES + HUGE_BYTES;
    const size_t results_bytes = (size_t)(CARD_BATCH_BYTES - CARD_RESULTS_AT) + HUGE_BYTES;
    idle_card *card = calloc(1, sizeof *card);
    cst_code code = card ? CST_OK : cst_fail(err, CST_NO_MEMORY, "a card");

    if (code != CST_OK) return code;
    code = bench_memory_take(&card->rows, rows_bytes, err);
    if (code == CST_OK) code = bench_memory_take(&card->results, results_bytes, err);
    queue->card = card;
    if (code != CST_OK) {
        idle_close(queue);
        queue->card = NULL;
        return code;
    }
    queue->rows_at = card->rows.base;
    queue->results_at = card->results.base;
    return CST_OK;
}

static void idle_write(card_queue *queue, uint32_t offset, uint32_t value) {
    (void)queue;
    (void)offset;
    (void)value;
}

static uint32_t idle_read(card_queue *queue, uint32_t offset) {
    (void)queue;
    (void)offset;
    return 0;
}

static void idle_launch(card_queue *queue) {
    (void)queue;
}

// Done, and the table is as it was.
static void idle_send(card_queue *queue, uint64_t at, uint64_t from, uint64_t bytes) {
    const card_descriptor *command = (const card_descriptor *)card_batch_at(queue, at);
    const csti_control *control = queue->table->cpu.image->control;
    const uint64_t place = (command->number - 1) % CARD_RING * CARD_BEAT_BYTES;
    card_completion *done = (card_completion *)card_batch_at(queue, CARD_COMPLETIONS_AT + place);

    (void)from;
    (void)bytes;
    *done = (card_completion){
        .number = command->number,
        .row = command->row + command->count,
        .rows_count = control->rows_count,
        .epoch = control->epoch,
        .epoch_first = control->epoch_first / CSTI_LOG_UNIT,
        .tail = control->log_tail / CSTI_LOG_UNIT,
        .frontier = (uint16_t)control->log_segments_frontier,
        .free_first = (uint16_t)control->log_free_first,
        .free_count = (uint16_t)control->log_free_count,
    };
}

static void idle_receive(card_queue *queue, uint64_t at, uint64_t bytes) {
    (void)queue;
    (void)at;
    (void)bytes;
}

static bool idle_wait(card_queue *queue, uint64_t completion, uint32_t number,
                      uint64_t clocks_max) {
    (void)clocks_max;
    return *(const uint32_t *)card_batch_at(queue, completion) == number;
}

static const card_link idle_link = {
    .open = idle_open,
    .close = idle_close,
    .write = idle_write,
    .read = idle_read,
    .launch = idle_launch,
    .send = idle_send,
    .receive = idle_receive,
    .wait = idle_wait,
};

cst_code offload_idle_open(offload_device *d, const cst_schema *schema, uint32_t key_bytes,
                           cst_err *err) {
    cst_code code = offload_device_open(d, "sim:", schema, key_bytes, ENTRIES, err);

    if (code != CST_OK || !d->device) return code;
    (void)snprintf(d->name, sizeof d->name, "host alone");
    d->kind = OFFLOAD_EMULATED; // of clocks it has none
    d->keeps_nothing = true;
    card_meter((card_queue *)d->queue, &idle_link);
    return CST_OK;
}
