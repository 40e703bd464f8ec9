// range_server.h: a server of objects that are made up as they are asked for, in ranges, to as many
// at once as come.
//
//   ranges_begin(objects, count) ─► store ─► GET with a range ─► 206, or what `fault` says
//                                            GET without one  ─► 200, from 0 to RANGED_WHOLE
//
// A request that has an If-Match is one of the middle of an object: such can be held until several
// of them are there.
#ifndef CST_TEST_RANGE_SERVER_H
#define CST_TEST_RANGE_SERVER_H

#include "unit/object/s3_server.h"

#include <inttypes.h>
#include <time.h>

typedef enum ranged_fault {
    RANGED_GOOD,
    RANGED_BLANK, // bytes that nobody looks at
    RANGED_ABSENT,
    RANGED_DENIED,
    RANGED_CUT_ONCE,     // each range's first answer ends early
    RANGED_BUSY_ONCE,    // or is a 503
    RANGED_REPLACED,     // between its ends and its middle
    RANGED_REPLACED_END, // between its head and its tail
} ranged_fault;

typedef struct ranged_object {
    const char *name;
    uint64_t bytes;
    ranged_fault fault;
} ranged_object;

enum { RANGED_CONNECTIONS_MAX = 256, RANGED_REPLY_BYTES = 64 << 10, RANGED_HOLD_SECONDS = 20 };

#define RANGED_WHOLE (UINT64_MAX - 1)

static struct {
    int listener;
    pthread_t thread;
    const ranged_object *objects;
    size_t objects_count;
    pthread_mutex_t mutex; // of what follows
    pthread_cond_t changed;
    struct {
        int fd;
        pthread_t thread;
    } connections[RANGED_CONNECTIONS_MAX];
    size_t connections_count;
    size_t held_count, held_most, hold; // middles wait until `hold` of them do
    uint64_t asked_count;
    uint64_t asked_end; // of the furthest middle, in its object
    uint64_t seen[64];  // ranges that were asked for before, by their hash
    uint64_t reader;    // where the test's reader stands, in its object
    uint64_t furthest;  // that the end of a middle was before it
} ranged;

static inline uint8_t ranged_byte(const char *name, uint64_t offset) {
    return (uint8_t)((offset ^ offset >> 7 ^ offset >> 15 ^ offset >> 23) + (uint8_t)name[0]);
}

static inline bool ranged_send(int fd, const void *bytes, size_t count) {
    const uint8_t *at = bytes;

    while (count > 0) {
        const ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);

        if (sent <= 0) return false;
        at += sent;
        count -= (size_t)sent;
    }
    return true;
}

static inline bool ranged_send_text(int fd, const char *head, const char *body) {
    char text[1024];
    const int bytes = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
                               head, strlen(body), body);

    return ranged_send(fd, text, (size_t)bytes);
}

static inline bool ranged_send_body(int fd, const ranged_object *object, uint64_t from,
                                    uint64_t to) {
    static const uint8_t blank[256 << 10];
    uint8_t block[16 << 10];

    if (object->fault == RANGED_BLANK) {
        for (; to - from > sizeof blank; from += sizeof blank)
            if (!ranged_send(fd, blank, sizeof blank)) return false;
        return ranged_send(fd, blank, (size_t)(to - from));
    }
    while (from < to) {
        const size_t count = to - from < sizeof block ? (size_t)(to - from) : sizeof block;

        for (size_t i = 0; i < count; i++) block[i] = ranged_byte(object->name, from + i);
        if (!ranged_send(fd, block, count)) return false;
        from += count;
    }
    return true;
}

// Whether this range of the object is asked for the first time.
static inline bool ranged_is_first(const ranged_object *object, uint64_t from) {
    const uint64_t mark = (uint64_t)(object - ranged.objects + 1) << 48 | from;
    bool first = true;

    (void)pthread_mutex_lock(&ranged.mutex);
    for (size_t i = 0; i < sizeof ranged.seen / sizeof ranged.seen[0]; i++) {
        if (ranged.seen[i] == mark) first = false;
        if (ranged.seen[i] == mark || ranged.seen[i] != 0) continue;
        ranged.seen[i] = mark;
        break;
    }
    (void)pthread_mutex_unlock(&ranged.mutex);
    return first;
}

static inline void ranged_note(bool is_middle, uint64_t to) {
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RANGED_HOLD_SECONDS;
    (void)pthread_mutex_lock(&ranged.mutex);
    ranged.asked_count++;
    if (is_middle) {
        if (to > ranged.reader && to - ranged.reader > ranged.furthest)
            ranged.furthest = to - ranged.reader;
        if (++ranged.held_count > ranged.held_most) ranged.held_most = ranged.held_count;
        (void)pthread_cond_broadcast(&ranged.changed);
        while (ranged.held_most < ranged.hold &&
               pthread_cond_timedwait(&ranged.changed, &ranged.mutex, &until) == 0)
            continue;
        ranged.held_count--;
    }
    (void)pthread_mutex_unlock(&ranged.mutex);
}

// Middles that were there at once.
static inline size_t ranged_held_most(void) {
    size_t most;

    (void)pthread_mutex_lock(&ranged.mutex);
    most = ranged.held_most;
    (void)pthread_mutex_unlock(&ranged.mutex);
    return most;
}

static inline bool ranged_answer(int fd, const ranged_object *object, uint64_t from, uint64_t to,
                                 bool is_middle) {
    const bool first = ranged_is_first(object, from);
    const bool is_other = object->fault == RANGED_REPLACED_END && from > 0 && first;
    uint64_t end = to + 1 < object->bytes ? to + 1 : object->bytes;
    char head[256];
    int bytes;

    if (object->fault == RANGED_ABSENT)
        return ranged_send_text(fd, "404 No", "<Error><Code>NoSuchKey</Code></Error>");
    if (object->fault == RANGED_DENIED)
        return ranged_send_text(fd, "403 No", "<Error><Code>AccessDenied</Code></Error>");
    if (object->fault == RANGED_BUSY_ONCE && first)
        return ranged_send_text(fd, "503 Slow", "<Error><Code>SlowDown</Code></Error>");
    if (object->fault == RANGED_REPLACED && is_middle)
        return ranged_send_text(fd, "412 No", "<Error><Code>PreconditionFailed</Code></Error>");
    if (from >= object->bytes)
        return ranged_send_text(fd, "416 No", "<Error><Code>InvalidRange</Code></Error>");
    bytes = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\nETag: \"%s\"\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64
                     "/%" PRIu64 "\r\nx-amz-meta-constellation-nonce: 0000000000000001\r\n"
                     "Content-Length: %" PRIu64 "\r\n\r\n",
                     to == RANGED_WHOLE ? "200 OK" : "206 Partial", is_other ? "e2" : "e1", from,
                     end - 1, object->bytes, end - from);
    if (!ranged_send(fd, head, (size_t)bytes)) return false;
    if (object->fault == RANGED_CUT_ONCE && first) end = from + (end - from) / 2;
    return ranged_send_body(fd, object, from, end) && !(object->fault == RANGED_CUT_ONCE && first);
}

static inline const ranged_object *ranged_find(const char *request) {
    char line[64];

    for (size_t i = 0; i < ranged.objects_count; i++) {
        (void)snprintf(line, sizeof line, "GET /bkt/p/%s HTTP", ranged.objects[i].name);
        if (strncmp(request, line, strlen(line)) == 0) return &ranged.objects[i];
    }
    TEST_FAIL("nobody has what was asked for: %s", request);
}

static inline void *ranged_serve(void *context) {
    const int fd = ranged.connections[(uintptr_t)context].fd;
    bool good = true;

    while (good) {
        char request[8 << 10];
        const char *range;
        uint64_t from, to;
        bool is_middle;
        size_t count = 0;

        memset(request, 0, sizeof request);
        while (!strstr(request, "\r\n\r\n")) {
            const ssize_t more = recv(fd, request + count, sizeof request - 1 - count, 0);

            if (more <= 0) return NULL;
            count += (size_t)more;
        }
        range = strcasestr(request, "\r\nrange: bytes=");
        from = 0;
        to = RANGED_WHOLE;
        if (range) CHECK_EQ(sscanf(range + 15, "%" SCNu64 "-%" SCNu64, &from, &to), 2);
        is_middle = strcasestr(request, "\r\nif-match: \"e1\"") != NULL;
        ranged_note(is_middle, to + 1);
        good = ranged_answer(fd, ranged_find(request), from, to, is_middle);
    }
    (void)shutdown(fd, SHUT_RDWR);
    return NULL;
}

static inline void *ranged_accept(void *context) {
    (void)context;
    for (;;) {
        const int fd = accept(ranged.listener, NULL, NULL);
        const size_t at = ranged.connections_count;

        if (fd < 0) return NULL;
        CHECK(at < RANGED_CONNECTIONS_MAX);
        ranged.connections[at].fd = fd;
        CHECK_EQ(pthread_create(&ranged.connections[at].thread, NULL, ranged_serve,
                                (void *)(uintptr_t)at),
                 0);
        ranged.connections_count++;
    }
}

static inline cst_object_store *ranges_begin(const ranged_object *objects, size_t count,
                                             size_t hold) {
    const cst_object_store_options options = {.deadline_us = 30 * 1000 * 1000};
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof place;
    cst_object_store *store = NULL;
    char uri[128];

    memset(&ranged, 0, sizeof ranged);
    (void)pthread_mutex_init(&ranged.mutex, NULL);
    (void)pthread_cond_init(&ranged.changed, NULL);
    ranged.objects = objects;
    ranged.objects_count = count;
    ranged.hold = hold;
    s3_environment();
    ranged.listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(ranged.listener, (struct sockaddr *)&place, bytes), 0);
    CHECK_EQ(listen(ranged.listener, 64), 0);
    CHECK_EQ(getsockname(ranged.listener, (struct sockaddr *)&place, &bytes), 0);
    CHECK_EQ(pthread_create(&ranged.thread, NULL, ranged_accept, NULL), 0);
    (void)snprintf(uri, sizeof uri, "s3://bkt/p?endpoint=http://127.0.0.1:%u",
                   ntohs(place.sin_port));
    CHECK_OK(cst_object_store_open(uri, &options, &store, NULL));
    return store;
}

static inline void ranges_end(cst_object_store *store) {
    cst_object_store_close(store);
    (void)shutdown(ranged.listener, SHUT_RDWR);
    CHECK_EQ(pthread_join(ranged.thread, NULL), 0);
    (void)close(ranged.listener);
    (void)pthread_mutex_lock(&ranged.mutex);
    ranged.hold = 0;
    (void)pthread_cond_broadcast(&ranged.changed);
    (void)pthread_mutex_unlock(&ranged.mutex);
    for (size_t i = 0; i < ranged.connections_count; i++) {
        (void)shutdown(ranged.connections[i].fd, SHUT_RDWR);
        CHECK_EQ(pthread_join(ranged.connections[i].thread, NULL), 0);
        (void)close(ranged.connections[i].fd);
    }
}

#endif
