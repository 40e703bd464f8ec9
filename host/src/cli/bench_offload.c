// bench_offload.c: every device side by side on the same batches: what is measured in one table,
// what is modelled in another, and from which batch size on a device pays.
#include "cli/bench_offload.h"

#include "stream/zipf.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_ROWS_MAX = 65536,
    POOL_BATCHES = 4,
    POOL_ROWS_MIN = 8192,
    // Rows of a figure, and the batches that it has at least and at most.
    ALONE_ROWS = 131072,
    FLIGHT_ROWS = 262144,
    CIRCUIT_ALONE_ROWS = 65536,
    CIRCUIT_FLIGHT_ROWS = 24576,
    SAMPLES_MAX = 100,
};

static const uint32_t default_batches[] = {64, 256, 1024, 4096, 8192, 16384, 65536};
static const char default_devices[] = "cpu:,cpu:scalar,opencl:,sim:,xrt:0";
const char *const offload_keys_names[OFFLOAD_WORKLOADS] = {"uniform", "zipf", "one-key"};

// A device's batches, one launch cost: 0 where there is none.
typedef struct offload_curve {
    double alone_ns[BENCH_SIZES_MAX], apart_ns[BENCH_SIZES_MAX];
} offload_curve;

typedef struct offload_bench {
    bench *b;
    uint64_t entries;
    offload_rows rows;
    uint64_t *ranks; // rows.capacity
    bool workloads[OFFLOAD_WORKLOADS];
    uint32_t batches[BENCH_SIZES_MAX];
    size_t batches_count;
    offload_device devices[OFFLOAD_DEVICES_MAX];
    size_t devices_count;
    bool table_begun[OFFLOAD_TABLES];
    offload_curve curves[OFFLOAD_DEVICES_MAX][OFFLOAD_WORKLOADS][OFFLOAD_LAUNCHES];
    offload_device idle; // the host's part of the cards' back end, by itself
    offload_line idle_hosts[OFFLOAD_WORKLOADS][BENCH_SIZES_MAX];
    offload_line hosts[OFFLOAD_DEVICES_MAX][OFFLOAD_WORKLOADS][BENCH_SIZES_MAX];
} offload_bench;

static double clock_mhz_of(const offload_device *d) {
    cst_simulation simulation;

    cst_device_simulation(d->device, &simulation);
    return simulation.clock_khz / 1000.0;
}

static uint32_t batches_of(const offload_bench *o, uint64_t rows, uint32_t batch, uint32_t least,
                           uint32_t most) {
    const uint64_t wanted = rows < 4 * o->entries ? rows : 4 * o->entries; // a small table: a look
    const uint64_t count = wanted / batch;

    return count < least ? least : count > most ? most : (uint32_t)count;
}

static void print(offload_bench *o, offload_table table, const offload_device *device,
                  offload_keys keys, size_t n, uint32_t launch_us, const offload_line *line) {
    offload_print(o->b, table, device->name, offload_keys_names[keys], o->entries, o->batches[n],
                  launch_us, line, !o->table_begun[table]);
    o->table_begun[table] = true;
}

static void rows_draw(offload_bench *o, offload_keys keys) {
    csti_zipf zipf;

    csti_zipf_init(&zipf, o->entries, o->b->skew);
    for (uint32_t r = 0; r < o->rows.capacity; r++) {
        const uint64_t random = csti_splitmix64(o->b->seed ^ (UINT64_C(1) << 40 | r));

        o->ranks[r] = keys == OFFLOAD_UNIFORM ? random % o->entries
                      : keys == OFFLOAD_ZIPF  ? csti_zipf_rank(&zipf, random) - 1
                                              : 0;
    }
    offload_rows_fill(&o->rows, o->ranks, o->rows.capacity);
}

// ---- What is measured ---------------------------------------------------------------------------

typedef struct side {
    offload_device *device;
    size_t index; // of the device
    offload_times alone;
    histogram encode;
    offload_run run; // of batches alone
    double apart_ns[BENCH_ROUNDS_MAX];
    uint64_t to_bytes, from_bytes, batches; // in flight
} side;

static cst_code side_round(offload_bench *o, side *s, uint32_t batch, uint32_t round,
                           cst_err *err) {
    const uint32_t alone = batches_of(o, ALONE_ROWS, batch, SAMPLES_MAX / 5, SAMPLES_MAX);
    const uint32_t flight = batches_of(o, FLIGHT_ROWS, batch, 4, 512);
    offload_run run = {0};
    cst_code code = offload_alone(o->b, s->device, &o->rows, batch, alone, &s->alone, &s->run, err);

    if (code == CST_OK)
        code = offload_in_flight(o->b, s->device, &o->rows, batch, flight, &run, err);
    if (code == CST_OK && s->device->is_processor)
        code = offload_encode(s->device, &o->rows, batch, alone, &s->encode, err);
    if (code != CST_OK) return code;
    s->apart_ns[round] = run.ns[OFFLOAD_ALL] / run.batches;
    s->to_bytes += run.to_bytes;
    s->from_bytes += run.from_bytes;
    s->batches += run.batches;
    return CST_OK;
}

// A share finer than the samples says nothing but the maximum.
static double share_of(const histogram *values, double share) {
    if (share < 1 && (1 - share) * (double)values->count < 0.999) return NAN;
    return (double)histogram_percentile(values, share);
}

static double us_of(const histogram *ns, double share) {
    return share_of(ns, share) / 1e3;
}

// Where a batch's time goes: of a processor by doing its parts alone, of OpenCL by the driver's
// clock, of a card by the time within its library. Medians, all of them.
static void parts_find(const side *s, offload_line *line) {
    const histogram *parts = s->alone.parts;

    line->host_us = line->queue_us = line->transfer_us = line->encode_us = line->result_us = NAN;
    if (s->device->is_processor) {
        line->encode_us = us_of(&s->encode, 0.5);
        line->kernel_us = line->p50_us - line->encode_us;
        return;
    }
    line->host_us = us_of(&parts[OFFLOAD_HOST], 0.5);
    line->kernel_us = us_of(&parts[OFFLOAD_AWAY], 0.5);
    if (s->run.ns[OFFLOAD_AWAY] > 0) return;
    line->queue_us = us_of(&parts[OFFLOAD_WAIT], 0.5);
    line->transfer_us = us_of(&parts[OFFLOAD_WRITE], 0.5);
    line->encode_us = us_of(&parts[OFFLOAD_ENCODE], 0.5);
    line->kernel_us = us_of(&parts[OFFLOAD_PUT], 0.5);
    line->result_us = us_of(&parts[OFFLOAD_READ], 0.5);
}

static void side_print(offload_bench *o, side *s, offload_keys keys, size_t n) {
    const double apart = bench_median(s->apart_ns, o->b->rounds);
    offload_curve *curve = &o->curves[s->index][keys][0];
    offload_line line = {
        .ns_per_op = apart / o->batches[n],
        .rows_per_s = o->batches[n] / apart * 1e9,
        .p50_us = us_of(&s->alone.parts[OFFLOAD_ALL], 0.5),
        .p99_us = us_of(&s->alone.parts[OFFLOAD_ALL], 0.99),
        .max_us = us_of(&s->alone.parts[OFFLOAD_ALL], 1),
        .to_bytes = (double)s->to_bytes / (double)s->batches,
        .from_bytes = (double)s->from_bytes / (double)s->batches,
    };

    parts_find(s, &line);
    curve->alone_ns[n] = line.p50_us * 1e3;
    curve->apart_ns[n] = apart;
    print(o, OFFLOAD_TABLE_MEASURED, s->device, keys, n, 0, &line);
}

static cst_code measure_batch(offload_bench *o, side *sides, size_t count, offload_keys keys,
                              size_t n, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t s = 0; s < count; s++)
        sides[s] = (side){.device = sides[s].device, .index = sides[s].index};
    for (size_t s = 0; s < count && code == CST_OK; s++)
        code = offload_warm(sides[s].device, &o->rows, err);
    for (uint32_t r = 0; r < o->b->rounds && code == CST_OK; r++)
        for (size_t s = 0; s < count && code == CST_OK; s++)
            code = side_round(o, &sides[s], o->batches[n], r, err);
    for (size_t s = 0; s < count && code == CST_OK; s++) side_print(o, &sides[s], keys, n);
    return code;
}

static cst_code measure_all(offload_bench *o, cst_err *err) {
    side *sides = calloc(OFFLOAD_DEVICES_MAX, sizeof *sides);
    cst_code code = sides ? CST_OK : cst_fail(err, CST_NO_MEMORY, "devices");
    size_t count = 0;

    for (size_t d = 0; d < o->devices_count && code == CST_OK; d++)
        if (o->devices[d].device && o->devices[d].kind == OFFLOAD_MEASURED) {
            sides[count].device = &o->devices[d];
            sides[count++].index = d;
        }
    for (offload_keys keys = 0; keys < OFFLOAD_WORKLOADS && code == CST_OK; keys++) {
        if (!o->workloads[keys]) continue;
        rows_draw(o, keys);
        for (size_t n = 0; n < o->batches_count && code == CST_OK; n++)
            code = measure_batch(o, sides, count, keys, n, err);
    }
    free(sides);
    return code;
}

// ---- The host's part ----------------------------------------------------------------------------

static offload_line host_line(const offload_times *times, const offload_run *run, uint32_t batch) {
    const double ns = share_of(&times->parts[OFFLOAD_HOST], 0.5);

    return (offload_line){
        .host_ns_per_batch = ns,
        .host_ns_per_row = ns / batch,
        .to_bytes = (double)run->to_bytes / run->batches,
        .from_bytes = (double)run->from_bytes / run->batches,
    };
}

static cst_code idle_batches(offload_bench *o, offload_keys keys, cst_err *err) {
    cst_code code = CST_OK;

    rows_draw(o, keys);
    for (size_t n = 0; n < o->batches_count && code == CST_OK; n++) {
        const uint32_t count = batches_of(o, FLIGHT_ROWS, o->batches[n], SAMPLES_MAX, 512);
        offload_times *times = calloc(1, sizeof *times);
        offload_run run = {0};

        if (!times) return cst_fail(err, CST_NO_MEMORY, "times of batches");
        code = offload_warm(&o->idle, &o->rows, err);
        if (code == CST_OK)
            code = offload_alone(o->b, &o->idle, &o->rows, o->batches[n], count, times, &run, err);
        if (code == CST_OK) o->idle_hosts[keys][n] = host_line(times, &run, o->batches[n]);
        free(times);
    }
    return code;
}

static cst_code idle_all(offload_bench *o, cst_err *err) {
    cst_code code = CST_OK;

    for (offload_keys keys = 0; keys < OFFLOAD_WORKLOADS && code == CST_OK; keys++)
        if (o->idle.device && o->workloads[keys]) code = idle_batches(o, keys, err);
    return code;
}

// ---- What is modelled ---------------------------------------------------------------------------

// Of batches alone: with each launch cost what the model makes of their clocks.
static void model_print(offload_bench *o, size_t d, offload_keys keys, size_t n,
                        const offload_run *alone, const offload_run *flight,
                        const histogram *clocks) {
    const double mhz = clock_mhz_of(&o->devices[d]);
    const double host_ns = o->idle_hosts[keys][n].host_ns_per_batch;

    for (size_t l = 0; l < OFFLOAD_LAUNCHES; l++) {
        const offload_modelled t =
            offload_model(alone, flight, host_ns, mhz, offload_launches_us[l]);
        const double ns = 1e3 / mhz;
        offload_curve *curve = &o->curves[d][keys][l];
        offload_line line = {
            .ns_per_op = t.apart / o->batches[n],
            .rows_per_s = o->batches[n] / t.apart * 1e9,
            // What is around the circuit takes the same for every batch.
            .p50_us = offload_alone_ns(&t, share_of(clocks, 0.5) * ns) / 1e3,
            .p99_us = offload_alone_ns(&t, share_of(clocks, 0.99) * ns) / 1e3,
            .max_us = offload_alone_ns(&t, share_of(clocks, 1) * ns) / 1e3,
            .host_us = t.host / 1e3,
            .queue_us = t.launch / 1e3,
            .transfer_us = t.transfer / 1e3,
            .kernel_us = t.kernel / 1e3,
            .result_us = t.result / 1e3,
            .to_bytes = (double)alone->to_bytes / alone->batches,
            .from_bytes = (double)alone->from_bytes / alone->batches,
            .cycles = (double)alone->cycles / alone->batches,
            .clock_mhz = mhz,
            .bound = t.bound,
        };

        curve->alone_ns[n] = line.p50_us * 1e3;
        curve->apart_ns[n] = t.apart;
        print(o, OFFLOAD_TABLE_MODELLED, &o->devices[d], keys, n, offload_launches_us[l], &line);
    }
}

// One batch size of a simulated or an emulated card.
static cst_code card_batch(offload_bench *o, size_t d, offload_keys keys, size_t n,
                           offload_times *times, cst_err *err) {
    const uint32_t batch = o->batches[n];
    const uint32_t alone_count = batches_of(o, CIRCUIT_ALONE_ROWS, batch, 2, SAMPLES_MAX);
    const uint32_t flight_count = 1 + batches_of(o, CIRCUIT_FLIGHT_ROWS, batch, 1, SAMPLES_MAX);
    offload_device *device = &o->devices[d];
    offload_line *host = &o->hosts[d][keys][n];
    offload_run alone = {0};
    cst_code code = offload_warm(device, &o->rows, err);

    if (code == CST_OK)
        code = offload_alone(o->b, device, &o->rows, batch, alone_count, times, &alone, err);
    if (code == CST_OK && device->kind == OFFLOAD_MODELLED)
        code = offload_in_flight(o->b, device, &o->rows, batch, flight_count, &device->last[keys],
                                 err);
    if (code != CST_OK) return code;
    *host = host_line(times, &alone, batch);
    if (device->kind == OFFLOAD_MODELLED)
        model_print(o, d, keys, n, &alone, &device->last[keys], &times->clocks);
    return CST_OK;
}

static cst_code card_batches(offload_bench *o, size_t d, offload_keys keys, cst_err *err) {
    offload_times *times = calloc(o->batches_count, sizeof *times);
    cst_code code = times ? CST_OK : cst_fail(err, CST_NO_MEMORY, "times of batches");

    rows_draw(o, keys);
    for (size_t n = 0; n < o->batches_count && code == CST_OK; n++)
        code = card_batch(o, d, keys, n, &times[n], err);
    free(times);
    return code;
}

static cst_code model_all(offload_bench *o, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t d = 0; d < o->devices_count && code == CST_OK; d++) {
        if (!o->devices[d].device || o->devices[d].kind == OFFLOAD_MEASURED) continue;
        for (offload_keys keys = 0; keys < OFFLOAD_WORKLOADS && code == CST_OK; keys++)
            if (o->workloads[keys]) code = card_batches(o, d, keys, err);
    }
    return code;
}

// ---- What follows -------------------------------------------------------------------------------

static void hosts_print(offload_bench *o) {
    for (offload_keys keys = 0; o->idle.device && keys < OFFLOAD_WORKLOADS; keys++)
        for (size_t n = 0; o->workloads[keys] && n < o->batches_count; n++)
            print(o, OFFLOAD_TABLE_HOST, &o->idle, keys, n, 0, &o->idle_hosts[keys][n]);
    for (size_t d = 0; d < o->devices_count; d++) {
        if (!o->devices[d].device || o->devices[d].kind == OFFLOAD_MEASURED) continue;
        for (offload_keys keys = 0; keys < OFFLOAD_WORKLOADS; keys++)
            for (size_t n = 0; o->workloads[keys] && n < o->batches_count; n++)
                print(o, OFFLOAD_TABLE_HOST, &o->devices[d], keys, n, 0, &o->hosts[d][keys][n]);
    }
}

// The smallest batch from which on a device takes no longer than the processor: between two sizes
// as if both went straight from one to the next. 0: none.
static double break_even(const offload_bench *o, const double *device_ns, const double *cpu_ns) {
    size_t n = o->batches_count;

    while (n > 0 && device_ns[n - 1] <= cpu_ns[n - 1]) n--;
    if (n == o->batches_count) return 0;
    if (n == 0) return o->batches[0];
    const double before = device_ns[n - 1] - cpu_ns[n - 1], after = cpu_ns[n] - device_ns[n];

    return o->batches[n - 1] + (o->batches[n] - o->batches[n - 1]) * before / (before + after);
}

static int say(const offload_bench *o, char *out, size_t bytes, const char *field, double rows) {
    if (rows == 0)
        return snprintf(out, bytes, ",\"%s\":\"never up to %u rows\"", field,
                        o->batches[o->batches_count - 1]);
    if (rows <= o->batches[0])
        return snprintf(out, bytes, ",\"%s\":\"at %u rows already\"", field, o->batches[0]);
    return snprintf(out, bytes, ",\"%s\":\"from %.0f rows on\",\"%s_rows\":%.0f", field, rows,
                    field, rows);
}

static void break_even_print(offload_bench *o, size_t d, offload_keys keys, size_t launch,
                             const offload_curve *cpu) {
    const offload_device *device = &o->devices[d];
    const offload_curve *curve = &o->curves[d][keys][launch];
    const size_t last = o->batches_count - 1;
    bench_params params = {0};
    char fields[512];
    int used = snprintf(fields, sizeof fields, "\"times\":\"%s\"",
                        device->kind == OFFLOAD_MODELLED ? "modelled" : "measured");

    bench_params_text(&params, "workload", offload_keys_names[keys]);
    bench_params_u64(&params, "entries", o->entries);
    if (device->kind == OFFLOAD_MODELLED)
        bench_params_u64(&params, "launch_us", offload_launches_us[launch]);
    used += say(o, fields + used, sizeof fields - (size_t)used, "alone",
                break_even(o, curve->alone_ns, cpu->alone_ns));
    used += say(o, fields + used, sizeof fields - (size_t)used, "in_flight",
                break_even(o, curve->apart_ns, cpu->apart_ns));
    (void)snprintf(fields + used, sizeof fields - (size_t)used,
                   ",\"largest\":%u,\"alone_ratio\":%.3g,\"in_flight_ratio\":%.3g",
                   o->batches[last], cpu->alone_ns[last] / curve->alone_ns[last],
                   cpu->apart_ns[last] / curve->apart_ns[last]);
    bench_numbers(o->b, "offload.break_even", &params, device->name, fields);
}

static void break_evens_print(offload_bench *o) {
    size_t cpu = 0;

    while (cpu < o->devices_count && strcmp(o->devices[cpu].name, "cpu:") != 0) cpu++;
    if (cpu == o->devices_count || !o->devices[cpu].device) return;
    for (size_t d = 0; d < o->devices_count; d++) {
        const offload_device *device = &o->devices[d];
        const size_t launches = device->kind == OFFLOAD_MODELLED ? OFFLOAD_LAUNCHES : 1;

        if (!device->device || device->is_processor || device->kind == OFFLOAD_EMULATED) continue;
        for (offload_keys keys = 0; keys < OFFLOAD_WORKLOADS; keys++)
            for (size_t l = 0; o->workloads[keys] && l < launches; l++)
                break_even_print(o, d, keys, l, &o->curves[cpu][keys][0]);
    }
}

static void models_print(offload_bench *o) {
    bool inputs = false;

    for (size_t d = 0; d < o->devices_count; d++) {
        const offload_device *device = &o->devices[d];

        if (!device->device || device->kind != OFFLOAD_MODELLED) continue;
        if (!inputs) offload_print_inputs(o->b, clock_mhz_of(device));
        inputs = true;
        for (offload_keys keys = 0; keys < OFFLOAD_WORKLOADS; keys++)
            if (o->workloads[keys])
                offload_print_model(o->b, device->name, offload_keys_names[keys], &o->rows.schema,
                                    &device->last[keys], clock_mhz_of(device));
    }
}

// ---- What was asked for -------------------------------------------------------------------------

static cst_code workloads_take(offload_bench *o, cst_err *err) {
    const char *at = o->b->workloads ? o->b->workloads : "uniform,zipf,one-key";

    while (*at) {
        const size_t bytes = strcspn(at, ",");
        offload_keys keys = 0;

        while (keys < OFFLOAD_WORKLOADS && (strlen(offload_keys_names[keys]) != bytes ||
                                            strncmp(at, offload_keys_names[keys], bytes) != 0))
            keys++;
        if (keys == OFFLOAD_WORKLOADS)
            return cst_fail(err, CST_USAGE, "--keys: '%.*s' is none of uniform, zipf, one-key",
                            (int)bytes, at);
        o->workloads[keys] = true;
        at += bytes + (at[bytes] == ',');
    }
    return CST_OK;
}

// As asked for; else sizes that are no larger than the table.
static void batches_take(offload_bench *o) {
    const bench *b = o->b;

    if (b->batches_given) {
        for (size_t i = 0; i < b->batches_count; i++) o->batches[i] = (uint32_t)b->batches[i];
        o->batches_count = b->batches_count;
        return;
    }
    for (size_t i = 0; i < sizeof default_batches / sizeof *default_batches; i++)
        if (i == 0 || default_batches[i] <= o->entries)
            o->batches[o->batches_count++] = default_batches[i];
}

static void device_print(bench *b, const offload_device *d) {
    static const char *const kinds[] = {"measured", "modelled", "emulated: no times of a card"};
    const bench_params none = {0};
    cst_capabilities can;
    char fields[2 * OFFLOAD_WHY_BYTES];

    if (d->device) {
        cst_device_capabilities(d->device, &can);
        (void)snprintf(fields, sizeof fields, "\"available\":true,\"times\":\"%s\",\"is\":\"%s\"",
                       kinds[d->kind], can.name);
    } else {
        (void)snprintf(fields, sizeof fields, "\"available\":false,\"why\":\"%s\"", d->why);
    }
    bench_numbers(b, "offload.device", &none, d->name, fields);
}

static cst_code device_add(offload_bench *o, const char *uri, uint32_t key_bytes, cst_err *err) {
    static const cst_hash_key hash_key = {1, 2}; // as its table has
    offload_device *d = &o->devices[o->devices_count];
    cst_code code = offload_device_open(d, uri, &o->rows.schema, key_bytes, o->entries, err);

    if (code != CST_OK) return code;
    o->devices_count++;
    device_print(o->b, d);
    if (!d->device) return CST_OK;
    code =
        offload_image_fill(&o->rows, o->entries, cst_device_table_image(d->table), &hash_key, err);
    if (code == CST_OK) code = cst_device_table_prepare(d->table, err);
    return code == CST_OK ? CST_OK : cst_fail_at(err, code, "device %s", uri);
}

static cst_code devices_open(offload_bench *o, cst_err *err) {
    const char *at = o->b->devices ? o->b->devices : default_devices;
    uint32_t key_bytes = 0;
    cst_code code = offload_key_bytes(&o->rows, o->entries, &key_bytes, err);

    while (*at && code == CST_OK) {
        const size_t bytes = strcspn(at, ",");
        char uri[OFFLOAD_NAME_BYTES];

        if (o->devices_count == OFFLOAD_DEVICES_MAX || bytes >= sizeof uri)
            return cst_fail(err, CST_USAGE, "--device: at most %d names of less than %d bytes",
                            OFFLOAD_DEVICES_MAX, OFFLOAD_NAME_BYTES);
        memcpy(uri, at, bytes);
        uri[bytes] = 0;
        code = device_add(o, uri, key_bytes, err);
        at += bytes + (at[bytes] == ',');
    }
    for (size_t d = 0; d < o->devices_count && code == CST_OK; d++)
        if (o->devices[d].device && o->devices[d].kind != OFFLOAD_MEASURED && !o->idle.device)
            code = offload_idle_open(&o->idle, &o->rows.schema, key_bytes, err);
    return code;
}

static void offload_close(offload_bench *o) {
    for (size_t d = 0; d < o->devices_count; d++) offload_device_close(&o->devices[d]);
    offload_device_close(&o->idle);
    offload_rows_close(&o->rows);
    free(o->ranks);
    free(o);
}

static cst_code offload_open(offload_bench *o, cst_err *err) {
    const char *schema = o->b->schema_given ? o->b->schema : "u64";
    uint32_t largest = 0, capacity;
    cst_code code = workloads_take(o, err);

    batches_take(o);
    for (size_t i = 0; i < o->batches_count; i++)
        if (o->batches[i] > largest) largest = o->batches[i];
    capacity = POOL_BATCHES * ((largest + 7) / 8 * 8);
    if (capacity < POOL_ROWS_MIN) capacity = POOL_ROWS_MIN;
    if (code == CST_OK) code = offload_rows_open(&o->rows, schema, o->b->seed, capacity, err);
    if (code == CST_OK) code = bench_memory_check(o->entries * 512, err);
    if (code != CST_OK) return code;
    o->ranks = calloc(capacity, sizeof *o->ranks);
    return o->ranks ? devices_open(o, err) : cst_fail(err, CST_NO_MEMORY, "%u rows", capacity);
}

static cst_code offload_size(bench *b, uint64_t entries, cst_err *err) {
    offload_bench *o = calloc(1, sizeof *o);
    cst_code code;

    if (!o) return cst_fail(err, CST_NO_MEMORY, "offload");
    o->b = b;
    o->entries = entries;
    code = offload_open(o, err);
    if (code == CST_OK) code = measure_all(o, err);
    if (code == CST_OK) code = idle_all(o, err);
    if (code == CST_OK) code = model_all(o, err);
    if (code == CST_OK) {
        hosts_print(o);
        break_evens_print(o);
        models_print(o);
    }
    offload_close(o);
    return code;
}

cst_code bench_offload(bench *b, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++)
        code = offload_size(b, b->sizes[i], err);
    return code;
}
