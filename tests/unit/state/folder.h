// folder.h: a folder of a test's own, for stores that live on a disk.
#ifndef CST_TEST_FOLDER_H
#define CST_TEST_FOLDER_H

#include "test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void folder_make(char *path, size_t path_bytes) {
    const char *parent = getenv("TMPDIR");

    (void)snprintf(path, path_bytes, "%s/cst-store-XXXXXX", parent ? parent : "/tmp");
    CHECK(mkdtemp(path));
}

// The folder and the files in it.
static inline void folder_remove(const char *path) {
    DIR *folder = opendir(path);
    struct dirent *entry;

    CHECK(folder);
    while ((entry = readdir(folder)) != NULL) {
        char file[600];

        if (entry->d_name[0] == '.') continue;
        (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        CHECK_EQ(unlink(file), 0);
    }
    closedir(folder);
    CHECK_EQ(rmdir(path), 0);
}

#endif
