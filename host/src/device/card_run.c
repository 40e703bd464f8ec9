// card_run.c: the run of one queue's card: commands into its ring, completions out of it.
//
//   one run      ring         [ c1 | c2 | c3 | ... ]        completions  [ d1 | d2 | d3 | ... ]
//   runs         at a place   [ c | end | d | d of end ]    and the next place likewise
//
// A run reads a ring until its end is there, so a command costs no start. Where there can be no
// such run, each command is one: its ring has two places, and numbers begin with 1 every time. What
// stops the unit stops it for all runs until a load; a row that never comes to it stops its own run
// alone, so nothing is put behind such rows (card_queue.c).
#include "device/card_internal.h"
#include "table/internal.h"

enum { RESET_READS_MAX = 100000 };

// A command of no rows, and what each row may take: far above what any memory model needs. The
// kernel's own watchdog tells of a silent memory long before.
#define CLOCKS_MAX UINT64_C(4000000)
#define CLOCKS_A_ROW_MAX UINT64_C(2000)

static uint64_t batch_address(const card_queue *queue, uint64_t offset) {
    return offset < CARD_RESULTS_AT ? queue->rows_address + offset
                                    : queue->results_address + (offset - CARD_RESULTS_AT);
}

static void argument_write(card_queue *queue, uint32_t offset, uint64_t value) {
    queue->link->write(queue, offset, (uint32_t)value);
    queue->link->write(queue, offset + 4, (uint32_t)(value >> 32));
}

// What a command brings to the card beside itself: rows, records, a table's block with its places.
static uint64_t brought_bytes(const card_descriptor *command) {
    switch (command->op) {
    case CARD_OP_LOAD:
        return CARD_TABLE_BYTES + (uint64_t)command->count * 4;
    case CARD_OP_RESTORE:
        return (uint64_t)command->count * CARD_ENTRY_UNIT_BYTES;
    case CARD_OP_ROWS:
    case CARD_OP_KEYS:
        break;
    default:
        return 0;
    }
    if (command->flags & CARD_FLAG_CELLS) return command->count * command->at * CARD_BEAT_BYTES;
    return command->count * card_row_bytes(command->flags);
}

static uint64_t results_bytes(const card_descriptor *command) {
    if (!command->results) return 0;
    if (command->op == CARD_OP_SCAN) return (uint64_t)command->row * 2 * CARD_BEAT_BYTES;
    if (command->flags & CARD_FLAG_CELLS)
        return (uint64_t)command->count * CARD_BEAT_BYTES << !!(command->flags & CARD_FLAG_LONG);
    return (uint64_t)command->count *
           (command->op == CARD_OP_KEYS ? CARD_COMPACT_RESULT_BYTES : 2 * CARD_BEAT_BYTES);
}

void card_run_arguments(const card_queue *queue, uint64_t out[CSTI_KERNEL_ARGUMENT_CHANNEL]) {
    const uint64_t completions = queue->runs ? CARD_RUN_COMPLETIONS : CARD_COMPLETIONS_AT;

    out[CSTI_KERNEL_ARGUMENT_RING] = batch_address(queue, CARD_RING_AT);
    out[CSTI_KERNEL_ARGUMENT_COMPLETIONS] = batch_address(queue, completions);
    out[CSTI_KERNEL_ARGUMENT_RING_BITS] = queue->runs ? CARD_RUN_BITS : CARD_RING_BITS;
    out[CSTI_KERNEL_ARGUMENT_FIRST] = batch_address(queue, 0);
    out[CSTI_KERNEL_ARGUMENT_END] = batch_address(queue, CARD_BATCH_BYTES);
    out[CSTI_KERNEL_ARGUMENT_IMAGE] = queue->image_address;
    out[CSTI_KERNEL_ARGUMENT_STRIDE] = queue->image_stride;
}

static void run_start(card_queue *queue) {
#define ARGUMENT_OFFSET(NAME, ID, OFFSET, BYTES, KIND, WORD) OFFSET,
    static const uint32_t offsets[] = {CSTI_KERNEL_ARGUMENT_MAP(ARGUMENT_OFFSET)};
#undef ARGUMENT_OFFSET
    uint64_t values[CSTI_KERNEL_ARGUMENT_CHANNEL];

    memset(queue->rows_at, 0, CARD_TABLE_AT);
    queue->number = 0;
    card_run_arguments(queue, values);
    for (uint32_t i = 0; i < CSTI_KERNEL_ARGUMENT_CHANNEL && !queue->runs; i++)
        argument_write(queue, offsets[i], values[i]);
    queue->link->launch(queue);
}

cst_code card_run_open(card_queue *queue, cst_err *err) {
    cst_code code;

    if (queue->card) return CST_OK;
    code = queue->link->open(queue, err);
    if (code == CST_OK) run_start(queue);
    return code;
}

bool card_run_restart(card_queue *queue) {
    if (queue->link->settle && !queue->link->settle(queue)) return false;
    queue->link->write(queue, CSTI_KERNEL_CTRL, CSTI_KERNEL_CONTINUE);
    queue->link->write(queue, CSTI_KERNEL_CTRL, CSTI_KERNEL_SOFT_RESET);
    for (uint32_t i = 0; i < RESET_READS_MAX; i++) {
        if (!(queue->link->read(queue, CSTI_KERNEL_CTRL) & CSTI_KERNEL_IDLE)) continue;
        if (queue->table) queue->table->loaded = queue->table->placed = false;
        queue->table = NULL;
        queue->keys_loaded = queue->unfenced = false;
        queue->lost = false;
        queue->operations_told = 0; // a soft reset ends its count
        run_start(queue);
        return true;
    }
    return false;
}

void card_run_reset(card_queue *queue) {
    if (queue->card) (void)card_run_restart(queue);
}

void card_run_close(card_queue *queue) {
    if (queue->card) queue->link->close(queue);
    queue->card = NULL;
}

bool card_run_counters(card_queue *queue, uint64_t *values) {
    if (!queue->card || queue->lost) return false;
    for (uint32_t i = 0; i < CARD_COUNTERS; i++) {
        values[i] = queue->link->read(queue, CSTI_KERNEL_COUNTERS + 8 * i);
        values[i] |= (uint64_t)queue->link->read(queue, CSTI_KERNEL_COUNTERS + 8 * i + 4) << 32;
    }
    if (queue->link->clocks) queue->clocks_told = queue->link->clocks(queue);
    return true;
}

static uint32_t slot_of(uint32_t number) {
    return (number - 1) & (CARD_RING - 1);
}

static uint64_t command_at(const card_queue *queue, uint32_t number) {
    if (queue->runs) return CARD_RING_AT + (uint64_t)((number - 1) % CARD_RUNS) * CARD_RUN_BYTES;
    return CARD_RING_AT + (uint64_t)slot_of(number) * CARD_BEAT_BYTES;
}

static uint64_t completion_at(const card_queue *queue, uint32_t number) {
    if (queue->runs) return command_at(queue, number) + CARD_RUN_COMPLETIONS;
    return CARD_COMPLETIONS_AT + (uint64_t)slot_of(number) * CARD_BEAT_BYTES;
}

// Of a command, as it stands in memory.
static uint32_t number_there(const card_queue *queue, uint32_t number) {
    return queue->runs ? 1 : number;
}

uint32_t card_run_put(card_queue *queue, const card_descriptor *command) {
    const uint32_t number = ++queue->number;
    const uint64_t at = command_at(queue, number);
    card_descriptor *place = (card_descriptor *)card_batch_at(queue, at);

    *place = *command;
    if (command->op == CARD_OP_ROWS || command->op == CARD_OP_KEYS || command->op == CARD_OP_LOAD ||
        command->op == CARD_OP_RESTORE)
        place->address = batch_address(queue, command->address);
    if (command->results) place->results = batch_address(queue, command->results);
    if (queue->runs) {
        place[1] = (card_descriptor){.number = 2, .op = CARD_OP_END};
        memset(card_batch_at(queue, completion_at(queue, number)), 0, CARD_RUN_COMPLETIONS);
    }
    place->number = number_there(queue, number);
    queue->link->send(queue, at, command->address, brought_bytes(command));
    return number;
}

bool card_run_arrived(card_queue *queue, uint32_t number) {
    return !queue->link->arrived || queue->lost ||
           queue->link->arrived(queue, completion_at(queue, number), number_there(queue, number));
}

cst_code card_run_wait(card_queue *queue, uint32_t number, card_completion *out) {
    const uint64_t at = completion_at(queue, number);
    const card_completion *done = (const card_completion *)card_batch_at(queue, at);
    const card_descriptor *command =
        (const card_descriptor *)card_batch_at(queue, command_at(queue, number));
    const bool completed = queue->link->wait(queue, at, number_there(queue, number),
                                             CLOCKS_MAX + command->count * CLOCKS_A_ROW_MAX);

    if (queue->link->count) queue->link->count(queue);
    queue->lost = !completed || done->code == CST_DEVICE_LOST ||
                  ((command->flags & CARD_FLAG_FENCE) && done->busy);
    if (queue->lost) return card_lost(queue, number);
    if (command->results) queue->link->receive(queue, CARD_RESULTS_AT, results_bytes(command));
    *out = *done;
    return (cst_code)done->code;
}

cst_code card_run(card_queue *queue, const card_descriptor *command, card_completion *out) {
    card_descriptor fenced = *command;

    if (queue->table && command->op != CARD_OP_LOAD) queue->table->card_newer = true;
    fenced.flags |= CARD_FLAG_FENCE;
    return card_run_wait(queue, card_run_put(queue, &fenced), out);
}

// What the card still writes for the table that it has goes where that one's image lies.
static void table_leave(card_queue *queue) {
    if (!queue->table) return;
    card_fence(queue);
    // One that cannot be brought back is lost with the card, which the next command says.
    if (card_image_fetch(queue, queue->table) != CST_OK) queue->lost = true;
    queue->table->loaded = queue->table->placed = false;
    queue->table = NULL;
}

cst_code card_run_load(card_queue *queue, card_table *table) {
    card_descriptor command = {.op = CARD_OP_LOAD, .address = CARD_TABLE_AT};
    card_completion done;
    cst_code code;

    if (queue->table == table && table->loaded) return CST_OK;
    if (queue->table != table) {
        table_leave(queue);
        table->placed = false;
        table->host_newer = true;
    }
    code = card_image_put(queue, table);
    if (code != CST_OK) return code;
    queue->table = table;
    queue->keys_loaded = false;
    command.count = card_image_pack(table, card_batch_at(queue, CARD_TABLE_AT));
    if (table->placed) command.count = 0;
    code = card_run(queue, &command, &done);
    table->loaded = table->placed = code == CST_OK;
    return code;
}

cst_code card_run_load_keys(card_queue *queue, const cst_schema *schema, const cst_hash_key *key) {
    const card_descriptor command = {.op = CARD_OP_LOAD, .address = CARD_TABLE_AT};
    uint8_t *loaded = card_batch_at(queue, CARD_TABLE_AT);
    uint8_t block[CARD_TABLE_BYTES] = {0};
    card_completion done;
    cst_code code;

    card_columns_pack(schema, key, block);
    if (queue->keys_loaded && memcmp(loaded, block, sizeof block) == 0) return CST_OK;
    table_leave(queue);
    memcpy(loaded, block, sizeof block);
    code = card_run(queue, &command, &done);
    queue->keys_loaded = code == CST_OK;
    return code;
}
