// spots.h: places where a seed makes rare things common.
//
//   put of a manifest ─► its answer is lost, one time in three
//   delete            ─► fails, one time in two
//
// Faults that are spread evenly over all calls seldom meet at the one place where they matter.
//
// Thread     one.
#ifndef DST_SPOTS_H
#define DST_SPOTS_H

#include "base/random.h"
#include "object/sim.h"

#include <stdbool.h>
#include <stdint.h>

enum { SPOTS_MAX = 3 };

typedef enum spot_action {
    SPOT_NONE,
    SPOT_FAILS,      // nothing is done
    SPOT_IS_UNKNOWN, // done, or not, or later, and no answer comes
    SPOT_SLEEPS,     // the caller, in the middle of it
    SPOT_KILLS,      // the caller's process, when it is done
} spot_action;

typedef struct spot {
    uint32_t kind; // of the table in spots.c
    uint32_t one_in;
} spot;

typedef struct spots {
    spot spots[SPOTS_MAX];
    uint32_t count;
} spots;

void spots_draw(spots *out, csti_random_sim *random);
// What this call meets, at this moment.
spot_action spots_meet(const spots *self, csti_random_sim *random, csti_object_sim_moment moment,
                       const char *call, const char *name);

#endif
