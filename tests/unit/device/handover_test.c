// From a table on a device to the store: what a seal leaves is what is sent, from where it lies.
#define _GNU_SOURCE 1 // strcasestr
#define S3_SERVER_REQUESTS 8
#define S3_SERVER_REQUEST_BYTES (9 << 20)
#include "copies.h"
#include "state/segment_format.h"
#include "table/internal.h"
#include "unit/checkpoint/job.h"
#include "unit/device/fixture.h"
#include "unit/object/folder.h"
#include "unit/object/s3_server.h"

enum { ROWS = 4096, RANGES_MAX = 64 };

#define WRITTEN "200 OK\r\nETag: \"e1\""

static const char *const uris[] = {"cpu:", "opencl:" FIXTURE_SIM};

// A table with an epoch sealed, and a job that is to upload it.
typedef struct handover {
    fixture on;
    fixture_rows *rows;
    test_job *job;
    csti_cut cut;
    cst_bytes ranges[RANGES_MAX];
} handover;

// False: the device is not on this machine.
static bool handover_open(handover *h, const char *uri) {
    cst_table_options options = fixture_options();
    cst_device *device = NULL;
    cst_err err = {0};
    const cst_code code = cst_device_open(uri, &device, &err);

    cst_device_close(device);
    if (code == CST_UNSUPPORTED) printf("%s; ", err.text);
    if (code == CST_UNSUPPORTED) return false;
    h->job = job_open(1);
    options.program = h->job->options.identity.program;
    options.hash_key = h->job->options.identity.hash_key;
    fixture_open_options(&h->on, uri, &options);
    h->rows = fixture_rows_make(ROWS, 1);
    const cst_command apply = fixture_apply(&h->on, h->rows);
    (void)fixture_run(&h->on, &apply);
    return true;
}

static void handover_close(handover *h) {
    fixture_close(&h->on);
    free(h->rows);
    job_close(h->job);
}

// Nothing but the device writes what is sealed.
static void seal(handover *h) {
    const cst_command barrier = {.ops = CST_OP_BARRIER, .table = h->on.table};
    const cst_table *view = cst_device_table_view(h->on.table);
    const cst_bytes log = {view->log, view->pages[CSTI_REGION_LOG].reserved_bytes};
    cst_completion done;
    size_t count = 0;

    copies_watch(&log, 1);
    done = fixture_run(&h->on, &barrier);
    CHECK_EQ(atomic_load(&copies.in), 0);
    CHECK_EQ(atomic_load(&copies.out), 0);
    cst_table_delta_ranges(view, &done.delta, h->ranges, RANGES_MAX, &count);
    CHECK(count > 1 && count <= RANGES_MAX);
    CHECK(done.delta.to - done.delta.from >= ROWS * 48);
    h->cut = (csti_cut){.epoch = 1,
                        .ranges = {h->ranges},
                        .ranges_count = {count},
                        .delta_bytes = done.delta.to - done.delta.from,
                        .watermark_us = 1,
                        .rows_count = ROWS};
}

static void upload(handover *h, cst_object_store *store) {
    test_job *job = h->job;
    uint64_t id;

    csti_checkpointer_close(job->c);
    job->options.store = store;
    JOB_OK(csti_checkpointer_open(&job->options, &job->c, &job->err));
    id = job_begin(job);
    job_sources(job, id);
    JOB_OK(csti_checkpointer_partition(job->c, id, 0, &h->cut, &job->err));
    copies_watch(h->ranges, h->cut.ranges_count[0]);
    JOB_OK(job_upload(job, 0));
    csti_checkpointer_close(job->c);
    job->c = NULL;
}

// What is behind a segment's header is the delta.
static void body_check(const handover *h, const uint8_t *bytes, size_t count) {
    CHECK(count > CSTI_SEGMENT_HEADER_BYTES + h->cut.delta_bytes);
    bytes += CSTI_SEGMENT_HEADER_BYTES;
    for (size_t i = 0; i < h->cut.ranges_count[0]; i++) {
        CHECK_BYTES(bytes, h->ranges[i].data, h->ranges[i].count);
        bytes += h->ranges[i].count;
    }
}

static bool on_name(void *context, const char *name, const cst_object_info *info) {
    (void)info;
    (void)snprintf(context, CST_OBJECT_NAME_BYTES_MAX + 1, "%s", name);
    return true;
}

TEST(a_sealed_delta_goes_into_a_file_from_where_it_lies) {
    for (size_t u = 0; u < sizeof uris / sizeof *uris; u++) {
        const test_folder folder = folder_make();
        cst_object_store *store = folder_store(&folder);
        char name[CST_OBJECT_NAME_BYTES_MAX + 1];
        cst_object_body body;
        handover h = {0};

        if (handover_open(&h, uris[u])) {
            seal(&h);
            upload(&h, store);
            CHECK_EQ(atomic_load(&copies.out), 0);
            CHECK_EQ(atomic_load(&copies.written), h.cut.delta_bytes);
            CHECK_OK(cst_object_list(store, "checkpoints/", NULL, on_name, name, NULL));
            CHECK_OK(cst_object_get(store, name, 0, UINT64_MAX, &body, NULL));
            body_check(&h, body.bytes, body.count);
            cst_object_body_release(store, &body);
            handover_close(&h);
        }
        cst_object_store_close(store);
        folder_remove(&folder);
    }
}

// The body of what the server was asked.
static const uint8_t *asked_body(size_t at, size_t *count_out) {
    const char *text = s3_server.asked[at];
    const char *length = strcasestr(text, "\r\nContent-Length:");

    CHECK(length);
    *count_out = strtoull(length + 17, NULL, 10);
    return (const uint8_t *)strstr(text, "\r\n\r\n") + 4;
}

// libcurl takes a body into a buffer of its own, and in no other way: that is the one copy.
TEST(a_sealed_delta_goes_to_a_bucket_from_where_it_lies) {
    static const s3_reply replies[] = {{WRITTEN, ""}};

    for (size_t u = 0; u < sizeof uris / sizeof *uris; u++) {
        cst_object_store *store = s3_begin(replies);
        handover h = {0};

        if (handover_open(&h, uris[u])) {
            const uint8_t *body;
            size_t count;

            seal(&h);
            upload(&h, store);
            CHECK_EQ(atomic_load(&copies.sent), h.cut.delta_bytes);
            CHECK_EQ(atomic_load(&copies.out), h.cut.delta_bytes);
            CHECK_EQ(s3_asked_count(), 1);
            body = asked_body(0, &count);
            body_check(&h, body, count);
            handover_close(&h);
        }
        s3_end(store);
    }
}

enum { PIECE_BYTES = 1 << 20, PIECES = 12, HEAD_BYTES = 100 };
#define ALL_BYTES "12583012" // HEAD_BYTES + PIECES * PIECE_BYTES

#define NAMED                                                                                      \
    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
#define MULTIPART                                                                                  \
    {"200 OK", NAMED}, {WRITTEN, ""}, {WRITTEN, ""}, {"404 Not Found", NULL}, {"200 OK", NULL},    \
        {"200 OK", "<CompleteMultipartUploadResult/>"}, {                                          \
        "200 OK\r\nETag: \"e1\"\r\nContent-Length: " ALL_BYTES                                     \
        "\r\nx-amz-meta-constellation-nonce: 0000000000000001",                                    \
            NULL                                                                                   \
    }

// What was given is behind what was copied, whole, across parts.
static void parts_check(const uint8_t *pieces) {
    static uint8_t all[HEAD_BYTES + PIECES * PIECE_BYTES];
    size_t at = 0;

    for (size_t number = 1; number <= 2; number++) {
        char wanted[32];
        size_t asked = 1, count;
        const uint8_t *body;

        (void)snprintf(wanted, sizeof wanted, "?partNumber=%zu&", number);
        while (!s3_asked(asked, wanted)) asked++;
        body = asked_body(asked, &count);
        CHECK(at + count <= sizeof all);
        memcpy(all + at, body, count);
        at += count;
    }
    CHECK_EQ(at, sizeof all);
    for (size_t i = 0; i < HEAD_BYTES; i++) CHECK_EQ(all[i], 'h');
    CHECK_BYTES(all + HEAD_BYTES, pieces, PIECES * PIECE_BYTES);
}

TEST(parts_are_sent_from_where_they_lie_beside_what_was_copied) {
    static const s3_reply replies[] = {MULTIPART};
    cst_object_store *store = s3_begin(replies);
    const size_t bytes = (size_t)PIECES * PIECE_BYTES;
    uint8_t *pieces = malloc(bytes);
    cst_object_upload *upload = NULL;
    char head[HEAD_BYTES];
    cst_err err = {0};

    CHECK(pieces);
    memset(head, 'h', sizeof head);
    for (size_t i = 0; i < bytes; i++) pieces[i] = (uint8_t)(i % 251);
    copies_watch(&(cst_bytes){pieces, bytes}, 1);
    CHECK_OK(cst_object_upload_open(store, "a", 1, &upload, &err));
    CHECK_OK(cst_object_upload_write(upload, head, sizeof head, &err));
    memset(head, '-', sizeof head); // the caller's again
    for (size_t i = 0; i < PIECES; i++)
        CHECK_OK(cst_object_upload_refer(upload, pieces + i * PIECE_BYTES, PIECE_BYTES, &err));
    if (cst_object_upload_finish(upload, NULL, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_EQ(atomic_load(&copies.sent), bytes);
    CHECK_EQ(atomic_load(&copies.out), bytes);
    parts_check(pieces);
    s3_end(store);
    free(pieces);
}

TEST_MAIN
