// calibrate.cc: which traffic, and what others measured of it.
#include "memory/calibrate.h"

#include "memory/pcie.h"
#include "memory/traffic.h"

#include <cmath>
#include <memory>
#include <vector>

namespace {

constexpr uint32_t ALL = 256, THREE_OF_FOUR = 192, HALF = 128, NO = 0; // reads of 256
constexpr uint64_t SPAN = UINT64_C(64) << 20;
constexpr uint32_t RATE_ACCESSES = 12000, LATENCY_ACCESSES = 500;

// Measured at the controller's own port, at its clock and width, or by a kernel of 512 bits; none
// of the published figures has a shell in its way that could be told apart.
enum class Seen { BY_CONTROLLER_PORT, BY_KERNEL, THROUGH_SWITCH };

struct Case {
    const char *what;
    bool hbm;
    Seen seen;
    cst_sim_pattern pattern;
    uint32_t bytes, reads_in_256, outstanding, ports, channels, accesses;
    uint32_t beside; // the channel that port 0 enters beside
    uint64_t stride; // bytes
    uint64_t faw_ps; // 0: the table's
    cst_sim_unit unit;
    double published;
    const char *source;
};

constexpr cst_sim_pattern SEQ = CST_SIM_SEQUENTIAL, STRIDE = CST_SIM_STRIDE,
                          RANDOM = CST_SIM_RANDOM;
constexpr cst_sim_unit NS = CST_SIM_LATENCY_NS, GB = CST_SIM_GB_PER_S, M = CST_SIM_MILLIONS_PER_S;
constexpr uint32_t ROW_OF_ONE_BANK_HBM = 16 * 1024, ROW_OF_ONE_BANK_DDR = 16 * 8192;

const Case cases[] = {
    {"hit", true, Seen::BY_CONTROLLER_PORT, SEQ, 32, ALL, 1, 1, 1, LATENCY_ACCESSES, 0, 0, 0, NS,
     106.7, "Shuhai"},
    // The first touch of each bank; before the first refresh.
    {"closed", true, Seen::BY_CONTROLLER_PORT, STRIDE, 32, ALL, 1, 1, 1, 4, 0, 1024, 0, NS, 122.2,
     "Shuhai"},
    {"conflict", true, Seen::BY_CONTROLLER_PORT, STRIDE, 32, ALL, 1, 1, 1, LATENCY_ACCESSES, 0,
     ROW_OF_ONE_BANK_HBM, 0, NS, 137.8, "Shuhai"},
    {"hit, switch, own group", true, Seen::THROUGH_SWITCH, SEQ, 32, ALL, 1, 1, 32, LATENCY_ACCESSES,
     0, 0, 0, NS, 122.2, "recalled: Shuhai"},
    {"hit, switch, farthest", true, Seen::THROUGH_SWITCH, SEQ, 32, ALL, 1, 1, 32, LATENCY_ACCESSES,
     31, 0, 0, NS, 155.6, "recalled: Shuhai"},
    {"32 channels", true, Seen::BY_KERNEL, SEQ, 64, ALL, 64, 32, 32, 3000, 0, 0, 0, GB, 421,
     "VAE hbm_bandwidth, U280"},
    {"12 channels", true, Seen::BY_KERNEL, SEQ, 64, ALL, 64, 12, 16, 3000, 0, 0, 0, GB, 158,
     "VAE hbm_bandwidth, U50"},
    {"out of a group", true, Seen::THROUGH_SWITCH, SEQ, 64, ALL, 64, 4, 8, 3000, 4, 0, 0, GB, 28.8,
     "PG276: at most half"},
    {"random", true, Seen::BY_KERNEL, RANDOM, 64, ALL, 64, 1, 1, RATE_ACCESSES, 0, 0, 0, GB, 11.5,
     "VAE hbm_bandwidth_pseudo_random"},
    {"random, window 16 ns", true, Seen::BY_KERNEL, RANDOM, 64, ALL, 64, 1, 1, RATE_ACCESSES, 0, 0,
     16000, M, 208, "an earlier model"},
    {"random, window 30 ns", true, Seen::BY_KERNEL, RANDOM, 64, ALL, 64, 1, 1, RATE_ACCESSES, 0, 0,
     30000, M, 124, "an earlier model"},
    {"random 3:1", true, Seen::BY_KERNEL, RANDOM, 64, THREE_OF_FOUR, 64, 1, 1, RATE_ACCESSES, 0, 0,
     0, M, 165, "an earlier model"},
    {"random 1:1", true, Seen::BY_KERNEL, RANDOM, 64, HALF, 64, 1, 1, RATE_ACCESSES, 0, 0, 0, M,
     159, "an earlier model"},
    {"stride, one bank", true, Seen::BY_KERNEL, STRIDE, 64, ALL, 64, 1, 1, RATE_ACCESSES / 4, 0,
     ROW_OF_ONE_BANK_HBM, 0, M, 21, "an earlier model"},
    {"hit", false, Seen::BY_CONTROLLER_PORT, SEQ, 64, ALL, 1, 1, 1, LATENCY_ACCESSES, 0, 0, 0, NS,
     73, "recalled: Shuhai"},
    {"closed", false, Seen::BY_CONTROLLER_PORT, STRIDE, 64, ALL, 1, 1, 1, 4, 0, 16 * 2048, 0, NS,
     90, "recalled: Shuhai"},
    {"conflict", false, Seen::BY_CONTROLLER_PORT, STRIDE, 64, ALL, 1, 1, 1, LATENCY_ACCESSES, 0,
     ROW_OF_ONE_BANK_DDR, 0, NS, 107, "recalled: Shuhai"},
    {"sequential", false, Seen::BY_KERNEL, SEQ, 64, ALL, 64, 1, 1, RATE_ACCESSES, 0, 0, 0, GB, 19.2,
     "recalled: U280's peak"},
};

cst_sim_memory_config config_of(const Case &item) {
    cst_sim_memory_config config = item.hbm ? cst_sim_memory_hbm2(item.ports, item.channels)
                                            : cst_sim_memory_ddr4(item.ports, item.channels);

    config.dram.shell_ps = 0;
    config.has_switch = item.seen == Seen::THROUGH_SWITCH;
    if (item.bytes < 64) config.beat_bytes = 32;
    if (item.hbm && config.beat_bytes == 32) config.clock_khz = 450000; // PG276
    if (item.faw_ps) config.dram.faw_ps = item.faw_ps;
    for (uint32_t port = 0; port < item.ports; port++)
        config.attached[port] = (uint8_t)(item.beside + port);
    return config;
}

struct Closer {
    void operator()(cst_sim_memory *memory) const { cst_sim_memory_close(memory); }
    void operator()(cst_sim_pcie *pcie) const { cst_sim_pcie_close(pcie); }
};

cst_code play(const Case &item, uint64_t seed, cst_sim_figure *out, cst_err *err) {
    cst_sim_memory_config config = config_of(item);
    const cst_sim_traffic traffic = {
        item.pattern,      item.bytes,       item.stride,   SPAN, config.channel_bytes,
        item.reads_in_256, item.outstanding, item.accesses, seed};
    cst_sim_memory *opened = nullptr;
    cst_code code;

    config.seed = seed;
    code = cst_sim_memory_open(&config, &opened, err);
    if (code != CST_OK) return code;
    const std::unique_ptr<cst_sim_memory, Closer> memory(opened);
    const cst_sim_played played = cst_sim_play(memory.get(), &config, &traffic);
    *out = {item.hbm ? "hbm2" : "ddr4",
            item.what,
            item.bytes,
            item.reads_in_256 * 100 / 256,
            item.ports,
            item.outstanding,
            config.clock_khz,
            played.cycles,
            played.latency_ns,
            played.gb_per_s,
            played.accesses_per_us,
            item.unit,
            item.published,
            item.source};
    return CST_OK;
}

// Every pattern, size and mix, for one channel. Nobody published these.
std::vector<Case> survey(bool hbm) {
    static const struct {
        cst_sim_pattern pattern;
        const char *names[4];
    } patterns[] = {
        {SEQ, {"sequential reads", "sequential writes", "sequential 3:1", "sequential 1:1"}},
        {STRIDE, {"stride reads", "stride writes", "stride 3:1", "stride 1:1"}},
        {RANDOM, {"random reads", "random writes", "random 3:1", "random 1:1"}},
    };
    static const uint32_t mixes[] = {ALL, NO, THREE_OF_FOUR, HALF};
    std::vector<Case> all;

    for (const auto &p : patterns)
        for (uint32_t bytes : {32, 64, 128})
            for (size_t mix = 0; mix < 4; mix++)
                all.push_back({p.names[mix], hbm, Seen::BY_KERNEL, p.pattern, bytes, mixes[mix], 64,
                               1, 1, p.pattern == STRIDE ? RATE_ACCESSES / 4 : RATE_ACCESSES, 0,
                               hbm ? ROW_OF_ONE_BANK_HBM : ROW_OF_ONE_BANK_DDR, 0, M, 0, ""});
    return all;
}

struct PcieCase {
    const char *what;
    cst_sim_pcie_kind kind;
    uint32_t bytes, count, outstanding;
    uint64_t launch_ps; // 0: the table's
    double published;   // GB/s; commands: millions a second
    const char *source;
};

const PcieCase pcie_cases[] = {
    {"DMA to the card", CST_SIM_PCIE_TO_CARD, 64, 100, 1, 0, 0.0047, "VAE host_global, U200"},
    {"DMA to the card", CST_SIM_PCIE_TO_CARD, 16 << 10, 100, 1, 0, 1.17, "VAE host_global, U200"},
    {"DMA to the card", CST_SIM_PCIE_TO_CARD, 2 << 20, 100, 1, 0, 7.25, "VAE host_global, 6.8-7.7"},
    {"DMA from the card", CST_SIM_PCIE_FROM_CARD, 2 << 20, 100, 1, 0, 11.5,
     "VAE host_global, U200"},
    {"kernel reads the host", CST_SIM_PCIE_KERNEL_READ, 4 << 10, 1000, 16, 0, 4.9,
     "VAE host_memory, U250"},
    {"kernel reads the host", CST_SIM_PCIE_KERNEL_READ, 32 << 10, 1000, 16, 0, 8.2,
     "VAE host_memory, U250"},
    {"kernel reads the host", CST_SIM_PCIE_KERNEL_READ, 256 << 10, 1000, 16, 0, 10.5,
     "VAE host_memory, U250"},
    {"kernel reads the host", CST_SIM_PCIE_KERNEL_READ, 2 << 20, 100, 16, 0, 11.6,
     "VAE host_memory, U250"},
    {"kernel writes the host", CST_SIM_PCIE_KERNEL_WRITE, 2 << 20, 100, 16, 0, 11.9,
     "VAE host_memory, U250"},
    // What is left of ten commands' time when the queued rate is taken away.
    {"10 commands, launch 91 us", CST_SIM_PCIE_COMMAND, 0, 10, 64, 91000000, 0.084,
     "VAE iops_test_xrt, U250"},
    {"queued commands", CST_SIM_PCIE_COMMAND, 0, 100000, 64, 0, 0.359, "VAE iops_test_xrt, U250"},
};

cst_code play_pcie(const PcieCase &item, uint64_t seed, cst_sim_figure *out, cst_err *err) {
    cst_sim_pcie_parameters parameters = cst_sim_pcie_gen3x16();
    cst_sim_pcie *opened = nullptr;
    uint64_t now_ps = 0, latency_ps = 0;
    uint32_t asked = 0, answered = 0;
    cst_code code;

    if (item.launch_ps) parameters.launch_ps = item.launch_ps;
    code = cst_sim_pcie_open(&parameters, seed, &opened, err);
    const std::unique_ptr<cst_sim_pcie, Closer> pcie(opened);
    while (code == CST_OK && answered < item.count) {
        cst_sim_done done;

        while (code == CST_OK && asked < item.count && asked - answered < item.outstanding) {
            const cst_sim_transfer transfer = {item.kind, now_ps, nullptr, nullptr, item.bytes};

            code = cst_sim_pcie_submit(pcie.get(), now_ps, &transfer, err);
            asked++;
        }
        now_ps = cst_sim_pcie_next_ps(pcie.get());
        while (cst_sim_pcie_poll(pcie.get(), now_ps, &done)) {
            latency_ps = done.done_ps - done.tag;
            answered++;
        }
    }
    if (code != CST_OK) return code;
    const double us = (double)now_ps / 1e6;
    *out = {"pcie",
            item.what,
            item.bytes,
            0,
            1,
            item.outstanding,
            0,
            0,
            (double)latency_ps / 1e3,
            (double)item.bytes * item.count / us / 1e3,
            item.count / us,
            item.bytes ? GB : M,
            item.published,
            item.source};
    return CST_OK;
}

} // namespace

extern "C" {

double cst_sim_off_percent(const cst_sim_figure *figure) {
    const double values[] = {figure->latency_ns, figure->gb_per_s, figure->millions_per_s};

    if (!(figure->published > 0)) return 0;
    return (values[figure->unit] / figure->published - 1) * 100;
}

cst_code cst_sim_calibrate(uint64_t seed, void (*row)(void *context, const cst_sim_figure *),
                           void *context, cst_err *err) {
    std::vector<Case> all(std::begin(cases), std::end(cases));
    cst_sim_figure figure;
    cst_code code = CST_OK;

    for (bool hbm : {true, false})
        for (const Case &item : survey(hbm)) all.push_back(item);
    for (size_t i = 0; i < all.size() && code == CST_OK; i++) {
        code = play(all[i], seed, &figure, err);
        if (code == CST_OK) row(context, &figure);
    }
    for (size_t i = 0; i < std::size(pcie_cases) && code == CST_OK; i++) {
        code = play_pcie(pcie_cases[i], seed, &figure, err);
        if (code == CST_OK) row(context, &figure);
    }
    return code;
}

} // extern "C"
