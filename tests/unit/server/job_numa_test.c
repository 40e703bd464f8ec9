// What a job does on a machine with several NUMA nodes. hwloc is given such a machine; mbind and
// move_pages are answered by a handler here, as a kernel of it would: what was asked for a node
// comes from there, but for a node that is full.
#define _GNU_SOURCE 1 // the registers of a context
#include "unit/server/runs.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { ROWS = 100000, NODES = 2, RANGES_MAX = 4096, REFUSES = -2 };

typedef struct range {
    _Atomic uintptr_t from, to;
    _Atomic int node;
} range;

static range ranges[RANGES_MAX]; // that were asked for, oldest first
static _Atomic uint32_t ranges_count;
static _Atomic int full_node = -1; // its pages come from the other one
static _Atomic uint64_t pages_asked;
static pthread_barrier_t answering;

// ---- The kernel ---------------------------------------------------------------------------------

// What a call reads and writes is its thread's, which waits meanwhile: ThreadSanitizer does not see
// it.
#define AS_THE_KERNEL __attribute__((no_sanitize("thread")))

AS_THE_KERNEL static int answer_mbind(const __u64 *arguments) {
    const uint64_t mask = arguments[3] ? *(const uint64_t *)arguments[3] : 0;
    uint32_t place;

    if (atomic_load(&full_node) == REFUSES) return -EPERM;
    if (mask >> NODES) return -EINVAL;
    place = atomic_fetch_add(&ranges_count, 1);
    if (place >= RANGES_MAX) return -ENOMEM;
    atomic_store(&ranges[place].to, arguments[0] + arguments[1]);
    atomic_store(&ranges[place].node, mask ? __builtin_ctzll(mask) : -1);
    atomic_store(&ranges[place].from, arguments[0]);
    return 0;
}

static int node_of(uintptr_t address) {
    const uint32_t count = atomic_load(&ranges_count);

    for (uint32_t r = count < RANGES_MAX ? count : RANGES_MAX; r-- > 0;) {
        const uintptr_t from = atomic_load(&ranges[r].from);
        const int node = atomic_load(&ranges[r].node);

        if (from == 0 || address < from || address >= atomic_load(&ranges[r].to)) continue;
        if (node < 0) return 0;
        return node == atomic_load(&full_node) ? 1 - node : node;
    }
    return 0;
}

AS_THE_KERNEL static int answer_move_pages(const __u64 *arguments) {
    void *const *pages = (void *const *)arguments[2];
    int *status = (int *)arguments[4];

    for (uint64_t i = 0; i < arguments[1]; i++) status[i] = node_of((uintptr_t)pages[i]);
    atomic_fetch_add(&pages_asked, arguments[1]);
    return 0;
}

// The threads whose calls these are share their memory with this one, which is under no filter.
static void *answer_calls(void *context) {
    const int *listener = context;

    pthread_barrier_wait(&answering);
    for (;;) {
        struct seccomp_notif call = {0};
        struct seccomp_notif_resp answer = {0};

        if (ioctl(*listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue; // it has gone
        answer.id = call.id;
        answer.error = call.data.nr == SYS_mbind ? answer_mbind(call.data.args)
                                                 : answer_move_pages(call.data.args);
        (void)ioctl(*listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    return NULL;
}

static void machine_begin(const char *description) {
    static int listener;
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mbind, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_move_pages, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof steps / sizeof steps[0], steps};
    pthread_t thread;

    CHECK_EQ(setenv("HWLOC_SYNTHETIC", description, 1), 0);
    CHECK_EQ(pthread_barrier_init(&answering, NULL, 2), 0);
    CHECK_EQ(pthread_create(&thread, NULL, answer_calls, &listener), 0);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                            &filter);
    CHECK(listener >= 0);
    pthread_barrier_wait(&answering);
}

void __gcov_dump(void) __attribute__((weak)); // there in a coverage build only

// A filter holds until its process ends.
static void in_a_child(void (*job)(void)) {
    const pid_t child = fork();
    int status = 0;

    CHECK(child >= 0);
    if (child == 0) {
        job();
        if (__gcov_dump) __gcov_dump();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

// ---- The job ------------------------------------------------------------------------------------

typedef struct said {
    _Atomic uint32_t taken[NODES]; // how many workers
    _Atomic uint32_t misplaced, not_placed, not_ours;
} said;
static said log_said;

static uint64_t misplaced[4];

// Where the line goes on behind the text; NULL: it does not have it.
static const char *behind(const char *line, const char *text) {
    const char *found = strstr(line, text);

    return found ? found + strlen(text) : NULL;
}

static uint64_t number_at(const char *text) {
    CHECK(text);
    return strtoull(text, NULL, 10);
}

static void listen_to(void *context, const char *bytes, size_t count) {
    char line[512] = "";
    const char *at;

    (void)context;
    memcpy(line, bytes, count < sizeof line ? count : sizeof line - 1);
    if ((at = behind(line, " info node_taken node=")) != NULL)
        atomic_store(&log_said.taken[number_at(at) % NODES],
                     (uint32_t)number_at(behind(line, " workers=")));
    if ((at = behind(line, " warn memory_misplaced partition=")) != NULL) {
        misplaced[number_at(at) % 4] = number_at(behind(line, " misplaced_bytes="));
        atomic_fetch_add(&log_said.misplaced, 1);
    }
    if (behind(line, " warn memory_not_placed node=")) atomic_fetch_add(&log_said.not_placed, 1);
    if (behind(line, " warn device_node_not_ours node=")) atomic_fetch_add(&log_said.not_ours, 1);
}

static int nodes[4];

static void look(void *context, const csti_job_progress *progress) {
    const fixture *f = context;

    if (progress->recovering) return;
    for (uint32_t w = 0; f->job->workers && w < f->job->workers_count; w++)
        nodes[w] = f->job->workers[w].node;
}

static void run_on(const char *machine, const char *device) {
    static fixture f;
    csti_logger logger;

    folder_open(&f, 4, ROWS, "1h");
    machine_begin(machine);
    csti_logger_init(&logger, csti_clock_real(), CSTI_LOG_INFO, listen_to, NULL);
    f.options.logger = &logger;
    f.options.progress = look;
    job_open(&f, 0);
    if (device) f.config.device = device;
    if (csti_job_run(f.job, &f.result, &f.err) != CST_OK) TEST_FAIL("%s", f.err.text);
    job_close(&f);
    check_state(&f, ROWS);
    folder_close(&f);
}

static void dealt(void) {
    run_on("node:2 core:2 pu:1", NULL);
    CHECK_EQ(log_said.taken[0], 2);
    CHECK_EQ(log_said.taken[1], 2);
    CHECK(nodes[0] != nodes[1]);
    CHECK(nodes[2] != nodes[3]);
    CHECK(pages_asked > 0);
    for (int w = 0; w < 4; w++) CHECK_EQ(misplaced[w], 0);
    CHECK_EQ(log_said.misplaced, 0);
}
TEST(partitions_and_their_memory_are_dealt_over_two_nodes) {
    in_a_child(dealt);
}

static void on_the_devices(void) {
    run_on("node:2 core:2 pu:1", "cpu:?node=1");
    CHECK_EQ(log_said.taken[0], 0);
    CHECK_EQ(log_said.taken[1], 4);
    for (int w = 0; w < 4; w++) {
        CHECK_EQ(nodes[w], 1);
        CHECK_EQ(misplaced[w], 0);
    }
}
TEST(partitions_of_a_device_with_a_node_are_on_it) {
    in_a_child(on_the_devices);
}

static void full(void) {
    atomic_store(&full_node, 1);
    run_on("node:2 core:2 pu:1", NULL);
    for (int w = 0; w < 4; w++) CHECK(nodes[w] == 1 ? misplaced[w] >= 64 << 10 : misplaced[w] == 0);
    CHECK_EQ(log_said.misplaced, 2); // once a partition
}
TEST(what_a_full_node_has_no_room_for_comes_from_another_and_is_counted_and_said_once) {
    in_a_child(full);
}

static void refused(void) {
    atomic_store(&full_node, REFUSES);
    run_on("node:2 core:2 pu:1", NULL);
    for (int w = 0; w < 4; w++) CHECK_EQ(nodes[w], -1);
    CHECK(log_said.not_placed > 0);
    CHECK_EQ(log_said.misplaced, 0);
}
TEST(a_job_runs_where_nobody_may_choose_a_node_and_says_so) {
    in_a_child(refused);
}

static void without(void) {
    run_on("node:1 core:2 pu:1", "cpu:?node=1");
    for (int w = 0; w < 4; w++) CHECK_EQ(nodes[w], -1);
    CHECK_EQ(log_said.not_ours, 1);
}
TEST(a_devices_node_that_is_not_the_jobs_to_use_is_said) {
    in_a_child(without);
}

static void one(void) {
    run_on("node:1 core:4 pu:1", NULL);
    for (int w = 0; w < 4; w++) CHECK_EQ(nodes[w], -1);
    CHECK_EQ(pages_asked, 0);
}
TEST(on_a_machine_with_one_node_nothing_is_asked) {
    in_a_child(one);
}

TEST_MAIN
