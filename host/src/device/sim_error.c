// sim_error.c: errors that a simulated card is told to have, and what is said of one that is lost.
#include "device/sim_internal.h"

#include <stdio.h>
#include <string.h>

enum { STATUS_RUNNING = 1, STATUS_LOST = 4 };
enum { STATUS_UNIT_SHIFT = 8, STATUS_BATCH_SHIFT = 12, FAULTS_MASK = 15 };

cst_code sim_error_take(csti_uri *uri, csti_sim_card_config *config, cst_err *err) {
    static const char *const kinds[] = {"slverr", "decerr", "corrupt", "silent"};
    static const csti_sim_error errors[] = {CSTI_SIM_ERROR_SLVERR, CSTI_SIM_ERROR_DECERR,
                                            CSTI_SIM_ERROR_CORRUPT, CSTI_SIM_ERROR_SILENT};
    const size_t none = sizeof kinds / sizeof *kinds;
    uint64_t port = UINT64_MAX, after = 0;
    size_t kind = none;
    cst_code code = csti_uri_take_word(uri, "error", kinds, none, &kind, err);

    config->error_port = -1; // any
    if (code != CST_OK || kind == none) return code;
    code = csti_uri_take_u64(uri, "error_after", UINT32_MAX, &after, err);
    if (code == CST_OK) code = csti_uri_take_u64(uri, "error_port", CSTI_SIM_CHANNELS, &port, err);
    config->error = errors[kind];
    config->error_after = after;
    if (port != UINT64_MAX) config->error_port = (int32_t)port;
    return code;
}

cst_code sim_mistake_take(csti_uri *uri, csti_sim_card_config *config, cst_err *err) {
#define MISTAKE_WORD(NAME, NUMBER, WORD) WORD,
#define MISTAKE_VALUE(NAME, NUMBER, WORD) CSTI_SIM_MISTAKE_##NAME,
    static const char *const words[] = {CSTI_SIM_MISTAKE_MAP(MISTAKE_WORD)};
    static const csti_sim_mistake mistakes[] = {CSTI_SIM_MISTAKE_MAP(MISTAKE_VALUE)};
#undef MISTAKE_WORD
#undef MISTAKE_VALUE
    const size_t none = sizeof words / sizeof *words;
    size_t which = none;
    const cst_code code = csti_uri_take_word(uri, "mistake", words, none, &which, err);

    if (code == CST_OK && which < none) config->mistake = mistakes[which];
    return code;
}

// Bits of a fault register, in order.
static void faults_tell(uint32_t faults, const char *where, char *out, size_t bytes) {
    static const char *const texts[] = {"a read was answered with an error",
                                        "a write was answered with an error",
                                        "an address is outside of its memory",
                                        "it does not answer"};
    size_t used = strlen(out);

    for (uint32_t bit = 0; bit < sizeof texts / sizeof *texts; bit++) {
        if (!(faults >> bit & 1)) continue;
        (void)snprintf(out + used, bytes - used, "%s%s: %s", used ? "; " : "", where, texts[bit]);
        used = strlen(out);
    }
}

bool sim_status_lost(uint32_t status) {
    return (status & (STATUS_LOST | STATUS_RUNNING)) == STATUS_LOST;
}

cst_code sim_lost(sim_queue *queue, uint32_t number) {
    const uint32_t status = queue->link->read(queue, CSTI_KERNEL_STATUS);
    char why[CSTI_LOST_BYTES_MAX] = "";

    if (queue->base.lost_why[0]) return CST_DEVICE_LOST; // the link knows
    faults_tell(status >> STATUS_UNIT_SHIFT & FAULTS_MASK, "memory of the image", why, sizeof why);
    faults_tell(status >> STATUS_BATCH_SHIFT & FAULTS_MASK, "memory of the batch", why, sizeof why);
    (void)snprintf(queue->base.lost_why, sizeof queue->base.lost_why,
                   "%.96s (command %u, status 0x%08x)", *why ? why : "the kernel does not end",
                   number, status);
    return CST_DEVICE_LOST;
}
