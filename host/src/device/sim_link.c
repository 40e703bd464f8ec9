// sim_link.c: the way to a simulated card: calls into its library. Its memory is the host's.
#include "device/sim_internal.h"

enum { LOOK_CLOCKS = 100000 }; // more than a command takes, but for one that waits for a watchdog

static const csti_sim_card_ops *ops_of(const card_queue *queue) {
    return ((const sim_device *)queue->base.device)->card;
}

static void transfer_tell(card_queue *queue, csti_sim_way way, uint64_t bytes) {
    sim_device *device = (sim_device *)queue->base.device;
    const uint64_t ns = device->card->transfer(queue->card, way, bytes);

    atomic_fetch_add_explicit(&device->transfer_ns, ns - queue->transfer_told,
                              memory_order_relaxed);
    queue->transfer_told = ns;
}

static cst_code link_open(card_queue *queue, cst_err *err) {
    const sim_device *device = (const sim_device *)queue->base.device;
    csti_sim_card_config config = device->config;
    csti_sim_card *card = NULL;
    cst_code code;

    config.locate_context = queue;
    code = device->card->open(&config, &card, err);
    if (code != CST_OK) return code;
    queue->card = card;
    queue->rows_at = device->card->memory(card);
    queue->results_at = queue->rows_at + CARD_RESULTS_AT;
    queue->rows_address = CSTI_SIM_BATCH_CHANNEL * CSTI_SIM_CHANNEL_BYTES;
    queue->results_address = queue->rows_address + CARD_RESULTS_AT;
    queue->image_address = 0;
    queue->image_stride = CSTI_SIM_CHANNEL_BYTES;
    return CST_OK;
}

static void link_close(card_queue *queue) {
    ops_of(queue)->close(queue->card);
}

static void link_write(card_queue *queue, uint32_t offset, uint32_t value) {
    ops_of(queue)->write(queue->card, offset, value);
}

static uint32_t link_read(card_queue *queue, uint32_t offset) {
    return ops_of(queue)->read(queue->card, offset);
}

static void link_launch(card_queue *queue) {
    link_write(queue, CSTI_KERNEL_CTRL, CSTI_KERNEL_START);
    transfer_tell(queue, CSTI_SIM_LAUNCH, 0);
}

static void link_send(card_queue *queue, uint64_t command, uint64_t at, uint64_t bytes) {
    (void)command;
    (void)at;
    transfer_tell(queue, CSTI_SIM_TO_CARD, CARD_BEAT_BYTES + bytes);
}

static void link_receive(card_queue *queue, uint64_t at, uint64_t bytes) {
    (void)at;
    transfer_tell(queue, CSTI_SIM_FROM_CARD, bytes);
}

static bool link_wait(card_queue *queue, uint64_t completion, uint32_t number,
                      uint64_t clocks_max) {
    const uint32_t *word = (const uint32_t *)card_batch_at(queue, completion);

    for (uint64_t clocks = 0; clocks < clocks_max; clocks += LOOK_CLOCKS) {
        if (ops_of(queue)->run(queue->card, word, number, LOOK_CLOCKS)) break;
        if (card_status_lost(link_read(queue, CSTI_KERNEL_STATUS))) break;
    }
    if (*word == number) transfer_tell(queue, CSTI_SIM_NOTICE, CARD_BEAT_BYTES);
    return *word == number;
}

// The device's counts are those of all its cards.
static void link_count(card_queue *queue) {
    sim_device *device = (sim_device *)queue->base.device;
    const uint64_t clocks = device->card->clocks(queue->card);
    uint32_t operations;

    atomic_fetch_add_explicit(&device->clocks, clocks - queue->clocks_told, memory_order_relaxed);
    queue->clocks_told = clocks;
    if (queue->flights_count > 1) return; // reading a register takes clocks: when all is done
    operations = link_read(queue, CSTI_KERNEL_COUNTERS);
    atomic_fetch_add_explicit(&device->operations, operations - queue->operations_told,
                              memory_order_relaxed);
    queue->operations_told = operations;
}

static uint64_t link_clocks(const card_queue *queue) {
    return ops_of(queue)->clocks(queue->card);
}

const card_link sim_link = {
    .open = link_open,
    .close = link_close,
    .write = link_write,
    .read = link_read,
    .launch = link_launch,
    .send = link_send,
    .receive = link_receive,
    .wait = link_wait,
    .count = link_count,
    .clocks = link_clocks,
};
