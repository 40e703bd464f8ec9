// bench_s3.c: a bucket: large segments and small objects both ways, and what they cost of this
// machine's processors, beside the clients that people use.
//
//   this process ── threads ──► object/s3 ─┐
//   s3_clients.py: curl, boto3, … ─────────┴──► the server of --store, over as many connections
//
// Time is of the client: the server is another process, and its processors' time is in no figure.
#include "cli/bench_s3.h"

#include "cli/bench_child.h"
#include "object/s3.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTIONS = 8,
    CALLERS = 2 * CONNECTIONS, // a call waits for its answer: no connection waits for a caller
    SEGMENT_BYTES = 64 << 20,
    SEGMENTS = 4, // a round
    WRITE_BYTES = 1 << 20,
    SMALL_BYTES = 4096,
    SMALL_COUNT = 1000,
    ENTRY_BYTES = 64, // --entries is in such: a segment of 1M has 64 MB
    SMALL_SHARE = 50, // and so many entries are a small object
    URI_BYTES = 1024,
    CLIENTS_MAX = 5,
    CLIENT_BYTES = 64,
    SIGNATURES = 4096,
};
#define BYTES_A_GIB 1073741824.0

typedef enum s3_verb { PUT_LARGE, GET_LARGE, PUT_SMALL, GET_SMALL, VERBS } s3_verb;

static const struct {
    const char *name;
    const char *cpu;
    const char *verb; // of the script
    uint32_t threads; // uploads and downloads of large ones have several requests each
} verbs[VERBS] = {
    [PUT_LARGE] = {"s3.upload", "s3.upload_cpu", "upload", 2},
    [GET_LARGE] = {"s3.download", "s3.download_cpu", "download", 2},
    [PUT_SMALL] = {"s3.put", "s3.put_cpu", "put", CALLERS},
    [GET_SMALL] = {"s3.get", "s3.get_cpu", "get", CALLERS},
};

typedef struct s3_bench {
    bench *b;
    cst_object_store *store;
    csti_s3_uri uri;
    bench_memory bytes; // a segment
    uint64_t segment_bytes;
    uint32_t smalls;
    uint32_t round; // each writes under names of its own
    char clients[CLIENTS_MAX][CLIENT_BYTES];
    size_t clients_count;
} s3_bench;

// ---- Ours ---------------------------------------------------------------------------------------

typedef struct s3_side {
    s3_bench *s;
    s3_verb verb;
    const char *client; // NULL: ours
    uint64_t cpu_ns, bytes;
} s3_side;

typedef struct s3_worker {
    const s3_side *side;
    uint32_t first;
    cst_code code;
    cst_err err;
} s3_worker;

static bool is_large(s3_verb verb) {
    return verb == PUT_LARGE || verb == GET_LARGE;
}

static uint32_t objects_of(const s3_side *side) {
    return is_large(side->verb) ? (uint32_t)SEGMENTS : side->s->smalls;
}

static uint64_t bytes_of(const s3_side *side) {
    return is_large(side->verb) ? side->s->segment_bytes : (uint64_t)SMALL_BYTES;
}

// Those that are read are the first round's.
static void name_make(const s3_side *side, uint32_t object, char out[BENCH_S3_NAME_BYTES]) {
    const bool reads = side->verb == GET_LARGE || side->verb == GET_SMALL;

    (void)snprintf(out, BENCH_S3_NAME_BYTES, "%s/%" PRIu32 "/%" PRIu32,
                   is_large(side->verb) ? "segments" : "smalls", reads ? 0 : side->s->round,
                   object);
}

// From where the bytes lie, as a checkpoint's deltas go.
static cst_code upload_one(const s3_side *side, const char *name, cst_err *err) {
    cst_object_upload *upload = NULL;
    cst_code code = cst_object_upload_open(side->s->store, name, 0, &upload, err);
    const uint64_t bytes = side->s->segment_bytes;

    if (code != CST_OK) return code;
    for (uint64_t at = 0; at < bytes && code == CST_OK; at += WRITE_BYTES)
        code = cst_object_upload_refer(upload, side->s->bytes.base + at,
                                       bytes - at < WRITE_BYTES ? bytes - at : WRITE_BYTES, err);
    if (code == CST_OK) return cst_object_upload_finish(upload, NULL, err);
    cst_object_upload_abort(upload);
    return code;
}

static cst_code get_one(const s3_side *side, const char *name, cst_err *err) {
    cst_object_body body;
    cst_code code = cst_object_get(side->s->store, name, 0, UINT64_MAX, &body, err);

    if (code != CST_OK) return code;
    if (body.count != bytes_of(side) || memcmp(body.bytes, side->s->bytes.base, SMALL_BYTES) != 0)
        code = cst_fail(err, CST_INTERNAL, "%s is not what was written", name);
    cst_object_body_release(side->s->store, &body);
    return code;
}

static cst_code do_one(const s3_side *side, uint32_t object, cst_err *err) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT};
    const cst_bytes small = {side->s->bytes.base, SMALL_BYTES};
    char name[BENCH_S3_NAME_BYTES];

    name_make(side, object, name);
    switch (side->verb) {
    case PUT_LARGE:
        return upload_one(side, name, err);
    case PUT_SMALL:
        return cst_object_put(side->s->store, name, &small, 1, &options, NULL, err);
    default:
        return get_one(side, name, err);
    }
}

static void *worker_run(void *context) {
    s3_worker *w = context;
    const uint32_t step = verbs[w->side->verb].threads;

    for (uint32_t i = w->first; i < objects_of(w->side) && w->code == CST_OK; i += step)
        w->code = do_one(w->side, i, &w->err);
    return NULL;
}

static cst_code workers_run(const s3_side *side, cst_err *err) {
    s3_worker workers[CALLERS];
    pthread_t threads[CALLERS];
    uint32_t started = 0;
    cst_code code = CST_OK;

    for (; started < verbs[side->verb].threads; started++) {
        workers[started] = (s3_worker){.side = side, .first = started, .code = CST_OK};
        if (pthread_create(&threads[started], NULL, worker_run, &workers[started]) != 0) break;
    }
    if (started < verbs[side->verb].threads) code = cst_fail(err, CST_NO_MEMORY, "a thread");
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
        if (code != CST_OK || workers[i].code == CST_OK) continue;
        code = workers[i].code;
        *err = workers[i].err;
    }
    return code;
}

// What a round wrote goes before the next one begins; its time is nobody's.
static cst_code clear(const s3_side *side, cst_err *err) {
    static char texts[SMALL_COUNT][BENCH_S3_NAME_BYTES];
    const char *names[SMALL_COUNT];
    const uint32_t count = objects_of(side);

    for (uint32_t i = 0; i < count; i++) {
        name_make(side, i, texts[i]);
        names[i] = texts[i];
    }
    return csti_object_delete_many(side->s->store, names, count, err);
}

static cst_code ours_round(void *context, double *ns_per_op_out, cst_err *err) {
    s3_side *side = context;
    const bool writes = side->verb == PUT_LARGE || side->verb == PUT_SMALL;
    uint64_t from_ns, cpu_ns;
    cst_code code;

    if (writes) side->s->round++;
    from_ns = bench_now_ns();
    cpu_ns = bench_cpu_ns();
    code = workers_run(side, err);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / objects_of(side);
    side->cpu_ns += bench_cpu_ns() - cpu_ns;
    side->bytes += objects_of(side) * bytes_of(side);
    return code == CST_OK && writes ? clear(side, err) : code;
}

// ---- Theirs -------------------------------------------------------------------------------------

// The script prints a line "NANOSECONDS NANOSECONDS": of its clock, and of its processors.
static cst_code client_round(void *context, double *ns_per_op_out, cst_err *err) {
    s3_side *side = context;
    s3_bench *s = side->s;
    char line[BENCH_CHILD_LINE_BYTES], count[16], bytes[24], connections[16];
    char *argv[] = {"python3",
                    (char *)(uintptr_t)s->b->peers->s3_clients,
                    "--client",
                    (char *)(uintptr_t)side->client,
                    "--verb",
                    (char *)(uintptr_t)verbs[side->verb].verb,
                    "--endpoint",
                    s->uri.endpoint,
                    "--bucket",
                    s->uri.bucket,
                    "--prefix",
                    s->uri.prefix,
                    "--folder",
                    s->b->folder,
                    "--count",
                    count,
                    "--bytes",
                    bytes,
                    "--connections",
                    connections,
                    NULL};
    char *end = line;
    uint64_t wall_ns, cpu_ns;
    int status = 0;

    (void)snprintf(count, sizeof count, "%" PRIu32, objects_of(side));
    (void)snprintf(bytes, sizeof bytes, "%" PRIu64, bytes_of(side));
    (void)snprintf(connections, sizeof connections, "%d", CONNECTIONS);
    if (!bench_child_line(argv, ' ', line, &status) || status != 0)
        return cst_fail(err, CST_NOT_FOUND, "%s gave no figures (status %d)", side->client, status);
    wall_ns = strtoull(line, &end, 10);
    cpu_ns = strtoull(end, NULL, 10);
    *ns_per_op_out = (double)wall_ns / objects_of(side);
    side->cpu_ns += cpu_ns;
    side->bytes += objects_of(side) * bytes_of(side);
    return CST_OK;
}

// "curl 7.88.1, boto3 1.43.11, rclone v1.60.1-DEV": those that are there.
static void clients_find(s3_bench *s) {
    char *argv[] = {"python3", NULL, "--list", NULL};
    char line[BENCH_CHILD_LINE_BYTES];
    char *at = line;
    int status = 0;

    if (!s->b->peers) return;
    argv[1] = (char *)(uintptr_t)s->b->peers->s3_clients;
    if (!bench_child_line(argv, ' ', line, &status)) return;
    while (s->clients_count < CLIENTS_MAX && *at && *at != '\n') {
        const size_t bytes = strcspn(at, ",\n");

        (void)snprintf(s->clients[s->clients_count++], CLIENT_BYTES, "%.*s", (int)bytes, at);
        at += bytes;
        at += strspn(at, ", ");
    }
}

// ---- Measured -----------------------------------------------------------------------------------

static void cpu_print(s3_bench *s, const bench_params *params, const s3_side *side) {
    char fields[160];

    if (side->bytes == 0) return;
    if (is_large(side->verb))
        (void)snprintf(fields, sizeof fields, "\"cpu_s_per_gib\":%.4g",
                       (double)side->cpu_ns / 1e9 / ((double)side->bytes / BYTES_A_GIB));
    else
        (void)snprintf(fields, sizeof fields, "\"cpu_us_per_object\":%.4g",
                       (double)side->cpu_ns / 1e3 / ((double)side->bytes / SMALL_BYTES));
    bench_numbers(s->b, verbs[side->verb].cpu, params,
                  side->client ? side->client : "constellation", fields);
}

static cst_code measure(s3_bench *s, s3_verb verb, cst_err *err) {
    s3_side all[CLIENTS_MAX + 1] = {{.s = s, .verb = verb}};
    bench_side sides[CLIENTS_MAX + 1] = {{BENCH_OURS, "constellation", ours_round, &all[0]}};
    bench_params params = {0};
    bench_what what = {.name = verbs[verb].name, .params = &params, .cold = true};
    cst_code code;

    for (size_t i = 0; i < s->clients_count; i++) {
        all[i + 1] = (s3_side){.s = s, .verb = verb, .client = s->clients[i]};
        sides[i + 1] = (bench_side){BENCH_PEER, s->clients[i], client_round, &all[i + 1]};
    }
    what.bytes_per_op = bytes_of(&all[0]);
    bench_params_u64(&params, "object_bytes", bytes_of(&all[0]));
    bench_params_u64(&params, "objects", objects_of(&all[0]));
    bench_params_u64(&params, "connections", CONNECTIONS);
    if (is_large(verb))
        bench_params_text(&params, "payload",
                          csti_s3_self(s->store)->large == CSTI_S3_CRC32C ? "crc32c" : "sha256");
    code = bench_compare(s->b, &what, sides, s->clients_count + 1, err);
    for (size_t i = 0; i <= s->clients_count && code == CST_OK; i++) cpu_print(s, &params, &all[i]);
    return code;
}

// What is read by all of them, written once.
static cst_code reading_prepare(s3_bench *s, s3_verb written, cst_err *err) {
    const s3_side side = {.s = s, .verb = written};

    s->round = 0;
    return workers_run(&side, err);
}

static cst_code reading_clear(s3_bench *s, s3_verb written, cst_err *err) {
    const s3_side side = {.s = s, .verb = written};

    s->round = 0;
    return clear(&side, err);
}

static cst_code measure_pair(s3_bench *s, s3_verb writes, s3_verb reads, cst_err *err) {
    cst_code code = CST_OK;

    if (bench_wanted(s->b, verbs[writes].name)) code = measure(s, writes, err);
    if (code != CST_OK || !bench_wanted(s->b, verbs[reads].name)) return code;
    code = reading_prepare(s, writes, err);
    if (code == CST_OK) code = measure(s, reads, err);
    return code == CST_OK ? reading_clear(s, writes, err) : code;
}

// ---- Signing ------------------------------------------------------------------------------------

// One request's time, query, canonical form and signature; the hash of its body is another matter.
static cst_code sign_round(void *context, double *ns_per_op_out, cst_err *err) {
    const csti_s3_pair query[] = {{"partNumber", "7"},
                                  {"uploadId", "2~aBcDeFgHiJkLmNoPqRsTuVwXyZ"}};
    char text[CSTI_S3_PLACE_BYTES], line[1024], time[CSTI_S3_TIME_BYTES];
    const csti_s3_pair headers[] = {{"host", "s3.eu-west-1.amazonaws.com"},
                                    {"x-amz-date", time},
                                    {"x-amz-content-sha256", CSTI_S3_UNSIGNED},
                                    {"x-amz-checksum-crc32c", "unrwZg=="}};
    const csti_s3_signing signing = {.method = "PUT",
                                     .path = "/state/bids/checkpoints/000000000042/segment-1",
                                     .query = text,
                                     .headers = headers,
                                     .headers_count = sizeof headers / sizeof *headers,
                                     .payload = CSTI_S3_UNSIGNED,
                                     .time = time,
                                     .access = "AKIAIOSFODNN7EXAMPLE"};
    const csti_s3_signer *signer = context;
    const uint64_t from_ns = bench_now_ns();
    cst_code code = CST_OK;

    for (int i = 0; i < SIGNATURES && code == CST_OK; i++) {
        csti_s3_time((int64_t)i * 1000000, time);
        code = csti_s3_query(query, 2, text, sizeof text, err);
        if (code == CST_OK) code = csti_s3_authorization(signer, &signing, line, sizeof line, err);
    }
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / SIGNATURES;
    return code;
}

static cst_code measure_signing(bench *b, cst_err *err) {
    csti_s3_signer signer;
    bench_params params = {0};
    const bench_what what = {.name = "s3.sign", .params = &params};
    const bench_side side = {BENCH_OURS, "constellation", sign_round, &signer};
    cst_code code;

    if (!bench_wanted(b, what.name)) return CST_OK;
    code = csti_s3_signer_make("secret", "20150830T123600Z", "eu-west-1", "s3", &signer, err);
    bench_params_u64(&params, "headers", 4);
    return code == CST_OK ? bench_compare(b, &what, &side, 1, err) : code;
}

// ---- Whole --------------------------------------------------------------------------------------

static cst_code store_open(s3_bench *s, cst_err *err) {
    char uri[URI_BYTES];
    cst_code code;

    if (!s->b->store || strncmp(s->b->store, "s3:", 3) != 0)
        return cst_fail(err, CST_USAGE,
                        "s3 needs --store s3://BUCKET/PREFIX?endpoint=URL, whose contents are its "
                        "own; tests/s3/bench starts a server for it");
    (void)snprintf(uri, sizeof uri, "%s&connections=%d", s->b->store, CONNECTIONS);
    code = csti_s3_uri_parse(uri + 3, &s->uri, err);
    if (code == CST_OK && (!s->uri.endpoint[0] || !s->uri.prefix[0]))
        code = cst_fail(err, CST_USAGE, "--store %s needs a prefix and an endpoint", s->b->store);
    if (code == CST_OK) code = cst_object_store_open(uri, NULL, &s->store, err);
    return code == CST_OK ? cst_object_store_prove(s->store, err) : code;
}

static cst_code sizes_settle(s3_bench *s, cst_err *err) {
    const uint64_t entries = s->b->sizes[0];
    cst_code code;

    s->segment_bytes = s->b->sizes_given ? entries * ENTRY_BYTES : (uint64_t)SEGMENT_BYTES;
    if (s->segment_bytes < SMALL_BYTES) s->segment_bytes = SMALL_BYTES;
    s->smalls = SMALL_COUNT;
    if (s->b->sizes_given && entries / SMALL_SHARE < SMALL_COUNT)
        s->smalls = (uint32_t)(entries / SMALL_SHARE) + 1;
    code = bench_memory_take(&s->bytes, s->segment_bytes, err);
    for (uint64_t i = 0; i + 16 <= s->segment_bytes && code == CST_OK; i += 16)
        bench_key(s->b->seed, i, s->bytes.base + i);
    return code;
}

cst_code bench_s3(bench *b, cst_err *err) {
    s3_bench s = {.b = b};
    char found[512];
    bool wanted =
        bench_wanted(b, "s3.recovery") || bench_wanted(b, "s3.job") || bench_wanted(b, "s3.send");
    cst_code code = measure_signing(b, err);

    for (size_t i = 0; i < VERBS; i++) wanted = wanted || bench_wanted(b, verbs[i].name);
    if (code != CST_OK || !wanted) return code;
    code = store_open(&s, err);
    if (code == CST_OK) {
        bench_params none = {0};
        char fields[sizeof found + 16];

        cst_object_store_findings(s.store, found, sizeof found);
        (void)snprintf(fields, sizeof fields, "\"found\":\"%s\"", found);
        bench_numbers(b, "s3.server", &none, "constellation", fields);
        code = sizes_settle(&s, err);
    }
    if (code == CST_OK) clients_find(&s);
    if (code == CST_OK) code = bench_s3_send(b, s.bytes.base, s.segment_bytes, err);
    if (code == CST_OK) code = measure_pair(&s, PUT_LARGE, GET_LARGE, err);
    if (code == CST_OK) code = measure_pair(&s, PUT_SMALL, GET_SMALL, err);
    if (code == CST_OK) code = bench_s3_recovery(b, s.store, err);
    if (code == CST_OK) code = bench_s3_job(b, s.store, err);
    bench_memory_give(&s.bytes);
    cst_object_store_close(s.store);
    return code;
}
