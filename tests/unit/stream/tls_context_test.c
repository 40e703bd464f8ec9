// The files that TLS is given: what is wrong with them is said with their name.
#include "unit/stream/tls_files.h"

#include <sys/stat.h>

enum { DAYS = 30, YEAR_S = 365 * DAY_S };

#define NOW_US ((int64_t)time(NULL) * 1000000)

typedef struct files {
    char folder[64];
    tls_identity good, other;
} files;

static files files_make(void) {
    files f = {.folder = "/tmp/cst-tls-XXXXXX"};

    CHECK(mkdtemp(f.folder));
    f.good = tls_identity_make(f.folder, "good", DAYS, NULL);
    f.other = tls_identity_make(f.folder, "other", -1, NULL);
    return f;
}

static void files_end(files *f) {
    tls_identity_end(&f->good);
    tls_identity_end(&f->other);
    CHECK_EQ(rmdir(f->folder), 0);
}

// What opening a server with these says.
static cst_err server_of(const char *cert, const char *key, const char *trusted,
                         csti_tls_file *wrong_out) {
    const csti_tls_files paths = {{cert, key, trusted}};
    csti_tls_context *context = NULL;
    cst_err err = {.code = CST_OK};
    const cst_code code = csti_tls_server_open(&paths, &context, wrong_out, &err);

    CHECK_EQ(code, err.code);
    CHECK_EQ(code == CST_OK, context != NULL);
    csti_tls_context_close(context);
    return err;
}

static void is_refused(const cst_err *err, csti_tls_file wrong, cst_code code, csti_tls_file file,
                       const char *path, const char *why) {
    CHECK_CODE(err->code, code);
    CHECK_EQ(wrong, file);
    if (!strstr(err->text, path) || !strstr(err->text, why))
        TEST_FAIL("'%s' names neither %s nor '%s'", err->text, path, why);
}

TEST(good_files_are_taken) {
    files f = files_make();
    csti_tls_file wrong;

    CHECK_OK(server_of(f.good.cert_path, f.good.key_path, NULL, &wrong).code);
    CHECK_OK(server_of(f.good.cert_path, f.good.key_path, f.other.cert_path, &wrong).code);
    files_end(&f);
}

TEST(files_that_are_not_there_or_no_files_are_named) {
    files f = files_make();
    csti_tls_file wrong;
    cst_err err = server_of("/tmp/cst-none.pem", f.good.key_path, NULL, &wrong);

    is_refused(&err, wrong, CST_NOT_FOUND, CSTI_TLS_CERT, "/tmp/cst-none.pem", "No such file");
    err = server_of(f.good.cert_path, "/tmp/cst-none.key", NULL, &wrong);
    is_refused(&err, wrong, CST_NOT_FOUND, CSTI_TLS_KEY, "/tmp/cst-none.key", "No such file");
    err = server_of(f.good.cert_path, f.folder, NULL, &wrong);
    is_refused(&err, wrong, CST_IO, CSTI_TLS_KEY, f.folder, "no file");
    err = server_of(f.good.cert_path, f.good.key_path, "/tmp/cst-none.pem", &wrong);
    is_refused(&err, wrong, CST_NOT_FOUND, CSTI_TLS_TRUSTED, "/tmp/cst-none.pem", "No such file");
    files_end(&f);
}

TEST(files_of_something_else_are_named) {
    files f = files_make();
    csti_tls_file wrong;
    cst_err err = server_of(f.good.key_path, f.good.key_path, NULL, &wrong);

    is_refused(&err, wrong, CST_TLS, CSTI_TLS_CERT, f.good.key_path, "no certificate");
    err = server_of(f.good.cert_path, f.good.cert_path, NULL, &wrong);
    is_refused(&err, wrong, CST_TLS, CSTI_TLS_KEY, f.good.cert_path, "no private key");
    err = server_of(f.good.cert_path, f.good.key_path, f.good.key_path, &wrong);
    is_refused(&err, wrong, CST_TLS, CSTI_TLS_TRUSTED, f.good.key_path, "no certificate");
    files_end(&f);
}

TEST(a_key_of_another_certificate_is_refused_with_both_names) {
    files f = files_make();
    csti_tls_file wrong;
    const cst_err err = server_of(f.good.cert_path, f.other.key_path, NULL, &wrong);

    is_refused(&err, wrong, CST_TLS, CSTI_TLS_KEY, f.other.key_path, f.good.cert_path);
    files_end(&f);
}

TEST(a_key_with_a_password_is_refused_and_nobody_is_asked) {
    files f = files_make();
    FILE *file = fopen(f.good.key_path, "w");
    csti_tls_file wrong;
    cst_err err;

    CHECK(file);
    CHECK_EQ(PEM_write_PrivateKey(file, f.good.key, EVP_aes_128_cbc(), (const uint8_t *)"secret", 6,
                                  NULL, NULL),
             1);
    CHECK_EQ(fclose(file), 0);
    err = server_of(f.good.cert_path, f.good.key_path, NULL, &wrong);
    is_refused(&err, wrong, CST_TLS, CSTI_TLS_KEY, f.good.key_path, "has a password");
    files_end(&f);
}

TEST(a_certificate_says_from_when_until_when_it_holds) {
    files f = files_make();
    const csti_tls_files paths = {{f.good.cert_path, f.good.key_path, NULL}};
    const csti_tls_files over = {{f.other.cert_path, f.other.key_path, NULL}};
    csti_tls_context *context = NULL;
    csti_tls_validity validity;
    csti_tls_file wrong;

    CHECK_OK(csti_tls_server_open(&paths, &context, &wrong, NULL));
    validity = csti_tls_validity_at(context, NOW_US);
    CHECK(!validity.early);
    CHECK(!validity.over);
    CHECK_EQ(strlen(validity.until), 20);
    CHECK(strcmp(validity.from, validity.until) < 0);
    CHECK(csti_tls_validity_at(context, 0).early);
    CHECK(csti_tls_validity_at(context, NOW_US + YEAR_S * INT64_C(1000000)).over);
    csti_tls_context_close(context);
    CHECK_OK(csti_tls_server_open(&over, &context, &wrong, NULL)); // a warning, for those who ask
    CHECK(csti_tls_validity_at(context, NOW_US).over);
    csti_tls_context_close(context);
    files_end(&f);
}

TEST_MAIN
