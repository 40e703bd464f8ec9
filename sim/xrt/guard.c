// guard.c: device/xrt_guard.h. A library to be loaded before all others.
#define _GNU_SOURCE 1
#include "device/xrt_guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    GUARD_START_MS = 20000,
    GUARD_END_MS = 5000,
    GUARD_SLEEP_MS = 2, // instead of seconds
    GUARD_SLICE_MS = 1,
    GUARD_LOCK_MS = 3600000, // of who has no place to come back to
};

#define SHOWN __attribute__((visibility("default")))

SHOWN void csti_xrt_guard_arm_v3(csti_xrt_guarded *at);
SHOWN void csti_xrt_guard_end_v3(pid_t *process);
SHOWN int __printf_chk(int flag, const char *format, ...); // the compiler's name for printf

// Of the kind that is there before anything is allocated: locks are taken that early.
static _Thread_local csti_xrt_guarded *guarded __attribute__((tls_model("initial-exec")));

// Whether the shim of the emulation makes the call that returns there.
static bool from_shim(const void *caller) {
    static const char name[] = "libxrt_hwemu";
    Dl_info info = {0};

    return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, name);
}

#define CALLED_BY_SHIM() from_shim(__builtin_return_address(0))

void csti_xrt_guard_arm_v3(csti_xrt_guarded *at) {
    guarded = at;
}

static void pause_ms(int ms) {
    (void)poll(NULL, 0, ms);
}

// Waits for the card's process, which has been told to end.
static void card_reap(pid_t card) {
    for (int ms = 0; ms < GUARD_END_MS; ms += GUARD_SLICE_MS) {
        if (waitpid(card, NULL, WNOHANG) != 0) return; // it has ended, or was waited for
        pause_ms(GUARD_SLICE_MS);
    }
    (void)kill(card, SIGKILL);
    (void)waitpid(card, NULL, 0);
}

void csti_xrt_guard_end_v3(pid_t *process) {
    const pid_t card = *process;

    *process = 0;
    if (card <= 0) return;
    (void)kill(card, SIGKILL);
    card_reap(card);
}

// To where the back end waits for it; without such a place it comes back.
static void escape(void) {
    csti_xrt_guarded *at = guarded;

    guarded = NULL;
    if (at) longjmp(at->place, 1);
}

// Of the shim's own threads: the one that starts runs, and one that asks for messages, would end
// the process. They have no place, and nobody waits for them once the card is gone.
static void stand_still(void) {
    if (guarded) return;
    for (;;) (void)pause();
}

static void wait_for(int fd, short events) {
    struct pollfd polled = {fd, events, 0};
    int ready;

    if (!guarded) return;
    do {
        ready = poll(&polled, 1, guarded->silence_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) escape();
}

// ---- Calls of the C library ---------------------------------------------------------------------

SHOWN ssize_t read(int fd, void *to, size_t bytes) {
    ssize_t got;

    // An answer without a body is read too: nothing is to come.
    if (bytes == 0 || !CALLED_BY_SHIM()) return syscall(SYS_read, fd, to, bytes);
    wait_for(fd, POLLIN);
    got = syscall(SYS_read, fd, to, bytes);
    // A card that died with a question unread resets the connection.
    if (got > 0 || (got < 0 && errno != ECONNRESET)) return got;
    stand_still();
    escape();
    errno = ECONNRESET; // an end that the shim takes for one
    return -1;
}

SHOWN ssize_t write(int fd, const void *from, size_t bytes) {
    ssize_t put;

    if (!CALLED_BY_SHIM()) return syscall(SYS_write, fd, from, bytes);
    wait_for(fd, POLLOUT);
    put = send(fd, from, bytes, MSG_NOSIGNAL);
    if (put < 0 && errno == ENOTSOCK) return syscall(SYS_write, fd, from, bytes);
    if (put >= 0 || errno != EPIPE) return put;
    stand_still();
    escape();
    return put;
}

// A thread of the shim's waits for a card that says nothing, and has the lock.
SHOWN int pthread_mutex_lock(pthread_mutex_t *mutex) {
    int code = pthread_mutex_trylock(mutex);

    while (code == EBUSY || code == ETIMEDOUT) {
        const int ms = guarded ? guarded->silence_ms : GUARD_LOCK_MS;
        struct timespec until;

        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += ms / 1000 + 1;
        code = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
        if (code == ETIMEDOUT) escape();
    }
    return code;
}

// It waits for the card to connect, and ends the process when it does not.
SHOWN int select(int count, fd_set *reads, fd_set *writes, fd_set *errors, struct timeval *time) {
    static int (*next)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    struct timeval most = {GUARD_START_MS / 1000, 0};
    int ready;

    if (!next) {
        void *symbol = dlsym(RTLD_NEXT, "select");

        memcpy(&next, &symbol, sizeof next);
    }
    if (!guarded || !CALLED_BY_SHIM()) return next(count, reads, writes, errors, time);
    ready = next(count, reads, writes, errors, &most);
    if (ready == 0) escape();
    return ready;
}

// It tells of its scheduler on the program's own output, which may be read by programs.
SHOWN int puts(const char *text) {
    if (CALLED_BY_SHIM()) return 0;
    return fputs(text, stdout) < 0 || fputc('\n', stdout) < 0 ? EOF : 0;
}

SHOWN int __printf_chk(int flag, const char *format, ...) {
    const bool is_shim = CALLED_BY_SHIM();
    va_list list;
    int count = 0;

    (void)flag;
    va_start(list, format);
    if (!is_shim) count = vprintf(format, list);
    va_end(list);
    return count;
}

SHOWN unsigned sleep(unsigned seconds) {
    struct timespec time = {seconds, 0};

    if (CALLED_BY_SHIM()) {
        pause_ms(GUARD_SLEEP_MS);
        return 0;
    }
    return syscall(SYS_nanosleep, &time, &time) == 0 ? 0 : (unsigned)time.tv_sec;
}

// The child writes what the program has not written yet when it turns its output away.
SHOWN pid_t fork(void) {
    static pid_t (*next)(void);
    const bool is_shim = CALLED_BY_SHIM();
    pid_t child;

    if (!next) {
        void *symbol = dlsym(RTLD_NEXT, "fork");

        memcpy(&next, &symbol, sizeof next);
    }
    if (is_shim) (void)fflush(NULL);
    child = next();
    if (child > 0 && is_shim && guarded) *guarded->process = child;
    return child;
}

// It waits for any child of the process group, again and again while there is none.
SHOWN pid_t waitpid(pid_t pid, int *status, int options) {
    if (pid == 0 && CALLED_BY_SHIM()) {
        const pid_t card = guarded ? *guarded->process : 0;

        if (card > 0) card_reap(card);
        if (card > 0) *guarded->process = 0;
        return 0;
    }
    return (pid_t)syscall(SYS_wait4, pid, status, options, NULL);
}

// Of a signal that it has taken over: the process alone ends by it.
SHOWN int kill(pid_t pid, int number) {
    if (pid == 0 && CALLED_BY_SHIM()) {
        (void)signal(number, SIG_DFL);
        return raise(number);
    }
    return (int)syscall(SYS_kill, pid, number);
}

// google::protobuf::ShutdownProtobufLibrary, which closing one card calls: another's messages are
// made with that library too.
SHOWN void _ZN6google8protobuf23ShutdownProtobufLibraryEv(void);
void _ZN6google8protobuf23ShutdownProtobufLibraryEv(void) {}
