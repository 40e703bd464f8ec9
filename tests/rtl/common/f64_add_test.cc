// The second model has a mistake planted: of sums halfway between two doubles all go up.
// model: f64_add cst_f64_add
// model: f64_add_tie cst_f64_add -DCST_RTL_MISTAKE_TIE
#include "bench.hpp"

#include <Vf64_add.h>
#include <Vf64_add_tie.h>
#include <cmath>
#include <limits>

static_assert(std::numeric_limits<double>::is_iec559, "the processor's sums are the reference");

constexpr uint64_t Nan = UINT64_C(0x7ff8000000000000), Latency = 6;
enum { FIELD_MAX = 2047, FRACTION_BITS = 52 };

static double double_of(uint64_t bits) {
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of_double(double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

struct Pair {
    uint64_t a, b;

    uint64_t sum() const {
        const double sum = double_of(a) + double_of(b);

        if (std::isnan(sum)) return Nan;
        return sum == 0 ? 0 : bits_of_double(sum);
    }
};

// ---- What is drawn ------------------------------------------------------------------------------

static uint64_t number(uint64_t sign, uint64_t field, uint64_t fraction) {
    return sign << 63 | field << FRACTION_BITS | (fraction & ((UINT64_C(1) << FRACTION_BITS) - 1));
}

static uint64_t draw_fraction() {
    const uint64_t low = test_random_below(FRACTION_BITS + 1);

    switch (test_random_below(6)) {
    case 0: // a run of ones
        return ~UINT64_C(0) << low;
    case 1:
        return (UINT64_C(1) << low) - 1;
    case 2: // few bits
        return UINT64_C(1) << low | UINT64_C(1) << test_random_below(FRACTION_BITS);
    case 3: // zeros below
        return test_random() << low;
    default:
        return test_random();
    }
}

static uint64_t near(uint64_t field, uint64_t spread) {
    const int64_t at = int64_t(field + test_random_below(2 * spread + 1)) - int64_t(spread);

    return at < 0 ? 0 : at >= FIELD_MAX ? FIELD_MAX - 1 : uint64_t(at);
}

static uint64_t draw_edge() {
    static const uint64_t edges[] = {0,
                                     1,
                                     UINT64_C(0x000fffffffffffff),
                                     UINT64_C(0x0010000000000000),
                                     UINT64_C(0x0010000000000001),
                                     UINT64_C(0x3ff0000000000000),
                                     UINT64_C(0x4330000000000000),
                                     UINT64_C(0x4340000000000000),
                                     UINT64_C(0x7fe0000000000000),
                                     UINT64_C(0x7fefffffffffffff),
                                     UINT64_C(0x7ff0000000000000),
                                     UINT64_C(0x7ff0000000000001),
                                     UINT64_C(0x7ff8000000000000),
                                     UINT64_C(0x7fffffffffffffff)};

    return edges[test_random_below(sizeof edges / sizeof *edges)] | test_random_below(2) << 63;
}

static Pair draw_pair() {
    const uint64_t sign = test_random_below(2), other = test_random_below(2);
    const uint64_t field = test_random_below(FIELD_MAX);
    Pair pair = {number(sign, field, draw_fraction()), 0};

    switch (test_random_below(10)) {
    case 0: // any bits
        return {test_random(), test_random()};
    case 1:
        return {draw_edge(), draw_edge()};
    case 2:
        pair.b = draw_edge();
        break;
    case 3: // nearly, or wholly, the other's negative
        pair.b = pair.a ^ UINT64_C(1) << 63;
        if (test_random_below(4) != 0) pair.b ^= UINT64_C(1) << test_random_below(FRACTION_BITS);
        if (test_random_below(2) == 0) pair.b += test_random_below(9) - 4;
        break;
    case 4: // as far apart as the bits that round
        pair.b = number(other, near(field, 58), draw_fraction());
        break;
    case 5: // subnormals, and what is near them
        return {number(sign, test_random_below(3), draw_fraction()),
                number(other, test_random_below(60), draw_fraction())};
    case 6: // near infinity
        return {number(sign, FIELD_MAX - 1 - test_random_below(3), draw_fraction()),
                number(other, FIELD_MAX - 1 - test_random_below(58), draw_fraction())};
    case 7:
        pair.b = number(other, test_random_below(FIELD_MAX), draw_fraction());
        break;
    default:
        pair.b = number(other, near(field, 3), draw_fraction());
        break;
    }
    if (test_random_below(2) == 0) std::swap(pair.a, pair.b);
    return pair;
}

// ---- What was there -----------------------------------------------------------------------------

struct Kinds {
    uint64_t nans = 0, infinite = 0, overflows = 0, cancelled = 0, subnormals = 0, ties = 0;
    uint64_t exact = 0, rounded = 0;

    void count(const Pair &pair) {
        const double a = double_of(pair.a), b = double_of(pair.b), sum = a + b;

        if (std::isnan(sum)) {
            nans++;
        } else if (std::isinf(sum)) {
            (std::isfinite(a) && std::isfinite(b) ? overflows : infinite)++;
        } else {
            // What rounding took away is a double itself (Knuth's two sums).
            const double of_b = sum - a, lost = (a - (sum - of_b)) + (b - of_b);
            const double up = std::nextafter(std::fabs(sum), INFINITY) - std::fabs(sum);

            cancelled += sum == 0 && a != 0;
            subnormals += std::fpclassify(sum) == FP_SUBNORMAL;
            ties += lost != 0 && std::fabs(lost) * 2 == up;
            (lost == 0 ? exact : rounded)++;
        }
    }
};

// ---- The bench ----------------------------------------------------------------------------------

template <class Model> class Adding : public Part {
  public:
    explicit Adding(Stalls stalls) : stalls_(stalls) {
        bench.add(this);
        bench.reset();
    }

    Bench<Model> bench{UINT64_MAX};
    uint64_t sums_count = 0, wrong_count = 0;
    Kinds kinds;

    void idle() override { bench->in_valid_i = 0; }
    void drive() override {
        const Pair pair = draw_pair();

        bench->in_valid_i = !stalls_.now();
        bench->a_i = pair.a;
        bench->b_i = pair.b;
    }
    void sample() override {
        const bool due = !waiting_.empty() && waiting_.front().clock + Latency == bench.clock();

        CHECK_EQ(bench->out_valid_o, due);
        if (due) {
            const Pair pair = waiting_.front().pair;

            if (bench->sum_o != pair.sum()) {
                if (wrong_count++ == 0) {
                    wrong_ = pair;
                    wrong_sum_ = bench->sum_o;
                }
            }
            kinds.count(pair);
            sums_count++;
            waiting_.pop_front();
        }
        if (bench->in_valid_i) waiting_.push_back({{bench->a_i, bench->b_i}, bench.clock()});
    }

    void check() const {
        if (wrong_count > 0)
            TEST_FAIL("%" PRIu64 " of %" PRIu64 " sums are wrong, the first %016" PRIx64
                      " + %016" PRIx64 ": %016" PRIx64 ", not %016" PRIx64,
                      wrong_count, sums_count, wrong_.a, wrong_.b, wrong_sum_, wrong_.sum());
    }

  private:
    struct Asked {
        Pair pair;
        uint64_t clock;
    };

    Stalls stalls_;
    std::deque<Asked> waiting_;
    Pair wrong_ = {};
    uint64_t wrong_sum_ = 0;
};

enum { SUMS = 1000000 };

TEST(sums_of_every_kind_are_those_of_the_processor) {
    repeat(3, [] {
        Adding<Vf64_add> adding(Stalls::drawn("in"));

        adding.bench.run_until([&] { return adding.sums_count == SUMS; });
        adding.check();
        CHECK(adding.kinds.nans > 100 && adding.kinds.infinite > 100);
        CHECK(adding.kinds.overflows > 100 && adding.kinds.subnormals > 100);
        CHECK(adding.kinds.cancelled > 100 && adding.kinds.ties > 100);
        CHECK(adding.kinds.exact > 100 && adding.kinds.rounded > 100);
    });
}

TEST(a_sum_a_clock_six_clocks_later) {
    Adding<Vf64_add> adding(Stalls::none());

    adding.bench.run(1000 + Latency);
    CHECK_EQ(adding.sums_count, 1000);
    adding.check();
}

TEST(a_mistake_in_rounding_is_noticed) {
    Adding<Vf64_add_tie> adding(Stalls::none());

    adding.bench.run(20000);
    CHECK(adding.wrong_count > 0);
}

TEST_MAIN
