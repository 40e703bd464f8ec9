// s3_multipart.h: what uploads in parts share with those who sweep them.
//
// Thread     any.
// Ring       1.
#ifndef CST_OBJECT_S3_MULTIPART_H
#define CST_OBJECT_S3_MULTIPART_H

#include "object/s3_request.h"

enum { CSTI_S3_UPLOAD_ID_BYTES = 1024 };

// s3.c. `nonce` or, where that is 0, a random one.
CST_CHECK_RESULT cst_code csti_s3_nonce_draw(uint64_t nonce, uint64_t *out, char text[17],
                                             cst_err *err);
// Who wrote what is there now, after an answer to `call` that does not tell.
CST_CHECK_RESULT cst_code csti_s3_settle(csti_s3_store *store, csti_s3_call *call, uint64_t nonce,
                                         cst_put_condition condition, cst_object_info *info_out,
                                         cst_err *err);
// s3_multipart.c. `nonce`: its text, or NULL. All parts go by the one `vouch`.
CST_CHECK_RESULT cst_code csti_s3_upload_begin(csti_s3_store *store, const char *name,
                                               const char *nonce, csti_s3_vouch vouch,
                                               char id[CSTI_S3_UPLOAD_ID_BYTES], cst_err *err);
// What "complete" wants to know of a part.
typedef struct csti_s3_part_mark {
    char etag[CST_OBJECT_ETAG_BYTES];
    char crc[CSTI_S3_CRC_BYTES]; // "": it was signed
} csti_s3_part_mark;
// call->name, if absent. CST_NO_MEMORY; else what came of it is in call->fault, and call is to be
// cleared.
CST_CHECK_RESULT cst_code csti_s3_complete(csti_s3_store *store, csti_s3_call *call, const char *id,
                                           const csti_s3_part_mark *marks, uint32_t marks_count,
                                           bool conditional, cst_err *err);
// s3_sweep.c. Takes the parts of an upload that nobody completes; one that is gone is CST_OK. An
// abort may leave it to a sweep.
cst_code csti_s3_upload_drop(csti_s3_store *store, const char *name, const char *id, cst_err *err);

#endif
