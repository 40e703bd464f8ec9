// break_even.h: from how many rows on a device encodes and hashes sooner than the processor.
//
//   ns │                 processor: little a command, more a row
//      │        ╱
//      │ ─ ─ ─╱─ ─ ─ ─ ─ device: much a command, less a row
//      │   ╱  :
//      └──────┴────────► rows
//          rows_min
//
// Both do batches of few and of many rows, the best of several tries; a line goes through the two.
// Of a simulated device the time is its clocks' and its transfers', not what simulating them takes.
//
// Thread     the caller's; nothing else is in flight on a simulated device.
// Ring       2: some milliseconds, of a simulated device some tenths of a second.
#ifndef CST_DEVICE_BREAK_EVEN_H
#define CST_DEVICE_BREAK_EVEN_H

#include "base/clock.h"

#include <constellation/device.h>

#define CSTI_BREAK_EVEN_NEVER UINT32_MAX

enum {
    CSTI_BREAK_EVEN_FEW = 64,
    CSTI_BREAK_EVEN_MANY = 16384,
    CSTI_BREAK_EVEN_MANY_SLOW = 1024, // of what is simulated or emulated
};

// What a batch takes: command_ns + rows * row_ns.
typedef struct csti_encode_cost {
    double command_ns, row_ns;
} csti_encode_cost;

typedef struct csti_break_even {
    csti_encode_cost device, processor;
    uint32_t rows_min;    // batches of so many rows and more are the device's; NEVER: none are
    bool device_modelled; // its times are of a simulation's clocks
} csti_break_even;

// What a batch takes, by what FEW rows took, and `many`.
csti_encode_cost csti_encode_cost_of(uint64_t few_ns, uint64_t many_ns, uint32_t many);
uint32_t csti_break_even_rows(const csti_encode_cost *device, const csti_encode_cost *processor);
// ENCODE and HASH of keys of this schema, strings of 8 bytes. Opens queues of its own. What the
// commands fail with: CST_DEVICE_LOST, CST_NO_MEMORY, ...
CST_CHECK_RESULT cst_code csti_break_even_measure(cst_device *device, const cst_schema *keys,
                                                  const csti_clock *clock, csti_break_even *out,
                                                  cst_err *err);

#endif
