// restore.c: a chain of segments becomes rows of tables.
//
//   pieces, in the order they are applied:  full part 0 | full part 1 | delta 1 part 0 | ...
//   steps of 256 KiB:                       s0 s1 s2 ..   s9 ...        s12 ...
//
//   helpers  claim a step, verify its blocks ──► state GOOD or BAD      (also faults its pages in)
//   owner    needs step i: claims it if nobody has, else waits for it; walks its whole records;
//            hands them to the table, a window of them at a time
//
// A window is ordered by where its rows lie in the table (table/restore.h): as read, each record
// goes to another page, and finding the page takes as long as reading it.
//
// Where rows with short keys have a table of their own, each table has its window; records of the
// chain are made as narrow as that table's on their way into it.
//
// With a range of key groups, an ordered full gives only that range of its body; the records of
// other segments are chosen by hash.
#include "table/restore.h"
#include "state/segment.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

enum {
    STEP_BLOCKS = 4,
    STEP_BYTES = STEP_BLOCKS * CST_SEGMENT_BLOCK_BYTES,
    WINDOW_RECORDS = 256 << 10,
    STALLS_MAX = 1000, // of a table that prepares and is still not ready
    REFIT_RECORDS = 256,
};

typedef enum step_state { STEP_FREE, STEP_CLAIMED, STEP_GOOD, STEP_BAD } step_state;

typedef struct restore_piece {
    const cst_segment *segment;
    uint32_t part;
    uint64_t from, to; // offsets in the part
    size_t step_first;
} restore_piece;

typedef struct restore_step {
    const cst_segment *segment;
    uint64_t block_from, block_to;
    _Atomic int state; // step_state; GOOD and BAD are stored with release, read with acquire
} restore_step;

typedef struct restore_window { // of one piece
    cst_table *table;           // the piece's, or the one of short keys
    size_t count;
    const uint8_t *records[WINDOW_RECORDS]; // as read
    const uint8_t *ordered[WINDOW_RECORDS];
    uint16_t places[WINDOW_RECORDS]; // in the table, of each as read
    uint32_t starts[CSTI_NEIGHBOURHOODS];
} restore_window;

typedef struct restore {
    restore_piece *pieces;
    size_t pieces_count;
    restore_step *steps;
    size_t steps_count;
    _Atomic size_t step_next; // helpers: where to look for a free one
    atomic_bool stop;
    pthread_mutex_t lock; // for `done` alone
    pthread_cond_t done;  // a step became GOOD or BAD
    pthread_t threads[CST_RESTORE_THREADS_MAX];
    uint32_t threads_count;

    cst_table *tables[CST_TABLE_WIDE + 1]; // by layout
    uint32_t group_from, group_to;
    restore_window *window;
    restore_window *shorts; // of rows with short keys, which have a table of their own; or NULL
    csti_record_shape shapes[2]; // of the pieces then, and of that table
    uint8_t *refitted;
    const cst_restore_options *options;
    uint64_t bytes_done; // of the pieces that are in the tables
    cst_restore_report report;
} restore;

// ---- Verification ahead -------------------------------------------------------------------------

static bool step_claim(restore_step *step) {
    int expected = STEP_FREE;

    return atomic_compare_exchange_strong_explicit(&step->state, &expected, STEP_CLAIMED,
                                                   memory_order_relaxed, memory_order_relaxed);
}

static void *helper_run(void *context) {
    restore *state = context;

    for (;;) {
        const size_t at = atomic_fetch_add_explicit(&state->step_next, 1, memory_order_relaxed);
        restore_step *step;
        cst_code code;

        if (at >= state->steps_count || atomic_load_explicit(&state->stop, memory_order_relaxed))
            return NULL;
        step = &state->steps[at];
        if (!step_claim(step)) continue;
        code = csti_segment_verify_blocks(step->segment, step->block_from, step->block_to, NULL);
        // Pairs with the acquire load in step_need: the owner reads blocks after their
        // verification.
        atomic_store_explicit(&step->state, code == CST_OK ? STEP_GOOD : STEP_BAD,
                              memory_order_release);
        (void)pthread_mutex_lock(&state->lock);
        (void)pthread_cond_signal(&state->done);
        (void)pthread_mutex_unlock(&state->lock);
    }
}

static step_state step_wait(restore *state, restore_step *step) {
    int now = atomic_load_explicit(&step->state, memory_order_acquire);

    if (now != STEP_CLAIMED) return (step_state)now;
    (void)pthread_mutex_lock(&state->lock);
    for (;;) {
        now = atomic_load_explicit(&step->state, memory_order_acquire);
        if (now != STEP_CLAIMED) break;
        (void)pthread_cond_wait(&state->done, &state->lock);
    }
    (void)pthread_mutex_unlock(&state->lock);
    return (step_state)now;
}

// The step's blocks are verified when this returns CST_OK.
static cst_code step_need(restore *state, size_t at, cst_err *err) {
    restore_step *step = &state->steps[at];

    if (!step_claim(step) && step_wait(state, step) == STEP_GOOD) return CST_OK;
    // Ours, or a helper found it bad: then this finds the words for it.
    return csti_segment_verify_blocks(step->segment, step->block_from, step->block_to, err);
}

static void helpers_start(restore *state, uint32_t threads_count) {
    while (state->threads_count < threads_count &&
           pthread_create(&state->threads[state->threads_count], NULL, helper_run, state) == 0)
        state->threads_count++; // fewer than asked for is slower, not wrong
}

static void helpers_stop(restore *state) {
    atomic_store_explicit(&state->stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < state->threads_count; i++) (void)pthread_join(state->threads[i], NULL);
    state->threads_count = 0;
}

// ---- What is to be read -------------------------------------------------------------------------

static restore_piece piece_of(const restore *state, const cst_segment *segment, uint32_t part) {
    restore_piece piece = {.segment = segment,
                           .part = part,
                           .from = 0,
                           .to = segment->footer.parts[part].bytes};

    if (segment->header.kind == CST_SEGMENT_FULL_ORDERED) {
        piece.from = csti_segment_group_at(segment, part, state->group_from);
        piece.to = csti_segment_group_at(segment, part, state->group_to);
    }
    return piece;
}

static uint64_t piece_block_from(const restore_piece *piece) {
    assert(piece->segment);
    return (piece->segment->part_at[piece->part] + piece->from) / CST_SEGMENT_BLOCK_BYTES;
}

static uint64_t piece_blocks_count(const restore_piece *piece) {
    if (piece->from == piece->to) return 0;
    return csti_blocks_count(piece->segment->part_at[piece->part] + piece->to) -
           piece_block_from(piece);
}

static size_t piece_steps_count(const restore_piece *piece) {
    return (size_t)((piece_blocks_count(piece) + STEP_BLOCKS - 1) / STEP_BLOCKS);
}

static cst_code plan(restore *state, cst_segment *const *segments, size_t segments_count,
                     cst_err *err) {
    size_t steps_count = 0;

    state->pieces = calloc(segments_count * CST_SEGMENT_PARTS_MAX, sizeof *state->pieces);
    if (!state->pieces)
        return cst_fail(err, CST_NO_MEMORY, "restore: %zu segments", segments_count);
    for (size_t i = 0; i < segments_count; i++)
        for (uint32_t part = 0; part < segments[i]->header.parts_count; part++) {
            restore_piece piece = piece_of(state, segments[i], part);

            piece.step_first = steps_count;
            steps_count += piece_steps_count(&piece);
            state->pieces[state->pieces_count++] = piece;
            state->report.bytes_read += piece.to - piece.from;
            if (piece.to > piece.from && !state->tables[segments[i]->header.parts[part].layout])
                return cst_fail(err, CST_SEGMENT_SCHEMA,
                                "segment %s: offset %zu: part %u has no table", segments[i]->name,
                                offsetof(csti_segment_header, parts[part]), part);
            if (state->shorts &&
                memcmp(&segments[i]->shapes[part], &state->shapes[0], sizeof state->shapes[0]) != 0)
                return cst_fail(err, CST_SEGMENT_SCHEMA,
                                "segment %s: offset %zu: part %u is not as wide as its table",
                                segments[i]->name, offsetof(csti_segment_header, parts[part]),
                                part);
        }
    state->steps = calloc(steps_count + 1, sizeof *state->steps);
    if (!state->steps) return cst_fail(err, CST_NO_MEMORY, "restore: %zu steps", steps_count);
    state->steps_count = steps_count;
    for (size_t i = 0; i < state->pieces_count; i++) {
        const restore_piece *piece = &state->pieces[i];
        const uint64_t end = piece_block_from(piece) + piece_blocks_count(piece);

        for (size_t step = 0; step < piece_steps_count(piece); step++) {
            restore_step *out = &state->steps[piece->step_first + step];

            out->segment = piece->segment;
            out->block_from = piece_block_from(piece) + step * STEP_BLOCKS;
            out->block_to = out->block_from + STEP_BLOCKS;
            if (out->block_to > end) out->block_to = end;
        }
    }
    return CST_OK;
}

// ---- Into the table -----------------------------------------------------------------------------

static cst_code make_room(cst_table *table, cst_code why, uint64_t hash) {
    if (why == CST_TABLE_NOT_READY) return cst_table_prepare(table, NULL);
    if (why != CST_TABLE_FULL) return why;
    for (uint32_t stalls = 0; stalls < STALLS_MAX;) {
        cst_code code = cst_table_grow(table, hash);

        if (code == CST_OK) return CST_OK;
        if (code == CST_TABLE_NOT_READY) {
            stalls++;
            code = cst_table_prepare(table, NULL);
        }
        if (code != CST_OK && code != CST_AGAIN) return code;
    }
    return CST_TABLE_NOT_READY;
}

static cst_table *table_of(const restore *state, const restore_piece *piece) {
    return state->tables[piece->segment->header.parts[piece->part].layout];
}

static void window_order(restore_window *window) {
    uint32_t sum = 0;

    memset(window->starts, 0, sizeof window->starts);
    for (size_t i = 0; i < window->count; i++) window->starts[window->places[i]]++;
    for (uint32_t place = 0; place < CSTI_NEIGHBOURHOODS; place++) {
        const uint32_t here = window->starts[place];

        window->starts[place] = sum;
        sum += here;
    }
    for (size_t i = 0; i < window->count; i++)
        window->ordered[window->starts[window->places[i]]++] = window->records[i];
}

// Of the records from `at` on as many as go in at once.
static cst_code records_apply(restore *state, const restore_window *window, size_t at,
                              size_t *used_out) {
    const size_t left = window->count - at;
    const size_t count = left < REFIT_RECORDS ? left : REFIT_RECORDS;
    const uint8_t *records[REFIT_RECORDS];
    size_t bytes = 0;

    if (window != state->shorts)
        return csti_table_restore_each(window->table, window->ordered + at, left, used_out);
    for (size_t i = 0; i < count; i++) {
        records[i] = state->refitted + bytes;
        bytes += csti_record_refit(&state->shapes[0], window->ordered[at + i], &state->shapes[1],
                                   state->refitted + bytes);
    }
    return csti_table_restore_each(window->table, records, count, used_out);
}

static cst_code window_apply(restore *state, restore_window *window, const restore_piece *piece,
                             cst_err *err) {
    uint32_t stalls = 0;

    window_order(window);
    for (size_t at = 0; at < window->count;) {
        size_t used = 0;
        const cst_code stopped = records_apply(state, window, at, &used);
        cst_code code = stopped;
        const uint8_t *record;

        at += used;
        if (stopped == CST_OK) continue;
        record = window->ordered[at];
        stalls = used > 0 ? 0 : stalls + 1;
        if (stalls <= STALLS_MAX)
            code = make_room(window->table, stopped, csti_record_head(record).hash);
        if (code != CST_OK)
            return cst_fail(err, code, "segment %s: record at offset %llu: %s. %s",
                            piece->segment->name,
                            (unsigned long long)(CSTI_SEGMENT_HEADER_BYTES +
                                                 (record - csti_segment_body(piece->segment))),
                            cst_code_text(code), cst_code_advice(code));
    }
    state->report.records_count += window->count;
    window->count = 0;
    return CST_OK;
}

static restore_window *window_of(const restore *state, csti_record head) {
    const bool is_short = state->shorts && head.key_bytes <= state->shapes[1].key_bytes;

    return is_short ? state->shorts : state->window;
}

// The wanted ones of `count` bytes of whole good records.
static cst_code take(restore *state, const restore_piece *piece, const uint8_t *bytes, size_t count,
                     cst_err *err) {
    for (size_t offset = 0; offset < count;) {
        const csti_record head = csti_record_head(bytes + offset);
        const uint32_t group = cst_key_group(head.hash);

        if (!(head.value_flags & CSTI_RECORD_GAP) && group >= state->group_from &&
            group < state->group_to) {
            restore_window *window = window_of(state, head);

            window->places[window->count] =
                (uint16_t)csti_table_neighbourhood(window->table, head.hash);
            window->records[window->count++] = bytes + offset;
            if (window->count == WINDOW_RECORDS) {
                const cst_code code = window_apply(state, window, piece, err);

                if (code != CST_OK) return code;
            }
        }
        offset += csti_record_bytes(head);
    }
    return CST_OK;
}

static cst_code piece_restore(restore *state, const restore_piece *piece, cst_err *err) {
    const cst_segment *segment = piece->segment;
    const uint8_t *body = csti_segment_body(segment);
    const uint64_t end = segment->part_at[piece->part] + piece->to; // offsets in the body
    const uint64_t from = segment->part_at[piece->part] + piece->from;
    uint64_t at = from;
    uint64_t verified = at;
    size_t step = piece->step_first;
    cst_code code = CST_OK;

    state->window->table = table_of(state, piece);
    while (at < end) {
        csti_record_counts counts = {0, 0};
        const char *why;
        const size_t used = csti_records_walk(&segment->shapes[piece->part], body + at,
                                              (size_t)(verified - at), &counts, &why);

        if (used == 0 && (why || verified == end))
            return cst_fail(err, CST_SEGMENT_RECORD, "segment %s: offset %llu: %s. %s",
                            segment->name, (unsigned long long)(CSTI_SEGMENT_HEADER_BYTES + at),
                            why ? why : "cut off", cst_code_advice(CST_SEGMENT_RECORD));
        if (used == 0) {
            code = csti_restore_step(state->options, state->bytes_done + (at - from), err);
            if (code == CST_OK) code = step_need(state, step, err);
            verified = state->steps[step++].block_to * CST_SEGMENT_BLOCK_BYTES;
            if (verified > end) verified = end;
        } else {
            code = take(state, piece, body + at, used, err);
        }
        if (code != CST_OK) return code;
        at += used;
    }
    state->bytes_done += end - from;
    if (state->shorts) code = window_apply(state, state->shorts, piece, err);
    return code == CST_OK ? window_apply(state, state->window, piece, err) : code;
}

// ---- Calls --------------------------------------------------------------------------------------

uint64_t cst_restore_rows_hint(cst_segment *const *segments, size_t segments_count,
                               cst_table_layout layout) {
    uint64_t rows = 0;

    for (size_t i = 0; i < segments_count; i++)
        for (uint32_t part = 0; part < segments[i]->header.parts_count; part++)
            if (segments[i]->header.parts[part].layout == layout &&
                segments[i]->footer.parts[part].rows > rows)
                rows = segments[i]->footer.parts[part].rows;
    return rows;
}

static cst_code options_check(const cst_restore_options *options, cst_err *err) {
    if (options->group_from > options->group_to || options->group_to > CST_KEY_GROUPS_COUNT)
        return cst_fail(err, CST_USAGE, "restore: key groups %u to %u", options->group_from,
                        options->group_to);
    if (options->threads_count > CST_RESTORE_THREADS_MAX)
        return cst_fail(err, CST_USAGE, "restore: %u threads, %d at most", options->threads_count,
                        CST_RESTORE_THREADS_MAX);
    return CST_OK;
}

static cst_code windows_open(restore *state, cst_table *shorts, cst_err *err) {
    const cst_table *longs = state->tables[CST_TABLE_INLINE];

    state->window = malloc(sizeof *state->window);
    if (!state->window) return cst_fail(err, CST_NO_MEMORY, "restore");
    state->window->count = 0;
    if (!shorts) return CST_OK;
    assert(shorts->value_bytes == longs->value_bytes);
    for (int which = 0; which < 2; which++) {
        const cst_table *table = which == 0 ? longs : shorts;
        const cst_segment_part part = {CST_TABLE_INLINE, table->key_bytes, table->value_bytes};

        state->shapes[which] = csti_record_shape_of(&part);
    }
    state->shorts = malloc(sizeof *state->shorts);
    state->refitted = malloc((size_t)REFIT_RECORDS * state->shapes[1].record_bytes);
    if (!state->shorts || !state->refitted) return cst_fail(err, CST_NO_MEMORY, "restore");
    state->shorts->table = shorts;
    state->shorts->count = 0;
    return CST_OK;
}

static cst_code restore_run(restore *state, cst_segment *const *segments, size_t segments_count,
                            cst_table *shorts, const cst_restore_options *options,
                            cst_restore_report *report_out, cst_err *err) {
    static const cst_restore_options defaults = {0}; // state->options outlives this call
    cst_code code = cst_segment_chain_check(segments, segments_count, err);

    if (!options) options = &defaults;
    state->options = options;
    if (code == CST_OK) code = options_check(options, err);
    if (code != CST_OK) return code;
    state->group_to = CST_KEY_GROUPS_COUNT;
    if (options->group_to > 0) {
        state->group_from = options->group_from;
        state->group_to = options->group_to;
    }
    (void)pthread_mutex_init(&state->lock, NULL);
    (void)pthread_cond_init(&state->done, NULL);
    code = windows_open(state, shorts, err);
    if (code == CST_OK) code = plan(state, segments, segments_count, err);
    if (code == CST_OK) helpers_start(state, options->threads_count);
    for (size_t i = 0; code == CST_OK && i < state->pieces_count; i++)
        code = piece_restore(state, &state->pieces[i], err);
    helpers_stop(state);
    state->report.segments_count = segments_count;
    if (code == CST_OK && report_out) *report_out = state->report;
    (void)pthread_cond_destroy(&state->done);
    (void)pthread_mutex_destroy(&state->lock);
    free(state->window);
    free(state->shorts);
    free(state->refitted);
    free(state->steps);
    free(state->pieces);
    return code;
}

cst_code cst_segment_restore(cst_segment *const *segments, size_t segments_count,
                             cst_table *inline_table, cst_table *wide_table,
                             const cst_restore_options *options, cst_restore_report *report_out,
                             cst_err *err) {
    restore state = {.tables = {NULL, inline_table, wide_table}};

    return restore_run(&state, segments, segments_count, NULL, options, report_out, err);
}

cst_code csti_segment_restore_two(cst_segment *const *segments, size_t segments_count,
                                  cst_table *shorts, cst_table *longs,
                                  const cst_restore_options *options,
                                  cst_restore_report *report_out, cst_err *err) {
    restore state = {.tables = {NULL, longs, NULL}};

    return restore_run(&state, segments, segments_count, shorts, options, report_out, err);
}
