// memory.hpp: sixteen channels of memory that answer when they like, and an image laid over them.
//
// Each channel is an AXI4 slave of one id. Answers of a kind come in order; a read may see memory as it
// is when it is asked for or when it is answered, a write may be there when its data is or only when
// it is answered: whatever the unit needs to be ordered, it has to order itself. Rules of the bus are
// checked on every beat: nothing across 4 KiB, whole atoms of 32 bytes, last beats, offers that stand.
#ifndef TESTS_RTL_STATE_MEMORY_HPP
#define TESTS_RTL_STATE_MEMORY_HPP

#include "bench.hpp"

#include <array>

enum { CHANNELS = 16, BEAT_BYTES = 64, ADDRESS_BITS = 34 };

inline uint32_t channel_fold(uint64_t stripe) {
    uint32_t channel = 0;

    for (; stripe; stripe >>= 4) channel ^= stripe & 15;
    return channel;
}

// A region of the image, in stripes over the channels (docs/hardware.md, Memory map).
struct Region {
    uint64_t base;         // in every channel
    uint64_t stripe_bytes;
    bool halves;           // the stripe's lowest bit is the channel's

    void locate(uint64_t offset, uint32_t *channel, uint64_t *address) const {
        const uint64_t stripe = offset / stripe_bytes;

        *channel = channel_fold(stripe);
        if (halves) *channel = (*channel & 14) | (stripe & 1);
        *address = base + stripe / CHANNELS * stripe_bytes + offset % stripe_bytes;
    }
};

struct MemoryKnobs {
    uint32_t latency_min = 0, latency_spread = 1; // clocks
    uint32_t stall_eighths = 0;                   // of each handshake
    bool late = false;                            // reads and writes happen at any moment allowed
};

template <class Model> class Memory : public Part {
  public:
    Memory(Bench<Model> &bench, uint64_t channel_bytes) : bench_(bench) {
        for (Channel &channel : channels_) channel.bytes.resize(channel_bytes);
        bench.add(this);
    }

    MemoryKnobs knobs;
    uint64_t reads_count = 0, writes_count = 0, beats_count = 0;

    void store(const Region &region, const uint8_t *bytes, size_t count) {
        each_piece(region, count, [&](uint8_t *at, size_t offset, size_t piece) {
            memcpy(at, bytes + offset, piece);
        });
    }

    // Ends the test at the first byte that differs.
    void compare(const char *name, const Region &region, const uint8_t *bytes, size_t count) {
        each_piece(region, count, [&](uint8_t *at, size_t offset, size_t piece) {
            if (memcmp(at, bytes + offset, piece) == 0) return;
            for (size_t i = 0; i < piece; i++)
                if (at[i] != bytes[offset + i])
                    TEST_FAIL("%s: byte %zu is %02x, in the reference %02x", name, offset + i, at[i],
                              bytes[offset + i]);
        });
    }

    void idle() override {
        for (Channel &channel : channels_) channel.clear();
        set_outputs(true);
    }

    void drive() override {
        set_outputs(false);
    }

    void sample() override {
        for (uint32_t c = 0; c < CHANNELS; c++) sample_channel(c);
    }

  private:
    struct Read {
        uint64_t address, due;
        uint32_t beats;
        std::vector<uint8_t> early; // as it was when asked for; else read when answered
    };
    struct Write {
        uint64_t address, due = 0;
        uint32_t beats, got = 0;
        std::vector<uint8_t> data;
        std::vector<uint64_t> strobes;
        bool done = false;
    };
    struct Channel {
        std::vector<uint8_t> bytes;
        std::deque<Read> reads;
        std::deque<Write> writes; // addressed; data may be missing
        uint32_t beat = 0;        // of the first read
        bool r_offered = false, b_offered = false;
        bool ar_held = false, aw_held = false, w_held = false;
        uint64_t ar_address = 0, aw_address = 0;

        void clear() {
            reads.clear();
            writes.clear();
            beat = 0;
            r_offered = b_offered = ar_held = aw_held = w_held = false;
        }
    };

    template <class Do> void each_piece(const Region &region, size_t count, Do act) {
        for (size_t offset = 0; offset < count;) {
            const size_t left = region.stripe_bytes - offset % region.stripe_bytes;
            const size_t piece = left < count - offset ? left : count - offset;
            uint32_t channel;
            uint64_t address;

            region.locate(offset, &channel, &address);
            CHECK(address + piece <= channels_[channel].bytes.size());
            act(channels_[channel].bytes.data() + address, offset, piece);
            offset += piece;
        }
    }

    bool stalls() {
        return knobs.stall_eighths > 0 && test_random_below(8) < knobs.stall_eighths;
    }

    uint64_t due() {
        return bench_.clock() + 1 + knobs.latency_min + test_random_below(knobs.latency_spread);
    }

    static void set_bit(SData &port, uint32_t bit, bool value) {
        port = SData(value ? port | (1u << bit) : port & ~(1u << bit));
    }

    void set_outputs(bool reset) {
        for (uint32_t c = 0; c < CHANNELS; c++) {
            Channel &channel = channels_[c];

            set_bit(bench_->ar_ready_i, c, !reset && channel.reads.size() < 64 && !stalls());
            set_bit(bench_->aw_ready_i, c, !reset && channel.writes.size() < 64 && !stalls());
            set_bit(bench_->w_ready_i, c, !reset && unfinished(channel) && !stalls());
            offer_read(c, reset);
            if (!channel.b_offered)
                channel.b_offered = !reset && !channel.writes.empty() &&
                                    channel.writes.front().got == channel.writes.front().beats &&
                                    channel.writes.front().due <= bench_.clock() && !stalls();
            set_bit(bench_->b_valid_i, c, channel.b_offered);
        }
        bench_->r_resp_i = 0;
        bench_->b_resp_i = 0;
    }

    // Data comes in order of the addresses.
    static Write *unfinished(Channel &channel) {
        for (Write &write : channel.writes)
            if (write.got < write.beats) return &write;
        return nullptr;
    }

    void offer_read(uint32_t c, bool reset) {
        Channel &channel = channels_[c];

        if (!channel.r_offered && !reset && !channel.reads.empty() &&
            channel.reads.front().due <= bench_.clock() && !stalls()) {
            const Read &read = channel.reads.front();
            const uint8_t *from = read.early.empty() ? channel.bytes.data() + read.address
                                                     : read.early.data();

            channel.r_offered = true;
            memcpy(&bench_->r_data_i[c * (BEAT_BYTES / 4)], from + channel.beat * BEAT_BYTES,
                   BEAT_BYTES);
        }
        set_bit(bench_->r_valid_i, c, channel.r_offered);
    }

    static uint64_t wide_bits(const uint32_t *words, uint32_t from, uint32_t count) {
        uint64_t value = 0;

        for (uint32_t i = 0; i < count; i++)
            value |= uint64_t(words[(from + i) / 32] >> (from + i) % 32 & 1) << i;
        return value;
    }

    void check_burst(const Channel &channel, uint64_t address, uint32_t beats) {
        CHECK_EQ(address % BEAT_BYTES, 0);
        CHECK(beats >= 1 && beats <= 2);
        CHECK_EQ(address / 4096, (address + beats * BEAT_BYTES - 1) / 4096);
        CHECK(address + beats * BEAT_BYTES <= channel.bytes.size());
    }

    void sample_channel(uint32_t c) {
        Channel &channel = channels_[c];

        if (channel.r_offered && (bench_->r_ready_o >> c & 1)) {
            channel.r_offered = false;
            if (++channel.beat == channel.reads.front().beats) {
                channel.beat = 0;
                channel.reads.pop_front();
            }
        }
        if (channel.b_offered && (bench_->b_ready_o >> c & 1)) {
            channel.b_offered = false;
            commit(channel, channel.writes.front());
            channel.writes.pop_front();
        }
        sample_ar(c);
        sample_w(c);
        sample_aw(c);
    }

    void sample_ar(uint32_t c) {
        Channel &channel = channels_[c];
        const bool valid = bench_->ar_valid_o >> c & 1;
        Read read = {};

        const bool was_held = channel.ar_held;
        CHECK(valid || !was_held);
        channel.ar_held = false;
        if (!valid) return;
        read.address = wide_bits(&bench_->ar_address_o[0], c * ADDRESS_BITS, ADDRESS_BITS);
        CHECK(!was_held || read.address == channel.ar_address);
        channel.ar_address = read.address;
        read.beats = 1 + uint32_t(wide_bits(&bench_->ar_len_o[0], c * 8, 8));
        if (!(bench_->ar_ready_i >> c & 1)) {
            channel.ar_held = true;
            return;
        }
        check_burst(channel, read.address, read.beats);
        read.due = due();
        if (!channel.reads.empty() && read.due < channel.reads.back().due)
            read.due = channel.reads.back().due;
        if (!knobs.late || test_random_below(2) == 0)
            read.early.assign(channel.bytes.begin() + long(read.address),
                              channel.bytes.begin() + long(read.address + read.beats * BEAT_BYTES));
        channel.reads.push_back(read);
        reads_count++;
        beats_count += read.beats;
    }

    void sample_aw(uint32_t c) {
        Channel &channel = channels_[c];
        const bool valid = bench_->aw_valid_o >> c & 1;
        Write write = {};

        const bool was_held = channel.aw_held;
        CHECK(valid || !was_held);
        channel.aw_held = false;
        if (!valid) return;
        write.address = wide_bits(&bench_->aw_address_o[0], c * ADDRESS_BITS, ADDRESS_BITS);
        CHECK(!was_held || write.address == channel.aw_address);
        channel.aw_address = write.address;
        if (!(bench_->aw_ready_i >> c & 1)) {
            channel.aw_held = true;
            return;
        }
        write.beats = 1 + uint32_t(wide_bits(&bench_->aw_len_o[0], c * 8, 8));
        check_burst(channel, write.address, write.beats);
        channel.writes.push_back(write);
        writes_count++;
    }

    void sample_w(uint32_t c) {
        Channel &channel = channels_[c];
        const bool valid = bench_->w_valid_o >> c & 1;

        CHECK(valid || !channel.w_held);
        channel.w_held = valid && !(bench_->w_ready_i >> c & 1);
        if (!valid || channel.w_held) return;
        Write &write = *unfinished(channel);
        const uint64_t strobe = wide_bits(&bench_->w_strb_o[0], c * 64, 64);

        CHECK(strobe == UINT32_MAX || strobe == uint64_t(UINT32_MAX) << 32 || strobe == UINT64_MAX);
        CHECK_EQ(bench_->w_last_o >> c & 1, write.got + 1 == write.beats);
        const uint8_t *data = reinterpret_cast<const uint8_t *>(&bench_->w_data_o[c * 16]);
        write.data.insert(write.data.end(), data, data + BEAT_BYTES);
        write.strobes.push_back(strobe);
        beats_count++;
        if (++write.got < write.beats) return;
        write.due = due();
        if (knobs.late && test_random_below(2) == 0) return;
        for (Write &older : channel.writes) { // one id: in order
            commit(channel, older);
            if (&older == &write) break;
        }
    }

    static void commit(Channel &channel, Write &write) {
        if (write.done) return;
        write.done = true;
        for (uint32_t beat = 0; beat < write.beats; beat++)
            for (uint32_t i = 0; i < BEAT_BYTES; i++)
                if (write.strobes[beat] >> i & 1)
                    channel.bytes[write.address + beat * BEAT_BYTES + i] =
                        write.data[beat * BEAT_BYTES + i];
    }

    Bench<Model> &bench_;
    std::array<Channel, CHANNELS> channels_;
};

#endif
