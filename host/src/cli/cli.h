// cli.h: what every verb of the program shares: options, errors, exit statuses.
//
//   main.c ──► verb table ──► cli_keys | cli_device | cli_generate | cli_bench | ...
//                                 │
//                                 ├─ cli_parse: options, --help, nearest name
//                                 └─ cli_fail:  constellation: WHAT failed: WHERE: WHY. WHAT TO DO
//
// A verb is `int cli_VERB(int argc, char **argv)`: argv[0] is the verb, the result is the exit
// status. Results go to stdout, everything else to stderr; with --json stdout holds JSON lines
// only.
//
// Promises   every verb takes --help, --json, --quiet and --log-level.
// Thread     the program's main thread.
#ifndef CST_CLI_H
#define CST_CLI_H

#include <constellation/device.h>
#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Exit statuses: scripts rely on these numbers.
typedef enum cli_status {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_INPUT = 3,   // bad configuration or input
    CLI_DAMAGED = 4, // corrupt or missing data
    CLI_DEVICE = 5,
    CLI_FENCED = 6,
    CLI_STORE = 7,
    CLI_GO_ON = -1, // cli_parse: nothing to report, run the verb
} cli_status;

typedef enum cli_log_level { CLI_ERROR, CLI_WARNING, CLI_INFO, CLI_DEBUG } cli_log_level;

// What every verb is told.
typedef struct cli_common {
    bool json;
    bool quiet;              // no progress, no notes
    bool color;              // stderr is a terminal and NO_COLOR is not set
    cli_log_level log_level; // from --log-level; CLI_WARNING if not given
} cli_common;

typedef enum cli_kind {
    CLI_KIND_FLAG, // bool
    CLI_KIND_TEXT, // const char *
    CLI_KIND_U64,  // uint64_t; digits may be grouped with _
    CLI_KIND_F64,  // double
} cli_kind;

typedef struct cli_option {
    const char *name; // without the dashes
    cli_kind kind;
    void *value;          // where it goes, already holding its default
    const char *argument; // its name in --help; NULL for a flag
    const char *help;
} cli_option;

typedef struct cli_verb {
    const char *name;      // "keys encode"
    const char *arguments; // behind the verb in --help: "--schema SCHEMA [FILE]"
    const char *about;     // one or more whole sentences
    const cli_option *options;
    size_t options_count;
    size_t positional_min, positional_max;
} cli_verb;

enum { CLI_POSITIONAL_MAX = 64 };

typedef struct cli_arguments {
    cli_common common;
    const char *positional[CLI_POSITIONAL_MAX];
    size_t positional_count;
} cli_arguments;

// Reads argv[1..] by the verb's table. CLI_GO_ON, or the status to end with: --help printed (0),
// or an error printed (2).
int cli_parse(const cli_verb *verb, int argc, char **argv, cli_arguments *out);

// One of a verb's own verbs: `keys encode`. Prints help or an error when argv[1] names none.
typedef struct cli_choice {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} cli_choice;
int cli_choose(const char *program, const cli_choice *choices, size_t count, int argc, char **argv);

// Prints the error line and returns the exit status that belongs to the code. `what` is the verb,
// `where` a file, line or name (NULL: none).
int cli_fail(const cli_common *common, const char *what, const char *where, const cst_err *err);
int cli_failf(const cli_common *common, const char *what, const char *where, cst_code code,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
int cli_status_of(cst_code code);

// Writes text as a JSON string, quotes included. A byte that is no UTF-8 becomes U+FFFD.
void cli_json_text(FILE *out, const char *text, size_t count);

// What was simulated and at what modelled clock, as members of an object and as a line; nothing of
// a real device.
void cli_simulation_json(const cst_simulation *simulation);
void cli_simulation_print(FILE *out, const char *label, const cst_simulation *simulation);
// For people: control bytes, which come from data and file names, as \n and \x1b.
void cli_text(FILE *out, const char *text);
struct csti_problem;
// FILE:LINE:COLUMN: what is wrong, as compilers say it. Without a line: FILE: ...
void cli_problem(const char *path, const struct csti_problem *problem);

int cli_bench(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_checkpoints(int argc, char **argv);
int cli_checkpoints_fold(int argc, char **argv);
int cli_checkpoints_gc(int argc, char **argv);
int cli_checkpoints_repair(int argc, char **argv);
int cli_device(int argc, char **argv);
int cli_device_emulate(int argc, char **argv);
// Of `device probe`: the machine's nodes, and on which of them a buffer of the device lies. With
// json as members behind others.
CST_CHECK_RESULT cst_code cli_device_place(cst_device *device, bool json, cst_err *err);
int cli_generate(int argc, char **argv);
int cli_keys(int argc, char **argv);
int cli_query(int argc, char **argv);
int cli_recover(int argc, char **argv);
int cli_run(int argc, char **argv);

#endif
