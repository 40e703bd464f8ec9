// bench_parse.c: the rows of `bids` as CSV and NDJSON files, read by the file source.
//
//   generator ─► file in memory ─► pread, lines, fields, columns ─► batches
//
// Peers get the same text where it lies, and fill the same columns.
#include "cli/bench.h"

#include "stream/row_text.h"
#include "stream/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITE_BATCH_ROWS = 4096, WRITE_BYTES = 1 << 20, COLUMNS_COUNT = 5 };

typedef struct parse_side {
    const char *path;
    csti_file_format format;
    uint64_t rows_count;
    uint64_t sum; // of the prices: what every reader must find
    const char *text;
    size_t text_bytes;
    const bench_peer_parse *peer;
    bench_parse_columns columns;
} parse_side;

static const char *const names[COLUMNS_COUNT] = {"auction", "bidder", "price", "channel", "at"};

// ---- The files ----------------------------------------------------------------------------------

static cst_code batch_write(FILE *out, const cst_batch *batch, csti_row_format format, char *buffer,
                            cst_err *err) {
    uint32_t row = 0;

    while (row < batch->rows_count) {
        size_t bytes = 0;
        const cst_code code =
            csti_rows_write(batch, names, format, &row, buffer, WRITE_BYTES, &bytes);

        if (code != CST_OK) return cst_fail(err, code, "a row as text");
        if (fwrite(buffer, 1, bytes, out) != bytes)
            return cst_fail(err, CST_IO, "the text of the rows: %s", strerror(errno));
    }
    return CST_OK;
}

static cst_code file_write(const bench *b, parse_side *side, cst_err *err) {
    const cst_generator_options options = {.seed = b->seed, .skew = b->skew};
    const csti_row_format format = side->format == CSTI_FILE_CSV ? CSTI_ROW_CSV : CSTI_ROW_NDJSON;
    char *buffer = malloc(WRITE_BYTES);
    FILE *out = fopen(side->path, "wb");
    cst_generator *generator = NULL;
    cst_code code = cst_generator_open("bids", &options, &generator, err);

    if (code == CST_OK && (!buffer || !out)) code = cst_fail(err, CST_IO, "%s", side->path);
    for (uint64_t rest = side->rows_count; rest > 0 && code == CST_OK;) {
        const uint32_t rows = rest < WRITE_BATCH_ROWS ? (uint32_t)rest : WRITE_BATCH_ROWS;
        cst_batch batch = {0};

        code = cst_generator_next(generator, rows, &batch);
        for (uint32_t r = 0; r < rows; r++)
            side->sum += ((const uint64_t *)batch.columns[2].values.data)[r];
        if (code == CST_OK) code = batch_write(out, &batch, format, buffer, err);
        rest -= rows;
    }
    cst_generator_close(generator);
    free(buffer);
    if (out && fclose(out) != 0 && code == CST_OK) code = cst_fail(err, CST_IO, "%s", side->path);
    return code;
}

// The text in memory, for peers, with the room behind it that they ask for.
static cst_code text_read(parse_side *side, bench_memory *memory, cst_err *err) {
    FILE *in = fopen(side->path, "rb");
    cst_code code = CST_OK;

    if (!in || fseek(in, 0, SEEK_END) != 0) code = cst_fail(err, CST_IO, "%s", side->path);
    if (code == CST_OK) {
        side->text_bytes = (size_t)ftell(in);
        rewind(in);
        code = bench_memory_take(memory, side->text_bytes + BENCH_PARSE_SLACK_BYTES, err);
    }
    if (code == CST_OK && fread(memory->base, 1, side->text_bytes, in) != side->text_bytes)
        code = cst_fail(err, CST_IO, "%s", side->path);
    if (in) (void)fclose(in);
    side->text = (const char *)memory->base;
    return code;
}

// ---- Rounds -------------------------------------------------------------------------------------

static cst_code rows_check(const parse_side *side, uint64_t rows, uint64_t sum, cst_err *err) {
    if (rows == side->rows_count && sum == side->sum) return CST_OK;
    return cst_fail(err, CST_INTERNAL, "%s: other rows were read than written", side->path);
}

static cst_code split_read(const parse_side *side, csti_source *source, cst_err *err) {
    csti_split *split = NULL;
    uint64_t rows = 0, sum = 0;
    bool ended = false;
    cst_code code = csti_split_open(source, csti_source_split_name(source, 0), NULL, &split, err);

    while (code == CST_OK && !ended) {
        cst_batch batch = {0};

        code = csti_split_next(split, 0, &batch, &ended, err);
        for (uint32_t r = 0; code == CST_OK && r < batch.rows_count; r++)
            sum += ((const uint64_t *)batch.columns[2].values.data)[r];
        rows += batch.rows_count;
    }
    csti_split_close(split);
    return code == CST_OK ? rows_check(side, rows, sum, err) : code;
}

static cst_code source_round(void *context, double *ns_per_op_out, cst_err *err) {
    const parse_side *side = context;
    csti_source_options options = {.kind = CSTI_SOURCE_FILE,
                                   .path = side->path,
                                   .format = side->format};
    csti_source *source = NULL;
    const uint64_t from_ns = bench_now_ns();
    cst_code code = cst_schema_parse("u64,u64,u64,string,timestamp", &options.shape.schema, err);

    for (int c = 0; c < COLUMNS_COUNT; c++)
        (void)snprintf(options.shape.names[c], sizeof options.shape.names[c], "%s", names[c]);
    if (code == CST_OK) code = csti_source_open(&options, &source, err);
    if (code == CST_OK) code = split_read(side, source, err);
    csti_source_close(source);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)side->rows_count;
    return code;
}

static cst_code peer_round(void *context, double *ns_per_op_out, cst_err *err) {
    const parse_side *side = context;
    const uint64_t from_ns = bench_now_ns();
    const bench_parse_columns *columns = &side->columns;
    const size_t rows = side->peer->run(side->text, side->text_bytes, columns);
    uint64_t sum = 0;

    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)side->rows_count;
    for (size_t r = 0; r < rows; r++) sum += columns->price[r];
    return rows_check(side, rows, sum, err);
}

// ---- The benchmark ------------------------------------------------------------------------------

static cst_code columns_take(bench_parse_columns *out, uint64_t rows, bench_memory *memory,
                             cst_err *err) {
    const size_t column_bytes = rows * sizeof(uint64_t);
    const cst_code code = bench_memory_take(memory, 6 * column_bytes + 64, err);
    uint8_t *at = memory->base;

    if (code != CST_OK) return code;
    *out = (bench_parse_columns){.rows_max = rows,
                                 .auction = (uint64_t *)(void *)at,
                                 .bidder = (uint64_t *)(void *)(at + column_bytes),
                                 .price = (uint64_t *)(void *)(at + 2 * column_bytes),
                                 .at = (int64_t *)(void *)(at + 3 * column_bytes),
                                 .channel = (char *)at + 4 * column_bytes,
                                 .channel_offsets = (int32_t *)(void *)(at + 5 * column_bytes)};
    return CST_OK;
}

static cst_code measure(bench *b, parse_side *ours, const char *name, cst_err *err) {
    parse_side loops[BENCH_SIDES_MAX];
    bench_side sides[BENCH_SIDES_MAX] = {{BENCH_OURS, "constellation", source_round, ours}};
    bench_memory text = {0}, columns = {0};
    bench_params params = {0};
    size_t count = 1;
    cst_code code = text_read(ours, &text, err);

    if (code == CST_OK) code = columns_take(&ours->columns, ours->rows_count, &columns, err);
    for (size_t i = 0; code == CST_OK && b->peers && i < b->peers->parses_count; i++) {
        if (ours->format != CSTI_FILE_NDJSON || count == BENCH_SIDES_MAX) break;
        loops[count] = *ours;
        loops[count].peer = &b->peers->parses[i];
        sides[count] =
            (bench_side){BENCH_PEER, b->peers->parses[i].name, peer_round, &loops[count]};
        count++;
    }
    bench_params_text(&params, "workload", "bids");
    bench_params_u64(&params, "rows", ours->rows_count);
    bench_params_u64(&params, "row_bytes", ours->text_bytes / ours->rows_count);
    if (code == CST_OK) {
        const bench_what what = {.name = name,
                                 .params = &params,
                                 .cycles = true,
                                 .bytes_per_op = ours->text_bytes / ours->rows_count};

        code = bench_compare(b, &what, sides, count, err);
    }
    bench_memory_give(&columns);
    bench_memory_give(&text);
    return code;
}

static cst_code measure_file(bench *b, csti_file_format format, uint64_t rows, const char *name,
                             cst_err *err) {
    char path[sizeof b->folder + 16];
    parse_side side = {.path = path, .format = format, .rows_count = rows};
    cst_code code;

    (void)snprintf(path, sizeof path, "%s/bids", b->folder);
    code = file_write(b, &side, err);
    if (code == CST_OK) code = measure(b, &side, name, err);
    (void)unlink(path);
    return code;
}

cst_code bench_parse(bench *b, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++) {
        if (bench_wanted(b, "parse.ndjson"))
            code = measure_file(b, CSTI_FILE_NDJSON, b->sizes[i], "parse.ndjson", err);
        if (code == CST_OK && bench_wanted(b, "parse.csv"))
            code = measure_file(b, CSTI_FILE_CSV, b->sizes[i], "parse.csv", err);
    }
    return code;
}
