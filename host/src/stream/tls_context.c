#include "stream/tls_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERIFY_DEPTH_MAX = 8 };

const char *csti_tls_failure_name(csti_tls_failure failure) {
    static const char *const names[] = {
#define FAILURE_NAME(name, label) label,
        CSTI_TLS_FAILURES(FAILURE_NAME)
#undef FAILURE_NAME
    };

    return names[failure];
}

// ---- Files --------------------------------------------------------------------------------------

// OpenSSL says of a file that is not there "system lib", and waits for a pipe.
static cst_code file_check(const char *path, cst_err *err) {
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat found;
    cst_code code = CST_OK;

    if (fd < 0)
        return cst_fail(err, errno == ENOENT ? CST_NOT_FOUND : CST_IO, "%s: %s", path,
                        strerror(errno));
    if (fstat(fd, &found) != 0)
        code = cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(found.st_mode))
        code = cst_fail(err, CST_IO, "%s: it is no file", path);
    (void)close(fd);
    return code;
}

// What OpenSSL thought of it last.
static const char *why_last(void) {
    const char *why = ERR_reason_error_string(ERR_peek_last_error());

    return why ? why : "no reason is known";
}

static cst_code cert_take(SSL_CTX *ssl, const char *path, cst_err *err) {
    const cst_code code = file_check(path, err);

    if (code != CST_OK) return code;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl, path) == 1) return CST_OK;
    return cst_fail(err, CST_TLS, "%s: no certificate in PEM that can be used (%s)", path,
                    why_last());
}

// A job has nobody to ask.
static int password_ask(char *out, int bytes, int writing, void *asked_out) {
    (void)out;
    (void)bytes;
    (void)writing;
    *(bool *)asked_out = true;
    return 0;
}

static cst_code key_take(SSL_CTX *ssl, const char *path, const char *cert_path, cst_err *err) {
    cst_code code = file_check(path, err);
    bool asked = false;
    EVP_PKEY *key = NULL;
    BIO *file;

    if (code != CST_OK) return code;
    ERR_clear_error();
    file = BIO_new_file(path, "r");
    if (file) key = PEM_read_bio_PrivateKey(file, NULL, password_ask, &asked);
    if (!key && asked)
        code = cst_fail(err, CST_TLS, "%s: the key has a password: store one without", path);
    else if (!key)
        code = cst_fail(err, CST_TLS, "%s: no private key in PEM (%s)", path, why_last());
    else if (X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) != 1)
        code = cst_fail(err, CST_TLS, "%s: the key does not belong to the certificate in %s", path,
                        cert_path);
    else if (SSL_CTX_use_PrivateKey(ssl, key) != 1)
        code = cst_fail(err, CST_TLS, "%s: %s", path, why_last());
    EVP_PKEY_free(key);
    BIO_free(file);
    ERR_clear_error();
    return code;
}

static cst_code trusted_take(const csti_tls_context *context, const char *path, cst_err *err) {
    const cst_code code = file_check(path, err);
    STACK_OF(X509_NAME) *names = NULL;

    if (code != CST_OK) return code;
    ERR_clear_error();
    if (SSL_CTX_load_verify_file(context->ssl, path) != 1)
        return cst_fail(err, CST_TLS, "%s: no certificate in PEM (%s)", path, why_last());
    if (!context->is_server) return CST_OK;
    names = SSL_load_client_CA_file(path); // clients are told whose certificates are taken
    if (!names) return cst_fail(err, CST_NO_MEMORY, "names of certificates");
    SSL_CTX_set_client_CA_list(context->ssl, names);
    return CST_OK;
}

static cst_code files_take(const csti_tls_context *context, const csti_tls_files *files,
                           csti_tls_file *wrong_out, cst_err *err) {
    const char *cert = files->paths[CSTI_TLS_CERT], *key = files->paths[CSTI_TLS_KEY];
    const char *trusted = files->paths[CSTI_TLS_TRUSTED];
    cst_code code = CST_OK;

    *wrong_out = CSTI_TLS_CERT;
    if (cert) code = cert_take(context->ssl, cert, err);
    if (code != CST_OK || !cert) goto then;
    *wrong_out = CSTI_TLS_KEY;
    code = key_take(context->ssl, key, cert, err);
then:
    if (code != CST_OK || !trusted) return code;
    *wrong_out = CSTI_TLS_TRUSTED;
    return trusted_take(context, trusted, err);
}

// ---- Contexts -----------------------------------------------------------------------------------

static void rules_set(const csti_tls_context *context) {
    SSL_CTX *ssl = context->ssl;

    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    // The lines that TLS carries say themselves whether one is whole: an end without a word is one.
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_num_tickets(ssl, 0);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY); // a record a call
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify_depth(ssl, VERIFY_DEPTH_MAX);
    // A certificate that is trusted itself need not lead any further.
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
}

static cst_code context_make(bool is_server, csti_tls_context **out, cst_err *err) {
    csti_tls_context *context = calloc(1, sizeof *context);

    if (!context) return cst_fail(err, CST_NO_MEMORY, "TLS");
    context->is_server = is_server;
    context->ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    context->sockets = csti_tls_sockets_make();
    if (!context->ssl || !context->sockets) {
        csti_tls_context_close(context);
        return cst_fail(err, CST_NO_MEMORY, "TLS");
    }
    rules_set(context);
    *out = context;
    return CST_OK;
}

cst_code csti_tls_server_open(const csti_tls_files *files, csti_tls_context **out,
                              csti_tls_file *wrong_out, cst_err *err) {
    csti_tls_context *context = NULL;
    cst_code code = context_make(true, &context, err);

    *wrong_out = CSTI_TLS_CERT;
    if (code != CST_OK) return code;
    code = files_take(context, files, wrong_out, err);
    if (code != CST_OK) {
        csti_tls_context_close(context);
        return code;
    }
    if (files->paths[CSTI_TLS_TRUSTED])
        SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    *out = context;
    return CST_OK;
}

cst_code csti_tls_client_open(const csti_tls_files *files, const char *server,
                              csti_tls_context **out, csti_tls_file *wrong_out, cst_err *err) {
    csti_tls_context *context = NULL;
    cst_code code = context_make(false, &context, err);

    *wrong_out = CSTI_TLS_CERT;
    if (code != CST_OK) return code;
    context->server = strdup(server);
    if (!context->server) code = cst_fail(err, CST_NO_MEMORY, "TLS");
    if (code == CST_OK) code = files_take(context, files, wrong_out, err);
    if (code == CST_OK && !files->paths[CSTI_TLS_TRUSTED] &&
        SSL_CTX_set_default_verify_paths(context->ssl) != 1)
        code = cst_fail(err, CST_TLS, "the certificates that the system trusts: %s", why_last());
    if (code != CST_OK) {
        csti_tls_context_close(context);
        return code;
    }
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    *out = context;
    return CST_OK;
}

void csti_tls_context_close(csti_tls_context *context) {
    if (!context) return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->sockets);
    free(context->server);
    free(context);
}

// ---- Time ---------------------------------------------------------------------------------------

static void time_write(const ASN1_TIME *time, char out[CSTI_TLS_TIME_BYTES]) {
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) == 1)
        (void)strftime(out, CSTI_TLS_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm);
    else
        (void)snprintf(out, CSTI_TLS_TIME_BYTES, "?");
}

csti_tls_validity csti_tls_validity_at(const csti_tls_context *context, int64_t wall_us) {
    const X509 *cert = SSL_CTX_get0_certificate(context->ssl);
    csti_tls_validity validity = {.early = false};
    time_t now = (time_t)(wall_us / 1000000);

    validity.early = X509_cmp_time(X509_get0_notBefore(cert), &now) > 0;
    validity.over = X509_cmp_time(X509_get0_notAfter(cert), &now) < 0;
    time_write(X509_get0_notBefore(cert), validity.from);
    time_write(X509_get0_notAfter(cert), validity.until);
    return validity;
}
