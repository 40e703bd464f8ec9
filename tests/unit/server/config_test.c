#include "unit/server/jobs.h"

static csti_job_config config;
static cst_err err;

static void check_reads(const char *text) {
    const cst_code code = job_read(text, &config, &err);

    if (code != CST_OK) TEST_FAIL("%s", err.text);
}

TEST(the_least_job_has_every_default) {
    char data[300];

    check_reads(JOB_LEAST);
    CHECK_TEXT(config.name, "j");
    CHECK(config.partitions >= 1 && config.partitions <= 16);
    CHECK_EQ(config.source.stripes, config.partitions);
    CHECK_EQ(config.source.rows, 0);
    CHECK_EQ(config.source.generate.seed, 1);
    CHECK(config.source.generate.skew < 0);
    CHECK_EQ(config.source.batch_rows, 8192);
    CHECK_EQ(config.idle_us, 1000000);
    CHECK_EQ(config.sink, CSTI_SINK_NONE);
    CHECK_TEXT(config.state_store, "hash:");
    CHECK_EQ(config.budget_bytes, UINT64_C(4) << 30);
    CHECK_TEXT(config.device, "cpu:");
    CHECK_EQ(config.every_kind, CSTI_EVERY_TIME);
    CHECK_EQ(config.every, 1000000);
    CHECK_EQ(config.fold.every, 0);
    CHECK_EQ(config.keep, 5);
    CHECK_EQ(config.epochs_max, 4);
    CHECK_EQ(config.staged_bytes_max, UINT64_C(512) << 20);
    CHECK_EQ(config.step_deadline_us, 60000000);
    CHECK_EQ(config.align_deadline_us, 60000000);
    (void)snprintf(data, sizeof data, "%s/data", job_folder);
    CHECK_TEXT(config.dir, data);
    (void)snprintf(data, sizeof data, "file:%s/data/checkpoints", job_folder);
    CHECK_TEXT(config.checkpoint_store, data);
    csti_config_close(&config);
    folder_remove(job_folder);
    job_folder[0] = '\0';
}

TEST_MAIN
