// tcp_clients.h: a TCP server whose turns a test makes one by one, and clients of it.
#ifndef CST_TEST_STREAM_TCP_CLIENTS_H
#define CST_TEST_STREAM_TCP_CLIENTS_H

#include "stream/tcp_server.h"

#include "unit/stream/wal_files.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

enum { TURNS_MAX = 2000, LINE_BYTES = 1024, DESCRIPTORS_MAX = 256 };

#define SECOND_NS UINT64_C(1000000000)

typedef struct fixture {
    wal_folder folder;
    csti_clock_sim clock;
    csti_metrics *metrics;
    csti_wal *wal;
    csti_producers producers;
    csti_tls_context *tls; // NULL: none
    csti_tcp_server *server;
    _Atomic uint64_t committed[1];
    cst_code place;
    uint64_t safe_when_asked;
    int checks;
    cst_code ended;
    cst_err err;
} fixture;

static const csti_row_shape tcp_shape = {.schema = {.columns_count = 1,
                                                    .columns = {{.type = CST_TYPE_U64}}},
                                         .names = {"key"}};

static inline cst_code place_check(void *context, cst_err *err) {
    fixture *f = context;

    f->checks++;
    f->safe_when_asked = csti_wal_safe(f->wal);
    return f->place == CST_OK ? f->place : cst_fail(err, f->place, "another owner");
}

// Bytes of the log: its memory, a file, and all files; zeros: as the log has them.
typedef struct log_bounds {
    uint64_t memory, file, disk;
} log_bounds;

static inline void fixture_serve(fixture *f, csti_push_ack ack, uint64_t tenure,
                                 log_bounds bounds) {
    csti_tcp_server_options options = {.listen = "127.0.0.1:0",
                                       .producers = &f->producers,
                                       .shape = &tcp_shape,
                                       .splits_count = 1,
                                       .rows_max = 64,
                                       .ack = ack,
                                       .committed = f->committed,
                                       .connections_max = 8,
                                       .producers_max = 8,
                                       .line_bytes_max = 4096,
                                       .clock = &f->clock.clock,
                                       .place_check = place_check};
    csti_wal_report report;

    options.context = f;
    CHECK_OK(csti_metrics_open(&f->metrics, NULL));
    CHECK_OK(csti_wal_open(&(csti_wal_options){.folder = f->folder.path,
                                               .job = "j",
                                               .schema = 1,
                                               .tenure = tenure,
                                               .incarnation = 1,
                                               .memory_bytes = bounds.memory,
                                               .file_bytes = bounds.file,
                                               .disk_bytes_max = bounds.disk},
                           &f->wal, &report, NULL));
    options.wal = f->wal;
    options.tls = f->tls;
    options.metrics = f->metrics;
    CHECK_OK(csti_tcp_server_open(&options, &f->server, NULL));
}

static inline void fixture_stop(fixture *f) {
    csti_wal_close(f->wal);
    csti_tcp_server_close(f->server);
    csti_metrics_close(f->metrics);
}

static inline void fixture_open_tls(fixture *f, csti_push_ack ack, log_bounds bounds,
                                    csti_tls_context *tls) {
    *f = (fixture){.folder = wal_folder_make(), .tls = tls};
    csti_clock_sim_init(&f->clock, 0);
    csti_clock_sim_advance(&f->clock, SECOND_NS);
    CHECK_OK(csti_producers_open(&f->producers, 8, NULL));
    fixture_serve(f, ack, 1, bounds);
}

static inline void fixture_open_bounded(fixture *f, csti_push_ack ack, log_bounds bounds) {
    fixture_open_tls(f, ack, bounds, NULL);
}

static inline void fixture_open(fixture *f, csti_push_ack ack) {
    fixture_open_bounded(f, ack, (log_bounds){0});
}

static inline void fixture_close(fixture *f) {
    fixture_stop(f);
    csti_producers_close(&f->producers);
    wal_folder_remove(&f->folder);
}

// With a buffer of so many bytes for what it receives; 0: as the system has it.
static inline int client_open_bounded(const fixture *f, int receive_bytes) {
    const char *address = csti_tcp_server_address(f->server);
    struct sockaddr_in to = {.sin_family = AF_INET};
    const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    if (receive_bytes > 0)
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes), 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline int client_open(const fixture *f) {
    return client_open_bounded(f, 0);
}

// The server's listener takes the smallest buffer there is, and connections have it from there.
static inline void answers_shrink(void) {
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
        int listens = 0;
        socklen_t bytes = sizeof listens;

        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 && listens)
            CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)), 0);
    }
}

static inline void client_say(int fd, const char *text) {
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static inline void turn(fixture *f) {
    if (f->ended == CST_OK) f->ended = csti_tcp_server_turn(f->server, 1, &f->err);
}

// The next line that the server says, while it has turns and time; "" at the end of the connection.
static inline const char *told(fixture *f, int fd) {
    static char line[LINE_BYTES];
    size_t used = 0;

    for (int i = 0; i < TURNS_MAX; i++) {
        const ssize_t bytes = recv(fd, line + used, 1, MSG_DONTWAIT);

        if (bytes == 0) return "";
        if (bytes > 0 && line[used++] == '\n') break;
        CHECK(used < sizeof line);
        if (bytes > 0) continue;
        csti_clock_sim_advance(&f->clock, SECOND_NS / 1000);
        turn(f);
    }
    line[used] = '\0';
    return line;
}

static inline void turns(fixture *f, int count) {
    while (count-- > 0) turn(f);
}

// A counter or gauge, by its name and labels; 0: there is none.
static inline uint64_t metric(const fixture *f, const char *name) {
    const size_t name_bytes = strlen(name);
    uint64_t value = 0;
    csti_buffer text;

    csti_buffer_init(&text, 1 << 20);
    CHECK_OK(csti_metrics_write(f->metrics, &text, NULL));
    CHECK_OK(csti_buffer_append(&text, "", 1, NULL));
    for (const char *at = (const char *)text.bytes; (at = strstr(at, name)) != NULL; at++)
        if (at > (const char *)text.bytes && at[-1] == '\n' && at[name_bytes] == ' ')
            value = strtoull(at + name_bytes, NULL, 10);
    csti_buffer_release(&text);
    return value;
}

static inline void time_passes(fixture *f, uint64_t ns) {
    csti_clock_sim_advance(&f->clock, ns);
    for (int i = 0; i < 3; i++) turn(f);
}

#endif
