// s3_credentials_web.c: keys that a server gives out for a while: STS, a container's, a machine's.
//
//   STS        POST Action=AssumeRoleWithWebIdentity     XML: AccessKeyId, …, Expiration
//   container  GET  what the environment names           JSON: AccessKeyId, …, Token, Expiration
//   machine    PUT  /latest/api/token ─► GET …/security-credentials/ ─► GET …/ROLE    JSON
//
// Each is asked with a short deadline: keys are fetched while a request waits for them.
#define _GNU_SOURCE 1 // strptime, timegm
#include "base/clock.h"
#include "object/s3_credentials.h"
#include "object/s3_error.h"
#include "object/s3_sign.h"
#include "object/s3_xml.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WAIT_US = 5 * 1000 * 1000,     // of STS and a container
    MACHINE_WAIT_US = 1000 * 1000, // most machines have none
    ANSWER_BYTES_MAX = 64 << 10,
    FILE_BYTES_MAX = 16 << 10,
    URL_BYTES = 1024,
    FORM_BYTES = 3 * FILE_BYTES_MAX + 1024,
    HEADER_BYTES = FILE_BYTES_MAX + 64,
};

// ---- One question -------------------------------------------------------------------------------

typedef struct question {
    csti_s3_exchange exchange;
    char url[URL_BYTES];
    cst_bytes form;
} question;

// `header` may be NULL. CST_OBJECT_DENIED: no answer, or one that is not good; `what` is its
// source.
static cst_code ask(csti_s3_http *http, question *q, const char *method, const char *header,
                    uint64_t wait_us, const char *what, cst_err *err) {
    csti_s3_exchange *e = &q->exchange;

    memset(e, 0, sizeof *e);
    e->method = method;
    e->url = q->url;
    e->ranges = &q->form;
    e->ranges_count = q->form.data ? 1 : 0;
    e->body_bytes_max = ANSWER_BYTES_MAX;
    e->deadline_ns = csti_clock_now_ns(csti_clock_real()) + wait_us * 1000;
    if (header) e->headers = curl_slist_append(NULL, header);
    if (e->headers) (void)curl_slist_append(e->headers, "Expect:");
    if (header && !e->headers) return cst_fail(err, CST_NO_MEMORY, "%s", what);
    csti_s3_http_start(http, e);
    csti_s3_http_wait(e);
    curl_slist_free_all(e->headers);
    e->headers = NULL;
    if (e->result != CURLE_OK)
        return cst_fail(err, CST_OBJECT_DENIED, "%s: %.80s: %s", what, q->url,
                        e->problem[0] ? e->problem : curl_easy_strerror(e->result));
    if (e->status != 200)
        return cst_fail(err, CST_OBJECT_DENIED, "%s: %.80s: %ld", what, q->url, e->status);
    return CST_OK;
}

static void done(question *q) {
    free(q->exchange.body);
    q->exchange.body = NULL;
}

// ---- Answers ------------------------------------------------------------------------------------

static bool keep(char *to, size_t capacity, const char *text) {
    const size_t bytes = text ? strlen(text) : capacity;

    if (bytes >= capacity || strpbrk(text, "\r\n")) return false;
    memcpy(to, text, bytes + 1);
    return true;
}

static bool end_keep(csti_s3_keys *to, const char *text) {
    struct tm parts = {.tm_sec = 0};
    const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;

    if (!end) return false;
    to->ends_us = (int64_t)timegm(&parts) * 1000000;
    return to->ends_us > 0;
}

static cst_code json_keys(const question *q, csti_s3_keys *out, const char *what, cst_err *err) {
    json_t *root = json_loadb((const char *)q->exchange.body, q->exchange.body_bytes, 0, NULL);
    const char *token = json_string_value(json_object_get(root, "Token"));
    const char *end = json_string_value(json_object_get(root, "Expiration"));
    const bool good = keep(out->access, sizeof out->access,
                           json_string_value(json_object_get(root, "AccessKeyId"))) &&
                      keep(out->secret, sizeof out->secret,
                           json_string_value(json_object_get(root, "SecretAccessKey"))) &&
                      (!token || keep(out->token, sizeof out->token, token)) &&
                      (!end || end_keep(out, end));

    json_decref(root);
    return good ? CST_OK : cst_fail(err, CST_OBJECT_DENIED, "%s: its answer holds no keys", what);
}

static cst_code sts_visit(void *context, const char *path, const char *text, cst_err *err) {
    static const char root[] =
        "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/";
    csti_s3_keys *to = context;
    bool good = true;

    if (strncmp(path, root, sizeof root - 1) != 0) return CST_OK;
    path += sizeof root - 1;
    if (strcmp(path, "AccessKeyId") == 0) good = keep(to->access, sizeof to->access, text);
    if (strcmp(path, "SecretAccessKey") == 0) good = keep(to->secret, sizeof to->secret, text);
    if (strcmp(path, "SessionToken") == 0) good = keep(to->token, sizeof to->token, text);
    if (strcmp(path, "Expiration") == 0) good = end_keep(to, text);
    return good ? CST_OK : cst_fail(err, CST_PARSE, "<%s>", path);
}

// ---- Web identity -------------------------------------------------------------------------------

static cst_code token_read(const char *path, char out[FILE_BYTES_MAX], const char *what,
                           cst_err *err) {
    FILE *file = fopen(path, "re");
    size_t bytes = file ? fread(out, 1, FILE_BYTES_MAX - 1, file) : 0;
    const bool whole = file && !ferror(file) && feof(file);

    if (file) (void)fclose(file);
    while (bytes > 0 && strchr("\r\n \t", out[bytes - 1])) bytes--;
    out[bytes] = '\0';
    if (!whole || bytes == 0 || strpbrk(out, "\r\n"))
        return cst_fail(err, CST_OBJECT_DENIED, "%s: the token in %.200s cannot be read", what,
                        path);
    return CST_OK;
}

static cst_code form_make(const char *role, const char *token, char out[FORM_BYTES], cst_err *err) {
    const csti_s3_pair pairs[] = {{"Action", "AssumeRoleWithWebIdentity"},
                                  {"RoleArn", role},
                                  {"RoleSessionName", "constellation"},
                                  {"Version", "2011-06-15"}};
    const cst_code code = csti_s3_query(pairs, 4, out, FORM_BYTES, err);
    size_t at;

    if (code != CST_OK) return code;
    at = strlen(out);
    at += (size_t)snprintf(out + at, FORM_BYTES - at, "&WebIdentityToken=");
    (void)csti_s3_encode(token, false, out + at, FORM_BYTES - at);
    return CST_OK;
}

cst_code csti_s3_keys_web_identity(csti_s3_http *http, const char *region, const char *token_file,
                                   const char *role, csti_s3_keys *out, cst_err *err) {
    static const char what[] = "web identity";
    const char *endpoint = getenv("AWS_ENDPOINT_URL_STS");
    char token[FILE_BYTES_MAX];
    char *form = malloc(FORM_BYTES);
    question q = {.form = {NULL, 0}};
    cst_code code =
        form ? token_read(token_file, token, what, err) : cst_fail(err, CST_NO_MEMORY, "%s", what);

    if (code == CST_OK) code = form_make(role, token, form, err);
    if (code == CST_OK) {
        if (endpoint)
            (void)snprintf(q.url, sizeof q.url, "%s", endpoint);
        else
            (void)snprintf(q.url, sizeof q.url, "https://sts.%s.amazonaws.com/", region);
        q.form = (cst_bytes){(const uint8_t *)form, strlen(form)};
        code = ask(http, &q, "POST", "Content-Type: application/x-www-form-urlencoded", WAIT_US,
                   what, err);
    }
    if (code == CST_OK &&
        (csti_s3_xml_walk(q.exchange.body, q.exchange.body_bytes, sts_visit, out, NULL) != CST_OK ||
         !out->access[0] || !out->secret[0] || !out->token[0] || out->ends_us == 0))
        code = cst_fail(err, CST_OBJECT_DENIED, "%s: its answer holds no keys", what);
    done(&q);
    free(form);
    return code;
}

// ---- Container ----------------------------------------------------------------------------------

cst_code csti_s3_keys_container(csti_s3_http *http, csti_s3_keys *out, cst_err *err) {
    static const char what[] = "the container's credentials";
    const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    const char *token_file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    char text[FILE_BYTES_MAX];
    char header[HEADER_BYTES] = "Accept: application/json";
    question q = {.form = {NULL, 0}};
    cst_code code = CST_OK;

    if (!full && !relative) return CST_NOT_FOUND;
    if (relative)
        (void)snprintf(q.url, sizeof q.url, "http://169.254.170.2%s", relative);
    else
        (void)snprintf(q.url, sizeof q.url, "%s", full);
    if (token_file) {
        code = token_read(token_file, text, what, err);
        token = text;
    }
    if (code == CST_OK && token) (void)snprintf(header, sizeof header, "Authorization: %s", token);
    if (code == CST_OK) code = ask(http, &q, "GET", header, WAIT_US, what, err);
    if (code == CST_OK) code = json_keys(&q, out, what, err);
    done(&q);
    return code;
}

// ---- Machine ------------------------------------------------------------------------------------

static cst_code machine_get(csti_s3_http *http, question *q, const char *origin, const char *path,
                            const char *header, cst_err *err) {
    const int bytes = snprintf(q->url, sizeof q->url,
                               "%s/latest/meta-data/iam/security-credentials/%s", origin, path);

    if (bytes < 0 || (size_t)bytes >= sizeof q->url)
        return cst_fail(err, CST_OBJECT_DENIED, "the machine's role has too long a name");
    return ask(http, q, "GET", header, MACHINE_WAIT_US, "the machine's credentials", err);
}

// One line of text, as token and role are; false: it is something else.
static bool line_keep(const question *q, char *to, size_t capacity) {
    size_t bytes = q->exchange.body_bytes;

    while (bytes > 0 && strchr("\r\n", q->exchange.body[bytes - 1])) bytes--;
    if (bytes == 0 || bytes >= capacity) return false;
    memcpy(to, q->exchange.body, bytes);
    to[bytes] = '\0';
    return strlen(to) == bytes && !strpbrk(to, "\r\n /?#");
}

cst_code csti_s3_keys_machine(csti_s3_http *http, csti_s3_keys *out, cst_err *err) {
    static const char lasts[] = "X-aws-ec2-metadata-token-ttl-seconds: 300";
    const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
    const char *origin = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    char token[1024];
    char role[256];
    char header[sizeof token + 64];
    question q = {.form = {NULL, 0}};
    cst_code code;

    if (disabled && strcmp(disabled, "true") == 0) return CST_NOT_FOUND;
    if (!origin || !origin[0]) origin = "http://169.254.169.254";
    (void)snprintf(q.url, sizeof q.url, "%s/latest/api/token", origin);
    code = ask(http, &q, "PUT", lasts, MACHINE_WAIT_US, "the machine's credentials", NULL);
    if (code != CST_OK) { // this machine has no such service
        done(&q);
        return CST_NOT_FOUND;
    }
    if (!line_keep(&q, token, sizeof token))
        code = cst_fail(err, CST_OBJECT_DENIED, "the machine's credentials: no token");
    done(&q);
    if (code != CST_OK) return code;
    (void)snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s", token);
    code = machine_get(http, &q, origin, "", header, err);
    if (code == CST_OK && !line_keep(&q, role, sizeof role))
        code = cst_fail(err, CST_OBJECT_DENIED, "the machine's credentials: it has no role");
    done(&q);
    if (code != CST_OK) return code;
    code = machine_get(http, &q, origin, role, header, err);
    if (code == CST_OK) code = json_keys(&q, out, "the machine's credentials", err);
    done(&q);
    return code;
}
