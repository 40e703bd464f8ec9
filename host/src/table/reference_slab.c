#include "table/reference_parts.h"

#include <string.h>

uint64_t csti_reference_class_bytes(uint32_t block_class) {
    return (block_class % 2 == 0 ? UINT64_C(32) : UINT64_C(48)) << block_class / 2;
}

uint32_t csti_reference_class(uint32_t key_bytes, uint32_t value_bytes) {
    const uint64_t bytes = csti_reference_round_up(key_bytes, 8) + value_bytes;
    uint32_t block_class = 0;

    while (csti_reference_class_bytes(block_class) < bytes) block_class++;
    assert(block_class < CSTI_SLAB_CLASSES);
    return block_class;
}

cst_code csti_reference_slab_check(const cst_table *table, uint32_t block_class,
                                   uint64_t *used_more_out) {
    const uint64_t bytes = csti_reference_class_bytes(block_class);

    *used_more_out = 0;
    if (table->control->slab_free[block_class] != 0) return CST_OK;
    if (csti_used_bytes(table) + bytes > table->budget_bytes) return CST_TABLE_BUDGET;
    if (table->control->slab_frontier + bytes > csti_ready_bytes(table, CSTI_REGION_SLAB))
        return CST_TABLE_NOT_READY;
    *used_more_out = bytes;
    return CST_OK;
}

uint64_t csti_reference_slab_take(cst_table *table, uint32_t block_class) {
    csti_control *control = table->control;
    uint64_t block;

    if (control->slab_free[block_class] != 0) {
        block = control->slab_free[block_class] - 1;
        memcpy(&control->slab_free[block_class], table->slab + block, 8);
    } else {
        block = control->slab_frontier;
        control->slab_frontier += csti_reference_class_bytes(block_class);
        atomic_store_explicit(&table->used[CSTI_REGION_SLAB], control->slab_frontier,
                              memory_order_relaxed);
    }
    return block;
}

void csti_reference_slab_free(cst_table *table, uint64_t block, uint32_t block_class) {
    memset(table->slab + block, 0, csti_reference_class_bytes(block_class));
    memcpy(table->slab + block, &table->control->slab_free[block_class], 8);
    table->control->slab_free[block_class] = block + 1;
}

void csti_reference_slab_write(cst_table *table, uint64_t block, uint32_t block_class,
                               const reference_row *row) {
    uint8_t *bytes = table->slab + block;

    memset(bytes, 0, csti_reference_class_bytes(block_class));
    if (row->key_bytes > 0) memcpy(bytes, row->key, row->key_bytes);
    if (row->value_bytes > 0)
        memcpy(bytes + csti_reference_round_up(row->key_bytes, 8), row->value, row->value_bytes);
}
