// Every allocation of base's helper and ring fails once.
#include "nth.h"

#include "base/helper.h"
#include "base/spsc_ring.h"
#include "test.h"

TEST(a_helper_without_memory_leaves_nothing_behind) {
    uint64_t n;

    for (n = 1;; n++) {
        csti_helper *helper = NULL;
        cst_code code;

        nth_fail_at(n);
        code = csti_helper_open(&helper, NULL);
        if (!nth_end()) {
            CHECK_OK(code);
            csti_helper_close(helper);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK(helper == NULL);
    }
    CHECK_EQ(n, 2);
}

TEST(a_ring_without_memory_is_refused) {
    csti_spsc_ring ring = {.mask = 77};

    nth_fail_at(1);
    CHECK_CODE(csti_spsc_ring_open(&ring, 8, 8, NULL), CST_NO_MEMORY);
    CHECK(nth_end());
    CHECK_EQ(ring.mask, 77);
}

TEST_MAIN
