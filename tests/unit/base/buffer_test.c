#include "base/buffer.h"
#include "test.h"

TEST(appended_bytes_come_out_in_order) {
    csti_buffer buffer;
    uint8_t wanted[20000];
    size_t wanted_bytes = 0;

    csti_buffer_init(&buffer, 1 << 20);
    while (wanted_bytes < 19000) {
        const size_t bytes = test_random_below(1000);
        for (size_t i = 0; i < bytes; i++) wanted[wanted_bytes + i] = (uint8_t)test_random();
        CHECK_OK(csti_buffer_append(&buffer, wanted + wanted_bytes, bytes, NULL));
        wanted_bytes += bytes;
    }
    CHECK_EQ(buffer.used_bytes, wanted_bytes);
    CHECK_BYTES(buffer.bytes, wanted, wanted_bytes);
    csti_buffer_release(&buffer);
}

TEST(it_fills_to_its_maximum_and_not_a_byte_more) {
    csti_buffer buffer;
    cst_err err = {0};

    csti_buffer_init(&buffer, 1000);
    for (int i = 0; i < 1000; i++) CHECK_OK(csti_buffer_append(&buffer, "x", 1, NULL));
    CHECK_EQ(buffer.capacity_bytes, 1000);
    CHECK_CODE(csti_buffer_append(&buffer, "x", 1, &err), CST_LIMIT);
    CHECK_TEXT(err.text, "buffer: 1 bytes more than 1000 of at most 1000");
    CHECK_EQ(buffer.used_bytes, 1000);
    CHECK_CODE(csti_buffer_reserve(&buffer, SIZE_MAX, NULL), CST_LIMIT);
    csti_buffer_release(&buffer);
}

TEST(reserved_room_may_be_written_by_the_caller) {
    csti_buffer buffer;

    csti_buffer_init(&buffer, 100000);
    CHECK_OK(csti_buffer_append(&buffer, "ab", 2, NULL));
    CHECK_OK(csti_buffer_reserve(&buffer, 50000, NULL));
    memset(buffer.bytes + buffer.used_bytes, 'c', 50000);
    buffer.used_bytes += 50000;
    CHECK_BYTES(buffer.bytes, "abcc", 4);
    csti_buffer_release(&buffer);
}

TEST(format_appends_text_of_any_length_without_its_zero) {
    csti_buffer buffer;
    char longer[2001];

    memset(longer, 'y', 2000);
    longer[2000] = '\0';
    csti_buffer_init(&buffer, 2010);
    CHECK_OK(csti_buffer_format(&buffer, NULL, "n=%d ", 42));
    CHECK_OK(csti_buffer_format(&buffer, NULL, "%s", longer));
    CHECK_EQ(buffer.used_bytes, 2005);
    CHECK_BYTES(buffer.bytes, "n=42 yyyy", 9);
    CHECK_OK(csti_buffer_format(&buffer, NULL, "%s", "12345"));
    CHECK_CODE(csti_buffer_format(&buffer, NULL, "%s", "6"), CST_LIMIT);
    CHECK_CODE(csti_buffer_format(&buffer, NULL, "%s", longer), CST_LIMIT);
    CHECK_EQ(buffer.used_bytes, 2010);
    csti_buffer_release(&buffer);
}

TEST(reset_keeps_the_memory_and_take_gives_it_away) {
    csti_buffer buffer;
    uint8_t *bytes;

    csti_buffer_init(&buffer, 1000);
    CHECK_OK(csti_buffer_append(&buffer, "abc", 3, NULL));
    bytes = buffer.bytes;
    csti_buffer_reset(&buffer);
    CHECK_OK(csti_buffer_append(&buffer, "de", 2, NULL));
    CHECK(buffer.bytes == bytes);
    bytes = csti_buffer_take(&buffer);
    CHECK_BYTES(bytes, "de", 2);
    CHECK(buffer.bytes == NULL);
    CHECK_EQ(buffer.used_bytes, 0);
    CHECK(csti_buffer_take(&buffer) == NULL);
    free(bytes);
    CHECK_OK(csti_buffer_append(&buffer, "f", 1, NULL));
    csti_buffer_release(&buffer);
    csti_buffer_release(&buffer);
}

TEST_MAIN
