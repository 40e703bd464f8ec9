// The aggregates over all keys of a whole job, read while it runs.
#include "server/job.h"
#include "test.h"

#include <constellation/generator.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { ROWS = 200000, PARTITIONS = 3, READERS = 2, PATH_BYTES = 300 };

static const char job_text[] = "[job]\n"
                               "name = \"totals\"\n"
                               "partitions = %d\n"
                               "%s\n"
                               "[source]\n"
                               "kind = \"generator\"\n"
                               "name = \"uniform\"\n"
                               "keys = 1000\n"
                               "[key]\n"
                               "columns = [\"key\"]\n"
                               "[[aggregate]]\n"
                               "as = \"newest\"\n"
                               "op = \"last\"\n"
                               "column = \"value\"\n"
                               "[[aggregate]]\n"
                               "as = \"n\"\n"
                               "op = \"count\"\n"
                               "[[aggregate]]\n"
                               "as = \"sum\"\n"
                               "op = \"sum\"\n"
                               "column = \"value\"\n"
                               "[[aggregate]]\n"
                               "as = \"least\"\n"
                               "op = \"min\"\n"
                               "column = \"value\"\n"
                               "[state]\n"
                               "budget = \"256MiB\"\n"
                               "[checkpoint]\n"
                               "every = \"10ms\"\n";

typedef struct fixture {
    char folder[256], path[PATH_BYTES];
    csti_job_config config;
    csti_job *job;
    csti_job_result result;
    _Atomic bool ended;
    cst_err err;
} fixture;

static void folder_open(fixture *f, const char *totals) {
    FILE *file;

    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "%s/cst-totals-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    CHECK(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/job.toml", f->folder);
    file = fopen(f->path, "w");
    CHECK(file);
    fprintf(file, job_text, PARTITIONS, totals);
    CHECK_EQ(fclose(file), 0);
}

static void folder_close(fixture *f) {
    char command[PATH_BYTES];

    snprintf(command, sizeof command, "rm -r '%s'", f->folder);
    CHECK_EQ(system(command), 0);
}

static void job_open(fixture *f, uint64_t rows) {
    const csti_config_overrides overrides = {.rows = rows};
    const csti_job_options options = {.until = CSTI_UNTIL_CAUGHT_UP};

    if (csti_config_read(f->path, &overrides, &f->config, &f->err) != CST_OK)
        TEST_FAIL("%s", f->err.text);
    atomic_store(&f->ended, false);
    CHECK_OK(csti_job_open(&f->config, &options, &f->job, &f->err));
}

static void job_close(fixture *f) {
    csti_job_close(f->job);
    csti_config_close(&f->config);
}

static uint64_t number(const csti_job_totals *totals, uint32_t index, const char *name) {
    CHECK(strcmp(totals->list[index].name, name) == 0);
    CHECK(!totals->list[index].overflowed);
    return strtoull(totals->list[index].text, NULL, 10);
}

// Of one moment of each partition: as many rows as were counted, and never fewer than before.
static void *read_on(void *context) {
    const fixture *f = context;
    uint64_t rows = 0, reads = 0, oldest = 0;

    while (!atomic_load(&f->ended)) {
        csti_job_totals totals;
        const cst_code code = csti_job_totals_read(f->job, &totals);

        if (code == CST_AGAIN) continue;
        CHECK_OK(code);
        CHECK_EQ(totals.partitions_all, PARTITIONS);
        CHECK_EQ(totals.count, 3); // last is of no order
        if (totals.partitions < PARTITIONS) continue;
        CHECK_EQ(number(&totals, 0, "n"), totals.rows);
        CHECK(totals.rows >= rows);
        CHECK(totals.oldest_epoch >= oldest);
        CHECK(totals.newest_epoch >= totals.oldest_epoch);
        rows = totals.rows;
        oldest = totals.oldest_epoch;
        reads++;
        (void)sched_yield();
    }
    CHECK(reads > 0);
    return NULL;
}

static void check_totals(fixture *f, uint64_t rows) {
    const cst_generator_options options = {.skew = -1,
                                           .keys = 1000,
                                           .seed = f->config.source.generate.seed};
    uint64_t sum = 0, least = UINT64_MAX;
    cst_generator *generator = NULL;
    csti_job_totals totals;
    cst_batch batch;

    CHECK_OK(cst_generator_open("uniform", &options, &generator, NULL));
    for (uint64_t row = 0; row < rows; row++) {
        CHECK_OK(cst_generator_next(generator, 1, &batch));
        const uint64_t value = *(const uint64_t *)batch.columns[1].values.data;
        sum += value;
        least = value < least ? value : least;
    }
    cst_generator_close(generator);
    CHECK_OK(csti_job_totals_read(f->job, &totals));
    CHECK_EQ(totals.partitions, PARTITIONS);
    CHECK_EQ(totals.rows, rows);
    CHECK_EQ(number(&totals, 0, "n"), rows);
    CHECK_EQ(number(&totals, 1, "sum"), sum);
    CHECK_EQ(number(&totals, 2, "least"), least);
}

TEST(readers_see_totals_that_agree_with_themselves_and_at_the_end_with_all_rows) {
    static fixture f;
    pthread_t readers[READERS];

    folder_open(&f, "totals = true");
    for (uint64_t rows = ROWS; rows <= 3 * ROWS; rows += ROWS) { // the later ones are restored
        job_open(&f, rows);
        for (int r = 0; r < READERS; r++)
            CHECK_EQ(pthread_create(&readers[r], NULL, read_on, &f), 0);
        if (csti_job_run(f.job, &f.result, &f.err) != CST_OK) TEST_FAIL("%s", f.err.text);
        check_totals(&f, rows);
        atomic_store(&f.ended, true);
        for (int r = 0; r < READERS; r++) CHECK_EQ(pthread_join(readers[r], NULL), 0);
        job_close(&f);
    }
    folder_close(&f);
}

TEST(totals_of_restored_keys_are_there_before_any_row) {
    static fixture f;

    folder_open(&f, "totals = true");
    for (int run = 0; run < 2; run++) {
        job_open(&f, ROWS);
        CHECK_OK(csti_job_run(f.job, &f.result, &f.err));
        CHECK_EQ(f.result.rows, run == 0 ? ROWS : 0);
        check_totals(&f, ROWS);
        job_close(&f);
    }
    folder_close(&f);
}

TEST(a_job_without_them_says_so) {
    static fixture f;
    csti_job_totals totals;

    folder_open(&f, "totals = false");
    job_open(&f, ROWS);
    CHECK_CODE(csti_job_totals_read(f.job, &totals), CST_UNSUPPORTED);
    CHECK_OK(csti_job_run(f.job, &f.result, &f.err));
    CHECK_CODE(csti_job_totals_read(f.job, &totals), CST_UNSUPPORTED);
    job_close(&f);
    folder_close(&f);
}

TEST_MAIN
