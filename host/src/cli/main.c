// main.c: the program's verbs.
#include "base/fault_point.h"
#include "cli/cli.h"

#include <constellation/version.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int list_fault_points(const cli_common *common) {
    if (!csti_fault_points_compiled())
        return cli_failf(common, "version", "--fault-points", CST_UNSUPPORTED,
                         "this build has no fault points. The debug preset has.");
    for (csti_fault_point point = 0; point < CSTI_FAULT_POINTS_COUNT; point++)
        printf(common->json ? "{\"fault_point\":\"%s\"}\n" : "%s\n", csti_fault_point_name(point));
    return CLI_DONE;
}

static int cli_version(int argc, char **argv) {
    bool fault_points = false;
    const cli_option table[] = {
        {"fault-points", CLI_KIND_FLAG, &fault_points, NULL,
         "names the places where CST_FAULT=NAME:N:kill|stop|fail acts, in builds that have them"},
    };
    const cli_verb verb = {
        .name = "version",
        .arguments = "[--fault-points]",
        .about = "Says the version.",
        .options = table,
        .options_count = sizeof table / sizeof *table,
    };
    cli_arguments arguments;
    const int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (fault_points) return list_fault_points(&arguments.common);
    if (arguments.common.json)
        printf("{\"version\":\"%s\"}\n", cst_version_text());
    else
        printf("constellation %s\n", cst_version_text());
    return CLI_DONE;
}

static const cli_choice verbs[] = {
    {"bench", cli_bench, "benchmarks, side by side with their peers"},
    {"check", cli_check, "what is wrong with a job, or what it does"},
    {"checkpoints", cli_checkpoints, "what is in a checkpoint store, and what can go"},
    {"device", cli_device, "what devices there are, and whether they give the right bits"},
    {"generate", cli_generate, "rows of the example workloads, the same for the same seed"},
    {"keys", cli_keys, "memcomparable keys and their hashes, from and to text"},
    {"query", cli_query, "what a job keeps, as of a checkpoint"},
    {"recover", cli_recover, "new metadata for a store that lost it"},
    {"run", cli_run, "runs a job; started again, it resumes from its newest checkpoint"},
    {"version", cli_version, "the version"},
};

// A file that is opened where a standard stream was closed would get what is meant for the stream.
// Opened for reading, it refuses what is written.
static bool streams_hold(void) {
    int fd;

    do fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) (void)close(fd);
    return fd >= 0;
}

int main(int argc, char **argv) {
    cst_err err = {0};
    int status;

    // A file that may not grow is an error of the write, as a full disk is, and not the end.
    (void)signal(SIGXFSZ, SIG_IGN);
    if (!streams_hold()) return CLI_FAILED; // with nowhere to say why
    if (csti_fault_points_arm(&err) != CST_OK) return cli_fail(NULL, "start", NULL, &err);
    if (argc > 1 && strcmp(argv[1], "--version") == 0) argv[1] += 2;
    status = cli_choose("constellation", verbs, sizeof verbs / sizeof *verbs, argc, argv);
    // An error was said already, and there is one line of it.
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_DONE) {
        fputs("constellation: writing to stdout failed. Is the disk full or the pipe closed?\n",
              stderr);
        status = CLI_FAILED;
    }
    return status;
}
