// sim_card.h: what the back end sim: asks of libconstellation-sim.so: a card, simulated.
//
//   host (sim_link.c)                     card (sim/card/card.cc)
//   registers ──write, read──► s_axi_control ┐
//   batch memory ◄────────────── m_axi_batch ┤ cst_kernel_state, Verilated
//   image ◄──locate── channels ◄─ m_axi_c.. ─┘ sim/memory: HBM2 or DDR4, clock by clock
//
// The library is made where Verilator is (hw/), and loaded when a device is opened: the host's own
// needs no C++ and no Verilator.
//
// Promises   equal calls give equal clocks and bytes.
// Thread     one a card.
// Ring       1: a clock of the card takes microseconds.
// Errors     of open: CST_USAGE, CST_NO_MEMORY; CST_UNSUPPORTED: waves, and its model draws none;
//            CST_IO: no file for them.
#ifndef CST_DEVICE_SIM_CARD_H
#define CST_DEVICE_SIM_CARD_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CSTI_SIM_CARD_VERSION = 7,
    CSTI_SIM_CHANNELS = 16,     // that images lie over
    CSTI_SIM_BATCH_CHANNEL = 16 // of 32: commands, rows, results
};
#define CSTI_SIM_CHANNEL_BYTES (UINT64_C(512) << 20) // of a U55C

typedef struct csti_sim_card csti_sim_card;

// What memory does wrong, once: sim/memory/memory.h, Faults.
typedef enum csti_sim_error {
    CSTI_SIM_ERROR_NONE,
    CSTI_SIM_ERROR_SLVERR,
    CSTI_SIM_ERROR_DECERR,
    CSTI_SIM_ERROR_CORRUPT,
    CSTI_SIM_ERROR_SILENT,
} csti_sim_error;

// What the circuit does wrong, for tests of tests: hw/rtl/common/cst_mistake_pkg.sv.
#define CSTI_SIM_MISTAKE_MAP(X)                                                                    \
    X(TAG, 1, "tag")                                                                               \
    X(HAZARD, 2, "hazard")                                                                         \
    X(PLACE, 3, "place")                                                                           \
    X(EPOCH, 4, "epoch")                                                                           \
    X(STROBE, 5, "strobe")                                                                         \
    X(NULL, 6, "null")                                                                             \
    X(ORDER, 7, "order")                                                                           \
    X(RELEASE, 8, "release")                                                                       \
    X(TIME, 9, "time")                                                                             \
    X(SCAN, 10, "scan")                                                                            \
    X(RESTORE, 11, "restore")                                                                      \
    X(BURST, 12, "burst")                                                                          \
    X(CLAIM, 13, "claim")

typedef enum csti_sim_mistake {
    CSTI_SIM_MISTAKE_NONE,
#define CSTI_SIM_MISTAKE(NAME, NUMBER, WORD) CSTI_SIM_MISTAKE_##NAME = NUMBER,
    CSTI_SIM_MISTAKE_MAP(CSTI_SIM_MISTAKE)
#undef CSTI_SIM_MISTAKE
} csti_sim_mistake;

// What crosses PCIe: DMA each way, a word of the kernel's to the host, the start of a run.
typedef enum csti_sim_way {
    CSTI_SIM_TO_CARD,
    CSTI_SIM_FROM_CARD,
    CSTI_SIM_NOTICE,
    CSTI_SIM_LAUNCH,
} csti_sim_way;

typedef struct csti_sim_card_config {
    bool ddr4; // else HBM2
    // Of memory that the image's 16 lie in, a power of two up to 16: neighbours share one.
    uint32_t channels;
    uint32_t clock_khz;
    uint64_t seed;
    // Where 64 bytes of an image's channels lie; NULL: nowhere (the card answers DECERR). Channels
    // behind the image's are the card's own memory, but with locates_all: then it has none.
    bool locates_all;
    uint64_t channel_bytes; // of one of those; 0: CSTI_SIM_CHANNEL_BYTES
    uint8_t *(*locate)(void *context, uint32_t channel, uint64_t address);
    void *locate_context;
    csti_sim_error error;
    uint64_t error_after; // so many beats, read or written, are well
    int32_t error_port;   // -1: any; CSTI_SIM_CHANNELS: the batches'
    csti_sim_mistake mistake;
    // A file for the waves (FST), NULL: none; of cards that live at once the second's is FILE.2.
    // What is drawn begins behind clock waves_from.
    const char *waves;
    uint64_t waves_from;
} csti_sim_card_config;

typedef struct csti_sim_card_ops {
    uint32_t version;
    bool draws_waves;
    cst_code (*open)(const csti_sim_card_config *config, csti_sim_card **out, cst_err *err);
    void (*close)(csti_sim_card *card);
    // A register of the kernel, over its control port.
    void (*write)(csti_sim_card *card, uint32_t offset, uint32_t value);
    uint32_t (*read)(csti_sim_card *card, uint32_t offset);
    // Bytes of the batch channel, whose addresses begin at CSTI_SIM_BATCH_CHANNEL channels.
    uint8_t *(*memory)(csti_sim_card *card);
    // Runs until the word is `value`; false: it is not after so many clocks.
    bool (*run)(csti_sim_card *card, const uint32_t *word, uint32_t value, uint64_t clocks_max);
    uint64_t (*clocks)(const csti_sim_card *card);
    // Adds a transfer to those before it, as the model of PCIe has it, one after the other; what
    // all of them took, in nanoseconds. The card's clocks know nothing of it.
    uint64_t (*transfer)(csti_sim_card *card, csti_sim_way way, uint64_t bytes);
} csti_sim_card_ops;

// The one symbol of the library.
typedef const csti_sim_card_ops *(*csti_sim_card_entry)(void);
#define CSTI_SIM_CARD_ENTRY "csti_sim_card_v1"

#ifdef __cplusplus
}
#endif
#endif
