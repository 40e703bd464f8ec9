// internal.h: what the machine consists of, for the files that apply commands to it.
//
//   apply ─► check (command.c) ─► handler of the kind: refuse, or make room, then change
//
// Promises   a handler that returns CST_NO_MEMORY changed nothing; one that refuses neither.
// Thread     one at a time. Ring 2.
// Owner      the machine owns every text and array in it, each its own allocation; a checkpoint's
//            refs borrow the names of the fulls they refer to.
#ifndef CST_META_INTERNAL_H
#define CST_META_INTERNAL_H

#include "meta/machine.h"

typedef struct csti_meta_recent {
    uint64_t request_id;
    uint64_t tenure, token;
    cst_code code;
} csti_meta_recent;

struct csti_meta_machine {
    uint64_t incarnation, index;
    int64_t now_us; // INT64_MIN before the first command
    char *job;      // NULL before the first CLAIM
    uint64_t owner, tenure;
    csti_meta_partition *partitions;
    csti_meta_checkpoint *checkpoints; // ascending by id
    uint64_t *aborted;                 // ascending
    csti_meta_full *fulls;             // ascending by name
    csti_meta_pin *pins;               // ascending by reader
    csti_meta_lease *leases;           // ascending by name
    char **pending;                    // ascending
    uint32_t partitions_count, partitions_capacity;
    uint32_t checkpoints_count, checkpoints_capacity;
    uint32_t aborted_count, aborted_capacity;
    uint32_t fulls_count, fulls_capacity;
    uint32_t pins_count, pins_capacity;
    uint32_t leases_count, leases_capacity;
    uint32_t pending_count, pending_capacity;
    uint32_t refs_count; // of all checkpoints
    // Of the commands index - recent_count + 1 to index; that of index i at i % RECENT_MAX.
    uint32_t recent_count;
    csti_meta_recent recent[CSTI_META_RECENT_MAX];
};

// Says why a command is refused; returns CST_OK, for the handler to return.
cst_code csti_meta_refuse(csti_meta_result *result, cst_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// `items` with room for `wanted`, *capacity raised; NULL: no memory, and `items` is as it was.
void *csti_meta_grown(void *items, uint32_t *capacity, uint32_t wanted, size_t item_bytes);

// The place of the first item of a sorted array that is not below the key; whether it is equal.
typedef int (*csti_meta_compare)(const void *key, const void *item);
uint32_t csti_meta_place(const void *items, uint32_t count, size_t item_bytes, const void *key,
                         csti_meta_compare compare, bool *found_out);
int csti_meta_compare_u64(const void *key, const void *item);  // an item that begins with a u64
int csti_meta_compare_text(const void *key, const void *item); // of char *
// NULL: not there.
csti_meta_checkpoint *csti_meta_checkpoint_find(const csti_meta_machine *machine, uint64_t id);
uint32_t csti_meta_full_place(const csti_meta_machine *machine, const char *name, bool *found_out);
// Whether owner and tenure are the job's; if not, the refusal is made.
bool csti_meta_is_fenced(const csti_meta_machine *machine, const csti_meta_command *command,
                         csti_meta_result *result);
// now + ttl, at most INT64_MAX.
int64_t csti_meta_expiry(const csti_meta_machine *machine, uint64_t ttl_us);

// A rule that the command itself breaks, whatever the state; NULL: none.
const char *csti_meta_command_fault(const csti_meta_command *command);
const char *csti_meta_kind_name(csti_meta_kind kind); // "COMMIT"

typedef cst_code (*csti_meta_handler)(csti_meta_machine *machine, const csti_meta_command *command,
                                      csti_meta_result *result);
cst_code csti_meta_apply_claim(csti_meta_machine *machine, const csti_meta_command *command,
                               csti_meta_result *result);
cst_code csti_meta_apply_partitions(csti_meta_machine *machine, const csti_meta_command *command,
                                    csti_meta_result *result);
cst_code csti_meta_apply_commit(csti_meta_machine *machine, const csti_meta_command *command,
                                csti_meta_result *result);
cst_code csti_meta_apply_abort(csti_meta_machine *machine, const csti_meta_command *command,
                               csti_meta_result *result);
cst_code csti_meta_apply_register_full(csti_meta_machine *machine, const csti_meta_command *command,
                                       csti_meta_result *result);
cst_code csti_meta_apply_retire(csti_meta_machine *machine, const csti_meta_command *command,
                                csti_meta_result *result);
cst_code csti_meta_apply_deleted(csti_meta_machine *machine, const csti_meta_command *command,
                                 csti_meta_result *result);
cst_code csti_meta_apply_pin(csti_meta_machine *machine, const csti_meta_command *command,
                             csti_meta_result *result);
cst_code csti_meta_apply_unpin(csti_meta_machine *machine, const csti_meta_command *command,
                               csti_meta_result *result);
cst_code csti_meta_apply_lease(csti_meta_machine *machine, const csti_meta_command *command,
                               csti_meta_result *result);
cst_code csti_meta_apply_lease_end(csti_meta_machine *machine, const csti_meta_command *command,
                                   csti_meta_result *result);
cst_code csti_meta_apply_token_raise(csti_meta_machine *machine, const csti_meta_command *command,
                                     csti_meta_result *result);

#endif
