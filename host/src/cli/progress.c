#include "cli/progress.h"

#include "base/clock.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL_EVERY_NS UINT64_C(200000000)
#define PLAIN_EVERY_NS UINT64_C(10000000000)

const char *cli_bytes_text(uint64_t bytes, char out[CLI_AMOUNT_BYTES]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        (void)snprintf(out, CLI_AMOUNT_BYTES, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
        return out;
    }
    while (amount >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        amount /= 1024;
        unit++;
    }
    (void)snprintf(out, CLI_AMOUNT_BYTES, "%.1f %s", amount, units[unit]);
    return out;
}

const char *cli_time_text(int64_t time_us, char out[CLI_AMOUNT_BYTES]) {
    const time_t seconds = (time_t)(time_us / 1000000 - (time_us % 1000000 < 0));
    struct tm parts;

    if (!gmtime_r(&seconds, &parts) ||
        strftime(out, CLI_AMOUNT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        (void)snprintf(out, CLI_AMOUNT_BYTES, "%" PRId64 " us", time_us);
    return out;
}

cli_progress cli_progress_begin(const cli_common *common, const char *what) {
    return (cli_progress){
        .what = what,
        .quiet = common->quiet,
        .terminal = isatty(STDERR_FILENO),
        .begin_ns = csti_clock_now_ns(csti_clock_real()),
    };
}

void cli_progress_show(cli_progress *progress, uint64_t bytes_done, uint64_t bytes_all) {
    const uint64_t now_ns = csti_clock_now_ns(csti_clock_real());
    const uint64_t last_ns = progress->shown_ns ? progress->shown_ns : progress->begin_ns;
    const double seconds = (double)(now_ns - progress->begin_ns) / 1e9;
    const double rate = seconds > 0 ? (double)bytes_done / seconds : 0;
    char done[CLI_AMOUNT_BYTES], all[CLI_AMOUNT_BYTES], each[CLI_AMOUNT_BYTES];

    if (progress->quiet) return;
    if (now_ns - last_ns < (progress->terminal ? TERMINAL_EVERY_NS : PLAIN_EVERY_NS)) return;
    progress->shown_ns = now_ns;
    fprintf(stderr, "%s%s: %s", progress->terminal ? "\r\033[K" : "", progress->what,
            cli_bytes_text(bytes_done, done));
    if (bytes_all > 0) fprintf(stderr, " of %s", cli_bytes_text(bytes_all, all));
    fprintf(stderr, ", %s/s", cli_bytes_text((uint64_t)rate, each));
    if (bytes_all >= bytes_done && rate > 0 && bytes_all > 0)
        fprintf(stderr, ", %.0f s left", (double)(bytes_all - bytes_done) / rate);
    if (!progress->terminal) putc('\n', stderr);
    fflush(stderr);
}

void cli_progress_end(cli_progress *progress) {
    if (progress->terminal && progress->shown_ns) fputs("\r\033[K", stderr);
    progress->shown_ns = 0;
}
