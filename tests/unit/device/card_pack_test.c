// Rows into the records that the card reads, against docs/hardware.md (Kernel), a row at a time.
#include "device/card_internal.h"
#include "test.h"

enum { ROWS_MAX = 700, COLUMNS_MAX = 4, SOURCES_MAX = 5, TRIES = 600 };

// What a random command is made of. All that it points to has its size and no byte more.
typedef struct pack_case {
    card_table table;
    cst_schema schema;
    cst_column_data columns[COLUMNS_MAX];
    cst_batch batch;
    cst_source sources[SOURCES_MAX];
    cst_command command;
    uint32_t from, to, key_bytes;
    uint8_t flags;
    void *taken[64];
    uint32_t taken_count;
} pack_case;

static void *take(pack_case *p, size_t bytes) {
    uint8_t *memory = malloc(bytes ? bytes : 1);

    CHECK(memory != NULL);
    CHECK(p->taken_count < 64);
    p->taken[p->taken_count++] = memory;
    for (size_t i = 0; i < bytes; i++) memory[i] = (uint8_t)test_random();
    return memory;
}

static void case_free(pack_case *p) {
    for (uint32_t i = 0; i < p->taken_count; i++) free(p->taken[i]);
}

static void columns_make(pack_case *p, uint32_t bytes_max) {
    static const cst_type types[] = {CST_TYPE_U8, CST_TYPE_U16, CST_TYPE_I32, CST_TYPE_U64,
                                     CST_TYPE_DECIMAL128};

    for (uint32_t c = 0; c < COLUMNS_MAX; c++) {
        const cst_column column = {.type = types[test_random_below(5)],
                                   .nullable = test_random_below(2)};
        const uint32_t bytes = cst_column_value_bytes(&column);
        cst_column_data *data = &p->columns[p->schema.columns_count];

        if (p->key_bytes + bytes > bytes_max) continue;
        p->key_bytes += bytes;
        p->schema.columns[p->schema.columns_count++] = column;
        *data = (cst_column_data){.values = {take(p, (size_t)p->to * bytes), p->to * bytes}};
        if (column.nullable)
            data->validity = (cst_buffer){take(p, (p->to + 7) / 8), (p->to + 7) / 8};
    }
    p->batch = (cst_batch){.schema = &p->schema, .rows_count = p->to, .columns = p->columns};
    p->command.batch = &p->batch;
    p->command.ops |= CST_OP_ENCODE | CST_OP_HASH;
    p->flags |= CARD_FLAG_ENCODE;
}

static void keys_make(pack_case *p, uint32_t bytes_max) {
    cst_rows *rows = &p->command.rows;
    uint32_t *offsets = NULL;

    p->key_bytes = (uint32_t)test_random_below(bytes_max + 1);
    rows->key_bytes = rows->key_stride = p->key_bytes;
    if (test_random_below(2)) {
        offsets = take(p, (p->to + 1) * sizeof *offsets);
        offsets[0] = 0;
        for (uint32_t r = 0; r < p->to; r++) // some are longer than a table's keys
            offsets[r + 1] = offsets[r] + (uint32_t)test_random_below(
                                              test_random_below(20) ? p->key_bytes + 1 : 300);
    }
    rows->key_offsets = offsets;
    rows->keys = take(p, offsets ? offsets[p->to] : (size_t)p->to * p->key_bytes);
    if (test_random_below(2))
        p->command.ops |= CST_OP_HASH;
    else
        rows->hashes = take(p, p->to * sizeof *rows->hashes);
}

// Words of accumulators, each of a source of its own, or bytes that replace.
static void values_make(pack_case *p) {
    static const struct {
        uint8_t op, number;
        cst_type type;
        uint32_t bytes;
    } kinds[] = {{CST_SUM, CST_U64, CST_TYPE_U64, 8},
                 {CST_MIN, CST_I64, CST_TYPE_I64, 8},
                 {CST_SUM, CST_U64, CST_TYPE_U32, 4},
                 {CST_MAX, CST_F64, CST_TYPE_F64, 8},
                 {CST_COUNT, CST_U64, CST_TYPE_U64, 8},
                 {CST_LAST, CST_DECIMAL128, CST_TYPE_DECIMAL128, 16}};
    cst_program *program = &p->table.cpu.base.options.program;

    if (test_random_below(4) == 0) {
        program->value_bytes = (uint32_t)test_random_below(65);
        p->command.rows.value_stride = program->value_bytes;
        p->command.rows.values = take(p, (size_t)p->to * program->value_bytes);
        p->table.words_count = (program->value_bytes + 7) / 8;
        return;
    }
    program->accumulators_count = (uint16_t)(1 + test_random_below(SOURCES_MAX));
    for (uint16_t i = 0; i < program->accumulators_count; i++) {
        const uint32_t k = (uint32_t)test_random_below(6);
        const uint32_t words = kinds[k].number == CST_DECIMAL128 ? 2 : 1;

        if (p->table.words_count + words > CARD_LANES) { // a table with such a value is refused
            program->accumulators_count = i;
            break;
        }
        program->accumulators[i] =
            (cst_accumulator){.op = kinds[k].op, .number = kinds[k].number, .source = i};
        p->sources[i] =
            (cst_source){take(p, (size_t)p->to * kinds[k].bytes),
                         test_random_below(3) ? NULL : take(p, (p->to + 7) / 8), kinds[k].type};
        for (uint32_t w = 0; w < words; w++) p->table.packs[p->table.words_count++] = (uint8_t)i;
    }
    p->command.rows.sources = p->sources;
}

static void form_choose(pack_case *p) {
    const uint32_t fit = p->key_bytes > CARD_COMPACT_KEY_BYTES ? 1 : 2;

    if (p->command.ops & CST_OP_HASH) p->flags |= CARD_FLAG_HASH;
    if (p->table.words_count > CARD_NARROW_LANES) {
        p->flags |= CARD_FLAG_WIDE;
    } else if ((p->command.ops & CST_OP_HASH) && p->table.words_count <= fit) {
        p->flags |= CARD_FLAG_COMPACT;
        if (fit == 1) p->flags |= CARD_FLAG_LONG;
    }
}

static void case_make(pack_case *p) {
    *p = (pack_case){.to = 1 + (uint32_t)test_random_below(ROWS_MAX)};
    p->from = (uint32_t)test_random_below(p->to);
    p->command.ops = test_random_below(4) ? CST_OP_APPLY : CST_OP_LOOKUP;
    p->command.rows.rows_count = p->to;
    if (test_random_below(2))
        columns_make(p, test_random_below(2) ? 8 : 16);
    else
        keys_make(p, test_random_below(2) ? 8 : 16);
    if (p->command.ops & CST_OP_APPLY) values_make(p);
    if (test_random_below(3) == 0) {
        uint8_t *ops = take(p, p->to);

        for (uint32_t r = 0; r < p->to; r++) ops[r] &= 1;
        p->command.rows.ops = ops;
    }
    form_choose(p);
}

// ---- The reference ------------------------------------------------------------------------------

static bool is_null(const uint8_t *validity, uint32_t row) {
    return validity && !(validity[row / 8] >> row % 8 & 1);
}

// A key's bytes as they cross, its length if it came encoded, and which of its columns are null.
static uint8_t key_expect(const pack_case *p, uint32_t row, uint8_t key[16], uint16_t *nulls) {
    const cst_rows *rows = &p->command.rows;
    const uint32_t room = p->flags & CARD_FLAG_COMPACT && !(p->flags & CARD_FLAG_LONG) ? 8 : 16;
    uint32_t at = 0, bytes;

    if (!(p->flags & CARD_FLAG_ENCODE)) {
        const uint32_t from = rows->key_offsets ? rows->key_offsets[row] : row * p->key_bytes;

        bytes = rows->key_offsets ? rows->key_offsets[row + 1] - from : p->key_bytes;
        memcpy(key, rows->keys + from, bytes < room ? bytes : room);
        return (uint8_t)(bytes < 255 ? bytes : 255);
    }
    for (uint32_t c = 0; c < p->schema.columns_count; c++, at += bytes) {
        const uint8_t *values = p->columns[c].values.data;

        bytes = cst_column_value_bytes(&p->schema.columns[c]);
        if (is_null(p->columns[c].validity.data, row))
            *nulls |= (uint16_t)(1u << c);
        else
            memcpy(key + at, values + (size_t)row * bytes, bytes);
    }
    return 0;
}

static void words_expect(const pack_case *p, uint32_t row, uint64_t words[8], uint8_t *nulls) {
    const cst_program *program = &p->table.cpu.base.options.program;

    if (program->accumulators_count == 0) {
        memcpy(words, p->command.rows.values + (size_t)row * program->value_bytes,
               program->value_bytes);
        return;
    }
    for (uint32_t w = 0; w < p->table.words_count; w++) {
        const uint32_t i = p->table.packs[w];
        const cst_accumulator *a = &program->accumulators[i];
        const bool upper = w > 0 && p->table.packs[w - 1] == i;
        const uint8_t *values = p->sources[i].values;

        if (is_null(p->sources[i].validity, row))
            *nulls |= (uint8_t)(1u << w);
        else if (a->number == CST_DECIMAL128)
            memcpy(&words[w], values + 16 * (size_t)row + (upper ? 8 : 0), 8);
        else if (p->sources[i].type == CST_TYPE_U32)
            memcpy(&words[w], values + 4 * (size_t)row, 4);
        else if (a->op != CST_COUNT)
            memcpy(&words[w], values + 8 * (size_t)row, 8);
    }
}

static void row_expect(const pack_case *p, uint32_t row, uint8_t out[128]) {
    const uint8_t *ops = p->command.rows.ops;
    const bool deletes = ops && ops[row] == CST_ROW_DELETE;
    uint16_t key_nulls = 0;
    uint64_t words[8] = {0};
    uint8_t key[16] = {0};

    memset(out, 0, 128);
    out[0] = p->command.ops & CST_OP_LOOKUP ? 2 : deletes ? 1 : 0;
    out[1] = key_expect(p, row, key, &key_nulls);
    if (out[0] == 0) words_expect(p, row, words, &out[2]);
    memcpy(out + 4, &key_nulls, 2);
    if (p->flags & CARD_FLAG_COMPACT) {
        memcpy(out + 8, key, 8);
        memcpy(out + 16, words, 16);
        if (p->flags & CARD_FLAG_LONG) memcpy(out + 24, key + 8, 8);
        return;
    }
    if (!(p->command.ops & CST_OP_HASH)) memcpy(out + 8, &p->command.rows.hashes[row], 8);
    memcpy(out + 16, key, 16);
    memcpy(out + 32, words, 64); // of which a narrow row has the first half
}

TEST(rows_of_every_form_are_as_the_kernel_reads_them) {
    uint32_t forms[256] = {0};

    for (uint32_t t = 0; t < TRIES; t++) {
        pack_case p;
        uint8_t *out, expected[128];
        size_t stride;

        case_make(&p);
        stride = card_row_bytes(p.flags);
        out = take(&p, (p.to - p.from) * stride); // not zeros: all of it is written
        card_rows_pack(&p.table, &p.command, p.flags, p.from, p.to, out);
        for (uint32_t r = p.from; r < p.to; r++) {
            row_expect(&p, r, expected);
            CHECK_BYTES(out + (r - p.from) * stride, expected, stride);
        }
        forms[p.flags & (CARD_FLAG_COMPACT | CARD_FLAG_LONG | CARD_FLAG_WIDE)]++;
        case_free(&p);
    }
    CHECK(forms[0] > 0); // each was there
    CHECK(forms[CARD_FLAG_WIDE] > 0);
    CHECK(forms[CARD_FLAG_COMPACT] > 0);
    CHECK(forms[CARD_FLAG_COMPACT | CARD_FLAG_LONG] > 0);
}

TEST(a_decimal_of_two_words_is_null_in_both) {
    const uint8_t none[1] = {0};
    const uint64_t values[2] = {1, 2};
    const cst_source source = {values, none, CST_TYPE_DECIMAL128};
    const cst_command command = {.ops = CST_OP_APPLY | CST_OP_HASH,
                                 .rows = {.rows_count = 1, .sources = &source}};
    card_table table = {.words_count = 2};
    uint8_t out[CARD_BEAT_BYTES / 2];

    table.cpu.base.options.program =
        (cst_program){.accumulators_count = 1,
                      .accumulators = {{.op = CST_SUM, .number = CST_DECIMAL128}}};
    card_rows_pack(&table, &command, CARD_FLAG_COMPACT | CARD_FLAG_HASH, 0, 1, out);
    CHECK_EQ(out[2], 3);
    for (size_t i = 16; i < sizeof out; i++) CHECK_EQ(out[i], 0);
}

TEST_MAIN
