#include "state/segment.h"

#include "codec/group_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOOT_TAIL_BYTES = 8, STEP_BLOCKS = 16 };

// ---- Names of what a segment was made with ------------------------------------------------------

// These hashes name things, they guard nothing: the key is fixed.
static const cst_hash_key NAME_KEY = {0, 0};

uint64_t cst_segment_schema_hash(const char *schema_text) {
    return cst_hash(&NAME_KEY, schema_text, strlen(schema_text));
}

uint64_t cst_segment_program_hash(const cst_program *program) {
    struct {
        uint32_t value_bytes;
        uint16_t accumulators_count;
        uint16_t presence_offset;
        uint64_t ttl_us;
        uint16_t time_offset;
        uint16_t reserved[3];
        cst_accumulator accumulators[CST_ACCUMULATORS_MAX];
    } image;
    const uint32_t count = program->accumulators_count <= CST_ACCUMULATORS_MAX
                               ? program->accumulators_count
                               : CST_ACCUMULATORS_MAX;

    _Static_assert(sizeof image == 24 + 8 * CST_ACCUMULATORS_MAX, "no padding is hashed");
    memset(&image, 0, sizeof image);
    image.value_bytes = program->value_bytes;
    image.accumulators_count = program->accumulators_count;
    image.presence_offset = program->presence_offset;
    image.ttl_us = program->ttl_us;
    image.time_offset = program->time_offset;
    memcpy(image.accumulators, program->accumulators, count * sizeof image.accumulators[0]);
    return cst_hash(&NAME_KEY, &image, 24 + count * sizeof image.accumulators[0]);
}

uint64_t cst_segment_hash_key_check(const cst_hash_key *key) {
    return cst_hash(key, "constellation-hk", 16);
}

// ---- Open ---------------------------------------------------------------------------------------

cst_segment_summary csti_segment_summary_of(const csti_segment_footer *footer) {
    cst_segment_summary summary = {
        .segment_bytes = footer->segment_bytes,
        .body_bytes = footer->body_bytes,
        .checksum = footer->checksum,
    };

    for (uint32_t part = 0; part < CST_SEGMENT_PARTS_MAX; part++) {
        summary.rows[part] = footer->parts[part].rows;
        summary.tombstones[part] = footer->parts[part].tombstones;
        summary.part_bytes[part] = footer->parts[part].bytes;
    }
    return summary;
}

static cst_code fail_at(const cst_segment *segment, cst_err *err, cst_code code, uint64_t offset,
                        const char *why) {
    return cst_fail(err, code, "segment %s: offset %llu: %s. %s", segment->name,
                    (unsigned long long)offset, why, cst_code_advice(code));
}

// Magic, version, checksum: what says that the rest of the header may be believed.
static cst_code header_read(cst_segment *segment, cst_err *err) {
    const size_t magic_bytes = segment->count < 8 ? segment->count : 8;
    const uint64_t magic = CSTI_SEGMENT_MAGIC;
    csti_segment_header *header = &segment->header;
    uint32_t crc;

    if (magic_bytes > 0 && memcmp(segment->bytes, &magic, magic_bytes) != 0)
        return fail_at(segment, err, CST_SEGMENT_MAGIC, 0, cst_code_text(CST_SEGMENT_MAGIC));
    if (segment->count < CSTI_SEGMENT_HEADER_BYTES + CSTI_SEGMENT_FOOTER_BYTES)
        return fail_at(segment, err, CST_SEGMENT_TRUNCATED, segment->count,
                       "shorter than header and footer");
    memcpy(header, segment->bytes, sizeof *header);
    if (header->version > CSTI_SEGMENT_VERSION)
        return fail_at(segment, err, CST_SEGMENT_VERSION, 8, cst_code_text(CST_SEGMENT_VERSION));
    crc = csti_crc32c(0, header, offsetof(csti_segment_header, crc32c));
    if (crc != header->crc32c)
        return fail_at(segment, err, CST_SEGMENT_CHECKSUM, offsetof(csti_segment_header, crc32c),
                       "the header's checksum is not its content's");
    return CST_OK;
}

static cst_segment_info info_of(const csti_segment_header *header) {
    cst_segment_info info = {
        .kind = (cst_segment_kind)header->kind,
        .table_id = header->table_id,
        .epoch_from = header->epoch_from,
        .epoch_to = header->epoch_to,
        .base_epoch = header->base_epoch,
        .base_checksum = header->base_checksum,
        .tip_checksum = header->tip_checksum,
        .schema_hash = header->schema_hash,
        .program_hash = header->program_hash,
        .hash_key_check = header->hash_key_check,
        .parts_count = header->parts_count,
    };

    for (uint32_t part = 0; part < CST_SEGMENT_PARTS_MAX; part++)
        info.parts[part] =
            (cst_segment_part){header->parts[part].layout, header->parts[part].key_bytes,
                               header->parts[part].value_bytes};
    return info;
}

// A header with the right checksum that still says something no writer says.
static cst_code header_check(cst_segment *segment, cst_err *err) {
    const csti_segment_header *header = &segment->header;
    const cst_segment_info info = info_of(header);
    const char *why = csti_segment_info_check(&info);
    static const csti_segment_part_head no_part;

    if (header->version != CSTI_SEGMENT_VERSION) why = "version 0";
    if (header->header_bytes != CSTI_SEGMENT_HEADER_BYTES) why = "another length of header";
    if (header->block_bytes != CST_SEGMENT_BLOCK_BYTES) why = "another length of block";
    if (header->reserved0 || header->reserved1) why = "reserved bytes of the header are set";
    if (!why && header->parts_count < CST_SEGMENT_PARTS_MAX &&
        memcmp(&header->parts[1], &no_part, sizeof no_part) != 0)
        why = "fields of a part that is not there are set";
    for (uint32_t part = 0; !why && part < header->parts_count; part++) {
        segment->shapes[part] = csti_record_shape_of(&info.parts[part]);
        if (segment->shapes[part].record_bytes != header->parts[part].record_bytes)
            why = "a record length that is not its key's and value's";
    }
    return why ? fail_at(segment, err, CST_SEGMENT_RECORD, 0, why) : CST_OK;
}

static cst_code footer_read(cst_segment *segment, cst_err *err) {
    const uint64_t footer_at = segment->count - CSTI_SEGMENT_FOOTER_BYTES;
    csti_segment_footer *footer = &segment->footer;

    memcpy(footer, segment->bytes + footer_at, sizeof *footer);
    if (footer->end_magic != CSTI_SEGMENT_END_MAGIC)
        return fail_at(segment, err, CST_SEGMENT_TRUNCATED, segment->count - FOOT_TAIL_BYTES,
                       "does not end with a footer");
    if (csti_crc32c(0, footer, offsetof(csti_segment_footer, checksum)) != footer->checksum)
        return fail_at(segment, err, CST_SEGMENT_CHECKSUM,
                       footer_at + offsetof(csti_segment_footer, checksum),
                       "the footer's checksum is not its content's");
    if (footer->header_crc32c != segment->header.crc32c)
        return fail_at(segment, err, CST_SEGMENT_CHECKSUM, footer_at,
                       "the footer is another header's");
    return CST_OK;
}

static cst_code footer_check(cst_segment *segment, cst_err *err) {
    const csti_segment_footer *footer = &segment->footer;
    const uint64_t footer_at = segment->count - CSTI_SEGMENT_FOOTER_BYTES;
    const uint32_t parts_count = segment->header.parts_count;
    uint64_t body_bytes = 0;
    uint8_t reserved = 0;
    const char *why = NULL;

    for (size_t i = 0; i < sizeof footer->reserved1; i++) reserved |= footer->reserved1[i];
    if (reserved || footer->reserved0) why = "reserved bytes of the footer are set";
    if (footer->body_bytes > CSTI_SEGMENT_BODY_BYTES_MAX) why = "a body longer than any";
    for (uint32_t part = 0; part < CST_SEGMENT_PARTS_MAX; part++) {
        const csti_segment_part_foot *foot = &footer->parts[part];

        if (foot->bytes > footer->body_bytes || foot->bytes % CSTI_LOG_UNIT != 0)
            why = "a part's length that cannot be";
        if (part >= parts_count && (foot->bytes || foot->rows || foot->tombstones))
            why = "counts of a part that is not there";
        if (foot->rows > foot->bytes / CSTI_LOG_UNIT ||
            foot->tombstones > foot->bytes / CSTI_LOG_UNIT)
            why = "more records than fit the part";
        segment->part_at[part] = body_bytes;
        body_bytes += foot->bytes;
    }
    if (why) return fail_at(segment, err, CST_SEGMENT_RECORD, footer_at, why);
    if (body_bytes != footer->body_bytes ||
        footer->blocks_count != csti_blocks_count(footer->body_bytes))
        return fail_at(segment, err, CST_SEGMENT_RECORD, footer_at, "lengths that contradict");
    if (footer->segment_bytes != segment->count ||
        segment->count != csti_segment_bytes((cst_segment_kind)segment->header.kind, parts_count,
                                             footer->body_bytes))
        return fail_at(segment, err, CST_SEGMENT_TRUNCATED, segment->count,
                       "not as long as its footer says");
    return CST_OK;
}

static cst_code groups_check(const cst_segment *segment, cst_err *err) {
    for (uint32_t part = 0; part < segment->header.parts_count; part++) {
        uint64_t last = 0;

        for (uint32_t group = 0; group < CSTI_GROUPS_ENTRIES; group++) {
            const uint64_t at = csti_segment_group_at(segment, part, group);
            const bool first = group == 0;
            const bool end = group == CST_KEY_GROUPS_COUNT;

            if (at < last || at % CSTI_LOG_UNIT != 0 || (first && at != 0) ||
                (end && at != segment->footer.parts[part].bytes) ||
                at > segment->footer.parts[part].bytes)
                return fail_at(segment, err, CST_SEGMENT_RECORD,
                               segment->groups_at + (uint64_t)part * CSTI_GROUPS_BYTES + group * 8,
                               "a key group's offset out of order");
            last = at;
        }
    }
    return CST_OK;
}

static cst_code tables_check(cst_segment *segment, cst_err *err) {
    const csti_segment_footer *footer = &segment->footer;
    const uint64_t footer_at = segment->count - CSTI_SEGMENT_FOOTER_BYTES;
    const uint64_t table_bytes = csti_block_table_bytes(footer->blocks_count);

    segment->blocks_at = footer_at - table_bytes;
    segment->groups_at = CSTI_SEGMENT_HEADER_BYTES + footer->body_bytes;
    if (csti_crc32c(0, segment->bytes + segment->blocks_at, (size_t)table_bytes) !=
        footer->blocks_crc32c)
        return fail_at(segment, err, CST_SEGMENT_CHECKSUM, segment->blocks_at,
                       "the block table's checksum is not its content's");
    for (uint64_t at = segment->blocks_at + footer->blocks_count * 4; at < footer_at; at++)
        if (segment->bytes[at] != 0)
            return fail_at(segment, err, CST_SEGMENT_RECORD, at, "padding that is not zero");
    if (csti_crc32c(0, segment->bytes + segment->groups_at,
                    (size_t)(segment->blocks_at - segment->groups_at)) != footer->groups_crc32c)
        return fail_at(segment, err, CST_SEGMENT_CHECKSUM, segment->groups_at,
                       "the key groups' checksum is not their content's");
    if (segment->header.kind == CST_SEGMENT_FULL_ORDERED) return groups_check(segment, err);
    return CST_OK;
}

// ---- Is it the one that was asked for? ----------------------------------------------------------

static bool part_expected(const csti_segment_part_head *part, const cst_segment_expect *expect) {
    for (uint32_t i = 0; i < expect->parts_count && i < CST_SEGMENT_PARTS_MAX; i++)
        if (part->layout == expect->parts[i].layout &&
            part->key_bytes == expect->parts[i].key_bytes &&
            part->value_bytes == expect->parts[i].value_bytes)
            return true;
    return false;
}

static cst_code expect_check(const cst_segment *segment, const cst_segment_expect *expect,
                             cst_err *err) {
    const csti_segment_header *header = &segment->header;

#define OTHER(FIELD, CODE, WHAT)                                                                   \
    if (expect->FIELD && expect->FIELD != header->FIELD)                                           \
    return cst_fail(err, CODE, "segment %s: offset %zu: %s is %016llx, wanted %016llx. %s",        \
                    segment->name, offsetof(csti_segment_header, FIELD), WHAT,                     \
                    (unsigned long long)header->FIELD, (unsigned long long)expect->FIELD,          \
                    cst_code_advice(CODE))
    OTHER(table_id, CST_SEGMENT_IDENTITY, "its table");
    OTHER(epoch_from, CST_SEGMENT_IDENTITY, "its first epoch");
    OTHER(epoch_to, CST_SEGMENT_IDENTITY, "its last epoch");
    OTHER(schema_hash, CST_SEGMENT_SCHEMA, "its key schema's hash");
    OTHER(program_hash, CST_SEGMENT_SCHEMA, "its update program's hash");
    OTHER(hash_key_check, CST_SEGMENT_HASH_KEY, "its hash key's check");
#undef OTHER
    if (expect->checksum && expect->checksum != segment->footer.checksum)
        return cst_fail(err, CST_SEGMENT_IDENTITY,
                        "segment %s: offset %zu: its checksum is %08x, wanted %08x. %s",
                        segment->name, segment->count - 12, segment->footer.checksum,
                        expect->checksum, cst_code_advice(CST_SEGMENT_IDENTITY));
    for (uint32_t part = 0; expect->parts_count && part < header->parts_count; part++)
        if (!part_expected(&header->parts[part], expect))
            return fail_at(segment, err, CST_SEGMENT_SCHEMA,
                           offsetof(csti_segment_header, parts) +
                               part * sizeof(csti_segment_part_head),
                           "a part with other lengths of key or value");
    return CST_OK;
}

cst_code cst_segment_open_bytes(const char *name, const void *bytes, size_t count,
                                const cst_segment_expect *expect, cst_segment **out, cst_err *err) {
    cst_segment *segment = NULL;
    cst_code code;

    if ((uintptr_t)bytes % 8 != 0)
        return cst_fail(err, CST_USAGE, "segment %s: its bytes are not 8-byte aligned", name);
    segment = calloc(1, sizeof *segment);
    if (!segment) return cst_fail(err, CST_NO_MEMORY, "segment %s", name);
    (void)snprintf(segment->name, sizeof segment->name, "%s", name);
    segment->bytes = bytes;
    segment->count = count;
    code = header_read(segment, err);
    if (code == CST_OK) code = header_check(segment, err);
    if (code == CST_OK) code = footer_read(segment, err);
    if (code == CST_OK) code = footer_check(segment, err);
    if (code == CST_OK) code = tables_check(segment, err);
    if (code == CST_OK && expect) code = expect_check(segment, expect, err);
    if (code != CST_OK) {
        free(segment);
        return code;
    }
    *out = segment;
    return CST_OK;
}

cst_code cst_segment_open_file(const char *path, const cst_segment_expect *expect,
                               cst_segment **out, cst_err *err) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *mapping = NULL;
    size_t count = 0;
    cst_code code;

    if (file < 0)
        return cst_fail(err, errno == ENOENT ? CST_NOT_FOUND : CST_IO, "segment %s: open: %s", path,
                        strerror(errno));
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        code = cst_fail(err, CST_IO, "segment %s: not a readable file", path);
        goto done;
    }
    count = (size_t)status.st_size;
    if (count > 0) {
        mapping = mmap(NULL, count, PROT_READ, MAP_PRIVATE, file, 0);
        if (mapping == MAP_FAILED) {
            mapping = NULL;
            code = cst_fail(err, CST_IO, "segment %s: mmap: %s", path, strerror(errno));
            goto done;
        }
    }
    code = cst_segment_open_bytes(path, mapping, count, expect, out, err);
    if (code != CST_OK) goto done;
    (*out)->mapping = mapping;
    mapping = NULL; // the segment's now
done:
    if (mapping) (void)munmap(mapping, count);
    (void)close(file);
    return code;
}

void cst_segment_close(cst_segment *segment) {
    if (!segment) return;
    if (segment->mapping) (void)munmap(segment->mapping, segment->count);
    free(segment);
}

void cst_segment_info_read(const cst_segment *segment, cst_segment_info *out) {
    *out = info_of(&segment->header);
}

void cst_segment_summary_read(const cst_segment *segment, cst_segment_summary *out) {
    *out = csti_segment_summary_of(&segment->footer);
}

// ---- The body -----------------------------------------------------------------------------------

uint64_t csti_segment_group_at(const cst_segment *segment, uint32_t part, uint32_t group) {
    uint64_t at;

    memcpy(&at,
           segment->bytes + segment->groups_at + (size_t)part * CSTI_GROUPS_BYTES +
               (size_t)group * 8,
           sizeof at);
    return at;
}

// Blocks below `to` are there when this returns CST_OK.
static cst_code body_wait(const cst_segment *segment, uint64_t to, cst_err *err) {
    const uint64_t body_bytes = segment->footer.body_bytes;
    const uint64_t bytes = to * CST_SEGMENT_BLOCK_BYTES;

    if (!segment->arrival.wait) return CST_OK;
    return segment->arrival.wait(segment->arrival.context,
                                 CSTI_SEGMENT_HEADER_BYTES +
                                     (bytes < body_bytes ? bytes : body_bytes),
                                 err);
}

cst_code csti_segment_wait_all(const cst_segment *segment, cst_err *err) {
    return body_wait(segment, segment->footer.blocks_count, err);
}

cst_code csti_segment_verify_blocks(const cst_segment *segment, uint64_t from, uint64_t to,
                                    cst_err *err) {
    const cst_code arrived = body_wait(segment, to, err);

    if (arrived != CST_OK) return arrived;
    for (uint64_t block = from; block < to; block++) {
        const uint64_t at = block * CST_SEGMENT_BLOCK_BYTES;
        const uint64_t rest = segment->footer.body_bytes - at;
        const size_t count = rest < CST_SEGMENT_BLOCK_BYTES ? rest : CST_SEGMENT_BLOCK_BYTES;
        uint32_t stored, computed;

        memcpy(&stored, segment->bytes + segment->blocks_at + block * 4, sizeof stored);
        computed = csti_crc32c(csti_block_crc_begin(segment->header.crc32c, block),
                               csti_segment_body(segment) + at, count);
        if (stored != computed)
            return cst_fail(err, CST_SEGMENT_CHECKSUM,
                            "segment %s: block %llu at offset %llu: checksum %08x, stored %08x. %s",
                            segment->name, (unsigned long long)block,
                            (unsigned long long)(CSTI_SEGMENT_HEADER_BYTES + at), computed, stored,
                            cst_code_advice(CST_SEGMENT_CHECKSUM));
    }
    return CST_OK;
}

static cst_code next(const cst_segment *segment, cst_segment_cursor *cursor, bool aside,
                     cst_segment_row *out, uint32_t capacity, uint32_t *count_out, cst_err *err) {
    uint32_t count = 0;

    while (count < capacity && cursor->part < segment->header.parts_count) {
        const uint32_t part = cursor->part;
        const csti_record_shape *shape = &segment->shapes[part];
        const uint64_t part_bytes = segment->footer.parts[part].bytes;
        const uint64_t body_at = segment->part_at[part] + cursor->part_offset;
        const uint8_t *record = csti_segment_body(segment) + body_at;
        const uint64_t rest = part_bytes - cursor->part_offset;
        csti_record head;
        uint64_t blocks_end;
        const char *why = "cut off";

        if (rest == 0) {
            cursor->part++;
            cursor->part_offset = 0;
            continue;
        }
        // The head is believed only behind its block's checksum, its length only then.
        blocks_end = csti_blocks_count(body_at + (rest < CSTI_LOG_UNIT ? rest : CSTI_LOG_UNIT));
        for (int pass = 0; pass < 2; pass++) {
            if (blocks_end > cursor->verified_blocks) {
                const uint64_t first = body_at / CST_SEGMENT_BLOCK_BYTES;
                const uint64_t from =
                    first > cursor->verified_blocks ? first : cursor->verified_blocks;
                const cst_code code = csti_segment_verify_blocks(segment, from, blocks_end, err);

                if (code != CST_OK) return code;
                cursor->verified_blocks = blocks_end;
            }
            head = csti_record_head(record);
            if (csti_record_bytes(head) > rest) break; // csti_record_check says it
            blocks_end = csti_blocks_count(body_at + csti_record_bytes(head));
        }
        if (csti_record_check(shape, record, (size_t)rest, &why) != CSTI_RECORD_GOOD)
            return fail_at(segment, err, CST_SEGMENT_RECORD, CSTI_SEGMENT_HEADER_BYTES + body_at,
                           why);
        cursor->part_offset += csti_record_bytes(head);
        if (csti_record_is_aside(head) != aside) continue;
        if (!aside && head.value_flags & CSTI_RECORD_GAP) continue;
        out[count++] = (cst_segment_row){
            .row = {.hash = head.hash,
                    .key = record + sizeof head,
                    .value = record + csti_record_value_offset(shape, head),
                    .key_bytes = head.key_bytes,
                    .value_bytes = csti_record_value_bytes(head)},
            .part = part,
            .tombstone = (head.value_flags & CSTI_RECORD_TOMBSTONE) != 0,
        };
    }
    *count_out = count;
    return CST_OK;
}

cst_code cst_segment_next(const cst_segment *segment, cst_segment_cursor *cursor,
                          cst_segment_row *out, uint32_t capacity, uint32_t *count_out,
                          cst_err *err) {
    return next(segment, cursor, false, out, capacity, count_out, err);
}

cst_code csti_segment_next_aside(const cst_segment *segment, cst_segment_cursor *cursor,
                                 cst_segment_row *out, uint32_t capacity, uint32_t *count_out,
                                 cst_err *err) {
    return next(segment, cursor, true, out, capacity, count_out, err);
}

// ---- Verify -------------------------------------------------------------------------------------

typedef struct verify_part {
    const cst_segment *segment;
    const cst_hash_key *hash_key;
    uint32_t part;
    uint32_t group; // the next whose first record was not seen yet
    const uint8_t *last;
} verify_part;

// A session's is made of both (codec/group_hash.h); which of the two a job has no segment says.
static bool is_hash_of(const cst_hash_key *hash_key, const uint8_t *key, uint32_t key_bytes,
                       uint64_t hash) {
    if (cst_hash(hash_key, key, key_bytes) == hash) return true;
    return key_bytes >= CSTI_GROUP_TAIL_BYTES &&
           csti_group_hash(hash_key, key, key_bytes, CSTI_GROUP_TAIL_BYTES) == hash;
}

// The rules of one good record among its neighbours.
static const char *neighbour_check(verify_part *at, const uint8_t *record, uint64_t part_offset) {
    const csti_record head = csti_record_head(record);

    if (at->hash_key && (head.key_bytes || !(head.value_flags & CSTI_RECORD_GAP)) &&
        !is_hash_of(at->hash_key, record + sizeof head, head.key_bytes, head.hash))
        return "a hash that is not its key's";
    if (head.value_flags & CSTI_RECORD_GAP) {
        if (at->segment->header.kind == CST_SEGMENT_FULL_ORDERED) return "a gap in an ordered full";
        return NULL;
    }
    if (at->segment->header.kind != CST_SEGMENT_FULL_ORDERED) return NULL;
    if (head.value_flags & CSTI_RECORD_TOMBSTONE) return "a tombstone in an ordered full";
    if (at->last && csti_record_key_compare(at->last, record) >= 0) return "a key out of order";
    while (at->group <= cst_key_group(head.hash))
        if (csti_segment_group_at(at->segment, at->part, at->group++) != part_offset)
            return "a key group that begins elsewhere";
    at->last = record;
    return NULL;
}

// All is read twice: blocks, then records. A step counts each pass as half of the body.
static cst_code verify_step(const cst_segment *segment, const csti_read_step *step, bool second,
                            uint64_t passed_bytes, cst_err *err) {
    const uint64_t body_bytes = segment->footer.body_bytes;

    return csti_read_step_call(step, ((second ? body_bytes : 0) + passed_bytes) / 2, err);
}

static cst_code blocks_verify(const cst_segment *segment, const csti_read_step *step,
                              cst_err *err) {
    const uint64_t blocks_count = segment->footer.blocks_count;
    cst_code code = CST_OK;

    for (uint64_t from = 0; code == CST_OK && from < blocks_count; from += STEP_BLOCKS) {
        const uint64_t to = blocks_count - from < STEP_BLOCKS ? blocks_count : from + STEP_BLOCKS;

        code = csti_segment_verify_blocks(segment, from, to, err);
        if (code == CST_OK)
            code = verify_step(segment, step, false, from * CST_SEGMENT_BLOCK_BYTES, err);
    }
    return code;
}

static cst_code part_verify(const cst_segment *segment, uint32_t part, const cst_hash_key *hash_key,
                            const csti_read_step *step, cst_err *err) {
    const csti_record_shape *shape = &segment->shapes[part];
    const csti_segment_part_foot *foot = &segment->footer.parts[part];
    const uint8_t *bytes = csti_segment_body(segment) + segment->part_at[part];
    verify_part at = {.segment = segment, .hash_key = hash_key, .part = part};
    csti_record_counts counts = {0, 0};
    uint64_t step_at = 0;

    for (uint64_t offset = 0; offset < foot->bytes;) {
        const csti_record head = csti_record_head(bytes + offset);
        const char *why = "cut off";

        if (offset >= step_at) {
            const cst_code code =
                verify_step(segment, step, true, segment->part_at[part] + offset, err);

            if (code != CST_OK) return code;
            step_at = offset + STEP_BLOCKS * CST_SEGMENT_BLOCK_BYTES;
        }

        if (csti_record_check(shape, bytes + offset, (size_t)(foot->bytes - offset), &why) ==
            CSTI_RECORD_GOOD)
            why = neighbour_check(&at, bytes + offset, offset);
        if (why)
            return fail_at(segment, err, CST_SEGMENT_RECORD,
                           csti_segment_offset(segment, part, offset), why);
        counts.rows += (head.value_flags & CSTI_RECORD_PRESENT) != 0;
        counts.tombstones += (head.value_flags & CSTI_RECORD_TOMBSTONE) != 0;
        offset += csti_record_bytes(head);
    }
    while (segment->header.kind == CST_SEGMENT_FULL_ORDERED && at.group < CSTI_GROUPS_ENTRIES)
        if (csti_segment_group_at(segment, part, at.group++) != foot->bytes)
            return fail_at(segment, err, CST_SEGMENT_RECORD, segment->groups_at,
                           "a key group that begins elsewhere");
    if (counts.rows != foot->rows || counts.tombstones != foot->tombstones)
        return fail_at(segment, err, CST_SEGMENT_RECORD, segment->count - CSTI_SEGMENT_FOOTER_BYTES,
                       "counts that are not the records'");
    return CST_OK;
}

cst_code csti_segment_verify(const cst_segment *segment, const cst_hash_key *hash_key,
                             const csti_read_step *step, cst_err *err) {
    cst_code code;

    if (hash_key && cst_segment_hash_key_check(hash_key) != segment->header.hash_key_check)
        return fail_at(segment, err, CST_SEGMENT_HASH_KEY,
                       offsetof(csti_segment_header, hash_key_check),
                       cst_code_text(CST_SEGMENT_HASH_KEY));
    code = blocks_verify(segment, step, err);
    for (uint32_t part = 0; code == CST_OK && part < segment->header.parts_count; part++)
        code = part_verify(segment, part, hash_key, step, err);
    if (code == CST_OK) code = csti_read_step_call(step, segment->footer.body_bytes, err);
    return code;
}

cst_code cst_segment_verify(const cst_segment *segment, const cst_hash_key *hash_key,
                            cst_err *err) {
    return csti_segment_verify(segment, hash_key, NULL, err);
}

// ---- Chains -------------------------------------------------------------------------------------

bool csti_segment_stands_on(const csti_segment_header *next, const cst_segment *base) {
    if (next->base_epoch != base->header.epoch_to) return false;
    return next->base_checksum == base->footer.checksum ||
           (base->header.tip_checksum && next->base_checksum == base->header.tip_checksum);
}

// Whether two segments can be of one table's history.
static cst_code pair_check(const cst_segment *base, const cst_segment *next, cst_err *err) {
    if (next->header.kind != CST_SEGMENT_DELTA)
        return fail_at(next, err, CST_SEGMENT_BASE, offsetof(csti_segment_header, kind),
                       "a full where a delta was to follow");
    if (next->header.table_id != base->header.table_id)
        return fail_at(next, err, CST_SEGMENT_IDENTITY, offsetof(csti_segment_header, table_id),
                       cst_code_text(CST_SEGMENT_IDENTITY));
    if (next->header.schema_hash != base->header.schema_hash ||
        next->header.program_hash != base->header.program_hash)
        return fail_at(next, err, CST_SEGMENT_SCHEMA, offsetof(csti_segment_header, schema_hash),
                       cst_code_text(CST_SEGMENT_SCHEMA));
    if (next->header.hash_key_check != base->header.hash_key_check)
        return fail_at(next, err, CST_SEGMENT_HASH_KEY,
                       offsetof(csti_segment_header, hash_key_check),
                       cst_code_text(CST_SEGMENT_HASH_KEY));
    if (!csti_segment_stands_on(&next->header, base))
        return cst_fail(err, CST_SEGMENT_BASE,
                        "segment %s: offset %zu: stands on epoch %llu, checksum %08x, but %s ends "
                        "at epoch %llu, checksum %08x. %s",
                        next->name, offsetof(csti_segment_header, base_checksum),
                        (unsigned long long)next->header.base_epoch, next->header.base_checksum,
                        base->name, (unsigned long long)base->header.epoch_to,
                        base->footer.checksum, cst_code_advice(CST_SEGMENT_BASE));
    return CST_OK;
}

cst_code cst_segment_chain_check(cst_segment *const *segments, size_t segments_count,
                                 cst_err *err) {
    const csti_segment_part_head *seen = NULL;
    cst_code code = CST_OK;

    if (segments_count == 0 || segments_count > CST_SEGMENTS_MAX)
        return cst_fail(err, CST_USAGE, "a chain of %zu segments", segments_count);
    if (segments[0]->header.kind == CST_SEGMENT_DELTA)
        return fail_at(segments[0], err, CST_SEGMENT_BASE, offsetof(csti_segment_header, kind),
                       "a chain that begins with a delta");
    for (size_t i = 0; code == CST_OK && i < segments_count; i++) {
        const csti_segment_part_head *part =
            &segments[i]->header.parts[0]; // inline, if there is one

        if (i > 0) code = pair_check(segments[i - 1], segments[i], err);
        if (code != CST_OK || part->layout != CST_TABLE_INLINE) continue;
        if (seen && memcmp(seen, part, sizeof *part) != 0)
            return fail_at(segments[i], err, CST_SEGMENT_SCHEMA,
                           offsetof(csti_segment_header, parts),
                           "a part with other lengths of key or value");
        seen = part;
    }
    return code;
}
