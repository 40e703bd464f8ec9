// machine.h: the metadata of one job's store as a deterministic state machine.
//
//   command, index ──► apply ──► state'  or  a refusal (a code; the state only notes the index)
//
//   state  incarnation, index, now_us (the highest time any command brought)
//          job          name, owner, tenure; raised by every CLAIM
//          partitions   {owner, tenure} each; raised by CLAIM and by PARTITIONS
//          checkpoints  {id, manifest name, crc, fulls it stands on, committed or deleting},
//                       ascending; aborted ids
//          fulls        {partition, epoch, name, bytes, crc, token} that folds registered
//          leases       name ──► {holder, token, expires_us}
//          pins         {reader, checkpoint id, expires_us}
//          pending      names whose deletion was decided and not yet done
//          recent       the results of the last commands, by request_id: a proposer finds its own
//                       even if a snapshot has swallowed the entry
//
// Replicated metadata applies the same commands; nothing here reads a clock, random numbers,
// the environment or the order of a disk.
//
// Promises   equal commands in equal order give equal encoded states, byte by byte. A refused
//            command changes nothing but index, now_us and recent. Time never goes back: a
//            command's time_us counts as the highest seen so far if it is below it; so a clock
//            that was set back makes leases and pins last longer, never shorter.
// Thread     one at a time.
// Ring       2.
// Owner      the machine copies what it keeps; commands borrow.
// Errors     see each kind. CST_LIMIT: a bound below.
#ifndef CST_META_MACHINE_H
#define CST_META_MACHINE_H

#include "base/buffer.h"

#include <constellation/object.h>

enum {
    CSTI_META_VERSION = 1,
    CSTI_META_PARTITIONS_MAX = 4096,
    CSTI_META_CHECKPOINTS_MAX = 4096, // committed or deleting
    CSTI_META_ABORTED_MAX = 65536,    // above the last committed
    CSTI_META_FULLS_MAX = 65536,
    CSTI_META_FULL_REFS_MAX = 1 << 20, // of all checkpoints together
    CSTI_META_LEASES_MAX = 64,
    CSTI_META_PINS_MAX = 4096,
    CSTI_META_PENDING_MAX = 65536,
    CSTI_META_RECENT_MAX = 256,
    CSTI_META_COMMAND_BYTES_MAX = 4 << 20,
    CSTI_META_STATE_BYTES_MAX = 256 << 20,
    CSTI_META_TEXT_BYTES_MAX = 512, // a name of a job, an object, a lease; no control characters
};

#define CSTI_META_TTL_US_MAX (UINT64_C(7) * 24 * 3600 * 1000000) // of a lease, a pin

// Numbers are on disk: never reused. {fields}: those of csti_meta_command that the kind reads; an
// id, an owner and a reader are not 0, a ttl_us is 1 to its maximum: USAGE.
typedef enum csti_meta_kind {
    // {name, owner, tenure, count}: the process `owner` (a random instance id) becomes the owner of
    // job and partitions, every tenure goes up by one. A new job has `count` partitions and begins
    // at tenure + 1 (0, but where metadata was lost: above every tenure seen); else count and
    // tenure are not read. JOB_MISMATCH: the store is another job's. Whether the last owner may be
    // pushed aside is its caller's to know. result.tenure is the new one, of job and partitions.
    CSTI_META_CLAIM = 1,
    // {owner, tenure, count}: another number of partitions; every tenure goes up. FENCED.
    CSTI_META_PARTITIONS = 2,
    // {owner, tenure, id, base_id, name, crc, tenures, fulls}: manifest `name` is checkpoint `id`.
    // FENCED: owner or any tenure differs; CHECKPOINT_ORDER: id is not above the last committed, or
    // base_id is not it; CHECKPOINT_ABORTED; CHECKPOINT_RETIRED: a full it stands on is not there.
    // The same command again (same id, name, crc) is OK and changes nothing.
    CSTI_META_COMMIT = 3,
    // {owner, tenure, id, base_id, name, crc, fulls}: a manifest of an earlier tenure becomes
    // checkpoint `id`. As COMMIT, but for the tenures inside the manifest, which are old.
    CSTI_META_ADOPT = 4,
    // {owner, tenure, id}: it can neither commit nor be adopted any more. FENCED; CHECKPOINT_ORDER:
    // it is committed. Again: OK.
    CSTI_META_ABORT = 5,
    // {partition, epoch, name, bytes, crc, lease, token}: a fold's object holds the partition up to
    // `epoch`. LEASE: the token is not the lease's current one; EXISTS: another full of that name;
    // CHECKPOINT_RETIRED: the name is to be deleted. Again: OK.
    CSTI_META_REGISTER_FULL = 6,
    // {owner, tenure, ids, names}: these checkpoints are deleting, these objects are to be deleted;
    // fulls among the names are no longer there. PINNED; CHECKPOINT_RETIRED: it would be the
    // newest; NOT_FOUND: no such checkpoint; FENCED. A name that is the manifest of a checkpoint
    // that stays, or a full which one stands on: USAGE. Again: OK.
    CSTI_META_RETIRE = 7,
    // {names, ids}: done: no longer pending; these deleting checkpoints are forgotten. USAGE: one
    // is not deleting. What is not there: OK.
    CSTI_META_DELETED = 8,
    // {reader (random), id, ttl_us}: pins, or holds the pin longer. NOT_FOUND; CHECKPOINT_RETIRED:
    // deleting; PIN_EXPIRED: the reader's pin has expired, or is another id's.
    CSTI_META_PIN = 9,
    CSTI_META_UNPIN = 10, // {reader}: OK whether it is there or not
    // {lease, owner, ttl_us}: takes a lease that is free or expired (its token goes up), or holds
    // one longer. LEASE: another's. result.token is the current one.
    CSTI_META_LEASE = 11,
    CSTI_META_LEASE_END = 12, // {lease, owner, token}: gives it back. LEASE: not the holder's
    // {lease, token}: free, and its token above the old one and `token` (0, but where metadata was
    // lost): whoever holds an old one can register nothing more. result.token is the new one.
    CSTI_META_TOKEN_RAISE = 13,
} csti_meta_kind;

// A full that a manifest stands on: registered, of this partition, epoch and name.
typedef struct csti_meta_full_ref {
    uint32_t partition;
    uint64_t epoch;
    const char *name;
} csti_meta_full_ref;

// Every kind reads the fields named beside it; the others are 0 or NULL.
typedef struct csti_meta_command {
    csti_meta_kind kind;
    uint64_t request_id; // random, not 0: a proposer recognises its own entry by it
    int64_t time_us;     // the proposer's wall clock
    uint64_t owner, tenure;
    uint64_t id, base_id;
    uint64_t epoch, bytes, token, reader;
    uint64_t ttl_us;
    uint32_t crc;
    uint32_t partition, count;
    const char *name;        // job, manifest or full
    const char *lease;       // "fold", "gc"
    const uint64_t *tenures; // of each partition
    uint32_t tenures_count;
    const csti_meta_full_ref *fulls;
    uint32_t fulls_count;
    const uint64_t *ids;
    uint32_t ids_count;
    const char *const *names;
    uint32_t names_count;
} csti_meta_command;

typedef struct csti_meta_result {
    cst_code code;
    char text[160];         // which, and why; "" for CST_OK
    uint64_t index;         // where it was decided
    uint64_t tenure, token; // the job's tenure, and of LEASE and TOKEN_RAISE the token, afterwards
} csti_meta_result;

// ---- What the machine holds, to be read ---------------------------------------------------------

typedef struct csti_meta_partition {
    uint64_t owner, tenure;
} csti_meta_partition;

typedef struct csti_meta_checkpoint {
    uint64_t id, base_id;
    const char *manifest;
    uint32_t crc;
    uint64_t tenure; // of the job's owner that committed or adopted it
    int64_t committed_us;
    bool deleting;
    const csti_meta_full_ref *fulls; // none any more while deleting
    uint32_t fulls_count;
} csti_meta_checkpoint;

typedef struct csti_meta_full {
    uint32_t partition, crc;
    uint64_t epoch, bytes, token;
    const char *name;
} csti_meta_full;

typedef struct csti_meta_pin {
    uint64_t reader, id;
    int64_t expires_us;
} csti_meta_pin;

typedef struct csti_meta_lease {
    const char *name;
    uint64_t holder, token;
    int64_t expires_us;
} csti_meta_lease;

// References hold until the next apply.
typedef struct csti_meta_view {
    uint64_t incarnation, index;
    int64_t now_us;
    const char *job; // "" before the first CLAIM
    uint64_t owner, tenure;
    const csti_meta_partition *partitions;
    uint32_t partitions_count;
    const csti_meta_checkpoint *checkpoints; // ascending
    uint32_t checkpoints_count;
    const uint64_t *aborted; // ascending; those above the last committed, and the highest ever
    uint32_t aborted_count;
    const csti_meta_full *fulls; // ascending by name
    uint32_t fulls_count;
    const csti_meta_pin *pins; // ascending by reader; expired ones too, while there is room
    uint32_t pins_count;
    const csti_meta_lease *leases; // ascending by name; free ones too: their tokens only go up
    uint32_t leases_count;
    const char *const *pending; // ascending
    uint32_t pending_count;
} csti_meta_view;

typedef struct csti_meta_machine csti_meta_machine;

CST_CHECK_RESULT cst_code csti_meta_machine_open(uint64_t incarnation, csti_meta_machine **out,
                                                 cst_err *err);
void csti_meta_machine_close(csti_meta_machine *machine); // NULL is allowed
// `index` is one above the last. CST_NO_MEMORY: nothing happened, apply it again; every other
// outcome is in *result_out.
CST_CHECK_RESULT cst_code csti_meta_machine_apply(csti_meta_machine *machine, uint64_t index,
                                                  const csti_meta_command *command,
                                                  csti_meta_result *result_out, cst_err *err);
void csti_meta_machine_view(const csti_meta_machine *machine, csti_meta_view *out);
// What the machine decided on one of its last commands; false: it is not among them.
bool csti_meta_machine_recent(const csti_meta_machine *machine, uint64_t request_id,
                              csti_meta_result *out);
// How many of the last commands it knows so.
uint32_t csti_meta_machine_recent_count(const csti_meta_machine *machine);
// The state as the first of an incarnation: index 1, nothing recent.
void csti_meta_machine_begin(csti_meta_machine *machine);
// The newest committed checkpoint that is not deleting; NULL: none.
const csti_meta_checkpoint *csti_meta_view_newest(const csti_meta_view *view);

// ---- Bytes, docs/formats.md: Metadata -----------------------------------------------------------

// Appends. The same for equal commands and states. USAGE: fields that the kind does not have or
// breaks the rules of; LIMIT.
CST_CHECK_RESULT cst_code csti_meta_command_encode(const csti_meta_command *command,
                                                   csti_buffer *out, cst_err *err);
// Texts and arrays of *out point into `arena`. META_CORRUPT says where; META_VERSION.
typedef struct csti_arena csti_arena;
CST_CHECK_RESULT cst_code csti_meta_command_decode(const uint8_t *bytes, size_t count,
                                                   csti_arena *arena, csti_meta_command *out,
                                                   cst_err *err);
CST_CHECK_RESULT cst_code csti_meta_machine_encode(const csti_meta_machine *machine,
                                                   csti_buffer *out, cst_err *err);
CST_CHECK_RESULT cst_code csti_meta_machine_decode(const uint8_t *bytes, size_t count,
                                                   csti_meta_machine **out, cst_err *err);

#endif
