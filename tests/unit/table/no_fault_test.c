// The owner thread takes no page fault, maps no memory and gives none back: the helper has made
// every byte ready before it is used. The kernel counts faults, so the test asks it, around every
// ring 0 command; a filter of the thread's own traps the system calls; malloc and free are counted.
#define _GNU_SOURCE // RUSAGE_THREAD
#include "base/helper.h"
#include "table/open.h"
#include "unit/table/fixture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOWED 1 // the sanitizer's shadow memory faults by itself
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHADOWED 1
#endif
#endif
#ifndef SHADOWED
#define SHADOWED 0
#endif

// Of this thread, by anybody's code.
static _Thread_local uint64_t allocations_count;

#if !SHADOWED
void *__libc_malloc(size_t bytes);
void __libc_free(void *memory);

void *malloc(size_t bytes) {
    allocations_count++;
    return __libc_malloc(bytes);
}
void free(void *memory) {
    allocations_count++;
    __libc_free(memory);
}
#endif

// Calls of this thread that map memory or give it back, from trap_calls on.
static _Thread_local volatile sig_atomic_t calls_count;

static void count_call(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
    calls_count++;
}

// For good: only for a thread that ends with the test.
static void trap_calls(void) {
    static const uint32_t numbers[] = {SYS_mmap,    SYS_munmap, SYS_mremap,  SYS_brk,  SYS_mprotect,
                                       SYS_madvise, SYS_mlock,  SYS_munlock, SYS_mbind};
    enum { COUNT = sizeof numbers / sizeof *numbers };
    const struct sigaction action = {.sa_sigaction = count_call, .sa_flags = SA_SIGINFO};
    struct sock_filter steps[COUNT + 3];
    const struct sock_fprog filter = {COUNT + 3, steps};

    steps[0] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (uint8_t i = 0; i < COUNT; i++) // to the last step
        steps[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i],
                                                    (uint8_t)(COUNT - i), 0);
    steps[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    steps[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    CHECK_EQ(sigaction(SIGSYS, &action, NULL), 0);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

static sem_t done;

// A thread that ends gives its stack back, behind our back and into the trap: it stays instead.
static void *stay(void *run) {
    void (*const *call)(void) = run;

    (*call)();
    CHECK_EQ(sem_post(&done), 0);
    while (!SHADOWED) (void)pause();
    return NULL;
}

// Runs on a thread of its own, as an owner does.
static void on_a_thread(void (*run)(void)) {
    static void (*call)(void);
    pthread_t thread;

    call = run;
    CHECK_EQ(sem_init(&done, 0, 0), 0);
    CHECK_EQ(pthread_create(&thread, NULL, stay, &call), 0);
    while (sem_wait(&done) != 0) CHECK_EQ(errno, EINTR);
    if (SHADOWED) CHECK_EQ(pthread_join(thread, NULL), 0);
}

static uint64_t faults(void) {
    struct rusage usage;

    CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

// The program's own code is mapped page by page as it is first run, rare paths late: that is not
// the table's memory, so all of it is touched before anything is counted.
extern const char __executable_start[], etext[];

static void touch_code(void) {
    for (const volatile char *page = __executable_start; page < etext; page += 4096) (void)*page;
}

TEST(the_counter_sees_a_fault) {
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const uint64_t before = faults();

    CHECK(page != MAP_FAILED);
    *(volatile uint8_t *)page = 1;
    CHECK(faults() > before);
    CHECK_EQ(munmap(page, 4096), 0);
}

static void calls_and_allocations(void) {
    void *volatile memory = malloc(16); // the thread's first one maps its arena

    free(memory);
    trap_calls();
    CHECK_EQ(calls_count, 0);
    (void)syscall(SYS_munmap, NULL, 0);
    CHECK_EQ(calls_count, 1);
    allocations_count = 0;
    memory = malloc(16);
    free(memory);
    if (!SHADOWED) CHECK_EQ(allocations_count, 2);
}
TEST(the_counters_see_a_call_and_an_allocation) {
    if (!SHADOWED) on_a_thread(calls_and_allocations);
}

typedef struct counted {
    uint64_t commands;
    uint64_t faults; // in them
    uint64_t waits;
} counted;

// Ring 0 alone is counted; waiting for the helper is what ring 1 does.
static void not_ready(cst_table *table, counted *seen) {
    csti_helper_wait(&table->job);
    seen->waits++;
}

static void apply_counted(cst_table *table, cst_rows *rows, counted *seen) {
    while (rows->first_row < rows->rows_count) {
        const uint64_t before = faults();
        uint32_t applied;
        cst_code code = cst_table_apply(table, rows, &applied);

        rows->first_row += applied;
        while (code == CST_TABLE_FULL || code == CST_AGAIN) {
            code = cst_table_grow(table, rows->hashes[rows->first_row]);
            seen->commands++;
        }
        seen->commands++;
        seen->faults += faults() - before;
        csti_table_nudge(table);
        if (code == CST_TABLE_NOT_READY)
            not_ready(table, seen);
        else
            CHECK_OK(code);
    }
}

enum { ROUNDS = 400, WARM_ROUNDS = 20, ROWS = 1000, NEW_ROWS = 700 };

// Values of 8 bytes and up to 5 times as many by turns: rows change their class in the slab.
static void lengths_vary(fixture_rows *batch, uint32_t *offsets, uint64_t round) {
    offsets[0] = 0;
    for (uint32_t r = 0; r < ROWS; r++)
        offsets[r + 1] = offsets[r] + 8 * (1 + (uint32_t)(batch->keys[r] + round) % 5);
    batch->rows.value_offsets = offsets;
}

// Applies, grows, seals and releases, `counts` looking on.
static void live(cst_table *table, bool wide) {
    static fixture_rows batch;
    static uint32_t offsets[ROWS + 1];
    cst_delta deltas[3] = {{0}};
    counted warm = {0}, seen = {0};

    for (uint64_t round = 0; round < ROUNDS; round++) {
        // Stack, code and batch are there after the first.
        counted *counts = round < WARM_ROUNDS ? &warm : &seen;
        uint64_t before;

        if (round == WARM_ROUNDS && !SHADOWED) trap_calls();
        if (round == WARM_ROUNDS) allocations_count = 0;
        fixture_fill(&batch, round * NEW_ROWS, ROWS); // 300 rows were there, 700 are new
        if (wide) lengths_vary(&batch, offsets, round);
        apply_counted(table, &batch.rows, counts);
        before = faults();
        deltas[round % 3] = cst_table_seal(table);
        if (round >= 3) CHECK_OK(cst_table_release(table, &deltas[(round + 1) % 3]));
        counts->commands += 2;
        counts->faults += faults() - before;
    }
    CHECK(table->control->splits_count > 100);
    CHECK(seen.commands > 1000);
    CHECK_EQ(calls_count, 0);
    if (!SHADOWED) CHECK_EQ(allocations_count, 0);
    if (!SHADOWED) CHECK_EQ(seen.faults, 0);
}

static cst_table *live_table; // opened and closed by the thread that owns no table

static void inline_life(void) {
    live(live_table, false);
}
TEST(apply_grow_seal_and_release_fault_no_page) {
    cst_table_options options = fixture_options();

    touch_code();
    options.background = true;
    options.budget_bytes = UINT64_C(512) << 20;
    options.program.value_bytes = FIXTURE_VALUE_BYTES_MAX;
    live_table = fixture_open(&options);
    on_a_thread(inline_life);
    fixture_check(live_table);
    cst_table_close(live_table);
}

static void wide_life(void) {
    live(live_table, true);
}
TEST(wide_rows_fault_no_page) {
    cst_table_options options = fixture_wide_options();

    touch_code();
    options.background = true;
    options.budget_bytes = UINT64_C(512) << 20;
    live_table = fixture_open(&options);
    on_a_thread(wide_life);
    fixture_check(live_table);
    cst_table_close(live_table);
}

TEST(lookups_scans_and_expiry_fault_no_page) {
    static fixture_rows batch;
    static uint8_t found[1000];
    cst_table_options options = fixture_options();
    uint64_t before, bucket = 0;
    cst_row_ref rows[64];
    cst_scan scan = {0};
    uint32_t count;
    cst_table *table;

    touch_code();
    options.background = true;
    options.program.ttl_us = 1;
    table = fixture_open(&options);
    fixture_put(table, 0, 1000);
    for (int round = 0; round < 2; round++) {
        fixture_fill(&batch, 0, 1000);
        before = faults();
        CHECK_OK(cst_table_lookup(table, &batch.rows, batch.values[0], 64, found));
        scan = (cst_scan){0};
        CHECK_OK(cst_table_scan(table, &scan, rows, 64, &count));
        CHECK_OK(cst_table_expire(table, &bucket, 8, 100, &count));
        if (round > 0 && !SHADOWED) CHECK_EQ(faults() - before, 0);
    }
    cst_table_close(table);
}

TEST_MAIN
