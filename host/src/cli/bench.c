// bench.c: `constellation bench`: which benchmarks there are, and what they are asked for.
#include "cli/bench.h"

#include "base/nearest.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_group {
    const char *name;
    cst_code (*run)(bench *b, cst_err *err);
    const char *about;
} bench_group;

static const bench_group groups[] = {
    {"machine", bench_machine, "random lines and dependent loads: the limit of any table here"},
    {"codec", bench_codec, "encode and decode keys, alone and in batches"},
    {"hash", bench_hash, "16-byte keys in batches, in nanoseconds and in core cycles"},
    {"state", bench_state, "get, miss, update, insert, memory, and updates under a checkpoint"},
    {"barrier", bench_barrier, "seal an epoch: p50 and p99 above an empty timer"},
    {"delta", bench_delta, "seal and hand over 10K changes, without a copy"},
    {"fold", bench_fold, "a full and its deltas become one ordered full"},
    {"growth", bench_growth, "single puts while a table grows and seals, up to p99.999 and max"},
    {"align", bench_align, "a barrier injected, polled for, taken, and aligned over 128 inputs"},
    {"parse", bench_parse, "CSV and NDJSON files as batches of rows"},
    {"published", bench_published, "aggregates of 64 partitions, published and read as one"},
    {"recovery", bench_recovery, "restore a full and 9 deltas, checksums on"},
    {"job", bench_job, "a whole job, two partitions and checkpoints, beside the bare table"},
    {"checkpoint", bench_checkpoint_cost, "what a checkpoint every second costs a whole job"},
    {"window", bench_window, "a windowed job beside the plain one, and what closing one holds up"},
    {"unaligned", bench_unaligned, "checkpoints while a channel of the job stands still"},
    {"wal", bench_wal, "the write-ahead log: producers that wait for their answers, on a disk"},
    {"source", bench_source, "rows over TCP: producers that send 100 and wait for their answers"},
    {"s3", bench_s3, "segments and small objects in a bucket, beside curl, boto3 and aws"},
    {"opencl", bench_opencl, "rows into a table on an OpenCL device, beside the processor's"},
    {"rtl", bench_rtl,
     "the circuit in cycles; models of memory and PCIe, figures with --calibrate"},
    {"offload", bench_offload,
     "the same batches on every device: what each takes, and from which batch on it pays"},
};
enum { GROUPS_COUNT = sizeof groups / sizeof *groups };

static int list_groups(bool json) {
    for (size_t i = 0; i < GROUPS_COUNT; i++)
        printf(json ? "{\"bench\":\"%s\",\"about\":\"%s\"}\n" : "%-10s %s\n", groups[i].name,
               groups[i].about);
    return CLI_DONE;
}

// True if `a` is `b` or a dotted part of its beginning.
static bool begins(const char *a, const char *b) {
    const size_t bytes = strlen(a);

    return strncmp(a, b, bytes) == 0 && (b[bytes] == 0 || b[bytes] == '.');
}

bool bench_wanted(const bench *b, const char *name) {
    for (size_t i = 0; i < b->names_count; i++)
        if (begins(b->names[i], name) || begins(name, b->names[i])) return true;
    return false;
}

// What a list of numbers may hold, and how one says so who gave it.
typedef struct list_of {
    uint64_t least, most;
    const char *words;
} list_of;
static const list_of entries_list = {100, UINT64_C(2000000000), "100 to 2G entries, as in 1M,10M"};
static const list_of batches_list = {1, 65536, "batches of 1 to 65536 rows, as in 64,1K,8K"};

// "1M,10_000,17M": numbers with K, M or G behind them.
static cst_code read_sizes(const char *text, const list_of *of, uint64_t sizes[BENCH_SIZES_MAX],
                           size_t *count_out, cst_err *err) {
    const char *c = text;

    *count_out = 0;
    do {
        uint64_t value = 0;
        int digits = 0;

        for (; isdigit((unsigned char)*c) || *c == '_'; c++)
            if (*c != '_') {
                value = value * 10 + (uint64_t)(*c - '0');
                digits++;
            }
        if (digits == 0 || digits > 10) value = 0; // 10 digits and a G stay below 2^64
        if (*c == 'K' || *c == 'k')
            value *= 1000, c++;
        else if (*c == 'M' || *c == 'm')
            value *= 1000000, c++;
        else if (*c == 'G' || *c == 'g')
            value *= 1000000000, c++;
        if (value < of->least || value > of->most)
            return cst_fail(err, CST_USAGE, "'%s' is no list of %s", text, of->words);
        if (*count_out == BENCH_SIZES_MAX)
            return cst_fail(err, CST_USAGE, "more than %d sizes", BENCH_SIZES_MAX);
        sizes[(*count_out)++] = value;
    } while (*c == ',' && c++);
    if (*c != 0) return cst_fail(err, CST_USAGE, "'%s' does not end where a size does", text);
    return CST_OK;
}

static int unknown_name(const cli_common *common, const char *name) {
    const char *near = csti_nearest(name, groups, GROUPS_COUNT, sizeof *groups);

    if (near)
        return cli_failf(common, "bench", name, CST_USAGE,
                         "no benchmark of that name. "
                         "Did you mean '%s'?",
                         near);
    return cli_failf(common, "bench", name, CST_USAGE,
                     "no benchmark of that name. See constellation bench --list.");
}

static int take_names(bench *b, const cli_arguments *arguments) {
    if (arguments->positional_count == 0)
        return cli_failf(&arguments->common, "bench", NULL, CST_USAGE,
                         "no benchmark is named. See constellation bench --list.");
    for (size_t i = 0; i < arguments->positional_count; i++) {
        const char *name = arguments->positional[i];
        bool known = false;

        for (size_t g = 0; g < GROUPS_COUNT; g++) known = known || begins(groups[g].name, name);
        if (!known) return unknown_name(&arguments->common, name);
        b->names[b->names_count++] = name;
    }
    return CLI_GO_ON;
}

static cst_code run_groups(bench *b, cst_err *err) {
    cst_code code = bench_folder_open(b->folder, err);

    if (code != CST_OK) return code;
    b->ticks_per_ns = csti_ticks_per_ns();
    b->clock_ghz = bench_clock_ghz(b->ticks_per_ns);
    // What nobody can read is not measured: main says that stdout is gone.
    for (size_t g = 0; g < GROUPS_COUNT && code == CST_OK && !ferror(stdout); g++) {
        const size_t lines_before = b->lines_count;

        if (!bench_wanted(b, groups[g].name)) continue;
        code = groups[g].run(b, err);
        if (code == CST_OK && b->lines_count == lines_before)
            code = cst_fail(err, CST_USAGE, "%s has no part of that name", groups[g].name);
    }
    bench_folder_close();
    return code;
}

// Lines bear its canonical text, which is at home in JSON.
static cst_code take_schema(bench *b, const char *text, cst_err *err) {
    cst_schema schema;
    const cst_code code = cst_schema_parse(text, &schema, err);

    if (code != CST_OK) return code;
    return cst_schema_format(&schema, b->schema, sizeof b->schema);
}

static int take_numbers(bench *b, uint64_t rounds, uint64_t partitions) {
    if (rounds < 5 || rounds > BENCH_ROUNDS_MAX)
        return cli_failf(b->common, "bench", "--rounds", CST_USAGE, "it is 5 to %d",
                         BENCH_ROUNDS_MAX);
    if (b->skew < 0 || b->skew > 10)
        return cli_failf(b->common, "bench", "--skew", CST_USAGE, "it is 0 to 10");
    if (!(b->seconds >= 0.01 && b->seconds <= 600))
        return cli_failf(b->common, "bench", "--seconds", CST_USAGE, "it is 0.01 to 600");
    if (partitions < 1 || partitions > BENCH_PARTITIONS_MAX)
        return cli_failf(b->common, "bench", "--partitions", CST_USAGE, "it is 1 to %d",
                         BENCH_PARTITIONS_MAX);
    b->partitions = (uint32_t)partitions;
    b->rounds = (uint32_t)rounds;
    return CLI_GO_ON;
}

// Only offload goes over several.
static int take_batches(bench *b, const char *text) {
    cst_err err = {0};

    b->batches_given = text != NULL;
    if (read_sizes(text ? text : "256", &batches_list, b->batches, &b->batches_count, &err) !=
        CST_OK)
        return cli_fail(b->common, "bench", "--batch", &err);
    for (size_t i = 0; i < b->names_count && b->batches_count > 1; i++)
        if (!begins("offload", b->names[i]))
            return cli_failf(b->common, "bench", "--batch", CST_USAGE,
                             "only offload takes several, %s takes one", b->names[i]);
    b->batch = (uint32_t)b->batches[0];
    return CLI_GO_ON;
}

int cli_bench(int argc, char **argv) {
    bool list = false, peers = false;
    const char *entries = NULL, *batches = NULL, *schema = NULL;
    uint64_t rounds = 5, partitions = 2;
    bench b = {.seed = 1, .skew = 0.99, .seconds = 2};
    const cli_option table[] = {
        {"list", CLI_KIND_FLAG, &list, NULL, "names the benchmarks"},
        {"peers", CLI_KIND_FLAG, &peers, NULL, "measures boost, absl, RocksDB, LMDB, ... beside"},
        {"entries", CLI_KIND_TEXT, &entries, "N[,N]", "rows in the table, as in 1M,10M (1M)"},
        {"batch", CLI_KIND_TEXT, &batches, "N[,N]", "rows a call (256); several in offload"},
        {"schema", CLI_KIND_TEXT, &schema, "SCHEMA", "the mixed key of codec, the key of offload"},
        {"keys", CLI_KIND_TEXT, &b.workloads, "NAME[,NAME]",
         "offload: of uniform, zipf, one-key (all)"},
        {"device", CLI_KIND_TEXT, &b.devices, "URI[,URI]", "offload: these (all there are)"},
        {"skew", CLI_KIND_F64, &b.skew, "Z", "of the zipf workload (0.99)"},
        {"rounds", CLI_KIND_U64, &rounds, "N", "interleaved rounds, at least 5 (5)"},
        {"seconds", CLI_KIND_F64, &b.seconds, "S", "a side's turn in job, wal, source, ... (2)"},
        {"partitions", CLI_KIND_U64, &partitions, "N", "of the jobs in job, source, ... (2)"},
        {"seed", CLI_KIND_U64, &b.seed, "S", "of all data (1)"},
        {"store", CLI_KIND_TEXT, &b.store, "URI", "s3: a bucket; tests/s3/bench makes one"},
        {"calibrate", CLI_KIND_FLAG, &b.calibrate, NULL,
         "rtl: plays traffic into the models, beside figures of cards"},
    };
    const cli_verb verb = {
        .name = "bench",
        .arguments = "NAME... [--peers] [--entries N,N] | --list",
        .about = "Measures the named benchmarks, ours and the peers' rounds by turns in one\n"
                 "process, and prints medians with their spread. A ratio above 1 says that ours\n"
                 "is faster. NAME may be a part: state.get.",
        .options = table,
        .options_count = sizeof table / sizeof *table,
        .positional_max = BENCH_NAMES_MAX,
    };
    cli_arguments arguments;
    cst_err err = {0};
    int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (list) return list_groups(arguments.common.json);
    b.common = &arguments.common;
    b.sizes_given = entries != NULL;
    status = take_names(&b, &arguments);
    if (status != CLI_GO_ON) return status;
    status = take_numbers(&b, rounds, partitions);
    if (status != CLI_GO_ON) return status;
    if (read_sizes(entries ? entries : "1M", &entries_list, b.sizes, &b.sizes_count, &err) !=
        CST_OK)
        return cli_fail(b.common, "bench", "--entries", &err);
    status = take_batches(&b, batches);
    if (status != CLI_GO_ON) return status;
    b.schema_given = schema != NULL;
    if (take_schema(&b, schema ? schema : "u64,desc string,nullable i32", &err) != CST_OK)
        return cli_fail(b.common, "bench", "--schema", &err);
    if (peers) bench_peers_begin(argv - 1); // in front of the verb stands the program's name
    if (peers && bench_peers_load(&b.peers, &err) != CST_OK)
        return cli_fail(b.common, "bench", "--peers", &err);
    if (run_groups(&b, &err) != CST_OK) return cli_fail(b.common, "bench", NULL, &err);
    return CLI_DONE;
}
