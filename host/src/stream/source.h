// source.h: where rows come from, at offsets that can be come back to.
//
//   source ──► splits (a file, a stripe of a generator) ──► each is read by one reader
//   next(split, rows_max) ──► batch of whole rows, and the split's offset behind it
//
//   generator   offset {"row":N,"stripes":S}: rows of its stripe before N are done. Blocks of
//               CSTI_STRIPE_ROWS rows go round: stripe s of S has those whose number mod S is s;
//               and "workload", "seed", "keys", "skew", which make the rows what they are
//   file        offset {"device":D,"inode":I,"byte":B,"head":H,"line":L}: identity and position.
//               head: CRC32C of the file's first bytes (at most 4 KiB of what had been read);
//               and "unended":1 where the last line is a row and has no line end yet
//   tcp         offset {"wal":P,"row":N,"splits":S,"producers":"a=5 b=7"}: records of its log below
//               P are done, and N rows of that one; the last row of each producer until there
//
// Rows that are pushed wait in a log of the source's own, which belongs to whoever owns the job:
// begin, once it is claimed and before splits are opened; serve, once rows may flow; committed and
// truncate, behind each checkpoint.
//
// Promises   a split opened at an offset gives the rows behind it, the same ones in the same order;
//            batches may be cut elsewhere. Rows of a batch pass cst_batch_check.
// Thread     a split: one. Splits of a source: any.
// Ring       1: reads files, never waits for more: CST_AGAIN says that there is nothing now.
// Owner      a batch holds until the split's next call.
// Errors     SOURCE_CHANGED: the file shrank, or another one has its name: what it was, what it is,
//            and the size of the gap (also: a split of an offset is gone, another number of
//            stripes, another stream of a generator); PARSE: an offset that is none; SOURCE_RECORD:
//            path, line, byte offset, column, why; IO; NOT_FOUND. After SOURCE_RECORD the split
//            stands before the bad record.
#ifndef CST_STREAM_SOURCE_H
#define CST_STREAM_SOURCE_H

#include "base/log.h"
#include "base/metrics.h"
#include "stream/tls.h"

#include <constellation/batch.h>
#include <constellation/generator.h>

enum {
    CSTI_SPLIT_NAME_BYTES = 256,
    CSTI_OFFSET_BYTES_MAX = 1024, // of kinds whose offsets are a few numbers, with a NUL
    CSTI_COLUMN_NAME_BYTES = 64,
    CSTI_SPLITS_MAX = 65536,
    CSTI_STRIPES_MAX = 1024,
    CSTI_STRIPE_ROWS = 8192,
    CSTI_SOURCE_BATCH_ROWS = 8192, // if nothing is said
    CSTI_SOURCE_BATCH_ROWS_MAX = CST_GENERATOR_ROWS_MAX,
};

typedef struct csti_row_shape {
    cst_schema schema; // of all columns, in order; not a key's
    char names[CST_COLUMNS_MAX][CSTI_COLUMN_NAME_BYTES];
} csti_row_shape;

typedef enum csti_source_kind {
    CSTI_SOURCE_GENERATOR,
    CSTI_SOURCE_FILE,
    CSTI_SOURCE_TCP,
} csti_source_kind;
// What an acknowledged row has survived: it is in the write-ahead log, or in a checkpoint.
typedef enum csti_push_ack { CSTI_ACK_WAL, CSTI_ACK_CHECKPOINT } csti_push_ack;
typedef enum csti_file_format { CSTI_FILE_CSV, CSTI_FILE_NDJSON } csti_file_format;

typedef struct csti_source_options {
    csti_source_kind kind;
    // generator
    const char *generator;
    cst_generator_options generate;
    uint64_t rows; // of all splits together; 0: no end
    // file
    const char *path; // one file, or a folder: each of its files is a split, by name
    csti_file_format format;
    bool csv_header;      // the first line names the columns
    bool follow;          // the end of a file is not the end of its split: it may grow
    bool until_end;       // followed no further than it is there; a line without LF stays unread
    csti_row_shape shape; // file; a generator brings its own
    uint32_t batch_rows;  // most rows of a batch; 0: CSTI_SOURCE_BATCH_ROWS
    uint32_t stripes;     // generator, tcp: splits to make of it; at least 1
    // tcp; shape, batch_rows and until_end as above (it does not listen then)
    const char *listen;     // "127.0.0.1:7000"
    const char *wal_folder; // made in a folder that is there
    csti_push_ack ack;
    uint64_t sync_us; // 0: each acknowledged row is synced first
    uint32_t connections_max, producers_max;
    uint64_t line_bytes_max, wal_bytes_max;
    csti_tls_files tls; // without a certificate: none
} csti_source_options;

typedef struct csti_source csti_source;
typedef struct csti_split csti_split;

// What a source that rows are pushed to has to know of the job that owns it. Borrowed until close.
typedef struct csti_source_life {
    const char *job;
    uint64_t incarnation, tenure;
    bool patient; // an owner that was pushed aside may still hold its address
    uint32_t checkpoints_kept;
    const csti_clock *clock;
    const csti_logger *logger; // NULL: none
    csti_metrics *metrics;
    // Where the split goes on; NULL: from its beginning.
    const char *(*offset_of)(void *context, const char *split);
    // FENCED: the job has another owner. Any thread, as the one below.
    cst_code (*place_check)(void *context, cst_err *err);
    void (*failed)(void *context, cst_code code, const cst_err *err); // it takes no more rows
    void *context;
} csti_source_life;

CST_CHECK_RESULT cst_code csti_source_open(const csti_source_options *options, csti_source **out,
                                           cst_err *err);
void csti_source_close(csti_source *source); // NULL is allowed; its splits are closed first
const csti_row_shape *csti_source_shape(const csti_source *source);
// Splits now: "generator-0", "file-bids.ndjson". Sorted.
uint32_t csti_source_splits_count(const csti_source *source);
const char *csti_source_split_name(const csti_source *source, uint32_t index);

// At an offset of an earlier life; NULL: at its beginning.
CST_CHECK_RESULT cst_code csti_split_open(csti_source *source, const char *name, const char *offset,
                                          csti_split **out, cst_err *err);
void csti_split_close(csti_split *split); // NULL is allowed
// The next rows, at most rows_max (0: as many as a batch has). CST_AGAIN: none now (a followed
// file); *ended_out: none ever again, and out->rows_count is 0 then.
CST_CHECK_RESULT cst_code csti_split_next(csti_split *split, uint32_t rows_max, cst_batch *out,
                                          bool *ended_out, cst_err *err);
// Puts where a row of the batch last handed out is in front of what *err says: file, line and byte,
// or the row's number. Gives `code` back; the batch is gone.
CST_CHECK_RESULT cst_code csti_split_row_fail(csti_split *split, uint32_t row, cst_code code,
                                              cst_err *err);
// The offset behind the batch last handed out, as text; it holds until the split's next call. NULL:
// no memory for it.
const char *csti_split_offset(csti_split *split);

// ---- Sources that rows are pushed to; the others have nothing to do here ------------------------

CST_CHECK_RESULT cst_code csti_source_begin(csti_source *source, const csti_source_life *life,
                                            cst_err *err);
CST_CHECK_RESULT cst_code csti_source_serve(csti_source *source, cst_err *err);
const char *csti_source_address(const csti_source *source); // where it listens; NULL: nowhere
// A committed checkpoint has the split's rows up to the offset; and then, once a checkpoint, that
// all its splits were told of. One thread.
void csti_source_committed(csti_source *source, const char *split, const char *offset);
void csti_source_truncate(csti_source *source);
// Whether somebody waits for a checkpoint that nothing else brings. Any thread.
bool csti_source_waits(const csti_source *source, uint64_t now_ns);

typedef struct csti_split_stats {
    uint64_t rows, bytes;
    uint64_t lag_bytes; // file: behind its end; generator: rows left
} csti_split_stats;
void csti_split_stats_read(const csti_split *split, csti_split_stats *out);

#endif
