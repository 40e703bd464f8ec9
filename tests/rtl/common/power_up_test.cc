// model: power_up power_up_bench
#include "bench.hpp"

#include <Vpower_up.h>

// In which clock it ends hangs on what was in its register: power_up_test.py has to notice.
TEST(a_module_whose_clocks_hang_on_what_it_powers_up_with) {
    Bench<Vpower_up> bench;
    Sink<uint64_t> out(
        bench, bench->out_valid_o, bench->out_ready_i, [] { return 0; }, Stalls::drawn("out"));

    bench.reset();
    bench.run_until([&] { return out.items.size() == 20; });
}

TEST_MAIN
