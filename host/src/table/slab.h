// slab.h: where wide rows keep key and value. Blocks of size classes 32, 48, 64, 96, 128, 192, ...;
// a freed block waits in its class's list.
//
// Ring 0. Thread: the owner.
#ifndef CST_TABLE_SLAB_H
#define CST_TABLE_SLAB_H

#include "table/internal.h"

static inline uint32_t csti_slab_class_bytes(uint32_t class) {
    return (class & 1 ? 48u : 32u) << class / 2;
}

static inline uint32_t csti_slab_class(uint32_t bytes) {
    uint32_t class = 0;

    while (csti_slab_class_bytes(class) < bytes) class ++;
    assert(class < CSTI_SLAB_CLASSES);
    return class;
}

// Whether a block of the class can be had: CST_OK, CST_TABLE_BUDGET or CST_TABLE_NOT_READY.
cst_code csti_slab_check(const cst_table *table, uint32_t class);
uint64_t csti_slab_take(cst_table *table, uint32_t class);
void csti_slab_give(cst_table *table, uint64_t block, uint32_t class);

#endif
