// disk_restore.c: rows on disk are brought to the end of a chain.
//
//   chain    full 1..12 ── delta 13 ── delta 14 ── delta 15
//   mark            whole 13 ┘   reach 14 ┘          write 14, 15: rows of 14 are there or are not
//
// Both points have to be on the chain, by epoch and checksum: else rows are of another history, and
// all of it is written from the beginning. Written again, a segment leaves what it left before.
#include "state/disk_rows.h"
#include "state/segment.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_ROWS = 256 };

static csti_disk_point point_of(const cst_segment *segment) {
    cst_segment_summary summary;
    cst_segment_info info;

    cst_segment_info_read(segment, &info);
    cst_segment_summary_read(segment, &summary);
    return (csti_disk_point){info.epoch_to,
                             info.tip_checksum ? info.tip_checksum : summary.checksum};
}

// How many segments of the chain end at the point or before it; SIZE_MAX: it is not on the chain.
static size_t place_of(cst_segment *const *segments, size_t segments_count, csti_disk_point point) {
    if (point.epoch == 0) return 0;
    for (size_t i = 0; i < segments_count; i++) {
        const csti_disk_point end = point_of(segments[i]);

        if (end.epoch == point.epoch && end.checksum == point.checksum) return i + 1;
    }
    return SIZE_MAX;
}

typedef struct restore {
    csti_disk_rows *rows;
    const cst_restore_options *options;
    cst_restore_report report;
    csti_disk_change *changes;
    size_t changes_count, changes_max;
    uint32_t order;
} restore;

static bool is_wanted(const restore *state, uint64_t hash) {
    const uint32_t group = cst_key_group(hash);

    if (state->options->group_to == 0) return true;
    return group >= state->options->group_from && group < state->options->group_to;
}

static cst_code batch_write(restore *state, const csti_disk_mark *mark, cst_err *err) {
    const cst_code code =
        csti_disk_rows_write(state->rows, state->changes, state->changes_count, mark, err);

    state->report.records_count += state->changes_count;
    state->changes_count = 0;
    return code;
}

static cst_code segment_write(restore *state, const cst_segment *segment, csti_disk_mark mark,
                              cst_err *err) {
    cst_segment_row rows[READ_ROWS];
    cst_segment_cursor cursor = {0, 0, 0};
    uint32_t count = 0;

    do {
        const uint64_t at = cursor.verified_blocks * CST_SEGMENT_BLOCK_BYTES;
        cst_code code = csti_restore_step(state->options, state->report.bytes_read + at, err);

        if (code == CST_OK) code = cst_segment_next(segment, &cursor, rows, READ_ROWS, &count, err);
        for (uint32_t i = 0; code == CST_OK && i < count; i++) {
            const cst_row_ref *row = &rows[i].row;

            if (!is_wanted(state, row->hash)) continue;
            state->changes[state->changes_count++] =
                (csti_disk_change){.key = row->key,
                                   .value = rows[i].tombstone ? NULL : row->value,
                                   .key_bytes = row->key_bytes,
                                   .order = state->order++};
        }
        if (code == CST_OK && state->changes_count + READ_ROWS > state->changes_max)
            code = batch_write(state, &mark, err);
        if (code != CST_OK) return code;
    } while (count > 0);
    state->report.bytes_read += segment->footer.body_bytes;
    mark.whole = point_of(segment);
    return batch_write(state, &mark, err);
}

cst_code csti_disk_rows_restore(csti_disk_rows *rows, cst_segment *const *segments,
                                size_t segments_count, const cst_restore_options *options,
                                uint32_t batch_rows, char why_out[CSTI_DISK_WHY_BYTES],
                                cst_restore_report *report_out, cst_err *err) {
    const csti_disk_mark found = csti_disk_rows_mark(rows);
    const size_t reach = place_of(segments, segments_count, found.reach);
    size_t done = place_of(segments, segments_count, found.whole);
    restore state = {.rows = rows, .options = options, .changes_max = batch_rows};
    csti_disk_mark mark = found;
    cst_code code = CST_OK;

    assert(batch_rows >= CSTI_DISK_BATCH_ROWS_MIN);
    *why_out = 0;
    if (segments_count > 0) code = cst_segment_chain_check(segments, segments_count, err);
    if (code != CST_OK) return code;
    if (done == SIZE_MAX || reach == SIZE_MAX) {
        (void)snprintf(why_out, CSTI_DISK_WHY_BYTES,
                       "it stands at epoch %llu, which the checkpoint does not go through",
                       (unsigned long long)found.whole.epoch);
        code = csti_disk_rows_clear(rows, err);
        mark = (csti_disk_mark){{0, 0}, {0, 0}};
        done = 0;
    }
    if (code != CST_OK) return code;
    state.changes = malloc(batch_rows * sizeof *state.changes);
    if (!state.changes) return cst_fail(err, CST_NO_MEMORY, "restore");
    for (size_t i = done; i < segments_count && code == CST_OK; i++) {
        mark.whole = i > done ? point_of(segments[i - 1]) : mark.whole;
        // Whoever died here may have come further than this segment.
        if (i >= reach || reach == SIZE_MAX) mark.reach = point_of(segments[i]);
        code = segment_write(&state, segments[i], mark, err);
        state.report.segments_count++;
    }
    free(state.changes);
    if (report_out) *report_out = state.report;
    return code;
}
