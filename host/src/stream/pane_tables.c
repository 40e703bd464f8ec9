#include "stream/pane_tables.h"

#include "base/helper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOG_SEGMENT_BYTES = 256 << 10,
    LOG_SEGMENT_BYTES_SMALL = 64 << 10,
    LOG_SEGMENT_BYTES_MAX = 2 << 20,
    LOG_SEGMENTS_CARD = 4096, // that a card's circuit has places for
};

struct csti_pane_tables {
    cst_queue *queue;
    cst_table_options options; // of each
    csti_helper *helper;       // NULL: in place
    csti_helper_job chores;
    pthread_mutex_t lock; // of the next three
    csti_pane_table *dead;
    cst_device_table *spare; // for the next window, as large as the last one was
    uint64_t spare_rows;     // 0: none is wanted
};

static cst_code table_open(const csti_pane_tables *tables, bool large, uint64_t rows_hint,
                           cst_device_table **out, cst_err *err) {
    cst_table_options options = tables->options;
    cst_code code;

    options.background = large;
    options.small_pages = !large;
    options.rows_hint = rows_hint;
    options.log_segment_bytes = large ? LOG_SEGMENT_BYTES : LOG_SEGMENT_BYTES_SMALL;
    while (!tables->helper && options.log_segment_bytes < LOG_SEGMENT_BYTES_MAX &&
           options.budget_bytes / options.log_segment_bytes >= LOG_SEGMENTS_CARD)
        options.log_segment_bytes *= 2;
    code = cst_device_table_open(tables->queue, &options, NULL, out, err);
    if (code != CST_OK || cst_device_table_image(*out)) return code;
    return cst_fail(err, CST_UNSUPPORTED, "windows on a device whose tables cannot be read");
}

static void one_close(csti_pane_table *dead) {
    cst_device_table_close(dead->table);
    free(dead);
}

static void dead_close(csti_pane_tables *tables) {
    csti_pane_table *dead;

    (void)pthread_mutex_lock(&tables->lock);
    dead = tables->dead;
    tables->dead = NULL;
    (void)pthread_mutex_unlock(&tables->lock);
    while (dead) {
        csti_pane_table *next = dead->next;

        one_close(dead);
        dead = next;
    }
}

// Without it, for want of memory say, a window begins small and grows.
static void spare_open(csti_pane_tables *tables) {
    cst_device_table *spare = NULL;
    uint64_t rows;

    (void)pthread_mutex_lock(&tables->lock);
    rows = tables->spare ? 0 : tables->spare_rows;
    (void)pthread_mutex_unlock(&tables->lock);
    if (rows == 0 || table_open(tables, true, rows, &spare, NULL) != CST_OK) return;
    (void)pthread_mutex_lock(&tables->lock);
    tables->spare = spare;
    (void)pthread_mutex_unlock(&tables->lock);
}

static void chores_do(void *context) {
    dead_close(context);
    spare_open(context);
}

static cst_device_table *spare_take(csti_pane_tables *tables) {
    cst_device_table *spare;

    (void)pthread_mutex_lock(&tables->lock);
    spare = tables->spare;
    tables->spare = NULL;
    (void)pthread_mutex_unlock(&tables->lock);
    if (spare) csti_helper_wake(&tables->chores);
    return spare;
}

static cst_code helper_open(csti_pane_tables *tables, cst_err *err) {
    const char *uri = cst_device_uri(cst_queue_device(tables->queue));
    cst_code code;

    if (strncmp(uri, "cpu:", 4) != 0) return CST_OK;
    code = csti_helper_open(&tables->helper, err);
    if (code != CST_OK) return code;
    tables->spare_rows = 1;
    tables->chores = (csti_helper_job){.prepare = chores_do, .context = tables};
    csti_helper_register(tables->helper, &tables->chores);
    return CST_OK;
}

cst_code csti_pane_tables_open(cst_queue *queue, const cst_table_options *table,
                               csti_pane_tables **out, cst_err *err) {
    csti_pane_tables *tables = calloc(1, sizeof *tables);
    cst_code code;

    if (!tables) return cst_fail(err, CST_NO_MEMORY, "windows");
    tables->queue = queue;
    tables->options = *table;
    (void)pthread_mutex_init(&tables->lock, NULL); // cannot fail without attributes
    code = helper_open(tables, err);
    if (code != CST_OK) {
        csti_pane_tables_close(tables);
        return code;
    }
    *out = tables;
    return CST_OK;
}

void csti_pane_tables_close(csti_pane_tables *tables) {
    if (!tables) return;
    if (tables->helper) csti_helper_unregister(&tables->chores);
    csti_helper_close(tables->helper);
    dead_close(tables);
    cst_device_table_close(tables->spare);
    (void)pthread_mutex_destroy(&tables->lock);
    free(tables);
}

cst_code csti_pane_tables_take_large(csti_pane_tables *tables, cst_device_table **out,
                                     cst_err *err) {
    *out = spare_take(tables);
    return *out ? CST_OK : table_open(tables, true, 0, out, err);
}

cst_code csti_pane_tables_take_sized(csti_pane_tables *tables, uint64_t rows,
                                     cst_device_table **out, cst_err *err) {
    return table_open(tables, true, rows, out, err);
}

cst_code csti_pane_tables_take_small(csti_pane_tables *tables, cst_device_table **out,
                                     cst_err *err) {
    return table_open(tables, false, 0, out, err);
}

void csti_pane_tables_want(csti_pane_tables *tables, uint64_t rows) {
    if (!tables->helper) return;
    (void)pthread_mutex_lock(&tables->lock);
    tables->spare_rows = rows;
    (void)pthread_mutex_unlock(&tables->lock);
    csti_helper_wake(&tables->chores);
}

void csti_pane_tables_give(csti_pane_tables *tables, csti_pane_table *dead) {
    if (!tables->helper) {
        one_close(dead);
        return;
    }
    (void)pthread_mutex_lock(&tables->lock);
    dead->next = tables->dead;
    tables->dead = dead;
    (void)pthread_mutex_unlock(&tables->lock);
    csti_helper_wake(&tables->chores);
}
