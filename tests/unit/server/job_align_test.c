// Alignments in whole jobs: what holds a checkpoint up and what does not, how one is given up, and
// that nothing of it is lost. Rows come from followed files; an operator with a gate holds the
// first file's reader up for as long as a case wants.
#include "base/random.h"
#include "server/job.h"
#include "server/query.h"
#include "test.h"
#include "unit/state/folder.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILES_MAX = 3,
    KEYS = 100,
    GATE_KEY = 0,    // its rows wait at the gate
    ROWS_FIRST = 10, // of each file
    PATH_BYTES = 300,
    ANSWER_BYTES = 1 << 16,
};

static const char job_text[] = "[job]\n"
                               "name = \"align\"\n"
                               "partitions = %d\n"
                               "dir = \"data\"\n"
                               "[source]\n"
                               "kind = \"file\"\n"
                               "path = \"rows\"\n"
                               "format = \"csv\"\n"
                               "columns = [\"key u64\", \"value u64\"]\n"
                               "follow = true\n"
                               "[[operator]]\n"
                               "library = \"%s/lib/libtest.operator_plain.so\"\n"
                               "options = \"gate %s/gate\"\n"
                               "[key]\n"
                               "columns = [\"key\"]\n"
                               "[[aggregate]]\n"
                               "as = \"n\"\n"
                               "op = \"count\"\n"
                               "[[aggregate]]\n"
                               "as = \"sum\"\n"
                               "op = \"sum\"\n"
                               "column = \"value\"\n"
                               "[state]\n"
                               "budget = \"256MiB\"\n"
                               "[checkpoint]\n"
                               "every = \"10ms\"\n"
                               "%s";

typedef struct fixture {
    char folder[256], path[PATH_BYTES];
    int files;
    csti_job_config config;
    csti_job_options options;
    csti_job *job;
    pthread_t thread;
    _Atomic uint64_t reports;
    _Atomic bool ended;
    csti_job_result result;
    cst_code code;
    cst_err err;
    uint64_t counts[KEYS], sums[KEYS]; // what the state should hold
} fixture;

static void append(fixture *f, int number, uint64_t key, int count) {
    char path[PATH_BYTES + 32];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/rows/%d.csv", f->folder, number);
    file = fopen(path, "a");
    CHECK(file);
    for (int i = 0; i < count; i++) {
        const uint64_t value = test_random_below(1000);

        fprintf(file, "%" PRIu64 ",%" PRIu64 "\n", key, value);
        f->counts[key]++;
        f->sums[key] += value;
    }
    CHECK_EQ(fclose(file), 0);
}

static void folder_open(fixture *f, int files, const char *more) {
    char path[PATH_BYTES];
    FILE *file;

    memset(f, 0, sizeof *f);
    f->files = files;
    folder_make(f->folder, sizeof f->folder);
    (void)snprintf(path, sizeof path, "%s/rows", f->folder);
    CHECK_EQ(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/gate", f->folder);
    CHECK_EQ(mkfifo(path, 0600), 0);
    (void)snprintf(f->path, sizeof f->path, "%s/job.toml", f->folder);
    file = fopen(f->path, "w");
    CHECK(file);
    fprintf(file, job_text, files, CST_BINARY_DIR, f->folder, more);
    CHECK_EQ(fclose(file), 0);
    for (int i = 0; i < files; i++) append(f, i, 1 + (uint64_t)i, ROWS_FIRST);
}

static void on_progress(void *context, const csti_job_progress *progress) {
    fixture *f = context;

    (void)progress;
    atomic_fetch_add(&f->reports, 1);
}

static void *run_aside(void *context) {
    fixture *f = context;

    f->code = csti_job_run(f->job, &f->result, &f->err);
    atomic_store(&f->ended, true);
    return NULL;
}

static void start(fixture *f) {
    if (csti_config_read(f->path, NULL, &f->config, &f->err) != CST_OK)
        TEST_FAIL("%s", f->err.text);
    f->options =
        (csti_job_options){.progress = on_progress, .progress_us = 1, .progress_context = f};
    atomic_store(&f->ended, false);
    CHECK_OK(csti_job_open(&f->config, &f->options, &f->job, &f->err));
    CHECK_EQ(pthread_create(&f->thread, NULL, run_aside, f), 0);
}

static void end(fixture *f) {
    CHECK_EQ(pthread_join(f->thread, NULL), 0);
}

static void job_close(fixture *f) {
    csti_job_close(f->job);
    csti_config_close(&f->config);
    f->job = NULL;
}

static void stop(fixture *f) {
    csti_job_stop(f->job);
    end(f);
    if (f->code != CST_OK) TEST_FAIL("%s", f->err.text);
    job_close(f);
}

static int64_t metric(fixture *f, csti_metric_kind kind, const char *name, const char *labels) {
    csti_metric *found = NULL;

    CHECK_OK(csti_metrics_register(csti_job_metrics(f->job), kind, name, "", labels, &found, NULL));
    return (int64_t)atomic_load(&found->value);
}

static int64_t commits(fixture *f) {
    return metric(f, CSTI_METRIC_COUNTER, "constellation_checkpoints_total", "");
}

static int64_t given_up(fixture *f, int partition, const char *why) {
    char labels[64];

    (void)snprintf(labels, sizeof labels, "partition=\"%d\",why=\"%s\"", partition, why);
    return metric(f, CSTI_METRIC_COUNTER, "constellation_barriers_given_up_total", labels);
}

static int64_t of_partition(fixture *f, csti_metric_kind kind, const char *name, int partition) {
    char labels[32];

    (void)snprintf(labels, sizeof labels, "partition=\"%d\"", partition);
    return metric(f, kind, name, labels);
}

static int64_t rows_read(fixture *f) {
    return metric(f, CSTI_METRIC_COUNTER, "constellation_source_rows_total", "");
}

// The test's own time-out ends what never comes.
#define WAIT_FOR(f, condition)                                                                     \
    do {                                                                                           \
        TEST_WAIT_UNTIL((condition) || atomic_load(&(f)->ended));                                  \
        if (!(condition)) TEST_FAIL("the job ended: %s", (f)->err.text);                           \
    } while (0)

// ---- State --------------------------------------------------------------------------------------

typedef struct answer {
    char text[ANSWER_BYTES];
    size_t bytes;
} answer;

static cst_code take(void *context, const void *bytes, size_t count, cst_err *err) {
    answer *a = context;

    (void)err;
    CHECK(a->bytes + count < sizeof a->text);
    memcpy(a->text + a->bytes, bytes, count);
    a->bytes += count;
    return CST_OK;
}

static cst_code query(const csti_job_config *config, answer *out, cst_err *err) {
    cst_object_store *store = NULL;
    csti_meta *meta = NULL;
    csti_query_report report;
    cst_code code = cst_object_store_open(config->checkpoint_store, NULL, &store, err);

    CHECK_OK(code);
    const csti_meta_log_options log = {.store = store,
                                       .clock = csti_clock_real(),
                                       .random = csti_random_real()};
    CHECK_OK(csti_meta_open_log(&log, &meta, err));
    const csti_query_options options = {.config = config,
                                        .store = store,
                                        .meta = meta,
                                        .clock = csti_clock_real(),
                                        .random = csti_random_real(),
                                        .write = take,
                                        .context = out};
    out->bytes = 0;
    memset(out->text, 0, sizeof out->text);
    code = csti_query(&options, &report, err);
    csti_meta_close(meta);
    cst_object_store_close(store);
    return code;
}

// Whether the newest checkpoint holds every row, each once.
static bool state_is_whole(fixture *f) {
    static answer got;
    uint64_t keys = 0, keys_wanted = 0;
    bool equal = true;
    cst_err err = {0};

    if (query(&f->config, &got, &err) != CST_OK) return false; // there is none yet
    for (const char *line = got.text; *line; line = strchr(line, '\n') + 1) {
        uint64_t key, n, sum;

        CHECK_EQ(sscanf(line, "{\"key\":%" SCNu64 ",\"n\":%" SCNu64 ",\"sum\":%" SCNu64, &key, &n,
                        &sum),
                 3);
        CHECK(n <= f->counts[key] && sum <= f->sums[key]);
        equal = equal && n == f->counts[key] && sum == f->sums[key];
        keys++;
    }
    for (uint64_t key = 0; key < KEYS; key++) keys_wanted += f->counts[key] > 0;
    return equal && keys == keys_wanted;
}

static void folder_close(fixture *f) {
    char command[PATH_BYTES];

    CHECK_OK(csti_config_read(f->path, NULL, &f->config, &f->err));
    CHECK(state_is_whole(f));
    csti_config_close(&f->config);
    (void)snprintf(command, sizeof command, "rm -r '%s'", f->folder);
    CHECK_EQ(system(command), 0);
}

// ---- The gate -----------------------------------------------------------------------------------

static int gate_of(const fixture *f) {
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof path, "%s/gate", f->folder);
    return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC); // fails while nobody waits at it
}

// The first file's reader stands at the gate; its row makes a barrier due. No barrier is on its way
// then: in the channels to the partition on that reader's thread, it would hold the others up.
static int gate_reach(fixture *f) {
    int gate = -1;

    WAIT_FOR(f, state_is_whole(f));

    append(f, 0, GATE_KEY, 1);
    WAIT_FOR(f, (gate = gate_of(f)) >= 0);
    return gate;
}

// Which partition a key belongs to: its hash key is drawn anew for each job.
static int64_t rows_applied(fixture *f, int partition) {
    return of_partition(f, CSTI_METRIC_COUNTER, "constellation_rows_total", partition);
}

static int64_t rows_applied_all(fixture *f) {
    int64_t sum = 0;

    for (int p = 0; p < f->files; p++) sum += rows_applied(f, p);
    return sum;
}

static uint64_t key_of_partition(fixture *f, int partition) {
    WAIT_FOR(f, rows_applied_all(f) == f->files * ROWS_FIRST);
    for (uint64_t key = 10; key < KEYS; key++) {
        const int64_t before = rows_applied(f, partition), all = rows_applied_all(f);

        append(f, 1, key, 1);
        WAIT_FOR(f, rows_applied_all(f) > all);
        if (rows_applied(f, partition) > before) return key;
    }
    TEST_FAIL("no key belongs to partition %d", partition);
    return 0;
}

// Rows behind the barrier are held, more and more of them: partition 1 waits for the gate.
static void alignment_reach(fixture *f, uint64_t key) {
    static const char name[] = "constellation_align_held_rows";
    int64_t held = 0;

    while (held < 3) { // a channel has a few blocks more
        const int64_t applied = rows_applied(f, 1);

        held = of_partition(f, CSTI_METRIC_GAUGE, name, 1);
        append(f, 1, key, 1);
        WAIT_FOR(f, of_partition(f, CSTI_METRIC_GAUGE, name, 1) > held ||
                        rows_applied(f, 1) > applied);
    }
    CHECK_EQ(of_partition(f, CSTI_METRIC_GAUGE, "constellation_align_waits_for", 1), 0);
}

static void gate_say(int gate, char what) {
    CHECK_EQ(write(gate, &what, 1), 1);
    CHECK_EQ(close(gate), 0);
}

// No checkpoint commits while somebody stands at the gate, and one does behind it.
static void gate_open(fixture *f, int gate) {
    const int64_t before = commits(f);

    gate_say(gate, 'g');
    WAIT_FOR(f, commits(f) > before);
}

// ---- Cases --------------------------------------------------------------------------------------

TEST(an_input_without_rows_holds_no_checkpoint_up) {
    static const char *const ways[] = {"superseded", "aborted", "limit", "timeout", "input_failed"};
    static fixture f;

    folder_open(&f, 2, "align_timeout = \"10s\"\n"); // far above what a loaded machine needs
    start(&f);
    for (int i = 0; i < 5; i++) {
        const int64_t before = commits(&f);

        append(&f, 1, 10 + (uint64_t)i, 20);
        WAIT_FOR(&f, commits(&f) > before);
    }
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
        for (int p = 0; p < 2; p++) CHECK_EQ(given_up(&f, p, ways[w]), 0);
    stop(&f);
    folder_close(&f);
}

TEST(a_reader_that_is_held_up_costs_one_checkpoint_and_no_row) {
    static fixture f;
    uint64_t key, reports;
    int gate;

    folder_open(&f, 2, "align_timeout = \"200ms\"\n");
    start(&f);
    key = key_of_partition(&f, 1);
    gate = gate_reach(&f);
    append(&f, 1, key, 20);
    WAIT_FOR(&f, of_partition(&f, CSTI_METRIC_GAUGE, "constellation_align_waits_for", 1) == 0 ||
                     given_up(&f, 1, "timeout") > 0);
    WAIT_FOR(&f, given_up(&f, 1, "timeout") > 0);
    WAIT_FOR(&f,
             metric(&f, CSTI_METRIC_COUNTER, "constellation_checkpoints_aborted_total", "") > 0);
    reports = atomic_load(&f.reports);
    WAIT_FOR(&f, atomic_load(&f.reports) > reports + 1); // everybody knows
    CHECK_EQ(given_up(&f, 1, "timeout"), 1);
    gate_open(&f, gate);
    // Its thread stood still: the barrier came to this partition when it had been given up.
    CHECK(of_partition(&f, CSTI_METRIC_COUNTER, "constellation_barriers_ignored_total", 0) > 0);
    stop(&f);
    folder_close(&f);
}

static int64_t told(fixture *f, int partition) {
    return given_up(f, partition, "aborted") +
           of_partition(f, CSTI_METRIC_COUNTER, "constellation_barriers_ignored_total", partition);
}

static void check_limit(const char *bound) {
    static fixture f;
    uint64_t key;
    char more[64];
    int gate;

    (void)snprintf(more, sizeof more, "align_timeout = \"1h\"\n%s\n", bound);
    folder_open(&f, 3, more);
    start(&f);
    key = key_of_partition(&f, 1);
    gate = gate_reach(&f);
    // Rows of one partition, behind the barrier some time. The other one hears of it from the
    // coordinator, before or behind its first input's barrier.
    while (told(&f, 2) == 0) {
        const int64_t read = rows_read(&f);

        append(&f, 1, key, 20);
        WAIT_FOR(&f, rows_read(&f) > read || told(&f, 2) > 0);
    }
    CHECK(given_up(&f, 1, "limit") > 0);
    CHECK_EQ(given_up(&f, 2, "limit"), 0);
    gate_open(&f, gate);
    stop(&f);
    folder_close(&f);
}

TEST(too_many_rows_held_give_the_checkpoint_up_in_every_partition) {
    check_limit("align_rows_max = 100");
}

TEST(too_many_bytes_held_give_the_checkpoint_up_in_every_partition) {
    check_limit("align_bytes_max = \"1KiB\"");
}

TEST(a_reader_that_fails_in_mid_alignment_ends_the_job_and_the_last_checkpoint_stays) {
    static fixture f;
    uint64_t key, last_id;
    int gate;

    folder_open(&f, 2, "align_timeout = \"1h\"\n");
    start(&f);
    key = key_of_partition(&f, 1);
    gate = gate_reach(&f);
    alignment_reach(&f, key);
    gate_say(gate, 'f');
    end(&f);
    CHECK_CODE(f.code, CST_OPERATOR);
    CHECK(strstr(f.err.text, "split file-0.csv"));
    CHECK(strstr(f.err.text, "the gate stays shut"));
    CHECK_EQ(given_up(&f, 1, "input_failed"), 1);
    CHECK_EQ(of_partition(&f, CSTI_METRIC_COUNTER, "constellation_inputs_failed_total", 1), 1);
    last_id = f.result.last_checkpoint_id;
    job_close(&f);
    start(&f);
    WAIT_FOR(&f, (gate = gate_of(&f)) >= 0); // the row comes again
    gate_open(&f, gate);
    stop(&f);
    CHECK_EQ(f.result.recovered_from, last_id);
    folder_close(&f);
}

TEST_MAIN
