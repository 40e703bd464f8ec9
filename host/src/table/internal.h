// internal.h: the table's host-side state, and where things lie in its image.
//
// Each region of the image is an address range reserved once (base/pages.h) and made ready ahead of
// the owner, so `base + offset` never moves. The image itself holds no pointer.
//
//   owner thread                          helper thread (or cst_table_prepare)
//   reads region.ready (acquire)   ◄────  publishes it after the pages are faulted in (release)
//   publishes *_wanted (relaxed)   ────►  reads them to keep a margin in front
#ifndef CST_TABLE_INTERNAL_H
#define CST_TABLE_INTERNAL_H

#include "base/helper.h"
#include "base/pages.h"
#include "table/image.h"

#include <pthread.h>
#include <stdatomic.h>

typedef enum csti_region {
    CSTI_REGION_CONTROL, // control block, log map, ring of free log segments
    CSTI_REGION_DIRECTORY,
    CSTI_REGION_INDEX,
    CSTI_REGION_SLOTS,
    CSTI_REGION_LOG,
    CSTI_REGION_SLAB,
    CSTI_REGIONS_COUNT,
} csti_region;

// The rows of a segment that GROW takes apart, in the order in which they are placed anew.
typedef struct csti_segment_rows {
    uint32_t count;
    uint64_t hash[CSTI_SEGMENT_SLOTS_MAX];
    csti_entry *entry[CSTI_SEGMENT_SLOTS_MAX];
    csti_entry *target[CSTI_SEGMENT_SLOTS_MAX]; // where each goes
} csti_segment_rows;

struct cst_table {
    // One cache line for what a seal and an append read.
    csti_control *control;
    uint8_t *log;
    uint32_t *log_map;         // [log segment number mod log_segments_max] -> place in the region
    uint32_t log_segments_max; // power of two
    uint32_t log_segment_shift;
    csti_directory_row *directory;
    uint8_t *index;
    uint8_t *slots;
    uint8_t *slab;

    uint32_t *log_free; // ring of log_segments_max

    // Copies of the image's shape, so that the hot path reads one line.
    uint32_t entry_bytes;
    uint32_t key_bytes;
    uint32_t key_area_bytes; // rounded up to 8
    uint32_t value_offset;   // in a slot and in its record: 16 + key_area_bytes
    uint32_t value_bytes;
    uint32_t chunk_slot_bytes;

    cst_hash_key hash_key;
    uint64_t budget_bytes;

    csti_pages pages[CSTI_REGIONS_COUNT];
    _Atomic uint64_t used[CSTI_REGIONS_COUNT]; // bytes the owner uses; read by prepare
    pthread_mutex_t prepare_lock;              // ring 1: the helper or the owner makes memory ready
    csti_helper *helper;                       // NULL: the owner prepares
    csti_helper_job job;
    bool nudge; // the owner took a chunk, a segment or a block since it last looked for the helper
    csti_segment_rows grow_scratch;
};

// Takes a free chunk: the free stack's top, or the frontier. Checked before.
uint32_t csti_chunk_take(cst_table *table);

static inline csti_control_line *csti_chunk_lines(const cst_table *table, uint32_t chunk) {
    return (csti_control_line *)(table->index +
                                 (size_t)chunk * CSTI_CHUNK_BUCKETS * sizeof(csti_control_line));
}

static inline csti_control_line *csti_bucket_line(const cst_table *table,
                                                  const csti_directory_row *row, uint32_t bucket) {
    return csti_chunk_lines(table, row->chunk[bucket / CSTI_CHUNK_BUCKETS]) +
           bucket % CSTI_CHUNK_BUCKETS;
}

static inline csti_entry *csti_bucket_slots(const cst_table *table, const csti_directory_row *row,
                                            uint32_t bucket) {
    return (csti_entry *)(table->slots +
                          (size_t)row->chunk[bucket / CSTI_CHUNK_BUCKETS] *
                              table->chunk_slot_bytes +
                          (size_t)(bucket % CSTI_CHUNK_BUCKETS) * CSTI_BUCKET_SLOTS *
                              table->entry_bytes);
}

static inline csti_entry *csti_slot(const cst_table *table, csti_entry *first, uint32_t slot) {
    return (csti_entry *)((uint8_t *)first + (size_t)slot * table->entry_bytes);
}

static inline csti_record *csti_log_record(const cst_table *table, uint64_t offset) {
    const uint64_t segment = offset >> table->log_segment_shift;
    const uint32_t place = table->log_map[segment & (table->log_segments_max - 1)];

    return (csti_record *)(table->log + ((uint64_t)place << table->log_segment_shift) +
                           (offset & ((UINT64_C(1) << table->log_segment_shift) - 1)));
}

static inline const csti_directory_row *csti_directory_find(const cst_table *table, uint64_t hash) {
    // The deepest segment's depth is enough, and touches fewer lines than the rows copied ahead.
    return table->directory + (hash & ((UINT64_C(1) << table->control->depth_max) - 1));
}

// What the budget counts. Chunks and log segments that are free again stay counted until reused.
static inline uint64_t csti_used_bytes(const cst_table *table) {
    const csti_control *control = table->control;
    const uint64_t chunk_bytes =
        CSTI_CHUNK_BUCKETS * sizeof(csti_control_line) + table->chunk_slot_bytes;

    return control->directory_rows * sizeof(csti_directory_row) +
           control->chunks_frontier * chunk_bytes +
           ((uint64_t)control->log_segments_frontier << table->log_segment_shift) +
           control->slab_frontier;
}

static inline size_t csti_ready_bytes(const cst_table *table, csti_region region) {
    // Pairs with the release store in csti_pages_prepare.
    return atomic_load_explicit(&table->pages[region].ready_bytes, memory_order_acquire);
}

#endif
