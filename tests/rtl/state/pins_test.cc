// model: pins_two cst_state_pins -GAnswers=2
// model: pins_one cst_state_pins -GAnswers=1
#include "bench.hpp"

#include <Vpins_one.h>
#include <Vpins_two.h>
#include <map>

namespace {

enum : uint32_t {
    IDS = 1024,
    USED = 8,
    ANSWERS_MAX = 2,
    SENT_MAX = 3,
    NEEDED_MAX = 20,
    SOON = 400
};

// Takes, leaves, dirties, pops and answers a few ids by chance, and knows who may be free.
template <class Model, uint32_t Answers> class Life : public Part {
  public:
    explicit Life(Bench<Model> &bench) : bench_(bench) {
        bench.add(this);
        for (uint32_t &chance : chances_) chance = 1 + uint32_t(test_random_below(8));
        while (where_.size() < USED) where_[uint32_t(test_random_below(IDS))] = {};
    }

    uint64_t frees = 0, sent_thrice = 0, taken_again = 0, popped_dirty = 0;

    void idle() override {
        bench_->take_i = bench_->leave_i = bench_->dirty_i = bench_->pop_i = 0;
        bench_->answer_valid_i = 0;
        for (auto &copy : where_) copy.second = {};
        queue_.clear();
    }

    void drive() override {
        const bool ready = bench_->ready_o;

        noise();
        if (!ready) return;
        drive_take();
        drive_leave();
        bench_->dirty_i =
            pick([](const Copy &copy) { return copy.needed > 0; }, &dirty_) && chance(2);
        bench_->dirty_id_i = SData(dirty_);
        bench_->dirty_parity_i = test_random() & 1;
        bench_->pop_i = chance(3);
        bench_->free_ready_i = chance(4);
        for (uint32_t port = 0; port < Answers; port++) drive_answer(port);
    }

    void sample() override {
        if (!bench_->ready_o) return;
        const bool waits = where_.count(bench_->ask_id_i) && where_[bench_->ask_id_i].waits;
        CHECK_EQ(bench_->ask_waits_o, waits);
        sample_free();
        sample_answers();
        sample_queue();
        if (bench_->leave_i) {
            where_[bench_->leave_id_i].needed--;
            where_[bench_->leave_id_i].quiet = 0;
        }
        if (bench_->take_i) {
            Copy &copy = where_[bench_->take_id_i];
            taken_again += copy.alive && copy.needed == 0;
            copy.alive = true;
            copy.needed++;
        }
        for (auto &copy : where_) check_soon(copy.first, &copy.second);
    }

    // All are left and answered: nothing stays.
    void finish() {
        for (uint32_t which : {0u, 2u}) chances_[which] = 0;
        for (uint32_t which : {1u, 3u, 4u, 5u}) chances_[which] = 8;
        bench_.run(4 * SOON);
        for (const auto &copy : where_) CHECK(!copy.second.alive);
    }

  private:
    struct Copy {
        bool alive = false, waits = false, parity = false;
        uint32_t needed = 0, quiet = 0, unanswered[ANSWERS_MAX] = {};
        bool settled() const {
            for (uint32_t port = 0; port < Answers; port++)
                if (unanswered[port]) return false;
            return !waits;
        }
    };

    bool chance(uint32_t which) { return test_random_below(8) < chances_[which]; }

    // One of those that may, by chance.
    template <class May> bool pick(May may, uint32_t *out) {
        uint32_t count = 0;

        for (const auto &copy : where_)
            if (may(copy.second) && test_random_below(++count) == 0) *out = copy.first;
        return count > 0;
    }

    void noise() {
        bench_->take_i = bench_->leave_i = bench_->dirty_i = bench_->pop_i = 0;
        bench_->take_new_i = bench_->leave_look_i = bench_->dirty_parity_i = 0;
        bench_->take_id_i = bench_->leave_id_i = bench_->dirty_id_i = test_random_below(IDS);
        auto asked = where_.begin();
        std::advance(asked, test_random_below(USED));
        bench_->ask_id_i = SData(asked->first);
        bench_->free_ready_i = 0;
    }

    void drive_take() {
        uint32_t id = 0;

        bench_->take_i =
            pick([](const Copy &copy) { return copy.needed < NEEDED_MAX; }, &id) && chance(0);
        bench_->take_id_i = SData(id);
        bench_->take_new_i = !where_[id].alive;
    }

    // Without a look only if an answer still comes, which brings one.
    void drive_leave() {
        uint32_t id = 0;

        bench_->leave_i = bench_->leave_room_o &&
                          pick([](const Copy &copy) { return copy.needed > 0; }, &id) && chance(1);
        bench_->leave_id_i = SData(id);
        bench_->leave_look_i = where_[id].settled() || test_random_below(2);
    }

    void drive_answer(uint32_t port) {
        const uint32_t bit = 1u << port;
        uint32_t id = 0;

        if (bench_->answer_valid_i & bit && !answered_[port]) return; // it stands until taken
        answered_[port] = false;
        bench_->answer_valid_i &= CData(~bit);
        if (!pick([port](const Copy &copy) { return copy.unanswered[port] > 0; }, &id)) return;
        if (!chance(5)) return;
        bench_->answer_valid_i |= CData(bit);
        bench_->answer_id_i =
            IData((bench_->answer_id_i & ~(1023u << 10 * port)) | id << 10 * port);
    }

    void sample_free() {
        if (!bench_->free_valid_o) return;
        Copy &copy = where_[bench_->free_id_o];
        CHECK(copy.alive && copy.needed == 0 && copy.settled());
        CHECK(!(bench_->take_i && bench_->take_id_i == bench_->free_id_o));
        if (!bench_->free_ready_i) return;
        copy.alive = false;
        frees++;
    }

    void sample_answers() {
        for (uint32_t port = 0; port < Answers; port++) {
            if (!(bench_->answer_valid_i & bench_->answer_ready_o & 1u << port)) continue;
            where_[bench_->answer_id_i >> 10 * port & 1023].unanswered[port]--;
            where_[bench_->answer_id_i >> 10 * port & 1023].quiet = 0;
            answered_[port] = true;
        }
    }

    void sample_queue() {
        Copy &dirty =
            where_[bench_->dirty_i ? uint32_t(bench_->dirty_id_i) : where_.begin()->first];

        CHECK_EQ(bench_->pushed_o, bench_->dirty_i && !dirty.waits);
        if (bench_->head_valid_o) {
            CHECK(!queue_.empty());
            CHECK_EQ(bench_->head_id_o, queue_.front());
            Copy &head = where_[queue_.front()];
            CHECK_EQ(bench_->head_parity_o, head.parity);
            if (bench_->pop_i) {
                for (uint32_t port = 0; port < Answers; port++) {
                    CHECK(head.unanswered[port] < SENT_MAX);
                    sent_thrice += ++head.unanswered[port] == SENT_MAX;
                }
                popped_dirty += bench_->dirty_i && bench_->dirty_id_i == queue_.front();
                head.waits = false;
                queue_.pop_front();
            }
        }
        if (!bench_->pushed_o) return;
        dirty.waits = true;
        dirty.parity = bench_->dirty_parity_i;
        queue_.push_back(bench_->dirty_id_i);
    }

    void check_soon(uint32_t id, Copy *copy) {
        const bool may_go = copy->alive && copy->needed == 0 && copy->settled();

        copy->quiet = may_go ? copy->quiet + 1 : 0;
        if (copy->quiet > SOON * 8 / chances_[4])
            TEST_FAIL("id %u: nobody needs it, all is answered, and it is not freed", id);
    }

    Bench<Model> &bench_;
    std::map<uint32_t, Copy> where_;
    std::deque<uint32_t> queue_;
    uint32_t chances_[6], dirty_ = 0;
    bool answered_[ANSWERS_MAX] = {};
};

template <class Model, uint32_t Answers> void lives(uint32_t times) {
    uint64_t frees = 0, sent_thrice = 0, taken_again = 0, popped_dirty = 0;

    repeat(times, [&] {
        Bench<Model> bench;
        Life<Model, Answers> life(bench);

        bench.reset();
        for (uint32_t i = 0; i < IDS + 2 && !bench->ready_o; i++) bench.tick();
        CHECK(bench->ready_o);
        bench.run(4000);
        if (test_random_below(4) == 0) { // at any clock, and it begins anew
            bench.reset();
            CHECK(!bench->ready_o);
            bench.run(IDS + 1000);
        }
        life.finish();
        frees += life.frees;
        sent_thrice += life.sent_thrice;
        taken_again += life.taken_again;
        popped_dirty += life.popped_dirty;
    });
    CHECK(frees > 100 && sent_thrice > 0 && taken_again > 0 && popped_dirty > 0);
}

} // namespace

TEST(a_copy_is_freed_once_when_nobody_needs_it_and_all_is_answered) {
    lives<Vpins_two, 2>(20);
}

TEST(so_it_is_where_one_port_answers) {
    lives<Vpins_one, 1>(20);
}

TEST_MAIN
