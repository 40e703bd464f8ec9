// file.h: the store that is a folder. An object is a file of the same name and the same bytes.
//
//   DIR/checkpoints/00000000000000000017/manifest-3-5e1f      an object
//   DIR/.tmp/9c0ffee09c0ffee0                                 being written; its writer locks it
//   DIR/.lock                                                 byte crc32c(name): that name is being
//                                                             compared or deleted; never unlinked
//   DIR/.owner                                                not ours: who runs the job of it
//                                                             locks it (server/job_lock.c)
//
//   put, upload   temporary ─► write ─► fsync ─► folders, each fsynced ─► link ─► folder fsync
//                                                     link fails if the name is there
//   if match      lock of the name ─► compare etag ─► rename over it ─► folder fsync
//   delete        lock of the name ─► unlink; then folders that are empty
//
// A folder may vanish between its making and the link (a delete took it away, empty): the link then
// fails for want of it, and the folders are made again.
//
// Etag       inode, modification time and size. A write sets the time itself: to now, and always
//            above that of what it replaces, so no value comes twice.
// Promises   nothing waits for a lock but if-match and delete, for those of the same name.
#ifndef CST_OBJECT_FILE_H
#define CST_OBJECT_FILE_H

#include "object/backend.h"

#include <sys/stat.h>

#define CSTI_FILE_TEMPORARIES ".tmp"
#define CSTI_FILE_LOCK ".lock"

typedef struct csti_file_store {
    cst_object_store base;
    int root; // DIR, open
    char *folder;
} csti_file_store;

static inline csti_file_store *csti_file_self(cst_object_store *store) {
    return (csti_file_store *)store;
}

// From errno to a code and a sentence. `what` is the step that failed.
cst_code csti_file_fail(const csti_file_store *store, const char *name, const char *what, int error,
                        cst_err *err);
void csti_file_info(const struct stat *status, cst_object_info *out);
// Takes the lock of a name; *fd_out is closed to let it go. CST_DEADLINE.
cst_code csti_file_lock(csti_file_store *store, const char *name, int *fd_out, cst_err *err);
// Removes the folders above a name that are empty.
void csti_file_prune(const csti_file_store *store, const char *name);
// The name of a network file system by its statfs number; NULL: a local one.
const char *csti_file_network(uint64_t number);

// file_write.c
cst_code csti_file_put(cst_object_store *store, const char *name, const cst_bytes *ranges,
                       size_t ranges_count, const cst_put_options *options,
                       cst_object_info *info_out, cst_err *err);
cst_code csti_file_upload_open(cst_object_store *store, const char *name, uint64_t nonce,
                               cst_object_upload **out, cst_err *err);
cst_code csti_file_upload_write(cst_object_upload *upload, const void *bytes, size_t count,
                                cst_err *err);
cst_code csti_file_upload_finish(cst_object_upload *upload, cst_object_info *info_out,
                                 cst_err *err);
void csti_file_upload_abort(cst_object_upload *upload);
cst_code csti_file_sweep(cst_object_store *store, uint64_t *swept_out, cst_err *err);
// file_list.c
cst_code csti_file_list(cst_object_store *store, const char *prefix, const char *after,
                        cst_object_visit visit, void *context, cst_err *err);

#endif
