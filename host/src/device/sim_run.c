#include "device/sim_internal.h"
#include "table/internal.h"

enum { RESET_READS_MAX = 100000 };

// A command of no rows, and what each row may take: far above what any memory model needs. The
// kernel's own watchdog tells of a silent memory long before.
#define CLOCKS_MAX UINT64_C(4000000)
#define CLOCKS_A_ROW_MAX UINT64_C(2000)

static uint64_t batch_address(const sim_queue *queue, uint64_t offset) {
    return offset < SIM_RESULTS_AT ? queue->rows_address + offset
                                   : queue->results_address + (offset - SIM_RESULTS_AT);
}

static void argument_write(sim_queue *queue, uint32_t offset, uint64_t value) {
    queue->link->write(queue, offset, (uint32_t)value);
    queue->link->write(queue, offset + 4, (uint32_t)(value >> 32));
}

// What a command brings to the card beside itself: rows, records, a table's block with its places.
static uint64_t brought_bytes(const sim_descriptor *command) {
    switch (command->op) {
    case SIM_OP_LOAD:
        return SIM_TABLE_BYTES + (uint64_t)command->count * 4;
    case SIM_OP_RESTORE:
        return (uint64_t)command->count * SIM_ENTRY_UNIT_BYTES;
    case SIM_OP_ROWS:
    case SIM_OP_KEYS:
        break;
    default:
        return 0;
    }
    if (command->flags & SIM_FLAG_CELLS) return command->count * command->at * SIM_BEAT_BYTES;
    return command->count * sim_row_bytes(command->flags);
}

static uint64_t results_bytes(const sim_descriptor *command) {
    if (!command->results) return 0;
    if (command->op == SIM_OP_SCAN) return (uint64_t)command->row * 2 * SIM_BEAT_BYTES;
    if (command->flags & SIM_FLAG_CELLS)
        return (uint64_t)command->count * SIM_BEAT_BYTES << !!(command->flags & SIM_FLAG_LONG);
    return (uint64_t)command->count *
           (command->op == SIM_OP_KEYS ? SIM_COMPACT_RESULT_BYTES : 2 * SIM_BEAT_BYTES);
}

static void run_start(sim_queue *queue) {
    memset(queue->rows_at, 0, SIM_TABLE_AT);
    queue->number = 0;
    argument_write(queue, CSTI_KERNEL_AT_RING, batch_address(queue, SIM_RING_AT));
    argument_write(queue, CSTI_KERNEL_AT_COMPLETIONS, batch_address(queue, SIM_COMPLETIONS_AT));
    argument_write(queue, CSTI_KERNEL_AT_RING_BITS, SIM_RING_BITS);
    argument_write(queue, CSTI_KERNEL_AT_FIRST, batch_address(queue, 0));
    argument_write(queue, CSTI_KERNEL_AT_END, batch_address(queue, SIM_BATCH_BYTES));
    argument_write(queue, CSTI_KERNEL_AT_IMAGE, queue->image_address);
    argument_write(queue, CSTI_KERNEL_AT_STRIDE, queue->image_stride);
    queue->link->launch(queue);
}

cst_code sim_run_open(sim_queue *queue, cst_err *err) {
    cst_code code;

    if (queue->card) return CST_OK;
    code = queue->link->open(queue, err);
    if (code == CST_OK) run_start(queue);
    return code;
}

bool sim_run_restart(sim_queue *queue) {
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

void sim_run_reset(sim_queue *queue) {
    if (queue->card) (void)sim_run_restart(queue);
}

void sim_run_close(sim_queue *queue) {
    if (queue->card) queue->link->close(queue);
    queue->card = NULL;
}

bool sim_run_counters(sim_queue *queue, uint64_t *values) {
    if (!queue->card || queue->lost) return false;
    for (uint32_t i = 0; i < SIM_COUNTERS; i++) {
        values[i] = queue->link->read(queue, CSTI_KERNEL_COUNTERS + 8 * i);
        values[i] |= (uint64_t)queue->link->read(queue, CSTI_KERNEL_COUNTERS + 8 * i + 4) << 32;
    }
    if (queue->link->clocks) queue->clocks_told = queue->link->clocks(queue);
    return true;
}

static uint32_t slot_of(uint32_t number) {
    return (number - 1) & (SIM_RING - 1);
}

uint32_t sim_run_put(sim_queue *queue, const sim_descriptor *command) {
    const uint32_t number = ++queue->number;
    const uint64_t at = SIM_RING_AT + (uint64_t)slot_of(number) * SIM_BEAT_BYTES;
    sim_descriptor *place = (sim_descriptor *)sim_batch_at(queue, at);

    *place = *command;
    if (command->op == SIM_OP_ROWS || command->op == SIM_OP_KEYS || command->op == SIM_OP_LOAD ||
        command->op == SIM_OP_RESTORE)
        place->address = batch_address(queue, command->address);
    if (command->results) place->results = batch_address(queue, command->results);
    place->number = number;
    queue->link->send(queue, at, command->address, brought_bytes(command));
    return number;
}

static uint64_t completion_at(uint32_t number) {
    return SIM_COMPLETIONS_AT + (uint64_t)slot_of(number) * SIM_BEAT_BYTES;
}

bool sim_run_arrived(sim_queue *queue, uint32_t number) {
    return !queue->link->arrived || queue->lost ||
           queue->link->arrived(queue, completion_at(number), number);
}

cst_code sim_run_wait(sim_queue *queue, uint32_t number, sim_completion *out) {
    const uint64_t at = completion_at(number);
    const sim_completion *done = (const sim_completion *)sim_batch_at(queue, at);
    const sim_descriptor *command =
        (const sim_descriptor *)sim_batch_at(queue, SIM_RING_AT) + slot_of(number);
    const bool completed =
        queue->link->wait(queue, at, number, CLOCKS_MAX + command->count * CLOCKS_A_ROW_MAX);

    if (queue->link->count) queue->link->count(queue);
    queue->lost = !completed || done->code == CST_DEVICE_LOST ||
                  ((command->flags & SIM_FLAG_FENCE) && done->busy);
    if (queue->lost) return sim_lost(queue, number);
    if (command->results) queue->link->receive(queue, SIM_RESULTS_AT, results_bytes(command));
    *out = *done;
    return (cst_code)done->code;
}

cst_code sim_run(sim_queue *queue, const sim_descriptor *command, sim_completion *out) {
    sim_descriptor fenced = *command;

    if (queue->table && command->op != SIM_OP_LOAD) queue->table->card_newer = true;
    fenced.flags |= SIM_FLAG_FENCE;
    return sim_run_wait(queue, sim_run_put(queue, &fenced), out);
}

// What the card still writes for the table that it has goes where that one's image lies.
static void table_leave(sim_queue *queue) {
    if (!queue->table) return;
    sim_fence(queue);
    // One that cannot be brought back is lost with the card, which the next command says.
    if (sim_image_fetch(queue, queue->table) != CST_OK) queue->lost = true;
    queue->table->loaded = queue->table->placed = false;
    queue->table = NULL;
}

cst_code sim_run_load(sim_queue *queue, sim_table *table) {
    sim_descriptor command = {.op = SIM_OP_LOAD, .address = SIM_TABLE_AT};
    sim_completion done;
    cst_code code;

    if (queue->table == table && table->loaded) return CST_OK;
    if (queue->table != table) {
        table_leave(queue);
        table->placed = false;
        table->host_newer = true;
    }
    code = sim_image_put(queue, table);
    if (code != CST_OK) return code;
    queue->table = table;
    queue->keys_loaded = false;
    command.count = sim_image_pack(table, sim_batch_at(queue, SIM_TABLE_AT));
    if (table->placed) command.count = 0;
    code = sim_run(queue, &command, &done);
    table->loaded = table->placed = code == CST_OK;
    return code;
}

cst_code sim_run_load_keys(sim_queue *queue, const cst_schema *schema, const cst_hash_key *key) {
    const sim_descriptor command = {.op = SIM_OP_LOAD, .address = SIM_TABLE_AT};
    uint8_t *loaded = sim_batch_at(queue, SIM_TABLE_AT);
    uint8_t block[SIM_TABLE_BYTES] = {0};
    sim_completion done;
    cst_code code;

    sim_columns_pack(schema, key, block);
    if (queue->keys_loaded && memcmp(loaded, block, sizeof block) == 0) return CST_OK;
    table_leave(queue);
    memcpy(loaded, block, sizeof block);
    code = sim_run(queue, &command, &done);
    queue->keys_loaded = code == CST_OK;
    return code;
}
