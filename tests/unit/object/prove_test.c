#include "object/sim.h"

#include "unit/object/objects.h"

static cst_code prove_with(csti_object_sim_lie lie, csti_object_sim_faults faults, cst_err *err) {
    const csti_object_sim_options options = {.seed = test_random(), .faults = faults};
    csti_object_sim_world *world = NULL;
    cst_object_store *store = NULL;
    cst_code code;

    CHECK_OK(csti_object_sim_world_open(1, &world, NULL));
    csti_object_sim_world_lie(world, lie);
    CHECK_OK(csti_object_sim_client_open(world, &options, &store, NULL));
    code = cst_object_store_prove(store, err);
    if (faults.error_before == 0) CHECK_EQ(objects_count(store), 0);
    cst_object_store_close(store);
    csti_object_sim_world_close(world);
    return code;
}

TEST(an_honest_store_is_accepted) {
    for (int i = 0; i < 20; i++)
        CHECK_OK(prove_with(CSTI_OBJECT_SIM_HONEST, (csti_object_sim_faults){0}, NULL));
}

TEST(a_store_that_overwrites_is_refused) {
    cst_err err = {0};

    CHECK_CODE(prove_with(CSTI_OBJECT_SIM_OVERWRITES, (csti_object_sim_faults){0}, &err),
               CST_OBJECT_REFUSED);
    CHECK(strstr(err.text, "if-absent"));
}

TEST(a_store_that_ignores_etags_is_refused) {
    cst_err err = {0};

    CHECK_CODE(prove_with(CSTI_OBJECT_SIM_UNMATCHED, (csti_object_sim_faults){0}, &err),
               CST_OBJECT_REFUSED);
    CHECK(strstr(err.text, "old etag"));
}

TEST(a_store_with_two_winners_is_refused) {
    cst_err err = {0};

    CHECK_CODE(prove_with(CSTI_OBJECT_SIM_RACES, (csti_object_sim_faults){0}, &err),
               CST_OBJECT_REFUSED);
    CHECK(strstr(err.text, "two writers won"));
}

// It is not called a liar for being away.
TEST(a_store_that_does_not_answer_is_not_refused) {
    const csti_object_sim_faults away = {.error_before = 1000000};

    CHECK_CODE(prove_with(CSTI_OBJECT_SIM_HONEST, away, NULL), CST_OBJECT_UNAVAILABLE);
    for (int i = 0; i < 200; i++) {
        const csti_object_sim_faults some = {.error_before = 50000, .error_after = 50000};
        const cst_code code = prove_with(CSTI_OBJECT_SIM_HONEST, some, NULL);

        if (code != CST_OK && code != CST_OBJECT_AMBIGUOUS)
            CHECK_CODE(code, CST_OBJECT_UNAVAILABLE);
    }
}

TEST_MAIN
