#define _GNU_SOURCE 1 // memmem

// Whole jobs in this process: stopped, started again, fenced off, short of memory.
#include "checkpoint/names.h"
#include "unit/server/runs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    ROWS_MORE = 50000,
    ROWS = 60000,
    TEXT_BYTES = 4096,
    FAILURES = 6,
    COMMITS_MAX = 300,
    DELTAS_MAX = 4,
    STAGED_BYTES_MAX = 4096,
};

// No file may grow: the nearest to a full disk that a process can do to itself.
static void disk_fill(bool full) {
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// The disk is full behind the first commit, until enough has failed; it is over two commits later.
static void on_progress_disk(void *context, const csti_job_progress *progress) {
    static uint64_t committed;
    fixture *f = context;
    csti_checkpointer_stats stats;

    if (progress->recovering || progress->checkpoints == 0) return;
    csti_checkpointer_stats_read(f->job->checkpointer, &stats);
    if (stats.errors_count == 0) {
        disk_fill(true);
    } else if (committed == 0) {
        if (stats.errors_count < FAILURES) return;
        committed = progress->checkpoints;
        disk_fill(false);
    } else if (f->stop_at_rows > 0 && progress->checkpoints >= committed + 2) {
        f->stop_at_rows = 0;
        csti_job_stop(f->job);
    }
}

// An object of somebody who is gone, or who is still to come.
static void litter_put(const fixture *f, const csti_checkpoint_name *name, char path[TEXT_BYTES]) {
    char uri[PATH_BYTES + 64], text[CSTI_CHECKPOINT_NAME_BYTES];
    cst_object_store *store = NULL;
    const cst_bytes range = {(const uint8_t *)"left", 4};
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT};

    csti_checkpoint_name_format(name, text);
    snprintf(uri, sizeof uri, "file:%s/data/checkpoints", f->folder);
    snprintf(path, TEXT_BYTES, "%s/data/checkpoints/%s", f->folder, text);
    CHECK_OK(cst_object_store_open(uri, NULL, &store, NULL));
    CHECK_OK(cst_object_put(store, text, &range, 1, &options, NULL, NULL));
    cst_object_store_close(store);
}

static char litter[2][TEXT_BYTES]; // what is to go

// Until all of it has gone, or a few hundred commits have not made it go.
static void on_progress_litter(void *context, const csti_job_progress *progress) {
    fixture *f = context;
    bool gone = true;

    for (size_t i = 0; i < 2; i++) gone = gone && access(litter[i], F_OK) != 0;
    if (f->stop_at_rows == 0 || (!gone && progress->checkpoints < COMMITS_MAX)) return;
    f->stop_at_rows = 0;
    csti_job_stop(f->job);
}

TEST(a_job_reads_all_commits_all_and_ends) {
    static fixture f;

    folder_open(&f, 3, ROWS, "10ms");
    run_ok(&f, 0);
    CHECK(f.result.caught_up);
    CHECK_EQ(f.result.rows, ROWS);
    CHECK_EQ(f.result.keys, KEYS);
    CHECK_EQ(f.result.recovered_from, 0);
    CHECK(f.result.checkpoints > 0);
    check_state(&f, ROWS);
    run_ok(&f, 0); // nothing is left to do
    CHECK_EQ(f.result.rows, 0);
    CHECK_EQ(f.result.keys, KEYS);
    CHECK(f.result.recovered_from > 0);
    CHECK_EQ(f.result.checkpoints, 0);
    folder_close(&f);
}

TEST(a_stopped_job_has_committed_what_it_read_and_goes_on_behind_it) {
    static fixture f;
    uint64_t rows;

    folder_open(&f, 2, 0, "10ms");
    f.stop_at_rows = ROWS;
    run_ok(&f, 0);
    CHECK(!f.result.caught_up);
    rows = f.result.rows;
    CHECK(rows >= ROWS);
    run_ok(&f, 2 * rows);
    CHECK(f.result.caught_up);
    CHECK_EQ(f.result.rows, rows);
    check_state(&f, 2 * rows);
    folder_close(&f);
}

TEST(a_job_that_is_stopped_twice_ends_without_a_checkpoint) {
    static fixture f;

    folder_open(&f, 2, 0, "1h");
    job_open(&f, 0);
    csti_job_stop(f.job);
    csti_job_stop(f.job);
    CHECK_OK(csti_job_run(f.job, &f.result, &f.err));
    CHECK_EQ(f.result.checkpoints, 0);
    job_close(&f);
    folder_close(&f);
}

// Whoever asks twice while a job comes back does not wait for its tables.
TEST(a_job_that_is_stopped_twice_while_it_recovers_ends_as_it_was) {
    static fixture f;

    folder_open(&f, 2, ROWS, "1h");
    run_ok(&f, 0);
    job_open(&f, 0);
    csti_job_stop(f.job);
    csti_job_stop(f.job);
    CHECK_OK(csti_job_run(f.job, &f.result, &f.err));
    CHECK_EQ(f.result.rows, 0);
    CHECK_EQ(f.result.checkpoints, 0);
    CHECK(!f.result.caught_up);
    job_close(&f);
    run_ok(&f, 0);
    CHECK(f.result.recovered_from > 0);
    check_state(&f, ROWS);
    folder_close(&f);
}

// The first word of a recovery that is heard.
static void on_progress_stop(void *context, const csti_job_progress *progress) {
    fixture *f = context;

    if (!progress->recovering || atomic_exchange(&f->going, true)) return;
    CHECK(progress->checked_bytes_all > 0);
    CHECK_EQ(progress->restored_bytes_all, 0);
    csti_job_stop(f->job);
}

TEST(a_job_that_is_stopped_once_while_it_checks_its_checkpoint_ends_as_it_was) {
    for (int verify_all = 0; verify_all < 2; verify_all++) {
        static fixture f;

        folder_open(&f, 2, ROWS, "1h");
        run_ok(&f, 0);
        f.options.progress = on_progress_stop;
        f.options.verify_all = verify_all == 1;
        atomic_store(&f.going, false);
        job_open(&f, 0);
        CHECK_OK(csti_job_run(f.job, &f.result, &f.err));
        CHECK(atomic_load(&f.going));
        CHECK_EQ(f.result.recovered_from, 0);
        CHECK_EQ(f.result.rows, 0);
        CHECK_EQ(f.result.checkpoints, 0);
        CHECK(f.result.finished);
        CHECK(!f.result.caught_up);
        job_close(&f);
        f.options.progress = on_progress;
        run_ok(&f, 0);
        CHECK(f.result.recovered_from > 0);
        check_state(&f, ROWS);
        folder_close(&f);
    }
}

static void on_applied(void *context, uint32_t partition, uint32_t rows_count, uint64_t read_ns,
                       uint64_t applied_ns) {
    fixture *f = context;

    CHECK(partition < f->config.partitions);
    CHECK(read_ns > 0);
    CHECK(read_ns <= applied_ns);
    atomic_fetch_add(&f->applied, rows_count);
}

// Of the calling thread; a test's own is what the others begin with.
static int niceness(void) {
    return getpriority(PRIO_PROCESS, 0);
}

static int niceness_own;

static void on_passed(void *context, csti_job_moment moment, uint64_t number) {
    fixture *f = context;

    if (moment == CSTI_JOB_COMMITTED) CHECK_EQ(niceness(), niceness_own);
    if (moment == CSTI_JOB_FOLDED) CHECK(niceness() > niceness_own || niceness() == 19);
    if (moment == CSTI_JOB_BEGAN) CHECK_EQ(number, atomic_fetch_add(&f->begun, 1) + 1);
    if (moment == CSTI_JOB_COMMITTED) CHECK_EQ(number, atomic_fetch_add(&f->committed, 1) + 1);
    if (moment != CSTI_JOB_FOLDED) return;
    CHECK(number < f->config.partitions);
    atomic_fetch_add(&f->folded, 1);
}

static void observe(fixture *f) {
    niceness_own = niceness();
    f->options.observer =
        (csti_job_observer){.applied = on_applied, .passed = on_passed, .context = f};
}

static uint64_t counter(fixture *f, const char *name) {
    csti_metric *metric = NULL;

    CHECK_OK(csti_metrics_register(csti_job_metrics(f->job), CSTI_METRIC_COUNTER, name, "", "",
                                   &metric, &f->err));
    return atomic_load(&metric->value);
}

TEST(an_observer_hears_of_every_row_and_every_checkpoint) {
    static fixture f;

    folder_open(&f, 2, ROWS, "10ms");
    observe(&f);
    run_ok(&f, 0);
    CHECK_EQ(atomic_load(&f.applied), ROWS);
    CHECK_EQ(atomic_load(&f.committed), f.result.checkpoints);
    CHECK_EQ(atomic_load(&f.begun), f.result.checkpoints);
    folder_close(&f);
}

static cst_code fewer_rows_open(void *context, const csti_source_options *options,
                                csti_source **out, cst_err *err) {
    const fixture *f = context;
    csti_source_options fewer = *options;

    fewer.rows = f->source_rows;
    return csti_source_open(&fewer, out, err);
}

TEST(a_source_that_is_brought_along_takes_the_place_of_the_configs) {
    static fixture f;

    folder_open(&f, 2, ROWS, "1h");
    f.source_rows = ROWS / 2;
    f.options.source_open = fewer_rows_open;
    f.options.source_context = &f;
    run_ok(&f, 0);
    CHECK_EQ(f.result.rows, ROWS / 2);
    check_state(&f, ROWS / 2);
    folder_close(&f);
}

TEST(a_job_whose_checkpoints_are_held_takes_the_last_one_alone) {
    static fixture f;

    folder_open(&f, 2, 0, "10ms");
    job_open(&f, 50 * ROWS);
    csti_job_hold_checkpoints(f.job, true);
    CHECK(!csti_job_is_settled(f.job)); // it does not run yet
    f.code = csti_job_run(f.job, &f.result, &f.err);
    CHECK_OK(f.code);
    CHECK_EQ(f.result.checkpoints, 1);
    job_close(&f);
    check_state(&f, 50 * ROWS);
    folder_close(&f);
}

static void *run_aside(void *context) {
    fixture *f = context;

    f->code = csti_job_run(f->job, &f->result, &f->err);
    return NULL;
}

TEST(held_checkpoints_end_what_is_under_way_and_go_on_when_let_go) {
    static fixture f;
    pthread_t runner;
    uint64_t begun, rows;

    folder_open(&f, 2, 0, "10ms");
    observe(&f);
    job_open(&f, 0);
    f.config.fold.every = 2; // the config is the job's to read, and it does not run yet
    CHECK_EQ(pthread_create(&runner, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&f.committed) >= 5 && atomic_load(&f.folded) > 0);
    csti_job_hold_checkpoints(f.job, true);
    rows = atomic_load(&f.applied);
    TEST_WAIT_UNTIL(atomic_load(&f.applied) >= rows + ROWS); // a barrier that was about to go went
    TEST_WAIT_UNTIL(csti_job_is_settled(f.job));
    begun = atomic_load(&f.begun);
    CHECK_EQ(atomic_load(&f.committed), begun);
    CHECK(counter(&f, "constellation_folds_total") >= atomic_load(&f.folded));
    CHECK(counter(&f, "constellation_folded_bytes_total") > 0);
    rows = atomic_load(&f.applied);
    TEST_WAIT_UNTIL(atomic_load(&f.applied) >= rows + ROWS);
    CHECK_EQ(atomic_load(&f.begun), begun);
    CHECK(csti_job_is_settled(f.job));
    csti_job_hold_checkpoints(f.job, false);
    TEST_WAIT_UNTIL(atomic_load(&f.committed) != begun);
    csti_job_stop(f.job);
    CHECK_EQ(pthread_join(runner, NULL), 0);
    CHECK_OK(f.code);
    CHECK(f.result.checkpoints > begun);
    job_close(&f);
    folder_close(&f);
}

TEST(a_disk_that_is_full_for_a_while_stops_no_job_that_had_committed) {
    static fixture f;
    uint64_t rows;

    folder_open(&f, 2, 0, "10ms");
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    f.options.progress = on_progress_disk;
    f.stop_at_rows = 1;
    run_ok(&f, 0);
    CHECK_EQ(f.stop_at_rows, 0);
    rows = f.result.rows;
    CHECK(rows > 0);
    f.options.progress = NULL;
    run_ok(&f, 2 * rows); // all rows up to a number: then which ones is known
    CHECK(f.result.caught_up);
    CHECK_EQ(f.result.rows, rows);
    check_state(&f, 2 * rows);
    folder_close(&f);
}

TEST(what_a_dead_run_left_is_gone_behind_the_next_ones_first_commit) {
    const csti_checkpoint_name delta = {
        .kind = CSTI_NAME_DELTA, .id = 1000000, .tenure = 1, .nonce = 7, .epoch = 9};
    const csti_checkpoint_name manifest = {.kind = CSTI_NAME_MANIFEST,
                                           .id = 1000000,
                                           .tenure = 1,
                                           .nonce = 7};
    const csti_checkpoint_name next = {
        .kind = CSTI_NAME_DELTA, .id = 1, .tenure = 3, .nonce = 7, .epoch = 9};
    static char kept[TEXT_BYTES];
    static fixture f;

    folder_open(&f, 2, 0, "10ms");
    f.stop_at_rows = ROWS;
    run_ok(&f, 0); // tenure 1
    litter_put(&f, &delta, litter[0]);
    litter_put(&f, &manifest, litter[1]);
    litter_put(&f, &next, kept); // its owner is still to come
    f.options.progress = on_progress_litter;
    f.stop_at_rows = 1;
    run_ok(&f, 0); // tenure 2
    for (size_t i = 0; i < 2; i++) CHECK(access(litter[i], F_OK) != 0);
    CHECK_EQ(access(kept, F_OK), 0);
    folder_close(&f);
}

TEST(cuts_every_n_rows_are_as_many_as_there_should_be) {
    static fixture f;

    folder_open(&f, 2, ROWS, "10_000 rows");
    run_ok(&f, 0);
    CHECK(f.result.checkpoints >= ROWS / 10000);
    CHECK(f.result.checkpoints <= ROWS / 10000 + 1);
    check_state(&f, ROWS);
    folder_close(&f);
}

static uint64_t tenure_of(fixture *f) {
    char uri[PATH_BYTES + 64];
    cst_object_store *store = NULL;
    csti_meta *meta = NULL;
    csti_meta_view view;
    csti_arena arena;
    uint64_t tenure;

    snprintf(uri, sizeof uri, "file:%s/data/checkpoints", f->folder);
    csti_arena_init(&arena, 1 << 20);
    CHECK_OK(cst_object_store_open(uri, NULL, &store, NULL));
    const csti_meta_log_options log = {.store = store,
                                       .clock = csti_clock_real(),
                                       .random = csti_random_real()};
    CHECK_OK(csti_meta_open_log(&log, &meta, NULL));
    CHECK_OK(csti_meta_read(meta, &arena, &view, NULL));
    tenure = view.tenure;
    csti_meta_close(meta);
    cst_object_store_close(store);
    csti_arena_release(&arena);
    return tenure;
}

// The job file again, with another sink.
static void sink_change(const fixture *f, const char *sink) {
    FILE *file = fopen(f->path, "w");
    char rows[64];

    CHECK(file);
    snprintf(rows, sizeof rows, "rows = %d", ROWS);
    fprintf(file, job_text, 2, KEYS, rows, sink, "1s");
    CHECK_EQ(fclose(file), 0);
}

TEST(another_kind_of_sink_is_refused) {
    static const struct {
        const char *before, *after, *was, *is;
    } cases[] = {
        {"kind = \"file\"\npath = \"out\"", "kind = \"none\"", "\"file\"", "\"none\""},
        {"kind = \"none\"", "kind = \"file\"\npath = \"out\"", "\"none\"", "\"file\""},
        {"kind = \"file\"\npath = \"out\"", "kind = \"stdout\"", "\"file\"", "\"stdout\""},
        {"kind = \"none\"", "kind = \"stdout\"", "\"none\"", "\"stdout\""},
    };
    static fixture f;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char is[64], was[64];

        folder_open_for(&f, 2, ROWS, "1s", cases[i].before);
        run_ok(&f, 0);
        sink_change(&f, cases[i].after);
        CHECK_CODE(run(&f, 0), CST_CONFIG);
        snprintf(is, sizeof is, "[sink] kind is %s, and checkpoint", cases[i].is);
        snprintf(was, sizeof was, "was made with %s: results of committed rows", cases[i].was);
        CHECK(strstr(f.err.text, is));
        CHECK(strstr(f.err.text, was));
        CHECK_EQ(tenure_of(&f), 1); // it has claimed nothing
        sink_change(&f, cases[i].before);
        run_ok(&f, 0);
        check_state(&f, ROWS);
        folder_close(&f);
    }
}

TEST(another_folder_of_results_is_refused_before_anything_is_claimed) {
    static fixture f;
    char command[3 * PATH_BYTES];

    folder_open_for(&f, 2, ROWS, "1s", "kind = \"file\"\npath = \"out\"");
    run_ok(&f, 0);
    for (int start = 0; start < 2; start++) {
        sink_change(&f, "kind = \"file\"\npath = \"results/new\"");
        CHECK_CODE(run(&f, 0), CST_CONFIG);
        CHECK(strstr(f.err.text, "[sink] path is \"results/new\", and checkpoint"));
        CHECK(strstr(f.err.text, "put its results into \"out\""));
        CHECK(strstr(f.err.text, "Put that path there, or move the folder with its parts"));
        snprintf(command, sizeof command, "test ! -e '%s/results'", f.folder);
        CHECK_EQ(system(command), 0);
    }
    CHECK_EQ(tenure_of(&f), 1);
    sink_change(&f, "kind = \"file\"\npath = \"./results/../out/\"");
    run_ok(&f, 0);
    check_state(&f, ROWS);
    folder_close(&f);
}

// By the folder's name it was another one each time.
TEST(results_that_were_moved_or_have_a_second_name_are_gone_on_with) {
    static fixture f, g;
    char command[4 * PATH_BYTES], sink[2 * PATH_BYTES];

    folder_open_for(&f, 2, ROWS, "1s", "kind = \"file\"\npath = \"out\"");
    run_ok(&f, 0);
    // With its parts.
    snprintf(command, sizeof command, "mv '%s/out' '%s/moved'", f.folder, f.folder);
    CHECK_EQ(system(command), 0);
    sink_change(&f, "kind = \"file\"\npath = \"moved\"");
    run_ok(&f, 0);
    // A link, and no parts.
    snprintf(command, sizeof command, "rm '%s/moved/'*; ln -s moved '%s/out'; ln -s moved '%s/b'",
             f.folder, f.folder, f.folder);
    CHECK_EQ(system(command), 0);
    sink_change(&f, "kind = \"file\"\npath = \"b\"");
    run_ok(&f, 0);
    folder_close(&f);
    // The whole job, its folder named absolutely, with nothing in it.
    folder_open_for(&f, 2, ROWS, "1s", "kind = \"none\"");
    folder_open_for(&g, 2, ROWS, "1s", "kind = \"none\"");
    snprintf(sink, sizeof sink, "kind = \"file\"\npath = \"%s/out\"", f.folder);
    sink_change(&f, sink);
    run_ok(&f, 0);
    snprintf(command, sizeof command, "mv '%s/data' '%s/out' '%s'; rm '%s/out/'*", f.folder,
             f.folder, g.folder, g.folder);
    CHECK_EQ(system(command), 0);
    sink_change(&g, "kind = \"file\"\npath = \"out\"");
    run_ok(&g, 0);
    CHECK(g.result.recovered_from > 0);
    check_state(&g, ROWS);
    folder_close(&f);
    folder_close(&g);
}

// The state is removed and its results are not.
TEST(a_job_that_begins_anew_over_old_parts_ends_before_it_commits) {
    static fixture f;
    char command[2 * PATH_BYTES];

    folder_open_for(&f, 2, ROWS, "1s", "kind = \"file\"\npath = \"out\"");
    run_ok(&f, 0);
    snprintf(command, sizeof command, "rm -r '%s/data'", f.folder);
    CHECK_EQ(system(command), 0);
    for (int start = 0; start < 2; start++) {
        CHECK_CODE(run(&f, 0), CST_SINK);
        CHECK_EQ(f.result.checkpoints, 0);
        CHECK(strstr(f.err.text, "/out holds 0000"));
        CHECK(strstr(f.err.text, "Empty the folder, or name another"));
    }
    snprintf(command, sizeof command, "rm -r '%s/out'", f.folder);
    CHECK_EQ(system(command), 0);
    run_ok(&f, 0);
    check_state(&f, ROWS);
    folder_close(&f);
}

TEST(a_second_owner_is_refused_or_takes_over_and_the_first_is_fenced_off) {
    static fixture f, g;
    pthread_t first;

    folder_open(&f, 2, 0, "10ms");
    job_open(&f, 0);
    CHECK_EQ(pthread_create(&first, NULL, run_aside, &f), 0);
    memset(&g, 0, sizeof g);
    memcpy(g.folder, f.folder, sizeof g.folder);
    memcpy(g.path, f.path, sizeof g.path);
    TEST_WAIT_UNTIL(atomic_load(&f.going));
    CHECK_CODE(run(&g, ROWS), CST_JOB_RUNNING);
    g.options.takeover = true;
    g.stop_at_rows = ROWS;
    run_ok(&g, 0);
    CHECK_EQ(pthread_join(first, NULL), 0);
    CHECK_CODE(f.code, CST_FENCED);
    job_close(&f);
    g.options.takeover = false;
    run_ok(&g, UINT64_C(1));
    CHECK(g.result.recovered_from > 0);
    folder_close(&g);
}

static bool is_locked(const char *folder, const char *name) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[2 * PATH_BYTES];
    int fd;

    snprintf(path, sizeof path, "%s/data/%s", folder, name);
    fd = open(path, O_RDWR);
    if (fd < 0) return false;
    CHECK_EQ(fcntl(fd, F_OFD_GETLK, &whole), 0);
    close(fd);
    return whole.l_type != F_UNLCK;
}

// A copied job file, and its checkpoints are the first one's.
TEST(a_second_run_from_another_folder_is_refused_by_the_lock_of_the_store) {
    static fixture f, g;
    char uri[PATH_BYTES + 64];
    pthread_t first, second;

    folder_open(&f, 2, 0, "10ms");
    folder_open(&g, 2, 0, "10ms");
    snprintf(uri, sizeof uri, "file:%s/data/checkpoints", f.folder);
    job_open(&f, 0);
    CHECK_EQ(pthread_create(&first, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&f.going));
    job_open(&g, ROWS);
    g.config.checkpoint_store = uri;
    CHECK_CODE(csti_job_run(g.job, &g.result, &g.err), CST_JOB_RUNNING);
    CHECK(strstr(g.err.text, "runs job test, and holds"));
    CHECK(strstr(g.err.text, "data/checkpoints/.owner"));
    job_close(&g);
    g.options.takeover = true;
    job_open(&g, 0);
    g.config.checkpoint_store = uri;
    CHECK_EQ(pthread_create(&second, NULL, run_aside, &g), 0);
    CHECK_EQ(pthread_join(first, NULL), 0);
    CHECK_CODE(f.code, CST_FENCED);
    job_close(&f);
    TEST_WAIT_UNTIL(is_locked(f.folder, "checkpoints/.owner")); // now it is the second one's
    CHECK(is_locked(g.folder, "lock"));
    csti_job_stop(g.job);
    CHECK_EQ(pthread_join(second, NULL), 0);
    CHECK_OK(g.code);
    CHECK(!is_locked(f.folder, "checkpoints/.owner"));
    CHECK(!is_locked(g.folder, "lock"));
    job_close(&g);
    folder_close(&g);
    folder_close(&f);
}

TEST(of_two_jobs_with_one_dir_the_second_hears_which_the_first_is) {
    static fixture f, g;
    pthread_t first;

    folder_open(&f, 2, 0, "10ms");
    folder_open(&g, 2, 0, "10ms");
    job_open(&f, 0);
    CHECK_EQ(pthread_create(&first, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&f.going));
    job_open(&g, 0);
    g.config.dir = f.config.dir;
    g.config.name = "other";
    CHECK_CODE(csti_job_run(g.job, &g.result, &g.err), CST_JOB_RUNNING);
    CHECK(strstr(g.err.text, "runs job test, and holds"));
    CHECK(strstr(g.err.text, "job other needs a folder of its own"));
    job_close(&g);
    csti_job_stop(f.job);
    CHECK_EQ(pthread_join(first, NULL), 0);
    CHECK_OK(f.code);
    job_close(&f);
    folder_close(&g);
    folder_close(&f);
}

// The first output stands before a pipe that nobody reads: its checkpoint is committed, not
// released.
TEST(at_the_cap_barriers_wait_and_rows_go_on) {
    static fixture f;
    char part[2 * PATH_BYTES], aside[2 * PATH_BYTES];
    uint64_t applied;
    pthread_t thread;

    folder_open_for(&f, 1, 0, "10ms", "kind = \"file\"\npath = \"out\"");
    snprintf(part, sizeof part, "%s/out", f.folder);
    CHECK_EQ(mkdir(part, 0700), 0);
    snprintf(aside, sizeof aside, "%s/pipe", f.folder);
    snprintf(part, sizeof part, "%s/out/%020d-%05d.ndjson", f.folder, 1, 0);
    observe(&f);
    job_open(&f, 0);
    f.config.epochs_max = 1;
    csti_job_hold_checkpoints(f.job, true);
    CHECK_EQ(pthread_create(&thread, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&f.going)); // a job that begins wants a folder without parts
    CHECK_EQ(mkfifo(part, 0600), 0);
    csti_job_hold_checkpoints(f.job, false);
    TEST_WAIT_UNTIL(atomic_load(&f.begun) > 0);
    applied = atomic_load(&f.applied);
    TEST_WAIT_UNTIL(atomic_load(&f.applied) >= applied + 100 * ROWS); // of many intervals
    CHECK_EQ(atomic_load(&f.begun), 1);
    CHECK_EQ(atomic_load(&f.committed), 0);
    CHECK_EQ(rename(part, aside), 0);
    CHECK_EQ(close(open(aside, O_WRONLY)), 0); // it sees that this is no part, and tries again
    TEST_WAIT_UNTIL(atomic_load(&f.committed) >= 3);
    csti_job_stop(f.job);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_CODE(f.code, CST_OK);
    check_state(&f, f.result.rows);
    job_close(&f);
    folder_close(&f);
}

// Another process at the same store: what it does there the job only finds out.
typedef struct beside {
    csti_meta_log_options log;
    csti_meta *meta;
} beside;

static void beside_open(beside *b, const fixture *f) {
    char uri[PATH_BYTES + 64];

    *b = (beside){.log = {.clock = csti_clock_real(), .random = csti_random_real()}};
    snprintf(uri, sizeof uri, "file:%s/data/checkpoints", f->folder);
    CHECK_OK(cst_object_store_open(uri, NULL, &b->log.store, NULL));
}

static void beside_propose(beside *b, const csti_meta_command *command) {
    csti_meta_result result;

    CHECK_OK(csti_meta_open_log(&b->log, &b->meta, NULL));
    CHECK_OK(csti_meta_propose(b->meta, command, &result, NULL));
}

static void beside_close(beside *b) {
    csti_meta_close(b->meta);
    cst_object_store_close(b->log.store);
}

static const csti_meta_command claim_beside = {.kind = CSTI_META_CLAIM,
                                               .name = "test",
                                               .owner = 7,
                                               .count = 2};

// Somebody begins new metadata: what this one knows is no longer what decides. Its next commit is
// an hour away.
TEST(a_job_whose_metadata_begin_anew_is_fenced_off_before_it_commits) {
    static fixture f;
    beside other;
    pthread_t thread;

    folder_open(&f, 2, 0, "1h");
    job_open(&f, 0);
    CHECK_EQ(pthread_create(&thread, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&f.going));
    beside_open(&other, &f);
    CHECK_OK(csti_meta_open_incarnation(&other.log, 2, &claim_beside, 1, &other.meta, NULL));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_CODE(f.code, CST_FENCED);
    CHECK_EQ(f.result.checkpoints, 0);
    beside_close(&other);
    job_close(&f);
    folder_close(&f);
}

// The one after it has cleaned up what this one still meant to read.
TEST(what_fails_of_a_job_that_is_anothers_by_now_is_that_it_is_fenced_off) {
    static fixture f;
    beside other;
    const cst_err why = {.text = "there is no object"};
    pthread_t thread;

    folder_open(&f, 2, 0, "1h");
    job_open(&f, 0);
    CHECK_EQ(pthread_create(&thread, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&f.going));
    beside_open(&other, &f);
    beside_propose(&other, &claim_beside);
    csti_job_fail(f.job, CST_NOT_FOUND, &why);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_CODE(f.code, CST_FENCED);
    CHECK(strstr(f.err.text, "tenure 2 has begun"));
    beside_close(&other);
    job_close(&f);
    folder_close(&f);
}

static void slowed_see(void *context, const char *line, size_t bytes) {
    _Atomic bool *seen = context;

    if (memmem(line, bytes, " sources_slowed ", 16)) atomic_store(seen, true);
}

// Another process holds the lease and folds nothing.
TEST(a_job_whose_folds_are_behind_reads_more_slowly_and_says_so) {
    static fixture f;
    static _Atomic bool seen;
    csti_logger logger;
    beside other;
    const csti_meta_command lease = {.kind = CSTI_META_LEASE,
                                     .lease = CSTI_FOLD_LEASE,
                                     .owner = 7,
                                     .ttl_us = 3600000000};
    pthread_t thread;

    folder_open(&f, 1, 0, "10ms");
    csti_logger_init(&logger, csti_clock_real(), CSTI_LOG_WARN, slowed_see, &seen);
    f.options.logger = &logger;
    job_open(&f, 0);
    f.config.fold.deltas_max = DELTAS_MAX;
    CHECK_EQ(pthread_create(&thread, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&f.going));
    beside_open(&other, &f);
    beside_propose(&other, &lease);
    TEST_WAIT_UNTIL(atomic_load(&seen) && atomic_load(&f.job->rested_ns) > 0);
    csti_job_stop(f.job);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_CODE(f.code, CST_OK);
    CHECK(f.result.checkpoints > 4 * DELTAS_MAX);
    check_state(&f, f.result.rows);
    beside_close(&other);
    job_close(&f);
    folder_close(&f);
}

// A barrier is due whenever none is under way, and what it seals is more than may wait.
TEST(a_job_whose_uploads_are_behind_reads_more_slowly_and_says_so) {
    static fixture f;
    static _Atomic bool seen;
    csti_logger logger;
    pthread_t thread;

    folder_open(&f, 1, 0, "10ms");
    atomic_store(&seen, false);
    csti_logger_init(&logger, csti_clock_real(), CSTI_LOG_WARN, slowed_see, &seen);
    f.options.logger = &logger;
    job_open(&f, 0);
    f.config.staged_bytes_max = STAGED_BYTES_MAX;
    CHECK_EQ(pthread_create(&thread, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&seen) && atomic_load(&f.job->rested_ns) > 0);
    csti_job_stop(f.job);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_CODE(f.code, CST_OK);
    CHECK(f.result.checkpoints > 0);
    check_state(&f, f.result.rows);
    job_close(&f);
    folder_close(&f);
}

TEST(a_reader_whose_partition_is_behind_rests_and_goes_on) {
    static fixture f;
    pthread_t thread;
    uint64_t rows = ROWS_MORE;

    folder_open(&f, 2, 0, "1h");
    job_open(&f, 0);
    CHECK_EQ(pthread_create(&thread, NULL, run_aside, &f), 0);
    TEST_WAIT_UNTIL(atomic_load(&f.going));
    csti_job_stall_channel(f.job, 0, 1, true);
    TEST_WAIT_UNTIL(atomic_load(&f.job->rested_ns) > 0);
    csti_job_stall_channel(f.job, 0, 1, false);
    csti_job_stop(f.job);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_CODE(f.code, CST_OK);
    job_close(&f);
    rows += 2 * f.result.rows; // neither reader has come to them
    job_write(&f, 2, rows, "10ms", "kind = \"none\"");
    run_ok(&f, 0);
    check_state(&f, rows);
    folder_close(&f);
}

static uint32_t warnings; // of a memory that fills

static void stop_when_starved(void *context, const char *line, size_t bytes) {
    static const char near[] = " warn memory_budget_near partition=0 used_bytes=";
    fixture *f = context;

    if (memmem(line, bytes, near, sizeof near - 1)) warnings++;
    if (!memmem(line, bytes, " memory_budget_too_small ", 25)) return;
    csti_job_stop(f->job);
    csti_job_stop(f->job);
}

TEST(a_job_whose_budget_is_too_small_says_so_also_where_nobody_asks_for_progress) {
    static fixture f;
    csti_logger logger;

    folder_open(&f, 1, 0, "10ms");
    csti_logger_init(&logger, csti_clock_real(), CSTI_LOG_WARN, stop_when_starved, &f);
    f.options.logger = &logger;
    job_open(&f, 0);
    f.job->options.progress = NULL;
    f.job->options.progress_us = 0;
    f.config.budget_bytes = 64 << 20;
    f.config.source.generate.keys = 100000000;
    CHECK_OK(csti_job_run(f.job, &f.result, &f.err)); // until the log has said it
    CHECK(warnings > 0);                              // and has warned before
    job_close(&f);
    folder_close(&f);
}

static void on_progress_placed(void *context, const csti_job_progress *progress) {
    fixture *f = context;
    const csti_job *job = f->job;

    if (progress->recovering) return;
    CHECK_EQ(job->topology.cpus_count, 1);
    for (uint32_t w = 0; w < job->workers_count; w++)
        CHECK_EQ(job->workers[w].cpu, job->topology.cpus[0].number);
    atomic_store(&f->going, true);
}

static void *run_on_one_processor(void *context) {
    fixture *f = context;
    cpu_set_t allowed, one;
    int last = CPU_SETSIZE - 1;

    CHECK_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    while (!CPU_ISSET((size_t)last, &allowed)) last--;
    CPU_ZERO(&one);
    CPU_SET((size_t)last, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    f->options.progress = on_progress_placed;
    (void)!run(f, 0);
    return NULL;
}

TEST(workers_share_the_processors_that_the_job_may_use) {
    static fixture f;
    pthread_t thread;

    folder_open(&f, 3, ROWS, "10ms");
    CHECK_EQ(pthread_create(&thread, NULL, run_on_one_processor, &f), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(f.code);
    CHECK(atomic_load(&f.going));
    check_state(&f, ROWS);
    folder_close(&f);
}

TEST_MAIN
