// Each command's effect and each of its refusals.
#include "unit/meta/machines.h"

static csti_meta_machine *claimed(void) {
    csti_meta_machine *machine = machine_make();

    CHECK_OK(apply(machine, claim(OWNER)));
    return machine;
}

// Checkpoints 1 to `count` are committed, by tenure 1.
static csti_meta_machine *with_checkpoints(uint64_t count) {
    csti_meta_machine *machine = claimed();

    for (uint64_t id = 1; id <= count; id++) CHECK_OK(apply(machine, commit(1, id, id - 1)));
    return machine;
}

// The command is refused with CODE, and nothing but index, now_us and recent is another.
#define CHECK_REFUSED(MACHINE, COMMAND, CODE)                                                      \
    do {                                                                                           \
        const csti_meta_command refused_command = (COMMAND);                                       \
        csti_meta_machine *refused_twin = copy_of(MACHINE);                                        \
        csti_meta_command refused_nothing = {.kind = CSTI_META_UNPIN, .reader = 1 << 30};          \
        refused_nothing.time_us = refused_command.time_us;                                         \
        CHECK_CODE(apply(MACHINE, refused_command), CODE);                                         \
        CHECK_OK(apply(refused_twin, refused_nothing));                                            \
        csti_meta_machine_begin(MACHINE);                                                          \
        csti_meta_machine_begin(refused_twin);                                                     \
        CHECK(states_are_equal(MACHINE, refused_twin));                                            \
        csti_meta_machine_close(refused_twin);                                                     \
    } while (0)

// ---- Claim --------------------------------------------------------------------------------------

TEST(a_claim_raises_every_tenure) {
    csti_meta_machine *machine = machine_make();
    csti_meta_view view = view_of(machine);

    CHECK_TEXT(view.job, "");
    CHECK_OK(apply(machine, claim(OWNER)));
    CHECK_EQ(last_result.tenure, 1);
    CHECK_OK(apply(machine, claim(OWNER + 1)));
    CHECK_EQ(last_result.tenure, 2);
    view = view_of(machine);
    CHECK_TEXT(view.job, "clicks");
    CHECK_EQ(view.owner, OWNER + 1);
    CHECK_EQ(view.tenure, 2);
    CHECK_EQ(view.partitions_count, JOB_PARTITIONS);
    for (uint32_t i = 0; i < view.partitions_count; i++) {
        CHECK_EQ(view.partitions[i].owner, OWNER + 1);
        CHECK_EQ(view.partitions[i].tenure, 2);
    }
    csti_meta_machine_close(machine);
}

TEST(a_claim_of_another_job_is_refused) {
    csti_meta_machine *machine = claimed();
    csti_meta_command other = claim(OWNER + 1);

    other.name = "orders";
    CHECK_REFUSED(machine, other, CST_JOB_MISMATCH);
    csti_meta_machine_close(machine);
}

TEST(a_new_job_has_one_to_4096_partitions) {
    csti_meta_machine *machine = machine_make();
    csti_meta_command command = claim(OWNER);

    command.count = 0;
    CHECK_REFUSED(machine, command, CST_LIMIT);
    command.count = CSTI_META_PARTITIONS_MAX + 1;
    CHECK_REFUSED(machine, command, CST_LIMIT);
    command.count = CSTI_META_PARTITIONS_MAX;
    CHECK_OK(apply(machine, command));
    csti_meta_machine_close(machine);
}

TEST(a_new_job_may_begin_above_a_tenure) {
    csti_meta_machine *machine = machine_make();
    csti_meta_command command = claim(OWNER);

    command.tenure = 41;
    CHECK_OK(apply(machine, command));
    CHECK_EQ(last_result.tenure, 42);
    CHECK_EQ(view_of(machine).partitions[1].tenure, 42);
    CHECK_OK(apply(machine, command));
    CHECK_EQ(last_result.tenure, 43);
    csti_meta_machine_close(machine);
}

TEST(partitions_come_back_with_a_tenure_they_never_had) {
    csti_meta_machine *machine = claimed();
    csti_meta_command command = {.kind = CSTI_META_PARTITIONS, .owner = OWNER, .tenure = 1};

    command.count = 1;
    CHECK_OK(apply(machine, command));
    CHECK_EQ(last_result.tenure, 2);
    CHECK_EQ(view_of(machine).partitions_count, 1);
    CHECK_REFUSED(machine, command, CST_FENCED); // tenure 1 is over
    command.tenure = 2;
    command.count = 3;
    CHECK_OK(apply(machine, command));
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(view_of(machine).partitions[i].tenure, 3);
    command.tenure = 3;
    command.owner = OWNER + 1;
    CHECK_REFUSED(machine, command, CST_FENCED);
    command.owner = OWNER;
    command.count = CSTI_META_PARTITIONS_MAX + 1;
    CHECK_REFUSED(machine, command, CST_LIMIT);
    csti_meta_machine_close(machine);
}

// ---- Checkpoints --------------------------------------------------------------------------------

TEST(a_commit_makes_a_checkpoint) {
    csti_meta_machine *machine = claimed();
    csti_meta_command command = commit(1, 5, 0);
    csti_meta_view view;

    command.time_us = 1234;
    CHECK(csti_meta_view_newest(&(csti_meta_view){0}) == NULL);
    CHECK_OK(apply(machine, command));
    view = view_of(machine);
    CHECK_EQ(view.checkpoints_count, 1);
    CHECK(csti_meta_view_newest(&view) == &view.checkpoints[0]);
    CHECK_EQ(view.checkpoints[0].id, 5);
    CHECK_EQ(view.checkpoints[0].crc, 35);
    CHECK_EQ(view.checkpoints[0].tenure, 1);
    CHECK_EQ(view.checkpoints[0].committed_us, 1234);
    CHECK_TEXT(view.checkpoints[0].manifest, "checkpoints/manifest");
    csti_meta_machine_close(machine);
}

TEST(the_same_commit_again_changes_nothing) {
    csti_meta_machine *machine = with_checkpoints(2);
    csti_meta_command command = commit(1, 2, 1);

    CHECK_OK(apply(machine, command));
    CHECK_EQ(view_of(machine).checkpoints_count, 2);
    command.crc++;
    CHECK_REFUSED(machine, command, CST_CHECKPOINT_ORDER);
    command.crc--;
    command.name = "checkpoints/another";
    CHECK_REFUSED(machine, command, CST_CHECKPOINT_ORDER);
    csti_meta_machine_close(machine);
}

TEST(a_commit_of_a_stale_owner_is_refused_as_a_whole) {
    csti_meta_machine *machine = claimed();
    uint64_t tenures[JOB_PARTITIONS] = {2, 2};
    csti_meta_command command;

    CHECK_OK(apply(machine, claim(OWNER)));
    CHECK_REFUSED(machine, commit(1, 1, 0), CST_FENCED);
    command = commit(2, 1, 0);
    command.owner = OWNER + 1;
    CHECK_REFUSED(machine, command, CST_FENCED);
    command = commit(2, 1, 0);
    tenures[1] = 1;
    command.tenures = tenures;
    CHECK_REFUSED(machine, command, CST_FENCED);
    tenures[1] = 2;
    command.tenures_count = 1;
    CHECK_REFUSED(machine, command, CST_FENCED);
    CHECK_OK(apply(machine, commit(2, 1, 0)));
    csti_meta_machine_close(machine);
}

TEST(a_fenced_owner_is_told_so_even_of_what_it_committed) {
    csti_meta_machine *machine = with_checkpoints(1);

    CHECK_OK(apply(machine, claim(OWNER + 1)));
    CHECK_REFUSED(machine, commit(1, 1, 0), CST_FENCED);
    csti_meta_machine_close(machine);
}

TEST(commits_are_in_order) {
    csti_meta_machine *machine = with_checkpoints(3);

    CHECK_REFUSED(machine, commit(1, 5, 2), CST_CHECKPOINT_ORDER);
    CHECK_REFUSED(machine, commit(1, 5, 4), CST_CHECKPOINT_ORDER);
    CHECK_REFUSED(machine, commit(1, 5, 0), CST_CHECKPOINT_ORDER);
    CHECK_OK(apply(machine, commit(1, 5, 3)));
    CHECK_REFUSED(machine, commit(1, 4, 3), CST_CHECKPOINT_ORDER);
    CHECK_REFUSED(machine, commit(1, 4, 5), CST_CHECKPOINT_ORDER);
    csti_meta_machine_close(machine);
}

TEST(an_aborted_id_never_commits) {
    csti_meta_machine *machine = with_checkpoints(1);
    csti_meta_command abort_it = {.kind = CSTI_META_ABORT, .owner = OWNER, .tenure = 1, .id = 3};
    csti_meta_command adopt = commit(1, 3, 1);

    CHECK_OK(apply(machine, abort_it));
    CHECK_OK(apply(machine, abort_it)); // again
    CHECK_EQ(view_of(machine).aborted_count, 1);
    CHECK_REFUSED(machine, commit(1, 3, 1), CST_CHECKPOINT_ABORTED);
    adopt.kind = CSTI_META_ADOPT;
    adopt.tenures_count = 0;
    CHECK_REFUSED(machine, adopt, CST_CHECKPOINT_ABORTED);
    CHECK_OK(apply(machine, commit(1, 2, 1)));
    CHECK_REFUSED(machine, commit(1, 3, 2), CST_CHECKPOINT_ABORTED);
    CHECK_OK(apply(machine, commit(1, 4, 2)));
    CHECK_EQ(view_of(machine).aborted_count, 1); // the highest ever stays
    CHECK_EQ(view_of(machine).aborted[0], 3);
    csti_meta_machine_close(machine);
}

TEST(a_committed_or_fenced_id_cannot_be_aborted) {
    csti_meta_machine *machine = with_checkpoints(2);
    csti_meta_command command = {.kind = CSTI_META_ABORT, .owner = OWNER, .tenure = 1, .id = 2};

    CHECK_REFUSED(machine, command, CST_CHECKPOINT_ORDER);
    command.id = 3;
    command.tenure = 2;
    CHECK_REFUSED(machine, command, CST_FENCED);
    csti_meta_machine_close(machine);
}

TEST(aborted_ids_below_the_last_committed_are_forgotten) {
    csti_meta_machine *machine = claimed();
    csti_meta_command command = {.kind = CSTI_META_ABORT, .owner = OWNER, .tenure = 1};
    csti_meta_view view;

    for (uint64_t i = 0; i < 5; i++) {
        command.id = (uint64_t[]){7, 2, 9, 4, 3}[i];
        CHECK_OK(apply(machine, command));
    }
    CHECK_OK(apply(machine, commit(1, 5, 0)));
    view = view_of(machine);
    CHECK_EQ(view.aborted_count, 2);
    CHECK_EQ(view.aborted[0], 7);
    CHECK_EQ(view.aborted[1], 9);
    command.id = 4;
    CHECK_OK(apply(machine, command)); // it can't commit any more
    CHECK_EQ(view_of(machine).aborted_count, 2);
    csti_meta_machine_close(machine);
}

TEST(a_new_owner_adopts_a_manifest_of_an_earlier_tenure) {
    csti_meta_machine *machine = with_checkpoints(1);
    csti_meta_command command = commit(2, 2, 1);

    command.kind = CSTI_META_ADOPT;
    command.tenures = NULL;
    command.tenures_count = 0;
    CHECK_REFUSED(machine, command, CST_FENCED);
    CHECK_OK(apply(machine, claim(OWNER)));
    command.base_id = 0;
    CHECK_REFUSED(machine, command, CST_CHECKPOINT_ORDER);
    command.base_id = 1;
    CHECK_OK(apply(machine, command));
    CHECK_OK(apply(machine, command)); // again
    CHECK_EQ(view_of(machine).checkpoints_count, 2);
    CHECK_EQ(view_of(machine).checkpoints[1].tenure, 2);
    csti_meta_machine_close(machine);
}

TEST(aborts_and_checkpoints_are_bounded) {
    csti_meta_machine *machine = claimed();
    csti_meta_command command = {.kind = CSTI_META_ABORT, .owner = OWNER, .tenure = 1};

    for (uint64_t id = 1; id <= CSTI_META_ABORTED_MAX; id++) {
        command.id = id + CSTI_META_CHECKPOINTS_MAX + 1;
        CHECK_OK(apply(machine, command));
    }
    command.id++;
    CHECK_REFUSED(machine, command, CST_LIMIT);
    for (uint64_t id = 1; id <= CSTI_META_CHECKPOINTS_MAX; id++)
        CHECK_OK(apply(machine, commit(1, id, id - 1)));
    CHECK_REFUSED(machine, commit(1, CSTI_META_CHECKPOINTS_MAX + 1, CSTI_META_CHECKPOINTS_MAX),
                  CST_LIMIT);
    csti_meta_machine_close(machine);
}

// ---- Fulls --------------------------------------------------------------------------------------

// Full "folds/a" of partition 1 up to epoch 9 is registered; checkpoint 1 stands on it.
static csti_meta_machine *with_full(void) {
    static const csti_meta_full_ref ref = {1, 9, "folds/a"};
    csti_meta_machine *machine = claimed();
    csti_meta_command command = commit(1, 1, 0);

    CHECK_OK(apply(machine, lease("fold", OWNER, 1000)));
    CHECK_EQ(last_result.token, 1);
    CHECK_OK(apply(machine, full("folds/a", 9, 1)));
    command.fulls = &ref;
    command.fulls_count = 1;
    CHECK_OK(apply(machine, command));
    return machine;
}

TEST(a_full_needs_the_current_token) {
    csti_meta_machine *machine = claimed();

    CHECK_REFUSED(machine, full("folds/a", 9, 1), CST_LEASE);
    CHECK_OK(apply(machine, lease("fold", OWNER, 1000)));
    CHECK_OK(apply(machine, full("folds/a", 9, 1)));
    CHECK_OK(apply(machine, (csti_meta_command){.kind = CSTI_META_TOKEN_RAISE, .lease = "fold"}));
    CHECK_EQ(last_result.token, 2);
    CHECK_REFUSED(machine, full("folds/b", 9, 1), CST_LEASE);
    CHECK_OK(apply(machine, lease("fold", OWNER, 1000)));
    CHECK_EQ(last_result.token, 3);
    CHECK_REFUSED(machine, full("folds/b", 9, 2), CST_LEASE);
    CHECK_REFUSED(machine, full("folds/b", 9, 4), CST_LEASE);
    CHECK_OK(apply(machine, full("folds/b", 9, 3)));
    CHECK_EQ(view_of(machine).fulls_count, 2);
    csti_meta_machine_close(machine);
}

TEST(a_full_registered_again_is_the_same_or_refused) {
    csti_meta_machine *machine = with_full();
    csti_meta_command other = full("folds/a", 10, 1);

    CHECK_OK(apply(machine, full("folds/a", 9, 1)));
    CHECK_EQ(view_of(machine).fulls_count, 1);
    CHECK_REFUSED(machine, other, CST_EXISTS);
    csti_meta_machine_close(machine);
}

TEST(a_commit_stands_on_fulls_that_are_there) {
    csti_meta_machine *machine = with_full();
    csti_meta_full_ref ref = {1, 9, "folds/a"};
    csti_meta_command command = commit(1, 2, 1);

    command.fulls = &ref;
    command.fulls_count = 1;
    ref.name = "folds/b";
    CHECK_REFUSED(machine, command, CST_CHECKPOINT_RETIRED);
    ref.name = "folds/a";
    ref.partition = 0;
    CHECK_REFUSED(machine, command, CST_CHECKPOINT_RETIRED);
    ref.partition = 1;
    ref.epoch = 8;
    CHECK_REFUSED(machine, command, CST_CHECKPOINT_RETIRED);
    ref.epoch = 9;
    CHECK_OK(apply(machine, command));
    CHECK_EQ(view_of(machine).checkpoints[1].fulls_count, 1);
    csti_meta_machine_close(machine);
}

// ---- Retire -------------------------------------------------------------------------------------

TEST(retire_and_deleted_forget_a_checkpoint_with_its_full) {
    csti_meta_machine *machine = with_full();
    const uint64_t id = 1;
    const char *const names[] = {"folds/a", "checkpoints/x", "checkpoints/w", "checkpoints/x"};
    const csti_meta_command deleted = {
        .kind = CSTI_META_DELETED, .ids = &id, .ids_count = 1, .names = names, .names_count = 4};
    csti_meta_view view;

    CHECK_OK(apply(machine, commit(1, 2, 1)));
    CHECK_REFUSED(machine, deleted, CST_USAGE); // not deleting
    CHECK_OK(apply(machine, retire(1, &id, 1, names, 4)));
    CHECK_OK(apply(machine, retire(1, &id, 1, names, 3))); // again
    view = view_of(machine);
    CHECK(view.checkpoints[0].deleting);
    CHECK_EQ(view.checkpoints[0].fulls_count, 0);
    CHECK_EQ(view.fulls_count, 0);
    CHECK_EQ(view.pending_count, 3);
    CHECK_TEXT(view.pending[0], "checkpoints/w");
    CHECK_TEXT(view.pending[1], "checkpoints/x");
    CHECK_TEXT(view.pending[2], "folds/a");
    CHECK_EQ(csti_meta_view_newest(&view)->id, 2);
    CHECK_REFUSED(machine, full("folds/a", 9, 1), CST_CHECKPOINT_RETIRED);
    CHECK_OK(apply(machine, deleted));
    CHECK_OK(apply(machine, deleted)); // again
    view = view_of(machine);
    CHECK_EQ(view.checkpoints_count, 1);
    CHECK_EQ(view.pending_count, 0);
    csti_meta_machine_close(machine);
}

TEST(a_retire_of_what_must_stay_is_refused) {
    csti_meta_machine *machine = with_full();
    const uint64_t one = 1, two = 2, nine = 9;
    const char *const full_name[] = {"folds/a"};
    const char *const manifest[] = {"checkpoints/second"};
    csti_meta_command second = commit(1, 2, 1);

    second.name = manifest[0];
    CHECK_REFUSED(machine, retire(1, &one, 1, NULL, 0), CST_CHECKPOINT_RETIRED); // the newest
    CHECK_OK(apply(machine, second));
    CHECK_REFUSED(machine, retire(1, &two, 1, NULL, 0), CST_CHECKPOINT_RETIRED);
    CHECK_REFUSED(machine, retire(1, &nine, 1, NULL, 0), CST_NOT_FOUND);
    CHECK_REFUSED(machine, retire(2, &one, 1, NULL, 0), CST_FENCED);
    CHECK_REFUSED(machine, retire(1, NULL, 0, full_name, 1), CST_USAGE);
    CHECK_REFUSED(machine, retire(1, &one, 1, manifest, 1), CST_USAGE);
    CHECK_OK(apply(machine, retire(1, &one, 1, full_name, 1)));
    csti_meta_machine_close(machine);
}

TEST(a_commit_on_a_retired_full_is_refused) {
    csti_meta_machine *machine = with_full();
    const csti_meta_full_ref ref = {1, 9, "folds/a"};
    const uint64_t one = 1;
    const char *const names[] = {"folds/a"};
    csti_meta_command third = commit(1, 3, 2);

    CHECK_OK(apply(machine, commit(1, 2, 1)));
    CHECK_OK(apply(machine, retire(1, &one, 1, names, 1)));
    third.fulls = &ref;
    third.fulls_count = 1;
    CHECK_REFUSED(machine, third, CST_CHECKPOINT_RETIRED);
    csti_meta_machine_close(machine);
}

TEST(pending_deletions_are_bounded) {
    csti_meta_machine *machine = claimed();
    char(*texts)[16] = calloc(CSTI_META_PENDING_MAX, sizeof *texts);
    const char **names = calloc(CSTI_META_PENDING_MAX, sizeof *names);
    const char *const more[] = {"z"};

    CHECK(texts && names);
    for (int i = 0; i < CSTI_META_PENDING_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "o/%d", i);
        names[i] = texts[i];
    }
    CHECK_OK(apply(machine, retire(1, NULL, 0, names, CSTI_META_PENDING_MAX)));
    CHECK_OK(apply(machine, retire(1, NULL, 0, names, 100))); // they are pending already
    CHECK_REFUSED(machine, retire(1, NULL, 0, more, 1), CST_LIMIT);
    CHECK_EQ(view_of(machine).pending_count, CSTI_META_PENDING_MAX);
    csti_meta_machine_close(machine);
    free(names);
    free(texts);
}

// ---- Pins ---------------------------------------------------------------------------------------

static csti_meta_command at_time(csti_meta_command command, int64_t time_us) {
    command.time_us = time_us;
    return command;
}

TEST(a_pin_holds_its_checkpoint_until_it_expires) {
    csti_meta_machine *machine = with_checkpoints(2);
    const uint64_t one = 1;

    CHECK_OK(apply(machine, at_time(pin(7, 1, 100), 1000)));
    CHECK_REFUSED(machine, at_time(retire(1, &one, 1, NULL, 0), 1099), CST_PINNED);
    CHECK_OK(apply(machine, at_time(pin(7, 1, 100), 1099))); // longer
    CHECK_REFUSED(machine, at_time(retire(1, &one, 1, NULL, 0), 1198), CST_PINNED);
    CHECK_OK(apply(machine, at_time(retire(1, &one, 1, NULL, 0), 1199)));
    CHECK_REFUSED(machine, pin(7, 1, 100), CST_PIN_EXPIRED);
    CHECK_REFUSED(machine, pin(8, 1, 100), CST_CHECKPOINT_RETIRED);
    csti_meta_machine_close(machine);
}

TEST(a_pin_is_a_readers_on_one_checkpoint) {
    csti_meta_machine *machine = with_checkpoints(2);
    const uint64_t one = 1;

    CHECK_REFUSED(machine, pin(7, 3, 100), CST_NOT_FOUND);
    CHECK_OK(apply(machine, pin(7, 1, 100)));
    CHECK_OK(apply(machine, pin(3, 1, 100)));
    CHECK_REFUSED(machine, pin(7, 2, 100), CST_PIN_EXPIRED);
    CHECK_OK(apply(machine, (csti_meta_command){.kind = CSTI_META_UNPIN, .reader = 7}));
    CHECK_OK(apply(machine, (csti_meta_command){.kind = CSTI_META_UNPIN, .reader = 7}));
    CHECK_REFUSED(machine, retire(1, &one, 1, NULL, 0), CST_PINNED); // reader 3
    CHECK_OK(apply(machine, (csti_meta_command){.kind = CSTI_META_UNPIN, .reader = 3}));
    CHECK_OK(apply(machine, retire(1, &one, 1, NULL, 0)));
    CHECK_EQ(view_of(machine).pins_count, 0);
    csti_meta_machine_close(machine);
}

TEST(a_late_reader_is_told_even_after_its_checkpoint_is_gone) {
    csti_meta_machine *machine = with_checkpoints(2);
    const uint64_t one = 1;

    CHECK_OK(apply(machine, at_time(pin(7, 1, 100), 1000)));
    CHECK_OK(apply(machine, at_time(retire(1, &one, 1, NULL, 0), 2000)));
    CHECK_OK(apply(machine,
                   (csti_meta_command){.kind = CSTI_META_DELETED, .ids = &one, .ids_count = 1}));
    CHECK_REFUSED(machine, pin(7, 1, 100), CST_PIN_EXPIRED);
    csti_meta_machine_close(machine);
}

TEST(pins_are_bounded_and_expired_ones_make_room) {
    csti_meta_machine *machine = with_checkpoints(1);

    for (uint64_t reader = 1; reader <= CSTI_META_PINS_MAX; reader++)
        CHECK_OK(apply(machine, at_time(pin(reader, 1, reader == 9 ? 10 : 100), 1000)));
    CHECK_REFUSED(machine, pin(5000, 1, 100), CST_LIMIT);
    CHECK_OK(apply(machine, at_time(pin(5000, 1, 100), 1010)));
    CHECK_EQ(view_of(machine).pins_count, CSTI_META_PINS_MAX);
    CHECK_REFUSED(machine, pin(5001, 1, 100), CST_LIMIT);
    csti_meta_machine_close(machine);
}

// ---- Leases -------------------------------------------------------------------------------------

TEST(a_lease_has_one_holder_until_it_expires) {
    csti_meta_machine *machine = machine_make();

    CHECK_OK(apply(machine, at_time(lease("gc", 1, 100), 1000)));
    CHECK_EQ(last_result.token, 1);
    CHECK_REFUSED(machine, at_time(lease("gc", 2, 100), 1099), CST_LEASE);
    CHECK_OK(apply(machine, lease("fold", 2, 100))); // another lease
    CHECK_OK(apply(machine, at_time(lease("gc", 1, 100), 1099)));
    CHECK_EQ(last_result.token, 1);
    CHECK_OK(apply(machine, at_time(lease("gc", 1, 1), 1100))); // never shorter
    CHECK_REFUSED(machine, at_time(lease("gc", 2, 100), 1198), CST_LEASE);
    CHECK_OK(apply(machine, at_time(lease("gc", 2, 100), 1199)));
    CHECK_EQ(last_result.token, 2);
    CHECK_OK(apply(machine, at_time(lease("gc", 2, 100), 1300))); // its own, expired
    CHECK_EQ(last_result.token, 3);
    csti_meta_machine_close(machine);
}

TEST(a_lease_is_given_back_by_its_holder_only) {
    csti_meta_machine *machine = machine_make();
    csti_meta_command end = {.kind = CSTI_META_LEASE_END, .lease = "gc", .owner = 2, .token = 1};

    CHECK_REFUSED(machine, end, CST_LEASE);
    CHECK_OK(apply(machine, lease("gc", 1, 100)));
    CHECK_REFUSED(machine, end, CST_LEASE);
    end.owner = 1;
    end.token = 2;
    CHECK_REFUSED(machine, end, CST_LEASE);
    end.token = 1;
    CHECK_OK(apply(machine, end));
    CHECK_REFUSED(machine, end, CST_LEASE);
    CHECK_OK(apply(machine, lease("gc", 2, 100)));
    CHECK_EQ(last_result.token, 2);
    csti_meta_machine_close(machine);
}

TEST(a_raised_token_is_above_all_and_frees_the_lease) {
    csti_meta_machine *machine = machine_make();
    csti_meta_command raise = {.kind = CSTI_META_TOKEN_RAISE, .lease = "fold", .token = 40};

    CHECK_OK(apply(machine, raise));
    CHECK_EQ(last_result.token, 41);
    CHECK_OK(apply(machine, lease("fold", 1, 100)));
    CHECK_EQ(last_result.token, 42);
    raise.token = 0;
    CHECK_OK(apply(machine, raise));
    CHECK_EQ(last_result.token, 43);
    CHECK_OK(apply(machine, lease("fold", 2, 100)));
    CHECK_EQ(last_result.token, 44);
    csti_meta_machine_close(machine);
}

TEST(leases_are_bounded) {
    csti_meta_machine *machine = machine_make();
    char name[16];

    for (int i = 0; i < CSTI_META_LEASES_MAX; i++) {
        snprintf(name, sizeof name, "lease-%d", i);
        CHECK_OK(apply(machine, lease(name, 1, 100)));
    }
    CHECK_REFUSED(machine, lease("more", 1, 100), CST_LIMIT);
    CHECK_REFUSED(machine, ((csti_meta_command){.kind = CSTI_META_TOKEN_RAISE, .lease = "more"}),
                  CST_LIMIT);
    csti_meta_machine_close(machine);
}

// ---- Time ---------------------------------------------------------------------------------------

TEST(a_clock_set_back_ten_minutes_shortens_no_lease_and_no_pin) {
    const int64_t minute_us = 60000000;
    csti_meta_machine *machine = with_checkpoints(2);
    const uint64_t one = 1;

    CHECK_OK(apply(machine, at_time(lease("gc", 1, (uint64_t)minute_us), 100 * minute_us)));
    CHECK_OK(apply(machine, at_time(pin(7, 1, (uint64_t)minute_us), 90 * minute_us)));
    CHECK_EQ(view_of(machine).now_us, 100 * minute_us);
    CHECK_EQ(view_of(machine).pins[0].expires_us, 101 * minute_us);
    CHECK_REFUSED(machine, at_time(lease("gc", 2, 1), 90 * minute_us + 1), CST_LEASE);
    CHECK_REFUSED(machine, at_time(retire(1, &one, 1, NULL, 0), 92 * minute_us), CST_PINNED);
    CHECK_OK(apply(machine, at_time(lease("gc", 2, 1), 101 * minute_us)));
    CHECK_OK(apply(machine, at_time(retire(1, &one, 1, NULL, 0), 91 * minute_us)));
    csti_meta_machine_close(machine);
}

TEST(a_clock_set_forward_ten_minutes_ends_a_lease_and_its_token_with_it) {
    const int64_t minute_us = 60000000;
    csti_meta_machine *machine = machine_make();

    CHECK_OK(apply(machine, at_time(lease("fold", 1, (uint64_t)minute_us), 100 * minute_us)));
    CHECK_OK(apply(machine, at_time(lease("fold", 2, (uint64_t)minute_us), 110 * minute_us)));
    CHECK_EQ(last_result.token, 2);
    CHECK_REFUSED(machine, at_time(full("folds/a", 9, 1), 100 * minute_us), CST_LEASE);
    CHECK_OK(apply(machine, at_time(full("folds/a", 9, 2), 100 * minute_us)));
    csti_meta_machine_close(machine);
}

TEST(time_at_its_end_overflows_nothing) {
    csti_meta_machine *machine = with_checkpoints(1);

    CHECK_OK(apply(machine, at_time(lease("gc", 1, CSTI_META_TTL_US_MAX), INT64_MAX - 5)));
    CHECK_EQ(view_of(machine).leases[0].expires_us, INT64_MAX);
    CHECK_OK(apply(machine, at_time(pin(7, 1, CSTI_META_TTL_US_MAX), INT64_MIN)));
    CHECK_EQ(view_of(machine).pins[0].expires_us, INT64_MAX);
    csti_meta_machine_close(machine);
}

// ---- Rules of commands, results -----------------------------------------------------------------

TEST(a_command_that_breaks_its_own_rules_is_refused) {
    csti_meta_machine *machine = with_checkpoints(1);
    csti_meta_command command = claim(OWNER);
    const char *const bad_name[] = {"a\nb"};

    command.reader = 1;
    CHECK_REFUSED(machine, command, CST_USAGE);
    command = claim(0);
    CHECK_REFUSED(machine, command, CST_USAGE);
    command = claim(OWNER);
    command.name = "";
    CHECK_REFUSED(machine, command, CST_USAGE);
    command.tenure = (uint64_t)INT64_MAX + 1;
    command.name = "clicks";
    CHECK_REFUSED(machine, command, CST_USAGE);
    command = claim(OWNER);
    command.kind = (csti_meta_kind)14;
    CHECK_REFUSED(machine, command, CST_USAGE);
    CHECK_REFUSED(machine, commit(1, 0, 0), CST_USAGE);
    CHECK_REFUSED(machine, pin(0, 1, 100), CST_USAGE);
    CHECK_REFUSED(machine, pin(1, 1, 0), CST_USAGE);
    CHECK_REFUSED(machine, pin(1, 1, CSTI_META_TTL_US_MAX + 1), CST_USAGE);
    CHECK_REFUSED(machine, retire(1, NULL, 0, bad_name, 1), CST_USAGE);
    csti_meta_machine_close(machine);
}

TEST(the_last_256_results_are_known_by_their_request) {
    csti_meta_machine *machine = machine_make();
    csti_meta_machine *copy;
    csti_meta_command command = {.kind = CSTI_META_UNPIN, .reader = 1};
    csti_meta_result result;

    for (uint64_t i = 1; i <= CSTI_META_RECENT_MAX + 10; i++) {
        command.request_id = 1000 + i;
        CHECK_OK(apply(machine, command));
    }
    command = lease("gc", 4, 100);
    command.request_id = 7;
    CHECK_OK(apply(machine, command));
    command = lease("gc", 5, 100);
    command.request_id = 8;
    CHECK_CODE(apply(machine, command), CST_LEASE);
    copy = copy_of(machine);
    CHECK(csti_meta_machine_recent(copy, 7, &result));
    CHECK_EQ(result.token, 1);
    CHECK_EQ(result.index, CSTI_META_RECENT_MAX + 11);
    CHECK_EQ(result.code, CST_OK);
    CHECK(csti_meta_machine_recent(copy, 8, &result));
    CHECK_EQ(result.code, CST_LEASE);
    CHECK(csti_meta_machine_recent(copy, 1013, &result));
    CHECK(!csti_meta_machine_recent(copy, 1012, &result));
    csti_meta_machine_close(copy);
    csti_meta_machine_close(machine);
}

TEST_MAIN
