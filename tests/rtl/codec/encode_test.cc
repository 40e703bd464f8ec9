// model: encode cst_encode
// model: encode_hash cst_encode_hash
// Rows through the circuit and through the reference encoder of the host: equal keys, codes,
// hashes.
#include "bench.hpp"
#include "values.hpp"

#include <Vencode.h>
#include <Vencode_hash.h>

struct Beat {
    std::array<uint8_t, 16> data;
    uint32_t bytes;
    bool null, last;
};

struct Result {
    std::array<uint8_t, KeyBytesMax> key;
    uint32_t bytes, code, row;
    uint64_t hash;
    bool operator==(const Result &other) const {
        return key == other.key && bytes == other.bytes && code == other.code && row == other.row &&
               hash == other.hash;
    }
};

static const cst_hash_key hash_key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static uint64_t hash_of(Vencode &) {
    return 0;
}
static uint64_t hash_of(Vencode_hash &top) {
    return top.out_hash_o;
}
static void set_key(Vencode &) {}
static void set_key(Vencode_hash &top) {
    top.key_k0_i = hash_key.k0;
    top.key_k1_i = hash_key.k1;
}

template <class Model> struct EncodeRun {
    Bench<Model> bench;
    cst_schema schema;
    Source<Beat> in;
    Sink<Result> out;
    std::vector<Result> wanted;

    EncodeRun(const cst_schema &own, Stalls in_stalls, Stalls out_stalls)
        : schema(own), in(
                           bench, bench->in_valid_i, bench->in_ready_o,
                           [this](const Beat &item) { put(item); }, in_stalls),
          out(
              bench, bench->out_valid_o, bench->out_ready_i, [this] { return get(); }, out_stalls) {
        set_key(*bench.operator->());
        bench->clear_i = 0;
        set_columns();
        bench.reset();
    }

    void set_columns() {
        for (auto &word : bench->columns_i.m_storage) word = 0;
        for (uint32_t c = 0; c < schema.columns_count; c++) {
            const uint32_t bits = column_bits(schema.columns[c]);

            for (uint32_t bit = 0; bit < ColumnBits; bit++) {
                const uint32_t at = ColumnBits * c + bit;
                bench->columns_i[at / 32] |= (bits >> bit & 1) << at % 32;
            }
        }
        bench->columns_last_i = CData(schema.columns_count - 1);
    }

    // Behind a beat's bytes, and in a null, stands chance.
    void put(const Beat &item) {
        wide_noise(bench->in_data_i, 128);
        memcpy(&bench->in_data_i[0], item.data.data(), item.bytes < 16 ? item.bytes : 16);
        bench->in_bytes_i = CData(item.bytes);
        bench->in_null_i = item.null;
        bench->in_last_i = item.last;
    }

    // The key and hash of a row with a code mean nothing; its length is 0.
    Result get() {
        Result result = {{}, 0, bench->out_code_o, bench->out_row_o, 0};
        result.bytes = bench->out_bytes_o;
        if (result.code != CST_OK) return result;
        memcpy(result.key.data(), &bench->out_key_o[0], KeyBytesMax);
        result.hash = hash_of(*bench.operator->());
        return result;
    }

    void push_value(const Value &value) {
        size_t at = 0;

        if (value.value.is_null) {
            in.push({{}, uint32_t(test_random_below(17)), true, true});
            return;
        }
        do {
            Beat beat = {};
            beat.bytes = uint32_t(std::min<size_t>(16, value.bytes.size() - at));
            memcpy(beat.data.data(), value.bytes.data() + at, beat.bytes);
            at += beat.bytes;
            beat.last = at == value.bytes.size();
            in.push(beat);
        } while (at < value.bytes.size());
    }

    Result reference(const std::vector<Value> &row) {
        const Encoded key = encode_reference(schema, row);
        const bool hashes = std::is_same<Model, Vencode_hash>::value && key.code == CST_OK;

        return {key.key, key.bytes, key.code, uint32_t(wanted.size()),
                hashes ? cst_hash(&hash_key, key.key.data(), key.bytes) : 0};
    }

    void push_row(const std::vector<Value> &row) {
        for (const Value &value : row) push_value(value);
        wanted.push_back(reference(row));
    }

    void compare() {
        bench.run_until([&] { return out.items.size() == wanted.size(); });
        bench.run(60);
        CHECK_EQ(out.items.size(), wanted.size());
        for (size_t i = 0; i < wanted.size(); i++) {
            CHECK_EQ(out.items[i].code, wanted[i].code);
            CHECK_EQ(out.items[i].row, wanted[i].row);
            CHECK_EQ(out.items[i].bytes, wanted[i].bytes);
            CHECK_BYTES(out.items[i].key.data(), wanted[i].key.data(), KeyBytesMax);
            CHECK_EQ(out.items[i].hash, wanted[i].hash);
        }
    }
};

template <class Model> void random_rows(uint32_t schemas, uint32_t rows) {
    repeat(schemas, [=] {
        const cst_schema schema = random_schema();
        const Stalls in = Stalls::drawn("in"), out = Stalls::drawn("out");
        EncodeRun<Model> run(schema, in, out);

        for (uint32_t i = 0; i < rows; i++) run.push_row(random_row(schema));
        run.compare();
    });
}

// ---- golden vectors --------------------------------------------------------------------------

TEST(golden_keys) {
    const uint32_t seen =
        each_golden_key([](const cst_schema &schema, const std::vector<Value> &row,
                           const std::vector<uint8_t> &key) {
            EncodeRun<Vencode> run(schema, Stalls::none(), Stalls::none());
            run.push_row(row);
            run.compare();
            CHECK_EQ(run.out.items[0].bytes, key.size());
            CHECK_BYTES(run.out.items[0].key.data(), key.data(), key.size());
        });
    CHECK(seen > 300);
}

TEST(random_rows_of_random_schemas_equal_the_reference) {
    random_rows<Vencode>(200, 60);
}

TEST(random_rows_come_with_their_hashes) {
    random_rows<Vencode_hash>(25, 60);
}

// ---- rates -----------------------------------------------------------------------------------

template <class Model>
void rate(const char *text, uint32_t bytes, uint8_t fill, uint64_t clocks_a_row) {
    const cst_schema schema = parse(text);
    EncodeRun<Model> run(schema, Stalls::none(), Stalls::none());

    for (uint32_t i = 0; i < 1000; i++) {
        Value value =
            bytes ? Value{std::vector<uint8_t>(bytes, fill), {}} : random_value(schema.columns[0]);
        value.value.is_null = false;
        run.push_row({value});
    }
    run.compare();
    CHECK_EQ(run.out.last_clock - run.out.first_clock, 999 * clocks_a_row);
}

TEST(a_fixed_width_key_a_clock) {
    for (const char *text : {"u64", "desc i128", "nullable f64 nulls last", "fixed(16)", "uuid"}) {
        rate<Vencode>(text, 0, 0, 1);
        rate<Vencode_hash>(text, 0, 0, 1);
    }
}

TEST(sixteen_bytes_of_a_string_a_clock_and_eight_where_zeros_are) {
    rate<Vencode>("string", 48, 'a', 3);
    rate<Vencode>("string", 16, 'a', 1);
    rate<Vencode>("nullable desc binary", 8, 0, 1);
    rate<Vencode>("binary", 16, 0, 2);
    rate<Vencode>("binary", 31, 0, 4);
    rate<Vencode_hash>("string", 48, 'a', 3);
}

TEST(a_key_comes_7_clocks_behind_its_beat) {
    EncodeRun<Vencode> run(parse("u64"), Stalls::none(), Stalls::none());

    run.push_row({from_bits(run.schema.columns[0], 5)});
    run.compare();
    CHECK_EQ(run.out.first_clock - run.in.first_clock, 7);
}

// ---- bad input -------------------------------------------------------------------------------

// A row that is wrong among two that are right: its number, its code, and the others as they are.
static void refused(const char *schema, const std::vector<Beat> &beats, cst_code code) {
    EncodeRun<Vencode> run(parse(schema), Stalls::drawn("in"), Stalls::drawn("out"));
    std::vector<Value> good;

    for (uint32_t c = 0; c < run.schema.columns_count; c++)
        good.push_back(from_bits(run.schema.columns[c], c));
    run.push_row(good);
    for (const Beat &beat : beats) run.in.push(beat);
    run.wanted.push_back({{}, 0, uint32_t(code), 1, 0});
    run.push_row(good);
    run.compare();
}

TEST(a_value_of_another_length_than_its_type_is_refused_with_its_row) {
    for (uint32_t bytes = 0; bytes <= 16; bytes++)
        if (bytes != 8) refused("u64", {{{}, bytes, false, true}}, CST_BATCH);
    refused("u64", {{{}, 16, false, false}, {{}, 8, false, true}}, CST_BATCH);
    refused("fixed(20)", {{{}, 16, false, false}, {{}, 5, false, true}}, CST_BATCH);
    refused("fixed(20)", {{{}, 16, false, true}}, CST_BATCH);
    refused("uuid,u8", {{{}, 15, false, true}, {{}, 1, false, true}}, CST_BATCH);
    refused("u8,u16", {{{}, 1, false, true}, {{}, 3, false, true}}, CST_BATCH);
}

TEST(a_value_of_hundreds_of_beats_is_refused_whatever_its_last_one_holds) {
    for (uint32_t beats = 1; beats < 40; beats++) {
        std::vector<Beat> all(beats, {{}, 16, false, false});
        all.push_back({{}, 8, false, true});
        refused("u64", all, CST_BATCH);
        all.back().bytes = 9; // 255 + 9 is 8 in a byte
        refused("u64", all, CST_BATCH);
    }
}

TEST(beats_that_are_not_full_or_too_full_are_refused) {
    refused("string", {{{}, 15, false, false}, {{}, 1, false, true}}, CST_BATCH);
    refused("string", {{{}, 0, false, false}, {{}, 1, false, true}}, CST_BATCH);
    refused("string", {{{}, 17, false, true}}, CST_BATCH);
    refused("string", {{{}, 31, false, true}}, CST_BATCH);
    refused("nullable u64", {{{}, 0, true, false}, {{}, 8, false, true}}, CST_BATCH);
    refused("nullable fixed(24)", {{{}, 16, false, false}, {{}, 8, true, true}}, CST_BATCH);
}

TEST(a_null_where_there_is_none_and_values_out_of_range_are_refused) {
    Beat ones = {{}, 16, false, true};

    ones.data.fill(0x7f);
    refused("u64", {{{}, 0, true, true}}, CST_SCHEMA_MISMATCH);
    refused("decimal128(3)", {ones}, CST_VALUE_RANGE);
    ones.bytes = 1;
    refused("bool", {ones}, CST_VALUE_RANGE);
}

TEST(a_key_of_65_bytes_is_refused_and_64_are_not) {
    EncodeRun<Vencode> run(parse("string"), Stalls::drawn("in"), Stalls::drawn("out"));

    for (uint32_t bytes : {61u, 62u, 63u, 64u, 80u, 200u, 1000u, 62u})
        run.push_row({random_text(bytes, 0)});
    run.compare();
    CHECK_EQ(run.out.items[1].bytes, 64);
    CHECK_EQ(run.out.items[2].code, CST_KEY_TOO_LONG);
}

TEST(a_type_that_is_none_is_refused) {
    EncodeRun<Vencode> run(parse("u64"), Stalls::none(), Stalls::none());

    for (uint32_t kind : {0u, 21u, 31u}) {
        run.schema.columns[0].type = cst_type(kind);
        run.set_columns();
        run.in.push({{}, 8, false, true});
        run.wanted.push_back({{}, 0, CST_UNSUPPORTED, uint32_t(run.wanted.size()), 0});
        run.compare();
    }
}

TEST(clear_forgets_half_a_row_and_counts_from_0) {
    EncodeRun<Vencode> run(parse("u64,string"), Stalls::none(), Stalls::none());
    const Value number = from_bits(run.schema.columns[0], 77);

    run.push_row({number, random_text(20, 1)});
    run.compare();
    run.in.push({{}, 8, false, true});
    run.in.push({{}, 16, false, false});
    run.bench.run(4);
    run.bench->clear_i = 1;
    run.bench.run(2);
    run.bench->clear_i = 0;
    run.out.items.clear();
    run.wanted.clear();
    run.push_row({number, random_text(20, 1)});
    run.compare();
    CHECK_EQ(run.out.items[0].row, 0);
}

TEST(a_reset_at_any_clock_forgets_rows_and_counts_from_0) {
    repeat(10, [] {
        const Stalls in = Stalls::drawn("in"), out = Stalls::drawn("out");
        EncodeRun<Vencode> run(parse("u64,string"), in, out);
        const Value number = from_bits(run.schema.columns[0], 77);

        for (uint32_t i = 0; i < 12; i++) {
            for (uint32_t n = 0; n < 20; n++) run.push_row({number, random_text(20, 2)});
            run.bench.run(test_random_below(60));
            run.in.clear();
            run.bench.reset(1);
            run.out.items.clear();
            run.wanted.clear();
        }
        run.push_row({number, random_text(20, 1)});
        run.compare();
        CHECK_EQ(run.out.items[0].row, 0);
    });
}

TEST_MAIN
