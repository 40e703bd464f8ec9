// Owners die by kill -9 at random moments, and at every named step; each next one finds what was
// answered. Owners that are stopped between their sync and their answer wake up too late.
#define _GNU_SOURCE 1 // nftw
#include "base/fault_point.h"
#include "unit/stream/wal_files.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { RANDOM_KILLS = 60, SPIN_MAX = 200000, RECORDS_MAX = 3000, FORGET = 700, LAG = 1000 };

// Outlives the children that write to it.
typedef struct board {
    _Atomic uint64_t tenure;   // of the owner whose answers count
    _Atomic uint64_t answered; // records below
    _Atomic uint64_t committed;
} board;

static board *board_make(void) {
    board *made =
        mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(made != MAP_FAILED);
    memset(made, 0, sizeof *made);
    return made;
}

// What an owner does: rows come, are answered if the tenure still holds behind their sync, and now
// and then a checkpoint has some of them.
static void owner_run(const wal_folder *folder, board *shared, uint64_t tenure) {
    csti_wal_options options =
        wal_options_of(folder, tenure, atomic_load(&shared->committed), NULL);
    csti_wal_report report;
    csti_wal *wal = NULL;
    uint64_t next;

    options.memory_bytes = 8 << 10;
    options.file_bytes = 12 << 10;
    options.disk_bytes_max = 256 << 10;
    options.interval_ns = 0;
    if (csti_wal_open(&options, &wal, &report, NULL) != CST_OK) _exit(3); // an armed failure
    next = report.end;
    if (atomic_load(&shared->tenure) == tenure) CHECK(next >= atomic_load(&shared->answered));
    for (int i = 0; i < RECORDS_MAX; i++) {
        uint8_t payload[64];
        const uint32_t bytes = wal_payload(next, payload);
        uint64_t position;
        const cst_code code =
            csti_wal_append(wal, (uint16_t)(next % 5), payload, bytes, &position, NULL);

        if (code == CST_OK) next++;
        if (code != CST_OK && code != CST_AGAIN && code != CST_WAL_FULL) break;
        if (next % 8 == 0 || code != CST_OK) csti_wal_submit(wal);
        if ((next % 256 == 0 || code != CST_OK) && csti_wal_flush(wal, NULL) != CST_OK) break;
        if (atomic_load(&shared->tenure) == tenure && csti_wal_safe(wal) > 0)
            atomic_store(&shared->answered, csti_wal_safe(wal));
        if (next % FORGET == 0 || code == CST_WAL_FULL) {
            const uint64_t holds = csti_wal_safe(wal) > LAG ? csti_wal_safe(wal) - LAG : 0;

            if (atomic_load(&shared->tenure) != tenure) break; // a commit is refused
            if (holds > atomic_load(&shared->committed)) atomic_store(&shared->committed, holds);
            if (csti_wal_truncate(wal, atomic_load(&shared->committed), NULL) != CST_OK) break;
        }
    }
    csti_wal_close(wal);
}

static pid_t owner_start(const wal_folder *folder, board *shared, uint64_t tenure,
                         const char *fault) {
    const pid_t child = fork();

    CHECK(child >= 0);
    if (child > 0) return child;
    atomic_store(&shared->tenure, tenure);
    CHECK_OK(csti_fault_points_arm_text(fault, NULL));
    owner_run(folder, shared, tenure);
    _exit(0);
}

static bool has_ended(pid_t child) {
    siginfo_t ended = {0};

    CHECK_EQ(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
    return ended.si_pid == child;
}

// Everything that was answered is there, and is what it was.
static void log_check(const wal_folder *folder, board *shared, uint64_t tenure) {
    const uint64_t answered = atomic_load(&shared->answered);
    const uint64_t committed = atomic_load(&shared->committed);
    wal_seen seen = {0};
    cst_err err = {0};

    if (wal_look(folder, tenure, committed, &seen, NULL, &err) != CST_OK) TEST_FAIL("%s", err.text);
    if (answered > committed) CHECK(seen.first == committed && seen.next >= answered);
}

TEST(owners_killed_at_any_moment_lose_nothing_they_answered) {
    const wal_folder folder = wal_folder_make();
    board *shared = board_make();
    uint64_t tenure = 1;

    printf("(seed %" PRIu64 ") ", test_seed_value);
    for (int i = 0; i < RANDOM_KILLS; i++) {
        const uint64_t answered = atomic_load(&shared->answered);
        const uint64_t spins = test_random_below(SPIN_MAX);
        const pid_t child = owner_start(&folder, shared, tenure++, "");
        int status = 0;

        // At its start, or in its midst.
        while (i % 3 != 0 && atomic_load(&shared->answered) <= answered && !has_ended(child))
            (void)sched_yield();
        for (volatile uint64_t s = 0; s < spins; s++) {}
        CHECK_EQ(kill(child, SIGKILL), 0);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        if (i % 4 == 0) log_check(&folder, shared, tenure++);
    }
    CHECK(atomic_load(&shared->answered) > 0);
    CHECK_EQ(munmap(shared, sizeof *shared), 0);
    wal_folder_remove(&folder);
}

static const char *const steps[] = {"wal_recovered", "wal_file_written", "wal_file_named",
                                    "wal_deleting",  "wal_group",        "wal_group_middle",
                                    "wal_written",   "wal_synced"};
enum { STEPS_COUNT = sizeof steps / sizeof steps[0], PASSES = 4 };

TEST(owners_killed_at_every_step_lose_nothing_they_answered) {
    const wal_folder folder = wal_folder_make();
    board *shared = board_make();
    uint64_t tenure = 1;
    int killed = 0;

    for (int pass = 1; pass <= PASSES; pass++)
        for (int i = 0; i < STEPS_COUNT; i++) {
            char fault[64];
            int status = 0;
            pid_t child;

            (void)snprintf(fault, sizeof fault, "%s:%d:kill", steps[i],
                           i == 0  ? 1
                           : i < 4 ? pass
                                   : pass * pass);
            child = owner_start(&folder, shared, tenure++, fault);
            CHECK_EQ(waitpid(child, &status, 0), child);
            killed += WIFSIGNALED(status);
            log_check(&folder, shared, tenure++);
        }
    if (csti_fault_points_compiled()) CHECK_EQ(killed, PASSES * STEPS_COUNT);
    CHECK_EQ(munmap(shared, sizeof *shared), 0);
    wal_folder_remove(&folder);
}

TEST(a_step_that_fails_ends_the_writer_and_loses_nothing) {
    const wal_folder folder = wal_folder_make();
    board *shared = board_make();
    uint64_t tenure = 1;

    for (int pass = 1; pass <= PASSES; pass++)
        for (int i = 0; i < 2; i++) {
            char fault[64];
            int status = 0;
            pid_t child;

            (void)snprintf(fault, sizeof fault, "%s:%d:fail", i ? "wal_group" : "wal_written",
                           pass * 7);
            child = owner_start(&folder, shared, tenure++, fault);
            CHECK_EQ(waitpid(child, &status, 0), child);
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            log_check(&folder, shared, tenure++);
        }
    CHECK_EQ(munmap(shared, sizeof *shared), 0);
    wal_folder_remove(&folder);
}

// SIGSTOP between sync and answer; the next owner works, the sleeper wakes up and goes on.
TEST(a_stopped_owner_that_wakes_up_changes_nothing) {
    const wal_folder folder = wal_folder_make();
    board *shared = board_make();
    uint64_t tenure = 1;

    for (int i = 1; csti_fault_points_compiled() && i < STEPS_COUNT; i++)
        for (int pass = 1; pass <= 2; pass++) {
            char fault[64];
            int status = 0;
            pid_t sleeper, owner;

            (void)snprintf(fault, sizeof fault, "%s:%d:stop", steps[i], pass);
            sleeper = owner_start(&folder, shared, tenure++, fault);
            CHECK_EQ(waitpid(sleeper, &status, WUNTRACED), sleeper);
            CHECK(WIFSTOPPED(status));
            owner = owner_start(&folder, shared, tenure, i % 2 ? "wal_group:5:stop" : "");
            CHECK_EQ(waitpid(owner, &status, WUNTRACED), owner);
            CHECK_EQ(kill(sleeper, SIGCONT), 0);
            CHECK_EQ(waitpid(sleeper, &status, 0), sleeper);
            if (WIFEXITED(status)) CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3);
            if (i % 2) {
                CHECK_EQ(kill(owner, SIGCONT), 0);
                CHECK_EQ(waitpid(owner, &status, 0), owner);
            }
            CHECK(WIFEXITED(status));
            tenure++;
            log_check(&folder, shared, tenure++);
        }
    CHECK_EQ(munmap(shared, sizeof *shared), 0);
    wal_folder_remove(&folder);
}

TEST_MAIN
