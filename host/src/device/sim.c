// sim.c: the simulated card as a device: the RTL under Verilator, with the memory of a card.
#define _GNU_SOURCE 1 // dladdr
#include "device/sim_internal.h"
#include "table/image.h"
#include "table/program.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char library_name[] = "libconstellation-sim.so";
enum { PATH_BYTES = 768, CLOCK_MHZ_MIN = 50, CLOCK_MHZ_MAX = 1000, CLOCK_MHZ_DEFAULT = 300 };

// ---- The library --------------------------------------------------------------------------------

// What this code is in: the library or, linked statically, the program, of which the loader knows
// no more than how it was called. NULL: unknown.
static const char *own_path(char *program, size_t program_bytes) {
    Dl_info info = {0};
    ssize_t length;

    if (dladdr(library_name, &info) && info.dli_fname && strchr(info.dli_fname, '/'))
        return info.dli_fname;
    length = readlink("/proc/self/exe", program, program_bytes - 1);
    if (length <= 0) return NULL;
    program[length] = 0;
    return program;
}

// build/release/{bin,lib}/... -> build/release/lib/libconstellation-sim.so; installed: beside the
// library, or where the loader looks.
static void *library_open(char *why, size_t why_bytes) {
    char path[PATH_BYTES], program[PATH_BYTES / 2];
    const char *own = own_path(program, sizeof program);
    void *library = NULL;

    if (own) {
        const int folder = (int)(strrchr(own, '/') - own);

        (void)snprintf(path, sizeof path, "%.*s/../lib/%s", folder, own, library_name);
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library) (void)snprintf(path, sizeof path, "%.*s/%s", folder, own, library_name);
        if (!library) library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    if (!library) library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (!library) (void)snprintf(why, why_bytes, "%s", dlerror());
    return library;
}

static cst_code library_load(sim_device *device, cst_err *err) {
    char why[256] = "";
    csti_sim_card_entry entry;
    void *symbol;

    device->library = library_open(why, sizeof why);
    if (!device->library)
        return cst_fail(err, CST_UNSUPPORTED,
                        "the simulated card is in %s, which is not there (%s). Build it: install "
                        "Verilator and configure with -DCST_RTL=ON",
                        library_name, why);
    symbol = dlsym(device->library, CSTI_SIM_CARD_ENTRY);
    if (!symbol)
        return cst_fail(err, CST_UNSUPPORTED, "%s is of another version: build it again",
                        library_name);
    memcpy(&entry, &symbol, sizeof entry); // ISO C has no cast from object to function
    device->card = entry();
    if (device->card->version != CSTI_SIM_CARD_VERSION)
        return cst_fail(err, CST_UNSUPPORTED, "%s is of version %u, not %d: build it again",
                        library_name, device->card->version, CSTI_SIM_CARD_VERSION);
    if (device->config.waves && !device->card->draws_waves)
        return cst_fail(err, CST_UNSUPPORTED,
                        "waves=%s: this simulated card draws none, for its speed. One that does: "
                        "cmake --preset waves && cmake --build --preset waves",
                        device->waves);
    return CST_OK;
}

// ---- The device ---------------------------------------------------------------------------------

static void capabilities_fill(const sim_device *device, cst_capabilities *can) {
    *can = (cst_capabilities){
        .ops = (1u << CST_OPS_COUNT) - 1,
        .key_bytes_max = SIM_KEY_BYTES_MAX,
        .entry_bytes_max = SIM_ENTRY_BYTES_MAX,
        .shares_memory = true,
        .queue_depth_max = CST_QUEUE_DEPTH_MAX,
        .batch_rows_max = CST_BATCH_ROWS_MAX,
        .memory_bytes = CSTI_SIM_CHANNELS * CSTI_SIM_CHANNEL_BYTES,
        .numa_node = -1,
    };
    (void)snprintf(can->name, sizeof can->name,
                   "simulated card: RTL kernel, %u channels of %s, %u MHz", device->config.channels,
                   device->config.ddr4 ? "DDR4" : "HBM2", device->config.clock_khz / 1000);
}

static cst_code waves_take(sim_device *device, csti_uri *uri, cst_err *err) {
    const char *waves = NULL;

    csti_uri_take_text(uri, "waves", &waves);
    if (!waves) return CST_OK;
    if (!*waves) return cst_fail(err, CST_DEVICE_URI, "device parameter waves=: names no file");
    (void)snprintf(device->waves, sizeof device->waves, "%s", waves);
    device->config.waves = device->waves;
    return csti_uri_take_u64(uri, "waves_from", UINT64_MAX, &device->config.waves_from, err);
}

static cst_code uri_take(sim_device *device, csti_uri *uri, cst_err *err) {
    static const char *const memories[] = {"hbm2", "ddr4"};
    uint64_t mhz = CLOCK_MHZ_DEFAULT, channels = CSTI_SIM_CHANNELS, seed = 1;
    size_t memory = 0;
    cst_code code = csti_uri_take_word(uri, "memory", memories, 2, &memory, err);

    device->config.ddr4 = memory == 1;
    if (code == CST_OK) code = csti_uri_take_u64(uri, "clock_mhz", CLOCK_MHZ_MAX, &mhz, err);
    if (code == CST_OK) code = csti_uri_take_u64(uri, "channels", UINT32_MAX, &channels, err);
    if (code == CST_OK) code = csti_uri_take_u64(uri, "seed", UINT32_MAX, &seed, err);
    if (code == CST_OK) code = sim_error_take(uri, &device->config, err);
    if (code == CST_OK) code = sim_mistake_take(uri, &device->config, err);
    if (code == CST_OK) code = waves_take(device, uri, err);
    if (code == CST_OK)
        code = csti_uri_check_empty(uri,
                                    "memory=hbm2|ddr4, clock_mhz, channels, seed, error, "
                                    "error_after, error_port, mistake, waves, waves_from",
                                    err);
    if (code == CST_OK && uri->path[0])
        code = cst_fail(err, CST_DEVICE_URI, "sim:%s: only parameters follow sim:", uri->path);
    if (code == CST_OK && mhz < CLOCK_MHZ_MIN)
        code = cst_fail(err, CST_DEVICE_URI, "clock_mhz=%u: at least %d", (unsigned)mhz,
                        CLOCK_MHZ_MIN);
    if (code == CST_OK &&
        (channels == 0 || channels > CSTI_SIM_CHANNELS || (channels & (channels - 1)) != 0))
        code = cst_fail(err, CST_DEVICE_URI, "channels=%u: 1, 2, 4, 8 or %d", (unsigned)channels,
                        CSTI_SIM_CHANNELS);
    device->config.channels = (uint32_t)channels;
    device->config.clock_khz = (uint32_t)mhz * 1000;
    device->config.seed = seed;
    device->config.locate = sim_image_locate;
    return code;
}

static void sim_close(cst_device *base) {
    sim_device *device = (sim_device *)base;

    if (device->library) (void)dlclose(device->library);
    free(device);
}

static cst_code sim_open(csti_uri *uri, cst_device **out, cst_err *err) {
    sim_device *device = calloc(1, sizeof *device);
    cst_code code;

    if (!device) return cst_fail(err, CST_NO_MEMORY, "device sim:");
    code = uri_take(device, uri, err);
    if (code == CST_OK) code = library_load(device, err);
    if (code != CST_OK) {
        sim_close(&device->base);
        return code;
    }
    capabilities_fill(device, &device->base.capabilities);
    *out = &device->base;
    return CST_OK;
}

static void sim_simulation(const cst_device *base, cst_simulation *out) {
    const sim_device *device = (const sim_device *)base;

    *out = (cst_simulation){
        .simulated = true,
        .clock_khz = device->config.clock_khz,
        .clocks = atomic_load_explicit(&device->clocks, memory_order_relaxed),
        .operations = atomic_load_explicit(&device->operations, memory_order_relaxed),
        .transfer_ns = atomic_load_explicit(&device->transfer_ns, memory_order_relaxed),
    };
}

// docs/hardware.md, Counters.
static const char *const counter_names[SIM_COUNTERS] = {"done",
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

void sim_counters(cst_queue *base, cst_counter *out, size_t capacity, size_t *count_out) {
    sim_queue *queue = (sim_queue *)base;
    uint64_t values[SIM_COUNTERS];

    if (!sim_run_counters(queue, values)) return;
    *count_out = SIM_COUNTERS;
    for (size_t i = 0; i < SIM_COUNTERS && i < capacity; i++)
        out[i] = (cst_counter){counter_names[i], values[i]};
}

// ---- Queues -------------------------------------------------------------------------------------

cst_code sim_queue_make(const sim_link *link, uint32_t depth, cst_queue **out, cst_err *err) {
    sim_queue *queue = aligned_alloc(CSTI_SPSC_LINE_BYTES, sizeof *queue);
    cst_code code;

    if (!queue) return cst_fail(err, CST_NO_MEMORY, "a queue");
    memset(queue, 0, sizeof *queue);
    queue->executor.codec = csti_codec_for(CSTI_CPU_SCALAR);
    queue->piece_rows = SIM_ROWS_MAX;
    queue->link = link;
    code = csti_spsc_ring_open(&queue->completions, depth, sizeof(cst_completion), err);
    if (code == CST_OK) code = sim_entries_open(queue, depth, err);
    if (code != CST_OK) {
        csti_spsc_ring_close(&queue->completions);
        free(queue);
        return code;
    }
    *out = &queue->base;
    return CST_OK;
}

static cst_code sim_queue_open(cst_device *base, uint32_t depth, cst_queue **out, cst_err *err) {
    (void)base;
    return sim_queue_make(&sim_link_card, depth, out, err);
}

void sim_queue_close(cst_queue *base) {
    sim_queue *queue = (sim_queue *)base;

    sim_run_close(queue);
    sim_entries_close(queue);
    csti_spsc_ring_close(&queue->completions);
    free(queue);
}

// Columns for what the caller did not ask for, as long as the command needs.
static cst_code scratch_make(sim_table *table, const cst_command *command) {
    const size_t rows = command->rows.rows_count;
    const size_t keys_bytes = cst_keys_bytes_bound(command->batch) + SIM_KEY_BYTES_MAX;
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
static cst_code keys_place(sim_table *table, const cst_command *command, cst_keys *out) {
    const cst_code code = scratch_make(table, command);

    if (code != CST_OK) return code;
    *out = (cst_keys){.bytes = table->keys,
                      .bytes_capacity = table->keys_capacity,
                      .offsets = table->offsets};
    return CST_OK;
}

static cst_code keys_run(sim_queue *queue, const cst_command *command, cst_completion *out) {
    cst_command own = *command;
    cst_keys keys;
    cst_code code = CST_OK;

    if ((own.ops & CST_OP_ENCODE) && !own.keys_out) {
        code = keys_place((sim_table *)own.table, &own, &keys);
        own.keys_out = &keys;
        own.rows.first_row = 0;
    }
    if (code != CST_OK) return code;
    if (sim_keys_fit(&own)) return sim_keys_run(queue, &own, out);
    if (sim_cells_fit(&own)) return sim_cells_run(queue, &own, out);
    return csti_cpu_command(&queue->executor, &own, out);
}

// Keys or hashes that the caller wants to see too, or that are not the circuit's: made first.
static cst_code rows_in_steps(sim_queue *queue, sim_table *table, const cst_command *command,
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
    return sim_rows_run(queue, table, &second, false, out);
}

static cst_code rows_run(sim_queue *queue, const cst_command *command, cst_completion *out) {
    sim_table *table = (sim_table *)command->table;
    const bool encodes = command->ops & CST_OP_ENCODE;

    if (!(command->ops & (CST_OP_APPLY | CST_OP_LOOKUP))) return keys_run(queue, command, out);
    if (command->keys_out || command->hashes_out || (encodes && !table->encodes))
        return rows_in_steps(queue, table, command, out);
    return sim_rows_run(queue, table, command, encodes, out);
}

bool sim_rows_stream(const cst_command *command) {
    const sim_table *table = (const sim_table *)command->table;

    if (!(command->ops & CST_OP_APPLY) || command->keys_out || command->hashes_out) return false;
    // When its turn comes the host refuses it.
    if (!csti_program_takes(&table->cpu.base.options.program, &command->rows)) return false;
    return !(command->ops & CST_OP_ENCODE) || table->encodes;
}

cst_code sim_command_run(sim_queue *queue, const cst_command *command, cst_completion *out) {
    sim_table *table = (sim_table *)command->table;
    cst_code code;

    switch (command->ops) {
    case CST_OP_GROW:
        code = sim_image_fetch(queue, table);
        if (code != CST_OK) return code;
        table->loaded = false;
        table->host_newer = true;
        return csti_cpu_command(&queue->executor, command, out);
    default:
        break;
    }
    code = sim_run_open(queue, NULL);
    if (code == CST_LIMIT && !table) return csti_cpu_command(&queue->executor, command, out);
    if (code != CST_OK) return code;
    if (command->ops == CST_OP_RELEASE) return sim_release(queue, table, &command->release);
    if (command->ops == CST_OP_RESTORE) return sim_restore(queue, table, command, out);
    if (command->ops == CST_OP_SCAN) return sim_scan(queue, table, command, out);
    if (command->ops == CST_OP_EXPIRE) return sim_expire(queue, table, command, out);
    return rows_run(queue, command, out);
}

cst_code sim_submit(cst_queue *base, const csti_entry_in_flight *entry, cst_err *err) {
    sim_queue *queue = (sim_queue *)base;

    if (queue->lost) return cst_queue_lost(base, err);
    sim_entries_put(queue, entry);
    return CST_OK;
}

// A simulated card has no time but the host's: its clocks run here and in wait.
uint32_t sim_poll(cst_queue *base, cst_completion *out, uint32_t count_max) {
    sim_queue *queue = (sim_queue *)base;
    uint32_t count = 0;

    if (count_max > 0 && !csti_spsc_ring_front(&queue->completions) && sim_entries_ready(queue))
        sim_entries_run(queue);
    while (count < count_max && csti_spsc_ring_pop(&queue->completions, &out[count])) count++;
    return count;
}

static cst_code sim_wait(cst_queue *base, uint64_t deadline_ns) {
    sim_queue *queue = (sim_queue *)base;

    (void)deadline_ns; // a clock of the card is not one of the host's
    if (!csti_spsc_ring_front(&queue->completions)) sim_entries_run(queue);
    return csti_spsc_ring_front(&queue->completions) ? CST_OK : CST_AGAIN;
}

cst_code sim_reset(cst_device *base, cst_err *err) {
    for (cst_queue *queue = base->queues; queue; queue = queue->next) {
        sim_entries_end((sim_queue *)queue);
        sim_run_reset((sim_queue *)queue);
        if (((sim_queue *)queue)->lost)
            return cst_fail(err, CST_DEVICE_LOST, "%s: the card stays busy after a reset",
                            base->uri);
    }
    return CST_OK;
}

// ---- Buffers: the host's own memory, as the processor's are -------------------------------------

cst_code sim_buffer_alloc(cst_device *device, size_t bytes, cst_device_buffer *out, cst_err *err) {
    return csti_device_cpu.buffer_alloc(device, bytes, out, err);
}

void sim_buffer_free(cst_device *device, cst_device_buffer *buffer) {
    csti_device_cpu.buffer_free(device, buffer);
}

cst_code sim_buffer_sync(cst_device *device, const cst_device_buffer *buffer, size_t offset,
                         size_t bytes, cst_sync direction, cst_err *err) {
    return csti_device_cpu.buffer_sync(device, buffer, offset, bytes, direction, err);
}

// ---- Tables -------------------------------------------------------------------------------------

void sim_table_close(cst_device_table *base) {
    sim_table *table = (sim_table *)base;

    if (table->queue->table == table) {
        sim_fence(table->queue);
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

static void word_find(sim_table *table, const cst_program *program, uint32_t index) {
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

static void words_share(sim_table *table, const cst_program *program) {
    if (program->accumulators_count == 0) {
        table->words_count = (program->value_bytes + 7) / 8;
        for (uint32_t w = 0; w < SIM_LANES; w++) table->words[w] = (uint8_t)w;
        return;
    }
    for (uint32_t i = 0; i < program->accumulators_count; i++)
        if (program->accumulators[i].op != CST_COUNT) word_find(table, program, i);
    for (uint32_t i = 0; i < program->accumulators_count; i++)
        if (program->accumulators[i].op == CST_COUNT) word_find(table, program, i);
}

cst_code sim_table_open(cst_queue *queue, const cst_table_options *options, const cst_schema *keys,
                        cst_device_table **out, cst_err *err) {
    sim_table *table = NULL;
    cst_code code = sim_image_check(options, err);

    if (code != CST_OK) return code;
    table = calloc(1, sizeof *table);
    if (!table) return cst_fail(err, CST_NO_MEMORY, "a table");
    table->queue = (sim_queue *)queue;
    code = cst_table_open(options, &table->cpu.image, err);
    if (code == CST_OK) code = sim_image_place(table, err);
    if (code == CST_OK && table->queue->link->image_move) sim_image_place_ready(table);
    if (code != CST_OK) {
        sim_table_close(&table->cpu.base);
        return code;
    }
    table->key_words = (options->key_bytes + 7) / 8;
    words_share(table, &options->program);
    table->encodes = keys && sim_schema_fits(keys);
    *out = &table->cpu.base;
    return CST_OK;
}

cst_code sim_table_prepare(cst_device_table *base, cst_err *err) {
    sim_table *table = (sim_table *)base;

    table->loaded = false; // the card is told what is ready
    return cst_table_prepare(table->cpu.image, err);
}

// Whoever asks for the image may change it: the card loads it anew. And may go on looking at it.
cst_table *sim_table_image(const cst_device_table *base) {
    sim_table *table = (sim_table *)base;

    sim_fence(table->queue);
    if (sim_image_fetch(table->queue, table) != CST_OK) table->queue->lost = true;
    table->shown = true;
    table->loaded = table->placed = false;
    table->host_newer = true;
    return table->cpu.image;
}

// The control block is the host's: completions bring it.
const cst_table *sim_table_view(const cst_device_table *base) {
    return ((const sim_table *)base)->cpu.image;
}

const csti_device_ops csti_device_sim = {
    .scheme = "sim",
    .open = sim_open,
    .close = sim_close,
    .reset = sim_reset,
    .buffer_alloc = sim_buffer_alloc,
    .buffer_free = sim_buffer_free,
    .buffer_sync = sim_buffer_sync,
    .queue_open = sim_queue_open,
    .queue_close = sim_queue_close,
    .table_open = sim_table_open,
    .table_close = sim_table_close,
    .table_prepare = sim_table_prepare,
    .table_image = sim_table_image,
    .table_view = sim_table_view,
    .submit = sim_submit,
    .poll = sim_poll,
    .wait = sim_wait,
    .simulation = sim_simulation,
    .counters = sim_counters,
};
