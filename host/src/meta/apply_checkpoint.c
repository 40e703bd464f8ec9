// COMMIT, ADOPT and ABORT: which checkpoints there are, in order.
#include "base/mistake.h"
#include "meta/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t last_committed(const csti_meta_machine *machine) {
    return machine->checkpoints_count ? machine->checkpoints[machine->checkpoints_count - 1].id : 0;
}

static uint32_t aborted_place(const csti_meta_machine *machine, uint64_t id, bool *found_out) {
    return csti_meta_place(machine->aborted, machine->aborted_count, sizeof *machine->aborted, &id,
                           csti_meta_compare_u64, found_out);
}

static bool tenures_differ(const csti_meta_machine *machine, const csti_meta_command *command,
                           csti_meta_result *result) {
    if (CSTI_MISTAKE(stale_commits)) return false;
    if (command->tenures_count != machine->partitions_count) {
        (void)csti_meta_refuse(result, CST_FENCED,
                               "checkpoint %llu has %u partitions, the job has %u",
                               (unsigned long long)command->id, command->tenures_count,
                               machine->partitions_count);
        return true;
    }
    for (uint32_t i = 0; i < command->tenures_count; i++) {
        if (command->tenures[i] == machine->partitions[i].tenure) continue;
        (void)csti_meta_refuse(result, CST_FENCED,
                               "checkpoint %llu: partition %u is at tenure %llu, not %llu",
                               (unsigned long long)command->id, i,
                               (unsigned long long)machine->partitions[i].tenure,
                               (unsigned long long)command->tenures[i]);
        return true;
    }
    return false;
}

// Whether the id's place in the order is wrong, or it was aborted.
static bool is_out_of_order(const csti_meta_machine *machine, const csti_meta_command *command,
                            csti_meta_result *result) {
    const uint64_t last = last_committed(machine);
    bool aborted;

    (void)aborted_place(machine, command->id, &aborted);
    if (CSTI_MISTAKE(aborted_adopted) && command->kind == CSTI_META_ADOPT) aborted = false;
    if (aborted)
        (void)csti_meta_refuse(result, CST_CHECKPOINT_ABORTED, "checkpoint %llu was aborted",
                               (unsigned long long)command->id);
    else if (command->id <= last)
        (void)csti_meta_refuse(result, CST_CHECKPOINT_ORDER,
                               "checkpoint %llu is not above %llu, the last committed",
                               (unsigned long long)command->id, (unsigned long long)last);
    else if (command->base_id != last && !CSTI_MISTAKE(base_unchecked))
        (void)csti_meta_refuse(result, CST_CHECKPOINT_ORDER,
                               "checkpoint %llu stands on %llu; the last committed is %llu",
                               (unsigned long long)command->id,
                               (unsigned long long)command->base_id, (unsigned long long)last);
    return result->code != CST_OK;
}

static bool fulls_are_missing(const csti_meta_machine *machine, const csti_meta_command *command,
                              csti_meta_result *result) {
    for (uint32_t i = 0; i < command->fulls_count; i++) {
        const csti_meta_full_ref *ref = &command->fulls[i];
        bool found;
        const uint32_t at = csti_meta_full_place(machine, ref->name, &found);

        if (found && machine->fulls[at].partition == ref->partition &&
            machine->fulls[at].epoch == ref->epoch)
            continue;
        (void)csti_meta_refuse(result, CST_CHECKPOINT_RETIRED,
                               "checkpoint %llu: full %.90s of partition %u is not there",
                               (unsigned long long)command->id, ref->name, ref->partition);
        return true;
    }
    return false;
}

// The refs of a checkpoint, their names borrowed from the fulls. NULL: no memory.
static csti_meta_full_ref *refs_copy(const csti_meta_machine *machine,
                                     const csti_meta_command *command) {
    csti_meta_full_ref *refs = calloc(command->fulls_count + 1, sizeof *refs);

    for (uint32_t i = 0; refs && i < command->fulls_count; i++) {
        bool found;
        const uint32_t at = csti_meta_full_place(machine, command->fulls[i].name, &found);

        assert(found);
        refs[i] = (csti_meta_full_ref){
            .partition = machine->fulls[at].partition,
            .epoch = machine->fulls[at].epoch,
            .name = machine->fulls[at].name,
        };
    }
    return refs;
}

// Forgets aborted ids that can't commit any more anyway; the highest stays, for the next id.
static void forget_aborted(csti_meta_machine *machine, uint64_t id) {
    bool found;
    uint32_t gone = aborted_place(machine, id, &found);

    if (gone == machine->aborted_count && gone > 0) gone--;
    if (gone == 0) return;
    machine->aborted_count -= gone;
    memmove(machine->aborted, machine->aborted + gone,
            machine->aborted_count * sizeof *machine->aborted);
}

static cst_code add_checkpoint(csti_meta_machine *machine, const csti_meta_command *command) {
    csti_meta_checkpoint *checkpoints;
    csti_meta_full_ref *refs = refs_copy(machine, command);
    char *manifest = strdup(command->name);

    checkpoints = csti_meta_grown(machine->checkpoints, &machine->checkpoints_capacity,
                                  machine->checkpoints_count + 1, sizeof *checkpoints);
    if (checkpoints) machine->checkpoints = checkpoints;
    if (!refs || !manifest || !checkpoints) {
        free(refs);
        free(manifest);
        return CST_NO_MEMORY;
    }
    machine->checkpoints[machine->checkpoints_count++] = (csti_meta_checkpoint){
        .id = command->id,
        .base_id = command->base_id,
        .manifest = manifest,
        .crc = command->crc,
        .tenure = machine->tenure,
        .committed_us = machine->now_us,
        .fulls = refs,
        .fulls_count = command->fulls_count,
    };
    machine->refs_count += command->fulls_count;
    forget_aborted(machine, command->id);
    return CST_OK;
}

cst_code csti_meta_apply_commit(csti_meta_machine *machine, const csti_meta_command *command,
                                csti_meta_result *result) {
    csti_meta_command bare = *command;
    const csti_meta_checkpoint *same;

    if (csti_meta_is_fenced(machine, command, result)) return CST_OK;
    same = csti_meta_checkpoint_find(machine, command->id);
    if (same && same->crc == command->crc && strcmp(same->manifest, command->name) == 0)
        return CST_OK;
    if (command->kind == CSTI_META_COMMIT && tenures_differ(machine, command, result))
        return CST_OK;
    if (is_out_of_order(machine, command, result)) return CST_OK;
    if (CSTI_MISTAKE(full_unchecked)) bare.fulls_count = 0;
    if (fulls_are_missing(machine, &bare, result)) return CST_OK;
    if (machine->checkpoints_count == CSTI_META_CHECKPOINTS_MAX)
        return csti_meta_refuse(result, CST_LIMIT, "%d checkpoints are kept: retire some",
                                CSTI_META_CHECKPOINTS_MAX);
    if (bare.fulls_count > CSTI_META_FULL_REFS_MAX - machine->refs_count)
        return csti_meta_refuse(result, CST_LIMIT,
                                "checkpoints stand on %d fulls in all: retire some",
                                CSTI_META_FULL_REFS_MAX);
    return add_checkpoint(machine, &bare);
}

cst_code csti_meta_apply_abort(csti_meta_machine *machine, const csti_meta_command *command,
                               csti_meta_result *result) {
    uint64_t *aborted;
    uint32_t at;
    bool found;

    if (csti_meta_is_fenced(machine, command, result)) return CST_OK;
    if (csti_meta_checkpoint_find(machine, command->id))
        return csti_meta_refuse(result, CST_CHECKPOINT_ORDER, "checkpoint %llu is committed",
                                (unsigned long long)command->id);
    at = aborted_place(machine, command->id, &found);
    if (found || command->id <= last_committed(machine)) return CST_OK; // it can't commit any more
    if (machine->aborted_count == CSTI_META_ABORTED_MAX)
        return csti_meta_refuse(result, CST_LIMIT,
                                "%d checkpoints were aborted since the last committed one",
                                CSTI_META_ABORTED_MAX);
    aborted = csti_meta_grown(machine->aborted, &machine->aborted_capacity,
                              machine->aborted_count + 1, sizeof *aborted);
    if (!aborted) return CST_NO_MEMORY;
    machine->aborted = aborted;
    memmove(aborted + at + 1, aborted + at, (machine->aborted_count - at) * sizeof *aborted);
    aborted[at] = command->id;
    machine->aborted_count++;
    return CST_OK;
}
