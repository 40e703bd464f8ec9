#include "table/slab.h"

#include <string.h>

cst_code csti_slab_check(const cst_table *table, uint32_t class) {
    const csti_control *control = table->control;
    const uint64_t bytes = csti_slab_class_bytes(class);

    if (control->slab_free[class] != 0) return CST_OK;
    if (csti_used_bytes(table) + bytes > table->budget_bytes) return CST_TABLE_BUDGET;
    if (control->slab_frontier + bytes > csti_ready_bytes(table, CSTI_REGION_SLAB))
        return CST_TABLE_NOT_READY;
    return CST_OK;
}

uint64_t csti_slab_take(cst_table *table, uint32_t class) {
    csti_control *control = table->control;
    uint64_t block;

    if (control->slab_free[class] != 0) {
        block = control->slab_free[class] - 1;
        memcpy(&control->slab_free[class], table->slab + block, 8);
        memset(table->slab + block, 0, 8);
        return block;
    }
    block = control->slab_frontier;
    table->nudge = true;
    control->slab_frontier += csti_slab_class_bytes(class);
    atomic_store_explicit(&table->used[CSTI_REGION_SLAB], control->slab_frontier,
                          memory_order_relaxed);
    return block;
}

void csti_slab_give(cst_table *table, uint64_t block, uint32_t class) {
    csti_control *control = table->control;

    memset(table->slab + block, 0, csti_slab_class_bytes(class));
    memcpy(table->slab + block, &control->slab_free[class], 8);
    control->slab_free[class] = block + 1;
}
