// model: table cst_state_table -GSetBits=4 -GWays=4 -GIds=11 -GTagBits=12 -GMatchBits=10
#include "bench.hpp"

#include <Vtable.h>
#include <algorithm>
#include <map>

enum : uint32_t { Sets = 16, Ways = 4, Ids = 11, MatchMask = 0x3ff };

// Asks, takes and drops by chance, and says in each clock what must be answered.
class Reference : public Part {
  public:
    explicit Reference(Bench<Vtable> &bench) : bench_(bench) {
        bench.add(this);
        for (uint32_t &chance : chances_) chance = 1 + uint32_t(test_random_below(8));
    }

    uint32_t hits = 0, conflicts = 0, sets_full = 0, ids_none = 0;
    uint32_t taken_just_before = 0, dropped_while_read = 0;

    void idle() override {
        bench_->ask_i = bench_->take_i = bench_->drop_i = 0;
        for (auto &ids : ids_of_) ids.clear();
        where_.clear();
        free_.clear();
        for (uint32_t id = 0; id < Ids; id++) free_.push_back(id);
        asked_ = read_ = false;
    }

    void drive() override {
        const bool ready = bench_->ready_o;

        bench_->ask_i = chance(0);                       // before it is ready too
        bench_->set_i = CData(test_random_below(4) * 5); // some of the sets
        bench_->tag_i = SData(test_random_below(3) << 10 | test_random_below(4));
        bench_->take_i = ready && bench_->ask_i && asked_ && can_take() && chance(1);
        bench_->drop_i = ready && !where_.empty() && chance(2);
        bench_->drop_id_i = SData(test_random_below(1024));
        if (!bench_->drop_i) return;
        auto dropped = where_.begin();
        std::advance(dropped, test_random_below(where_.size()));
        bench_->drop_id_i = SData(dropped->first);
    }

    void sample() override {
        if (bench_->ready_o && asked_) check();
        const uint32_t set = set_, tag = tag_;
        if (bench_->take_i) {
            ids_of_[set][tag] = free_.front();
            where_[free_.front()] = {set, tag};
            free_.pop_front();
            taken_just_before += read_set_ == set && read_tag_ == tag;
        }
        if (bench_->drop_i) {
            const auto at = where_.find(bench_->drop_id_i);
            dropped_while_read += read_ && at->second == std::make_pair(read_set_, read_tag_);
            ids_of_[at->second.first].erase(at->second.second);
            free_.push_back(at->first);
            where_.erase(at);
        }
        if (!bench_->ask_i) return;
        asked_ = read_;
        set_ = read_set_;
        tag_ = read_tag_;
        read_ = true;
        read_set_ = bench_->set_i;
        read_tag_ = bench_->tag_i;
    }

  private:
    bool chance(uint32_t which) { return test_random_below(8) < chances_[which]; }

    bool hit() const { return ids_of_[set_].count(tag_); }
    bool conflict() const {
        for (const auto &[tag, id] : ids_of_[set_])
            if (tag != tag_ && (tag & MatchMask) == (tag_ & MatchMask)) return true;
        return false;
    }
    bool can_take() const {
        return !hit() && !conflict() && ids_of_[set_].size() < Ways && !free_.empty();
    }

    void check() {
        const bool room = ids_of_[set_].size() < Ways;

        CHECK_EQ(bench_->hit_o, hit());
        CHECK_EQ(bench_->conflict_o, conflict());
        CHECK_EQ(bench_->free_o, room && !free_.empty());
        if (hit()) CHECK_EQ(bench_->id_o, ids_of_[set_].at(tag_));
        if (!hit() && !free_.empty()) CHECK_EQ(bench_->id_o, free_.front());
        hits += hit();
        conflicts += conflict();
        sets_full += !room;
        ids_none += free_.empty();
    }

    Bench<Vtable> &bench_;
    uint32_t chances_[3];
    std::map<uint32_t, uint32_t> ids_of_[Sets];               // tag: id
    std::map<uint32_t, std::pair<uint32_t, uint32_t>> where_; // id: set, tag
    std::deque<uint32_t> free_;         // in the order in which they are given
    bool read_ = false, asked_ = false; // there is a question that is read, one that is answered
    uint32_t read_set_ = 0, read_tag_ = 0, set_ = 0, tag_ = 0;
};

TEST(tags_have_the_ids_that_they_took_until_those_are_dropped) {
    uint32_t hits = 0, conflicts = 0, sets_full = 0, ids_none = 0;
    uint32_t taken_just_before = 0, dropped_while_read = 0;

    repeat(40, [&] {
        Bench<Vtable> bench;
        Reference reference(bench);

        for (uint32_t round = 0; round < 3; round++) { // a reset at any time empties it
            bench.reset(1);
            bench.run(test_random_below(2000));
        }
        hits += reference.hits;
        conflicts += reference.conflicts;
        sets_full += reference.sets_full;
        ids_none += reference.ids_none;
        taken_just_before += reference.taken_just_before;
        dropped_while_read += reference.dropped_while_read;
    });
    CHECK(hits > 0 && conflicts > 0 && sets_full > 0 && ids_none > 0);
    CHECK(taken_just_before > 0 && dropped_while_read > 0);
}

TEST(it_is_ready_as_soon_as_it_promises) {
    Bench<Vtable> bench;
    Reference reference(bench);

    bench.reset();
    for (uint32_t i = 0; i < std::max<uint32_t>(Sets, Ids); i++) {
        CHECK(!bench->ready_o);
        bench.tick();
    }
    CHECK(bench->ready_o);
}

TEST_MAIN
