// card_waves.h: waves of the simulated card of a test. CST_WAVES=FILE and CST_WAVES_FROM=CLOCK ask
// for them, as scripts/waves does; a case that fails, or that the card's model ends, says the line
// that draws those of its end.
//
//   cst_device_open(card_waves_uri("sim:"), &device, &err);
//   card_waves_watch(clocks_of, device);        ... card_waves_watch(NULL, NULL) when it is closed
#ifndef TESTS_CARD_WAVES_H
#define TESTS_CARD_WAVES_H

#include "test.h"

#include <signal.h>

enum { CARD_WAVES_CLOCKS = 20000 }; // are drawn before the one that failed

typedef uint64_t (*card_waves_clocks)(void *card);
static card_waves_clocks card_waves_clocks_of;
static void *card_waves_card;

static inline const char *card_waves_file(void) {
    return getenv("CST_WAVES");
}

static inline uint64_t card_waves_from(void) {
    const char *from = getenv("CST_WAVES_FROM");

    return from ? strtoull(from, NULL, 0) : 0;
}

// The URI, with what the environment asks for; valid until the next call.
static inline const char *card_waves_uri(const char *uri) {
    static char with[512];

    if (!card_waves_file() || strncmp(uri, "sim:", 4) != 0) return uri;
    (void)snprintf(with, sizeof with, "%s%cwaves=%s&waves_from=%" PRIu64, uri,
                   strchr(uri, '?') ? '&' : '?', card_waves_file(), card_waves_from());
    return with;
}

static void card_waves_tell(void) {
    uint64_t clock;

    if (!card_waves_clocks_of) return;
    clock = card_waves_clocks_of(card_waves_card);
    fprintf(stderr, "waves: CST_SEED=%" PRIu64 " CST_WAVES_FROM=%" PRIu64 " scripts/waves %s %s\n",
            test_seed_value, clock < CARD_WAVES_CLOCKS ? 0 : clock - CARD_WAVES_CLOCKS,
            CST_TEST_NAME, test_case_now);
}

// The model ends the program where a rule of AXI or an assertion is broken: in this thread, between
// two clocks.
static void card_waves_abort(int number) {
    (void)number;
    card_waves_tell();
}

static inline void card_waves_watch(card_waves_clocks clocks_of, void *card) {
    static bool told;

    if (!told) {
        atexit(card_waves_tell);
        (void)signal(SIGABRT, card_waves_abort);
    }
    told = true;
    card_waves_clocks_of = clocks_of;
    card_waves_card = card;
}

#endif
