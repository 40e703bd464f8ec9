#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum {
    FILL_BYTES_AT_ONCE = 256, // getrandom gives up to 256 bytes whole, without being interrupted
    FILL_RETRIES_MAX = 16,
};

static cst_code real_fill(csti_random *random, void *out, size_t bytes, cst_err *err) {
    uint8_t *to = out;
    int retries_count = 0;

    (void)random;
    while (bytes > 0) {
        const size_t wanted = bytes < FILL_BYTES_AT_ONCE ? bytes : FILL_BYTES_AT_ONCE;
        const ssize_t got = getrandom(to, wanted, 0);

        if (got < 0) {
            if (errno == EINTR && retries_count++ < FILL_RETRIES_MAX) continue;
            return cst_fail(err, CST_IO, "random bytes: getrandom: %s", strerror(errno));
        }
        assert((size_t)got <= wanted);
        to += got;
        bytes -= (size_t)got;
    }
    return CST_OK;
}

csti_random *csti_random_real(void) {
    // Not const, as the simulated one has state; nobody writes to it.
    static csti_random real = {real_fill};
    return &real;
}

_Static_assert(offsetof(csti_random_sim, random) == 0, "a csti_random * is cast to its simulation");

// splitmix64 (Steele, Lea, Flood 2014); its constants are the paper's.
uint64_t csti_random_sim_next(csti_random_sim *sim) {
    uint64_t z = (sim->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static cst_code sim_fill(csti_random *random, void *out, size_t bytes, cst_err *err) {
    csti_random_sim *sim = (csti_random_sim *)(void *)random;
    uint8_t *to = out;

    (void)err;
    for (size_t at = 0; at < bytes; at += 8) {
        const uint64_t word = csti_random_sim_next(sim);
        for (size_t i = 0; i < 8 && at + i < bytes; i++) to[at + i] = (uint8_t)(word >> (8 * i));
    }
    return CST_OK;
}

void csti_random_sim_init(csti_random_sim *sim, uint64_t seed) {
    *sim = (csti_random_sim){.random = {sim_fill}, .state = seed};
}
