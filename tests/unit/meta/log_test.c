#define _GNU_SOURCE // nftw

// The log in the object store: one decision for all processes, whatever fails.
#include "unit/meta/logs.h"

#include <pthread.h>

// ---- Sharing ------------------------------------------------------------------------------------

static void share(cst_object_store *store_a, cst_object_store *store_b) {
    csti_meta *a = log_open(store_a), *b = log_open(store_b);
    csti_meta_counters counters;

    for (uint64_t i = 0; i < 5 * EVERY; i++)
        CHECK_EQ(claim_tenure(test_random_below(2) ? a : b), i + 1);
    CHECK_OK(csti_meta_refresh(a, NULL));
    CHECK_OK(csti_meta_refresh(b, NULL));
    CHECK_EQ(index_of(a), 5 * EVERY);
    CHECK_EQ(tenure_of(b), 5 * EVERY);
    csti_meta_counters_read(a, &counters);
    CHECK(counters.proposals > 0);
    CHECK(counters.snapshots > 0);
    CHECK_EQ(counters.snapshot_errors, 0);
    csti_meta_close(a);
    csti_meta_close(b);
    a = log_open(store_a);
    CHECK_EQ(tenure_of(a), 5 * EVERY);
    csti_meta_close(a);
}

TEST(two_processes_share_a_log_in_memory) {
    csti_object_sim_world *world = world_make();
    cst_object_store *a = client_make(world), *b = client_make(world);

    share(a, b);
    cst_object_store_close(a);
    cst_object_store_close(b);
    csti_object_sim_world_close(world);
}

TEST(two_processes_share_a_log_in_a_folder) {
    const test_folder folder = folder_make();
    cst_object_store *a = folder_store(&folder), *b = folder_store(&folder);

    csti_clock_sim_init(&test_clock, 1000000);
    share(a, b);
    cst_object_store_close(a);
    cst_object_store_close(b);
    folder_remove(&folder);
}

enum { RACERS = 4, RACES = 40 };

typedef struct racer {
    pthread_t thread;
    cst_object_store *store;
    uint64_t tenures[RACES];
} racer;

static void *race(void *context) {
    racer *self = context;
    csti_meta *meta = log_open(self->store);

    for (int i = 0; i < RACES; i++) self->tenures[i] = claim_tenure(meta);
    csti_meta_close(meta);
    return NULL;
}

TEST(of_proposers_racing_in_a_folder_each_is_decided_once) {
    const test_folder folder = folder_make();
    bool seen[RACERS * RACES + 1] = {0};
    racer racers[RACERS];

    csti_clock_sim_init(&test_clock, 1000000);
    for (int i = 0; i < RACERS; i++) {
        racers[i].store = folder_store(&folder);
        CHECK_EQ(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        CHECK_EQ(pthread_join(racers[i].thread, NULL), 0);
        for (int k = 0; k < RACES; k++) {
            const uint64_t tenure = racers[i].tenures[k];

            CHECK(tenure >= 1 && tenure <= RACERS * RACES);
            CHECK(!seen[tenure]);
            CHECK(k == 0 || racers[i].tenures[k - 1] < tenure);
            seen[tenure] = true;
        }
        cst_object_store_close(racers[i].store);
    }
    folder_remove(&folder);
}

TEST(threads_of_one_process_share_a_log) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    racer racers[RACERS];
    csti_meta *meta;

    csti_clock_sim_init(&test_clock, 1000000);
    for (int i = 0; i < RACERS; i++) {
        racers[i].store = store;
        CHECK_EQ(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) CHECK_EQ(pthread_join(racers[i].thread, NULL), 0);
    meta = log_open(store);
    CHECK_EQ(tenure_of(meta), RACERS * RACES);
    csti_meta_close(meta);
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(a_refusal_is_decided_and_says_why) {
    cst_object_store *store = client_make(world_make());
    csti_meta *meta = log_open(store);
    csti_meta_result result;
    cst_err err = {0};
    const csti_meta_command command = commit(9, 1, 0);

    CHECK_EQ(claim_tenure(meta), 1);
    CHECK_CODE(csti_meta_propose(meta, &command, &result, &err), CST_FENCED);
    CHECK_EQ(result.code, CST_FENCED);
    CHECK_EQ(result.index, 2);
    CHECK(strstr(err.text, "tenure 9"));
    csti_meta_close(meta);
    store_close(store);
}

TEST(a_malformed_command_never_reaches_the_log) {
    cst_object_store *store = client_make(world_make());
    csti_meta *meta = log_open(store);
    csti_meta_command command = claim(OWNER);

    command.reader = 1;
    CHECK_CODE(csti_meta_propose(meta, &command, NULL, NULL), CST_USAGE);
    CHECK_EQ(objects_count(store), 0);
    csti_meta_close(meta);
    store_close(store);
}

TEST(a_view_holds_whatever_comes_after_it) {
    cst_object_store *store = client_make(world_make());
    csti_meta *meta = log_open(store);
    csti_meta_command first;
    csti_meta_command raise = {.kind = CSTI_META_TOKEN_RAISE, .lease = "fold"};
    const char *const names[] = {"checkpoints/old"};
    csti_meta_command retired;
    csti_meta_view view;
    csti_arena arena;

    CHECK_EQ(claim_tenure(meta), 1);
    CHECK_OK(csti_meta_propose(meta, &raise, NULL, NULL));
    first = full("folds/a", 9, 1);
    CHECK_OK(csti_meta_propose(meta, &first, NULL, NULL));
    first = commit(1, 1, 0);
    first.fulls = &(csti_meta_full_ref){1, 9, "folds/a"};
    first.fulls_count = 1;
    CHECK_OK(csti_meta_propose(meta, &first, NULL, NULL));
    retired = retire(1, NULL, 0, names, 1);
    CHECK_OK(csti_meta_propose(meta, &retired, NULL, NULL));
    view = read_view(meta, &arena);
    csti_meta_close(meta);
    CHECK_TEXT(view.job, "clicks");
    CHECK_EQ(view.partitions[1].tenure, 1);
    CHECK_TEXT(view.checkpoints[0].manifest, "checkpoints/manifest");
    CHECK_TEXT(view.checkpoints[0].fulls[0].name, "folds/a");
    CHECK_TEXT(view.fulls[0].name, "folds/a");
    CHECK_TEXT(view.leases[0].name, "fold");
    CHECK_TEXT(view.pending[0], "checkpoints/old");
    csti_arena_release(&arena);
    store_close(store);
}

// ---- Opening ------------------------------------------------------------------------------------

TEST(a_store_without_metadata_begins_only_if_it_is_empty) {
    cst_object_store *store = client_make(world_make());
    csti_meta_log_options options = log_options(store);
    csti_meta *meta = NULL;

    options.create = false;
    CHECK_CODE(csti_meta_open_log(&options, &meta, NULL), CST_NOT_FOUND);
    bytes_put(store, "checkpoints/1/manifest", "{}", 2);
    CHECK_CODE(csti_meta_open_log(&options, &meta, NULL), CST_META_MISSING);
    options.create = true;
    CHECK_CODE(csti_meta_open_log(&options, &meta, NULL), CST_META_MISSING);
    CHECK_OK(cst_object_delete(store, "checkpoints/1/manifest", NULL));
    CHECK_OK(csti_meta_open_log(&options, &meta, NULL));
    CHECK_EQ(claim_tenure(meta), 1);
    csti_meta_close(meta);
    bytes_put(store, "checkpoints/1/manifest", "{}", 2);
    options.create = false;
    CHECK_OK(csti_meta_open_log(&options, &meta, NULL));
    CHECK_EQ(tenure_of(meta), 1);
    csti_meta_close(meta);
    store_close(store);
}

// The job begins while a process looks whether it is there.
static void begin_meanwhile(void *context, csti_object_sim_moment moment, const char *call,
                            const char *name) {
    cst_object_store **store = context;
    csti_meta *meta;

    if (moment != CSTI_OBJECT_SIM_AFTER || strcmp(call, "list") != 0 || strcmp(name, "meta/") != 0)
        return;
    if (!*store) return;
    meta = log_open(*store);
    (void)claim_tenure(meta);
    csti_meta_close(meta);
    bytes_put(*store, "checkpoints/1/manifest", "{}", 2);
    *store = NULL; // once
}

TEST(a_job_that_begins_while_somebody_looks_is_found) {
    cst_object_store *store = client_make(world_make()), *slow = NULL, *once = store;
    const csti_object_sim_options options = {.seed = 1,
                                             .clock = &test_clock,
                                             .yield = begin_meanwhile,
                                             .yield_context = &once};
    csti_meta *meta;

    CHECK_OK(csti_object_sim_client_open(test_world, &options, &slow, NULL));
    meta = log_open(slow);
    CHECK_EQ(tenure_of(meta), 1);
    csti_meta_close(meta);
    cst_object_store_close(slow);
    store_close(store);
}

// ---- Snapshots and the sleeper ------------------------------------------------------------------

TEST(the_log_is_trimmed_behind_its_snapshots) {
    cst_object_store *store = client_make(world_make());
    csti_meta *meta = log_open(store);

    claim_times(meta, EVERY);
    CHECK(is_there(store, snapshot_name(EVERY)));
    for (uint64_t i = 1; i < EVERY; i++) CHECK(!is_there(store, entry_name(i)));
    CHECK(is_there(store, entry_name(EVERY))); // which the next one follows
    claim_times(meta, 2 * EVERY + 3);
    CHECK(!is_there(store, snapshot_name(EVERY)));
    CHECK(is_there(store, snapshot_name(2 * EVERY))); // the one before stays
    CHECK(is_there(store, snapshot_name(3 * EVERY)));
    CHECK_EQ(objects_count(store), 2 + 1 + 3);
    csti_meta_close(meta);
    store_close(store);
}

TEST(an_entry_that_a_sleeper_writes_anew_does_not_count) {
    cst_object_store *store = client_make(world_make());
    csti_meta *sleeper = log_open(store), *reader = log_open(store), *meta = log_open(store);

    CHECK_EQ(claim_tenure(meta), 1);
    CHECK_OK(csti_meta_refresh(sleeper, NULL));
    CHECK_OK(csti_meta_refresh(reader, NULL));
    claim_times(meta, 3 * EVERY);
    CHECK(!is_there(store, entry_name(2)));
    CHECK_EQ(claim_tenure(sleeper), 3 * EVERY + 2); // not 2
    CHECK(is_there(store, entry_name(2)));          // written, and void
    CHECK_OK(csti_meta_refresh(reader, NULL));      // which was about to read entry 2
    CHECK_EQ(tenure_of(reader), 3 * EVERY + 2);
    CHECK_EQ(claim_tenure(meta), 3 * EVERY + 3);
    CHECK_EQ(claim_tenure(reader), 3 * EVERY + 4);
    csti_meta_close(sleeper);
    csti_meta_close(reader);
    csti_meta_close(meta);
    meta = log_open(store);
    CHECK_EQ(tenure_of(meta), 3 * EVERY + 4);
    claim_times(meta, EVERY);
    CHECK(!is_there(store, entry_name(2))); // trimmed again
    csti_meta_close(meta);
    store_close(store);
}

// Other processes go on while one waits for the answer of its put.
typedef struct interruption {
    csti_meta *other;
    int claims;
} interruption;

static void interrupt(void *context, csti_object_sim_moment moment, const char *call,
                      const char *name) {
    interruption *self = context;
    const int claims = self->claims;

    (void)name;
    if (moment != CSTI_OBJECT_SIM_AFTER || strcmp(call, "put") != 0 || claims == 0) return;
    self->claims = 0;
    claim_times(self->other, claims);
}

static void propose_interrupted(int claims, cst_code wanted) {
    cst_object_store *store = client_make(world_make()), *slow = NULL;
    interruption other = {.other = log_open(store)};
    const csti_object_sim_options options = {.seed = 1,
                                             .clock = &test_clock,
                                             .yield = interrupt,
                                             .yield_context = &other};
    const csti_meta_command command = claim(OWNER);
    csti_meta_result result;
    csti_meta *meta;

    CHECK_OK(csti_object_sim_client_open(test_world, &options, &slow, NULL));
    meta = log_open(slow);
    CHECK_EQ(claim_tenure(meta), 1);
    other.claims = claims;
    CHECK_CODE(csti_meta_propose(meta, &command, &result, NULL), wanted);
    if (wanted == CST_OK) {
        CHECK_EQ(result.index, 2);
        CHECK_EQ(result.tenure, 2);
    }
    CHECK_OK(csti_meta_refresh(meta, NULL));
    CHECK_EQ(tenure_of(meta), 2 + (uint64_t)claims);
    csti_meta_close(meta);
    csti_meta_close(other.other);
    cst_object_store_close(slow);
    store_close(store);
}

TEST(an_own_entry_is_known_though_a_snapshot_has_swallowed_it) {
    propose_interrupted(1, CST_OK);
    propose_interrupted(EVERY, CST_OK);
    propose_interrupted(3 * EVERY, CST_OK);
    propose_interrupted(CSTI_META_RECENT_MAX - EVERY, CST_OK);
}

TEST(an_own_entry_that_lies_too_far_behind_is_ambiguous) {
    propose_interrupted(CSTI_META_RECENT_MAX + EVERY, CST_OBJECT_AMBIGUOUS);
}

// ---- Faults of the store ------------------------------------------------------------------------

// Faults that only some calls have.
typedef struct faulty {
    cst_object_store *store;
    const char *call; // "put"
    int after;        // so many of them first go well
    int times;        // and so many then do not; 0: all that come
    csti_object_sim_faults faults;
} faulty;

static void fault_some(void *context, csti_object_sim_moment moment, const char *call,
                       const char *name) {
    faulty *self = context;
    const csti_object_sim_faults none = {0};
    const bool is_it = self->call && strcmp(call, self->call) == 0;
    const bool is_due = self->after <= 0 && (self->times == 0 || self->after > -self->times);

    (void)name;
    if (moment == CSTI_OBJECT_SIM_BEFORE && is_it) self->after--;
    if (moment == CSTI_OBJECT_SIM_BEFORE && is_it && is_due)
        csti_object_sim_client_faults(self->store, &self->faults);
    else
        csti_object_sim_client_faults(self->store, &none);
}

static void faulty_open(faulty *self, csti_object_sim_world *world, uint64_t seed) {
    const csti_object_sim_options options = {.seed = seed,
                                             .clock = &test_clock,
                                             .yield = fault_some,
                                             .yield_context = self};

    CHECK_OK(csti_object_sim_client_open(world, &options, &self->store, NULL));
}

// Snapshots may come and go while a list runs, so that it sees none of them.
TEST(an_entry_written_anew_does_not_count_though_a_list_saw_no_snapshot) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        faulty old = {.times = 1, .faults = {.stale_list = 1000000, .stale_writes_max = 6 * EVERY}};
        cst_object_store *store = client_make(world_make());
        csti_meta *sleeper, *meta = log_open(store);

        faulty_open(&old, test_world, seed);
        sleeper = log_open(old.store);
        claim_times(meta, 3);
        CHECK_OK(csti_meta_refresh(sleeper, NULL));
        claim_times(meta, 3 * EVERY);
        old.call = "list";
        CHECK_EQ(claim_tenure(sleeper), 3 * EVERY + 4); // not 4
        csti_meta_close(sleeper);
        csti_meta_close(meta);
        cst_object_store_close(old.store);
        store_close(store);
    }
}

TEST(a_put_that_is_ambiguous_is_settled_by_reading_it_back) {
    faulty some = {.faults = {.error_after = 1000000}};
    csti_meta *meta;

    faulty_open(&some, world_make(), 1);
    meta = log_open(some.store);
    some.call = "put";
    for (uint64_t i = 1; i <= 3 * EVERY; i++) CHECK_EQ(claim_tenure(meta), i);
    csti_meta_close(meta);
    store_close(some.store);
}

TEST(a_put_that_fails_changes_nothing) {
    faulty some = {.faults = {.error_before = 1000000}};
    const csti_meta_command command = claim(OWNER);
    csti_meta *meta;

    faulty_open(&some, world_make(), 1);
    meta = log_open(some.store);
    some.call = "put";
    CHECK_CODE(csti_meta_propose(meta, &command, NULL, NULL), CST_OBJECT_UNAVAILABLE);
    some.call = NULL;
    CHECK_EQ(objects_count(some.store), 0);
    CHECK_EQ(claim_tenure(meta), 1);
    csti_meta_close(meta);
    store_close(some.store);
}

TEST(an_append_that_could_not_be_looked_at_is_ambiguous) {
    static const char *const calls[] = {"get", "list"};

    for (int i = 0; i < 2; i++) {
        faulty some = {.faults = {.error_before = 1000000}};
        const csti_meta_command command = claim(OWNER);
        csti_meta *meta;

        faulty_open(&some, world_make(), 1);
        meta = log_open(some.store);
        some.call = calls[i];
        CHECK_CODE(csti_meta_propose(meta, &command, NULL, NULL), CST_OBJECT_AMBIGUOUS);
        some.call = NULL;
        CHECK_OK(csti_meta_refresh(meta, NULL));
        CHECK_EQ(tenure_of(meta), 1); // it had taken effect
        csti_meta_close(meta);
        store_close(some.store);
    }
}

// Two processes claim against a store that loses, delays and repeats answers.
static void claim_with_losses(uint64_t seed) {
    faulty some[2] = {0};
    csti_meta *metas[2];
    csti_meta *judge;
    cst_object_store *store = client_make(world_make());
    uint64_t decided = 0, unknown = 0, last = 0;

    for (int i = 0; i < 2; i++) {
        faulty_open(&some[i], test_world, seed + (uint64_t)i);
        metas[i] = log_open(some[i].store);
        some[i].call = "put";
        some[i].faults =
            (csti_object_sim_faults){.error_before = 100000, .error_after = 200000, .lost = 200000};
    }
    for (int i = 0; i < 60; i++) {
        const csti_meta_command command = claim(OWNER);
        csti_meta_result result;
        const cst_code code =
            csti_meta_propose(metas[test_random_below(2)], &command, &result, NULL);

        if (code == CST_OK) {
            CHECK(result.tenure > last);
            last = result.tenure;
            decided++;
        } else if (code == CST_OBJECT_AMBIGUOUS) {
            unknown++;
        } else {
            CHECK_EQ(code, CST_OBJECT_UNAVAILABLE);
        }
    }
    judge = log_open(store);
    CHECK(tenure_of(judge) >= decided);
    CHECK(tenure_of(judge) <= decided + unknown);
    csti_meta_close(judge);
    for (int i = 0; i < 2; i++) {
        csti_meta_close(metas[i]);
        cst_object_store_close(some[i].store);
    }
    store_close(store);
}

TEST(lost_answers_repeat_and_lose_no_decision) {
    for (int i = 0; i < 50; i++) claim_with_losses(test_random());
}

TEST(a_snapshot_that_fails_fails_no_proposal_and_is_tried_again) {
    faulty some = {.faults = {.error_before = 1000000}};
    csti_meta_counters counters;
    csti_meta *meta;

    faulty_open(&some, world_make(), 1);
    meta = log_open(some.store);
    claim_times(meta, EVERY - 1);
    some.call = "put";
    some.after = 1; // the entry goes well, the snapshot not
    CHECK_EQ(claim_tenure(meta), EVERY);
    csti_meta_counters_read(meta, &counters);
    CHECK_EQ(counters.snapshot_errors, 1);
    some.call = NULL;
    CHECK(!is_there(some.store, snapshot_name(EVERY)));
    CHECK(is_there(some.store, entry_name(1))); // nothing is trimmed without it
    CHECK_EQ(claim_tenure(meta), EVERY + 1);
    CHECK(is_there(some.store, snapshot_name(EVERY + 1)));
    CHECK(!is_there(some.store, entry_name(1)));
    csti_meta_close(meta);
    store_close(some.store);
}

// ---- Damage -------------------------------------------------------------------------------------

static void check_refused(cst_object_store *store, const char *name, bool version) {
    const csti_meta_log_options options = log_options(store);
    csti_meta *meta = NULL;
    cst_err err = {0};
    const cst_code code = csti_meta_open_log(&options, &meta, &err);

    if (code != CST_META_CORRUPT && !(version && code == CST_META_VERSION))
        TEST_FAIL("%s: %s: %s", name, cst_code_name(code), err.text);
    if (!strstr(err.text, name)) TEST_FAIL("%s is not named: %s", name, err.text);
}

TEST(every_flipped_byte_and_every_cut_of_the_log_is_refused) {
    cst_object_store *store = client_make(world_make());
    csti_meta *meta = log_open(store);

    claim_times(meta, EVERY + 2);
    csti_meta_close(meta);
    for (int which = 0; which < 3; which++) {
        char name[64];
        size_t count;
        uint8_t *bytes;

        (void)snprintf(name, sizeof name, "%s",
                       which == 0 ? snapshot_name(EVERY) : entry_name(EVERY + (uint64_t)which));
        bytes = bytes_get(store, name, &count);
        for (size_t i = 0; i < count; i++) {
            bytes[i] ^= (uint8_t)(1u << (i % 8));
            bytes_put(store, name, bytes, count);
            check_refused(store, name, true);
            bytes[i] ^= (uint8_t)(1u << (i % 8));
        }
        for (size_t cut = 0; cut < count; cut++) {
            bytes_put(store, name, bytes, cut);
            check_refused(store, name, false);
        }
        bytes[count] = 0;
        bytes_put(store, name, bytes, count + 1);
        check_refused(store, name, false);
        bytes_put(store, name, bytes, count);
        free(bytes);
    }
    meta = log_open(store);
    CHECK_EQ(tenure_of(meta), EVERY + 2);
    csti_meta_close(meta);
    store_close(store);
}

TEST(a_missing_entry_is_named) {
    cst_object_store *store = client_make(world_make());
    csti_meta *meta = log_open(store), *behind = log_open(store);
    uint8_t *bytes;
    size_t count;

    claim_times(meta, 5);
    for (uint64_t i = 1; i <= 4; i += 3) { // the first, and one in the middle
        bytes = bytes_get(store, entry_name(i), &count);
        CHECK_OK(cst_object_delete(store, entry_name(i), NULL));
        check_refused(store, entry_name(i), false);
        CHECK_CODE(csti_meta_refresh(behind, NULL), CST_META_CORRUPT);
        bytes_put(store, entry_name(i), bytes, count);
        free(bytes);
    }
    CHECK_OK(csti_meta_refresh(behind, NULL));
    CHECK_EQ(tenure_of(behind), 5);
    csti_meta_close(behind);
    csti_meta_close(meta);
    store_close(store);
}

TEST(an_entry_or_snapshot_under_another_name_is_refused) {
    cst_object_store *store = client_make(world_make());
    csti_meta *meta = log_open(store);
    uint8_t *bytes;
    size_t count;

    claim_times(meta, EVERY + 3);
    csti_meta_close(meta);
    bytes = bytes_get(store, entry_name(EVERY + 2), &count);
    bytes_put(store, entry_name(EVERY + 3), bytes, count);
    check_refused(store, entry_name(EVERY + 3), false);
    free(bytes);
    bytes = bytes_get(store, snapshot_name(EVERY), &count);
    bytes_put(store, snapshot_name(EVERY + 1), bytes, count);
    check_refused(store, snapshot_name(EVERY + 1), false);
    free(bytes);
    store_close(store);
}

// ---- Incarnations -------------------------------------------------------------------------------

static const csti_meta_full_ref first_ref = {1, 9, "folds/a"};

// What recover --from-listing brings.
static uint32_t first_commands(csti_meta_command out[4]) {
    out[0] = claim(OWNER);
    out[0].tenure = 41;
    out[1] = (csti_meta_command){.kind = CSTI_META_TOKEN_RAISE, .lease = "fold", .token = 7};
    out[2] = full("folds/a", 9, 8);
    out[3] = commit(42, 20, 0);
    out[3].kind = CSTI_META_ADOPT;
    out[3].tenures = NULL;
    out[3].tenures_count = 0;
    out[3].fulls = &first_ref;
    out[3].fulls_count = 1;
    return 4;
}

TEST(a_new_incarnation_begins_with_its_first_commands) {
    cst_object_store *store = client_make(world_make());
    csti_meta *old = log_open(store), *meta = NULL, *other = NULL;
    csti_meta_log_options options = log_options(store);
    csti_meta_command first[4];
    const uint32_t count = first_commands(first);
    const csti_meta_command command = claim(OWNER);
    uint64_t highest = 0;

    claim_times(old, 3);
    CHECK_CODE(csti_meta_open_incarnation(&options, 1, first, count, &meta, NULL), CST_EXISTS);
    CHECK_OK(csti_meta_open_incarnation(&options, 3, first, count, &meta, NULL));
    CHECK_EQ(tenure_of(meta), 42);
    CHECK_EQ(claim_tenure(meta), 43);
    CHECK_OK(csti_meta_incarnation_highest(store, &highest, NULL));
    CHECK_EQ(highest, 3);
    CHECK_CODE(csti_meta_open_incarnation(&options, 3, first, count, &other, NULL), CST_EXISTS);
    CHECK_CODE(csti_meta_open_incarnation(&options, 2, first, count, &other, NULL), CST_EXISTS);
    CHECK_CODE(csti_meta_propose(old, &command, NULL, NULL), CST_FENCED);
    CHECK_CODE(csti_meta_refresh(old, NULL), CST_FENCED);
    other = log_open(store);
    CHECK_EQ(tenure_of(other), 43);
    claim_times(other, 2 * EVERY);
    CHECK_EQ(claim_tenure(meta), 44 + 2 * EVERY);
    csti_meta_close(other);
    csti_meta_close(old);
    csti_meta_close(meta);
    store_close(store);
}

TEST(a_new_incarnation_whose_first_commands_are_refused_does_not_begin) {
    cst_object_store *store = client_make(world_make());
    const csti_meta_log_options options = log_options(store);
    csti_meta_command first[4];
    const uint32_t count = first_commands(first);
    csti_meta *meta = NULL;
    cst_err err = {0};

    first[3].tenure = 41;
    CHECK_CODE(csti_meta_open_incarnation(&options, 2, first, count, &meta, &err), CST_FENCED);
    CHECK(strstr(err.text, "first command 3"));
    CHECK_EQ(objects_count(store), 0);
    store_close(store);
}

TEST(a_new_incarnation_settles_its_ambiguous_put) {
    faulty some = {.faults = {.error_after = 1000000}};
    csti_meta_command first[4];
    const uint32_t count = first_commands(first);
    csti_meta_log_options options;
    csti_meta *meta = NULL;

    faulty_open(&some, world_make(), 1);
    options = log_options(some.store);
    some.call = "put";
    CHECK_OK(csti_meta_open_incarnation(&options, 2, first, count, &meta, NULL));
    some.call = NULL;
    CHECK_EQ(tenure_of(meta), 42);
    csti_meta_close(meta);
    store_close(some.store);
}

TEST_MAIN
