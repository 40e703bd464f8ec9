// tls_files.h: certificates and keys that a test makes for itself, in a folder of its own.
#ifndef CST_TEST_STREAM_TLS_FILES_H
#define CST_TEST_STREAM_TLS_FILES_H

#include "stream/tls.h"
#include "test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { TLS_PATH_BYTES = 512, DAY_S = 86400 };

typedef struct tls_identity {
    EVP_PKEY *key;
    X509 *cert;
    char cert_path[TLS_PATH_BYTES], key_path[TLS_PATH_BYTES];
} tls_identity;

static inline void tls_extend(X509 *cert, int what, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, what, value);

    CHECK(extension);
    CHECK_EQ(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline void tls_write(const tls_identity *id) {
    FILE *file = fopen(id->cert_path, "w");

    CHECK(file);
    CHECK_EQ(PEM_write_X509(file, id->cert), 1);
    CHECK_EQ(fclose(file), 0);
    file = fopen(id->key_path, "w");
    CHECK(file);
    CHECK_EQ(PEM_write_PrivateKey(file, id->key, NULL, NULL, 0, NULL, NULL), 1);
    CHECK_EQ(fclose(file), 0);
}

// NAME.pem and NAME.key in the folder, from a day ago until so many days ahead; signed by `by`, or,
// with NULL, by itself: it signs others.
static inline tls_identity tls_identity_make(const char *folder, const char *name, int days,
                                             const tls_identity *by) {
    tls_identity id = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    X509_NAME *subject = X509_get_subject_name(id.cert);

    CHECK(id.key);
    CHECK(id.cert);
    (void)snprintf(id.cert_path, sizeof id.cert_path, "%s/%s.pem", folder, name);
    (void)snprintf(id.key_path, sizeof id.key_path, "%s/%s.key", folder, name);
    CHECK_EQ(X509_set_version(id.cert, X509_VERSION_3), 1);
    CHECK_EQ(ASN1_INTEGER_set(X509_get_serialNumber(id.cert), by ? 2 : 1), 1);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(id.cert), -2 * DAY_S));
    CHECK(X509_gmtime_adj(X509_getm_notAfter(id.cert), days * DAY_S));
    CHECK_EQ(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1,
                                        0),
             1);
    CHECK_EQ(X509_set_issuer_name(id.cert, by ? X509_get_subject_name(by->cert) : subject), 1);
    CHECK_EQ(X509_set_pubkey(id.cert, id.key), 1);
    tls_extend(id.cert, NID_basic_constraints, by ? "critical,CA:FALSE" : "critical,CA:TRUE");
    tls_extend(id.cert, NID_subject_alt_name, "IP:127.0.0.1,DNS:rows.test");
    CHECK(X509_sign(id.cert, by ? by->key : id.key, EVP_sha256()) > 0);
    tls_write(&id);
    return id;
}

static inline void tls_identity_end(tls_identity *id) {
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
    (void)unlink(id->cert_path);
    (void)unlink(id->key_path);
}

#endif
