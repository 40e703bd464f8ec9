// conformance.c: the cases of every object store, on a real S3 server: CST_S3_STORE is its URI.
#define FIXTURE_IS_A_BUCKET
#include "unit/object/objects.h"

#include "object/s3_request.h"

// A prefix of its own for each case.
static cst_object_store *fixture_open(void) {
    const char *place = getenv("CST_S3_STORE"); // "s3://BUCKET?…", the bucket is there
    const char *question = place ? strchr(place, '?') : NULL;
    cst_object_store *store = NULL;
    cst_object_info info;
    cst_err err = {0};
    char uri[512];

    CHECK(question);
    (void)snprintf(uri, sizeof uri, "%.*s/%s-%d%s", (int)(question - place), place, test_case_now,
                   (int)getpid(), question);
    if (cst_object_store_open(uri, NULL, &store, &err) != CST_OK) TEST_FAIL("%s", err.text);
    // The form of etags, which proving would find.
    CHECK_OK(put_text(store, "form", "1", CST_PUT_IF_ABSENT, NULL, &info));
    while (put_text(store, "form", "2", CST_PUT_IF_MATCH, info.etag, NULL) != CST_OK)
        CHECK(store->ops->match_other(store));
    CHECK_OK(cst_object_delete(store, "form", NULL));
    return store;
}

static bool remove_visited(void *context, const char *name, const cst_object_info *info) {
    (void)info;
    CHECK_OK(cst_object_delete(context, name, NULL));
    return true;
}

static void fixture_close(cst_object_store *store) {
    CHECK_OK(cst_object_list(store, "", NULL, remove_visited, store, NULL));
    cst_object_store_close(store);
}

#include "unit/object/conformance.h"

// ---- What only a bucket has ---------------------------------------------------------------------

TEST(an_upload_in_parts_is_read_back_in_ranges) {
    enum { BYTES = (20 << 20) + 12345 };
    uint8_t *bytes = malloc(BYTES);
    cst_object_store *store = fixture_open();
    cst_object_upload *upload = NULL;
    cst_object_info info;
    cst_object_body body;
    uint64_t swept = 99;

    CHECK(bytes);
    for (size_t i = 0; i < BYTES; i++) bytes[i] = (uint8_t)(i * 2654435761U >> 13);
    CHECK_OK(csti_s3_probe(store, "probe", NULL)); // parts go by what the server is seen to check
    CHECK_OK(cst_object_upload_open(store, "u", 7, &upload, NULL));
    for (size_t at = 0; at < BYTES;) {
        const size_t more = BYTES - at < 1000003 ? BYTES - at : 1000003;

        CHECK_OK(cst_object_upload_write(upload, bytes + at, more, NULL));
        at += more;
    }
    CHECK_EQ(objects_count(store), 0);
    CHECK_OK(cst_object_upload_finish(upload, &info, NULL));
    CHECK_EQ(info.bytes, BYTES);
    CHECK_EQ(info.nonce, 7);
    CHECK_OK(cst_object_get(store, "u", 0, UINT64_MAX, &body, NULL));
    CHECK_EQ(body.count, BYTES);
    CHECK_BYTES(body.bytes, bytes, 4096);
    CHECK(memcmp(body.bytes, bytes, BYTES) == 0);
    cst_object_body_release(store, &body);
    CHECK_OK(cst_object_get(store, "u", 1234567, 17 << 20, &body, NULL));
    CHECK_EQ(body.count, 17 << 20);
    CHECK(memcmp(body.bytes, bytes + 1234567, body.count) == 0);
    cst_object_body_release(store, &body);

    // A second one is refused, and one that is given up leaves nothing.
    CHECK_OK(cst_object_upload_open(store, "u", 8, &upload, NULL));
    CHECK_OK(cst_object_upload_write(upload, bytes, BYTES, NULL));
    CHECK_CODE(cst_object_upload_finish(upload, NULL, NULL), CST_EXISTS);
    CHECK_OK(cst_object_upload_open(store, "v", 9, &upload, NULL));
    CHECK_OK(cst_object_upload_write(upload, bytes, BYTES, NULL));
    cst_object_upload_abort(upload);
    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(swept, 0);
    CHECK_EQ(objects_count(store), 1);
    free(bytes);
    fixture_close(store);
}

TEST(a_list_of_many_pages_is_whole) {
    enum { COUNT = 23 };
    cst_object_store *store = fixture_open();

    for (int i = 0; i < COUNT; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "l/%06d", i);
        CHECK_OK(put_text(store, name, "x", CST_PUT_REPLACE, NULL, NULL));
    }
    for (uint32_t keys = 1; keys < COUNT; keys += 6) {
        size_t count = 0;

        csti_s3_self(store)->page_keys = keys;
        CHECK_OK(cst_object_list(store, "l/", "l/000002", name_count, &count, NULL));
        CHECK_EQ(count, COUNT - 3);
    }
    csti_s3_self(store)->page_keys = 0;
    fixture_close(store);
}

TEST(a_wrong_secret_is_denied) {
    const char *right = getenv("AWS_SECRET_ACCESS_KEY");
    cst_object_store *store = fixture_open();
    cst_object_store *other = NULL;
    char kept[256];
    cst_object_body body;
    cst_err err = {0};

    CHECK_OK(put_text(store, "a", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK(right && strlen(right) < sizeof kept);
    memcpy(kept, right, strlen(right) + 1);
    CHECK_EQ(setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1), 0);
    CHECK_OK(cst_object_store_open(cst_object_store_uri(store), NULL, &other, NULL));
    CHECK_CODE(cst_object_get(other, "a", 0, 1, &body, &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, " 403 ")); // SignatureDoesNotMatch or AccessDenied
    cst_object_store_close(other);
    CHECK_EQ(setenv("AWS_SECRET_ACCESS_KEY", kept, 1), 0);
    fixture_close(store);
}

TEST(a_bucket_that_is_not_there_is_denied) {
    const char *place = getenv("CST_S3_STORE");
    cst_object_store *store = NULL;
    cst_object_info info;
    char uri[512];

    CHECK(place && strchr(place, '?'));
    (void)snprintf(uri, sizeof uri, "s3://no-such-bucket/p%s", strchr(place, '?'));
    CHECK_OK(cst_object_store_open(uri, NULL, &store, NULL));
    CHECK_CODE(cst_object_head(store, "a", &info, NULL), CST_OBJECT_DENIED);
    CHECK_CODE(cst_object_list(store, "", NULL, name_count, NULL, NULL), CST_OBJECT_DENIED);
    CHECK_CODE(put_text(store, "a", "x", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_DENIED);
    cst_object_store_close(store);
}

TEST(an_owner_has_all_rights) {
    cst_object_store *store = fixture_open();

    CHECK_OK(cst_object_store_rights(store, NULL));
    CHECK_EQ(objects_count(store), 0);
    fixture_close(store);
}

TEST_MAIN
