// sort.h: records of one key group, brought into the order of an ordered full.
//
//   items, as read (oldest first)      sorted, stable
//   | h7 r0 | h2 r1 | h7 r2 | ...  ──►  | h2 r1 | h7 r0 | h7 r2 | ...   the last of equals
//                                                                             is the newest
//
// Promises   stable: among equal hashes, and among equal keys, items keep their order. The number
//            of steps is bounded by n * (digits + log n), whatever the hashes are.
// Thread     one. Ring 1. Owner: the caller's arrays; scratch holds as many items as are sorted.
#ifndef CST_STATE_SORT_H
#define CST_STATE_SORT_H

#include <stddef.h>
#include <stdint.h>

typedef struct csti_sort_item {
    uint64_t hash;
    const uint8_t *record;
} csti_sort_item;

enum { CSTI_SORT_DIGIT_BITS = 11, CSTI_SORT_DIGITS = 5, CSTI_SORT_DIGIT_VALUES = 2048 };

typedef struct csti_sort_counts {
    uint32_t of[CSTI_SORT_DIGITS][CSTI_SORT_DIGIT_VALUES];
} csti_sort_counts;

// By the low 52 bits of the hash. `count` is below 2^32.
void csti_sort_by_hash(csti_sort_item *items, csti_sort_item *scratch, size_t count,
                       csti_sort_counts *counts);
// Items of equal hash, by key.
void csti_sort_by_key(csti_sort_item *items, csti_sort_item *scratch, size_t count);

#endif
