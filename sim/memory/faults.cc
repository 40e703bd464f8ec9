// faults.cc: rules against beats.
#include "memory/faults.hpp"

namespace cst_sim {

void Faults::open(uint64_t seed, uint32_t beat_bytes) {
    random_ = Random(seed);
    beat_bytes_ = beat_bytes;
}

bool Faults::add(const cst_sim_fault &fault) {
    if (count_ == CST_SIM_FAULTS_MAX) return false;
    rules_[count_++] = {fault, 0, 0};
    return true;
}

bool Faults::applies(Rule *rule, bool write, uint32_t port, uint64_t address) {
    const cst_sim_fault &fault = rule->fault;

    if (!(write ? fault.writes : fault.reads)) return false;
    if (fault.port >= 0 && (uint32_t)fault.port != port) return false;
    if (fault.to != 0 && (address + beat_bytes_ <= fault.from || address >= fault.to)) return false;
    if (fault.count != 0 && rule->hits == fault.count) return false;
    if (rule->matched++ < fault.skip) return false;
    if (fault.one_in > 1 && random_.below(fault.one_in) != 0) return false;
    rule->hits++;
    return true;
}

bool Faults::find(bool write, uint32_t port, uint16_t id, uint64_t address, uint64_t cycle,
                  cst_sim_injected *injected) {
    for (uint32_t i = 0; i < count_; i++) {
        if (!applies(&rules_[i], write, port, address)) continue;
        const cst_sim_fault_kind kind = rules_[i].fault.kind;
        const uint32_t bit =
            kind == CST_SIM_FAULT_CORRUPT ? (uint32_t)random_.below(8 * beat_bytes_) : 0;

        *injected = {kind, write, id, port, address, cycle, bit};
        if (injected_ < list_.size()) list_[injected_] = *injected;
        injected_++;
        return true;
    }
    return false;
}

} // namespace cst_sim
