// recovered.h: recoveries of a world (world.h), whose report and error the checks after it look at.
//
//   options = options_of(w)  ─►  recovered(w, &options, 3)    it chose 3, and 3 is what it read
//                            ─►  refused(&options)            the code it was refused with
#ifndef CST_TEST_RECOVERED_H
#define CST_TEST_RECOVERED_H

#include "checkpoint/recovery.h"
#include "unit/checkpoint/world.h"

static csti_job_identity expected; // of the options made last
static csti_recovery_report report;
static cst_err why;

// For the world's owner of this moment.
static inline csti_recovery_options options_of(world *w) {
    expected = world_identity(w);
    return (csti_recovery_options){
        .store = w->store,
        .meta = w->meta,
        .clock = &w->clock.clock,
        .expect = &expected,
        .owner = w->owner,
        .tenure = w->tenure,
    };
}

// Opens, compares with what checkpoint `id` held (0: nothing), closes.
static inline const csti_recovery_report *recovered(world *w, const csti_recovery_options *options,
                                                    uint64_t id) {
    csti_recovery_plan plan;

    if (csti_recovery_plan_open(options, &plan, &report, &why) != CST_OK) TEST_FAIL("%s", why.text);
    CHECK_EQ(report.chosen_id, id);
    if (id > 0) {
        CHECK(plan.manifest.id >= id);
        CHECK(world_chains_hold(w, plan.chains, id));
    } else {
        CHECK_EQ(plan.manifest.id, 0);
    }
    csti_recovery_plan_close(&plan);
    return &report;
}

static inline cst_code refused(const csti_recovery_options *options) {
    csti_recovery_plan plan;
    const cst_code code = csti_recovery_plan_open(options, &plan, &report, &why);

    CHECK(code != CST_OK);
    CHECK_EQ(code, why.code);
    csti_recovery_plan_close(&plan);
    return code;
}

#endif
