#include "stream/outbox.h"

#include "table/image.h"
#include "table/program.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 256 << 10,
    CHUNKS_KEPT_MAX = 256, // of those that were freed
};

struct csti_outbox_chunk {
    csti_outbox_chunk *next;
    size_t used;
    _Alignas(64) uint8_t bytes[CHUNK_BYTES];
};

void csti_outbox_open(csti_outbox *outbox, const cst_table_options *table) {
    assert(table->layout == CST_TABLE_INLINE);
    *outbox = (csti_outbox){
        .record_bytes =
            csti_entry_bytes(table->layout, table->key_bytes, table->program.value_bytes),
        .value_offset = (uint32_t)sizeof(csti_record) + ((table->key_bytes + 7) & ~7u),
    };
}

static csti_outbox_chunk *chunk_take(csti_outbox *outbox) {
    csti_outbox_chunk *chunk = outbox->kept;

    if (chunk) {
        outbox->kept = chunk->next;
        outbox->kept_count--;
    } else {
        chunk = aligned_alloc(_Alignof(csti_outbox_chunk), sizeof *chunk);
        if (!chunk) return NULL;
    }
    chunk->next = NULL;
    chunk->used = 0;
    return chunk;
}

void csti_outbox_close(csti_outbox *outbox) {
    csti_outbox_free(outbox, csti_outbox_cut(outbox));
    while (outbox->kept) free(chunk_take(outbox));
}

void csti_outbox_head_put(const csti_outbox *outbox, uint32_t flags, const cst_row_ref *row,
                          uint8_t *record) {
    const csti_record head = {.hash = row->hash,
                              .key_bytes = (uint16_t)row->key_bytes,
                              .units = (uint16_t)(outbox->record_bytes / CSTI_LOG_UNIT),
                              .value_flags = flags | row->value_bytes};

    memcpy(record, &head, sizeof head);
}

cst_code csti_outbox_take(csti_outbox *outbox, uint32_t flags, const cst_row_ref *row,
                          uint8_t **out, cst_err *err) {
    const uint32_t bytes = outbox->record_bytes;
    csti_outbox_chunk *chunk = outbox->last;

    if (!chunk || chunk->used + bytes > CHUNK_BYTES) {
        chunk = chunk_take(outbox);
        if (!chunk) return cst_fail(err, CST_NO_MEMORY, "lines of closed windows");
        if (outbox->last)
            outbox->last->next = chunk;
        else
            outbox->first = chunk;
        outbox->last = chunk;
        outbox->bytes += CHUNK_BYTES;
    }
    *out = chunk->bytes + chunk->used;
    csti_outbox_head_put(outbox, flags, row, *out);
    chunk->used += bytes;
    return CST_OK;
}

// Key and value stand in a slot as they stand in a record, with the same zeros.
cst_code csti_outbox_put_slots(csti_outbox *outbox, const cst_row_ref *rows, uint32_t count,
                               cst_err *err) {
    const size_t bytes = outbox->record_bytes - sizeof(csti_record);

    for (uint32_t r = 0; r < count; r++) {
        uint8_t *to = NULL;
        const cst_code code = csti_outbox_take(outbox, CSTI_RECORD_TOMBSTONE, &rows[r], &to, err);

        if (code != CST_OK) return code;
        assert(rows[r].value == rows[r].key + outbox->value_offset - sizeof(csti_record));
        memcpy(to + sizeof(csti_record), rows[r].key, bytes);
    }
    return CST_OK;
}

cst_code csti_outbox_put_late(csti_outbox *outbox, const cst_program *program, const cst_rows *rows,
                              uint32_t row, cst_bytes key, uint64_t hash, cst_err *err) {
    const cst_row_ref head = {.hash = hash,
                              .key_bytes = (uint32_t)key.count,
                              .value_bytes = program->value_bytes};
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX] = {0};
    uint8_t *to = NULL;
    cst_code code = csti_program_fold(program, rows, row, true, value);

    if (code != CST_OK) return cst_fail(err, code, "a late row");
    code = csti_outbox_take(outbox, CSTI_RECORD_GAP, &head, &to, err);
    if (code != CST_OK) return code;
    memset(to + sizeof(csti_record), 0, outbox->record_bytes - sizeof(csti_record));
    memcpy(to + sizeof(csti_record), key.data, key.count);
    memcpy(to + outbox->value_offset, value, program->value_bytes);
    return CST_OK;
}

csti_outbox_chunk *csti_outbox_cut(csti_outbox *outbox) {
    csti_outbox_chunk *first = outbox->first;

    outbox->first = outbox->last = NULL;
    return first;
}

size_t csti_outbox_ranges_count(const csti_outbox_chunk *first) {
    size_t count = 0;

    for (const csti_outbox_chunk *chunk = first; chunk; chunk = chunk->next) count++;
    return count;
}

void csti_outbox_ranges(const csti_outbox_chunk *first, cst_bytes *ranges) {
    for (const csti_outbox_chunk *chunk = first; chunk; chunk = chunk->next)
        *ranges++ = (cst_bytes){chunk->bytes, chunk->used};
}

void csti_outbox_free(csti_outbox *outbox, csti_outbox_chunk *first) {
    for (csti_outbox_chunk *next = first; next;) {
        csti_outbox_chunk *chunk = next;

        next = chunk->next;
        outbox->bytes -= CHUNK_BYTES;
        if (outbox->kept_count == CHUNKS_KEPT_MAX) {
            free(chunk);
            continue;
        }
        chunk->next = outbox->kept;
        outbox->kept = chunk;
        outbox->kept_count++;
    }
}
