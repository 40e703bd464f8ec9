// Every allocation of base's memory modules fails once.
#include "nth.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/pages.h"
#include "test.h"

TEST(the_counter_counts_and_fails_exactly_the_nth) {
    void *volatile pieces[4]; // volatile: the compiler may not drop the allocations

    nth_fail_at(3);
    for (int i = 0; i < 4; i++) pieces[i] = malloc(1);
    CHECK_EQ(nth_count(), 4);
    CHECK(nth_end());
    CHECK(pieces[0] && pieces[1] && !pieces[2] && pieces[3]);
    for (int i = 0; i < 4; i++) free(pieces[i]);
    nth_fail_at(1);
    CHECK(!nth_end());
}

static cst_code fill_arena(csti_arena *arena, cst_err *err) {
    void *piece = NULL;
    cst_code code = CST_OK;

    for (int i = 0; i < 10 && code == CST_OK; i++)
        code = csti_arena_alloc(arena, 30000, 8, &piece, err);
    return code;
}

TEST(an_arena_without_memory_is_as_before) {
    uint64_t n;

    for (n = 1;; n++) {
        csti_arena arena;
        cst_err err = {0};
        cst_code code;

        csti_arena_init(&arena, 1 << 20);
        nth_fail_at(n);
        code = fill_arena(&arena, &err);
        if (!nth_end()) {
            CHECK_OK(code);
            csti_arena_release(&arena);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK_EQ(err.code, CST_NO_MEMORY);
        CHECK_EQ(arena.allocated_bytes, (n - 1) * CSTI_ARENA_CHUNK_BYTES);
        CHECK_OK(fill_arena(&arena, NULL));
        csti_arena_release(&arena);
    }
    CHECK_EQ(n, 6);
}

static cst_code fill_buffer(csti_buffer *buffer) {
    cst_code code = CST_OK;

    for (int i = 0; i < 10 && code == CST_OK; i++)
        code = csti_buffer_format(buffer, NULL, "%0500d", i);
    return code;
}

TEST(a_buffer_without_memory_keeps_what_it_has) {
    uint64_t n;

    for (n = 1;; n++) {
        csti_buffer buffer;
        cst_code code;

        csti_buffer_init(&buffer, 1 << 20);
        CHECK_OK(csti_buffer_append(&buffer, "first", 5, NULL));
        nth_fail_at(n);
        code = fill_buffer(&buffer);
        if (!nth_end()) {
            CHECK_OK(code);
            csti_buffer_release(&buffer);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK_BYTES(buffer.bytes, "first", 5);
        CHECK_EQ((buffer.used_bytes - 5) % 500, 0);
        CHECK_OK(csti_buffer_append(&buffer, "more", 4, NULL));
        csti_buffer_release(&buffer);
    }
    CHECK(n > 10);
}

TEST(a_reservation_without_addresses_leaves_the_struct_alone) {
    csti_pages pages = {.pin_errno = 77};
    cst_err err = {0};

    nth_fail_at(1);
    CHECK_CODE(csti_pages_reserve(&pages, 4096, NULL, &err), CST_NO_MEMORY);
    CHECK(nth_end());
    CHECK_EQ(pages.pin_errno, 77);
    CHECK(pages.mapping == NULL);
    CHECK(strstr(err.text, "Cannot allocate memory") != NULL);
    CHECK_OK(csti_pages_reserve(&pages, 4096, NULL, NULL));
    csti_pages_release(&pages);
}

TEST_MAIN
