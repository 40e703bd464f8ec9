#define _GNU_SOURCE 1 // nftw
#include "unit/stream/tcp_clients.h"

TEST(a_row_is_acknowledged_behind_its_sync_and_the_question_whose_job_it_is) {
    fixture f;
    int client;

    fixture_open(&f, CSTI_ACK_WAL);
    client = client_open(&f);
    client_say(client, "{\"producer\":\"a\"}\n");
    CHECK_TEXT(told(&f, client), "{\"next\":1}\n");
    CHECK_EQ(f.checks, 0);
    client_say(client, "{\"seq\":1,\"row\":{\"key\":7}}\n");
    CHECK_TEXT(told(&f, client), "{\"ack\":1}\n");
    CHECK_EQ(f.checks, 1);
    CHECK_EQ(f.safe_when_asked, 1);
    close(client);
    fixture_close(&f);
}

TEST(a_place_that_is_not_known_acknowledges_nothing_until_it_is) {
    char byte;
    fixture f;
    int client;

    fixture_open(&f, CSTI_ACK_WAL);
    client = client_open(&f);
    f.place = CST_OBJECT_UNAVAILABLE;
    client_say(client, "{\"seq\":1,\"row\":{\"key\":7}}\n");
    for (int i = 0; i < 50; i++) time_passes(&f, SECOND_NS / 10);
    CHECK(f.checks > 1);
    CHECK_EQ(recv(client, &byte, 1, MSG_DONTWAIT), -1);
    f.place = CST_OK;
    csti_clock_sim_advance(&f.clock, SECOND_NS);
    CHECK_TEXT(told(&f, client), "{\"ack\":1}\n");
    close(client);
    fixture_close(&f);
}

TEST(a_fenced_server_says_so_and_acknowledges_nothing) {
    fixture f;
    int client;

    fixture_open(&f, CSTI_ACK_WAL);
    client = client_open(&f);
    f.place = CST_FENCED;
    client_say(client, "{\"seq\":1,\"row\":{\"key\":7}}\n");
    for (int i = 0; i < TURNS_MAX && f.ended == CST_OK; i++) turn(&f);
    CHECK_EQ(f.ended, CST_FENCED);
    csti_wal_close(f.wal);
    csti_tcp_server_close(f.server);
    f.server = NULL;
    f.wal = NULL;
    CHECK(strncmp(told(&f, client), "{\"error\":\"CST_FENCED\"", 21) == 0);
    close(client);
    fixture_close(&f);
}

TEST(a_checkpoint_acknowledges_rows_of_records_below_its_position) {
    fixture f;
    int client;

    fixture_open(&f, CSTI_ACK_CHECKPOINT);
    client = client_open(&f);
    client_say(client, "{\"seq\":1,\"row\":{\"key\":7}}\n");
    for (int i = 0; i < TURNS_MAX && csti_wal_safe(f.wal) == 0; i++) turn(&f);
    time_passes(&f, SECOND_NS);
    CHECK(csti_tcp_server_waits_ns(f.server) > 0);
    atomic_store(&f.committed[0], 1);
    CHECK_TEXT(told(&f, client), "{\"ack\":1}\n");
    turn(&f);
    CHECK_EQ(csti_tcp_server_waits_ns(f.server), 0);
    CHECK_EQ(f.checks, 0); // the commit has asked
    close(client);
    fixture_close(&f);
}

TEST(who_says_nothing_or_half_a_line_is_told_and_closed) {
    static const char *const begins[] = {"", "{\"prod", "{\"producer\":\"a\"}\n{\"seq\":"};

    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        fixture f;
        int client;

        fixture_open(&f, CSTI_ACK_WAL);
        client = client_open(&f);
        client_say(client, begins[i]);
        if (i == 2) CHECK_TEXT(told(&f, client), "{\"next\":1}\n");
        for (int t = 0; t < 10; t++) turn(&f);
        time_passes(&f, i == 2 ? CSTI_TCP_LINE_NS : CSTI_TCP_FIRST_LINE_NS);
        CHECK(strncmp(told(&f, client), "{\"error\":\"CST_DEADLINE\"", 23) == 0);
        CHECK_TEXT(told(&f, client), "");
        close(client);
        fixture_close(&f);
    }
}

TEST(who_drains_for_ever_is_closed) {
    fixture f;
    int client;

    fixture_open(&f, CSTI_ACK_WAL);
    client = client_open(&f);
    client_say(client, "nonsense\n");
    CHECK(strncmp(told(&f, client), "{\"error\":\"CST_SOURCE_RECORD\"", 28) == 0);
    for (int i = 0; i < 10; i++) {
        client_say(client, "and on and on\n");
        turn(&f);
    }
    time_passes(&f, CSTI_TCP_DRAIN_NS);
    for (int i = 0; i < TURNS_MAX && send(client, "x", 1, MSG_NOSIGNAL) == 1; i++) turn(&f);
    CHECK_EQ(send(client, "x", 1, MSG_NOSIGNAL), -1);
    close(client);
    fixture_close(&f);
}

TEST(rows_of_before_an_error_are_acknowledged_first) {
    fixture f;
    int client;

    fixture_open(&f, CSTI_ACK_WAL);
    client = client_open(&f);
    client_say(client, "{\"seq\":1,\"row\":{\"key\":7}}\n{\"seq\":2,\"row\":{\"key\":8}}\n"
                       "{\"seq\":3,\"row\":{}}\n{\"seq\":4,\"row\":{\"key\":8}}\n");
    CHECK_TEXT(told(&f, client), "{\"ack\":2}\n");
    CHECK(strstr(told(&f, client), "\"CST_SOURCE_RECORD\",\"seq\":3,"));
    CHECK_TEXT(told(&f, client), "");
    CHECK_EQ(csti_tcp_server_rows(f.server, 0), 2);
    close(client);
    fixture_close(&f);
}

TEST(addresses_that_are_none_are_refused) {
    static const char *const wrong[] = {"",          "7000",           ":7000",    "127.0.0.1",
                                        "here:7000", "127.0.0.1:x",    "::1:7000", "[::1]",
                                        "[::1:7000", "127.0.0.1:70000"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (csti_tcp_address_check(wrong[i], NULL) != CST_CONFIG)
            TEST_FAIL("'%s' was taken", wrong[i]);
    CHECK_OK(csti_tcp_address_check("127.0.0.1:0", NULL));
    CHECK_OK(csti_tcp_address_check("[::1]:7000", NULL));
}

TEST_MAIN
