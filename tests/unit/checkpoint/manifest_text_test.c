// Text of manifests that is refused: what is wrong with it, and where, is named.
#include "checkpoint/chain.h"
#include "unit/checkpoint/manifests.h"

// The golden text with its first `from` replaced.
static cst_code golden_read_changed(const char *name, const char *from, const char *to,
                                    cst_err *err) {
    size_t count = 0;
    char *text = golden_text(name, &count);
    char *at = strstr(text, from);
    char *changed = malloc(count + strlen(to) + 1);
    csti_manifest manifest;
    csti_arena arena;

    if (!at) TEST_FAIL("the golden manifest %s has no %s", name, from);
    CHECK(changed);
    csti_arena_init(&arena, MANIFEST_ARENA_BYTES);
    snprintf(changed, count + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to,
             at + strlen(from));
    const cst_code code = csti_manifest_read("m", changed, strlen(changed), &arena, &manifest, err);
    csti_arena_release(&arena);
    free(changed);
    free(text);
    return code;
}

static cst_code read_changed(const char *from, const char *to, cst_err *err) {
    return golden_read_changed("several", from, to, err);
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

    csti_arena_init(&arena, MANIFEST_ARENA_BYTES);
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

// Of that golden text; the reason stands somewhere in the error.
static void golden_refused(const char *name, const char *from, const char *to, const char *why) {
    cst_err err = {.code = CST_OK};

    CHECK_CODE(golden_read_changed(name, from, to, &err), CST_MANIFEST);
    if (!strstr(err.text, why)) TEST_FAIL("\"%s\", wanted \"%s\"", err.text, why);
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

TEST(every_cut_of_a_manifest_is_refused) {
    size_t count = 0;
    char *text = golden_text("several", &count);

    for (size_t cut = 0; cut + 1 < count; cut += TEST_EACH(1)) { // the last byte is a newline
        csti_manifest manifest;
        csti_arena arena;

        csti_arena_init(&arena, MANIFEST_ARENA_BYTES);
        CHECK_CODE(csti_manifest_read("cut", text, cut, &arena, &manifest, NULL), CST_MANIFEST);
        csti_arena_release(&arena);
    }
    free(text);
}

TEST(a_manifest_above_the_largest_is_refused_unread) {
    static const char NOTHING[1];
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, MANIFEST_ARENA_BYTES);
    CHECK_CODE(csti_manifest_read("huge", NOTHING, CSTI_MANIFEST_BYTES_MAX + 1, &arena, &manifest,
                                  NULL),
               CST_MANIFEST);
    csti_arena_release(&arena);
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
