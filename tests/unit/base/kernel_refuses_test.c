// What base does when the kernel, or a container's filter, says no. Each case runs in a child whose
// system call is refused by seccomp: the real code meets the real error.
#define _GNU_SOURCE 1 // the affinity calls
#include "base/helper.h"
#include "base/pages.h"
#include "base/park.h"
#include "base/random.h"
#include "base/topology.h"
#include "test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANY_ARGUMENT = -1 };

// From here on the call answers `error` (0: pretends success), if its third argument is `third`.
static void refuse_with(unsigned number, int third, unsigned error) {
    const uint32_t third_at = offsetof(struct seccomp_data, args[2]);
    const bool any = third == ANY_ARGUMENT;
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, third_at),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)third, 0, (uint8_t)(any ? 0 : 1)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof steps / sizeof steps[0], steps};

    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

static void refuse(unsigned number, unsigned error) {
    refuse_with(number, ANY_ARGUMENT, error);
}

void __gcov_dump(void) __attribute__((weak)); // there in a coverage build only

// No sanitizer looks for leaks at the child's end: what was refused may be what it needs.
static void in_a_child(void (*run)(void)) {
    const pid_t child = fork();
    int status = 0;

    CHECK(child >= 0);
    if (child == 0) {
        run();
        if (__gcov_dump) __gcov_dump();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

// Whether the kernel can read the byte for us: EFAULT where there is no access.
static bool is_readable(const uint8_t *address) {
    int ends[2];
    ssize_t written;

    CHECK_EQ(pipe(ends), 0);
    written = write(ends[1], address, 1);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
    return written == 1;
}

enum { POPULATE_WRITE = 23 };
static csti_pages pages;
static cst_err err;

static void an_old_kernel(void) {
    CHECK_OK(csti_pages_reserve(&pages, 1 << 20, NULL, NULL));
    refuse_with(SYS_madvise, POPULATE_WRITE, EINVAL);
    CHECK_OK(csti_pages_prepare(&pages, 1 << 20, NULL));
    CHECK_OK(csti_pages_verify_node(&pages, 0, NULL)); // none is absent: each was touched
    for (size_t i = 0; i < 1 << 20; i++) CHECK_EQ(pages.base[i], 0);
}
TEST(pages_are_touched_where_the_kernel_is_too_old_to_populate) {
    in_a_child(an_old_kernel);
}

static void no_memory_to_populate(void) {
    CHECK_OK(csti_pages_reserve(&pages, 1 << 20, NULL, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 4096, NULL));
    refuse_with(SYS_madvise, POPULATE_WRITE, ENOMEM);
    CHECK_CODE(csti_pages_prepare(&pages, 8192, &err), CST_NO_MEMORY);
    CHECK_TEXT(err.text, "faulting in 4096 bytes: Cannot allocate memory");
    CHECK_EQ(csti_pages_ready(&pages), 4096);
    CHECK(is_readable(pages.base + 4095));
    CHECK(!is_readable(pages.base + 4096));
}
TEST(pages_that_cannot_be_faulted_in_stay_out_of_reach) {
    in_a_child(no_memory_to_populate);
}

static void always_again(void) {
    CHECK_OK(csti_pages_reserve(&pages, 1 << 20, NULL, NULL));
    refuse_with(SYS_madvise, POPULATE_WRITE, EAGAIN);
    CHECK_CODE(csti_pages_prepare(&pages, 8192, NULL), CST_NO_MEMORY);
}
TEST(pages_are_not_retried_for_ever) {
    in_a_child(always_again);
}

static void no_pinning(void) {
    CHECK_OK(csti_pages_reserve(&pages, 1 << 20,
                                &(csti_pages_options){.numa_node = -1, .dma = true}, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 4096, NULL));
    CHECK(csti_pages_pinned(&pages));
    refuse(SYS_mlock, EPERM);
    CHECK_OK(csti_pages_prepare(&pages, 8192, NULL));
    CHECK(!csti_pages_pinned(&pages));
    CHECK_EQ(pages.pin_errno, EPERM);
    CHECK_OK(csti_pages_prepare(&pages, 12288, NULL));
    CHECK_EQ(atomic_load(&pages.pinned_bytes), 4096);
}
TEST(dma_memory_that_could_not_be_pinned_is_usable_and_says_so) {
    in_a_child(no_pinning);
}

static void no_policy(void) {
    refuse(SYS_mbind, EPERM);
    CHECK_OK(csti_pages_reserve(&pages, 4096, NULL, NULL));
    csti_pages_release(&pages);
    CHECK_CODE(csti_pages_reserve(&pages, 4096, &(csti_pages_options){.numa_node = 0}, &err),
               CST_UNSUPPORTED);
    CHECK_TEXT(err.text, "NUMA node 0: mbind: Operation not permitted");
}
TEST(a_node_that_was_asked_for_is_not_dropped_in_silence) {
    in_a_child(no_policy);
}

static void no_move_pages(void) {
    csti_pages_place place = {.ready_bytes = 77};

    CHECK_OK(csti_pages_reserve(&pages, 4096, NULL, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 4096, NULL));
    refuse(SYS_move_pages, ENOSYS);
    CHECK_CODE(csti_pages_where(&pages, &place, &err), CST_UNSUPPORTED);
    CHECK_EQ(place.ready_bytes, 77);
    CHECK_CODE(csti_pages_verify_node(&pages, 0, NULL), CST_UNSUPPORTED);
}
TEST(a_place_that_cannot_be_asked_for_is_not_invented) {
    in_a_child(no_move_pages);
}

static void no_move_pages_of_a_node(void) {
    refuse(SYS_move_pages, EPERM);
    CHECK_OK(csti_pages_reserve(&pages, 8192, &(csti_pages_options){.numa_node = 0}, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 8192, NULL));
    CHECK_EQ(csti_pages_misplaced(&pages), 0);
    CHECK_EQ(pages.where_errno, EPERM);
}
TEST(pages_are_ready_where_nobody_says_which_node_they_are_on) {
    in_a_child(no_move_pages_of_a_node);
}

static void no_smaps(void) {
    csti_pages_place place = {.ready_bytes = 77};

    CHECK_OK(csti_pages_reserve(&pages, 4096, NULL, NULL));
    refuse(SYS_openat, EMFILE);
    CHECK_CODE(csti_pages_where(&pages, &place, &err), CST_IO);
    CHECK_TEXT(err.text, "/proc/self/smaps: Too many open files");
    CHECK_EQ(place.ready_bytes, 77);
}
TEST(hugepages_that_cannot_be_counted_are_an_error) {
    in_a_child(no_smaps);
}

static void no_thread(void) {
    csti_helper *helper = NULL;

    refuse(SYS_clone3, EAGAIN);
    refuse(SYS_clone, EAGAIN);
    CHECK_CODE(csti_helper_open(&helper, &err), CST_IO);
    CHECK_TEXT(err.text, "helper thread: Resource temporarily unavailable");
    CHECK(helper == NULL);
}
TEST(a_helper_without_a_thread_is_an_error) {
    in_a_child(no_thread);
}

static void no_eventfd(void) {
    csti_park_fd parker = {.fd = -1};

    refuse(SYS_eventfd2, EMFILE);
    CHECK_CODE(csti_park_fd_open(&parker, &err), CST_IO);
    CHECK_TEXT(err.text, "eventfd: Too many open files");
    CHECK_EQ(parker.fd, -1);
}
TEST(a_parker_without_an_fd_is_an_error) {
    in_a_child(no_eventfd);
}

static void no_random(void) {
    uint8_t bytes[16];

    refuse(SYS_getrandom, EFAULT);
    CHECK_CODE(csti_random_fill(csti_random_real(), bytes, sizeof bytes, &err), CST_IO);
    CHECK_TEXT(err.text, "random bytes: getrandom: Bad address");
}
TEST(bytes_that_are_not_random_are_never_given) {
    in_a_child(no_random);
}

static void interrupted_random(void) {
    uint8_t bytes[16];

    refuse(SYS_getrandom, EINTR);
    CHECK_CODE(csti_random_fill(csti_random_real(), bytes, sizeof bytes, NULL), CST_IO);
}
TEST(random_bytes_are_not_retried_for_ever) {
    in_a_child(interrupted_random);
}

static void no_affinity(void) {
    refuse(SYS_sched_setaffinity, EPERM);
    CHECK_CODE(csti_thread_pin(sched_getcpu(), &err), CST_IO);
}
TEST(pinning_that_is_forbidden_is_an_error) {
    in_a_child(no_affinity);
}

static void lying_affinity(void) {
    static csti_topology topology;

    CHECK_OK(csti_topology_take(NULL, &topology, NULL));
    if (topology.cpus_count < 2) return; // there is nowhere else to run
    CHECK_OK(csti_thread_pin(topology.cpus[0].number, NULL));
    refuse(SYS_sched_setaffinity, 0);
    CHECK_CODE(csti_thread_pin(topology.cpus[1].number, NULL), CST_PLACEMENT);
}
TEST(pinning_is_verified_and_not_believed) {
    in_a_child(lying_affinity);
}

TEST_MAIN
