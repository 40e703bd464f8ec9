// progress.h: how far long work has come, its rate and what is left, on stderr.
//
//   a terminal       verify: 3.4 of 10.0 GiB, 1.2 GiB/s, 5 s left        one line, written anew
//   anything else    the same as a plain line, every ten seconds
//
// Promises   nothing at all with --quiet, or if the work ends before a line was due.
// Thread     one.
#ifndef CST_CLI_PROGRESS_H
#define CST_CLI_PROGRESS_H

#include "cli/cli.h"

enum { CLI_AMOUNT_BYTES = 24 };

typedef struct cli_progress {
    const char *what;
    bool quiet, terminal;
    uint64_t begin_ns, shown_ns; // shown_ns 0: nothing yet
} cli_progress;

cli_progress cli_progress_begin(const cli_common *common, const char *what);
// bytes_all 0: not known.
void cli_progress_show(cli_progress *progress, uint64_t bytes_done, uint64_t bytes_all);
void cli_progress_end(cli_progress *progress);

// "3.4 MiB"; below 1 KiB "17 bytes".
const char *cli_bytes_text(uint64_t bytes, char out[CLI_AMOUNT_BYTES]);
// "2026-11-21T04:12:09Z" of microseconds since 1970.
const char *cli_time_text(int64_t time_us, char out[CLI_AMOUNT_BYTES]);

#endif
