#include <constellation/store.h>

static cst_store *fixture_open(const cst_store_options *options);
static void fixture_close(cst_store *store);

#include "unit/state/conformance.h"
#include "unit/state/folder.h"

enum { FOLDERS_MAX = 8 };
static struct {
    cst_store *store;
    char path[256];
} folders[FOLDERS_MAX];

static cst_store *fixture_open(const cst_store_options *options) {
    char uri[300];
    cst_err err;
    int at = 0;

    while (folders[at].store) CHECK(++at < FOLDERS_MAX);
    folder_make(folders[at].path, sizeof folders[at].path);
    (void)snprintf(uri, sizeof uri, "lmdb:%s", folders[at].path);
    if (cst_store_open(uri, options, &folders[at].store, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return folders[at].store;
}

static void fixture_close(cst_store *store) {
    int at = 0;

    while (folders[at].store != store) CHECK(++at < FOLDERS_MAX);
    cst_store_close(store);
    folder_remove(folders[at].path);
    folders[at].store = NULL;
}

TEST_MAIN
