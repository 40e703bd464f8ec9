// names.h: what the objects of checkpoints are called.
//
//   checkpoints/{id:020}/manifest-{tenure}-{nonce:016x}                     a manifest
//   checkpoints/{id:020}/{partition}-{tenure}-{nonce:016x}/delta-{epoch}    a partition's epoch
//   checkpoints/{id:020}/{partition}-{tenure}-{nonce:016x}/rows-{epoch}     rows stored behind it
//   folds/{token}-{nonce:016x}/{partition}-{epoch}                          a full up to `epoch`
//   _latest                                                                 a hint
//
// A manifest's tenure is its coordinator's, a segment's its partition's. All but _latest are
// written once, by one writer: the nonce is random.
//
// Promises   parse takes exactly what format gives.
// Thread     any. Ring 2.
#ifndef CST_CHECKPOINT_NAMES_H
#define CST_CHECKPOINT_NAMES_H

#include <constellation/object.h>

#define CSTI_CHECKPOINTS_PREFIX "checkpoints/"
#define CSTI_FOLDS_PREFIX "folds/"
#define CSTI_LATEST_NAME "_latest"

enum { CSTI_CHECKPOINT_NAME_BYTES = 128 }; // of the names above, with their zero

typedef enum csti_checkpoint_name_kind {
    CSTI_NAME_MANIFEST = 1, // id, tenure, nonce
    CSTI_NAME_DELTA = 2,    // id, partition, tenure, nonce, epoch
    CSTI_NAME_FOLD = 3,     // token, nonce, partition, epoch
    CSTI_NAME_ROWS = 4,     // as CSTI_NAME_DELTA
} csti_checkpoint_name_kind;

// Fields that a kind does not have are 0.
typedef struct csti_checkpoint_name {
    csti_checkpoint_name_kind kind;
    uint32_t partition;
    uint64_t id, tenure, nonce, epoch, token;
} csti_checkpoint_name;

// The nonce of a manifest's name: random, and its low half the CRC32C of the manifest's bytes, for
// those who have no metadata to compare it with.
static inline uint64_t csti_manifest_nonce(uint64_t random, uint32_t crc) {
    return (random & ~(uint64_t)UINT32_MAX) | crc;
}

void csti_checkpoint_name_format(const csti_checkpoint_name *name,
                                 char out[CSTI_CHECKPOINT_NAME_BYTES]);
// False: it is none of them; *out is then undefined.
bool csti_checkpoint_name_parse(const char *text, csti_checkpoint_name *out);

#endif
