// xrt_link.c: one unit of a card: its registers and buffers.
//
//   buffer     bank                   host's view
//   rows       of the batch port      queue->rows_at       rings, a table's block, rows
//   results    its last one           queue->results_at    results, records
//   image[c]   of channel c           image_at(c, ...)     what the host copies there and back
//
// The kernel finds channel c's memory at image + c * stride, so the sixteen buffers have to begin
// at one offset in their banks: checked whenever they are made. They are made, and given back, all
// of a unit's at once, which leaves the banks alike for the next. A larger image takes larger ones,
// and if they lie elsewhere the run begins anew.
#include "base/park.h"
#include "device/xrt_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE_BYTES = 4096,
    IMAGE_BYTES_MIN = 1 << 20, // of a channel
    LOOKS_A_STATUS = 64,
    PAUSE_NS_MAX = 200000,
};

typedef struct xrt_unit {
    xrt_card *card;
    uint32_t number;
    void *kernel;
    void *rows, *results, *image[CSTI_KERNEL_CHANNELS];
    uint8_t *image_host[CSTI_KERNEL_CHANNELS];
    uint64_t image_bytes;    // of a channel
    xrt_run runs[CARD_RUNS]; // where each command is one
    uint64_t doorbells;
} xrt_unit;

static xrt_unit *unit_of(const card_queue *queue) {
    return queue->card;
}

static uint64_t rows_bytes(void) {
    return CARD_ROWS_AT + (uint64_t)CARD_RING * CARD_ROWS_BYTES + PAGE_BYTES;
}

static uint64_t results_bytes(void) {
    return CARD_BATCH_BYTES - CARD_RESULTS_AT + PAGE_BYTES;
}

uint64_t xrt_unit_doorbells(const void *unit) {
    return ((const xrt_unit *)unit)->doorbells;
}

// ---- Opening ------------------------------------------------------------------------------------

// XRT, or a shell, may keep a kernel's registers to itself: an argument that is written has to be
// there.
static bool registers_shown(xrt_card *card, void *kernel) {
    static const uint32_t tried[] = {CARD_RING_BITS, CARD_RUN_BITS};
    bool shown = true;

    for (size_t i = 0; i < sizeof tried / sizeof *tried && shown; i++) {
        uint32_t seen = 0;

        shown = xrt_register_write(card, kernel, CSTI_KERNEL_AT_RING_BITS, tried[i]) &&
                xrt_register_read(card, kernel, CSTI_KERNEL_AT_RING_BITS, &seen) &&
                seen == tried[i];
    }
    return shown;
}

cst_code xrt_unit_check(xrt_card *card, uint32_t number, cst_err *err) {
    void *kernel = xrt_kernel_open(card, card->xclbin.units[number]);
    uint32_t status = 0;
    bool answers;

    if (!kernel)
        return cst_fail(err, CST_DEVICE_LOST,
                        "xrt:%s: %s cannot be opened: has another process it?", card->id,
                        card->xclbin.units[number]);
    answers = xrt_register_read(card, kernel, CSTI_KERNEL_STATUS, &status);
    card->registers_shown = (number == 0 || card->registers_shown) && registers_shown(card, kernel);
    xrt_kernel_close(card, kernel);
    status >>= CSTI_KERNEL_STATUS_VERSION_SHIFT;
    if (!answers)
        return cst_fail(err, CST_DEVICE_LOST, "xrt:%s: its registers do not answer", card->id);
    if (status != CSTI_KERNEL_VERSION)
        return cst_fail(err, CST_DEVICE_IMAGE, "%s: its kernel is of version %u, this host of %d",
                        card->path, status, CSTI_KERNEL_VERSION);
    return CST_OK;
}

static void *buffer_make(xrt_card *card, uint64_t bytes, uint32_t bank, uint8_t **host) {
    void *buffer = xrt_buffer_open(card, bytes, bank);

    *host = buffer ? xrt_buffer_map(card, buffer) : NULL;
    return buffer;
}

static void image_close(xrt_unit *unit) {
    pthread_mutex_lock(&unit->card->images);
    for (uint32_t c = 0; c < CSTI_KERNEL_CHANNELS; c++) {
        xrt_buffer_close(unit->card, unit->image[c]);
        unit->image[c] = NULL;
    }
    unit->image_bytes = 0;
    pthread_mutex_unlock(&unit->card->images);
}

static cst_code channels_open(xrt_unit *unit, uint64_t bytes, uint64_t *address_out, cst_err *err) {
    const xrt_xclbin *xclbin = &unit->card->xclbin;
    uint64_t first = 0;

    for (uint32_t c = 0; c < CSTI_KERNEL_CHANNELS; c++) {
        const uint32_t bank = xclbin->image_bank[unit->number] + c;
        uint64_t address;

        unit->image[c] = buffer_make(unit->card, bytes, bank, &unit->image_host[c]);
        if (!unit->image_host[c])
            return cst_fail(err, CST_NO_MEMORY, "xrt:%s: %llu bytes of bank %u", unit->card->id,
                            (unsigned long long)bytes, bank);
        address = xrt_buffer_address(unit->card, unit->image[c]);
        if (c == 0) first = address;
        if (address != first + c * xclbin->bank_bytes)
            return cst_fail(err, CST_NO_MEMORY,
                            "xrt:%s: buffers of banks %u and %u begin at different offsets",
                            unit->card->id, xclbin->image_bank[unit->number], bank);
    }
    unit->image_bytes = bytes;
    *address_out = first;
    return CST_OK;
}

static cst_code image_open(xrt_unit *unit, uint64_t bytes, uint64_t *address_out, cst_err *err) {
    cst_code code;

    pthread_mutex_lock(&unit->card->images);
    code = channels_open(unit, bytes, address_out, err);
    pthread_mutex_unlock(&unit->card->images);
    return code;
}

static void unit_close(xrt_unit *unit) {
    xrt_runs_close(unit->card, unit->runs);
    image_close(unit);
    xrt_buffer_close(unit->card, unit->results);
    xrt_buffer_close(unit->card, unit->rows);
    xrt_kernel_close(unit->card, unit->kernel);
    xrt_unit_give(unit->card, unit->number);
    free(unit);
}

static cst_code unit_open(xrt_card *card, xrt_unit **out, cst_err *err) {
    uint32_t number = 0;
    cst_code code = xrt_unit_take(card, &number, err);
    xrt_unit *unit;

    if (code != CST_OK) return code;
    unit = calloc(1, sizeof *unit);
    if (!unit) {
        xrt_unit_give(card, number);
        return cst_fail(err, CST_NO_MEMORY, "a unit of a card");
    }
    *unit = (xrt_unit){.card = card, .number = number};
    unit->kernel = xrt_kernel_open(card, card->xclbin.units[number]);
    if (!unit->kernel)
        code = cst_fail(err, CST_DEVICE_LOST, "xrt:%s: %s cannot be opened", card->id,
                        card->xclbin.units[number]);
    if (code == CST_OK)
        *out = unit;
    else
        unit_close(unit);
    return code;
}

static cst_code batches_open(card_queue *queue, xrt_unit *unit, cst_err *err) {
    const xrt_xclbin *xclbin = &unit->card->xclbin;

    unit->rows =
        buffer_make(unit->card, rows_bytes(), xclbin->rows_bank[unit->number], &queue->rows_at);
    unit->results = buffer_make(unit->card, results_bytes(), xclbin->results_bank[unit->number],
                                &queue->results_at);
    if (!queue->rows_at || !queue->results_at)
        return cst_fail(err, CST_NO_MEMORY, "xrt:%s: buffers for batches", unit->card->id);
    queue->rows_address = xrt_buffer_address(unit->card, unit->rows);
    queue->results_address = xrt_buffer_address(unit->card, unit->results);
    return CST_OK;
}

static cst_code runs_open(card_queue *queue, xrt_unit *unit, xrt_start start, cst_err *err) {
    queue->runs = start == XRT_START_RUN;
    if (!queue->runs || xrt_runs_open(unit->card, unit->kernel, unit->rows, unit->runs))
        return CST_OK;
    return cst_fail(err, CST_DEVICE_LOST, "xrt:%s: XRT gives no run of %s", unit->card->id,
                    unit->card->xclbin.units[unit->number]);
}

static cst_code link_open(card_queue *queue, cst_err *err) {
    const xrt_device *device = (const xrt_device *)queue->base.device;
    xrt_unit *unit = NULL;
    cst_code code = unit_open(device->card, &unit, err);

    if (code != CST_OK) return code;
    code = batches_open(queue, unit, err);
    if (code == CST_OK) code = runs_open(queue, unit, device->start, err);
    if (code == CST_OK) code = image_open(unit, IMAGE_BYTES_MIN, &queue->image_address, err);
    if (code != CST_OK) {
        unit_close(unit);
        return code;
    }
    queue->image_stride = device->card->xclbin.bank_bytes;
    queue->card = unit;
    return CST_OK;
}

// ---- Registers and batches ----------------------------------------------------------------------

static void link_write(card_queue *queue, uint32_t offset, uint32_t value) {
    (void)xrt_register_write(unit_of(queue)->card, unit_of(queue)->kernel, offset, value);
}

static uint32_t link_read(card_queue *queue, uint32_t offset) {
    uint32_t value;

    (void)xrt_register_read(unit_of(queue)->card, unit_of(queue)->kernel, offset, &value);
    return value;
}

// Whole pages: what stands behind the bytes is nobody's until it is sent itself.
static bool batch_sync(card_queue *queue, card_direction direction, uint64_t at, uint64_t bytes) {
    const xrt_unit *unit = unit_of(queue);
    const bool is_results = at >= CARD_RESULTS_AT;

    return xrt_buffer_sync(unit->card, is_results ? unit->results : unit->rows, direction, bytes,
                           is_results ? at - CARD_RESULTS_AT : at);
}

static void why_lost(card_queue *queue, const char *why) {
    (void)snprintf(queue->base.lost_why, sizeof queue->base.lost_why, "%s", why);
}

static bool gone_say(card_queue *queue) {
    if (!atomic_load_explicit(&unit_of(queue)->card->gone, memory_order_acquire)) return false;
    why_lost(queue, "the card does not answer any more");
    return true;
}

static void link_launch(card_queue *queue) {
    xrt_unit *unit = unit_of(queue);

    (void)batch_sync(queue, CARD_TO, 0, CARD_TABLE_AT);
    if (queue->runs) {
        uint64_t values[CSTI_KERNEL_ARGUMENT_CHANNEL];

        card_run_arguments(queue, values);
        if (!xrt_runs_tell(unit->card, unit->runs, values)) queue->lost = true;
        return;
    }
    unit->doorbells++;
    link_write(queue, CSTI_KERNEL_CTRL, CSTI_KERNEL_START);
}

// The run of what stands there.
static xrt_run *run_at(card_queue *queue, uint64_t offset) {
    return &unit_of(queue)->runs[(offset - CARD_RING_AT) / CARD_RUN_BYTES];
}

// What a command brings is there before it is. A beat crosses as one.
static void link_send(card_queue *queue, uint64_t command, uint64_t at, uint64_t bytes) {
    const uint64_t pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

    if (bytes > 0) (void)batch_sync(queue, CARD_TO, at, pages);
    (void)batch_sync(queue, CARD_TO, command, queue->runs ? CARD_RUN_BYTES : CARD_BEAT_BYTES);
    if (!queue->runs) return;
    unit_of(queue)->doorbells++;
    if (!xrt_runs_begin(unit_of(queue)->card, run_at(queue, command)))
        why_lost(queue, "XRT did not start a run"); // which wait then finds
}

static void link_receive(card_queue *queue, uint64_t at, uint64_t bytes) {
    (void)batch_sync(queue, CARD_FROM, at, bytes);
}

static bool link_arrived(card_queue *queue, uint64_t completion, uint32_t number) {
    const uint32_t *word = (const uint32_t *)card_batch_at(queue, completion);

    if (queue->runs &&
        xrt_runs_look(unit_of(queue)->card, run_at(queue, completion)) == XRT_RUN_GOES_ON)
        return false;
    return !batch_sync(queue, CARD_FROM, completion, CARD_BEAT_BYTES) || queue->runs ||
           *word == number;
}

// Of one whose completion is not there.
static void run_why_lost(card_queue *queue, xrt_run *run) {
    switch (xrt_runs_look(unit_of(queue)->card, run)) {
    case XRT_RUN_ENDED:
        why_lost(queue, "a run ended without its completion");
        break;
    case XRT_RUN_FAILED:
        why_lost(queue, "XRT says that a run failed");
        break;
    default: // the kernel's status says more
        break;
    }
}

static bool link_wait(card_queue *queue, uint64_t completion, uint32_t number,
                      uint64_t clocks_max) {
    const xrt_device *device = (const xrt_device *)queue->base.device;
    const uint32_t *word = (const uint32_t *)card_batch_at(queue, completion);
    const csti_clock *clock = csti_clock_real();
    const uint64_t deadline_ns = csti_clock_now_ns(clock) + device->timeout_ns;
    uint64_t pause_ns = 1000;
    csti_parker parker;

    (void)clocks_max; // the card's clocks are not counted here
    csti_parker_init(&parker);
    for (uint32_t look = 1; !link_arrived(queue, completion, number); look++) {
        const uint64_t now_ns = csti_clock_now_ns(clock);

        if (now_ns >= deadline_ns) break;
        if (look % LOOKS_A_STATUS == 0 && card_status_lost(link_read(queue, CSTI_KERNEL_STATUS)))
            break;
        (void)csti_park_until(&parker, now_ns + pause_ns);
        if (pause_ns < PAUSE_NS_MAX) pause_ns *= 2;
    }
    if (gone_say(queue)) return false;
    if (queue->runs && *word != number && !queue->base.lost_why[0])
        run_why_lost(queue, run_at(queue, completion));
    return *word == number;
}

// A reset takes back what the kernel has of a run, but not what XRT has.
static bool link_settle(card_queue *queue) {
    const xrt_device *device = (const xrt_device *)queue->base.device;
    const uint64_t deadline_ns = csti_clock_now_ns(csti_clock_real()) + device->timeout_ns;

    return !queue->runs || xrt_runs_settle(unit_of(queue)->card, unit_of(queue)->runs, deadline_ns);
}

// ---- The image ----------------------------------------------------------------------------------

static cst_code link_image_room(card_queue *queue, uint64_t bytes, bool *moved, cst_err *err) {
    xrt_unit *unit = unit_of(queue);
    uint64_t room = IMAGE_BYTES_MIN, address = 0;
    cst_code code;

    if (bytes <= unit->image_bytes) return CST_OK;
    while (room < bytes) room *= 2;
    image_close(unit);
    code = image_open(unit, room, &address, err);
    if (code != CST_OK) return gone_say(queue) ? CST_DEVICE_LOST : code;
    *moved = address != queue->image_address;
    queue->image_address = address;
    return !*moved || card_run_restart(queue) ? CST_OK : CST_DEVICE_LOST;
}

static uint8_t *link_image_at(card_queue *queue, uint32_t channel, uint64_t address) {
    return unit_of(queue)->image_host[channel] + address;
}

static cst_code link_image_move(card_queue *queue, card_direction direction, uint32_t channel,
                                uint64_t address, uint64_t bytes) {
    const xrt_unit *unit = unit_of(queue);

    if (xrt_buffer_sync(unit->card, unit->image[channel], direction, bytes, address)) return CST_OK;
    if (!gone_say(queue))
        (void)snprintf(queue->base.lost_why, sizeof queue->base.lost_why,
                       "a transfer of channel %u failed", channel);
    return CST_DEVICE_LOST;
}

// A kernel that nobody asks for anything goes on looking at its ring: it is stopped. Runs end by
// themselves.
static void link_close(card_queue *queue) {
    xrt_unit *unit = unit_of(queue);

    // XRT goes on looking for the end of a run, with what would be closed here.
    if (queue->runs &&
        (queue->lost ? !xrt_runs_settle(unit->card, unit->runs, 0) : !link_settle(queue)))
        xrt_card_leave(unit->card);
    link_write(queue, CSTI_KERNEL_CTRL, CSTI_KERNEL_SOFT_RESET);
    unit_close(unit);
}

const card_link xrt_link = {
    .open = link_open,
    .close = link_close,
    .write = link_write,
    .read = link_read,
    .launch = link_launch,
    .settle = link_settle,
    .send = link_send,
    .receive = link_receive,
    .wait = link_wait,
    .arrived = link_arrived,
    .image_room = link_image_room,
    .image_at = link_image_at,
    .image_move = link_image_move,
};
