// keys_encode.h: the batch encoder with a named instruction set, for devices and tests.
//
// Needs      a batch that passed cst_batch_check.
// Ring       0.
// Errors     those of cst_keys_encode.
#ifndef CST_CODEC_KEYS_ENCODE_H
#define CST_CODEC_KEYS_ENCODE_H

#include <constellation/keys.h>

#include "codec/dispatch.h"

CST_CHECK_RESULT cst_code csti_keys_encode(const csti_codec *codec, const cst_batch *batch,
                                           cst_keys *out);

#endif
