// fold.c: a chain of segments becomes one ordered full.
//
//   1. read and verify everything, measure the deltas' records by key group     nothing written yet
//   2. of as many key groups as half of the memory lists: where their records lie, in chain order,
//      a list for each window of groups whose records fit the other half
//
//        places  | window 0: p p p p p p | window 1: p p p p | ...       one walk over the deltas
//        records | group g | group g + 1 | ... | of one window, group by group
//
//   3. of each window: copy its records; sort each group (stable: the newest of a key is last),
//      merge it with the rows of the full that the chain stands on, which are in order, write the
//      newest of a key if it is a row
//   4. back to 2 until group 4095; then the wide part the same way
//
// Several chains that share the key groups among them are read as one: a group's records are in one
// of them alone.
//
// A full that is not in order is copied and sorted as a delta is. Records are copied, since a group
// of them fits a cache, and in the order in which they lie: read by group, each would wait for the
// memory, and for the address of its page before. Listed, since a walk over all deltas for every
// window waits for each record's head as often as there are windows.
#include "base/pages.h"
#include "state/segment.h"
#include "state/sort.h"

#include <assert.h>
#include <stdlib.h>

enum {
    FOLD_OUT_BYTES = 2 << 20,     // the longest record fits
    FOLD_WRITE_BYTES = 128 << 10, // go out at once: they are in the cache still
    FOLD_STEP_BYTES = 1 << 20,
    STEP_GROUPS = 64, // are written from one step to the next
    LINE_BYTES = 64,
    AHEAD = 16,            // records that are asked for, before one is copied
    AHEAD_BYTES_MAX = 512, // of each
};
#define FOLD_MEMORY_DEFAULT ((uint64_t)64 << 20)

typedef struct fold_group { // of the deltas
    uint64_t count;         // records
    uint64_t bytes;
} fold_group;

typedef struct fold_window { // groups [from, to), records places[first .. next)
    uint32_t from, to;
    uint64_t first, next;
} fold_window;

typedef struct fold_input {
    const cst_segment *segment;
    uint32_t group_from, group_to; // what is wanted of it
    bool is_base;                  // in order: it is read where it lies
} fold_input;

typedef struct fold {
    const cst_fold_options *options; // NULL: none
    fold_input *inputs;              // chain behind chain
    size_t inputs_count;
    uint64_t bytes_read; // of bodies
    cst_segment_info info;
    cst_segment_writer *writer;
    csti_record_shape shape;                        // of the part at work
    uint32_t part;                                  // its number in the output
    const cst_segment *bases[CST_KEY_GROUPS_COUNT]; // in order, its chain's first; NULL: none

    fold_group groups[CST_SEGMENT_PARTS_MAX][CST_KEY_GROUPS_COUNT];
    fold_window windows[CST_KEY_GROUPS_COUNT];
    uint32_t windows_count;
    uint16_t window_of[CST_KEY_GROUPS_COUNT];
    const uint8_t **places; // of records, in the pages of `records`, in front of them
    uint64_t places_room;
    uint64_t next[CST_KEY_GROUPS_COUNT]; // where the group's next record goes
    csti_pages pages;                    // places, then records
    uint8_t *records;                    // of the window at work, those of a group side by side
    uint64_t records_room;               // bytes for them
    uint32_t record_bytes;               // of the part's, on average
    csti_sort_item *items, *scratch;     // of one group
    // Of one hash, where the base has it too; as much scratch lies behind them.
    csti_sort_item *versions;
    size_t versions_count; // that it has room for
    csti_sort_counts sort_counts;
    uint8_t *out;
    size_t out_used;
} fold;

// The part of `segment` with this layout; parts_count: none.
static uint32_t part_of_layout(const cst_segment *segment, uint32_t layout) {
    uint32_t part = 0;

    while (part < segment->header.parts_count && segment->header.parts[part].layout != layout)
        part++;
    return part;
}

static cst_code fold_step(const fold *state, cst_err *err) {
    if (!state->options || !state->options->step) return CST_OK;
    return state->options->step(state->options->step_context, err);
}

// ---- 1. Verify and count ------------------------------------------------------------------------

// NULL, or what is wrong with a row of an ordered full: it lies where its group does.
static const char *place_check(const fold_input *input, uint32_t part, uint64_t at,
                               csti_record head) {
    const uint32_t group = cst_key_group(head.hash);

    if (!input->is_base) return NULL;
    if (head.value_flags & (CSTI_RECORD_GAP | CSTI_RECORD_TOMBSTONE)) return "no row";
    if (at < csti_segment_group_at(input->segment, part, group) ||
        at + csti_record_bytes(head) > csti_segment_group_at(input->segment, part, group + 1))
        return "in another key group's place";
    return NULL;
}

static void record_count(fold *state, const fold_input *input, uint32_t out_part,
                         csti_record head) {
    const uint32_t group = cst_key_group(head.hash);
    fold_group *counted = &state->groups[out_part][group];

    if (input->is_base || head.value_flags & CSTI_RECORD_GAP) return;
    if (group < input->group_from || group >= input->group_to) return;
    counted->count++;
    counted->bytes += csti_record_bytes(head);
}

// Of an ordered full, the wanted groups alone.
static cst_code records_check(fold *state, const fold_input *input, uint32_t out_part,
                              uint32_t part, cst_err *err) {
    const cst_segment *segment = input->segment;
    const csti_record_shape *shape = &segment->shapes[part];
    const uint8_t *bytes = csti_segment_body(segment) + segment->part_at[part];
    const uint64_t from =
        input->is_base ? csti_segment_group_at(segment, part, input->group_from) : 0;
    const uint64_t to = input->is_base ? csti_segment_group_at(segment, part, input->group_to)
                                       : segment->footer.parts[part].bytes;
    uint64_t verified = from; // up to here, in the part

    state->bytes_read += to - from;
    for (uint64_t at = from; at < to;) {
        const char *why = "cut off";
        csti_record_state good = CSTI_RECORD_CUT;
        csti_record head;

        if (at < verified)
            good = csti_record_check(shape, bytes + at, (size_t)(verified - at), &why);
        if (good == CSTI_RECORD_CUT && verified < to) {
            const uint64_t block = (segment->part_at[part] + verified) / CST_SEGMENT_BLOCK_BYTES;
            const uint64_t rest = to - verified;
            cst_code code;

            verified += rest < FOLD_STEP_BYTES ? rest : FOLD_STEP_BYTES;
            code = csti_segment_verify_blocks(segment, block,
                                              csti_blocks_count(segment->part_at[part] + verified),
                                              err);
            if (code == CST_OK) code = fold_step(state, err);
            if (code != CST_OK) return code;
            continue;
        }
        head = csti_record_head(bytes + at);
        if (good == CSTI_RECORD_GOOD) why = place_check(input, part, at, head);
        if (good != CSTI_RECORD_GOOD || why)
            return cst_fail(err, CST_SEGMENT_RECORD, "segment %s: offset %llu: %s. %s",
                            segment->name,
                            (unsigned long long)csti_segment_offset(segment, part, at), why,
                            cst_code_advice(CST_SEGMENT_RECORD));
        record_count(state, input, out_part, head);
        at += csti_record_bytes(head);
    }
    return CST_OK;
}

// An ordered full's rows must be in order and its key groups where it says.
static cst_code input_check(fold *state, const fold_input *input, cst_err *err) {
    const cst_segment *segment = input->segment;

    if (input->is_base && input->group_from == 0 && input->group_to == CST_KEY_GROUPS_COUNT) {
        state->bytes_read += segment->footer.body_bytes;
        return cst_segment_verify(segment, NULL, err);
    }
    for (uint32_t out_part = 0; out_part < state->info.parts_count; out_part++) {
        const uint32_t part = part_of_layout(segment, state->info.parts[out_part].layout);
        cst_code code;

        if (part == segment->header.parts_count) continue;
        code = records_check(state, input, out_part, part, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

static cst_code inputs_check(fold *state, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t i = 0; code == CST_OK && i < state->inputs_count; i++)
        code = input_check(state, &state->inputs[i], err);
    return code;
}

// ---- 2. Collect ---------------------------------------------------------------------------------

// Records begin and end at multiples of a unit.
static void record_copy(uint8_t *to, const uint8_t *record, uint32_t bytes) {
    for (uint32_t at = 0; at < bytes; at += CSTI_LOG_UNIT)
        memcpy(to + at, record + at, CSTI_LOG_UNIT);
}

// From group `from` on: as many groups as can be listed; in windows. Returns the first one left.
static uint32_t windows_cut(fold *state, uint32_t from) {
    const fold_group *groups = state->groups[state->part];
    fold_window *window = state->windows;
    uint64_t count = 0, bytes = 0;
    uint32_t group = from;

    *window = (fold_window){.from = from};
    for (; group < CST_KEY_GROUPS_COUNT; group++) {
        if (group > from && count + groups[group].count > state->places_room) break;
        if (group > window->from && bytes + groups[group].bytes > state->records_room) {
            window->to = group;
            *++window = (fold_window){.from = group, .first = count, .next = count};
            bytes = 0;
        }
        state->window_of[group] = (uint16_t)(window - state->windows);
        count += groups[group].count;
        bytes += groups[group].bytes;
    }
    window->to = group;
    state->windows_count = (uint32_t)(window - state->windows) + 1;
    return group;
}

static void input_list(fold *state, const fold_input *input, uint32_t part, uint32_t from,
                       uint32_t to) {
    const cst_segment *segment = input->segment;
    const uint8_t *bytes = csti_segment_body(segment) + segment->part_at[part];
    const uint64_t end = segment->footer.parts[part].bytes;

    if (from < input->group_from) from = input->group_from;
    if (to > input->group_to) to = input->group_to;
    for (uint64_t at = 0; at < end;) {
        const csti_record head = csti_record_head(bytes + at);
        const uint32_t group = cst_key_group(head.hash);

        if (!(head.value_flags & CSTI_RECORD_GAP) && group >= from && group < to)
            state->places[state->windows[state->window_of[group]].next++] = bytes + at;
        at += csti_record_bytes(head);
    }
}

static cst_code deltas_list(fold *state, uint32_t from, uint32_t to, cst_err *err) {
    for (size_t i = 0; i < state->inputs_count; i++) {
        const fold_input *input = &state->inputs[i];
        const uint32_t part = part_of_layout(input->segment, state->shape.layout);
        const cst_code code = fold_step(state, err);

        if (code != CST_OK) return code;
        if (!input->is_base && part < input->segment->header.parts_count)
            input_list(state, input, part, from, to);
    }
    return CST_OK;
}

static void record_ask(const fold *state, const uint8_t *record) {
    for (uint32_t at = 0; at < state->record_bytes; at += LINE_BYTES)
        __builtin_prefetch(record + at, 0, 0);
}

static void window_copy(fold *state, const fold_window *window) {
    const fold_group *groups = state->groups[state->part];
    uint64_t start = 0;

    for (uint32_t group = window->from; group < window->to; group++) {
        state->next[group] = start;
        start += groups[group].bytes;
    }
    for (uint64_t i = window->first; i < window->next; i++) {
        const uint8_t *record = state->places[i];
        csti_record head;
        uint64_t *next;

        if (i + AHEAD < window->next) record_ask(state, state->places[i + AHEAD]);
        head = csti_record_head(record);
        next = &state->next[cst_key_group(head.hash)];
        record_copy(state->records + *next, record, csti_record_bytes(head));
        *next += csti_record_bytes(head);
    }
}

// ---- 3. Sort and write --------------------------------------------------------------------------

static cst_code out_flush(fold *state, cst_err *err) {
    const cst_code code =
        cst_segment_writer_append(state->writer, state->part, state->out, state->out_used, err);

    state->out_used = 0;
    return code;
}

static cst_code row_write(fold *state, const uint8_t *record, cst_err *err) {
    csti_record head = csti_record_head(record);
    const uint32_t content_bytes =
        csti_record_value_offset(&state->shape, head) + csti_record_value_bytes(head);
    // A wide record may have more room than its row needs, by what was there before.
    const uint32_t record_bytes = (content_bytes + CSTI_LOG_UNIT - 1) & ~(CSTI_LOG_UNIT - 1u);

    if (head.value_flags & CSTI_RECORD_TOMBSTONE) return CST_OK;
    if (state->out_used > 0 && state->out_used + record_bytes > FOLD_WRITE_BYTES) {
        const cst_code code = out_flush(state, err);

        if (code != CST_OK) return code;
    }
    record_copy(state->out + state->out_used, record, record_bytes);
    head.units = (uint16_t)(record_bytes / CSTI_LOG_UNIT);
    memcpy(state->out + state->out_used, &head, sizeof head);
    state->out_used += record_bytes;
    return CST_OK;
}

// Items of one hash, oldest first: nearly always versions of one key.
static cst_code run_write(fold *state, csti_sort_item *run, csti_sort_item *scratch, size_t count,
                          cst_err *err) {
    bool one_key = true;

    for (size_t i = 0; i + 1 < count && one_key; i++)
        one_key = csti_record_key_compare(run[i].record, run[count - 1].record) == 0;
    if (one_key) return row_write(state, run[count - 1].record, err);
    csti_sort_by_key(run, scratch, count);
    for (size_t i = 0; i < count; i++) {
        const bool newest =
            i + 1 == count || csti_record_key_compare(run[i].record, run[i + 1].record) != 0;
        const cst_code code = newest ? row_write(state, run[i].record, err) : CST_OK;

        if (code != CST_OK) return code;
    }
    return CST_OK;
}

// The base's rows of one key group; none: at == end.
typedef struct base_rows {
    const uint8_t *at, *end;
} base_rows;

static base_rows base_rows_of(const fold *state, uint32_t group) {
    const cst_segment *base = state->bases[group];
    const uint32_t part = base ? part_of_layout(base, state->shape.layout) : 0;
    const uint8_t *bytes;

    if (!base || part == base->header.parts_count) return (base_rows){NULL, NULL};
    bytes = csti_segment_body(base) + base->part_at[part];
    return (base_rows){bytes + csti_segment_group_at(base, part, group),
                       bytes + csti_segment_group_at(base, part, group + 1)};
}

// The rows that come before those of `hash`; NULL: all that are left.
static cst_code base_copy(fold *state, base_rows *rows, const uint64_t *hash, cst_err *err) {
    while (rows->at < rows->end) {
        const csti_record head = csti_record_head(rows->at);
        cst_code code;

        if (hash && head.hash >= *hash) return CST_OK;
        code = row_write(state, rows->at, err);
        if (code != CST_OK) return code;
        rows->at += csti_record_bytes(head);
    }
    return CST_OK;
}

static cst_code versions_fit(fold *state, size_t count, cst_err *err) {
    csti_sort_item *larger;

    if (count <= state->versions_count) return CST_OK;
    larger = realloc(state->versions, 4 * count * sizeof *larger);
    if (!larger) return cst_fail(err, CST_NO_MEMORY, "fold: %zu versions of a hash", count);
    state->versions = larger;
    state->versions_count = 2 * count;
    return CST_OK;
}

// The same run, behind what the base has of its hash.
static cst_code run_merge(fold *state, base_rows *rows, csti_sort_item *run, size_t count,
                          cst_err *err) {
    size_t older = 0;
    cst_code code;

    while (rows->at < rows->end && csti_record_head(rows->at).hash == run[0].hash) {
        code = versions_fit(state, older + 1 + count, err);
        if (code != CST_OK) return code;
        state->versions[older++] = (csti_sort_item){run[0].hash, rows->at};
        rows->at += csti_record_bytes(csti_record_head(rows->at));
    }
    if (older == 0) return run_write(state, run, state->scratch, count, err);
    memcpy(state->versions + older, run, count * sizeof *run);
    return run_write(state, state->versions, state->versions + state->versions_count, older + count,
                     err);
}

// The group's records, which lie from `start` on, oldest first, become items in order.
static size_t group_sort(fold *state, uint32_t group, uint64_t start) {
    const uint64_t end = start + state->groups[state->part][group].bytes;
    size_t count = 0;

    for (uint64_t at = start; at < end;) {
        const uint8_t *record = state->records + at;
        const csti_record head = csti_record_head(record);

        state->items[count++] = (csti_sort_item){head.hash, record};
        at += csti_record_bytes(head);
    }
    csti_sort_by_hash(state->items, state->scratch, count, &state->sort_counts);
    return count;
}

static cst_code group_write(fold *state, uint32_t group, uint64_t start, cst_err *err) {
    const size_t count = group_sort(state, group, start);
    csti_sort_item *items = state->items;
    base_rows rows = base_rows_of(state, group);

    for (size_t at = 0; at < count;) {
        size_t run = 1;
        cst_code code;

        while (at + run < count && items[at + run].hash == items[at].hash) run++;
        code = base_copy(state, &rows, &items[at].hash, err);
        if (code == CST_OK) code = run_merge(state, &rows, items + at, run, err);
        if (code != CST_OK) return code;
        at += run;
    }
    return base_copy(state, &rows, NULL, err);
}

static cst_code window_write(fold *state, const fold_window *window, cst_err *err) {
    uint64_t start = 0;

    window_copy(state, window);
    for (uint32_t group = window->from; group < window->to; group++) {
        cst_code code = group_write(state, group, start, err);

        if (code == CST_OK && group % STEP_GROUPS == 0) code = fold_step(state, err);
        if (code != CST_OK) return code;
        start += state->groups[state->part][group].bytes;
    }
    return CST_OK;
}

static uint32_t record_bytes_mean(const fold_group *groups) {
    uint64_t count = 0, bytes = 0;

    for (uint32_t group = 0; group < CST_KEY_GROUPS_COUNT; group++) {
        count += groups[group].count;
        bytes += groups[group].bytes;
    }
    return count ? (uint32_t)(bytes / count) : 0;
}

static cst_code part_write(fold *state, uint32_t part, cst_err *err) {
    state->part = part;
    state->shape = csti_record_shape_of(&state->info.parts[part]);
    state->record_bytes = record_bytes_mean(state->groups[part]);
    if (state->record_bytes > AHEAD_BYTES_MAX) state->record_bytes = AHEAD_BYTES_MAX;
    for (uint32_t from = 0; from < CST_KEY_GROUPS_COUNT;) {
        const uint32_t to = windows_cut(state, from);
        cst_code code = deltas_list(state, from, to, err);

        for (uint32_t w = 0; w < state->windows_count && code == CST_OK; w++)
            code = window_write(state, &state->windows[w], err);
        if (code != CST_OK) return code;
        from = to;
    }
    return out_flush(state, err);
}

// ---- The whole ----------------------------------------------------------------------------------

// As the last input's, of the parts that any of them has.
static cst_segment_info info_of(const fold *state) {
    cst_segment_info info;

    cst_segment_info_read(state->inputs[state->inputs_count - 1].segment, &info);
    info.kind = CST_SEGMENT_FULL_ORDERED;
    info.epoch_from = 1;
    info.base_epoch = 0;
    info.base_checksum = 0;
    info.parts_count = 0;
    memset(info.parts, 0, sizeof info.parts);
    for (uint32_t layout = CST_TABLE_INLINE; layout <= CST_TABLE_WIDE; layout++)
        for (size_t i = 0; i < state->inputs_count; i++) {
            const cst_segment *segment = state->inputs[i].segment;
            const uint32_t part = part_of_layout(segment, layout);
            cst_segment_info other;

            if (part == segment->header.parts_count) continue;
            cst_segment_info_read(segment, &other);
            info.parts[info.parts_count++] = other.parts[part];
            break;
        }
    return info;
}

// `wanted`: how many of them there are at most.
static cst_code fold_make(const cst_fold_options *options, size_t wanted, fold **out,
                          cst_err *err) {
    fold *state = calloc(1, sizeof *state);

    if (state) state->inputs = calloc(wanted, sizeof *state->inputs);
    if (!state || !state->inputs) {
        free(state);
        return cst_fail(err, CST_NO_MEMORY, "fold: %zu segments", wanted);
    }
    state->options = options;
    *out = state;
    return CST_OK;
}

static void inputs_add(fold *state, cst_segment *const *segments, size_t segments_count,
                       uint32_t group_from, uint32_t group_to) {
    for (size_t i = 0; i < segments_count; i++) {
        const bool is_base = segments[i]->header.kind == CST_SEGMENT_FULL_ORDERED;

        state->inputs[state->inputs_count++] =
            (fold_input){segments[i], group_from, group_to, is_base};
        for (uint32_t g = group_from; is_base && g < group_to; g++) state->bases[g] = segments[i];
    }
}

typedef struct fold_sizes { // of what the deltas hold
    fold_group largest;     // of a group: of any two of them
    fold_group total;       // of a part, likewise
} fold_sizes;

static uint64_t greater(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static fold_sizes sizes_of(const fold *state) {
    fold_sizes sizes = {0};

    for (uint32_t part = 0; part < state->info.parts_count; part++) {
        fold_group sum = {0};

        for (uint32_t g = 0; g < CST_KEY_GROUPS_COUNT; g++) {
            const fold_group *group = &state->groups[part][g];

            sizes.largest.count = greater(sizes.largest.count, group->count);
            sizes.largest.bytes = greater(sizes.largest.bytes, group->bytes);
            sum.count += group->count;
            sum.bytes += group->bytes;
        }
        sizes.total.count = greater(sizes.total.count, sum.count);
        sizes.total.bytes = greater(sizes.total.bytes, sum.bytes);
    }
    return sizes;
}

// Half of what items leave is for places and half for records, and both hold the largest group.
static cst_code memory_share(fold *state, const fold_sizes *sizes, uint64_t memory_bytes,
                             cst_err *err) {
    const uint64_t items_bytes = 2 * sizes->largest.count * sizeof(csti_sort_item);
    const uint64_t places_bytes = sizes->largest.count * sizeof *state->places;
    uint64_t left, places_room;

    if (items_bytes + places_bytes + sizes->largest.bytes > memory_bytes ||
        sizes->largest.count > UINT32_MAX)
        return cst_fail(err, CST_LIMIT,
                        "fold: a key group of %llu records does not fit memory_bytes %llu",
                        (unsigned long long)sizes->largest.count, (unsigned long long)memory_bytes);
    left = memory_bytes - items_bytes;
    places_room = greater(left / 2, places_bytes);
    if (left - places_room < sizes->largest.bytes) places_room = left - sizes->largest.bytes;
    state->places_room = places_room / sizeof *state->places;
    state->records_room = left - places_room;
    if (state->places_room > sizes->total.count) state->places_room = sizes->total.count;
    if (state->records_room > sizes->total.bytes) state->records_room = sizes->total.bytes;
    return CST_OK;
}

static cst_code memory_take(fold *state, uint64_t memory_bytes, cst_err *err) {
    const csti_pages_options options = {.numa_node = -1, .hugepages = true};
    const fold_sizes sizes = sizes_of(state);
    uint64_t places_bytes, bytes;
    cst_code code = memory_share(state, &sizes, memory_bytes, err);

    if (code != CST_OK) return code;
    state->items = malloc((size_t)(2 * sizes.largest.count + 1) * sizeof *state->items);
    state->out = malloc(FOLD_OUT_BYTES);
    if (!state->items || !state->out)
        return cst_fail(err, CST_NO_MEMORY, "fold: %llu sort items",
                        (unsigned long long)(2 * sizes.largest.count));
    state->scratch = state->items + sizes.largest.count;
    if (sizes.total.count == 0) return CST_OK;
    places_bytes =
        (state->places_room * sizeof *state->places + LINE_BYTES - 1) & ~(uint64_t)(LINE_BYTES - 1);
    bytes = places_bytes + state->records_room;
    code = csti_pages_reserve(&state->pages, (size_t)bytes, &options, err);
    if (code == CST_OK) code = csti_pages_prepare(&state->pages, (size_t)bytes, err);
    if (code != CST_OK) return code;
    state->places = (const uint8_t **)(void *)state->pages.base;
    state->records = state->pages.base + places_bytes;
    return CST_OK;
}

static cst_code fold_run(fold *state, cst_write write, void *context,
                         cst_segment_summary *summary_out, cst_err *err) {
    const cst_fold_options *options = state->options;
    const uint64_t memory_bytes =
        options && options->memory_bytes ? options->memory_bytes : FOLD_MEMORY_DEFAULT;
    cst_code code = inputs_check(state, err);

    if (code == CST_OK) code = memory_take(state, memory_bytes, err);
    if (code == CST_OK)
        code = cst_segment_writer_open(&state->info, write, context, &state->writer, err);
    for (uint32_t part = 0; code == CST_OK && part < state->info.parts_count; part++)
        code = part_write(state, part, err);
    if (code == CST_OK) code = cst_segment_writer_finish(state->writer, summary_out, err);
    return code;
}

static void fold_close(fold *state) {
    cst_segment_writer_close(state->writer);
    csti_pages_release(&state->pages);
    free(state->items);
    free(state->versions);
    free(state->out);
    free(state->inputs);
    free(state);
}

cst_code cst_segment_fold(cst_segment *const *segments, size_t segments_count,
                          const cst_fold_options *options, cst_write write, void *context,
                          cst_segment_summary *summary_out, cst_err *err) {
    const cst_segment *last;
    fold *state = NULL;
    cst_code code = cst_segment_chain_check(segments, segments_count, err);

    if (code == CST_OK) code = fold_make(options, segments_count, &state, err);
    if (code != CST_OK) return code;
    inputs_add(state, segments, segments_count, 0, CST_KEY_GROUPS_COUNT);
    last = segments[segments_count - 1];
    state->info = info_of(state);
    state->info.tip_checksum =
        last->header.tip_checksum ? last->header.tip_checksum : last->footer.checksum;
    code = fold_run(state, write, context, summary_out, err);
    fold_close(state);
    return code;
}

cst_code csti_segment_spread(const csti_spread *spread, const cst_fold_options *options,
                             cst_write write, void *context, csti_spread_report *report_out,
                             cst_err *err) {
    size_t segments_count = 0;
    fold *state = NULL;
    cst_code code = CST_OK;

    assert(spread->group_from < spread->group_to);
    assert(spread->group_to <= CST_KEY_GROUPS_COUNT);
    for (uint32_t c = 0; code == CST_OK && c < spread->chains_count; c++) {
        code = cst_segment_chain_check(spread->chains[c].segments, spread->chains[c].segments_count,
                                       err);
        segments_count += spread->chains[c].segments_count;
    }
    if (code == CST_OK && segments_count == 0)
        code = cst_fail(err, CST_USAGE, "a spread of no segments");
    if (code == CST_OK) code = fold_make(options, segments_count, &state, err);
    if (code != CST_OK) return code;
    for (uint32_t c = 0; c < spread->chains_count; c++) {
        const csti_spread_chain *chain = &spread->chains[c];
        const uint32_t from =
            chain->group_from > spread->group_from ? chain->group_from : spread->group_from;
        const uint32_t to = chain->group_to < spread->group_to ? chain->group_to : spread->group_to;

        if (from < to) inputs_add(state, chain->segments, chain->segments_count, from, to);
    }
    state->info = info_of(state);
    state->info.epoch_to = spread->epoch_to;
    state->info.tip_checksum = 0;
    code = fold_run(state, write, context, &report_out->summary, err);
    report_out->bytes_read = state->bytes_read;
    fold_close(state);
    return code;
}
