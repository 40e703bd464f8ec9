// Rows on disk: what a keeper of theirs says and leaves is what a table's does.
#include "unit/state/disk.h"

TEST(any_stream_gives_the_deltas_and_rows_of_a_table) {
    static const uint64_t keys_max[] = {5, 300, 5000};
    static disk_pair pair;

    for (int size = 0; size < 3; size++) {
        cst_delta waiting[3];
        int waiting_count = 0;

        pair_open(&pair, DISK_BUDGET);
        for (int epoch = 0; epoch < 24; epoch++) {
            for (uint64_t block = test_random_below(6); block > 0; block--) {
                block_draw(&pair, 1 + (uint32_t)test_random_below(DISK_ROWS_MAX), keys_max[size],
                           epoch % 3 ? 5 : 0);
                CHECK_OK(pair_apply(&pair));
                CHECK_EQ(stats_of(&pair, 0).rows_count, stats_of(&pair, 1).rows_count);
            }
            waiting[waiting_count++] = pair_seal(&pair);
            if (waiting_count < 3 && test_random_below(2)) continue;
            for (int i = 0; i < waiting_count; i++) pair_release(&pair, &waiting[i]);
            waiting_count = 0;
            if (test_random_below(3) == 0) check_disk(&pair);
        }
        CHECK_EQ(pair.why[0], 0);
        for (int i = 0; i < waiting_count; i++) pair_release(&pair, &waiting[i]);
        check_disk(&pair);
        pair_close(&pair);
    }
}

TEST(a_row_that_overflows_stops_with_nothing_of_it) {
    static disk_pair pair;
    cst_delta delta;

    pair_open(&pair, DISK_BUDGET);
    block_draw(&pair, 10, 4, 0);
    CHECK_OK(pair_apply(&pair));
    delta = pair_seal(&pair);
    pair_release(&pair, &delta);
    block_draw(&pair, 10, 4, 0);
    memset(pair.validity, 0xff, sizeof pair.validity);
    pair.values[6] = UINT64_MAX;
    pair.values[7] = UINT64_MAX;
    pair.keys[7] = pair.keys[6];
    pair.hashes[7] = pair.hashes[6];
    CHECK_CODE(pair_apply(&pair), CST_SUM_OVERFLOW);
    csti_keeper_close(pair.keepers[1]); // halted
    disk_open(&pair);
    pair_close(&pair);
}

TEST(a_key_that_is_too_long_stops_in_front_of_it) {
    static disk_pair pair;
    const uint32_t offsets[] = {0, 8, 17};
    cst_completion done;

    pair_open(&pair, DISK_BUDGET);
    block_draw(&pair, 3, 100, 0);
    pair.rows.rows_count = 2;
    pair.rows.key_stride = pair.rows.key_bytes = 0;
    pair.rows.key_offsets = offsets;
    done = keeper_apply(&pair, 1);
    CHECK_CODE(done.code, CST_KEY_TOO_LONG);
    CHECK(done.stopped);
    CHECK_EQ(done.rows_done, 1);
    CHECK_EQ(stats_of(&pair, 1).rows_count, 1);
    pair_close(&pair);
}

TEST(changes_that_find_no_room_wait_for_a_release) {
    const cst_command barrier = {.ops = CST_OP_BARRIER};
    static disk_pair pair;
    cst_completion done = {.code = CST_OK};
    cst_completion later[4];
    uint32_t count = 0, applied = 0;
    bool worked = false;
    cst_command release;
    cst_delta delta;

    pair_open(&pair, (uint64_t)1 << 20);
    for (int block = 0; block < 6; block++) {
        block_draw(&pair, DISK_ROWS_MAX, UINT64_MAX, 0);
        CHECK_OK(keeper_apply(&pair, 1).code);
    }
    delta = keeper_run(pair.keepers[1], &barrier).delta;
    chain_add(&pair, &delta);
    for (int block = 0; done.code == CST_OK && block < 100; block++) {
        block_draw(&pair, DISK_ROWS_MAX, UINT64_MAX, 0);
        done = keeper_apply(&pair, 1);
    }
    CHECK_CODE(done.code, CST_TABLE_BUDGET);
    CHECK(done.stopped);
    CHECK(csti_keeper_is_idle(pair.keepers[1]));
    CHECK(stats_of(&pair, 1).used_bytes <= (uint64_t)1 << 20);
    applied = done.rows_done;
    CHECK(applied < DISK_ROWS_MAX);
    // Halted, it still lets go of what is committed; then the rest of the block finds its place.
    release = release_of(&pair, &delta);
    CHECK_OK(csti_keeper_submit(pair.keepers[1], &release, NULL));
    for (int turn = 0; count == 0 && turn < 100; turn++)
        CHECK_OK(csti_keeper_poll(pair.keepers[1], later, 4, &count, &worked, NULL));
    CHECK_OK(csti_keeper_retry(pair.keepers[1], NULL));
    CHECK_CODE(csti_keeper_retry(pair.keepers[1], NULL), CST_USAGE);
    CHECK_OK(csti_keeper_poll(pair.keepers[1], later, 4, &count, &worked, NULL));
    CHECK_EQ(count, 1);
    CHECK_OK(later[0].code);
    CHECK_EQ(later[0].rows_done, DISK_ROWS_MAX);
    pair_close(&pair);
}

TEST(ten_times_as_many_keys_as_the_budget_holds_take_no_more_memory) {
    const uint64_t budget = (uint64_t)1 << 20;
    const cst_command barrier = {.ops = CST_OP_BARRIER};
    static disk_pair pair;
    uint64_t key = 0;

    pair_open(&pair, budget);
    // A record takes 128 bytes: ten budgets.
    while (key * 128 < 10 * budget) {
        cst_delta delta;

        for (int block = 0; block < 5; block++) {
            block_draw(&pair, DISK_ROWS_MAX, 1, 0);
            for (uint32_t r = 0; r < DISK_ROWS_MAX; r++)
                cst_key_encode_u64(key++, (uint8_t *)&pair.keys[r]);
            cst_hash_fixed(&TEST_HASH_KEY, pair.rows.keys, 8, 8, DISK_ROWS_MAX, pair.hashes);
            CHECK_OK(keeper_apply(&pair, 1).code);
            CHECK(stats_of(&pair, 1).used_bytes <= budget);
        }
        delta = keeper_run(pair.keepers[1], &barrier).delta;
        chain_add(&pair, &delta);
        pair_release(&pair, &delta);
    }
    CHECK_EQ(stats_of(&pair, 1).rows_count, key);
    pair_close(&pair);
}

// ---- Keys whose time is over --------------------------------------------------------------------

enum { EXPIRE_BUCKETS = 3, TTL = 2000 };

static cst_completion expire_step(disk_pair *pair, int which, uint64_t bucket) {
    const cst_command step = {.ops = CST_OP_EXPIRE,
                              .fixup = true,
                              .table = pair->table,
                              .rows.now_us = pair->now_us,
                              .expire_bucket = bucket,
                              .expire_buckets_count = EXPIRE_BUCKETS};

    return keeper_run(pair->keepers[which], &step);
}

// A whole walk; how many keys were over. One of the deltas settles between two steps, now and then.
static uint64_t expire_all(disk_pair *pair, int which, cst_delta *waiting, int *waiting_count) {
    uint64_t left = stats_of(pair, which).chunks_count * CSTI_CHUNK_BUCKETS;
    uint64_t bucket = 0, expired = 0;

    CHECK(left > 0);
    while (left > 0) {
        const cst_completion done = expire_step(pair, which, bucket);

        CHECK_OK(done.code);
        CHECK(!done.stopped);
        bucket = done.position;
        left -= done.rows_done < left ? done.rows_done : left;
        expired += done.count;
        if (which == 1 && *waiting_count > 0 && test_random_below(8) == 0) {
            pair_release(pair, &waiting[0]);
            memmove(waiting, waiting + 1, (size_t)-- * waiting_count * sizeof *waiting);
        }
    }
    return expired;
}

TEST(keys_that_are_over_go_as_those_of_a_table_do) {
    static const uint64_t keys_max[] = {5, 300, 5000};
    static disk_pair pair;
    uint64_t expired = 0;

    disk_ttl_us = TTL;
    for (int size = 0; size < 3; size++) {
        cst_delta waiting[8];
        int waiting_count = 0;

        pair_open(&pair, DISK_BUDGET);
        for (int epoch = 0; epoch < 40; epoch++) {
            for (uint64_t block = test_random_below(4); block > 0; block--) {
                block_draw(&pair, 1 + (uint32_t)test_random_below(DISK_ROWS_MAX), keys_max[size],
                           epoch % 3 ? 5 : 0);
                CHECK_OK(pair_apply(&pair));
                CHECK_EQ(stats_of(&pair, 0).rows_count, stats_of(&pair, 1).rows_count);
                pair.now_us += (int64_t)test_random_below(TTL / 2);
            }
            if (test_random_below(3) == 0) {
                const uint64_t of_table = expire_all(&pair, 0, waiting, &waiting_count);

                CHECK_EQ(expire_all(&pair, 1, waiting, &waiting_count), of_table);
                CHECK_EQ(stats_of(&pair, 0).rows_count, stats_of(&pair, 1).rows_count);
                expired += of_table;
            }
            waiting[waiting_count++] = pair_seal(&pair);
            if (waiting_count < 6 && test_random_below(2)) continue;
            for (int i = 0; i < waiting_count; i++) pair_release(&pair, &waiting[i]);
            waiting_count = 0;
            if (test_random_below(3) > 0) continue;
            csti_keeper_close(pair.keepers[1]);
            disk_open(&pair);
            CHECK_EQ(stats_of(&pair, 0).rows_count, stats_of(&pair, 1).rows_count);
        }
        for (int i = 0; i < waiting_count; i++) pair_release(&pair, &waiting[i]);
        pair_close(&pair);
    }
    CHECK(expired > 1000);
    disk_ttl_us = CST_TTL_NONE;
}

// Rows that a walk passed before its time moved on are looked at by the one that begins anew.
TEST(a_walk_that_begins_anew_finds_what_is_over_by_then) {
    static disk_pair pair;
    cst_delta delta;
    uint64_t bucket = 0, expired = 0;

    disk_ttl_us = TTL;
    pair_open(&pair, DISK_BUDGET);
    block_draw(&pair, DISK_ROWS_MAX, UINT64_MAX, 0);
    CHECK_OK(pair_apply(&pair));
    delta = pair_seal(&pair);
    pair_release(&pair, &delta);
    for (int step = 0; step < 5; step++) bucket = expire_step(&pair, 1, bucket).position;
    CHECK(bucket > 0);
    pair.now_us += TTL + DISK_TIMES;
    expired = expire_all(&pair, 1, NULL, &(int){0});
    CHECK_EQ(expired, DISK_ROWS_MAX);
    CHECK_EQ(stats_of(&pair, 1).rows_count, 0);
    pair_close(&pair);
    disk_ttl_us = CST_TTL_NONE;
}

TEST(tombstones_that_find_no_room_wait_for_a_release) {
    const uint64_t budget = (uint64_t)1 << 20;
    const cst_command barrier = {.ops = CST_OP_BARRIER};
    static disk_pair pair;
    uint64_t bucket = 0, expired = 0, rows = 0;
    int refused = 0;

    disk_ttl_us = TTL;
    pair_open(&pair, budget);
    for (int epoch = 0; epoch < 6; epoch++) {
        cst_delta delta;

        for (int block = 0; block < 5; block++) {
            block_draw(&pair, DISK_ROWS_MAX, UINT64_MAX, 0);
            CHECK_OK(keeper_apply(&pair, 1).code);
            rows += DISK_ROWS_MAX;
        }
        delta = keeper_run(pair.keepers[1], &barrier).delta;
        chain_add(&pair, &delta);
        pair_release(&pair, &delta);
    }
    pair.now_us += TTL + DISK_TIMES;
    for (bool end = false; !end;) {
        const cst_completion done = expire_step(&pair, 1, bucket);
        cst_delta delta;

        end = done.code == CST_OK && done.position == 0;
        bucket = done.position;
        expired += done.count;
        if (done.code == CST_OK) continue;
        CHECK_CODE(done.code, CST_TABLE_BUDGET);
        CHECK(!done.stopped);
        CHECK(refused++ < 100);
        delta = keeper_run(pair.keepers[1], &barrier).delta;
        chain_add(&pair, &delta);
        pair_release(&pair, &delta);
    }
    CHECK(refused > 0);
    CHECK_EQ(expired, rows);
    CHECK_EQ(stats_of(&pair, 1).rows_count, 0);
    pair_close(&pair);
    disk_ttl_us = CST_TTL_NONE;
}

TEST(batches_are_as_large_as_the_budget_lets_and_no_larger) {
    const uint64_t mib = (uint64_t)1 << 20;

    CHECK_EQ(csti_settle_rows(mib), CSTI_DISK_BATCH_ROWS_MIN);
    CHECK_EQ(csti_settle_rows(16 * mib), 4 * mib / CSTI_DISK_ROW_BYTES);
    CHECK_EQ(csti_settle_rows(1024 * mib), CSTI_SETTLE_ROWS_MAX);
    CHECK_EQ(csti_restore_rows(16 * mib), 16 * mib / CSTI_DISK_ROW_BYTES);
    CHECK_EQ(csti_restore_rows(4096 * mib), CSTI_RESTORE_ROWS_MAX);
}

TEST(an_update_program_that_it_does_not_have_is_refused) {
    csti_keeper_lmdb_options options = {.part = disk_part};
    csti_keeper *keeper = NULL;
    cst_err err;

    options.program = (cst_program){.value_bytes = DISK_VALUE_BYTES};
    CHECK_CODE(csti_keeper_lmdb_open(&options, &keeper, &err), CST_UNSUPPORTED);
    CHECK(strstr(err.text, "replaces"));
}

TEST(a_command_that_it_does_not_have_is_refused) {
    const cst_command scan = {.ops = CST_OP_SCAN};
    const cst_command expire = {.ops = CST_OP_EXPIRE};
    static disk_pair pair;
    cst_err err;

    pair_open(&pair, DISK_BUDGET);
    CHECK_EQ(stats_of(&pair, 1).chunks_count, 0);
    CHECK_CODE(csti_keeper_submit(pair.keepers[1], &scan, &err), CST_UNSUPPORTED);
    CHECK_CODE(csti_keeper_submit(pair.keepers[1], &expire, &err), CST_UNSUPPORTED); // no TTL
    pair_close(&pair);
}

TEST_MAIN
