#define _GNU_SOURCE 1 // nftw
#include "nth.h"

#include "object/sim.h"
#include "unit/object/folder.h"

enum { BIG_BYTES = 100000 };

static char big[BIG_BYTES];

// ---- Each call, with its Nth allocation failing -------------------------------------------------

static cst_code put(cst_object_store *store, cst_put_condition condition) {
    const cst_bytes range = {(const uint8_t *)"new", 3};
    const cst_put_options options = {.condition = condition};

    return cst_object_put(store, "n/new", &range, 1, &options, NULL, NULL);
}

static cst_code upload(cst_object_store *store) {
    cst_object_upload *one = NULL;
    cst_code code = cst_object_upload_open(store, "n/new", 1, &one, NULL);

    if (code != CST_OK) return code;
    code = cst_object_upload_write(one, big, sizeof big, NULL);
    if (code == CST_OK) return cst_object_upload_finish(one, NULL, NULL);
    cst_object_upload_abort(one);
    return code;
}

static cst_code get(cst_object_store *store, const char *name, uint64_t offset) {
    cst_object_body body;
    const cst_code code = cst_object_get(store, name, offset, UINT64_MAX, &body, NULL);

    if (code == CST_OK) cst_object_body_release(store, &body);
    return code;
}

static cst_code list(cst_object_store *store) {
    size_t count = 0;

    return cst_object_list(store, "", NULL, name_count, &count, NULL);
}

// Runs CALL until no allocation fails; every failure must be CST_NO_MEMORY and change nothing.
#define FAIL_EACH(CALL)                                                                            \
    do {                                                                                           \
        const size_t nth_objects = objects_count(store);                                           \
        cst_code nth_code;                                                                         \
                                                                                                   \
        for (uint64_t n = 1;; n++) {                                                               \
            nth_fail_at(n);                                                                        \
            nth_code = (CALL);                                                                     \
            if (!nth_end()) break;                                                                 \
            CHECK_CODE(nth_code, CST_NO_MEMORY);                                                   \
            CHECK_EQ(objects_count(store), nth_objects);                                           \
        }                                                                                          \
        CHECK_OK(nth_code);                                                                        \
    } while (0)

static void fail_each_call(cst_object_store *store) {
    const cst_bytes range = {(const uint8_t *)big, sizeof big};
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};

    CHECK_OK(put_text(store, "there", "old", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(cst_object_put(store, "a/b/big", &range, 1, &absent, NULL, NULL));
    FAIL_EACH(put(store, CST_PUT_IF_ABSENT));
    CHECK_OK(cst_object_delete(store, "n/new", NULL));
    FAIL_EACH(put(store, CST_PUT_REPLACE));
    CHECK_OK(cst_object_delete(store, "n/new", NULL));
    FAIL_EACH(upload(store));
    FAIL_EACH(get(store, "there", 0));
    FAIL_EACH(get(store, "a/b/big", 0));
    FAIL_EACH(get(store, "a/b/big", 7));
    FAIL_EACH(list(store));
    CHECK_OBJECT(store, "there", "old");
}

TEST(file_survives_its_nth_allocation) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);

    fail_each_call(store);
    CHECK_EQ(temporaries_count(&folder), 0);
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(sim_survives_its_nth_allocation) {
    cst_object_store *store = NULL;

    CHECK_OK(cst_object_store_open("sim:", NULL, &store, NULL));
    fail_each_call(store);
    cst_object_store_close(store);
}

static void open_each(const char *uri) {
    cst_object_store *store = NULL;
    uint64_t n = 1;

    for (;; n++) {
        cst_code code;

        nth_fail_at(n);
        code = cst_object_store_open(uri, NULL, &store, NULL);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK(!store);
    }
    CHECK(n > 3);
    cst_object_store_close(store);
}

TEST(open_survives_its_nth_allocation) {
    const test_folder folder = folder_make();
    char uri[256];

    (void)snprintf(uri, sizeof uri, "file:%s/store", folder.path);
    open_each(uri);
    open_each("sim:?seed=1");
    folder_remove(&folder);
}

TEST_MAIN
