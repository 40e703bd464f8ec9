#include "object/s3_buffers.h"

#include <assert.h>

enum { SMALL_SHARE = 8 };

static const uint64_t sizes[] = {
    [CSTI_S3_SMALL] = CSTI_S3_SMALL_BYTES, [CSTI_S3_LARGE] = CSTI_S3_LARGE_BYTES};

void csti_s3_buffers_open(csti_s3_buffers *b, uint32_t mib) {
    const uint64_t bytes = (uint64_t)mib << 20;
    const uint64_t small = bytes / SMALL_SHARE;

    assert(mib >= CSTI_S3_BUFFERS_MIB_MIN);
    *b = (csti_s3_buffers){
        .most = {[CSTI_S3_SMALL] = (uint32_t)(small / CSTI_S3_SMALL_BYTES),
                 [CSTI_S3_LARGE] = (uint32_t)((bytes - small) / CSTI_S3_LARGE_BYTES)}};
    assert(b->most[CSTI_S3_SMALL] > 0);
    assert(b->most[CSTI_S3_LARGE] > 0);
    (void)pthread_mutex_init(&b->mutex, NULL);
    (void)pthread_cond_init(&b->given, NULL);
}

void csti_s3_buffers_close(csti_s3_buffers *b) {
    assert(b->held[CSTI_S3_SMALL] == 0);
    assert(b->held[CSTI_S3_LARGE] == 0);
    (void)pthread_cond_destroy(&b->given);
    (void)pthread_mutex_destroy(&b->mutex);
}

static uint64_t held_locked(const csti_s3_buffers *b) {
    return b->held[CSTI_S3_SMALL] * sizes[CSTI_S3_SMALL] +
           b->held[CSTI_S3_LARGE] * sizes[CSTI_S3_LARGE];
}

static bool take_locked(csti_s3_buffers *b, csti_s3_size size) {
    if (b->held[size] == b->most[size]) return false;
    b->held[size]++;
    if (held_locked(b) > b->held_bytes_max) b->held_bytes_max = held_locked(b);
    return true;
}

bool csti_s3_buffers_try(csti_s3_buffers *b, csti_s3_size size) {
    bool good;

    (void)pthread_mutex_lock(&b->mutex);
    good = take_locked(b, size);
    (void)pthread_mutex_unlock(&b->mutex);
    return good;
}

void csti_s3_buffers_wait(csti_s3_buffers *b, csti_s3_size size) {
    (void)pthread_mutex_lock(&b->mutex);
    while (!take_locked(b, size)) (void)pthread_cond_wait(&b->given, &b->mutex);
    (void)pthread_mutex_unlock(&b->mutex);
}

void csti_s3_buffers_give(csti_s3_buffers *b, csti_s3_size size) {
    (void)pthread_mutex_lock(&b->mutex);
    assert(b->held[size] > 0);
    b->held[size]--;
    (void)pthread_cond_broadcast(&b->given); // of both sizes
    (void)pthread_mutex_unlock(&b->mutex);
}

void csti_s3_buffers_held(csti_s3_buffers *b, uint64_t *bytes_out, uint64_t *most_out) {
    (void)pthread_mutex_lock(&b->mutex);
    *bytes_out = held_locked(b);
    *most_out = b->held_bytes_max;
    (void)pthread_mutex_unlock(&b->mutex);
}
