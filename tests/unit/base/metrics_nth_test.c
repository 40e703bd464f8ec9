// Every allocation of the metrics fails once.
#include "nth.h"

#include "base/metrics.h"
#include "test.h"

// Enough for a second chunk of the arena.
static cst_code fill(csti_metrics *metrics, cst_err *err) {
    cst_code code = CST_OK;

    for (int i = 0; i < 400 && code == CST_OK; i++) {
        char labels[32];
        csti_metric *metric = NULL;

        (void)snprintf(labels, sizeof labels, "i=\"%d\"", i);
        code = csti_metrics_register(metrics, CSTI_METRIC_HISTOGRAM, "constellation_align_rows",
                                     "Help.", labels, &metric, err);
    }
    return code;
}

static cst_code use(csti_metrics **out, csti_buffer *text, cst_err *err) {
    cst_code code = csti_metrics_open(out, err);

    if (code == CST_OK) code = fill(*out, err);
    if (code == CST_OK) code = csti_metrics_write(*out, text, err);
    if (code == CST_OK) code = csti_metrics_write_json(*out, text, err);
    return code;
}

TEST(metrics_without_memory_are_as_before) {
    uint64_t n;

    for (n = 1;; n++) {
        csti_metrics *metrics = NULL;
        csti_buffer text;
        cst_err err = {0};
        cst_code code;

        csti_buffer_init(&text, 16 << 20);
        nth_fail_at(n);
        code = use(&metrics, &text, &err);
        if (!nth_end()) {
            CHECK_OK(code);
            csti_metrics_close(metrics);
            csti_buffer_release(&text);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK(err.text[0] != 0);
        if (metrics) { // goes on where it stopped
            CHECK_OK(fill(metrics, NULL));
            CHECK_OK(csti_metrics_write(metrics, &text, NULL));
        }
        csti_metrics_close(metrics);
        csti_buffer_release(&text);
    }
    CHECK(n > 5);
}

TEST_MAIN
