// verb_check.c: `constellation check JOB.toml`.
#include "cli/cli.h"

#include "server/config.h"
#include "server/config_keys.h"
#include "table/image.h"

#include <inttypes.h>
#include <string.h>

enum {
    CHECK_ARENA_BYTES = 1 << 20,
    CHECK_FOUND_BYTES = 400,
    SLOT_INDEX_BYTES = 8 /* a control line of 64 for 8 slots */
};

static const char *const sinks[] = {
    [CSTI_SINK_NONE] = "none", [CSTI_SINK_STDOUT] = "stdout", [CSTI_SINK_FILE] = "file"};

void cli_problem(const char *path, const csti_problem *problem) {
    cli_text(stderr, path);
    if (problem->at.line > 0) fprintf(stderr, ":%u:%u", problem->at.line, problem->at.column);
    fputs(": ", stderr);
    cli_text(stderr, problem->text);
    putc('\n', stderr);
}

static void problem_print(const cli_arguments *arguments, const char *path,
                          const csti_problem *problem) {
    if (arguments->common.json) {
        fputs("{\"event\":\"problem\",\"file\":", stdout);
        cli_json_text(stdout, path, strlen(path));
        printf(",\"line\":%u,\"column\":%u,\"what\":", problem->at.line, problem->at.column);
        cli_json_text(stdout, problem->text, strlen(problem->text));
        puts("}");
    } else {
        cli_problem(path, problem);
    }
}

static int problems_print(const cli_arguments *arguments, const char *path,
                          const csti_problems *problems) {
    const uint32_t count = problems->count;

    for (uint32_t i = 0; i < count && i < CSTI_CONFIG_PROBLEMS_MAX; i++)
        problem_print(arguments, path, &problems->list[i]);
    return cli_failf(&arguments->common, "check", path, CST_CONFIG,
                     "%u problem%s. Nothing started.", count, count == 1 ? "" : "s");
}

static uint32_t entry_bytes(const csti_job_shape *shape) {
    return csti_entry_bytes(CST_TABLE_INLINE, shape->table.key_bytes, shape->program.value_bytes);
}

static void tls_print(const csti_tls_files *files) {
    csti_tls_context *context = NULL;
    csti_tls_validity validity;
    csti_tls_file wrong;

    if (!files->paths[CSTI_TLS_CERT] ||
        csti_tls_server_open(files, &context, &wrong, NULL) != CST_OK) // it was good before
        return;
    validity = csti_tls_validity_at(context, csti_clock_wall_us(csti_clock_real()));
    printf("             over TLS, by a certificate from %s until %s%s%s\n", validity.from,
           validity.until,
           validity.over    ? ". It is over: no producer will take it"
           : validity.early ? ". It is not valid yet: no producer will take it"
                            : "",
           files->paths[CSTI_TLS_TRUSTED] ? "; producers have to show one, too" : "");
    csti_tls_context_close(context);
}

static void source_print(const csti_job_config *config) {
    const csti_source_options *source = &config->source;

    if (source->kind == CSTI_SOURCE_FILE) {
        printf("source       %s %s%s\n", source->format == CSTI_FILE_CSV ? "CSV" : "NDJSON",
               source->path, source->follow ? ", and what is added to it" : "");
    } else if (source->kind == CSTI_SOURCE_TCP) {
        printf("source       tcp, on %s, in %u split%s\n", source->listen, source->stripes,
               source->stripes == 1 ? "" : "s");
        printf("             acknowledged rows are in %s, synced %s%s\n",
               source->ack == CSTI_ACK_WAL ? "the write-ahead log" : "a checkpoint",
               source->sync_us == 0 ? "always" : "every ",
               source->sync_us == 0 ? ""
                                    : csti_amount_write(source->sync_us, csti_duration_units,
                                                        csti_duration_units_count)
                                          .text);
        tls_print(&source->tls);
        if (source->sync_us > 0 && source->ack == CSTI_ACK_WAL)
            puts("             if the machine dies, acknowledged rows of that time and of one sync "
                 "may be lost");
        puts("             rows of connections that begin without {\"producer\":\"ID\"} count at "
             "least once");
    } else {
        printf("source       generator %s, ", source->generator);
        if (source->rows != 0)
            printf("%" PRIu64 " rows", source->rows);
        else
            printf("without end");
        printf(" in %u split%s\n", source->stripes, source->stripes == 1 ? "" : "s");
    }
    if (config->event_time[0])
        printf("event time   %s, up to %s late\n", config->event_time,
               csti_amount_write((uint64_t)config->watermark_us, csti_duration_units,
                                 csti_duration_units_count)
                   .text);
    if (config->filters_count > 0) printf("filters      %u\n", config->filters_count);
    if (config->operators_count > 0) printf("operators    %u\n", config->operators_count);
}

static void checkpoint_print(const csti_job_config *config) {
    printf("checkpoints  %s, every ", config->checkpoint_store);
    if (config->every_kind == CSTI_EVERY_ROWS)
        printf("%" PRIu64 " rows", config->every);
    else if (config->every_kind == CSTI_EVERY_AUTO)
        printf("auto, to recover within %s",
               csti_amount_write(config->recovery_target_us, csti_duration_units,
                                 csti_duration_units_count)
                   .text);
    else
        printf(
            "%s",
            csti_amount_write(config->every, csti_duration_units, csti_duration_units_count).text);
    printf(", %u kept\n", config->keep);
}

// `then`: of the second stage; NULL: there is one.
static void shape_print(const char *path, const csti_job_config *config,
                        const csti_job_shape *shape, const csti_job_shape *then) {
    printf("%s: no problem found\n", path);
    printf("job          %s, %u partition%s\n", config->name, config->partitions,
           config->partitions == 1 ? "" : "s");
    source_print(config);
    printf("keeps        %s\n", shape->identity.value);
    if (then) printf("then keeps   %s\n", then->identity.value);
    printf("state        %u bytes a key (%s%u of key, %u of value), budget %s%s%s\n",
           entry_bytes(shape) + SLOT_INDEX_BYTES, shape->key_bytes == 0 ? "up to " : "",
           shape->table.key_bytes, shape->program.value_bytes,
           csti_amount_write(config->budget_bytes, csti_size_units, csti_size_units_count).text,
           config->state_folder ? " for changes, rows in " : "",
           config->state_folder ? config->state_folder : "");
    printf("device       %s, batches of %u rows\n", config->device, config->batch_rows);
    if (config->device_why)
        printf("             not there now: %s. A run %s\n", config->device_why,
               config->device_policy == CSTI_DEVICE_STOP ? "ends at once" : "begins on cpu:");
    if (then)
        printf("then state   %u bytes a key (%s%u of key, %u of value)\n",
               entry_bytes(then) + SLOT_INDEX_BYTES, then->key_bytes == 0 ? "up to " : "",
               then->table.key_bytes, then->program.value_bytes);
    checkpoint_print(config);
    printf("sink         %s%s%s\n", sinks[config->sink], config->sink_path ? " " : "",
           config->sink_path ? config->sink_path : "");
}

static void text_print_json(const char *key, const char *text) {
    printf(",\"%s\":", key);
    cli_json_text(stdout, text, strlen(text));
}

static void shape_print_json(const char *path, const csti_job_config *config,
                             const csti_job_shape *shape, const csti_job_shape *then) {
    fputs("{\"event\":\"good\",\"file\":", stdout);
    cli_json_text(stdout, path, strlen(path));
    text_print_json("job", config->name);
    text_print_json("source", config->source.kind == CSTI_SOURCE_FILE  ? config->source.path
                              : config->source.kind == CSTI_SOURCE_TCP ? config->source.listen
                                                                       : config->source.generator);
    text_print_json("keeps", shape->identity.value);
    text_print_json("key_schema", shape->identity.key_schema);
    if (then) {
        text_print_json("then_keeps", then->identity.value);
        text_print_json("then_key_schema", then->identity.key_schema);
    }
    text_print_json("device", config->device);
    if (config->device_why) text_print_json("device_missing", config->device_why);
    text_print_json("checkpoint_store", config->checkpoint_store);
    text_print_json("sink", sinks[config->sink]);
    printf(",\"partitions\":%u,\"key_bytes\":%u,\"value_bytes\":%u,\"entry_bytes\":%u,"
           "\"budget_bytes\":%" PRIu64 "}\n",
           config->partitions, shape->table.key_bytes, shape->program.value_bytes,
           entry_bytes(shape), config->budget_bytes);
}

static int good_print(const cli_arguments *arguments, const char *path,
                      const csti_job_config *config) {
    cst_operator_shape rows;
    csti_job_shape shape, second;
    const csti_job_shape *then = csti_job_stages_count(config) > 1 ? &second : NULL;
    csti_arena arena;
    cst_err err = {.code = CST_OK};
    cst_code code;
    int status = CLI_DONE;

    csti_arena_init(&arena, CHECK_ARENA_BYTES);
    code = csti_job_rows_shape(config, &rows, &err);
    if (code == CST_OK) code = csti_job_shape_make(config, &rows, &arena, &shape, &err);
    if (code == CST_OK && then) code = csti_job_then_make(config, &shape, &arena, &second, &err);
    if (code != CST_OK)
        status = cli_fail(&arguments->common, "check", NULL, &err);
    else if (arguments->common.json)
        shape_print_json(path, config, &shape, then);
    else if (!arguments->common.quiet)
        shape_print(path, config, &shape, then);
    csti_arena_release(&arena);
    return status;
}

// Of a store behind a network: whether the job would be let in, and run there.
static int store_check(const cli_arguments *arguments, const csti_job_config *config) {
    cst_object_store *store = NULL;
    char found[CHECK_FOUND_BYTES];
    cst_err err = {.code = CST_OK};
    cst_code code;

    if (strncmp(config->checkpoint_store, "s3:", 3) != 0) return CLI_DONE;
    code = cst_object_store_open(config->checkpoint_store, NULL, &store, &err);
    if (code == CST_OK) code = cst_object_store_rights(store, &err);
    if (code == CST_OK) code = cst_object_store_prove(store, &err);
    if (code == CST_OK) cst_object_store_findings(store, found, sizeof found);
    cst_object_store_close(store);
    if (code != CST_OK) return cli_fail(&arguments->common, "check", NULL, &err);
    if (arguments->common.json) {
        fputs("{\"event\":\"store\"", stdout);
        text_print_json("found", found);
        puts("}");
    } else if (!arguments->common.quiet) {
        puts("rights       to put, get, list and delete, and to upload in parts");
        printf("store        %s\n", found);
    }
    return CLI_DONE;
}

int cli_check(int argc, char **argv) {
    static const cli_verb verb = {
        .name = "check",
        .arguments = "JOB.toml",
        .about = "Reads a job, says everything that is wrong with it, with line, column and the\n"
                 "nearest right name, and starts nothing. Without a problem: what the job does,\n"
                 "and whether an s3: store lets it in.\n"
                 "docs/jobs.md has every key.",
        .positional_min = 1,
        .positional_max = 1,
    };
    csti_job_config config;
    cli_arguments arguments;
    cst_err err = {.code = CST_OK};
    int status = cli_parse(&verb, argc, argv, &arguments);
    cst_code code;

    if (status != CLI_GO_ON) return status;
    code = csti_config_read(arguments.positional[0], NULL, &config, &err);
    if (code == CST_OK) {
        status = good_print(&arguments, arguments.positional[0], &config);
        if (status == CLI_DONE) status = store_check(&arguments, &config);
    } else if (code == CST_CONFIG) {
        status = problems_print(&arguments, arguments.positional[0], &config.problems);
    } else {
        status = cli_fail(&arguments.common, "check", NULL, &err);
    }
    csti_config_close(&config);
    return status;
}
