#define _GNU_SOURCE 1 // RTLD_NEXT

// Folders whose listing breaks off: what was not seen is not taken for what is not there.
#include "stream/sink.h"
#include "stream/source.h"

#include "test.h"
#include "unit/state/folder.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>

static int entries_left = -1; // then a listing fails with EIO; below 0: it never does

struct dirent *readdir(DIR *folder) {
    static struct dirent *(*real)(DIR *);
    void *const found = dlsym(RTLD_NEXT, "readdir");

    memcpy(&real, &found, sizeof real); // ISO C has no cast from an object to a function
    if (entries_left == 0) {
        errno = EIO;
        return NULL;
    }
    if (entries_left > 0) entries_left--;
    return real(folder);
}

static void file_make(const char *folder, const char *name) {
    char path[600];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    CHECK(file);
    CHECK_EQ(fclose(file), 0);
}

TEST(a_sink_that_cannot_list_its_folder_does_not_know_what_it_has) {
    char folder[256];
    csti_sink_options options = {.kind = CSTI_SINK_FILE, .nonce = 7, .path = folder};
    csti_sink *sink = NULL;
    bool released = true;
    cst_err err = {0};

    folder_make(folder, sizeof folder);
    CHECK_OK(cst_schema_parse("u64", &options.plan.key, NULL));
    entries_left = 0;
    CHECK_CODE(csti_sink_open(&options, &sink, &err), CST_IO); // it looks for temporaries
    entries_left = -1;
    CHECK_OK(csti_sink_open(&options, &sink, &err));
    file_make(folder, "00000000000000000012-00003.ndjson");
    entries_left = 0;
    CHECK_CODE(csti_sink_has_released(sink, 3, 12, &released, &err), CST_IO);
    CHECK(strstr(err.text, folder));
    CHECK(released); // unchanged
    entries_left = -1;
    CHECK_OK(csti_sink_has_released(sink, 3, 12, &released, &err));
    CHECK(released);
    csti_sink_close(sink);
    folder_remove(folder);
}

TEST(a_source_that_cannot_list_its_folder_is_not_opened_with_fewer_files) {
    char folder[256];
    csti_source_options options = {.kind = CSTI_SOURCE_FILE,
                                   .path = folder,
                                   .format = CSTI_FILE_NDJSON,
                                   .batch_rows = 100,
                                   .shape.names = {"k"}};
    csti_source *source = NULL;
    cst_err err = {0};

    folder_make(folder, sizeof folder);
    CHECK_OK(cst_schema_parse("u64", &options.shape.schema, NULL));
    file_make(folder, "a.ndjson");
    file_make(folder, "b.ndjson");
    file_make(folder, "c.ndjson");
    for (int left = 0; left < 5; left++) { // the three files, and the two dots
        entries_left = left;
        CHECK_CODE(csti_source_open(&options, &source, &err), CST_IO);
        CHECK(strstr(err.text, folder));
    }
    entries_left = -1;
    CHECK_OK(csti_source_open(&options, &source, &err));
    CHECK_EQ(csti_source_splits_count(source), 3);
    csti_source_close(source);
    folder_remove(folder);
}

TEST_MAIN
