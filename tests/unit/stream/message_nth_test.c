// Every allocation of a channel fails once.
#include "nth.h"

#include "stream/message.h"
#include "test.h"

TEST(a_channel_without_memory_leaves_nothing_behind) {
    const csti_block_shape shape = {.rows_capacity = 64,
                                    .key_bytes_max = 40,
                                    .sources_count = 1,
                                    .source_types = {CST_TYPE_I64}};
    uint64_t n;

    for (n = 1;; n++) {
        csti_channel *channel = NULL;
        cst_err err = {0};
        cst_code code;

        nth_fail_at(n);
        code = csti_channel_open(&shape, 4, -1, &channel, &err);
        if (!nth_end()) {
            CHECK_OK(code);
            csti_channel_close(channel);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK(!channel);
        CHECK(err.text[0] != 0);
    }
    CHECK(n > 4);
}

TEST(a_channel_allocates_nothing_once_it_is_open) {
    const csti_block_shape shape = {.rows_capacity = 4, .key_bytes = 8};
    csti_channel *channel = NULL;

    CHECK_OK(csti_channel_open(&shape, 4, -1, &channel, NULL));
    nth_fail_at(0);
    for (int i = 0; i < 100; i++) {
        csti_message message;
        csti_block *block = csti_channel_block(channel);

        block->rows_count = 1;
        csti_channel_send_watermark(channel, i);
        csti_channel_send_rows(channel, block);
        CHECK_OK(csti_channel_send_barrier(channel, (csti_barrier){.id = 1}));
        while (csti_channel_receive(channel, &message))
            if (message.block) csti_channel_recycle(channel, message.block);
    }
    CHECK_EQ(nth_count(), 0);
    csti_channel_close(channel);
}

TEST_MAIN
