// PIN, UNPIN, LEASE, LEASE_END and TOKEN_RAISE: who may do what, until when.
#include "meta/internal.h"

#include <stdlib.h>
#include <string.h>

// ---- Pins ---------------------------------------------------------------------------------------

static uint32_t pin_place(const csti_meta_machine *machine, uint64_t reader, bool *found_out) {
    return csti_meta_place(machine->pins, machine->pins_count, sizeof *machine->pins, &reader,
                           csti_meta_compare_u64, found_out);
}

static void remove_pin(csti_meta_machine *machine, uint32_t at) {
    machine->pins_count--;
    memmove(machine->pins + at, machine->pins + at + 1,
            (machine->pins_count - at) * sizeof *machine->pins);
}

// The pin that expired first goes, where there is one.
static void forget_expired_pin(csti_meta_machine *machine) {
    uint32_t oldest = machine->pins_count;

    for (uint32_t i = 0; i < machine->pins_count; i++)
        if (machine->pins[i].expires_us <= machine->now_us &&
            (oldest == machine->pins_count ||
             machine->pins[i].expires_us < machine->pins[oldest].expires_us))
            oldest = i;
    if (oldest < machine->pins_count) remove_pin(machine, oldest);
}

static cst_code add_pin(csti_meta_machine *machine, const csti_meta_command *command,
                        csti_meta_result *result) {
    csti_meta_pin *pins;
    uint32_t at;
    bool found;

    if (machine->pins_count == CSTI_META_PINS_MAX) forget_expired_pin(machine);
    if (machine->pins_count == CSTI_META_PINS_MAX)
        return csti_meta_refuse(result, CST_LIMIT, "%d readers pin checkpoints",
                                CSTI_META_PINS_MAX);
    pins = csti_meta_grown(machine->pins, &machine->pins_capacity, machine->pins_count + 1,
                           sizeof *pins);
    if (!pins) return CST_NO_MEMORY;
    machine->pins = pins;
    at = pin_place(machine, command->reader, &found);
    memmove(pins + at + 1, pins + at, (machine->pins_count - at) * sizeof *pins);
    pins[at] = (csti_meta_pin){
        .reader = command->reader,
        .id = command->id,
        .expires_us = csti_meta_expiry(machine, command->ttl_us),
    };
    machine->pins_count++;
    return CST_OK;
}

cst_code csti_meta_apply_pin(csti_meta_machine *machine, const csti_meta_command *command,
                             csti_meta_result *result) {
    const csti_meta_checkpoint *checkpoint = csti_meta_checkpoint_find(machine, command->id);
    const int64_t expires_us = csti_meta_expiry(machine, command->ttl_us);
    bool found;
    const uint32_t at = pin_place(machine, command->reader, &found);
    csti_meta_pin *pin = found ? &machine->pins[at] : NULL;

    if (found && (pin->id != command->id || pin->expires_us <= machine->now_us))
        return csti_meta_refuse(result, CST_PIN_EXPIRED,
                                "the reader's pin of checkpoint %llu has expired, or is another's",
                                (unsigned long long)command->id);
    if (!checkpoint)
        return csti_meta_refuse(result, CST_NOT_FOUND, "checkpoint %llu is not there",
                                (unsigned long long)command->id);
    if (checkpoint->deleting)
        return csti_meta_refuse(result, CST_CHECKPOINT_RETIRED, "checkpoint %llu is deleting",
                                (unsigned long long)command->id);
    if (!found) return add_pin(machine, command, result);
    if (pin->expires_us < expires_us) pin->expires_us = expires_us;
    return CST_OK;
}

cst_code csti_meta_apply_unpin(csti_meta_machine *machine, const csti_meta_command *command,
                               csti_meta_result *result) {
    bool found;
    const uint32_t at = pin_place(machine, command->reader, &found);

    (void)result;
    if (found) remove_pin(machine, at);
    return CST_OK;
}

// ---- Leases -------------------------------------------------------------------------------------

static int compare_lease(const void *key, const void *item) {
    return strcmp(key, ((const csti_meta_lease *)item)->name);
}

// The lease of that name, free and at token 0 if it is new. NULL: refused, or *code_out.
static csti_meta_lease *lease_of(csti_meta_machine *machine, const char *name,
                                 csti_meta_result *result, cst_code *code_out) {
    csti_meta_lease *leases;
    char *copy;
    bool found;
    const uint32_t at = csti_meta_place(machine->leases, machine->leases_count,
                                        sizeof *machine->leases, name, compare_lease, &found);

    *code_out = CST_OK;
    if (found) return &machine->leases[at];
    if (machine->leases_count == CSTI_META_LEASES_MAX) {
        *code_out =
            csti_meta_refuse(result, CST_LIMIT, "%d leases are known", CSTI_META_LEASES_MAX);
        return NULL;
    }
    *code_out = CST_NO_MEMORY;
    leases = csti_meta_grown(machine->leases, &machine->leases_capacity, machine->leases_count + 1,
                             sizeof *leases);
    if (!leases) return NULL;
    machine->leases = leases;
    copy = strdup(name);
    if (!copy) return NULL;
    memmove(leases + at + 1, leases + at, (machine->leases_count - at) * sizeof *leases);
    leases[at] = (csti_meta_lease){.name = copy, .expires_us = INT64_MIN};
    machine->leases_count++;
    *code_out = CST_OK;
    return &leases[at];
}

cst_code csti_meta_apply_lease(csti_meta_machine *machine, const csti_meta_command *command,
                               csti_meta_result *result) {
    const int64_t expires_us = csti_meta_expiry(machine, command->ttl_us);
    cst_code code;
    csti_meta_lease *lease = lease_of(machine, command->lease, result, &code);
    bool is_held;

    if (!lease) return code;
    is_held = lease->holder != 0 && lease->expires_us > machine->now_us;
    if (is_held && lease->holder != command->owner)
        return csti_meta_refuse(result, CST_LEASE, "lease %.60s is another's for %lld us",
                                lease->name, (long long)(lease->expires_us - machine->now_us));
    if (!is_held) {
        lease->token++;
        lease->holder = command->owner;
        lease->expires_us = expires_us;
    } else if (lease->expires_us < expires_us) {
        lease->expires_us = expires_us;
    }
    result->token = lease->token;
    return CST_OK;
}

static void lease_free(csti_meta_lease *lease) {
    lease->holder = 0;
    lease->expires_us = INT64_MIN;
}

cst_code csti_meta_apply_lease_end(csti_meta_machine *machine, const csti_meta_command *command,
                                   csti_meta_result *result) {
    bool found;
    const uint32_t at =
        csti_meta_place(machine->leases, machine->leases_count, sizeof *machine->leases,
                        command->lease, compare_lease, &found);
    csti_meta_lease *lease = found ? &machine->leases[at] : NULL;

    if (!lease || lease->holder != command->owner || lease->token != command->token)
        return csti_meta_refuse(result, CST_LEASE, "lease %.60s is not held with token %llu",
                                command->lease, (unsigned long long)command->token);
    lease_free(lease);
    return CST_OK;
}

cst_code csti_meta_apply_token_raise(csti_meta_machine *machine, const csti_meta_command *command,
                                     csti_meta_result *result) {
    cst_code code;
    csti_meta_lease *lease = lease_of(machine, command->lease, result, &code);

    if (!lease) return code;
    if (lease->token < command->token) lease->token = command->token;
    lease->token++;
    lease_free(lease);
    result->token = lease->token;
    return CST_OK;
}
