#define _GNU_SOURCE 1 // accept4
#include "base/crc32c.h"
#include "base/fault_point.h"
#include "stream/tcp_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    EVENTS_MAX = 256,
    ACCEPTS_MAX = 64,       // in a turn
    DESCRIPTORS_MORE = 256, // of files, locks and what else a job has open
    REFUSAL_BYTES = 256,
    KEEPALIVE_S = 60,
    DROPS_MAX = 64,
};

#define SLOT_NONE UINT32_MAX

// What epoll says an event is of, when it is of no connection.
#define EVENT_LISTENER UINT64_MAX
#define EVENT_WAKE (UINT64_MAX - 1)

#define TIMERS_NS UINT64_C(250000000)
#define PLACE_AGAIN_NS UINT64_C(100000000)
#define REST_STEP_NS UINT64_C(1000000) // for each percent of the log above where it slows down

// ---- Addresses ----------------------------------------------------------------------------------

typedef struct listen_address {
    char host[CSTI_TCP_ADDRESS_BYTES];
    const char *port;
} listen_address;

static bool address_split(const char *listen, listen_address *out) {
    const char *const colon = strrchr(listen, ':');
    const char *host = listen;
    size_t bytes = colon ? (size_t)(colon - listen) : 0;

    if (bytes == 0 || bytes >= sizeof out->host || !colon[1]) return false;
    if (host[0] == '[') {
        if (host[bytes - 1] != ']') return false;
        host++;
        bytes -= 2;
    } else if (memchr(host, ':', bytes)) {
        return false; // of IPv6, and without its brackets
    }
    memcpy(out->host, host, bytes);
    out->host[bytes] = '\0';
    out->port = colon + 1;
    return strspn(out->port, "0123456789") == strlen(out->port) && strlen(out->port) <= 5 &&
           atoi(out->port) <= UINT16_MAX;
}

static cst_code address_read(const char *listen, struct addrinfo **out, cst_err *err) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    listen_address address;

    if (address_split(listen, &address) &&
        getaddrinfo(address.host, address.port, &hints, out) == 0)
        return CST_OK;
    return cst_fail(err, CST_CONFIG,
                    "'%.80s' is no address and port, as in \"127.0.0.1:7000\" or \"[::1]:7000\"",
                    listen);
}

cst_code csti_tcp_address_check(const char *listen, cst_err *err) {
    struct addrinfo *found = NULL;
    const cst_code code = address_read(listen, &found, err);

    if (code == CST_OK) freeaddrinfo(found);
    return code;
}

static void address_write(csti_tcp_server *server) {
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t bytes = sizeof bound;
    char host[CSTI_TCP_ADDRESS_BYTES / 2] = "?";
    char port[8] = "?";

    if (getsockname(server->listener, (struct sockaddr *)&bound, &bytes) == 0)
        (void)getnameinfo((struct sockaddr *)&bound, bytes, host, sizeof host, port, sizeof port,
                          NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(server->address, sizeof server->address,
                   bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static cst_code listen_open(csti_tcp_server *server, cst_err *err) {
    const char *const listen_text = server->options.listen;
    struct addrinfo *found = NULL;
    const int on = 1;
    cst_code code = address_read(listen_text, &found, err);

    if (code != CST_OK) return code;
    server->listener = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // A port that a dead process listened on is free at once.
    if (server->listener < 0 ||
        setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(server->listener, found->ai_addr, found->ai_addrlen) != 0 ||
        listen(server->listener, BACKLOG) != 0)
        code = cst_fail(err, CST_IO, "listening on %s: %s", listen_text, strerror(errno));
    freeaddrinfo(found);
    if (code == CST_OK) address_write(server);
    return code;
}

// ---- Open, close --------------------------------------------------------------------------------

// Rows of a giver are in the log: whoever holds its producer is told when they are safe.
static void placed(void *context, csti_producer *giver, uint64_t position, uint64_t seq) {
    tcp_connection *c = giver->holder;

    (void)context;
    giver->position = position;
    giver->placed = seq;
    if (c) csti_tcp_mark(c, position, seq);
}

static cst_code epoll_add(csti_tcp_server *server, int fd, uint64_t what, cst_err *err) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = what};

    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) == 0) return CST_OK;
    return cst_fail(err, CST_IO, "epoll: %s", strerror(errno));
}

static cst_code metrics_open(csti_tcp_server *server, cst_err *err) {
    tcp_gauges *g = &server->gauges;
    const csti_metric_row rows[] = {
        {&g->connections, CSTI_METRIC_GAUGE, "constellation_push_connections",
         "Connections of producers."},
        {&g->accepted, CSTI_METRIC_COUNTER, "constellation_push_accepted_total",
         "Connections that came."},
        {&g->rows, CSTI_METRIC_COUNTER, "constellation_push_rows_total", "Rows taken."},
        {&g->repeated, CSTI_METRIC_COUNTER, "constellation_push_repeated_rows_total",
         "Rows that came again, and did not count again."},
        {&g->bytes, CSTI_METRIC_COUNTER, "constellation_push_received_bytes_total",
         "Bytes received."},
        {&g->acks, CSTI_METRIC_COUNTER, "constellation_push_acknowledgements_total",
         "Acknowledgements sent."},
        {&g->producers, CSTI_METRIC_GAUGE, "constellation_push_producers",
         "Producers whose last row is known."},
        {&g->forgotten, CSTI_METRIC_COUNTER, "constellation_push_forgotten_total",
         "Producers forgotten to make room for others."},
        {&g->held_bytes, CSTI_METRIC_GAUGE, "constellation_push_held_bytes",
         "Memory of lines that are half here."},
        {&g->stalled_ns, CSTI_METRIC_COUNTER, "constellation_push_stalled_seconds_total",
         "Time in which nothing was read, because the log had no room."},
    };

    return csti_metrics_register_rows(server->options.metrics, rows, sizeof rows / sizeof *rows, "",
                                      err);
}

void csti_tcp_count(csti_tcp_server *server, const char *name, const char *help, const char *label,
                    const char *value) {
    csti_metric *metric = NULL;
    char labels[64];

    (void)snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
    if (csti_metrics_register(server->options.metrics, CSTI_METRIC_COUNTER, name, help, labels,
                              &metric, NULL) == CST_OK)
        csti_metric_add(metric, 1);
}

void csti_tcp_count_refusal(csti_tcp_server *server, cst_code code) {
    csti_tcp_count(server, "constellation_push_refusals_total",
                   "Connections that ended with an error, by code.", "code", cst_code_name(code));
}

static cst_code slots_open(csti_tcp_server *server, uint32_t count, cst_err *err) {
    if (count == 0) return cst_fail(err, CST_LIMIT, "there are no descriptors for connections");
    server->slots = calloc(count, sizeof *server->slots);
    if (!server->slots) return cst_fail(err, CST_NO_MEMORY, "%" PRIu32 " connections", count);
    for (uint32_t s = 0; s < count; s++)
        server->slots[s].next_free = s + 1 < count ? s + 1 : SLOT_NONE;
    server->slots_count = count;
    return CST_OK;
}

// Asks for as many as there may be connections, and what else there is. Of what the system gives,
// the job keeps what it needs for its files: connections that took all would end it.
static uint32_t connections_that_fit(const csti_tcp_server *server) {
    const uint32_t connections_max = server->options.connections_max;
    const rlim_t wanted = (rlim_t)connections_max + DESCRIPTORS_MORE;
    struct rlimit limit;
    uint32_t count;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return connections_max;
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted) return connections_max;
    count = (uint32_t)(limit.rlim_cur > 2 * DESCRIPTORS_MORE ? limit.rlim_cur - DESCRIPTORS_MORE
                                                             : limit.rlim_cur / 2);
    CSTI_LOG(server->options.logger, CSTI_LOG_WARN, "connections_fewer",
             csti_log_text("why", "the process may have no more descriptors"),
             csti_log_u64("descriptors", limit.rlim_cur), csti_log_u64("connections", count));
    return count;
}

static cst_code parts_open(csti_tcp_server *server, cst_err *err) {
    const csti_tcp_server_options *options = &server->options;
    const csti_push_batches_options batches = {.wal = options->wal,
                                               .shape = options->shape,
                                               .splits_count = options->splits_count,
                                               .rows_max = options->rows_max,
                                               .line_bytes_max = options->line_bytes_max,
                                               .placed = placed,
                                               .context = server};
    cst_code code = metrics_open(server, err);

    if (code == CST_OK) code = slots_open(server, connections_that_fit(server), err);
    if (code == CST_OK) code = csti_push_batches_open(&batches, &server->batches, err);
    if (code == CST_OK) code = csti_ndjson_rows_open(&server->json, options->shape, err);
    if (code == CST_OK) code = csti_park_fd_open(&server->wake, err);
    if (code != CST_OK) return code;
    server->chunk = malloc(TCP_CHUNK_BYTES + CSTI_TLS_RECORD_BYTES + CSTI_TEXT_SLACK_BYTES);
    if (!server->chunk) return cst_fail(err, CST_NO_MEMORY, "a server");
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0 || server->spare < 0)
        return cst_fail(err, CST_IO, "epoll: %s", strerror(errno));
    code = listen_open(server, err);
    if (code == CST_OK) code = epoll_add(server, server->listener, EVENT_LISTENER, err);
    return code == CST_OK ? epoll_add(server, server->wake.fd, EVENT_WAKE, err) : code;
}

cst_code csti_tcp_server_open(const csti_tcp_server_options *options, csti_tcp_server **out,
                              cst_err *err) {
    csti_tcp_server *server = calloc(1, sizeof *server);
    cst_code code;

    if (!server) return cst_fail(err, CST_NO_MEMORY, "a server");
    server->options = *options;
    server->listener = server->epoll = server->spare = server->wake.fd = -1;
    server->now_ns = csti_clock_now_ns(options->clock);
    code = parts_open(server, err);
    if (code != CST_OK) {
        csti_tcp_server_close(server);
        return code;
    }
    *out = server;
    return CST_OK;
}

// What it has sent and nobody reads would reset the connection before it reads why.
static void input_drop(csti_tcp_server *server, int fd) {
    for (int i = 0; i < DROPS_MAX; i++)
        if (recv(fd, server->chunk, TCP_CHUNK_BYTES, MSG_DONTWAIT) <= 0) return;
}

static void connections_end(csti_tcp_server *server) {
    const cst_code code = server->end_code;

    for (uint32_t s = 0; s < server->slots_count; s++) {
        if (!server->slots[s].connection) continue;
        if (code != CST_OK)
            csti_tcp_refuse_now(server->slots[s].connection, code, 0, cst_code_text(code));
        input_drop(server, server->slots[s].connection->fd);
        csti_tcp_close(server->slots[s].connection);
    }
}

void csti_tcp_server_close(csti_tcp_server *server) {
    if (!server) return;
    connections_end(server);
    if (server->listener >= 0) (void)close(server->listener);
    if (server->epoll >= 0) (void)close(server->epoll);
    if (server->spare >= 0) (void)close(server->spare);
    if (server->wake.fd >= 0) csti_park_fd_close(&server->wake);
    csti_push_batches_close(server->batches);
    csti_ndjson_rows_close(&server->json);
    free(server->slots);
    free(server->chunk);
    free(server);
}

const char *csti_tcp_server_address(const csti_tcp_server *server) {
    return server->address;
}

void csti_tcp_server_wake(csti_tcp_server *server) {
    csti_park_fd_wake(&server->wake);
}

uint64_t csti_tcp_server_rows(const csti_tcp_server *server, uint32_t split) {
    return csti_push_rows_logged(server->batches, split);
}

uint64_t csti_tcp_server_waits_ns(const csti_tcp_server *server) {
    // Relaxed: who looks a moment later looks again.
    return atomic_load_explicit(&server->waits_ns, memory_order_relaxed);
}

// ---- Producers ----------------------------------------------------------------------------------

uint32_t csti_tcp_split_of(const csti_tcp_server *server, const char *id, uint32_t bytes) {
    return csti_crc32c(0, id, bytes) % server->options.splits_count;
}

cst_code csti_tcp_producer_room(csti_tcp_server *server, cst_err *err) {
    csti_producers *producers = server->options.producers;
    csti_producer *oldest = producers->oldest;
    cst_code code;

    if (producers->count < server->options.producers_max) return CST_OK;
    while (oldest && oldest->holder) oldest = oldest->newer;
    if (!oldest)
        return cst_fail(err, CST_LIMIT,
                        "%" PRIu32 " producers are connected, and no more are kept in mind",
                        producers->count);
    code =
        csti_push_forget(server->batches, csti_tcp_split_of(server, oldest->id, oldest->id_bytes),
                         (csti_push_id){oldest->id, oldest->id_bytes}, err);
    if (code != CST_OK) return code;
    csti_metric_add(server->gauges.forgotten, 1);
    csti_producers_remove(producers, oldest);
    return CST_OK;
}

// ---- Connections that come ----------------------------------------------------------------------

void csti_tcp_events(tcp_connection *c, uint32_t events) {
    struct epoll_event event = {.events = events};

    if (c->events == events) return;
    c->events = events;
    event.data.u64 = (uint64_t)c->server->slots[c->slot].life << 32 | c->slot;
    // It cannot fail for a descriptor that was added, and takes no memory.
    (void)epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

void csti_tcp_slot_free(tcp_connection *c) {
    csti_tcp_server *server = c->server;
    tcp_slot *slot = &server->slots[c->slot];

    slot->connection = NULL;
    slot->life = (slot->life + 1) & INT32_MAX; // never that of the listener
    slot->next_free = server->first_free;
    server->first_free = c->slot;
    server->connections_count--;
}

// One that is not taken: told why, if its buffer has room for that.
static void turn_away(csti_tcp_server *server, int fd, cst_code code, const char *why) {
    char text[REFUSAL_BYTES];
    const int bytes =
        snprintf(text, sizeof text, "{\"error\":\"%s\",\"seq\":0,\"message\":\"%s\"}\n",
                 cst_code_name(code), why);

    csti_tcp_count_refusal(server, code);
    if (!server->options.tls) // a handshake costs more than what it would say
        (void)!send(fd, text, (size_t)bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    input_drop(server, fd);
    (void)close(fd);
}

static void options_set(int fd) {
    const int on = 1, idle_s = KEEPALIVE_S;

    // What the system does not have of these costs time and nothing else.
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
}

static void connection_add(csti_tcp_server *server, int fd) {
    tcp_connection *c = calloc(1, sizeof *c);
    tcp_slot *slot = &server->slots[server->first_free];

    if (!c) {
        turn_away(server, fd, CST_NO_MEMORY, "no memory for a connection");
        return;
    }
    options_set(fd);
    *c = (tcp_connection){.server = server,
                          .fd = fd,
                          .slot = server->first_free,
                          .events = EPOLLIN,
                          .split = server->serial++ % server->options.splits_count,
                          .deadline_ns = server->now_ns + CSTI_TCP_FIRST_LINE_NS};
    csti_buffer_init(&c->out, TCP_OUT_BYTES_MAX);
    if ((server->options.tls && csti_tls_open(server->options.tls, fd, &c->tls, NULL) != CST_OK) ||
        epoll_add(server, fd, (uint64_t)slot->life << 32 | c->slot, NULL) != CST_OK) {
        csti_tls_close(c->tls);
        turn_away(server, fd, CST_IO, "no room for a connection");
        free(c);
        return;
    }
    server->first_free = slot->next_free;
    slot->connection = c;
    server->connections_count++;
}

// Without descriptors left the one kept for it takes the connection, tells it so, and is kept
// again.
static void accept_without(csti_tcp_server *server) {
    int fd;

    (void)close(server->spare);
    fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) turn_away(server, fd, CST_LIMIT, "the process has no descriptors left");
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_some(csti_tcp_server *server) {
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        const int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
            accept_without(server);
            return;
        }
        if (fd < 0) return; // none, or one that is gone again
        csti_metric_add(server->gauges.accepted, 1);
        if (server->connections_count == server->slots_count)
            turn_away(server, fd, CST_LIMIT, "there are as many connections as there may be");
        else if (server->full_since_ns != 0)
            turn_away(server, fd, CST_WAL_FULL, "the log is full: come again");
        else
            connection_add(server, fd);
    }
}

// ---- Room in the log ----------------------------------------------------------------------------

static bool waits_for_room(cst_code code) {
    return code == CST_AGAIN || code == CST_WAL_FULL;
}

static void block(csti_tcp_server *server, cst_code code) {
    if (!server->blocked) server->blocked_since_ns = server->now_ns;
    server->blocked = true;
    if (code == CST_WAL_FULL && server->full_since_ns == 0) server->full_since_ns = server->now_ns;
    if (code != CST_WAL_FULL) server->full_since_ns = 0;
}

// Tries what waited. AGAIN, WAL_FULL: there still is no room.
static cst_code unblock(csti_tcp_server *server, cst_err *err) {
    cst_code code = csti_push_batches_flush(server->batches, err);

    while (code == CST_OK && server->stalled) {
        tcp_connection *c = server->stalled;

        server->stalled = NULL;
        code = csti_tcp_resume(c, err);
        if (waits_for_room(code)) server->stalled = c;
    }
    if (waits_for_room(code)) {
        block(server, code);
        return code;
    }
    if (server->blocked)
        csti_metric_add(server->gauges.stalled_ns, server->now_ns - server->blocked_since_ns);
    server->blocked = false;
    server->full_since_ns = 0;
    return code;
}

static void full_refuse(csti_tcp_server *server) {
    if (server->full_since_ns == 0 || server->now_ns - server->full_since_ns < CSTI_TCP_FULL_NS)
        return;
    CSTI_LOG_LIMITED(server->options.logger, CSTI_LOG_WARN, 1, "producers_refused",
                     csti_log_text("why", "the log is full"),
                     csti_log_u64("connections", server->connections_count));
    for (uint32_t s = 0; s < server->slots_count; s++)
        if (server->slots[s].connection)
            csti_tcp_refuse(server->slots[s].connection, CST_WAL_FULL, 0,
                            "the log is full: send again what was not acknowledged");
    server->stalled = NULL;
    server->full_since_ns = server->now_ns;
}

static uint32_t percent_above(const csti_tcp_server *server) {
    const uint32_t used = csti_wal_used_percent(server->options.wal);
    const uint32_t percent = used < 100 ? used : 100; // the bound may have been higher

    return percent < CSTI_WAL_SLOW_PERCENT ? 0 : percent - CSTI_WAL_SLOW_PERCENT + 1;
}

// Less of each connection, and a rest behind the turn: the nearer the log is to its bound, the
// more.
static void slow_down(csti_tcp_server *server) {
    const uint32_t above = percent_above(server);

    server->rest_until_ns = above > 0 ? server->now_ns + above * REST_STEP_NS : 0;
    if (above > 0)
        CSTI_LOG_LIMITED(server->options.logger, CSTI_LOG_WARN, 1, "producers_slowed",
                         csti_log_text("why", "the log is nearly full"),
                         csti_log_u64("percent", above + CSTI_WAL_SLOW_PERCENT - 1));
}

static size_t chunk_bytes(const csti_tcp_server *server) {
    const uint32_t above = percent_above(server);
    const size_t bytes = TCP_CHUNK_BYTES >> (above + 3) / 4;

    return bytes > TCP_CHUNK_BYTES_MIN ? bytes : TCP_CHUNK_BYTES_MIN;
}

// ---- Answers ------------------------------------------------------------------------------------

// Up to where rows may be acknowledged now. FENCED: nowhere, ever.
static cst_code safe_look(csti_tcp_server *server, cst_err *err) {
    const uint64_t safe = csti_wal_safe(server->options.wal);
    cst_err why = {.code = CST_OK};
    cst_code code;

    if (safe == server->checked || !server->waiting) return CST_OK;
    if (server->now_ns < server->place_again_ns) return CST_OK;
    CSTI_FAULT_POINT(push_safe);
    code = server->options.place_check(server->options.context, &why);
    if (code == CST_FENCED) {
        return cst_fail(err, code, "%s", why.text);
    }
    if (code != CST_OK) { // it does not answer: neither do we
        server->place_again_ns = server->now_ns + PLACE_AGAIN_NS;
        return CST_OK;
    }
    CSTI_FAULT_POINT(push_checked);
    server->checked = safe;
    return CST_OK;
}

static cst_code answers_give(csti_tcp_server *server, cst_err *err) {
    const bool by_log = server->options.ack == CSTI_ACK_WAL;
    const cst_code code = by_log ? safe_look(server, err) : (cst_code)CST_OK;

    if (code != CST_OK) return code;
    for (tcp_connection *next, *c = server->waiting; c; c = next) {
        next = c->waits_next;
        csti_tcp_answer(c, by_log ? server->checked
                                  : atomic_load_explicit(&server->options.committed[c->split],
                                                         memory_order_acquire));
    }
    CSTI_FAULT_POINT(push_answered);
    return CST_OK;
}

// Others are told whether a checkpoint is waited for.
static void waits_tell(csti_tcp_server *server) {
    const bool wanted = percent_above(server) > 0 ||
                        (server->options.ack == CSTI_ACK_CHECKPOINT && server->waiting);
    const uint64_t since_ns = atomic_load_explicit(&server->waits_ns, memory_order_relaxed);

    if (wanted == (since_ns != 0)) return;
    atomic_store_explicit(&server->waits_ns, wanted ? server->now_ns : 0, memory_order_relaxed);
}

// ---- Turns --------------------------------------------------------------------------------------

static cst_code connection_turn(csti_tcp_server *server, uint64_t what, uint32_t events,
                                cst_err *err) {
    const uint32_t slot = (uint32_t)what;
    tcp_connection *c = slot < server->slots_count ? server->slots[slot].connection : NULL;
    cst_code code;

    if (!c || server->slots[slot].life != what >> 32) return CST_OK; // closed in this turn
    if (c->tls && c->out.used_bytes > 0) events |= EPOLLOUT;         // it may have waited for bytes
    if (events & EPOLLOUT) {
        events |= csti_tcp_tls_can_write(c);
        csti_tcp_write(c);
        if (c->state == TCP_ENDS) server->timers_ns = 0;
    }
    if (!(events & EPOLLIN)) {
        if (events & (EPOLLERR | EPOLLHUP)) csti_tcp_close(c);
        return CST_OK;
    }
    code = csti_tcp_read(c, chunk_bytes(server), err);
    if (waits_for_room(code)) {
        server->stalled = c;
        block(server, code);
        return CST_OK;
    }
    return code;
}

static cst_code events_do(csti_tcp_server *server, int timeout_ms, cst_err *err) {
    struct epoll_event events[EVENTS_MAX];
    const int count = epoll_wait(server->epoll, events, EVENTS_MAX, timeout_ms);
    cst_code code = CST_OK;

    server->now_ns = csti_clock_now_ns(server->options.clock);
    if (count < 0 && errno != EINTR) return cst_fail(err, CST_IO, "epoll: %s", strerror(errno));
    for (int i = 0; i < count && code == CST_OK && !server->blocked; i++) {
        const uint64_t what = events[i].data.u64;

        if (what == EVENT_LISTENER)
            accept_some(server);
        else if (what == EVENT_WAKE)
            (void)csti_park_fd_wait(&server->wake, 0);
        else
            code = connection_turn(server, what, events[i].events, err);
    }
    return code;
}

// Nothing is read: it waits for the log, or to have rested.
static void events_pass(csti_tcp_server *server, int timeout_ms) {
    struct pollfd polled[2] = {{.fd = server->wake.fd, .events = POLLIN},
                               {.fd = server->listener, .events = POLLIN}};

    (void)poll(polled, 2, timeout_ms);
    server->now_ns = csti_clock_now_ns(server->options.clock);
    if (polled[0].revents) (void)csti_park_fd_wait(&server->wake, 0);
    if (polled[1].revents) accept_some(server);
}

static void timers_do(csti_tcp_server *server) {
    if (server->now_ns < server->timers_ns) return;
    server->timers_ns = server->now_ns + TIMERS_NS;
    full_refuse(server);
    for (uint32_t s = 0; s < server->slots_count; s++)
        if (server->slots[s].connection) csti_tcp_look(server->slots[s].connection);
    csti_metric_set(server->gauges.connections, server->connections_count);
    csti_metric_set(server->gauges.producers, server->options.producers->count);
    csti_metric_set(server->gauges.held_bytes, (int64_t)server->held_bytes);
}

static int wait_ms(const csti_tcp_server *server, int timeout_ms) {
    const uint64_t until_ns =
        server->rest_until_ns && !server->blocked ? server->rest_until_ns : server->timers_ns;
    const uint64_t ms =
        until_ns > server->now_ns ? (until_ns - server->now_ns + 999999) / 1000000 : 0;

    return ms < (uint64_t)timeout_ms ? (int)ms : timeout_ms;
}

static cst_code turn_do(csti_tcp_server *server, int timeout_ms, cst_err *err) {
    const bool rests = server->now_ns < server->rest_until_ns;
    cst_code code = csti_wal_failure(server->options.wal, err);

    if (code != CST_OK) return code;
    if (server->blocked || rests)
        events_pass(server, wait_ms(server, timeout_ms));
    else
        code = events_do(server, wait_ms(server, timeout_ms), err);
    if (code == CST_OK) code = unblock(server, err);
    if (waits_for_room(code)) code = CST_OK;
    CSTI_FAULT_POINT(push_logged);
    if (code == CST_OK) code = answers_give(server, err);
    if (code != CST_OK) return code;
    if (!rests) slow_down(server);
    timers_do(server);
    waits_tell(server);
    return CST_OK;
}

cst_code csti_tcp_server_turn(csti_tcp_server *server, int timeout_ms, cst_err *err) {
    if (server->end_code == CST_OK) server->end_code = turn_do(server, timeout_ms, err);
    return server->end_code;
}

void csti_tcp_server_finish(csti_tcp_server *server) {
    cst_err err = {.code = CST_OK};

    if (server->end_code != CST_OK) return;
    server->now_ns = csti_clock_now_ns(server->options.clock);
    server->place_again_ns = 0;
    // Who has lost the job tells its producers so, rows or none.
    if (server->options.place_check(server->options.context, &err) == CST_FENCED)
        server->end_code = CST_FENCED;
    else if (csti_push_batches_flush(server->batches, NULL) == CST_OK &&
             csti_wal_flush(server->options.wal, NULL) == CST_OK)
        (void)!answers_give(server, NULL);
}
