// memory.cc: memory.h for C: configurations, their bounds, and calls into the model.
#include "memory/memory.h"

#include "memory/model.hpp"

#include <memory>
#include <new>

struct cst_sim_memory {
    cst_sim::Model model;
};

namespace {

constexpr uint32_t KERNEL_KHZ = 300000; // the platforms' default, UG1393
constexpr uint32_t CLOCK_KHZ_MIN = 50000, CLOCK_KHZ_MAX = 1000000;
constexpr uint32_t BURSTS_MAX = 256;

bool power_of_two(uint64_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

cst_sim_memory_config for_kernel(const cst_sim_dram &dram, uint32_t ports, uint32_t channels) {
    cst_sim_memory_config config = {};

    config.dram = dram;
    config.clock_khz = KERNEL_KHZ;
    config.ports = ports;
    config.beat_bytes = 64;
    config.channels = channels;
    config.reads_max = config.writes_max = 64; // PG276: IDs of a port
    for (uint32_t port = 0; port < CST_SIM_PORTS_MAX; port++)
        config.attached[port] = (uint8_t)(port % channels);
    return config;
}

cst_code check_shape(const cst_sim_memory_config *config, cst_err *err) {
    if (config->ports == 0 || config->ports > CST_SIM_PORTS_MAX)
        return cst_fail(err, CST_USAGE, "simulated memory: %u ports, not 1 to %d", config->ports,
                        CST_SIM_PORTS_MAX);
    if (!power_of_two(config->channels) || config->channels > CST_SIM_CHANNELS_MAX)
        return cst_fail(err, CST_USAGE,
                        "simulated memory: %u channels, not a power of two up to %d",
                        config->channels, CST_SIM_CHANNELS_MAX);
    if (config->beat_bytes != 32 && config->beat_bytes != 64)
        return cst_fail(err, CST_USAGE, "simulated memory: beats of %u bytes, not 32 or 64",
                        config->beat_bytes);
    if (!power_of_two(config->channel_bytes) || config->channel_bytes < CST_SIM_BURST_BYTES_MAX)
        return cst_fail(err, CST_USAGE,
                        "simulated memory: a channel of %llu bytes, not a power of two from 4096",
                        (unsigned long long)config->channel_bytes);
    if (config->stripe_bytes != 0 &&
        (!power_of_two(config->stripe_bytes) || config->stripe_bytes < config->beat_bytes ||
         config->stripe_bytes > config->channel_bytes))
        return cst_fail(err, CST_USAGE, "simulated memory: stripes of %u bytes",
                        config->stripe_bytes);
    if (config->clock_khz < CLOCK_KHZ_MIN || config->clock_khz > CLOCK_KHZ_MAX)
        return cst_fail(err, CST_USAGE, "simulated memory: a clock of %u kHz", config->clock_khz);
    if (config->reads_max == 0 || config->reads_max > BURSTS_MAX || config->writes_max == 0 ||
        config->writes_max > BURSTS_MAX)
        return cst_fail(err, CST_USAGE, "simulated memory: %u reads and %u writes under way",
                        config->reads_max, config->writes_max);
    for (uint32_t port = 0; port < config->ports; port++)
        if (config->attached[port] >= CST_SIM_CHANNELS_MAX)
            return cst_fail(err, CST_USAGE, "simulated memory: port %u beside channel %u", port,
                            config->attached[port]);
    return CST_OK;
}

cst_code check_dram(const cst_sim_dram *dram, cst_err *err) {
    using cst_sim::Channel;
    using cst_sim::Switch;

    if (!power_of_two(dram->banks) || dram->banks > Channel::BANKS_MAX ||
        !power_of_two(dram->bank_groups) || dram->bank_groups > dram->banks ||
        !power_of_two(dram->page_bytes) || dram->page_bytes < CST_SIM_BEAT_BYTES_MAX)
        return cst_fail(err, CST_USAGE, "simulated memory: banks, groups or pages");
    if (dram->burst_bytes != 32 && dram->burst_bytes != 64)
        return cst_fail(err, CST_USAGE, "simulated memory: accesses of %llu bytes, not 32 or 64",
                        (unsigned long long)dram->burst_bytes);
    if (dram->burst_ps == 0 || dram->refi_ps <= dram->rfc_ps + dram->ras_ps + dram->rp_ps)
        return cst_fail(err, CST_USAGE, "simulated memory: no time between refreshes");
    if (dram->window == 0 || dram->window > Channel::WINDOW_MAX || dram->writes_high > dram->window)
        return cst_fail(err, CST_USAGE, "simulated memory: a window of %llu",
                        (unsigned long long)dram->window);
    if (dram->lateral_links == 0 || dram->lateral_links > Switch::LINKS_MAX)
        return cst_fail(err, CST_USAGE, "simulated memory: %llu links between groups",
                        (unsigned long long)dram->lateral_links);
    return CST_OK;
}

} // namespace

extern "C" {

cst_sim_memory_config cst_sim_memory_hbm2(uint32_t ports, uint32_t channels) {
    cst_sim_memory_config config = for_kernel(cst_sim_dram_hbm2(), ports, channels);

    config.channel_bytes = UINT64_C(256) << 20; // U50, U280
    config.has_switch = true;
    return config;
}

cst_sim_memory_config cst_sim_memory_ddr4(uint32_t ports, uint32_t channels) {
    cst_sim_memory_config config = for_kernel(cst_sim_dram_ddr4(), ports, channels);

    config.channel_bytes = UINT64_C(16) << 30; // U280
    return config;
}

cst_code cst_sim_memory_open(const cst_sim_memory_config *config, cst_sim_memory **out,
                             cst_err *err) {
    cst_code code = check_shape(config, err);

    if (code == CST_OK) code = check_dram(&config->dram, err);
    if (code != CST_OK) return code;
    try {
        auto memory = std::make_unique<cst_sim_memory>();

        if (!memory->model.open(*config))
            return cst_fail(err, CST_NO_MEMORY, "simulated memory of %llu bytes",
                            (unsigned long long)(config->channels * config->channel_bytes));
        *out = memory.release();
    } catch (const std::bad_alloc &) {
        return cst_fail(err, CST_NO_MEMORY, "simulated memory");
    }
    return CST_OK;
}

void cst_sim_memory_close(cst_sim_memory *memory) {
    delete memory;
}

uint8_t *cst_sim_memory_bytes(cst_sim_memory *memory) {
    return memory->model.backing().bytes();
}

uint64_t cst_sim_memory_size(const cst_sim_memory *memory) {
    return memory->model.backing().size();
}

const cst_sim_view *cst_sim_memory_view(const cst_sim_memory *memory, uint32_t port) {
    return memory->model.view(port);
}

void cst_sim_memory_ar(cst_sim_memory *memory, uint32_t port, uint16_t id, uint64_t address,
                       uint32_t beats) {
    memory->model.ar(port, id, address, beats);
}

void cst_sim_memory_aw(cst_sim_memory *memory, uint32_t port, uint16_t id, uint64_t address,
                       uint32_t beats) {
    memory->model.aw(port, id, address, beats);
}

void cst_sim_memory_w(cst_sim_memory *memory, uint32_t port, const uint8_t *data, uint64_t strobe,
                      bool last) {
    memory->model.w(port, data, strobe, last);
}

void cst_sim_memory_r(cst_sim_memory *memory, uint32_t port) {
    memory->model.r(port);
}

void cst_sim_memory_b(cst_sim_memory *memory, uint32_t port) {
    memory->model.b(port);
}

void cst_sim_memory_tick(cst_sim_memory *memory) {
    memory->model.tick();
}

uint32_t cst_sim_memory_changed(const cst_sim_memory *memory) {
    return memory->model.changed();
}

uint64_t cst_sim_memory_cycle(const cst_sim_memory *memory) {
    return memory->model.cycle();
}

void cst_sim_memory_reset(cst_sim_memory *memory) {
    memory->model.reset();
}

void cst_sim_memory_stall(cst_sim_memory *memory, uint32_t port, uint32_t handshakes,
                          uint32_t chance, uint32_t silence_clocks) {
    memory->model.stall(port, handshakes, chance, silence_clocks);
}

cst_code cst_sim_memory_inject(cst_sim_memory *memory, const cst_sim_fault *fault, cst_err *err) {
    if (!memory->model.faults().add(*fault))
        return cst_fail(err, CST_LIMIT, "simulated memory: more than %d faults",
                        CST_SIM_FAULTS_MAX);
    return CST_OK;
}

void cst_sim_memory_inject_nothing(cst_sim_memory *memory) {
    memory->model.faults().clear();
}

uint64_t cst_sim_memory_injected(const cst_sim_memory *memory, const cst_sim_injected **list_out) {
    return memory->model.faults().injected(list_out);
}

cst_sim_counters cst_sim_memory_counters(const cst_sim_memory *memory, uint32_t channel) {
    return memory->model.counters(channel);
}

} // extern "C"
