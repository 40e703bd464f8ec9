// open.h: the parts of opening a table that loading an image shares.
#ifndef CST_TABLE_OPEN_H
#define CST_TABLE_OPEN_H

#include "table/internal.h"

// Checks the options and reserves the regions; the control block is ready and zero.
cst_code csti_table_open_empty(const cst_table_options *options, cst_table **out, cst_err *err);
// Makes memory ready for what `used` says, and starts the helper if the options ask for one.
cst_code csti_table_start(cst_table *table, const cst_table_options *options, cst_err *err);
// Wakes the helper if a region has less than half its margin left. Ring 1, the owner.
void csti_table_nudge(cst_table *table);

#endif
