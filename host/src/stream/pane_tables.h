// pane_tables.h: tables for windows, mapped and unmapped behind the back of the thread that has
// them.
//
//   take ◄── spare ◄── opened ahead, as large as the last window was ─┐
//   give ──► dead  ──► closed ────────────────────────────────────────┴─ a thread that waits for
//                                                                        the kernel
//
// The processor's tables have that thread, because mapping takes tens of milliseconds; those of
// other devices are opened and closed in place.
//
// Thread     the partition's.
// Ring       1.
// Owner      the queue is borrowed. A table that was taken is the caller's until it is given.
// Errors     NO_MEMORY, IO; UNSUPPORTED: a device whose tables cannot be read; those of tables.
#ifndef CST_STREAM_PANE_TABLES_H
#define CST_STREAM_PANE_TABLES_H

#include <constellation/device.h>

typedef struct csti_pane_tables csti_pane_tables;

// The head of what a table belongs to, which goes with it.
typedef struct csti_pane_table csti_pane_table;
struct csti_pane_table {
    csti_pane_table *next;
    cst_device_table *table;
};

CST_CHECK_RESULT cst_code csti_pane_tables_open(cst_queue *queue, const cst_table_options *table,
                                                csti_pane_tables **out, cst_err *err);
// All tables were given or closed. NULL is allowed.
void csti_pane_tables_close(csti_pane_tables *tables);
// One of the few that get huge pages and a helper.
CST_CHECK_RESULT cst_code csti_pane_tables_take_large(csti_pane_tables *tables,
                                                      cst_device_table **out, cst_err *err);
// As large as so many rows ask for.
CST_CHECK_RESULT cst_code csti_pane_tables_take_sized(csti_pane_tables *tables, uint64_t rows,
                                                      cst_device_table **out, cst_err *err);
CST_CHECK_RESULT cst_code csti_pane_tables_take_small(csti_pane_tables *tables,
                                                      cst_device_table **out, cst_err *err);
// The next large one has room for so many rows; 0: none is kept ready.
void csti_pane_tables_want(csti_pane_tables *tables, uint64_t rows);
// Closes the table and frees what it belongs to, soon.
void csti_pane_tables_give(csti_pane_tables *tables, csti_pane_table *dead);

#endif
