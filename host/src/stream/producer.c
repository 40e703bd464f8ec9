// producer.c: the other side of tcp_server.c, for programs that push rows.
//
//   kept   | row 41 | row 42 | row 43 | row 44 |     lines, from the oldest that is not
//   acknowledged
//          ^ acked + 1       ^ sent              ^ next
#include "base/buffer.h"
#include "base/clock.h"
#include "base/park.h"
#include "stream/producers.h"
#include "stream/text_write.h"
#include "stream/tls.h"

#include <constellation/producer.h>

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
#include <sys/socket.h>
#include <unistd.h>

enum {
    KEPT_BYTES = 64 << 20,
    SENT_FIRST_BYTES = 64 << 10, // rows go out together
    HEAD_BYTES = 40,             // {"seq":N,"row":
    ANSWER_BYTES = 8192,
    CONNECT_MS = 10000,
    ADDRESS_BYTES = 128,
};

#define NS_PER_MS UINT64_C(1000000)
#define AGAIN_NS UINT64_C(100000000) // between two tries to connect

_Static_assert((int)CST_PRODUCER_ID_BYTES_MAX == (int)CSTI_PRODUCER_ID_BYTES_MAX, "one bound");

struct cst_producer {
    char address[ADDRESS_BYTES], id[CST_PRODUCER_ID_BYTES_MAX + 1];
    int fd;                  // -1: not connected
    csti_tls_context *trust; // NULL: no TLS
    csti_tls *tls;           // of the connection
    csti_buffer kept;
    size_t from, sent;    // of kept: the oldest row; what the connection has
    uint64_t first, next; // number of the oldest row that is kept; of the one that is put next
    uint64_t acked;
    bool opened;
    char answer[ANSWER_BYTES]; // the part of a line that is here
    size_t answer_bytes;
    cst_code failed;
    cst_err failure;
};

// ---- Answers ------------------------------------------------------------------------------------

static cst_code give_up(cst_producer *producer, cst_code code, const char *why) {
    producer->failed = cst_fail(&producer->failure, code, "producer %s: %.400s", producer->id, why);
    return producer->failed;
}

// {"error":"CST_NAME","seq":N,"message":"..."}
static cst_code error_take(cst_producer *producer, const char *line) {
    static const struct {
        const char *name;
        cst_code code;
    } codes[] = {
#define CODE_NAME(name, number, text, advice) {"CST_" #name, number},
        CST_ERR_MAP(CODE_NAME)
#undef CODE_NAME
    };
    const char *name = line + sizeof "{\"error\":\"" - 1;
    const size_t bytes = strcspn(name, "\"");

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strlen(codes[i].name) == bytes && memcmp(codes[i].name, name, bytes) == 0)
            return give_up(producer, codes[i].code, line);
    return give_up(producer, CST_IO, line);
}

static bool number_is(const char *line, const char *head, uint64_t *out) {
    const size_t bytes = strlen(head);

    if (strncmp(line, head, bytes) != 0) return false;
    *out = strtoull(line + bytes, NULL, 10);
    return true;
}

// The lines of rows before `number` are no longer needed.
static void forget_before(cst_producer *producer, uint64_t number) {
    while (producer->first < number && producer->from < producer->kept.used_bytes) {
        const uint8_t *at = producer->kept.bytes + producer->from;
        const uint8_t *end = memchr(at, '\n', producer->kept.used_bytes - producer->from);

        assert(end);
        producer->from += (size_t)(end - at) + 1;
        producer->first++;
    }
    if (producer->from < producer->kept.used_bytes / 2) return;
    memmove(producer->kept.bytes, producer->kept.bytes + producer->from,
            producer->kept.used_bytes - producer->from);
    producer->kept.used_bytes -= producer->from;
    producer->sent -= producer->sent < producer->from ? producer->sent : producer->from;
    producer->from = 0;
}

static cst_code answer_take(cst_producer *producer, const char *line) {
    uint64_t number = 0;

    if (number_is(line, "{\"ack\":", &number)) {
        if (number > producer->acked) producer->acked = number;
        forget_before(producer, number + 1);
        return CST_OK;
    }
    if (strncmp(line, "{\"error\":\"", 10) == 0) return error_take(producer, line);
    return give_up(producer, CST_IO, "an answer that is none");
}

// ---- The connection -----------------------------------------------------------------------------

static void disconnect(cst_producer *producer) {
    csti_tls_close(producer->tls);
    producer->tls = NULL;
    if (producer->fd >= 0) (void)close(producer->fd);
    producer->fd = -1;
    producer->answer_bytes = 0;
    producer->sent = producer->from;
}

// Whom it is not meant to talk to it does not try again.
static cst_code tls_give_up(cst_producer *producer) {
    const csti_tls_failure failure =
        producer->tls ? csti_tls_failure_of(producer->tls) : CSTI_TLS_NONE;

    if (failure == CSTI_TLS_NONE || failure == CSTI_TLS_ENDED || failure == CSTI_TLS_LOST)
        return CST_AGAIN;
    return give_up(producer, CST_TLS, csti_tls_why(producer->tls));
}

static ssize_t bytes_receive(const cst_producer *producer, char *to, size_t bytes) {
    return producer->tls ? csti_tls_recv(producer->tls, to, bytes)
                         : recv(producer->fd, to, bytes, MSG_DONTWAIT);
}

static ssize_t bytes_send(const cst_producer *producer, const void *from, size_t bytes) {
    return producer->tls ? csti_tls_send(producer->tls, from, bytes)
                         : send(producer->fd, from, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// A whole line of answer, without its end; false: none now, or the connection is gone.
static bool line_receive(cst_producer *producer, char *out) {
    for (;;) {
        char *end = memchr(producer->answer, '\n', producer->answer_bytes);
        ssize_t bytes;

        if (end) {
            const size_t count = (size_t)(end - producer->answer);

            memcpy(out, producer->answer, count);
            out[count] = '\0';
            producer->answer_bytes -= count + 1;
            memmove(producer->answer, end + 1, producer->answer_bytes);
            return true;
        }
        if (producer->answer_bytes == ANSWER_BYTES) break;
        bytes = bytes_receive(producer, producer->answer + producer->answer_bytes,
                              ANSWER_BYTES - producer->answer_bytes);
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
        if (bytes <= 0) break;
        producer->answer_bytes += (size_t)bytes;
    }
    (void)!tls_give_up(producer);
    disconnect(producer);
    return false;
}

static cst_code answers_read(cst_producer *producer) {
    char line[ANSWER_BYTES + 1];
    cst_code code = CST_OK;

    while (code == CST_OK && producer->fd >= 0 && line_receive(producer, line))
        code = answer_take(producer, line);
    return code == CST_OK ? producer->failed : code;
}

static void rows_send(cst_producer *producer) {
    if (producer->sent < producer->from) producer->sent = producer->from;
    while (producer->fd >= 0 && producer->sent < producer->kept.used_bytes) {
        const ssize_t bytes = bytes_send(producer, producer->kept.bytes + producer->sent,
                                         producer->kept.used_bytes - producer->sent);

        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (bytes > 0) {
            producer->sent += (size_t)bytes;
            continue;
        }
        // What it said before it went may still be here.
        (void)!answers_read(producer);
        if (producer->failed == CST_OK) (void)!tls_give_up(producer);
        disconnect(producer);
    }
}

// "::1" of "[::1]:7000".
static void host_of(const char *address, char out[ADDRESS_BYTES]) {
    const char *colon = strrchr(address, ':');

    (void)snprintf(out, ADDRESS_BYTES, "%.*s", (int)(colon ? colon - address : 0), address);
    if (out[0] != '[') return;
    memmove(out, out + 1, strlen(out));
    out[strcspn(out, "]")] = '\0';
}

static int socket_connect(const char *address) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = strrchr(address, ':');
    struct addrinfo *found = NULL;
    char host[ADDRESS_BYTES];
    const int on = 1;
    int fd;

    if (!colon) return -1;
    host_of(address, host);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) return -1;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        (void)close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    if (fd >= 0) (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

// The server expects `number` next: rows before it need not be sent.
static cst_code next_take(cst_producer *producer, uint64_t number) {
    if (!producer->opened) {
        producer->opened = true;
        producer->first = producer->next = number;
        return CST_OK;
    }
    if (number < producer->first)
        return give_up(producer, CST_PRODUCER_EXPIRED,
                       "the server has forgotten rows that it acknowledged");
    // Kept until they are acknowledged, but sent only from there on.
    for (uint64_t skip = producer->first; skip < number && skip < producer->next; skip++) {
        const uint8_t *at = producer->kept.bytes + producer->sent;

        producer->sent +=
            (size_t)((const uint8_t *)memchr(at, '\n', producer->kept.used_bytes - producer->sent) -
                     at) +
            1;
    }
    return CST_OK;
}

// Until the connection can go on; false: not in time.
static bool connection_wait(const cst_producer *producer, uint64_t end_ns) {
    const uint64_t now_ns = csti_clock_now_ns(csti_clock_real());
    struct pollfd polled = {.fd = producer->fd, .events = POLLIN};

    if (producer->tls && csti_tls_waits_to_write(producer->tls)) polled.events = POLLOUT;
    return now_ns < end_ns && poll(&polled, 1, (int)((end_ns - now_ns) / NS_PER_MS) + 1) >= 0;
}

static bool secure(cst_producer *producer, uint64_t end_ns) {
    cst_code code;

    if (!producer->trust) return true;
    if (csti_tls_open(producer->trust, producer->fd, &producer->tls, NULL) != CST_OK) return false;
    do code = csti_tls_handshake(producer->tls, NULL);
    while (code == CST_AGAIN && connection_wait(producer, end_ns));
    return code == CST_OK;
}

// AGAIN: nobody is there now.
static cst_code connect_once(cst_producer *producer) {
    const uint64_t end_ns = csti_clock_now_ns(csti_clock_real()) + CONNECT_MS * NS_PER_MS;
    char line[ANSWER_BYTES + 1];
    uint64_t number = 0;
    cst_code code;
    int bytes;

    producer->fd = socket_connect(producer->address);
    if (producer->fd < 0) return CST_AGAIN;
    if (!secure(producer, end_ns)) goto gone;
    bytes = snprintf(line, sizeof line, "{\"producer\":\"%s\"}\n", producer->id);
    if (bytes_send(producer, line, (size_t)bytes) != bytes) goto gone;
    while (!line_receive(producer, line)) {
        if (producer->failed != CST_OK) return producer->failed;
        if (producer->fd < 0 || !connection_wait(producer, end_ns)) goto gone;
    }
    if (number_is(line, "{\"next\":", &number)) return next_take(producer, number);
    return answer_take(producer, line);
gone:
    code = tls_give_up(producer);
    disconnect(producer);
    return code;
}

static cst_code trust_open(cst_producer *producer, const cst_producer_tls *tls, cst_err *err) {
    static const char *const names[CSTI_TLS_FILES] = {"cert", "key", "ca"};
    const csti_tls_files files = {{tls->cert, tls->key, tls->ca}};
    char host[ADDRESS_BYTES];
    csti_tls_file wrong;
    cst_code code;

    if (!tls->cert != !tls->key)
        return cst_fail(err, CST_USAGE, "producer %s: tls: cert and key belong together",
                        producer->id);
    host_of(producer->address, host);
    code = csti_tls_client_open(&files, tls->server ? tls->server : host, &producer->trust, &wrong,
                                err);
    return code == CST_OK
               ? code
               : cst_fail_at(err, code, "producer %s: tls: %s", producer->id, names[wrong]);
}

// ---- Rows ---------------------------------------------------------------------------------------

cst_code cst_producer_open(const cst_producer_options *options, cst_producer **out, cst_err *err) {
    cst_producer *producer;
    cst_code code;

    if (!options->address || strlen(options->address) >= ADDRESS_BYTES || !options->id ||
        !csti_producer_id_is_good(options->id, strlen(options->id)))
        return cst_fail(err, CST_USAGE, "a producer needs an address and an id");
    producer = calloc(1, sizeof *producer);
    if (!producer) return cst_fail(err, CST_NO_MEMORY, "a producer");
    (void)snprintf(producer->address, sizeof producer->address, "%s", options->address);
    (void)snprintf(producer->id, sizeof producer->id, "%s", options->id);
    csti_buffer_init(&producer->kept, options->bytes_max ? options->bytes_max : KEPT_BYTES);
    producer->fd = -1;
    if (options->tls) {
        code = trust_open(producer, options->tls, err);
        if (code != CST_OK) {
            cst_producer_close(producer);
            return code;
        }
    }
    code = connect_once(producer);
    if (code == CST_AGAIN)
        code = cst_fail(err, CST_IO, "producer %s: nobody answers at %s", options->id,
                        options->address);
    else if (code != CST_OK && err)
        *err = producer->failure;
    if (code != CST_OK) {
        cst_producer_close(producer);
        return code;
    }
    *out = producer;
    return CST_OK;
}

void cst_producer_close(cst_producer *producer) {
    if (!producer) return;
    disconnect(producer);
    csti_tls_context_close(producer->trust);
    csti_buffer_release(&producer->kept);
    free(producer);
}

uint64_t cst_producer_next(const cst_producer *producer) {
    return producer->next;
}

uint64_t cst_producer_acknowledged(const cst_producer *producer) {
    return producer->acked;
}

static cst_code failed(const cst_producer *producer, cst_err *err) {
    if (producer->failed != CST_OK && err) *err = producer->failure;
    return producer->failed;
}

cst_code cst_producer_put(cst_producer *producer, const char *row, size_t bytes,
                          uint64_t *number_out, cst_err *err) {
    csti_buffer *kept = &producer->kept;
    cst_code code = failed(producer, err);
    char *at;

    if (code != CST_OK) return code;
    if (bytes == 0 || memchr(row, '\n', bytes))
        return cst_fail(err, CST_USAGE, "producer %s: a row is one line", producer->id);
    code = csti_buffer_reserve(kept, bytes + HEAD_BYTES, err);
    if (code == CST_LIMIT)
        return cst_fail(err, CST_AGAIN, "producer %s: too many rows are not acknowledged",
                        producer->id);
    if (code != CST_OK) return code;
    at = (char *)kept->bytes + kept->used_bytes;
    memcpy(at, "{\"seq\":", 7);
    at = csti_u64_text(at + 7, producer->next);
    memcpy(at, ",\"row\":", 7);
    memcpy(at + 7, row, bytes);
    memcpy(at + 7 + bytes, "}\n", 2);
    kept->used_bytes = (size_t)(at + 9 + bytes - (char *)kept->bytes);
    if (number_out) *number_out = producer->next;
    producer->next++;
    if (kept->used_bytes - producer->sent < SENT_FIRST_BYTES) return CST_OK;
    rows_send(producer);
    (void)!answers_read(producer);
    return failed(producer, err);
}

cst_code cst_producer_wait(cst_producer *producer, uint32_t timeout_ms, cst_err *err) {
    const csti_clock *clock = csti_clock_real();
    const uint64_t end_ns = csti_clock_now_ns(clock) + (uint64_t)timeout_ms * 1000000;
    csti_parker parker;

    csti_parker_init(&parker);
    while (producer->failed == CST_OK && producer->acked + 1 < producer->next) {
        const uint64_t now_ns = csti_clock_now_ns(clock);
        struct pollfd polled = {.fd = producer->fd, .events = POLLIN};

        if (now_ns >= end_ns)
            return cst_fail(err, CST_DEADLINE,
                            "producer %s: of rows up to %" PRIu64 ", %" PRIu64 " are acknowledged",
                            producer->id, producer->next - 1, producer->acked);
        if (producer->fd < 0 && connect_once(producer) == CST_AGAIN) {
            const uint64_t again_ns = now_ns + AGAIN_NS;

            (void)csti_park_until(&parker, again_ns < end_ns ? again_ns : end_ns);
            continue;
        }
        rows_send(producer);
        (void)!answers_read(producer); // also what came with the answer before
        if (producer->fd < 0 || producer->failed != CST_OK || producer->acked + 1 >= producer->next)
            continue;
        polled.fd = producer->fd;
        if (producer->sent < producer->kept.used_bytes) polled.events |= POLLOUT;
        (void)poll(&polled, 1, (int)((end_ns - now_ns) / 1000000) + 1);
    }
    return failed(producer, err);
}
