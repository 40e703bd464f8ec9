#include "stream/producers.h"

#include "test.h"

static csti_producers made(void) {
    csti_producers producers;

    CHECK_OK(csti_producers_open(&producers, 8, NULL));
    return producers;
}

static void note(csti_producers *producers, const char *id, uint64_t seq) {
    CHECK_OK(csti_producers_note(producers, id, (uint32_t)strlen(id), seq, NULL));
}

static const char *text_of(const csti_producers *producers, csti_buffer *out) {
    csti_buffer_init(out, 1 << 20);
    CHECK_OK(csti_producers_write(producers, out, NULL));
    CHECK_OK(csti_buffer_append(out, "", 1, NULL));
    return (const char *)out->bytes;
}

TEST(producers_are_in_the_order_of_their_last_rows) {
    csti_producers producers = made();
    csti_buffer text;

    note(&producers, "a", 1);
    note(&producers, "b", 7);
    note(&producers, "c", 2);
    note(&producers, "a", 5);
    note(&producers, "b", 6); // an older row changes nothing
    CHECK_TEXT(text_of(&producers, &text), "b=7 c=2 a=5");
    CHECK_EQ(producers.count, 3);
    csti_producers_remove(&producers, csti_producers_find(&producers, "c", 1));
    csti_buffer_release(&text);
    CHECK_TEXT(text_of(&producers, &text), "b=7 a=5");
    csti_buffer_release(&text);
    csti_producers_close(&producers);
}

TEST(text_that_was_written_gives_the_same_producers) {
    csti_producers producers = made(), again = made();
    csti_buffer text, second;
    char id[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "shop-%d", i % 300);
        note(&producers, id, (uint64_t)i + 1);
    }
    (void)text_of(&producers, &text);
    CHECK_OK(csti_producers_read(&again, (const char *)text.bytes, text.used_bytes - 1, NULL));
    CHECK_TEXT(text_of(&again, &second), (const char *)text.bytes);
    csti_buffer_release(&text);
    csti_buffer_release(&second);
    csti_producers_close(&producers);
    csti_producers_close(&again);
}

TEST(one_without_rows_is_in_no_order_and_no_text) {
    csti_producers producers = made();
    csti_producer *quiet = csti_producers_add(&producers, "q", 1);
    csti_buffer text;

    CHECK(quiet);
    CHECK(csti_producers_find(&producers, "q", 1) == quiet);
    CHECK_EQ(producers.count, 0);
    CHECK_TEXT(text_of(&producers, &text), "");
    csti_producers_remove(&producers, quiet);
    CHECK(!csti_producers_find(&producers, "q", 1));
    csti_buffer_release(&text);
    csti_producers_close(&producers);
}

TEST(text_that_is_none_is_refused) {
    static const char *const wrong[] = {
        "a",
        "a=",
        "=1",
        "a=0",
        "a=01",
        "a=1 ",
        " a=1",
        "a=1  b=2",
        "a=x",
        "a b=1",
        "a=-1",
        "a=9223372036854775808",
        "a=99999999999999999999",
        "a=1,b=2",
        "\"=1",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        csti_producers producers = made();
        const cst_code code = csti_producers_read(&producers, wrong[i], strlen(wrong[i]), NULL);

        if (code != CST_PARSE) TEST_FAIL("'%s' gave %d", wrong[i], (int)code);
        csti_producers_close(&producers);
    }
}

TEST(an_id_is_1_to_64_letters_digits_and_four_signs) {
    char longest[CSTI_PRODUCER_ID_BYTES_MAX + 1];

    memset(longest, 'x', sizeof longest);
    CHECK(csti_producer_id_is_good("aZ09._:-", 8));
    CHECK(csti_producer_id_is_good(longest, CSTI_PRODUCER_ID_BYTES_MAX));
    CHECK(!csti_producer_id_is_good(longest, CSTI_PRODUCER_ID_BYTES_MAX + 1));
    CHECK(!csti_producer_id_is_good("", 0));
    CHECK(!csti_producer_id_is_good("a b", 3));
    CHECK(!csti_producer_id_is_good("\xc3\xa9", 2));
}

TEST_MAIN
