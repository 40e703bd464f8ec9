// stored_rows_fuzz.c: arbitrary bytes as stored rows.
//
// The first byte says whether checksums are made right before reading (bit 0: so that the rows are
// reached). What is accepted fits blocks of its own shape, and all of its rows come out of it.
#include "base/crc32c.h"
#include "fuzz/fuzz.h"
#include "stream/stored_rows.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 4, OBJECT_BYTES_MAX = 1 << 20 };

static const cst_hash_key HASH_KEY = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static void require(bool condition) {
    if (!condition) abort();
}

static void checksums_mend(uint8_t *bytes, size_t count) {
    const uint32_t rows =
        csti_crc32c(0, bytes + CSTI_STORED_HEADER_BYTES, count - CSTI_STORED_HEADER_BYTES);

    memcpy(bytes + 120, &rows, sizeof rows);
    const uint32_t head = csti_crc32c(0, bytes, 124);
    memcpy(bytes + 124, &head, sizeof head);
}

static csti_block_shape shape_of(const csti_stored_reader *reader) {
    csti_block_shape shape = {.rows_capacity = BLOCK_ROWS,
                              .key_bytes = reader->key_bytes,
                              .key_bytes_max = reader->key_bytes_max,
                              .sources_count = reader->sources_count};

    for (uint32_t s = 0; s < reader->sources_count; s++) {
        shape.source_types[s] = (cst_type)reader->types[s];
        shape.source_nullable[s] = reader->nullable >> s & 1;
    }
    return shape;
}

static void use(csti_stored_reader *reader) {
    const csti_block_shape shape = shape_of(reader);
    csti_channel *channel = NULL;
    csti_block *block;
    uint64_t rows = 0;

    require(csti_stored_fits(reader, &shape, NULL) == CST_OK);
    require(csti_channel_open(&shape, 1, -1, &channel, NULL) == CST_OK);
    block = csti_channel_block(channel);
    for (; csti_stored_fill(reader, block); block->rows_count = 0) rows += block->rows_count;
    require(rows == reader->rows_count);
    csti_channel_recycle(channel, block);
    csti_channel_close(channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_count) {
    csti_stored_expect expect = {.hash_key = &HASH_KEY, .group_to = 4096};
    const size_t count = input_count > 0 ? input_count - 1 : 0;
    csti_stored_reader reader;
    cst_err err = {.code = CST_OK};
    uint8_t *bytes;

    if (input_count == 0 || count > OBJECT_BYTES_MAX) return 0;
    bytes = malloc(count + 1);
    require(bytes);
    memcpy(bytes, input + 1, count);
    if (count >= CSTI_STORED_HEADER_BYTES) {
        if (input[0] & 1) checksums_mend(bytes, count);
        memcpy(&expect.table_id, bytes + 16, sizeof expect.table_id);
        memcpy(&expect.epoch, bytes + 24, sizeof expect.epoch);
        memcpy(&expect.schema_hash, bytes + 32, sizeof expect.schema_hash);
        memcpy(&expect.program_hash, bytes + 40, sizeof expect.program_hash);
        memcpy(&expect.rows_count, bytes + 56, sizeof expect.rows_count);
    }
    expect.bytes = count;
    const cst_code code = csti_stored_open("input", bytes, count, &expect, &reader, &err);
    require(code == err.code);
    if (code == CST_OK) use(&reader);
    free(bytes);
    return 0;
}
