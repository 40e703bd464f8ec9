// parameters.cc: the tables of parameters.h as values and as lists.
#include "memory/parameters.h"

cst_sim_dram cst_sim_dram_hbm2(void) {
#define CST_SIM_VALUE(name, hbm2, hbm2_source, ddr4, ddr4_source, what) hbm2,
    return {CST_SIM_DRAM_MAP(CST_SIM_VALUE)};
#undef CST_SIM_VALUE
}

cst_sim_dram cst_sim_dram_ddr4(void) {
#define CST_SIM_VALUE(name, hbm2, hbm2_source, ddr4, ddr4_source, what) ddr4,
    return {CST_SIM_DRAM_MAP(CST_SIM_VALUE)};
#undef CST_SIM_VALUE
}

cst_sim_pcie_parameters cst_sim_pcie_gen3x16(void) {
#define CST_SIM_VALUE(name, value, source, what) value,
    return {CST_SIM_PCIE_MAP(CST_SIM_VALUE)};
#undef CST_SIM_VALUE
}

size_t cst_sim_parameters(const cst_sim_parameter **out) {
#define CST_SIM_HBM2(name, hbm2, hbm2_source, ddr4, ddr4_source, what)                             \
    {"hbm2", #name, hbm2_source, what, hbm2},
#define CST_SIM_DDR4(name, hbm2, hbm2_source, ddr4, ddr4_source, what)                             \
    {"ddr4", #name, ddr4_source, what, ddr4},
#define CST_SIM_PCIE(name, value, source, what) {"pcie", #name, source, what, value},
    static const cst_sim_parameter table[] = {CST_SIM_DRAM_MAP(CST_SIM_HBM2) CST_SIM_DRAM_MAP(
        CST_SIM_DDR4) CST_SIM_PCIE_MAP(CST_SIM_PCIE)};

    *out = table;
    return sizeof table / sizeof *table;
}
