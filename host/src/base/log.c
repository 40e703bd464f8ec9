#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define US_PER_SECOND INT64_C(1000000)
static const char cut_mark[] = " cut=true";

static const char *const level_names[] = {[CSTI_LOG_DEBUG] = "debug",
                                          [CSTI_LOG_INFO] = "info",
                                          [CSTI_LOG_WARN] = "warn",
                                          [CSTI_LOG_ERROR] = "error",
                                          [CSTI_LOG_OFF] = "off"};

const char *csti_log_level_name(csti_log_level level) {
    return level_names[level];
}

bool csti_log_level_parse(const char *text, csti_log_level *out) {
    for (int level = CSTI_LOG_DEBUG; level <= CSTI_LOG_OFF; level++) {
        if (strcmp(text, level_names[level]) != 0) continue;
        *out = (csti_log_level)level;
        return true;
    }
    return false;
}

void csti_logger_init(csti_logger *logger, const csti_clock *clock, csti_log_level level_min,
                      void (*sink)(void *context, const char *line, size_t bytes), void *context) {
    assert(clock && sink);
    logger->clock = clock;
    logger->sink = sink;
    logger->context = context;
    atomic_init(&logger->level_min, level_min);
}

void csti_log_to_file(void *log_file, const char *line, size_t bytes) {
    csti_log_file *to = log_file;

    if (fwrite(line, 1, bytes, to->file) != bytes || fflush(to->file) != 0)
        (void)atomic_fetch_add_explicit(&to->lost_count, 1, memory_order_relaxed);
}

// A line under construction. Once `full`, nothing more is added.
typedef struct line {
    size_t bytes;
    bool full;
    char text[CSTI_LOG_LINE_BYTES];
} line;

// The cut mark and the newline always have room behind this.
enum { LINE_ROOM_BYTES = CSTI_LOG_LINE_BYTES - (int)sizeof cut_mark };

static void add(line *to, const char *text, size_t bytes) {
    if (to->full || bytes > LINE_ROOM_BYTES - to->bytes) {
        to->full = true;
        return;
    }
    memcpy(to->text + to->bytes, text, bytes);
    to->bytes += bytes;
}

static void add_text(line *to, const char *text) {
    add(to, text, strlen(text));
}

static bool is_bare(const char *text) {
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-_.:/+@%";
    return *text != '\0' && strspn(text, bare) == strlen(text);
}

static void add_quoted(line *to, const char *text) {
    add_text(to, "\"");
    // Ends with the text or with the line.
    for (; *text != '\0' && !to->full; text++) {
        const unsigned char byte = (unsigned char)*text;
        char escaped[5];

        switch (byte) {
        case '"':
            add_text(to, "\\\"");
            continue;
        case '\\':
            add_text(to, "\\\\");
            continue;
        case '\n':
            add_text(to, "\\n");
            continue;
        case '\r':
            add_text(to, "\\r");
            continue;
        case '\t':
            add_text(to, "\\t");
            continue;
        default:
            break;
        }
        if (byte >= 0x20 && byte != 0x7f) { // UTF-8 passes as it is
            add(to, text, 1);
            continue;
        }
        (void)snprintf(escaped, sizeof escaped, "\\x%02x", byte);
        add_text(to, escaped);
    }
    add_text(to, "\"");
}

static void add_value(line *to, const csti_log_field *field) {
    char number[40];

    switch (field->type) {
    case CSTI_LOG_TEXT:
        if (is_bare(field->value.text))
            add_text(to, field->value.text);
        else
            add_quoted(to, field->value.text);
        return;
    case CSTI_LOG_BOOL:
        add_text(to, field->value.boolean ? "true" : "false");
        return;
    case CSTI_LOG_U64:
        (void)snprintf(number, sizeof number, "%" PRIu64, field->value.u64);
        break;
    case CSTI_LOG_I64:
        (void)snprintf(number, sizeof number, "%" PRId64, field->value.i64);
        break;
    case CSTI_LOG_F64:
        (void)snprintf(number, sizeof number, "%.9g", field->value.f64);
        break;
    }
    add_text(to, number);
}

// A field is in the line whole or not at all.
static void add_field(line *to, const csti_log_field *field) {
    const size_t before_bytes = to->bytes;

    if (!field->key || to->full) return;
    add_text(to, " ");
    add_text(to, field->key);
    add_text(to, "=");
    add_value(to, field);
    if (to->full) to->bytes = before_bytes;
}

static void add_time(line *to, int64_t wall_us) {
    int64_t seconds = wall_us / US_PER_SECOND;
    int64_t us = wall_us % US_PER_SECOND;
    char text[64];
    struct tm parts;
    time_t at;

    if (us < 0) { // before 1970
        us += US_PER_SECOND;
        seconds--;
    }
    at = (time_t)seconds;
    if (!gmtime_r(&at, &parts)) parts = (struct tm){0}; // a year beyond int
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", parts.tm_year + 1900,
                   parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                   (int)us);
    add_text(to, text);
}

// Whether this line of the site may pass; if so, *suppressed_out is what was left out before it.
// Relaxed throughout: two threads that meet at the turn of a second may let a few more through,
// and each left-out line is reported once.
static bool may_pass(csti_log_site *site, uint64_t per_second, uint64_t now_ns,
                     uint64_t *suppressed_out) {
    const uint64_t second = now_ns / NS_PER_SECOND + 1;
    const uint64_t before = atomic_exchange_explicit(&site->second, second, memory_order_relaxed);

    if (before != second) atomic_store_explicit(&site->passed_count, 0, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&site->passed_count, 1, memory_order_relaxed) >= per_second) {
        (void)atomic_fetch_add_explicit(&site->suppressed_count, 1, memory_order_relaxed);
        return false;
    }
    *suppressed_out = atomic_exchange_explicit(&site->suppressed_count, 0, memory_order_relaxed);
    return true;
}

void csti_log_write(const csti_logger *logger, csti_log_level level, csti_log_site *site,
                    uint64_t per_second, const char *event, const csti_log_field *fields,
                    size_t fields_count) {
    line made = {0};
    uint64_t suppressed_count = 0;

    assert(fields_count <= CSTI_LOG_FIELDS_MAX);
    if (site && !may_pass(site, per_second, csti_clock_now_ns(logger->clock), &suppressed_count))
        return;
    add_time(&made, csti_clock_wall_us(logger->clock));
    add_text(&made, " ");
    add_text(&made, level_names[level]);
    add_text(&made, " ");
    add_text(&made, event);
    if (suppressed_count > 0) {
        const csti_log_field suppressed = csti_log_u64("suppressed", suppressed_count);
        add_field(&made, &suppressed);
    }
    for (size_t i = 0; i < fields_count; i++) add_field(&made, &fields[i]);
    if (made.full) {
        memcpy(made.text + made.bytes, cut_mark, sizeof cut_mark - 1);
        made.bytes += sizeof cut_mark - 1;
    }
    made.text[made.bytes++] = '\n';
    assert(made.bytes <= sizeof made.text);
    logger->sink(logger->context, made.text, made.bytes);
}
