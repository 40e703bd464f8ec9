// verb_keys.c: `constellation keys encode | decode | hash`: one line in, one line out.
#include "cli/cli.h"

#include "stream/csv.h"
#include "stream/key_text.h"
#include "stream/value_text.h"

#include <constellation/hash.h>
#include <constellation/keys.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HASH_KEY_BYTES = 16,
    LINE_BYTES_MAX = CSTI_CSV_RECORD_BYTES_MAX,
    LINE_BYTES_FIRST = 256,
};

// What encode and decode work with: room for the longest key and its text.
typedef struct keys_work {
    cst_schema schema;
    uint8_t *key;     // key_bytes_max
    uint8_t *scratch; // values read from hex, or bytes of decoded values
    char *text;       // a key in hex, or a value's text
    size_t key_bytes_max, text_bytes_max;
} keys_work;

static cst_code work_open(keys_work *work, const char *schema, cst_err *err) {
    const cst_code code = cst_schema_parse(schema, &work->schema, err);

    if (code != CST_OK) return code;
    work->key_bytes_max = cst_schema_key_bytes_max(&work->schema);
    work->text_bytes_max = 2 * work->key_bytes_max + CSTI_VALUE_TEXT_BYTES_MAX;
    work->key = malloc(work->key_bytes_max);
    work->scratch = malloc(work->key_bytes_max + CST_FIXED_BYTES_MAX);
    work->text = malloc(work->text_bytes_max);
    if (work->key && work->scratch && work->text) return CST_OK;
    return cst_fail(err, CST_NO_MEMORY, "keys of up to %zu bytes", work->key_bytes_max);
}

static void work_close(keys_work *work) {
    free(work->key);
    free(work->scratch);
    free(work->text);
}

static cst_code record_encode(const keys_work *work, const csti_csv *csv, uint32_t *key_bytes_out,
                              cst_err *err) {
    cst_value values[CST_COLUMNS_MAX];
    cst_code code;

    if (csv->fields_count != work->schema.columns_count)
        return cst_fail(err, CST_SCHEMA_MISMATCH, "line %" PRIu64 ": %zu fields for %u columns",
                        csv->line, csv->fields_count, work->schema.columns_count);
    code = csti_key_fields_read(&work->schema, csv->fields, csv->fields_count, work->scratch,
                                work->key_bytes_max + CST_FIXED_BYTES_MAX, values, err);
    if (code != CST_OK) return cst_fail_at(err, code, "line %" PRIu64, csv->line);
    code =
        cst_key_encode(&work->schema, values, work->key, work->key_bytes_max, key_bytes_out, err);
    return code == CST_OK ? code : cst_fail_at(err, code, "line %" PRIu64, csv->line);
}

// Input may have no end: what nobody can read is not made. main says why.
static bool is_refused(void) {
    return ferror(stdout) != 0;
}

static cst_code stream_encode(const keys_work *work, FILE *in, bool json, cst_err *err) {
    csti_csv csv;
    bool found = false;
    cst_code code;

    csti_csv_open(&csv, in);
    for (;;) {
        uint32_t key_bytes = 0;

        code = csti_csv_next(&csv, &found, err);
        if (code != CST_OK || !found || is_refused()) break;
        code = record_encode(work, &csv, &key_bytes, err);
        if (code != CST_OK) break;
        csti_hex_write(work->key, key_bytes, work->text);
        printf(json ? "{\"key\":\"%.*s\"}\n" : "%.*s\n", 2 * (int)key_bytes, work->text);
    }
    csti_csv_close(&csv);
    return code;
}

// One line without its LF; *found_out is false at the end.
typedef struct line_reader {
    FILE *in;
    char *line;
    size_t bytes, capacity;
    uint64_t number;
} line_reader;

static cst_code line_append(line_reader *reader, char byte, cst_err *err) {
    if (reader->bytes == reader->capacity) {
        const size_t capacity = reader->capacity ? reader->capacity * 2 : LINE_BYTES_FIRST;
        char *grown;

        if (capacity > LINE_BYTES_MAX)
            return cst_fail(err, CST_LIMIT, "line %" PRIu64 ": more than %d bytes", reader->number,
                            LINE_BYTES_MAX);
        grown = realloc(reader->line, capacity);
        if (!grown) return cst_fail(err, CST_NO_MEMORY, "a line of %zu bytes", capacity);
        reader->line = grown;
        reader->capacity = capacity;
    }
    reader->line[reader->bytes++] = byte;
    return CST_OK;
}

static cst_code line_next(line_reader *reader, bool *found_out, cst_err *err) {
    int byte = getc_unlocked(reader->in);

    *found_out = byte != EOF;
    reader->bytes = 0;
    reader->number++;
    for (; byte != EOF && byte != '\n'; byte = getc_unlocked(reader->in)) {
        const cst_code code = line_append(reader, (char)byte, err);

        if (code != CST_OK) return code;
    }
    // Half a line in front of an error is none.
    if (byte == EOF && ferror(reader->in))
        return cst_fail(err, CST_IO, "reading: %s", strerror(errno));
    return CST_OK;
}

static void value_print(const keys_work *work, uint32_t column, const cst_value *value, bool json) {
    size_t bytes = 0;

    if (column > 0) putchar(',');
    if (value->is_null) {
        if (json) fputs("null", stdout);
        return;
    }
    // The room was made for the longest value of the schema.
    if (csti_value_write(&work->schema.columns[column], value, work->text, work->text_bytes_max,
                         &bytes) != CST_OK)
        abort();
    if (json)
        cli_json_text(stdout, work->text, bytes);
    else
        csti_csv_write(stdout, work->text, bytes);
}

static cst_code line_decode(const keys_work *work, const line_reader *reader, bool json,
                            cst_err *err) {
    cst_value values[CST_COLUMNS_MAX];
    size_t bytes = reader->bytes;
    size_t key_bytes = 0;
    cst_code code;

    if (bytes > 0 && reader->line[bytes - 1] == '\r') bytes--;
    code = csti_hex_read(reader->line, bytes, work->key, work->key_bytes_max, &key_bytes);
    if (code == CST_PARSE)
        return cst_fail(err, code, "line %" PRIu64 ": not pairs of hex digits", reader->number);
    if (code != CST_OK)
        return cst_fail(err, CST_KEY_CORRUPT, "line %" PRIu64 ": %zu bytes, more than a key has",
                        reader->number, bytes / 2);
    code = cst_key_decode(&work->schema, work->key, key_bytes, values, work->scratch, err);
    if (code != CST_OK) return cst_fail_at(err, code, "line %" PRIu64, reader->number);
    if (json) fputs("{\"values\":[", stdout);
    for (uint32_t c = 0; c < work->schema.columns_count; c++)
        value_print(work, c, &values[c], json);
    puts(json ? "]}" : "");
    return CST_OK;
}

static cst_code stream_decode(const keys_work *work, FILE *in, bool json, cst_err *err) {
    line_reader reader = {.in = in};
    bool found = false;
    cst_code code = line_next(&reader, &found, err);

    while (code == CST_OK && found && !is_refused()) {
        code = line_decode(work, &reader, json, err);
        if (code == CST_OK) code = line_next(&reader, &found, err);
    }
    free(reader.line);
    return code;
}

static cst_code stream_hash(const cst_hash_key *key, FILE *in, bool json, cst_err *err) {
    line_reader reader = {.in = in};
    bool found = false;
    cst_code code = line_next(&reader, &found, err);

    while (code == CST_OK && found && !is_refused()) {
        const uint64_t hash = cst_hash(key, reader.line, reader.bytes);

        printf(json ? "{\"hash\":\"%016" PRIx64 "\",\"key_group\":%" PRIu32 "}\n"
                    : "%016" PRIx64 "\n",
               hash, cst_key_group(hash));
        code = line_next(&reader, &found, err);
    }
    free(reader.line);
    return code;
}

// Opens the file named, or stdin for none and "-".
static cst_code input_open(const cli_arguments *arguments, FILE **out, cst_err *err) {
    const char *path = arguments->positional_count ? arguments->positional[0] : "-";

    *out = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (*out) return CST_OK;
    return cst_fail(err, errno == ENOENT ? CST_NOT_FOUND : CST_IO, "%s", strerror(errno));
}

typedef cst_code (*keys_stream)(const keys_work *work, FILE *in, bool json, cst_err *err);

static int keys_run(const char *what, const char *about, keys_stream stream, int argc,
                    char **argv) {
    const char *schema = NULL;
    const cli_option table[] = {
        {"schema", CLI_KIND_TEXT, &schema, "SCHEMA", "column types, as in 'u64,desc string'"}};
    const cli_verb verb = {.name = what,
                           .arguments = "--schema SCHEMA [FILE]",
                           .about = about,
                           .options = table,
                           .options_count = 1,
                           .positional_max = 1};
    cli_arguments arguments;
    keys_work work = {0};
    cst_err err = {0};
    FILE *in = NULL;
    const int status = cli_parse(&verb, argc, argv, &arguments);
    cst_code code;

    if (status != CLI_GO_ON) return status;
    if (!schema)
        return cli_failf(&arguments.common, what, "--schema", CST_USAGE,
                         "the columns are not said. Give --schema 'u64,desc string' or the like.");
    code = work_open(&work, schema, &err);
    if (code != CST_OK) {
        work_close(&work);
        return cli_fail(&arguments.common, what, "--schema", &err);
    }
    code = input_open(&arguments, &in, &err);
    if (code == CST_OK) code = stream(&work, in, arguments.common.json, &err);
    if (in && in != stdin) (void)fclose(in);
    work_close(&work);
    if (code == CST_OK) return CLI_DONE;
    return cli_fail(&arguments.common, what,
                    arguments.positional_count ? arguments.positional[0] : "stdin", &err);
}

static int keys_encode(int argc, char **argv) {
    return keys_run("keys encode",
                    "Reads CSV records (RFC 4180) and writes each one's key as a line of hex "
                    "digits.\nAn empty field is a null where the column is nullable, \"\" an empty "
                    "string.",
                    stream_encode, argc, argv);
}

static int keys_decode(int argc, char **argv) {
    return keys_run(
        "keys decode",
        "Reads keys, a line of hex digits each, and writes their values as CSV records.",
        stream_decode, argc, argv);
}

static int keys_hash(int argc, char **argv) {
    static const char what[] = "keys hash";
    const char *key_text = NULL;
    const cli_option table[] = {
        {"key", CLI_KIND_TEXT, &key_text, "HEX32", "the 128-bit key, 32 hex digits"}};
    const cli_verb verb = {
        .name = what,
        .arguments = "--key HEX32 [FILE]",
        .about =
            "Writes SipHash-1-3 of each line's bytes (without the line feed) as 16 hex digits.",
        .options = table,
        .options_count = 1,
        .positional_max = 1};
    cli_arguments arguments;
    uint8_t bytes[HASH_KEY_BYTES];
    size_t count = 0;
    cst_hash_key key;
    cst_err err = {0};
    FILE *in = NULL;
    const int status = cli_parse(&verb, argc, argv, &arguments);
    cst_code code;

    if (status != CLI_GO_ON) return status;
    if (!key_text || csti_hex_read(key_text, strlen(key_text), bytes, sizeof bytes, &count) ||
        count != sizeof bytes)
        return cli_failf(&arguments.common, what, "--key", CST_USAGE,
                         "%s. Give --key with 32 hex digits.",
                         key_text ? "not 32 hex digits" : "the key is not said");
    memcpy(&key, bytes, sizeof key);
    code = input_open(&arguments, &in, &err);
    if (code == CST_OK) code = stream_hash(&key, in, arguments.common.json, &err);
    if (in && in != stdin) (void)fclose(in);
    if (code == CST_OK) return CLI_DONE;
    return cli_fail(&arguments.common, what,
                    arguments.positional_count ? arguments.positional[0] : "stdin", &err);
}

int cli_keys(int argc, char **argv) {
    static const cli_choice choices[] = {
        {"encode", keys_encode, "CSV in, hex out"},
        {"decode", keys_decode, "hex in, CSV out"},
        {"hash", keys_hash, "SipHash-1-3 of each line's bytes"},
    };

    return cli_choose("constellation keys", choices, sizeof choices / sizeof *choices, argc, argv);
}
