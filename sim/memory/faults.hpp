// faults.hpp: which beats go wrong, and a list of those that did.
//
// Promises   without rules a beat costs one compare.
#ifndef CST_SIM_FAULTS_HPP
#define CST_SIM_FAULTS_HPP

#include "memory/line.hpp"

#include <array>

namespace cst_sim {

class Faults {
  public:
    void open(uint64_t seed, uint32_t beat_bytes);
    bool add(const cst_sim_fault &fault); // false: full
    void clear() { count_ = 0; }
    // What happens to this beat: fills *injected, its bit included, and notes it. False: nothing.
    bool hit(bool write, uint32_t port, uint16_t id, uint64_t address, uint64_t cycle,
             cst_sim_injected *injected) {
        return count_ != 0 && find(write, port, id, address, cycle, injected);
    }
    uint64_t injected(const cst_sim_injected **list_out) const {
        *list_out = list_.data();
        return injected_;
    }

  private:
    struct Rule {
        cst_sim_fault fault;
        uint64_t matched, hits;
    };
    bool find(bool write, uint32_t port, uint16_t id, uint64_t address, uint64_t cycle,
              cst_sim_injected *injected);
    bool applies(Rule *rule, bool write, uint32_t port, uint64_t address);

    std::array<Rule, CST_SIM_FAULTS_MAX> rules_{};
    uint32_t count_ = 0;
    uint32_t beat_bytes_ = 0;
    Random random_;
    std::array<cst_sim_injected, CST_SIM_INJECTED_MAX> list_{};
    uint64_t injected_ = 0;
};

} // namespace cst_sim

#endif
