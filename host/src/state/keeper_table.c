#include "state/keeper.h"

#include <stdlib.h>

typedef struct table_keeper {
    csti_keeper base;
    cst_queue *queue;
    cst_device_table *table;
    cst_driver *driver;
} table_keeper;

static cst_code table_submit(csti_keeper *keeper, const cst_command *command, cst_err *err) {
    return cst_driver_submit(((table_keeper *)keeper)->driver, command, NULL, err);
}

static cst_code table_poll(csti_keeper *keeper, cst_completion *out, uint32_t count_max,
                           uint32_t *count_out, bool *worked, cst_err *err) {
    cst_driver *driver = ((table_keeper *)keeper)->driver;
    const cst_code code = cst_driver_poll(driver, 0, out, count_max, count_out, err);

    if (*count_out > 0) *worked = true;
    return code;
}

static cst_code table_retry(csti_keeper *keeper, cst_err *err) {
    return cst_driver_retry(((table_keeper *)keeper)->driver, err);
}

static bool table_is_idle(const csti_keeper *keeper) {
    return cst_queue_in_flight(((const table_keeper *)keeper)->queue) == 0;
}

static bool table_stats(const csti_keeper *keeper, csti_keeper_stats *out) {
    const table_keeper *table = (const table_keeper *)keeper;
    const cst_table *image = table->table ? cst_device_table_view(table->table) : NULL;
    cst_table_stats stats;

    if (!image) return false;
    cst_table_stats_read(image, &stats);
    *out = csti_keeper_stats_of(&stats);
    return true;
}

static void table_delta_ranges(const csti_keeper *keeper, const cst_delta *delta, cst_bytes *ranges,
                               size_t capacity, size_t *count_out) {
    cst_table_delta_ranges(cst_device_table_view(((const table_keeper *)keeper)->table), delta,
                           ranges, capacity, count_out);
}

static void table_close(csti_keeper *keeper) {
    cst_driver_close(((table_keeper *)keeper)->driver);
    free(keeper);
}

static const csti_keeper_ops table_ops = {
    .submit = table_submit,
    .poll = table_poll,
    .retry = table_retry,
    .is_idle = table_is_idle,
    .stats = table_stats,
    .delta_ranges = table_delta_ranges,
    .close = table_close,
};

cst_code csti_keeper_table_open(cst_queue *queue, cst_device_table *table, csti_keeper **out,
                                cst_err *err) {
    table_keeper *keeper = calloc(1, sizeof *keeper);
    cst_code code;

    if (!keeper) return cst_fail(err, CST_NO_MEMORY, "keeper");
    *keeper = (table_keeper){.base = {&table_ops}, .queue = queue, .table = table};
    code = cst_driver_open(queue, &keeper->driver, err);
    if (code != CST_OK) {
        free(keeper);
        return code;
    }
    *out = &keeper->base;
    return CST_OK;
}
