// bench_machine.c: what this machine can do at best, measured beside what is made of it.
#include "cli/bench.h"

#include "stream/zipf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 64, ENTRY_UNIT = 32, SPIN_CYCLES = 1 << 16, SPINS = 400 };

cst_code bench_memory_take(bench_memory *memory, size_t bytes, cst_err *err) {
    const csti_pages_options options = {.numa_node = -1, .hugepages = true};
    const size_t wanted =
        (bytes + CSTI_HUGEPAGE_BYTES - 1) / CSTI_HUGEPAGE_BYTES * CSTI_HUGEPAGE_BYTES;
    cst_code code = csti_pages_reserve(memory, wanted, &options, err);

    if (code != CST_OK) return code;
    code = csti_pages_prepare(memory, wanted, err);
    if (code != CST_OK) csti_pages_release(memory);
    return code;
}

void bench_memory_give(bench_memory *memory) {
    if (memory->mapping) csti_pages_release(memory);
}

cst_code bench_memory_check(uint64_t bytes, cst_err *err) {
    FILE *file = fopen("/proc/meminfo", "re");
    const double gib = 1 << 30;
    char line[128];
    uint64_t kib = 0;
    bool said = false;

    if (!file) return CST_OK;
    while (!said && fgets(line, sizeof line, file))
        said = sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1;
    (void)fclose(file);
    if (!said || bytes / 1024 <= kib) return CST_OK;
    return cst_fail(err, CST_NO_MEMORY, "it takes about %.1f GiB, and %.1f are free",
                    (double)bytes / gib, (double)kib * 1024 / gib);
}

void bench_key(uint64_t seed, uint64_t index, uint8_t key[BENCH_KEY_BYTES]) {
    // splitmix64 is one to one: the first word alone differs for every index.
    const uint64_t first = csti_splitmix64(csti_splitmix64(seed) + index);
    const uint64_t words[2] = {first, csti_splitmix64(first ^ seed)};

    memcpy(key, words, sizeof words);
}

double bench_clock_ghz(double ticks_per_ns) {
#if defined(__x86_64__)
    double best_ns = 0;

    // The shortest of some: whatever interrupts makes it longer.
    for (int round = 0; round < SPINS; round++) {
        const uint64_t from = csti_ticks();
        double ns;

        (void)csti_ticks_spin_cycles(SPIN_CYCLES);
        ns = (double)(csti_ticks() - from) / ticks_per_ns;
        if (best_ns <= 0 || ns < best_ns) best_ns = ns;
    }
    return SPIN_CYCLES / best_ns;
#else
    (void)ticks_per_ns;
    return 0;
#endif
}

static cst_code take_region(bench_memory *memory, uint64_t *bytes, cst_err *err) {
    if (*bytes == 0) return CST_OK;
    if (*bytes < 4096) *bytes = 4096;
    return bench_memory_take(memory, *bytes, err);
}

cst_code bench_lines_open(bench_lines *lines, uint64_t narrow_bytes, uint64_t wide_bytes,
                          uint64_t written_bytes, cst_err *err) {
    cst_code code;

    memset(lines, 0, sizeof *lines);
    lines->narrow_bytes = narrow_bytes;
    lines->wide_bytes = wide_bytes;
    lines->written_bytes = written_bytes;
    lines->reads = 1 << 20;
    code = take_region(&lines->narrow, &lines->narrow_bytes, err);
    if (code == CST_OK) code = take_region(&lines->wide, &lines->wide_bytes, err);
    if (code == CST_OK) code = take_region(&lines->written, &lines->written_bytes, err);
    if (code != CST_OK) bench_lines_close(lines);
    return code;
}

void bench_lines_close(bench_lines *lines) {
    bench_memory_give(&lines->narrow);
    bench_memory_give(&lines->wide);
    bench_memory_give(&lines->written);
    memset(lines, 0, sizeof *lines);
}

// Where operation `i` goes: none waits for another. What is not there is NULL.
typedef struct places {
    const uint8_t *narrow;
    uint8_t *wide, *written;
    uint64_t narrow_lines, wide_units, written_units;
} places;

static places places_of(const bench_lines *lines) {
    // An entry of 96 bytes begins at any multiple of 32 and lies in two lines; so does a record.
    return (places){
        .narrow = lines->narrow.base,
        .wide = lines->wide_bytes ? lines->wide.base : NULL,
        .written = lines->written_bytes ? lines->written.base : NULL,
        .narrow_lines = lines->narrow_bytes / LINE_BYTES,
        .wide_units = lines->wide_bytes ? lines->wide_bytes / ENTRY_UNIT - 3 : 0,
        .written_units = lines->written_bytes ? lines->written_bytes / ENTRY_UNIT - 3 : 0,
    };
}

static inline const uint8_t *narrow_at(const places *p, uint64_t i) {
    return p->narrow + csti_bounded(i * UINT64_C(0x9e3779b97f4a7c15), p->narrow_lines) * LINE_BYTES;
}

static inline uint8_t *wide_at(const places *p, uint64_t i) {
    return p->wide + csti_bounded(i * UINT64_C(0xc2b2ae3d27d4eb4f), p->wide_units) * ENTRY_UNIT;
}

static inline uint8_t *written_at(const places *p, uint64_t i) {
    return p->written +
           csti_bounded(i * UINT64_C(0x165667b19e3779f9), p->written_units) * ENTRY_UNIT;
}

static inline uint64_t word_at(const uint8_t *at) {
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

static inline void write_two_lines(uint8_t *at) {
    const uint64_t zero = 0; // what stands there already: a dependent load counts on zeros

    memcpy(at, &zero, sizeof zero);
    memcpy(at + LINE_BYTES, &zero, sizeof zero);
}

static inline uint64_t touch_lines(const places *p, uint64_t i) {
    uint64_t sum = word_at(narrow_at(p, i));

    if (p->wide) sum += word_at(wide_at(p, i)) + word_at(wide_at(p, i) + LINE_BYTES);
    if (p->written) {
        write_two_lines(wide_at(p, i));
        write_two_lines(written_at(p, i));
    }
    return sum;
}

// Lines that will be written too: a prefetch that takes them for writing took twice the time.
static inline void ask_two_lines(const uint8_t *at) {
    __builtin_prefetch(at);
    __builtin_prefetch(at + LINE_BYTES);
}

// Out-of-order execution overlaps plain loads as far as it can see.
static uint64_t touch_plain(const places *p, uint64_t from, uint64_t count) {
    uint64_t sum = 0;

    for (uint64_t i = from; i < from + count; i++) sum += touch_lines(p, i);
    return sum;
}

// Prefetches `ahead` operations in front of the loads and stores.
static uint64_t touch_ahead(const places *p, uint64_t from, uint64_t count, uint64_t ahead) {
    uint64_t sum = 0;

    for (uint64_t i = from; i < from + count; i++) {
        __builtin_prefetch(narrow_at(p, i + ahead));
        if (p->wide) ask_two_lines(wide_at(p, i + ahead));
        if (p->written) ask_two_lines(written_at(p, i + ahead));
        sum += touch_lines(p, i);
    }
    return sum;
}

cst_code bench_lines_round(void *context, double *ns_per_op_out, cst_err *err) {
    static const uint64_t distances[] = {0, 4, 8, 16, 32};
    enum { FORMS = sizeof distances / sizeof *distances };
    bench_lines *lines = context;
    const places p = places_of(lines);
    const uint64_t part = lines->reads / FORMS;
    double best = 0;

    (void)err;
    for (size_t form = 0; form < FORMS; form++) {
        const uint64_t from = lines->sink + form * part; // other places every time
        const uint64_t from_ns = bench_now_ns();
        double ns;

        lines->sink += distances[form] == 0 ? touch_plain(&p, from, part)
                                            : touch_ahead(&p, from, part, distances[form]);
        ns = (double)(bench_now_ns() - from_ns) / (double)part;
        if (form == 0 || ns < best) best = ns;
    }
    lines->sink += lines->reads;
    *ns_per_op_out = best;
    return CST_OK;
}

cst_code bench_lines_dependent_round(void *context, double *ns_per_op_out, cst_err *err) {
    bench_lines *lines = context;
    const places p = places_of(lines);
    const uint64_t count = lines->reads / 8;
    const uint64_t from_ns = bench_now_ns();
    uint64_t at = lines->sink;

    (void)err;
    // The memory is all zeros, which the compiler does not know: the next place waits for the load.
    for (uint64_t i = 0; i < count; i++) at += 1 + word_at(narrow_at(&p, at));
    lines->sink = at;
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)count;
    return CST_OK;
}

static cst_code measure_region(bench *b, uint64_t bytes, cst_err *err) {
    bench_params params = {0};
    bench_lines one = {0}, three = {0}, five = {0};
    const bench_side sides[] = {
        {BENCH_OURS, "one random line", bench_lines_round, &one},
        {BENCH_OURS, "one line and two adjacent", bench_lines_round, &three},
        {BENCH_OURS, "one line, two written, two written", bench_lines_round, &five},
        {BENCH_OURS, "dependent load", bench_lines_dependent_round, &one},
    };
    static const char *const names[] = {"machine.line", "machine.three_lines", "machine.five_lines",
                                        "machine.latency"};
    cst_code code = bench_lines_open(&one, bytes, 0, 0, err);

    bench_params_u64(&params, "mib", bytes >> 20);
    // A table's index is about an eighth of its slots.
    if (code == CST_OK) code = bench_lines_open(&three, bytes / 8, bytes - bytes / 8, 0, err);
    if (code == CST_OK) code = bench_lines_open(&five, bytes / 8, bytes - bytes / 8, bytes, err);
    for (size_t i = 0; i < sizeof names / sizeof *names && code == CST_OK; i++) {
        const bench_what what = {.name = names[i], .params = &params};

        if (bench_wanted(b, names[i])) code = bench_compare(b, &what, &sides[i], 1, err);
    }
    bench_lines_close(&one);
    bench_lines_close(&three);
    bench_lines_close(&five);
    return code;
}

cst_code bench_machine(bench *b, cst_err *err) {
    // About what a table of 16-byte keys and 64-byte values takes.
    const uint64_t largest = b->sizes[b->sizes_count - 1] * 128;
    cst_code code = CST_OK;

    if (bench_wanted(b, "machine.clock") && b->clock_ghz > 0) {
        bench_params params = {0};
        char fields[160];

        (void)snprintf(fields, sizeof fields,
                       "\"core_mhz\":%.0f,\"ticks_per_us\":%.0f,\"by\":\"dependent adds\"",
                       b->clock_ghz * 1000, b->ticks_per_ns * 1000);
        bench_numbers(b, "machine.clock", &params, "this core", fields);
    }
    for (uint64_t bytes = (uint64_t)8 << 20; code == CST_OK; bytes *= 2) {
        code = measure_region(b, bytes, err);
        if (bytes >= largest) break;
    }
    return code;
}
