#include "device/sim_internal.h"
#include "table/internal.h"

// Registers: docs/hardware.md, Registers of a kernel.
enum {
    REGISTER_CTRL = 0x000,
    REGISTER_ARGUMENTS = 0x010,
    REGISTER_OPERATIONS = 0x810, // counter 0 of the state unit
    CTRL_START = 1,
    CTRL_IDLE = 4,
    CTRL_CONTINUE = 16,
    CTRL_SOFT_RESET = 256,
};
enum { RESET_READS_MAX = 100000 };

// A command of no rows, and what each row may take: far above what any memory model needs. The
// kernel's own watchdog tells of a silent memory long before.
#define CLOCKS_MAX UINT64_C(4000000)
#define CLOCKS_A_ROW_MAX UINT64_C(2000)

static uint8_t *batch_at(const sim_queue *queue, uint64_t offset) {
    return queue->ops->memory(queue->card) + offset;
}

static uint64_t batch_address(uint64_t offset) {
    return CSTI_SIM_BATCH_CHANNEL * CSTI_SIM_CHANNEL_BYTES + offset;
}

static void argument_write(sim_queue *queue, uint32_t word, uint64_t value) {
    queue->ops->write(queue->card, REGISTER_ARGUMENTS + word * 4, (uint32_t)value);
    queue->ops->write(queue->card, REGISTER_ARGUMENTS + word * 4 + 4, (uint32_t)(value >> 32));
}

static void transfer_tell(sim_queue *queue, csti_sim_way way, uint64_t bytes) {
    sim_device *device = (sim_device *)queue->base.device;
    const uint64_t ns = queue->ops->transfer(queue->card, way, bytes);

    atomic_fetch_add_explicit(&device->transfer_ns, ns - queue->transfer_told,
                              memory_order_relaxed);
    queue->transfer_told = ns;
}

// What a command brings to the card: itself, and rows or a table's block with its places.
static uint64_t command_bytes(const sim_descriptor *command) {
    if (command->op == SIM_OP_LOAD)
        return SIM_BEAT_BYTES + SIM_TABLE_BYTES + (uint64_t)command->count * 4;
    if (command->op == SIM_OP_RESTORE)
        return SIM_BEAT_BYTES + (uint64_t)command->count * SIM_ENTRY_UNIT_BYTES;
    if (command->op != SIM_OP_ROWS && command->op != SIM_OP_KEYS) return SIM_BEAT_BYTES;
    if (command->flags & SIM_FLAG_CELLS)
        return SIM_BEAT_BYTES + command->count * command->at * SIM_BEAT_BYTES;
    return SIM_BEAT_BYTES + command->count * sim_row_bytes(command->flags);
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
    argument_write(queue, 0, batch_address(SIM_RING_AT));
    argument_write(queue, 2, batch_address(SIM_COMPLETIONS_AT));
    argument_write(queue, 4, SIM_RING_BITS);
    argument_write(queue, 6, batch_address(0));
    argument_write(queue, 8, batch_address(SIM_BATCH_BYTES));
    argument_write(queue, 10, 0);
    argument_write(queue, 12, CSTI_SIM_CHANNEL_BYTES);
    memset(batch_at(queue, 0), 0, SIM_TABLE_AT);
    queue->number = 0;
    queue->ops->write(queue->card, REGISTER_CTRL, CTRL_START);
    transfer_tell(queue, CSTI_SIM_LAUNCH, 0);
}

cst_code sim_run_open(sim_queue *queue, cst_err *err) {
    const sim_device *device = (const sim_device *)queue->base.device;
    csti_sim_card_config config = device->config;
    cst_code code;

    if (queue->card) return CST_OK;
    config.locate_context = queue;
    code = queue->ops->open(&config, &queue->card, err);
    if (code == CST_OK) run_start(queue);
    return code;
}

void sim_run_reset(sim_queue *queue) {
    if (!queue->card) return;
    queue->ops->write(queue->card, REGISTER_CTRL, CTRL_CONTINUE);
    queue->ops->write(queue->card, REGISTER_CTRL, CTRL_SOFT_RESET);
    for (uint32_t i = 0; i < RESET_READS_MAX; i++) {
        if (!(queue->ops->read(queue->card, REGISTER_CTRL) & CTRL_IDLE)) continue;
        if (queue->table) queue->table->loaded = queue->table->placed = false;
        queue->table = NULL;
        queue->keys_loaded = queue->unfenced = false;
        queue->lost = false;
        queue->operations_told = 0; // a soft reset ends its count
        run_start(queue);
        return;
    }
}

void sim_run_close(sim_queue *queue) {
    if (queue->card) queue->ops->close(queue->card);
    queue->card = NULL;
}

// The device's counts are those of all its cards.
static void counts_tell(sim_queue *queue) {
    sim_device *device = (sim_device *)queue->base.device;
    const uint64_t clocks = queue->ops->clocks(queue->card);
    uint32_t operations;

    atomic_fetch_add_explicit(&device->clocks, clocks - queue->clocks_told, memory_order_relaxed);
    queue->clocks_told = clocks;
    if (queue->flights_count > 1) return; // reading a register takes clocks: when all is done
    operations = queue->ops->read(queue->card, REGISTER_OPERATIONS);
    atomic_fetch_add_explicit(&device->operations, operations - queue->operations_told,
                              memory_order_relaxed);
    queue->operations_told = operations;
}

bool sim_run_counters(sim_queue *queue, uint64_t *values) {
    if (!queue->card || queue->lost) return false;
    for (uint32_t i = 0; i < SIM_COUNTERS; i++) {
        values[i] = queue->ops->read(queue->card, REGISTER_OPERATIONS + 8 * i);
        values[i] |= (uint64_t)queue->ops->read(queue->card, REGISTER_OPERATIONS + 8 * i + 4) << 32;
    }
    queue->clocks_told = queue->ops->clocks(queue->card);
    return true;
}

static uint32_t slot_of(uint32_t number) {
    return (number - 1) & (SIM_RING - 1);
}

uint32_t sim_run_put(sim_queue *queue, const sim_descriptor *command) {
    const uint32_t number = ++queue->number;
    sim_descriptor *place = (sim_descriptor *)batch_at(queue, SIM_RING_AT) + slot_of(number);

    *place = *command;
    if (command->op == SIM_OP_ROWS || command->op == SIM_OP_KEYS || command->op == SIM_OP_LOAD ||
        command->op == SIM_OP_RESTORE)
        place->address = batch_address(command->address);
    if (command->results) place->results = batch_address(command->results);
    place->number = number;
    transfer_tell(queue, CSTI_SIM_TO_CARD, command_bytes(command));
    return number;
}

cst_code sim_run_wait(sim_queue *queue, uint32_t number, sim_completion *out) {
    const uint32_t slot = slot_of(number);
    const sim_completion *done = (const sim_completion *)batch_at(queue, SIM_COMPLETIONS_AT) + slot;
    const sim_descriptor *command = (const sim_descriptor *)batch_at(queue, SIM_RING_AT) + slot;
    const bool completed =
        sim_completes(queue, &done->number, number, CLOCKS_MAX + command->count * CLOCKS_A_ROW_MAX);

    counts_tell(queue);
    queue->lost = !completed || done->code == CST_DEVICE_LOST ||
                  ((command->flags & SIM_FLAG_FENCE) && done->busy);
    if (queue->lost) return sim_lost(queue, number);
    transfer_tell(queue, CSTI_SIM_NOTICE, SIM_BEAT_BYTES);
    if (command->results) transfer_tell(queue, CSTI_SIM_FROM_CARD, results_bytes(command));
    *out = *done;
    return (cst_code)done->code;
}

cst_code sim_run(sim_queue *queue, const sim_descriptor *command, sim_completion *out) {
    sim_descriptor fenced = *command;

    fenced.flags |= SIM_FLAG_FENCE;
    return sim_run_wait(queue, sim_run_put(queue, &fenced), out);
}

// What the card still writes for the table that it has goes where that one's image lies.
static void table_leave(sim_queue *queue) {
    if (!queue->table) return;
    sim_fence(queue);
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
    }
    queue->table = table;
    queue->keys_loaded = false;
    command.count = sim_image_pack(table, batch_at(queue, SIM_TABLE_AT));
    if (table->placed) command.count = 0;
    code = sim_run(queue, &command, &done);
    table->loaded = table->placed = code == CST_OK;
    return code;
}

cst_code sim_run_load_keys(sim_queue *queue, const cst_schema *schema, const cst_hash_key *key) {
    const sim_descriptor command = {.op = SIM_OP_LOAD, .address = SIM_TABLE_AT};
    uint8_t *loaded = batch_at(queue, SIM_TABLE_AT);
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
