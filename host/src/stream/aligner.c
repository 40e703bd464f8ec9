#include "stream/aligner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// What next has to say before it takes another message; most urgent first.
enum { DUE_ABORTED = 1, DUE_WATERMARK = 2, DUE_BARRIER = 4, DUE_END = 8 };

#define NO_HELD UINT32_MAX

// A message without what its kind does not need: a line holds two. Copied by field, since a wide
// load of what was just written by field waits for the stores.
typedef struct held {
    uint32_t kind;  // csti_message_kind
    uint32_t after; // in its input's queue, or in the free list, where NO_HELD ends it
    union {
        csti_block *block;
        int64_t watermark_us;
        csti_barrier barrier;
        cst_code code;
    };
} held;
_Static_assert(sizeof(held) == 32, "two a line");

typedef struct input {
    int64_t watermark_us;
    uint32_t first, last; // of its held messages; valid while its bit is in `queued`
    uint32_t rows_held;   // messages, and those that say LIVE
} input;

struct csti_aligner {
    csti_aligner_options options;
    uint32_t due;
    bool arrived_there;
    uint32_t arrived_input; // the message pushed last, unless it is held
    held arrived;

    // A bit an input.
    csti_u128 live;      // has not ended
    csti_u128 passed;    // the barrier being aligned; what comes on it is held
    csti_u128 queued;    // has held messages
    csti_u128 rows_held; // has held rows, or LIVE: it is not idle
    csti_u128 idle;
    csti_u128 late; // have not passed what was forced last

    csti_barrier barrier; // being aligned; id 0: none
    uint64_t started_ns;
    uint64_t settled_id;  // the highest that was aligned or given up
    uint64_t forced_id;   // the last one
    csti_barrier aborted; // DUE_ABORTED
    cst_code aborted_code;
    uint32_t aborted_input; // had not passed it
    cst_code failed_code;   // of an input; no barrier aligns any more
    uint64_t aborted_ids[CSTI_ALIGNER_ABORTED_MAX];

    held *pool;
    uint32_t free_first;
    csti_aligner_stats stats;
    input inputs[CSTI_ALIGNER_INPUTS_MAX];
};

static csti_u128 bit(uint32_t index) {
    return (csti_u128)1 << index;
}

static bool has(csti_u128 mask, uint32_t index) {
    return mask != 0 && (mask & bit(index)) != 0; // mostly there is none
}

static uint32_t lowest(csti_u128 mask) {
    const uint64_t low = (uint64_t)mask;

    assert(mask != 0);
    return (uint32_t)(low ? __builtin_ctzll(low) : 64 + __builtin_ctzll((uint64_t)(mask >> 64)));
}

cst_code csti_aligner_open(const csti_aligner_options *options, csti_aligner **out, cst_err *err) {
    const uint32_t messages_max =
        options->messages_max ? options->messages_max : CSTI_ALIGNER_MESSAGES_DEFAULT;
    csti_aligner *a;

    if (options->inputs_count == 0 || options->inputs_count > CSTI_ALIGNER_INPUTS_MAX)
        return cst_fail(err, CST_USAGE, "aligner of %u inputs: 1 to %d are possible",
                        options->inputs_count, CSTI_ALIGNER_INPUTS_MAX);
    if (messages_max > CSTI_ALIGNER_MESSAGES_MAX)
        return cst_fail(err, CST_LIMIT, "aligner of %u messages: %d are possible", messages_max,
                        CSTI_ALIGNER_MESSAGES_MAX);
    a = aligned_alloc(_Alignof(csti_aligner), sizeof *a);
    if (!a) return cst_fail(err, CST_NO_MEMORY, "aligner: %zu bytes", sizeof *a);
    memset(a, 0, sizeof *a);
    a->pool = calloc(messages_max, sizeof *a->pool);
    if (!a->pool) {
        free(a);
        return cst_fail(err, CST_NO_MEMORY, "aligner: %u messages", messages_max);
    }
    a->options = *options;
    a->options.messages_max = messages_max;
    for (uint32_t i = 0; i < messages_max; i++) // touches each page too
        a->pool[i].after = i + 1 < messages_max ? i + 1 : NO_HELD;
    for (uint32_t i = 0; i < options->inputs_count; i++) {
        a->inputs[i].watermark_us = CSTI_WATERMARK_NONE;
        a->live |= bit(i);
    }
    a->stats.watermark_us = CSTI_WATERMARK_NONE;
    *out = a;
    return CST_OK;
}

void csti_aligner_close(csti_aligner *a) {
    if (!a) return;
    free(a->pool);
    free(a);
}

// ---- Held messages ----

static void pack(held *to, const csti_message *from) {
    to->kind = from->kind;
    switch (from->kind) {
    case CSTI_MESSAGE_ROWS:
        to->block = from->block;
        break;
    case CSTI_MESSAGE_WATERMARK:
        to->watermark_us = from->watermark_us;
        break;
    case CSTI_MESSAGE_BARRIER:
        to->barrier = from->barrier;
        break;
    case CSTI_MESSAGE_FAILED:
        to->code = from->code;
        break;
    case CSTI_MESSAGE_IDLE:
    case CSTI_MESSAGE_LIVE:
    case CSTI_MESSAGE_END:
        break;
    }
}

static void hold(csti_aligner *a, uint32_t index, const csti_message *message) {
    const bool queued = has(a->queued, index);
    const uint32_t at = a->free_first;
    input *own = &a->inputs[index];

    if (queued && message->kind == CSTI_MESSAGE_WATERMARK &&
        a->pool[own->last].kind == CSTI_MESSAGE_WATERMARK) {
        if (message->watermark_us > a->pool[own->last].watermark_us)
            a->pool[own->last].watermark_us = message->watermark_us;
        return;
    }
    assert(at != NO_HELD && "push follows wants");
    a->free_first = a->pool[at].after;
    pack(&a->pool[at], message);
    if (queued)
        a->pool[own->last].after = at;
    else
        own->first = at;
    own->last = at;
    a->queued |= bit(index);
    a->stats.held_messages++;
    if (message->kind != CSTI_MESSAGE_ROWS && message->kind != CSTI_MESSAGE_LIVE) return;
    own->rows_held++;
    a->rows_held |= bit(index);
    if (message->kind != CSTI_MESSAGE_ROWS) return;
    a->stats.held_rows += message->block->rows_count;
    a->stats.held_bytes += message->block->bytes;
}

// The first held message leaves its place, which stays as it is until the next hold.
static const held *unhold(csti_aligner *a, uint32_t index) {
    input *own = &a->inputs[index];
    const uint32_t at = own->first;
    held *first = &a->pool[at];

    assert(has(a->queued, index));
    if (at == own->last)
        a->queued &= ~bit(index);
    else
        own->first = first->after;
    first->after = a->free_first;
    a->free_first = at;
    a->stats.held_messages--;
    if (first->kind != CSTI_MESSAGE_ROWS && first->kind != CSTI_MESSAGE_LIVE) return first;
    if (--own->rows_held == 0) a->rows_held &= ~bit(index);
    if (first->kind != CSTI_MESSAGE_ROWS) return first;
    a->stats.held_rows -= first->block->rows_count;
    a->stats.held_bytes -= first->block->bytes;
    return first;
}

// ---- Barriers ----

// The lowest live input that has not passed the barrier being aligned.
static uint32_t waits_for(const csti_aligner *a) {
    const csti_u128 missing = a->live & ~a->passed;

    return missing ? lowest(missing) : CSTI_ALIGNER_NO_INPUT;
}

static void settle(csti_aligner *a) {
    a->settled_id = a->barrier.id;
    a->barrier.id = 0;
    a->passed = 0;
    a->due &= ~(uint32_t)DUE_BARRIER;
}

// One that was given up before and is not out yet, the coordinator knows of: it has aborted that
// one or forced this one, as nothing is pushed before it is out.
static void give_up(csti_aligner *a, cst_code code, uint64_t *counter) {
    assert(a->barrier.id != 0);
    a->aborted = a->barrier;
    a->aborted_code = code;
    a->aborted_input = waits_for(a);
    a->due |= DUE_ABORTED;
    (*counter)++;
    settle(a);
}

static void see_whether_all_passed(csti_aligner *a) {
    if (a->barrier.id != 0 && (a->live & ~a->passed) == 0) a->due |= DUE_BARRIER;
}

static bool aborted_before(const csti_aligner *a, uint64_t id) {
    for (int i = 0; i < CSTI_ALIGNER_ABORTED_MAX; i++)
        if (a->aborted_ids[i] == id) return true;
    return false;
}

// What was forced has come in there now, or what came behind it, or nothing comes.
static void late_end(csti_aligner *a, uint32_t index) {
    if (!has(a->late, index)) return;
    a->late &= ~bit(index);
    if (a->late == 0) a->stats.flowed_id = a->forced_id;
}

void csti_aligner_force(csti_aligner *a, uint64_t id, uint64_t now_ns) {
    assert(id != 0);
    if (id <= a->settled_id || id < a->barrier.id || aborted_before(a, id)) return;
    if (a->failed_code != CST_OK) return; // no barrier aligns any more
    if (a->barrier.id != 0 && a->barrier.id < id)
        give_up(a, CST_CHECKPOINT_ORDER, &a->stats.superseded);
    if (a->barrier.id == 0) {
        a->barrier.id = id;
        a->started_ns = now_ns;
    }
    a->barrier.mode = CSTI_BARRIER_UNALIGNED;
    a->forced_id = id;
    a->late = a->live & ~a->passed;
    a->due |= DUE_BARRIER;
    a->stats.forced++;
}

static void take_barrier(csti_aligner *a, uint32_t index, const csti_barrier *barrier,
                         uint64_t now_ns) {
    assert(barrier->id != 0);
    if (barrier->id >= a->forced_id) late_end(a, index);
    if (barrier->id <= a->settled_id || barrier->id < a->barrier.id ||
        aborted_before(a, barrier->id)) {
        a->stats.duplicates++;
        return;
    }
    if (barrier->id > a->barrier.id) {
        if (a->barrier.id != 0) give_up(a, CST_CHECKPOINT_ORDER, &a->stats.superseded);
        a->barrier = *barrier;
        a->started_ns = now_ns;
    }
    a->passed |= bit(index);
    if (a->failed_code != CST_OK) // there was no older one to give up
        give_up(a, a->failed_code, &a->stats.given_up_for_failure);
    see_whether_all_passed(a);
}

void csti_aligner_abort(csti_aligner *a, uint64_t id) {
    uint32_t lowest_at = 0;

    if (id == 0 || id <= a->settled_id) return;
    if (id == a->barrier.id) {
        give_up(a, CST_CHECKPOINT_ABORTED, &a->stats.aborted);
        return;
    }
    if (aborted_before(a, id)) return;
    for (uint32_t i = 1; i < CSTI_ALIGNER_ABORTED_MAX; i++)
        if (a->aborted_ids[i] < a->aborted_ids[lowest_at]) lowest_at = i;
    a->aborted_ids[lowest_at] = id;
}

// Bounds and time, when there is nothing left to take. True: the alignment was given up.
static bool over_a_bound(csti_aligner *a, uint64_t now_ns) {
    const csti_aligner_options *o = &a->options;

    if (a->barrier.id == 0) return false;
    if ((o->rows_max && a->stats.held_rows > o->rows_max) ||
        (o->bytes_max && a->stats.held_bytes > o->bytes_max)) {
        give_up(a, CST_ALIGN_LIMIT, &a->stats.limit_reached);
        return true;
    }
    if (o->time_max_ns && now_ns > a->started_ns && now_ns - a->started_ns > o->time_max_ns) {
        give_up(a, CST_ALIGN_TIMEOUT, &a->stats.timed_out);
        return true;
    }
    return false;
}

// ---- Watermarks ----

// Of the inputs that hold it back the lowest; where there is none, the highest of all.
static int64_t watermark_of_all(const csti_aligner *a) {
    csti_u128 holding = a->live & ~(a->idle & ~a->rows_held);
    int64_t us = holding ? CSTI_WATERMARK_END : CSTI_WATERMARK_NONE;

    for (uint32_t i = 0; holding == 0 && i < a->options.inputs_count; i++)
        if (a->inputs[i].watermark_us > us) us = a->inputs[i].watermark_us;
    for (; holding != 0; holding &= holding - 1) {
        const int64_t own_us = a->inputs[lowest(holding)].watermark_us;

        if (own_us < us) us = own_us;
    }
    return us;
}

static void take_watermark(csti_aligner *a, uint32_t index, int64_t watermark_us) {
    input *own = &a->inputs[index];

    if (watermark_us <= own->watermark_us) return;
    // One that was above the output's did not hold it back.
    if (own->watermark_us <= a->stats.watermark_us) a->due |= DUE_WATERMARK;
    own->watermark_us = watermark_us;
}

// ---- In and out ----

bool csti_aligner_wants(const csti_aligner *a, uint32_t index) {
    return a->free_first != NO_HELD || !has(a->passed, index);
}

void csti_aligner_push(csti_aligner *a, uint32_t index, const csti_message *message) {
    assert(index < a->options.inputs_count);
    assert(!a->arrived_there && "next until NOTHING, then push");
    assert(has(a->live, index));
    if (message->kind == CSTI_MESSAGE_FAILED && a->failed_code == CST_OK) {
        a->failed_code = message->code;
        if (a->barrier.id != 0) give_up(a, message->code, &a->stats.given_up_for_failure);
    }
    if (!has(a->passed | a->queued, index)) {
        pack(&a->arrived, message);
        a->arrived_input = index;
        a->arrived_there = true;
    } else if (message->kind == CSTI_MESSAGE_BARRIER && message->barrier.id <= a->barrier.id) {
        a->stats.duplicates++;
    } else {
        hold(a, index, message);
    }
}

static csti_aligned_kind say_due(csti_aligner *a, uint64_t now_ns, csti_aligned *out) {
    if (a->due & DUE_ABORTED) {
        a->due &= ~(uint32_t)DUE_ABORTED;
        out->barrier = a->aborted;
        out->code = a->aborted_code;
        out->input = a->aborted_input;
        return CSTI_ALIGNED_ABORTED;
    }
    if (a->due & DUE_WATERMARK) {
        const int64_t us = watermark_of_all(a);

        a->due &= ~(uint32_t)DUE_WATERMARK;
        if (us <= a->stats.watermark_us) return CSTI_ALIGNED_NOTHING;
        a->stats.watermark_us = us;
        out->watermark_us = us;
        return CSTI_ALIGNED_WATERMARK;
    }
    if (a->due & DUE_BARRIER) {
        const uint64_t align_ns = now_ns > a->started_ns ? now_ns - a->started_ns : 0;

        out->barrier = a->barrier;
        out->late = a->barrier.id == a->forced_id && a->late != 0;
        a->stats.aligned++;
        if (a->barrier.id != a->forced_id || a->late == 0) a->stats.flowed_id = a->barrier.id;
        a->stats.align_ns += align_ns;
        if (align_ns > a->stats.align_ns_max) a->stats.align_ns_max = align_ns;
        settle(a);
        return CSTI_ALIGNED_BARRIER;
    }
    assert(a->due == DUE_END && a->queued == 0);
    a->due = 0;
    return CSTI_ALIGNED_END;
}

// One message of an input that has not passed the barrier being aligned.
static csti_aligned_kind take(csti_aligner *a, uint32_t index, const held *message, uint64_t now_ns,
                              csti_aligned *out) {
    switch ((csti_message_kind)message->kind) {
    case CSTI_MESSAGE_ROWS:
        if (a->idle) a->idle &= ~bit(index);
        out->late = has(a->late, index);
        out->input = index;
        out->message.kind = CSTI_MESSAGE_ROWS;
        out->message.block = message->block;
        return CSTI_ALIGNED_ROWS;
    case CSTI_MESSAGE_WATERMARK:
        take_watermark(a, index, message->watermark_us);
        return CSTI_ALIGNED_NOTHING;
    case CSTI_MESSAGE_BARRIER:
        take_barrier(a, index, &message->barrier, now_ns);
        return CSTI_ALIGNED_NOTHING;
    case CSTI_MESSAGE_IDLE:
        a->idle |= bit(index);
        a->due |= DUE_WATERMARK;
        return CSTI_ALIGNED_NOTHING;
    case CSTI_MESSAGE_LIVE:
        a->idle &= ~bit(index);
        return CSTI_ALIGNED_NOTHING;
    case CSTI_MESSAGE_END:
        a->live &= ~bit(index);
        late_end(a, index);
        a->stats.inputs_ended++;
        a->due |= DUE_WATERMARK;
        see_whether_all_passed(a);
        if (a->live == 0) a->due |= DUE_END;
        return CSTI_ALIGNED_NOTHING;
    case CSTI_MESSAGE_FAILED:
        // It stays live: its watermark holds the output's back, and END does not come.
        a->stats.inputs_failed++;
        out->input = index;
        out->code = message->code;
        return CSTI_ALIGNED_FAILED;
    }
    assert(false && "a message of no kind");
    return CSTI_ALIGNED_NOTHING;
}

static __attribute__((noinline)) csti_aligned_kind work(csti_aligner *a, uint64_t now_ns,
                                                        csti_aligned *out) {
    csti_aligned_kind kind = CSTI_ALIGNED_NOTHING;

    // Each turn says what is due, takes a message, gives a barrier up, or is the last.
    while (kind == CSTI_ALIGNED_NOTHING) {
        if (a->due != 0) {
            kind = say_due(a, now_ns, out);
        } else if (a->queued & ~a->passed) {
            const uint32_t index = lowest(a->queued & ~a->passed);

            kind = take(a, index, unhold(a, index), now_ns, out);
        } else if (a->arrived_there) {
            a->arrived_there = false;
            kind = take(a, a->arrived_input, &a->arrived, now_ns, out);
        } else if (!over_a_bound(a, now_ns)) {
            break;
        }
    }
    return out->kind = kind;
}

csti_aligned_kind csti_aligner_next(csti_aligner *a, uint64_t now_ns, csti_aligned *out) {
    const bool quiet = a->due == 0 && (a->queued & ~a->passed) == 0;

    // By the shortest way what comes most often: rows that nothing holds back, then nothing.
    if (quiet && a->arrived_there && a->arrived.kind == CSTI_MESSAGE_ROWS && a->idle == 0) {
        a->arrived_there = false;
        out->late = has(a->late, a->arrived_input);
        out->input = a->arrived_input;
        out->message.kind = CSTI_MESSAGE_ROWS;
        out->message.block = a->arrived.block;
        return out->kind = CSTI_ALIGNED_ROWS;
    }
    if (quiet && !a->arrived_there && a->barrier.id == 0) return out->kind = CSTI_ALIGNED_NOTHING;
    return work(a, now_ns, out);
}

void csti_aligner_stats_read(const csti_aligner *a, csti_aligner_stats *out) {
    *out = a->stats;
    out->pending_id = a->barrier.id;
    out->waits_for = a->barrier.id ? waits_for(a) : CSTI_ALIGNER_NO_INPUT;
}
