#define _GNU_SOURCE 1 // strcasestr
#include "unit/object/s3_server.h"

#define OURS "x-amz-meta-constellation-nonce: 0000000000000001"
#define OTHERS "x-amz-meta-constellation-nonce: 0000000000000002"
#define WRITTEN "200 OK\r\nETag: \"e1\""
#define HEAD_OF(NONCE) "200 OK\r\nETag: \"e1\"\r\nContent-Length: 5\r\n" NONCE
#define ERROR(CODE) "<Error><Code>" CODE "</Code><Message>m</Message></Error>"
#define TAKEN "412 Precondition Failed", ERROR("PreconditionFailed")

static cst_code put(cst_object_store *store, cst_put_condition condition, cst_object_info *out) {
    const cst_bytes range = {(const uint8_t *)"hello", 5};
    const cst_put_options options = {.condition = condition, .etag = "e0", .nonce = 1};

    return cst_object_put(store, "a/b", &range, 1, &options, out, NULL);
}

// ---- What is asked ------------------------------------------------------------------------------

TEST(a_put_is_signed_and_carries_condition_hash_and_nonce) {
    static const s3_reply replies[] = {{WRITTEN, ""}};
    cst_object_store *store = s3_begin(replies);
    cst_object_info info;

    CHECK_OK(put(store, CST_PUT_IF_ABSENT, &info));
    CHECK_EQ(info.bytes, 5);
    CHECK_EQ(info.nonce, 1);
    CHECK_TEXT(info.etag, "e1");
    CHECK_EQ(s3_asked_count(), 1);
    CHECK_ASKED(0, "PUT /bkt/p/a/b HTTP/1.1\r\n");
    CHECK_ASKED(0, "\r\nif-none-match: *\r\n");
    CHECK_ASKED(0, "\r\n" OURS "\r\n");
    CHECK_ASKED(0, "\r\nx-amz-content-sha256: "
                   "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n");
    CHECK_ASKED(0, "\r\nauthorization: AWS4-HMAC-SHA256 Credential=AK/");
    CHECK_ASKED(0, "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date;"
                   "x-amz-meta-constellation-nonce, Signature=");
    CHECK_ASKED(0, "\r\n\r\nhello");
    s3_end(store);
}

TEST(etags_are_compared_with_quotes_until_others_are_found) {
    static const s3_reply replies[] = {{WRITTEN, ""}};
    cst_object_store *store = s3_begin(replies);

    CHECK_OK(put(store, CST_PUT_IF_MATCH, NULL));
    CHECK_ASKED(0, "\r\nif-match: \"e0\"\r\n");
    CHECK(store->ops->match_other(store));
    CHECK_OK(put(store, CST_PUT_IF_MATCH, NULL));
    CHECK_ASKED(1, "\r\nif-match: e0\r\n");
    CHECK(!store->ops->match_other(store));
    CHECK_CODE(put(store, CST_PUT_IF_MATCH, NULL), CST_UNSUPPORTED);
    CHECK_EQ(s3_asked_count(), 2);
    s3_end(store);
}

TEST(a_bucket_may_stand_in_the_hosts_name_and_a_proxy_before_it) {
    static const s3_reply replies[] = {{WRITTEN, ""}};
    cst_object_store *store = s3_begin(replies);
    cst_object_store *proxied = NULL;
    char uri[160];

    (void)snprintf(uri, sizeof uri,
                   "s3://bkt/p?endpoint=http://s3.test&style=virtual&region=r-1"
                   "&proxy=http://127.0.0.1:%u",
                   s3_server.port);
    CHECK_OK(cst_object_store_open(uri, NULL, &proxied, NULL));
    CHECK_OK(put(proxied, CST_PUT_IF_ABSENT, NULL));
    CHECK_ASKED(0, "PUT http://bkt.s3.test/p/a/b HTTP/1.1\r\n");
    CHECK_ASKED(0, "\r\nHost: bkt.s3.test\r\n");
    CHECK_ASKED(0, "/r-1/s3/aws4_request");
    cst_object_store_close(proxied);
    s3_end(store);
}

// ---- Who wrote it -------------------------------------------------------------------------------

TEST(a_condition_that_failed_on_our_own_write_is_a_success) {
    static const s3_reply replies[] = {{TAKEN}, {HEAD_OF(OURS), NULL}};
    cst_object_store *store = s3_begin(replies);
    cst_object_info info;

    CHECK_OK(put(store, CST_PUT_IF_ABSENT, &info));
    CHECK_EQ(info.bytes, 5);
    CHECK_ASKED(1, "HEAD /bkt/p/a/b ");
    s3_end(store);
}

TEST(a_condition_that_failed_on_anothers_write_is_the_answer) {
    static const s3_reply replies[] = {{TAKEN},
                                       {HEAD_OF(OTHERS), NULL},
                                       {TAKEN},
                                       {HEAD_OF(OTHERS), NULL}};
    cst_object_store *store = s3_begin(replies);

    CHECK_CODE(put(store, CST_PUT_IF_ABSENT, NULL), CST_EXISTS);
    CHECK_CODE(put(store, CST_PUT_IF_MATCH, NULL), CST_OBJECT_CONFLICT);
    CHECK_EQ(s3_asked_count(), 4);
    s3_end(store);
}

TEST(a_lost_answer_is_settled_by_the_nonce) {
    static const s3_reply ours[] = {{NULL, NULL}, {TAKEN}, {HEAD_OF(OURS), NULL}};
    static const s3_reply others[] = {{NULL, NULL}, {TAKEN}, {HEAD_OF(OTHERS), NULL}};
    cst_object_store *store = s3_begin(ours);

    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    s3_end(store);
    store = s3_begin(others);
    CHECK_CODE(put(store, CST_PUT_IF_ABSENT, NULL), CST_EXISTS);
    s3_end(store);
    // Ours may have been there, and another put it on top.
    store = s3_begin(others);
    CHECK_CODE(put(store, CST_PUT_IF_MATCH, NULL), CST_OBJECT_AMBIGUOUS);
    s3_end(store);
}

TEST(what_cannot_be_settled_is_said_to_be_open) {
    static const s3_reply replies[] = {{"500 Oh", ERROR("InternalError")}};
    static const s3_reply silent[] = {{NULL, NULL}};
    cst_object_store *store = s3_begin_short(replies);

    CHECK_CODE(put(store, CST_PUT_IF_ABSENT, NULL), CST_OBJECT_AMBIGUOUS);
    CHECK(s3_asked_count() > 2);
    s3_end(store);
    store = s3_begin_short(silent);
    CHECK_CODE(put(store, CST_PUT_REPLACE, NULL), CST_OBJECT_AMBIGUOUS);
    CHECK_CODE(cst_object_delete(store, "a/b", NULL), CST_OBJECT_AMBIGUOUS);
    s3_end(store);
}

TEST(a_missing_object_is_a_conflict_for_if_match) {
    static const s3_reply replies[] = {{"404 No", ERROR("NoSuchKey")}};
    cst_object_store *store = s3_begin(replies);

    CHECK_CODE(put(store, CST_PUT_IF_MATCH, NULL), CST_OBJECT_CONFLICT);
    s3_end(store);
}

// ---- What is asked again ------------------------------------------------------------------------

TEST(a_server_that_fails_for_a_while_is_asked_again) {
    static const s3_reply replies[] = {{"500 Oh", ERROR("InternalError")},
                                       {"503 Busy", "<html>proxy</html>"},
                                       {WRITTEN, ""}};
    cst_object_store *store = s3_begin(replies);

    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_EQ(s3_asked_count(), 3);
    s3_end(store);
}

// libcurl itself asks again, on a connection of its own, and that one nobody takes.
TEST(what_was_sent_on_a_connection_that_was_kept_is_ambiguous_when_the_server_is_gone) {
    static const s3_reply replies[] = {{WRITTEN, ""}};
    cst_object_store *store = s3_begin_short(replies);

    atomic_store(&s3_server.leaves_at, 2);
    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_CODE(put(store, CST_PUT_IF_ABSENT, NULL), CST_OBJECT_AMBIGUOUS);
    CHECK_EQ(s3_asked_count(), 3);
    s3_end(store);
}

TEST(a_server_that_was_never_there_was_sent_nothing) {
    static const s3_reply replies[] = {{WRITTEN, ""}};
    cst_object_store *store = s3_begin_short(replies);

    (void)shutdown(s3_server.listener, SHUT_RDWR);
    CHECK_CODE(put(store, CST_PUT_IF_ABSENT, NULL), CST_OBJECT_UNAVAILABLE);
    s3_end(store);
}

TEST(a_slow_server_is_asked_less_at_once) {
    static const s3_reply replies[] = {{"503 Slow", ERROR("SlowDown")}, {WRITTEN, ""}};
    cst_object_store *store = s3_begin(replies);
    csti_s3_http *http = csti_s3_self(store)->http;

    CHECK_EQ(csti_s3_http_window(http), CSTI_S3_CONNECTIONS);
    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_EQ(csti_s3_http_window(http), CSTI_S3_CONNECTIONS / 2);
    for (int i = 0; i < 12; i++) CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_EQ(csti_s3_http_window(http), CSTI_S3_CONNECTIONS / 2 + 1);
    s3_end(store);
}

TEST(a_refusal_is_not_asked_again) {
    static const struct {
        s3_reply reply;
        cst_code code;
        const char *why;
    } cases[] = {
        {{"403 No", ERROR("AccessDenied")}, CST_OBJECT_DENIED, "403 AccessDenied"},
        {{"403 No", ERROR("SignatureDoesNotMatch")}, CST_OBJECT_DENIED, "SignatureDoesNotMatch"},
        {{"404 No", ERROR("NoSuchBucket")}, CST_OBJECT_DENIED, "Make the bucket"},
        {{"501 No", ERROR("NotImplemented")}, CST_OBJECT_REFUSED, "501 NotImplemented"},
        {{"507 Full", ERROR("QuotaExceeded")}, CST_IO, "QuotaExceeded"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
        cst_object_store *store = s3_begin_within(&cases[i].reply, 1, 1000 * 1000);
        cst_err err = {0};

        CHECK_CODE(cst_object_put(store, "a", NULL, 0, &absent, NULL, &err), cases[i].code);
        if (!strstr(err.text, cases[i].why)) TEST_FAIL("'%s': no %s", err.text, cases[i].why);
        CHECK_EQ(s3_asked_count(), 1);
        s3_end(store);
    }
}

TEST(a_store_without_conditions_is_refused_and_the_operation_named) {
    static const s3_reply replies[] = {{"501 No", ERROR("NotImplemented")}};
    cst_object_store *store = s3_begin(replies);
    cst_err err = {0};

    CHECK_CODE(cst_object_store_prove(store, &err), CST_OBJECT_REFUSED);
    CHECK(strstr(err.text, "PUT probe/"));
    s3_end(store);
}

// A text that ends a sentence has its advice already, for who prints it.
TEST(what_a_server_says_does_not_end_our_sentence) {
    static const s3_reply replies[] = {
        {"501 No", "<Error><Code>NotImplemented</Code><Message>No, sorry. </Message></Error>"}};
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    cst_object_store *store = s3_begin(replies);
    cst_err err = {0};
    const char *said;

    CHECK_CODE(cst_object_put(store, "a", NULL, 0, &absent, NULL, &err), CST_OBJECT_REFUSED);
    said = strstr(err.text, "501");
    CHECK_TEXT(said ? said : err.text, "501 NotImplemented: No, sorry");
    s3_end(store);
}

TEST(a_store_that_ignores_conditions_is_refused_and_the_operation_named) {
    static const s3_reply replies[] = {{WRITTEN, ""}};
    cst_object_store *store = s3_begin(replies);
    cst_err err = {0};

    CHECK_CODE(cst_object_store_prove(store, &err), CST_OBJECT_REFUSED);
    CHECK(strstr(err.text, "PUT with If-None-Match: *"));
    CHECK(!strstr(err.text, "Use a")); // that is the code's own advice
    s3_end(store);
}

TEST(a_right_that_misses_is_named) {
    static const s3_reply no_get[] = {{WRITTEN, ""}, {"403 No", ERROR("AccessDenied")}};
    static const s3_reply no_parts[] = {
        {WRITTEN, ""},
        {"200 OK\r\nETag: \"8da843ff65205a61374b09b81ed0fa35\"\r\n" OURS,
         "probe"}, // the etag is its MD5
        {"200 OK", "<ListBucketResult></ListBucketResult>"},
        {"200 OK", "<InitiateMultipartUploadResult><UploadId>i</UploadId>"
                   "</InitiateMultipartUploadResult>"},
        {"403 No", ERROR("AccessDenied")}};
    cst_object_store *store = s3_begin(no_get);
    cst_err err = {0};

    CHECK_CODE(cst_object_store_rights(store, &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, "s3:GetObject"));
    s3_end(store);
    store = s3_begin(no_parts);
    CHECK_CODE(cst_object_store_rights(store, &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, "s3:AbortMultipartUpload"));
    CHECK_ASKED(4, "?uploadId=i ");
    s3_end(store);
}

// ---- What is learnt -----------------------------------------------------------------------------

// What was learnt did not help: it is not learnt twice.
#define CHECK_GIVES_UP(REPLIES)                                                                    \
    do {                                                                                           \
        cst_object_store *stubborn = s3_begin(REPLIES);                                            \
                                                                                                   \
        CHECK_CODE(put(stubborn, CST_PUT_IF_ABSENT, NULL), CST_OBJECT_DENIED);                     \
        CHECK_EQ(s3_asked_count(), 2);                                                             \
        s3_end(stubborn);                                                                          \
    } while (0)

TEST(a_clock_that_is_wrong_is_set_by_the_servers_once) {
    static const s3_reply replies[] = {{"403 No\r\nDate: Wed, 01 Jan 2031 10:00:00 GMT",
                                        ERROR("RequestTimeTooSkewed")},
                                       {WRITTEN, ""}};
    static const s3_reply never[] = {
        {"403 No\r\nDate: Wed, 01 Jan 2031 10:00:00 GMT", ERROR("RequestTimeTooSkewed")}};
    cst_object_store *store = s3_begin(replies);

    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_ASKED(1, "\r\nx-amz-date: 20310101T1000");
    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_ASKED(2, "\r\nx-amz-date: 20310101T1000");
    s3_end(store);
    CHECK_GIVES_UP(never);
}

TEST(a_wrong_region_is_followed_once) {
    static const s3_reply by_header[] = {
        {"301 Moved\r\nx-amz-bucket-region: eu-west-1\r\nLocation: http://127.0.0.1:1/", ""},
        {WRITTEN, ""}};
    static const s3_reply by_body[] = {
        {"400 Bad", "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region>"
                    "</Error>"},
        {WRITTEN, ""}};
    static const s3_reply loop[] = {{"301 Moved\r\nx-amz-bucket-region: eu-west-1", ""},
                                    {"301 Moved\r\nx-amz-bucket-region: eu-west-2", ""}};
    cst_object_store *store = s3_begin(by_header);

    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_ASKED(0, "/us-east-1/s3/aws4_request");
    CHECK_ASKED(1, "/eu-west-1/s3/aws4_request");
    s3_end(store);
    store = s3_begin(by_body);
    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_ASKED(1, "/eu-west-2/s3/aws4_request");
    s3_end(store);
    CHECK_GIVES_UP(loop);
}

TEST(keys_that_are_over_are_fetched_anew_once) {
    static const s3_reply replies[] = {{WRITTEN, ""},
                                       {"400 Bad", ERROR("ExpiredToken")},
                                       {WRITTEN, ""},
                                       {"400 Bad", ERROR("ExpiredToken")}};
    cst_object_store *store = s3_begin(replies);

    CHECK_EQ(setenv("AWS_SESSION_TOKEN", "first", 1), 0);
    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_EQ(setenv("AWS_SESSION_TOKEN", "second", 1), 0);
    CHECK_OK(put(store, CST_PUT_IF_ABSENT, NULL));
    CHECK_ASKED(1, "\r\nx-amz-security-token: first\r\n");
    CHECK_ASKED(2, "\r\nx-amz-security-token: second\r\n");
    CHECK_CODE(put(store, CST_PUT_IF_ABSENT, NULL), CST_OBJECT_DENIED);
    CHECK_EQ(s3_asked_count(), 5);
    s3_end(store);
}

TEST_MAIN
