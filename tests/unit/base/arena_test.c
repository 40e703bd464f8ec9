#include "base/arena.h"
#include "test.h"

TEST(pieces_are_aligned_apart_and_stay) {
    enum { PIECES_COUNT = 500 };
    csti_arena arena;
    uint8_t *pieces[PIECES_COUNT];
    size_t sizes[PIECES_COUNT];

    csti_arena_init(&arena, 64 << 20);
    for (int i = 0; i < PIECES_COUNT; i++) {
        const size_t alignment = (size_t)1 << test_random_below(13);
        void *piece = NULL;
        sizes[i] = test_random_below(5000);
        CHECK_OK(csti_arena_alloc(&arena, sizes[i], alignment, &piece, NULL));
        CHECK_EQ((uintptr_t)piece % alignment, 0);
        pieces[i] = piece;
        memset(pieces[i], i & 0xff, sizes[i]);
    }
    for (int i = 0; i < PIECES_COUNT; i++)
        for (size_t at = 0; at < sizes[i]; at++) CHECK_EQ(pieces[i][at], i & 0xff);
    csti_arena_release(&arena);
}

TEST(the_maximum_is_a_typed_error_and_smaller_ones_still_fit) {
    csti_arena arena;
    void *piece = NULL;
    cst_err err = {0};

    csti_arena_init(&arena, 1000);
    CHECK_CODE(csti_arena_alloc(&arena, 1000, 1, &piece, &err), CST_LIMIT);
    CHECK_TEXT(err.text, "arena: 1000 bytes more than 0 of at most 1000");
    CHECK(piece == NULL);
    CHECK_OK(csti_arena_alloc(&arena, 500, 1, &piece, NULL));
    CHECK_EQ(arena.allocated_bytes, 1000);
    CHECK_CODE(csti_arena_alloc(&arena, 500, 1, &piece, NULL), CST_LIMIT);
    CHECK_OK(csti_arena_alloc(&arena, 400, 1, &piece, NULL));
    CHECK_CODE(csti_arena_alloc(&arena, SIZE_MAX, 1, &piece, NULL), CST_LIMIT);
    csti_arena_release(&arena);
}

TEST(what_is_allocated_never_exceeds_the_maximum) {
    csti_arena arena;
    void *piece = NULL;

    csti_arena_init(&arena, 200000);
    for (int i = 0; i < 1000; i++) {
        const cst_code code = csti_arena_alloc(&arena, test_random_below(3000), 8, &piece, NULL);
        CHECK(code == CST_OK || code == CST_LIMIT);
        CHECK(arena.allocated_bytes <= 200000);
    }
    csti_arena_release(&arena);
}

TEST(a_piece_larger_than_a_chunk_gets_its_own) {
    csti_arena arena;
    void *piece = NULL;

    csti_arena_init(&arena, 1 << 20);
    CHECK_OK(csti_arena_alloc(&arena, 300000, 4096, &piece, NULL));
    memset(piece, 1, 300000);
    CHECK_EQ((uintptr_t)piece % 4096, 0);
    csti_arena_release(&arena);
}

TEST(reset_gives_all_but_one_chunk_back_and_the_memory_again) {
    csti_arena arena;
    void *piece = NULL;

    csti_arena_init(&arena, 1 << 20);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 5; i++) CHECK_OK(csti_arena_alloc(&arena, 40000, 8, &piece, NULL));
        csti_arena_reset(&arena);
        CHECK_EQ(arena.allocated_bytes, CSTI_ARENA_CHUNK_BYTES);
    }
    csti_arena_release(&arena);
    CHECK_EQ(arena.allocated_bytes, 0);
    csti_arena_reset(&arena);
    csti_arena_release(&arena);
}

TEST_MAIN
