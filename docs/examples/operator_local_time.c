// operator_local_time.c: a step of one's own: the local day and hour of each row's timestamp.
//
//   cc -std=gnu11 -shared -fPIC -o liblocal_time.so operator_local_time.c
//
//   [[operator]]
//   library = "liblocal_time.so"       beside the job file
//   options = "zone=UTC+1"             hours east of Greenwich, -12 to 14
//
// In: any columns, one of them `at timestamp`, never null. Out: the same, then `local_day date` and
// `local_hour u8`. examples/local_time.toml is a job with it.
#include <constellation/operator.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOURS_A_DAY = 24 };
static const int64_t hour_us = INT64_C(3600) * 1000 * 1000;

typedef struct local_time {
    int64_t shift_us;
    uint32_t at; // the column it reads
    cst_schema schema;
    cst_column_data columns[CST_COLUMNS_MAX];
    uint32_t rows_capacity;
    int32_t *days;
    uint8_t *hours;
} local_time;

static cst_code shift_read(const char *options, int64_t *out, cst_err *err) {
    int hours = 0;
    int end = 0;

    if (sscanf(options, "zone=UTC%d%n", &hours, &end) != 1 || options[end] || hours < -12 ||
        hours > 14)
        return cst_fail(err, CST_USAGE, "options '%s': give a zone, as in zone=UTC+1", options);
    *out = hours * hour_us;
    return CST_OK;
}

static cst_code at_find(const cst_operator_shape *in, uint32_t *out, cst_err *err) {
    for (uint32_t i = 0; i < in->schema.columns_count; i++) {
        const cst_column *column = &in->schema.columns[i];

        if (strcmp(in->names[i], "at") != 0) continue;
        if (column->type != CST_TYPE_TIMESTAMP || column->nullable) break;
        *out = i;
        return CST_OK;
    }
    return cst_fail(err, CST_SCHEMA, "there is no column 'at', a timestamp that is never null");
}

static void column_add(cst_operator_shape *shape, const char *name, cst_type type) {
    const uint32_t to = shape->schema.columns_count++;

    shape->schema.columns[to] = (cst_column){.type = type};
    (void)snprintf(shape->names[to], sizeof shape->names[to], "%s", name);
}

static cst_code local_time_open(const char *options, const cst_operator_shape *in,
                                cst_operator_shape *out, void **state_out, cst_err *err) {
    local_time *state = NULL;
    int64_t shift_us = 0;
    uint32_t at = 0;
    cst_code code = shift_read(options, &shift_us, err);

    if (code == CST_OK) code = at_find(in, &at, err);
    if (code != CST_OK) return code;
    if (in->schema.columns_count + 2 > CST_COLUMNS_MAX)
        return cst_fail(err, CST_LIMIT, "no room for two more columns");
    state = calloc(1, sizeof *state);
    if (!state) return cst_fail(err, CST_NO_MEMORY, "its state");
    *out = *in;
    column_add(out, "local_day", CST_TYPE_DATE);
    column_add(out, "local_hour", CST_TYPE_U8);
    state->shift_us = shift_us;
    state->at = at;
    state->schema = out->schema;
    *state_out = state;
    return CST_OK;
}

static cst_code room_make(local_time *state, uint32_t rows, cst_err *err) {
    int32_t *days;
    uint8_t *hours;

    if (rows <= state->rows_capacity) return CST_OK;
    days = realloc(state->days, rows * sizeof *days);
    if (days) state->days = days;
    hours = realloc(state->hours, rows);
    if (hours) state->hours = hours;
    if (!days || !hours) return cst_fail(err, CST_NO_MEMORY, "%u rows", rows);
    state->rows_capacity = rows;
    return CST_OK;
}

// The columns that came in go out as they are, by reference.
static cst_code local_time_process(void *context, const cst_batch *in, cst_batch *out,
                                   cst_err *err) {
    local_time *state = context;
    const uint32_t given = state->schema.columns_count - 2;
    const int64_t day_us = HOURS_A_DAY * hour_us;
    const cst_code code = room_make(state, in->rows_count, err);

    if (code != CST_OK) return code;
    for (uint32_t row = 0; row < in->rows_count; row++) {
        int64_t us;

        memcpy(&us, (const char *)in->columns[state->at].values.data + row * sizeof us, sizeof us);
        us += state->shift_us;
        const int64_t day = us / day_us - (us % day_us < 0); // towards the past, also before 1970

        state->days[row] = (int32_t)day;
        state->hours[row] = (uint8_t)((us - day * day_us) / hour_us);
    }
    memcpy(state->columns, in->columns, given * sizeof *in->columns);
    state->columns[given] =
        (cst_column_data){.values = {state->days, in->rows_count * sizeof *state->days}};
    state->columns[given + 1] = (cst_column_data){.values = {state->hours, in->rows_count}};
    *out = *in;
    out->schema = &state->schema;
    out->columns = state->columns;
    return CST_OK;
}

static void local_time_close(void *context) {
    local_time *state = context;

    free(state->days);
    free(state->hours);
    free(state);
}

CST_API const cst_operator_type cst_operator_v1;
const cst_operator_type cst_operator_v1 = {
    .version = CST_OPERATOR_VERSION,
    .name = "local_time",
    .open = local_time_open,
    .process = local_time_process,
    .close = local_time_close,
};
