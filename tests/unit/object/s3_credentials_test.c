#define _GNU_SOURCE 1 // mkdtemp, nftw
#include "object/s3_credentials.h"
#include "object/s3_profile.h"

#include "unit/object/folder.h"

// Each case begins with an environment in which nobody has keys, and a folder of its own as home.
static test_folder home;

static void file_write(const char *name, const char *text) {
    char path[PATH_MAX];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", home.path, name);
    file = fopen(path, "w");
    CHECK(file);
    CHECK(fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
}

static void begin(void) {
    static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
                                            "AWS_SECRET_ACCESS_KEY",
                                            "AWS_SESSION_TOKEN",
                                            "AWS_PROFILE",
                                            "AWS_WEB_IDENTITY_TOKEN_FILE",
                                            "AWS_ROLE_ARN",
                                            "AWS_SHARED_CREDENTIALS_FILE",
                                            "AWS_CONFIG_FILE",
                                            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"};
    char path[PATH_MAX];

    home = folder_make();
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        CHECK_EQ(unsetenv(variables[i]), 0);
    CHECK_EQ(setenv("AWS_EC2_METADATA_DISABLED", "true", 1), 0);
    CHECK_EQ(setenv("HOME", home.path, 1), 0);
    (void)snprintf(path, sizeof path, "%s/.aws", home.path);
    CHECK_EQ(mkdir(path, 0700), 0);
}

static cst_code keys_get(const char *profile, csti_s3_keys *out, cst_err *err) {
    csti_s3_credentials *credentials = NULL;
    cst_code code;

    CHECK_OK(csti_s3_credentials_open(profile, "us-east-1", NULL, &credentials, NULL));
    code = csti_s3_credentials_get(credentials, out, err);
    csti_s3_credentials_close(credentials);
    return code;
}

static const char files_text[] = "# shared\n"
                                 "[default]\n"
                                 "aws_access_key_id = AKD\n"
                                 "aws_secret_access_key=sd/+=\n"
                                 "\n"
                                 "[ night ]\r\n"
                                 "aws_access_key_id\t=\tAKN\r\n"
                                 "aws_secret_access_key = sn\r\n"
                                 "aws_session_token = tn\r\n"
                                 "[half]\n"
                                 "aws_access_key_id = AKH\n";

// Files, and an access key in the environment; NULL: no secret.
static void begin_with_both(const char *secret) {
    begin();
    file_write(".aws/credentials", files_text);
    CHECK_EQ(setenv("AWS_ACCESS_KEY_ID", "AKE", 1), 0);
    if (secret) CHECK_EQ(setenv("AWS_SECRET_ACCESS_KEY", secret, 1), 0);
}

TEST(the_environment_comes_first) {
    csti_s3_keys keys;
    cst_err err = {0};

    begin_with_both(NULL);
    CHECK_CODE(keys_get("", &keys, &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, "AWS_SECRET_ACCESS_KEY"));
    CHECK_EQ(setenv("AWS_SECRET_ACCESS_KEY", "se", 1), 0);
    CHECK_OK(keys_get("", &keys, NULL));
    CHECK_TEXT(keys.access, "AKE");
    CHECK_TEXT(keys.secret, "se");
    CHECK_TEXT(keys.token, "");
    CHECK_EQ(keys.ends_us, 0);
    CHECK_EQ(setenv("AWS_SESSION_TOKEN", "te", 1), 0);
    CHECK_OK(keys_get("", &keys, NULL));
    CHECK_TEXT(keys.token, "te");
    folder_remove(&home);
}

TEST(a_profile_of_the_uri_comes_before_the_environment) {
    csti_s3_keys keys;
    cst_err err = {0};

    begin_with_both("se");
    CHECK_OK(keys_get("night", &keys, NULL));
    CHECK_TEXT(keys.access, "AKN");
    CHECK_TEXT(keys.secret, "sn");
    CHECK_TEXT(keys.token, "tn");
    CHECK_CODE(keys_get("day", &keys, &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, "profile day"));
    CHECK_CODE(keys_get("half", &keys, &err), CST_OBJECT_DENIED);
    CHECK(!strstr(err.text, "AKH"));
    folder_remove(&home);
}

TEST(both_shared_files_are_read) {
    csti_s3_keys keys;

    begin();
    CHECK_CODE(keys_get("", &keys, NULL), CST_OBJECT_DENIED);
    file_write(".aws/config", "[default]\naws_access_key_id = AKC\naws_secret_access_key = sc\n"
                              "region = eu-north-1\n[profile day]\naws_access_key_id = AKY\n"
                              "aws_secret_access_key = sy\ns3 =\n  region = no\n");
    CHECK_OK(keys_get("", &keys, NULL));
    CHECK_TEXT(keys.access, "AKC");
    CHECK_EQ(setenv("AWS_PROFILE", "day", 1), 0);
    CHECK_OK(keys_get("", &keys, NULL));
    CHECK_TEXT(keys.access, "AKY");
    CHECK_EQ(unsetenv("AWS_PROFILE"), 0);
    file_write(".aws/credentials", files_text);
    CHECK_OK(keys_get("", &keys, NULL));
    CHECK_TEXT(keys.access, "AKD");
    CHECK_TEXT(keys.secret, "sd/+=");
    folder_remove(&home);
}

TEST(a_setting_of_a_profile_is_found_or_said_to_miss) {
    char region[16];

    begin();
    CHECK_CODE(csti_s3_profile_setting("day", "region", region, sizeof region, NULL),
               CST_NOT_FOUND);
    file_write(".aws/config", "[default]\nregion = eu-north-1\n[profile day]\ns3 =\n  region = no\n"
                              "region = a-region-that-is-too-long\n");
    CHECK_OK(csti_s3_profile_setting("default", "region", region, sizeof region, NULL));
    CHECK_TEXT(region, "eu-north-1");
    CHECK_CODE(csti_s3_profile_setting("day", "region", region, sizeof region, NULL), CST_LIMIT);
    CHECK_CODE(csti_s3_profile_setting("day", "output", region, sizeof region, NULL),
               CST_NOT_FOUND);
    folder_remove(&home);
}

TEST(nobodys_keys_are_an_error_that_says_who_was_asked) {
    csti_s3_keys keys;
    cst_err err = {0};

    begin();
    CHECK_CODE(keys_get("", &keys, &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, "AWS_ACCESS_KEY_ID"));
    CHECK(strstr(err.text, "default"));
    folder_remove(&home);
}

TEST_MAIN
