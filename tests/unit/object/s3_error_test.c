#include "object/s3_answer.h"
#include "object/s3_error.h"

#include "test.h"

TEST(status_and_code_say_what_is_wrong) {
    static const struct {
        long status;
        const char *code;
        csti_s3_fault fault;
        cst_code wanted;
    } cases[] = {
        {200, "", CSTI_S3_GOOD, CST_OK},
        {206, "", CSTI_S3_GOOD, CST_OK},
        {404, "NoSuchKey", CSTI_S3_ABSENT, CST_NOT_FOUND},
        {404, "NoSuchBucket", CSTI_S3_NO_BUCKET, CST_OBJECT_DENIED},
        {404, "NoSuchUpload", CSTI_S3_NO_UPLOAD, CST_NOT_FOUND},
        {404, "", CSTI_S3_MALFORMED, CST_OBJECT_UNAVAILABLE},
        {412, "PreconditionFailed", CSTI_S3_CONDITION, CST_OBJECT_CONFLICT},
        {412, "", CSTI_S3_CONDITION, CST_OBJECT_CONFLICT},
        {409, "ConditionalRequestConflict", CSTI_S3_CONFLICT, CST_OBJECT_UNAVAILABLE},
        {403, "AccessDenied", CSTI_S3_DENIED, CST_OBJECT_DENIED},
        {403, "SignatureDoesNotMatch", CSTI_S3_DENIED, CST_OBJECT_DENIED},
        {403, "RequestTimeTooSkewed", CSTI_S3_SKEW, CST_OBJECT_DENIED},
        {400, "ExpiredToken", CSTI_S3_EXPIRED, CST_OBJECT_DENIED},
        {400, "AuthorizationHeaderMalformed", CSTI_S3_REGION, CST_OBJECT_DENIED},
        {400, "RequestTimeout", CSTI_S3_TIMEOUT, CST_DEADLINE},
        {400, "BadDigest", CSTI_S3_CORRUPT, CST_OBJECT_UNAVAILABLE},
        {400, "InvalidArgument", CSTI_S3_DENIED, CST_OBJECT_DENIED},
        {400, "", CSTI_S3_MALFORMED, CST_OBJECT_UNAVAILABLE},
        {301, "PermanentRedirect", CSTI_S3_REGION, CST_OBJECT_DENIED},
        {307, "", CSTI_S3_REGION, CST_OBJECT_DENIED},
        {503, "SlowDown", CSTI_S3_THROTTLED, CST_OBJECT_UNAVAILABLE},
        {429, "", CSTI_S3_THROTTLED, CST_OBJECT_UNAVAILABLE},
        {500, "UnknownError", CSTI_S3_UNAVAILABLE, CST_OBJECT_UNAVAILABLE},
        {502, "", CSTI_S3_UNAVAILABLE, CST_OBJECT_UNAVAILABLE},
        {501, "NotImplemented", CSTI_S3_REFUSED, CST_OBJECT_REFUSED},
        {507, "", CSTI_S3_FULL, CST_IO},
        {403, "QuotaExceeded", CSTI_S3_FULL, CST_IO},
        {416, "InvalidRange", CSTI_S3_RANGE, CST_LIMIT},
        {100, "", CSTI_S3_MALFORMED, CST_OBJECT_UNAVAILABLE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const csti_s3_fault fault = csti_s3_fault_of(cases[i].status, cases[i].code, true);

        if (fault != cases[i].fault)
            TEST_FAIL("%ld %s is %d", cases[i].status, cases[i].code, fault);
        CHECK_CODE(csti_s3_fault_code(fault), cases[i].wanted);
    }
    // Answers to a HEAD have no body: their status alone counts.
    CHECK_EQ(csti_s3_fault_of(404, "", false), CSTI_S3_ABSENT);
    CHECK_EQ(csti_s3_fault_of(400, "", false), CSTI_S3_DENIED);
}

TEST(the_text_of_an_error_decides_nothing) {
    static const char body[] = "<Error><Code>SlowDown</Code><Message>PreconditionFailed NoSuchKey\n"
                               "</Message><Region>eu-west-1</Region></Error>";
    csti_s3_error error;

    csti_s3_error_read(body, sizeof body - 1, &error);
    CHECK_TEXT(error.code, "SlowDown");
    CHECK_TEXT(error.message, "PreconditionFailed NoSuchKey ");
    CHECK_TEXT(error.region, "eu-west-1");
    csti_s3_error_read("<html>404</html>", 16, &error);
    CHECK_TEXT(error.code, "");
    csti_s3_error_read("SlowDown", 8, &error);
    CHECK_TEXT(error.code, "");
    csti_s3_error_read(NULL, 0, &error);
    CHECK_TEXT(error.code, "");
}

// ---- Heads --------------------------------------------------------------------------------------

static void line(csti_s3_headers *to, const char *text) {
    csti_s3_answer_line(to, text, strlen(text));
}

TEST(headers_of_the_last_answer_count) {
    csti_s3_headers headers = {.length = 7};

    line(&headers, "HTTP/1.1 100 Continue\r\n");
    line(&headers, "ETag: \"old\"\r\n");
    line(&headers, "HTTP/1.1 200 OK\r\n");
    CHECK_TEXT(headers.etag, "");
    CHECK(headers.length == UINT64_MAX);
    line(&headers, "eTaG:  \"d41d8\" \r\n");
    line(&headers, "Content-Length: 12\r\n");
    line(&headers, "content-range: bytes 5-9/100\r\n");
    line(&headers, "X-Amz-Meta-Constellation-Nonce: 00000000000000fe\r\n");
    line(&headers, "x-amz-bucket-region:eu-west-1\r\n");
    line(&headers, "Date: Mon, 23 Nov 2026 03:00:00 GMT\r\n");
    line(&headers, "no colon\r\n");
    CHECK_TEXT(headers.etag, "d41d8");
    CHECK_EQ(headers.length, 12);
    CHECK_TEXT(headers.range, "bytes 5-9/100");
    CHECK_EQ(csti_s3_nonce_of(headers.nonce), 254);
    CHECK_TEXT(headers.region, "eu-west-1");
    CHECK_TEXT(headers.date, "Mon, 23 Nov 2026 03:00:00 GMT");
}

TEST(headers_that_are_out_of_bounds_are_passed_over) {
    char text[400] = "etag: ";
    csti_s3_headers headers = {.length = UINT64_MAX};

    memset(text + 6, 'e', sizeof text - 7);
    line(&headers, text);
    CHECK_TEXT(headers.etag, "");
    line(&headers, "etag: a\x01z");
    CHECK_TEXT(headers.etag, "");
    line(&headers, "content-length: -1");
    line(&headers, "content-length: 99999999999999999999");
    line(&headers, "content-length: 1e3");
    line(&headers, "content-length:");
    CHECK(headers.length == UINT64_MAX);
    CHECK_EQ(csti_s3_nonce_of("00000000000000FE"), 0);
    CHECK_EQ(csti_s3_nonce_of("fe"), 0);
}

TEST(ranges_are_read_or_refused) {
    static const char *const bad[] = {"",
                                      "bytes */100",
                                      "bytes 5-9",
                                      "bytes 9-5/100",
                                      "bytes 5-/9",
                                      "bytes -5/9",
                                      "bytes 5-9/9",
                                      "items 5-9/100",
                                      "bytes 5/9-1",
                                      "bytes 5-9/1x",
                                      "bytes 5-9/100 "};
    uint64_t first, last, total;

    CHECK(csti_s3_range_read("bytes 5-9/100", &first, &last, &total));
    CHECK_EQ(first, 5);
    CHECK_EQ(last, 9);
    CHECK_EQ(total, 100);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (csti_s3_range_read(bad[i], &first, &last, &total)) TEST_FAIL("'%s' is taken", bad[i]);
}

TEST_MAIN
