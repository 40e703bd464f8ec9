// Plays tests/vectors/table_*.txt through the batched table and the reference: every answer and
// every image byte in the file must come out of both. CST_VECTORS_WRITE=folder writes the files
// anew, with the answers of the reference; review the difference.
#include "differential/table_pair.h"
#include "unit/table/fixture.h"

enum { LINE_BYTES = 1 << 16, FIELDS_MAX = 9, ROWS_MAX = 512, SOURCES_MAX = 4 };

typedef struct player {
    table_pair pair;
    cst_table_options options;
    FILE *out; // writing anew, or NULL
    uint32_t line_number;
    cst_rows rows; // collected until APPLY
    uint8_t ops[ROWS_MAX];
    uint64_t hashes[ROWS_MAX];
    uint8_t keys[ROWS_MAX * 64], values[ROWS_MAX * 256];
    uint32_t key_offsets[ROWS_MAX + 1], value_offsets[ROWS_MAX + 1];
    cst_source sources[SOURCES_MAX];
    uint8_t source_values[SOURCES_MAX][ROWS_MAX * 16] __attribute__((aligned(16)));
    uint8_t validity[SOURCES_MAX][ROWS_MAX / 8];
} player;

static size_t from_hex(const char *text, uint8_t *out) {
    const size_t count = strlen(text) / 2;

    for (size_t i = 0; i < count; i++) {
        unsigned byte = 0;
        CHECK_EQ(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return count;
}

static void to_hex(const uint8_t *bytes, size_t count, char *out) {
    *out = 0;
    for (size_t i = 0; i < count; i++) (void)sprintf(out + 2 * i, "%02x", bytes[i]);
}

// The command as it stands and what came out, or the comparison with what should.
static void answer(player *p, char **fields, int args_count, const char *actual) {
    if (p->out) {
        fputs(fields[0], p->out);
        for (int i = 1; i <= args_count; i++) fprintf(p->out, " | %s", fields[i]);
        fprintf(p->out, " | %s\n", actual);
    } else if (strcmp(actual, fields[args_count + 1]) != 0)
        TEST_FAIL("line %u: %s gives %s, the file has %s", p->line_number, fields[0], actual,
                  fields[args_count + 1]);
}

// ---- Commands -----------------------------------------------------------------------------------

// table | layout | key bytes | value bytes | ttl | time offset | presence offset |
// op:number:offset:source ...
static void play_table(player *p, char **f) {
    cst_program *program = &p->options.program;
    char *at = f[7];
    int used;

    if (p->pair.fast) pair_close(&p->pair);
    p->options = fixture_options();
    p->options.layout = strcmp(f[1], "wide") == 0 ? CST_TABLE_WIDE : CST_TABLE_INLINE;
    p->options.key_bytes = (uint32_t)atoi(f[2]);
    program->value_bytes = (uint32_t)atoi(f[3]);
    program->ttl_us = (uint64_t)atoi(f[4]);
    program->time_offset = (uint16_t)atoi(f[5]);
    program->presence_offset = (uint16_t)atoi(f[6]);
    for (unsigned op, number, offset, source;
         sscanf(at, "%u:%u:%u:%u%n", &op, &number, &offset, &source, &used) == 4; at += used)
        program->accumulators[program->accumulators_count++] =
            (cst_accumulator){.op = (uint8_t)op,
                              .number = (uint8_t)number,
                              .value_offset = (uint16_t)offset,
                              .source = (uint16_t)source};
    p->pair = (table_pair){.hashes_bent = true};
    pair_open(&p->pair, &p->options);
}

static void row_sources(player *p, char *text) {
    static const cst_type types[] = {0, CST_TYPE_U64, CST_TYPE_I64, CST_TYPE_F64,
                                     CST_TYPE_DECIMAL128};
    const uint32_t r = p->rows.rows_count;
    uint32_t i = 0;

    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "), i++) {
        CHECK(i < SOURCES_MAX);
        p->sources[i] = (cst_source){.values = p->source_values[i],
                                     .validity = p->validity[i],
                                     .type = types[word[0] - '0']};
        p->validity[i][r / 8] &= (uint8_t) ~(1u << r % 8);
        if (word[1] == '-') continue;
        (void)from_hex(word + 2, p->source_values[i] + (size_t)r * (word[0] == '4' ? 16 : 8));
        p->validity[i][r / 8] |= (uint8_t)(1u << r % 8);
    }
}

// row | op | hash | key | value, or a source's number:bytes for each source, - for a null
static void play_row(player *p, char **f) {
    const uint32_t r = p->rows.rows_count;

    CHECK(r < ROWS_MAX);
    p->ops[r] = (uint8_t)atoi(f[1]);
    p->hashes[r] = strtoull(f[2], NULL, 16);
    p->key_offsets[r + 1] =
        p->key_offsets[r] + (uint32_t)from_hex(f[3], p->keys + p->key_offsets[r]);
    p->value_offsets[r + 1] = p->value_offsets[r];
    if (p->options.program.accumulators_count > 0)
        row_sources(p, f[4]);
    else if (p->ops[r] == CST_ROW_UPSERT)
        p->value_offsets[r + 1] += (uint32_t)from_hex(f[4], p->values + p->value_offsets[r]);
    else
        p->value_offsets[r + 1] += p->options.program.value_bytes; // not read
    p->rows.rows_count++;
}

// apply | now | code applied
static void play_apply(player *p, char **f) {
    char actual[128];
    uint32_t applied;
    cst_code code;

    p->rows.ops = p->ops;
    p->rows.hashes = p->hashes;
    p->rows.keys = p->keys;
    p->rows.key_offsets = p->key_offsets;
    p->rows.values = p->values;
    p->rows.value_offsets = p->value_offsets;
    p->rows.value_stride = p->options.program.value_bytes;
    p->rows.sources = p->sources;
    p->rows.now_us = atoll(f[1]);
    code = pair_apply(&p->pair, &p->rows, &applied);
    (void)snprintf(actual, sizeof actual, "%s %u", cst_code_name(code), applied);
    answer(p, f, 1, actual);
    p->rows = (cst_rows){0};
}

static void play_small(player *p, char **f) {
    uint64_t hash, bucket;
    unsigned long long epoch, from, to;
    unsigned count, expired;
    long long now;
    char actual[128];

    if (strcmp(f[0], "seal") == 0) {
        const cst_delta delta = pair_seal(&p->pair);
        (void)snprintf(actual, sizeof actual, "%" PRIu64 " %" PRIu64 " %" PRIu64, delta.epoch,
                       delta.from, delta.to);
        answer(p, f, 0, actual);
    } else if (strcmp(f[0], "release") == 0) {
        CHECK_EQ(sscanf(f[1], "%llu %llu %llu", &epoch, &from, &to), 3);
        const cst_delta delta = {epoch, from, to};
        answer(p, f, 1, cst_code_name(pair_release(&p->pair, &delta)));
    } else if (strcmp(f[0], "grow") == 0) {
        hash = strtoull(f[1], NULL, 16);
        answer(p, f, 1, cst_code_name(pair_grow(&p->pair, hash)));
    } else if (strcmp(f[0], "expire") == 0) {
        CHECK_EQ(sscanf(f[1], "%llu %u %lld", &from, &count, &now), 3);
        bucket = from;
        const cst_code code = pair_expire(&p->pair, &bucket, count, now, &expired);
        (void)snprintf(actual, sizeof actual, "%s %" PRIu64 " %u", cst_code_name(code), bucket,
                       expired);
        answer(p, f, 1, actual);
    } else
        TEST_FAIL("line %u: no command %s", p->line_number, f[0]);
}

// ---- Images -------------------------------------------------------------------------------------

static const uint8_t *image_at(const cst_table *table, const char *what, uint64_t at,
                               size_t *count_out) {
    *count_out = 32;
    if (strcmp(what, "control") == 0) *count_out = 8;
    if (strcmp(what, "control") == 0) return (const uint8_t *)table->control + at;
    if (strcmp(what, "directory") == 0) return (const uint8_t *)(table->directory + at);
    if (strcmp(what, "log") == 0) return (const uint8_t *)csti_log_record(table, at);
    if (strcmp(what, "slab") == 0) return table->slab + at;
    *count_out = strcmp(what, "line") == 0 ? 64 : table->entry_bytes;
    return what[0] == 'l' ? table->index + at * 64 : table->slots + at * table->entry_bytes;
}

static void write_part(player *p, const char *what, uint64_t at) {
    char hex[2 * CST_INLINE_ENTRY_BYTES_MAX + 1];
    size_t count;
    const uint8_t *bytes = image_at(p->pair.reference, what, at, &count);

    to_hex(bytes, count, hex);
    fprintf(p->out, "image | %s | %" PRIu64 " | %s\n", what, at, hex);
}

// dump: all of the image that is not zero, as `image` lines behind it.
static void play_dump(player *p) {
    const csti_control *control = p->pair.reference->control;
    size_t count;

    pair_compare(&p->pair);
    if (!p->out) return;
    fputs("dump\n", p->out);
    for (uint64_t at = offsetof(csti_control, rows_count); at < sizeof *control; at += 8)
        if (memcmp((const uint8_t *)control + at, "\0\0\0\0\0\0\0", 8) != 0)
            write_part(p, "control", at);
    for (uint64_t r = 0; r < control->directory_rows; r++) write_part(p, "directory", r);
    for (uint64_t b = 0; b < control->chunks_frontier * UINT64_C(8); b++) {
        const csti_control_line *line =
            (const csti_control_line *)image_at(p->pair.reference, "line", b, &count);

        if (line->occupied == 0 && (line->overflow[0] | line->overflow[1]) == 0) continue;
        write_part(p, "line", b);
        for (uint32_t slot = 0; slot < 16; slot++)
            if (line->occupied >> slot & 1) write_part(p, "entry", b * 16 + slot);
    }
    for (uint64_t at = control->log_floor; at < control->log_tail; at += 32)
        write_part(p, "log", at);
    for (uint64_t at = 0; at < control->slab_frontier; at += 32) write_part(p, "slab", at);
}

// image | what | at | bytes
static void play_image(player *p, char **f) {
    char hex[2 * CST_INLINE_ENTRY_BYTES_MAX + 1];
    const cst_table *tables[2] = {p->pair.fast, p->pair.reference};

    if (p->out) return; // dump has written it anew
    for (int i = 0; i < 2; i++) {
        size_t count;
        const uint8_t *bytes = image_at(tables[i], f[1], strtoull(f[2], NULL, 10), &count);

        to_hex(bytes, count, hex);
        answer(p, f, 2, hex);
    }
}

// ---- Files --------------------------------------------------------------------------------------

static void play_line(player *p, char *line) {
    char *fields[FIELDS_MAX + 1];
    char copy[LINE_BYTES];
    int count = 0;

    (void)snprintf(copy, sizeof copy, "%s", line);
    for (char *at = line; at && count < FIELDS_MAX; count++) {
        char *bar = strstr(at, " | ");

        fields[count] = at;
        if (bar) *bar = 0;
        at = bar ? bar + 3 : NULL;
    }
    for (int i = count; i <= FIELDS_MAX; i++) fields[i] = line + strlen(line);
    if (strcmp(fields[0], "table") == 0)
        play_table(p, fields);
    else if (strcmp(fields[0], "row") == 0)
        play_row(p, fields);
    else if (strcmp(fields[0], "apply") == 0)
        play_apply(p, fields);
    else if (strcmp(fields[0], "dump") == 0)
        play_dump(p);
    else if (strcmp(fields[0], "image") == 0)
        play_image(p, fields);
    else
        play_small(p, fields);
    if (p->out && (fields[0][0] == 't' || strcmp(fields[0], "row") == 0))
        fprintf(p->out, "%s\n", copy);
}

static void play_file(const char *name) {
    static player p;
    const char *folder = getenv("CST_VECTORS_WRITE");
    char path[1024], line[LINE_BYTES];
    FILE *file;

    memset(&p, 0, sizeof p);
    (void)snprintf(path, sizeof path, "%s/%s", CST_VECTORS_DIR, name);
    file = fopen(path, "r");
    if (!file) TEST_FAIL("cannot open %s", path);
    (void)snprintf(path, sizeof path, "%s/%s", folder ? folder : "", name);
    if (folder) CHECK(p.out = fopen(path, "w"));
    while (fgets(line, sizeof line, file)) {
        p.line_number++;
        if (line[0] == '#') {
            if (p.out) fputs(line, p.out);
            continue;
        }
        line[strcspn(line, "\n")] = 0;
        play_line(&p, line);
    }
    CHECK(p.line_number > 20);
    fclose(file);
    if (p.out) fclose(p.out);
    pair_close(&p.pair);
}

TEST(inline_rows_as_in_the_vectors) {
    play_file("table_inline.txt");
}
TEST(folds_and_expiry_as_in_the_vectors) {
    play_file("table_fold.txt");
}
TEST(wide_rows_as_in_the_vectors) {
    play_file("table_wide.txt");
}

TEST_MAIN
