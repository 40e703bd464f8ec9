#define _GNU_SOURCE 1 // nftw

#include "nth.h"

#include "server/query.h"
#include "unit/server/stored.h"

TEST(a_question_that_finds_no_memory_says_so_and_leaks_nothing) {
    stored *s = stored_open(
        "[job]\nname = \"q\"\npartitions = 1\n[source]\nkind = \"generator\"\nname = \"zipf\"\n"
        "[key]\ncolumns = [\"key\"]\n[[aggregate]]\nas = \"n\"\n"
        "op = \"count\"\n[state]\nbudget = \"64MiB\"\n");
    bytes_sink lines = {0};
    const csti_query_options options = {.config = &s->config,
                                        .store = s->store,
                                        .meta = s->meta,
                                        .clock = &s->clock.clock,
                                        .random = &s->random.random,
                                        .write = sink_write,
                                        .context = &lines};
    csti_query_report report = {0};
    cst_err err = {.code = CST_OK};
    uint8_t key[8];
    cst_code code;

    cst_key_encode_u64(7, key);
    stored_row(s, key, 8, CST_ROW_UPSERT, 1);
    stored_commit(s);
    for (uint64_t n = 1;; n++) {
        CHECK(n < 10000);
        lines.count = 0;
        nth_fail_at(n);
        code = csti_query(&options, &report, &err);
        if (!nth_end()) break;
        // The end of the pin may be what found none: nothing depends on it. Its begin may not know
        // what became of it.
        if (code != CST_NO_MEMORY && code != CST_OBJECT_AMBIGUOUS && code != CST_OK)
            TEST_FAIL("allocation %" PRIu64 ": %s: %s", n, cst_code_name(code), err.text);
    }
    CHECK_OK(code);
    CHECK_EQ(report.rows, 1);
    sink_free(&lines);
    stored_close(s);
}

TEST_MAIN
