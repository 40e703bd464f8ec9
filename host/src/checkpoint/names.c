#include "checkpoint/names.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void csti_checkpoint_name_format(const csti_checkpoint_name *name,
                                 char out[CSTI_CHECKPOINT_NAME_BYTES]) {
    int written = -1;

    switch (name->kind) {
    case CSTI_NAME_MANIFEST:
        written =
            snprintf(out, CSTI_CHECKPOINT_NAME_BYTES,
                     CSTI_CHECKPOINTS_PREFIX "%020" PRIu64 "/manifest-%" PRIu64 "-%016" PRIx64,
                     name->id, name->tenure, name->nonce);
        break;
    case CSTI_NAME_DELTA:
    case CSTI_NAME_ROWS:
        written = snprintf(out, CSTI_CHECKPOINT_NAME_BYTES,
                           CSTI_CHECKPOINTS_PREFIX "%020" PRIu64 "/%u-%" PRIu64 "-%016" PRIx64
                                                   "/%s-%" PRIu64,
                           name->id, name->partition, name->tenure, name->nonce,
                           name->kind == CSTI_NAME_ROWS ? "rows" : "delta", name->epoch);
        break;
    case CSTI_NAME_FOLD:
        written = snprintf(out, CSTI_CHECKPOINT_NAME_BYTES,
                           CSTI_FOLDS_PREFIX "%" PRIu64 "-%016" PRIx64 "/%u-%" PRIu64, name->token,
                           name->nonce, name->partition, name->epoch);
        break;
    }
    assert(written > 0);
    assert(written < CSTI_CHECKPOINT_NAME_BYTES);
}

// A number of `base` behind *text, which moves past it and past `behind`. False: there is none.
static bool take_number(const char **text, int base, char behind, uint64_t *out) {
    char *end = NULL;

    if (**text == '-' || **text == '+' || **text == ' ') return false; // strtoull would take them
    *out = strtoull(*text, &end, base);
    if (end == *text || *end != behind) return false;
    *text = behind ? end + 1 : end;
    return true;
}

static bool take_word(const char **text, const char *word) {
    const size_t count = strlen(word);

    if (strncmp(*text, word, count) != 0) return false;
    *text += count;
    return true;
}

static bool parse_fields(const char *text, csti_checkpoint_name *out) {
    uint64_t partition = 0;

    if (take_word(&text, CSTI_FOLDS_PREFIX)) {
        out->kind = CSTI_NAME_FOLD;
        if (!take_number(&text, 10, '-', &out->token) ||
            !take_number(&text, 16, '/', &out->nonce) || !take_number(&text, 10, '-', &partition) ||
            !take_number(&text, 10, '\0', &out->epoch))
            return false;
    } else {
        if (!take_word(&text, CSTI_CHECKPOINTS_PREFIX) || !take_number(&text, 10, '/', &out->id))
            return false;
        if (take_word(&text, "manifest-")) {
            out->kind = CSTI_NAME_MANIFEST;
            return take_number(&text, 10, '-', &out->tenure) &&
                   take_number(&text, 16, '\0', &out->nonce);
        }
        out->kind = CSTI_NAME_DELTA;
        if (!take_number(&text, 10, '-', &partition) ||
            !take_number(&text, 10, '-', &out->tenure) || !take_number(&text, 16, '/', &out->nonce))
            return false;
        if (take_word(&text, "rows-"))
            out->kind = CSTI_NAME_ROWS;
        else if (!take_word(&text, "delta-"))
            return false;
        if (!take_number(&text, 10, '\0', &out->epoch)) return false;
    }
    out->partition = (uint32_t)partition;
    return partition <= UINT32_MAX;
}

bool csti_checkpoint_name_parse(const char *text, csti_checkpoint_name *out) {
    char again[CSTI_CHECKPOINT_NAME_BYTES];

    memset(out, 0, sizeof *out);
    if (!parse_fields(text, out)) return false;
    csti_checkpoint_name_format(out, again);
    return strcmp(text, again) == 0; // one text a name: no "+1", no "0x", no missing zeros
}
