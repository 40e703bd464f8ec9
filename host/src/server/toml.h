// toml.h: a TOML text as a tree of plain values, each with its place in the text.
//
//   [job]                          nodes   0 root ── 1 job ──┬─ 3 name    "bids"
//   name = "bids"                                            └─ 4 workers 2
//   workers = 2                              └──── 2 sink ──── 5 path    "out"
//   [sink]
//   path = "out"                   breadth first: a node's children stand in one run, in the
//                                  order of the text
//
// The parser is toml++ (docs/dependencies.md), behind this header.
//
// Promises   what TOML 1.0 refuses is refused: a key given twice, a wrong escape, bytes that are no
//            UTF-8. Only the first such place is named: nothing behind it can be trusted.
// Thread     one.
// Ring       2. No exception leaves the parser.
// Owner      nodes and text lie in the arena that was handed in.
// Errors     CONFIG: no TOML, and where; LIMIT: a bound below; NO_MEMORY.
#ifndef CST_SERVER_TOML_H
#define CST_SERVER_TOML_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CSTI_TOML_BYTES_MAX = 1 << 20,
    CSTI_TOML_LINE_BYTES_MAX = 1024, // it bounds the parts of a dotted key, thus the tree's depth
    CSTI_TOML_VALUES_NESTED_MAX = 8, // arrays and inline tables in each other
    CSTI_TOML_NODES_MAX = 8192,
};

typedef struct csti_place {
    uint32_t line, column; // from 1; 0: the text as a whole
} csti_place;

typedef enum csti_toml_kind {
    CSTI_TOML_TABLE = 1,
    CSTI_TOML_ARRAY,
    CSTI_TOML_TEXT,
    CSTI_TOML_INTEGER,
    CSTI_TOML_REAL,
    CSTI_TOML_FLAG,
    CSTI_TOML_TIME, // dates and times: their values are not kept
} csti_toml_kind;

typedef struct csti_toml_node {
    const char *key; // "" for the root and for elements of an array
    csti_toml_kind kind;
    csti_place at;       // of the key; of an element
    csti_place value_at; // of the value
    uint32_t first_child, children_count;
    union {
        const char *text; // with a NUL behind it and none inside
        int64_t integer;
        double real;
        bool flag;
    };
} csti_toml_node;

typedef struct csti_toml {
    const csti_toml_node *nodes; // [0]: the root, a table
    uint32_t nodes_count;
} csti_toml;

// *place_out (not NULL) is where an error is.
CST_CHECK_RESULT cst_code csti_toml_parse(const char *text, size_t bytes, csti_arena *arena,
                                          csti_toml *out, csti_place *place_out, cst_err *err);

#endif
