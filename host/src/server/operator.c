#include "server/operator.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct csti_operator {
    void *library;
    const cst_operator_type *type;
    void *state;
    bool opened;
    cst_operator_shape shape;
};

static cst_code type_find(csti_operator *instance, const char *path, cst_err *err) {
    instance->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!instance->library) return cst_fail(err, CST_OPERATOR, "%s", dlerror());
    instance->type = dlsym(instance->library, "cst_operator_v1");
    if (!instance->type)
        return cst_fail(err, CST_OPERATOR, "%s exports no cst_operator_v1. See operator.h", path);
    if (instance->type->version != CST_OPERATOR_VERSION)
        return cst_fail(err, CST_OPERATOR, "%s: operators of version %u, this program takes %d",
                        path, instance->type->version, CST_OPERATOR_VERSION);
    if (!instance->type->name || !instance->type->open || !instance->type->process ||
        !instance->type->close)
        return cst_fail(err, CST_OPERATOR,
                        "%s: cst_operator_v1 has a function or name that is NULL", path);
    return CST_OK;
}

static cst_code shape_check(const csti_operator *instance, cst_err *err) {
    const cst_operator_shape *shape = &instance->shape;
    const char *name = instance->type->name;
    const cst_code code = cst_schema_check(&shape->schema, err);

    if (code != CST_OK) {
        (void)cst_fail_at(err, code, "operator %s: columns that come out", name);
        return CST_OPERATOR;
    }
    for (uint32_t i = 0; i < shape->schema.columns_count; i++) {
        if (!shape->names[i][0] || !memchr(shape->names[i], '\0', CST_OPERATOR_NAME_BYTES))
            return cst_fail(err, CST_OPERATOR, "operator %s: column %u that comes out has no name",
                            name, i);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(shape->names[i], shape->names[j]) == 0)
                return cst_fail(err, CST_OPERATOR, "operator %s: two columns '%s' come out", name,
                                shape->names[i]);
    }
    return CST_OK;
}

cst_code csti_operator_open(const csti_operator_config *config, const cst_operator_shape *in,
                            csti_operator **out, cst_err *err) {
    csti_operator *instance = calloc(1, sizeof *instance);
    cst_err why = {.code = CST_OK};
    cst_code code;

    if (!instance) return cst_fail(err, CST_NO_MEMORY, "operator %s", config->library);
    code = type_find(instance, config->library, err);
    if (code != CST_OK) goto done;
    code = instance->type->open(config->options, in, &instance->shape, &instance->state, &why);
    if (code != CST_OK) {
        code = cst_fail(err, CST_OPERATOR, "operator %s: %s", instance->type->name,
                        why.text[0] ? why.text : cst_code_text(code));
        goto done;
    }
    instance->opened = true;
    code = shape_check(instance, err);
    if (code != CST_OK) goto done;
    *out = instance;
    instance = NULL;
done:
    csti_operator_close(instance);
    return code;
}

void csti_operator_close(csti_operator *instance) {
    if (!instance) return;
    if (instance->opened) instance->type->close(instance->state);
    if (instance->library) (void)dlclose(instance->library);
    free(instance);
}

const char *csti_operator_name(const csti_operator *instance) {
    return instance->type->name;
}

const cst_operator_shape *csti_operator_shape_out(const csti_operator *instance) {
    return &instance->shape;
}

static bool column_is(const cst_column *a, const cst_column *b) {
    return a->type == b->type && a->width == b->width && a->scale == b->scale &&
           a->nullable == b->nullable;
}

static cst_code batch_check(const csti_operator *instance, const cst_batch *batch, cst_err *err) {
    const cst_schema *wanted = &instance->shape.schema;
    const char *name = instance->type->name;
    cst_err why = {.code = CST_OK};

    if (!batch->schema || batch->schema->columns_count != wanted->columns_count)
        return cst_fail(err, CST_OPERATOR, "operator %s: its rows have not the columns it said",
                        name);
    for (uint32_t i = 0; i < wanted->columns_count; i++)
        if (!column_is(&batch->schema->columns[i], &wanted->columns[i]))
            return cst_fail(err, CST_OPERATOR, "operator %s: column '%s' is not of its type", name,
                            instance->shape.names[i]);
    if (cst_batch_check(batch, &why) != CST_OK)
        return cst_fail(err, CST_OPERATOR, "operator %s: what came out: %s", name, why.text);
    return CST_OK;
}

cst_code csti_operator_process(csti_operator *instance, const cst_batch *in, cst_batch *out,
                               cst_err *err) {
    cst_batch batch = {0};
    cst_err why = {.code = CST_OK};
    cst_code code = instance->type->process(instance->state, in, &batch, &why);

    if (code != CST_OK)
        return cst_fail(err, CST_OPERATOR, "operator %s: %s", instance->type->name,
                        why.text[0] ? why.text : cst_code_text(code));
    code = batch_check(instance, &batch, err);
    if (code == CST_OK) *out = batch;
    return code;
}
