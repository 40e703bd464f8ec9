// values.hpp: rows of any types for the benches of what encodes: random ones, the golden ones, and
// their keys by the reference encoder of the host.
//
//   const cst_schema schema = random_schema();
//   const std::vector<Value> row = random_row(schema);
//   const Encoded wanted = encode_reference(schema, row);
#ifndef TESTS_RTL_VALUES_HPP
#define TESTS_RTL_VALUES_HPP

#include "test.h"

#include <constellation/hash.h>
#include <constellation/keys.h>

#include <array>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

enum { KeyBytesMax = 64, ColumnBits = 15 };

// A value as the circuit gets it, and as the reference does.
struct Value {
    std::vector<uint8_t> bytes; // little-endian, or text
    cst_value value;
};

// A key as the circuit makes it; with a code it has no bytes.
struct Encoded {
    std::array<uint8_t, KeyBytesMax> key = {};
    uint32_t bytes = 0, code = CST_OK;
};

// A column as registers and memory hold it: cst_pkg::column_t.
inline uint32_t column_bits(const cst_column &column) {
    return uint32_t(column.type) | uint32_t(column.descending) << 5 |
           uint32_t(column.nullable) << 6 | uint32_t(column.nulls_last) << 7 |
           uint32_t(column.width) << 8;
}

// The first thing that is wrong: column by column, as the circuit sees them.
inline Encoded encode_reference(const cst_schema &schema, const std::vector<Value> &row) {
    std::vector<cst_value> values;
    std::vector<uint8_t> key(1 << 17);
    cst_schema prefix = schema;
    Encoded result;
    uint32_t bytes = 0;

    for (uint32_t c = 0; c < schema.columns_count; c++) {
        values.push_back(row[c].value);
        values.back().bytes = row[c].bytes.data();
        values.back().bytes_count = uint32_t(row[c].bytes.size());
        prefix.columns_count = c + 1;
        result.code = uint32_t(
            cst_key_encode(&prefix, values.data(), key.data(), key.size(), &bytes, nullptr));
        if (result.code == CST_OK && bytes > KeyBytesMax) result.code = CST_KEY_TOO_LONG;
        if (result.code != CST_OK) return result;
    }
    memcpy(result.key.data(), key.data(), bytes);
    result.bytes = bytes;
    return result;
}

inline cst_schema parse(const char *text) {
    cst_schema schema;
    CHECK_OK(cst_schema_parse(text, &schema, nullptr));
    return schema;
}

// ---- values ----------------------------------------------------------------------------------

inline cst_u128 random_bits(uint32_t bits) {
    cst_u128 number = (cst_u128(test_random()) << 64) | test_random();

    if (test_random_below(4) == 0) number = test_random_below(3) - 1;  // -1, 0, 1
    if (test_random_below(8) == 0) number = cst_u128(1) << (bits - 1); // the smallest signed
    if (test_random_below(8) == 0) number = (cst_u128(1) << (bits - 1)) - 1;
    return bits == 128 ? number : number & ((cst_u128(1) << bits) - 1);
}

inline cst_u128 decimal_bits() {
    const cst_i128 ten19 = cst_i128(UINT64_C(10000000000000000000));
    const cst_i128 bound = ten19 * ten19;
    const cst_i128 edges[] = {bound, bound - 1, -bound, 1 - bound, 0, bound + 1, -bound - 1};

    if (test_random_below(2)) return cst_u128(edges[test_random_below(7)]);
    return cst_u128(cst_i128(random_bits(128)) >> test_random_below(100));
}

inline void set_float(Value *value, cst_type type, cst_u128 bits) {
    if (type == CST_TYPE_F32) {
        const uint32_t word = uint32_t(bits);
        float single;
        memcpy(&single, &word, 4);
        value->value.f64 = double(single);
    } else {
        const uint64_t word = uint64_t(bits);
        memcpy(&value->value.f64, &word, 8);
    }
}

// NaNs of any sign and payload, infinities, zeros of both signs are frequent.
inline cst_u128 float_bits(uint32_t bits) {
    const uint32_t mantissa = bits == 32 ? 23 : 52;
    const cst_u128 sign = cst_u128(test_random() & 1) << (bits - 1);
    const cst_u128 exponent = ((cst_u128(1) << (bits - 1 - mantissa)) - 1) << mantissa;

    switch (test_random_below(5)) {
    case 0:
        return sign;
    case 1:
        return sign | exponent;
    case 2:
        return sign | exponent | (1 + test_random_below(1 << 20)) |
               cst_u128(1) << test_random_below(mantissa);
    default:
        return random_bits(bits);
    }
}

inline Value from_bits(const cst_column &column, cst_u128 bits) {
    const uint32_t bytes = cst_column_value_bytes(&column);
    Value value = {std::vector<uint8_t>(bytes), {}};

    memcpy(value.bytes.data(), &bits, bytes);
    if (column.type == CST_TYPE_F32 || column.type == CST_TYPE_F64) {
        set_float(&value, column.type, bits);
    } else if (column.type >= CST_TYPE_I8 && column.type <= CST_TYPE_I128) {
        value.value.i128 = cst_i128(bits << (128 - 8 * bytes)) >> (128 - 8 * bytes);
    } else if (column.type == CST_TYPE_DATE || column.type == CST_TYPE_TIMESTAMP ||
               column.type == CST_TYPE_DECIMAL128) {
        value.value.i128 = cst_i128(bits << (128 - 8 * bytes)) >> (128 - 8 * bytes);
    } else {
        value.value.u128 = bits;
    }
    return value;
}

inline Value random_text(uint32_t bytes, uint32_t zeros_in_8) {
    Value value = {std::vector<uint8_t>(bytes), {}};

    for (uint8_t &byte : value.bytes)
        byte = test_random_below(8) < zeros_in_8 ? 0 : uint8_t(1 + test_random_below(127));
    return value;
}

inline Value random_value(const cst_column &column) {
    Value value;

    switch (column.type) {
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        value = random_text(uint32_t(test_random_below(test_random_below(4) ? 20 : 70)),
                            uint32_t(test_random_below(9)));
        break;
    case CST_TYPE_FIXED:
        value = random_text(column.width, 1);
        break;
    case CST_TYPE_UUID:
        value = random_text(16, 1);
        break;
    case CST_TYPE_BOOL:
        value =
            from_bits(column, test_random_below(64) ? test_random_below(2) : test_random() & 255);
        break;
    case CST_TYPE_DECIMAL128:
        value = from_bits(column, decimal_bits());
        break;
    case CST_TYPE_F32:
    case CST_TYPE_F64:
        value = from_bits(column, float_bits(8 * cst_column_value_bytes(&column)));
        break;
    default:
        value = from_bits(column, random_bits(8 * cst_column_value_bytes(&column)));
    }
    // Now and then in a column that has none, which is an error.
    value.value.is_null = test_random_below(column.nullable ? 4 : 500) == 0;
    return value;
}

inline cst_column random_column() {
    cst_column column = {};

    column.type = cst_type(1 + test_random_below(20));
    column.descending = test_random() & 1;
    column.nullable = test_random() & 1;
    column.nulls_last = column.nullable && (test_random() & 1);
    if (column.type == CST_TYPE_FIXED) column.width = uint16_t(1 + test_random_below(40));
    return column;
}

inline cst_schema random_schema() {
    cst_schema schema = {};

    schema.columns_count = 1 + uint32_t(test_random_below(test_random_below(4) ? 3 : 16));
    for (uint32_t c = 0; c < schema.columns_count; c++) schema.columns[c] = random_column();
    CHECK_OK(cst_schema_check(&schema, nullptr));
    return schema;
}

inline std::vector<Value> random_row(const cst_schema &schema) {
    std::vector<Value> row;

    for (uint32_t c = 0; c < schema.columns_count; c++)
        row.push_back(random_value(schema.columns[c]));
    return row;
}

// ---- golden vectors --------------------------------------------------------------------------

inline std::vector<uint8_t> from_hex(const std::string &digits) {
    std::vector<uint8_t> bytes;

    for (size_t at = 0; at + 1 < digits.size(); at += 2)
        bytes.push_back(uint8_t(std::stoul(digits.substr(at, 2), nullptr, 16)));
    return bytes;
}

inline Value from_word(const cst_column &column, const std::string &word) {
    Value value = {};
    cst_u128 number = 0;

    if (word == "null") {
        value.value.is_null = true;
        return value;
    }
    if (word.rfind("x:", 0) == 0) {
        value.bytes = from_hex(word.substr(2));
        return value;
    }
    if (word.rfind("f:", 0) == 0)
        return from_bits(column, std::stoull(word.substr(2), nullptr, 16));
    for (char c : word)
        if (c != '-') number = number * 10 + cst_u128(c - '0');
    return from_bits(column, word[0] == '-' ? -number : number);
}

// Every golden row whose key has at most 64 bytes; how many there are.
inline uint32_t
each_golden_key(const std::function<void(const cst_schema &, const std::vector<Value> &,
                                         const std::vector<uint8_t> &key)> &take) {
    std::ifstream file(CST_VECTORS_DIR "/keys.txt");
    uint32_t seen = 0;

    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        const size_t first = line.find(" | "), second = line.find(" | ", first + 3);
        const cst_schema schema = parse(line.substr(0, first).c_str());
        std::istringstream words(line.substr(first + 3, second - first - 3));
        const std::vector<uint8_t> key = from_hex(line.substr(second + 3));
        std::vector<Value> row;

        for (std::string word; words >> word;)
            row.push_back(from_word(schema.columns[row.size()], word));
        if (row.size() != schema.columns_count || key.size() > KeyBytesMax) continue;
        take(schema, row, key);
        seen++;
    }
    return seen;
}

#endif
