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
    CHECK(!config.device_why);
    CHECK_EQ(config.device_policy, CSTI_DEVICE_RETURN);
    CHECK_EQ(config.device_timeout_us, 10000000);
    CHECK_EQ(config.device_return_us, 1000000);
    CHECK_EQ(config.every_kind, CSTI_EVERY_TIME);
    CHECK_EQ(config.every, 1000000);
    CHECK_EQ(config.fold.every, 0);
    CHECK_EQ(config.keep, 5);
    CHECK_EQ(config.epochs_max, 4);
    CHECK_EQ(config.staged_bytes_max, UINT64_C(512) << 20);
    CHECK_EQ(config.step_deadline_us, 60000000);
    CHECK_EQ(config.align_deadline_us, 60000000);
    (void)snprintf(data, sizeof data, "%.*s/data", (int)(strlen(config.path) - 9), config.path);
    CHECK_TEXT(config.dir, data);
    (void)snprintf(data, sizeof data, "file:%s/checkpoints", config.dir);
    CHECK_TEXT(config.checkpoint_store, data);
    csti_config_close(&config);
}

// Whether it is there is not the file's to say; what it is called is.
TEST(a_device_that_is_not_there_is_no_mistake_of_the_file) {
    CHECK_OK(job_read(JOB_LEAST "[device]\nuri = \"fault:cpu:?fail_open=1\"\npolicy = \"stay\"\n"
                                "timeout = \"20ms\"\nreturn_after = \"1m\"\n",
                      &config, &err));
    CHECK_TEXT(config.device_why, "open fails by fail_open");
    CHECK_EQ(config.device_policy, CSTI_DEVICE_STAY);
    CHECK_EQ(config.device_timeout_us, 20000);
    CHECK_EQ(config.device_return_us, 60000000);
    csti_config_close(&config);
    CHECK_CODE(job_read(JOB_LEAST "[device]\npolicy = \"back\"\n", &config, &err), CST_CONFIG);
    CHECK(strstr(err.text, "policy"));
    csti_config_close(&config);
    CHECK_CODE(job_read(JOB_LEAST "[device]\ntimeout = \"1ms\"\n", &config, &err), CST_CONFIG);
    CHECK(strstr(err.text, "timeout"));
    csti_config_close(&config);
}

TEST(the_command_line_goes_over_the_file) {
    const csti_config_overrides overrides = {.device = "cpu:scalar",
                                             .checkpoint_store = "file:/a/../b//c/.",
                                             .rows = 7};

    CHECK_OK(job_read_with(JOB_LEAST "[device]\nuri = \"cpu:\"\n[checkpoint]\nstore = \"file:x\"\n",
                           &overrides, &config, &err));
    CHECK_TEXT(config.device, "cpu:scalar");
    CHECK_TEXT(config.checkpoint_store, "file:/b/c");
    CHECK_EQ(config.source.rows, 7);
    csti_config_close(&config);
}

TEST(a_store_from_the_command_line_is_relative_to_where_it_was_typed) {
    const csti_config_overrides overrides = {.checkpoint_store = "file:here"};
    char here[4096];
    char wanted[4200];

    CHECK(getcwd(here, sizeof here));
    (void)snprintf(wanted, sizeof wanted, "file:%s/here", here);
    CHECK_OK(job_read_with(JOB_LEAST, &overrides, &config, &err));
    CHECK_TEXT(config.checkpoint_store, wanted);
    csti_config_close(&config);
}

TEST(what_the_command_line_gets_wrong_is_refused_by_its_option) {
    static const struct {
        csti_config_overrides overrides;
        const char *why;
    } cases[] = {
        {{.device = "cpu:fast"}, "--device: cpu:fast: no such level"},
        {{.checkpoint_store = "s3://b"},
         "--checkpoint-store: object store 's3://b': a bucket is 3"},
        {{.checkpoint_store = "file:"}, "--checkpoint-store: a folder is missing"},
        {{.checkpoint_store = "x"}, "--checkpoint-store 'x' is no store. Did you mean 'file:x'?"},
        {{.checkpoint_store = "http://x"},
         "--checkpoint-store 'http://x' is no store. There are file:FOLDER, s3://BUCKET/PREFIX and "
         "sim:"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_CODE(job_read_with(JOB_LEAST, &cases[i].overrides, &config, &err), CST_CONFIG);
        CHECK_EQ(config.problems.count, 1);
        CHECK_EQ(config.problems.list[0].at.line, 0);
        if (!strstr(config.problems.list[0].text, cases[i].why))
            TEST_FAIL("'%s' does not say '%s'", config.problems.list[0].text, cases[i].why);
        csti_config_close(&config);
    }
}

TEST(rows_of_the_command_line_are_a_generators) {
    const csti_config_overrides overrides = {.rows = 7};

    CHECK_CODE(job_read_with("[job]\nname = \"j\"\n[source]\nkind = \"file\"\npath = \"in\"\n"
                             "format = \"csv\"\ncolumns = [\"id u64\"]\n[key]\ncolumns = [\"id\"]\n"
                             "[[aggregate]]\nas = \"n\"\nop = \"count\"\n",
                             &overrides, &config, &err),
               CST_CONFIG);
    CHECK_TEXT(config.problems.list[0].text, "--rows is for a generator, and the source is not");
    csti_config_close(&config);
}

TEST(numbers_of_rows_and_amounts_are_read_in_every_unit) {
    check_reads(JOB_LEAST "[checkpoint]\nevery = \"2_500 rows\"\nstep_timeout = \"1500 ms\"\n"
                          "align_timeout = \"2m\"\nstaged_max = \"3MiB\"\nfold = 9\n"
                          "[state]\nbudget = \"1TiB\"\n");
    CHECK_EQ(config.every_kind, CSTI_EVERY_ROWS);
    CHECK_EQ(config.every, 2500);
    CHECK_EQ(config.step_deadline_us, 1500000);
    CHECK_EQ(config.align_deadline_us, 120000000);
    CHECK_EQ(config.staged_bytes_max, 3 << 20);
    CHECK_EQ(config.fold.every, 9);
    CHECK_EQ(config.budget_bytes, UINT64_C(1) << 40);
    csti_config_close(&config);
}

TEST(amounts_that_no_number_holds_are_refused) {
    CHECK_CODE(job_read(JOB_LEAST "[state]\nbudget = \"99999999999TiB\"\n", &config, &err),
               CST_CONFIG);
    csti_config_close(&config);
    CHECK_CODE(job_read(JOB_LEAST "[checkpoint]\nevery = \"99999999999999999999 rows\"\n", &config,
                        &err),
               CST_CONFIG);
    csti_config_close(&config);
}

TEST_MAIN
