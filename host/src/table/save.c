// The image as a file: blocks of {bytes, crc32c, payload}, the parts in a fixed order.
//
//   control block | live log map | free log ring | directory | index | slots | live log | slab |
//   end
//
// What follows from the control block is not stored, so a block of any other length is refused.
#include "base/crc32c.h"
#include "table/log.h"
#include "table/open.h"

enum { BLOCK_BYTES = 64 << 10 };

typedef struct block_head {
    uint32_t bytes;
    uint32_t crc; // of the block's number (8 bytes) and its payload
} block_head;
_Static_assert(sizeof(block_head) == 8, "a block's head is 8 bytes");

// Saving and loading walk the same parts; `write` or `read` is set.
typedef struct image_stream {
    cst_write write;
    cst_read read;
    void *context;
    uint64_t block;
    cst_err *err;
} image_stream;

static uint32_t block_crc(uint64_t block, const void *bytes, size_t count) {
    return csti_crc32c(csti_crc32c(0, &block, sizeof block), bytes, count);
}

static cst_code save_block(image_stream *stream, const void *bytes, uint32_t count) {
    const block_head head = {count, block_crc(stream->block, bytes, count)};
    const cst_code code = stream->write(stream->context, &head, sizeof head, stream->err);

    if (code != CST_OK || count == 0) return code;
    return stream->write(stream->context, bytes, count, stream->err);
}

static cst_code load_block(image_stream *stream, void *bytes, uint32_t count) {
    block_head head;
    cst_code code = stream->read(stream->context, &head, sizeof head, stream->err);

    if (code != CST_OK) return code;
    if (head.bytes != count)
        return cst_fail(stream->err, CST_TABLE_CORRUPT, "image block %llu: %u bytes, not %u",
                        (unsigned long long)stream->block, head.bytes, count);
    if (count > 0) code = stream->read(stream->context, bytes, count, stream->err);
    if (code != CST_OK) return code;
    if (head.crc != block_crc(stream->block, bytes, count))
        return cst_fail(stream->err, CST_TABLE_CORRUPT, "image block %llu: checksum",
                        (unsigned long long)stream->block);
    return CST_OK;
}

static cst_code pass_part(image_stream *stream, void *bytes, size_t count) {
    uint8_t *at = bytes;

    while (count > 0) {
        const uint32_t block = count < BLOCK_BYTES ? (uint32_t)count : BLOCK_BYTES;
        const cst_code code =
            stream->write ? save_block(stream, at, block) : load_block(stream, at, block);

        if (code != CST_OK) return code;
        stream->block++;
        at += block;
        count -= block;
    }
    return CST_OK;
}

static cst_code pass_log_maps(image_stream *stream, const cst_table *table) {
    const csti_control *control = table->control;
    const uint32_t mask = table->log_segments_max - 1;
    cst_code code = CST_OK;

    if (control->log_tail == CSTI_LOG_BEGIN) return CST_OK; // no segment was ever taken
    for (uint64_t n = control->log_floor >> table->log_segment_shift;
         n << table->log_segment_shift < control->log_tail && code == CST_OK; n++) {
        code = pass_part(stream, &table->log_map[n & mask], sizeof(uint32_t));
        if (code == CST_OK && table->log_map[n & mask] >= control->log_segments_frontier)
            code = cst_fail(stream->err, CST_TABLE_CORRUPT, "image: log map");
    }
    for (uint32_t i = 0; i < control->log_free_count && code == CST_OK; i++)
        code = pass_part(stream, &table->log_free[(control->log_free_first + i) & mask],
                         sizeof(uint32_t));
    return code;
}

static cst_code pass_log(image_stream *stream, const cst_table *table) {
    const uint64_t segment = UINT64_C(1) << table->log_segment_shift;
    const uint64_t tail = table->control->log_tail;
    cst_code code = CST_OK;

    for (uint64_t from = table->control->log_floor; from < tail && code == CST_OK;) {
        const uint64_t end = (from | (segment - 1)) + 1;
        const uint64_t to = end < tail ? end : tail;

        code = pass_part(stream, csti_log_record(table, from), to - from);
        from = to;
    }
    return code;
}

// Everything behind the control block.
static cst_code pass_regions(image_stream *stream, const cst_table *table) {
    const csti_control *control = table->control;
    cst_code code = pass_log_maps(stream, table);

    if (code == CST_OK)
        code = pass_part(stream, table->directory,
                         control->directory_rows * sizeof(csti_directory_row));
    if (code == CST_OK)
        code = pass_part(stream, table->index,
                         (size_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS *
                             sizeof(csti_control_line));
    if (code == CST_OK)
        code = pass_part(stream, table->slots,
                         (size_t)control->chunks_frontier * table->chunk_slot_bytes);
    if (code == CST_OK) code = pass_log(stream, table);
    if (code == CST_OK) code = pass_part(stream, table->slab, control->slab_frontier);
    if (code != CST_OK) return code;
    return stream->write ? save_block(stream, NULL, 0) : load_block(stream, NULL, 0);
}

cst_code cst_table_save(const cst_table *table, cst_write write, void *context, cst_err *err) {
    image_stream stream = {.write = write, .context = context, .err = err};
    const cst_code code = pass_part(&stream, table->control, CSTI_CONTROL_BYTES);

    return code == CST_OK ? pass_regions(&stream, table) : code;
}

// The control block must say what the options say, before a size is taken from it.
static cst_code check_control(const cst_table *table, const cst_table_options *options,
                              cst_err *err) {
    const csti_control *control = table->control;

    if (control->magic != CSTI_IMAGE_MAGIC || control->version != CSTI_IMAGE_VERSION)
        return cst_fail(err, CST_TABLE_CORRUPT, "image: magic or version %u", control->version);
    if (control->layout != options->layout || control->key_bytes != options->key_bytes ||
        memcmp(&control->program, &options->program, sizeof options->program) != 0)
        return cst_fail(err, CST_SCHEMA_MISMATCH, "image: of a table with other options");
    if (control->directory_depth > CSTI_DIRECTORY_DEPTH_MAX ||
        control->directory_rows >= UINT64_C(2) << control->directory_depth ||
        control->log_segments_frontier > table->log_segments_max ||
        control->log_free_count > table->log_segments_max ||
        control->log_free_first >= table->log_segments_max ||
        control->log_floor > control->log_tail || control->log_floor < CSTI_LOG_BEGIN ||
        control->slab_frontier > table->budget_bytes || // by itself: the sum could wrap
        csti_used_bytes(table) > table->budget_bytes)
        return cst_fail(err, CST_TABLE_CORRUPT, "image: sizes of the control block");
    return CST_OK;
}

static void note_used(cst_table *table) {
    const csti_control *control = table->control;

    table->used[CSTI_REGION_DIRECTORY] = control->directory_rows * sizeof(csti_directory_row);
    table->used[CSTI_REGION_INDEX] =
        (uint64_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS * sizeof(csti_control_line);
    table->used[CSTI_REGION_SLOTS] = (uint64_t)control->chunks_frontier * table->chunk_slot_bytes;
    table->used[CSTI_REGION_LOG] = (uint64_t)control->log_segments_frontier
                                   << table->log_segment_shift;
    table->used[CSTI_REGION_SLAB] = control->slab_frontier;
}

cst_code cst_table_load(const cst_table_options *options, cst_read read, void *context,
                        cst_table **out, cst_err *err) {
    image_stream stream = {.read = read, .context = context, .err = err};
    cst_table *table = NULL;
    cst_code code = csti_table_open_empty(options, &table, err);

    if (code == CST_OK) code = pass_part(&stream, table->control, CSTI_CONTROL_BYTES);
    if (code == CST_OK) code = check_control(table, options, err);
    if (code == CST_OK) {
        note_used(table);
        code = csti_table_start(table, options, err);
    }
    if (code == CST_OK) code = pass_regions(&stream, table);
    if (code == CST_OK) code = cst_table_check(table, err);
    if (code != CST_OK) {
        cst_table_close(table);
        return code;
    }
    *out = table;
    return CST_OK;
}
