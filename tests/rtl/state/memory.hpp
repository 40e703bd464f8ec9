// memory.hpp: sixteen channels of memory that answer when they like, and an image laid over them.
//
// Each channel is an AXI4 slave of one id. Answers of a kind come in order; a read may see memory
// as it is when it is asked for or when it is answered, a write may be there when its data is or
// only when it is answered: whatever the unit needs to be ordered, it has to order itself. On each
// port stands the checker of axi.hpp; beside its rules, strobes are whole atoms of 32 bytes, bursts
// of one or two beats, and nothing lies outside the channel.
#ifndef TESTS_RTL_STATE_MEMORY_HPP
#define TESTS_RTL_STATE_MEMORY_HPP

#include "axi.hpp"

#include <array>

enum { CHANNELS = 16, BEAT_BYTES = 64, ADDRESS_BITS = 34 };

inline uint32_t channel_fold(uint64_t stripe) {
    uint32_t channel = 0;

    for (; stripe; stripe >>= 4) channel ^= stripe & 15;
    return channel;
}

// A region of the image, in stripes over the channels (docs/hardware.md, Memory map).
struct Region {
    uint64_t base; // in every channel
    uint64_t stripe_bytes;
    bool halves; // the stripe's lowest bit is the channel's

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
    uint32_t read_errors = 0;        // of 1024 answers; the bytes are right all the same
    uint32_t write_errors = 0;       // of 1024; half of them have not written
    uint32_t read_errors_behind = 0; // as read_errors, once an answer was an error
    uint32_t writes_rest = 0;        // of 256 clocks: those in which no write is begun
    uint32_t silent = 0;             // a bit a channel: these of its handshakes never come
    uint32_t handshakes = SilentAll;
};

// Fields of a packed vector of ports.
inline uint64_t port_bits(const uint32_t *words, uint32_t from, uint32_t count) {
    uint64_t value = words[from / 32] >> from % 32;

    for (uint32_t have = 32 - from % 32; have < count; have += 32)
        value |= uint64_t(words[(from + have) / 32]) << have;
    return count < 64 ? value & ((UINT64_C(1) << count) - 1) : value;
}

template <class Model> class Memory : public Part {
  public:
    Memory(Bench<Model> &bench, uint64_t channel_bytes) : bench_(bench) {
        for (uint32_t c = 0; c < CHANNELS; c++) {
            channels_[c].bytes.resize(channel_bytes);
            checkers_.add_port("channel " + std::to_string(c), channels_[c].wires());
        }
        bench.add(this);
    }

    MemoryKnobs knobs;
    uint64_t errors_count = 0;
    uint64_t bursts_count = 0; // taken
    uint64_t allowed_from = 0,
             allowed_end = UINT64_MAX; // of every channel: nothing else may be asked for
    bool may_write_nothing = false;    // beats without a strobe: a burst that is given up

    void store(const Region &region, const uint8_t *bytes, size_t count) {
        each_piece(region, 0, count, [&](uint8_t *at, size_t offset, size_t piece) {
            memcpy(at, bytes + offset, piece);
        });
    }

    // Ends the test at the first byte of [from, from + count) of a region that is not the
    // reference's; `bytes` are those of the whole region.
    void compare(const char *name, const Region &region, const uint8_t *bytes, size_t from,
                 size_t count) {
        each_piece(region, from, count, [&](uint8_t *at, size_t offset, size_t piece) {
            if (memcmp(at, bytes + offset, piece) == 0) return;
            for (size_t i = 0; i < piece; i++)
                if (at[i] != bytes[offset + i])
                    TEST_FAIL("%s: byte %zu is %02x, in the reference %02x", name, offset + i,
                              at[i], bytes[offset + i]);
        });
    }

    // After all is done: no port waits for anything.
    void check_idle() const { checkers_.check_idle(); }

    void clear() {
        for (Channel &channel : channels_) std::fill(channel.bytes.begin(), channel.bytes.end(), 0);
    }

    void idle() override {
        for (Channel &channel : channels_) channel.clear();
        checkers_.idle();
        set_outputs(true);
    }

    void drive() override { set_outputs(false); }

    void sample() override {
        get_inputs();
        checkers_.sample();
        for (Channel &channel : channels_) sample_channel(channel);
    }

  private:
    using Data = VlWide<BEAT_BYTES / 4>;
    using Checker = AxiChecker<Data>;

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
        // The port, in words of its own: the model has vectors of sixteen.
        CData arvalid = 0, arready = 0, arlen = 0, rvalid = 0, rready = 0, rresp = 0, rlast = 0;
        CData awvalid = 0, awready = 0, awlen = 0, wvalid = 0, wready = 0, wlast = 0;
        CData bvalid = 0, bready = 0, bresp = 0;
        CData size = 6, burst = 1; // the unit has no such outputs: always full width, INCR
        QData araddr = 0, awaddr = 0, wstrb = 0;
        Data rdata, wdata;

        AxiWires<Data, QData> wires() {
            AxiWires<Data, QData> w;

            w.arvalid = &arvalid, w.arready = &arready, w.araddr = &araddr, w.arlen = &arlen;
            w.awvalid = &awvalid, w.awready = &awready, w.awaddr = &awaddr, w.awlen = &awlen;
            w.arsize = w.awsize = &size, w.arburst = w.awburst = &burst;
            w.rvalid = &rvalid, w.rready = &rready, w.rdata = &rdata, w.rresp = &rresp;
            w.rlast = &rlast;
            w.wvalid = &wvalid, w.wready = &wready, w.wdata = &wdata, w.wstrb = &wstrb;
            w.wlast = &wlast;
            w.bvalid = &bvalid, w.bready = &bready, w.bresp = &bresp;
            return w;
        }
        void clear() {
            reads.clear();
            writes.clear();
            beat = 0;
            rvalid = bvalid = 0;
        }
    };

    // The checkers see a port's words once the memory has copied them.
    class Checkers : public Clocked {
      public:
        void add_port(const std::string &name, const AxiWires<Data, QData> &wires) {
            checkers_.push_back(std::make_unique<Checker>(*this, name, wires, 2));
        }
        void idle() {
            for (Part *part : parts_) part->idle();
        }
        void sample() {
            for (Part *part : parts_) part->sample();
        }
        void check_idle() const {
            for (const auto &checker : checkers_) checker->check_idle();
        }

      private:
        std::vector<std::unique_ptr<Checker>> checkers_;
    };

    template <class Do> void each_piece(const Region &region, size_t from, size_t count, Do act) {
        for (size_t offset = from; offset < from + count;) {
            const size_t left = region.stripe_bytes - offset % region.stripe_bytes;
            const size_t piece = std::min(left, from + count - offset);
            uint32_t channel;
            uint64_t address;

            region.locate(offset, &channel, &address);
            CHECK(address + piece <= channels_[channel].bytes.size());
            act(channels_[channel].bytes.data() + address, offset, piece);
            offset += piece;
        }
    }

    bool stalls(uint32_t channel, uint32_t handshake) {
        return ((knobs.silent >> channel & 1) != 0 && (knobs.handshakes & handshake) != 0) ||
               (handshake == SilentAw && bench_.clock() % 256 < knobs.writes_rest) ||
               (knobs.stall_eighths > 0 && test_random_below(8) < knobs.stall_eighths);
    }

    uint64_t due() {
        return bench_.clock() + 1 + knobs.latency_min + test_random_below(knobs.latency_spread);
    }

    CData response(uint32_t errors) {
        if (errors == 0 || test_random_below(1024) >= errors) return AxiOkay;
        errors_count++;
        return test_random_below(2) == 0 ? AxiSlverr : AxiDecerr;
    }

    // Bits beside no offer are random.
    void set_outputs(bool reset) {
        uint32_t ar_ready = 0, aw_ready = 0, w_ready = 0, r_valid = 0, r_last = 0, b_valid = 0;
        uint32_t r_resp = uint32_t(test_random()), b_resp = uint32_t(test_random());

        for (uint32_t c = 0; c < CHANNELS; c++) {
            Channel &channel = channels_[c];

            channel.arready = !reset && channel.reads.size() < 64 && !stalls(c, SilentAr);
            channel.awready = !reset && channel.writes.size() < 64 && !stalls(c, SilentAw);
            channel.wready = !reset && unfinished(channel) && !stalls(c, SilentW);
            offer_read(channel, reset || stalls(c, SilentR));
            offer_answer(channel, reset || stalls(c, SilentB));
            ar_ready |= uint32_t(channel.arready) << c;
            aw_ready |= uint32_t(channel.awready) << c;
            w_ready |= uint32_t(channel.wready) << c;
            r_valid |= uint32_t(channel.rvalid) << c;
            r_last |= uint32_t(channel.rlast) << c;
            b_valid |= uint32_t(channel.bvalid) << c;
            if (channel.rvalid) {
                memcpy(&bench_->r_data_i[c * (BEAT_BYTES / 4)], &channel.rdata[0], BEAT_BYTES);
                r_resp = (r_resp & ~(3u << 2 * c)) | uint32_t(channel.rresp) << 2 * c;
            } else {
                bench_->r_data_i[c * (BEAT_BYTES / 4) + test_random_below(16)] =
                    EData(test_random());
            }
            if (channel.bvalid)
                b_resp = (b_resp & ~(3u << 2 * c)) | uint32_t(channel.bresp) << 2 * c;
        }
        bench_->ar_ready_i = SData(ar_ready);
        bench_->aw_ready_i = SData(aw_ready);
        bench_->w_ready_i = SData(w_ready);
        bench_->r_valid_i = SData(r_valid);
        bench_->r_last_i = SData(r_last);
        bench_->b_valid_i = SData(b_valid);
        bench_->r_resp_i = r_resp;
        bench_->b_resp_i = b_resp;
    }

    // Data comes in order of the addresses.
    static Write *unfinished(Channel &channel) {
        for (Write &write : channel.writes)
            if (write.got < write.beats) return &write;
        return nullptr;
    }

    void offer_read(Channel &channel, bool not_now) {
        if (channel.rvalid || not_now || channel.reads.empty() ||
            channel.reads.front().due > bench_.clock())
            return;
        const Read &read = channel.reads.front();
        const uint8_t *from =
            read.early.empty() ? channel.bytes.data() + read.address : read.early.data();

        channel.rvalid = 1;
        channel.rlast = channel.beat + 1 == read.beats;
        channel.rresp = response(errors_count > 0 ? knobs.read_errors_behind : knobs.read_errors);
        memcpy(&channel.rdata[0], from + channel.beat * BEAT_BYTES, BEAT_BYTES);
    }

    void offer_answer(Channel &channel, bool not_now) {
        if (channel.bvalid || not_now || channel.writes.empty() ||
            channel.writes.front().got < channel.writes.front().beats ||
            channel.writes.front().due > bench_.clock())
            return;
        channel.bvalid = 1;
        channel.bresp = response(knobs.write_errors);
    }

    void get_inputs() {
        for (uint32_t c = 0; c < CHANNELS; c++) {
            Channel &channel = channels_[c];

            channel.arvalid = bench_->ar_valid_o >> c & 1;
            channel.araddr = port_bits(&bench_->ar_address_o[0], c * ADDRESS_BITS, ADDRESS_BITS);
            channel.arlen = CData(port_bits(&bench_->ar_len_o[0], c * 8, 8));
            channel.rready = bench_->r_ready_o >> c & 1;
            channel.awvalid = bench_->aw_valid_o >> c & 1;
            channel.awaddr = port_bits(&bench_->aw_address_o[0], c * ADDRESS_BITS, ADDRESS_BITS);
            channel.awlen = CData(port_bits(&bench_->aw_len_o[0], c * 8, 8));
            channel.wvalid = bench_->w_valid_o >> c & 1;
            channel.wlast = bench_->w_last_o >> c & 1;
            channel.wstrb = port_bits(&bench_->w_strb_o[0], c * 64, 64);
            if (channel.wvalid)
                memcpy(&channel.wdata[0], &bench_->w_data_o[c * (BEAT_BYTES / 4)], BEAT_BYTES);
            channel.bready = bench_->b_ready_o >> c & 1;
        }
    }

    void sample_channel(Channel &channel) {
        if (channel.rvalid && channel.rready) {
            channel.rvalid = 0;
            if (++channel.beat == channel.reads.front().beats) {
                channel.beat = 0;
                channel.reads.pop_front();
            }
        }
        if (channel.bvalid && channel.bready) {
            channel.bvalid = 0;
            if (channel.bresp == AxiOkay) commit(channel, channel.writes.front());
            channel.writes.pop_front();
        }
        if (channel.arvalid && channel.arready) take_read(channel);
        if (channel.wvalid && channel.wready) take_beat(channel);
        if (channel.awvalid && channel.awready) take_write(channel);
    }

    void check_burst(const Channel &channel, uint64_t address, uint32_t beats) {
        bursts_count++;
        CHECK(address >= allowed_from);
        CHECK(address + beats * BEAT_BYTES <=
              std::min(allowed_end, uint64_t(channel.bytes.size())));
    }

    void take_read(Channel &channel) {
        Read read = {};

        read.address = channel.araddr;
        read.beats = channel.arlen + 1u;
        check_burst(channel, read.address, read.beats);
        read.due = due();
        if (!channel.reads.empty() && read.due < channel.reads.back().due)
            read.due = channel.reads.back().due;
        if (!knobs.late || test_random_below(2) == 0)
            read.early.assign(channel.bytes.begin() + long(read.address),
                              channel.bytes.begin() + long(read.address + read.beats * BEAT_BYTES));
        channel.reads.push_back(read);
    }

    void take_write(Channel &channel) {
        Write write = {};

        write.address = channel.awaddr;
        write.beats = channel.awlen + 1u;
        check_burst(channel, write.address, write.beats);
        channel.writes.push_back(write);
    }

    void take_beat(Channel &channel) {
        Write &write = *unfinished(channel);
        const uint64_t strobe = channel.wstrb;
        const uint8_t *data = reinterpret_cast<const uint8_t *>(&channel.wdata[0]);

        CHECK((strobe == 0 && may_write_nothing) || strobe == UINT32_MAX ||
              strobe == uint64_t(UINT32_MAX) << 32 || strobe == UINT64_MAX);
        write.data.insert(write.data.end(), data, data + BEAT_BYTES);
        write.strobes.push_back(strobe);
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
    Checkers checkers_;
};

#endif
