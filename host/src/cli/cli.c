#include "cli/cli.h"

#include "base/nearest.h"
#include "codec/types.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES_MAX = 64, COMMON_OPTIONS_COUNT = 4 };

int cli_status_of(cst_code code) {
    switch (code) {
    case CST_OK:
        return CLI_DONE;
    case CST_USAGE:
        return CLI_USAGE;
    case CST_SCHEMA:
    case CST_SCHEMA_MISMATCH:
    case CST_BATCH:
    case CST_KEY_CORRUPT:
    case CST_UTF8:
    case CST_VALUE_RANGE:
    case CST_PARSE:
    case CST_LIMIT:
    case CST_CONFIG:
    case CST_JOB_MISMATCH:
    case CST_OBJECT_NAME:
    case CST_SOURCE_CHANGED:
    case CST_SOURCE_RECORD:
    case CST_OPERATOR:
    case CST_SUM_OVERFLOW:
    case CST_KEY_TOO_LONG:
        return CLI_INPUT;
    case CST_NOT_FOUND:
    case CST_TABLE_CORRUPT:
    case CST_SEGMENT_MAGIC:
    case CST_SEGMENT_VERSION:
    case CST_SEGMENT_TRUNCATED:
    case CST_SEGMENT_CHECKSUM:
    case CST_SEGMENT_IDENTITY:
    case CST_SEGMENT_SCHEMA:
    case CST_SEGMENT_HASH_KEY:
    case CST_SEGMENT_RECORD:
    case CST_SEGMENT_BASE:
    case CST_STORE_CORRUPT:
    case CST_WAL_CORRUPT:
    case CST_WAL_VERSION:
    case CST_WAL_GAP:
    case CST_META_CORRUPT:
    case CST_META_VERSION:
    case CST_META_MISSING:
    case CST_MANIFEST:
    case CST_MANIFEST_VERSION:
    case CST_CHECKPOINT_UNUSABLE:
    case CST_CHECKPOINT_REPEATS:
        return CLI_DAMAGED;
    case CST_DEVICE_URI:
    case CST_DEVICE_LOST:
    case CST_DEVICE_SELFTEST:
        return CLI_DEVICE;
    case CST_FENCED:
        return CLI_FENCED;
    case CST_OBJECT_REFUSED:
    case CST_OBJECT_DENIED:
        return CLI_STORE;
    default:
        return CLI_FAILED;
    }
}

void cli_json_text(FILE *out, const char *text, size_t count) {
    const uint8_t *bytes = (const uint8_t *)text;
    size_t error_at = csti_utf8_error_at(bytes, count);

    putc('"', out);
    for (size_t i = 0; i < count; i++) {
        const unsigned char byte = bytes[i];

        if (i == error_at) { // a byte of an argument or a file name that is no text
            fputs("\xef\xbf\xbd", out);
            error_at = i + 1 + csti_utf8_error_at(bytes + i + 1, count - i - 1);
        } else if (byte == '"' || byte == '\\') {
            fprintf(out, "\\%c", byte);
        } else if (byte < 0x20) {
            fprintf(out, "\\u%04x", byte);
        } else {
            putc(byte, out);
        }
    }
    putc('"', out);
}

void cli_text(FILE *out, const char *text) {
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;

        if (byte == '\n')
            fputs("\\n", out);
        else if (byte < 0x20 || byte == 0x7f)
            fprintf(out, "\\x%02x", byte);
        else
            putc(byte, out);
    }
}

// A reason without the code's own advice, which some end with.
static void reason_of(const cst_err *err, const char *advice, char out[sizeof err->text]) {
    const size_t text_bytes = strlen(err->text), advice_bytes = strlen(advice);
    const size_t ending = advice_bytes + 2; // ". ", too
    const bool ends = text_bytes > ending &&
                      strcmp(err->text + text_bytes - advice_bytes, advice) == 0 &&
                      strncmp(err->text + text_bytes - ending, ". ", 2) == 0;

    (void)snprintf(out, sizeof err->text, "%.*s", (int)(text_bytes - (ends ? ending : 0)),
                   err->text);
}

// A reason may begin with the place: a store's does, as far as it has room for it.
static bool is_placed(const char *text, const char *where) {
    const char *end = strchr(text, ' ');
    const size_t bytes = end ? (size_t)(end - text) : 0;

    return bytes > 1 && text[bytes - 1] == ':' && strncmp(text, where, bytes - 1) == 0;
}

int cli_fail(const cli_common *common, const char *what, const char *where, const cst_err *err) {
    const bool color = common && common->color;
    const char *advice = cst_code_advice(err->code);
    char reason[sizeof err->text];
    bool advised; // a reason that ends a sentence needs no advice

    reason_of(err, advice, reason);
    advised = reason[0] && strchr(".?", reason[strlen(reason) - 1]);
    fflush(stdout);
    fprintf(stderr, "%sconstellation: %s failed: ", color ? "\033[31m" : "", what);
    if (where && !is_placed(reason, where)) {
        cli_text(stderr, where);
        fputs(": ", stderr);
    }
    cli_text(stderr, reason);
    if (!advised) putc('.', stderr);
    if (!advised) fprintf(stderr, " %c%s", toupper((unsigned char)advice[0]), advice + 1);
    fprintf(stderr, " (%s)%s\n", cst_code_name(err->code), color ? "\033[0m" : "");
    if (common && common->json) {
        printf("{\"event\":\"error\",\"code\":\"%s\",\"what\":", cst_code_name(err->code));
        cli_json_text(stdout, what, strlen(what));
        printf(",\"where\":");
        cli_json_text(stdout, where ? where : "", where ? strlen(where) : 0);
        printf(",\"why\":");
        cli_json_text(stdout, err->text, strlen(err->text));
        puts("}");
    }
    return cli_status_of(err->code);
}

int cli_failf(const cli_common *common, const char *what, const char *where, cst_code code,
              const char *format, ...) {
    cst_err err = {.code = code};
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(err.text, sizeof err.text, format, arguments);
    va_end(arguments);
    return cli_fail(common, what, where, &err);
}

static void print_option(FILE *out, const cli_option *option) {
    char left[NAME_BYTES_MAX];

    (void)snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument ? " " : "",
                   option->argument ? option->argument : "");
    fprintf(out, "  %-22s %s\n", left, option->help);
}

static void print_help(const cli_verb *verb, const cli_option *common) {
    printf("usage: constellation %s%s%s\n\n%s\n\noptions:\n", verb->name,
           verb->arguments[0] ? " " : "", verb->arguments, verb->about);
    for (size_t i = 0; i < verb->options_count; i++) print_option(stdout, &verb->options[i]);
    for (size_t i = 0; i < COMMON_OPTIONS_COUNT; i++) print_option(stdout, &common[i]);
}

// Reads digits, grouped with _ as in 5_000_000.
static bool read_u64(const char *text, uint64_t *out) {
    uint64_t value = 0;
    bool digit_before = false;

    for (const char *c = text; *c; c++) {
        if (*c == '_' && digit_before && isdigit((unsigned char)c[1])) continue;
        if (!isdigit((unsigned char)*c)) return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(*c - '0'), &value)) return false;
        digit_before = true;
    }
    *out = value;
    return digit_before;
}

static bool read_f64(const char *text, double *out) {
    char *end = NULL;
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (end == text || *end || errno || !isfinite(value)) return false;
    *out = value;
    return true;
}

static bool option_read(const cli_option *option, const char *text) {
    switch (option->kind) {
    case CLI_KIND_FLAG:
        *(bool *)option->value = true;
        return true;
    case CLI_KIND_TEXT:
        *(const char **)option->value = text;
        return true;
    case CLI_KIND_U64:
        return read_u64(text, option->value);
    case CLI_KIND_F64:
        return read_f64(text, option->value);
    }
    return false;
}

static const cli_option *option_find(const cli_option *options, size_t count, const char *name,
                                     size_t name_bytes) {
    for (size_t i = 0; i < count; i++)
        if (strlen(options[i].name) == name_bytes && memcmp(options[i].name, name, name_bytes) == 0)
            return &options[i];
    return NULL;
}

static int option_unknown(const cli_verb *verb, const cli_option *common, const char *name) {
    const char *near = csti_nearest(name, verb->options, verb->options_count, sizeof *common);

    if (!near) near = csti_nearest(name, common, COMMON_OPTIONS_COUNT, sizeof *common);
    if (near)
        return cli_failf(NULL, verb->name, NULL, CST_USAGE, "no option --%s. Did you mean --%s?",
                         name, near);
    return cli_failf(NULL, verb->name, NULL, CST_USAGE,
                     "no option --%s. See constellation %s --help.", name, verb->name);
}

static int log_level_read(const cli_verb *verb, const char *text, cli_log_level *out) {
    static const char *const names[] = {"error", "warning", "info", "debug"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *out = (cli_log_level)i;
        return CLI_GO_ON;
    }
    return cli_failf(NULL, verb->name, "--log-level", CST_USAGE,
                     "'%s' is none of error, warning, info, debug. Give one of them.", text);
}

// One argument that begins with "--". *next moves past the value it takes.
static int parse_option(const cli_verb *verb, const cli_option *common, int argc, char **argv,
                        int *next) {
    const char *name = argv[*next] + 2;
    const char *equals = strchr(name, '=');
    const size_t name_bytes = equals ? (size_t)(equals - name) : strlen(name);
    const cli_option *option = option_find(verb->options, verb->options_count, name, name_bytes);
    const char *text = equals ? equals + 1 : NULL;

    if (!option) option = option_find(common, COMMON_OPTIONS_COUNT, name, name_bytes);
    if (!option) return option_unknown(verb, common, name);
    if (option->kind == CLI_KIND_FLAG && text)
        return cli_failf(NULL, verb->name, argv[*next], CST_USAGE, "--%s takes no value",
                         option->name);
    if (option->kind != CLI_KIND_FLAG && !text) {
        if (*next + 1 >= argc)
            return cli_failf(NULL, verb->name, argv[*next], CST_USAGE, "a value is missing");
        text = argv[++*next];
    }
    if (!option_read(option, text))
        return cli_failf(NULL, verb->name, option->name, CST_USAGE, "'%s' is not a number in range",
                         text);
    return CLI_GO_ON;
}

int cli_parse(const cli_verb *verb, int argc, char **argv, cli_arguments *out) {
    bool help = false;
    bool options_over = false;
    const char *level = "warning";
    const cli_option common[COMMON_OPTIONS_COUNT] = {
        {"json", CLI_KIND_FLAG, &out->common.json, NULL, "JSON lines on stdout, nothing else"},
        {"quiet", CLI_KIND_FLAG, &out->common.quiet, NULL, "no progress and no notes"},
        {"log-level", CLI_KIND_TEXT, &level, "LEVEL", "error, warning (default), info or debug"},
        {"help", CLI_KIND_FLAG, &help, NULL, "this text"},
    };
    int status = CLI_GO_ON;

    *out = (cli_arguments){0};
    out->common.color = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0)
            help = true;
        else if (!options_over && strcmp(argv[i], "--") == 0)
            options_over = true;
        else if (!options_over && strncmp(argv[i], "--", 2) == 0)
            status = parse_option(verb, common, argc, argv, &i);
        else if (!options_over && argv[i][0] == '-' && argv[i][1])
            status = option_unknown(verb, common, argv[i] + 1);
        else if (out->positional_count == verb->positional_max)
            status = cli_failf(NULL, verb->name, argv[i], CST_USAGE, "one argument too many");
        else
            out->positional[out->positional_count++] = argv[i];
        if (status != CLI_GO_ON) return status;
    }
    if (help) {
        print_help(verb, common);
        return CLI_DONE;
    }
    if (out->positional_count < verb->positional_min)
        return cli_failf(NULL, verb->name, NULL, CST_USAGE,
                         "an argument is missing. usage: constellation %s %s.", verb->name,
                         verb->arguments);
    return log_level_read(verb, level, &out->common.log_level);
}

int cli_choose(const char *program, const cli_choice *choices, size_t count, int argc,
               char **argv) {
    const bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    const char *near = NULL;
    const char *what = strchr(program, ' ') ? strchr(program, ' ') + 1 : "command line";

    if (argc > 1 && !help) {
        for (size_t i = 0; i < count; i++)
            if (strcmp(argv[1], choices[i].name) == 0) return choices[i].run(argc - 1, argv + 1);
        near = csti_nearest(argv[1], choices, count, sizeof *choices);
        if (near)
            return cli_failf(NULL, what, NULL, CST_USAGE, "no verb '%s'. Did you mean '%s'?",
                             argv[1], near);
        return cli_failf(NULL, what, NULL, CST_USAGE, "no verb '%s'. See %s --help.", argv[1],
                         program);
    }
    fprintf(help ? stdout : stderr, "usage: %s VERB ... [--json] [--quiet] [--log-level L]\n\n",
            program);
    for (size_t i = 0; i < count; i++)
        fprintf(help ? stdout : stderr, "  %-12s %s\n", choices[i].name, choices[i].about);
    fprintf(help ? stdout : stderr, "\n%s VERB --help says more.\n", program);
    return help ? CLI_DONE : CLI_USAGE;
}
