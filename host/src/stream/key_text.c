#include "stream/key_text.h"

#include "codec/types.h"
#include "stream/value_text.h"

#include <stdlib.h>
#include <string.h>

cst_code csti_key_fields_read(const cst_schema *schema, const csti_csv_field *fields, size_t count,
                              uint8_t *scratch, size_t scratch_bytes, cst_value *values_out,
                              cst_err *err) {
    size_t used = 0;

    for (size_t c = 0; c < count; c++) {
        const cst_column *column = &schema->columns[c];
        const csti_csv_field *field = &fields[c];
        cst_code code;

        values_out[c] = (cst_value){.is_null = true};
        if (field->bytes == 0 && !field->quoted && column->nullable) continue;
        code = csti_value_read(column, field->text, field->bytes, scratch + used,
                               scratch_bytes - used, &values_out[c], err);
        if (code != CST_OK) return cst_fail_at(err, code, "column %zu", c + 1);
        if (values_out[c].bytes == scratch + used) used += values_out[c].bytes_count;
    }
    return CST_OK;
}

// `schema` has as many columns as the record has fields.
static cst_code fields_encode(const cst_schema *schema, const csti_csv *csv, csti_key_extent extent,
                              csti_buffer *out, cst_err *err) {
    const uint32_t last = schema->columns_count - 1;
    const size_t scratch_bytes =
        schema->columns_count * CST_FIXED_BYTES_MAX + csv->record_bytes / 2 + 1;
    const uint32_t key_bytes_max = cst_schema_key_bytes_max(schema);
    uint8_t *scratch = malloc(scratch_bytes);
    cst_value values[CST_COLUMNS_MAX];
    uint32_t key_bytes = 0;
    cst_code code;

    if (!scratch) return cst_fail(err, CST_NO_MEMORY, "%zu bytes of a key's text", scratch_bytes);
    code = csti_key_fields_read(schema, csv->fields, schema->columns_count, scratch, scratch_bytes,
                                values, err);
    if (code == CST_OK) code = csti_buffer_reserve(out, key_bytes_max, err);
    if (code == CST_OK)
        code = cst_key_encode(schema, values, out->bytes + out->used_bytes, key_bytes_max,
                              &key_bytes, err);
    if (code == CST_OK) {
        // How a text ends is not what longer ones begin with.
        if (extent == CSTI_KEY_BEGINNING && !values[last].is_null &&
            csti_type_is_variable(schema->columns[last].type))
            key_bytes -= CSTI_KEY_END_BYTES;
        out->used_bytes += key_bytes;
    }
    free(scratch);
    return code;
}

static cst_code record_encode(const cst_schema *schema, csti_csv *csv, csti_key_extent extent,
                              csti_buffer *out, cst_err *err) {
    cst_schema first = *schema;
    const size_t used = out->used_bytes;
    bool found = false;
    cst_code code = csti_csv_next(csv, &found, err);

    if (code != CST_OK) return code;
    if (csv->fields_count > schema->columns_count ||
        (extent == CSTI_KEY_WHOLE && csv->fields_count < schema->columns_count))
        return cst_fail(err, CST_SCHEMA_MISMATCH, "%zu fields for a key of %u columns",
                        csv->fields_count, schema->columns_count);
    first.columns_count = (uint32_t)csv->fields_count;
    code = fields_encode(&first, csv, extent, out, err);
    if (code == CST_OK) code = csti_csv_next(csv, &found, err);
    if (code == CST_OK && found) code = cst_fail(err, CST_PARSE, "it is more than one line");
    if (code != CST_OK) out->used_bytes = used;
    return code;
}

cst_code csti_key_text_encode(const cst_schema *schema, const char *text, csti_key_extent extent,
                              csti_buffer *out, cst_err *err) {
    const size_t bytes = strlen(text);
    char *line = malloc(bytes + 1); // with an LF: a stream of no bytes cannot be opened
    FILE *in = NULL;
    csti_csv csv;
    cst_code code;

    if (!line) return cst_fail(err, CST_NO_MEMORY, "%zu bytes of a key's text", bytes);
    memcpy(line, text, bytes);
    line[bytes] = '\n';
    in = fmemopen(line, bytes + 1, "r");
    if (!in) {
        code = cst_fail(err, CST_NO_MEMORY, "%zu bytes of a key's text", bytes);
        goto done;
    }
    csti_csv_open(&csv, in);
    code = record_encode(schema, &csv, extent, out, err);
    csti_csv_close(&csv);
    (void)fclose(in); // it was only read
done:
    free(line);
    return code;
}
