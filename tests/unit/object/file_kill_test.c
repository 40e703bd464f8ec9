// Writers die by kill -9 at random moments, and at the named ones; what is there is whole, and what
// was acknowledged is there.
#define _GNU_SOURCE 1 // nftw
#include "base/fault_point.h"
#include "unit/object/folder.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

// ---- Children -----------------------------------------------------------------------------------

enum { WRITERS = 8, SPIN_MAX = 20000 };

// Outlives the children that write to it.
typedef struct board {
    _Atomic uint64_t acknowledged[WRITERS];
    _Atomic bool stop;
} board;

static board *board_make(void) {
    board *made =
        mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(made != MAP_FAILED);
    return made;
}

static uint64_t board_sum(const board *from) {
    uint64_t sum = 0;

    for (int i = 0; i < WRITERS; i++) sum += atomic_load(&from->acknowledged[i]);
    return sum;
}

static pid_t child_start(void (*body)(const test_folder *, board *, int), const test_folder *folder,
                         board *shared, int writer) {
    const pid_t child = fork();

    CHECK(child >= 0);
    if (child > 0) return child;
    body(folder, shared, writer);
    _exit(0);
}

// True: it ended by itself, well.
static bool child_end(pid_t child, int signal_sent) {
    int status;

    if (signal_sent != 0) CHECK_EQ(kill(child, signal_sent), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) CHECK_EQ(WTERMSIG(status), SIGKILL);
    if (WIFEXITED(status)) CHECK_EQ(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

// Until so much was acknowledged, and a random moment longer.
static void wait_for(const board *shared, uint64_t sum) {
    const uint64_t spins = test_random_below(SPIN_MAX);

    while (board_sum(shared) < sum) (void)sched_yield();
    for (volatile uint64_t i = 0; i < spins; i++) {}
}

// ---- Compare and increment ----------------------------------------------------------------------

// The object: how often each writer has added one. A writer that was killed between its write and
// its acknowledgement finds here which of the two it was.
typedef struct ledger {
    uint64_t total;
    uint64_t of[WRITERS];
} ledger;

static void ledger_read(cst_object_store *store, ledger *out, cst_object_info *info) {
    cst_object_body body;

    CHECK_OK(cst_object_get(store, "ledger", 0, UINT64_MAX, &body, NULL));
    CHECK_EQ(body.count, sizeof *out);
    memcpy(out, body.bytes, sizeof *out);
    *info = body.info;
    cst_object_body_release(store, &body);
}

static void add_ones(const test_folder *folder, board *shared, int writer) {
    cst_object_store *store = folder_store(folder);
    cst_object_info info;
    ledger now;
    const cst_bytes range = {(const uint8_t *)&now, sizeof now};

    ledger_read(store, &now, &info);
    // At most the one write that was under way is not known to have been done.
    CHECK(now.of[writer] - atomic_load(&shared->acknowledged[writer]) <= 1);
    atomic_store(&shared->acknowledged[writer], now.of[writer]);
    while (!atomic_load(&shared->stop)) {
        cst_code code;

        ledger_read(store, &now, &info);
        now.total++;
        now.of[writer]++;
        const cst_put_options match = {.condition = CST_PUT_IF_MATCH, .etag = info.etag};
        code = cst_object_put(store, "ledger", &range, 1, &match, NULL, NULL);
        if (code == CST_OBJECT_CONFLICT) continue;
        CHECK_OK(code);
        (void)atomic_fetch_add(&shared->acknowledged[writer], 1);
    }
    cst_object_store_close(store);
}

TEST(eight_processes_under_kill_9_add_up_exactly) {
    enum { KILLS = 120 };
    const test_folder folder = folder_make();
    const ledger zero = {0};
    const cst_bytes range = {(const uint8_t *)&zero, sizeof zero};
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    cst_object_store *store = folder_store(&folder);
    board *shared = board_make();
    pid_t writers[WRITERS];
    cst_object_info info;
    ledger end;
    uint64_t sum = 0;

    CHECK_OK(cst_object_put(store, "ledger", &range, 1, &absent, NULL, NULL));
    for (int i = 0; i < WRITERS; i++) writers[i] = child_start(add_ones, &folder, shared, i);
    for (int i = 0; i < KILLS; i++) {
        const int victim = (int)test_random_below(WRITERS);

        wait_for(shared, board_sum(shared) + 1 + test_random_below(4));
        CHECK(!child_end(writers[victim], SIGKILL));
        writers[victim] = child_start(add_ones, &folder, shared, victim);
    }
    atomic_store(&shared->stop, true);
    for (int i = 0; i < WRITERS; i++) CHECK(child_end(writers[i], 0));

    ledger_read(store, &end, &info);
    for (int i = 0; i < WRITERS; i++) {
        CHECK_EQ(end.of[i], atomic_load(&shared->acknowledged[i]));
        sum += end.of[i];
    }
    CHECK_EQ(end.total, sum);
    CHECK(sum > KILLS);
    CHECK_OK(cst_object_sweep_uploads(store, NULL, NULL));
    CHECK_EQ(temporaries_count(&folder), 0);
    CHECK_EQ(munmap(shared, sizeof *shared), 0);
    cst_object_store_close(store);
    folder_remove(&folder);
}

// ---- Whole or not at all ------------------------------------------------------------------------

enum { OBJECT_BYTES_MAX = 200000 };

static void object_name(char out[64], int writer, uint64_t number) {
    (void)snprintf(out, 64, "w%d/%" PRIu64 "/object", writer, number);
}

// The bytes of object `number`: its size follows from it, and every byte.
static size_t object_fill(uint8_t *bytes, uint64_t number) {
    const size_t count = 1 + (size_t)(number * UINT64_C(7919) % OBJECT_BYTES_MAX);

    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(number * 31 + i * 7);
    return count;
}

// Even ones are put, odd ones uploaded in pieces.
static cst_code object_write(cst_object_store *store, const char *name, uint64_t number,
                             const uint8_t *bytes, size_t count) {
    const cst_bytes range = {bytes, count};
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    cst_object_upload *upload = NULL;

    if (number % 2 == 0) return cst_object_put(store, name, &range, 1, &absent, NULL, NULL);
    CHECK_OK(cst_object_upload_open(store, name, number, &upload, NULL));
    for (size_t at = 0; at < count; at += 4096)
        CHECK_OK(cst_object_upload_write(upload, bytes + at, count - at < 4096 ? count - at : 4096,
                                         NULL));
    return cst_object_upload_finish(upload, NULL, NULL);
}

static void write_objects(const test_folder *folder, board *shared, int writer) {
    cst_object_store *store = folder_store(folder);
    uint8_t *bytes = malloc(OBJECT_BYTES_MAX);

    CHECK(bytes);
    while (!atomic_load(&shared->stop)) {
        const uint64_t number = atomic_load(&shared->acknowledged[writer]);
        const size_t count = object_fill(bytes, number);
        char name[64];
        cst_code code;

        object_name(name, writer, number);
        code = object_write(store, name, number, bytes, count);
        if (code != CST_EXISTS) CHECK_OK(code); // it was placed by one who died before he said so
        (void)atomic_fetch_add(&shared->acknowledged[writer], 1);
    }
    free(bytes);
    cst_object_store_close(store);
}

// True: there, and every byte right.
static bool object_check(cst_object_store *store, const char *name, uint64_t number,
                         uint8_t *bytes) {
    const size_t count = object_fill(bytes, number);
    cst_object_body body;
    const cst_code code = cst_object_get(store, name, 0, UINT64_MAX, &body, NULL);

    if (code == CST_NOT_FOUND) return false;
    CHECK_OK(code);
    CHECK_EQ(body.count, count);
    CHECK_BYTES(body.bytes, bytes, count);
    cst_object_body_release(store, &body);
    return true;
}

TEST(what_a_killed_writer_leaves_is_whole_or_absent) {
    enum { KILLS = 60 };
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    board *shared = board_make();
    uint8_t *bytes = malloc(OBJECT_BYTES_MAX);
    uint64_t swept = 0;
    size_t count = 0;

    CHECK(bytes);
    for (int i = 0; i < KILLS; i++) {
        const pid_t writer = child_start(write_objects, &folder, shared, 0);
        const uint64_t before = board_sum(shared);
        char name[64];

        wait_for(shared, before + test_random_below(4));
        CHECK(!child_end(writer, SIGKILL));
        for (uint64_t number = before; number <= board_sum(shared); number++) {
            object_name(name, 0, number);
            // The last one was not acknowledged: there or not, but whole.
            if (!object_check(store, name, number, bytes)) CHECK_EQ(number, board_sum(shared));
        }
        CHECK(temporaries_count(&folder) <= 1);
        CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
        CHECK(swept <= 1);
        CHECK_EQ(temporaries_count(&folder), 0);
    }
    count = objects_count(store);
    CHECK(count == board_sum(shared) || count == board_sum(shared) + 1);
    free(bytes);
    CHECK_EQ(munmap(shared, sizeof *shared), 0);
    cst_object_store_close(store);
    folder_remove(&folder);
}

#ifdef CST_FAULT_POINTS
// Dies at the named moment of its first put.
static void die_at(const char *point, const test_folder *folder) {
    const pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        char fault[64];

        (void)snprintf(fault, sizeof fault, "%s:1:kill", point);
        CHECK_EQ(setenv("CST_FAULT", fault, 1), 0);
        CHECK_OK(csti_fault_points_arm(NULL));
        (void)put_text(folder_store(folder), "a/b", "text", CST_PUT_IF_ABSENT, NULL, NULL);
        _exit(0); // it was to die
    }
    CHECK(!child_end(child, 0));
}

TEST(death_before_the_link_leaves_no_object_and_after_it_a_whole_one) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    cst_object_info info;
    uint64_t swept = 0;

    die_at("file_temporary", &folder);
    CHECK_CODE(cst_object_head(store, "a/b", &info, NULL), CST_NOT_FOUND);
    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(swept, 1);
    die_at("file_linked", &folder);
    CHECK_OBJECT(store, "a/b", "text");
    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(swept, 1); // its other name
    CHECK_OBJECT(store, "a/b", "text");
    CHECK_CODE(put_text(store, "a/b", "other", CST_PUT_IF_ABSENT, NULL, NULL), CST_EXISTS);
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(a_sync_that_fails_is_an_error_before_the_link_and_ambiguous_after_it) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    cst_object_info info;

    CHECK_OK(csti_fault_points_arm_text("file_temporary:1:fail", NULL));
    CHECK_CODE(put_text(store, "a", "text", CST_PUT_IF_ABSENT, NULL, NULL), CST_IO);
    CHECK_CODE(cst_object_head(store, "a", &info, NULL), CST_NOT_FOUND);
    CHECK_OK(csti_fault_points_arm_text("file_linked:1:fail", NULL));
    CHECK_CODE(put_text(store, "a", "text", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_AMBIGUOUS);
    CHECK_OBJECT(store, "a", "text");
    CHECK_EQ(temporaries_count(&folder), 0);
    CHECK_OK(csti_fault_points_arm_text("", NULL));
    cst_object_store_close(store);
    folder_remove(&folder);
}
#endif

TEST_MAIN
