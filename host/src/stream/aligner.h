// aligner.h: a partition's inputs, brought to one barrier.
//
//   input 0   rows rows B7 | rows rows wm ──► held until all inputs have passed 7
//   input 1   rows wm ─────► rows B7        ──► goes on at once
//   input 2   rows rows rows ─────► ...         (the one that is waited for)
//   passed    = 128-bit mask; all live inputs passed ──► BARRIER 7 out, then what was held
//
// A watermark on an input that has not passed its barrier goes on at once; on one that has, it
// keeps its place behind that input's held rows. Output watermark = minimum over the inputs that
// hold it back: live and not idle. Where none does, it is the highest that any has said. It never
// goes down, and never passes rows that are held: an input with held rows is not idle.
//
// Outcomes, each with a counter
//   newer barrier while aligning    the older is given up (ABORTED out, CHECKPOINT_ORDER), this
//                                   one aligns. On an input that has passed, it is held like rows
//   duplicate, older, or aborted    ignored
//     before it came
//   abort(id) by the coordinator    CHECKPOINT_ABORTED: what is held goes on, in order of inputs
//   rows, bytes over the bound      ALIGN_LIMIT: the same
//   time                            ALIGN_TIMEOUT: the same (call next with `now_ns`)
//   input ended                     counts as passed
//   forced, by id                   it comes out at once, whatever has passed it: what was held
//                                   follows, and where it comes in later it is ignored
//   input failed                    the alignment is given up with its code; FAILED out, naming the
//                                   input, behind its held rows. No barrier aligns after that: each
//                                   is ABORTED at once; END does not come
//
// Promises   the order within an input is kept in all of these. No allocation after open: held
//            messages are references into a pool of `messages_max`.
// Thread     one.
// Ring       0 after open.
// Errors     open: USAGE (inputs_count 0 or above 128), CST_LIMIT (messages_max), CST_NO_MEMORY.
#ifndef CST_STREAM_ALIGNER_H
#define CST_STREAM_ALIGNER_H

#include "stream/message.h"

enum {
    CSTI_ALIGNER_INPUTS_MAX = 128,
    CSTI_ALIGNER_MESSAGES_DEFAULT = 4096,
    CSTI_ALIGNER_MESSAGES_MAX = 1 << 20,
    CSTI_ALIGNER_ABORTED_MAX = 8, // ids remembered that were aborted before they came
};

typedef struct csti_aligner_options {
    uint32_t inputs_count;
    uint32_t messages_max; // held; 0: 4096
    uint64_t rows_max;     // held; 0: no bound but messages_max
    uint64_t bytes_max;    // the same
    uint64_t time_max_ns;  // of one alignment; 0: no bound
} csti_aligner_options;

#define CSTI_ALIGNER_NO_INPUT UINT32_MAX

typedef enum csti_aligned_kind {
    CSTI_ALIGNED_NOTHING = 0,
    CSTI_ALIGNED_ROWS,      // .message.block of .input, .late: the taker recycles it
    CSTI_ALIGNED_WATERMARK, // .watermark_us: the output's, risen
    CSTI_ALIGNED_BARRIER,   // .barrier: every live input has passed it, or is .late
    CSTI_ALIGNED_ABORTED,   // .barrier was given up, .code says why, .input was waited for
    CSTI_ALIGNED_FAILED,    // .input failed with .code
    CSTI_ALIGNED_END,       // every input has ended
} csti_aligned_kind;

typedef struct csti_aligned {
    csti_aligned_kind kind;
    cst_code code;
    uint32_t input;
    csti_message message;
    csti_barrier barrier;
    int64_t watermark_us;
    // ROWS: in front of the last forced barrier, which has come out. BARRIER: such rows may follow.
    bool late;
} csti_aligned;

typedef struct csti_aligner csti_aligner;
CST_CHECK_RESULT cst_code csti_aligner_open(const csti_aligner_options *options, csti_aligner **out,
                                            cst_err *err);
void csti_aligner_close(csti_aligner *aligner); // NULL is allowed

// Whether a message of this input may be pushed now: false for an input that has passed its barrier
// while held messages fill the pool; its channel holds the rest back.
bool csti_aligner_wants(const csti_aligner *aligner, uint32_t input);
// Takes one message from an input, in its order, none after its end.
void csti_aligner_push(csti_aligner *aligner, uint32_t input, const csti_message *message);
// What comes out next; call until NOTHING before the next push. `now_ns` is looked at while a
// barrier is being aligned. Of *out, what does not belong to the kind is left as it was.
csti_aligned_kind csti_aligner_next(csti_aligner *aligner, uint64_t now_ns, csti_aligned *out);
// The coordinator gave `id` up. ABORTED comes out of next if it was being aligned; if it has not
// come yet, it will be ignored. Of several that are given up before next is called again the last
// comes out.
void csti_aligner_abort(csti_aligner *aligner, uint64_t id);
// The barrier is not waited for: BARRIER comes out of next, UNALIGNED. One that has come out, or
// was given up, stays so.
void csti_aligner_force(csti_aligner *aligner, uint64_t id, uint64_t now_ns);

typedef struct csti_aligner_stats {
    uint64_t aligned, superseded, duplicates, aborted, limit_reached, timed_out;
    uint64_t given_up_for_failure, forced;
    uint64_t inputs_ended, inputs_failed;
    uint64_t align_ns, align_ns_max;               // of whole alignments
    uint64_t held_messages, held_rows, held_bytes; // now
    uint64_t pending_id;                           // being aligned; 0: none
    uint64_t flowed_id; // the newest that every live input has passed, forced or not
    uint32_t waits_for; // the lowest live input that has not passed it; CSTI_ALIGNER_NO_INPUT
    int64_t watermark_us;
} csti_aligner_stats;
void csti_aligner_stats_read(const csti_aligner *aligner, csti_aligner_stats *out);

#endif
