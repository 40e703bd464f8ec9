#include "object/sim.h"

#include "unit/object/objects.h"

#include <pthread.h>

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

// ---- Stores without if match --------------------------------------------------------------------

static csti_object_ops picky; // the simulated store's, but for if match
static int forms_left;

static cst_code picky_put(cst_object_store *store, const char *name, const cst_bytes *ranges,
                          size_t ranges_count, const cst_put_options *options,
                          cst_object_info *info_out, cst_err *err) {
    if (options->condition == CST_PUT_IF_MATCH && forms_left > 0)
        return cst_fail(err, forms_left > 1 ? CST_OBJECT_CONFLICT : CST_UNSUPPORTED,
                        "another form");
    return csti_object_sim.put(store, name, ranges, ranges_count, options, info_out, err);
}

static int forms_end;

static bool picky_other(cst_object_store *store) {
    (void)store;
    return --forms_left >= forms_end;
}

// `forms` are refused before one is taken; `end`: so many are left when it gives up.
static cst_code prove_picky(int forms, int end, cst_err *err) {
    const csti_object_sim_options options = {.seed = 1};
    csti_object_sim_world *world = NULL;
    cst_object_store *store = NULL;
    cst_code code;

    forms_left = forms;
    forms_end = end;
    picky = csti_object_sim;
    picky.put = picky_put;
    picky.match_other = picky_other;
    CHECK_OK(csti_object_sim_world_open(1, &world, NULL));
    CHECK_OK(csti_object_sim_client_open(world, &options, &store, NULL));
    store->ops = &picky;
    code = cst_object_store_prove(store, err);
    CHECK_EQ(objects_count(store), 0);
    cst_object_store_close(store);
    csti_object_sim_world_close(world);
    return code;
}

TEST(each_form_of_an_etag_is_tried) {
    CHECK_OK(prove_picky(2, 0, NULL));
    CHECK_EQ(forms_left, 0);
}

TEST(a_store_without_if_match_is_accepted) {
    CHECK_OK(prove_picky(2, 2, NULL));
    CHECK_EQ(forms_left, 1);
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

// ---- A network that brings a request twice ------------------------------------------------------

static pthread_mutex_t echo_mutex = PTHREAD_MUTEX_INITIALIZER;
static char echoed[CST_OBJECT_NAME_BYTES_MAX + 1]; // deleted, and to be deleted again

static cst_code echo_remove(cst_object_store *store, const char *name, cst_err *err) {
    (void)pthread_mutex_lock(&echo_mutex);
    (void)snprintf(echoed, sizeof echoed, "%s", name);
    (void)pthread_mutex_unlock(&echo_mutex);
    return csti_object_sim.remove(store, name, err);
}

static cst_code echo_put(cst_object_store *store, const char *name, const cst_bytes *ranges,
                         size_t ranges_count, const cst_put_options *options,
                         cst_object_info *info_out, cst_err *err) {
    const cst_code code =
        csti_object_sim.put(store, name, ranges, ranges_count, options, info_out, err);

    (void)pthread_mutex_lock(&echo_mutex);
    if (code == CST_OK && strcmp(name, echoed) == 0) {
        CHECK_OK(csti_object_sim.remove(store, name, NULL));
        echoed[0] = '\0';
    }
    (void)pthread_mutex_unlock(&echo_mutex);
    return code;
}

TEST(a_deletion_that_comes_again_between_two_writers_makes_no_liar) {
    const csti_object_sim_options options = {.seed = 1};
    csti_object_sim_world *world = NULL;
    cst_object_store *store = NULL;

    picky = csti_object_sim;
    picky.put = echo_put;
    picky.remove = echo_remove;
    picky.rounds = 20;
    CHECK_OK(csti_object_sim_world_open(1, &world, NULL));
    CHECK_OK(csti_object_sim_client_open(world, &options, &store, NULL));
    store->ops = &picky;
    CHECK_OK(cst_object_store_prove(store, NULL));
    CHECK_EQ(objects_count(store), 0);
    cst_object_store_close(store);
    csti_object_sim_world_close(world);
}

// ---- Answers that are lost ----------------------------------------------------------------------

static cst_code unsure_put(cst_object_store *store, const char *name, const cst_bytes *ranges,
                           size_t ranges_count, const cst_put_options *options,
                           cst_object_info *info_out, cst_err *err) {
    const cst_code code =
        csti_object_sim.put(store, name, ranges, ranges_count, options, info_out, err);

    if (options->condition != CST_PUT_IF_MATCH || code == CST_OK) return code;
    return cst_fail(err, CST_OBJECT_AMBIGUOUS, "the first answer was lost, the second is a 412");
}

TEST(a_refusal_that_may_be_of_a_repetition_is_settled_by_what_is_there) {
    const csti_object_sim_options options = {.seed = 1};
    const csti_object_sim_lie lies[] = {CSTI_OBJECT_SIM_HONEST, CSTI_OBJECT_SIM_UNMATCHED};

    for (int i = 0; i < 2; i++) {
        csti_object_sim_world *world = NULL;
        cst_object_store *store = NULL;

        CHECK_OK(csti_object_sim_world_open(1, &world, NULL));
        csti_object_sim_world_lie(world, lies[i]);
        CHECK_OK(csti_object_sim_client_open(world, &options, &store, NULL));
        picky = *store->ops;
        picky.put = unsure_put;
        store->ops = &picky;
        CHECK_CODE(cst_object_store_prove(store, NULL), i == 0 ? CST_OK : CST_OBJECT_REFUSED);
        cst_object_store_close(store);
        csti_object_sim_world_close(world);
    }
}

TEST_MAIN
