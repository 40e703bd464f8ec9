#include "dst/spots.h"

#include <string.h>

static const struct kind {
    const char *call, *part; // the name has it
    csti_object_sim_moment moment;
    spot_action action;
} kinds[] = {
    {"put", "meta/", CSTI_OBJECT_SIM_BEFORE, SPOT_IS_UNKNOWN},
    {"put", "meta/", CSTI_OBJECT_SIM_BEFORE, SPOT_FAILS},
    {"put", "meta/", CSTI_OBJECT_SIM_BEFORE, SPOT_SLEEPS},
    {"put", "meta/", CSTI_OBJECT_SIM_AFTER, SPOT_SLEEPS},
    {"put", "meta/", CSTI_OBJECT_SIM_AFTER, SPOT_KILLS},
    {"get", "meta/", CSTI_OBJECT_SIM_BEFORE, SPOT_FAILS},
    {"get", "meta/", CSTI_OBJECT_SIM_BEFORE, SPOT_SLEEPS},
    {"list", "meta/", CSTI_OBJECT_SIM_BEFORE, SPOT_FAILS},
    {"list", "meta/", CSTI_OBJECT_SIM_AFTER, SPOT_SLEEPS},
    {"put", "/manifest-", CSTI_OBJECT_SIM_BEFORE, SPOT_IS_UNKNOWN},
    {"put", "/manifest-", CSTI_OBJECT_SIM_BEFORE, SPOT_SLEEPS},
    {"put", "/manifest-", CSTI_OBJECT_SIM_AFTER, SPOT_SLEEPS},
    {"put", "/manifest-", CSTI_OBJECT_SIM_AFTER, SPOT_KILLS},
    {"upload_finish", "", CSTI_OBJECT_SIM_BEFORE, SPOT_IS_UNKNOWN},
    {"upload_finish", "", CSTI_OBJECT_SIM_BEFORE, SPOT_SLEEPS},
    {"upload_finish", "folds/", CSTI_OBJECT_SIM_AFTER, SPOT_SLEEPS},
    {"head", "", CSTI_OBJECT_SIM_BEFORE, SPOT_FAILS},
    {"delete", "", CSTI_OBJECT_SIM_BEFORE, SPOT_FAILS},
    {"delete", "", CSTI_OBJECT_SIM_BEFORE, SPOT_SLEEPS},
    {"delete", "", CSTI_OBJECT_SIM_BEFORE, SPOT_IS_UNKNOWN},
    {"delete", "", CSTI_OBJECT_SIM_AFTER, SPOT_KILLS},
};

void spots_draw(spots *out, csti_random_sim *random) {
    out->count = (uint32_t)(csti_random_sim_next(random) % (SPOTS_MAX + 1));
    for (uint32_t i = 0; i < out->count; i++)
        out->spots[i] = (spot){
            .kind = (uint32_t)(csti_random_sim_next(random) % (sizeof kinds / sizeof kinds[0])),
            .one_in = 2 + (uint32_t)(csti_random_sim_next(random) % 10),
        };
}

spot_action spots_meet(const spots *self, csti_random_sim *random, csti_object_sim_moment moment,
                       const char *call, const char *name) {
    for (uint32_t i = 0; i < self->count; i++) {
        const struct kind *kind = &kinds[self->spots[i].kind];

        if (kind->moment == moment && strcmp(kind->call, call) == 0 && strstr(name, kind->part) &&
            csti_random_sim_next(random) % self->spots[i].one_in == 0)
            return kind->action;
    }
    return SPOT_NONE;
}
