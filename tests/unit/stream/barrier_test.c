#include "stream/barrier.h"

#include "test.h"

#include <pthread.h>
#include <sched.h>

static csti_barrier_cell cell;

static csti_barrier aligned(uint64_t id, uint64_t epoch) {
    return (csti_barrier){.id = id, .epoch = epoch, .mode = CSTI_BARRIER_ALIGNED};
}

// What belongs to an id, so that a mixture of two injections shows.
static csti_barrier whole(uint64_t id) {
    return (csti_barrier){.id = id,
                          .epoch = id * UINT64_C(0x9e3779b97f4a7c15) >> 16,
                          .mode = (csti_barrier_mode)(id % 3 + 1)};
}

static void check_whole(const csti_barrier *taken) {
    const csti_barrier wanted = whole(taken->id);

    CHECK_EQ(taken->epoch, wanted.epoch);
    CHECK_EQ(taken->mode, wanted.mode);
}

TEST(an_empty_cell_gives_nothing) {
    csti_barrier out = aligned(3, 4);

    csti_barrier_cell_init(&cell);
    CHECK(!csti_barrier_pending(&cell));
    CHECK(!csti_barrier_take(&cell, &out));
    CHECK_EQ(out.id, 3);
    CHECK(!csti_barrier_withdraw(&cell, 0));
    CHECK(!csti_barrier_withdraw(&cell, 3));
}

TEST(a_barrier_is_taken_once_and_whole) {
    const csti_barrier widest = {UINT64_MAX, CSTI_EPOCH_LIMIT - 1, CSTI_BARRIER_UNALIGNED};
    csti_barrier out = {0};
    uint64_t pending_id = 0;

    csti_barrier_cell_init(&cell);
    CHECK_OK(csti_barrier_inject(&cell, aligned(1, 0), &pending_id));
    CHECK(csti_barrier_pending(&cell));
    CHECK(csti_barrier_take(&cell, &out));
    CHECK_EQ(out.id, 1);
    CHECK_EQ(out.epoch, 0);
    CHECK_EQ(out.mode, CSTI_BARRIER_ALIGNED);
    CHECK(!csti_barrier_pending(&cell));
    CHECK(!csti_barrier_take(&cell, &out));

    CHECK_OK(csti_barrier_inject(&cell, widest, &pending_id));
    CHECK(csti_barrier_take(&cell, &out));
    CHECK_EQ(out.id, UINT64_MAX);
    CHECK_EQ(out.epoch, CSTI_EPOCH_LIMIT - 1);
    CHECK_EQ(out.mode, CSTI_BARRIER_UNALIGNED);
}

TEST(a_pending_barrier_makes_the_cell_busy_and_says_its_id) {
    csti_barrier out = {0};
    uint64_t pending_id = 0;

    csti_barrier_cell_init(&cell);
    CHECK_OK(csti_barrier_inject(&cell, aligned(7, 1), &pending_id));
    CHECK_CODE(csti_barrier_inject(&cell, aligned(8, 2), &pending_id), CST_BARRIER_BUSY);
    CHECK_EQ(pending_id, 7);
    CHECK_CODE(csti_barrier_inject(&cell, aligned(7, 1), &pending_id), CST_BARRIER_BUSY);
    CHECK_EQ(atomic_load(&cell.busy_count), 2);
    CHECK(csti_barrier_take(&cell, &out));
    CHECK_EQ(out.id, 7);
    CHECK_EQ(out.epoch, 1);
    CHECK_OK(csti_barrier_inject(&cell, aligned(8, 2), &pending_id));
}

TEST(id_0_an_epoch_of_2_48_and_an_unknown_mode_are_refused) {
    uint64_t pending_id = 0;

    csti_barrier_cell_init(&cell);
    CHECK_CODE(csti_barrier_inject(&cell, aligned(0, 1), &pending_id), CST_USAGE);
    CHECK_CODE(csti_barrier_inject(&cell, aligned(1, CSTI_EPOCH_LIMIT), &pending_id), CST_USAGE);
    CHECK_CODE(csti_barrier_inject(&cell, aligned(1, UINT64_MAX), &pending_id), CST_USAGE);
    CHECK_CODE(csti_barrier_inject(&cell, (csti_barrier){1, 1, 0}, &pending_id), CST_USAGE);
    CHECK_CODE(csti_barrier_inject(&cell, (csti_barrier){1, 1, 4}, &pending_id), CST_USAGE);
    CHECK(!csti_barrier_pending(&cell));
    CHECK_OK(csti_barrier_inject(&cell, aligned(1, CSTI_EPOCH_LIMIT - 1), &pending_id));
}

TEST(a_repeated_id_is_ignored_and_counted) {
    csti_barrier out = {0};
    uint64_t pending_id = 0;

    csti_barrier_cell_init(&cell);
    CHECK_OK(csti_barrier_inject(&cell, aligned(7, 1), &pending_id));
    CHECK(csti_barrier_take(&cell, &out));
    CHECK_CODE(csti_barrier_inject(&cell, aligned(7, 1), &pending_id), CST_EXISTS);
    CHECK_CODE(csti_barrier_inject(&cell, aligned(3, 9), &pending_id), CST_EXISTS);
    CHECK(!csti_barrier_pending(&cell));
    CHECK_EQ(atomic_load(&cell.repeated_count), 2);
    CHECK_EQ(atomic_load(&cell.busy_count), 0);
    CHECK_OK(csti_barrier_inject(&cell, aligned(9, 2), &pending_id)); // ids may leave gaps
    CHECK(csti_barrier_take(&cell, &out));
    CHECK_CODE(csti_barrier_inject(&cell, aligned(8, 2), &pending_id), CST_EXISTS);
}

TEST(a_withdrawn_barrier_is_not_taken_and_its_id_is_used_up) {
    csti_barrier out = {0};
    uint64_t pending_id = 0;

    csti_barrier_cell_init(&cell);
    CHECK_OK(csti_barrier_inject(&cell, aligned(7, 1), &pending_id));
    CHECK(!csti_barrier_withdraw(&cell, 6));
    CHECK(csti_barrier_pending(&cell));
    CHECK(csti_barrier_withdraw(&cell, 7));
    CHECK(!csti_barrier_pending(&cell));
    CHECK(!csti_barrier_take(&cell, &out));
    CHECK_CODE(csti_barrier_inject(&cell, aligned(7, 1), &pending_id), CST_EXISTS);
    CHECK_OK(csti_barrier_inject(&cell, aligned(8, 1), &pending_id));
    CHECK(csti_barrier_take(&cell, &out));
    CHECK(!csti_barrier_withdraw(&cell, 8)); // too late
}

// ---- Threads -------------------------------------------------------------------------------

enum {
    INJECTORS_COUNT = 2,
    INJECTIONS = 100000, // each waits for a turn of the source's thread
};

static _Atomic uint64_t next_id, injectors_done;
static uint64_t injections_count; // set before the threads start, as is the next
static bool withdraws;

typedef struct injector {
    pthread_t thread;
    uint64_t injected_count, injected_sum, withdrawn_count, withdrawn_sum, repeated_count;
    uint64_t busy_count;
} injector;

static void *inject_all(void *context) {
    injector *own = context;

    for (;;) {
        const uint64_t id = atomic_fetch_add(&next_id, 1) + 1;
        uint64_t pending_id = 0;
        cst_code code;

        if (id > injections_count) break;
        while ((code = csti_barrier_inject(&cell, whole(id), &pending_id)) == CST_BARRIER_BUSY) {
            CHECK(pending_id != 0 && pending_id <= injections_count);
            own->busy_count++;
            (void)sched_yield();
        }
        if (code == CST_EXISTS) { // the other injector's higher one was first
            own->repeated_count++;
            continue;
        }
        CHECK_OK(code);
        own->injected_count++;
        own->injected_sum += id;
        if (withdraws && id % 3 == 0 && csti_barrier_withdraw(&cell, id)) {
            own->withdrawn_count++;
            own->withdrawn_sum += id;
        }
    }
    (void)atomic_fetch_add(&injectors_done, 1);
    return NULL;
}

static void check_injectors_and_source(void) {
    static injector injectors[INJECTORS_COUNT];
    uint64_t taken_count = 0, taken_sum = 0, last_id = 0;
    injector all = {0};

    csti_barrier_cell_init(&cell);
    atomic_store(&next_id, 0);
    atomic_store(&injectors_done, 0);
    for (int i = 0; i < INJECTORS_COUNT; i++) {
        injectors[i] = (injector){0};
        CHECK_EQ(pthread_create(&injectors[i].thread, NULL, inject_all, &injectors[i]), 0);
    }
    for (bool done = false; !done;) {
        csti_barrier taken;

        done = atomic_load(&injectors_done) == INJECTORS_COUNT; // before the last look
        if (!csti_barrier_pending(&cell)) (void)sched_yield();
        while (csti_barrier_take(&cell, &taken)) {
            check_whole(&taken);
            CHECK(taken.id > last_id);
            last_id = taken.id;
            taken_count++;
            taken_sum += taken.id;
        }
    }
    for (int i = 0; i < INJECTORS_COUNT; i++) {
        CHECK_EQ(pthread_join(injectors[i].thread, NULL), 0);
        all.injected_count += injectors[i].injected_count;
        all.injected_sum += injectors[i].injected_sum;
        all.withdrawn_count += injectors[i].withdrawn_count;
        all.withdrawn_sum += injectors[i].withdrawn_sum;
        all.repeated_count += injectors[i].repeated_count;
        all.busy_count += injectors[i].busy_count;
    }
    CHECK_EQ(all.injected_count + all.repeated_count, injections_count);
    CHECK_EQ(taken_count + all.withdrawn_count, all.injected_count);
    CHECK_EQ(taken_sum + all.withdrawn_sum, all.injected_sum);
    CHECK_EQ(atomic_load(&cell.repeated_count), all.repeated_count);
    CHECK_EQ(atomic_load(&cell.busy_count), all.busy_count);
    CHECK(taken_count > 0);
    CHECK_EQ(all.withdrawn_count > 0, withdraws);
}

TEST(injections_of_two_threads_are_never_mixed_or_lost) {
    injections_count = TEST_SHARE(INJECTIONS);
    withdraws = false;
    check_injectors_and_source();
}

TEST(a_barrier_is_either_taken_or_withdrawn) {
    injections_count = TEST_SHARE(50000);
    withdraws = true;
    check_injectors_and_source();
}

TEST_MAIN
