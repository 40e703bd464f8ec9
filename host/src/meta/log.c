#include "meta/log.h"

#include "base/fault_point.h"
#include "base/mistake.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_MAX = 64, // entries read before they are applied
    BATCH_BYTES_MAX = 16 << 20,
    BATCH_ARENA_BYTES_MAX = 128 << 20, // of decoded commands
};

static uint64_t index_of(const csti_meta *meta) {
    csti_meta_view view;

    csti_meta_machine_view(meta->machine, &view);
    return view.index;
}

// ---- Catching up --------------------------------------------------------------------------------

// The proposal whose result is looked for on the way.
typedef struct wanted {
    uint64_t request_id; // 0: none
    bool found;
    csti_meta_result result;
} wanted;

// What a list says about the log behind an index.
typedef struct ahead {
    uint64_t incarnation; // the own
    uint64_t later;       // a higher one; 0: none
    uint64_t snapshot;    // the newest; 0: none
    uint64_t entry;       // the last; 0: none
} ahead;

static bool visit_ahead(void *context, const char *name, const cst_object_info *info) {
    ahead *seen = context;
    csti_meta_object object;

    (void)info;
    if (!csti_meta_name_read(name, &object)) return true;
    if (object.incarnation > seen->incarnation)
        seen->later = object.incarnation;
    else if (object.snapshot)
        seen->snapshot = object.index;
    else
        seen->entry = object.index;
    return seen->later == 0;
}

static cst_code look_ahead(csti_meta *meta, ahead *out, cst_err *err) {
    char after[CSTI_META_NAME_BYTES];
    cst_code code;

    *out = (ahead){.incarnation = meta->incarnation};
    csti_meta_name_write((csti_meta_object){meta->incarnation, index_of(meta), false}, after);
    code = cst_object_list(meta->store, "meta/", after, visit_ahead, out, err);
    if (code == CST_OK && out->later != 0)
        code = cst_fail(err, CST_FENCED,
                        "metadata: incarnation %llu has begun, this process is at %llu",
                        (unsigned long long)out->later, (unsigned long long)meta->incarnation);
    if (code == CST_OK && out->snapshot > meta->snapshot_index)
        meta->snapshot_index = out->snapshot;
    return code;
}

typedef struct batch {
    csti_arena arena;
    csti_meta_command commands[BATCH_MAX];
    uint32_t count;
    uint64_t bytes;
    cst_code fault; // of the entry behind them, where it is damaged
} batch;

static bool is_full(const batch *read) {
    return read->count == BATCH_MAX || read->bytes >= BATCH_BYTES_MAX;
}

// The entries from index + 1 on, up to the first that is not there.
static cst_code read_entries(csti_meta *meta, batch *out, cst_err *err) {
    const uint64_t first = index_of(meta) + 1;

    csti_arena_reset(&out->arena);
    out->count = 0;
    out->bytes = 0;
    out->fault = CST_OK;
    while (!is_full(out)) {
        char name[CSTI_META_NAME_BYTES];
        cst_object_body body;
        cst_code code;

        csti_meta_name_write((csti_meta_object){meta->incarnation, first + out->count, false},
                             name);
        code = cst_object_get(meta->store, name, 0, UINT64_MAX, &body, err);
        if (code == CST_NOT_FOUND) return CST_OK;
        if (code != CST_OK) return code;
        out->bytes += body.count;
        code = csti_meta_entry_decode(meta->incarnation, first + out->count, body.bytes, body.count,
                                      &out->arena, &out->commands[out->count], err);
        cst_object_body_release(meta->store, &body);
        if (code == CST_META_CORRUPT || code == CST_META_VERSION) {
            out->fault = cst_fail_at(err, code, "%s", name);
            return CST_OK;
        }
        if (code != CST_OK) return cst_fail_at(err, code, "%s", name);
        out->count++;
    }
    return CST_OK;
}

static cst_code apply_entries(csti_meta *meta, const batch *read, wanted *want, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < read->count && code == CST_OK; i++) {
        csti_meta_result result;

        pthread_mutex_lock(&meta->state_lock);
        code = csti_meta_machine_apply(meta->machine, index_of(meta) + 1, &read->commands[i],
                                       &result, err);
        if (code == CST_OK) meta->counters.entries_read++;
        pthread_mutex_unlock(&meta->state_lock);
        if (code == CST_OK && read->commands[i].request_id == want->request_id) {
            want->found = true;
            want->result = result;
        }
    }
    return code;
}

// Goes on from a snapshot. One that was trimmed meanwhile: CST_OK, and nothing happened.
static cst_code jump(csti_meta *meta, uint64_t snapshot, wanted *want, cst_err *err) {
    csti_meta_machine *machine = NULL;
    cst_code code = csti_meta_snapshot_read(meta, snapshot, &machine, err);

    if (code == CST_NOT_FOUND) return CST_OK;
    if (code != CST_OK) return code;
    pthread_mutex_lock(&meta->state_lock);
    csti_meta_machine_close(meta->machine);
    meta->machine = machine;
    pthread_mutex_unlock(&meta->state_lock);
    if (!want->found && want->request_id != 0)
        want->found = csti_meta_machine_recent(machine, want->request_id, &want->result);
    return CST_OK;
}

// Whether the entry that was applied last is still there. Entries are trimmed in their order: one
// that a process which slept has written anew lies behind a gap, or behind another of its kind.
static cst_code last_is_there(csti_meta *meta, batch *scratch, bool *out, cst_err *err) {
    const uint64_t index = index_of(meta);
    char name[CSTI_META_NAME_BYTES];
    csti_meta_command command;
    csti_meta_result result;
    cst_object_body body;
    cst_code code;

    *out = false;
    if (index == 0) return CST_OK;
    csti_meta_name_write((csti_meta_object){meta->incarnation, index, false}, name);
    code = cst_object_get(meta->store, name, 0, UINT64_MAX, &body, err);
    if (code == CST_NOT_FOUND) return CST_OK;
    if (code != CST_OK) return code;
    code = csti_meta_entry_decode(meta->incarnation, index, body.bytes, body.count, &scratch->arena,
                                  &command, err);
    cst_object_body_release(meta->store, &body);
    if (code == CST_META_CORRUPT || code == CST_META_VERSION) return CST_OK;
    *out = code == CST_OK && csti_meta_machine_recent(meta->machine, command.request_id, &result) &&
           result.index == index;
    return code;
}

// What the round before this one saw, and this one may not see again.
typedef struct doubts {
    uint64_t missing; // an entry was not there while a later one was: not only a moment ago
    uint64_t gap;     // what lies behind this index did not follow it
} doubts;

// One round. What was read counts, damaged or not, only if no snapshot lies at or above it: a
// process that slept may have written an entry anew where one was trimmed. A list may miss that, if
// the next snapshot comes and the last one goes while it runs: where there is a gap, another list
// has to see none either.
static cst_code catch_up_some(csti_meta *meta, batch *read, wanted *want, doubts *before,
                              bool *done_out, cst_err *err) {
    bool follows = true;
    ahead seen;
    cst_code code = read_entries(meta, read, err);

    *done_out = false;
    if (code == CST_OK) code = look_ahead(meta, &seen, err);
    if (code != CST_OK) return code;
    if (seen.snapshot > index_of(meta) && !(CSTI_MISTAKE(sleeper_appends) && read->count > 0))
        return jump(meta, seen.snapshot, want, err);
    if (read->fault != CST_OK) return read->fault;
    if (read->count > 0) code = last_is_there(meta, read, &follows, err);
    if (code != CST_OK) return code;
    if (!follows && before->gap != index_of(meta)) {
        before->gap = index_of(meta);
        return CST_OK;
    }
    code = apply_entries(meta, read, want, err);
    if (code != CST_OK || is_full(read)) return code;
    *done_out = seen.entry <= index_of(meta);
    if (!*done_out && before->missing == index_of(meta) + 1)
        return cst_fail(err, CST_META_CORRUPT,
                        "meta/%016llx/%020llu: it is missing, and later ones are there",
                        (unsigned long long)meta->incarnation, (unsigned long long)before->missing);
    before->missing = index_of(meta) + 1;
    return CST_OK;
}

static cst_code catch_up(csti_meta *meta, wanted *want, cst_err *err) {
    batch *read = malloc(sizeof *read);
    doubts before = {.gap = UINT64_MAX};
    bool done = false;
    cst_code code = CST_OK;

    if (!read) return cst_fail(err, CST_NO_MEMORY, "metadata: %zu bytes", sizeof *read);
    csti_arena_init(&read->arena, BATCH_ARENA_BYTES_MAX);
    for (int round = 0; round < CSTI_META_ROUNDS_MAX && code == CST_OK && !done; round++)
        code = catch_up_some(meta, read, want, &before, &done, err);
    if (code == CST_OK && !done)
        code = cst_fail(err, CST_AGAIN, "metadata: others append faster than it is read");
    csti_arena_release(&read->arena);
    free(read);
    return code;
}

// ---- Proposing ----------------------------------------------------------------------------------

// An append on its way to a decision.
typedef struct proposal {
    csti_meta_command command;
    csti_buffer bytes;
    uint64_t index; // where it was last put
    bool unsettled; // whether that put may have taken effect, or still take it
    wanted want;
} proposal;

static cst_code append(csti_meta *meta, proposal *mine, cst_err *err) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT,
                                     .nonce = mine->command.request_id};
    char name[CSTI_META_NAME_BYTES];
    cst_bytes range;
    cst_code code;

    if (!mine->unsettled) { // else the very same bytes once more
        mine->index = index_of(meta) + 1;
        mine->command.time_us = csti_clock_wall_us(meta->clock);
        csti_buffer_reset(&mine->bytes);
        code = csti_meta_entry_encode(meta->incarnation, mine->index, &mine->command, &mine->bytes,
                                      err);
        if (code != CST_OK) return code;
    }
    assert(mine->index == index_of(meta) + 1);
    csti_meta_name_write((csti_meta_object){meta->incarnation, mine->index, false}, name);
    range = (cst_bytes){mine->bytes.bytes, mine->bytes.used_bytes};
    code = cst_object_put(meta->store, name, &range, 1, &options, NULL, err);
    CSTI_FAULT_POINT(meta_append);
    if (code == CST_OK || code == CST_OBJECT_AMBIGUOUS || code == CST_DEADLINE)
        mine->unsettled = true;
    else if (code != CST_EXISTS)
        return code;
    return CST_OK;
}

// After the log was read: whether the put of the proposal may still become an entry. False too if
// its index went to another; error: a snapshot has swallowed the index too long ago to tell.
static cst_code settle(csti_meta *meta, proposal *mine, cst_err *err) {
    const uint64_t index = index_of(meta);

    if (!mine->unsettled || mine->want.found || index < mine->index) return CST_OK;
    mine->unsettled = index - mine->index >= csti_meta_machine_recent_count(meta->machine);
    if (!mine->unsettled) return CST_OK;
    return cst_fail(err, CST_OBJECT_AMBIGUOUS, "metadata: entry %llu lies too far behind",
                    (unsigned long long)mine->index);
}

static cst_code decide(csti_meta *meta, proposal *mine, cst_err *err) {
    uint32_t settles = 0;

    for (int conflicts = 0; conflicts < CSTI_META_CONFLICTS_MAX; conflicts++) {
        cst_code code = append(meta, mine, err);

        if (code == CST_OK) code = catch_up(meta, &mine->want, err);
        if (code == CST_OK) code = settle(meta, mine, err);
        if (code != CST_OK || mine->want.found) return code;
        if (mine->unsettled && ++settles == CSTI_META_SETTLES_MAX)
            return cst_fail(err, CST_OBJECT_AMBIGUOUS, "metadata: entry %llu neither is nor is not",
                            (unsigned long long)mine->index);
        if (mine->unsettled) continue;
        settles = 0;
        pthread_mutex_lock(&meta->state_lock);
        meta->counters.conflicts++;
        pthread_mutex_unlock(&meta->state_lock);
    }
    return cst_fail(err, CST_AGAIN, "metadata: lost %d races for the log", CSTI_META_CONFLICTS_MAX);
}

static void snapshot_if_due(csti_meta *meta) {
    cst_code code;

    if (index_of(meta) - meta->snapshot_index < meta->snapshot_every) return;
    code = csti_meta_snapshot_write(meta, NULL); // what was decided is decided: the next one tries
    pthread_mutex_lock(&meta->state_lock);
    if (code == CST_OK)
        meta->counters.snapshots++;
    else
        meta->counters.snapshot_errors++;
    pthread_mutex_unlock(&meta->state_lock);
}

static cst_code request_id_make(csti_meta *meta, uint64_t *out, cst_err *err) {
    cst_code code = CST_OK;

    *out = 0;
    while (*out == 0 && code == CST_OK)
        code = csti_random_fill(meta->random, out, sizeof *out, err);
    return code;
}

cst_code csti_meta_propose(csti_meta *meta, const csti_meta_command *command,
                           csti_meta_result *result_out, cst_err *err) {
    proposal mine = {.command = *command};
    cst_code code;

    csti_buffer_init(&mine.bytes, CSTI_META_ENTRY_HEADER_BYTES + CSTI_META_COMMAND_BYTES_MAX);
    pthread_mutex_lock(&meta->log_lock);
    code = request_id_make(meta, &mine.command.request_id, err);
    mine.want.request_id = mine.command.request_id;
    if (code == CST_OK) code = decide(meta, &mine, err);
    pthread_mutex_lock(&meta->state_lock);
    meta->counters.proposals++;
    if (mine.want.found && mine.want.result.code != CST_OK) meta->counters.refusals++;
    pthread_mutex_unlock(&meta->state_lock);
    if (mine.want.found) {
        snapshot_if_due(meta);
        code = mine.want.result.code;
        if (code != CST_OK) code = cst_fail(err, code, "%s", mine.want.result.text);
        if (result_out) *result_out = mine.want.result;
    } else if (mine.unsettled && code != CST_FENCED && code != CST_META_CORRUPT &&
               code != CST_META_VERSION) {
        code = cst_fail_at(err, CST_OBJECT_AMBIGUOUS,
                           "metadata entry %llu may be there, and looking ended with %s",
                           (unsigned long long)mine.index, cst_code_name(code));
    }
    pthread_mutex_unlock(&meta->log_lock);
    csti_buffer_release(&mine.bytes);
    return code;
}

cst_code csti_meta_refresh(csti_meta *meta, cst_err *err) {
    wanted none = {0};
    cst_code code;

    pthread_mutex_lock(&meta->log_lock);
    code = catch_up(meta, &none, err);
    pthread_mutex_unlock(&meta->log_lock);
    return code;
}

cst_code csti_meta_read(csti_meta *meta, csti_arena *arena, csti_meta_view *out, cst_err *err) {
    csti_meta_view view;
    cst_code code;

    pthread_mutex_lock(&meta->state_lock);
    csti_meta_machine_view(meta->machine, &view);
    code = csti_meta_view_copy(&view, arena, out, err);
    pthread_mutex_unlock(&meta->state_lock);
    return code;
}

void csti_meta_counters_read(csti_meta *meta, csti_meta_counters *out) {
    pthread_mutex_lock(&meta->state_lock);
    *out = meta->counters;
    pthread_mutex_unlock(&meta->state_lock);
}

// ---- Opening ------------------------------------------------------------------------------------

static bool visit_incarnation(void *context, const char *name, const cst_object_info *info) {
    uint64_t *highest = context;
    csti_meta_object object;

    (void)info;
    if (csti_meta_name_read(name, &object) && object.incarnation > *highest)
        *highest = object.incarnation;
    return true;
}

cst_code csti_meta_incarnation_highest(cst_object_store *store, uint64_t *out, cst_err *err) {
    uint64_t highest = 0;
    cst_code code = cst_object_list(store, "meta/", NULL, visit_incarnation, &highest, err);

    if (code == CST_OK) *out = highest;
    return code;
}

static bool visit_any(void *context, const char *name, const cst_object_info *info) {
    (void)name;
    (void)info;
    *(bool *)context = true;
    return false;
}

// Which incarnation to go on with.
static cst_code incarnation_find(const csti_meta_log_options *options, uint64_t *out,
                                 cst_err *err) {
    bool holds_checkpoints = false;
    cst_code code = csti_meta_incarnation_highest(options->store, out, err);

    if (code != CST_OK || *out != 0) return code;
    code =
        cst_object_list(options->store, "checkpoints/", NULL, visit_any, &holds_checkpoints, err);
    // Metadata comes before checkpoints: a job may have begun between the two looks.
    if (code == CST_OK && holds_checkpoints)
        code = csti_meta_incarnation_highest(options->store, out, err);
    if (code != CST_OK || *out != 0) return code;
    if (holds_checkpoints)
        return cst_fail(err, CST_META_MISSING,
                        "%s holds checkpoints, but no metadata: recover --from-listing",
                        cst_object_store_uri(options->store));
    if (!options->create)
        return cst_fail(err, CST_NOT_FOUND, "%s holds no job",
                        cst_object_store_uri(options->store));
    *out = 1;
    return CST_OK;
}

// Takes the machine, also if it fails.
static cst_code meta_make(const csti_meta_log_options *options, csti_meta_machine *machine,
                          csti_meta **out, cst_err *err) {
    csti_meta *meta = calloc(1, sizeof *meta);
    csti_meta_view view;
    cst_code code;

    if (!meta) {
        csti_meta_machine_close(machine);
        return cst_fail(err, CST_NO_MEMORY, "metadata: %zu bytes", sizeof *meta);
    }
    csti_meta_machine_view(machine, &view);
    meta->store = options->store;
    meta->clock = options->clock;
    meta->random = options->random;
    meta->snapshot_every =
        options->snapshot_every ? options->snapshot_every : CSTI_META_SNAPSHOT_EVERY;
    meta->incarnation = view.incarnation;
    meta->machine = machine;
    pthread_mutex_init(&meta->log_lock, NULL);
    pthread_mutex_init(&meta->state_lock, NULL);
    code = csti_meta_refresh(meta, err);
    if (code == CST_OK)
        *out = meta;
    else
        csti_meta_close(meta);
    return code;
}

cst_code csti_meta_open_log(const csti_meta_log_options *options, csti_meta **out, cst_err *err) {
    csti_meta_machine *machine = NULL;
    uint64_t incarnation = 0;
    cst_code code = incarnation_find(options, &incarnation, err);

    if (code == CST_OK) code = csti_meta_machine_open(incarnation, &machine, err);
    if (code != CST_OK) return code;
    return meta_make(options, machine, out, err);
}

static cst_code apply_first(csti_meta_machine *machine, const csti_clock *clock,
                            const csti_meta_command *first, uint32_t first_count, cst_err *err) {
    for (uint32_t i = 0; i < first_count; i++) {
        csti_meta_command command = first[i];
        csti_meta_result result;
        cst_code code;

        command.request_id = i + 1;
        command.time_us = csti_clock_wall_us(clock);
        code = csti_meta_machine_apply(machine, i + 1, &command, &result, err);
        if (code != CST_OK) return code;
        if (result.code != CST_OK)
            return cst_fail(err, result.code, "first command %u: %s", i, result.text);
    }
    csti_meta_machine_begin(machine);
    return CST_OK;
}

static cst_code put_first(const csti_meta_log_options *options, uint64_t incarnation,
                          const csti_meta_machine *machine, cst_err *err) {
    char name[CSTI_META_NAME_BYTES];
    csti_buffer bytes;
    uint64_t highest = 0, nonce = 0;
    cst_code code;

    csti_buffer_init(&bytes, CSTI_META_STATE_BYTES_MAX);
    csti_meta_name_write((csti_meta_object){incarnation, 1, true}, name);
    code = csti_meta_machine_encode(machine, &bytes, err);
    if (code == CST_OK) code = csti_meta_incarnation_highest(options->store, &highest, err);
    if (code == CST_OK && highest >= incarnation)
        code = cst_fail(err, CST_EXISTS, "%s has metadata of incarnation %llu",
                        cst_object_store_uri(options->store), (unsigned long long)highest);
    if (code == CST_OK) code = csti_random_fill(options->random, &nonce, sizeof nonce, err);
    if (code == CST_OK) code = csti_meta_put_settled(options->store, name, nonce, &bytes, err);
    csti_buffer_release(&bytes);
    return code;
}

cst_code csti_meta_open_incarnation(const csti_meta_log_options *options, uint64_t incarnation,
                                    const csti_meta_command *first, uint32_t first_count,
                                    csti_meta **out, cst_err *err) {
    csti_meta_machine *machine = NULL;
    cst_code code = csti_meta_machine_open(incarnation, &machine, err);

    if (code != CST_OK) return code;
    code = apply_first(machine, options->clock, first, first_count, err);
    if (code == CST_OK) code = put_first(options, incarnation, machine, err);
    if (code == CST_OK) return meta_make(options, machine, out, err);
    csti_meta_machine_close(machine);
    return code;
}

void csti_meta_close(csti_meta *meta) {
    if (!meta) return;
    pthread_mutex_destroy(&meta->state_lock);
    pthread_mutex_destroy(&meta->log_lock);
    csti_meta_machine_close(meta->machine);
    free(meta);
}
