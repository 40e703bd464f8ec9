// model: lines cst_state_lines
#include "bench.hpp"

#include <Vlines.h>

namespace {

enum : uint32_t { IDS = 1024, USED = 12, SLOTS = 16 };

struct Line {
    uint16_t tags[SLOTS] = {};
    uint16_t occupied = 0;
    uint64_t overflow[2] = {};
    uint32_t number = 0;
    bool taken = false, present = false;
};

template <std::size_t Words>
void bits_put(VlWide<Words> &port, uint32_t at, uint32_t count, uint64_t value) {
    for (uint32_t i = 0; i < count; i++, at++)
        port[at / 32] = EData((port[at / 32] & ~(1u << at % 32)) | (value >> i & 1) << at % 32);
}

template <std::size_t Words>
uint64_t bits_get(const VlWide<Words> &port, uint32_t at, uint32_t count) {
    uint64_t value = 0;

    for (uint32_t i = 0; i < count; i++, at++) value |= uint64_t(port[at / 32] >> at % 32 & 1) << i;
    return value;
}

template <std::size_t Words> void check_meta(const VlWide<Words> &port, const Line &line) {
    CHECK_EQ(bits_get(port, 0, 16), line.occupied);
    CHECK_EQ(bits_get(port, 16, 64), line.overflow[0]);
    CHECK_EQ(bits_get(port, 80, 64), line.overflow[1]);
}

// Takes, fills, updates and asks by chance; what was asked stands there, as it is by now.
class Lines : public Part {
  public:
    explicit Lines(Bench<Vlines> &bench) : bench_(bench) {
        bench.add(this);
        for (uint32_t &chance : chances_) chance = 1 + uint32_t(test_random_below(8));
        for (uint32_t &id : ids_) id = uint32_t(test_random_below(IDS));
    }

    uint64_t fills_held = 0, followed = 0;

    void idle() override {
        bench_->take_i = bench_->fill_valid_i = bench_->match_read_i = 0;
        bench_->execute_read_i = bench_->save_read_i = 0;
        bits_put(bench_->update_i, 0, 176, 0);
    }

    void drive() override {
        drive_take();
        drive_fill();
        drive_update();
        bench_->match_read_i = ask(3, &match_next_);
        bench_->match_id_i = SData(match_next_);
        bench_->execute_read_i = ask(4, &execute_next_);
        bench_->execute_id_i = SData(execute_next_);
        bench_->save_read_i = ask(5, &save_next_);
        bench_->save_id_i = SData(save_next_);
        bench_->ask_id_i = SData(one());
    }

    void sample() override {
        if (lines_[bench_->ask_id_i].taken)
            CHECK_EQ(bench_->present_o, lines_[bench_->ask_id_i].present);
        check();
        if (bench_->match_read_i) match_ = int32_t(match_next_);
        if (bench_->execute_read_i) execute_ = int32_t(execute_next_);
        if (bench_->save_read_i) save_ = int32_t(save_next_);
        sample_fill();
        if (updates_) {
            Line &line = lines_[update_id_];
            if (retag_) line.tags[slot_] = update_.tags[0];
            line.occupied = update_.occupied;
            memcpy(line.overflow, update_.overflow, sizeof line.overflow);
            followed += uint32_t(match_) == update_id_ && !bench_->match_read_i;
        }
        if (bench_->take_i) {
            lines_[bench_->take_id_i].taken = true;
            lines_[bench_->take_id_i].present = false;
            lines_[bench_->take_id_i].number = bench_->take_no_i;
            forget(bench_->take_id_i);
        }
    }

  private:
    bool chance(uint32_t which) { return test_random_below(8) < chances_[which]; }
    uint32_t one() { return ids_[test_random_below(USED)]; }

    // A line that is there may be asked for.
    bool ask(uint32_t which, uint32_t *id) {
        *id = one();
        return lines_[*id].present && chance(which);
    }

    void drive_take() {
        const uint32_t id = one();

        bench_->take_i = chance(0) && !(bench_->fill_valid_i && id == bench_->fill_id_i) &&
                         test_random_below(4) == 0;
        bench_->take_id_i = SData(id);
        bench_->take_no_i = IData(test_random_below(1u << 27));
    }

    void drive_fill() {
        const uint32_t id = one();

        if (bench_->fill_valid_i && !filled_) return; // it stands until it is taken
        filled_ = false;
        bench_->fill_valid_i = lines_[id].taken && !lines_[id].present &&
                               !(bench_->take_i && bench_->take_id_i == id) && chance(1);
        bench_->fill_id_i = SData(id);
        wide_noise(bench_->fill_data_i, 512);
    }

    void drive_update() {
        wide_noise(bench_->update_i, 176);
        update_id_ = one();
        updates_ = lines_[update_id_].present && chance(2);
        update_.occupied = uint16_t(test_random());
        update_.overflow[0] = test_random();
        update_.overflow[1] = test_random();
        update_.tags[0] = uint16_t(test_random());
        slot_ = uint32_t(test_random_below(SLOTS));
        retag_ = test_random() & 1;
        bits_put(bench_->update_i, 0, 16, update_.occupied);
        bits_put(bench_->update_i, 16, 64, update_.overflow[0]);
        bits_put(bench_->update_i, 80, 64, update_.overflow[1]);
        bits_put(bench_->update_i, 144, 16, update_.tags[0]);
        bits_put(bench_->update_i, 160, 4, slot_);
        bits_put(bench_->update_i, 164, 10, update_id_);
        bits_put(bench_->update_i, 174, 1, retag_);
        bits_put(bench_->update_i, 175, 1, updates_);
    }

    void sample_fill() {
        CHECK_EQ(bench_->fill_ready_o, !updates_);
        fills_held += bench_->fill_valid_i && updates_;
        if (!bench_->fill_valid_i || updates_) return;
        Line &line = lines_[bench_->fill_id_i];
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            line.tags[slot] = uint16_t(bits_get(bench_->fill_data_i, slot * 16, 16));
        line.occupied = uint16_t(bits_get(bench_->fill_data_i, 256, 16));
        line.overflow[0] = bits_get(bench_->fill_data_i, 384, 64);
        line.overflow[1] = bits_get(bench_->fill_data_i, 448, 64);
        line.present = true;
        filled_ = true;
    }

    // Nobody looks at a line that was taken again, until it has been filled and asked for.
    void forget(uint32_t id) {
        for (int32_t *asked : {&match_, &execute_, &save_})
            if (*asked == int32_t(id)) *asked = -1;
    }

    void check() {
        if (match_ >= 0) {
            const Line &line = lines_[match_];
            for (uint32_t slot = 0; slot < SLOTS; slot++)
                CHECK_EQ(bits_get(bench_->match_tags_o, slot * 16, 16), line.tags[slot]);
            check_meta(bench_->match_meta_o, line);
        }
        if (execute_ >= 0) check_meta(bench_->execute_meta_o, lines_[execute_]);
        if (save_ >= 0) {
            const Line &line = lines_[save_];
            for (uint32_t slot = 0; slot < SLOTS; slot++)
                CHECK_EQ(bits_get(bench_->save_line_o, slot * 16, 16), line.tags[slot]);
            CHECK_EQ(bits_get(bench_->save_line_o, 256, 16), line.occupied);
            for (uint32_t at = 272; at < 384; at += 16)
                CHECK_EQ(bits_get(bench_->save_line_o, at, 16), 0);
            CHECK_EQ(bits_get(bench_->save_line_o, 384, 64), line.overflow[0]);
            CHECK_EQ(bits_get(bench_->save_line_o, 448, 64), line.overflow[1]);
            CHECK_EQ(bench_->save_no_o, line.number);
        }
    }

    Bench<Vlines> &bench_;
    Line lines_[IDS], update_;
    uint32_t chances_[6], ids_[USED], update_id_ = 0, slot_ = 0;
    uint32_t match_next_ = 0, execute_next_ = 0, save_next_ = 0;
    int32_t match_ = -1, execute_ = -1, save_ = -1;
    bool updates_ = false, retag_ = false, filled_ = false;
};

} // namespace

TEST(a_line_is_what_was_filled_and_updated_in_every_answer) {
    uint64_t fills_held = 0, followed = 0;

    repeat(20, [&] {
        Bench<Vlines> bench;
        auto lines = std::make_unique<Lines>(bench);

        lines->idle();
        bench.run(2000);
        fills_held += lines->fills_held;
        followed += lines->followed;
    });
    CHECK(fills_held > 0 && followed > 0);
}

TEST_MAIN
