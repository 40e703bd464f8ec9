// job_unaligned.c: from where the rows of a checkpoint that is not aligned are read again.
//
//   split s          ──── note 17 ──── note 18 ─────────────── note 19 ──►   its reader tells them
//   partition 0      ─────────────────────────── has 3 rows behind 18
//   partition 1      ──────────────────────────────── has 8 rows behind 18
//   checkpoint 20:   s goes on at note 18, with skips [3, 8]
//
// With a second stage these are the first one's partitions. Those of the second have no rows of a
// split: what is on its way to them is stored (stored_rows.h).
//
// A note is where a split stood at a barrier, and how many of its rows had gone to each partition
// until then. Of those that no partition is behind of the newest one is taken; older ones are
// needed no more, since partitions only advance.
#include "server/job_internal.h"

#include "base/mistake.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES_MAX = 64 }; // of a split; a new one beyond them is left out: more is read again then

typedef struct job_note job_note;
struct job_note {
    job_note *next; // the newer one
    char *offset;
    int64_t watermark_us;
    bool ended;
    uint64_t routed[]; // a partition each
};

typedef struct job_split {
    job_note *oldest;
    uint32_t count;
} job_split;

// A checkpoint that some partitions have sealed.
typedef struct job_seals job_seals;
struct job_seals {
    job_seals *next; // a later one
    uint64_t id;
    bool is_unaligned;
    uint32_t seen_count;
    uint64_t applied[]; // [partition * splits_count + split]
};

struct job_unaligned {
    pthread_mutex_t lock;
    uint32_t splits_count;
    uint32_t partitions_count; // of the first stage
    job_split *splits;
    job_seals *seals;  // oldest first
    uint64_t ended_id; // the last that all of these have sealed
};

cst_code csti_job_unaligned_open(csti_job *job, cst_err *err) {
    const uint32_t splits_count = csti_source_splits_count(job->source);
    job_unaligned *u;

    if (!job->config->unaligned || job->settling) return CST_OK;
    u = calloc(1, sizeof *u);
    if (u) u->splits = calloc((size_t)splits_count + 1, sizeof *u->splits);
    if (!u || !u->splits) {
        free(u);
        return cst_fail(err, CST_NO_MEMORY, "%" PRIu32 " splits", splits_count);
    }
    (void)pthread_mutex_init(&u->lock, NULL); // cannot fail without attributes
    u->splits_count = splits_count;
    u->partitions_count = job->partitions;
    job->unaligned = u;
    return CST_OK;
}

static void oldest_drop(job_split *split) {
    job_note *note = split->oldest;

    split->oldest = note->next;
    split->count--;
    free(note->offset);
    free(note);
}

void csti_job_unaligned_close(csti_job *job) {
    job_unaligned *u = job->unaligned;

    if (!u) return;
    for (uint32_t s = 0; s < u->splits_count; s++)
        while (u->splits[s].oldest) oldest_drop(&u->splits[s]);
    while (u->seals) {
        job_seals *seals = u->seals;

        u->seals = seals->next;
        free(seals);
    }
    (void)pthread_mutex_destroy(&u->lock);
    free(u->splits);
    free(u);
    job->unaligned = NULL;
}

// ---- Notes --------------------------------------------------------------------------------------

cst_code csti_job_unaligned_note(csti_job *job, const csti_reader_position *position,
                                 cst_err *err) {
    job_unaligned *u = job->unaligned;
    job_note **last, *note;

    if (!u) return CST_OK;
    assert(position->number < u->splits_count);
    note = calloc(1, sizeof *note + u->partitions_count * sizeof *note->routed);
    if (note) note->offset = strdup(position->offset);
    if (!note || !note->offset) {
        free(note);
        return cst_fail(err, CST_NO_MEMORY, "where a split stands");
    }
    note->watermark_us = position->watermark_us;
    note->ended = position->ended;
    memcpy(note->routed, position->routed, u->partitions_count * sizeof *note->routed);
    (void)pthread_mutex_lock(&u->lock); // cannot fail: no attributes, never taken twice
    last = &u->splits[position->number].oldest;
    while (*last) last = &(*last)->next;
    if (u->splits[position->number].count < NOTES_MAX) {
        *last = note;
        u->splits[position->number].count++;
        note = NULL;
    }
    (void)pthread_mutex_unlock(&u->lock);
    if (note) free(note->offset);
    free(note);
    return CST_OK;
}

// ---- Seals --------------------------------------------------------------------------------------

static bool note_is_good(const job_unaligned *u, const job_seals *seals, uint32_t split,
                         const job_note *note) {
    for (uint32_t p = 0; p < (CSTI_MISTAKE(note_of_first) ? 1 : u->partitions_count); p++)
        if (note->routed[p] > seals->applied[(size_t)p * u->splits_count + split]) return false;
    return true;
}

static void old_notes_drop(const job_unaligned *u, const job_seals *seals, uint32_t split) {
    job_split *notes = &u->splits[split];

    assert(notes->oldest);
    assert(note_is_good(u, seals, split, notes->oldest)); // of its beginning, or taken before
    while (notes->oldest->next && note_is_good(u, seals, split, notes->oldest->next))
        oldest_drop(notes);
}

// Where the split goes on. `skips` has room for them.
static csti_manifest_split split_of(const csti_job *job, const job_seals *seals, uint32_t split,
                                    uint64_t *skips) {
    const job_unaligned *u = job->unaligned;
    const job_note *note = u->splits[split].oldest;
    bool any = false;

    for (uint32_t p = 0; p < u->partitions_count; p++) {
        assert(note->routed[p] <= seals->applied[(size_t)p * u->splits_count + split]);
        skips[p] = seals->applied[(size_t)p * u->splits_count + split] - note->routed[p];
        any = any || (skips[p] > 0 && !CSTI_MISTAKE(skips_forgotten));
    }
    return (csti_manifest_split){.split = csti_source_split_name(job->source, split),
                                 .offset = note->offset,
                                 .watermark_us = note->watermark_us,
                                 .ended = note->ended,
                                 .skips = any ? skips : NULL};
}

static cst_code sources_give(csti_job *job, const job_seals *seals, cst_err *err) {
    const job_unaligned *u = job->unaligned;
    // Of a second stage's partitions they are 0.
    const size_t skips_count = (size_t)u->splits_count * job->workers_count;
    csti_manifest_split *splits = calloc((size_t)u->splits_count + 1, sizeof *splits);
    uint64_t *skips = calloc(skips_count + 1, sizeof *skips);
    cst_code code = CST_OK;

    if (!splits || !skips) code = cst_fail(err, CST_NO_MEMORY, "where splits go on");
    for (uint32_t s = 0; code == CST_OK && s < u->splits_count; s++)
        splits[s] = split_of(job, seals, s, skips + (size_t)s * job->workers_count);
    if (code == CST_OK)
        code =
            csti_checkpointer_sources(job->checkpointer, seals->id, splits, u->splits_count, err);
    free(splits);
    free(skips);
    return code == CST_CHECKPOINT_ABORTED ? CST_OK : code; // its changes go with the next
}

static job_seals *seals_at(job_unaligned *u, uint64_t id) {
    job_seals **at = &u->seals;
    job_seals *seals;

    while (*at && (*at)->id < id) at = &(*at)->next;
    if (*at && (*at)->id == id) return *at;
    seals = calloc(1, sizeof *seals +
                          (size_t)u->partitions_count * u->splits_count * sizeof *seals->applied);
    if (!seals) return NULL;
    seals->id = id;
    seals->next = *at;
    return *at = seals;
}

// All partitions have sealed it. What an older one still waits for was given up.
static cst_code seals_end(csti_job *job, job_seals *seals, cst_err *err) {
    job_unaligned *u = job->unaligned;
    cst_code code = CST_OK;

    u->ended_id = seals->id;
    for (uint32_t s = 0; s < u->splits_count; s++) old_notes_drop(u, seals, s);
    if (seals->is_unaligned) code = sources_give(job, seals, err);
    while (u->seals && u->seals->id <= seals->id) {
        job_seals *old = u->seals;
        const bool is_last = old == seals;

        u->seals = old->next;
        free(old);
        if (is_last) break;
    }
    return code;
}

cst_code csti_job_unaligned_sealed(job_worker *worker, const csti_sealed *sealed, cst_err *err) {
    csti_job *job = worker->job;
    job_unaligned *u = job->unaligned;
    job_seals *seals;
    cst_code code = CST_OK;

    if (!u || worker->stage > 0) return CST_OK;
    (void)pthread_mutex_lock(&u->lock);
    seals = seals_at(u, sealed->barrier.id);
    if (seals) {
        memcpy(seals->applied + (size_t)worker->number * u->splits_count, sealed->applied,
               u->splits_count * sizeof *seals->applied);
        if (++seals->seen_count == u->partitions_count) code = seals_end(job, seals, err);
    } else {
        code = cst_fail(err, CST_NO_MEMORY, "what %" PRIu32 " splits gave", u->splits_count);
    }
    (void)pthread_mutex_unlock(&u->lock);
    csti_unpark(&job->committer.parker);
    return code;
}

static bool stage_is_sealed(const csti_job *job, uint32_t stage, uint64_t id) {
    for (uint32_t w = 0; w < job->workers_count; w++)
        if (job->workers[w].stage == stage &&
            atomic_load_explicit(&job->workers[w].sealed_id, memory_order_relaxed) < id)
            return false;
    return true;
}

// The first stage's partitions are cut where they stand.
static cst_code first_unalign(csti_job *job, uint64_t id, cst_err *err) {
    job_unaligned *u = job->unaligned;
    job_seals *seals = seals_at(u, id);
    cst_code code;

    if (!seals) return cst_fail(err, CST_NO_MEMORY, "an unaligned checkpoint");
    code = csti_checkpointer_unalign(job->checkpointer, id, err);
    if (code == CST_OK) seals->is_unaligned = !CSTI_MISTAKE(cut_as_aligned);
    return code;
}

cst_code csti_job_unalign(csti_job *job, uint64_t id, cst_err *err) {
    job_unaligned *u = job->unaligned;
    cst_code code = CST_OK;

    (void)pthread_mutex_lock(&u->lock);
    if (u->ended_id < id) // else it is known where splits go on
        code = first_unalign(job, id, err);
    else if (job->stages_count == 1 || stage_is_sealed(job, 1, id))
        code = cst_fail(err, CST_NOT_FOUND, "checkpoint %" PRIu64 " is sealed everywhere", id);
    (void)pthread_mutex_unlock(&u->lock);
    if (code != CST_OK) return code;
    // Relaxed: partitions look at the number alone.
    atomic_store_explicit(&job->unaligned_id, id, memory_order_relaxed);
    for (uint32_t w = 0; w < job->workers_count; w++) csti_unpark(&job->workers[w].parker);
    return CST_OK;
}
