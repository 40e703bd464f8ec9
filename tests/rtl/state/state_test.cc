// model: state_small cst_state -GKeySetBits=2 -GKeyWays=2 -GKeyIds=7 -GLineSetBits=2 -GLineWays=2 -GLineIds=6 -GOpDepth=12 -GRowBits=2 -GRowDepth=6
// The state unit and the table's reference do the same, byte for byte, whatever memory does: a unit
// so small that every copy on chip is fought for.
#include "stream.hpp"

#include <Vstate_small.h>

using SmallUnit = Unit<Vstate_small>;

static void small_streams(const StreamKnobs &fixed, uint32_t times) {
    repeat(times, [&] {
        Stream<Vstate_small> stream(fixed);

        for (uint32_t round = 0; round < 6; round++) stream.round(20 + test_random_below(300));
    });
}

TEST(random_streams_leave_the_bytes_of_the_reference) {
    StreamKnobs knobs;

    small_streams(knobs, 200);
}

TEST_MAIN
