#include "stream/source_kind.h"

#include <string.h>

cst_code csti_source_open(const csti_source_options *options, csti_source **out, cst_err *err) {
    csti_source_options filled = *options;

    if (filled.batch_rows == 0) filled.batch_rows = CSTI_SOURCE_BATCH_ROWS;
    if (filled.batch_rows > CSTI_SOURCE_BATCH_ROWS_MAX)
        return cst_fail(err, CST_USAGE, "source: batches of %u rows: at most %d", filled.batch_rows,
                        CSTI_SOURCE_BATCH_ROWS_MAX);
    switch (filled.kind) {
    case CSTI_SOURCE_GENERATOR:
        return csti_generator_source_open(&filled, out, err);
    case CSTI_SOURCE_FILE:
        return csti_file_source_open(&filled, out, err);
    case CSTI_SOURCE_TCP:
        return csti_tcp_source_open(&filled, out, err);
    }
    return cst_fail(err, CST_USAGE, "source: no kind %d", (int)filled.kind);
}

cst_code csti_source_give(csti_source *source, cst_code code, csti_source **out) {
    if (code == CST_OK)
        *out = source;
    else
        csti_source_close(source);
    return code;
}

void csti_source_close(csti_source *source) {
    if (source) source->ops->close(source);
}

const csti_row_shape *csti_source_shape(const csti_source *source) {
    return &source->shape;
}

uint32_t csti_source_splits_count(const csti_source *source) {
    return source->splits_count;
}

const char *csti_source_split_name(const csti_source *source, uint32_t index) {
    return index < source->splits_count ? source->names[index] : NULL;
}

cst_code csti_split_open(csti_source *source, const char *name, const char *offset,
                         csti_split **out, cst_err *err) {
    for (uint32_t i = 0; i < source->splits_count; i++) {
        cst_code code;

        if (strcmp(source->names[i], name) != 0) continue;
        code = source->ops->split_open(source, i, offset, out, err);
        return code == CST_OK ? code : cst_fail_at(err, code, "source split %s", name);
    }
    if (offset)
        return cst_fail(err, CST_SOURCE_CHANGED,
                        "source split %s: it was read up to %s, and is gone. Restore it", name,
                        offset);
    return cst_fail(err, CST_NOT_FOUND, "source split %s: there is none", name);
}

void csti_split_close(csti_split *split) {
    if (split) split->source->ops->split_close(split);
}

cst_code csti_split_next(csti_split *split, uint32_t rows_max, cst_batch *out, bool *ended_out,
                         cst_err *err) {
    const uint32_t batch_rows = split->source->batch_rows;

    if (rows_max == 0 || rows_max > batch_rows) rows_max = batch_rows;
    return split->source->ops->split_next(split, rows_max, out, ended_out, err);
}

cst_code csti_split_row_fail(csti_split *split, uint32_t row, cst_code code, cst_err *err) {
    const csti_source *source = split->source;

    return source->row_fail ? source->row_fail(split, row, code, err) : code;
}

const char *csti_split_offset(csti_split *split) {
    return split->source->ops->split_offset(split);
}

cst_code csti_source_begin(csti_source *source, const csti_source_life *life, cst_err *err) {
    return source->ops->begin ? source->ops->begin(source, life, err) : CST_OK;
}

cst_code csti_source_serve(csti_source *source, cst_err *err) {
    return source->ops->serve ? source->ops->serve(source, err) : CST_OK;
}

const char *csti_source_address(const csti_source *source) {
    return source->ops->address ? source->ops->address(source) : NULL;
}

void csti_source_committed(csti_source *source, const char *split, const char *offset) {
    if (source->ops->committed) source->ops->committed(source, split, offset);
}

void csti_source_truncate(csti_source *source) {
    if (source->ops->truncate) source->ops->truncate(source);
}

bool csti_source_waits(const csti_source *source, uint64_t now_ns) {
    return source->ops->waits && source->ops->waits(source, now_ns);
}

void csti_split_stats_read(const csti_split *split, csti_split_stats *out) {
    split->source->ops->split_stats(split, out);
}
