#include "device/cpu_execute.h"

#include "codec/keys_encode.h"
#include "table/image.h"
#include "table/open.h"

#include <assert.h>
#include <string.h>

enum { BLOCK_ALIGN = 8, SCAN_ROWS = 64 };

// What a pass over a command's rows carries from block to block.
typedef struct cpu_pass {
    csti_cpu_executor *executor;
    const cst_command *command;
    csti_cpu_table *table;   // NULL: ENCODE, HASH on their own
    const cst_hash_key *key; // of HASH
    uint32_t key_bytes;      // of ENCODE: a key's length if all have one, else 0
    cst_completion *out;
} cpu_pass;

// A block's keys and hashes, wherever they are.
typedef struct cpu_block {
    uint32_t from, to; // rows
    cst_rows rows;     // row 0 is `from`
} cpu_block;

// ---- Slices: the same data, seen from row `from` on ---------------------------------------------

static cst_buffer buffer_from(const cst_buffer *buffer, size_t bytes) {
    if (buffer->bytes == 0) return *buffer;
    return (cst_buffer){(const uint8_t *)buffer->data + bytes, buffer->bytes - bytes};
}

static void batch_slice(const cst_batch *batch, uint32_t from, uint32_t to,
                        cst_column_data *columns, cst_batch *out) {
    for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
        const cst_column_data *data = &batch->columns[c];
        const uint32_t width = cst_column_value_bytes(&batch->schema->columns[c]);

        // Offsets are into all of the values, so those of strings stay.
        columns[c].values = buffer_from(&data->values, (size_t)from * width);
        columns[c].offsets = buffer_from(&data->offsets, (size_t)from * sizeof(int32_t));
        columns[c].validity = buffer_from(&data->validity, from / 8);
    }
    *out = (cst_batch){.schema = batch->schema, .rows_count = to - from, .columns = columns};
}

static uint32_t type_bytes(cst_type type) {
    const cst_column column = {.type = type};

    return cst_column_value_bytes(&column);
}

static void sources_slice(const cst_source *sources, uint32_t count, uint32_t from,
                          cst_source *out) {
    for (uint32_t i = 0; i < count; i++) {
        out[i] = sources[i];
        if (!out[i].values) continue;
        out[i].values = (const uint8_t *)out[i].values + (size_t)from * type_bytes(sources[i].type);
        if (out[i].validity) out[i].validity += from / 8;
    }
}

static const void *from_row(const void *column, uint32_t from, size_t bytes_a_row) {
    return column ? (const uint8_t *)column + from * bytes_a_row : NULL;
}

// Everything of the command's rows but keys and hashes.
static void rows_slice(const cpu_pass *pass, uint32_t from, uint32_t to, cst_source *sources,
                       cst_rows *out) {
    const cst_rows *rows = &pass->command->rows;

    *out = *rows;
    out->rows_count = to - from;
    out->first_row = rows->first_row > from ? rows->first_row - from : 0;
    out->ops = from_row(rows->ops, from, 1);
    if (rows->value_offsets)
        out->value_offsets = rows->value_offsets + from;
    else
        out->values = from_row(rows->values, from, rows->value_stride);
    if (!rows->sources || !pass->table) return;
    sources_slice(rows->sources, pass->table->base.sources_count, from, sources);
    out->sources = sources;
}

// ---- The steps of a block -----------------------------------------------------------------------

// Where a block's keys go: the caller's column, or the table's block.
static cst_code keys_place(const cpu_pass *pass, uint32_t from, cst_keys *out) {
    const cst_keys *wanted = pass->command->keys_out;
    size_t used;

    *out = (cst_keys){.offsets = pass->executor->offsets};
    if (!wanted) {
        out->bytes = pass->table->keys;
        out->bytes_capacity = pass->table->keys_capacity;
        return CST_OK;
    }
    used = pass->key_bytes ? (size_t)from * pass->key_bytes : from ? wanted->offsets[from] : 0;
    if (used > wanted->bytes_capacity) return CST_LIMIT;
    out->bytes = wanted->bytes + used;
    out->bytes_capacity = wanted->bytes_capacity - used;
    // Offsets have 32 bits: what lies beyond is no room for keys of variable length.
    if (!pass->key_bytes && out->bytes_capacity > UINT32_MAX - used)
        out->bytes_capacity = UINT32_MAX - used;
    return CST_OK;
}

static void offsets_pass_on(const cpu_pass *pass, const cpu_block *block) {
    cst_keys *wanted = pass->command->keys_out;
    const uint32_t base = block->from ? wanted->offsets[block->from] : 0;

    for (uint32_t r = 0; r <= block->to - block->from; r++)
        wanted->offsets[block->from + r] = base + pass->executor->offsets[r];
}

static cst_code block_encode(const cpu_pass *pass, cpu_block *block, const cst_batch *batch) {
    cst_keys keys;
    cst_code code = keys_place(pass, block->from, &keys);

    if (code == CST_OK) code = csti_keys_encode(pass->executor->codec, batch, &keys);
    if (code != CST_OK) return code;
    block->rows.keys = keys.bytes;
    block->rows.key_stride = block->rows.key_bytes = pass->key_bytes;
    block->rows.key_offsets = pass->key_bytes ? NULL : keys.offsets;
    if (!pass->command->keys_out) return CST_OK;
    pass->command->keys_out->stride = pass->key_bytes;
    if (pass->key_bytes == 0) offsets_pass_on(pass, block);
    return CST_OK;
}

static void block_take_keys(const cpu_pass *pass, cpu_block *block) {
    const cst_rows *rows = &pass->command->rows;

    if (rows->key_offsets)
        block->rows.key_offsets = rows->key_offsets + block->from;
    else
        block->rows.keys = from_row(rows->keys, block->from, rows->key_stride);
}

static void block_hash(const cpu_pass *pass, cpu_block *block) {
    const csti_codec *codec = pass->executor->codec;
    const cst_rows *rows = &block->rows;
    uint64_t *hashes = pass->command->hashes_out ? pass->command->hashes_out + block->from
                                                 : pass->executor->hashes;

    if (rows->key_offsets)
        codec->hash_variable(pass->key, rows->keys, rows->key_offsets, rows->rows_count, hashes);
    else
        codec->hash_fixed(pass->key, rows->keys, rows->key_bytes, rows->key_stride,
                          rows->rows_count, hashes);
    block->rows.hashes = hashes;
}

static cst_code block_apply(const cpu_pass *pass, const cpu_block *block) {
    cst_completion *out = pass->out;
    uint32_t applied = 0;

    assert(pass->table);
    const cst_code code = cst_table_apply(pass->table->image, &block->rows, &applied);
    const uint32_t done = block->rows.first_row + applied;

    out->rows_done = block->from + done;
    if (code == CST_TABLE_FULL) out->hash = block->rows.hashes[done];
    return code;
}

static cst_code block_lookup(const cpu_pass *pass, const cpu_block *block) {
    const cst_command *command = pass->command;
    uint8_t *values = command->values_out;
    uint8_t *found = command->found_out + block->from;
    cst_code code;

    assert(pass->table);
    if (values) values += (size_t)block->from * command->values_stride;
    code =
        cst_table_lookup(pass->table->image, &block->rows, values, command->values_stride, found);
    if (code != CST_OK) return code;
    for (uint32_t r = block->rows.first_row; r < block->rows.rows_count; r++)
        pass->out->count += found[r];
    return CST_OK;
}

static cst_code block_run(const cpu_pass *pass, uint32_t from, uint32_t to,
                          const cst_batch *batch) {
    const uint32_t ops = pass->command->ops;
    cst_source sources[CST_COLUMNS_MAX];
    cpu_block block = {.from = from, .to = to};
    cst_code code = CST_OK;

    rows_slice(pass, from, to, sources, &block.rows);
    if (ops & CST_OP_ENCODE)
        code = block_encode(pass, &block, batch);
    else
        block_take_keys(pass, &block);
    if (code != CST_OK) return code;
    if (ops & CST_OP_HASH)
        block_hash(pass, &block);
    else
        block.rows.hashes = from_row(pass->command->rows.hashes, from, sizeof(uint64_t));
    if (ops & CST_OP_APPLY) return block_apply(pass, &block);
    if (ops & CST_OP_LOOKUP) code = block_lookup(pass, &block);
    if (code == CST_OK) pass->out->rows_done = to;
    return code;
}

// ---- A pass -------------------------------------------------------------------------------------

// Where the block from `from` on ends: what fits the block of keys, in whole groups of 8 rows.
static uint32_t block_end(const cpu_pass *pass, uint32_t from, cst_column_data *columns,
                          cst_batch *batch) {
    const uint32_t rows_count = pass->command->rows.rows_count;
    const bool own_keys = pass->table && !pass->command->keys_out;
    uint32_t rows = rows_count - from;

    if (rows > CSTI_CPU_BLOCK_ROWS) rows = CSTI_CPU_BLOCK_ROWS;
    if (!(pass->command->ops & CST_OP_ENCODE)) return from + rows;
    if (own_keys && pass->key_bytes && (size_t)rows * pass->key_bytes > pass->table->keys_capacity)
        rows = (uint32_t)(pass->table->keys_capacity / pass->key_bytes) & ~(BLOCK_ALIGN - 1u);
    batch_slice(pass->command->batch, from, from + rows, columns, batch);
    while (own_keys && rows > BLOCK_ALIGN &&
           cst_keys_bytes_bound(batch) > pass->table->keys_capacity) {
        rows = (rows / 2 + BLOCK_ALIGN - 1) & ~(BLOCK_ALIGN - 1u);
        batch_slice(pass->command->batch, from, from + rows, columns, batch);
    }
    return from + rows;
}

static cst_code rows_execute(csti_cpu_executor *executor, const cst_command *command,
                             cst_completion *out) {
    csti_cpu_table *table = (csti_cpu_table *)command->table;
    const cpu_pass pass = {
        .executor = executor,
        .command = command,
        .table = table,
        .key = table ? &table->base.options.hash_key : &command->hash_key,
        .key_bytes =
            command->ops & CST_OP_ENCODE ? cst_schema_key_bytes(command->batch->schema) : 0,
        .out = out,
    };
    uint32_t from = command->rows.first_row & ~(BLOCK_ALIGN - 1u);
    cst_code code = CST_OK;

    out->rows_done = command->rows.first_row;
    // Without keys or hashes to keep near there is nothing to cut.
    if (!(command->ops & (CST_OP_ENCODE | CST_OP_HASH)))
        return block_run(&pass, from, command->rows.rows_count, NULL);
    while (code == CST_OK && from < command->rows.rows_count) {
        cst_column_data columns[CST_COLUMNS_MAX];
        cst_batch batch = {0};
        const uint32_t to = block_end(&pass, from, columns, &batch);

        code = block_run(&pass, from, to, &batch);
        from = to;
    }
    return code;
}

// ---- The other commands -------------------------------------------------------------------------

static uint32_t wide_record_bytes(const cst_row_ref *row) {
    const uint32_t key_area = (row->key_bytes + 7) & ~7u;

    return (uint32_t)(sizeof(csti_record) + key_area + row->value_bytes + CSTI_LOG_UNIT - 1) &
           ~(CSTI_LOG_UNIT - 1u);
}

// A row as the record that RESTORE takes.
static void record_write(const csti_cpu_table *table, const cst_row_ref *row, uint32_t bytes,
                         uint8_t *out) {
    const cst_table_options *options = &table->base.options;
    const uint32_t key_bytes =
        options->layout == CST_TABLE_INLINE ? options->key_bytes : row->key_bytes;
    const csti_record head = {.hash = row->hash,
                              .key_bytes = (uint16_t)row->key_bytes,
                              .units = (uint16_t)(bytes / CSTI_LOG_UNIT),
                              .value_flags = row->value_bytes | CSTI_RECORD_PRESENT};

    memset(out, 0, bytes);
    memcpy(out, &head, sizeof head);
    if (row->key_bytes) memcpy(out + sizeof head, row->key, row->key_bytes);
    if (row->value_bytes)
        memcpy(out + sizeof head + ((key_bytes + 7) & ~7u), row->value, row->value_bytes);
}

// One row a time where rows have many widths, so that none is taken that does not fit.
static cst_code scan_execute(const cst_command *command, cst_completion *out) {
    const csti_cpu_table *table = (const csti_cpu_table *)command->table;
    const cst_table_options *options = &table->base.options;
    const bool wide = options->layout == CST_TABLE_WIDE;
    const uint32_t inline_bytes =
        csti_entry_bytes(CST_TABLE_INLINE, options->key_bytes, options->program.value_bytes);
    cst_row_ref rows[SCAN_ROWS];

    for (;;) {
        const size_t rest_bytes = command->scan_bytes - out->position;
        const cst_scan before = *command->scan;
        size_t capacity = wide ? 1 : rest_bytes / inline_bytes;
        uint32_t count = 0;
        cst_code code;

        if (capacity > SCAN_ROWS) capacity = SCAN_ROWS;
        if (capacity == 0) return out->count ? CST_OK : CST_LIMIT;
        code = cst_table_scan(table->image, command->scan, rows, (uint32_t)capacity, &count);
        if (code != CST_OK || count == 0) return code;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t bytes = wide ? wide_record_bytes(&rows[i]) : inline_bytes;

            if (bytes > command->scan_bytes - out->position) {
                *command->scan = before;
                return out->count ? CST_OK : CST_LIMIT;
            }
            record_write(table, &rows[i], bytes, command->scan_out + out->position);
            out->position += bytes;
            out->count++;
        }
    }
}

static cst_code expire_execute(const cst_command *command, cst_completion *out) {
    cst_table *image = ((csti_cpu_table *)command->table)->image;
    cst_code code = CST_OK;

    out->position = command->expire_bucket;
    // A bucket at a time, so that a stopped command says how many are done.
    while (code == CST_OK && out->rows_done < command->expire_buckets_count) {
        uint32_t expired = 0;

        code = cst_table_expire(image, &out->position, 1, command->rows.now_us, &expired);
        out->count += expired;
        out->rows_done += code == CST_OK;
    }
    return code;
}

static cst_code restore_execute(const cst_command *command, cst_completion *out) {
    cst_table *image = ((csti_cpu_table *)command->table)->image;
    size_t used = 0;
    const cst_code code =
        cst_table_restore_records(image, command->restore, command->restore_bytes, &used);

    out->position = used;
    if (code == CST_TABLE_FULL) memcpy(&out->hash, command->restore + used, sizeof out->hash);
    return code;
}

cst_code csti_cpu_command(csti_cpu_executor *executor, const cst_command *command,
                          cst_completion *out) {
    csti_cpu_table *table = (csti_cpu_table *)command->table;

    switch (command->ops) {
    case CST_OP_BARRIER:
        out->delta = cst_table_seal(table->image);
        return CST_OK;
    case CST_OP_SCAN:
        return scan_execute(command, out);
    case CST_OP_RESTORE:
        return restore_execute(command, out);
    case CST_OP_GROW:
        return cst_table_grow(table->image, command->grow_hash);
    case CST_OP_EXPIRE:
        return expire_execute(command, out);
    case CST_OP_RELEASE:
        return cst_table_release(table->image, &command->release);
    default:
        return rows_execute(executor, command, out);
    }
}

bool csti_cpu_begin(csti_cpu_executor *executor, const csti_entry_in_flight *entry,
                    cst_completion *out) {
    const cst_command *command = &entry->command;

    *out = (cst_completion){.ticket = entry->ticket, .tag = command->tag};
    if (executor->stopped && entry->generation != executor->stopped_generation)
        executor->stopped = false;
    if (!executor->stopped || command->fixup) return true;
    out->code = CST_ABORTED;
    out->rows_done = command->rows.first_row;
    return false;
}

void csti_cpu_end(csti_cpu_executor *executor, const csti_entry_in_flight *entry,
                  cst_completion *out) {
    const cst_command *command = &entry->command;

    if (command->table) csti_table_nudge(((csti_cpu_table *)command->table)->image);
    if (!csti_code_stops(out->code) || command->fixup) return;
    out->stopped = true;
    executor->stopped = true;
    executor->stopped_generation = entry->generation;
}

cst_code csti_cpu_scan_rows(const csti_cpu_table *table, const cst_command *command,
                            const cst_completion *out, uint64_t *rows_max_out) {
    const csti_control *control = table->image->control;
    const uint64_t buckets = (uint64_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS;
    const uint64_t rows_max = (command->scan_bytes - out->position) / table->image->entry_bytes;
    cst_scan *scan = command->scan;

    *rows_max_out = 0;
    if (rows_max == 0) return out->count ? CST_OK : CST_LIMIT;
    if (scan->position == 0) scan->grows = control->grows_count;
    if (scan->grows != control->grows_count) return CST_AGAIN;
    if (scan->position < buckets * CSTI_BUCKET_SLOTS) *rows_max_out = rows_max;
    return CST_OK;
}

void csti_cpu_execute(csti_cpu_executor *executor, const csti_entry_in_flight *entry,
                      cst_completion *out) {
    if (!csti_cpu_begin(executor, entry, out)) return;
    out->code = csti_cpu_command(executor, &entry->command, out);
    csti_cpu_end(executor, entry, out);
}
