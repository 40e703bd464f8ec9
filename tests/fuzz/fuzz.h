// fuzz.h: what a fuzzer defines; libFuzzer or replay.c calls it.
//
// Promises   every input is answered with 0; what is refused is refused by an error code.
// Thread     one.
#ifndef CST_FUZZ_H
#define CST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#endif
