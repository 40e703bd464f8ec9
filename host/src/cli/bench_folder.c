#define _GNU_SOURCE 1 // _Fork, nftw
#include "cli/bench_folder.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPEN_FOLDERS_MAX = 16 };

// A signal handler is handed nothing: what it removes stands here, and nowhere else.
static char folder[BENCH_FOLDER_BYTES];
static char disk_folder[BENCH_FOLDER_BYTES]; // "": none

// Only calls that a handler may make: walking a tree is another program's work.
static void remove_and_end(int number) {
    const pid_t child = _Fork();

    if (child == 0) {
        (void)execl("/bin/rm", "rm", "-rf", "--", folder, disk_folder[0] ? disk_folder : NULL,
                    (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    (void)raise(number); // the handler was taken off before it ran
}

static void remove_on_signals(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGABRT};
    const struct sigaction action = {.sa_handler = remove_and_end, .sa_flags = (int)SA_RESETHAND};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction before;

        // What the parent has us ignore (nohup) stays ignored.
        if (sigaction(numbers[i], NULL, &before) != 0 || before.sa_handler != SIG_DFL) continue;
        (void)sigaction(numbers[i], &action, NULL); // else the folder stays: no reason to stop
    }
}

static bool make_in(const char *parent, char path[BENCH_FOLDER_BYTES]) {
    const int bytes = snprintf(path, BENCH_FOLDER_BYTES, "%s/constellation-bench-%d-XXXXXX", parent,
                               (int)getpid());

    return bytes < BENCH_FOLDER_BYTES && mkdtemp(path) != NULL;
}

cst_code bench_folder_open(char path_out[BENCH_FOLDER_BYTES], cst_err *err) {
    if (!make_in("/dev/shm", folder) && !make_in("/tmp", folder))
        return cst_fail(err, CST_IO, "folder %s: %s", folder, strerror(errno));
    remove_on_signals();
    memcpy(path_out, folder, sizeof folder);
    return CST_OK;
}

cst_code bench_folder_disk(char path_out[BENCH_FOLDER_BYTES], cst_err *err) {
    const char *parent = getenv("TMPDIR");

    if (!disk_folder[0] && !(parent && make_in(parent, disk_folder)) &&
        !make_in("/var/tmp", disk_folder)) {
        const int error = errno;

        disk_folder[0] = 0;
        return cst_fail(err, CST_IO, "a folder in /var/tmp: %s", strerror(error));
    }
    memcpy(path_out, disk_folder, sizeof disk_folder);
    return CST_OK;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

void bench_folder_close(void) {
    (void)nftw(folder, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
    if (disk_folder[0]) (void)nftw(disk_folder, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
}
