#include "base/bytes.h"
#include "test.h"

static const uint8_t up[17] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xf0,
                               0xe1, 0xd2, 0xc3, 0xb4, 0xa5, 0x96, 0x87, 0x78};

TEST(little_endian_loads_take_the_first_byte_as_the_lowest) {
    CHECK_EQ(csti_load_le16(up), 0x2301);
    CHECK_EQ(csti_load_le32(up), 0x67452301);
    CHECK_EQ(csti_load_le64(up), 0xefcdab8967452301);
    CHECK_EQ((uint64_t)csti_load_le128(up), 0xefcdab8967452301);
    CHECK_EQ((uint64_t)(csti_load_le128(up) >> 64), 0x8796a5b4c3d2e1f0);
}

TEST(big_endian_loads_take_the_first_byte_as_the_highest) {
    CHECK_EQ(csti_load_be16(up), 0x0123);
    CHECK_EQ(csti_load_be32(up), 0x01234567);
    CHECK_EQ(csti_load_be64(up), 0x0123456789abcdef);
    CHECK_EQ((uint64_t)(csti_load_be128(up) >> 64), 0x0123456789abcdef);
    CHECK_EQ((uint64_t)csti_load_be128(up), 0xf0e1d2c3b4a59687);
}

TEST(loads_work_at_odd_addresses) {
    CHECK_EQ(csti_load_be64(up + 1), 0x23456789abcdeff0);
    CHECK_EQ((uint64_t)csti_load_be128(up + 1), 0xe1d2c3b4a5968778);
}

#define CHECK_STORE(name)                                                                          \
    do {                                                                                           \
        uint8_t to[18];                                                                            \
        memset(to, 0x5a, sizeof to);                                                               \
        csti_store_##name(to + 1, csti_load_##name(up));                                           \
        CHECK_EQ(to[0], 0x5a);                                                                     \
        CHECK_BYTES(to + 1, up, sizeof csti_load_##name(up));                                      \
        CHECK_EQ(to[1 + sizeof csti_load_##name(up)], 0x5a);                                       \
    } while (0)

TEST(a_store_gives_back_the_bytes_of_a_load_and_no_more) {
    CHECK_STORE(le16);
    CHECK_STORE(le32);
    CHECK_STORE(le64);
    CHECK_STORE(le128);
    CHECK_STORE(be16);
    CHECK_STORE(be32);
    CHECK_STORE(be64);
    CHECK_STORE(be128);
}

TEST_MAIN
