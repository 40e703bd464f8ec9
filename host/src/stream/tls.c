#include "stream/tls.h"

#include "stream/tls_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct csti_tls {
    csti_tls_context *context;
    SSL *ssl;
    int fd;
    bool ready, waits_to_write;
    bool input_over; // the socket's
    bool ended;      // the other side's word, or the socket's
    csti_tls_failure failure;
    char why[CSTI_TLS_WHY_BYTES];
};

// ---- The socket ---------------------------------------------------------------------------------

static bool is_passing(int failure) {
    return failure == EAGAIN || failure == EWOULDBLOCK || failure == EINTR;
}

static int socket_read(BIO *bio, char *to, int bytes) {
    csti_tls *tls = BIO_get_data(bio);
    ssize_t got;

    BIO_clear_retry_flags(bio);
    if (tls->failure != CSTI_TLS_NONE) return -1; // it asks for what it does not get, without end
    got = recv(tls->fd, to, (size_t)bytes, MSG_DONTWAIT);
    if (got < 0 && is_passing(errno)) BIO_set_retry_read(bio);
    if (got == 0) tls->input_over = true;
    return (int)got;
}

static int socket_write(BIO *bio, const char *from, int bytes) {
    const csti_tls *tls = BIO_get_data(bio);
    const ssize_t sent = send(tls->fd, from, (size_t)bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

    BIO_clear_retry_flags(bio);
    if (sent < 0 && is_passing(errno)) BIO_set_retry_write(bio);
    return (int)sent;
}

static long socket_control(BIO *bio, int what, long number, void *pointer) {
    const csti_tls *tls = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (what == BIO_CTRL_EOF) return tls->input_over;
    return what == BIO_CTRL_FLUSH; // nothing is kept back
}

BIO_METHOD *csti_tls_sockets_make(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "a socket without signals");

    if (!method) return NULL;
    (void)BIO_meth_set_read(method, socket_read);
    (void)BIO_meth_set_write(method, socket_write);
    (void)BIO_meth_set_ctrl(method, socket_control);
    return method;
}

// ---- Failures -----------------------------------------------------------------------------------

static cst_code fail(csti_tls *tls, csti_tls_failure failure, const char *why) {
    if (tls->failure == CSTI_TLS_NONE) {
        tls->failure = failure;
        (void)snprintf(tls->why, sizeof tls->why, "%s", why);
    }
    return CST_TLS;
}

static csti_tls_failure failure_of(const csti_tls *tls, int reason) {
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
        reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return CSTI_TLS_CERTIFICATE;
    if (reason > SSL_AD_REASON_OFFSET) return CSTI_TLS_ALERT;
    return tls->ready ? CSTI_TLS_RECORD : CSTI_TLS_PROTOCOL;
}

static cst_code ssl_fail(csti_tls *tls) {
    const unsigned long error = ERR_peek_error();
    const char *text = error ? ERR_reason_error_string(error) : NULL;
    const csti_tls_failure failure = failure_of(tls, ERR_GET_REASON(error));
    const long verified = SSL_get_verify_result(tls->ssl);
    char why[CSTI_TLS_WHY_BYTES];

    if (failure == CSTI_TLS_CERTIFICATE && verified != X509_V_OK)
        (void)snprintf(why, sizeof why, "the other side's certificate: %s",
                       X509_verify_cert_error_string(verified));
    else
        (void)snprintf(why, sizeof why, "%s%s",
                       failure == CSTI_TLS_ALERT ? "the other side refuses: " : "",
                       text ? text : "no reason is known");
    ERR_clear_error();
    return fail(tls, failure, why);
}

static cst_code socket_fail(csti_tls *tls, int failure) {
    const csti_tls_failure lost = tls->ready ? CSTI_TLS_LOST : CSTI_TLS_ENDED;

    return fail(tls, lost, failure && !tls->input_over ? strerror(failure) : "it has gone");
}

// What a call of OpenSSL that gave no bytes means: AGAIN, TLS, or OK: the end.
static cst_code outcome(csti_tls *tls, int result) {
    const int failure = errno;

    tls->waits_to_write = false;
    if (tls->failure != CSTI_TLS_NONE) return CST_TLS;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_WRITE:
        tls->waits_to_write = true;
        return CST_AGAIN;
    case SSL_ERROR_WANT_READ:
        return CST_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        if (!tls->ready) return socket_fail(tls, 0);
        tls->ended = true;
        return CST_OK;
    case SSL_ERROR_SSL:
        return ssl_fail(tls);
    default:
        return socket_fail(tls, failure);
    }
}

// OpenSSL answers who asks for another handshake with a warning, and goes on.
static void told(const SSL *ssl, int where, int what) {
    if (where == SSL_CB_WRITE_ALERT && (what & 0xff) == SSL_AD_NO_RENEGOTIATION)
        (void)fail(SSL_get_app_data(ssl), CSTI_TLS_RENEGOTIATION,
                   "the other side asks for another handshake");
}

// ---- Connections --------------------------------------------------------------------------------

// Whose certificate the other side has to have.
static bool server_expect(csti_tls *tls) {
    const char *server = tls->context->server;
    uint8_t address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, server, address) == 1 || inet_pton(AF_INET6, server, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), server) == 1;
    return SSL_set1_host(tls->ssl, server) == 1 && SSL_set_tlsext_host_name(tls->ssl, server) == 1;
}

static bool connection_fill(csti_tls *tls) {
    BIO *bio;

    tls->ssl = SSL_new(tls->context->ssl);
    bio = tls->ssl ? BIO_new(tls->context->sockets) : NULL;
    if (!bio) return false;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    (void)SSL_set_app_data(tls->ssl, tls);
    SSL_set_info_callback(tls->ssl, told);
    if (tls->context->is_server) {
        SSL_set_accept_state(tls->ssl);
        return true;
    }
    SSL_set_connect_state(tls->ssl);
    return server_expect(tls);
}

cst_code csti_tls_open(csti_tls_context *context, int fd, csti_tls **out, cst_err *err) {
    csti_tls *tls = calloc(1, sizeof *tls);

    if (!tls) return cst_fail(err, CST_NO_MEMORY, "TLS of a connection");
    tls->context = context;
    tls->fd = fd;
    if (!connection_fill(tls)) {
        csti_tls_close(tls);
        return cst_fail(err, CST_NO_MEMORY, "TLS of a connection");
    }
    *out = tls;
    return CST_OK;
}

void csti_tls_close(csti_tls *tls) {
    if (!tls) return;
    csti_tls_end(tls);
    SSL_free(tls->ssl);
    free(tls);
}

cst_code csti_tls_handshake(csti_tls *tls, cst_err *err) {
    cst_code code;
    int result;

    if (tls->ready) return CST_OK;
    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->ready = true;
        tls->waits_to_write = false;
        return CST_OK;
    }
    code = outcome(tls, result);
    return code == CST_AGAIN ? code : cst_fail(err, CST_TLS, "TLS handshake: %s", tls->why);
}

bool csti_tls_is_ready(const csti_tls *tls) {
    return tls->ready;
}

static ssize_t none(int failure) {
    errno = failure;
    return -1;
}

ssize_t csti_tls_recv(csti_tls *tls, void *to, size_t bytes) {
    size_t got = 0;
    cst_code code;

    if (!tls->ready) return none(ENOTCONN);
    if (tls->failure != CSTI_TLS_NONE) return none(EPROTO);
    if (tls->ended) return 0;
    ERR_clear_error();
    errno = 0;
    if (SSL_read_ex(tls->ssl, to, bytes, &got) == 1) return (ssize_t)got;
    code = outcome(tls, 0);
    if (code == CST_OK) return 0;
    return none(code == CST_AGAIN ? EAGAIN : EPROTO);
}

ssize_t csti_tls_send(csti_tls *tls, const void *from, size_t bytes) {
    size_t sent = 0;

    if (!tls->ready) return none(ENOTCONN);
    if (tls->failure != CSTI_TLS_NONE) return none(EPROTO);
    ERR_clear_error();
    errno = 0;
    if (SSL_write_ex(tls->ssl, from, bytes, &sent) == 1) return (ssize_t)sent;
    return none(outcome(tls, 0) == CST_AGAIN ? EAGAIN : EPROTO);
}

void csti_tls_end(csti_tls *tls) {
    if (!tls->ready || tls->failure != CSTI_TLS_NONE) return;
    (void)SSL_shutdown(tls->ssl); // one that it cannot say now is not waited for
    ERR_clear_error();
}

bool csti_tls_waits_to_write(const csti_tls *tls) {
    return tls->waits_to_write;
}

bool csti_tls_has_ended(const csti_tls *tls) {
    return tls->ended;
}

csti_tls_failure csti_tls_failure_of(const csti_tls *tls) {
    return tls->failure;
}

const char *csti_tls_why(const csti_tls *tls) {
    return tls->why;
}
