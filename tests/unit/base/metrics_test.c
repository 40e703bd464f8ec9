#include "base/metrics.h"

#include "test.h"

#include <pthread.h>

static csti_metrics *metrics;
static csti_buffer text;

static void open_metrics(void) {
    csti_metrics_close(metrics);
    metrics = NULL;
    csti_buffer_release(&text);
    csti_buffer_init(&text, 64 << 20);
    CHECK_OK(csti_metrics_open(&metrics, NULL));
}

static csti_metric *add(csti_metric_kind kind, const char *name, const char *labels) {
    csti_metric *metric = NULL;

    CHECK_OK(csti_metrics_register(metrics, kind, name, "Some help.", labels, &metric, NULL));
    CHECK_EQ((uintptr_t)metric % 64, 0);
    return metric;
}

static const char *prometheus(void) {
    csti_buffer_reset(&text);
    CHECK_OK(csti_metrics_write(metrics, &text, NULL));
    CHECK_OK(csti_buffer_append(&text, "", 1, NULL));
    return (const char *)text.bytes;
}

static const char *json(void) {
    csti_buffer_reset(&text);
    CHECK_OK(csti_metrics_write_json(metrics, &text, NULL));
    CHECK_OK(csti_buffer_append(&text, "", 1, NULL));
    return (const char *)text.bytes;
}

TEST(a_registry_without_metrics_writes_nothing) {
    open_metrics();
    CHECK_TEXT(prometheus(), "");
    CHECK_TEXT(json(), "{}");
    csti_metrics_close(NULL);
}

TEST(counters_and_gauges_are_written_as_prometheus_reads_them) {
    csti_metric *rows, *more_rows, *lag;

    open_metrics();
    rows = add(CSTI_METRIC_COUNTER, "constellation_rows_total", "partition=\"0\"");
    lag = add(CSTI_METRIC_GAUGE, "constellation_lag_bytes", "");
    more_rows =
        add(CSTI_METRIC_COUNTER, "constellation_rows_total", "partition=\"1\",side=\"a b\"");
    csti_metric_add(rows, 4000);
    csti_metric_add(rows, 96);
    csti_metric_add(more_rows, UINT64_MAX);
    csti_metric_set(lag, 12);
    csti_metric_set(lag, -5);
    CHECK_TEXT(prometheus(), "# HELP constellation_rows_total Some help.\n"
                             "# TYPE constellation_rows_total counter\n"
                             "constellation_rows_total{partition=\"0\"} 4096\n"
                             "constellation_rows_total{partition=\"1\",side=\"a b\"} "
                             "18446744073709551615\n"
                             "# HELP constellation_lag_bytes Some help.\n"
                             "# TYPE constellation_lag_bytes gauge\n"
                             "constellation_lag_bytes -5\n");
    CHECK_TEXT(json(), "{\"constellation_rows_total{partition=\\\"0\\\"}\":4096,"
                       "\"constellation_rows_total{partition=\\\"1\\\",side=\\\"a b\\\"}\":"
                       "18446744073709551615,\"constellation_lag_bytes\":-5}");
}

TEST(help_and_labels_are_escaped) {
    csti_metric *metric = NULL;

    open_metrics();
    CHECK_OK(csti_metrics_register(metrics, CSTI_METRIC_GAUGE, "constellation_a", "one\\\ntwo",
                                   "file=\"a\\\\b\\\"c\\nd\"", &metric, NULL));
    CHECK_TEXT(prometheus(), "# HELP constellation_a one\\\\\\ntwo\n"
                             "# TYPE constellation_a gauge\n"
                             "constellation_a{file=\"a\\\\b\\\"c\\nd\"} 0\n");
    CHECK_TEXT(json(), "{\"constellation_a{file=\\\"a\\\\\\\\b\\\\\\\"c\\\\nd\\\"}\":0}");
}

TEST(the_same_name_and_labels_give_the_same_metric) {
    csti_metric *first;

    open_metrics();
    first = add(CSTI_METRIC_COUNTER, "constellation_rows_total", "partition=\"0\"");
    CHECK(add(CSTI_METRIC_COUNTER, "constellation_rows_total", "partition=\"0\"") == first);
    CHECK(add(CSTI_METRIC_COUNTER, "constellation_rows_total", "partition=\"1\"") != first);
    CHECK(add(CSTI_METRIC_COUNTER, "constellation_rows_total", "") != first);
    CHECK(add(CSTI_METRIC_COUNTER, "constellation_row_total", "partition=\"0\"") != first);
}

TEST(a_name_of_another_kind_is_refused) {
    csti_metric *metric = NULL;

    open_metrics();
    (void)add(CSTI_METRIC_GAUGE, "constellation_lag", "");
    CHECK_CODE(csti_metrics_register(metrics, CSTI_METRIC_HISTOGRAM, "constellation_lag", "", "",
                                     &metric, NULL),
               CST_USAGE);
    CHECK(!metric);
}

static void check_refused(csti_metric_kind kind, const char *name, const char *labels) {
    csti_metric *metric = NULL;
    cst_err err = {0};

    CHECK_CODE(csti_metrics_register(metrics, kind, name, "", labels, &metric, &err), CST_USAGE);
    CHECK(!metric);
    CHECK(err.text[0] != 0);
}

TEST(names_and_labels_that_prometheus_does_not_take_are_refused) {
    static const char *const names[] = {"",
                                        "constellation_a b",
                                        "constellation_a-b",
                                        "constellation_ü",
                                        "constellation_a{}",
                                        "rows",
                                        "1constellation_rows",
                                        "constellation_rows_total"};
    static const char *const labels[] = {
        "a",         "a=",      "a=b",       "a=\"b",     "a=\"b\",",        ",a=\"b\"",
        "a=\"b\" ",  "=\"b\"",  "1=\"b\"",   "a-b=\"c\"", "a=\"b\"c=\"d\"",  "a=\"b\nc\"",
        "a=\"b\\\"", "a=\"b\\", "a=\"\\x\"", "{a=\"b\"}", "a=\"b\",,c=\"d\""};
    char endless[CSTI_METRIC_TEXT_BYTES_MAX + 2];

    open_metrics();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_refused(CSTI_METRIC_GAUGE, names[i], "");
    check_refused(CSTI_METRIC_COUNTER, "constellation_rows", "");
    check_refused(CSTI_METRIC_COUNTER, "_total", "");
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        check_refused(CSTI_METRIC_GAUGE, "constellation_a", labels[i]);
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    check_refused(CSTI_METRIC_GAUGE, "constellation_a", endless);
    memcpy(endless, "constellation_", 14);
    check_refused(CSTI_METRIC_GAUGE, endless, "");
    CHECK_TEXT(prometheus(), "");
}

TEST(more_metrics_than_the_limit_are_refused) {
    csti_metric *metric = NULL;
    char labels[32];

    open_metrics();
    for (int i = 0; i < CSTI_METRICS_MAX; i++) {
        (void)snprintf(labels, sizeof labels, "i=\"%d\"", i);
        metric = add(CSTI_METRIC_GAUGE, i % 2 ? "constellation_a" : "constellation_b", labels);
    }
    metric = NULL;
    CHECK_CODE(csti_metrics_register(metrics, CSTI_METRIC_GAUGE, "constellation_a", "", "i=\"x\"",
                                     &metric, NULL),
               CST_LIMIT);
    CHECK(add(CSTI_METRIC_GAUGE, "constellation_a", "i=\"1\"")); // one that is there
}

// ---- Histograms ----

// The value of one line of text; fails if it is not there exactly once.
static uint64_t value_of(const char *lines, const char *name) {
    const size_t bytes = strlen(name);
    uint64_t value = 0;
    int found_count = 0;

    for (const char *line = lines; *line != 0; line = strchr(line, '\n') + 1)
        if (strncmp(line, name, bytes) == 0 && line[bytes] == ' ') {
            value = strtoull(line + bytes, NULL, 10);
            found_count++;
        }
    CHECK_EQ(found_count, 1);
    return value;
}

TEST(a_histograms_buckets_count_what_does_not_exceed_them) {
    static const uint64_t values[] = {0, 1, 2, 3, 5, 6, 10, 11, 999, 1000, 1001, 20000000000};
    csti_metric *align;
    char name[96];

    open_metrics();
    align = add(CSTI_METRIC_HISTOGRAM, "constellation_align_rows", "partition=\"3\"");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        csti_metric_observe(align, values[i]);
    csti_metric_observe(align, 20000000001);
    csti_metric_observe(align, UINT64_MAX / 2);
    for (uint64_t unit = 1, step = 0; step < 32; step++) { // 1, 2, 5, 10, ...
        const uint64_t bound = unit * (step % 3 == 0 ? 1 : step % 3 == 1 ? 2 : 5);
        uint64_t wanted = 0;

        for (size_t i = 0; i < sizeof values / sizeof *values; i++) wanted += values[i] <= bound;
        (void)snprintf(name, sizeof name,
                       "constellation_align_rows_bucket{partition=\"3\",le=\"%" PRIu64 "\"}",
                       bound);
        CHECK_EQ(value_of(prometheus(), name), wanted);
        if (step % 3 == 2) unit *= 10;
    }
    CHECK_EQ(value_of(prometheus(), "constellation_align_rows_bucket{partition=\"3\",le=\"+Inf\"}"),
             14);
    CHECK_EQ(value_of(prometheus(), "constellation_align_rows_count{partition=\"3\"}"), 14);
    CHECK_EQ(value_of(prometheus(), "constellation_align_rows_sum{partition=\"3\"}"),
             UINT64_C(20000003038) + UINT64_C(20000000001) + UINT64_MAX / 2);
    CHECK(strstr(prometheus(), "# TYPE constellation_align_rows histogram\n"));
}

TEST(every_value_falls_into_the_bucket_of_its_bound) {
    csti_metric *h;

    open_metrics();
    h = add(CSTI_METRIC_HISTOGRAM, "constellation_align_rows", "");
    for (int bits = 0; bits < 64; bits++)
        for (int64_t near = -2; near <= 2; near++) {
            const uint64_t value = (UINT64_C(1) << bits) + (uint64_t)near;
            uint64_t bound = 1, factor = 0, before = 0;
            uint32_t bucket = 0;

            while (bucket < CSTI_METRIC_BUCKETS && bound < value) {
                static const uint64_t steps[] = {2, 5, 10};
                factor = bucket % 3 == 0 ? bound : factor;
                bound = factor * steps[bucket % 3];
                bucket++;
            }
            before = atomic_load(&h->buckets[bucket]);
            csti_metric_observe(h, value);
            CHECK_EQ(atomic_load(&h->buckets[bucket]), before + 1);
        }
}

TEST(a_quantile_is_the_bound_of_its_bucket) {
    csti_metric *h;

    open_metrics();
    h = add(CSTI_METRIC_HISTOGRAM, "constellation_align_rows", "");
    CHECK_EQ(csti_metric_quantile(h, 0.5), 0); // none yet
    for (int i = 0; i < 90; i++) csti_metric_observe(h, 7);
    for (int i = 0; i < 9; i++) csti_metric_observe(h, 300);
    csti_metric_observe(h, UINT64_MAX);
    CHECK_EQ(csti_metric_quantile(h, 0.01), 10);
    CHECK_EQ(csti_metric_quantile(h, 0.9), 10);
    CHECK_EQ(csti_metric_quantile(h, 0.91), 500);
    CHECK_EQ(csti_metric_quantile(h, 0.99), 500);
    CHECK_EQ(csti_metric_quantile(h, 0.999), UINT64_MAX);
    CHECK_TEXT(json(), "{\"constellation_align_rows\":{\"count\":100,\"sum\":3329,\"p50\":10,"
                       "\"p99\":500,\"p999\":18446744073709551615}}");
}

// Kept in nanoseconds, since 1970 in microseconds.
TEST(times_are_written_in_seconds_as_decimals) {
    csti_metric *total, *at, *h;

    open_metrics();
    total = add(CSTI_METRIC_COUNTER, "constellation_fold_seconds_total", "");
    at = add(CSTI_METRIC_GAUGE, "constellation_watermark_timestamp_seconds", "");
    h = add(CSTI_METRIC_HISTOGRAM, "constellation_align_seconds", "");
    csti_metric_add(total, UINT64_C(12000000345));
    csti_metric_set(at, INT64_C(1767225600250000));
    csti_metric_observe(h, 7);
    csti_metric_observe(h, 1500000000);
    CHECK_TEXT(json(), "{\"constellation_fold_seconds_total\":12.000000345,"
                       "\"constellation_watermark_timestamp_seconds\":1767225600.25,"
                       "\"constellation_align_seconds\":{\"count\":2,\"sum\":1.500000007,"
                       "\"p50\":0.00000001,\"p99\":2,\"p999\":2}}");
    CHECK(strstr(prometheus(), "\nconstellation_fold_seconds_total 12.000000345\n"));
    CHECK(strstr(prometheus(), "\nconstellation_align_seconds_bucket{le=\"0.000000001\"} 0\n"));
    CHECK(strstr(prometheus(), "\nconstellation_align_seconds_bucket{le=\"0.5\"} 1\n"));
    CHECK(strstr(prometheus(), "\nconstellation_align_seconds_bucket{le=\"20\"} 2\n"));
    CHECK(strstr(prometheus(), "\nconstellation_align_seconds_sum 1.500000007\n"));
    csti_metric_set(at, -1); // before 1970
    CHECK(strstr(prometheus(), "\nconstellation_watermark_timestamp_seconds -0.000001\n"));
    csti_metric_set(at, INT64_MAX);
    CHECK(strstr(prometheus(), "_timestamp_seconds 9223372036854.775807\n"));
    csti_metric_set(at, -INT64_MAX);
    CHECK(strstr(prometheus(), "_timestamp_seconds -9223372036854.775807\n"));
}

TEST(a_gauge_that_says_nothing_yet_is_left_out) {
    csti_metric *here, *absent;

    open_metrics();
    absent = add(CSTI_METRIC_GAUGE, "constellation_watermark_timestamp_seconds", "partition=\"0\"");
    csti_metric_set(absent, CSTI_METRIC_ABSENT);
    CHECK_TEXT(json(), "{}");
    CHECK_TEXT(prometheus(), "");
    here = add(CSTI_METRIC_GAUGE, "constellation_watermark_timestamp_seconds", "partition=\"1\"");
    CHECK_TEXT(json(), "{\"constellation_watermark_timestamp_seconds{partition=\\\"1\\\"}\":0}");
    CHECK(!strstr(prometheus(), "partition=\"0\""));
    csti_metric_set(here, CSTI_METRIC_ABSENT);
    csti_metric_set(absent, 5000000);
    CHECK_TEXT(json(), "{\"constellation_watermark_timestamp_seconds{partition=\\\"0\\\"}\":5}");
}

TEST(only_base_units_are_taken) {
    csti_metric *metric = NULL;

    open_metrics();
    CHECK_CODE(csti_metrics_register(metrics, CSTI_METRIC_HISTOGRAM, "constellation_align_ns", "",
                                     "", &metric, NULL),
               CST_USAGE);
    CHECK_CODE(csti_metrics_register(metrics, CSTI_METRIC_COUNTER, "constellation_fold_us_total",
                                     "", "", &metric, NULL),
               CST_USAGE);
    CHECK_OK(csti_metrics_register(metrics, CSTI_METRIC_COUNTER, "constellation_bonus_total", "",
                                   "", &metric, NULL));
}

TEST(a_buffer_that_is_full_is_an_error) {
    csti_buffer small;

    open_metrics();
    (void)add(CSTI_METRIC_HISTOGRAM, "constellation_align_rows", "");
    for (size_t bytes = 1; bytes < 1000; bytes += 37) {
        csti_buffer_init(&small, bytes);
        CHECK_CODE(csti_metrics_write(metrics, &small, NULL), CST_LIMIT);
        csti_buffer_release(&small);
    }
    csti_buffer_init(&small, 20);
    CHECK_CODE(csti_metrics_write_json(metrics, &small, NULL), CST_LIMIT);
    csti_buffer_release(&small);
}

// ---- Threads ----

enum { WRITERS_COUNT = 3, WRITES_EACH = 100000 };

static void *write_own(void *context) {
    const int own = *(const int *)context;
    csti_metric *shared, *rows = NULL, *align = NULL;
    char labels[32];

    (void)snprintf(labels, sizeof labels, "writer=\"%d\"", own);
    shared = add(CSTI_METRIC_GAUGE, "constellation_writers", "");
    CHECK_OK(csti_metrics_register(metrics, CSTI_METRIC_COUNTER, "constellation_rows_total", "",
                                   labels, &rows, NULL));
    CHECK_OK(csti_metrics_register(metrics, CSTI_METRIC_HISTOGRAM, "constellation_align_rows", "",
                                   labels, &align, NULL));
    for (uint64_t i = 0; i < WRITES_EACH; i++) {
        csti_metric_add(rows, 2);
        csti_metric_observe(align, i);
    }
    return shared;
}

TEST(owners_write_while_others_register_and_read) {
    static int numbers[WRITERS_COUNT];
    pthread_t threads[WRITERS_COUNT];
    void *shared[WRITERS_COUNT];

    open_metrics();
    for (int i = 0; i < WRITERS_COUNT; i++) {
        numbers[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, write_own, &numbers[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        (void)prometheus();
        (void)json();
    }
    for (int i = 0; i < WRITERS_COUNT; i++) CHECK_EQ(pthread_join(threads[i], &shared[i]), 0);
    for (int i = 0; i < WRITERS_COUNT; i++) {
        char name[96];

        CHECK(shared[i] == shared[0]);
        (void)snprintf(name, sizeof name, "constellation_rows_total{writer=\"%d\"}", i);
        CHECK_EQ(value_of(prometheus(), name), 2 * WRITES_EACH);
        (void)snprintf(name, sizeof name, "constellation_align_rows_count{writer=\"%d\"}", i);
        CHECK_EQ(value_of(prometheus(), name), WRITES_EACH);
    }
}

TEST_MAIN
