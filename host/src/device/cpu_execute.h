// cpu_execute.h: one command on the processor, and the rule that stops a queue.
//
//   rows        |0       |1024    |2048 ...          a pass takes a block at a time, so that
//   per block   encode ─► hash ─► apply or look up   keys and hashes never leave the nearest caches
//
//   stopped?  entry of the same generation: CST_ABORTED, unless it is a fixup
//             of a later one: runs, and the stop is over
//
// A block begins at a multiple of 8 rows: bits of a null bitmap are then whole bytes.
//
// Thread     the executor's: the host's (inline) or the queue's worker.
// Ring       0: no allocation, no text.
// Owner      the executor owns the blocks of hashes and offsets, a table its block of keys.
#ifndef CST_DEVICE_CPU_EXECUTE_H
#define CST_DEVICE_CPU_EXECUTE_H

#include "codec/dispatch.h"
#include "device/backend.h"

enum {
    CSTI_CPU_BLOCK_ROWS = 1024,
    CSTI_CPU_BLOCK_KEY_BYTES = 32 << 10, // with hashes and offsets about an L1 cache
};

typedef struct csti_cpu_executor {
    const csti_codec *codec;
    bool stopped;
    uint64_t stopped_generation;
    uint32_t offsets[CSTI_CPU_BLOCK_ROWS + 1];
    uint64_t hashes[CSTI_CPU_BLOCK_ROWS];
} csti_cpu_executor;

typedef struct csti_cpu_table {
    cst_device_table base;
    cst_table *image;
    uint8_t *keys; // a block's, if the table encodes: of at least 8 rows of the longest key
    size_t keys_capacity;
} csti_cpu_table;

// The two ends of a command, for executors that do its middle themselves. False: the queue is
// stopped, and *out says that the command was not executed.
bool csti_cpu_begin(csti_cpu_executor *executor, const csti_entry_in_flight *entry,
                    cst_completion *out);
void csti_cpu_end(csti_cpu_executor *executor, const csti_entry_in_flight *entry,
                  cst_completion *out);
// The middle.
cst_code csti_cpu_command(csti_cpu_executor *executor, const cst_command *command,
                          cst_completion *out);

// Of a SCAN by pieces, how many rows the next may have. 0: it is over for now. CST_LIMIT: not one
// fits; CST_AGAIN: the table has grown since the scan began.
cst_code csti_cpu_scan_rows(const csti_cpu_table *table, const cst_command *command,
                            const cst_completion *out, uint64_t *rows_max_out);

void csti_cpu_execute(csti_cpu_executor *executor, const csti_entry_in_flight *entry,
                      cst_completion *out);

#endif
