#define _GNU_SOURCE 1 // nftw
#include "unit/object/folder.h"

static test_folder fixture_folder;

static cst_object_store *fixture_open(void) {
    fixture_folder = folder_make();
    return folder_store(&fixture_folder);
}

static void fixture_close(cst_object_store *store) {
    CHECK_EQ(temporaries_count(&fixture_folder), 0);
    cst_object_store_close(store);
    folder_remove(&fixture_folder);
}

#include "unit/object/conformance.h"

TEST_MAIN
