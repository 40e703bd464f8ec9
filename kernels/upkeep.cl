// upkeep.cl: EXPIRE and SCAN: a work-item a bucket counts, then each knows what is before it.

static ulong bucket_number(__global const uchar *input, uint item) {
    __global const ocl_pass *pass = PASS;
    const ulong bucket = pass->scan_bucket + item;

    return bucket < pass->scan_end ? bucket : bucket - pass->scan_end;
}

// A SCAN may begin in the midst of a bucket.
static uint bucket_occupied(__global const uchar *input, __global uchar *index, uint item) {
    __global const ocl_pass *pass = PASS;
    const uint occupied = line_at(index, bucket_number(input, item))[OCCUPIED];

    return item == 0 ? occupied >> pass->scan_slot << pass->scan_slot : occupied;
}

// Of each bucket, the rows to scan; or those past their time that have no record in the open epoch.
static void rows_count(__global const uchar *input, __global uchar *work, __global uchar *index,
                       __global const ulong *slots, bool to_expire) {
    __global const ocl_pass *pass = PASS;
    const uint item = (uint)get_global_id(0);
    __global const ulong *entries;
    uint occupied, count = 0;

    if (item >= pass->scan_buckets) return;
    occupied = bucket_occupied(input, index, item);
    entries = slots + bucket_number(input, item) * BUCKET_SLOTS * pass->entry_words;
    for (; occupied; occupied &= occupied - 1) {
        __global const ulong *entry = entries + lowest(occupied) * pass->entry_words;
        const bool is_over = expired(input, entry);

        count += to_expire ? is_over && (entry[1] >> 8) * 32 < pass->epoch_first : !is_over;
    }
    ((__global uint *)(work + pass->work_counts))[item] = count;
    if (item == 0) ((__global uint *)(work + pass->work_counts))[pass->scan_buckets] = 0;
}

__kernel void scan_count(ARGUMENTS) {
    rows_count(input, work, index, slots, false);
}

// result: how many rows there are, and the slot behind the last.
__kernel void scan_write(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint item = (uint)get_global_id(0);
    __global const uint *counts = (__global const uint *)(work + pass->work_counts);
    __global ocl_result *result = (__global ocl_result *)work;
    const ulong bucket = bucket_number(input, item);
    const uint words = pass->entry_words;
    uint occupied, n;

    if (item >= pass->scan_buckets) return;
    n = counts[item];
    if (item == 0) result->found = counts[pass->scan_buckets];
    occupied = bucket_occupied(input, index, item);
    for (; occupied && n < pass->scan_rows_max; occupied &= occupied - 1) {
        const uint slot = lowest(occupied);
        __global const ulong *entry = slots + (bucket * BUCKET_SLOTS + slot) * words;
        __global ulong *record = (__global ulong *)(work + pass->work_values) + (ulong)n * words;

        if (expired(input, entry)) continue;
        record[0] = entry[0];
        record[1] = (entry[1] & 0xff) | (ulong)(words / 4) << 16 |
                    (ulong)(RECORD_ROW | pass->value_bytes) << 32;
        for (uint w = 2; w < words; w++) record[w] = entry[w];
        if (++n == pass->scan_rows_max) result->position = bucket * BUCKET_SLOTS + slot + 1;
    }
}

__kernel void expire_count(ARGUMENTS) {
    rows_count(input, work, index, slots, true);
}

// Deletes them, up to the first whose tombstone has no place: result.stop is its bucket's item.
// Each bucket says how many it deleted.
__kernel void expire_write(ARGUMENTS) {
    __global const ocl_pass *pass = PASS;
    const uint item = (uint)get_global_id(0);
    __global const uint *counts = (__global const uint *)(work + pass->work_counts);
    __global uint *deleted = (__global uint *)(work + pass->work_order);
    const table t = table_of(input, work, index, slots);
    ulong bucket;
    uint occupied, n, count = 0;

    if (item >= pass->scan_buckets) return;
    bucket = bucket_number(input, item);
    occupied = bucket_occupied(input, index, item);
    n = counts[item];
    if (item == 0) ((__global ocl_result *)work)->appends = counts[pass->scan_buckets];
    for (; occupied && n <= pass->appends_max; occupied &= occupied - 1) {
        const ulong slot = bucket * BUCKET_SLOTS + lowest(occupied);
        __global ulong *entry = slots + slot * t.entry_words;
        ulong offset = (entry[1] >> 8) * 32;
        row_key key;

        if (!expired(input, entry)) continue;
        if (offset < t.epoch_first) {
            if (n == pass->appends_max) { // of one work-item alone
                ((__global ocl_result *)work)->stop = item;
                break;
            }
            offset = ocl_record_offset(pass->log_tail, t.entry_words * 8, n);
            gap_put(input, log, offset);
            n++;
        }
        key.bytes = (__global const uchar *)(entry + 2);
        key.count = (uint)(entry[1] & 0xff);
        record_put(input, log_at(input, log, offset), entry[0], key, 0);
        vacate(&t, slot);
        count++;
    }
    deleted[item] = count;
}
