// bucket_policy: how full an index gets, by simulation, for a bucket size and a placing rule.
//
// usage: model.bucket_policy [--slots N] [--until N] [--buckets N] [--steps N] [--worst-load X]
//
// Rows with random hashes go into segments of --buckets buckets of --slots slots. A row goes to its
// first bucket while that holds fewer than --until rows, else to the emptier of its two. A row
// without a place grows its segment by 1/--steps of its first size; at twice the size it splits.
// Prints the load over four doublings, and the bytes an entry of 96 costs with its share of a
// 64-byte control line. Fails if the load is ever below --worst-load.
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MAX = 512, SEGMENTS_FIRST = 64, DEPTH_FIRST = 6, SEGMENTS_MAX = 1 << 14 };

typedef struct policy {
    uint32_t slots, until, buckets, steps;
    double worst_load;
} policy;

typedef struct segment {
    uint32_t buckets, depth, rows;
    uint64_t *hashes;
    uint8_t count[BUCKETS_MAX];
} segment;

typedef struct index_model {
    policy policy;
    segment *segments;
    uint32_t *directory;
    uint32_t segments_count, depth;
    uint64_t slots_count, rows_count, copied_count, second_count;
} index_model;

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void) { // splitmix64
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool place(const policy *rule, segment *s, uint64_t hash, uint64_t *second_count) {
    const uint32_t first = (uint32_t)(hash >> 22 & 0x3fff) * s->buckets >> 14;
    const uint32_t pair = (uint32_t)(hash >> 36 & 0xffff) * (s->buckets / 2) >> 16;
    const uint32_t second = pair * 2 + (~first & 1);
    uint32_t bucket = first;

    if (s->count[first] >= rule->until && s->count[second] < s->count[first]) bucket = second;
    if (s->count[bucket] == rule->slots) return false;
    s->count[bucket]++;
    *second_count += bucket == second;
    return true;
}

static bool rebuild(const policy *rule, segment *s) {
    uint64_t second_count = 0;

    memset(s->count, 0, sizeof s->count);
    for (uint32_t i = 0; i < s->rows; i++)
        if (!place(rule, s, s->hashes[i], &second_count)) return false;
    return true;
}

static void segment_init(const policy *rule, segment *s, uint32_t depth) {
    *s = (segment){.buckets = rule->buckets, .depth = depth};
    s->hashes = calloc((size_t)rule->buckets * 2 * rule->slots, sizeof *s->hashes);
    if (!s->hashes) abort();
}

static void split(index_model *model, uint32_t which) {
    const policy *rule = &model->policy;
    segment *low = &model->segments[which];
    segment *high = &model->segments[model->segments_count];
    const uint64_t bit = UINT64_C(1) << low->depth;
    uint32_t kept = 0;

    if (low->depth == model->depth) {
        memcpy(model->directory + (UINT64_C(1) << model->depth), model->directory,
               sizeof(uint32_t) << model->depth);
        model->depth++;
    }
    segment_init(rule, high, low->depth + 1);
    for (uint32_t i = 0; i < low->rows; i++) {
        if (low->hashes[i] & bit)
            high->hashes[high->rows++] = low->hashes[i];
        else
            low->hashes[kept++] = low->hashes[i];
    }
    low->rows = kept;
    low->depth++;
    low->buckets = rule->buckets;
    for (uint64_t i = 0; i < UINT64_C(1) << model->depth; i++)
        if (model->directory[i] == which && (i & bit)) model->directory[i] = model->segments_count;
    model->segments_count++;
    while (!rebuild(rule, low)) low->buckets += rule->buckets / rule->steps;
    while (!rebuild(rule, high)) high->buckets += rule->buckets / rule->steps;
    model->slots_count += (uint64_t)(low->buckets + high->buckets) * rule->slots;
}

static void grow(index_model *model, uint32_t which) {
    const policy *rule = &model->policy;
    segment *s = &model->segments[which];

    model->copied_count += s->rows;
    model->slots_count -= (uint64_t)s->buckets * rule->slots;
    for (;;) {
        s->buckets += rule->buckets / rule->steps;
        if (s->buckets >= 2 * rule->buckets) {
            split(model, which);
            return;
        }
        if (!rebuild(rule, s)) continue;
        model->slots_count += (uint64_t)s->buckets * rule->slots;
        return;
    }
}

static void insert(index_model *model, uint64_t hash) {
    for (;;) {
        const uint32_t which = model->directory[hash & ((UINT64_C(1) << model->depth) - 1)];
        segment *s = &model->segments[which];

        if (place(&model->policy, s, hash, &model->second_count)) {
            s->hashes[s->rows++] = hash;
            model->rows_count++;
            return;
        }
        grow(model, which);
    }
}

static int run(const policy *rule) {
    index_model model = {.policy = *rule, .segments_count = SEGMENTS_FIRST, .depth = DEPTH_FIRST};
    const uint64_t rows_max = (uint64_t)SEGMENTS_FIRST * rule->buckets * rule->slots * 32;
    double least = 1, most = 0, sum = 0;
    uint64_t samples = 0;

    model.segments = calloc(SEGMENTS_MAX, sizeof *model.segments);
    model.directory = calloc(1 << 20, sizeof *model.directory);
    if (!model.segments || !model.directory) abort();
    for (uint32_t i = 0; i < SEGMENTS_FIRST; i++) {
        segment_init(rule, &model.segments[i], DEPTH_FIRST);
        model.directory[i] = i;
    }
    model.slots_count = (uint64_t)SEGMENTS_FIRST * rule->buckets * rule->slots;
    while (model.rows_count < rows_max) {
        insert(&model, next_random());
        if (model.rows_count < rows_max / 4 || model.rows_count % 1024 != 0) continue;
        const double load = (double)model.rows_count / (double)model.slots_count;
        least = load < least ? load : least;
        most = load > most ? load : most;
        sum += load;
        samples++;
    }
    const double mean = sum / (double)samples;
    const double slot_bytes = 96 + 64.0 / rule->slots;
    printf("slots %u until %u buckets %u steps %u: load worst %.3f mean %.3f best %.3f, "
           "copies a row %.2f, bytes an entry of 96: worst %.1f mean %.1f\n",
           rule->slots, rule->until, rule->buckets, rule->steps, least, mean, most,
           (double)model.copied_count / (double)model.rows_count, slot_bytes / least,
           slot_bytes / mean);
    for (uint32_t i = 0; i < model.segments_count; i++) free(model.segments[i].hashes);
    free(model.segments);
    free(model.directory);
    return least >= rule->worst_load ? 0 : 1;
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"slots", 1, NULL, 's'},      {"until", 1, NULL, 'u'},
                                            {"buckets", 1, NULL, 'b'},    {"steps", 1, NULL, 'g'},
                                            {"worst-load", 1, NULL, 'w'}, {0}};
    policy rule = {16, 14, 32, 4, 0};
    int option;

    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 's':
            rule.slots = (uint32_t)atoi(optarg);
            break;
        case 'u':
            rule.until = (uint32_t)atoi(optarg);
            break;
        case 'b':
            rule.buckets = (uint32_t)atoi(optarg);
            break;
        case 'g':
            rule.steps = (uint32_t)atoi(optarg);
            break;
        case 'w':
            rule.worst_load = atof(optarg);
            break;
        default:
            return 2;
        }
    }
    if (rule.slots == 0 || rule.steps == 0 || rule.buckets == 0 || rule.buckets > BUCKETS_MAX / 2)
        return 2;
    return run(&rule);
}
