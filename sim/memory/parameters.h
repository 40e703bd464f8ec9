// parameters.h: what the memory models are made of, each number with its source.
//
//   cst_sim_dram timing = cst_sim_hbm2();  timing.faw_ps = 30000;
//
// The tables below are the only place where a timing stands. Times in picoseconds. Sources:
//   PG276    AXI HBM controller guide
//   Shuhai   measurements of an Alveo U280, FCCM 2020
//   gem5     HBM_1000_4H_1x64                DRAMsim3  HBM2_8Gb_x128, DDR4_8Gb_x8_2400
//   VAE      measurements in Vitis_Accel_Examples
//   recalled said of the part, not looked up; derived: computed from the others, see
//   docs/hardware.md
#ifndef CST_SIM_PARAMETERS_H
#define CST_SIM_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// X(name, HBM2, its source, DDR4, its source, what it is)
#define CST_SIM_DRAM_MAP(X)                                                                        \
    X(burst_bytes, 32, "PG276", 64, "DRAMsim3", "smallest access")                                 \
    X(burst_ps, 2222, "PG276: 64 bit x 1.8 Gb/s", 3333, "DRAMsim3: 4 x tCK", "a burst on the bus") \
    X(banks, 16, "gem5", 16, "DRAMsim3", "of a channel")                                           \
    X(bank_groups, 4, "gem5", 4, "DRAMsim3", "of its banks")                                       \
    X(page_bytes, 1024, "gem5", 8192, "DRAMsim3", "a row of a bank")                               \
    X(groups_first, 0, "PG276", 1, "DRAMsim3", "1: bursts go round the groups, 0: pages do")       \
    X(rcd_ps, 15500, "Shuhai: closed less hit", 14167, "DRAMsim3", "activate to column")           \
    X(rp_ps, 15500, "Shuhai: conflict less closed", 14167, "DRAMsim3", "precharge to activate")    \
    X(cl_ps, 14000, "gem5", 14167, "DRAMsim3", "column to data, writes too")                       \
    X(ras_ps, 33000, "gem5", 32500, "DRAMsim3", "activate to precharge")                           \
    X(wr_ps, 16000, "gem5", 15000, "recalled", "written data to precharge")                        \
    X(rrd_ps, 4000, "gem5", 4167, "recalled", "between activates")                                 \
    X(faw_ps, 20000, "derived: VAE's random reads", 21700, "DRAMsim3", "four activates' window")   \
    X(ccd_s_ps, 1000, "gem5", 3333, "DRAMsim3", "columns of two groups")                           \
    X(ccd_l_ps, 2000, "gem5", 5000, "DRAMsim3: 6 x tCK", "columns of one group")                   \
    X(wtr_ps, 8000, "recalled", 7500, "recalled", "written data to read column")                   \
    X(rtw_ps, 5000, "recalled", 5000, "recalled", "bus idle from read to write")                   \
    X(refi_ps, 3900000, "PG276", 7800000, "DRAMsim3", "a refresh each")                            \
    X(rfc_ps, 260000, "DRAMsim3, 4H", 350000, "DRAMsim3", "a refresh takes")                       \
    X(window, 32, "own choice", 32, "own choice", "queued reads, writes to choose of")             \
    X(writes_high, 24, "own choice", 24, "own choice", "queued writes that go before reads")       \
    X(write_age_ps, 600000, "own choice", 600000, "own choice", "or one so old")                   \
    X(wait_ps, 1000000, "own choice", 1000000, "own choice", "open rows wait no longer")           \
    X(path_ps, 89800, "Shuhai: hit less cl and burst", 55500, "recalled, the same way",            \
      "port, controller, PHY")                                                                     \
    X(shell_ps, 60000, "recalled", 60000, "recalled", "shell and clock crossing, if there is one") \
    X(switch_ps, 15556, "recalled: Shuhai, 7 clocks", 0, "no switch", "own group")                 \
    X(hop_ps, 4762, "recalled: Shuhai, 22 over 7", 0, "no switch", "each group further")           \
    X(lateral_links, 2, "PG276", 1, "no switch", "between groups, each way")                       \
    X(port_ps, 2222, "PG276: 256 bit x 450 MHz", 0, "no switch", "32 bytes through a port or link")

typedef struct cst_sim_dram {
#define CST_SIM_DRAM_FIELD(name, hbm2, hbm2_source, ddr4, ddr4_source, what) uint64_t name;
    CST_SIM_DRAM_MAP(CST_SIM_DRAM_FIELD)
#undef CST_SIM_DRAM_FIELD
} cst_sim_dram;

cst_sim_dram cst_sim_dram_hbm2(void); // one pseudo-channel
cst_sim_dram cst_sim_dram_ddr4(void); // DDR4-2400, one channel

// X(name, value, source, what it is): PCIe Gen3 x16 and what the host does.
#define CST_SIM_PCIE_MAP(X)                                                                        \
    X(read_mb_s, 10700, "derived: VAE host_memory, 4 KB to 2 MB", "kernel reads the host")         \
    X(write_mb_s, 11900, "VAE host_memory", "kernel writes the host")                              \
    X(access_ps, 500000, "derived: VAE host_memory", "a kernel's transfer beside its bytes")       \
    X(trip_ps, 1000000, "recalled", "there and back, hidden by transfers under way")               \
    X(to_card_mb_s, 7600, "derived: VAE host_global at 2 MB", "DMA, host to card")                 \
    X(from_card_mb_s, 11900, "VAE host_memory", "DMA, card to host")                               \
    X(descriptor_ps, 13200000, "derived: VAE host_global, 64 B",                                   \
      "a DMA descriptor, driver and all")                                                          \
    X(launch_ps, 50000000, "reported by users of a U55C", "a command's way there and back")        \
    X(command_ps, 2790000, "VAE iops_test_xrt, queued", "between commands that are queued")        \
    X(queue, 64, "own choice", "transfers and commands under way, each kind")

typedef struct cst_sim_pcie_parameters {
#define CST_SIM_PCIE_FIELD(name, value, source, what) uint64_t name;
    CST_SIM_PCIE_MAP(CST_SIM_PCIE_FIELD)
#undef CST_SIM_PCIE_FIELD
} cst_sim_pcie_parameters;

cst_sim_pcie_parameters cst_sim_pcie_gen3x16(void);

// The tables as data, to be printed.
typedef struct cst_sim_parameter {
    const char *model, *name, *source, *what;
    uint64_t value;
} cst_sim_parameter;
size_t cst_sim_parameters(const cst_sim_parameter **out);

#ifdef __cplusplus
}
#endif

#endif
