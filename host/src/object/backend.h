// backend.h: what a store's back end is: a struct of functions, and the heads of its objects.
//
//   object.h              object.c                             file.c, s3.c, sim.c
//   cst_object_put ─────► checks names, options, ranges ─────► ops->put
//
// Promises   a back end sees checked names and options, and an info it may write to.
// Thread     as object.h says.
// Ring       1.
// Owner      a back end allocates its objects with these heads first, and frees them.
// Errors     as object.h says.
#ifndef CST_OBJECT_BACKEND_H
#define CST_OBJECT_BACKEND_H

#include <constellation/object.h>

enum { CSTI_OBJECT_PART_BYTES_MAX = 255 };

typedef struct csti_ahead_want csti_ahead_want;

typedef struct csti_object_ops {
    const char *scheme;
    // How a store of this kind is proved: how many at once race for a name, and how often.
    uint32_t racers;
    uint32_t rounds;
    bool is_remote; // behind servers that may be others tomorrow: it is proved at every start
    // `place` is what follows the scheme's colon.
    cst_code (*open)(const char *place, const cst_object_store_options *options,
                     cst_object_store **out, cst_err *err);
    void (*close)(cst_object_store *store);
    cst_code (*put)(cst_object_store *store, const char *name, const cst_bytes *ranges,
                    size_t ranges_count, const cst_put_options *options, cst_object_info *info_out,
                    cst_err *err);
    cst_code (*upload_open)(cst_object_store *store, const char *name, uint64_t nonce,
                            cst_object_upload **out, cst_err *err);
    cst_code (*upload_write)(cst_object_upload *upload, const void *bytes, size_t count,
                             cst_err *err);
    // The bytes stay until finish or abort. NULL: upload_write copies nothing that stays.
    cst_code (*upload_refer)(cst_object_upload *upload, const void *bytes, size_t count,
                             cst_err *err);
    cst_code (*upload_finish)(cst_object_upload *upload, cst_object_info *info_out, cst_err *err);
    void (*upload_abort)(cst_object_upload *upload);
    cst_code (*remove)(cst_object_store *store, const char *name, cst_err *err);
    // Many in one request: deleted[i] is set where the store says that names[i] is gone; the others
    // are left to `remove`, which says why they stay. NULL: there is no such request.
    cst_code (*remove_many)(cst_object_store *store, const char *const *names, size_t count,
                            bool *deleted, cst_err *err);
    // How many it is worth to bring at once; 1 where the store turned out to have none. NULL: 1.
    size_t (*remove_count)(cst_object_store *store);
    cst_code (*get)(cst_object_store *store, const char *name, uint64_t offset, uint64_t count,
                    cst_object_body *out, cst_err *err);
    void (*body_release)(cst_object_store *store, cst_object_body *body);
    // ahead.h. NULL, all four: an object is at hand as soon as it is asked for.
    cst_code (*ahead_open)(cst_object_store *store, const csti_ahead_want *wants, size_t count,
                           void **out, cst_err *err);
    // CST_AGAIN: the object is not as it was described: `get` says what it is.
    cst_code (*ahead_body)(void *ahead, size_t number, cst_object_body *out, cst_err *err);
    cst_code (*ahead_wait)(void *ahead, size_t number, uint64_t bytes, cst_err *err);
    void (*ahead_close)(void *ahead);
    cst_code (*head)(cst_object_store *store, const char *name, cst_object_info *out, cst_err *err);
    cst_code (*list)(cst_object_store *store, const char *prefix, const char *after,
                     cst_object_visit visit, void *context, cst_err *err);
    cst_code (*sweep_uploads)(cst_object_store *store, uint64_t *swept_out, cst_err *err);
    // If match was refused although the etag is right. true: it now goes by another form, and is
    // worth a try; false: there is none left, and if match is CST_UNSUPPORTED. NULL: false.
    bool (*match_other)(cst_object_store *store);
    // Each kind of request once, on a probe: CST_OBJECT_DENIED names the right that misses. NULL:
    // there is nothing to ask.
    cst_code (*rights)(cst_object_store *store, cst_err *err);
    // What else it can do, tried on objects in `folder`, behind its proof: nothing it lacks is an
    // error. NULL: there is nothing to try.
    cst_code (*probe)(cst_object_store *store, const char *folder, cst_err *err);
    // Memory that uploads hold now, and have held at most. NULL: none to speak of.
    void (*buffered)(cst_object_store *store, uint64_t *bytes_out, uint64_t *most_out);
    // What proving found, for people. NULL: nothing to say.
    void (*findings)(cst_object_store *store, char *out, size_t capacity);
} csti_object_ops;

enum { CSTI_OBJECT_RACERS_MAX = 16, CSTI_OBJECT_DELETE_MAX = 1000 };

extern const csti_object_ops csti_object_file;
extern const csti_object_ops csti_object_s3;
extern const csti_object_ops csti_object_sim;

struct cst_object_store {
    const csti_object_ops *ops;
    char *uri; // freed by close in object.c
    uint64_t deadline_us;
};

struct cst_object_upload {
    cst_object_store *store;
    uint64_t nonce;
    char name[CST_OBJECT_NAME_BYTES_MAX + 1];
};

// Whether the store is to be proved at every start, and not only where it is new.
static inline bool csti_object_store_is_remote(const cst_object_store *store) {
    return store->ops->is_remote;
}

// How many names a call of csti_object_delete_many is best given.
size_t csti_object_delete_count(cst_object_store *store);
// All of them, in no order. A missing one is CST_OK. After an error some may be there still.
CST_CHECK_RESULT cst_code csti_object_delete_many(cst_object_store *store, const char *const *names,
                                                  size_t count, cst_err *err);

static inline void csti_object_store_buffered(cst_object_store *store, uint64_t *bytes_out,
                                              uint64_t *most_out) {
    *bytes_out = *most_out = 0;
    if (store->ops->buffered) store->ops->buffered(store, bytes_out, most_out);
}

// Whether the name keeps object.h's rules.
bool csti_object_name_is_good(const char *name);

#endif
