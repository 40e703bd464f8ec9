// name_list.h: a growing list of object names, to be sorted and searched.
//
// Thread     one.
// Ring       2.
// Owner      the list owns its items; the names are their adder's, and stay.
#ifndef CST_CHECKPOINT_NAME_LIST_H
#define CST_CHECKPOINT_NAME_LIST_H

#include <constellation/error.h>
#include <stddef.h>

enum { CSTI_NAME_LIST_MAX = 1 << 24 };

typedef struct csti_listed_name {
    const char *name;
    uint64_t bytes; // of the object; 0: not known
} csti_listed_name;

typedef struct csti_name_list { // all zeros: empty
    csti_listed_name *items;
    size_t count, capacity;
} csti_name_list;

// LIMIT: CSTI_NAME_LIST_MAX; NO_MEMORY.
CST_CHECK_RESULT cst_code csti_name_list_add(csti_name_list *names, const char *name,
                                             uint64_t bytes, cst_err *err);
// Sorts by name; of equal names one stays.
void csti_name_list_sort(csti_name_list *names);
// In a sorted list. NULL: not there.
const csti_listed_name *csti_name_list_find(const csti_name_list *names, const char *name);
void csti_name_list_reset(csti_name_list *names);
void csti_name_list_release(csti_name_list *names);

#endif
