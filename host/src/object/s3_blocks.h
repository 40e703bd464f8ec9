// s3_blocks.h: memory of large bodies that was given back, for the next ones.
//
//   take ─► a spare one that fits ─► else fresh
//   give ─► kept, but the kernel may have it ─► free, where there are enough
//
// To fault fresh memory in and zero it takes as long as to receive what is kept in it. A spare
// block is marked so that the kernel takes it when somebody needs memory, and only then.
//
// Promises   at most CSTI_S3_SPARE_BYTES are kept.
// Thread     any.
// Owner      a block that was taken is given back, with the same count.
#ifndef CST_OBJECT_S3_BLOCKS_H
#define CST_OBJECT_S3_BLOCKS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { CSTI_S3_SPARES_MAX = 8 };
#define CSTI_S3_SPARE_BYTES ((size_t)128 << 20)

typedef struct csti_s3_blocks {
    pthread_mutex_t mutex; // of what follows
    struct {
        uint8_t *bytes;
        size_t count;
    } spares[CSTI_S3_SPARES_MAX];
    size_t spares_count, spares_bytes;
} csti_s3_blocks;

void csti_s3_blocks_open(csti_s3_blocks *blocks);
void csti_s3_blocks_close(csti_s3_blocks *blocks);
// 64-byte aligned, of any content. NULL: there is no memory.
uint8_t *csti_s3_block_take(csti_s3_blocks *blocks, size_t count);
// NULL is allowed.
void csti_s3_block_give(csti_s3_blocks *blocks, uint8_t *bytes, size_t count);

#endif
