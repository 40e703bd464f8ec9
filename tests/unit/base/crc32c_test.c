#include "base/crc32c.h"

#include "base/cpu.h"
#include "test.h"

// The oracle: the definition, a bit at a time.
static uint32_t crc_by_bit(uint32_t crc, const uint8_t *data, size_t bytes) {
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static bool have_sse42(void) {
    return csti_cpu_detect().sse42_pclmul;
}

typedef uint32_t (*crc_function)(uint32_t crc, const void *data, size_t bytes);

// RFC 3720, B.4, and the check value of the Rocksoft catalogue.
static void check_known_answers(crc_function crc) {
    uint8_t bytes[32];
    static const uint8_t read_pdu[48] = {0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                         0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00,
                                         0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00,
                                         0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                         0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};

    memset(bytes, 0, sizeof bytes);
    CHECK_EQ(crc(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    CHECK_EQ(crc(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) bytes[i] = i;
    CHECK_EQ(crc(0, bytes, 32), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
    CHECK_EQ(crc(0, bytes, 32), 0x113fdb5c);
    CHECK_EQ(crc(0, read_pdu, 48), 0xd9963a56);
    CHECK_EQ(crc(0, "123456789", 9), 0xe3069283);
    CHECK_EQ(crc(0, NULL, 0), 0);
    CHECK_EQ(crc(0x12345678, NULL, 0), 0x12345678);
}

TEST(tables_give_the_known_answers) {
    check_known_answers(csti_crc32c_by_table);
}

TEST(hardware_gives_the_known_answers) {
    if (have_sse42()) check_known_answers(csti_crc32c_sse42);
}

TEST(the_dispatched_one_gives_the_known_answers) {
    check_known_answers(csti_crc32c);
}

TEST(tables_and_hardware_equal_the_definition_at_every_length_to_4096) {
    static uint8_t data[4096];
    uint32_t wanted = 0;

    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)test_random();
    for (size_t bytes = 0; bytes <= sizeof data; bytes++) {
        CHECK_EQ(csti_crc32c_by_table(0, data, bytes), wanted);
        if (have_sse42()) CHECK_EQ(csti_crc32c_sse42(0, data, bytes), wanted);
        if (bytes < sizeof data) wanted = crc_by_bit(wanted, data + bytes, 1);
    }
}

// Around the borders of the blocks of three streams, at each of 16 alignments.
TEST(tables_and_hardware_are_equal_at_every_alignment) {
    static const size_t lengths[] = {383, 384, 385, 768, 6143, 6144, 6145, 6528, 20000};
    static uint8_t data[20016];

    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)test_random();
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (size_t at = 0; at < 16; at++) {
            const uint32_t crc = (uint32_t)test_random();
            const uint32_t wanted = crc_by_bit(crc, data + at, lengths[i]);
            CHECK_EQ(csti_crc32c_by_table(crc, data + at, lengths[i]), wanted);
            if (have_sse42()) CHECK_EQ(csti_crc32c_sse42(crc, data + at, lengths[i]), wanted);
        }
}

// Allocated to the byte: a read outside is the sanitizer's catch.
TEST(not_a_byte_outside_is_read) {
    for (size_t bytes = 1; bytes <= 400; bytes++) {
        uint8_t *data = malloc(bytes);
        CHECK(data != NULL);
        memset(data, 0x33, bytes);
        CHECK_EQ(csti_crc32c(0, data, bytes), csti_crc32c_by_table(0, data, bytes));
        free(data);
    }
}

TEST(a_crc_goes_on_where_it_stopped) {
    uint8_t data[1000];

    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)test_random();
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        const uint32_t head = csti_crc32c(0, data, cut);
        CHECK_EQ(csti_crc32c(head, data + cut, sizeof data - cut), csti_crc32c(0, data, 1000));
    }
}

TEST(combine_gives_the_crc_of_both_parts) {
    uint8_t data[1000];

    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)test_random();
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        const uint32_t head = csti_crc32c(0, data, cut);
        const uint32_t tail = csti_crc32c(0, data + cut, sizeof data - cut);
        CHECK_EQ(csti_crc32c_combine(head, tail, sizeof data - cut), csti_crc32c(0, data, 1000));
    }
}

// Doubling by combine reaches lengths that no buffer has: 2^k zero bytes for every k to 63, checked
// against the law combine(a, b + c) == combine(combine(a, b), c).
TEST(combine_is_right_for_lengths_beyond_32_bits) {
    const uint32_t start = UINT32_C(0xdeadbeef);

    for (unsigned bit = 0; bit < 63; bit++) {
        const uint64_t half = UINT64_C(1) << bit;
        const uint32_t twice = csti_crc32c_combine(csti_crc32c_combine(start, 0, half), 0, half);
        CHECK_EQ(csti_crc32c_combine(start, 0, 2 * half), twice);
    }
    CHECK_EQ(csti_crc32c_combine(start, 0, UINT64_MAX),
             csti_crc32c_combine(csti_crc32c_combine(start, 0, UINT64_MAX / 2), 0,
                                 UINT64_MAX / 2 + 1));
}

TEST_MAIN
