// model: crc32c_64 cst_crc32c -GBytes=64
// model: crc32c_8 cst_crc32c -GBytes=8
#include "bench.hpp"

#include <Vcrc32c_64.h>
#include <Vcrc32c_8.h>

extern "C" {
#include "base/crc32c.h"
}

// Messages one behind the other, in beats; what comes out, and when.
template <class Model, uint32_t Bytes> struct CrcRun : Part {
    Bench<Model> bench;
    Stalls stalls;
    std::deque<std::vector<uint8_t>> messages;
    size_t at = 0;
    std::vector<uint32_t> results;
    std::vector<uint64_t> last_clocks, result_clocks;

    explicit CrcRun(Stalls in) : stalls(in) { bench.add(this); }
    void idle() override { bench->in_valid_i = 0; }
    void set(const uint8_t *bytes, size_t count) {
        if constexpr (Bytes == 8) {
            bench->in_data_i = test_random();
            memcpy(&bench->in_data_i, bytes, count);
        } else {
            wide_noise(bench->in_data_i, 8 * Bytes);
            memcpy(&bench->in_data_i[0], bytes, count);
        }
    }
    void drive() override {
        bench->in_valid_i = !messages.empty() && !stalls.now();
        bench->in_last_i = CData(test_random() & 1);
        if (!bench->in_valid_i) return;
        const std::vector<uint8_t> &message = messages.front();
        const size_t count = message.size() - at < Bytes ? message.size() - at : Bytes;
        set(message.data() + at, count);
        bench->in_bytes_i = CData(count);
        bench->in_last_i = at + count == message.size();
    }
    void sample() override {
        if (bench->out_valid_o) {
            results.push_back(bench->out_crc_o);
            result_clocks.push_back(bench.clock());
        }
        if (!bench->in_valid_i) return;
        at += bench->in_bytes_i;
        if (!bench->in_last_i) return;
        last_clocks.push_back(bench.clock());
        messages.pop_front();
        at = 0;
    }

    void compare(const std::vector<std::vector<uint8_t>> &all) {
        messages.assign(all.begin(), all.end());
        bench.reset();
        bench.run_until([&] { return messages.empty(); });
        bench.run(20);
        CHECK_EQ(results.size(), all.size());
        for (size_t i = 0; i < all.size(); i++)
            CHECK_EQ(results[i], csti_crc32c(0, all[i].data(), all[i].size()));
    }
};

static std::vector<uint8_t> random_message(size_t bytes_max) {
    std::vector<uint8_t> message(1 + test_random_below(bytes_max));

    for (uint8_t &byte : message) byte = uint8_t(test_random());
    return message;
}

// RFC 3720, B.4, and the check value of the CRC catalogues.
template <class Model, uint32_t Bytes> void published() {
    CrcRun<Model, Bytes> run(Stalls::none());
    std::vector<uint8_t> up(32), down(32);
    const char *digits = "123456789";

    for (size_t i = 0; i < 32; i++) {
        up[i] = uint8_t(i);
        down[i] = uint8_t(31 - i);
    }
    run.compare({std::vector<uint8_t>(32, 0), std::vector<uint8_t>(32, 0xff), up, down,
                 std::vector<uint8_t>(digits, digits + 9)});
    CHECK_EQ(run.results[0], 0x8a9136aa);
    CHECK_EQ(run.results[1], 0x62a8ab43);
    CHECK_EQ(run.results[2], 0x46dd794e);
    CHECK_EQ(run.results[3], 0x113fdb5c);
    CHECK_EQ(run.results[4], 0xe3069283);
}

template <class Model, uint32_t Bytes> void random_messages() {
    repeat(10, [] {
        CrcRun<Model, Bytes> run(Stalls::drawn("in"));
        std::vector<std::vector<uint8_t>> messages;

        for (size_t count = 1; count <= Bytes; count++) // every length of a short beat
            messages.push_back(std::vector<uint8_t>(count, uint8_t(test_random())));
        for (int i = 0; i < 60; i++) messages.push_back(random_message(500));
        run.compare(messages);
    });
}

template <class Model, uint32_t Bytes> void beat_a_clock(uint64_t latency) {
    CrcRun<Model, Bytes> run(Stalls::none());
    std::vector<std::vector<uint8_t>> messages;
    uint64_t beats = 0;

    for (int i = 0; i < 200; i++) {
        messages.push_back(random_message(3 * Bytes));
        beats += (messages.back().size() + Bytes - 1) / Bytes;
    }
    const uint64_t first_beats = (messages[0].size() + Bytes - 1) / Bytes;
    run.compare(messages);
    CHECK_EQ(run.last_clocks.back() - run.last_clocks.front(), beats - first_beats);
    for (size_t i = 0; i < messages.size(); i++)
        CHECK_EQ(run.result_clocks[i] - run.last_clocks[i], latency);
}

TEST(published_values) {
    published<Vcrc32c_64, 64>();
    published<Vcrc32c_8, 8>();
}

TEST(random_messages_equal_the_host) {
    random_messages<Vcrc32c_64, 64>();
    random_messages<Vcrc32c_8, 8>();
}

TEST(a_beat_a_clock_with_latency_3_and_log_2_of_bytes) {
    beat_a_clock<Vcrc32c_64, 64>(9);
    beat_a_clock<Vcrc32c_8, 8>(6);
}

TEST_MAIN
