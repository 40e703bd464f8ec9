// model: pkg pkg_bench
// cst_pkg and the C headers say the same: every constant by name, every struct bit by bit.
#include "bench.hpp"

#include <Vpkg.h>

// The headers are C11; C++ has the same assertion under another name.
#define _Static_assert static_assert
#include <constellation/table.h>

#include "codec/types.h"
#include "table/image.h"

#include <cctype>
#include <fstream>
#include <map>
#include <sstream>

// Every constant of the package and its value in C.
static const std::map<std::string, uint64_t> known = {
    {"BucketSlots", CSTI_BUCKET_SLOTS},
    {"FirstUntil", CSTI_FIRST_UNTIL},
    {"ChunkBuckets", CSTI_CHUNK_BUCKETS},
    {"ChunkSlots", CSTI_CHUNK_SLOTS},
    {"SegmentChunksMin", CSTI_SEGMENT_CHUNKS_MIN},
    {"SegmentChunksMax", CSTI_SEGMENT_CHUNKS_MAX},
    {"SegmentSlotsMax", CSTI_SEGMENT_SLOTS_MAX},
    {"DirectoryDepthMax", CSTI_DIRECTORY_DEPTH_MAX},
    {"DirectoryRowBytes", sizeof(csti_directory_row)},
    {"ControlLineBytes", sizeof(csti_control_line)},
    {"ControlBytes", CSTI_CONTROL_BYTES},
    {"ChunksFreeMax", CSTI_CHUNKS_FREE_MAX},
    {"ExtendRows", CSTI_EXTEND_ROWS},
    {"BucketBits", CSTI_BUCKET_BITS},
    {"TagShift", CSTI_TAG_SHIFT},
    {"EntryHeadBytes", sizeof(csti_entry)},
    {"EntryBytesMax", CST_INLINE_ENTRY_BYTES_MAX},
    {"RecordHeadBytes", sizeof(csti_record)},
    {"KeyBytesMax", CST_INLINE_KEY_BYTES_MAX},
    {"AccumulatorsMax", CST_ACCUMULATORS_MAX},
    {"LogUnit", CSTI_LOG_UNIT},
    {"LogBegin", 1024}, // CSTI_LOG_BEGIN of table/log.h, which is no header for C++
    {"LogLine", CSTI_LOG_LINE},
    // The four words that SipHash begins with; rtl.hash.siphash shows them through golden values.
    {"SipV0", 0x736f6d6570736575},
    {"SipV1", 0x646f72616e646f6d},
    {"SipV2", 0x6c7967656e657261},
    {"SipV3", 0x7465646279746573},
#define TYPE(NAME, TEXT)                                                                           \
    { "Type" TEXT, CST_TYPE_##NAME }
    TYPE(U8, "U8"),
    TYPE(U16, "U16"),
    TYPE(U32, "U32"),
    TYPE(U64, "U64"),
    TYPE(U128, "U128"),
    TYPE(I8, "I8"),
    TYPE(I16, "I16"),
    TYPE(I32, "I32"),
    TYPE(I64, "I64"),
    TYPE(I128, "I128"),
    TYPE(F32, "F32"),
    TYPE(F64, "F64"),
    TYPE(BOOL, "Bool"),
    TYPE(DATE, "Date"),
    TYPE(TIMESTAMP, "Timestamp"),
    TYPE(DECIMAL128, "Decimal128"),
    TYPE(UUID, "Uuid"),
    TYPE(FIXED, "Fixed"),
    TYPE(STRING, "String"),
    TYPE(BINARY, "Binary"),
    {"ColumnsMax", CST_COLUMNS_MAX},
    {"ColumnBits", 15}, // of column_t, which has no twin in C
    {"KeyNullFirst", CSTI_KEY_NULL_FIRST},
    {"KeyValue", CSTI_KEY_VALUE},
    {"KeyNullLast", CSTI_KEY_NULL_LAST},
    {"KeyEscape", CSTI_KEY_ESCAPE},
    {"KeyZero", CSTI_KEY_ZERO},
    {"KeyEnd", CSTI_KEY_END},
    {"RowUpsert", CST_ROW_UPSERT},
    {"RowDelete", CST_ROW_DELETE},
    {"AccCount", CST_COUNT},
    {"AccSum", CST_SUM},
    {"AccMin", CST_MIN},
    {"AccMax", CST_MAX},
    {"AccLast", CST_LAST},
    {"NumberU64", CST_U64},
    {"NumberI64", CST_I64},
    {"NumberF64", CST_F64},
    {"NumberDecimal128", CST_DECIMAL128},
    {"CodeOk", CST_OK},
    {"CodeUsage", CST_USAGE},
    {"CodeLimit", CST_LIMIT},
    {"CodeUnsupported", CST_UNSUPPORTED},
    {"CodeAgain", CST_AGAIN},
    {"CodeAborted", CST_ABORTED},
    {"CodeSchemaMismatch", CST_SCHEMA_MISMATCH},
    {"CodeBatch", CST_BATCH},
    {"CodeUtf8", CST_UTF8},
    {"CodeValueRange", CST_VALUE_RANGE},
    {"CodeKeyTooLong", CST_KEY_TOO_LONG},
    {"CodeValueTooLong", CST_VALUE_TOO_LONG},
    {"CodeTableFull", CST_TABLE_FULL},
    {"CodeTableSkew", CST_TABLE_SKEW},
    {"CodeTableBudget", CST_TABLE_BUDGET},
    {"CodeTableNotReady", CST_TABLE_NOT_READY},
    {"CodeTableCorrupt", CST_TABLE_CORRUPT},
    {"CodeSumOverflow", CST_SUM_OVERFLOW},
    {"CodeEpoch", CST_EPOCH},
    {"CodeSegmentRecord", CST_SEGMENT_RECORD},
    {"CodeDeviceLost", CST_DEVICE_LOST},
    {"CodeInternal", CST_INTERNAL},
    // Of the AXI4 specification, not of ours.
    {"AxiPageBytes", 4096},
    {"AxiIncr", 1},
    {"AxiOkay", 0},
    {"AxiSlverr", 2},
    {"AxiDecerr", 3},
};

// A number as SystemVerilog writes it: 16, 5'd20, 8'hff, 2'b01.
static uint64_t number_of(const std::string &text) {
    const size_t tick = text.find('\'');

    if (tick == std::string::npos) return std::stoull(text, nullptr, 10);
    const char base = text.at(tick + 1);
    return std::stoull(text.substr(tick + 2), nullptr, base == 'h' ? 16 : base == 'b' ? 2 : 10);
}

// The package's `Name = number` pairs, parameters and enum members alike.
static std::map<std::string, uint64_t> package_constants() {
    std::ifstream file(CST_SOURCE_DIR "/hw/rtl/common/cst_pkg.sv");
    std::map<std::string, uint64_t> found;

    for (std::string line; std::getline(file, line);) {
        const size_t equals = line.find(" = ");
        std::string name, value;

        line = line.substr(0, line.find("//"));
        if (equals == std::string::npos || equals > line.size()) continue;
        for (size_t i = equals; i > 0 && isalnum(line[i - 1]); i--) name.insert(0, 1, line[i - 1]);
        std::istringstream(line.substr(equals + 3)) >> value;
        if (name.empty() || !isupper(name[0])) continue; // in a function
        CHECK(found.count(name) == 0);
        found[name] = number_of(value);
    }
    return found;
}

TEST(every_constant_is_the_one_of_the_c_headers) {
    const std::map<std::string, uint64_t> package = package_constants();

    for (const auto &[name, value] : package) {
        if (!known.count(name)) TEST_FAIL("%s has no value in C: add it here", name.c_str());
        if (known.at(name) != value)
            TEST_FAIL("%s is %" PRIu64 " in cst_pkg and %" PRIu64 " in C", name.c_str(), value,
                      known.at(name));
    }
    for (const auto &[name, value] : known)
        if (!package.count(name)) TEST_FAIL("cst_pkg has no %s (%" PRIu64 ")", name.c_str(), value);
    std::ifstream file(CST_SOURCE_DIR "/host/src/table/log.h");
    const std::string log((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    CHECK(log.find("CSTI_LOG_BEGIN = 1024") != std::string::npos);
}

TEST(every_struct_lies_as_its_c_twin) {
    Vpkg top;

    for (int i = 0; i < 1000; i++) {
        uint8_t bytes[64], part[64] = {};
        csti_control_line line;
        csti_directory_row row;
        csti_entry entry;
        csti_record record;

        for (uint8_t &byte : bytes) byte = uint8_t(test_random());
        wide_from_bytes(top.bits_i, bytes, 64);
        top.eval();
        memcpy(&line, bytes, sizeof line);
        memcpy(&row, bytes, sizeof row);
        memcpy(&entry, bytes, sizeof entry);
        memcpy(&record, bytes, sizeof record);

        wide_to_bytes(top.line_tag_o, part, 32);
        CHECK_BYTES(part, line.tag, 32);
        CHECK_EQ(top.line_occupied_o, line.occupied);
        wide_to_bytes(top.line_reserved_o, part, 14);
        CHECK_BYTES(part, &line.reserved16, 14);
        wide_to_bytes(top.line_overflow_o, part, 16);
        CHECK_BYTES(part, line.overflow, 16);

        CHECK_EQ(top.row_depth_o, row.depth);
        CHECK_EQ(top.row_chunks_o, row.chunks);
        wide_to_bytes(top.row_chunk_o, part, 28);
        CHECK_BYTES(part, row.chunk, 28);

        CHECK_EQ(top.entry_hash_o, entry.hash);
        CHECK_EQ(top.entry_change_o, entry.change >> 8);
        CHECK_EQ(top.entry_key_bytes_o, entry.change & 0xff);

        CHECK_EQ(top.record_hash_o, record.hash);
        CHECK_EQ(top.record_key_bytes_o, record.key_bytes);
        CHECK_EQ(top.record_units_o, record.units);
        CHECK_EQ(top.record_value_bytes_o, record.value_flags & CSTI_RECORD_VALUE_MASK);
        CHECK_EQ(top.record_flags_o, record.value_flags >> 29);
    }
}

TEST(a_hash_says_the_same_bucket_and_tag) {
    Vpkg top;

    for (int i = 0; i < 20000; i++) {
        const uint64_t hash = i < 4 ? (i & 1 ? ~UINT64_C(0) : 0) : test_random();
        const uint32_t chunks = uint32_t(4 + test_random_below(4));
        const uint32_t first = csti_hash_bucket_first(hash, chunks * CSTI_CHUNK_BUCKETS);

        top.hash_i = hash;
        top.chunks_i = CData(chunks);
        top.eval();
        CHECK_EQ(top.key_group_o, cst_key_group(hash));
        CHECK_EQ(top.tag_o, csti_hash_tag(hash));
        CHECK_EQ(top.first_o, first);
        CHECK_EQ(top.second_o, csti_hash_bucket_second(hash, chunks * CSTI_CHUNK_BUCKETS, first));
    }
}

TEST_MAIN
