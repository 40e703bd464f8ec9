// device.h: where batches are encoded and hashed and tables live: a processor, a card, a
// simulation.
//
//   cst_device ──── buffers (host pointer, device address, NUMA node)
//     └─ cst_queue ──── one thread submits and polls; several commands in flight
//          └─ cst_device_table ──── a table image on the device; its commands run in queue order
//
//   submit ──► [ c7 | c6 | c5 ] ──► executes in order ──► [ c4 | c3 ] ──► poll, wait
//              CST_AGAIN: full                             completions, in order
//
// A queue stops at a row that cannot be applied (at any code but CST_OK and CST_AGAIN). That
// command's completion says why and which row; every later one, BARRIER included, completes as
// CST_ABORTED: not executed. The host makes room (commands marked `fixup` run on a stopped queue,
// and never stop one), calls cst_queue_resume and puts the rest first:
//
//   APPLY 1   APPLY 2     APPLY 3   BARRIER        GROW*   resume   APPLY 2 from row 17   APPLY 3
//   .. ok        FULL at 17  ABORTED   ABORTED        ok               ok                    ok
//             ^ the queue stops                    ^ fixup
//
// cst_driver (driver.h) does all that for you.
//
// Promises   equal command streams give equal results, images and deltas on every back end. After a
//            stop nothing runs but fixups, until the resume. A submitted command completes exactly
//            once, or its device is lost and says so.
// Thread     a queue and its tables: one thread at a time. A device: any thread may open queues and
//            buffers; close and reset when nobody else uses it.
// Ring       submit and poll are ring 0; wait blocks; open, close, buffers, reset are ring 1.
// Owner      what a command points to stays untouched until its completion was polled.
// Errors     each function names its own.
#ifndef CONSTELLATION_DEVICE_H
#define CONSTELLATION_DEVICE_H

#include <constellation/keys.h>
#include <constellation/table.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CST_DEVICE_NAME_BYTES = 96,
    CST_QUEUE_DEPTH_MAX = 1024,
    CST_QUEUE_DEPTH_DEFAULT = 16,
};

typedef struct cst_device cst_device;
typedef struct cst_queue cst_queue;
typedef struct cst_device_table cst_device_table;

// What a command does. ENCODE, HASH and one of APPLY, LOOKUP may stand together: one pass, keys and
// hashes stay in the device's nearest memory. Allowed: ENCODE, HASH, ENCODE|HASH, and APPLY or
// LOOKUP alone, with HASH, with ENCODE|HASH. The others stand alone.
typedef enum cst_op {
    CST_OP_ENCODE = 1 << 0,
    CST_OP_HASH = 1 << 1,
    CST_OP_APPLY = 1 << 2,
    CST_OP_LOOKUP = 1 << 3,
    CST_OP_BARRIER = 1 << 4,
    CST_OP_SCAN = 1 << 5,
    CST_OP_RESTORE = 1 << 6,
    CST_OP_GROW = 1 << 7,
    CST_OP_EXPIRE = 1 << 8,
    CST_OP_RELEASE = 1 << 9,
} cst_op;
enum { CST_OPS_COUNT = 10 };

// ---- Devices ------------------------------------------------------------------------------------

typedef struct cst_capabilities {
    char name[CST_DEVICE_NAME_BYTES];
    uint32_t ops;             // cst_op bits
    uint32_t key_bytes_max;   // longest key of a table here
    uint32_t entry_bytes_max; // 16 + key + value of an inline table, rounded up to 32
    bool wide_tables;
    bool shares_memory; // buffers need no sync, device address = host address
    uint32_t queue_depth_max;
    uint32_t batch_rows_max;
    uint64_t memory_bytes; // where images live
    int32_t numa_node;     // nearest; -1: no one node
} cst_capabilities;

// Opens by URI: "cpu:" (best), "cpu:scalar", "cpu:avx2", "cpu:avx512", each with "?worker=1" for a
// thread of its own a queue; "sim:", the simulated card; "opencl:", what a driver offers;
// "fault:URI?..." round any (docs/formats.md, Device names).
// CST_DEVICE_URI: malformed, or a scheme this build does not have; CST_UNSUPPORTED: this machine
// cannot, and why; CST_DEVICE_LOST: it is not there, or does not answer; CST_NO_MEMORY.
CST_API CST_CHECK_RESULT cst_code cst_device_open(const char *uri, cst_device **out, cst_err *err);
// Its queues are closed first. NULL is allowed.
CST_API void cst_device_close(cst_device *device);
CST_API void cst_device_capabilities(const cst_device *device, cst_capabilities *out);
CST_API const char *cst_device_uri(const cst_device *device);
// A simulated device counts the clocks of what it models. Any thread.
typedef struct cst_simulation {
    bool simulated;
    uint32_t clock_khz;   // modelled
    uint64_t clocks;      // of all its queues' cards, since it was opened
    uint64_t operations;  // done by them, as they count: rows, look-ups, barriers, ends
    uint64_t transfer_ns; // what rows, results and starts took over PCIe, as modelled, one after
                          // the other: beside the clocks, a card does both at once
} cst_simulation;
CST_API void cst_device_simulation(const cst_device *device, cst_simulation *out);
// What the circuit of a queue's own card counts, and where its clocks went; *count_out of them, at
// most `capacity` written, none where there is no such card. Nothing is in flight; they begin anew
// with a reset. The queue's thread.
typedef struct cst_counter {
    const char *name;
    uint64_t value;
} cst_counter;
CST_API void cst_queue_counters(cst_queue *queue, cst_counter *out, size_t capacity,
                                size_t *count_out);
// Whether a table of this shape can live here, decided once for the whole table.
// CST_UNSUPPORTED, CST_KEY_TOO_LONG, CST_VALUE_TOO_LONG name the limit.
CST_API CST_CHECK_RESULT cst_code cst_device_check_table(const cst_device *device,
                                                         const cst_table_options *options,
                                                         cst_err *err);
// Known answers: keys, hashes, and a small table's deltas, bit by bit. CST_DEVICE_SELFTEST names
// the first wrong one. Opens a queue of its own.
CST_API CST_CHECK_RESULT cst_code cst_device_selftest(cst_device *device, cst_err *err);
// After it every ticket has completed or failed, and no queue is stopped. What tables hold after a
// reset is the back end's to say: cpu keeps them; elsewhere they are rebuilt.
CST_API CST_CHECK_RESULT cst_code cst_device_reset(cst_device *device, cst_err *err);

typedef struct cst_device_info {
    char uri[32];
    bool available;
    char text[160]; // what it is, or why it is not available
} cst_device_info;
// The devices this build knows, available or not; *count_out of them, at most `capacity` written.
CST_API void cst_device_list(cst_device_info *out, size_t capacity, size_t *count_out);

// ---- Buffers ------------------------------------------------------------------------------------

typedef struct cst_device_buffer {
    void *host;
    uint64_t device_address;
    size_t bytes;
    int32_t numa_node; // where the pages were asked to lie; -1: anywhere
    void *handle;      // the back end's
} cst_device_buffer;

typedef enum cst_sync { CST_SYNC_TO_DEVICE = 1, CST_SYNC_FROM_DEVICE = 2 } cst_sync;

// Zeroed, page-aligned. CST_NO_MEMORY.
CST_API CST_CHECK_RESULT cst_code cst_device_buffer_alloc(cst_device *device, size_t bytes,
                                                          cst_device_buffer *out, cst_err *err);
CST_API void cst_device_buffer_free(cst_device *device, cst_device_buffer *buffer);
// Makes [offset, offset + bytes) equal on the other side. CST_USAGE: outside; CST_DEVICE_LOST.
CST_API CST_CHECK_RESULT cst_code cst_device_buffer_sync(cst_device *device,
                                                         const cst_device_buffer *buffer,
                                                         size_t offset, size_t bytes,
                                                         cst_sync direction, cst_err *err);

// ---- Queues -------------------------------------------------------------------------------------

typedef struct cst_queue_options {
    uint32_t depth;      // commands in flight, 1 to CST_QUEUE_DEPTH_MAX; 0: CST_QUEUE_DEPTH_DEFAULT
    uint64_t timeout_us; // of a command that driver.h waits for; 0: CST_QUEUE_TIMEOUT_US
} cst_queue_options;
#define CST_QUEUE_TIMEOUT_US UINT64_C(60000000)

// `options` may be NULL. CST_USAGE, CST_NO_MEMORY, CST_IO (a thread could not be started).
CST_API CST_CHECK_RESULT cst_code cst_queue_open(cst_device *device,
                                                 const cst_queue_options *options, cst_queue **out,
                                                 cst_err *err);
// Waits for what is in flight. Its tables are closed first. NULL is allowed.
CST_API void cst_queue_close(cst_queue *queue);

typedef struct cst_command {
    uint32_t ops;
    bool fixup;              // runs on a stopped queue too; GROW, RELEASE, EXPIRE only
    uint64_t tag;            // the caller's; comes back in the completion
    cst_device_table *table; // all but ENCODE and HASH alone

    // ENCODE reads the key columns from `batch` (checked by cst_batch_check); its schema is the
    // table's, if there is a table. Otherwise keys come from `rows`, and without HASH hashes too.
    const cst_batch *batch;
    // APPLY: ops, values, sources, now_us. HASH, APPLY, LOOKUP: keys; first_row and rows_count
    // always, and they bound ENCODE too: rows [first_row, rows_count) are worked on.
    cst_rows rows;
    cst_hash_key hash_key; // HASH without a table; else the table's own is taken
    // Optional columns, filled for rows from first_row (rounded down to a multiple of 8) on.
    // ENCODE alone needs keys_out, HASH alone hashes_out. Keys of variable length go on behind
    // keys_out->offsets[first_row], as the command that stopped there left it.
    cst_keys *keys_out;
    uint64_t *hashes_out;

    uint8_t *values_out; // LOOKUP: row r's value at values_out + r * values_stride
    uint32_t values_stride;
    uint8_t *found_out; // LOOKUP: 1 or 0 a row

    uint64_t grow_hash;     // GROW: the segment of this hash
    uint64_t expire_bucket; // EXPIRE: from here on, at rows.now_us
    uint32_t expire_buckets_count;
    cst_delta release;      // RELEASE: this delta and all before it
    const uint8_t *restore; // RESTORE: records
    size_t restore_bytes;
    cst_scan *scan;    // SCAN: where it stands; zeroed to begin
    uint8_t *scan_out; // SCAN: records, in the form RESTORE takes, while whole ones fit
    size_t scan_bytes;
} cst_command;

typedef struct cst_completion {
    uint64_t ticket;
    uint64_t tag;
    cst_code code;
    bool stopped;       // the queue stopped here
    uint32_t rows_done; // the number of the first row not worked on; all done: rows_count.
                        // EXPIRE: buckets done
    uint64_t hash;      // CST_TABLE_FULL: of the row that found no place; what GROW wants
    uint64_t count;     // LOOKUP found · SCAN rows (0: the end) · EXPIRE expired
    uint64_t position;  // EXPIRE the next bucket · SCAN bytes written · RESTORE bytes used
    cst_delta delta;    // BARRIER
    uint64_t clocks;    // of the queue's simulated card until then; 0: it has none
} cst_completion;

// CST_AGAIN: `depth` commands are in flight, poll first. CST_USAGE, CST_UNSUPPORTED,
// CST_SCHEMA_MISMATCH: this command can never run, nothing was queued. CST_DEVICE_LOST.
CST_API CST_CHECK_RESULT cst_code cst_queue_submit(cst_queue *queue, const cst_command *command,
                                                   uint64_t *ticket_out, cst_err *err);
// Completions that are there, in order of submission; never blocks.
CST_API uint32_t cst_queue_poll(cst_queue *queue, cst_completion *out, uint32_t count_max);
// Until there is one to poll: CST_OK (a faulty device may still keep it back). CST_AGAIN: not
// within timeout_us. CST_NOT_FOUND: nothing is in flight.
CST_API CST_CHECK_RESULT cst_code cst_queue_wait(cst_queue *queue, uint64_t timeout_us);
// What is submitted from now on runs again. CST_USAGE: no stop has been polled; what is in flight
// and not polled may still hold one.
CST_API CST_CHECK_RESULT cst_code cst_queue_resume(cst_queue *queue, cst_err *err);
// CST_DEVICE_LOST, and which device that is and why: after a completion or a submit that said so.
CST_API cst_code cst_queue_lost(const cst_queue *queue, cst_err *err);
// The caller has waited long enough. CST_DEVICE_LOST, with `why`: driver.h waits for nothing of the
// queue any more; what is in flight stays the device's until a reset.
CST_API cst_code cst_queue_give_up(cst_queue *queue, const char *why, cst_err *err);
// Completions that were polled since it was opened.
CST_API uint64_t cst_queue_polled(const cst_queue *queue);
// Sealed deltas that came from memory of the device's own. Any thread.
typedef struct cst_queue_downloads {
    uint64_t deltas, bytes;
    uint64_t beside; // commands of the next epochs that were done while one was on its way
} cst_queue_downloads;
CST_API void cst_queue_downloads_read(const cst_queue *queue, cst_queue_downloads *out);
CST_API uint32_t cst_queue_in_flight(const cst_queue *queue);
CST_API uint32_t cst_queue_depth(const cst_queue *queue);
CST_API cst_device *cst_queue_device(const cst_queue *queue);

// ---- Tables on a device -------------------------------------------------------------------------

// `keys` is the schema that ENCODE on this table takes; NULL: keys come encoded. What the shape
// needs is checked against the capabilities here, once.
CST_API CST_CHECK_RESULT cst_code cst_device_table_open(cst_queue *queue,
                                                        const cst_table_options *options,
                                                        const cst_schema *keys,
                                                        cst_device_table **out, cst_err *err);
// Nothing of it may be in flight. NULL is allowed. Of "cpu:", any thread.
CST_API void cst_device_table_close(cst_device_table *table);
CST_API const cst_table_options *cst_device_table_options(const cst_device_table *table);
CST_API cst_queue *cst_device_table_queue(const cst_device_table *table);
// Makes memory ready, when no helper thread does. Any one thread.
CST_API CST_CHECK_RESULT cst_code cst_device_table_prepare(cst_device_table *table, cst_err *err);
// The image, where the host can reach it (else NULL): to be touched only while nothing is in
// flight, but for cst_table_delta_ranges. After a command it is asked for again: a device with
// memory of its own gives what is newer then, and takes what the host changed.
CST_API cst_table *cst_device_table_image(const cst_device_table *table);
// The same for cst_table_stats_read, cst_table_check_placement and cst_table_delta_ranges alone:
// rows may be on their way to it. Costs the device nothing, where handing out the image may.
CST_API const cst_table *cst_device_table_view(const cst_device_table *table);

#ifdef __cplusplus
}
#endif
#endif
