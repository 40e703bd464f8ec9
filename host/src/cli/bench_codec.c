// bench_codec.c: keys of one number, of two, and of whatever --schema says, there and back.
#include "cli/bench.h"

#include "stream/zipf.h"

#include <constellation/keys.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGE_BATCH = 8192,
    KEYS_A_ROUND = 1 << 19,
    STRING_BYTES_MIN = 4,
    STRING_BYTES_MAX = 20,
    NULL_ONE_IN = 10,
};

typedef struct codec_batch {
    cst_schema schema;
    cst_batch batch;
    cst_column_data columns[CST_COLUMNS_MAX];
    void *buffers[CST_COLUMNS_MAX * 3];
    size_t buffers_count;
    cst_keys keys;
    uint8_t *scratch;
    uint64_t random;
} codec_batch;

static uint64_t draw(codec_batch *c) {
    return c->random = csti_splitmix64(c->random);
}

static void *take(codec_batch *c, size_t bytes) {
    void *buffer = calloc(1, bytes + 64);

    if (buffer) c->buffers[c->buffers_count++] = buffer;
    return buffer;
}

static bool fill_strings(codec_batch *c, cst_column_data *out, uint32_t rows) {
    int32_t *offsets = take(c, (rows + 1) * sizeof *offsets);
    uint8_t *bytes = take(c, (size_t)rows * STRING_BYTES_MAX);
    int32_t used = 0;

    if (!offsets || !bytes) return false;
    for (uint32_t r = 0; r < rows; r++) {
        const uint64_t length =
            STRING_BYTES_MIN + draw(c) % (STRING_BYTES_MAX - STRING_BYTES_MIN + 1);

        for (uint64_t i = 0; i < length; i++) bytes[used++] = (uint8_t)('a' + draw(c) % 26);
        offsets[r + 1] = used;
    }
    out->values = (cst_buffer){bytes, (size_t)used};
    out->offsets = (cst_buffer){offsets, (rows + 1) * sizeof *offsets};
    return true;
}

static bool fill_fixed(codec_batch *c, const cst_column *column, cst_column_data *out,
                       uint32_t rows) {
    const uint32_t width = cst_column_value_bytes(column);
    uint8_t *values = take(c, (size_t)rows * width);

    if (!values) return false;
    for (size_t i = 0; i < (size_t)rows * width; i++) {
        values[i] = (uint8_t)draw(c);
        if (column->type == CST_TYPE_BOOL) values[i] &= 1;
        // At most 38 digits: twelve bytes of sixteen are enough to show the time.
        if (column->type == CST_TYPE_DECIMAL128 && i % 16 >= 12) values[i] = 0;
    }
    out->values = (cst_buffer){values, (size_t)rows * width};
    return true;
}

static bool fill_column(codec_batch *c, uint32_t index, uint32_t rows) {
    const cst_column *column = &c->schema.columns[index];
    cst_column_data *out = &c->columns[index];
    const bool variable = column->type == CST_TYPE_STRING || column->type == CST_TYPE_BINARY;
    uint8_t *validity;

    if (!(variable ? fill_strings(c, out, rows) : fill_fixed(c, column, out, rows))) return false;
    if (!column->nullable) return true;
    validity = take(c, (rows + 7) / 8);
    if (!validity) return false;
    for (uint32_t r = 0; r < rows; r++)
        if (draw(c) % NULL_ONE_IN != 0) validity[r / 8] |= (uint8_t)(1u << r % 8);
    out->validity = (cst_buffer){validity, (rows + 7) / 8};
    return true;
}

static void codec_close(codec_batch *c) {
    for (size_t i = 0; i < c->buffers_count; i++) free(c->buffers[i]);
    c->buffers_count = 0;
    free(c->scratch);
    c->scratch = NULL;
}

static cst_code codec_open(codec_batch *c, const bench *b, const char *schema, uint32_t rows,
                           cst_err *err) {
    cst_code code;

    memset(c, 0, sizeof *c);
    c->random = b->seed;
    code = cst_schema_parse(schema, &c->schema, err);
    if (code != CST_OK) return code;
    for (uint32_t i = 0; i < c->schema.columns_count; i++)
        if (!fill_column(c, i, rows)) goto no_memory;
    c->batch = (cst_batch){.schema = &c->schema, .rows_count = rows, .columns = c->columns};
    code = cst_batch_check(&c->batch, err);
    if (code != CST_OK) {
        codec_close(c);
        return code;
    }
    c->keys.bytes_capacity = cst_keys_bytes_bound(&c->batch);
    c->keys.bytes = take(c, c->keys.bytes_capacity);
    if (cst_schema_key_bytes(&c->schema) == 0)
        c->keys.offsets = take(c, (rows + 1) * sizeof *c->keys.offsets);
    c->scratch = malloc(cst_schema_key_bytes_max(&c->schema));
    if (c->keys.bytes && (c->keys.offsets || cst_schema_key_bytes(&c->schema)) && c->scratch)
        return CST_OK;
no_memory:
    codec_close(c);
    return cst_fail(err, CST_NO_MEMORY, "a batch of %u rows", rows);
}

static cst_code encode_round(void *context, double *ns_per_op_out, cst_err *err) {
    codec_batch *c = context;
    const uint32_t times = KEYS_A_ROUND / c->batch.rows_count;
    const uint64_t from_ns = bench_now_ns();

    for (uint32_t i = 0; i < times; i++) {
        const cst_code code = cst_keys_encode(&c->batch, &c->keys);

        if (code != CST_OK) return cst_fail(err, code, "encode");
    }
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)(times * c->batch.rows_count);
    return CST_OK;
}

// One number after the other, each key needed before the next is begun.
static cst_code encode_alone_round(void *context, double *ns_per_op_out, cst_err *err) {
    codec_batch *c = context;
    const uint64_t *numbers = c->columns[0].values.data;
    const uint32_t rows = c->batch.rows_count;
    const uint64_t from_ns = bench_now_ns();

    (void)err;
    for (uint32_t i = 0; i < KEYS_A_ROUND; i++) {
        uint8_t *key = c->keys.bytes + (size_t)(i % rows) * sizeof *numbers;

        cst_key_encode_u64(numbers[i % rows], key);
        __asm__ volatile("" : : "r"(key) : "memory"); // no two at once
    }
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / KEYS_A_ROUND;
    return CST_OK;
}

static cst_code decode_round(void *context, double *ns_per_op_out, cst_err *err) {
    codec_batch *c = context;
    const uint32_t rows = c->batch.rows_count;
    const uint32_t times = KEYS_A_ROUND / 4 / rows;
    cst_value values[CST_COLUMNS_MAX];
    uint64_t from_ns;
    cst_code code = cst_keys_encode(&c->batch, &c->keys);

    if (code != CST_OK) return cst_fail(err, code, "encode");
    from_ns = bench_now_ns();
    for (uint32_t i = 0; i < times; i++) {
        for (uint32_t r = 0; r < rows; r++) {
            const size_t from = c->keys.stride ? (size_t)r * c->keys.stride : c->keys.offsets[r];
            const size_t to = c->keys.stride ? from + c->keys.stride : c->keys.offsets[r + 1];

            code = cst_key_decode(&c->schema, c->keys.bytes + from, to - from, values, c->scratch,
                                  err);
            if (code != CST_OK) return code;
        }
    }
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)(times * rows);
    return CST_OK;
}

typedef struct peer_side {
    codec_batch *c;
    const bench_peer_encode *peer;
} peer_side;

static cst_code peer_round(void *context, double *ns_per_op_out, cst_err *err) {
    const peer_side *side = context;
    const uint32_t rows = side->c->batch.rows_count;
    const uint32_t times = KEYS_A_ROUND / rows;
    const uint64_t *columns[CST_COLUMNS_MAX];
    const uint64_t from_ns = bench_now_ns();

    (void)err;
    for (uint32_t i = 0; i < side->peer->columns; i++) columns[i] = side->c->columns[i].values.data;
    for (uint32_t i = 0; i < times; i++) side->peer->run(columns, rows, side->c->keys.bytes);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)(times * rows);
    return CST_OK;
}

static bool only_u64(const cst_schema *schema) {
    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const cst_column *column = &schema->columns[i];

        if (column->type != CST_TYPE_U64 || column->descending || column->nullable) return false;
    }
    return true;
}

static cst_code measure(bench *b, const char *name, const char *schema, uint32_t rows,
                        cst_code (*round)(void *, double *, cst_err *), cst_err *err) {
    codec_batch c;
    peer_side peers[BENCH_SIDES_MAX];
    bench_side sides[BENCH_SIDES_MAX] = {{BENCH_OURS, "constellation", round, &c}};
    bench_params params = {0};
    const bench_what what = {.name = name, .params = &params, .cycles = true};
    size_t count = 1;
    cst_code code;

    if (!bench_wanted(b, name)) return CST_OK;
    code = codec_open(&c, b, schema, rows, err);
    if (code != CST_OK) return code;
    bench_params_text(&params, "schema", schema);
    bench_params_u64(&params, "batch", round == encode_round ? rows : 1);
    for (size_t i = 0; b->peers && i < b->peers->encodes_count; i++) {
        const bench_peer_encode *peer = &b->peers->encodes[i];

        if (peer->columns != c.schema.columns_count || !only_u64(&c.schema)) continue;
        if (round == decode_round) continue;
        peers[count] = (peer_side){&c, peer};
        sides[count] = (bench_side){BENCH_PEER, peer->name, peer_round, &peers[count]};
        count++;
    }
    code = bench_compare(b, &what, sides, count, err);
    codec_close(&c);
    return code;
}

cst_code bench_codec(bench *b, cst_err *err) {
    const char *const schemas[] = {"u64", "u64,u64", b->schema};
    const uint32_t batches[] = {b->batch, LARGE_BATCH};
    cst_code code = measure(b, "codec.encode_alone", "u64", LARGE_BATCH, encode_alone_round, err);

    for (size_t s = 0; s < 3 && code == CST_OK; s++) {
        for (size_t i = 0; i < 2 && code == CST_OK; i++)
            code = measure(b, "codec.encode", schemas[s], batches[i], encode_round, err);
        if (code == CST_OK)
            code = measure(b, "codec.decode", schemas[s], LARGE_BATCH, decode_round, err);
    }
    return code;
}
