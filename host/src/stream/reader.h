// reader.h: the task that reads splits, prepares their rows and sends them to the partitions.
//
//   split ─► steps ─► encode, hash on a device ─► router ─► channels
//     ▲                                              │
//     └── not before all of the last batch is in ◄───┘   a full channel holds the reader up
//
//   between two batches   barrier pending? ─► open blocks, the splits' offsets (cut), barrier
//
// A watermark is the least of its splits' (greatest event time - lateness), of those that are not
// at their end and had rows within idle_us; at the end of all splits, of all, or CSTI_WATERMARK_END
// with end_closes. Blocks that are not full go out, and the watermark with them, after
// CSTI_READER_FLUSH_NS at the latest, and at once when there is nothing to read.
//
// With rows_every a split stops after each so many rows and waits for a barrier: the cut is at the
// same rows whatever the speed of anything. at_cut says that one waits and no other can go on: it
// waits, too, has ended, or has nothing now (a followed file, which may have nothing for ever).
// A FINAL barrier is the last cut: nothing is read behind it; another barrier still passes.
//
// Promises   a cut's offsets are of exactly the rows sent before its barrier. Rows of a split come
//            in its order. poll never waits; it does at most one batch of work.
// Thread     poll: one. The observers: any.
// Ring       1.
// Owner      borrows source, key, queue, channels, cell, clock and `paused`, and the splits' names;
//            the other options until open returns. The steps are its own, also if open fails.
// Errors     of source, steps and device, naming the split; DEVICE_SELFTEST: a hash is wrong;
// KEY_TOO_LONG, and where the row is.
//            The channels then end with that code, and every later poll gives it again.
#ifndef CST_STREAM_READER_H
#define CST_STREAM_READER_H

#include "base/clock.h"
#include "stream/reader_steps.h"
#include "stream/route.h"

#include <constellation/device.h>

#define CSTI_READER_FLUSH_NS UINT64_C(5000000)

typedef struct csti_reader csti_reader;

typedef struct csti_reader_split {
    const char *name;
    const char *offset;    // NULL: from its beginning
    int64_t watermark_us;  // CSTI_WATERMARK_NONE: none yet
    uint32_t number;       // what blocks call it
    const uint64_t *skips; // as route.h has it
} csti_reader_split;

// Where a split stands at a cut.
typedef struct csti_reader_position {
    const char *split;
    const char *offset; // both hold until the call is over
    int64_t watermark_us;
    bool ended;
    uint32_t number;
    const uint64_t *routed, *skips; // as route.h has them, of the rows up to here
} csti_reader_position;

// Takes what each split had given up to the barrier, once a split and cut. An error stops the
// reader.
typedef cst_code (*csti_reader_cut)(void *context, csti_barrier barrier,
                                    const csti_reader_position *position, cst_err *err);

// How the key is made of a batch that comes out of the steps.
typedef struct csti_reader_key {
    cst_schema schema;
    uint32_t columns[CST_COLUMNS_MAX];
    uint32_t key_bytes;       // fixed; 0: variable
    uint32_t key_bytes_max;   // longer ones are KEY_TOO_LONG
    uint32_t hash_tail_bytes; // at the key's end, that its hash leaves out
    cst_hash_key hash_key;
} csti_reader_key;

typedef struct csti_reader_options {
    uint32_t reader;
    const csti_clock *clock;
    csti_source *source;
    const csti_reader_split *splits;
    uint32_t splits_count;
    csti_steps *steps;
    const csti_reader_key *key;
    const uint32_t *source_columns; // of a batch that comes out of the steps
    uint32_t event_time_column;     // UINT32_MAX: none
    int64_t lateness_us;
    uint64_t idle_us;
    cst_queue *queue;                 // of its own
    cst_queue *processor;             // where smaller batches are encoded; NULL: on `queue` too
    uint32_t device_rows_min;         // with `processor`
    bool proves_hashes;               // the first and the last of a batch, on the processor
    bool end_closes;                  // behind the end of all splits no time is early enough
    uint32_t rows_max;                // of a batch that is read; 0: as many as come out
    const csti_router_options *route; // rows_max: of a batch that comes out of the steps
    uint64_t rows_every;              // of each split; 0: barriers come when they come
    csti_barrier_cell *barriers;
    const _Atomic uint32_t *paused; // not 0: nothing new is read
    csti_reader_cut cut;
    void *context;
} csti_reader_options;

CST_CHECK_RESULT cst_code csti_reader_open(const csti_reader_options *options, csti_reader **out,
                                           cst_err *err);
void csti_reader_close(csti_reader *reader); // NULL is allowed
// Where the splits stand before anything is read, to `cut`, with a barrier of id 0.
CST_CHECK_RESULT cst_code csti_reader_tell(csti_reader *reader, cst_err *err);

// CST_OK: something was done; CST_AGAIN: nothing to do now; else why the reader has stopped. `err`
// is not NULL.
CST_CHECK_RESULT cst_code csti_reader_poll(csti_reader *reader, cst_err *err);

typedef struct csti_reader_stats {
    uint64_t rows, bytes;    // read in this life
    uint64_t dropped;        // by filters
    uint64_t lag;            // of its splits: rows or bytes behind the end, where that is known
    uint64_t processor_rows; // encoded on `processor`
    uint64_t full_count;     // polls in which a channel had no block for a row
    uint64_t passed_id;      // the last barrier that it sent on; 0: none
    int64_t watermark_us;    // last sent; CSTI_WATERMARK_NONE
    bool ended;              // all its splits have ended, and all rows are sent
    bool at_cut;             // waits for the barrier behind passed_id, see rows_every
    bool waits;              // has looked behind passed_id, and none of its splits could read on
    bool finished;           // has passed a FINAL barrier
    bool skips;              // of a split there are rows ahead that a partition has already
} csti_reader_stats;
// Any thread.
void csti_reader_stats_read(const csti_reader *reader, csti_reader_stats *out);

#endif
