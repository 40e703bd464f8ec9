// bench_offload_device.c: batches on one device: one at a time, or many in flight.
#include "cli/bench_offload.h"

#include "base/ticks.h"
#include "device/backend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEAL_ROWS = 1 << 17, // an epoch, about: most of its rows are their key's first in it
    WARM_ROWS = 8,
    READS = 14, // of a circuit's counters
    WRITES = 15,
};

// ---- Opening ------------------------------------------------------------------------------------

static cst_table_options table_options(uint32_t key_bytes, uint64_t entries) {
    return (cst_table_options){
        .layout = CST_TABLE_INLINE,
        .key_bytes = key_bytes,
        .program = {.value_bytes = 32,
                    .accumulators_count = 4,
                    .presence_offset = CST_NO_OFFSET,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                     {CST_SUM, CST_U64, 8, 0, 0},
                                     {CST_MIN, CST_U64, 16, 0, 0},
                                     {CST_MAX, CST_U64, 24, 1, 0}}},
        .hash_key = {1, 2},
        .budget_bytes = (UINT64_C(256) << 20) + entries * (key_bytes + 512),
        .rows_hint = entries,
        .numa_node = -1,
    };
}

static offload_kind kind_of(const cst_device *device) {
    cst_simulation simulation;

    cst_device_simulation(device, &simulation);
    if (simulation.simulated) return OFFLOAD_MODELLED;
    // XRT's own sign that there is no card behind it.
    if (strncmp(cst_device_uri(device), "xrt:", 4) == 0 && getenv("XCL_EMULATION_MODE"))
        return OFFLOAD_EMULATED;
    return OFFLOAD_MEASURED;
}

// Its driver is to say where the time goes.
static void uri_make(const char *uri, char out[CSTI_URI_BYTES_MAX]) {
    const bool profiles = strncmp(uri, "opencl:", 7) == 0 && !strstr(uri, "profile=");

    (void)snprintf(out, CSTI_URI_BYTES_MAX, "%s%s", uri,
                   !profiles          ? ""
                   : strchr(uri, '?') ? "&profile=1"
                                      : "?profile=1");
}

static cst_code table_open(offload_device *d, const cst_schema *schema, uint32_t key_bytes,
                           uint64_t entries, cst_err *err) {
    const cst_queue_options queue_options = {.depth = OFFLOAD_DEPTH};
    const cst_table_options options = table_options(key_bytes, entries);
    cst_code code = cst_device_check_table(d->device, &options, err);

    if (code == CST_OK) code = cst_queue_open(d->device, &queue_options, &d->queue, err);
    if (code == CST_OK) code = cst_device_table_open(d->queue, &options, schema, &d->table, err);
    return code;
}

// Whether somebody who asks for all devices is told why he has not this one, and no more.
static bool is_absence(cst_code code) {
    return code == CST_UNSUPPORTED || code == CST_DEVICE_LOST || code == CST_DEVICE_IMAGE ||
           code == CST_KEY_TOO_LONG || code == CST_VALUE_TOO_LONG;
}

cst_code offload_device_open(offload_device *d, const char *uri, const cst_schema *schema,
                             uint32_t key_bytes, uint64_t entries, cst_err *err) {
    char whole[CSTI_URI_BYTES_MAX];
    cst_err why = {0};
    cst_code code;

    *d = (offload_device){.is_processor = strncmp(uri, "cpu:", 4) == 0};
    (void)snprintf(d->name, sizeof d->name, "%s", uri);
    uri_make(uri, whole);
    code = cst_device_open(whole, &d->device, &why);
    if (code == CST_OK) d->kind = kind_of(d->device);
    if (code == CST_OK) code = table_open(d, schema, key_bytes, entries, &why);
    if (code == CST_OK) return CST_OK;
    (void)snprintf(d->why, sizeof d->why, "%s", why.text);
    offload_device_close(d);
    return is_absence(code) ? CST_OK : cst_fail(err, code, "--device %s: %s", uri, d->why);
}

void offload_device_close(offload_device *d) {
    cst_device_table_close(d->table);
    cst_queue_close(d->queue);
    cst_device_close(d->device);
    d->table = NULL;
    d->queue = NULL;
    d->device = NULL;
}

// ---- What is counted ----------------------------------------------------------------------------

typedef struct counts {
    csti_traffic traffic;
    cst_simulation simulation;
    uint64_t ticks;
    uint64_t accesses, operations;
} counts;

// Reading a circuit's registers takes time and clocks: before what is counted, or behind it.
static void circuit_read(const offload_device *d, counts *out) {
    cst_counter circuit[OFFLOAD_COUNTERS] = {0};
    size_t count = 0;

    if (d->kind != OFFLOAD_MODELLED) return;
    cst_queue_counters(d->queue, circuit, OFFLOAD_COUNTERS, &count);
    out->accesses = circuit[READS].value + circuit[WRITES].value;
    out->operations = circuit[0].value;
}

static void counts_take(const offload_device *d, counts *out) {
    out->ticks = csti_ticks();
    out->traffic = d->queue->traffic;
    cst_device_simulation(d->device, &out->simulation);
}

// What is the host's of a time is what nobody else had, by the same counter: a circuit that is
// simulated has a thousand times as much.
static offload_run run_of(const bench *b, const counts *from, const counts *to, uint32_t batches,
                          uint64_t rows) {
    const csti_traffic *a = &from->traffic, *z = &to->traffic;
    const uint64_t ticks = to->ticks - from->ticks, away = z->away_ticks - a->away_ticks;
    offload_run run = {
        .batches = batches,
        .rows = rows,
        .transfer_ns = to->simulation.transfer_ns - from->simulation.transfer_ns,
        .to_bytes = z->to_device_bytes - a->to_device_bytes,
        .from_bytes = z->from_device_bytes - a->from_device_bytes,
        .accesses = to->accesses - from->accesses,
        .operations = to->operations - from->operations,
        .ns = {[OFFLOAD_ALL] = (double)ticks / b->ticks_per_ns,
               [OFFLOAD_AWAY] = (double)away / b->ticks_per_ns,
               [OFFLOAD_WAIT] = (double)(z->wait_ns - a->wait_ns),
               [OFFLOAD_WRITE] = (double)(z->write_ns - a->write_ns),
               [OFFLOAD_ENCODE] = (double)(z->keys_ns - a->keys_ns),
               [OFFLOAD_PUT] = (double)(z->table_ns - a->table_ns),
               [OFFLOAD_READ] = (double)(z->read_ns - a->read_ns)},
    };

    run.ns[OFFLOAD_HOST] = (double)(ticks - away) / b->ticks_per_ns;
    for (offload_part p = OFFLOAD_WAIT; p <= OFFLOAD_READ; p++) run.ns[OFFLOAD_HOST] -= run.ns[p];
    if (run.ns[OFFLOAD_HOST] < 0) run.ns[OFFLOAD_HOST] = 0;
    return run;
}

static void run_add(offload_run *run, const offload_run *more) {
    run->batches += more->batches;
    run->rows += more->rows;
    run->cycles += more->cycles;
    run->transfer_ns += more->transfer_ns;
    run->to_bytes += more->to_bytes;
    run->from_bytes += more->from_bytes;
    run->accesses += more->accesses;
    run->operations += more->operations;
    for (offload_part p = 0; p < OFFLOAD_PARTS; p++) run->ns[p] += more->ns[p];
}

// ---- Between runs -------------------------------------------------------------------------------

cst_code offload_warm(offload_device *d, const offload_rows *rows, cst_err *err) {
    offload_slot slot;
    cst_completion done;

    if (d->is_processor) return CST_OK; // it needs none
    offload_slot_make(&slot, rows, 0, WARM_ROWS, d->table);
    return cst_device_run(d->queue, &slot.command, &done, err);
}

cst_code offload_settle(offload_device *d, const offload_rows *rows, uint32_t count, cst_err *err) {
    const cst_command barrier = {.ops = CST_OP_BARRIER, .table = d->table};
    cst_command release = {.ops = CST_OP_RELEASE, .table = d->table};
    cst_completion done;
    cst_code code;

    d->since_seal += count;
    if (d->since_seal < SEAL_ROWS || d->keeps_nothing) return CST_OK;
    d->since_seal = 0;
    code = cst_device_run(d->queue, &barrier, &done, err);
    release.release = done.delta;
    if (code == CST_OK) code = cst_device_run(d->queue, &release, &done, err);
    if (code == CST_OK) code = cst_device_table_prepare(d->table, err);
    if (code == CST_OK) code = offload_warm(d, rows, err);
    return code;
}

// ---- One batch in flight ------------------------------------------------------------------------

// Batches go round the rows; each begins at a multiple of 8.
static uint32_t batch_from(const offload_rows *rows, uint32_t batch, uint64_t number) {
    const uint32_t step = (batch + 7) / 8 * 8;
    const uint32_t places = rows->count >= step ? rows->count / step : 1;

    return (uint32_t)(number % places) * step;
}

cst_code offload_alone(const bench *b, offload_device *d, const offload_rows *rows, uint32_t batch,
                       uint32_t batches, offload_times *times, offload_run *out, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < batches && code == CST_OK; i++) {
        offload_slot slot;
        cst_completion done;
        counts from = {0}, to = {0};
        offload_run one;

        offload_slot_make(&slot, rows, batch_from(rows, batch, i), batch, d->table);
        counts_take(d, &from);
        code = cst_device_run(d->queue, &slot.command, &done, err);
        if (code != CST_OK) break;
        counts_take(d, &to);
        one = run_of(b, &from, &to, 1, batch);
        if (d->kind == OFFLOAD_MODELLED) one.cycles = done.clocks - from.traffic.clocks;
        run_add(out, &one);
        histogram_add(&times->clocks, one.cycles);
        for (offload_part p = 0; p < OFFLOAD_PARTS; p++)
            histogram_add(&times->parts[p], (uint64_t)one.ns[p]);
        code = offload_settle(d, rows, batch, err);
    }
    return code;
}

cst_code offload_encode(offload_device *d, const offload_rows *rows, uint32_t batch,
                        uint32_t batches, histogram *ns, cst_err *err) {
    cst_keys keys = {0};
    uint64_t *hashes = calloc(batch, sizeof *hashes);
    cst_code code = CST_OK;
    offload_slot slot;

    offload_slot_make(&slot, rows, 0, batch, NULL);
    keys.bytes_capacity = cst_keys_bytes_bound(&slot.batch);
    keys.bytes = malloc(keys.bytes_capacity + 1);
    keys.offsets = calloc((size_t)batch + 1, sizeof *keys.offsets);
    if (!hashes || !keys.bytes || !keys.offsets) code = cst_fail(err, CST_NO_MEMORY, "keys");
    for (uint32_t i = 0; i < batches && code == CST_OK; i++) {
        cst_command command = {.ops = CST_OP_ENCODE | CST_OP_HASH,
                               .batch = &slot.batch,
                               .hash_key = {1, 2},
                               .keys_out = &keys,
                               .hashes_out = hashes,
                               .rows = {.rows_count = batch}};
        cst_completion done;
        uint64_t from_ns;

        // The next rows: what was just read is in the processor's nearest memory.
        offload_slot_make(&slot, rows, batch_from(rows, batch, i), batch, NULL);
        if (keys.bytes_capacity < cst_keys_bytes_bound(&slot.batch)) continue;
        from_ns = bench_now_ns();
        code = cst_device_run(d->queue, &command, &done, err);
        histogram_add(ns, bench_now_ns() - from_ns);
    }
    free(hashes);
    free(keys.bytes);
    free(keys.offsets);
    return code;
}

// ---- Many in flight -----------------------------------------------------------------------------

typedef struct flight {
    const offload_rows *rows;
    uint32_t batch, batches;
    uint32_t submitted, completed;
    uint64_t first_clocks, last_clocks;
    offload_slot slots[OFFLOAD_DEPTH];
} flight;

static cst_code flight_fill(flight *f, cst_driver *driver, cst_device_table *table, cst_err *err) {
    cst_code code = CST_OK;

    while (f->submitted < f->batches && f->submitted - f->completed < OFFLOAD_DEPTH &&
           code == CST_OK) {
        offload_slot *slot = &f->slots[f->submitted % OFFLOAD_DEPTH];

        offload_slot_make(slot, f->rows, batch_from(f->rows, f->batch, f->submitted), f->batch,
                          table);
        code = cst_driver_submit(driver, &slot->command, NULL, err);
        f->submitted++;
    }
    return code;
}

static cst_code flight_run(flight *f, cst_driver *driver, cst_device_table *table, cst_err *err) {
    while (f->completed < f->batches) {
        cst_completion done;
        uint32_t count = 0;
        cst_code code = flight_fill(f, driver, table, err);

        if (code == CST_OK) code = cst_driver_poll(driver, UINT64_MAX, &done, 1, &count, err);
        if (code != CST_OK) return code;
        if (count == 0) continue;
        if (done.code != CST_OK) return cst_fail(err, done.code, "row %u", done.rows_done);
        if (f->completed++ == 0) f->first_clocks = done.clocks;
        f->last_clocks = done.clocks;
    }
    return CST_OK;
}

cst_code offload_in_flight(const bench *b, offload_device *d, const offload_rows *rows,
                           uint32_t batch, uint32_t batches, offload_run *out, cst_err *err) {
    flight *f = calloc(1, sizeof *f);
    cst_driver *driver = NULL;
    counts from = {0}, to = {0};
    cst_code code = f ? CST_OK : cst_fail(err, CST_NO_MEMORY, "batches in flight");

    assert(batches >= 2);
    if (code == CST_OK) code = cst_driver_open(d->queue, &driver, err);
    if (code == CST_OK) {
        *f = (flight){.rows = rows, .batch = batch, .batches = batches};
        circuit_read(d, &from);
        counts_take(d, &from);
        code = flight_run(f, driver, d->table, err);
        counts_take(d, &to);
        circuit_read(d, &to);
        *out = run_of(b, &from, &to, batches, (uint64_t)batch * batches);
        out->cycles = f->last_clocks - f->first_clocks;
    }
    cst_driver_close(driver);
    free(f);
    if (code == CST_OK) code = offload_settle(d, rows, batch * batches, err);
    return code;
}
