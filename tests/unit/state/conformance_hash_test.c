#include <constellation/store.h>

static cst_store *fixture_open(const cst_store_options *options);
static void fixture_close(cst_store *store);

#include "unit/state/conformance.h"

static cst_store *fixture_open(const cst_store_options *options) {
    cst_store *store = NULL;
    cst_err err;

    if (cst_store_open("hash:", options, &store, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return store;
}

static void fixture_close(cst_store *store) {
    cst_store_close(store);
}

TEST_MAIN
