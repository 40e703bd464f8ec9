// config_keys.h: each key of a job file: what it takes, its default, its range, its sentence.
//
// One table is behind everything: reading, errors for what is unknown or out of range, and the
// tables of docs/jobs.md (`scripts/jobs-doc` writes them).
//
// Thread     constants.
// Ring       2.
#ifndef CST_SERVER_CONFIG_KEYS_H
#define CST_SERVER_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(enumerator, what docs and errors call it)
#define CSTI_KEY_KIND_MAP(X)                                                                       \
    X(TEXT, "text, as in \"bids\"")                                                                \
    X(NAME, "the name of a column, as in \"price\"")                                               \
    X(PATH, "a path, as in \"out/bids\"")                                                          \
    X(URI, "a name with its scheme, as in \"file:data\"")                                          \
    X(FLAG, "true or false")                                                                       \
    X(COUNT32, "a whole number")                                                                   \
    X(COUNT64, "a whole number")                                                                   \
    X(REAL, "a number")                                                                            \
    X(SIZE, "a size, as in \"4GiB\"")                                                              \
    X(DURATION, "a duration, as in \"500ms\"")                                                     \
    X(CHOICE, "a choice")                                                                          \
    X(SCALAR, "text, a number, true or false")                                                     \
    X(DECLARED, "a list of columns, as in [\"price u64\", \"at timestamp\"]")                      \
    X(NAMES, "a list of columns, as in [\"auction\", \"price\"]")                                  \
    X(KEYS, "a list of columns, as in [\"auction\", \"price desc\"]")                              \
    X(HOPPING, "a length and a hop, as in [\"1h\", \"1m\"]")                                       \
    X(EVERY, "a duration, a number of rows or \"auto\", as in \"1s\" or \"100_000 rows\"")         \
    X(FOLD, "\"auto\" or a number of checkpoints")                                                 \
    X(SYNC, "\"always\", or a duration, as in \"10ms\"")

typedef enum csti_key_kind {
#define CSTI_KEY_KIND_ENUM(name, text) CSTI_KEY_##name,
    CSTI_KEY_KIND_MAP(CSTI_KEY_KIND_ENUM)
#undef CSTI_KEY_KIND_ENUM
} csti_key_kind;

typedef struct csti_config_section {
    const char *name;
    bool list;     // [[name]]: any number of them, up to count_max
    bool required; // at least one
    uint32_t count_max;
    const char *about;
} csti_config_section;

typedef struct csti_config_key {
    const char *name;
    const char *section;
    csti_key_kind kind;
    bool required;
    // Into csti_job_config; a list's: into its element.
    size_t offset;
    // Numbers, sizes, durations (in microseconds): the range. CHOICE: min is the first one's
    // number.
    uint64_t min, max;
    const char *choices;  // CHOICE: "csv|ndjson"
    const char *fallback; // the default, as in the file but without quotes; NULL: none
    const char *only;     // the section's kinds that it belongs to: "file|tcp"; NULL: every
    const char *about;
} csti_config_key;

// What later versions have: refused by name, never passed over. NULL: any.
typedef struct csti_config_refusal {
    const char *section, *key, *value; // a value that ends in ':' stands for all that begin so
    const char *why;
} csti_config_refusal;

extern const csti_config_section csti_config_sections[];
extern const size_t csti_config_sections_count;
extern const csti_config_key csti_config_keys[];
extern const size_t csti_config_keys_count;
extern const csti_config_refusal csti_config_refusals[];
extern const size_t csti_config_refusals_count;

enum { CSTI_CONFIG_KEYS_MAX = 96 };

const char *csti_key_kind_text(csti_key_kind kind);

// The units that a SIZE, a DURATION or an EVERY (rows) is written in, smallest first.
typedef struct csti_unit {
    const char *name;
    uint64_t factor;
} csti_unit;

extern const csti_unit csti_size_units[];
extern const size_t csti_size_units_count;
extern const csti_unit csti_duration_units[];
extern const size_t csti_duration_units_count;

// The number in the largest unit that divides it: "4GiB", "500ms".
typedef struct csti_amount {
    char text[32];
} csti_amount;
csti_amount csti_amount_write(uint64_t number, const csti_unit *units, size_t units_count);

#endif
