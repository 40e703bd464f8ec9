// Every allocation and mapping that fails, one at a time: a typed error, nothing kept, and a table
// that is there stays as it was.
#include "nth.h"

#include "unit/table/fixture.h"

static cst_code is_memory(cst_code code) {
    return code == CST_NO_MEMORY || code == CST_IO ? CST_NO_MEMORY : code; // CST_IO: no thread
}

static void each_open_fails(const cst_table_options *options) {
    uint64_t n = 1;

    for (;; n++) {
        cst_table *table = NULL;
        cst_err err = {0};
        cst_code code;

        nth_fail_at(n);
        code = cst_table_open(options, &table, &err);
        if (!nth_end()) {
            CHECK_OK(code);
            fixture_put(table, 0, 10);
            fixture_check(table);
            cst_table_close(table);
            break;
        }
        CHECK_CODE(is_memory(code), CST_NO_MEMORY);
        CHECK(table == NULL);
        CHECK(err.text[0] != 0);
    }
    CHECK(n > CSTI_REGIONS_COUNT); // the table and its regions, each failed once
}

TEST(open_reports_every_allocation_that_fails) {
    const cst_table_options options = fixture_options();
    each_open_fails(&options);
}

TEST(open_with_a_helper_reports_every_allocation_that_fails) {
    cst_table_options options = fixture_options();

    options.background = true;
    each_open_fails(&options);
}

TEST(check_reports_every_allocation_that_fails) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    uint64_t n = 1;

    fixture_put(table, 0, 10);
    for (;; n++) {
        cst_err err = {0};
        cst_code code;

        nth_fail_at(n);
        code = cst_table_check(table, &err);
        if (!nth_end()) {
            CHECK_OK(code);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK(n > 2);
    cst_table_close(table);
}

TEST(load_reports_every_allocation_that_fails) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    fixture_file file;

    fixture_put(table, 0, 10);
    file = fixture_save(table);
    for (uint64_t n = 1;; n++) {
        cst_table *loaded = NULL;
        cst_err err = {0};
        cst_code code;

        file.read = 0;
        nth_fail_at(n);
        code = cst_table_load(&options, fixture_read, &file, &loaded, &err);
        if (!nth_end()) {
            CHECK_OK(code);
            CHECK_OK(cst_table_compare(table, loaded, &err));
            cst_table_close(loaded);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK(loaded == NULL);
    }
    free(file.bytes);
    cst_table_close(table);
}

TEST(single_rows_allocate_nothing) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    uint64_t value;
    size_t count;

    fixture_put(table, 0, 10);
    nth_fail_at(1);
    for (uint64_t key = 0; key < 10; key++) {
        CHECK_OK(cst_table_get(table, &key, 8, &value, 8, &count));
        CHECK_OK(cst_table_put(table, &key, 8, &value, 8));
        CHECK_OK(cst_table_delete(table, &key, 8));
    }
    CHECK(!nth_end()); // none was asked for
    cst_table_close(table);
}

TEST_MAIN
