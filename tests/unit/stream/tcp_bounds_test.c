// Clients and logs that go to the bounds of a TCP server: what it takes, whom it tells, whom it
// closes.
#define _GNU_SOURCE 1 // nftw
#include "unit/stream/tcp_clients.h"

enum {
    MANY_BYTES = 64 << 10,
    ROW_LINE_BYTES = 48,
    FILL_BYTES = 512,
    FILL_BYTES_MIN = 8,
    SAME_MAX = 5
};

#define MS_NS UINT64_C(1000000)

// A file is a quarter of it: 80% are reached in the last one.
static const log_bounds small_log = {16 << 10, 32 << 10, 128 << 10};

// Records of nobody, until so much of the log is used, or, with 100, none has room any more.
static void log_fill(const fixture *f, uint32_t percent) {
    static const uint8_t payload[FILL_BYTES] = {0};
    uint32_t bytes = FILL_BYTES;
    uint64_t position;

    while (csti_wal_used_percent(f->wal) < percent && bytes >= FILL_BYTES_MIN) {
        const cst_code code = csti_wal_append(f->wal, 0, payload, bytes, &position, NULL);

        CHECK(code == CST_OK || code == CST_WAL_FULL);
        if (code == CST_WAL_FULL) bytes /= 2;
        CHECK_OK(csti_wal_flush(f->wal, NULL)); // until then it counts for more than it takes
    }
}

static int producer_open(fixture *f, const char *id, const char *next) {
    const int client = client_open(f);
    char line[ROW_LINE_BYTES];

    (void)snprintf(line, sizeof line, "{\"producer\":\"%s\"}\n", id);
    client_say(client, line);
    CHECK_TEXT(told(f, client), next);
    return client;
}

static void row_say(int client, uint64_t seq) {
    char line[ROW_LINE_BYTES];

    (void)snprintf(line, sizeof line, "{\"seq\":%" PRIu64 ",\"row\":{\"key\":7}}\n", seq);
    client_say(client, line);
}

static uint64_t rows(const fixture *f) {
    return metric(f, "constellation_push_rows_total");
}

static bool is_closed(int client) {
    char byte;

    return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
}

// ---- The log ------------------------------------------------------------------------------------

TEST(from_80_percent_of_the_log_on_it_rests_the_longer_the_fuller_it_is) {
    static const uint32_t percents[] = {79, 80, 85, 95};
    fixture f;
    int client;

    fixture_open_bounded(&f, CSTI_ACK_WAL, small_log);
    client = producer_open(&f, "a", "{\"next\":1}\n");
    for (uint32_t i = 0; i < 4; i++) {
        const uint64_t rest_ns = percents[i] < 80 ? 0 : (percents[i] - 79) * MS_NS;

        log_fill(&f, percents[i]);
        time_passes(&f, SECOND_NS); // it rests behind this turn
        row_say(client, i + 1);
        if (rest_ns > 0) csti_clock_sim_advance(&f.clock, rest_ns - 1);
        turns(&f, 10);
        CHECK_EQ(rows(&f), rest_ns > 0 ? i : i + 1);
        csti_clock_sim_advance(&f.clock, 1);
        turns(&f, 10);
        CHECK_EQ(rows(&f), i + 1);
    }
    CHECK(csti_tcp_server_waits_ns(f.server) > 0); // a checkpoint is asked for
    close(client);
    fixture_close(&f);
}

TEST(of_a_nearly_full_log_a_turn_reads_less_of_a_connection) {
    static char many[MANY_BYTES];
    size_t bytes = 0;
    fixture f;
    int client;

    fixture_open_bounded(&f, CSTI_ACK_WAL, small_log);
    client = producer_open(&f, "a", "{\"next\":1}\n");
    log_fill(&f, 95);
    time_passes(&f, SECOND_NS);
    for (uint64_t seq = 1; bytes + ROW_LINE_BYTES < sizeof many; seq++)
        bytes += (size_t)sprintf(many + bytes, "{\"seq\":%" PRIu64 ",\"row\":{\"key\":7}}\n", seq);
    client_say(client, many);
    const uint64_t before = metric(&f, "constellation_push_received_bytes_total");
    csti_clock_sim_advance(&f.clock, SECOND_NS);
    for (int i = 0; i < 10 && metric(&f, "constellation_push_received_bytes_total") == before; i++)
        turn(&f);
    CHECK_EQ(metric(&f, "constellation_push_received_bytes_total"), before + 4096);
    close(client);
    fixture_close(&f);
}

TEST(a_full_log_refuses_whoever_comes_and_all_after_10_s_and_goes_on_when_it_has_room) {
    fixture f;
    int client, late;

    fixture_open_bounded(&f, CSTI_ACK_WAL, small_log);
    client = producer_open(&f, "a", "{\"next\":1}\n");
    row_say(client, 1);
    CHECK_TEXT(told(&f, client), "{\"ack\":1}\n");
    log_fill(&f, 100);
    time_passes(&f, SECOND_NS);
    row_say(client, 2);
    time_passes(&f, SECOND_NS);
    late = client_open(&f);
    client_say(late, "{\"producer\":\"b\"}\n");
    CHECK(strncmp(told(&f, late), "{\"error\":\"CST_WAL_FULL\"", 23) == 0);
    CHECK(is_closed(late)); // and not reset: that might have cost it the line
    close(late);
    time_passes(&f, CSTI_TCP_FULL_NS - 2 * SECOND_NS);
    CHECK_EQ(recv(client, &(char){0}, 1, MSG_DONTWAIT), -1); // it waits
    time_passes(&f, 2 * SECOND_NS);
    time_passes(&f, CSTI_TCP_ANSWER_NS);
    CHECK(strncmp(told(&f, client), "{\"error\":\"CST_WAL_FULL\"", 23) == 0);
    CHECK_TEXT(told(&f, client), "");
    close(client);
    CHECK_EQ(metric(&f, "constellation_push_refusals_total{code=\"CST_WAL_FULL\"}"), 2);
    CHECK_OK(csti_wal_truncate(f.wal, csti_wal_durable(f.wal), NULL));
    time_passes(&f, SECOND_NS); // it has rested
    time_passes(&f, SECOND_NS);
    CHECK(metric(&f, "constellation_push_stalled_seconds_total") >= 10);
    client =
        producer_open(&f, "a", "{\"next\":3}\n"); // the second was taken, and is in the log now
    row_say(client, 2);
    row_say(client, 3);
    while (strcmp(told(&f, client), "{\"ack\":3}\n") != 0) CHECK(!is_closed(client));
    CHECK_EQ(csti_tcp_server_rows(f.server, 0), 3);
    close(client);
    fixture_close(&f);
}

TEST(a_log_that_is_far_above_its_bound_at_a_start_takes_rows_when_it_has_room) {
    static const log_bounds large_log = {16 << 10, 32 << 10, 2 << 20};
    fixture f;
    int client;

    fixture_open_bounded(&f, CSTI_ACK_WAL, large_log);
    log_fill(&f, 100);
    fixture_stop(&f);
    fixture_serve(&f, CSTI_ACK_WAL, 2, small_log);
    CHECK(csti_wal_used_percent(f.wal) > 1000);
    client = producer_open(&f, "a", "{\"next\":1}\n");
    time_passes(&f, SECOND_NS);
    CHECK(csti_tcp_server_waits_ns(f.server) > 0);
    row_say(client, 1);
    time_passes(&f, SECOND_NS);
    CHECK_EQ(csti_tcp_server_rows(f.server, 0), 0);
    CHECK_OK(csti_wal_truncate(f.wal, csti_wal_durable(f.wal), NULL));
    time_passes(&f, SECOND_NS);
    CHECK_TEXT(told(&f, client), "{\"ack\":1}\n");
    close(client);
    fixture_close(&f);
}

// ---- Clients ------------------------------------------------------------------------------------

TEST(who_reads_no_answer_is_closed_and_what_it_sent_counts) {
    fixture f;
    int deaf, other;
    uint64_t seq = 0;
    int same = 0; // turns without an answer

    fixture_open(&f, CSTI_ACK_WAL);
    answers_shrink();
    deaf = client_open_bounded(&f, 1);
    other = producer_open(&f, "other", "{\"next\":1}\n");
    // Its answers go into the buffers of the system, until they are full.
    while (same < SAME_MAX) {
        const uint64_t acks = metric(&f, "constellation_push_acknowledgements_total");

        row_say(deaf, ++seq);
        TEST_WAIT_UNTIL((turn(&f), rows(&f) == seq));
        CHECK_OK(csti_wal_flush(f.wal, NULL));
        turn(&f);
        same = metric(&f, "constellation_push_acknowledgements_total") == acks ? same + 1 : 0;
    }
    row_say(other, 1);
    CHECK_TEXT(told(&f, other), "{\"ack\":1}\n");
    time_passes(&f, CSTI_TCP_OUT_NS - 2 * SECOND_NS);
    CHECK_EQ(metric(&f, "constellation_push_refusals_total{code=\"CST_DEADLINE\"}"), 0);
    time_passes(&f, 2 * SECOND_NS);
    CHECK_EQ(metric(&f, "constellation_push_refusals_total{code=\"CST_DEADLINE\"}"), 1);
    time_passes(&f, SECOND_NS);
    CHECK_EQ(metric(&f, "constellation_push_connections"), 1);
    CHECK_EQ(rows(&f), seq + 1);
    close(deaf);
    close(other);
    fixture_close(&f);
}

TEST(who_sends_a_byte_a_second_is_told_when_the_time_of_its_line_is_over) {
    static const char line[] = "{\"seq\":1,\"row\":{\"key\":7}}\n";
    fixture f;
    int slow, other;

    fixture_open(&f, CSTI_ACK_WAL);
    slow = producer_open(&f, "slow", "{\"next\":1}\n");
    other = producer_open(&f, "other", "{\"next\":1}\n");
    for (size_t i = 0; i + 2 < sizeof line; i++) { // in time, but for its end
        CHECK_EQ(send(slow, line + i, 1, MSG_NOSIGNAL), 1);
        time_passes(&f, SECOND_NS);
    }
    CHECK_EQ(recv(slow, &(char){0}, 1, MSG_DONTWAIT), -1);
    client_say(slow, "\n");
    CHECK_TEXT(told(&f, slow), "{\"ack\":1}\n");
    for (uint64_t i = 0; i <= CSTI_TCP_LINE_NS / SECOND_NS; i++) {
        CHECK_EQ(send(slow, " ", 1, MSG_NOSIGNAL), 1);
        time_passes(&f, SECOND_NS);
    }
    CHECK(strncmp(told(&f, slow), "{\"error\":\"CST_DEADLINE\"", 23) == 0);
    CHECK_TEXT(told(&f, slow), "");
    row_say(other, 1);
    CHECK_TEXT(told(&f, other), "{\"ack\":1}\n");
    close(slow);
    close(other);
    fixture_close(&f);
}

TEST(a_line_without_an_end_takes_no_more_memory_than_a_line_may) {
    static char many[MANY_BYTES];
    fixture f;
    int client;

    memset(many, 'x', sizeof many - 1);
    fixture_open(&f, CSTI_ACK_WAL);
    client = producer_open(&f, "a", "{\"next\":1}\n");
    client_say(client, "{\"seq\":1,\"row\":{");
    turns(&f, 3);
    time_passes(&f, SECOND_NS);
    CHECK(metric(&f, "constellation_push_held_bytes") <= 1024);
    client_say(client, many);
    CHECK(strncmp(told(&f, client), "{\"error\":\"CST_LIMIT\",\"seq\":0,", 29) == 0);
    time_passes(&f, SECOND_NS);
    CHECK_EQ(metric(&f, "constellation_push_held_bytes"), 0);
    close(client);
    fixture_close(&f);
}

TEST(who_has_ended_its_side_waits_a_minute_for_its_answers) {
    fixture f;
    int client;

    fixture_open(&f, CSTI_ACK_CHECKPOINT);
    client = producer_open(&f, "a", "{\"next\":1}\n");
    row_say(client, 1);
    CHECK_EQ(shutdown(client, SHUT_WR), 0);
    TEST_WAIT_UNTIL((turn(&f), csti_wal_safe(f.wal) == 1));
    time_passes(&f, CSTI_TCP_ENDS_NS - SECOND_NS);
    CHECK_EQ(recv(client, &(char){0}, 1, MSG_DONTWAIT), -1);
    time_passes(&f, SECOND_NS);
    CHECK_TEXT(told(&f, client), ""); // no checkpoint came
    close(client);
    client = producer_open(&f, "a", "{\"next\":2}\n");
    CHECK_EQ(shutdown(client, SHUT_WR), 0);
    turns(&f, 3);
    atomic_store(&f.committed[0], 1);
    CHECK_TEXT(told(&f, client), "{\"ack\":1}\n");
    CHECK_TEXT(told(&f, client), "");
    close(client);
    fixture_close(&f);
}

TEST_MAIN
