// operator_module.c: an operator that passes its rows on, and breaks the rule that its options
// name. "gate PATH": rows whose first column is 0 wait until a byte comes out of that named pipe;
// an 'f' fails them.
#include <constellation/operator.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTIONS_BYTES = 512 };

typedef struct module {
    char options[OPTIONS_BYTES];
    cst_schema other;
    cst_column_data columns[CST_COLUMNS_MAX];
} module;

static cst_code module_open(const char *options, const cst_operator_shape *in,
                            cst_operator_shape *out, void **state_out, cst_err *err) {
    module *state = calloc(1, sizeof *state);

    if (!state) return cst_fail(err, CST_NO_MEMORY, "module");
    *out = *in;
    strncpy(state->options, options, OPTIONS_BYTES - 1);
    if (strcmp(options, "refuse") == 0) {
        free(state);
        return cst_fail(err, CST_USAGE, "it does not like them");
    }
    if (strcmp(options, "refuse silently") == 0) {
        free(state);
        return CST_USAGE;
    }
    if (strcmp(options, "no columns") == 0) out->schema.columns_count = 0;
    if (strcmp(options, "too many columns") == 0) out->schema.columns_count = CST_COLUMNS_MAX + 1;
    if (strcmp(options, "no name") == 0) out->names[0][0] = '\0';
    if (strcmp(options, "endless name") == 0) memset(out->names[0], 'a', sizeof out->names[0]);
    if (strcmp(options, "one name twice") == 0) strcpy(out->names[1], out->names[0]);
    *state_out = state;
    return CST_OK;
}

static bool has_zero(const cst_batch *in) {
    const uint64_t *values = (const uint64_t *)(const void *)in->columns[0].values.data;

    for (uint32_t r = 0; r < in->rows_count; r++)
        if (values[r] == 0) return true;
    return false;
}

static cst_code gate_pass(const char *path, cst_err *err) {
    const int gate = open(path, O_RDONLY | O_CLOEXEC);
    char byte = 'f';

    if (gate < 0 || read(gate, &byte, 1) != 1) byte = 'f';
    if (gate >= 0) close(gate);
    return byte == 'f' ? cst_fail(err, CST_LIMIT, "the gate stays shut") : CST_OK;
}

__attribute__((unused)) static cst_code module_process(void *context, const cst_batch *in,
                                                       cst_batch *out, cst_err *err) {
    module *state = context;

    if (strcmp(state->options, "fail") == 0) return cst_fail(err, CST_LIMIT, "enough rows");
    if (strncmp(state->options, "gate ", 5) == 0 && has_zero(in)) {
        const cst_code code = gate_pass(state->options + 5, err);

        if (code != CST_OK) return code;
    }
    *out = *in;
    state->other = *in->schema;
    memcpy(state->columns, in->columns, in->schema->columns_count * sizeof *in->columns);
    out->schema = &state->other;
    out->columns = state->columns;
    if (strcmp(state->options, "no schema") == 0) out->schema = NULL;
    if (strcmp(state->options, "fewer columns") == 0) state->other.columns_count--;
    if (strcmp(state->options, "another type") == 0) state->other.columns[0].type = CST_TYPE_I64;
    if (strcmp(state->options, "short buffer") == 0) state->columns[0].values.bytes--;
    return CST_OK;
}

static void module_close(void *context) {
    free(context);
}

#ifdef OPERATOR_NO_TYPE
#define cst_operator_v1 cst_operator_v0
#endif

CST_API const cst_operator_type cst_operator_v1;
const cst_operator_type cst_operator_v1 = {
#ifdef OPERATOR_OTHER_VERSION
    .version = CST_OPERATOR_VERSION + 1,
#else
    .version = CST_OPERATOR_VERSION,
#endif
    .name = "module",
    .open = module_open,
#ifndef OPERATOR_NO_FUNCTION
    .process = module_process,
#endif
    .close = module_close,
};
