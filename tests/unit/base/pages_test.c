#define _GNU_SOURCE 1 // RUSAGE_THREAD
#include "base/pages.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const csti_pages_options small_pages = {.numa_node = -1};
static const csti_pages_options huge_pages = {.numa_node = -1, .hugepages = true};

static long faults_of_this_thread(void) {
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_minflt + usage.ru_majflt;
}

// Runs a load at `address` in a child, so that its death can be seen.
static int signal_of_a_load(const uint8_t *address) {
    const pid_t child = fork();
    int status = 0;

    CHECK(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL); // not the sanitizer's handler
        _exit(*(const volatile uint8_t *)address);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(reserve_aligns_the_base_and_prepares_nothing) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, (size_t)1 << 30, &small_pages, NULL));
    CHECK_EQ((uintptr_t)pages.base % CSTI_HUGEPAGE_BYTES, 0);
    CHECK_EQ(pages.reserved_bytes, (size_t)1 << 30);
    CHECK_EQ(csti_pages_ready(&pages), 0);
    CHECK_EQ(signal_of_a_load(pages.base), SIGSEGV);
    csti_pages_release(&pages);
}

TEST(prepared_bytes_are_zero_and_the_byte_behind_them_is_out_of_reach) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, 1 << 20, &small_pages, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 64 << 10, NULL));
    CHECK_EQ(csti_pages_ready(&pages), 64 << 10);
    for (size_t i = 0; i < 64 << 10; i++) CHECK_EQ(pages.base[i], 0);
    CHECK_EQ(signal_of_a_load(pages.base + (64 << 10) - 1), 0);
    CHECK_EQ(signal_of_a_load(pages.base + (64 << 10)), SIGSEGV);
    csti_pages_release(&pages);
}

TEST(guards_lie_before_and_behind_the_range) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, CSTI_HUGEPAGE_BYTES, &small_pages, NULL));
    CHECK_OK(csti_pages_prepare(&pages, CSTI_HUGEPAGE_BYTES, NULL));
    CHECK_EQ(signal_of_a_load(pages.base - 1), SIGSEGV);
    CHECK_EQ(signal_of_a_load(pages.base + CSTI_HUGEPAGE_BYTES), SIGSEGV);
    csti_pages_release(&pages);
}

TEST(prepare_keeps_what_was_written_and_only_grows) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, 8 << 20, &huge_pages, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 64 << 10, NULL));
    memset(pages.base, 0xa5, 64 << 10);
    CHECK_OK(csti_pages_prepare(&pages, 4 << 20, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 4096, NULL));
    CHECK_EQ(csti_pages_ready(&pages), 4 << 20);
    for (size_t i = 0; i < 64 << 10; i++) CHECK_EQ(pages.base[i], 0xa5);
    for (size_t i = 64 << 10; i < 4 << 20; i++) CHECK_EQ(pages.base[i], 0);
    csti_pages_release(&pages);
}

TEST(sizes_are_rounded_up_to_a_page) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, 5000, NULL, NULL));
    CHECK_EQ(pages.reserved_bytes, 8192);
    CHECK_OK(csti_pages_prepare(&pages, 1, NULL));
    CHECK_EQ(csti_pages_ready(&pages), 4096);
    CHECK_OK(csti_pages_prepare(&pages, 8192, NULL));
    CHECK_EQ(csti_pages_ready(&pages), 8192);
    csti_pages_release(&pages);
}

// The sanitizers' shadow memory is faulted in by the owner itself.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAULTS_ARE_OURS 0
#else
#define FAULTS_ARE_OURS 1
#endif

static void *prepare_on_another_thread(void *pages) {
    CHECK_OK(csti_pages_prepare(pages, 8 << 20, NULL));
    return NULL;
}

static long faults_of_the_owner(const csti_pages_options *options) {
    csti_pages pages;
    pthread_t helper;
    long faults_count;

    CHECK_OK(csti_pages_reserve(&pages, 8 << 20, options, NULL));
    CHECK_EQ(pthread_create(&helper, NULL, prepare_on_another_thread, &pages), 0);
    CHECK_EQ(pthread_join(helper, NULL), 0);
    faults_count = faults_of_this_thread();
    for (size_t i = 0; i < csti_pages_ready(&pages); i += 64) pages.base[i] = 1;
    faults_count = faults_of_this_thread() - faults_count;
    csti_pages_release(&pages);
    return faults_count;
}

TEST(the_owner_takes_no_page_fault_on_small_pages) {
    const long faults_count = faults_of_the_owner(&small_pages);
    if (FAULTS_ARE_OURS) CHECK_EQ(faults_count, 0);
}

TEST(the_owner_takes_no_page_fault_on_huge_pages) {
    const long faults_count = faults_of_the_owner(&huge_pages);
    if (FAULTS_ARE_OURS) CHECK_EQ(faults_count, 0);
}

TEST(past_the_reservation_is_refused_and_changes_nothing) {
    csti_pages pages;
    cst_err err = {0};

    CHECK_OK(csti_pages_reserve(&pages, 64 << 10, &small_pages, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 4096, NULL));
    CHECK_CODE(csti_pages_prepare(&pages, (64 << 10) + 1, &err), CST_LIMIT);
    CHECK_TEXT(err.text, "preparing 65537 bytes: 65536 are reserved");
    CHECK_CODE(csti_pages_prepare(&pages, SIZE_MAX, NULL), CST_LIMIT);
    CHECK_EQ(csti_pages_ready(&pages), 4096);
    CHECK_OK(csti_pages_prepare(&pages, 64 << 10, NULL));
    csti_pages_release(&pages);
}

TEST(sizes_and_nodes_that_cannot_be_are_refused) {
    csti_pages pages;

    CHECK_CODE(csti_pages_reserve(&pages, 0, NULL, NULL), CST_LIMIT);
    CHECK_CODE(csti_pages_reserve(&pages, SIZE_MAX, NULL, NULL), CST_LIMIT);
    CHECK_CODE(csti_pages_reserve(&pages, 4096, &(csti_pages_options){.numa_node = -2}, NULL),
               CST_NOT_FOUND);
    CHECK_CODE(csti_pages_reserve(&pages, 4096, &(csti_pages_options){.numa_node = 64}, NULL),
               CST_NOT_FOUND);
    CHECK_CODE(csti_pages_reserve(&pages, 4096, &(csti_pages_options){.numa_node = 63}, NULL),
               CST_NOT_FOUND);
}

TEST(more_addresses_than_the_process_may_have_is_no_memory) {
    struct rlimit before, tight;
    csti_pages pages;
    cst_code code;

    CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
    tight = before;
    tight.rlim_cur = 1 << 20;
    CHECK_EQ(setrlimit(RLIMIT_AS, &tight), 0);
    code = csti_pages_reserve(&pages, (size_t)1 << 30, &small_pages, NULL);
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    CHECK_CODE(code, CST_NO_MEMORY);
}

// RLIMIT_DATA counts private writable memory, so it refuses the mprotect.
TEST(a_failing_mprotect_is_no_memory_and_can_be_tried_again) {
    struct rlimit before, tight;
    csti_pages pages;
    cst_err err = {0};
    cst_code code;

    CHECK_OK(csti_pages_reserve(&pages, 64 << 20, &small_pages, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 4096, NULL));
    CHECK_EQ(getrlimit(RLIMIT_DATA, &before), 0);
    tight = before;
    tight.rlim_cur = 1 << 20;
    CHECK_EQ(setrlimit(RLIMIT_DATA, &tight), 0);
    code = csti_pages_prepare(&pages, 64 << 20, &err);
    CHECK_EQ(setrlimit(RLIMIT_DATA, &before), 0);
    CHECK_CODE(code, CST_NO_MEMORY);
    CHECK_EQ(csti_pages_ready(&pages), 4096);
    CHECK(strstr(err.text, "mprotect") != NULL);
    CHECK_OK(csti_pages_prepare(&pages, 64 << 20, NULL));
    CHECK_EQ(csti_pages_ready(&pages), 64 << 20);
    csti_pages_release(&pages);
}

TEST(release_may_be_called_twice_and_the_struct_used_again) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, 4096, NULL, NULL));
    csti_pages_release(&pages);
    csti_pages_release(&pages);
    CHECK_EQ(csti_pages_ready(&pages), 0);
    CHECK_EQ(pages.reserved_bytes, 0);
    CHECK_OK(csti_pages_reserve(&pages, 4096, NULL, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 4096, NULL));
    csti_pages_release(&pages);
}

TEST(where_counts_every_ready_byte_on_node_0_of_a_machine_with_one_node) {
    csti_pages pages;
    csti_pages_place place;

    CHECK_OK(csti_pages_reserve(&pages, 16 << 20, &(csti_pages_options){.numa_node = 0}, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 3 << 20, NULL));
    CHECK_OK(csti_pages_where(&pages, &place, NULL));
    CHECK_EQ(place.ready_bytes, 3 << 20);
    CHECK_EQ(place.node_bytes[0], 3 << 20);
    CHECK_EQ(place.absent_bytes, 0);
    CHECK_EQ(place.huge_bytes, 0);
    CHECK_OK(csti_pages_verify_node(&pages, 0, NULL));
    csti_pages_release(&pages);
}

TEST(verify_node_names_the_node_that_was_asked_for_in_vain) {
    csti_pages pages;
    cst_err err = {0};

    CHECK_OK(csti_pages_reserve(&pages, 8192, &(csti_pages_options){.numa_node = 0}, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 8192, NULL));
    CHECK_CODE(csti_pages_verify_node(&pages, 5, &err), CST_PLACEMENT);
    CHECK_TEXT(err.text, "8192 of 8192 bytes are on NUMA node 0, not on 5");
    CHECK_CODE(csti_pages_verify_node(&pages, -1, NULL), CST_NOT_FOUND);
    CHECK_CODE(csti_pages_verify_node(&pages, 64, NULL), CST_NOT_FOUND);
    csti_pages_release(&pages);
}

TEST(verify_node_notices_bytes_that_left_memory) {
    csti_pages pages;
    cst_err err = {0};

    CHECK_OK(csti_pages_reserve(&pages, 64 << 10, NULL, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 64 << 10, NULL));
    CHECK_EQ(madvise(pages.base + 8192, 4096, MADV_DONTNEED), 0);
    CHECK_CODE(csti_pages_verify_node(&pages, 0, &err), CST_PLACEMENT);
    CHECK_TEXT(err.text, "4096 of 65536 bytes are not in memory");
    csti_pages_release(&pages);
}

TEST(pages_from_another_node_than_was_asked_for_are_counted_as_they_are_made_ready) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, 1 << 20, &(csti_pages_options){.numa_node = 0}, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 64 << 10, NULL));
    CHECK_EQ(csti_pages_misplaced(&pages), 0);
    pages.options.numa_node = 5; // what comes now comes from a node that was not asked for
    CHECK_OK(csti_pages_prepare(&pages, 80 << 10, NULL));
    CHECK_EQ(csti_pages_misplaced(&pages), 16 << 10);
    CHECK_OK(csti_pages_prepare(&pages, 80 << 10, NULL)); // nothing new
    CHECK_EQ(csti_pages_misplaced(&pages), 16 << 10);
    CHECK_OK(csti_pages_prepare(&pages, 1 << 20, NULL));
    CHECK_EQ(csti_pages_misplaced(&pages), (1 << 20) - (64 << 10));
    csti_pages_release(&pages);
    CHECK_EQ(csti_pages_misplaced(&pages), 0);
}

TEST(where_no_node_was_asked_for_nothing_is_misplaced) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, 1 << 20, NULL, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 1 << 20, NULL));
    CHECK_EQ(csti_pages_misplaced(&pages), 0);
    csti_pages_release(&pages);
}

TEST(any_memory_is_counted_in_whole_pages) {
    static _Alignas(4096) uint8_t memory[4 * 4096];
    csti_pages_place place;

    memset(memory, 1, sizeof memory);
    CHECK_OK(csti_pages_count(memory + 4095, 2, &place, NULL));
    CHECK_EQ(place.ready_bytes, 8192);
    CHECK_EQ(place.node_bytes[0], 8192);
    CHECK_OK(csti_pages_count(memory, sizeof memory, &place, NULL));
    CHECK_EQ(place.node_bytes[0], sizeof memory);
    CHECK_OK(csti_pages_count(memory, 0, &place, NULL));
    CHECK_EQ(place.ready_bytes, 0);
}

TEST(only_whole_aligned_hugepages_are_huge) {
    csti_pages pages, other;
    csti_pages_place place;
    char policy[128] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    size_t huge_bytes_wanted = 0;

    if (file && fgets(policy, sizeof policy, file) && !strstr(policy, "[never]"))
        huge_bytes_wanted = 4 << 20;
    if (file) CHECK_EQ(fclose(file), 0);
    CHECK_OK(csti_pages_reserve(&pages, 16 << 20, &huge_pages, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 64 << 10, NULL));               // small
    CHECK_OK(csti_pages_prepare(&pages, (6 << 20) + (64 << 10), NULL)); // small, 2 huge, small
    CHECK_OK(csti_pages_reserve(&other, 16 << 20, &huge_pages, NULL));
    CHECK_OK(csti_pages_prepare(&other, 16 << 20, NULL)); // a neighbour's are not counted
    CHECK_OK(csti_pages_where(&pages, &place, NULL));
    CHECK_EQ(place.huge_bytes, huge_bytes_wanted);
    csti_pages_release(&other);
    csti_pages_release(&pages);
}

TEST(dma_memory_is_pinned_and_says_so) {
    csti_pages pages;
    const csti_pages_options dma = {.numa_node = -1, .dma = true};

    CHECK_OK(csti_pages_reserve(&pages, 64 << 10, &dma, NULL));
    CHECK_OK(csti_pages_prepare(&pages, 16 << 10, NULL));
    CHECK(csti_pages_pinned(&pages));
    CHECK_OK(csti_pages_prepare(&pages, 32 << 10, NULL));
    CHECK(csti_pages_pinned(&pages));
    CHECK_EQ(pages.pin_errno, 0);
    // The kernel refuses to drop locked pages: the lock is real.
    CHECK_EQ(madvise(pages.base, 4096, MADV_DONTNEED), -1);
    CHECK_EQ(signal_of_a_load(pages.base), SIGSEGV); // a child has no such range
    csti_pages_release(&pages);
}

TEST(memory_that_was_not_asked_to_be_pinned_is_not) {
    csti_pages pages;

    CHECK_OK(csti_pages_reserve(&pages, 4096, NULL, NULL));
    CHECK(!csti_pages_pinned(&pages));
    CHECK_OK(csti_pages_prepare(&pages, 4096, NULL));
    CHECK(!csti_pages_pinned(&pages));
    csti_pages_release(&pages);
}

TEST(a_block_is_aligned_and_of_any_size) {
    static const size_t sizes[] = {
        0, 1, 63, 4097, ((size_t)2 << 20) - 1, ((size_t)2 << 20) + 1, ((size_t)9 << 20) + 4321};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *block = csti_pages_block(sizes[i]);

        CHECK(block);
        CHECK_EQ((uintptr_t)block % (sizes[i] < CSTI_HUGEPAGE_BYTES ? 64 : CSTI_HUGEPAGE_BYTES), 0);
        memset(block, 7, sizes[i]);
        free(block);
    }
}

TEST_MAIN
