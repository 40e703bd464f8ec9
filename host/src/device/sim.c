// sim.c: the simulated card as a device: the RTL under Verilator, with the memory of a card.
#define _GNU_SOURCE 1 // dladdr
#include "device/sim_internal.h"

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
        .key_bytes_max = CARD_KEY_BYTES_MAX,
        .entry_bytes_max = CARD_ENTRY_BYTES_MAX,
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
    device->config.locate = card_image_locate;
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

// ---- Queues -------------------------------------------------------------------------------------

static cst_code sim_queue_open(cst_device *base, uint32_t depth, cst_queue **out, cst_err *err) {
    (void)base;
    return card_queue_make(&sim_link, depth, out, err);
}

static cst_code sim_wait(cst_queue *base, uint64_t deadline_ns) {
    card_queue *queue = (card_queue *)base;

    (void)deadline_ns; // a clock of the card is not one of the host's
    if (!csti_spsc_ring_front(&queue->completions)) card_entries_run(queue);
    return csti_spsc_ring_front(&queue->completions) ? CST_OK : CST_AGAIN;
}

const csti_device_ops csti_device_sim = {
    .scheme = "sim",
    .open = sim_open,
    .close = sim_close,
    CARD_OPS,
    .queue_open = sim_queue_open,
    .table_open = card_table_open,
    .wait = sim_wait,
    .simulation = sim_simulation,
    .counters = card_counters,
};
