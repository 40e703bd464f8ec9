// Rows on disk, where the Nth allocation fails.
#include "nth.h"

#include "unit/state/disk.h"

// Two epochs of work: the code of what failed, if something did.
static cst_code work(disk_pair *pair, cst_err *err) {
    const cst_command apply = {.ops = CST_OP_APPLY, .rows = pair->rows};
    const cst_command barrier = {.ops = CST_OP_BARRIER};
    const csti_disk_options options = disk_options();
    csti_disk_rows *rows = NULL;
    cst_completion done[4];
    cst_delta delta = {0};
    cst_code code = csti_disk_rows_open(pair->folder, &options, pair->why, &rows, err);

    if (code != CST_OK) return code;
    code = csti_disk_rows_restore(rows, NULL, 0, &(cst_restore_options){0},
                                  CSTI_DISK_BATCH_ROWS_MIN, pair->why, NULL, err);
    if (code == CST_OK) code = disk_keeper_open(pair, rows, err);
    if (code != CST_OK) {
        csti_disk_rows_close(rows);
        return code;
    }
    for (int epoch = 0; epoch < 2 && code == CST_OK; epoch++) {
        const cst_command *commands[] = {&apply, &barrier};

        for (int c = 0; c < 2 && code == CST_OK; c++) {
            uint32_t count = 0;
            bool worked = false;

            code = csti_keeper_submit(pair->keepers[1], commands[c], err);
            if (code == CST_OK)
                code = csti_keeper_poll(pair->keepers[1], done, 4, &count, &worked, err);
            if (code == CST_OK && done[0].code != CST_OK) code = done[0].code;
            delta = done[0].delta;
        }
        if (code != CST_OK) break;
        const cst_command release = {.ops = CST_OP_RELEASE, .release = delta};
        code = csti_keeper_submit(pair->keepers[1], &release, err);
    }
    csti_keeper_close(pair->keepers[1]); // settles both
    return code;
}

TEST(whichever_allocation_fails_rows_on_disk_say_so_and_leave_nothing) {
    static disk_pair pair;
    cst_err err;
    cst_code code;

    memset(&pair, 0, sizeof pair);
    pair.budget_bytes = DISK_BUDGET;
    block_draw(&pair, DISK_ROWS_MAX, UINT64_MAX, 0);
    for (uint64_t n = 1;; n++) {
        CHECK(n < 200);
        folder_make(pair.folder, sizeof pair.folder);
        nth_fail_at(n);
        code = work(&pair, &err);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
        folder_remove(pair.folder);
    }
    CHECK_OK(code);
    folder_remove(pair.folder);
}

TEST_MAIN
