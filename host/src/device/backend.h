// backend.h: what a back end is: a struct of functions, and the heads of its objects.
//
//   device.h            device.c, queue.c                     cpu.c, fault.c, ...
//   cst_queue_submit ──► checks the command, counts, stamps ──► ops->submit(queue, entry)
//   cst_queue_poll   ──► counts, notes a stop             ◄──── ops->poll(queue, completions)
//
// An entry carries its ticket and the queue's generation. A resume raises the generation, so a
// stopped executor knows without a message which entries came before it:
//
//   generation   0     0      0        0       1 (behind the resume)
//   entry        A     B      C        D       B'
//   executor     ok    FULL   ABORTED  ABORTED runs: 1 is not the generation it stopped in
//
// Promises   a back end sees checked commands, in order, at most `depth` of them unpolled.
// Thread     as device.h says; a back end with threads of its own keeps them to itself.
// Owner      a back end allocates its objects with these heads first.
#ifndef CST_DEVICE_BACKEND_H
#define CST_DEVICE_BACKEND_H

#include "base/clock.h"
#include "device/uri.h"
#include "table/program.h"

#include <constellation/device.h>
#include <stdatomic.h>

typedef struct csti_entry_in_flight {
    cst_command command;
    uint64_t ticket;
    uint64_t generation;
} csti_entry_in_flight;

typedef struct csti_device_ops {
    const char *scheme;
    cst_code (*open)(csti_uri *uri, cst_device **out, cst_err *err);
    void (*close)(cst_device *device);
    // After it every entry has its completion to poll, and no executor is stopped.
    cst_code (*reset)(cst_device *device, cst_err *err);
    cst_code (*buffer_alloc)(cst_device *device, size_t bytes, cst_device_buffer *out,
                             cst_err *err);
    void (*buffer_free)(cst_device *device, cst_device_buffer *buffer);
    cst_code (*buffer_sync)(cst_device *device, const cst_device_buffer *buffer, size_t offset,
                            size_t bytes, cst_sync direction, cst_err *err);
    cst_code (*queue_open)(cst_device *device, uint32_t depth, cst_queue **out, cst_err *err);
    void (*queue_close)(cst_queue *queue);
    cst_code (*table_open)(cst_queue *queue, const cst_table_options *options,
                           const cst_schema *keys, cst_device_table **out, cst_err *err);
    void (*table_close)(cst_device_table *table);
    cst_code (*table_prepare)(cst_device_table *table, cst_err *err);
    cst_table *(*table_image)(const cst_device_table *table); // NULL: the host cannot reach it
    const cst_table *(*table_view)(const cst_device_table *table);
    // CST_AGAIN, CST_DEVICE_LOST: nothing was taken.
    cst_code (*submit)(cst_queue *queue, const csti_entry_in_flight *entry, cst_err *err);
    uint32_t (*poll)(cst_queue *queue, cst_completion *out, uint32_t count_max); // never blocks
    // CST_OK: there is one to poll. CST_AGAIN: none until deadline_ns of csti_clock_real().
    cst_code (*wait)(cst_queue *queue, uint64_t deadline_ns);
    // NULL: it is no simulation.
    void (*simulation)(const cst_device *device, cst_simulation *out);
    // NULL: it counts nothing.
    void (*counters)(cst_queue *queue, cst_counter *out, size_t capacity, size_t *count_out);
} csti_device_ops;

extern const csti_device_ops csti_device_cpu;
extern const csti_device_ops csti_device_sim;
extern const csti_device_ops csti_device_xrt;
extern const csti_device_ops csti_device_opencl;
extern const csti_device_ops csti_device_fault;

struct cst_device {
    const csti_device_ops *ops;
    char uri[CSTI_URI_BYTES_MAX];
    cst_capabilities capabilities;
    cst_queue *queues; // open ones, linked by next; opening and closing hold `queues_busy`
    atomic_flag queues_busy;
};

enum { CSTI_LOST_BYTES_MAX = 192 };

// cst_queue_downloads, written by the queue's thread; relaxed: numbers that are shown.
typedef struct csti_queue_downloads {
    _Atomic uint64_t deltas, bytes, beside;
} csti_queue_downloads;

static inline void csti_queue_count(_Atomic uint64_t *at, uint64_t more) {
    atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

// What crossed between host and device for a queue, and what that took. Zeros: its back end has
// nothing to cross, or does not say.
typedef struct csti_traffic {
    uint64_t to_device_bytes, from_device_bytes;
    uint64_t away_ticks; // of the host's thread, in calls into the device's library (base/ticks.h)
    uint64_t clocks;     // of a simulated card: as a completion of now would have them
    // By the device's own clock, with opencl:?profile=1: a command waits, its rows cross, become
    // keys, go into the table, and what came of them crosses back.
    uint64_t wait_ns, write_ns, keys_ns, table_ns, read_ns;
} csti_traffic;

struct cst_queue {
    cst_device *device;
    cst_queue *next;
    uint32_t depth;
    uint64_t timeout_us;
    // The host's side: the queue's one thread.
    uint64_t submitted_count; // the last ticket
    uint64_t polled_count;
    uint64_t generation;
    csti_traffic traffic; // the back end's, on that thread
    bool given_up;        // nobody waits for what is in flight, until a reset
    bool stop_seen;       // a stop was polled and not yet resumed
    csti_queue_downloads downloads;
    _Atomic uint32_t tables_count; // a table of the processor's may be closed by any thread
    // Why the device is lost, as its back end knows it; written before a completion or a submit
    // says CST_DEVICE_LOST, by the thread that polls or submits.
    char lost_why[CSTI_LOST_BYTES_MAX];
};

struct cst_device_table {
    cst_queue *queue;
    cst_table_options options;
    bool has_keys;
    cst_schema keys;
    uint32_t sources_count; // highest source an accumulator names, plus 1
};

// The back end of a scheme; NULL: not in this build.
const csti_device_ops *csti_device_find(const char *scheme);
// Whether the command can run at all; ring 0 but for *err.
CST_CHECK_RESULT cst_code csti_command_check(const cst_queue *queue, const cst_command *command,
                                             cst_err *err);
bool csti_schema_equal(const cst_schema *a, const cst_schema *b);

// Whether a command's code stops its queue.
static inline bool csti_code_stops(cst_code code) {
    return code != CST_OK && code != CST_AGAIN;
}

// Whether the program takes the sources of the command's rows, as the processor asks: where there
// is a block of rows to be worked on, rows of it left or not.
static inline bool csti_command_fits(const cst_command *command, const cst_program *program) {
    const bool blocks = (command->rows.first_row & ~7u) < command->rows.rows_count;

    if (!(command->ops & CST_OP_APPLY) || ((command->ops & CST_OP_HASH) && !blocks)) return true;
    return csti_program_takes(program, &command->rows);
}

#endif
