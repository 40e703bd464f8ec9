#include "object/s3_sign.h"

#include "test.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// The last 64 digits of what is signed.
static const char *signature_of(const csti_s3_signer *signer, const csti_s3_signing *signing) {
    static char text[1024];
    const char *at;

    CHECK_OK(csti_s3_authorization(signer, signing, text, sizeof text, NULL));
    at = strstr(text, "Signature=");
    CHECK(at);
    return at + strlen("Signature=");
}

// ---- Amazon's published suite (aws-sig-v4-test-suite) -------------------------------------------

typedef struct suite_case {
    const char *method;
    const char *path; // not encoded
    csti_s3_pair query[2];
    size_t query_count;
    csti_s3_pair headers[2];
    size_t headers_count;
    const char *signature;
} suite_case;

static const suite_case suite[] = {
    {"GET",
     "/",
     {{0}},
     0,
     {{0}},
     0, // get-vanilla
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"POST",
     "/",
     {{0}},
     0,
     {{0}},
     0, // post-vanilla
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"GET",
     "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     {{0}},
     0,
     {{0}},
     0, // get-unreserved
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"GET",
     "/\xe1\x88\xb4",
     {{0}},
     0,
     {{0}},
     0, // get-utf8
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"GET",
     "/",
     {{"Param2", "value2"}, {"Param1", "value1"}},
     2,
     {{0}},
     0, // get-vanilla-query-order-key-case
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"GET",
     "/",
     {{"Param1", "value2"}, {"Param1", "value1"}},
     2,
     {{0}},
     0, // get-vanilla-query-order-value
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    {"GET",
     "/",
     {{"\xe1\x88\xb4", "bar"}},
     1,
     {{0}},
     0, // get-vanilla-utf8-query
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"GET",
     "/",
     {{0}},
     0,
     {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\" "}},
     2, // get-header-value-trim
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
};

TEST(the_published_suite_is_signed_as_it_says) {
    static const char time[] = "20150830T123600Z";
    csti_s3_signer signer;

    CHECK_OK(csti_s3_signer_make(SECRET, time, "us-east-1", "service", &signer, NULL));
    CHECK_TEXT(signer.scope, "20150830/us-east-1/service");
    for (size_t i = 0; i < sizeof suite / sizeof suite[0]; i++) {
        csti_s3_pair headers[4] = {{"x-amz-date", time}, {"host", "example.amazonaws.com"}};
        csti_s3_signing signing = {.method = suite[i].method,
                                   .headers = headers,
                                   .headers_count = 2 + suite[i].headers_count,
                                   .payload = EMPTY,
                                   .time = time,
                                   .access = "AKIDEXAMPLE"};
        char path[512];
        char query[512];

        (void)csti_s3_encode(suite[i].path, true, path, sizeof path);
        CHECK_OK(csti_s3_query(suite[i].query, suite[i].query_count, query, sizeof query, NULL));
        for (size_t j = 0; j < suite[i].headers_count; j++) headers[2 + j] = suite[i].headers[j];
        signing.path = path;
        signing.query = query;
        CHECK_TEXT(signature_of(&signer, &signing), suite[i].signature);
    }
}

// ---- S3's own examples --------------------------------------------------------------------------

typedef struct s3_case {
    const char *method;
    const char *path;
    csti_s3_pair query[3];
    size_t query_count;
    csti_s3_pair headers[3];
    size_t headers_count;
    const char *body;
    const char *signature;
} s3_case;

// The first four are in the S3 API's manual, Authenticating Requests; the last two were signed by
// botocore 1.43.
static const s3_case s3_cases[] = {
    {"GET",
     "/test.txt",
     {{0}},
     0,
     {{"range", "bytes=0-9"}},
     1,
     "",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT",
     "/test$file.text",
     {{0}},
     0,
     {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
     2,
     "Welcome to Amazon S3.",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET",
     "/",
     {{"lifecycle", ""}},
     1,
     {{0}},
     0,
     "",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET",
     "/",
     {{"prefix", "J"}, {"max-keys", "2"}},
     2,
     {{0}},
     0,
     "",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    {"PUT",
     "/a b/\xc3\xbc+~(1)*&%=?",
     {{0}},
     0,
     {{"x-amz-meta-constellation-nonce", "00000000000000ff"},
      {"if-none-match", "*"},
      {"x-amz-security-token", "FQoGZXIvYXdzEXAMPLE//TOKEN="}},
     3,
     "hello",
     "08106f28e2e9d53fd64a9da2429f92254247feda91afb580ccee0020460166db"},
    {"GET",
     "/",
     {{"prefix", "\xc3\xbc x/"}, {"list-type", "2"}, {"continuation-token", "a+b/c=="}},
     3,
     {{0}},
     0,
     "",
     "3d605083b4768a78597eb5c8c74b73e85ea5a9f453017cc109717ad802861c2a"},
};

TEST(requests_to_s3_are_signed_as_its_manual_says) {
    static const char time[] = "20130524T000000Z";
    csti_s3_signer signer;

    CHECK_OK(csti_s3_signer_make("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", time, "us-east-1",
                                 "s3", &signer, NULL));
    for (size_t i = 0; i < sizeof s3_cases / sizeof s3_cases[0]; i++) {
        const s3_case *one = &s3_cases[i];
        const cst_bytes body = {(const uint8_t *)one->body, strlen(one->body)};
        char payload[CSTI_S3_HASH_BYTES];
        csti_s3_pair headers[6] = {{"host", "examplebucket.s3.amazonaws.com"},
                                   {"x-amz-date", time},
                                   {"x-amz-content-sha256", payload}};
        csti_s3_signing signing = {.method = one->method,
                                   .headers = headers,
                                   .headers_count = 3 + one->headers_count,
                                   .payload = payload,
                                   .time = time,
                                   .access = "AKIAIOSFODNN7EXAMPLE"};
        char path[512];
        char query[512];

        CHECK_OK(csti_s3_hash(&body, 1, payload, NULL));
        (void)csti_s3_encode(one->path, true, path, sizeof path);
        CHECK_OK(csti_s3_query(one->query, one->query_count, query, sizeof query, NULL));
        for (size_t j = 0; j < one->headers_count; j++) headers[3 + j] = one->headers[j];
        signing.path = path;
        signing.query = query;
        CHECK_TEXT(signature_of(&signer, &signing), one->signature);
    }
}

// ---- Parts --------------------------------------------------------------------------------------

TEST(a_body_in_ranges_has_the_hash_of_the_whole) {
    const cst_bytes whole = {(const uint8_t *)"abc", 3};
    const cst_bytes cut[] = {{(const uint8_t *)"a", 1}, {NULL, 0}, {(const uint8_t *)"bc", 2}};
    char once[CSTI_S3_HASH_BYTES];
    char again[CSTI_S3_HASH_BYTES];

    CHECK_OK(csti_s3_hash(&whole, 1, once, NULL));
    CHECK_OK(csti_s3_hash(cut, 3, again, NULL));
    CHECK_TEXT(once, again);
    CHECK_TEXT(once, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_OK(csti_s3_hash(NULL, 0, once, NULL));
    CHECK_TEXT(once, EMPTY);
}

TEST(times_are_utc) {
    char text[CSTI_S3_TIME_BYTES];

    csti_s3_time(INT64_C(1440938160) * 1000000 + 999999, text);
    CHECK_TEXT(text, "20150830T123600Z");
}

TEST(names_of_a_query_sort_before_their_continuations) {
    const csti_s3_pair pairs[] = {{"a-b", "1"}, {"a", "2"}, {"a", ""}};
    char query[64];

    CHECK_OK(csti_s3_query(pairs, 3, query, sizeof query, NULL));
    CHECK_TEXT(query, "a=&a=2&a-b=1");
}

TEST(what_does_not_fit_is_an_error) {
    static char long_text[5000];
    const csti_s3_pair pair = {"n", long_text};
    csti_s3_signer signer;
    char out[16];

    memset(long_text, '/', sizeof long_text - 1);
    CHECK_CODE(csti_s3_query(&pair, 1, out, sizeof out, NULL), CST_LIMIT);
    CHECK_CODE(csti_s3_query(&(csti_s3_pair){"name", "longer than that"}, 1, out, sizeof out, NULL),
               CST_LIMIT);
    CHECK_EQ(csti_s3_encode("a/b", false, out, 4), 5);
    CHECK_CODE(csti_s3_signer_make(long_text, "20150830T123600Z", "r", "s3", &signer, NULL),
               CST_LIMIT);
    CHECK_CODE(csti_s3_signer_make("s", "20150830T123600Z", long_text, "s3", &signer, NULL),
               CST_LIMIT);
}

TEST_MAIN
