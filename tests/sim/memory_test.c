// Simulated memory: bytes, order, faults, and that every parameter is felt.
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

static cst_sim_memory *open_memory(const cst_sim_memory_config *config) {
    cst_sim_memory *memory = NULL;
    cst_err err = {0};

    if (cst_sim_memory_open(config, &memory, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return memory;
}

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

// One access, alone. Returns the clocks from handshake to handshake; -1: no answer in `patience`.
static int64_t read_one(cst_sim_memory *memory, uint32_t port, uint16_t id, uint64_t address,
                        cst_sim_view *out, int64_t patience) {
    const cst_sim_view *view = cst_sim_memory_view(memory, port);
    int64_t clocks = 0;

    CHECK(view->ar_ready);
    cst_sim_memory_ar(memory, port, id, address, 1);
    do {
        cst_sim_memory_tick(memory);
        if (clocks++ == patience) return -1;
    } while (!view->r_valid);
    CHECK_EQ(view->r_id, id);
    CHECK(view->r_last);
    *out = *view;
    cst_sim_memory_r(memory, port);
    return clocks;
}

static int64_t write_one(cst_sim_memory *memory, uint32_t port, uint16_t id, uint64_t address,
                         const uint8_t *data, uint64_t strobe, int64_t patience) {
    const cst_sim_view *view = cst_sim_memory_view(memory, port);
    int64_t clocks = 0;

    CHECK(view->aw_ready);
    cst_sim_memory_aw(memory, port, id, address, 1);
    cst_sim_memory_tick(memory);
    CHECK(view->w_ready);
    cst_sim_memory_w(memory, port, data, strobe, true);
    do {
        cst_sim_memory_tick(memory);
        if (clocks++ == patience) return -1;
    } while (!view->b_valid);
    CHECK_EQ(view->b_id, id);
    cst_sim_memory_b(memory, port);
    return view->b_response == CST_SIM_OKAY ? clocks : -2 - view->b_response;
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

// ---- (d) Every parameter is felt ----------------------------------------------------------------

static cst_sim_traffic traffic_of(cst_sim_pattern pattern, uint32_t reads_in_256,
                                  uint32_t accesses) {
    return (cst_sim_traffic){.pattern = pattern,
                             .bytes = 64,
                             .stride_bytes = 16 * 1024,
                             .span_bytes = 16 * MIB,
                             .reads_in_256 = reads_in_256,
                             .outstanding = 64,
                             .accesses = accesses,
                             .seed = 5};
}

static cst_sim_memory_config one_channel(void) {
    cst_sim_memory_config config = cst_sim_memory_hbm2(1, 1);

    config.channel_bytes = 16 * MIB;
    config.has_switch = false;
    config.dram.shell_ps = 0;
    return config;
}

static cst_sim_played play(const cst_sim_memory_config *config, const cst_sim_traffic *traffic,
                           cst_sim_counters *counters_out) {
    cst_sim_memory *memory = open_memory(config);
    const cst_sim_played played = cst_sim_play(memory, config, traffic);

    if (counters_out) *counters_out = cst_sim_memory_counters(memory, 0);
    cst_sim_memory_close(memory);
    return played;
}

static double rate_of(const cst_sim_memory_config *config, cst_sim_pattern pattern,
                      uint32_t reads_in_256) {
    const cst_sim_traffic traffic = traffic_of(pattern, reads_in_256, 6000);

    return play(config, &traffic, NULL).accesses_per_us;
}

#define CHECK_NEAR(VALUE, WANTED, PERCENT)                                                         \
    do {                                                                                           \
        const double near_a = (VALUE), near_b = (WANTED);                                          \
        if (fabs(near_a / near_b - 1) * 100 > (PERCENT))                                           \
            TEST_FAIL("%s is %g, wanted %s = %g", #VALUE, near_a, #WANTED, near_b);                \
    } while (0)

// The share of time that refreshes leave.
static double awake(const cst_sim_dram *dram) {
    return 1 - (double)(dram->rfc_ps + dram->rp_ps) / (double)dram->refi_ps;
}

TEST(the_activate_window_bounds_random_rate) {
    static const uint64_t windows[] = {30000, 40000, 80000};
    cst_sim_memory_config config = one_channel();

    for (size_t i = 0; i < 3; i++) {
        config.dram.faw_ps = windows[i];
        CHECK_NEAR(rate_of(&config, CST_SIM_RANDOM, 256),
                   4e6 / (double)windows[i] * awake(&config.dram), 4);
    }
}

TEST(the_distance_of_activates_bounds_random_rate) {
    cst_sim_memory_config config = one_channel();

    config.dram.rrd_ps = 10000;
    CHECK_NEAR(rate_of(&config, CST_SIM_RANDOM, 256), 100 * awake(&config.dram), 4);
}

TEST(the_bus_bounds_sequential_rate) {
    cst_sim_memory_config config = one_channel();

    CHECK_NEAR(rate_of(&config, CST_SIM_SEQUENTIAL, 256), 225 * awake(&config.dram), 2);
    config.dram.burst_ps *= 3;
    CHECK_NEAR(rate_of(&config, CST_SIM_SEQUENTIAL, 256), 75 * awake(&config.dram), 2);
}

TEST(one_bank_takes_a_row_each_ras_and_rp) {
    cst_sim_memory_config config = one_channel();

    CHECK_NEAR(rate_of(&config, CST_SIM_STRIDE, 256), 1e6 / (33000 + 15500) * awake(&config.dram),
               2);
    config.dram.ras_ps = 60000;
    CHECK_NEAR(rate_of(&config, CST_SIM_STRIDE, 256), 1e6 / (60000 + 15500) * awake(&config.dram),
               2);
    config.dram.rp_ps = 40000;
    CHECK_NEAR(rate_of(&config, CST_SIM_STRIDE, 256), 1e6 / (60000 + 40000) * awake(&config.dram),
               2);
}

TEST(written_rows_stay_open_until_they_have_recovered) {
    cst_sim_memory_config config = one_channel();
    // rcd, cl, data, wr, rp of one write after the other.
    const double cycle_ps = 15500 + 14000 + 4444 + 16000 + 15500;

    CHECK_NEAR(rate_of(&config, CST_SIM_STRIDE, 0), 1e6 / cycle_ps * awake(&config.dram), 3);
    config.dram.wr_ps += 20000;
    CHECK_NEAR(rate_of(&config, CST_SIM_STRIDE, 0), 1e6 / (cycle_ps + 20000) * awake(&config.dram),
               3);
}

TEST(refreshes_take_their_share) {
    cst_sim_memory_config config = one_channel();
    const cst_sim_traffic traffic = traffic_of(CST_SIM_SEQUENTIAL, 256, 20000);
    cst_sim_counters counters;
    cst_sim_played played;

    config.dram.rfc_ps = 1300000;
    played = play(&config, &traffic, &counters);
    CHECK_NEAR(played.accesses_per_us, 225 * awake(&config.dram), 2);
    CHECK_NEAR((double)counters.refreshes, (double)counters.clock_ps / 3900000, 4);
    config.dram.rfc_ps = 260000;
    config.dram.refi_ps = 1950000;
    CHECK_NEAR(play(&config, &traffic, NULL).accesses_per_us, 225 * awake(&config.dram), 2);
}

TEST(hits_misses_and_conflicts_are_counted_as_what_they_are) {
    cst_sim_memory_config config = one_channel();
    cst_sim_traffic traffic = traffic_of(CST_SIM_SEQUENTIAL, 256, 1600);
    cst_sim_counters counters;

    config.dram.refi_ps = 1000000000;
    (void)play(&config, &traffic, &counters);
    CHECK_EQ(counters.activates, 1600 / 16); // a page of 1 KiB has 16
    CHECK_EQ(counters.hits, 1600 - 1600 / 16);
    CHECK_EQ(counters.conflicts, 1600 / 16 - 16);
    CHECK_EQ(counters.reads, 1600);
    CHECK_EQ(counters.refreshes, 0);
    CHECK_EQ(counters.bus_ps, 1600 * 4444);
    traffic.pattern = CST_SIM_STRIDE;
    (void)play(&config, &traffic, &counters);
    CHECK_EQ(counters.hits, 0);
    CHECK_EQ(counters.activates, 1600);
    CHECK_EQ(counters.conflicts, 1599);
}

TEST(columns_of_one_bank_group_are_further_apart) {
    cst_sim_memory_config config = cst_sim_memory_ddr4(1, 1);

    config.channel_bytes = 16 * MIB;
    CHECK_NEAR(rate_of(&config, CST_SIM_SEQUENTIAL, 256), 300 * awake(&config.dram), 3);
    config.dram.bank_groups = 1;
    CHECK_NEAR(rate_of(&config, CST_SIM_SEQUENTIAL, 256), 200 * awake(&config.dram), 3);
    config.dram.ccd_s_ps = config.dram.ccd_l_ps = 10000;
    config.dram.bank_groups = 4;
    CHECK_NEAR(rate_of(&config, CST_SIM_SEQUENTIAL, 256), 100 * awake(&config.dram), 3);
}

TEST(turning_the_bus_costs_what_it_says) {
    const cst_sim_traffic traffic = traffic_of(CST_SIM_SEQUENTIAL, 128, 6000);
    cst_sim_memory_config config = one_channel();
    cst_sim_counters before, after;
    double extra;

    (void)play(&config, &traffic, &before);
    config.dram.rtw_ps += 100000;
    (void)play(&config, &traffic, &after);
    extra = (double)after.clock_ps - (double)before.clock_ps;
    CHECK(after.turns > 100);
    CHECK_NEAR(extra, (double)after.turns / 2 * 100000, 25);
    config.dram.rtw_ps -= 100000;
    config.dram.wtr_ps += 100000;
    (void)play(&config, &traffic, &after);
    extra = (double)after.clock_ps - (double)before.clock_ps;
    CHECK_NEAR(extra, (double)after.turns / 2 * 100000, 25);
}

TEST(a_write_that_cuts_a_burst_costs_a_read) {
    cst_sim_memory_config config = one_channel();
    cst_sim_memory *memory = NULL;
    uint8_t data[64] = {0};
    int64_t whole, masked;

    config.dram.rtw_ps = 50000;
    memory = open_memory(&config);
    (void)write_one(memory, 0, 0, 0, data, UINT64_MAX, 5000);
    whole = write_one(memory, 0, 0, 0, data, UINT64_MAX, 5000);
    masked = write_one(memory, 0, 0, 0, data, UINT64_MAX - 1, 5000);
    CHECK_NEAR((double)(masked - whole) * 10 / 3, 50 + 8 + 4.4, 10);
    cst_sim_memory_close(memory);
}

static int64_t latency(const cst_sim_memory_config *config, uint32_t port) {
    cst_sim_memory *memory = open_memory(config);
    cst_sim_view view;
    int64_t clocks;

    (void)read_one(memory, port, 0, 0, &view, 5000);
    clocks = read_one(memory, port, 0, 64, &view, 5000);
    cst_sim_memory_close(memory);
    return clocks;
}

// 300 MHz: three clocks each 10 ns.
TEST(every_part_of_the_way_is_in_the_latency) {
    cst_sim_memory_config config = one_channel();
    const int64_t clocks = latency(&config, 0);

    config.dram.shell_ps += 100000;
    CHECK_EQ(latency(&config, 0), clocks + 30);
    config.dram.path_ps += 100000;
    CHECK_EQ(latency(&config, 0), clocks + 60);
    config.dram.cl_ps += 100000;
    CHECK_EQ(latency(&config, 0), clocks + 90);
    config.has_switch = true;
    config.dram.switch_ps = 100000;
    CHECK_EQ(latency(&config, 0), clocks + 120);
    config.dram.hop_ps = 100000;
    config.attached[0] = 8; // two groups away
    CHECK_EQ(latency(&config, 0), clocks + 180);
}

TEST(a_closed_row_costs_rcd_and_another_one_rp_too) {
    cst_sim_memory_config config = one_channel();
    cst_sim_memory *memory = NULL;
    int64_t closed, hit, conflict;
    cst_sim_view view;

    config.dram.rcd_ps = 100000;
    config.dram.rp_ps = 200000;
    memory = open_memory(&config);
    closed = read_one(memory, 0, 0, 0, &view, 5000);
    hit = read_one(memory, 0, 0, 64, &view, 5000);
    conflict = read_one(memory, 0, 0, 16 * 1024, &view, 5000);
    CHECK_EQ(closed - hit, 30);
    CHECK_EQ(conflict - hit, 90);
    cst_sim_memory_close(memory);
}

TEST(links_between_groups_bound_what_crosses_them) {
    cst_sim_traffic traffic = traffic_of(CST_SIM_SEQUENTIAL, 256, 3000);
    cst_sim_memory_config config = cst_sim_memory_hbm2(4, 8);
    double home, away;

    config.channel_bytes = 16 * MIB;
    traffic.port_bytes = config.channel_bytes;
    home = play(&config, &traffic, NULL).gb_per_s;
    for (uint32_t p = 0; p < 4; p++) config.attached[p] = (uint8_t)(4 + p);
    away = play(&config, &traffic, NULL).gb_per_s;
    CHECK_NEAR(home, 4 * 14.4 * awake(&config.dram), 4);
    CHECK_NEAR(away, 2 * 14.4, 2);
    config.dram.lateral_links = 1;
    CHECK_NEAR(play(&config, &traffic, NULL).gb_per_s, 14.4, 2);
    traffic.reads_in_256 = 0; // the way there is another one, as narrow
    CHECK_NEAR(play(&config, &traffic, NULL).gb_per_s, 14.4, 2);
}

TEST(a_small_window_or_few_under_way_lower_random_rate) {
    cst_sim_traffic traffic = traffic_of(CST_SIM_RANDOM, 256, 6000);
    cst_sim_memory_config config = one_channel();
    const double whole = play(&config, &traffic, NULL).accesses_per_us;
    cst_sim_played alone;

    traffic.outstanding = 1;
    alone = play(&config, &traffic, NULL);
    CHECK_NEAR(alone.accesses_per_us, 1000 / alone.latency_ns, 5);
    traffic.outstanding = 64;
    config.reads_max = 1; // the port's own limit
    CHECK_NEAR(play(&config, &traffic, NULL).accesses_per_us, 1000 / alone.latency_ns, 5);
    config.reads_max = 64;
    config.dram.window = config.dram.writes_high = 1;
    CHECK(play(&config, &traffic, NULL).accesses_per_us < whole / 4);
}

TEST(stripes_spread_what_would_fall_on_one_channel) {
    cst_sim_traffic traffic = traffic_of(CST_SIM_RANDOM, 256, 4000);
    cst_sim_memory_config config = cst_sim_memory_hbm2(4, 4);
    double together, apart;

    config.channel_bytes = 16 * MIB;
    traffic.port_bytes = 0;
    together = play(&config, &traffic, NULL).accesses_per_us;
    config.stripe_bytes = 1024;
    apart = play(&config, &traffic, NULL).accesses_per_us;
    CHECK(apart > 2.5 * together);
    // A stride of all channels' stripes still spreads, as their number is folded.
    traffic.pattern = CST_SIM_STRIDE;
    traffic.stride_bytes = 4 * 1024;
    apart = play(&config, &traffic, NULL).accesses_per_us;
    config.stripe_bytes = 0;
    CHECK(apart > 2 * play(&config, &traffic, NULL).accesses_per_us);
}

// Reads of port 0 never end; one write of port 1 comes between. Clocks until its answer.
static int64_t write_among_reads(const cst_sim_memory_config *config) {
    cst_sim_memory *memory = open_memory(config);
    const cst_sim_view *reader = cst_sim_memory_view(memory, 0);
    const cst_sim_view *writer = cst_sim_memory_view(memory, 1);
    uint8_t data[64] = {0};
    int64_t clocks = 0, sent = -1;

    for (; !writer->b_valid; clocks++) {
        CHECK(clocks < 20000);
        if (reader->r_valid) cst_sim_memory_r(memory, 0);
        if (reader->ar_ready) cst_sim_memory_ar(memory, 0, 0, (uint64_t)clocks % 65536 * 64, 1);
        if (clocks == 500) cst_sim_memory_aw(memory, 1, 0, 8 * MIB, 1);
        if (writer->w_ready) {
            cst_sim_memory_w(memory, 1, data, UINT64_MAX, true);
            sent = clocks;
        }
        cst_sim_memory_tick(memory);
    }
    cst_sim_memory_close(memory);
    return clocks - sent;
}

TEST(a_lone_write_waits_for_its_age_among_reads) {
    cst_sim_memory_config config = one_channel();
    int64_t young, old;

    config.ports = 2;
    config.dram.refi_ps = 1000000000;
    young = write_among_reads(&config);
    config.dram.write_age_ps += 300000;
    old = write_among_reads(&config);
    CHECK_NEAR((double)(old - young) * 10 / 3, 300, 15);
    config.dram.writes_high = 1;
    CHECK((double)write_among_reads(&config) * 10 / 3 < 400);
}

// Port 0 reads one row for ever; port 1 wants another row of that bank.
static int64_t conflict_among_hits(const cst_sim_memory_config *config) {
    cst_sim_memory *memory = open_memory(config);
    const cst_sim_view *hits = cst_sim_memory_view(memory, 0);
    const cst_sim_view *other = cst_sim_memory_view(memory, 1);
    int64_t clocks = 0;

    for (; !other->r_valid; clocks++) {
        CHECK(clocks < 20000);
        if (hits->r_valid) cst_sim_memory_r(memory, 0);
        if (hits->ar_ready) cst_sim_memory_ar(memory, 0, 0, (uint64_t)clocks % 16 * 64, 1);
        if (clocks == 500) cst_sim_memory_ar(memory, 1, 0, 16 * 1024, 1);
        cst_sim_memory_tick(memory);
    }
    cst_sim_memory_close(memory);
    return clocks - 500;
}

TEST(an_open_row_is_closed_for_who_waits_long_enough) {
    cst_sim_memory_config config = one_channel();
    int64_t soon, late;

    config.ports = 2;
    config.dram.refi_ps = 1000000000;
    soon = conflict_among_hits(&config);
    config.dram.wait_ps += 2000000;
    late = conflict_among_hits(&config);
    CHECK_NEAR((double)(late - soon) * 10 / 3, 2000, 5);
}

// Clocks of traffic that meets all parts: rows, turns, groups, the switch.
static uint64_t clocks_of(const cst_sim_memory_config *config) {
    cst_sim_traffic traffic = traffic_of(CST_SIM_SEQUENTIAL, 256, 1000);
    uint64_t clocks = 0;

    traffic.port_bytes = config->channel_bytes;
    clocks = play(config, &traffic, NULL).cycles;
    traffic.reads_in_256 = 240;
    traffic.pattern = CST_SIM_RANDOM;
    traffic.span_bytes = 256 * 1024;
    clocks = clocks * 1000000 + play(config, &traffic, NULL).cycles;
    traffic.reads_in_256 = 100;
    traffic.span_bytes = 16 * MIB;
    return clocks * 1000000 + play(config, &traffic, NULL).cycles;
}

// Those that mean nothing to one of the models: DDR4 has no switch; and a beat's two bursts keep
// HBM2's bus longer than two columns of a group are apart, so that groups make no difference.
static bool is_felt(const char *model, const char *name) {
    static const char *const never[2] = {"bank_groups", "switch_ps hop_ps lateral_links port_ps"};

    return strstr(never[strcmp(model, "ddr4") == 0], name) == NULL;
}

static void check_felt(const char *model, cst_sim_memory_config config) {
    const cst_sim_parameter *table = NULL;
    const size_t count = cst_sim_parameters(&table);
    uint64_t plain, *fields = (uint64_t *)(void *)&config.dram;
    size_t field = 0;

    config.channel_bytes = 16 * MIB;
    for (uint32_t p = 0; p < config.ports; p++) config.attached[p] = (uint8_t)(p + 4);
    plain = clocks_of(&config);
    for (size_t i = 0; i < count; i++) {
        const char *name = table[i].name;
        const uint64_t value = table[i].value;

        if (strcmp(table[i].model, model) != 0) continue;
        CHECK(fields[field] == value);
        fields[field] = strcmp(name, "burst_bytes") == 0     ? 96 - value
                        : strcmp(name, "writes_high") == 0   ? value / 4
                        : strcmp(name, "window") == 0        ? value * 2
                        : strcmp(name, "wait_ps") == 0       ? value / 100
                        : strcmp(name, "groups_first") == 0  ? !value
                        : strcmp(name, "lateral_links") == 0 ? 1
                        : strstr(name, "_ps")                ? value * 5
                                                             : value / 2;
        if (is_felt(model, name) && clocks_of(&config) == plain)
            TEST_FAIL("%s: nothing depends on %s", model, name);
        fields[field++] = value;
    }
    CHECK_EQ(field, sizeof config.dram / sizeof *fields);
}

TEST(no_parameter_of_hbm2_is_ignored) {
    check_felt("hbm2", cst_sim_memory_hbm2(4, 8));
}

TEST(no_parameter_of_ddr4_is_ignored) {
    check_felt("ddr4", cst_sim_memory_ddr4(4, 8));
}

// ---- (e) The seed decides -----------------------------------------------------------------------

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
