// mistake.h: wrong turns of the checkpoint protocol, for the simulation to find.
//
//   if (CSTI_MISTAKE(gc_by_age) || is_below_newest(...)) delete it
//
// tests/dst builds the layers meta and checkpoint once more with CST_MISTAKES and plants one after
// the other: a simulation that does not find each of them proves nothing. In every other build the
// macro is `false`, and nothing of a mistake is compiled.
//
// Promises   without CST_MISTAKES: none of this exists in the program.
// Thread     planted before anything runs.
#ifndef CST_BASE_MISTAKE_H
#define CST_BASE_MISTAKE_H

#include <stdbool.h>

// X(name): what is done wrongly.
#define CSTI_MISTAKE_MAP(X)                                                                        \
    X(stale_commits)         /* neither guard nor metadata look whose the job is */                \
    X(base_unchecked)        /* a commit not known to have worked has failed; nobody compares */   \
                             /* what the next one stands on */                                     \
    X(aborted_id_reused)     /* the next checkpoint has the id of the one that was aborted */      \
    X(aborted_adopted)       /* a new owner adopts what was aborted */                             \
    X(aborted_rows_dropped)  /* an aborted checkpoint's epochs do not go with the next */          \
    X(release_before_commit) /* output goes out when the manifest is there */                      \
    X(pins_end_at_upload)    /* a delta is let go when it is uploaded */                           \
    X(ambiguous_is_done)     /* a write whose outcome is not known counts as done */               \
    X(trim_without_snapshot) /* the log is trimmed behind a snapshot that is not there */          \
    X(sleeper_appends)       /* an entry counts whatever snapshot lies above it */                 \
    X(fold_any_token)        /* a full is registered whatever the lease's token */                 \
    X(full_unchecked)        /* what no manifest stands on yet is retired; commits don't look */   \
    X(gc_by_age)             /* what nobody names is garbage, however new */                       \
    X(gc_pinned)             /* what a reader pins is retired */                                   \
    X(rescale_epochs_anew)   /* partitions of another number have epochs that others had */        \
    X(rescale_loses_chain)   /* what the last of the old partitions had is forgotten */            \
    X(skips_forgotten)       /* nobody says which rows behind an offset partitions have */         \
    X(note_of_first)         /* a split goes on where one partition stands, not all */             \
    X(cut_as_aligned)        /* what readers said holds for partitions that did not wait */

typedef enum csti_mistake {
    CSTI_MISTAKE_none,
#define CSTI_MISTAKE_ENUM(name) CSTI_MISTAKE_##name,
    CSTI_MISTAKE_MAP(CSTI_MISTAKE_ENUM)
#undef CSTI_MISTAKE_ENUM
} csti_mistake;

#ifdef CST_MISTAKES
extern csti_mistake csti_mistake_planted; // the test's
#define CSTI_MISTAKE(name) (csti_mistake_planted == CSTI_MISTAKE_##name)
#else
#define CSTI_MISTAKE(name) false
#endif

#endif
