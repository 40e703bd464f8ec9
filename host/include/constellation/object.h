// object.h: named byte strings that are written once: where checkpoints and metadata live.
//
//   cst_object_store ──► ops of its back end
//                          file:DIR   a folder; an object is a file
//                          s3:        a bucket; an object is a key (docs/s3.md)
//                          sim:       memory, with seeded faults; for tests and simulation
//
//   put if absent ──► CST_OK once, to one caller; CST_EXISTS to all others, for good
//
// A name is 1 to 512 bytes of [A-Za-z0-9._-], in parts of 1 to 255 separated by single '/'; no part
// begins with '.'. Names sort by bytes. A name that goes on behind another and a '/' is for neither
// of them to use: back ends may refuse it (CST_OBJECT_NAME).
//
// Promises   an object is there whole or not at all, also after kill -9 and power loss: what a put
//            or an upload said CST_OK to is durable. An if-absent put succeeds for one of all
//            callers in all processes. After an error nothing changed, but for
//            CST_OBJECT_AMBIGUOUS and CST_DEADLINE: it may have taken effect, or still take it.
// Thread     any, at the same time; an upload, and a body: one at a time.
// Ring       1: all calls block, up to their deadline.
// Owner      callers own ranges until the call returns; bodies are released by their reader.
// Errors     any call: CST_OBJECT_NAME, CST_OBJECT_UNAVAILABLE, CST_OBJECT_DENIED, CST_DEADLINE,
//            CST_IO (a write: a full or broken disk), CST_TLS, CST_NO_MEMORY; each function names
//            its own.
#ifndef CONSTELLATION_OBJECT_H
#define CONSTELLATION_OBJECT_H

#include <constellation/table.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CST_OBJECT_NAME_BYTES_MAX = 512, CST_OBJECT_ETAG_BYTES = 64 };

typedef struct cst_object_store cst_object_store;

typedef struct cst_object_store_options {
    uint64_t deadline_us;     // of each call; 0: 30 s
    bool allow_network_files; // file: on a network file system, whose locks and links may lie
} cst_object_store_options;

// Opens by URI; file: makes the folder if its parent exists. `options` may be NULL.
// CST_OBJECT_NAME: malformed, or a scheme this build does not have; CST_NOT_FOUND: no such parent;
// CST_OBJECT_REFUSED: a network file system. Whoever writes proves the store first (see
// cst_object_store_prove).
CST_API CST_CHECK_RESULT cst_code cst_object_store_open(const char *uri,
                                                        const cst_object_store_options *options,
                                                        cst_object_store **out, cst_err *err);
// Nothing of it is in use. NULL is allowed.
CST_API void cst_object_store_close(cst_object_store *store);
CST_API const char *cst_object_store_uri(const cst_object_store *store);
// Shows on probe objects, which it deletes, that conditional writes are honoured, alone and in a
// race of threads: CST_OBJECT_REFUSED says what the store did instead. A store that refuses if
// match and says so is good: such puts are CST_UNSUPPORTED afterwards.
CST_API CST_CHECK_RESULT cst_code cst_object_store_prove(cst_object_store *store, cst_err *err);
// Shows on a probe object that all kinds of requests are allowed: CST_OBJECT_DENIED names the right
// that misses. Stores whose rights are those of files ask nothing.
CST_API CST_CHECK_RESULT cst_code cst_object_store_rights(cst_object_store *store, cst_err *err);
// What proving found, for people; "" where there is nothing to say.
CST_API void cst_object_store_findings(cst_object_store *store, char *out, size_t capacity);

// ---- Write --------------------------------------------------------------------------------------

typedef enum cst_put_condition {
    CST_PUT_IF_ABSENT = 1, // CST_EXISTS
    CST_PUT_IF_MATCH = 2,  // CST_OBJECT_CONFLICT: it has another etag, or is not there.
                           // CST_UNSUPPORTED: the store cannot compare
    CST_PUT_REPLACE = 3,   // hints only
} cst_put_condition;

typedef struct cst_object_info {
    uint64_t bytes;
    char etag[CST_OBJECT_ETAG_BYTES]; // changes with every write of other bytes (s3:), or of any
    uint64_t nonce;                   // the writer's, of stores that can be ambiguous; else 0
} cst_object_info;

typedef struct cst_put_options {
    cst_put_condition condition;
    const char *etag; // IF_MATCH
    uint64_t nonce;   // random, of this one write: how an ambiguous one is settled. 0: none
} cst_put_options;

// The ranges, one behind the other. *info_out may be NULL.
CST_API CST_CHECK_RESULT cst_code cst_object_put(cst_object_store *store, const char *name,
                                                 const cst_bytes *ranges, size_t ranges_count,
                                                 const cst_put_options *options,
                                                 cst_object_info *info_out, cst_err *err);

// Many bytes, as they come; if absent. Nothing is visible before the finish.
typedef struct cst_object_upload cst_object_upload;
CST_API CST_CHECK_RESULT cst_code cst_object_upload_open(cst_object_store *store, const char *name,
                                                         uint64_t nonce, cst_object_upload **out,
                                                         cst_err *err);
// A cst_write: the context is the upload. `bytes` are the caller's again when it returns.
CST_API CST_CHECK_RESULT cst_code cst_object_upload_write(void *upload, const void *bytes,
                                                          size_t count, cst_err *err);
// The same, and `bytes` stay as they are until the upload is finished or aborted: a back end keeps
// where they lie, and need not copy them.
CST_API CST_CHECK_RESULT cst_code cst_object_upload_refer(void *upload, const void *bytes,
                                                          size_t count, cst_err *err);
// CST_EXISTS. Closes the upload, whatever it returns.
CST_API CST_CHECK_RESULT cst_code cst_object_upload_finish(cst_object_upload *upload,
                                                           cst_object_info *info_out, cst_err *err);
// Leaves nothing behind. NULL is allowed.
CST_API void cst_object_upload_abort(cst_object_upload *upload);

// A missing one is CST_OK. After a power loss it may be there again.
CST_API CST_CHECK_RESULT cst_code cst_object_delete(cst_object_store *store, const char *name,
                                                    cst_err *err);

// ---- Read ---------------------------------------------------------------------------------------

typedef struct cst_object_body {
    const uint8_t *bytes; // 64-byte aligned; never NULL
    size_t count;
    cst_object_info info; // of the whole object
    void *handle;         // the back end's; NULL: nothing to release
} cst_object_body;

// Bytes [offset, offset + count) or fewer, where the object ends before; count UINT64_MAX: to its
// end. CST_NOT_FOUND. CST_LIMIT: offset lies behind the end.
CST_API CST_CHECK_RESULT cst_code cst_object_get(cst_object_store *store, const char *name,
                                                 uint64_t offset, uint64_t count,
                                                 cst_object_body *out, cst_err *err);
CST_API void cst_object_body_release(cst_object_store *store, cst_object_body *body);
// CST_NOT_FOUND.
CST_API CST_CHECK_RESULT cst_code cst_object_head(cst_object_store *store, const char *name,
                                                  cst_object_info *out, cst_err *err);

// Sees a name until it returns; true goes on.
typedef bool (*cst_object_visit)(void *context, const char *name, const cst_object_info *info);
// Names that begin with `prefix` and sort behind `after` (NULL: from the first), in order. What is
// written or deleted meanwhile may be seen or not. info->etag may be empty, the nonce 0.
CST_API CST_CHECK_RESULT cst_code cst_object_list(cst_object_store *store, const char *prefix,
                                                  const char *after, cst_object_visit visit,
                                                  void *context, cst_err *err);
// What uploads that were never finished left behind; those of live writers are let be.
// *swept_out may be NULL.
CST_API CST_CHECK_RESULT cst_code cst_object_sweep_uploads(cst_object_store *store,
                                                           uint64_t *swept_out, cst_err *err);

#ifdef __cplusplus
}
#endif
#endif
