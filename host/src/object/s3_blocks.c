#define _DEFAULT_SOURCE 1 // madvise
#include "object/s3_blocks.h"

#include "base/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { WASTE_SHARE = 4 }; // a spare one may be so much of the wanted bytes too large

void csti_s3_blocks_open(csti_s3_blocks *b) {
    *b = (csti_s3_blocks){.spares_count = 0};
    (void)pthread_mutex_init(&b->mutex, NULL);
}

void csti_s3_blocks_close(csti_s3_blocks *b) {
    while (b->spares_count > 0) free(b->spares[--b->spares_count].bytes);
    (void)pthread_mutex_destroy(&b->mutex);
}

static uint8_t *spare_take(csti_s3_blocks *b, size_t count) {
    for (size_t i = 0; i < b->spares_count; i++) {
        uint8_t *bytes = b->spares[i].bytes;
        const size_t has = b->spares[i].count;

        if (has < count || has - count > count / WASTE_SHARE) continue;
        b->spares_bytes -= has;
        b->spares[i] = b->spares[--b->spares_count];
        return bytes;
    }
    return NULL;
}

uint8_t *csti_s3_block_take(csti_s3_blocks *b, size_t count) {
    uint8_t *bytes;

    (void)pthread_mutex_lock(&b->mutex);
    bytes = spare_take(b, count);
    (void)pthread_mutex_unlock(&b->mutex);
    return bytes ? bytes : csti_pages_block(count);
}

void csti_s3_block_give(csti_s3_blocks *b, uint8_t *bytes, size_t count) {
    // Smaller ones cost little, and are not aligned to pages.
    if (!bytes || count < CSTI_HUGEPAGE_BYTES || count > CSTI_S3_SPARE_BYTES) {
        free(bytes);
        return;
    }
    assert((uintptr_t)bytes % CSTI_PAGE_BYTES == 0);
    (void)madvise(bytes, count / CSTI_PAGE_BYTES * CSTI_PAGE_BYTES, MADV_FREE);
    (void)pthread_mutex_lock(&b->mutex);
    if (b->spares_count < CSTI_S3_SPARES_MAX && b->spares_bytes + count <= CSTI_S3_SPARE_BYTES) {
        b->spares[b->spares_count].bytes = bytes;
        b->spares[b->spares_count++].count = count;
        b->spares_bytes += count;
        bytes = NULL; // kept
    }
    (void)pthread_mutex_unlock(&b->mutex);
    free(bytes);
}
