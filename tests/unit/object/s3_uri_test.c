#include "object/s3_buffers.h"
#include "object/s3_uri.h"

#include "test.h"

TEST(all_parts_of_a_uri_are_read) {
    csti_s3_uri uri;

    CHECK_OK(csti_s3_uri_parse("//my-bucket.1/a/b-c?endpoint=http://127.0.0.1:8480&region=eu-west-1"
                               "&style=virtual&profile=night%20shift&ca=/a%26b&proxy=http://p:1"
                               "&connections=7&payload=unsigned&upload_mib=32&http=2",
                               &uri, NULL));
    CHECK_TEXT(uri.bucket, "my-bucket.1");
    CHECK_TEXT(uri.prefix, "a/b-c");
    CHECK_TEXT(uri.endpoint, "http://127.0.0.1:8480");
    CHECK_TEXT(uri.region, "eu-west-1");
    CHECK_EQ(uri.style, CSTI_S3_VIRTUAL);
    CHECK_TEXT(uri.profile, "night shift");
    CHECK_TEXT(uri.ca, "/a&b");
    CHECK_TEXT(uri.proxy, "http://p:1");
    CHECK_EQ(uri.connections, 7);
    CHECK_EQ(uri.payload, CSTI_S3_PAYLOAD_UNSIGNED);
    CHECK_EQ(uri.upload_mib, 32);
    CHECK_EQ(uri.http, CSTI_S3_HTTP_2);
}

TEST(what_is_left_out_is_empty) {
    csti_s3_uri uri;

    CHECK_OK(csti_s3_uri_parse("//abc", &uri, NULL));
    CHECK_TEXT(uri.bucket, "abc");
    CHECK_TEXT(uri.prefix, "");
    CHECK_TEXT(uri.endpoint, "");
    CHECK_EQ(uri.style, CSTI_S3_STYLE_AUTO);
    CHECK_EQ(uri.connections, CSTI_S3_CONNECTIONS);
    CHECK_EQ(uri.upload_mib, CSTI_S3_BUFFERS_MIB);
    CHECK_OK(csti_s3_uri_parse("//abc/", &uri, NULL));
    CHECK_TEXT(uri.prefix, "");
    CHECK_OK(csti_s3_uri_parse("//abc/d/?style=path", &uri, NULL));
    CHECK_TEXT(uri.prefix, "d");
    CHECK_EQ(uri.style, CSTI_S3_PATH);
    CHECK_EQ(uri.payload, CSTI_S3_PAYLOAD_AUTO);
    CHECK_OK(csti_s3_uri_parse("//abc?payload=signed", &uri, NULL));
    CHECK_EQ(uri.payload, CSTI_S3_PAYLOAD_SIGNED);
    CHECK_EQ(uri.http, CSTI_S3_HTTP_AUTO);
    CHECK_OK(csti_s3_uri_parse("//abc?http=1.1", &uri, NULL));
    CHECK_EQ(uri.http, CSTI_S3_HTTP_1);
}

TEST(what_is_malformed_is_refused_and_named) {
    static const struct {
        const char *place;
        const char *why;
    } cases[] = {
        {"", "s3://BUCKET"},
        {"/abc", "s3://BUCKET"},
        {"//ab", "bucket"},
        {"//", "bucket"},
        {"//Abc", "bucket"},
        {"//a..b", "bucket"},
        {"//-abc", "bucket"},
        {"//abc.", "bucket"},
        {"//a_b_c", "bucket"},
        {"//0123456789012345678901234567890123456789012345678901234567890123", "bucket"},
        {"//key:secret@abc", "bucket"},
        {"//abc//d", "prefix"},
        {"//abc/.d", "prefix"},
        {"//abc/d%20", "prefix"},
        {"//abc?endpoint", "no '='"},
        {"//abc?endpoint=", "value"},
        {"//abc?region=a%0ab", "value"},
        {"//abc?region=a%2", "value"},
        {"//abc?region=a%zz", "value"},
        {"//abc?region=a&region=b", "twice"},
        {"//abc?endpoint=ftp://x", "endpoint"},
        {"//abc?endpoint=http://", "endpoint"},
        {"//abc?endpoint=http://x/y", "endpoint"},
        {"//abc?endpoint=http://u:p@x", "endpoint"},
        {"//abc?style=old", "style"},
        {"//abc?payload=maybe", "payload"},
        {"//abc?connections=0", "connections"},
        {"//abc?connections=257", "connections"},
        {"//abc?connections=1x", "connections"},
        {"//abc?upload_mib=15", "upload_mib"},
        {"//abc?upload_mib=65537", "upload_mib"},
        {"//abc?http=3", "http is 1.1 or 2"},
        {"//abc?secret_key=x", "AWS_SECRET_ACCESS_KEY"},
    };
    csti_s3_uri uri = {.bucket = "untouched"};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cst_err err = {0};

        CHECK_CODE(csti_s3_uri_parse(cases[i].place, &uri, &err), CST_OBJECT_NAME);
        if (!strstr(err.text, cases[i].why))
            TEST_FAIL("'%s': '%s' does not say %s", cases[i].place, err.text, cases[i].why);
    }
    CHECK_TEXT(uri.bucket, "untouched");
}

TEST(prefixes_have_a_bound) {
    char place[CSTI_S3_PREFIX_BYTES + 16] = "//abc/";
    csti_s3_uri uri;

    for (size_t i = 6; i < sizeof place - 1; i++) place[i] = i % 100 == 0 ? '/' : 'p';
    place[6 + CSTI_S3_PREFIX_BYTES - 1] = '\0';
    CHECK_OK(csti_s3_uri_parse(place, &uri, NULL));
    place[6 + CSTI_S3_PREFIX_BYTES - 1] = 'p';
    CHECK_CODE(csti_s3_uri_parse(place, &uri, NULL), CST_OBJECT_NAME);
}

TEST_MAIN
