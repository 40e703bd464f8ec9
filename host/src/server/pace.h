// pace.h: how long a recovery would take now, and when a checkpoint has to go so that it stays
// under a target.
//
//   estimate   to begin  +  restore the chains  +  do again what was done since the last commit
//               │             │                      │
//               │             bytes / rate           busy time of the busiest worker since the
//               │                                    barrier of the newest committed checkpoint
//               measured at this run's own start
//
// Rows that come again take as long as they took: so the time that workers were busy is what a
// recovery has to do again, whatever the sources gave. The rate is that of this run's own restore.
// Without one, a record is taken to be restored in the time in which a row was worked off.
//
// Promises   pure arithmetic of what it is told; nothing of it is a promise about the disk.
// Thread     one: the coordinator.
// Ring       2.
#ifndef CST_SERVER_PACE_H
#define CST_SERVER_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CSTI_PACE_BARRIERS_MAX = 128, // under way; those above it are not followed
    CSTI_PACE_COMMITS_APART = 4,  // as long as a commit takes: barriers are not closer
};
#define CSTI_PACE_FLOOR_NS UINT64_C(10000000)      // nor than this
#define CSTI_PACE_SAMPLE_BYTES (UINT64_C(4) << 20) // restored: they show the rate
#define CSTI_PACE_SAMPLE_ROWS UINT64_C(100000)     // so do they
#define CSTI_PACE_ROW_NS 250.0                     // before

typedef struct csti_pace_barrier {
    uint64_t id, sent_ns, busy_ns;
} csti_pace_barrier;

typedef struct csti_pace {
    uint64_t target_ns;
    uint32_t threads;      // that restore at once
    uint32_t record_bytes; // of a key's change, as stored
    double byte_ns;        // of the restore of this run; 0: there was none
    uint64_t begin_ns;     // of a start, without the restore
    uint64_t commit_ns;    // the last one, from its barrier
    uint64_t commit_busy_ns;
    uint64_t committed_id, committed_busy_ns; // at the newest committed barrier
    csti_pace_barrier last;                   // the newest barrier
    uint32_t barriers_first, barriers_count;
    csti_pace_barrier barriers[CSTI_PACE_BARRIERS_MAX];
} csti_pace;

// What a run knows of itself.
typedef struct csti_pace_facts {
    uint64_t chain_bytes_all, chain_bytes_max; // stored; of all partitions, of the longest chain
    uint64_t rows;                             // that workers took
    uint64_t busy_all_ns, busy_ns;             // of all workers; of the busiest
} csti_pace_facts;

typedef struct csti_pace_start {
    uint64_t target_ns;
    uint32_t threads, record_bytes;
    uint64_t begin_ns, restore_ns; // what the start took, without the restore, and that
    uint64_t now_ns;
} csti_pace_start;

// The chains of `restored` are those that were restored, in restore_ns; 0 bytes: none.
void csti_pace_init(csti_pace *pace, const csti_pace_start *start, const csti_pace_facts *restored);
void csti_pace_sent(csti_pace *pace, uint64_t id, uint64_t now_ns, uint64_t busy_ns);
void csti_pace_committed(csti_pace *pace, uint64_t id, uint64_t now_ns, uint64_t busy_ns);
// A recovery of now, if the process died.
uint64_t csti_pace_estimate_ns(const csti_pace *pace, const csti_pace_facts *facts);
// Whether the next barrier has to go, since a recovery just before its commit would take the
// target; or the last one is as long ago as the target.
bool csti_pace_is_due(const csti_pace *pace, const csti_pace_facts *facts, uint64_t now_ns);
// Whether no interval can keep the target: beginning and restoring alone take it.
bool csti_pace_is_out_of_reach(const csti_pace *pace, const csti_pace_facts *facts);

#endif
