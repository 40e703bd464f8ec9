#include "state/sort.h"

#include "state/record.h"

enum { INSERTION_COUNT_MAX = 32 };
#define GROUP_MASK ((UINT64_C(1) << 52) - 1)

_Static_assert(CSTI_SORT_DIGIT_BITS *CSTI_SORT_DIGITS >= 52, "the digits cover what varies");

static void insertion_sort(csti_sort_item *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const csti_sort_item item = items[i];
        size_t at = i;

        while (at > 0 && (items[at - 1].hash & GROUP_MASK) > (item.hash & GROUP_MASK)) {
            items[at] = items[at - 1];
            at--;
        }
        items[at] = item;
    }
}

static inline uint32_t digit_of(uint64_t hash, uint32_t digit) {
    return (uint32_t)((hash & GROUP_MASK) >> (digit * CSTI_SORT_DIGIT_BITS)) &
           (CSTI_SORT_DIGIT_VALUES - 1);
}

// Hashes are drawn evenly: by the highest bits nearly every item comes to its place, and the rest
// is a step or two. False, and nothing done: too many are alike in them.
static bool sort_by_top(csti_sort_item *items, csti_sort_item *scratch, size_t count,
                        uint32_t starts[CSTI_SORT_DIGIT_VALUES]) {
    enum { TOP_SHIFT = 52 - CSTI_SORT_DIGIT_BITS };
    uint32_t sum = 0;

    memset(starts, 0, CSTI_SORT_DIGIT_VALUES * sizeof *starts);
    for (size_t i = 0; i < count; i++) starts[(items[i].hash & GROUP_MASK) >> TOP_SHIFT]++;
    for (uint32_t value = 0; value < CSTI_SORT_DIGIT_VALUES; value++) {
        const uint32_t here = starts[value];

        if (here > INSERTION_COUNT_MAX) return false;
        starts[value] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        scratch[starts[(items[i].hash & GROUP_MASK) >> TOP_SHIFT]++] = items[i];
    memcpy(items, scratch, count * sizeof *items);
    insertion_sort(items, count);
    return true;
}

void csti_sort_by_hash(csti_sort_item *items, csti_sort_item *scratch, size_t count,
                       csti_sort_counts *counts) {
    csti_sort_item *from = items;
    csti_sort_item *to = scratch;

    if (count <= INSERTION_COUNT_MAX) {
        insertion_sort(items, count);
        return;
    }
    if (sort_by_top(items, scratch, count, counts->of[0])) return;
    memset(counts, 0, sizeof *counts);
    for (size_t i = 0; i < count; i++)
        for (uint32_t digit = 0; digit < CSTI_SORT_DIGITS; digit++)
            counts->of[digit][digit_of(items[i].hash, digit)]++;
    for (uint32_t digit = 0; digit < CSTI_SORT_DIGITS; digit++) {
        uint32_t *starts = counts->of[digit];
        csti_sort_item *swap = from;
        uint32_t sum = 0;

        if (starts[digit_of(from[0].hash, digit)] == count) continue; // all alike in this digit
        for (uint32_t value = 0; value < CSTI_SORT_DIGIT_VALUES; value++) {
            const uint32_t here = starts[value];

            starts[value] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++) to[starts[digit_of(from[i].hash, digit)]++] = from[i];
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, count * sizeof *items);
}

// Merges from[0..middle) and from[middle..count) into `to`; equal ones of the left side go first.
static void merge(const csti_sort_item *from, csti_sort_item *to, size_t middle, size_t count) {
    size_t left = 0;
    size_t right = middle;

    for (size_t i = 0; i < count; i++) {
        const bool take_left =
            left < middle &&
            (right == count || csti_record_key_compare(from[left].record, from[right].record) <= 0);

        to[i] = take_left ? from[left++] : from[right++];
    }
}

void csti_sort_by_key(csti_sort_item *items, csti_sort_item *scratch, size_t count) {
    csti_sort_item *from = items;
    csti_sort_item *to = scratch;

    for (size_t width = 1; width < count; width *= 2) {
        csti_sort_item *swap = from;

        for (size_t at = 0; at < count; at += 2 * width) {
            const size_t rest = count - at;

            merge(from + at, to + at, rest < width ? rest : width,
                  rest < 2 * width ? rest : 2 * width);
        }
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, count * sizeof *items);
}
