#include "checkpoint/manifest.h"

#include <stdalign.h>
#include <string.h>

cst_code csti_manifest_copy_text(const char *text, csti_arena *arena, const char **out,
                                 cst_err *err) {
    const size_t bytes = strlen(text) + 1;
    void *copy = NULL;
    const cst_code code = csti_arena_alloc(arena, bytes, 1, &copy, err);

    if (code != CST_OK) return code;
    memcpy(copy, text, bytes);
    *out = copy;
    return CST_OK;
}

// An array as it is; what its elements point to is still the old one's.
static cst_code copy_array(const void *from, size_t count, size_t bytes, csti_arena *arena,
                           void **out, cst_err *err) {
    const cst_code code = csti_arena_alloc(arena, count * bytes, alignof(max_align_t), out, err);

    if (code == CST_OK && count > 0) memcpy(*out, from, count * bytes);
    return code;
}

cst_code csti_manifest_copy_skips(const uint64_t *skips, uint32_t partitions_count,
                                  csti_arena *arena, const uint64_t **out, cst_err *err) {
    *out = NULL;
    if (!skips) return CST_OK;
    return copy_array(skips, partitions_count, sizeof *skips, arena, (void **)(uintptr_t)out, err);
}

static cst_code copy_rows(csti_manifest_partition *partition, csti_arena *arena, cst_err *err) {
    csti_manifest_rows *rows = NULL;
    cst_code code = copy_array(partition->rows, 1, sizeof *rows, arena, (void **)&rows, err);

    if (code == CST_OK) code = csti_manifest_copy_text(rows->name, arena, &rows->name, err);
    partition->rows = rows;
    return code;
}

static cst_code copy_partition(csti_manifest_partition *partition, csti_arena *arena,
                               cst_err *err) {
    csti_manifest_segment *segments = NULL;
    cst_code code = copy_array(partition->segments, partition->segments_count, sizeof *segments,
                               arena, (void **)&segments, err);

    for (uint32_t s = 0; s < partition->segments_count && code == CST_OK; s++)
        code = csti_manifest_copy_text(segments[s].name, arena, &segments[s].name, err);
    partition->segments = segments;
    return code == CST_OK && partition->rows ? copy_rows(partition, arena, err) : code;
}

static cst_code copy_stage(const csti_manifest_stage *from, csti_arena *arena,
                           const csti_manifest_stage **out, cst_err *err) {
    csti_manifest_stage *stage = NULL;
    cst_code code = copy_array(from, 1, sizeof *stage, arena, (void **)&stage, err);

    if (code == CST_OK)
        code = csti_manifest_copy_text(from->key_schema, arena, &stage->key_schema, err);
    if (code == CST_OK) code = csti_manifest_copy_text(from->value, arena, &stage->value, err);
    if (code == CST_OK) *out = stage;
    return code;
}

cst_code csti_manifest_copy(const csti_manifest *manifest, csti_arena *arena, csti_manifest *out,
                            cst_err *err) {
    csti_manifest copy = *manifest;
    csti_manifest_partition *partitions = NULL;
    csti_manifest_split *splits = NULL;
    cst_code code = csti_manifest_copy_text(copy.job, arena, &copy.job, err);

    if (code == CST_OK)
        code = csti_manifest_copy_text(copy.key_schema, arena, &copy.key_schema, err);
    if (code == CST_OK) code = csti_manifest_copy_text(copy.value, arena, &copy.value, err);
    if (code == CST_OK && copy.then) code = copy_stage(copy.then, arena, &copy.then, err);
    if (code == CST_OK) code = csti_manifest_copy_text(copy.sink, arena, &copy.sink, err);
    if (code == CST_OK)
        code = copy_array(copy.partitions, copy.partitions_count, sizeof *partitions, arena,
                          (void **)&partitions, err);
    for (uint32_t p = 0; p < copy.partitions_count && code == CST_OK; p++)
        code = copy_partition(&partitions[p], arena, err);
    if (code == CST_OK)
        code = copy_array(copy.splits, copy.splits_count, sizeof *splits, arena, (void **)&splits,
                          err);
    for (uint32_t i = 0; i < copy.splits_count && code == CST_OK; i++) {
        code = csti_manifest_copy_text(splits[i].split, arena, &splits[i].split, err);
        if (code == CST_OK)
            code = csti_manifest_copy_text(splits[i].offset, arena, &splits[i].offset, err);
        if (code == CST_OK)
            code = csti_manifest_copy_skips(splits[i].skips, copy.partitions_count, arena,
                                            &splits[i].skips, err);
    }
    if (code != CST_OK) return code;
    copy.partitions = partitions;
    copy.splits = splits;
    *out = copy;
    return CST_OK;
}
