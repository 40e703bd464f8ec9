// The one allocation of published aggregates fails, and there is none after it.
#include "nth.h"

#include "stream/published.h"
#include "test.h"

TEST(published_aggregates_without_memory_leave_nothing_behind) {
    const cst_program counter = {
        .value_bytes = 8,
        .accumulators_count = 1,
        .presence_offset = CST_NO_OFFSET,
        .accumulators = {{.op = CST_COUNT, .number = CST_U64, .source = CST_NO_COLUMN}}};
    csti_published *published = NULL;
    csti_published_view view;
    uint64_t count = 5;

    nth_fail_at(1);
    CHECK_CODE(csti_published_open(&counter, 64, &published, NULL), CST_NO_MEMORY);
    CHECK(nth_end());
    CHECK(!published);
    CHECK_OK(csti_published_open(&counter, 64, &published, NULL));
    nth_fail_at(0);
    csti_published_write(published, 3, &(csti_published_mark){.epoch = 1}, (const uint8_t *)&count);
    CHECK_OK(csti_published_merge(published, (uint8_t *)&count, &view));
    CHECK_EQ(nth_count(), 0);
    csti_published_close(published);
}

TEST_MAIN
