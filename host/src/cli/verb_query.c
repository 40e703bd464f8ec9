// verb_query.c: `constellation query JOB.toml`.
#include "cli/cli.h"

#include "server/query.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

typedef struct query_options {
    const char *key, *prefix, *store;
    uint64_t as_of, stage;
} query_options;

static cst_code line_write(void *context, const void *bytes, size_t count, cst_err *err) {
    (void)context;
    if (fwrite(bytes, 1, count, stdout) == count) return CST_OK;
    return cst_fail(err, CST_IO, "stdout: %s", strerror(errno));
}

// Opening a folder would make it: nothing is made by asking.
static cst_code store_open(const csti_job_config *config, cst_object_store **out, cst_err *err) {
    const char *uri = config->checkpoint_store;
    struct stat status;

    if (strncmp(uri, "file:", 5) == 0 && stat(uri + 5, &status) != 0)
        return cst_fail(err, CST_NOT_FOUND, "%s: %s. Has the job run?", uri + 5, strerror(errno));
    return cst_object_store_open(uri, NULL, out, err);
}

static void report_print(const cli_common *common, const csti_query_report *report) {
    if (common->json)
        printf("{\"event\":\"done\",\"checkpoint\":%" PRIu64 ",\"rows\":%" PRIu64
               ",\"bytes_read\":%" PRIu64 ",\"rows_under_way\":%" PRIu64 "}\n",
               report->checkpoint_id, report->rows, report->bytes_read, report->under_way);
    else if (!common->quiet)
        fprintf(stderr, "checkpoint %" PRIu64 ": %" PRIu64 " row%s, %" PRIu64 " bytes read\n",
                report->checkpoint_id, report->rows, report->rows == 1 ? "" : "s",
                report->bytes_read);
    if (report->under_way > 0 && !common->json && !common->quiet)
        fprintf(stderr,
                "checkpoint %" PRIu64 ": not aligned: %" PRIu64
                " rows were on their way to these, and are not in them\n",
                report->checkpoint_id, report->under_way);
}

static cst_code ask(const csti_job_config *config, const query_options *options,
                    csti_query_report *report_out, cst_err *err) {
    csti_meta_log_options log = {.clock = csti_clock_real(), .random = csti_random_real()};
    cst_object_store *store = NULL;
    csti_meta *meta = NULL;
    cst_code code = store_open(config, &store, err);

    log.store = store;
    if (code == CST_OK) code = csti_meta_open_log(&log, &meta, err);
    if (code == CST_OK) {
        const csti_query_options query = {
            .config = config,
            .store = store,
            .meta = meta,
            .clock = log.clock,
            .random = log.random,
            .checkpoint_id = options->as_of,
            .stage = (uint32_t)options->stage,
            .key = options->key,
            .prefix = options->prefix,
            .write = line_write,
        };

        code = csti_query(&query, report_out, err);
    }
    csti_meta_close(meta);
    cst_object_store_close(store);
    return code;
}

static int query_run(const cli_arguments *arguments, const query_options *options) {
    const csti_config_overrides overrides = {.checkpoint_store = options->store};
    csti_query_report report = {0};
    csti_job_config config;
    cst_err err = {.code = CST_OK};
    int status = CLI_DONE;
    cst_code code = csti_config_read(arguments->positional[0], &overrides, &config, &err);

    if (code == CST_OK) code = ask(&config, options, &report, &err);
    if (code != CST_OK) {
        status = cli_fail(&arguments->common, "query", NULL, &err);
    } else {
        report_print(&arguments->common, &report);
        if (options->key && report.rows == 0) status = CLI_FAILED;
    }
    csti_config_close(&config);
    return status;
}

int cli_query(int argc, char **argv) {
    query_options options = {.as_of = UINT64_MAX, .stage = UINT64_MAX};
    const cli_option table[] = {
        {"key", CLI_KIND_TEXT, &options.key, "CSV", "this key: its columns, in their order"},
        {"prefix", CLI_KIND_TEXT, &options.prefix, "CSV",
         "keys that begin so: the first columns, the last of them text that may go on"},
        {"as-of", CLI_KIND_U64, &options.as_of, "ID", "this checkpoint, not the newest"},
        {"stage", CLI_KIND_U64, &options.stage, "N",
         "of a job with [then]: 1, its windows that are open; 2, as without it, its results"},
        {"checkpoint-store", CLI_KIND_TEXT, &options.store, "URI", "over the job file's"},
    };
    const cli_verb verb = {
        .name = "query",
        .arguments = "JOB.toml [--key CSV | --prefix CSV] [--as-of ID] [--stage N]",
        .about =
            "Writes what a job keeps, as of its newest checkpoint, in the order of the keys, one\n"
            "JSON object a line, as its sink has them. The job may run or not. Exit status 1: the\n"
            "key is not there.",
        .options = table,
        .options_count = sizeof table / sizeof *table,
        .positional_min = 1,
        .positional_max = 1,
    };
    cli_arguments arguments;
    const int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (options.key && options.prefix)
        return cli_failf(&arguments.common, "query", NULL, CST_USAGE,
                         "--key and --prefix are two questions. Ask one.");
    if (options.as_of == 0)
        return cli_failf(&arguments.common, "query", "--as-of", CST_USAGE,
                         "checkpoints begin with 1. Leave it out for the newest.");
    if (options.stage != UINT64_MAX && (options.stage < 1 || options.stage > 2))
        return cli_failf(&arguments.common, "query", "--stage", CST_USAGE,
                         "a job has stages 1 and, with [then], 2.");
    if (options.as_of == UINT64_MAX) options.as_of = 0;
    if (options.stage == UINT64_MAX) options.stage = 0;
    return query_run(&arguments, &options);
}
