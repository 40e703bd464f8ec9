// Each rule of a manifest, broken in a copy of the sample: it is not written, and the error begins
// with the path of what breaks it.
#include "unit/checkpoint/manifests.h"

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
    {no_incarnation, "incarnation: "},
    {no_id, "id: "},
    {huge_id, "id: "},
    {base_of_its_own, "base_id: "},
    {no_job, "job: "},
    {empty_job, "job: "},
    {huge_job, "job: "},
    {job_of_two_lines, "job: "},
    {job_not_utf8, "job: "},
    {no_owner, "owner: "},
    {no_tenure, "tenure: "},
    {no_schema, "key_schema: "},
    {loose_schema, "key_schema: "},
    {empty_value, "value: "},
    {bad_program, "program: "},
    {no_table, "table_id: "},
    {other_groups, "key_groups_count: "},
    {no_sink, "sink: "},
    {no_partitions, "partitions: "},
    {partitions_swapped, "partitions[1].partition: "},
    {groups_begin_late, "partitions[0].group_from: "},
    {groups_overlap, "partitions[1].group_from: "},
    {groups_empty, "partitions[0].group_to: "},
    {groups_end_early, "partitions: "},
    {groups_end_late, "partitions[1].group_to: "},
    {partition_without_owner, "partitions[1].owner: "},
    {partition_without_tenure, "partitions[1].tenure: "},
    {rows_negative, "partitions[0].rows_count: "},
    {chain_too_long, "partitions[0].segments: "},
    {chain_missing, "partitions[0].segments: "},
    {first_is_delta, "partitions[0].segments[0].kind: "},
    {second_is_full, "partitions[0].segments[1].kind: "},
    {kind_unknown, "partitions[0].segments[2].kind: "},
    {first_epoch_is_2, "partitions[0].segments[0].epoch_from: "},
    {epoch_missing, "partitions[0].segments[1].epoch_from: "},
    {epoch_twice, "partitions[0].segments[1].epoch_from: "},
    {epochs_backwards, "partitions[0].segments[2].epoch_to: "},
    {bytes_too_few, "partitions[1].segments[2].bytes: "},
    {name_missing, "partitions[1].segments[2].name: "},
    {name_illegal, "partitions[1].segments[2].name: "},
    {name_twice, "partitions: "},
    {chain_ends_elsewhere, "partitions[0].epoch_to: "},
    {output_begins_elsewhere, "partitions[0].epoch_from: "},
    {outbox_behind_end, "partitions[0].outbox_first: "},
    {splits_unsorted, "splits[1].split: "},
    {splits_twice, "splits[1].split: "},
    {split_unnamed, "splits[0].split: "},
    {offset_missing, "splits[1].offset: "},
    {offset_of_two_lines, "splits[1].offset: "},
    {offset_no_json, "splits[1].offset: "},
    {skips_all_0, "splits[1].skips: "},
    {skips_too_many, "splits[1].skips[1]: "},
    {skips_of_no_steps, "steps_hash: "},
    {steps_of_no_skips, "steps_hash: "},
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
    {rows_twice, "partitions: checkpoints/"},
    {skips_of_then, "splits[0].skips[1]: it is of the second stage"},
};

static void sample_of_two_stages(sample *s) {
    sample_init(s);
    sample_stages(s, &s->then);
}

static void sample_with_rows(sample *s) {
    sample_of_two_stages(s);
    sample_rows(s);
}

static void check_rules(const rule *rules, size_t count, void (*init)(sample *s)) {
    csti_buffer out;

    csti_buffer_init(&out, CSTI_MANIFEST_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        char wanted[128];
        cst_err err = {.code = CST_OK};
        sample s;

        init(&s);
        rules[i].breaks(&s);
        snprintf(wanted, sizeof wanted, "manifest to be written: %s", rules[i].path);
        CHECK_CODE(csti_manifest_write(&s.manifest, &out, &err), CST_USAGE);
        if (strncmp(err.text, wanted, strlen(wanted)) != 0)
            TEST_FAIL("rule %zu: \"%s\", wanted \"%s\"", i, err.text, wanted);
        CHECK_EQ(out.used_bytes, 0);
    }
    csti_buffer_release(&out);
}

#define CHECK_RULES(RULES, INIT) check_rules(RULES, sizeof(RULES) / sizeof *(RULES), INIT)

TEST(a_manifest_that_breaks_a_rule_is_not_written_and_the_path_is_named) {
    memset(LONG_TEXT, 'a', sizeof LONG_TEXT - 1);
    CHECK_RULES(RULES, sample_init);
}

TEST(a_manifest_of_two_stages_that_breaks_a_rule_is_not_written_and_the_path_is_named) {
    CHECK_RULES(RULES_OF_STAGES, sample_of_two_stages);
}

TEST(a_manifest_with_stored_rows_that_breaks_a_rule_is_not_written_and_the_path_is_named) {
    CHECK_RULES(RULES_OF_ROWS, sample_with_rows);
}

TEST_MAIN
