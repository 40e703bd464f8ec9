// bench_run.c: interleaved rounds, and the lines that come of them.
#include "cli/bench.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { HUMAN_BENCH = 24, HUMAN_PARAMS = 58 };

__attribute__((format(printf, 2, 3))) static void params_add(bench_params *params,
                                                             const char *format, ...) {
    va_list arguments;
    int bytes;

    va_start(arguments, format);
    bytes = vsnprintf(params->text + params->used, sizeof params->text - params->used, format,
                      arguments);
    va_end(arguments);
    assert(bytes >= 0);
    assert((size_t)bytes < sizeof params->text - params->used);
    params->used += (size_t)bytes;
}

void bench_params_u64(bench_params *params, const char *name, uint64_t value) {
    params_add(params, "%s\"%s\":%" PRIu64, params->used ? "," : "", name, value);
}

void bench_params_f64(bench_params *params, const char *name, double value) {
    params_add(params, "%s\"%s\":%g", params->used ? "," : "", name, value);
}

void bench_params_text(bench_params *params, const char *name, const char *value) {
    params_add(params, "%s\"%s\":\"%s\"", params->used ? "," : "", name, value);
}

static uint64_t time_ns(const struct timeval *time) {
    return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_usec * 1000;
}

uint64_t bench_cpu_ns(void) {
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_SELF, &usage); // cannot fail with these arguments
    return time_ns(&usage.ru_utime) + time_ns(&usage.ru_stime);
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

// JSON fields as people read them: quotes go, commas outside strings get a space.
static void human_fields(const char *json, char *out, size_t bytes) {
    size_t used = 0;
    bool quoted = false;

    for (const char *c = json; *c && used + 2 < bytes; c++) {
        if (*c == '"') {
            quoted = !quoted;
            continue;
        }
        out[used++] = !quoted && *c == ':' ? ' ' : *c;
        if (!quoted && *c == ',') out[used++] = ' ';
    }
    out[used] = 0;
}

static void line_begin(bench *b, const char *name, const bench_params *params, const char *impl) {
    char text[sizeof params->text * 2];

    b->lines_count++;
    if (b->common->json) {
        printf("{\"bench\":\"%s\",\"impl\":\"%s\",\"params\":{%s}", name, impl, params->text);
        return;
    }
    human_fields(params->text, text, sizeof text);
    printf("%-*s %-*s ", HUMAN_BENCH, name, HUMAN_PARAMS, text);
}

static void line_end(const bench *b) {
    puts(b->common->json ? "}" : "");
    (void)fflush(stdout);
}

typedef struct spread {
    double median, min, max;
} spread;

static spread spread_of(const double *samples, size_t count) {
    double sorted[BENCH_ROUNDS_MAX];
    spread out;

    memcpy(sorted, samples, count * sizeof *sorted);
    out.median = bench_median(sorted, count);
    out.min = sorted[0];
    out.max = sorted[count - 1];
    return out;
}

typedef struct comparison {
    const bench_what *what;
    uint32_t rounds;
    double samples[BENCH_SIDES_MAX][BENCH_ROUNDS_MAX];
} comparison;

static spread ratios_of(const comparison *all, size_t peer) {
    double ratios[BENCH_ROUNDS_MAX];

    for (uint32_t r = 0; r < all->rounds; r++)
        ratios[r] = all->samples[peer][r] / all->samples[0][r];
    return spread_of(ratios, all->rounds);
}

static void print_json(const bench *b, const bench_what *what, const spread *ours,
                       const char *peer_name, const spread *peer, const spread *ratio,
                       double limit_ns) {
    printf(",\"ns_per_op\":%.4g,\"ops_per_s\":%.6g,\"min\":%.4g,\"max\":%.4g,\"rounds\":%" PRIu32,
           ours->median, 1e9 / ours->median, ours->min, ours->max, b->rounds);
    if (what->bytes_per_op > 0)
        printf(",\"bytes_per_s\":%.4g", 1e9 * (double)what->bytes_per_op / ours->median);
    if (what->cycles && b->clock_ghz > 0)
        printf(",\"cycles_per_op\":%.4g,\"core_mhz\":%.0f", ours->median * b->clock_ghz,
               b->clock_ghz * 1000);
    if (limit_ns > 0)
        printf(",\"limit_ns\":%.4g,\"limit_share\":%.4g", limit_ns, limit_ns / ours->median);
    if (peer_name) {
        printf(",\"peer\":\"%s\",\"peer_ns_per_op\":%.4g,\"peer_min\":%.4g,\"peer_max\":%.4g",
               peer_name, peer->median, peer->min, peer->max);
        if (what->cycles && b->clock_ghz > 0)
            printf(",\"peer_cycles_per_op\":%.4g", peer->median * b->clock_ghz);
        printf(",\"ratio\":%.4g,\"ratio_min\":%.4g,\"ratio_max\":%.4g", peer->median / ours->median,
               ratio->min, ratio->max);
    }
}

static void print_human(const bench *b, const bench_what *what, const spread *ours,
                        const char *peer_name, const spread *peer, const spread *ratio,
                        double limit_ns) {
    printf("%9.4g ns [%.4g to %.4g]", ours->median, ours->min, ours->max);
    if (what->cycles && b->clock_ghz > 0) printf("  %.3g cycles", ours->median * b->clock_ghz);
    if (limit_ns > 0) printf("  limit %.3g ns: %.0f%%", limit_ns, 100 * limit_ns / ours->median);
    if (peer_name)
        printf("  %s %.4g ns  ratio %.2f [%.2f to %.2f]", peer_name, peer->median,
               peer->median / ours->median, ratio->min, ratio->max);
}

static void print_comparison(bench *b, const comparison *all, const bench_side *sides,
                             size_t count) {
    const spread ours = spread_of(all->samples[0], all->rounds);
    double limit_ns = 0;
    bool printed = false;

    for (size_t s = 1; s < count; s++)
        if (sides[s].role == BENCH_LIMIT) limit_ns = spread_of(all->samples[s], all->rounds).median;
    for (size_t s = 1; s <= count; s++) {
        const bool alone = s == count; // no peer: ours by itself
        spread peer = {0}, ratio = {0};

        if (alone ? printed : sides[s].role != BENCH_PEER) continue;
        if (!alone) {
            peer = spread_of(all->samples[s], all->rounds);
            ratio = ratios_of(all, s);
        }
        line_begin(b, all->what->name, all->what->params, sides[0].name);
        (b->common->json ? print_json : print_human)(b, all->what, &ours,
                                                     alone ? NULL : sides[s].name, &peer, &ratio,
                                                     limit_ns);
        line_end(b);
        printed = true;
    }
}

cst_code bench_compare(bench *b, const bench_what *what, const bench_side *sides, size_t count,
                       cst_err *err) {
    comparison *all = calloc(1, sizeof *all);
    cst_code code = CST_OK;
    double ns = 0;

    assert(count > 0);
    assert(count <= BENCH_SIDES_MAX);
    assert(sides[0].role == BENCH_OURS);
    if (!all) return cst_fail(err, CST_NO_MEMORY, "%s", what->name);
    all->what = what;
    all->rounds = b->rounds;
    for (size_t s = 0; s < count && !what->cold && code == CST_OK; s++)
        code = sides[s].round(sides[s].context, &ns, err);
    for (uint32_t r = 0; r < b->rounds && code == CST_OK; r++)
        for (size_t s = 0; s < count && code == CST_OK; s++)
            code = sides[s].round(sides[s].context, &all->samples[s][r], err);
    if (code == CST_OK)
        print_comparison(b, all, sides, count);
    else
        code = cst_fail_at(err, code, "%s", what->name);
    free(all);
    return code;
}

void bench_numbers(bench *b, const char *name, const bench_params *params, const char *impl,
                   const char *fields) {
    char text[2048];

    line_begin(b, name, params, impl);
    if (b->common->json) {
        printf(",%s", fields);
    } else {
        human_fields(fields, text, sizeof text);
        printf("%s%s %s", impl, impl[strlen(impl) - 1] == ':' ? "" : ":", text); // a device has one
    }
    line_end(b);
}

static void print_latencies(bench *b, const char *name, const bench_params *params,
                            const char *impl, const histogram *h, double per_ns, const char *more) {
    static const struct {
        const char *name;
        double share;
    } marks[] = {{"p50", 0.5},       {"p90", 0.9},         {"p99", 0.99}, {"p99.9", 0.999},
                 {"p99.99", 0.9999}, {"p99.999", 0.99999}, {"max", 1}};
    char fields[640];
    const double mean = histogram_mean(h) / per_ns;
    int used = snprintf(fields, sizeof fields,
                        "\"ops\":%" PRIu64 ",\"ns_per_op\":%.4g,"
                        "\"ops_per_s\":%.6g",
                        h->count, mean, mean > 0 ? 1e9 / mean : 0);

    for (size_t m = 0; m < sizeof marks / sizeof *marks; m++) {
        // A share finer than the samples says nothing but the maximum.
        if (marks[m].share < 1 && (1 - marks[m].share) * (double)h->count < 0.999) continue;
        used += snprintf(fields + used, sizeof fields - (size_t)used, ",\"%s\":%.4g", marks[m].name,
                         (double)histogram_percentile(h, marks[m].share) / per_ns);
    }
    if (more) (void)snprintf(fields + used, sizeof fields - (size_t)used, ",%s", more);
    bench_numbers(b, name, params, impl, fields);
}

void bench_latencies(bench *b, const char *name, const bench_params *params, const char *impl,
                     const histogram *ticks, const char *more) {
    print_latencies(b, name, params, impl, ticks, b->ticks_per_ns, more);
}

void bench_latencies_ns(bench *b, const char *name, const bench_params *params, const char *impl,
                        const histogram *ns, const char *more) {
    print_latencies(b, name, params, impl, ns, 1, more);
}
