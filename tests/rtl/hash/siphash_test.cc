// model: siphash_64 cst_siphash_stream -GKeyBytes=64 -GMetaBits=32
// model: siphash_16 cst_siphash_stream -GKeyBytes=16 -GMetaBits=32
// model: siphash_bare cst_siphash -GKeyBytes=64 -GMetaBits=32
#include "bench.hpp"

#include <Vsiphash_16.h>
#include <Vsiphash_64.h>
#include <Vsiphash_bare.h>

#include <constellation/hash.h>

#include <array>
#include <fstream>
#include <sstream>

struct Key {
    std::array<uint8_t, 64> bytes;
    uint32_t count;
    uint32_t meta;
};

struct Hash {
    uint64_t hash;
    uint32_t meta;
    bool operator==(const Hash &other) const { return hash == other.hash && meta == other.meta; }
};

template <class Model> struct HashRun {
    Bench<Model> bench;
    cst_hash_key key;
    Source<Key> in;
    Sink<Hash> out;
    std::vector<Hash> wanted;

    HashRun(const cst_hash_key &own, Stalls in_stalls, Stalls out_stalls)
        : key(own), in(
                        bench, bench->in_valid_i, bench->in_ready_o,
                        [this](const Key &item) { put(item); }, in_stalls),
          out(
              bench, bench->out_valid_o, bench->out_ready_i,
              [this] {
                  return Hash{bench->out_hash_o, bench->out_meta_o};
              },
              out_stalls) {
        bench->key_k0_i = key.k0;
        bench->key_k1_i = key.k1;
        bench.reset();
    }

    static constexpr uint32_t bytes_max() { return sizeof(Model::in_key_i); }

    // Behind the key's end stands chance.
    void put(const Key &item) {
        wide_noise(bench->in_key_i, 8 * bytes_max());
        memcpy(&bench->in_key_i[0], item.bytes.data(), item.count);
        bench->in_bytes_i = CData(item.count);
        bench->in_meta_i = item.meta;
    }

    void push(const uint8_t *bytes, uint32_t count) {
        Key item = {};
        memcpy(item.bytes.data(), bytes, count);
        item.count = count;
        item.meta = uint32_t(test_random());
        in.push(item);
        wanted.push_back({cst_hash(&key, bytes, count), item.meta});
    }

    void push_random(uint32_t count) {
        uint8_t bytes[64];
        for (uint8_t &byte : bytes) byte = uint8_t(test_random());
        push(bytes, count);
    }

    void compare() {
        bench.run_until([&] { return out.items.size() == wanted.size(); });
        bench.run(60);
        CHECK(out.items == wanted);
    }
};

static cst_hash_key random_key() {
    const uint64_t k0 = test_random();
    return {k0, test_random()};
}

template <class Model> void random_keys() {
    repeat(12, [] {
        const Stalls in = Stalls::drawn("in"), out = Stalls::drawn("out");
        HashRun<Model> run(random_key(), in, out);
        for (int i = 0; i < 600; i++)
            run.push_random(uint32_t(test_random_below(run.bytes_max() + 1)));
        run.compare();
    });
}

template <class Model> void full_rate() {
    HashRun<Model> run(random_key(), Stalls::none(), Stalls::none());
    for (uint32_t i = 0; i < 3000; i++)
        run.push_random(i < 1500 ? 16 : uint32_t(test_random_below(run.bytes_max() + 1)));
    run.compare();
    CHECK_EQ(run.in.last_clock - run.in.first_clock, 2999);
    CHECK_EQ(run.out.last_clock - run.out.first_clock, 2999);
    CHECK_EQ(run.out.first_clock - run.in.first_clock, run.bytes_max() / 4 + 10 + 1);
}

TEST(every_length_equals_the_host) {
    HashRun<Vsiphash_64> run(random_key(), Stalls::none(), Stalls::none());
    for (uint32_t i = 0; i < 650; i++) run.push_random(i % 65);
    run.compare();
}

TEST(golden_vectors) {
    std::ifstream file(CST_VECTORS_DIR "/hash.txt");
    uint32_t seen = 0;

    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        const size_t first = line.find(" |"), second = line.rfind("| ");
        std::vector<uint8_t> bytes[2];
        const std::string fields[2] = {line.substr(0, first),
                                       line.substr(first + 2, second - first - 2)};
        for (int i = 0; i < 2; i++) {
            std::string digits;
            for (char c : fields[i])
                if (isxdigit(c)) digits += c;
            for (size_t at = 0; at + 1 < digits.size(); at += 2)
                bytes[i].push_back(uint8_t(std::stoul(digits.substr(at, 2), nullptr, 16)));
        }
        if (bytes[1].size() > 64) continue;
        CHECK_EQ(bytes[0].size(), 16);
        cst_hash_key key;
        memcpy(&key, bytes[0].data(), 16);
        HashRun<Vsiphash_64> run(key, Stalls::none(), Stalls::none());
        run.push(bytes[1].data(), uint32_t(bytes[1].size()));
        run.compare();
        CHECK_EQ(run.out.items[0].hash, std::stoull(line.substr(second + 2), nullptr, 16));
        seen++;
    }
    CHECK(seen > 60);
}

TEST(random_keys_equal_the_host_whatever_stalls) {
    random_keys<Vsiphash_64>();
    random_keys<Vsiphash_16>();
}

TEST(a_key_a_clock_with_the_latency_promised) {
    full_rate<Vsiphash_64>();
    full_rate<Vsiphash_16>();
}

TEST(keys_that_are_offered_before_room_is_there_wait) {
    HashRun<Vsiphash_64> run(random_key(), Stalls::none(), Stalls::none());

    for (int i = 0; i < 200; i++) run.push_random(16);
    // The output is held back for long: what is on its way stays within the queue.
    for (int i = 0; i < 300; i++) {
        run.in.drive();
        run.bench->out_ready_i = 0;
        run.bench->clk_i = 0;
        run.bench->eval();
        run.in.sample();
        run.bench->clk_i = 1;
        run.bench->eval();
    }
    CHECK(run.in.taken_count < 60);
    run.compare();
}

TEST(the_bare_pipeline_takes_a_key_in_any_clock) {
    Bench<Vsiphash_bare> bench;
    const cst_hash_key key = random_key();
    std::vector<Hash> wanted, came;

    bench->key_k0_i = key.k0;
    bench->key_k1_i = key.k1;
    bench->in_valid_i = 0;
    bench.reset();
    for (uint32_t clock = 0; clock < 2000; clock++) {
        uint8_t bytes[64];
        const uint32_t count = uint32_t(test_random_below(65));

        wide_noise(bench->in_key_i, 512);
        memcpy(bytes, &bench->in_key_i[0], 64);
        bench->in_bytes_i = CData(count);
        bench->in_meta_i = clock;
        bench->in_valid_i = clock < 1900 && test_random_below(4) != 0;
        if (bench->in_valid_i) wanted.push_back({cst_hash(&key, bytes, count), clock + 26});
        bench.tick();
        // After the edge of clock n the outputs are what the edge of clock n + 1 sees.
        if (bench->out_valid_o) came.push_back({bench->out_hash_o, clock + 1});
        if (bench->out_valid_o) CHECK_EQ(bench->out_meta_o + 26, clock + 1);
    }
    CHECK(came == wanted);
}

TEST_MAIN
