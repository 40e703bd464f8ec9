// bench_checkpoint.h: updates while another thread reads the sealed deltas, beside the same alone.
//
//   owner      update 1M rows ─ seal ─ update 1M rows ─ seal ─ …
//                                 │ hands the delta over by reference
//   uploader                      └─► CRC32C and a copy of every range, again and again
//                                     until the next one comes: a checkpoint is always in flight
//
// Thread     the owner's; the uploader lives within bench_checkpoint.
#ifndef CST_CLI_BENCH_CHECKPOINT_H
#define CST_CLI_BENCH_CHECKPOINT_H

#include "cli/bench_maps.h"

// `maps` are filled; ours alone takes part. Prints state.checkpoint.
CST_CHECK_RESULT cst_code bench_checkpoint(bench_maps *maps, cst_err *err);

#endif
