// bench_offload.h: when a device pays: the same batches on each, side by side.
//
//   offload_rows ──► slot (a batch as a command) ──► offload_device: cpu:, opencl:, sim:, xrt:
//                                                        │ alone: one batch in flight, its latency
//                                                        └ in flight: DEPTH of them, rows a second
//
//   measured   cpu:, opencl:, xrt: on a card     the wall clock
//   modelled   sim:                              clocks of the circuit at its modelled clock, PCIe
//                                                and launch by model, the host's part by the clock
//
// A row is a key of --schema and two words for four accumulators: count, sum, min, max.
//
// Thread     one.
// Ring       2.
// Owner      whoever opens closes; a zeroed one may be closed.
#ifndef CST_CLI_BENCH_OFFLOAD_H
#define CST_CLI_BENCH_OFFLOAD_H

#include "cli/bench.h"

#include <constellation/driver.h>

enum {
    OFFLOAD_SOURCES = 2,
    OFFLOAD_DEPTH = 8,
    OFFLOAD_DEVICES_MAX = 12,
    OFFLOAD_LAUNCHES = 4,
    OFFLOAD_COUNTERS = 25, // of the circuit
    OFFLOAD_WHY_BYTES = 256,
    OFFLOAD_NAME_BYTES = 128,
};

typedef enum offload_keys {
    OFFLOAD_UNIFORM,
    OFFLOAD_ZIPF,
    OFFLOAD_ONE_KEY,
    OFFLOAD_WORKLOADS
} offload_keys;
extern const char *const offload_keys_names[OFFLOAD_WORKLOADS];

// ---- bench_offload_rows.c -----------------------------------------------------------------------

// Rows of a workload: their columns, and the words that accumulators are given.
typedef struct offload_rows {
    cst_schema schema;
    uint64_t seed;
    uint32_t capacity;
    uint32_t count;
    uint64_t *words[OFFLOAD_SOURCES];
    uint8_t *values[CST_COLUMNS_MAX];
    int32_t *offsets[CST_COLUMNS_MAX]; // of string and binary columns
    uint8_t *validity[CST_COLUMNS_MAX];
} offload_rows;

// A run of rows as a command: what the command points to.
typedef struct offload_slot {
    cst_column_data columns[CST_COLUMNS_MAX];
    cst_source sources[OFFLOAD_SOURCES];
    cst_batch batch;
    cst_command command;
} offload_slot;

CST_CHECK_RESULT cst_code offload_rows_open(offload_rows *rows, const char *schema, uint64_t seed,
                                            uint32_t capacity, cst_err *err);
void offload_rows_close(offload_rows *rows);
// Row i is of the key of rank ranks[i]: equal ranks have equal keys.
void offload_rows_fill(offload_rows *rows, const uint64_t *ranks, uint32_t count);
// Rows [from, from + count) as encode, hash and apply to `table`; `from` is a multiple of 8.
void offload_slot_make(offload_slot *slot, const offload_rows *rows, uint32_t from, uint32_t count,
                       cst_device_table *table);
// The longest encoded key of the ranks below `entries`.
CST_CHECK_RESULT cst_code offload_key_bytes(offload_rows *rows, uint64_t entries,
                                            uint32_t *bytes_out, cst_err *err);
// All ranks below `entries`, by the processor, into an image.
CST_CHECK_RESULT cst_code offload_image_fill(offload_rows *rows, uint64_t entries, cst_table *image,
                                             const cst_hash_key *hash_key, cst_err *err);
// What a row has before anybody packs it: its columns' values and its words.
uint32_t offload_row_bytes(const cst_schema *schema);

// ---- bench_offload_device.c ---------------------------------------------------------------------

typedef enum offload_kind {
    OFFLOAD_MEASURED, // its time is the wall clock's
    OFFLOAD_MODELLED, // sim:
    OFFLOAD_EMULATED, // xrt: without a card: nobody counts its clocks, its wall clock is nobody's
} offload_kind;

// Where the time of batches goes. WAIT to READ by the device's own clock, if it has one.
typedef enum offload_part {
    OFFLOAD_ALL,
    OFFLOAD_HOST, // none of the others
    OFFLOAD_AWAY, // in calls into the device's library
    OFFLOAD_WAIT,
    OFFLOAD_WRITE,
    OFFLOAD_ENCODE,
    OFFLOAD_PUT,
    OFFLOAD_READ,
    OFFLOAD_PARTS
} offload_part;

// What a run of batches took.
typedef struct offload_run {
    uint32_t batches;
    uint64_t rows;
    double ns[OFFLOAD_PARTS];
    uint64_t cycles;               // of a simulated card
    uint64_t transfer_ns;          // of it, by its model of PCIe
    uint64_t to_bytes, from_bytes; // of all batches
    uint64_t accesses, operations; // of a circuit
} offload_run;

// Of batches alone, one value each.
typedef struct offload_times {
    histogram clocks;
    histogram parts[OFFLOAD_PARTS]; // nanoseconds
} offload_times;

typedef struct offload_device {
    char name[OFFLOAD_NAME_BYTES]; // as it was asked for
    offload_kind kind;
    cst_device *device; // NULL: it is not there, or does not take such a table
    char why[OFFLOAD_WHY_BYTES];
    cst_queue *queue;
    cst_device_table *table;
    bool is_processor;
    bool keeps_nothing;                  // no epoch has changes
    uint32_t since_seal;                 // rows
    offload_run last[OFFLOAD_WORKLOADS]; // in flight, of the largest batch
} offload_device;

// A device that is not there is no error: *why says so.
CST_CHECK_RESULT cst_code offload_device_open(offload_device *d, const char *uri,
                                              const cst_schema *schema, uint32_t key_bytes,
                                              uint64_t entries, cst_err *err);
void offload_device_close(offload_device *d);
// One batch in flight, `batches` times: each one's times, and all of them together.
CST_CHECK_RESULT cst_code offload_alone(const bench *b, offload_device *d, const offload_rows *rows,
                                        uint32_t batch, uint32_t batches, offload_times *times,
                                        offload_run *out, cst_err *err);
// OFFLOAD_DEPTH of them. A circuit's clocks are counted from the first completion on, and with them
// rows and batches.
CST_CHECK_RESULT cst_code offload_in_flight(const bench *b, offload_device *d,
                                            const offload_rows *rows, uint32_t batch,
                                            uint32_t batches, offload_run *out, cst_err *err);
// Keys and hashes of a batch by the processor, in nanoseconds.
CST_CHECK_RESULT cst_code offload_encode(offload_device *d, const offload_rows *rows,
                                         uint32_t batch, uint32_t batches, histogram *ns,
                                         cst_err *err);
// A few rows: the device has its table as it stands now, and its code.
CST_CHECK_RESULT cst_code offload_warm(offload_device *d, const offload_rows *rows, cst_err *err);
// After so many rows: ends the epoch where they are many, and gives its changes back.
CST_CHECK_RESULT cst_code offload_settle(offload_device *d, const offload_rows *rows,
                                         uint32_t count, cst_err *err);

// ---- bench_offload_host.c -----------------------------------------------------------------------

// The back end of sim: and xrt:, with no card behind it: its batches take the host's time alone.
CST_CHECK_RESULT cst_code offload_idle_open(offload_device *d, const cst_schema *schema,
                                            uint32_t key_bytes, cst_err *err);

// ---- bench_offload_model.c ----------------------------------------------------------------------

// What a batch takes on a card whose circuit took so many clocks; nanoseconds.
typedef struct offload_modelled {
    double host, launch, transfer, kernel, result;
    double commands;   // of the batch
    double alone;      // a batch alone
    double apart;      // between two batches, with many in flight: the longest of them
    const char *bound; // which that is
} offload_modelled;

extern const uint32_t offload_launches_us[OFFLOAD_LAUNCHES]; // 0: no launch, the ring

// Of batches alone and of those in flight.
offload_modelled offload_model(const offload_run *alone, const offload_run *flight, double host_ns,
                               double clock_mhz, uint32_t launch_us);
// The same of a batch whose circuit took so long.
double offload_alone_ns(const offload_modelled *times, double kernel_ns);
// The inputs as lines, and what bounds a card.
void offload_print_inputs(bench *b, double clock_mhz);
void offload_print_model(bench *b, const char *device, const char *workload,
                         const cst_schema *schema, const offload_run *run, double clock_mhz);

// ---- bench_offload_lines.c ----------------------------------------------------------------------

// A line of a table: one device, workload and batch size.
typedef struct offload_line {
    double cycles, rows_per_s, p50_us, p99_us, max_us;
    double host_us, encode_us, transfer_us, queue_us, kernel_us, result_us;
    double to_bytes, from_bytes; // of a batch
    double ns_per_op;            // a row, in flight
    double host_ns_per_batch, host_ns_per_row;
    double clock_mhz;  // modelled
    const char *bound; // modelled
} offload_line;

typedef enum offload_table {
    OFFLOAD_TABLE_MEASURED,
    OFFLOAD_TABLE_MODELLED,
    OFFLOAD_TABLE_HOST,
    OFFLOAD_TABLES
} offload_table;

// `first`: of its table, which begins with a heading. What is not a number is left out.
void offload_print(bench *b, offload_table table, const char *device, const char *workload,
                   uint64_t entries, uint32_t batch, uint32_t launch_us, const offload_line *line,
                   bool first);

#endif
