// s3_buffers.h: what the uploads of a store may hold in memory, however many there are.
//
//   first bytes of an upload ─► one of SMALL bytes      an eighth of the bound
//   more of them             ─► one of LARGE bytes      the rest of it: filled, sent, given back
//                                                       when its part is answered
//
// Promises   all together are never above the bound; who asks for more waits.
//            Nobody waits for ever: who waits for a large one holds no other large one, and who
//            holds large ones asks for no small one; so each that is held is either being filled,
//            or on its way, and comes back.
// Thread     any.
#ifndef CST_OBJECT_S3_BUFFERS_H
#define CST_OBJECT_S3_BUFFERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CSTI_S3_SMALL_BYTES = 1 << 20,
    CSTI_S3_LARGE_BYTES = 8 << 20, // a part
    CSTI_S3_BUFFERS_MIB_MIN = 16,
    CSTI_S3_BUFFERS_MIB = 64,
    CSTI_S3_BUFFERS_MIB_MAX = 64 << 10,
};

typedef enum csti_s3_size { CSTI_S3_SMALL, CSTI_S3_LARGE } csti_s3_size;

typedef struct csti_s3_buffers {
    pthread_mutex_t mutex; // of what follows
    pthread_cond_t given;
    uint32_t most[2]; // by size
    uint32_t held[2];
    uint64_t held_bytes_max; // ever
} csti_s3_buffers;

void csti_s3_buffers_open(csti_s3_buffers *buffers, uint32_t mib);
void csti_s3_buffers_close(csti_s3_buffers *buffers);
bool csti_s3_buffers_try(csti_s3_buffers *buffers, csti_s3_size size);
void csti_s3_buffers_wait(csti_s3_buffers *buffers, csti_s3_size size);
void csti_s3_buffers_give(csti_s3_buffers *buffers, csti_s3_size size);
// Now, and at most so far.
void csti_s3_buffers_held(csti_s3_buffers *buffers, uint64_t *bytes_out, uint64_t *most_out);

#endif
