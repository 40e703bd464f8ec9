// card_meter.c: a way to a card, with what crosses it counted, and the time that it takes.
//
//   card_queue.c, card_run.c, ... ──► metered ──► sim_link.c | xrt_link.c ──► a library
//        the host's own work                 └────── away_ticks ──────┘
//
// What is left of a command's time is what the host's part of the back end costs. A library's calls
// take a microsecond and more; two looks at the processor's counter take some 20 ns.
#include "base/ticks.h"
#include "device/card_internal.h"

static void crossed(card_queue *queue, card_direction way, uint64_t bytes) {
    csti_traffic *traffic = &queue->base.traffic;

    if (way == CARD_TO)
        traffic->to_device_bytes += bytes;
    else
        traffic->from_device_bytes += bytes;
}

static void away(card_queue *queue, uint64_t from) {
    csti_traffic *traffic = &queue->base.traffic;

    traffic->away_ticks += csti_ticks() - from;
    if (queue->way->clocks && queue->card) traffic->clocks = queue->way->clocks(queue);
}

static cst_code meter_open(card_queue *queue, cst_err *err) {
    const uint64_t from = csti_ticks();
    const cst_code code = queue->way->open(queue, err);

    away(queue, from);
    return code;
}

static void meter_write(card_queue *queue, uint32_t offset, uint32_t value) {
    const uint64_t from = csti_ticks();

    queue->way->write(queue, offset, value);
    away(queue, from);
}

static uint32_t meter_read(card_queue *queue, uint32_t offset) {
    const uint64_t from = csti_ticks();
    const uint32_t value = queue->way->read(queue, offset);

    away(queue, from);
    return value;
}

static void meter_launch(card_queue *queue) {
    const uint64_t from = csti_ticks();

    queue->way->launch(queue);
    away(queue, from);
}

static void meter_send(card_queue *queue, uint64_t command, uint64_t at, uint64_t bytes) {
    const uint64_t from = csti_ticks();

    queue->way->send(queue, command, at, bytes);
    away(queue, from);
    crossed(queue, CARD_TO, CARD_BEAT_BYTES + bytes);
}

static void meter_receive(card_queue *queue, uint64_t at, uint64_t bytes) {
    const uint64_t from = csti_ticks();

    queue->way->receive(queue, at, bytes);
    away(queue, from);
    crossed(queue, CARD_FROM, bytes);
}

static bool meter_wait(card_queue *queue, uint64_t completion, uint32_t number,
                       uint64_t clocks_max) {
    const uint64_t from = csti_ticks();
    const bool came = queue->way->wait(queue, completion, number, clocks_max);

    away(queue, from);
    if (came) crossed(queue, CARD_FROM, CARD_BEAT_BYTES);
    return came;
}

static bool meter_arrived(card_queue *queue, uint64_t completion, uint32_t number) {
    const uint64_t from = csti_ticks();
    const bool is_there = queue->way->arrived(queue, completion, number);

    away(queue, from);
    return is_there;
}

static void meter_count(card_queue *queue) {
    const uint64_t from = csti_ticks();

    queue->way->count(queue);
    away(queue, from);
}

static cst_code meter_image_move(card_queue *queue, card_direction way, uint32_t channel,
                                 uint64_t address, uint64_t bytes) {
    const uint64_t from = csti_ticks();
    const cst_code code = queue->way->image_move(queue, way, channel, address, bytes);

    away(queue, from);
    crossed(queue, way, bytes);
    return code;
}

// What costs nothing, and what somebody adds, goes the way as it is. What a way does not have its
// meter has not either: that is how its users know.
void card_meter(card_queue *queue, const card_link *way) {
    card_link *metered = &queue->metered;

    queue->way = way;
    *metered = *way;
    metered->open = meter_open;
    metered->write = meter_write;
    metered->read = meter_read;
    metered->launch = meter_launch;
    metered->send = meter_send;
    metered->receive = meter_receive;
    metered->wait = meter_wait;
    if (way->arrived) metered->arrived = meter_arrived;
    if (way->count) metered->count = meter_count;
    if (way->image_move) metered->image_move = meter_image_move;
    queue->link = metered;
}
