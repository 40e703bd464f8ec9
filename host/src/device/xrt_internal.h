// xrt_internal.h: what the files of the back end xrt: share.
//
//   xrt.c          the device: its name, its units, queues
//   xrt_library.c  XRT's functions, loaded at run time; calls that would never return
//   xrt_xclbin.c   whether a container holds the kernel that this host knows
//   xrt_runs.c     runs of a unit, where each command is one
//   xrt_link.c     one unit: its registers and buffers, as card_internal.h wants them
//
//   cst_device ─► xrt_card (one a process and card) ─► unit 0 ◄── a queue
//                                                  └─► unit 1 ◄── another
//
// What the units do, and what they are told, is card_*.c's, as for the simulated card: the same
// kernel. Here is how it is reached, and that the card's memory is not the host's.
//
// Thread     a queue's; of a card's units and uses any.
// Ring       1.
#ifndef CST_DEVICE_XRT_INTERNAL_H
#define CST_DEVICE_XRT_INTERNAL_H

#include "device/card_internal.h"
#include "device/xrt_guard.h"

#include <pthread.h>

enum {
    XRT_UNITS_MAX = 8,
    XRT_NAME_BYTES = 64, // of a unit in a container
    XRT_ID_BYTES = 64,   // of a card: its index, or its PCIe address
    XRT_PATH_BYTES = 512,
    XRT_UUID_BYTES = 16,
};

// What a container says of the card that it makes.
typedef struct xrt_xclbin {
    uint32_t units_count;
    char units[XRT_UNITS_MAX][XRT_NAME_BYTES]; // as XRT opens them: kernel:{instance}
    // Memory of each: the bank of channel 0, those of the others follow; of batches and results.
    uint32_t image_bank[XRT_UNITS_MAX], rows_bank[XRT_UNITS_MAX], results_bank[XRT_UNITS_MAX];
    uint64_t bank_bytes;
} xrt_xclbin;

typedef struct xrt_api xrt_api;

// How a kernel is told of commands: by one run that reads a ring, or by a run each. Where it is not
// said, a ring if the host may write the kernel's registers.
typedef enum xrt_start { XRT_START_RING, XRT_START_RUN, XRT_START_BEST } xrt_start;

// One of a unit's CARD_RUNS runs.
typedef struct xrt_run {
    void *handle, *ring, *completions; // the last two are parts of the unit's buffer
    bool begun;                        // and its end was not seen
} xrt_run;
typedef enum xrt_run_end { XRT_RUN_GOES_ON, XRT_RUN_ENDED, XRT_RUN_FAILED } xrt_run_end;

typedef struct xrt_card {
    struct xrt_card *next;
    uint32_t uses;
    char id[XRT_ID_BYTES];
    char path[XRT_PATH_BYTES]; // of its container
    xrt_xclbin xclbin;
    const xrt_api *api;
    void *device;
    unsigned char uuid[XRT_UUID_BYTES];
    pid_t process;          // that stands for it in emulation
    int silence_ms;         // so long a call may take, in emulation
    pthread_mutex_t calls;  // in emulation one at a time: see xrt_guard.h
    pthread_mutex_t images; // a unit's sixteen buffers come and go together: see xrt_link.c
    _Atomic bool gone;      // no call is made any more
    bool registers_shown;   // the host may write those of its kernels, and reads what it wrote
    uint32_t units_taken;   // a bit each, under the cards' lock
} xrt_card;

typedef struct xrt_device {
    cst_device base;
    xrt_card *card;
    uint64_t timeout_ns; // of a command
    xrt_start start;
} xrt_device;

// ---- xrt.c --------------------------------------------------------------------------------------
// A unit that no queue has. CST_LIMIT: each has one.
CST_CHECK_RESULT cst_code xrt_unit_take(xrt_card *card, uint32_t *number_out, cst_err *err);
void xrt_unit_give(xrt_card *card, uint32_t number);

// ---- xrt_library.c ------------------------------------------------------------------------------
// CST_UNSUPPORTED: why there is none.
CST_CHECK_RESULT cst_code xrt_api_load(const xrt_api **out, cst_err *err);
bool xrt_api_emulates(const xrt_api *api);

// Each is false, or NULL, if XRT says so or the card is gone.
bool xrt_device_open(xrt_card *card);
bool xrt_device_load(xrt_card *card);
void xrt_device_close(xrt_card *card);
// No call is made any more: what XRT still has of it is left as it is.
void xrt_card_leave(xrt_card *card);
void *xrt_kernel_open(xrt_card *card, const char *name);
void xrt_kernel_close(xrt_card *card, void *kernel);
bool xrt_register_write(xrt_card *card, void *kernel, uint32_t offset, uint32_t value);
bool xrt_register_read(xrt_card *card, void *kernel, uint32_t offset, uint32_t *out);
void *xrt_buffer_open(xrt_card *card, uint64_t bytes, uint32_t bank);
void *xrt_buffer_map(xrt_card *card, void *buffer);
uint64_t xrt_buffer_address(xrt_card *card, void *buffer);
bool xrt_buffer_sync(xrt_card *card, void *buffer, card_direction direction, uint64_t bytes,
                     uint64_t offset);
void xrt_buffer_close(xrt_card *card, void *buffer);
// A part of a buffer, which stays there; it is closed as a buffer is.
void *xrt_buffer_part(xrt_card *card, void *buffer, uint64_t bytes, uint64_t offset);
void *xrt_run_open(xrt_card *card, void *kernel);
void xrt_run_close(xrt_card *card, void *run);
bool xrt_run_buffer(xrt_card *card, void *run, uint32_t argument, void *buffer);
bool xrt_run_number(xrt_card *card, void *run, uint32_t argument, uint64_t value, uint32_t bytes);
bool xrt_run_start(xrt_card *card, void *run);
uint32_t xrt_run_state(xrt_card *card, void *run); // 0: the card is gone

// ---- xrt_xclbin.c -------------------------------------------------------------------------------
// CST_IO: it cannot be read. CST_DEVICE_IMAGE: it is damaged, or not of the kernel that this host
// knows.
CST_CHECK_RESULT cst_code xrt_xclbin_read(const char *path, xrt_xclbin *out, cst_err *err);

// ---- xrt_runs.c ---------------------------------------------------------------------------------
// CARD_RUNS of them. False: XRT gives none; what there is has to be closed all the same.
CST_CHECK_RESULT bool xrt_runs_open(xrt_card *card, void *kernel, void *rows, xrt_run *runs);
void xrt_runs_close(xrt_card *card, xrt_run *runs);
// Arguments of all runs but those that are a place's own, by their numbers.
CST_CHECK_RESULT bool xrt_runs_tell(xrt_card *card, xrt_run *runs, const uint64_t *values);
CST_CHECK_RESULT bool xrt_runs_begin(xrt_card *card, xrt_run *run);
// How far it is: ended, if it was not begun.
xrt_run_end xrt_runs_look(xrt_card *card, xrt_run *run);
// Whether all ended, by then.
CST_CHECK_RESULT bool xrt_runs_settle(xrt_card *card, xrt_run *runs, uint64_t deadline_ns);

// ---- xrt_link.c ---------------------------------------------------------------------------------
extern const card_link xrt_link;
// CST_DEVICE_IMAGE: its version is not this host's.
CST_CHECK_RESULT cst_code xrt_unit_check(xrt_card *card, uint32_t number, cst_err *err);
uint64_t xrt_unit_doorbells(const void *unit);

#endif
