// What an owner does to the chains it goes on from: a full that a fold registered takes the place
// of what it holds, and epochs that a sink has beyond them are passed over.
#include "checkpoint/compaction.h"
#include "checkpoint/names.h"
#include "checkpoint/recovery_attempt.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    GAP_BYTES_MAX = 4096, // header, footer, no records
    GAP_TRIES = 3,        // of a put whose outcome is not known; a second one finds the first
};

// Partition p's chain becomes segments[0..count). Nothing changed on errors.
static cst_code chain_replace(csti_attempt *attempt, uint32_t p,
                              const csti_manifest_partition *partition, cst_err *err) {
    csti_manifest *manifest = &attempt->object.manifest;
    const csti_manifest_partition *before = manifest->partitions;
    csti_manifest_partition *partitions = NULL;
    csti_chain chain = {.segments_count = 0};
    cst_code code =
        csti_arena_alloc(&attempt->arena, manifest->partitions_count * sizeof *partitions,
                         _Alignof(csti_manifest_partition), (void **)&partitions, err);

    if (code != CST_OK) return code;
    memcpy(partitions, before, manifest->partitions_count * sizeof *partitions);
    partitions[p] = *partition;
    manifest->partitions = partitions;
    code = csti_chain_open(attempt->options->store, manifest, p, 0, partition->segments_count,
                           &attempt->arena, NULL, &chain, err);
    if (code != CST_OK) {
        manifest->partitions = before;
        return code;
    }
    chain.rows_body = attempt->chains[p].rows_body; // they stay behind whatever is in front
    chain.rows = attempt->chains[p].rows;
    attempt->chains[p].rows_body.bytes = NULL;
    csti_chain_close(attempt->options->store, &attempt->chains[p]);
    attempt->chains[p] = chain;
    return CST_OK;
}

// ---- Registered fulls ---------------------------------------------------------------------------

static cst_code full_use(csti_attempt *attempt, uint32_t p, const csti_manifest_segment *full,
                         uint32_t count, cst_err *err) {
    csti_manifest_partition partition = attempt->object.manifest.partitions[p];
    csti_manifest_segment *segments = NULL;
    const cst_code code =
        csti_arena_alloc(&attempt->arena, (partition.segments_count - count + 1) * sizeof *segments,
                         _Alignof(csti_manifest_segment), (void **)&segments, err);

    if (code != CST_OK) return code;
    segments[0] = *full;
    memcpy(segments + 1, partition.segments + count,
           (partition.segments_count - count) * sizeof *segments);
    partition.segments = segments;
    partition.segments_count -= count - 1;
    partition.outbox_first -= count - 1;
    return chain_replace(attempt, p, &partition, err);
}

static uint64_t fulls_bytes(const csti_meta_view *view, uint32_t p) {
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < view->fulls_count; i++)
        if (view->fulls[i].partition == p) bytes += view->fulls[i].bytes;
    return bytes;
}

cst_code csti_attempt_use_fulls(csti_attempt *attempt, const csti_meta_view *view, cst_err *err) {
    const csti_manifest *manifest = &attempt->object.manifest;
    const csti_read_step step = {csti_attempt_step, attempt};
    cst_code code = CST_OK;

    for (uint32_t p = 0; p < manifest->partitions_count; p++)
        attempt->bytes_all += fulls_bytes(view, p);
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        csti_manifest_segment full;
        uint32_t count = 0;

        code = csti_fold_find(attempt->options->store, view, manifest, p, &attempt->chains[p],
                              &attempt->arena, &step, &full, &count, err);
        if (code == CST_OK) code = full_use(attempt, p, &full, count, err);
        if (code != CST_OK && code != CST_AGAIN && !csti_code_is_damage(code)) return code;
        attempt->bytes_done += fulls_bytes(view, p);
    }
    return csti_attempt_step(attempt, 0, err);
}

// ---- Epochs that a sink has ---------------------------------------------------------------------

static cst_code buffer_write(void *context, const void *bytes, size_t count, cst_err *err) {
    return csti_buffer_append(context, bytes, count, err);
}

static cst_code gap_write(csti_attempt *attempt, const cst_segment_info *info, const char *name,
                          uint64_t nonce, csti_manifest_segment *out, cst_err *err) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = nonce};
    const cst_bytes *ranges[CST_SEGMENT_PARTS_MAX] = {NULL, NULL};
    const size_t ranges_count[CST_SEGMENT_PARTS_MAX] = {0, 0};
    cst_segment_summary summary;
    csti_buffer bytes;
    cst_code code;

    csti_buffer_init(&bytes, GAP_BYTES_MAX);
    code = cst_segment_write(info, ranges, ranges_count, buffer_write, &bytes, &summary, err);
    if (code == CST_OK) {
        const cst_bytes range = {bytes.bytes, bytes.used_bytes};

        code = CST_DEADLINE;
        for (int try = 0; try < GAP_TRIES && (code == CST_DEADLINE || code == CST_OBJECT_AMBIGUOUS);
             try++)
            code = cst_object_put(attempt->options->store, name, &range, 1, &options, NULL, err);
        // Ours, from a start before or a try before: the same bytes. Opening it will tell.
        if (code == CST_EXISTS) code = CST_OK;
    }
    csti_buffer_release(&bytes);
    *out = (csti_manifest_segment){
        .name = name,
        .bytes = summary.segment_bytes,
        .checksum = summary.checksum,
        .kind = info->kind,
        .epoch_from = info->epoch_from,
        .epoch_to = info->epoch_to,
    };
    return code;
}

// A delta without records stands on the end of the chain's last segment.
static cst_segment_info gap_info(const cst_segment *tip, uint64_t epoch_to) {
    cst_segment_summary summary;
    cst_segment_info info;

    cst_segment_info_read(tip, &info);
    cst_segment_summary_read(tip, &summary);
    info.kind = CST_SEGMENT_DELTA;
    info.epoch_from = info.epoch_to + 1;
    info.base_epoch = info.epoch_to;
    info.epoch_to = epoch_to;
    info.base_checksum = summary.checksum;
    info.tip_checksum = 0;
    return info;
}

cst_code csti_attempt_pass_epochs(csti_attempt *attempt, uint32_t p, uint64_t epoch_to,
                                  cst_err *err) {
    const csti_recovery_options *options = attempt->options;
    const csti_manifest *manifest = &attempt->object.manifest;
    const csti_chain *chain = &attempt->chains[p];
    // The owner is random, and this is the only object that it writes under this tenure and id.
    const csti_checkpoint_name name = {
        .kind = CSTI_NAME_DELTA,
        .id = manifest->id,
        .partition = p,
        .tenure = options->tenure,
        .nonce = options->owner,
        .epoch = epoch_to,
    };
    csti_manifest_partition partition = manifest->partitions[p];
    csti_manifest_segment *segments = NULL;
    cst_segment_info info;
    char *text = NULL;
    cst_code code;

    assert(epoch_to > partition.epoch_to);
    if (chain->segments_count == 0) return CST_OK; // its first segment is a full, from epoch 1 on
    info = gap_info(chain->segments[chain->segments_count - 1], epoch_to);
    code = csti_arena_alloc(&attempt->arena, CSTI_CHECKPOINT_NAME_BYTES, 1, (void **)&text, err);
    if (code != CST_OK) return code;
    csti_checkpoint_name_format(&name, text);
    code = csti_arena_alloc(&attempt->arena, (partition.segments_count + 1) * sizeof *segments,
                            _Alignof(csti_manifest_segment), (void **)&segments, err);
    if (code != CST_OK) return code;
    memcpy(segments, partition.segments, partition.segments_count * sizeof *segments);
    code = gap_write(attempt, &info, text, name.nonce, &segments[partition.segments_count], err);
    if (code != CST_OK) return code;
    partition.segments = segments;
    partition.segments_count++;
    partition.epoch_to = epoch_to;
    csti_attempt_note(attempt, manifest->id, CST_OK,
                      "partition %u goes on behind epoch %" PRIu64 ", which its sink has", p,
                      epoch_to);
    return chain_replace(attempt, p, &partition, err);
}
