#include "unit/checkpoint/manifests.h"

static csti_buffer written(const csti_manifest *manifest) {
    csti_buffer out;

    csti_buffer_init(&out, 2 * CSTI_MANIFEST_BYTES_MAX);
    CHECK_OK(csti_manifest_write(manifest, &out, NULL));
    return out;
}

// A golden manifest as it is read.
typedef struct golden {
    char *text;
    size_t bytes;
    csti_arena arena;
    csti_manifest manifest;
} golden;

static void golden_read(golden *g, const char *name) {
    g->text = golden_text(name, &g->bytes);
    csti_arena_init(&g->arena, MANIFEST_ARENA_BYTES);
    CHECK_OK(csti_manifest_read(name, g->text, g->bytes, &g->arena, &g->manifest, NULL));
}

static void golden_release(golden *g) {
    csti_arena_release(&g->arena);
    free(g->text);
}

static void golden_is_read_and_written(const char *name) {
    golden g;

    golden_read(&g, name);
    csti_buffer out = written(&g.manifest);
    CHECK_EQ(out.used_bytes, g.bytes);
    CHECK_BYTES(out.bytes, g.text, g.bytes);
    csti_buffer_release(&out);
    golden_release(&g);
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
    golden g;

    golden_read(&g, "several");
    const csti_manifest *manifest = &g.manifest;
    CHECK_EQ(manifest->incarnation, 2);
    CHECK_EQ(manifest->base_id, 15);
    CHECK_TEXT(manifest->job, "bids \"per\" auction \\ größte");
    CHECK_EQ(manifest->owner, 0xfedcba9876543210);
    CHECK_EQ(manifest->created_us, -1);
    CHECK_EQ(manifest->hash_key.k0, 0x8899aabbccddeeff);
    CHECK_EQ(manifest->program.accumulators[2].number, CST_DECIMAL128);
    CHECK_EQ(manifest->program.accumulators[1].source, 2);
    CHECK_EQ(manifest->partitions_count, 3);

    const csti_manifest_partition *carried = &manifest->partitions[1];
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
    CHECK_TEXT(manifest->partitions[0].segments[0].name, "folds/4-00000000000000f4/0-12");

    const csti_manifest_partition *untouched = &manifest->partitions[2];
    CHECK_EQ(untouched->segments_count, 0);
    CHECK_EQ(untouched->epoch_from, 1);
    CHECK_EQ(untouched->epoch_to, 0);
    CHECK(untouched->watermark_us == INT64_MIN);
    CHECK_TEXT(manifest->splits[0].offset, "{\"byte\":9007199254740993,\"path\":\"a\\\\b\"}");
    CHECK(manifest->splits[1].ended);
    golden_release(&g);
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

    csti_arena_init(&arena, MANIFEST_ARENA_BYTES);
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

    csti_arena_init(&arena, MANIFEST_ARENA_BYTES);
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

TEST(the_golden_manifest_with_stored_rows_means_what_it_says) {
    golden g;

    golden_read(&g, "rows");
    const csti_manifest *manifest = &g.manifest;
    CHECK(csti_manifest_has_rows(manifest));
    CHECK(csti_manifest_is_unaligned(manifest));
    CHECK(!manifest->partitions[2].rows);
    CHECK_TEXT(manifest->partitions[3].rows->name,
               "checkpoints/00000000000000000042/3-1-0123456789abcdef/rows-1");
    CHECK_EQ(manifest->partitions[3].rows->rows_count, 7);
    CHECK_EQ(manifest->partitions[3].rows->bytes, 408);
    CHECK_EQ(manifest->partitions[3].rows->checksum, 0x3a);
    CHECK_EQ(manifest->partitions[3].rows->epoch, 1);
    CHECK_EQ(manifest->splits[0].skips[0], 12);
    golden_release(&g);
}

TEST(the_golden_unaligned_manifest_means_what_it_says) {
    golden g;

    golden_read(&g, "unaligned");
    const csti_manifest *manifest = &g.manifest;
    CHECK(csti_manifest_is_unaligned(manifest));
    CHECK_EQ(manifest->steps_hash, 0xc0ffee00c0ffee);
    CHECK_EQ(manifest->splits[0].skips[0], 20);
    CHECK_EQ(manifest->splits[0].skips[1], 3);
    CHECK_EQ(manifest->splits[1].skips[1], INT64_MAX);
    CHECK(!manifest->splits[2].skips);
    golden_release(&g);
}

TEST(the_golden_manifest_of_two_stages_means_what_it_says) {
    golden g;

    golden_read(&g, "stages");
    const csti_manifest *manifest = &g.manifest;
    CHECK_EQ(csti_manifest_stages_count(manifest), 2);
    CHECK_TEXT(manifest->then->key_schema, "timestamp");
    CHECK_EQ(manifest->then->table_id, 0xc3);
    CHECK_EQ(manifest->then->hash_key.k1, 0x0010203040506070);
    CHECK_EQ(manifest->then->program.accumulators[0].op, CST_MAX);
    for (uint32_t p = 0; p < 4; p++) {
        CHECK_EQ(manifest->partitions[p].stage, p / 2);
        CHECK_EQ(manifest->partitions[p].group_from, p % 2 * 2048);
    }
    CHECK_TEXT(csti_manifest_stage_of(manifest, &manifest->partitions[1]).value, "bids=count");
    CHECK_TEXT(csti_manifest_stage_of(manifest, &manifest->partitions[2]).value,
               "highest=max(bids)");
    golden_release(&g);
}

TEST_MAIN
