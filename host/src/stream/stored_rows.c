#include "stream/stored_rows.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/types.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define MAGIC UINT64_C(0x0a53574f52545343) // "CSTROWS\n"

enum { ALIGNMENT = 8 };

typedef struct header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t table_id;
    uint64_t epoch;
    uint64_t schema_hash;
    uint64_t program_hash;
    uint64_t hash_key_check;
    uint64_t rows_count;
    uint64_t rows_bytes;
    uint32_t key_bytes;
    uint16_t sources_count;
    uint16_t nullable;
    uint8_t types[CSTI_BLOCK_SOURCES_MAX];
    uint8_t reserved[24];
    uint32_t rows_crc32c;
    uint32_t crc32c; // of the 124 bytes before
} header;
_Static_assert(sizeof(header) == CSTI_STORED_HEADER_BYTES, "header");
_Static_assert(offsetof(header, table_id) == 16, "header");
_Static_assert(offsetof(header, hash_key_check) == 48, "header");
_Static_assert(offsetof(header, key_bytes) == 72, "header");
_Static_assert(offsetof(header, types) == 80, "header");
_Static_assert(offsetof(header, rows_crc32c) == 120, "header");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are the format");

typedef struct row_head {
    uint64_t hash;
    uint16_t key_bytes;
    uint16_t nulls;
    uint32_t reserved;
} row_head;
_Static_assert(sizeof(row_head) == CSTI_STORED_ROW_BYTES, "row");

static uint32_t width_of(cst_type type) {
    const cst_column column = {.type = type};

    return cst_column_value_bytes(&column);
}

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

// ---- Kept ---------------------------------------------------------------------------------------

void csti_stored_begin(csti_stored_rows *rows, const csti_block_shape *shape, uint64_t rows_max,
                       uint64_t bytes_max) {
    *rows = (csti_stored_rows){.rows_max = rows_max, .shape = shape};
    csti_buffer_init(&rows->bytes, bytes_max);
}

void csti_stored_end(csti_stored_rows *rows) {
    csti_buffer_release(&rows->bytes);
    *rows = (csti_stored_rows){.rows_count = 0};
}

static bool is_null(const cst_source *source, uint32_t row) {
    return source->validity && (source->validity[row / 8] >> row % 8 & 1) == 0;
}

static uint32_t key_at(const csti_block *block, uint32_t row, uint32_t *bytes_out) {
    if (block->key_bytes) {
        *bytes_out = block->key_bytes;
        return row * block->key_bytes;
    }
    *bytes_out = block->key_offsets[row + 1] - block->key_offsets[row];
    return block->key_offsets[row];
}

static uint32_t values_bytes(const csti_block *block) {
    uint32_t bytes = 0;

    for (uint32_t s = 0; s < block->sources_count; s++) bytes += width_of(block->sources[s].type);
    return bytes;
}

static size_t block_bytes(const csti_block *block) {
    const uint32_t values = values_bytes(block);
    size_t bytes = 0;

    for (uint32_t r = 0; r < block->rows_count; r++) {
        uint32_t key_bytes;

        (void)key_at(block, r, &key_bytes);
        bytes += aligned(sizeof(row_head) + key_bytes + values);
    }
    return bytes;
}

// Room is there.
static size_t row_put(const csti_block *block, uint32_t row, uint8_t *out) {
    row_head head = {.hash = block->hashes[row]};
    uint32_t key_bytes;
    const uint32_t key = key_at(block, row, &key_bytes);
    size_t used = sizeof head;

    assert(key_bytes > 0 && key_bytes <= UINT16_MAX);
    head.key_bytes = (uint16_t)key_bytes;
    memcpy(out + used, block->keys + key, key_bytes);
    used += key_bytes;
    for (uint32_t s = 0; s < block->sources_count; s++) {
        const cst_source *source = &block->sources[s];
        const uint32_t width = width_of(source->type);
        const bool null = is_null(source, row);

        head.nulls |= (uint16_t)((uint32_t)null << s);
        if (null)
            memset(out + used, 0, width);
        else if (width > 0)
            memcpy(out + used, (const uint8_t *)source->values + (size_t)row * width, width);
        used += width;
    }
    memcpy(out, &head, sizeof head);
    memset(out + used, 0, aligned(used) - used);
    return aligned(used);
}

cst_code csti_stored_put(csti_stored_rows *rows, const csti_block *block, cst_err *err) {
    const size_t bytes = block_bytes(block);
    cst_code code;

    assert(!block->ops); // rows of closed windows are not deleted
    if (rows->rows_max > 0 && rows->rows_count + block->rows_count > rows->rows_max)
        return cst_fail(err, CST_ALIGN_LIMIT, "more than %" PRIu64 " rows under way",
                        rows->rows_max);
    code = csti_buffer_reserve(&rows->bytes, bytes, err);
    if (code == CST_LIMIT)
        return cst_fail(err, CST_ALIGN_LIMIT, "more than %zu bytes of rows under way",
                        rows->bytes.bytes_max);
    if (code != CST_OK) return code;
    for (uint32_t r = 0; r < block->rows_count; r++)
        rows->bytes.used_bytes += row_put(block, r, rows->bytes.bytes + rows->bytes.used_bytes);
    rows->rows_count += block->rows_count;
    return CST_OK;
}

// ---- Header -------------------------------------------------------------------------------------

uint32_t csti_stored_head(const csti_stored_rows *rows, const csti_stored_expect *identity,
                          uint8_t out[CSTI_STORED_HEADER_BYTES]) {
    const csti_block_shape *shape = rows->shape;
    header head = {
        .magic = MAGIC,
        .version = CSTI_STORED_VERSION,
        .header_bytes = sizeof head,
        .table_id = identity->table_id,
        .epoch = identity->epoch,
        .schema_hash = identity->schema_hash,
        .program_hash = identity->program_hash,
        .hash_key_check = cst_segment_hash_key_check(identity->hash_key),
        .rows_count = rows->rows_count,
        .rows_bytes = rows->bytes.used_bytes,
        .key_bytes = shape->key_bytes,
        .sources_count = (uint16_t)shape->sources_count,
        .rows_crc32c = csti_crc32c(0, rows->bytes.bytes, rows->bytes.used_bytes),
    };

    assert(rows->rows_count > 0);
    for (uint32_t s = 0; s < shape->sources_count; s++) {
        head.types[s] = (uint8_t)shape->source_types[s];
        head.nullable |= (uint16_t)((uint32_t)shape->source_nullable[s] << s);
    }
    head.crc32c = csti_crc32c(0, &head, offsetof(header, crc32c));
    memcpy(out, &head, sizeof head);
    return head.crc32c;
}

static cst_code fail_at(const char *name, cst_err *err, cst_code code, uint64_t offset,
                        const char *why) {
    return cst_fail(err, code, "stored rows %s: offset %" PRIu64 ": %s. %s", name, offset, why,
                    cst_code_advice(code));
}

// Magic, version, length, checksum: what says that the rest may be believed.
static cst_code head_read(const char *name, const void *bytes, size_t count, header *out,
                          cst_err *err) {
    const size_t magic_bytes = count < sizeof out->magic ? count : sizeof out->magic;
    const uint64_t magic = MAGIC;

    if (magic_bytes > 0 && memcmp(bytes, &magic, magic_bytes) != 0)
        return fail_at(name, err, CST_SEGMENT_MAGIC, 0, "not stored rows");
    if (count < sizeof *out)
        return fail_at(name, err, CST_SEGMENT_TRUNCATED, count, "shorter than its header");
    memcpy(out, bytes, sizeof *out);
    if (out->version > CSTI_STORED_VERSION)
        return fail_at(name, err, CST_SEGMENT_VERSION, offsetof(header, version),
                       cst_code_text(CST_SEGMENT_VERSION));
    if (csti_crc32c(0, out, offsetof(header, crc32c)) != out->crc32c)
        return fail_at(name, err, CST_SEGMENT_CHECKSUM, offsetof(header, crc32c),
                       "the header's checksum is not its content's");
    if (out->rows_bytes > count - sizeof *out)
        return fail_at(name, err, CST_SEGMENT_TRUNCATED, count, "it ends early");
    if (out->rows_bytes < count - sizeof *out)
        return fail_at(name, err, CST_SEGMENT_RECORD, sizeof *out + out->rows_bytes,
                       "bytes behind the rows");
    if (csti_crc32c(0, (const uint8_t *)bytes + sizeof *out, out->rows_bytes) != out->rows_crc32c)
        return fail_at(name, err, CST_SEGMENT_CHECKSUM, sizeof *out,
                       "the rows' checksum is not their content's");
    return CST_OK;
}

// A header with the right checksum that still says something no writer says.
static cst_code head_check(const char *name, const header *head, cst_err *err) {
    static const uint8_t zeros[sizeof head->reserved];
    const char *why = NULL;

    if (head->version == 0) why = "version 0";
    if (head->header_bytes != sizeof *head) why = "another length of header";
    if (memcmp(head->reserved, zeros, sizeof zeros) != 0) why = "reserved bytes are set";
    if (head->sources_count > CSTI_BLOCK_SOURCES_MAX) why = "too many sources";
    if (head->key_bytes > CST_WIDE_KEY_BYTES_MAX) why = "keys that are too long";
    if (head->rows_count == 0) why = "no rows";
    for (uint32_t s = 0; !why && s < CSTI_BLOCK_SOURCES_MAX; s++) {
        const bool is_there = s < head->sources_count;

        if (is_there ? !csti_type_name((cst_type)head->types[s])
                     : head->types[s] != 0 || (head->nullable >> s & 1) != 0)
            why = "a source of no type";
    }
    return why ? fail_at(name, err, CST_SEGMENT_RECORD, 0, why) : CST_OK;
}

static cst_code head_expect(const char *name, const header *head, size_t count,
                            const csti_stored_expect *expect, cst_err *err) {
    if (head->table_id != expect->table_id || head->epoch != expect->epoch ||
        head->rows_count != expect->rows_count || count != expect->bytes ||
        (expect->checksum != 0 && head->crc32c != expect->checksum))
        return fail_at(name, err, CST_SEGMENT_IDENTITY, 0,
                       "rows of another table, epoch, number or content");
    if (head->schema_hash != expect->schema_hash || head->program_hash != expect->program_hash)
        return fail_at(name, err, CST_SEGMENT_SCHEMA, 0, "another schema or program");
    if (head->hash_key_check != cst_segment_hash_key_check(expect->hash_key))
        return fail_at(name, err, CST_SEGMENT_HASH_KEY, 0, "another hash key");
    return CST_OK;
}

// ---- Rows ---------------------------------------------------------------------------------------

static uint32_t reader_values_bytes(const csti_stored_reader *reader) {
    uint32_t bytes = 0;

    for (uint32_t s = 0; s < reader->sources_count; s++)
        bytes += width_of((cst_type)reader->types[s]);
    return bytes;
}

// Why the row at `at` is none; NULL: it is one, of *bytes_out bytes.
static const char *row_wrong(const csti_stored_reader *reader, uint64_t at, uint32_t values,
                             const csti_stored_expect *expect, uint64_t *bytes_out) {
    const uint8_t *bytes = reader->bytes + at;
    row_head head;
    uint64_t used;

    if (reader->count - at < sizeof head) return "a row that is cut";
    memcpy(&head, bytes, sizeof head);
    used = sizeof head + head.key_bytes + values;
    *bytes_out = aligned(used);
    if (head.reserved != 0) return "reserved bytes of a row are set";
    if (head.key_bytes == 0 || (reader->key_bytes && head.key_bytes != reader->key_bytes))
        return "a key of another length";
    if ((head.nulls & ~reader->nullable) != 0) return "a null where there is none";
    if (*bytes_out > reader->count - at) return "a row that is cut";
    for (; used < *bytes_out; used++)
        if (bytes[used] != 0) return "padding is not zeros";
    if (cst_hash(expect->hash_key, bytes + sizeof head, head.key_bytes) != head.hash)
        return "a hash that is not its key's";
    if (cst_key_group(head.hash) < expect->group_from ||
        cst_key_group(head.hash) >= expect->group_to)
        return "a row of another partition";
    return NULL;
}

static cst_code rows_check(csti_stored_reader *reader, const csti_stored_expect *expect,
                           cst_err *err) {
    const uint32_t values = reader_values_bytes(reader);
    uint64_t rows_count = 0, bytes = 0;

    for (uint64_t at = 0; at < reader->count; at += bytes, rows_count++) {
        const char *why = row_wrong(reader, at, values, expect, &bytes);
        const uint32_t key_bytes = why ? 0 : csti_load_le16(reader->bytes + at + 8);

        if (why)
            return fail_at(reader->name, err, CST_SEGMENT_RECORD, CSTI_STORED_HEADER_BYTES + at,
                           why);
        if (key_bytes > reader->key_bytes_max) reader->key_bytes_max = key_bytes;
    }
    if (rows_count != reader->rows_count)
        return fail_at(reader->name, err, CST_SEGMENT_RECORD, offsetof(header, rows_count),
                       "another number of rows");
    return CST_OK;
}
_Static_assert(offsetof(row_head, key_bytes) == 8, "row");

cst_code csti_stored_open(const char *name, const void *bytes, size_t count,
                          const csti_stored_expect *expect, csti_stored_reader *out, cst_err *err) {
    csti_stored_reader reader = {.name = name};
    header head;
    cst_code code = head_read(name, bytes, count, &head, err);

    if (code == CST_OK) code = head_check(name, &head, err);
    if (code == CST_OK) code = head_expect(name, &head, count, expect, err);
    if (code != CST_OK) return code;
    reader.bytes = (const uint8_t *)bytes + sizeof head;
    reader.count = head.rows_bytes;
    reader.key_bytes = head.key_bytes;
    reader.sources_count = head.sources_count;
    reader.nullable = head.nullable;
    memcpy(reader.types, head.types, sizeof reader.types);
    reader.checksum = head.crc32c;
    reader.rows_count = head.rows_count;
    code = rows_check(&reader, expect, err);
    if (code == CST_OK) *out = reader;
    return code;
}

cst_code csti_stored_fits(const csti_stored_reader *reader, const csti_block_shape *shape,
                          cst_err *err) {
    bool fits =
        reader->key_bytes == shape->key_bytes &&
        reader->key_bytes_max <= (shape->key_bytes ? shape->key_bytes : shape->key_bytes_max) &&
        reader->sources_count == shape->sources_count;

    for (uint32_t s = 0; fits && s < shape->sources_count; s++)
        fits = reader->types[s] == (uint8_t)shape->source_types[s] &&
               (reader->nullable >> s & 1) == shape->source_nullable[s];
    if (fits) return CST_OK;
    return fail_at(reader->name, err, CST_SEGMENT_SCHEMA, 0,
                   "rows of other columns than the second stage takes");
}

// ---- Back into blocks ---------------------------------------------------------------------------

static void source_put(const cst_source *source, uint32_t row, uint32_t width, bool null,
                       const uint8_t *value) {
    // A block's own; only tables do not write there.
    uint8_t *values = (uint8_t *)(uintptr_t)source->values;
    uint8_t *validity = (uint8_t *)(uintptr_t)source->validity;
    const uint8_t bit = (uint8_t)(1u << row % 8);

    if (width > 0) memcpy(values + (size_t)row * width, value, width);
    if (!validity) return;
    validity[row / 8] = (uint8_t)(null ? validity[row / 8] & ~bit : validity[row / 8] | bit);
}

bool csti_stored_fill(csti_stored_reader *reader, csti_block *block) {
    const uint32_t values = reader_values_bytes(reader);

    assert(block->rows_count == 0);
    assert(block->sources_count == reader->sources_count);
    while (reader->at < reader->count && block->rows_count < block->rows_capacity) {
        const uint8_t *bytes = reader->bytes + reader->at;
        const uint32_t row = block->rows_count;
        const uint32_t used = block->key_bytes ? row * block->key_bytes : block->key_offsets[row];
        row_head head;

        memcpy(&head, bytes, sizeof head);
        if (head.key_bytes > block->keys_capacity - used) break;
        bytes += sizeof head;
        memcpy(block->keys + used, bytes, head.key_bytes);
        if (block->key_offsets) block->key_offsets[row + 1] = used + head.key_bytes;
        block->hashes[row] = head.hash;
        bytes += head.key_bytes;
        for (uint32_t s = 0; s < block->sources_count; s++) {
            const uint32_t width = width_of(block->sources[s].type);

            source_put(&block->sources[s], row, width, head.nulls >> s & 1, bytes);
            bytes += width;
        }
        block->rows_count++;
        block->bytes += sizeof head.hash + head.key_bytes + values;
        reader->at += aligned(sizeof head + head.key_bytes + values);
    }
    return block->rows_count > 0;
}
