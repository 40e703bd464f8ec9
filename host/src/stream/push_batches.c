#include "stream/push_batches.h"

#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_BYTES_MIN = 1 << 20, // of a batch, at most; lines may be longer
    RUNS_FIRST = 64,
    FORGOTTEN_MAX = 64, // in a record
    RECORD_BYTES_MAX = CSTI_WAL_PAYLOAD_BYTES_MAX,
    RECORD_HEAD_BYTES = 64,                      // of the log's frame and of the record
    RUN_BYTES = 16 + CSTI_PRODUCER_ID_BYTES_MAX, // or less
    COLUMN_BYTES = 16,                           // its head, an offset more than rows, and bits
};

// Copied: producers go while their rows wait.
typedef struct kept_id {
    uint32_t bytes;
    char text[CSTI_PRODUCER_ID_BYTES_MAX];
} kept_id;

typedef struct push_run {
    kept_id id;
    csti_producer *giver; // NULL: it has left
    uint64_t seq_last;
    uint32_t rows;
} push_run;

typedef struct push_batch {
    csti_row_columns columns;
    uint32_t rows_count;
    size_t text_bytes;
    uint32_t runs_count, runs_capacity;
    push_run *runs;
    uint32_t forgotten_count, forgotten_capacity;
    kept_id *forgotten;
    _Atomic uint64_t rows_logged;
} push_batch;

struct csti_push_batches {
    csti_push_batches_options options;
    size_t text_bytes_max;
    csti_buffer record;
    csti_arena work; // of one record's runs
    push_batch *list;
};

// Of a batch's lines; a quarter of the log's memory, if that is little.
static size_t text_bytes_of(const csti_push_batches_options *options) {
    csti_wal_stats log;
    size_t bytes;

    csti_wal_stats_read(options->wal, &log);
    bytes = log.memory_bytes / 4 < TEXT_BYTES_MIN ? (size_t)log.memory_bytes / 4 : TEXT_BYTES_MIN;
    return options->line_bytes_max > bytes ? options->line_bytes_max : bytes;
}

// Rows of a batch whose record fits the log's memory whatever is in them: a null takes as much as a
// value, and every row may be a run of its own.
static uint32_t rows_that_fit(const csti_push_batches_options *options, size_t text_bytes_max) {
    const cst_schema *schema = &options->shape->schema;
    uint64_t row_bytes = RUN_BYTES, bytes;
    csti_wal_stats log;

    csti_wal_stats_read(options->wal, &log);
    bytes = log.memory_bytes < RECORD_BYTES_MAX ? log.memory_bytes : RECORD_BYTES_MAX;
    for (uint32_t c = 0; c < schema->columns_count; c++) {
        const uint32_t width = cst_column_value_bytes(&schema->columns[c]);

        row_bytes += 1 + (width ? width : sizeof(int32_t));
    }
    const uint64_t others = RECORD_HEAD_BYTES + COLUMN_BYTES * (uint64_t)schema->columns_count +
                            FORGOTTEN_MAX * (uint64_t)RUN_BYTES + text_bytes_max;
    const uint64_t rows = bytes > others ? (bytes - others) / row_bytes : 0;

    assert(rows > 0);
    return rows < options->rows_max ? (uint32_t)rows : options->rows_max;
}

cst_code csti_push_batches_open(const csti_push_batches_options *options, csti_push_batches **out,
                                cst_err *err) {
    csti_push_batches *made = calloc(1, sizeof *made);
    cst_code code = CST_OK;

    if (!made) return cst_fail(err, CST_NO_MEMORY, "batches");
    made->options = *options;
    made->text_bytes_max = text_bytes_of(options);
    made->options.rows_max = rows_that_fit(options, made->text_bytes_max);
    csti_buffer_init(&made->record, RECORD_BYTES_MAX);
    csti_arena_init(&made->work, RECORD_BYTES_MAX);
    made->list = calloc(options->splits_count, sizeof *made->list);
    if (!made->list) code = cst_fail(err, CST_NO_MEMORY, "batches");
    for (uint32_t s = 0; s < options->splits_count && code == CST_OK; s++)
        code = csti_columns_open(&made->list[s].columns, &options->shape->schema,
                                 made->options.rows_max, made->text_bytes_max, err);
    if (code != CST_OK) {
        csti_push_batches_close(made);
        return code;
    }
    *out = made;
    return CST_OK;
}

static void batch_close(push_batch *batch) {
    csti_columns_close(&batch->columns);
    free(batch->runs);
    free(batch->forgotten);
}

void csti_push_batches_close(csti_push_batches *batches) {
    if (!batches) return;
    for (uint32_t s = 0; batches->list && s < batches->options.splits_count; s++)
        batch_close(&batches->list[s]);
    free(batches->list);
    csti_buffer_release(&batches->record);
    csti_arena_release(&batches->work);
    free(batches);
}

uint64_t csti_push_rows_logged(const csti_push_batches *batches, uint32_t split) {
    // Relaxed: a number that is shown.
    return atomic_load_explicit(&batches->list[split].rows_logged, memory_order_relaxed);
}

// ---- Into the log -------------------------------------------------------------------------------

static cst_code record_write(csti_push_batches *batches, push_batch *batch, cst_err *err) {
    void *memory = NULL;
    csti_push_run *runs;
    csti_push_id *forgotten;
    cst_batch rows;
    cst_code code;

    csti_arena_reset(&batches->work);
    code = csti_arena_alloc(&batches->work, batch->runs_count * sizeof *runs,
                            alignof(csti_push_run), &memory, err);
    runs = memory;
    if (code == CST_OK)
        code = csti_arena_alloc(&batches->work, batch->forgotten_count * sizeof *forgotten,
                                alignof(csti_push_id), &memory, err);
    forgotten = memory;
    if (code != CST_OK) return code;
    for (uint32_t r = 0; r < batch->runs_count; r++) {
        const push_run *run = &batch->runs[r];
        const uint64_t seq_first = run->id.bytes ? run->seq_last + 1 - run->rows : 0;

        runs[r] = (csti_push_run){{run->id.text, run->id.bytes}, seq_first, run->rows};
    }
    for (uint32_t f = 0; f < batch->forgotten_count; f++)
        forgotten[f] = (csti_push_id){batch->forgotten[f].text, batch->forgotten[f].bytes};
    csti_columns_batch(&batch->columns, batch->rows_count, &rows);
    csti_buffer_reset(&batches->record);
    return csti_push_record_write(&rows, runs, batch->runs_count, forgotten, batch->forgotten_count,
                                  &batches->record, err);
}

static cst_code batch_log(csti_push_batches *batches, uint32_t split, cst_err *err) {
    push_batch *batch = &batches->list[split];
    uint64_t position = 0;
    cst_code code;

    if (batch->rows_count == 0 && batch->forgotten_count == 0) return CST_OK;
    code = record_write(batches, batch, err);
    if (code == CST_OK)
        code = csti_wal_append(batches->options.wal, (uint16_t)split, batches->record.bytes,
                               (uint32_t)batches->record.used_bytes, &position, err);
    if (code != CST_OK) return code;
    for (uint32_t r = 0; r < batch->runs_count; r++) {
        const push_run *run = &batch->runs[r];

        if (run->giver)
            batches->options.placed(batches->options.context, run->giver, position, run->seq_last);
    }
    atomic_store_explicit(&batch->rows_logged,
                          atomic_load_explicit(&batch->rows_logged, memory_order_relaxed) +
                              batch->rows_count,
                          memory_order_relaxed);
    csti_columns_reset(&batch->columns);
    batch->rows_count = batch->runs_count = batch->forgotten_count = 0;
    batch->text_bytes = 0;
    return CST_OK;
}

cst_code csti_push_batches_flush(csti_push_batches *batches, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t s = 0; s < batches->options.splits_count && code == CST_OK; s++)
        code = batch_log(batches, s, err);
    csti_wal_submit(batches->options.wal);
    return code;
}

// ---- Rows ---------------------------------------------------------------------------------------

cst_code csti_push_row_begin(csti_push_batches *batches, uint32_t split, size_t text_bytes,
                             csti_row_columns **columns_out, uint32_t *row_out, cst_err *err) {
    push_batch *batch = &batches->list[split];

    assert(text_bytes <= batches->text_bytes_max);
    if (batch->rows_count == batches->options.rows_max ||
        batch->text_bytes + text_bytes > batches->text_bytes_max) {
        const cst_code code = batch_log(batches, split, err);

        if (code != CST_OK) return code;
    }
    *columns_out = &batch->columns;
    *row_out = batch->rows_count;
    return CST_OK;
}

// Room for one more behind `count` of them; NULL: no memory, and *list is as it was.
static void *grown(void *list, uint32_t count, uint32_t *capacity, size_t bytes) {
    const uint32_t wanted = *capacity ? *capacity * 2 : RUNS_FIRST;
    void *more;

    if (count < *capacity) return list;
    more = realloc(list, wanted * bytes);
    if (more) *capacity = wanted;
    return more;
}

static void id_keep(kept_id *to, csti_push_id id) {
    assert(id.bytes <= sizeof to->text);
    to->bytes = id.bytes;
    if (id.bytes) memcpy(to->text, id.text, id.bytes);
}

// The run that the row goes on, or a new one. NULL: no memory.
static push_run *run_of(push_batch *batch, csti_push_id id, uint64_t seq, csti_producer *giver) {
    push_run *last = batch->runs_count ? &batch->runs[batch->runs_count - 1] : NULL;
    push_run *runs;

    if (last && last->giver == giver && last->seq_last + 1 == seq) return last;
    runs = grown(batch->runs, batch->runs_count, &batch->runs_capacity, sizeof *runs);
    if (!runs) return NULL;
    batch->runs = runs;
    last = &runs[batch->runs_count++];
    *last = (push_run){.giver = giver};
    id_keep(&last->id, id);
    return last;
}

cst_code csti_push_row_end(csti_push_batches *batches, uint32_t split, size_t text_bytes,
                           csti_push_id id, uint64_t seq, csti_producer *giver, cst_err *err) {
    push_batch *batch = &batches->list[split];
    push_run *run;

    assert(batch->rows_count < batches->options.rows_max);
    run = run_of(batch, id, seq, giver);
    if (!run) return cst_fail(err, CST_NO_MEMORY, "runs of a batch");
    run->seq_last = seq;
    run->rows++;
    batch->rows_count++;
    batch->text_bytes += text_bytes;
    return CST_OK;
}

void csti_push_giver_leaves(csti_push_batches *batches, uint32_t split,
                            const csti_producer *giver) {
    push_batch *batch = &batches->list[split];

    for (uint32_t r = 0; r < batch->runs_count; r++)
        if (batch->runs[r].giver == giver) batch->runs[r].giver = NULL;
}

cst_code csti_push_forget(csti_push_batches *batches, uint32_t split, csti_push_id id,
                          cst_err *err) {
    push_batch *batch = &batches->list[split];
    const bool is_full = batch->rows_count > 0 || batch->forgotten_count == FORGOTTEN_MAX;
    cst_code code = is_full ? batch_log(batches, split, err) : CST_OK;
    kept_id *ids;

    if (code != CST_OK) return code;
    ids = grown(batch->forgotten, batch->forgotten_count, &batch->forgotten_capacity, sizeof *ids);
    if (!ids) return cst_fail(err, CST_NO_MEMORY, "ids of a batch");
    batch->forgotten = ids;
    id_keep(&ids[batch->forgotten_count++], id);
    return CST_OK;
}
