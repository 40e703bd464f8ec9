#include "unit/stream/aligner_steps.h"

// ---- Inputs ----

TEST(0_and_129_inputs_are_refused) {
    csti_aligner *out = NULL;

    CHECK_CODE(csti_aligner_open(&(csti_aligner_options){.inputs_count = 0}, &out, NULL),
               CST_USAGE);
    CHECK_CODE(csti_aligner_open(&(csti_aligner_options){.inputs_count = 129}, &out, NULL),
               CST_USAGE);
    CHECK_CODE(csti_aligner_open(&(csti_aligner_options){.inputs_count = 1,
                                                         .messages_max =
                                                             CSTI_ALIGNER_MESSAGES_MAX + 1},
                                 &out, NULL),
               CST_LIMIT);
    CHECK(!out);
    csti_aligner_close(NULL);
}

// All but one input pass and go on; the last one passes; what was held comes in order of inputs.
static void check_alignment_of(uint32_t inputs_count, uint32_t last) {
    open_inputs(inputs_count);
    for (uint32_t i = 0; i < inputs_count; i++) {
        if (i == last) continue;
        rows(i, i);
        gives_rows(i, i);
        silent_barrier(i, 7);
        silent_rows(i, 1000 + i);
        silent_watermark(i, 50);
        silent_rows(i, 2000 + i);
        CHECK_EQ(stats().pending_id, 7);
        CHECK_EQ(stats().waits_for, i == 0 && inputs_count > 1 ? 1 : last < i ? last : i + 1);
    }
    CHECK_EQ(stats().held_rows, (inputs_count - 1) * 2);
    CHECK_EQ(stats().held_bytes, (inputs_count - 1) * 20);
    rows(last, 3000);
    gives_rows(last, 3000);
    now_ns += 40;
    barrier(last, 7);
    gives_barrier(7);
    for (uint32_t i = 0; i < inputs_count; i++) {
        if (i == last) continue;
        gives_rows(i, 1000 + i);
        gives_rows(i, 2000 + i);
    }
    gives_nothing();
    watermark(last, 40);
    gives_watermark(40);
    CHECK_EQ(stats().aligned, 1);
    CHECK_EQ(stats().align_ns, inputs_count == 1 ? 0 : 40);
    CHECK_EQ(stats().held_messages, 0);
    CHECK_EQ(stats().pending_id, 0);
}

TEST(1_64_65_127_and_128_inputs_align) {
    static const uint32_t counts[] = {1, 2, 64, 65, 127, 128};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        check_alignment_of(counts[i], counts[i] - 1);
        check_alignment_of(counts[i], 0);
        check_alignment_of(counts[i], counts[i] / 2);
    }
}

TEST(one_input_is_aligned_at_once) {
    open_inputs(1);
    rows(0, 1);
    gives_rows(0, 1);
    barrier(0, 7);
    gives_barrier(7);
    gives_nothing();
    rows(0, 2);
    gives_rows(0, 2);
    end(0);
    gives_end();
    gives_nothing();
}

TEST(held_messages_may_hold_the_next_barrier) {
    open_inputs(2);
    silent_barrier(0, 7);
    silent_rows(0, 1);
    silent_barrier(0, 8);
    silent_rows(0, 2);
    CHECK_EQ(stats().pending_id, 7);
    barrier(1, 7);
    gives_barrier(7);
    gives_rows(0, 1);
    gives_nothing();
    CHECK_EQ(stats().pending_id, 8);
    CHECK_EQ(stats().waits_for, 1);
    barrier(1, 8);
    gives_barrier(8);
    gives_rows(0, 2);
    gives_nothing();
    CHECK_EQ(stats().aligned, 2);
}

TEST(an_input_that_has_not_passed_is_wanted_while_the_pool_is_full) {
    open_aligner((csti_aligner_options){.inputs_count = 2, .messages_max = 3});
    barrier(0, 7);
    for (uint32_t i = 0; i < 3; i++) {
        gives_nothing();
        rows(0, i);
    }
    gives_nothing();
    CHECK(!csti_aligner_wants(aligner, 0));
    CHECK(csti_aligner_wants(aligner, 1));
    rows(1, 9);
    gives_rows(1, 9);
    barrier(1, 7);
    gives_barrier(7);
    for (uint32_t i = 0; i < 3; i++) gives_rows(0, i);
    CHECK(csti_aligner_wants(aligner, 0));
}

// ---- Watermarks ----

TEST(the_output_watermark_is_the_lowest_of_all_inputs) {
    open_inputs(3);
    silent_watermark(0, 10);
    silent_watermark(1, 20);
    watermark(2, 5);
    gives_watermark(5);
    watermark(2, 30);
    gives_watermark(10);
    watermark(0, 15);
    gives_watermark(15);
    silent_watermark(0, 12); // lower than before: not heard
    watermark(0, 25);
    gives_watermark(20);
    CHECK_EQ(stats().watermark_us, 20);
}

TEST(a_watermark_goes_on_while_its_input_has_not_passed) {
    open_inputs(2);
    silent_watermark(0, 10);
    watermark(1, 10);
    gives_watermark(10);
    silent_watermark(0, 30);
    silent_barrier(0, 7);
    watermark(1, 20);
    gives_watermark(20);
    watermark(1, 90);
    gives_watermark(30);
}

TEST(a_watermark_behind_held_rows_keeps_its_place) {
    open_inputs(2);
    silent_watermark(1, 100);
    watermark(0, 10);
    gives_watermark(10);
    silent_barrier(0, 7);
    silent_rows(0, 1);
    silent_watermark(0, 20);
    silent_rows(0, 2);
    silent_watermark(0, 30);
    barrier(1, 7);
    gives_barrier(7);
    gives_rows(0, 1);
    gives_watermark(20);
    gives_rows(0, 2);
    gives_watermark(30);
    gives_nothing();
}

TEST(a_watermark_never_fills_the_pool) {
    open_aligner((csti_aligner_options){.inputs_count = 2, .messages_max = 2});
    silent_watermark(1, 1 << 30);
    silent_barrier(0, 7);
    for (int64_t us = 0; us < 10000; us++) {
        silent_watermark(0, us);
    }
    CHECK_EQ(stats().held_messages, 1);
    barrier(1, 7);
    gives_barrier(7);
    gives_watermark(9999);
    gives_nothing();
}

TEST(idle_inputs_hold_no_watermark_back_until_their_next_rows) {
    open_inputs(3);
    silent_watermark(0, 10);
    idle(1);
    gives_nothing();
    idle(2);
    gives_watermark(10);
    watermark(0, 20);
    gives_watermark(20);
    silent_watermark(1, 15); // idle still
    rows(1, 1);
    gives_rows(1, 1);
    silent_watermark(0, 30);
    watermark(1, 25);
    gives_watermark(25);
    idle(1);
    gives_watermark(30);
    silent_watermark(1, 40);
    idle(0); // all of them: the highest that was said
    gives_watermark(40);
    silent_watermark(2, 35);
    watermark(2, 45);
    gives_watermark(45);
}

TEST(an_input_that_has_rows_for_others_is_idle_no_more) {
    open_inputs(2);
    silent_watermark(0, 10);
    idle(1);
    gives_watermark(10);
    live(1);
    gives_nothing();
    silent_watermark(0, 30);
    watermark(1, 25);
    gives_watermark(25);
}

TEST(an_idle_input_with_held_rows_is_not_idle) {
    open_inputs(2);
    silent_watermark(0, 10);
    watermark(1, 10);
    gives_watermark(10);
    idle(0);
    gives_nothing();
    silent_barrier(0, 7);
    watermark(1, 20);
    gives_watermark(20); // nothing is held yet
    silent_rows(0, 1);
    silent_watermark(1, 90); // without a barrier, rows 1 would hold it back
    idle(0);
    gives_nothing();
    barrier(1, 7);
    gives_barrier(7);
    gives_rows(0, 1);
    gives_watermark(90);
    gives_nothing();
}

TEST(an_end_holds_no_watermark_back_and_invents_none) {
    open_inputs(2);
    silent_watermark(1, 50);
    watermark(0, 10);
    gives_watermark(10);
    watermark(0, 60);
    gives_watermark(50);
    end(1);
    gives_watermark(60);
    end(0);
    gives_end();
    gives_nothing();
    CHECK_EQ(stats().watermark_us, 60);
    CHECK_EQ(stats().inputs_ended, 2);
}

// ---- Outcomes ----

TEST(a_newer_barrier_gives_the_older_up) {
    open_inputs(3);
    silent_barrier(0, 7);
    silent_rows(0, 1);
    silent_barrier(0, 8);
    silent_rows(0, 2);
    barrier(1, 8); // 7 never comes here
    gives_aborted(7, CST_CHECKPOINT_ORDER);
    gives_rows(0, 1);
    gives_nothing();
    CHECK_EQ(stats().pending_id, 8);
    CHECK_EQ(stats().waits_for, 2);
    silent_barrier(2, 7); // older
    rows(2, 3);           // and it has not passed 8 by that
    gives_rows(2, 3);
    barrier(2, 8);
    gives_barrier(8);
    gives_rows(0, 2);
    gives_nothing();
    CHECK_EQ(stats().superseded, 1);
    CHECK_EQ(stats().duplicates, 1);
    CHECK_EQ(stats().aligned, 1);
}

TEST(duplicate_and_older_barriers_are_ignored) {
    open_inputs(2);
    silent_barrier(0, 7);
    silent_barrier(0, 7);
    silent_barrier(0, 6);
    CHECK_EQ(stats().duplicates, 2);
    CHECK_EQ(stats().held_messages, 0);
    silent_barrier(1, 6);
    barrier(1, 7);
    gives_barrier(7);
    silent_barrier(0, 7);
    silent_barrier(1, 3);
    CHECK_EQ(stats().duplicates, 5);
    rows(0, 1);
    gives_rows(0, 1);
    CHECK_EQ(stats().aligned, 1);
}

TEST(an_abort_lets_what_is_held_go_on_in_order_of_inputs) {
    open_inputs(3);
    silent_barrier(2, 7);
    silent_rows(2, 1);
    silent_barrier(0, 7);
    silent_rows(0, 2);
    silent_rows(2, 3);
    csti_aligner_abort(aligner, 6);
    gives_nothing();
    csti_aligner_abort(aligner, 7);
    gives_aborted(7, CST_CHECKPOINT_ABORTED);
    gives_rows(0, 2);
    gives_rows(2, 1);
    gives_rows(2, 3);
    gives_nothing();
    csti_aligner_abort(aligner, 7); // once
    gives_nothing();
    silent_barrier(1, 7); // too late
    rows(1, 4);
    gives_rows(1, 4);
    CHECK_EQ(stats().aborted, 1);
    CHECK_EQ(stats().duplicates, 1);
}

TEST(a_barrier_that_was_aborted_before_it_came_is_ignored) {
    open_inputs(2);
    silent_barrier(0, 7);
    csti_aligner_abort(aligner, 9);
    csti_aligner_abort(aligner, 0);
    gives_nothing();
    barrier(1, 7);
    gives_barrier(7); // an older one goes on
    silent_barrier(0, 9);
    rows(0, 1);
    gives_rows(0, 1);
    CHECK_EQ(stats().pending_id, 0);
    silent_barrier(0, 10);
    CHECK_EQ(stats().pending_id, 10);
    silent_barrier(1, 9);
    barrier(1, 10);
    gives_barrier(10);
    CHECK_EQ(stats().duplicates, 2);
}

TEST(too_many_rows_held_give_the_alignment_up) {
    open_aligner((csti_aligner_options){.inputs_count = 2, .rows_max = 2});
    silent_barrier(1, 7);
    silent_rows(1, 1);
    silent_rows(1, 2);
    rows(1, 3);
    gives_aborted(7, CST_ALIGN_LIMIT);
    for (uint32_t i = 1; i <= 3; i++) gives_rows(1, i);
    gives_nothing();
    CHECK_EQ(stats().limit_reached, 1);
    silent_barrier(0, 7);
    silent_barrier(0, 8); // the next one has its chance
    barrier(1, 8);
    gives_barrier(8);
}

TEST(too_many_bytes_held_give_the_alignment_up) {
    open_aligner((csti_aligner_options){.inputs_count = 2, .bytes_max = 19});
    silent_barrier(0, 7);
    silent_rows(0, 1);
    rows(0, 2);
    gives_aborted(7, CST_ALIGN_LIMIT);
    gives_rows(0, 1);
    gives_rows(0, 2);
    gives_nothing();
    CHECK_EQ(stats().limit_reached, 1);
    CHECK_EQ(stats().held_bytes, 0);
}

TEST(an_alignment_that_takes_too_long_is_given_up) {
    open_aligner((csti_aligner_options){.inputs_count = 2, .time_max_ns = 100});
    silent_barrier(0, 7);
    rows(0, 1);
    now_ns += 100;
    gives_nothing();
    now_ns += 1;
    gives_aborted(7, CST_ALIGN_TIMEOUT);
    gives_rows(0, 1);
    gives_nothing();
    CHECK_EQ(stats().timed_out, 1);
    now_ns += 1000; // no alignment, no time
    gives_nothing();
    CHECK_EQ(stats().timed_out, 1);
}

TEST(an_input_that_ends_counts_as_passed) {
    open_inputs(3);
    silent_barrier(0, 7);
    silent_rows(0, 1);
    end(0); // behind its rows
    gives_nothing();
    silent_barrier(1, 7);
    CHECK_EQ(stats().inputs_ended, 0);
    end(2);
    gives_barrier(7);
    gives_rows(0, 1);
    gives_nothing();
    CHECK_EQ(stats().inputs_ended, 2);
    barrier(1, 8); // of those that live
    gives_barrier(8);
    end(1);
    gives_end();
    gives_nothing();
}

TEST(an_input_that_fails_in_mid_alignment_gives_it_up) {
    open_inputs(2);
    silent_watermark(0, 40);
    watermark(1, 30);
    gives_watermark(30);
    silent_barrier(0, 7);
    silent_rows(0, 1);
    fail(1, CST_SOURCE_RECORD);
    gives_aborted(7, CST_SOURCE_RECORD);
    gives_rows(0, 1); // held since before
    gives_failed(1, CST_SOURCE_RECORD);
    gives_nothing();
    barrier(0, 8); // would lack the failed input's rows
    gives_aborted(8, CST_SOURCE_RECORD);
    gives_nothing();
    watermark(0, 90);
    gives_nothing(); // the failed one still holds it back
    end(0);
    gives_nothing();
    CHECK_EQ(stats().inputs_failed, 1);
    CHECK_EQ(stats().given_up_for_failure, 2);
    CHECK_EQ(stats().aligned, 0);
}

TEST(a_failure_comes_behind_the_held_rows_of_its_input) {
    open_inputs(2);
    silent_barrier(0, 7);
    silent_rows(0, 1);
    silent_barrier(0, 8);
    silent_rows(0, 2);
    fail(0, CST_IO);
    gives_aborted(7, CST_IO);
    gives_rows(0, 1);
    gives_aborted(8, CST_IO);
    gives_rows(0, 2);
    gives_failed(0, CST_IO);
    gives_nothing();
}

// ---- Forced ----

static void gives_forced(uint64_t id) {
    const csti_aligned out = next();

    CHECK_EQ(out.kind, CSTI_ALIGNED_BARRIER);
    CHECK_EQ(out.barrier.id, id);
    CHECK_EQ(out.barrier.mode, CSTI_BARRIER_UNALIGNED);
}

TEST(a_forced_barrier_comes_at_once_and_what_was_held_follows) {
    open_inputs(3);
    silent_barrier(0, 7);
    silent_rows(0, 1);
    csti_aligner_force(aligner, 7, now_ns);
    gives_forced(7);
    gives_rows(0, 1);
    gives_nothing();
    CHECK_EQ(stats().flowed_id, 0);
    rows(1, 2);
    gives_rows(1, 2);
    silent_barrier(1, 7); // late: it means nothing
    CHECK_EQ(stats().flowed_id, 0);
    silent_barrier(2, 7);
    CHECK_EQ(stats().flowed_id, 7);
    CHECK_EQ(stats().forced, 1);
    silent_barrier(0, 8);
    silent_barrier(1, 8);
    barrier(2, 8);
    gives_barrier(8);
    CHECK_EQ(stats().flowed_id, 8);
}

TEST(a_barrier_is_forced_before_any_input_has_passed_it) {
    open_inputs(2);
    csti_aligner_force(aligner, 7, now_ns);
    gives_forced(7);
    gives_nothing();
    silent_barrier(0, 7);
    csti_aligner_force(aligner, 8, now_ns); // 7 was withdrawn from input 1
    gives_forced(8);
    silent_barrier(0, 8);
    CHECK_EQ(stats().flowed_id, 0);
    silent_barrier(1, 9); // and 8 too: what comes behind it says that the way is free
    CHECK_EQ(stats().flowed_id, 8);
    barrier(0, 9);
    gives_barrier(9);
    CHECK_EQ(stats().flowed_id, 9);
}

TEST(what_is_over_cannot_be_forced_and_what_is_newer_gives_the_older_up) {
    open_inputs(2);
    silent_barrier(0, 7);
    barrier(1, 7);
    gives_barrier(7);
    csti_aligner_force(aligner, 7, now_ns);
    gives_nothing();
    csti_aligner_abort(aligner, 8);
    csti_aligner_force(aligner, 8, now_ns);
    gives_nothing();
    silent_barrier(0, 9);
    csti_aligner_force(aligner, 10, now_ns);
    gives_aborted(9, CST_CHECKPOINT_ORDER);
    gives_forced(10);
    gives_nothing();
}

// Its taker was busy all the time: it has not called next.
TEST(of_several_that_are_given_up_in_between_the_last_is_named) {
    open_inputs(2);
    silent_barrier(0, 7);
    csti_aligner_abort(aligner, 7);
    csti_aligner_force(aligner, 8, now_ns);
    csti_aligner_abort(aligner, 8);
    gives_aborted(8, CST_CHECKPOINT_ABORTED);
    gives_nothing();
    CHECK_EQ(stats().aborted, 2);
    csti_aligner_force(aligner, 9, now_ns);
    csti_aligner_force(aligner, 10, now_ns);
    csti_aligner_force(aligner, 11, now_ns);
    gives_aborted(10, CST_CHECKPOINT_ORDER);
    gives_forced(11);
    gives_nothing();
    CHECK_EQ(stats().superseded, 2);
}

TEST(an_end_is_not_waited_for_behind_a_forced_barrier) {
    open_inputs(2);
    silent_barrier(0, 7);
    csti_aligner_force(aligner, 7, now_ns);
    gives_forced(7);
    end(1);
    gives_nothing();
    CHECK_EQ(stats().flowed_id, 7);
}

TEST_MAIN
