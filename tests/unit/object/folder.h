// folder.h: a folder of a test's own with a store in it, removed with all that is inside.
#ifndef CST_TEST_OBJECT_FOLDER_H
#define CST_TEST_OBJECT_FOLDER_H

#include "unit/object/objects.h"

#include <dirent.h>
#include <ftw.h>
#include <unistd.h>

// Leaves room for "/store" behind it.
typedef struct test_folder {
    char path[200];
} test_folder;

static inline test_folder folder_make(void) {
    const char *parent = getenv("TMPDIR");
    test_folder folder;

    (void)snprintf(folder.path, sizeof folder.path, "%s/cst-object-XXXXXX",
                   parent ? parent : "/tmp");
    CHECK(mkdtemp(folder.path));
    return folder;
}

static inline int folder_remove_one(const char *path, const struct stat *status, int kind,
                                    struct FTW *place) {
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void folder_remove(const test_folder *folder) {
    CHECK_EQ(nftw(folder->path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline cst_object_store *folder_store(const test_folder *folder) {
    cst_object_store *store = NULL;
    char uri[256];
    cst_err err;

    (void)snprintf(uri, sizeof uri, "file:%s/store", folder->path);
    if (cst_object_store_open(uri, NULL, &store, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return store;
}

// Files in the store's folder of temporaries.
static inline size_t temporaries_count(const test_folder *folder) {
    char path[256];
    size_t count = 0;
    const struct dirent *entry;
    DIR *listed;

    (void)snprintf(path, sizeof path, "%s/store/.tmp", folder->path);
    listed = opendir(path);
    if (!listed) return 0;
    while ((entry = readdir(listed)) != NULL)
        if (entry->d_name[0] != '.') count++;
    (void)closedir(listed);
    return count;
}

#endif
