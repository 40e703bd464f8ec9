// chain.h: what a manifest names, read from the store and checked.
//
//   metadata: {id, manifest name, crc} ──► csti_manifest_fetch ──► csti_manifest
//   manifest.partitions[p].segments    ──► csti_chain_open     ──► segments, each one standing on
//                                            │                     the one before
//                                            └─ ahead: what comes behind what is read is fetched
//   manifest.partitions[p].rows        ──► csti_chain_open_rows ─► rows stored behind them, whole
//
// Promises   a segment that was opened is the one that the manifest means: epochs, checksum,
//            schema, program, hash key; header, footer and tables were checked. Blocks are checked
//            by whoever reads them (cst_segment_verify, _restore, _fold), who also hears then that
//            one could not be fetched.
// Thread     any.
// Ring       2.
// Owner      a chain owns bodies and segments until closed; its arrays lie in the arena, as the
//            manifest's names do, which stay as long.
// Errors     csti_code_is_damage says which of them mean that stored bytes are missing or wrong;
//            they name object and offset. Store errors come through as they are.
#ifndef CST_CHECKPOINT_CHAIN_H
#define CST_CHECKPOINT_CHAIN_H

#include "checkpoint/manifest.h"
#include "object/ahead.h"
#include "state/segment.h"
#include "stream/stored_rows.h"

#include <constellation/object.h>

// Whether the code says that what is stored is missing, cut or wrong: another checkpoint may do.
bool csti_code_is_damage(cst_code code);

typedef struct csti_manifest_object {
    csti_manifest manifest;
    uint64_t bytes;
    uint32_t crc;
} csti_manifest_object;

// Reads the manifest of checkpoint `id`. Its bytes have the checksum that its name ends with, and
// crc_wanted, if that is not NULL: what the metadata says. NOT_FOUND, MANIFEST, MANIFEST_VERSION,
// store errors.
CST_CHECK_RESULT cst_code csti_manifest_fetch(cst_object_store *store, uint64_t id,
                                              const char *name, const uint32_t *crc_wanted,
                                              csti_arena *arena, csti_manifest_object *out,
                                              cst_err *err);
// Partitions whose chain begins with a full that a fold registered: what COMMIT and ADOPT have to
// say. *count_out of them, in `arena`.
typedef struct csti_meta_full_ref csti_meta_full_ref;
CST_CHECK_RESULT cst_code csti_manifest_fulls(const csti_manifest *manifest, csti_arena *arena,
                                              const csti_meta_full_ref **out, uint32_t *count_out,
                                              cst_err *err);

typedef struct csti_chain_link { // how a segment waits for its bytes
    csti_ahead *ahead;
    uint32_t number;
    const char *name; // the manifest's
} csti_chain_link;

typedef struct csti_chain {
    cst_segment **segments;
    csti_chain_link *links;
    csti_ahead *ahead;
    uint32_t segments_count;
    cst_object_body rows_body; // of rows stored behind them; bytes NULL: they are not open
    csti_stored_reader rows;
} csti_chain;

// Opens segments [from, to) of a partition's chain. Their ends are read and checked then; what
// lies between them may still be on its way, and is waited for by whoever reads it. `step` (may be
// NULL) hears behind each of them the bytes of those that are open.
CST_CHECK_RESULT cst_code csti_chain_open(cst_object_store *store, const csti_manifest *manifest,
                                          uint32_t partition, uint32_t from, uint32_t to,
                                          csti_arena *arena, const csti_read_step *step,
                                          csti_chain *out, cst_err *err);
// Opens the rows that are stored behind the partition's segments, if there are any.
CST_CHECK_RESULT cst_code csti_chain_open_rows(cst_object_store *store,
                                               const csti_manifest *manifest, uint32_t partition,
                                               csti_chain *chain, cst_err *err);
// All zeros is allowed.
void csti_chain_close(cst_object_store *store, csti_chain *chain);

#endif
