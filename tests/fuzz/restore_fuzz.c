// restore_fuzz.c: arbitrary bytes as a segment.
//
// The first byte says whether checksums are made right before reading (bit 0: so that the parser of
// records is reached), whether a delta is turned into a full (bit 1: so that fold and restore are),
// and which key groups are restored (bits 2 to 7). What is accepted must verify, fold to a segment
// that verifies, and restore to tables that keep their own rules, in equal numbers of rows.
#include "fuzz/fuzz.h"

#pragma GCC diagnostic ignored "-Wunused-function" // the harness's main, for the helpers beside it
#include "unit/state/segments.h"

enum { SEGMENT_BYTES_MAX = 1 << 20 };

static void require(bool condition) {
    if (!condition) abort();
}

static cst_table *table_for(const cst_segment_info *info, uint32_t layout) {
    cst_table_options options = {.layout = (cst_table_layout)layout,
                                 .hash_key = TEST_HASH_KEY,
                                 .program = {.presence_offset = CST_NO_OFFSET,
                                             .time_offset = CST_NO_OFFSET},
                                 .budget_bytes = (uint64_t)16 << 20,
                                 .log_segment_bytes = 64 << 10,
                                 .numa_node = -1};
    cst_table *table = NULL;

    for (uint32_t part = 0; part < info->parts_count; part++) {
        if (info->parts[part].layout != layout) continue;
        options.key_bytes = info->parts[part].key_bytes;
        options.program.value_bytes = info->parts[part].value_bytes;
        if (cst_table_open(&options, &table, NULL) != CST_OK) return NULL;
    }
    return table;
}

// `sound`: every hash is its key's, which a table checks and a restore does not.
static uint64_t rows_of(const cst_table *table, bool sound) {
    cst_table_stats stats;

    if (!table) return 0;
    if (sound) require(cst_table_check(table, NULL) == CST_OK);
    cst_table_stats_read(table, &stats);
    return stats.rows_count;
}

// Rows restored, or UINT64_MAX if that failed.
static uint64_t restore(cst_segment *segment, uint32_t group_from, uint32_t group_to) {
    const bool sound = cst_segment_verify(segment, &TEST_HASH_KEY, NULL) == CST_OK;
    const cst_restore_options options = {.group_from = group_from, .group_to = group_to};
    cst_segment_info info;
    cst_table *inline_table, *wide_table;
    uint64_t rows;
    cst_code code;

    cst_segment_info_read(segment, &info);
    inline_table = table_for(&info, CST_TABLE_INLINE);
    wide_table = table_for(&info, CST_TABLE_WIDE);
    code = cst_segment_restore(&segment, 1, inline_table, wide_table, &options, NULL, NULL);
    rows = rows_of(inline_table, sound) + rows_of(wide_table, sound);
    cst_table_close(inline_table);
    cst_table_close(wide_table);
    return code == CST_OK ? rows : UINT64_MAX;
}

static void use(cst_segment *segment, uint32_t groups) {
    cst_segment_cursor cursor = {0, 0, 0};
    cst_segment_row rows[64];
    bytes_sink folded = {0};
    uint32_t count = 1;
    cst_code code = CST_OK;
    const bool good = cst_segment_verify(segment, NULL, NULL) == CST_OK;
    uint64_t all;

    while (code == CST_OK && count > 0) {
        code = cst_segment_next(segment, &cursor, rows, 64, &count, NULL);
        for (uint32_t i = 0; code == CST_OK && i < count; i++)
            (void)cst_hash(&TEST_HASH_KEY, rows[i].row.key, rows[i].row.key_bytes);
    }
    if (good) require(code == CST_OK);
    all = restore(segment, 0, 0);
    if (groups > 0) {
        const uint64_t low = restore(segment, 0, groups * 64);
        const uint64_t high = restore(segment, groups * 64, CST_KEY_GROUPS_COUNT);

        if (good && all != UINT64_MAX) require(low + high == all);
    }
    if (cst_segment_fold(&segment, 1, NULL, sink_write, &folded, NULL, NULL) == CST_OK) {
        cst_segment *full = open_or_die(&folded);
        cst_segment_summary summary;

        require(cst_segment_verify(full, NULL, NULL) == CST_OK);
        cst_segment_summary_read(full, &summary);
        if (all != UINT64_MAX) require(summary.rows[0] + summary.rows[1] == all);
        cst_segment_close(full);
    }
    sink_free(&folded);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    cst_segment *segment = NULL;
    uint8_t *copy;
    uint8_t how;

    if (count < 1 || count > SEGMENT_BYTES_MAX) return 0;
    how = bytes[0];
    copy = malloc(count); // exactly as long: reads past it are seen
    require(copy != NULL);
    memcpy(copy, bytes + 1, count - 1);
    if ((how & 2) && count > 64 && copy[14] == CST_SEGMENT_DELTA) {
        const uint64_t one = 1;

        copy[14] = CST_SEGMENT_FULL_UNORDERED;
        memcpy(copy + 32, &one, 8); // its first epoch
        memset(copy + 48, 0, 8);    // stands on nothing
        memset(copy + 20, 0, 4);
    }
    if (how & 1) segment_fix(copy, count - 1);
    if (cst_segment_open_bytes("fuzz", copy, count - 1, NULL, &segment, NULL) == CST_OK)
        use(segment, how >> 2);
    cst_segment_close(segment);
    free(copy);
    return 0;
}
