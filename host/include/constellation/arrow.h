// arrow.h: batches from and to Arrow's C data interface, without a copy where that can be.
//
//   producer --ArrowArray--> cst_arrow_import --> cst_arrow_batch { cst_batch, owns the array }
//   cst_batch --> cst_arrow_export --> ArrowSchema + ArrowArray --> consumer, which releases them
//
//   column       Arrow format        column          Arrow format
//   u8..u64      C S I L             date            tdD
//   i8..i64      c s i l             timestamp       tsu:ZONE (imported: any or none; exported:
//   UTC) f32, f64     f g                 decimal128(s)   d:P,s with P up to 38 (exported: 38) bool
//   b                   string, binary  u z uuid         w:16, extension arrow.uuid u128, i128
//   w:16, extension constellation.u128, constellation.i128: little-endian bytes fixed(n)     w:n
//
// A column of 16 bytes without an extension name is taken as the schema says. A time zone is only
// how a timestamp is shown; one without a zone is taken as UTC. Other types (large strings, views,
// dictionaries, other time units) are CST_UNSUPPORTED, with the cast that helps.
//
// What is trusted: Arrow's buffers carry no sizes. The producer is believed that each buffer is as
// long as format, length and offset say, that the last offset of a string column lies inside its
// bytes, and that format, metadata and pointers point at what they say. All else is checked: NULL
// pointers, released structs, counts of buffers and children, negative and overflowing lengths and
// offsets, every string offset, and the values, by cst_batch_check.
//
// Promises   an import moves the array only on success. Column names are ignored, and exported as
//            c0, c1, ... What is copied on import: bools (bits to bytes), and null bitmaps that do
//            not start at a byte.
// Thread     values: any thread, one at a time.
// Ring       1: allocates.
#ifndef CONSTELLATION_ARROW_H
#define CONSTELLATION_ARROW_H

#include <constellation/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

// The two structs as https://arrow.apache.org/docs/format/CDataInterface.html gives them.
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

// An imported array and the batch that points into it.
typedef struct cst_arrow_batch cst_arrow_batch;

// The schema that fits a struct's columns: ascending, nullable as flagged, nulls first.
// CST_UNSUPPORTED: a type that has no column; CST_USAGE: not a struct, or released.
CST_API CST_CHECK_RESULT cst_code cst_arrow_schema_import(const struct ArrowSchema *arrow,
                                                          cst_schema *out, cst_err *err);

// Takes a struct array over as a batch of `schema`, which must outlive it. On success the array is
// moved: its release callback is the batch's now, and array->release is NULL. On an error the
// caller keeps it. CST_SCHEMA_MISMATCH: the columns are not the schema's; CST_BATCH: the array
// contradicts itself; CST_LIMIT: too many rows; and those of cst_batch_check.
CST_API CST_CHECK_RESULT cst_code cst_arrow_import(const struct ArrowSchema *arrow_schema,
                                                   struct ArrowArray *array,
                                                   const cst_schema *schema, cst_arrow_batch **out,
                                                   cst_err *err);
// Valid until the free. Its ops are empty: every row is an upsert.
CST_API const cst_batch *cst_arrow_batch_get(const cst_arrow_batch *imported);
// Releases the array. NULL is allowed.
CST_API void cst_arrow_batch_free(cst_arrow_batch *imported);

// Writes a struct schema, or a copy of a checked batch as a struct array; the consumer calls
// release. Ops, directions and the place of nulls have no counterpart and are left out.
CST_API CST_CHECK_RESULT cst_code cst_arrow_schema_export(const cst_schema *schema,
                                                          struct ArrowSchema *out, cst_err *err);
CST_API CST_CHECK_RESULT cst_code cst_arrow_export(const cst_batch *batch, struct ArrowArray *out,
                                                   cst_err *err);

#ifdef __cplusplus
}
#endif
#endif
