// world.h: one simulated job: its store, its clock, its processes, and who is next.
//
//                     ┌─ owner a: main, uploader, committer ─┐
//   seed ─► scheduler ┼─ owner b: main, uploader, committer  ┼─► sim: store ─► judge, sink
//                     ├─ folder, gc                          │    faults, late writes
//                     └─ reader                              ┘
//
// Each store call gives way twice, before and after its effect, and the seed says who goes on. A
// process is killed at such a place, or sleeps; another owner claims the job whenever it likes.
// After every step the judge looks at what was decided and at what is in the store.
//
// Promises   the same seed is the same run, on any machine.
// Thread     one.
#ifndef DST_WORLD_H
#define DST_WORLD_H

#include "dst/coroutine.h"
#include "dst/judge.h"
#include "dst/model.h"
#include "dst/spots.h"

#include "checkpoint/manifest.h"
#include "meta/meta.h"
#include "object/sim.h"

enum {
    ACTORS_MAX = 32,
    PROCESSES_MAX = 8,
    STEPS_MAX = 5000,        // with faults, kills and takeovers
    QUIET_STEPS_MAX = 30000, // until all is committed when they have ended
    SECOND_US = 1000000,
    MINUTE_US = 60 * SECOND_US,
};

typedef struct world world;

// A clock of one process: the same time, and a wall clock of its own.
typedef struct skewed_clock {
    csti_clock clock; // first
    const csti_clock_sim *sim;
    int64_t offset_us;
} skewed_clock;

typedef struct process {
    world *in;
    const char *name;
    bool dead; // killed: what it calls has no effect
    cst_object_store *store;
    csti_meta *meta;
    skewed_clock clock;
    csti_random_sim random;
    uint64_t owner; // a random instance id
} process;

typedef struct actor {
    const char *name;
    coroutine *coroutine;
    uint64_t wake_ns;
} actor;

// What makes one seed unlike another.
typedef struct profile {
    csti_object_sim_faults faults;
    // In so many steps, 0: never. Sleep: of one actor, its call in mid-air; jump: of the time, for
    // all.
    uint32_t kill_one_in, sleep_one_in, jump_one_in;
    uint32_t abort_one_in;  // of an owner's rounds
    uint64_t life_us;       // of owners, about
    bool has_rival;         // a second owner, which takes over
    uint32_t change_one_in; // of an owner's lives: with another number of partitions; 0: none
    bool is_unaligned;      // barriers go among rows, and partitions need not wait for them
    spots spots;
    uint32_t slow; // how many times as long steps, pauses and deadlines are
    uint32_t snapshot_every;
    uint32_t keep;
    uint32_t fold_every, mail_one_in; // mail: how slowly an owner takes fulls over
    uint64_t pause_us;                // of folder, collector and readers, at most
    bool skewed;                      // wall clocks jump by up to ten minutes
} profile;

struct world {
    uint64_t seed, steps;
    bool traced;
    bool is_quiet; // no faults, no kills, no takeovers: all has to come to its end
    profile profile;
    csti_random_sim random;
    csti_clock_sim clock;
    csti_object_sim_world *objects;
    actor actors[ACTORS_MAX];
    uint32_t actors_count, actor_now;
    process *processes[PROCESSES_MAX]; // NULL: free
    judge judge;
    sink sink;
    struct { // a full that a folder made, for the owner of that tenure
        uint64_t tenure;
        uint32_t partition;
        csti_manifest_segment full;
        char name[128];
    } mail;
    uint32_t lives;            // of owners
    uint32_t partitions_count; // as the job file says
    uint32_t settle_count;     // not 0: a checkpoint of so many has to be aligned first
};

// Runs the seed to its end. A broken promise ends the program: see violation.
void world_run(uint64_t seed, bool traced);

// ---- For actors ---------------------------------------------------------------------------------

uint64_t world_random(world *in);
// One in `n`; never if n is 0.
bool world_chance(world *in, uint32_t n);
void world_note(const world *in, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The actor that runs goes on after so long.
void world_pause(world *in, uint64_t us);
void world_actor(world *in, const char *name, void (*run)(void *context), void *context);
// A promise is broken: says which, the seed, and how to replay it.
_Noreturn void violation(const world *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// A process with its store and clock; its metadata is opened by itself.
void process_open(process *self, world *in, const char *name);
void process_close(process *self);
// What a store may answer with when faults are on.
bool is_fault(cst_code code);
// A code that no run without damage may give.
void process_expect(const process *self, const char *what, cst_code code, const cst_err *err);

void owner_run(void *slot); // an owner_slot
void folder_run(void *in);
void gc_run(void *in);
void reader_run(void *in);
void gc_finish(world *in);

// For `replay:`, the program's name and what else it needs.
extern const char *dst_command;

typedef struct owner_slot {
    world *in;
    const char *name;
    bool is_last; // goes on when the world is quiet
} owner_slot;

#endif
