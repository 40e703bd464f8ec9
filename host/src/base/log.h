// log.h: one line an event, key=value, to a sink that is passed in.
//
//   CSTI_LOG(logger, CSTI_LOG_INFO, "table_grown", csti_log_text("table", name),
//            csti_log_u64("segments", count));
//
//   2026-11-21T04:12:09.123456Z info table_grown table="bids today" segments=12
//   ^ the clock's wall_us       ^ level ^ event   ^ fields, in order
//
// A value is bare if it is made of letters, digits and -_.:/+@%, and otherwise in quotes, where
// \" \\ \n \r \t and \xNN stand for what a line cannot hold: a line is one event, whatever is
// logged. A line has at most CSTI_LOG_LINE_BYTES; one that would be longer ends in " cut=true"
// after its last whole field.
//
// CSTI_LOG_LIMITED lets `per_second` lines of its place in the code through in each second; the
// next line after that says how many were left out: suppressed=N.
//
// Promises   a sink gets whole lines with their newline, one a call; a level that is off costs a
//            load and a branch, and its arguments are not evaluated.
// Thread     any, if the sink is (the FILE one is: stdio locks).
// Ring       1, 2. Never 0.
// Owner      the caller owns the logger and what its sink writes to. NULL is a logger that is off.
// Errors     none: a full disk must not stop the program. Lines that the FILE sink could not write
//            are counted in csti_log_file.lost_count.
#ifndef CST_BASE_LOG_H
#define CST_BASE_LOG_H

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CSTI_LOG_LINE_BYTES = 1024, CSTI_LOG_FIELDS_MAX = 32 };

typedef enum csti_log_level {
    CSTI_LOG_DEBUG,
    CSTI_LOG_INFO,
    CSTI_LOG_WARN,
    CSTI_LOG_ERROR,
    CSTI_LOG_OFF,
} csti_log_level;

typedef struct csti_logger {
    const csti_clock *clock;
    void (*sink)(void *context, const char *line, size_t bytes); // not zero-terminated
    void *context;
    _Atomic csti_log_level level_min; // may be changed at any time by any thread
} csti_logger;

typedef struct csti_log_file {
    FILE *file;
    _Atomic uint64_t lost_count;
} csti_log_file;

void csti_logger_init(csti_logger *logger, const csti_clock *clock, csti_log_level level_min,
                      void (*sink)(void *context, const char *line, size_t bytes), void *context);
// A sink; its context is a csti_log_file.
void csti_log_to_file(void *log_file, const char *line, size_t bytes);

const char *csti_log_level_name(csti_log_level level);
// "debug", "info", "warn", "error" or "off"; false: none of them, *out is unchanged.
bool csti_log_level_parse(const char *text, csti_log_level *out);

typedef struct csti_log_field {
    const char *key; // NULL: no field
    enum { CSTI_LOG_TEXT, CSTI_LOG_U64, CSTI_LOG_I64, CSTI_LOG_F64, CSTI_LOG_BOOL } type;
    union {
        const char *text;
        uint64_t u64;
        int64_t i64;
        double f64;
        bool boolean;
    } value;
} csti_log_field;

// The text is borrowed until the line is written. NULL is written as "".
static inline csti_log_field csti_log_text(const char *key, const char *text) {
    return (csti_log_field){.key = key, .type = CSTI_LOG_TEXT, .value.text = text ? text : ""};
}
static inline csti_log_field csti_log_u64(const char *key, uint64_t value) {
    return (csti_log_field){.key = key, .type = CSTI_LOG_U64, .value.u64 = value};
}
static inline csti_log_field csti_log_i64(const char *key, int64_t value) {
    return (csti_log_field){.key = key, .type = CSTI_LOG_I64, .value.i64 = value};
}
static inline csti_log_field csti_log_f64(const char *key, double value) {
    return (csti_log_field){.key = key, .type = CSTI_LOG_F64, .value.f64 = value};
}
static inline csti_log_field csti_log_bool(const char *key, bool value) {
    return (csti_log_field){.key = key, .type = CSTI_LOG_BOOL, .value.boolean = value};
}

// Of one place in the code: how many lines it has let through in the second it is in.
typedef struct csti_log_site {
    _Atomic uint64_t second; // of now_ns, plus 1; 0: none yet
    _Atomic uint64_t passed_count;
    _Atomic uint64_t suppressed_count;
} csti_log_site;

static inline bool csti_log_is_on(const csti_logger *logger, csti_log_level level) {
    // Relaxed: a change of level orders nothing.
    return logger && level >= atomic_load_explicit(&logger->level_min, memory_order_relaxed) &&
           level < CSTI_LOG_OFF;
}

// What the macros call. A site of NULL has no limit.
void csti_log_write(const csti_logger *logger, csti_log_level level, csti_log_site *site,
                    uint64_t per_second, const char *event, const csti_log_field *fields,
                    size_t fields_count);

#define CSTI_LOG_FIELDS(...)                                                                       \
    ((const csti_log_field[]){__VA_ARGS__}),                                                       \
        (sizeof((const csti_log_field[]){__VA_ARGS__}) / sizeof(csti_log_field))

// CSTI_LOG(logger, level, event, field, ...): at least one field.
#define CSTI_LOG(logger, level, event, ...)                                                        \
    do {                                                                                           \
        if (csti_log_is_on((logger), (level)))                                                     \
            csti_log_write((logger), (level), NULL, 0, (event), CSTI_LOG_FIELDS(__VA_ARGS__));     \
    } while (0)

#define CSTI_LOG_LIMITED(logger, level, per_second, event, ...)                                    \
    do {                                                                                           \
        static csti_log_site csti_log_here;                                                        \
        if (csti_log_is_on((logger), (level)))                                                     \
            csti_log_write((logger), (level), &csti_log_here, (per_second), (event),               \
                           CSTI_LOG_FIELDS(__VA_ARGS__));                                          \
    } while (0)

#endif
