// model: kernel
// Keys of columns of any type by the ring: rows as cells, with a checker and stalls at every port.
// Keys, codes and hashes are those of the host's reference, row by row.
#include "kernel.hpp"
#include "values.hpp"

#include <map>

namespace {

constexpr uint32_t CELL = 16, HEAD_NULL = 255, BEATS_MAX = 8, RESULT_KEY_BYTES = 48;
using Row = std::vector<Value>;

const cst_hash_key hash_key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

struct Result {
    uint8_t code, found, key_bytes, reserved0;
    uint32_t row;
    uint64_t hash;
    uint8_t key[KeyBytesMax + RESULT_KEY_BYTES]; // in one beat the first 48
};
static_assert(sizeof(Result) == 2 * BEAT, "a result is two beats, or the first of them");

// A table without memory: hash key and columns.
void load_columns(Kernel &kernel, const cst_schema &schema) {
    uint8_t *to = kernel.memory(TABLE);
    Command command = Kernel::of(OP_LOAD);

    memset(to, 0, 4 * BEAT);
    memcpy(to, &hash_key, sizeof hash_key);
    to[BEAT + 3] = uint8_t(schema.columns_count - 1);
    for (uint32_t c = 0; c < schema.columns_count; c++) {
        const uint32_t bits = column_bits(schema.columns[c]);

        memcpy(to + 3 * BEAT + 2 * c, &bits, 2);
    }
    command.address = kernel.at(TABLE);
    CHECK_CODE(cst_code(kernel.done(command).code), CST_OK);
}

uint32_t cells_of(const Value &value) {
    if (value.value.is_null || value.bytes.empty()) return 1;
    return uint32_t(value.bytes.size() + CELL - 1) / CELL;
}

uint32_t beats_of(const Row &row) {
    uint32_t cells = 1; // the head

    for (const Value &value : row) cells += cells_of(value);
    return (cells + 3) / 4;
}

// As much of a row as its beats hold; what is behind its values is chance.
void put_row(const Row &row, uint32_t beats, uint8_t *to) {
    uint32_t cell = 1;

    for (uint32_t i = 0; i < beats * BEAT; i++) to[i] = uint8_t(test_random());
    for (size_t c = 0; c < row.size(); c++) {
        const uint32_t left = (beats * 4 - cell) * CELL;
        const uint32_t bytes = uint32_t(row[c].bytes.size());

        CHECK(bytes < HEAD_NULL);
        to[c] = uint8_t(row[c].value.is_null ? HEAD_NULL : bytes);
        if (!row[c].value.is_null && bytes > 0)
            memcpy(to + cell * CELL, row[c].bytes.data(), std::min(bytes, left));
        cell = std::min(cell + cells_of(row[c]), beats * 4);
    }
}

Command keys_of(Kernel &kernel, const std::vector<Row> &rows, uint32_t beats, bool is_long) {
    Command command = Kernel::of(OP_KEYS);

    CHECK(rows.size() * beats * BEAT <= RESULTS - ROWS);
    for (size_t r = 0; r < rows.size(); r++)
        put_row(rows[r], beats, kernel.memory(ROWS + r * beats * BEAT));
    memset(kernel.memory(RESULTS), 0xee, END - RESULTS);
    command.flags = uint8_t(FENCE | ENCODE | HASH | CELLS | (is_long ? LONG_KEYS : 0));
    command.count = uint32_t(rows.size());
    command.row = uint32_t(test_random_below(1u << 30));
    command.address = kernel.at(ROWS);
    command.results = kernel.at(RESULTS);
    command.at = beats;
    return command;
}

// What the circuit may say of a row. One that does not fit its beats is CST_BATCH, or what is wrong
// with the values before that, or with the part of one that is there.
void check_code(const cst_schema &schema, const Row &row, uint32_t beats, uint32_t code,
                uint32_t wanted) {
    cst_schema before = schema;
    uint32_t cells = 1;

    before.columns_count = 0;
    while (before.columns_count < schema.columns_count) {
        cells += cells_of(row[before.columns_count]);
        if (cells > beats * 4) break;
        before.columns_count++;
    }
    if (before.columns_count == schema.columns_count) {
        CHECK_EQ(code, wanted);
        return;
    }
    const uint32_t first = encode_reference(before, row).code;
    if (first != CST_OK) CHECK_EQ(code, first);
    before.columns_count++;
    if (first == CST_OK && code != CST_BATCH) {
        CHECK_EQ(code, CST_KEY_TOO_LONG);
        CHECK_EQ(encode_reference(before, row).code, CST_KEY_TOO_LONG);
    }
}

void check_result(Kernel &kernel, const cst_schema &schema, const Row &row, const Command &command,
                  uint32_t index, Completion *first_wrong) {
    const bool is_long = command.flags & LONG_KEYS;
    Encoded wanted = encode_reference(schema, row);
    Result result;

    memcpy(&result, kernel.memory(RESULTS + uint64_t(index) * BEAT * (is_long ? 2 : 1)),
           sizeof result);
    if (wanted.bytes > RESULT_KEY_BYTES && !is_long) wanted.code = CST_KEY_TOO_LONG;
    check_code(schema, row, uint32_t(command.at), result.code, wanted.code);
    CHECK_EQ(result.row, command.row + index);
    if (result.code != CST_OK && first_wrong->code == CST_OK) {
        first_wrong->code = result.code;
        first_wrong->row = result.row;
    }
    if (result.code != CST_OK) return;
    CHECK_EQ(result.key_bytes, wanted.bytes);
    CHECK_BYTES(result.key, wanted.key.data(), is_long ? uint32_t(KeyBytesMax) : RESULT_KEY_BYTES);
    CHECK_EQ(result.hash, cst_hash(&hash_key, wanted.key.data(), wanted.bytes));
}

// Rows through the circuit; nothing is written behind their results.
void check_rows(Kernel &kernel, const cst_schema &schema, const std::vector<Row> &rows,
                uint32_t beats, bool is_long) {
    const Command command = keys_of(kernel, rows, beats, is_long);
    const Completion done = kernel.done(command);
    const uint64_t end = RESULTS + rows.size() * BEAT * (is_long ? 2 : 1);
    Completion wanted = {};

    wanted.row = command.row + command.count;
    for (uint32_t r = 0; r < rows.size(); r++)
        check_result(kernel, schema, rows[r], command, r, &wanted);
    CHECK_CODE(cst_code(done.code), cst_code(wanted.code));
    CHECK_EQ(done.row, wanted.row);
    if (end < END) CHECK_EQ(*kernel.memory(end), 0xee);
}

uint32_t beats_of_all(const std::vector<Row> &rows) {
    uint32_t beats = 1;

    for (const Row &row : rows) beats = std::max(beats, beats_of(row));
    return std::min<uint32_t>(beats, BEATS_MAX);
}

cst_schema parse_schema(const std::string &text) {
    return parse(text.c_str());
}

Value text_of(uint32_t bytes, uint8_t fill) {
    return {std::vector<uint8_t>(bytes, fill), {}};
}

} // namespace

TEST(golden_keys_by_the_ring) {
    std::map<std::string, std::vector<Row>> batches;
    Kernel kernel;
    const uint32_t seen = each_golden_key(
        [&](const cst_schema &schema, const Row &row, const std::vector<uint8_t> &key) {
            const Encoded wanted = encode_reference(schema, row);
            char text[1024];

            CHECK_EQ(wanted.bytes, key.size());
            CHECK_BYTES(wanted.key.data(), key.data(), key.size());
            CHECK_OK(cst_schema_format(&schema, text, sizeof text));
            batches[text].push_back(row);
        });

    CHECK(seen > 300);
    for (const auto &[text, rows] : batches) {
        const cst_schema schema = parse_schema(text);

        load_columns(kernel, schema);
        check_rows(kernel, schema, rows, beats_of_all(rows), true);
    }
}

// Nulls, values out of range, keys that are too long, rows that do not fit among rows that are
// well.
TEST(random_rows_of_random_schemas_are_the_references) {
    repeat(4, [] {
        Kernel kernel;

        for (uint32_t i = 0; i < 20; i++) {
            const cst_schema schema = random_schema();
            std::vector<Row> rows;

            for (uint32_t r = 0; r < 1 + test_random_below(60); r++)
                rows.push_back(random_row(schema));
            const uint32_t beats =
                test_random_below(4) ? beats_of_all(rows) : 1 + uint32_t(test_random_below(8));
            load_columns(kernel, schema);
            check_rows(kernel, schema, rows, beats, test_random_below(2));
        }
    });
}

TEST(a_row_that_does_not_fit_its_beats_is_wrong_and_the_others_are_not) {
    const cst_schema schema = parse_schema("nullable binary,nullable binary,nullable u8");
    Kernel kernel;

    load_columns(kernel, schema);
    for (uint32_t beats = 1; beats <= BEATS_MAX; beats++) {
        const uint32_t room = (beats * 4 - 3) * CELL; // the other columns take a cell each
        std::vector<Row> rows;

        for (uint32_t bytes : {0u, 20u, room + 1, 3u, 253u, 4u, 254u, 16u})
            rows.push_back({text_of(std::min(bytes, 254u), 'x'), text_of(1, 0),
                            from_bits(schema.columns[2], 7)});
        check_rows(kernel, schema, rows, beats, true);
    }
    kernel.check_works();
}

// Its results are there long before: what memory still owes is of this command, not of the next.
TEST(beats_that_hold_no_cell_are_taken_before_the_command_is_over) {
    const cst_schema schema = parse_schema("u64");

    repeat(8, [&] {
        Kernel kernel;

        for (uint32_t i = 0; i < 4; i++) {
            load_columns(kernel, schema);
            check_rows(kernel, schema, {random_row(schema)}, BEATS_MAX, i % 2);
        }
        kernel.check_works();
    });
}

TEST(keys_of_49_bytes_want_two_beats_and_65_are_too_many) {
    const cst_schema schema = parse_schema("string");
    Kernel kernel;
    std::vector<Row> rows;

    load_columns(kernel, schema);
    for (uint32_t bytes : {45u, 46u, 47u, 61u, 62u, 63u, 0u}) rows.push_back({text_of(bytes, 'k')});
    check_rows(kernel, schema, rows, 2, false);
    check_rows(kernel, schema, rows, 2, true);
    check_rows(kernel, schema, {}, 8, true); // no rows at all
}

// With a memory that never holds back, the circuit alone says how fast it is.
TEST(sixteen_bytes_of_a_string_a_clock) {
    const struct {
        const char *schema;
        uint32_t bytes, rows, beats, clocks_a_row;
        bool is_long;
    } cases[] = {
        {"string", 62, 300, 2, 4, true},         {"string", 48, 300, 1, 3, true},
        {"string", 46, 300, 1, 3, false},        {"desc binary", 32, 300, 1, 2, true},
        {"string", 16, 600, 1, 1, false},        {"fixed(64)", 64, 300, 2, 4, true},
        {"nullable uuid", 16, 600, 1, 1, false},
    };

    for (const auto &item : cases) {
        const cst_schema schema = parse_schema(item.schema);
        Kernel kernel(false);

        load_columns(kernel, schema);
        check_rows(kernel, schema, std::vector<Row>(item.rows, {text_of(item.bytes, 'r')}),
                   item.beats, item.is_long);
        const uint64_t clocks = kernel.results_last - kernel.results_first;
        if (clocks > (item.rows - 1) * item.clocks_a_row + 16)
            TEST_FAIL("%s of %u bytes: %" PRIu64 " clocks for %u rows", item.schema, item.bytes,
                      clocks, item.rows);
    }
}

TEST(a_soft_reset_among_cells_leaves_a_kernel_that_works) {
    const cst_schema schema = parse_schema("string,u64");
    std::vector<Row> rows;
    Kernel kernel;

    for (uint32_t r = 0; r < 100; r++) rows.push_back(random_row(schema));
    for (uint32_t i = 0; i < 8; i++) {
        load_columns(kernel, schema);
        kernel.put(keys_of(kernel, rows, 4, true));
        kernel.bench.run(test_random_below(900));
        kernel.soft_reset();
        load_columns(kernel, schema);
        check_rows(kernel, schema, rows, 4, true);
    }
    kernel.check_works();
}

TEST_MAIN
