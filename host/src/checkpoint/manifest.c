// manifest.c: manifests as JSON, both ways. docs/formats.md, Manifest, has the columns.
#include "checkpoint/manifest.h"

#include "base/bytes.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

enum { PATTERN_BYTES = CST_OBJECT_NAME_BYTES_MAX + 32, NUMBER_BYTES = 24 };
enum {
    PARTITION_COLUMNS = 5,
    SEGMENT_COLUMNS = 5,
    SPLIT_COLUMNS = 4,
    SPLIT_COLUMNS_MAX = 5,
    ROWS_COLUMNS = 5,
    ACCUMULATOR_COLUMNS = 4,
    FIELDS_MORE_MAX = 3, // of a version
};
// More than these make no sense of 16 MiB; jansson is not asked to hold them.
enum { NAMES_MAX = CSTI_MANIFEST_BYTES_MAX / 4 };

#define PARTITION_TOKEN "{partition}"
#define EPOCH_TOKEN "{epoch}"

static const char *const OPS[] = {[CST_COUNT] = "count",
                                  [CST_SUM] = "sum",
                                  [CST_MIN] = "min",
                                  [CST_MAX] = "max",
                                  [CST_LAST] = "last"};
static const char *const NUMBERS[] = {
    [CST_U64] = "u64", [CST_I64] = "i64", [CST_F64] = "f64", [CST_DECIMAL128] = "decimal128"};

static const char *const FIELDS[] = {
    "version", "incarnation", "id",           "base_id",          "job",
    "owner",   "tenure",      "created_us",   "key_schema",       "value",
    "program", "table_id",    "hash_key",     "key_groups_count", "sink",
    "names",   "owners",      "watermark_us", "partitions",       "splits"};
// What a version has beside those; NULL: nothing.
static const char *const FIELDS_OF_VERSION[][FIELDS_MORE_MAX] = {
    [CSTI_MANIFEST_VERSION_UNALIGNED] = {"steps_hash"},
    [CSTI_MANIFEST_VERSION_STAGES] = {"then"},
    [CSTI_MANIFEST_VERSION_ROWS] = {"steps_hash", "then", "rows"}};
static const char *const STAGE_FIELDS[] = {"key_schema", "value", "program", "table_id",
                                           "hash_key"};
static const char *const PROGRAM_FIELDS[] = {"value_bytes", "presence_offset", "ttl_us",
                                             "time_offset", "accumulators"};

// The highest of all partitions: theirs are told by how far they are behind. INT64_MIN: none.
static int64_t highest_watermark(const csti_manifest *manifest) {
    int64_t highest = INT64_MIN;

    for (uint32_t p = 0; p < manifest->partitions_count; p++)
        if (manifest->partitions[p].watermark_us > highest)
            highest = manifest->partitions[p].watermark_us;
    return highest;
}

// ---- Write --------------------------------------------------------------------------------------

typedef struct writer {
    csti_buffer *out;
    json_t *names;      // pattern ──► its index
    const char *behind; // a field
    cst_err *err;
    cst_code code; // the first error; nothing is written behind it
} writer;

#define PUT(w, ...)                                                                                \
    do {                                                                                           \
        if ((w)->code == CST_OK) (w)->code = csti_buffer_format((w)->out, (w)->err, __VA_ARGS__);  \
    } while (0)

// Checked: UTF-8 without control characters.
static void put_text(writer *w, const char *text) {
    PUT(w, "\"");
    while (*text && w->code == CST_OK) {
        const size_t plain = strcspn(text, "\"\\");

        w->code = csti_buffer_append(w->out, text, plain, w->err);
        text += plain;
        if (*text) PUT(w, "\\%c", *text++);
    }
    PUT(w, "\"");
}

static void put_field(writer *w, const char *field, const char *text) {
    PUT(w, "\"%s\":", field);
    put_text(w, text);
    PUT(w, "%s", w->behind);
}

static void put_watermark(writer *w, int64_t watermark_us) {
    if (watermark_us == INT64_MIN)
        PUT(w, "null");
    else
        PUT(w, "%" PRId64, watermark_us);
}

// The name with its partition and epoch left out, so that all partitions of a checkpoint share one.
static void pattern_of(const char *name, uint32_t partition, uint64_t epoch,
                       char out[PATTERN_BYTES]) {
    const char *from = name;
    const char *part = from;
    char number[NUMBER_BYTES];
    size_t used = 0;

    assert(from);
    const int number_count = snprintf(number, sizeof number, "%u-", partition);
    while (part && strncmp(part, number, (size_t)number_count) != 0) {
        part = strchr(part, '/');
        if (part) part++;
    }
    if (part) {
        used =
            (size_t)snprintf(out, PATTERN_BYTES, "%.*s" PARTITION_TOKEN, (int)(part - from), from);
        from = part + number_count - 1;
    }
    snprintf(number, sizeof number, "-%" PRIu64, epoch);
    const char *last = strrchr(from, '-');
    if (last && strcmp(last, number) == 0)
        snprintf(out + used, PATTERN_BYTES - used, "%.*s-" EPOCH_TOKEN, (int)(last - from), from);
    else
        snprintf(out + used, PATTERN_BYTES - used, "%s", from);
}

static void put_name(writer *w, const char *name, uint32_t partition, uint64_t epoch) {
    const size_t index = json_object_size(w->names);
    char pattern[PATTERN_BYTES];

    pattern_of(name, partition, epoch, pattern);
    if (w->code != CST_OK || json_object_get(w->names, pattern)) return;
    if (json_object_set_new(w->names, pattern, json_integer((json_int_t)index)) != 0)
        w->code = cst_fail(w->err, CST_NO_MEMORY, "manifest: names");
    PUT(w, "%s\"%s\"", index ? ",\n" : "\n", pattern);
}

static void put_names(writer *w, const csti_manifest *manifest) {
    PUT(w, "\"names\":[");
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        for (uint32_t s = 0; s < partition->segments_count; s++)
            put_name(w, partition->segments[s].name, p, partition->segments[s].epoch_to);
        if (partition->rows) put_name(w, partition->rows->name, p, partition->rows->epoch);
    }
    PUT(w, "],\n");
}

static json_int_t name_index(const writer *w, const char *name, uint32_t partition,
                             uint64_t epoch) {
    char pattern[PATTERN_BYTES];

    pattern_of(name, partition, epoch, pattern);
    return json_integer_value(json_object_get(w->names, pattern));
}

// The {owner, tenure} pairs that occur, in order; owner_of is where a partition's stands.
static uint32_t owner_of(const csti_manifest *manifest, uint32_t partition, uint32_t *firsts,
                         uint32_t firsts_count) {
    const csti_manifest_partition *own = &manifest->partitions[partition];
    uint32_t index = 0;

    while (index < firsts_count && (manifest->partitions[firsts[index]].owner != own->owner ||
                                    manifest->partitions[firsts[index]].tenure != own->tenure))
        index++;
    return index;
}

static void put_chain(writer *w, uint32_t p, const csti_manifest_partition *partition) {
    for (uint32_t s = 0; s < partition->segments_count; s++) {
        const csti_manifest_segment *segment = &partition->segments[s];

        PUT(w, ",[%" JSON_INTEGER_FORMAT ",%d,%" PRIu64 ",%" PRIu64 ",\"%08x\"]",
            name_index(w, segment->name, p, segment->epoch_to), (int)segment->kind,
            segment->epoch_to - segment->epoch_from + 1, segment->bytes, segment->checksum);
    }
}

static void put_rows(writer *w, const csti_manifest *manifest) {
    bool any = false;

    PUT(w, "\"rows\":[");
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_rows *rows = manifest->partitions[p].rows;

        if (!rows) continue;
        PUT(w, "%s[%u,%" JSON_INTEGER_FORMAT ",%" PRIu64 ",%" PRIu64 ",\"%08x\"]",
            any ? ",\n" : "\n", p, name_index(w, rows->name, p, rows->epoch), rows->rows_count,
            rows->bytes, rows->checksum);
        any = true;
    }
    PUT(w, "],\n");
}

static void put_partitions(writer *w, const csti_manifest *manifest) {
    const int64_t highest = highest_watermark(manifest);
    uint32_t *firsts = calloc(manifest->partitions_count, sizeof *firsts);
    uint32_t firsts_count = 0;

    if (!firsts && w->code == CST_OK) w->code = cst_fail(w->err, CST_NO_MEMORY, "manifest: owners");
    PUT(w, "\"owners\":[");
    for (uint32_t p = 0; p < manifest->partitions_count && w->code == CST_OK; p++) {
        if (owner_of(manifest, p, firsts, firsts_count) < firsts_count) continue;
        PUT(w, "%s[\"%016" PRIx64 "\",%" PRIu64 "]", firsts_count ? ",\n" : "\n",
            manifest->partitions[p].owner, manifest->partitions[p].tenure);
        firsts[firsts_count++] = p;
    }
    PUT(w, "],\n\"watermark_us\":");
    put_watermark(w, highest);
    PUT(w, ",\n\"partitions\":[");
    for (uint32_t p = 0; p < manifest->partitions_count && w->code == CST_OK; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        PUT(w, "%s[%u,%u,%" PRIu64 ",", p ? ",\n" : "\n",
            partition->group_to - partition->group_from,
            owner_of(manifest, p, firsts, firsts_count),
            partition->epoch_to + 1 - partition->epoch_from);
        put_watermark(w, partition->watermark_us == INT64_MIN
                             ? INT64_MIN
                             : (int64_t)((uint64_t)highest - (uint64_t)partition->watermark_us));
        PUT(w, ",%" PRIu64, partition->rows_count);
        put_chain(w, p, partition);
        PUT(w, "]");
    }
    PUT(w, "],\n");
    free(firsts);
}

static void put_program(writer *w, const cst_program *program) {
    PUT(w,
        "\"program\":{\"value_bytes\":%u,\"presence_offset\":%u,\"ttl_us\":%" PRIu64
        ",\"time_offset\":%u,\"accumulators\":[",
        program->value_bytes, program->presence_offset, program->ttl_us, program->time_offset);
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];

        PUT(w, "%s[\"%s\",\"%s\",%u,%u]", i ? "," : "", OPS[accumulator->op],
            NUMBERS[accumulator->number], accumulator->value_offset, accumulator->source);
    }
    PUT(w, "]}%s", w->behind);
}

static void put_stage(writer *w, const csti_manifest_stage *stage) {
    uint8_t hash_key[16];

    put_field(w, "key_schema", stage->key_schema);
    put_field(w, "value", stage->value);
    put_program(w, &stage->program);
    PUT(w, "\"table_id\":\"%016" PRIx64 "\"%s\"hash_key\":\"", stage->table_id, w->behind);
    csti_store_le64(hash_key, stage->hash_key.k0);
    csti_store_le64(hash_key + 8, stage->hash_key.k1);
    for (size_t i = 0; i < sizeof hash_key; i++) PUT(w, "%02x", hash_key[i]);
    PUT(w, "\"");
}

static int version_of(const csti_manifest *manifest) {
    const bool has_rows = csti_manifest_has_rows(manifest);

    if (has_rows || (manifest->then && csti_manifest_is_unaligned(manifest)))
        return CSTI_MANIFEST_VERSION_ROWS;
    if (manifest->then) return CSTI_MANIFEST_VERSION_STAGES;
    return csti_manifest_is_unaligned(manifest) ? CSTI_MANIFEST_VERSION_UNALIGNED
                                                : CSTI_MANIFEST_VERSION_ALIGNED;
}

static void put_head(writer *w, const csti_manifest *manifest) {
    const csti_manifest_stage first =
        csti_manifest_stage_of(manifest, &(csti_manifest_partition){.stage = 0});

    PUT(w,
        "{\n\"version\":%d,\n\"incarnation\":%" PRIu64 ",\n\"id\":%" PRIu64
        ",\n\"base_id\":%" PRIu64 ",\n",
        version_of(manifest), manifest->incarnation, manifest->id, manifest->base_id);
    put_field(w, "job", manifest->job);
    PUT(w, "\"owner\":\"%016" PRIx64 "\",\n\"tenure\":%" PRIu64 ",\n\"created_us\":%" PRId64 ",\n",
        manifest->owner, manifest->tenure, manifest->created_us);
    put_stage(w, &first);
    if (manifest->then) {
        PUT(w, ",\n\"then\":{");
        w->behind = ",";
        put_stage(w, manifest->then);
        w->behind = ",\n";
        PUT(w, "}");
    }
    PUT(w, ",\n\"key_groups_count\":%u,\n", manifest->key_groups_count);
    put_field(w, "sink", manifest->sink);
    if (csti_manifest_is_unaligned(manifest) || csti_manifest_has_rows(manifest))
        PUT(w, "\"steps_hash\":\"%016" PRIx64 "\",\n", manifest->steps_hash);
}

static void put_splits(writer *w, const csti_manifest *manifest) {
    PUT(w, "\"splits\":[");
    for (uint32_t i = 0; i < manifest->splits_count; i++) {
        const csti_manifest_split *split = &manifest->splits[i];

        PUT(w, "%s[", i ? ",\n" : "\n");
        put_text(w, split->split);
        PUT(w, ",");
        put_text(w, split->offset);
        PUT(w, ",");
        put_watermark(w, split->watermark_us);
        PUT(w, ",%s", split->ended ? "true" : "false");
        for (uint32_t p = 0; split->skips && p < manifest->partitions_count; p++)
            PUT(w, "%s%" PRIu64, p ? "," : ",[", split->skips[p]);
        PUT(w, split->skips ? "]]" : "]");
    }
    PUT(w, "]\n}\n");
}

cst_code csti_manifest_write(const csti_manifest *manifest, csti_buffer *out, cst_err *err) {
    writer w = {.out = out, .behind = ",\n", .err = err, .code = CST_OK};
    const size_t used_bytes = out->used_bytes;

    w.code = csti_manifest_check("to be written", manifest, CST_USAGE, err);
    if (w.code != CST_OK) return w.code;
    w.names = json_object();
    if (!w.names) return cst_fail(err, CST_NO_MEMORY, "manifest: names");
    put_head(&w, manifest);
    put_names(&w, manifest);
    put_partitions(&w, manifest);
    if (version_of(manifest) == CSTI_MANIFEST_VERSION_ROWS) put_rows(&w, manifest);
    put_splits(&w, manifest);
    json_decref(w.names);
    if (w.code == CST_OK && out->used_bytes - used_bytes > CSTI_MANIFEST_BYTES_MAX)
        w.code = cst_fail(err, CST_LIMIT, "manifest: more than %d bytes", CSTI_MANIFEST_BYTES_MAX);
    if (w.code != CST_OK) out->used_bytes = used_bytes;
    return w.code;
}

// ---- Read ---------------------------------------------------------------------------------------

typedef struct reader {
    const char *name;
    csti_arena *arena;
    cst_err *err;
    cst_code code; // the first error; what is read behind it is zeros
    int version;
    char where[64]; // the row read now: "partitions[3]"
} reader;

// Whether a manifest of that version can have `skips`.
static bool may_be_unaligned(const reader *r) {
    return r->version == CSTI_MANIFEST_VERSION_UNALIGNED ||
           r->version == CSTI_MANIFEST_VERSION_ROWS;
}

static bool is_one_of(const char *text, const char *const *more) {
    for (int i = 0; more && i < FIELDS_MORE_MAX && more[i]; i++)
        if (strcmp(more[i], text) == 0) return true;
    return false;
}

static void wrong_at(reader *r, const char *field) {
    r->code = cst_fail_at(r->err, CST_MANIFEST, "manifest %s: %s%s%s", r->name, r->where,
                          *r->where && *field ? "." : "", field);
}

#define WRONG(r, field, ...)                                                                       \
    do {                                                                                           \
        if ((r)->code == CST_OK) {                                                                 \
            (r)->code = cst_fail((r)->err, CST_MANIFEST, __VA_ARGS__);                             \
            wrong_at(r, field);                                                                    \
        }                                                                                          \
    } while (0)

static void *take_memory(reader *r, size_t count, size_t bytes) {
    void *memory = NULL;

    if (r->code != CST_OK) return NULL;
    r->code = csti_arena_alloc(r->arena, count * bytes, _Alignof(max_align_t), &memory, r->err);
    if (r->code == CST_OK) memset(memory, 0, count * bytes);
    return memory;
}

static uint64_t get_number(reader *r, const char *field, const json_t *json, uint64_t most) {
    if (!json_is_integer(json)) {
        WRONG(r, field, "is no whole number");
        return 0;
    }
    if (json_integer_value(json) < 0 || (uint64_t)json_integer_value(json) > most) {
        WRONG(r, field, "is %" JSON_INTEGER_FORMAT ", from 0 to %" PRIu64, json_integer_value(json),
              most);
        return 0;
    }
    return (uint64_t)json_integer_value(json);
}

static int64_t get_signed(reader *r, const char *field, const json_t *json) {
    if (!json_is_integer(json)) WRONG(r, field, "is no whole number");
    return json_integer_value(json);
}

// null: INT64_MIN, which is no number of its own.
static int64_t get_watermark(reader *r, const char *field, const json_t *json) {
    if (json_is_null(json)) return INT64_MIN;
    const int64_t number = get_signed(r, field, json);
    if (number == INT64_MIN) WRONG(r, field, "is below every number");
    return number;
}

// A copy in the arena; "" after an error.
static const char *get_text(reader *r, const char *field, const json_t *json) {
    const size_t bytes = json_string_length(json) + 1;

    if (!json_is_string(json)) {
        WRONG(r, field, "is no text");
        return "";
    }
    char *copy = take_memory(r, 1, bytes);
    if (!copy) return "";
    memcpy(copy, json_string_value(json), bytes);
    return copy;
}

// Exactly `digits` lower-case hex digits, at most 16.
static uint64_t get_hex(reader *r, const char *field, const json_t *json, size_t at, size_t digits,
                        size_t of) {
    const char *text = json_string_value(json);
    uint64_t number = 0;

    assert(digits <= 16);
    if (!text || json_string_length(json) != of ||
        strspn(text, "0123456789abcdef") != json_string_length(json)) {
        WRONG(r, field, "is not %zu hex digits", of);
        return 0;
    }
    for (size_t i = at; i < at + digits; i++)
        number = number << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    return number;
}

// The index of the text in `words`, whose first is not used.
static uint8_t get_word(reader *r, const char *field, const json_t *json, const char *const *words,
                        uint8_t words_count) {
    for (uint8_t i = 1; i < words_count; i++)
        if (json_is_string(json) && strcmp(json_string_value(json), words[i]) == 0) return i;
    WRONG(r, field, "is not %s to %s", words[1], words[words_count - 1]);
    return 1;
}

// The array and its length; NULL: none, and that is said.
static json_t *get_array(reader *r, const char *field, json_t *json, size_t least, size_t most,
                         uint32_t *count_out) {
    *count_out = 0;
    if (!json_is_array(json)) {
        WRONG(r, field, "is no array");
        return NULL;
    }
    if (json_array_size(json) < least || json_array_size(json) > most) {
        WRONG(r, field, "has %zu entries, from %zu to %zu", json_array_size(json), least, most);
        return NULL;
    }
    *count_out = (uint32_t)json_array_size(json);
    return json;
}

static json_t *get_member(reader *r, json_t *object, const char *field) {
    json_t *json = json_object_get(object, field);

    if (!json) WRONG(r, field, "is missing");
    return json;
}

// `more`: FIELDS_MORE_MAX of the version; may be NULL.
static void refuse_unknown(reader *r, json_t *object, const char *const *fields, size_t count,
                           const char *const *more) {
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach(object, key, value) {
        size_t i = 0;

        while (i < count && strcmp(fields[i], key) != 0) i++;
        if (i == count && !is_one_of(key, more))
            WRONG(r, key, "is not a field of version %d", r->version);
    }
}

// The inverse of pattern_of.
static const char *expand(reader *r, const char *pattern, uint32_t partition, uint64_t epoch_to) {
    char name[CST_OBJECT_NAME_BYTES_MAX + 1];
    size_t used = 0;

    while (*pattern && used < sizeof name) {
        if (strncmp(pattern, PARTITION_TOKEN, strlen(PARTITION_TOKEN)) == 0) {
            used += (size_t)snprintf(name + used, sizeof name - used, "%u", partition);
            pattern += strlen(PARTITION_TOKEN);
        } else if (strncmp(pattern, EPOCH_TOKEN, strlen(EPOCH_TOKEN)) == 0) {
            used += (size_t)snprintf(name + used, sizeof name - used, "%" PRIu64, epoch_to);
            pattern += strlen(EPOCH_TOKEN);
        } else {
            name[used++] = *pattern++;
        }
    }
    if (used >= sizeof name) {
        WRONG(r, "name", "is longer than %d bytes", CST_OBJECT_NAME_BYTES_MAX);
        return "";
    }
    name[used] = '\0';
    char *copy = take_memory(r, 1, used + 1);
    if (!copy) return "";
    memcpy(copy, name, used + 1);
    return copy;
}

static void read_segment(reader *r, json_t *row, json_t *names, uint32_t partition, uint64_t tip,
                         csti_manifest_segment *out) {
    const size_t names_count = json_array_size(names);
    uint32_t columns = 0;

    if (!get_array(r, "", row, SEGMENT_COLUMNS, SEGMENT_COLUMNS, &columns)) return;
    out->kind = (cst_segment_kind)get_number(r, "kind", json_array_get(row, 1), UINT8_MAX);
    const uint64_t epochs =
        get_number(r, "epochs", json_array_get(row, 2), CSTI_MANIFEST_NUMBER_MAX - tip);
    out->epoch_from = tip + 1;
    out->epoch_to = tip + epochs;
    out->bytes = get_number(r, "bytes", json_array_get(row, 3), CSTI_MANIFEST_NUMBER_MAX);
    out->checksum = (uint32_t)get_hex(r, "checksum", json_array_get(row, 4), 0, 8, 8);
    const uint64_t index = get_number(r, "name", json_array_get(row, 0), NAMES_MAX);
    if (index >= names_count)
        WRONG(r, "name", "%" PRIu64 " of %zu names", index, names_count);
    else if (r->code == CST_OK)
        out->name =
            expand(r, json_string_value(json_array_get(names, index)), partition, out->epoch_to);
}

static void read_chain(reader *r, json_t *row, json_t *names, csti_manifest_partition *out,
                       uint64_t new_epochs) {
    csti_manifest_segment *segments =
        take_memory(r, out->segments_count, sizeof(csti_manifest_segment));
    const uint32_t p = out->partition;

    for (uint32_t s = 0; s < out->segments_count && r->code == CST_OK; s++) {
        snprintf(r->where, sizeof r->where, "partitions[%u].segments[%u]", p, s);
        read_segment(r, json_array_get(row, PARTITION_COLUMNS + s), names, p, out->epoch_to,
                     &segments[s]);
        out->epoch_to = segments[s].epoch_to;
    }
    if (r->code != CST_OK) return;
    snprintf(r->where, sizeof r->where, "partitions[%u]", p);
    if (new_epochs > out->epoch_to)
        WRONG(r, "epochs", "%" PRIu64 " of %" PRIu64 " are new", new_epochs, out->epoch_to);
    out->segments = segments;
    out->epoch_from = out->epoch_to + 1 - new_epochs;
    out->outbox_first = 0;
    while (out->outbox_first < out->segments_count &&
           segments[out->outbox_first].epoch_from < out->epoch_from)
        out->outbox_first++;
}

static void read_partition(reader *r, json_t *row, json_t *names, json_t *owners, int64_t highest,
                           csti_manifest_partition *out) {
    const size_t owners_count = json_array_size(owners);
    uint32_t columns = 0;

    if (!get_array(r, "", row, PARTITION_COLUMNS, PARTITION_COLUMNS + CST_SEGMENTS_MAX, &columns))
        return;
    out->group_to = out->group_from +
                    (uint32_t)get_number(r, "groups", json_array_get(row, 0), CST_KEY_GROUPS_COUNT);
    const uint64_t owner = get_number(r, "owner", json_array_get(row, 1), NAMES_MAX);
    const uint64_t new_epochs =
        get_number(r, "epochs", json_array_get(row, 2), CSTI_MANIFEST_NUMBER_MAX);
    out->watermark_us = INT64_MIN;
    if (!json_is_null(json_array_get(row, 3))) // modulo 2^64: any two watermarks have a distance
        out->watermark_us = (int64_t)((uint64_t)highest -
                                      (uint64_t)get_signed(r, "behind_us", json_array_get(row, 3)));
    if (highest == INT64_MIN && !json_is_null(json_array_get(row, 3)))
        WRONG(r, "behind_us", "is behind none");
    out->rows_count = get_number(r, "rows_count", json_array_get(row, 4), CSTI_MANIFEST_NUMBER_MAX);
    out->segments_count = columns - PARTITION_COLUMNS;
    if (owner >= owners_count) {
        WRONG(r, "owner", "%" PRIu64 " of %zu owners", owner, owners_count);
        return;
    }
    json_t *pair = json_array_get(owners, owner);
    out->owner = get_hex(r, "owner", json_array_get(pair, 0), 0, 16, 16);
    out->tenure = get_number(r, "tenure", json_array_get(pair, 1), CSTI_MANIFEST_NUMBER_MAX);
    if (json_array_size(pair) != 2) WRONG(r, "owner", "is no pair of owner and tenure");
    read_chain(r, row, names, out, new_epochs);
}

// Behind the partitions.
static void read_rows(reader *r, json_t *root, csti_manifest_partition *partitions,
                      uint32_t partitions_count) {
    json_t *names = json_object_get(root, "names");
    uint32_t count = 0;
    json_t *list = get_array(r, "rows", get_member(r, root, "rows"), 0, partitions_count, &count);
    csti_manifest_rows *rows = take_memory(r, count, sizeof *rows);

    for (uint32_t i = 0; i < count && r->code == CST_OK; i++) {
        json_t *row = json_array_get(list, i);
        uint32_t columns = 0;

        snprintf(r->where, sizeof r->where, "rows[%u]", i);
        if (!get_array(r, "", row, ROWS_COLUMNS, ROWS_COLUMNS, &columns)) return;
        const uint64_t p = get_number(r, "partition", json_array_get(row, 0), partitions_count - 1);
        const uint64_t index =
            get_number(r, "name", json_array_get(row, 1), json_array_size(names));
        rows[i].rows_count =
            get_number(r, "rows_count", json_array_get(row, 2), CSTI_MANIFEST_NUMBER_MAX);
        rows[i].bytes = get_number(r, "bytes", json_array_get(row, 3), CSTI_MANIFEST_NUMBER_MAX);
        rows[i].checksum = (uint32_t)get_hex(r, "checksum", json_array_get(row, 4), 0, 8, 8);
        rows[i].epoch = partitions[p].epoch_to;
        if (i > 0 && json_integer_value(json_array_get(json_array_get(list, i - 1), 0)) >=
                         json_integer_value(json_array_get(row, 0)))
            WRONG(r, "partition", "does not come behind the one before it");
        if (index >= json_array_size(names))
            WRONG(r, "name", "%" PRIu64 " of %zu names", index, json_array_size(names));
        else if (r->code == CST_OK)
            rows[i].name = expand(r, json_string_value(json_array_get(names, index)), (uint32_t)p,
                                  rows[i].epoch);
        partitions[p].rows = &rows[i];
    }
    if (r->code == CST_OK) r->where[0] = '\0';
}

static void read_partitions(reader *r, json_t *root, csti_manifest *out) {
    uint32_t names_count = 0;
    uint32_t owners_count = 0;
    json_t *names = get_array(r, "names", get_member(r, root, "names"), 0, NAMES_MAX, &names_count);
    json_t *owners = get_array(r, "owners", get_member(r, root, "owners"), 1,
                               CSTI_MANIFEST_PARTITIONS_MAX, &owners_count);
    json_t *rows = get_array(r, "partitions", get_member(r, root, "partitions"), 1,
                             CSTI_MANIFEST_PARTITIONS_MAX, &out->partitions_count);
    const int64_t highest = get_watermark(r, "watermark_us", get_member(r, root, "watermark_us"));
    csti_manifest_partition *partitions =
        take_memory(r, out->partitions_count, sizeof(csti_manifest_partition));

    for (uint32_t i = 0; i < names_count && r->code == CST_OK; i++)
        if (!json_is_string(json_array_get(names, i))) WRONG(r, "names", "%u is no text", i);
    for (uint32_t p = 0; p < out->partitions_count && r->code == CST_OK; p++) {
        const bool first_of_then = out->then && p == out->partitions_count / 2;

        partitions[p].partition = p;
        partitions[p].stage = out->then && p >= out->partitions_count / 2 ? 1 : 0;
        partitions[p].group_from = p == 0 || first_of_then ? 0 : partitions[p - 1].group_to;
        snprintf(r->where, sizeof r->where, "partitions[%u]", p);
        read_partition(r, json_array_get(rows, p), names, owners, highest, &partitions[p]);
    }
    if (r->code != CST_OK) return;
    r->where[0] = '\0';
    if (r->version == CSTI_MANIFEST_VERSION_ROWS)
        read_rows(r, root, partitions, out->partitions_count);
    out->partitions = partitions;
    if (highest_watermark(out) != highest) WRONG(r, "watermark_us", "is no partition's");
}

static const uint64_t *get_skips(reader *r, json_t *json, uint32_t partitions_count) {
    uint32_t count = 0;
    uint64_t *skips;

    if (!get_array(r, "skips", json, partitions_count, partitions_count, &count)) return NULL;
    skips = take_memory(r, count, sizeof *skips);
    for (uint32_t p = 0; p < count && r->code == CST_OK; p++)
        skips[p] = get_number(r, "skips", json_array_get(json, p), CSTI_MANIFEST_NUMBER_MAX);
    return skips;
}

static void read_splits(reader *r, json_t *root, csti_manifest *out) {
    const size_t columns_max = may_be_unaligned(r) ? SPLIT_COLUMNS_MAX : SPLIT_COLUMNS;
    json_t *rows = get_array(r, "splits", get_member(r, root, "splits"), 0,
                             CSTI_MANIFEST_SPLITS_MAX, &out->splits_count);
    csti_manifest_split *splits = take_memory(r, out->splits_count, sizeof(csti_manifest_split));

    for (uint32_t i = 0; i < out->splits_count && r->code == CST_OK; i++) {
        json_t *row = json_array_get(rows, i);
        uint32_t columns = 0;

        snprintf(r->where, sizeof r->where, "splits[%u]", i);
        if (!get_array(r, "", row, SPLIT_COLUMNS, columns_max, &columns)) break;
        splits[i].split = get_text(r, "split", json_array_get(row, 0));
        splits[i].offset = get_text(r, "offset", json_array_get(row, 1));
        splits[i].watermark_us = get_watermark(r, "watermark_us", json_array_get(row, 2));
        splits[i].ended = json_is_true(json_array_get(row, 3));
        if (!json_is_boolean(json_array_get(row, 3))) WRONG(r, "ended", "is not true or false");
        if (columns > SPLIT_COLUMNS)
            splits[i].skips = get_skips(r, json_array_get(row, 4), out->partitions_count);
    }
    if (r->code == CST_OK) r->where[0] = '\0';
    out->splits = splits;
}

static void read_program(reader *r, json_t *json, const char *path, cst_program *out) {
    uint32_t count = 0;

    if (!json_is_object(json)) {
        WRONG(r, "program", "is no object");
        return;
    }
    snprintf(r->where, sizeof r->where, "%s", path);
    refuse_unknown(r, json, PROGRAM_FIELDS, sizeof PROGRAM_FIELDS / sizeof PROGRAM_FIELDS[0], NULL);
    out->value_bytes =
        (uint32_t)get_number(r, "value_bytes", get_member(r, json, "value_bytes"), UINT32_MAX);
    out->presence_offset = (uint16_t)get_number(r, "presence_offset",
                                                get_member(r, json, "presence_offset"), UINT16_MAX);
    out->ttl_us = get_number(r, "ttl_us", get_member(r, json, "ttl_us"), CSTI_MANIFEST_NUMBER_MAX);
    out->time_offset =
        (uint16_t)get_number(r, "time_offset", get_member(r, json, "time_offset"), UINT16_MAX);
    json_t *rows = get_array(r, "accumulators", get_member(r, json, "accumulators"), 0,
                             CST_ACCUMULATORS_MAX, &count);
    out->accumulators_count = (uint16_t)count;
    for (uint32_t i = 0; i < count && r->code == CST_OK; i++) {
        json_t *row = json_array_get(rows, i);
        cst_accumulator *accumulator = &out->accumulators[i];
        uint32_t columns = 0;

        snprintf(r->where, sizeof r->where, "%s.accumulators[%u]", path, i);
        if (!get_array(r, "", row, ACCUMULATOR_COLUMNS, ACCUMULATOR_COLUMNS, &columns)) return;
        accumulator->op = get_word(r, "op", json_array_get(row, 0), OPS, CST_LAST + 1);
        accumulator->number =
            get_word(r, "number", json_array_get(row, 1), NUMBERS, CST_DECIMAL128 + 1);
        accumulator->value_offset =
            (uint16_t)get_number(r, "value_offset", json_array_get(row, 2), UINT16_MAX);
        accumulator->source = (uint16_t)get_number(r, "source", json_array_get(row, 3), UINT16_MAX);
    }
    if (r->code == CST_OK) r->where[0] = '\0';
}

static uint64_t member_number(reader *r, json_t *root, const char *field) {
    return get_number(r, field, get_member(r, root, field), CSTI_MANIFEST_NUMBER_MAX);
}

static const char *member_text(reader *r, json_t *root, const char *field) {
    return get_text(r, field, get_member(r, root, field));
}

static void read_stage(reader *r, json_t *object, const char *path, csti_manifest_stage *out) {
    uint8_t hash_key[16];
    char program[64];

    snprintf(program, sizeof program, "%s%sprogram", path, *path ? "." : "");
    snprintf(r->where, sizeof r->where, "%s", path);
    out->key_schema = member_text(r, object, "key_schema");
    out->value = member_text(r, object, "value");
    read_program(r, get_member(r, object, "program"), program, &out->program);
    if (r->code == CST_OK) snprintf(r->where, sizeof r->where, "%s", path);
    out->table_id = get_hex(r, "table_id", get_member(r, object, "table_id"), 0, 16, 16);
    for (size_t i = 0; i < sizeof hash_key; i++)
        hash_key[i] = (uint8_t)get_hex(r, "hash_key", get_member(r, object, "hash_key"), 2 * i, 2,
                                       2 * sizeof hash_key);
    out->hash_key = (cst_hash_key){csti_load_le64(hash_key), csti_load_le64(hash_key + 8)};
    if (r->code == CST_OK) r->where[0] = '\0';
}

static void read_then(reader *r, json_t *json, csti_manifest *out) {
    csti_manifest_stage *then = take_memory(r, 1, sizeof *then);

    if (r->code != CST_OK) return;
    if (!json_is_object(json)) {
        WRONG(r, "then", "is no object");
        return;
    }
    snprintf(r->where, sizeof r->where, "then");
    refuse_unknown(r, json, STAGE_FIELDS, sizeof STAGE_FIELDS / sizeof STAGE_FIELDS[0], NULL);
    if (r->code == CST_OK) read_stage(r, json, "then", then);
    out->then = then;
}

static void read_head(reader *r, json_t *root, csti_manifest *out) {
    csti_manifest_stage first = {0};

    out->incarnation = member_number(r, root, "incarnation");
    out->id = member_number(r, root, "id");
    out->base_id = member_number(r, root, "base_id");
    out->job = member_text(r, root, "job");
    out->owner = get_hex(r, "owner", get_member(r, root, "owner"), 0, 16, 16);
    out->tenure = member_number(r, root, "tenure");
    out->created_us = get_signed(r, "created_us", get_member(r, root, "created_us"));
    read_stage(r, root, "", &first);
    out->key_schema = first.key_schema;
    out->value = first.value;
    out->program = first.program;
    out->table_id = first.table_id;
    out->hash_key = first.hash_key;
    if (r->version >= CSTI_MANIFEST_VERSION_STAGES) read_then(r, get_member(r, root, "then"), out);
    out->key_groups_count =
        (uint32_t)get_number(r, "key_groups_count", get_member(r, root, "key_groups_count"),
                             UINT32_MAX);
    out->sink = member_text(r, root, "sink");
    if (may_be_unaligned(r))
        out->steps_hash = get_hex(r, "steps_hash", get_member(r, root, "steps_hash"), 0, 16, 16);
}

// Before anything else: a newer manifest may look like nothing known.
static void read_version(reader *r, json_t *root) {
    if (!json_is_object(root)) {
        WRONG(r, "", "is no object");
        return;
    }
    const uint64_t version = member_number(r, root, "version");
    if (r->code == CST_OK && version > CSTI_MANIFEST_VERSION)
        r->code = cst_fail(r->err, CST_MANIFEST_VERSION,
                           "manifest %s: version %" PRIu64 ", this program reads %d", r->name,
                           version, CSTI_MANIFEST_VERSION);
    else if (version < CSTI_MANIFEST_VERSION_ALIGNED)
        WRONG(r, "version", "%" PRIu64 " never was", version);
    r->version = (int)version;
}

cst_code csti_manifest_read(const char *name, const void *bytes, size_t count, csti_arena *arena,
                            csti_manifest *out, cst_err *err) {
    reader r = {.name = name, .arena = arena, .err = err, .code = CST_OK};
    csti_manifest manifest = {0};
    json_error_t why;

    if (count > CSTI_MANIFEST_BYTES_MAX)
        return cst_fail(err, CST_MANIFEST, "manifest %s: %zu bytes, at most %d", name, count,
                        CSTI_MANIFEST_BYTES_MAX);
    json_t *root = json_loadb(bytes, count, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return cst_fail(err,
                        json_error_code(&why) == json_error_out_of_memory ? CST_NO_MEMORY
                                                                          : CST_MANIFEST,
                        "manifest %s: line %d, column %d: %s", name, why.line, why.column,
                        why.text);
    read_version(&r, root);
    if (r.code == CST_OK)
        refuse_unknown(&r, root, FIELDS, sizeof FIELDS / sizeof FIELDS[0],
                       FIELDS_OF_VERSION[r.version]);
    if (r.code == CST_OK) read_head(&r, root, &manifest);
    if (r.code == CST_OK) read_partitions(&r, root, &manifest);
    if (r.code == CST_OK) read_splits(&r, root, &manifest);
    json_decref(root);
    if (r.code == CST_OK && r.version == CSTI_MANIFEST_VERSION_ROWS &&
        version_of(&manifest) != r.version)
        WRONG(&r, "version", "is %d, and it has neither skips nor rows", r.version);
    if (r.code == CST_OK) r.code = csti_manifest_check(name, &manifest, CST_MANIFEST, err);
    if (r.code == CST_OK) *out = manifest;
    return r.code;
}
