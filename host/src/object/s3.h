// s3.h: the store that is a bucket. An object is a key of the prefix, and the same bytes.
//
//   s3.c ──► put, head, delete, upload ─┐
//   s3_get.c, s3_ahead.c, s3_list.c ────┼─► s3_request.c: sign, send, judge, ask again
//   s3_delete.c, s3_multipart.c ────────┘        │        │
//                             s3_sign.c ◄────────┘        └──► s3_http.c: the loop
//                             s3_credentials.c                 s3_error.c, s3_xml.c: answers
//
//   put ─► 200                                   CST_OK
//       ─► 412, or nothing certain ─► HEAD ─► the nonce is ours            CST_OK
//                                          ─► another's                    CST_EXISTS
//                                          ─► absent, unknown              CST_OBJECT_AMBIGUOUS
//
// Every put carries a nonce as metadata. A 412 alone does not say who was first: libcurl, a proxy
// or we ourselves may have sent the same put before.
//
// Etag       the server's, without quotes. Servers make it of the bytes: the same bytes may have
//            the same one.
// Promises   at most `connections` requests at once, fewer while the server is slow; a request is
//            repeated only where that changes nothing: reads, deletes, puts with a condition or to
//            a name that is a hint, parts of an upload.
//            Bodies up to CSTI_S3_SIGNED_BYTES_MAX, and with them all that decides, are always
//            signed.
// Thread     any.
#ifndef CST_OBJECT_S3_H
#define CST_OBJECT_S3_H

#include "object/ahead.h"
#include "object/s3_blocks.h"
#include "object/s3_buffers.h"
#include "object/s3_credentials.h"
#include "object/s3_sign.h"
#include "object/s3_uri.h"

// How the server wants an etag in If-Match; found out by proving the store.
typedef enum csti_s3_match {
    CSTI_S3_MATCH_QUOTED, // as HTTP has it
    CSTI_S3_MATCH_PLAIN,  // Ceph 16 compares with the quotes, if there are any
    CSTI_S3_MATCH_NONE,
} csti_s3_match;

// What a server can tell a body by that changed on its way.
typedef enum csti_s3_vouch {
    CSTI_S3_SIGNED, // its SHA-256, which is signed
    CSTI_S3_CRC32C, // its CRC32C, which the server was seen to check; the body is not signed
} csti_s3_vouch;

// What a server makes of something beyond plain puts; found out by s3_probe.c.
typedef enum csti_s3_seen {
    CSTI_S3_NOT_TRIED,
    CSTI_S3_HONOURED,
    CSTI_S3_PASSED_OVER, // it answers as if it had not been asked
    CSTI_S3_DECLINED,    // and says so
} csti_s3_seen;

typedef struct csti_s3_store {
    cst_object_store base;
    csti_s3_uri uri;
    csti_s3_http *http;
    csti_s3_credentials *credentials;
    uint32_t page_keys;            // of a list; 0: as many as the server likes. Tests make it small
    bool amazon;                   // no endpoint was given: it follows from the region
    bool virtual_host;             // the bucket is in the host's name
    bool may_be_unsigned;          // nobody between can change a body, or is said not to
    csti_s3_blocks blocks;         // of bodies
    csti_s3_buffers buffers;       // of uploads
    _Atomic bool last_was_large;   // of the objects that were read whole; a guess at the next one
    _Atomic bool whole_was_unsure; // of one without a range it was not sure that it was the object
    _Atomic uint64_t ahead_bytes;  // asked for by readers ahead, and not there yet
    pthread_mutex_t mutex;         // of what follows
    char origin[CSTI_S3_PLACE_BYTES]; // "http://127.0.0.1:8480"
    char region[CSTI_S3_WORD_BYTES];
    csti_s3_signer signer;
    char signer_access[CSTI_S3_ACCESS_BYTES];
    int64_t skew_us; // the server's clock less ours
    uint32_t retries_left;
    csti_s3_match match;
    bool no_batches;     // the server does not delete many at once
    csti_s3_vouch large; // by what large bodies go
    csti_s3_seen sha256_checked;
    csti_s3_seen crc32c_checked;
    csti_s3_seen complete_condition; // If-None-Match when an upload is completed
} csti_s3_store;

enum { CSTI_S3_SIGNED_BYTES_MAX = 64 << 10 };

static inline csti_s3_store *csti_s3_self(cst_object_store *store) {
    return (csti_s3_store *)store;
}

cst_code csti_s3_head(cst_object_store *store, const char *name, cst_object_info *out,
                      cst_err *err);
cst_code csti_s3_put(cst_object_store *store, const char *name, const cst_bytes *ranges,
                     size_t ranges_count, const cst_put_options *options, cst_object_info *info_out,
                     cst_err *err);
// s3_get.c
cst_code csti_s3_get(cst_object_store *store, const char *name, uint64_t offset, uint64_t count,
                     cst_object_body *out, cst_err *err);
void csti_s3_body_release(cst_object_store *store, cst_object_body *body);
// s3_ahead.c
cst_code csti_s3_ahead_open(cst_object_store *store, const csti_ahead_want *wants, size_t count,
                            void **out, cst_err *err);
cst_code csti_s3_ahead_body(void *ahead, size_t number, cst_object_body *out, cst_err *err);
cst_code csti_s3_ahead_wait(void *ahead, size_t number, uint64_t bytes, cst_err *err);
void csti_s3_ahead_close(void *ahead);
// s3_probe.c
cst_code csti_s3_probe(cst_object_store *store, const char *folder, cst_err *err);
void csti_s3_findings(cst_object_store *store, char *out, size_t capacity);
// s3_rights.c
cst_code csti_s3_rights(cst_object_store *store, cst_err *err);
// s3_list.c
cst_code csti_s3_list(cst_object_store *store, const char *prefix, const char *after,
                      cst_object_visit visit, void *context, cst_err *err);
// s3_delete.c
cst_code csti_s3_remove_many(cst_object_store *store, const char *const *names, size_t count,
                             bool *deleted, cst_err *err);
size_t csti_s3_remove_count(cst_object_store *store);
// s3_multipart.c
cst_code csti_s3_upload_open(cst_object_store *store, const char *name, uint64_t nonce,
                             cst_object_upload **out, cst_err *err);
cst_code csti_s3_upload_write(cst_object_upload *upload, const void *bytes, size_t count,
                              cst_err *err);
cst_code csti_s3_upload_refer(cst_object_upload *upload, const void *bytes, size_t count,
                              cst_err *err);
cst_code csti_s3_upload_finish(cst_object_upload *upload, cst_object_info *info_out, cst_err *err);
void csti_s3_upload_abort(cst_object_upload *upload);
cst_code csti_s3_sweep(cst_object_store *store, uint64_t *swept_out, cst_err *err);

#endif
