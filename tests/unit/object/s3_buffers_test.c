#include "object/s3_buffers.h"

#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MIB = 1 << 20, UPLOADS = 6, PARTS = 200 };

TEST(all_of_both_sizes_are_the_bound) {
    csti_s3_buffers buffers;
    uint64_t bytes, most;

    csti_s3_buffers_open(&buffers, 32);
    for (int i = 0; i < 4; i++) CHECK(csti_s3_buffers_try(&buffers, CSTI_S3_SMALL));
    CHECK(!csti_s3_buffers_try(&buffers, CSTI_S3_SMALL));
    for (int i = 0; i < 3; i++) CHECK(csti_s3_buffers_try(&buffers, CSTI_S3_LARGE));
    CHECK(!csti_s3_buffers_try(&buffers, CSTI_S3_LARGE));
    csti_s3_buffers_held(&buffers, &bytes, &most);
    CHECK_EQ(bytes, (4 + 3 * 8) * MIB);
    for (int i = 0; i < 4; i++) csti_s3_buffers_give(&buffers, CSTI_S3_SMALL);
    for (int i = 0; i < 3; i++) csti_s3_buffers_give(&buffers, CSTI_S3_LARGE);
    csti_s3_buffers_held(&buffers, &bytes, &most);
    CHECK_EQ(bytes, 0);
    CHECK_EQ(most, (4 + 3 * 8) * MIB);
    csti_s3_buffers_close(&buffers);
}

TEST(the_least_bound_has_one_part) {
    csti_s3_buffers buffers;

    csti_s3_buffers_open(&buffers, CSTI_S3_BUFFERS_MIB_MIN);
    CHECK(csti_s3_buffers_try(&buffers, CSTI_S3_SMALL));
    CHECK(csti_s3_buffers_try(&buffers, CSTI_S3_LARGE));
    csti_s3_buffers_give(&buffers, CSTI_S3_LARGE);
    csti_s3_buffers_give(&buffers, CSTI_S3_SMALL);
    csti_s3_buffers_close(&buffers);
}

// As an upload does: a small one, and with it in hand a large one; then large ones alone.
static void *upload_run(void *context) {
    csti_s3_buffers *buffers = context;

    csti_s3_buffers_wait(buffers, CSTI_S3_SMALL);
    (void)sched_yield();
    csti_s3_buffers_wait(buffers, CSTI_S3_LARGE);
    csti_s3_buffers_give(buffers, CSTI_S3_SMALL);
    for (int part = 1; part < PARTS; part++) {
        csti_s3_buffers_give(buffers, CSTI_S3_LARGE);
        csti_s3_buffers_wait(buffers, CSTI_S3_LARGE);
        (void)sched_yield();
    }
    csti_s3_buffers_give(buffers, CSTI_S3_LARGE);
    return NULL;
}

TEST(more_uploads_than_buffers_all_come_to_their_end) {
    pthread_t threads[UPLOADS];
    csti_s3_buffers buffers;
    uint64_t bytes, most;

    csti_s3_buffers_open(&buffers, CSTI_S3_BUFFERS_MIB_MIN);
    for (int i = 0; i < UPLOADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, upload_run, &buffers), 0);
    for (int i = 0; i < UPLOADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    csti_s3_buffers_held(&buffers, &bytes, &most);
    CHECK_EQ(bytes, 0);
    CHECK(most <= CSTI_S3_BUFFERS_MIB_MIN * MIB);
    csti_s3_buffers_close(&buffers);
}

TEST_MAIN
