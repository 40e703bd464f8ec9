// source_tcp.c: rows that producers push over TCP, through a write-ahead log.
//
//   tcp_server ──► log ──► a reader of it a split ──► records of the split ──► batches
//    its thread              the worker's thread      below `durable` alone
//
// A split gives what is on disk: so no checkpoint holds a row that the log might lose, and a start
// goes the same way as every other row: it reads the log from the checkpoint's offset on.
#include "base/crc32c.h"
#include "base/park.h"
#include "codec/types.h"
#include "stream/push_record.h"
#include "stream/rows_text.h"
#include "stream/source_kind.h"
#include "stream/tcp_server.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPLIT_PREFIX "tcp-"

enum {
    OFFSET_BYTES_MAX = 8 << 20,
    RECORD_ROWS_MAX = 8192,
    WAL_MEMORY_BYTES = 16 << 20, // half a file at most; a record has less than 8 MiB
    WAL_FILES = 8,               // of the disk's bound, at least
    TURN_MS = 100,
    SCHEMA_TEXT_BYTES = 2048,
    KEPT_MAX = 64,
    LISTEN_TRIES = 100,
};

#define LISTEN_AGAIN_NS UINT64_C(100000000)
#define WAITS_NS UINT64_C(1000000000) // before a checkpoint is asked for

// Where a split stood at a checkpoint.
typedef struct split_place {
    uint64_t wal, row;
    const char *producers; // not zero-terminated
    size_t producers_bytes;
} split_place;

typedef struct tcp_source {
    csti_source source;
    csti_source_options options;
    char *listen, *wal_folder;
    csti_source_life life;
    csti_wal *wal;
    csti_producers producers;                     // the server's
    split_place *places;                          // while begin recovers
    uint64_t end;                                 // of the log, when it was opened
    bool missing;                                 // there was none: what only it had is gone
    _Atomic uint64_t *committed, *recovered_rows; // of each split
    uint64_t kept[KEPT_MAX]; // positions of the checkpoints committed last, round and round
    uint64_t kept_count;
    csti_tls_context *tls;           // NULL: none
    csti_tcp_server *_Atomic server; // NULL: it does not listen
    pthread_t thread;
    bool started;
    _Atomic bool stops;
} tcp_source;

typedef struct tcp_split {
    csti_split split;
    csti_wal_reader *reader;
    csti_producers producers; // as of the rows that were given
    csti_push_record record;
    bool open;         // rows of the record are left
    uint64_t position; // of the record, or of what comes next
    uint32_t row;      // the next of it
    uint32_t first;    // the first of the last batch
    uint32_t skip;     // rows of the first record that a checkpoint has
    cst_column_data columns[CST_COLUMNS_MAX];
    uint8_t *bits[CST_COLUMNS_MAX]; // validity of rows that do not begin a byte
    csti_buffer offset;
    csti_split_stats stats;
} tcp_split;

static tcp_source *source_of(const csti_split *split) {
    return (tcp_source *)split->source;
}

static csti_tcp_server *server_of(const tcp_source *source) {
    // Acquire pairs with the release in serve.
    return atomic_load_explicit(&source->server, memory_order_acquire);
}

// ---- Offsets ------------------------------------------------------------------------------------

// {"wal":P,"row":N,"splits":S,"producers":"..."} as it is written, and nothing else.
static cst_code place_read(const char *offset, uint32_t splits_count, split_place *out,
                           cst_err *err) {
    static const char *const heads[] = {"{\"wal\":", ",\"row\":", ",\"splits\":"};
    static const char last[] = ",\"producers\":\"";
    uint64_t numbers[3];
    const char *at = offset;
    size_t bytes;

    for (int i = 0; i < 3; i++) {
        char *end = NULL;

        if (strncmp(at, heads[i], strlen(heads[i])) != 0) goto wrong;
        at += strlen(heads[i]);
        if (*at < '0' || *at > '9') goto wrong;
        numbers[i] = strtoull(at, &end, 10);
        at = end;
    }
    if (strncmp(at, last, sizeof last - 1) != 0) goto wrong;
    at += sizeof last - 1;
    bytes = strcspn(at, "\"");
    if (strcmp(at + bytes, "\"}") != 0 || numbers[1] > CST_BATCH_ROWS_MAX) goto wrong;
    if (numbers[2] != splits_count)
        return cst_fail(err, CST_SOURCE_CHANGED,
                        "it was one of %" PRIu64 " splits, and there are %" PRIu32
                        ". Put that number into [source] splits",
                        numbers[2], splits_count);
    *out = (split_place){numbers[0], numbers[1], at, bytes};
    return CST_OK;
wrong:
    return cst_fail(err, CST_PARSE, "offset '%.80s' is none of a tcp source", offset);
}

static const char *split_offset(csti_split *base) {
    tcp_split *split = (tcp_split *)base;
    csti_buffer *out = &split->offset;

    csti_buffer_reset(out);
    if (csti_buffer_format(out, NULL,
                           "{\"wal\":%" PRIu64 ",\"row\":%" PRIu32 ",\"splits\":%" PRIu32
                           ",\"producers\":\"",
                           split->position, split->open ? split->row : split->skip,
                           base->source->splits_count) != CST_OK ||
        csti_producers_write(&split->producers, out, NULL) != CST_OK ||
        csti_buffer_append(out, "\"}", 3, NULL) != CST_OK)
        return NULL;
    return (const char *)out->bytes;
}

// ---- A split ------------------------------------------------------------------------------------

static void split_close(csti_split *base) {
    tcp_split *split = (tcp_split *)base;

    csti_wal_reader_close(split->reader);
    csti_producers_close(&split->producers);
    csti_buffer_release(&split->offset);
    for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++) free(split->bits[c]);
    free(split);
}

static cst_code split_fill(tcp_split *split, const char *offset, cst_err *err) {
    const tcp_source *source = source_of(&split->split);
    const cst_schema *schema = &source->source.shape.schema;
    split_place place = {0};
    cst_code code = CST_OK;

    if (!source->wal) return cst_fail(err, CST_USAGE, "a tcp source that has not begun");
    if (offset) code = place_read(offset, source->source.splits_count, &place, err);
    if (code == CST_OK)
        code = csti_producers_open(&split->producers, source->options.producers_max, err);
    if (code == CST_OK)
        code = csti_producers_read(&split->producers, place.producers, place.producers_bytes, err);
    for (uint32_t c = 0; c < schema->columns_count && code == CST_OK; c++) {
        if (!schema->columns[c].nullable) continue;
        split->bits[c] = malloc(RECORD_ROWS_MAX / 8 + 1);
        if (!split->bits[c]) code = cst_fail(err, CST_NO_MEMORY, "a split");
    }
    split->position = source->missing ? source->end : place.wal;
    split->skip = source->missing ? 0 : (uint32_t)place.row;
    if (code == CST_OK)
        code = csti_wal_reader_open(source->wal, split->position, &split->reader, err);
    if (code == CST_OK) csti_wal_reader_choose(split->reader, (uint16_t)split->split.index);
    return code;
}

static cst_code split_open(csti_source *base, uint32_t index, const char *offset, csti_split **out,
                           cst_err *err) {
    tcp_split *split = calloc(1, sizeof *split);
    cst_code code;

    if (!split) return cst_fail(err, CST_NO_MEMORY, "a split");
    split->split = (csti_split){.source = base, .index = index};
    csti_buffer_init(&split->offset, OFFSET_BYTES_MAX);
    code = split_fill(split, offset, err);
    if (code != CST_OK) {
        split_close(&split->split);
        return code;
    }
    *out = &split->split;
    return CST_OK;
}

// The next record that is the split's, or AGAIN; those of others are passed.
static cst_code record_next(tcp_split *split, cst_err *err) {
    const tcp_source *source = source_of(&split->split);
    const uint64_t durable = csti_wal_durable(source->wal);

    while (csti_wal_reader_position(split->reader) < durable) {
        csti_wal_record record;
        cst_code code = csti_wal_reader_next(split->reader, &record, err);

        if (code != CST_OK) return code;
        if (record.kind == split->split.index) {
            code = csti_push_record_read(record.payload, record.payload_bytes,
                                         &source->source.shape.schema, &split->record, err);
            if (code == CST_OK && split->skip > split->record.rows_count)
                code = cst_fail(err, CST_WAL_CORRUPT, "a record of %" PRIu32 " rows, not %" PRIu32,
                                split->record.rows_count, split->skip);
            if (code != CST_OK)
                return cst_fail_at(err, code, "log, record %" PRIu64, record.position);
            split->position = record.position;
            split->row = split->skip;
            split->skip = 0;
            split->open = true;
            split->stats.bytes += record.payload_bytes;
            return CST_OK;
        }
        split->position = record.position + 1;
    }
    return CST_AGAIN;
}

// Bits from `row` on, moved to the front of a byte.
static void bits_slice(const uint8_t *from, uint32_t row, uint32_t count, uint8_t *out) {
    memset(out, 0, (count + 7) / 8);
    for (uint32_t r = 0; r < count; r++)
        out[r / 8] |= (uint8_t)((from[(row + r) / 8] >> (row + r) % 8 & 1) << r % 8);
}

static void batch_slice(tcp_split *split, uint32_t count, cst_batch *out) {
    const cst_schema *schema = &split->split.source->shape.schema;

    for (uint32_t c = 0; c < schema->columns_count; c++) {
        const cst_column_data *from = &split->record.columns[c];
        const uint32_t width = cst_column_value_bytes(&schema->columns[c]);
        cst_column_data *to = &split->columns[c];

        *to = *from;
        if (width)
            to->values =
                (cst_buffer){(const uint8_t *)from->values.data + (size_t)split->row * width,
                             (size_t)count * width};
        else
            to->offsets = (cst_buffer){(const uint8_t *)from->offsets.data +
                                           (size_t)split->row * sizeof(int32_t),
                                       ((size_t)count + 1) * sizeof(int32_t)};
        if (from->validity.bytes == 0 || split->row == 0) continue;
        bits_slice(from->validity.data, split->row, count, split->bits[c]);
        to->validity = (cst_buffer){split->bits[c], (count + 7) / 8};
    }
    *out = (cst_batch){.schema = schema, .rows_count = count, .columns = split->columns};
}

static cst_code rows_give(tcp_split *split, uint32_t rows_max, cst_batch *out, cst_err *err) {
    const uint32_t left = split->record.rows_count - split->row;
    const uint32_t count = left < rows_max ? left : rows_max;
    const cst_code code = csti_push_record_note(&split->record, split->row, split->row + count,
                                                &split->producers, err);

    if (code != CST_OK) return code;
    if (count > 0) batch_slice(split, count, out);
    split->first = split->row;
    split->row += count;
    split->stats.rows += count;
    if (split->row < split->record.rows_count) return CST_OK;
    split->open = false;
    split->position++;
    return CST_OK;
}

static cst_code split_next(csti_split *base, uint32_t rows_max, cst_batch *out, bool *ended_out,
                           cst_err *err) {
    tcp_split *split = (tcp_split *)base;
    const tcp_source *source = source_of(base);
    cst_code code = CST_OK;

    *ended_out = false;
    *out = (cst_batch){.schema = &base->source->shape.schema};
    while (code == CST_OK && out->rows_count == 0) {
        if (!split->open) code = record_next(split, err);
        if (code == CST_OK) code = rows_give(split, rows_max, out, err);
    }
    if (code != CST_AGAIN || !source->options.until_end) return code;
    *ended_out = csti_wal_reader_position(split->reader) >= source->end;
    return *ended_out ? CST_OK : CST_AGAIN;
}

static cst_code split_row_fail(csti_split *base, uint32_t row, cst_code code, cst_err *err) {
    const tcp_split *split = (const tcp_split *)base;
    csti_push_cursor at = csti_push_record_begin(&split->record);
    uint32_t first = 0;
    csti_push_run run;

    row += split->first;
    while (csti_push_run_next(&split->record, &at, &run)) {
        if (row < first + run.rows) {
            if (run.id.bytes == 0) return cst_fail_at(err, code, "a row of no producer");
            return cst_fail_at(err, code, "producer %.*s, row %" PRIu64, (int)run.id.bytes,
                               run.id.text, run.seq_first + (row - first));
        }
        first += run.rows;
    }
    return code;
}

static void split_stats(const csti_split *base, csti_split_stats *out) {
    const tcp_split *split = (const tcp_split *)base;
    const tcp_source *source = source_of(base);
    uint64_t rows =
        atomic_load_explicit(&source->recovered_rows[base->index], memory_order_relaxed);

    *out = split->stats;
    if (server_of(source)) rows += csti_tcp_server_rows(server_of(source), base->index);
    out->lag_bytes = rows > out->rows ? rows - out->rows : 0;
}

// ---- The log ------------------------------------------------------------------------------------

// What a record is read by: columns, and how many splits they are shared out to.
static uint64_t schema_of(const tcp_source *source) {
    const csti_row_shape *shape = &source->source.shape;
    char text[SCHEMA_TEXT_BYTES] = "";
    uint32_t crc = csti_crc32c(0, &source->source.splits_count, sizeof(uint32_t));

    // A text that is too long is cut, and its names still count.
    (void)!cst_schema_format(&shape->schema, text, sizeof text);
    crc = csti_crc32c(crc, text, strlen(text));
    for (uint32_t c = 0; c < shape->schema.columns_count; c++)
        crc = csti_crc32c(crc, shape->names[c], strlen(shape->names[c]) + 1);
    return crc;
}

// A record of before. What the split's checkpoint has of it, its producers have, too.
static cst_code recovered(void *context, const csti_wal_record *from, cst_err *err) {
    tcp_source *source = context;
    csti_push_record record;
    uint64_t rows;
    uint32_t skip;
    cst_code code;

    if (from->kind >= source->source.splits_count)
        return cst_fail(err, CST_WAL_CORRUPT, "log, record %" PRIu64 ": of split %u",
                        from->position, from->kind);
    if (from->position < source->places[from->kind].wal) return CST_OK;
    code = csti_push_record_read(from->payload, from->payload_bytes, &source->source.shape.schema,
                                 &record, err);
    if (code == CST_OK)
        code = csti_push_record_note(&record, 0, record.rows_count, &source->producers, err);
    if (code != CST_OK) return cst_fail_at(err, code, "log, record %" PRIu64, from->position);
    skip = from->position == source->places[from->kind].wal
               ? (uint32_t)source->places[from->kind].row
               : 0;
    rows = record.rows_count > skip ? record.rows_count - skip : 0;
    atomic_fetch_add_explicit(&source->recovered_rows[from->kind], rows, memory_order_relaxed);
    for (csti_producer *p = source->producers.newest; p && p->placed != p->seq; p = p->older) {
        p->placed = p->seq;
        p->position = from->position;
    }
    return CST_OK;
}

static void woken(void *context) {
    tcp_source *source = context;
    csti_tcp_server *server = server_of(source);

    if (server) csti_tcp_server_wake(server);
}

// Whether there is any file of the log.
static bool log_is_there(const tcp_source *source) {
    DIR *folder = opendir(source->wal_folder);
    const struct dirent *entry;
    bool found = false;

    while (folder && !found && (entry = readdir(folder)) != NULL) found = entry->d_name[0] != '.';
    if (folder) (void)closedir(folder);
    return found;
}

// Of each split; and the lowest and the highest of their positions.
static cst_code places_take(tcp_source *source, uint64_t *lowest_out, uint64_t *highest_out,
                            cst_err *err) {
    uint64_t lowest = UINT64_MAX, highest = 0;

    for (uint32_t s = 0; s < source->source.splits_count; s++) {
        const char *name = source->source.names[s];
        const char *offset = source->life.offset_of(source->life.context, name);
        split_place *place = &source->places[s];
        cst_code code = CST_OK;

        if (offset) code = place_read(offset, source->source.splits_count, place, err);
        if (code == CST_OK)
            code = csti_producers_read(&source->producers, place->producers, place->producers_bytes,
                                       err);
        if (code != CST_OK) return cst_fail_at(err, code, "source split %s", name);
        atomic_init(&source->committed[s], place->wal);
        if (place->wal < lowest) lowest = place->wal;
        if (place->wal > highest) highest = place->wal;
    }
    // They are in a checkpoint: whoever asks is told so at once.
    for (csti_producer *p = source->producers.oldest; p; p = p->newer) p->placed = p->seq;
    *lowest_out = lowest;
    *highest_out = highest;
    return CST_OK;
}

static void report_log(const tcp_source *source, const csti_wal_report *report) {
    const csti_logger *logger = source->life.logger;

    if (report->records > 0)
        CSTI_LOG(logger, CSTI_LOG_INFO, "wal_read", csti_log_u64("records", report->records),
                 csti_log_u64("rewritten", report->rewritten),
                 csti_log_u64("files", report->files));
    if (report->cut_bytes > 0)
        CSTI_LOG(logger, CSTI_LOG_WARN, "wal_tail_cut", csti_log_text("file", report->cut_file),
                 csti_log_u64("offset", report->cut_offset),
                 csti_log_u64("bytes", report->cut_bytes));
    if (source->options.sync_us > 0)
        CSTI_LOG(
            logger, CSTI_LOG_INFO, "wal_loss_window",
            csti_log_u64("interval_us", source->options.sync_us),
            csti_log_text("lost_with_the_machine",
                          source->options.ack == CSTI_ACK_WAL
                              ? "rows of the last interval and of one sync, acknowledged or not"
                              : "rows of the last interval and of one sync, none of them "
                                "acknowledged"));
    if (report->missing)
        CSTI_LOG(logger, CSTI_LOG_WARN, "wal_missing", csti_log_u64("goes_on_at", report->end));
}

// Without a log it goes on where the furthest split was: a position is given once.
static cst_code log_open(tcp_source *source, uint64_t lowest, uint64_t highest, cst_err *err) {
    const bool there = log_is_there(source);
    const csti_source_options *from_options = &source->options;
    csti_wal_options options = {
        .folder = source->wal_folder,
        .job = source->life.job,
        .schema = schema_of(source),
        .tenure = source->life.tenure,
        .incarnation = source->life.incarnation,
        .from = there ? lowest : highest,
        .may_be_missing = from_options->ack == CSTI_ACK_CHECKPOINT,
        .interval_ns = from_options->sync_us * 1000,
        .memory_bytes = WAL_MEMORY_BYTES,
        .file_bytes = from_options->wal_bytes_max / WAL_FILES,
        .disk_bytes_max = from_options->wal_bytes_max,
        .recovered = recovered,
        .woken = woken,
        .context = source,
        .metrics = source->life.metrics,
    };
    csti_wal_report report = {0};
    cst_code code;

    if (options.file_bytes > CSTI_WAL_FILE_BYTES) options.file_bytes = CSTI_WAL_FILE_BYTES;
    if (options.memory_bytes > options.file_bytes / 2)
        options.memory_bytes = options.file_bytes / 2;
    code = csti_wal_open(&options, &source->wal, &report, err);
    if (code != CST_OK) return code;
    source->end = report.end;
    source->missing = !there;
    report_log(source, &report);
    if (report.end < highest)
        return cst_fail(err, CST_WAL_GAP,
                        "%s ends at record %" PRIu64
                        ", and a checkpoint has records up to %" PRIu64,
                        source->wal_folder, report.end, highest);
    return CST_OK;
}

static cst_code begin(csti_source *base, const csti_source_life *life, cst_err *err) {
    tcp_source *source = (tcp_source *)base;
    uint64_t lowest = 0, highest = 0;
    cst_code code;

    source->life = *life;
    source->places = calloc(base->splits_count, sizeof *source->places);
    if (!source->places) return cst_fail(err, CST_NO_MEMORY, "a tcp source");
    code = csti_producers_open(&source->producers, source->options.producers_max, err);
    if (code == CST_OK) code = places_take(source, &lowest, &highest, err);
    if (code == CST_OK) code = log_open(source, lowest, highest, err);
    free(source->places);
    source->places = NULL;
    return code;
}

// ---- Checkpoints --------------------------------------------------------------------------------

static void committed(csti_source *base, const char *split, const char *offset) {
    tcp_source *source = (tcp_source *)base;
    split_place place = {0};

    for (uint32_t s = 0; s < base->splits_count; s++) {
        if (strcmp(base->names[s], split) != 0) continue;
        // It is what this process wrote.
        if (place_read(offset, base->splits_count, &place, NULL) == CST_OK)
            atomic_store_explicit(&source->committed[s], place.wal, memory_order_release);
    }
}

// Whoever has to go back to an older checkpoint that is kept finds its rows here, as long as there
// is room for them.
static void truncate_log(csti_source *base) {
    tcp_source *source = (tcp_source *)base;
    const uint32_t kept =
        source->life.checkpoints_kept < KEPT_MAX ? source->life.checkpoints_kept : KEPT_MAX;
    uint64_t position = UINT64_MAX;
    cst_err err = {.code = CST_OK};

    for (uint32_t s = 0; s < base->splits_count; s++) {
        const uint64_t at = atomic_load_explicit(&source->committed[s], memory_order_relaxed);

        if (at < position) position = at;
    }
    source->kept[source->kept_count++ % kept] = position;
    if (csti_wal_used_percent(source->wal) < CSTI_WAL_SLOW_PERCENT)
        position = source->kept_count >= kept ? source->kept[source->kept_count % kept] : 0;
    if (csti_wal_truncate(source->wal, position, &err) != CST_OK)
        CSTI_LOG_LIMITED(source->life.logger, CSTI_LOG_WARN, 1, "wal_not_truncated",
                         csti_log_text("why", err.text));
    woken(source);
}

static bool waits(const csti_source *base, uint64_t now_ns) {
    const tcp_source *source = (const tcp_source *)base;
    const csti_tcp_server *server = server_of(source);
    const uint64_t since_ns = server ? csti_tcp_server_waits_ns(server) : 0;

    return since_ns != 0 && now_ns - since_ns >= WAITS_NS;
}

// ---- Serving ------------------------------------------------------------------------------------

static void *server_main(void *context) {
    tcp_source *source = context;
    csti_tcp_server *server = server_of(source);
    cst_err err = {.code = CST_OK};
    cst_code code = CST_OK;

    // Acquire pairs with the release of source_close.
    while (code == CST_OK && !atomic_load_explicit(&source->stops, memory_order_acquire))
        code = csti_tcp_server_turn(server, TURN_MS, &err);
    if (code == CST_OK)
        csti_tcp_server_finish(server);
    else
        source->life.failed(source->life.context, code, &err);
    return NULL;
}

static cst_code server_open(tcp_source *source, csti_tcp_server **out, cst_err *err) {
    const csti_source_options *from = &source->options;
    const uint32_t rows_max =
        from->batch_rows < RECORD_ROWS_MAX ? from->batch_rows : RECORD_ROWS_MAX;
    const csti_tcp_server_options options = {
        .listen = source->listen,
        .wal = source->wal,
        .producers = &source->producers,
        .shape = &source->source.shape,
        .splits_count = source->source.splits_count,
        .rows_max = rows_max,
        .ack = from->ack,
        .committed = source->committed,
        .connections_max = from->connections_max,
        .producers_max = from->producers_max,
        .line_bytes_max = (uint32_t)from->line_bytes_max,
        .tls = source->tls,
        .clock = source->life.clock,
        .logger = source->life.logger,
        .metrics = source->life.metrics,
        .place_check = source->life.place_check,
        .context = source->life.context,
    };
    const int tries = source->life.patient ? LISTEN_TRIES : 1;
    csti_parker parker;
    cst_code code = CST_OK;

    csti_parker_init(&parker);
    for (int i = 0; i < tries; i++) {
        if (i > 0)
            (void)csti_park_until(&parker, csti_clock_now_ns(source->life.clock) + LISTEN_AGAIN_NS);
        code = csti_tcp_server_open(&options, out, err);
        if (code != CST_IO) return code;
    }
    return code;
}

static cst_code tls_open(tcp_source *source, cst_err *err) {
    static const char *const settings[CSTI_TLS_FILES] = {CSTI_TLS_SETTINGS};
    const csti_logger *logger = source->life.logger;
    csti_tls_file wrong;
    csti_tls_validity validity;
    cst_code code;

    if (!source->options.tls.paths[CSTI_TLS_CERT]) return CST_OK;
    code = csti_tls_server_open(&source->options.tls, &source->tls, &wrong, err);
    if (code != CST_OK) return cst_fail_at(err, code, "[source] %s", settings[wrong]);
    validity = csti_tls_validity_at(source->tls, csti_clock_wall_us(source->life.clock));
    CSTI_LOG(logger, CSTI_LOG_INFO, "tls",
             csti_log_text("certificate", source->options.tls.paths[CSTI_TLS_CERT]),
             csti_log_text("from", validity.from), csti_log_text("until", validity.until));
    if (validity.early || validity.over)
        CSTI_LOG(logger, CSTI_LOG_WARN, "tls_certificate_not_valid",
                 csti_log_text("certificate", source->options.tls.paths[CSTI_TLS_CERT]),
                 csti_log_text(validity.over ? "until" : "from",
                               validity.over ? validity.until : validity.from));
    return CST_OK;
}

static cst_code serve(csti_source *base, cst_err *err) {
    tcp_source *source = (tcp_source *)base;
    csti_tcp_server *server = NULL;
    cst_code code;
    int failed;

    if (source->options.until_end) return CST_OK; // what is in the log, and no more
    code = tls_open(source, err);
    if (code == CST_OK) code = server_open(source, &server, err);
    if (code != CST_OK) return code;
    // Release pairs with the acquire in server_of.
    atomic_store_explicit(&source->server, server, memory_order_release);
    failed = pthread_create(&source->thread, NULL, server_main, source);
    if (failed) return cst_fail(err, CST_IO, "the tcp thread: %s", strerror(failed));
    source->started = true;
    CSTI_LOG(source->life.logger, CSTI_LOG_INFO, "listening",
             csti_log_text("address", csti_tcp_server_address(server)));
    return CST_OK;
}

static const char *address(const csti_source *base) {
    const tcp_source *source = (const tcp_source *)base;

    return server_of(source) ? csti_tcp_server_address(server_of(source)) : NULL;
}

// ---- The source ---------------------------------------------------------------------------------

static void source_close(csti_source *base) {
    tcp_source *source = (tcp_source *)base;
    csti_tcp_server *server = server_of(source);

    // Release pairs with the acquire of the thread.
    atomic_store_explicit(&source->stops, true, memory_order_release);
    if (server) csti_tcp_server_wake(server);
    if (source->started) (void)pthread_join(source->thread, NULL);
    csti_wal_close(source->wal);
    csti_tcp_server_close(server);
    csti_tls_context_close(source->tls);
    csti_producers_close(&source->producers);
    free(source->committed);
    free(source->recovered_rows);
    free(base->names);
    free(source->listen);
    free(source->wal_folder);
    free(source);
}

static const csti_source_ops tcp_ops = {
    .close = source_close,
    .split_open = split_open,
    .split_close = split_close,
    .split_next = split_next,
    .split_offset = split_offset,
    .split_stats = split_stats,
    .begin = begin,
    .serve = serve,
    .committed = committed,
    .truncate = truncate_log,
    .waits = waits,
    .address = address,
};

static cst_code source_fill(tcp_source *source, const csti_source_options *options, cst_err *err) {
    csti_source *base = &source->source;

    base->names = calloc(options->stripes, sizeof *base->names);
    source->committed = calloc(options->stripes, sizeof *source->committed);
    source->recovered_rows = calloc(options->stripes, sizeof *source->recovered_rows);
    source->listen = strdup(options->listen);
    source->wal_folder = strdup(options->wal_folder);
    if (!base->names || !source->committed || !source->recovered_rows || !source->listen ||
        !source->wal_folder)
        return cst_fail(err, CST_NO_MEMORY, "a tcp source");
    base->splits_count = options->stripes;
    for (uint32_t s = 0; s < options->stripes; s++)
        (void)snprintf(base->names[s], CSTI_SPLIT_NAME_BYTES, SPLIT_PREFIX "%" PRIu32, s);
    return CST_OK;
}

cst_code csti_tcp_source_open(const csti_source_options *options, csti_source **out, cst_err *err) {
    tcp_source *source;
    cst_code code = cst_schema_check(&options->shape.schema, err);

    if (code != CST_OK) return code;
    if (!options->listen || !options->wal_folder || options->stripes == 0 ||
        options->stripes > CSTI_STRIPES_MAX || options->connections_max == 0 ||
        options->producers_max == 0 || options->line_bytes_max == 0 ||
        options->line_bytes_max > CSTI_RECORD_BYTES_MAX || options->wal_bytes_max == 0)
        return cst_fail(err, CST_USAGE, "source: an option of tcp is missing or out of range");
    source = calloc(1, sizeof *source);
    if (!source) return cst_fail(err, CST_NO_MEMORY, "a tcp source");
    source->source = csti_source_base(options, &tcp_ops, split_row_fail);
    source->options = *options;
    code = source_fill(source, options, err);
    return csti_source_give(&source->source, code, out);
}
