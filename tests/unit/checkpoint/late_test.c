#define _GNU_SOURCE 1 // nftw

// Chains whose bodies come later than their ends: nobody reads a byte that he has not waited for.
#include "unit/checkpoint/recovered.h"

#include "checkpoint/verify.h"
#include "object/ahead.h"

#include <pthread.h>

enum { CHANGES = 5000, NOT_YET = 0xa5 }; // 5 blocks a segment

// ---- A store whose objects come late ------------------------------------------------------------

// Copies of objects, filled as far as somebody waited.
typedef struct late {
    cst_object_store *store;
    const csti_ahead_want *wants;
    cst_object_body *bodies;
    uint8_t **copies;
    uint64_t *arrived; // under the mutex, as the copies' bytes behind it
    pthread_mutex_t mutex;
    size_t count;
} late;

static struct {
    csti_object_ops ops; // the store's, and those below
    _Atomic uint64_t waits_count;
    char broken[CSTI_CHECKPOINT_NAME_BYTES]; // the middle of this one does not come
    cst_code broken_code;
} late_world;

static cst_code late_open(cst_object_store *store, const csti_ahead_want *wants, size_t count,
                          void **out, cst_err *err) {
    late *l = calloc(1, sizeof *l);
    csti_ahead_want *own = malloc((count + 1) * sizeof *own);

    (void)err;
    CHECK(l && own);
    memcpy(own, wants, count * sizeof *own);
    l->store = store;
    l->wants = own;
    l->bodies = calloc(count + 1, sizeof *l->bodies);
    l->copies = calloc(count + 1, sizeof *l->copies);
    l->arrived = calloc(count + 1, sizeof *l->arrived);
    l->count = count;
    (void)pthread_mutex_init(&l->mutex, NULL);
    *out = l;
    return CST_OK;
}

// Header, tables and footer alone: less than the tail that was asked for has.
static cst_code late_body(void *context, size_t number, cst_object_body *out, cst_err *err) {
    late *l = context;
    cst_object_body *body = &l->bodies[number];
    const cst_code code = cst_object_get(l->store, l->wants[number].name, 0, UINT64_MAX, body, err);
    csti_segment_footer footer;

    if (code != CST_OK) return code;
    CHECK_EQ(body->count, l->wants[number].bytes);
    CHECK_EQ(posix_memalign((void **)&l->copies[number], 64, body->count), 0);
    memcpy(l->copies[number], body->bytes, body->count);
    memcpy(&footer, body->bytes + body->count - sizeof footer, sizeof footer);
    CHECK(body->count - CSTI_SEGMENT_HEADER_BYTES - footer.body_bytes <=
          l->wants[number].tail_bytes);
    memset(l->copies[number] + CSTI_SEGMENT_HEADER_BYTES, NOT_YET, footer.body_bytes);
    *out = *body;
    out->bytes = l->copies[number];
    out->handle = NULL;
    return CST_OK;
}

static cst_code late_wait(void *context, size_t number, uint64_t bytes, cst_err *err) {
    late *l = context;

    late_world.waits_count++;
    CHECK(bytes <= l->bodies[number].count);
    if (strcmp(l->wants[number].name, late_world.broken) == 0)
        return cst_fail(err, late_world.broken_code, "no answer");
    (void)pthread_mutex_lock(&l->mutex);
    if (bytes > l->arrived[number]) {
        const uint64_t from = l->arrived[number];

        memcpy(l->copies[number] + from, l->bodies[number].bytes + from, bytes - from);
        l->arrived[number] = bytes;
    }
    (void)pthread_mutex_unlock(&l->mutex);
    return CST_OK;
}

static void late_close(void *context) {
    late *l = context;

    for (size_t i = 0; i < l->count; i++) {
        free(l->copies[i]);
        if (l->bodies[i].bytes) cst_object_body_release(l->store, &l->bodies[i]);
    }
    free(l->copies);
    free(l->arrived);
    (void)pthread_mutex_destroy(&l->mutex);
    free(l->bodies);
    free((void *)(uintptr_t)l->wants);
    free(l);
}

// Four checkpoints in a store that is late from now on.
static world *world_late(void) {
    world *w = world_owned();

    for (int i = 0; i < 4; i++) world_checkpoint(w, CHANGES, COMMITTED);
    late_world.ops = *w->store->ops;
    late_world.ops.ahead_open = late_open;
    late_world.ops.ahead_body = late_body;
    late_world.ops.ahead_wait = late_wait;
    late_world.ops.ahead_close = late_close;
    late_world.waits_count = 0;
    late_world.broken[0] = '\0';
    w->store->ops = &late_world.ops;
    return w;
}

static void late_break(const world *w, uint32_t segment, cst_code code) {
    (void)snprintf(late_world.broken, sizeof late_world.broken, "%s", w->past[4][0].names[segment]);
    late_world.broken_code = code;
}

// ---- Who reads chains ---------------------------------------------------------------------------

TEST(a_recovery_holds_what_it_waited_for) {
    world *w = world_late();
    csti_recovery_options options = options_of(w);

    (void)recovered(w, &options, 4);
    CHECK(late_world.waits_count >= 8 * 5); // each block of two chains
    options.verify_all = true;
    (void)recovered(w, &options, 4);
    world_close(w);
}

// To be known before anything is restored is only what a chain's ends say.
TEST(a_plan_is_made_before_the_bodies_are_there) {
    world *w = world_late();
    const csti_recovery_options options = options_of(w);
    csti_recovery_plan plan;

    CHECK_OK(csti_recovery_plan_open(&options, &plan, &report, &why));
    CHECK_EQ(report.chosen_id, 4);
    CHECK_EQ(late_world.waits_count, 0);
    csti_recovery_plan_close(&plan);
    world_close(w);
}

// Rows of a table that was restored from the plan, by helpers too.
static uint64_t restored_rows(const csti_chain *chain, uint32_t threads, cst_code wanted,
                              cst_err *err) {
    const cst_restore_options options = {.threads_count = threads};
    const cst_table_options table_options = {.layout = CST_TABLE_INLINE,
                                             .key_bytes = TEST_KEY_BYTES,
                                             .program = WORLD_PROGRAM,
                                             .hash_key = TEST_HASH_KEY,
                                             .budget_bytes = 64 << 20,
                                             .rows_hint = 200,
                                             .numa_node = -1};
    cst_table *table = NULL;
    cst_table_stats stats;

    CHECK_OK(cst_table_open(&table_options, &table, NULL));
    CHECK_CODE(cst_segment_restore(chain->segments, chain->segments_count, table, NULL, &options,
                                   NULL, err),
               wanted);
    cst_table_stats_read(table, &stats);
    cst_table_close(table);
    return stats.rows_count;
}

TEST(a_restore_reads_what_it_waited_for) {
    world *w = world_late();
    const csti_recovery_options options = options_of(w);

    for (uint32_t threads = 0; threads < 3; threads += 2) {
        csti_recovery_plan plan;

        CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
        for (uint32_t p = 0; p < WORLD_PARTITIONS; p++)
            CHECK_EQ(restored_rows(&plan.chains[p], threads, CST_OK, NULL),
                     w->past[4][p].rows.count);
        csti_recovery_plan_close(&plan);
    }
    world_close(w);
}

TEST(a_fold_and_a_verification_read_what_they_waited_for) {
    world *w = world_late();
    const csti_verify_options verification = {.store = w->store,
                                              .meta = w->meta,
                                              .clock = &w->clock.clock,
                                              .random = &w->random.random};
    csti_recovery_options options;
    csti_manifest_segment full;
    csti_verify_report verified;
    csti_arena arena;

    csti_arena_init(&arena, 16 << 20);
    CHECK_OK(world_fold(w, 4, 0, &arena, &full, NULL));
    CHECK(late_world.waits_count > 0);
    late_world.waits_count = 0;
    CHECK_OK(csti_verify(&verification, &verified, NULL));
    CHECK_EQ(verified.checkpoints_count, 4);
    CHECK(late_world.waits_count >= 8); // each segment
    options = options_of(w);
    (void)recovered(w, &options, 4); // on the full
    csti_arena_release(&arena);
    world_close(w);
}

// ---- What does not come -------------------------------------------------------------------------

TEST(what_does_not_come_is_named_by_whoever_waits) {
    world *w = world_late();
    const csti_recovery_options options = options_of(w);
    csti_recovery_options all = options;
    csti_recovery_plan plan;
    cst_err err;

    late_break(w, 2, CST_OBJECT_UNAVAILABLE);
    for (uint32_t threads = 0; threads < 3; threads += 2) {
        CHECK_OK(csti_recovery_plan_open(&options, &plan, NULL, NULL));
        (void)restored_rows(&plan.chains[0], threads, CST_OBJECT_UNAVAILABLE, &err);
        CHECK(strstr(err.text, late_world.broken));
        CHECK(strstr(err.text, "no answer"));
        csti_recovery_plan_close(&plan);
    }
    all.verify_all = true;
    CHECK_CODE(refused(&all), CST_OBJECT_UNAVAILABLE);
    CHECK(strstr(why.text, late_world.broken));
    world_close(w);
}

// As any damage: where every byte is looked at, an older checkpoint stands in for it.
TEST(what_is_gone_in_between_is_damage) {
    world *w = world_late();
    csti_recovery_options options = options_of(w);

    late_break(w, 3, CST_NOT_FOUND);
    options.verify_all = true;
    options.accept_repeats = true;
    (void)recovered(w, &options, 3);
    CHECK_EQ(report.notes[0].code, CST_NOT_FOUND);
    world_close(w);
}

TEST_MAIN
