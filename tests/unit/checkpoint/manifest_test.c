#include "checkpoint/chain.h"
#include "unit/checkpoint/manifests.h"

enum { ARENA_BYTES_MAX = 256 << 20 };

static csti_buffer written(const csti_manifest *manifest) {
    csti_buffer out;

    csti_buffer_init(&out, 2 * CSTI_MANIFEST_BYTES_MAX);
    CHECK_OK(csti_manifest_write(manifest, &out, NULL));
    return out;
}

static void golden_is_read_and_written(const char *name) {
    size_t count = 0;
    char *text = golden_text(name, &count);
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_OK(csti_manifest_read(name, text, count, &arena, &manifest, NULL));
    csti_buffer out = written(&manifest);
    CHECK_EQ(out.used_bytes, count);
    CHECK_BYTES(out.bytes, text, count);
    csti_buffer_release(&out);
    csti_arena_release(&arena);
    free(text);
}

TEST(the_golden_manifests_are_read_and_written_to_the_same_bytes) {
    golden_is_read_and_written("minimal");
    golden_is_read_and_written("several");
    golden_is_read_and_written("rescaled");
    golden_is_read_and_written("unaligned");
    golden_is_read_and_written("stages");
    golden_is_read_and_written("rows");
}

TEST(the_golden_manifest_of_several_partitions_means_what_it_says) {
    size_t count = 0;
    char *text = golden_text("several", &count);
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_OK(csti_manifest_read("several", text, count, &arena, &manifest, NULL));
    CHECK_EQ(manifest.incarnation, 2);
    CHECK_EQ(manifest.base_id, 15);
    CHECK_TEXT(manifest.job, "bids \"per\" auction \\ größte");
    CHECK_EQ(manifest.owner, 0xfedcba9876543210);
    CHECK_EQ(manifest.created_us, -1);
    CHECK_EQ(manifest.hash_key.k0, 0x8899aabbccddeeff);
    CHECK_EQ(manifest.program.accumulators[2].number, CST_DECIMAL128);
    CHECK_EQ(manifest.program.accumulators[1].source, 2);
    CHECK_EQ(manifest.partitions_count, 3);

    const csti_manifest_partition *carried = &manifest.partitions[1];
    CHECK_EQ(carried->group_from, 1365);
    CHECK_EQ(carried->group_to, 2730);
    CHECK_EQ(carried->tenure, 8);
    CHECK_EQ(carried->epoch_from, 41);
    CHECK_EQ(carried->epoch_to, 42);
    CHECK_EQ(carried->outbox_first, 1);
    CHECK_EQ(carried->watermark_us, 1700000000000000 - 1500000);
    CHECK_EQ(carried->segments[0].bytes, 9007199254740993);
    CHECK_EQ(carried->segments[0].checksum, 0x12345678);
    CHECK_TEXT(carried->segments[0].name,
               "checkpoints/00000000000000000003/1-2-00000000000000c3/delta-40");
    CHECK_TEXT(carried->segments[2].name,
               "checkpoints/00000000000000000017/1-8-0123456789abcdef/delta-42");
    CHECK_TEXT(manifest.partitions[0].segments[0].name, "folds/4-00000000000000f4/0-12");

    const csti_manifest_partition *untouched = &manifest.partitions[2];
    CHECK_EQ(untouched->segments_count, 0);
    CHECK_EQ(untouched->epoch_from, 1);
    CHECK_EQ(untouched->epoch_to, 0);
    CHECK(untouched->watermark_us == INT64_MIN);
    CHECK_TEXT(manifest.splits[0].offset, "{\"byte\":9007199254740993,\"path\":\"a\\\\b\"}");
    CHECK(manifest.splits[1].ended);
    csti_arena_release(&arena);
    free(text);
}

static void check_same(const csti_manifest *a, const csti_manifest *b) {
    CHECK(cst_segment_program_hash(&a->program) == cst_segment_program_hash(&b->program));
    CHECK_EQ(a->partitions_count, b->partitions_count);
    for (uint32_t p = 0; p < a->partitions_count; p++) {
        const csti_manifest_partition *x = &a->partitions[p];
        const csti_manifest_partition *y = &b->partitions[p];

        CHECK_EQ(x->partition, y->partition);
        CHECK_EQ(x->group_to, y->group_to);
        CHECK_EQ(x->owner, y->owner);
        CHECK_EQ(x->epoch_from, y->epoch_from);
        CHECK_EQ(x->epoch_to, y->epoch_to);
        CHECK(x->watermark_us == y->watermark_us);
        CHECK_EQ(x->rows_count, y->rows_count);
        CHECK_EQ(x->outbox_first, y->outbox_first);
        CHECK_EQ(x->segments_count, y->segments_count);
        for (uint32_t s = 0; s < x->segments_count; s++) {
            CHECK_TEXT(x->segments[s].name, y->segments[s].name);
            CHECK_EQ(x->segments[s].kind, y->segments[s].kind);
            CHECK_EQ(x->segments[s].epoch_from, y->segments[s].epoch_from);
            CHECK_EQ(x->segments[s].epoch_to, y->segments[s].epoch_to);
            CHECK_EQ(x->segments[s].checksum, y->segments[s].checksum);
        }
    }
}

static void check_round(const csti_manifest *manifest) {
    csti_buffer out = written(manifest);
    csti_manifest read;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_OK(csti_manifest_read("round", out.bytes, out.used_bytes, &arena, &read, NULL));
    check_same(manifest, &read);
    csti_buffer again = written(&read);
    CHECK_EQ(again.used_bytes, out.used_bytes);
    CHECK_BYTES(again.bytes, out.bytes, out.used_bytes);
    csti_buffer_release(&again);
    csti_buffer_release(&out);
    csti_arena_release(&arena);
}

TEST(what_was_written_reads_as_what_it_was) {
    sample s;

    sample_init(&s);
    check_round(&s.manifest);
}

TEST(watermarks_at_the_ends_of_all_time_keep_their_distance) {
    sample s;

    sample_init(&s);
    s.partitions[0].watermark_us = INT64_MAX;
    s.partitions[1].watermark_us = INT64_MIN + 1;
    check_round(&s.manifest);
}

TEST(names_that_look_like_partition_or_epoch_come_back_as_they_were) {
    static const char *const ODD[] = {"0-12/0-12", "a/0-/x-012",  "a-0-13", "0-0-0-14",
                                      "1-5/x",     "x-6/1-6/1-6", "1-12-6-"};
    sample s;

    for (size_t i = 0; i < sizeof ODD / sizeof ODD[0]; i++)
        for (size_t k = 0; k < 6; k++) {
            sample_init(&s);
            s.segments[k / 3][k % 3].name = ODD[i];
            check_round(&s.manifest);
        }
}

TEST(a_program_is_rebuilt_exactly) {
    size_t count = 0;
    char *text = golden_text("several", &count);
    csti_manifest manifest;
    csti_arena arena;
    const cst_program program = {.value_bytes = 48,
                                 .accumulators_count = 4,
                                 .presence_offset = 40,
                                 .ttl_us = 3600000000,
                                 .time_offset = 32,
                                 .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                                  {CST_MAX, CST_F64, 8, 2, 0},
                                                  {CST_SUM, CST_DECIMAL128, 16, 3, 0},
                                                  {CST_LAST, CST_I64, 32, 4, 0}}};

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_OK(csti_manifest_read("several", text, count, &arena, &manifest, NULL));
    CHECK_BYTES(&manifest.program, &program, sizeof program);
    csti_arena_release(&arena);
    free(text);
}

// ---- Size -------------------------------------------------------------------------------------

TEST(a_thousand_partitions_with_short_chains_take_at_most_64_kib) {
    enum { COUNT = 1000 };
    csti_manifest_partition *partitions = calloc(COUNT, sizeof *partitions);
    csti_manifest_segment *segments = calloc(COUNT, sizeof *segments);
    char(*names)[80] = calloc(COUNT, sizeof *names);
    sample s;

    CHECK(partitions && segments && names);
    sample_init(&s);
    for (uint32_t p = 0; p < COUNT; p++) {
        snprintf(names[p], sizeof names[p],
                 "checkpoints/00000000000000086400/%u-3-0123456789abcdef/delta-86400", p);
        segments[p] = (csti_manifest_segment){
            names[p], 1234567, (uint32_t)test_random(), CST_SEGMENT_FULL_ORDERED, 1, 86400};
        partitions[p] = (csti_manifest_partition){
            .partition = p,
            .group_from = csti_partition_group_first(p, COUNT),
            .group_to = csti_partition_group_first(p + 1, COUNT),
            .owner = 0xa1,
            .tenure = 3,
            .epoch_from = 86401,
            .epoch_to = 86400,
            .watermark_us = 1700000000000000 - (int64_t)test_random_below(10000000),
            .rows_count = 10000000 + test_random_below(10000000),
            .segments_count = 1,
            .outbox_first = 1,
            .segments = &segments[p],
        };
    }
    s.manifest.partitions = partitions;
    s.manifest.partitions_count = COUNT;
    csti_buffer out = written(&s.manifest);
    CHECK(out.used_bytes > 40 << 10); // it is them that weigh
    if (out.used_bytes > 64 << 10) TEST_FAIL("%zu bytes", out.used_bytes);
    csti_buffer_release(&out);
    check_round(&s.manifest);
    free(names);
    free(segments);
    free(partitions);
}

TEST(the_most_partitions_with_long_chains_fit) {
    enum { COUNT = CSTI_MANIFEST_PARTITIONS_MAX, CHAIN = 33 };
    csti_manifest_partition *partitions = calloc(COUNT, sizeof *partitions);
    csti_manifest_segment(*segments)[CHAIN] = calloc(COUNT, sizeof *segments);
    char(*names)[CHAIN][80] = calloc(COUNT, sizeof *names);
    sample s;

    CHECK(partitions && segments && names);
    sample_init(&s);
    for (uint32_t p = 0; p < COUNT; p++) {
        for (uint32_t i = 0; i < CHAIN; i++) {
            snprintf(names[p][i], sizeof names[p][i],
                     "checkpoints/%020u/%u-3-0123456789abcdef/delta-%u", i + 1, p, i + 1);
            segments[p][i] =
                (csti_manifest_segment){names[p][i],
                                        1234567,
                                        (uint32_t)test_random(),
                                        i ? CST_SEGMENT_DELTA : CST_SEGMENT_FULL_UNORDERED,
                                        i + 1,
                                        i + 1};
        }
        partitions[p] = (csti_manifest_partition){
            .partition = p,
            .group_from = p,
            .group_to = p + 1,
            .owner = 1 + p % 7,
            .tenure = 3,
            .epoch_from = CHAIN,
            .epoch_to = CHAIN,
            .segments_count = CHAIN,
            .outbox_first = CHAIN - 1,
            .segments = segments[p],
        };
    }
    s.manifest.partitions = partitions;
    s.manifest.partitions_count = COUNT;
    check_round(&s.manifest);
    free(names);
    free(segments);
    free(partitions);
}

// ---- What is refused, on both sides -------------------------------------------------------------

static char LONG_TEXT[CSTI_MANIFEST_TEXT_BYTES_MAX + 2];

typedef struct rule {
    void (*breaks)(sample *s);
    const char *path;
} rule;

#define BREAKS(NAME, ...)                                                                          \
    static void NAME(sample *s) {                                                                  \
        __VA_ARGS__;                                                                               \
    }

BREAKS(no_incarnation, s->manifest.incarnation = 0)
BREAKS(no_id, s->manifest.id = 0)
BREAKS(huge_id, s->manifest.id = UINT64_MAX)
BREAKS(base_of_its_own, s->manifest.base_id = 17)
BREAKS(no_job, s->manifest.job = NULL)
BREAKS(empty_job, s->manifest.job = "")
BREAKS(huge_job, s->manifest.job = LONG_TEXT)
BREAKS(job_of_two_lines, s->manifest.job = "a\nb")
BREAKS(job_not_utf8, s->manifest.job = "\xff")
BREAKS(no_owner, s->manifest.owner = 0)
BREAKS(no_tenure, s->manifest.tenure = 0)
BREAKS(no_schema, s->manifest.key_schema = "u65")
BREAKS(loose_schema, s->manifest.key_schema = "u64 , u8")
BREAKS(empty_value, s->manifest.value = "")
BREAKS(bad_program, s->manifest.program.accumulators[0].value_offset = 4)
BREAKS(no_table, s->manifest.table_id = 0)
BREAKS(other_groups, s->manifest.key_groups_count = 1024)
BREAKS(no_sink, s->manifest.sink = "")
BREAKS(no_partitions, s->manifest.partitions_count = 0)
BREAKS(partitions_swapped, s->partitions[1].partition = 0)
BREAKS(groups_begin_late, s->partitions[0].group_from = 1)
BREAKS(groups_overlap, s->partitions[1].group_from = 2047)
BREAKS(groups_empty, s->partitions[0].group_to = 0)
BREAKS(groups_end_early, s->partitions[1].group_to = 4095)
BREAKS(groups_end_late, s->partitions[1].group_to = 4097)
BREAKS(partition_without_owner, s->partitions[1].owner = 0)
BREAKS(partition_without_tenure, s->partitions[1].tenure = 0)
BREAKS(rows_negative, s->partitions[0].rows_count = UINT64_MAX)
BREAKS(chain_too_long, s->partitions[0].segments_count = CST_SEGMENTS_MAX + 1)
BREAKS(chain_missing, s->partitions[0].segments = NULL)
BREAKS(first_is_delta, s->segments[0][0].kind = CST_SEGMENT_DELTA)
BREAKS(second_is_full, s->segments[0][1].kind = CST_SEGMENT_FULL_ORDERED)
BREAKS(kind_unknown, s->segments[0][2].kind = (cst_segment_kind)4)
BREAKS(first_epoch_is_2, s->segments[0][0].epoch_from = 2)
BREAKS(epoch_missing, s->segments[0][1].epoch_from = 14)
BREAKS(epoch_twice, s->segments[0][1].epoch_from = 12)
BREAKS(epochs_backwards, s->segments[0][2].epoch_to = 13)
BREAKS(bytes_too_few, s->segments[1][2].bytes = 255)
BREAKS(name_missing, s->segments[1][2].name = NULL)
BREAKS(name_illegal, s->segments[1][2].name = "../x")
BREAKS(name_twice, s->segments[1][2].name = s->segments[0][0].name)
BREAKS(chain_ends_elsewhere, s->partitions[0].epoch_to = 15)
BREAKS(output_begins_elsewhere, s->partitions[0].epoch_from = 13)
BREAKS(outbox_behind_end, s->partitions[0].outbox_first = 4)
BREAKS(splits_unsorted, s->splits[1].split = "A")
BREAKS(splits_twice, s->splits[1].split = "a")
BREAKS(split_unnamed, s->splits[0].split = "")
BREAKS(offset_missing, s->splits[1].offset = NULL)
BREAKS(offset_of_two_lines, s->splits[1].offset = "{\n}")
BREAKS(offset_no_json, s->splits[1].offset = "{row:1}")

static const uint64_t SKIPS[] = {1, 0}, SKIPS_NONE[] = {0, 0}, SKIPS_HUGE[] = {1, UINT64_MAX};

BREAKS(skips_all_0, s->splits[1].skips = SKIPS_NONE)
BREAKS(skips_too_many, s->splits[1].skips = SKIPS_HUGE)
BREAKS(skips_of_no_steps, s->splits[1].skips = SKIPS)
BREAKS(steps_of_no_skips, s->manifest.steps_hash = 1)

static const rule RULES[] = {
    {no_incarnation, "incarnation"},
    {no_id, "id"},
    {huge_id, "id"},
    {base_of_its_own, "base_id"},
    {no_job, "job"},
    {empty_job, "job"},
    {huge_job, "job"},
    {job_of_two_lines, "job"},
    {job_not_utf8, "job"},
    {no_owner, "owner"},
    {no_tenure, "tenure"},
    {no_schema, "key_schema"},
    {loose_schema, "key_schema"},
    {empty_value, "value"},
    {bad_program, "program"},
    {no_table, "table_id"},
    {other_groups, "key_groups_count"},
    {no_sink, "sink"},
    {no_partitions, "partitions"},
    {partitions_swapped, "partitions[1].partition"},
    {groups_begin_late, "partitions[0].group_from"},
    {groups_overlap, "partitions[1].group_from"},
    {groups_empty, "partitions[0].group_to"},
    {groups_end_early, "partitions"},
    {groups_end_late, "partitions[1].group_to"},
    {partition_without_owner, "partitions[1].owner"},
    {partition_without_tenure, "partitions[1].tenure"},
    {rows_negative, "partitions[0].rows_count"},
    {chain_too_long, "partitions[0].segments"},
    {chain_missing, "partitions[0].segments"},
    {first_is_delta, "partitions[0].segments[0].kind"},
    {second_is_full, "partitions[0].segments[1].kind"},
    {kind_unknown, "partitions[0].segments[2].kind"},
    {first_epoch_is_2, "partitions[0].segments[0].epoch_from"},
    {epoch_missing, "partitions[0].segments[1].epoch_from"},
    {epoch_twice, "partitions[0].segments[1].epoch_from"},
    {epochs_backwards, "partitions[0].segments[2].epoch_to"},
    {bytes_too_few, "partitions[1].segments[2].bytes"},
    {name_missing, "partitions[1].segments[2].name"},
    {name_illegal, "partitions[1].segments[2].name"},
    {name_twice, "partitions"},
    {chain_ends_elsewhere, "partitions[0].epoch_to"},
    {output_begins_elsewhere, "partitions[0].epoch_from"},
    {outbox_behind_end, "partitions[0].outbox_first"},
    {splits_unsorted, "splits[1].split"},
    {splits_twice, "splits[1].split"},
    {split_unnamed, "splits[0].split"},
    {offset_missing, "splits[1].offset"},
    {offset_of_two_lines, "splits[1].offset"},
    {offset_no_json, "splits[1].offset"},
    {skips_all_0, "splits[1].skips"},
    {skips_too_many, "splits[1].skips[1]"},
    {skips_of_no_steps, "steps_hash"},
    {steps_of_no_skips, "steps_hash"},
};

// Of two stages, where each has its rules again.
BREAKS(stage_swapped, s->partitions[1].stage = 0)
BREAKS(stage_of_none, s->manifest.then = NULL)
BREAKS(groups_of_first_end_early, s->partitions[0].group_to = 2048)
BREAKS(groups_of_then_begin_late, s->partitions[1].group_from = 2048)
BREAKS(partitions_odd, s->manifest.partitions_count = 1)
BREAKS(then_unaligned, s->manifest.steps_hash = 1) // and no split has skips
BREAKS(then_no_schema, s->then.key_schema = "")
BREAKS(then_no_value, s->then.value = NULL)
BREAKS(then_no_table, s->then.table_id = 0)
BREAKS(then_bad_program, s->then.program.accumulators[0].value_offset = 4)

static const rule RULES_OF_STAGES[] = {
    {stage_swapped, "partitions[1].stage"},
    {stage_of_none, "partitions[1].stage"},
    {groups_of_first_end_early, "partitions: key groups from 2048 on"},
    {groups_of_then_begin_late, "partitions[1].group_from"},
    {partitions_odd, "partitions: 1"},
    {then_unaligned, "steps_hash"},
    {then_no_schema, "then.key_schema"},
    {then_no_value, "then.value"},
    {then_no_table, "then.table_id"},
    {then_bad_program, "then.program"},
};

TEST(a_manifest_of_two_stages_that_breaks_a_rule_is_not_written_and_the_path_is_named) {
    sample s;
    csti_buffer out;

    csti_buffer_init(&out, CSTI_MANIFEST_BYTES_MAX);
    for (size_t i = 0; i < sizeof RULES_OF_STAGES / sizeof RULES_OF_STAGES[0]; i++) {
        cst_err err = {.code = CST_OK};

        sample_init(&s);
        sample_stages(&s, &s.then);
        RULES_OF_STAGES[i].breaks(&s);
        CHECK_CODE(csti_manifest_write(&s.manifest, &out, &err), CST_USAGE);
        CHECK(strstr(err.text, RULES_OF_STAGES[i].path));
        CHECK_EQ(out.used_bytes, 0);
    }
    csti_buffer_release(&out);
}

// Of two stages, with rows stored behind the second one's partition.
static const uint64_t SKIPS_OF_THEN[] = {0, 1};

BREAKS(rows_of_first, s->partitions[0].rows = &s->rows)
BREAKS(rows_unnamed, s->rows.name = "")
BREAKS(rows_of_old_epoch, s->rows.epoch--)
BREAKS(rows_none, s->rows.rows_count = 0)
BREAKS(rows_short, s->rows.bytes = 128)
BREAKS(rows_twice, s->rows.name = s->segments[1][2].name)
BREAKS(skips_of_then, s->splits[0].skips = SKIPS_OF_THEN; s->manifest.steps_hash = 1)

static const rule RULES_OF_ROWS[] = {
    {rows_of_first, "partitions[0].rows: it is of the first stage"},
    {rows_unnamed, "partitions[1].rows.name"},
    {rows_of_old_epoch, "partitions[1].rows.epoch: is 5, wants 6"},
    {rows_none, "partitions[1].rows.rows_count"},
    {rows_short, "partitions[1].rows.bytes"},
    {rows_twice, "stands there twice"},
    {skips_of_then, "splits[0].skips[1]: it is of the second stage"},
};

TEST(a_manifest_with_stored_rows_that_breaks_a_rule_is_not_written_and_the_path_is_named) {
    sample s;
    csti_buffer out;

    csti_buffer_init(&out, CSTI_MANIFEST_BYTES_MAX);
    for (size_t i = 0; i < sizeof RULES_OF_ROWS / sizeof RULES_OF_ROWS[0]; i++) {
        cst_err err = {.code = CST_OK};

        sample_init(&s);
        sample_stages(&s, &s.then);
        sample_rows(&s);
        RULES_OF_ROWS[i].breaks(&s);
        CHECK_CODE(csti_manifest_write(&s.manifest, &out, &err), CST_USAGE);
        CHECK(strstr(err.text, RULES_OF_ROWS[i].path));
        CHECK_EQ(out.used_bytes, 0);
    }
    csti_buffer_release(&out);
}

TEST(a_manifest_that_breaks_a_rule_is_not_written_and_the_path_is_named) {
    sample s;
    csti_buffer out;

    csti_buffer_init(&out, CSTI_MANIFEST_BYTES_MAX);
    memset(LONG_TEXT, 'a', sizeof LONG_TEXT - 1);
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) {
        char wanted[128];
        cst_err err = {.code = CST_OK};

        sample_init(&s);
        RULES[i].breaks(&s);
        snprintf(wanted, sizeof wanted, "manifest to be written: %s: ", RULES[i].path);
        CHECK_CODE(csti_manifest_write(&s.manifest, &out, &err), CST_USAGE);
        if (strncmp(err.text, wanted, strlen(wanted)) != 0)
            TEST_FAIL("rule %zu: \"%s\", wanted \"%s\"", i, err.text, wanted);
        CHECK_EQ(out.used_bytes, 0);
    }
    csti_buffer_release(&out);
}

// The golden text with its first `from` replaced.
static cst_code read_changed(const char *from, const char *to, cst_err *err) {
    size_t count = 0;
    char *text = golden_text("several", &count);
    char *at = strstr(text, from);
    char *changed = malloc(count + strlen(to) + 1);
    csti_manifest manifest;
    csti_arena arena;

    if (!at) TEST_FAIL("the golden manifest has no %s", from);
    CHECK(changed);
    csti_arena_init(&arena, ARENA_BYTES_MAX);
    snprintf(changed, count + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to,
             at + strlen(from));
    const cst_code code = csti_manifest_read("m", changed, strlen(changed), &arena, &manifest, err);
    csti_arena_release(&arena);
    free(changed);
    free(text);
    return code;
}

typedef struct damage {
    const char *from, *to, *text; // text: how the error begins
} damage;

static const damage DAMAGES[] = {
    {"\"id\":17,", "", "manifest m: id: is missing"},
    {"\"id\":17", "\"id\":\"17\"", "manifest m: id: is no whole number"},
    {"\"id\":17", "\"id\":17.0", "manifest m: id: is no whole number"},
    {"\"id\":17", "\"id\":-1", "manifest m: id: is -1"},
    {"\"id\":17", "\"id\":0", "manifest m: id: is 0"},
    {"\"id\":17", "\"id\":9223372036854775808", "manifest m: line 4"},
    {"\"id\":17", "\"id\":17,\"id\":17", "manifest m: line 4"},
    {"\"id\":17", "\"ids\":17", "manifest m: ids: is not a field of version 1"},
    {"\"id\":17,", "\"id\":17,\"extra\":{},", "manifest m: extra: is not a field"},
    {"\"ttl_us\"", "\"ttl\":1,\"ttl_us\"", "manifest m: program.ttl: is not a field"},
    {"\"job\":\"bids", "\"job\":\"\\u0007bids", "manifest m: job: holds a control"},
    {"\"job\":\"bids", "\"job\":\"\\u0000bids", "manifest m: line 6"},
    {"\"owner\":\"f", "\"owner\":\"F", "manifest m: owner: is not 16 hex digits"},
    {"\"owner\":\"f", "\"owner\":\"", "manifest m: owner: is not 16 hex digits"},
    {"\"hash_key\":\"ff", "\"hash_key\":\"", "manifest m: hash_key: is not 32 hex digits"},
    {"[\"max\"", "[\"most\"", "manifest m: program.accumulators[1].op: is not count to last"},
    {"\"f64\"", "\"f32\"", "manifest m: program.accumulators[1].number: is not u64"},
    {"\"f64\",8,2", "\"f64\",8", "manifest m: program.accumulators[1]: has 3 entries"},
    {"\"f64\",8,2", "\"f64\",65536,2",
     "manifest m: program.accumulators[1].value_offset: is 65536"},
    {"\"program\":{", "\"program\":[],\"x\":{", "manifest m: x: is not a field"},
    {"\"ttl_us\":3600000000", "\"ttl_us\":\"1h\"", "manifest m: program.ttl_us: is no whole"},
    {"\"created_us\":-1", "\"created_us\":null", "manifest m: created_us: is no whole number"},
    {"\"job\":", "\"job\":7,\"was\":", "manifest m: was: is not a field"},
    {"\"sink\":\"file\"", "\"sink\":7", "manifest m: sink: is no text"},
    {"\"names\":[", "\"names\":[7,", "manifest m: names: 0 is no text"},
    {"\"names\":[\n", "\"names\":7,\"more\":[\n", "manifest m: more: is not a field"},
    {"[\"fedcba9876543210\",8]", "[\"fedcba9876543210\",8,8]",
     "manifest m: partitions[0].owner: is no pair"},
    {"null,true]", "-9223372036854775808,true]", "manifest m: splits[1].watermark_us: is below"},
    {"\"f64\",8,2", "\"f64\",9,2", "manifest m: program: accumulator 1: value offset 9"},
    {"[1365,0,1,0,", "[1365,0,1,1,", "manifest m: watermark_us: is no partition's"},
    {"\"watermark_us\":1700000000000000", "\"watermark_us\":null",
     "manifest m: partitions[0].behind_us: is behind none"},
    {"[1365,0,1,0,", "[1364,0,1,0,", "manifest m: partitions: key groups from 4095 on"},
    {"[1365,0,1,0,", "[4097,0,1,0,", "manifest m: partitions[0].groups: is 4097"},
    {"[1365,0,1,0,", "[1365,2,1,0,", "manifest m: partitions[0].owner: 2 of 2 owners"},
    {"[1365,0,1,0,", "[1365,0,15,0,", "manifest m: partitions[0].epochs: 15 of 14 are new"},
    {"[1365,0,1,0,", "[1365,0,3,0,", "manifest m: partitions[0].epoch_from: is 12, the output"},
    {"[1365,0,1,0,", "[1365,0,1,0.5,", "manifest m: partitions[0].behind_us: is no whole"},
    {"[0,3,12,1048576,", "[0,3,0,1048576,", "manifest m: partitions[0].segments[0].epoch_to: is 0"},
    {"[0,3,12,1048576,", "[0,1,12,1048576,", "manifest m: partitions[0].segments[0].kind: a chain"},
    {"[0,3,12,1048576,", "[9,3,12,1048576,", "manifest m: partitions[0].segments[0].name: 9 of 4"},
    {"[0,3,12,1048576,", "[0,3,12,", "manifest m: partitions[0].segments[0]: has 4 entries"},
    {"[0,3,12,1048576,", "[0,3,9223372036854775807,1048576,",
     "manifest m: partitions[0].segments[1].epochs: is 1, from 0 to 0"},
    {"\"deadbeef\"", "\"deadbeef0\"", "manifest m: partitions[0].segments[0].checksum: is not 8"},
    {"folds/", "../", "manifest m: partitions[0].segments[0].name: is no name"},
    {"folds/4-00000000000000f4/{partition}", "folds/{x}",
     "manifest m: partitions[0].segments[0].na"},
    {"{partition}-8-0123456789abcdef/delta-{epoch}", "x",
     "manifest m: partitions: checkpoints/00000000000000000017/x stands there twice"},
    {"[\"generator-0\"", "[\"a\"", "manifest m: splits[1].split: \"a\" does not sort"},
    {"{\\\"row\\\":5000000}", "{\\\"row\\\":}", "manifest m: splits[1].offset: "},
    {"null,true]", "null,1]", "manifest m: splits[1].ended: is not true"},
    {"null,true]", "null]", "manifest m: splits[1]: has 3 entries"},
    {"\"splits\":[", "\"splits\":[3,", "manifest m: splits[0]: is no array"},
    {"{\n\"version\"", "[{\n\"version\"", "manifest m: line"},
    {"]\n}\n", "]\n}\n{}", "manifest m: line"},
    {"]\n}\n", "]\n", "manifest m: line"},
};

TEST(damaged_text_is_refused_and_the_place_is_named) {
    for (size_t i = 0; i < sizeof DAMAGES / sizeof DAMAGES[0]; i++) {
        cst_err err = {.code = CST_OK};
        const cst_code code = read_changed(DAMAGES[i].from, DAMAGES[i].to, &err);

        if (code != CST_MANIFEST || strncmp(err.text, DAMAGES[i].text, strlen(DAMAGES[i].text)))
            TEST_FAIL("damage %zu: %s \"%s\", wanted \"%s\"", i, cst_code_name(code), err.text,
                      DAMAGES[i].text);
    }
}

TEST(what_is_no_object_at_all_is_refused) {
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_CODE(csti_manifest_read("m", "[1]", 3, &arena, &manifest, NULL), CST_MANIFEST);
    CHECK_CODE(csti_manifest_read("m", "7", 1, &arena, &manifest, NULL), CST_MANIFEST);
    CHECK_CODE(csti_manifest_read("m", "", 0, &arena, &manifest, NULL), CST_MANIFEST);
    csti_arena_release(&arena);
}

// Its last part has the epoch, 12, so that the name is as long as an object's may be; or one more.
TEST(a_name_that_expands_beyond_the_longest_is_refused) {
    enum { STEM_BYTES = CST_OBJECT_NAME_BYTES_MAX - 2 };
    char pattern[STEM_BYTES + 16] = "";
    cst_err err = {.code = CST_OK};

    memset(pattern, 'a', STEM_BYTES);
    pattern[200] = pattern[400] = '/';
    memcpy(pattern + STEM_BYTES, "{epoch}", 8);
    CHECK_OK(read_changed("folds/4-00000000000000f4/{partition}-{epoch}", pattern, &err));
    memcpy(pattern + STEM_BYTES, "a{epoch}", 9);
    CHECK_CODE(read_changed("folds/4-00000000000000f4/{partition}-{epoch}", pattern, &err),
               CST_MANIFEST);
    CHECK(strstr(err.text, "partitions[0].segments[0].name: is longer than 512 bytes"));
}

// As long as it may be, or one byte more.
static cst_code offset_read_back(size_t bytes, cst_err *err) {
    const size_t text_bytes = bytes + 16;
    char *offset = malloc(text_bytes);
    cst_code code;

    CHECK(offset);
    memcpy(offset, "{\\\"ids\\\":\\\"", 11);
    memset(offset + 11, 'p', bytes);
    memcpy(offset + 11 + bytes, "\\\"}", 4);
    code = read_changed("{\\\"row\\\":5000000}", offset, err);
    free(offset);
    return code;
}

TEST(an_offset_may_be_longer_than_other_texts_and_has_a_bound_of_its_own) {
    enum { REST_BYTES = CSTI_MANIFEST_OFFSET_BYTES_MAX - 10 };
    cst_err err = {.code = CST_OK};

    CHECK_OK(offset_read_back(CSTI_MANIFEST_TEXT_BYTES_MAX, &err));
    CHECK_OK(offset_read_back(REST_BYTES, &err));
    CHECK_CODE(offset_read_back(REST_BYTES + 1, &err), CST_MANIFEST);
    CHECK(strstr(err.text, "splits[1].offset: is longer than 8388608 bytes"));
}

TEST(a_newer_version_is_told_from_a_malformed_one) {
    CHECK_CODE(read_changed("\"version\":1", "\"version\":5,\"news\":1", NULL),
               CST_MANIFEST_VERSION);
    CHECK_CODE(read_changed("\"version\":1", "\"version\":0", NULL), CST_MANIFEST);
    CHECK_CODE(read_changed("\"version\":1,", "", NULL), CST_MANIFEST);
}

TEST(fields_of_an_unaligned_manifest_are_unknown_to_version_1_and_wanted_by_2) {
    cst_err err = {.code = CST_OK};

    CHECK_CODE(read_changed("\"names\"", "\"steps_hash\":\"0000000000000001\",\"names\"", &err),
               CST_MANIFEST);
    CHECK(strstr(err.text, "steps_hash: is not a field of version 1"));
    CHECK_CODE(read_changed(",null,true]", ",null,true,[1,0,0]]", &err), CST_MANIFEST);
    CHECK(strstr(err.text, "splits[1]: has 5 entries, from 4 to 4"));
    CHECK_CODE(read_changed("\"version\":1", "\"version\":2", &err), CST_MANIFEST);
    CHECK(strstr(err.text, "steps_hash: is missing"));
}

// The golden text of that name with its first `from` replaced is refused, for this reason.
static void golden_refused(const char *name, const char *from, const char *to, const char *why) {
    size_t count = 0;
    char *text = golden_text(name, &count);
    char *at = strstr(text, from);
    char *changed = malloc(count + strlen(to) + 1);
    cst_err err = {.code = CST_OK};
    csti_manifest manifest;
    csti_arena arena;

    CHECK(at && changed);
    csti_arena_init(&arena, ARENA_BYTES_MAX);
    snprintf(changed, count + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to,
             at + strlen(from));
    CHECK_CODE(csti_manifest_read("m", changed, strlen(changed), &arena, &manifest, &err),
               CST_MANIFEST);
    if (!strstr(err.text, why)) TEST_FAIL("\"%s\", wanted \"%s\"", err.text, why);
    csti_arena_release(&arena);
    free(changed);
    free(text);
}

TEST(stored_rows_are_version_4s_and_have_their_rules) {
    golden_refused("stages", "\"splits\"", "\"rows\":[],\"splits\"",
                   "rows: is not a field of version 3");
    golden_refused("rows", "\"version\":4", "\"version\":3", "is not a field of version 3");
    golden_refused("rows", "[3,1,7,408,\"0000003a\"]", "[1,1,7,408,\"0000003a\"]",
                   "partitions[1].rows: it is of the first stage");
    golden_refused("rows", "[3,1,7,408,\"0000003a\"]", "[4,1,7,408,\"0000003a\"]",
                   "rows[0].partition: is 4, from 0 to 3");
    golden_refused("rows", "[3,1,7,408,\"0000003a\"]", "[3,2,7,408,\"0000003a\"]", "rows[0].name");
    golden_refused("rows", "[3,1,7,408,\"0000003a\"]", "[3,1,7,408]", "rows[0]: has 4 entries");
    golden_refused("rows", "[3,1,7,408,\"0000003a\"]",
                   "[3,1,7,408,\"0000003a\"],[3,1,7,408,\"0000003a\"]",
                   "rows[1].partition: does not come behind");
    golden_refused("stages", "\"version\":3", "\"version\":4", "steps_hash: is missing");
}

TEST(the_golden_manifest_with_stored_rows_means_what_it_says) {
    size_t count = 0;
    char *text = golden_text("rows", &count);
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_OK(csti_manifest_read("rows", text, count, &arena, &manifest, NULL));
    CHECK(csti_manifest_has_rows(&manifest));
    CHECK(csti_manifest_is_unaligned(&manifest));
    CHECK(!manifest.partitions[2].rows);
    CHECK_TEXT(manifest.partitions[3].rows->name,
               "checkpoints/00000000000000000042/3-1-0123456789abcdef/rows-1");
    CHECK_EQ(manifest.partitions[3].rows->rows_count, 7);
    CHECK_EQ(manifest.partitions[3].rows->bytes, 408);
    CHECK_EQ(manifest.partitions[3].rows->checksum, 0x3a);
    CHECK_EQ(manifest.partitions[3].rows->epoch, 1);
    CHECK_EQ(manifest.splits[0].skips[0], 12);
    csti_arena_release(&arena);
    free(text);
}

TEST(the_golden_unaligned_manifest_means_what_it_says) {
    size_t count = 0;
    char *text = golden_text("unaligned", &count);
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_OK(csti_manifest_read("unaligned", text, count, &arena, &manifest, NULL));
    CHECK(csti_manifest_is_unaligned(&manifest));
    CHECK_EQ(manifest.steps_hash, 0xc0ffee00c0ffee);
    CHECK_EQ(manifest.splits[0].skips[0], 20);
    CHECK_EQ(manifest.splits[0].skips[1], 3);
    CHECK_EQ(manifest.splits[1].skips[1], INT64_MAX);
    CHECK(!manifest.splits[2].skips);
    csti_arena_release(&arena);
    free(text);
}

TEST(fields_of_two_stages_are_unknown_to_other_versions_and_wanted_by_3) {
    cst_err err = {.code = CST_OK};

    CHECK_CODE(read_changed("\"names\"", "\"then\":{},\"names\"", &err), CST_MANIFEST);
    CHECK(strstr(err.text, "then: is not a field of version 1"));
    CHECK_CODE(read_changed("\"version\":1", "\"version\":3", &err), CST_MANIFEST);
    CHECK(strstr(err.text, "then: is missing"));
    CHECK_CODE(read_changed("\"version\":1", "\"version\":3,\"steps_hash\":\"1\"", &err),
               CST_MANIFEST);
    CHECK(strstr(err.text, "steps_hash: is not a field of version 3"));
    CHECK_CODE(read_changed("\"version\":1", "\"version\":3,\"then\":7", &err), CST_MANIFEST);
    CHECK(strstr(err.text, "then: is no object"));
    CHECK_CODE(read_changed("\"version\":1", "\"version\":3,\"then\":{\"sink\":1}", &err),
               CST_MANIFEST);
    CHECK(strstr(err.text, "then.sink: is not a field of version 3"));
    CHECK_CODE(read_changed("\"version\":1", "\"version\":3,\"then\":{\"key_schema\":\"u8\"}",
                            &err),
               CST_MANIFEST);
    CHECK(strstr(err.text, "then.value: is missing"));
}

TEST(the_golden_manifest_of_two_stages_means_what_it_says) {
    size_t count = 0;
    char *text = golden_text("stages", &count);
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_OK(csti_manifest_read("stages", text, count, &arena, &manifest, NULL));
    CHECK_EQ(csti_manifest_stages_count(&manifest), 2);
    CHECK_TEXT(manifest.then->key_schema, "timestamp");
    CHECK_EQ(manifest.then->table_id, 0xc3);
    CHECK_EQ(manifest.then->hash_key.k1, 0x0010203040506070);
    CHECK_EQ(manifest.then->program.accumulators[0].op, CST_MAX);
    for (uint32_t p = 0; p < 4; p++) {
        CHECK_EQ(manifest.partitions[p].stage, p / 2);
        CHECK_EQ(manifest.partitions[p].group_from, p % 2 * 2048);
    }
    CHECK_TEXT(csti_manifest_stage_of(&manifest, &manifest.partitions[1]).value, "bids=count");
    CHECK_TEXT(csti_manifest_stage_of(&manifest, &manifest.partitions[2]).value,
               "highest=max(bids)");
    csti_arena_release(&arena);
    free(text);
}

TEST(every_cut_of_a_manifest_is_refused) {
    size_t count = 0;
    char *text = golden_text("several", &count);

    for (size_t cut = 0; cut + 1 < count; cut += TEST_EACH(1)) { // the last byte is a newline
        csti_manifest manifest;
        csti_arena arena;

        csti_arena_init(&arena, ARENA_BYTES_MAX);
        CHECK_CODE(csti_manifest_read("cut", text, cut, &arena, &manifest, NULL), CST_MANIFEST);
        csti_arena_release(&arena);
    }
    free(text);
}

TEST(a_manifest_above_the_largest_is_refused_unread) {
    static const char NOTHING[1];
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    CHECK_CODE(csti_manifest_read("huge", NOTHING, CSTI_MANIFEST_BYTES_MAX + 1, &arena, &manifest,
                                  NULL),
               CST_MANIFEST);
    csti_arena_release(&arena);
}

// ---- Whose it is ------------------------------------------------------------------------------

static csti_job_identity identity_of(const csti_manifest *manifest) {
    return (csti_job_identity){.job = manifest->job,
                               .key_schema = manifest->key_schema,
                               .value = manifest->value,
                               .program = manifest->program,
                               .table_id = manifest->table_id,
                               .hash_key = manifest->hash_key,
                               .sink = manifest->sink};
}

// With what it has and what was asked for, and with what is left to do.
static void refused(const sample *s, const csti_job_identity *identity, cst_code code,
                    const char *text) {
    cst_err err = {.code = CST_OK};

    CHECK_CODE(csti_manifest_expect(&s->manifest, identity, &err), code);
    CHECK(strstr(err.text, "checkpoint 17 "));
    CHECK(strstr(err.text, text));
    CHECK(strstr(err.text, "another store"));
}

TEST(a_manifest_of_another_job_schema_program_or_hash_key_is_told) {
    sample s;
    csti_job_identity identity;

    sample_init(&s);
    identity = identity_of(&s.manifest);
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL));
    identity.hash_key = (cst_hash_key){0, 0};
    identity.table_id = 0;
    identity.value = "renamed";
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL));

    identity.job = "others";
    refused(&s, &identity, CST_JOB_MISMATCH, "is of job \"bids\", not \"others\"");
    identity = identity_of(&s.manifest);
    identity.table_id++;
    identity.value = "news";
    refused(&s, &identity, CST_JOB_MISMATCH, "not \"news\"");
    identity = identity_of(&s.manifest);
    identity.key_schema = "u32";
    refused(&s, &identity, CST_SEGMENT_SCHEMA, "not \"u32\"");
    identity = identity_of(&s.manifest);
    identity.program.accumulators[0].op = CST_SUM;
    refused(&s, &identity, CST_SEGMENT_SCHEMA, "in another layout");
    identity = identity_of(&s.manifest);
    identity.hash_key.k1++;
    refused(&s, &identity, CST_SEGMENT_HASH_KEY, "Put that key back");
}

TEST(a_manifest_of_another_number_of_stages_or_another_second_one_is_told) {
    sample s;
    csti_manifest_stage then;
    csti_job_identity identity, second;

    sample_init(&s);
    identity = identity_of(&s.manifest);
    second = identity_of(&s.manifest);
    second.table_id = 0xc3;
    second.value = "highest=max(bids)";
    identity.then = &second;
    refused(&s, &identity, CST_JOB_MISMATCH, "leave its [then] out");

    sample_stages(&s, &then);
    CHECK_CODE(csti_manifest_check("m", &s.manifest, CST_MANIFEST, NULL), CST_OK);
    second.hash_key = then.hash_key;
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL));
    identity.then = NULL;
    refused(&s, &identity, CST_JOB_MISMATCH, "put its [then] back");
    identity.then = &second;
    second.value = "lowest=min(bids)";
    second.table_id++;
    refused(&s, &identity, CST_JOB_MISMATCH, "\"highest=max(bids)\", not \"lowest=min(bids)\"");
    second.table_id = 0xc3;
    second.hash_key.k0++;
    refused(&s, &identity, CST_SEGMENT_HASH_KEY, "Put that key back");
}

TEST(an_unaligned_manifest_goes_with_the_filters_and_operators_that_made_it) {
    static const uint64_t skips[] = {0, 3};
    csti_job_identity identity;
    cst_err err = {.code = CST_OK};
    sample s;

    sample_init(&s);
    identity = identity_of(&s.manifest);
    identity.steps_hash = 7;
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL)); // it is aligned
    s.splits[1].skips = skips;
    s.manifest.steps_hash = 7;
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL));
    identity.steps_hash = 8;
    CHECK_CODE(csti_manifest_expect(&s.manifest, &identity, &err), CST_JOB_MISMATCH);
    CHECK(strstr(err.text, "checkpoint 17 "));
    CHECK(strstr(err.text, "other filters or operators"));
    identity.steps_hash = 0;
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL)); // nobody asks
}

// It is sound, and of a program with other key groups: no damage, which would be gone back behind.
TEST(a_manifest_of_another_number_of_key_groups_is_refused_with_the_way_out) {
    cst_err err = {.code = CST_OK};

    CHECK_CODE(read_changed("4096,\n\"sink\"", "1024,\n\"sink\"", &err), CST_MANIFEST_VERSION);
    CHECK(!csti_code_is_damage(CST_MANIFEST_VERSION));
    CHECK(strstr(err.text, "manifest m: key_groups_count: is 1024, wants 4096"));
    CHECK(strstr(err.text, "another store"));
}

TEST_MAIN
