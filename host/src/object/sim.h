// sim.h: a store in memory whose faults come from a seed; several clients share one world.
//
//   client A ─┐  each with its own seed, faults and dead or alive
//   client B ─┼──► world: objects by name, and writes that were lost and may still arrive
//   client C ─┘
//
//   one call:  yield ─► lost writes may arrive ─► delay? ─► error before? ─► effect ─► yield
//                    ─► error after? lost?
//
// Without faults it keeps every promise of object.h; with a lie it breaks one, for those who test
// that this is seen.
//
// Promises   one thread, or coroutines that switch in `yield`: the same seeds and the same calls
//            give the same answers.
// Thread     any; a lock inside, never held in `yield` or in a visitor.
// Ring       2.
// Owner      the world outlives its clients, a client its uploads; a body may outlive both.
// Errors     object.h's. An error after the effect of a write, delete included, is
//            CST_OBJECT_AMBIGUOUS; a lost answer is CST_DEADLINE, and of a write it is open whether
//            it was done, is never done, or is done at some later call of any client.
#ifndef CST_OBJECT_SIM_H
#define CST_OBJECT_SIM_H

#include "base/clock.h"
#include "object/backend.h"

typedef struct csti_object_sim_world csti_object_sim_world;

typedef enum csti_object_sim_lie {
    CSTI_OBJECT_SIM_HONEST,
    CSTI_OBJECT_SIM_OVERWRITES, // if absent writes over what is there
    CSTI_OBJECT_SIM_RACES,      // of callers at the same time, more than one may win
    CSTI_OBJECT_SIM_UNMATCHED,  // etags are not looked at
} csti_object_sim_lie;

// Chances are in a million calls.
typedef struct csti_object_sim_faults {
    uint32_t error_before; // CST_OBJECT_UNAVAILABLE, and nothing was done
    uint32_t error_after;  // done, and no success is told; a read: CST_OBJECT_UNAVAILABLE
    uint32_t lost;         // CST_DEADLINE, after the whole deadline
    uint32_t delayed;      // by up to delay_us_max
    uint32_t stale_list;   // a listing as of up to stale_writes_max writes ago
    uint64_t delay_us_max;
    uint64_t stale_writes_max;
} csti_object_sim_faults;

typedef enum csti_object_sim_moment {
    CSTI_OBJECT_SIM_BEFORE,
    CSTI_OBJECT_SIM_AFTER,
} csti_object_sim_moment;

typedef struct csti_object_sim_options {
    uint64_t seed;
    csti_clock_sim *clock; // moved on by delays and lost answers; NULL: no time passes
    uint64_t deadline_us;  // of each call; 0: 30 s
    csti_object_sim_faults faults;
    // Around each effect: a test switches coroutines here, or writes a trace. May be NULL.
    void (*yield)(void *context, csti_object_sim_moment moment, const char *call, const char *name);
    void *yield_context;
} csti_object_sim_options;

CST_CHECK_RESULT cst_code csti_object_sim_world_open(uint64_t seed, csti_object_sim_world **out,
                                                     cst_err *err);
void csti_object_sim_world_close(csti_object_sim_world *world); // NULL is allowed
void csti_object_sim_world_lie(csti_object_sim_world *world, csti_object_sim_lie lie);

CST_CHECK_RESULT cst_code csti_object_sim_client_open(csti_object_sim_world *world,
                                                      const csti_object_sim_options *options,
                                                      cst_object_store **out, cst_err *err);
void csti_object_sim_client_faults(cst_object_store *client, const csti_object_sim_faults *faults);
// Nothing that this client calls from now on has an effect: CST_OBJECT_UNAVAILABLE. What it lost
// before may still arrive; uploads that it aborts stay, for others to sweep.
void csti_object_sim_client_kill(cst_object_store *client);

#endif
