// logs.h: metadata logs on stores in memory and in folders, for tests.
#ifndef TEST_META_LOGS_H
#define TEST_META_LOGS_H

#include "unit/meta/machines.h"
#include "unit/object/folder.h"

#include "meta/meta.h"
#include "object/sim.h"

enum { EVERY = 8, VIEW_BYTES_MAX = 64 << 20 };

static csti_clock_sim test_clock;
static csti_object_sim_world *test_world; // made last

static inline csti_meta_log_options log_options(cst_object_store *store) {
    return (csti_meta_log_options){
        .store = store,
        .clock = &test_clock.clock,
        .random = csti_random_real(),
        .snapshot_every = EVERY,
        .create = true,
    };
}

static inline csti_meta *log_open(cst_object_store *store) {
    const csti_meta_log_options options = log_options(store);
    csti_meta *meta = NULL;
    cst_err err = {0};

    if (csti_meta_open_log(&options, &meta, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return meta;
}

static inline csti_object_sim_world *world_make(void) {
    csti_clock_sim_init(&test_clock, 1000000);
    CHECK_OK(csti_object_sim_world_open(test_random(), &test_world, NULL));
    return test_world;
}

static inline cst_object_store *client_make(csti_object_sim_world *world) {
    const csti_object_sim_options options = {.seed = test_random(), .clock = &test_clock};
    cst_object_store *store = NULL;

    CHECK_OK(csti_object_sim_client_open(world, &options, &store, NULL));
    return store;
}

// The last client, and its world.
static inline void store_close(cst_object_store *store) {
    cst_object_store_close(store);
    csti_object_sim_world_close(test_world);
}

// Proposes a claim of the job; the tenure that it got.
static inline uint64_t claim_tenure(csti_meta *meta) {
    const csti_meta_command command = claim(OWNER);
    csti_meta_result result;
    cst_err err = {0};

    if (csti_meta_propose(meta, &command, &result, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return result.tenure;
}

static inline void claim_times(csti_meta *meta, int count) {
    for (int i = 0; i < count; i++) (void)claim_tenure(meta);
}

static inline csti_meta_view read_view(csti_meta *meta, csti_arena *arena) {
    csti_meta_view view;

    csti_arena_init(arena, VIEW_BYTES_MAX);
    CHECK_OK(csti_meta_read(meta, arena, &view, NULL));
    return view;
}

static inline uint64_t index_of(csti_meta *meta) {
    csti_arena arena;
    const uint64_t index = read_view(meta, &arena).index;

    csti_arena_release(&arena);
    return index;
}

static inline uint64_t tenure_of(csti_meta *meta) {
    csti_arena arena;
    const uint64_t tenure = read_view(meta, &arena).tenure;

    csti_arena_release(&arena);
    return tenure;
}

static inline const char *entry_name(uint64_t index) {
    static char name[64];

    (void)snprintf(name, sizeof name, "meta/%016x/%020" PRIu64, 1, index);
    return name;
}

static inline const char *snapshot_name(uint64_t index) {
    static char name[64];

    (void)snprintf(name, sizeof name, "meta/%016x/snapshot-%020" PRIu64, 1, index);
    return name;
}

static inline bool is_there(cst_object_store *store, const char *name) {
    cst_object_info info;
    const cst_code code = cst_object_head(store, name, &info, NULL);

    CHECK(code == CST_OK || code == CST_NOT_FOUND);
    return code == CST_OK;
}

static inline void bytes_put(cst_object_store *store, const char *name, const void *bytes,
                             size_t count) {
    const cst_bytes range = {bytes, count};
    const cst_put_options options = {.condition = CST_PUT_REPLACE};

    CHECK_OK(cst_object_put(store, name, &range, 1, &options, NULL, NULL));
}

// The object's bytes; *count_out is how many. To be freed.
static inline uint8_t *bytes_get(cst_object_store *store, const char *name, size_t *count_out) {
    cst_object_body body;
    uint8_t *bytes;

    CHECK_OK(cst_object_get(store, name, 0, UINT64_MAX, &body, NULL));
    bytes = malloc(body.count + 1);
    CHECK(bytes);
    memcpy(bytes, body.bytes, body.count);
    *count_out = body.count;
    cst_object_body_release(store, &body);
    return bytes;
}

#endif
