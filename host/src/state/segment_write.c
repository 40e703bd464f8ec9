#include "state/segment.h"

#include "base/crc32c.h"

#include <stdlib.h>

struct cst_segment_writer {
    csti_segment_header header;
    csti_segment_footer footer;
    csti_record_shape shapes[CST_SEGMENT_PARTS_MAX];
    cst_write write;
    void *context;
    uint32_t part;
    bool failed; // a sink that failed once gets nothing more

    uint32_t block_crc;
    uint32_t block_fill; // bytes of the open block
    uint32_t *blocks;
    uint64_t blocks_capacity;

    // Ordered fulls.
    uint64_t *groups[CST_SEGMENT_PARTS_MAX];
    uint32_t group_next; // the first group of this part whose offset is not known yet
    uint64_t hash_last;
    bool any_record; // of this part
};

// ---- What an info must say ----------------------------------------------------------------------

static const char *part_check(const cst_segment_part *part) {
    if (part->layout == CST_TABLE_WIDE)
        return part->key_bytes || part->value_bytes ? "a wide part has no fixed lengths" : NULL;
    if (part->layout != CST_TABLE_INLINE) return "an unknown table layout";
    if (part->key_bytes > CST_INLINE_KEY_BYTES_MAX) return "an inline key longer than any table's";
    if (part->value_bytes > CST_INLINE_ENTRY_BYTES_MAX ||
        csti_entry_bytes(CST_TABLE_INLINE, part->key_bytes, part->value_bytes) >
            CST_INLINE_ENTRY_BYTES_MAX)
        return "an inline entry wider than any table's";
    return NULL;
}

static const char *epochs_check(const cst_segment_info *info) {
    if (info->epoch_from == 0 || info->epoch_to < info->epoch_from) return "epochs out of order";
    if (info->kind == CST_SEGMENT_DELTA) {
        if (info->base_epoch == 0) return "a delta that stands on nothing";
        if (info->base_epoch + 1 != info->epoch_from)
            return "a delta that does not follow its base";
        return info->tip_checksum ? "a delta with a tip" : NULL;
    }
    if (info->epoch_from != 1) return "a full that does not begin at epoch 1";
    if (info->base_epoch || info->base_checksum) return "a full that stands on something";
    if (info->kind == CST_SEGMENT_FULL_UNORDERED && info->tip_checksum)
        return "an unordered full with a tip";
    return NULL;
}

const char *csti_segment_info_check(const cst_segment_info *info) {
    const char *why;

    if (info->kind < CST_SEGMENT_DELTA || info->kind > CST_SEGMENT_FULL_ORDERED)
        return "an unknown kind of segment";
    why = epochs_check(info);
    if (why) return why;
    if (info->parts_count < 1 || info->parts_count > CST_SEGMENT_PARTS_MAX)
        return "not one or two parts";
    for (uint32_t part = 0; part < info->parts_count; part++) {
        why = part_check(&info->parts[part]);
        if (why) return why;
    }
    if (info->parts_count == 2 && info->parts[0].layout >= info->parts[1].layout)
        return "parts that are not one inline, one wide";
    return NULL;
}

static csti_segment_header header_make(const cst_segment_info *info) {
    csti_segment_header header;

    memset(&header, 0, sizeof header);
    header.magic = CSTI_SEGMENT_MAGIC;
    header.version = CSTI_SEGMENT_VERSION;
    header.header_bytes = CSTI_SEGMENT_HEADER_BYTES;
    header.kind = (uint8_t)info->kind;
    header.parts_count = (uint8_t)info->parts_count;
    header.block_bytes = CST_SEGMENT_BLOCK_BYTES;
    header.base_checksum = info->base_checksum;
    header.table_id = info->table_id;
    header.epoch_from = info->epoch_from;
    header.epoch_to = info->epoch_to;
    header.base_epoch = info->base_epoch;
    header.schema_hash = info->schema_hash;
    header.program_hash = info->program_hash;
    header.hash_key_check = info->hash_key_check;
    header.tip_checksum = info->tip_checksum;
    for (uint32_t part = 0; part < info->parts_count; part++)
        header.parts[part] = (csti_segment_part_head){
            .layout = info->parts[part].layout,
            .key_bytes = info->parts[part].key_bytes,
            .value_bytes = info->parts[part].value_bytes,
            .record_bytes = csti_record_shape_of(&info->parts[part]).record_bytes,
        };
    header.crc32c = csti_crc32c(0, &header, offsetof(csti_segment_header, crc32c));
    return header;
}

// ---- Output -------------------------------------------------------------------------------------

static cst_code put(cst_segment_writer *writer, const void *bytes, size_t count, cst_err *err) {
    cst_code code;

    if (count == 0) return CST_OK;
    code = writer->write(writer->context, bytes, count, err);
    if (code != CST_OK) writer->failed = true;
    return code;
}

static cst_code block_end(cst_segment_writer *writer, cst_err *err) {
    const uint64_t count = writer->footer.blocks_count;

    if (count == writer->blocks_capacity) {
        const uint64_t capacity = count ? count * 2 : 256;
        uint32_t *blocks = realloc(writer->blocks, capacity * sizeof *blocks);

        if (!blocks)
            return cst_fail(err, CST_NO_MEMORY, "segment: table of %zu blocks", (size_t)capacity);
        writer->blocks = blocks;
        writer->blocks_capacity = capacity;
    }
    writer->blocks[count] = writer->block_crc;
    writer->footer.blocks_count = count + 1;
    writer->block_fill = 0;
    return CST_OK;
}

// Takes body bytes into the block checksums.
static cst_code checksum(cst_segment_writer *writer, const uint8_t *bytes, size_t count,
                         cst_err *err) {
    while (count > 0) {
        const size_t room = CST_SEGMENT_BLOCK_BYTES - writer->block_fill;
        const size_t piece = count < room ? count : room;

        if (writer->block_fill == 0)
            writer->block_crc =
                csti_block_crc_begin(writer->header.crc32c, writer->footer.blocks_count);
        writer->block_crc = csti_crc32c(writer->block_crc, bytes, piece);
        writer->block_fill += (uint32_t)piece;
        bytes += piece;
        count -= piece;
        if (writer->block_fill == CST_SEGMENT_BLOCK_BYTES) {
            const cst_code code = block_end(writer, err);

            if (code != CST_OK) return code;
        }
    }
    return CST_OK;
}

// Notes where groups begin, and checks the order, within the bytes at hand by key too.
static const char *order_check(cst_segment_writer *writer, const uint8_t *bytes, size_t count) {
    const uint64_t part_offset = writer->footer.parts[writer->part].bytes;
    uint64_t *groups = writer->groups[writer->part];
    const uint8_t *last = NULL;

    for (size_t at = 0; at < count;) {
        const csti_record head = csti_record_head(bytes + at);
        const uint32_t group = cst_key_group(head.hash);

        if (!(head.value_flags & CSTI_RECORD_PRESENT))
            return "a tombstone or gap in an ordered full";
        if (writer->any_record && head.hash < writer->hash_last) return "a hash out of order";
        if (last && csti_record_key_compare(last, bytes + at) >= 0) return "a key out of order";
        while (writer->group_next <= group) groups[writer->group_next++] = part_offset + at;
        writer->hash_last = head.hash;
        writer->any_record = true;
        last = bytes + at;
        at += csti_record_bytes(head);
    }
    return NULL;
}

static void part_end(cst_segment_writer *writer) {
    uint64_t *groups = writer->groups[writer->part];

    while (groups && writer->group_next < CSTI_GROUPS_ENTRIES)
        groups[writer->group_next++] = writer->footer.parts[writer->part].bytes;
    writer->group_next = 0;
    writer->any_record = false;
    writer->hash_last = 0;
    writer->part++;
}

// ---- Calls --------------------------------------------------------------------------------------

cst_code cst_segment_writer_open(const cst_segment_info *info, cst_write write, void *context,
                                 cst_segment_writer **out, cst_err *err) {
    const char *why = csti_segment_info_check(info);
    cst_segment_writer *writer = NULL;
    cst_code code;

    if (why) return cst_fail(err, CST_USAGE, "segment: %s", why);
    writer = calloc(1, sizeof *writer);
    if (!writer) goto no_memory;
    writer->header = header_make(info);
    writer->write = write;
    writer->context = context;
    for (uint32_t part = 0; part < info->parts_count; part++) {
        writer->shapes[part] = csti_record_shape_of(&info->parts[part]);
        if (info->kind != CST_SEGMENT_FULL_ORDERED) continue;
        writer->groups[part] = malloc(CSTI_GROUPS_BYTES);
        if (!writer->groups[part]) goto no_memory;
    }
    code = put(writer, &writer->header, sizeof writer->header, err);
    if (code != CST_OK) {
        cst_segment_writer_close(writer);
        return code;
    }
    *out = writer;
    return CST_OK;
no_memory:
    cst_segment_writer_close(writer);
    return cst_fail(err, CST_NO_MEMORY, "segment: writer");
}

cst_code cst_segment_writer_append(cst_segment_writer *writer, uint32_t part, const void *bytes,
                                   size_t count, cst_err *err) {
    csti_record_counts counts = {0, 0};
    const char *why = NULL;
    size_t used;
    cst_code code;

    if (writer->failed) return cst_fail(err, CST_ABORTED, "segment: the writer failed before");
    if (part >= writer->header.parts_count || part < writer->part)
        return cst_fail(err, CST_USAGE, "segment: part %u after part %u of %u", part, writer->part,
                        writer->header.parts_count);
    if (count == 0) return CST_OK;
    while (writer->part < part) part_end(writer);
    used = csti_records_walk(&writer->shapes[part], bytes, count, &counts, &why);
    if (used == count && writer->groups[part]) why = order_check(writer, bytes, count);
    if (why || used != count) {
        writer->failed = true;
        return cst_fail(err, CST_SEGMENT_RECORD, "segment: record at offset %zu of part %u: %s",
                        (size_t)(writer->footer.parts[part].bytes + used), part,
                        why ? why : "cut off");
    }
    code = checksum(writer, bytes, count, err);
    if (code != CST_OK) {
        writer->failed = true;
        return code;
    }
    writer->footer.parts[part].bytes += count;
    writer->footer.parts[part].rows += counts.rows;
    writer->footer.parts[part].tombstones += counts.tombstones;
    writer->footer.body_bytes += count;
    return put(writer, bytes, count, err);
}

// Key groups, block table, footer.
static cst_code tail_write(cst_segment_writer *writer, cst_err *err) {
    const uint64_t table_bytes = csti_block_table_bytes(writer->footer.blocks_count);
    const size_t blocks_bytes = (size_t)writer->footer.blocks_count * 4;
    const size_t pad_bytes = (size_t)table_bytes - blocks_bytes;
    static const uint8_t zeros[8];
    csti_segment_footer *footer = &writer->footer;
    cst_code code = CST_OK;

    for (uint32_t part = 0; part < writer->header.parts_count; part++) {
        if (!writer->groups[part]) continue;
        footer->groups_crc32c =
            csti_crc32c(footer->groups_crc32c, writer->groups[part], CSTI_GROUPS_BYTES);
        code = put(writer, writer->groups[part], CSTI_GROUPS_BYTES, err);
        if (code != CST_OK) return code;
    }
    footer->blocks_crc32c = csti_crc32c(0, writer->blocks, blocks_bytes);
    footer->blocks_crc32c = csti_crc32c(footer->blocks_crc32c, zeros, pad_bytes);
    code = put(writer, writer->blocks, blocks_bytes, err);
    if (code == CST_OK) code = put(writer, zeros, pad_bytes, err);
    if (code != CST_OK) return code;
    footer->header_crc32c = writer->header.crc32c;
    footer->segment_bytes = csti_segment_bytes((cst_segment_kind)writer->header.kind,
                                               writer->header.parts_count, footer->body_bytes);
    footer->checksum = csti_crc32c(0, footer, offsetof(csti_segment_footer, checksum));
    footer->end_magic = CSTI_SEGMENT_END_MAGIC;
    return put(writer, footer, sizeof *footer, err);
}

cst_code cst_segment_writer_finish(cst_segment_writer *writer, cst_segment_summary *summary_out,
                                   cst_err *err) {
    cst_code code;

    if (writer->failed) return cst_fail(err, CST_ABORTED, "segment: the writer failed before");
    while (writer->part < writer->header.parts_count) part_end(writer);
    if (writer->block_fill > 0) {
        code = block_end(writer, err);
        if (code != CST_OK) return code;
    }
    code = tail_write(writer, err);
    if (code != CST_OK) return code;
    writer->failed = true; // finished: nothing may follow
    if (summary_out) *summary_out = csti_segment_summary_of(&writer->footer);
    return CST_OK;
}

void cst_segment_writer_close(cst_segment_writer *writer) {
    if (!writer) return;
    for (uint32_t part = 0; part < CST_SEGMENT_PARTS_MAX; part++) free(writer->groups[part]);
    free(writer->blocks);
    free(writer);
}

cst_code cst_segment_write(const cst_segment_info *info, const cst_bytes *const *ranges,
                           const size_t *ranges_count, cst_write write, void *context,
                           cst_segment_summary *summary_out, cst_err *err) {
    cst_segment_writer *writer = NULL;
    cst_code code = cst_segment_writer_open(info, write, context, &writer, err);

    for (uint32_t part = 0; code == CST_OK && part < info->parts_count; part++)
        for (size_t range = 0; code == CST_OK && range < ranges_count[part]; range++)
            code = cst_segment_writer_append(writer, part, ranges[part][range].data,
                                             ranges[part][range].count, err);
    if (code == CST_OK) code = cst_segment_writer_finish(writer, summary_out, err);
    cst_segment_writer_close(writer);
    return code;
}
