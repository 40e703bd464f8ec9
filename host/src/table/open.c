#include "table/open.h"

#include "table/log.h"
#include "table/program.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOG_SEGMENT_BYTES_MIN = 64 << 10,
    LOG_SEGMENT_BYTES_MAX = 2 << 20,
    TABLE_ALIGN = 64,
    CHUNK_INDEX_BYTES = CSTI_CHUNK_BUCKETS * (int)sizeof(csti_control_line),
};
#define SMALL_TABLE_BYTES ((uint64_t)256 << 20) // below it, no huge pages: panes are many
#define BUDGET_BYTES_MAX (UINT64_C(1) << 42)
#define ROWS_HINT_MAX (UINT64_C(1) << 31)
#define SLAB_MARGIN_BYTES ((uint64_t)2 << 20)
#define MARGIN_BYTES_MAX ((uint64_t)64 << 20)

static cst_code check_options(const cst_table_options *options, cst_err *err) {
    const cst_program *program = &options->program;
    const uint32_t log_bytes = options->log_segment_bytes;

    if (options->layout != CST_TABLE_INLINE && options->layout != CST_TABLE_WIDE)
        return cst_fail(err, CST_USAGE, "table: layout %d is none", (int)options->layout);
    if (options->layout == CST_TABLE_WIDE &&
        (options->key_bytes | program->value_bytes | program->accumulators_count) != 0)
        return cst_fail(err, CST_USAGE, "table: a wide table takes no widths and no accumulators");
    if (options->layout == CST_TABLE_WIDE && program->ttl_us != CST_TTL_NONE)
        return cst_fail(err, CST_USAGE, "table: a wide table has no TTL");
    if (options->key_bytes > CST_INLINE_KEY_BYTES_MAX)
        return cst_fail(err, CST_KEY_TOO_LONG, "table: inline keys of %u bytes, at most %u",
                        options->key_bytes, CST_INLINE_KEY_BYTES_MAX);
    if (options->layout == CST_TABLE_INLINE) {
        const cst_code code = csti_program_check(program, err);

        if (code != CST_OK) return cst_fail_at(err, code, "table");
        if (csti_entry_bytes(options->layout, options->key_bytes, program->value_bytes) >
            CST_INLINE_ENTRY_BYTES_MAX)
            return cst_fail(err, CST_LIMIT, "table: key %u and value %u exceed a slot of %u bytes",
                            options->key_bytes, program->value_bytes, CST_INLINE_ENTRY_BYTES_MAX);
    }
    if (log_bytes != 0 && (log_bytes < LOG_SEGMENT_BYTES_MIN || log_bytes > LOG_SEGMENT_BYTES_MAX ||
                           (log_bytes & (log_bytes - 1)) != 0))
        return cst_fail(err, CST_USAGE, "table: log segments of %u bytes", log_bytes);
    if (options->budget_bytes == 0 || options->budget_bytes > BUDGET_BYTES_MAX)
        return cst_fail(err, CST_USAGE, "table: a budget of %llu bytes",
                        (unsigned long long)options->budget_bytes);
    if (options->rows_hint > ROWS_HINT_MAX)
        return cst_fail(err, CST_USAGE, "table: rows_hint %llu",
                        (unsigned long long)options->rows_hint);
    return CST_OK;
}

// Depth and chunks a segment for about three quarters load.
static void initial_shape(uint64_t rows_hint, uint32_t *depth_out, uint32_t *chunks_out) {
    const uint64_t slots = rows_hint + rows_hint / 3;
    uint32_t depth = 0;
    uint64_t chunks;

    while ((uint64_t)CSTI_SEGMENT_CHUNKS_MIN * 2 * CSTI_CHUNK_SLOTS << depth <= slots) depth++;
    chunks = ((slots >> depth) + CSTI_CHUNK_SLOTS - 1) / CSTI_CHUNK_SLOTS;
    if (chunks < CSTI_SEGMENT_CHUNKS_MIN) chunks = CSTI_SEGMENT_CHUNKS_MIN;
    if (chunks > CSTI_SEGMENT_CHUNKS_MAX) {
        chunks = CSTI_SEGMENT_CHUNKS_MIN;
        depth++;
    }
    *depth_out = depth;
    *chunks_out = (uint32_t)chunks;
}

static uint64_t round_up(uint64_t bytes, uint64_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

static void take_shape(cst_table *table, const cst_table_options *options) {
    const uint32_t log_bytes =
        options->log_segment_bytes != 0 ? options->log_segment_bytes : LOG_SEGMENT_BYTES_MAX;
    uint64_t segments = 4;

    table->entry_bytes =
        csti_entry_bytes(options->layout, options->key_bytes, options->program.value_bytes);
    table->key_bytes = options->key_bytes;
    table->key_area_bytes = (options->key_bytes + 7) & ~7u;
    table->value_offset = 16 + table->key_area_bytes;
    table->value_bytes = options->program.value_bytes;
    table->chunk_slot_bytes = CSTI_CHUNK_SLOTS * table->entry_bytes;
    table->log_segment_shift = (uint32_t)__builtin_ctz(log_bytes);
    while (segments * log_bytes < options->budget_bytes) segments *= 2;
    table->log_segments_max = (uint32_t)segments;
    table->hash_key = options->hash_key;
    table->budget_bytes = options->budget_bytes;
}

static cst_code reserve(cst_table *table, const cst_table_options *options, cst_err *err) {
    const bool small = options->small_pages || options->budget_bytes < SMALL_TABLE_BYTES;
    const csti_pages_options pages = {.numa_node = options->numa_node, .hugepages = !small};
    const uint64_t chunks =
        options->budget_bytes / (CHUNK_INDEX_BYTES + table->chunk_slot_bytes) + 1;
    const uint64_t step = small ? CSTI_PAGE_BYTES : CSTI_HUGEPAGE_BYTES;
    const uint64_t log_segment = UINT64_C(1) << table->log_segment_shift;
    const uint64_t bytes[CSTI_REGIONS_COUNT] = {
        [CSTI_REGION_CONTROL] = CSTI_CONTROL_BYTES + (uint64_t)table->log_segments_max * 8,
        [CSTI_REGION_DIRECTORY] = sizeof(csti_directory_row) << CSTI_DIRECTORY_DEPTH_MAX,
        [CSTI_REGION_INDEX] = chunks * CHUNK_INDEX_BYTES,
        [CSTI_REGION_SLOTS] = chunks * table->chunk_slot_bytes,
        [CSTI_REGION_LOG] = round_up(options->budget_bytes, log_segment),
        [CSTI_REGION_SLAB] = options->layout == CST_TABLE_WIDE ? options->budget_bytes : step,
    };

    for (int region = 0; region < CSTI_REGIONS_COUNT; region++) {
        const cst_code code =
            csti_pages_reserve(&table->pages[region], round_up(bytes[region], step), &pages, err);
        if (code != CST_OK) return cst_fail_at(err, code, "table");
    }
    table->control = (csti_control *)table->pages[CSTI_REGION_CONTROL].base;
    table->log_map = (uint32_t *)(table->pages[CSTI_REGION_CONTROL].base + CSTI_CONTROL_BYTES);
    table->log_free = table->log_map + table->log_segments_max;
    table->directory = (csti_directory_row *)table->pages[CSTI_REGION_DIRECTORY].base;
    table->index = table->pages[CSTI_REGION_INDEX].base;
    table->slots = table->pages[CSTI_REGION_SLOTS].base;
    table->log = table->pages[CSTI_REGION_LOG].base;
    table->slab = table->pages[CSTI_REGION_SLAB].base;
    return CST_OK;
}

static uint64_t hash_key_check(const cst_hash_key *key) {
    return cst_hash(key, "constellation-hk", 16);
}

static void write_control(cst_table *table, const cst_table_options *options, uint32_t depth) {
    *table->control = (csti_control){
        .magic = CSTI_IMAGE_MAGIC,
        .version = CSTI_IMAGE_VERSION,
        .layout = options->layout,
        .key_bytes = table->key_bytes,
        .value_bytes = table->value_bytes,
        .entry_bytes = table->entry_bytes,
        .log_segment_bytes = UINT32_C(1) << table->log_segment_shift,
        .hash_key_check = hash_key_check(&table->hash_key),
        .program = options->program,
        .segments_count = UINT64_C(1) << depth,
        .directory_depth = depth,
        .directory_rows = UINT32_C(1) << depth,
        .depth_max = depth,
        .epoch = 1,
        .epoch_first = CSTI_LOG_BEGIN,
        .log_tail = CSTI_LOG_BEGIN,
        .log_floor = CSTI_LOG_BEGIN,
    };
}

static void build_directory(cst_table *table, uint32_t depth, uint32_t chunks) {
    for (uint32_t i = 0; i < UINT32_C(1) << depth; i++) {
        csti_directory_row row = {.depth = (uint8_t)depth, .chunks = (uint8_t)chunks};

        for (uint32_t c = 0; c < chunks; c++) row.chunk[c] = csti_chunk_take(table);
        table->directory[i] = row;
    }
}

// How much of a region should be ready when `used` bytes of it are in use.
static uint64_t ready_target(const cst_table *table, csti_region region, uint64_t used) {
    const csti_pages *pages = &table->pages[region];
    const uint64_t step = pages->options.hugepages ? CSTI_HUGEPAGE_BYTES : 64 << 10;
    uint64_t margin = used / 8;
    uint64_t target;

    if (region == CSTI_REGION_DIRECTORY) margin = used; // it doubles
    if (region == CSTI_REGION_LOG && margin < UINT64_C(4) << table->log_segment_shift)
        margin = UINT64_C(4) << table->log_segment_shift;
    if (region == CSTI_REGION_SLOTS && margin < 32 * (uint64_t)table->chunk_slot_bytes)
        margin = 32 * (uint64_t)table->chunk_slot_bytes; // a few segments' growth
    if (region == CSTI_REGION_SLAB && table->control->layout != CST_TABLE_WIDE) return 0;
    // The largest block of a wide row, or a row could wait for it for ever.
    if (region == CSTI_REGION_SLAB && margin < SLAB_MARGIN_BYTES) margin = SLAB_MARGIN_BYTES;
    if (margin < step) margin = step;
    if (margin > MARGIN_BYTES_MAX) margin = MARGIN_BYTES_MAX;
    target = round_up(used + margin, step);
    return target < pages->reserved_bytes ? target : pages->reserved_bytes;
}

cst_code cst_table_prepare(cst_table *table, cst_err *err) {
    cst_code code = CST_OK;

    pthread_mutex_lock(&table->prepare_lock);
    for (int region = CSTI_REGION_DIRECTORY; region < CSTI_REGIONS_COUNT && code == CST_OK;
         region++) {
        const uint64_t used = atomic_load_explicit(&table->used[region], memory_order_relaxed);

        code = csti_pages_prepare(&table->pages[region],
                                  ready_target(table, (csti_region)region, used), err);
    }
    pthread_mutex_unlock(&table->prepare_lock);
    return code;
}

static bool wants_prepare(const cst_table *table) {
    for (int region = CSTI_REGION_DIRECTORY; region < CSTI_REGIONS_COUNT; region++) {
        const uint64_t used = atomic_load_explicit(&table->used[region], memory_order_relaxed);
        const uint64_t target = ready_target(table, (csti_region)region, used);
        const uint64_t ready = csti_ready_bytes(table, (csti_region)region);

        if (ready < target && ready - used < (target - used) / 2) return true;
    }
    return false;
}

void csti_table_nudge(cst_table *table) {
    if (__builtin_expect(!table->nudge, 1)) return;
    table->nudge = false;
    if (table->helper && wants_prepare(table)) csti_helper_wake(&table->job);
}

cst_code csti_table_open_empty(const cst_table_options *options, cst_table **out, cst_err *err) {
    cst_table *table = NULL;
    cst_code code = check_options(options, err);

    if (code != CST_OK) return code;
    table = aligned_alloc(TABLE_ALIGN, round_up(sizeof *table, TABLE_ALIGN));
    if (!table) return cst_fail(err, CST_NO_MEMORY, "table");
    memset(table, 0, sizeof *table);
    pthread_mutex_init(&table->prepare_lock, NULL);
    take_shape(table, options);
    code = reserve(table, options, err);
    if (code == CST_OK)
        code = csti_pages_prepare(&table->pages[CSTI_REGION_CONTROL],
                                  table->pages[CSTI_REGION_CONTROL].reserved_bytes, err);
    if (code != CST_OK) {
        cst_table_close(table);
        return code;
    }
    memset(&table->grow_scratch, 0, sizeof table->grow_scratch); // its pages are there
    *out = table;
    return CST_OK;
}

static void prepare_job(void *context) {
    // A failure shows where the memory is missed: the owner gets CST_TABLE_NOT_READY, prepares
    // itself and has the code.
    if (cst_table_prepare(context, NULL) != CST_OK) return;
}

cst_code csti_table_start(cst_table *table, const cst_table_options *options, cst_err *err) {
    cst_code code = cst_table_prepare(table, err);

    if (code != CST_OK || !options->background) return code;
    code = csti_helper_open(&table->helper, err);
    if (code != CST_OK) return code;
    table->job = (csti_helper_job){.prepare = prepare_job, .context = table};
    csti_helper_register(table->helper, &table->job);
    return CST_OK;
}

cst_code cst_table_open(const cst_table_options *options, cst_table **out, cst_err *err) {
    cst_table *table = NULL;
    uint32_t depth, chunks;
    cst_code code = csti_table_open_empty(options, &table, err);

    if (code != CST_OK) return code;
    initial_shape(options->rows_hint, &depth, &chunks);
    write_control(table, options, depth);
    table->control->chunks_frontier = chunks << depth; // counted, before it is taken
    if (csti_used_bytes(table) > table->budget_bytes) {
        code = cst_fail(err, CST_TABLE_BUDGET, "table: %llu bytes for %llu rows exceed the budget",
                        (unsigned long long)csti_used_bytes(table),
                        (unsigned long long)options->rows_hint);
        goto fail;
    }
    table->used[CSTI_REGION_DIRECTORY] = sizeof(csti_directory_row) << depth;
    table->used[CSTI_REGION_INDEX] = ((uint64_t)chunks << depth) * CHUNK_INDEX_BYTES;
    table->used[CSTI_REGION_SLOTS] = ((uint64_t)chunks << depth) * table->chunk_slot_bytes;
    code = csti_table_start(table, options, err);
    if (code != CST_OK) goto fail;
    table->control->chunks_frontier = 0;
    build_directory(table, depth, chunks);
    *out = table;
    return CST_OK;
fail:
    cst_table_close(table);
    return code;
}

void cst_table_close(cst_table *table) {
    if (!table) return;
    if (table->helper) csti_helper_unregister(&table->job);
    csti_helper_close(table->helper);
    for (int region = 0; region < CSTI_REGIONS_COUNT; region++)
        csti_pages_release(&table->pages[region]);
    pthread_mutex_destroy(&table->prepare_lock);
    free(table);
}

cst_code cst_table_check_placement(const cst_table *table, cst_err *err) {
    for (int region = 0; region < CSTI_REGIONS_COUNT; region++) {
        const csti_pages *pages = &table->pages[region];
        const int node = pages->options.numa_node;
        const cst_code code =
            node < 0 ? (cst_code)CST_OK : csti_pages_verify_node(pages, node, err);

        if (code != CST_OK) return cst_fail_at(err, code, "table");
    }
    return CST_OK;
}

void cst_table_stats_read(const cst_table *table, cst_table_stats *out) {
    const csti_control *control = table->control;

    *out = (cst_table_stats){
        .rows_count = control->rows_count,
        .segments_count = control->segments_count,
        .chunks_count = control->chunks_frontier,
        .slots_bytes = (uint64_t)control->chunks_frontier * table->chunk_slot_bytes,
        .index_bytes = (uint64_t)control->chunks_frontier * CHUNK_INDEX_BYTES,
        .directory_bytes = control->directory_rows * sizeof(csti_directory_row),
        .slab_bytes = control->slab_frontier,
        .log_bytes = (uint64_t)(control->log_segments_frontier - control->log_free_count)
                     << table->log_segment_shift,
        .used_bytes = csti_used_bytes(table),
        .budget_bytes = table->budget_bytes,
        .epoch = control->epoch,
        .grows_count = control->grows_count,
        .splits_count = control->splits_count,
    };
    for (int region = 0; region < CSTI_REGIONS_COUNT; region++)
        out->misplaced_bytes += csti_pages_misplaced(&table->pages[region]);
}
