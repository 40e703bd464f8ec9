// The queue's promises, the same for an inline executor and one with a worker thread.
#include "fixture.h"

static const char *const uris[] = {"cpu:", "cpu:?worker=1", "cpu:scalar",
                                   "fault:cpu:", "fault:cpu:?worker=1" FIXTURE_SIM};
enum { URIS_COUNT = sizeof uris / sizeof *uris };
#define FOR_EACH_DEVICE(F)                                                                         \
    for (size_t uri = 0; uri < URIS_COUNT; uri++)                                                  \
        for (fixture F, *once = (fixture_open(&F, uris[uri]), &F); once;                           \
             fixture_close(&F), once = NULL)

// A batch too large for one segment: it stops at its first row without a place.
static cst_completion stop_queue(fixture *f, fixture_rows *rows) {
    const cst_command apply = fixture_apply(f, rows);

    fixture_submit(f, &apply);
    return fixture_next(f);
}

static void grow(fixture *f, uint64_t hash) {
    const cst_command command = {.ops = CST_OP_GROW,
                                 .fixup = true,
                                 .table = f->table,
                                 .grow_hash = hash};
    cst_completion done;

    for (int step = 0; step < 1000; step++) {
        fixture_submit(f, &command);
        done = fixture_next(f);
        if (done.code == CST_TABLE_NOT_READY)
            CHECK_OK(cst_device_table_prepare(f->table, NULL));
        else if (done.code != CST_AGAIN)
            break;
    }
    CHECK_CODE(done.code, CST_OK);
    CHECK(!done.stopped);
}

TEST(rows_are_applied_and_looked_up) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(100, 1000);
        cst_command command = fixture_apply(&f, rows);
        uint64_t values[100][3];
        uint8_t found[100];

        rows->keys[99] = 1000; // the first key again
        CHECK_EQ(fixture_run(&f, &command).rows_done, 100);
        rows->keys[50] = 7; // absent
        command.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_LOOKUP;
        command.values_out = (uint8_t *)values;
        command.values_stride = sizeof values[0];
        command.found_out = found;
        CHECK_EQ(fixture_run(&f, &command).count, 99);
        CHECK_EQ(found[0], 1);
        CHECK_EQ(values[0][0], 2);
        CHECK_EQ(values[0][1], 2);
        CHECK_EQ(values[1][0], 1);
        CHECK_EQ(found[50], 0);
        free(rows);
    }
}

TEST(completions_come_in_order_with_ticket_and_tag) {
    FOR_EACH_DEVICE(f) {
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f.table, .tag = 77};

        for (uint64_t i = 1; i <= FIXTURE_DEPTH; i++) {
            uint64_t ticket = 0;
            CHECK_OK(cst_queue_submit(f.queue, &barrier, &ticket, NULL));
            CHECK_EQ(ticket, i);
        }
        for (uint64_t i = 1; i <= FIXTURE_DEPTH; i++) {
            const cst_completion done = fixture_next(&f);
            CHECK_EQ(done.ticket, i);
            CHECK_EQ(done.tag, 77);
            CHECK_EQ(done.delta.epoch, i);
        }
        CHECK_CODE(cst_queue_wait(f.queue, 0), CST_NOT_FOUND);
    }
}

#ifdef CST_HAS_SIM
static uint64_t clocks_of(const fixture *f) {
    cst_simulation simulation;

    cst_device_simulation(f->device, &simulation);
    return simulation.clocks;
}

// Cycles, not time: the card goes on with what is in its ring.
TEST(a_card_takes_fewer_clocks_for_commands_in_flight) {
    fixture_rows *rows = fixture_rows_make(100, 1000);
    fixture f;
    cst_command command;
    uint64_t alone, before;

    fixture_open(&f, "sim:");
    command = fixture_apply(&f, rows);
    (void)fixture_run(&f, &command); // opens the card, loads the table
    before = clocks_of(&f);
    for (int i = 0; i < FIXTURE_DEPTH; i++) (void)fixture_run(&f, &command);
    alone = clocks_of(&f) - before;
    before = clocks_of(&f);
    for (int i = 0; i < FIXTURE_DEPTH; i++) fixture_submit(&f, &command);
    for (int i = 0; i < FIXTURE_DEPTH; i++) {
        const cst_completion done = fixture_next(&f);

        CHECK_OK(done.code);
        CHECK_EQ(done.rows_done, 100);
    }
    CHECK(2 * (clocks_of(&f) - before) < alone);
    free(rows);
    fixture_close(&f);
}

static uint64_t clocks_of_run(fixture *f, const cst_command *command) {
    const uint64_t before = clocks_of(f);

    (void)fixture_run(f, command);
    return clocks_of(f) - before;
}

// Whoever gets the image may change it, so that the card loads it again; a view is for looking.
TEST(a_view_of_a_table_costs_a_card_nothing) {
    fixture_rows *rows = fixture_rows_make(100, 1000);
    fixture f;
    cst_command command;
    cst_table_stats stats;
    uint64_t unseen;

    fixture_open(&f, "sim:");
    command = fixture_apply(&f, rows);
    (void)fixture_run(&f, &command);
    unseen = clocks_of_run(&f, &command);
    cst_table_stats_read(cst_device_table_view(f.table), &stats);
    CHECK_EQ(stats.rows_count, 100);
    CHECK(clocks_of_run(&f, &command) < unseen + unseen / 2);
    (void)cst_device_table_image(f.table);
    CHECK(clocks_of_run(&f, &command) > 2 * unseen);
    free(rows);
    fixture_close(&f);
}

// Columns and hash key stay loaded from one command for keys alone to the next.
TEST(keys_of_one_schema_are_loaded_into_a_card_once) {
    fixture_rows *rows = fixture_rows_make(100, 1000);
    fixture f;
    cst_command command;
    uint64_t first;

    fixture_open(&f, "sim:");
    command = fixture_apply(&f, rows);
    command.ops = CST_OP_ENCODE | CST_OP_HASH;
    command.hashes_out = rows->hashes;
    command.keys_out = &(cst_keys){.bytes = malloc(100 * 8), .bytes_capacity = 100 * 8};
    (void)fixture_run(&f, &command);
    first = rows->hashes[99];
    rows->keys[99] = 7;
    const uint64_t again = clocks_of_run(&f, &command);
    CHECK(rows->hashes[99] != first);
    command.table = NULL;
    command.hash_key = (cst_hash_key){3, 4}; // another one
    CHECK(clocks_of_run(&f, &command) > again + again / 4);
    CHECK(rows->hashes[0] != first);
    free(command.keys_out->bytes);
    free(rows);
    fixture_close(&f);
}
#endif

TEST(tables_of_a_queue_take_turns_in_flight) {
    FOR_EACH_DEVICE(f) {
        const cst_table_options options = fixture_options();
        fixture_rows *rows[2] = {fixture_rows_make(100, 1000), fixture_rows_make(100, 5000)};
        fixture tables[2] = {f, f};
        uint64_t value[3];

        CHECK_OK(cst_device_table_open(f.queue, &options, &f.keys, &tables[1].table, NULL));
        const cst_command applies[2] = {fixture_apply(&tables[0], rows[0]),
                                        fixture_apply(&tables[1], rows[1])};
        for (int i = 0; i < FIXTURE_DEPTH; i++) fixture_submit(&f, &applies[i % 2]);
        for (int i = 0; i < FIXTURE_DEPTH; i++) CHECK_CODE(fixture_next(&f).code, CST_OK);
        for (int t = 0; t < 2; t++) {
            for (uint64_t r = 0; r < 100; r++) {
                CHECK(fixture_get(&tables[t], rows[t]->keys[r], value));
                CHECK_EQ(value[0], FIXTURE_DEPTH / 2);
            }
            CHECK(!fixture_get(&tables[t], rows[1 - t]->keys[0], value));
        }
        for (int t = 0; t < 2; t++) free(rows[t]);
        cst_device_table_close(tables[1].table);
    }
}

TEST(a_full_queue_says_again) {
    FOR_EACH_DEVICE(f) {
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f.table};

        for (int i = 0; i < FIXTURE_DEPTH; i++) fixture_submit(&f, &barrier);
        CHECK_CODE(cst_queue_submit(f.queue, &barrier, NULL, NULL), CST_AGAIN);
        CHECK_EQ(cst_queue_in_flight(f.queue), FIXTURE_DEPTH);
        (void)fixture_next(&f);
        fixture_submit(&f, &barrier);
        CHECK_CODE(cst_queue_submit(f.queue, &barrier, NULL, NULL), CST_AGAIN);
        for (int i = 0; i < FIXTURE_DEPTH; i++) (void)fixture_next(&f);
        CHECK_EQ(cst_queue_in_flight(f.queue), 0);
    }
}

TEST(a_row_without_a_place_stops_the_queue) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(4000, 0);
        const cst_completion stop = stop_queue(&f, rows);
        uint64_t value[3];

        CHECK_CODE(stop.code, CST_TABLE_FULL);
        CHECK(stop.stopped);
        CHECK(stop.rows_done > 0 && stop.rows_done < 4000);
        // Everything before the row is there, nothing of it or after it.
        CHECK(fixture_get(&f, stop.rows_done - 1, value));
        CHECK_EQ(value[0], 1);
        CHECK(!fixture_get(&f, stop.rows_done, value));
        CHECK(!fixture_get(&f, 3999, value));
        free(rows);
    }
}

TEST(everything_behind_a_stop_is_aborted_barriers_too) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(4000, 0);
        fixture_rows *later = fixture_rows_make(10, 100000);
        const cst_command apply = fixture_apply(&f, rows);
        const cst_command apply_later = fixture_apply(&f, later);
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f.table};
        cst_table_stats stats;
        uint64_t value[3];

        fixture_submit(&f, &apply);
        fixture_submit(&f, &apply_later);
        fixture_submit(&f, &barrier);
        CHECK_CODE(fixture_next(&f).code, CST_TABLE_FULL);
        CHECK_CODE(fixture_next(&f).code, CST_ABORTED);
        CHECK_CODE(fixture_next(&f).code, CST_ABORTED);
        // Submitted after the stop was seen, before the resume: the same.
        fixture_submit(&f, &barrier);
        CHECK_CODE(fixture_next(&f).code, CST_ABORTED);
        CHECK(!fixture_get(&f, 100000, value));
        cst_table_stats_read(cst_device_table_image(f.table), &stats);
        CHECK_EQ(stats.epoch, 1);
        free(rows);
        free(later);
    }
}

TEST(resume_runs_what_comes_behind_it_only) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(4000, 0);
        fixture_rows *later = fixture_rows_make(1, 0);
        cst_command apply = fixture_apply(&f, rows);
        const cst_command apply_later = fixture_apply(&f, later);
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f.table};
        uint64_t value[3];

        CHECK_CODE(cst_queue_resume(f.queue, NULL), CST_USAGE); // nothing stopped
        fixture_submit(&f, &apply);
        fixture_submit(&f, &apply_later);
        CHECK_CODE(fixture_next(&f).code, CST_TABLE_FULL);
        // The aborted one is still in flight: resumed or not, it must not run.
        CHECK_OK(cst_queue_resume(f.queue, NULL));
        CHECK_CODE(cst_queue_resume(f.queue, NULL), CST_USAGE);
        fixture_submit(&f, &barrier);
        CHECK_CODE(fixture_next(&f).code, CST_ABORTED);
        CHECK_EQ(fixture_next(&f).delta.epoch, 1);
        CHECK(fixture_get(&f, 0, value));
        CHECK_EQ(value[0], 1);
        fixture_submit(&f, &apply_later);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        CHECK(fixture_get(&f, 0, value));
        CHECK_EQ(value[0], 2);
        free(rows);
        free(later);
    }
}

TEST(grow_as_a_fixup_and_the_rest_first) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(4000, 0);
        cst_command apply = fixture_apply(&f, rows);
        int stops_count = 0;
        cst_completion done;
        cst_table_stats stats;

        for (;;) {
            fixture_submit(&f, &apply);
            done = fixture_next(&f);
            if (done.code == CST_OK) break;
            stops_count++;
            if (done.code == CST_TABLE_NOT_READY)
                CHECK_OK(cst_device_table_prepare(f.table, NULL));
            else
                grow(&f, done.hash);
            CHECK_OK(cst_queue_resume(f.queue, NULL));
            apply.rows.first_row = done.rows_done;
        }
        CHECK(stops_count > 3);
        CHECK_EQ(done.rows_done, 4000);
        cst_table_stats_read(cst_device_table_image(f.table), &stats);
        CHECK_EQ(stats.rows_count, 4000);
        for (uint64_t key = 0; key < 4000; key++) {
            uint64_t value[3];
            CHECK(fixture_get(&f, key, value));
            CHECK_EQ(value[0], 1);
        }
        free(rows);
    }
}

TEST(fixups_never_stop_a_queue) {
    FOR_EACH_DEVICE(f) {
        const cst_command release = {.ops = CST_OP_RELEASE,
                                     .fixup = true,
                                     .table = f.table,
                                     .release = {.epoch = 99}};
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f.table};
        cst_command plain = release;
        cst_completion done;

        fixture_submit(&f, &release);
        fixture_submit(&f, &barrier);
        done = fixture_next(&f);
        CHECK_CODE(done.code, CST_EPOCH);
        CHECK(!done.stopped);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        // The same without the mark does.
        plain.fixup = false;
        fixture_submit(&f, &plain);
        fixture_submit(&f, &barrier);
        CHECK(fixture_next(&f).stopped);
        CHECK_CODE(fixture_next(&f).code, CST_ABORTED);
    }
}

TEST(an_overflow_names_its_row) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(10, 5);
        const cst_command apply = fixture_apply(&f, rows);
        cst_completion done;
        uint64_t value[3];

        rows->keys[3] = rows->keys[7] = 5;
        rows->amounts[7] = UINT64_MAX;
        fixture_submit(&f, &apply);
        done = fixture_next(&f);
        CHECK_CODE(done.code, CST_SUM_OVERFLOW);
        CHECK_EQ(done.rows_done, 7);
        CHECK(fixture_get(&f, 5, value));
        CHECK_EQ(value[1], 2);
        free(rows);
    }
}

TEST(delta_holds_an_epochs_records_until_its_release) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(3, 1);
        const cst_command apply = fixture_apply(&f, rows);
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f.table};
        cst_command release = {.ops = CST_OP_RELEASE, .table = f.table};
        cst_delta delta;
        cst_bytes ranges[4];
        size_t ranges_count = 0;

        (void)fixture_run(&f, &apply);
        delta = fixture_run(&f, &barrier).delta;
        CHECK_EQ(delta.epoch, 1);
        CHECK_EQ(delta.to - delta.from, 3 * 64); // 16 + 8 + 24, as a record of 64
        cst_table_delta_ranges(cst_device_table_image(f.table), &delta, ranges, 4, &ranges_count);
        CHECK_EQ(ranges_count, 1);
        release.release = delta;
        (void)fixture_run(&f, &release);
        free(rows);
    }
}

TEST(scan_gives_what_restore_takes) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(3000, 40);
        const cst_command apply = fixture_apply(&f, rows);
        cst_scan scan = {0};
        uint8_t *records = aligned_alloc(64, 64 * 1000); // less than all rows
        cst_command command = {.ops = CST_OP_SCAN,
                               .table = f.table,
                               .scan = &scan,
                               .scan_out = records,
                               .scan_bytes = 64 * 1000};
        fixture copy;
        uint64_t rows_count = 0;
        cst_table_stats stats;

        CHECK(records);
        (void)fixture_run(&f, &apply);
        fixture_open(&copy, "cpu:");
        for (;;) {
            const cst_completion done = fixture_run(&f, &command);
            cst_command restore = {.ops = CST_OP_RESTORE,
                                   .table = copy.table,
                                   .restore = records,
                                   .restore_bytes = done.position};

            if (done.count == 0) break;
            rows_count += done.count;
            CHECK_EQ(done.position, done.count * 64);
            CHECK_EQ(fixture_run(&copy, &restore).position, done.position);
        }
        CHECK_EQ(rows_count, 3000);
        cst_table_stats_read(cst_device_table_image(copy.table), &stats);
        CHECK_EQ(stats.rows_count, 3000);
        for (uint64_t key = 40; key < 3040; key++) {
            uint64_t a[3];
            uint64_t b[3];
            CHECK(fixture_get(&f, key, a));
            CHECK(fixture_get(&copy, key, b));
            CHECK_BYTES(a, b, sizeof a);
        }
        command.scan_bytes = 63;
        scan = (cst_scan){0};
        fixture_submit(&f, &command);
        CHECK_CODE(fixture_next(&f).code, CST_LIMIT);
        fixture_close(&copy);
        free(records);
        free(rows);
    }
}

TEST(expire_says_how_many_and_where_it_stands) {
    for (size_t uri = 0; uri < URIS_COUNT; uri++) {
        cst_table_options options = fixture_options();
        fixture_rows *rows = fixture_rows_make(100, 0);
        fixture f;
        cst_command apply;
        cst_command expire;
        cst_completion done;

        options.program.ttl_us = 10;
        options.program.time_offset = 16;
        options.program.accumulators[2] = (cst_accumulator){CST_MAX, CST_I64, 16, 1, 0};
        fixture_open_options(&f, uris[uri], &options);
        apply = fixture_apply(&f, rows);
        const cst_source sources[2] = {rows->source, {rows->amounts, NULL, CST_TYPE_I64}};
        apply.rows.sources = sources;
        apply.rows.now_us = 5;
        (void)fixture_run(&f, &apply); // all times are 1
        expire = (cst_command){.ops = CST_OP_EXPIRE,
                               .table = f.table,
                               .rows = {.now_us = 10},
                               .expire_buckets_count = 32};
        done = fixture_run(&f, &expire);
        CHECK_EQ(done.count, 0);
        CHECK_EQ(done.rows_done, 32);
        expire.rows.now_us = 11;
        CHECK_EQ(fixture_run(&f, &expire).count, 100);
        fixture_close(&f);
        free(rows);
    }
}

TEST(what_can_never_run_is_refused_at_submit) {
    fixture f;
    fixture other;
    fixture_rows *rows = fixture_rows_make(4, 0);
    cst_schema wrong;
    cst_command good;
    cst_command c;

    fixture_open(&f, "cpu:");
    fixture_open(&other, "cpu:");
    good = fixture_apply(&f, rows);
    CHECK_OK(cst_schema_parse("i64", &wrong, NULL));

#define REFUSED(CODE, CHANGE)                                                                      \
    do {                                                                                           \
        c = good;                                                                                  \
        CHANGE;                                                                                    \
        CHECK_CODE(cst_queue_submit(f.queue, &c, NULL, NULL), CODE);                               \
        CHECK_EQ(cst_queue_in_flight(f.queue), 0);                                                 \
    } while (0)
    REFUSED(CST_USAGE, c.ops = 0);
    REFUSED(CST_USAGE, c.ops = CST_OP_ENCODE | CST_OP_APPLY);
    REFUSED(CST_USAGE, c.ops = CST_OP_APPLY | CST_OP_LOOKUP);
    REFUSED(CST_USAGE, c.ops = CST_OP_APPLY | CST_OP_BARRIER);
    REFUSED(CST_USAGE, c.ops = CST_OP_BARRIER | CST_OP_GROW);
    REFUSED(CST_USAGE, c.ops = 1u << CST_OPS_COUNT);
    REFUSED(CST_USAGE, c.fixup = true);
    REFUSED(CST_USAGE, c.table = NULL);
    REFUSED(CST_USAGE, c.table = other.table);
    REFUSED(CST_USAGE, c.batch = NULL);
    REFUSED(CST_USAGE, c.rows.rows_count = 3);
    REFUSED(CST_USAGE, c.rows.first_row = 5);
    REFUSED(CST_USAGE, c.rows.sources = NULL);
    REFUSED(CST_USAGE, c.ops = CST_OP_ENCODE);                                    // no keys_out
    REFUSED(CST_USAGE, c.ops = CST_OP_ENCODE | CST_OP_HASH);                      // no hashes_out
    REFUSED(CST_USAGE, c.ops = CST_OP_HASH | CST_OP_APPLY; c.rows.key_bytes = 8); // no keys
    REFUSED(CST_USAGE, c.ops = CST_OP_APPLY);                                     // no hashes
    REFUSED(CST_USAGE, c.ops |= CST_OP_LOOKUP; c.ops &= ~(uint32_t)CST_OP_APPLY);
    REFUSED(CST_USAGE, c.ops = CST_OP_SCAN);
    REFUSED(CST_USAGE, c.ops = CST_OP_RESTORE; c.restore_bytes = 64);
    REFUSED(CST_USAGE, c.ops = CST_OP_RESTORE; c.restore = (const uint8_t *)rows + 1);
    REFUSED(CST_UNSUPPORTED, c.ops = CST_OP_EXPIRE);
    rows->batch.schema = &wrong;
    REFUSED(CST_SCHEMA_MISMATCH, (void)0);
#undef REFUSED
    fixture_close(&f);
    fixture_close(&other);
    free(rows);
}

TEST(a_replacing_table_wants_values_unless_all_rows_are_deletes) {
    cst_table_options options = fixture_options();
    fixture_rows *rows = fixture_rows_make(2, 0);
    fixture f;
    cst_command command;

    options.program = (cst_program){.value_bytes = 16, .presence_offset = CST_NO_OFFSET};
    fixture_open_options(&f, "cpu:", &options);
    command = fixture_apply(&f, rows);
    command.rows.sources = NULL;
    rows->ops[0] = CST_ROW_DELETE;
    CHECK_CODE(cst_queue_submit(f.queue, &command, NULL, NULL), CST_USAGE);
    rows->ops[1] = CST_ROW_DELETE;
    CHECK_EQ(fixture_run(&f, &command).rows_done, 2);
    command.rows.values = (const uint8_t *)rows->amounts;
    command.rows.value_stride = 8;
    rows->ops[1] = CST_ROW_UPSERT;
    CHECK_CODE(cst_queue_submit(f.queue, &command, NULL, NULL), CST_USAGE);
    fixture_close(&f);
    free(rows);
}

TEST(a_tables_shape_is_checked_when_it_is_opened) {
    cst_table_options options = fixture_options();
    cst_device_table *table = NULL;
    cst_schema wide_key;
    fixture f;

    fixture_open(&f, "cpu:");
    options.key_bytes = CST_INLINE_KEY_BYTES_MAX + 1;
    CHECK_CODE(cst_device_table_open(f.queue, &options, &f.keys, &table, NULL), CST_KEY_TOO_LONG);
    options.key_bytes = 8;
    options.program.value_bytes = CST_INLINE_ENTRY_BYTES_MAX - 16 - 8 + 8;
    CHECK_CODE(cst_device_table_open(f.queue, &options, &f.keys, &table, NULL), CST_VALUE_TOO_LONG);
    options = fixture_options();
    CHECK_OK(cst_schema_parse("u64,u64", &wide_key, NULL));
    CHECK_CODE(cst_device_table_open(f.queue, &options, &wide_key, &table, NULL), CST_KEY_TOO_LONG);
    options.program.accumulators[1].source = CST_COLUMNS_MAX;
    CHECK_CODE(cst_device_table_open(f.queue, &options, &f.keys, &table, NULL), CST_LIMIT);
    CHECK(!table);
    fixture_close(&f);
}

TEST(reset_leaves_nothing_stopped) {
    FOR_EACH_DEVICE(f) {
        fixture_rows *rows = fixture_rows_make(4000, 0);
        const cst_command apply = fixture_apply(&f, rows);
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = f.table};
        cst_completion done[FIXTURE_DEPTH];

        fixture_submit(&f, &apply);
        fixture_submit(&f, &barrier);
        CHECK_OK(cst_device_reset(f.device, NULL));
        // Everything in flight has its completion now, without a wait.
        CHECK_EQ(cst_queue_poll(f.queue, done, FIXTURE_DEPTH), 2);
        fixture_submit(&f, &barrier);
        CHECK_CODE(fixture_next(&f).code, CST_OK);
        free(rows);
    }
}

TEST_MAIN
