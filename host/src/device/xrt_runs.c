// xrt_runs.c: a unit's runs as XRT has them: each is told its arguments, started, and asked for its
// state.
//
//   rows   [ place 0 | place 1 | ... ]        a place: CARD_RUN_BYTES, see card_run.c
//            ▲   ▲
//            │   └─ completions: a part of the buffer, as an argument of XRT's has to be a buffer
//            └───── ring
//
// XRT starts them in order, the next one as soon as the kernel has taken the last, and acknowledges
// each one's done. It can take none back: one that does not end stays XRT's until the card is
// opened anew.
#include "base/park.h"
#include "device/xrt_internal.h"

#include <stdio.h>

enum { LOOK_NS = 20000 };
// As xrt/ert.h has them, of a command of XRT's.
enum { STATE_NEW = 1, STATE_QUEUED = 2, STATE_RUNNING = 3, STATE_COMPLETED = 4, STATE_SENT = 7 };

static bool run_open(xrt_card *card, void *kernel, void *rows, uint32_t place, xrt_run *run) {
    const uint64_t at = CARD_RING_AT + (uint64_t)place * CARD_RUN_BYTES;

    run->ring = xrt_buffer_part(card, rows, CARD_RUN_COMPLETIONS, at);
    run->completions = xrt_buffer_part(card, rows, CARD_RUN_COMPLETIONS, at + CARD_RUN_COMPLETIONS);
    run->handle = xrt_run_open(card, kernel);
    return run->ring && run->completions && run->handle;
}

bool xrt_runs_open(xrt_card *card, void *kernel, void *rows, xrt_run *runs) {
    bool opened = true;

    for (uint32_t i = 0; i < CARD_RUNS && opened; i++)
        opened = run_open(card, kernel, rows, i, &runs[i]);
    return opened;
}

void xrt_runs_close(xrt_card *card, xrt_run *runs) {
    for (uint32_t i = 0; i < CARD_RUNS; i++) {
        xrt_run_close(card, runs[i].handle);
        xrt_buffer_close(card, runs[i].completions);
        xrt_buffer_close(card, runs[i].ring);
        runs[i] = (xrt_run){0};
    }
}

bool xrt_runs_tell(xrt_card *card, xrt_run *runs, const uint64_t *values) {
    bool told = true;

    for (uint32_t i = 0; i < CARD_RUNS && told; i++) {
        void *run = runs[i].handle;

        told = xrt_run_buffer(card, run, CSTI_KERNEL_ARGUMENT_RING, runs[i].ring) &&
               xrt_run_buffer(card, run, CSTI_KERNEL_ARGUMENT_COMPLETIONS, runs[i].completions);
#define ARGUMENT_TELL(NAME, ID, OFFSET, BYTES, KIND, WORD)                                         \
    if (told && (ID) > CSTI_KERNEL_ARGUMENT_COMPLETIONS)                                           \
        told = xrt_run_number(card, run, ID, values[ID], BYTES);
        CSTI_KERNEL_ARGUMENT_MAP(ARGUMENT_TELL)
#undef ARGUMENT_TELL
    }
    return told;
}

bool xrt_runs_begin(xrt_card *card, xrt_run *run) {
    run->begun = xrt_run_start(card, run->handle);
    return run->begun;
}

xrt_run_end xrt_runs_look(xrt_card *card, xrt_run *run) {
    const uint32_t state = run->begun ? xrt_run_state(card, run->handle) : STATE_COMPLETED;

    switch (state) {
    case STATE_NEW:
    case STATE_QUEUED:
    case STATE_RUNNING:
    case STATE_SENT:
        return XRT_RUN_GOES_ON;
    case STATE_COMPLETED:
        run->begun = false;
        return XRT_RUN_ENDED;
    default: // an error, or the card is gone
        return XRT_RUN_FAILED;
    }
}

bool xrt_runs_settle(xrt_card *card, xrt_run *runs, uint64_t deadline_ns) {
    const csti_clock *clock = csti_clock_real();
    csti_parker parker;

    csti_parker_init(&parker);
    for (uint32_t i = 0; i < CARD_RUNS; i++) {
        xrt_run_end end = xrt_runs_look(card, &runs[i]);

        while (end == XRT_RUN_GOES_ON && csti_clock_now_ns(clock) < deadline_ns) {
            (void)csti_park_until(&parker, csti_clock_now_ns(clock) + LOOK_NS);
            end = xrt_runs_look(card, &runs[i]);
        }
        if (end != XRT_RUN_ENDED) return false;
    }
    return true;
}
