// histogram.h: latencies by value, with the same relative error from nanoseconds to minutes.
//
//   value   0 1 2 ... 31 | 32 33 ... 63 | 64 66 ... 126 | 128 132 ... 252 | ...
//   bucket  one each     | one each     | two wide      | four wide       | 32 an octave
//
//   percentile(0.99) = the upper end of the bucket that holds the value of rank ceil(0.99 * count)
//
// Promises   a percentile is at most 1/32 above the value of that rank, never below it; max exact.
// Thread     one.
// Ring       0: adding allocates nothing and branches on the value once.
// Owner      a plain value of about 15 KiB.
#ifndef CST_CLI_HISTOGRAM_H
#define CST_CLI_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 5,
    HISTOGRAM_OCTAVE = 1 << HISTOGRAM_BITS,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) * HISTOGRAM_OCTAVE,
};

typedef struct histogram { // all zeros: empty
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

static inline uint32_t histogram_bucket(uint64_t value) {
    if (value < HISTOGRAM_OCTAVE) return (uint32_t)value;
    const uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_BITS;

    return (shift + 1) * HISTOGRAM_OCTAVE + (uint32_t)(value >> shift) - HISTOGRAM_OCTAVE;
}

static inline void histogram_add(histogram *h, uint64_t value) {
    h->buckets[histogram_bucket(value)]++;
    h->count++;
    h->sum += value;
    if (value > h->max) h->max = value;
}

// Adds what another holds.
void histogram_merge(histogram *h, const histogram *other);
// The largest value that falls into the bucket.
uint64_t histogram_bucket_last(uint32_t bucket);
// 0 < share <= 1. 0 for an empty histogram.
uint64_t histogram_percentile(const histogram *h, double share);
double histogram_mean(const histogram *h);

#endif
