// bench.h: what every benchmark shares: options, rounds, peers, result lines.
//
//   cli_bench ──► group (codec, state, …) ──► bench_compare("state.get", params, sides)
//
//        round 1:  ours  boost  absl  …  the machine's limit
//        round 2:  ours  boost  absl  …                        one process, by turns
//
//        ──► one line a peer: medians, min, max, ratio
//
// A side is one contender: a function that does one round and says what an operation cost. The
// first is ours. One more may be the machine's own limit for the same work.
//
// Promises   all data comes from --seed; a round of one side is never moved out of its turn.
// Thread     the program's main thread.
// Ring       2.
// Owner      bench_memory is given back by the one who took it.
// Errors     a benchmark that gives a wrong result (a miss where all hit) is an error, not a time.
#ifndef CST_CLI_BENCH_H
#define CST_CLI_BENCH_H

#include "base/pages.h"
#include "base/ticks.h"
#include "cli/bench_folder.h"
#include "cli/bench_peers.h"
#include "cli/cli.h"
#include "cli/histogram.h"

#include <constellation/table.h>

enum {
    BENCH_SIZES_MAX = 16,
    BENCH_ROUNDS_MAX = 101,
    BENCH_PARTITIONS_MAX = 16,
    BENCH_SIDES_MAX = 12,
    BENCH_NAMES_MAX = 32,
    BENCH_EPOCH_ROWS = 1 << 20,
    BENCH_SCHEMA_BYTES = 800, // 16 columns of the longest text
};

typedef struct bench {
    const cli_common *common;
    const bench_peers *peers;           // NULL: without
    char schema[BENCH_SCHEMA_BYTES];    // canonical text
    const char *names[BENCH_NAMES_MAX]; // what was asked for: a group, or group.what
    size_t names_count;
    uint64_t sizes[BENCH_SIZES_MAX];
    size_t sizes_count;
    bool sizes_given;
    uint64_t batches[BENCH_SIZES_MAX]; // offload's; the first is `batch`
    size_t batches_count;
    bool batches_given, schema_given;
    const char *workloads, *devices; // offload's; NULL: its own
    bool calibrate;
    uint32_t batch;
    uint32_t rounds;
    uint32_t partitions; // of a job
    uint64_t seed;
    double skew;
    double seconds;    // of a side's turn, where rows flow for a time
    const char *store; // of s3; NULL: none was given
    double ticks_per_ns;
    double clock_ghz;                // measured, of this core; 0 where it can't be
    char folder[BENCH_FOLDER_BYTES]; // for peers and segments that need files; gone at the end
    char folder_on_disk[BENCH_FOLDER_BYTES]; // of those who measure a disk; gone at the end
    size_t lines_count;
} bench;

// ---- Parameters: {"entries":1000000,"workload":"zipf"} ------------------------------------------

typedef struct bench_params {
    char text[1024]; // JSON without the braces: the longest schema and more
    size_t used;
} bench_params;

void bench_params_u64(bench_params *params, const char *name, uint64_t value);
void bench_params_f64(bench_params *params, const char *name, double value);
void bench_params_text(bench_params *params, const char *name, const char *value);

// ---- Comparisons --------------------------------------------------------------------------------

typedef enum bench_role { BENCH_OURS, BENCH_PEER, BENCH_LIMIT } bench_role;

typedef struct bench_side {
    bench_role role;
    const char *name;
    cst_code (*round)(void *context, double *ns_per_op_out, cst_err *err);
    void *context;
} bench_side;

typedef struct bench_what {
    const char *name; // "state.get"
    const bench_params *params;
    bool cold;             // no round to warm up: each begins anew
    bool cycles;           // print core cycles beside nanoseconds
    uint64_t bytes_per_op; // of input, 0: say nothing of bytes
} bench_what;

// Whether --names ask for it. A prefix up to a dot is enough, either way.
bool bench_wanted(const bench *b, const char *name);
cst_code bench_compare(bench *b, const bench_what *what, const bench_side *sides, size_t count,
                       cst_err *err);
// Latencies in ticks. `impl` is "constellation", a peer, or "empty loop".
void bench_latencies(bench *b, const char *name, const bench_params *params, const char *impl,
                     const histogram *ticks, const char *more);
// The same in nanoseconds.
void bench_latencies_ns(bench *b, const char *name, const bench_params *params, const char *impl,
                        const histogram *ns, const char *more);
// A line of other numbers: `fields` is JSON without braces.
void bench_numbers(bench *b, const char *name, const bench_params *params, const char *impl,
                   const char *fields);
// The middle of `count` values; sorts them.
double bench_median(double *values, size_t count);

// ---- Time, memory, data -------------------------------------------------------------------------

static inline uint64_t bench_now_ns(void) {
    return csti_clock_now_ns(csti_clock_real());
}

// Of processors, by all threads of this process so far.
uint64_t bench_cpu_ns(void);

// Hugepages, faulted in. CST_NO_MEMORY.
typedef csti_pages bench_memory;
CST_CHECK_RESULT cst_code bench_memory_take(bench_memory *memory, size_t bytes, cst_err *err);
void bench_memory_give(bench_memory *memory); // a zeroed one is allowed
// Whether about so many bytes can be had now. Asked before they are taken: a kernel that is short
// of memory answers by ending somebody. One that does not say has them. CST_NO_MEMORY.
CST_CHECK_RESULT cst_code bench_memory_check(uint64_t bytes, cst_err *err);

// Key `index` of the seed: 16 bytes that look random and differ for every index.
void bench_key(uint64_t seed, uint64_t index, uint8_t key[BENCH_KEY_BYTES]);

// ---- The machine's own limit --------------------------------------------------------------------

// What an operation on a table touches at least: one random line of a narrow region, as of its
// index; two adjacent ones of a wide region, as of its slots; and, where there is a written region,
// two adjacent ones of that, as of its change log. Then the wide region's two are written as well.
// Measured is the best overlap that plain loops and staged prefetches reach.
typedef struct bench_lines {
    bench_memory narrow, wide, written;
    uint64_t narrow_bytes, wide_bytes, written_bytes;
    uint64_t reads; // operations a round
    uint64_t sink;
} bench_lines;

// A region of 0 bytes is left out; a written one needs a wide one.
CST_CHECK_RESULT cst_code bench_lines_open(bench_lines *lines, uint64_t narrow_bytes,
                                           uint64_t wide_bytes, uint64_t written_bytes,
                                           cst_err *err);
void bench_lines_close(bench_lines *lines);
cst_code bench_lines_round(void *context, double *ns_per_op_out, cst_err *err); // a bench_lines
cst_code bench_lines_dependent_round(void *context, double *ns_per_op_out, cst_err *err);
double bench_clock_ghz(double ticks_per_ns);

// ---- Peers --------------------------------------------------------------------------------------

// Call it before anything was printed; `argv` is the program's. It may not return.
void bench_peers_begin(char **argv);
// Loads the plugin that lies beside the program (bin/../lib). CST_NOT_FOUND, CST_UNSUPPORTED.
CST_CHECK_RESULT cst_code bench_peers_load(const bench_peers **out, cst_err *err);

// ---- The benchmarks -----------------------------------------------------------------------------

cst_code bench_machine(bench *b, cst_err *err);
cst_code bench_codec(bench *b, cst_err *err);
cst_code bench_hash(bench *b, cst_err *err);
cst_code bench_opencl(bench *b, cst_err *err);
cst_code bench_state(bench *b, cst_err *err);
cst_code bench_barrier(bench *b, cst_err *err);
cst_code bench_delta(bench *b, cst_err *err);
cst_code bench_fold(bench *b, cst_err *err);
cst_code bench_growth(bench *b, cst_err *err);
cst_code bench_align(bench *b, cst_err *err);
cst_code bench_unaligned(bench *b, cst_err *err);
cst_code bench_published(bench *b, cst_err *err);
cst_code bench_recovery(bench *b, cst_err *err);
cst_code bench_parse(bench *b, cst_err *err);
cst_code bench_job(bench *b, cst_err *err);
cst_code bench_checkpoint_cost(bench *b, cst_err *err);
cst_code bench_window(bench *b, cst_err *err);
cst_code bench_wal(bench *b, cst_err *err);
cst_code bench_source(bench *b, cst_err *err);
cst_code bench_s3(bench *b, cst_err *err);
cst_code bench_rtl(bench *b, cst_err *err);
cst_code bench_offload(bench *b, cst_err *err);
cst_code bench_card(bench *b, cst_err *err); // of bench_rtl: CST_UNSUPPORTED without the card

#endif
