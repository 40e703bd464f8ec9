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

static char job_folder[256];
static char job_path[300];

static inline void job_write(const char *text) {
    FILE *file;

    if (!job_folder[0]) folder_make(job_folder, sizeof job_folder);
    (void)snprintf(job_path, sizeof job_path, "%s/job.toml", job_folder);
    file = fopen(job_path, "wb");
    CHECK(file);
    CHECK_EQ(fwrite(text, 1, strlen(text), file), strlen(text));
    CHECK_EQ(fclose(file), 0);
}

static inline cst_code job_read(const char *text, csti_job_config *out, cst_err *err) {
    job_write(text);
    return csti_config_read(job_path, NULL, out, err);
}

#endif
