#include "cli/histogram.h"

#include <assert.h>

uint64_t histogram_bucket_last(uint32_t bucket) {
    assert(bucket < HISTOGRAM_BUCKETS);
    if (bucket < HISTOGRAM_OCTAVE) return bucket;
    const uint32_t shift = bucket / HISTOGRAM_OCTAVE - 1;
    const uint64_t first = (uint64_t)(bucket % HISTOGRAM_OCTAVE + HISTOGRAM_OCTAVE) << shift;

    return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_merge(histogram *h, const histogram *other) {
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
        h->buckets[bucket] += other->buckets[bucket];
    h->count += other->count;
    h->sum += other->sum;
    if (other->max > h->max) h->max = other->max;
}

uint64_t histogram_percentile(const histogram *h, double share) {
    uint64_t below = 0;
    uint64_t rank;

    assert(share > 0);
    assert(share <= 1);
    if (h->count == 0) return 0;
    rank = (uint64_t)(share * (double)h->count);
    if ((double)rank < share * (double)h->count) rank++;
    if (rank >= h->count) return h->max;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        below += h->buckets[bucket];
        if (below < rank) continue;
        const uint64_t last = histogram_bucket_last(bucket);
        return last < h->max ? last : h->max;
    }
    return h->max;
}

double histogram_mean(const histogram *h) {
    return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}
