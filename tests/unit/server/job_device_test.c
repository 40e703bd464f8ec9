// Jobs whose device is lost: on what they go on, and that nothing of it is in what comes out.
#include "base/buffer.h"
#include "unit/server/runs.h"

enum { ROWS = 60000, URI_BYTES = 64 };

#define SECTION "kind = \"none\"\n[device]\nuri = \"%s\"\nbatch_rows = 256\n%s\n"

static void device_open(fixture *f, const char *uri, const char *more, uint64_t rows,
                        const char *every) {
    char text[512];

    CHECK((size_t)snprintf(text, sizeof text, SECTION, uri, more) < sizeof text);
    folder_open_for(f, 2, rows, every, text);
}

static uint64_t metric_of(const fixture *f, const char *name) {
    csti_buffer text;
    char head[96];
    const char *line;
    uint64_t value;

    snprintf(head, sizeof head, "\n%s ", name);
    csti_buffer_init(&text, 16 << 20);
    CHECK_OK(csti_metrics_write(csti_job_metrics(f->job), &text, NULL));
    CHECK_OK(csti_buffer_append(&text, "", 1, NULL));
    line = strstr((const char *)text.bytes, head);
    CHECK(line);
    value = strtoull(line + strlen(head), NULL, 10);
    csti_buffer_release(&text);
    return value;
}

// Each behind the self-test, with rows under way.
TEST(whatever_a_device_does_a_job_goes_on_without_it) {
    static const char *const kinds[] = {"fail_submit", "drop", "reset", "flip"};

    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        static fixture f;
        char uri[URI_BYTES];

        snprintf(uri, sizeof uri, "fault:cpu:?worker=%zu&%s=150", k % 2, kinds[k]);
        device_open(&f, uri, "policy = \"stay\"\ntimeout = \"50ms\"", ROWS, "1h");
        run_ok(&f, 0);
        CHECK(f.result.caught_up);
        CHECK_EQ(f.result.device_faults, 1);
        CHECK_EQ(f.result.device_returns, 0);
        CHECK(f.result.device_away);
        CHECK(f.result.device_seconds > 0);
        CHECK_EQ(f.result.keys, KEYS);
        check_state(&f, ROWS);
        folder_close(&f);
    }
}

static void on_passed_lose(void *context, csti_job_moment moment, uint64_t number) {
    fixture *f = context;
    cst_err lost = {.code = CST_DEVICE_LOST, .text = "lost by the test"};

    (void)number;
    if (moment != CSTI_JOB_COMMITTED || atomic_exchange(&f->going, true)) return;
    csti_job_fail(f->job, CST_DEVICE_LOST, &lost);
}

static void on_nothing(void *context, const csti_job_progress *progress) {
    (void)context, (void)progress;
}

TEST(what_was_committed_before_the_loss_is_gone_on_from) {
    static fixture f;

    device_open(&f, "fault:cpu:", "policy = \"stay\"", ROWS, "20_000 rows");
    f.options.progress = on_nothing;
    f.options.observer = (csti_job_observer){.passed = on_passed_lose, .context = &f};
    run_ok(&f, 0);
    CHECK(f.result.caught_up);
    CHECK_EQ(f.result.device_faults, 1);
    CHECK(f.result.recovered_from > 0);
    check_state(&f, ROWS);
    folder_close(&f);
}

TEST(a_device_that_is_not_there_or_errs_from_the_first_is_stood_in_for) {
    static const char *const uris[] = {"fault:cpu:?fail_open=1", "fault:cpu:?flip=1"};

    for (size_t u = 0; u < sizeof uris / sizeof *uris; u++) {
        static fixture f;

        device_open(&f, uris[u], "policy = \"stay\"", ROWS, "1h");
        run_ok(&f, 0);
        CHECK_EQ(f.result.rows, ROWS);
        CHECK_EQ(f.result.device_faults, 1);
        CHECK(f.result.device_away);
        check_state(&f, ROWS);
        folder_close(&f);
    }
}

TEST(a_job_that_is_to_stop_with_its_device_says_which_and_why) {
    static const struct {
        const char *uri, *said;
        cst_code code;
    } cases[] = {
        {"fault:cpu:?fail=150", "fault:cpu:?fail=150: lost by fail", CST_DEVICE_LOST},
        {"fault:cpu:?worker=1&drop=150", "no completion within 0.05 s", CST_DEVICE_LOST},
        {"fault:cpu:?flip=100", "fault:cpu:?flip=100: hash 0 of a batch of 256 is ",
         CST_DEVICE_SELFTEST},
    };

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        static fixture f;

        device_open(&f, cases[c].uri, "policy = \"stop\"\ntimeout = \"50ms\"", ROWS, "1h");
        CHECK_CODE(run(&f, 0), cases[c].code);
        if (!strstr(f.err.text, cases[c].said)) TEST_FAIL("%s", f.err.text);
        CHECK_EQ(f.result.device_faults, 1);
        CHECK(!f.result.device_away);
        folder_close(&f);
    }
}

// Stops behind a return; what it says meanwhile.
static struct {
    bool away;
    uint64_t faults, tries, said_away;
} seen;

static void on_progress_away(void *context, const csti_job_progress *progress) {
    fixture *f = context;

    if (progress->recovering) return;
    if (progress->device_away) {
        seen.away = true;
        seen.faults = metric_of(f, "constellation_device_faults_total");
        seen.said_away = metric_of(f, "constellation_device_away");
        CHECK_EQ(progress->device_faults, seen.faults);
    } else if (seen.away && f->stop_at_rows > 0) {
        seen.tries = metric_of(f, "constellation_device_tries_total");
        CHECK(metric_of(f, "constellation_device_returns_total") > 0);
        f->stop_at_rows = 0;
        csti_job_stop(f->job);
    }
}

TEST(a_job_goes_back_to_a_device_that_is_well_again) {
    static fixture f;
    uint64_t rows;

    memset(&seen, 0, sizeof seen);
    device_open(&f, "fault:cpu:?fail=400", "return_after = \"10ms\"", 0, "10ms");
    f.options.progress = on_progress_away;
    f.stop_at_rows = 1;
    run_ok(&f, 0);
    CHECK(seen.away);
    CHECK(seen.faults > 0);
    CHECK_EQ(seen.said_away, 1);
    CHECK(seen.tries > 0);
    CHECK(f.result.device_returns > 0);
    CHECK(f.result.finished);
    rows = 2 * f.result.rows; // no reader has come to its share of them
    f.options.progress = NULL;
    run_ok(&f, rows);
    CHECK(f.result.caught_up);
    check_state(&f, rows);
    folder_close(&f);
}

// Each time it fails its self-test the next try is twice as far away.
static void on_progress_given_up(void *context, const csti_job_progress *progress) {
    fixture *f = context;

    if (progress->recovering || f->stop_at_rows == 0) return;
    seen.tries = metric_of(f, "constellation_device_tries_total");
    if (seen.tries < 3) return;
    f->stop_at_rows = 0;
    csti_job_stop(f->job);
}

TEST(a_device_that_does_not_pass_its_selftest_stays_away) {
    static fixture f;
    uint64_t rows;

    memset(&seen, 0, sizeof seen);
    device_open(&f, "fault:cpu:?flip=1", "return_after = \"10ms\"", 0, "1h");
    f.options.progress = on_progress_given_up;
    f.stop_at_rows = 1;
    run_ok(&f, 0);
    CHECK_EQ(f.result.device_faults, 1);
    CHECK_EQ(f.result.device_returns, 0);
    CHECK(f.result.device_away);
    CHECK(f.result.finished);
    rows = 2 * f.result.rows; // no reader has come to its share of them
    f.options.progress = NULL;
    run_ok(&f, rows);
    check_state(&f, rows);
    folder_close(&f);
}

// Somebody else has taken the job in the moment in which its device was lost: it is his.
static void on_passed_claim(void *context, csti_job_moment moment, uint64_t number) {
    fixture *f = context;
    const csti_meta_command claim = {.kind = CSTI_META_CLAIM,
                                     .name = "test",
                                     .count = 2,
                                     .owner = 4711};
    csti_meta_result result;
    cst_err lost = {.code = CST_DEVICE_LOST, .text = "lost by the test"};

    (void)number;
    if (moment != CSTI_JOB_COMMITTED || atomic_exchange(&f->going, true)) return;
    CHECK_OK(csti_meta_propose(f->job->meta, &claim, &result, &f->err));
    csti_job_fail(f->job, CST_DEVICE_LOST, &lost);
}

TEST(a_job_that_lost_its_device_and_its_place_does_not_take_it_back) {
    static fixture f;

    device_open(&f, "fault:cpu:", "policy = \"stay\"", 0, "10ms");
    f.options.progress = on_nothing;
    f.options.observer = (csti_job_observer){.passed = on_passed_claim, .context = &f};
    CHECK_CODE(run(&f, 0), CST_FENCED);
    CHECK(!f.result.device_away);
    folder_close(&f);
}

// Of a device with faults in front nothing is measured.
TEST(keys_are_made_where_the_file_says) {
    static const struct {
        const char *line;
        uint64_t processor_rows, rows_min;
    } cases[] = {{"encode = \"processor\"", ROWS, UINT64_MAX},
                 {"encode = \"device\"", 0, 0},
                 {"", 0, 0}};

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        static fixture f;

        device_open(&f, "fault:cpu:", cases[c].line, ROWS, "1h");
        job_open(&f, 0);
        CHECK_OK(csti_job_run(f.job, &f.result, &f.err));
        CHECK_EQ(metric_of(&f, "constellation_processor_encoded_rows_total"),
                 cases[c].processor_rows);
        CHECK_EQ(metric_of(&f, "constellation_device_encode_rows_min"), cases[c].rows_min);
        job_close(&f);
        check_state(&f, ROWS);
        folder_close(&f);
    }
}

TEST_MAIN
