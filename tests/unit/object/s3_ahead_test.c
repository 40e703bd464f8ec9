#define _GNU_SOURCE 1 // strcasestr
#include "unit/object/range_server.h"

#include "object/ahead.h"

enum { TAIL_BYTES = 70 << 10, STEP_BYTES = 256 << 10, MIB = 1 << 20, AHEAD_MIB_MAX = 64 + 8 };

#define COUNT_OF(ARRAY) (sizeof(ARRAY) / sizeof(ARRAY)[0])

static csti_ahead *ahead_of(cst_object_store *store, const ranged_object *objects, size_t count) {
    csti_ahead_want wants[8];
    csti_ahead *ahead = NULL;

    CHECK(count <= COUNT_OF(wants));
    for (size_t i = 0; i < count; i++)
        wants[i] = (csti_ahead_want){objects[i].name, objects[i].bytes, TAIL_BYTES};
    CHECK_OK(csti_ahead_open(store, wants, count, &ahead, NULL));
    return ahead;
}

static void check_bytes(const cst_object_body *body, const char *name, uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; at++)
        if (body->bytes[at] != ranged_byte(name, at))
            TEST_FAIL("%s: byte %" PRIu64 " is another", name, at);
}

// As a restore reads it: step by step.
static void check_read(csti_ahead *ahead, size_t number, const ranged_object *object) {
    cst_object_body body = {0};

    CHECK_OK(csti_ahead_body(ahead, number, &body, NULL));
    CHECK_EQ(body.count, object->bytes);
    if (object->fault != RANGED_BLANK)
        check_bytes(&body, object->name, body.count < TAIL_BYTES ? 0 : body.count - TAIL_BYTES,
                    body.count);
    for (uint64_t at = 0; at < body.count;) {
        const uint64_t to = at + STEP_BYTES < body.count ? at + STEP_BYTES : body.count;

        (void)pthread_mutex_lock(&ranged.mutex);
        ranged.reader = to;
        (void)pthread_mutex_unlock(&ranged.mutex);
        CHECK_OK(csti_ahead_wait(ahead, number, to, NULL));
        if (object->fault != RANGED_BLANK) check_bytes(&body, object->name, at, to);
        at = to;
    }
}

static const ranged_object CHAIN[] = {{"a", 5 * MIB + 12345, RANGED_GOOD},
                                      {"b", 300 << 10, RANGED_GOOD},
                                      {"c", 3 * MIB, RANGED_GOOD},
                                      {"d", 17, RANGED_GOOD},
                                      {"e", MIB + 1, RANGED_GOOD}};

static cst_object_store *chain_begin(size_t hold, csti_ahead **out) {
    cst_object_store *store = ranges_begin(CHAIN, COUNT_OF(CHAIN), hold);

    *out = ahead_of(store, CHAIN, COUNT_OF(CHAIN));
    return store;
}

static void chain_end(cst_object_store *store, csti_ahead *ahead) {
    csti_ahead_close(ahead);
    ranges_end(store);
}

// Of a server that holds `held` answers back until that many are asked for.
static void check_both_read(const ranged_object objects[2], size_t held) {
    cst_object_store *store = ranges_begin(objects, 2, held);
    csti_ahead *ahead = ahead_of(store, objects, 2);

    check_read(ahead, 0, &objects[0]);
    check_read(ahead, 1, &objects[1]);
    chain_end(store, ahead);
}

TEST(objects_are_read_one_behind_the_other_whatever_their_size) {
    csti_ahead *ahead;
    cst_object_store *store = chain_begin(0, &ahead);

    for (size_t i = 0; i < COUNT_OF(CHAIN); i++) check_read(ahead, i, &CHAIN[i]);
    chain_end(store, ahead);
}

TEST(an_object_is_read_before_another_that_comes_first) {
    csti_ahead *ahead;
    cst_object_store *store = chain_begin(0, &ahead);

    for (size_t i = COUNT_OF(CHAIN); i > 0; i--) check_read(ahead, i - 1, &CHAIN[i - 1]);
    chain_end(store, ahead);
}

// Of two objects; the server says nothing before all of them have come.
TEST(pieces_of_several_objects_are_on_their_way_at_once) {
    static const ranged_object objects[] = {{"a", 4 * MIB, RANGED_GOOD},
                                            {"b", 5 * MIB, RANGED_GOOD}};
    check_both_read(objects, 8);
    CHECK_EQ(ranged_held_most(), 8);
}

TEST(what_is_fetched_stays_near_the_reader) {
    static const ranged_object objects[] = {{"a", 100 * MIB, RANGED_BLANK}};
    cst_object_store *store = ranges_begin(objects, 1, 0);
    csti_ahead *ahead = ahead_of(store, objects, 1);

    check_read(ahead, 0, &objects[0]);
    CHECK(ranged.furthest <= (uint64_t)AHEAD_MIB_MAX * MIB);
    CHECK(ranged.furthest > MIB);
    chain_end(store, ahead);
}

typedef struct reader {
    csti_ahead *ahead;
    size_t number;
} reader;

static void *reader_run(void *context) {
    const reader *r = context;

    check_read(r->ahead, r->number, &CHAIN[r->number]);
    return NULL;
}

TEST(each_of_several_readers_gets_on) {
    csti_ahead *ahead;
    cst_object_store *store = chain_begin(0, &ahead);
    pthread_t threads[COUNT_OF(CHAIN)];
    reader readers[COUNT_OF(CHAIN)];

    for (size_t i = 0; i < COUNT_OF(CHAIN); i++) {
        readers[i] = (reader){ahead, i};
        CHECK_EQ(pthread_create(&threads[i], NULL, reader_run, &readers[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(CHAIN); i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    chain_end(store, ahead);
}

// ---- What goes wrong ----------------------------------------------------------------------------

TEST(what_was_cut_or_put_off_is_asked_for_again) {
    static const ranged_object objects[] = {{"a", 3 * MIB, RANGED_CUT_ONCE},
                                            {"b", 3 * MIB, RANGED_BUSY_ONCE}};
    check_both_read(objects, 0);
}

// The others are there as if nothing were.
static void check_failed(ranged_fault fault, uint64_t bytes, cst_code wanted) {
    const ranged_object objects[] = {{"a", 3 * MIB, RANGED_GOOD},
                                     {"broken", bytes, fault},
                                     {"c", 3 * MIB, RANGED_GOOD}};
    cst_object_store *store = ranges_begin(objects, 3, 0);
    csti_ahead *ahead = ahead_of(store, objects, 3);

    for (int turn = 0; turn < 2; turn++) {
        cst_object_body body;
        cst_err err = {.code = CST_OK};
        cst_code code = csti_ahead_body(ahead, 1, &body, &err);

        if (code == CST_OK) code = csti_ahead_wait(ahead, 1, bytes, &err);
        CHECK_EQ(code, wanted);
        CHECK_EQ(err.code, wanted);
        CHECK(strstr(err.text, "broken"));
        check_read(ahead, 0, &objects[0]);
        check_read(ahead, 2, &objects[2]);
    }
    chain_end(store, ahead);
}

TEST(an_object_that_fails_says_so_each_time_and_is_the_only_one) {
    check_failed(RANGED_ABSENT, 3 * MIB, CST_NOT_FOUND);
    check_failed(RANGED_ABSENT, 1000, CST_NOT_FOUND);
    check_failed(RANGED_DENIED, 3 * MIB, CST_OBJECT_DENIED);
    check_failed(RANGED_REPLACED, 3 * MIB, CST_OBJECT_UNAVAILABLE);
}

// Longer, shorter, or written anew between two answers: it is got as it is now, and its reader sees
// what is wrong with it.
// Without one that reads ahead.
TEST(what_is_wanted_whole_is_asked_for_in_ranges_behind_its_first_mib) {
    static const ranged_object objects[] = {{"a", 20 * MIB, RANGED_GOOD},
                                            {"b", 20 * MIB, RANGED_GOOD},
                                            {"c", MIB, RANGED_GOOD}};
    static const uint64_t asked[] = {1 + 3, 2 * (1 + 3), 2 * (1 + 3) + 1};
    cst_object_store *store = ranges_begin(objects, COUNT_OF(objects), 0);

    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        cst_object_body body;

        CHECK_OK(cst_object_get(store, objects[i].name, 0, UINT64_MAX, &body, NULL));
        CHECK_EQ(body.count, objects[i].bytes);
        check_bytes(&body, objects[i].name, 0, body.count);
        cst_object_body_release(store, &body);
        CHECK_EQ(ranged.asked_count, asked[i]);
    }
    ranges_end(store);
}

TEST(an_object_that_is_another_is_read_as_it_is) {
    static const struct {
        uint64_t wanted, is;
        ranged_fault fault;
    } cases[] = {{3 * MIB, 4 * MIB, RANGED_GOOD},
                 {3 * MIB, 2 * MIB, RANGED_GOOD},
                 {3 * MIB, 1000, RANGED_GOOD},
                 {1000, 3 * MIB, RANGED_GOOD},
                 {1000, 999, RANGED_GOOD},
                 {0, 17, RANGED_GOOD},
                 {UINT64_MAX, 1000, RANGED_GOOD},
                 {UINT64_C(1) << 46, 1000, RANGED_GOOD},
                 {3 * MIB, 3 * MIB, RANGED_REPLACED_END}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const ranged_object object = {"a", cases[i].is, cases[i].fault};
        const csti_ahead_want want = {"a", cases[i].wanted, TAIL_BYTES};
        cst_object_store *store = ranges_begin(&object, 1, 0);
        csti_ahead *ahead = NULL;

        CHECK_OK(csti_ahead_open(store, &want, 1, &ahead, NULL));
        check_read(ahead, 0, &object);
        csti_ahead_close(ahead);
        ranges_end(store);
    }
}

TEST(a_name_that_is_none_is_refused_in_its_turn) {
    cst_object_store *store = ranges_begin(CHAIN, COUNT_OF(CHAIN), 0);
    const csti_ahead_want wants[] = {{"b", 300 << 10, TAIL_BYTES}, {".x", 5, TAIL_BYTES}};
    csti_ahead *ahead = NULL;
    cst_object_body body;

    CHECK_OK(csti_ahead_open(store, wants, 2, &ahead, NULL));
    check_read(ahead, 0, &CHAIN[1]);
    CHECK_CODE(csti_ahead_body(ahead, 1, &body, NULL), CST_OBJECT_NAME);
    chain_end(store, ahead);
}

// The server answers nothing any more.
TEST(a_close_waits_for_no_answer) {
    csti_ahead *ahead;
    cst_object_store *store = chain_begin(SIZE_MAX, &ahead);
    cst_object_body body;

    CHECK_OK(csti_ahead_body(ahead, 0, &body, NULL));
    TEST_WAIT_UNTIL(ranged_held_most() > 0);
    csti_ahead_close(ahead);
    CHECK(ranged.hold > 0);
    ranges_end(store);
}

TEST(a_close_at_once_leaves_nothing) {
    cst_object_store *store = ranges_begin(CHAIN, COUNT_OF(CHAIN), 0);

    csti_ahead_close(ahead_of(store, CHAIN, COUNT_OF(CHAIN)));
    csti_ahead_close(ahead_of(store, CHAIN, 0));
    csti_ahead_close(NULL);
    ranges_end(store);
}

TEST_MAIN
