// source_kind.h: what a kind of source brings, for source.c and the kinds alone.
//
//   csti_source_open ──► csti_generator_source_open | csti_file_source_open | csti_tcp_source_open
//                                  └─ {csti_source, own fields}: ops, shape, names of the splits
//
// Thread     as in source.h: a source does not change once it is open.
// Owner      a kind allocates its sources and splits, with calloc; `close` frees them whole.
#ifndef CST_STREAM_SOURCE_KIND_H
#define CST_STREAM_SOURCE_KIND_H

#include "stream/source.h"

typedef struct csti_source_ops {
    void (*close)(csti_source *source);
    cst_code (*split_open)(csti_source *source, uint32_t index, const char *offset,
                           csti_split **out, cst_err *err);
    void (*split_close)(csti_split *split);
    // 1 <= rows_max <= batch_rows
    cst_code (*split_next)(csti_split *split, uint32_t rows_max, cst_batch *out, bool *ended_out,
                           cst_err *err);
    const char *(*split_offset)(csti_split *split);
    void (*split_stats)(const csti_split *split, csti_split_stats *out);
    // What rows are pushed to; NULL where it has nothing to do: see source.h.
    cst_code (*begin)(csti_source *source, const csti_source_life *life, cst_err *err);
    cst_code (*serve)(csti_source *source, cst_err *err);
    void (*committed)(csti_source *source, const char *split, const char *offset);
    void (*truncate)(csti_source *source);
    bool (*waits)(const csti_source *source, uint64_t now_ns);
    const char *(*address)(const csti_source *source);
} csti_source_ops;

struct csti_source { // first in a kind's own struct
    const csti_source_ops *ops;
    csti_row_shape shape;
    uint32_t batch_rows;
    uint32_t splits_count;
    char (*names)[CSTI_SPLIT_NAME_BYTES]; // sorted
    // csti_split_row_fail; NULL: its rows have no places
    cst_code (*row_fail)(csti_split *split, uint32_t row, cst_code code, cst_err *err);
};

struct csti_split { // first in a kind's own struct
    csti_source *source;
    uint32_t index;
};

// What every kind's source begins with.
static inline csti_source csti_source_base(const csti_source_options *options,
                                           const csti_source_ops *ops,
                                           cst_code (*row_fail)(csti_split *split, uint32_t row,
                                                                cst_code code, cst_err *err)) {
    return (csti_source){.ops = ops,
                         .row_fail = row_fail,
                         .shape = options->shape,
                         .batch_rows = options->batch_rows};
}
// The end of an open: the source is given away, or, with an error, closed.
CST_CHECK_RESULT cst_code csti_source_give(csti_source *source, cst_code code, csti_source **out);

CST_CHECK_RESULT cst_code csti_generator_source_open(const csti_source_options *options,
                                                     csti_source **out, cst_err *err);
CST_CHECK_RESULT cst_code csti_file_source_open(const csti_source_options *options,
                                                csti_source **out, cst_err *err);
CST_CHECK_RESULT cst_code csti_tcp_source_open(const csti_source_options *options,
                                               csti_source **out, cst_err *err);

#endif
