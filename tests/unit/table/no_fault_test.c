// The owner thread takes no page fault: the helper has made every byte ready before it is used. The
// kernel counts, so the test asks it, around every ring 0 command.
#define _GNU_SOURCE // RUSAGE_THREAD
#include "base/helper.h"
#include "table/open.h"
#include "unit/table/fixture.h"

#include <sys/mman.h>
#include <sys/resource.h>

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

TEST(apply_grow_seal_and_release_fault_no_page) {
    static fixture_rows batch;
    cst_table_options options = fixture_options();
    cst_delta deltas[3] = {{0}};
    counted warm = {0}, seen = {0};
    cst_table *table;
    uint64_t before;

    touch_code();
    options.background = true;
    options.budget_bytes = UINT64_C(512) << 20;
    options.program.value_bytes = 64;
    table = fixture_open(&options);
    for (uint64_t round = 0; round < 400; round++) {
        counted *counts = round < 20 ? &warm : &seen; // stack, code and batch are there after it

        fixture_fill(&batch, round * 700, 1000); // 300 rows were there, 700 are new
        apply_counted(table, &batch.rows, counts);
        before = faults();
        deltas[round % 3] = cst_table_seal(table);
        if (round >= 3) CHECK_OK(cst_table_release(table, &deltas[(round + 1) % 3]));
        counts->commands += 2;
        counts->faults += faults() - before;
    }
    CHECK(table->control->splits_count > 100);
    CHECK(seen.commands > 1000);
    if (!SHADOWED) CHECK_EQ(seen.faults, 0);
    fixture_check(table);
    cst_table_close(table);
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
