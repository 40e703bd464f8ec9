// bench_s3_send.c: what sending costs a process that does nothing else: no client of this machine
// uploads for less.
//
//   segment ──► CRC32C ──► send() ──► loopback ──► a process of ours that drops it
//
// The reader's processor time is in no figure; what loopback does of the receiver's work while
// send() runs is the sender's, as it is of every client's here.
#include "cli/bench_s3.h"

#include "base/crc32c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TIMES = 16, PIECE_BYTES = 1 << 20, READ_BYTES = 1 << 18 };

static const double BYTES_A_GIB = 1024.0 * 1024 * 1024;

static void drop_all(int listener) {
    static char bytes[READ_BYTES];
    const int from = accept(listener, NULL, NULL);
    ssize_t got = 1;

    while (from >= 0 && (got > 0 || (got < 0 && errno == EINTR)))
        got = recv(from, bytes, sizeof bytes, 0);
    _exit(0);
}

// A connection to a process that reads it to its end; -1: there is none.
static int reader_start(pid_t *reader_out) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof place;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    int to = -1;

    *reader_out = -1;
    if (listener >= 0 && bind(listener, (struct sockaddr *)&place, bytes) == 0 &&
        listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&place, &bytes) == 0) {
        *reader_out = fork();
        if (*reader_out == 0) drop_all(listener);
    }
    if (*reader_out > 0)
        to = socket(AF_INET, SOCK_STREAM, 0); // not the reader's: it waits for its end
    if (to >= 0 && connect(to, (struct sockaddr *)&place, bytes) != 0) {
        (void)close(to);
        to = -1;
    }
    if (listener >= 0) (void)close(listener);
    return to;
}

static bool send_all(int to, const uint8_t *bytes, size_t count) {
    while (count > 0) {
        const size_t piece = count < PIECE_BYTES ? count : PIECE_BYTES;
        const ssize_t sent = send(to, bytes, piece, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR) return false;
        if (sent > 0) {
            bytes += sent;
            count -= (size_t)sent;
        }
    }
    return true;
}

cst_code bench_s3_send(bench *b, const uint8_t *bytes, size_t count, cst_err *err) {
    const double gib = (double)count * TIMES / BYTES_A_GIB;
    uint64_t sum_ns = 0, send_ns = 0;
    bench_params params = {0};
    bool good = true;
    uint32_t crc = 0;
    char fields[160];
    pid_t reader;
    int to;

    if (!bench_wanted(b, "s3.send")) return CST_OK;
    to = reader_start(&reader);
    for (int i = 0; i < TIMES && to >= 0 && good; i++) {
        const uint64_t from_ns = bench_cpu_ns();
        uint64_t summed_ns;

        crc = csti_crc32c(crc, bytes, count);
        summed_ns = bench_cpu_ns();
        good = send_all(to, bytes, count);
        sum_ns += summed_ns - from_ns;
        send_ns += bench_cpu_ns() - summed_ns;
    }
    good = good && to >= 0;
    if (to >= 0) (void)close(to);
    if (reader > 0 && !good) (void)kill(reader, SIGKILL); // it may wait for a connection
    if (reader > 0) (void)waitpid(reader, NULL, 0);
    if (!good) return cst_fail(err, CST_IO, "a connection of loopback: %s", strerror(errno));
    bench_params_u64(&params, "object_bytes", count);
    (void)snprintf(fields, sizeof fields,
                   "\"cpu_s_per_gib\":%.4g,\"crc32c_cpu_s_per_gib\":%.4g,\"crc32c\":%u",
                   (double)send_ns / 1e9 / gib, (double)sum_ns / 1e9 / gib, crc);
    bench_numbers(b, "s3.send", &params, "constellation", fields);
    return CST_OK;
}
