// Two tables, parted by the length of keys, where the Nth allocation fails.
#include "nth.h"

#include "unit/state/split.h"

// Tables, a block of all lengths, its delta and its release: the code of what failed, if something
// did.
static cst_code work(split_both *both, cst_err *err) {
    cst_command commands[3] = {{.ops = CST_OP_APPLY, .rows = both->blocks[0].rows},
                               {.ops = CST_OP_BARRIER},
                               {.ops = CST_OP_RELEASE, .fixup = true}};
    cst_code code = split_tables_open(both, err);

    for (int c = 0; c < 3 && code == CST_OK; c++) {
        cst_completion done[4];
        uint32_t count = 0;
        bool worked = false;

        code = csti_keeper_submit(both->keepers[1], &commands[c], err);
        if (code == CST_OK)
            code = csti_keeper_poll(both->keepers[1], done, 4, &count, &worked, err);
        if (code != CST_OK) break;
        CHECK_EQ(count, 1);
        code = done[0].code;
        commands[2].release = done[0].delta;
    }
    split_tables_close(both);
    return code;
}

TEST(whichever_allocation_fails_two_tables_say_so_and_leave_nothing) {
    static split_both both;
    cst_err err;
    cst_code code;

    memset(&both, 0, sizeof both);
    CHECK_OK(cst_device_open("cpu:", &both.device, NULL));
    CHECK_OK(cst_queue_open(both.device, NULL, &both.queues[1], NULL));
    rows_draw(&both, &both.blocks[0], 100, UINT64_MAX, 0, 0);
    for (uint64_t n = 1;; n++) {
        CHECK(n < 200);
        nth_fail_at(n);
        code = work(&both, &err);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    cst_queue_close(both.queues[1]);
    cst_device_close(both.device);
}

TEST_MAIN
