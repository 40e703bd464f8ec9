// aggregate.c: bids per auction, sealed ten times, written as deltas, restored by a new process.
//
//   generate ─► encode ─► hash ─► apply ─► seal ─► segment files ─► restore ─► the same table
//
// usage: example.aggregate write FOLDER ROWS    rows into a table, its epochs into FOLDER
//        example.aggregate read FOLDER          the table out of FOLDER, as CSV
//        example.aggregate                      both, here, and compares the two tables
#include <constellation/generator.h>
#include <constellation/keys.h>
#include <constellation/segment.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_ROWS = 8192,
    EPOCHS = 10,
    KEY_BYTES = 8,
    AUCTION = 0, // columns of the workload "bids"
    PRICE = 2,
    TABLE_ID = 1,
};
static const char KEY_SCHEMA[] = "u64";

// What an upsert does: count the bid, add its price, keep the highest.
typedef struct totals {
    uint64_t bids, cents, highest;
} totals;
static const cst_program PROGRAM = {
    .value_bytes = sizeof(totals),
    .accumulators_count = 3,
    .presence_offset = CST_NO_OFFSET,
    .accumulators =
        {
            {.op = CST_COUNT, .number = CST_U64, .value_offset = 0, .source = CST_NO_COLUMN},
            {.op = CST_SUM, .number = CST_U64, .value_offset = 8, .source = 0},
            {.op = CST_MAX, .number = CST_U64, .value_offset = 16, .source = 0},
        },
};
// A real job draws this at random once and keeps it with its checkpoints.
static const cst_hash_key HASH_KEY = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static cst_code table_open(uint64_t rows_hint, cst_table **out, cst_err *err) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = KEY_BYTES,
        .program = PROGRAM,
        .hash_key = HASH_KEY,
        .budget_bytes = UINT64_C(1) << 30,
        .rows_hint = rows_hint,
        .numa_node = -1,
        .background = true,
    };
    return cst_table_open(&options, out, err);
}

// One batch: its auction column becomes keys and hashes, its price column feeds the accumulators.
static cst_code batch_apply(cst_table *table, const cst_batch *batch, const cst_schema *key_schema,
                            cst_err *err) {
    static uint8_t key_bytes[BATCH_ROWS * KEY_BYTES];
    static uint64_t hashes[BATCH_ROWS];
    const cst_batch key_columns = {key_schema, batch->rows_count, {NULL, 0}, batch->columns};
    cst_keys keys = {.bytes = key_bytes, .bytes_capacity = sizeof key_bytes};
    cst_code code = cst_keys_encode(&key_columns, &keys);

    if (code != CST_OK) return cst_fail(err, code, "encode");
    cst_hash_fixed(&HASH_KEY, keys.bytes, KEY_BYTES, keys.stride, batch->rows_count, hashes);

    const cst_source price = {.values = batch->columns[PRICE].values.data, .type = CST_TYPE_U64};
    const cst_rows rows = {
        .rows_count = batch->rows_count,
        .key_stride = keys.stride,
        .key_bytes = KEY_BYTES,
        .hashes = hashes,
        .keys = keys.bytes,
        .sources = &price,
    };
    uint32_t applied = 0;
    code = cst_table_apply_all(table, &rows, &applied);
    if (code != CST_OK) return cst_fail(err, code, "row %u of a batch", applied);
    return CST_OK;
}

static cst_code file_write(void *context, const void *bytes, size_t count, cst_err *err) {
    if (fwrite(bytes, 1, count, (FILE *)context) != count)
        return cst_fail(err, CST_IO, "segment file: disk full?");
    return CST_OK;
}

static void segment_name(char *out, size_t capacity, const char *folder, uint64_t epoch) {
    snprintf(out, capacity, "%s/epoch-%04llu.segment", folder, (unsigned long long)epoch);
}

// Seals the open epoch and writes its delta. The first one stands on nothing: it is a full.
static cst_code epoch_write(cst_table *table, const char *folder, uint32_t *checksum,
                            cst_err *err) {
    const cst_delta delta = cst_table_seal(table);
    const cst_bytes *parts[1];
    cst_bytes ranges[1024];
    size_t ranges_count = 0;
    char name[4096];

    cst_table_delta_ranges(table, &delta, ranges, 1024, &ranges_count);
    if (ranges_count > 1024) return cst_fail(err, CST_LIMIT, "delta of %zu ranges", ranges_count);
    parts[0] = ranges;

    const bool first = delta.epoch == 1;
    const cst_segment_info info = {
        .kind = first ? CST_SEGMENT_FULL_UNORDERED : CST_SEGMENT_DELTA,
        .table_id = TABLE_ID,
        .epoch_from = delta.epoch,
        .epoch_to = delta.epoch,
        .base_epoch = delta.epoch - 1,
        .base_checksum = first ? 0 : *checksum,
        .schema_hash = cst_segment_schema_hash(KEY_SCHEMA),
        .program_hash = cst_segment_program_hash(&PROGRAM),
        .hash_key_check = cst_segment_hash_key_check(&HASH_KEY),
        .parts_count = 1,
        .parts = {{CST_TABLE_INLINE, KEY_BYTES, PROGRAM.value_bytes}},
    };
    segment_name(name, sizeof name, folder, delta.epoch);
    FILE *file = fopen(name, "wb");
    if (!file) return cst_fail(err, CST_IO, "%s cannot be created", name);
    cst_segment_summary summary = {0};
    cst_code code = cst_segment_write(&info, parts, &ranges_count, file_write, file, &summary, err);
    if (fclose(file) != 0 && code == CST_OK) code = cst_fail(err, CST_IO, "%s", name);
    if (code != CST_OK) return code;
    *checksum = summary.checksum;
    return cst_table_release(table, &delta); // the file has it: the log's memory is free again
}

static cst_code rows_write(const char *folder, uint64_t rows, cst_table **out, cst_err *err) {
    cst_generator *generator = NULL;
    cst_table *table = NULL;
    cst_schema key_schema;
    uint32_t checksum = 0;
    uint64_t done = 0;
    const cst_generator_options options = {.seed = 1, .skew = -1.0};
    cst_code code = cst_schema_parse(KEY_SCHEMA, &key_schema, err);

    if (code == CST_OK) code = cst_generator_open("bids", &options, &generator, err);
    if (code == CST_OK) code = table_open(0, &table, err);
    for (uint64_t epoch = 1; code == CST_OK && epoch <= EPOCHS; epoch++) {
        const uint64_t until = rows * epoch / EPOCHS;
        while (code == CST_OK && done < until) {
            const uint64_t left = until - done;
            const uint32_t count = left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS;
            cst_batch batch;
            code = cst_generator_next(generator, count, &batch);
            if (code == CST_OK) code = batch_apply(table, &batch, &key_schema, err);
            done += count;
        }
        if (code == CST_OK) code = epoch_write(table, folder, &checksum, err);
    }
    cst_generator_close(generator);
    if (code == CST_OK) {
        *out = table;
        return CST_OK;
    }
    cst_table_close(table);
    return code;
}

static cst_code rows_read(const char *folder, cst_table **out, cst_err *err) {
    cst_segment *segments[EPOCHS] = {NULL};
    cst_table *table = NULL;
    cst_code code = CST_OK;
    const cst_segment_expect expect = {
        .table_id = TABLE_ID,
        .schema_hash = cst_segment_schema_hash(KEY_SCHEMA),
        .program_hash = cst_segment_program_hash(&PROGRAM),
        .hash_key_check = cst_segment_hash_key_check(&HASH_KEY),
    };

    for (size_t i = 0; code == CST_OK && i < EPOCHS; i++) {
        char name[4096];
        segment_name(name, sizeof name, folder, i + 1);
        code = cst_segment_open_file(name, &expect, &segments[i], err);
    }
    if (code == CST_OK)
        code = table_open(cst_restore_rows_hint(segments, EPOCHS, CST_TABLE_INLINE), &table, err);
    if (code == CST_OK)
        code = cst_segment_restore(segments, EPOCHS, table, NULL, &(cst_restore_options){0}, NULL,
                                   err);
    for (size_t i = 0; i < EPOCHS; i++) cst_segment_close(segments[i]);
    if (code == CST_OK) {
        *out = table;
        return CST_OK;
    }
    cst_table_close(table);
    return code;
}

// Prints every row: auction,bids,cents,highest. In the table's order, which is none.
static cst_code rows_print(cst_table *table, cst_err *err) {
    cst_schema schema;
    cst_scan scan = {0};
    cst_row_ref rows[256];
    uint32_t count = 0;
    uint8_t scratch[KEY_BYTES];
    cst_code code = cst_schema_parse(KEY_SCHEMA, &schema, err);

    do {
        if (code == CST_OK) code = cst_table_scan(table, &scan, rows, 256, &count);
        for (uint32_t i = 0; code == CST_OK && i < count; i++) {
            cst_value auction;
            totals value;
            code = cst_key_decode(&schema, rows[i].key, rows[i].key_bytes, &auction, scratch, err);
            memcpy(&value, rows[i].value, sizeof value);
            printf("%llu,%llu,%llu,%llu\n", (unsigned long long)auction.u128,
                   (unsigned long long)value.bids, (unsigned long long)value.cents,
                   (unsigned long long)value.highest);
        }
    } while (code == CST_OK && count > 0);
    return code;
}

// Every row of `a` stands in `b` with the same value, and `b` has no more.
static cst_code tables_compare(cst_table *a, cst_table *b, cst_err *err) {
    cst_table_stats stats_a, stats_b;
    cst_scan scan = {0};
    cst_row_ref rows[256];
    uint32_t count = 0;

    cst_table_stats_read(a, &stats_a);
    cst_table_stats_read(b, &stats_b);
    if (stats_a.rows_count != stats_b.rows_count) return cst_fail(err, CST_INTERNAL, "row counts");
    do {
        cst_code code = cst_table_scan(a, &scan, rows, 256, &count);
        if (code != CST_OK) return cst_fail(err, code, "scan");
        for (uint32_t i = 0; i < count; i++) {
            cst_bytes value = {NULL, 0};
            code = cst_table_get_ref(b, rows[i].key, rows[i].key_bytes, &value);
            if (code != CST_OK || value.count != rows[i].value_bytes ||
                memcmp(value.data, rows[i].value, value.count) != 0)
                return cst_fail(err, CST_INTERNAL, "a row differs after the restore");
        }
    } while (count > 0);
    printf("%llu auctions are the same after the restore\n",
           (unsigned long long)stats_a.rows_count);
    return CST_OK;
}

int main(int argc, char **argv) {
    cst_table *written = NULL;
    cst_table *restored = NULL;
    cst_err err = {0};
    cst_code code;

    if (argc == 4 && strcmp(argv[1], "write") == 0) {
        code = rows_write(argv[2], strtoull(argv[3], NULL, 10), &written, &err);
    } else if (argc == 3 && strcmp(argv[1], "read") == 0) {
        code = rows_read(argv[2], &restored, &err);
        if (code == CST_OK) code = rows_print(restored, &err);
    } else if (argc == 1) {
        code = rows_write(".", 200000, &written, &err);
        if (code == CST_OK) code = rows_read(".", &restored, &err);
        if (code == CST_OK) code = tables_compare(written, restored, &err);
    } else {
        fputs("usage: example.aggregate [write FOLDER ROWS | read FOLDER]\n", stderr);
        return 2;
    }
    if (code != CST_OK)
        fprintf(stderr, "example.aggregate: %s\n", err.text[0] ? err.text : cst_code_text(code));
    cst_table_close(written);
    cst_table_close(restored);
    return code == CST_OK ? 0 : 1;
}
