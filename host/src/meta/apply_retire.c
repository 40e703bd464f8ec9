// REGISTER_FULL, RETIRE and DELETED: which objects checkpoints may stand on, and which go.
#include "base/mistake.h"
#include "meta/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// ---- Fulls --------------------------------------------------------------------------------------

static const csti_meta_lease *lease_find(const csti_meta_machine *machine, const char *name) {
    for (uint32_t i = 0; i < machine->leases_count; i++)
        if (strcmp(machine->leases[i].name, name) == 0) return &machine->leases[i];
    return NULL;
}

static bool is_pending(const csti_meta_machine *machine, const char *name) {
    bool found;

    (void)csti_meta_place(machine->pending, machine->pending_count, sizeof *machine->pending, name,
                          csti_meta_compare_text, &found);
    return found;
}

static bool is_same_full(const csti_meta_full *full, const csti_meta_command *command) {
    return full->partition == command->partition && full->epoch == command->epoch &&
           full->bytes == command->bytes && full->crc == command->crc;
}

static cst_code add_full(csti_meta_machine *machine, const csti_meta_command *command,
                         uint32_t at) {
    csti_meta_full *fulls = csti_meta_grown(machine->fulls, &machine->fulls_capacity,
                                            machine->fulls_count + 1, sizeof *fulls);
    char *name;

    if (!fulls) return CST_NO_MEMORY;
    machine->fulls = fulls;
    name = strdup(command->name);
    if (!name) return CST_NO_MEMORY;
    memmove(fulls + at + 1, fulls + at, (machine->fulls_count - at) * sizeof *fulls);
    fulls[at] = (csti_meta_full){
        .partition = command->partition,
        .crc = command->crc,
        .epoch = command->epoch,
        .bytes = command->bytes,
        .token = command->token,
        .name = name,
    };
    machine->fulls_count++;
    return CST_OK;
}

cst_code csti_meta_apply_register_full(csti_meta_machine *machine, const csti_meta_command *command,
                                       csti_meta_result *result) {
    const csti_meta_lease *lease = lease_find(machine, command->lease);
    bool found;
    uint32_t at;

    if ((!lease || lease->token != command->token) && !CSTI_MISTAKE(fold_any_token))
        return csti_meta_refuse(result, CST_LEASE,
                                "token %llu of lease %.60s is old: it is at %llu",
                                (unsigned long long)command->token, command->lease,
                                lease ? (unsigned long long)lease->token : 0);
    if (is_pending(machine, command->name))
        return csti_meta_refuse(result, CST_CHECKPOINT_RETIRED, "full %.100s is to be deleted",
                                command->name);
    at = csti_meta_full_place(machine, command->name, &found);
    if (found && is_same_full(&machine->fulls[at], command)) return CST_OK;
    if (found)
        return csti_meta_refuse(result, CST_EXISTS, "full %.100s is another one", command->name);
    if (machine->fulls_count == CSTI_META_FULLS_MAX)
        return csti_meta_refuse(result, CST_LIMIT, "%d fulls are kept: retire some",
                                CSTI_META_FULLS_MAX);
    return add_full(machine, command, at);
}

// ---- Retire -------------------------------------------------------------------------------------

static bool is_pinned(const csti_meta_machine *machine, uint64_t id) {
    if (CSTI_MISTAKE(gc_pinned)) return false;
    for (uint32_t i = 0; i < machine->pins_count; i++)
        if (machine->pins[i].id == id && machine->pins[i].expires_us > machine->now_us) return true;
    return false;
}

static bool ids_hold(const csti_meta_command *command, uint64_t id) {
    for (uint32_t i = 0; i < command->ids_count; i++)
        if (command->ids[i] == id) return true;
    return false;
}

static bool cannot_go(const csti_meta_machine *machine, uint64_t id, csti_meta_result *result) {
    const csti_meta_checkpoint *checkpoint = csti_meta_checkpoint_find(machine, id);

    if (!checkpoint)
        (void)csti_meta_refuse(result, CST_NOT_FOUND, "checkpoint %llu is not there",
                               (unsigned long long)id);
    else if (checkpoint == &machine->checkpoints[machine->checkpoints_count - 1])
        (void)csti_meta_refuse(result, CST_CHECKPOINT_RETIRED, "checkpoint %llu is the newest",
                               (unsigned long long)id);
    else if (!checkpoint->deleting && is_pinned(machine, id))
        (void)csti_meta_refuse(result, CST_PINNED, "checkpoint %llu is pinned",
                               (unsigned long long)id);
    return result->code != CST_OK;
}

static int order_of_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool names_hold(const char *const *names, uint32_t count, const char *name) {
    bool found;

    (void)csti_meta_place(names, count, sizeof *names, name, csti_meta_compare_text, &found);
    return found;
}

// Whether a checkpoint that stays has one of the sorted names.
static bool is_needed(const csti_meta_machine *machine, const csti_meta_command *command,
                      const char *const *names, csti_meta_result *result) {
    for (uint32_t i = 0; i < machine->checkpoints_count; i++) {
        const csti_meta_checkpoint *checkpoint = &machine->checkpoints[i];
        const char *needed = NULL;

        if (checkpoint->deleting || ids_hold(command, checkpoint->id)) continue;
        if (names_hold(names, command->names_count, checkpoint->manifest))
            needed = checkpoint->manifest;
        for (uint32_t k = 0; k < checkpoint->fulls_count && !needed; k++)
            if (names_hold(names, command->names_count, checkpoint->fulls[k].name))
                needed = checkpoint->fulls[k].name;
        if (!needed) continue;
        (void)csti_meta_refuse(result, CST_USAGE, "checkpoint %llu, which stays, needs %.90s",
                               (unsigned long long)checkpoint->id, needed);
        return true;
    }
    return false;
}

// The new texts, in sorted order, and the pending ones become one sorted array. All or nothing.
typedef struct pending_merge {
    char **merged;
    uint32_t merged_count;
    char **added; // of them the new ones, to be freed if it comes to nothing
    uint32_t added_count;
} pending_merge;

static void merge_drop(pending_merge *merge) {
    for (uint32_t i = 0; i < merge->added_count; i++) free(merge->added[i]);
    free(merge->added);
    free(merge->merged);
}

static cst_code merge_make(const csti_meta_machine *machine, const char *const *names,
                           uint32_t names_count, pending_merge *out) {
    pending_merge merge = {0};
    uint32_t old = 0;

    merge.merged = calloc((size_t)machine->pending_count + names_count + 1, sizeof *merge.merged);
    merge.added = calloc((size_t)names_count + 1, sizeof *merge.added);
    if (!merge.merged || !merge.added) goto failed;
    for (uint32_t i = 0; i < names_count; i++) {
        int order = 1;

        if (i > 0 && strcmp(names[i], names[i - 1]) == 0) continue;
        while (old < machine->pending_count) {
            order = strcmp(machine->pending[old], names[i]);
            if (order >= 0) break;
            merge.merged[merge.merged_count++] = machine->pending[old++];
        }
        if (order == 0) continue; // it is pending already
        merge.added[merge.added_count] = strdup(names[i]);
        if (!merge.added[merge.added_count]) goto failed;
        merge.merged[merge.merged_count++] = merge.added[merge.added_count++];
    }
    while (old < machine->pending_count)
        merge.merged[merge.merged_count++] = machine->pending[old++];
    *out = merge;
    return CST_OK;
failed:
    merge_drop(&merge);
    return CST_NO_MEMORY;
}

// Fulls among the sorted names are no longer there.
static void remove_fulls(csti_meta_machine *machine, const char *const *names, uint32_t count) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < machine->fulls_count; i++) {
        if (names_hold(names, count, machine->fulls[i].name))
            free((void *)(uintptr_t)machine->fulls[i].name);
        else
            machine->fulls[kept++] = machine->fulls[i];
    }
    machine->fulls_count = kept;
}

static void mark_deleting(csti_meta_machine *machine, uint64_t id) {
    csti_meta_checkpoint *checkpoint = csti_meta_checkpoint_find(machine, id);

    assert(checkpoint);
    checkpoint->deleting = true;
    machine->refs_count -= checkpoint->fulls_count;
    free((void *)(uintptr_t)checkpoint->fulls);
    checkpoint->fulls = NULL;
    checkpoint->fulls_count = 0;
}

cst_code csti_meta_apply_retire(csti_meta_machine *machine, const csti_meta_command *command,
                                csti_meta_result *result) {
    const char **names = NULL;
    pending_merge merge = {0};
    cst_code code = CST_OK;

    if (csti_meta_is_fenced(machine, command, result)) return CST_OK;
    for (uint32_t i = 0; i < command->ids_count; i++)
        if (cannot_go(machine, command->ids[i], result)) return CST_OK;
    names = malloc(((size_t)command->names_count + 1) * sizeof *names);
    if (!names) return CST_NO_MEMORY;
    for (uint32_t i = 0; i < command->names_count; i++) names[i] = command->names[i];
    qsort(names, command->names_count, sizeof *names, order_of_texts);
    if (is_needed(machine, command, names, result)) goto done;
    code = merge_make(machine, names, command->names_count, &merge);
    if (code != CST_OK) goto done;
    if (merge.merged_count > CSTI_META_PENDING_MAX) {
        merge_drop(&merge);
        code = csti_meta_refuse(result, CST_LIMIT, "%d deletions are pending: do them first",
                                CSTI_META_PENDING_MAX);
        goto done;
    }
    for (uint32_t i = 0; i < command->ids_count; i++) mark_deleting(machine, command->ids[i]);
    remove_fulls(machine, names, command->names_count);
    free(machine->pending);
    free(merge.added);
    machine->pending = merge.merged;
    machine->pending_count = merge.merged_count;
    machine->pending_capacity = merge.merged_count;
done:
    free(names);
    return code;
}

// ---- Deleted ------------------------------------------------------------------------------------

static void forget_checkpoint(csti_meta_machine *machine, uint64_t id) {
    csti_meta_checkpoint *checkpoint = csti_meta_checkpoint_find(machine, id);
    uint32_t at;

    if (!checkpoint) return;
    at = (uint32_t)(checkpoint - machine->checkpoints);
    free((void *)(uintptr_t)checkpoint->manifest);
    free((void *)(uintptr_t)checkpoint->fulls); // of one that was read: an array of none
    machine->checkpoints_count--;
    memmove(checkpoint, checkpoint + 1,
            (machine->checkpoints_count - at) * sizeof *machine->checkpoints);
}

cst_code csti_meta_apply_deleted(csti_meta_machine *machine, const csti_meta_command *command,
                                 csti_meta_result *result) {
    bool *gone;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < command->ids_count; i++) {
        const csti_meta_checkpoint *checkpoint =
            csti_meta_checkpoint_find(machine, command->ids[i]);

        if (checkpoint && !checkpoint->deleting)
            return csti_meta_refuse(result, CST_USAGE, "checkpoint %llu is not deleting",
                                    (unsigned long long)command->ids[i]);
    }
    gone = calloc((size_t)machine->pending_count + 1, sizeof *gone);
    if (!gone) return CST_NO_MEMORY;
    for (uint32_t i = 0; i < command->names_count; i++) {
        bool found;
        const uint32_t at =
            csti_meta_place(machine->pending, machine->pending_count, sizeof *machine->pending,
                            command->names[i], csti_meta_compare_text, &found);

        if (found) gone[at] = true;
    }
    for (uint32_t i = 0; i < machine->pending_count; i++) {
        if (gone[i])
            free(machine->pending[i]);
        else
            machine->pending[kept++] = machine->pending[i];
    }
    machine->pending_count = kept;
    for (uint32_t i = 0; i < command->ids_count; i++) forget_checkpoint(machine, command->ids[i]);
    free(gone);
    return CST_OK;
}
