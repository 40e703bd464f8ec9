#include "dst/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    VIOLATION_STATUS = 3,
    STORE_DEADLINE_US = 200000,
    STEP_US_MAX = 4000,
    CHECK_OBJECTS_EVERY = 64,
    START_WALL_S = 1700000000,
    SKEW_ONE_IN = 300,
    WRITE_ONE_IN = 6,
    SLEEP_US_MAX = 4 * SECOND_US,
};
static const uint64_t JUMP_NS_MAX = UINT64_C(90) * 1000000000;

// ---- Helpers of actors --------------------------------------------------------------------------

uint64_t world_random(world *in) {
    return csti_random_sim_next(&in->random);
}

bool world_chance(world *in, uint32_t n) {
    return n > 0 && world_random(in) % n == 0;
}

static void say(const world *in, FILE *to, const char *format, va_list arguments) {
    fprintf(to, "%6" PRIu64 " %10.3f s %-10s ", in->steps,
            (double)atomic_load(&in->clock.now_ns) / 1e9,
            in->actors_count ? in->actors[in->actor_now].name : "-");
    vfprintf(to, format, arguments);
    fputc('\n', to);
}

void world_note(const world *in, const char *format, ...) {
    va_list arguments;

    if (!in->traced) return;
    va_start(arguments, format);
    say(in, stdout, format, arguments);
    va_end(arguments);
}

void violation(const world *in, const char *format, ...) {
    va_list arguments;

    fflush(stdout);
    va_start(arguments, format);
    say(in, stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "seed %" PRIu64 " breaks a promise; replay: %s --seed %" PRIu64 " --trace\n",
            in->seed, dst_command, in->seed);
    fflush(stderr);
    _exit(VIOLATION_STATUS);
}

void world_pause(world *in, uint64_t us) {
    in->actors[in->actor_now].wake_ns =
        atomic_load(&in->clock.now_ns) + us * in->profile.slow * 1000;
    coroutine_yield();
}

void world_actor(world *in, const char *name, void (*run)(void *context), void *context) {
    actor *to = NULL;

    for (uint32_t i = 0; i < in->actors_count && !to; i++)
        if (!in->actors[i].coroutine) to = &in->actors[i];
    if (!to) {
        if (in->actors_count == ACTORS_MAX) abort();
        to = &in->actors[in->actors_count++];
    }
    *to = (actor){.name = name, .coroutine = coroutine_open(run, context)};
}

// ---- Processes ----------------------------------------------------------------------------------

static uint64_t skewed_now_ns(const csti_clock *clock) {
    return csti_clock_now_ns(&((const skewed_clock *)clock)->sim->clock);
}

static int64_t skewed_wall_us(const csti_clock *clock) {
    const skewed_clock *self = (const skewed_clock *)clock;
    return csti_clock_wall_us(&self->sim->clock) + self->offset_us;
}

static void process_kill(process *self) {
    if (self->dead) return;
    world_note(self->in, "%s is killed", self->name);
    csti_object_sim_client_kill(self->store);
    self->dead = true;
}

// The faults of the call that is about to be made.
static void faults_set(process *self, spot_action action) {
    csti_object_sim_faults faults = self->in->profile.faults;

    if (self->in->is_quiet) faults = (csti_object_sim_faults){.error_before = 0};
    if (action == SPOT_FAILS) faults.error_before = 1000000;
    if (action == SPOT_IS_UNKNOWN && world_chance(self->in, 2))
        faults.error_after = 1000000;
    else if (action == SPOT_IS_UNKNOWN)
        faults.lost = 1000000;
    csti_object_sim_client_faults(self->store, &faults);
}

static void give_way(void *context, csti_object_sim_moment moment, const char *call,
                     const char *name) {
    process *self = context;
    world *in = self->in;
    spot_action action = SPOT_NONE;

    // Of what nobody sees before it is finished, some.
    if (strcmp(call, "upload_write") == 0 && !world_chance(in, WRITE_ONE_IN)) return;
    world_note(in, "%s %s %s%s", moment == CSTI_OBJECT_SIM_BEFORE ? "..." : "   ", call, name,
               self->dead ? " (dead)" : "");
    // What was done is looked at before anybody else goes on.
    if (moment == CSTI_OBJECT_SIM_AFTER)
        judge_step(&in->judge, strcmp(call, "delete") == 0 ? name : NULL);
    if (!in->is_quiet) action = spots_meet(&in->profile.spots, &in->random, moment, call, name);
    if (action != SPOT_NONE) world_note(in, "meets spot %d", (int)action);
    if (action == SPOT_KILLS) process_kill(self);
    if (action == SPOT_SLEEPS)
        world_pause(in, world_random(in) % SLEEP_US_MAX);
    else
        coroutine_yield();
    if (moment == CSTI_OBJECT_SIM_BEFORE && self->store) faults_set(self, action);
}

void process_open(process *self, world *in, const char *name) {
    csti_object_sim_options options = {
        .seed = world_random(in),
        .clock = &in->clock,
        .deadline_us = STORE_DEADLINE_US,
        .yield = give_way,
        .yield_context = self,
    };

    *self = (process){.in = in, .name = name};
    if (csti_object_sim_client_open(in->objects, &options, &self->store, NULL) != CST_OK) abort();
    self->clock = (skewed_clock){.clock = {.now_ns = skewed_now_ns, .wall_us = skewed_wall_us},
                                 .sim = &in->clock};
    csti_random_sim_init(&self->random, world_random(in));
    self->owner = world_random(in) | 1;
    for (uint32_t i = 0;; i++) {
        if (i == PROCESSES_MAX) abort();
        if (in->processes[i]) continue;
        in->processes[i] = self;
        break;
    }
}

void process_close(process *self) {
    csti_meta_close(self->meta);
    cst_object_store_close(self->store);
    self->meta = NULL;
    self->store = NULL;
    for (uint32_t i = 0; i < PROCESSES_MAX; i++)
        if (self->in->processes[i] == self) self->in->processes[i] = NULL;
}

static void kill_one(world *in) {
    process *self = in->processes[world_random(in) % PROCESSES_MAX];

    if (self) process_kill(self);
}

static void skew_one(world *in) {
    process *self = in->processes[world_random(in) % PROCESSES_MAX];
    const int64_t range_us = 10 * (int64_t)MINUTE_US;

    if (self)
        self->clock.offset_us = (int64_t)(world_random(in) % (2 * (uint64_t)range_us)) - range_us;
}

static void quiet_all(world *in) {
    in->is_quiet = true;
    for (uint32_t i = 0; i < PROCESSES_MAX; i++)
        if (in->processes[i]) in->processes[i]->clock.offset_us = 0;
}

bool is_fault(cst_code code) {
    return code == CST_OBJECT_UNAVAILABLE || code == CST_OBJECT_AMBIGUOUS || code == CST_DEADLINE;
}

void process_expect(const process *self, const char *what, cst_code code, const cst_err *err) {
    switch (code) {
    case CST_META_CORRUPT:
    case CST_META_VERSION:
    case CST_META_MISSING:
    case CST_MANIFEST:
    case CST_MANIFEST_VERSION:
    case CST_CHECKPOINT_UNUSABLE:
    case CST_CHECKPOINT_REPEATS:
    case CST_SEGMENT_MAGIC:
    case CST_SEGMENT_VERSION:
    case CST_SEGMENT_TRUNCATED:
    case CST_SEGMENT_CHECKSUM:
    case CST_SEGMENT_IDENTITY:
    case CST_SEGMENT_SCHEMA:
    case CST_SEGMENT_HASH_KEY:
    case CST_SEGMENT_RECORD:
    case CST_SEGMENT_BASE:
    case CST_JOB_MISMATCH:
    case CST_NO_MEMORY:
    case CST_INTERNAL:
    case CST_EPOCH:
        violation(self->in, "%s: %s: %s: %s", self->name, what, cst_code_name(code), err->text);
    default:
        if (code != CST_OK) world_note(self->in, "%s: %s", what, cst_code_name(code));
    }
}

// ---- The run ------------------------------------------------------------------------------------

static profile profile_draw(world *in) {
    static const uint32_t rates[] = {0, 500, 2000, 6000, 20000};
    static const uint64_t pauses[] = {2000, 50000, 500000};
    const uint32_t rate = rates[world_random(in) % 5];
    profile made = {
        .faults = {.error_before = rate,
                   .error_after = rate,
                   .lost = rate / 2,
                   .delayed = world_random(in) % 2 ? 100000 : 0,
                   .delay_us_max = 200000},
        .slow = world_random(in) % 3 ? 1 : 10,
        .snapshot_every = 3 + (uint32_t)(world_random(in) % 20),
        .fold_every = 1 + (uint32_t)(world_random(in) % 3),
        .mail_one_in = 1 + (uint32_t)(world_random(in) % 10),
        .pause_us = pauses[world_random(in) % 3],
        .keep = 1 + (uint32_t)(world_random(in) % 3),
        .skewed = world_random(in) % 4 == 0,
    };

    if (world_random(in) % 3) made.kill_one_in = 200 + (uint32_t)(world_random(in) % 2000);
    if (world_random(in) % 2) made.sleep_one_in = 50 + (uint32_t)(world_random(in) % 500);
    if (world_random(in) % 2) made.jump_one_in = 300 + (uint32_t)(world_random(in) % 2000);
    if (world_random(in) % 2) made.abort_one_in = 10 + (uint32_t)(world_random(in) % 50);
    made.has_rival = world_random(in) % 4 != 0;
    if (world_random(in) % 2) made.change_one_in = 1 + (uint32_t)(world_random(in) % 4);
    made.is_unaligned = in->seed % 3 == 0; // drawn, it would make other runs of the others, too
    made.life_us = SECOND_US + world_random(in) % (20 * SECOND_US);
    spots_draw(&made.spots, &in->random);
    return made;
}

// The next actor that is awake; if none is, time goes on until one wakes. False: all are over.
static bool choose(world *in) {
    uint32_t awake[ACTORS_MAX], awake_count = 0;
    uint64_t now = atomic_load(&in->clock.now_ns), first = UINT64_MAX;

    for (uint32_t i = 0; i < in->actors_count; i++)
        if (in->actors[i].coroutine && in->actors[i].wake_ns < first) first = in->actors[i].wake_ns;
    if (first == UINT64_MAX) return false;
    if (first > now) {
        csti_clock_sim_advance(&in->clock, first - now);
        now = first;
    }
    for (uint32_t i = 0; i < in->actors_count; i++)
        if (in->actors[i].coroutine && in->actors[i].wake_ns <= now) awake[awake_count++] = i;
    in->actor_now = awake[world_random(in) % awake_count];
    return true;
}

static bool step(world *in) {
    if (!choose(in)) return false;
    actor *now = &in->actors[in->actor_now];

    in->steps++;
    csti_clock_sim_advance(&in->clock, 1000 * (1 + world_random(in) %
                                                       (STEP_US_MAX * (uint64_t)in->profile.slow)));
    if (!in->is_quiet) {
        if (world_chance(in, in->profile.kill_one_in)) kill_one(in);
        if (in->profile.skewed && world_chance(in, SKEW_ONE_IN)) skew_one(in);
        if (world_chance(in, in->profile.jump_one_in))
            csti_clock_sim_advance(&in->clock, world_random(in) % JUMP_NS_MAX);
        if (world_chance(in, in->profile.sleep_one_in)) {
            world_note(in, "sleeps");
            now->wake_ns = atomic_load(&in->clock.now_ns) +
                           world_random(in) % SLEEP_US_MAX * 1000 * in->profile.slow;
            return true;
        }
    }
    coroutine_resume(now->coroutine);
    if (coroutine_is_over(now->coroutine)) {
        coroutine_close(now->coroutine);
        now->coroutine = NULL;
    }
    judge_step(&in->judge, NULL);
    if (in->steps % CHECK_OBJECTS_EVERY == 0) judge_check_objects(&in->judge);
    return true;
}

void world_run(uint64_t seed, bool traced) {
    world *in = calloc(1, sizeof *in);
    owner_slot slots[2] = {{in, "owner-a", true}, {in, "owner-b", false}};
    uint64_t limit = STEPS_MAX;

    if (!in) abort();
    in->seed = seed;
    in->traced = traced;
    csti_random_sim_init(&in->random, seed);
    csti_clock_sim_init(&in->clock, (int64_t)START_WALL_S * SECOND_US);
    if (csti_object_sim_world_open(world_random(in), &in->objects, NULL) != CST_OK) abort();
    in->profile = profile_draw(in);
    in->partitions_count = 1 + (uint32_t)(world_random(in) % MODEL_PARTITIONS_MAX);
    judge_open(&in->judge, in);
    world_actor(in, slots[0].name, owner_run, &slots[0]);
    world_actor(in, slots[1].name, owner_run, &slots[1]);
    world_actor(in, "folder", folder_run, in);
    world_actor(in, "gc", gc_run, in);
    world_actor(in, "reader", reader_run, in);
    while (step(in)) {
        if (in->steps < limit) continue;
        if (in->is_quiet)
            violation(in, "not all is committed after %d quiet steps", QUIET_STEPS_MAX);
        world_note(in, "quiet from here on");
        quiet_all(in);
        limit += QUIET_STEPS_MAX;
    }
    in->actors_count = 0;
    gc_finish(in);
    judge_check_end(&in->judge);
    world_note(in, "%u checkpoints, %u of them not aligned, %u lives, %u changes of the partitions",
               in->judge.checkpoints_count, in->judge.unaligned_count, in->lives,
               in->judge.changes_count);
    judge_close(&in->judge);
    csti_object_sim_world_close(in->objects);
    free(in);
}
