#include "cli/histogram.c"

#include "test.h"

#include <math.h>

static histogram h;

static int compare(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

TEST(small_values_have_a_bucket_each) {
    for (uint64_t value = 0; value < 64; value++) {
        CHECK_EQ(histogram_bucket(value), value);
        CHECK_EQ(histogram_bucket_last((uint32_t)value), value);
    }
}

TEST(the_bucket_after_the_last_value_is_the_next_one) {
    for (uint32_t bucket = 0; bucket + 1 < HISTOGRAM_BUCKETS; bucket++) {
        const uint64_t last = histogram_bucket_last(bucket);
        CHECK_EQ(histogram_bucket(last), bucket);
        CHECK_EQ(histogram_bucket(last + 1), bucket + 1);
    }
    CHECK_EQ(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    CHECK_EQ(histogram_bucket_last(HISTOGRAM_BUCKETS - 1), UINT64_MAX);
}

TEST(an_empty_histogram_says_0) {
    memset(&h, 0, sizeof h);
    CHECK_EQ(histogram_percentile(&h, 0.5), 0);
    CHECK(histogram_mean(&h) == 0);
}

TEST(percentiles_of_1_to_1000) {
    memset(&h, 0, sizeof h);
    for (uint64_t value = 1; value <= 1000; value++) histogram_add(&h, value);
    CHECK_EQ(histogram_percentile(&h, 0.01), 10);
    CHECK_EQ(histogram_percentile(&h, 0.5), 503);  // 500 lies in [496, 503]
    CHECK_EQ(histogram_percentile(&h, 0.99), 991); // 990 lies in [976, 991]
    CHECK_EQ(histogram_percentile(&h, 1), 1000);
    CHECK(histogram_mean(&h) == 500.5);
}

TEST(merged_histograms_are_one_of_all_values) {
    static histogram low, high, all;

    memset(&low, 0, sizeof low);
    memset(&high, 0, sizeof high);
    memset(&all, 0, sizeof all);
    for (uint64_t value = 1; value <= 1000; value++) {
        histogram_add(value <= 300 ? &low : &high, value * 1000);
        histogram_add(&all, value * 1000);
    }
    histogram_merge(&low, &high);
    CHECK(memcmp(&low, &all, sizeof all) == 0);
    memset(&high, 0, sizeof high);
    histogram_merge(&low, &high); // nothing lowers the maximum
    CHECK(memcmp(&low, &all, sizeof all) == 0);
}

TEST(one_outlier_is_the_maximum_and_nothing_else) {
    memset(&h, 0, sizeof h);
    for (int i = 0; i < 99999; i++) histogram_add(&h, 20);
    histogram_add(&h, 123456789);
    CHECK_EQ(histogram_percentile(&h, 0.9999), 20);
    CHECK_EQ(histogram_percentile(&h, 0.99999), 20);
    CHECK_EQ(h.max, 123456789);
}

TEST(percentiles_of_random_values_are_never_below_and_at_most_a_32nd_above) {
    enum { COUNT = 5000 };
    static uint64_t values[COUNT];
    static const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};

    memset(&h, 0, sizeof h);
    for (int i = 0; i < COUNT; i++) {
        values[i] = test_random() >> (20 + test_random_below(44));
        histogram_add(&h, values[i]);
    }
    qsort(values, COUNT, sizeof *values, compare);
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        const uint64_t rank = (uint64_t)ceil(shares[s] * COUNT);
        const uint64_t exact = values[rank - 1];
        const uint64_t found = histogram_percentile(&h, shares[s]);

        CHECK(found >= exact);
        CHECK(found - exact <= exact / 32);
    }
}

TEST_MAIN
