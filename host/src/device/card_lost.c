// card_lost.c: what is said of a card that is lost.
#include "device/card_internal.h"

#include <stdio.h>
#include <string.h>

enum { STATUS_RUNNING = 1, STATUS_LOST = 4 };
enum { STATUS_UNIT_SHIFT = 8, STATUS_BATCH_SHIFT = 12, FAULTS_MASK = 15 };

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

bool card_status_lost(uint32_t status) {
    return (status & (STATUS_LOST | STATUS_RUNNING)) == STATUS_LOST;
}

cst_code card_lost(card_queue *queue, uint32_t number) {
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
