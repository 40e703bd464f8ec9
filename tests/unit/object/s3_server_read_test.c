#define _GNU_SOURCE 1 // strcasestr
#include "unit/object/s3_server.h"

#define ERROR(CODE) "<Error><Code>" CODE "</Code><Message>m</Message></Error>"
#define PART(RANGE) "206 Partial\r\nETag: \"e1\"\r\nContent-Range: bytes " RANGE
#define NONCE "x-amz-meta-constellation-nonce: 0000000000000001"
#define WHOLE(MD5) "200 OK\r\nETag: \"" MD5 "\"\r\n" NONCE
#define MD5_OF_HELLO "5d41402abc4b2a76b9719d911017c592"
#define MD5_OF_NOTHING "d41d8cd98f00b204e9800998ecf8427e"
#define LIST_OF(ENTRIES) "<ListBucketResult>" ENTRIES "</ListBucketResult>"
#define ENTRY(KEY) "<Contents><Key>" KEY "</Key><Size>3</Size><ETag>&quot;e&quot;</ETag></Contents>"

static cst_code get(cst_object_store *store, uint64_t offset, uint64_t count, cst_err *err) {
    cst_object_body body;
    const cst_code code = cst_object_get(store, "a", offset, count, &body, err);

    if (code == CST_OK) cst_object_body_release(store, &body);
    return code;
}

// ---- Bodies -------------------------------------------------------------------------------------

TEST(a_body_is_asked_for_by_its_range) {
    static const s3_reply replies[] = {{PART("2-4/9"), "llo"}};
    cst_object_store *store = s3_begin(replies);
    cst_object_body body;

    CHECK_OK(cst_object_get(store, "a", 2, 3, &body, NULL));
    CHECK_EQ(body.count, 3);
    CHECK_BYTES(body.bytes, "llo", 3);
    CHECK_EQ(body.info.bytes, 9);
    CHECK_TEXT(body.info.etag, "e1");
    CHECK_ASKED(0, "\r\nrange: bytes=2-4\r\n");
    cst_object_body_release(store, &body);
    s3_end(store);
}

TEST(a_body_that_is_cut_is_read_again) {
    static const s3_reply replies[] = {{PART("0-4/5") "\r\nContent-Length: 5", "he"},
                                       {PART("0-4/5"), "hello"}};
    cst_object_store *store = s3_begin(replies);

    CHECK_OK(get(store, 0, 5, NULL));
    CHECK_EQ(s3_asked_count(), 2);
    s3_end(store);
}

TEST(a_whole_body_is_asked_for_without_a_range) {
    static const s3_reply replies[] = {{WHOLE(MD5_OF_HELLO), "hello"}, {WHOLE(MD5_OF_NOTHING), ""}};
    cst_object_store *store = s3_begin(replies);

    CHECK(object_is(store, "a", "hello"));
    CHECK(!s3_asked(0, "\r\nrange:"));
    CHECK(object_is(store, "a", ""));
    CHECK_EQ(s3_asked_count(), 2);
    s3_end(store);
}

TEST(a_whole_that_may_be_anybodys_is_asked_for_by_its_range) {
    static const s3_reply replies[][2] = {
        {{"200 OK\r\nETag: \"" MD5_OF_HELLO "\"", "hello"}, {PART("0-4/5"), "hello"}}, // a page
        {{WHOLE(MD5_OF_HELLO), "hell"}, {PART("0-4/5"), "hello"}},                     // not all
        {{WHOLE(MD5_OF_HELLO "-2"), "hello"}, {PART("0-4/5"), "hello"}},
        {{PART("0-4/5") "\r\n" NONCE, "hello"}, {PART("0-4/5"), "hello"}},
    };

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        cst_object_store *store = s3_begin(replies[i]);

        CHECK(object_is(store, "a", "hello"));
        CHECK(!s3_asked(0, "\r\nrange:"));
        CHECK_ASKED(1, "\r\nrange: bytes=0-1048575\r\n");
        CHECK(object_is(store, "a", "hello")); // it has learnt
        CHECK_EQ(s3_asked_count(), 3);
        s3_end(store);
    }
}

// Whatever an answer says, no byte is taken for another.
TEST(a_body_that_was_not_asked_for_is_refused) {
    static const s3_reply replies[] = {
        {PART("1-5/9"), "ello "},                         // from elsewhere
        {PART("0-3/9"), "hell"},                          // less than there is
        {PART("0-4/9"), "hello world"},                   // more than it says
        {"206 Partial\r\nETag: \"e1\"", "hello"},         // from where?
        {"200 OK\r\nETag: \"e1\"", "hello"},              // the whole, they say
        {"200 OK", "<html>welcome</html>"},               // a page
        {"206 Partial\r\nContent-Range: bytes 0-4/5", ""} // nothing, and of no version
    };

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        cst_object_store *store = s3_begin_within(&replies[i], 1, 400 * 1000);

        CHECK_CODE(get(store, 0, 5, NULL), CST_OBJECT_UNAVAILABLE);
        s3_end(store);
    }
}

TEST(behind_the_end_a_head_says_where_that_is) {
    static const s3_reply replies[] = {{"416 Range", ERROR("InvalidRange")},
                                       {"200 OK\r\nETag: \"e1\"\r\nContent-Length: 5", NULL}};
    cst_object_store *store = s3_begin(replies);
    cst_err err = {0};

    CHECK_CODE(get(store, 6, 1, &err), CST_LIMIT);
    CHECK(strstr(err.text, "has 5 bytes"));
    s3_end(store);
    store = s3_begin(replies);
    CHECK_OK(get(store, 5, 1, NULL));
    s3_end(store);
}

// ---- What is absent -----------------------------------------------------------------------------

TEST(a_bucket_that_misses_is_no_absent_object) {
    static const s3_reply no_key[] = {{"404 No", NULL}, {"200 OK", NULL}};
    static const s3_reply no_bucket[] = {{"404 No", NULL}};
    static const s3_reply says[] = {{"404 No", ERROR("NoSuchBucket")}};
    static const s3_reply key_says[] = {{"404 No", ERROR("NoSuchKey")}};
    cst_object_info info;
    cst_object_store *store = s3_begin(no_key);

    CHECK_CODE(cst_object_head(store, "a", &info, NULL), CST_NOT_FOUND);
    CHECK_ASKED(1, "HEAD /bkt HTTP");
    s3_end(store);
    store = s3_begin(no_bucket);
    CHECK_CODE(cst_object_head(store, "a", &info, NULL), CST_OBJECT_DENIED);
    s3_end(store);
    store = s3_begin(says);
    CHECK_CODE(get(store, 0, 5, NULL), CST_OBJECT_DENIED);
    CHECK_CODE(cst_object_list(store, "", NULL, name_count, NULL, NULL), CST_OBJECT_DENIED);
    s3_end(store);
    store = s3_begin(key_says);
    CHECK_CODE(get(store, 0, 5, NULL), CST_NOT_FOUND);
    s3_end(store);
}

TEST(a_page_of_somebody_else_is_no_absent_object) {
    static const s3_reply replies[] = {{"404 Not Found", "<html><body>404</body></html>"}};
    cst_object_store *store = s3_begin_short(replies);

    CHECK_CODE(get(store, 0, 5, NULL), CST_OBJECT_UNAVAILABLE);
    s3_end(store);
}

TEST(a_server_that_drips_is_given_up_by_the_deadline) {
    static const s3_reply replies[] = {{PART("0-4/5"), "hello"}};
    cst_object_store *store = s3_begin_short(replies);

    atomic_store(&s3_server.drip_ms, 20);
    CHECK_CODE(get(store, 0, 5, NULL), CST_DEADLINE);
    s3_end(store);
}

TEST(a_redirect_is_followed_nowhere) {
    static const s3_reply replies[] = {
        {"307 Go\r\nLocation: http://127.0.0.1:1/", ERROR("TemporaryRedirect")}};
    cst_object_store *store = s3_begin(replies);

    CHECK_CODE(get(store, 0, 5, NULL), CST_OBJECT_DENIED);
    CHECK_EQ(s3_asked_count(), 1);
    s3_end(store);
}

TEST(a_server_that_is_away_is_unavailable) {
    static const s3_reply replies[] = {{NULL, NULL}};
    cst_object_store *store = s3_begin_short(replies);
    cst_err err = {0};

    (void)shutdown(s3_server.listener, SHUT_RDWR);
    CHECK_EQ(pthread_join(s3_server.thread, NULL), 0);
    (void)close(s3_server.listener);
    CHECK_CODE(get(store, 0, 5, &err), CST_OBJECT_UNAVAILABLE);
    CHECK(strstr(err.text, "no answer"));
    cst_object_store_close(store);
}

// ---- Lists --------------------------------------------------------------------------------------

TEST(a_list_goes_on_where_its_page_says) {
    static const s3_reply replies[] = {
        {"200 OK", LIST_OF("<IsTruncated>true</IsTruncated>" ENTRY("p/a") ENTRY(
                       "p/b%2Fc") "<NextContinuationToken>a+/=&amp;</NextContinuationToken>")},
        {"200 OK", LIST_OF("<IsTruncated>false</IsTruncated>" ENTRY("p/b%20c") ENTRY("p/d"))}};
    cst_object_store *store = s3_begin(replies);
    name_list names = {0};

    // Theirs, "b c", is no name of ours; and it stands in front of b/c: the list is not in order.
    CHECK_CODE(cst_object_list(store, "", NULL, name_list_add, &names, NULL),
               CST_OBJECT_UNAVAILABLE);
    CHECK_EQ(names.count, 2);
    CHECK_TEXT(names.names[1], "b/c");
    CHECK_ASKED(0, "GET /bkt?encoding-type=url&list-type=2&prefix=p%2F HTTP");
    CHECK_ASKED(1, "GET /bkt?continuation-token=a%2B%2F%3D%26&encoding-type=url&list-type=2&"
                   "prefix=p%2F HTTP");
    s3_end(store);
}

TEST(a_list_passes_over_what_is_not_ours) {
    static const s3_reply replies[] = {
        {"200 OK", LIST_OF(ENTRY("p/") ENTRY("p/.x") ENTRY("p/a") ENTRY("p/b%20c") ENTRY("p/d//e")
                               ENTRY("p/z"))}};
    cst_object_store *store = s3_begin(replies);
    name_list names = {0};

    CHECK_OK(cst_object_list(store, "", "_0", name_list_add, &names, NULL));
    CHECK_ASKED(0, "&start-after=p%2F_0 ");
    CHECK_EQ(names.count, 2);
    CHECK_TEXT(names.names[0], "a");
    CHECK_TEXT(names.names[1], "z");
    s3_end(store);
}

// Whoever deletes what a list shows must not be shown what he did not ask for.
TEST(a_list_of_more_than_was_asked_for_is_cut_to_that) {
    static const s3_reply replies[] = {
        {"200 OK",
         LIST_OF(ENTRY("o/x") ENTRY("p#b") ENTRY("p/c/1") ENTRY("p/c/2") ENTRY("p/d") ENTRY("q"))}};
    cst_object_store *store = s3_begin(replies);
    name_list names = {0};

    CHECK_OK(cst_object_list(store, "c/", "c/1", name_list_add, &names, NULL));
    CHECK_EQ(names.count, 1);
    CHECK_TEXT(names.names[0], "c/2");
    s3_end(store);
}

TEST(a_list_that_is_none_is_refused) {
    static const s3_reply replies[] = {
        {"200 OK", "<html><body>welcome</body></html>"},
        {"200 OK", "<!DOCTYPE a [<!ENTITY b \"bb\">]><ListBucketResult>&b;</ListBucketResult>"},
        {"200 OK", LIST_OF(ENTRY("p/b") ENTRY("p/a"))},
        {"200 OK", LIST_OF(ENTRY("p/b") ENTRY("p/b"))},
        {"200 OK", LIST_OF(ENTRY("p/b") "<IsTruncated>true</IsTruncated>")},
        {"200 OK", LIST_OF("<IsTruncated>true</IsTruncated><NextContinuationToken>t"
                           "</NextContinuationToken>")},
        {"200 OK", LIST_OF("<Contents><Key>p/%zz</Key></Contents>")},
        {"200 OK", LIST_OF("<Contents><Key>p/a</Key><Size>-1</Size></Contents>")},
        {"200 OK", "<ListBucketResult><Contents><Key>p/a"},
    };

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        cst_object_store *store = s3_begin_within(&replies[i], 1, 400 * 1000);
        name_list names = {0};

        CHECK_CODE(cst_object_list(store, "", NULL, name_list_add, &names, NULL),
                   CST_OBJECT_UNAVAILABLE);
        s3_end(store);
    }
}

// ---- Uploads in parts ---------------------------------------------------------------------------

#define UPLOAD(ID, BEGUN)                                                                          \
    "<Upload><Key>p/u</Key><UploadId>" ID "</UploadId><Initiated>" BEGUN                           \
    "T10:00:00.000Z</Initiated></Upload>"

TEST(only_uploads_that_began_a_day_ago_are_swept) {
    static const s3_reply replies[] = {
        {"200 OK\r\nDate: Wed, 01 Jan 2031 10:00:00 GMT",
         "<ListMultipartUploadsResult>" UPLOAD("new", "2030-12-31") UPLOAD("old", "2030-12-30")
             UPLOAD("newer", "2031-01-01") "</ListMultipartUploadsResult>"},
        {"204 No Content", NULL}};
    static const s3_reply gone[] = {{"200 OK\r\nDate: Wed, 01 Jan 2031 10:00:01 GMT",
                                     "<ListMultipartUploadsResult>" UPLOAD(
                                         "old", "2030-12-31") "</ListMultipartUploadsResult>"},
                                    {"404 No", ERROR("NoSuchUpload")}};
    cst_object_store *store = s3_begin(replies);
    uint64_t swept = 0;

    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(s3_asked_count(), 3); // 31 December, at the same minute, is a day ago as well
    CHECK_EQ(swept, 2);
    CHECK_ASKED(1, "DELETE /bkt/p/u?uploadId=new ");
    CHECK_ASKED(2, "DELETE /bkt/p/u?uploadId=old ");
    s3_end(store);
    store = s3_begin(gone);
    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(swept, 1);
    s3_end(store);
}

TEST_MAIN
