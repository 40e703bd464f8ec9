#include "unit/state/segments.h"

#include "state/sort.h"
#include "unit/state/model.h"

enum { CHAIN_MAX = 8 };

// A history: the same changes as a chain of segments and as two maps.
typedef struct history {
    bytes_sink bytes[CHAIN_MAX];
    cst_segment *segments[CHAIN_MAX];
    size_t count;
    model rows[2]; // by part
} history;

static void change_inline(history *past, bytes_sink *out, uint64_t keys) {
    const uint64_t key = test_random_below(keys);
    const uint64_t value = test_random();
    const uint64_t values[2] = {value, ~value};

    if (test_random_below(4) == 0) {
        inline_tombstone(out, key);
        model_delete(&past->rows[0], &key, 8);
    } else {
        inline_row(out, key, value);
        model_put(&past->rows[0], &key, 8, values, 16);
    }
    if (test_random_below(10) == 0) gap(out, 32 * (1 + test_random_below(3)));
}

static void change_wide(history *past, bytes_sink *out, uint64_t keys) {
    uint8_t key[40] = {0};
    uint8_t value[400];
    const uint64_t number = test_random_below(keys);
    const size_t key_bytes = 8 + number % 33;
    const size_t value_bytes = test_random_below(sizeof value);

    memcpy(key, &number, 8);
    for (size_t i = 0; i < value_bytes; i++) value[i] = (uint8_t)test_random();
    if (test_random_below(4) == 0) {
        wide_tombstone(out, key, key_bytes);
        model_delete(&past->rows[1], key, key_bytes);
    } else {
        wide_row(out, key, key_bytes, value, value_bytes, 32 * test_random_below(3));
        model_put(&past->rows[1], key, key_bytes, value, value_bytes);
    }
}

static history history_make(size_t segments_count, uint64_t changes, uint64_t keys) {
    history past = {.count = segments_count};
    uint32_t base_checksum = 0;

    for (size_t i = 0; i < segments_count; i++) {
        cst_segment_info info =
            test_info_two(i == 0 ? CST_SEGMENT_FULL_UNORDERED : CST_SEGMENT_DELTA, i + 1, i + 1);
        bytes_sink parts[2] = {{0}, {0}};

        info.base_checksum = base_checksum;
        for (uint64_t change = 0; change < changes; change++) {
            change_inline(&past, &parts[0], keys);
            if (change % 4 == 0) change_wide(&past, &parts[1], keys / 4 + 1);
        }
        base_checksum = write_parts(&past.bytes[i], &info, &parts[0], &parts[1]).checksum;
        past.segments[i] = open_or_die(&past.bytes[i]);
        sink_free(&parts[0]);
        sink_free(&parts[1]);
    }
    return past;
}

static void history_free(history *past) {
    for (size_t i = 0; i < past->count; i++) {
        cst_segment_close(past->segments[i]);
        sink_free(&past->bytes[i]);
    }
    model_free(&past->rows[0]);
    model_free(&past->rows[1]);
}

// The full holds exactly the models' rows.
static void check_full(const bytes_sink *full, const model *rows) {
    cst_segment *segment = open_or_die(full);
    cst_segment_cursor cursor = {0};
    cst_segment_row out[100];
    cst_segment_info info;
    size_t seen[2] = {0, 0};
    uint32_t count;

    CHECK_OK(cst_segment_verify(segment, &TEST_HASH_KEY, NULL));
    cst_segment_info_read(segment, &info);
    CHECK_EQ(info.kind, CST_SEGMENT_FULL_ORDERED);
    do {
        CHECK_OK(cst_segment_next(segment, &cursor, out, 100, &count, NULL));
        for (uint32_t i = 0; i < count; i++) {
            const cst_row_ref *row = &out[i].row;
            const model_row *wanted = model_get(&rows[out[i].part], row->key, row->key_bytes);

            CHECK(wanted);
            CHECK_EQ(row->value_bytes, wanted->value_bytes);
            CHECK_BYTES(row->value, wanted->value, wanted->value_bytes);
            seen[out[i].part]++;
        }
    } while (count > 0);
    CHECK_EQ(seen[0], rows[0].count);
    CHECK_EQ(seen[1], rows[1].count);
    cst_segment_close(segment);
}

TEST(a_fold_holds_the_newest_row_of_every_key) {
    history past = history_make(6, 3000, 2000);
    bytes_sink full = {0};
    cst_segment_summary summary;

    CHECK_OK(cst_segment_fold(past.segments, past.count, NULL, sink_write, &full, &summary, NULL));
    CHECK_EQ(summary.rows[0], past.rows[0].count);
    CHECK_EQ(summary.rows[1], past.rows[1].count);
    CHECK_EQ(summary.tombstones[0] + summary.tombstones[1], 0);
    check_full(&full, past.rows);
    sink_free(&full);
    history_free(&past);
}

TEST(folding_in_two_steps_gives_the_same_bytes) {
    history past = history_make(6, 5000, 3000);
    bytes_sink at_once = {0};
    bytes_sink first = {0};
    bytes_sink second = {0};
    cst_segment *chain[CHAIN_MAX];

    CHECK_OK(cst_segment_fold(past.segments, 6, NULL, sink_write, &at_once, NULL, NULL));
    CHECK_OK(cst_segment_fold(past.segments, 3, NULL, sink_write, &first, NULL, NULL));
    chain[0] = open_or_die(&first);
    for (int i = 3; i < 6; i++) chain[i - 2] = past.segments[i];
    CHECK_OK(cst_segment_fold(chain, 4, NULL, sink_write, &second, NULL, NULL));
    CHECK_EQ(at_once.count, second.count);
    CHECK_BYTES(at_once.bytes, second.bytes, at_once.count);
    check_full(&second, past.rows);
    cst_segment_close(chain[0]);
    sink_free(&at_once);
    sink_free(&first);
    sink_free(&second);
    history_free(&past);
}

TEST(folding_a_fold_changes_nothing) {
    history past = history_make(2, 500, 300);
    bytes_sink once = {0};
    bytes_sink twice = {0};
    cst_segment *full;

    CHECK_OK(cst_segment_fold(past.segments, 2, NULL, sink_write, &once, NULL, NULL));
    full = open_or_die(&once);
    CHECK_OK(cst_segment_fold(&full, 1, NULL, sink_write, &twice, NULL, NULL));
    CHECK_EQ(once.count, twice.count);
    CHECK_BYTES(once.bytes, twice.bytes, once.count);
    cst_segment_close(full);
    sink_free(&once);
    sink_free(&twice);
    history_free(&past);
}

TEST(little_memory_takes_more_passes_and_gives_the_same_bytes) {
    history past = history_make(4, 3000, 20000);
    bytes_sink rich = {0};
    bytes_sink poor = {0};
    cst_fold_options options = {0};
    cst_err err;

    CHECK_OK(cst_segment_fold(past.segments, 4, NULL, sink_write, &rich, NULL, NULL));
    // From a group a window and few windows a list, to one window that is all.
    for (options.memory_bytes = 4096; options.memory_bytes <= 4 << 20; options.memory_bytes *= 4) {
        poor.count = 0;
        CHECK_OK(cst_segment_fold(past.segments, 4, &options, sink_write, &poor, NULL, NULL));
        CHECK_EQ(rich.count, poor.count);
        CHECK_BYTES(rich.bytes, poor.bytes, rich.count);
    }
    options.memory_bytes = 64;
    poor.count = 0;
    CHECK_CODE(cst_segment_fold(past.segments, 4, &options, sink_write, &poor, NULL, &err),
               CST_LIMIT);
    CHECK(strstr(err.text, "memory_bytes 64"));
    CHECK_EQ(poor.count, 0);
    sink_free(&rich);
    sink_free(&poor);
    history_free(&past);
}

TEST(keys_of_one_hash_stay_apart_and_in_order) {
    const cst_segment_info info = test_info(CST_SEGMENT_FULL_UNORDERED, 1, 1);
    bytes_sink rows = {0};
    bytes_sink chain = {0};
    bytes_sink full = {0};
    cst_segment *segment;
    cst_segment_cursor cursor = {0};
    cst_segment_row out[64];
    uint32_t count;

    // 40 keys of one hash, three versions of each, in an order of no meaning.
    for (uint64_t version = 0; version < 3; version++)
        for (uint8_t i = 0; i < 40; i++) {
            const uint8_t key[2] = {(uint8_t)(i * 7 % 40), 0};
            const uint64_t values[2] = {version, key[0]};

            inline_row_hashed(&rows, 77, key, (uint16_t)(1 + key[0] % 2), values);
        }
    write_parts(&chain, &info, &rows, NULL);
    segment = open_or_die(&chain);
    CHECK_OK(cst_segment_fold(&segment, 1, NULL, sink_write, &full, NULL, NULL));
    cst_segment_close(segment);
    segment = open_or_die(&full);
    CHECK_OK(cst_segment_verify(segment, NULL, NULL));
    CHECK_OK(cst_segment_next(segment, &cursor, out, 64, &count, NULL));
    CHECK_EQ(count, 40);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(out[i].row.key[0], i);
        CHECK_EQ(load64(out[i].row.value), 2);
        CHECK_EQ(load64(out[i].row.value + 8), i);
    }
    cst_segment_close(segment);
    sink_free(&rows);
    sink_free(&chain);
    sink_free(&full);
}

static void pair_close(cst_segment *chain[2], bytes_sink bytes[2]) {
    for (int i = 0; i < 2; i++) {
        cst_segment_close(chain[i]);
        sink_free(&bytes[i]);
    }
}

// The full has keys 0 to 39 at version 0, the delta the even ones and ten new ones at version 1.
TEST(keys_of_one_hash_are_merged_with_those_of_the_full) {
    const cst_segment_info info = test_info(CST_SEGMENT_FULL_UNORDERED, 1, 1);
    cst_segment_info later = test_info(CST_SEGMENT_DELTA, 2, 2);
    bytes_sink rows = {0}, changes = {0}, folded = {0}, again = {0};
    bytes_sink bytes[2] = {{0}, {0}};
    cst_segment *chain[2];
    cst_segment *full;
    cst_segment_cursor cursor = {0};
    cst_segment_row out[64];
    uint32_t count;

    for (uint8_t i = 0; i < 50; i++) {
        const uint8_t key[2] = {i, 0};
        const uint64_t values[2][2] = {{0, i}, {1, i}};

        if (i < 40) inline_row_hashed(&rows, 77, key, 2, values[0]);
        if (i % 2 == 0 || i >= 40) inline_row_hashed(&changes, 77, key, 2, values[1]);
    }
    later.base_checksum = write_parts(&bytes[0], &info, &rows, NULL).checksum;
    write_parts(&bytes[1], &later, &changes, NULL);
    for (int i = 0; i < 2; i++) chain[i] = open_or_die(&bytes[i]);
    CHECK_OK(cst_segment_fold(chain, 1, NULL, sink_write, &folded, NULL, NULL));
    cst_segment_close(chain[0]);
    chain[0] = open_or_die(&folded);
    CHECK_OK(cst_segment_fold(chain, 2, NULL, sink_write, &again, NULL, NULL));
    full = open_or_die(&again);
    CHECK_OK(cst_segment_verify(full, NULL, NULL));
    CHECK_OK(cst_segment_next(full, &cursor, out, 64, &count, NULL));
    CHECK_EQ(count, 50);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(out[i].row.key[0], i);
        CHECK_EQ(load64(out[i].row.value), i % 2 == 0 || i >= 40);
    }
    cst_segment_close(full);
    pair_close(chain, bytes);
    sink_free(&rows);
    sink_free(&changes);
    sink_free(&folded);
    sink_free(&again);
}

TEST(one_unreadable_record_aborts_a_fold_with_nothing_written) {
    history past = history_make(3, 4000, 3000);
    bytes_sink out = {0};
    cst_err err;

    past.bytes[1].bytes[128 + 3 * 65536 + 5] ^= 4;
    CHECK_CODE(cst_segment_fold(past.segments, 3, NULL, sink_write, &out, NULL, &err),
               CST_SEGMENT_CHECKSUM);
    CHECK(strstr(err.text, "block 3"));
    CHECK_EQ(out.calls, 0);
    sink_free(&out);
    history_free(&past);
}

TEST(a_malformed_record_behind_right_checksums_aborts_a_fold_too) {
    history past = history_make(1, 4000, 3000);
    bytes_sink damaged = sink_copy(&past.bytes[0]);
    bytes_sink out = {0};
    cst_segment *segment;
    cst_err err;

    CHECK(damaged.bytes);
    damaged.bytes[128 + 15] = 0; // neither row nor tombstone nor gap
    segment_fix(damaged.bytes, damaged.count);
    segment = open_or_die(&damaged);
    CHECK_CODE(cst_segment_fold(&segment, 1, NULL, sink_write, &out, NULL, &err),
               CST_SEGMENT_RECORD);
    CHECK(strstr(err.text, "offset 128"));
    CHECK_EQ(out.calls, 0);
    cst_segment_close(segment);
    sink_free(&damaged);
    sink_free(&out);
    history_free(&past);
}

TEST(an_ordered_full_that_lies_about_its_groups_aborts_a_fold) {
    history past = history_make(1, 50, 3000);
    bytes_sink full = {0};
    bytes_sink out = {0};
    cst_segment *segment;
    uint8_t *groups;

    CHECK_OK(cst_segment_fold(past.segments, 1, NULL, sink_write, &full, NULL, NULL));
    groups = full.bytes + full.count - 128 - 8 - 2 * 4097 * 8;
    memset(groups, 0, 4096 * 8);
    segment_fix(full.bytes, full.count);
    segment = open_or_die(&full);
    CHECK_CODE(cst_segment_fold(&segment, 1, NULL, sink_write, &out, NULL, NULL),
               CST_SEGMENT_RECORD);
    CHECK_EQ(out.calls, 0);
    cst_segment_close(segment);
    sink_free(&full);
    sink_free(&out);
    history_free(&past);
}

TEST(a_later_delta_stands_on_the_fold) {
    history past = history_make(3, 100, 80);
    bytes_sink full = {0};
    cst_segment *chain[2];

    CHECK_OK(cst_segment_fold(past.segments, 2, NULL, sink_write, &full, NULL, NULL));
    chain[0] = open_or_die(&full);
    chain[1] = past.segments[2];
    CHECK_OK(cst_segment_chain_check(chain, 2, NULL));
    CHECK_CODE(cst_segment_chain_check((cst_segment *[]){chain[0], past.segments[1]}, 2, NULL),
               CST_SEGMENT_BASE);
    cst_segment_close(chain[0]);
    sink_free(&full);
    history_free(&past);
}

TEST(parts_that_come_late_in_a_chain_are_folded) {
    const cst_segment_info first = test_info(CST_SEGMENT_FULL_UNORDERED, 1, 1);
    cst_segment_info second = test_info_two(CST_SEGMENT_DELTA, 2, 2);
    bytes_sink rows = {0};
    bytes_sink wides = {0};
    bytes_sink bytes[2] = {{0}, {0}};
    bytes_sink full = {0};
    cst_segment *chain[2];
    cst_segment_summary summary;

    inline_row(&rows, 1, 1);
    wide_row(&wides, "w", 1, "x", 1, 0);
    second.base_checksum = write_parts(&bytes[0], &first, &rows, NULL).checksum;
    write_parts(&bytes[1], &second, NULL, &wides);
    for (int i = 0; i < 2; i++) chain[i] = open_or_die(&bytes[i]);
    CHECK_OK(cst_segment_fold(chain, 2, NULL, sink_write, &full, &summary, NULL));
    CHECK_EQ(summary.rows[0], 1);
    CHECK_EQ(summary.rows[1], 1);
    pair_close(chain, bytes);
    sink_free(&rows);
    sink_free(&wides);
    sink_free(&full);
}

TEST(a_broken_chain_is_not_folded) {
    history past = history_make(3, 10, 10);
    bytes_sink out = {0};

    CHECK_CODE(cst_segment_fold(past.segments + 1, 2, NULL, sink_write, &out, NULL, NULL),
               CST_SEGMENT_BASE);
    CHECK_CODE(cst_segment_fold(past.segments, 0, NULL, sink_write, &out, NULL, NULL), CST_USAGE);
    history_free(&past);
}

TEST(a_sink_that_fails_at_any_write_ends_the_fold) {
    history past = history_make(2, 20000, 40000);
    uint64_t fail_at = 1;
    cst_code code = CST_IO;

    for (; code == CST_IO; fail_at++) {
        bytes_sink out = {.fail_at = fail_at};

        code = cst_segment_fold(past.segments, 2, NULL, sink_write, &out, NULL, NULL);
        sink_free(&out);
    }
    CHECK_OK(code);
    CHECK(fail_at > 7);
    history_free(&past);
}

typedef struct step_count {
    uint64_t calls, fail_at;
} step_count;

static cst_code step_call(void *context, cst_err *err) {
    step_count *steps = context;

    if (++steps->calls == steps->fail_at) return cst_fail(err, CST_LEASE, "no more");
    return CST_OK;
}

TEST(a_step_that_fails_at_any_call_ends_the_fold) {
    history past = history_make(3, 5000, 10000);
    step_count steps = {0};
    const cst_fold_options options = {.step = step_call, .step_context = &steps};
    cst_code code = CST_LEASE;

    for (uint64_t fail_at = 1; code == CST_LEASE; fail_at++) {
        bytes_sink out = {0};

        steps = (step_count){.fail_at = fail_at};
        code = cst_segment_fold(past.segments, 3, &options, sink_write, &out, NULL, NULL);
        sink_free(&out);
    }
    CHECK_OK(code);
    CHECK(steps.calls >= 6); // every part that is read, every segment that is collected from
    history_free(&past);
}

TEST(the_sort_is_stable_for_any_hashes) {
    enum { COUNT = 5000 };
    csti_sort_item *items = malloc(COUNT * sizeof *items);
    csti_sort_item *scratch = malloc(COUNT * sizeof *scratch);
    csti_sort_counts *counts = malloc(sizeof *counts);
    static const uint8_t places[COUNT];
    static const uint64_t masks[] = {0xf, 0xfffffffffffff, 0xff00000000000, 0x7ff, 0};

    CHECK(items && scratch && counts);
    for (size_t mask = 0; mask < sizeof masks / sizeof masks[0]; mask++)
        for (size_t count = 0; count < COUNT; count = count * 3 + 1) {
            for (size_t i = 0; i < count; i++)
                items[i] = (csti_sort_item){test_random() & masks[mask], places + i};
            csti_sort_by_hash(items, scratch, count, counts);
            for (size_t i = 1; i < count; i++) {
                CHECK(items[i - 1].hash <= items[i].hash);
                if (items[i - 1].hash == items[i].hash)
                    CHECK(items[i - 1].record < items[i].record);
            }
        }
    free(items);
    free(scratch);
    free(counts);
}

TEST_MAIN
