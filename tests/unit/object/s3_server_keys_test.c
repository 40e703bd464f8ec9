#define _GNU_SOURCE 1 // strcasestr, mkdtemp, nftw
#include "unit/object/folder.h"
#include "unit/object/s3_server.h"

#define WRITTEN "200 OK\r\nETag: \"e1\""
#define STS(END)                                                                                   \
    "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"      \
    "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASTS</AccessKeyId>"                \
    "<SecretAccessKey>ssts</SecretAccessKey><SessionToken>tsts</SessionToken><Expiration>" END     \
    "</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"                                \
    "</AssumeRoleWithWebIdentityResponse>"
#define JSON(ACCESS, END)                                                                          \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" ACCESS "\",\"SecretAccessKey\":\"sj\","             \
    "\"Token\":\"tj\",\"Expiration\":\"" END "\"}"
#define FAR "2099-01-01T00:00:00Z"
#define PAST "2001-01-01T00:00:00Z"

// A store whose keys come from the server itself, by `variable`, a URL of it with `path`.
static cst_object_store *begin(const s3_reply *replies, size_t count, const char *variable,
                               const char *path) {
    cst_object_store *store = s3_begin_within(replies, count, 2 * 1000 * 1000);
    char url[128];

    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", s3_server.port, path);
    CHECK_EQ(unsetenv("AWS_ACCESS_KEY_ID"), 0);
    CHECK_EQ(unsetenv("AWS_EC2_METADATA_DISABLED"), 0);
    CHECK_EQ(unsetenv("AWS_ENDPOINT_URL_STS"), 0);
    CHECK_EQ(unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE"), 0);
    CHECK_EQ(unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"), 0);
    CHECK_EQ(unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"), 0);
    CHECK_EQ(setenv(variable, url, 1), 0);
    return store;
}
#define BEGIN(REPLIES, VARIABLE, PATH)                                                             \
    begin(REPLIES, sizeof(REPLIES) / sizeof(REPLIES)[0], VARIABLE, PATH)

static cst_code put(cst_object_store *store, cst_err *err) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT};

    return cst_object_put(store, "a", NULL, 0, &options, NULL, err);
}

static void token_write(const test_folder *folder, const char *text) {
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/token", folder->path);
    file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1), 0);
    CHECK_EQ(setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1), 0);
}

TEST(a_web_identity_is_changed_into_keys) {
    static const s3_reply replies[] = {{"200 OK", STS(FAR)}, {WRITTEN, ""}};
    const test_folder folder = folder_make();
    cst_object_store *store = BEGIN(replies, "AWS_ENDPOINT_URL_STS", "/");

    token_write(&folder, "a.b+c\n");
    CHECK_OK(put(store, NULL));
    CHECK_OK(put(store, NULL));
    CHECK_EQ(s3_asked_count(), 3);
    CHECK_ASKED(0, "POST / HTTP");
    CHECK_ASKED(0, "\r\n\r\nAction=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole"
                   "%2Fr&RoleSessionName=constellation&Version=2011-06-15&"
                   "WebIdentityToken=a.b%2Bc");
    CHECK_ASKED(1, "Credential=ASTS/");
    CHECK_ASKED(1, "\r\nx-amz-security-token: tsts\r\n");
    s3_end(store);
    folder_remove(&folder);
}

TEST(a_containers_keys_are_read) {
    static const s3_reply replies[] = {{"200 OK", JSON("ACON", FAR)}, {WRITTEN, ""}};
    cst_object_store *store = BEGIN(replies, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "/get?x=1");

    CHECK_EQ(setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret", 1), 0);
    CHECK_OK(put(store, NULL));
    CHECK_ASKED(0, "GET /get?x=1 HTTP");
    CHECK_ASKED(0, "\r\nAuthorization: secret\r\n");
    CHECK_ASKED(1, "Credential=ACON/");
    s3_end(store);
    CHECK_EQ(unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"), 0);
}

TEST(a_machines_role_is_asked_for_with_a_token) {
    static const s3_reply replies[] = {{"200 OK", "TOKEN=="},
                                       {"200 OK", "the-role\n"},
                                       {"200 OK", JSON("AMAC", FAR)},
                                       {WRITTEN, ""}};
    cst_object_store *store = BEGIN(replies, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "");

    CHECK_OK(put(store, NULL));
    CHECK_ASKED(0, "PUT /latest/api/token HTTP");
    CHECK_ASKED(0, "\r\nX-aws-ec2-metadata-token-ttl-seconds: ");
    CHECK_ASKED(1, "GET /latest/meta-data/iam/security-credentials/ HTTP");
    CHECK_ASKED(1, "\r\nX-aws-ec2-metadata-token: TOKEN==\r\n");
    CHECK_ASKED(2, "GET /latest/meta-data/iam/security-credentials/the-role HTTP");
    CHECK_ASKED(3, "Credential=AMAC/");
    s3_end(store);
}

// Keys that are nearly over are fetched anew; those that serve stay.
TEST(keys_are_fetched_again_before_they_end) {
    static const s3_reply replies[] = {{"200 OK", JSON("AOLD", PAST)},
                                       {WRITTEN, ""},
                                       {"200 OK", JSON("ANEW", FAR)},
                                       {WRITTEN, ""}};
    cst_object_store *store = BEGIN(replies, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "/");

    for (int i = 0; i < 3; i++) CHECK_OK(put(store, NULL));
    CHECK_EQ(s3_asked_count(), 5);
    CHECK_ASKED(1, "Credential=AOLD/");
    CHECK_ASKED(3, "Credential=ANEW/");
    CHECK_ASKED(4, "Credential=ANEW/");
    s3_end(store);
}

TEST(an_answer_without_keys_is_denied_and_its_source_named) {
    static const struct {
        s3_reply reply;
        const char *why;
    } cases[] = {
        {{"200 OK", "<html>"}, "holds no keys"},
        {{"200 OK", "{\"AccessKeyId\":\"A\"}"}, "holds no keys"},
        {{"200 OK", "{\"AccessKeyId\":\"A\\nB\",\"SecretAccessKey\":\"s\"}"}, "holds no keys"},
        {{"200 OK", JSON("A", "soon")}, "holds no keys"},
        {{"403 No", "no"}, ": 403"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cst_object_store *store =
            begin(&cases[i].reply, 1, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "/");
        cst_err err = {0};

        CHECK_CODE(put(store, &err), CST_OBJECT_DENIED);
        if (!strstr(err.text, cases[i].why) || !strstr(err.text, "container"))
            TEST_FAIL("'%s' does not say %s", err.text, cases[i].why);
        s3_end(store);
    }
}

TEST_MAIN
