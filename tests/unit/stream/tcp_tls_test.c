// Clients of a TCP server with TLS, made of OpenSSL itself: those that do as they should, and those
// that do not.
#define _GNU_SOURCE 1 // nftw
#include "unit/stream/tcp_clients.h"
#include "unit/stream/tls_files.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
    PIECE_BYTES = 16 << 10,
    MANY_ROWS = 4000,
    ROW_BYTES = 48,
    UPDATES = 40,
    LATE_DAYS = 30,
    SAME_MAX = 5,
    CHAIN_CERTS = 60
};

#define REFUSED(CODE) metric(&f, "constellation_push_refusals_total{code=\"" CODE "\"}")
#define FAILED(REASON) metric(&f, "constellation_push_tls_failures_total{reason=\"" REASON "\"}")

// What servers and clients have: an authority, and what it signed.
typedef struct world {
    char folder[64];
    tls_identity authority, server, client, stranger;
    csti_tls_context *plain, *asking; // the second asks clients for a certificate
} world;

static csti_tls_context *server_context(const world *w, const char *clients) {
    const csti_tls_files files = {{w->server.cert_path, w->server.key_path, clients}};
    csti_tls_context *context = NULL;
    csti_tls_file wrong;

    CHECK_OK(csti_tls_server_open(&files, &context, &wrong, NULL));
    return context;
}

static world world_make(void) {
    world w = {.folder = "/tmp/cst-tls-XXXXXX"};

    CHECK(mkdtemp(w.folder));
    w.authority = tls_identity_make(w.folder, "authority", LATE_DAYS, NULL);
    w.server = tls_identity_make(w.folder, "server", LATE_DAYS, &w.authority);
    w.client = tls_identity_make(w.folder, "client", LATE_DAYS, &w.authority);
    w.stranger = tls_identity_make(w.folder, "stranger", LATE_DAYS, NULL);
    w.plain = server_context(&w, NULL);
    w.asking = server_context(&w, w.authority.cert_path);
    return w;
}

static void world_end(world *w) {
    csti_tls_context_close(w->plain);
    csti_tls_context_close(w->asking);
    tls_identity_end(&w->authority);
    tls_identity_end(&w->server);
    tls_identity_end(&w->client);
    tls_identity_end(&w->stranger);
    CHECK_EQ(rmdir(w->folder), 0);
}

// A client whose bytes go through memory: the test sees and changes what is under way.
typedef struct client {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    size_t piece_bytes; // of what goes out in a turn
} client;

static client client_make(const fixture *f, const world *w, int version, const tls_identity *own) {
    client c = {.fd = client_open(f), .context = SSL_CTX_new(TLS_client_method())};

    CHECK(c.context);
    SSL_CTX_set_verify(c.context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(c.context, 0); // of versions that are too old, too
    CHECK_EQ(SSL_CTX_set_min_proto_version(c.context, TLS1_VERSION), 1);
    if (version) CHECK_EQ(SSL_CTX_set_max_proto_version(c.context, version), 1);
    if (w) CHECK_EQ(SSL_CTX_load_verify_file(c.context, w->authority.cert_path), 1);
    if (own) CHECK_EQ(SSL_CTX_use_certificate(c.context, own->cert), 1);
    if (own) CHECK_EQ(SSL_CTX_use_PrivateKey(c.context, own->key), 1);
    c.ssl = SSL_new(c.context);
    c.in = BIO_new(BIO_s_mem());
    c.out = BIO_new(BIO_s_mem());
    CHECK(c.ssl);
    SSL_set_bio(c.ssl, c.in, c.out);
    SSL_set_connect_state(c.ssl);
    c.piece_bytes = PIECE_BYTES;
    return c;
}

static void client_end(client *c) {
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    if (c->fd >= 0) close(c->fd);
    ERR_clear_error();
}

// What the client has to send goes out, and what came comes in; false: the connection is over.
static bool pump(client *c) {
    char bytes[PIECE_BYTES];
    ssize_t got;
    const int out = BIO_read(c->out, bytes, (int)c->piece_bytes);

    if (out > 0) (void)!send(c->fd, bytes, (size_t)out, MSG_NOSIGNAL);
    got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) CHECK_EQ(BIO_write(c->in, bytes, (int)got), got);
    return got != 0 && !(got < 0 && errno != EAGAIN);
}

// A turn of both sides.
static bool step(fixture *f, client *c) {
    const bool lives = pump(c);

    csti_clock_sim_advance(&f->clock, SECOND_NS / 1000);
    turn(f);
    return lives;
}

static bool shake(fixture *f, client *c) {
    for (int i = 0; i < TURNS_MAX; i++) {
        const int done = SSL_do_handshake(c->ssl);

        if (done == 1) return step(f, c), true;
        if (SSL_get_error(c->ssl, done) != SSL_ERROR_WANT_READ) return step(f, c), false;
        if (!step(f, c) && BIO_pending(c->in) == 0) return false;
    }
    TEST_FAIL("no end of a handshake");
}

static void secret_say(client *c, const char *text) {
    CHECK_EQ(SSL_write(c->ssl, text, (int)strlen(text)), (int)strlen(text));
}

// The next line; "" at the end of the connection.
static const char *secret_told(fixture *f, client *c) {
    static char line[LINE_BYTES];
    size_t used = 0;
    bool lives = true;

    for (int i = 0; i < TURNS_MAX && used + 1 < sizeof line; i++) {
        const int got = SSL_read(c->ssl, line + used, 1);

        if (got == 1 && line[used++] == '\n') break;
        if (got == 1) continue;
        if (SSL_get_error(c->ssl, got) != SSL_ERROR_WANT_READ || !lives) return "";
        lives = step(f, c);
    }
    line[used] = '\0';
    return line;
}

static void row_say(client *c, uint64_t seq) {
    char line[ROW_BYTES];

    (void)snprintf(line, sizeof line, "{\"seq\":%" PRIu64 ",\"row\":{\"key\":7}}\n", seq);
    secret_say(c, line);
}

static void producer_say(fixture *f, client *c, const char *line, const char *next) {
    secret_say(c, line);
    CHECK_TEXT(secret_told(f, c), next);
}

// A server, and a producer that has said who it is.
static client begin(fixture *f, world *w, csti_push_ack ack, int version) {
    client c;

    *w = world_make();
    fixture_open_tls(f, ack, (log_bounds){0}, w->plain);
    c = client_make(f, w, version, NULL);
    CHECK(shake(f, &c));
    producer_say(f, &c, "{\"producer\":\"a\"}\n", "{\"next\":1}\n");
    return c;
}

static void end(fixture *f, world *w, client *c) {
    client_end(c);
    fixture_close(f);
    world_end(w);
}

// A producer that goes on beside whatever happens to others.
static client other_make(fixture *f, const world *w) {
    client c = client_make(f, w, 0, NULL);

    CHECK(shake(f, &c));
    producer_say(f, &c, "{\"producer\":\"other\"}\n", "{\"next\":1}\n");
    return c;
}

static void other_goes_on(fixture *f, client *c) {
    row_say(c, 1);
    CHECK_TEXT(secret_told(f, c), "{\"ack\":1}\n");
    client_end(c);
}

// Until the server has closed the connection.
static void closed_wait(fixture *f, client *c) {
    for (int i = 0; i < TURNS_MAX; i++)
        if (!step(f, c)) return;
    TEST_FAIL("the connection is open");
}

// ---- Clients that do as they should -------------------------------------------------------------

TEST(rows_come_over_both_versions_of_tls_in_pieces_of_any_size) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const size_t pieces[] = {1, 7, PIECE_BYTES};
    world w = world_make();

    for (size_t v = 0; v < 2; v++)
        for (size_t p = 0; p < 3; p++) {
            fixture f;
            client c;

            fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
            c = client_make(&f, &w, versions[v], NULL);
            c.piece_bytes = pieces[p];
            CHECK(shake(&f, &c));
            CHECK_EQ(SSL_version(c.ssl), versions[v]);
            producer_say(&f, &c, "{\"producer\":\"a\"}\n", "{\"next\":1}\n");
            row_say(&c, 1);
            CHECK_TEXT(secret_told(&f, &c), "{\"ack\":1}\n");
            CHECK_EQ(csti_tcp_server_rows(f.server, 0), 1);
            client_end(&c);
            fixture_close(&f);
        }
    world_end(&w);
}

TEST(many_rows_in_whole_records_leave_none_behind) {
    fixture f;
    world w;
    client c = begin(&f, &w, CSTI_ACK_WAL, 0);
    for (uint64_t seq = 1; seq <= MANY_ROWS; seq++) row_say(&c, seq);
    while (BIO_pending(c.out) > 0) CHECK(pump(&c)); // all of it waits at the server
    while (strcmp(secret_told(&f, &c), "{\"ack\":4000}\n") != 0) CHECK(f.ended == CST_OK);
    CHECK_EQ(csti_tcp_server_rows(f.server, 0), MANY_ROWS);
    end(&f, &w, &c);
}

TEST(who_says_that_it_has_sent_all_is_answered_and_closed_in_the_same_way) {
    fixture f;
    world w;
    client c = begin(&f, &w, CSTI_ACK_CHECKPOINT, 0);
    row_say(&c, 1);
    CHECK_EQ(SSL_shutdown(c.ssl), 0);
    TEST_WAIT_UNTIL((step(&f, &c), csti_wal_safe(f.wal) == 1));
    atomic_store(&f.committed[0], 1);
    CHECK_TEXT(secret_told(&f, &c), "{\"ack\":1}\n");
    CHECK_TEXT(secret_told(&f, &c), "");
    CHECK(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN); // it was not cut off
    CHECK_EQ(REFUSED("CST_TLS"), 0);
    end(&f, &w, &c);
}

TEST(an_end_of_the_socket_alone_loses_no_row_that_came_before) {
    fixture f;
    world w;
    client c = begin(&f, &w, CSTI_ACK_WAL, 0);
    row_say(&c, 1);
    secret_say(&c, "{\"seq\":2,");
    CHECK(pump(&c));
    CHECK_EQ(shutdown(c.fd, SHUT_WR), 0);
    CHECK_TEXT(secret_told(&f, &c), "{\"ack\":1}\n");
    CHECK_TEXT(secret_told(&f, &c), "");
    CHECK_EQ(csti_tcp_server_rows(f.server, 0), 1);
    end(&f, &w, &c);
}

TEST(a_bad_line_is_told_as_without_tls) {
    world w = world_make();
    fixture f;
    client c;

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
    c = client_make(&f, &w, 0, NULL);
    CHECK(shake(&f, &c));
    secret_say(&c, "nonsense\n");
    CHECK(strstr(secret_told(&f, &c), "{\"error\":\"CST_SOURCE_RECORD\""));
    CHECK_TEXT(secret_told(&f, &c), "");
    CHECK(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    end(&f, &w, &c);
}

TEST(lines_that_wait_for_room_in_the_log_are_taken_before_the_end_behind_them) {
    static const log_bounds small = {16 << 10, 32 << 10, 128 << 10};
    static const uint8_t payload[4096] = {0};
    world w = world_make();
    uint64_t position;
    fixture f;
    client c;

    fixture_open_tls(&f, CSTI_ACK_WAL, small, w.plain);
    c = client_make(&f, &w, 0, NULL);
    CHECK(shake(&f, &c));
    producer_say(&f, &c, "{\"producer\":\"a\"}\n", "{\"next\":1}\n");
    for (uint32_t bytes = sizeof payload; bytes >= 8;) {
        if (csti_wal_append(f.wal, 0, payload, bytes, &position, NULL) != CST_OK) bytes /= 2;
        CHECK_OK(csti_wal_flush(f.wal, NULL));
    }
    time_passes(&f, SECOND_NS);
    for (uint64_t seq = 1; seq <= 3; seq++) row_say(&c, seq);
    CHECK_EQ(SSL_shutdown(c.ssl), 0);
    for (int i = 0; i < 50; i++) CHECK(step(&f, &c));
    CHECK_OK(csti_wal_truncate(f.wal, csti_wal_durable(f.wal), NULL));
    CHECK_TEXT(secret_told(&f, &c), "{\"ack\":3}\n");
    CHECK_TEXT(secret_told(&f, &c), "");
    end(&f, &w, &c);
}

TEST(requests_for_new_keys_are_answered_and_rows_go_on) {
    fixture f;
    world w;
    client c = begin(&f, &w, CSTI_ACK_WAL, TLS1_3_VERSION);
    for (uint64_t seq = 1; seq <= UPDATES; seq++) {
        CHECK_EQ(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        row_say(&c, seq);
    }
    while (strcmp(secret_told(&f, &c), "{\"ack\":40}\n") != 0) CHECK(f.ended == CST_OK);
    end(&f, &w, &c);
}

// ---- Clients that do not ------------------------------------------------------------------------

TEST(a_handshake_that_does_not_end_has_the_time_of_the_first_line) {
    world w = world_make();
    client silent, half, other;
    fixture f;

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
    other = other_make(&f, &w);
    silent = client_make(&f, &w, 0, NULL);
    half = client_make(&f, &w, 0, NULL);
    CHECK_EQ(SSL_do_handshake(half.ssl), -1);
    half.piece_bytes = (size_t)BIO_pending(half.out) - 1;
    CHECK(step(&f, &half));
    time_passes(&f, CSTI_TCP_FIRST_LINE_NS - SECOND_NS);
    CHECK_EQ(REFUSED("CST_DEADLINE"), 0);
    time_passes(&f, SECOND_NS);
    CHECK_EQ(REFUSED("CST_DEADLINE"), 2);
    CHECK_EQ(FAILED("time"), 2);
    half.piece_bytes = 1; // it says the rest now
    closed_wait(&f, &half);
    client_end(&silent);
    client_end(&half);
    other_goes_on(&f, &other);
    fixture_close(&f);
    world_end(&w);
}

TEST(plain_text_to_a_server_with_tls_is_answered_in_plain) {
    world w = world_make();
    client other;
    fixture f;
    int plain;

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
    other = other_make(&f, &w);
    plain = client_open(&f);
    client_say(plain, "{\"producer\":\"a\"}\n");
    CHECK(strncmp(told(&f, plain), "{\"error\":\"CST_TLS\",\"seq\":0,", 27) == 0);
    CHECK_TEXT(told(&f, plain), "");
    CHECK_EQ(FAILED("plain_text"), 1);
    CHECK_EQ(REFUSED("CST_TLS"), 1);
    close(plain);
    other_goes_on(&f, &other);
    fixture_close(&f);
    world_end(&w);
}

TEST(tls_to_a_server_without_is_answered_in_plain) {
    static char line[LINE_BYTES];
    fixture f;
    client c;

    fixture_open(&f, CSTI_ACK_WAL);
    c = client_make(&f, NULL, 0, NULL);
    CHECK_EQ(SSL_do_handshake(c.ssl), -1);
    while (BIO_pending(c.in) == 0) CHECK(step(&f, &c));
    CHECK(BIO_gets(c.in, line, sizeof line) > 0);
    CHECK(strncmp(line, "{\"error\":\"CST_TLS\",\"seq\":0,", 27) == 0);
    CHECK_EQ(REFUSED("CST_TLS"), 1);
    client_end(&c);
    fixture_close(&f);
}

TEST(who_goes_in_the_handshake_is_counted) {
    world w = world_make();
    fixture f;
    client c;

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
    c = client_make(&f, &w, 0, NULL);
    CHECK_EQ(SSL_do_handshake(c.ssl), -1);
    CHECK(step(&f, &c));
    CHECK_EQ(shutdown(c.fd, SHUT_WR), 0);
    closed_wait(&f, &c);
    CHECK_EQ(FAILED("ended"), 1);
    CHECK_EQ(REFUSED("CST_TLS"), 1);
    end(&f, &w, &c);
}

// Bytes that are no record of TLS, as they come.
static void nonsense_say(fixture *f, client *c) {
    static const uint8_t nonsense[] = {0x16, 0x03, 0x03, 0x00, 0x20, 'n', 'o', 'n', 's', 'e',
                                       'n',  's',  'e',  'n',  's',  'e', 'n', 's', 'e', 'n',
                                       's',  'e',  'n',  's',  'e',  'n', 's', 'e', 'n', 's',
                                       'e',  'n',  's',  'e',  'n',  's', 'e'};

    CHECK_EQ(send(c->fd, nonsense, sizeof nonsense, MSG_NOSIGNAL), (ssize_t)sizeof nonsense);
    closed_wait(f, c);
}

TEST(nonsense_in_and_behind_the_handshake_ends_that_connection_alone) {
    world w = world_make();
    client before, behind, other;
    fixture f;

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
    other = other_make(&f, &w);
    before = client_make(&f, &w, 0, NULL);
    nonsense_say(&f, &before);
    CHECK_EQ(FAILED("protocol"), 1);
    behind = client_make(&f, &w, 0, NULL);
    CHECK(shake(&f, &behind));
    producer_say(&f, &behind, "{\"producer\":\"a\"}\n", "{\"next\":1}\n");
    nonsense_say(&f, &behind);
    CHECK_EQ(FAILED("record"), 1);
    CHECK_EQ(REFUSED("CST_TLS"), 2);
    client_end(&before);
    client_end(&behind);
    other_goes_on(&f, &other);
    fixture_close(&f);
    world_end(&w);
}

TEST(who_asks_for_another_handshake_is_closed) {
    fixture f;
    world w;
    client c = begin(&f, &w, CSTI_ACK_WAL, TLS1_2_VERSION);
    row_say(&c, 1);
    CHECK_TEXT(secret_told(&f, &c), "{\"ack\":1}\n");
    CHECK_EQ(SSL_renegotiate(c.ssl), 1);
    (void)SSL_do_handshake(c.ssl);
    closed_wait(&f, &c);
    CHECK_EQ(FAILED("renegotiation"), 1);
    CHECK_EQ(REFUSED("CST_TLS"), 1);
    end(&f, &w, &c);
}

TEST(versions_before_1_2_are_refused) {
    world w = world_make();
    fixture f;
    client c;

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
    c = client_make(&f, &w, TLS1_1_VERSION, NULL);
    CHECK(!shake(&f, &c));
    closed_wait(&f, &c);
    CHECK_EQ(FAILED("protocol"), 1);
    end(&f, &w, &c);
}

TEST(a_client_that_does_not_trust_the_server_is_counted_as_such) {
    world w = world_make();
    fixture f;
    client c;

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
    c = client_make(&f, NULL, 0, NULL);
    CHECK(!shake(&f, &c));
    closed_wait(&f, &c);
    CHECK_EQ(FAILED("alert"), 1);
    end(&f, &w, &c);
}

TEST(where_clients_have_to_show_a_certificate_only_those_that_are_signed_come_in) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    world w = world_make();

    for (size_t v = 0; v < 2; v++) {
        const tls_identity *const owns[] = {NULL, &w.stranger, &w.client};
        fixture f;

        fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.asking);
        for (size_t i = 0; i < 3; i++) {
            client c = client_make(&f, &w, versions[v], owns[i]);
            const bool done = shake(&f, &c); // with TLS 1.3 a client learns it behind that

            if (done && i < 2) CHECK_TEXT(secret_told(&f, &c), "");
            if (i < 2) closed_wait(&f, &c);
            if (i == 2) producer_say(&f, &c, "{\"producer\":\"a\"}\n", "{\"next\":1}\n");
            CHECK_EQ(FAILED("certificate"), i < 2 ? i + 1 : 2);
            client_end(&c);
        }
        CHECK_EQ(REFUSED("CST_TLS"), 2);
        fixture_close(&f);
    }
    world_end(&w);
}

// More than the buffers between the two take at once: the server has to wait to write.
static csti_tls_context *long_chain_context(const world *w) {
    FILE *file = fopen(w->server.cert_path, "a");

    CHECK(file);
    for (int i = 0; i < CHAIN_CERTS; i++) CHECK_EQ(PEM_write_X509(file, w->authority.cert), 1);
    CHECK_EQ(fclose(file), 0);
    return server_context(w, NULL);
}

TEST(a_handshake_that_is_read_slowly_ends_and_one_that_is_not_read_is_closed) {
    world w = world_make();
    csti_tls_context *const context = long_chain_context(&w);
    client slow, deaf;
    fixture f;

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, context);
    answers_shrink();
    deaf = client_make(&f, &w, TLS1_2_VERSION, NULL);
    close(deaf.fd);
    deaf.fd = client_open_bounded(&f, 1);
    slow = client_make(&f, &w, TLS1_2_VERSION, NULL);
    close(slow.fd);
    slow.fd = client_open_bounded(&f, 1);
    CHECK_EQ(SSL_do_handshake(deaf.ssl), -1);
    deaf.piece_bytes = (size_t)BIO_pending(deaf.out);
    CHECK(pump(&deaf));
    CHECK(shake(&f, &slow));
    producer_say(&f, &slow, "{\"producer\":\"a\"}\n", "{\"next\":1}\n");
    time_passes(&f, CSTI_TCP_FIRST_LINE_NS);
    CHECK_EQ(FAILED("time"), 1);
    row_say(&slow, 1);
    CHECK_TEXT(secret_told(&f, &slow), "{\"ack\":1}\n");
    client_end(&slow);
    client_end(&deaf);
    fixture_close(&f);
    csti_tls_context_close(context);
    world_end(&w);
}

TEST(who_reads_no_answer_over_tls_is_closed_and_what_it_sent_counts) {
    world w = world_make();
    client deaf;
    fixture f;
    uint64_t seq = 0;
    int same = 0; // turns without an answer

    fixture_open_tls(&f, CSTI_ACK_WAL, (log_bounds){0}, w.plain);
    answers_shrink();
    deaf = client_make(&f, &w, 0, NULL);
    close(deaf.fd);
    deaf.fd = client_open_bounded(&f, 1);
    CHECK(shake(&f, &deaf));
    while (same < SAME_MAX) {
        const uint64_t acks = metric(&f, "constellation_push_acknowledgements_total");
        char record[LINE_BYTES];
        int bytes;

        row_say(&deaf, ++seq);
        bytes = BIO_read(deaf.out, record, sizeof record);
        CHECK_EQ(send(deaf.fd, record, (size_t)bytes, MSG_NOSIGNAL), bytes);
        TEST_WAIT_UNTIL((turn(&f), metric(&f, "constellation_push_rows_total") == seq));
        CHECK_OK(csti_wal_flush(f.wal, NULL));
        turn(&f);
        same = metric(&f, "constellation_push_acknowledgements_total") == acks ? same + 1 : 0;
    }
    time_passes(&f, CSTI_TCP_OUT_NS - SECOND_NS);
    CHECK_EQ(REFUSED("CST_DEADLINE"), 0);
    time_passes(&f, SECOND_NS);
    CHECK_EQ(REFUSED("CST_DEADLINE"), 1);
    time_passes(&f, SECOND_NS);
    CHECK_EQ(metric(&f, "constellation_push_connections"), 0);
    CHECK_EQ(csti_tcp_server_rows(f.server, 0), seq);
    client_end(&deaf);
    fixture_close(&f);
    world_end(&w);
}

TEST(a_fenced_server_says_so_over_tls_and_closes_handshakes) {
    fixture f;
    world w;
    client c = begin(&f, &w, CSTI_ACK_WAL, 0), half;

    half = client_make(&f, &w, 0, NULL);
    CHECK(step(&f, &half));
    f.place = CST_FENCED;
    row_say(&c, 1);
    for (int i = 0; i < TURNS_MAX && f.ended == CST_OK; i++) step(&f, &c);
    csti_wal_close(f.wal);
    csti_tcp_server_close(f.server);
    f.server = NULL;
    f.wal = NULL;
    CHECK(strstr(secret_told(&f, &c), "{\"error\":\"CST_FENCED\""));
    CHECK(!pump(&half));
    client_end(&c);
    client_end(&half);
    fixture_close(&f);
    world_end(&w);
}

TEST_MAIN
