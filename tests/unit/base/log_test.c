#include "base/log.h"
#include "test.h"

typedef struct captured {
    char text[8192]; // all lines, zero-terminated
    size_t bytes;
    int lines_count;
} captured;

static void capture(void *context, const char *line, size_t bytes) {
    captured *to = context;
    CHECK(to->bytes + bytes < sizeof to->text);
    memcpy(to->text + to->bytes, line, bytes);
    to->bytes += bytes;
    to->text[to->bytes] = '\0';
    to->lines_count++;
}

static csti_clock_sim clock_sim;
static captured lines;
static csti_logger logger;

// 2026-11-21T04:12:09.123456Z
static void start(csti_log_level level_min) {
    csti_clock_sim_init(&clock_sim, INT64_C(1795234329123456));
    lines = (captured){0};
    csti_logger_init(&logger, &clock_sim.clock, level_min, capture, &lines);
}

TEST(a_line_has_time_level_event_and_fields_in_order) {
    start(CSTI_LOG_DEBUG);
    CSTI_LOG(&logger, CSTI_LOG_INFO, "table_grown", csti_log_text("table", "bids"),
             csti_log_u64("rows", UINT64_MAX), csti_log_i64("left", INT64_MIN),
             csti_log_f64("load", 0.25), csti_log_bool("pinned", true));
    CHECK_TEXT(lines.text, "2026-11-21T04:12:09.123456Z info table_grown table=bids "
                           "rows=18446744073709551615 left=-9223372036854775808 load=0.25 "
                           "pinned=true\n");
}

TEST(times_before_1970_are_right) {
    start(CSTI_LOG_DEBUG);
    csti_clock_sim_init(&clock_sim, -1);
    CSTI_LOG(&logger, CSTI_LOG_INFO, "e", csti_log_u64("n", 1));
    CHECK_TEXT(lines.text, "1969-12-31T23:59:59.999999Z info e n=1\n");
}

TEST(whatever_is_logged_stays_on_one_line_and_can_be_told_apart) {
    start(CSTI_LOG_DEBUG);
    CSTI_LOG(&logger, CSTI_LOG_ERROR, "e", csti_log_text("a", "two words"),
             csti_log_text("b", "x\ny=\"z\"\\\r\t\x01\x7f"), csti_log_text("c", ""),
             csti_log_text("d", NULL), csti_log_text("e", "caf\xc3\xa9"),
             csti_log_text("f", "s3://b/p-1_2.x:80+@%"));
    CHECK_TEXT(lines.text + strlen("2026-11-21T04:12:09.123456Z "),
               "error e a=\"two words\" b=\"x\\ny=\\\"z\\\"\\\\\\r\\t\\x01\\x7f\" c=\"\" d=\"\" "
               "e=\"caf\xc3\xa9\" f=s3://b/p-1_2.x:80+@%\n");
}

TEST(a_level_below_the_least_is_off_and_its_arguments_are_not_evaluated) {
    int evaluated_count = 0;

    start(CSTI_LOG_WARN);
    CSTI_LOG(&logger, CSTI_LOG_INFO, "e", csti_log_i64("n", ++evaluated_count));
    CHECK_EQ(evaluated_count, 0);
    CHECK_EQ(lines.lines_count, 0);
    CSTI_LOG(&logger, CSTI_LOG_WARN, "e", csti_log_i64("n", ++evaluated_count));
    CHECK_EQ(evaluated_count, 1);
    CHECK_EQ(lines.lines_count, 1);
    atomic_store(&logger.level_min, CSTI_LOG_OFF);
    CSTI_LOG(&logger, CSTI_LOG_ERROR, "e", csti_log_i64("n", 1));
    CSTI_LOG(&logger, CSTI_LOG_OFF, "e", csti_log_i64("n", 1));
    CHECK_EQ(lines.lines_count, 1);
}

TEST(no_logger_logs_nothing) {
    const csti_logger *none = NULL;
    CSTI_LOG(none, CSTI_LOG_ERROR, "e", csti_log_u64("n", 1));
    CSTI_LOG_LIMITED(none, CSTI_LOG_ERROR, 1, "e", csti_log_u64("n", 1));
}

TEST(a_line_too_long_is_cut_after_a_whole_field_and_says_so) {
    char value[2000];

    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    start(CSTI_LOG_DEBUG);
    CSTI_LOG(&logger, CSTI_LOG_INFO, "e", csti_log_u64("n", 1), csti_log_text("long", value),
             csti_log_u64("m", 2));
    CHECK_TEXT(lines.text, "2026-11-21T04:12:09.123456Z info e n=1 cut=true\n");
    memset(value, '\n', sizeof value - 1);
    CSTI_LOG(&logger, CSTI_LOG_INFO, "e", csti_log_text("long", value));
    CHECK_EQ(lines.lines_count, 2);
}

// Every length around the limit: the line fits in whole or is cut, and ends in one newline.
TEST(no_line_is_longer_than_the_limit) {
    char value[CSTI_LOG_LINE_BYTES + 1];

    for (size_t bytes = 900; bytes < sizeof value; bytes++) {
        memset(value, 'v', bytes);
        value[bytes] = '\0';
        start(CSTI_LOG_DEBUG);
        CSTI_LOG(&logger, CSTI_LOG_INFO, "e", csti_log_text("v", value));
        CHECK(lines.bytes <= CSTI_LOG_LINE_BYTES);
        CHECK(strchr(lines.text, '\n') == lines.text + lines.bytes - 1);
        CHECK((strstr(lines.text, value) != NULL) != (strstr(lines.text, " cut=true") != NULL));
    }
}

static void log_limited(uint64_t n) {
    CSTI_LOG_LIMITED(&logger, CSTI_LOG_WARN, 3, "slow", csti_log_u64("n", n));
}

TEST(a_site_lets_its_number_through_each_second_and_reports_the_rest) {
    start(CSTI_LOG_DEBUG);
    for (uint64_t n = 0; n < 10; n++) log_limited(n);
    CHECK_EQ(lines.lines_count, 3);
    csti_clock_sim_advance(&clock_sim, UINT64_C(999999999));
    log_limited(10);
    CHECK_EQ(lines.lines_count, 3);
    csti_clock_sim_advance(&clock_sim, 1);
    lines = (captured){0};
    log_limited(11);
    log_limited(12);
    CHECK_TEXT(lines.text, "2026-11-21T04:12:10.123456Z warn slow suppressed=8 n=11\n"
                           "2026-11-21T04:12:10.123456Z warn slow n=12\n");
}

TEST(a_single_line_left_out_is_reported_too) {
    start(CSTI_LOG_DEBUG);
    csti_clock_sim_advance(&clock_sim, UINT64_C(20000000000));
    for (uint64_t n = 0; n < 4; n++) log_limited(n);
    csti_clock_sim_advance(&clock_sim, UINT64_C(1000000000));
    lines = (captured){0};
    log_limited(4);
    CHECK_TEXT(lines.text, "2026-11-21T04:12:30.123456Z warn slow suppressed=1 n=4\n");
}

TEST(sites_are_limited_apart) {
    start(CSTI_LOG_DEBUG);
    csti_clock_sim_advance(&clock_sim, UINT64_C(50000000000));
    for (int i = 0; i < 5; i++) {
        CSTI_LOG_LIMITED(&logger, CSTI_LOG_INFO, 1, "a", csti_log_i64("i", i));
        CSTI_LOG_LIMITED(&logger, CSTI_LOG_INFO, 2, "b", csti_log_i64("i", i));
    }
    CHECK_EQ(lines.lines_count, 3);
}

TEST(a_file_gets_the_lines_and_lost_ones_are_counted) {
    char read_back[200] = "";
    csti_log_file to = {.file = tmpfile()};
    csti_log_file full = {.file = fopen("/dev/full", "we")};

    CHECK(to.file && full.file);
    start(CSTI_LOG_DEBUG);
    logger.sink = csti_log_to_file;
    logger.context = &to;
    CSTI_LOG(&logger, CSTI_LOG_INFO, "e", csti_log_u64("n", 1));
    rewind(to.file);
    CHECK(fgets(read_back, sizeof read_back, to.file) != NULL);
    CHECK_TEXT(read_back, "2026-11-21T04:12:09.123456Z info e n=1\n");
    logger.context = &full;
    CSTI_LOG(&logger, CSTI_LOG_INFO, "e", csti_log_u64("n", 1));
    CHECK_EQ(atomic_load(&to.lost_count), 0);
    CHECK_EQ(atomic_load(&full.lost_count), 1);
    CHECK_EQ(fclose(to.file), 0);
    (void)fclose(full.file);
}

TEST(levels_have_names_and_come_from_them) {
    for (int i = CSTI_LOG_DEBUG; i <= CSTI_LOG_OFF; i++) {
        csti_log_level level = CSTI_LOG_DEBUG;
        CHECK(csti_log_level_parse(csti_log_level_name((csti_log_level)i), &level));
        CHECK_EQ(level, i);
    }
    CHECK(!csti_log_level_parse("loud", &(csti_log_level){CSTI_LOG_INFO}));
}

TEST_MAIN
