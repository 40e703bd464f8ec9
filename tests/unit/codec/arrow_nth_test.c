// arrow_nth_test.c: when an allocation fails, import and export refuse and change nothing.
#include "nth.h"
#include "test.h"

#include <constellation/arrow.h>

#include "unit/codec/random_batch.h"

TEST(a_failed_allocation_leaves_everything_with_the_caller) {
    for (uint64_t n = 1;; n++) {
        random_batch random = {.schema = {.columns_count = 1}};
        struct ArrowSchema schema = {.release = NULL};
        struct ArrowArray array = {.release = NULL};
        cst_arrow_batch *imported = NULL;
        random.schema.columns[0] = (cst_column){.type = CST_TYPE_BOOL};
        random_batch_fill(&random, 9);
        nth_fail_at(n);
        cst_code code = cst_arrow_schema_export(&random.schema, &schema, NULL);
        CHECK_EQ(code == CST_OK, schema.release != NULL);
        if (code == CST_OK) {
            code = cst_arrow_export(&random.batch, &array, NULL);
            CHECK_EQ(code == CST_OK, array.release != NULL);
        }
        if (code == CST_OK) {
            code = cst_arrow_import(&schema, &array, &random.schema, &imported, NULL);
            CHECK_EQ(code == CST_OK, imported != NULL);
            CHECK_EQ(code == CST_OK, array.release == NULL);
        }
        const bool failed = nth_end();
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        cst_arrow_batch_free(imported);
        if (array.release) array.release(&array);
        if (schema.release) schema.release(&schema);
        random_batch_free(&random);
        if (!failed) {
            CHECK_EQ(n, 4); // two for the exports, one for the import
            return;
        }
    }
}

TEST_MAIN
