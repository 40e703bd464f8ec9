#include "base/metrics.h"

#include "base/arena.h"
#include "base/crc32c.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    METRIC_ALIGNMENT = 64,
    BIT_LENGTHS = 36,  // of values up to the last bound
    NUMBER_BYTES = 32, // as text
    CHAINS = 1024,     // of samples, by their labels
};
// Bounds the registry: buckets, names and labels of every metric at their longest.
#define ARENA_BYTES_MAX ((size_t)CSTI_METRICS_MAX * 4096)

#define PREFIX "constellation_"
#define COUNTER_SUFFIX "_total"

static const char *const kind_names[] = {"counter", "gauge", "histogram"};

// A value belongs to the first bucket whose bound it does not exceed.
static const uint64_t bounds[CSTI_METRIC_BUCKETS] = {
#define DECADE(unit) UINT64_C(unit), UINT64_C(unit) * 2, UINT64_C(unit) * 5
    DECADE(1),
    DECADE(10),
    DECADE(100),
    DECADE(1000),
    DECADE(10000),
    DECADE(100000),
    DECADE(1000000),
    DECADE(10000000),
    DECADE(100000000),
    DECADE(1000000000),
#undef DECADE
    UINT64_C(10000000000),
    UINT64_C(20000000000),
};

// The first bucket that a value of so many bits may belong to; it is that one or the next.
static const uint8_t first_buckets[BIT_LENGTHS] = {
    0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 29, 30, 31,
};

typedef struct sample {
    csti_metric metric; // first: what register hands out
    const char *labels;
    const struct family *family;
    struct sample *next;     // of its family
    struct sample *in_chain; // next
} sample;

// The metrics of one name.
typedef struct family {
    const char *name, *help;
    csti_metric_kind kind;
    uint32_t decimals; // of what is written: so many of the last digits of a value
    sample *first, *last;
    struct family *next;
} family;

struct csti_metrics {
    pthread_mutex_t lock; // guards all of it but the values
    csti_arena arena;
    family *first, *last;
    sample *chains[CHAINS];
    uint32_t metrics_count;
};

cst_code csti_metrics_open(csti_metrics **out, cst_err *err) {
    csti_metrics *m = calloc(1, sizeof *m);

    if (!m) return cst_fail(err, CST_NO_MEMORY, "metrics");
    (void)pthread_mutex_init(&m->lock, NULL); // a default one cannot fail on Linux
    csti_arena_init(&m->arena, ARENA_BYTES_MAX);
    *out = m;
    return CST_OK;
}

void csti_metrics_close(csti_metrics *m) {
    if (!m) return;
    csti_arena_release(&m->arena);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

// ---- Names ----

static bool begins_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Bytes of the name that `text` begins with; 0: it begins with none.
static size_t name_bytes(const char *text) {
    size_t bytes = begins_name(*text);

    while (bytes > 0 && (begins_name(text[bytes]) || (text[bytes] >= '0' && text[bytes] <= '9')))
        bytes++;
    return bytes;
}

static bool ends_with(const char *text, size_t bytes, const char *end) {
    const size_t end_bytes = strlen(end);

    return bytes > end_bytes && memcmp(text + bytes - end_bytes, end, end_bytes) == 0;
}

// Of a name without _total.
static size_t unit_end(const char *name) {
    const size_t bytes = strlen(name);

    return ends_with(name, bytes, COUNTER_SUFFIX) ? bytes - strlen(COUNTER_SUFFIX) : bytes;
}

static uint32_t decimals_of(const char *name) {
    if (ends_with(name, unit_end(name), "_timestamp_seconds")) return 6;
    return ends_with(name, unit_end(name), "_seconds") ? 9 : 0;
}

static cst_code check_unit(const char *name, cst_err *err) {
    static const char *const others[] = {"_ns", "_us", "_ms", "_minutes", "_kib", "_mib"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (ends_with(name, unit_end(name), others[i]))
            return cst_fail(err, CST_USAGE, "metric '%s': %s is no base unit", name, others[i] + 1);
    return CST_OK;
}

static cst_code check_name(csti_metric_kind kind, const char *name, cst_err *err) {
    const size_t bytes = strlen(name);
    const bool total = ends_with(name, bytes, COUNTER_SUFFIX);

    if (bytes > CSTI_METRIC_TEXT_BYTES_MAX || name_bytes(name) != bytes)
        return cst_fail(err, CST_USAGE, "metric '%.80s': letters, digits and _ make a name", name);
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return cst_fail(err, CST_USAGE, "metric '%s' does not begin with %s", name, PREFIX);
    if (total != (kind == CSTI_METRIC_COUNTER))
        return cst_fail(err, CST_USAGE, "metric '%s': a counter, and no other, ends with %s", name,
                        COUNTER_SUFFIX);
    return check_unit(name, err);
}

// Bytes of a quoted value, quotes included; 0: it is none.
static size_t value_bytes(const char *text) {
    size_t bytes = 1;

    if (*text != '"') return 0;
    for (; text[bytes] != '"'; bytes++) {
        if ((unsigned char)text[bytes] < ' ') return 0; // the end of the text as well
        if (text[bytes] == '\\' && !strchr("\\\"n", text[++bytes])) return 0;
        if (text[bytes] == 0) return 0;
    }
    return bytes + 1;
}

static cst_code check_labels(const char *labels, cst_err *err) {
    const char *at = labels;

    if (strlen(labels) > CSTI_METRIC_TEXT_BYTES_MAX)
        return cst_fail(err, CST_USAGE, "metric labels '%.80s...': over %d bytes", labels,
                        CSTI_METRIC_TEXT_BYTES_MAX);
    while (*at != 0) {
        const size_t name = name_bytes(at);
        const size_t value = name > 0 && at[name] == '=' ? value_bytes(at + name + 1) : 0;
        const char *end = at + name + 1 + value;

        if (value == 0 || (*end == ',' && end[1] == 0) || (*end != ',' && *end != 0))
            return cst_fail(err, CST_USAGE, "metric labels '%s' are not name=\"value\",...",
                            labels);
        at = end + (*end == ',');
    }
    return CST_OK;
}

// ---- Registering ----

static cst_code copy_text(csti_metrics *m, const char *text, const char **out, cst_err *err) {
    const size_t bytes = strlen(text) + 1;
    void *copy = NULL;
    const cst_code code = csti_arena_alloc(&m->arena, bytes, 1, &copy, err);

    if (code != CST_OK) return code;
    memcpy(copy, text, bytes);
    *out = copy;
    return CST_OK;
}

static cst_code add_family(csti_metrics *m, const family *like, family **out, cst_err *err) {
    void *memory = NULL;
    family made = *like;
    cst_code code = copy_text(m, like->name, &made.name, err);

    if (code == CST_OK) code = copy_text(m, like->help, &made.help, err);
    if (code == CST_OK)
        code = csti_arena_alloc(&m->arena, sizeof made, _Alignof(family), &memory, err);
    if (code != CST_OK) return code;
    *out = memory;
    **out = made;
    return CST_OK;
}

static cst_code add_sample(csti_metrics *m, csti_metric_kind kind, const char *labels, sample **out,
                           cst_err *err) {
    const size_t buckets_bytes =
        kind == CSTI_METRIC_HISTOGRAM ? (CSTI_METRIC_BUCKETS + 1) * sizeof(_Atomic uint64_t) : 0;
    void *memory = NULL, *buckets = NULL;
    const char *own_labels = NULL;
    cst_code code = copy_text(m, labels, &own_labels, err);

    if (code == CST_OK)
        code = csti_arena_alloc(&m->arena, sizeof(sample), METRIC_ALIGNMENT, &memory, err);
    if (code == CST_OK)
        code = csti_arena_alloc(&m->arena, buckets_bytes, METRIC_ALIGNMENT, &buckets, err);
    if (code != CST_OK) return code;
    *out = memory;
    memset(*out, 0, sizeof **out);
    (*out)->metric.kind = kind;
    (*out)->labels = own_labels;
    if (buckets_bytes == 0) return CST_OK;
    memset(buckets, 0, buckets_bytes);
    (*out)->metric.buckets = buckets;
    return CST_OK;
}

static sample **chain_of(csti_metrics *m, const char *labels) {
    return &m->chains[csti_crc32c(0, labels, strlen(labels)) % CHAINS];
}

static sample *find_sample(csti_metrics *m, const family *f, const char *labels) {
    sample *s = *chain_of(m, labels);

    while (s && (s->family != f || strcmp(s->labels, labels) != 0)) s = s->in_chain;
    return s;
}

static void put_in_place(csti_metrics *m, family *f, sample *s) {
    sample **chain = chain_of(m, s->labels);

    s->family = f;
    s->in_chain = *chain;
    *chain = s;
    if (f->last)
        f->last->next = s;
    else
        f->first = s;
    f->last = s;
    m->metrics_count++;
}

// The family gets into the list with its first sample: after an error nothing is there.
static cst_code register_locked(csti_metrics *m, const family *wanted, const char *labels,
                                sample **out, cst_err *err) {
    family *f = m->first;
    sample *s;
    cst_code code = CST_OK;

    while (f && strcmp(f->name, wanted->name) != 0) f = f->next;
    if (f && f->kind != wanted->kind)
        return cst_fail(err, CST_USAGE, "metric %s is a %s already", f->name, kind_names[f->kind]);
    s = f ? find_sample(m, f, labels) : NULL;
    if (s) {
        *out = s;
        return CST_OK;
    }
    if (m->metrics_count == CSTI_METRICS_MAX)
        return cst_fail(err, CST_LIMIT, "metric %s{%s}: there are %d metrics", wanted->name, labels,
                        CSTI_METRICS_MAX);
    code = add_sample(m, wanted->kind, labels, &s, err);
    if (code != CST_OK) return code;
    if (!f) {
        code = add_family(m, wanted, &f, err);
        if (code != CST_OK) return code;
        if (m->last)
            m->last->next = f;
        else
            m->first = f;
        m->last = f;
    }
    put_in_place(m, f, s);
    *out = s;
    return CST_OK;
}

cst_code csti_metrics_register(csti_metrics *m, csti_metric_kind kind, const char *name,
                               const char *help, const char *labels, csti_metric **out,
                               cst_err *err) {
    const family wanted = {.name = name, .help = help, .kind = kind, .decimals = decimals_of(name)};
    cst_code code = check_name(kind, name, err);
    sample *s = NULL;

    if (code == CST_OK) code = check_labels(labels, err);
    if (code == CST_OK && strlen(help) > CSTI_METRIC_TEXT_BYTES_MAX)
        code = cst_fail(err, CST_USAGE, "metric %s: its help is over %d bytes", name,
                        CSTI_METRIC_TEXT_BYTES_MAX);
    if (code != CST_OK) return code;
    (void)pthread_mutex_lock(&m->lock);
    code = register_locked(m, &wanted, labels, &s, err);
    (void)pthread_mutex_unlock(&m->lock);
    if (code == CST_OK) *out = &s->metric;
    return code;
}

cst_code csti_metrics_register_rows(csti_metrics *m, const csti_metric_row *rows,
                                    uint32_t rows_count, const char *labels, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < rows_count && code == CST_OK; i++)
        code = csti_metrics_register(m, rows[i].kind, rows[i].name, rows[i].help, labels,
                                     rows[i].out, err);
    return code;
}

// ---- Values ----

static uint64_t value_of(const _Atomic uint64_t *value) {
    // Relaxed: values are read one by one.
    return atomic_load_explicit(value, memory_order_relaxed);
}

static uint32_t bucket_of(uint64_t value) {
    const uint32_t bits = value == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(value);
    const uint32_t bucket = bits < BIT_LENGTHS ? first_buckets[bits] : CSTI_METRIC_BUCKETS;

    return bucket + (bucket < CSTI_METRIC_BUCKETS && value > bounds[bucket]);
}

void csti_metric_observe(csti_metric *histogram, uint64_t value) {
    _Atomic uint64_t *bucket;

    assert(histogram->kind == CSTI_METRIC_HISTOGRAM);
    bucket = &histogram->buckets[bucket_of(value)];
    atomic_store_explicit(bucket, value_of(bucket) + 1, memory_order_relaxed);
    csti_metric_add(histogram, value);
}

static uint64_t observations(const csti_metric *histogram) {
    uint64_t count = 0;

    for (uint32_t i = 0; i <= CSTI_METRIC_BUCKETS; i++) count += value_of(&histogram->buckets[i]);
    return count;
}

uint64_t csti_metric_quantile(const csti_metric *histogram, double share) {
    const uint64_t count = observations(histogram);
    const double rank = share * (double)count;
    uint64_t below_count = 0;

    assert(histogram->kind == CSTI_METRIC_HISTOGRAM);
    assert(share > 0 && share < 1);
    if (count == 0) return 0;
    for (uint32_t i = 0; i < CSTI_METRIC_BUCKETS; i++) {
        below_count += value_of(&histogram->buckets[i]);
        if ((double)below_count >= rank) return bounds[i];
    }
    return UINT64_MAX;
}

static bool is_absent(const sample *s) {
    return s->metric.kind == CSTI_METRIC_GAUGE &&
           (int64_t)value_of(&s->metric.value) == CSTI_METRIC_ABSENT;
}

// ---- Prometheus text ----

// `more` is one further label, or "".
static cst_code write_line(csti_buffer *out, const char *name, const char *suffix,
                           const char *labels, const char *more, const char *value, cst_err *err) {
    const bool both = *labels != 0 && *more != 0, any = *labels != 0 || *more != 0;

    return csti_buffer_format(out, err, "%s%s%s%s%s%s%s %s\n", name, suffix, any ? "{" : "", labels,
                              both ? "," : "", more, any ? "}" : "", value);
}

// Exactly, without zeros at its end.
static void decimal_text(bool negative, uint64_t value, uint32_t decimals, char out[NUMBER_BYTES]) {
    uint64_t unit = 1;
    int digits = (int)decimals;
    uint64_t rest;

    for (uint32_t i = 0; i < decimals; i++) unit *= 10;
    rest = value % unit;
    for (; digits > 0 && rest % 10 == 0; digits--) rest /= 10;
    if (digits == 0)
        (void)snprintf(out, NUMBER_BYTES, "%s%" PRIu64, negative ? "-" : "", value / unit);
    else
        (void)snprintf(out, NUMBER_BYTES, "%s%" PRIu64 ".%0*" PRIu64, negative ? "-" : "",
                       value / unit, digits, rest);
}

static void value_text(const family *f, const csti_metric *metric, char out[NUMBER_BYTES]) {
    const uint64_t value = value_of(&metric->value);
    const bool negative = metric->kind == CSTI_METRIC_GAUGE && (int64_t)value < 0;

    decimal_text(negative, negative ? 0 - value : value, f->decimals, out);
}

static cst_code write_histogram(csti_buffer *out, const family *f, const sample *s, cst_err *err) {
    char value[NUMBER_BYTES], limit[NUMBER_BYTES], bound[NUMBER_BYTES + 8];
    uint64_t count = 0;
    cst_code code = CST_OK;

    for (uint32_t i = 0; i <= CSTI_METRIC_BUCKETS && code == CST_OK; i++) {
        count += value_of(&s->metric.buckets[i]);
        (void)snprintf(limit, sizeof limit, "+Inf");
        if (i < CSTI_METRIC_BUCKETS) decimal_text(false, bounds[i], f->decimals, limit);
        (void)snprintf(bound, sizeof bound, "le=\"%s\"", limit);
        (void)snprintf(value, sizeof value, "%" PRIu64, count);
        code = write_line(out, f->name, "_bucket", s->labels, bound, value, err);
    }
    if (code == CST_OK) code = write_line(out, f->name, "_count", s->labels, "", value, err);
    value_text(f, &s->metric, value);
    if (code == CST_OK) code = write_line(out, f->name, "_sum", s->labels, "", value, err);
    return code;
}

static cst_code write_help(csti_buffer *out, const family *f, cst_err *err) {
    cst_code code = csti_buffer_format(out, err, "# HELP %s ", f->name);

    for (const char *c = f->help; *c != 0 && code == CST_OK; c++) {
        const char *escaped = *c == '\\' ? "\\\\" : *c == '\n' ? "\\n" : NULL;

        code =
            escaped ? csti_buffer_append(out, escaped, 2, err) : csti_buffer_append(out, c, 1, err);
    }
    if (code == CST_OK)
        code = csti_buffer_format(out, err, "\n# TYPE %s %s\n", f->name, kind_names[f->kind]);
    return code;
}

static cst_code write_family(csti_buffer *out, const family *f, cst_err *err) {
    char value[NUMBER_BYTES];
    bool begun = false;
    cst_code code = CST_OK;

    for (const sample *s = f->first; s && code == CST_OK; s = s->next) {
        if (is_absent(s)) continue;
        if (!begun) code = write_help(out, f, err);
        if (code != CST_OK) return code;
        begun = true;
        if (f->kind == CSTI_METRIC_HISTOGRAM) {
            code = write_histogram(out, f, s, err);
        } else {
            value_text(f, &s->metric, value);
            code = write_line(out, f->name, "", s->labels, "", value, err);
        }
    }
    return code;
}

cst_code csti_metrics_write(csti_metrics *m, csti_buffer *out, cst_err *err) {
    cst_code code = CST_OK;

    (void)pthread_mutex_lock(&m->lock);
    for (const family *f = m->first; f && code == CST_OK; f = f->next)
        code = write_family(out, f, err);
    (void)pthread_mutex_unlock(&m->lock);
    return code;
}

// ---- JSON ----

static cst_code write_json_sample(csti_buffer *out, const family *f, const sample *s,
                                  cst_err *err) {
    static const double shares[3] = {0.5, 0.99, 0.999};
    char at[3][NUMBER_BYTES];
    cst_code code = csti_buffer_format(out, err, "\"%s%s", f->name, *s->labels ? "{" : "");
    char value[NUMBER_BYTES];

    for (const char *c = s->labels; *c != 0 && code == CST_OK; c++) { // checked: no control bytes
        if (*c == '"' || *c == '\\') code = csti_buffer_append(out, "\\", 1, err);
        if (code == CST_OK) code = csti_buffer_append(out, c, 1, err);
    }
    if (code == CST_OK) code = csti_buffer_format(out, err, "%s\":", *s->labels ? "}" : "");
    if (code != CST_OK) return code;
    value_text(f, &s->metric, value);
    if (f->kind != CSTI_METRIC_HISTOGRAM) return csti_buffer_append(out, value, strlen(value), err);
    for (size_t i = 0; i < 3; i++)
        decimal_text(false, csti_metric_quantile(&s->metric, shares[i]), f->decimals, at[i]);
    return csti_buffer_format(out, err,
                              "{\"count\":%" PRIu64
                              ",\"sum\":%s,\"p50\":%s,\"p99\":%s,\"p999\":%s}",
                              observations(&s->metric), value, at[0], at[1], at[2]);
}

cst_code csti_metrics_write_json(csti_metrics *m, csti_buffer *out, cst_err *err) {
    const char *before = "{";
    cst_code code = CST_OK;

    (void)pthread_mutex_lock(&m->lock);
    for (const family *f = m->first; f && code == CST_OK; f = f->next)
        for (const sample *s = f->first; s && code == CST_OK; s = s->next) {
            if (is_absent(s)) continue;
            code = csti_buffer_append(out, before, 1, err);
            if (code == CST_OK) code = write_json_sample(out, f, s, err);
            before = ",";
        }
    (void)pthread_mutex_unlock(&m->lock);
    if (code == CST_OK) code = csti_buffer_format(out, err, "%s}", *before == '{' ? "{" : "");
    return code;
}
