#include "object/sim.h"

#include "unit/object/objects.h"

enum { ALWAYS = 1000000 };

typedef struct fixture {
    csti_object_sim_world *world;
    csti_clock_sim clock;
    cst_object_store *a, *b;
} fixture;

static cst_object_store *client(csti_object_sim_world *world,
                                const csti_object_sim_options *options) {
    cst_object_store *store = NULL;

    CHECK_OK(csti_object_sim_client_open(world, options, &store, NULL));
    return store;
}

static fixture fixture_make(uint64_t seed) {
    fixture f = {0};

    CHECK_OK(csti_object_sim_world_open(seed, &f.world, NULL));
    csti_clock_sim_init(&f.clock, 0);
    return f;
}

// Two clients of one world, without faults.
static void fixture_clients(fixture *f, uint64_t seed) {
    const csti_object_sim_options options = {.seed = seed,
                                             .clock = &f->clock,
                                             .deadline_us = 1000000};

    f->a = client(f->world, &options);
    f->b = client(f->world, &options);
}

static void fixture_end(fixture *f) {
    cst_object_store_close(f->a);
    cst_object_store_close(f->b);
    csti_object_sim_world_close(f->world);
}

static void faults_set(cst_object_store *store, csti_object_sim_faults faults) {
    csti_object_sim_client_faults(store, &faults);
}

// ---- One fault at a time ------------------------------------------------------------------------

TEST(clients_share_their_world) {
    fixture f = fixture_make(1);

    fixture_clients(&f, 1);
    CHECK_OK(put_text(f.a, "x", "of a", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_CODE(put_text(f.b, "x", "of b", CST_PUT_IF_ABSENT, NULL, NULL), CST_EXISTS);
    CHECK_OBJECT(f.b, "x", "of a");
    fixture_end(&f);
}

TEST(an_error_before_the_effect_changes_nothing) {
    fixture f = fixture_make(1);

    fixture_clients(&f, 1);
    faults_set(f.a, (csti_object_sim_faults){.error_before = ALWAYS});
    CHECK_CODE(put_text(f.a, "x", "1", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_UNAVAILABLE);
    CHECK_EQ(objects_count(f.b), 0);
    CHECK_OK(put_text(f.b, "x", "2", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_CODE(cst_object_delete(f.a, "x", NULL), CST_OBJECT_UNAVAILABLE);
    CHECK_OBJECT(f.b, "x", "2");
    fixture_end(&f);
}

TEST(an_error_after_the_effect_is_settled_by_its_nonce) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = 77};
    const cst_bytes range = {(const uint8_t *)"x", 1};
    fixture f = fixture_make(1);
    cst_object_info info;

    fixture_clients(&f, 1);
    faults_set(f.a, (csti_object_sim_faults){.error_after = ALWAYS});
    CHECK_CODE(cst_object_put(f.a, "x", &range, 1, &options, NULL, NULL), CST_OBJECT_AMBIGUOUS);
    CHECK_CODE(cst_object_head(f.a, "x", &info, NULL), CST_OBJECT_UNAVAILABLE);
    CHECK_OK(cst_object_head(f.b, "x", &info, NULL));
    CHECK_EQ(info.nonce, 77);
    CHECK_CODE(cst_object_delete(f.a, "x", NULL), CST_OBJECT_AMBIGUOUS);
    CHECK_EQ(objects_count(f.b), 0);
    fixture_end(&f);
}

TEST(a_lost_answer_takes_the_whole_deadline) {
    fixture f = fixture_make(1);
    cst_object_info info;

    fixture_clients(&f, 1);
    faults_set(f.a, (csti_object_sim_faults){.lost = ALWAYS});
    CHECK_CODE(cst_object_head(f.a, "x", &info, NULL), CST_DEADLINE);
    CHECK_EQ(csti_clock_now_ns(&f.clock.clock), 1000000000);
    fixture_end(&f);
}

// Of many lost writes some are done at once, some later, some never; and no write is done twice.
TEST(a_lost_write_is_done_now_or_later_or_never) {
    enum { WRITES = 300 };
    fixture f = fixture_make(9);
    size_t now = 0, later = 0;

    fixture_clients(&f, 9);
    faults_set(f.a, (csti_object_sim_faults){.lost = ALWAYS});
    for (int i = 0; i < WRITES; i++) {
        const size_t before = objects_count(f.b);
        char name[16];

        (void)snprintf(name, sizeof name, "w/%d", i);
        CHECK_CODE(put_text(f.a, name, "x", CST_PUT_IF_ABSENT, NULL, NULL), CST_DEADLINE);
        cst_object_info info;
        if (cst_object_head(f.b, name, &info, NULL) == CST_OK) now++;
        CHECK(objects_count(f.b) >= before);
    }
    for (int i = 0; i < 1000; i++) later = objects_count(f.b); // every call lets some arrive
    CHECK(now > WRITES / 5);
    CHECK(later > now + WRITES / 5);
    CHECK(later < WRITES - WRITES / 5);
    fixture_end(&f);
}

TEST(a_late_write_keeps_its_condition) {
    fixture f = fixture_make(2);

    fixture_clients(&f, 2);
    faults_set(f.a, (csti_object_sim_faults){.lost = ALWAYS});
    for (int i = 0; i < 200; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "w/%d", i);
        CHECK_CODE(put_text(f.a, name, "late", CST_PUT_IF_ABSENT, NULL, NULL), CST_DEADLINE);
        if (put_text(f.b, name, "mine", CST_PUT_IF_ABSENT, NULL, NULL) != CST_OK) continue;
        for (int j = 0; j < 50; j++) CHECK_OBJECT(f.b, name, "mine");
    }
    fixture_end(&f);
}

TEST(a_delay_moves_the_clock_and_ends_at_the_deadline) {
    fixture f = fixture_make(3);
    int timeouts = 0;

    fixture_clients(&f, 3);
    faults_set(f.a, (csti_object_sim_faults){.delayed = ALWAYS, .delay_us_max = 1500000});
    for (int i = 0; i < 100; i++) {
        const uint64_t before_ns = csti_clock_now_ns(&f.clock.clock);
        const cst_code code = cst_object_delete(f.a, "x", NULL);

        CHECK(csti_clock_now_ns(&f.clock.clock) - before_ns <= 1000000000);
        if (code != CST_OK) CHECK_CODE(code, CST_DEADLINE);
        timeouts += code != CST_OK;
    }
    CHECK(timeouts > 10 && timeouts < 60); // a third of them, about
    fixture_end(&f);
}

TEST(a_stale_listing_is_an_older_true_one) {
    fixture f = fixture_make(4);
    size_t fewest = 100;

    fixture_clients(&f, 4);
    faults_set(f.a, (csti_object_sim_faults){.stale_list = ALWAYS, .stale_writes_max = 5});
    for (int i = 0; i < 20; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "w/%02d", i);
        CHECK_OK(put_text(f.b, name, "x", CST_PUT_IF_ABSENT, NULL, NULL));
    }
    for (int i = 0; i < 100; i++) {
        const size_t count = objects_count(f.a);

        CHECK(count >= 15 && count <= 20);
        if (count < fewest) fewest = count;
    }
    CHECK_EQ(fewest, 15);
    CHECK_OK(cst_object_delete(f.b, "w/00", NULL));
    bool seen = false;
    for (int i = 0; i < 100; i++) {
        static name_list names;

        names.count = 0;
        CHECK_OK(cst_object_list(f.a, "", NULL, name_list_add, &names, NULL));
        if (strcmp(names.names[0], "w/00") == 0) seen = true; // deleted, and listed still
    }
    CHECK(seen);
    CHECK_EQ(objects_count(f.b), 19);
    fixture_end(&f);
}

TEST(a_dead_client_has_no_effect_and_leaves_its_uploads) {
    fixture f = fixture_make(5);
    cst_object_upload *upload = NULL;
    uint64_t swept = 0;

    fixture_clients(&f, 5);
    CHECK_OK(cst_object_upload_open(f.a, "u", 1, &upload, NULL));
    csti_object_sim_client_kill(f.a);
    CHECK_CODE(cst_object_upload_write(upload, "x", 1, NULL), CST_OBJECT_UNAVAILABLE);
    cst_object_upload_abort(upload);
    CHECK_CODE(put_text(f.a, "x", "x", CST_PUT_REPLACE, NULL, NULL), CST_OBJECT_UNAVAILABLE);
    CHECK_EQ(objects_count(f.b), 0);
    CHECK_OK(cst_object_sweep_uploads(f.b, &swept, NULL));
    CHECK_EQ(swept, 1);
    CHECK_OK(cst_object_sweep_uploads(f.b, &swept, NULL));
    CHECK_EQ(swept, 0);
    fixture_end(&f);
}

// ---- Yields and replay --------------------------------------------------------------------------

typedef struct trace {
    char text[512];
    cst_object_store *other;
} trace;

static void trace_yield(void *context, csti_object_sim_moment moment, const char *call,
                        const char *name) {
    trace *to = context;
    const size_t used = strlen(to->text);

    (void)snprintf(to->text + used, sizeof to->text - used, "%c%s(%s) ",
                   moment == CSTI_OBJECT_SIM_BEFORE ? '<' : '>', call, name);
    // Somebody else comes in between: as a coroutine that is switched to here would.
    if (to->other && moment == CSTI_OBJECT_SIM_BEFORE && strcmp(call, "put") == 0)
        CHECK_OK(put_text(to->other, name, "first", CST_PUT_IF_ABSENT, NULL, NULL));
}

TEST(another_client_may_come_in_between) {
    fixture f = fixture_make(6);
    trace to = {0};
    const csti_object_sim_options options = {.yield = trace_yield, .yield_context = &to};

    fixture_clients(&f, 6);
    cst_object_store_close(f.a);
    f.a = client(f.world, &options);
    to.other = f.b;
    CHECK_CODE(put_text(f.a, "x", "second", CST_PUT_IF_ABSENT, NULL, NULL), CST_EXISTS);
    CHECK_OBJECT(f.b, "x", "first");
    CHECK_TEXT(to.text, "<put(x) >put(x) ");
    fixture_end(&f);
}

// What a series of calls under all faults answers, as text.
static void history(uint64_t seed, char *out, size_t bytes) {
    fixture f = fixture_make(seed);
    const csti_object_sim_options options = {.seed = seed,
                                             .clock = &f.clock,
                                             .deadline_us = 1000,
                                             .faults = {100000, 100000, 100000, 100000, 500000,
                                                        1000, 10}};
    size_t used = 0;

    f.a = client(f.world, &options);
    f.b = client(f.world, &options);
    for (int i = 0; i < 200; i++) {
        cst_object_store *store = i % 3 ? f.a : f.b;
        size_t count = 0;
        char name[16];
        cst_code put, list;

        (void)snprintf(name, sizeof name, "w/%d", i % 20);
        put = i % 7 ? put_text(store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL)
                    : cst_object_delete(store, name, NULL);
        list = cst_object_list(store, "", NULL, name_count, &count, NULL);
        used += (size_t)snprintf(out + used, bytes - used, "%d:%d:%zu ", put, list, count);
    }
    fixture_end(&f);
}

TEST(the_same_seed_gives_the_same_history) {
    static char first[8192], second[8192], other[8192];

    history(11, first, sizeof first);
    history(11, second, sizeof second);
    history(12, other, sizeof other);
    CHECK_TEXT(first, second);
    CHECK(strcmp(first, other) != 0);
}

TEST(a_uri_takes_a_seed_and_chances_and_nothing_else) {
    static const char *const bad[] = {"sim:x", "sim:?sed=1", "sim:?seed=x", "sim:?before=1000001",
                                      "sim:?seed"};
    cst_object_store *store = NULL;

    CHECK_OK(cst_object_store_open("sim:?seed=3&before=1000000", NULL, &store, NULL));
    CHECK_CODE(put_text(store, "x", "x", CST_PUT_REPLACE, NULL, NULL), CST_OBJECT_UNAVAILABLE);
    cst_object_store_close(store);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        store = NULL;
        CHECK_CODE(cst_object_store_open(bad[i], NULL, &store, NULL), CST_OBJECT_NAME);
    }
}

TEST_MAIN
