// When no memory is there, no row of the block is kept, and what was kept stays.
#include "nth.h"

#include "unit/stream/stored_rows.h"

TEST(a_failed_allocation_keeps_what_was_kept) {
    for (uint64_t n = 1;; n++) {
        csti_channel *channel = blocks_open(&SHAPE);
        csti_block *block = csti_channel_block(channel);
        csti_stored_rows rows;
        cst_code code = CST_OK;
        uint64_t kept = 0;

        for (int r = 0; r < ROWS_COUNT; r++) block_put(block, &ROWS[r]);
        csti_stored_begin(&rows, &SHAPE, 0, BYTES_MAX);
        nth_fail_at(n);
        for (int i = 0; i < 20 && code == CST_OK; i++) {
            code = csti_stored_put(&rows, block, NULL);
            kept += code == CST_OK ? ROWS_COUNT : 0;
        }
        const bool failed = nth_end();
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        CHECK_EQ(rows.rows_count, kept);
        csti_stored_end(&rows);
        csti_channel_recycle(channel, block);
        csti_channel_close(channel);
        if (!failed) break;
        CHECK(n < 20);
    }
}

TEST_MAIN
