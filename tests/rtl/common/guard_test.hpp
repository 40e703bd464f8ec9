// guard_test.hpp: what the benches of both guards share: bursts, pages, when silence is told.
#ifndef CST_RTL_GUARD_TEST_HPP
#define CST_RTL_GUARD_TEST_HPP

#include "axi.hpp"

enum : uint32_t {
    GuardBeatBytes = 8,
    GuardPages = 1 << 22,    // of the address space: 34 bits
    GuardSilenceClocks = 32, // the models' SilenceBits is 5,
    GuardOwedMost = 7,       // their OwedBits 3
};

struct GuardBurst {
    uint64_t address = 0;
    uint32_t len = 0; // beats - 1, as AxLEN
};

// The pages that may be asked for: few, so that bursts often lie at their edges.
class GuardRange {
  public:
    static GuardRange drawn() {
        const uint32_t count = 1 + uint32_t(test_random_below(3));
        const uint32_t at = uint32_t(test_random_below(GuardPages - count));
        const uint32_t firsts[] = {0, GuardPages - count, at, at};

        return GuardRange(firsts[test_random_below(4)], count);
    }

    uint32_t first() const { return first_; }
    uint32_t end() const { return first_ + count_; }
    bool holds(uint64_t address) const {
        return address / 4096 >= first_ && address / 4096 < first_ + count_;
    }

    GuardBurst inside() const { return in_page(first_ + test_random_below(count_)); }
    GuardBurst outside() const {
        const uint64_t below = (first_ + GuardPages - 1) % GuardPages; // or the last of all
        const uint64_t pages[] = {below, end() % GuardPages, end() % GuardPages,
                                  (end() + test_random_below(GuardPages - count_)) % GuardPages};

        return in_page(pages[test_random_below(4)]);
    }

  private:
    GuardRange(uint32_t first, uint32_t count) : first_(first), count_(count) {}

    static GuardBurst in_page(uint64_t page) {
        const uint32_t beats = 4096 / GuardBeatBytes;
        const uint32_t at = uint32_t(test_random_below(beats));
        const uint32_t most = std::min(beats - at, 1u << test_random_below(6));

        return {page * 4096 + uint64_t(at) * GuardBeatBytes, uint32_t(test_random_below(most))};
    }

    uint32_t first_, count_;
};

// Clocks in which memory owed something and moved nothing; whether this one tells of them.
class GuardSilence {
  public:
    bool tells(bool owes, bool moved) {
        const bool told = clocks_ == GuardSilenceClocks;

        clocks_ = told || moved || !owes ? 0 : clocks_ + 1;
        told_count += told;
        return told;
    }
    uint32_t told_count = 0;

  private:
    uint32_t clocks_ = 0;
};

// Of all beats one in `chance` is answered with an error; of 0 none.
inline std::function<uint8_t(uint64_t, bool)> guard_errors(uint32_t chance) {
    return [chance](uint64_t, bool) {
        if (chance == 0 || test_random_below(chance) != 0) return uint8_t(AxiOkay);
        return uint8_t(AxiExokay + test_random_below(3));
    };
}

#endif
