// dst: the whole checkpoint protocol, simulated from seeds.
//
//   dst --seeds 1000 [--from 1]      so many seeds, each in a process of its own
//   dst --seed 7 [--trace]           one of them, every store call printed
//   dst --mistake NAME --seeds 200   passes if one of the seeds finds the planted mistake
#include "dst/world.h"

#include "base/mistake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *dst_command = "dst";
static char command[512];

typedef struct arguments {
    uint64_t from, seeds, seed;
    bool is_one, traced;
    const char *mistake;
} arguments;

static void usage(void) {
    puts("usage: dst --seeds COUNT [--from FIRST] [--mistake NAME]\n"
         "       dst --seed NUMBER [--trace] [--mistake NAME]\n"
         "       dst --mistakes");
}

#ifdef CST_MISTAKES
csti_mistake csti_mistake_planted;

static const char *const mistakes[] = {
#define DST_MISTAKE_NAME(name) #name,
    CSTI_MISTAKE_MAP(DST_MISTAKE_NAME)
#undef DST_MISTAKE_NAME
};

static bool plant(const char *name) {
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++)
        if (strcmp(mistakes[i], name) == 0) {
            csti_mistake_planted = (csti_mistake)(i + 1);
            return true;
        }
    return false;
}

static void mistakes_list(void) {
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) puts(mistakes[i]);
}
#else
static bool plant(const char *name) {
    (void)name;
    return false;
}

static void mistakes_list(void) {}
#endif

static int run_one(const arguments *given) {
    world_run(given->seed, given->traced);
    printf("seed %" PRIu64 ": every promise held\n", given->seed);
    return 0;
}

// 0: every promise held.
static int run_apart(uint64_t seed, bool is_silent) {
    int status = 0;
    const pid_t child = fork();

    if (child < 0) return -1;
    if (child == 0) {
        if (is_silent && !freopen("/dev/null", "w", stderr)) _exit(1);
        world_run(seed, false);
        exit(0); // with whatever a sanitizer has to say at the end
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return status;
}

static int run_many(const arguments *given) {
    for (uint64_t seed = given->from; seed < given->from + given->seeds; seed++) {
        const int status = run_apart(seed, given->mistake != NULL);

        if (status == 0) continue;
        if (given->mistake) {
            printf("%s: found by seed %" PRIu64 "\n", given->mistake, seed);
            return 0;
        }
        fprintf(stderr,
                "seed %" PRIu64 " failed with status %x; replay: %s --seed %" PRIu64 " --trace\n",
                seed, (unsigned)status, dst_command, seed);
        return 1;
    }
    if (given->mistake) {
        fprintf(stderr, "%s: %" PRIu64 " seeds did not find it\n", given->mistake, given->seeds);
        return 1;
    }
    printf("%" PRIu64 " seeds from %" PRIu64 ": every promise held\n", given->seeds, given->from);
    return 0;
}

int main(int argc, char **argv) {
    arguments given = {.from = 1};

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--trace") == 0)
            given.traced = true;
        else if (strcmp(argv[i], "--mistakes") == 0) {
            mistakes_list();
            return 0;
        } else if (strcmp(argv[i], "--seeds") == 0)
            given.seeds = strtoull(argv[++i] ? value : "0", NULL, 0);
        else if (strcmp(argv[i], "--from") == 0)
            given.from = strtoull(argv[++i] ? value : "0", NULL, 0);
        else if (strcmp(argv[i], "--mistake") == 0 && argv[i + 1])
            given.mistake = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0) {
            given.seed = strtoull(argv[++i] ? value : "0", NULL, 0);
            given.is_one = true;
        } else {
            usage();
            return 2;
        }
    }
    if (given.mistake && !plant(given.mistake)) {
        fprintf(stderr, "dst: no mistake %s is compiled in\n", given.mistake);
        return 2;
    }
    (void)snprintf(command, sizeof command, "%s%s%s", argv[0], given.mistake ? " --mistake " : "",
                   given.mistake ? given.mistake : "");
    dst_command = command;
    if (given.is_one) return run_one(&given);
    if (given.seeds > 0) return run_many(&given);
    usage();
    return 2;
}
