#include "state/record_out.h"

#include <stdlib.h>

cst_code csti_record_out_open(csti_record_out *out, cst_segment_writer *writer, cst_err *err) {
    *out = (csti_record_out){.writer = writer, .buffer = malloc(CSTI_RECORD_OUT_BYTES)};
    if (!out->buffer) return cst_fail(err, CST_NO_MEMORY, "segment: buffer");
    return CST_OK;
}

cst_code csti_record_out_flush(csti_record_out *out, cst_err *err) {
    const cst_code code =
        cst_segment_writer_append(out->writer, out->part, out->buffer, out->used, err);

    out->used = 0;
    return code;
}

cst_code csti_record_out_part(csti_record_out *out, uint32_t part, const cst_segment_part *shape,
                              cst_err *err) {
    const cst_code code = csti_record_out_flush(out, err);

    out->part = part;
    out->shape = csti_record_shape_of(shape);
    return code;
}

cst_code csti_record_out_row(csti_record_out *out, const cst_row_ref *row, cst_err *err) {
    csti_record head = {
        .hash = row->hash,
        .key_bytes = (uint16_t)row->key_bytes,
        .value_flags = CSTI_RECORD_PRESENT | row->value_bytes,
    };
    const uint32_t value_offset = csti_record_value_offset(&out->shape, head);
    const uint32_t record_bytes =
        (value_offset + row->value_bytes + CSTI_LOG_UNIT - 1) & ~(CSTI_LOG_UNIT - 1u);
    uint8_t *at;

    if (out->used + record_bytes > CSTI_RECORD_OUT_BYTES) {
        const cst_code code = csti_record_out_flush(out, err);

        if (code != CST_OK) return code;
    }
    head.units = (uint16_t)(record_bytes / CSTI_LOG_UNIT);
    at = out->buffer + out->used;
    memset(at, 0, record_bytes);
    memcpy(at, &head, sizeof head);
    if (row->key_bytes > 0) memcpy(at + sizeof head, row->key, row->key_bytes);
    if (row->value_bytes > 0) memcpy(at + value_offset, row->value, row->value_bytes);
    out->used += record_bytes;
    return CST_OK;
}

void csti_record_out_release(csti_record_out *out) {
    free(out->buffer);
    out->buffer = NULL;
}
