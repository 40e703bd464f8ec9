// Every system call of the folder store fails once, with each of several reasons.
#define _GNU_SOURCE 1 // nftw, F_OFD_SETLK
#include "unit/object/folder.h"
#include "unit/object/system_calls.h"

#include <linux/magic.h>

static const int errors[] = {EIO, ENOSPC, EACCES, EROFS, EDQUOT, EMFILE, ENOMEM};
enum { ERRORS_COUNT = sizeof errors / sizeof errors[0], CALLS_MAX = 200, BIG_BYTES = 100000 };

static char big[BIG_BYTES + 1];

static cst_code wanted_of(int error) {
    if (error == EACCES || error == EROFS) return CST_OBJECT_DENIED;
    return error == ENOMEM ? CST_NO_MEMORY : CST_IO;
}

// What a scenario does to a store that holds the object "there" with the text "old".
typedef cst_code (*scenario)(cst_object_store *store, cst_err *err);

static cst_code put_nested(cst_object_store *store, cst_err *err) {
    const cst_bytes range = {(const uint8_t *)"new", 3};
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};

    return cst_object_put(store, "a/b/new", &range, 1, &absent, NULL, err);
}

static cst_code upload_nested(cst_object_store *store, cst_err *err) {
    cst_object_upload *upload = NULL;
    cst_code code = cst_object_upload_open(store, "a/b/new", 1, &upload, err);

    if (code != CST_OK) return code;
    code = cst_object_upload_write(upload, "ne", 2, err);
    if (code == CST_OK) code = cst_object_upload_write(upload, "w", 1, err);
    if (code == CST_OK) return cst_object_upload_finish(upload, NULL, err);
    cst_object_upload_abort(upload);
    return code;
}

// Goes on after a failed write, as a careless caller would.
static cst_code upload_careless(cst_object_store *store, cst_err *err) {
    cst_object_upload *upload = NULL;
    cst_code code = cst_object_upload_open(store, "a/b/new", 1, &upload, err);
    cst_code first = CST_OK;

    if (code != CST_OK) return code;
    for (int i = 0; i < 3; i++) {
        code = cst_object_upload_write(upload, &"new"[i], 1, err);
        if (first == CST_OK) first = code;
    }
    code = cst_object_upload_finish(upload, NULL, first == CST_OK ? err : NULL);
    return first == CST_OK ? code : first;
}

static cst_code match(cst_object_store *store, cst_err *err) {
    const cst_bytes range = {(const uint8_t *)"new", 3};
    cst_put_options options = {.condition = CST_PUT_IF_MATCH};
    cst_object_info info;
    cst_code code = cst_object_head(store, "there", &info, err);

    options.etag = info.etag;
    if (code != CST_OK) return code;
    return cst_object_put(store, "there", &range, 1, &options, NULL, err);
}

static cst_code replace(cst_object_store *store, cst_err *err) {
    const cst_bytes range = {(const uint8_t *)"new", 3};
    const cst_put_options options = {.condition = CST_PUT_REPLACE};

    return cst_object_put(store, "there", &range, 1, &options, NULL, err);
}

// A store with one object, and room for failures.
static cst_object_store *store_make(const test_folder *folder) {
    cst_object_store *store = folder_store(folder);

    CHECK_OK(put_text(store, "there", "old", CST_PUT_IF_ABSENT, NULL, NULL));
    return store;
}

// The object holds what it did before, or what it should, and the code says which.
static void outcome_check(cst_object_store *store, const char *name, const char *before,
                          cst_code code, int error, const cst_err *err) {
    const bool placed = code == CST_OK || code == CST_OBJECT_AMBIGUOUS;
    cst_object_info info;

    if (placed)
        CHECK_OBJECT(store, name, "new");
    else if (before)
        CHECK_OBJECT(store, name, before);
    else
        CHECK_CODE(cst_object_head(store, name, &info, NULL), CST_NOT_FOUND);
    if (code == CST_OK) return;
    if (code != CST_OBJECT_AMBIGUOUS) CHECK_CODE(code, wanted_of(error));
    if (!strstr(err->text, name)) TEST_FAIL("does not name %s: %s", name, err->text);
    if (code == CST_OBJECT_AMBIGUOUS) CHECK_TEXT(calls_failed, "fsync_folder");
}

static void fail_each(scenario run, const char *name, const char *before) {
    for (size_t e = 0; e < ERRORS_COUNT; e++) {
        uint64_t n = 1;

        for (; n < CALLS_MAX; n++) {
            const test_folder folder = folder_make();
            cst_object_store *store = store_make(&folder);
            cst_err err = {0};
            uint64_t swept = 0;
            cst_code code;
            bool failed;

            calls_fail_at(n, errors[e]);
            code = run(store, &err);
            failed = calls_end();
            outcome_check(store, name, before, code, errors[e], &err);
            // Only a temporary whose own deletion failed may stay, and a sweep takes it.
            if (temporaries_count(&folder) > 0) CHECK_TEXT(calls_failed, "unlinkat");
            CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
            CHECK_EQ(temporaries_count(&folder), 0);
            cst_object_store_close(store);
            folder_remove(&folder);
            if (!failed) {
                CHECK_OK(code);
                break;
            }
        }
        CHECK(n > 5 && n < CALLS_MAX);
    }
}

TEST(a_put_that_fails_leaves_all_or_nothing) {
    fail_each(put_nested, "a/b/new", NULL);
}

TEST(an_upload_that_fails_leaves_all_or_nothing) {
    fail_each(upload_nested, "a/b/new", NULL);
}

TEST(a_failed_write_cannot_be_finished) {
    fail_each(upload_careless, "a/b/new", NULL);
}

TEST(a_put_if_match_that_fails_leaves_old_or_new) {
    fail_each(match, "there", "old");
}

TEST(a_replace_that_fails_leaves_old_or_new) {
    fail_each(replace, "there", "old");
}

// ---- Read and delete ----------------------------------------------------------------------------

static cst_code get_small(cst_object_store *store, cst_err *err) {
    cst_object_body body;
    const cst_code code = cst_object_get(store, "there", 0, UINT64_MAX, &body, err);

    if (code != CST_OK) return code;
    CHECK_BYTES(body.bytes, "old", 3);
    cst_object_body_release(store, &body);
    return CST_OK;
}

static cst_code get_big(cst_object_store *store, cst_err *err) {
    cst_object_body body;
    const cst_code code = cst_object_get(store, "big", 0, UINT64_MAX, &body, err);

    if (code != CST_OK) return code;
    CHECK_BYTES(body.bytes, big, BIG_BYTES);
    cst_object_body_release(store, &body);
    return CST_OK;
}

static cst_code list(cst_object_store *store, cst_err *err) {
    size_t count = 0;
    const cst_code code = cst_object_list(store, "", NULL, name_count, &count, err);

    if (code == CST_OK) CHECK_EQ(count, 3);
    return code;
}

static cst_code delete_big(cst_object_store *store, cst_err *err) {
    return cst_object_delete(store, "big", err);
}

static void fail_each_reader(scenario run, size_t calls_min) {
    const test_folder folder = folder_make();
    cst_object_store *store = store_make(&folder);

    memset(big, 'b', BIG_BYTES);
    CHECK_OK(put_text(store, "big", big, CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(put_text(store, "x/y/z", "deep", CST_PUT_IF_ABSENT, NULL, NULL));
    for (size_t e = 0; e < ERRORS_COUNT; e++) {
        uint64_t n = 1;

        for (; n < CALLS_MAX; n++) {
            cst_err err = {0};
            cst_code code;

            calls_fail_at(n, errors[e]);
            code = run(store, &err);
            if (!calls_end()) {
                CHECK_OK(code);
                break;
            }
            CHECK_CODE(code, wanted_of(errors[e]));
            CHECK(strstr(err.text, strerror(errors[e])));
        }
        CHECK(n > calls_min && n < CALLS_MAX);
    }
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(a_read_that_fails_says_why) {
    fail_each_reader(get_small, 2);
    fail_each_reader(get_big, 2);
    fail_each_reader(list, 3);
}

TEST(a_delete_that_fails_says_why) {
    fail_each_reader(delete_big, 1);
}

TEST(an_open_that_fails_says_why) {
    const test_folder folder = folder_make();
    char uri[256];

    (void)snprintf(uri, sizeof uri, "file:%s/store", folder.path);
    for (size_t e = 0; e < ERRORS_COUNT; e++)
        for (uint64_t n = 1; n < CALLS_MAX; n++) {
            cst_object_store *store = NULL;
            cst_err err = {0};
            cst_code code;

            calls_fail_at(n, errors[e]);
            code = cst_object_store_open(uri, NULL, &store, &err);
            if (calls_end() && code != CST_OK) {
                CHECK_CODE(code, wanted_of(errors[e]));
                CHECK(!store);
                continue;
            }
            CHECK_OK(code);
            cst_object_store_close(store);
            if (calls_failed[0] == '\0') break;
        }
    folder_remove(&folder);
}

// ---- Order --------------------------------------------------------------------------------------

static size_t place_in_log(const char *name, size_t from) {
    const char *found = strstr(calls_log + from, name);

    if (!found) TEST_FAIL("no %s behind byte %zu of: %s", name, from, calls_log);
    return (size_t)(found - calls_log);
}

TEST(an_object_is_durable_before_it_is_seen) {
    const test_folder folder = folder_make();
    cst_object_store *store = store_make(&folder);
    size_t at;

    calls_fail_at(0, 0);
    CHECK_OK(put_nested(store, NULL));
    at = place_in_log("write ", 0);
    at = place_in_log("fsync ", at);
    at = place_in_log("mkdirat ", at);
    at = place_in_log("fsync_folder ", at); // the folder a, in the root
    at = place_in_log("mkdirat ", at);
    at = place_in_log("fsync_folder ", at); // the folder b, in a
    at = place_in_log("linkat ", at);
    (void)place_in_log("fsync_folder ", at); // the object, in b

    calls_fail_at(0, 0);
    CHECK_OK(match(store, NULL));
    at = place_in_log("lock ", 0);
    at = place_in_log("lock ", at + 1); // the first was the temporary's own
    at = place_in_log("fsync ", at);
    at = place_in_log("renameat ", at);
    (void)place_in_log("fsync_folder ", at);
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(a_failed_fsync_is_never_tried_again) {
    const test_folder folder = folder_make();
    cst_object_store *store = store_make(&folder);
    uint64_t n = 1;

    for (; n < CALLS_MAX; n++) { // until the failing call is the file's fsync
        calls_fail_at(n, EIO);
        const cst_code code = put_nested(store, NULL);

        CHECK(calls_end());
        if (strcmp(calls_failed, "fsync") != 0) continue;
        CHECK_CODE(code, CST_IO);
        CHECK(!strstr(strstr(calls_log, "fsync ") + 1, "fsync "));
        CHECK(!strstr(calls_log, " linkat "));
        break;
    }
    CHECK(n < CALLS_MAX);
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(nothing_is_locked_but_match_and_delete) {
    const test_folder folder = folder_make();
    cst_object_store *store = store_make(&folder);
    char path[256];

    (void)snprintf(path, sizeof path, "%s/store/.lock", folder.path);
    CHECK_EQ(access(path, F_OK), -1);
    CHECK_OK(upload_nested(store, NULL));
    CHECK_OK(replace(store, NULL));
    CHECK_EQ(access(path, F_OK), -1);
    CHECK_OK(match(store, NULL));
    CHECK_EQ(access(path, F_OK), 0);
    cst_object_store_close(store);
    folder_remove(&folder);
}

// ---- File systems -------------------------------------------------------------------------------

TEST(network_file_systems_are_refused_unless_forced) {
    static const long networks[] = {NFS_SUPER_MAGIC, 0xfe534d42,       0xff534d42, 0x65735546,
                                    V9FS_MAGIC,      CEPH_SUPER_MAGIC, 0x0bd00bd0};
    const cst_object_store_options forced = {.allow_network_files = true};
    const test_folder folder = folder_make();
    cst_object_store *store = NULL;
    char uri[256];

    (void)snprintf(uri, sizeof uri, "file:%s/store", folder.path);
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        cst_err err = {0};

        calls_file_system = networks[i];
        CHECK_CODE(cst_object_store_open(uri, NULL, &store, &err), CST_OBJECT_REFUSED);
        CHECK(strstr(err.text, "local disk"));
        CHECK_OK(cst_object_store_open(uri, &forced, &store, NULL));
        cst_object_store_close(store);
    }
    calls_file_system = 0;
    CHECK_OK(cst_object_store_open(uri, NULL, &store, NULL));
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST_MAIN
