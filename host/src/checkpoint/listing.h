// listing.h: what the names of the objects in a store say, without opening any.
//
//   list checkpoints/ ──► manifests {id, tenure, name}, ascending; the highest id and epoch
//
// Promises   names that are none of ours are passed over. What is written or deleted meanwhile may
//            be in it or not.
// Thread     any.
// Ring       2.
// Owner      names and arrays lie in the arena.
#ifndef CST_CHECKPOINT_LISTING_H
#define CST_CHECKPOINT_LISTING_H

#include "base/arena.h"

#include <constellation/object.h>

enum { CSTI_LISTING_MANIFESTS_MAX = 65536 };

typedef struct csti_listed_manifest {
    uint64_t id, tenure;
    const char *name;
} csti_listed_manifest;

typedef struct csti_listing {
    csti_listed_manifest *manifests; // by id, then name
    uint32_t manifests_count;
    uint64_t id_max;           // that any name has; 0: none
    uint64_t epoch_max;        // of any partition
    uint64_t tenure_max;       // of any
    uint32_t partitions_count; // above every one that a segment is of; 0: there is none
} csti_listing;

// Names of checkpoints above `id`. LIMIT: more manifests than CSTI_LISTING_MANIFESTS_MAX.
CST_CHECK_RESULT cst_code csti_listing_read(cst_object_store *store, uint64_t id, csti_arena *arena,
                                            csti_listing *out, cst_err *err);

#endif
