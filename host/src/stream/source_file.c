// source_file.c: CSV and NDJSON files as splits.
//
//   folder ──► files by name ──► split "file-NAME": source_text ─ lines ─► csv_rows | ndjson_rows
//                                                        ──► row_columns ──► batch
#include "stream/csv_rows.h"
#include "stream/ndjson_rows.h"
#include "stream/source_kind.h"
#include "stream/source_offset.h"
#include "stream/source_text.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SPLIT_PREFIX "file-"
enum { PREFIX_BYTES = sizeof SPLIT_PREFIX - 1, REFILL_BYTES = CSTI_RECORD_BYTES_MAX / 2 };

typedef struct file_source {
    csti_source source;
    csti_file_format format;
    bool csv_header;
    csti_file_end end;
    bool is_folder;
    char *path;
} file_source;

typedef struct file_split {
    csti_split split;
    char *path;
    csti_source_text text;
    csti_csv_rows csv;
    csti_ndjson_rows json;
    csti_row_columns columns;
    bool header_due;
    csti_text batch;    // the last batch's text, until the next call
    size_t batch_bytes; // of text, of the last batch: with less left over, more is read first
    uint64_t first_byte;
    uint64_t rows;
    char offset[CSTI_OFFSET_BYTES_MAX]; // as it was asked for last
} file_split;

static const char *const offset_names[] = {"device", "inode", "byte", "head", "line", "unended"};
enum {
    OFFSET_DEVICE,
    OFFSET_INODE,
    OFFSET_BYTE,
    OFFSET_HEAD,
    OFFSET_LINE,
    OFFSET_UNENDED, // only where it is true
    OFFSET_FIELDS,
    OFFSET_NEEDED = OFFSET_UNENDED
};

static const file_source *source_of(const file_split *split) {
    return (const file_source *)split->split.source;
}

// ---- A split ------------------------------------------------------------------------------------

static void split_close(csti_split *base) {
    file_split *split = (file_split *)base;

    csti_source_text_close(&split->text);
    csti_csv_rows_close(&split->csv);
    csti_ndjson_rows_close(&split->json);
    csti_columns_close(&split->columns);
    free(split->path);
    free(split);
}

static char *split_path(const file_source *source, uint32_t index) {
    const char *name = source->source.names[index] + PREFIX_BYTES;
    const size_t bytes = strlen(source->path) + strlen(name) + 2;
    char *path = malloc(bytes);

    if (path && source->is_folder)
        (void)snprintf(path, bytes, "%s/%s", source->path, name);
    else if (path)
        (void)snprintf(path, bytes, "%s", source->path);
    return path;
}

// Where in the file, and what: in front of what *err says.
static cst_code place_fail(const file_split *split, cst_code code, uint64_t line, uint64_t byte,
                           cst_err *err) {
    return cst_fail_at(err, code, "%s, line %" PRIu64 ", byte %" PRIu64, split->path, line, byte);
}

static cst_code record_fail(const file_split *split, uint64_t line, uint64_t byte, cst_err *err) {
    return place_fail(split, CST_SOURCE_RECORD, line, byte, err);
}

static cst_code parse_fail(const file_split *split, const csti_source_text *from,
                           const csti_text *text, cst_err *err) {
    return record_fail(split, text->lines + 1, from->base + (uint64_t)(text->bad - from->buffer),
                       err);
}

// Reads on for a record that is not whole yet. AGAIN: there will be more later.
static cst_code rest_read(const file_split *split, csti_source_text *from, cst_err *err) {
    const uint64_t byte = csti_source_text_byte(from);
    cst_code code = csti_source_text_more(from, err);

    if (code == CST_AGAIN && from->ended && from->end == CSTI_FILE_IS_WHOLE &&
        csti_source_text_has_lines(from))
        code = cst_fail(err, CST_SOURCE_RECORD, "the file ends inside quotes");
    return code == CST_SOURCE_RECORD ? record_fail(split, from->lines + 1, byte, err) : code;
}

// Takes the line of names. AGAIN: it is not there yet; with from->ended it never will be.
static cst_code header_take(file_split *split, csti_source_text *from, cst_err *err) {
    for (;;) {
        csti_text text = csti_source_text_lines(from);
        cst_code code = CST_AGAIN;

        if (csti_source_text_has_lines(from)) code = csti_csv_rows_header(&split->csv, &text, err);
        if (code == CST_SOURCE_RECORD) return parse_fail(split, from, &text, err);
        if (code == CST_OK) csti_source_text_consume(from, &text);
        if (code != CST_AGAIN) return code;
        code = rest_read(split, from, err);
        if (code != CST_OK) return code;
    }
}

// The names of a file that was read before lie before where it goes on.
static cst_code header_again(file_split *split, uint64_t byte, cst_err *err) {
    csti_source_text text = {.file = -1};
    csti_file_place behind = {0};
    cst_code code = csti_source_text_open(&text, split->path, CSTI_FILE_IS_WHOLE, NULL, err);

    if (code == CST_OK) code = header_take(split, &text, err);
    if (code == CST_OK) csti_source_text_place(&text, &behind);
    if (code == CST_AGAIN || (code == CST_OK && behind.byte > byte))
        code = cst_fail(err, CST_PARSE, "%s: byte %" PRIu64 " is inside its header", split->path,
                        byte);
    csti_source_text_close(&text);
    return code;
}

static cst_code place_read(const char *offset, csti_file_place *out, cst_err *err) {
    uint64_t values[OFFSET_FIELDS] = {0};
    const cst_code code =
        csti_offset_read(offset, offset_names, values, OFFSET_NEEDED, OFFSET_FIELDS, err);

    if (code == CST_OK)
        *out = (csti_file_place){.device = values[OFFSET_DEVICE],
                                 .inode = values[OFFSET_INODE],
                                 .byte = values[OFFSET_BYTE],
                                 .head = values[OFFSET_HEAD],
                                 .line = values[OFFSET_LINE],
                                 .unended = values[OFFSET_UNENDED] != 0};
    return code;
}

static cst_code split_fill(file_split *split, const char *offset, cst_err *err) {
    const file_source *source = source_of(split);
    const csti_row_shape *shape = &source->source.shape;
    csti_file_place place = {0};
    cst_code code = CST_OK;

    split->path = split_path(source, split->split.index);
    if (!split->path) return cst_fail(err, CST_NO_MEMORY, "a split");
    if (offset) code = place_read(offset, &place, err);
    if (code == CST_OK)
        code = csti_source_text_open(&split->text, split->path, source->end, offset ? &place : NULL,
                                     err);
    if (code == CST_OK && source->format == CSTI_FILE_CSV)
        code = csti_csv_rows_open(&split->csv, shape, err);
    if (code == CST_OK && source->format == CSTI_FILE_NDJSON)
        code = csti_ndjson_rows_open(&split->json, shape, err);
    if (code == CST_OK)
        code = csti_columns_open(&split->columns, &shape->schema, source->source.batch_rows,
                                 CSTI_RECORD_BYTES_MAX, err);
    split->first_byte = place.byte;
    split->header_due = source->format == CSTI_FILE_CSV && source->csv_header;
    if (code == CST_OK && split->header_due && place.byte > 0) {
        code = header_again(split, csti_source_text_byte(&split->text), err);
        split->header_due = false;
    }
    return code;
}

static cst_code split_open(csti_source *base, uint32_t index, const char *offset, csti_split **out,
                           cst_err *err) {
    file_split *split = calloc(1, sizeof *split);
    cst_code code;

    if (!split) return cst_fail(err, CST_NO_MEMORY, "a split");
    split->split = (csti_split){.source = base, .index = index};
    split->text.file = -1;
    code = split_fill(split, offset, err);
    if (code != CST_OK) {
        split_close(&split->split);
        return code;
    }
    *out = &split->split;
    return CST_OK;
}

// ---- Rows ---------------------------------------------------------------------------------------

static cst_code rows_take(file_split *split, csti_text *text, uint32_t rows_max, uint32_t *rows_out,
                          cst_err *err) {
    csti_columns_reset(&split->columns);
    if (source_of(split)->format == CSTI_FILE_CSV)
        return csti_csv_rows_next(&split->csv, text, &split->columns, rows_max, rows_out, err);
    return csti_ndjson_rows_next(&split->json, text, &split->columns, rows_max, rows_out, err);
}

// Rows from the lines in the buffer. With rows in hand, what is wrong behind them waits until the
// next call comes to it.
static cst_code rows_parse(file_split *split, uint32_t rows_max, uint32_t *rows_out, cst_err *err) {
    csti_text text = csti_source_text_lines(&split->text);
    cst_code code;

    split->batch = text;
    code = rows_take(split, &text, rows_max, rows_out, err);
    csti_source_text_consume(&split->text, &text);
    split->batch_bytes = (size_t)(text.at - split->batch.at);
    if (*rows_out > 0 || code == CST_OK) return CST_OK;
    return code == CST_SOURCE_RECORD ? parse_fail(split, &split->text, &text, err) : code;
}

// Whether a batch like the last one may run out of lines, and there is room for more of them.
static bool runs_low(const file_split *split) {
    const csti_source_text *text = &split->text;
    const size_t left = text->at < text->whole ? text->whole - text->at : 0;

    return !text->ended && left < split->batch_bytes && text->used - text->at < REFILL_BYTES;
}

static cst_code rows_next(file_split *split, uint32_t rows_max, uint32_t *rows_out, cst_err *err) {
    csti_source_text *text = &split->text;
    cst_code code = CST_OK;

    if (runs_low(split)) code = csti_source_text_more(text, err);
    if (code == CST_AGAIN) code = CST_OK; // what is there will do
    while (code == CST_OK) {
        code = CST_AGAIN; // inside a line
        if (csti_source_text_has_lines(text))
            code = rows_parse(split, rows_max, rows_out, err); // AGAIN: inside quotes
        else if (text->ended)
            return CST_OK;
        if (code == CST_OK && *rows_out > 0) return CST_OK;
        if (code == CST_AGAIN) code = rest_read(split, text, err);
    }
    return code;
}

static cst_code split_next(csti_split *base, uint32_t rows_max, cst_batch *out, bool *ended_out,
                           cst_err *err) {
    file_split *split = (file_split *)base;
    uint32_t rows = 0;
    cst_code code = CST_OK;

    *ended_out = false;
    *out = (cst_batch){.schema = &base->source->shape.schema};
    if (split->header_due) {
        code = header_take(split, &split->text, err);
        if (code == CST_OK) split->header_due = false;
    }
    if (code == CST_OK) code = rows_next(split, rows_max, &rows, err);
    if (code == CST_AGAIN && split->text.ended) code = CST_OK; // empty: not even a header
    if (code != CST_OK) return code;
    *ended_out = rows == 0;
    if (rows > 0) csti_columns_batch(&split->columns, rows, out);
    split->rows += rows;
    return CST_OK;
}

// The rows before it are read once more: nobody counts where each of them begins.
static cst_code split_row_fail(csti_split *base, uint32_t row, cst_code code, cst_err *err) {
    file_split *split = (file_split *)base;
    const csti_source_text *from = &split->text;
    csti_text text = split->batch;
    uint32_t rows = 0;

    if (row > 0 && rows_take(split, &text, row, &rows, NULL) != CST_OK) return code;
    assert(rows == row);
    if (source_of(split)->format == CSTI_FILE_NDJSON) // lines of blanks hold no row
        for (size_t blank; text.at[blank = strspn(text.at, " \t\r")] == '\n'; text.lines++)
            text.at += blank + 1;
    assert(text.at < text.end);
    return place_fail(split, code, text.lines + 1, from->base + (uint64_t)(text.at - from->buffer),
                      err);
}

static const char *split_offset(csti_split *base) {
    file_split *split = (file_split *)base;
    csti_file_place place;
    uint64_t values[OFFSET_FIELDS];

    csti_source_text_place(&split->text, &place);
    values[OFFSET_DEVICE] = place.device;
    values[OFFSET_INODE] = place.inode;
    values[OFFSET_BYTE] = place.byte;
    values[OFFSET_HEAD] = place.head;
    values[OFFSET_LINE] = place.line;
    values[OFFSET_UNENDED] = place.unended;
    csti_offset_write(offset_names, values, place.unended ? OFFSET_FIELDS : OFFSET_NEEDED,
                      split->offset);
    return split->offset;
}

static void split_stats(const csti_split *base, csti_split_stats *out) {
    const file_split *split = (const file_split *)base;
    const uint64_t byte = csti_source_text_byte(&split->text);
    const uint64_t size = split->text.size;

    *out = (csti_split_stats){.rows = split->rows,
                              .bytes = byte - split->first_byte,
                              .lag_bytes = size > byte ? size - byte : 0};
}

// ---- The source ---------------------------------------------------------------------------------

static void source_close(csti_source *base) {
    file_source *source = (file_source *)base;

    free(base->names);
    free(source->path);
    free(source);
}

static const csti_source_ops file_ops = {
    .close = source_close,
    .split_open = split_open,
    .split_close = split_close,
    .split_next = split_next,
    .split_offset = split_offset,
    .split_stats = split_stats,
};

static int names_compare(const void *a, const void *b) {
    return strcmp(a, b);
}

static cst_code name_add(file_source *source, const char *name, uint32_t *capacity, cst_err *err) {
    csti_source *base = &source->source;

    if (strlen(name) + PREFIX_BYTES >= CSTI_SPLIT_NAME_BYTES)
        return cst_fail(err, CST_LIMIT, "source %s: a file name of %zu bytes: at most %d",
                        source->path, strlen(name), CSTI_SPLIT_NAME_BYTES - PREFIX_BYTES - 1);
    if (base->splits_count == CSTI_SPLITS_MAX)
        return cst_fail(err, CST_LIMIT, "source %s: more than %d files", source->path,
                        CSTI_SPLITS_MAX);
    if (base->splits_count == *capacity) {
        const uint32_t grown = *capacity ? *capacity * 2 : 16;
        void *names = realloc(base->names, grown * sizeof *base->names);

        if (!names) return cst_fail(err, CST_NO_MEMORY, "names of %u splits", grown);
        base->names = names;
        *capacity = grown;
    }
    (void)snprintf(base->names[base->splits_count++], CSTI_SPLIT_NAME_BYTES, SPLIT_PREFIX "%s",
                   name);
    return CST_OK;
}

// Files of a folder; names that begin with a dot, and folders in it, are passed over.
static cst_code folder_list(file_source *source, cst_err *err) {
    DIR *folder = opendir(source->path);
    uint32_t capacity = 0;
    cst_code code = CST_OK;
    const struct dirent *entry;

    if (!folder)
        return cst_fail(err, CST_IO, "source %s: listing: %s", source->path, strerror(errno));
    for (errno = 0; code == CST_OK && (entry = readdir(folder)) != NULL; errno = 0) {
        struct stat status;

        if (entry->d_name[0] == '.') continue;
        if (fstatat(dirfd(folder), entry->d_name, &status, 0) != 0)
            code = cst_fail(err, CST_IO, "source %s/%s: %s", source->path, entry->d_name,
                            strerror(errno));
        else if (!S_ISDIR(status.st_mode))
            code = name_add(source, entry->d_name, &capacity, err);
    }
    // A file that was not listed is rows that nobody would read.
    if (code == CST_OK && errno != 0)
        code = cst_fail(err, CST_IO, "source %s: listing: %s", source->path, strerror(errno));
    (void)closedir(folder);
    if (code != CST_OK) return code;
    if (source->source.splits_count == 0)
        return cst_fail(err, CST_NOT_FOUND, "source %s: there is no file in it", source->path);
    qsort(source->source.names, source->source.splits_count, sizeof *source->source.names,
          names_compare);
    return CST_OK;
}

static cst_code splits_list(file_source *source, cst_err *err) {
    const char *last = strrchr(source->path, '/');
    uint32_t capacity = 0;
    struct stat status;

    if (stat(source->path, &status) != 0)
        return cst_fail(err, errno == ENOENT ? CST_NOT_FOUND : CST_IO, "source %s: %s",
                        source->path, strerror(errno));
    source->is_folder = S_ISDIR(status.st_mode);
    if (source->is_folder) return folder_list(source, err);
    return name_add(source, last ? last + 1 : source->path, &capacity, err);
}

cst_code csti_file_source_open(const csti_source_options *options, csti_source **out,
                               cst_err *err) {
    file_source *source = NULL;
    cst_code code = cst_schema_check(&options->shape.schema, err);

    if (code != CST_OK) return code;
    if (!options->path || !options->path[0])
        return cst_fail(err, CST_USAGE, "source: a file source needs a path");
    if (options->csv_header && options->format != CSTI_FILE_CSV)
        return cst_fail(err, CST_USAGE, "source %s: only CSV has a header", options->path);
    source = calloc(1, sizeof *source);
    if (!source) return cst_fail(err, CST_NO_MEMORY, "a source");
    source->source = csti_source_base(options, &file_ops, split_row_fail);
    source->format = options->format;
    source->csv_header = options->csv_header;
    if (options->follow) source->end = options->until_end ? CSTI_FILE_STOPS : CSTI_FILE_GROWS;
    source->path = strdup(options->path);
    code = source->path ? splits_list(source, err) : cst_fail(err, CST_NO_MEMORY, "a source");
    return csti_source_give(&source->source, code, out);
}
