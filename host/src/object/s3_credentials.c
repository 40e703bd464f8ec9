#include "object/s3_credentials.h"

#include "base/clock.h"
#include "object/s3_profile.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EARLY_US = 5 * 60 * 1000 * 1000, PROFILE_BYTES = 128 };

struct csti_s3_credentials {
    pthread_mutex_t mutex; // held while keys are fetched
    csti_s3_http *http;
    csti_s3_keys keys;
    bool known;
    bool spoilt;
    bool given; // the profile, in the URI
    char profile[PROFILE_BYTES];
    char region[PROFILE_BYTES];
};

// ---- Sources ------------------------------------------------------------------------------------

static cst_code copy(char *to, size_t capacity, const char *from, const char *what, cst_err *err) {
    if (strlen(from) >= capacity) return cst_fail(err, CST_OBJECT_DENIED, "%s is too long", what);
    memcpy(to, from, strlen(from) + 1);
    return CST_OK;
}

static cst_code from_environment(csti_s3_keys *out, cst_err *err) {
    const char *access = getenv("AWS_ACCESS_KEY_ID");
    const char *secret = getenv("AWS_SECRET_ACCESS_KEY");
    const char *token = getenv("AWS_SESSION_TOKEN");
    cst_code code;

    if (!access || !access[0]) return CST_NOT_FOUND;
    if (!secret || !secret[0])
        return cst_fail(err, CST_OBJECT_DENIED,
                        "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not");
    code = copy(out->access, sizeof out->access, access, "AWS_ACCESS_KEY_ID", err);
    if (code == CST_OK)
        code = copy(out->secret, sizeof out->secret, secret, "AWS_SECRET_ACCESS_KEY", err);
    if (code == CST_OK && token)
        code = copy(out->token, sizeof out->token, token, "AWS_SESSION_TOKEN", err);
    return code;
}

// What a profile calls a key, in either file.
static cst_code setting(const char *path, bool is_config, const char *profile, const char *key,
                        char *out, size_t capacity, cst_err *err) {
    return is_config ? csti_s3_profile_setting(profile, key, out, capacity, err)
                     : csti_s3_profile_find(path, profile, key, out, capacity, err);
}

static cst_code from_file(bool is_config, const char *profile, csti_s3_keys *out, cst_err *err) {
    char path[PATH_MAX];
    cst_code code = is_config ? csti_s3_profile_config(path, sizeof path, err)
                              : csti_s3_profile_credentials(path, sizeof path, err);

    if (code == CST_OK)
        code = setting(path, is_config, profile, "aws_access_key_id", out->access,
                       sizeof out->access, err);
    if (code != CST_OK) return code;
    code = setting(path, is_config, profile, "aws_secret_access_key", out->secret,
                   sizeof out->secret, err);
    if (code != CST_OK) return cst_fail_at(err, CST_OBJECT_DENIED, "a key without its secret");
    code =
        setting(path, is_config, profile, "aws_session_token", out->token, sizeof out->token, err);
    return code == CST_NOT_FOUND ? CST_OK : code;
}

static cst_code from_web_identity(const csti_s3_credentials *c, csti_s3_keys *out, cst_err *err) {
    const char *file = getenv("AWS_WEB_IDENTITY_TOKEN_FILE");
    const char *role = getenv("AWS_ROLE_ARN");

    if (!file || !role) return CST_NOT_FOUND;
    return csti_s3_keys_web_identity(c->http, c->region, file, role, out, err);
}

static cst_code from_profile_role(const csti_s3_credentials *c, csti_s3_keys *out, cst_err *err) {
    char file[PATH_MAX];
    char role[CSTI_S3_SECRET_BYTES];
    cst_code code =
        csti_s3_profile_setting(c->profile, "web_identity_token_file", file, sizeof file, err);

    if (code == CST_OK)
        code = csti_s3_profile_setting(c->profile, "role_arn", role, sizeof role, err);
    if (code != CST_OK) return code;
    return csti_s3_keys_web_identity(c->http, c->region, file, role, out, err);
}

static cst_code load(const csti_s3_credentials *c, csti_s3_keys *out, cst_err *err) {
    enum { SOURCES = 7 };
    cst_code code = CST_NOT_FOUND;

    for (int i = c->given ? 2 : 0; i < SOURCES && code == CST_NOT_FOUND; i++) {
        memset(out, 0, sizeof *out);
        switch (i) {
        case 0:
            code = from_environment(out, err);
            break;
        case 1:
            code = from_web_identity(c, out, err);
            break;
        case 2:
            code = from_file(false, c->profile, out, err);
            break;
        case 3:
            code = from_file(true, c->profile, out, err);
            break;
        case 4:
            code = from_profile_role(c, out, err);
            break;
        case 5:
            code = c->given ? CST_NOT_FOUND : csti_s3_keys_container(c->http, out, err);
            break;
        default:
            code = c->given ? CST_NOT_FOUND : csti_s3_keys_machine(c->http, out, err);
        }
    }
    if (code == CST_NOT_FOUND && c->given)
        return cst_fail(err, CST_OBJECT_DENIED, "the profile %s has no keys in the shared files",
                        c->profile);
    if (code == CST_NOT_FOUND)
        return cst_fail(err, CST_OBJECT_DENIED,
                        "nobody has keys: neither AWS_ACCESS_KEY_ID, a web identity, the profile "
                        "%s, a container nor this machine",
                        c->profile);
    return code;
}

// ---- Calls --------------------------------------------------------------------------------------

cst_code csti_s3_credentials_open(const char *profile, const char *region, csti_s3_http *http,
                                  csti_s3_credentials **out, cst_err *err) {
    const char *named = getenv("AWS_PROFILE");
    csti_s3_credentials *c = calloc(1, sizeof *c);

    if (!c) return cst_fail(err, CST_NO_MEMORY, "s3: credentials");
    (void)pthread_mutex_init(&c->mutex, NULL);
    c->http = http;
    c->given = profile[0] != '\0';
    (void)snprintf(c->profile, sizeof c->profile, "%s",
                   c->given            ? profile
                   : named && named[0] ? named
                                       : "default");
    (void)snprintf(c->region, sizeof c->region, "%s", region);
    *out = c;
    return CST_OK;
}

void csti_s3_credentials_close(csti_s3_credentials *c) {
    if (!c) return;
    (void)pthread_mutex_destroy(&c->mutex);
    free(c);
}

cst_code csti_s3_credentials_get(csti_s3_credentials *c, csti_s3_keys *out, cst_err *err) {
    cst_code code = CST_OK;
    int64_t now_us;

    (void)pthread_mutex_lock(&c->mutex);
    now_us = csti_clock_wall_us(csti_clock_real());
    if (!c->known || c->spoilt || (c->keys.ends_us && now_us + EARLY_US >= c->keys.ends_us)) {
        csti_s3_keys fresh;

        code = load(c, &fresh, err);
        if (code == CST_OK) {
            c->keys = fresh;
            c->known = true;
            c->spoilt = false;
        } else if (c->known && !c->spoilt && now_us < c->keys.ends_us) {
            code = CST_OK; // the old ones are good for some minutes more
        }
    }
    if (code == CST_OK) *out = c->keys;
    (void)pthread_mutex_unlock(&c->mutex);
    return code;
}

void csti_s3_credentials_spoil(csti_s3_credentials *c, const csti_s3_keys *keys) {
    (void)pthread_mutex_lock(&c->mutex);
    if (strcmp(c->keys.access, keys->access) == 0 && strcmp(c->keys.token, keys->token) == 0)
        c->spoilt = true;
    (void)pthread_mutex_unlock(&c->mutex);
}
