#define _GNU_SOURCE 1 // qsort_r
#include "server/query.h"

#include "checkpoint/chain.h"
#include "checkpoint/pin.h"
#include "codec/group_hash.h"
#include "state/segment.h"
#include "stream/key_text.h"
#include "stream/render.h"
#include "stream/window.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_BYTES_MAX = 4 << 20, // of any schema
    SHAPE_ARENA_BYTES = 1 << 20,
    VIEW_ARENA_BYTES = 256 << 20,
    CHAIN_ARENA_BYTES = 512 << 20,
    LINES_BYTES = 1 << 20, // lines go out when there are so many
    SCAN_ROWS = 256,
    RESTORES_MAX = 8, // into ever larger tables
    RESTORE_ROWS = 4096,
    RESTORE_STEP = 4,
};

// A row that is answered: behind it stand key_bytes of key and value_bytes of value.
typedef struct kept_row {
    uint32_t key_bytes, value_bytes;
} kept_row;

typedef struct query {
    const csti_query_options *options;
    cst_operator_shape columns;
    csti_job_shape shapes[2];
    uint32_t stage_index;
    const csti_job_shape *shape; // of the stage that is asked
    csti_window window;          // its
    csti_arena shape_arena, view_arena, chain_arena;
    csti_buffer key; // asked for: whole, or a beginning
    csti_pin pin;
    csti_manifest_object object;
    csti_manifest_stage stage; // that is asked
    csti_buffer rows;          // kept_row, key, value; again
    csti_buffer offsets;       // uint64_t of each, into rows
    csti_buffer lines;
    csti_query_report report;
    cst_err *err;
} query;

// ---- What is asked ------------------------------------------------------------------------------

static cst_code shapes_make(query *at) {
    const csti_job_config *config = at->options->config;
    const uint32_t stages_count = csti_job_stages_count(config);
    const uint32_t stage = at->options->stage ? at->options->stage : stages_count;
    cst_code code = csti_job_rows_shape(config, &at->columns, at->err);

    if (stage > stages_count)
        return cst_fail(at->err, CST_USAGE, "stage %" PRIu32 ": the job has %" PRIu32, stage,
                        stages_count);
    if (code == CST_OK)
        code = csti_job_shape_make(config, &at->columns, &at->shape_arena, &at->shapes[0], at->err);
    if (code == CST_OK && stages_count > 1)
        code =
            csti_job_then_make(config, &at->shapes[0], &at->shape_arena, &at->shapes[1], at->err);
    if (code == CST_OK && stages_count > 1) at->shapes[0].identity.then = &at->shapes[1].identity;
    at->stage_index = stage - 1;
    at->shape = &at->shapes[at->stage_index];
    at->window = at->stage_index == 0 ? config->window : config->then.window;
    return code;
}

static cst_code question_read(query *at) {
    const csti_query_options *options = at->options;
    const char *text = options->key ? options->key : options->prefix;
    cst_code code = shapes_make(at);

    if (code != CST_OK || !text) return code;
    code =
        csti_key_text_encode(&at->shape->key, text,
                             options->key ? CSTI_KEY_WHOLE : CSTI_KEY_BEGINNING, &at->key, at->err);
    return code == CST_OK ? code : cst_fail_at(at->err, code, "'%.100s'", text);
}

// A store that is only read, or whose disk is full, has no pins, and nothing is deleted from it
// either, unless somebody else may.
static cst_code pin_try(query *at) {
    const csti_query_options *options = at->options;
    const cst_code code = csti_pin_take(options->meta, options->clock, options->random,
                                        options->checkpoint_id, &at->pin, at->err);

    return code == CST_OBJECT_DENIED || code == CST_IO ? CST_OK : code;
}

// Expired: what is there may be younger than what was read.
static cst_code pin_hold(query *at) {
    return at->pin.id ? csti_pin_hold(&at->pin, at->err) : CST_OK;
}

static const csti_meta_checkpoint *checkpoint_find(const csti_meta_view *view, uint64_t id) {
    if (id == 0) return csti_meta_view_newest(view);
    for (uint32_t i = 0; i < view->checkpoints_count; i++)
        if (view->checkpoints[i].id == id && !view->checkpoints[i].deleting)
            return &view->checkpoints[i];
    return NULL;
}

// To the stage that is asked.
static uint64_t rows_under_way(const query *at) {
    const csti_manifest *manifest = &at->object.manifest;
    uint64_t rows = 0;

    for (uint32_t p = 0; p < manifest->partitions_count; p++)
        if (manifest->partitions[p].stage == at->stage_index && manifest->partitions[p].rows)
            rows += manifest->partitions[p].rows->rows_count;
    return rows;
}

static cst_code manifest_open(query *at) {
    const csti_query_options *options = at->options;
    const uint64_t id = at->pin.id ? at->pin.id : options->checkpoint_id;
    const csti_meta_checkpoint *checkpoint;
    csti_meta_view view;
    cst_code code = csti_meta_read(options->meta, &at->view_arena, &view, at->err);

    if (code != CST_OK) return code;
    checkpoint = checkpoint_find(&view, id);
    if (!checkpoint)
        return id ? cst_fail(at->err, CST_NOT_FOUND, "checkpoint %" PRIu64, id)
                  : cst_fail(at->err, CST_NOT_FOUND, "no checkpoint is committed");
    code = csti_manifest_fetch(options->store, checkpoint->id, checkpoint->manifest,
                               &checkpoint->crc, &at->chain_arena, &at->object, at->err);
    if (code == CST_OK)
        code = csti_manifest_expect(&at->object.manifest, &at->shapes[0].identity, at->err);
    if (code == CST_OK)
        at->stage = csti_manifest_stage_of(&at->object.manifest,
                                           &(csti_manifest_partition){.stage = at->stage_index});
    at->report.checkpoint_id = checkpoint->id;
    at->report.created_us = at->object.manifest.created_us;
    if (code == CST_OK) at->report.under_way = rows_under_way(at);
    return code;
}

// ---- One partition ------------------------------------------------------------------------------

// The table that the chain's rows fit, as they were written.
static cst_code table_open(const query *at, const csti_chain *chain, uint64_t rows_hint,
                           cst_table **out) {
    cst_table_options table = at->shape->table;
    cst_segment_info info;

    cst_segment_info_read(chain->segments[0], &info);
    if (info.parts_count != 1 || info.parts[0].layout != CST_TABLE_INLINE)
        return cst_fail(at->err, CST_SEGMENT_SCHEMA, "a chain of %u parts", info.parts_count);
    table.key_bytes = info.parts[0].key_bytes;
    table.program = at->stage.program;
    table.hash_key = at->stage.hash_key;
    table.budget_bytes = at->options->config->budget_bytes; // one partition at a time
    // State that is larger than its budget: its rows, in slots that may be a quarter full.
    if (at->options->config->state_folder)
        for (uint32_t s = 0; s < chain->segments_count; s++)
            table.budget_bytes += 5 * chain->segments[s]->footer.body_bytes;
    table.background = false;
    table.rows_hint = rows_hint;
    return cst_table_open(&table, out, at->err);
}

// Rows of a window that was closed in part share bits: a table of as many as it had has places for
// them. The first that has is taken; *out is to be closed, whatever comes of it.
static cst_code chain_restore(const query *at, const csti_chain *chain,
                              const cst_restore_options *groups, cst_restore_report *report_out,
                              cst_table **out) {
    uint64_t rows_hint = 0;
    cst_code code = CST_TABLE_SKEW;

    for (int turn = 0; turn < RESTORES_MAX && code == CST_TABLE_SKEW; turn++) {
        cst_table_close(*out);
        *out = NULL;
        code = table_open(at, chain, rows_hint, out);
        if (code == CST_OK)
            code = cst_segment_restore(chain->segments, chain->segments_count, *out, NULL, groups,
                                       report_out, at->err);
        rows_hint = rows_hint ? rows_hint * RESTORE_STEP : RESTORE_ROWS;
    }
    return code;
}

static cst_code row_keep(query *at, const cst_row_ref *row) {
    const kept_row head = {row->key_bytes, row->value_bytes};
    const uint64_t offset = at->rows.used_bytes;
    cst_code code = csti_buffer_append(&at->offsets, &offset, sizeof offset, at->err);

    if (code == CST_OK) code = csti_buffer_append(&at->rows, &head, sizeof head, at->err);
    if (code == CST_OK) code = csti_buffer_append(&at->rows, row->key, row->key_bytes, at->err);
    if (code == CST_OK) code = csti_buffer_append(&at->rows, row->value, row->value_bytes, at->err);
    if (code != CST_LIMIT) return code;
    return cst_fail(at->err, code, "more than %llu bytes of rows. Ask for a --prefix of fewer",
                    (unsigned long long)CSTI_QUERY_BYTES_MAX);
}

// Sessions of a key lie where the key does.
static uint32_t hash_tail_bytes(const query *at) {
    return at->window.sessions ? CSTI_WINDOW_KEY_BYTES : 0;
}

// What was past its time when the checkpoint was cut is not there; nor does it come back later.
static cst_code row_get(query *at, cst_table *table, int64_t now_us) {
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX];
    cst_row_ref row = {.key = at->key.bytes,
                       .key_bytes = (uint32_t)at->key.used_bytes,
                       .value = value,
                       .value_bytes = at->stage.program.value_bytes};
    const uint64_t hash =
        csti_group_hash(&at->stage.hash_key, row.key, row.key_bytes, hash_tail_bytes(at));
    const cst_rows keys = {.rows_count = 1,
                           .key_stride = row.key_bytes,
                           .key_bytes = row.key_bytes,
                           .hashes = &hash,
                           .keys = row.key,
                           .now_us = now_us};
    uint8_t found = 0;
    const cst_code code = cst_table_lookup(table, &keys, value, sizeof value, &found);

    if (code != CST_OK) return cst_fail(at->err, code, "looking for the key");
    return found ? row_keep(at, &row) : CST_OK;
}

static bool is_asked(const query *at, const cst_row_ref *row) {
    const size_t bytes = at->key.used_bytes;

    return bytes == 0 || (row->key_bytes >= bytes && memcmp(row->key, at->key.bytes, bytes) == 0);
}

static cst_code rows_scan(query *at, cst_table *table, int64_t now_us) {
    cst_scan scan = {.now_us = now_us};
    cst_row_ref rows[SCAN_ROWS];
    uint32_t count = 0;
    cst_code code;

    do {
        code = cst_table_scan(table, &scan, rows, SCAN_ROWS, &count);
        if (code != CST_OK) return cst_fail(at->err, code, "scanning");
        for (uint32_t i = 0; i < count && code == CST_OK; i++)
            if (is_asked(at, &rows[i])) code = row_keep(at, &rows[i]);
    } while (code == CST_OK && count > 0);
    return code;
}

static cst_code partition_read(query *at, uint32_t partition, cst_restore_options groups) {
    const csti_query_options *options = at->options;
    const csti_manifest *manifest = &at->object.manifest;
    const uint32_t segments_count = manifest->partitions[partition].segments_count;
    const int64_t now_us = manifest->partitions[partition].watermark_us;
    cst_restore_report report = {0};
    csti_chain chain = {.segments_count = 0};
    cst_table *table = NULL;
    cst_code code;

    if (segments_count == 0) return CST_OK; // nothing was ever cut there
    code = csti_chain_open(options->store, manifest, partition, 0, segments_count, &at->chain_arena,
                           NULL, &chain, at->err);
    if (code != CST_OK) return code;
    code = chain_restore(at, &chain, &groups, &report, &table);
    if (code == CST_OK)
        code = options->key ? row_get(at, table, now_us) : rows_scan(at, table, now_us);
    if (code == CST_OK) code = pin_hold(at);
    at->report.bytes_read += report.bytes_read;
    cst_table_close(table);
    csti_chain_close(options->store, &chain);
    return code;
}

static cst_code partitions_read(query *at) {
    const csti_manifest *manifest = &at->object.manifest;
    cst_restore_options groups = {0};
    uint32_t group = 0;
    cst_code code = CST_OK;

    if (at->options->key) {
        group = cst_key_group(csti_group_hash(&at->stage.hash_key, at->key.bytes,
                                              at->key.used_bytes, hash_tail_bytes(at)));
        groups = (cst_restore_options){.group_from = group, .group_to = group + 1};
    }

    for (uint32_t p = 0; p < manifest->partitions_count && code == CST_OK; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        if (partition->stage != at->stage_index) continue;
        if (at->options->key && (group < partition->group_from || group >= partition->group_to))
            continue;
        code = partition_read(at, p, groups);
        if (code != CST_OK) return cst_fail_at(at->err, code, "partition %u", p);
    }
    return code;
}

// ---- The answer ---------------------------------------------------------------------------------

static cst_row_ref row_at(const query *at, uint64_t offset) {
    const uint8_t *bytes = at->rows.bytes + offset;
    kept_row head;

    memcpy(&head, bytes, sizeof head);
    return (cst_row_ref){.key = bytes + sizeof head,
                         .key_bytes = head.key_bytes,
                         .value = bytes + sizeof head + head.key_bytes,
                         .value_bytes = head.value_bytes};
}

static int by_key(const void *a, const void *b, void *context) {
    const query *at = context;
    uint64_t offsets[2];

    memcpy(&offsets[0], a, sizeof offsets[0]);
    memcpy(&offsets[1], b, sizeof offsets[1]);
    const cst_row_ref x = row_at(at, offsets[0]);
    const cst_row_ref y = row_at(at, offsets[1]);
    const uint32_t shorter = x.key_bytes < y.key_bytes ? x.key_bytes : y.key_bytes;
    const int order = memcmp(x.key, y.key, shorter);

    return order ? order : (x.key_bytes > y.key_bytes) - (x.key_bytes < y.key_bytes);
}

static cst_code lines_write(query *at) {
    const csti_query_options *options = at->options;
    const size_t count = at->offsets.used_bytes / sizeof(uint64_t);
    cst_code code = CST_OK;

    if (count > 0) qsort_r(at->offsets.bytes, count, sizeof(uint64_t), by_key, at);
    for (size_t i = 0; i < count && code == CST_OK; i++) {
        uint64_t offset;

        memcpy(&offset, at->offsets.bytes + i * sizeof offset, sizeof offset);
        const cst_row_ref row = row_at(at, offset);

        code = csti_render_row(&at->shape->render, &row, false, &at->lines, at->err);
        if (code != CST_OK || (at->lines.used_bytes < LINES_BYTES && i + 1 < count)) continue;
        code = options->write(options->context, at->lines.bytes, at->lines.used_bytes, at->err);
        csti_buffer_reset(&at->lines);
    }
    at->report.rows = count;
    return code;
}

cst_code csti_query(const csti_query_options *options, csti_query_report *report_out,
                    cst_err *err) {
    query at = {.options = options, .err = err};
    cst_code code;

    assert(!options->key || !options->prefix);
    csti_arena_init(&at.shape_arena, SHAPE_ARENA_BYTES);
    csti_arena_init(&at.view_arena, VIEW_ARENA_BYTES);
    csti_arena_init(&at.chain_arena, CHAIN_ARENA_BYTES);
    csti_buffer_init(&at.key, KEY_BYTES_MAX);
    csti_buffer_init(&at.rows, CSTI_QUERY_BYTES_MAX);
    csti_buffer_init(&at.offsets, CSTI_QUERY_BYTES_MAX);
    csti_buffer_init(&at.lines, 2 * LINES_BYTES + CST_VARIABLE_BYTES_MAX);
    code = question_read(&at);
    if (code == CST_OK) code = csti_meta_refresh(options->meta, err);
    if (code == CST_OK) code = pin_try(&at);
    if (code == CST_OK) code = manifest_open(&at);
    if (code == CST_OK) code = partitions_read(&at);
    csti_pin_end(&at.pin);
    if (code == CST_OK) code = lines_write(&at);
    if (code == CST_OK) *report_out = at.report;
    csti_buffer_release(&at.lines);
    csti_buffer_release(&at.offsets);
    csti_buffer_release(&at.rows);
    csti_buffer_release(&at.key);
    csti_arena_release(&at.chain_arena);
    csti_arena_release(&at.view_arena);
    csti_arena_release(&at.shape_arena);
    return code;
}
