// crash_operator.c: a step of one's own for jobs that are killed: fewer rows, other values.
//
// In: key u64, id u64, mix u64, amount i64. Out: the same columns without the rows whose id is a
// multiple of 8; of the others the amount is doubled. expected.py does the same by other means.
#include <constellation/operator.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 4, ID = 1, AMOUNT = 3, DROPPED_MULTIPLE = 8 };

typedef struct module {
    cst_schema schema;
    cst_column_data columns[COLUMNS];
    uint64_t *values; // column after column
    uint32_t rows_capacity;
} module;

static cst_code module_open(const char *options, const cst_operator_shape *in,
                            cst_operator_shape *out, void **state_out, cst_err *err) {
    module *state;

    (void)options;
    if (in->schema.columns_count != COLUMNS || in->schema.columns[0].type != CST_TYPE_U64 ||
        in->schema.columns[AMOUNT].type != CST_TYPE_I64)
        return cst_fail(err, CST_SCHEMA, "it takes key u64, id u64, mix u64, amount i64");
    state = calloc(1, sizeof *state);
    if (!state) return cst_fail(err, CST_NO_MEMORY, "its state");
    *out = *in;
    state->schema = in->schema;
    *state_out = state;
    return CST_OK;
}

static cst_code module_process(void *context, const cst_batch *in, cst_batch *out, cst_err *err) {
    module *state = context;
    uint32_t count = 0;

    if (in->rows_count > state->rows_capacity) {
        uint64_t *values = realloc(state->values, COLUMNS * in->rows_count * sizeof *values);

        if (!values) return cst_fail(err, CST_NO_MEMORY, "%u rows", in->rows_count);
        state->values = values;
        state->rows_capacity = in->rows_count;
    }
    for (uint32_t row = 0; row < in->rows_count; row++) {
        uint64_t values[COLUMNS];

        for (int c = 0; c < COLUMNS; c++)
            memcpy(&values[c], (const char *)in->columns[c].values.data + row * sizeof *values,
                   sizeof *values);
        if (values[ID] % DROPPED_MULTIPLE == 0) continue;
        values[AMOUNT] *= 2;
        for (uint32_t c = 0; c < COLUMNS; c++)
            state->values[c * state->rows_capacity + count] = values[c];
        count++;
    }
    for (uint32_t c = 0; c < COLUMNS; c++)
        state->columns[c] = (cst_column_data){
            .values = {state->values + c * state->rows_capacity, count * sizeof *state->values}};
    *out = (cst_batch){.schema = &state->schema, .rows_count = count, .columns = state->columns};
    return CST_OK;
}

static void module_close(void *context) {
    module *state = context;

    free(state->values);
    free(state);
}

CST_API const cst_operator_type cst_operator_v1;
const cst_operator_type cst_operator_v1 = {
    .version = CST_OPERATOR_VERSION,
    .name = "crash",
    .open = module_open,
    .process = module_process,
    .close = module_close,
};
