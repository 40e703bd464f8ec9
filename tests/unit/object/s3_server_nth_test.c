#define _GNU_SOURCE 1 // strcasestr
#include "nth.h"

#include "unit/object/s3_server.h"

#include "object/ahead.h"

#define LIST                                                                                       \
    "<ListBucketResult><Contents><Key>p/a</Key><Size>3</Size></Contents></ListBucketResult>"

TEST(a_store_is_opened_or_not_whichever_allocation_fails) {
    cst_object_store *store = NULL;
    uint64_t n = 1;

    s3_environment();
    for (;; n++) {
        cst_code code;

        nth_fail_at(n);
        code = cst_object_store_open("s3://bkt/p?endpoint=http://127.0.0.1:1", NULL, &store, NULL);
        if (!nth_end()) break;
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK(!store);
    }
    CHECK(n > 4);
    cst_object_store_close(store);
}

static cst_code put(cst_object_store *store) {
    return put_text(store, "a", "abc", CST_PUT_IF_ABSENT, NULL, NULL);
}

static cst_code upload(cst_object_store *store) {
    cst_object_upload *one = NULL;
    cst_code code = cst_object_upload_open(store, "a", 1, &one, NULL);

    if (code != CST_OK) return code;
    code = cst_object_upload_write(one, "a", 1, NULL);
    if (code == CST_OK) code = cst_object_upload_refer(one, "bc", 2, NULL);
    if (code == CST_OK) return cst_object_upload_finish(one, NULL, NULL);
    cst_object_upload_abort(one);
    return code;
}

static cst_code get(cst_object_store *store) {
    cst_object_body body;
    const cst_code code = cst_object_get(store, "a", 0, UINT64_MAX, &body, NULL);

    if (code == CST_OK) cst_object_body_release(store, &body);
    return code;
}

static cst_code ahead(cst_object_store *store) {
    const csti_ahead_want want = {"a", 3, 1};
    csti_ahead *one = NULL;
    cst_object_body body;
    cst_code code = csti_ahead_open(store, &want, 1, &one, NULL);

    if (code == CST_OK) code = csti_ahead_body(one, 0, &body, NULL);
    if (code == CST_OK) CHECK_BYTES(body.bytes, "abc", 3);
    csti_ahead_close(one);
    return code;
}

static cst_code list(cst_object_store *store) {
    size_t count = 0;

    return cst_object_list(store, "", NULL, name_count, &count, NULL);
}

static cst_code sweep(cst_object_store *store) {
    return cst_object_sweep_uploads(store, NULL, NULL);
}

// The calls go through once nothing fails any more.
TEST(each_call_survives_its_nth_allocation) {
    static const s3_reply written = {"200 OK\r\nETag: \"e1\"", ""};
    static const s3_reply part = {"206 Partial\r\nETag: \"e1\"\r\nContent-Range: bytes 0-2/3",
                                  "abc"};
    static const s3_reply listed = {"200 OK", LIST};
    static const s3_reply uploads = {"200 OK", "<ListMultipartUploadsResult/>"};
    static const struct {
        cst_code (*call)(cst_object_store *store);
        const s3_reply *reply;
        uint64_t most; // allocations of ours that it takes
    } cases[] = {{put, &written, 1}, {upload, &written, 3}, {get, &part, 3},
                 {ahead, &part, 5},  {list, &listed, 2},    {sweep, &uploads, 2}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cst_object_store *store = s3_begin_within(cases[i].reply, 1, 2 * 1000 * 1000);
        uint64_t n = 1;

        for (;; n++) {
            cst_code code;

            nth_fail_at(n);
            code = cases[i].call(store);
            if (!nth_end()) {
                CHECK_OK(code);
                break;
            }
            CHECK_CODE(code, CST_NO_MEMORY);
        }
        CHECK(n <= cases[i].most + 1);
        s3_end(store);
    }
}

TEST_MAIN
