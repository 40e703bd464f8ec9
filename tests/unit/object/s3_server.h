// s3_server.h: a server that gives the answers a test has written down, and keeps what it was
// asked.
//
//   s3_begin ─► replies in their order; the last one again and again ─► s3_asked(i, "if-none-match:
//   *")
//
// One connection at a time, one request each; with leaves_at, all of them on one, whose last one
// nobody answers: the server is gone.
#ifndef CST_TEST_S3_SERVER_H
#define CST_TEST_S3_SERVER_H

#include "unit/object/objects.h"

#include "object/s3.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

// A file that sends more says so first.
#ifndef S3_SERVER_REQUESTS
#define S3_SERVER_REQUESTS 64
#define S3_SERVER_REQUEST_BYTES (1 << 17)
#endif

enum {
    S3_REQUESTS_MAX = S3_SERVER_REQUESTS,
    S3_REQUEST_BYTES = S3_SERVER_REQUEST_BYTES,
    S3_REPLY_BYTES = 1 << 16
};

// NULL head: the connection is closed. Content-Length is added where the head has none.
typedef struct s3_reply {
    const char *head; // "200 OK\r\nETag: \"e\""
    const char *body;
} s3_reply;

static struct {
    int listener;
    uint16_t port;
    pthread_t thread;
    const s3_reply *replies;
    size_t replies_count;
    _Atomic size_t asked_count;
    _Atomic size_t leaves_at; // request; 0: none
    _Atomic uint32_t drip_ms; // between two bytes of an answer; 0: it comes at once
    char asked[S3_REQUESTS_MAX][S3_REQUEST_BYTES]; // no allocation: some tests let one fail
} s3_server;

static inline void s3_answer(int fd, const s3_reply *reply) {
    static char text[S3_REPLY_BYTES];
    const char *body = reply->body ? reply->body : "";
    char length[64] = "";
    int bytes;

    if (!reply->head) return;
    if (!strstr(reply->head, "Content-Length"))
        (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    bytes = snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%sConnection: %s\r\n\r\n%s", reply->head,
                     length, atomic_load(&s3_server.leaves_at) > 0 ? "keep-alive" : "close", body);
    CHECK(bytes > 0 && bytes < S3_REPLY_BYTES);
    if (atomic_load(&s3_server.drip_ms) > 0) { // until nobody listens any more
        struct pollfd its = {.fd = fd, .events = POLLRDHUP};

        for (int i = 0; i < bytes && send(fd, text + i, 1, MSG_NOSIGNAL) == 1; i++)
            if (poll(&its, 1, (int)atomic_load(&s3_server.drip_ms)) != 0) break;
        return;
    }
    CHECK_EQ(send(fd, text, (size_t)bytes, MSG_NOSIGNAL), bytes);
}

// The request's head, and as much of a body as it says.
static inline void s3_receive(int fd, char text[S3_REQUEST_BYTES]) {
    size_t count = 0;

    memset(text, 0, S3_REQUEST_BYTES);
    for (;;) {
        const ssize_t more = recv(fd, text + count, S3_REQUEST_BYTES - 1 - count, 0);
        const char *end;
        const char *length;

        if (more <= 0) break;
        count += (size_t)more;
        end = strstr(text, "\r\n\r\n");
        length = strcasestr(text, "\r\nContent-Length:");
        if (end && (!length || length > end ||
                    count >= (size_t)(end + 4 - text) + strtoull(length + 17, NULL, 10)))
            break;
    }
}

static inline void *s3_serve(void *context) {
    int fd = -1;

    (void)context;
    for (;;) {
        const size_t at = atomic_load(&s3_server.asked_count);
        const size_t last = s3_server.replies_count - 1;

        if (fd < 0) fd = accept(s3_server.listener, NULL, NULL);
        if (fd < 0) return NULL;
        CHECK(at < S3_REQUESTS_MAX);
        s3_receive(fd, s3_server.asked[at]);
        atomic_store(&s3_server.asked_count, at + 1);
        if (at < atomic_load(&s3_server.leaves_at)) {
            s3_answer(fd, &s3_server.replies[at < last ? at : last]);
            continue;
        }
        if (atomic_load(&s3_server.leaves_at) > 0)
            (void)shutdown(s3_server.listener, SHUT_RDWR);
        else
            s3_answer(fd, &s3_server.replies[at < last ? at : last]);
        (void)shutdown(fd, SHUT_WR);
        (void)close(fd);
        fd = -1;
    }
}

static inline void s3_listen(const s3_reply *replies, size_t count) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof place;

    s3_server.listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(s3_server.listener >= 0);
    CHECK_EQ(bind(s3_server.listener, (struct sockaddr *)&place, bytes), 0);
    CHECK_EQ(listen(s3_server.listener, 64), 0);
    CHECK_EQ(getsockname(s3_server.listener, (struct sockaddr *)&place, &bytes), 0);
    s3_server.port = ntohs(place.sin_port);
    s3_server.replies = replies;
    s3_server.replies_count = count;
    atomic_store(&s3_server.asked_count, 0);
    atomic_store(&s3_server.leaves_at, 0);
    atomic_store(&s3_server.drip_ms, 0);
    CHECK_EQ(pthread_create(&s3_server.thread, NULL, s3_serve, NULL), 0);
}

static inline void s3_environment(void) {
    CHECK_EQ(setenv("AWS_ACCESS_KEY_ID", "AK", 1), 0);
    CHECK_EQ(setenv("AWS_SECRET_ACCESS_KEY", "sk", 1), 0);
    CHECK_EQ(unsetenv("AWS_SESSION_TOKEN"), 0);
    CHECK_EQ(unsetenv("http_proxy"), 0);
    CHECK_EQ(unsetenv("all_proxy"), 0);
    CHECK_EQ(unsetenv("ALL_PROXY"), 0);
    CHECK_EQ(setenv("AWS_REGION", "us-east-1", 1), 0);
    CHECK_EQ(setenv("HOME", "/dev/null", 1), 0);
}

// A store s3://bkt/p of that server; each call takes up to `deadline_us`.
static inline cst_object_store *s3_begin_within(const s3_reply *replies, size_t count,
                                                uint64_t deadline_us) {
    const cst_object_store_options options = {.deadline_us = deadline_us};
    cst_object_store *store = NULL;
    char uri[128];

    s3_environment();
    s3_listen(replies, count);
    (void)snprintf(uri, sizeof uri, "s3://bkt/p?endpoint=http://127.0.0.1:%u", s3_server.port);
    CHECK_OK(cst_object_store_open(uri, &options, &store, NULL));
    return store;
}

#define s3_begin(REPLIES)                                                                          \
    s3_begin_within(REPLIES, sizeof(REPLIES) / sizeof(REPLIES)[0], 10 * 1000 * 1000)
#define s3_begin_short(REPLIES)                                                                    \
    s3_begin_within(REPLIES, sizeof(REPLIES) / sizeof(REPLIES)[0], 600 * 1000)

static inline size_t s3_asked_count(void) {
    return atomic_load(&s3_server.asked_count);
}

// Whether request `at` holds the text, in any case of letters.
static inline bool s3_asked(size_t at, const char *text) {
    CHECK(at < s3_asked_count());
    return strcasestr(s3_server.asked[at], text) != NULL;
}

#define CHECK_ASKED(AT, TEXT)                                                                      \
    do {                                                                                           \
        if (!s3_asked(AT, TEXT))                                                                   \
            TEST_FAIL("request %d has no '%s':\n%s", (int)(AT), TEXT, s3_server.asked[AT]);        \
    } while (0)

static inline void s3_end(cst_object_store *store) {
    cst_object_store_close(store);
    (void)shutdown(s3_server.listener, SHUT_RDWR);
    CHECK_EQ(pthread_join(s3_server.thread, NULL), 0);
    (void)close(s3_server.listener);
}

#endif
