#define _GNU_SOURCE 1 // RUSAGE_THREAD
#include "cli/bench_load.h"

#include "stream/row_text.h"

#include <assert.h>
#include <constellation/generator.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROWS = 32768,
    ROW_BYTES_MAX = 256,
    ROW_BOUND_BYTES = 4096, // that the writer asks for, whatever the row then takes
    COLUMNS_MAX = 8,
    ANSWER_BYTES = 16 << 10,
    ANSWER_MS = 60000,
};

// ---- Rows ---------------------------------------------------------------------------------------

cst_code bench_load_rows_make(const bench *b, bench_load_rows *out, cst_err *err) {
    const cst_generator_options options = {.seed = b->seed, .skew = -1};
    const char *names[COLUMNS_MAX];
    bench_load_rows rows = {.text = malloc((size_t)ROWS * ROW_BYTES_MAX + ROW_BOUND_BYTES),
                            .offsets = malloc((ROWS + 1) * sizeof *rows.offsets),
                            .count = ROWS};
    cst_generator *generator = NULL;
    cst_batch batch = {0};
    cst_code code = cst_generator_open("bids", &options, &generator, err);

    if (code == CST_OK && (!rows.text || !rows.offsets))
        code = cst_fail(err, CST_NO_MEMORY, "rows for clients");
    if (code == CST_OK) code = cst_generator_next(generator, ROWS, &batch);
    if (code == CST_OK) {
        assert(batch.schema->columns_count <= COLUMNS_MAX);
        rows.offsets[0] = 0;
        for (uint32_t c = 0; c < batch.schema->columns_count; c++)
            names[c] = cst_generator_column(generator, c);
    }
    for (uint32_t r = 0; r < ROWS && code == CST_OK;) {
        const uint32_t from = rows.offsets[r];
        size_t bytes = 0;

        batch.rows_count = r + 1; // a row a call
        code = csti_rows_write(&batch, names, CSTI_ROW_NDJSON, &r, rows.text + from,
                               ROW_BOUND_BYTES, &bytes);
        if (code != CST_OK) (void)cst_fail(err, code, "a row as text");
        assert(bytes <= ROW_BYTES_MAX);
        rows.offsets[r] = from + (uint32_t)bytes;
    }
    cst_generator_close(generator);
    if (code != CST_OK)
        bench_load_rows_free(&rows);
    else
        *out = rows;
    return code;
}

void bench_load_rows_free(bench_load_rows *rows) {
    free(rows->text);
    free(rows->offsets);
    *rows = (bench_load_rows){0};
}

// ---- Connections --------------------------------------------------------------------------------

cst_code bench_load_connect(uint16_t port, int *fd_out, cst_err *err) {
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        const int error = errno;

        if (fd >= 0) (void)close(fd);
        return cst_fail(err, CST_IO, "127.0.0.1:%u: %s", (unsigned)port, strerror(error));
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *fd_out = fd;
    return CST_OK;
}

cst_code bench_load_send(int fd, const char *bytes, size_t count, cst_err *err) {
    for (size_t done = 0; done < count;) {
        const ssize_t sent = send(fd, bytes + done, count - done, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return cst_fail(err, CST_IO, "sending rows: %s", strerror(errno));
        done += (size_t)sent;
    }
    return CST_OK;
}

// ---- Clients ------------------------------------------------------------------------------------

typedef struct load_client {
    int fd;
    uint64_t sent, answered; // rows
    uint32_t row;            // the next of those made before
    size_t held_bytes;
    char held[ANSWER_BYTES]; // an answer that is not whole, at its beginning
} load_client;

typedef struct load {
    const bench_load_options *options;
    int epoll;
    uint32_t busy; // clients that wait for answers
    char *batch;   // as it is sent
    load_client *clients;
} load;

static cst_code batch_send(load *l, load_client *c, cst_err *err) {
    const bench_load_rows *rows = l->options->rows;
    char *at = l->batch;

    for (int i = 0; i < BENCH_LOAD_BATCH_ROWS; i++) {
        const uint32_t from = rows->offsets[c->row];
        const uint32_t bytes = rows->offsets[c->row + 1] - from - 1; // without its line end

        at = l->options->kind->row(at, ++c->sent, rows->text + from, bytes);
        c->row = (c->row + 1) % rows->count;
    }
    return bench_load_send(c->fd, l->batch, (size_t)(at - l->batch), err);
}

static cst_code answers_take(const load *l, load_client *c, cst_err *err) {
    const ssize_t bytes =
        recv(c->fd, c->held + c->held_bytes, sizeof c->held - c->held_bytes, MSG_DONTWAIT);
    const char *at = c->held;
    const char *end;
    cst_code code = CST_OK;

    if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return CST_OK;
    if (bytes <= 0) return cst_fail(err, CST_IO, "the connection ended, or an answer is too long");
    c->held_bytes += (size_t)bytes;
    while (code == CST_OK &&
           (end = memchr(at, '\n', c->held_bytes - (size_t)(at - c->held))) != NULL) {
        code = l->options->kind->answer(at, (size_t)(end - at), &c->answered, err);
        at = end + 1;
    }
    c->held_bytes -= (size_t)(at - c->held);
    memmove(c->held, at, c->held_bytes);
    if (code == CST_OK && c->answered > c->sent)
        code = cst_fail(err, CST_INTERNAL, "rows were answered that were not sent");
    return code;
}

static cst_code client_open(load *l, uint32_t number, cst_err *err) {
    const bench_load_options *options = l->options;
    load_client *c = &l->clients[number];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    char hello[BENCH_LOAD_HELLO_BYTES];
    cst_code code = bench_load_connect(options->port, &c->fd, err);

    c->row = options->rows->count / BENCH_LOAD_CLIENTS_MAX * number;
    if (code == CST_OK && options->kind->hello)
        code = bench_load_send(c->fd, hello,
                               options->kind->hello(hello, options->first_client + number), err);
    if (code == CST_OK && epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        code = cst_fail(err, CST_IO, "epoll: %s", strerror(errno));
    return code;
}

// ---- A turn -------------------------------------------------------------------------------------

static uint64_t thread_cpu_ns(void) {
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_THREAD, &usage); // cannot fail with these arguments
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000 +
           ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
}

// A client all of whose rows are answered sends the next ones, or none while time is up.
static cst_code client_turn(load *l, load_client *c, uint64_t end_ns, cst_err *err) {
    cst_code code = answers_take(l, c, err);

    if (code != CST_OK || c->answered < c->sent) return code;
    if (bench_now_ns() < end_ns) return batch_send(l, c, err);
    l->busy--;
    return CST_OK;
}

static cst_code rows_run(load *l, uint64_t end_ns, cst_err *err) {
    struct epoll_event events[BENCH_LOAD_CLIENTS_MAX];
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < l->options->clients && code == CST_OK; i++, l->busy++)
        code = batch_send(l, &l->clients[i], err);
    while (l->busy > 0 && code == CST_OK) {
        const int count = epoll_wait(l->epoll, events, BENCH_LOAD_CLIENTS_MAX, ANSWER_MS);

        if (count < 0 && errno == EINTR) continue;
        if (count <= 0)
            return cst_fail(err, CST_DEADLINE, "no answer for %d s: %s", ANSWER_MS / 1000,
                            strerror(errno));
        for (int i = 0; i < count && code == CST_OK; i++)
            code = client_turn(l, &l->clients[events[i].data.u32], end_ns, err);
    }
    return code;
}

static cst_code load_open(load *l, cst_err *err) {
    const uint32_t clients = l->options->clients;
    const size_t batch_bytes =
        (size_t)BENCH_LOAD_BATCH_ROWS * (ROW_BYTES_MAX + BENCH_LOAD_HEAD_BYTES);
    cst_code code = CST_OK;

    assert(clients >= 1);
    assert(clients <= BENCH_LOAD_CLIENTS_MAX);
    l->batch = malloc(batch_bytes);
    l->clients = calloc(clients, sizeof *l->clients);
    if (!l->batch || !l->clients) return cst_fail(err, CST_NO_MEMORY, "clients");
    for (uint32_t i = 0; i < clients; i++) l->clients[i].fd = -1;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0) return cst_fail(err, CST_IO, "epoll: %s", strerror(errno));
    for (uint32_t i = 0; i < clients && code == CST_OK; i++) code = client_open(l, i, err);
    return code;
}

static void load_close(load *l) {
    for (uint32_t i = 0; l->clients && i < l->options->clients; i++)
        if (l->clients[i].fd >= 0) (void)close(l->clients[i].fd);
    if (l->epoll >= 0) (void)close(l->epoll);
    free(l->clients);
    free(l->batch);
}

cst_code bench_load_run(const bench_load_options *options, bench_load_turn *out, cst_err *err) {
    load l = {.options = options, .epoll = -1};
    const uint64_t cpu_ns = thread_cpu_ns();
    bench_load_turn turn = {0};
    uint64_t from_ns = 0;
    cst_code code = load_open(&l, err);

    if (code == CST_OK) {
        from_ns = bench_now_ns();
        code = rows_run(&l, from_ns + (uint64_t)(options->seconds * 1e9), err);
        turn.ns = bench_now_ns() - from_ns;
    }
    for (uint32_t i = 0; code == CST_OK && i < options->clients; i++)
        turn.rows += l.clients[i].answered;
    load_close(&l);
    turn.cpu_ns = thread_cpu_ns() - cpu_ns;
    if (code == CST_OK) *out = turn;
    return code;
}
