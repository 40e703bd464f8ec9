#include "stream/totals.h"

#include "table/program.h"

#include <assert.h>
#include <string.h>

// Counts are summed, everything else merges as it folds.
cst_code csti_totals_init(csti_totals *totals, const cst_program *program, cst_err *err) {
    const cst_code code = csti_program_check(program, err);

    if (code != CST_OK) return code;
    if (program->accumulators_count == 0)
        return cst_fail(err, CST_USAGE, "totals: values without accumulators do not merge");
    *totals = (csti_totals){.program = *program, .merge = *program};
    for (uint16_t i = 0; i < program->accumulators_count; i++) {
        cst_accumulator *merged = &totals->merge.accumulators[i];

        if (merged->op == CST_LAST) totals->last |= UINT64_C(1) << i;
        if (merged->op == CST_COUNT) merged->op = CST_SUM;
        merged->source = i;
    }
    totals->left_out = totals->last;
    return CST_OK;
}

void csti_totals_add_rows(csti_totals *totals, const cst_rows *rows) {
    if (totals->lost) return;
    for (uint32_t r = 0; rows->ops && r < rows->rows_count; r++)
        totals->lost = totals->lost || rows->ops[r] != CST_ROW_UPSERT;
    for (uint32_t r = 0; !totals->lost && r < rows->rows_count; r++) {
        csti_program_fold_each(&totals->program, rows, r, !totals->any, &totals->left_out,
                               totals->value);
        totals->any = true;
    }
}

static cst_type type_of(const cst_accumulator *accumulator) {
    switch ((cst_number)accumulator->number) {
    case CST_U64:
        return CST_TYPE_U64;
    case CST_I64:
        return CST_TYPE_I64;
    case CST_F64:
        return CST_TYPE_F64;
    case CST_DECIMAL128:
        return CST_TYPE_DECIMAL128;
    }
    assert(false && "the program was checked");
    return CST_TYPE_U64;
}

void csti_totals_add_value(csti_totals *totals, const uint8_t *value, uint64_t overflowed) {
    const cst_program *merge = &totals->merge;
    cst_source sources[CST_ACCUMULATORS_MAX];
    uint64_t presence = UINT64_MAX;
    uint64_t passed_over;

    totals->left_out |= overflowed;
    if (merge->presence_offset != CST_NO_OFFSET)
        memcpy(&presence, value + merge->presence_offset, sizeof presence);
    for (uint32_t i = 0; i < merge->accumulators_count; i++)
        sources[i] = (cst_source){.values = value + merge->accumulators[i].value_offset,
                                  .type = type_of(&merge->accumulators[i])};
    passed_over = totals->left_out | ~presence;
    csti_program_fold_each(merge, &(cst_rows){.rows_count = 1, .sources = sources}, 0, !totals->any,
                           &passed_over, totals->value);
    totals->left_out |= passed_over & presence;
    totals->any = true;
}
