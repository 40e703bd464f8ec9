// What goes on at once: rows of the next batch beside the updates of the one before, and a sealed
// delta's way to the host beside the next epoch's batches.
#include "unit/device/fixture.h"

#ifdef CST_HAS_OPENCL
#include "device/opencl_internal.h"

#include <dlfcn.h>

// A table with room for all rows, that does not stop to grow.
static void roomy_open(fixture *f, const char *uri) {
    cst_table_options options = fixture_options();

    options.rows_hint = 1 << 14;
    fixture_open_options(f, uri, &options);
}

// ---- A device whose downloads wait for the test -------------------------------------------------

static struct {
    void *library;
    __typeof__(clCreateUserEvent) *create;
    __typeof__(clSetUserEventStatus) *set;
    __typeof__(clEnqueueReadBuffer) *read;
    cl_command_queue transfers;
    cl_event gate;
} gate;

static cl_int CL_API_CALL read_behind_gate(cl_command_queue queue, cl_mem memory, cl_bool blocking,
                                           size_t at, size_t bytes, void *to, cl_uint count,
                                           const cl_event *before, cl_event *event) {
    cl_event list[2] = {gate.gate};

    if (queue != gate.transfers)
        return gate.read(queue, memory, blocking, at, bytes, to, count, before, event);
    CHECK(count < 2);
    if (count == 1) list[1] = before[0];
    return gate.read(queue, memory, blocking, at, bytes, to, count + 1, list, event);
}

// False: there is no OpenCL on this machine.
static bool gate_close(fixture *f) {
    cst_err err = {0};
    const cst_code code = cst_device_open("opencl:", &f->device, &err);
    cl_int error = CL_SUCCESS;

    if (code == CST_UNSUPPORTED) printf("%s; ", err.text);
    if (code == CST_UNSUPPORTED) return false;
    cst_device_close(f->device);
    roomy_open(f, "opencl:");
    ocl_device *device = (ocl_device *)f->device;
    gate.library = dlopen("libOpenCL.so.1", RTLD_NOW);
    CHECK(gate.library);
    *(void **)&gate.create = dlsym(gate.library, "clCreateUserEvent");
    *(void **)&gate.set = dlsym(gate.library, "clSetUserEventStatus");
    CHECK(gate.create && gate.set);
    gate.read = device->cl.EnqueueReadBuffer;
    device->cl.EnqueueReadBuffer = read_behind_gate;
    gate.transfers = ((ocl_queue *)f->queue)->transfers;
    gate.gate = gate.create(device->context, &error);
    CHECK_EQ(error, CL_SUCCESS);
    return true;
}

static void gate_free(fixture *f) {
    (void)((ocl_device *)f->device)->cl.ReleaseEvent(gate.gate);
    fixture_close(f);
    CHECK_EQ(dlclose(gate.library), 0);
}

static cst_queue_downloads downloads_of(const fixture *f) {
    cst_queue_downloads downloads;

    cst_queue_downloads_read(f->queue, &downloads);
    return downloads;
}

// Rows in an epoch, its barrier, and rows of the next one.
static void epochs_submit(fixture *f, fixture_rows *first, fixture_rows *second) {
    const cst_command commands[] = {fixture_apply(f, first),
                                    {.ops = CST_OP_BARRIER, .table = f->table},
                                    fixture_apply(f, second)};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) fixture_submit(f, &commands[i]);
}

enum { GATE_ROWS = 500 };

// The delta's bytes, as the processor makes them of the same rows.
static void delta_check(const fixture *f, fixture_rows *rows, const cst_delta *delta) {
    const cst_command barrier = {.ops = CST_OP_BARRIER};
    fixture on = {0};
    cst_command commands[2];
    cst_bytes range, wanted;
    cst_completion done;
    size_t count;

    roomy_open(&on, "cpu:");
    commands[0] = fixture_apply(&on, rows);
    commands[1] = barrier;
    commands[1].table = on.table;
    (void)fixture_run(&on, &commands[0]);
    done = fixture_run(&on, &commands[1]);
    CHECK_EQ(done.delta.to, delta->to);
    cst_table_delta_ranges(cst_device_table_view(f->table), delta, &range, 1, &count);
    CHECK_EQ(count, 1);
    cst_table_delta_ranges(cst_device_table_view(on.table), &done.delta, &wanted, 1, &count);
    CHECK_EQ(range.count, wanted.count);
    CHECK_BYTES(range.data, wanted.data, wanted.count);
    fixture_close(&on);
}

TEST(batches_of_the_next_epoch_are_done_while_a_delta_is_on_its_way) {
    fixture_rows *first = fixture_rows_make(GATE_ROWS, 1);
    fixture_rows *second = fixture_rows_make(GATE_ROWS, 10001);
    fixture f = {0};

    if (gate_close(&f)) {
        cst_table_stats stats;
        cst_completion done;

        epochs_submit(&f, first, second);
        CHECK_OK(fixture_next(&f).code);
        while (downloads_of(&f).beside == 0) CHECK_EQ(cst_queue_poll(f.queue, &done, 1), 0);
        cst_table_stats_read(cst_device_table_view(f.table), &stats);
        CHECK_EQ(stats.rows_count, 2 * GATE_ROWS);
        CHECK_CODE(cst_queue_wait(f.queue, 0), CST_AGAIN);
        CHECK_EQ(gate.set(gate.gate, CL_COMPLETE), CL_SUCCESS);
        done = fixture_next(&f);
        CHECK_OK(done.code);
        CHECK_EQ(done.delta.epoch, 1);
        delta_check(&f, first, &done.delta);
        done = fixture_next(&f);
        CHECK_OK(done.code);
        CHECK_EQ(done.rows_done, GATE_ROWS);
        CHECK_EQ(downloads_of(&f).deltas, 1);
        CHECK_EQ(downloads_of(&f).beside, 1);
        CHECK(downloads_of(&f).bytes >= GATE_ROWS * 48);
        gate_free(&f);
    }
    free(first);
    free(second);
}

TEST(a_delta_that_does_not_arrive_is_a_lost_device) {
    fixture_rows *first = fixture_rows_make(GATE_ROWS, 1);
    fixture_rows *second = fixture_rows_make(GATE_ROWS, 10001);
    fixture f = {0};

    if (gate_close(&f)) {
        epochs_submit(&f, first, second);
        CHECK_OK(fixture_next(&f).code);
        CHECK_EQ(gate.set(gate.gate, -1), CL_SUCCESS);
        CHECK_CODE(fixture_next(&f).code, CST_DEVICE_LOST);
        gate_free(&f);
    }
    free(first);
    free(second);
}
#endif

#ifdef CST_HAS_SIM
// ---- A card's clocks ----------------------------------------------------------------------------

enum { CARD_BATCHES = 6, CARD_ROWS = 256 };

// Clocks that the batches take, and a barrier in the midst of them, `in_flight` at once.
static uint64_t clocks_of(uint32_t in_flight) {
    fixture_rows *rows = fixture_rows_make(CARD_ROWS, 1);
    cst_command apply, barrier = {.ops = CST_OP_BARRIER};
    uint64_t begun, clocks = 0;
    uint32_t sent = 0, done = 0;
    fixture f;

    fixture_open(&f, "sim:");
    apply = fixture_apply(&f, rows);
    barrier.table = f.table;
    (void)fixture_run(&f, &apply); // the keys are there, and the table is loaded
    begun = fixture_run(&f, &barrier).clocks;
    while (done < CARD_BATCHES + 1) {
        while (sent < CARD_BATCHES + 1 && sent - done < in_flight) {
            fixture_submit(&f, sent == CARD_BATCHES / 2 ? &barrier : &apply);
            sent++;
        }
        const cst_completion one = fixture_next(&f);

        CHECK_OK(one.code);
        clocks = one.clocks - begun;
        done++;
    }
    fixture_close(&f);
    free(rows);
    return clocks;
}

// With nothing to overlap with, a batch is read, encoded, looked up and updated to its end, and its
// last records are on their way to memory, before the next is read.
TEST(rows_of_the_next_batch_are_read_and_encoded_beside_the_updates_before_them) {
    const uint64_t alone = clocks_of(1), together = clocks_of(CARD_BATCHES + 1);

    printf("%" PRIu64 " clocks one by one, %" PRIu64 " in flight; ", alone, together);
    CHECK(together < alone - alone / 4);
}
#endif

TEST(a_device_that_shares_the_hosts_memory_downloads_nothing) {
    fixture_rows *rows = fixture_rows_make(1, 1);
    cst_queue_downloads downloads = {.deltas = 1};
    fixture f;

    fixture_open(&f, "cpu:");
    const cst_command commands[] = {fixture_apply(&f, rows),
                                    {.ops = CST_OP_BARRIER, .table = f.table}};
    for (size_t i = 0; i < 2; i++) (void)fixture_run(&f, &commands[i]);
    cst_queue_downloads_read(f.queue, &downloads);
    CHECK_EQ(downloads.deltas + downloads.bytes + downloads.beside, 0);
    fixture_close(&f);
    free(rows);
}

TEST_MAIN
