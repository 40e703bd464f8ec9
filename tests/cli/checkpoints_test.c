#define _GNU_SOURCE 1 // nftw, strsep
#include "cli/program.h"
#include "unit/checkpoint/world.h"

#include "base/clock.h"

// What the program sees is on disk, under the real clock; the world's handle closes meanwhile.
static world *world_of(uint32_t checkpoints) {
    world *w = world_open();

    world_claim(w);
    for (uint32_t i = 0; i < checkpoints; i++) world_checkpoint(w, 30, COMMITTED);
    return w;
}

static const char *uri(const world *w) {
    static char text[256];

    (void)snprintf(text, sizeof text, "file:%s/store", w->folder.path);
    return text;
}

TEST(list_names_every_checkpoint_and_its_size) {
    world *w = world_of(3);
    const program_run *run = program("checkpoints list %s", uri(w));

    CHECK_RUN(run, 0);
    CHECK_EQ(lines_with(run->out, "kept"), 2);
    CHECK_EQ(lines_with(run->out, "newest"), 1);
    CHECK_EQ(lines_with(run->out, "2023-11-14T22:13:20Z"), 3); // the world's clock stands still
    run = program("checkpoints list --json %s", uri(w));
    CHECK_RUN(run, 0);
    CHECK_EQ(lines_with(run->out, "\n"), 3);
    CHECK(strstr(run->out, "{\"id\":1,\"base_id\":0,"));
    CHECK(strstr(run->out, "\"state\":\"newest\",\"pins\":0,\"manifest\":\"checkpoints/"));
    CHECK(strstr(run->out, "\"partitions\":2,\"segments\":6,"));
    CHECK_TEXT(run->err, "");
    world_flip(w, w->manifests[2], 40);
    run = program("checkpoints list %s", uri(w));
    CHECK_RUN(run, 4);
    CHECK_EQ(lines_with(run->out, "\n"), 4); // all the same
    CHECK_EQ(lines_with(run->out, "damaged"), 1);
    CHECK(strstr(run->err, w->manifests[2]));
    world_close(w);
}

TEST(show_says_what_a_checkpoint_consists_of) {
    world *w = world_of(3);
    const program_run *run = program("checkpoints show 2 %s", uri(w));

    CHECK_RUN(run, 0);
    CHECK(strstr(run->out, "checkpoint  2, after 1\n"));
    CHECK(strstr(run->out, "source      generator-0: {\"row\":2000}"));
    CHECK(strstr(run->out, "partition 1: key groups 2048 to 4095, tenure 1"));
    CHECK(strstr(run->out, w->past[2][1].names[1]));
    CHECK(!strstr(run->out, w->past[3][1].names[2]));
    run = program("checkpoints show newest --json %s", uri(w));
    CHECK_RUN(run, 0);
    CHECK_EQ(lines_with(run->out, "\n"), 1);
    CHECK(strncmp(run->out, "{\"version\":1,\"incarnation\":1,\"id\":3,", 36) == 0);
    CHECK_RUN(program("checkpoints show 9 %s", uri(w)), 4);
    CHECK_RUN(program("checkpoints show nine %s", uri(w)), 3);
    CHECK_RUN(program("checkpoints show %s", uri(w)), 2);
    world_close(w);
}

TEST(verify_reads_everything_and_names_object_and_offset) {
    world *w = world_of(3);
    const program_run *run = program("checkpoints verify %s", uri(w));

    CHECK_RUN(run, 0);
    CHECK_EQ(lines_with(run->out, "good"), 3);
    run = program("checkpoints verify --json 2 %s", uri(w));
    CHECK_RUN(run, 0);
    CHECK_EQ(lines_with(run->out, "\"event\":\"checkpoint\",\"id\":2"), 1);
    CHECK_EQ(lines_with(run->out, "\"event\":\"done\",\"checkpoints\":1,\"damaged\":0"), 1);
    world_flip(w, w->past[3][0].names[2], 128 + 30);
    run = program("checkpoints verify %s", uri(w));
    CHECK_RUN(run, 4);
    CHECK_EQ(lines_with(run->out, "DAMAGED"), 1);
    CHECK_EQ(lines_with(run->out, "good"), 2);
    CHECK(strstr(run->err, w->past[3][0].names[2]));
    CHECK(strstr(run->err, "offset 128"));
    run = program("checkpoints verify --json %s", uri(w));
    CHECK_RUN(run, 4);
    CHECK(strstr(run->out, "{\"event\":\"damage\",\"id\":3,\"error\":\"CST_SEGMENT_CHECKSUM\""));
    CHECK_RUN(program("checkpoints verify 2 %s", uri(w)), 0);
    world_close(w);
}

TEST(fold_makes_fulls_that_the_next_checkpoint_stands_on) {
    world *w = world_of(4);
    const program_run *run = program("checkpoints fold %s", uri(w));
    csti_arena arena;

    CHECK_RUN(run, 0);
    CHECK(strstr(run->out, "partition 0: 3 segments"));
    CHECK(strstr(run->out, "partition 1: 3 segments"));
    const csti_meta_view view = world_view(w, &arena);
    CHECK_EQ(view.fulls_count, 2);
    CHECK_EQ(view.tenure, w->tenure); // the job is left its place
    csti_arena_release(&arena);
    world_checkpoint(w, 30, COMMITTED);
    CHECK_RUN(program("checkpoints verify %s", uri(w)), 0);
    world_truncate(w, w->past[4][0].names[1], 200);
    run = program("checkpoints fold --json %s", uri(w)); // a registered full still stands for it
    CHECK_RUN(run, 4);
    CHECK(strstr(run->err, w->past[4][0].names[1]));
    world_close(w);
}

TEST(gc_deletes_what_a_dry_run_names) {
    world *w = world_of(6);
    const program_run *run = program("checkpoints gc --keep 2 --dry-run %s", uri(w));

    CHECK_RUN(run, 0);
    CHECK_EQ(lines_with(run->out, "/manifest-"), 4);
    CHECK(strstr(run->out, "would delete 4 checkpoints, 4 objects"));
    CHECK(world_has(w, w->manifests[1]));
    run = program("checkpoints gc --keep 2 --json %s", uri(w));
    CHECK_RUN(run, 0);
    CHECK_EQ(lines_with(run->out, "{\"event\":\"delete\",\"object\":\"checkpoints/"), 4);
    CHECK(
        strstr(run->out, "{\"event\":\"done\",\"dry_run\":false,\"checkpoints\":4,\"objects\":4,"));
    CHECK(!world_has(w, w->manifests[4]));
    CHECK(world_has(w, w->manifests[5]));
    world_checkpoint(w, 30, COMMITTED); // the job goes on
    CHECK_RUN(program("checkpoints gc --keep 0 %s", uri(w)), 2);
    CHECK_RUN(program("checkpoints gc --dry-run --offline %s", uri(w)), 2);
    world_close(w);
}

TEST(offline_takes_the_jobs_place_first) {
    world *w = world_of(3);

    CHECK_RUN(program("checkpoints gc --keep 1 --offline %s", uri(w)), 0);
    CHECK_CODE(world_propose(w,
                             &(csti_meta_command){.kind = CSTI_META_ABORT,
                                                  .owner = w->owner,
                                                  .tenure = w->tenure,
                                                  .id = 4},
                             NULL),
               CST_FENCED);
    world_close(w);
}

TEST(repair_deletes_orphans_and_nothing_else) {
    world *w = world_open();
    const program_run *run;

    world_claim(w);
    world_checkpoint(w, 30, COMMITTED);
    world_checkpoint(w, 30, UPLOADED);
    world_checkpoint(w, 30, COMMITTED);
    world_checkpoint(w, 30, UPLOADED); // may still commit
    run = program("checkpoints repair-orphans %s", uri(w));
    CHECK_RUN(run, 0);
    CHECK(strstr(run->out, "deleted 0 checkpoints, 2 objects"));
    CHECK(!world_has(w, w->past[2][0].names[1]));
    CHECK(world_has(w, w->past[4][0].names[2]));
    CHECK_RUN(program("checkpoints verify %s", uri(w)), 0);
    world_close(w);
}

TEST(recover_rebuilds_lost_metadata) {
    world *w = world_of(3);
    const program_run *run;
    char path[1024];

    CHECK_RUN(program("recover --from-listing %s", uri(w)), 1); // it is there
    csti_meta_close(w->meta);
    w->meta = NULL;
    world_path(w, "meta", path);
    CHECK_EQ(nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    run = program("checkpoints list %s", uri(w));
    CHECK_RUN(run, 4);
    CHECK(strstr(run->err, "recover --from-listing"));
    CHECK_RUN(program("recover %s", uri(w)), 2);
    world_truncate(w, w->past[3][1].names[2], 100);
    run = program("recover --from-listing %s", uri(w));
    CHECK_RUN(run, 4);
    CHECK(strstr(run->err, w->past[3][1].names[2]));
    CHECK(strstr(run->err, "--accept-repeats"));
    run = program("recover --from-listing --accept-repeats --json %s", uri(w));
    CHECK_RUN(run, 0);
    CHECK(strstr(run->out, "{\"event\":\"skipped\",\"id\":3,\"error\":\"CST_SEGMENT_TRUNCATED\""));
    CHECK(strstr(run->out, "{\"event\":\"done\",\"recovered_from\":2,"));
    CHECK_RUN(program("checkpoints verify %s", uri(w)), 0);
    world_close(w);
}

TEST(a_store_of_no_scheme_is_wrong_configuration) {
    CHECK_RUN(program("checkpoints list http://x"), 3);
}

TEST(a_folder_that_is_not_there_is_not_made) {
    test_folder folder = folder_make();
    char path[256];

    CHECK_RUN(program("checkpoints list file:%s/typo", folder.path), 4);
    (void)snprintf(path, sizeof path, "%s/typo", folder.path);
    CHECK(access(path, F_OK) != 0);
    folder_remove(&folder);
}

static int forbid_writing(const char *path, const struct stat *status, int kind,
                          struct FTW *place) {
    (void)status;
    (void)place;
    return chmod(path, kind == FTW_D || kind == FTW_DP ? 0555 : 0444);
}

static int allow_all(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status;
    (void)kind;
    (void)place;
    return chmod(path, 0700);
}

TEST(a_store_that_is_only_read_is_shown_and_verified_without_pins) {
    world *w = world_of(2);

    CHECK_EQ(nftw(w->folder.path, forbid_writing, 16, FTW_DEPTH | FTW_PHYS), 0);
    CHECK_RUN(program_as(PROGRAM_NOBODY, "checkpoints list %s", uri(w)), 0);
    CHECK_RUN(program_as(PROGRAM_NOBODY, "checkpoints show newest %s", uri(w)), 0);
    CHECK_RUN(program_as(PROGRAM_NOBODY, "checkpoints verify %s", uri(w)), 0);
    CHECK_RUN(program_as(PROGRAM_NOBODY, "checkpoints gc --keep 1 --dry-run %s", uri(w)), 0);
    CHECK_RUN(program_as(PROGRAM_NOBODY, "checkpoints gc --keep 1 %s", uri(w)), 7);
    CHECK_EQ(nftw(w->folder.path, allow_all, 16, FTW_PHYS), 0);
    world_close(w);
}

TEST_MAIN
