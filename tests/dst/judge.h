// judge.h: what was truly decided, and whether every promise holds.
//
//   store ──► the first object ever put under an index is that index's entry: the truth
//         ──► the judge's own books: owners, commits, aborts, pins, tokens
//
// The judge reads the store without faults. Whoever claims something (a committed id, an output, an
// expired pin) is compared with the books, not with the code under test.
//
// Checked    after each decision: commits in order, on the newest, of the present owner, of no
//            aborted id, on objects that all exist, whose state is the model's at their offsets,
//            and the rows behind these that they say each partition has; offsets only rise;
//            nothing pinned is retired; fulls have the current token.
//            after each deletion: what kept checkpoints name is there; entries go only behind a
//            snapshot.
//            another number of partitions: a tenure more, and epochs above all that there were.
//            by the sink: only committed output, in order, the same bytes again.
// Thread     one.
#ifndef DST_JUDGE_H
#define DST_JUDGE_H

#include "dst/model.h"

#include "meta/machine.h"

enum {
    JUDGE_CHECKPOINTS_MAX = 1024,
    JUDGE_ABORTED_MAX = 4096,
    JUDGE_PINS_MAX = 1024,
    JUDGE_TENURES_MAX = 1024,
};

typedef struct world world;

// A checkpoint that was committed, as its manifest said.
typedef struct judged_checkpoint {
    uint64_t id, base_id, tenure;
    uint64_t offsets[MODEL_SPLITS];
    bool is_unaligned;                                // partitions have rows behind them:
    uint64_t ats[MODEL_PARTITIONS_MAX][MODEL_SPLITS]; // those before here
    uint32_t partitions_count;
    uint64_t epoch_from[MODEL_PARTITIONS_MAX], epoch_to[MODEL_PARTITIONS_MAX];
    bool is_retired; // deleting, or gone
    char **names;    // of all objects it needs, its manifest first
    uint32_t names_count;
} judged_checkpoint;

typedef struct judge {
    world *in;
    cst_object_store *store;    // without faults
    csti_meta_machine *machine; // fed with the truth
    uint64_t index;             // entries taken
    uint64_t tenure;
    uint32_t partitions_count;          // that the job has now
    uint32_t changes_count;             // of it
    uint64_t owners[JUDGE_TENURES_MAX]; // of each tenure
    uint64_t fold_token;
    judged_checkpoint checkpoints[JUDGE_CHECKPOINTS_MAX];
    uint32_t checkpoints_count, unaligned_count;
    uint64_t aborted[JUDGE_ABORTED_MAX];
    uint32_t aborted_count;
    csti_meta_pin pins[JUDGE_PINS_MAX];
    uint32_t pins_count;
    int64_t now_us; // the highest time that any command brought
} judge;

void judge_open(judge *self, world *in);
void judge_close(judge *self);
// After every step. `deleted`: the name of an object that was deleted in it, or NULL.
void judge_step(judge *self, const char *deleted);
// All that kept checkpoints name is there.
void judge_check_objects(const judge *self);
// When all is quiet: everything is committed up to the last row, and the log gives the truth.
bool judge_is_done(const judge *self, const uint64_t offsets[MODEL_SPLITS]);
void judge_check_end(const judge *self);

const judged_checkpoint *judge_find(const judge *self, uint64_t id); // NULL: not committed
const judged_checkpoint *judge_newest(const judge *self);            // NULL: none
// Whether the reader's pin lasts, by the times that commands brought.
bool judge_pin_lasts(const judge *self, uint64_t reader);
// Whether a claim was decided so.
bool judge_owns(const judge *self, uint64_t owner, uint64_t tenure);

// ---- The sink -----------------------------------------------------------------------------------

enum { SINK_EPOCHS_MAX = 4096 };

typedef struct sink {
    struct {
        uint64_t epoch; // the last that came; they come one by one
        uint64_t digests[SINK_EPOCHS_MAX];
    } partitions[MODEL_PARTITIONS_MAX];
    model_state state;
} sink;

// Output that somebody releases.
void sink_take(world *in, uint64_t checkpoint_id, uint32_t partition, const cst_segment *segment);

#endif
