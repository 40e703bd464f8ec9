// xrt_guard.h: what stands between XRT's hardware emulation and the process, in emulation alone.
//
//   back end xrt:                 libxrt_hwemu                  libconstellation-xrt-guard.so
//   arm(at) ─────────► call ──────► read, write, select ───────► the card is gone, or says nothing
//      ▲                                                          for so long: jumps
//      └──────────────────────────────────────────────────────────────┘
//
// `constellation device emulate` loads it before everything else. It changes what a few calls of
// the C library do when libxrt_hwemu makes them, and nothing when anybody else does; but a lock
// that a call of xrt: does not get in time is one that a thread of the library's has, waiting for
// the card. XRT 2.13, left alone, reads for ever from a card that is gone, sleeps for seconds, and
// ends its whole process group on a signal.
//
// A jump leaves the library's locks as they are: after one, no thread may call it again, and the
// process has to end without its destructors.
#ifndef CST_DEVICE_XRT_GUARD_H
#define CST_DEVICE_XRT_GUARD_H

#include <setjmp.h>
#include <sys/types.h>

typedef struct csti_xrt_guarded {
    jmp_buf place;  // where a call that would never return comes back
    int silence_ms; // so long it may wait for the card
    pid_t *process; // that stands for the card: set when it is started; 0: none
} csti_xrt_guarded;

// Of the calling thread's calls; NULL: as the C library has them.
typedef void (*csti_xrt_guard_arm)(csti_xrt_guarded *at);
// Ends a card's process, if there is one.
typedef void (*csti_xrt_guard_end)(pid_t *process);

// The variable that says how many cards are emulated.
#define CSTI_XRT_CARDS "CST_XRT_CARDS"

#define CSTI_XRT_GUARD_ARM "csti_xrt_guard_arm_v3"
#define CSTI_XRT_GUARD_END "csti_xrt_guard_end_v3"

#endif
