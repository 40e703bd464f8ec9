#include "stream/reader_steps.h"

#include "stream/project.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)CST_OPERATOR_NAME_BYTES == (int)CSTI_COLUMN_NAME_BYTES, "names are copied");

struct csti_steps {
    const csti_filter *filters;
    uint32_t filters_count;
    uint32_t rows_max;
    uint32_t *rows; // that stay
    csti_projection projection;
    csti_gather gather; // if there are filters
    cst_column_data columns[CST_COLUMNS_MAX];
    cst_operator_shape projected;
    csti_step *operators;
    uint32_t operators_count;
    csti_window_step *window; // NULL: none
    uint32_t overlap;         // windows of a row; 1 without any
    cst_operator_shape windowed;
    uint64_t dropped_count;
};

static cst_code operators_take(csti_steps *steps, const csti_steps_options *options, cst_err *err) {
    const size_t bytes = options->operators_count * sizeof *steps->operators;

    steps->operators = malloc(bytes);
    if (!steps->operators)
        return cst_fail(err, CST_NO_MEMORY, "%u operators", options->operators_count);
    memcpy(steps->operators, options->operators, bytes);
    steps->operators_count = options->operators_count;
    return CST_OK;
}

static cst_code window_open(csti_steps *steps, const csti_steps_options *options, cst_err *err) {
    const cst_operator_shape *in = csti_steps_shape(steps);
    csti_row_shape shape = {.schema = in->schema};
    uint32_t column = 0;
    cst_code code;

    memcpy(shape.names, in->names, sizeof shape.names);
    while (column < shape.schema.columns_count &&
           strcmp(shape.names[column], options->window_time) != 0)
        column++;
    if (column == shape.schema.columns_count ||
        shape.schema.columns[column].type != CST_TYPE_TIMESTAMP ||
        shape.schema.columns[column].nullable)
        return cst_fail(err, CST_SCHEMA_MISMATCH,
                        "windows: '%s' is no timestamp that is never null", options->window_time);
    code = csti_window_step_open(options->window, &shape, column, options->rows_max, &steps->window,
                                 err);
    if (code != CST_OK) return code;
    steps->overlap = csti_window_overlap(options->window);
    steps->windowed.schema = csti_window_step_shape(steps->window)->schema;
    memcpy(steps->windowed.names, csti_window_step_shape(steps->window)->names,
           sizeof steps->windowed.names);
    return CST_OK;
}

cst_code csti_steps_open(const csti_steps_options *options, csti_steps **out, cst_err *err) {
    csti_steps *steps = calloc(1, sizeof *steps);
    cst_code code;

    if (!steps) return cst_fail(err, CST_NO_MEMORY, "a reader's steps");
    steps->filters = options->filters;
    steps->filters_count = options->filters_count;
    steps->rows_max = options->rows_max;
    steps->overlap = 1;
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
    if (options->operators_count > 0) code = operators_take(steps, options, err);
    if (code == CST_OK && options->window.size_us > 0) code = window_open(steps, options, err);
    if (code != CST_OK) goto failed;
    *out = steps;
    return CST_OK;

failed:
    csti_steps_close(steps);
    return code;
}

void csti_steps_close(csti_steps *steps) {
    if (!steps) return;
    csti_gather_close(&steps->gather);
    csti_window_step_close(steps->window);
    free(steps->operators);
    free(steps->rows);
    free(steps);
}

const cst_operator_shape *csti_steps_shape(const csti_steps *steps) {
    if (steps->window) return &steps->windowed;
    return steps->operators_count ? steps->operators[steps->operators_count - 1].shape
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

static cst_code operator_run(const csti_step *step, const cst_batch *in, cst_batch *out,
                             cst_err *err) {
    const cst_code code = step->process(step->instance, in, out, err);

    if (code != CST_OK || out->rows_count <= in->rows_count) return code;
    return cst_fail(err, CST_OPERATOR, "operator %s: %u rows out for %u in", step->name,
                    out->rows_count, in->rows_count);
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
    if (code == CST_OK && steps->window && out->rows_count > 0) {
        const cst_batch before = *out;

        code = csti_window_step_run(steps->window, &before, out, err);
    }
    return code;
}

bool csti_steps_bad_row(const csti_steps *steps, uint32_t *row_out) {
    if (!steps->window || !csti_window_step_bad_row(steps->window, row_out)) return false;
    *row_out *= steps->overlap;
    return true;
}

bool csti_steps_row_before(const csti_steps *steps, uint32_t row, uint32_t *row_out) {
    const bool known = steps->operators_count == 0;

    row /= steps->overlap;
    if (!known) row = 0;
    *row_out = steps->filters_count > 0 ? steps->rows[row] : row;
    return known;
}

uint64_t csti_steps_dropped_count(const csti_steps *steps) {
    return steps->dropped_count;
}
