#include "checkpoint/name_list.h"

#include <stdlib.h>
#include <string.h>

cst_code csti_name_list_add(csti_name_list *names, const char *name, uint64_t bytes, cst_err *err) {
    if (names->count == CSTI_NAME_LIST_MAX)
        return cst_fail(err, CST_LIMIT, "more than %d objects", CSTI_NAME_LIST_MAX);
    if (names->count == names->capacity) {
        const size_t capacity = names->capacity ? names->capacity * 2 : 64;
        csti_listed_name *items = realloc(names->items, capacity * sizeof *items);

        if (!items) return cst_fail(err, CST_NO_MEMORY, "a list of %zu objects", capacity);
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->count++] = (csti_listed_name){name, bytes};
    return CST_OK;
}

static int by_name(const void *a, const void *b) {
    const csti_listed_name *x = a, *y = b;

    return strcmp(x->name, y->name);
}

void csti_name_list_sort(csti_name_list *names) {
    size_t kept = 0;

    if (names->count == 0) return;
    qsort(names->items, names->count, sizeof *names->items, by_name);
    for (size_t i = 1; i < names->count; i++) {
        csti_listed_name *last = &names->items[kept];

        if (strcmp(last->name, names->items[i].name) != 0)
            names->items[++kept] = names->items[i];
        else if (last->bytes == 0)
            last->bytes = names->items[i].bytes;
    }
    names->count = kept + 1;
}

const csti_listed_name *csti_name_list_find(const csti_name_list *names, const char *name) {
    const csti_listed_name wanted = {name, 0};

    if (names->count == 0) return NULL;
    return bsearch(&wanted, names->items, names->count, sizeof wanted, by_name);
}

void csti_name_list_reset(csti_name_list *names) {
    names->count = 0;
}

void csti_name_list_release(csti_name_list *names) {
    free(names->items);
    *names = (csti_name_list){.count = 0};
}
