// A whole job whose Nth allocation fails: it says so or does without it, and loses nothing.
#include "nth.h"

#include "unit/server/runs.h"

#include <dirent.h>

enum {
    ROWS = 6000,
    // Threads take turns as they like, so the Nth is another one each time. Every Nth from a random
    // one on is a sample of all of them.
    RUNS_MAX = 32,
    RESCALED_RUNS_MAX = 8,
    PARTS_MAX = 256,
};

// ---- What the sink has --------------------------------------------------------------------------

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

static void part_read(const char *path, sums *out) {
    FILE *in = fopen(path, "r");
    char line[256];

    CHECK(in);
    while (fgets(line, sizeof line, in)) {
        uint64_t key, count, sum;

        CHECK_EQ(sscanf(line,
                        "{\"key\":%" SCNu64 ",\"n\":%" SCNu64 ",\"sum\":%" SCNu64
                        ",\"_op\":\"upsert\"}",
                        &key, &count, &sum),
                 3);
        CHECK(key <= KEYS);
        out->count[key] = count; // the last line of a key is its result
        out->sum[key] = sum;
    }
    CHECK_EQ(fclose(in), 0);
}

static void output_read(const fixture *f, sums *out) {
    static char names[PARTS_MAX][PATH_BYTES];
    char path[2 * PATH_BYTES + 8];
    uint32_t count = 0;
    const struct dirent *entry;
    DIR *folder;

    memset(out, 0, sizeof *out);
    snprintf(path, sizeof path, "%s/out", f->folder);
    folder = opendir(path);
    CHECK(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        CHECK(strncmp(entry->d_name, "temp-", 5) != 0); // swept at the start
        CHECK(count < PARTS_MAX);
        snprintf(names[count++], PATH_BYTES, "%s", entry->d_name);
    }
    closedir(folder);
    qsort(names, count, sizeof names[0], by_name); // by epoch
    for (uint32_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/out/%s", f->folder, names[i]);
        part_read(path, out);
    }
}

static void check_output(const fixture *f, uint64_t rows) {
    static sums expected, actual;

    sums_expect(f, rows, &expected);
    output_read(f, &actual);
    check_sums(&actual, &expected);
}

// ---- Two runs, and a third that must succeed ----------------------------------------------------

static cst_code run_failing(fixture *f, uint64_t rows) {
    const csti_config_overrides overrides = {.rows = rows};
    cst_code code = csti_config_read(f->path, &overrides, &f->config, &f->err);

    if (code == CST_OK) code = csti_job_open(&f->config, &f->options, &f->job, &f->err);
    if (code == CST_OK) code = csti_job_run(f->job, &f->result, &f->err);
    job_close(f);
    return code;
}

// An entry of the metadata that is written and cannot be looked at is there or not, for want of
// memory.
static bool is_memorys(cst_code code, const cst_err *err) {
    return (code == CST_NO_MEMORY && err->text[0]) ||
           (code == CST_OBJECT_AMBIGUOUS && strstr(err->text, "CST_NO_MEMORY"));
}

#define SINK "kind = \"file\"\npath = \"out\""

// False: fewer allocations than n were made. `partitions`: of each run.
static bool fail_one(uint64_t n, const int partitions[3]) {
    static fixture f;
    cst_code code;
    bool failed;

    folder_open_for(&f, partitions[0], ROWS, "1_000 rows", SINK);
    nth_fail_at(n);
    code = run_failing(&f, ROWS / 2);
    if (code == CST_OK) {
        job_write(&f, partitions[1], ROWS, "1_000 rows", SINK);
        code = run_failing(&f, ROWS);
    }
    failed = nth_end();
    job_write(&f, partitions[2], ROWS, "1_000 rows", SINK);
    if (code != CST_OK && (!failed || !is_memorys(code, &f.err)))
        TEST_FAIL("allocation %" PRIu64 ": %s: %s", n, cst_code_name(code), f.err.text);
    run_ok(&f, ROWS);
    CHECK(f.result.caught_up);
    check_state(&f, ROWS);
    check_output(&f, ROWS);
    folder_close(&f);
    return failed;
}

static void fail_some(uint64_t runs_max, const int partitions[3]) {
    uint64_t all, step;

    CHECK(!fail_one(UINT64_MAX, partitions));
    all = nth_count();
    step = all / TEST_SHARE(runs_max) + 1;
    for (uint64_t n = 1 + test_random_below(step); n <= all; n += step)
        (void)fail_one(n, partitions);
}

TEST(whichever_allocation_fails_a_job_says_so_and_loses_nothing) {
    static const int partitions[3] = {2, 2, 2};

    fail_some(RUNS_MAX, partitions);
}

TEST(also_where_each_run_has_another_number_of_partitions) {
    static const int partitions[3] = {2, 4, 3};

    fail_some(RESCALED_RUNS_MAX, partitions);
}

TEST_MAIN
