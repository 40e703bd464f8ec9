// The same promises of the cell for machines without a 128-bit compare-exchange.
#define CSTI_BARRIER_PORTABLE 1
#include "stream/barrier.c"
#include "unit/stream/barrier_test.c"
