// CLAIM and PARTITIONS: whose the job is.
#include "meta/internal.h"

#include <stdlib.h>
#include <string.h>

// Every tenure goes up by one. A partition's is never above the job's, so one that was taken away
// and comes back begins above all it ever had.
static void raise_tenures(csti_meta_machine *machine, uint64_t owner, uint32_t count) {
    machine->tenure++;
    for (uint32_t i = 0; i < count; i++) {
        csti_meta_partition *partition = &machine->partitions[i];

        partition->tenure = i < machine->partitions_count ? partition->tenure + 1 : machine->tenure;
        partition->owner = owner;
    }
    machine->owner = owner;
    machine->partitions_count = count;
}

static bool has_room(csti_meta_machine *machine, uint32_t count) {
    csti_meta_partition *partitions =
        csti_meta_grown(machine->partitions, &machine->partitions_capacity, count,
                        sizeof *partitions);

    if (partitions) machine->partitions = partitions;
    return partitions != NULL;
}

cst_code csti_meta_apply_claim(csti_meta_machine *machine, const csti_meta_command *command,
                               csti_meta_result *result) {
    char *job;

    if (machine->job) {
        if (strcmp(machine->job, command->name) != 0)
            return csti_meta_refuse(result, CST_JOB_MISMATCH,
                                    "the store belongs to job %.60s, not to %.60s", machine->job,
                                    command->name);
        raise_tenures(machine, command->owner, machine->partitions_count);
        return CST_OK;
    }
    if (command->count == 0 || command->count > CSTI_META_PARTITIONS_MAX)
        return csti_meta_refuse(result, CST_LIMIT, "job %.60s: %u partitions, not 1 to %d",
                                command->name, command->count, CSTI_META_PARTITIONS_MAX);
    if (!has_room(machine, command->count)) return CST_NO_MEMORY;
    job = strdup(command->name);
    if (!job) return CST_NO_MEMORY;
    machine->job = job;
    machine->tenure = command->tenure;
    raise_tenures(machine, command->owner, command->count);
    return CST_OK;
}

cst_code csti_meta_apply_partitions(csti_meta_machine *machine, const csti_meta_command *command,
                                    csti_meta_result *result) {
    if (csti_meta_is_fenced(machine, command, result)) return CST_OK;
    if (command->count == 0 || command->count > CSTI_META_PARTITIONS_MAX)
        return csti_meta_refuse(result, CST_LIMIT, "%u partitions, not 1 to %d", command->count,
                                CSTI_META_PARTITIONS_MAX);
    if (!has_room(machine, command->count)) return CST_NO_MEMORY;
    raise_tenures(machine, command->owner, command->count);
    return CST_OK;
}
