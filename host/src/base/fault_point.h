// fault_point.h: named places where a test ends, stops, delays or fails the process.
//
//   CSTI_FAULT_POINT(commit_after_manifest);
//   if (CSTI_FAULT_FAILS(upload_middle)) …             // as if what stands there had failed
//
//   CST_FAULT=commit_after_manifest:3:kill             the third time it comes here: kill -9
//   CST_FAULT=upload_middle:2:fail,upload_before:1:stop    two points; stop is SIGSTOP
//   CST_FAULT=then_taken:4:wait                        the thread that comes there sleeps 200 ms
//
// The macros are compiled in with CST_FAULT_POINTS (the debug preset) and nothing at all without
// it. A point that the environment names and the program has not is an error at start: a test
// cannot miss by a typo. `constellation version --fault-points` lists them.
//
// Promises   a point that is not armed costs a load and a branch. Actions happen once, at the Nth
//            pass over all threads; `fail` at a place that has no code to fail with is an assert.
// Thread     pass: any. arm: before the threads that pass.
// Ring       1, 2. Never 0.
#ifndef CST_BASE_FAULT_POINT_H
#define CST_BASE_FAULT_POINT_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>

// X(name): every point there is; a name that is not here does not compile.
#define CSTI_FAULT_POINT_MAP(X)                                                                    \
    X(upload_before) /* a segment's upload begins */                                               \
    X(upload_middle) /* some of its bytes are written */                                           \
    X(upload_after)  /* it is there */                                                             \
    X(commit_before_guard)                                                                         \
    X(commit_before_manifest)                                                                      \
    X(commit_after_manifest) /* a candidate: not committed */                                      \
    X(commit_after_command)  /* committed, nothing released */                                     \
    X(release_part)          /* between two parts of one checkpoint's output */                    \
    X(release_after)         /* all parts are there, nobody was told */                            \
    X(abort_before_command)                                                                        \
    X(abort_after_command)                                                                         \
    X(abort_cleaning)                                                                              \
    X(adopt_before_command)                                                                        \
    X(adopt_after_command)                                                                         \
    X(claim_after)                                                                                 \
    X(then_emitted)    /* rows of closed windows are with the second stage, nothing is sealed */   \
    X(then_taken)      /* the second stage has a message, what is behind it waits */               \
    X(then_stored)     /* rows that were under way are up, their checkpoint is not committed */    \
    X(then_committed)  /* a checkpoint that has stored rows is committed, nothing is released */   \
    X(then_replayed)   /* stored rows are in the second stage again, nothing is committed */       \
    X(then_barrier)    /* the first stage is sealed, its barrier has not gone on */                \
    X(rescale_command) /* another number of partitions is decided, nothing else */                 \
    X(rescale_full)    /* one of the new partitions' fulls is there */                             \
    X(rescale_spread)  /* all of them are, nobody has begun to restore */                          \
    X(recovery_manifest)                                                                           \
    X(recovery_restore) /* some rows are in the table */                                           \
    X(recovery_release) /* the newest output is released again */                                  \
    X(fold_leased)                                                                                 \
    X(fold_uploaded)                                                                               \
    X(fold_registered)                                                                             \
    X(gc_before_retire)                                                                            \
    X(gc_retired)                                                                                  \
    X(gc_deleting)                                                                                 \
    X(meta_append)                                                                                 \
    X(meta_snapshot)                                                                               \
    X(meta_trim)                                                                                   \
    X(sink_temporary) /* written, not renamed */                                                   \
    X(sink_renamed)                                                                                \
    X(file_temporary) /* object store file: written, not linked */                                 \
    X(file_linked)                                                                                 \
    X(wal_recovered)    /* the folder is read, this owner has no file in it yet */                 \
    X(wal_file_written) /* a new file, synced, without its name */                                 \
    X(wal_file_named)                                                                              \
    X(wal_deleting)     /* between two files that are deleted */                                   \
    X(wal_group)        /* before a group is written */                                            \
    X(wal_group_middle) /* half of it is */                                                        \
    X(wal_written)      /* it is written, not synced */                                            \
    X(wal_synced)       /* and nobody was told */                                                  \
    X(push_logged)      /* rows of producers are on their way to the log */                        \
    X(push_safe)        /* they are safe; nobody was asked whose job it is */                      \
    X(push_checked)     /* it is ours; nobody was told of them */                                  \
    X(push_answered)    /* they are acknowledged */

typedef enum csti_fault_point {
#define CSTI_FAULT_ENUM(name) CSTI_FAULT_##name,
    CSTI_FAULT_POINT_MAP(CSTI_FAULT_ENUM)
#undef CSTI_FAULT_ENUM
        CSTI_FAULT_POINTS_COUNT,
} csti_fault_point;

enum { CSTI_FAULT_PASSES_MAX = 1000000000 };

const char *csti_fault_point_name(csti_fault_point point); // "commit_after_manifest"
// Whether the macros are compiled into the library.
bool csti_fault_points_compiled(void);
// Reads CST_FAULT. CST_USAGE names the word that is wrong. Without fault points compiled in:
// CST_UNSUPPORTED if CST_FAULT is set at all.
CST_CHECK_RESULT cst_code csti_fault_points_arm(cst_err *err);
// The same from a text, whether or not the macros are there; "" disarms. After an error nothing is
// armed.
CST_CHECK_RESULT cst_code csti_fault_points_arm_text(const char *text, cst_err *err);
// What the macros call.
cst_code csti_fault_point_pass(csti_fault_point point, cst_code code);
void csti_fault_point_visit(csti_fault_point point);

#ifdef CST_FAULT_POINTS
#define CSTI_FAULT_POINT(name) csti_fault_point_visit(CSTI_FAULT_##name)
#define CSTI_FAULT_FAILS(name) (csti_fault_point_pass(CSTI_FAULT_##name, CST_OK) != CST_OK)
#else
#define CSTI_FAULT_POINT(name) ((void)0)
#define CSTI_FAULT_FAILS(name) false
#endif

#endif
