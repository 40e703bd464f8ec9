// bench_source.c: rows over TCP into a job with ack = "wal", beside Redis streams.
//
//   this thread                    a job in this process: all its threads are the source's time
//   N producers, 100 rows each ──► tcp source ──► log, synced ──► answers
//                                                    └──► readers ──► batches ──► a filter
//                                  redis-server: XADD bids * row {...}, appendfsync always
//
//   source.rate    time a row, from the first row sent until the last answer
//   source.core    processor time a row: of all threads but the producers'
//
// No row passes the filter: what is measured ends where a job's own work begins. Checkpoints go on
// beside it, and whose job it is is asked for before each answer.
#include "cli/bench_load.h"
#include "cli/bench_own_job.h"
#include "cli/bench_redis.h"

#include "stream/text_write.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PRODUCERS_MAX = 64, PATH_BYTES = BENCH_FOLDER_BYTES + 16, PROGRESS_US = 20000 };

// What turns came to, but those that warm up.
typedef struct source_sums {
    uint64_t rows, cpu_ns, client_cpu_ns, syncs;
} source_sums;

typedef struct source_bench {
    const bench *b;
    char folder[PATH_BYTES];
    bench_load_rows rows;
    uint64_t next_client;

    bench_own_job own;
    _Atomic uint32_t port; // 0: it does not listen yet
    uint64_t rows_sent;    // in all turns

    bench_redis redis;
} source_bench;

// ---- The job ------------------------------------------------------------------------------------

static const char *const job_text =
    "[job]\nname = \"bench\"\npartitions = %" PRIu32 "\ndir = \"job\"\n"
    "[source]\nkind = \"tcp\"\nlisten = \"127.0.0.1:0\"\nack = \"wal\"\nsync = \"always\"\n"
    "columns = [\"auction u64\", \"bidder u64\", \"price u64\", \"channel string\", "
    "\"at timestamp\"]\n"
    "wal_max = \"4GiB\"\nproducers_max = 65536\n"
    "[[filter]]\ncolumn = \"price\"\nop = \"<\"\nvalue = \"0\"\n"
    "[key]\ncolumns = [\"auction\"]\n"
    "[[aggregate]]\nas = \"bids\"\nop = \"count\"\n"
    "[state]\nbudget = \"1GiB\"\n"
    "[checkpoint]\nevery = \"1s\"\nkeep = 2\n";

static void on_listening(void *context, const char *address) {
    source_bench *s = context;

    // Release pairs with the acquire in is_listening.
    atomic_store_explicit(&s->port, (uint32_t)atoi(strrchr(address, ':') + 1),
                          memory_order_release);
}

static bool is_listening(const void *context) {
    const source_bench *s = context;

    return atomic_load_explicit(&s->port, memory_order_acquire) != 0;
}

static bool has_read_all(const void *context) {
    const source_bench *s = context;

    return bench_own_job_counter(&s->own, "constellation_source_rows_total", "") >= s->rows_sent;
}

static cst_code job_start(source_bench *s, cst_err *err) {
    const csti_job_options options = {.listening = on_listening,
                                      .listening_context = s,
                                      .progress_us = PROGRESS_US};
    cst_code code = bench_own_job_file(&s->own, s->folder, err, job_text, s->b->partitions);

    if (code == CST_OK) code = bench_own_job_open(&s->own, &options, err);
    if (code == CST_OK) code = bench_own_job_start(&s->own, err);
    return code == CST_OK ? bench_own_job_wait(&s->own, is_listening, s, "it does not listen", err)
                          : code;
}

// ---- Producers ----------------------------------------------------------------------------------

static size_t hello_put(char out[BENCH_LOAD_HELLO_BYTES], uint64_t client) {
    return (size_t)snprintf(out, BENCH_LOAD_HELLO_BYTES, "{\"producer\":\"bench-%" PRIu64 "\"}\n",
                            client);
}

static char *row_put(char *out, uint64_t number, const char *row, size_t bytes) {
    memcpy(out, "{\"seq\":", 7);
    out = csti_u64_text(out + 7, number);
    memcpy(out, ",\"row\":", 7);
    memcpy(out + 7, row, bytes);
    memcpy(out + 7 + bytes, "}\n", 2);
    return out + 9 + bytes;
}

// {"next":1} first, then {"ack":N}.
static cst_code answer_take(const char *line, size_t bytes, uint64_t *answered, cst_err *err) {
    static const char acked[] = "{\"ack\":";
    static const char next[] = "{\"next\":";

    if (bytes > sizeof acked && memcmp(line, acked, sizeof acked - 1) == 0)
        *answered = strtoull(line + sizeof acked - 1, NULL, 10);
    else if (bytes < sizeof next || memcmp(line, next, sizeof next - 1) != 0)
        return cst_fail(err, CST_IO, "a producer was told %.*s", (int)bytes, line);
    return CST_OK;
}

static const bench_load_kind producer_rows = {hello_put, row_put, answer_take};

// ---- Turns --------------------------------------------------------------------------------------

typedef struct source_side {
    source_bench *s;
    uint32_t producers;
    bool warm;
    source_sums sums;
} source_side;

static bench_load_options load_options(source_side *side, const bench_load_kind *kind,
                                       uint16_t port) {
    source_bench *s = side->s;
    const bench_load_options options = {.kind = kind,
                                        .rows = &s->rows,
                                        .port = port,
                                        .clients = side->producers,
                                        .first_client = s->next_client,
                                        .seconds = s->b->seconds};

    s->next_client += side->producers;
    return options;
}

static void turn_add(source_side *side, const bench_load_turn *turn, uint64_t cpu_ns,
                     uint64_t syncs) {
    if (side->warm) {
        side->sums.rows += turn->rows;
        side->sums.cpu_ns += cpu_ns;
        side->sums.client_cpu_ns += turn->cpu_ns;
        side->sums.syncs += syncs;
    }
    side->warm = true;
}

static cst_code ours_round(void *context, double *ns_per_row_out, cst_err *err) {
    source_side *side = context;
    source_bench *s = side->s;
    const bench_load_options options =
        load_options(side, &producer_rows, (uint16_t)atomic_load(&s->port));
    const uint64_t cpu_ns = bench_cpu_ns();
    const uint64_t syncs = bench_own_job_counter(&s->own, "constellation_wal_syncs_total", "");
    bench_load_turn turn;
    cst_code code = bench_load_run(&options, &turn, err);

    if (code != CST_OK) return code;
    s->rows_sent += turn.rows;
    code =
        bench_own_job_wait(&s->own, has_read_all, s, "rows that were answered are not read", err);
    if (code != CST_OK) return code;
    turn_add(side, &turn, bench_cpu_ns() - cpu_ns - turn.cpu_ns,
             bench_own_job_counter(&s->own, "constellation_wal_syncs_total", "") - syncs);
    *ns_per_row_out = (double)turn.ns / (double)turn.rows;
    return CST_OK;
}

static cst_code redis_round(void *context, double *ns_per_row_out, cst_err *err) {
    source_side *side = context;
    source_bench *s = side->s;
    const bench_load_options options = load_options(side, &bench_redis_rows, s->redis.port);
    bench_load_turn turn;
    uint64_t from_ns = 0, to_ns = 0;
    cst_code code = bench_redis_clear(&s->redis, err);

    if (code == CST_OK) code = bench_redis_cpu_ns(&s->redis, &from_ns, err);
    if (code == CST_OK) code = bench_load_run(&options, &turn, err);
    if (code == CST_OK) code = bench_redis_cpu_ns(&s->redis, &to_ns, err);
    if (code != CST_OK) return code;
    turn_add(side, &turn, to_ns - from_ns, 0);
    *ns_per_row_out = (double)turn.ns / (double)turn.rows;
    return CST_OK;
}

// ---- The benchmark ------------------------------------------------------------------------------

static double a_row(uint64_t ns, const source_sums *sums) {
    return sums->rows > 0 ? (double)ns / (double)sums->rows : 0;
}

static void core_print(bench *b, const bench_params *params, const source_sums *ours,
                       const source_sums *redis) {
    const double cpu_ns = a_row(ours->cpu_ns, ours);
    const double redis_ns = a_row(redis->cpu_ns, redis);
    char fields[512];
    int used =
        snprintf(fields, sizeof fields,
                 "\"rows\":%" PRIu64 ",\"cpu_ns_per_row\":%.4g,\"rows_per_s_a_core\":%.4g"
                 ",\"client_cpu_ns_per_row\":%.4g,\"syncs\":%" PRIu64 ",\"rows_a_sync\":%.4g",
                 ours->rows, cpu_ns, 1e9 / cpu_ns, a_row(ours->client_cpu_ns, ours), ours->syncs,
                 ours->syncs > 0 ? (double)ours->rows / (double)ours->syncs : 0);

    assert(used > 0 && (size_t)used < sizeof fields);
    if (redis->rows > 0)
        (void)snprintf(fields + used, sizeof fields - (size_t)used,
                       ",\"peer\":\"Redis streams\",\"peer_rows\":%" PRIu64
                       ",\"peer_cpu_ns_per_row\":%.4g,\"peer_rows_per_s_a_core\":%.4g"
                       ",\"cpu_ratio\":%.4g",
                       redis->rows, redis_ns, 1e9 / redis_ns, redis_ns / cpu_ns);
    bench_numbers(b, "source.core", params, "constellation", fields);
}

static cst_code measure(bench *b, source_bench *s, uint32_t producers, cst_err *err) {
    source_side ours = {.s = s, .producers = producers};
    source_side redis = {.s = s, .producers = producers};
    const bench_side sides[] = {
        {BENCH_OURS, "constellation", ours_round, &ours},
        {BENCH_PEER, "Redis streams", redis_round, &redis},
    };
    const uint64_t row_bytes = s->rows.offsets[s->rows.count] / s->rows.count;
    bench_params params = {0};
    const bench_what what = {.name = "source.rate", .params = &params, .bytes_per_op = row_bytes};
    cst_code code;

    bench_params_u64(&params, "producers", producers);
    bench_params_u64(&params, "batch", BENCH_LOAD_BATCH_ROWS);
    bench_params_u64(&params, "row_bytes", row_bytes);
    bench_params_u64(&params, "partitions", b->partitions);
    code = bench_compare(b, &what, sides, b->peers ? 2 : 1, err);
    if (code == CST_OK) core_print(b, &params, &ours.sums, &redis.sums);
    return code;
}

cst_code bench_source(bench *b, cst_err *err) {
    source_bench *s = calloc(1, sizeof *s);
    cst_code code = bench_folder_disk(b->folder_on_disk, err);

    if (!s) return cst_fail(err, CST_NO_MEMORY, "a source");
    s->b = b;
    (void)snprintf(s->folder, sizeof s->folder, "%s/source", b->folder_on_disk);
    if (code == CST_OK && mkdir(s->folder, 0700) != 0)
        code = cst_fail(err, CST_IO, "%s: %s", s->folder, strerror(errno));
    if (code == CST_OK) code = bench_load_rows_make(b, &s->rows, err);
    if (code == CST_OK && b->peers) code = bench_redis_open(s->folder, &s->redis, err);
    if (code == CST_OK) code = job_start(s, err);
    for (uint32_t producers = 1; producers <= PRODUCERS_MAX && code == CST_OK; producers *= 8)
        code = measure(b, s, producers, err);
    bench_redis_close(&s->redis);
    bench_own_job_end(&s->own);
    bench_load_rows_free(&s->rows);
    free(s);
    return code;
}
