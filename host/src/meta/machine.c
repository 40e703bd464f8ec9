#include "base/mistake.h"
#include "meta/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const csti_meta_handler handlers[] = {
    [CSTI_META_CLAIM] = csti_meta_apply_claim,
    [CSTI_META_PARTITIONS] = csti_meta_apply_partitions,
    [CSTI_META_COMMIT] = csti_meta_apply_commit,
    [CSTI_META_ADOPT] = csti_meta_apply_commit,
    [CSTI_META_ABORT] = csti_meta_apply_abort,
    [CSTI_META_REGISTER_FULL] = csti_meta_apply_register_full,
    [CSTI_META_RETIRE] = csti_meta_apply_retire,
    [CSTI_META_DELETED] = csti_meta_apply_deleted,
    [CSTI_META_PIN] = csti_meta_apply_pin,
    [CSTI_META_UNPIN] = csti_meta_apply_unpin,
    [CSTI_META_LEASE] = csti_meta_apply_lease,
    [CSTI_META_LEASE_END] = csti_meta_apply_lease_end,
    [CSTI_META_TOKEN_RAISE] = csti_meta_apply_token_raise,
};

cst_code csti_meta_refuse(csti_meta_result *result, cst_code code, const char *format, ...) {
    va_list arguments;

    assert(code != CST_OK);
    result->code = code;
    va_start(arguments, format);
    (void)vsnprintf(result->text, sizeof result->text, format, arguments);
    va_end(arguments);
    return CST_OK;
}

void *csti_meta_grown(void *items, uint32_t *capacity, uint32_t wanted, size_t item_bytes) {
    uint32_t larger = *capacity < 8 ? 8 : *capacity;
    void *grown;

    if (items && wanted <= *capacity) return items;
    while (larger < wanted) larger *= 2;
    grown = realloc(items, larger * item_bytes);
    if (grown) *capacity = larger;
    return grown;
}

uint32_t csti_meta_place(const void *items, uint32_t count, size_t item_bytes, const void *key,
                         csti_meta_compare compare, bool *found_out) {
    uint32_t low = 0, high = count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (compare(key, (const uint8_t *)items + middle * item_bytes) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found_out = low < count && compare(key, (const uint8_t *)items + low * item_bytes) == 0;
    return low;
}

int csti_meta_compare_u64(const void *key, const void *item) {
    const uint64_t a = *(const uint64_t *)key;
    const uint64_t b = *(const uint64_t *)item;

    return (a > b) - (a < b);
}

int csti_meta_compare_text(const void *key, const void *item) {
    return strcmp(key, *(const char *const *)item);
}

static int compare_full(const void *key, const void *item) {
    return strcmp(key, ((const csti_meta_full *)item)->name);
}

uint32_t csti_meta_full_place(const csti_meta_machine *machine, const char *name, bool *found_out) {
    return csti_meta_place(machine->fulls, machine->fulls_count, sizeof *machine->fulls, name,
                           compare_full, found_out);
}

csti_meta_checkpoint *csti_meta_checkpoint_find(const csti_meta_machine *machine, uint64_t id) {
    bool found;
    const uint32_t at =
        csti_meta_place(machine->checkpoints, machine->checkpoints_count,
                        sizeof *machine->checkpoints, &id, csti_meta_compare_u64, &found);

    return found ? &machine->checkpoints[at] : NULL;
}

bool csti_meta_is_fenced(const csti_meta_machine *machine, const csti_meta_command *command,
                         csti_meta_result *result) {
    if (machine->owner == command->owner && machine->tenure == command->tenure) return false;
    if (CSTI_MISTAKE(stale_commits) && command->kind == CSTI_META_COMMIT) return false;
    (void)csti_meta_refuse(result, CST_FENCED,
                           "%s of tenure %llu: the job is at tenure %llu, of another owner",
                           csti_meta_kind_name(command->kind), (unsigned long long)command->tenure,
                           (unsigned long long)machine->tenure);
    return true;
}

int64_t csti_meta_expiry(const csti_meta_machine *machine, uint64_t ttl_us) {
    assert(ttl_us <= CSTI_META_TTL_US_MAX);
    return machine->now_us > INT64_MAX - (int64_t)ttl_us ? INT64_MAX
                                                         : machine->now_us + (int64_t)ttl_us;
}

// ---- The machine --------------------------------------------------------------------------------

cst_code csti_meta_machine_open(uint64_t incarnation, csti_meta_machine **out, cst_err *err) {
    csti_meta_machine *machine = calloc(1, sizeof *machine);

    if (!machine) return cst_fail(err, CST_NO_MEMORY, "metadata: %zu bytes", sizeof *machine);
    machine->incarnation = incarnation;
    machine->now_us = INT64_MIN;
    *out = machine;
    return CST_OK;
}

void csti_meta_machine_close(csti_meta_machine *machine) {
    if (!machine) return;
    for (uint32_t i = 0; i < machine->checkpoints_count; i++) {
        free((void *)(uintptr_t)machine->checkpoints[i].manifest);
        free((void *)(uintptr_t)machine->checkpoints[i].fulls);
    }
    for (uint32_t i = 0; i < machine->fulls_count; i++)
        free((void *)(uintptr_t)machine->fulls[i].name);
    for (uint32_t i = 0; i < machine->leases_count; i++)
        free((void *)(uintptr_t)machine->leases[i].name);
    for (uint32_t i = 0; i < machine->pending_count; i++) free(machine->pending[i]);
    free(machine->job);
    free(machine->partitions);
    free(machine->checkpoints);
    free(machine->aborted);
    free(machine->fulls);
    free(machine->pins);
    free(machine->leases);
    free(machine->pending);
    free(machine);
}

static void note_recent(csti_meta_machine *machine, const csti_meta_command *command,
                        const csti_meta_result *result) {
    machine->recent[machine->index % CSTI_META_RECENT_MAX] = (csti_meta_recent){
        .request_id = command->request_id,
        .tenure = result->tenure,
        .token = result->token,
        .code = result->code,
    };
    if (machine->recent_count < CSTI_META_RECENT_MAX) machine->recent_count++;
}

cst_code csti_meta_machine_apply(csti_meta_machine *machine, uint64_t index,
                                 const csti_meta_command *command, csti_meta_result *result_out,
                                 cst_err *err) {
    const int64_t before_us = machine->now_us;
    const char *fault = csti_meta_command_fault(command);
    csti_meta_result result = {.code = CST_OK, .index = index};
    cst_code code;

    assert(index == machine->index + 1);
    if (command->time_us > machine->now_us) machine->now_us = command->time_us;
    if (fault)
        code = csti_meta_refuse(&result, CST_USAGE, "%s: %s", csti_meta_kind_name(command->kind),
                                fault);
    else
        code = handlers[command->kind](machine, command, &result);
    if (code != CST_OK) {
        assert(code == CST_NO_MEMORY);
        machine->now_us = before_us;
        return cst_fail(err, code, "metadata: command %llu", (unsigned long long)index);
    }
    machine->index = index;
    result.tenure = machine->tenure;
    note_recent(machine, command, &result);
    *result_out = result;
    return CST_OK;
}

void csti_meta_machine_view(const csti_meta_machine *machine, csti_meta_view *out) {
    *out = (csti_meta_view){
        .incarnation = machine->incarnation,
        .index = machine->index,
        .now_us = machine->now_us,
        .job = machine->job ? machine->job : "",
        .owner = machine->owner,
        .tenure = machine->tenure,
        .partitions = machine->partitions,
        .partitions_count = machine->partitions_count,
        .checkpoints = machine->checkpoints,
        .checkpoints_count = machine->checkpoints_count,
        .aborted = machine->aborted,
        .aborted_count = machine->aborted_count,
        .fulls = machine->fulls,
        .fulls_count = machine->fulls_count,
        .pins = machine->pins,
        .pins_count = machine->pins_count,
        .leases = machine->leases,
        .leases_count = machine->leases_count,
        .pending = (const char *const *)machine->pending,
        .pending_count = machine->pending_count,
    };
}

bool csti_meta_machine_recent(const csti_meta_machine *machine, uint64_t request_id,
                              csti_meta_result *out) {
    for (uint64_t index = machine->index - machine->recent_count + 1; index <= machine->index;
         index++) {
        const csti_meta_recent *recent = &machine->recent[index % CSTI_META_RECENT_MAX];

        if (recent->request_id != request_id) continue;
        *out = (csti_meta_result){
            .code = recent->code,
            .index = index,
            .tenure = recent->tenure,
            .token = recent->token,
        };
        if (recent->code != CST_OK)
            (void)csti_meta_refuse(out, recent->code, "decided at index %llu",
                                   (unsigned long long)index);
        return true;
    }
    return false;
}

uint32_t csti_meta_machine_recent_count(const csti_meta_machine *machine) {
    return machine->recent_count;
}

void csti_meta_machine_begin(csti_meta_machine *machine) {
    machine->index = 1;
    machine->recent_count = 0;
}

const csti_meta_checkpoint *csti_meta_view_newest(const csti_meta_view *view) {
    const csti_meta_checkpoint *newest =
        view->checkpoints_count ? &view->checkpoints[view->checkpoints_count - 1] : NULL;

    assert(!newest || !newest->deleting); // RETIRE refuses the newest
    return newest;
}
