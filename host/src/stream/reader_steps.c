#include "stream/reader_steps.h"

#include "stream/project.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)CST_OPERATOR_NAME_BYTES == (int)CSTI_COLUMN_NAME_BYTES, "names are copied");

typedef struct step_operator {
    const cst_operator_type *type;
    cst_operator_shape shape; // of what it hands out
    void *state;
    bool open;
} step_operator;

struct csti_steps {
    const csti_filter *filters;
    uint32_t filters_count;
    uint32_t rows_max;
    uint32_t *rows; // that stay
    csti_projection projection;
    csti_gather gather; // if there are filters
    cst_column_data columns[CST_COLUMNS_MAX];
    cst_operator_shape projected;
    step_operator *operators;
    uint32_t operators_count;
    uint64_t dropped_count;
};

static bool shapes_equal(const cst_schema *a, const cst_schema *b) {
    if (a->columns_count != b->columns_count) return false;
    for (uint32_t c = 0; c < a->columns_count; c++) {
        const cst_column *x = &a->columns[c];
        const cst_column *y = &b->columns[c];

        if (x->type != y->type || x->width != y->width || x->scale != y->scale ||
            x->nullable != y->nullable)
            return false;
    }
    return true;
}

static cst_code operator_open(step_operator *step, const csti_operator_use *use,
                              const cst_operator_shape *in, cst_err *err) {
    cst_code code;

    step->type = use->type;
    code = use->type->open(use->options, in, &step->shape, &step->state, err);
    if (code != CST_OK) return cst_fail_at(err, code, "operator %s", use->type->name);
    step->open = true;
    code = cst_schema_check(&step->shape.schema, err);
    if (code != CST_OK) return cst_fail_at(err, CST_OPERATOR, "operator %s", use->type->name);
    for (uint32_t c = 0; c < step->shape.schema.columns_count; c++)
        if (!memchr(step->shape.names[c], 0, CST_OPERATOR_NAME_BYTES) || !*step->shape.names[c])
            return cst_fail(err, CST_OPERATOR, "operator %s: its column %u has no name",
                            use->type->name, c);
    return CST_OK;
}

static cst_code operators_open(csti_steps *steps, const csti_steps_options *options, cst_err *err) {
    const cst_operator_shape *in = &steps->projected;

    steps->operators = calloc(options->operators_count, sizeof *steps->operators);
    if (!steps->operators)
        return cst_fail(err, CST_NO_MEMORY, "%u operators", options->operators_count);
    for (uint32_t i = 0; i < options->operators_count; i++) {
        const cst_code code = operator_open(&steps->operators[i], &options->operators[i], in, err);

        steps->operators_count = i + 1;
        if (code != CST_OK) return code;
        in = &steps->operators[i].shape;
    }
    return CST_OK;
}

cst_code csti_steps_open(const csti_steps_options *options, csti_steps **out, cst_err *err) {
    csti_steps *steps = calloc(1, sizeof *steps);
    cst_code code;

    if (!steps) return cst_fail(err, CST_NO_MEMORY, "a reader's steps");
    steps->filters = options->filters;
    steps->filters_count = options->filters_count;
    steps->rows_max = options->rows_max;
    code = csti_projection_make(options->shape, options->project, options->project_count,
                                &steps->projection, err);
    if (code != CST_OK) goto failed;
    steps->projected.schema = steps->projection.shape.schema;
    memcpy(steps->projected.names, steps->projection.shape.names, sizeof steps->projected.names);
    if (options->filters_count > 0) {
        steps->rows = malloc(sizeof *steps->rows * options->rows_max);
        code = steps->rows
                   ? csti_gather_open(&steps->projection, options->rows_max, &steps->gather, err)
                   : cst_fail(err, CST_NO_MEMORY, "%u row numbers", options->rows_max);
        if (code != CST_OK) goto failed;
    }
    if (options->operators_count > 0) code = operators_open(steps, options, err);
    if (code != CST_OK) goto failed;
    *out = steps;
    return CST_OK;

failed:
    csti_steps_close(steps);
    return code;
}

void csti_steps_close(csti_steps *steps) {
    if (!steps) return;
    for (uint32_t i = 0; i < steps->operators_count; i++)
        if (steps->operators[i].open) steps->operators[i].type->close(steps->operators[i].state);
    csti_gather_close(&steps->gather);
    free(steps->operators);
    free(steps->rows);
    free(steps);
}

const cst_operator_shape *csti_steps_shape(const csti_steps *steps) {
    return steps->operators_count ? &steps->operators[steps->operators_count - 1].shape
                                  : &steps->projected;
}

// ---- A batch ------------------------------------------------------------------------------------

static uint32_t rows_keep(csti_steps *steps, const cst_batch *in) {
    uint32_t count = in->rows_count;

    for (uint32_t r = 0; r < count; r++) steps->rows[r] = r;
    for (uint32_t f = 0; f < steps->filters_count && count > 0; f++)
        count = csti_filter_rows(&steps->filters[f], in, steps->rows, count);
    steps->dropped_count += in->rows_count - count;
    return count;
}

// An operator is somebody else's code: what it hands out is looked at before it is believed.
static cst_code operator_run(step_operator *step, const cst_batch *in, cst_batch *out,
                             cst_err *err) {
    const char *name = step->type->name;
    cst_code code;

    *out = (cst_batch){0};
    code = step->type->process(step->state, in, out, err);
    if (code != CST_OK) return cst_fail_at(err, code, "operator %s", name);
    if (out->rows_count > in->rows_count)
        return cst_fail(err, CST_OPERATOR, "operator %s: %u rows out for %u in", name,
                        out->rows_count, in->rows_count);
    if (out->rows_count == 0) return CST_OK;
    if (out->schema && !shapes_equal(out->schema, &step->shape.schema))
        return cst_fail(err, CST_OPERATOR, "operator %s: a batch of another shape than it declared",
                        name);
    out->schema = &step->shape.schema;
    if (!out->columns) return cst_fail(err, CST_OPERATOR, "operator %s: no columns", name);
    code = cst_batch_check(out, err);
    return code == CST_OK ? CST_OK : cst_fail_at(err, code, "operator %s", name);
}

cst_code csti_steps_run(csti_steps *steps, const cst_batch *in, cst_batch *out, cst_err *err) {
    uint32_t count = in->rows_count;
    cst_code code = CST_OK;

    assert(in->rows_count <= steps->rows_max);
    if (steps->filters_count > 0) count = rows_keep(steps, in);
    if (count == in->rows_count)
        csti_project(&steps->projection, in, steps->columns, out);
    else
        code =
            csti_gather_rows(&steps->gather, &steps->projection, in, steps->rows, count, out, err);
    for (uint32_t i = 0; code == CST_OK && i < steps->operators_count && out->rows_count > 0; i++) {
        const cst_batch before = *out;

        code = operator_run(&steps->operators[i], &before, out, err);
    }
    return code;
}

uint64_t csti_steps_dropped_count(const csti_steps *steps) {
    return steps->dropped_count;
}
