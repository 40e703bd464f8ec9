// xrt_guard.h: what stands between XRT's hardware emulation and the process, in emulation alone.
//
//   back end xrt:                 libxrt_hwemu                  libconstellation-xrt-guard.so
//   arm(place, ms) ──► call ──────► read, write, select ───────► the card is gone, or says nothing
//      ▲                                                          for so long: jumps
//      └──────────────────────────────────────────────────────────────┘
//
// `constellation device emulate` loads it before everything else. It changes what a few calls of
// the C library do when libxrt_hwemu makes them, and nothing when anybody else does. XRT 2.13, left
// alone, reads for ever from a card that is gone, sleeps for seconds, and ends its whole process
// group on a signal.
//
// A jump leaves the library's locks as they are: after one, no thread may call it again, and the
// process has to end without its destructors.
#ifndef CST_DEVICE_XRT_GUARD_H
#define CST_DEVICE_XRT_GUARD_H

#include <setjmp.h>

// Of the calling thread: where calls that would never return go to; NULL: nowhere.
typedef void (*csti_xrt_guard_arm)(jmp_buf *place, int silence_ms);
// Ends the card's process, if there is one.
typedef void (*csti_xrt_guard_end)(void);

#define CSTI_XRT_GUARD_ARM "csti_xrt_guard_arm_v2"
#define CSTI_XRT_GUARD_END "csti_xrt_guard_end_v1"

#endif
