// verb_run.c: `constellation run JOB.toml`.
#include "cli/cli.h"
#include "cli/progress.h"

#include "base/buffer.h"
#include "server/job.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLAIN_EVERY_S = 5, METRICS_BYTES_MAX = 16 << 20 };

#define PROGRESS_US UINT64_C(1000000)
#define PROGRESS_TERMINAL_US UINT64_C(250000)

static const char what[] = "run";

// What a signal asks to stop. Only this program has signal handlers; the library has none.
static csti_job *_Atomic signalled;

static void on_signal(int number) {
    csti_job *job = signalled;

    (void)number;
    if (job) csti_job_stop(job);
}

static void signals_handle(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

// ---- Numbers ------------------------------------------------------------------------------------

enum { NUMBER_BYTES = 32 };

// Digits in groups of three.
static const char *grouped(uint64_t number, char out[NUMBER_BYTES]) {
    char digits[NUMBER_BYTES];
    const int count = snprintf(digits, sizeof digits, "%" PRIu64, number);
    int used = 0;

    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
    return out;
}

static const char *rate_text(double rows_per_s, char out[NUMBER_BYTES]) {
    if (rows_per_s >= 1e6)
        (void)snprintf(out, NUMBER_BYTES, "%.2f million rows/s", rows_per_s / 1e6);
    else
        (void)snprintf(out, NUMBER_BYTES, "%.0f rows/s", rows_per_s);
    return out;
}

// ---- Progress -----------------------------------------------------------------------------------

typedef struct run_progress {
    const cli_common *common;
    csti_job *job;
    bool terminal;
    bool line_open; // on the terminal, to be written over
    bool recovery_told;
    double plain_at;
    uint64_t rows_before;
    double seconds_before;
    uint64_t line_bytes; // of the last line of a recovery
    double line_seconds;
} run_progress;

static void metrics_json(csti_job *job) {
    csti_buffer text;

    csti_buffer_init(&text, METRICS_BYTES_MAX);
    // A line of metrics that does not fit the memory is left out: the next one may.
    if (csti_metrics_write_json(csti_job_metrics(job), &text, NULL) == CST_OK)
        printf("{\"event\":\"metrics\",\"metrics\":%.*s}\n", (int)text.used_bytes,
               (const char *)text.bytes);
    csti_buffer_release(&text);
}

static void json_name(const csti_job_total *total) {
    cli_json_text(stdout, total->name, strlen(total->name));
}

// ,"totals":{...}; nothing without them.
static void totals_json(const csti_job *job) {
    csti_job_totals totals;

    if (csti_job_totals_read(job, &totals) != CST_OK) return;
    printf(",\"totals\":{\"partitions\":%" PRIu32 ",\"partitions_all\":%" PRIu32
           ",\"oldest_epoch\":%" PRIu64 ",\"newest_epoch\":%" PRIu64 ",\"rows\":%" PRIu64
           ",\"aggregates\":{",
           totals.partitions, totals.partitions_all, totals.oldest_epoch, totals.newest_epoch,
           totals.rows);
    for (uint32_t i = 0; i < totals.count; i++) {
        if (i > 0) putchar(',');
        json_name(&totals.list[i]);
        printf(":%s", totals.list[i].text);
    }
    fputs("},\"overflowed\":[", stdout);
    for (uint32_t i = 0, said = 0; i < totals.count; i++) {
        if (!totals.list[i].overflowed) continue;
        if (said++ > 0) putchar(',');
        json_name(&totals.list[i]);
    }
    fputs("]}", stdout);
}

static void progress_json(const run_progress *run, const csti_job_progress *progress) {
    flockfile(stdout); // a sink may write to it
    printf("{\"event\":\"%s\",\"rows\":%" PRIu64 ",\"rows_all\":%" PRIu64
           ",\"seconds\":%.3f,\"checkpoints\":%" PRIu64 ",\"last_checkpoint\":%" PRIu64
           ",\"keys\":%" PRIu64 ",\"used_bytes\":%" PRIu64 ",\"paused\":%" PRIu32
           ",\"starved\":%" PRIu32 ",\"device_faults\":%" PRIu64 ",\"device_away\":%s"
           ",\"upload_left_bytes\":%" PRIu64 ",\"upload_rate\":%" PRIu64,
           progress->recovering ? "recovering" : "progress", progress->rows, progress->rows_all,
           progress->seconds, progress->checkpoints, progress->last_checkpoint_id, progress->keys,
           progress->used_bytes, progress->paused, progress->starved, progress->device_faults,
           progress->device_away ? "true" : "false", progress->upload_left_bytes,
           progress->upload_rate);
    if (progress->recovering)
        printf(",\"checked_bytes\":%" PRIu64 ",\"checked_bytes_all\":%" PRIu64
               ",\"restored_bytes\":%" PRIu64 ",\"restored_bytes_all\":%" PRIu64,
               progress->checked_bytes, progress->checked_bytes_all, progress->restored_bytes,
               progress->restored_bytes_all);
    totals_json(run->job);
    puts("}");
    metrics_json(run->job);
    (void)fflush(stdout);
    funlockfile(stdout);
}

static uint64_t recovered_bytes(const csti_job_progress *progress) {
    return progress->restored_bytes_all == 0 ? progress->checked_bytes : progress->restored_bytes;
}

// What is read and checked first, then the tables.
static void recovery_line(run_progress *run, const csti_job_progress *progress, const char *over) {
    const bool checks = progress->restored_bytes_all == 0;
    const uint64_t done = recovered_bytes(progress);
    const uint64_t all = checks ? progress->checked_bytes_all : progress->restored_bytes_all;
    const double seconds = progress->seconds - run->line_seconds;
    char some[CLI_AMOUNT_BYTES], whole[CLI_AMOUNT_BYTES], each[CLI_AMOUNT_BYTES];

    fprintf(stderr, "%s%s: %s of %s", over, checks ? "checking the checkpoint" : "recovering",
            cli_bytes_text(done, some), cli_bytes_text(all, whole));
    if (seconds > 0 && done > run->line_bytes) {
        const double rate = (double)(done - run->line_bytes) / seconds;

        fprintf(stderr, ", %s/s, %.0f s left", cli_bytes_text((uint64_t)rate, each),
                all > done ? (double)(all - done) / rate : 0);
    }
    if (!run->terminal) putc('\n', stderr);
    (void)fflush(stderr);
    run->line_open = run->terminal;
    run->line_seconds = progress->seconds;
    run->line_bytes = done;
}

// Only where there is something to wait for.
static void upload_part(const csti_job_progress *progress) {
    char left[CLI_AMOUNT_BYTES], each[CLI_AMOUNT_BYTES];

    if (progress->upload_left_bytes <= progress->upload_rate) return;
    fprintf(stderr, ", %s to upload at %s/s", cli_bytes_text(progress->upload_left_bytes, left),
            cli_bytes_text(progress->upload_rate, each));
    if (progress->upload_rate > 0)
        fprintf(stderr, ", %.0f s left",
                (double)progress->upload_left_bytes / (double)progress->upload_rate);
}

static void progress_line(run_progress *run, const csti_job_progress *progress, double rate) {
    char rows[NUMBER_BYTES], all[NUMBER_BYTES], speed[NUMBER_BYTES], keys[NUMBER_BYTES];
    const char *const over = run->terminal ? "\r\033[K" : "";

    if (progress->recovering) {
        recovery_line(run, progress, over);
        return;
    }
    fprintf(stderr, "%s%s rows", over, grouped(progress->rows, rows));
    if (progress->rows_all > 0) fprintf(stderr, " of %s", grouped(progress->rows_all, all));
    fprintf(stderr, ", %s", rate_text(rate, speed));
    if (progress->rows_all > progress->rows && rate > 0)
        fprintf(stderr, ", %.0f s left", (double)(progress->rows_all - progress->rows) / rate);
    upload_part(progress);
    fprintf(stderr, ", %s keys, %" PRIu64 " checkpoints%s%s%s", grouped(progress->keys, keys),
            progress->checkpoints, progress->device_away ? ", device lost: on cpu:" : "",
            progress->starved  ? ", paused: the state needs a larger [state] budget"
            : progress->paused ? ", paused for memory"
                               : "",
            run->terminal ? "" : "\n");
    (void)fflush(stderr);
    run->line_open = run->terminal;
}

static void recovery_tell(run_progress *run, const csti_recovery_report *report);

static void on_progress(void *context, const csti_job_progress *progress) {
    run_progress *run = context;
    const double seconds = progress->seconds - run->seconds_before;
    const double rate = seconds > 0 ? (double)(progress->rows - run->rows_before) / seconds : 0;

    run->rows_before = progress->rows;
    run->seconds_before = progress->seconds;
    if (!progress->recovering && !run->recovery_told) {
        recovery_tell(run, csti_job_recovery(run->job));
        run->plain_at = 0; // seconds begin anew
    }
    if (run->common->json) progress_json(run, progress);
    if (run->common->quiet || run->common->json) return;
    if (!run->terminal && progress->seconds < run->plain_at) return;
    run->plain_at = progress->seconds + PLAIN_EVERY_S;
    progress_line(run, progress, rate);
}

// ---- The end ------------------------------------------------------------------------------------

static void result_json(const csti_job *job, const csti_job_result *result) {
    printf("{\"event\":\"done\",\"rows\":%" PRIu64 ",\"seconds\":%.3f,\"checkpoints\":%" PRIu64
           ",\"recovered_from\":%" PRIu64 ",\"recovery_seconds\":%.3f,\"last_checkpoint\":%" PRIu64
           ",\"keys\":%" PRIu64 ",\"long_keys\":%" PRIu64 ",\"long_key_rows\":%" PRIu64
           ",\"filtered\":%" PRIu64 ",\"caught_up\":%s"
           ",\"device_faults\":%" PRIu64 ",\"device_returns\":%" PRIu64
           ",\"device_away\":%s,\"device_recovery_seconds\":%.6f",
           result->rows, result->seconds, result->checkpoints, result->recovered_from,
           result->recovery_seconds, result->last_checkpoint_id, result->keys, result->long_keys,
           result->long_rows, result->rows_dropped_by_filters, result->caught_up ? "true" : "false",
           result->device_faults, result->device_returns, result->device_away ? "true" : "false",
           result->device_seconds);
    cli_simulation_json(&result->simulation);
    totals_json(job);
    puts("}");
}

// What was chosen, what was not and why, how much was read, and where the time went.
static void recovery_json(const csti_recovery_report *report) {
    const char *comma = "";

    if (report->chosen_id == 0 && report->notes_count == 0) return;
    printf("{\"event\":\"recovered\",\"checkpoint\":%" PRIu64 ",\"adopted\":%s,\"objects\":%" PRIu64
           ",\"bytes\":%" PRIu64 ",\"claim_seconds\":%.6f,\"adopt_seconds\":%.6f,"
           "\"read_seconds\":%.6f,\"verify_seconds\":%.6f,\"restore_seconds\":%.6f,\"skipped\":[",
           report->chosen_id, report->adopted ? "true" : "false", report->objects_read,
           report->bytes_read, (double)report->claim_ns / 1e9, (double)report->adopt_ns / 1e9,
           (double)report->read_ns / 1e9, (double)report->verify_ns / 1e9,
           (double)report->restore_ns / 1e9);
    for (uint32_t n = 0; n < report->notes_count; n++) {
        const csti_recovery_note *note = &report->notes[n];

        if (note->code == CST_OK) continue;
        printf("%s{\"id\":%" PRIu64 ",\"error\":\"%s\",\"text\":", comma, note->id,
               cst_code_name(note->code));
        cli_json_text(stdout, note->text, strlen(note->text));
        putchar('}');
        comma = ",";
    }
    puts("]}");
}

static void rescaled_json(const csti_rescale_report *report) {
    if (report->partitions_count == 0) return;
    printf("{\"event\":\"rescaled\",\"from\":%" PRIu32 ",\"to\":%" PRIu32 ",\"epoch\":%" PRIu64
           ",\"bytes_before\":%" PRIu64 ",\"bytes_read\":%" PRIu64 ",\"bytes_written\":%" PRIu64
           ",\"seconds\":%.6f}\n",
           report->partitions_before, report->partitions_count, report->epoch, report->bytes_before,
           report->bytes_read, report->bytes_written, (double)report->ns / 1e9);
}

static void totals_table(const csti_job *job, FILE *out) {
    csti_job_totals totals;
    char rows[NUMBER_BYTES];

    if (csti_job_totals_read(job, &totals) != CST_OK) return;
    fprintf(out,
            "  totals           of %s rows, %" PRIu32 " of %" PRIu32
            " partitions, from epoch %" PRIu64 " on\n",
            grouped(totals.rows, rows), totals.partitions, totals.partitions_all,
            totals.oldest_epoch);
    for (uint32_t i = 0; i < totals.count; i++)
        fprintf(out, "    %-14s %s\n", totals.list[i].name,
                totals.list[i].overflowed ? "overflowed" : totals.list[i].text);
}

static void result_table(const csti_job *job, const csti_job_config *config,
                         const csti_job_result *result) {
    // Rows that go to stdout are not to be mixed with anything.
    FILE *out = config->sink == CSTI_SINK_STDOUT ? stderr : stdout;
    char rows[NUMBER_BYTES], speed[NUMBER_BYTES], keys[NUMBER_BYTES];
    const double rate = result->seconds > 0 ? (double)result->rows / result->seconds : 0;

    fprintf(out, "  job              %s, %s\n", config->name,
            result->caught_up  ? "all read and committed"
            : result->finished ? "stopped, and can go on"
                               : "stopped at once: what was read behind the last checkpoint comes "
                                 "again");
    fprintf(out, "  rows             %s in %.2f s (%s)\n", grouped(result->rows, rows),
            result->seconds, rate_text(rate, speed));
    if (result->rows_dropped_by_filters > 0)
        fprintf(out, "  filtered out     %s\n", grouped(result->rows_dropped_by_filters, rows));
    fprintf(out, "  keys             %s\n", grouped(result->keys, keys));
    if (result->long_keys + result->long_rows > 0)
        fprintf(out, "  long keys        %s, of %s rows: too long for the device, not on it\n",
                grouped(result->long_keys, keys), grouped(result->long_rows, rows));
    totals_table(job, out);
    fprintf(out, "  checkpoints      %" PRIu64 ", the last is %" PRIu64 "\n", result->checkpoints,
            result->last_checkpoint_id);
    if (result->recovered_from > 0)
        fprintf(out, "  recovered        from checkpoint %" PRIu64 " in %.2f s\n",
                result->recovered_from, result->recovery_seconds);
    if (result->rescaled.partitions_count > 0)
        fprintf(out, "  rescaled         from %" PRIu32 " partitions to %" PRIu32 " in %.2f s\n",
                result->rescaled.partitions_before, result->rescaled.partitions_count,
                (double)result->rescaled.ns / 1e9);
    if (result->device_faults > 0)
        fprintf(out,
                "  device           %s, lost %" PRIu64 " time%s, gone back to %" PRIu64
                ", ended on %s\n",
                config->device, result->device_faults, result->device_faults == 1 ? "" : "s",
                result->device_returns, result->device_away ? "cpu:" : "it");
    if (result->device_seconds > 0)
        fprintf(out, "  device recovery  the last in %.3f s, to the first row\n",
                result->device_seconds);
    cli_simulation_print(out, "  simulated        ", &result->simulation);
    fprintf(out, "  checkpoint store %s\n", config->checkpoint_store);
    if (config->sink == CSTI_SINK_FILE) fprintf(out, "  output           %s\n", config->sink_path);
}

static void notes_print(const csti_recovery_report *report) {
    for (uint32_t n = 0; n < report->notes_count; n++)
        if (report->notes[n].code != CST_OK)
            fprintf(stderr, "checkpoint %" PRIu64 " was not used: %s\n", report->notes[n].id,
                    report->notes[n].text);
}

// As soon as it is known: a run may be killed at any moment.
static void recovery_tell(run_progress *run, const csti_recovery_report *report) {
    if (run->recovery_told) return;
    run->recovery_told = true;
    if (run->line_open) fputs("\r\033[K", stderr);
    run->line_open = false;
    if (!run->common->quiet) notes_print(report);
    if (!run->common->json) return;
    flockfile(stdout);
    recovery_json(report);
    rescaled_json(csti_job_rescaled(run->job));
    (void)fflush(stdout);
    funlockfile(stdout);
}

// Before anything else is told: whoever started it waits for the port.
static void on_listening(void *context, const char *address) {
    const run_progress *run = context;

    if (run->common->json) {
        flockfile(stdout);
        printf("{\"event\":\"listening\",\"address\":");
        cli_json_text(stdout, address, strlen(address));
        puts("}");
        (void)fflush(stdout);
        funlockfile(stdout);
    } else if (!run->common->quiet) {
        fprintf(stderr, "listening on %s\n", address);
    }
}

// ---- The verb -----------------------------------------------------------------------------------

typedef struct run_options {
    csti_config_overrides overrides;
    bool until_caught_up, takeover, accept_repeats;
} run_options;

static int problems_print(const cli_common *common, const csti_job_config *config,
                          const cst_err *err) {
    const csti_problems *problems = &config->problems;

    for (uint32_t i = 1; i < problems->count && i < CSTI_CONFIG_PROBLEMS_MAX; i++)
        cli_problem(config->path, &problems->list[i]);
    return cli_fail(common, what, NULL, err);
}

static csti_log_level log_level(cli_log_level level) {
    static const csti_log_level levels[] = {[CLI_ERROR] = CSTI_LOG_ERROR,
                                            [CLI_WARNING] = CSTI_LOG_WARN,
                                            [CLI_INFO] = CSTI_LOG_INFO,
                                            [CLI_DEBUG] = CSTI_LOG_DEBUG};

    return levels[level];
}

// Once; *again_out: the state could not be restored, and all of it has to be verified first.
static int job_try(const cli_common *common, const csti_job_config *config,
                   const run_options *wanted, bool verify_all, bool *again_out) {
    run_progress progress = {.common = common, .terminal = isatty(STDERR_FILENO) == 1};
    csti_log_file file = {.file = stderr};
    csti_logger logger;
    csti_job_options options = {
        .logger = &logger,
        .until = wanted->until_caught_up ? CSTI_UNTIL_CAUGHT_UP : CSTI_UNTIL_STOPPED,
        .takeover = wanted->takeover,
        .accept_repeats = wanted->accept_repeats,
        .verify_all = verify_all,
        .progress_us = progress.terminal && !common->json ? PROGRESS_TERMINAL_US : PROGRESS_US,
        .progress = on_progress,
        .progress_context = &progress,
        .listening = on_listening,
        .listening_context = &progress,
    };
    csti_job_result result = {0};
    cst_err err = {0};
    cst_code code;

    csti_logger_init(&logger, csti_clock_real(), log_level(common->log_level), csti_log_to_file,
                     &file);
    code = csti_job_open(config, &options, &progress.job, &err);
    if (code != CST_OK) return cli_fail(common, what, config->path, &err);
    signalled = progress.job;
    (void)signal(SIGPIPE, SIG_IGN); // a sink's reader that goes is an error of the write as well
    signals_handle(on_signal);
    code = csti_job_run(progress.job, &result, &err);
    signals_handle(SIG_DFL);
    signalled = NULL;
    if (progress.line_open) fputs("\r\033[K", stderr);
    if (common->json) metrics_json(progress.job);
    recovery_tell(&progress, &result.recovery);
    if (code == CST_OK && common->json)
        result_json(progress.job, &result);
    else if (code == CST_OK && !common->quiet)
        result_table(progress.job, config, &result);
    csti_job_close(progress.job);
    *again_out = result.damaged;
    if (result.damaged) {
        fprintf(stderr, "%s. Every checkpoint is verified now\n", err.text);
        return CLI_FAILED;
    }
    return code == CST_OK ? CLI_DONE : cli_fail(common, what, config->path, &err);
}

// Blocks are verified as they are restored. Where one is damaged, the second try finds out which
// checkpoint is whole, and whether the job may go back to it.
static int job_run(const cli_common *common, const csti_job_config *config,
                   const run_options *wanted) {
    bool again = false;
    const int status = job_try(common, config, wanted, false, &again);

    return again ? job_try(common, config, wanted, true, &again) : status;
}

int cli_run(int argc, char **argv) {
    run_options options = {.overrides = {.rows = UINT64_MAX}};
    const cli_option table[] = {
        {"device", CLI_KIND_TEXT, &options.overrides.device, "URI", "instead of the job's"},
        {"checkpoint-store", CLI_KIND_TEXT, &options.overrides.checkpoint_store, "URI",
         "instead of the job's"},
        {"rows", CLI_KIND_U64, &options.overrides.rows, "N", "a generator ends behind N rows"},
        {"until-caught-up", CLI_KIND_FLAG, &options.until_caught_up, NULL,
         "ends when all that is there is read and committed"},
        {"takeover", CLI_KIND_FLAG, &options.takeover, NULL,
         "fences off a process that runs the job (it exits 6)"},
        {"accept-repeats", CLI_KIND_FLAG, &options.accept_repeats, NULL,
         "goes back behind a damaged checkpoint whose output may have been seen"},
    };
    const cli_verb verb = {
        .name = "run",
        .arguments = "JOB.toml [--until-caught-up] [--takeover]",
        .about = "Runs a job in the foreground. Ctrl-C takes a final checkpoint; a second one, or"
                 " one while it recovers,\nstops at once. Started again, it resumes from the "
                 "newest checkpoint. docs/jobs.md"
                 " has every key of a job.",
        .options = table,
        .options_count = sizeof table / sizeof *table,
        .positional_min = 1,
        .positional_max = 1,
    };
    csti_job_config *config;
    cli_arguments arguments;
    cst_err err = {0};
    cst_code code;
    int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (options.overrides.rows == 0)
        return cli_failf(&arguments.common, what, "--rows", CST_USAGE,
                         "0 rows are no job. Leave it out, and they never end.");
    if (options.overrides.rows == UINT64_MAX) options.overrides.rows = 0;
    config = calloc(1, sizeof *config);
    if (!config)
        return cli_failf(&arguments.common, what, NULL, CST_NO_MEMORY, "a job's configuration");
    code = csti_config_read(arguments.positional[0], &options.overrides, config, &err);
    if (code == CST_OK)
        status = job_run(&arguments.common, config, &options);
    else
        status = problems_print(&arguments.common, config, &err);
    csti_config_close(config);
    free(config);
    return status;
}
