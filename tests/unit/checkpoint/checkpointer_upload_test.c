// checkpointer_upload_test.c: ranges go out by reference, on a store that reads them at the end.
#include "unit/checkpoint/job.h"

enum { PIECES_MAX = 64 };

// In front of the job's store: what is uploaded is looked at when the upload is finished.
typedef struct late_store {
    cst_object_store base;
    cst_object_store *inner;
    csti_object_ops ops;
    uint64_t by_reference; // pieces that lie in an epoch's records
    const bytes_sink *records;
} late_store;

typedef struct late_upload {
    cst_object_upload base;
    cst_bytes pieces[PIECES_MAX];
    size_t count;
} late_upload;

static late_store *late(cst_object_store *store) {
    return (late_store *)store;
}

static cst_code late_open(cst_object_store *store, const char *name, uint64_t nonce,
                          cst_object_upload **out, cst_err *err) {
    late_upload *upload = calloc(1, sizeof *upload);

    (void)store;
    (void)name;
    (void)nonce;
    (void)err;
    CHECK(upload);
    *out = &upload->base;
    return CST_OK;
}

static cst_code late_write(cst_object_upload *base, const void *bytes, size_t count, cst_err *err) {
    late_upload *upload = (late_upload *)base;
    late_store *store = late(base->store);
    const bytes_sink *records = store->records;

    (void)err;
    CHECK(upload->count < PIECES_MAX);
    upload->pieces[upload->count++] = (cst_bytes){bytes, count};
    store->by_reference += bytes == records->bytes && count == records->count;
    return CST_OK;
}

static cst_code late_finish(cst_object_upload *base, cst_object_info *info_out, cst_err *err) {
    late_upload *upload = (late_upload *)base;
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = base->nonce};
    const cst_code code = cst_object_put(late(base->store)->inner, base->name, upload->pieces,
                                         upload->count, &options, info_out, err);

    free(upload);
    return code;
}

static void late_abort(cst_object_upload *base) {
    free(base);
}

static cst_code late_put(cst_object_store *store, const char *name, const cst_bytes *ranges,
                         size_t ranges_count, const cst_put_options *options,
                         cst_object_info *info_out, cst_err *err) {
    return cst_object_put(late(store)->inner, name, ranges, ranges_count, options, info_out, err);
}

static cst_code late_get(cst_object_store *store, const char *name, uint64_t offset, uint64_t count,
                         cst_object_body *out, cst_err *err) {
    return cst_object_get(late(store)->inner, name, offset, count, out, err);
}

static void late_release(cst_object_store *store, cst_object_body *body) {
    cst_object_body_release(late(store)->inner, body);
}

TEST(ranges_go_out_as_they_lie_and_stay_until_the_upload_is_finished) {
    test_job *job = job_open(1);
    late_store front = {.inner = job->store,
                        .ops = {.scheme = "late",
                                .upload_open = late_open,
                                .upload_write = late_write,
                                .upload_finish = late_finish,
                                .upload_abort = late_abort,
                                .put = late_put,
                                .get = late_get,
                                .body_release = late_release},
                        .records = &job->epochs[0][0].records};

    front.base = (cst_object_store){.ops = &front.ops, .uri = job->store->uri};
    csti_checkpointer_close(job->c);
    job->options.store = &front.base;
    job->options.meta = job->meta;
    JOB_OK(csti_checkpointer_open(&job->options, &job->c, &job->err));
    job_checkpoint(job);
    CHECK_EQ(front.by_reference, 1);
    job_check_all_committed(job); // read through the other door
    job_close(job);
}

TEST_MAIN
