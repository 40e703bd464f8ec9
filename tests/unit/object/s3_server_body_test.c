#define _GNU_SOURCE 1 // strcasestr
#include "unit/object/s3_server.h"

#define ERROR(CODE) "<Error><Code>" CODE "</Code><Message>m</Message></Error>"
#define WRITTEN                                                                                    \
    { "200 OK\r\nETag: \"e1\"", "" }
#define BAD_HASH                                                                                   \
    { "400 Bad", ERROR("XAmzContentSHA256Mismatch") }
#define BAD_CRC                                                                                    \
    { "400 Bad", ERROR("BadDigest") }
#define TAKEN                                                                                      \
    { "412 Precondition Failed", ERROR("PreconditionFailed") }
#define BEGUN                                                                                      \
    {                                                                                              \
        "200 OK", "<InitiateMultipartUploadResult><UploadId>i</UploadId>"                          \
                  "</InitiateMultipartUploadResult>"                                               \
    }
#define COMPLETED                                                                                  \
    { "200 OK", "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>" }
#define GONE                                                                                       \
    { "204 No Content", NULL }
#define BOTH_GONE                                                                                  \
    {                                                                                              \
        "200 OK", "<DeleteResult><Deleted><Key>p/f/body</Key></Deleted>"                           \
                  "<Deleted><Key>p/f/upload</Key></Deleted></DeleteResult>"                        \
    }

#define HASH_OF_PROBE "ba9c736f19e7f60b7f6764adb0b7908c0a2b394e09b6c09863528c7f2bc86095"
#define SIGNED(HASH) "\r\nx-amz-content-sha256: " HASH "\r\n"
#define UNSIGNED_WITH(CRC)                                                                         \
    "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-checksum-crc32c: " CRC "\r\n"
#define CRC_OF_PROBE "VUeiOA==" // by another program
#define NOT_CRC_OF_PROBE "qrhdxw=="

static const char *findings_of(cst_object_store *store) {
    static char text[512];

    cst_object_store_findings(store, text, sizeof text);
    return text;
}

static void check_found(cst_object_store *store, const char *wanted) {
    if (!strstr(findings_of(store), wanted))
        TEST_FAIL("'%s' does not say '%s'", findings_of(store), wanted);
}

// ---- What a server looks at ---------------------------------------------------------------------

TEST(a_server_that_refuses_a_wrong_crc32c_gets_large_bodies_with_it) {
    static const s3_reply replies[] = {BAD_HASH, WRITTEN, BAD_CRC, WRITTEN, WRITTEN,  BEGUN,
                                       BAD_CRC,  WRITTEN, TAKEN,   GONE,    BOTH_GONE};
    cst_object_store *store = s3_begin(replies);

    CHECK_OK(csti_s3_probe(store, "f", NULL));
    CHECK_EQ(s3_asked_count(), 11);
    CHECK_ASKED(0, "PUT /bkt/p/f/body ");
    CHECK(!s3_asked(0, HASH_OF_PROBE));
    CHECK_ASKED(1, SIGNED(HASH_OF_PROBE));
    CHECK_ASKED(2, UNSIGNED_WITH(NOT_CRC_OF_PROBE));
    CHECK_ASKED(3, UNSIGNED_WITH(CRC_OF_PROBE));
    CHECK_ASKED(3, "SignedHeaders=host;x-amz-checksum-crc32c;x-amz-content-sha256;x-amz-date,");
    CHECK_ASKED(5, "\r\nx-amz-checksum-algorithm: CRC32C\r\n");
    CHECK_ASKED(6, UNSIGNED_WITH(NOT_CRC_OF_PROBE));
    CHECK_ASKED(7, UNSIGNED_WITH(CRC_OF_PROBE));
    CHECK_ASKED(8, "<ChecksumCRC32C>" CRC_OF_PROBE "</ChecksumCRC32C></Part>");
    CHECK_ASKED(8, "\r\nif-none-match: *\r\n");
    CHECK_ASKED(9, "DELETE /bkt/p/f/upload?uploadId=i ");
    CHECK_ASKED(10, "POST /bkt?delete= ");
    CHECK_EQ(csti_s3_self(store)->large, CSTI_S3_CRC32C);
    CHECK_EQ(csti_s3_self(store)->complete_condition, CSTI_S3_HONOURED);
    check_found(store, "go with a CRC32C, which is checked");
    check_found(store, "also when an upload is completed");
    check_found(store, "many are deleted at once");
    s3_end(store);
}

TEST(a_server_that_takes_a_wrong_crc32c_gets_signed_bodies) {
    static const s3_reply replies[] = {BAD_HASH, WRITTEN, WRITTEN,   WRITTEN,
                                       BEGUN,    WRITTEN, COMPLETED, BOTH_GONE};
    cst_object_store *store = s3_begin(replies);

    CHECK_OK(csti_s3_probe(store, "f", NULL));
    CHECK_EQ(s3_asked_count(), 8);
    CHECK(!s3_asked(4, "x-amz-checksum-algorithm"));
    CHECK_ASKED(5, SIGNED(HASH_OF_PROBE));
    CHECK(!s3_asked(6, "ChecksumCRC32C"));
    CHECK_EQ(csti_s3_self(store)->large, CSTI_S3_SIGNED);
    CHECK_EQ(csti_s3_self(store)->complete_condition, CSTI_S3_PASSED_OVER);
    check_found(store, "are signed, which is checked");
    check_found(store, "passed over when an upload is completed, and not relied on");
    s3_end(store);
}

// The parts of an upload are looked at by others than whole objects.
TEST(a_server_that_looks_at_objects_alone_gets_signed_bodies) {
    static const s3_reply takes_all[] = {BAD_HASH, WRITTEN, BAD_CRC, WRITTEN,   WRITTEN,
                                         BEGUN,    WRITTEN, WRITTEN, COMPLETED, BOTH_GONE};
    static const s3_reply takes_none[] = {BAD_HASH, WRITTEN,
                                          BAD_CRC,  WRITTEN,
                                          WRITTEN,  BEGUN,
                                          BAD_CRC,  {"400 Bad", ERROR("InvalidRequest")},
                                          GONE,     BEGUN,
                                          WRITTEN,  COMPLETED,
                                          BOTH_GONE};
    cst_object_store *store = s3_begin(takes_all);

    CHECK_OK(csti_s3_probe(store, "f", NULL));
    CHECK_EQ(s3_asked_count(), 10);
    CHECK_EQ(csti_s3_self(store)->large, CSTI_S3_SIGNED);
    s3_end(store);
    store = s3_begin(takes_none);
    CHECK_OK(csti_s3_probe(store, "f", NULL));
    CHECK_EQ(s3_asked_count(), 13);
    CHECK_EQ(csti_s3_self(store)->large, CSTI_S3_SIGNED);
    CHECK_EQ(csti_s3_self(store)->complete_condition, CSTI_S3_PASSED_OVER);
    s3_end(store);
}

TEST(where_somebody_may_be_between_no_body_goes_unsigned) {
    static const s3_reply replies[] = {
        WRITTEN, WRITTEN, BEGUN, WRITTEN, {"501 No", ERROR("NotImplemented")}, GONE, BOTH_GONE};
    cst_object_store *store = s3_begin(replies);

    csti_s3_self(store)->may_be_unsigned = false;
    CHECK_OK(csti_s3_probe(store, "f", NULL));
    CHECK_EQ(s3_asked_count(), 7);
    for (size_t i = 0; i < s3_asked_count(); i++) CHECK(!s3_asked(i, "UNSIGNED-PAYLOAD"));
    CHECK_EQ(csti_s3_self(store)->large, CSTI_S3_SIGNED);
    check_found(store, "are signed, and nobody checks them");
    check_found(store, "declined when an upload is completed, and not relied on");
    s3_end(store);
}

TEST(who_may_be_between_is_seen_by_the_place) {
    static const struct {
        const char *more;
        bool may;
    } cases[] = {
        {"endpoint=https://s3.test", true},
        {"endpoint=https://s3.test&payload=signed", false},
        {"endpoint=http://s3.test", false},
        {"endpoint=http://s3.test&payload=unsigned", true},
        {"endpoint=http://10.0.0.1:80", false},
        {"endpoint=http://127.0.0.1:80", true},
        {"endpoint=http://127.0.0.1", true},
        {"endpoint=http://localhost:80", true},
        {"endpoint=http://[::1]:80", true},
        {"endpoint=http://127.0.0.1:80&payload=signed", false},
        {"endpoint=http://127.0.0.1:80&proxy=http://10.0.0.1:80", false},
        {"endpoint=http://127.0.0.1:80&style=virtual", false},
        {"endpoint=http://127.0.0.1.s3.test", false},
        {"endpoint=http://localhost.s3.test", false},
        {"region=eu-west-1", true},
    };

    s3_environment();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cst_object_store *store = NULL;
        char uri[256];

        (void)snprintf(uri, sizeof uri, "s3://bkt?%s", cases[i].more);
        CHECK_OK(cst_object_store_open(uri, NULL, &store, NULL));
        if (csti_s3_self(store)->may_be_unsigned != cases[i].may) TEST_FAIL("%s", uri);
        cst_object_store_close(store);
    }
    CHECK_EQ(setenv("http_proxy", "http://10.0.0.1:80", 1), 0);
    cst_object_store *store = NULL;
    CHECK_OK(cst_object_store_open("s3://bkt?endpoint=http://127.0.0.1:80", NULL, &store, NULL));
    CHECK(!csti_s3_self(store)->may_be_unsigned);
    cst_object_store_close(store);
    CHECK_EQ(unsetenv("http_proxy"), 0);
}

// ---- What is sent then --------------------------------------------------------------------------

TEST(small_bodies_are_signed_whatever_the_server_checks) {
    static const s3_reply replies[] = {WRITTEN};
    static uint8_t bytes[CSTI_S3_SIGNED_BYTES_MAX + 1];
    cst_bytes range = {bytes, CSTI_S3_SIGNED_BYTES_MAX};
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    cst_object_store *store = s3_begin(replies);

    memset(bytes, 'x', sizeof bytes);
    csti_s3_self(store)->large = CSTI_S3_CRC32C;
    CHECK_OK(cst_object_put(store, "a", &range, 1, &absent, NULL, NULL));
    CHECK_ASKED(0, SIGNED("1f8745f0d2d1387ec1af2211a3cf417b2e9e885e853472649c1d979d0e9370e3"));
    range.count = sizeof bytes;
    CHECK_OK(cst_object_put(store, "a", &range, 1, &absent, NULL, NULL));
    CHECK_ASKED(1, UNSIGNED_WITH("unrwZg=="));
    s3_end(store);
}

TEST(a_body_that_changed_on_its_way_is_sent_again) {
    static const s3_reply replies[] = {BAD_CRC, WRITTEN};
    static uint8_t bytes[CSTI_S3_SIGNED_BYTES_MAX + 1];
    const cst_bytes ranges[] = {{bytes, 1}, {bytes + 1, sizeof bytes - 1}};
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    cst_object_store *store = s3_begin(replies);

    memset(bytes, 'x', sizeof bytes);
    csti_s3_self(store)->large = CSTI_S3_CRC32C;
    CHECK_OK(cst_object_put(store, "a", ranges, 2, &absent, NULL, NULL));
    CHECK_EQ(s3_asked_count(), 2);
    CHECK_ASKED(1, UNSIGNED_WITH("unrwZg=="));
    s3_end(store);
}

TEST_MAIN
