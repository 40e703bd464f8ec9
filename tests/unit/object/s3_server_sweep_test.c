#define _GNU_SOURCE 1 // strcasestr
#include "unit/object/s3_server.h"

#define UPLOADS(INNER) "<ListMultipartUploadsResult>" INNER "</ListMultipartUploadsResult>"
#define MORE(KEY, ID)                                                                              \
    "<IsTruncated>true</IsTruncated><NextKeyMarker>" KEY "</NextKeyMarker><NextUploadIdMarker>" ID \
    "</NextUploadIdMarker>"
#define UPLOAD(KEY, ID, BEGUN)                                                                     \
    "<Upload><Key>" KEY "</Key><UploadId>" ID "</UploadId><Initiated>" BEGUN "</Initiated></"      \
    "Upload>"
#define NOW "200 OK\r\nDate: Fri, 03 Jan 2031 10:00:00 GMT"

TEST(uploads_are_swept_on_every_page) {
    static const s3_reply replies[] = {
        {NOW, UPLOADS(MORE("p/a", "i 1") UPLOAD("p/a", "i 1", "2031-01-03T09:00:00.000Z"))},
        {NOW, UPLOADS(MORE("p/a", "i2") UPLOAD("p/a", "i2", "2031-01-01T09:00:00.000Z"))},
        {"204 No Content", NULL},
        {NOW, UPLOADS("<IsTruncated>false</IsTruncated>" UPLOAD("p/b", "i3",
                                                                "2031-01-01T09:00:00.000Z"))},
        {"204 No Content", NULL}};
    cst_object_store *store = s3_begin(replies);
    uint64_t swept = 0;

    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(swept, 2);
    CHECK_EQ(s3_asked_count(), 5);
    CHECK_ASKED(0, "GET /bkt?prefix=p%2F&uploads= ");
    CHECK_ASKED(1, "GET /bkt?key-marker=p%2Fa&prefix=p%2F&upload-id-marker=i%201&uploads= ");
    CHECK_ASKED(2, "DELETE /bkt/p/a?uploadId=i2 ");
    CHECK_ASKED(3, "upload-id-marker=i2&");
    CHECK_ASKED(4, "DELETE /bkt/p/b?uploadId=i3 ");
    s3_end(store);
}

TEST(a_list_of_uploads_without_an_end_is_refused) {
    static const s3_reply nowhere[] = {{NOW, UPLOADS("<IsTruncated>true</IsTruncated>")}};
    static const s3_reply again[] = {{NOW, UPLOADS(MORE("p/a", "i"))}};
    static const s3_reply back[] = {{NOW, UPLOADS(MORE("p/b", "i"))},
                                    {NOW, UPLOADS(MORE("p/a", "j"))}};
    cst_object_store *store = s3_begin(nowhere);

    CHECK_CODE(cst_object_sweep_uploads(store, NULL, NULL), CST_OBJECT_UNAVAILABLE);
    CHECK_EQ(s3_asked_count(), 1);
    s3_end(store);
    store = s3_begin(again);
    CHECK_CODE(cst_object_sweep_uploads(store, NULL, NULL), CST_OBJECT_UNAVAILABLE);
    CHECK_EQ(s3_asked_count(), 2);
    s3_end(store);
    store = s3_begin(back);
    CHECK_CODE(cst_object_sweep_uploads(store, NULL, NULL), CST_OBJECT_UNAVAILABLE);
    CHECK_EQ(s3_asked_count(), 2);
    s3_end(store);
}

TEST_MAIN
