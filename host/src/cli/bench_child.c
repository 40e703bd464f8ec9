#define _GNU_SOURCE 1 // pipe2, environ
#include "cli/bench_child.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool bench_child_line(char *const argv[], char mark, char line[BENCH_CHILD_LINE_BYTES],
                      int *status_out) {
    posix_spawn_file_actions_t actions;
    int ends[2], failed;
    FILE *output;
    pid_t pid = 0;

    line[0] = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    output = failed ? NULL : fdopen(ends[0], "r");
    while (output && !strchr(line, mark) && fgets(line, BENCH_CHILD_LINE_BYTES, output)) {}
    if (output)
        (void)fclose(output);
    else
        (void)close(ends[0]);
    return !failed && waitpid(pid, status_out, 0) == pid && strchr(line, mark);
}
