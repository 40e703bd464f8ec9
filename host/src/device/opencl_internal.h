// opencl_internal.h: what the files of the back end opencl: share.
//
//   opencl.c           the device: platform, context, queues, tables
//   opencl_api.c       the library, found at run time; its errors by name
//   opencl_program.c   the kernels: from source, from the cache, from a file
//   opencl_queue.c     commands in flight, one after the other; poll and wait
//   opencl_profile.c   what of a chain's time went where, with profile=1
//   opencl_rows.c      a piece of rows: into the input, through the kernels, results back
//   opencl_pack.c      what of a command a piece's input holds
//   opencl_download.c  a sealed delta on its way to the host, beside the next epoch's commands
//   opencl_image.c     a table's image in the device's memory, and its log's places
//   opencl_upkeep.c    commands on a whole table
//
//   host's image   control block, directory      always true
//                  index, slots, log             true where the device has changed nothing since
//   device's       directory, index, slots, log  true where the host has changed nothing since
//
// Kernels: kernels/*.cl. A piece of at most piece_rows rows is a chain of events without the host
// in between; where a row fails, what the piece did is undone, and done again up to that row.
//
// Thread     a queue's.
// Ring       1: the library allocates as it likes.
#ifndef CST_DEVICE_OPENCL_INTERNAL_H
#define CST_DEVICE_OPENCL_INTERNAL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "base/pages.h"
#include "base/park.h"
#include "base/spsc_ring.h"
#include "device/cpu_execute.h"
#include "shared.h" // kernels/

enum {
    OCL_PIECE_ROWS_MAX = 65536,
    OCL_PIECE_ROWS_MIN = 1024, // behind a stop that asks for growth
    OCL_PIECE_KEYS_BYTES = 64 << 20,
    OCL_PARTS_MAX = 72, // of an input: three a key column, two a source, and a few
    OCL_ALIGN = 64,
    OCL_SCAN_BUCKETS = 8192, // of a command's piece
    OCL_PATH_BYTES = 768,
    OCL_LOOK_NS = 20000,   // between two looks at an event, where a wait has an end
    OCL_POLL_NS = 500000,  // at most, that a poll looks
    OCL_PROFILED_MAX = 64, // events of a chain: more than a piece has; an image's are passed over
};

#define OCL_CALLS(X)                                                                               \
    X(GetPlatformIDs)                                                                              \
    X(GetPlatformInfo)                                                                             \
    X(GetDeviceIDs)                                                                                \
    X(GetDeviceInfo)                                                                               \
    X(CreateContext)                                                                               \
    X(ReleaseContext)                                                                              \
    X(CreateCommandQueue)                                                                          \
    X(ReleaseCommandQueue)                                                                         \
    X(CreateProgramWithSource)                                                                     \
    X(CreateProgramWithBinary)                                                                     \
    X(BuildProgram)                                                                                \
    X(GetProgramBuildInfo)                                                                         \
    X(GetProgramInfo)                                                                              \
    X(ReleaseProgram)                                                                              \
    X(CreateKernel)                                                                                \
    X(ReleaseKernel)                                                                               \
    X(SetKernelArg)                                                                                \
    X(GetKernelWorkGroupInfo)                                                                      \
    X(CreateBuffer)                                                                                \
    X(ReleaseMemObject)                                                                            \
    X(EnqueueReadBuffer)                                                                           \
    X(EnqueueWriteBuffer)                                                                          \
    X(EnqueueCopyBuffer)                                                                           \
    X(EnqueueMapBuffer)                                                                            \
    X(EnqueueUnmapMemObject)                                                                       \
    X(EnqueueNDRangeKernel)                                                                        \
    X(WaitForEvents)                                                                               \
    X(GetEventProfilingInfo)                                                                       \
    X(RetainEvent)                                                                                 \
    X(GetEventInfo)                                                                                \
    X(ReleaseEvent)                                                                                \
    X(Flush)                                                                                       \
    X(Finish)

typedef struct ocl_calls {
#define OCL_MEMBER(NAME) __typeof__(cl##NAME) *NAME;
    OCL_CALLS(OCL_MEMBER)
#undef OCL_MEMBER
} ocl_calls;

// X(kernel, whether its work-items are one group)
#define OCL_KERNELS(X)                                                                             \
    X(keys, false)                                                                                 \
    X(part_count, false)                                                                           \
    X(prefix, true)                                                                                \
    X(part_scatter, false)                                                                         \
    X(apply, false)                                                                                \
    X(plan, true)                                                                                  \
    X(records, false)                                                                              \
    X(undo, false)                                                                                 \
    X(look_up, false)                                                                              \
    X(scan_count, false)                                                                           \
    X(scan_write, false)                                                                           \
    X(expire_count, false)                                                                         \
    X(expire_write, false)
typedef enum ocl_kernel {
#define OCL_KERNEL_VALUE(NAME, ONE_GROUP) OCL_KERNEL_##NAME,
    OCL_KERNELS(OCL_KERNEL_VALUE)
#undef OCL_KERNEL_VALUE
        OCL_KERNELS_COUNT,
} ocl_kernel;

typedef struct ocl_device {
    cst_device base;
    ocl_calls cl;
    cl_platform_id platform;
    cl_device_id id;
    cl_context context;
    cl_program program;
    bool from_cache;          // its program was
    uint64_t alloc_bytes_max; // of a buffer
    uint32_t partitions_bits;
    uint32_t tiles; // of a piece
    uint32_t piece_rows;
    bool out_of_order;
    bool is_processor;
    bool profiles; // profile=1
} ocl_device;

// A buffer that grows. A processor's large ones lie in huge pages, which its driver does not ask
// for.
typedef struct ocl_memory {
    cl_mem mem;
    uint64_t bytes;
    csti_pages pages; // what is behind it; none: the driver's own
} ocl_memory;

enum { OCL_DIRECTORY, OCL_INDEX, OCL_SLOTS, OCL_LOG, OCL_REGIONS };

typedef struct ocl_queue ocl_queue;

typedef struct ocl_table {
    csti_cpu_table cpu; // first: what the host does, it does to this
    ocl_queue *queue;
    ocl_memory regions[OCL_REGIONS];
    bool host_newer;    // the device is to be given index, slots and the open epoch's records
    bool device_newer;  // index and slots: the device has what the host has not
    uint64_t log_clean; // the host has the log up to here
} ocl_table;

// Part of an input: its bytes, and where they come from; NULL: the host writes them in place.
typedef struct ocl_part {
    const void *from;
    size_t bytes;
    uint32_t at;
} ocl_part;

// Rows [from, to) of a command; `from` is a multiple of 8, `first` the first to be worked on.
typedef struct ocl_piece {
    const cst_command *command;
    ocl_table *table; // NULL: keys and hashes alone
    uint32_t from, first, to;
    const uint8_t *const *records; // RESTORE: the rows are these
    ocl_pass pass;
    ocl_part parts[OCL_PARTS_MAX];
    uint32_t parts_count;
    uint32_t key_bytes; // encoded: of all, or 0
    uint64_t input_bytes, work_bytes, keys_bytes;
    uint32_t *places; // of log segments from pass.log_first on
    uint32_t places_count;
} ocl_piece;

// What of a command's time an event is.
typedef enum ocl_part_of_time { OCL_WRITES, OCL_MAKES_KEYS, OCL_TABLE, OCL_READS } ocl_part_of_time;

typedef struct ocl_profiled {
    cl_event event;
    ocl_part_of_time part;
} ocl_profiled;

typedef struct ocl_entry {
    csti_entry_in_flight in_flight;
} ocl_entry;

// The delta of a barrier, of which its caller is told when it is here.
typedef struct ocl_download {
    uint64_t ticket;
    cl_event last; // of its reads; NULL: they failed
} ocl_download;

struct ocl_queue {
    cst_queue base;
    csti_cpu_executor executor;
    csti_spsc_ring completions;
    csti_parker parker; // sleeps between two looks at an event
    ocl_device *device;
    cl_command_queue commands;
    cl_command_queue transfers; // of deltas; in order
    ocl_download *downloads;    // of barriers that wait to be polled, `depth` of them, a ring
    uint64_t downloads_first, downloads_end;
    cl_kernel kernels[OCL_KERNELS_COUNT];
    size_t locals[OCL_KERNELS_COUNT];
    ocl_memory input, work, nothing; // nothing: where a kernel takes a table's region and has none
    bool lost;
    cl_event last;          // of the chain
    ocl_profiled *profiled; // its events; NULL: nobody wants to know
    uint32_t profiled_count;
    ocl_entry *entries; // `depth` of them, a ring
    uint64_t entries_first, entries_end;
    bool running;        // the first entry's piece
    cst_completion done; // the first entry's, so far
    ocl_piece piece;
    ocl_result result;
    uint32_t rows_max; // of the next piece
    uint32_t *places;  // a piece's
    uint32_t places_capacity;
};

// ---- opencl_api.c -------------------------------------------------------------------------------
// CST_UNSUPPORTED: the library is not there, or lacks a call.
CST_CHECK_RESULT cst_code ocl_api_load(const char *library, ocl_calls *out, cst_err *err);
const char *ocl_error_name(cl_int error);
// "what: CL_NAME (number)"; memory that is not there is CST_NO_MEMORY, all else `code`.
cst_code ocl_fail(cst_err *err, cst_code code, const char *what, cl_int error);

// ---- opencl_program.c ---------------------------------------------------------------------------
extern const char csti_kernels_source[];
// The kernels for the device's context. `binary`: of this file alone; NULL: from the cache in
// `cache` (NULL: the user's; "none": no cache), else from source.
CST_CHECK_RESULT cst_code ocl_program_make(ocl_device *device, const char *binary,
                                           const char *cache, cst_err *err);

// ---- opencl_queue.c -----------------------------------------------------------------------------
// Whether the call went well; else the queue's device is lost, and why is kept.
bool ocl_went(ocl_queue *queue, const char *call, cl_int error);
// At least so many bytes; what is there stays only with `keep`.
CST_CHECK_RESULT cst_code ocl_memory_reach(ocl_queue *queue, ocl_memory *memory, uint64_t bytes,
                                           bool keep);
void ocl_memory_free(const ocl_device *device, ocl_memory *memory);
// Whether the event is done, or the device lost.
bool ocl_event_done(ocl_queue *queue, cl_event event);
// Behind all that is in the chain. A kernel's `items` are rounded up to whole groups.
void ocl_launch(ocl_queue *queue, const ocl_table *table, ocl_kernel kernel, uint64_t items);
void ocl_write(ocl_queue *queue, const ocl_memory *memory, uint64_t at, const void *from,
               size_t bytes);
void ocl_read(ocl_queue *queue, const ocl_memory *memory, uint64_t at, void *to, size_t bytes);
// The event that the next one waits for: the chain owns it.
void ocl_chain_put(ocl_queue *queue, cl_event event, ocl_part_of_time part);
// Until all of the chain is done.
void ocl_drain(ocl_queue *queue);
// The same. CST_DEVICE_LOST.
CST_CHECK_RESULT cst_code ocl_finish(ocl_queue *queue);

CST_CHECK_RESULT cst_code ocl_entries_open(ocl_queue *queue, uint32_t depth, cst_err *err);
void ocl_entries_put(ocl_queue *queue, const csti_entry_in_flight *entry);
// Takes the first entry as far as it goes without waiting for the device.
void ocl_entries_advance(ocl_queue *queue);

// ---- opencl_download.c --------------------------------------------------------------------------
// One more piece of the delta of the barrier `ticket`, which is the newest: behind the chain, and
// nothing behind it waits.
void ocl_download_read(ocl_queue *queue, uint64_t ticket, const ocl_memory *memory, uint64_t at,
                       void *to, size_t bytes);
void ocl_download_send(ocl_queue *queue);
// Whether a delta is on its way.
bool ocl_download_waits(const ocl_queue *queue);
// Whether there is a completion to hand over: a barrier's, when its delta is here.
bool ocl_front_ready(ocl_queue *queue);
// Until all deltas are here.
void ocl_downloads_drain(ocl_queue *queue);
// Until nothing reads or writes what tables have, of a lost device too.
void ocl_settle(ocl_queue *queue);
// They never will: their barriers say so.
void ocl_downloads_drop(ocl_queue *queue);

// ---- opencl_profile.c ---------------------------------------------------------------------------
CST_CHECK_RESULT cst_code ocl_profile_open(ocl_queue *queue, cst_err *err);
void ocl_profile_close(ocl_queue *queue);
void ocl_profile_put(ocl_queue *queue, cl_event event, ocl_part_of_time part);
// The chain is done: where its time went, into queue->base.traffic.
void ocl_profile_take(ocl_queue *queue);

// ---- opencl_pack.c ------------------------------------------------------------------------------
// The piece that begins at `from` of the command, or at row from of its records.
CST_CHECK_RESULT cst_code ocl_piece_make(ocl_queue *queue, const cst_command *command,
                                         uint32_t from, ocl_piece *out);
// No rows, but buckets [bucket, bucket + count) of all, of which the first `rows_max` rows are
// told, and at most `appends` records.
CST_CHECK_RESULT cst_code ocl_walk_make(ocl_queue *queue, const cst_command *command,
                                        uint64_t bucket, uint32_t count, uint32_t rows_max,
                                        uint32_t appends, ocl_piece *out);
CST_CHECK_RESULT cst_code ocl_piece_send(ocl_queue *queue, const ocl_piece *piece);

// ---- opencl_rows.c ------------------------------------------------------------------------------
// Whether the rows can be worked on at all. CST_USAGE.
CST_CHECK_RESULT cst_code ocl_rows_check(const cst_command *command);
// Enqueues the piece of the first entry that begins at done.rows_done.
CST_CHECK_RESULT cst_code ocl_rows_begin(ocl_queue *queue, const cst_command *command);
// The piece is done on the device: what it gave, and *code_out what became of the command so far.
void ocl_rows_end(ocl_queue *queue, const cst_command *command, cst_code *code_out);
// The records that queue->piece names, through the table: `rows_done` are, and why no more.
cst_code ocl_records_apply(ocl_queue *queue, const cst_command *command, uint32_t *rows_done);

// ---- opencl_image.c -----------------------------------------------------------------------------
CST_CHECK_RESULT cst_code ocl_image_check(const ocl_device *device, const cst_table *image,
                                          cst_err *err);
// The device has the image.
CST_CHECK_RESULT cst_code ocl_image_load(ocl_table *table);
// The host has it, and its log.
CST_CHECK_RESULT cst_code ocl_image_fetch(ocl_table *table);
CST_CHECK_RESULT cst_code ocl_image_fetch_log(ocl_table *table);
// Seals its epoch: the barrier `ticket`, which is complete when the log is here.
cst_delta ocl_image_seal(ocl_table *table, uint64_t ticket);
CST_CHECK_RESULT cst_code ocl_image_grow(ocl_table *table, uint64_t hash);
// How many of `wanted` records the log takes, why not more, and where their segments lie.
CST_CHECK_RESULT cst_code ocl_log_plan(ocl_table *table, uint32_t wanted, ocl_pass *pass,
                                       uint32_t *places_count);
// They were appended.
void ocl_log_commit(ocl_table *table, uint32_t count);

// ---- opencl_upkeep.c ----------------------------------------------------------------------------
CST_CHECK_RESULT cst_code ocl_expire(ocl_queue *queue, const cst_command *command,
                                     cst_completion *out);
CST_CHECK_RESULT cst_code ocl_scan(ocl_queue *queue, const cst_command *command,
                                   cst_completion *out);
CST_CHECK_RESULT cst_code ocl_restore(ocl_queue *queue, const cst_command *command,
                                      cst_completion *out);

#endif
