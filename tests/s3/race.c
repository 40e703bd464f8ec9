// race.c: two owners race for each checkpoint of one prefix on a real S3 server: CST_S3_STORE is
// the URI of its bucket, CST_ROUNDS how many checkpoints there are (20).
//
//   owner       segments are up ─► some reads ─► guard ─► manifest ─► CommitCheckpoint k
//   challenger  opens the store ─► Claim ─► what is the newest? ─► k−1: makes a k of its own
//                                                               ─► k: it came too late
//
// Whichever of the two commands has the lower index in the metadata's log decides, and the server
// decides who has that index. How much the owner reads first follows what came of the round
// before, so that both win. Then the challenger is the owner, and the roles change.
#include "unit/checkpoint/job.h"
#include "unit/object/objects.h"

#include "checkpoint/compaction.h"
#include "checkpoint/verify.h"

#include <pthread.h>

enum {
    PARTITIONS = 2,
    ROUNDS = 20,
    SERIES_ROUNDS = 100, // of one prefix: its chains grow by a segment a round
    READS_AT_FIRST = 8,  // about what it takes to claim
    READS_MAX = 1000,
    READS_SHARE = 3, // more or less of them, each round
};

typedef struct race {
    test_job *owner, *challenger;
    uint64_t id; // of the checkpoint that both want
    uint32_t reads_count;
    bool owner_won, challenger_won;
} race;

static void *owner_run(void *context) {
    race *r = context;
    cst_object_info info;
    uint64_t id = 0;
    cst_code code;

    for (uint32_t i = 0; i < r->reads_count; i++)
        CHECK_CODE(cst_object_head(r->owner->store, "no-such-object", &info, NULL), CST_NOT_FOUND);
    do code = job_commit(r->owner, &id);
    while (code == CST_AGAIN);
    if (code != CST_OK && code != CST_FENCED)
        TEST_FAIL("commit: %s: %s", cst_code_name(code), r->owner->err.text);
    r->owner_won = code == CST_OK;
    if (r->owner_won) CHECK_EQ(id, r->id);
    return NULL;
}

static void *challenger_run(void *context) {
    race *r = context;
    test_job *c = r->challenger;

    job_restart(c); // claims, and reads what is committed
    if (job_stats(c).last_committed_id == r->id) return NULL;
    CHECK_EQ(job_stats(c).last_committed_id, r->id - 1);
    job_checkpoint(c);
    CHECK_EQ(job_stats(c).last_committed_id, r->id);
    r->challenger_won = true;
    return NULL;
}

static void round_run(race *r) {
    csti_manifest manifest;
    csti_arena arena;
    pthread_t threads[2];

    CHECK_EQ(job_round(r->owner), r->id);
    job_upload_all(r->owner); // what is left is to commit it
    r->owner_won = r->challenger_won = false;
    CHECK_EQ(pthread_create(&threads[0], NULL, owner_run, r), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, challenger_run, r), 0);
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(r->owner_won + r->challenger_won, 1);
    // What a third one reads.
    CHECK(job_read_newest(r->challenger, &arena, &manifest));
    CHECK_EQ(manifest.id, r->id);
    CHECK_EQ(manifest.tenure, r->owner_won ? r->owner->tenure : r->challenger->tenure);
    csti_arena_release(&arena);
    if (r->owner_won)
        r->reads_count += r->reads_count / READS_SHARE + 1;
    else
        r->reads_count -= (r->reads_count + READS_SHARE - 1) / READS_SHARE;
    if (r->reads_count > READS_MAX) r->reads_count = READS_MAX;
}

// All that was committed is whole; what the losers left is garbage, and goes.
static void series_check(test_job *job, uint64_t rounds) {
    const csti_compaction_options options = {.store = job->store,
                                             .meta = job->meta,
                                             .clock = &job->clock.clock,
                                             .random = &job->random.random,
                                             .owner = job->owner,
                                             .tenure = job->tenure,
                                             .keep = SERIES_ROUNDS};
    const csti_verify_options all = {.store = job->store,
                                     .meta = job->meta,
                                     .clock = &job->clock.clock,
                                     .random = &job->random.random};
    const uint64_t wanted = rounds * (1 + PARTITIONS); // manifests, segments
    const uint32_t before = job_count(job, CSTI_CHECKPOINTS_PREFIX);
    csti_verify_report report;
    csti_gc_report gone;

    JOB_OK(csti_gc(&options, CSTI_GC_ORPHANS, NULL, NULL, &gone, &job->err));
    CHECK_EQ(gone.retired_checkpoints, 0);
    CHECK_EQ(gone.deleted_objects, before - wanted);
    CHECK_EQ(job_count(job, CSTI_CHECKPOINTS_PREFIX), wanted);
    JOB_OK(csti_verify(&all, &report, &job->err));
    CHECK_EQ(report.checkpoints_count, rounds);
    printf("  %" PRIu64 " objects of losers were collected\n", gone.deleted_objects);
}

// How many the owner won.
static uint64_t series_run(uint64_t rounds) {
    race r = {.reads_count = READS_AT_FIRST,
              .owner = job_make(NULL, PARTITIONS, false),
              .challenger = job_make(NULL, PARTITIONS, false)};
    uint64_t owners = 0;

    job_claim(r.owner);
    job_start(r.owner, NULL, 0);
    job_claim(r.challenger);
    job_start(r.challenger, NULL, 0);
    job_restart(r.owner);
    for (r.id = 1; r.id <= rounds; r.id++) {
        test_job *next = r.challenger;

        round_run(&r);
        owners += r.owner_won;
        r.challenger = r.owner;
        r.owner = next;
    }
    series_check(r.owner, rounds);
    job_kill(r.owner);
    job_kill(r.challenger);
    return owners;
}

TEST(each_checkpoint_has_one_owner_however_many_want_it) {
    const char *place = getenv("CST_S3_STORE");
    const char *question = place ? strchr(place, '?') : NULL;
    const char *count = getenv("CST_ROUNDS");
    const uint64_t rounds = count ? strtoull(count, NULL, 10) : ROUNDS;
    uint64_t owners = 0;
    char uri[512];

    CHECK(question);
    CHECK(rounds > 0);
    job_place = uri;
    for (uint64_t done = 0; done < rounds;) {
        const uint64_t now = rounds - done < SERIES_ROUNDS ? rounds - done : SERIES_ROUNDS;

        (void)snprintf(uri, sizeof uri, "%.*s/race-%" PRIu64 "%s", (int)(question - place), place,
                       done, question);
        owners += series_run(now);
        done += now;
    }
    printf("  %" PRIu64 " rounds: the owner won %" PRIu64 "\n", rounds, owners);
    CHECK(owners > 0 && owners < rounds);
}

TEST_MAIN
