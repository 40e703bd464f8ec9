#include "dst/model.h"

#include <constellation/hash.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const model_splits[MODEL_SPLITS] = {"left", "right"};

const csti_job_identity model_job = {
    .job = "dst",
    .key_schema = "u64",
    .value = "rows=count,ids=sum(id)",
    .program = {.value_bytes = sizeof(model_value),
                .accumulators_count = 2,
                .presence_offset = CST_NO_OFFSET,
                .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                 {CST_SUM, CST_U64, 8, 0, 0}}},
    .table_id = 42,
    .hash_key = {7, 7},
    .sink = "file",
    .steps_hash = 9,
    .parts_count = 1,
    .parts = {{CST_TABLE_INLINE, sizeof(uint64_t), sizeof(model_value)}},
};

uint64_t model_hash_of(uint64_t key) {
    return cst_hash(&model_job.hash_key, &key, sizeof key);
}

uint32_t model_partition_of(uint64_t key, uint32_t count) {
    const uint32_t group = cst_key_group(model_hash_of(key));
    uint32_t partition = count - 1;

    while (group < csti_partition_group_first(partition, count)) partition--;
    return partition;
}

model_row model_row_at(uint32_t split, uint64_t number) {
    const uint64_t id = ((uint64_t)(split + 1) << 32) + number;
    const cst_hash_key other = {1, 2};
    const uint64_t key = cst_hash(&other, &id, sizeof id) % MODEL_KEYS;

    return (model_row){.key = key, .id = id};
}

uint64_t model_rows_between(uint32_t split, uint64_t from, uint64_t to, uint32_t partition,
                            uint32_t count) {
    uint64_t rows = 0;

    for (uint64_t n = from; n < to; n++)
        rows += model_partition_of(model_row_at(split, n).key, count) == partition;
    return rows;
}

uint64_t model_row_behind(uint32_t split, uint64_t from, uint64_t rows, uint32_t partition,
                          uint32_t count) {
    while (rows > 0 && from < MODEL_ROWS)
        rows -= model_partition_of(model_row_at(split, from++).key, count) == partition;
    return from;
}

model_state model_state_at(const uint64_t offsets[MODEL_SPLITS], uint32_t partition,
                           uint32_t count) {
    model_state state = {0};

    for (uint32_t split = 0; split < MODEL_SPLITS; split++)
        for (uint64_t number = 0; number < offsets[split]; number++) {
            const model_row row = model_row_at(split, number);

            if (model_partition_of(row.key, count) != partition) continue;
            state.values[row.key].count++;
            state.values[row.key].sum += row.id;
        }
    return state;
}

// The next row of a segment; false: the end, or damage (*bad_out).
static bool next_row(const cst_segment *segment, cst_segment_cursor *cursor, cst_segment_row *out,
                     bool *bad_out) {
    uint32_t count = 0;

    *bad_out = cst_segment_next(segment, cursor, out, 1, &count, NULL) != CST_OK;
    return !*bad_out && count == 1;
}

bool model_state_put(model_state *state, const cst_segment *segment, uint32_t partition,
                     uint32_t count) {
    cst_segment_cursor cursor = {0};
    cst_segment_row row;
    bool is_bad;

    while (next_row(segment, &cursor, &row, &is_bad)) {
        uint64_t key;

        if (row.tombstone || row.row.key_bytes != sizeof key ||
            row.row.value_bytes != sizeof(model_value))
            return false;
        memcpy(&key, row.row.key, sizeof key);
        if (key >= MODEL_KEYS || model_partition_of(key, count) != partition) return false;
        memcpy(&state->values[key], row.row.value, sizeof(model_value));
    }
    return !is_bad;
}

uint64_t model_digest(const cst_segment *segment) {
    const cst_hash_key key = {3, 4};
    cst_segment_cursor cursor = {0};
    cst_segment_row row;
    uint64_t digest = 0;
    bool is_bad;

    while (next_row(segment, &cursor, &row, &is_bad)) {
        digest ^= cst_hash(&key, row.row.key, row.row.key_bytes);
        digest = cst_hash(&key, &digest, sizeof digest);
        digest ^= cst_hash(&key, row.row.value, row.row.value_bytes);
        digest = cst_hash(&key, &digest, sizeof digest);
    }
    return is_bad ? 0 : digest | 1;
}

bool model_offset_read(const char *text, uint64_t *out) {
    return sscanf(text, "{\"row\":%" SCNu64 "}", out) == 1;
}
