#include "cli/bench_redis.h"

#include "base/park.h"
#include "stream/text_write.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_BYTES = 1024, PORT_BYTES = 8, START_TRIES = 1000 };

#define START_STEP_NS UINT64_C(10000000)

// ---- The program --------------------------------------------------------------------------------

// A port that was free a moment ago.
static cst_code port_find(uint16_t *out, cst_err *err) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const bool found = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
                       getsockname(fd, (struct sockaddr *)&at, &bytes) == 0;

    if (fd >= 0) (void)close(fd);
    if (!found) return cst_fail(err, CST_IO, "a port of 127.0.0.1: %s", strerror(errno));
    *out = ntohs(at.sin_port);
    return CST_OK;
}

// In the child: only calls that a fork of several threads may make.
static void server_become(const char *folder, char *port) {
    char *const argv[] = {"redis-server",
                          "--port",
                          port,
                          "--bind",
                          "127.0.0.1",
                          "--dir",
                          (char *)(uintptr_t)folder,
                          "--appendonly",
                          "yes",
                          "--appendfsync",
                          "always",
                          "--save",
                          "",
                          "--auto-aof-rewrite-percentage",
                          "0",
                          "--loglevel",
                          "warning",
                          "--logfile",
                          "redis.log",
                          NULL};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)execvp(argv[0], argv);
    _exit(127);
}

// Until it answers, or has ended.
static cst_code answers_wait(bench_redis *redis, cst_err *err) {
    csti_parker parker;

    csti_parker_init(&parker);
    for (int i = 0; i < START_TRIES; i++) {
        int status = 0;

        if (waitpid(redis->process, &status, WNOHANG) == redis->process) {
            redis->process = 0;
            return cst_fail(err, CST_NOT_FOUND,
                            "redis-server ended (status %d): scripts/deps --peers installs it",
                            status);
        }
        if (bench_load_connect(redis->port, &redis->control, NULL) == CST_OK) return CST_OK;
        (void)csti_park_until(&parker, bench_now_ns() + START_STEP_NS);
    }
    return cst_fail(err, CST_NOT_FOUND, "redis-server does not answer at 127.0.0.1:%u",
                    (unsigned)redis->port);
}

cst_code bench_redis_open(const char *folder, bench_redis *out, cst_err *err) {
    bench_redis redis = {.control = -1};
    char port[PORT_BYTES];
    cst_code code = port_find(&redis.port, err);

    if (code != CST_OK) return code;
    (void)snprintf(port, sizeof port, "%u", (unsigned)redis.port);
    (void)fflush(stdout); // of the parent alone
    redis.process = fork();
    if (redis.process == 0) server_become(folder, port);
    if (redis.process < 0) return cst_fail(err, CST_IO, "fork: %s", strerror(errno));
    code = answers_wait(&redis, err);
    if (code == CST_OK)
        *out = redis;
    else
        bench_redis_close(&redis);
    return code;
}

void bench_redis_close(bench_redis *redis) {
    if (redis->process > 0) {
        if (redis->control >= 0) (void)close(redis->control);
        (void)kill(redis->process, SIGKILL);
        while (waitpid(redis->process, NULL, 0) < 0 && errno == EINTR) {}
    }
    *redis = (bench_redis){.control = -1};
}

// ---- What it is asked ---------------------------------------------------------------------------

// Up to the line that has `needed` in it.
static cst_code ask(const bench_redis *redis, const char *command, const char *needed,
                    char answer[ANSWER_BYTES], cst_err *err) {
    size_t used = 0;
    cst_code code = bench_load_send(redis->control, command, strlen(command), err);

    while (code == CST_OK) {
        const ssize_t bytes = recv(redis->control, answer + used, ANSWER_BYTES - 1 - used, 0);

        if (bytes < 0 && errno == EINTR) continue;
        if (bytes <= 0) return cst_fail(err, CST_IO, "redis-server: %s: no answer", command);
        used += (size_t)bytes;
        answer[used] = '\0';
        if (answer[0] == '-') return cst_fail(err, CST_IO, "redis-server: %s", answer);
        if (strstr(answer, needed) && answer[used - 1] == '\n') break;
    }
    return code;
}

cst_code bench_redis_clear(const bench_redis *redis, cst_err *err) {
    char answer[ANSWER_BYTES];

    return ask(redis, "DEL bids\r\n", ":", answer, err);
}

static double seconds_of(const char *answer, const char *name) {
    const char *at = strstr(answer, name);

    return at ? strtod(at + strlen(name), NULL) : 0;
}

cst_code bench_redis_cpu_ns(const bench_redis *redis, uint64_t *out, cst_err *err) {
    char answer[ANSWER_BYTES];
    const cst_code code = ask(redis, "INFO cpu\r\n", "used_cpu_user_children:", answer, err);

    if (code == CST_OK)
        *out = (uint64_t)(1e9 * (seconds_of(answer, "used_cpu_sys:") +
                                 seconds_of(answer, "used_cpu_user:")));
    return code;
}

// ---- Rows ---------------------------------------------------------------------------------------

static char *text_put(char *out, const char *text, size_t bytes) {
    memcpy(out, text, bytes);
    return out + bytes;
}

static char *row_put(char *out, uint64_t number, const char *row, size_t bytes) {
    static const char head[] = "*5\r\n$4\r\nXADD\r\n$4\r\nbids\r\n$1\r\n*\r\n$3\r\nrow\r\n$";
    _Static_assert(sizeof head + 4 + 4 <= BENCH_LOAD_HEAD_BYTES, "round a row");

    (void)number;
    out = text_put(out, head, sizeof head - 1);
    out = csti_u64_text(out, bytes);
    out = text_put(out, "\r\n", 2);
    out = text_put(out, row, bytes);
    return text_put(out, "\r\n", 2);
}

// "$15" and "1700000000000-0": an entry's id in two lines.
static cst_code answer_take(const char *line, size_t bytes, uint64_t *answered, cst_err *err) {
    if (bytes == 0 || line[0] == '-')
        return cst_fail(err, CST_IO, "redis-server: %.*s", (int)bytes, line);
    *answered += line[0] != '$';
    return CST_OK;
}

const bench_load_kind bench_redis_rows = {.row = row_put, .answer = answer_take};
