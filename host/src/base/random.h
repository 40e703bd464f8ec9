// random.h: random bytes as a value that is passed in, so that a simulation replays from a seed.
//
//   csti_random { fill }                    what everybody takes
//     ^-- csti_random_real()                the kernel's generator: hash keys, nonces, instance ids
//     ^-- csti_random_sim.random            splitmix64: the same seed gives the same bytes
//
// Promises   the real one is fit for keys; the simulated one gives the same bytes on any machine,
//            and the same stream however the calls cut it (in multiples of 8 bytes).
// Thread     real: any. Simulated: one.
// Ring       1: the real one is a system call.
// Errors     CST_IO: the kernel gave no bytes; the output is unspecified. The simulated one never
//            fails.
#ifndef CST_BASE_RANDOM_H
#define CST_BASE_RANDOM_H

#include <constellation/error.h>
#include <stddef.h>
#include <stdint.h>

typedef struct csti_random csti_random;
struct csti_random {
    cst_code (*fill)(csti_random *random, void *out, size_t bytes, cst_err *err);
};

CST_CHECK_RESULT static inline cst_code csti_random_fill(csti_random *random, void *out,
                                                         size_t bytes, cst_err *err) {
    return random->fill(random, out, bytes, err);
}

csti_random *csti_random_real(void);

typedef struct csti_random_sim {
    csti_random random; // first: what is passed on
    uint64_t state;
} csti_random_sim;

void csti_random_sim_init(csti_random_sim *sim, uint64_t seed);
// The next eight bytes as a number (little endian), for those who hold the simulation itself.
uint64_t csti_random_sim_next(csti_random_sim *sim);

#endif
