// pane_fill.h: the rows of one table, that a chain was restored into, parted into the tables of
// their windows.
//
//   table ──► scan ──► by window, some thousand at a time ──► RESTORE into the window's own table
//
// Thread     the partition's, with nothing in flight.
// Ring       1.
// Errors     NO_MEMORY; what `find` and the tables fail with: some rows are in their tables then.
#ifndef CST_STREAM_PANE_FILL_H
#define CST_STREAM_PANE_FILL_H

#include <constellation/device.h>

typedef struct csti_pane_fill {
    cst_queue *queue;
    uint32_t record_bytes, value_offset;
    // The table of a window's rows.
    cst_code (*find)(void *context, int64_t start_us, cst_device_table **out, cst_err *err);
    void *context;
} csti_pane_fill;

CST_CHECK_RESULT cst_code csti_pane_fill_from(const csti_pane_fill *fill, cst_table *from,
                                              cst_err *err);

#endif
