// How many pages of an LMDB map an epoch may take: never more than there are, and not far fewer.
#include "state/lmdb_room.h"
#include "test.h"

static csti_lmdb_room room;

TEST(changes_of_a_small_tree_go_on_for_ever) {
    csti_lmdb_room_begin(&room, 16000);
    for (int i = 0; i < 1000000; i++) CHECK(csti_lmdb_room_take(&room, 12, 0, 700));
}

TEST(a_growing_tree_fills_most_of_the_map_and_no_more) {
    uint64_t tree = 1;

    csti_lmdb_room_begin(&room, 16000);
    while (csti_lmdb_room_take(&room, 12, 0, tree)) tree++;
    CHECK(tree > 12000);
    CHECK(tree < 16000);
}

TEST(values_of_their_own_pages_are_counted_one_by_one) {
    int changes = 0;

    csti_lmdb_room_begin(&room, 1000);
    while (csti_lmdb_room_take(&room, 30, 18, 40)) changes++;
    CHECK(changes <= 1000 / 18);
    CHECK(changes >= 1000 / 30);
}

TEST(what_is_larger_than_the_room_does_not_fit_and_counts_nothing) {
    csti_lmdb_room_begin(&room, 100);
    CHECK(!csti_lmdb_room_take(&room, 101, 90, 1));
    CHECK(csti_lmdb_room_take(&room, 100, 0, 1));
    csti_lmdb_room_begin(&room, 0);
    CHECK(!csti_lmdb_room_take(&room, 1, 0, 1));
}

TEST(without_a_bound_everything_fits) {
    csti_lmdb_room_begin(&room, UINT64_MAX);
    for (int i = 0; i < 1000; i++) CHECK(csti_lmdb_room_take(&room, UINT64_C(1) << 40, 1 << 20, 1));
}

// A transaction as LMDB has it: pages that changes loosen are taken again first, except what values
// left and what was loosened inside.
TEST(random_epochs_never_take_more_pages_than_there_are) {
    for (int epoch = 0; epoch < 2000; epoch++) {
        const uint64_t pages = 1 + test_random_below(4000);
        const uint64_t grows = test_random_below(10), shrinks = test_random_below(10);
        uint64_t taken = 0, tree = 0, loose = 0;

        csti_lmdb_room_begin(&room, pages);
        for (int change = 0; change < 1000; change++) {
            const uint64_t own = test_random_below(16) == 0 ? test_random_below(40) : 0;
            const uint64_t most = 2 * (2 + test_random_below(4)) + 2;
            const uint64_t wanted = test_random_below(10) < grows ? test_random_below(most + 1) : 0;
            const uint64_t again = loose < wanted ? loose : wanted;
            uint64_t loosened = 0;

            if (!csti_lmdb_room_take(&room, most + own, own, tree)) {
                if (taken + most + own > pages) break;
                csti_lmdb_room_took_inside(&room, most + own);
                taken += wanted + own;
                tree += wanted;
                continue;
            }
            loose -= again;
            taken += wanted - again + own;
            tree += wanted;
            if (test_random_below(10) < shrinks) loosened = test_random_below(tree + 1) / 4;
            tree -= loosened;
            loose += loosened;
            CHECK(taken <= pages);
        }
    }
}

TEST_MAIN
