#include "checkpoint/recovery.h"

#include "base/fault_point.h"
#include "checkpoint/listing.h"
#include "checkpoint/recovery_attempt.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VIEW_ARENA_BYTES = 256 << 20,
    ADOPT_TRIES = 3, // of a proposal whose outcome is not known; a second one changes nothing
    PIN_HOURS = 24,  // a checkpoint that was gone back to; the next commit comes long before
};

typedef struct recovery {
    const csti_recovery_options *options;
    csti_attempt attempt;
    csti_arena view_arena;
    csti_meta_view view;
    csti_listing listing;
    uint32_t skipped_count;    // committed ones, newer than the one at work
    uint32_t partitions_count; // the most that one of those had which could be read
    bool had_output;           // one of them, or that cannot be known
    cst_err first;             // why the newest was skipped
    cst_err *err;
} recovery;

// ---- Names --------------------------------------------------------------------------------------

static cst_code names_read(recovery *at, uint64_t newest_id) {
    const csti_meta_view *view = &at->view;
    cst_code code =
        csti_listing_read(at->options->store, newest_id, &at->view_arena, &at->listing, at->err);

    if (code != CST_OK) return code;
    if (view->checkpoints_count > 0 &&
        view->checkpoints[view->checkpoints_count - 1].id > at->listing.id_max)
        at->listing.id_max = view->checkpoints[view->checkpoints_count - 1].id;
    if (view->aborted_count > 0 && view->aborted[view->aborted_count - 1] > at->listing.id_max)
        at->listing.id_max = view->aborted[view->aborted_count - 1];
    return CST_OK;
}

// ---- Adopt --------------------------------------------------------------------------------------

// An older owner's manifest that stands on the newest committed one, in this incarnation.
static bool is_candidate(const recovery *at, const csti_manifest *manifest, uint64_t newest_id) {
    return manifest->base_id == newest_id && manifest->incarnation == at->view.incarnation;
}

static cst_code adopt_propose(recovery *at, const csti_listed_manifest *candidate) {
    const csti_recovery_options *options = at->options;
    const csti_manifest_object *object = &at->attempt.object;
    csti_meta_command command = {
        .kind = CSTI_META_ADOPT,
        .owner = options->owner,
        .tenure = options->tenure,
        .id = object->manifest.id,
        .base_id = object->manifest.base_id,
        .name = candidate->name,
        .crc = object->crc,
    };
    csti_meta_result result;
    cst_code code = csti_manifest_fulls(&object->manifest, &at->attempt.arena, &command.fulls,
                                        &command.fulls_count, at->err);

    if (code != CST_OK) return code;
    CSTI_FAULT_POINT(adopt_before_command);
    code = CST_OBJECT_AMBIGUOUS;
    for (int try = 0; try < ADOPT_TRIES; try++) {
        if (code != CST_OBJECT_AMBIGUOUS && code != CST_DEADLINE) break;
        code = csti_meta_propose(options->meta, &command, &result, at->err);
    }
    if (code == CST_OK) CSTI_FAULT_POINT(adopt_after_command);
    return code;
}

// What ends recovery when a candidate meets it; all else only ends the candidate.
static bool is_ending(cst_code code) {
    return !csti_code_is_damage(code) && code != CST_JOB_MISMATCH && code != CST_MANIFEST_VERSION &&
           code != CST_CHECKPOINT_ABORTED && code != CST_CHECKPOINT_ORDER &&
           code != CST_CHECKPOINT_RETIRED;
}

// CST_AGAIN: it is none, or not whole.
static cst_code candidate_try(recovery *at, const csti_listed_manifest *candidate,
                              uint64_t newest_id) {
    csti_attempt *attempt = &at->attempt;
    cst_code code = csti_attempt_manifest(attempt, candidate->id, candidate->name, NULL, at->err);

    if (code == CST_OK && !is_candidate(at, &attempt->object.manifest, newest_id)) {
        csti_attempt_close(attempt);
        return CST_AGAIN;
    }
    if (code == CST_OK) code = csti_attempt_expect(attempt, at->err);
    if (code == CST_OK) code = csti_attempt_chains(attempt, at->err);
    if (code == CST_OK) code = csti_attempt_parts(attempt, at->err);
    if (code == CST_OK) code = adopt_propose(at, candidate);
    if (code == CST_OK) {
        attempt->report->adopted = true;
        csti_attempt_note(attempt, candidate->id, CST_OK, "adopted: whole, but never committed");
        return CST_OK;
    }
    csti_attempt_close(attempt);
    if (is_ending(code)) return code;
    csti_attempt_note(attempt, candidate->id, code, "not adopted: %s", at->err->text);
    return CST_AGAIN;
}

// The highest tenure first, then the highest id: what that owner saw is the newest.
static int by_tenure_down(const void *a, const void *b) {
    const csti_listed_manifest *x = a, *y = b;

    if (x->tenure != y->tenure) return x->tenure < y->tenure ? 1 : -1;
    if (x->id != y->id) return x->id < y->id ? 1 : -1;
    return strcmp(x->name, y->name);
}

// CST_AGAIN: there is none to adopt.
static cst_code adopt(recovery *at, uint64_t newest_id) {
    const uint64_t begin_ns = csti_clock_now_ns(at->options->clock);
    csti_listing *listing = &at->listing;
    cst_code code = CST_AGAIN;

    if (listing->manifests_count > 0)
        qsort(listing->manifests, listing->manifests_count, sizeof *listing->manifests,
              by_tenure_down);
    for (uint32_t i = 0; code == CST_AGAIN && i < listing->manifests_count; i++)
        code = candidate_try(at, &listing->manifests[i], newest_id);
    at->attempt.report->adopt_ns = csti_clock_now_ns(at->options->clock) - begin_ns;
    return code;
}

// ---- Choose -------------------------------------------------------------------------------------

// Opens a committed one. Damage is noted: CST_AGAIN.
static cst_code committed_try(recovery *at, const csti_meta_checkpoint *checkpoint) {
    csti_attempt *attempt = &at->attempt;
    bool known = false; // which output it had
    cst_code code = csti_attempt_manifest(attempt, checkpoint->id, checkpoint->manifest,
                                          &checkpoint->crc, at->err);

    if (code == CST_OK) {
        known = true;
        if (attempt->object.manifest.partitions_count > at->partitions_count)
            at->partitions_count = attempt->object.manifest.partitions_count;
        code = csti_attempt_expect(attempt, at->err);
        if (code != CST_OK) return code; // it says which
        code = csti_attempt_chains(attempt, at->err);
    }
    if (code == CST_OK) {
        code = csti_attempt_parts(attempt, at->err);
        if (code != CST_OK)
            return cst_fail_at(at->err, code, "checkpoint %" PRIu64, checkpoint->id);
        return CST_OK;
    }
    if (!csti_code_is_damage(code))
        return cst_fail_at(at->err, code, "checkpoint %" PRIu64, checkpoint->id);
    if (at->skipped_count++ == 0) at->first = *at->err;
    csti_attempt_note(attempt, checkpoint->id, code, "%s", at->err->text);
    if (!known || csti_attempt_has_output(attempt)) at->had_output = true;
    csti_attempt_close(attempt);
    return CST_AGAIN;
}

static cst_code pin_older(recovery *at, uint64_t id) {
    const csti_meta_command command = {
        .kind = CSTI_META_PIN,
        .reader = at->options->owner,
        .id = id,
        .ttl_us = (uint64_t)PIN_HOURS * 3600 * 1000000,
    };
    csti_meta_result result;
    const cst_code code = csti_meta_propose(at->options->meta, &command, &result, at->err);

    if (code != CST_OK) return cst_fail_at(at->err, code, "pinning checkpoint %" PRIu64, id);
    return CST_OK;
}

// How many partitions may have had output behind the one that was opened: the job can have had
// another number of them since.
static uint32_t partitions_since(const recovery *at) {
    uint32_t count = at->attempt.object.manifest.partitions_count;

    if (at->view.partitions_count > count) count = at->view.partitions_count;
    if (at->partitions_count > count) count = at->partitions_count;
    return at->listing.partitions_count > count ? at->listing.partitions_count : count;
}

// The epoch that partition p had come to. Where it was none, later ones of its number began behind
// all that there were.
static uint64_t epoch_reached(const csti_manifest *manifest, uint32_t p) {
    uint64_t epoch = 0;

    if (p < manifest->partitions_count) return manifest->partitions[p].epoch_to;
    for (uint32_t i = 0; i < manifest->partitions_count; i++)
        if (manifest->partitions[i].epoch_to > epoch) epoch = manifest->partitions[i].epoch_to;
    return epoch;
}

// Whether going back to the one that was opened may repeat rows that somebody has.
static cst_code output_ask(recovery *at, bool *seen_out) {
    const csti_recovery_options *options = at->options;
    const csti_manifest *manifest = &at->attempt.object.manifest;
    cst_code code = CST_OK;

    *seen_out = at->had_output;
    if (!at->had_output || !options->output_seen) return CST_OK;
    *seen_out = false;
    for (uint32_t p = 0; code == CST_OK && !*seen_out && p < partitions_since(at); p++)
        code = options->output_seen(options->output_context, p, epoch_reached(manifest, p) + 1,
                                    seen_out, at->err);
    return code;
}

// Whether the one that was opened may stand in for those that were skipped.
static cst_code older_settle(recovery *at, uint64_t id, uint64_t newest_id) {
    csti_attempt *attempt = &at->attempt;
    bool seen = true;
    cst_code code;

    if (at->options->tenure == 0) return CST_OK; // a reader releases nothing
    code = names_read(at, 0); // all: partitions, and epochs for a sink that cannot tell
    if (code == CST_OK) code = output_ask(at, &seen);
    if (code != CST_OK) return code;
    if (seen && !at->options->accept_repeats)
        return cst_fail(at->err, CST_CHECKPOINT_REPEATS,
                        "checkpoint %" PRIu64 ": %.300s. Checkpoint %" PRIu64
                        " is good, but output behind it may have been seen. %s",
                        newest_id, at->first.text, id, cst_code_advice(CST_CHECKPOINT_REPEATS));
    attempt->object.manifest.id = newest_id;
    return pin_older(at, id);
}

static cst_code unusable(recovery *at) {
    const csti_recovery_report *report = at->attempt.report;
    char text[CST_ERR_TEXT_BYTES];
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < report->notes_count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRIu64 ": %.*s",
                                 i ? "; " : "", report->notes[i].id,
                                 at->skipped_count > 2 ? 120 : 200, report->notes[i].text);
    return cst_fail(at->err, CST_CHECKPOINT_UNUSABLE, "%u tried: %s", at->skipped_count, text);
}

static cst_code choose_newest(recovery *at, uint64_t newest_id) {
    for (uint32_t i = at->view.checkpoints_count; i > 0; i--) {
        const csti_meta_checkpoint *checkpoint = &at->view.checkpoints[i - 1];
        cst_code code;

        if (checkpoint->deleting) continue;
        code = committed_try(at, checkpoint);
        if (code == CST_AGAIN) continue;
        if (code != CST_OK) return code;
        at->attempt.report->chosen_id = checkpoint->id;
        csti_attempt_note(&at->attempt, checkpoint->id, CST_OK, "chosen");
        return at->skipped_count ? older_settle(at, checkpoint->id, newest_id) : CST_OK;
    }
    return at->skipped_count ? unusable(at) : CST_OK;
}

static cst_code choose_named(recovery *at, uint64_t id) {
    for (uint32_t i = 0; i < at->view.checkpoints_count; i++) {
        const csti_meta_checkpoint *checkpoint = &at->view.checkpoints[i];
        cst_code code;

        if (checkpoint->id != id) continue;
        if (checkpoint->deleting)
            return cst_fail(at->err, CST_CHECKPOINT_RETIRED, "checkpoint %" PRIu64 ". %s", id,
                            cst_code_advice(CST_CHECKPOINT_RETIRED));
        code = committed_try(at, checkpoint);
        if (code == CST_AGAIN) return unusable(at);
        if (code == CST_OK) at->attempt.report->chosen_id = id;
        return code;
    }
    return cst_fail(at->err, CST_NOT_FOUND, "checkpoint %" PRIu64 " is not in the metadata", id);
}

// ---- Where an owner goes on ---------------------------------------------------------------------

// The last epoch that the sink has of partition p, if that is behind what was chosen; else 0.
static cst_code sink_ask(recovery *at, uint32_t p, uint64_t *out) {
    const csti_recovery_options *options = at->options;
    uint64_t have = epoch_reached(&at->attempt.object.manifest, p) + 1;
    uint64_t have_not = CSTI_MANIFEST_NUMBER_MAX;
    bool seen = false;
    cst_code code = options->output_seen(options->output_context, p, have, &seen, at->err);

    *out = 0;
    if (code != CST_OK || !seen) return code;
    code = options->output_seen(options->output_context, p, have_not, &seen, at->err);
    if (code != CST_OK) return code;
    if (seen) { // it cannot know
        *out = at->listing.epoch_max >= have ? at->listing.epoch_max : 0;
        return CST_OK;
    }
    while (code == CST_OK && have_not - have > 1) {
        const uint64_t middle = have + (have_not - have) / 2;

        code = options->output_seen(options->output_context, p, middle, &seen, at->err);
        if (seen)
            have = middle;
        else
            have_not = middle;
    }
    *out = have;
    return code;
}

// A newer checkpoint than the chosen one was there, and its output may be: skipped now, or when the
// metadata was made from a listing.
static cst_code epochs_settle(recovery *at) {
    const csti_manifest *manifest = &at->attempt.object.manifest;
    uint64_t least = 0;
    cst_code code = CST_OK;

    if (at->skipped_count == 0 && at->listing.manifests_count == 0) return CST_OK;
    // Of partitions that there are no more, or not yet, the parts stay, too.
    for (uint32_t p = manifest->partitions_count;
         at->options->output_seen && code == CST_OK && p < partitions_since(at); p++) {
        uint64_t epoch = 0;

        code = sink_ask(at, p, &epoch);
        if (code == CST_OK && epoch > least) least = epoch;
    }
    for (uint32_t p = 0; code == CST_OK && p < manifest->partitions_count; p++) {
        uint64_t epoch = at->skipped_count ? at->listing.epoch_max : 0;

        if (at->options->output_seen) code = sink_ask(at, p, &epoch);
        if (epoch < least) epoch = least;
        if (code == CST_OK && epoch > manifest->partitions[p].epoch_to)
            code = csti_attempt_pass_epochs(&at->attempt, p, epoch, at->err);
    }
    return code;
}

static cst_code chains_settle(recovery *at) {
    const cst_code code = csti_attempt_use_fulls(&at->attempt, &at->view, at->err);

    return code == CST_OK ? epochs_settle(at) : code;
}

static cst_code recover(recovery *at) {
    const csti_recovery_options *options = at->options;
    const csti_meta_checkpoint *newest;
    uint64_t newest_id;
    cst_code code = csti_meta_refresh(options->meta, at->err);

    if (code == CST_OK) code = csti_meta_read(options->meta, &at->view_arena, &at->view, at->err);
    if (code != CST_OK) return code;
    newest = csti_meta_view_newest(&at->view);
    newest_id = newest ? newest->id : 0;
    if (options->checkpoint_id) return choose_named(at, options->checkpoint_id);
    if (options->tenure == 0) return choose_newest(at, newest_id);
    code = names_read(at, newest_id);
    if (code == CST_OK) code = adopt(at, newest_id);
    if (code == CST_OK) {
        at->attempt.report->chosen_id = at->attempt.object.manifest.id;
        return csti_attempt_use_fulls(&at->attempt, &at->view, at->err);
    }
    if (code != CST_AGAIN) return code;
    code = choose_newest(at, newest_id);
    if (code == CST_OK && at->attempt.object.manifest.id > 0) code = chains_settle(at);
    return code;
}

// Of an owner that was pushed aside meanwhile, what it did not find is no damage: the new one has
// collected it. Nothing is called damaged before the metadata has answered.
static cst_code damage_check(recovery *at, cst_code code) {
    const csti_recovery_options *options = at->options;
    cst_err err = {0};
    cst_code asked;

    if (options->tenure == 0 || at->skipped_count == 0 || code == CST_ABORTED) return code;
    asked = csti_meta_refresh(options->meta, &err);
    if (asked == CST_OK) asked = csti_meta_read(options->meta, &at->view_arena, &at->view, &err);
    if (asked != CST_OK)
        return cst_fail(at->err, asked, "recovery: whether this is damage cannot be told: %s",
                        err.text);
    if (at->view.owner == options->owner && at->view.tenure == options->tenure) return code;
    return cst_fail(at->err, CST_FENCED,
                    "recovery: another process owns the job since tenure %" PRIu64,
                    options->tenure);
}

cst_code csti_recovery_plan_open(const csti_recovery_options *options, csti_recovery_plan *out,
                                 csti_recovery_report *report_out, cst_err *err) {
    cst_err own = {.code = CST_OK};
    recovery at = {.options = options, .err = err ? err : &own};
    cst_code code;

    assert(options->store);
    assert(options->meta);
    assert(!options->pin || options->tenure == 0);
    memset(out, 0, sizeof *out);
    csti_arena_init(&at.view_arena, VIEW_ARENA_BYTES);
    csti_attempt_init(&at.attempt, options, &out->report);
    code = damage_check(&at, recover(&at));
    if (report_out) *report_out = out->report;
    if (code == CST_OK) {
        out->manifest = at.attempt.object.manifest;
        out->chains = at.attempt.chains;
        out->arena = at.attempt.arena;
        out->store = options->store;
        out->id_floor = at.listing.id_max;
    } else {
        csti_attempt_close(&at.attempt);
        csti_arena_release(&at.attempt.arena);
    }
    csti_arena_release(&at.view_arena);
    return code;
}

void csti_recovery_plan_close(csti_recovery_plan *plan) {
    for (uint32_t i = 0; plan->chains && i < plan->manifest.partitions_count; i++)
        csti_chain_close(plan->store, &plan->chains[i]);
    csti_arena_release(&plan->arena);
    memset(plan, 0, sizeof *plan);
}
