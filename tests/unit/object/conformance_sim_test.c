#include "unit/object/objects.h"

static cst_object_store *fixture_open(void) {
    cst_object_store *store = NULL;
    cst_err err;

    if (cst_object_store_open("sim:?seed=5", NULL, &store, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    return store;
}

static void fixture_close(cst_object_store *store) {
    cst_object_store_close(store);
}

#include "unit/object/conformance.h"

TEST_MAIN
