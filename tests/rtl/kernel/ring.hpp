// ring.hpp: what stands between host and kernel, as docs/hardware.md has it: registers, a command,
// its completion. Written for the benches apart from the host's own text: they check each other.
#ifndef TESTS_RTL_KERNEL_RING_HPP
#define TESTS_RTL_KERNEL_RING_HPP

#include <cstdint>

enum : uint32_t {
    CTRL = 0x000,
    GIE = 0x004,
    IER = 0x008,
    ISR = 0x00c,
    ARGUMENTS = 0x010,
    ARGUMENT_WORDS = 14,
    STATUS = 0x800,
    COMPLETED = 0x804,
    OPERATIONS = 0x810, // the first of the unit's counters
    CTRL_START = 1,
    CTRL_DONE = 2,
    CTRL_IDLE = 4,
    CTRL_READY = 8,
    CTRL_CONTINUE = 16,
    CTRL_SOFT_RESET = 256,
};
enum : uint32_t { RUNNING = 1, STOPPED = 2, LOST = 4, VERSION = 1 };
enum : uint32_t { FAULT_READ = 1, FAULT_WRITE = 2, FAULT_OUTSIDE = 4, FAULT_SILENT = 8 };
enum : uint8_t {
    OP_LOAD = 1,
    OP_ROWS = 2,
    OP_KEYS = 3,
    OP_BARRIER = 4,
    OP_END = 5,
    OP_RELEASE = 6,
    OP_EXPIRE = 7,
    OP_SCAN = 8,
    OP_RESTORE = 9,
};
enum : uint8_t {
    ENCODE = 1,
    HASH = 2,
    WIDE = 4,
    FENCE = 8,
    MORE = 16,
    COMPACT = 32,
    LONG_KEYS = 64,
    CELLS = 128,
};
enum : uint8_t { KIND_UPSERT = 0, KIND_DELETE = 1, KIND_LOOKUP = 2, KIND_NONE = 255 };

constexpr uint32_t BEAT = 64, RING_BITS = 3, RING = 1u << RING_BITS;

struct Command {
    uint32_t number = 0;
    uint8_t op = 0, flags = 0;
    uint16_t reserved0 = 0;
    uint32_t count = 0, row = 0;
    uint64_t address = 0, results = 0;
    uint64_t now = 0, at = 0, epoch = 0, reserved1 = 0;
};
static_assert(sizeof(Command) == BEAT, "a command is a beat");

struct Completion {
    uint32_t number;
    uint8_t code, stopped, faults, busy;
    uint32_t row, reserved0;
    uint64_t rows_count, epoch, epoch_first, tail, from;
    uint16_t frontier, free_first, free_count, reserved1;
};
static_assert(sizeof(Completion) == BEAT, "a completion is a beat");

#endif
