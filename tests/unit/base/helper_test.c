#include "base/helper.h"

#include "base/pages.h"
#include "base/park.h"
#include "test.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>

typedef struct counted {
    csti_helper_job job;
    uint64_t asked; // the owner's, read by prepare: ordered by the wake
    uint64_t done;  // the last `asked` that prepare saw; read after csti_helper_wait
    _Atomic uint64_t calls_count;
} counted;

static void count_call(void *context) {
    counted *object = context;
    object->done = object->asked;
    (void)atomic_fetch_add(&object->calls_count, 1);
}

TEST(a_job_runs_once_when_registered) {
    static counted object;
    csti_helper *helper = NULL;

    object = (counted){.job = {.prepare = count_call, .context = &object}, .asked = 7};
    CHECK_OK(csti_helper_open(&helper, NULL));
    csti_helper_register(helper, &object.job);
    while (atomic_load(&object.calls_count) == 0) (void)sched_yield();
    csti_helper_unregister(&object.job);
    CHECK_EQ(object.done, 7);
    CHECK_EQ(atomic_load(&object.calls_count), 1);
    csti_helper_close(helper);
}

TEST(what_was_written_before_a_wake_is_seen_by_a_later_call) {
    static counted object;
    csti_helper *helper = NULL;

    object = (counted){.job = {.prepare = count_call, .context = &object}};
    CHECK_OK(csti_helper_open(&helper, NULL));
    csti_helper_register(helper, &object.job);
    for (uint64_t round = 1; round <= 5000; round++) {
        csti_helper_wait(&object.job); // nobody reads `asked` now
        object.asked = round;
        csti_helper_wait(&object.job);
        CHECK_EQ(object.done, round);
    }
    csti_helper_unregister(&object.job);
    csti_helper_close(helper);
}

// The owner never waits for a call, as a table's does not: it moves its mark, wakes, goes on.
typedef struct chased {
    csti_helper_job job;
    _Atomic uint64_t mark;
    _Atomic uint64_t reached;
} chased;

static void chase(void *context) {
    chased *object = context;
    atomic_store(&object->reached, atomic_load_explicit(&object->mark, memory_order_relaxed));
}

TEST(no_wake_is_lost_however_fast_they_come) {
    static chased object;
    csti_helper *helper = NULL;

    object = (chased){.job = {.prepare = chase, .context = &object}};
    CHECK_OK(csti_helper_open(&helper, NULL));
    csti_helper_register(helper, &object.job);
    for (uint64_t round = 1; round <= 2000; round++) {
        for (uint64_t step = 1; step <= 20; step++) {
            atomic_store_explicit(&object.mark, round * 20 + step, memory_order_relaxed);
            csti_helper_wake(&object.job);
        }
        // Ends only if the last wake was kept.
        while (atomic_load(&object.reached) != round * 20 + 20) (void)sched_yield();
    }
    csti_helper_unregister(&object.job);
    csti_helper_close(helper);
}

static void wake_itself(void *context) {
    counted *object = context;
    (void)atomic_fetch_add(&object->calls_count, 1);
    csti_helper_wake(&object->job);
}

TEST(a_job_that_is_always_wanted_does_not_keep_others_waiting) {
    static counted greedy, modest;
    csti_helper *helper = NULL;

    greedy = (counted){.job = {.prepare = wake_itself, .context = &greedy}};
    modest = (counted){.job = {.prepare = count_call, .context = &modest}};
    CHECK_OK(csti_helper_open(&helper, NULL));
    csti_helper_register(helper, &greedy.job);
    csti_helper_register(helper, &modest.job);
    for (int i = 0; i < 100; i++) csti_helper_wait(&modest.job);
    csti_helper_wait(&greedy.job); // ends, although the job is wanted again at once
    csti_helper_unregister(&greedy.job);
    csti_helper_unregister(&modest.job);
    CHECK(atomic_load(&modest.calls_count) >= 100);
    csti_helper_close(helper);
}

typedef struct held {
    csti_helper_job job;
    csti_parker started, go_on;
    _Atomic bool ended;
} held;

static void hold(void *context) {
    held *object = context;
    csti_unpark(&object->started);
    csti_park(&object->go_on);
    atomic_store(&object->ended, true);
}

static void *let_go(void *context) {
    held *object = context;
    csti_unpark(&object->go_on);
    return NULL;
}

TEST(unregister_waits_for_the_call_under_way_and_there_is_none_after_it) {
    static held object;
    csti_helper *helper = NULL;

    CHECK_OK(csti_helper_open(&helper, NULL));
    for (int round = 0; round < 200; round++) {
        pthread_t other;

        object = (held){.job = {.prepare = hold, .context = &object}};
        csti_helper_register(helper, &object.job);
        csti_park(&object.started); // the call is under way, and stays so until let go
        CHECK_EQ(pthread_create(&other, NULL, let_go, &object), 0);
        csti_helper_unregister(&object.job);
        CHECK(atomic_load(&object.ended));
        CHECK_EQ(pthread_join(other, NULL), 0);
    }
    csti_helper_unregister(&object.job); // twice is allowed
    csti_helper_close(helper);
}

// The state of the helper thread in /proc: 'S' is asleep.
static char state_of_the_helper(void) {
    DIR *tasks = opendir("/proc/self/task");
    char state = '?';

    CHECK(tasks != NULL);
    for (struct dirent *entry = readdir(tasks); entry; entry = readdir(tasks)) {
        char path[300], line[256];
        const char *name_end;
        FILE *file;

        (void)snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        file = fopen(path, "re");
        if (!file) continue;
        if (fgets(line, sizeof line, file) && strstr(line, "(cst-helper)")) {
            name_end = strrchr(line, ')');
            if (name_end) state = name_end[2];
        }
        CHECK_EQ(fclose(file), 0);
    }
    CHECK_EQ(closedir(tasks), 0);
    return state;
}

TEST(an_idle_helper_sleeps) {
    static counted object;
    csti_helper *helper = NULL;

    object = (counted){.job = {.prepare = count_call, .context = &object}};
    CHECK_OK(csti_helper_open(&helper, NULL));
    csti_helper_register(helper, &object.job);
    csti_helper_wait(&object.job);
    while (state_of_the_helper() != 'S') (void)sched_yield(); // a busy one never ends this
    csti_helper_unregister(&object.job);
    csti_helper_close(helper);
}

TEST(close_of_nothing_and_of_an_idle_helper) {
    csti_helper_close(NULL);
    for (int i = 0; i < 50; i++) {
        csti_helper *helper = NULL;
        CHECK_OK(csti_helper_open(&helper, NULL));
        csti_helper_close(helper);
    }
}

// Its real use: pages become ready while the owner writes those that are.
typedef struct growing {
    csti_helper_job job;
    csti_pages pages;
    _Atomic size_t used_bytes;
} growing;

static void prepare_ahead(void *context) {
    growing *object = context;
    size_t wanted_bytes = atomic_load_explicit(&object->used_bytes, memory_order_relaxed) + 65536;

    if (wanted_bytes > object->pages.reserved_bytes) wanted_bytes = object->pages.reserved_bytes;
    CHECK_OK(csti_pages_prepare(&object->pages, wanted_bytes, NULL));
}

TEST(an_owner_writes_a_whole_range_that_the_helper_prepares_ahead_of_it) {
    static growing object;
    csti_helper *helper = NULL;
    size_t used_bytes = 0;

    object.job = (csti_helper_job){.prepare = prepare_ahead, .context = &object};
    CHECK_OK(csti_pages_reserve(&object.pages, 4 << 20, NULL, NULL));
    CHECK_OK(csti_helper_open(&helper, NULL));
    csti_helper_register(helper, &object.job);
    while (used_bytes < object.pages.reserved_bytes) {
        if (csti_pages_ready(&object.pages) < used_bytes + 4096) {
            (void)sched_yield();
            continue;
        }
        CHECK_EQ(object.pages.base[used_bytes], 0);
        memset(object.pages.base + used_bytes, 0xff, 4096);
        used_bytes += 4096;
        atomic_store_explicit(&object.used_bytes, used_bytes, memory_order_relaxed);
        csti_helper_wake(&object.job);
    }
    csti_helper_unregister(&object.job);
    csti_helper_close(helper);
    csti_pages_release(&object.pages);
}

TEST_MAIN
