// Simulated memory: every parameter of its timing is felt, and bounds what it should.
#include "master.h"

#include <math.h>
#include <memory/calibrate.h>
#include <memory/traffic.h>

enum { MIB = 1 << 20 };

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

TEST_MAIN
