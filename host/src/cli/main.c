// main.c: the program's verbs.
#include "cli/cli.h"

#include <constellation/version.h>
#include <string.h>

static int cli_version(int argc, char **argv) {
    static const cli_verb verb = {.name = "version", .arguments = "", .about = "Says the version."};
    cli_arguments arguments;
    const int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (arguments.common.json)
        printf("{\"version\":\"%s\"}\n", cst_version_text());
    else
        printf("constellation %s\n", cst_version_text());
    return CLI_DONE;
}

static const cli_choice verbs[] = {
    {"bench", cli_bench, "benchmarks, side by side with their peers"},
    {"device", cli_device, "what devices there are, and whether they give the right bits"},
    {"generate", cli_generate, "rows of the example workloads, the same for the same seed"},
    {"keys", cli_keys, "memcomparable keys and their hashes, from and to text"},
    {"version", cli_version, "the version"},
};

int main(int argc, char **argv) {
    int status;

    if (argc > 1 && strcmp(argv[1], "--version") == 0) argv[1] += 2;
    status = cli_choose("constellation", verbs, sizeof verbs / sizeof *verbs, argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("constellation: writing to stdout failed. Is the disk full or the pipe closed?\n",
              stderr);
        if (status == CLI_DONE) status = CLI_FAILED;
    }
    return status;
}
