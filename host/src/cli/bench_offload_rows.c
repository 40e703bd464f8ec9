// bench_offload_rows.c: rows of any schema, by the rank of their key.
#include "cli/bench_offload.h"

#include "stream/zipf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    STRING_BYTES_MIN = 4,
    STRING_BYTES_MAX = 20,
    NULL_ONE_IN = 10,
    CHUNK_ROWS = 4096, // of a fill
    EPOCH_CHUNKS = 64,
};

static bool is_variable(const cst_column *column) {
    return cst_column_value_bytes(column) == 0;
}

void offload_rows_close(offload_rows *rows) {
    for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++) {
        free(rows->values[c]);
        free(rows->offsets[c]);
        free(rows->validity[c]);
    }
    for (uint32_t s = 0; s < OFFLOAD_SOURCES; s++) free(rows->words[s]);
    *rows = (offload_rows){0};
}

static bool columns_take(offload_rows *rows) {
    bool taken = true;

    for (uint32_t s = 0; s < OFFLOAD_SOURCES; s++) {
        rows->words[s] = calloc(rows->capacity, sizeof *rows->words[s]);
        taken = taken && rows->words[s];
    }
    for (uint32_t c = 0; c < rows->schema.columns_count; c++) {
        const cst_column *column = &rows->schema.columns[c];
        const uint32_t bytes =
            is_variable(column) ? STRING_BYTES_MAX : cst_column_value_bytes(column);

        rows->values[c] = calloc(rows->capacity, bytes);
        rows->offsets[c] = calloc((size_t)rows->capacity + 1, sizeof *rows->offsets[c]);
        rows->validity[c] = calloc((size_t)rows->capacity / 8 + 1, 1);
        taken = taken && rows->values[c] && rows->offsets[c] && rows->validity[c];
    }
    return taken;
}

cst_code offload_rows_open(offload_rows *rows, const char *schema, uint64_t seed, uint32_t capacity,
                           cst_err *err) {
    cst_code code;

    *rows = (offload_rows){.seed = seed, .capacity = capacity};
    code = cst_schema_parse(schema, &rows->schema, err);
    if (code != CST_OK || columns_take(rows)) return code;
    offload_rows_close(rows);
    return cst_fail(err, CST_NO_MEMORY, "%u rows", capacity);
}

// Of rank and column; those of one column differ for every rank.
static uint64_t random_of(const offload_rows *rows, uint64_t rank, uint32_t column) {
    return csti_splitmix64(csti_splitmix64(rows->seed + column) + rank);
}

static void fixed_fill(const cst_column *column, uint64_t random, uint8_t *out) {
    const uint32_t bytes = cst_column_value_bytes(column);
    const uint64_t halves[2] = {random, csti_splitmix64(random)};

    memcpy(out, halves, bytes < sizeof halves ? bytes : sizeof halves);
    if (column->type == CST_TYPE_BOOL) out[0] &= 1;
    if (column->type == CST_TYPE_DECIMAL128) memset(out + 12, 0, 4); // of 38 digits, 28
}

static uint32_t string_fill(uint64_t random, uint8_t *out) {
    const uint32_t bytes =
        STRING_BYTES_MIN + (uint32_t)(random % (STRING_BYTES_MAX - STRING_BYTES_MIN + 1));

    for (uint32_t i = 0; i < bytes; i++) {
        random = csti_splitmix64(random);
        out[i] = (uint8_t)('a' + random % 26);
    }
    return bytes;
}

static void column_fill(offload_rows *rows, uint32_t c, const uint64_t *ranks) {
    const cst_column *column = &rows->schema.columns[c];
    const uint32_t width = cst_column_value_bytes(column);
    uint32_t used = 0;

    memset(rows->validity[c], 0xff, (size_t)rows->capacity / 8 + 1);
    for (uint32_t r = 0; r < rows->count; r++) {
        const uint64_t random = random_of(rows, ranks[r], c);

        if (is_variable(column))
            used += string_fill(random, rows->values[c] + used);
        else
            fixed_fill(column, random, rows->values[c] + (size_t)r * width);
        rows->offsets[c][r + 1] = (int32_t)used;
        if (column->nullable && csti_splitmix64(random) % NULL_ONE_IN == 0)
            rows->validity[c][r / 8] &= (uint8_t) ~(1u << r % 8);
    }
}

void offload_rows_fill(offload_rows *rows, const uint64_t *ranks, uint32_t count) {
    assert(count <= rows->capacity);
    rows->count = count;
    for (uint32_t c = 0; c < rows->schema.columns_count; c++) column_fill(rows, c, ranks);
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t s = 0; s < OFFLOAD_SOURCES; s++)
            rows->words[s][r] = ranks[r] % 1000 + s + r % 7;
}

static void columns_slice(const offload_rows *rows, uint32_t from, uint32_t count,
                          cst_column_data *columns) {
    for (uint32_t c = 0; c < rows->schema.columns_count; c++) {
        const cst_column *column = &rows->schema.columns[c];
        const size_t width = cst_column_value_bytes(column);

        columns[c] = (cst_column_data){0};
        if (is_variable(column)) {
            columns[c].values =
                (cst_buffer){rows->values[c], (size_t)rows->offsets[c][rows->count]};
            columns[c].offsets =
                (cst_buffer){rows->offsets[c] + from, ((size_t)count + 1) * sizeof(int32_t)};
        } else {
            columns[c].values = (cst_buffer){rows->values[c] + from * width, count * width};
        }
        if (column->nullable)
            columns[c].validity =
                (cst_buffer){rows->validity[c] + from / 8, ((size_t)count + 7) / 8};
    }
}

void offload_slot_make(offload_slot *slot, const offload_rows *rows, uint32_t from, uint32_t count,
                       cst_device_table *table) {
    assert(from % 8 == 0);
    assert(from + count <= rows->count);
    columns_slice(rows, from, count, slot->columns);
    for (uint32_t s = 0; s < OFFLOAD_SOURCES; s++)
        slot->sources[s] = (cst_source){rows->words[s] + from, NULL, CST_TYPE_U64};
    slot->batch =
        (cst_batch){.schema = &rows->schema, .rows_count = count, .columns = slot->columns};
    slot->command = (cst_command){.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                                  .table = table,
                                  .batch = &slot->batch,
                                  .rows = {.rows_count = count, .sources = slot->sources}};
}

uint32_t offload_row_bytes(const cst_schema *schema) {
    uint32_t bytes = OFFLOAD_SOURCES * sizeof(uint64_t);

    for (uint32_t c = 0; c < schema->columns_count; c++)
        bytes += cst_column_value_bytes(&schema->columns[c]);
    return bytes;
}

// ---- Every rank once ----------------------------------------------------------------------------

// A run of ranks, encoded; the caller frees keys.bytes and keys.offsets.
typedef struct encoded {
    offload_slot slot;
    cst_keys keys;
    uint64_t ranks[CHUNK_ROWS];
} encoded;

static encoded *encoded_open(const offload_rows *rows) {
    const size_t bytes =
        (size_t)CHUNK_ROWS * (cst_schema_key_bytes(&rows->schema) +
                              rows->schema.columns_count * (2 * STRING_BYTES_MAX + 4)) +
        64;
    encoded *e = calloc(1, sizeof *e);

    if (!e) return NULL;
    e->keys.bytes_capacity = bytes;
    e->keys.bytes = malloc(bytes);
    e->keys.offsets = calloc(CHUNK_ROWS + 1, sizeof *e->keys.offsets);
    if (e->keys.bytes && e->keys.offsets) return e;
    free(e->keys.bytes);
    free(e->keys.offsets);
    free(e);
    return NULL;
}

static void encoded_close(encoded *e) {
    if (!e) return;
    free(e->keys.bytes);
    free(e->keys.offsets);
    free(e);
}

// Ranks [at, at + count), at most CHUNK_ROWS and as far as `entries`.
static cst_code encode_ranks(encoded *e, offload_rows *rows, uint64_t at, uint64_t entries,
                             cst_err *err) {
    const uint64_t left = entries - at;
    const uint32_t count = left < CHUNK_ROWS ? (uint32_t)left : CHUNK_ROWS;
    cst_code code;

    for (uint32_t r = 0; r < count; r++) e->ranks[r] = at + r;
    offload_rows_fill(rows, e->ranks, count);
    offload_slot_make(&e->slot, rows, 0, count, NULL);
    code = cst_batch_check(&e->slot.batch, err);
    if (code == CST_OK) code = cst_keys_encode(&e->slot.batch, &e->keys);
    return code == CST_OK ? CST_OK : cst_fail(err, code, "keys of the rows");
}

cst_code offload_key_bytes(offload_rows *rows, uint64_t entries, uint32_t *bytes_out,
                           cst_err *err) {
    const uint32_t fixed = cst_schema_key_bytes(&rows->schema);
    encoded *e = fixed ? NULL : encoded_open(rows);
    cst_code code = fixed || e ? CST_OK : cst_fail(err, CST_NO_MEMORY, "keys");
    uint32_t longest = fixed;

    for (uint64_t at = 0; !fixed && at < entries && code == CST_OK; at += CHUNK_ROWS) {
        code = encode_ranks(e, rows, at, entries, err);
        for (uint32_t r = 0; code == CST_OK && r < rows->count; r++) {
            const uint32_t bytes = e->keys.offsets[r + 1] - e->keys.offsets[r];

            if (bytes > longest) longest = bytes;
        }
    }
    encoded_close(e);
    if (code == CST_OK) *bytes_out = longest;
    return code;
}

static cst_code chunk_put(const encoded *e, uint32_t count, cst_table *image,
                          const cst_hash_key *hash_key) {
    const bool fixed = e->keys.stride > 0;
    uint64_t hashes[CHUNK_ROWS];
    const cst_rows rows = {.rows_count = count,
                           .key_stride = e->keys.stride,
                           .key_bytes = e->keys.stride,
                           .keys = e->keys.bytes,
                           .key_offsets = fixed ? NULL : e->keys.offsets,
                           .hashes = hashes,
                           .sources = e->slot.sources};
    uint32_t applied;

    for (uint32_t r = 0; r < count; r++) {
        const uint8_t *key =
            e->keys.bytes + (fixed ? (size_t)r * e->keys.stride : e->keys.offsets[r]);

        hashes[r] = cst_hash(hash_key, key,
                             fixed ? e->keys.stride : e->keys.offsets[r + 1] - e->keys.offsets[r]);
    }
    return cst_table_apply_all(image, &rows, &applied);
}

cst_code offload_image_fill(offload_rows *rows, uint64_t entries, cst_table *image,
                            const cst_hash_key *hash_key, cst_err *err) {
    encoded *e = encoded_open(rows);
    cst_code code = e ? CST_OK : cst_fail(err, CST_NO_MEMORY, "keys");
    uint32_t chunks = 0;

    for (uint64_t at = 0; at < entries && code == CST_OK; at += CHUNK_ROWS) {
        code = encode_ranks(e, rows, at, entries, err);
        if (code != CST_OK) break;
        code = chunk_put(e, rows->count, image, hash_key);
        if (code == CST_OK && (++chunks % EPOCH_CHUNKS == 0 || at + CHUNK_ROWS >= entries)) {
            const cst_delta delta = cst_table_seal(image);

            code = cst_table_release(image, &delta);
        }
        if (code != CST_OK) code = cst_fail(err, code, "a table of its rows");
    }
    encoded_close(e);
    return code;
}
