#define _GNU_SOURCE 1 // strcasestr
#include "unit/object/s3_server.h"

#define ERROR(CODE) "<Error><Code>" CODE "</Code><Message>m</Message></Error>"
#define RESULT(INNER)                                                                              \
    "<DeleteResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>" INNER "</DeleteResult>"
#define GONE(NAME) "<Deleted><Key>p/" NAME "</Key></Deleted>"
#define STAYS(NAME, CODE)                                                                          \
    "<Error><Key>p/" NAME "</Key><Code>" CODE "</Code><Message>m</Message></Error>"

static const char *const names[] = {"a/1", "a/2", "a/3"};

static cst_code delete_three(cst_object_store *store) {
    return csti_object_delete_many(store, names, 3, NULL);
}

// ---- Many at once -------------------------------------------------------------------------------

TEST(many_are_deleted_by_one_request) {
    static const s3_reply replies[] = {{"200 OK", RESULT(GONE("a/1") GONE("a/2") GONE("a/3"))}};
    cst_object_store *store = s3_begin(replies);

    CHECK(csti_object_delete_count(store) > 3);
    CHECK_OK(delete_three(store));
    CHECK_EQ(s3_asked_count(), 1);
    CHECK_ASKED(0, "POST /bkt?delete= HTTP/1.1\r\n");
    CHECK_ASKED(0, "\r\ncontent-md5: XkH+A9IeNQYwKemY+KPvkw==\r\n");
    CHECK_ASKED(0, "\r\n\r\n<Delete><Object><Key>p/a/1</Key></Object><Object><Key>p/a/2</Key>"
                   "</Object><Object><Key>p/a/3</Key></Object></Delete>");
    s3_end(store);
}

TEST(what_the_answer_does_not_name_as_gone_is_deleted_alone) {
    static const s3_reply replies[] = {{"200 OK", RESULT(GONE("a/3") STAYS("a/1", "NoSuchKey")
                                                             STAYS("a/2", "InternalError"))},
                                       {"204 No Content", NULL}};
    static const s3_reply short_of_one[] = {{"200 OK", RESULT(GONE("a/2") GONE("a/1"))},
                                            {"204 No Content", NULL}};
    cst_object_store *store = s3_begin(replies);

    CHECK_OK(delete_three(store));
    CHECK_EQ(s3_asked_count(), 2);
    CHECK_ASKED(1, "DELETE /bkt/p/a/2 ");
    s3_end(store);
    store = s3_begin(short_of_one);
    CHECK_OK(delete_three(store));
    CHECK_EQ(s3_asked_count(), 2);
    CHECK_ASKED(1, "DELETE /bkt/p/a/3 ");
    s3_end(store);
}

TEST(a_name_that_may_not_be_deleted_is_named) {
    static const s3_reply replies[] = {{"200 OK", RESULT(GONE("a/1") STAYS("a/2", "AccessDenied")
                                                             GONE("a/3"))},
                                       {"403 No", ERROR("AccessDenied")}};
    cst_object_store *store = s3_begin(replies);
    cst_err err = {0};

    CHECK_CODE(csti_object_delete_many(store, names, 3, &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, "DELETE a/2: 403 AccessDenied"));
    s3_end(store);
}

TEST(a_server_without_it_is_asked_so_once) {
    static const s3_reply refusals[] = {{"501 No", ERROR("NotImplemented")},
                                        {"405 No", ERROR("MethodNotAllowed")},
                                        {"403 No", ERROR("AccessDenied")},
                                        {"200 OK", "<html>Welcome</html>"},
                                        {"200 OK", "welcome"}};

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const s3_reply replies[] = {refusals[i], {"204 No Content", NULL}};
        cst_object_store *store = s3_begin(replies);

        CHECK_OK(delete_three(store));
        CHECK_EQ(s3_asked_count(), 4);
        CHECK_ASKED(1, "DELETE /bkt/p/a/1 ");
        CHECK_ASKED(3, "DELETE /bkt/p/a/3 ");
        CHECK_EQ(csti_object_delete_count(store), 1);
        CHECK_OK(delete_three(store));
        CHECK_EQ(s3_asked_count(), 7);
        s3_end(store);
    }
}

TEST(a_server_that_is_away_is_no_server_without_it) {
    static const s3_reply busy[] = {{"503 Busy", ERROR("SlowDown")}};
    static const s3_reply no_bucket[] = {{"404 No", ERROR("NoSuchBucket")}};
    cst_object_store *store = s3_begin_short(busy);

    CHECK_CODE(delete_three(store), CST_OBJECT_UNAVAILABLE);
    CHECK(csti_object_delete_count(store) > 1);
    s3_end(store);
    store = s3_begin(no_bucket);
    CHECK_CODE(delete_three(store), CST_OBJECT_DENIED);
    CHECK_EQ(s3_asked_count(), 1);
    s3_end(store);
}

TEST_MAIN
