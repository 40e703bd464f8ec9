#include "base/random.h"
#include "test.h"

// The first outputs of splitmix64 for seed 1234567, as published with the reference code.
TEST(the_simulated_stream_is_splitmix64) {
    static const uint64_t wanted[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                      UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                      UINT64_C(16408922859458223821)};
    csti_random_sim sim;

    csti_random_sim_init(&sim, 1234567);
    for (size_t i = 0; i < 5; i++) CHECK_EQ(csti_random_sim_next(&sim), wanted[i]);
}

TEST(fill_gives_the_stream_in_little_endian) {
    static const uint8_t wanted[] = {0x85, 0xfc, 0x08, 0xfb, 0x17, 0xd0, 0x9e, 0x59, 0xa5};
    csti_random_sim sim;
    uint8_t got[9];

    csti_random_sim_init(&sim, 1234567);
    CHECK_OK(csti_random_fill(&sim.random, got, sizeof got, NULL));
    CHECK_BYTES(got, wanted, sizeof wanted);
}

TEST(the_same_seed_gives_the_same_bytes_however_they_are_asked_for) {
    csti_random_sim one, other;
    uint8_t whole[64], parts[64];

    csti_random_sim_init(&one, 42);
    csti_random_sim_init(&other, 42);
    CHECK_OK(csti_random_fill(&one.random, whole, 64, NULL));
    CHECK_OK(csti_random_fill(&other.random, parts, 8, NULL));
    CHECK_OK(csti_random_fill(&other.random, parts + 8, 56, NULL));
    CHECK_BYTES(whole, parts, 64);
}

TEST(fill_writes_not_a_byte_more_than_asked) {
    csti_random_sim sim;
    uint8_t bytes[16];

    csti_random_sim_init(&sim, 1);
    memset(bytes, 0x5a, sizeof bytes);
    CHECK_OK(csti_random_fill(&sim.random, bytes, 3, NULL));
    for (size_t i = 3; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0x5a);
    CHECK_OK(csti_random_fill(&sim.random, bytes, 0, NULL));
    CHECK_OK(csti_random_fill(csti_random_real(), bytes + 4, 3, NULL));
    for (size_t i = 7; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0x5a);
}

// 1000 bytes take several system calls; 16 bytes equal in both would be an accident of 2^-128.
TEST(the_real_one_fills_all_of_a_long_buffer_and_never_twice_the_same) {
    uint8_t one[1000] = {0}, other[1000] = {0};

    CHECK_OK(csti_random_fill(csti_random_real(), one, sizeof one, NULL));
    CHECK_OK(csti_random_fill(csti_random_real(), other, sizeof other, NULL));
    for (size_t i = 0; i + 16 <= sizeof one; i += 16) {
        static const uint8_t zero[16];
        CHECK(memcmp(one + i, zero, 16) != 0);
        CHECK(memcmp(one + i, other + i, 16) != 0);
    }
}

TEST_MAIN
