// memory.h: card memory for simulated kernels: AXI ports, a switch, channels of HBM2 or DDR4.
//
//   port 0 ──AR,AW,W──► faults ─► path ─► switch ─► channel 0: reads [32] ─┐ banks, activates,
//          ◄──R,B─────── in order per ID ◄──────── data ◄────── writes [32] ┘ bus, refresh
//   port 1 ──                                      channel 1 ...
//                       bytes: one sparse mapping, the host's too (cst_sim_memory_bytes)
//
// One clock of a port, as registers see it: between two ticks the view is what the master samples,
// and every call is a handshake at the next edge. Each call at most once a port and tick.
//
//   view = cst_sim_memory_view(m, p)
//   if (view->r_valid && the master is ready) cst_sim_memory_r(m, p);      // that beat is taken
//   if (view->ar_ready && the master asks)    cst_sim_memory_ar(m, p, id, address, beats);
//   cst_sim_memory_tick(m);
//
// Data moves when the channel moves it: a read sees what was written before its column command and
// a write is there once its B is valid. Between, either may come first, as AXI allows; two writes
// of one port to one address stay in order. Responses of one ID come in order, those of different
// IDs as they are ready, never with beats of two bursts mixed.
//
// Promises   equal configuration, seed and calls give equal clocks and bytes; nothing is allocated
//            after open; a valid stays up, unchanged, until it is taken.
// Needs      INCR bursts of whole beats, aligned to a beat, within 4 KiB (asserted).
// Thread     one a memory.
// Errors     CST_USAGE: a configuration that cannot be. CST_NO_MEMORY. What goes wrong on the bus
//            is a response: outside of memory is DECERR, and see cst_sim_fault.
#ifndef CST_SIM_MEMORY_H
#define CST_SIM_MEMORY_H

#include "memory/parameters.h"

#include <constellation/error.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CST_SIM_PORTS_MAX = 32,
    CST_SIM_CHANNELS_MAX = 32,
    CST_SIM_BEAT_BYTES_MAX = 64,
    CST_SIM_BURST_BYTES_MAX = 4096,
    CST_SIM_IDS = 256,
    CST_SIM_FAULTS_MAX = 32,
    CST_SIM_INJECTED_MAX = 1024,
};

// AXI's response codes.
typedef enum cst_sim_response {
    CST_SIM_OKAY = 0,
    CST_SIM_SLVERR = 2,
    CST_SIM_DECERR = 3,
} cst_sim_response;

typedef struct cst_sim_memory cst_sim_memory;

typedef struct cst_sim_memory_config {
    cst_sim_dram dram; // of cst_sim_hbm2 or cst_sim_ddr4
    uint32_t clock_khz;
    uint32_t ports, beat_bytes; // 32 or 64
    uint32_t channels;
    uint64_t channel_bytes;
    // Where an address lies: 0: each channel is a range of addresses, as on a card; a power of two:
    // channels take stripes of so many bytes by turns, their number folded with the address above.
    uint32_t stripe_bytes;
    uint8_t attached[CST_SIM_PORTS_MAX]; // the channel beside which a port enters the switch
    bool has_switch;                     // HBM: distance costs time, groups of four share links
    uint32_t reads_max, writes_max;      // bursts under way a port
    uint64_t seed;
    // Where the bytes of a beat lie, if not in a mapping of the memory's own: NULL, nowhere, which
    // is DECERR. Called when a beat is asked for and when its data moves.
    uint8_t *(*locate)(void *context, uint64_t address);
    void *locate_context;
} cst_sim_memory_config;

// What a port's master samples. Read only; in place for the memory's life.
typedef struct cst_sim_view {
    bool ar_ready, aw_ready, w_ready;
    bool r_valid, r_last;
    bool b_valid;
    uint8_t r_response, b_response;
    uint16_t r_id, b_id;
    const uint8_t *r_data; // beat_bytes, until the tick after it was taken
} cst_sim_view;

// A card as a kernel sees it: `ports` of 512 bits at 300 MHz, port p beside channel p, shell and
// switch in the way. Ports beyond the channels start again at 0.
cst_sim_memory_config cst_sim_memory_hbm2(uint32_t ports, uint32_t channels);
cst_sim_memory_config cst_sim_memory_ddr4(uint32_t ports, uint32_t channels);

CST_CHECK_RESULT cst_code cst_sim_memory_open(const cst_sim_memory_config *config,
                                              cst_sim_memory **out, cst_err *err);
void cst_sim_memory_close(cst_sim_memory *memory); // NULL is allowed

// The mapping's bytes, addresses 0 to channels x channel_bytes; zero until written.
uint8_t *cst_sim_memory_bytes(cst_sim_memory *memory);
uint64_t cst_sim_memory_size(const cst_sim_memory *memory);

const cst_sim_view *cst_sim_memory_view(const cst_sim_memory *memory, uint32_t port);
void cst_sim_memory_ar(cst_sim_memory *memory, uint32_t port, uint16_t id, uint64_t address,
                       uint32_t beats);
void cst_sim_memory_aw(cst_sim_memory *memory, uint32_t port, uint16_t id, uint64_t address,
                       uint32_t beats);
// The next beat of the oldest burst that lacks one. Bit i of the strobe: byte i is written.
// A strobe that cuts a memory burst makes it a read and a write, as ECC does.
void cst_sim_memory_w(cst_sim_memory *memory, uint32_t port, const uint8_t *data, uint64_t strobe,
                      bool last);
void cst_sim_memory_r(cst_sim_memory *memory, uint32_t port);
void cst_sim_memory_b(cst_sim_memory *memory, uint32_t port);
void cst_sim_memory_tick(cst_sim_memory *memory);
// Ports, a bit each, whose view may be another one since the last tick (or open, or reset).
uint32_t cst_sim_memory_changed(const cst_sim_memory *memory);
uint64_t cst_sim_memory_cycle(const cst_sim_memory *memory);
// All that is under way is forgotten, as by a reset of the card: bytes, clock and faults stay.
void cst_sim_memory_reset(cst_sim_memory *memory);

// ---- Stalls -------------------------------------------------------------------------------------

enum {
    CST_SIM_AR = 1 << 0,
    CST_SIM_AW = 1 << 1,
    CST_SIM_W = 1 << 2,
    CST_SIM_R = 1 << 3,
    CST_SIM_B = 1 << 4,
    CST_SIM_CHANCES = 256,
    CST_SIM_SILENCES = 4096,
};
// Each clock the named handshakes of a port are held back with chance/256; and once in 4096 clocks
// all of them for `silence_clocks`. 0, 0 ends it.
void cst_sim_memory_stall(cst_sim_memory *memory, uint32_t port, uint32_t handshakes,
                          uint32_t chance, uint32_t silence_clocks);

// ---- Faults -------------------------------------------------------------------------------------

typedef enum cst_sim_fault_kind {
    CST_SIM_FAULT_SLVERR, // that beat's response, or the burst's B; a write leaves no trace
    CST_SIM_FAULT_DECERR,
    CST_SIM_FAULT_CORRUPT, // one bit of the beat differs, OKAY; a write stores it so
    CST_SIM_FAULT_SILENT,  // the burst is never answered, nor what follows on its ID
} cst_sim_fault_kind;

typedef struct cst_sim_fault {
    cst_sim_fault_kind kind;
    bool reads, writes;
    int32_t port;      // -1: any
    uint64_t from, to; // bytes; to = 0: everywhere
    uint64_t skip;     // so many beats that match pass by first
    uint64_t count;    // then so many are hit; 0: all
    uint32_t one_in;   // of those, by the seed; 0: each
} cst_sim_fault;

typedef struct cst_sim_injected {
    cst_sim_fault_kind kind;
    bool write;
    uint16_t id;
    uint32_t port;
    uint64_t address, cycle;
    uint32_t bit; // CORRUPT: which bit of the beat
} cst_sim_injected;

// CST_LIMIT: CST_SIM_FAULTS_MAX rules are there. The first that hits a beat decides.
CST_CHECK_RESULT cst_code cst_sim_memory_inject(cst_sim_memory *memory, const cst_sim_fault *fault,
                                                cst_err *err);
void cst_sim_memory_inject_nothing(cst_sim_memory *memory); // takes all rules back
// What was injected so far: its number, and the first CST_SIM_INJECTED_MAX of it.
uint64_t cst_sim_memory_injected(const cst_sim_memory *memory, const cst_sim_injected **list_out);

// ---- Counters -----------------------------------------------------------------------------------

// Of one channel, since open.
typedef struct cst_sim_counters {
    uint64_t reads, writes;    // beats
    uint64_t hits;             // beats whose row was open when they came to the front
    uint64_t activates;        // rows opened
    uint64_t conflicts;        // rows closed for another
    uint64_t refreshes;        //
    uint64_t turns;            // of the bus between reads and writes
    uint64_t masked;           // writes that cut a memory burst
    uint64_t bus_ps, clock_ps; // the data bus was busy, of all
} cst_sim_counters;
cst_sim_counters cst_sim_memory_counters(const cst_sim_memory *memory, uint32_t channel);

#ifdef __cplusplus
}
#endif

#endif
