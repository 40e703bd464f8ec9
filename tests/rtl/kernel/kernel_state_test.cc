// The kernel by its registers and its ring alone, on the simulated card that sim: loads: commands
// that are wrong, addresses that are nobody's, a memory that answers with errors, resets at any
// clock. What it does right is compared with the processor in tests/differential/sim_test.c.
#include "device/sim_card.h"
#include "ring.hpp"

#include "card_waves.h"
#include "test.h"

#include <array>
#include <constellation/table.h>
#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr uint64_t CLOCKS_MAX = 400000;
constexpr uint64_t BATCH = CSTI_SIM_BATCH_CHANNEL * CSTI_SIM_CHANNEL_BYTES;
constexpr uint64_t COMPLETIONS = 4096, TABLE = 8192, ROWS = 16384, RESULTS = 65536, END = 1 << 20;

const csti_sim_card_ops *card_ops() {
    static const csti_sim_card_ops *const ops = [] {
        void *library = dlopen(CST_SIM_LIBRARY, RTLD_NOW | RTLD_LOCAL);

        if (!library) TEST_FAIL("%s", dlerror());
        return reinterpret_cast<csti_sim_card_entry>(dlsym(library, CSTI_SIM_CARD_ENTRY))();
    }();
    return ops;
}

uint64_t clocks_of(void *card) {
    return card_ops()->clocks(static_cast<const csti_sim_card *>(card));
}

// A card whose image is plain memory: an empty table of one segment, and a log.
class Kernel {
  public:
    explicit Kernel(csti_sim_mistake mistake = CSTI_SIM_MISTAKE_NONE) {
        csti_sim_card_config config = {};
        cst_err err = {};

        config.channels = CSTI_SIM_CHANNELS;
        config.clock_khz = 300000;
        config.seed = test_random();
        config.locate = locate;
        config.locate_context = this;
        config.mistake = mistake;
        config.waves = card_waves_file();
        config.waves_from = card_waves_from();
        image_.resize(size_t(CSTI_SIM_CHANNELS) * IMAGE_BYTES);
        if (ops_->open(&config, &card_, &err) != CST_OK) TEST_FAIL("open: %s", err.text);
        card_waves_watch(clocks_of, card_);
        memory_ = ops_->memory(card_);
        start();
    }
    ~Kernel() {
        card_waves_watch(nullptr, nullptr);
        ops_->close(card_);
    }
    Kernel(const Kernel &) = delete;
    Kernel &operator=(const Kernel &) = delete;

    uint32_t read(uint32_t offset) { return ops_->read(card_, offset); }
    void write(uint32_t offset, uint32_t value) { ops_->write(card_, offset, value); }
    void run(uint64_t clocks) {
        const uint32_t never = 0;

        (void)ops_->run(card_, &never, 1, clocks);
    }

    void start() {
        const uint64_t arguments[] = {BATCH, BATCH + COMPLETIONS,   RING_BITS, BATCH, BATCH + END,
                                      0,     CSTI_SIM_CHANNEL_BYTES};

        memset(memory_, 0, TABLE);
        for (uint32_t i = 0; i < 7; i++) {
            write(ARGUMENTS + i * 8, uint32_t(arguments[i]));
            write(ARGUMENTS + i * 8 + 4, uint32_t(arguments[i] >> 32));
        }
        number_ = 0;
        write(CTRL, CTRL_START);
    }

    void put(Command command) {
        command.number = ++number_;
        memcpy(memory_ + (number_ - 1) % RING * BEAT, &command, sizeof command);
    }

    // Puts a command and waits for its completion.
    Completion done(const Command &command) {
        Completion completion;

        put(command);
        const uint8_t *at = memory_ + COMPLETIONS + (number_ - 1) % RING * BEAT;
        if (!ops_->run(card_, reinterpret_cast<const uint32_t *>(at), number_, CLOCKS_MAX))
            TEST_FAIL("no completion; status %08x", read(STATUS));
        memcpy(&completion, at, sizeof completion);
        return completion;
    }

    // As long as the kernel needs to see that it is lost, and to say so.
    void wait_done() {
        for (uint32_t i = 0; i < 2000; i++) {
            if (read(CTRL) & CTRL_DONE) return;
            run(100);
        }
        TEST_FAIL("never done; status %08x", read(STATUS));
    }

    void soft_reset() {
        write(CTRL, CTRL_CONTINUE);
        write(CTRL, CTRL_SOFT_RESET);
        for (uint32_t i = 0; !(read(CTRL) & CTRL_IDLE); i++) {
            CHECK(i < 10000);
            run(10);
        }
        CHECK_EQ(read(STATUS) & 0xffff, 0);
        start();
    }

    // A table of keys and values of 8 bytes that are replaced: one segment of four chunks.
    Completion load() {
        uint8_t *at = memory_ + TABLE;

        std::fill(image_.begin(), image_.end(), uint8_t(0));
        memset(at, 0, 6 * BEAT);
        for (uint32_t r = 0; r < 4; r++) put_at(at + 16 + r * 8, uint64_t(r) * 65536, 8);
        put_at(at + 52, 64, 4);         // pages of a channel
        put_at(at + 60, 0x08010108, 4); // key bytes, units, key words, value bytes
        put_at(at + BEAT, 0x010b, 2);   // 2^11 units a log segment; replaced
        put_at(at + BEAT + 8, 0, 4);    // one place
        put_at(at + BEAT + 12, 1, 4);
        put_at(at + BEAT + 16, 1, 4);
        put_at(at + 2 * BEAT + 8, 1, 8); // epoch
        put_at(at + 2 * BEAT + 16, 32, 8);
        put_at(at + 2 * BEAT + 24, 32, 8);
        put_at(at + 2 * BEAT + 44, 4, 4); // chunks
        // The directory's one row: chunks 0 to 3. It is stripe 0: channel 0.
        put_at(image_.data(), 0x0400, 2);
        for (uint32_t c = 0; c < 4; c++) put_at(image_.data() + 4 + c * 4, c, 4);
        return load_block(1);
    }

    // The same; the value is the row's time, and it lives for 10.
    Completion load_times() {
        (void)load();
        put_at(memory_ + TABLE + BEAT + 48, 10, 8);
        return load_block(1);
    }

    // The same; the value is a sum of doubles.
    Completion load_sums() {
        uint8_t *at = memory_ + TABLE + BEAT;

        (void)load();
        put_at(at + 1, 0, 1); // not replaced
        put_at(at + 4, 1, 1); // of the row's first word
        put_at(at + 24, CST_SUM, 1);
        put_at(at + 32, CST_F64, 1);
        return load_block(1);
    }
    // Rows of key 0 alone.
    Command doubles(const std::vector<double> &values) {
        const Command command = rows(uint32_t(values.size()), 0);

        for (size_t r = 0; r < values.size(); r++) {
            memcpy(memory_ + ROWS + r * BEAT, memory_ + ROWS, BEAT);
            memcpy(memory_ + ROWS + r * BEAT + 32, &values[r], 8);
        }
        return command;
    }

    // The same with two log segments, of which the first is full and sealed as epoch 1.
    Completion load_full_segment() {
        uint8_t *at = memory_ + TABLE;

        (void)load();
        put_at(at + BEAT + 8, 1, 4); // two places
        put_at(at + BEAT + 12, 2, 4);
        put_at(at + BEAT + 16, 2, 4);
        put_at(at + 2 * BEAT + 8, 2, 8); // epoch
        put_at(at + 2 * BEAT + 16, 2048, 8);
        put_at(at + 2 * BEAT + 24, 2048, 8);
        put_at(at + 2 * BEAT + 32, 1, 4); // frontier
        put_at(at + 2 * BEAT + 48, 1024, 8);
        return load_block(2);
    }

    // Rows of keys 0, 1, ...; what they hash to is made from the number.
    Command rows(uint32_t count, uint8_t kind) {
        Command command;

        for (uint32_t r = 0; r < count; r++) {
            uint8_t *at = memory_ + ROWS + r * BEAT;

            memset(at, 0, BEAT);
            at[0] = kind;
            at[1] = 8;
            put_at(at + 8, (r + 1) * UINT64_C(0x9e3779b97f4a7c15), 8);
            put_at(at + 16, r, 8);
            put_at(at + 32, r * 3, 8);
        }
        command.op = OP_ROWS;
        command.flags = FENCE;
        command.count = count;
        command.address = BATCH + ROWS;
        return command;
    }

    // Rows and look-ups of them: a kernel that works.
    void check_works() {
        CHECK_EQ(load().code, CST_OK);
        const Completion put = done(rows(20, 0));
        CHECK_EQ(put.code, CST_OK);
        CHECK_EQ(put.row, 20);
        CHECK_EQ(put.rows_count, 20);
        CHECK_EQ(put.tail, 32 + 20);
        Command look = rows(21, 2);
        look.results = BATCH + RESULTS;
        CHECK_EQ(done(look).code, CST_OK);
        for (uint32_t r = 0; r < 21; r++) {
            const uint8_t *at = memory_ + RESULTS + r * 2 * BEAT;
            uint64_t value;

            memcpy(&value, at + BEAT, 8);
            CHECK_EQ(at[0], CST_OK);
            CHECK_EQ(at[1], r < 20);
            if (r < 20) CHECK_EQ(value, r * 3);
        }
        Command barrier;
        barrier.op = OP_BARRIER;
        const Completion sealed = done(barrier);
        CHECK_EQ(sealed.code, CST_OK);
        CHECK_EQ(sealed.epoch, 2);
        CHECK_EQ(sealed.from, 1024);
        CHECK_EQ(sealed.epoch_first, 52);
    }

    Command expire(uint64_t bucket, uint32_t count, int64_t now) {
        Command command;

        command.op = OP_EXPIRE;
        command.at = bucket;
        command.count = count;
        command.now = uint64_t(now);
        return command;
    }

    // Records of 32 bytes: present, tombstone or gap; keys 0, 1, ... as those of rows().
    uint8_t *record_at(uint32_t unit) { return memory_ + ROWS + unit * 32; }
    void put_record(uint32_t unit, uint64_t key, uint64_t value) {
        const uint64_t words[4] = {(key + 1) * UINT64_C(0x9e3779b97f4a7c15),
                                   UINT64_C(0x8000000800010008), key, value};

        memcpy(record_at(unit), words, sizeof words);
    }
    Command restore(uint32_t units, uint8_t flags = 0) {
        Command command;

        command.op = OP_RESTORE;
        command.flags = flags;
        command.count = units;
        command.address = BATCH + ROWS;
        return command;
    }

    // Rows from a slot on: their records, a beat each.
    Command scan(uint64_t slot, uint32_t buckets, uint32_t rows_max, int64_t now) {
        Command command;

        memset(memory_ + RESULTS, 0xee, 32 * BEAT);
        command.op = OP_SCAN;
        command.at = slot;
        command.count = buckets;
        command.row = rows_max;
        command.now = uint64_t(now);
        command.results = BATCH + RESULTS;
        return command;
    }
    const uint8_t *record(uint32_t index) const { return memory_ + RESULTS + index * BEAT; }

    const uint8_t *result(uint32_t index) const { return memory_ + RESULTS + index * 2 * BEAT; }

    Completion release(uint64_t epoch, uint64_t to) {
        Command command;

        command.op = OP_RELEASE;
        command.epoch = epoch;
        command.at = to;
        return done(command);
    }

    bool answers = true; // else channels have no memory: DECERR

    uint32_t number() const { return number_; }

  private:
    static constexpr uint64_t IMAGE_BYTES = 262144; // of a channel

    static uint8_t *locate(void *context, uint32_t channel, uint64_t address) {
        Kernel *kernel = static_cast<Kernel *>(context);

        if (!kernel->answers || address + BEAT > IMAGE_BYTES) return nullptr;
        return kernel->image_.data() + channel * IMAGE_BYTES + address;
    }
    Completion load_block(uint32_t places) {
        Command command;

        command.op = OP_LOAD;
        command.address = BATCH + TABLE;
        command.count = places;
        return done(command);
    }
    static void put_at(uint8_t *at, uint64_t value, size_t bytes) { memcpy(at, &value, bytes); }

    const csti_sim_card_ops *ops_ = card_ops();
    csti_sim_card *card_ = nullptr;
    uint8_t *memory_ = nullptr;
    uint32_t number_ = 0;
    std::vector<uint8_t> image_;
};

} // namespace

TEST(rows_look_ups_and_barriers_by_the_ring_and_the_end_of_a_run) {
    Kernel kernel;
    Command end;

    kernel.check_works();
    kernel.check_works(); // the ring goes round
    CHECK_EQ(kernel.read(OPERATIONS), 2 * (20 + 1 + 21 + 1 + 1));
    CHECK_EQ(kernel.read(STATUS) & 0xffff, RUNNING);
    CHECK_EQ(kernel.read(CTRL) & (CTRL_DONE | CTRL_IDLE), 0);
    end.op = OP_END;
    CHECK_EQ(kernel.done(end).code, CST_OK);
    kernel.wait_done();
    kernel.write(CTRL, CTRL_CONTINUE);
    CHECK_EQ(kernel.read(CTRL) & (CTRL_DONE | CTRL_IDLE), CTRL_IDLE);
    CHECK_EQ(kernel.read(COMPLETED), kernel.number());
    kernel.start();
    kernel.check_works();
}

TEST(doubles_are_added_in_row_order) {
    const std::vector<double> values = {0.1, 0.2, 0.3, 1e16, 1, 1, -1e16, 0.7, 5e-324, -0.0};
    Kernel kernel;
    double sum = 0, found;

    CHECK_EQ(kernel.load_sums().code, CST_OK);
    CHECK_EQ(kernel.done(kernel.doubles(values)).code, CST_OK);
    Command look = kernel.rows(1, 2);
    look.results = BATCH + RESULTS;
    CHECK_EQ(kernel.done(look).code, CST_OK);
    for (const double value : values) sum += value;
    memcpy(&found, kernel.result(0) + BEAT, sizeof found);
    CHECK_EQ(kernel.result(0)[1], 1);
    CHECK_BYTES(&found, &sum, sizeof sum);
}

TEST(a_wrong_command_says_so_and_changes_nothing) {
    Kernel kernel;
    struct Wrong {
        Command command;
        cst_code code;
    };
    std::vector<Wrong> wrongs;
    const auto wrong = [&](cst_code code, void (*spoil)(Command &)) {
        Command command = kernel.rows(3, 0);

        spoil(command);
        wrongs.push_back({command, code});
    };

    wrong(CST_UNSUPPORTED, [](Command &c) { c.op = 0; });
    wrong(CST_UNSUPPORTED, [](Command &c) { c.op = 10; });
    wrong(CST_UNSUPPORTED, [](Command &c) { c.op = 255; });
    wrong(CST_USAGE, [](Command &c) { c.flags |= 128; });
    wrong(CST_USAGE, [](Command &c) { c.reserved0 = 1; });
    wrong(CST_USAGE, [](Command &c) { c.reserved1 = 1; });
    wrong(CST_USAGE, [](Command &c) { c.flags |= MORE; });
    wrong(CST_USAGE, [](Command &c) { c.at = 1; });
    wrong(CST_USAGE, [](Command &c) { c.epoch = 1; });
    wrong(CST_USAGE, [](Command &c) { c.address += 8; });
    wrong(CST_USAGE, [](Command &c) { c.address = BATCH - BEAT; });
    wrong(CST_USAGE, [](Command &c) { c.address = BATCH + END - BEAT; });
    wrong(CST_USAGE, [](Command &c) { c.address = UINT64_MAX - 63; });
    wrong(CST_USAGE, [](Command &c) { c.results = BATCH + RESULTS + 4; });
    wrong(CST_USAGE, [](Command &c) { c.results = BATCH + END; });
    wrong(CST_LIMIT, [](Command &c) { c.count = 65537; });
    wrong(CST_LIMIT, [](Command &c) { c.count = UINT32_MAX; });
    wrong(CST_LIMIT, [](Command &c) { c.op = OP_LOAD, c.count = 4097; });
    CHECK_EQ(kernel.load().code, CST_OK);
    const Completion before = kernel.done(kernel.rows(20, 0));
    for (const Wrong &item : wrongs) {
        const Completion done = kernel.done(item.command);
        Command barrier;

        barrier.op = OP_BARRIER;
        CHECK_CODE(cst_code(done.code), item.code);
        CHECK_EQ(done.stopped, 1);
        CHECK_EQ(done.rows_count, before.rows_count);
        CHECK_EQ(done.tail, before.tail);
        CHECK_CODE(cst_code(kernel.done(kernel.rows(3, 0)).code), CST_ABORTED);
        CHECK_CODE(cst_code(kernel.done(barrier).code), CST_ABORTED);
        CHECK_EQ(kernel.read(STATUS) & 7, RUNNING | STOPPED);
        CHECK_EQ(kernel.load().code, CST_OK); // an empty table again
        CHECK_EQ(kernel.done(kernel.rows(20, 0)).code, CST_OK);
    }
}

TEST(a_row_of_no_kind_stops_the_rows_behind_it) {
    Kernel kernel;
    Command rows;

    CHECK_EQ(kernel.load().code, CST_OK);
    rows = kernel.rows(5, 3);
    rows.row = 100;
    const Completion done = kernel.done(rows);
    CHECK_CODE(cst_code(done.code), CST_USAGE);
    CHECK_EQ(done.row, 100);
    CHECK_EQ(done.rows_count, 0);
    CHECK_EQ(kernel.load().code, CST_OK);
    // A look-up without a place for its result.
    CHECK_CODE(cst_code(kernel.done(kernel.rows(5, 2)).code), CST_USAGE);
    kernel.check_works();
}

TEST(a_release_gives_back_places_and_refuses_what_is_not_sealed) {
    Kernel kernel;

    CHECK_EQ(kernel.load_full_segment().code, CST_OK);
    Completion done = kernel.release(1, 65536 - 64);
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.free_count, 0);
    CHECK_EQ(done.from, 65536 - 64);
    done = kernel.release(1, 65536);
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.free_count, 1);
    CHECK_EQ(done.from, 65536);
    done = kernel.release(1, 65536); // again: nothing
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.free_count, 1);
    done = kernel.done(kernel.rows(20, 0)); // in the place that is free again
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.frontier, 1);
    CHECK_EQ(done.free_count, 0);
    for (const auto &[epoch, to] : std::vector<std::pair<uint64_t, uint64_t>>{
             {2, 65536}, {UINT64_MAX, 0}, {1, 65536 + 64}, {1, UINT64_MAX}}) {
        done = kernel.release(epoch, to);
        CHECK_CODE(cst_code(done.code), CST_EPOCH);
        CHECK_EQ(done.stopped, 1);
        CHECK_EQ(done.from, 65536);
        CHECK_EQ(done.free_count, 0);
    }
    // Stopped, and what makes room is done all the same.
    CHECK_EQ(kernel.release(1, 65536).code, CST_OK);
    CHECK_CODE(cst_code(kernel.done(kernel.rows(3, 0)).code), CST_ABORTED);
    CHECK_EQ(kernel.load_full_segment().code, CST_OK);
    CHECK_EQ(kernel.done(kernel.rows(3, 0)).code, CST_OK);
}

TEST(rows_past_their_time_are_absent_and_an_expiry_takes_them) {
    Kernel kernel;

    CHECK_EQ(kernel.load_times().code, CST_OK);
    CHECK_EQ(kernel.done(kernel.rows(20, 0)).rows_count, 20); // times 0, 3, ... 57, at time 0
    for (int64_t now : {INT64_MIN, INT64_C(9), INT64_C(40), INT64_MAX}) {
        const int64_t gone = now < 10 ? 0 : now == 40 ? 11 : 20;
        Command look = kernel.rows(20, 2);

        look.results = BATCH + RESULTS;
        look.now = uint64_t(now);
        CHECK_EQ(kernel.done(look).code, CST_OK);
        for (uint32_t r = 0; r < 20; r++) CHECK_EQ(kernel.result(r)[1], r >= gone);
    }
    Completion done = kernel.done(kernel.expire(30, 32, 40)); // round the end of the buckets
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.row, 32);
    CHECK_EQ(done.rows_count, 9);
    CHECK_EQ(done.tail, 32 + 20); // the records of this epoch became tombstones
    CHECK_EQ(kernel.done(kernel.expire(0, 0, 40)).rows_count, 9);
    CHECK_EQ(kernel.done(kernel.expire(31, 32, 40)).rows_count, 9);
    // A delete of what is past its time does nothing, an upsert begins anew.
    Command late = kernel.rows(20, 1);
    late.now = 1000;
    CHECK_EQ(kernel.done(late).rows_count, 9);
    late = kernel.rows(20, 0);
    late.now = 1000;
    CHECK_EQ(kernel.done(late).rows_count, 20);
}

TEST(an_expiry_of_what_is_not_there_says_so) {
    Kernel kernel;
    struct Wrong {
        uint64_t bucket;
        uint32_t count;
        cst_code code;
    };

    for (const Wrong &wrong : {Wrong{32, 1, CST_USAGE}, Wrong{UINT64_C(1) << 40, 1, CST_USAGE},
                               Wrong{UINT64_MAX, 1, CST_USAGE}, Wrong{0, 33, CST_USAGE},
                               Wrong{0, 65537, CST_LIMIT}, Wrong{0, UINT32_MAX, CST_LIMIT}}) {
        CHECK_EQ(kernel.load_times().code, CST_OK);
        CHECK_EQ(kernel.done(kernel.rows(20, 0)).code, CST_OK);
        const Completion done = kernel.done(kernel.expire(wrong.bucket, wrong.count, 1000));
        CHECK_CODE(cst_code(done.code), wrong.code);
        CHECK_EQ(done.rows_count, 20);
        CHECK_CODE(cst_code(kernel.done(kernel.expire(0, 1, 1000)).code), CST_ABORTED);
    }
    CHECK_EQ(kernel.load().code, CST_OK);
    CHECK_CODE(cst_code(kernel.done(kernel.expire(0, 1, 1000)).code), CST_UNSUPPORTED);
    kernel.check_works();
}

TEST(a_scan_gives_each_row_once_and_says_where_it_stands) {
    Kernel kernel;

    CHECK_EQ(kernel.load_times().code, CST_OK);
    CHECK_EQ(kernel.done(kernel.rows(20, 0)).code, CST_OK);
    for (uint32_t rows_max : {1u, 3u, 20u, 32u}) {
        uint64_t slot = 0, rows = 0, keys = 0;

        while (slot < 512) { // 32 buckets of 16
            const uint32_t buckets = uint32_t(1 + test_random_below(32 - slot / 16));
            const Completion done = kernel.done(kernel.scan(slot, buckets, rows_max, 40));

            CHECK_EQ(done.code, CST_OK);
            CHECK(done.row <= rows_max);
            CHECK(done.from >= slot && done.from <= (slot / 16 + buckets) * 16);
            CHECK(done.row == rows_max || done.from == (slot / 16 + buckets) * 16);
            for (uint32_t r = 0; r < done.row; r++) {
                uint64_t words[4];

                memcpy(words, kernel.record(r), sizeof words);
                CHECK(words[2] > 10 && words[2] < 20 && !(keys >> words[2] & 1));
                keys |= UINT64_C(1) << words[2];
                CHECK_EQ(words[0], (words[2] + 1) * UINT64_C(0x9e3779b97f4a7c15));
                CHECK_EQ(words[1], UINT64_C(0x8000000800010008)); // a row of 8 and 8 bytes
                CHECK_EQ(words[3], words[2] * 3);
            }
            CHECK_EQ(kernel.record(done.row)[0], 0xee);
            rows += done.row;
            slot = done.from;
        }
        CHECK_EQ(rows, 9); // the others are past their time
    }
    const Completion none = kernel.done(kernel.scan(17, 5, 0, 0));
    CHECK_EQ(none.code, CST_OK);
    CHECK_EQ(none.row, 0);
    CHECK_EQ(none.from, 17);
    CHECK_EQ(kernel.done(kernel.scan(512, 0, 9, 0)).from, 512);
}

TEST(a_scan_of_what_is_not_there_says_so) {
    Kernel kernel;
    std::vector<std::pair<Command, cst_code>> wrongs = {
        {kernel.scan(512, 1, 9, 0), CST_USAGE},
        {kernel.scan(0, 33, 9, 0), CST_USAGE},
        {kernel.scan(UINT64_MAX, 1, 9, 0), CST_USAGE},
        {kernel.scan(UINT64_C(1) << 40, 0, 9, 0), CST_USAGE},
        {kernel.scan(0, 65537, 9, 0), CST_LIMIT},
        {kernel.scan(0, 1, 65537, 0), CST_LIMIT},
        {kernel.scan(0, 1, 9, 0), CST_USAGE},
        {kernel.scan(0, 1, 9, 0), CST_USAGE},
        {kernel.scan(0, 1, 9, 0), CST_USAGE}};

    wrongs[6].first.results += 8;
    wrongs[7].first.results = BATCH + END - 8 * BEAT;
    wrongs[8].first.results = 0;
    for (const auto &[command, code] : wrongs) {
        CHECK_EQ(kernel.load().code, CST_OK);
        CHECK_EQ(kernel.done(kernel.rows(20, 0)).code, CST_OK);
        const Completion done = kernel.done(command);
        CHECK_CODE(cst_code(done.code), code);
        CHECK_EQ(kernel.record(0)[0], 0xee);
    }
    kernel.check_works();
}

TEST(records_become_rows_that_the_log_does_not_see) {
    Kernel kernel;

    CHECK_EQ(kernel.load().code, CST_OK);
    for (uint32_t r = 0; r < 20; r++) kernel.put_record(r < 7 ? r : r + 3, r, r * 3);
    const uint64_t gap[12] = {0, UINT64_C(0x2000000000030000)}; // three units
    memcpy(kernel.record_at(7), gap, sizeof gap);
    Completion done = kernel.done(kernel.restore(23));
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.row, 23);
    CHECK_EQ(done.rows_count, 20);
    CHECK_EQ(done.tail, 32); // nothing was logged
    Command look = kernel.rows(21, 2);
    look.results = BATCH + RESULTS;
    CHECK_EQ(kernel.done(look).code, CST_OK);
    for (uint32_t r = 0; r < 21; r++) {
        uint64_t value;

        memcpy(&value, kernel.result(r) + BEAT, 8);
        CHECK_EQ(kernel.result(r)[1], r < 20);
        if (r < 20) CHECK_EQ(value, r * 3);
    }
    // A tombstone of a row that is there, and of one that is not; a row again.
    kernel.put_record(0, 4, 0);
    kernel.put_record(1, 40, 0);
    for (uint32_t r = 0; r < 2; r++) {
        kernel.record_at(r)[12] = 0;
        kernel.record_at(r)[15] = 0x40;
    }
    kernel.put_record(2, 5, 77);
    done = kernel.done(kernel.restore(3));
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.rows_count, 19);
    CHECK_EQ(done.tail, 32);
    // The first touch of an epoch logs what was restored.
    done = kernel.done(kernel.rows(20, 0));
    CHECK_EQ(done.rows_count, 20);
    CHECK_EQ(done.tail, 32 + 20);
}

// A tombstone has its row's last value or none; a row that was set aside has a key, and is a gap.
TEST(records_of_windows_are_tombstones_and_gaps) {
    Kernel kernel;

    CHECK_EQ(kernel.load().code, CST_OK);
    for (uint32_t r = 0; r < 20; r++) kernel.put_record(r, r, 5);
    CHECK_EQ(kernel.done(kernel.restore(20)).rows_count, 20);
    for (uint32_t r = 0; r < 3; r++) kernel.put_record(r, 3 + r, 9);
    kernel.record_at(0)[15] = 0x40;
    kernel.record_at(1)[15] = 0x20;
    kernel.record_at(2)[15] = 0x20;
    Completion done = kernel.done(kernel.restore(3));
    CHECK_EQ(done.code, CST_OK);
    CHECK_EQ(done.row, 3);
    CHECK_EQ(done.rows_count, 19);
    // Zeros where nothing is, and the widths of the table, are asked of them too.
    const std::array<uint8_t, 3> spoils[] = {
        {1, 8, 7}, {1, 12, 9}, {1, 10, 2}, {0, 12, 7}, {0, 8, 9}};
    for (const auto &[unit, byte, value] : spoils) {
        for (uint32_t r = 0; r < 3; r++) kernel.put_record(r, 0x0101010101010101 * (3 + r), 9);
        kernel.record_at(0)[15] = 0x40;
        kernel.record_at(1)[15] = kernel.record_at(2)[15] = 0x20;
        kernel.record_at(unit)[byte] = value;
        CHECK_EQ(kernel.load().code, CST_OK);
        done = kernel.done(kernel.restore(3));
        CHECK_CODE(cst_code(done.code), CST_SEGMENT_RECORD);
        CHECK_EQ(done.row, unit);
    }
}

TEST(a_record_that_breaks_a_rule_ends_a_restore_at_its_unit) {
    Kernel kernel;
    const std::vector<std::pair<uint32_t, uint8_t>> spoils = {{8, 9},     {9, 1},     {10, 2},
                                                              {10, 0},    {12, 7},    {12, 9},
                                                              {15, 0},    {15, 0xc0}, {15, 0xe0},
                                                              {15, 0x81}, {14, 1},    {8, 7}};

    for (const auto &[byte, value] : spoils) {
        CHECK_EQ(kernel.load().code, CST_OK);
        for (uint32_t r = 0; r < 20; r++) kernel.put_record(r, 0x0101010101010101 * (r + 1), 1);
        kernel.record_at(11)[byte] = value;
        const Completion done = kernel.done(kernel.restore(20));
        CHECK_CODE(cst_code(done.code), CST_SEGMENT_RECORD);
        CHECK_EQ(done.row, 11);
        CHECK_EQ(done.rows_count, 11);
    }
    // A gap that is not zeros, one that goes on behind the end, and the same with more to come.
    const uint64_t gap[4] = {0, UINT64_C(0x2000000000050000)};
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(kernel.load().code, CST_OK);
        memset(kernel.record_at(11), 0, 256);
        memcpy(kernel.record_at(11), gap, sizeof gap);
        if (i == 0) kernel.record_at(11)[32 * 4 + 31] = 1;
        const Completion done = kernel.done(kernel.restore(i == 0 ? 20 : 15, i == 2 ? MORE : 0));
        CHECK_CODE(cst_code(done.code), i == 2 ? CST_OK : CST_SEGMENT_RECORD);
        CHECK_EQ(done.row, 11);
        CHECK_EQ(done.rows_count, 11);
    }
    CHECK_EQ(kernel.load().code, CST_OK);
    CHECK_CODE(cst_code(kernel.done(kernel.restore(65537)).code), CST_LIMIT);
    CHECK_CODE(cst_code(kernel.done(kernel.restore(1)).code), CST_ABORTED);
    CHECK_EQ(kernel.load().code, CST_OK);
    Command outside = kernel.restore(8);
    outside.address = BATCH + END - 3 * BEAT;
    CHECK_CODE(cst_code(kernel.done(outside).code), CST_USAGE);
    kernel.check_works();
}

TEST(a_walk_through_a_memory_that_fails_ends_the_run) {
    Kernel kernel;

    CHECK_EQ(kernel.load_times().code, CST_OK);
    CHECK_EQ(kernel.done(kernel.rows(20, 0)).code, CST_OK);
    kernel.answers = false;
    CHECK_CODE(cst_code(kernel.done(kernel.expire(0, 32, 1000)).code), CST_DEVICE_LOST);
    kernel.wait_done();
    kernel.answers = true;
    kernel.soft_reset();
    for (uint32_t i = 0; i < 8; i++) { // and a reset in its midst
        CHECK_EQ(kernel.load_times().code, CST_OK);
        CHECK_EQ(kernel.done(kernel.rows(20, 0)).code, CST_OK);
        kernel.put(kernel.expire(0, 32, 1000));
        kernel.run(test_random_below(900));
        kernel.soft_reset();
    }
    kernel.check_works();
}

TEST(arguments_that_cannot_be_end_the_run) {
    Kernel kernel;

    kernel.soft_reset();
    for (uint32_t word : {0u, 2u, 4u, 8u}) {
        Command end;

        end.op = OP_END;
        CHECK_EQ(kernel.done(end).code, CST_OK);
        kernel.wait_done();
        kernel.write(CTRL, CTRL_CONTINUE);
        kernel.write(ARGUMENTS + word * 4, word == 8 ? 0x1000 : 31);
        kernel.write(CTRL, CTRL_START);
        kernel.wait_done();
        CHECK_EQ(kernel.read(STATUS) >> 16 & 255, CST_USAGE);
        kernel.write(CTRL, CTRL_CONTINUE);
        kernel.start();
    }
    kernel.check_works();
}

TEST(arguments_written_while_it_runs_are_those_of_the_next_run) {
    Kernel kernel;

    CHECK_EQ(kernel.load().code, CST_OK);
    for (uint32_t word = 0; word < 14; word++) kernel.write(ARGUMENTS + word * 4, 0xffffffff);
    kernel.write(CTRL, CTRL_START); // waits until this run has ended
    kernel.check_works();
}

TEST(an_image_without_memory_loses_the_run_until_a_soft_reset) {
    Kernel kernel;

    kernel.check_works();
    kernel.answers = false;
    const Completion done = kernel.done(kernel.rows(20, 0));
    CHECK_CODE(cst_code(done.code), CST_DEVICE_LOST);
    CHECK_EQ(done.faults, FAULT_READ);
    kernel.wait_done();
    CHECK_EQ(kernel.read(STATUS) & 0xffff, LOST | STOPPED | FAULT_READ << 8);
    // It stays lost, whoever starts it.
    kernel.write(CTRL, CTRL_CONTINUE);
    kernel.write(CTRL, CTRL_START);
    kernel.wait_done();
    CHECK_EQ(kernel.read(STATUS) >> 16 & 255, CST_DEVICE_LOST);
    kernel.answers = true;
    kernel.soft_reset();
    kernel.check_works();
}

TEST(a_soft_reset_at_any_clock_leaves_a_kernel_that_works) {
    Kernel kernel;

    for (uint32_t i = 0; i < 12; i++) {
        CHECK_EQ(kernel.load().code, CST_OK);
        kernel.put(kernel.rows(200, 0));
        kernel.run(test_random_below(900));
        kernel.soft_reset();
        kernel.check_works();
    }
}

#if CST_RTL_CARD_ASSERT
// What a card with the mistake says before it ends the program, and how to see it again.
static std::string last_words(csti_sim_mistake mistake) {
    int ends[2], status = 0;
    char piece[256];
    std::string said;

    CHECK_EQ(pipe(ends), 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)dup2(ends[1], STDOUT_FILENO); // the model's own
        Kernel kernel(mistake);
        kernel.check_works();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;) said.append(piece, size_t(n));
    close(ends[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (card_waves_file()) return said; // they are drawn
    for (const std::string &line :
         {std::string("&waves=FILE&waves_from=0 behind sim:? it draws"),
          "waves: CST_SEED=" + std::to_string(test_seed_value) +
              " CST_WAVES_FROM=0 scripts/waves rtl.kernel.kernel_state " + test_case_now + "\n"})
        if (said.find(line) == std::string::npos) TEST_FAIL("it said: %s", said.c_str());
    return said;
}

// The same model asks for its image by bursts that are none: rtl.common.axi_checker has the rules.
TEST(a_rule_of_axi_that_is_broken_at_its_ports_ends_the_program) {
    const std::string said = last_words(CSTI_SIM_MISTAKE_BURST);

    if (said.find("m_axi_c") == std::string::npos ||
        said.find(": ARBURST 0 is not INCR") == std::string::npos)
        TEST_FAIL("it said: %s", said.c_str());
}

TEST(an_assertion_of_the_circuit_that_does_not_hold_ends_the_program) {
    const std::string said = last_words(CSTI_SIM_MISTAKE_CLAIM);

    if (said.find("nothing_is_claimed") == std::string::npos ||
        said.find("the circuit: an assertion does not hold") == std::string::npos)
        TEST_FAIL("it said: %s", said.c_str());
}
#endif

TEST_MAIN
