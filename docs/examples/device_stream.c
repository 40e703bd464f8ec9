// device_stream.c: bids through a device: encode, hash and aggregate in one pass, several batches
// in flight, a barrier after every tenth of them.
//
//   generator ──► slot 0..3 ──► driver ──► device ──► completions ──► the slot is free again
//                                  └─ GROW, prepare and resume by itself
//
// usage: example.device_stream [URI [ROWS]]      the rows of `generate bids`, seed 1, on cpu:
// Prints auction,bids,cents,highest of every auction, and what it did on stderr.
#include <constellation/constellation.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, BATCH_ROWS = 4096, AUCTION = 0, PRICE = 2, TIMEOUT_US = 10 * 1000 * 1000 };

// A batch in flight: its buffers stay as they are until its completion.
typedef struct slot {
    uint64_t auctions[BATCH_ROWS];
    uint64_t prices[BATCH_ROWS];
    cst_column_data key_column;
    cst_batch keys;
    cst_source price;
} slot;

typedef struct job {
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table;
    cst_driver *driver;
    cst_generator *generator;
    cst_schema keys;
    slot slots[SLOTS];
    uint32_t in_flight;
    uint64_t epochs;
} job;

static const cst_table_options OPTIONS = {
    .layout = CST_TABLE_INLINE,
    .key_bytes = 8,
    .program = {.value_bytes = 24,
                .accumulators_count = 3,
                .presence_offset = CST_NO_OFFSET,
                .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                 {CST_SUM, CST_U64, 8, 0, 0},
                                 {CST_MAX, CST_U64, 16, 0, 0}}},
    .hash_key = {1, 2},
    .budget_bytes = UINT64_C(1) << 30,
    .numa_node = -1,
};

static cst_code job_open(job *j, const char *uri, cst_err *err) {
    const cst_generator_options generator = {.seed = 1, .skew = -1};
    const cst_queue_options queue = {.depth = 2 * SLOTS};
    cst_code code = cst_device_open(uri, &j->device, err);

    if (code == CST_OK) code = cst_queue_open(j->device, &queue, &j->queue, err);
    if (code == CST_OK) code = cst_schema_parse("u64", &j->keys, err);
    if (code == CST_OK) code = cst_device_table_open(j->queue, &OPTIONS, &j->keys, &j->table, err);
    if (code == CST_OK) code = cst_driver_open(j->queue, &j->driver, err);
    if (code == CST_OK) code = cst_generator_open("bids", &generator, &j->generator, err);
    return code;
}

static void job_close(job *j) {
    cst_generator_close(j->generator);
    cst_driver_close(j->driver);
    cst_device_table_close(j->table);
    cst_queue_close(j->queue);
    cst_device_close(j->device);
}

// Waits for one completion; a row that cannot be applied ends the job here.
static cst_code completion_take(job *j, cst_err *err) {
    cst_completion done = {0};
    uint32_t count = 0;
    cst_code code = cst_driver_poll(j->driver, TIMEOUT_US, &done, 1, &count, err);

    if (code != CST_OK) return code;
    if (count == 0) return cst_fail(err, CST_DEVICE_LOST, "no completion within 10 s");
    if (done.code != CST_OK)
        return cst_fail(err, done.code, "row %u: %s", done.rows_done, cst_code_text(done.code));
    j->in_flight--;
    if (done.delta.epoch) j->epochs++; // a barrier's: here a job would write the delta away
    return CST_OK;
}

static cst_code submit(job *j, const cst_command *command, cst_err *err) {
    cst_code code = cst_driver_submit(j->driver, command, NULL, err);

    while (code == CST_AGAIN) { // as many in flight as the queue is deep
        code = completion_take(j, err);
        if (code == CST_OK) code = cst_driver_submit(j->driver, command, NULL, err);
    }
    if (code == CST_OK) j->in_flight++;
    return code;
}

static cst_code batch_submit(job *j, slot *s, uint32_t rows_count, cst_err *err) {
    cst_batch rows;
    const cst_code code = cst_generator_next(j->generator, rows_count, &rows);

    if (code != CST_OK) return cst_fail(err, code, "the generator");
    // The generator uses its buffers again, so the columns are copied.
    memcpy(s->auctions, rows.columns[AUCTION].values.data, rows_count * sizeof *s->auctions);
    memcpy(s->prices, rows.columns[PRICE].values.data, rows_count * sizeof *s->prices);
    s->key_column = (cst_column_data){.values = {s->auctions, rows_count * sizeof *s->auctions}};
    s->keys = (cst_batch){.schema = &j->keys, .rows_count = rows_count, .columns = &s->key_column};
    s->price = (cst_source){.values = s->prices, .type = CST_TYPE_U64};
    const cst_command command = {
        .ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
        .table = j->table,
        .batch = &s->keys,
        .rows = {.rows_count = rows_count, .sources = &s->price},
    };
    return submit(j, &command, err);
}

static cst_code job_run(job *j, uint64_t rows_count, cst_err *err) {
    const uint64_t batches_count = (rows_count + BATCH_ROWS - 1) / BATCH_ROWS;
    const uint64_t batches_an_epoch = batches_count / 10 + 1;
    const cst_command barrier = {.ops = CST_OP_BARRIER, .table = j->table};
    cst_code code = CST_OK;

    for (uint64_t b = 0; code == CST_OK && b < batches_count; b++) {
        const uint64_t left = rows_count - b * BATCH_ROWS;

        // Slots are taken in turn: when this one's last batch may still be in flight, wait.
        while (code == CST_OK && j->in_flight >= SLOTS) code = completion_take(j, err);
        if (code == CST_OK)
            code = batch_submit(j, &j->slots[b % SLOTS],
                                left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS, err);
        if (code == CST_OK && (b + 1) % batches_an_epoch == 0) code = submit(j, &barrier, err);
    }
    if (code == CST_OK) code = submit(j, &barrier, err);
    while (code == CST_OK && j->in_flight > 0) code = completion_take(j, err);
    return code;
}

static cst_code rows_print(job *j, cst_err *err) {
    cst_table *image = cst_device_table_image(j->table);
    cst_scan scan = {0};
    cst_row_ref rows[256];
    uint32_t count = 0;

    if (!image) return cst_fail(err, CST_UNSUPPORTED, "the table is out of the host's reach");
    do {
        const cst_code code = cst_table_scan(image, &scan, rows, 256, &count);

        if (code != CST_OK) return cst_fail(err, code, "scan");
        for (uint32_t i = 0; i < count; i++) {
            uint8_t scratch[8];
            uint64_t value[3];
            cst_value auction;

            if (cst_key_decode(&j->keys, rows[i].key, rows[i].key_bytes, &auction, scratch, err) !=
                CST_OK)
                return err->code;
            memcpy(value, rows[i].value, sizeof value);
            printf("%llu,%llu,%llu,%llu\n", (unsigned long long)auction.u128,
                   (unsigned long long)value[0], (unsigned long long)value[1],
                   (unsigned long long)value[2]);
        }
    } while (count > 0);
    return CST_OK;
}

int main(int argc, char **argv) {
    const char *uri = argc > 1 ? argv[1] : "cpu:";
    const uint64_t rows_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 200000;
    job *j = calloc(1, sizeof *j);
    cst_err err = {0};
    cst_code code;

    if (!j) return 1;
    code = job_open(j, uri, &err);
    if (code == CST_OK) code = job_run(j, rows_count, &err);
    if (code == CST_OK) code = rows_print(j, &err);
    if (code == CST_OK)
        fprintf(stderr, "%llu rows on %s, %llu epochs\n", (unsigned long long)rows_count, uri,
                (unsigned long long)j->epochs);
    else
        fprintf(stderr, "example.device_stream: %s\n", err.text);
    job_close(j);
    free(j);
    return code == CST_OK ? 0 : 1;
}
