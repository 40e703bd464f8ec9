// tls_internal.h: what the files of TLS share.
//
//   tls_context.c   files, what is trusted, which versions
//   tls.c           one connection
//
// Thread     as tls.h.
// Ring       1.
#ifndef CST_STREAM_TLS_INTERNAL_H
#define CST_STREAM_TLS_INTERNAL_H

#include "stream/tls.h"

#include <openssl/ssl.h>

struct csti_tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *sockets;
    bool is_server;
    char *server; // client: whose certificate it has to be
};

// ---- tls.c
// How bytes come from a connection's socket and go there.
BIO_METHOD *csti_tls_sockets_make(void); // NULL: no memory

#endif
