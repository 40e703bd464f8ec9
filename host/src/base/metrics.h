// metrics.h: counters, gauges and histograms in one registry, written by owners without a lock.
//
//   code = csti_metrics_register(m, CSTI_METRIC_COUNTER, "constellation_rows_total",
//                                "Rows applied.", "partition=\"0\"", &rows, err);
//   csti_metric_add(rows, batch->rows_count);          one relaxed add, in its writer's line
//
//   constellation_rows_total{partition="0"} 4096       csti_metrics_write: Prometheus text
//   {"constellation_rows_total{partition=\"0\"}":4096, ...}       csti_metrics_write_json
//
// Names begin with constellation_ and end with their unit, a base unit; a counter's, and no
// other's, ends with _total behind it. What ends with _seconds is kept in nanoseconds, with
// _timestamp_seconds (since 1970) in microseconds, and is written in seconds, as decimals. Labels
// are name="value" with commas between; a value escapes \, " and newline by \. A histogram has
// buckets of 1, 2, 5 × powers of ten up to 2 × 10^10 (20 seconds: constellation_align_seconds); in
// JSON it is {"count","sum","p50","p99","p999"}.
//
// Promises   a metric stays in place until the registry closes. Reads see each value whole, not all
//            at one moment. Metrics of one name are written together, in the order of their coming.
// Thread     register, write: any (a lock). add, set, observe: one writer a metric.
// Ring       add, set, observe: 0. The rest: 1.
// Errors     CST_LIMIT: CSTI_METRICS_MAX; CST_USAGE: a name, unit or label that is not as above, a
//            name that is there with another kind; CST_NO_MEMORY. After an error of write the
//            buffer may hold a part.
#ifndef CST_BASE_METRICS_H
#define CST_BASE_METRICS_H

#include "base/buffer.h"

#include <stdatomic.h>

enum {
    CSTI_METRICS_MAX = 16384,
    CSTI_METRIC_BUCKETS = 32,
    CSTI_METRIC_TEXT_BYTES_MAX = 1024, // of a name, its help, its labels
};

// A gauge of it says nothing yet, and is not written.
#define CSTI_METRIC_ABSENT INT64_MIN

typedef enum csti_metric_kind {
    CSTI_METRIC_COUNTER,
    CSTI_METRIC_GAUGE,
    CSTI_METRIC_HISTOGRAM,
} csti_metric_kind;

typedef struct csti_metric {
    _Alignas(64) _Atomic uint64_t value; // a gauge's is an int64_t; a histogram's: the sum
    _Atomic uint64_t *buckets;           // histogram: CSTI_METRIC_BUCKETS + 1, the last: above all
    csti_metric_kind kind;
} csti_metric;

typedef struct csti_metrics csti_metrics;
CST_CHECK_RESULT cst_code csti_metrics_open(csti_metrics **out, cst_err *err);
void csti_metrics_close(csti_metrics *metrics); // NULL is allowed

// `labels` as between the braces, "" for none. The same name and labels give the same metric.
CST_CHECK_RESULT cst_code csti_metrics_register(csti_metrics *metrics, csti_metric_kind kind,
                                                const char *name, const char *help,
                                                const char *labels, csti_metric **out,
                                                cst_err *err);

// What somebody registers, as a table: one row a metric.
typedef struct csti_metric_row {
    csti_metric **out;
    csti_metric_kind kind;
    const char *name;
    const char *help;
} csti_metric_row;

// All rows with the same labels, in their order. After an error the first ones may be there.
CST_CHECK_RESULT cst_code csti_metrics_register_rows(csti_metrics *metrics,
                                                     const csti_metric_row *rows,
                                                     uint32_t rows_count, const char *labels,
                                                     cst_err *err);

static inline void csti_metric_add(csti_metric *metric, uint64_t count) {
    // Relaxed: one writer, and readers need no order.
    const uint64_t value = atomic_load_explicit(&metric->value, memory_order_relaxed);
    atomic_store_explicit(&metric->value, value + count, memory_order_relaxed);
}
static inline void csti_metric_set(csti_metric *metric, int64_t value) {
    atomic_store_explicit(&metric->value, (uint64_t)value, memory_order_relaxed);
}
void csti_metric_observe(csti_metric *histogram, uint64_t value);
// An upper bound of the given share of observations, 0 < share < 1; 0: none yet; UINT64_MAX: above
// all buckets.
uint64_t csti_metric_quantile(const csti_metric *histogram, double share);

CST_CHECK_RESULT cst_code csti_metrics_write(csti_metrics *metrics, csti_buffer *out, cst_err *err);
CST_CHECK_RESULT cst_code csti_metrics_write_json(csti_metrics *metrics, csti_buffer *out,
                                                  cst_err *err);

#endif
