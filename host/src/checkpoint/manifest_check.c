// manifest_check.c: the rules that a manifest keeps, whether it is about to be written or was read.
#include "checkpoint/manifest.h"
#include "codec/types.h"
#include "object/backend.h"
#include "state/segment_format.h"
#include "stream/stored_rows.h"
#include "table/program.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

// What is left to whoever does not want that.
#define WAY_OUT ", or begin anew with another store and, for a file sink, another folder"

enum { PATH_BYTES = 96, SCHEMA_TEXT_BYTES = 1024 };

// What every rule needs: whose manifest, and the code and place of an error.
typedef struct checker {
    const char *name;
    cst_code code;
    cst_err *err;
} checker;

#define WRONG(c, ...) wrong_at(c, cst_fail((c)->err, (c)->code, __VA_ARGS__))

static cst_code wrong_at(const checker *c, cst_code code) {
    return cst_fail_at(c->err, code, "manifest %s", c->name);
}

static cst_code check_text_of(const checker *c, const char *path, const char *text,
                              uint32_t bytes_max) {
    if (!text) return WRONG(c, "%s: is missing", path);
    const size_t count = strnlen(text, (size_t)bytes_max + 1);

    if (count == 0) return WRONG(c, "%s: is empty", path);
    if (count > bytes_max) return WRONG(c, "%s: is longer than %u bytes", path, bytes_max);
    if (csti_utf8_error_at((const uint8_t *)text, count) != count)
        return WRONG(c, "%s: is not UTF-8", path);
    for (size_t i = 0; i < count; i++)
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
            return WRONG(c, "%s: holds a control character", path);
    return CST_OK;
}

static cst_code check_text(const checker *c, const char *path, const char *text) {
    return check_text_of(c, path, text, CSTI_MANIFEST_TEXT_BYTES_MAX);
}

static cst_code check_number(const checker *c, const char *path, uint64_t number, uint64_t least) {
    if (number < least)
        return WRONG(c, "%s: is %" PRIu64 ", at least %" PRIu64, path, number, least);
    if (number > CSTI_MANIFEST_NUMBER_MAX) return WRONG(c, "%s: is above 2^63 - 1", path);
    return CST_OK;
}

static cst_code check_schema(const checker *c, const char *path, const char *text) {
    char again[SCHEMA_TEXT_BYTES];
    cst_schema schema;
    cst_err why = {.code = CST_OK};
    cst_code code = check_text(c, path, text);

    if (code != CST_OK) return code;
    if (cst_schema_parse(text, &schema, &why) != CST_OK) return WRONG(c, "%s: %s", path, why.text);
    if (cst_schema_format(&schema, again, sizeof again) != CST_OK || strcmp(text, again) != 0)
        return WRONG(c, "%s: is not canonical", path);
    return CST_OK;
}

static cst_code check_program(const checker *c, const char *path, const cst_program *program) {
    char ttl_path[PATH_BYTES];
    cst_err why = {.code = CST_OK};

    if (csti_program_check(program, &why) != CST_OK) return WRONG(c, "%s: %s", path, why.text);
    snprintf(ttl_path, sizeof ttl_path, "%s.ttl_us", path);
    return check_number(c, ttl_path, program->ttl_us, 0);
}

static cst_code check_then(const checker *c, const csti_manifest *manifest) {
    const csti_manifest_stage *then = manifest->then;
    cst_code code;

    if (!then) return CST_OK;
    if (manifest->partitions_count % 2 != 0)
        return WRONG(c, "partitions: %u are not as many of each stage", manifest->partitions_count);
    code = check_schema(c, "then.key_schema", then->key_schema);
    if (code == CST_OK) code = check_text(c, "then.value", then->value);
    if (code == CST_OK) code = check_program(c, "then.program", &then->program);
    if (code == CST_OK && then->table_id == 0) code = WRONG(c, "then.table_id: is 0");
    return code;
}

// Of another number it may be a sound manifest, which this program would read wrongly.
static cst_code check_key_groups(const checker *c, uint32_t count) {
    if (count == CST_KEY_GROUPS_COUNT) return CST_OK;
    return wrong_at(c,
                    cst_fail(c->err, c->code == CST_MANIFEST ? CST_MANIFEST_VERSION : c->code,
                             "key_groups_count: is %u, wants %u: the keys would be looked for in "
                             "other places. Go on with the program that wrote it" WAY_OUT,
                             count, CST_KEY_GROUPS_COUNT));
}

static cst_code check_head(const checker *c, const csti_manifest *manifest) {
    cst_code code = check_number(c, "incarnation", manifest->incarnation, 1);

    if (code == CST_OK) code = check_number(c, "id", manifest->id, 1);
    if (code == CST_OK && manifest->base_id >= manifest->id)
        code = WRONG(c, "base_id: %" PRIu64 " is not below the id, %" PRIu64, manifest->base_id,
                     manifest->id);
    if (code == CST_OK) code = check_text(c, "job", manifest->job);
    if (code == CST_OK && manifest->owner == 0) code = WRONG(c, "owner: is 0");
    if (code == CST_OK) code = check_number(c, "tenure", manifest->tenure, 1);
    if (code == CST_OK) code = check_schema(c, "key_schema", manifest->key_schema);
    if (code == CST_OK) code = check_text(c, "value", manifest->value);
    if (code == CST_OK) code = check_program(c, "program", &manifest->program);
    if (code == CST_OK && manifest->table_id == 0) code = WRONG(c, "table_id: is 0");
    if (code == CST_OK) code = check_key_groups(c, manifest->key_groups_count);
    if (code == CST_OK) code = check_text(c, "sink", manifest->sink);
    if (code == CST_OK) code = check_then(c, manifest);
    return code;
}

// Segment s of the chain, behind one that ended with epoch `tip` (0: it is the first).
static cst_code check_segment(const checker *c, uint32_t p, uint32_t s,
                              const csti_manifest_segment *segment, uint64_t tip) {
    const bool is_full =
        segment->kind == CST_SEGMENT_FULL_UNORDERED || segment->kind == CST_SEGMENT_FULL_ORDERED;
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "partitions[%u].segments[%u].epoch_to", p, s);
    if (!segment->name || !csti_object_name_is_good(segment->name))
        return WRONG(c, "partitions[%u].segments[%u].name: is no name of an object", p, s);
    if (!is_full && segment->kind != CST_SEGMENT_DELTA)
        return WRONG(c, "partitions[%u].segments[%u].kind: %d is none", p, s, (int)segment->kind);
    if (is_full != (s == 0))
        return WRONG(c, "partitions[%u].segments[%u].kind: a chain is a full, then deltas", p, s);
    if (segment->epoch_from != tip + 1)
        return WRONG(c, "partitions[%u].segments[%u].epoch_from: is %" PRIu64 ", wants %" PRIu64, p,
                     s, segment->epoch_from, tip + 1);
    if (segment->bytes < CSTI_SEGMENT_HEADER_BYTES + CSTI_SEGMENT_FOOTER_BYTES ||
        segment->bytes > CSTI_MANIFEST_NUMBER_MAX)
        return WRONG(c, "partitions[%u].segments[%u].bytes: %" PRIu64 " are no segment", p, s,
                     segment->bytes);
    return check_number(c, path, segment->epoch_to, segment->epoch_from);
}

static cst_code check_chain(const checker *c, uint32_t p,
                            const csti_manifest_partition *partition) {
    uint64_t tip = 0;

    if (partition->segments_count > CST_SEGMENTS_MAX)
        return WRONG(c, "partitions[%u].segments: %u, at most %u", p, partition->segments_count,
                     CST_SEGMENTS_MAX);
    if (partition->segments_count > 0 && !partition->segments)
        return WRONG(c, "partitions[%u].segments: are missing", p);
    for (uint32_t s = 0; s < partition->segments_count; s++) {
        const cst_code code = check_segment(c, p, s, &partition->segments[s], tip);

        if (code != CST_OK) return code;
        tip = partition->segments[s].epoch_to;
    }
    if (partition->epoch_to != tip)
        return WRONG(c, "partitions[%u].epoch_to: is %" PRIu64 ", its segments end with %" PRIu64,
                     p, partition->epoch_to, tip);
    if (partition->outbox_first > partition->segments_count)
        return WRONG(c, "partitions[%u].outbox_first: %u of %u segments", p,
                     partition->outbox_first, partition->segments_count);
    const uint64_t output_from = partition->outbox_first < partition->segments_count
                                     ? partition->segments[partition->outbox_first].epoch_from
                                     : tip + 1;
    if (partition->epoch_from != output_from)
        return WRONG(c,
                     "partitions[%u].epoch_from: is %" PRIu64
                     ", the output's segments begin with %" PRIu64,
                     p, partition->epoch_from, output_from);
    return CST_OK;
}

static cst_code check_rows(const checker *c, uint32_t p, const csti_manifest_partition *partition) {
    const csti_manifest_rows *rows = partition->rows;
    char path[PATH_BYTES];

    if (!rows) return CST_OK;
    if (partition->stage == 0) return WRONG(c, "partitions[%u].rows: it is of the first stage", p);
    if (!rows->name || !csti_object_name_is_good(rows->name))
        return WRONG(c, "partitions[%u].rows.name: is no name of an object", p);
    if (rows->epoch != partition->epoch_to)
        return WRONG(c, "partitions[%u].rows.epoch: is %" PRIu64 ", wants %" PRIu64, p, rows->epoch,
                     partition->epoch_to);
    if (rows->bytes <= CSTI_STORED_HEADER_BYTES || rows->bytes > CSTI_MANIFEST_NUMBER_MAX)
        return WRONG(c, "partitions[%u].rows.bytes: %" PRIu64 " are no rows", p, rows->bytes);
    snprintf(path, sizeof path, "partitions[%u].rows.rows_count", p);
    return check_number(c, path, rows->rows_count, 1);
}

static cst_code check_partition(const checker *c, uint32_t p,
                                const csti_manifest_partition *partition, uint32_t group) {
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "partitions[%u].tenure", p);
    if (partition->partition != p)
        return WRONG(c, "partitions[%u].partition: is %u", p, partition->partition);
    if (partition->group_from != group)
        return WRONG(c, "partitions[%u].group_from: is %u, wants %u", p, partition->group_from,
                     group);
    if (partition->group_to <= group || partition->group_to > CST_KEY_GROUPS_COUNT)
        return WRONG(c, "partitions[%u].group_to: is %u", p, partition->group_to);
    if (partition->owner == 0) return WRONG(c, "partitions[%u].owner: is 0", p);
    if (partition->rows_count > CSTI_MANIFEST_NUMBER_MAX)
        return WRONG(c, "partitions[%u].rows_count: is above 2^63 - 1", p);
    const cst_code code = check_number(c, path, partition->tenure, 1);
    if (code != CST_OK) return code;
    const cst_code chain = check_chain(c, p, partition);
    return chain == CST_OK ? check_rows(c, p, partition) : chain;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// An object stands in one place of one manifest.
static cst_code check_names(const checker *c, const csti_manifest *manifest, size_t names_count) {
    const char **names = calloc(names_count + 1, sizeof *names);
    cst_code code = CST_OK;
    size_t count = 0;

    if (!names) return cst_fail(c->err, CST_NO_MEMORY, "manifest %s: names", c->name);
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        for (uint32_t s = 0; s < manifest->partitions[p].segments_count; s++)
            names[count++] = manifest->partitions[p].segments[s].name;
        if (manifest->partitions[p].rows) names[count++] = manifest->partitions[p].rows->name;
    }
    assert(count == names_count);
    qsort(names, count, sizeof *names, by_text);
    for (size_t i = 1; i < count && code == CST_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            code = WRONG(c, "partitions: %s stands there twice", names[i]);
    free(names);
    return code;
}

// Behind the last partition of a stage.
static cst_code check_groups(const checker *c, uint32_t group) {
    if (group == CST_KEY_GROUPS_COUNT) return CST_OK;
    return WRONG(c, "partitions: key groups from %u on are nobody's", group);
}

static cst_code check_partitions(const checker *c, const csti_manifest *manifest) {
    const uint32_t first_count = manifest->partitions_count / csti_manifest_stages_count(manifest);
    uint32_t group = 0;
    size_t names_count = 0;

    if (manifest->partitions_count == 0 ||
        manifest->partitions_count > CSTI_MANIFEST_PARTITIONS_MAX)
        return WRONG(c, "partitions: %u, from 1 to %u", manifest->partitions_count,
                     CSTI_MANIFEST_PARTITIONS_MAX);
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const uint32_t stage = p < first_count ? 0 : 1;
        cst_code code = CST_OK;

        if (p == first_count) {
            code = check_groups(c, group);
            group = 0;
        }
        if (code == CST_OK && manifest->partitions[p].stage != stage)
            code = WRONG(c, "partitions[%u].stage: is %u, wants %u", p,
                         manifest->partitions[p].stage, stage);
        if (code == CST_OK) code = check_partition(c, p, &manifest->partitions[p], group);
        if (code != CST_OK) return code;
        group = manifest->partitions[p].group_to;
        names_count += manifest->partitions[p].segments_count;
        names_count += manifest->partitions[p].rows != NULL;
    }
    const cst_code code = check_groups(c, group);
    return code == CST_OK ? check_names(c, manifest, names_count) : code;
}

static cst_code check_offset(const checker *c, uint32_t index, const char *offset) {
    json_error_t why;
    json_t *json = json_loads(offset, JSON_DECODE_ANY, &why);

    if (!json) {
        if (json_error_code(&why) == json_error_out_of_memory)
            return cst_fail(c->err, CST_NO_MEMORY, "manifest %s: splits[%u].offset", c->name,
                            index);
        return WRONG(c, "splits[%u].offset: %s", index, why.text);
    }
    json_decref(json);
    return CST_OK;
}

static cst_code check_skips(const checker *c, const csti_manifest *manifest, uint32_t index) {
    const uint64_t *skips = manifest->splits[index].skips;
    bool any = false;

    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        if (skips[p] > CSTI_MANIFEST_NUMBER_MAX)
            return WRONG(c, "splits[%u].skips[%u]: is above 2^63 - 1", index, p);
        if (skips[p] > 0 && manifest->partitions[p].stage > 0)
            return WRONG(c, "splits[%u].skips[%u]: it is of the second stage", index, p);
        any = any || skips[p] > 0;
    }
    return any ? CST_OK : WRONG(c, "splits[%u].skips: are all 0", index);
}

static cst_code check_splits(const checker *c, const csti_manifest *manifest) {
    bool any_skips = false;

    if (manifest->splits_count > CSTI_MANIFEST_SPLITS_MAX)
        return WRONG(c, "splits: %u, at most %u", manifest->splits_count, CSTI_MANIFEST_SPLITS_MAX);
    for (uint32_t i = 0; i < manifest->splits_count; i++) {
        const csti_manifest_split *split = &manifest->splits[i];
        char path[PATH_BYTES];
        cst_code code;

        snprintf(path, sizeof path, "splits[%u].split", i);
        code = check_text(c, path, split->split);
        if (code == CST_OK && i > 0 && strcmp(manifest->splits[i - 1].split, split->split) >= 0)
            code =
                WRONG(c, "%s: \"%s\" does not sort behind the one before it", path, split->split);
        snprintf(path, sizeof path, "splits[%u].offset", i);
        if (code == CST_OK)
            code = check_text_of(c, path, split->offset, CSTI_MANIFEST_OFFSET_BYTES_MAX);
        if (code == CST_OK) code = check_offset(c, i, split->offset);
        if (code == CST_OK && split->skips) code = check_skips(c, manifest, i);
        if (code != CST_OK) return code;
        any_skips = any_skips || split->skips;
    }
    if (any_skips != csti_manifest_is_unaligned(manifest))
        return WRONG(c, "steps_hash: %s where %s split has skips", any_skips ? "is 0" : "is not 0",
                     any_skips ? "a" : "no");
    return CST_OK;
}

cst_code csti_manifest_check(const char *name, const csti_manifest *manifest, cst_code code,
                             cst_err *err) {
    const checker c = {.name = name, .code = code, .err = err};
    cst_code found = check_head(&c, manifest);

    if (found == CST_OK) found = check_partitions(&c, manifest);
    if (found == CST_OK) found = check_splits(&c, manifest);
    return found;
}

// Whether a stage's partitions can be read with the schema and the program that are expected.
static cst_code expect_stage(const csti_manifest *manifest, const csti_manifest_stage *stage,
                             const csti_job_identity *identity, cst_err *err) {
    static const cst_hash_key UNKNOWN;

    if (identity->table_id != 0 && stage->table_id != identity->table_id)
        return cst_fail(err, CST_JOB_MISMATCH,
                        "checkpoint %" PRIu64 " keeps \"%s\", not \"%s\": put that back" WAY_OUT,
                        manifest->id, stage->value, identity->value);
    if (strcmp(stage->key_schema, identity->key_schema) != 0)
        return cst_fail(err, CST_SEGMENT_SCHEMA,
                        "checkpoint %" PRIu64
                        " has keys of \"%s\", not \"%s\": put that back" WAY_OUT,
                        manifest->id, stage->key_schema, identity->key_schema);
    if (cst_segment_program_hash(&stage->program) != cst_segment_program_hash(&identity->program))
        return cst_fail(err, CST_SEGMENT_SCHEMA,
                        "checkpoint %" PRIu64
                        " keeps \"%s\" in another layout than \"%s\": go on with "
                        "the program that wrote it" WAY_OUT,
                        manifest->id, stage->value, identity->value);
    if (memcmp(&identity->hash_key, &UNKNOWN, sizeof UNKNOWN) != 0 &&
        memcmp(&identity->hash_key, &stage->hash_key, sizeof UNKNOWN) != 0)
        return cst_fail(err, CST_SEGMENT_HASH_KEY,
                        "checkpoint %" PRIu64 " was made with another hash key: its keys would be "
                        "looked for in other places. Put that key back" WAY_OUT,
                        manifest->id);
    return CST_OK;
}

static cst_code expect_stages(const csti_manifest *manifest, const csti_job_identity *identity,
                              cst_err *err) {
    const csti_manifest_stage first =
        csti_manifest_stage_of(manifest, &(csti_manifest_partition){.stage = 0});
    const cst_code code = expect_stage(manifest, &first, identity, err);

    if (code != CST_OK || (!manifest->then && !identity->then)) return code;
    if (!identity->then)
        return cst_fail(err, CST_JOB_MISMATCH,
                        "checkpoint %" PRIu64
                        " has a second stage, which keeps \"%s\", and the job file has none: put "
                        "its [then] back" WAY_OUT,
                        manifest->id, manifest->then->value);
    if (!manifest->then)
        return cst_fail(err, CST_JOB_MISMATCH,
                        "checkpoint %" PRIu64
                        " has one stage, and the job file a second, which keeps \"%s\": leave its "
                        "[then] out" WAY_OUT,
                        manifest->id, identity->then->value);
    return expect_stage(manifest, manifest->then, identity->then, err);
}

cst_code csti_manifest_expect(const csti_manifest *manifest, const csti_job_identity *identity,
                              cst_err *err) {
    cst_code code;

    if (strcmp(manifest->job, identity->job) != 0)
        return cst_fail(err, CST_JOB_MISMATCH,
                        "checkpoint %" PRIu64
                        " is of job \"%s\", not \"%s\": put that name there, or "
                        "name another store",
                        manifest->id, manifest->job, identity->job);
    code = expect_stages(manifest, identity, err);
    if (code != CST_OK) return code;
    if (csti_manifest_is_unaligned(manifest) && identity->steps_hash != 0 &&
        manifest->steps_hash != identity->steps_hash)
        return cst_fail(err, CST_JOB_MISMATCH,
                        "checkpoint %" PRIu64 " is not aligned, and was made with other filters or "
                        "operators: what is to be read again is counted behind them. Put them back "
                        "until the job has been stopped once; then they may change",
                        manifest->id);
    return CST_OK;
}
