#include "test.h"

#include "object/s3_blocks.h"

#include <string.h>

enum { MIB = 1 << 20 };

TEST(a_block_that_was_given_back_is_the_next_of_its_size) {
    csti_s3_blocks blocks;
    uint8_t *first, *smaller, *larger;

    csti_s3_blocks_open(&blocks);
    first = csti_s3_block_take(&blocks, 8 * MIB);
    memset(first, 1, 8 * MIB);
    csti_s3_block_give(&blocks, first, 8 * MIB);
    CHECK_EQ(blocks.spares_bytes, 8 * MIB);
    larger = csti_s3_block_take(&blocks, 8 * MIB + 1);
    CHECK(larger != first);
    smaller = csti_s3_block_take(&blocks, 4 * MIB); // half of it would lie idle
    CHECK(smaller != first);
    CHECK(csti_s3_block_take(&blocks, 7 * MIB) == first);
    CHECK_EQ(blocks.spares_bytes, 0);
    memset(first, 2, 7 * MIB);
    csti_s3_block_give(&blocks, first, 7 * MIB);
    csti_s3_block_give(&blocks, larger, 8 * MIB + 1);
    csti_s3_block_give(&blocks, smaller, 4 * MIB);
    CHECK_EQ(blocks.spares_count, 3);
    csti_s3_blocks_close(&blocks);
}

TEST(what_is_kept_has_a_bound) {
    csti_s3_blocks blocks;
    uint8_t *taken[2 * CSTI_S3_SPARES_MAX];

    csti_s3_blocks_open(&blocks);
    for (int i = 0; i < 2 * CSTI_S3_SPARES_MAX; i++)
        taken[i] = csti_s3_block_take(&blocks, 3 * MIB);
    for (int i = 0; i < 2 * CSTI_S3_SPARES_MAX; i++) csti_s3_block_give(&blocks, taken[i], 3 * MIB);
    CHECK_EQ(blocks.spares_count, CSTI_S3_SPARES_MAX);
    for (int i = 0; i < 3; i++) taken[i] = csti_s3_block_take(&blocks, 60 * MIB);
    for (int i = 0; i < CSTI_S3_SPARES_MAX; i++)
        taken[3 + i] = csti_s3_block_take(&blocks, 3 * MIB);
    CHECK_EQ(blocks.spares_count, 0);
    for (int i = 0; i < 3; i++) csti_s3_block_give(&blocks, taken[i], 60 * MIB);
    CHECK_EQ(blocks.spares_bytes, 120 * MIB);
    for (int i = 0; i < CSTI_S3_SPARES_MAX; i++) csti_s3_block_give(&blocks, taken[3 + i], 3 * MIB);
    CHECK(blocks.spares_bytes <= CSTI_S3_SPARE_BYTES);
    csti_s3_blocks_close(&blocks);
}

TEST(small_ones_and_none_are_let_go) {
    csti_s3_blocks blocks;

    csti_s3_blocks_open(&blocks);
    csti_s3_block_give(&blocks, csti_s3_block_take(&blocks, 4096), 4096);
    csti_s3_block_give(&blocks, NULL, 8 * MIB);
    CHECK_EQ(blocks.spares_count, 0);
    csti_s3_blocks_close(&blocks);
}

TEST_MAIN
