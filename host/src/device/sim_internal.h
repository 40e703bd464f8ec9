// sim_internal.h: what the files of the back end sim: share.
//
//   sim.c          the device: its name, the library of the simulated card
//   sim_uri.c      errors it is told to have
//   sim_link.c     one card: calls into the library, as card_internal.h wants them
//
// What the card is told is card_*.c's.
//
// Thread     a queue's.
// Ring       1: a clock of a simulated card is many of the processor's.
#ifndef CST_DEVICE_SIM_INTERNAL_H
#define CST_DEVICE_SIM_INTERNAL_H

#include "device/card_internal.h"
#include "device/sim_card.h"

typedef struct sim_device {
    cst_device base;
    void *library;
    const csti_sim_card_ops *card;
    csti_sim_card_config config;
    char waves[CSTI_URI_BYTES_MAX];                   // config's
    _Atomic uint64_t clocks, operations, transfer_ns; // of all its cards
} sim_device;

// ---- sim_uri.c ----------------------------------------------------------------------------------
// error=KIND, error_after=BEATS, error_port=PORT.
CST_CHECK_RESULT cst_code sim_error_take(csti_uri *uri, csti_sim_card_config *config, cst_err *err);
CST_CHECK_RESULT cst_code sim_mistake_take(csti_uri *uri, csti_sim_card_config *config,
                                           cst_err *err);

// ---- sim_link.c ---------------------------------------------------------------------------------
extern const card_link sim_link;

#endif
