// s3_part.h: what a part of an upload is made of: ranges, of which some stay where they are, and
// bytes of its own for the rest.
//
//   refer(a) copy(b) copy(c) refer(d)      ranges   a │ own[0..b+c) │ d
//                                          own      b c
//
// Promises   a range that was referred to is sent from where it lies. Ranges are whole behind seal:
//            until then those of its own have no place yet, for it may move as it grows.
// Thread     the upload's.
#ifndef CST_OBJECT_S3_PART_H
#define CST_OBJECT_S3_PART_H

#include <constellation/table.h>

typedef struct csti_s3_part {
    cst_bytes *ranges; // NULL data: the next of `own`
    size_t ranges_count, ranges_capacity;
    uint8_t *own;
    size_t own_bytes, own_capacity;
    size_t bytes; // all together
} csti_s3_part;

// More of it. False: no memory, and nothing was added.
bool csti_s3_part_refer(csti_s3_part *part, const void *bytes, size_t count);
bool csti_s3_part_copy(csti_s3_part *part, const void *bytes, size_t count);
// Nothing is added any more.
void csti_s3_part_seal(csti_s3_part *part);
void csti_s3_part_release(csti_s3_part *part);

#endif
