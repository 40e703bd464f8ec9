// Simulated memory: bytes, order, faults.
#include "master.h"

#include <malloc.h>
#include <math.h>
#include <memory/calibrate.h>
#include <memory/traffic.h>

enum { MIB = 1 << 20 };

// ---- (a) Against cards --------------------------------------------------------------------------

static void check_figure(void *context, const cst_sim_figure *figure) {
    uint32_t *published = context;

    if (figure->published <= 0) return;
    (*published)++;
    if (fabs(cst_sim_off_percent(figure)) > CST_SIM_OFF_PERCENT_MAX)
        TEST_FAIL("%s %s: %.1f%% off the published %g (%s)", figure->model, figure->what,
                  cst_sim_off_percent(figure), figure->published, figure->source);
}

TEST(every_published_figure_is_met_within_15_percent) {
    uint32_t published = 0;

    CHECK_OK(cst_sim_calibrate(test_seed_value, check_figure, &published, NULL));
    CHECK_EQ(published, 29);
}

TEST(every_parameter_names_its_source) {
    const cst_sim_parameter *table = NULL;
    const size_t count = cst_sim_parameters(&table);

    CHECK(count > 60);
    for (size_t i = 0; i < count; i++) CHECK(strlen(table[i].source) > 3);
}

// ---- (b) Bytes and order ------------------------------------------------------------------------

typedef struct crowd {
    cst_sim_memory_config config;
    cst_sim_memory *memory;
    master *masters;
} crowd;

static void crowd_open(crowd *c, const cst_sim_memory_config *config, uint64_t bursts) {
    c->config = *config;
    c->memory = open_memory(config);
    c->masters = calloc(config->ports, sizeof *c->masters);
    CHECK(c->masters);
    for (uint32_t p = 0; p < config->ports; p++) {
        master *m = &c->masters[p];

        m->memory = c->memory;
        m->view = cst_sim_memory_view(c->memory, p);
        m->port = p;
        m->beat_bytes = config->beat_bytes;
        m->random = config->seed * 1000 + p;
        // Neighbours in memory, so that ports meet in rows and channels.
        m->base = (p % 2) * (cst_sim_memory_size(c->memory) / 2) +
                  (uint64_t)p * PLACES * config->beat_bytes;
        m->reading = -1;
        m->wanted = bursts;
    }
}

static void crowd_close(crowd *c) {
    free(c->masters);
    cst_sim_memory_close(c->memory);
}

// Until all is answered; then memory holds the newest of everything.
static uint64_t crowd_run(crowd *c, uint32_t chance) {
    uint64_t digest = 0;
    bool over = false;

    while (!over) {
        over = true;
        for (uint32_t p = 0; p < c->config.ports; p++) {
            master *m = &c->masters[p];

            master_clock(m, chance);
            over = over && m->answered == m->wanted;
        }
        cst_sim_memory_tick(c->memory);
        CHECK(cst_sim_memory_cycle(c->memory) < 100 * MIB);
    }
    for (uint32_t p = 0; p < c->config.ports; p++) {
        const master *m = &c->masters[p];
        uint8_t wanted[CST_SIM_BEAT_BYTES_MAX];

        digest = digest * 31 + m->digest;
        for (uint32_t place = 0; place < PLACES; place++) {
            master_fill(m, place, m->newest[place], wanted);
            CHECK_BYTES(cst_sim_memory_bytes(c->memory) + master_address(m, place), wanted,
                        m->beat_bytes);
        }
    }
    return digest;
}

static void stall_ports(crowd *c, uint64_t seed) {
    static const uint32_t chances[] = {0, 32, 128, 224};

    for (uint32_t p = 0; p < c->config.ports; p++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        cst_sim_memory_stall(c->memory, p, (uint32_t)(seed >> 33) & 31, chances[seed >> 40 & 3],
                             seed >> 50 & 1 ? 300 : 0);
    }
}

static void check_traffic(cst_sim_memory_config config, uint64_t bursts) {
    for (uint32_t round = 0; round < 4; round++) {
        static const uint32_t chances[] = {0, 32, 128, 224};
        crowd c = {0};

        config.seed = test_random();
        crowd_open(&c, &config, bursts);
        if (round > 0) stall_ports(&c, config.seed);
        (void)crowd_run(&c, chances[round]);
        crowd_close(&c);
    }
}

TEST(sixteen_ports_of_hbm_read_what_was_written_and_in_order_per_id) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(16, 16);

    config.channel_bytes = 4 * MIB;
    check_traffic(config, 600);
}

TEST(stripes_over_all_channels_keep_bytes_and_order) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(16, 16);

    config.channel_bytes = 4 * MIB;
    config.stripe_bytes = 1024;
    check_traffic(config, 600);
}

TEST(stripes_of_one_beat_keep_bytes_and_order) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(5, 8);

    config.channel_bytes = 4 * MIB;
    config.stripe_bytes = 64;
    check_traffic(config, 600);
}

TEST(ddr4_reads_what_was_written_and_in_order_per_id) {
    cst_sim_memory_config config = cst_sim_memory_ddr4(3, 2);

    config.channel_bytes = 4 * MIB;
    check_traffic(config, 1500);
}

TEST(ports_of_32_bytes_keep_bytes_and_order) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(4, 4);

    config.channel_bytes = 4 * MIB;
    config.beat_bytes = 32;
    config.clock_khz = 450000;
    config.reads_max = config.writes_max = 3;
    check_traffic(config, 1000);
}

TEST(a_strobe_writes_its_bytes_and_no_other) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(1, 1);
    cst_sim_memory *memory;
    uint8_t wanted[64] = {0}, data[64];
    uint64_t masked = 0;

    config.channel_bytes = MIB;
    memory = open_memory(&config);
    for (uint32_t i = 0; i < 200; i++) {
        const uint64_t draw = test_random();
        const uint64_t strobe = i % 4 == 0   ? 0
                                : i % 4 == 1 ? UINT32_MAX
                                : i % 4 == 2 ? (uint64_t)UINT32_MAX << 32
                                             : draw;

        for (uint32_t b = 0; b < 64; b++) {
            data[b] = (uint8_t)test_random();
            if (strobe >> b & 1) wanted[b] = data[b];
        }
        masked += i % 4 == 3;
        CHECK(write_one(memory, 0, 1, 4096, data, strobe, 5000) > 0);
        CHECK_BYTES(cst_sim_memory_bytes(memory) + 4096, wanted, 64);
    }
    CHECK_EQ(cst_sim_memory_counters(memory, 0).masked, masked);
    cst_sim_memory_close(memory);
}

TEST(nothing_is_allocated_after_open) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(4, 4);
    crowd c = {0};
    size_t before;

    config.channel_bytes = 4 * MIB;
    crowd_open(&c, &config, 2000);
    before = mallinfo2().uordblks;
    (void)crowd_run(&c, 32);
    CHECK_EQ(mallinfo2().uordblks, before);
    crowd_close(&c);
}

TEST(wrong_configurations_are_refused) {
    const cst_sim_memory_config good = cst_sim_memory_hbm2(4, 4);
    cst_sim_memory *memory = NULL;
    cst_sim_memory_config bad[10];

    for (size_t i = 0; i < 10; i++) bad[i] = good;
    bad[0].ports = 0;
    bad[1].ports = CST_SIM_PORTS_MAX + 1;
    bad[2].channels = 3;
    bad[3].beat_bytes = 16;
    bad[4].channel_bytes = 3 * MIB;
    bad[5].stripe_bytes = 32;
    bad[6].clock_khz = 0;
    bad[7].reads_max = 0;
    bad[8].dram.window = 1000;
    bad[9].dram.refi_ps = bad[9].dram.rfc_ps;
    for (size_t i = 0; i < 10; i++) {
        cst_err err = {0};

        CHECK_CODE(cst_sim_memory_open(&bad[i], &memory, &err), CST_USAGE);
        CHECK(strlen(err.text) > 10);
    }
    CHECK(memory == NULL);
}

// ---- (c) Faults ---------------------------------------------------------------------------------

enum { LINES = 64 };

typedef struct fault_bench {
    cst_sim_memory *memory;
    uint8_t bytes[LINES * 64];
} fault_bench;

static void fault_open(fault_bench *f) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(2, 2);

    config.channel_bytes = MIB;
    config.seed = test_random();
    f->memory = open_memory(&config);
    for (size_t i = 0; i < sizeof f->bytes; i++) f->bytes[i] = (uint8_t)test_random();
    memcpy(cst_sim_memory_bytes(f->memory), f->bytes, sizeof f->bytes);
}

static void inject(cst_sim_memory *memory, cst_sim_fault fault) {
    CHECK_OK(cst_sim_memory_inject(memory, &fault, NULL));
}

// All lines, burst by burst; those in [from, to) must answer `wanted`, the others be right.
static void check_read_lines(fault_bench *f, uint32_t port, uint32_t from, uint32_t to,
                             cst_sim_response wanted) {
    const cst_sim_view *view = cst_sim_memory_view(f->memory, port);

    for (uint32_t first = 0; first < LINES; first += 8) {
        CHECK(view->ar_ready);
        cst_sim_memory_ar(f->memory, port, (uint16_t)(first / 8 % 3), first * 64, 8);
        for (uint32_t line = first; line < first + 8;) {
            cst_sim_memory_tick(f->memory);
            if (!view->r_valid) continue;
            if (line >= from && line < to) {
                CHECK_EQ(view->r_response, wanted);
            } else {
                CHECK_EQ(view->r_response, CST_SIM_OKAY);
                CHECK_BYTES(view->r_data, f->bytes + (size_t)line * 64, 64);
            }
            CHECK_EQ(view->r_last, line == first + 7);
            cst_sim_memory_r(f->memory, port);
            line++;
        }
        cst_sim_memory_tick(f->memory);
    }
}

static void check_error(cst_sim_fault_kind kind, cst_sim_response response) {
    const uint32_t line = (uint32_t)test_random_below(LINES);
    const cst_sim_injected *list = NULL;
    uint8_t data[64] = {1, 2, 3};
    fault_bench f = {0};

    fault_open(&f);
    inject(f.memory,
           (cst_sim_fault){
               .kind = kind, .reads = true, .port = 0, .from = line * 64 + 5, .to = line * 64 + 6});
    check_read_lines(&f, 1, 0, 0, CST_SIM_OKAY);
    CHECK_EQ(cst_sim_memory_injected(f.memory, &list), 0);
    check_read_lines(&f, 0, line, line + 1, response);
    CHECK_EQ(cst_sim_memory_injected(f.memory, &list), 1);
    CHECK_EQ(list[0].address, line * 64);
    CHECK_EQ(list[0].kind, kind);
    CHECK(!list[0].write);
    CHECK(write_one(f.memory, 0, 0, line * 64, f.bytes + (size_t)line * 64, UINT64_MAX, 5000) > 0);
    cst_sim_memory_inject_nothing(f.memory);
    check_read_lines(&f, 0, 0, 0, CST_SIM_OKAY);

    // A write that is refused leaves no trace; the next one is fine.
    inject(f.memory, (cst_sim_fault){.kind = kind, .writes = true, .port = -1, .count = 1});
    CHECK_EQ(write_one(f.memory, 1, 0, line * 64, data, UINT64_MAX, 5000), -2 - (int)response);
    check_read_lines(&f, 0, 0, 0, CST_SIM_OKAY);
    CHECK(write_one(f.memory, 1, 0, line * 64, data, UINT64_MAX, 5000) > 0);
    memcpy(f.bytes + (size_t)line * 64, data, 64);
    check_read_lines(&f, 0, 0, 0, CST_SIM_OKAY);
    cst_sim_memory_close(f.memory);
}

TEST(slverr_arrives_where_it_was_asked_for_and_nowhere_else) {
    check_error(CST_SIM_FAULT_SLVERR, CST_SIM_SLVERR);
}

TEST(decerr_arrives_where_it_was_asked_for_and_nowhere_else) {
    check_error(CST_SIM_FAULT_DECERR, CST_SIM_DECERR);
}

TEST(outside_of_memory_is_decerr) {
    uint8_t data[64] = {0};
    cst_sim_view view;
    fault_bench f = {0};

    fault_open(&f);
    CHECK(read_one(f.memory, 0, 0, cst_sim_memory_size(f.memory), &view, 5000) > 0);
    CHECK_EQ(view.r_response, CST_SIM_DECERR);
    CHECK(read_one(f.memory, 0, 0, cst_sim_memory_size(f.memory) - 64, &view, 5000) > 0);
    CHECK_EQ(view.r_response, CST_SIM_OKAY);
    CHECK_EQ(write_one(f.memory, 0, 0, UINT64_C(1) << 40, data, UINT64_MAX, 5000),
             -2 - CST_SIM_DECERR);
    cst_sim_memory_close(f.memory);
}

static uint32_t bits_off(const uint8_t *a, const uint8_t *b) {
    uint32_t bits = 0;

    for (uint32_t i = 0; i < 64; i++) bits += (uint32_t)__builtin_popcount(a[i] ^ b[i]);
    return bits;
}

TEST(a_corrupted_beat_has_one_wrong_bit_and_says_okay) {
    const cst_sim_injected *list = NULL;
    cst_sim_view view;
    fault_bench f = {0};

    fault_open(&f);
    inject(f.memory,
           (cst_sim_fault){
               .kind = CST_SIM_FAULT_CORRUPT, .reads = true, .port = -1, .skip = 2, .count = 1});
    for (uint32_t i = 0; i < 6; i++) {
        CHECK(read_one(f.memory, 0, 0, i * 64, &view, 5000) > 0);
        CHECK_EQ(view.r_response, CST_SIM_OKAY);
        CHECK_EQ(bits_off(view.r_data, f.bytes + (size_t)i * 64), i == 2);
    }
    CHECK_EQ(cst_sim_memory_injected(f.memory, &list), 1);
    CHECK_EQ(list[0].address, 2 * 64);
    CHECK_BYTES(cst_sim_memory_bytes(f.memory), f.bytes, sizeof f.bytes);
    inject(f.memory, (cst_sim_fault){.kind = CST_SIM_FAULT_CORRUPT, .writes = true, .port = -1});
    CHECK(write_one(f.memory, 0, 0, 64, f.bytes, UINT64_MAX, 5000) > 0);
    CHECK_EQ(bits_off(cst_sim_memory_bytes(f.memory) + 64, f.bytes), 1);
    cst_sim_memory_close(f.memory);
}

TEST(a_silent_burst_is_never_answered_and_blocks_only_its_id) {
    uint8_t data[64] = {7};
    cst_sim_view view;
    fault_bench f = {0};

    fault_open(&f);
    inject(f.memory, (cst_sim_fault){.kind = CST_SIM_FAULT_SILENT,
                                     .reads = true,
                                     .writes = true,
                                     .port = 0,
                                     .from = 128,
                                     .to = 192});
    CHECK_EQ(read_one(f.memory, 0, 3, 128, &view, 200000), -1);
    CHECK_EQ(read_one(f.memory, 0, 3, 0, &view, 5000), -1);
    CHECK(read_one(f.memory, 0, 2, 0, &view, 5000) > 0);
    CHECK(read_one(f.memory, 1, 3, 128, &view, 5000) > 0);
    CHECK_EQ(write_one(f.memory, 0, 5, 128, data, UINT64_MAX, 200000), -1);
    CHECK(write_one(f.memory, 0, 4, 0, f.bytes, UINT64_MAX, 5000) > 0);
    CHECK_BYTES(cst_sim_memory_bytes(f.memory), f.bytes, sizeof f.bytes);
    cst_sim_memory_inject_nothing(f.memory);
    CHECK_EQ(read_one(f.memory, 0, 3, 64, &view, 5000), -1);
    cst_sim_memory_reset(f.memory);
    CHECK(read_one(f.memory, 0, 3, 64, &view, 5000) > 0);
    CHECK_BYTES(view.r_data, f.bytes + 64, 64);
    check_read_lines(&f, 0, 0, 0, CST_SIM_OKAY);
    cst_sim_memory_close(f.memory);
}

TEST(seeded_faults_are_those_on_the_list_and_about_as_many_as_asked) {
    const cst_sim_injected *list = NULL;
    uint64_t found = 0;
    cst_sim_view view;
    fault_bench f = {0};

    fault_open(&f);
    inject(f.memory,
           (cst_sim_fault){.kind = CST_SIM_FAULT_SLVERR, .reads = true, .port = -1, .one_in = 10});
    for (uint32_t i = 0; i < 2000; i++) {
        CHECK(read_one(f.memory, 0, 0, i % LINES * 64, &view, 5000) > 0);
        CHECK_EQ(view.r_response == CST_SIM_SLVERR,
                 cst_sim_memory_injected(f.memory, &list) == found + 1);
        found = cst_sim_memory_injected(f.memory, &list);
    }
    CHECK(found > 130);
    CHECK(found < 280);
    cst_sim_memory_close(f.memory);
}

TEST(a_reset_in_the_middle_of_everything_leaves_a_memory_that_works) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(4, 4);

    config.channel_bytes = 4 * MIB;
    for (uint32_t round = 0; round < 20; round++) {
        crowd c = {0};

        config.seed = test_random();
        crowd_open(&c, &config, 1000000);
        for (uint64_t clocks = test_random_below(2000); clocks > 0; clocks--) {
            for (uint32_t p = 0; p < config.ports; p++) master_clock(&c.masters[p], 16);
            cst_sim_memory_tick(c.memory);
        }
        cst_sim_memory_reset(c.memory);
        for (uint32_t p = 0; p < config.ports; p++) {
            cst_sim_view view;

            for (uint32_t i = 0; i < 100; i++)
                CHECK(read_one(c.memory, p, 1, i * 4096, &view, 5000) > 0);
        }
        crowd_close(&c);
    }
}

// ---- (d) The seed decides -----------------------------------------------------------------------

static uint64_t digest_of(uint64_t seed) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(8, 8);
    crowd c = {0};
    uint64_t digest;

    config.channel_bytes = 4 * MIB;
    config.seed = seed;
    crowd_open(&c, &config, 400);
    stall_ports(&c, seed);
    inject(c.memory, (cst_sim_fault){.kind = CST_SIM_FAULT_SLVERR, .reads = true, .port = 99});
    digest = crowd_run(&c, 32);
    crowd_close(&c);
    return digest;
}

TEST(equal_seeds_give_equal_clocks_and_bytes_and_others_do_not) {
    const uint64_t seed = test_random();

    CHECK(digest_of(seed) == digest_of(seed));
    CHECK(digest_of(seed) != digest_of(seed + 1));
}

TEST_MAIN
