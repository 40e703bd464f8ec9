// rows.cl: rows of a pass through a table. docs/formats.md, The table image.
//
//   part_count -> prefix -> part_scatter     rows by segment, each segment's in row order
//   apply         a work-item a partition: all rows of a segment are its own, so what they do to
//                 index and slots follows from their order alone; it keeps what was there before
//   plan          one work-group: the first row that failed; each append's offset, in row order
//   records       a work-item a row
//   undo          after a failure: what was there before; then again, up to the failed row
//
// No record crosses a line of 1,024 bytes and all have one width, so that the place of the n-th
// behind the tail is known without the others.

enum { BUCKET_SLOTS = 16, CHUNK_BUCKETS = 8, FIRST_UNTIL = 14 };
enum { ROW_WORDS = 8, LINE_BYTES = 64, OCCUPIED = 16 }; // of a directory row; of a control line
#define NOWHERE (~0UL)
#define RECORD_ROW 0x80000000u
#define RECORD_TOMBSTONE 0x40000000u
#define RECORD_GAP 0x20000000u

// ---- Where a hash leads -------------------------------------------------------------------------

typedef struct segment {
    __global const uint *row; // of the directory: {depth, chunks, 0, 0}, ids
    uint first, second;       // buckets
    uint tag;
} segment;

static segment segment_of(__global const uchar *input, __global const uint *directory, ulong hash) {
    __global const ocl_pass *pass = PASS;
    segment of;
    uint buckets;

    of.row = directory + (hash & pass->directory_mask) * ROW_WORDS;
    of.tag = (uint)(hash >> 36) & 0xffff;
    buckets = (of.row[0] >> 8 & 0xff) * CHUNK_BUCKETS;
    of.first = ((uint)(hash >> 22) & 0x3fff) * buckets >> 14;
    of.second = (of.tag * (buckets / 2) >> 16) * 2 + (~of.first & 1);
    return of;
}

// Of a segment's bucket, its number over all chunks.
static ulong bucket_at(segment of, uint bucket) {
    return (ulong)of.row[1 + bucket / CHUNK_BUCKETS] * CHUNK_BUCKETS + bucket % CHUNK_BUCKETS;
}

static __global ushort *line_at(__global uchar *index, ulong bucket) {
    return (__global ushort *)(index + bucket * LINE_BYTES);
}

static __global ulong *filter_of(__global ushort *line, uint tag) {
    return (__global ulong *)(line + 24) + (tag >> 6 & 1);
}

// Occupied slots with this tag, a bit each.
static uint line_match(__global const ushort *line, uint tag) {
    const ushort16 bits =
        (ushort16)(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768);
    const ushort16 equal = as_ushort16(vload16(0, line) == (ushort16)((ushort)tag)) & bits;
    const ushort8 eight = equal.lo | equal.hi;
    const ushort4 four = eight.lo | eight.hi;
    const ushort2 two = four.lo | four.hi;

    return (uint)(two.lo | two.hi) & line[OCCUPIED];
}

static uint lowest(uint bits) {
    return 31 - clz(bits & -bits);
}

// ---- Rows in their slots ------------------------------------------------------------------------

static bool entry_holds(__global const ulong *entry, ulong hash, row_key key) {
    if (entry[0] != hash || (entry[1] & 0xff) != key.count) return false;
    for (uint at = 0; at < key.count; at += 8)
        if (entry[2 + at / 8] != load_word(key.bytes, at, key.count)) return false;
    return true;
}

static ulong bucket_search(__global uchar *index, __global const ulong *slots, uint entry_words,
                           ulong bucket, uint tag, ulong hash, row_key key) {
    uint match = line_match(line_at(index, bucket), tag);

    for (; match; match &= match - 1) {
        const ulong slot = bucket * BUCKET_SLOTS + lowest(match);

        if (entry_holds(slots + slot * entry_words, hash, key)) return slot;
    }
    return NOWHERE;
}

static ulong find(__global uchar *index, __global const ulong *slots, uint entry_words, segment of,
                  ulong hash, row_key key) {
    const ulong first = bucket_at(of, of.first);
    const ulong slot = bucket_search(index, slots, entry_words, first, of.tag, hash, key);

    if (slot != NOWHERE || !(*filter_of(line_at(index, first), of.tag) >> (of.tag & 63) & 1))
        return slot;
    return bucket_search(index, slots, entry_words, bucket_at(of, of.second), of.tag, hash, key);
}

static bool expired(__global const uchar *input, __global const ulong *entry) {
    __global const ocl_pass *pass = PASS;
    long time, end;

    if (pass->ttl_us == 0) return false;
    time = (long)load8((__global const uchar *)(entry + pass->value_word) + pass->time_offset);
    end = (long)((ulong)time + pass->ttl_us);
    if (end < time || (pass->ttl_us >> 63 && time >= 0)) return false; // beyond all time
    return end <= pass->now_us;
}

// ---- By segment ---------------------------------------------------------------------------------

static uint2 rows_of_tile(__global const uchar *input, uint tile) {
    __global const ocl_pass *pass = PASS;
    const uint from = pass->first + tile * pass->tile_rows;

    return (uint2)(from, min(from + pass->tile_rows, pass->count));
}

__kernel void part_count(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint tile = (uint)get_global_id(0), tiles = pass->tiles, bits = pass->partitions_bits;
    __global const ulong *hashes = (__global const ulong *)(work + pass->work_hashes);
    __global uint *parts = (__global uint *)(work + pass->work_parts);
    __global uint *counts = (__global uint *)(work + pass->work_counts);
    const uint2 rows = rows_of_tile(input, tile);
    const ulong mask = pass->directory_mask;

    if (tile >= tiles) return;
    for (uint p = 0; p < 1u << bits; p++) counts[p * tiles + tile] = 0;
    for (uint row = rows.lo; row < rows.hi; row++) {
        // A segment's first chunk is no other's; those of a partition lie near each other.
        const ulong chunk = directory[(hashes[row] & mask) * ROW_WORDS + 1];
        const uint part = (uint)(chunk * pass->chunk_scale >> 32);

        parts[row] = part;
        counts[part * tiles + tile]++;
    }
}

// One work-group: each count becomes the sum of those before it.
__kernel void prefix(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    __global uint *counts = (__global uint *)(work + pass->work_counts);
    const uint item = (uint)get_local_id(0), items = (uint)get_local_size(0);
    const uint share = (pass->counts_count + items - 1) / items;
    const uint from = min(item * share, pass->counts_count);
    const uint to = min(from + share, pass->counts_count);
    __local uint sums[OCL_GROUP_ITEMS_MAX];
    uint sum = 0;

    for (uint i = from; i < to; i++) sum += counts[i];
    sums[item] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    sum = 0;
    for (uint i = 0; i < item; i++) sum += sums[i];
    for (uint i = from; i < to; i++) {
        const uint count = counts[i];

        counts[i] = sum;
        sum += count;
    }
}

__kernel void part_scatter(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint tile = (uint)get_global_id(0), tiles = pass->tiles;
    __global const uint *parts = (__global const uint *)(work + pass->work_parts);
    __global uint *counts = (__global uint *)(work + pass->work_counts);
    __global const ulong *hashes = (__global const ulong *)(work + pass->work_hashes);
    __global uint *order = (__global uint *)(work + pass->work_order);
    __global ulong *ordered = (__global ulong *)(work + pass->work_ordered);
    const uint2 rows = rows_of_tile(input, tile);

    if (tile >= tiles) return;
    for (uint row = rows.lo; row < rows.hi; row++) {
        const uint at = counts[parts[row] * tiles + tile]++;

        order[at] = row;
        ordered[at] = hashes[row];
    }
}

// Where a partition's rows are in `order`: each count is now where its tile's rows end.
static uint2 part_rows(__global const uchar *input, __global const uchar *work, uint part) {
    __global const ocl_pass *pass = PASS;
    __global const uint *counts = (__global const uint *)(work + pass->work_counts);
    const uint tiles = pass->tiles;

    return (uint2)(part == 0 ? 0 : counts[part * tiles - 1], counts[part * tiles + tiles - 1]);
}

// ---- A row --------------------------------------------------------------------------------------

// What a partition's work-item has at hand.
typedef struct table {
    __global const uchar *input;
    __global uchar *work;
    __global uchar *index;
    __global ulong *slots;
    __global const uint *order;
    __global uchar *state;
    __global ulong *places, *offsets;
    __global ulong *undo; // by a row's place in `order`; those above by its number
    ulong epoch_first;
    uint entry_words, value_word, value_words;
    uint undo_words;
    bool restores, replaces, plain;
    long rows; // inserted less deleted
} table;

// The first change of a key in this pass: what was there is kept, and its row owns the record. Hash
// and key are the row's own.
static void own(const table *t, uint2 at, ulong slot, __global ulong *entry, uchar more) {
    __global ulong *before = t->undo + (ulong)at.lo * t->undo_words;
    const ulong offset = (entry[1] >> 8) * 32;
    uchar state = offset >= t->epoch_first ? OCL_REWRITE : OCL_APPEND;

    before[0] = entry[1];
    for (uint w = 0; w < t->value_words; w++) before[1 + w] = entry[t->value_word + w];
    if (t->restores) state = OCL_PLAIN;
    t->state[at.hi] = state | more;
    t->places[at.hi] = slot;
    t->offsets[at.hi] = offset; // an append's comes with the plan
    entry[1] = OCL_MARK | (ulong)at.lo << 8 | (entry[1] & 0xff);
}

static void value_put(const table *t, uint row, const ulong *value, __global ulong *to) {
    __global const ocl_pass *pass = (__global const ocl_pass *)t->input;
    __global const uchar *from = t->input + pass->values + (ulong)row * pass->value_stride;

    if (!t->replaces) {
        for (uint w = 0; w < t->value_words; w++) to[w] = value[w];
        return;
    }
    for (uint w = 0; w < t->value_words; w++) to[w] = load_word(from, w * 8, pass->value_bytes);
}

static uint upsert_plain(const table *t, uint2 at, ulong slot) {
    __global ulong *entry = t->slots + slot * t->entry_words;
    ulong next[OCL_ACCUMULATORS_MAX];

    if (!fold_plain(t->input, at.hi, false, entry + t->value_word, next)) return 1 + CODE_OVERFLOW;
    if (!(entry[1] & OCL_MARK)) own(t, at, slot, entry, 0);
    plain_put(t->input, next, entry + t->value_word);
    return 0;
}

static uint upsert_found(const table *t, uint2 at, ulong slot) {
    __global ulong *entry = t->slots + slot * t->entry_words;
    ulong value[VALUE_WORDS_MAX];

    if (!t->replaces) {
        const bool fresh = expired(t->input, entry);

        for (uint w = 0; w < t->value_words; w++) value[w] = fresh ? 0 : entry[t->value_word + w];
        if (!fold(t->input, at.hi, fresh, value)) return 1 + CODE_OVERFLOW;
    }
    if (!(entry[1] & OCL_MARK)) own(t, at, slot, entry, 0);
    value_put(t, at.hi, value, entry + t->value_word);
    return 0;
}

static ulong free_slot(const table *t, segment of, bool *second) {
    __global ushort *line = line_at(t->index, bucket_at(of, of.first));
    ulong bucket = bucket_at(of, of.first);
    uint count = popcount((uint)line[OCCUPIED]);

    *second = false;
    if (count >= FIRST_UNTIL) {
        __global ushort *other = line_at(t->index, bucket_at(of, of.second));
        const uint other_count = popcount((uint)other[OCCUPIED]);

        if (other_count < count) {
            *second = true;
            bucket = bucket_at(of, of.second);
            line = other;
            count = other_count;
        }
        if (count == BUCKET_SLOTS) return NOWHERE;
    }
    return bucket * BUCKET_SLOTS + lowest(~(uint)line[OCCUPIED]);
}

static void occupy(const table *t, ulong slot, uint tag) {
    __global ushort *line = line_at(t->index, slot / BUCKET_SLOTS);

    line[slot % BUCKET_SLOTS] = (ushort)tag;
    line[OCCUPIED] |= (ushort)(1u << (slot % BUCKET_SLOTS));
}

static void vacate(const table *t, ulong slot) {
    __global ushort *line = line_at(t->index, slot / BUCKET_SLOTS);
    __global ulong *entry = t->slots + slot * t->entry_words;

    for (uint w = 0; w < t->entry_words; w++) entry[w] = 0;
    line[slot % BUCKET_SLOTS] = 0;
    line[OCCUPIED] &= (ushort)~(1u << (slot % BUCKET_SLOTS));
}

static void key_put(row_key key, __global ulong *entry) {
    for (uint at = 0; at < key.count; at += 8)
        entry[2 + at / 8] = load_word(key.bytes, at, key.count);
}

static uint insert(table *t, uint2 at, ulong hash, segment of, row_key key) {
    __global ulong *filter = filter_of(line_at(t->index, bucket_at(of, of.first)), of.tag);
    const ulong bit = 1UL << (of.tag & 63);
    uchar state = OCL_INSERTED | (t->restores ? OCL_PLAIN : OCL_APPEND);
    ulong value[VALUE_WORDS_MAX];
    __global ulong *entry;
    ulong slot;
    bool second;

    if (!t->replaces) {
        for (uint w = 0; w < t->value_words; w++) value[w] = 0;
        if (!fold(t->input, at.hi, true, value)) return 1 + CODE_OVERFLOW;
    }
    slot = free_slot(t, of, &second);
    if (slot == NOWHERE) return 1 + CODE_TABLE_FULL;
    if (second && !(*filter & bit)) {
        *filter |= bit;
        state |= OCL_OVERFLOWED;
    }
    entry = t->slots + slot * t->entry_words;
    entry[0] = hash;
    entry[1] = OCL_MARK | (ulong)at.lo << 8 | key.count;
    key_put(key, entry);
    value_put(t, at.hi, value, entry + t->value_word);
    occupy(t, slot, of.tag);
    t->state[at.hi] = state;
    t->places[at.hi] = slot;
    t->rows++;
    return 0;
}

static void remove_found(table *t, uint2 at, ulong slot) {
    __global ulong *entry = t->slots + slot * t->entry_words;

    if (entry[1] & OCL_MARK)
        t->state[t->order[(uint)(entry[1] >> 8)]] |= OCL_DELETED;
    else
        own(t, at, slot, entry, OCL_DELETED);
    vacate(t, slot);
    t->rows--;
}

static bool is_delete(const table *t, uint row) {
    __global const ocl_pass *pass = (__global const ocl_pass *)t->input;

    return pass->row_ops != OCL_NONE && t->input[pass->row_ops + row] == 1;
}

static uint row_apply(table *t, __global const uint *directory, uint2 at, ulong hash) {
    __global const ocl_pass *pass = (__global const ocl_pass *)t->input;
    const row_key key = key_of(t->input, t->work, at.hi);
    segment of;
    ulong slot;

    if (key.count > pass->table_key_bytes) return 1 + CODE_KEY_TOO_LONG;
    of = segment_of(t->input, directory, hash);
    slot = find(t->index, t->slots, t->entry_words, of, hash, key);
    if (is_delete(t, at.hi)) {
        if (slot != NOWHERE && !expired(t->input, t->slots + slot * t->entry_words))
            remove_found(t, at, slot);
        return 0;
    }
    if (slot == NOWHERE) return insert(t, at, hash, of, key);
    return t->plain ? upsert_plain(t, at, slot) : upsert_found(t, at, slot);
}

enum { AHEAD = 8 }; // rows between two steps of a prefetch

// For the rows AHEAD and twice AHEAD behind `at`: the first's slot, by its tag alone, and the
// second's control line and what is read of the row.
static void prefetch_rows(const table *t, __global const uint *directory,
                          __global const ulong *ordered, uint at, uint end) {
#ifdef OCL_PROCESSOR
    __global const ocl_pass *pass = (__global const ocl_pass *)t->input;

    if (at + 2 * AHEAD < end) {
        const segment of = segment_of(t->input, directory, ordered[at + 2 * AHEAD]);
        const uint row = t->order[at + 2 * AHEAD];

        PREFETCH(line_at(t->index, bucket_at(of, of.first)));
        PREFETCH(key_of(t->input, t->work, row).bytes);
        for (uint i = 0; t->plain && i < pass->accumulators_count; i++)
            if (pass->accumulators[i].source != OCL_NONE)
                PREFETCH(t->input + pass->sources[pass->accumulators[i].source].values + row * 8);
    }
    if (at + AHEAD < end) {
        const segment of = segment_of(t->input, directory, ordered[at + AHEAD]);
        const ulong bucket = bucket_at(of, of.first);
        const uint match = line_match(line_at(t->index, bucket), of.tag);

        if (match == 0) return;
        __global const ulong *entry =
            t->slots + (bucket * BUCKET_SLOTS + lowest(match)) * t->entry_words;
        PREFETCH(entry);
        if (t->entry_words > 8) PREFETCH(entry + 8);
    }
#endif
}

static table table_of(__global const uchar *input, __global uchar *work, __global uchar *index,
                      __global ulong *slots) {
    __global const ocl_pass *pass = PASS;
    table t;

    t.input = input;
    t.work = work;
    t.index = index;
    t.slots = slots;
    t.order = (__global const uint *)(work + pass->work_order);
    t.state = work + pass->work_state;
    t.places = (__global ulong *)(work + pass->work_places);
    t.offsets = (__global ulong *)(work + pass->work_offsets);
    t.undo = (__global ulong *)(work + pass->work_undo);
    t.epoch_first = pass->epoch_first;
    t.entry_words = pass->entry_words;
    t.value_word = pass->value_word;
    t.value_words = (pass->value_bytes + 7) / 8;
    t.undo_words = pass->undo_words;
    t.plain = pass->plain;
    t.restores = pass->ops & OCL_RESTORE;
    t.replaces = pass->accumulators_count == 0 || t.restores;
    t.rows = 0;
    return t;
}

__kernel void apply(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint part = (uint)get_global_id(0);
    __global ocl_end *ends = (__global ocl_end *)(work + pass->work_ends);
    __global const ulong *ordered = (__global const ulong *)(work + pass->work_ordered);
    table t = table_of(input, work, index, slots);
    uint2 rows;
    uint code = 0, row = OCL_NONE;

    if (part >> pass->partitions_bits) return;
    rows = part_rows(input, work, part);
    for (; rows.lo < rows.hi; rows.lo++) {
        row = t.order[rows.lo];
        if (row >= pass->limit) break;
        t.state[row] = 0;
        prefetch_rows(&t, directory, ordered, rows.lo, rows.hi);
        code = row_apply(&t, directory, (uint2)(rows.lo, row), ordered[rows.lo]);
        if (code) break;
    }
    ends[part].row = code ? row : OCL_NONE;
    ends[part].code = code ? pass->codes[code - 1] : 0;
    ends[part].rows = t.rows;
    for (; rows.lo < rows.hi; rows.lo++) t.state[t.order[rows.lo]] = 0;
}

// ---- All rows -----------------------------------------------------------------------------------

// One work-group. A row whose record has no place in the log fails too, if none does before it.
__kernel void plan(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    __global ocl_result *result = (__global ocl_result *)work;
    __global const ocl_end *ends = (__global const ocl_end *)(work + pass->work_ends);
    __global const uchar *state = work + pass->work_state;
    __global ulong *offsets = (__global ulong *)(work + pass->work_offsets);
    const uint bytes = pass->entry_words * 8;
    const uint item = (uint)get_local_id(0), items = (uint)get_local_size(0);
    const uint parts = 1u << pass->partitions_bits;
    __local ulong stops[OCL_GROUP_ITEMS_MAX];
    __local long changes[OCL_GROUP_ITEMS_MAX];
    __local uint sums[OCL_GROUP_ITEMS_MAX];
    ulong stop = (ulong)pass->limit << 32;
    long rows = 0;
    ulong offset;
    uint sum = 0, share, from, to;

    for (uint p = item; p < parts; p += items) {
        if (ends[p].row != OCL_NONE) stop = min(stop, (ulong)ends[p].row << 32 | ends[p].code);
        rows += ends[p].rows;
    }
    stops[item] = stop;
    changes[item] = rows;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = 0; i < items; i++) stop = min(stop, stops[i]);
    share = ((uint)(stop >> 32) - pass->first + items - 1) / items;
    from = min(pass->first + item * share, (uint)(stop >> 32));
    to = min(from + share, (uint)(stop >> 32));
    for (uint row = from; row < to; row++) sum += state[row] & OCL_APPEND;
    sums[item] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    sum = 0;
    for (uint i = 0; i < item; i++) sum += sums[i];
    if (item == items - 1) {
        result->stop = (uint)(stop >> 32);
        result->code = (uint)stop;
        result->appends = sum + sums[item];
        rows = 0;
        for (uint i = 0; i < items; i++) rows += changes[i];
        result->rows = rows;
    }
    barrier(CLK_GLOBAL_MEM_FENCE);
    offset = ocl_record_offset(pass->log_tail, bytes, sum);
    for (uint row = from; row < to; row++) {
        if (!(state[row] & OCL_APPEND)) continue;
        if (sum == pass->appends_max) { // of one work-item alone
            result->stop = row;
            result->code = pass->appends_code;
            result->appends = sum;
        }
        offsets[row] = offset;
        sum++;
        offset += bytes;
        if ((uint)offset % OCL_LOG_LINE + bytes > OCL_LOG_LINE)
            offset = (offset + OCL_LOG_LINE - 1) & ~(ulong)(OCL_LOG_LINE - 1);
    }
}

static __global ulong *log_at(__global const uchar *input, __global uchar *log, ulong offset) {
    __global const ocl_pass *pass = PASS;
    __global const uint *places = (__global const uint *)(input + pass->log_places);
    const ulong place = places[(offset >> pass->log_shift) - pass->log_first];

    return (__global ulong *)(log + (place << pass->log_shift) +
                              (offset & (((ulong)1 << pass->log_shift) - 1)));
}

// What is left of the line before a record that begins one: behind the last record there, or behind
// the tail.
static void gap_put(__global const uchar *input, __global uchar *log, ulong offset) {
    __global const ocl_pass *pass = PASS;
    const uint bytes = pass->entry_words * 8;
    const ulong tail = pass->log_tail;
    const ulong line = max(offset - OCL_LOG_LINE, tail);
    const ulong end = line + (uint)(offset - line) / bytes * bytes;
    __global ulong *gap;

    if ((uint)offset % OCL_LOG_LINE != 0 || offset == tail || end == offset) return;
    gap = log_at(input, log, end);
    for (uint w = 0; w < (offset - end) / 8; w++) gap[w] = 0;
    gap[1] = (offset - end) / 32 << 16 | (ulong)RECORD_GAP << 32;
}

static void record_put(__global const uchar *input, __global ulong *record, ulong hash, row_key key,
                       __global const ulong *entry) {
    __global const ocl_pass *pass = PASS;
    const uint flags = entry ? RECORD_ROW | pass->value_bytes : RECORD_TOMBSTONE;

    record[0] = hash;
    record[1] = key.count | (ulong)(pass->entry_words / 4) << 16 | (ulong)flags << 32;
    if (entry) {
        for (uint w = 2; w < pass->entry_words; w++) record[w] = entry[w];
        return;
    }
    for (uint w = 2; w < pass->entry_words; w++)
        record[w] = (w - 2) * 8 < key.count ? load_word(key.bytes, (w - 2) * 8, key.count) : 0;
}

__kernel void records(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint row = pass->first + (uint)get_global_id(0);
    __global const uchar *states = work + pass->work_state;
    __global const ulong *places = (__global const ulong *)(work + pass->work_places);
    __global ulong *entry;
    ulong offset;
    uchar state;
    row_key key;

    if (row >= pass->limit || ((__global const ocl_result *)work)->stop != pass->limit) return;
#ifdef OCL_PROCESSOR
    if (row + AHEAD < pass->limit && states[row + AHEAD]) {
        PREFETCH_WRITE(slots + places[row + AHEAD] * pass->entry_words);
        if (pass->entry_words > 8) PREFETCH(slots + places[row + AHEAD] * pass->entry_words + 8);
    }
#endif
    state = states[row];
    if (state == 0) return;
    entry = state & OCL_DELETED ? 0 : slots + places[row] * pass->entry_words;
    if (state & OCL_PLAIN) {
        if (entry) entry[1] &= 0xff;
        return;
    }
    offset = ((__global const ulong *)(work + pass->work_offsets))[row];
    if (state & OCL_APPEND) gap_put(input, log, offset);
    key = key_of(input, work, row);
    record_put(input, log_at(input, log, offset),
               ((__global const ulong *)(work + pass->work_hashes))[row], key, entry);
    if (entry) entry[1] = offset / 32 << 8 | key.count;
}

static void row_undo(const table *t, __global const uint *directory, uint at) {
    __global const ocl_pass *pass = (__global const ocl_pass *)t->input;
    const uchar state = t->state[t->order[at]];
    const ulong slot = t->places[t->order[at]];
    const ulong hash = ((__global const ulong *)(t->work + pass->work_ordered))[at];
    const segment of = segment_of(t->input, directory, hash);

    if (state == 0) return;
    if (state & OCL_INSERTED) {
        if (!(state & OCL_DELETED)) vacate(t, slot);
    } else {
        __global ulong *entry = t->slots + slot * t->entry_words;
        __global const ulong *before = t->undo + (ulong)at * t->undo_words;

        entry[0] = hash;
        entry[1] = before[0];
        key_put(key_of(t->input, t->work, t->order[at]), entry);
        for (uint w = 0; w < t->value_words; w++) entry[t->value_word + w] = before[1 + w];
        occupy(t, slot, of.tag);
    }
    if (state & OCL_OVERFLOWED)
        *filter_of(line_at(t->index, bucket_at(of, of.first)), of.tag) &= ~(1UL << (of.tag & 63));
}

__kernel void undo(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint part = (uint)get_global_id(0);
    const table t = table_of(input, work, index, slots);
    uint2 rows;

    if (part >> pass->partitions_bits) return;
    rows = part_rows(input, work, part);
    while (rows.hi > rows.lo) row_undo(&t, directory, --rows.hi);
}

__kernel void look_up(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint row = pass->first + (uint)get_global_id(0);
    const uint value_words = (pass->value_bytes + 7) / 8;
    __global ulong *values = (__global ulong *)(work + pass->work_values);
    row_key key;
    ulong hash, slot;

    if (row >= pass->count) return;
    hash = ((__global const ulong *)(work + pass->work_hashes))[row];
    key = key_of(input, work, row);
    slot = find(index, slots, pass->entry_words, segment_of(input, directory, hash), hash, key);
    if (slot != NOWHERE && expired(input, slots + slot * pass->entry_words)) slot = NOWHERE;
    (work + pass->work_found)[row] = slot != NOWHERE;
    if (slot == NOWHERE) return;
    for (uint w = 0; w < value_words; w++)
        values[(ulong)row * value_words + w] =
            slots[slot * pass->entry_words + pass->value_word + w];
}
