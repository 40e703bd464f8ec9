// pcie.h: what moves between a host and a simulated card: DMA, a kernel's own accesses, commands.
//
//   submit ─► [descriptor, bytes] ─► wire, one each way ─► completion        DMA, one at a time
//             [access,     bytes] ─►                    ─► trip ─► ...       a kernel's, many
//             [command] ─────────────────────────────────► launch ─► ...     no bytes
//
// A kind's transfers start one after the other and complete in order; both ways run at once.
// Bytes are copied when their completion is polled.
//
// Promises   equal seed and calls give equal times; nothing is allocated after open.
// Thread     one.
// Errors     CST_AGAIN: as many are under way as there may be. A transfer that goes wrong says so
//            in its completion; one that is silent has none, nor those behind it of its kind.
#ifndef CST_SIM_PCIE_H
#define CST_SIM_PCIE_H

#include "memory/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cst_sim_pcie_kind {
    CST_SIM_PCIE_TO_CARD,      // DMA
    CST_SIM_PCIE_FROM_CARD,    // DMA
    CST_SIM_PCIE_KERNEL_READ,  // of host memory
    CST_SIM_PCIE_KERNEL_WRITE, //
    CST_SIM_PCIE_COMMAND,      // started by the host, until the host has noticed its end
} cst_sim_pcie_kind;
enum { CST_SIM_PCIE_KINDS = 5, CST_SIM_PCIE_QUEUE_MAX = 256 };

typedef struct cst_sim_pcie cst_sim_pcie;

typedef struct cst_sim_transfer {
    cst_sim_pcie_kind kind;
    uint64_t tag; // comes back with the completion
    const void *from;
    void *to;
    uint64_t bytes;
} cst_sim_transfer;

typedef struct cst_sim_done {
    uint64_t tag, done_ps;
    cst_sim_response response; // but OKAY: no byte was copied
} cst_sim_done;

CST_CHECK_RESULT cst_code cst_sim_pcie_open(const cst_sim_pcie_parameters *parameters,
                                            uint64_t seed, cst_sim_pcie **out, cst_err *err);
void cst_sim_pcie_close(cst_sim_pcie *pcie); // NULL is allowed
// `now_ps` never falls from call to call.
CST_CHECK_RESULT cst_code cst_sim_pcie_submit(cst_sim_pcie *pcie, uint64_t now_ps,
                                              const cst_sim_transfer *transfer, cst_err *err);
// The earliest that is over by now; false: none.
bool cst_sim_pcie_poll(cst_sim_pcie *pcie, uint64_t now_ps, cst_sim_done *out);
uint64_t cst_sim_pcie_next_ps(const cst_sim_pcie *pcie);      // UINT64_MAX: nothing will complete
void cst_sim_pcie_reset(cst_sim_pcie *pcie, uint64_t now_ps); // what is under way is forgotten
// fault.port is a cst_sim_pcie_kind or -1; `reads` must be set, addresses count from 0 in each
// transfer of which the first 64 bytes are looked at. CST_LIMIT.
CST_CHECK_RESULT cst_code cst_sim_pcie_inject(cst_sim_pcie *pcie, const cst_sim_fault *fault,
                                              cst_err *err);

#ifdef __cplusplus
}
#endif

#endif
