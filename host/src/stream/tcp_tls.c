#include "stream/tcp_internal.h"

#include <errno.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { HANDSHAKE_RECORD = 0x16 };

// ---- Failures -----------------------------------------------------------------------------------

static void failure_count(csti_tcp_server *server, csti_tls_failure failure) {
    csti_tcp_count(server, "constellation_push_tls_failures_total",
                   "Connections that TLS did not secure, by reason.", "reason",
                   csti_tls_failure_name(failure));
}

static void failure_log(const tcp_connection *c, csti_tls_failure failure, const char *why) {
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t bytes = sizeof peer;
    char host[CSTI_TCP_ADDRESS_BYTES] = "?";

    if (getpeername(c->fd, (struct sockaddr *)&peer, &bytes) == 0)
        (void)getnameinfo((struct sockaddr *)&peer, bytes, host, sizeof host, NULL, 0,
                          NI_NUMERICHOST);
    CSTI_LOG_LIMITED(c->server->options.logger, CSTI_LOG_WARN, 1, "tls_failed",
                     csti_log_text("from", host),
                     csti_log_text("reason", csti_tls_failure_name(failure)),
                     csti_log_text("why", why));
}

// TLS has told it what there is to tell.
void csti_tcp_tls_fail(tcp_connection *c, csti_tls_failure failure, const char *why) {
    failure_count(c->server, failure);
    failure_log(c, failure, why);
    csti_tcp_count_refusal(c->server, failure == CSTI_TLS_TIME ? CST_DEADLINE : CST_TLS);
    c->out_sent = c->out.used_bytes;
    csti_tcp_fails_now(c);
}

// The socket itself is gone: so is the connection, as one without TLS, at the next look.
static void lost(tcp_connection *c) {
    c->state = TCP_DRAINS;
    c->deadline_ns = c->server->timers_ns = c->server->now_ns;
}

void csti_tcp_tls_look(tcp_connection *c) {
    const csti_tls_failure failure = csti_tls_failure_of(c->tls);

    if (c->state != TCP_NEW && c->state != TCP_OPEN) return;
    if (failure == CSTI_TLS_LOST)
        lost(c);
    else if (failure != CSTI_TLS_NONE)
        csti_tcp_tls_fail(c, failure, csti_tls_why(c->tls));
    else if (csti_tls_has_ended(c->tls))
        csti_tcp_input_end(c);
}

// ---- Bytes --------------------------------------------------------------------------------------

// Reading goes on when the socket takes bytes; until then it is not asked, full as it may be.
static void write_wait(tcp_connection *c) {
    c->read_waits = true;
    if (c->out_ns == 0) c->out_ns = c->server->now_ns;
    csti_tcp_events(c, (c->events & ~(uint32_t)EPOLLIN) | EPOLLOUT);
}

uint32_t csti_tcp_tls_can_write(tcp_connection *c) {
    if (!c->read_waits) return 0;
    c->read_waits = false;
    c->out_ns = 0;
    if (c->state == TCP_ENDS || c->state == TCP_FAILS) return 0;
    csti_tcp_events(c, c->events | EPOLLIN);
    return EPOLLIN;
}

// Who does not speak TLS gets a line that it can read.
static bool is_plain(tcp_connection *c) {
    uint8_t first = HANDSHAKE_RECORD;

    if (c->tls_begun) return false;
    c->tls_begun = recv(c->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    return first != HANDSHAKE_RECORD;
}

static void plain_refuse(tcp_connection *c) {
    static const char why[] = "this port takes TLS alone: [source] has a tls_cert";

    csti_tls_close(c->tls);
    c->tls = NULL;
    failure_count(c->server, CSTI_TLS_PLAIN);
    failure_log(c, CSTI_TLS_PLAIN, why);
    csti_tcp_refuse_now(c, CST_TLS, 0, why);
}

bool csti_tcp_handshake(tcp_connection *c) {
    cst_code code;

    if (csti_tls_is_ready(c->tls)) return true;
    if (is_plain(c)) {
        plain_refuse(c);
        return false;
    }
    code = csti_tls_handshake(c->tls, NULL);
    if (code == CST_AGAIN && csti_tls_waits_to_write(c->tls)) write_wait(c);
    if (code != CST_OK && code != CST_AGAIN)
        csti_tcp_tls_fail(c, csti_tls_failure_of(c->tls), csti_tls_why(c->tls));
    return code == CST_OK;
}

size_t csti_tcp_tls_receive(tcp_connection *c, char *to, size_t bytes_max) {
    size_t got = 0;

    while (got < bytes_max) {
        const ssize_t bytes =
            csti_tls_recv(c->tls, to + got, bytes_max + CSTI_TLS_RECORD_BYTES - got);

        if (bytes > 0) {
            got += (size_t)bytes;
            continue;
        }
        if (bytes == 0 || errno != EAGAIN)
            c->server->timers_ns = c->server->now_ns;
        else if (csti_tls_waits_to_write(c->tls))
            write_wait(c);
        break;
    }
    return got;
}
