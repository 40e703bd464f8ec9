// program.h: the program as a person or script runs it: arguments in, text and exit status out.
#ifndef CST_TEST_PROGRAM_H
#define CST_TEST_PROGRAM_H

#include "test.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAM_TEXT_BYTES = 1 << 18 };

typedef struct program_run {
    int status;
    char out[PROGRAM_TEXT_BYTES];
    char err[PROGRAM_TEXT_BYTES];
} program_run;

static inline void program_read(FILE *from, char *to) {
    size_t count;

    rewind(from);
    count = fread(to, 1, PROGRAM_TEXT_BYTES - 1, from);
    CHECK(count < PROGRAM_TEXT_BYTES - 1);
    to[count] = '\0';
    fclose(from);
}

// As somebody whom file permissions bind; root is bound by none.
typedef enum program_user { PROGRAM_SELF, PROGRAM_NOBODY } program_user;
enum { PROGRAM_NOBODY_ID = 65534 };

// Arguments parted by blanks. The result is static: it holds until the next run.
__attribute__((format(printf, 2, 3))) static inline const program_run *
program_as(program_user user, const char *format, ...) {
    static program_run run;
    FILE *out = tmpfile(), *err = tmpfile();
    // Opened here: nobody may not reach it by its name.
    const int image = open(CST_PROGRAM, O_RDONLY | O_CLOEXEC);
    char line[2048];
    char *arguments[64] = {NULL}, *rest = line;
    size_t count = 0;
    va_list values;
    int status;
    pid_t child;

    CHECK(out && err && image >= 0);
    va_start(values, format);
    CHECK((size_t)vsnprintf(line, sizeof line, format, values) < sizeof line);
    va_end(values);
    arguments[count++] = (char[]){"constellation"};
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        if (*word) arguments[count++] = word;
    fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (dup2(fileno(out), STDOUT_FILENO) < 0 || dup2(fileno(err), STDERR_FILENO) < 0) _exit(99);
        if (user == PROGRAM_NOBODY && geteuid() == 0 &&
            (setgid(PROGRAM_NOBODY_ID) != 0 || setuid(PROGRAM_NOBODY_ID) != 0))
            _exit(97);
        fexecve(image, arguments, environ);
        _exit(98);
    }
    CHECK_EQ(close(image), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    run.status = WEXITSTATUS(status);
    program_read(out, run.out);
    program_read(err, run.err);
    return &run;
}

#define program(...) program_as(PROGRAM_SELF, __VA_ARGS__)

#define CHECK_RUN(RUN, STATUS)                                                                     \
    do {                                                                                           \
        const program_run *check_run = (RUN);                                                      \
        if (check_run->status != (STATUS))                                                         \
            TEST_FAIL("exit status %d, wanted %d\n%s%s", check_run->status, (STATUS),              \
                      check_run->out, check_run->err);                                             \
    } while (0)

static inline size_t lines_with(const char *text, const char *word) {
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) count++;
    return count;
}

#endif
