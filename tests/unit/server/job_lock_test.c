#define _GNU_SOURCE 1 // F_OFD_SETLK

// The folders of a job: made with those above them, and durable when they are.
#include "server/job_internal.h"

#include "unit/object/system_calls.h"
#include "unit/state/folder.h"

TEST(each_folder_that_is_made_is_durable_before_the_next) {
    char folder[256], path[300];

    folder_make(folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/a/b", folder);
    calls_fail_at(0, 0);
    CHECK_OK(csti_job_folders_make(path, NULL));
    CHECK(strstr(calls_log, "mkdir open fsync_folder mkdir open fsync_folder "));
    (void)calls_end();
    calls_fail_at(0, 0);
    CHECK_OK(csti_job_folders_make(path, NULL));
    CHECK(!strstr(calls_log, "fsync")); // they were there
    (void)calls_end();
    CHECK_EQ(rmdir(path), 0);
    *strrchr(path, '/') = '\0';
    CHECK_EQ(rmdir(path), 0);
    folder_remove(folder);
}

TEST(a_folder_that_cannot_be_made_durable_is_named) {
    char folder[256], path[300];
    uint64_t n = 1;
    cst_err err = {0};

    folder_make(folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/a", folder);
    for (;; n++) { // mkdirs of what is there, mkdir, open, fsync
        calls_fail_at(n, EIO);
        const cst_code code = csti_job_folders_make(path, &err);
        if (!calls_end()) break;
        CHECK_CODE(code, CST_IO);
        CHECK(strstr(err.text, "Input/output error"));
        (void)rmdir(path);
    }
    CHECK(n > 3);
    CHECK_EQ(rmdir(path), 0);
    folder_remove(folder);
}

TEST_MAIN
