// verb_generate.c: `constellation generate NAME`.
#include "cli/cli.h"

#include "stream/row_text.h"

#include <constellation/generator.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_ROWS = 4096, BUFFER_BYTES = 1 << 20, SKEW_MAX = 10 };

typedef struct generate_options {
    uint64_t rows_count;
    cst_generator_options generator;
    csti_row_format format;
    bool header;
} generate_options;

static const char what[] = "generate";

static cst_code text_write(const char *text, size_t bytes, cst_err *err) {
    if (fwrite(text, 1, bytes, stdout) == bytes) return CST_OK;
    return cst_fail(err, CST_IO, "stdout: %s", strerror(errno));
}

static cst_code batch_write(const cst_batch *batch, const char *const *names,
                            csti_row_format format, char *buffer, cst_err *err) {
    uint32_t row = 0;

    while (row < batch->rows_count) {
        size_t bytes = 0;
        cst_code code = csti_rows_write(batch, names, format, &row, buffer, BUFFER_BYTES, &bytes);

        if (code != CST_OK) return cst_fail(err, code, "row %" PRIu32 " as text", row);
        code = text_write(buffer, bytes, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

static cst_code rows_write(cst_generator *generator, const generate_options *options, char *buffer,
                           cst_err *err) {
    const cst_schema *schema = cst_generator_schema(generator);
    const char *names[CST_COLUMNS_MAX] = {NULL};
    uint64_t rest_count = options->rows_count;
    size_t bytes = 0;
    cst_code code = CST_OK;

    for (uint32_t c = 0; c < schema->columns_count; c++)
        names[c] = cst_generator_column(generator, c);
    if (options->header) {
        code = csti_rows_write_header(schema, names, buffer, BUFFER_BYTES, &bytes);
        if (code == CST_OK) code = text_write(buffer, bytes, err);
    }
    while (code == CST_OK && rest_count > 0) {
        const uint32_t rows_count = rest_count < BATCH_ROWS ? (uint32_t)rest_count : BATCH_ROWS;
        cst_batch batch = {0};

        code = cst_generator_next(generator, rows_count, &batch);
        if (code == CST_OK) code = batch_write(&batch, names, options->format, buffer, err);
        rest_count -= rows_count;
    }
    return code;
}

static int generate_run(const cli_arguments *arguments, const generate_options *options) {
    const char *name = arguments->positional[0];
    cst_err err = {0};
    cst_generator *generator = NULL;
    char *buffer = NULL;
    cst_code code = cst_generator_open(name, &options->generator, &generator, &err);

    if (code == CST_OK) {
        buffer = malloc(BUFFER_BYTES);
        if (!buffer) code = cst_fail(&err, CST_NO_MEMORY, "a buffer of %d bytes", BUFFER_BYTES);
    }
    if (code == CST_OK) code = rows_write(generator, options, buffer, &err);
    free(buffer);
    cst_generator_close(generator);
    if (code == CST_NOT_FOUND) err.code = CST_USAGE; // the name is an argument, not a file
    return code == CST_OK ? CLI_DONE : cli_fail(&arguments->common, what, name, &err);
}

int cli_generate(int argc, char **argv) {
    generate_options options = {.generator = {.seed = 1}};
    double skew = NAN; // no option's text is read as this
    const char *format = "ndjson";
    bool no_header = false;
    uint64_t rows_count = UINT64_MAX;
    const cli_option table[] = {
        {"rows", CLI_KIND_U64, &rows_count, "N", "how many rows"},
        {"skew", CLI_KIND_F64, &skew, "Z",
         "key of rank k in proportion to 1/k^Z, 0 to 10 (default 0.99)"},
        {"keys", CLI_KIND_U64, &options.generator.keys, "N",
         "how many different keys (0: the workload's)"},
        {"seed", CLI_KIND_U64, &options.generator.seed, "S", "equal seeds give equal rows (1)"},
        {"first-row", CLI_KIND_U64, &options.generator.first_row, "N",
         "the number to begin at (0)"},
        {"format", CLI_KIND_TEXT, &format, "F", "ndjson (default) or csv"},
        {"no-header", CLI_KIND_FLAG, &no_header, NULL, "csv without the line of names"},
    };
    const cli_verb verb = {
        .name = what,
        .arguments = "NAME --rows N [--skew Z] [--seed S] [--format ndjson|csv]",
        .about = "Writes rows of a workload to stdout: bids, orders, uniform, zipf or one-key.\n"
                 "Times are microseconds since 1970, prices are cents.",
        .options = table,
        .options_count = sizeof table / sizeof *table,
        .positional_min = 1,
        .positional_max = 1,
    };
    cli_arguments arguments;
    const int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (rows_count == UINT64_MAX)
        return cli_failf(&arguments.common, what, "--rows", CST_USAGE,
                         "how many rows is not said. Give --rows N.");
    if (strcmp(format, "csv") == 0)
        options.format = CSTI_ROW_CSV;
    else if (strcmp(format, "ndjson") != 0)
        return cli_failf(&arguments.common, what, "--format", CST_USAGE,
                         "'%s' is neither ndjson nor csv. Give one of them.", format);
    if (arguments.common.json && options.format != CSTI_ROW_NDJSON)
        return cli_failf(&arguments.common, what, "--json", CST_USAGE,
                         "--json and --format csv contradict each other. Give one of them.");
    if (skew < 0 || skew > SKEW_MAX)
        return cli_failf(&arguments.common, what, "--skew", CST_USAGE, "it is 0 to %d", SKEW_MAX);
    options.generator.skew = isnan(skew) ? -1 : skew;
    options.rows_count = rows_count;
    options.header = options.format == CSTI_ROW_CSV && !no_header;
    return generate_run(&arguments, &options);
}
