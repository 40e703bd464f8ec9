// jobs.h: job files for tests, written into a folder of the test's own.
#ifndef CST_TEST_JOBS_H
#define CST_TEST_JOBS_H

#include "server/config.h"
#include "test.h"
#include "unit/state/folder.h"

// The least that is a job.
#define JOB_LEAST                                                                                  \
    "[job]\nname = \"j\"\n[source]\nkind = \"generator\"\nname = \"bids\"\n"                       \
    "[key]\ncolumns = [\"auction\"]\n[[aggregate]]\nas = \"n\"\nop = \"count\"\n"

// Reads a job file that holds the text; the file is gone again afterwards. What was in *out is not
// closed.
static inline cst_code job_read_with(const char *text, const csti_config_overrides *overrides,
                                     csti_job_config *out, cst_err *err) {
    char folder[256];
    char path[300];
    FILE *file;
    cst_code code;

    folder_make(folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/job.toml", folder);
    file = fopen(path, "wb");
    CHECK(file);
    CHECK(fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
    code = csti_config_read(path, overrides, out, err);
    folder_remove(folder);
    return code;
}

static inline cst_code job_read(const char *text, csti_job_config *out, cst_err *err) {
    return job_read_with(text, NULL, out, err);
}

#endif
